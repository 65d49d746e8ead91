/* Loops for ever, without a call in the loop: only the engine can end it. */
#include <stdio.h>

int main(void) {
  puts("spinning");
  fflush(stdout);
  volatile unsigned iterations = 0;
  for (;;) iterations++;
}
