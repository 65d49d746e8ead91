/* What a host does around calls: reach exports, memories, globals and tables. */
#include <string.h>

#include "bench.h"

typedef struct {
  wasmtime_context_t *context;
  wasmtime_instance_t instance;
  wasmtime_memory_t memory;
  wasmtime_table_t table;
  wasmtime_global_t counter;
  wasmtime_func_t visit;
  uint64_t iterations; /* asked of the host function `visit` */
} accessors_t;

/* Inside a host call, as a host function does it that takes a pointer: find the memory, then its bytes. */
static wasm_trap_t *visit(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                          wasmtime_val_t *results, size_t nresults) {
  (void)args, (void)nargs, (void)results, (void)nresults;
  accessors_t *a = env;
  for (uint64_t i = 0; i < a->iterations; i++) {
    wasmtime_extern_t item;
    if (!wasmtime_caller_export_get(caller, "memory", 6, &item)) fail("no memory");
    if (!wasmtime_memory_data(wasmtime_caller_context(caller), &item.of.memory)) fail("no data");
  }
  return NULL;
}

static void caller_memory(void *env, uint64_t iterations) {
  accessors_t *a = env;
  wasm_trap_t *trap = NULL;
  a->iterations = iterations;
  check(wasmtime_func_call(a->context, &a->visit, NULL, 0, NULL, 0, &trap), trap, "visit");
}

static void export_get(void *env, uint64_t iterations) {
  accessors_t *a = env;
  for (uint64_t i = 0; i < iterations; i++) {
    wasmtime_extern_t item;
    if (!wasmtime_instance_export_get(a->context, &a->instance, "malloc", 6, &item)) fail("no malloc");
  }
}

static void memory_data(void *env, uint64_t iterations) {
  accessors_t *a = env;
  for (uint64_t i = 0; i < iterations; i++)
    if (!wasmtime_memory_data(a->context, &a->memory)) fail("no data");
}

static void memory_data_size(void *env, uint64_t iterations) {
  accessors_t *a = env;
  for (uint64_t i = 0; i < iterations; i++)
    if (wasmtime_memory_data_size(a->context, &a->memory) != 65536) fail("wrong size");
}

static void memory_size(void *env, uint64_t iterations) {
  accessors_t *a = env;
  for (uint64_t i = 0; i < iterations; i++)
    if (wasmtime_memory_size(a->context, &a->memory) != 1) fail("wrong size");
}

static void global_get(void *env, uint64_t iterations) {
  accessors_t *a = env;
  for (uint64_t i = 0; i < iterations; i++) {
    wasmtime_val_t value;
    wasmtime_global_get(a->context, &a->counter, &value);
    if (value.of.i64 != 7) fail("wrong value");
  }
}

static void global_set(void *env, uint64_t iterations) {
  accessors_t *a = env;
  wasmtime_val_t value = {.kind = WASMTIME_I64};
  for (uint64_t i = 0; i < iterations; i++) {
    value.of.i64 = (int64_t)i;
    if (wasmtime_global_set(a->context, &a->counter, &value)) fail("not set");
  }
}

static void table_get(void *env, uint64_t iterations) {
  accessors_t *a = env;
  for (uint64_t i = 0; i < iterations; i++) {
    wasmtime_val_t value;
    if (!wasmtime_table_get(a->context, &a->table, 0, &value) || value.kind != WASMTIME_FUNCREF) fail("no element");
  }
}

static void table_set(void *env, uint64_t iterations) {
  accessors_t *a = env;
  wasmtime_val_t value = {.kind = WASMTIME_FUNCREF};
  value.of.funcref = a->visit;
  for (uint64_t i = 0; i < iterations; i++)
    if (wasmtime_table_set(a->context, &a->table, 1 + (i & 3), &value)) fail("not set");
}

static void table_size(void *env, uint64_t iterations) {
  accessors_t *a = env;
  for (uint64_t i = 0; i < iterations; i++)
    if (wasmtime_table_size(a->context, &a->table) != 8) fail("wrong size");
}

static void run_with(loop_t loop) {
  static accessors_t a;
  world_t world = world_new(NULL);
  a.context = world.context;
  wasmtime_extern_t imports[1] = {extern_of_func(host_func(world.context, visit, &a))};
  a.instance = instantiate(&world, load_module(world.engine, "accessors.wat"), imports, 1);
  a.memory = find_export(a.context, &a.instance, "memory").of.memory;
  a.table = find_export(a.context, &a.instance, "table").of.table;
  a.counter = find_export(a.context, &a.instance, "counter").of.global;
  a.visit = find_func(a.context, &a.instance, "visit");
  measure(loop, &a);
}

static void case_caller_memory(char **a) { (void)a, run_with(caller_memory); }
static void case_export_get(char **a) { (void)a, run_with(export_get); }
static void case_memory_data(char **a) { (void)a, run_with(memory_data); }
static void case_memory_data_size(char **a) { (void)a, run_with(memory_data_size); }
static void case_memory_size(char **a) { (void)a, run_with(memory_size); }
static void case_global_get(char **a) { (void)a, run_with(global_get); }
static void case_global_set(char **a) { (void)a, run_with(global_set); }
static void case_table_get(char **a) { (void)a, run_with(table_get); }
static void case_table_set(char **a) { (void)a, run_with(table_set); }
static void case_table_size(char **a) { (void)a, run_with(table_size); }

const case_t accessor_cases[] = {
    {"caller_memory", 0, case_caller_memory}, {"export_get", 0, case_export_get},
    {"memory_data", 0, case_memory_data},     {"memory_data_size", 0, case_memory_data_size},
    {"memory_size", 0, case_memory_size},     {"global_get", 0, case_global_get},
    {"global_set", 0, case_global_set},       {"table_get", 0, case_table_get},
    {"table_set", 0, case_table_set},         {"table_size", 0, case_table_size},
    {NULL, 0, NULL},
};
