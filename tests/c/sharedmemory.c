// wasmtime/sharedmemory.h: memories that stores and threads have in common.
#include "test.h"
#include <pthread.h>

static void shared(wasm_config_t *config) {
  wasmtime_config_wasm_threads_set(config, true);
  wasmtime_config_shared_memory_set(config, true);
}

static wasmtime_sharedmemory_t *new_shared(uint64_t min, uint64_t max) {
  wasm_memorytype_t *type;
  wasmtime_sharedmemory_t *memory = NULL;
  expect_ok(wasmtime_memorytype_new(min, true, max, false, true, 16, &type));
  expect_ok(wasmtime_sharedmemory_new(engine, type, &memory));
  wasm_memorytype_delete(type);
  return memory;
}

static wasmtime_extern_t shared_extern(wasmtime_sharedmemory_t *memory) {
  wasmtime_extern_t item;
  item.kind = WASMTIME_EXTERN_SHAREDMEMORY;
  item.of.sharedmemory = memory;
  return item;
}

static void a_shared_memory_grows_in_place(void) {
  wasmtime_sharedmemory_t *memory = new_shared(1, 3);
  uint8_t *data = wasmtime_sharedmemory_data(memory);
  uint64_t previous = 99;
  expect(wasmtime_sharedmemory_size(memory) == 1 && wasmtime_sharedmemory_data_size(memory) == 65536);
  data[65535] = 5;
  expect_ok(wasmtime_sharedmemory_grow(memory, 2, &previous));
  expect(previous == 1);
  expect(wasmtime_sharedmemory_data(memory) == data);
  expect(wasmtime_sharedmemory_data_size(memory) == 3 * 65536);
  expect(data[65535] == 5 && data[3 * 65536 - 1] == 0);
  expect_error(wasmtime_sharedmemory_grow(memory, 1, &previous));
  expect(previous == 1 && wasmtime_sharedmemory_size(memory) == 3);
  wasmtime_sharedmemory_delete(memory);
}

static void a_clone_is_the_same_memory(void) {
  wasmtime_sharedmemory_t *memory = new_shared(1, 2), *clone = wasmtime_sharedmemory_clone(memory);
  expect(wasmtime_sharedmemory_data(clone) == wasmtime_sharedmemory_data(memory));
  wasmtime_sharedmemory_delete(memory);
  wasmtime_sharedmemory_data(clone)[0] = 1;
  wasmtime_sharedmemory_delete(clone);
}

static void the_type_is_told(void) {
  wasmtime_sharedmemory_t *memory = new_shared(1, 2);
  wasm_memorytype_t *type = wasmtime_sharedmemory_type(memory);
  uint64_t max = 0;
  expect(wasmtime_memorytype_isshared(type) && wasmtime_memorytype_minimum(type) == 1);
  expect(wasmtime_memorytype_maximum(type, &max) && max == 2);
  wasm_memorytype_delete(type);
  wasmtime_sharedmemory_delete(memory);
}

static void an_unshared_type_is_refused(void) {
  wasm_memorytype_t *type;
  wasmtime_sharedmemory_t *memory = NULL;
  expect_ok(wasmtime_memorytype_new(1, true, 2, false, false, 16, &type));
  expect_error(wasmtime_sharedmemory_new(engine, type, &memory));
  expect(memory == NULL);
  wasm_memorytype_delete(type);
}

static void memory_that_is_not_there_is_an_error(void) {
  wasm_memorytype_t *type;
  wasmtime_sharedmemory_t *memory = NULL;
  expect_ok(wasmtime_memorytype_new(UINT64_C(1) << 36, true, UINT64_C(1) << 40, true, true, 16, &type));
  expect_error(wasmtime_sharedmemory_new(engine, type, &memory));
  expect(memory == NULL);
  wasm_memorytype_delete(type);
}

static void by_default_there_is_none(void) {
  wasm_memorytype_t *type;
  wasmtime_sharedmemory_t *memory = NULL;
  expect_ok(wasmtime_memorytype_new(1, true, 2, false, true, 16, &type));
  expect_error_says(wasmtime_sharedmemory_new(engine, type, &memory), "shared memory");
  wasm_memorytype_delete(type);
}

static void an_unshared_import_does_not_take_it(void) {
  wasmtime_extern_t item = shared_extern(new_shared(1, 2));
  wasmtime_module_t *module = module_of("(module (import \"\" \"\" (memory 1 2)))");
  wasmtime_instance_t instance;
  wasm_trap_t *trap = NULL;
  expect_error_says(wasmtime_instance_new(ctx, module, &item, 1, &instance, &trap), "incompatible import type");
  wasmtime_module_delete(module);
  wasmtime_extern_delete(&item);
}

static const char *const COUNTER = "(module (import \"\" \"\" (memory 1 4 shared))"
                                   "  (func (export \"count\") (param i32) (result i32)"
                                   "    (loop (drop (i32.atomic.rmw.add (i32.const 0) (i32.const 1)))"
                                   "      (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))"
                                   "    (i32.atomic.load (i32.const 0)))"
                                   "  (func (export \"wait\") (param i32) (result i32)"
                                   "    (memory.atomic.wait32 (i32.const 8) (i32.const 0) (i64.const 10000000000)))"
                                   "  (func (export \"expire\") (param i32) (result i32)"
                                   "    (memory.atomic.wait32 (i32.const 8) (i32.const 0) (i64.const 1000000)))"
                                   "  (func (export \"differ\") (param i32) (result i32)"
                                   "    (memory.atomic.wait32 (i32.const 8) (i32.const 1) (i64.const -1)))"
                                   "  (func (export \"notify\") (param i32) (result i32)"
                                   "    (memory.atomic.notify (i32.const 8) (local.get 0)))"
                                   "  (func (export \"grow\") (param i32) (result i32) (memory.grow (local.get 0))))";

struct thread {
  wasm_engine_t *engine;
  wasmtime_module_t *module;
  wasmtime_sharedmemory_t *memory;
  const char *name;
  int32_t arg, result;
};

// Calls one export in a store of its own.
static void *run(void *data) {
  struct thread *thread = data;
  wasmtime_store_t *s = wasmtime_store_new(thread->engine, NULL, NULL);
  wasmtime_context_t *c = wasmtime_store_context(s);
  wasmtime_extern_t import = shared_extern(thread->memory), item;
  wasmtime_instance_t instance;
  wasm_trap_t *trap = NULL;
  wasmtime_val_t arg = i32_val(thread->arg), result = i32_val(-99);
  wasmtime_error_t *error = wasmtime_instance_new(c, thread->module, &import, 1, &instance, &trap);
  if (!error && wasmtime_instance_export_get(c, &instance, thread->name, strlen(thread->name), &item))
    error = wasmtime_func_call(c, &item.of.func, &arg, 1, &result, 1, &trap);
  if (trap) wasm_trap_delete(trap);
  if (error) wasmtime_error_delete(error);
  thread->result = result.of.i32;
  wasmtime_store_delete(s);
  return NULL;
}

static int32_t run_here(struct thread thread, const char *name, int32_t arg) {
  thread.name = name;
  thread.arg = arg;
  run(&thread);
  return thread.result;
}

static void threads_count_together(void) {
  wasmtime_sharedmemory_t *memory = new_shared(1, 4);
  wasmtime_module_t *module = module_of(COUNTER);
  pthread_t threads[4];
  struct thread data[4];
  for (int i = 0; i < 4; i++) {
    data[i] = (struct thread){engine, module, memory, "count", 10000, 0};
    pthread_create(&threads[i], NULL, run, &data[i]);
  }
  for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
  uint32_t count;
  memcpy(&count, wasmtime_sharedmemory_data(memory), 4);
  expect(count == 40000);
  wasmtime_module_delete(module);
  wasmtime_sharedmemory_delete(memory);
}

static void a_waiting_thread_is_notified(void) {
  wasmtime_sharedmemory_t *memory = new_shared(1, 4);
  wasmtime_module_t *module = module_of(COUNTER);
  struct thread waiting = {engine, module, memory, "wait", 0, -1};
  pthread_t thread;
  pthread_create(&thread, NULL, run, &waiting);
  int32_t woken = 0;
  while (!woken) woken = run_here(waiting, "notify", 5);
  pthread_join(thread, NULL);
  expect(woken == 1);
  expect(waiting.result == 0); // "ok"
  expect(run_here(waiting, "differ", 0) == 1); // "not-equal"
  expect(run_here(waiting, "expire", 0) == 2); // "timed-out"
  expect(run_here(waiting, "notify", 5) == 0);
  wasmtime_module_delete(module);
  wasmtime_sharedmemory_delete(memory);
}

static void a_guest_grows_it_for_all(void) {
  wasmtime_sharedmemory_t *memory = new_shared(1, 4);
  wasmtime_module_t *module = module_of(COUNTER);
  struct thread thread = {engine, module, memory, "", 0, 0};
  expect(run_here(thread, "grow", 2) == 1);
  expect(wasmtime_sharedmemory_size(memory) == 3);
  expect(run_here(thread, "grow", 2) == -1);
  wasmtime_module_delete(module);
  wasmtime_sharedmemory_delete(memory);
}

// Code without checks would run past the end of a memory that has no guard.
static void another_engine_does_not_take_it(void) {
  wasm_config_t *config = wasm_config_new();
  shared(config);
  wasmtime_config_memory_reservation_set(config, 0);
  wasmtime_config_memory_guard_size_set(config, 0);
  wasm_engine_t *unguarded = wasm_engine_new_with_config(config), *mine = engine;
  engine = unguarded;
  wasmtime_sharedmemory_t *memory = new_shared(1, 4);
  engine = mine;
  wasmtime_module_t *module = module_of(COUNTER);
  wasmtime_extern_t import = shared_extern(memory);
  wasmtime_instance_t instance;
  wasm_trap_t *trap = NULL;
  expect_error_says(wasmtime_instance_new(ctx, module, &import, 1, &instance, &trap),
                    "instantiation is not currently supported");
  expect(trap == NULL);
  wasmtime_module_delete(module);
  wasmtime_sharedmemory_delete(memory);
  wasm_engine_delete(unguarded);
}

int main(void) {
  RUN_WITH(shared, a_shared_memory_grows_in_place);
  RUN_WITH(shared, a_clone_is_the_same_memory);
  RUN_WITH(shared, the_type_is_told);
  RUN_WITH(shared, an_unshared_type_is_refused);
  RUN_WITH(shared, memory_that_is_not_there_is_an_error);
  RUN(by_default_there_is_none);
  RUN_WITH(shared, an_unshared_import_does_not_take_it);
  RUN_WITH(shared, threads_count_together);
  RUN_WITH(shared, a_waiting_thread_is_notified);
  RUN_WITH(shared, a_guest_grows_it_for_all);
  RUN_WITH(shared, another_engine_does_not_take_it);
  return test_summary();
}
