/* Recurses without end. Frames are small, and the call is not in tail position: the stack must run out. */
#include <stdio.h>

/* `volatile`, so that the compiler cannot know that this never ends. */
static volatile int bottom_reached = 0;

/* Each frame lends its own variable to the next, so that no frame can be reused for another. */
__attribute__((noinline)) static unsigned dive(volatile unsigned *above) {
  volatile unsigned here = *above + 1;
  if (bottom_reached) return here;
  return dive(&here) + here;
}

int main(void) {
  volatile unsigned surface = 0;
  puts("diving");
  fflush(stdout);
  printf("came back with %u\n", dive(&surface));
  return 1;
}
