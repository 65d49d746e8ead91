// n: 300
/* Power iteration on the infinite matrix 1/((i+j)(i+j+1)/2+i+1): integer to float conversion and division in every step. */
#include "kernel.h"

enum { MAX = 1024 };
static double u[MAX], v[MAX], scratch[MAX];

static inline double cell(uint32_t i, uint32_t j) { return 1.0 / ((i + j) * (i + j + 1) / 2 + i + 1); }

static void times(uint32_t n, const double *in, double *out) {
  for (uint32_t i = 0; i < n; i++) {
    double sum = 0;
    for (uint32_t j = 0; j < n; j++) sum += cell(i, j) * in[j];
    out[i] = sum;
  }
}

static void times_transposed(uint32_t n, const double *in, double *out) {
  for (uint32_t i = 0; i < n; i++) {
    double sum = 0;
    for (uint32_t j = 0; j < n; j++) sum += cell(j, i) * in[j];
    out[i] = sum;
  }
}

uint64_t run(uint32_t n) {
  if (n > MAX) n = MAX;
  for (uint32_t i = 0; i < n; i++) u[i] = 1;
  for (int round = 0; round < 5; round++) {
    times(n, u, scratch), times_transposed(n, scratch, v);
    times(n, v, scratch), times_transposed(n, scratch, u);
  }
  double uv = 0, vv = 0;
  for (uint32_t i = 0; i < n; i++) uv += u[i] * v[i], vv += v[i] * v[i];
  return mix_double(0, __builtin_sqrt(uv / vv));
}
