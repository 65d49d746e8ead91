// n: 200000
/* SipHash-2-4 of n short keys: 64-bit adds, xors and rotates with no memory traffic to speak of. */
#include "kernel.h"

typedef struct {
  uint64_t v0, v1, v2, v3;
} sip_t;

static inline uint64_t rotate_left(uint64_t x, int by) { return x << by | x >> (64 - by); }

static inline void sip_round(sip_t *s) {
  s->v0 += s->v1, s->v1 = rotate_left(s->v1, 13) ^ s->v0, s->v0 = rotate_left(s->v0, 32);
  s->v2 += s->v3, s->v3 = rotate_left(s->v3, 16) ^ s->v2;
  s->v0 += s->v3, s->v3 = rotate_left(s->v3, 21) ^ s->v0;
  s->v2 += s->v1, s->v1 = rotate_left(s->v1, 17) ^ s->v2, s->v2 = rotate_left(s->v2, 32);
}

static uint64_t siphash(uint64_t k0, uint64_t k1, const uint64_t *words, uint32_t count) {
  sip_t s = {k0 ^ 0x736f6d6570736575ull, k1 ^ 0x646f72616e646f6dull, k0 ^ 0x6c7967656e657261ull,
             k1 ^ 0x7465646279746573ull};
  for (uint32_t i = 0; i <= count; i++) {
    uint64_t word = i < count ? words[i] : (uint64_t)count << 59;
    s.v3 ^= word;
    sip_round(&s), sip_round(&s);
    s.v0 ^= word;
  }
  s.v2 ^= 0xff;
  for (int i = 0; i < 4; i++) sip_round(&s);
  return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

uint64_t run(uint32_t n) {
  uint64_t words[5] = {1, 2, 3, 4, 5};
  uint64_t checksum = 0;
  for (uint32_t i = 0; i < n; i++) {
    words[i % 5] += checksum + i;
    checksum = siphash(i, ~(uint64_t)i, words, 1 + i % 5);
  }
  return mix(checksum, n);
}
