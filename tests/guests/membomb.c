/* Grows its memory until growth fails, touching each new page, and prints how many pages it has then.
 * With `forever` as argv[1] it goes on asking for more. */
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv) {
  enum { PAGE = 65536, STEP = 16 };
  for (;;) {
    size_t old_pages = __builtin_wasm_memory_grow(0, STEP);
    if (old_pages == (size_t)-1) break;
    for (size_t page = old_pages; page < old_pages + STEP; page++) *(volatile char *)(page * PAGE) = 1;
  }
  printf("%lu pages\n", (unsigned long)__builtin_wasm_memory_size(0));
  fflush(stdout);
  if (argc > 1 && strcmp(argv[1], "forever") == 0) {
    while (__builtin_wasm_memory_grow(0, STEP) == (size_t)-1) {}
  }
  return 0;
}
