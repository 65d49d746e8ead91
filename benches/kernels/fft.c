// n: 12
/* n times a radix-2 fast Fourier transform of 8192 complex numbers and its inverse: strided doubles, bit reversal. */
#include "kernel.h"

enum { BITS = 13, SIZE = 1 << BITS };
static double re[SIZE], im[SIZE], cosines[SIZE / 2], sines[SIZE / 2];

/* The roots of unity by squaring down from the half-angle formulas, so that no library's sine is involved. */
static void make_roots(void) {
  cosines[0] = 1, sines[0] = 0;
  double c = -1, s = 0;
  for (uint32_t step = SIZE / 4; step > 0; step /= 2) {
    double half_c = __builtin_sqrt((1 + c) / 2), half_s = c == -1 ? 1 : s / (2 * half_c);
    c = half_c, s = half_s;
    for (uint32_t at = step; at < SIZE / 2; at += 2 * step) {
      cosines[at] = cosines[at - step] * c - sines[at - step] * s;
      sines[at] = cosines[at - step] * s + sines[at - step] * c;
    }
  }
}

static void transform(double direction) {
  for (uint32_t i = 0, j = 0; i < SIZE; i++) {
    if (i < j) {
      double held = re[i];
      re[i] = re[j], re[j] = held;
      held = im[i];
      im[i] = im[j], im[j] = held;
    }
    uint32_t bit = SIZE / 2;
    for (; j & bit; bit /= 2) j ^= bit;
    j |= bit;
  }
  for (uint32_t half = 1; half < SIZE; half *= 2) {
    uint32_t stride = SIZE / 2 / half;
    for (uint32_t start = 0; start < SIZE; start += 2 * half)
      for (uint32_t k = 0; k < half; k++) {
        double c = cosines[k * stride], s = direction * sines[k * stride];
        uint32_t a = start + k, b = a + half;
        double x = re[b] * c - im[b] * s, y = re[b] * s + im[b] * c;
        re[b] = re[a] - x, im[b] = im[a] - y;
        re[a] += x, im[a] += y;
      }
  }
}

uint64_t run(uint32_t n) {
  make_roots();
  random_t random = random_new(14);
  for (uint32_t i = 0; i < SIZE; i++) re[i] = random_unit(&random), im[i] = 0;
  for (uint32_t round = 0; round < n; round++) {
    transform(1);
    transform(-1);
    for (uint32_t i = 0; i < SIZE; i++) re[i] *= 1.0 / SIZE, im[i] *= 1.0 / SIZE;
  }
  uint64_t checksum = 0;
  for (uint32_t i = 0; i < SIZE; i++) checksum = mix_double(checksum, re[i]);
  return checksum;
}
