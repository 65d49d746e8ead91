// The pool of wasmtime/config.h: bounds over all stores of an engine, and slots that come back clean.
#include "test.h"
#include <pthread.h>

// Every dimension has its setter; P(total_tables, 1) calls it on `pool`.
#define P(dimension, value) wasmtime_pooling_allocation_config_##dimension##_set(pool, value)

static wasmtime_pooling_allocation_config_t *pool;

// A pool so small that it can be had everywhere, to be changed by P.
static void new_pool(void) {
  pool = wasmtime_pooling_allocation_config_new();
  P(total_memories, 4);
}

// An engine with `pool`, which is consumed.
static wasm_engine_t *pooled(void) {
  wasm_config_t *config = wasm_config_new();
  wasmtime_pooling_allocation_strategy_set(config, pool);
  wasmtime_pooling_allocation_config_delete(pool);
  return wasm_engine_new_with_config(config);
}

static void expect_refused(wasm_engine_t *e, const char *text, const char *reason) {
  expect_error_says(module_error(e, text), reason);
}

static wasmtime_error_t *instantiate(wasmtime_store_t *s, const wasmtime_module_t *module,
                                     wasmtime_instance_t *instance) {
  wasm_trap_t *trap = NULL;
  wasmtime_error_t *error = wasmtime_instance_new(wasmtime_store_context(s), module, NULL, 0, instance, &trap);
  expect_no_trap(trap);
  return error;
}

// -- What is in use at a time

// The total of a kind is over all stores: the second of two is refused until the first is gone.
static void expect_total_of_one(wasm_engine_t *e, const char *text, const char *reason) {
  wasmtime_module_t *module = module_in(e, text);
  wasmtime_store_t *first = wasmtime_store_new(e, NULL, NULL), *second = wasmtime_store_new(e, NULL, NULL);
  wasmtime_instance_t instance;
  expect_ok(instantiate(first, module, &instance));
  for (int i = 0; i < 3; i++) expect_error_says(instantiate(second, module, &instance), reason);
  expect_error_says(instantiate(first, module, &instance), reason);
  wasmtime_store_delete(first);
  expect_ok(instantiate(second, module, &instance));
  wasmtime_store_delete(second);
  // A store that was refused something can be used, and what it has is free again with it.
  first = wasmtime_store_new(e, NULL, NULL);
  expect_ok(instantiate(first, module, &instance));
  wasmtime_store_delete(first);
  wasmtime_module_delete(module);
}

static void core_instances_are_counted_over_all_stores(void) {
  new_pool();
  P(total_core_instances, 1);
  wasm_engine_t *e = pooled();
  expect_total_of_one(e, "(module)", "maximum concurrent limit of 1 for core instances reached");
  wasm_engine_delete(e);
}

static void memories_are_counted_over_all_stores(void) {
  new_pool();
  P(total_memories, 1);
  wasm_engine_t *e = pooled();
  expect_total_of_one(e, "(module (memory 1))", "maximum concurrent limit of 1 for memor");
  wasm_engine_delete(e);
}

static void tables_are_counted_over_all_stores(void) {
  new_pool();
  P(total_tables, 1);
  wasm_engine_t *e = pooled();
  expect_total_of_one(e, "(module (table 1 funcref))", "maximum concurrent limit of 1 for tables reached");
  wasm_engine_delete(e);
}

static void stores_with_references_are_counted(void) {
  new_pool();
  P(total_gc_heaps, 0);
  wasm_engine_t *e = pooled();
  wasmtime_module_t *module = module_in(e, "(module (table 1 externref))");
  wasmtime_store_t *s = wasmtime_store_new(e, NULL, NULL);
  wasmtime_instance_t instance;
  expect_error_says(instantiate(s, module, &instance), "maximum concurrent GC heap limit of 0 reached");
  wasmtime_store_delete(s);
  wasmtime_module_delete(module);
  wasm_engine_delete(e);
}

static void what_the_host_makes_is_not_counted(void) {
  new_pool();
  P(total_memories, 1);
  P(total_tables, 1);
  P(max_memory_size, 1 << 16);
  P(table_elements, 1);
  wasm_engine_t *e = pooled();
  wasmtime_module_t *module = module_in(e, "(module (memory 1) (table 1 funcref))");
  wasmtime_store_t *s = wasmtime_store_new(e, NULL, NULL);
  wasmtime_instance_t instance;
  expect_ok(instantiate(s, module, &instance));
  wasm_limits_t limits = {2, 3};
  wasm_memorytype_t *memory_type = wasm_memorytype_new(&limits);
  wasm_tabletype_t *table_type = wasm_tabletype_new(wasm_valtype_new(WASM_FUNCREF), &limits);
  wasmtime_val_t null = {.kind = WASMTIME_FUNCREF};
  wasmtime_memory_t memory;
  wasmtime_table_t table;
  expect_ok(wasmtime_memory_new(wasmtime_store_context(s), memory_type, &memory));
  expect_ok(wasmtime_table_new(wasmtime_store_context(s), table_type, &null, &table));
  wasm_memorytype_delete(memory_type);
  wasm_tabletype_delete(table_type);
  wasmtime_store_delete(s);
  wasmtime_module_delete(module);
  wasm_engine_delete(e);
}

static void an_instance_whose_start_failed_counts_until_its_store_is_gone(void) {
  new_pool();
  P(total_core_instances, 1);
  wasm_engine_t *e = pooled();
  wasmtime_module_t *module = module_in(e, "(module (func $start unreachable) (start $start))");
  for (int round = 0; round < 3; round++) {
    wasmtime_store_t *s = wasmtime_store_new(e, NULL, NULL);
    wasmtime_instance_t instance;
    wasm_trap_t *trap = NULL;
    expect_ok(wasmtime_instance_new(wasmtime_store_context(s), module, NULL, 0, &instance, &trap));
    expect_trap(trap, WASMTIME_TRAP_CODE_UNREACHABLE_CODE_REACHED);
    expect_error_says(instantiate(s, module, &instance), "core instances");
    wasmtime_store_delete(s);
  }
  wasmtime_module_delete(module);
  wasm_engine_delete(e);
}

#ifdef WASMTIME_FEATURE_ASYNC

static void stacks_are_counted_over_all_stores(void) {
  new_pool();
  P(total_stacks, 1);
  wasm_config_t *config = wasm_config_new();
  wasmtime_config_epoch_interruption_set(config, true);
  wasmtime_pooling_allocation_strategy_set(config, pool);
  wasmtime_pooling_allocation_config_delete(pool);
  wasm_engine_t *e = wasm_engine_new_with_config(config);
  struct {
    wasmtime_store_t *store;
    wasmtime_call_future_t *future;
    wasm_trap_t *trap;
    wasmtime_error_t *error;
  } calls[2];
  for (int i = 0; i < 2; i++) {
    calls[i].store = wasmtime_store_new(e, NULL, NULL);
    wasmtime_context_t *c = wasmtime_store_context(calls[i].store);
    wasmtime_instance_t instance = instance_with(c, e, "(module (func (export \"f\")))", NULL, 0);
    wasmtime_func_t f = export_in(c, &instance, "f").of.func;
    expect_ok(wasmtime_context_epoch_deadline_async_yield_and_update(c, 1));
    calls[i].trap = NULL, calls[i].error = NULL;
    calls[i].future = wasmtime_func_call_async(c, &f, NULL, 0, NULL, 0, &calls[i].trap, &calls[i].error);
  }
  // The first waits at its deadline and keeps the stack, so the second gets none.
  expect(!wasmtime_call_future_poll(calls[0].future));
  expect(wasmtime_call_future_poll(calls[1].future));
  expect_error_says(calls[1].error, "maximum concurrent limit of 1 for fibers reached");
  expect(wasmtime_call_future_poll(calls[0].future) && !calls[0].error);
  for (int i = 0; i < 2; i++) {
    expect_no_trap(calls[i].trap);
    wasmtime_call_future_delete(calls[i].future);
    wasmtime_store_delete(calls[i].store);
  }
  wasm_engine_delete(e);
}

#endif // WASMTIME_FEATURE_ASYNC

static void a_reference_without_a_heap_is_refused_and_finalized(void) {
  new_pool();
  P(total_gc_heaps, 0);
  wasm_engine_t *e = pooled();
  wasmtime_store_t *s = wasmtime_store_new(e, NULL, NULL);
  wasmtime_externref_t ref;
  int finalized = 0;
  expect(!wasmtime_externref_new(wasmtime_store_context(s), &finalized, count_finalized, &ref));
  expect(finalized == 1);
  wasmtime_store_delete(s);
  expect(finalized == 1);
  wasm_engine_delete(e);
}

static void nothing_may_be_allowed(void) {
  new_pool();
  P(total_core_instances, 0);
  P(total_memories, 0);
  P(total_tables, 0);
#ifdef WASMTIME_FEATURE_ASYNC
  P(total_stacks, 0);
#endif
  wasm_engine_t *e = pooled();
  if (!expect(e != NULL)) return;
  wasmtime_module_t *module = module_in(e, "(module)");
  wasmtime_store_t *s = wasmtime_store_new(e, NULL, NULL);
  wasmtime_instance_t instance;
  expect_error_says(instantiate(s, module, &instance), "maximum concurrent limit of 0 for core instances reached");
  wasmtime_store_delete(s);
  wasmtime_module_delete(module);
  expect_refused(e, "(module (table 1 funcref))", "defined tables count of 1 exceeds the total tables limit of 0");
  wasm_engine_delete(e);
}

// -- What a module may need

static void a_module_beyond_the_dimensions_is_refused_when_it_is_made(void) {
  new_pool();
  P(max_memory_size, 1 << 16);
  P(table_elements, 10);
  wasm_engine_t *e = pooled();
  const char *memory = "module memory does not fit in pooling allocator requirements";
  const char *table = "module table does not fit in pooling allocator requirements";
  expect_refused(e, "(module (memory 2))", memory);
  expect_refused(e, "(module (memory 2))",
                 "memory has a minimum byte size of 131072 which exceeds the limit of 0x10000 bytes");
  expect_refused(e, "(module (memory i64 2))", "minimum byte size of 131072");
  expect_refused(e, "(module (memory 1) (memory 1))", "defined memories count of 2 exceeds the per-instance limit of 1");
  expect_refused(e, "(module (table 11 funcref))", table);
  expect_refused(e, "(module (table 11 funcref))",
                 "table index 0 has a minimum element size of 11 which exceeds the limit of 10");
  expect_refused(e, "(module (table 1 funcref) (table 1 funcref))",
                 "defined tables count of 2 exceeds the per-instance limit of 1");
  // Imports are somebody else's.
  wasmtime_module_delete(module_in(e, "(module (import \"\" \"\" (memory 5)) (import \"\" \"\" (table 50 funcref))"
                                      " (memory 1 100) (table 10 funcref))"));
  wasm_engine_delete(e);
}

static void more_memories_and_tables_can_be_allowed(void) {
  new_pool();
  P(max_memories_per_module, 2);
  P(max_tables_per_module, 3);
  wasm_engine_t *e = pooled();
  wasmtime_module_t *module =
      module_in(e, "(module (memory 1) (memory 1) (table 1 funcref) (table 1 funcref) (table 1 funcref))");
  wasmtime_store_t *s = wasmtime_store_new(e, NULL, NULL);
  wasmtime_instance_t instance;
  expect_ok(instantiate(s, module, &instance));
  expect_ok(instantiate(s, module, &instance));
  expect_error_says(instantiate(s, module, &instance), "maximum concurrent limit of 4 for memor");
  wasmtime_store_delete(s);
  wasmtime_module_delete(module);
  expect_refused(e, "(module (memory 1) (memory 1) (memory 1))", "count of 3 exceeds the per-instance limit of 2");
  wasm_engine_delete(e);
}

static void an_instance_beyond_its_size_is_refused(void) {
  new_pool();
  P(max_core_instance_size, 1008);
  wasm_engine_t *e = pooled();
  char text[8192] = "(module";
  for (int i = 0; i < 100; i++) strcat(text, "(global (mut i64) (i64.const 1))");
  strcat(text, ")");
  expect_refused(e, text, "module instance size does not fit in pooling allocator requirements");
  expect_refused(e, text, "instance allocation for this module requires ");
  expect_refused(e, text, " bytes which exceeds the configured maximum of 1008 bytes");
  wasmtime_module_delete(module_in(e, "(module (memory 1) (func))"));
  wasm_engine_delete(e);
}

static void shared_memories_are_refused(void) {
  new_pool();
  wasm_config_t *config = wasm_config_new();
  wasmtime_config_wasm_threads_set(config, true);
  wasmtime_config_shared_memory_set(config, true);
  wasmtime_pooling_allocation_strategy_set(config, pool);
  wasmtime_pooling_allocation_config_delete(pool);
  wasm_engine_t *e = wasm_engine_new_with_config(config);
  expect_refused(e, "(module (memory 1 2 shared))", "memory is shared which is not supported in the pooling allocator");
  wasm_engine_delete(e);
}

static void growing_ends_at_the_dimensions(void) {
  new_pool();
  P(max_memory_size, 2 << 16);
  P(table_elements, 10);
  wasm_engine_t *e = pooled();
  wasmtime_module_t *module = module_in(
      e, "(module (memory (export \"m\") 1) (table (export \"t\") 5 funcref)"
         " (func (export \"memory\") (param i32) (result i32) (memory.grow (local.get 0)))"
         " (func (export \"table\") (param i32) (result i32) (table.grow (ref.null func) (local.get 0))))");
  wasmtime_store_t *s = wasmtime_store_new(e, NULL, NULL);
  wasmtime_context_t *c = wasmtime_store_context(s);
  wasmtime_instance_t instance;
  expect_ok(instantiate(s, module, &instance));
  wasmtime_memory_t memory = export_in(c, &instance, "m").of.memory;
  wasmtime_table_t table = export_in(c, &instance, "t").of.table;
  wasmtime_val_t null = {.kind = WASMTIME_FUNCREF};
  uint64_t previous = 99;
  expect_error_says(wasmtime_memory_grow(c, &memory, 2, &previous), "failed to grow memory by `2`");
  expect_ok(wasmtime_memory_grow(c, &memory, 1, &previous));
  expect(previous == 1);
  expect_ok(wasmtime_table_grow(c, &table, 4, &null, &previous));
  expect(previous == 5);
  const struct { const char *name; int delta, result; } calls[] = {
      {"memory", 1, -1}, {"memory", 0, 2}, {"table", 2, -1}, {"table", 1, 9}, {"table", 1, -1}};
  for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
    wasmtime_func_t grow = export_in(c, &instance, calls[i].name).of.func;
    wasmtime_val_t delta = {.kind = WASMTIME_I32, .of.i32 = calls[i].delta}, result;
    wasm_trap_t *trap = NULL;
    expect_ok(wasmtime_func_call(c, &grow, &delta, 1, &result, 1, &trap));
    expect(result.of.i32 == calls[i].result);
  }
  wasmtime_store_delete(s);
  wasmtime_module_delete(module);
  wasm_engine_delete(e);
}

// -- Slots

// Counts the bytes that are not as the module says, then spoils all of them.
static const char *const CANARY =
    "(module (memory 3) (data (i32.const 100) \"pool\") (table (export \"t\") 4 funcref)"
    " (global $g (mut i32) (i32.const 5))"
    " (func (export \"run\") (result i32) (local $at i32) (local $wrong i32)"
    "  (if (i32.ne (i32.load (i32.const 100)) (i32.const 0x6c6f6f70)) (then (local.set $wrong (i32.const 1))))"
    "  (i32.store (i32.const 100) (i32.const 0))"
    "  (if (i32.ne (global.get $g) (i32.const 5)) (then (local.set $wrong (i32.const 1))))"
    "  (global.set $g (i32.const 6))"
    "  (if (i32.eqz (ref.is_null (table.get (i32.const 2)))) (then (local.set $wrong (i32.const 1))))"
    "  (table.set (i32.const 2) (ref.func $f))"
    "  (drop (memory.grow (i32.const 1)))"
    "  (loop $next"
    "   (local.set $wrong (i32.add (local.get $wrong) (i32.ne (i32.load8_u (local.get $at)) (i32.const 0))))"
    "   (i32.store8 (local.get $at) (i32.const 0xee))"
    "   (br_if $next (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 61))) (i32.const 262144))))"
    "  (local.get $wrong))"
    " (func $f) (elem declare func $f))";

static int run_canary(wasm_engine_t *e, const wasmtime_module_t *module) {
  wasmtime_store_t *s = wasmtime_store_new(e, NULL, NULL);
  wasm_trap_t *trap = NULL;
  wasmtime_instance_t instance;
  wasmtime_extern_t run;
  wasmtime_val_t wrong = {.of.i32 = -1};
  wasmtime_error_t *error = wasmtime_instance_new(wasmtime_store_context(s), module, NULL, 0, &instance, &trap);
  if (!error && !trap && wasmtime_instance_export_get(wasmtime_store_context(s), &instance, "run", 3, &run))
    error = wasmtime_func_call(wasmtime_store_context(s), &run.of.func, NULL, 0, &wrong, 1, &trap);
  int result = error || trap ? -1 : wrong.of.i32;
  if (error) wasmtime_error_delete(error);
  if (trap) wasm_trap_delete(trap);
  wasmtime_store_delete(s);
  return result;
}

static void a_slot_shows_nothing_of_its_past(void) {
  const size_t residents[] = {0, 4096, 1 << 20}, batches[] = {0, 1, 3};
  for (int r = 0; r < 3; r++)
    for (int b = 0; b < 3; b++)
      for (int warm = 0; warm < 2; warm++) {
        new_pool();
        P(linear_memory_keep_resident, residents[r]);
        P(table_keep_resident, residents[r]);
        P(decommit_batch_size, batches[b]);
        P(max_unused_warm_slots, warm);
        P(total_memories, 2);
        wasm_engine_t *e = pooled();
        wasmtime_module_t *canary = module_in(e, CANARY), *other = module_in(e, "(module (memory 2))");
        for (int round = 0; round < 6; round++) {
          expect(run_canary(e, canary) == 0);
          wasmtime_store_t *s = wasmtime_store_new(e, NULL, NULL);
          wasmtime_instance_t instance;
          if (round % 2) expect_ok(instantiate(s, other, &instance));
          wasmtime_store_delete(s);
        }
        wasmtime_module_delete(canary);
        wasmtime_module_delete(other);
        wasm_engine_delete(e);
      }
}

static struct {
  wasm_engine_t *engine;
  wasmtime_module_t *module;
} shared;

static void *many_canaries(void *unused) {
  (void)unused;
  intptr_t wrong = 0;
  for (int i = 0; i < 50; i++) wrong += run_canary(shared.engine, shared.module) != 0;
  return (void *)wrong;
}

static void threads_share_a_pool(void) {
  new_pool();
  shared.engine = pooled();
  shared.module = module_in(shared.engine, CANARY);
  pthread_t threads[4];
  for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, many_canaries, NULL);
  for (int i = 0; i < 4; i++) {
    void *wrong;
    pthread_join(threads[i], &wrong);
    expect(wrong == NULL);
  }
  wasmtime_module_delete(shared.module);
  wasm_engine_delete(shared.engine);
}

// -- The rest

static void every_dimension_can_be_set(void) {
  new_pool();
  P(max_unused_warm_slots, 5);
  P(decommit_batch_size, 2);
#ifdef WASMTIME_FEATURE_ASYNC
  P(async_stack_keep_resident, 4096);
  P(total_stacks, 1);
#endif
  P(linear_memory_keep_resident, 65536);
  P(table_keep_resident, 4096);
  P(total_component_instances, 0);
  P(max_component_instance_size, 0);
  P(max_core_instances_per_component, 0);
  P(max_memories_per_component, 0);
  P(max_tables_per_component, 0);
  P(total_memories, 1);
  P(total_tables, 1);
  P(total_core_instances, 1);
  P(max_core_instance_size, 4096);
  P(max_tables_per_module, 1);
  P(table_elements, 100);
  P(max_memories_per_module, 1);
  P(max_memory_size, 1 << 20);
  P(total_gc_heaps, 1);
  wasm_engine_t *e = pooled();
  // Those of components don't concern modules.
  wasmtime_module_t *module = module_in(e, CANARY);
  expect(run_canary(e, module) == 0);
  wasmtime_module_delete(module);
  wasm_engine_delete(e);
}

static void code_is_the_same_with_and_without_a_pool(void) {
  new_pool();
  wasm_engine_t *e = pooled();
  wasmtime_module_t *module = module_in(engine, CANARY), *loaded = NULL;
  wasm_byte_vec_t bytes;
  expect_ok(wasmtime_module_serialize(module, &bytes));
  expect_ok(wasmtime_module_deserialize(e, (const uint8_t *)bytes.data, bytes.size, &loaded));
  expect(run_canary(e, loaded) == 0);
  wasm_byte_vec_delete(&bytes);
  wasmtime_module_delete(loaded);
  wasmtime_module_delete(module);
  wasm_engine_delete(e);
}

int main(void) {
  RUN(core_instances_are_counted_over_all_stores);
  RUN(memories_are_counted_over_all_stores);
  RUN(tables_are_counted_over_all_stores);
  RUN(stores_with_references_are_counted);
  RUN(what_the_host_makes_is_not_counted);
  RUN(an_instance_whose_start_failed_counts_until_its_store_is_gone);
#ifdef WASMTIME_FEATURE_ASYNC
  RUN_HERE(stacks_are_counted_over_all_stores);
#endif
  RUN(a_reference_without_a_heap_is_refused_and_finalized);
  RUN(nothing_may_be_allowed);
  RUN(a_module_beyond_the_dimensions_is_refused_when_it_is_made);
  RUN(more_memories_and_tables_can_be_allowed);
  RUN(an_instance_beyond_its_size_is_refused);
  RUN(shared_memories_are_refused);
  RUN(growing_ends_at_the_dimensions);
  RUN(a_slot_shows_nothing_of_its_past);
  RUN(threads_share_a_pool);
  RUN(every_dimension_can_be_set);
  RUN(code_is_the_same_with_and_without_a_pool);
  return test_summary();
}
