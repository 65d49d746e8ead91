// n: 3
/* LZ77 as in the textbook: the longest match within a window of 512 bytes is looked for at each of 24 KiB, n times. */
#include "kernel.h"

enum { SIZE = 24576, WINDOW = 512, LONGEST = 66 };
static uint8_t input[SIZE + LONGEST], tokens[SIZE * 2];

typedef struct {
  uint32_t distance, length;
} match_t;

static uint32_t match_length(const uint8_t *a, const uint8_t *b, uint32_t most) {
  uint32_t length = 0;
  while (length < most && a[length] == b[length]) length++;
  return length;
}

static match_t longest_match(uint32_t at) {
  match_t best = {0, 0};
  uint32_t most = SIZE - at < LONGEST ? SIZE - at : LONGEST;
  for (uint32_t from = at > WINDOW ? at - WINDOW : 0; from < at; from++) {
    uint32_t length = match_length(input + from, input + at, most);
    if (length > best.length) best = (match_t){at - from, length};
  }
  return best;
}

uint64_t run(uint32_t n) {
  static const char *const words[8] = {"sand ", "melts ", "into glass", ", ", "the flame ", "is blue", ". ", "seal"};
  random_t random = random_new(47);
  uint64_t checksum = 0;
  for (uint32_t round = 0; round < n; round++) {
    for (uint32_t at = 0; at < SIZE;) {
      uint32_t r = random_next(&random);
      for (const char *c = words[r & 7]; *c && at < SIZE; c++) input[at++] = (uint8_t)*c;
      if ((r >> 8 & 7) == 0 && at < SIZE) input[at++] = (uint8_t)(r >> 16);
    }
    uint32_t out = 0;
    for (uint32_t at = 0; at < SIZE;) {
      match_t match = longest_match(at);
      if (match.length < 3) {
        tokens[out++] = input[at++];
        continue;
      }
      tokens[out++] = (uint8_t)(match.distance >> 8 | 128);
      tokens[out++] = (uint8_t)match.distance;
      tokens[out++] = (uint8_t)match.length;
      at += match.length;
    }
    for (uint32_t i = 0; i < out; i++) checksum = mix(checksum, tokens[i]);
  }
  return checksum;
}
