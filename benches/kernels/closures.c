// n: 2000
/* Expressions that were compiled to closures: each node is a function in a table which calls its children's. The tree is
 * evaluated for n * 16 values of its variable. */
#include "kernel.h"

typedef struct node node_t;
typedef int32_t (*eval_t)(const node_t *, int32_t);
struct node {
  eval_t eval;
  const node_t *left, *right;
  int32_t value;
};

static node_t nodes[512];
static uint32_t used;

static int32_t child(const node_t *node, int32_t x) { return node->eval(node, x); }
static int32_t eval_constant(const node_t *node, int32_t x) { return (void)x, node->value; }
static int32_t eval_variable(const node_t *node, int32_t x) { return (void)node, x; }
static int32_t eval_add(const node_t *node, int32_t x) { return (int32_t)((uint32_t)child(node->left, x) + (uint32_t)child(node->right, x)); }
static int32_t eval_mul(const node_t *node, int32_t x) { return (int32_t)((uint32_t)child(node->left, x) * (uint32_t)child(node->right, x)); }
static int32_t eval_less(const node_t *node, int32_t x) { return child(node->left, x) < child(node->right, x); }
static int32_t eval_choose(const node_t *node, int32_t x) { return child(child(node->left, x) & 1 ? node->right : node->left, x); }
static int32_t eval_negate(const node_t *node, int32_t x) { return (int32_t)(0 - (uint32_t)child(node->left, x)); }

static const node_t *grow(random_t *random, int depth) {
  static const eval_t inner[] = {eval_add, eval_mul, eval_less, eval_choose, eval_negate, eval_add};
  uint32_t r = random_next(random);
  node_t *node = &nodes[used++];
  node->value = (int32_t)(r >> 20);
  if (depth == 0 || used > 480) {
    node->eval = r & 1 ? eval_constant : eval_variable;
    return node;
  }
  node->eval = inner[r % 6];
  node->left = grow(random, depth - 1);
  node->right = grow(random, depth - 1);
  return node;
}

uint64_t run(uint32_t n) {
  random_t random = random_new(34);
  used = 0;
  const node_t *root = grow(&random, 7);
  uint64_t checksum = 0;
  for (uint32_t x = 0; x < n * 16; x++) checksum = mix(checksum, (uint32_t)child(root, (int32_t)x));
  return checksum;
}
