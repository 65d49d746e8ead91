// Death tests: misuse that ends the process, in a child.

#ifndef AMPOULE_DEATH_TESTS_H
#define AMPOULE_DEATH_TESTS_H

#include "test.h"
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

// Runs `misuse` in a child, which must end by abort and have said `words`: a function's name, for one.
static inline void ends_the_process(const char *words, void (*misuse)(void)) {
  int pipes[2];
  if (!expect(!pipe(pipes))) return;
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    dup2(pipes[1], 2);
    alarm(20);
    misuse();
    _exit(0);
  }
  close(pipes[1]);
  char said[4096] = {0};
  size_t len = 0;
  for (ssize_t more; (more = read(pipes[0], said + len, sizeof said - 1 - len)) > 0;) len += (size_t)more;
  close(pipes[0]);
  int status = 0;
  waitpid(child, &status, 0);
  bool told = WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT && strstr(said, words);
  if (!told) printf("FAIL %s: %s: status 0x%x, says \"%s\"\n", test_claim, words, status, said);
  if (!told) test_claim_holds = false;
}

#endif
