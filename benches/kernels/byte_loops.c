// n: 300
/* The loops that a small libc has, one byte a turn, over 32 KiB: find, length, compare, count, copy both ways, fill. */
#include "kernel.h"

enum { SIZE = 32768 };
static uint8_t from[SIZE + 1], to[SIZE + 1];

/* Written so that clang makes no `memory.copy` or `memory.fill` of them. */
#define LOOP static __attribute__((noinline, no_builtin))

LOOP uint32_t find(const uint8_t *at, uint8_t byte, uint32_t length) {
  for (uint32_t i = 0; i < length; i++)
    if (at[i] == byte) return i;
  return length;
}
LOOP uint32_t length_of(const uint8_t *text) {
  const uint8_t *at = text;
  while (*at) at++;
  return (uint32_t)(at - text);
}
LOOP int32_t compare(const uint8_t *a, const uint8_t *b, uint32_t length) {
  for (; length > 0; length--, a++, b++)
    if (*a != *b) return *a - *b;
  return 0;
}
LOOP uint32_t count(const uint8_t *at, uint8_t byte, uint32_t length) {
  uint32_t found = 0;
  for (uint32_t i = 0; i < length; i++) found += at[i] == byte;
  return found;
}
LOOP void copy(uint8_t *to, const uint8_t *from, uint32_t length) {
  while (length--) *to++ = *from++;
}
LOOP void copy_back(uint8_t *to, const uint8_t *from, uint32_t length) {
  while (length-- > 0) to[length] = from[length];
}
LOOP void fill(uint8_t *to, uint8_t byte, uint32_t length) {
  for (uint32_t i = 0; i < length; i++) to[i] = byte;
}
LOOP void invert(uint8_t *to, uint32_t length) {
  for (uint32_t i = 0; i < length; i++) to[i] ^= 0x20;
}

uint64_t run(uint32_t n) {
  random_t random = random_new(38);
  for (int i = 0; i < SIZE; i++) from[i] = (uint8_t)(random_next(&random) % 200 + 1);
  uint64_t checksum = 0;
  for (uint32_t round = 0; round < n; round++) {
    from[SIZE / 2 + round % 1000] = 255;
    fill(to, (uint8_t)round | 1, SIZE);
    copy(to, from, SIZE);
    checksum = mix(checksum, (uint32_t)compare(from, to, SIZE));
    copy_back(to + 3, to, SIZE - 3);
    invert(to, SIZE);
    checksum = mix(checksum, find(from, 255, SIZE));
    checksum = mix(checksum, length_of(to));
    checksum = mix(checksum, count(to, (uint8_t)round, SIZE));
    checksum = mix(checksum, (uint32_t)compare(from, to, SIZE));
    /* Short ones, as most are. */
    for (uint32_t at = 0; at + 32 < SIZE; at += 24) {
      copy(to + at, from + SIZE - at - 24, at % 24);
      checksum += find(to + at, 7, 20);
    }
  }
  return mix(checksum, to[100]);
}
