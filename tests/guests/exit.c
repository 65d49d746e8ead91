/* Exits with the status given as argv[1], without returning from main; `return` as argv[2] returns it instead. */
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv) {
  int status = argc > 1 ? atoi(argv[1]) : 0;
  if (argc > 2 && strcmp(argv[2], "return") == 0) return status;
  exit(status);
}
