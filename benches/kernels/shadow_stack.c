// n: 300
/* Sorts linked lists by merging and evaluates polynomials of small structs, with everything handed over by address:
 * locals that live in the stack of linear memory. */
#include "kernel.h"

typedef struct {
  int64_t re, im;
} complex_t;

typedef struct {
  uint32_t low, high, sum;
} range_t;

#define CALLED static __attribute__((noinline))

CALLED void multiply(complex_t *to, const complex_t *a, const complex_t *b) {
  complex_t product = {a->re * b->re - a->im * b->im, a->re * b->im + a->im * b->re};
  *to = product;
}
CALLED void add(complex_t *to, const complex_t *a) { to->re += a->re, to->im += a->im; }

CALLED complex_t polynomial(const complex_t *x, uint32_t degree) {
  complex_t value = {1, 1};
  for (uint32_t i = 0; i < degree; i++) {
    complex_t coefficient = {(int64_t)i, -1}, product;
    multiply(&product, &value, x);
    add(&product, &coefficient);
    value = product;
  }
  return value;
}

/* Several results through addresses of locals. */
CALLED void split(uint32_t x, uint32_t *low, uint32_t *high) { *low = x & 0xffff, *high = x >> 16; }

CALLED range_t walk(const uint32_t *values, uint32_t count) {
  range_t range = {~0u, 0, 0};
  if (count <= 2) {
    for (uint32_t i = 0; i < count; i++) {
      uint32_t low, high;
      split(values[i], &low, &high);
      if (low < range.low) range.low = low;
      if (high > range.high) range.high = high;
      range.sum += low ^ high;
    }
    return range;
  }
  range_t left = walk(values, count / 2), right = walk(values + count / 2, count - count / 2);
  range.low = left.low < right.low ? left.low : right.low;
  range.high = left.high > right.high ? left.high : right.high;
  range.sum = left.sum * 3 + right.sum;
  return range;
}

static uint32_t values[4096];

uint64_t run(uint32_t n) {
  random_t random = random_new(40);
  for (int i = 0; i < 4096; i++) values[i] = random_next(&random);
  uint64_t checksum = 0;
  for (uint32_t round = 0; round < n; round++) {
    range_t range = walk(values, 4096);
    checksum = mix(checksum, (uint64_t)range.low << 32 | (range.high ^ range.sum));
    for (int i = 0; i < 200; i++) {
      complex_t x = {i, (int64_t)round}, y = polynomial(&x, 12);
      checksum = mix(checksum, (uint64_t)y.re ^ (uint64_t)y.im);
    }
    values[round & 4095] += round;
  }
  return checksum;
}
