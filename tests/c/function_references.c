// Typed function references: calls through them, and their types where values cross between host and guest.
#include "test.h"

static void with_references(wasm_config_t *config) { wasmtime_config_wasm_function_references_set(config, true); }

static void with_fuel(wasm_config_t *config) {
  with_references(config);
  wasmtime_config_consume_fuel_set(config, true);
}

static const char *const GUEST =
    "(module (type $f (func (param i32) (result i32))) (type $g (func (result i32)))"
    " (func $inc (export \"inc\") (type $f) (i32.add (local.get 0) (i32.const 1)))"
    " (func $dec (export \"dec\") (type $f) (i32.sub (local.get 0) (i32.const 1)))"
    " (func (export \"other\") (type $g) (i32.const 3))"
    " (func (export \"apply\") (param (ref null $f) i32) (result i32) (call_ref $f (local.get 1) (local.get 0)))"
    " (func (export \"tail\") (param (ref null $f) i32) (result i32) (return_call_ref $f (local.get 1) (local.get 0)))"
    " (func (export \"typed\") (param (ref null $f)) (result (ref null $f)) (local.get 0))"
    " (func (export \"some\") (param (ref func)) (result funcref) (local.get 0))"
    " (global (export \"global\") (mut (ref null $f)) (ref.null $f))"
    " (global (export \"full\") (mut (ref $f)) (ref.func $dec))"
    " (global $const (export \"const\") (ref $f) (ref.func $inc))"
    " (global (export \"untyped\") funcref (ref.func $inc))"
    " (table $table (export \"table\") 2 10 (ref null $f))"
    " (table $filled (export \"filled\") 3 10 (ref $f) (ref.func $inc))"
    " (table (export \"plain\") 1 funcref)"
    " (func (export \"call_table\") (param i32 i32) (result i32)"
    "   (call_indirect $table (type $f) (local.get 1) (local.get 0)))"
    " (func (export \"call_filled\") (param i32 i32) (result i32)"
    "   (call_ref $f (local.get 1) (table.get $filled (local.get 0))))"
    " (func (export \"call_const\") (param i32) (result i32) (call_ref $f (local.get 0) (global.get $const))))";

// Calls an export that takes a function and an i32 and returns an i32; returns what went wrong.
static wasmtime_error_t *apply(const wasmtime_instance_t *instance, const char *name, const wasmtime_func_t *func, int32_t arg,
                               int32_t *out, wasm_trap_t **trap) {
  wasmtime_func_t apply = func_of(instance, name);
  wasmtime_val_t args[2] = {funcref_val(func), i32_val(arg)}, result = i32_val(0);
  *trap = NULL;
  wasmtime_error_t *error = wasmtime_func_call(ctx, &apply, args, 2, &result, 1, trap);
  *out = result.of.i32;
  return error;
}

static void a_function_is_called_through_its_reference(void) {
  wasmtime_instance_t instance = instance_of(GUEST);
  wasmtime_func_t inc = func_of(&instance, "inc"), dec = func_of(&instance, "dec");
  static const char *const names[] = {"apply", "tail"};
  for (size_t i = 0; i < 2; i++) {
    wasm_trap_t *trap;
    int32_t got;
    expect_ok(apply(&instance, names[i], &inc, 10, &got, &trap));
    expect_no_trap(trap);
    expect(got == 11);
    expect_ok(apply(&instance, names[i], &dec, 10, &got, &trap));
    expect_no_trap(trap);
    expect(got == 9);
  }
}

static void calling_null_is_a_null_reference(void) {
  wasmtime_instance_t instance = instance_of(GUEST);
  static const char *const names[] = {"apply", "tail"};
  for (size_t i = 0; i < 2; i++) {
    wasm_trap_t *trap;
    int32_t got;
    expect_ok(apply(&instance, names[i], NULL, 10, &got, &trap));
    expect_trap(trap, WASMTIME_TRAP_CODE_NULL_REFERENCE);
    expect_ok(apply(&instance, names[i], NULL, 10, &got, &trap));
    expect_trap_says(trap, "wasm trap: null reference");
  }
  wasmtime_instance_t other = instance_of("(module (func (export \"f\") (drop (ref.as_non_null (ref.null func)))))");
  wasmtime_func_t func = func_of(&other, "f");
  expect_trap(call(&func), WASMTIME_TRAP_CODE_NULL_REFERENCE);
}

static void arguments_have_to_be_of_the_type(void) {
  wasmtime_instance_t instance = instance_of(GUEST);
  wasmtime_func_t other = func_of(&instance, "other"), typed = func_of(&instance, "typed"), some = func_of(&instance, "some"),
                  inc = func_of(&instance, "inc");
  wasmtime_val_t arg = funcref_val(&other), null = funcref_val(NULL), result = i32_val(0), external = null_externref_val();
  wasm_trap_t *trap = NULL;
  expect_error_says(wasmtime_func_call(ctx, &typed, &arg, 1, &result, 1, &trap), "argument type mismatch");
  expect_error_says(wasmtime_func_call(ctx, &typed, &external, 1, &result, 1, &trap), "argument type mismatch");
  expect_error_says(wasmtime_func_call(ctx, &some, &null, 1, &result, 1, &trap), "argument type mismatch");
  expect_error_says(wasmtime_func_call(ctx, &some, &null, 1, &result, 1, &trap), "type mismatch: expected (ref func), found ");
  expect_no_trap(trap);
  expect_ok(wasmtime_func_call(ctx, &some, &arg, 1, &result, 1, &trap));
  expect_no_trap(trap);
  expect(result.kind == WASMTIME_FUNCREF && !wasmtime_funcref_is_null(&result.of.funcref));
  expect(call0(&result.of.funcref) == 3);
  arg = funcref_val(&inc);
  expect_ok(wasmtime_func_call(ctx, &typed, &arg, 1, &result, 1, &trap));
  expect_no_trap(trap);
  expect(result.kind == WASMTIME_FUNCREF && call1(&result.of.funcref, 4) == 5);
  expect_ok(wasmtime_func_call(ctx, &typed, &null, 1, &result, 1, &trap));
  expect_no_trap(trap);
  expect(result.kind == WASMTIME_FUNCREF && wasmtime_funcref_is_null(&result.of.funcref));
}

static wasm_trap_t *doubles(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                            wasmtime_val_t *results, size_t nresults) {
  (void)env, (void)caller, (void)nargs, (void)nresults;
  results[0] = i32_val(2 * args[0].of.i32);
  return NULL;
}

// Types are the same wherever they are written, so functions of the host and of other modules fit.
static void functions_of_the_host_and_of_other_modules_fit(void) {
  wasmtime_instance_t instance = instance_of(GUEST);
  wasm_functype_t *type = wasm_functype_new_1_1(wasm_valtype_new_i32(), wasm_valtype_new_i32());
  wasmtime_func_t host;
  wasmtime_func_new(ctx, type, doubles, NULL, NULL, &host);
  wasm_functype_delete(type);
  wasmtime_instance_t second = instance_of(
      "(module (type (func)) (type $x (func (param i32) (result i32)))"
      " (func (export \"square\") (type $x) (i32.mul (local.get 0) (local.get 0))))");
  wasmtime_func_t square = func_of(&second, "square");
  wasm_trap_t *trap;
  int32_t got;
  expect_ok(apply(&instance, "apply", &host, 21, &got, &trap));
  expect_no_trap(trap);
  expect(got == 42);
  expect_ok(apply(&instance, "tail", &host, 4, &got, &trap));
  expect_no_trap(trap);
  expect(got == 8);
  expect_ok(apply(&instance, "apply", &square, 9, &got, &trap));
  expect_no_trap(trap);
  expect(got == 81);
}

static void globals_take_functions_of_their_type(void) {
  wasmtime_instance_t instance = instance_of(GUEST);
  wasmtime_func_t inc = func_of(&instance, "inc"), other = func_of(&instance, "other"), call_const = func_of(&instance, "call_const");
  wasmtime_extern_t global = export_of(&instance, "global"), full = export_of(&instance, "full");
  wasmtime_val_t fits = funcref_val(&inc), wrong = funcref_val(&other), null = funcref_val(NULL), got;
  expect_ok(wasmtime_global_set(ctx, &global.of.global, &fits));
  expect_error_says(wasmtime_global_set(ctx, &global.of.global, &wrong), "type mismatch");
  wasmtime_global_get(ctx, &global.of.global, &got);
  expect(got.kind == WASMTIME_FUNCREF && call1(&got.of.funcref, 1) == 2);
  expect_ok(wasmtime_global_set(ctx, &global.of.global, &null));
  wasmtime_global_get(ctx, &global.of.global, &got);
  expect(got.kind == WASMTIME_FUNCREF && wasmtime_funcref_is_null(&got.of.funcref));
  expect_error_says(wasmtime_global_set(ctx, &full.of.global, &null), "type mismatch");
  wasmtime_global_get(ctx, &full.of.global, &got);
  expect(got.kind == WASMTIME_FUNCREF && call1(&got.of.funcref, 1) == 0);
  expect_ok(wasmtime_global_set(ctx, &full.of.global, &fits));
  expect(call1(&call_const, 5) == 6);
}

static void tables_take_functions_of_their_type(void) {
  wasmtime_instance_t instance = instance_of(GUEST);
  wasmtime_func_t inc = func_of(&instance, "inc"), other = func_of(&instance, "other"),
                  call_table = func_of(&instance, "call_table"), call_filled = func_of(&instance, "call_filled");
  wasmtime_table_t table = export_of(&instance, "table").of.table, filled = export_of(&instance, "filled").of.table;
  wasmtime_val_t fits = funcref_val(&inc), wrong = funcref_val(&other), null = funcref_val(NULL), args[2], result, got;
  wasm_trap_t *trap = NULL;
  uint64_t size = 99;
  expect_ok(wasmtime_table_set(ctx, &table, 1, &fits));
  expect_error_says(wasmtime_table_set(ctx, &table, 1, &wrong), "type mismatch");
  expect(call2(&call_table, 1, 6) == 7);
  expect_ok(wasmtime_table_set(ctx, &table, 1, &null));
  args[0] = i32_val(1);
  args[1] = i32_val(0);
  expect_ok(wasmtime_func_call(ctx, &call_table, args, 2, &result, 1, &trap));
  expect_trap(trap, WASMTIME_TRAP_CODE_INDIRECT_CALL_TO_NULL);
  args[0] = i32_val(2);
  trap = NULL;
  expect_ok(wasmtime_func_call(ctx, &call_table, args, 2, &result, 1, &trap));
  expect_trap(trap, WASMTIME_TRAP_CODE_TABLE_OUT_OF_BOUNDS);
  expect_error_says(wasmtime_table_grow(ctx, &table, 1, &wrong, &size), "type mismatch");
  expect(size == 99 && wasmtime_table_size(ctx, &table) == 2);
  // Each element of the other has a value from the beginning, and none can become null.
  for (int32_t i = 0; i < 3; i++) expect(call2(&call_filled, i, 8) == 9);
  expect_error_says(wasmtime_table_set(ctx, &filled, 0, &null), "type mismatch");
  expect_error_says(wasmtime_table_grow(ctx, &filled, 1, &null, &size), "type mismatch");
  expect_ok(wasmtime_table_grow(ctx, &filled, 2, &fits, &size));
  expect(size == 3 && call2(&call_filled, 4, 8) == 9);
  expect(wasmtime_table_get(ctx, &filled, 4, &got) && got.kind == WASMTIME_FUNCREF);
}

static void imports_are_matched_by_sub_typing(void) {
  static const struct {
    const char *name, *import, *says;
  } cases[] = {
      {"const", "(global (ref $f))", NULL},
      {"const", "(global (ref null $f))", NULL},
      {"const", "(global funcref)", NULL},
      {"const", "(global (ref func))", NULL},
      {"const", "(global (ref $g))", "global types incompatible"},
      {"const", "(global externref)", "global types incompatible"},
      {"untyped", "(global funcref)", NULL},
      {"untyped", "(global (ref null $f))", "global types incompatible"},
      {"untyped", "(global (ref func))", "global types incompatible"},
      {"global", "(global (mut (ref null $f)))", NULL},
      {"global", "(global (mut funcref))", "expected global of type `funcref`, found global of type `(ref null func ("},
      {"full", "(global (mut (ref $f)))", NULL},
      {"full", "(global (mut (ref null $f)))", "expected global of type `(ref null func ("},
      {"table", "(table 1 (ref null $f))", NULL},
      {"table", "(table 1 funcref)", "table types incompatible: expected table of type `funcref`"},
      {"filled", "(table 1 (ref $f))", NULL},
      {"filled", "(table 1 (ref null $f))", "table types incompatible"},
      {"plain", "(table 1 (ref null $f))", "table types incompatible"},
      {"typed", "(func (param (ref null $f)) (result (ref null $f)))", NULL},
      {"typed", "(func (param (ref $f)) (result (ref null $f)))", "types incompatible: expected type `(func (param (ref func "},
      {"typed", "(func (param (ref null $f)) (result funcref))", "types incompatible"},
      {"typed", "(func (param (ref null $g)) (result (ref null $g)))", "types incompatible"},
  };
  wasmtime_instance_t instance = instance_of(GUEST), importer;
  wasmtime_linker_t *linker = wasmtime_linker_new(engine);
  expect_ok(wasmtime_linker_define_instance(linker, ctx, "m", 1, &instance));
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char wat[512];
    wasm_trap_t *trap = NULL;
    snprintf(wat, sizeof wat,
             "(module (type $g (func (result i32))) (type $f (func (param i32) (result i32))) (import \"m\" \"%s\" %s))",
             cases[i].name, cases[i].import);
    wasmtime_module_t *module = module_of(wat);
    wasmtime_error_t *error = wasmtime_linker_instantiate(linker, ctx, module, &importer, &trap);
    bool held = cases[i].says ? expect_error_says(error, cases[i].says) : expect_ok(error);
    if (!held) printf("# %s as %s\n", cases[i].name, cases[i].import);
    expect_no_trap(trap);
    wasmtime_module_delete(module);
  }
  wasmtime_linker_delete(linker);
}

static void the_instructions_cost_a_unit_of_fuel_each(void) {
  static const struct {
    const char *body;
    uint64_t cost;
  } cases[] = {{"", 1},
               {"(drop (ref.func $v))", 2},
               {"(drop (ref.as_non_null (ref.func $v)))", 3},
               {"(block (br_on_null 0 (ref.func $v)) (drop))", 3},
               {"(block (br_on_null 0 (ref.null $v)) (drop) (drop (i32.const 1)))", 3},
               {"(block (result (ref $v)) (br_on_non_null 0 (ref.func $v)) (ref.func $v)) (drop)", 3},
               {"(block (result (ref $v)) (br_on_non_null 0 (ref.null $v)) (ref.func $v)) (drop)", 4},
               {"(return_call_ref $v (ref.func $v))", 4}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char wat[512];
    uint64_t left = 0;
    snprintf(wat, sizeof wat, "(module (type $v (func)) (func $v (type $v)) (elem declare func $v) (func (export \"f\") %s))",
             cases[i].body);
    expect_ok(wasmtime_context_set_fuel(ctx, 1000));
    wasmtime_instance_t instance = instance_of(wat);
    wasmtime_func_t func = func_of(&instance, "f");
    expect_no_trap(call(&func));
    expect_ok(wasmtime_context_get_fuel(ctx, &left));
    if (!expect(1000 - left == cases[i].cost)) printf("# %s: %d\n", cases[i].body, (int)(1000 - left));
  }
}

// A function that calls itself through its reference as its last act needs no stack.
static void tail_calls_through_references_need_no_stack(void) {
  wasmtime_instance_t instance = instance_of(
      "(module (type $f (func (param i32 i32) (result i32))) (elem declare func $loop)"
      " (func $loop (export \"loop\") (type $f) (if (result i32) (local.get 0)"
      "   (then (return_call_ref $f (i32.sub (local.get 0) (i32.const 1)) (i32.add (local.get 1) (i32.const 3)) (ref.func $loop)))"
      "   (else (local.get 1)))))");
  wasmtime_func_t loop = func_of(&instance, "loop");
  expect(call2(&loop, 1000000, 5) == 3000005);
}

int main(void) {
  RUN_WITH(with_references, a_function_is_called_through_its_reference);
  RUN_FAULTING_WITH(with_references, calling_null_is_a_null_reference);
  RUN_WITH(with_references, arguments_have_to_be_of_the_type);
  RUN_WITH(with_references, functions_of_the_host_and_of_other_modules_fit);
  RUN_WITH(with_references, globals_take_functions_of_their_type);
  RUN_WITH(with_references, tables_take_functions_of_their_type);
  RUN_WITH(with_references, imports_are_matched_by_sub_typing);
  RUN_WITH(with_fuel, the_instructions_cost_a_unit_of_fuel_each);
  RUN_WITH(with_references, tail_calls_through_references_need_no_stack);
  return test_summary();
}
