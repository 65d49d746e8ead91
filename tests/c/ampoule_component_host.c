// ampoule/component.h: host functions that answer later.
#include "component.h"

#include <ampoule.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>
#include <wasmtime/async.h>

typedef ampoule_component_call_t call_t;
typedef ampoule_component_completion_t completion_t;

#define CORE_IMPORT(name, type) "(import \"\" \"" name "\" (func $" name " " type "))"
#define CORE_EXPORT(name) "(export \"" name "\" (func $" name "))"

static const char *const GUEST =
    "(component"
    "  (import \"later\" (func $later async (param \"n\" u32) (result u32)))"
    "  (import \"now\" (func $now (param \"n\" u32) (result u32)))"
    "  (import \"sum\" (func $sum async (param \"bytes\" (list u8)) (result u32)))"
    "  (core module $libc (memory (export \"memory\") 1)) (core instance $libc (instantiate $libc))"
    "  (alias core export $libc \"memory\" (core memory $memory))"
    "  (core func $beside (canon lower (func $later) async (memory $memory)))"
    "  (core func $await (canon lower (func $later)))"
    "  (core func $await-now (canon lower (func $now)))"
    "  (core func $await-sum (canon lower (func $sum) (memory $memory)))"
    "  (core func $set (canon waitable-set.new)) (core func $join (canon waitable.join))"
    "  (core func $wait (canon waitable-set.wait (memory $memory)))"
    "  (core func $drop (canon subtask.drop)) (core func $cancel (canon subtask.cancel))"
    "  (core func $return (canon task.return (result u32)))"
    "  (core module $m (import \"\" \"memory\" (memory 1))"
    CORE_IMPORT("beside", "(param i32 i32) (result i32)") CORE_IMPORT("await", "(param i32) (result i32)")
    CORE_IMPORT("await-now", "(param i32) (result i32)") CORE_IMPORT("await-sum", "(param i32 i32) (result i32)")
    CORE_IMPORT("set", "(result i32)") CORE_IMPORT("join", "(param i32 i32)")
    CORE_IMPORT("wait", "(param i32 i32) (result i32)") CORE_IMPORT("drop", "(param i32)")
    CORE_IMPORT("cancel", "(param i32) (result i32)") CORE_IMPORT("return", "(param i32)")
    // Calls twice, the second time with one more, and waits for both: the sum, in memory of the call's own.
    "    (func $one (param $n i32) (param $at i32) (param $set i32) (result i32) (local $state i32)"
    "      (local.set $state (call $beside (local.get $n) (local.get $at)))"
    "      (if (i32.eq (i32.and (local.get $state) (i32.const 15)) (i32.const 2)) (then (return (i32.const 0))))"
    "      (call $join (i32.shr_u (local.get $state) (i32.const 4)) (local.get $set)) (i32.const 1))"
    "    (func (export \"both\") (param $n i32) (local $set i32) (local $left i32) (local $at i32) (local $event i32)"
    "      (local.set $set (call $set))"
    "      (local.set $at (i32.add (i32.const 1024) (i32.mul (local.get $set) (i32.const 8))))"
    "      (local.set $event (i32.add (local.get $at) (i32.const 16384)))"
    "      (local.set $left (i32.add (call $one (local.get $n) (local.get $at) (local.get $set))"
    "        (call $one (i32.add (local.get $n) (i32.const 1)) (i32.add (local.get $at) (i32.const 4)) (local.get $set))))"
    "      (block $done (loop $next"
    "        (br_if $done (i32.eqz (local.get $left)))"
    "        (drop (call $wait (local.get $set) (local.get $event)))"
    "        (if (i32.eq (i32.load offset=4 (local.get $event)) (i32.const 2)) (then"
    "          (call $drop (i32.load (local.get $event)))"
    "          (local.set $left (i32.sub (local.get $left) (i32.const 1)))))"
    "        (br $next)))"
    "      (call $return (i32.add (i32.load (local.get $at)) (i32.load offset=4 (local.get $at)))))"
    // Calls, and gives that up: the state of the call.
    "    (func (export \"give-up\") (param $n i32) (local $task i32) (local $state i32)"
    "      (local.set $task (i32.shr_u (call $beside (local.get $n) (i32.const 512)) (i32.const 4)))"
    "      (local.set $state (call $cancel (local.get $task)))"
    "      (call $drop (local.get $task)) (call $return (local.get $state)))"
    "    (func (export \"one\") (param i32) (call $return (call $await (local.get 0))))"
    "    (func (export \"sum\") (param i32) (i32.store (i32.const 8) (i32.const 0x04030201))"
    "      (call $return (call $await-sum (i32.const 8) (local.get 0))))"
    "    (func (export \"plain\") (param i32) (result i32) (call $await-now (local.get 0))))"
    "  (core instance $i (instantiate $m (with \"\" (instance (export \"memory\" (memory $memory))"
    CORE_EXPORT("beside") CORE_EXPORT("await") CORE_EXPORT("await-now") CORE_EXPORT("await-sum") CORE_EXPORT("set")
    CORE_EXPORT("join") CORE_EXPORT("wait") CORE_EXPORT("drop") CORE_EXPORT("cancel") CORE_EXPORT("return")
    "  ))))"
    "  (func (export \"both\") async (param \"n\" u32) (result u32) (canon lift (core func $i \"both\") async))"
    "  (func (export \"give-up\") async (param \"n\" u32) (result u32) (canon lift (core func $i \"give-up\") async))"
    "  (func (export \"one\") async (param \"n\" u32) (result u32) (canon lift (core func $i \"one\") async))"
    "  (func (export \"sum\") async (param \"n\" u32) (result u32) (canon lift (core func $i \"sum\") async))"
    "  (func (export \"plain\") (param \"n\" u32) (result u32) (canon lift (core func $i \"plain\"))))";

static void asynchronous(wasm_config_t *config) {
  wasmtime_config_wasm_component_model_async_set(config, true);
  wasmtime_config_wasm_component_model_async_stackful_set(config, true);
  wasmtime_config_wasm_component_model_more_async_builtins_set(config, true);
}

// -- The host

#define MOST 256

typedef struct {
  completion_t *completions[MOST];
  uint32_t args[MOST];
  int count, cancelled, cancel_freed, finalized;
  bool at_once;
  // Calls this before it returns, if there is one.
  wasmtime_component_func_t *calls;
} host_t;

static bool complete_u32(completion_t *completion, uint32_t value) {
  val_t val = u32_val(value);
  bool completed = ampoule_component_complete(completion, &val);
  // It was taken, either way.
  expect(val.kind == WASMTIME_COMPONENT_BOOL);
  return completed;
}

static void note_cancel(void *env) { ((host_t *)env)->cancelled++; }
static void free_cancel(void *env) { ((host_t *)env)->cancel_freed++; }
static void finalize(void *env) { ((host_t *)env)->finalized++; }

static void later(void *env, wasmtime_context_t *context, const wasmtime_component_func_type_t *type, val_t *args,
                  size_t nargs, completion_t *completion) {
  host_t *host = env;
  expect(context == ctx && nargs == 1 && args[0].kind == WASMTIME_COMPONENT_U32);
  expect(wasmtime_component_func_type_param_count(type) == 1);
  ampoule_component_completion_on_cancel(completion, note_cancel, host, free_cancel);
  expect(!ampoule_component_completion_is_cancelled(completion));
  if (host->calls) {
    val_t result = bool_val(false);
    expect_ok(call_with(host->calls, u32_val(args[0].of.u32), &result));
    expect(result.of.u32 == args[0].of.u32 + 1);
  }
  if (host->at_once) {
    expect(complete_u32(completion, args[0].of.u32 * 10));
    ampoule_component_completion_delete(completion);
    return;
  }
  host->args[host->count] = args[0].of.u32;
  host->completions[host->count++] = completion;
}

static void sum(void *env, wasmtime_context_t *context, const wasmtime_component_func_type_t *type, val_t *args,
                size_t nargs, completion_t *completion) {
  (void)env, (void)context, (void)type;
  uint32_t sum = 0;
  expect(nargs == 1 && args[0].kind == WASMTIME_COMPONENT_LIST);
  for (size_t i = 0; i < args[0].of.list.size; i++) {
    expect(args[0].of.list.data[i].kind == WASMTIME_COMPONENT_U8);
    sum += args[0].of.list.data[i].of.u8;
  }
  // Arguments may be taken.
  wasmtime_component_val_delete(&args[0]);
  args[0] = bool_val(false);
  expect(complete_u32(completion, sum));
  ampoule_component_completion_delete(completion);
}

static wasmtime_component_instance_t guest_of(host_t *host) {
  wasmtime_component_linker_t *linker = wasmtime_component_linker_new(engine);
  wasmtime_component_linker_instance_t *root = wasmtime_component_linker_root(linker);
  expect_ok(ampoule_component_linker_instance_add_func(root, "later", 5, later, host, finalize));
  expect_ok(ampoule_component_linker_instance_add_func(root, "now", 3, later, host, finalize));
  expect_ok(ampoule_component_linker_instance_add_func(root, "sum", 3, sum, NULL, NULL));
  int before = host->finalized;
  expect_error_says(ampoule_component_linker_instance_add_func(root, "now", 3, later, host, finalize), "defined twice");
  expect(host->finalized == before + 1);
  wasmtime_component_linker_instance_delete(root);
  wasmtime_component_instance_t instance = instance_with_linker(linker, GUEST);
  wasmtime_component_linker_delete(linker);
  return instance;
}

static void complete(host_t *host, int at) {
  expect(complete_u32(host->completions[at], host->args[at] * 10));
  expect(!complete_u32(host->completions[at], 1));
  ampoule_component_completion_delete(host->completions[at]);
}

// -- Short ways

static call_t *start(const wasmtime_component_instance_t *instance, const char *name, uint32_t n) {
  wasmtime_component_func_t func = func_named(instance, name);
  val_t arg = u32_val(n);
  call_t *call = NULL;
  if (!expect_ok(ampoule_component_call_start(ctx, &func, &arg, 1, &call))) exit(1);
  return call;
}

static void run(void) { expect_ok(ampoule_component_run(ctx, NULL)); }

static bool is_over(const call_t *call) { return ampoule_component_call_is_over(call, ctx); }

static uint32_t finish(call_t *call) {
  val_t result = bool_val(false);
  expect_ok(ampoule_component_call_finish(call, ctx, &result, 1));
  expect(result.kind == WASMTIME_COMPONENT_U32);
  ampoule_component_call_delete(call);
  return result.of.u32;
}

static void wait_for(const call_t *call) {
  for (run(); !is_over(call); run())
    if (!expect_ok(ampoule_component_wait(ctx))) exit(1);
}

// -- Claims

static void one_guest_has_several_calls_in_flight(void) {
  static host_t host;
  host = (host_t){0};
  wasmtime_component_instance_t instance = guest_of(&host);
  call_t *calls[3];
  for (int i = 0; i < 3; i++) calls[i] = start(&instance, "both", 10 * i);
  run();
  // All of them, before any has an answer.
  expect(host.count == 6 && host.args[0] == 0 && host.args[1] == 1 && host.args[5] == 21);
  for (int i = 5; i >= 0; i--) {
    complete(&host, i);
    run();
    expect(is_over(calls[2]) == (i <= 4) && is_over(calls[1]) == (i <= 2) && is_over(calls[0]) == (i == 0));
  }
  for (uint32_t i = 0; i < 3; i++) expect(finish(calls[i]) == 200 * i + 10);
  expect(host.cancelled == 0 && host.cancel_freed == 6);
}

static void an_answer_may_be_there_at_once(void) {
  static host_t host;
  host = (host_t){.at_once = true};
  wasmtime_component_instance_t instance = guest_of(&host);
  for (int i = 0; i < 3; i++) {
    const char *names[] = {"both", "one", "sum"};
    call_t *call = start(&instance, names[i], 3);
    run();
    expect(finish(call) == (i == 0 ? 70 : i == 1 ? 30 : 6));
  }
  wasmtime_component_func_t plain = func_named(&instance, "plain");
  val_t result = bool_val(false);
  expect_ok(call_with(&plain, u32_val(4), &result));
  expect(result.of.u32 == 40);
}

typedef struct {
  host_t *host;
  int from, to;
} range_t;

static void *complete_range(void *env) {
  range_t *range = env;
  usleep(5000);
  for (int i = range->from; i < range->to; i++) complete(range->host, i);
  return NULL;
}

static void any_thread_answers(void) {
  static host_t host;
  host = (host_t){0};
  wasmtime_component_instance_t instance = guest_of(&host);
  call_t *calls[100];
  for (int i = 0; i < 100; i++) calls[i] = start(&instance, "both", i);
  run();
  expect(host.count == 200);
  pthread_t threads[4];
  range_t ranges[4];
  for (int i = 0; i < 4; i++) {
    ranges[i] = (range_t){&host, 50 * i, 50 * (i + 1)};
    pthread_create(&threads[i], NULL, complete_range, &ranges[i]);
  }
  for (uint32_t i = 0; i < 100; i++) {
    wait_for(calls[i]);
    expect(finish(calls[i]) == 20 * i + 10);
  }
  for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
}

// One thread for each answer, which comes soon.
static void *answer_soon(void *env) {
  completion_t *completion = env;
  usleep(2000);
  expect(complete_u32(completion, 5));
  ampoule_component_completion_delete(completion);
  return NULL;
}

static void from_thread(void *env, wasmtime_context_t *context, const wasmtime_component_func_type_t *type, val_t *args,
                        size_t nargs, completion_t *completion) {
  (void)context, (void)type, (void)args, (void)nargs;
  pthread_create(env, NULL, answer_soon, completion);
}

static void an_ordinary_call_waits_for_the_answer(void) {
  pthread_t thread;
  wasmtime_component_linker_t *linker = wasmtime_component_linker_new(engine);
  wasmtime_component_linker_instance_t *root = wasmtime_component_linker_root(linker);
  expect_ok(ampoule_component_linker_instance_add_func(root, "later", 5, from_thread, &thread, NULL));
  expect_ok(ampoule_component_linker_instance_add_func(root, "now", 3, from_thread, &thread, NULL));
  expect_ok(ampoule_component_linker_instance_add_func(root, "sum", 3, sum, NULL, NULL));
  wasmtime_component_linker_instance_delete(root);
  wasmtime_component_instance_t instance = instance_with_linker(linker, GUEST);
  wasmtime_component_linker_delete(linker);
  // A function that isn't asynchronous waits, too, where the host function isn't.
  const char *names[] = {"one", "plain"};
  for (int i = 0; i < 2; i++) {
    wasmtime_component_func_t func = func_named(&instance, names[i]);
    val_t result = bool_val(false);
    expect_ok(call_with(&func, u32_val(1), &result));
    expect(result.of.u32 == 5);
    pthread_join(thread, NULL);
    // Without a stack of the thread's.
    call_t *call = start(&instance, names[i], 1);
    wait_for(call);
    expect(finish(call) == 5);
    pthread_join(thread, NULL);
    // And as a future.
    call = start(&instance, names[i], 1);
    wasmtime_error_t *error = NULL;
    wasmtime_call_future_t *future = ampoule_component_run_async(ctx, call, &error);
    while (!wasmtime_call_future_poll(future)) usleep(1000);
    wasmtime_call_future_delete(future);
    expect_ok(error);
    expect(finish(call) == 5);
    pthread_join(thread, NULL);
  }
}

static void the_host_learns_that_a_call_was_given_up(void) {
  static host_t host;
  host = (host_t){0};
  wasmtime_component_instance_t instance = guest_of(&host);
  call_t *call = start(&instance, "give-up", 1);
  run();
  // Canonical ABI: cancelled before it returned.
  expect(finish(call) == 4);
  expect(host.count == 1 && host.cancelled == 1 && host.cancel_freed == 1);
  expect(ampoule_component_completion_is_cancelled(host.completions[0]));
  // Too late to be told later.
  ampoule_component_completion_on_cancel(host.completions[0], note_cancel, &host, free_cancel);
  expect(host.cancelled == 2 && host.cancel_freed == 2);
  expect(!complete_u32(host.completions[0], 1));
  expect(!ampoule_component_fail(host.completions[0], wasmtime_error_new("too late")));
  ampoule_component_completion_delete(host.completions[0]);
  ampoule_component_completion_delete(NULL);
}

static void a_failure_stops_the_guest(void) {
  static host_t host;
  host = (host_t){0};
  wasmtime_component_instance_t instance = guest_of(&host);
  call_t *call = start(&instance, "both", 1);
  run();
  expect(ampoule_component_fail(host.completions[1], wasmtime_error_new("the host has failed")));
  expect(!complete_u32(host.completions[1], 1));
  expect_error_says(ampoule_component_run(ctx, NULL), "the host has failed");
  val_t result = bool_val(false);
  expect_error_says(ampoule_component_call_finish(call, ctx, &result, 1), "the host has failed");
  ampoule_component_call_delete(call);
  // The other one isn't waited for any more.
  expect(host.cancelled == 1 && !complete_u32(host.completions[0], 1));
  for (int i = 0; i < 2; i++) ampoule_component_completion_delete(host.completions[i]);
}

static void an_answer_that_never_comes_stops_the_guest(void) {
  static host_t host;
  host = (host_t){0};
  wasmtime_component_instance_t instance = guest_of(&host);
  call_t *call = start(&instance, "one", 1);
  run();
  ampoule_component_completion_delete(host.completions[0]);
  expect_error_says(ampoule_component_run(ctx, NULL), "a host function's completion was dropped without an answer");
  ampoule_component_call_delete(call);
  expect(host.cancelled == 0 && host.cancel_freed == 1);
}

static void an_answer_of_another_type_stops_the_guest(void) {
  for (int i = 0; i < 2; i++) {
    static host_t host;
    host = (host_t){0};
    wasmtime_component_instance_t instance = guest_of(&host);
    call_t *call = start(&instance, "one", 1);
    run();
    val_t val = val_of_kind(WASMTIME_COMPONENT_STRING);
    wasm_name_new_from_string(&val.of.string, "one");
    expect(ampoule_component_complete(host.completions[0], i ? &val : NULL));
    wasmtime_component_val_delete(&val);
    ampoule_component_completion_delete(host.completions[0]);
    expect_error_says(ampoule_component_run(ctx, NULL),
                      i ? "type mismatch: expected u32, found string" : "answered without its result");
    ampoule_component_call_delete(call);
    wasmtime_store_delete(store);
    store = wasmtime_store_new(engine, NULL, NULL);
    ctx = wasmtime_store_context(store);
    expect(host.finalized == 3);
  }
}

static void answers_may_come_after_the_store_has_gone(void) {
  static host_t host;
  host = (host_t){0};
  wasmtime_component_instance_t instance = guest_of(&host);
  ampoule_component_call_delete(start(&instance, "both", 1));
  run();
  wasmtime_store_delete(store);
  store = wasmtime_store_new(engine, NULL, NULL);
  ctx = wasmtime_store_context(store);
  expect(host.cancelled == 2 && host.finalized == 3);
  for (int i = 0; i < 2; i++) {
    expect(ampoule_component_completion_is_cancelled(host.completions[i]));
    expect(!complete_u32(host.completions[i], 1));
    ampoule_component_completion_delete(host.completions[i]);
  }
}

static void a_forked_child_answers_for_itself(void) {
  static host_t host;
  host = (host_t){0};
  wasmtime_component_instance_t instance = guest_of(&host);
  call_t *call = start(&instance, "both", 1);
  run();
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    bool fine = complete_u32(host.completions[0], 7) && complete_u32(host.completions[1], 8);
    fine = fine && !ampoule_component_run(ctx, NULL) && is_over(call) && finish(call) == 15;
    _exit(fine ? 0 : 1);
  }
  int status = -1;
  expect(waitpid(child, &status, 0) == child && status == 0);
  run();
  expect(!is_over(call));
  for (int i = 0; i < 2; i++) complete(&host, i);
  wait_for(call);
  expect(finish(call) == 30);
}

// Every answer of the host's to calls that wait on stacks of their own.
static bool child_finishes(host_t *host, call_t **calls, int count) {
  bool fine = true;
  for (int i = 0; i < host->count; i++) fine = complete_u32(host->completions[i], 7) && fine;
  for (int i = 0; i < count; i++) {
    while (!is_over(calls[i])) {
      if (ampoule_component_run(ctx, NULL)) return false;
    }
    fine = finish(calls[i]) == 14 && fine;
  }
  return fine;
}

// Deletes calls that have begun, one after another; the store hears of each.
static void *delete_calls(void *env) {
  call_t **calls = env;
  for (; *calls; calls++) {
    ampoule_component_call_delete(*calls);
    usleep(50);
  }
  return NULL;
}

static void children_have_the_calls_that_wait_whatever_other_threads_do(void) {
  static host_t host;
  static call_t *dropped[101];
  host = (host_t){0};
  wasmtime_component_instance_t instance = guest_of(&host);
  call_t *calls[20];
  for (int i = 0; i < 20; i++) calls[i] = start(&instance, "both", i);
  run();
  expect(host.count == 40);
  for (int i = 0; i < 100; i++) dropped[i] = start(&instance, "plain", 1);
  pthread_t thread;
  pthread_create(&thread, NULL, delete_calls, dropped);
  // Of "plain" one call at a time is in the guest: it asks once in each child, and once here.
  for (int round = 0; round < 8; round++) {
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
      alarm(60);
      bool fine = child_finishes(&host, calls, 20);
      wasmtime_store_delete(store);
      _exit(fine ? 0 : 1);
    }
    int status = -1;
    expect(waitpid(child, &status, 0) == child && status == 0);
  }
  pthread_join(thread, NULL);
  // The parent's are as they were.
  for (int i = 0; i < 20; i++) expect(!is_over(calls[i]));
  for (int i = 0; i < 40; i++) complete(&host, i);
  run();
  for (uint32_t i = 0; i < 20; i++) expect(finish(calls[i]) == 20 * i + 10);
  for (int i = 40; i < host.count; i++) ampoule_component_completion_delete(host.completions[i]);
}

static void *run_elsewhere(void *env) {
  run();
  if (env) {
    for (uint32_t i = 0; i < 5; i++) {
      val_t result = bool_val(false);
      expect_ok(ampoule_component_call_finish(((call_t **)env)[i], ctx, &result, 1));
      expect(result.of.u32 == 200 * i + 10);
    }
  }
  return NULL;
}

static void on_another_thread(void *env) {
  pthread_t thread;
  pthread_create(&thread, NULL, run_elsewhere, env);
  pthread_join(thread, NULL);
}

static void calls_that_wait_go_on_on_whichever_thread_runs_the_store(void) {
  static host_t host;
  host = (host_t){0};
  wasmtime_component_instance_t instance = guest_of(&host);
  call_t *calls[10];
  for (int i = 0; i < 5; i++) calls[i] = start(&instance, "both", 10 * (i % 5));
  // Begun there, answered here; begun here, answered there.
  on_another_thread(NULL);
  expect(host.count == 10);
  for (int i = 5; i < 10; i++) calls[i] = start(&instance, "both", 10 * (i % 5));
  run();
  expect(host.count == 20);
  for (int i = 0; i < 20; i += 2) complete(&host, i);
  on_another_thread(NULL);
  for (int i = 0; i < 10; i++) expect(!is_over(calls[i]));
  for (int i = 1; i < 20; i += 2) complete(&host, i);
  on_another_thread(calls + 5);
  for (int i = 0; i < 10; i++) {
    if (i < 5) expect(finish(calls[i]) == 200 * (uint32_t)i + 10);
    else ampoule_component_call_delete(calls[i]);
  }
}

// A component that calls nothing.
static wasmtime_component_instance_t adder(void) {
  return instance_alone(
      "(component (core module $m (func (export \"add\") (param i32) (result i32) (i32.add (local.get 0) (i32.const 1))))"
      "  (core instance $i (instantiate $m))"
      "  (func (export \"add\") (param \"n\" u32) (result u32) (canon lift (core func $i \"add\"))))");
}

static void calls_that_were_started_are_bounded(void) {
  enum { ALLOWED = 65536 };
  static call_t *calls[ALLOWED];
  wasmtime_component_instance_t instance = adder();
  wasmtime_component_func_t add = func_named(&instance, "add");
  val_t arg = u32_val(3);
  call_t *call = NULL;
  for (uint32_t i = 0; i < ALLOWED; i++) calls[i] = start(&instance, "add", i);
  // Also where all are over: their results are kept.
  for (int round = 0; round < 2; round++) {
    expect_error_says(ampoule_component_call_start(ctx, &add, &arg, 1, &call), "at most 65536 are allowed");
    expect(!call && arg.kind == WASMTIME_COMPONENT_U32);
    while (!is_over(calls[ALLOWED - 1])) run();
  }
  for (uint32_t i = 0; i < ALLOWED; i++) {
    if (!expect(is_over(calls[i]) && finish(calls[i]) == i + 1)) break;
  }
  call = start(&instance, "add", 3);
  run();
  expect(finish(call) == 4);
}

static void a_host_function_may_call_a_component_first(void) {
  wasmtime_component_instance_t other = adder();
  wasmtime_component_func_t add = func_named(&other, "add");
  static host_t host;
  host = (host_t){.calls = &add};
  wasmtime_component_instance_t instance = guest_of(&host);
  call_t *calls[2] = {start(&instance, "both", 1), start(&instance, "plain", 5)};
  run();
  expect(host.count == 3);
  for (int i = 0; i < 3; i++) complete(&host, i);
  for (int i = 0; i < 2; i++) wait_for(calls[i]);
  expect(finish(calls[0]) == 30 && finish(calls[1]) == 50);
}

int main(void) {
  RUN_WITH(asynchronous, one_guest_has_several_calls_in_flight);
  RUN_WITH(asynchronous, an_answer_may_be_there_at_once);
  RUN_WITH(asynchronous, any_thread_answers);
  RUN_WITH(asynchronous, an_ordinary_call_waits_for_the_answer);
  RUN_WITH(asynchronous, the_host_learns_that_a_call_was_given_up);
  RUN_WITH(asynchronous, a_failure_stops_the_guest);
  RUN_WITH(asynchronous, an_answer_that_never_comes_stops_the_guest);
  RUN_WITH(asynchronous, an_answer_of_another_type_stops_the_guest);
  RUN_WITH(asynchronous, answers_may_come_after_the_store_has_gone);
  RUN_WITH(asynchronous, a_forked_child_answers_for_itself);
  RUN_WITH(asynchronous, children_have_the_calls_that_wait_whatever_other_threads_do);
  RUN_WITH(asynchronous, calls_that_wait_go_on_on_whichever_thread_runs_the_store);
  RUN_WITH(asynchronous, calls_that_were_started_are_bounded);
  RUN_WITH(asynchronous, a_host_function_may_call_a_component_first);
  return test_summary();
}
