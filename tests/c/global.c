// wasmtime/global.h: globals of guest and host.
#include "test.h"

static wasm_globaltype_t *type_of(wasm_valkind_t kind, wasm_mutability_t mutability) {
  return wasm_globaltype_new(wasm_valtype_new(kind), mutability);
}

static wasmtime_global_t new_global(wasm_mutability_t mutability, wasmtime_val_t val) {
  static const wasm_valkind_t kinds[] = {WASM_I32, WASM_I64, WASM_F32, WASM_F64, 0, WASM_FUNCREF, WASM_EXTERNREF};
  wasm_globaltype_t *type = type_of(kinds[val.kind], mutability);
  wasmtime_global_t global;
  memset(&global, 0, sizeof global);
  expect_ok(wasmtime_global_new(ctx, type, &val, &global));
  wasm_globaltype_delete(type);
  return global;
}

static void a_variable_is_read_and_written(void) {
  wasmtime_global_t global = new_global(WASM_VAR, i32_val(7));
  wasmtime_val_t val;
  wasmtime_global_get(ctx, &global, &val);
  expect(val.kind == WASMTIME_I32 && val.of.i32 == 7);
  val = i32_val(-8);
  expect_ok(wasmtime_global_set(ctx, &global, &val));
  wasmtime_global_get(ctx, &global, &val);
  expect(val.of.i32 == -8);
}

static void every_number_keeps_its_bits(void) {
  wasmtime_val_t val = i64_val(INT64_MIN + 1), got;
  wasmtime_global_t global = new_global(WASM_CONST, val);
  wasmtime_global_get(ctx, &global, &got);
  expect(got.kind == WASMTIME_I64 && got.of.i64 == INT64_MIN + 1);
  uint32_t nan32 = 0x7fa12345, bits32;
  val = i32_val(0);
  val.kind = WASMTIME_F32;
  memcpy(&val.of, &nan32, 4);
  global = new_global(WASM_CONST, val);
  wasmtime_global_get(ctx, &global, &got);
  memcpy(&bits32, &got.of, 4);
  expect(got.kind == WASMTIME_F32 && bits32 == nan32);
  uint64_t nan64 = 0x7ff4000000000001, bits64;
  val.kind = WASMTIME_F64;
  memcpy(&val.of, &nan64, 8);
  global = new_global(WASM_CONST, val);
  wasmtime_global_get(ctx, &global, &got);
  memcpy(&bits64, &got.of, 8);
  expect(got.kind == WASMTIME_F64 && bits64 == nan64);
}

static void a_vector_keeps_its_bytes(void) {
  wasmtime_instance_t instance = instance_of("(module (global (export \"v\") (mut v128)"
                                             "  (v128.const i8x16 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15))"
                                             "  (func (export \"lane\") (result i32) (i32x4.extract_lane 3 (global.get 0))))");
  wasmtime_global_t global = export_of(&instance, "v").of.global;
  wasmtime_func_t lane = func_of(&instance, "lane");
  wasmtime_val_t val;
  wasmtime_global_get(ctx, &global, &val);
  expect(val.kind == WASMTIME_V128);
  for (int i = 0; i < 16; i++) expect(val.of.v128[i] == i);
  memset(val.of.v128, 0, 16);
  val.of.v128[12] = 0x2a;
  expect_ok(wasmtime_global_set(ctx, &global, &val));
  expect(call0(&lane) == 0x2a);
}

static void a_constant_cannot_be_set(void) {
  wasmtime_global_t global = new_global(WASM_CONST, i32_val(7));
  wasmtime_val_t val = i32_val(8);
  expect_error_says(wasmtime_global_set(ctx, &global, &val), "immutable global cannot be set");
  wasmtime_global_get(ctx, &global, &val);
  expect(val.of.i32 == 7);
}

static void a_value_of_another_type_is_refused(void) {
  wasmtime_global_t global = new_global(WASM_VAR, i32_val(7));
  wasmtime_val_t val = i64_val(8);
  expect_error_says(wasmtime_global_set(ctx, &global, &val), "type mismatch");
  wasm_globaltype_t *type = type_of(WASM_I32, WASM_VAR);
  wasmtime_global_t other;
  expect_error_says(wasmtime_global_new(ctx, type, &val, &other), "type mismatch");
  wasm_globaltype_delete(type);
}

static void the_type_is_told(void) {
  wasmtime_global_t global = new_global(WASM_VAR, i64_val(0));
  wasm_globaltype_t *type = wasmtime_global_type(ctx, &global);
  expect(wasm_valtype_kind(wasm_globaltype_content(type)) == WASM_I64);
  expect(wasm_globaltype_mutability(type) == WASM_VAR);
  wasm_globaltype_delete(type);
}

static void guest_and_host_share_a_global(void) {
  wasmtime_extern_t import;
  import.kind = WASMTIME_EXTERN_GLOBAL;
  import.of.global = new_global(WASM_VAR, i32_val(1));
  wasmtime_instance_t instance =
      instance_with(ctx, engine, "(module (import \"\" \"\" (global $g (mut i32))) (export \"g\" (global $g))"
                                 "  (func (export \"add\") (param i32) (result i32)"
                                 "    (global.set $g (i32.add (global.get $g) (local.get 0))) global.get $g))",
                    &import, 1);
  wasmtime_func_t add = func_of(&instance, "add");
  wasmtime_val_t val = i32_val(10);
  expect(call1(&add, 1) == 2);
  expect_ok(wasmtime_global_set(ctx, &import.of.global, &val));
  expect(call1(&add, 1) == 11);
  wasmtime_global_t exported = export_of(&instance, "g").of.global;
  wasmtime_global_get(ctx, &exported, &val);
  expect(val.of.i32 == 11);
}

static void references_are_kept_and_given_back(void) {
  static int finalized;
  finalized = 0;
  wasmtime_val_t val = null_externref_val(), got;
  expect(wasmtime_externref_new(ctx, &finalized, count_finalized, &val.of.externref));
  wasmtime_global_t global = new_global(WASM_VAR, val);
  wasmtime_val_unroot(&val);
  expect_ok(wasmtime_context_gc(ctx));
  expect(finalized == 0);
  wasmtime_global_get(ctx, &global, &got);
  expect(got.kind == WASMTIME_EXTERNREF && wasmtime_externref_data(ctx, &got.of.externref) == &finalized);
  wasmtime_val_unroot(&got);
  val = null_externref_val();
  expect_ok(wasmtime_global_set(ctx, &global, &val));
  wasmtime_global_get(ctx, &global, &got);
  expect(wasmtime_externref_is_null(&got.of.externref));
  expect_ok(wasmtime_context_gc(ctx));
  expect(finalized == 1);
}

static void a_funcref_global_calls_what_it_holds(void) {
  wasmtime_instance_t instance = instance_of("(module (func (export \"f\") (result i32) i32.const 9)"
                                             "  (global (export \"g\") (mut funcref) (ref.null func)))");
  wasmtime_global_t global = export_of(&instance, "g").of.global;
  wasmtime_val_t val;
  wasmtime_global_get(ctx, &global, &val);
  expect(val.kind == WASMTIME_FUNCREF && wasmtime_funcref_is_null(&val.of.funcref));
  wasmtime_func_t f = func_of(&instance, "f");
  val = funcref_val(&f);
  expect_ok(wasmtime_global_set(ctx, &global, &val));
  memset(&val, 0, sizeof val);
  wasmtime_global_get(ctx, &global, &val);
  expect(!wasmtime_funcref_is_null(&val.of.funcref));
  expect(call0(&val.of.funcref) == 9);
}

static void a_value_of_another_store_is_refused(void) {
  wasmtime_store_t *other = wasmtime_store_new(engine, NULL, NULL);
  wasmtime_instance_t theirs =
      instance_with(wasmtime_store_context(other), engine, "(module (func (export \"f\")))", NULL, 0);
  wasmtime_func_t f = export_in(wasmtime_store_context(other), &theirs, "f").of.func;
  wasmtime_global_t global = new_global(WASM_VAR, funcref_val(NULL));
  wasmtime_val_t val = funcref_val(&f);
  expect_error(wasmtime_global_set(ctx, &global, &val));
  wasmtime_store_delete(other);
}

int main(void) {
  RUN(a_variable_is_read_and_written);
  RUN(every_number_keeps_its_bits);
  RUN(a_vector_keeps_its_bytes);
  RUN(a_constant_cannot_be_set);
  RUN(a_value_of_another_type_is_refused);
  RUN(the_type_is_told);
  RUN(guest_and_host_share_a_global);
  RUN(references_are_kept_and_given_back);
  RUN(a_funcref_global_calls_what_it_holds);
  RUN(a_value_of_another_store_is_refused);
  return test_summary();
}
