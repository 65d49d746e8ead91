// n: 200000
/* Quicksort of n numbers, recursive with an insertion sort at the leaves: unpredictable branches and deep calls. */
#include "kernel.h"

enum { MAX = 1000000 };
static uint32_t values[MAX];

static void sort(uint32_t *from, uint32_t *last) {
  while (last - from > 16) {
    uint32_t *middle = from + (last - from) / 2;
    uint32_t low = *from, centre = *middle, high = *last;
    uint32_t pivot = low < centre ? (centre < high ? centre : low < high ? high : low)
                                  : (low < high ? low : centre < high ? high : centre);
    uint32_t *i = from, *j = last;
    while (i <= j) {
      while (*i < pivot) i++;
      while (*j > pivot) j--;
      if (i <= j) {
        uint32_t held = *i;
        *i++ = *j;
        *j-- = held;
      }
    }
    sort(from, j);
    from = i;
  }
  for (uint32_t *i = from + 1; i <= last; i++) {
    uint32_t held = *i, *j = i;
    for (; j > from && j[-1] > held; j--) *j = j[-1];
    *j = held;
  }
}

uint64_t run(uint32_t n) {
  if (n > MAX) n = MAX;
  if (n == 0) return 0;
  random_t random = random_new(6);
  for (uint32_t i = 0; i < n; i++) values[i] = random_next(&random);
  sort(values, values + n - 1);
  uint64_t checksum = 0;
  for (uint32_t i = 0; i < n; i++) checksum = mix(checksum, values[i]);
  return checksum;
}
