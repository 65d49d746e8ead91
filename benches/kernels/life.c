// n: 50
/* n generations of Conway's life on a torus of 256×256 bytes: neighbour sums with masked indices. */
#include "kernel.h"

enum { SIDE = 256, MASK = SIDE - 1 };
static uint8_t cells[2][SIDE][SIDE];

uint64_t run(uint32_t n) {
  random_t random = random_new(13);
  for (uint32_t y = 0; y < SIDE; y++)
    for (uint32_t x = 0; x < SIDE; x++) cells[0][y][x] = random_next(&random) % 3 == 0;
  for (uint32_t step = 0; step < n; step++) {
    uint8_t(*now)[SIDE] = cells[step & 1], (*next)[SIDE] = cells[~step & 1];
    for (uint32_t y = 0; y < SIDE; y++) {
      const uint8_t *above = now[(y - 1) & MASK], *here = now[y], *below = now[(y + 1) & MASK];
      for (uint32_t x = 0; x < SIDE; x++) {
        uint32_t left = (x - 1) & MASK, right = (x + 1) & MASK;
        uint32_t sum = above[left] + above[x] + above[right] + here[left] + here[right] + below[left] + below[x] +
                       below[right];
        next[y][x] = sum == 3 || (sum == 2 && here[x]);
      }
    }
  }
  uint64_t checksum = 0;
  for (uint32_t y = 0; y < SIDE; y++)
    for (uint32_t x = 0; x < SIDE; x++) checksum = checksum * 3 + cells[n & 1][y][x];
  return mix(checksum, n);
}
