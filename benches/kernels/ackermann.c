// n: 9
/* Ackermann's function of 3 and n: deep recursion whose outer call is in the tail's place. */
#include "kernel.h"

static uint32_t ackermann(uint32_t m, uint32_t n) {
  if (m == 0) return n + 1;
  if (n == 0) return ackermann(m - 1, 1);
  return ackermann(m - 1, ackermann(m, n - 1));
}

uint64_t run(uint32_t n) { return mix(0, ackermann(3, n)); }
