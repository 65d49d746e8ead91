// wasmtime/table.h: tables of functions and of host references.
#include "test.h"

static wasmtime_table_t new_table(wasm_valkind_t element, uint32_t min, uint32_t max, const wasmtime_val_t *init) {
  wasm_limits_t limits = {min, max};
  wasm_tabletype_t *type = wasm_tabletype_new(wasm_valtype_new(element), &limits);
  wasmtime_table_t table;
  expect_ok(wasmtime_table_new(ctx, type, init, &table));
  wasm_tabletype_delete(type);
  return table;
}

static wasmtime_func_t seven(void) {
  wasmtime_instance_t instance = instance_of("(module (func (export \"f\") (result i32) i32.const 7))");
  return func_of(&instance, "f");
}

static void a_table_begins_filled(void) {
  wasmtime_func_t f = seven();
  wasmtime_val_t init = funcref_val(&f), val;
  wasmtime_table_t table = new_table(WASM_FUNCREF, 3, 5, &init);
  expect(wasmtime_table_size(ctx, &table) == 3);
  for (uint64_t i = 0; i < 3; i++) {
    if (!expect(wasmtime_table_get(ctx, &table, i, &val))) continue;
    expect(val.kind == WASMTIME_FUNCREF && call0(&val.of.funcref) == 7);
  }
}

static void beyond_the_end_is_nothing(void) {
  wasmtime_val_t null = funcref_val(NULL), val = i32_val(1);
  wasmtime_table_t table = new_table(WASM_FUNCREF, 2, 5, &null);
  expect(!wasmtime_table_get(ctx, &table, 2, &val));
  expect(!wasmtime_table_get(ctx, &table, UINT64_MAX, &val));
  expect(!wasmtime_table_get(ctx, &table, UINT64_C(1) << 32, &val));
  expect_error(wasmtime_table_set(ctx, &table, 2, &null));
  expect_error(wasmtime_table_set(ctx, &table, UINT64_C(1) << 32, &null));
}

static void elements_are_set_and_got(void) {
  wasmtime_func_t f = seven();
  wasmtime_val_t null = funcref_val(NULL), val = funcref_val(&f);
  wasmtime_table_t table = new_table(WASM_FUNCREF, 2, 5, &null);
  expect_ok(wasmtime_table_set(ctx, &table, 1, &val));
  expect(wasmtime_table_get(ctx, &table, 1, &val) && call0(&val.of.funcref) == 7);
  expect(wasmtime_table_get(ctx, &table, 0, &val) && wasmtime_funcref_is_null(&val.of.funcref));
  expect_ok(wasmtime_table_set(ctx, &table, 1, &null));
  expect(wasmtime_table_get(ctx, &table, 1, &val) && wasmtime_funcref_is_null(&val.of.funcref));
}

static void elements_of_another_type_are_refused(void) {
  wasmtime_val_t null = funcref_val(NULL), number = i32_val(1), external = null_externref_val();
  wasmtime_table_t table = new_table(WASM_FUNCREF, 2, 5, &null);
  uint64_t previous = 99;
  expect_error(wasmtime_table_set(ctx, &table, 0, &number));
  expect_error(wasmtime_table_set(ctx, &table, 0, &external));
  expect_error(wasmtime_table_grow(ctx, &table, 1, &external, &previous));
  expect(previous == 99 && wasmtime_table_size(ctx, &table) == 2);
  wasm_limits_t limits = {1, 2};
  wasm_tabletype_t *type = wasm_tabletype_new(wasm_valtype_new(WASM_FUNCREF), &limits);
  expect_error(wasmtime_table_new(ctx, type, &number, &table));
  wasm_tabletype_delete(type);
}

static void grow_reports_the_old_size(void) {
  wasmtime_func_t f = seven();
  wasmtime_val_t null = funcref_val(NULL), val = funcref_val(&f);
  wasmtime_table_t table = new_table(WASM_FUNCREF, 1, 4, &null);
  uint64_t previous = 99;
  expect_ok(wasmtime_table_grow(ctx, &table, 2, &val, &previous));
  expect(previous == 1 && wasmtime_table_size(ctx, &table) == 3);
  expect(wasmtime_table_get(ctx, &table, 0, &val) && wasmtime_funcref_is_null(&val.of.funcref));
  expect(wasmtime_table_get(ctx, &table, 2, &val) && call0(&val.of.funcref) == 7);
  expect_error_says(wasmtime_table_grow(ctx, &table, 2, &null, &previous), "failed to grow table by `2`");
  expect(previous == 1);
  expect_error(wasmtime_table_grow(ctx, &table, UINT64_MAX, &null, &previous));
  expect_ok(wasmtime_table_grow(ctx, &table, 0, &null, &previous));
  expect(previous == 3);
}

static void the_type_is_told(void) {
  wasmtime_val_t null = null_externref_val();
  wasmtime_table_t table = new_table(WASM_EXTERNREF, 1, 4, &null);
  wasm_tabletype_t *type = wasmtime_table_type(ctx, &table);
  expect(wasm_valtype_kind(wasm_tabletype_element(type)) == WASM_EXTERNREF);
  expect(wasm_tabletype_limits(type)->min == 1 && wasm_tabletype_limits(type)->max == 4);
  wasm_tabletype_delete(type);
  /* It is the type that the table was made with, whatever its size is now. */
  uint64_t previous;
  expect_ok(wasmtime_table_grow(ctx, &table, 2, &null, &previous));
  type = wasmtime_table_type(ctx, &table);
  expect(wasm_tabletype_limits(type)->min == 1 && wasmtime_table_size(ctx, &table) == 3);
  wasm_tabletype_delete(type);
}

static void guest_and_host_share_a_table(void) {
  wasmtime_instance_t instance = instance_of(
      "(module (table (export \"t\") 3 funcref) (elem (i32.const 0) func $one)"
      "  (type $i (func (result i32))) (func $one (result i32) i32.const 1)"
      "  (func (export \"call\") (param i32) (result i32) (call_indirect (type $i) (local.get 0)))"
      "  (func (export \"grow\") (param i32) (result i32) (table.grow (ref.null func) (local.get 0)))"
      "  (func (export \"size\") (result i32) table.size))");
  wasmtime_table_t table = export_of(&instance, "t").of.table;
  wasmtime_func_t indirect = func_of(&instance, "call"), grow = func_of(&instance, "grow"), size = func_of(&instance, "size"),
                  f = seven();
  wasmtime_val_t val = funcref_val(&f), first;
  uint64_t previous;
  expect(call1(&indirect, 0) == 1);
  expect_ok(wasmtime_table_set(ctx, &table, 2, &val));
  expect(call1(&indirect, 2) == 7);
  expect(wasmtime_table_get(ctx, &table, 0, &first) && call0(&first.of.funcref) == 1);
  expect(call1(&grow, 5) == 3 && wasmtime_table_size(ctx, &table) == 8);
  expect_ok(wasmtime_table_grow(ctx, &table, 1000, &val, &previous));
  expect(previous == 8 && call0(&size) == 1008 && call1(&indirect, 1007) == 7 && call1(&indirect, 0) == 1);
}

static void references_live_as_long_as_the_table_holds_them(void) {
  static int finalized[3];
  memset(finalized, 0, sizeof finalized);
  wasmtime_val_t null = null_externref_val(), val = null_externref_val();
  uint64_t previous;
  wasmtime_table_t table = new_table(WASM_EXTERNREF, 1, 10, &null);
  for (int i = 0; i < 3; i++) {
    val = null_externref_val();
    expect(wasmtime_externref_new(ctx, &finalized[i], count_finalized, &val.of.externref));
    if (i == 0) expect_ok(wasmtime_table_set(ctx, &table, 0, &val));
    else expect_ok(wasmtime_table_grow(ctx, &table, 1, &val, &previous));
    wasmtime_val_unroot(&val);
  }
  expect_ok(wasmtime_context_gc(ctx));
  expect(finalized[0] == 0 && finalized[1] == 0 && finalized[2] == 0);
  expect(wasmtime_table_get(ctx, &table, 1, &val) && wasmtime_externref_data(ctx, &val.of.externref) == &finalized[1]);
  wasmtime_val_unroot(&val);
  expect_ok(wasmtime_table_set(ctx, &table, 0, &null));
  expect_ok(wasmtime_context_gc(ctx));
  expect(finalized[0] == 1 && finalized[1] == 0 && finalized[2] == 0);
  wasmtime_store_delete(store);
  store = NULL;
  expect(finalized[0] == 1 && finalized[1] == 1 && finalized[2] == 1);
}

static void a_function_of_another_store_is_refused(void) {
  wasmtime_store_t *other = wasmtime_store_new(engine, NULL, NULL);
  wasmtime_context_t *c = wasmtime_store_context(other);
  wasmtime_instance_t theirs = instance_with(c, engine, "(module (func (export \"f\")))", NULL, 0);
  wasmtime_func_t f = export_in(c, &theirs, "f").of.func;
  wasmtime_val_t null = funcref_val(NULL), val = funcref_val(&f);
  wasmtime_table_t table = new_table(WASM_FUNCREF, 1, 4, &null);
  expect_error(wasmtime_table_set(ctx, &table, 0, &val));
  expect(wasmtime_table_get(ctx, &table, 0, &val) && wasmtime_funcref_is_null(&val.of.funcref));
  wasmtime_store_delete(other);
}

static void more_elements_than_there_may_be_are_refused(void) {
  const wasm_limits_t limits = {0xfffffff0, 0xffffffff};
  wasm_tabletype_t *type = wasm_tabletype_new(wasm_valtype_new_funcref(), &limits);
  wasmtime_val_t null = funcref_val(NULL);
  wasmtime_table_t table;
  expect_error(wasmtime_table_new(ctx, type, &null, &table));
  wasm_tabletype_delete(type);
}

static void a_table_may_have_64_bit_indices(void) {
  wasmtime_instance_t instance = instance_of("(module (table (export \"t\") i64 2 funcref)"
                                             "  (func (export \"get\") (param i64) (result i32)"
                                             "    (ref.is_null (table.get (local.get 0)))))");
  wasmtime_table_t table = export_of(&instance, "t").of.table;
  wasmtime_func_t get = func_of(&instance, "get");
  wasmtime_val_t arg = i64_val(1), result, null = funcref_val(NULL);
  wasm_trap_t *trap = NULL;
  uint64_t previous;
  expect_ok(wasmtime_func_call(ctx, &get, &arg, 1, &result, 1, &trap));
  expect(result.of.i32 == 1);
  arg = i64_val(INT64_C(0x100000000));
  expect_ok(wasmtime_func_call(ctx, &get, &arg, 1, &result, 1, &trap));
  expect_trap(trap, WASMTIME_TRAP_CODE_TABLE_OUT_OF_BOUNDS);
  expect_ok(wasmtime_table_grow(ctx, &table, 3, &null, &previous));
  expect(previous == 2 && wasmtime_table_size(ctx, &table) == 5);
}

int main(void) {
  RUN(a_table_begins_filled);
  RUN(beyond_the_end_is_nothing);
  RUN(elements_are_set_and_got);
  RUN(elements_of_another_type_are_refused);
  RUN(grow_reports_the_old_size);
  RUN(the_type_is_told);
  RUN(guest_and_host_share_a_table);
  RUN(references_live_as_long_as_the_table_holds_them);
  RUN(a_function_of_another_store_is_refused);
  RUN_HERE(more_elements_than_there_may_be_are_refused); // the reference library may have room
  RUN_FAULTING(a_table_may_have_64_bit_indices);
  return test_summary();
}
