// n: 50
/* SHA-3 with 256 bits over 64 KiB, n times: 25 lanes of 64 bits, rotations and exclusive ors, more than registers hold. */
#include "kernel.h"

enum { RATE = 136, SIZE = 65536 };
static uint8_t input[SIZE];

static inline uint64_t rotate(uint64_t x, int by) { return by ? x << by | x >> (64 - by) : x; }

/* Round constants come from a shift register of eight bits, which says for each power of two whether its bit is set. */
static void make_constants(uint64_t constants[24]) {
  uint32_t state = 1;
  for (int round = 0; round < 24; round++) {
    constants[round] = 0;
    for (int power = 0; power < 7; power++) {
      if (state & 1) constants[round] ^= 1ull << ((1 << power) - 1);
      state = state << 1 ^ (state & 128 ? 0x171 : 0);
    }
  }
}

static void permute(uint64_t a[25], const uint64_t constants[24]) {
  static const uint8_t shifts[25] = {0,  1,  62, 28, 27, 36, 44, 6,  55, 20, 3,  10, 43,
                                     25, 39, 41, 45, 15, 21, 8,  18, 2,  61, 56, 14};
  for (int round = 0; round < 24; round++) {
    uint64_t column[5], b[25];
    for (int x = 0; x < 5; x++) column[x] = a[x] ^ a[x + 5] ^ a[x + 10] ^ a[x + 15] ^ a[x + 20];
#pragma clang loop unroll(full)
    for (int x = 0; x < 5; x++) {
      uint64_t d = column[(x + 4) % 5] ^ rotate(column[(x + 1) % 5], 1);
#pragma clang loop unroll(full)
      for (int y = 0; y < 5; y++) b[y + (2 * x + 3 * y) % 5 * 5] = rotate(a[x + 5 * y] ^ d, shifts[x + 5 * y]);
    }
#pragma clang loop unroll(full)
    for (int y = 0; y < 25; y += 5)
#pragma clang loop unroll(full)
      for (int x = 0; x < 5; x++) a[x + y] = b[x + y] ^ (~b[(x + 1) % 5 + y] & b[(x + 2) % 5 + y]);
    a[0] ^= constants[round];
  }
}

static uint64_t lane(const uint8_t *bytes) {
  uint64_t word = 0;
  for (int i = 0; i < 8; i++) word |= (uint64_t)bytes[i] << 8 * i;
  return word;
}

uint64_t run(uint32_t n) {
  uint64_t constants[24], state[25] = {0};
  make_constants(constants);
  random_t random = random_new(32);
  for (int i = 0; i < SIZE; i++) input[i] = (uint8_t)random_next(&random);
  uint64_t checksum = 0;
  for (uint32_t round = 0; round < n; round++) {
    int at = 0;
    for (int i = 0; i < 25; i++) state[i] = 0;
    for (; at + RATE <= SIZE; at += RATE) {
      for (int i = 0; i < RATE / 8; i++) state[i] ^= lane(input + at + 8 * i);
      permute(state, constants);
    }
    uint8_t last[RATE] = {0};
    for (int i = 0; at + i < SIZE; i++) last[i] = input[at + i];
    last[SIZE - at] = 6;
    last[RATE - 1] |= 128;
    for (int i = 0; i < RATE / 8; i++) state[i] ^= lane(last + 8 * i);
    permute(state, constants);
    for (int i = 0; i < 4; i++) checksum = mix(checksum, state[i]);
    input[0]++;
  }
  return checksum;
}
