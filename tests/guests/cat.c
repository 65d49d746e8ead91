/* Copies stdin to stdout, then says on stderr how many bytes went by. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(void) {
  static char buffer[4096];
  size_t total = 0;
  for (;;) {
    ssize_t got = read(STDIN_FILENO, buffer, sizeof buffer);
    if (got < 0) {
      fprintf(stderr, "read: %s\n", strerror(errno));
      return 1;
    }
    if (got == 0) break;
    for (ssize_t done = 0; done < got;) {
      ssize_t put = write(STDOUT_FILENO, buffer + done, (size_t)(got - done));
      if (put < 0) {
        fprintf(stderr, "write: %s\n", strerror(errno));
        return 1;
      }
      done += put;
    }
    total += (size_t)got;
  }
  fprintf(stderr, "%zu bytes\n", total);
  return 0;
}
