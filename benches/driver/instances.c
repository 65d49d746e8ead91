/* Stores and instances, made and dropped; and what a live one weighs. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "bench.h"

typedef struct {
  wasm_engine_t *engine;
  wasmtime_module_t *module;
  wasmtime_instance_pre_t *pre;
  bool touch;
  bytes_t bytes;
} life_t;

static void store_life(void *env, uint64_t iterations) {
  life_t *life = env;
  for (uint64_t i = 0; i < iterations; i++) wasmtime_store_delete(wasmtime_store_new(life->engine, NULL, NULL));
}

/* A store, an instance in it, optionally one call that touches memory. The caller deletes the store. */
static wasmtime_store_t *live(life_t *life) {
  wasmtime_store_t *store = wasmtime_store_new(life->engine, NULL, NULL);
  wasmtime_context_t *context = wasmtime_store_context(store);
  wasmtime_instance_t instance;
  wasm_trap_t *trap = NULL;
  wasmtime_error_t *error =
      life->pre ? wasmtime_instance_pre_instantiate(life->pre, context, &instance, &trap)
                : wasmtime_instance_new(context, life->module, NULL, 0, &instance, &trap);
  check(error, trap, "instantiation");
  if (life->touch) {
    wasmtime_func_t touch = find_func(context, &instance, "touch");
    check(wasmtime_func_call(context, &touch, NULL, 0, NULL, 0, &trap), trap, "touch");
  }
  return store;
}

static void instance_life(void *env, uint64_t iterations) {
  for (uint64_t i = 0; i < iterations; i++) wasmtime_store_delete(live(env));
}

static void case_store(char **arguments) {
  (void)arguments;
  life_t life = {.engine = wasm_engine_new()};
  measure(store_life, &life);
}

/* MODULE PLAIN|PRE|TOUCH */
static life_t life_in(wasm_engine_t *engine, char **arguments) {
  life_t life = {.engine = engine, .touch = strcmp(arguments[1], "TOUCH") == 0};
  life.module = load_module(life.engine, arguments[0]);
  if (strcmp(arguments[1], "PRE") == 0) {
    wasmtime_linker_t *linker = wasmtime_linker_new(life.engine);
    check(wasmtime_linker_instantiate_pre(linker, life.module, &life.pre), NULL, "instantiate_pre");
    wasmtime_linker_delete(linker);
  }
  return life;
}

static life_t life_of(char **arguments) { return life_in(wasm_engine_new(), arguments); }

static life_t pooled_life_of(char **arguments) {
  wasm_config_t *config = wasm_config_new();
  wasmtime_pooling_allocation_config_t *pool = wasmtime_pooling_allocation_config_new();
  wasmtime_pooling_allocation_strategy_set(config, pool);
  wasmtime_pooling_allocation_config_delete(pool);
  return life_in(wasm_engine_new_with_config(config), arguments);
}

static void case_instance(char **arguments) {
  life_t life = life_of(arguments);
  measure(instance_life, &life);
}

static void case_pooled(char **arguments) {
  life_t life = pooled_life_of(arguments);
  measure(instance_life, &life);
}

enum { THREADS = 4 };

typedef struct {
  life_t *life;
  uint64_t iterations;
} share_t;

static void *share_of_lives(void *env) {
  share_t *share = env;
  instance_life(share->life, share->iterations);
  return NULL;
}

static void lives_in_threads(life_t *life, uint64_t iterations, int count) {
  share_t share = {life, iterations / count + 1};
  pthread_t threads[THREADS];
  for (int i = 0; i < count; i++)
    if (pthread_create(&threads[i], NULL, share_of_lives, &share) != 0) fail("cannot make a thread");
  for (int i = 0; i < count; i++) pthread_join(threads[i], NULL);
}

static void instance_life_in_threads(void *env, uint64_t iterations) { lives_in_threads(env, iterations, THREADS); }

static void instance_life_in_two_threads(void *env, uint64_t iterations) { lives_in_threads(env, iterations, 2); }

static void case_pooled_threads(char **arguments) {
  life_t life = pooled_life_of(arguments);
  measure(instance_life_in_threads, &life);
}

static void case_two_threads(char **arguments) {
  life_t life = life_of(arguments);
  measure(instance_life_in_two_threads, &life);
}

/* From bytes to an instance, and everything deleted. */
static double step_start(void *env) {
  life_t *life = env;
  double start = now_ns();
  check(wasmtime_module_new(life->engine, life->bytes.data, life->bytes.size, &life->module), NULL, "module_new");
  wasmtime_store_delete(live(life));
  wasmtime_module_delete(life->module);
  return now_ns() - start;
}

static void case_start(char **arguments) {
  life_t life = {.engine = wasm_engine_new(), .bytes = read_file(arguments[0])};
  measure_steps(step_start, &life);
}

/* Resident memory of one of a thousand live stores with an instance each, after the first has warmed things up. */
static void case_footprint(char **arguments) {
  enum { COUNT = 1000 };
  life_t life = life_of(arguments);
  wasmtime_store_delete(live(&life));
  long before = resident_bytes();
  for (int i = 0; i < COUNT; i++) live(&life);
  printf("{\"bytes\": %ld}\n", (resident_bytes() - before) / COUNT);
}

const case_t instance_cases[] = {
    {"store", 0, case_store},
    {"instance", 2, case_instance},
    {"start", 1, case_start},
    {"instance_two_threads", 2, case_two_threads},
    {"pooled", 2, case_pooled},
    {"pooled_threads", 2, case_pooled_threads},
    {"footprint", 2, case_footprint},
    {NULL, 0, NULL},
};
