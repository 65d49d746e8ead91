// wasmtime/gc.h: 31-bit integers as references, and the types of structs and arrays.
#include "test.h"

// Every claim about structs and arrays as objects needs a heap for them, which a library may not have.
static bool has_heap;

static void integers_of_31_bits_come_back(void) {
  static const struct {
    uint32_t value, u;
    int32_t s;
  } cases[] = {{0, 0, 0}, {1, 1, 1}, {0x3fffffff, 0x3fffffff, 0x3fffffff}, {0x7fffffff, 0x7fffffff, -1},
               {0x40000000, 0x40000000, -0x40000000}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    wasmtime_eqref_t eq, copy;
    wasmtime_anyref_t any;
    uint32_t u = 99;
    int32_t s = 99;
    wasmtime_eqref_from_i31(ctx, cases[i].value, &eq);
    expect(!wasmtime_eqref_is_null(&eq) && wasmtime_eqref_is_i31(ctx, &eq));
    expect(wasmtime_eqref_i31_get_u(ctx, &eq, &u) && u == cases[i].u);
    expect(wasmtime_eqref_i31_get_s(ctx, &eq, &s) && s == cases[i].s);
    wasmtime_eqref_clone(&eq, &copy);
    wasmtime_eqref_unroot(&eq);
    wasmtime_eqref_to_anyref(&copy, &any);
    wasmtime_eqref_unroot(&copy);
    u = 99;
    expect(wasmtime_anyref_is_i31(ctx, &any) && wasmtime_anyref_i31_get_u(ctx, &any, &u) && u == cases[i].u);
    expect(wasmtime_anyref_is_eqref(ctx, &any) && wasmtime_anyref_as_eqref(ctx, &any, &eq));
    wasmtime_anyref_unroot(&any);
    expect(wasmtime_eqref_i31_get_u(ctx, &eq, &u) && u == cases[i].u);
    wasmtime_eqref_unroot(&eq);
  }
}

static void an_integer_is_neither_struct_nor_array(void) {
  wasmtime_eqref_t eq;
  wasmtime_anyref_t any;
  wasmtime_structref_t structure;
  wasmtime_arrayref_t array;
  wasmtime_eqref_from_i31(ctx, 7, &eq);
  wasmtime_anyref_from_i31(ctx, 7, &any);
  expect(!wasmtime_eqref_is_struct(ctx, &eq) && !wasmtime_eqref_is_array(ctx, &eq));
  expect(!wasmtime_anyref_is_struct(ctx, &any) && !wasmtime_anyref_is_array(ctx, &any));
  memset(&structure, 0xee, sizeof structure);
  memset(&array, 0xee, sizeof array);
  expect(!wasmtime_eqref_as_struct(ctx, &eq, &structure) && wasmtime_structref_is_null(&structure));
  expect(!wasmtime_eqref_as_array(ctx, &eq, &array) && wasmtime_arrayref_is_null(&array));
  memset(&structure, 0xee, sizeof structure);
  memset(&array, 0xee, sizeof array);
  expect(!wasmtime_anyref_as_struct(ctx, &any, &structure) && wasmtime_structref_is_null(&structure));
  expect(!wasmtime_anyref_as_array(ctx, &any, &array) && wasmtime_arrayref_is_null(&array));
  wasmtime_eqref_unroot(&eq);
  wasmtime_anyref_unroot(&any);
}

static void null_is_no_object_and_stays_null(void) {
  wasmtime_eqref_t eq, other;
  wasmtime_anyref_t any;
  wasmtime_structref_t structure, structure2;
  wasmtime_arrayref_t array, array2;
  uint32_t u = 99;
  int32_t s = 99;
  wasmtime_eqref_set_null(&eq);
  wasmtime_anyref_set_null(&any);
  wasmtime_structref_set_null(&structure);
  wasmtime_arrayref_set_null(&array);
  expect(wasmtime_eqref_is_null(&eq) && wasmtime_structref_is_null(&structure) && wasmtime_arrayref_is_null(&array));
  expect(!wasmtime_eqref_is_i31(ctx, &eq) && !wasmtime_eqref_is_struct(ctx, &eq) && !wasmtime_eqref_is_array(ctx, &eq));
  expect(!wasmtime_eqref_i31_get_u(ctx, &eq, &u) && !wasmtime_eqref_i31_get_s(ctx, &eq, &s) && u == 99 && s == 99);
  expect(!wasmtime_anyref_is_eqref(ctx, &any) && !wasmtime_anyref_is_struct(ctx, &any));
  memset(&other, 0xee, sizeof other);
  expect(!wasmtime_anyref_as_eqref(ctx, &any, &other) && wasmtime_eqref_is_null(&other));
  memset(&other, 0xee, sizeof other);
  wasmtime_eqref_clone(&eq, &other);
  expect(wasmtime_eqref_is_null(&other));
  memset(&any, 0xee, sizeof any);
  wasmtime_eqref_to_anyref(&eq, &any);
  expect(wasmtime_anyref_is_null(&any));
  wasmtime_structref_clone(&structure, &structure2);
  expect(wasmtime_structref_is_null(&structure2));
  memset(&any, 0xee, sizeof any);
  wasmtime_structref_to_anyref(&structure, &any);
  expect(wasmtime_anyref_is_null(&any));
  memset(&other, 0xee, sizeof other);
  wasmtime_structref_to_eqref(&structure, &other);
  expect(wasmtime_eqref_is_null(&other));
  wasmtime_arrayref_clone(&array, &array2);
  expect(wasmtime_arrayref_is_null(&array2));
  memset(&any, 0xee, sizeof any);
  wasmtime_arrayref_to_anyref(&array, &any);
  expect(wasmtime_anyref_is_null(&any));
  memset(&other, 0xee, sizeof other);
  wasmtime_arrayref_to_eqref(&array, &other);
  expect(wasmtime_eqref_is_null(&other));
  wasmtime_eqref_unroot(&eq);
  wasmtime_structref_unroot(&structure);
  wasmtime_arrayref_unroot(&array);
}

static const wasmtime_field_type_t every_field[] = {
    {WASMTIME_STORAGE_KIND_I8, true}, {WASMTIME_STORAGE_KIND_I16, true}, {WASMTIME_I32, false}, {WASMTIME_I64, true},
    {WASMTIME_F32, false},            {WASMTIME_F64, false},             {WASMTIME_V128, true}, {WASMTIME_FUNCREF, true},
    {WASMTIME_EXTERNREF, false},      {WASMTIME_ANYREF, true},           {WASMTIME_EXNREF, true}};

static void types_are_made_of_every_kind_of_field(void) {
  size_t count = sizeof every_field / sizeof *every_field;
  for (size_t i = 0; i <= count; i++) {
    wasmtime_struct_type_t *type = wasmtime_struct_type_new(engine, every_field, i);
    wasmtime_struct_ref_pre_t *pre = wasmtime_struct_ref_pre_new(ctx, type);
    wasmtime_struct_type_delete(type);
    wasmtime_struct_ref_pre_delete(pre);
    if (i == count) break;
    wasmtime_array_type_t *array = wasmtime_array_type_new(engine, &every_field[i]);
    wasmtime_array_ref_pre_t *array_pre = wasmtime_array_ref_pre_new(ctx, array);
    wasmtime_array_type_delete(array);
    wasmtime_array_ref_pre_delete(array_pre);
  }
}

// What making a struct of two fields says.
static wasmtime_error_t *new_struct(const wasmtime_val_t *fields, size_t nfields, wasmtime_structref_t *out) {
  static const wasmtime_field_type_t types[] = {{WASMTIME_STORAGE_KIND_I8, true}, {WASMTIME_I64, false}};
  wasmtime_struct_type_t *type = wasmtime_struct_type_new(engine, types, 2);
  wasmtime_struct_ref_pre_t *pre = wasmtime_struct_ref_pre_new(ctx, type);
  wasmtime_error_t *error = wasmtime_structref_new(ctx, pre, fields, nfields, out);
  wasmtime_struct_ref_pre_delete(pre);
  wasmtime_struct_type_delete(type);
  return error;
}

static void the_values_of_a_struct_have_to_fit_its_type(void) {
  wasmtime_val_t fields[2] = {i32_val(1), i64_val(2)}, wrong[2] = {i32_val(1), i32_val(2)};
  wasmtime_structref_t out;
  wasmtime_structref_set_null(&out);
  expect_error_says(new_struct(fields, 1, &out), "expected 2 fields, got 1");
  expect_error_says(new_struct(wrong, 2, &out), "field type mismatch");
  expect(wasmtime_structref_is_null(&out));
}

static void a_struct_is_made_or_refused(void) {
  wasmtime_val_t fields[2] = {i32_val(0x1ff), i64_val(2)}, got;
  wasmtime_structref_t structure;
  wasmtime_error_t *error = new_struct(fields, 2, &structure);
  has_heap = !error;
  if (error) {
    expect_error_says(error, "no heap for structs and arrays");
    return;
  }
  expect_ok(wasmtime_structref_field(ctx, &structure, 0, &got));
  expect(got.kind == WASMTIME_I32 && got.of.i32 == 0xff);
  wasmtime_structref_unroot(&structure);
}

static void an_array_is_made_or_refused(void) {
  wasmtime_field_type_t element = {WASMTIME_F64, true};
  wasmtime_array_type_t *type = wasmtime_array_type_new(engine, &element);
  wasmtime_array_ref_pre_t *pre = wasmtime_array_ref_pre_new(ctx, type);
  wasmtime_arrayref_t array;
  wasmtime_val_t zero = i32_val(0);
  wasmtime_arrayref_set_null(&array);
  expect_error_says(wasmtime_arrayref_new(ctx, pre, &zero, 3, &array), "mismatch");
  expect(wasmtime_arrayref_is_null(&array));
  zero.kind = WASMTIME_F64;
  zero.of.f64 = 0;
  wasmtime_error_t *error = wasmtime_arrayref_new(ctx, pre, &zero, 3, &array);
  expect(has_heap == !error);
  if (error) {
    expect_error_says(error, "no heap for structs and arrays");
    expect(wasmtime_arrayref_is_null(&array));
  } else {
    wasmtime_arrayref_unroot(&array);
  }
  wasmtime_array_ref_pre_delete(pre);
  wasmtime_array_type_delete(type);
}

static void null_has_no_fields_and_elements(void) {
  if (has_heap) {
    test_skip(__func__, "a library with a heap may end the process over this");
    return;
  }
  wasmtime_structref_t structure;
  wasmtime_arrayref_t array;
  wasmtime_val_t val = i32_val(99);
  uint32_t len = 99;
  wasmtime_structref_set_null(&structure);
  wasmtime_arrayref_set_null(&array);
  expect_error_says(wasmtime_structref_field(ctx, &structure, 0, &val), "null");
  expect_error_says(wasmtime_structref_set_field(ctx, &structure, 0, &val), "null");
  expect_error_says(wasmtime_arrayref_len(ctx, &array, &len), "null");
  expect_error_says(wasmtime_arrayref_get(ctx, &array, 0, &val), "null");
  expect_error_says(wasmtime_arrayref_set(ctx, &array, 0, &val), "null");
  expect(val.of.i32 == 99 && len == 99);
}

static void references_are_values(void) {
  wasmtime_val_t val = i32_val(0), copy;
  uint32_t u = 0;
  val.kind = WASMTIME_ANYREF;
  wasmtime_anyref_from_i31(ctx, 12, &val.of.anyref);
  wasmtime_val_clone(&val, &copy);
  wasmtime_val_unroot(&val);
  expect(copy.kind == WASMTIME_ANYREF && wasmtime_anyref_i31_get_u(ctx, &copy.of.anyref, &u) && u == 12);
  wasmtime_val_unroot(&copy);
  // No function or global takes it.
  wasm_globaltype_t *type = wasm_globaltype_new(wasm_valtype_new_externref(), WASM_VAR);
  wasmtime_global_t global;
  val.kind = WASMTIME_ANYREF;
  wasmtime_anyref_from_i31(ctx, 12, &val.of.anyref);
  expect_error_says(wasmtime_global_new(ctx, type, &val, &global), "type mismatch");
  wasmtime_val_unroot(&val);
  wasm_globaltype_delete(type);
}

int main(void) {
  RUN(integers_of_31_bits_come_back);
  RUN(an_integer_is_neither_struct_nor_array);
  RUN(null_is_no_object_and_stays_null);
  RUN(types_are_made_of_every_kind_of_field);
  RUN(the_values_of_a_struct_have_to_fit_its_type);
  RUN(a_struct_is_made_or_refused);
  RUN(an_array_is_made_or_refused);
  RUN(null_has_no_fields_and_elements);
  RUN(references_are_values);
  return test_summary();
}
