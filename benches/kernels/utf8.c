// n: 20
/* Validates and counts 128 KiB of UTF-8 in four scripts, n times: classification of bytes, mostly predictable branches. */
#include "kernel.h"

enum { SIZE = 131072 };
static uint8_t text[SIZE];

static uint32_t encode(uint32_t c, uint8_t *out) {
  if (c < 0x80) return out[0] = (uint8_t)c, 1;
  if (c < 0x800) return out[0] = (uint8_t)(0xc0 | c >> 6), out[1] = (uint8_t)(0x80 | (c & 63)), 2;
  if (c < 0x10000)
    return out[0] = (uint8_t)(0xe0 | c >> 12), out[1] = (uint8_t)(0x80 | (c >> 6 & 63)), out[2] = (uint8_t)(0x80 | (c & 63)), 3;
  out[0] = (uint8_t)(0xf0 | c >> 18), out[1] = (uint8_t)(0x80 | (c >> 12 & 63));
  out[2] = (uint8_t)(0x80 | (c >> 6 & 63)), out[3] = (uint8_t)(0x80 | (c & 63));
  return 4;
}

/* How many characters there are, or -1 when the text is not UTF-8 (overlong, surrogate, out of range, cut). */
static int32_t count(const uint8_t *at, const uint8_t *end) {
  int32_t characters = 0;
  for (; at < end; characters++) {
    uint32_t c = *at++, follow, least;
    if (c < 0x80) continue;
    if (c >= 0xc2 && c < 0xe0)
      follow = 1, least = 0x80, c &= 31;
    else if (c >= 0xe0 && c < 0xf0)
      follow = 2, least = 0x800, c &= 15;
    else if (c >= 0xf0 && c < 0xf5)
      follow = 3, least = 0x10000, c &= 7;
    else
      return -1;
    if ((uint32_t)(end - at) < follow) return -1;
    for (; follow; follow--, at++) {
      if ((*at & 0xc0) != 0x80) return -1;
      c = c << 6 | (*at & 63);
    }
    if (c < least || c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) return -1;
  }
  return characters;
}

uint64_t run(uint32_t n) {
  random_t random = random_new(18);
  uint32_t used = 0;
  while (used + 4 <= SIZE) {
    uint32_t r = random_next(&random), script = r >> 24 & 15;
    uint32_t c = script < 10 ? ' ' + r % 95 : script < 13 ? 0x400 + r % 256 : script < 15 ? 0x4e00 + r % 8192 : 0x1f600 + r % 64;
    used += encode(c, text + used);
  }
  uint64_t checksum = 0;
  for (uint32_t round = 0; round < n; round++) {
    uint32_t at = (round * 2003) % used;
    uint8_t held = text[at];
    if (round & 1) text[at] = (uint8_t)(round | 0x80);
    checksum = mix(checksum, (uint64_t)count(text, text + used));
    text[at] = held;
  }
  return checksum;
}
