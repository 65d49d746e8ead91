// n: 120
/* Adler-32, Fletcher-32, the internet checksum and a sum of squares over 64 KiB, n times. */
#include "kernel.h"

enum { SIZE = 65536 };
static uint8_t input[SIZE];

static uint32_t adler(void) {
  uint32_t a = 1, b = 0;
  for (uint32_t at = 0; at < SIZE;) {
    /* As many bytes as fit before `b` could overflow. */
    uint32_t end = at + 5552 < SIZE ? at + 5552 : SIZE;
    for (; at < end; at++) a += input[at], b += a;
    a %= 65521;
    b %= 65521;
  }
  return b << 16 | a;
}

static uint32_t fletcher(void) {
  uint32_t a = 0xffff, b = 0xffff;
  for (uint32_t at = 0; at < SIZE; at += 2) {
    a += input[at] | (uint32_t)input[at + 1] << 8;
    b += a;
    if ((at & 510) == 510) {
      a = (a & 0xffff) + (a >> 16);
      b = (b & 0xffff) + (b >> 16);
    }
  }
  a = (a & 0xffff) + (a >> 16), b = (b & 0xffff) + (b >> 16);
  return b << 16 | a;
}

static uint32_t internet(void) {
  uint64_t sum = 0;
  for (uint32_t at = 0; at < SIZE; at += 2) sum += (uint32_t)input[at] << 8 | input[at + 1];
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return (uint32_t)~sum & 0xffff;
}

static uint64_t squares(void) {
  uint64_t sum = 0;
  for (uint32_t at = 0; at < SIZE; at++) sum += (uint32_t)input[at] * input[at];
  return sum;
}

uint64_t run(uint32_t n) {
  random_t random = random_new(39);
  for (int i = 0; i < SIZE; i++) input[i] = (uint8_t)random_next(&random);
  uint64_t checksum = 0;
  for (uint32_t round = 0; round < n; round++) {
    checksum = mix(checksum, (uint64_t)adler() << 32 | fletcher());
    checksum = mix(checksum, internet() + squares());
    input[round] += 77;
  }
  return checksum;
}
