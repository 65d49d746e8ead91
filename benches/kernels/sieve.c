// n: 3000000
/* Primes below n by the sieve of Eratosthenes: strided byte stores over more memory than the first caches hold. */
#include "kernel.h"

enum { MAX = 4000000 };
static uint8_t composite[MAX];

uint64_t run(uint32_t n) {
  if (n > MAX) n = MAX;
  for (uint32_t i = 0; i < n; i++) composite[i] = 0;
  for (uint32_t i = 2; i * i < n; i++)
    if (!composite[i])
      for (uint32_t j = i * i; j < n; j += i) composite[j] = 1;
  uint64_t checksum = 0;
  uint32_t count = 0;
  for (uint32_t i = 2; i < n; i++)
    if (!composite[i] && ++count % 64 == 0) checksum = mix(checksum, i);
  return mix(checksum, count);
}
