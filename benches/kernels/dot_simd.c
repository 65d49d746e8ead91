// n: 1200
// wasm-flags: -msimd128
/* n dot products of 16 Ki 32-bit floats, four lanes at a time by vector types: SIMD loads, multiplies and adds. */
#include "kernel.h"

typedef float f32x4 __attribute__((vector_size(16)));
enum { SIZE = 16384 };
static f32x4 a[SIZE / 4], b[SIZE / 4];

uint64_t run(uint32_t n) {
  random_t random = random_new(21);
  for (uint32_t i = 0; i < SIZE / 4; i++)
    for (int lane = 0; lane < 4; lane++) {
      a[i][lane] = (float)random_unit(&random);
      b[i][lane] = (float)random_unit(&random) - 0.5f;
    }
  uint64_t checksum = 0;
  for (uint32_t round = 0; round < n; round++) {
    f32x4 sums[4] = {{0}};
    for (uint32_t i = 0; i < SIZE / 4; i += 4)
      for (int j = 0; j < 4; j++) sums[j] += a[i + j] * b[i + j];
    f32x4 sum = (sums[0] + sums[1]) + (sums[2] + sums[3]);
    double total = (double)sum[0] + sum[1] + sum[2] + sum[3];
    checksum = mix_double(checksum, total);
    a[round % (SIZE / 4)][round & 3] += 0.25f;
  }
  return checksum;
}
