/* Prints its arguments and its environment, one a line; a complaint goes to stderr when there are no arguments. */
#include <stdio.h>

extern char **environ;

int main(int argc, char **argv) {
  printf("hello from %s\n", argc > 0 ? argv[0] : "nobody");
  for (int i = 1; i < argc; i++) printf("arg %d: %s\n", i, argv[i]);
  for (char **variable = environ; variable != NULL && *variable != NULL; variable++) printf("env: %s\n", *variable);
  if (argc < 2) fprintf(stderr, "no arguments\n");
  return 0;
}
