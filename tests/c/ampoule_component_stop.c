// ampoule/component.h, ampoule/cancel.h, ampoule/wait.h: what ends a call of a component that waits for the host in vain.
#include "component.h"

#include <ampoule.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>
#include <wasmtime/async.h>

typedef ampoule_component_call_t call_t;
typedef ampoule_component_reader_t reader_t;
typedef ampoule_component_writer_t writer_t;

// `wait` answers what the host does, and `count` adds up what it reads, until nothing more comes.
static const char *const GUEST =
    "(component (import \"later\" (func $later async (result u32)))"
    "  (core module $libc (memory (export \"memory\") 1)) (core instance $libc (instantiate $libc))"
    "  (type $bytes (stream u8))"
    "  (core func $read (canon stream.read $bytes (memory (core memory $libc \"memory\"))))"
    "  (core func $later (canon lower (func $later)))"
    "  (core module $m (import \"\" \"read\" (func $read (param i32 i32 i32) (result i32)))"
    "    (import \"\" \"later\" (func $later (result i32)))"
    "    (func (export \"wait\") (result i32) (call $later))"
    "    (func (export \"count\") (param $in i32) (result i32) (local $got i32) (local $sum i32)"
    "      (loop $more"
    "        (local.set $got (call $read (local.get $in) (i32.const 0) (i32.const 1000)))"
    "        (local.set $sum (i32.add (local.get $sum) (i32.shr_u (local.get $got) (i32.const 4))))"
    "        (br_if $more (i32.eqz (i32.and (local.get $got) (i32.const 15)))))"
    "      (local.get $sum)))"
    "  (core instance $i (instantiate $m (with \"\" (instance (export \"read\" (func $read)) (export \"later\" (func $later))))))"
    "  (func (export \"wait\") async (result u32) (canon lift (core func $i \"wait\")))"
    "  (func (export \"count\") async (param \"in\" $bytes) (result u32) (canon lift (core func $i \"count\"))))";

typedef ampoule_component_completion_t completion_t;

// The call of `later` that waits, which nobody answers, if not the claim.
static completion_t *asked;
// Whether there is one, for other threads.
static atomic_bool waits;
static bool answers_at_once;

static void keep(void *env, wasmtime_context_t *context, const wasmtime_component_func_type_t *type, val_t *args,
                 size_t nargs, completion_t *completion) {
  (void)env, (void)context, (void)type, (void)args, (void)nargs;
  asked = completion;
  if (answers_at_once) {
    val_t answer = u32_val(0);
    expect(ampoule_component_complete(completion, &answer));
  } else {
    atomic_store(&waits, true);
  }
}

static void forget(void) {
  ampoule_component_completion_delete(asked);
  asked = NULL;
  atomic_store(&waits, false);
}

static wasmtime_component_instance_t guest(void) {
  wasmtime_component_linker_t *linker = wasmtime_component_linker_new(engine);
  wasmtime_component_linker_instance_t *root = wasmtime_component_linker_root(linker);
  expect_ok(ampoule_component_linker_instance_add_func(root, "later", 5, keep, NULL, NULL));
  wasmtime_component_linker_instance_delete(root);
  wasmtime_component_instance_t instance = instance_with_linker(linker, GUEST);
  wasmtime_component_linker_delete(linker);
  return instance;
}

static void stoppable(wasm_config_t *config) {
  wasmtime_config_wasm_component_model_async_set(config, true);
  wasmtime_config_wasm_component_model_more_async_builtins_set(config, true);
  wasmtime_config_epoch_interruption_set(config, true);
  ampoule_config_cancellation_set(config, true);
}

// -- What stops

enum { SOON_MS = 50, TIME_LIMIT_MS = 300 };

static ampoule_cancel_token_t *token;
static pthread_t stopper;

// A while after the guest has begun to wait, however long that takes.
static void sleep_until_soon(void) {
  while (!atomic_load(&waits)) usleep(1000);
  usleep(SOON_MS * 1000);
}

static void *cancel_soon(void *env) {
  (void)env;
  sleep_until_soon();
  ampoule_cancel(token, ampoule_cancel_token_generation(token));
  return NULL;
}

static void *tick_soon(void *env) {
  sleep_until_soon();
  wasmtime_engine_increment_epoch(env);
  return NULL;
}

static void *signal_soon(void *env) {
  sleep_until_soon();
  pthread_kill(*(pthread_t *)env, SIGUSR1);
  return NULL;
}

static volatile sig_atomic_t was_signaled;

static void on_signal(int signal) { was_signaled = signal; }

typedef struct {
  int asked, stops_at, finalized;
} check_t;

static bool ask(void *env) {
  check_t *check = env;
  check->asked++;
  return was_signaled || (check->stops_at && check->asked >= check->stops_at);
}

static void end_check(void *env) { ((check_t *)env)->finalized++; }

typedef enum { BY_TOKEN, BY_TIME, BY_EPOCH, BY_CHECK, BY_SIGNAL } way_t;

static check_t check;

// Has calls stopped soon that wait now.
static void begin_stopping(way_t way) {
  static pthread_t here;
  wasmtime_context_set_epoch_deadline(ctx, 1);
  check = (check_t){.stops_at = way == BY_CHECK ? 3 : 0};
  was_signaled = 0;
  switch (way) {
  case BY_TOKEN:
    expect_ok(ampoule_cancel_token_new(ctx, &token));
    pthread_create(&stopper, NULL, cancel_soon, NULL);
    break;
  case BY_TIME: expect_ok(ampoule_context_set_call_deadline(ctx, TIME_LIMIT_MS * 1000000ull)); break;
  case BY_EPOCH: pthread_create(&stopper, NULL, tick_soon, engine); break;
  case BY_SIGNAL: {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    sigaction(SIGUSR1, &action, NULL);
    here = pthread_self();
    pthread_create(&stopper, NULL, signal_soon, &here);
    ampoule_context_set_interrupt_check(ctx, ask, &check, end_check);
    break;
  }
  default: ampoule_context_set_interrupt_check(ctx, ask, &check, end_check);
  }
}

static void end_stopping(way_t way) {
  if (way != BY_TIME && way != BY_CHECK) pthread_join(stopper, NULL);
  if (way == BY_TOKEN) ampoule_cancel_token_delete(token);
  if (way == BY_CHECK || way == BY_SIGNAL) {
    expect(check.asked >= 2 && !check.finalized);
    ampoule_context_set_interrupt_check(ctx, NULL, NULL, NULL);
    expect(check.finalized == 1);
  }
}

// -- What waits

static wasmtime_error_t *call_wait(const wasmtime_component_func_t *func, val_t *result) {
  return wasmtime_component_func_call(func, ctx, NULL, 0, result, 1);
}

static void in_a_call(way_t way) {
  wasmtime_component_instance_t instance = guest();
  wasmtime_component_func_t func = func_named(&instance, "wait");
  val_t result = bool_val(false);
  // All of it is compiled before its time is limited.
  wasmtime_context_set_epoch_deadline(ctx, 1);
  answers_at_once = true;
  expect_ok(call_wait(&func, &result));
  answers_at_once = false;
  forget();
  result = bool_val(false);
  begin_stopping(way);
  wasmtime_error_t *error = call_wait(&func, &result);
  end_stopping(way);
  expect(result.kind == WASMTIME_COMPONENT_BOOL);
  if (expect(asked != NULL)) expect(ampoule_component_completion_is_cancelled(asked));
  if (expect(error != NULL)) {
    ampoule_error_info_t info = {.size = sizeof info};
    expect(ampoule_error_info(error, &info) && info.trap_code == WASMTIME_TRAP_CODE_INTERRUPT);
    wasmtime_error_delete(error);
  }
  // The guest was stopped in the middle, and with it all of its store.
  wasmtime_context_set_epoch_deadline(ctx, 1);
  expect_error_says(call_wait(&func, &result), "cannot enter component instance");
  forget();
}

static void a_token_ends_a_call_that_waits(void) { in_a_call(BY_TOKEN); }
static void a_time_limit_ends_a_call_that_waits(void) { in_a_call(BY_TIME); }
static void an_epoch_ends_a_call_that_waits(void) { in_a_call(BY_EPOCH); }
static void a_check_ends_a_call_that_waits(void) { in_a_call(BY_CHECK); }
static void a_signal_ends_a_call_that_waits_by_the_check(void) { in_a_call(BY_SIGNAL); }

// A program that waits for what it has started is told, and its calls wait on.
static void a_wait_for_calls_that_were_started_ends_and_they_go_on(void) {
  static const way_t ways[] = {BY_EPOCH, BY_CHECK, BY_SIGNAL};
  wasmtime_component_instance_t instance = guest();
  wasmtime_component_func_t func = func_named(&instance, "wait");
  call_t *call;
  wasmtime_context_set_epoch_deadline(ctx, 1);
  if (!expect_ok(ampoule_component_call_start(ctx, &func, NULL, 0, &call))) exit(1);
  for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
    // Nothing is left to do but to wait, which may return for no reason.
    expect_ok(ampoule_component_run(ctx, NULL));
    begin_stopping(ways[i]);
    wasmtime_error_t *error;
    do error = ampoule_component_wait(ctx);
    while (!error);
    end_stopping(ways[i]);
    expect_error_says(error, "interrupt");
    expect(!ampoule_component_call_is_over(call, ctx));
  }
  wasmtime_context_set_epoch_deadline(ctx, 1);
  val_t answer = u32_val(7), result = bool_val(false);
  expect(ampoule_component_complete(asked, &answer));
  expect_ok(ampoule_component_run(ctx, NULL));
  expect_ok(ampoule_component_call_finish(call, ctx, &result, 1));
  expect(result.kind == WASMTIME_COMPONENT_U32 && result.of.u32 == 7);
  ampoule_component_call_delete(call);
  forget();
}

// The call has the program's thread, so nobody else can write: that is no wait, but a deadlock.
static void a_stream_that_nobody_can_write_to_is_not_waited_for(void) {
  wasmtime_component_instance_t instance = guest();
  wasmtime_component_func_t func = func_named(&instance, "count");
  wasmtime_component_valtype_t type = {.kind = WASMTIME_COMPONENT_VALTYPE_U8};
  reader_t *reader;
  writer_t *writer;
  wasmtime_context_set_epoch_deadline(ctx, 1);
  if (!expect_ok(ampoule_component_stream_new(ctx, &type, &writer, &reader))) exit(1);
  val_t arg, result = bool_val(false);
  ampoule_component_reader_into_val(reader, &arg);
  expect_error_says(call_with(&func, arg, &result), "deadlock detected: event loop cannot make further progress");
  ampoule_component_writer_delete(writer);
}

// What the store is deleted with is finalized, and what replaces another.
static void a_check_is_finalized_once(void) {
  check_t first = {0}, second = {0};
  wasmtime_store_t *other = wasmtime_store_new(engine, NULL, NULL);
  wasmtime_context_t *context = wasmtime_store_context(other);
  ampoule_context_set_interrupt_check(context, ask, &first, end_check);
  ampoule_context_set_interrupt_check(context, ask, &second, end_check);
  expect(first.finalized == 1 && second.finalized == 0);
  wasmtime_store_delete(other);
  expect(first.finalized == 1 && second.finalized == 1 && first.asked + second.asked == 0);
}

int main(void) {
  RUN_WITH(stoppable, a_token_ends_a_call_that_waits);
  RUN_WITH(stoppable, a_time_limit_ends_a_call_that_waits);
  RUN_WITH(stoppable, an_epoch_ends_a_call_that_waits);
  RUN_WITH(stoppable, a_check_ends_a_call_that_waits);
  RUN_WITH(stoppable, a_signal_ends_a_call_that_waits_by_the_check);
  RUN_WITH(stoppable, a_wait_for_calls_that_were_started_ends_and_they_go_on);
  RUN_WITH(stoppable, a_stream_that_nobody_can_write_to_is_not_waited_for);
  RUN(a_check_is_finalized_once);
  return test_summary();
}
