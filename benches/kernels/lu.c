// n: 320
/* LU decomposition with partial pivoting of an n×n matrix: float division, comparisons and row swaps through pointers. */
#include "kernel.h"

enum { MAX = 384 };
static double cells[MAX * MAX];
static double *rows[MAX];

uint64_t run(uint32_t n) {
  if (n > MAX) n = MAX;
  random_t random = random_new(4);
  for (uint32_t i = 0; i < n; i++) {
    rows[i] = cells + i * MAX;
    for (uint32_t j = 0; j < n; j++) rows[i][j] = random_unit(&random) - 0.5;
  }
  for (uint32_t k = 0; k < n; k++) {
    uint32_t pivot = k;
    for (uint32_t i = k + 1; i < n; i++)
      if (__builtin_fabs(rows[i][k]) > __builtin_fabs(rows[pivot][k])) pivot = i;
    double *row = rows[pivot];
    rows[pivot] = rows[k];
    rows[k] = row;
    for (uint32_t i = k + 1; i < n; i++) {
      double *target = rows[i];
      double factor = target[k] / row[k];
      target[k] = factor;
      for (uint32_t j = k + 1; j < n; j++) target[j] -= factor * row[j];
    }
  }
  uint64_t checksum = 0;
  for (uint32_t i = 0; i < n; i++)
    for (uint32_t j = 0; j < n; j++) checksum = mix_double(checksum, rows[i][j]);
  return checksum;
}
