// n: 120000
/* The longest chain of Collatz below n: a loop of 64-bit steps, each of which is one way or the other. */
#include "kernel.h"

uint64_t run(uint32_t n) {
  uint32_t longest = 0, from = 0;
  for (uint32_t start = 1; start < n; start++) {
    uint32_t steps = 0;
    for (uint64_t x = start; x != 1; steps++) {
      if (x & 1)
        x = 3 * x + 1;
      else
        x /= 2;
    }
    if (steps > longest) longest = steps, from = start;
  }
  return mix(longest, from);
}
