// n: 3000000
/* A register machine in one switch, running a program of n instructions: br_table and loads that depend on loads. */
#include "kernel.h"

enum { LOAD, ADD, SUB, MUL, XOR, SHIFT, READ, WRITE, LESS, BRANCH, JUMP };

typedef struct {
  uint8_t op, to, a, b;
} code_t;

static uint32_t data[1024];

/* r1 walks the data; r2 collects; r3 is the step; r4 the bound. */
static const code_t program[] = {
    {LOAD, 1, 0, 0}, {LOAD, 3, 0, 1}, {LOAD, 4, 3, 255},          {READ, 5, 1, 0},    {MUL, 6, 5, 5},  {SHIFT, 6, 6, 3},
    {ADD, 2, 2, 6},  {XOR, 5, 5, 2},  {WRITE, 5, 1, 0},           {ADD, 1, 1, 3},     {LESS, 7, 1, 4}, {BRANCH, 3, 7, 0},
    {SUB, 2, 2, 4},  {JUMP, 0, 0, 0},
};

uint64_t run(uint32_t n) {
  random_t random = random_new(16);
  for (int i = 0; i < 1024; i++) data[i] = random_next(&random);
  uint32_t r[8] = {0}, pc = 0;
  for (uint32_t step = 0; step < n; step++) {
    code_t code = program[pc++];
    switch (code.op) {
      case LOAD: r[code.to] = (uint32_t)code.a << 8 | code.b; break;
      case ADD: r[code.to] = r[code.a] + r[code.b]; break;
      case SUB: r[code.to] = r[code.a] - r[code.b]; break;
      case MUL: r[code.to] = r[code.a] * r[code.b]; break;
      case XOR: r[code.to] = r[code.a] ^ r[code.b]; break;
      case SHIFT: r[code.to] = r[code.a] >> (r[code.b] & 31); break;
      case READ: r[code.to] = data[r[code.a] & 1023]; break;
      case WRITE: data[r[code.a] & 1023] = r[code.to]; break;
      case LESS: r[code.to] = r[code.a] < r[code.b]; break;
      case BRANCH: pc = r[code.a] ? code.to : pc; break;
      case JUMP: pc = code.to; break;
    }
  }
  uint64_t checksum = r[2];
  for (int i = 0; i < 1024; i++) checksum = mix(checksum, data[i]);
  return checksum;
}
