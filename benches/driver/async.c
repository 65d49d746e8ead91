/* Asynchronous calls: what one costs, what a yield costs with its resumption, and what a suspended guest weighs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

typedef struct {
  world_t world;
  wasmtime_instance_t instance;
  wasmtime_func_t func;
  int ready_after, asked; /* of the host function */
  wasmtime_call_future_t *future;
} async_t;

/* A host function that is ready when it was asked so often in vain. */
static bool ask(void *env) {
  async_t *async = env;
  return async->asked++ >= async->ready_after;
}

static void later(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                  wasmtime_val_t *results, size_t nresults, wasm_trap_t **trap_ret,
                  wasmtime_async_continuation_t *continuation_ret) {
  (void)caller, (void)nargs, (void)nresults, (void)trap_ret;
  ((async_t *)env)->asked = 0;
  results[0] = val_i32(args[0].of.i32 + 1);
  continuation_ret->callback = ask;
  continuation_ret->env = env;
  continuation_ret->finalizer = NULL;
}

static wasmtime_linker_t *linker_of(wasm_engine_t *engine, void *env) {
  wasmtime_linker_t *linker = wasmtime_linker_new(engine);
  wasm_functype_t *type = functype_of_i32(1, 1);
  check(wasmtime_linker_define_async_func(linker, "host", 4, "later", 5, type, later, env, NULL), NULL, "definition");
  wasm_functype_delete(type);
  return linker;
}

/* An instance of async.wat in the world's store, and one of its functions. */
static void prepare(async_t *async, wasm_config_t *config, const char *name) {
  async->world = world_new(config);
  wasmtime_linker_t *linker = linker_of(async->world.engine, async);
  wasmtime_module_t *module = load_module(async->world.engine, "async.wat");
  wasm_trap_t *trap = NULL;
  wasmtime_error_t *error = NULL;
  wasmtime_call_future_t *future =
      wasmtime_linker_instantiate_async(linker, async->world.context, module, &async->instance, &trap, &error);
  if (!wasmtime_call_future_poll(future)) fail("instantiation waits");
  check(error, trap, "instantiation");
  wasmtime_call_future_delete(future);
  wasmtime_linker_delete(linker);
  async->func = find_func(async->world.context, &async->instance, name);
}

static void call(void *env, uint64_t iterations) {
  async_t *async = env;
  wasmtime_val_t args[2] = {val_i32(0), val_i32(3)}, result;
  for (uint64_t i = 0; i < iterations; i++) {
    wasm_trap_t *trap = NULL;
    wasmtime_error_t *error = NULL;
    args[0].of.i32 = (int32_t)i;
    wasmtime_call_future_t *future =
        wasmtime_func_call_async(async->world.context, &async->func, args, 2, &result, 1, &trap, &error);
    bool done = wasmtime_call_future_poll(future);
    wasmtime_call_future_delete(future);
    if (!done || error || trap || result.of.i32 != (int32_t)i + 3) fail("add went wrong");
  }
}

static void call_waiting(void *env, uint64_t iterations) {
  async_t *async = env;
  wasmtime_val_t result;
  for (uint64_t i = 0; i < iterations; i++) {
    wasm_trap_t *trap = NULL;
    wasmtime_error_t *error = NULL;
    wasmtime_call_future_t *future =
        wasmtime_func_call_async(async->world.context, &async->func, NULL, 0, &result, 1, &trap, &error);
    while (!wasmtime_call_future_poll(future)) continue;
    wasmtime_call_future_delete(future);
    if (error || trap || result.of.i32 != 42) fail("wait went wrong");
  }
}

static void call_dropped(void *env, uint64_t iterations) {
  async_t *async = env;
  for (uint64_t i = 0; i < iterations; i++) {
    wasm_trap_t *trap = NULL;
    wasmtime_error_t *error = NULL;
    wasmtime_call_future_t *future =
        wasmtime_func_call_async(async->world.context, &async->func, NULL, 0, NULL, 0, &trap, &error);
    if (wasmtime_call_future_poll(future)) fail("it does not wait");
    wasmtime_call_future_delete(future);
  }
}

/* The future is never done. */
static void yield(void *env, uint64_t iterations) {
  async_t *async = env;
  for (uint64_t i = 0; i < iterations; i++)
    if (wasmtime_call_future_poll(async->future)) fail("it ended");
}

static wasm_config_t *with_epochs(void) {
  wasm_config_t *config = wasm_config_new();
  wasmtime_config_epoch_interruption_set(config, true);
  return config;
}

/* The library at hand may return nothing here, in spite of its declaration. */
static void yield_always(wasmtime_context_t *context) {
  (void)wasmtime_context_epoch_deadline_async_yield_and_update(context, 0);
  wasmtime_context_set_epoch_deadline(context, 0);
}

static void begin_forever(async_t *async) {
  static wasm_trap_t *trap;
  static wasmtime_error_t *error;
  async->future = wasmtime_func_call_async(async->world.context, &async->func, NULL, 0, NULL, 0, &trap, &error);
  yield(async, 1);
}

static void case_call(char **arguments) {
  (void)arguments;
  async_t async = {0};
  prepare(&async, NULL, "add");
  measure(call, &async);
}

static void case_call_pooled(char **arguments) {
  (void)arguments;
  wasm_config_t *config = wasm_config_new();
  wasmtime_pooling_allocation_config_t *pool = wasmtime_pooling_allocation_config_new();
  wasmtime_pooling_allocation_strategy_set(config, pool);
  wasmtime_pooling_allocation_config_delete(pool);
  async_t async = {0};
  prepare(&async, config, "add");
  measure(call, &async);
}

/* One continuation asked in vain each iteration, but for the first of each call. */
static void case_yield_host(char **arguments) {
  (void)arguments;
  async_t async = {.ready_after = 1 << 30};
  prepare(&async, NULL, "wait");
  wasmtime_val_t result;
  wasm_trap_t *trap = NULL;
  wasmtime_error_t *error = NULL;
  async.future = wasmtime_func_call_async(async.world.context, &async.func, NULL, 0, &result, 1, &trap, &error);
  measure(yield, &async);
}

static void case_wait_once(char **arguments) {
  (void)arguments;
  async_t async = {.ready_after = 1};
  prepare(&async, NULL, "wait");
  measure(call_waiting, &async);
}

static void case_yield_epoch(char **arguments) {
  (void)arguments;
  async_t async = {0};
  prepare(&async, with_epochs(), "forever");
  yield_always(async.world.context);
  begin_forever(&async);
  long before = resident_bytes();
  measure(yield, &async);
  if (resident_bytes() - before > 1 << 20) fail("yields take memory");
}

static void case_yield_fuel(char **arguments) {
  (void)arguments;
  wasm_config_t *config = wasm_config_new();
  wasmtime_config_consume_fuel_set(config, true);
  async_t async = {0};
  prepare(&async, config, "forever");
  check(wasmtime_context_set_fuel(async.world.context, UINT64_MAX), NULL, "set_fuel");
  check(wasmtime_context_fuel_async_yield_interval(async.world.context, 1), NULL, "interval");
  begin_forever(&async);
  measure(yield, &async);
}

static void case_drop(char **arguments) {
  (void)arguments;
  async_t async = {0};
  prepare(&async, with_epochs(), "forever");
  yield_always(async.world.context);
  measure(call_dropped, &async);
}

/* Resident memory of each of ten thousand stores, all with an instance and a suspended guest. */
static void case_suspended(char **arguments) {
  (void)arguments;
  enum { COUNT = 10000 };
  wasm_engine_t *engine = wasm_engine_new_with_config(with_epochs());
  wasmtime_module_t *module = load_module(engine, "async.wat");
  async_t *all = calloc(COUNT + 1, sizeof *all);
  memset(all, 1, (COUNT + 1) * sizeof *all);
  wasmtime_linker_t *linker = linker_of(engine, all);
  long before = 0;
  for (int i = 0; i <= COUNT; i++) {
    async_t *async = &all[i];
    if (i == 1) before = resident_bytes(); /* the first has warmed things up */
    async->world.engine = engine;
    async->world.store = wasmtime_store_new(engine, NULL, NULL);
    async->world.context = wasmtime_store_context(async->world.store);
    wasm_trap_t *trap = NULL;
    wasmtime_error_t *error = NULL;
    wasmtime_call_future_t *future =
        wasmtime_linker_instantiate_async(linker, async->world.context, module, &async->instance, &trap, &error);
    if (!wasmtime_call_future_poll(future)) fail("instantiation waits");
    check(error, trap, "instantiation");
    wasmtime_call_future_delete(future);
    async->func = find_func(async->world.context, &async->instance, "forever");
    yield_always(async->world.context);
    begin_forever(async);
  }
  printf("{\"bytes\": %ld}\n", (resident_bytes() - before) / COUNT);
}

const case_t async_cases[] = {
    {"async_call", 0, case_call},
    {"async_call_pooled", 0, case_call_pooled},
    {"async_wait", 0, case_wait_once},
    {"async_drop", 0, case_drop},
    {"async_yield_epoch", 0, case_yield_epoch},
    {"async_yield_fuel", 0, case_yield_fuel},
    {"async_yield_host", 0, case_yield_host},
    {"async_suspended", 0, case_suspended},
    {NULL, 0, NULL},
};
