// ampoule/limits.h: a limiter that decides case by case, and the numbers of a store.
#include "test.h"

#include <ampoule.h>
#include <time.h>

#define PAGE 65536u

// A limiter that writes down what it was asked, and answers as it was told to.
typedef struct {
  ampoule_limit_request_t asked[16], failed[16];
  int nasked, nfailed;
  uint64_t most_bytes;
  bool error;
  int finalized;
} log_t;

static wasmtime_error_t *allow(void *env, const ampoule_limit_request_t *request, bool *answer) {
  log_t *log = env;
  expect(!*answer);
  if (log->nasked < 16) log->asked[log->nasked] = *request;
  log->nasked++;
  if (log->error) return wasmtime_error_new("the limiter is fed up");
  *answer = request->desired <= log->most_bytes;
  return NULL;
}

static void failed(void *env, const ampoule_limit_request_t *request, const wasmtime_error_t *reason) {
  log_t *log = env;
  wasm_name_t message;
  wasmtime_error_message(reason, &message);
  expect(message.size > 0);
  wasm_name_delete(&message);
  if (log->nfailed < 16) log->failed[log->nfailed] = *request;
  log->nfailed++;
}

static void finalize(void *env) { ((log_t *)env)->finalized++; }

static void set_limiter(log_t *log) {
  memset(log, 0, sizeof *log);
  log->most_bytes = UINT64_MAX;
  expect_ok(ampoule_store_set_limiter(store, allow, failed, log, finalize));
}

static bool is(const ampoule_limit_request_t *request, int kind, bool grows, uint64_t current, uint64_t desired,
               uint64_t maximum) {
  return request->kind == kind && request->grows == grows && request->current == current &&
         request->desired == desired && request->maximum == maximum;
}

static const char *const GROWING =
    "(module (memory (export \"memory\") 1 5) (table (export \"table\") 2 funcref)"
    "  (func (export \"grow\") (param i32) (result i32) (memory.grow (local.get 0)))"
    "  (func (export \"grow_table\") (param i32) (result i32) (table.grow (ref.null func) (local.get 0))))";

static log_t first, second;

static void creation_and_growth_are_asked_for(void) {
  log_t *log = &first;
  set_limiter(log);
  wasmtime_instance_t instance = instance_of(GROWING);
  expect(log->nasked == 3);
  expect(is(&log->asked[0], AMPOULE_LIMIT_INSTANCE, false, 0, 1, UINT64_MAX));
  expect(is(&log->asked[1], AMPOULE_LIMIT_MEMORY, false, 0, PAGE, 5 * PAGE));
  expect(is(&log->asked[2], AMPOULE_LIMIT_TABLE, false, 0, 2, UINT64_MAX));

  wasmtime_func_t grow = func_of(&instance, "grow"), grow_table = func_of(&instance, "grow_table");
  expect(call1(&grow, 2) == 1);
  expect(log->nasked == 4 && is(&log->asked[3], AMPOULE_LIMIT_MEMORY, true, PAGE, 3 * PAGE, 5 * PAGE));
  expect(call1(&grow, 0) == 3);
  expect(log->nasked == 4);
  expect(call1(&grow_table, 4) == 2);
  expect(log->nasked == 5 && is(&log->asked[4], AMPOULE_LIMIT_TABLE, true, 2, 6, UINT64_MAX));
  expect(log->nfailed == 0);

  // Refused: by the limiter, and by the type, which the limiter is only told of.
  log->most_bytes = 3;
  expect(call1(&grow, 1) == -1);
  expect(call1(&grow_table, 1) == -1);
  expect(log->nasked == 7 && log->nfailed == 2);
  expect(is(&log->failed[0], AMPOULE_LIMIT_MEMORY, true, 3 * PAGE, 4 * PAGE, 5 * PAGE));
  expect(is(&log->failed[1], AMPOULE_LIMIT_TABLE, true, 6, 7, UINT64_MAX));
  expect(call1(&grow, 3) == -1);
  expect(log->nasked == 7 && log->nfailed == 3);
  expect(is(&log->failed[2], AMPOULE_LIMIT_MEMORY, true, 3 * PAGE, 6 * PAGE, 5 * PAGE));
  expect(call1(&grow, 0) == 3);
}

static void the_numbers_have_to_allow_too(void) {
  log_t *log = &first;
  set_limiter(log);
  wasmtime_instance_t instance = instance_of(GROWING);
  wasmtime_func_t grow = func_of(&instance, "grow");
  wasmtime_store_limiter(store, 2 * PAGE, -1, -1, -1, -1);
  log->nasked = 0;
  expect(call1(&grow, 1) == 1);
  expect(log->nasked == 1);
  expect(call1(&grow, 1) == -1);
  expect(log->nasked == 1 && log->nfailed == 1);
}

static void the_host_is_asked_for_its_own_growth(void) {
  log_t *log = &first;
  set_limiter(log);
  wasmtime_instance_t instance = instance_of(GROWING);
  wasmtime_memory_t memory = export_of(&instance, "memory").of.memory;
  wasmtime_table_t table = export_of(&instance, "table").of.table;
  uint64_t before = 77;
  wasmtime_val_t null = funcref_val(NULL);
  log->most_bytes = 0;
  expect_error_says(wasmtime_memory_grow(ctx, &memory, 1, &before), "failed to grow memory by `1`");
  expect_error_says(wasmtime_table_grow(ctx, &table, 1, &null, &before), "failed to grow table by `1`");
  expect(before == 77 && log->nfailed == 2);
  log->error = true;
  expect_error_says(wasmtime_memory_grow(ctx, &memory, 1, &before), "fed up");
  expect_error_says(wasmtime_table_grow(ctx, &table, 1, &null, &before), "fed up");
  expect(before == 77 && log->nfailed == 2);
  wasm_memorytype_t *ty = NULL;
  expect_ok(wasmtime_memorytype_new(1, false, 0, false, false, 16, &ty));
  expect_error_says(wasmtime_memory_new(ctx, ty, &memory), "fed up");
  log->error = false;
  expect_error_says(wasmtime_memory_new(ctx, ty, &memory), "exceeds memory limits");
  expect(log->nfailed == 3);
  wasm_memorytype_delete(ty);
}

static wasmtime_error_t *instantiate(void) {
  wasmtime_module_t *module = module_of(GROWING);
  wasmtime_instance_t instance;
  wasm_trap_t *trap = NULL;
  wasmtime_error_t *error = wasmtime_instance_new(ctx, module, NULL, 0, &instance, &trap);
  expect_no_trap(trap);
  wasmtime_module_delete(module);
  return error;
}

static void instantiation_is_refused_whole(void) {
  log_t *log = &first;
  set_limiter(log);
  log->most_bytes = 0;
  expect_error_says(instantiate(), "refused another instance");
  log->most_bytes = 1;
  expect_error_says(instantiate(), "memory minimum size of 1 pages exceeds memory limits");
  expect(log->nfailed == 2);
  log->error = true;
  expect_error_says(instantiate(), "fed up");
  log->error = false;
  log->most_bytes = UINT64_MAX;
  expect_ok(instantiate());
  expect(is(&log->asked[log->nasked - 3], AMPOULE_LIMIT_INSTANCE, false, 0, 1, UINT64_MAX));
}

static void an_error_ends_the_guest(void) {
  log_t *log = &first;
  set_limiter(log);
  wasmtime_instance_t instance = instance_of(GROWING);
  wasmtime_func_t grow = func_of(&instance, "grow");
  log->error = true;
  wasmtime_val_t arg = i32_val(1), result;
  wasm_trap_t *trap = NULL;
  expect_error_says(wasmtime_func_call(ctx, &grow, &arg, 1, &result, 1, &trap), "fed up");
  expect_no_trap(trap);
  log->error = false;
  expect(call1(&grow, 1) == 1);
}

static void limiters_are_finalized_once(void) {
  set_limiter(&first);
  set_limiter(&second);
  expect(first.finalized == 1 && second.finalized == 0);
  expect_ok(ampoule_store_set_limiter(store, NULL, NULL, &first, finalize));
  expect(first.finalized == 2 && second.finalized == 1);
  set_limiter(&second);
  wasmtime_store_delete(store);
  store = NULL;
  expect(second.finalized == 1);
}

static wasmtime_func_t reentrant_func;
static wasmtime_memory_t reentrant_memory;
static int reentries;

// Does what a limiter must not do, and is told so each time.
static wasmtime_error_t *misbehave(void *env, const ampoule_limit_request_t *request, bool *answer) {
  (void)request;
  *answer = true;
  reentries++;
  const char *said = "a limiter cannot use the store";
  wasmtime_val_t arg = i32_val(0), result;
  wasm_trap_t *trap = NULL;
  uint64_t before;
  expect_error_says(wasmtime_func_call(ctx, &reentrant_func, &arg, 1, &result, 1, &trap), said);
  expect_no_trap(trap);
  expect_error_says(wasmtime_memory_grow(ctx, &reentrant_memory, 1, &before), said);
  expect_error_says(instantiate(), said);
  expect_error_says(ampoule_store_set_limiter(store, NULL, NULL, env, count_finalized), said);
  return NULL;
}

static void a_limiter_cannot_use_its_store(void) {
  int finalized = 0;
  wasmtime_instance_t instance = instance_of(GROWING);
  wasmtime_func_t grow = func_of(&instance, "grow");
  reentrant_func = grow;
  reentrant_memory = export_of(&instance, "memory").of.memory;
  expect_ok(ampoule_store_set_limiter(store, misbehave, NULL, &finalized, NULL));
  uint64_t before = 0;
  expect(call1(&grow, 1) == 1); // while a guest runs
  expect(reentries == 1);
  expect_ok(wasmtime_memory_grow(ctx, &reentrant_memory, 1, &before)); // while none does
  expect(reentries == 2 && before == 2 && finalized == 2);
  expect(call1(&grow, 0) == 3);
}

static void with_threads(wasm_config_t *config) {
  wasmtime_config_wasm_threads_set(config, true);
  wasmtime_config_shared_memory_set(config, true);
}

static void shared_memories_are_asked_for_too(void) {
  log_t *log = &first;
  set_limiter(log);
  wasmtime_instance_t instance = instance_of(
      "(module (memory 1 5 shared) (func (export \"grow\") (param i32) (result i32) (memory.grow (local.get 0))))");
  wasmtime_func_t grow = func_of(&instance, "grow");
  expect(log->nasked == 2 && is(&log->asked[1], AMPOULE_LIMIT_MEMORY, false, 0, PAGE, 5 * PAGE));
  log->most_bytes = 2 * PAGE;
  expect(call1(&grow, 1) == 1);
  expect(call1(&grow, 1) == -1);
  expect(log->nasked == 4 && log->nfailed == 1);
  expect(is(&log->failed[0], AMPOULE_LIMIT_MEMORY, true, 2 * PAGE, 3 * PAGE, 5 * PAGE));
}

// -- Statistics

static ampoule_statistics_t statistics(void) {
  ampoule_statistics_t found;
  memset(&found, 0xa5, sizeof found);
  found.size = sizeof found;
  ampoule_context_statistics(ctx, &found);
  expect(found.size == sizeof found);
  return found;
}

static void sizes_are_what_there_is(void) {
  ampoule_statistics_t found = statistics();
  expect(found.instances == 0 && found.memories == 0 && found.tables == 0 && found.memory_bytes == 0);
  expect(found.memory_resident_bytes == 0 && found.memory_reserved_bytes == 0 && found.table_bytes == 0);
  expect(found.instance_bytes == 0 && found.fuel_used == 0 && found.host_calls == 0 && found.guest_time_ns == 0);

  wasmtime_instance_t instance = instance_of(
      "(module (memory (export \"memory\") 10) (table 100 funcref)"
      "  (func (export \"grow\") (param i32) (result i32) (memory.grow (local.get 0)))"
      "  (func (export \"touch\") (param i32) (result i32)"
      "    (loop (i32.store (local.get 0) (i32.const 1))"
      "      (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 4096))))) (local.get 0)))");
  found = statistics();
  expect(found.instances == 1 && found.memories == 1 && found.tables == 1);
  expect(found.memory_bytes == 10 * PAGE);
  expect(found.memory_reserved_bytes >= (uint64_t)4 << 30);
  expect(found.table_bytes >= 100 * 8);
  expect(found.instance_bytes > 0 && found.instance_bytes < 10000);
  uint64_t resident = found.memory_resident_bytes;
  wasmtime_func_t touch = func_of(&instance, "touch"), grow = func_of(&instance, "grow");
  expect(call1(&touch, 40 * 4096) == 0);
  found = statistics();
  // The memory may be one that was used before: some of its pages are there already, zeroed.
  if (resident != UINT64_MAX) {
    expect(found.memory_resident_bytes >= 40 * 4096);
    expect(found.memory_resident_bytes <= resident + 40 * 4096);
  }
  expect(call1(&grow, 5) == 10);
  expect(statistics().memory_bytes == 15 * PAGE);
  wasmtime_instance_t other = instance_of("(module (memory 1))");
  (void)other;
  found = statistics();
  expect(found.instances == 2 && found.memories == 2 && found.memory_bytes == 16 * PAGE);
}

// -- Stacks of asynchronous calls

static void with_stacks_of_a_megabyte(wasm_config_t *config) {
  wasmtime_config_epoch_interruption_set(config, true);
  wasmtime_config_async_stack_size_set(config, 1 << 20);
}

static ampoule_statistics_t inside;

static wasm_trap_t *look(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                         wasmtime_val_t *results, size_t nresults) {
  (void)env, (void)caller, (void)args, (void)nargs, (void)results, (void)nresults;
  inside = statistics();
  return NULL;
}

static void stacks_are_counted(void) {
  enum { RESERVED = (1 << 20) + 4096, DEPTH = 2000 };
  wasm_functype_t *type = wasm_functype_new_0_0();
  wasmtime_extern_t import = {.kind = WASMTIME_EXTERN_FUNC};
  wasmtime_func_new(ctx, type, look, NULL, NULL, &import.of.func);
  wasm_functype_delete(type);
  // Goes down in frames of some hundred bytes, and waits there.
  wasmtime_instance_t instance = instance_with(
      ctx, engine,
      "(module (import \"\" \"\" (func $look))"
      "  (func $down (export \"down\") (param i32) (result i32) (local i64 i64 i64 i64 i64 i64 i64 i64)"
      "    (if (local.get 0) (then (drop (call $down (i32.sub (local.get 0) (i32.const 1)))))"
      "      (else (call $look) (call $wait))) (local.get 0))"
      "  (func $wait (loop (br_if 0 (i32.eqz (global.get $go))))) (global $go (export \"go\") (mut i32) (i32.const 0)))",
      &import, 1);
  wasmtime_func_t down = func_of(&instance, "down");
  wasmtime_global_t go = export_of(&instance, "go").of.global;
  wasmtime_val_t depth = i32_val(DEPTH), result;
  ampoule_statistics_t found = statistics();
  expect(found.stacks == 0 && found.stack_reserved_bytes == 0 && found.stack_resident_bytes == 0);

  wasm_trap_t *trap = NULL;
  wasmtime_error_t *error = NULL;
  expect_ok(wasmtime_context_epoch_deadline_async_yield_and_update(ctx, 0));
  wasmtime_call_future_t *call = wasmtime_func_call_async(ctx, &down, &depth, 1, &result, 1, &trap, &error);
  expect(statistics().stacks == 0); // it has not begun
  inside.stacks = 99;
  while (!wasmtime_call_future_poll(call) && inside.stacks == 99) {
  }
  // Both while it runs and while it waits.
  expect(inside.stacks == 1 && inside.stack_reserved_bytes == RESERVED);
  found = statistics();
  expect(found.stacks == 1 && found.stack_reserved_bytes == RESERVED);
  if (found.stack_resident_bytes != UINT64_MAX) {
    // Each frame holds at least a return address and a frame pointer.
    expect(found.stack_resident_bytes >= DEPTH * 16 && found.stack_resident_bytes < RESERVED);
    expect(inside.stack_resident_bytes >= DEPTH * 16);
  }
  wasmtime_val_t yes = i32_val(1);
  expect_ok(wasmtime_global_set(ctx, &go, &yes));
  while (!wasmtime_call_future_poll(call)) {
  }
  expect(!error && !trap);
  wasmtime_call_future_delete(call);
  found = statistics(); // kept for the next
  expect(found.stacks == 1 && found.stack_reserved_bytes == RESERVED);
}

static void a_shared_memory_counts_once(void) {
  wasmtime_instance_t instance = instance_of("(module (memory (export \"m\") 2 5 shared))");
  wasmtime_extern_t memory = export_of(&instance, "m");
  instance_with(ctx, engine, "(module (import \"\" \"m\" (memory 1 5 shared)))", &memory, 1);
  wasmtime_extern_delete(&memory);
  ampoule_statistics_t found = statistics();
  expect(found.instances == 2 && found.memories == 1 && found.memory_bytes == 2 * PAGE);
  expect(found.memory_reserved_bytes >= 5 * PAGE);
}

static void structs_of_other_versions_are_filled_as_far_as_they_go(void) {
  struct {
    ampoule_statistics_t known;
    uint64_t later[2];
  } longer;
  memset(&longer, 0xa5, sizeof longer);
  longer.known.size = sizeof longer;
  ampoule_context_statistics(ctx, &longer.known);
  expect(longer.known.size == sizeof longer.known && longer.known.instances == 0);
  expect(longer.later[0] == 0xa5a5a5a5a5a5a5a5u);
  ampoule_statistics_t shorter;
  memset(&shorter, 0xa5, sizeof shorter);
  shorter.size = offsetof(ampoule_statistics_t, memories);
  ampoule_context_statistics(ctx, &shorter);
  expect(shorter.size == offsetof(ampoule_statistics_t, memories));
  expect(shorter.instances == 0 && shorter.memories == 0xa5a5a5a5a5a5a5a5u);
}

static void with_objects(wasm_config_t *config) {
  wasmtime_config_wasm_function_references_set(config, true);
  wasmtime_config_wasm_gc_set(config, true);
}

static void the_heap_of_objects_is_told(void) {
  enum { VALUE = 8, NODE = 16 }; // header and number; header, reference and integer
  wasmtime_externref_t values[3], copy;
  ampoule_statistics_t found = statistics(), before;
  expect(!found.gc_heap_bytes && !found.gc_live_bytes && !found.gc_allocated_bytes && !found.gc_reserved_bytes);
  expect(!found.gc_minor_collections && !found.gc_major_collections && !found.gc_time_ns && !found.gc_longest_ns);
  expect(!found.gc_roots && !found.gc_host_values);

  for (int i = 0; i < 3; i++) expect(wasmtime_externref_new(ctx, NULL, NULL, &values[i]));
  wasmtime_externref_clone(&values[0], &copy);
  found = statistics();
  expect(found.gc_heap_bytes >= PAGE && found.gc_heap_bytes % PAGE == 0 && found.gc_reserved_bytes > (uint64_t)4 << 30);
  expect(found.gc_allocated_bytes == 3 * VALUE && found.gc_live_bytes == 0);
  expect(found.gc_roots == 4 && found.gc_host_values == 3 && found.gc_major_collections == 0);

  for (int i = 0; i < 3; i++) wasmtime_externref_unroot(&values[i]);
  expect(statistics().gc_roots == 1 && statistics().gc_host_values == 3);
  expect_ok(wasmtime_context_gc(ctx));
  found = statistics();
  expect(found.gc_major_collections == 1 && found.gc_minor_collections >= 1);
  expect(found.gc_time_ns > 0 && found.gc_longest_ns > 0 && found.gc_longest_ns <= found.gc_time_ns);
  expect(found.gc_live_bytes == VALUE && found.gc_allocated_bytes == 3 * VALUE);
  expect(found.gc_roots == 1 && found.gc_host_values == 1);

  wasmtime_instance_t instance = instance_of(
      "(module (type $node (struct (field (ref null $node)) (field i32)))"
      "  (global $list (mut (ref null $node)) (ref.null $node))"
      "  (func (export \"make\") (param $n i32) (result i32)"
      "    (loop (global.set $list (struct.new $node (global.get $list) (local.get $n)))"
      "      (br_if 0 (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))"
      "    (local.get $n))"
      "  (func (export \"drop\") (param i32) (result i32) (global.set $list (ref.null $node)) (local.get 0)))");
  wasmtime_func_t make = func_of(&instance, "make"), drop = func_of(&instance, "drop");
  before = found;
  expect(call1(&make, 100000) == 0);
  found = statistics();
  expect(found.gc_allocated_bytes - before.gc_allocated_bytes == 100000 * NODE);
  expect(found.gc_heap_bytes >= 100000 * NODE && found.gc_minor_collections > before.gc_minor_collections);
  expect(found.gc_live_bytes == before.gc_live_bytes || found.gc_major_collections > before.gc_major_collections);
  expect_ok(wasmtime_context_gc(ctx));
  expect(statistics().gc_live_bytes == 100000 * NODE + VALUE);
  expect(call1(&drop, 0) == 0);
  expect_ok(wasmtime_context_gc(ctx));
  found = statistics();
  expect(found.gc_live_bytes == VALUE && found.gc_host_values == 1);
  // Not only small ones.
  wasmtime_field_type_t byte = {WASMTIME_STORAGE_KIND_I8, true};
  wasmtime_array_type_t *type = wasmtime_array_type_new(engine, &byte);
  wasmtime_array_ref_pre_t *pre = wasmtime_array_ref_pre_new(ctx, type);
  wasmtime_val_t zero = i32_val(0);
  wasmtime_arrayref_t array;
  before = found;
  expect_ok(wasmtime_arrayref_new(ctx, pre, &zero, 1 << 20, &array));
  found = statistics();
  expect(found.gc_allocated_bytes - before.gc_allocated_bytes == (1 << 20) + VALUE && found.gc_roots == 2);
  wasmtime_arrayref_unroot(&array);
  wasmtime_array_ref_pre_delete(pre);
  wasmtime_array_type_delete(type);
  wasmtime_externref_unroot(&copy);
  expect(statistics().gc_roots == 0);
}

static void with_fuel(wasm_config_t *config) { wasmtime_config_consume_fuel_set(config, true); }

static void fuel_used_adds_up_across_settings(void) {
  wasmtime_instance_t instance =
      instance_of("(module (func (export \"f\") (result i32) (i32.add (i32.const 1) (i32.const 2))))");
  wasmtime_func_t f = func_of(&instance, "f");
  uint64_t used = 0;
  for (uint64_t fuel = 100; fuel < 1000; fuel += 100) {
    uint64_t left = 0;
    expect_ok(wasmtime_context_set_fuel(ctx, fuel));
    expect(call0(&f) == 3);
    expect_ok(wasmtime_context_get_fuel(ctx, &left));
    used += fuel - left;
    expect(statistics().fuel_used == used);
  }
  expect(used > 0);
}

static int64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000000 + now.tv_nsec;
}

static void counting(wasm_config_t *config) { ampoule_config_statistics_set(config, true); }

static int64_t host_ns;

// A host function that takes its time, and asks for the numbers meanwhile.
static wasm_trap_t *slow(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                         wasmtime_val_t *results, size_t nresults) {
  (void)env, (void)caller, (void)nargs, (void)results, (void)nresults;
  int64_t before = now_ns();
  uint64_t guest = statistics().guest_time_ns;
  while (now_ns() - before < args[0].of.i32 * 1000) {}
  expect(statistics().guest_time_ns == guest);
  host_ns += now_ns() - before;
  return args[0].of.i32 == 13 ? wasmtime_trap_new("unlucky", 7) : NULL;
}

static void host_calls_and_guest_time_are_counted(void) {
  wasm_functype_t *ty = wasm_functype_new_1_0(wasm_valtype_new_i32());
  wasmtime_func_t host;
  wasmtime_func_new(ctx, ty, slow, NULL, NULL, &host);
  wasm_functype_delete(ty);
  wasmtime_extern_t import = func_extern(host);
  wasmtime_instance_t instance = instance_with(
      ctx, engine,
      "(module (import \"\" \"\" (func $slow (param i32)))"
      "  (func (export \"f\") (param i32 i32) (result i32)"
      "    (loop (call $slow (local.get 1))"
      "      (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))) (i32.const 1))"
      "  (func (export \"spin\") (param i32) (result i32)"
      "    (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))) (i32.const 1)))",
      &import, 1);
  wasmtime_func_t f = func_of(&instance, "f"), spin = func_of(&instance, "spin");
  uint64_t guest = statistics().guest_time_ns;
  int64_t start = now_ns();
  expect(call2(&f, 20, 1000) == 1);
  int64_t all = now_ns() - start;
  ampoule_statistics_t found = statistics();
  expect(found.host_calls == 20);
  expect(found.guest_time_ns > guest);
  expect((int64_t)(found.guest_time_ns - guest) <= all - host_ns);

  // A guest that does it all itself: nearly all time is the guest's.
  // Once, so that it is compiled; then until no other process has held it up just when it began or ended.
  expect(call1(&spin, 1) == 1);
  bool nearly_all = false;
  for (int attempt = 0; attempt < 10 && !nearly_all; attempt++) {
    guest = statistics().guest_time_ns;
    start = now_ns();
    expect(call1(&spin, 30 * 1000 * 1000) == 1);
    all = now_ns() - start;
    found = statistics();
    expect((int64_t)(found.guest_time_ns - guest) <= all);
    nearly_all = (int64_t)(found.guest_time_ns - guest) >= all - all / 10 - 1000000;
  }
  expect(nearly_all);
  expect(found.host_calls == 20);

  // A call that fails stops the clock too.
  wasmtime_val_t args[2] = {i32_val(1), i32_val(13)}, result;
  wasm_trap_t *trap = NULL;
  expect_error_says(wasmtime_func_call(ctx, &f, args, 2, &result, 1, &trap), "unlucky");
  guest = statistics().guest_time_ns;
  expect(statistics().guest_time_ns == guest && statistics().host_calls == 21);
}

static void nothing_is_counted_unless_configured(void) {
  wasm_functype_t *ty = wasm_functype_new_1_0(wasm_valtype_new_i32());
  wasmtime_func_t host;
  wasmtime_func_new(ctx, ty, slow, NULL, NULL, &host);
  wasm_functype_delete(ty);
  wasmtime_val_t arg = i32_val(1);
  wasm_trap_t *trap = NULL;
  expect_ok(wasmtime_func_call(ctx, &host, &arg, 1, NULL, 0, &trap));
  expect_no_trap(trap);
  expect(statistics().host_calls == 0 && statistics().guest_time_ns == 0);
}

int main(void) {
  RUN(creation_and_growth_are_asked_for);
  RUN(the_numbers_have_to_allow_too);
  RUN(the_host_is_asked_for_its_own_growth);
  RUN(instantiation_is_refused_whole);
  RUN(an_error_ends_the_guest);
  RUN(limiters_are_finalized_once);
  RUN(a_limiter_cannot_use_its_store);
  RUN_WITH(with_threads, shared_memories_are_asked_for_too);
  RUN(sizes_are_what_there_is);
  RUN_WITH(with_stacks_of_a_megabyte, stacks_are_counted);
  RUN_WITH(with_threads, a_shared_memory_counts_once);
  RUN(structs_of_other_versions_are_filled_as_far_as_they_go);
  RUN_WITH(with_objects, the_heap_of_objects_is_told);
  RUN_WITH(with_fuel, fuel_used_adds_up_across_settings);
  RUN_WITH(counting, host_calls_and_guest_time_are_counted);
  RUN(nothing_is_counted_unless_configured);
  return test_summary();
}
