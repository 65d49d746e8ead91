// n: 120
/* n modular powers of 1024-bit numbers in Montgomery form: 64×64→128 bit products and carries. */
#include "kernel.h"

enum { LIMBS = 16 };
typedef unsigned __int128 wide_t;

static uint64_t modulus[LIMBS], negative_inverse;

/* out = a·b / 2^1024 modulo the modulus. */
static void multiply(uint64_t *out, const uint64_t *a, const uint64_t *b) {
  uint64_t t[LIMBS + 2] = {0};
  for (int i = 0; i < LIMBS; i++) {
    uint64_t carry = 0;
    for (int j = 0; j < LIMBS; j++) {
      wide_t sum = (wide_t)a[j] * b[i] + t[j] + carry;
      t[j] = (uint64_t)sum;
      carry = (uint64_t)(sum >> 64);
    }
    wide_t top = (wide_t)t[LIMBS] + carry;
    t[LIMBS] = (uint64_t)top;
    t[LIMBS + 1] = (uint64_t)(top >> 64);
    uint64_t factor = t[0] * negative_inverse;
    carry = (uint64_t)(((wide_t)factor * modulus[0] + t[0]) >> 64);
    for (int j = 1; j < LIMBS; j++) {
      wide_t sum = (wide_t)factor * modulus[j] + t[j] + carry;
      t[j - 1] = (uint64_t)sum;
      carry = (uint64_t)(sum >> 64);
    }
    top = (wide_t)t[LIMBS] + carry;
    t[LIMBS - 1] = (uint64_t)top;
    t[LIMBS] = t[LIMBS + 1] + (uint64_t)(top >> 64);
  }
  uint64_t reduced[LIMBS], borrow = 0;
  for (int j = 0; j < LIMBS; j++) {
    wide_t difference = (wide_t)t[j] - modulus[j] - borrow;
    reduced[j] = (uint64_t)difference;
    borrow = (uint64_t)(difference >> 64) & 1;
  }
  for (int j = 0; j < LIMBS; j++) out[j] = t[LIMBS] || !borrow ? reduced[j] : t[j];
}

uint64_t run(uint32_t n) {
  random_t random = random_new(17);
  uint64_t checksum = 0;
  for (int j = 0; j < LIMBS; j++) modulus[j] = (uint64_t)random_next(&random) << 32 | random_next(&random);
  modulus[0] |= 1, modulus[LIMBS - 1] |= 1ull << 63;
  uint64_t inverse = 1; /* Newton's iteration doubles the correct bits each time. */
  for (int i = 0; i < 6; i++) inverse *= 2 - modulus[0] * inverse;
  negative_inverse = -inverse;
  for (uint32_t round = 0; round < n; round++) {
    uint64_t base[LIMBS], power[LIMBS];
    for (int j = 0; j < LIMBS; j++) base[j] = (uint64_t)random_next(&random) << 31 | random_next(&random);
    base[LIMBS - 1] = 0;
    for (int j = 0; j < LIMBS; j++) power[j] = base[j];
    uint64_t exponent = (uint64_t)random_next(&random) << 32 | random_next(&random) | 1;
    for (int bit = 0; bit < 64; bit++) {
      multiply(power, power, power);
      if (exponent >> bit & 1) multiply(power, power, base);
    }
    for (int j = 0; j < LIMBS; j++) checksum = mix(checksum, power[j]);
  }
  return checksum;
}
