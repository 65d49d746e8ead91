/* Traps in the way that argv[1] names, after printing that name. Coming back at all is status 99. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Operands are volatile: a constant would be folded, or the operation dropped as undefined. */
static volatile int32_t zero = 0, minus_one = -1, minimum = INT32_MIN;
static volatile float huge = 1e30f, not_a_number = __builtin_nanf("");
static volatile uintptr_t far_away = 0xfffffff0u;
static volatile int32_t sink;

static int32_t takes_two(int32_t a, int32_t b) { return a + b; }

static int32_t truncate(float value) {
  int32_t result;
  __asm__("local.get %1\n i32.trunc_f32_s\n local.set %0" : "=r"(result) : "r"(value));
  return result;
}

int main(int argc, char **argv) {
  const char *kind = argc > 1 ? argv[1] : "";
  puts(kind);
  fflush(stdout);
  if (strcmp(kind, "unreachable") == 0) __builtin_trap();
  if (strcmp(kind, "divide-by-zero") == 0) sink = minimum / zero;
  if (strcmp(kind, "integer-overflow") == 0) sink = minimum / minus_one;
  if (strcmp(kind, "too-large-to-convert") == 0) sink = truncate(huge);
  if (strcmp(kind, "nan-to-convert") == 0) sink = truncate(not_a_number);
  if (strcmp(kind, "memory-out-of-bounds") == 0) sink = *(volatile int32_t *)far_away;
  if (strcmp(kind, "null-call") == 0) {
    int32_t (*volatile f)(int32_t, int32_t) = NULL;
    sink = f(1, 2);
  }
  if (strcmp(kind, "bad-signature") == 0) {
    double (*volatile f)(double) = (double (*)(double))(void (*)(void))takes_two;
    sink = (int32_t)f(1.0);
  }
  if (strcmp(kind, "table-out-of-bounds") == 0) {
    int32_t (*volatile f)(int32_t, int32_t) = (int32_t(*)(int32_t, int32_t))0x7fffffffu;
    sink = f(1, 2);
  }
  return 99;
}
