// wasmtime/async.h: calls as futures, guests that yield, host functions that finish later. What programs may rely on in any
// library of this interface; `async_death.c` has what only ours promises.
#include "test.h"
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

// -- A future with its outcome

typedef struct {
  wasmtime_call_future_t *future;
  wasm_trap_t *trap;
  wasmtime_error_t *error;
  wasmtime_val_t args[8], results[8];
} pending_t;

static void begin_call(pending_t *call, wasmtime_context_t *in, const wasmtime_func_t *func, size_t nargs,
                       size_t nresults) {
  call->trap = NULL;
  call->error = NULL;
  call->future = wasmtime_func_call_async(in, func, call->args, nargs, call->results, nresults, &call->trap, &call->error);
}

// Polls until the call is done, at most `most` times, and says how often.
static int poll_until_done(pending_t *call, int most) {
  for (int polls = 1; polls <= most; polls++)
    if (wasmtime_call_future_poll(call->future)) return polls;
  expect(!"the call is done in time");
  return 0;
}

// The call succeeds with exactly so many polls.
static void expect_done(pending_t *call, int polls) {
  expect(poll_until_done(call, polls + 1) == polls);
  expect_ok(call->error);
  expect_no_trap(call->trap);
  wasmtime_call_future_delete(call->future);
}

static void call_async(const wasmtime_func_t *func, int polls) {
  pending_t call;
  begin_call(&call, ctx, func, 0, 0);
  expect_done(&call, polls);
}

static int32_t call_async_i32(const wasmtime_func_t *func, int32_t arg, int polls) {
  pending_t call;
  call.args[0] = i32_val(arg);
  begin_call(&call, ctx, func, 1, 1);
  expect_done(&call, polls);
  return call.results[0].of.i32;
}

// -- Host functions that finish later

// What such a host function was asked, and what it is to do.
typedef struct {
  int ready_after; // times asked in vain
  int asked, calls, finalized;
  wasm_trap_t *trap;
  wasmtime_val_t *results;
  const wasmtime_val_t *args;
  bool other_kind;
} later_t;

static bool ask(void *env) {
  later_t *later = env;
  if (later->asked++ < later->ready_after) return false;
  // What was lent is lent still.
  if (later->results) {
    later->results[0] = later->other_kind ? i64_val(7) : i32_val(later->args[0].of.i32 + 1);
  }
  return true;
}

static void end(void *env) { ((later_t *)env)->finalized++; }

static void answer_later(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                         wasmtime_val_t *results, size_t nresults, wasm_trap_t **trap_ret,
                         wasmtime_async_continuation_t *continuation_ret) {
  later_t *later = env;
  expect(wasmtime_caller_context(caller) == ctx);
  expect(nargs == 1 && nresults == 1 && !*trap_ret);
  later->calls++;
  later->asked = 0;
  later->args = args;
  later->results = results;
  if (later->trap) *trap_ret = later->trap;
  continuation_ret->callback = ask;
  continuation_ret->env = later;
  continuation_ret->finalizer = end;
}

static wasm_functype_t *i32_to_i32(void) {
  return wasm_functype_new_1_1(wasm_valtype_new(WASM_I32), wasm_valtype_new(WASM_I32));
}

static wasmtime_linker_t *linker_with(wasmtime_func_async_callback_t callback, void *env, void (*finalizer)(void *)) {
  wasmtime_linker_t *linker = wasmtime_linker_new(engine);
  wasm_functype_t *type = i32_to_i32();
  expect_ok(wasmtime_linker_define_async_func(linker, "host", 4, "later", 5, type, callback, env, finalizer));
  wasm_functype_delete(type);
  return linker;
}

static wasmtime_instance_t instantiate_in(wasmtime_context_t *in, wasmtime_linker_t *linker, const char *wat, int polls) {
  pending_t call = {.trap = NULL, .error = NULL};
  wasmtime_instance_t instance;
  wasmtime_module_t *module = module_of(wat);
  call.future = wasmtime_linker_instantiate_async(linker, in, module, &instance, &call.trap, &call.error);
  expect_done(&call, polls);
  wasmtime_module_delete(module);
  return instance;
}

static const char *const GUEST =
    "(module (import \"host\" \"later\" (func $later (param i32) (result i32)))"
    " (func (export \"once\") (param i32) (result i32) (call $later (local.get 0)))"
    " (func (export \"twice\") (param i32) (result i32) (call $later (call $later (local.get 0)))))";

static void a_call_is_done_with_its_first_poll_unless_it_yields(void) {
  wasmtime_instance_t instance =
      instance_of("(module (func (export \"add\") (param i32 i32) (result i32) local.get 0 local.get 1 i32.add))");
  wasmtime_func_t add = func_of(&instance, "add");
  pending_t call;
  for (int i = 0; i < 3; i++) {
    call.args[0] = i32_val(40 + i);
    call.args[1] = i32_val(2);
    begin_call(&call, ctx, &add, 2, 1);
    call.args[0] = i64_val(0); // they were copied
    expect_done(&call, 1);
    expect(call.results[0].kind == WASMTIME_I32 && call.results[0].of.i32 == 42 + i);
  }
  // Ordinary calls go on beside.
  expect(call2(&add, 1, 2) == 3);
}

static void many_arguments_and_results_come_through(void) {
  wasmtime_instance_t instance = instance_of(
      "(module (func (export \"rotate\") (param i32 i32 i32 i32 i32 i64) (result i64 i32 i32)"
      " local.get 5 local.get 4 local.get 0))");
  wasmtime_func_t rotate = func_of(&instance, "rotate");
  pending_t call;
  for (int i = 0; i < 5; i++) call.args[i] = i32_val(i + 1);
  call.args[5] = i64_val(1ll << 40);
  begin_call(&call, ctx, &rotate, 6, 3);
  expect_done(&call, 1);
  expect(call.results[0].of.i64 == 1ll << 40 && call.results[1].of.i32 == 5 && call.results[2].of.i32 == 1);
}

static void what_is_wrong_with_a_call_shows_at_its_poll(void) {
  wasmtime_instance_t instance = instance_of(
      "(module (func (export \"one\") (param i32) (result i32) local.get 0) (func (export \"trap\") unreachable))");
  wasmtime_func_t one = func_of(&instance, "one"), trap = func_of(&instance, "trap");
  pending_t call;
  begin_call(&call, ctx, &one, 0, 1);
  expect(!call.error && wasmtime_call_future_poll(call.future));
  wasmtime_call_future_delete(call.future);
  expect_error_says(call.error, "expected 1 arguments, got 0");
  call.args[0] = i64_val(1);
  begin_call(&call, ctx, &one, 1, 1);
  expect(wasmtime_call_future_poll(call.future));
  wasmtime_call_future_delete(call.future);
  expect_error_says(call.error, "argument type mismatch");
  call.args[0] = i32_val(1);
  begin_call(&call, ctx, &one, 1, 0);
  expect(wasmtime_call_future_poll(call.future));
  wasmtime_call_future_delete(call.future);
  expect_error_says(call.error, "expected 1 results, got 0");
  begin_call(&call, ctx, &trap, 0, 0);
  expect(wasmtime_call_future_poll(call.future));
  wasmtime_call_future_delete(call.future);
  expect(!call.error);
  expect_trap(call.trap, WASMTIME_TRAP_CODE_UNREACHABLE_CODE_REACHED);
  // The store is as good as before.
  expect(call_async_i32(&one, 5, 1) == 5);
}

static void a_stack_overflow_is_a_trap(void) {
  wasmtime_instance_t instance = instance_of("(module (func $f (export \"f\") (call $f) (call $f)))");
  wasmtime_func_t func = func_of(&instance, "f");
  for (int i = 0; i < 3; i++) {
    pending_t call;
    begin_call(&call, ctx, &func, 0, 0);
    expect(wasmtime_call_future_poll(call.future));
    wasmtime_call_future_delete(call.future);
    expect_trap(call.trap, WASMTIME_TRAP_CODE_STACK_OVERFLOW);
  }
}

static void a_hardware_fault_is_a_trap(void) {
  wasmtime_instance_t instance =
      instance_of("(module (memory 1) (func (export \"f\") (drop (i32.load (i32.const 0x7fffffff)))))");
  wasmtime_func_t func = func_of(&instance, "f");
  pending_t call;
  begin_call(&call, ctx, &func, 0, 0);
  expect(wasmtime_call_future_poll(call.future));
  wasmtime_call_future_delete(call.future);
  expect_trap(call.trap, WASMTIME_TRAP_CODE_MEMORY_OUT_OF_BOUNDS);
}

static void a_future_that_was_never_polled_does_nothing(void) {
  wasmtime_instance_t instance =
      instance_of("(module (global $g (mut i32) (i32.const 0)) (func (export \"set\") (global.set $g (i32.const 1)))"
                  " (func (export \"get\") (result i32) global.get $g))");
  wasmtime_func_t set = func_of(&instance, "set"), get = func_of(&instance, "get");
  pending_t call;
  begin_call(&call, ctx, &set, 0, 0);
  wasmtime_call_future_delete(call.future);
  expect(call0(&get) == 0);
  call_async(&set, 1);
  expect(call0(&get) == 1);
}

// -- Host functions that finish later

static void a_host_function_is_asked_at_once_and_then_at_each_poll(void) {
  later_t later = {.ready_after = 0};
  wasmtime_linker_t *linker = linker_with(answer_later, &later, NULL);
  wasmtime_instance_t instance = instantiate_in(ctx, linker, GUEST, 1);
  wasmtime_func_t once = func_of(&instance, "once"), twice = func_of(&instance, "twice");
  expect(call_async_i32(&once, 41, 1) == 42);
  expect(later.calls == 1 && later.asked == 1 && later.finalized == 1);
  later.ready_after = 2;
  expect(call_async_i32(&once, 1, 3) == 2);
  expect(later.calls == 2 && later.asked == 3 && later.finalized == 2);
  expect(call_async_i32(&twice, 1, 5) == 3);
  expect(later.calls == 4 && later.finalized == 4);
  wasmtime_linker_delete(linker);
}

static void the_function_of_a_definition_is_finalized_once(void) {
  static int finalized;
  finalized = 0;
  wasmtime_linker_t *linker = linker_with(answer_later, &finalized, count_finalized);
  wasm_functype_t *type = i32_to_i32();
  // A name that is taken: the environment that was passed is given up all the same.
  expect_error(
      wasmtime_linker_define_async_func(linker, "host", 4, "later", 5, type, answer_later, &finalized, count_finalized));
  expect(finalized == 1);
  wasm_functype_delete(type);
  instantiate_in(ctx, linker, GUEST, 1);
  wasmtime_linker_delete(linker);
  expect(finalized == 1);
  wasmtime_store_delete(store);
  store = NULL;
  expect(finalized == 2);
}

static void a_trap_of_a_host_function_ends_the_call(void) {
  later_t later = {.ready_after = 1, .trap = wasmtime_trap_new("not today", 9)};
  wasmtime_linker_t *linker = linker_with(answer_later, &later, NULL);
  wasmtime_instance_t instance = instantiate_in(ctx, linker, GUEST, 1);
  wasmtime_func_t once = func_of(&instance, "once");
  pending_t call;
  call.args[0] = i32_val(1);
  begin_call(&call, ctx, &once, 1, 1);
  expect(poll_until_done(&call, 3) == 2);
  wasmtime_call_future_delete(call.future);
  expect_error_says(call.error, "not today");
  later.trap = NULL;
  later.other_kind = true;
  begin_call(&call, ctx, &once, 1, 1);
  expect(poll_until_done(&call, 3) == 2);
  wasmtime_call_future_delete(call.future);
  expect_error_says(call.error, "function attempted to return an incompatible value");
  expect(later.finalized == 2);
  later.other_kind = false;
  expect(call_async_i32(&once, 1, 2) == 2);
  wasmtime_linker_delete(linker);
}

static void a_store_with_such_a_function_takes_asynchronous_calls_only(void) {
  const char *part = "store configuration requires that `*_async` functions are used instead";
  later_t later = {.ready_after = 0};
  wasmtime_linker_t *linker = linker_with(answer_later, &later, NULL);
  wasmtime_instance_t instance = instantiate_in(ctx, linker, GUEST, 1), other;
  wasmtime_func_t once = func_of(&instance, "once");
  wasmtime_val_t arg = i32_val(1), result;
  wasm_trap_t *trap = NULL;
  expect_error_says(wasmtime_func_call(ctx, &once, &arg, 1, &result, 1, &trap), part);
  wasmtime_module_t *module = module_of("(module)");
  expect_error_says(wasmtime_instance_new(ctx, module, NULL, 0, &other, &trap), part);
  expect_error_says(wasmtime_linker_instantiate(linker, ctx, module, &other, &trap), part);
  wasmtime_module_delete(module);
  expect_no_trap(trap);
  expect(later.calls == 0);
  wasmtime_linker_delete(linker);
}

static void a_call_dropped_midway_ends_its_host_function(void) {
  later_t later = {.ready_after = 1000};
  wasmtime_linker_t *linker = linker_with(answer_later, &later, NULL);
  wasmtime_instance_t instance = instantiate_in(ctx, linker, GUEST, 1);
  wasmtime_func_t once = func_of(&instance, "once");
  pending_t call;
  call.args[0] = i32_val(1);
  begin_call(&call, ctx, &once, 1, 1);
  expect(!wasmtime_call_future_poll(call.future));
  expect(!wasmtime_call_future_poll(call.future));
  expect(later.finalized == 0);
  wasmtime_call_future_delete(call.future);
  expect(later.finalized == 1 && later.calls == 1 && !call.error && !call.trap);
  wasmtime_linker_delete(linker);
}

static void ref_later(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                      wasmtime_val_t *results, size_t nresults, wasm_trap_t **trap_ret,
                      wasmtime_async_continuation_t *continuation_ret) {
  (void)caller, (void)trap_ret;
  expect(nargs == 1 && nresults == 1 && args[0].kind == WASMTIME_EXTERNREF);
  wasmtime_val_clone(&args[0], &results[0]);
  later_t *later = env;
  later->asked = 0;
  later->results = NULL;
  continuation_ret->callback = ask;
  continuation_ret->env = later;
  continuation_ret->finalizer = end;
}

static void references_pass_and_stay_alive_while_the_guest_waits(void) {
  static int dropped;
  dropped = 0;
  later_t later = {.ready_after = 1};
  wasmtime_linker_t *linker = wasmtime_linker_new(engine);
  wasm_functype_t *type = wasm_functype_new_1_1(wasm_valtype_new(WASM_EXTERNREF), wasm_valtype_new(WASM_EXTERNREF));
  expect_ok(wasmtime_linker_define_async_func(linker, "host", 4, "later", 5, type, ref_later, &later, NULL));
  wasm_functype_delete(type);
  wasmtime_instance_t instance = instantiate_in(
      ctx, linker,
      "(module (import \"host\" \"later\" (func $later (param externref) (result externref)))"
      " (func (export \"keep\") (param externref) (result externref)"
      "  (drop (call $later (ref.null extern))) (local.get 0)))",
      1);
  wasmtime_func_t keep = func_of(&instance, "keep");
  pending_t call;
  call.args[0] = null_externref_val();
  expect(wasmtime_externref_new(ctx, &dropped, count_finalized, &call.args[0].of.externref));
  begin_call(&call, ctx, &keep, 1, 1);
  expect(!wasmtime_call_future_poll(call.future));
  wasmtime_val_unroot(&call.args[0]);
  expect_done(&call, 1);
  expect(call.results[0].kind == WASMTIME_EXTERNREF);
  expect(wasmtime_externref_data(ctx, &call.results[0].of.externref) == &dropped);
  wasmtime_val_unroot(&call.results[0]);
  expect_ok(wasmtime_context_gc(ctx));
  wasmtime_linker_delete(linker);
  wasmtime_store_delete(store);
  store = NULL;
  expect(dropped == 1);
}

// -- Yielding

static void with_epochs(wasm_config_t *config) { wasmtime_config_epoch_interruption_set(config, true); }
static void with_fuel(wasm_config_t *config) { wasmtime_config_consume_fuel_set(config, true); }

static const char *const LOOPS = "(module (func (export \"nothing\")) (func (export \"forever\") (loop br 0))"
                                 " (func (export \"count\") (param i32) (result i32) (local i32)"
                                 "  (loop (local.set 1 (i32.add (local.get 1) (i32.const 1)))"
                                 "   (br_if 0 (i32.lt_u (local.get 1) (local.get 0)))) local.get 1))";

// The library at hand may return nothing here, in spite of its declaration.
static void yield_at_deadline(wasmtime_context_t *in, uint64_t delta) {
  (void)wasmtime_context_epoch_deadline_async_yield_and_update(in, delta);
}

static void a_guest_yields_at_its_deadline(void) {
  wasmtime_instance_t instance = instance_of(LOOPS);
  wasmtime_func_t nothing = func_of(&instance, "nothing");
  yield_at_deadline(ctx, 1);
  wasmtime_context_set_epoch_deadline(ctx, 0);
  call_async(&nothing, 2);
  call_async(&nothing, 1); // the deadline has moved
  // It moves to one beyond the epoch at which the guest goes on.
  wasmtime_context_set_epoch_deadline(ctx, 0);
  pending_t call;
  begin_call(&call, ctx, &nothing, 0, 0);
  expect(!wasmtime_call_future_poll(call.future));
  for (int i = 0; i < 5; i++) wasmtime_engine_increment_epoch(engine);
  expect_done(&call, 1);
  call_async(&nothing, 1);
  wasmtime_engine_increment_epoch(engine);
  call_async(&nothing, 2);
}

// Calls back when the deadline passes: yields as often as told, then stops the guest.
typedef struct {
  int calls, yields, finalized;
} deadline_t;

static wasmtime_error_t *at_deadline(wasmtime_context_t *context, void *data, uint64_t *delta,
                                     wasmtime_update_deadline_kind_t *kind) {
  (void)context;
  deadline_t *deadline = data;
  if (deadline->calls++ >= deadline->yields) return wasmtime_error_new("long enough");
  *delta = 0;
  *kind = WASMTIME_UPDATE_DEADLINE_YIELD;
  return NULL;
}

static void end_deadline(void *data) { ((deadline_t *)data)->finalized++; }

static void a_deadline_callback_can_yield(void) {
  deadline_t deadline = {.yields = 3};
  wasmtime_instance_t instance = instance_of(LOOPS);
  wasmtime_func_t forever = func_of(&instance, "forever");
  wasmtime_store_epoch_deadline_callback(store, at_deadline, &deadline, end_deadline);
  pending_t call;
  begin_call(&call, ctx, &forever, 0, 0);
  expect(poll_until_done(&call, 9) == 4);
  wasmtime_call_future_delete(call.future);
  expect_error_says(call.error, "long enough");
  expect(deadline.calls == 4 && deadline.finalized == 0);
  // An ordinary call can't wait.
  deadline.calls = 0;
  wasm_trap_t *trap = NULL;
  expect_error_says(wasmtime_func_call(ctx, &forever, NULL, 0, NULL, 0, &trap),
                    "cannot use `UpdateDeadline::Yield` without using an async wasm entrypoint");
  expect_no_trap(trap);
  yield_at_deadline(ctx, 1);
  expect(deadline.finalized == 1);
}

static void a_guest_yields_when_an_interval_of_fuel_is_used_up(void) {
  uint64_t fuel = 0;
  wasmtime_instance_t instance = instance_of(LOOPS);
  wasmtime_func_t forever = func_of(&instance, "forever"), count = func_of(&instance, "count");
  expect_ok(wasmtime_context_set_fuel(ctx, 1000));
  expect_ok(wasmtime_context_fuel_async_yield_interval(ctx, 100));
  expect_ok(wasmtime_context_get_fuel(ctx, &fuel));
  expect(fuel == 1000);
  pending_t call;
  begin_call(&call, ctx, &forever, 0, 0);
  for (int i = 1; i <= 9; i++) {
    expect(!wasmtime_call_future_poll(call.future));
    expect_ok(wasmtime_context_get_fuel(ctx, &fuel));
    expect(fuel <= 1000u - 100 * i && fuel >= 1000u - 100 * i - 10 * i);
  }
  expect(poll_until_done(&call, 2) > 0);
  wasmtime_call_future_delete(call.future);
  expect(!call.error);
  expect_trap(call.trap, WASMTIME_TRAP_CODE_OUT_OF_FUEL);
  // Without an interval the same takes one poll.
  expect_ok(wasmtime_context_fuel_async_yield_interval(ctx, 0));
  expect_ok(wasmtime_context_set_fuel(ctx, 100000));
  expect(call_async_i32(&count, 1000, 1) == 1000);
}

static void an_interval_needs_fuel(void) {
  expect_error_says(wasmtime_context_fuel_async_yield_interval(ctx, 1), "fuel is not configured in this store");
  expect_error_says(wasmtime_context_fuel_async_yield_interval(ctx, 0), "fuel is not configured in this store");
}

static void a_dropped_guest_leaves_its_store_usable(void) {
  wasmtime_instance_t instance = instance_of(LOOPS);
  wasmtime_func_t forever = func_of(&instance, "forever"), nothing = func_of(&instance, "nothing");
  yield_at_deadline(ctx, 0);
  for (int i = 0; i < 3; i++) {
    pending_t call;
    begin_call(&call, ctx, &forever, 0, 0);
    for (int j = 0; j < 10; j++) expect(!wasmtime_call_future_poll(call.future));
    wasmtime_call_future_delete(call.future);
    expect(!call.error && !call.trap);
  }
  yield_at_deadline(ctx, 1000);
  call_async(&nothing, 2);
  call_async(&nothing, 1);
}

static long resident_pages(void) {
  long pages = 0;
  FILE *file = fopen("/proc/self/statm", "r");
  if (!file || fscanf(file, "%*d %ld", &pages) != 1) expect(!"/proc/self/statm is there");
  if (file) fclose(file);
  return pages;
}

static void millions_of_yields_cost_no_memory(void) {
  bool slow = getenv("AMPOULE_VALGRIND") != NULL;
  wasmtime_instance_t instance = instance_of(LOOPS);
  wasmtime_func_t forever = func_of(&instance, "forever");
  yield_at_deadline(ctx, 0);
  pending_t call;
  begin_call(&call, ctx, &forever, 0, 0);
  // Until the loop is optimized, and the thread that did it is gone.
  for (int i = 0; i < 20000; i++) {
    expect(!wasmtime_call_future_poll(call.future));
    if (i % 1000 == 0) usleep(20000);
  }
  long before = resident_pages();
  for (int i = 0; i < (slow ? 10000 : 3000000); i++)
    if (wasmtime_call_future_poll(call.future)) expect(!"it never ends");
  expect(slow || resident_pages() - before < 64);
  wasmtime_call_future_delete(call.future);
}

// -- Instantiation

static const char *const STARTS = "(module (import \"host\" \"later\" (func $later (param i32) (result i32)))"
                                  " (global $g (export \"g\") (mut i32) (i32.const 0))"
                                  " (func $start (global.set $g (call $later (i32.const 4)))) (start $start))";

static void a_start_function_can_wait(void) {
  later_t later = {.ready_after = 2};
  wasmtime_linker_t *linker = linker_with(answer_later, &later, NULL);
  wasmtime_instance_t instance = instantiate_in(ctx, linker, STARTS, 3);
  wasmtime_val_t value;
  wasmtime_extern_t global = export_of(&instance, "g");
  wasmtime_global_get(ctx, &global.of.global, &value);
  expect(value.of.i32 == 5 && later.finalized == 1);

  wasmtime_module_t *module = module_of(STARTS);
  wasmtime_instance_pre_t *pre = NULL;
  expect_ok(wasmtime_linker_instantiate_pre(linker, module, &pre));
  wasmtime_module_delete(module);
  pending_t call = {.trap = NULL, .error = NULL};
  call.future = wasmtime_instance_pre_instantiate_async(pre, ctx, &instance, &call.trap, &call.error);
  expect_done(&call, 3);
  wasmtime_instance_pre_delete(pre);
  global = export_of(&instance, "g");
  wasmtime_global_get(ctx, &global.of.global, &value);
  expect(value.of.i32 == 5 && later.finalized == 2);
  wasmtime_linker_delete(linker);
}

static void what_is_wrong_with_an_instantiation_shows_at_its_poll(void) {
  wasmtime_linker_t *linker = wasmtime_linker_new(engine);
  wasmtime_module_t *module = module_of(STARTS);
  wasmtime_instance_t instance;
  pending_t call = {.trap = NULL, .error = NULL};
  call.future = wasmtime_linker_instantiate_async(linker, ctx, module, &instance, &call.trap, &call.error);
  expect(wasmtime_call_future_poll(call.future));
  wasmtime_call_future_delete(call.future);
  expect_error_says(call.error, "unknown import: `host::later` has not been defined");
  wasmtime_module_delete(module);
  module = module_of("(module (func $start unreachable) (start $start))");
  call.error = NULL;
  call.future = wasmtime_linker_instantiate_async(linker, ctx, module, &instance, &call.trap, &call.error);
  expect(wasmtime_call_future_poll(call.future));
  wasmtime_call_future_delete(call.future);
  expect_ok(call.error);
  expect_trap(call.trap, WASMTIME_TRAP_CODE_UNREACHABLE_CODE_REACHED);
  wasmtime_module_delete(module);
  wasmtime_linker_delete(linker);
}

static void an_instantiation_dropped_midway_ends_its_host_function(void) {
  later_t later = {.ready_after = 1000};
  wasmtime_linker_t *linker = linker_with(answer_later, &later, NULL);
  wasmtime_module_t *module = module_of(STARTS);
  wasmtime_instance_t instance;
  pending_t call = {.trap = NULL, .error = NULL};
  call.future = wasmtime_linker_instantiate_async(linker, ctx, module, &instance, &call.trap, &call.error);
  expect(!wasmtime_call_future_poll(call.future));
  wasmtime_call_future_delete(call.future);
  expect(later.finalized == 1);
  call.future = wasmtime_linker_instantiate_async(linker, ctx, module, &instance, &call.trap, &call.error);
  wasmtime_call_future_delete(call.future);
  expect(later.calls == 1 && !call.error && !call.trap);
  wasmtime_module_delete(module);
  wasmtime_linker_delete(linker);
}

// -- Nesting

static wasm_trap_t *call_inside(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                                wasmtime_val_t *results, size_t nresults) {
  (void)args, (void)nargs, (void)results, (void)nresults;
  pending_t call;
  begin_call(&call, wasmtime_caller_context(caller), env, 0, 0);
  expect_done(&call, 1);
  return NULL;
}

static void a_host_function_can_begin_a_call_and_finish_it(void) {
  wasmtime_instance_t inner = instance_of("(module (func (export \"nothing\")))");
  wasmtime_func_t nothing = func_of(&inner, "nothing"), host;
  wasm_functype_t *type = wasm_functype_new_0_0();
  wasmtime_func_new(ctx, type, call_inside, &nothing, NULL, &host);
  wasm_functype_delete(type);
  wasmtime_extern_t import = func_extern(host);
  wasmtime_instance_t outer = instance_with(
      ctx, engine, "(module (import \"\" \"\" (func $host)) (func (export \"run\") call $host call $host))", &import, 1);
  wasmtime_func_t run = func_of(&outer, "run");
  expect_no_trap(call(&run));
  call_async(&run, 1);
}

// -- Threads

static void *poll_once(void *argument) {
  pending_t *call = argument;
  return wasmtime_call_future_poll(call->future) ? call : NULL;
}

static void each_poll_may_come_from_another_thread(void) {
  later_t later = {.ready_after = 6};
  wasmtime_linker_t *linker = linker_with(answer_later, &later, NULL);
  wasmtime_instance_t instance = instantiate_in(ctx, linker, GUEST, 1);
  wasmtime_func_t once = func_of(&instance, "once");
  pending_t call;
  call.args[0] = i32_val(9);
  begin_call(&call, ctx, &once, 1, 1);
  void *done = NULL;
  for (int polls = 0; polls < 9 && !done; polls++) {
    pthread_t thread;
    expect(!pthread_create(&thread, NULL, poll_once, &call));
    pthread_join(thread, &done);
    if (!done && polls % 2) done = poll_once(&call);
  }
  expect(done && call.results[0].of.i32 == 10 && later.asked == 7 && later.finalized == 1);
  expect_ok(call.error);
  wasmtime_call_future_delete(call.future);
  wasmtime_linker_delete(linker);
}

static void *run_many(void *argument) {
  wasmtime_module_t *module = argument;
  wasm_engine_t *shared = engine;
  bool good = true;
  for (int i = 0; i < 50; i++) {
    wasmtime_store_t *own = wasmtime_store_new(shared, NULL, NULL);
    wasmtime_context_t *in = wasmtime_store_context(own);
    wasmtime_linker_t *linker = wasmtime_linker_new(shared);
    wasmtime_instance_t instance;
    pending_t call = {.trap = NULL, .error = NULL};
    wasmtime_context_set_epoch_deadline(in, 1000);
    call.future = wasmtime_linker_instantiate_async(linker, in, module, &instance, &call.trap, &call.error);
    good &= wasmtime_call_future_poll(call.future) && !call.error;
    wasmtime_call_future_delete(call.future);
    wasmtime_extern_t count;
    good &= wasmtime_instance_export_get(in, &instance, "count", 5, &count);
    wasmtime_context_set_epoch_deadline(in, 0);
    yield_at_deadline(in, 0);
    call.args[0] = i32_val(100);
    begin_call(&call, in, &count.of.func, 1, 1);
    int polls = 1;
    while (!wasmtime_call_future_poll(call.future)) polls++;
    good &= !call.error && polls > 50 && call.results[0].of.i32 == 100;
    wasmtime_call_future_delete(call.future);
    wasmtime_linker_delete(linker);
    wasmtime_store_delete(own);
  }
  return good ? module : NULL;
}

static void stores_on_many_threads_share_stacks(void) {
  enum { THREADS = 4 };
  pthread_t threads[THREADS];
  wasmtime_module_t *module = module_of(LOOPS);
  for (int i = 0; i < THREADS; i++) expect(!pthread_create(&threads[i], NULL, run_many, module));
  for (int i = 0; i < THREADS; i++) {
    void *good = NULL;
    pthread_join(threads[i], &good);
    expect(good == module);
  }
  wasmtime_module_delete(module);
}

// -- Many at once

static void ten_thousand_guests_wait_at_once(void) {
  int count = getenv("AMPOULE_VALGRIND") ? 100 : 10000;
  wasmtime_module_t *module = module_of(LOOPS);
  wasmtime_linker_t *linker = wasmtime_linker_new(engine);
  wasmtime_store_t **stores = calloc(count, sizeof *stores);
  pending_t *calls = calloc(count, sizeof *calls);
  long before = resident_pages();
  for (int i = 0; i < count; i++) {
    stores[i] = wasmtime_store_new(engine, NULL, NULL);
    wasmtime_context_t *in = wasmtime_store_context(stores[i]);
    wasmtime_instance_t instance;
    wasm_trap_t *trap = NULL;
    wasmtime_context_set_epoch_deadline(in, 1000000);
    if (!expect_ok(wasmtime_linker_instantiate(linker, in, module, &instance, &trap))) break;
    wasmtime_func_t func = export_in(in, &instance, "count").of.func;
    wasmtime_context_set_epoch_deadline(in, 0);
    yield_at_deadline(in, 0);
    calls[i].args[0] = i32_val(i % 7 + 1);
    begin_call(&calls[i], in, &func, 1, 1);
    if (wasmtime_call_future_poll(calls[i].future)) expect(!"it waits");
  }
  printf("# %ld bytes of memory for each store with a suspended guest\n", (resident_pages() - before) * 4096 / count);
  // Most go on in turn to the end; the others are dropped where they are.
  for (int i = 0; i < count; i++) {
    if (i % 5) {
      while (!wasmtime_call_future_poll(calls[i].future)) continue;
      if (calls[i].error || calls[i].trap || calls[i].results[0].of.i32 != i % 7 + 1) expect(!"each has its own result");
    }
    wasmtime_call_future_delete(calls[i].future);
    wasmtime_store_delete(stores[i]);
  }
  free(calls);
  free(stores);
  wasmtime_linker_delete(linker);
  wasmtime_module_delete(module);
}

// -- Stacks

static void with_large_stacks(wasm_config_t *config) {
  wasmtime_config_async_stack_size_set(config, 8 << 20);
  wasmtime_config_max_wasm_stack_set(config, 6 << 20);
}

static void guests_use_the_stack_they_are_given(void) {
  wasmtime_instance_t instance = instance_of(
      "(module (func $f (export \"f\") (param i32) (result i32) (if (result i32) (i32.eqz (local.get 0))"
      " (then (i32.const 0)) (else (i32.add (i32.const 1) (call $f (i32.sub (local.get 0) (i32.const 1))))))))");
  wasmtime_func_t f = func_of(&instance, "f");
  expect(call_async_i32(&f, 50000, 1) == 50000);
}

typedef struct {
  int made, freed, ended;
  size_t size;
  bool fail;
  char *mapping;
  size_t mapped;
} stacks_t;
static stacks_t stacks;

static uint8_t *upper_end(void *env, size_t *len) {
  expect(env == &stacks);
  *len = stacks.size;
  return (uint8_t *)stacks.mapping + stacks.mapped;
}

static void free_stack(void *env) {
  expect(env == &stacks);
  munmap(stacks.mapping, stacks.mapped);
  stacks.freed++;
}

static wasmtime_error_t *new_stack(void *env, size_t size, bool zeroed, wasmtime_stack_memory_t *ret) {
  expect(env == &stacks && size % 4096 == 0);
  (void)zeroed;
  if (stacks.fail) return wasmtime_error_new("no stacks today");
  stacks.made++;
  stacks.size = size;
  stacks.mapped = size + 4096;
  stacks.mapping = mmap(NULL, stacks.mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  mprotect(stacks.mapping + 4096, size, PROT_READ | PROT_WRITE);
  ret->env = env;
  ret->get_stack_memory = upper_end;
  ret->finalizer = free_stack;
  return NULL;
}

static void end_creator(void *env) { ((stacks_t *)env)->ended++; }

static void with_own_stacks(wasm_config_t *config) {
  wasmtime_stack_creator_t creator = {.env = &stacks, .new_stack = new_stack, .finalizer = end_creator};
  wasmtime_config_host_stack_creator_set(config, &creator);
  wasmtime_config_epoch_interruption_set(config, true);
  stacks.fail = false;
  stacks.made = stacks.freed = stacks.ended = 0;
}

static void the_host_can_provide_stacks(void) {
  wasmtime_instance_t instance = instance_of(LOOPS);
  wasmtime_func_t nothing = func_of(&instance, "nothing");
  pending_t call;
  stacks.fail = true;
  begin_call(&call, ctx, &nothing, 0, 0);
  expect(wasmtime_call_future_poll(call.future));
  wasmtime_call_future_delete(call.future);
  expect_error_says(call.error, "no stacks today");
  stacks.fail = false;
  yield_at_deadline(ctx, 1);
  call_async(&nothing, 2);
  call_async(&nothing, 1);
  expect(stacks.made == 1 && stacks.freed == 0);
  // Valgrind takes what is below a stack's pointer for an error to read.
  bool on_it = getenv("AMPOULE_VALGRIND") != NULL;
  for (size_t i = 4096; i < stacks.mapped && !on_it; i++) on_it = stacks.mapping[i] != 0;
  expect(on_it);
  wasmtime_store_delete(store);
  store = NULL;
  expect(stacks.freed == 1 && stacks.ended == 0);
}

static void the_creator_ends_with_its_engine(void) { expect(stacks.ended == 1); }

int main(void) {
  RUN(a_call_is_done_with_its_first_poll_unless_it_yields);
  RUN(many_arguments_and_results_come_through);
  RUN(what_is_wrong_with_a_call_shows_at_its_poll);
  RUN(a_stack_overflow_is_a_trap);
  RUN_FAULTING(a_hardware_fault_is_a_trap);
  RUN(a_future_that_was_never_polled_does_nothing);
  RUN(a_host_function_is_asked_at_once_and_then_at_each_poll);
  RUN(the_function_of_a_definition_is_finalized_once);
  RUN(a_trap_of_a_host_function_ends_the_call);
  RUN(a_store_with_such_a_function_takes_asynchronous_calls_only);
  RUN(a_call_dropped_midway_ends_its_host_function);
  RUN(references_pass_and_stay_alive_while_the_guest_waits);
  RUN_WITH(with_epochs, a_guest_yields_at_its_deadline);
  RUN_WITH(with_epochs, a_deadline_callback_can_yield);
  RUN_WITH(with_fuel, a_guest_yields_when_an_interval_of_fuel_is_used_up);
  RUN(an_interval_needs_fuel);
  RUN_WITH(with_epochs, a_dropped_guest_leaves_its_store_usable);
  RUN_WITH(with_epochs, millions_of_yields_cost_no_memory);
  RUN(a_start_function_can_wait);
  RUN(what_is_wrong_with_an_instantiation_shows_at_its_poll);
  RUN(an_instantiation_dropped_midway_ends_its_host_function);
  RUN(a_host_function_can_begin_a_call_and_finish_it);
  RUN(each_poll_may_come_from_another_thread);
  RUN_WITH(with_epochs, stores_on_many_threads_share_stacks);
  RUN_WITH(with_epochs, ten_thousand_guests_wait_at_once);
  RUN_WITH(with_large_stacks, guests_use_the_stack_they_are_given);
  RUN_WITH(with_own_stacks, the_host_can_provide_stacks);
  RUN(the_creator_ends_with_its_engine);
  return test_summary();
}
