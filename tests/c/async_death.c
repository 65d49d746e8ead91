// wasmtime/async.h: what other libraries of this interface leave undefined, or refuse. A store with a call that waits detects other
// calls; a dropped call runs no further, whatever its host functions do; stores and futures go in any order.
#include "death_tests.h"
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct {
  wasmtime_call_future_t *future;
  wasm_trap_t *trap;
  wasmtime_error_t *error;
} pending_t;

static void begin(pending_t *call, const wasmtime_func_t *func) {
  call->trap = NULL;
  call->error = NULL;
  call->future = wasmtime_func_call_async(ctx, func, NULL, 0, NULL, 0, &call->trap, &call->error);
}

static bool poll(pending_t *call) { return wasmtime_call_future_poll(call->future); }

static void expect_done(pending_t *call, int polls) {
  int found = 1;
  while (!poll(call) && found < 100) found++;
  expect(found == polls);
  expect_ok(call->error);
  expect_no_trap(call->trap);
  wasmtime_call_future_delete(call->future);
}

static void with_epochs(wasm_config_t *config) { wasmtime_config_epoch_interruption_set(config, true); }

static wasmtime_func_t host_func(wasmtime_func_callback_t callback, void *env) {
  wasm_functype_t *type = wasm_functype_new_0_0();
  wasmtime_func_t func;
  wasmtime_func_new(ctx, type, callback, env, NULL, &func);
  wasm_functype_delete(type);
  return func;
}

static wasmtime_instance_t instance_over(wasmtime_func_t host, const char *wat) {
  wasmtime_extern_t import = func_extern(host);
  return instance_with(ctx, engine, wat, &import, 1);
}

static const char *const BUSY = "the store has an asynchronous call that is not finished";
static const char *const GIVEN_UP = "the asynchronous call was given up";
static const char *const NOTHING = "(module (func (export \"nothing\")) (func (export \"forever\") (loop br 0)))";

static void expect_busy(const wasmtime_func_t *func) {
  wasm_trap_t *trap = NULL;
  wasmtime_instance_t instance;
  wasmtime_val_raw_t raw[1];
  expect_error_says(wasmtime_func_call(ctx, func, NULL, 0, NULL, 0, &trap), BUSY);
  expect_error_says(wasmtime_func_call_unchecked(ctx, func, raw, 1, &trap), BUSY);
  wasmtime_module_t *module = module_of("(module)");
  expect_error_says(wasmtime_instance_new(ctx, module, NULL, 0, &instance, &trap), BUSY);
  wasmtime_linker_t *linker = wasmtime_linker_new(engine);
  expect_error_says(wasmtime_linker_instantiate(linker, ctx, module, &instance, &trap), BUSY);
  expect_no_trap(trap);
  pending_t second;
  begin(&second, func);
  expect(poll(&second));
  wasmtime_call_future_delete(second.future);
  expect_error_says(second.error, BUSY);
  begin(&second, func);
  wasmtime_call_future_delete(second.future); // never polled
  second.error = NULL;
  second.future = wasmtime_linker_instantiate_async(linker, ctx, module, &instance, &second.trap, &second.error);
  expect(poll(&second));
  wasmtime_call_future_delete(second.future);
  expect_error_says(second.error, BUSY);
  wasmtime_module_delete(module);
  wasmtime_linker_delete(linker);
}

static void other_calls_are_refused_while_one_waits(void) {
  wasmtime_instance_t instance = instance_of(NOTHING);
  wasmtime_func_t nothing = func_of(&instance, "nothing");
  wasmtime_context_set_epoch_deadline(ctx, 1000);
  pending_t call;
  begin(&call, &nothing);
  expect_busy(&nothing); // before it has begun
  wasmtime_call_future_delete(call.future);
  wasm_trap_t *trap = NULL;
  expect_ok(wasmtime_func_call(ctx, &nothing, NULL, 0, NULL, 0, &trap));
  wasmtime_context_epoch_deadline_async_yield_and_update(ctx, 1000);
  wasmtime_context_set_epoch_deadline(ctx, 0);
  begin(&call, &nothing);
  expect(!poll(&call));
  expect_busy(&nothing); // where it is suspended
  expect_ok(wasmtime_context_gc(ctx));
  expect_done(&call, 1);
  expect_error_says(wasmtime_func_call(ctx, &nothing, NULL, 0, NULL, 0, &trap), "`*_async` functions");
}

static void a_store_that_takes_asynchronous_calls_only_says_so(void) {
  wasmtime_instance_t instance = instance_of(NOTHING);
  wasmtime_func_t nothing = func_of(&instance, "nothing");
  expect(!wasmtime_context_epoch_deadline_async_yield_and_update(ctx, 1));
  wasmtime_val_raw_t raw[1];
  wasm_trap_t *trap = NULL;
  expect_error_says(wasmtime_func_call_unchecked(ctx, &nothing, raw, 1, &trap), "`*_async` functions");
}

static bool dropping;

static wasm_trap_t *call_plainly(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                                 wasmtime_val_t *results, size_t nresults) {
  (void)args, (void)nargs, (void)results, (void)nresults;
  wasm_trap_t *trap = NULL;
  wasmtime_error_t *error = wasmtime_func_call(wasmtime_caller_context(caller), env, NULL, 0, NULL, 0, &trap);
  if (dropping)
    expect_error_says(error, GIVEN_UP);
  else
    expect_ok(error);
  return trap;
}

// Ready when asked for the third time.
typedef struct {
  int asked, finalized;
} later_t;

static bool third_time(void *env) { return ++((later_t *)env)->asked >= 3; }
static void end(void *env) { ((later_t *)env)->finalized++; }
static void later_func(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                       wasmtime_val_t *results, size_t nresults, wasm_trap_t **trap_ret,
                       wasmtime_async_continuation_t *continuation_ret) {
  (void)caller, (void)args, (void)nargs, (void)results, (void)nresults;
  expect(!*trap_ret && !continuation_ret->callback && !continuation_ret->env && !continuation_ret->finalizer);
  ((later_t *)env)->asked = 0;
  *continuation_ret = (wasmtime_async_continuation_t){.callback = third_time, .env = env, .finalizer = end};
}

static wasmtime_linker_t *linker_with(wasmtime_func_async_callback_t callback, void *env) {
  wasmtime_linker_t *linker = wasmtime_linker_new(engine);
  wasm_functype_t *type = wasm_functype_new_0_0();
  expect_ok(wasmtime_linker_define_async_func(linker, "", 0, "later", 5, type, callback, env, NULL));
  wasm_functype_delete(type);
  return linker;
}

// Makes the instance while the store still takes ordinary calls, so that its host function can be imported by another.
static void an_ordinary_call_inside_waits_as_part_of_the_asynchronous_one(void) {
  later_t later = {0};
  static wasmtime_func_t inner;
  wasmtime_instance_t outer = instance_over(host_func(call_plainly, &inner),
                                            "(module (import \"\" \"\" (func $host)) (func (export \"run\") call $host"
                                            " call $host))");
  wasmtime_func_t run = func_of(&outer, "run");
  wasmtime_linker_t *linker = linker_with(later_func, &later);
  wasmtime_module_t *module = module_of("(module (import \"\" \"later\" (func $f)) (func (export \"f\") call $f call $f))");
  wasmtime_instance_t instance;
  pending_t call = {.trap = NULL, .error = NULL};
  call.future = wasmtime_linker_instantiate_async(linker, ctx, module, &instance, &call.trap, &call.error);
  expect_done(&call, 1);
  inner = func_of(&instance, "f");
  begin(&call, &run);
  expect_done(&call, 9);
  expect(later.finalized == 4);
  // Dropped in the middle of it.
  begin(&call, &run);
  for (int i = 0; i < 4; i++) expect(!poll(&call));
  dropping = true;
  wasmtime_call_future_delete(call.future);
  dropping = false;
  expect(later.finalized == 6);
  begin(&call, &run);
  expect_done(&call, 9);
  wasmtime_module_delete(module);
  wasmtime_linker_delete(linker);
}

// -- Dropping

static int swallowed;

// Calls a guest that yields, makes nothing of the error, and tries again.
static wasm_trap_t *swallow(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                            wasmtime_val_t *results, size_t nresults) {
  (void)args, (void)nargs, (void)results, (void)nresults;
  wasmtime_context_t *in = wasmtime_caller_context(caller);
  wasm_trap_t *trap = NULL;
  wasmtime_error_t *error = wasmtime_func_call(in, env, NULL, 0, NULL, 0, &trap);
  if (!error) return trap;
  swallowed++;
  expect_error_says(error, GIVEN_UP);
  expect_ok(wasmtime_context_gc(in));
  expect_error_says(wasmtime_func_call(in, env, NULL, 0, NULL, 0, &trap), GIVEN_UP);
  pending_t call;
  begin(&call, env);
  expect(poll(&call));
  wasmtime_call_future_delete(call.future);
  expect_error_says(call.error, GIVEN_UP);
  return NULL;
}

static void a_dropped_guest_runs_no_further_whatever_its_host_functions_do(void) {
  static wasmtime_func_t inner, middle;
  wasmtime_instance_t first = instance_of(NOTHING);
  inner = func_of(&first, "forever");
  // After its host function has returned, each guest would spin forever, without a check of anything, or count.
  wasmtime_instance_t second = instance_over(host_func(swallow, &inner),
                                             "(module (import \"\" \"\" (func $host)) (global $g (export \"g\") (mut i32) (i32.const 0))"
                                             " (func (export \"run\") call $host (global.set $g (i32.const 1))"
                                             "  (loop br 0)))");
  middle = func_of(&second, "run");
  wasmtime_instance_t third = instance_over(host_func(swallow, &middle),
                                            "(module (import \"\" \"\" (func $host)) (global $g (export \"g\") (mut i32) (i32.const 0))"
                                            " (func (export \"run\") (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) call $host"
                                            "  (global.set $g (i32.const 1)) (loop br 0)))");
  wasmtime_func_t run = func_of(&third, "run"), nothing = func_of(&first, "nothing");
  wasmtime_context_epoch_deadline_async_yield_and_update(ctx, 0);
  swallowed = 0;
  wasmtime_val_t args[10], value;
  for (int i = 0; i < 10; i++) args[i] = i32_val(i);
  pending_t call = {.trap = NULL, .error = NULL};
  call.future = wasmtime_func_call_async(ctx, &run, args, 10, NULL, 0, &call.trap, &call.error);
  for (int i = 0; i < 20; i++) expect(!poll(&call));
  wasmtime_call_future_delete(call.future);
  expect(swallowed == 2 && !call.error && !call.trap);
  wasmtime_extern_t global = export_of(&second, "g");
  wasmtime_global_get(ctx, &global.of.global, &value);
  expect(value.of.i32 == 0);
  global = export_of(&third, "g");
  wasmtime_global_get(ctx, &global.of.global, &value);
  expect(value.of.i32 == 0);
  // And the store is as good as before.
  wasmtime_context_epoch_deadline_async_yield_and_update(ctx, 1000);
  wasmtime_context_set_epoch_deadline(ctx, 1000);
  begin(&call, &nothing);
  expect_done(&call, 1);
}

static void a_store_deleted_first_gives_its_call_up(void) {
  later_t later = {0};
  wasmtime_linker_t *linker = linker_with(later_func, &later);
  wasmtime_module_t *module = module_of("(module (import \"\" \"later\" (func $f)) (func (export \"f\") call $f))");
  for (int polls = 0; polls < 3; polls++) {
    if (!store) {
      store = wasmtime_store_new(engine, NULL, NULL);
      ctx = wasmtime_store_context(store);
    }
    wasmtime_instance_t instance;
    pending_t call = {.trap = NULL, .error = NULL};
    call.future = wasmtime_linker_instantiate_async(linker, ctx, module, &instance, &call.trap, &call.error);
    expect_done(&call, 1);
    wasmtime_func_t f = func_of(&instance, "f");
    later.finalized = 0;
    begin(&call, &f);
    for (int i = 0; i < polls; i++) expect(!poll(&call));
    wasmtime_store_delete(store);
    store = NULL;
    expect(later.finalized == (polls > 0));
    if (polls != 1) {
      expect(poll(&call));
      expect_error_says(call.error, GIVEN_UP);
    }
    wasmtime_call_future_delete(call.future);
  }
  wasmtime_module_delete(module);
  wasmtime_linker_delete(linker);
}

// -- Futures of host functions

static pending_t inside;

static wasm_trap_t *leave_one_behind(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                                     wasmtime_val_t *results, size_t nresults) {
  (void)args, (void)nargs, (void)results, (void)nresults, (void)caller;
  if (inside.future) {
    expect_busy(env);
    return NULL;
  }
  begin(&inside, env);
  expect(!poll(&inside));
  expect(!poll(&inside));
  expect_ok(wasmtime_context_gc(ctx));
  return NULL;
}

static void a_future_of_a_host_function_is_not_polled_elsewhere(void) {
  static wasmtime_func_t forever;
  wasmtime_instance_t first = instance_of(NOTHING);
  forever = func_of(&first, "forever");
  wasmtime_instance_t second = instance_over(host_func(leave_one_behind, &forever),
                                             "(module (import \"\" \"\" (func $host)) (func (export \"run\") call $host call $host))");
  wasmtime_func_t run = func_of(&second, "run");
  for (int deleted = 0; deleted < 2; deleted++) {
    wasmtime_context_epoch_deadline_async_yield_and_update(ctx, 0);
    inside.future = NULL;
    pending_t call;
    begin(&call, &run);
    while (!poll(&call)) continue; // it yields as well, with the other one behind
    wasmtime_call_future_delete(call.future);
    expect_ok(call.error);
    expect_no_trap(call.trap);
    if (!deleted) {
      expect(poll(&inside));
      expect_error_says(inside.error, "polled outside of it");
    }
    wasmtime_call_future_delete(inside.future);
  }
  wasmtime_context_epoch_deadline_async_yield_and_update(ctx, 1000);
  wasmtime_func_t nothing = func_of(&first, "nothing");
  pending_t call;
  begin(&call, &nothing);
  expect_done(&call, 2);
}

// A collection while a future of a host function waits sees the frames of both.
static wasm_trap_t *collect_beside(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                                   wasmtime_val_t *results, size_t nresults) {
  (void)nargs, (void)results, (void)nresults, (void)caller;
  static int dropped;
  dropped = 0;
  wasmtime_val_t own = null_externref_val();
  expect(wasmtime_externref_new(ctx, &dropped, count_finalized, &own.of.externref));
  pending_t call = {.trap = NULL, .error = NULL};
  wasmtime_val_t result;
  call.future = wasmtime_func_call_async(ctx, env, &own, 1, &result, 1, &call.trap, &call.error);
  wasmtime_val_unroot(&own);
  expect(!poll(&call));
  expect_ok(wasmtime_context_gc(ctx));
  expect(dropped == 0);
  while (!poll(&call)) expect_ok(wasmtime_context_gc(ctx));
  wasmtime_call_future_delete(call.future);
  expect_ok(call.error);
  expect(wasmtime_externref_data(ctx, &result.of.externref) == &dropped);
  wasmtime_val_unroot(&result);
  expect_ok(wasmtime_context_gc(ctx));
  expect(dropped == 1);
  (void)args;
  return NULL;
}

static void collections_see_the_frames_of_every_call_that_waits(void) {
  static int outer_dropped;
  outer_dropped = 0;
  static wasmtime_func_t hold;
  wasmtime_instance_t first = instance_of("(module (func $spin (param i32) (loop"
                                          "  (local.set 0 (i32.sub (local.get 0) (i32.const 1))) (br_if 0 (local.get 0))))"
                                          " (func (export \"hold\") (param externref) (result externref)"
                                          "  (call $spin (i32.const 20)) (local.get 0)))");
  hold = func_of(&first, "hold");
  wasmtime_instance_t second = instance_over(host_func(collect_beside, &hold),
                                             "(module (import \"\" \"\" (func $host)) (func (export \"run\") (param externref)"
                                             " (result externref) call $host (local.get 0)))");
  wasmtime_func_t run = func_of(&second, "run");
  wasmtime_context_epoch_deadline_async_yield_and_update(ctx, 0);
  wasmtime_val_t arg = null_externref_val(), result;
  expect(wasmtime_externref_new(ctx, &outer_dropped, count_finalized, &arg.of.externref));
  pending_t call = {.trap = NULL, .error = NULL};
  call.future = wasmtime_func_call_async(ctx, &run, &arg, 1, &result, 1, &call.trap, &call.error);
  wasmtime_val_unroot(&arg);
  while (!poll(&call)) expect_ok(wasmtime_context_gc(ctx));
  wasmtime_call_future_delete(call.future);
  expect_ok(call.error);
  expect(outer_dropped == 0 && wasmtime_externref_data(ctx, &result.of.externref) == &outer_dropped);
  wasmtime_val_unroot(&result);
  expect_ok(wasmtime_context_gc(ctx));
  expect(outer_dropped == 1);
}

// -- Host functions

static void nothing_filled(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                           wasmtime_val_t *results, size_t nresults, wasm_trap_t **trap_ret,
                           wasmtime_async_continuation_t *continuation_ret) {
  (void)caller, (void)args, (void)nargs, (void)results, (void)nresults, (void)continuation_ret;
  if (++*(int *)env == 2) *trap_ret = wasmtime_trap_new("second", 6);
}

static void a_host_function_without_a_continuation_is_done(void) {
  int calls = 0;
  wasmtime_linker_t *linker = linker_with(nothing_filled, &calls);
  wasmtime_extern_t item;
  // Called by the host itself.
  expect(wasmtime_linker_get(linker, ctx, "", 0, "later", 5, &item) && item.kind == WASMTIME_EXTERN_FUNC);
  pending_t call;
  begin(&call, &item.of.func);
  expect_done(&call, 1);
  begin(&call, &item.of.func);
  expect(poll(&call));
  wasmtime_call_future_delete(call.future);
  expect_error_says(call.error, "second");
  expect(calls == 2);
  wasmtime_linker_delete(linker);
}

// -- Stacks

typedef struct {
  int finalized;
  size_t len;
  uint8_t *end;
  bool lacks_function;
} own_stack_t;
static own_stack_t stack;

static uint8_t *stack_end(void *env, size_t *len) {
  *len = ((own_stack_t *)env)->len;
  return ((own_stack_t *)env)->end;
}
static void end_stack(void *env) { ((own_stack_t *)env)->finalized++; }
static wasmtime_error_t *new_stack(void *env, size_t size, bool zeroed, wasmtime_stack_memory_t *ret) {
  (void)env, (void)size, (void)zeroed;
  ret->env = &stack;
  ret->get_stack_memory = stack.lacks_function ? NULL : stack_end;
  ret->finalizer = end_stack;
  return NULL;
}
static void with_own_stacks(wasm_config_t *config) {
  wasmtime_stack_creator_t creator = {.env = NULL, .new_stack = new_stack, .finalizer = NULL};
  wasmtime_config_host_stack_creator_set(config, &creator);
}

static void a_stack_that_is_none_is_refused_and_given_back(void) {
  wasmtime_instance_t instance = instance_of(NOTHING);
  wasmtime_func_t nothing = func_of(&instance, "nothing");
  char *mapping = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  own_stack_t cases[] = {
      {.end = NULL, .len = 0},
      {.end = NULL, .len = 1 << 20},
      {.end = (uint8_t *)mapping + (1 << 20) - 8, .len = 1 << 19},
      {.end = (uint8_t *)mapping + (1 << 20), .len = (1 << 19) + 1},
      {.end = (uint8_t *)mapping + (1 << 20), .len = 4096},
      {.lacks_function = true},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    stack = cases[i];
    pending_t call;
    begin(&call, &nothing);
    expect(poll(&call));
    wasmtime_call_future_delete(call.future);
    expect_error_says(call.error, "the host's stack");
    expect(stack.finalized == 1);
  }
  munmap(mapping, 1 << 20);
}

static void a_stack_smaller_than_guests_may_use_is_refused(void) {
  wasm_config_t *config = wasm_config_new();
  wasmtime_config_async_stack_size_set(config, 4096);
  expect(!wasm_engine_new_with_config(config));
}

// -- Misuse that ends the process

static void poll_after_the_end(void) {
  wasmtime_instance_t instance = instance_of(NOTHING);
  wasmtime_func_t nothing = func_of(&instance, "nothing");
  pending_t call;
  begin(&call, &nothing);
  poll(&call);
  poll(&call);
}

static pending_t own;
static wasm_trap_t *poll_own(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                             wasmtime_val_t *results, size_t nresults) {
  (void)env, (void)caller, (void)args, (void)nargs, (void)results, (void)nresults;
  poll(&own);
  return NULL;
}
static wasm_trap_t *delete_own(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                               wasmtime_val_t *results, size_t nresults) {
  (void)env, (void)caller, (void)args, (void)nargs, (void)results, (void)nresults;
  wasmtime_call_future_delete(own.future);
  return NULL;
}
static wasm_trap_t *delete_store(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                                 wasmtime_val_t *results, size_t nresults) {
  (void)env, (void)caller, (void)args, (void)nargs, (void)results, (void)nresults;
  wasmtime_store_delete(store);
  return NULL;
}

static void run_host(wasmtime_func_callback_t callback) {
  wasmtime_func_t host = host_func(callback, NULL);
  begin(&own, &host);
  poll(&own);
}
static void poll_from_inside(void) { run_host(poll_own); }
static void delete_from_inside(void) { run_host(delete_own); }
static void delete_the_store_from_inside(void) { run_host(delete_store); }

// A call whose host function makes another one; both wait. The inner one is given up from outside, and its host function touches
// the outer one when it hears of that.
static pending_t outer_call, inner_call;
static wasmtime_func_t forever_func, touching_func;
static void (*touch)(void);
static bool inner_waits;
static wasm_trap_t *wait_and_touch(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                                   wasmtime_val_t *results, size_t nresults) {
  (void)env, (void)caller, (void)args, (void)nargs, (void)results, (void)nresults;
  wasm_trap_t *trap = NULL;
  inner_waits = true;
  wasmtime_error_t *error = wasmtime_func_call(ctx, &forever_func, NULL, 0, NULL, 0, &trap);
  if (error) wasmtime_error_delete(error);
  touch();
  return NULL;
}
static wasm_trap_t *make_inner(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                               wasmtime_val_t *results, size_t nresults) {
  (void)env, (void)caller, (void)args, (void)nargs, (void)results, (void)nresults;
  begin(&inner_call, &touching_func);
  while (!inner_waits) expect(!poll(&inner_call));
  return NULL;
}

static void poll_outer(void) { poll(&outer_call); }
static void delete_outer(void) { wasmtime_call_future_delete(outer_call.future); }
static void delete_inner(void) { wasmtime_call_future_delete(inner_call.future); }
static void poll_inner(void) { poll(&inner_call); }

static void nest(void (*touched)(void), void (*given_up)(void)) {
  touch = touched;
  wasmtime_instance_t nothing = instance_of(NOTHING);
  forever_func = func_of(&nothing, "forever");
  wasmtime_instance_t inner = instance_over(host_func(wait_and_touch, NULL),
                                            "(module (import \"\" \"\" (func $host)) (func (export \"run\") call $host))");
  touching_func = func_of(&inner, "run");
  wasmtime_instance_t outer =
      instance_over(host_func(make_inner, NULL),
                    "(module (import \"\" \"\" (func $host)) (func (export \"run\") call $host (loop (br 0))))");
  wasmtime_func_t run = func_of(&outer, "run");
  wasmtime_context_epoch_deadline_async_yield_and_update(ctx, 0);
  begin(&outer_call, &run);
  expect(!poll(&outer_call));
  while (!inner_call.future) expect(!poll(&outer_call));
  given_up();
}
static void poll_the_outer_when_deleted(void) { nest(poll_outer, delete_inner); }
static void delete_the_outer_when_deleted(void) { nest(delete_outer, delete_inner); }
static void poll_the_outer_when_polled(void) { nest(poll_outer, poll_inner); }
static void delete_the_outer_when_polled(void) { nest(delete_outer, poll_inner); }

static void a_call_that_is_given_up_does_not_touch_the_one_below_it(void) {
  static const char *const words = "an asynchronous call was polled or deleted by one that it made and that is being given up";
  ends_the_process(words, poll_the_outer_when_deleted);
  ends_the_process(words, delete_the_outer_when_deleted);
  ends_the_process(words, poll_the_outer_when_polled);
  ends_the_process(words, delete_the_outer_when_polled);
}

static void what_cannot_be_reported_ends_the_process_with_a_message(void) {
  ends_the_process("`wasmtime_call_future_poll`: the call is over", poll_after_the_end);
  ends_the_process("`wasmtime_call_future_poll`: the call is being polled further out", poll_from_inside);
  ends_the_process("an asynchronous call was deleted by what it runs", delete_from_inside);
  ends_the_process("`wasmtime_store_delete`: the store's guest is running", delete_the_store_from_inside);
}

int main(void) {
  RUN_WITH(with_epochs, other_calls_are_refused_while_one_waits);
  RUN_WITH(with_epochs, a_store_that_takes_asynchronous_calls_only_says_so);
  RUN(an_ordinary_call_inside_waits_as_part_of_the_asynchronous_one);
  RUN_WITH(with_epochs, a_dropped_guest_runs_no_further_whatever_its_host_functions_do);
  RUN(a_store_deleted_first_gives_its_call_up);
  RUN_WITH(with_epochs, a_future_of_a_host_function_is_not_polled_elsewhere);
  RUN_WITH(with_epochs, collections_see_the_frames_of_every_call_that_waits);
  RUN(a_host_function_without_a_continuation_is_done);
  RUN_WITH(with_own_stacks, a_stack_that_is_none_is_refused_and_given_back);
  RUN(a_stack_smaller_than_guests_may_use_is_refused);
  RUN_UNWATCHED(what_cannot_be_reported_ends_the_process_with_a_message);
  if (!getenv("AMPOULE_VALGRIND")) RUN_WITH(with_epochs, a_call_that_is_given_up_does_not_touch_the_one_below_it);
  return test_summary();
}
