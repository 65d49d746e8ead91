// n: 40
/* ChaCha20 key stream, n times 64 KiB: sixteen live 32-bit words, which no x86-64 register file holds. */
#include "kernel.h"

static uint32_t stream[16384];

#define QUARTER(a, b, c, d)                                                  \
  a += b, d = (d ^ a) << 16 | (d ^ a) >> 16, c += d, b = (b ^ c) << 12 | (b ^ c) >> 20, \
  a += b, d = (d ^ a) << 8 | (d ^ a) >> 24, c += d, b = (b ^ c) << 7 | (b ^ c) >> 25

static void block(const uint32_t in[16], uint32_t out[16]) {
  uint32_t x[16];
  for (int i = 0; i < 16; i++) x[i] = in[i];
  for (int round = 0; round < 10; round++) {
    QUARTER(x[0], x[4], x[8], x[12]);
    QUARTER(x[1], x[5], x[9], x[13]);
    QUARTER(x[2], x[6], x[10], x[14]);
    QUARTER(x[3], x[7], x[11], x[15]);
    QUARTER(x[0], x[5], x[10], x[15]);
    QUARTER(x[1], x[6], x[11], x[12]);
    QUARTER(x[2], x[7], x[8], x[13]);
    QUARTER(x[3], x[4], x[9], x[14]);
  }
  for (int i = 0; i < 16; i++) out[i] = x[i] + in[i];
}

uint64_t run(uint32_t n) {
  uint32_t state[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
  for (uint32_t i = 4; i < 16; i++) state[i] = i * 0x01010101;
  uint64_t checksum = 0;
  for (uint32_t round = 0; round < n; round++) {
    for (size_t at = 0; at < 16384; at += 16) {
      block(state, stream + at);
      state[12]++;
    }
    checksum = mix(checksum, stream[round & 16383]);
  }
  return checksum;
}
