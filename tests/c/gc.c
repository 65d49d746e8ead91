// wasmtime/gc.h: structs, arrays and 31-bit integers that the host makes and reads.
#include "test.h"

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

// A struct with one field of every kind, 11 in all.
enum { FIELDS = sizeof every_field / sizeof *every_field };

static int host_value;

// Values for all fields; those that are references are roots.
static void every_value(wasmtime_val_t *vals) {
  for (size_t i = 0; i < FIELDS; i++) {
    vals[i] = i32_val(0);
    vals[i].kind = every_field[i].kind >= WASMTIME_STORAGE_KIND_I8 ? WASMTIME_I32 : every_field[i].kind;
  }
  vals[0].of.i32 = 0x1ff;
  vals[1].of.i32 = -1;
  vals[2].of.i32 = -2;
  vals[3].of.i64 = -3;
  vals[4].of.f32 = 1.5f;
  vals[5].of.f64 = -2.5;
  for (size_t i = 0; i < 16; i++) vals[6].of.v128[i] = (uint8_t)(i + 1);
  wasmtime_funcref_set_null(&vals[7].of.funcref);
  expect(wasmtime_externref_new(ctx, &host_value, NULL, &vals[8].of.externref));
  wasmtime_anyref_from_i31(ctx, 9, &vals[9].of.anyref);
  wasmtime_exnref_set_null(&vals[10].of.exnref);
}

static void unroot_all(wasmtime_val_t *vals, size_t count) {
  for (size_t i = 0; i < count; i++) wasmtime_val_unroot(&vals[i]);
}

static wasmtime_struct_ref_pre_t *struct_pre(const wasmtime_field_type_t *fields, size_t count) {
  wasmtime_struct_type_t *type = wasmtime_struct_type_new(engine, fields, count);
  wasmtime_struct_ref_pre_t *pre = wasmtime_struct_ref_pre_new(ctx, type);
  wasmtime_struct_type_delete(type);
  return pre;
}

static wasmtime_array_ref_pre_t *array_pre(wasmtime_storage_kind_t kind, bool mutable_) {
  wasmtime_field_type_t element = {kind, mutable_};
  wasmtime_array_type_t *type = wasmtime_array_type_new(engine, &element);
  wasmtime_array_ref_pre_t *pre = wasmtime_array_ref_pre_new(ctx, type);
  wasmtime_array_type_delete(type);
  return pre;
}

static wasmtime_structref_t new_struct(void) {
  wasmtime_val_t vals[FIELDS];
  wasmtime_structref_t structure;
  wasmtime_struct_ref_pre_t *pre = struct_pre(every_field, FIELDS);
  every_value(vals);
  expect_ok(wasmtime_structref_new(ctx, pre, vals, FIELDS, &structure));
  unroot_all(vals, FIELDS);
  wasmtime_struct_ref_pre_delete(pre);
  return structure;
}

static wasmtime_arrayref_t new_array(wasmtime_storage_kind_t kind, bool mutable_, const wasmtime_val_t *element, uint32_t len) {
  wasmtime_arrayref_t array;
  wasmtime_array_ref_pre_t *pre = array_pre(kind, mutable_);
  wasmtime_arrayref_set_null(&array);
  expect_ok(wasmtime_arrayref_new(ctx, pre, element, len, &array));
  wasmtime_array_ref_pre_delete(pre);
  return array;
}

static void expect_every_value(const wasmtime_structref_t *structure) {
  wasmtime_val_t got[FIELDS];
  uint32_t u = 0;
  for (size_t i = 0; i < FIELDS; i++) expect_ok(wasmtime_structref_field(ctx, structure, i, &got[i]));
  expect(got[0].kind == WASMTIME_I32 && got[0].of.i32 == 0xff);
  expect(got[1].kind == WASMTIME_I32 && got[1].of.i32 == 0xffff);
  expect(got[2].kind == WASMTIME_I32 && got[2].of.i32 == -2);
  expect(got[3].kind == WASMTIME_I64 && got[3].of.i64 == -3);
  expect(got[4].kind == WASMTIME_F32 && got[4].of.f32 == 1.5f);
  expect(got[5].kind == WASMTIME_F64 && got[5].of.f64 == -2.5);
  expect(got[6].kind == WASMTIME_V128 && got[6].of.v128[0] == 1 && got[6].of.v128[15] == 16);
  expect(got[7].kind == WASMTIME_FUNCREF && wasmtime_funcref_is_null(&got[7].of.funcref));
  expect(got[8].kind == WASMTIME_EXTERNREF && wasmtime_externref_data(ctx, &got[8].of.externref) == &host_value);
  expect(got[9].kind == WASMTIME_ANYREF && wasmtime_anyref_i31_get_u(ctx, &got[9].of.anyref, &u) && u == 9);
  expect(got[10].kind == WASMTIME_EXNREF && wasmtime_exnref_is_null(&got[10].of.exnref));
  unroot_all(got, FIELDS);
}

static void a_struct_keeps_a_field_of_every_kind(void) {
  wasmtime_structref_t structure = new_struct();
  expect_every_value(&structure);
  expect_ok(wasmtime_context_gc(ctx));
  expect_every_value(&structure);
  wasmtime_structref_unroot(&structure);
}

static void fields_that_may_change_do(void) {
  wasmtime_structref_t structure = new_struct();
  wasmtime_val_t val = i32_val(0x12345), got;
  expect_ok(wasmtime_structref_set_field(ctx, &structure, 0, &val));
  expect_ok(wasmtime_structref_set_field(ctx, &structure, 1, &val));
  expect_ok(wasmtime_structref_field(ctx, &structure, 0, &got));
  expect(got.of.i32 == 0x45);
  expect_ok(wasmtime_structref_field(ctx, &structure, 1, &got));
  expect(got.of.i32 == 0x2345);
  val = i64_val(77);
  expect_ok(wasmtime_structref_set_field(ctx, &structure, 3, &val));
  expect_ok(wasmtime_structref_field(ctx, &structure, 3, &got));
  expect(got.kind == WASMTIME_I64 && got.of.i64 == 77);
  // A null of the field's hierarchy, and then the struct itself.
  val.kind = WASMTIME_ANYREF;
  wasmtime_anyref_set_null(&val.of.anyref);
  expect_ok(wasmtime_structref_set_field(ctx, &structure, 9, &val));
  expect_ok(wasmtime_structref_field(ctx, &structure, 9, &got));
  expect(got.kind == WASMTIME_ANYREF && wasmtime_anyref_is_null(&got.of.anyref));
  wasmtime_structref_to_anyref(&structure, &val.of.anyref);
  expect_ok(wasmtime_structref_set_field(ctx, &structure, 9, &val));
  wasmtime_val_unroot(&val);
  expect_ok(wasmtime_context_gc(ctx));
  wasmtime_structref_t inner;
  expect_ok(wasmtime_structref_field(ctx, &structure, 9, &got));
  wasmtime_structref_unroot(&structure);
  if (expect(wasmtime_anyref_as_struct(ctx, &got.of.anyref, &inner))) {
    expect_ok(wasmtime_structref_field(ctx, &inner, 3, &val));
    expect(val.of.i64 == 77);
    wasmtime_structref_unroot(&inner);
  }
  wasmtime_val_unroot(&got);
}

static void a_field_is_refused_what_does_not_fit(void) {
  wasmtime_structref_t structure = new_struct();
  wasmtime_val_t number = i32_val(5), wide = i64_val(5), external = null_externref_val(), got = i32_val(99);
  expect_error_says(wasmtime_structref_field(ctx, &structure, FIELDS, &got), "cannot access field 11: struct only has 11 fields");
  expect_error_says(wasmtime_structref_set_field(ctx, &structure, FIELDS, &number), "cannot access field 11: struct only has 11 fields");
  expect(got.of.i32 == 99);
  expect_error_says(wasmtime_structref_set_field(ctx, &structure, 2, &number), "cannot set field 2: field is not mutable");
  expect_error_says(wasmtime_structref_set_field(ctx, &structure, 2, &wide), "cannot set field 2: field is not mutable");
  expect_error_says(wasmtime_structref_set_field(ctx, &structure, 3, &number), "cannot set field 3: type mismatch");
  expect_error_says(wasmtime_structref_set_field(ctx, &structure, 3, &number), "type mismatch: expected i64, found i32");
  expect_error_says(wasmtime_structref_set_field(ctx, &structure, 0, &wide), "type mismatch: expected i32, found i64");
  expect_error_says(wasmtime_structref_set_field(ctx, &structure, 9, &number), "expected (ref null any), found i32");
  expect_error_says(wasmtime_structref_set_field(ctx, &structure, 9, &external), "type mismatch");
  expect_every_value(&structure);
  wasmtime_structref_unroot(&structure);
}

static void the_values_of_a_struct_have_to_fit_its_type(void) {
  wasmtime_struct_ref_pre_t *pre = struct_pre(every_field, 4);
  wasmtime_val_t vals[5] = {i32_val(1), i32_val(2), i32_val(3), i64_val(4), i32_val(5)}, wrong[4] = {i32_val(1), i32_val(2), i32_val(3), i32_val(4)};
  wasmtime_structref_t out;
  wasmtime_structref_set_null(&out);
  expect_error_says(wasmtime_structref_new(ctx, pre, vals, 3, &out), "expected 4 fields, got 3");
  expect_error_says(wasmtime_structref_new(ctx, pre, vals, 5, &out), "expected 4 fields, got 5");
  expect_error_says(wasmtime_structref_new(ctx, pre, NULL, 0, &out), "expected 4 fields, got 0");
  expect_error_says(wasmtime_structref_new(ctx, pre, wrong, 4, &out), "field type mismatch");
  expect_error_says(wasmtime_structref_new(ctx, pre, wrong, 4, &out), "type mismatch: expected i64, found i32");
  expect(wasmtime_structref_is_null(&out));
  wasmtime_struct_ref_pre_delete(pre);
}

static void a_struct_may_be_empty_or_large(void) {
  wasmtime_structref_t structure;
  wasmtime_val_t got;
  wasmtime_struct_ref_pre_t *pre = struct_pre(NULL, 0);
  expect_ok(wasmtime_structref_new(ctx, pre, NULL, 0, &structure));
  expect_error_says(wasmtime_structref_field(ctx, &structure, 0, &got), "struct only has 0 fields");
  wasmtime_structref_unroot(&structure);
  wasmtime_struct_ref_pre_delete(pre);
  enum { MANY = 10000 };
  static wasmtime_field_type_t fields[MANY];
  static wasmtime_val_t vals[MANY];
  for (int i = 0; i < MANY; i++) {
    fields[i].kind = WASMTIME_I32;
    vals[i] = i32_val(i);
  }
  pre = struct_pre(fields, MANY);
  expect_ok(wasmtime_structref_new(ctx, pre, vals, MANY, &structure));
  wasmtime_struct_ref_pre_delete(pre);
  for (int i = 0; i < MANY; i += 1111) {
    expect_ok(wasmtime_structref_field(ctx, &structure, (size_t)i, &got));
    expect(got.of.i32 == i);
  }
  wasmtime_structref_unroot(&structure);
}

static void an_array_has_elements_of_every_kind(void) {
  wasmtime_val_t vals[FIELDS], got;
  every_value(vals);
  for (size_t i = 0; i < FIELDS; i++) {
    static const uint32_t lens[] = {0, 1, 3, 1000};
    for (size_t l = 0; l < 4; l++) {
      wasmtime_arrayref_t array = new_array(every_field[i].kind, true, &vals[i], lens[l]);
      uint32_t len = 99;
      expect_ok(wasmtime_arrayref_len(ctx, &array, &len));
      expect(len == lens[l]);
      for (uint32_t at = 0; at < len; at += len - 1 ? len - 1 : 1) {
        expect_ok(wasmtime_arrayref_get(ctx, &array, at, &got));
        expect(got.kind == vals[i].kind);
        if (i == 0) expect(got.of.i32 == 0xff);
        if (i == 1) expect(got.of.i32 == 0xffff);
        if (i == 3) expect(got.of.i64 == -3);
        if (i == 6) expect(got.of.v128[15] == 16);
        if (i == 8) expect(wasmtime_externref_data(ctx, &got.of.externref) == &host_value);
        wasmtime_val_unroot(&got);
      }
      wasmtime_arrayref_unroot(&array);
    }
  }
  unroot_all(vals, FIELDS);
}

static void elements_change_one_by_one(void) {
  wasmtime_val_t val = i32_val(-1), got;
  wasmtime_arrayref_t array = new_array(WASMTIME_STORAGE_KIND_I16, true, &val, 5);
  val = i32_val(0x18000);
  expect_ok(wasmtime_arrayref_set(ctx, &array, 2, &val));
  for (uint32_t i = 0; i < 5; i++) {
    expect_ok(wasmtime_arrayref_get(ctx, &array, i, &got));
    expect(got.of.i32 == (i == 2 ? 0x8000 : 0xffff));
  }
  wasmtime_arrayref_unroot(&array);
}

static void an_element_is_refused_what_does_not_fit(void) {
  wasmtime_val_t number = i32_val(5), wide = i64_val(5), got = i32_val(99);
  wasmtime_arrayref_t array = new_array(WASMTIME_I32, true, &number, 3), constant = new_array(WASMTIME_I64, false, &wide, 3);
  expect_error_says(wasmtime_arrayref_get(ctx, &array, 3, &got), "index out of bounds: the length is 3 but the index is 3");
  expect_error_says(wasmtime_arrayref_get(ctx, &array, UINT32_MAX, &got), "index out of bounds: the length is 3");
  expect(got.of.i32 == 99);
  expect_error_says(wasmtime_arrayref_set(ctx, &array, 3, &number), "index out of bounds: the length is 3 but the index is 3");
  expect_error_says(wasmtime_arrayref_set(ctx, &array, 0, &wide), "cannot set element 0: type mismatch");
  expect_error_says(wasmtime_arrayref_set(ctx, &array, 7, &wide), "type mismatch: expected i32, found i64");
  expect_error_says(wasmtime_arrayref_set(ctx, &constant, 1, &wide), "cannot set element 1: array elements are not mutable");
  expect_error_says(wasmtime_arrayref_set(ctx, &constant, 1, &number), "cannot set element 1: array elements are not mutable");
  wasmtime_arrayref_unroot(&constant);
  wasmtime_arrayref_unroot(&array);
  wasmtime_array_ref_pre_t *pre = array_pre(WASMTIME_F64, true);
  wasmtime_arrayref_set_null(&array);
  expect_error_says(wasmtime_arrayref_new(ctx, pre, &number, 3, &array), "element type mismatch");
  expect_error_says(wasmtime_arrayref_new(ctx, pre, &number, 3, &array), "type mismatch: expected f64, found i32");
  expect(wasmtime_arrayref_is_null(&array));
  wasmtime_array_ref_pre_delete(pre);
}

static void a_reference_is_asked_what_it_is(void) {
  wasmtime_structref_t structure = new_struct(), as_struct;
  wasmtime_val_t element = i32_val(0);
  wasmtime_arrayref_t array = new_array(WASMTIME_I32, true, &element, 1), as_array;
  for (int i = 0; i < 2; i++) {
    bool is_struct = i == 0;
    wasmtime_anyref_t any, back;
    wasmtime_eqref_t eq, eq2;
    if (is_struct) {
      wasmtime_structref_to_anyref(&structure, &any);
      wasmtime_structref_to_eqref(&structure, &eq);
    } else {
      wasmtime_arrayref_to_anyref(&array, &any);
      wasmtime_arrayref_to_eqref(&array, &eq);
    }
    expect(wasmtime_anyref_is_eqref(ctx, &any) && !wasmtime_anyref_is_i31(ctx, &any) && !wasmtime_eqref_is_i31(ctx, &eq));
    expect(wasmtime_anyref_is_struct(ctx, &any) == is_struct && wasmtime_anyref_is_array(ctx, &any) == !is_struct);
    expect(wasmtime_eqref_is_struct(ctx, &eq) == is_struct && wasmtime_eqref_is_array(ctx, &eq) == !is_struct);
    expect(wasmtime_anyref_as_eqref(ctx, &any, &eq2));
    wasmtime_eqref_unroot(&eq2);
    expect(wasmtime_anyref_as_struct(ctx, &any, &as_struct) == is_struct);
    expect(wasmtime_structref_is_null(&as_struct) == !is_struct);
    wasmtime_structref_unroot(&as_struct);
    expect(wasmtime_eqref_as_struct(ctx, &eq, &as_struct) == is_struct);
    wasmtime_structref_unroot(&as_struct);
    expect(wasmtime_anyref_as_array(ctx, &any, &as_array) == !is_struct);
    expect(wasmtime_arrayref_is_null(&as_array) == is_struct);
    wasmtime_arrayref_unroot(&as_array);
    expect(wasmtime_eqref_as_array(ctx, &eq, &as_array) == !is_struct);
    wasmtime_arrayref_unroot(&as_array);
    // Raw, it is the same number from every root.
    uint32_t raw = wasmtime_anyref_to_raw(ctx, &any);
    expect(raw != 0);
    wasmtime_anyref_from_raw(ctx, raw, &back);
    expect(wasmtime_anyref_to_raw(ctx, &back) == raw);
    expect(wasmtime_anyref_is_struct(ctx, &back) == is_struct);
    wasmtime_anyref_unroot(&back);
    wasmtime_anyref_unroot(&any);
    wasmtime_eqref_to_anyref(&eq, &any);
    expect(wasmtime_anyref_to_raw(ctx, &any) == raw);
    wasmtime_anyref_unroot(&any);
    wasmtime_eqref_unroot(&eq);
  }
  wasmtime_arrayref_unroot(&array);
  wasmtime_structref_unroot(&structure);
}

static void every_root_keeps_an_object_alive(void) {
  wasmtime_structref_t structure = new_struct(), clone;
  wasmtime_structref_clone(&structure, &clone);
  wasmtime_structref_unroot(&structure);
  expect_ok(wasmtime_context_gc(ctx));
  expect_every_value(&clone);
  wasmtime_eqref_t eq, eq2;
  wasmtime_structref_to_eqref(&clone, &eq);
  wasmtime_structref_unroot(&clone);
  wasmtime_eqref_clone(&eq, &eq2);
  wasmtime_eqref_unroot(&eq);
  expect_ok(wasmtime_context_gc(ctx));
  expect(wasmtime_eqref_as_struct(ctx, &eq2, &clone));
  wasmtime_eqref_unroot(&eq2);
  expect_every_value(&clone);
  wasmtime_structref_unroot(&clone);
  wasmtime_val_t element = i64_val(0x123456789);
  wasmtime_arrayref_t array = new_array(WASMTIME_I64, true, &element, 2), copy;
  wasmtime_arrayref_clone(&array, &copy);
  wasmtime_arrayref_unroot(&array);
  expect_ok(wasmtime_context_gc(ctx));
  expect_ok(wasmtime_arrayref_get(ctx, &copy, 1, &element));
  expect(element.of.i64 == 0x123456789);
  wasmtime_arrayref_unroot(&copy);
}

static void what_an_object_refers_to_is_finalized_after_it(void) {
  static int finalized;
  finalized = 0;
  wasmtime_field_type_t fields[] = {{WASMTIME_EXTERNREF, true}, {WASMTIME_ANYREF, true}};
  wasmtime_struct_ref_pre_t *pre = struct_pre(fields, 2);
  wasmtime_val_t vals[2] = {null_externref_val(), i32_val(0)};
  wasmtime_structref_t inner, outer;
  vals[1].kind = WASMTIME_ANYREF;
  wasmtime_anyref_set_null(&vals[1].of.anyref);
  expect(wasmtime_externref_new(ctx, &finalized, count_finalized, &vals[0].of.externref));
  expect_ok(wasmtime_structref_new(ctx, pre, vals, 2, &inner));
  wasmtime_val_unroot(&vals[0]);
  vals[0] = null_externref_val();
  wasmtime_structref_to_anyref(&inner, &vals[1].of.anyref);
  expect_ok(wasmtime_structref_new(ctx, pre, vals, 2, &outer));
  wasmtime_val_unroot(&vals[1]);
  wasmtime_structref_unroot(&inner);
  wasmtime_struct_ref_pre_delete(pre);
  expect_ok(wasmtime_context_gc(ctx));
  expect(finalized == 0);
  wasmtime_structref_unroot(&outer);
  expect_ok(wasmtime_context_gc(ctx));
  expect(finalized == 1);
}

static void a_cycle_is_finalized_with_the_store_at_the_latest(void) {
  int finalized = 0;
  wasmtime_field_type_t fields[] = {{WASMTIME_EXTERNREF, true}, {WASMTIME_ANYREF, true}};
  wasmtime_struct_ref_pre_t *pre = struct_pre(fields, 2);
  wasmtime_val_t vals[2] = {null_externref_val(), i32_val(0)};
  wasmtime_structref_t structure;
  vals[1].kind = WASMTIME_ANYREF;
  wasmtime_anyref_set_null(&vals[1].of.anyref);
  expect(wasmtime_externref_new(ctx, &finalized, count_finalized, &vals[0].of.externref));
  expect_ok(wasmtime_structref_new(ctx, pre, vals, 2, &structure));
  wasmtime_struct_ref_pre_delete(pre);
  wasmtime_val_unroot(&vals[0]);
  wasmtime_structref_to_anyref(&structure, &vals[1].of.anyref);
  expect_ok(wasmtime_structref_set_field(ctx, &structure, 1, &vals[1]));
  wasmtime_val_unroot(&vals[1]);
  wasmtime_structref_unroot(&structure);
  expect_ok(wasmtime_context_gc(ctx));
  expect(finalized == 1 || getenv("AMPOULE_AGAINST")); // a library that counts references finds it only at the end
  wasmtime_store_delete(store);
  store = NULL;
  expect(finalized == 1);
}

static void types_outlive_what_made_them(void) {
  wasmtime_struct_type_t *type = wasmtime_struct_type_new(engine, every_field, FIELDS);
  wasmtime_struct_ref_pre_t *pre = wasmtime_struct_ref_pre_new(ctx, type);
  wasmtime_struct_type_delete(type);
  wasmtime_val_t vals[FIELDS];
  wasmtime_structref_t structure;
  every_value(vals);
  expect_ok(wasmtime_structref_new(ctx, pre, vals, FIELDS, &structure));
  wasmtime_struct_ref_pre_delete(pre);
  unroot_all(vals, FIELDS);
  expect_every_value(&structure);
  wasmtime_structref_unroot(&structure);
}

// One allocator, many objects: most of them garbage, a few kept all along.
static void a_hundred_thousand_objects_come_and_go(void) {
  enum { KEPT = 100 };
  wasmtime_field_type_t fields[] = {{WASMTIME_I32, false}, {WASMTIME_ANYREF, true}};
  wasmtime_struct_ref_pre_t *pre = struct_pre(fields, 2);
  static wasmtime_structref_t kept[KEPT];
  for (int i = 0; i < 100000; i++) {
    wasmtime_val_t vals[2] = {i32_val(i), i32_val(0)};
    wasmtime_structref_t structure;
    vals[1].kind = WASMTIME_ANYREF;
    wasmtime_anyref_set_null(&vals[1].of.anyref);
    if (i % 1000 == 1) wasmtime_structref_to_anyref(&kept[i / 1000], &vals[1].of.anyref);
    if (!expect_ok(wasmtime_structref_new(ctx, pre, vals, 2, &structure))) return;
    if (i % 1000 == 1) wasmtime_val_unroot(&vals[1]);
    if (i % 1000 == 0)
      kept[i / 1000] = structure;
    else
      wasmtime_structref_unroot(&structure);
  }
  wasmtime_struct_ref_pre_delete(pre);
  for (int i = 0; i < KEPT; i++) {
    wasmtime_val_t got;
    expect_ok(wasmtime_structref_field(ctx, &kept[i], 0, &got));
    expect(got.of.i32 == i * 1000);
    wasmtime_structref_unroot(&kept[i]);
  }
}

static void a_heap_obeys_the_limit_of_its_store(void) {
  wasmtime_store_limiter(store, 4 << 20, -1, -1, -1, -1);
  wasmtime_val_t element = i64_val(0);
  wasmtime_array_ref_pre_t *pre = array_pre(WASMTIME_I64, true);
  wasmtime_arrayref_t array, kept[64];
  expect_error_says(wasmtime_arrayref_new(ctx, pre, &element, 1 << 20, &array), "GC heap out of memory");
  // What is garbage makes room; what is kept does not.
  for (int i = 0; i < 200; i++) {
    if (!expect_ok(wasmtime_arrayref_new(ctx, pre, &element, 16 << 10, &array))) break;
    wasmtime_arrayref_unroot(&array);
  }
  int count = 0;
  wasmtime_error_t *error;
  while (!(error = wasmtime_arrayref_new(ctx, pre, &element, 16 << 10, &kept[count])) && count < 63) count++;
  expect_error_says(error, "GC heap out of memory: no capacity for allocation of ");
  expect(count > 4 && count < 32);
  for (int i = 0; i < count; i++) wasmtime_arrayref_unroot(&kept[i]);
  expect_ok(wasmtime_arrayref_new(ctx, pre, &element, 16 << 10, &array));
  wasmtime_arrayref_unroot(&array);
  wasmtime_array_ref_pre_delete(pre);
}

static void without_support(wasm_config_t *config) {
  wasmtime_config_gc_support_set(config, false);
  wasmtime_config_wasm_reference_types_set(config, false);
}

static void without_support_nothing_is_made(void) {
  wasmtime_struct_ref_pre_t *pre = struct_pre(every_field, 1);
  wasmtime_val_t val = i32_val(1);
  wasmtime_structref_t structure;
  expect_error_says(wasmtime_structref_new(ctx, pre, &val, 1, &structure),
                    "cannot allocate a GC store when GC is disabled at configuration time");
  wasmtime_struct_ref_pre_delete(pre);
}

// -- What the reference library answers by ending the process

static void null_has_no_fields_and_elements(void) {
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

static void objects_of_another_store_are_errors(void) {
  wasmtime_store_t *second = wasmtime_store_new(engine, NULL, NULL);
  wasmtime_context_t *theirs = wasmtime_store_context(second);
  wasmtime_structref_t structure = new_struct(), out;
  wasmtime_val_t vals[FIELDS], got = i32_val(99), number = i32_val(1), any = i32_val(0);
  wasmtime_arrayref_t array = new_array(WASMTIME_ANYREF, true, (wasmtime_anyref_from_i31(ctx, 1, &any.of.anyref), any.kind = WASMTIME_ANYREF, &any), 2);
  uint32_t len = 99;
  expect_error(wasmtime_structref_field(theirs, &structure, 0, &got));
  expect_error(wasmtime_structref_set_field(theirs, &structure, 0, &number));
  expect_error(wasmtime_arrayref_len(theirs, &array, &len));
  expect_error(wasmtime_arrayref_get(theirs, &array, 0, &got));
  expect_error(wasmtime_arrayref_set(theirs, &array, 0, &number));
  expect(got.of.i32 == 99 && len == 99);
  // As a value in an object of the other.
  wasmtime_struct_ref_pre_t *pre = struct_pre(every_field, FIELDS);
  wasmtime_structref_set_null(&out);
  every_value(vals);
  expect_error(wasmtime_structref_new(theirs, pre, vals, FIELDS, &out));
  unroot_all(vals, FIELDS);
  expect(wasmtime_structref_is_null(&out));
  wasmtime_struct_ref_pre_delete(pre);
  wasmtime_val_t foreign = i32_val(0);
  foreign.kind = WASMTIME_EXTERNREF;
  expect(wasmtime_externref_new(theirs, NULL, NULL, &foreign.of.externref));
  wasmtime_field_type_t field = {WASMTIME_EXTERNREF, true};
  pre = struct_pre(&field, 1);
  expect_error(wasmtime_structref_new(ctx, pre, &foreign, 1, &out));
  wasmtime_val_t null = null_externref_val();
  expect_ok(wasmtime_structref_new(ctx, pre, &null, 1, &out));
  expect_error(wasmtime_structref_set_field(ctx, &out, 0, &foreign));
  wasmtime_val_unroot(&foreign);
  wasmtime_structref_unroot(&out);
  wasmtime_struct_ref_pre_delete(pre);
  wasmtime_val_unroot(&any);
  wasmtime_arrayref_unroot(&array);
  wasmtime_structref_unroot(&structure);
  wasmtime_store_delete(second);
}

static void an_array_of_more_bytes_than_a_heap_has_is_an_error(void) {
  wasmtime_val_t element = i64_val(0);
  wasmtime_array_ref_pre_t *pre = array_pre(WASMTIME_I64, true);
  wasmtime_arrayref_t array;
  expect_error_says(wasmtime_arrayref_new(ctx, pre, &element, UINT32_MAX, &array), "allocation size too large");
  wasmtime_array_ref_pre_delete(pre);
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
  RUN(a_struct_keeps_a_field_of_every_kind);
  RUN(fields_that_may_change_do);
  RUN(a_field_is_refused_what_does_not_fit);
  RUN(the_values_of_a_struct_have_to_fit_its_type);
  RUN(a_struct_may_be_empty_or_large);
  RUN(an_array_has_elements_of_every_kind);
  RUN(elements_change_one_by_one);
  RUN(an_element_is_refused_what_does_not_fit);
  RUN(a_reference_is_asked_what_it_is);
  RUN(every_root_keeps_an_object_alive);
  RUN(what_an_object_refers_to_is_finalized_after_it);
  RUN(a_cycle_is_finalized_with_the_store_at_the_latest);
  RUN(types_outlive_what_made_them);
  RUN(a_hundred_thousand_objects_come_and_go);
  RUN(a_heap_obeys_the_limit_of_its_store);
  RUN_WITH(without_support, without_support_nothing_is_made);
  RUN_HERE(null_has_no_fields_and_elements);
  RUN_HERE(objects_of_another_store_are_errors);
  RUN_HERE(an_array_of_more_bytes_than_a_heap_has_is_an_error);
  RUN(references_are_values);
  return test_summary();
}
