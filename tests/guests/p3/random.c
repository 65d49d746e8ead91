/* wasi:random/random, insecure and insecure-seed of 0.3: bytes that were never there before.
 *
 * sync: all
 */
#include "command.h"

enum { MANY = 4096 };

typedef void get_bytes_t(uint64_t most, guest_list_u8_t *bytes);

/* A list may be shorter than what is asked for, but only that of nothing is empty. */
static void bytes_differ(get_bytes_t *get) {
  guest_list_u8_t none, a, b;
  get(0, &none);
  CLAIM(none.len == 0);
  get(MANY, &a);
  get(MANY, &b);
  NEED(a.len >= 32 && a.len <= MANY && b.len >= 32 && b.len <= MANY);
  CLAIM(memcmp(a.ptr, b.ptr, 32) != 0);
  int ones = 0;
  for (size_t i = 0; i < a.len; i++) ones += __builtin_popcount(a.ptr[i]);
  CLAIM(ones > (int)a.len * 3 && ones < (int)a.len * 5);
  guest_list_u8_free(&none);
  guest_list_u8_free(&a);
  guest_list_u8_free(&b);
}

static void numbers_differ(uint64_t get(void)) {
  uint64_t all = UINT64_MAX, any = 0;
  for (int i = 0; i < 100; i++) {
    uint64_t next = get();
    all &= next;
    any |= next;
  }
  /* Each of the 64 bits was once set and once not. */
  CLAIM(all == 0 && any == UINT64_MAX);
}

static void program(void) {
  bytes_differ(random_get_random_bytes);
  bytes_differ(insecure_get_insecure_random_bytes);
  numbers_differ(random_get_random_u64);
  numbers_differ(insecure_get_insecure_random_u64);
  guest_tuple2_u64_u64_t seed;
  insecure_seed_get_insecure_seed(&seed);
  CLAIM((seed.f0 | seed.f1) != 0);
}
