// n: 64
/* CRC-32, one table lookup a byte, over n buffers of 64 KiB: a chain of dependent loads. */
#include "kernel.h"

static uint32_t table[256];
static uint8_t input[65536];

uint64_t run(uint32_t n) {
  for (uint32_t i = 0; i < 256; i++) {
    uint32_t crc = i;
    for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
    table[i] = crc;
  }
  random_t random = random_new(2);
  for (size_t i = 0; i < sizeof input; i++) input[i] = (uint8_t)random_next(&random);
  uint32_t crc = ~0u;
  for (uint32_t round = 0; round < n; round++)
    for (size_t i = 0; i < sizeof input; i++) crc = table[(crc ^ input[i]) & 255] ^ crc >> 8;
  return mix(0, ~crc);
}
