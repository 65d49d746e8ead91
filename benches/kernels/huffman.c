// n: 5
/* Huffman coding of 128 KiB, and decoding it again, n times: heaps, bit shifting and a walk down a tree per symbol. */
#include "kernel.h"

enum { SIZE = 131072, SYMBOLS = 256 };
static uint8_t input[SIZE], output[SIZE], packed[SIZE * 4];
static uint32_t weight[2 * SYMBOLS];
static uint16_t parent[2 * SYMBOLS], child[2 * SYMBOLS][2], heap[2 * SYMBOLS];
static uint32_t code[SYMBOLS];
static uint8_t length[SYMBOLS];

static uint32_t heap_count;

static void push(uint16_t node) {
  uint32_t at = heap_count++;
  for (; at && weight[heap[(at - 1) / 2]] > weight[node]; at = (at - 1) / 2) heap[at] = heap[(at - 1) / 2];
  heap[at] = node;
}

static uint16_t pop(void) {
  uint16_t least = heap[0], moved = heap[--heap_count];
  uint32_t at = 0;
  for (uint32_t next; (next = 2 * at + 1) < heap_count; at = next) {
    if (next + 1 < heap_count && weight[heap[next + 1]] < weight[heap[next]]) next++;
    if (weight[moved] <= weight[heap[next]]) break;
    heap[at] = heap[next];
  }
  heap[at] = moved;
  return least;
}

static uint16_t build_tree(void) {
  heap_count = 0;
  for (uint32_t i = 0; i < SYMBOLS; i++) weight[i] = 1;
  for (uint32_t i = 0; i < SIZE; i++) weight[input[i]]++;
  for (uint16_t i = 0; i < SYMBOLS; i++) push(i);
  uint16_t next = SYMBOLS;
  while (heap_count > 1) {
    uint16_t a = pop(), b = pop();
    weight[next] = weight[a] + weight[b];
    child[next][0] = a, child[next][1] = b;
    parent[a] = parent[b] = next;
    push(next++);
  }
  uint16_t root = pop();
  for (uint16_t symbol = 0; symbol < SYMBOLS; symbol++) {
    code[symbol] = length[symbol] = 0;
    for (uint16_t node = symbol; node != root; node = parent[node])
      code[symbol] |= (uint32_t)(child[parent[node]][1] == node) << length[symbol]++;
  }
  return root;
}

uint64_t run(uint32_t n) {
  random_t random = random_new(8);
  uint64_t checksum = 0;
  for (uint32_t round = 0; round < n; round++) {
    for (uint32_t i = 0; i < SIZE; i++) {
      uint32_t r = random_next(&random);
      input[i] = (uint8_t)((r & 15) + (r >> 28 ? 0 : r >> 20 & 240));
    }
    uint16_t root = build_tree();
    uint64_t bits = 0;
    uint32_t held = 0, bytes = 0;
    for (uint32_t i = 0; i < SIZE; i++) {
      bits = bits << length[input[i]] | code[input[i]];
      for (held += length[input[i]]; held >= 8; held -= 8) packed[bytes++] = (uint8_t)(bits >> (held - 8));
    }
    packed[bytes] = (uint8_t)(bits << (8 - held));
    for (uint32_t i = 0, bit = 0; i < SIZE; i++) {
      uint16_t node = root;
      for (; node >= SYMBOLS; bit++) node = child[node][packed[bit >> 3] >> (7 - (bit & 7)) & 1];
      output[i] = (uint8_t)node;
    }
    for (uint32_t i = 0; i < SIZE; i++)
      if (input[i] != output[i]) return 0;
    checksum = mix(checksum, bytes);
  }
  return checksum;
}
