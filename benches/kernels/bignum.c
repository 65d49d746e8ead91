// n: 24
/* Numbers of 64 limbs of 64 bits: sums and differences with carries, shifts, and a product with one limb of 32 bits. */
#include "kernel.h"

enum { LIMBS = 64 };
typedef struct {
  uint64_t limb[LIMBS];
} number_t;

static uint64_t add(number_t *to, const number_t *a, const number_t *b) {
  uint64_t carry = 0;
  for (int i = 0; i < LIMBS; i++) {
    uint64_t sum = a->limb[i] + carry;
    carry = sum < carry;
    sum += b->limb[i];
    carry += sum < b->limb[i];
    to->limb[i] = sum;
  }
  return carry;
}

static uint64_t subtract(number_t *to, const number_t *a, const number_t *b) {
  uint64_t borrow = 0;
  for (int i = 0; i < LIMBS; i++) {
    uint64_t less = a->limb[i] - borrow, borrowed = a->limb[i] < borrow;
    to->limb[i] = less - b->limb[i];
    borrow = borrowed | (less < b->limb[i]);
  }
  return borrow;
}

static void shift_left(number_t *number, int by) {
  uint64_t in = 0;
  for (int i = 0; i < LIMBS; i++) {
    uint64_t out = number->limb[i] >> (64 - by);
    number->limb[i] = number->limb[i] << by | in;
    in = out;
  }
}

/* By halves of limbs, as code does that has no product of 128 bits. */
static uint32_t scale(number_t *number, uint32_t factor) {
  uint32_t *half = (uint32_t *)number->limb;
  uint64_t carry = 0;
  for (int i = 0; i < LIMBS * 2; i++) {
    carry += (uint64_t)half[i] * factor;
    half[i] = (uint32_t)carry;
    carry >>= 32;
  }
  return (uint32_t)carry;
}

uint64_t run(uint32_t n) {
  static number_t a, b, sum;
  random_t random = random_new(42);
  for (int i = 0; i < LIMBS; i++) {
    a.limb[i] = (uint64_t)random_next(&random) << 32 | random_next(&random);
    b.limb[i] = (uint64_t)random_next(&random) << 32 | random_next(&random);
  }
  uint64_t checksum = 0;
  for (uint32_t round = 0; round < n * 1000; round++) {
    checksum += add(&sum, &a, &b);
    checksum += subtract(&a, &sum, &a) << 1;
    if ((round & 3) == 0) shift_left(&sum, 7);
    if ((round & 7) == 0) checksum += scale(&sum, 0x9e3779b9u);
    checksum += add(&b, &b, &sum);
  }
  for (int i = 0; i < LIMBS; i++) checksum = mix(checksum, a.limb[i] ^ b.limb[i]);
  return checksum;
}
