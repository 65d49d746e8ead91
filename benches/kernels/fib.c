// n: 34
/* Fibonacci numbers by plain recursion: nothing but calls, and one addition a call. */
#include "kernel.h"

static uint32_t fib(uint32_t n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }

uint64_t run(uint32_t n) { return mix(0, fib(n)); }
