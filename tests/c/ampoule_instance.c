// ampoule/instance.h: instances that are deleted before their store goes.
#include "test.h"

#include <ampoule.h>

static const char *const DELETED = "was deleted";

static const char *const ALL =
    "(module (memory (export \"memory\") 1) (table (export \"table\") 4 funcref)"
    "  (global (export \"global\") (mut i32) (i32.const 7))"
    "  (func $f (export \"f\") (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))"
    "  (elem (i32.const 0) func $f))";

static wasmtime_error_t *raw_call(const wasmtime_func_t *func, int32_t *value) {
  wasmtime_val_raw_t raw = {.i32 = *value};
  wasm_trap_t *trap = NULL;
  wasmtime_error_t *error = wasmtime_func_call_unchecked(ctx, func, &raw, 1, &trap);
  expect_no_trap(trap);
  if (error == NULL) *value = raw.i32;
  return error;
}

static void old_handles_are_refused_also_when_the_place_is_used_again(void) {
  wasmtime_module_t *module = module_of(ALL);
  wasmtime_instance_t first, stays;
  wasm_trap_t *trap = NULL;
  expect_ok(wasmtime_instance_new(ctx, module, NULL, 0, &first, &trap));
  wasmtime_extern_t memory = export_of(&first, "memory"), table = export_of(&first, "table");
  wasmtime_extern_t global = export_of(&first, "global");
  wasmtime_func_t f = func_of(&first, "f");
  expect_ok(wasmtime_instance_new(ctx, module, NULL, 0, &stays, &trap));
  wasmtime_func_t there = func_of(&stays, "f");
  expect(call1(&f, 1) == 2);
  expect_ok(ampoule_instance_delete(ctx, &first));

  for (int turn = 0; turn < 3; turn++) {
    uint64_t before;
    wasmtime_val_t value = i32_val(1), null = funcref_val(NULL), result;
    int32_t number = 5;
    expect_error_says(wasmtime_func_call(ctx, &f, &value, 1, &result, 1, &trap), DELETED);
    expect_error_says(raw_call(&f, &number), DELETED);
    expect(number == 5);
    expect_error_says(wasmtime_memory_grow(ctx, &memory.of.memory, 1, &before), DELETED);
    expect_error_says(wasmtime_table_grow(ctx, &table.of.table, 1, &null, &before), DELETED);
    expect_error_says(wasmtime_global_set(ctx, &global.of.global, &value), DELETED);
    expect_error_says(ampoule_instance_delete(ctx, &first), DELETED);
    wasmtime_extern_t item;
    expect(!wasmtime_instance_export_get(ctx, &first, "f", 1, &item));
    wasmtime_val_t stale = funcref_val(&f);
    wasmtime_table_t others = export_of(&stays, "table").of.table;
    expect_error_says(wasmtime_table_set(ctx, &others, 1, &stale), DELETED);

    // What is there is as good as ever, however old the handle is.
    expect(call1(&there, 41) == 42);
    expect_ok(raw_call(&there, &number));
    expect(number == 6);
    wasmtime_val_t old = funcref_val(&there);
    expect_ok(wasmtime_table_set(ctx, &others, 1, &old));
    wasmtime_func_t again = func_of(&stays, "f");
    number = 6;
    expect_ok(raw_call(&again, &number));
    expect(number == 7);

    wasmtime_instance_t next;
    expect_ok(wasmtime_instance_new(ctx, module, NULL, 0, &next, &trap));
    wasmtime_func_t newest = func_of(&next, "f");
    expect(call1(&newest, 2) == 3);
    if (turn == 1) expect_ok(ampoule_instance_delete(ctx, &next));
  }
  wasmtime_module_delete(module);
}

static void who_uses_it_is_named(void) {
  wasmtime_instance_t used = instance_of(ALL);
  wasmtime_func_t f = func_of(&used, "f");
  wasmtime_extern_t import = {.kind = WASMTIME_EXTERN_FUNC, .of = {.func = f}};
  wasmtime_instance_t importer = instance_with(
      ctx, engine, "(module (import \"\" \"\" (func (param i32) (result i32))) (export \"f\" (func 0)))", &import, 1);
  expect_error_says(ampoule_instance_delete(ctx, &used), "another instance (number 1 of the store) imports its function");
  wasmtime_func_t through = func_of(&importer, "f");
  expect(call1(&through, 1) == 2);
  expect_ok(ampoule_instance_delete(ctx, &importer));
  expect_ok(ampoule_instance_delete(ctx, &used));
  wasmtime_val_t value = i32_val(1), result;
  wasm_trap_t *trap = NULL;
  expect_error_says(wasmtime_func_call(ctx, &through, &value, 1, &result, 1, &trap), DELETED);
}

static void memory_comes_back_and_is_counted_no_more(void) {
  wasmtime_module_t *module = module_of(ALL);
  ampoule_budget_t *budget = ampoule_budget_new(ctx);
  wasmtime_store_limiter(store, -1, -1, 1, 1, 1);
  for (int turn = 0; turn < 300; turn++) {
    wasmtime_instance_t instance, other;
    wasm_trap_t *trap = NULL;
    expect_ok(wasmtime_instance_new(ctx, module, NULL, 0, &instance, &trap));
    wasmtime_memory_t memory = export_of(&instance, "memory").of.memory;
    expect(ampoule_budget_used(budget, AMPOULE_BUDGET_MEMORY) == 65536);
    uint8_t *data = wasmtime_memory_data(ctx, &memory);
    expect(data[100] == 0);
    data[100] = 1;
    expect_error_says(wasmtime_instance_new(ctx, module, NULL, 0, &other, &trap), "resource limit exceeded");
    expect_ok(ampoule_instance_delete(ctx, &instance));
    expect(ampoule_budget_total(budget) == 0);
  }
  ampoule_budget_delete(budget);
  wasmtime_module_delete(module);
}

static wasm_trap_t *delete_caller(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                                  wasmtime_val_t *results, size_t nresults) {
  (void)args, (void)nargs, (void)results, (void)nresults;
  expect_error_says(ampoule_instance_delete(wasmtime_caller_context(caller), env), "the store's guest is running");
  return NULL;
}

static void not_under_a_guest(void) {
  wasmtime_instance_t guest;
  wasm_functype_t *ty = wasm_functype_new_0_0();
  wasmtime_extern_t import = {.kind = WASMTIME_EXTERN_FUNC};
  wasmtime_func_new(ctx, ty, delete_caller, &guest, NULL, &import.of.func);
  wasm_functype_delete(ty);
  guest = instance_with(ctx, engine, "(module (import \"\" \"\" (func)) (func (export \"run\") call 0))", &import, 1);
  wasmtime_func_t run = func_of(&guest, "run");
  wasm_trap_t *trap = NULL;
  expect_ok(wasmtime_func_call(ctx, &run, NULL, 0, NULL, 0, &trap));
  expect_no_trap(trap);
  expect_ok(ampoule_instance_delete(ctx, &guest));
}

int main(void) {
  RUN(old_handles_are_refused_also_when_the_place_is_used_again);
  RUN(who_uses_it_is_named);
  RUN(memory_comes_back_and_is_counted_no_more);
  RUN(not_under_a_guest);
  return test_summary();
}
