/* Garbage-collected objects and exceptions: loops in the guest, and host values made and dropped. */
#include <stdlib.h>
#include <stdio.h>

#include "bench.h"

typedef struct {
  wasmtime_context_t *context;
  wasmtime_func_t func;
} guest_t;

static world_t collected_world(void) {
  wasm_config_t *config = wasm_config_new();
  wasmtime_config_wasm_function_references_set(config, true);
  wasmtime_config_wasm_gc_set(config, true);
  wasmtime_config_wasm_exceptions_set(config, true);
  return world_new(config);
}

static int32_t call(const guest_t *guest, uint64_t n) {
  if (n > INT32_MAX) fail("%llu iterations are too many for a guest", (unsigned long long)n);
  wasmtime_val_t arg = val_i32((int32_t)n), result;
  wasm_trap_t *trap = NULL;
  check(wasmtime_func_call(guest->context, &guest->func, &arg, 1, &result, 1, &trap), trap, "call");
  return result.of.i32;
}

static void expect(const guest_t *guest, const char *name, uint64_t n, int32_t expected) {
  int32_t got = call(guest, n);
  if (got != expected) fail("%s(%d) is %d, not %d", name, (int)n, got, expected);
}

static void loop(void *env, uint64_t iterations) { call(env, iterations); }

/* GUEST EXPORT N RESULT: after `export(N)` has answered RESULT, iterations of it. */
static void case_collected(char **arguments) {
  world_t world = collected_world();
  wasmtime_instance_t instance = instantiate(&world, load_module(world.engine, arguments[0]), NULL, 0);
  guest_t guest = {world.context, find_func(world.context, &instance, arguments[1])};
  expect(&guest, arguments[1], strtoul(arguments[2], NULL, 10), (int32_t)strtol(arguments[3], NULL, 10));
  measure(loop, &guest);
}

/* GUEST SETUP SIZE EXPORT N RESULT: the same after a call of `setup(SIZE)`. */
static void case_collected_after(char **arguments) {
  world_t world = collected_world();
  wasmtime_instance_t instance = instantiate(&world, load_module(world.engine, arguments[0]), NULL, 0);
  guest_t setup = {world.context, find_func(world.context, &instance, arguments[1])};
  guest_t guest = {world.context, find_func(world.context, &instance, arguments[3])};
  call(&setup, strtoul(arguments[2], NULL, 10));
  expect(&guest, arguments[3], strtoul(arguments[4], NULL, 10), (int32_t)strtol(arguments[5], NULL, 10));
  measure(loop, &guest);
}

/* GUEST EXPORT OTHER N RESULT: how many times as long `export` takes as `other`, which does the same, in turn. */
static void case_collected_over(char **arguments) {
  world_t world = collected_world();
  wasmtime_instance_t instance = instantiate(&world, load_module(world.engine, arguments[0]), NULL, 0);
  guest_t guests[2] = {{world.context, find_func(world.context, &instance, arguments[1])},
                       {world.context, find_func(world.context, &instance, arguments[2])}};
  for (int i = 0; i < 2; i++)
    expect(&guests[i], arguments[1 + i], strtoul(arguments[3], NULL, 10), (int32_t)strtol(arguments[4], NULL, 10));
  enum { ITERATIONS = 100000, MIN_ROUNDS = 20 };
  double best[2] = {1e30, 1e30}, started = now_ns();
  for (int round = 0; round < MIN_ROUNDS || now_ns() - started < options.milliseconds * 1e6; round++)
    for (int i = 0; i < 2; i++) {
      double start = now_ns();
      call(&guests[i], ITERATIONS);
      double spent = (now_ns() - start) / ITERATIONS;
      if (spent < best[i]) best[i] = spent;
    }
  printf("{\"ns\": %.3f, \"bare_ns\": %.3f, \"over\": %.4f}\n", best[0], best[1], best[0] / best[1]);
}

/* --- Host values --- */

static uint64_t finalized;

static void finalize(void *data) { finalized += *(const int *)data; }

static void make_and_drop(void *env, uint64_t iterations) {
  world_t *world = env;
  static int one = 1;
  for (uint64_t i = 0; i < iterations; i++) {
    wasmtime_externref_t reference;
    if (!wasmtime_externref_new(world->context, &one, finalize, &reference)) fail("no externref");
    wasmtime_externref_unroot(&reference);
  }
}

static void case_externref(char **arguments) {
  (void)arguments;
  world_t world = collected_world();
  enum { FIRST = 10000 };
  make_and_drop(&world, FIRST);
  check(wasmtime_context_gc(world.context), NULL, "gc");
  if (finalized != FIRST) fail("%d values were made, %llu finalized", FIRST, (unsigned long long)finalized);
  measure(make_and_drop, &world);
}

const case_t collected_cases[] = {
    {"collected", 4, case_collected},
    {"collected_after", 6, case_collected_after},
    {"collected_over", 5, case_collected_over},
    {"externref", 0, case_externref},
    {NULL, 0, NULL},
};
