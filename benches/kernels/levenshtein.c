// n: 2400
/* Edit distance between two strings of n letters: one row of dynamic programming, minimum of three. */
#include "kernel.h"

enum { MAX = 8192 };
static uint8_t a[MAX], b[MAX];
static uint32_t row[MAX + 1];

uint64_t run(uint32_t n) {
  if (n > MAX) n = MAX;
  random_t random = random_new(12);
  for (uint32_t i = 0; i < n; i++) {
    a[i] = (uint8_t)(random_next(&random) % 6);
    b[i] = random_next(&random) % 4 ? a[i] : (uint8_t)(random_next(&random) % 6);
  }
  for (uint32_t j = 0; j <= n; j++) row[j] = j;
  for (uint32_t i = 1; i <= n; i++) {
    uint32_t diagonal = row[0];
    row[0] = i;
    for (uint32_t j = 1; j <= n; j++) {
      uint32_t best = diagonal + (a[i - 1] != b[j - 1]);
      if (row[j] + 1 < best) best = row[j] + 1;
      if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
      diagonal = row[j];
      row[j] = best;
    }
  }
  uint64_t checksum = 0;
  for (uint32_t j = 0; j <= n; j++) checksum = mix(checksum, row[j]);
  return checksum;
}
