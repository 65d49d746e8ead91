// Objects of guests as values of the host: results, arguments, globals, tables, host functions. What guests do with objects
// among themselves is told in gc_guests.c.
#include "test.h"

static void with_gc(wasm_config_t *config) {
  wasmtime_config_wasm_function_references_set(config, true);
  wasmtime_config_wasm_gc_set(config, true);
}

static const char *const GUEST =
    "(module (type $point (sub (struct (field $x (mut i32))))) (type $point3 (sub final $point (struct (field (mut i32)) (field i64))))"
    " (type $shorts (array (mut i16))) (type $alone (struct (field (mut i32))))"
    " (func (export \"point\") (param i32) (result (ref $point)) (struct.new $point (local.get 0)))"
    " (func (export \"point3\") (param i32) (result (ref $point)) (struct.new $point3 (local.get 0) (i64.const -9)))"
    " (func (export \"shorts\") (param i32) (result (ref $shorts)) (array.new $shorts (i32.const -1) (local.get 0)))"
    " (func (export \"alone\") (param i32) (result (ref $alone)) (struct.new $alone (local.get 0)))"
    " (func (export \"small\") (param i32) (result (ref i31)) (ref.i31 (local.get 0)))"
    " (func (export \"x\") (param (ref null $point)) (result i32) (struct.get $point $x (local.get 0)))"
    " (func (export \"x3\") (param (ref $point3)) (result i32) (struct.get $point3 0 (local.get 0)))"
    " (func (export \"x_alone\") (param (ref $alone)) (result i32) (struct.get $alone 0 (local.get 0)))"
    " (func (export \"any\") (param anyref) (result anyref) (local.get 0))"
    " (func (export \"some\") (param (ref any)) (result (ref any)) (local.get 0))"
    " (func (export \"eq\") (param eqref) (result eqref) (local.get 0))"
    " (func (export \"i31\") (param i31ref) (result i31ref) (local.get 0))"
    " (func (export \"struct\") (param structref) (result structref) (local.get 0))"
    " (func (export \"array\") (param arrayref) (result arrayref) (local.get 0))"
    " (func (export \"none\") (param nullref) (result nullref) (local.get 0))"
    " (func (export \"nofunc\") (param nullfuncref) (result nullfuncref) (local.get 0))"
    " (func (export \"noextern\") (param nullexternref) (result nullexternref) (local.get 0))"
    " (func (export \"to_extern\") (param anyref) (result externref) (extern.convert_any (local.get 0)))"
    " (func (export \"to_any\") (param externref) (result anyref) (any.convert_extern (local.get 0)))"
    " (func (export \"same\") (param eqref eqref) (result i32) (ref.eq (local.get 0) (local.get 1)))"
    " (global (export \"global\") (mut (ref null $point)) (ref.null $point))"
    " (global (export \"full\") (mut (ref $point)) (struct.new $point (i32.const 1)))"
    " (global (export \"anything\") (mut anyref) (ref.i31 (i32.const 5)))"
    " (table (export \"table\") 3 10 (ref null $point)))";

// Calls an export with one argument, which stays the caller's; the result is the caller's.
static wasmtime_val_t call_val(const wasmtime_instance_t *instance, const char *name, wasmtime_val_t arg) {
  wasmtime_func_t func = func_of(instance, name);
  wasmtime_val_t result = i32_val(0);
  wasm_trap_t *trap = NULL;
  expect_ok(wasmtime_func_call(ctx, &func, &arg, 1, &result, 1, &trap));
  expect_no_trap(trap);
  return result;
}

static wasmtime_error_t *call_error(const wasmtime_instance_t *instance, const char *name, wasmtime_val_t arg) {
  wasmtime_func_t func = func_of(instance, name);
  wasmtime_val_t result;
  wasm_trap_t *trap = NULL;
  wasmtime_error_t *error = wasmtime_func_call(ctx, &func, &arg, 1, &result, 1, &trap);
  expect_no_trap(trap);
  return error;
}

static wasmtime_val_t null_val(wasmtime_valkind_t kind) {
  wasmtime_val_t val = i32_val(0);
  val.kind = kind;
  if (kind == WASMTIME_ANYREF) wasmtime_anyref_set_null(&val.of.anyref);
  if (kind == WASMTIME_EXTERNREF) wasmtime_externref_set_null(&val.of.externref);
  if (kind == WASMTIME_FUNCREF) wasmtime_funcref_set_null(&val.of.funcref);
  return val;
}

static wasmtime_val_t small_val(uint32_t value) {
  wasmtime_val_t val = null_val(WASMTIME_ANYREF);
  wasmtime_anyref_from_i31(ctx, value, &val.of.anyref);
  return val;
}

static bool is_null(const wasmtime_val_t *val) {
  return val->kind == WASMTIME_ANYREF ? wasmtime_anyref_is_null(&val->of.anyref)
                                      : val->kind == WASMTIME_EXTERNREF ? wasmtime_externref_is_null(&val->of.externref)
                                                                        : wasmtime_funcref_is_null(&val->of.funcref);
}

static void the_host_reads_and_changes_a_guests_struct(void) {
  wasmtime_instance_t instance = instance_of(GUEST);
  wasmtime_val_t point = call_val(&instance, "point3", i32_val(12)), got, back;
  wasmtime_structref_t structure;
  expect(point.kind == WASMTIME_ANYREF && wasmtime_anyref_is_struct(ctx, &point.of.anyref));
  expect_ok(wasmtime_context_gc(ctx));
  if (!expect(wasmtime_anyref_as_struct(ctx, &point.of.anyref, &structure))) return;
  expect_ok(wasmtime_structref_field(ctx, &structure, 0, &got));
  expect(got.kind == WASMTIME_I32 && got.of.i32 == 12);
  expect_ok(wasmtime_structref_field(ctx, &structure, 1, &got));
  expect(got.kind == WASMTIME_I64 && got.of.i64 == -9);
  expect_error_says(wasmtime_structref_set_field(ctx, &structure, 1, &got), "field is not mutable");
  expect_error_says(wasmtime_structref_field(ctx, &structure, 2, &got), "struct only has 2 fields");
  got = i32_val(34);
  expect_ok(wasmtime_structref_set_field(ctx, &structure, 0, &got));
  wasmtime_structref_unroot(&structure);
  back = call_val(&instance, "x", point);
  expect(back.of.i32 == 34);
  back = call_val(&instance, "x3", point);
  expect(back.of.i32 == 34);
  wasmtime_val_unroot(&point);
}

static void the_host_reads_and_changes_a_guests_array(void) {
  wasmtime_instance_t instance = instance_of(GUEST);
  wasmtime_val_t shorts = call_val(&instance, "shorts", i32_val(4)), got = i32_val(7);
  wasmtime_arrayref_t array;
  uint32_t len = 0;
  expect(shorts.kind == WASMTIME_ANYREF && !wasmtime_anyref_is_struct(ctx, &shorts.of.anyref));
  if (!expect(wasmtime_anyref_as_array(ctx, &shorts.of.anyref, &array))) return;
  wasmtime_val_unroot(&shorts);
  expect_ok(wasmtime_context_gc(ctx));
  expect_ok(wasmtime_arrayref_len(ctx, &array, &len));
  expect(len == 4);
  expect_ok(wasmtime_arrayref_set(ctx, &array, 1, &got));
  for (uint32_t i = 0; i < 4; i++) {
    expect_ok(wasmtime_arrayref_get(ctx, &array, i, &got));
    expect(got.kind == WASMTIME_I32 && got.of.i32 == (i == 1 ? 7 : 0xffff));
  }
  wasmtime_arrayref_unroot(&array);
}

static void a_guest_takes_structs_of_the_host(void) {
  wasmtime_instance_t instance = instance_of(GUEST);
  wasmtime_field_type_t field = {WASMTIME_I32, true};
  wasmtime_struct_type_t *type = wasmtime_struct_type_new(engine, &field, 1);
  wasmtime_struct_ref_pre_t *pre = wasmtime_struct_ref_pre_new(ctx, type);
  wasmtime_struct_type_delete(type);
  wasmtime_structref_t structure;
  wasmtime_val_t x = i32_val(55), val = null_val(WASMTIME_ANYREF);
  expect_ok(wasmtime_structref_new(ctx, pre, &x, 1, &structure));
  wasmtime_struct_ref_pre_delete(pre);
  wasmtime_structref_to_anyref(&structure, &val.of.anyref);
  wasmtime_structref_unroot(&structure);
  // Its type is that of a struct without supertypes that is final; one that may be extended is another.
  x = call_val(&instance, "x_alone", val);
  expect(x.of.i32 == 55);
  expect_error_says(call_error(&instance, "x", val), "argument type mismatch");
  wasmtime_val_unroot(&val);
}

static void integers_of_31_bits_cross(void) {
  wasmtime_instance_t instance = instance_of(GUEST);
  static const struct {
    int32_t in, s;
    uint32_t u;
  } cases[] = {{0, 0, 0}, {5, 5, 5}, {-1, -1, 0x7fffffff}, {0x40000000, -0x40000000, 0x40000000}, {INT32_MIN, 0, 0}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    wasmtime_val_t val = call_val(&instance, "small", i32_val(cases[i].in));
    uint32_t u = 99;
    int32_t s = 99;
    expect(val.kind == WASMTIME_ANYREF && wasmtime_anyref_is_i31(ctx, &val.of.anyref));
    expect(wasmtime_anyref_i31_get_u(ctx, &val.of.anyref, &u) && u == cases[i].u);
    expect(wasmtime_anyref_i31_get_s(ctx, &val.of.anyref, &s) && s == cases[i].s);
    wasmtime_val_t back = call_val(&instance, "i31", val);
    expect(wasmtime_anyref_i31_get_u(ctx, &back.of.anyref, &u) && u == cases[i].u);
    wasmtime_val_unroot(&back);
    wasmtime_val_unroot(&val);
  }
}

static void an_object_stays_the_same_object(void) {
  wasmtime_instance_t instance = instance_of(GUEST);
  wasmtime_val_t a = call_val(&instance, "point", i32_val(1)), b = call_val(&instance, "point", i32_val(1)),
                 again = call_val(&instance, "any", a), small = small_val(3), small2 = small_val(3);
  wasmtime_func_t same = func_of(&instance, "same");
  const struct {
    wasmtime_val_t args[2];
    int32_t same;
  } cases[] = {{{a, a}, 1}, {{a, again}, 1}, {{a, b}, 0}, {{small, small2}, 1}, {{a, small}, 0},
               {{null_val(WASMTIME_ANYREF), null_val(WASMTIME_ANYREF)}, 1}, {{a, null_val(WASMTIME_ANYREF)}, 0}};
  for (int round = 0; round < 2; round++) {
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
      wasmtime_val_t result;
      wasm_trap_t *trap = NULL;
      expect_ok(wasmtime_func_call(ctx, &same, cases[i].args, 2, &result, 1, &trap));
      expect_no_trap(trap);
      expect(result.of.i32 == cases[i].same);
    }
    expect_ok(wasmtime_context_gc(ctx));
  }
  wasmtime_val_unroot(&a);
  wasmtime_val_unroot(&b);
  wasmtime_val_unroot(&again);
}

static void an_argument_has_to_be_of_the_type(void) {
  wasmtime_instance_t instance = instance_of(GUEST);
  wasmtime_val_t point = call_val(&instance, "point", i32_val(1)), point3 = call_val(&instance, "point3", i32_val(2)),
                 shorts = call_val(&instance, "shorts", i32_val(3)), small = small_val(4), null = null_val(WASMTIME_ANYREF),
                 no_func = null_val(WASMTIME_FUNCREF), no_extern = null_val(WASMTIME_EXTERNREF), number = i32_val(5);
  const struct {
    const char *name;
    wasmtime_val_t arg;
    bool fits;
  } cases[] = {
      {"any", point, true},      {"any", shorts, true},    {"any", small, true},      {"any", null, true},
      {"any", no_func, false},   {"any", number, false},   {"some", point, true},     {"some", null, false},
      {"eq", point3, true},      {"eq", shorts, true},     {"eq", small, true},       {"eq", null, true},
      {"i31", small, true},      {"i31", point, false},    {"i31", null, true},       {"struct", point3, true},
      {"struct", shorts, false}, {"struct", small, false}, {"array", shorts, true},   {"array", point, false},
      {"none", null, true},      {"none", small, false},   {"none", point, false},    {"x3", point, false},
      {"x3", null, false},       {"x3", point3, true},     {"nofunc", no_func, true}, {"nofunc", null, false},
      {"noextern", no_extern, true}, {"noextern", no_func, false}, {"x", point3, true}, {"x", shorts, false},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    wasmtime_func_t func = func_of(&instance, cases[i].name);
    wasmtime_val_t result = i32_val(0);
    wasm_trap_t *trap = NULL;
    wasmtime_error_t *error = wasmtime_func_call(ctx, &func, &cases[i].arg, 1, &result, 1, &trap);
    expect_no_trap(trap);
    bool held = cases[i].fits ? expect_ok(error) : expect_error_says(error, "argument type mismatch");
    if (!held) printf("# %s, case %zu\n", cases[i].name, i);
    if (cases[i].fits && result.kind == cases[i].arg.kind) expect(is_null(&result) == is_null(&cases[i].arg));
    if (cases[i].fits) wasmtime_val_unroot(&result);
  }
  expect_error_says(call_error(&instance, "some", null), "type mismatch: expected (ref any), found (ref null none)");
  expect_error_says(call_error(&instance, "none", small), "type mismatch: expected (ref null none), found (ref i31)");
  expect_error_says(call_error(&instance, "i31", number), "type mismatch: expected (ref null i31), found i32");
  wasmtime_val_unroot(&point);
  wasmtime_val_unroot(&point3);
  wasmtime_val_unroot(&shorts);
}

static void what_is_converted_comes_back(void) {
  static int value;
  wasmtime_instance_t instance = instance_of(GUEST);
  wasmtime_val_t point = call_val(&instance, "point", i32_val(8));
  wasmtime_val_t outside = call_val(&instance, "to_extern", point);
  expect(outside.kind == WASMTIME_EXTERNREF && !wasmtime_externref_is_null(&outside.of.externref));
  expect(wasmtime_externref_data(ctx, &outside.of.externref) == NULL);
  wasmtime_val_t inside = call_val(&instance, "to_any", outside), x = call_val(&instance, "x", inside);
  expect(x.of.i32 == 8);
  wasmtime_val_unroot(&point);
  wasmtime_val_unroot(&outside);
  wasmtime_val_unroot(&inside);
  // A value of the host is an `any` and nothing below it.
  wasmtime_val_t host = null_val(WASMTIME_EXTERNREF);
  expect(wasmtime_externref_new(ctx, &value, NULL, &host.of.externref));
  inside = call_val(&instance, "to_any", host);
  wasmtime_val_unroot(&host);
  expect(inside.kind == WASMTIME_ANYREF && !wasmtime_anyref_is_null(&inside.of.anyref));
  expect(!wasmtime_anyref_is_eqref(ctx, &inside.of.anyref) && !wasmtime_anyref_is_i31(ctx, &inside.of.anyref));
  expect(!wasmtime_anyref_is_struct(ctx, &inside.of.anyref) && !wasmtime_anyref_is_array(ctx, &inside.of.anyref));
  expect_error_says(call_error(&instance, "eq", inside), "expected (ref null eq), found (ref any)");
  expect_ok(wasmtime_context_gc(ctx));
  outside = call_val(&instance, "to_extern", inside);
  expect(wasmtime_externref_data(ctx, &outside.of.externref) == &value);
  wasmtime_val_unroot(&inside);
  wasmtime_val_unroot(&outside);
  // Null stays null, and a small integer stays one.
  outside = call_val(&instance, "to_extern", null_val(WASMTIME_ANYREF));
  expect(outside.kind == WASMTIME_EXTERNREF && is_null(&outside));
  inside = call_val(&instance, "to_any", null_val(WASMTIME_EXTERNREF));
  expect(inside.kind == WASMTIME_ANYREF && is_null(&inside));
  outside = call_val(&instance, "to_extern", small_val(6));
  expect(!is_null(&outside) && wasmtime_externref_data(ctx, &outside.of.externref) == NULL);
  inside = call_val(&instance, "to_any", outside);
  uint32_t u = 0;
  expect(wasmtime_anyref_i31_get_u(ctx, &inside.of.anyref, &u) && u == 6);
  wasmtime_val_unroot(&outside);
}

static void globals_take_what_is_of_their_type(void) {
  wasmtime_instance_t instance = instance_of(GUEST);
  wasmtime_val_t point3 = call_val(&instance, "point3", i32_val(2)), shorts = call_val(&instance, "shorts", i32_val(3)),
                 small = small_val(4), null = null_val(WASMTIME_ANYREF), number = i32_val(1), got, x;
  wasmtime_global_t global = export_of(&instance, "global").of.global, full = export_of(&instance, "full").of.global,
                    anything = export_of(&instance, "anything").of.global;
  uint32_t u = 0;
  wasmtime_global_get(ctx, &anything, &got);
  expect(got.kind == WASMTIME_ANYREF && wasmtime_anyref_i31_get_u(ctx, &got.of.anyref, &u) && u == 5);
  expect_ok(wasmtime_global_set(ctx, &global, &point3));
  expect_error_says(wasmtime_global_set(ctx, &global, &shorts), "type mismatch: attempt to set global to value of wrong type");
  expect_error_says(wasmtime_global_set(ctx, &global, &small), "found (ref i31)");
  expect_error_says(wasmtime_global_set(ctx, &global, &number), "found i32");
  expect_error_says(wasmtime_global_set(ctx, &full, &null), "type mismatch");
  expect_ok(wasmtime_global_set(ctx, &full, &point3));
  expect_ok(wasmtime_global_set(ctx, &anything, &shorts));
  wasmtime_val_unroot(&point3);
  wasmtime_val_unroot(&shorts);
  expect_ok(wasmtime_context_gc(ctx));
  wasmtime_global_get(ctx, &global, &got);
  expect(got.kind == WASMTIME_ANYREF);
  x = call_val(&instance, "x", got);
  expect(x.of.i32 == 2);
  wasmtime_val_unroot(&got);
  wasmtime_global_get(ctx, &anything, &got);
  expect(got.kind == WASMTIME_ANYREF && wasmtime_anyref_is_array(ctx, &got.of.anyref));
  wasmtime_val_unroot(&got);
  expect_ok(wasmtime_global_set(ctx, &global, &null));
  wasmtime_global_get(ctx, &global, &got);
  expect(got.kind == WASMTIME_ANYREF && is_null(&got));
}

static void tables_take_what_is_of_their_type(void) {
  wasmtime_instance_t instance = instance_of(GUEST);
  wasmtime_val_t point = call_val(&instance, "point", i32_val(7)), shorts = call_val(&instance, "shorts", i32_val(3)),
                 null = null_val(WASMTIME_ANYREF), got, x;
  wasmtime_table_t table = export_of(&instance, "table").of.table;
  uint64_t size = 99;
  expect_ok(wasmtime_table_set(ctx, &table, 1, &point));
  expect_error_says(wasmtime_table_set(ctx, &table, 0, &shorts), "type mismatch: value does not match table element type");
  expect_error_says(wasmtime_table_grow(ctx, &table, 1, &shorts, &size), "type mismatch");
  expect(size == 99 && wasmtime_table_size(ctx, &table) == 3);
  expect_ok(wasmtime_table_grow(ctx, &table, 2, &point, &size));
  expect(size == 3);
  wasmtime_val_unroot(&point);
  wasmtime_val_unroot(&shorts);
  expect_ok(wasmtime_context_gc(ctx));
  for (uint64_t i = 0; i < 5; i++) {
    expect(wasmtime_table_get(ctx, &table, i, &got) && got.kind == WASMTIME_ANYREF);
    bool empty = i == 0 || i == 2;
    expect(is_null(&got) == empty);
    if (empty) continue;
    x = call_val(&instance, "x", got);
    expect(x.of.i32 == 7);
    wasmtime_val_unroot(&got);
  }
  expect_ok(wasmtime_table_set(ctx, &table, 1, &null));
  expect(wasmtime_table_get(ctx, &table, 1, &got) && is_null(&got));
}

// -- Functions of the host

static int wrong_result; // 1: a null, 2: an object of another type

static wasm_trap_t *doubles_x(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                              wasmtime_val_t *results, size_t nresults) {
  (void)env;
  wasmtime_context_t *in = wasmtime_caller_context(caller);
  wasmtime_structref_t structure;
  wasmtime_val_t x;
  expect(nargs == 2 && nresults == 1 && args[0].kind == WASMTIME_ANYREF && args[1].kind == WASMTIME_ANYREF);
  expect_ok(wasmtime_context_gc(in));
  if (!expect(wasmtime_anyref_as_struct(in, &args[0].of.anyref, &structure))) return NULL;
  expect_ok(wasmtime_structref_field(in, &structure, 0, &x));
  x.of.i32 *= 2;
  expect_ok(wasmtime_structref_set_field(in, &structure, 0, &x));
  wasmtime_structref_unroot(&structure);
  results[0].kind = WASMTIME_ANYREF;
  if (wrong_result == 1)
    wasmtime_anyref_set_null(&results[0].of.anyref);
  else
    wasmtime_anyref_clone(&args[wrong_result ? 1 : 0].of.anyref, &results[0].of.anyref);
  return NULL;
}

// The type of such a function is told by the import that wants it.
static void a_host_function_takes_and_gives_objects(void) {
  static const char *const wat =
      "(module (type $p (struct (field $x (mut i32)))) (import \"\" \"f\" (func $f (param (ref $p) anyref) (result (ref $p))))"
      " (func (export \"run\") (param i32) (result i32) (local $p (ref null $p)) (local.set $p (struct.new $p (local.get 0)))"
      "  (struct.get $p $x (call $f (ref.as_non_null (local.get $p)) (ref.i31 (i32.const 4))))"
      "  (i32.mul (i32.const 1000)) (i32.add (struct.get $p $x (local.get $p)))))";
  wasmtime_module_t *module = module_of(wat);
  wasm_importtype_vec_t imports;
  wasmtime_module_imports(module, &imports);
  wasmtime_func_t func;
  wasmtime_func_new(ctx, wasm_externtype_as_functype_const(wasm_importtype_type(imports.data[0])), doubles_x, NULL, NULL, &func);
  wasm_importtype_vec_delete(&imports);
  wasmtime_module_delete(module);
  wasmtime_extern_t import = func_extern(func);
  wasmtime_instance_t instance = instance_with(ctx, engine, wat, &import, 1);
  wasmtime_func_t run = func_of(&instance, "run");
  wrong_result = 0;
  for (int32_t i = 0; i < 100; i++) expect(call1(&run, i) == 2 * i * 1001);
  for (wrong_result = 1; wrong_result <= 2; wrong_result++)
    expect_error_says(call_error(&instance, "run", i32_val(3)), "function attempted to return an incompatible value");
}

// -- Types

static const char MAKER[] =
    "(module (rec (type $p (sub (struct (field i32) (field (ref null $q))))) (type $q (sub $p (struct (field i32) (field (ref null $q)) (field i64)))))"
    " (func (export \"p\") (param i32) (result anyref) (struct.new $p (local.get 0) (ref.null $q)))"
    " (func (export \"q\") (param i32) (result anyref) (struct.new $q (local.get 0) (ref.null $q) (i64.const 1))))";

// The same types behind others, and some that look like them.
static const char ASKER[] =
    "(module (type (array i64)) (type (struct (field f32)))"
    " (rec (type $x (sub (struct (field i32) (field (ref null $y))))) (type $y (sub $x (struct (field i32) (field (ref null $y)) (field i64)))))"
    " (rec (type $v (sub (struct (field i32) (field (ref null $w))))) (type $w (sub $v (struct (field i32) (field (ref null $w)) (field i64)))) (type (func)))"
    " (rec (type $l (sub (struct (field i32) (field (ref null $l))))))"
    " (func (export \"ask\") (param anyref) (result i32)"
    "  (i32.or (i32.or (ref.test (ref $x) (local.get 0)) (i32.shl (ref.test (ref $y) (local.get 0)) (i32.const 1)))"
    "   (i32.or (i32.shl (ref.test (ref $v) (local.get 0)) (i32.const 2)) (i32.shl (ref.test (ref $l) (local.get 0)) (i32.const 3))))))";

static void expect_types_agree(const wasmtime_instance_t *maker, const wasmtime_instance_t *asker) {
  wasmtime_val_t p = call_val(maker, "p", i32_val(1)), q = call_val(maker, "q", i32_val(2)), answer;
  answer = call_val(asker, "ask", p);
  expect(answer.of.i32 == 1);
  answer = call_val(asker, "ask", q);
  expect(answer.of.i32 == 3);
  wasmtime_val_unroot(&p);
  wasmtime_val_unroot(&q);
}

static void a_type_is_its_recursion_group_and_place(void) {
  wasmtime_instance_t maker = instance_of(MAKER), asker = instance_of(ASKER);
  expect_types_agree(&maker, &asker);
}

static wasmtime_instance_t instance_of_bytes(const wasm_byte_vec_t *bytes) {
  wasmtime_module_t *module = NULL;
  wasmtime_instance_t instance;
  wasm_trap_t *trap = NULL;
  if (!expect_ok(wasmtime_module_deserialize(engine, (const uint8_t *)bytes->data, bytes->size, &module))) exit(1);
  expect_ok(wasmtime_instance_new(ctx, module, NULL, 0, &instance, &trap));
  expect_no_trap(trap);
  wasmtime_module_delete(module);
  return instance;
}

// Compiled code names types by numbers of its engine: what was serialized may not bring those of another.
static void types_are_the_same_after_serialization(void) {
  wasm_byte_vec_t bytes[2];
  static const char *const wats[] = {MAKER, ASKER};
  wasm_config_t *config = wasm_config_new();
  with_gc(config);
  wasm_engine_t *other = wasm_engine_new_with_config(config);
  for (int i = 1; i >= 0; i--) { // in the other order, so that their numbers differ
    wasmtime_module_t *module = module_in(other, wats[i]);
    if (!expect(module != NULL)) exit(1);
    expect_ok(wasmtime_module_serialize(module, &bytes[i]));
    wasmtime_module_delete(module);
  }
  wasm_engine_delete(other);
  wasmtime_instance_t unrelated = instance_of(GUEST);
  (void)unrelated;
  wasmtime_instance_t maker = instance_of_bytes(&bytes[0]), asker = instance_of_bytes(&bytes[1]), compiled = instance_of(ASKER);
  expect_types_agree(&maker, &asker);
  expect_types_agree(&maker, &compiled);
  wasm_byte_vec_delete(&bytes[0]);
  wasm_byte_vec_delete(&bytes[1]);
}

// The number of a type may be another's once the last module that had it is gone.
static void modules_come_and_go_and_types_stay_apart(void) {
  wasmtime_instance_t asker = instance_of(ASKER);
  for (int i = 0; i < 200; i++) {
    char wat[512];
    snprintf(wat, sizeof wat, "(module (type (struct (field i32) (field (ref null 0)))) (type (array (ref null 0)))%s)",
             i % 2 ? " (type (struct (field i8) (field i64)))" : "");
    wasmtime_module_t *module = module_of(wat);
    wasmtime_module_delete(module);
  }
  wasmtime_instance_t maker = instance_of(MAKER);
  expect_types_agree(&maker, &asker);
}

int main(void) {
  RUN_WITH(with_gc, the_host_reads_and_changes_a_guests_struct);
  RUN_WITH(with_gc, the_host_reads_and_changes_a_guests_array);
  RUN_WITH(with_gc, a_guest_takes_structs_of_the_host);
  RUN_WITH(with_gc, integers_of_31_bits_cross);
  RUN_WITH(with_gc, an_object_stays_the_same_object);
  RUN_WITH(with_gc, an_argument_has_to_be_of_the_type);
  RUN_WITH(with_gc, what_is_converted_comes_back);
  RUN_WITH(with_gc, globals_take_what_is_of_their_type);
  RUN_WITH(with_gc, tables_take_what_is_of_their_type);
  RUN_WITH(with_gc, a_host_function_takes_and_gives_objects);
  RUN_WITH(with_gc, a_type_is_its_recursion_group_and_place);
  RUN_WITH(with_gc, types_are_the_same_after_serialization);
  RUN_WITH(with_gc, modules_come_and_go_and_types_stay_apart);
  return test_summary();
}
