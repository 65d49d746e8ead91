// n: 300000
/* Two wide switches in a row for each of n random numbers: a dense one with cases of every kind, and a sparse one, which
 * becomes a tree of comparisons. */
#include "kernel.h"

static inline uint32_t dense(uint32_t kind, uint32_t x) {
  switch (kind) {
#define FOUR(k) \
  case k: return x + k * 7; \
  case k + 1: return (x ^ k * 0x9e37u) - (x >> 3); \
  case k + 2: return x * (k | 1) + 3; \
  case k + 3: return (x << (k & 7)) | (x >> (32 - (k & 7) - 1));
#define SIXTEEN(k) FOUR(k) FOUR(k + 4) FOUR(k + 8) FOUR(k + 12)
    SIXTEEN(0) SIXTEEN(16) SIXTEEN(32) SIXTEEN(48) SIXTEEN(64) SIXTEEN(80) SIXTEEN(96) SIXTEEN(112)
#undef SIXTEEN
#undef FOUR
    default: return x;
  }
}

static inline uint32_t sparse(uint32_t key) {
  switch (key) {
    case 3: return 1;
    case 17: return 5;
    case 40: return 2;
    case 99: return 12;
    case 150: return 7;
    case 260: return 9;
    case 333: return 4;
    case 480: return 11;
    case 505: return 3;
    case 640: return 8;
    case 777: return 6;
    case 901: return 10;
    default: return 0;
  }
}

uint64_t run(uint32_t n) {
  static const uint16_t keys[16] = {3, 17, 40, 99, 150, 260, 333, 480, 505, 640, 777, 901, 4, 98, 600, 1000};
  random_t random = random_new(33);
  uint32_t x = 1, found = 0;
  for (uint32_t i = 0; i < n; i++) {
    uint32_t r = random_next(&random);
    /* Half of them are of four kinds, as in most real switches. */
    x = dense(r & 1 ? r >> 1 & 3 : r >> 3 & 127, x);
    found += sparse(keys[r >> 10 & 15]);
  }
  return mix(x, found);
}
