// wasmtime/func.h: host functions, calls in both directions, callers.
#include "test.h"
#include <pthread.h>

// A new function type from two strings of type letters: i, l, f, d (numbers), v is absent from the portable kinds, F, E.
static wasm_functype_t *functype(const char *params, const char *results) {
  wasm_valtype_vec_t vecs[2];
  const char *letters[2] = {params, results};
  for (int v = 0; v < 2; v++) {
    wasm_valtype_vec_new_uninitialized(&vecs[v], strlen(letters[v]));
    for (size_t i = 0; i < vecs[v].size; i++) {
      char c = letters[v][i];
      vecs[v].data[i] = wasm_valtype_new(c == 'i'   ? WASM_I32
                                         : c == 'l' ? WASM_I64
                                         : c == 'f' ? WASM_F32
                                         : c == 'd' ? WASM_F64
                                         : c == 'F' ? WASM_FUNCREF
                                                    : WASM_EXTERNREF);
    }
  }
  return wasm_functype_new(&vecs[0], &vecs[1]);
}

static wasmtime_func_t host_func(const char *params, const char *results, wasmtime_func_callback_t callback, void *env,
                                 void (*finalizer)(void *)) {
  wasm_functype_t *type = functype(params, results);
  wasmtime_func_t func;
  wasmtime_func_new(ctx, type, callback, env, finalizer, &func);
  wasm_functype_delete(type);
  return func;
}

// Instantiates with host functions as imports.
static wasmtime_instance_t guest(const char *wat, const wasmtime_func_t *funcs, size_t nfuncs) {
  wasmtime_extern_t imports[8];
  for (size_t i = 0; i < nfuncs; i++) imports[i] = func_extern(funcs[i]);
  return instance_with(ctx, engine, wat, imports, nfuncs);
}

static wasm_trap_t *add(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                        wasmtime_val_t *results, size_t nresults) {
  (void)caller;
  if (env) ++*(int *)env;
  expect(nargs == 2 && nresults == 1);
  expect(args[0].kind == WASMTIME_I32 && args[1].kind == WASMTIME_I32);
  results[0] = i32_val(args[0].of.i32 + args[1].of.i32);
  return NULL;
}

static void a_host_function_is_called_by_the_host(void) {
  int calls = 0;
  wasmtime_func_t func = host_func("ii", "i", add, &calls, NULL);
  expect(call2(&func, 40, 2) == 42);
  expect(calls == 1);
}

static void a_host_function_is_called_by_the_guest(void) {
  int calls = 0;
  wasmtime_func_t func = host_func("ii", "i", add, &calls, NULL);
  wasmtime_instance_t instance = guest("(module (import \"host\" \"add\" (func $add (param i32 i32) (result i32)))"
                                       "  (func (export \"f\") (param i32) (result i32)"
                                       "    (call $add (local.get 0) (call $add (local.get 0) (i32.const 1)))))",
                                       &func, 1);
  wasmtime_func_t f = func_of(&instance, "f");
  expect(call1(&f, 10) == 21);
  expect(calls == 2);
}

static void the_finalizer_runs_once_with_the_store(void) {
  static int finalized;
  finalized = 0;
  host_func("", "", NULL, NULL, NULL); // never called
  wasmtime_func_t func = host_func("ii", "i", add, &finalized, count_finalized);
  wasmtime_instance_t instance = guest("(module (import \"\" \"\" (func (param i32 i32) (result i32))))", &func, 1);
  (void)instance;
  expect(finalized == 0);
  wasmtime_store_delete(store);
  store = NULL;
  expect(finalized == 1);
}

// -- Values of every kind

static wasm_trap_t *reverse(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                            wasmtime_val_t *results, size_t nresults) {
  (void)env, (void)caller;
  expect(nargs == nresults);
  for (size_t i = 0; i < nargs; i++) wasmtime_val_clone(&args[nargs - 1 - i], &results[i]);
  return NULL;
}

static void every_kind_of_value_passes_through(void) {
  wasmtime_func_t host = host_func("ilfdFE", "EFdfli", reverse, NULL, NULL);
  wasmtime_instance_t instance =
      guest("(module (type $t (func (param i32 i64 f32 f64 funcref externref)"
            "  (result externref funcref f64 f32 i64 i32))) (import \"\" \"\" (func $host (type $t)))"
            "  (func (export \"f\") (type $t) local.get 0 local.get 1 local.get 2 local.get 3 local.get 4 local.get 5"
            "    call $host))",
            &host, 1);
  wasmtime_func_t f = func_of(&instance, "f");
  static int finalized;
  finalized = 0;
  wasmtime_val_t args[6], results[6];
  args[0] = i32_val(-1);
  args[1] = i64_val(INT64_MIN);
  args[2] = i32_val(0);
  args[2].kind = WASMTIME_F32;
  args[2].of.f32 = 1.5f;
  args[3] = i32_val(0);
  args[3].kind = WASMTIME_F64;
  args[3].of.f64 = -2.25;
  args[4] = funcref_val(&f);
  args[5] = null_externref_val();
  expect(wasmtime_externref_new(ctx, &finalized, count_finalized, &args[5].of.externref));
  wasm_trap_t *trap = NULL;
  if (!expect_ok(wasmtime_func_call(ctx, &f, args, 6, results, 6, &trap))) return;
  expect_no_trap(trap);
  expect(results[0].kind == WASMTIME_EXTERNREF && wasmtime_externref_data(ctx, &results[0].of.externref) == &finalized);
  expect(results[1].kind == WASMTIME_FUNCREF && !wasmtime_funcref_is_null(&results[1].of.funcref));
  expect(results[2].kind == WASMTIME_F64 && results[2].of.f64 == -2.25);
  expect(results[3].kind == WASMTIME_F32 && results[3].of.f32 == 1.5f);
  expect(results[4].kind == WASMTIME_I64 && results[4].of.i64 == INT64_MIN);
  expect(results[5].kind == WASMTIME_I32 && results[5].of.i32 == -1);
  for (int i = 0; i < 6; i++) wasmtime_val_unroot(&results[i]);
  wasmtime_val_unroot(&args[5]);
  wasmtime_store_delete(store);
  store = NULL;
  expect(finalized == 1);
}

static wasm_trap_t *new_reference(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                                  wasmtime_val_t *results, size_t nresults) {
  (void)args, (void)nargs, (void)nresults;
  results[0] = null_externref_val();
  expect(wasmtime_externref_new(wasmtime_caller_context(caller), env, count_finalized, &results[0].of.externref));
  return NULL;
}

static void a_reference_that_the_host_returns_is_given_up(void) {
  static int finalized;
  finalized = 0;
  wasmtime_func_t host = host_func("", "E", new_reference, &finalized, NULL);
  wasmtime_instance_t instance =
      guest("(module (import \"\" \"\" (func $new (result externref))) (func (export \"f\") call $new drop))", &host, 1);
  wasmtime_func_t f = func_of(&instance, "f");
  expect_no_trap(call(&f));
  expect_ok(wasmtime_context_gc(ctx));
  expect(finalized == 1);
}

static void vectors_pass_through(void) {
  wasmtime_instance_t instance = instance_of("(module (func (export \"f\") (param v128 v128) (result v128)"
                                             "  (i8x16.add (local.get 0) (local.get 1))))");
  wasmtime_func_t f = func_of(&instance, "f");
  wasmtime_val_t args[2] = {i32_val(0), i32_val(0)}, result;
  args[0].kind = args[1].kind = WASMTIME_V128;
  for (int i = 0; i < 16; i++) args[0].of.v128[i] = (uint8_t)i, args[1].of.v128[i] = 100;
  wasm_trap_t *trap = NULL;
  expect_ok(wasmtime_func_call(ctx, &f, args, 2, &result, 1, &trap));
  expect(result.kind == WASMTIME_V128);
  for (int i = 0; i < 16; i++) expect(result.of.v128[i] == 100 + i);
}

static void a_hundred_parameters_and_results(void) {
  char wat[4096] = "(module (func (export \"f\") (param", letters[101] = "";
  for (int i = 0; i < 100; i++) strcat(wat, " i64"), strcat(letters, "l");
  strcat(wat, ") (result");
  for (int i = 0; i < 100; i++) strcat(wat, " i64");
  strcat(wat, ")");
  for (int i = 99; i >= 0; i--) sprintf(wat + strlen(wat), " local.get %d", i);
  strcat(wat, "))");
  wasmtime_instance_t instance = instance_of(wat);
  wasmtime_func_t funcs[2] = {func_of(&instance, "f"), host_func(letters, letters, reverse, NULL, NULL)};
  for (int f = 0; f < 2; f++) {
    wasmtime_val_t args[100], results[100];
    wasm_trap_t *trap = NULL;
    for (int i = 0; i < 100; i++) args[i] = i64_val(i);
    expect_ok(wasmtime_func_call(ctx, &funcs[f], args, 100, results, 100, &trap));
    expect_no_trap(trap);
    for (int i = 0; i < 100; i++) expect(results[i].of.i64 == 99 - i);
  }
}

// -- Mismatches

static void arguments_that_do_not_fit_are_errors(void) {
  int calls = 0;
  wasmtime_instance_t instance =
      instance_of("(module (func (export \"f\") (param i32 i32) (result i32) local.get 0))");
  wasmtime_func_t funcs[2] = {func_of(&instance, "f"), host_func("ii", "i", add, &calls, NULL)};
  for (int f = 0; f < 2; f++) {
    wasmtime_val_t args[3] = {i32_val(1), i32_val(2), i32_val(3)}, results[2];
    wasm_trap_t *trap = NULL;
    expect_error_says(wasmtime_func_call(ctx, &funcs[f], args, 1, results, 1, &trap), "expected 2 arguments, got 1");
    expect_error_says(wasmtime_func_call(ctx, &funcs[f], args, 3, results, 1, &trap), "expected 2 arguments, got 3");
    expect_error_says(wasmtime_func_call(ctx, &funcs[f], args, 2, results, 0, &trap), "expected 1 results, got 0");
    expect_error_says(wasmtime_func_call(ctx, &funcs[f], args, 2, results, 2, &trap), "expected 1 results, got 2");
    args[1] = i64_val(2);
    expect_error_says(wasmtime_func_call(ctx, &funcs[f], args, 2, results, 1, &trap), "argument type mismatch");
    expect_no_trap(trap);
  }
  expect(calls == 0);
}

static wasm_trap_t *wrong_kind(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                               wasmtime_val_t *results, size_t nresults) {
  (void)env, (void)caller, (void)args, (void)nargs, (void)nresults;
  results[0] = i64_val(1);
  return NULL;
}

static void a_result_of_the_wrong_kind_is_an_error(void) {
  wasmtime_func_t host = host_func("", "i", wrong_kind, NULL, NULL);
  wasmtime_instance_t instance = guest("(module (import \"\" \"\" (func $host (result i32)))"
                                       "  (func (export \"f\") (result i32) call $host))",
                                       &host, 1);
  wasmtime_func_t f = func_of(&instance, "f");
  wasmtime_val_t result = i32_val(7);
  wasm_trap_t *trap = NULL;
  expect_error_says(wasmtime_func_call(ctx, &f, NULL, 0, &result, 1, &trap), "function attempted to return an incompatible value");
  expect_no_trap(trap);
}

// Returns its externref and a trap: the trap counts.
static wasm_trap_t *return_and_trap(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                                    wasmtime_val_t *results, size_t nresults) {
  (void)env, (void)caller, (void)nargs, (void)nresults;
  wasmtime_val_clone(&args[0], &results[0]);
  return wasmtime_trap_new("refused", 7);
}

// However calls end, the function's environment is finalized with the store, and references are given up when they end.
static void failing_calls_keep_nothing_and_finalize_nothing(void) {
  int env = 0, value = 0;
  wasmtime_func_t f;
  wasm_functype_t *type = wasm_functype_new_1_1(wasm_valtype_new_externref(), wasm_valtype_new_externref());
  wasmtime_func_new(ctx, type, return_and_trap, &env, count_finalized, &f);
  wasm_functype_delete(type);
  wasmtime_val_t arg = null_externref_val(), result = i32_val(7), wrong = i32_val(1);
  expect(wasmtime_externref_new(ctx, &value, count_finalized, &arg.of.externref));
  wasm_trap_t *trap = NULL;
  for (int i = 0; i < 3; i++) {
    expect_error_says(wasmtime_func_call(ctx, &f, &arg, 1, &result, 1, &trap), "refused");
    expect_error_says(wasmtime_func_call(ctx, &f, &wrong, 1, &result, 1, &trap), "argument type mismatch");
    expect_error_says(wasmtime_func_call(ctx, &f, &arg, 1, &result, 0, &trap), "expected 1 results, got 0");
    expect_error_says(wasmtime_func_call(ctx, &f, NULL, 0, &result, 1, &trap), "expected 1 arguments, got 0");
  }
  expect_no_trap(trap);
  expect(result.kind == WASMTIME_I32 && result.of.i32 == 7);
  wasmtime_val_unroot(&arg);
  expect_ok(wasmtime_context_gc(ctx));
  expect(value == 1 && env == 0);
  wasmtime_store_delete(store);
  store = NULL;
  expect(value == 1 && env == 1);
}

static void a_function_of_another_store_is_refused_as_an_argument(void) {
  wasmtime_store_t *other = wasmtime_store_new(engine, NULL, NULL);
  wasmtime_context_t *c = wasmtime_store_context(other);
  wasmtime_instance_t theirs = instance_with(c, engine, "(module (func (export \"f\")))", NULL, 0);
  wasmtime_func_t their_f = export_in(c, &theirs, "f").of.func;
  wasmtime_instance_t mine = instance_of("(module (func (export \"f\") (param funcref)))");
  wasmtime_func_t f = func_of(&mine, "f");
  wasmtime_val_t arg = funcref_val(&their_f);
  wasm_trap_t *trap = NULL;
  expect_error(wasmtime_func_call(ctx, &f, &arg, 1, NULL, 0, &trap));
  expect_no_trap(trap);
  wasmtime_store_delete(other);
}

// -- Unchecked calls

static wasm_trap_t *add_unchecked(void *env, wasmtime_caller_t *caller, wasmtime_val_raw_t *vals, size_t len) {
  (void)caller;
  if (env) ++*(int *)env;
  expect(len == 2);
  vals[0].i32 = vals[0].i32 + vals[1].i32;
  return NULL;
}

static void unchecked_calls_go_both_ways(void) {
  static int finalized;
  finalized = 0;
  wasm_functype_t *type = functype("ii", "i");
  wasmtime_func_t host;
  wasmtime_func_new_unchecked(ctx, type, add_unchecked, &finalized, count_finalized, &host);
  wasm_functype_delete(type);
  wasmtime_instance_t instance = guest("(module (import \"\" \"\" (func $add (param i32 i32) (result i32)))"
                                       "  (func (export \"f\") (param i32 i32) (result i32)"
                                       "    (call $add (local.get 0) (local.get 1))))",
                                       &host, 1);
  wasmtime_func_t funcs[2] = {func_of(&instance, "f"), host};
  for (int f = 0; f < 2; f++) {
    wasmtime_val_raw_t vals[2];
    wasm_trap_t *trap = NULL;
    memset(vals, 0, sizeof vals);
    vals[0].i32 = 40;
    vals[1].i32 = 2;
    expect_ok(wasmtime_func_call_unchecked(ctx, &funcs[f], vals, 2, &trap));
    expect_no_trap(trap);
    expect(vals[0].i32 == 42);
  }
  expect(finalized == 2); // the calls counted too
  wasmtime_store_delete(store);
  store = NULL;
  expect(finalized == 3);
}

static void an_unchecked_call_traps(void) {
  wasmtime_instance_t instance = instance_of("(module (func (export \"f\") unreachable))");
  wasmtime_func_t f = func_of(&instance, "f");
  wasmtime_val_raw_t none[1];
  wasm_trap_t *trap = NULL;
  expect_ok(wasmtime_func_call_unchecked(ctx, &f, none, 0, &trap));
  expect_trap(trap, WASMTIME_TRAP_CODE_UNREACHABLE_CODE_REACHED);
}

static wasm_trap_t *trap_unchecked(void *env, wasmtime_caller_t *caller, wasmtime_val_raw_t *vals, size_t len) {
  (void)env, (void)caller, (void)vals, (void)len;
  return wasmtime_trap_new_code(WASMTIME_TRAP_CODE_NULL_REFERENCE);
}

static void an_unchecked_call_with_too_little_room_is_an_error(void) {
  wasmtime_instance_t instance =
      instance_of("(module (func (export \"takes\") (param i64 i64)) (func (export \"gives\") (param i32) (result i32 i32)"
                  "  (i32.const 1) (i32.const 2)))");
  wasmtime_func_t takes = func_of(&instance, "takes"), gives = func_of(&instance, "gives");
  wasmtime_val_raw_t vals[2] = {{.i64 = 7}, {.i64 = 7}};
  wasm_trap_t *trap = NULL;
  expect_error_says(wasmtime_func_call_unchecked(ctx, &takes, vals, 1, &trap), "expected 2 arguments, got 1");
  expect_error_says(wasmtime_func_call_unchecked(ctx, &gives, vals, 1, &trap), "expected 2 results, got 1");
  expect_no_trap(trap);
  expect(vals[0].i64 == 7 && vals[1].i64 == 7);
}

static void an_unchecked_host_function_traps(void) {
  wasm_functype_t *type = functype("", "");
  wasmtime_func_t host;
  wasmtime_func_new_unchecked(ctx, type, trap_unchecked, NULL, NULL, &host);
  wasm_functype_delete(type);
  wasmtime_instance_t instance =
      guest("(module (import \"\" \"\" (func $h)) (func (export \"f\") call $h))", &host, 1);
  wasmtime_func_t f = func_of(&instance, "f");
  expect_trap(call(&f), WASMTIME_TRAP_CODE_NULL_REFERENCE);
}

// Calls `inner` of the caller's instance; and where that answers once more, with zero, so that it traps.
static wasm_trap_t *call_inner_unchecked(void *env, wasmtime_caller_t *caller, wasmtime_val_raw_t *vals, size_t len) {
  (void)env, (void)len;
  wasmtime_context_t *in = wasmtime_caller_context(caller);
  wasmtime_extern_t inner;
  if (!expect(wasmtime_caller_export_get(caller, "inner", 5, &inner))) return NULL;
  wasm_trap_t *trap = NULL;
  wasmtime_val_raw_t args[1] = {vals[0]};
  expect_ok(wasmtime_func_call_unchecked(in, &inner.of.func, args, 1, &trap));
  if (trap) return trap;
  // Afterwards the caller is the same, and a guest that trapped has left nothing behind.
  expect(wasmtime_caller_export_get(caller, "inner", 5, &inner));
  wasmtime_val_raw_t zero[1] = {{.i32 = 0}};
  expect_ok(wasmtime_func_call_unchecked(in, &inner.of.func, zero, 1, &trap));
  expect_trap(trap, WASMTIME_TRAP_CODE_INTEGER_DIVISION_BY_ZERO);
  vals[0] = args[0];
  return NULL;
}

static void unchecked_calls_nest(void) {
  wasm_functype_t *type = functype("i", "i");
  wasmtime_func_t host;
  wasmtime_func_new_unchecked(ctx, type, call_inner_unchecked, NULL, NULL, &host);
  wasm_functype_delete(type);
  wasmtime_instance_t instance = guest("(module (import \"\" \"\" (func $host (param i32) (result i32)))"
                                       "  (func (export \"inner\") (param i32) (result i32)"
                                       "    (i32.div_u (i32.const 84) (local.get 0)))"
                                       "  (func (export \"outer\") (param i32) (result i32)"
                                       "    (i32.add (call $host (local.get 0)) (local.get 0))))",
                                       &host, 1);
  wasmtime_func_t outer = func_of(&instance, "outer");
  for (int round = 0; round < 4; round++) {
    wasm_trap_t *trap = NULL;
    wasmtime_val_raw_t vals[1] = {{.i32 = 2}};
    expect_ok(wasmtime_func_call_unchecked(ctx, &outer, vals, 1, &trap));
    expect_no_trap(trap);
    expect(vals[0].i32 == 44);
    vals[0].i32 = 0;
    expect_ok(wasmtime_func_call_unchecked(ctx, &outer, vals, 1, &trap));
    wasm_frame_vec_t frames;
    if (expect(trap)) {
      // The walk passes both calls.
      wasm_trap_trace(trap, &frames);
      expect(frames.size == 2 && wasm_frame_func_index(frames.data[0]) == 1 && wasm_frame_func_index(frames.data[1]) == 2);
      wasm_frame_vec_delete(&frames);
    }
    expect_trap(trap, WASMTIME_TRAP_CODE_INTEGER_DIVISION_BY_ZERO);
  }
}

static wasm_trap_t *collect_and_call(void *env, wasmtime_caller_t *caller, wasmtime_val_raw_t *vals, size_t len) {
  (void)env, (void)vals, (void)len;
  wasmtime_context_t *in = wasmtime_caller_context(caller);
  wasmtime_extern_t inner;
  wasmtime_val_raw_t none[1];
  wasm_trap_t *trap = NULL;
  if (!vals[0].i32) {
    expect_ok(wasmtime_context_gc(in));
    return NULL;
  }
  expect(wasmtime_caller_export_get(caller, "collect", 7, &inner));
  expect_ok(wasmtime_func_call_unchecked(in, &inner.of.func, none, 1, &trap));
  return trap;
}

static void collections_see_the_frames_of_unchecked_calls(void) {
  static int finalized;
  finalized = 0;
  wasm_functype_t *type = functype("i", "");
  wasmtime_func_t host;
  wasmtime_func_new_unchecked(ctx, type, collect_and_call, NULL, NULL, &host);
  wasm_functype_delete(type);
  wasmtime_instance_t instance = guest("(module (import \"\" \"\" (func $host (param i32)))"
                                       "  (func (export \"collect\") (call $host (i32.const 0)))"
                                       "  (func (export \"keep\") (param externref) (result externref)"
                                       "    (call $host (i32.const 1)) (local.get 0)))",
                                       &host, 1);
  wasmtime_func_t keep = func_of(&instance, "keep");
  for (int round = 1; round <= 3; round++) {
    wasmtime_externref_t ref;
    expect(wasmtime_externref_new(ctx, &finalized, count_finalized, &ref));
    wasmtime_val_raw_t vals[1];
    vals[0].externref = wasmtime_externref_to_raw(ctx, &ref);
    wasmtime_externref_unroot(&ref); // from now on it is in the outer guest's frame alone
    wasm_trap_t *trap = NULL;
    expect_ok(wasmtime_func_call_unchecked(ctx, &keep, vals, 1, &trap));
    expect_no_trap(trap);
    expect(finalized == round - 1);
    wasmtime_externref_from_raw(ctx, vals[0].externref, &ref);
    expect(wasmtime_externref_data(ctx, &ref) == &finalized);
    wasmtime_externref_unroot(&ref);
    expect_ok(wasmtime_context_gc(ctx));
    expect(finalized == round);
  }
}

static void unchecked_calls_stop_at_the_end_of_the_stack(void) {
  wasmtime_instance_t instance = instance_of("(module (func $f (export \"f\") (result i32) (i32.add (call $f) (i32.const 1)))"
                                             "  (func (export \"six\") (result i32) i32.const 6))");
  wasmtime_func_t f = func_of(&instance, "f"), six = func_of(&instance, "six");
  for (int round = 0; round < 3; round++) {
    wasmtime_val_raw_t vals[1];
    wasm_trap_t *trap = NULL;
    expect_ok(wasmtime_func_call_unchecked(ctx, &f, vals, 1, &trap));
    expect_trap(trap, WASMTIME_TRAP_CODE_STACK_OVERFLOW);
    expect_ok(wasmtime_func_call_unchecked(ctx, &six, vals, 1, &trap));
    expect(vals[0].i32 == 6);
  }
}

#ifndef AMPOULE_AGAINST // The reference library checks less.

static void unchecked_calls_are_refused_where_that_costs_nothing(void) {
  wasmtime_instance_t instance = instance_of("(module (func (export \"six\") (result i32) i32.const 6))");
  wasmtime_func_t six = func_of(&instance, "six"), none = no_func();
  wasmtime_store_t *other = wasmtime_store_new(engine, NULL, NULL);
  for (int round = 0; round < 2; round++) {
    wasmtime_val_raw_t vals[1];
    wasm_trap_t *trap = NULL;
    expect_ok(wasmtime_func_call_unchecked(ctx, &six, vals, 1, &trap));
    expect_error_says(wasmtime_func_call_unchecked(ctx, &six, vals, 0, &trap), "expected 1 results, got 0");
    expect_error(wasmtime_func_call_unchecked(ctx, &none, vals, 1, &trap));
    expect_error(wasmtime_func_call_unchecked(wasmtime_store_context(other), &six, vals, 1, &trap));
    expect_no_trap(trap);
  }
  wasmtime_store_delete(other);
}

#endif

static void raw_references_convert(void) {
  wasmtime_instance_t instance = instance_of("(module (func (export \"f\") (result i32) i32.const 6)"
                                             "  (func (export \"same\") (param funcref externref)"
                                             "    (result externref funcref) local.get 1 local.get 0))");
  wasmtime_func_t f = func_of(&instance, "f"), same = func_of(&instance, "same"), back;
  static int finalized;
  finalized = 0;
  wasmtime_externref_t ref, ref_back;
  expect(wasmtime_externref_new(ctx, &finalized, count_finalized, &ref));
  wasmtime_val_raw_t vals[2];
  memset(vals, 0, sizeof vals);
  vals[0].funcref = wasmtime_func_to_raw(ctx, &f);
  vals[1].externref = wasmtime_externref_to_raw(ctx, &ref);
  expect(vals[0].funcref != NULL && vals[1].externref != 0);
  wasm_trap_t *trap = NULL;
  expect_ok(wasmtime_func_call_unchecked(ctx, &same, vals, 2, &trap));
  wasmtime_func_from_raw(ctx, vals[1].funcref, &back);
  wasmtime_externref_from_raw(ctx, vals[0].externref, &ref_back);
  expect(call0(&back) == 6);
  expect(wasmtime_externref_data(ctx, &ref_back) == &finalized);
  wasmtime_externref_unroot(&ref);
  wasmtime_externref_unroot(&ref_back);
}

// -- Types

static void the_type_is_told(void) {
  wasmtime_func_t func = host_func("iF", "dE", reverse, NULL, NULL);
  wasm_functype_t *type = wasmtime_func_type(ctx, &func);
  const wasm_valtype_vec_t *params = wasm_functype_params(type), *results = wasm_functype_results(type);
  expect(params->size == 2 && results->size == 2);
  expect(wasm_valtype_kind(params->data[0]) == WASM_I32 && wasm_valtype_kind(params->data[1]) == WASM_FUNCREF);
  expect(wasm_valtype_kind(results->data[0]) == WASM_F64 && wasm_valtype_kind(results->data[1]) == WASM_EXTERNREF);
  wasm_functype_delete(type);
}

// -- Callers

struct visit {
  int visits;
  wasmtime_context_t *context;
  bool found_memory, found_function, found_nothing;
};

static wasm_trap_t *visit(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                          wasmtime_val_t *results, size_t nresults) {
  (void)args, (void)nargs, (void)results, (void)nresults;
  struct visit *visit = env;
  wasmtime_extern_t item;
  visit->visits++;
  visit->context = wasmtime_caller_context(caller);
  visit->found_memory = wasmtime_caller_export_get(caller, "memory", 6, &item) && item.kind == WASMTIME_EXTERN_MEMORY;
  if (visit->found_memory) wasmtime_memory_data(visit->context, &item.of.memory)[0] = 0x7b;
  visit->found_function = wasmtime_caller_export_get(caller, "f\0nul", 5, &item) && item.kind == WASMTIME_EXTERN_FUNC;
  visit->found_nothing = !wasmtime_caller_export_get(caller, "nothing", 7, &item);
  return NULL;
}

static void a_caller_gives_access_to_its_exports(void) {
  struct visit seen = {0, NULL, false, false, false};
  wasmtime_func_t host = host_func("", "", visit, &seen, NULL);
  wasmtime_instance_t instance = guest("(module (import \"\" \"\" (func $visit)) (memory (export \"memory\") 1)"
                                       "  (func (export \"f\\00nul\"))"
                                       "  (func (export \"run\") (result i32) call $visit (i32.load8_u (i32.const 0))))",
                                       &host, 1);
  wasmtime_func_t run = func_of(&instance, "run");
  expect(call0(&run) == 0x7b);
  expect(seen.visits == 1 && seen.context == ctx);
  expect(seen.found_memory && seen.found_function && seen.found_nothing);
}

static void a_caller_that_is_the_host_exports_nothing(void) {
  struct visit seen = {0, NULL, false, false, false};
  wasmtime_func_t host = host_func("", "", visit, &seen, NULL);
  expect_no_trap(call(&host));
  expect(seen.visits == 1 && seen.context == ctx);
  expect(!seen.found_memory && !seen.found_function && seen.found_nothing);
}

static void a_host_function_that_starts_an_instance_has_it_as_its_caller(void) {
  struct visit seen = {0, NULL, false, false, false};
  wasmtime_func_t host = host_func("", "", visit, &seen, NULL);
  wasmtime_instance_t instance = guest("(module (import \"\" \"\" (func $visit)) (memory (export \"memory\") 1)"
                                       "  (func (export \"f\\00nul\")) (start $visit))",
                                       &host, 1);
  expect(seen.visits == 1 && seen.found_memory && seen.found_function && seen.found_nothing);
  wasmtime_memory_t memory = export_of(&instance, "memory").of.memory;
  expect(wasmtime_memory_data(ctx, &memory)[0] == 0x7b);
  // Afterwards nobody is.
  expect_no_trap(call(&host));
  expect(seen.visits == 2 && !seen.found_memory);
}

struct errand {
  wasmtime_func_t func;
  bool unchecked;
  int done;
};

// Calls another host function while a guest waits, which is the caller of this one alone.
static wasm_trap_t *run_errand(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                               wasmtime_val_t *results, size_t nresults) {
  (void)args, (void)nargs, (void)results, (void)nresults;
  struct errand *errand = env;
  wasmtime_context_t *in = wasmtime_caller_context(caller);
  wasmtime_extern_t item;
  wasmtime_val_raw_t none[1];
  wasm_trap_t *trap = NULL;
  errand->done++;
  expect(wasmtime_caller_export_get(caller, "memory", 6, &item));
  if (errand->unchecked)
    expect_ok(wasmtime_func_call_unchecked(in, &errand->func, none, 1, &trap));
  else
    expect_ok(wasmtime_func_call(in, &errand->func, NULL, 0, NULL, 0, &trap));
  expect(wasmtime_caller_export_get(caller, "memory", 6, &item));
  return trap;
}

static void a_guest_that_waits_is_not_the_caller_of_what_the_host_calls(void) {
  struct visit seen = {0, NULL, false, false, false};
  struct errand errand;
  memset(&errand, 0, sizeof errand);
  errand.func = host_func("", "", visit, &seen, NULL);
  wasmtime_func_t host = host_func("", "", run_errand, &errand, NULL);
  const char *wat = "(module (import \"\" \"\" (func $host)) (memory (export \"memory\") 1)"
                    "  (func (export \"run\") call $host call $host))";
  wasmtime_instance_t instance = guest(wat, &host, 1);
  wasmtime_func_t run = func_of(&instance, "run");
  for (int round = 0; round < 2; round++) {
    errand.unchecked = round == 1;
    seen.found_memory = true;
    expect_no_trap(call(&run));
    expect(errand.done == 2 * round + 2 && seen.visits == errand.done && !seen.found_memory);
  }
}

// -- Re-entry

struct reentry {
  wasmtime_func_t func;
  int depth;
};

// Calls the guest's function with its argument less one, and adds one to the result.
static wasm_trap_t *reenter(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                            wasmtime_val_t *results, size_t nresults) {
  (void)nargs, (void)nresults;
  struct reentry *reentry = env;
  wasmtime_val_t arg = i32_val(args[0].of.i32 - 1);
  wasm_trap_t *trap = NULL;
  reentry->depth++;
  expect_ok(wasmtime_func_call(wasmtime_caller_context(caller), &reentry->func, &arg, 1, results, 1, &trap));
  if (!trap) results[0].of.i32++;
  return trap;
}

static const char *const REENTERED = "(module (import \"\" \"\" (func $host (param i32) (result i32)))"
                                     "  (func (export \"f\") (param i32) (result i32)"
                                     "    (if (i32.eq (local.get 0) (i32.const -1)) (then unreachable))"
                                     "    (if (result i32) (local.get 0)"
                                     "      (then (call $host (local.get 0))) (else (i32.const 100)))))";

static void a_host_function_calls_the_guest_again(void) {
  struct reentry reentry;
  memset(&reentry, 0, sizeof reentry);
  wasmtime_func_t host = host_func("i", "i", reenter, &reentry, NULL);
  wasmtime_instance_t instance = guest(REENTERED, &host, 1);
  reentry.func = func_of(&instance, "f");
  expect(call1(&reentry.func, 20) == 120);
  expect(reentry.depth == 20);
}

static wasm_trap_t *reenter_with_minus_one(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args,
                                           size_t nargs, wasmtime_val_t *results, size_t nresults) {
  (void)args;
  wasmtime_val_t zero = i32_val(0);
  return reenter(env, caller, &zero, nargs, results, nresults);
}

static void a_trap_passes_through_the_host_with_all_frames(void) {
  struct reentry reentry;
  memset(&reentry, 0, sizeof reentry);
  wasmtime_func_t host = host_func("i", "i", reenter_with_minus_one, &reentry, NULL);
  wasmtime_instance_t instance = guest(REENTERED, &host, 1);
  reentry.func = func_of(&instance, "f");
  wasmtime_val_t arg = i32_val(5), result;
  wasm_trap_t *trap = NULL;
  expect_ok(wasmtime_func_call(ctx, &reentry.func, &arg, 1, &result, 1, &trap));
  if (!expect(trap != NULL)) return;
  wasm_frame_vec_t frames;
  wasm_trap_trace(trap, &frames);
  expect(frames.size == 2);
  for (size_t i = 0; i < frames.size; i++) expect(wasm_frame_func_index(frames.data[i]) == 1);
  wasm_frame_vec_delete(&frames);
  expect_trap(trap, WASMTIME_TRAP_CODE_UNREACHABLE_CODE_REACHED);
}

static wasm_trap_t *swallow(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                            wasmtime_val_t *results, size_t nresults) {
  wasm_trap_t *trap = reenter_with_minus_one(env, caller, args, nargs, results, nresults);
  expect_trap(trap, WASMTIME_TRAP_CODE_UNREACHABLE_CODE_REACHED);
  results[0] = i32_val(55);
  return NULL;
}

static void a_host_function_may_swallow_a_trap(void) {
  struct reentry reentry;
  memset(&reentry, 0, sizeof reentry);
  wasmtime_func_t host = host_func("i", "i", swallow, &reentry, NULL);
  wasmtime_instance_t instance = guest(REENTERED, &host, 1);
  reentry.func = func_of(&instance, "f");
  expect(call1(&reentry.func, 5) == 55);
}

// Grows the caller's memory, which may move: the guest must see the new one.
static wasm_trap_t *grow_callers_memory(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                                        wasmtime_val_t *results, size_t nresults) {
  (void)env, (void)args, (void)nargs, (void)results, (void)nresults;
  wasmtime_extern_t item;
  uint64_t previous;
  expect(wasmtime_caller_export_get(caller, "memory", 6, &item));
  expect_ok(wasmtime_memory_grow(wasmtime_caller_context(caller), &item.of.memory, 1, &previous));
  return NULL;
}

static void a_guest_sees_memory_that_the_host_grew(void) {
  wasmtime_func_t host = host_func("", "", grow_callers_memory, NULL, NULL);
  wasmtime_instance_t instance = guest("(module (import \"\" \"\" (func $grow)) (memory (export \"memory\") 1)"
                                       "  (func (export \"f\") (result i32) call $grow"
                                       "    (i32.store (i32.const 65536) (i32.const 5))"
                                       "    (i32.add (i32.load (i32.const 65536)) (memory.size))))",
                                       &host, 1);
  wasmtime_func_t f = func_of(&instance, "f");
  expect(call0(&f) == 7);
}

// -- Stacks

static const char *const DEEP = "(module (func $deep (export \"f\") (param i32) (result i32)"
                                "  (i32.add (i32.const 1) (call $deep (local.get 0)))))";

static void endless_recursion_traps_and_the_store_goes_on(void) {
  wasmtime_instance_t instance = instance_of(DEEP);
  wasmtime_func_t f = func_of(&instance, "f");
  for (int i = 0; i < 3; i++) {
    wasmtime_val_t arg = i32_val(0), result;
    wasm_trap_t *trap = NULL;
    expect_ok(wasmtime_func_call(ctx, &f, &arg, 1, &result, 1, &trap));
    expect_trap(trap, WASMTIME_TRAP_CODE_STACK_OVERFLOW);
  }
}

static void *overflow_here(void *data) {
  (void)data;
  endless_recursion_traps_and_the_store_goes_on();
  return NULL;
}

static void small_wasm_stack(wasm_config_t *config) { wasmtime_config_max_wasm_stack_set(config, 64 * 1024); }

static void endless_recursion_traps_on_a_small_thread_stack(void) {
  pthread_attr_t attr;
  pthread_t thread;
  pthread_attr_init(&attr);
  pthread_attr_setstacksize(&attr, 256 * 1024);
  if (expect(pthread_create(&thread, &attr, overflow_here, NULL) == 0)) pthread_join(thread, NULL);
  pthread_attr_destroy(&attr);
}

static wasm_trap_t *pass(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                         wasmtime_val_t *results, size_t nresults) {
  (void)nargs, (void)nresults;
  struct reentry *reentry = env;
  wasm_trap_t *trap = NULL;
  reentry->depth++;
  expect_ok(wasmtime_func_call(wasmtime_caller_context(caller), &reentry->func, args, 1, results, 1, &trap));
  return trap;
}

static void endless_reentry_traps(void) {
  struct reentry reentry;
  memset(&reentry, 0, sizeof reentry);
  wasmtime_func_t host = host_func("i", "i", pass, &reentry, NULL);
  wasmtime_instance_t instance = guest("(module (import \"\" \"\" (func $host (param i32) (result i32)))"
                                       "  (func (export \"f\") (param i32) (result i32) (call $host (local.get 0))))",
                                       &host, 1);
  reentry.func = func_of(&instance, "f");
  wasmtime_val_t arg = i32_val(0), result;
  wasm_trap_t *trap = NULL;
  expect_ok(wasmtime_func_call(ctx, &reentry.func, &arg, 1, &result, 1, &trap));
  expect_trap(trap, WASMTIME_TRAP_CODE_STACK_OVERFLOW);
  expect(reentry.depth > 10);
}

int main(void) {
  RUN(a_host_function_is_called_by_the_host);
  RUN(a_host_function_is_called_by_the_guest);
  RUN(the_finalizer_runs_once_with_the_store);
  RUN(every_kind_of_value_passes_through);
  RUN(a_reference_that_the_host_returns_is_given_up);
  RUN(vectors_pass_through);
  RUN(a_hundred_parameters_and_results);
  RUN(arguments_that_do_not_fit_are_errors);
  RUN(a_result_of_the_wrong_kind_is_an_error);
  RUN_HERE(failing_calls_keep_nothing_and_finalize_nothing); // the reference library keeps the reference
  RUN(a_function_of_another_store_is_refused_as_an_argument);
  RUN(unchecked_calls_go_both_ways);
  RUN(an_unchecked_call_traps);
  RUN_HERE(an_unchecked_call_with_too_little_room_is_an_error); // undefined there
  RUN(an_unchecked_host_function_traps);
  RUN_FAULTING(unchecked_calls_nest);
  RUN(collections_see_the_frames_of_unchecked_calls);
  RUN(unchecked_calls_stop_at_the_end_of_the_stack);
#ifndef AMPOULE_AGAINST
  RUN(unchecked_calls_are_refused_where_that_costs_nothing);
#endif
  RUN(raw_references_convert);
  RUN(the_type_is_told);
  RUN(a_caller_gives_access_to_its_exports);
  RUN(a_caller_that_is_the_host_exports_nothing);
  RUN(a_host_function_that_starts_an_instance_has_it_as_its_caller);
  RUN(a_guest_that_waits_is_not_the_caller_of_what_the_host_calls);
  RUN(a_host_function_calls_the_guest_again);
  RUN(a_trap_passes_through_the_host_with_all_frames);
  RUN(a_host_function_may_swallow_a_trap);
  RUN(a_guest_sees_memory_that_the_host_grew);
  RUN(endless_recursion_traps_and_the_store_goes_on);
  RUN_WITH(small_wasm_stack, endless_recursion_traps_on_a_small_thread_stack);
  RUN_WITH(small_wasm_stack, endless_reentry_traps);
  return test_summary();
}
