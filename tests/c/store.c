// wasmtime/store.h: data, limits, fuel, deadlines and the collection of host references.
#include "test.h"
#include <pthread.h>
#include <unistd.h>

// -- Data

static void data_is_what_was_given_or_set_last(void) {
  int a = 0, b = 0;
  wasmtime_store_t *s = wasmtime_store_new(engine, &a, NULL);
  wasmtime_context_t *c = wasmtime_store_context(s);
  expect(wasmtime_context_get_data(c) == &a);
  wasmtime_context_set_data(c, &b);
  expect(wasmtime_context_get_data(c) == &b);
  wasmtime_context_set_data(c, NULL);
  expect(wasmtime_context_get_data(c) == NULL);
  wasmtime_store_delete(s);
}

static int finalized_null;

static void finalized_anything(void *data) {
  (void)data;
  finalized_null++;
}

static void a_store_without_data_can_be_given_some_and_finalizes_null(void) {
  int data = 0;
  wasmtime_store_t *s = wasmtime_store_new(engine, NULL, NULL);
  wasmtime_context_t *c = wasmtime_store_context(s);
  expect(wasmtime_context_get_data(c) == NULL);
  wasmtime_context_set_data(c, &data);
  expect(wasmtime_context_get_data(c) == &data);
  wasmtime_store_delete(s);
  s = wasmtime_store_new(engine, NULL, finalized_anything);
  expect(wasmtime_context_get_data(wasmtime_store_context(s)) == NULL && finalized_null == 0);
  wasmtime_store_delete(s);
  expect(finalized_null == 1);
}

static void the_finalizer_runs_once_on_the_data_of_the_end(void) {
  int first = 0, second = 0;
  wasmtime_store_t *s = wasmtime_store_new(engine, &first, count_finalized);
  wasmtime_context_set_data(wasmtime_store_context(s), &second);
  expect(first == 0 && second == 0);
  wasmtime_store_delete(s);
  expect(first == 0 && second == 1);
}

static void a_store_outlives_its_engine_handle(void) {
  static int finalized;
  finalized = 0;
  wasm_engine_t *e = wasm_engine_new();
  wasmtime_store_t *s = wasmtime_store_new(e, &finalized, count_finalized);
  wasm_engine_delete(e);
  wasmtime_store_delete(s);
  expect(finalized == 1);
}

// -- Limits

static const char *const GROWING = "(module (memory (export \"m\") 1) (table (export \"t\") 1 funcref)"
                                   "  (func (export \"memory\") (param i32) (result i32) local.get 0 memory.grow)"
                                   "  (func (export \"table\") (param i32) (result i32)"
                                   "    ref.null func local.get 0 table.grow))";

static void memory_grows_up_to_the_limit_in_bytes(void) {
  wasmtime_store_limiter(store, 3 * 65536 + 1, -1, -1, -1, -1);
  wasmtime_instance_t instance = instance_of(GROWING);
  wasmtime_func_t grow = func_of(&instance, "memory");
  wasmtime_memory_t memory = export_of(&instance, "m").of.memory;
  uint64_t previous = 99;
  expect(call1(&grow, 1) == 1);
  expect(call1(&grow, 2) == -1);
  expect_error(wasmtime_memory_grow(ctx, &memory, 2, &previous));
  expect(previous == 99);
  expect_ok(wasmtime_memory_grow(ctx, &memory, 1, &previous));
  expect(previous == 2);
  expect(call1(&grow, 1) == -1);
  expect(call1(&grow, 0) == 3);
}

static void a_table_grows_up_to_the_limit_in_elements(void) {
  wasmtime_store_limiter(store, -1, 10, -1, -1, -1);
  wasmtime_instance_t instance = instance_of(GROWING);
  wasmtime_func_t grow = func_of(&instance, "table");
  wasmtime_table_t table = export_of(&instance, "t").of.table;
  wasmtime_val_t null = funcref_val(NULL);
  uint64_t previous = 99;
  expect(call1(&grow, 8) == 1);
  expect(call1(&grow, 2) == -1);
  expect_error(wasmtime_table_grow(ctx, &table, 2, &null, &previous));
  expect(previous == 99);
  expect_ok(wasmtime_table_grow(ctx, &table, 1, &null, &previous));
  expect(previous == 9);
  expect(call1(&grow, 1) == -1);
}

static wasmtime_error_t *instantiate(const char *wat) {
  wasmtime_module_t *module = module_of(wat);
  wasmtime_instance_t instance;
  wasm_trap_t *trap = NULL;
  wasmtime_error_t *error = wasmtime_instance_new(ctx, module, NULL, 0, &instance, &trap);
  expect_no_trap(trap);
  wasmtime_module_delete(module);
  return error;
}

static void instances_tables_and_memories_are_counted(void) {
  wasmtime_store_limiter(store, -1, -1, 2, -1, -1);
  expect_ok(instantiate("(module)"));
  expect_ok(instantiate("(module)"));
  expect_error_says(instantiate("(module)"), "resource limit exceeded: instance count too high at 3");
  wasmtime_store_limiter(store, -1, -1, -1, 2, -1);
  expect_ok(instantiate("(module (table 0 funcref) (table 0 funcref))"));
  expect_error_says(instantiate("(module (table 0 funcref))"), "resource limit exceeded: table count too high at 3");
  wasmtime_store_limiter(store, -1, -1, -1, -1, 1);
  expect_ok(instantiate("(module (memory 0))"));
  expect_error_says(instantiate("(module (memory 0))"), "resource limit exceeded: memory count too high at 2");
}

static void what_the_host_makes_is_not_counted(void) {
  wasmtime_store_limiter(store, -1, -1, -1, 1, 1);
  wasm_memorytype_t *memory_type;
  const wasm_limits_t limits = {0, 1};
  wasm_tabletype_t *table_type = wasm_tabletype_new(wasm_valtype_new_funcref(), &limits);
  wasmtime_val_t null = funcref_val(NULL);
  wasmtime_memory_t memory;
  wasmtime_table_t table;
  expect_ok(wasmtime_memorytype_new(0, false, 0, false, false, 16, &memory_type));
  for (int i = 0; i < 3; i++) {
    expect_ok(wasmtime_memory_new(ctx, memory_type, &memory));
    expect_ok(wasmtime_table_new(ctx, table_type, &null, &table));
  }
  wasm_memorytype_delete(memory_type);
  wasm_tabletype_delete(table_type);
  expect_ok(instantiate("(module (memory 0) (table 0 funcref))"));
  expect_error_says(instantiate("(module (table 0 funcref))"), "resource limit exceeded: table count too high at 2");
  expect_error_says(instantiate("(module (memory 0))"), "resource limit exceeded: memory count too high at 2");
}

static void what_begins_beyond_a_limit_is_an_error(void) {
  wasmtime_store_limiter(store, 65536, 5, -1, -1, -1);
  expect_error_says(instantiate("(module (memory 2))"), "memory minimum size of 2 pages exceeds memory limits");
  expect_error_says(instantiate("(module (table 6 funcref))"), "table minimum size of 6 elements exceeds table limits");
  wasm_memorytype_t *type;
  wasmtime_memory_t memory;
  expect_ok(wasmtime_memorytype_new(2, false, 0, false, false, 16, &type));
  expect_error_says(wasmtime_memory_new(ctx, type, &memory), "memory minimum size of 2 pages exceeds memory limits");
  wasm_memorytype_delete(type);
  const wasm_limits_t limits = {6, 9};
  wasm_tabletype_t *table_type = wasm_tabletype_new(wasm_valtype_new_funcref(), &limits);
  wasmtime_val_t null = funcref_val(NULL);
  wasmtime_table_t table;
  expect_error_says(wasmtime_table_new(ctx, table_type, &null, &table), "table minimum size of 6 elements exceeds table limits");
  wasm_tabletype_delete(table_type);
  expect_ok(instantiate("(module (memory 1) (table 5 funcref))"));
}

static void each_memory_and_table_has_the_limit_for_itself(void) {
  wasmtime_store_limiter(store, 2 * 65536, 10, -1, -1, -1);
  wasmtime_instance_t instance =
      instance_of("(module (memory 2) (memory 1) (table 10 funcref) (table 9 funcref)"
                  "  (func (export \"memory\") (param i32) (result i32) (memory.grow 1 (local.get 0)))"
                  "  (func (export \"table\") (param i32) (result i32) (table.grow 1 (ref.null func) (local.get 0))))");
  wasmtime_func_t memory = func_of(&instance, "memory"), table = func_of(&instance, "table");
  expect(call1(&memory, 2) == -1 && call1(&memory, 1) == 1 && call1(&memory, 1) == -1);
  expect(call1(&table, 2) == -1 && call1(&table, 1) == 9 && call1(&table, 1) == -1);
}

static void limits_leave_alone_what_exists(void) {
  wasmtime_instance_t instance = instance_of(GROWING);
  wasmtime_func_t grow = func_of(&instance, "memory");
  expect(call1(&grow, 3) == 1);
  wasmtime_store_limiter(store, 65536, 0, -1, -1, -1);
  expect(call1(&grow, 0) == 4);
  expect(call1(&grow, 1) == -1);
  wasmtime_store_limiter(store, -1, -1, -1, -1, -1);
  expect(call1(&grow, 1) == 4);
}

static void ten_thousand_instances_are_the_default(void) {
  wasmtime_module_t *module = module_of("(module)");
  wasmtime_instance_t instance;
  wasm_trap_t *trap = NULL;
  for (int i = 0; i < 10000; i++)
    if (!expect_ok(wasmtime_instance_new(ctx, module, NULL, 0, &instance, &trap))) break;
  expect_error(wasmtime_instance_new(ctx, module, NULL, 0, &instance, &trap));
  wasmtime_module_delete(module);
}

// -- Fuel

static void consume_fuel(wasm_config_t *config) { wasmtime_config_consume_fuel_set(config, true); }

// What is left of `fuel` after a call to the export "f" that must return normally, subtracted.
static uint64_t cost_of(const char *wat) {
  wasmtime_instance_t instance = instance_of(wat);
  wasmtime_func_t f = func_of(&instance, "f");
  uint64_t left = 0;
  expect_ok(wasmtime_context_set_fuel(ctx, 1000000));
  expect_no_trap(call(&f));
  expect_ok(wasmtime_context_get_fuel(ctx, &left));
  return 1000000 - left;
}

static void fuel_is_counted_exactly(void) {
  expect(cost_of("(module (func (export \"f\")))") == 1);
  expect(cost_of("(module (func (export \"f\") (local i32) local.get 0 drop))") == 2);
  expect(cost_of("(module (func $e) (func (export \"f\") call $e call $e))") == 5);
  expect(cost_of("(module (func (export \"f\") (local i32) i32.const 10 local.set 0"
                 "  (loop local.get 0 i32.const 1 i32.sub local.tee 0 br_if 0)))") == 53);
}

static void some_operators_are_free(void) {
  expect(cost_of("(module (func (export \"f\") nop nop nop))") == 1);
  expect(cost_of("(module (func (export \"f\") (block) (loop)))") == 1);
  expect(cost_of("(module (func (export \"f\") return))") == 1);
  expect(cost_of("(module (func (export \"f\") i32.const 1 drop))") == 2);
  expect(cost_of("(module (func (export \"f\") (if (i32.const 1) (then (nop)) (else (nop)))))") == 3);
  expect(cost_of("(module (func (export \"f\") (if (i32.const 0) (then (drop (i32.const 1))) (else))))") == 3);
}

static void bulk_operations_cost_one(void) {
  expect(cost_of("(module (memory 1) (func (export \"f\")"
                 "  (memory.fill (i32.const 0) (i32.const 1) (i32.const 60000))))") == 5);
  expect(cost_of("(module (memory 1) (func (export \"f\")"
                 "  (memory.copy (i32.const 0) (i32.const 1) (i32.const 60000))))") == 5);
}

static void fuel_is_set_read_and_replaced(void) {
  uint64_t fuel = 99;
  expect_ok(wasmtime_context_get_fuel(ctx, &fuel));
  expect(fuel == 0);
  expect_ok(wasmtime_context_set_fuel(ctx, 1000));
  expect_ok(wasmtime_context_set_fuel(ctx, 10));
  expect_ok(wasmtime_context_get_fuel(ctx, &fuel));
  expect(fuel == 10);
  expect_ok(wasmtime_context_set_fuel(ctx, UINT64_MAX));
  expect_ok(wasmtime_context_get_fuel(ctx, &fuel));
  expect(fuel == UINT64_MAX);
}

static void more_fuel_than_a_signed_number_holds_is_counted_too(void) {
  wasmtime_instance_t instance = instance_of("(module (func (export \"f\")))");
  wasmtime_func_t f = func_of(&instance, "f");
  uint64_t fuel = 0;
  expect_ok(wasmtime_context_set_fuel(ctx, UINT64_MAX));
  expect_no_trap(call(&f));
  expect_ok(wasmtime_context_get_fuel(ctx, &fuel));
  expect(fuel == UINT64_MAX - 1);
}

static void a_guest_without_fuel_traps(void) {
  wasmtime_instance_t instance =
      instance_of("(module (func (export \"loop\") (loop br 0)) (func (export \"empty\"))"
                  "  (func $deep (export \"recursion\") call $deep))");
  wasmtime_func_t loop = func_of(&instance, "loop"), empty = func_of(&instance, "empty"),
                  recursion = func_of(&instance, "recursion");
  expect_trap(call(&empty), WASMTIME_TRAP_CODE_OUT_OF_FUEL);
  expect_ok(wasmtime_context_set_fuel(ctx, 10000));
  expect_trap(call(&loop), WASMTIME_TRAP_CODE_OUT_OF_FUEL);
  expect_ok(wasmtime_context_set_fuel(ctx, 1000));
  expect_trap(call(&recursion), WASMTIME_TRAP_CODE_OUT_OF_FUEL);
  expect_trap(call(&empty), WASMTIME_TRAP_CODE_OUT_OF_FUEL);
  expect_ok(wasmtime_context_set_fuel(ctx, 2));
  expect_no_trap(call(&empty));
}

static void running_out_of_fuel_has_its_message(void) {
  wasmtime_instance_t instance = instance_of("(module (func (export \"loop\") (loop br 0)))");
  wasmtime_func_t loop = func_of(&instance, "loop");
  expect_ok(wasmtime_context_set_fuel(ctx, 100));
  expect_trap_says(call(&loop), "wasm trap: all fuel consumed by WebAssembly");
}

static wasm_trap_t *refuel(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                           wasmtime_val_t *results, size_t nresults) {
  (void)args, (void)nargs, (void)results, (void)nresults;
  wasmtime_context_t *context = wasmtime_caller_context(caller);
  expect_ok(wasmtime_context_get_fuel(context, env));
  expect_ok(wasmtime_context_set_fuel(context, 500));
  return NULL;
}

static void a_host_function_sees_and_sets_the_fuel(void) {
  uint64_t seen = 0, left = 0;
  wasm_functype_t *type = wasm_functype_new_0_0();
  wasmtime_func_t host;
  wasmtime_func_new(ctx, type, refuel, &seen, NULL, &host);
  wasm_functype_delete(type);
  wasmtime_extern_t import = func_extern(host);
  wasmtime_instance_t instance = instance_with(
      ctx, engine, "(module (import \"\" \"\" (func $host)) (func (export \"f\") call $host))", &import, 1);
  wasmtime_func_t f = func_of(&instance, "f");
  expect_ok(wasmtime_context_set_fuel(ctx, 100));
  expect_no_trap(call(&f));
  expect_ok(wasmtime_context_get_fuel(ctx, &left));
  expect(seen == 98); // the function and the call
  expect(left == 500);
}

static void a_start_function_uses_fuel_too(void) {
  wasmtime_module_t *module = module_of("(module (func $s (loop br 0)) (start $s))");
  wasmtime_instance_t instance;
  wasm_trap_t *trap = NULL;
  expect_ok(wasmtime_context_set_fuel(ctx, 100));
  expect_ok(wasmtime_instance_new(ctx, module, NULL, 0, &instance, &trap));
  expect_trap(trap, WASMTIME_TRAP_CODE_OUT_OF_FUEL);
  wasmtime_module_delete(module);
}

static void fuel_is_an_error_unless_configured(void) {
  uint64_t fuel = 99;
  expect_error_says(wasmtime_context_set_fuel(ctx, 1), "fuel is not configured in this store");
  expect_error_says(wasmtime_context_get_fuel(ctx, &fuel), "fuel is not configured in this store");
  expect(fuel == 99);
}

// -- Epochs

static void epochs(wasm_config_t *config) { wasmtime_config_epoch_interruption_set(config, true); }

static const char *const LOOPING = "(module (func (export \"loop\") (loop br 0)) (func (export \"empty\")))";

static void a_guest_past_its_deadline_is_interrupted(void) {
  wasmtime_instance_t instance = instance_of(LOOPING);
  wasmtime_func_t loop = func_of(&instance, "loop"), empty = func_of(&instance, "empty");
  expect_trap(call(&loop), WASMTIME_TRAP_CODE_INTERRUPT); // a new store's deadline has passed
  wasmtime_context_set_epoch_deadline(ctx, 2);
  expect_no_trap(call(&empty));
  wasmtime_engine_increment_epoch(engine);
  expect_no_trap(call(&empty));
  wasmtime_engine_increment_epoch(engine);
  expect_trap(call(&empty), WASMTIME_TRAP_CODE_INTERRUPT);
  wasmtime_context_set_epoch_deadline(ctx, 1); // relative to now
  expect_no_trap(call(&empty));
}

static void *tick_later(void *of) {
  usleep(20000);
  wasmtime_engine_increment_epoch(of);
  return NULL;
}

static void another_thread_interrupts_a_loop(void) {
  wasmtime_instance_t instance = instance_of(LOOPING);
  wasmtime_func_t loop = func_of(&instance, "loop");
  wasmtime_context_set_epoch_deadline(ctx, 1);
  pthread_t thread;
  pthread_create(&thread, NULL, tick_later, engine);
  expect_trap_says(call(&loop), "wasm trap: interrupt");
  pthread_join(thread, NULL);
}

struct deadline {
  int calls, last;
  int finalized;
  wasmtime_context_t *seen;
};

static void finalize_deadline(void *data) { ((struct deadline *)data)->finalized++; }

// Goes on, with the deadline reached again at once, until the call number `last`, which fails.
static wasmtime_error_t *fail_at_last(wasmtime_context_t *context, void *data, uint64_t *delta,
                                      wasmtime_update_deadline_kind_t *kind) {
  struct deadline *deadline = data;
  deadline->seen = context;
  if (++deadline->calls == deadline->last) return wasmtime_error_new("deadline says no");
  *delta = 0;
  *kind = WASMTIME_UPDATE_DEADLINE_CONTINUE;
  return NULL;
}

static void a_callback_lets_the_guest_go_on_until_it_fails(void) {
  struct deadline deadline = {0, 5, 0, NULL};
  wasmtime_store_epoch_deadline_callback(store, fail_at_last, &deadline, finalize_deadline);
  wasmtime_instance_t instance = instance_of(LOOPING);
  wasmtime_func_t loop = func_of(&instance, "loop");
  wasm_trap_t *trap = NULL;
  expect_error_says(wasmtime_func_call(ctx, &loop, NULL, 0, NULL, 0, &trap), "deadline says no");
  expect_no_trap(trap);
  expect(deadline.calls == 5);
  expect(deadline.seen == ctx);
  expect(deadline.finalized == 0);
  wasmtime_store_delete(store);
  store = NULL;
  expect(deadline.finalized == 1);
}

static wasmtime_error_t *far_away(wasmtime_context_t *context, void *data, uint64_t *delta,
                                  wasmtime_update_deadline_kind_t *kind) {
  (void)context;
  ((struct deadline *)data)->calls++;
  *delta = 3;
  *kind = WASMTIME_UPDATE_DEADLINE_CONTINUE;
  return NULL;
}

static void a_callback_moves_the_deadline_from_the_current_epoch(void) {
  static struct deadline deadline; // it outlives the claim: the store, and with it the finalizer, does
  deadline = (struct deadline){0, 0, 0, NULL};
  wasmtime_store_epoch_deadline_callback(store, far_away, &deadline, finalize_deadline);
  wasmtime_instance_t instance = instance_of(LOOPING);
  wasmtime_func_t empty = func_of(&instance, "empty");
  expect_no_trap(call(&empty));
  expect(deadline.calls == 1);
  expect_no_trap(call(&empty));
  wasmtime_engine_increment_epoch(engine);
  wasmtime_engine_increment_epoch(engine);
  expect_no_trap(call(&empty));
  expect(deadline.calls == 1);
  wasmtime_engine_increment_epoch(engine);
  expect_no_trap(call(&empty));
  expect(deadline.calls == 2);
}

static void replacing_a_callback_finalizes_the_old_one(void) {
  struct deadline first = {0, 0, 0, NULL}, second = {0, 0, 0, NULL};
  wasmtime_store_epoch_deadline_callback(store, far_away, &first, finalize_deadline);
  wasmtime_store_epoch_deadline_callback(store, far_away, &second, finalize_deadline);
  expect(first.finalized == 1 && second.finalized == 0);
  wasmtime_instance_t instance = instance_of(LOOPING);
  wasmtime_func_t empty = func_of(&instance, "empty");
  expect_no_trap(call(&empty));
  expect(first.calls == 0 && second.calls == 1);
  wasmtime_store_delete(store);
  store = NULL;
  expect(first.finalized == 1 && second.finalized == 1);
}

static wasmtime_error_t *yield_now(wasmtime_context_t *context, void *data, uint64_t *delta,
                                   wasmtime_update_deadline_kind_t *kind) {
  (void)context, (void)data;
  *delta = 1;
  *kind = WASMTIME_UPDATE_DEADLINE_YIELD;
  return NULL;
}

static void a_yield_outside_an_async_call_ends_the_guest(void) {
  wasmtime_store_epoch_deadline_callback(store, yield_now, NULL, NULL);
  wasmtime_instance_t instance = instance_of(LOOPING);
  wasmtime_func_t loop = func_of(&instance, "loop");
  wasm_trap_t *trap = NULL;
  wasmtime_error_t *error = wasmtime_func_call(ctx, &loop, NULL, 0, NULL, 0, &trap);
  expect((error != NULL) + (trap != NULL) == 1);
  if (error) wasmtime_error_delete(error);
  if (trap) wasm_trap_delete(trap);
}

static void fuel_and_epochs(wasm_config_t *config) {
  consume_fuel(config);
  epochs(config);
}

static void fuel_and_deadline_end_a_guest_each_for_itself(void) {
  wasmtime_instance_t instance = instance_of(LOOPING);
  wasmtime_func_t loop = func_of(&instance, "loop");
  wasmtime_context_set_epoch_deadline(ctx, 1);
  expect_ok(wasmtime_context_set_fuel(ctx, 1000));
  expect_trap(call(&loop), WASMTIME_TRAP_CODE_OUT_OF_FUEL);
  expect_ok(wasmtime_context_set_fuel(ctx, UINT64_MAX));
  wasmtime_engine_increment_epoch(engine);
  expect_trap(call(&loop), WASMTIME_TRAP_CODE_INTERRUPT);
}

// -- Collection of host references

static void an_unreachable_reference_is_finalized_by_gc(void) {
  static int finalized;
  finalized = 0;
  wasmtime_externref_t ref;
  expect(wasmtime_externref_new(ctx, &finalized, count_finalized, &ref));
  expect_ok(wasmtime_context_gc(ctx));
  expect(finalized == 0); // rooted
  wasmtime_externref_unroot(&ref);
  expect_ok(wasmtime_context_gc(ctx));
  expect(finalized == 1);
}

static void deleting_the_store_finalizes_every_reference_once(void) {
  static int finalized;
  finalized = 0;
  wasmtime_externref_t refs[10];
  for (int i = 0; i < 10; i++) {
    expect(wasmtime_externref_new(ctx, &finalized, count_finalized, &refs[i]));
    if (i % 2) wasmtime_externref_unroot(&refs[i]);
  }
  wasmtime_store_delete(store);
  store = NULL;
  expect(finalized == 10);
  for (int i = 0; i < 10; i += 2) wasmtime_externref_unroot(&refs[i]); // a root may outlive its store
  expect(finalized == 10);
}

static void a_reference_in_a_global_or_table_stays(void) {
  wasmtime_instance_t instance = instance_of("(module (global (export \"g\") (mut externref) (ref.null extern))"
                                             "  (table (export \"t\") 2 externref))");
  wasmtime_global_t global = export_of(&instance, "g").of.global;
  wasmtime_table_t table = export_of(&instance, "t").of.table;
  static int in_global, in_table;
  in_global = in_table = 0;
  wasmtime_val_t val = null_externref_val(), null = null_externref_val();
  expect(wasmtime_externref_new(ctx, &in_global, count_finalized, &val.of.externref));
  expect_ok(wasmtime_global_set(ctx, &global, &val));
  wasmtime_val_unroot(&val);
  val = null_externref_val();
  expect(wasmtime_externref_new(ctx, &in_table, count_finalized, &val.of.externref));
  expect_ok(wasmtime_table_set(ctx, &table, 1, &val));
  wasmtime_val_unroot(&val);
  expect_ok(wasmtime_context_gc(ctx));
  expect(in_global == 0 && in_table == 0);
  expect_ok(wasmtime_table_set(ctx, &table, 1, &null));
  expect_ok(wasmtime_context_gc(ctx));
  expect(in_global == 0 && in_table == 1);
  expect_ok(wasmtime_global_set(ctx, &global, &null));
  expect_ok(wasmtime_context_gc(ctx));
  expect(in_global == 1 && in_table == 1);
}

static wasm_trap_t *collect(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                            wasmtime_val_t *results, size_t nresults) {
  (void)env, (void)args, (void)nargs, (void)results, (void)nresults;
  expect_ok(wasmtime_context_gc(wasmtime_caller_context(caller)));
  return NULL;
}

static void a_reference_in_a_guests_local_stays_while_it_is_used(void) {
  wasm_functype_t *type = wasm_functype_new_0_0();
  wasmtime_func_t host;
  wasmtime_func_new(ctx, type, collect, NULL, NULL, &host);
  wasm_functype_delete(type);
  wasmtime_extern_t import = func_extern(host);
  wasmtime_instance_t instance =
      instance_with(ctx, engine, "(module (import \"\" \"\" (func $gc))"
                                 "  (func (export \"f\") (param externref) (result externref) call $gc local.get 0))",
                    &import, 1);
  wasmtime_func_t f = func_of(&instance, "f");
  static int finalized;
  finalized = 0;
  wasmtime_val_t arg = null_externref_val(), result;
  expect(wasmtime_externref_new(ctx, &finalized, count_finalized, &arg.of.externref));
  wasm_trap_t *trap = NULL;
  expect_ok(wasmtime_func_call(ctx, &f, &arg, 1, &result, 1, &trap));
  wasmtime_val_unroot(&arg);
  expect_ok(wasmtime_context_gc(ctx));
  expect(finalized == 0);
  expect(wasmtime_externref_data(ctx, &result.of.externref) == &finalized);
  wasmtime_val_unroot(&result);
  expect_ok(wasmtime_context_gc(ctx));
  expect(finalized == 1);
}

// -- WASI

static void a_wasi_state_is_taken_over_and_replaced(void) {
  wasi_config_t *config = wasi_config_new();
  expect_ok(wasmtime_context_set_wasi(ctx, config));
  expect_ok(wasmtime_context_set_wasi(ctx, wasi_config_new()));
}

// -- Isolation

static void many_stores_live_side_by_side(void) {
  enum { N = 200 };
  static wasmtime_store_t *stores[N];
  static wasmtime_func_t next[N];
  wasmtime_module_t *module = module_of("(module (global $g (mut i32) (i32.const 0))"
                                        "  (func (export \"next\") (result i32)"
                                        "    (global.set $g (i32.add (global.get $g) (i32.const 1))) global.get $g))");
  for (int i = 0; i < N; i++) {
    wasmtime_instance_t instance;
    wasm_trap_t *trap = NULL;
    stores[i] = wasmtime_store_new(engine, NULL, NULL);
    wasmtime_context_t *c = wasmtime_store_context(stores[i]);
    expect_ok(wasmtime_instance_new(c, module, NULL, 0, &instance, &trap));
    next[i] = export_in(c, &instance, "next").of.func;
  }
  wasmtime_context_t *mine = ctx;
  for (int round = 1; round <= 3; round++) {
    for (int i = 0; i < N; i++) {
      ctx = wasmtime_store_context(stores[i]);
      expect(call0(&next[i]) == round);
    }
  }
  ctx = mine;
  for (int i = 0; i < N; i++) wasmtime_store_delete(stores[i]);
  wasmtime_module_delete(module);
}

struct worker {
  wasm_engine_t *engine;
  wasmtime_module_t *module;
  int wrong;
};

static void *work(void *data) {
  struct worker *worker = data;
  for (int round = 0; round < 50; round++) {
    wasmtime_store_t *s = wasmtime_store_new(worker->engine, NULL, NULL);
    wasmtime_context_t *c = wasmtime_store_context(s);
    wasmtime_instance_t instance;
    wasmtime_extern_t item;
    wasm_trap_t *trap = NULL;
    wasmtime_error_t *error;
    wasmtime_val_t args[2] = {i32_val(round), i32_val(1000)}, result;
    wasmtime_context_set_epoch_deadline(c, 1000000);
    error = wasmtime_instance_new(c, worker->module, NULL, 0, &instance, &trap);
    if (error || trap || !wasmtime_instance_export_get(c, &instance, "f", 1, &item)) {
      worker->wrong++;
    } else {
      error = wasmtime_func_call(c, &item.of.func, args, 2, &result, 1, &trap);
      if (error || trap || result.of.i32 != round * 1000) worker->wrong++;
      if (!wasmtime_instance_export_get(c, &instance, "trap", 4, &item)) worker->wrong++;
      error = wasmtime_func_call(c, &item.of.func, NULL, 0, NULL, 0, &trap);
      if (error || !trap) worker->wrong++;
      if (trap) wasm_trap_delete(trap);
    }
    wasmtime_store_delete(s);
  }
  return NULL;
}

static void many_threads_share_an_engine_while_epochs_tick(void) {
  enum { N = 8 };
  pthread_t threads[N];
  struct worker workers[N];
  wasmtime_module_t *module =
      module_of("(module (memory 1)"
                "  (func (export \"f\") (param i32 i32) (result i32) (local $sum i32)"
                "    (loop (local.set $sum (i32.add (local.get $sum) (local.get 0)))"
                "      (br_if 0 (local.tee 1 (i32.sub (local.get 1) (i32.const 1)))))"
                "    (i32.store (i32.const 0) (local.get $sum)) (i32.load (i32.const 0)))"
                "  (func (export \"trap\") unreachable))");
  for (int i = 0; i < N; i++) {
    workers[i] = (struct worker){engine, module, 0};
    pthread_create(&threads[i], NULL, work, &workers[i]);
  }
  for (int i = 0; i < 1000; i++) wasmtime_engine_increment_epoch(engine);
  for (int i = 0; i < N; i++) {
    pthread_join(threads[i], NULL);
    expect(workers[i].wrong == 0);
  }
  wasmtime_module_delete(module);
}

static void *delete_elsewhere(void *of) {
  wasmtime_store_delete(of);
  return NULL;
}

static void a_store_may_be_deleted_by_another_thread(void) {
  static int finalized;
  finalized = 0;
  wasmtime_externref_t ref;
  wasmtime_instance_t instance = instance_of(GROWING);
  wasmtime_func_t grow = func_of(&instance, "memory");
  expect(call1(&grow, 1) == 1);
  expect(wasmtime_externref_new(ctx, &finalized, count_finalized, &ref));
  pthread_t thread;
  pthread_create(&thread, NULL, delete_elsewhere, store);
  pthread_join(thread, NULL);
  store = NULL;
  expect(finalized == 1);
  wasmtime_externref_unroot(&ref);
}

int main(void) {
  RUN(data_is_what_was_given_or_set_last);
  RUN(a_store_without_data_can_be_given_some_and_finalizes_null);
  RUN(the_finalizer_runs_once_on_the_data_of_the_end);
  RUN(a_store_outlives_its_engine_handle);
  RUN(memory_grows_up_to_the_limit_in_bytes);
  RUN(a_table_grows_up_to_the_limit_in_elements);
  RUN(instances_tables_and_memories_are_counted);
  RUN(what_the_host_makes_is_not_counted);
  RUN(what_begins_beyond_a_limit_is_an_error);
  RUN(each_memory_and_table_has_the_limit_for_itself);
  RUN(limits_leave_alone_what_exists);
  RUN(ten_thousand_instances_are_the_default);
  RUN_WITH(consume_fuel, fuel_is_counted_exactly);
  RUN_WITH(consume_fuel, some_operators_are_free);
  RUN_WITH(consume_fuel, bulk_operations_cost_one);
  RUN_WITH(consume_fuel, fuel_is_set_read_and_replaced);
  RUN_WITH(consume_fuel, more_fuel_than_a_signed_number_holds_is_counted_too);
  RUN_WITH(consume_fuel, a_guest_without_fuel_traps);
  RUN_WITH(consume_fuel, running_out_of_fuel_has_its_message);
  RUN_WITH(consume_fuel, a_host_function_sees_and_sets_the_fuel);
  RUN_WITH(consume_fuel, a_start_function_uses_fuel_too);
  RUN(fuel_is_an_error_unless_configured);
  RUN_WITH(epochs, a_guest_past_its_deadline_is_interrupted);
  RUN_WITH(epochs, another_thread_interrupts_a_loop);
  RUN_WITH(epochs, a_callback_lets_the_guest_go_on_until_it_fails);
  RUN_WITH(epochs, a_callback_moves_the_deadline_from_the_current_epoch);
  RUN_WITH(epochs, replacing_a_callback_finalizes_the_old_one);
  RUN_WITH(epochs, a_yield_outside_an_async_call_ends_the_guest);
  RUN_WITH(fuel_and_epochs, fuel_and_deadline_end_a_guest_each_for_itself);
  RUN(an_unreachable_reference_is_finalized_by_gc);
  RUN(deleting_the_store_finalizes_every_reference_once);
  RUN(a_reference_in_a_global_or_table_stays);
  RUN(a_reference_in_a_guests_local_stays_while_it_is_used);
  RUN(a_wasi_state_is_taken_over_and_replaced);
  RUN(many_stores_live_side_by_side);
  RUN_WITH(epochs, many_threads_share_an_engine_while_epochs_tick);
  RUN(a_store_may_be_deleted_by_another_thread);
  return test_summary();
}
