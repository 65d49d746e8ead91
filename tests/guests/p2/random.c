/* wasi:random/random, insecure and insecure-seed: as many bytes as were asked for, and not the same ones again. */
#include "claims.h"

enum { MANY = 4096 };

typedef void get_bytes_t(uint64_t length, guest_list_u8_t *bytes);

static void bytes_differ(get_bytes_t *get) {
  guest_list_u8_t none, a, b;
  get(0, &none);
  CLAIM(none.len == 0);
  get(MANY, &a);
  get(MANY, &b);
  NEED(a.len == MANY && b.len == MANY);
  CLAIM(memcmp(a.ptr, b.ptr, MANY) != 0);
  int ones = 0;
  for (size_t i = 0; i < MANY; i++) ones += __builtin_popcount(a.ptr[i]) + __builtin_popcount(b.ptr[i]);
  /* Half of 65,536, give or take eight standard deviations. */
  CLAIM(ones > 32768 - 1024 && ones < 32768 + 1024);
  guest_list_u8_free(&none);
  guest_list_u8_free(&a);
  guest_list_u8_free(&b);
}

static void numbers_differ(uint64_t get(void)) {
  uint64_t first = get(), all = first, any = first;
  bool same = true;
  for (int i = 0; i < 100; i++) {
    uint64_t next = get();
    same = same && next == first;
    all &= next;
    any |= next;
  }
  CLAIM(!same);
  /* Each of the 64 bits was once set and once not. */
  CLAIM(all == 0 && any == UINT64_MAX);
}

int main(void) {
  bytes_differ(random_get_random_bytes);
  bytes_differ(insecure_get_insecure_random_bytes);
  numbers_differ(random_get_random_u64);
  numbers_differ(insecure_get_insecure_random_u64);
  guest_tuple2_u64_u64_t seed;
  insecure_seed_insecure_seed(&seed);
  CLAIM((seed.f0 | seed.f1) != 0);
  return claims_result();
}
