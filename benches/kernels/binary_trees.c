// n: 14
/* Builds and walks binary trees up to depth n in an arena: recursion, pointers and fresh memory. */
#include "kernel.h"

typedef struct node {
  struct node *left, *right;
} node_t;

enum { MAX_DEPTH = 16 };
static node_t arena[1 << (MAX_DEPTH + 1)];
static uint32_t used;

__attribute__((noinline)) static node_t *build(uint32_t depth) {
  node_t *node = &arena[used++];
  node->left = depth ? build(depth - 1) : 0;
  node->right = depth ? build(depth - 1) : 0;
  return node;
}

__attribute__((noinline)) static uint32_t count(const node_t *node) {
  return node->left ? 1 + count(node->left) + count(node->right) : 1;
}

uint64_t run(uint32_t n) {
  if (n > MAX_DEPTH) n = MAX_DEPTH;
  uint64_t checksum = 0;
  for (uint32_t depth = 4; depth <= n; depth += 2) {
    uint32_t iterations = 1u << (n - depth + 4);
    uint32_t total = 0;
    for (uint32_t i = 0; i < iterations; i++) {
      used = 0;
      total += count(build(depth));
    }
    checksum = mix(checksum, total);
  }
  return checksum;
}
