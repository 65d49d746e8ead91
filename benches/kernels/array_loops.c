// n: 3000
/* Ten plain loops over arrays of 4096 elements, n times each: what a compiler may vectorize, and clang does not for wasm
 * without SIMD. */
#include "kernel.h"

enum { SIZE = 4096 };
static float x[SIZE], y[SIZE];
static double d[SIZE];
static int32_t a[SIZE], b[SIZE], c[SIZE];
static uint8_t bytes[SIZE];
static int16_t shorts[SIZE];

/* Not inlined, so that each loop starts from memory as it is. */
#define LOOP static __attribute__((noinline))

LOOP void saxpy(float k) {
  for (int i = 0; i < SIZE; i++) y[i] += k * x[i];
}
LOOP uint32_t sum_of_bytes(void) {
  uint32_t sum = 0;
  for (int i = 0; i < SIZE; i++) sum += bytes[i];
  return sum;
}
LOOP int32_t greatest(void) {
  int32_t most = a[0];
  for (int i = 1; i < SIZE; i++) most = a[i] > most ? a[i] : most;
  return most;
}
LOOP void prefix_sums(void) {
  uint32_t sum = 0;
  for (int i = 0; i < SIZE; i++) sum += (uint32_t)a[i], c[i] = (int32_t)sum;
}
LOOP void to_floats(void) {
  for (int i = 0; i < SIZE; i++) d[i] = (double)b[i] * 0.5;
}
LOOP uint32_t dot(void) {
  uint32_t sum = 0;
  for (int i = 0; i < SIZE; i++) sum += (uint32_t)a[i] * (uint32_t)b[i];
  return sum;
}
LOOP void combine(int32_t k) {
  for (int i = 0; i < SIZE; i++) c[i] = (a[i] & b[i]) + (int32_t)((uint32_t)c[i] >> 3) + k;
}
LOOP void widen(void) {
  for (int i = 0; i < SIZE; i++) b[i] = shorts[i] * 3 - bytes[i];
}
LOOP void reverse(void) {
  for (int i = 0; i < SIZE; i++) shorts[i] = (int16_t)(shorts[i] ^ c[SIZE - 1 - i]);
}
LOOP void choose(void) {
  for (int i = 0; i < SIZE; i++) bytes[i] = bytes[i] > 100 ? (uint8_t)(bytes[i] - 50) : (uint8_t)(bytes[i] + 3);
}

uint64_t run(uint32_t n) {
  random_t random = random_new(37);
  for (int i = 0; i < SIZE; i++) {
    uint32_t r = random_next(&random);
    x[i] = (float)(r & 255), y[i] = 0, d[i] = 0, a[i] = (int32_t)r, b[i] = (int32_t)(r >> 5), c[i] = 0;
    bytes[i] = (uint8_t)(r >> 8), shorts[i] = (int16_t)(r >> 16);
  }
  uint64_t checksum = 0;
  for (uint32_t round = 0; round < n; round++) {
    saxpy(round & 1 ? 0.5f : -0.25f);
    prefix_sums();
    combine((int32_t)round);
    widen();
    to_floats();
    reverse();
    choose();
    checksum = mix(checksum, (uint64_t)sum_of_bytes() << 32 | dot());
    checksum = mix(checksum, (uint32_t)greatest());
    a[round & (SIZE - 1)] ^= c[round & (SIZE - 1)];
  }
  for (int i = 0; i < SIZE; i++) checksum = mix_double(mix(checksum, (uint32_t)c[i]), (double)y[i] + d[i]);
  return checksum;
}
