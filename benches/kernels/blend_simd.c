// n: 800
// wasm-flags: -msimd128
/* n times a weighted blend of two 64 KiB pictures of bytes: widening and narrowing integer SIMD. */
#include "kernel.h"

typedef uint8_t u8x16 __attribute__((vector_size(16)));
typedef uint16_t u16x16 __attribute__((vector_size(32)));
enum { SIZE = 65536 };
static u8x16 front[SIZE / 16], back[SIZE / 16];

uint64_t run(uint32_t n) {
  random_t random = random_new(22);
  for (uint32_t i = 0; i < SIZE / 16; i++)
    for (int lane = 0; lane < 16; lane++) {
      front[i][lane] = (uint8_t)random_next(&random);
      back[i][lane] = (uint8_t)random_next(&random);
    }
  for (uint32_t round = 0; round < n; round++) {
    uint16_t weight = (uint16_t)(1 + round % 254);
    for (uint32_t i = 0; i < SIZE / 16; i++) {
      u16x16 f = __builtin_convertvector(front[i], u16x16), b = __builtin_convertvector(back[i], u16x16);
      u16x16 sum = f * weight + b * (uint16_t)(255 - weight) + 128;
      back[i] = __builtin_convertvector((sum + (sum >> 8)) >> 8, u8x16);
    }
  }
  uint64_t checksum = 0;
  for (uint32_t i = 0; i < SIZE / 16; i++)
    for (int lane = 0; lane < 16; lane++) checksum = checksum * 31 + back[i][lane];
  return mix(checksum, n);
}
