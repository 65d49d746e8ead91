// n: 100000
/* FNV-1a, and hashes of the multiply-and-rotate kind with 32 and 64 bits, over n keys of 4 to 67 bytes. */
#include "kernel.h"

static uint8_t keys[4096 + 128];

static inline uint32_t rotate32(uint32_t x, int by) { return x << by | x >> (32 - by); }
static inline uint64_t rotate64(uint64_t x, int by) { return x << by | x >> (64 - by); }
static inline uint32_t load32(const uint8_t *at) { return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24; }
static inline uint64_t load64(const uint8_t *at) { return load32(at) | (uint64_t)load32(at + 4) << 32; }

static uint32_t fnv(const uint8_t *key, uint32_t length) {
  uint32_t hash = 2166136261u;
  for (uint32_t i = 0; i < length; i++) hash = (hash ^ key[i]) * 16777619u;
  return hash;
}

static uint32_t hash32(const uint8_t *key, uint32_t length) {
  uint32_t hash = length;
  uint32_t at = 0;
  for (; at + 4 <= length; at += 4) {
    uint32_t word = load32(key + at) * 0xcc9e2d51u;
    hash ^= rotate32(word, 15) * 0x1b873593u;
    hash = rotate32(hash, 13) * 5 + 0xe6546b64u;
  }
  uint32_t tail = 0;
  for (; at < length; at++) tail = tail << 8 | key[at];
  hash ^= rotate32(tail * 0xcc9e2d51u, 15) * 0x1b873593u;
  hash = (hash ^ hash >> 16) * 0x85ebca6bu;
  return hash ^ hash >> 13;
}

static uint64_t hash64(const uint8_t *key, uint32_t length) {
  const uint64_t p1 = 0x9e3779b185ebca87ull, p2 = 0xc2b2ae3d27d4eb4full;
  uint64_t lane[4] = {p1 + p2, p2, 0, 0 - p1};
  uint32_t at = 0;
  for (; at + 32 <= length; at += 32)
    for (int i = 0; i < 4; i++) lane[i] = rotate64(lane[i] + load64(key + at + 8 * i) * p2, 31) * p1;
  uint64_t hash = rotate64(lane[0], 1) + rotate64(lane[1], 7) + rotate64(lane[2], 12) + rotate64(lane[3], 18) + length;
  for (; at + 8 <= length; at += 8) hash = rotate64(hash ^ rotate64(load64(key + at) * p2, 31) * p1, 27) * p1 + p2;
  for (; at < length; at++) hash = rotate64(hash ^ key[at] * p1, 11) * p2;
  hash = (hash ^ hash >> 33) * p2;
  return hash ^ hash >> 29;
}

uint64_t run(uint32_t n) {
  random_t random = random_new(44);
  for (size_t i = 0; i < sizeof keys; i++) keys[i] = (uint8_t)random_next(&random);
  uint64_t checksum = 0;
  for (uint32_t i = 0; i < n; i++) {
    uint32_t r = random_next(&random), length = 4 + (r & 63);
    const uint8_t *key = keys + (r >> 8 & 4095);
    checksum ^= hash64(key, length) + ((uint64_t)fnv(key, length) << 32 | hash32(key, length));
  }
  return checksum;
}
