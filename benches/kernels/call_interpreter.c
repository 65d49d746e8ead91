// n: 1200000
/* A stack machine whose opcodes are functions in a table, n instructions long: one call_indirect per instruction. */
#include "kernel.h"

typedef struct machine {
  uint32_t stack[64];
  uint32_t top, pc, steps;
} machine_t;

typedef void (*op_t)(machine_t *, uint32_t);

static void op_push(machine_t *m, uint32_t operand) { m->stack[++m->top & 63] = operand; }
static void op_add(machine_t *m, uint32_t operand) { m->top--, m->stack[m->top & 63] += m->stack[(m->top + 1) & 63] + operand; }
static void op_mul(machine_t *m, uint32_t operand) { m->top--, m->stack[m->top & 63] *= m->stack[(m->top + 1) & 63] | operand; }
static void op_xor(machine_t *m, uint32_t operand) { m->stack[m->top & 63] ^= m->stack[m->top & 63] >> (operand & 31); }
static void op_dup(machine_t *m, uint32_t operand) { m->top++, m->stack[m->top & 63] = m->stack[(m->top - 1) & 63] + operand; }
static void op_swap(machine_t *m, uint32_t operand) {
  uint32_t held = m->stack[m->top & 63];
  m->stack[m->top & 63] = m->stack[(m->top - 1) & 63];
  m->stack[(m->top - 1) & 63] = held + operand;
}
static void op_skip_odd(machine_t *m, uint32_t operand) { m->pc += m->stack[m->top & 63] & 1 ? operand : 0; }
static void op_jump(machine_t *m, uint32_t operand) { m->pc = operand; }

static const op_t ops[8] = {op_push, op_add, op_mul, op_xor, op_dup, op_swap, op_skip_odd, op_jump};
static const struct {
  uint32_t op, operand;
} program[] = {{0, 7}, {4, 1}, {2, 3}, {3, 5}, {6, 2}, {0, 11}, {1, 0}, {4, 0}, {5, 1}, {1, 9}, {3, 7}, {7, 1}};

uint64_t run(uint32_t n) {
  machine_t machine = {.pc = 0};
  for (uint32_t step = 0; step < n; step++) {
    uint32_t at = machine.pc++;
    ops[program[at].op](&machine, program[at].operand);
  }
  uint64_t checksum = machine.top;
  for (int i = 0; i < 64; i++) checksum = mix(checksum, machine.stack[i]);
  return checksum;
}
