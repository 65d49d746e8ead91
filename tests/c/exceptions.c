// Exceptions between host and guest: what either throws and the other catches, what is never caught, and tags that cross.
#include "test.h"

static void with_exceptions(wasm_config_t *config) {
  wasmtime_config_wasm_exceptions_set(config, true);
  wasmtime_config_wasm_function_references_set(config, true);
}

static void with_fuel(wasm_config_t *config) {
  with_exceptions(config);
  wasmtime_config_consume_fuel_set(config, true);
}

// The tag with one i32 that host and guest share in most claims.
static wasmtime_tag_t shared_tag;

// Expects that what is unreachable now is finalized once: by the next collection, or where a library keeps what was thrown
// for as long as the store, with that. The store is deleted.
static void expect_finalized_once(const int *finalized) {
  expect_ok(wasmtime_context_gc(ctx));
  expect(*finalized == 1 || (getenv("AMPOULE_AGAINST") && *finalized == 0));
  wasmtime_store_delete(store);
  store = NULL;
  expect(*finalized == 1);
}

static wasmtime_tag_t tag_of(wasm_functype_t *func) {
  wasm_tagtype_t *type = wasm_tagtype_new(func);
  wasmtime_tag_t tag;
  expect_ok(wasmtime_tag_new(ctx, type, &tag));
  wasm_tagtype_delete(type);
  return tag;
}

static wasmtime_extern_t tag_extern(wasmtime_tag_t tag) {
  wasmtime_extern_t item;
  item.kind = WASMTIME_EXTERN_TAG;
  item.of.tag = tag;
  return item;
}

static wasmtime_exn_t *new_exn(wasmtime_context_t *in, int32_t value) {
  wasmtime_val_t field = i32_val(value);
  wasmtime_exn_t *exn = NULL;
  expect_ok(wasmtime_exn_new(in, &shared_tag, &field, 1, &exn));
  return exn;
}

// Throws its argument.
static wasm_trap_t *throws(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                           wasmtime_val_t *results, size_t nresults) {
  (void)env, (void)nargs, (void)results, (void)nresults;
  wasmtime_context_t *in = wasmtime_caller_context(caller);
  return wasmtime_context_set_exception(in, new_exn(in, args[0].of.i32));
}

static wasmtime_func_t host_func(wasmtime_func_callback_t callback) {
  wasm_functype_t *type = wasm_functype_new_1_0(wasm_valtype_new_i32());
  wasmtime_func_t func;
  wasmtime_func_new(ctx, type, callback, NULL, NULL, &func);
  wasm_functype_delete(type);
  return func;
}

// Each export calls the host function with its argument, and tells what it caught.
static const char *const CATCHERS =
    "(module (import \"\" \"f\" (func $f (param i32))) (import \"\" \"t\" (tag $t (param i32))) (tag $other)"
    " (func (export \"pass\") (param i32) (call $f (local.get 0)))"
    " (func (export \"catch\") (param i32) (result i32)"
    "  (block $l (result i32) (try_table (catch $t $l) (call $f (local.get 0))) (i32.const -1)))"
    " (func (export \"catch_ref\") (param i32) (result i32)"
    "  (block $l (result i32 exnref) (try_table (catch_ref $t $l) (call $f (local.get 0))) (return (i32.const -1)))"
    "  (ref.is_null) (i32.add (i32.const 100)) (i32.add))"
    " (func (export \"catch_all\") (param i32) (result i32)"
    "  (block $l (try_table (catch_all $l) (call $f (local.get 0))) (return (i32.const -1))) (i32.const 77))"
    " (func (export \"catch_all_ref\") (param i32) (result i32)"
    "  (block $l (result exnref) (try_table (catch_all_ref $l) (call $f (local.get 0))) (return (i32.const -1)))"
    "  (i32.add (ref.is_null) (i32.const 88)))"
    " (func (export \"other\") (param i32) (result i32)"
    "  (block $l (try_table (catch $other $l) (call $f (local.get 0))) (return (i32.const -1))) (i32.const 99))"
    " (func (export \"first\") (param i32) (result i32)"
    "  (block $all (block $t (result i32) (try_table (catch $other $all) (catch $t $t) (catch_all $all)"
    "     (call $f (local.get 0))) (i32.const -1)) (return)) (i32.const 55))"
    " (func (export \"rethrow\") (param i32) (result i32)"
    "  (block $l (result i32) (try_table (catch $t $l)"
    "    (block $again (result exnref) (try_table (catch_all_ref $again) (call $f (local.get 0))) (return (i32.const -1)))"
    "    (throw_ref)) (unreachable)))"
    " (func (export \"throw\") (param i32) (throw $t (local.get 0)))"
    " (func (export \"fine\") (result i32) (i32.const 2)))";

static wasmtime_instance_t catchers(wasmtime_func_callback_t callback) {
  shared_tag = tag_of(wasm_functype_new_1_0(wasm_valtype_new_i32()));
  wasmtime_extern_t imports[2] = {func_extern(host_func(callback)), tag_extern(shared_tag)};
  return instance_with(ctx, engine, CATCHERS, imports, 2);
}

static const char *const CATCHING[] = {"catch", "catch_ref", "catch_all", "catch_all_ref", "first", "rethrow"};

// What the call of an export that takes an i32 ends with.
static wasm_trap_t *call_with(const wasmtime_instance_t *instance, const char *name, int32_t arg, size_t nresults) {
  wasmtime_func_t func = func_of(instance, name);
  wasmtime_val_t val = i32_val(arg), result;
  wasm_trap_t *trap = NULL;
  expect_ok(wasmtime_func_call(ctx, &func, &val, 1, &result, nresults, &trap));
  return trap;
}

// Expects that the pending exception, which is taken, has the shared tag and this field.
static void expect_pending(int32_t value) {
  wasmtime_exn_t *exn = NULL;
  wasmtime_tag_t tag;
  wasmtime_val_t field;
  if (!expect(wasmtime_context_has_exception(ctx) && wasmtime_context_take_exception(ctx, &exn))) return;
  expect(!wasmtime_context_has_exception(ctx));
  expect_ok(wasmtime_exn_tag(ctx, exn, &tag));
  expect(wasmtime_tag_eq(ctx, &tag, &shared_tag));
  expect_ok(wasmtime_exn_field(ctx, exn, 0, &field));
  expect(field.kind == WASMTIME_I32 && field.of.i32 == value);
  wasmtime_exn_delete(exn);
}

// -- The host throws

static void a_guest_catches_what_the_host_throws(void) {
  static const int32_t caught[] = {5, 105, 77, 88, 5, 5};
  wasmtime_instance_t instance = catchers(throws);
  for (size_t i = 0; i < 6; i++) {
    wasmtime_func_t func = func_of(&instance, CATCHING[i]);
    for (int round = 0; round < 3; round++) expect(call1(&func, 5) == caught[i]);
    expect(!wasmtime_context_has_exception(ctx));
  }
}

static void what_no_clause_names_goes_on_to_the_host(void) {
  wasmtime_instance_t instance = catchers(throws);
  expect_trap_says(call_with(&instance, "other", 6, 1), "thrown Wasm exception");
  expect_pending(6);
  expect_trap(call_with(&instance, "pass", 7, 0), -1);
  expect_pending(7);
}

static wasm_trap_t *goes_on(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                            wasmtime_val_t *results, size_t nresults) {
  wasm_trap_delete(throws(env, caller, args, nargs, results, nresults));
  return NULL;
}

// Throwing is to return the trap: an exception that is only pending disturbs nobody.
static void an_exception_without_its_trap_stays_pending(void) {
  wasmtime_instance_t instance = catchers(goes_on);
  for (size_t i = 0; i < 6; i++) {
    wasmtime_func_t func = func_of(&instance, CATCHING[i]);
    expect(call1(&func, 8) == -1);
    expect_pending(8);
  }
}

static wasm_trap_t *traps_instead(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                                  wasmtime_val_t *results, size_t nresults) {
  goes_on(env, caller, args, nargs, results, nresults);
  return wasmtime_trap_new_code(WASMTIME_TRAP_CODE_INTERRUPT);
}

static void a_trap_is_no_exception_whatever_is_pending(void) {
  wasmtime_instance_t instance = catchers(traps_instead);
  for (size_t i = 0; i < 6; i++) {
    expect_trap(call_with(&instance, CATCHING[i], 9, 1), WASMTIME_TRAP_CODE_INTERRUPT);
    expect_pending(9);
  }
}

static wasm_trap_t *fails(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                          wasmtime_val_t *results, size_t nresults) {
  (void)env, (void)caller, (void)args, (void)nargs, (void)results, (void)nresults;
  return wasmtime_trap_new("no luck", 7);
}

static void a_message_of_the_host_is_not_caught(void) {
  wasmtime_instance_t instance = catchers(fails);
  for (size_t i = 0; i < 6; i++) {
    wasmtime_func_t func = func_of(&instance, CATCHING[i]);
    wasmtime_val_t arg = i32_val(1), result;
    wasm_trap_t *trap = NULL;
    expect_error_says(wasmtime_func_call(ctx, &func, &arg, 1, &result, 1, &trap), "no luck");
    expect_no_trap(trap);
    expect(!wasmtime_context_has_exception(ctx));
  }
}

static wasm_trap_t *throws_unchecked(void *env, wasmtime_caller_t *caller, wasmtime_val_raw_t *vals, size_t nvals) {
  (void)env, (void)nvals;
  wasmtime_context_t *in = wasmtime_caller_context(caller);
  return wasmtime_context_set_exception(in, new_exn(in, vals[0].i32));
}

static void unchecked_calls_throw_and_catch_as_well(void) {
  wasm_functype_t *type = wasm_functype_new_1_0(wasm_valtype_new_i32());
  wasmtime_func_t func;
  shared_tag = tag_of(wasm_functype_new_1_0(wasm_valtype_new_i32()));
  wasmtime_func_new_unchecked(ctx, type, throws_unchecked, NULL, NULL, &func);
  wasm_functype_delete(type);
  wasmtime_extern_t imports[2] = {func_extern(func), tag_extern(shared_tag)};
  wasmtime_instance_t instance = instance_with(ctx, engine, CATCHERS, imports, 2);
  wasmtime_func_t catches = func_of(&instance, "catch"), passes = func_of(&instance, "pass");
  wasmtime_val_raw_t raw = {.i32 = 21};
  wasm_trap_t *trap = NULL;
  expect_ok(wasmtime_func_call_unchecked(ctx, &catches, &raw, 1, &trap));
  expect_no_trap(trap);
  expect(raw.i32 == 21);
  raw.i32 = 22;
  trap = NULL;
  expect_ok(wasmtime_func_call_unchecked(ctx, &passes, &raw, 1, &trap));
  expect_trap(trap, -1);
  expect_pending(22);
}

// -- The guest throws, through a host function

static wasmtime_func_t inner; // throws
static enum { PASSES_ON, TAKES, DROPS_THE_TRAP } manner;

static wasm_trap_t *calls_the_guest(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                                    wasmtime_val_t *results, size_t nresults) {
  (void)env, (void)nargs, (void)results, (void)nresults;
  wasmtime_context_t *in = wasmtime_caller_context(caller);
  wasm_trap_t *trap = NULL;
  wasmtime_exn_t *exn;
  expect_ok(wasmtime_func_call(in, &inner, args, 1, NULL, 0, &trap));
  if (!expect(trap != NULL)) return NULL;
  expect(wasmtime_context_has_exception(in));
  if (manner == PASSES_ON) return trap;
  wasm_trap_delete(trap);
  if (manner == TAKES && expect(wasmtime_context_take_exception(in, &exn))) wasmtime_exn_delete(exn);
  return NULL;
}

static void a_host_function_passes_on_what_its_guest_threw(void) {
  static const int32_t caught[] = {31, 131, 77, 88, 31, 31};
  wasmtime_instance_t instance = catchers(calls_the_guest);
  inner = func_of(&instance, "throw");
  manner = PASSES_ON;
  for (size_t i = 0; i < 6; i++) {
    wasmtime_func_t func = func_of(&instance, CATCHING[i]);
    expect(call1(&func, 31) == caught[i]);
    expect(!wasmtime_context_has_exception(ctx));
  }
  expect_trap(call_with(&instance, "pass", 32, 0), -1);
  expect_pending(32);
}

static void a_host_function_keeps_what_its_guest_threw(void) {
  wasmtime_instance_t instance = catchers(calls_the_guest);
  inner = func_of(&instance, "throw");
  for (size_t i = 0; i < 6; i++) {
    wasmtime_func_t func = func_of(&instance, CATCHING[i]);
    manner = TAKES;
    expect(call1(&func, 33) == -1);
    expect(!wasmtime_context_has_exception(ctx));
    manner = DROPS_THE_TRAP;
    expect(call1(&func, 34) == -1);
    expect_pending(34);
  }
}

// A host function that calls a guest that calls the host function, and so on; the innermost throws.
static wasm_trap_t *calls_deeper(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                                 wasmtime_val_t *results, size_t nresults) {
  wasmtime_val_t next = i32_val(args[0].of.i32 - 1);
  if (next.of.i32 < 0) return throws(env, caller, args, nargs, results, nresults);
  wasm_trap_t *trap = NULL;
  expect_ok(wasmtime_func_call(wasmtime_caller_context(caller), &inner, &next, 1, NULL, 0, &trap));
  return trap;
}

static void an_exception_crosses_host_and_guest_many_times(void) {
  wasmtime_instance_t instance = catchers(calls_deeper);
  inner = func_of(&instance, "pass");
  wasmtime_func_t catches = func_of(&instance, "catch");
  expect(call1(&catches, 30) == 0);
  expect_trap(call_with(&instance, "pass", 30, 0), -1);
  expect_pending(0);
}

// -- The guest throws, and nobody catches

static void every_kind_of_field_arrives(void) {
  int finalized = 0;
  wasmtime_instance_t instance = instance_of(
      "(module (tag $t (param i32 i64 f32 f64 v128 funcref externref))"
      " (func $f (export \"throw\") (param externref)"
      "  (throw $t (i32.const -3) (i64.const -4) (f32.const 1.5) (f64.const -2.5) (v128.const i32x4 1 2 3 4)"
      "    (ref.func $f) (local.get 0))))");
  wasmtime_func_t func = func_of(&instance, "throw");
  wasmtime_val_t arg = null_externref_val(), field[7];
  wasm_trap_t *trap = NULL;
  wasmtime_exn_t *exn;
  expect(wasmtime_externref_new(ctx, &finalized, count_finalized, &arg.of.externref));
  expect_ok(wasmtime_func_call(ctx, &func, &arg, 1, NULL, 0, &trap));
  wasmtime_val_unroot(&arg);
  expect_trap(trap, -1);
  expect_ok(wasmtime_context_gc(ctx));
  if (!expect(wasmtime_context_take_exception(ctx, &exn))) return;
  expect_ok(wasmtime_context_gc(ctx));
  expect(finalized == 0 && wasmtime_exn_field_count(ctx, exn) == 7);
  for (size_t i = 0; i < 7; i++) expect_ok(wasmtime_exn_field(ctx, exn, i, &field[i]));
  expect(field[0].kind == WASMTIME_I32 && field[0].of.i32 == -3);
  expect(field[1].kind == WASMTIME_I64 && field[1].of.i64 == -4);
  expect(field[2].kind == WASMTIME_F32 && field[2].of.f32 == 1.5f);
  expect(field[3].kind == WASMTIME_F64 && field[3].of.f64 == -2.5);
  expect(field[4].kind == WASMTIME_V128 && field[4].of.v128[12] == 4 && field[4].of.v128[13] == 0);
  expect(field[5].kind == WASMTIME_FUNCREF && !wasmtime_funcref_is_null(&field[5].of.funcref));
  expect(field[6].kind == WASMTIME_EXTERNREF && wasmtime_externref_data(ctx, &field[6].of.externref) == &finalized);
  wasmtime_exn_delete(exn);
  wasmtime_val_unroot(&field[6]);
  expect_finalized_once(&finalized);
}

static void a_store_works_on_after_what_nobody_caught(void) {
  wasmtime_instance_t instance = catchers(throws);
  wasmtime_func_t fine = func_of(&instance, "fine"), catches = func_of(&instance, "catch");
  for (int i = 0; i < 3; i++) {
    expect_trap_says(call_with(&instance, "throw", i, 0), "thrown Wasm exception");
    expect(call0(&fine) == 2 && wasmtime_context_has_exception(ctx));
  }
  // The last one is pending; what is thrown and caught meanwhile takes its place and goes.
  expect(call1(&catches, 41) == 41);
  expect(!wasmtime_context_has_exception(ctx));
}

static void a_start_function_that_throws_is_an_error(void) {
  wasmtime_module_t *module = module_of("(module (tag $t) (func $s (throw $t)) (start $s))");
  wasmtime_instance_t instance;
  wasm_trap_t *trap = NULL;
  wasmtime_exn_t *exn;
  wasmtime_error_t *error = wasmtime_instance_new(ctx, module, NULL, 0, &instance, &trap);
  expect_error_says(error, "thrown Wasm exception");
  expect_no_trap(trap);
  if (expect(wasmtime_context_take_exception(ctx, &exn))) {
    expect(wasmtime_exn_field_count(ctx, exn) == 0);
    wasmtime_exn_delete(exn);
  }
  wasmtime_module_delete(module);
}

static void traps_of_guests_are_not_caught(void) {
  static const struct {
    const char *body;
    int code;
  } cases[] = {{"(unreachable)", WASMTIME_TRAP_CODE_UNREACHABLE_CODE_REACHED},
               {"(call_indirect (i32.const 5))", WASMTIME_TRAP_CODE_TABLE_OUT_OF_BOUNDS},
               {"(call_indirect (i32.const 0))", WASMTIME_TRAP_CODE_INDIRECT_CALL_TO_NULL},
               {"(drop (i32.div_s (i32.const 0x80000000) (i32.const -1)))", WASMTIME_TRAP_CODE_INTEGER_OVERFLOW},
               {"(drop (i32.load (i32.const 65536)))", WASMTIME_TRAP_CODE_MEMORY_OUT_OF_BOUNDS},
               {"(throw_ref (ref.null exn))", WASMTIME_TRAP_CODE_NULL_REFERENCE},
               {"(call $deep)", WASMTIME_TRAP_CODE_STACK_OVERFLOW}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char wat[512];
    snprintf(wat, sizeof wat,
             "(module (memory 1) (table 1 funcref) (func $deep (call $deep))"
             " (func (export \"f\") (block $l (try_table (catch_all $l) %s))))",
             cases[i].body);
    wasmtime_instance_t instance = instance_of(wat);
    wasmtime_func_t func = func_of(&instance, "f");
    expect_trap(call(&func), cases[i].code);
    expect(!wasmtime_context_has_exception(ctx));
  }
}

static void running_out_of_fuel_is_not_caught(void) {
  expect_ok(wasmtime_context_set_fuel(ctx, 1000));
  wasmtime_instance_t instance = instance_of("(module (func $f (loop (br 0)))"
                                             " (func (export \"f\") (block $l (try_table (catch_all $l) (call $f)))))");
  wasmtime_func_t func = func_of(&instance, "f");
  expect_trap(call(&func), WASMTIME_TRAP_CODE_OUT_OF_FUEL);
}

// One unit for each of the instructions, none for what is skipped.
static void exceptions_cost_fuel_like_branches(void) {
  static const struct {
    const char *body;
    uint64_t cost;
  } cases[] = {{"", 1},
               {"(try_table)", 2},
               {"(block $l (try_table (catch $t $l) (drop (i32.const 1))))", 3},
               {"(block $l (try_table (catch $t $l) (throw $t) (drop (i32.const 1))))", 3},
               {"(block $l (try_table (catch_all $l) (throw $t)))", 3},
               {"(block $l (result exnref) (try_table (catch_all_ref $l) (throw $t)) (return)) (drop)", 3},
               {"(block $o (try_table (catch_all $o) (block $l (result exnref)"
                " (try_table (catch_ref $t $l) (throw $t)) (return)) (throw_ref)))",
                5}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char wat[512];
    uint64_t left = 0;
    snprintf(wat, sizeof wat, "(module (tag $t) (func (export \"f\") %s))", cases[i].body);
    expect_ok(wasmtime_context_set_fuel(ctx, 1000));
    wasmtime_instance_t instance = instance_of(wat);
    wasmtime_func_t func = func_of(&instance, "f");
    expect_no_trap(call(&func));
    expect_ok(wasmtime_context_get_fuel(ctx, &left));
    if (!expect(1000 - left == cases[i].cost)) printf("# %s: %d\n", cases[i].body, (int)(1000 - left));
  }
}

// -- Through frames

static void locals_are_as_they_were_at_the_throw(void) {
  wasmtime_instance_t instance = instance_of(
      "(module (tag $t (param i32))"
      " (func $down (param i32) (if (local.get 0) (then (call $down (i32.sub (local.get 0) (i32.const 1))))"
      "   (else (throw $t (i32.const 1000)))))"
      " (func (export \"f\") (param $n i32) (result i32) (local $x i32) (local $y i64) (local $z f64)"
      "  (local.set $x (i32.const 1)) (local.set $z (f64.const 0.5))"
      "  (block $l (result i32) (try_table (catch $t $l)"
      "    (local.set $x (i32.const 20)) (local.set $y (i64.const 300)) (call $down (local.get $n))"
      "    (local.set $x (i32.const -1))) (i32.const -1))"
      "  (i32.add (local.get $x)) (i32.add (i32.wrap_i64 (local.get $y)))"
      "  (i32.add (i32.trunc_f64_s (f64.mul (local.get $z) (f64.const 8))))))");
  wasmtime_func_t func = func_of(&instance, "f");
  for (int32_t frames = 0; frames < 40; frames++) expect(call1(&func, frames) == 1324);
  expect(call1(&func, 2000) == 1324);
}

// Each frame catches, and throws on by another way than the one below.
static void a_chain_of_handlers_sees_it_once_each(void) {
  wasmtime_instance_t instance = instance_of(
      "(module (tag $t (param i32)) (type $f (func (param i32))) (table funcref (elem $down)) (global $seen (mut i32) (i32.const 0))"
      " (func $down (type $f)"
      "  (if (i32.eqz (local.get 0)) (then (throw $t (i32.const 7))))"
      "  (block $l (result exnref) (try_table (catch_all_ref $l)"
      "     (call_indirect (type $f) (i32.sub (local.get 0) (i32.const 1)) (i32.const 0))) (return))"
      "  (global.set $seen (i32.add (global.get $seen) (i32.const 1))) (throw_ref))"
      " (func (export \"f\") (param i32) (result i32)"
      "  (block $l (result i32) (try_table (catch $t $l) (call $down (local.get 0))) (i32.const -1))"
      "  (i32.mul (i32.const 1000)) (i32.add (global.get $seen))))");
  wasmtime_func_t func = func_of(&instance, "f");
  expect(call1(&func, 100) == 7100);
}

static void a_tail_call_leaves_its_handlers(void) {
  wasmtime_instance_t instance = instance_of(
      "(module (tag $t) (func $throw (result i32) (throw $t))"
      " (func $tail (result i32) (block $l (try_table (catch $t $l) (return_call $throw))) (i32.const 1))"
      " (func (export \"f\") (result i32) (block $l (try_table (catch $t $l) (return (call $tail)))) (i32.const 2)))");
  wasmtime_func_t func = func_of(&instance, "f");
  expect(call0(&func) == 2);
}

// -- exnref

static void an_exnref_goes_out_and_in_again(void) {
  int finalized = 0;
  wasmtime_instance_t instance = instance_of(
      "(module (tag $t (param externref))"
      " (func (export \"make\") (param externref) (result exnref)"
      "   (block $l (result externref exnref) (try_table (catch_ref $t $l) (throw $t (local.get 0))) (unreachable))"
      "   (return))"
      " (func (export \"open\") (param exnref) (result externref)"
      "   (block $l (result externref) (try_table (catch $t $l) (throw_ref (local.get 0))) (unreachable))))");
  wasmtime_func_t make = func_of(&instance, "make"), open = func_of(&instance, "open");
  wasmtime_val_t arg = null_externref_val(), exn, copy, back;
  wasm_trap_t *trap = NULL;
  expect(wasmtime_externref_new(ctx, &finalized, count_finalized, &arg.of.externref));
  expect_ok(wasmtime_func_call(ctx, &make, &arg, 1, &exn, 1, &trap));
  expect_no_trap(trap);
  wasmtime_val_unroot(&arg);
  expect(exn.kind == WASMTIME_EXNREF && !wasmtime_exnref_is_null(&exn.of.exnref));
  wasmtime_val_clone(&exn, &copy);
  wasmtime_val_unroot(&exn);
  expect_ok(wasmtime_context_gc(ctx));
  expect(finalized == 0);
  for (int i = 0; i < 2; i++) {
    trap = NULL;
    expect_ok(wasmtime_func_call(ctx, &open, &copy, 1, &back, 1, &trap));
    expect_no_trap(trap);
    expect(back.kind == WASMTIME_EXTERNREF && wasmtime_externref_data(ctx, &back.of.externref) == &finalized);
    wasmtime_val_unroot(&back);
  }
  wasmtime_val_unroot(&copy);
  expect_finalized_once(&finalized);
}

static wasmtime_val_t null_exnref(void) {
  wasmtime_val_t val = i32_val(0);
  val.kind = WASMTIME_EXNREF;
  wasmtime_exnref_set_null(&val.of.exnref);
  return val;
}

static void null_is_an_exnref_but_no_exception(void) {
  wasmtime_instance_t instance = instance_of("(module (func (export \"id\") (param exnref) (result exnref) (local.get 0))"
                                             " (func (export \"none\") (param nullexnref))"
                                             " (func (export \"some\") (param (ref exn))))");
  wasmtime_func_t id = func_of(&instance, "id"), none = func_of(&instance, "none"), some = func_of(&instance, "some");
  wasmtime_val_t null = null_exnref(), result = i32_val(5), other = null_externref_val();
  wasm_trap_t *trap = NULL;
  expect_ok(wasmtime_func_call(ctx, &id, &null, 1, &result, 1, &trap));
  expect_no_trap(trap);
  expect(result.kind == WASMTIME_EXNREF && wasmtime_exnref_is_null(&result.of.exnref));
  trap = NULL;
  expect_ok(wasmtime_func_call(ctx, &none, &null, 1, NULL, 0, &trap));
  expect_no_trap(trap);
  expect_error_says(wasmtime_func_call(ctx, &some, &null, 1, NULL, 0, &trap), "argument type mismatch");
  expect_error_says(wasmtime_func_call(ctx, &id, &other, 1, &result, 1, &trap), "argument type mismatch");
}

static void globals_and_tables_keep_exceptions(void) {
  int finalized = 0;
  wasmtime_instance_t instance = instance_of(
      "(module (tag $t (param externref)) (global $g (mut exnref) (ref.null exn)) (table $x 2 exnref)"
      " (func $make (param externref) (result exnref) (local $e exnref)"
      "   (block $l (result externref exnref) (try_table (catch_ref $t $l) (throw $t (local.get 0))) (unreachable))"
      "   (local.set $e) (drop) (local.get $e))"
      " (func (export \"keep\") (param externref)"
      "   (global.set $g (call $make (local.get 0))) (table.set $x (i32.const 1) (global.get $g)))"
      " (func (export \"drop_global\") (global.set $g (ref.null exn)))"
      " (func (export \"drop_element\") (table.set $x (i32.const 1) (ref.null exn))))");
  wasmtime_func_t keep = func_of(&instance, "keep"), drop_global = func_of(&instance, "drop_global"),
                  drop_element = func_of(&instance, "drop_element");
  wasmtime_val_t arg = null_externref_val();
  wasm_trap_t *trap = NULL;
  expect(wasmtime_externref_new(ctx, &finalized, count_finalized, &arg.of.externref));
  expect_ok(wasmtime_func_call(ctx, &keep, &arg, 1, NULL, 0, &trap));
  expect_no_trap(trap);
  wasmtime_val_unroot(&arg);
  expect_ok(wasmtime_context_gc(ctx));
  expect_no_trap(call(&drop_global));
  expect_ok(wasmtime_context_gc(ctx));
  expect(finalized == 0);
  expect_no_trap(call(&drop_element));
  expect_finalized_once(&finalized);
}

// -- Tags

static const char *const THROWER = "(module (tag $t (export \"t\") (param i32))"
                                   " (func (export \"throw\") (param i32) (throw $t (local.get 0))))";

static void instances_of_one_module_have_tags_of_their_own(void) {
  wasmtime_instance_t a = instance_of(THROWER), b = instance_of(THROWER);
  wasmtime_extern_t tag_a = export_of(&a, "t"), tag_b = export_of(&b, "t"), again = export_of(&a, "t");
  expect(tag_a.kind == WASMTIME_EXTERN_TAG && tag_b.kind == WASMTIME_EXTERN_TAG);
  expect(!wasmtime_tag_eq(ctx, &tag_a.of.tag, &tag_b.of.tag) && wasmtime_tag_eq(ctx, &tag_a.of.tag, &again.of.tag));
  wasmtime_extern_t imports[2] = {export_of(&b, "throw"), tag_a};
  wasmtime_instance_t catcher = instance_with(ctx, engine, CATCHERS, imports, 2);
  expect_trap(call_with(&catcher, "catch", 3, 1), -1);
  imports[0] = export_of(&a, "throw");
  catcher = instance_with(ctx, engine, CATCHERS, imports, 2);
  wasmtime_func_t catches = func_of(&catcher, "catch");
  expect(call1(&catches, 3) == 3);
}

static void a_tag_that_was_imported_is_the_same_tag(void) {
  wasmtime_tag_t tag = tag_of(wasm_functype_new_1_0(wasm_valtype_new_i32()));
  wasmtime_extern_t import = tag_extern(tag);
  wasmtime_instance_t instance =
      instance_with(ctx, engine, "(module (import \"\" \"\" (tag $t (param i32))) (export \"t\" (tag $t)))", &import, 1);
  wasmtime_extern_t exported = export_of(&instance, "t");
  expect(exported.kind == WASMTIME_EXTERN_TAG && wasmtime_tag_eq(ctx, &tag, &exported.of.tag));
  wasm_tagtype_t *type = wasmtime_tag_type(ctx, &exported.of.tag);
  expect(wasm_functype_params(wasm_tagtype_functype(type))->size == 1);
  wasm_tagtype_delete(type);
}

static void modules_tell_the_types_of_their_tags(void) {
  wasmtime_module_t *module = module_of("(module (import \"m\" \"n\" (tag (param i64))) (tag (export \"t\")))");
  wasm_importtype_vec_t imports;
  wasm_exporttype_vec_t exports;
  wasmtime_module_imports(module, &imports);
  wasmtime_module_exports(module, &exports);
  if (expect(imports.size == 1 && exports.size == 1)) {
    const wasm_externtype_t *in = wasm_importtype_type(imports.data[0]), *out = wasm_exporttype_type(exports.data[0]);
    expect(wasm_externtype_kind(in) == WASM_EXTERN_TAG && wasm_externtype_kind(out) == WASM_EXTERN_TAG);
    const wasm_functype_t *func = wasm_tagtype_functype(wasm_externtype_as_tagtype_const(in));
    expect(wasm_functype_params(func)->size == 1);
    expect(wasm_valtype_kind(wasm_functype_params(func)->data[0]) == WASM_I64);
    func = wasm_tagtype_functype(wasm_externtype_as_tagtype_const(out));
    expect(wasm_functype_params(func)->size == 0);
  }
  wasm_importtype_vec_delete(&imports);
  wasm_exporttype_vec_delete(&exports);
  wasmtime_module_delete(module);
}

static void an_import_has_to_be_a_tag_of_the_type(void) {
  static const struct {
    const char *wat, *says;
  } cases[] = {{"(module (import \"m\" \"t\" (tag (param i64))))", "incompatible tag types"},
               {"(module (import \"m\" \"t\" (tag)))", "incompatible tag types"},
               {"(module (import \"m\" \"t\" (func (param i32))))", "expected func, but found tag"},
               {"(module (import \"m\" \"throw\" (tag)))", "expected tag, but found func"}};
  wasmtime_linker_t *linker = wasmtime_linker_new(engine);
  wasmtime_instance_t instance = instance_of(THROWER);
  expect_ok(wasmtime_linker_define_instance(linker, ctx, "m", 1, &instance));
  for (size_t i = 0; i < 4; i++) {
    wasmtime_module_t *module = module_of(cases[i].wat);
    wasm_trap_t *trap = NULL;
    expect_error_says(wasmtime_linker_instantiate(linker, ctx, module, &instance, &trap), cases[i].says);
    expect_error_says(wasmtime_linker_instantiate(linker, ctx, module, &instance, &trap), "incompatible import type for `m::");
    wasmtime_module_delete(module);
  }
  wasmtime_module_t *fits = module_of("(module (import \"m\" \"t\" (tag (param i32))))");
  wasm_trap_t *trap = NULL;
  expect_ok(wasmtime_linker_instantiate(linker, ctx, fits, &instance, &trap));
  expect_no_trap(trap);
  wasmtime_module_delete(fits);
  wasmtime_linker_delete(linker);
}

// -- Asynchronous calls

#ifdef WASMTIME_FEATURE_ASYNC

// What nobody catches is an error of the call, and not a trap as in other calls.
static void asynchronous_calls_catch_and_throw(void) {
  wasmtime_instance_t instance = catchers(throws);
  static const char *const names[] = {"catch", "pass"};
  for (size_t i = 0; i < 2; i++) {
    wasmtime_func_t func = func_of(&instance, names[i]);
    wasmtime_val_t arg = i32_val(61), result = i32_val(0);
    wasm_trap_t *trap = NULL;
    wasmtime_error_t *error = NULL;
    wasmtime_call_future_t *future = wasmtime_func_call_async(ctx, &func, &arg, 1, &result, 1 - i, &trap, &error);
    while (!wasmtime_call_future_poll(future)) {}
    wasmtime_call_future_delete(future);
    expect_no_trap(trap);
    if (i == 0) {
      expect_ok(error);
      expect(result.of.i32 == 61);
    } else {
      expect_error_says(error, "thrown Wasm exception");
      expect_pending(61);
    }
  }
}

#endif

// -- Many

static void a_hundred_thousand_are_thrown_and_caught(void) {
  wasmtime_instance_t instance = instance_of(
      "(module (tag $t (param i32)) (func $throw (param i32) (throw $t (local.get 0)))"
      " (func (export \"f\") (param $n i32) (result i32) (local $sum i32)"
      "  (loop $next"
      "   (local.set $sum (i32.add (local.get $sum)"
      "     (block $l (result i32) (try_table (catch $t $l) (call $throw (i32.and (local.get $n) (i32.const 7)))) (i32.const 0))))"
      "   (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))"
      "  (local.get $sum)))");
  wasmtime_func_t func = func_of(&instance, "f");
  expect(call1(&func, 100000) == 350000);
}

int main(void) {
  RUN_WITH(with_exceptions, a_guest_catches_what_the_host_throws);
  RUN_WITH(with_exceptions, what_no_clause_names_goes_on_to_the_host);
  RUN_WITH(with_exceptions, an_exception_without_its_trap_stays_pending);
  RUN_WITH(with_exceptions, a_trap_is_no_exception_whatever_is_pending);
  RUN_WITH(with_exceptions, a_message_of_the_host_is_not_caught);
  RUN_WITH(with_exceptions, unchecked_calls_throw_and_catch_as_well);
  RUN_WITH(with_exceptions, a_host_function_passes_on_what_its_guest_threw);
  RUN_WITH(with_exceptions, a_host_function_keeps_what_its_guest_threw);
  RUN_WITH(with_exceptions, an_exception_crosses_host_and_guest_many_times);
  RUN_WITH(with_exceptions, every_kind_of_field_arrives);
  RUN_WITH(with_exceptions, a_store_works_on_after_what_nobody_caught);
  RUN_WITH(with_exceptions, a_start_function_that_throws_is_an_error);
  RUN_FAULTING_WITH(with_exceptions, traps_of_guests_are_not_caught);
  RUN_WITH(with_fuel, running_out_of_fuel_is_not_caught);
  RUN_WITH(with_fuel, exceptions_cost_fuel_like_branches);
  RUN_WITH(with_exceptions, locals_are_as_they_were_at_the_throw);
  RUN_WITH(with_exceptions, a_chain_of_handlers_sees_it_once_each);
  RUN_WITH(with_exceptions, a_tail_call_leaves_its_handlers);
  RUN_WITH(with_exceptions, an_exnref_goes_out_and_in_again);
  RUN_WITH(with_exceptions, null_is_an_exnref_but_no_exception);
  RUN_WITH(with_exceptions, globals_and_tables_keep_exceptions);
  RUN_WITH(with_exceptions, instances_of_one_module_have_tags_of_their_own);
  RUN_WITH(with_exceptions, a_tag_that_was_imported_is_the_same_tag);
  RUN_WITH(with_exceptions, modules_tell_the_types_of_their_tags);
  RUN_WITH(with_exceptions, an_import_has_to_be_a_tag_of_the_type);
#ifdef WASMTIME_FEATURE_ASYNC
  RUN_WITH(with_exceptions, asynchronous_calls_catch_and_throw);
#endif
  RUN_WITH(with_exceptions, a_hundred_thousand_are_thrown_and_caught);
  return test_summary();
}
