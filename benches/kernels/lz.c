// n: 12
/* LZ77 with a hash table of positions: compresses 128 KiB of text-like data and expands it again, n times. */
#include "kernel.h"

enum { SIZE = 131072, HASH_BITS = 13 };
static uint8_t input[SIZE + 8], output[SIZE + 8], packed[SIZE * 2];
static uint32_t last_seen[1 << HASH_BITS];

static inline uint32_t word_at(const uint8_t *at) {
  return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

/* Token: 0 and a byte, or a length of 4 to 255 and a distance in two bytes. */
static uint32_t compress(void) {
  uint32_t out = 0;
  for (uint32_t i = 0; i < 1 << HASH_BITS; i++) last_seen[i] = 0;
  for (uint32_t at = 0; at < SIZE;) {
    uint32_t word = word_at(input + at);
    uint32_t *slot = &last_seen[word * 2654435761u >> (32 - HASH_BITS)];
    uint32_t candidate = *slot;
    *slot = at;
    uint32_t match = 0;
    if (candidate < at && at - candidate < 65536 && word_at(input + candidate) == word)
      while (match < 255 && at + match < SIZE && input[candidate + match] == input[at + match]) match++;
    if (match >= 4) {
      uint32_t distance = at - candidate;
      packed[out++] = (uint8_t)match;
      packed[out++] = (uint8_t)distance;
      packed[out++] = (uint8_t)(distance >> 8);
      at += match;
    } else {
      packed[out++] = 0;
      packed[out++] = input[at++];
    }
  }
  return out;
}

static void expand(uint32_t count) {
  uint32_t at = 0;
  for (uint32_t in = 0; in < count;) {
    uint32_t match = packed[in++];
    if (match == 0) {
      output[at++] = packed[in++];
      continue;
    }
    uint32_t distance = packed[in] | (uint32_t)packed[in + 1] << 8;
    in += 2;
    for (; match > 0; match--, at++) output[at] = output[at - distance];
  }
}

uint64_t run(uint32_t n) {
  static const char *words[16] = {"ampoule ", "seal ",  "glass ", "store ", "the ", "of ",   "and ",  "memory ",
                                  "guest ",   "host, ", "table ", "call ",  "fuel ", "epoch ", "trap.\n", "a "};
  random_t random = random_new(9);
  uint64_t checksum = 0;
  for (uint32_t round = 0; round < n; round++) {
    for (uint32_t at = 0; at < SIZE;) {
      uint32_t r = random_next(&random);
      for (const char *c = words[r & 15]; *c && at < SIZE; c++) input[at++] = (uint8_t)*c;
      if ((r >> 8 & 15) == 0 && at < SIZE) input[at++] = (uint8_t)(r >> 16);
    }
    uint32_t bytes = compress();
    expand(bytes);
    for (uint32_t i = 0; i < SIZE; i++)
      if (input[i] != output[i]) return 0;
    checksum = mix(checksum, bytes);
  }
  return checksum;
}
