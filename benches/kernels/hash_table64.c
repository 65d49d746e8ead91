// n: 400000
// wasm-flags: -target wasm64-freestanding
/* A table of chains in a 64-bit memory: pointers of 64 bits, every access checked against the memory's length. */
#include "kernel.h"

enum { SLOTS = 4096, NODES = 16384 };
typedef struct node {
  struct node *next;
  uint64_t key, count;
} node_t;

static node_t *slots[SLOTS], nodes[NODES];
static uint64_t used;

static void insert(uint64_t key) {
  node_t **slot = &slots[key * 0x9e3779b97f4a7c15ull >> 52];
  for (node_t *node = *slot; node; node = node->next)
    if (node->key == key) {
      node->count++;
      return;
    }
  if (used == NODES) return;
  node_t *node = &nodes[used++];
  *node = (node_t){*slot, key, 1};
  *slot = node;
}

uint64_t run(uint32_t n) {
  random_t random = random_new(46);
  used = 0;
  for (int i = 0; i < SLOTS; i++) slots[i] = 0;
  for (uint32_t i = 0; i < n; i++) insert(random_next(&random) & (i & 1 ? 0xfff : 0x7fff));
  uint64_t checksum = used;
  for (uint64_t i = 0; i < used; i++) checksum = mix(checksum, nodes[i].key * nodes[i].count);
  return checksum;
}
