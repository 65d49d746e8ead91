// n: 12
/* Counts the ways to place n queens, with bit masks and recursion: call overhead and integer logic. */
#include "kernel.h"

__attribute__((noinline)) static uint64_t place(uint32_t all, uint32_t columns, uint32_t left, uint32_t right) {
  if (columns == all) return 1;
  uint64_t found = 0;
  for (uint32_t free = all & ~(columns | left | right); free; free &= free - 1) {
    uint32_t bit = free & -free;
    found += place(all, columns | bit, (left | bit) << 1, (right | bit) >> 1);
  }
  return found;
}

uint64_t run(uint32_t n) {
  uint64_t checksum = 0;
  for (uint32_t size = 4; size <= n && size < 16; size++) checksum = mix(checksum, place((1u << size) - 1, 0, 0, 0));
  return checksum;
}
