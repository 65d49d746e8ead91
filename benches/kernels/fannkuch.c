// n: 9
/* The longest pancake flip sequence over all permutations of n: small arrays, byte moves, counted loops. */
#include "kernel.h"

enum { MAX = 12 };

uint64_t run(uint32_t n) {
  if (n > MAX) n = MAX;
  uint8_t order[MAX], flipped[MAX], count[MAX + 1];
  for (uint32_t i = 0; i < n; i++) order[i] = (uint8_t)i;
  uint32_t longest = 0, left = n, index = 0;
  uint64_t checksum = 0;
  for (;;) {
    for (; left > 1; left--) count[left - 1] = (uint8_t)left;
    for (uint32_t i = 0; i < n; i++) flipped[i] = order[i];
    uint32_t flips = 0;
    for (uint32_t first; (first = flipped[0]) != 0; flips++)
      for (uint32_t i = 0, j = first; i < j; i++, j--) {
        uint8_t held = flipped[i];
        flipped[i] = flipped[j];
        flipped[j] = held;
      }
    if (flips > longest) longest = flips;
    checksum += index++ % 2 ? -(uint64_t)flips : flips;
    for (;; left++) {
      if (left == n) return mix(checksum, longest);
      uint8_t first = order[0];
      for (uint32_t i = 0; i < left; i++) order[i] = order[i + 1];
      order[left] = first;
      if (--count[left] > 0) break;
    }
  }
}
