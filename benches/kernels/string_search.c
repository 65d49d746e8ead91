// n: 24
/* n searches (Horspool, and a plain scan with comparison) through 256 KiB: byte compares and data-driven skips. */
#include "kernel.h"

enum { SIZE = 262144 };
static uint8_t text[SIZE];

static uint32_t horspool(const uint8_t *needle, uint32_t length) {
  uint8_t skip[256];
  for (int i = 0; i < 256; i++) skip[i] = (uint8_t)length;
  for (uint32_t i = 0; i + 1 < length; i++) skip[needle[i]] = (uint8_t)(length - 1 - i);
  uint32_t found = 0;
  for (uint32_t at = 0; at + length <= SIZE; at += skip[text[at + length - 1]]) {
    uint32_t i = length;
    while (i > 0 && text[at + i - 1] == needle[i - 1]) i--;
    found += i == 0;
  }
  return found;
}

static uint32_t scan(const uint8_t *needle, uint32_t length) {
  uint32_t found = 0;
  for (uint32_t at = 0; at + length <= SIZE; at++) {
    uint32_t i = 0;
    while (i < length && text[at + i] == needle[i]) i++;
    found += i == length;
  }
  return found;
}

uint64_t run(uint32_t n) {
  random_t random = random_new(20);
  for (uint32_t i = 0; i < SIZE; i++) text[i] = (uint8_t)('a' + random_next(&random) % 7);
  uint64_t checksum = 0;
  for (uint32_t round = 0; round < n; round++) {
    uint8_t needle[16];
    uint32_t length = 3 + round % 10, from = random_next(&random) % (SIZE - 16);
    for (uint32_t i = 0; i < length; i++) needle[i] = text[from + i];
    checksum = mix(checksum, round % 4 ? horspool(needle, length) : scan(needle, length));
  }
  return checksum;
}
