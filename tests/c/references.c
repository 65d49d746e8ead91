// References as arguments and results, in both directions: each kind, null and not, refused ones, and collections meanwhile.
#include "test.h"

static const char *const GUEST =
    "(module (type $t (func (param funcref externref) (result externref funcref))) (import \"\" \"\" (func $host (type $t)))"
    "  (table 1 externref)"
    "  (func (export \"swap\") (type $t) local.get 1 local.get 0)"
    "  (func (export \"ask\") (type $t) local.get 0 local.get 1 call $host)"
    "  (func (export \"take\") (result externref funcref) ref.null func ref.null extern call $host)"
    // The guest alone holds on to its arguments while the host is called.
    "  (func (export \"keep\") (type $t) ref.null func ref.null extern call $host drop drop local.get 1 local.get 0))";

typedef struct {
  int calls;
  bool is_null;                 // what the arguments have to be
  void *data;                   // what the externref has to lead to
  wasmtime_val_t results[2];    // given where there are any
  bool gives;
  bool collects;
  wasmtime_externref_t *forget; // unrooted in the call
  wasmtime_val_t kept;          // a clone of the externref
  bool keeps;
} host_t;

static wasm_trap_t *host_callback(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                                  wasmtime_val_t *results, size_t nresults) {
  host_t *host = env;
  wasmtime_context_t *context = wasmtime_caller_context(caller);
  host->calls++;
  expect(nargs == 2 && nresults == 2 && context == ctx);
  expect(args[0].kind == WASMTIME_FUNCREF && args[1].kind == WASMTIME_EXTERNREF);
  expect(results[0].kind == WASMTIME_EXTERNREF && wasmtime_externref_is_null(&results[0].of.externref));
  expect(results[1].kind == WASMTIME_FUNCREF && wasmtime_funcref_is_null(&results[1].of.funcref));
  expect(wasmtime_funcref_is_null(&args[0].of.funcref) == host->is_null);
  expect(wasmtime_externref_is_null(&args[1].of.externref) == host->is_null);
  if (host->forget) wasmtime_externref_unroot(host->forget);
  if (host->collects) expect_ok(wasmtime_context_gc(context));
  if (!host->is_null) expect(wasmtime_externref_data(context, &args[1].of.externref) == host->data);
  if (host->keeps) wasmtime_val_clone(&args[1], &host->kept);
  if (host->gives) {
    results[0] = host->results[0];
    results[1] = host->results[1];
  } else {
    wasmtime_val_clone(&args[1], &results[0]);
    wasmtime_val_clone(&args[0], &results[1]);
  }
  if (host->collects) expect_ok(wasmtime_context_gc(context));
  return NULL;
}

static wasmtime_instance_t guest_of(host_t *host) {
  wasm_functype_t *type = wasm_functype_new_2_2(wasm_valtype_new(WASM_FUNCREF), wasm_valtype_new(WASM_EXTERNREF),
                                                wasm_valtype_new(WASM_EXTERNREF), wasm_valtype_new(WASM_FUNCREF));
  wasmtime_func_t func;
  wasmtime_func_new(ctx, type, host_callback, host, NULL, &func);
  wasm_functype_delete(type);
  wasmtime_extern_t import = func_extern(func);
  return instance_with(ctx, engine, GUEST, &import, 1);
}

// A call of a function that gives its arguments back.
static void gives_back(const wasmtime_func_t *func, const wasmtime_val_t *args, host_t *host) {
  wasmtime_val_t results[2] = {i32_val(1), i32_val(2)};
  wasm_trap_t *trap = NULL;
  if (!expect_ok(wasmtime_func_call(ctx, func, args, 2, results, 2, &trap))) return;
  expect_no_trap(trap);
  expect(results[0].kind == WASMTIME_EXTERNREF && results[1].kind == WASMTIME_FUNCREF);
  expect(wasmtime_externref_is_null(&results[0].of.externref) == host->is_null);
  expect(wasmtime_funcref_is_null(&results[1].of.funcref) == host->is_null);
  if (!host->is_null) {
    expect(wasmtime_externref_data(ctx, &results[0].of.externref) == host->data);
    wasmtime_func_t same = args[0].of.funcref;
    expect(wasmtime_func_to_raw(ctx, &results[1].of.funcref) == wasmtime_func_to_raw(ctx, &same));
  }
  wasmtime_val_unroot(&results[0]);
}

static void null_passes_both_ways(void) {
  host_t host = {.is_null = true};
  wasmtime_instance_t instance = guest_of(&host);
  wasmtime_func_t swap = func_of(&instance, "swap"), ask = func_of(&instance, "ask");
  wasmtime_val_t args[2] = {funcref_val(NULL), null_externref_val()};
  gives_back(&swap, args, &host);
  gives_back(&ask, args, &host);
  expect(host.calls == 1);
}

static void functions_and_values_pass_both_ways(void) {
  static int finalized;
  finalized = 0;
  host_t host = {.data = &finalized};
  wasmtime_instance_t instance = guest_of(&host);
  wasmtime_func_t swap = func_of(&instance, "swap"), ask = func_of(&instance, "ask");
  wasmtime_val_t args[2] = {funcref_val(&swap), null_externref_val()};
  expect(wasmtime_externref_new(ctx, &finalized, count_finalized, &args[1].of.externref));
  for (int i = 0; i < 3; i++) {
    gives_back(&swap, args, &host);
    gives_back(&ask, args, &host);
  }
  expect(host.calls == 3);
  expect_ok(wasmtime_context_gc(ctx));
  expect(finalized == 0);
  wasmtime_val_unroot(&args[1]);
  expect_ok(wasmtime_context_gc(ctx));
  expect(finalized == 1);
}

// -- Refused

static void arguments_of_another_kind_are_refused(void) {
  host_t host = {.is_null = true};
  wasmtime_instance_t instance = guest_of(&host);
  wasmtime_func_t swap = func_of(&instance, "swap");
  const wasmtime_val_t func = funcref_val(&swap), null_func = funcref_val(NULL), null_value = null_externref_val();
  const wasmtime_val_t wrong[][2] = {
      {null_value, null_value}, {null_func, null_func}, {null_func, func}, {i32_val(0), null_value}, {func, i64_val(0)}};
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    wasmtime_val_t results[2] = {i32_val(7), i32_val(7)};
    wasm_trap_t *trap = NULL;
    expect_error_says(wasmtime_func_call(ctx, &swap, wrong[i], 2, results, 2, &trap), "argument type mismatch");
    expect_no_trap(trap);
    expect(results[0].kind == WASMTIME_I32 && results[0].of.i32 == 7 && results[1].of.i32 == 7);
  }
}

// Whichever of the results is wrong, the other is taken over and kept by nobody.
static void results_of_another_kind_are_refused_and_taken_over(void) {
  host_t host = {.is_null = true, .gives = true};
  wasmtime_instance_t instance = guest_of(&host);
  wasmtime_func_t take = func_of(&instance, "take");
  const wasmtime_val_t wrong[][2] = {{i32_val(1), funcref_val(NULL)},
                                     {funcref_val(&take), funcref_val(NULL)},
                                     {null_externref_val(), i64_val(1)},
                                     {null_externref_val(), null_externref_val()}};
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    int finalized = 0;
    wasmtime_val_t results[2] = {i32_val(7), i32_val(7)};
    wasm_trap_t *trap = NULL;
    memcpy(host.results, wrong[i], sizeof host.results);
    int refs = 0;
    for (int at = 0; at < 2; at++) {
      if (host.results[at].kind != WASMTIME_EXTERNREF) continue;
      expect(wasmtime_externref_new(ctx, &finalized, count_finalized, &host.results[at].of.externref));
      refs++;
    }
    expect_error_says(wasmtime_func_call(ctx, &take, NULL, 0, results, 2, &trap),
                      "function attempted to return an incompatible value");
    expect_no_trap(trap);
    expect(results[0].of.i32 == 7 && results[1].of.i32 == 7);
    expect_ok(wasmtime_context_gc(ctx));
    expect(finalized == refs);
  }
}

static void references_of_another_store_are_refused(void) {
  wasmtime_store_t *other = wasmtime_store_new(engine, NULL, NULL);
  wasmtime_context_t *theirs = wasmtime_store_context(other);
  wasmtime_instance_t their_instance = instance_with(theirs, engine, "(module (func (export \"f\")))", NULL, 0);
  wasmtime_func_t their_func = export_in(theirs, &their_instance, "f").of.func;
  int finalized = 0;
  wasmtime_externref_t their_value;
  expect(wasmtime_externref_new(theirs, &finalized, count_finalized, &their_value));

  host_t host = {.is_null = true, .gives = true};
  wasmtime_instance_t instance = guest_of(&host);
  wasmtime_func_t swap = func_of(&instance, "swap"), take = func_of(&instance, "take");
  for (int which = 0; which < 2; which++) {
    wasmtime_val_t args[2] = {funcref_val(which ? NULL : &their_func), null_externref_val()}, results[2];
    if (which) args[1].of.externref = their_value;
    wasm_trap_t *trap = NULL;
    expect_error_says(wasmtime_func_call(ctx, &swap, args, 2, results, 2, &trap), "argument type mismatch");
    wasmtime_val_clone(&args[1], &host.results[0]);
    host.results[1] = args[0];
    expect_error(wasmtime_func_call(ctx, &take, NULL, 0, results, 2, &trap));
    expect_no_trap(trap);
  }
  expect(host.calls == 2 && finalized == 0);
  wasmtime_externref_unroot(&their_value);
  expect_ok(wasmtime_context_gc(theirs));
  expect(finalized == 1);
  wasmtime_store_delete(other);
}

// -- Collections

// An argument is lent to the host for the call, and the guest need not have it any more.
static void arguments_live_while_the_host_has_them(void) {
  static int finalized;
  finalized = 0;
  host_t host = {.data = &finalized, .collects = true};
  wasmtime_instance_t instance = guest_of(&host);
  wasmtime_func_t ask = func_of(&instance, "ask");
  wasmtime_val_t args[2] = {funcref_val(&ask), null_externref_val()}, results[2];
  wasm_trap_t *trap = NULL;
  expect(wasmtime_externref_new(ctx, &finalized, count_finalized, &args[1].of.externref));
  host.forget = &args[1].of.externref;
  expect_ok(wasmtime_func_call(ctx, &ask, args, 2, results, 2, &trap));
  expect_no_trap(trap);
  expect(finalized == 0 && wasmtime_externref_data(ctx, &results[0].of.externref) == &finalized);
  wasmtime_val_unroot(&results[0]);
  expect_ok(wasmtime_context_gc(ctx));
  expect(finalized == 1);
}

static void arguments_live_while_the_guest_has_them(void) {
  static int finalized;
  finalized = 0;
  host_t host = {.is_null = true, .collects = true};
  wasmtime_instance_t instance = guest_of(&host);
  wasmtime_func_t keep = func_of(&instance, "keep");
  wasmtime_val_t args[2] = {funcref_val(&keep), null_externref_val()}, results[2];
  wasm_trap_t *trap = NULL;
  expect(wasmtime_externref_new(ctx, &finalized, count_finalized, &args[1].of.externref));
  host.forget = &args[1].of.externref; // from now on it is in the guest's frame alone
  expect_ok(wasmtime_func_call(ctx, &keep, args, 2, results, 2, &trap));
  expect_no_trap(trap);
  expect(finalized == 0 && wasmtime_externref_data(ctx, &results[0].of.externref) == &finalized);
  wasmtime_val_unroot(&results[0]);
  expect_ok(wasmtime_context_gc(ctx));
  expect(finalized == 1);
}

// What the host wants to have longer than the call, it clones.
static void clones_of_arguments_outlive_the_call(void) {
  static int finalized;
  finalized = 0;
  host_t host = {.data = &finalized, .keeps = true};
  wasmtime_instance_t instance = guest_of(&host);
  wasmtime_func_t ask = func_of(&instance, "ask");
  wasmtime_val_t args[2] = {funcref_val(&ask), null_externref_val()};
  expect(wasmtime_externref_new(ctx, &finalized, count_finalized, &args[1].of.externref));
  gives_back(&ask, args, &host);
  wasmtime_val_unroot(&args[1]);
  expect_ok(wasmtime_context_gc(ctx));
  expect(finalized == 0 && wasmtime_externref_data(ctx, &host.kept.of.externref) == &finalized);
  wasmtime_val_unroot(&host.kept);
  expect_ok(wasmtime_context_gc(ctx));
  expect(finalized == 1);
}

// Handles are made for each call, and no more of them are there after many calls than after a few.
static void many_calls_leave_nothing(void) {
  static int finalized;
  finalized = 0;
  host_t host = {.data = &finalized};
  wasmtime_instance_t instance = guest_of(&host);
  wasmtime_func_t ask = func_of(&instance, "ask");
  wasmtime_val_t args[2] = {funcref_val(&ask), null_externref_val()};
  expect(wasmtime_externref_new(ctx, &finalized, count_finalized, &args[1].of.externref));
  for (int i = 0; i < 5000; i++) gives_back(&ask, args, &host);
  expect(host.calls == 5000);
  wasmtime_val_unroot(&args[1]);
  expect_ok(wasmtime_context_gc(ctx));
  expect(finalized == 1);
}

int main(void) {
  RUN(null_passes_both_ways);
  RUN(functions_and_values_pass_both_ways);
  RUN(arguments_of_another_kind_are_refused);
  RUN(results_of_another_kind_are_refused_and_taken_over);
  RUN(references_of_another_store_are_refused);
  RUN(arguments_live_while_the_host_has_them);
  RUN(arguments_live_while_the_guest_has_them);
  RUN(clones_of_arguments_outlive_the_call);
  RUN(many_calls_leave_nothing);
  return test_summary();
}
