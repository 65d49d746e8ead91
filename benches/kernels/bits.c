// n: 400000
/* Counting, finding and permuting bits: population counts by hand and by instruction, leading and trailing zeros, reversal,
 * interleaving, Gray codes, next permutations, a sieve of bits. */
#include "kernel.h"

static uint32_t count_by_hand(uint32_t x) {
  x -= x >> 1 & 0x55555555;
  x = (x & 0x33333333) + (x >> 2 & 0x33333333);
  return ((x + (x >> 4)) & 0x0f0f0f0f) * 0x01010101 >> 24;
}

static uint32_t reverse(uint32_t x) {
  x = x >> 1 & 0x55555555 | (x & 0x55555555) << 1;
  x = x >> 2 & 0x33333333 | (x & 0x33333333) << 2;
  x = x >> 4 & 0x0f0f0f0f | (x & 0x0f0f0f0f) << 4;
  x = x >> 8 & 0x00ff00ff | (x & 0x00ff00ff) << 8;
  return x >> 16 | x << 16;
}

static uint64_t spread(uint32_t value) {
  uint64_t x = value;
  x = (x | x << 16) & 0x0000ffff0000ffffull;
  x = (x | x << 8) & 0x00ff00ff00ff00ffull;
  x = (x | x << 4) & 0x0f0f0f0f0f0f0f0full;
  x = (x | x << 2) & 0x3333333333333333ull;
  return (x | x << 1) & 0x5555555555555555ull;
}

/* The next greater number with as many bits. */
static uint32_t next_permutation(uint32_t x) {
  uint32_t filled = x | (x - 1);
  return (filled + 1) | (((~filled & -~filled) - 1) >> (__builtin_ctz(x) + 1) % 32);
}

/* The place of each bit that is set, added up. */
static uint32_t places(uint64_t x) {
  uint32_t sum = 0;
  for (; x; x &= x - 1) sum += (uint32_t)__builtin_ctzll(x);
  return sum;
}

static uint32_t square_root(uint32_t x) {
  uint32_t root = 0;
  for (uint32_t bit = 1u << 30; bit; bit >>= 2) {
    if (x >= root + bit) {
      x -= root + bit;
      root += bit << 1;
    }
    root >>= 1;
  }
  return root;
}

uint64_t run(uint32_t n) {
  random_t random = random_new(45);
  uint64_t checksum = 0;
  uint32_t permutation = 0x3ff;
  for (uint32_t i = 0; i < n; i++) {
    uint32_t r = random_next(&random);
    checksum += count_by_hand(r) + (uint32_t)__builtin_popcount(r ^ i) + (uint32_t)__builtin_clz(r | 1);
    checksum ^= spread(reverse(r)) | spread(i) << 1;
    permutation = next_permutation(permutation & 0x7fffffff ? permutation & 0x7fffffff : 0x3ff);
    checksum += permutation ^ permutation >> 1;
    if ((i & 7) == 0) checksum += places((uint64_t)r << 32 | permutation) + square_root(r);
  }
  return mix(0, checksum);
}
