// wasmtime/engine.h, and the engine and configuration of wasm.h.
#include "test.h"
#include <pthread.h>
#include <signal.h>

static void an_engine_is_made_with_and_without_configuration(void) {
  wasm_engine_t *a = wasm_engine_new();
  wasm_engine_t *b = wasm_engine_new_with_config(wasm_config_new());
  expect(a != NULL && b != NULL);
  wasm_engine_delete(a);
  wasm_engine_delete(b);
  wasm_config_delete(wasm_config_new());
}

static void a_clone_is_the_same_engine(void) {
  wasm_engine_t *first = wasm_engine_new();
  wasm_engine_t *second = wasmtime_engine_clone(first);
  wasmtime_module_t *module = module_in(first, "(module (func (export \"f\")))");
  wasm_engine_delete(first);
  wasmtime_store_t *s = wasmtime_store_new(second, NULL, NULL);
  wasmtime_instance_t instance;
  wasm_trap_t *trap = NULL;
  expect_ok(wasmtime_instance_new(wasmtime_store_context(s), module, NULL, 0, &instance, &trap));
  wasmtime_store_delete(s);
  wasmtime_module_delete(module);
  wasm_engine_delete(second);
}

static void modules_and_stores_keep_their_engine(void) {
  wasm_engine_t *e = wasm_engine_new();
  wasmtime_module_t *module = module_in(e, "(module (memory 1) (func (export \"f\") (result i32) i32.const 42))");
  wasmtime_store_t *s = wasmtime_store_new(e, NULL, NULL);
  wasm_engine_delete(e);
  wasmtime_context_t *c = wasmtime_store_context(s);
  wasmtime_instance_t instance;
  wasm_trap_t *trap = NULL;
  expect_ok(wasmtime_instance_new(c, module, NULL, 0, &instance, &trap));
  wasmtime_module_delete(module);
  wasmtime_func_t f = export_in(c, &instance, "f").of.func;
  wasmtime_context_t *mine = ctx;
  ctx = c;
  expect(call0(&f) == 42);
  ctx = mine;
  wasmtime_store_delete(s);
}

static void machine_code_runs_here(void) { expect(!wasmtime_engine_is_pulley(engine)); }

static void a_module_of_another_engine_is_refused(void) {
  wasm_engine_t *other = wasm_engine_new();
  wasmtime_module_t *module = module_in(other, "(module)");
  wasmtime_linker_t *linker = wasmtime_linker_new(engine);
  wasmtime_instance_t instance;
  wasm_trap_t *trap = NULL;
  wasmtime_error_t *error = wasmtime_instance_new(ctx, module, NULL, 0, &instance, &trap);
  expect_no_trap(trap);
  expect_error(error);
  wasmtime_linker_delete(linker);
  wasmtime_module_delete(module);
  wasm_engine_delete(other);
}

static void epochs(wasm_config_t *config) { wasmtime_config_epoch_interruption_set(config, true); }

static wasm_engine_t *ticking;

static void tick_in_handler(int number) {
  (void)number;
  wasmtime_engine_increment_epoch(ticking);
}

static void a_signal_handler_may_advance_the_epoch(void) {
  wasmtime_instance_t instance = instance_of("(module (func (export \"loop\") (loop br 0)) (func (export \"empty\")))");
  wasmtime_func_t empty = func_of(&instance, "empty");
  wasmtime_context_set_epoch_deadline(ctx, 1);
  expect_no_trap(call(&empty));
  ticking = engine;
  void (*before)(int) = signal(SIGUSR1, tick_in_handler);
  raise(SIGUSR1);
  signal(SIGUSR1, before);
  expect_trap(call(&empty), WASMTIME_TRAP_CODE_INTERRUPT);
}

static void *tick_a_thousand_times(void *of) {
  for (int i = 0; i < 1000; i++) wasmtime_engine_increment_epoch(of);
  return NULL;
}

static void ticks_of_many_threads_all_count(void) {
  wasmtime_instance_t instance = instance_of("(module (func (export \"empty\")))");
  wasmtime_func_t empty = func_of(&instance, "empty");
  wasmtime_context_set_epoch_deadline(ctx, 4001);
  pthread_t threads[4];
  for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, tick_a_thousand_times, engine);
  for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
  expect_no_trap(call(&empty));
  wasmtime_engine_increment_epoch(engine);
  expect_trap(call(&empty), WASMTIME_TRAP_CODE_INTERRUPT);
}

static void an_epoch_without_epoch_interruption_changes_nothing(void) {
  wasmtime_instance_t instance = instance_of("(module (func (export \"empty\")))");
  wasmtime_func_t empty = func_of(&instance, "empty");
  wasmtime_engine_increment_epoch(engine);
  expect_no_trap(call(&empty));
}

int main(void) {
  RUN(an_engine_is_made_with_and_without_configuration);
  RUN(a_clone_is_the_same_engine);
  RUN(modules_and_stores_keep_their_engine);
  RUN(machine_code_runs_here);
  RUN(a_module_of_another_engine_is_refused);
  RUN_WITH(epochs, a_signal_handler_may_advance_the_epoch);
  RUN_WITH(epochs, ticks_of_many_threads_all_count);
  RUN(an_epoch_without_epoch_interruption_changes_nothing);
  return test_summary();
}
