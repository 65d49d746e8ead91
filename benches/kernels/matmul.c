// n: 220
/* C = A·B for n×n doubles, in the order that walks rows: multiply-add at stride one, with 2-D indexing. */
#include "kernel.h"

enum { MAX = 256 };
static double a[MAX][MAX], b[MAX][MAX], c[MAX][MAX];

uint64_t run(uint32_t n) {
  if (n > MAX) n = MAX;
  random_t random = random_new(3);
  for (uint32_t i = 0; i < n; i++)
    for (uint32_t j = 0; j < n; j++) {
      a[i][j] = random_unit(&random);
      b[i][j] = random_unit(&random);
      c[i][j] = 0;
    }
  for (uint32_t i = 0; i < n; i++)
    for (uint32_t k = 0; k < n; k++) {
      double factor = a[i][k];
      for (uint32_t j = 0; j < n; j++) c[i][j] += factor * b[k][j];
    }
  uint64_t checksum = 0;
  for (uint32_t i = 0; i < n; i++)
    for (uint32_t j = 0; j < n; j++) checksum = mix_double(checksum, c[i][j]);
  return checksum;
}
