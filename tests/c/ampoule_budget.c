// ampoule/budget.h: what a store's guests hold, read from anywhere, with a soft and a hard limit.
#include "test.h"

#include <ampoule.h>
#include <pthread.h>

#define PAGE 65536u

static const char *const GROWING =
    "(module (memory (export \"memory\") 1) (table (export \"table\") 2 funcref)"
    "  (func (export \"grow\") (param i32) (result i32) (memory.grow (local.get 0)))"
    "  (func (export \"grow_table\") (param i32) (result i32) (table.grow (ref.null func) (local.get 0)))"
    "  (func (export \"grow_often\") (param i32) (result i32)"
    "    (loop $more (drop (memory.grow (i32.const 1)))"
    "      (br_if $more (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))"
    "    (memory.size)))";

static void the_numbers_are_what_there_is(void) {
  ampoule_budget_t *budget = ampoule_budget_new(ctx);
  expect(ampoule_budget_total(budget) == 0 && ampoule_budget_peak(budget) == 0);
  expect(ampoule_budget_soft_limit(budget) == UINT64_MAX && ampoule_budget_hard_limit(budget) == UINT64_MAX);
  wasmtime_instance_t instance = instance_of(GROWING);
  wasmtime_func_t grow = func_of(&instance, "grow"), grow_table = func_of(&instance, "grow_table");
  expect(call1(&grow, 2) == 1 && call1(&grow_table, 3) == 2);
  ampoule_budget_t *other = ampoule_budget_new(ctx), *copy = ampoule_budget_clone(other);
  ampoule_budget_delete(other);
  expect(ampoule_budget_used(copy, AMPOULE_BUDGET_MEMORY) == 3 * PAGE);
  expect(ampoule_budget_used(copy, AMPOULE_BUDGET_TABLE) == 5 * 8);
  ampoule_statistics_t statistics = {.size = sizeof statistics};
  ampoule_context_statistics(ctx, &statistics);
  expect(ampoule_budget_used(copy, AMPOULE_BUDGET_INSTANCE) == statistics.instance_bytes);
  expect(ampoule_budget_used(copy, 200) == 0);
  uint64_t sum = 0;
  for (int kind = 0; kind < 100; kind++) sum += ampoule_budget_used(copy, (ampoule_budget_kind_t)kind);
  expect(sum == ampoule_budget_total(copy) && sum == ampoule_budget_peak(copy));
  ampoule_budget_delete(copy);
  ampoule_budget_delete(budget);
  ampoule_budget_delete(NULL);
}

static void code_counts_until_another_store_has_the_module(void) {
  ampoule_budget_t *budget = ampoule_budget_new(ctx);
  wasmtime_module_t *module = module_of(GROWING);
  wasmtime_instance_t instance;
  wasm_trap_t *trap = NULL;
  expect_ok(wasmtime_instance_new(ctx, module, NULL, 0, &instance, &trap));
  wasmtime_func_t grow = func_of(&instance, "grow"), grow_table = func_of(&instance, "grow_table");
  expect(ampoule_budget_used(budget, AMPOULE_BUDGET_CODE) == 0);
  expect(call1(&grow, 0) == 1);
  uint64_t one = ampoule_budget_used(budget, AMPOULE_BUDGET_CODE);
  expect(one > 0 && call1(&grow_table, 0) == 2 && ampoule_budget_used(budget, AMPOULE_BUDGET_CODE) > one);
  wasmtime_store_t *other = wasmtime_store_new(engine, NULL, NULL);
  expect_ok(wasmtime_instance_new(wasmtime_store_context(other), module, NULL, 0, &instance, &trap));
  expect(ampoule_budget_used(budget, AMPOULE_BUDGET_CODE) == 0);
  wasmtime_store_delete(other);
  wasmtime_module_delete(module);
  ampoule_budget_delete(budget);
}

static void the_hard_limit_refuses_and_names_what_it_refused(void) {
  ampoule_budget_t *budget = ampoule_budget_new(ctx);
  wasmtime_instance_t instance = instance_of(GROWING);
  wasmtime_func_t grow = func_of(&instance, "grow"), grow_table = func_of(&instance, "grow_table");
  wasmtime_memory_t memory = export_of(&instance, "memory").of.memory;
  // What is compiled when it is called first counts, too.
  expect(call1(&grow, 0) == 1 && call1(&grow_table, 0) == 2);
  uint64_t held = ampoule_budget_total(budget), before = 77;
  ampoule_budget_set_limits(budget, UINT64_MAX, held + PAGE);
  expect(ampoule_budget_hard_limit(budget) == held + PAGE);
  expect(call1(&grow, 2) == -1 && call1(&grow, 1) == 1 && call1(&grow, 1) == -1 && call1(&grow_table, 1) == -1);
  char expected[200];
  snprintf(expected, sizeof expected, "65536 bytes asked for memories, %llu of %llu used",
           (unsigned long long)held + PAGE, (unsigned long long)held + PAGE);
  expect_error_says(wasmtime_memory_grow(ctx, &memory, 1, &before), expected);
  expect(before == 77 && ampoule_budget_total(budget) == held + PAGE);

  wasmtime_module_t *module = module_of(GROWING);
  wasm_trap_t *trap = NULL;
  wasmtime_error_t *error = wasmtime_instance_new(ctx, module, NULL, 0, &instance, &trap);
  ampoule_error_info_t info = {.size = sizeof info};
  expect(ampoule_error_info(error, &info) && info.kind == AMPOULE_ERROR_LIMIT);
  expect_error_says(error, "the store's budget is used up");
  expect(ampoule_budget_total(budget) == held + PAGE);
  wasmtime_module_delete(module);
  ampoule_budget_delete(budget);
}

typedef struct {
  ampoule_soft_limit_t told[8];
  int ntold, finalized;
  uint64_t raise_to;
  bool error, uses_store;
  wasmtime_func_t grow;
} log_t;

static wasmtime_error_t *at_soft_limit(void *env, ampoule_soft_limit_t *passed) {
  log_t *log = env;
  if (log->ntold < 8) log->told[log->ntold] = *passed;
  log->ntold++;
  if (log->uses_store) {
    wasmtime_val_t arg = i32_val(1), result;
    wasm_trap_t *trap = NULL;
    expect_error_says(wasmtime_func_call(ctx, &log->grow, &arg, 1, &result, 1, &trap), "cannot use the store");
    expect_error_says(ampoule_store_set_soft_limit_callback(store, NULL, NULL, NULL), "cannot use the store");
  }
  if (log->error) return wasmtime_error_new("that is enough");
  if (log->raise_to) passed->soft_limit = passed->hard_limit = log->raise_to;
  return NULL;
}

static void finalize(void *env) { ((log_t *)env)->finalized++; }

static log_t first, second;

static void the_soft_limit_calls_once_and_may_raise_both(void) {
  memset(&first, 0, sizeof first);
  ampoule_budget_t *budget = ampoule_budget_new(ctx);
  expect_ok(ampoule_store_set_soft_limit_callback(store, at_soft_limit, &first, finalize));
  wasmtime_instance_t instance = instance_of(GROWING);
  first.grow = func_of(&instance, "grow");
  expect(call1(&first.grow, 0) == 1);
  first.uses_store = true;
  uint64_t held = ampoule_budget_total(budget);
  ampoule_budget_set_limits(budget, held + PAGE, UINT64_MAX);
  expect(call1(&first.grow, 1) == 1 && first.ntold == 0);
  expect(call1(&first.grow, 1) == 2 && first.ntold == 1);
  expect(call1(&first.grow, 1) == 3 && first.ntold == 1);
  ampoule_soft_limit_t *told = &first.told[0];
  expect(told->kind == AMPOULE_BUDGET_MEMORY && told->asked == PAGE && told->used == held + PAGE);
  expect(told->soft_limit == held + PAGE && told->hard_limit == UINT64_MAX);

  held = ampoule_budget_total(budget);
  ampoule_budget_set_limits(budget, held, held);
  first.raise_to = held + 2 * PAGE;
  expect(call1(&first.grow, 1) == 4 && first.ntold == 2);
  expect(ampoule_budget_hard_limit(budget) == held + 2 * PAGE);
  expect(call1(&first.grow, 1) == 5 && first.ntold == 2);
  expect(call1(&first.grow, 1) == -1 && first.ntold == 3);

  first.error = true;
  wasmtime_val_t arg = i32_val(1), result;
  wasm_trap_t *trap = NULL;
  expect_error_says(wasmtime_func_call(ctx, &first.grow, &arg, 1, &result, 1, &trap), "that is enough");
  expect(first.finalized == 0);
  memset(&second, 0, sizeof second);
  expect_ok(ampoule_store_set_soft_limit_callback(store, at_soft_limit, &second, finalize));
  expect(first.finalized == 1);
  expect_ok(ampoule_store_set_soft_limit_callback(store, NULL, NULL, NULL));
  expect(second.finalized == 1);
  ampoule_budget_delete(budget);
}

static bool done;

// Looks at a budget until it is told to end, and sets its limits again and again to what they are.
static void *watch(void *arg) {
  ampoule_budget_t *budget = arg;
  uint64_t last = 0;
  while (!__atomic_load_n(&done, __ATOMIC_ACQUIRE)) {
    uint64_t memory = ampoule_budget_used(budget, AMPOULE_BUDGET_MEMORY);
    expect(memory >= last && memory % PAGE == 0);
    ampoule_budget_set_limits(budget, UINT64_MAX, 300 * PAGE);
    last = memory;
  }
  return NULL;
}

static void another_thread_reads_while_the_guest_grows(void) {
  ampoule_budget_t *budget = ampoule_budget_new(ctx);
  wasmtime_instance_t instance = instance_of(GROWING);
  wasmtime_func_t grow = func_of(&instance, "grow_often");
  ampoule_budget_set_limits(budget, UINT64_MAX, 300 * PAGE);
  done = false;
  pthread_t thread;
  pthread_create(&thread, NULL, watch, budget);
  expect(call1(&grow, 1000) == 299);
  __atomic_store_n(&done, true, __ATOMIC_RELEASE);
  pthread_join(thread, NULL);
  expect(ampoule_budget_used(budget, AMPOULE_BUDGET_MEMORY) == 299 * PAGE);
  ampoule_budget_delete(budget);
}

static void a_handle_outlives_its_store(void) {
  wasmtime_store_t *short_lived = wasmtime_store_new(engine, NULL, NULL);
  memset(&first, 0, sizeof first);
  ampoule_budget_t *budget = ampoule_budget_new(wasmtime_store_context(short_lived));
  expect_ok(ampoule_store_set_soft_limit_callback(short_lived, at_soft_limit, &first, finalize));
  wasm_memorytype_t *ty = NULL;
  expect_ok(wasmtime_memorytype_new(2, false, 0, false, false, 16, &ty));
  wasmtime_memory_t memory;
  expect_ok(wasmtime_memory_new(wasmtime_store_context(short_lived), ty, &memory));
  expect(ampoule_budget_total(budget) == 2 * PAGE);
  wasmtime_store_delete(short_lived);
  expect(first.finalized == 1);
  expect(ampoule_budget_total(budget) == 0 && ampoule_budget_peak(budget) == 2 * PAGE);
  ampoule_budget_set_limits(budget, 1, 1);
  wasm_memorytype_delete(ty);
  ampoule_budget_delete(budget);
}

int main(void) {
  RUN(the_numbers_are_what_there_is);
  RUN(code_counts_until_another_store_has_the_module);
  RUN(the_hard_limit_refuses_and_names_what_it_refused);
  RUN(the_soft_limit_calls_once_and_may_raise_both);
  RUN(another_thread_reads_while_the_guest_grows);
  RUN(a_handle_outlives_its_store);
  return test_summary();
}
