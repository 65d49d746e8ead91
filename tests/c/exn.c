// wasmtime/exn.h: exceptions, made, thrown and caught by the host.
#include "test.h"

static wasm_tagtype_t *tag_type(wasm_valtype_t *field) {
  wasm_valtype_vec_t params, results;
  wasm_valtype_vec_new_empty(&results);
  if (field)
    wasm_valtype_vec_new(&params, 1, &field);
  else
    wasm_valtype_vec_new_empty(&params);
  return wasm_tagtype_new(wasm_functype_new(&params, &results));
}

// A new tag with one field, or none.
static wasmtime_tag_t tag_in(wasmtime_context_t *in, wasm_valtype_t *field) {
  wasm_tagtype_t *type = tag_type(field);
  wasmtime_tag_t tag;
  expect_ok(wasmtime_tag_new(in, type, &tag));
  wasm_tagtype_delete(type);
  return tag;
}

static wasmtime_exn_t *exn_of(wasmtime_tag_t tag, const wasmtime_val_t *field) {
  wasmtime_exn_t *exn = NULL;
  expect_ok(wasmtime_exn_new(ctx, &tag, field, field ? 1 : 0, &exn));
  return exn;
}

static void an_exception_has_its_tag_and_fields(void) {
  wasmtime_tag_t tag = tag_in(ctx, wasm_valtype_new_i32()), found;
  wasmtime_val_t field = i32_val(7), got;
  wasmtime_exn_t *exn = exn_of(tag, &field);
  expect(wasmtime_exn_field_count(ctx, exn) == 1);
  expect_ok(wasmtime_exn_tag(ctx, exn, &found));
  expect(wasmtime_tag_eq(ctx, &tag, &found));
  expect_ok(wasmtime_exn_field(ctx, exn, 0, &got));
  expect(got.kind == WASMTIME_I32 && got.of.i32 == 7);
  got = i32_val(99);
  expect_error_says(wasmtime_exn_field(ctx, exn, 1, &got), "cannot access field 1");
  expect(got.of.i32 == 99);
  wasmtime_exn_delete(exn);
}

static void fields_have_to_fit_the_tag(void) {
  wasmtime_tag_t tag = tag_in(ctx, wasm_valtype_new_i32());
  wasmtime_val_t fields[2] = {i64_val(1), i32_val(2)};
  wasmtime_exn_t *exn = NULL;
  expect_error_says(wasmtime_exn_new(ctx, &tag, fields, 0, &exn), "expected 1 fields, got 0");
  expect_error_says(wasmtime_exn_new(ctx, &tag, fields, 2, &exn), "expected 1 fields, got 2");
  expect_error_says(wasmtime_exn_new(ctx, &tag, fields, 1, &exn), "field type mismatch");
  expect(!exn);
}

static void a_field_keeps_a_host_value_alive(void) {
  int finalized = 0;
  wasmtime_tag_t tag = tag_in(ctx, wasm_valtype_new_externref());
  wasmtime_val_t field = null_externref_val(), got;
  expect(wasmtime_externref_new(ctx, &finalized, count_finalized, &field.of.externref));
  wasmtime_exn_t *exn = exn_of(tag, &field);
  wasmtime_val_unroot(&field);
  expect_ok(wasmtime_context_gc(ctx));
  expect(finalized == 0);
  expect_ok(wasmtime_exn_field(ctx, exn, 0, &got));
  wasmtime_exn_delete(exn);
  expect_ok(wasmtime_context_gc(ctx));
  expect(finalized == 0);
  expect(got.kind == WASMTIME_EXTERNREF && wasmtime_externref_data(ctx, &got.of.externref) == &finalized);
  wasmtime_val_unroot(&got);
  expect_ok(wasmtime_context_gc(ctx));
  expect(finalized == 1);
}

static void the_pending_exception_is_taken_once(void) {
  wasmtime_tag_t tag = tag_in(ctx, wasm_valtype_new_i32()), other = tag_in(ctx, NULL), found;
  wasmtime_val_t field = i32_val(1);
  wasmtime_exn_t *taken = NULL;
  expect(!wasmtime_context_has_exception(ctx));
  expect(!wasmtime_context_take_exception(ctx, &taken) && !taken);
  expect_trap(wasmtime_context_set_exception(ctx, exn_of(tag, &field)), -1);
  expect(wasmtime_context_has_exception(ctx));
  // The next one takes its place.
  expect_trap_says(wasmtime_context_set_exception(ctx, exn_of(other, NULL)), "thrown Wasm exception");
  expect_ok(wasmtime_context_gc(ctx));
  if (expect(wasmtime_context_take_exception(ctx, &taken))) {
    expect_ok(wasmtime_exn_tag(ctx, taken, &found));
    expect(wasmtime_tag_eq(ctx, &found, &other) && wasmtime_exn_field_count(ctx, taken) == 0);
    wasmtime_exn_delete(taken);
  }
  expect(!wasmtime_context_has_exception(ctx) && !wasmtime_context_take_exception(ctx, &taken));
}

static void what_is_pending_is_freed_with_the_store(void) {
  int finalized = 0;
  wasmtime_tag_t tag = tag_in(ctx, wasm_valtype_new_externref());
  wasmtime_val_t field = null_externref_val();
  expect(wasmtime_externref_new(ctx, &finalized, count_finalized, &field.of.externref));
  expect_trap(wasmtime_context_set_exception(ctx, exn_of(tag, &field)), -1);
  wasmtime_val_unroot(&field);
  wasmtime_store_delete(store);
  store = NULL;
  expect(finalized == 1);
}

static wasmtime_tag_t thrown_tag;

static wasm_trap_t *throws(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                           wasmtime_val_t *results, size_t nresults) {
  (void)env, (void)nargs, (void)results, (void)nresults;
  wasmtime_context_t *in = wasmtime_caller_context(caller);
  wasmtime_exn_t *exn = NULL;
  expect_ok(wasmtime_exn_new(in, &thrown_tag, args, 1, &exn));
  return wasmtime_context_set_exception(in, exn);
}

static wasmtime_func_t throwing_func(void) {
  wasm_functype_t *type = wasm_functype_new_1_0(wasm_valtype_new_i32());
  wasmtime_func_t func;
  thrown_tag = tag_in(ctx, wasm_valtype_new_i32());
  wasmtime_func_new(ctx, type, throws, NULL, NULL, &func);
  wasm_functype_delete(type);
  return func;
}

static void expect_thrown(int32_t value) {
  wasmtime_exn_t *exn = NULL;
  wasmtime_val_t field;
  if (!expect(wasmtime_context_has_exception(ctx) && wasmtime_context_take_exception(ctx, &exn))) return;
  expect_ok(wasmtime_exn_field(ctx, exn, 0, &field));
  expect(field.of.i32 == value);
  wasmtime_exn_delete(exn);
}

static void a_host_function_throws_to_its_caller(void) {
  wasmtime_func_t func = throwing_func();
  wasmtime_val_t arg = i32_val(5);
  wasm_trap_t *trap = NULL;
  expect_ok(wasmtime_func_call(ctx, &func, &arg, 1, NULL, 0, &trap));
  expect_trap(trap, -1);
  expect_thrown(5);
}

static void what_no_guest_catches_ends_the_call(void) {
  wasmtime_extern_t import = func_extern(throwing_func());
  wasmtime_instance_t instance = instance_with(ctx, engine,
                                               "(module (import \"\" \"\" (func $f (param i32)))"
                                               "  (func (export \"run\") (call $f (i32.const 9)))"
                                               "  (func (export \"two\") (result i32) (i32.const 2)))",
                                               &import, 1);
  wasmtime_func_t run = func_of(&instance, "run"), two = func_of(&instance, "two");
  for (int i = 0; i < 3; i++) {
    expect_trap_says(call(&run), "thrown Wasm exception");
    // The store goes on, also while the exception waits to be taken.
    expect(call0(&two) == 2);
    expect(wasmtime_context_has_exception(ctx));
  }
  expect_thrown(9);
}

static void ten_thousand_exceptions_leave_nothing(void) {
  wasmtime_tag_t tag = tag_in(ctx, wasm_valtype_new_i64());
  wasmtime_exn_t *taken;
  for (int i = 0; i < 10000; i++) {
    wasmtime_val_t field = i64_val(i);
    wasm_trap_delete(wasmtime_context_set_exception(ctx, exn_of(tag, &field)));
    if (i % 2 && wasmtime_context_take_exception(ctx, &taken)) wasmtime_exn_delete(taken);
  }
  expect(!wasmtime_context_has_exception(ctx));
}

// -- Guests

static void with_exceptions(wasm_config_t *config) { wasmtime_config_wasm_exceptions_set(config, true); }

static wasmtime_extern_t tag_extern(wasmtime_tag_t tag) {
  wasmtime_extern_t item;
  item.kind = WASMTIME_EXTERN_TAG;
  item.of.tag = tag;
  return item;
}

static void a_guest_catches_what_a_host_function_throws(void) {
  wasmtime_extern_t imports[2] = {func_extern(throwing_func()), tag_extern(thrown_tag)};
  wasmtime_instance_t instance = instance_with(
      ctx, engine,
      "(module (import \"\" \"f\" (func $f (param i32))) (import \"\" \"t\" (tag $t (param i32)))"
      "  (func $between (param i32) (call $f (local.get 0)))"
      "  (func (export \"run\") (param i32) (result i32)"
      "    (block $caught (result i32)"
      "      (try_table (catch $t $caught) (call $between (local.get 0)))"
      "      (i32.const -1))))",
      imports, 2);
  wasmtime_func_t run = func_of(&instance, "run");
  for (int32_t i = 0; i < 3; i++) {
    expect(call1(&run, i) == i);
    expect(!wasmtime_context_has_exception(ctx));
  }
}

static const char *const THROWER =
    "(module (import \"\" \"f\" (func $f))"
    "  (tag $t (export \"t\") (param i32))"
    "  (func (export \"throw\") (throw $t (i32.const 11)))"
    "  (func (export \"trap\") (block $h (try_table (catch_all $h) (call $f) unreachable)))"
    "  (func (export \"null\") (block $h (try_table (catch_all $h) (throw_ref (ref.null exn)))))"
    "  (func (export \"outer\") (result i32)"
    "    (block $caught (result i32)"
    "      (try_table (catch $t $caught) (call $f))"
    "      (i32.const 1))))";

static bool takes;

// Calls the export `throw` of its caller; what that throws it takes, or passes on.
static wasm_trap_t *nests(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                          wasmtime_val_t *results, size_t nresults) {
  (void)env, (void)args, (void)nargs, (void)results, (void)nresults;
  wasmtime_context_t *in = wasmtime_caller_context(caller);
  wasmtime_extern_t inner;
  wasm_trap_t *trap = NULL;
  if (!expect(wasmtime_caller_export_get(caller, "throw", 5, &inner))) return NULL;
  expect_ok(wasmtime_func_call(in, &inner.of.func, NULL, 0, NULL, 0, &trap));
  expect(trap && wasmtime_context_has_exception(in));
  if (!takes) return trap;
  expect_thrown(11);
  wasm_trap_delete(trap);
  return NULL;
}

static wasm_trap_t *does_nothing(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                                 wasmtime_val_t *results, size_t nresults) {
  (void)env, (void)caller, (void)args, (void)nargs, (void)results, (void)nresults;
  return NULL;
}

static wasmtime_instance_t thrower_with(wasmtime_func_callback_t callback) {
  wasm_functype_t *type = wasm_functype_new_0_0();
  wasmtime_func_t func;
  wasmtime_func_new(ctx, type, callback, NULL, NULL, &func);
  wasm_functype_delete(type);
  wasmtime_extern_t import = func_extern(func);
  return instance_with(ctx, engine, THROWER, &import, 1);
}

static void what_a_guest_throws_has_the_tag_that_its_instance_exports(void) {
  wasmtime_instance_t instance = thrower_with(does_nothing);
  wasmtime_extern_t tag = export_of(&instance, "t");
  wasmtime_func_t throws_it = func_of(&instance, "throw");
  wasm_trap_t *trap = call(&throws_it);
  wasmtime_trap_code_t code;
  wasm_frame_vec_t frames;
  wasmtime_exn_t *exn = NULL;
  wasmtime_tag_t found;
  wasmtime_val_t field;
  if (!expect(trap && tag.kind == WASMTIME_EXTERN_TAG)) return;
  expect(!wasmtime_trap_code(trap, &code));
  wasm_trap_trace(trap, &frames);
  expect(frames.size == 0);
  wasm_frame_vec_delete(&frames);
  expect_trap_says(trap, "thrown Wasm exception");
  if (!expect(wasmtime_context_take_exception(ctx, &exn))) return;
  expect_ok(wasmtime_exn_tag(ctx, exn, &found));
  expect(wasmtime_tag_eq(ctx, &found, &tag.of.tag) && wasmtime_exn_field_count(ctx, exn) == 1);
  expect_ok(wasmtime_exn_field(ctx, exn, 0, &field));
  expect(field.kind == WASMTIME_I32 && field.of.i32 == 11);
  wasmtime_exn_delete(exn);
}

static void what_a_guest_throws_passes_the_host_or_ends_there(void) {
  wasmtime_instance_t instance = thrower_with(nests);
  wasmtime_func_t outer = func_of(&instance, "outer");
  takes = false;
  expect(call0(&outer) == 11);
  takes = true;
  expect(call0(&outer) == 1);
  expect(!wasmtime_context_has_exception(ctx));
}

static void traps_are_no_exceptions(void) {
  wasmtime_instance_t instance = thrower_with(does_nothing);
  wasmtime_func_t traps = func_of(&instance, "trap"), null = func_of(&instance, "null");
  expect_trap(call(&traps), WASMTIME_TRAP_CODE_UNREACHABLE_CODE_REACHED);
  expect(!wasmtime_context_has_exception(ctx));
  expect_trap(call(&null), WASMTIME_TRAP_CODE_NULL_REFERENCE);
  expect(!wasmtime_context_has_exception(ctx));
}

static void a_tag_of_another_type_is_refused(void) {
  wasmtime_extern_t tag = tag_extern(tag_in(ctx, wasm_valtype_new_i64()));
  wasmtime_module_t *module = module_of("(module (import \"\" \"t\" (tag (param i32))))");
  wasmtime_instance_t instance;
  wasm_trap_t *trap = NULL;
  expect_error_says(wasmtime_instance_new(ctx, module, &tag, 1, &instance, &trap), "incompatible import type");
  wasmtime_module_delete(module);
}

int main(void) {
  RUN(an_exception_has_its_tag_and_fields);
  RUN(fields_have_to_fit_the_tag);
  RUN(a_field_keeps_a_host_value_alive);
  RUN(the_pending_exception_is_taken_once);
  RUN(what_is_pending_is_freed_with_the_store);
  RUN(a_host_function_throws_to_its_caller);
  RUN(what_no_guest_catches_ends_the_call);
  RUN(ten_thousand_exceptions_leave_nothing);
  RUN_WITH(with_exceptions, a_guest_catches_what_a_host_function_throws);
  RUN_WITH(with_exceptions, what_a_guest_throws_has_the_tag_that_its_instance_exports);
  RUN_WITH(with_exceptions, what_a_guest_throws_passes_the_host_or_ends_there);
  RUN_WITH(with_exceptions, traps_are_no_exceptions);
  RUN_WITH(with_exceptions, a_tag_of_another_type_is_refused);
  return test_summary();
}
