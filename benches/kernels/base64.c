// n: 40
/* Base64 there and back over 96 KiB, n times: byte loads and stores, shifts, table lookups. */
#include "kernel.h"

enum { SIZE = 98304 };
static uint8_t input[SIZE], decoded[SIZE], values[256];
static char text[SIZE / 3 * 4];
static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

uint64_t run(uint32_t n) {
  for (int i = 0; i < 64; i++) values[(uint8_t)alphabet[i]] = (uint8_t)i;
  random_t random = random_new(10);
  for (uint32_t i = 0; i < SIZE; i++) input[i] = (uint8_t)random_next(&random);
  uint64_t checksum = 0;
  for (uint32_t round = 0; round < n; round++) {
    char *out = text;
    for (uint32_t i = 0; i < SIZE; i += 3) {
      uint32_t group = (uint32_t)input[i] << 16 | (uint32_t)input[i + 1] << 8 | input[i + 2];
      *out++ = alphabet[group >> 18];
      *out++ = alphabet[group >> 12 & 63];
      *out++ = alphabet[group >> 6 & 63];
      *out++ = alphabet[group & 63];
    }
    const uint8_t *in = (const uint8_t *)text;
    for (uint32_t i = 0; i < SIZE; i += 3, in += 4) {
      uint32_t group = (uint32_t)values[in[0]] << 18 | (uint32_t)values[in[1]] << 12 | (uint32_t)values[in[2]] << 6 |
                       values[in[3]];
      decoded[i] = (uint8_t)(group >> 16);
      decoded[i + 1] = (uint8_t)(group >> 8);
      decoded[i + 2] = (uint8_t)group;
    }
    for (uint32_t i = 0; i < SIZE; i++)
      if (decoded[i] != input[i]) return 0;
    checksum = mix(checksum, (uint8_t)text[round]);
    input[round] = (uint8_t)checksum;
  }
  return checksum;
}
