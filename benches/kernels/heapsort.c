// n: 150000
/* Heapsort of n doubles: data-dependent jumps through an array and float comparisons. */
#include "kernel.h"

enum { MAX = 1000000 };
static double values[MAX];

static void sink(uint32_t root, uint32_t count) {
  double held = values[root];
  for (uint32_t child; (child = 2 * root + 1) < count; root = child) {
    if (child + 1 < count && values[child + 1] > values[child]) child++;
    if (held >= values[child]) break;
    values[root] = values[child];
  }
  values[root] = held;
}

uint64_t run(uint32_t n) {
  if (n > MAX) n = MAX;
  random_t random = random_new(7);
  for (uint32_t i = 0; i < n; i++) values[i] = random_unit(&random);
  for (uint32_t i = n / 2; i-- > 0;) sink(i, n);
  for (uint32_t end = n; end-- > 1;) {
    double held = values[0];
    values[0] = values[end];
    values[end] = held;
    sink(0, end);
  }
  uint64_t checksum = 0;
  for (uint32_t i = 0; i < n; i++) checksum = mix_double(checksum, values[i]);
  return checksum;
}
