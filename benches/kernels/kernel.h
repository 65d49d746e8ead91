/* What every kernel shares: exact integer types, a random stream and a checksum.
 *
 * A kernel is one file with one entry, `uint64_t run(uint32_t n)`. It makes its own input, uses no library and keeps
 * nothing between two runs, so the same `n` gives the same checksum on every engine and natively. Its first lines say
 * how it is built and how large a run is:
 *
 *     // n: 300                 the argument of one timed run, 5 to 40 ms of native time
 *     // wasm-flags: -msimd128  more flags for the wasm build (optional)
 */
#ifndef KERNEL_H
#define KERNEL_H

#include <stddef.h>
#include <stdint.h>

__attribute__((visibility("default"))) uint64_t run(uint32_t n);

/* xorshift64*: the same numbers everywhere. */
typedef struct {
  uint64_t state;
} random_t;

static inline random_t random_new(uint64_t seed) {
  random_t random = {seed * 2 + 1};
  return random;
}

static inline uint32_t random_next(random_t *random) {
  uint64_t x = random->state;
  x ^= x >> 12;
  x ^= x << 25;
  x ^= x >> 27;
  random->state = x;
  return (uint32_t)((x * 0x2545f4914f6cdd1dull) >> 32);
}

/* A number in 0..1. */
static inline double random_unit(random_t *random) { return random_next(random) * (1.0 / 4294967296.0); }

static inline uint64_t mix(uint64_t checksum, uint64_t value) {
  checksum = (checksum ^ value) * 0x9e3779b97f4a7c15ull;
  return checksum ^ (checksum >> 29);
}

/* The exact bits of a float: kernels use only operations that IEEE 754 defines to the last bit. */
static inline uint64_t mix_double(uint64_t checksum, double value) {
  union {
    double number;
    uint64_t bits;
  } as = {value};
  return mix(checksum, as.bits);
}

#endif
