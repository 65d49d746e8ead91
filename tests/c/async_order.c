// wasmtime/async.h: guests of one store on stacks of another's asynchronous calls, and on stacks that the host switches itself. Entries of
// one store end in the reverse order of their beginnings; what would not is refused, or ends the process with a message.
// valgrind: skip (stacks that it is not told of; and each death test ends a forked child by abort)
#include "death_tests.h"
#include <signal.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

typedef struct {
  wasmtime_call_future_t *future;
  wasm_trap_t *trap;
  wasmtime_error_t *error;
} pending_t;

// The store that takes asynchronous calls is `store`; the guests that are called as part of them are `other`'s.
static wasmtime_store_t *other_store;
static wasmtime_context_t *other;

static void begin(pending_t *call, const wasmtime_func_t *func) {
  call->trap = NULL;
  call->error = NULL;
  call->future = wasmtime_func_call_async(ctx, func, NULL, 0, NULL, 0, &call->trap, &call->error);
}

static wasmtime_func_t host_func(wasmtime_context_t *in, wasmtime_func_callback_t callback) {
  wasm_functype_t *type = wasm_functype_new_0_0();
  wasmtime_func_t func;
  wasmtime_func_new(in, type, callback, NULL, NULL, &func);
  wasm_functype_delete(type);
  return func;
}

static const char *const CALLS = "(module (import \"\" \"\" (func $host)) (func (export \"run\") call $host)"
                                 " (func (export \"nothing\"))"
                                 " (func (export \"deep\") (result i32) (i32.add (call 3) (i32.const 1))))";

// An instance of `CALLS` over a host function.
static wasmtime_instance_t calls(wasmtime_context_t *in, wasmtime_func_callback_t callback) {
  wasmtime_extern_t import = func_extern(host_func(in, callback));
  return instance_with(in, engine, CALLS, &import, 1);
}

static wasmtime_func_t export_func(wasmtime_context_t *in, wasmtime_instance_t *instance, const char *name) {
  wasmtime_extern_t item;
  if (!expect(wasmtime_instance_export_get(in, instance, name, strlen(name), &item))) exit(1);
  return item.of.func;
}

// What the host functions below call or do.
static wasmtime_func_t own_run, own_yields, other_run, other_outer, other_nothing, other_deep;
static pending_t pending;
static wasmtime_error_t *inner_error;
static int returned;

#define CALLBACK(name)                                                                                                 \
  static wasm_trap_t *name(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,             \
                           wasmtime_val_t *results, size_t nresults)
#define UNUSED (void)env, (void)caller, (void)args, (void)nargs, (void)results, (void)nresults

static wasm_trap_t *pass(wasmtime_context_t *in, const wasmtime_func_t *func) {
  wasm_trap_t *trap = NULL;
  wasmtime_error_t *error = wasmtime_func_call(in, func, NULL, 0, NULL, 0, &trap);
  if (error) inner_error = error;
  if (!error && !trap) returned++;
  return trap;
}

CALLBACK(call_other) {
  UNUSED;
  return pass(other, &other_run);
}

CALLBACK(call_yielding) {
  UNUSED;
  return pass(ctx, &own_yields);
}

CALLBACK(poll_here) {
  UNUSED;
  begin(&pending, &own_run);
  for (int i = 0; i < 3; i++)
    if (wasmtime_call_future_poll(pending.future)) break;
  return NULL;
}

CALLBACK(overflow_here) {
  UNUSED;
  wasm_trap_t *trap = NULL;
  wasmtime_val_t result;
  expect_ok(wasmtime_func_call(other, &other_deep, NULL, 0, &result, 1, &trap));
  expect_trap(trap, WASMTIME_TRAP_CODE_STACK_OVERFLOW);
  return NULL;
}

static void with_epochs(wasm_config_t *config) { wasmtime_config_epoch_interruption_set(config, true); }

// own_run -> call_other -> other_run -> `in_other`; and other_outer -> `outermost`.
static void prepare(wasmtime_func_callback_t in_other, wasmtime_func_callback_t outermost) {
  other_store = wasmtime_store_new(engine, NULL, NULL);
  other = wasmtime_store_context(other_store);
  wasmtime_context_set_epoch_deadline(other, 1000);
  wasmtime_instance_t instance = calls(ctx, call_other);
  own_run = export_func(ctx, &instance, "run");
  instance = instance_of("(module (func (export \"f\") (local i32) (local.set 0 (i32.const 3))"
                         "  (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))))");
  own_yields = export_func(ctx, &instance, "f");
  instance = calls(other, in_other);
  other_run = export_func(other, &instance, "run");
  other_nothing = export_func(other, &instance, "nothing");
  other_deep = export_func(other, &instance, "deep");
  instance = calls(other, outermost);
  other_outer = export_func(other, &instance, "run");
  wasmtime_context_epoch_deadline_async_yield_and_update(ctx, 0);
  inner_error = NULL;
  returned = 0;
}

static void finish(void) {
  wasmtime_store_delete(other_store);
  wasmtime_context_epoch_deadline_async_yield_and_update(ctx, 1000);
}

static void a_store_whose_guest_was_left_on_a_call_that_waits_is_not_entered(void) {
  prepare(call_yielding, poll_here);
  begin(&pending, &own_run);
  // It yields where it begins, and then within the other store's guest.
  while (true) {
    expect(!wasmtime_call_future_poll(pending.future));
    wasm_trap_t *trap = NULL;
    wasmtime_error_t *error = wasmtime_func_call(other, &other_nothing, NULL, 0, NULL, 0, &trap);
    if (!error) continue;
    expect_error_says(error, "left on the stack of another store's asynchronous call");
    break;
  }
  wasmtime_val_raw_t raw[1];
  wasm_trap_t *trap = NULL;
  expect_error_says(wasmtime_func_call_unchecked(other, &other_nothing, raw, 1, &trap), "left on the stack");
  pending_t call = {.trap = NULL, .error = NULL};
  call.future = wasmtime_func_call_async(other, &other_nothing, NULL, 0, NULL, 0, &call.trap, &call.error);
  expect(wasmtime_call_future_poll(call.future));
  wasmtime_call_future_delete(call.future);
  expect_error_says(call.error, "left on the stack");
  expect_ok(wasmtime_context_gc(other));
  while (!wasmtime_call_future_poll(pending.future)) continue;
  wasmtime_call_future_delete(pending.future);
  expect_ok(pending.error);
  expect_no_trap(pending.trap);
  expect(returned == 2 && !inner_error);
  expect_ok(wasmtime_func_call(other, &other_nothing, NULL, 0, NULL, 0, &trap));
  finish();
}

static void a_call_does_not_wait_below_a_guest_whose_store_waits_outside(void) {
  prepare(call_yielding, poll_here);
  for (int round = 0; round < 2; round++) {
    wasm_trap_t *trap = NULL;
    inner_error = NULL;
    expect_ok(wasmtime_func_call(other, &other_outer, NULL, 0, NULL, 0, &trap));
    expect_no_trap(trap);
    expect_error_says(inner_error, "cannot wait");
    wasmtime_call_future_delete(pending.future);
    expect_ok(pending.error);
    expect_no_trap(pending.trap);
  }
  // What has failed holds nothing back.
  wasmtime_func_t run = own_run;
  pending_t call;
  own_run = own_yields;
  begin(&call, &run);
  int polls = 1;
  while (!wasmtime_call_future_poll(call.future)) polls++;
  wasmtime_call_future_delete(call.future);
  expect_ok(call.error);
  expect(polls > 3);
  finish();
}

static void a_call_on_another_stack_has_that_stacks_limit(void) {
  prepare(overflow_here, poll_here);
  for (int round = 0; round < 3; round++) {
    wasm_trap_t *trap = NULL;
    expect_ok(wasmtime_func_call(other, &other_outer, NULL, 0, NULL, 0, &trap));
    expect_no_trap(trap);
    wasmtime_call_future_delete(pending.future);
    expect_ok(pending.error);
    wasmtime_val_t result;
    expect_ok(wasmtime_func_call(other, &other_deep, NULL, 0, &result, 1, &trap));
    expect_trap(trap, WASMTIME_TRAP_CODE_STACK_OVERFLOW);
  }
  finish();
}

// -- Stacks of the host's own

static ucontext_t aside, ahead;
static char host_stack[1 << 20];
static enum { RETURN, TRAP, COLLECT } afterwards;

// Called aside first, and inside of the call that is made ahead then, where it goes back to the one aside.
CALLBACK(switch_stacks) {
  UNUSED;
  static int calls;
  if (calls++ == 0) {
    swapcontext(&aside, &ahead);
    if (afterwards == TRAP) return wasmtime_trap_new("aside", 5);
    return NULL;
  }
  if (calls > 2 && afterwards == COLLECT) {
    expect_ok(wasmtime_context_gc(ctx));
    _exit(0); // too late
  }
  swapcontext(&ahead, &aside);
  return NULL;
}

static wasmtime_func_t switching;
static void run_aside(void) {
  wasm_trap_t *trap = NULL;
  wasmtime_func_call(ctx, &switching, NULL, 0, NULL, 0, &trap);
  _exit(0);
}

static void two_calls_end_in_the_wrong_order(void) {
  wasmtime_extern_t import = func_extern(host_func(ctx, switch_stacks));
  wasmtime_instance_t instance =
      instance_with(ctx, engine, "(module (import \"\" \"\" (func $host)) (func (export \"run\") call $host call $host))", &import, 1);
  switching = func_of(&instance, "run");
  getcontext(&aside);
  aside.uc_stack.ss_sp = host_stack;
  aside.uc_stack.ss_size = sizeof host_stack;
  makecontext(&aside, run_aside, 0);
  swapcontext(&ahead, &aside);
  wasm_trap_t *trap = NULL;
  if (afterwards == RETURN) {
    wasmtime_instance_t once =
        instance_with(ctx, engine, "(module (import \"\" \"\" (func $host)) (func (export \"run\") call $host))", &import, 1);
    switching = func_of(&once, "run");
  }
  wasmtime_func_call(ctx, &switching, NULL, 0, NULL, 0, &trap);
}

static void a_guest_that_goes_on_out_of_order_ends_the_process(void) {
  // With a heap, a collection looks at the frames.
  wasmtime_externref_t value;
  expect(wasmtime_externref_new(ctx, NULL, NULL, &value));
  for (afterwards = RETURN; afterwards <= COLLECT; afterwards++)
    ends_the_process("before a later call into its store", two_calls_end_in_the_wrong_order);
}

int main(void) {
  RUN_WITH(with_epochs, a_store_whose_guest_was_left_on_a_call_that_waits_is_not_entered);
  RUN_WITH(with_epochs, a_call_does_not_wait_below_a_guest_whose_store_waits_outside);
  RUN_WITH(with_epochs, a_call_on_another_stack_has_that_stacks_limit);
  RUN(a_guest_that_goes_on_out_of_order_ends_the_process);
  return test_summary();
}
