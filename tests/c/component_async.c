// wasmtime/component/func.h and linker.h: calls of components as futures, and host functions that finish later. All of it came after
// 44.0.0.
#include "component.h"

#include <unistd.h>

#ifdef AMPOULE_AGAINST
int main(void) { return test_summary(); }
#else

#include <wasmtime/async.h>

// -- Futures

typedef struct {
  wasmtime_call_future_t *future;
  wasmtime_error_t *error;
  val_t arg, result;
} call_t;

static void begin(call_t *call, const wasmtime_component_func_t *func, size_t nargs, size_t nresults) {
  call->error = NULL;
  call->result = bool_val(false);
  call->future = wasmtime_component_func_call_async(func, ctx, &call->arg, nargs, &call->result, nresults, &call->error);
}

// Polls until the call is done, and says how often.
static int finish(call_t *call) {
  int polls = 1;
  for (; !wasmtime_call_future_poll(call->future); polls++)
    if (!expect(polls < 1000)) exit(1);
  wasmtime_call_future_delete(call->future);
  return polls;
}

static wasmtime_component_instance_t instantiate_async(wasmtime_component_linker_t *linker, const char *wat) {
  wasmtime_component_instance_t instance;
  wasmtime_error_t *error = NULL;
  wasmtime_component_t *component = component_of(wat);
  wasmtime_call_future_t *future = wasmtime_component_linker_instantiate_async(linker, ctx, component, &instance, &error);
  // Neither is needed any more.
  wasmtime_component_delete(component);
  wasmtime_component_linker_delete(linker);
  expect(wasmtime_call_future_poll(future));
  wasmtime_call_future_delete(future);
  if (!expect_ok(error)) exit(1);
  return instance;
}

// -- A host function that finishes later

typedef struct {
  int ready_after, calls, pending, most_pending, finalized, freed;
  bool fails;
} host_t;

typedef struct {
  host_t *host;
  val_t *args, *results;
  wasmtime_error_t **error;
  int asked;
} request_t;

static bool is_done(void *env) {
  request_t *request = env;
  if (request->asked++ < request->host->ready_after) return false;
  // All that was lent is lent still.
  if (request->host->fails)
    *request->error = wasmtime_error_new("the host has failed");
  else
    request->results[0] = u32_val(request->args[0].of.u32 * 2);
  request->host->pending--;
  return true;
}

static void free_request(void *env) {
  ((request_t *)env)->host->freed++;
  free(env);
}

static void later(void *data, wasmtime_context_t *context, const wasmtime_component_func_type_t *type, val_t *args,
                  size_t nargs, val_t *results, size_t nresults, wasmtime_error_t **error_ret,
                  wasmtime_async_continuation_t *continuation_ret) {
  host_t *host = data;
  expect(context == ctx && nargs == 1 && nresults == 1 && !*error_ret);
  expect(wasmtime_component_func_type_param_count(type) == 1);
  request_t *request = calloc(1, sizeof *request);
  *request = (request_t){host, args, results, error_ret, 0};
  host->calls++;
  if (++host->pending > host->most_pending) host->most_pending = host->pending;
  *continuation_ret = (wasmtime_async_continuation_t){is_done, request, free_request};
}

static void finalize(void *data) { ((host_t *)data)->finalized++; }

static wasmtime_component_linker_t *linker_with(host_t *host) {
  wasmtime_component_linker_t *linker = wasmtime_component_linker_new(engine);
  wasmtime_component_linker_instance_t *root = wasmtime_component_linker_root(linker);
  expect_ok(wasmtime_component_linker_instance_add_func_async(root, "later", 5, later, host, finalize));
  wasmtime_component_linker_instance_delete(root);
  return linker;
}

#define GUEST                                                                                                         \
  "(component (import \"later\" (func $later (param \"n\" u32) (result u32)))"                                        \
  "  (core func $later (canon lower (func $later)))"                                                                  \
  "  (core module $m (import \"\" \"later\" (func $later (param i32) (result i32)))"                                  \
  "    (func (export \"run\") (param i32) (result i32)"                                                               \
  "      (i32.add (call $later (call $later (local.get 0))) (i32.const 1)))"                                          \
  "    (func (export \"plain\") (param i32) (result i32) (i32.add (local.get 0) (i32.const 1))))"                     \
  "  (core instance $i (instantiate $m (with \"\" (instance (export \"later\" (func $later))))))"                     \
  "  (func (export \"plain\") (param \"n\" u32) (result u32) (canon lift (core func $i \"plain\")))"                  \
  "  (func (export \"run\") (param \"n\" u32) (result u32) (canon lift (core func $i \"run\"))))"

static void a_call_that_does_not_wait_is_done_with_its_first_poll(void) {
  host_t host = {0};
  wasmtime_component_instance_t instance = instantiate_async(linker_with(&host), GUEST);
  wasmtime_component_func_t plain = func_named(&instance, "plain");
  call_t call = {.arg = u32_val(41)};
  begin(&call, &plain, 1, 1);
  expect(finish(&call) == 1);
  expect_ok(call.error);
  expect(call.result.kind == WASMTIME_COMPONENT_U32 && call.result.of.u32 == 42);
  // What doesn't fit shows at the end, and does no harm.
  begin(&call, &plain, 0, 1);
  expect(finish(&call) == 1);
  expect_error_says(call.error, "expected 1 argument(s), got 0");
  begin(&call, &plain, 1, 1);
  finish(&call);
  expect_ok(call.error);
}

static void a_host_function_may_finish_later(void) {
  host_t host = {.ready_after = 2};
  wasmtime_component_instance_t instance = instantiate_async(linker_with(&host), GUEST);
  wasmtime_component_func_t run = func_named(&instance, "run");
  for (int round = 0; round < 2; round++) {
    call_t call = {.arg = u32_val(10)};
    begin(&call, &run, 1, 1);
    expect(finish(&call) == 5);
    expect_ok(call.error);
    expect(call.result.of.u32 == 41);
  }
  expect(host.calls == 4 && host.freed == 4 && host.finalized == 0);
  host.ready_after = 0;
  call_t call = {.arg = u32_val(1)};
  begin(&call, &run, 1, 1);
  expect(finish(&call) == 1 && call.result.of.u32 == 5);
  wasmtime_store_delete(store);
  expect(host.finalized == 1);
  store = wasmtime_store_new(engine, NULL, NULL);
  ctx = wasmtime_store_context(store);
}

static void a_host_function_that_fails_ends_its_guest(void) {
  host_t host = {.ready_after = 1, .fails = true};
  wasmtime_component_instance_t instance = instantiate_async(linker_with(&host), GUEST);
  wasmtime_component_func_t run = func_named(&instance, "run");
  call_t call = {.arg = u32_val(10)};
  begin(&call, &run, 1, 1);
  expect(finish(&call) == 2);
  expect_error_says(call.error, "the host has failed");
  expect(host.calls == 1 && host.freed == 1);
  begin(&call, &run, 1, 1);
  finish(&call);
  expect_error_says(call.error, "cannot enter component instance");
}

static void a_call_that_is_not_polled_cannot_wait(void) {
  host_t host = {.ready_after = 1};
  wasmtime_component_instance_t instance = instantiate_async(linker_with(&host), GUEST);
  wasmtime_component_func_t run = func_named(&instance, "run");
  val_t result = bool_val(false);
  expect_error_says(call_with(&run, u32_val(1), &result),
                    "store configuration requires that `*_async` functions are used instead");
  expect(host.calls == 0);
}

static void a_future_that_is_deleted_midway_ends_its_guest(void) {
  host_t host = {.ready_after = 1000000};
  wasmtime_component_instance_t instance = instantiate_async(linker_with(&host), GUEST);
  wasmtime_component_func_t run = func_named(&instance, "run");
  call_t call = {.arg = u32_val(10)};
  begin(&call, &run, 1, 1);
  expect(!wasmtime_call_future_poll(call.future) && !wasmtime_call_future_poll(call.future));
  expect(host.freed == 0);
  wasmtime_call_future_delete(call.future);
  expect(host.calls == 1 && host.freed == 1 && call.result.kind == WASMTIME_COMPONENT_BOOL && !call.error);
  val_t result = bool_val(false);
  expect_error_says(call_with(&run, u32_val(1), &result), "cannot enter component instance");
}

static void what_is_missing_shows_at_the_end_of_an_instantiation(void) {
  wasmtime_component_linker_t *linker = wasmtime_component_linker_new(engine);
  wasmtime_component_t *component = component_of(GUEST);
  wasmtime_component_instance_t instance;
  wasmtime_error_t *error = NULL;
  wasmtime_call_future_t *future = wasmtime_component_linker_instantiate_async(linker, ctx, component, &instance, &error);
  expect(!error && wasmtime_call_future_poll(future));
  wasmtime_call_future_delete(future);
  expect_error_says(error, "component imports function `later`");
  wasmtime_component_delete(component);
  wasmtime_component_linker_delete(linker);
}

// -- Tasks beside one another

#define WORKER                                                                                                        \
  "(component $Worker (import \"later\" (func $later async (param \"n\" u32) (result u32)))"                          \
  "  (core func $later (canon lower (func $later))) (core func $return (canon task.return (result u32)))"             \
  "  (core module $m (import \"\" \"later\" (func $later (param i32) (result i32)))"                                  \
  "    (import \"\" \"return\" (func $return (param i32)))"                                                           \
  "    (func (export \"work\") (param i32) (result i32)"                                                              \
  "      (call $return (i32.add (call $later (local.get 0)) (i32.const 1))) (i32.const 0))"                           \
  "    (func (export \"callback\") (param i32 i32 i32) (result i32) unreachable))"                                    \
  "  (core instance $i (instantiate $m (with \"\" (instance"                                                          \
  "    (export \"later\" (func $later)) (export \"return\" (func $return))))))"                                       \
  "  (func (export \"work\") async (param \"n\" u32) (result u32)"                                                    \
  "    (canon lift (core func $i \"work\") async (callback (core func $i \"callback\")))))"

// Has two workers work at the same time, and answers the sum of what they answer.
#define BOSS                                                                                                          \
  "(component $Boss (import \"one\" (func $one async (param \"n\" u32) (result u32)))"                                \
  "  (import \"two\" (func $two async (param \"n\" u32) (result u32)))"                                               \
  "  (core module $libc (memory (export \"memory\") 1)) (core instance $libc (instantiate $libc))"                    \
  "  (core func $one (canon lower (func $one) async (memory (core memory $libc \"memory\"))))"               \
  "  (core func $two (canon lower (func $two) async (memory (core memory $libc \"memory\"))))"               \
  "  (core func $set (canon waitable-set.new)) (core func $join (canon waitable.join))"                               \
  "  (core func $wait (canon waitable-set.wait (memory (core memory $libc \"memory\"))))"                             \
  "  (core func $drop (canon subtask.drop))"                                                                          \
  "  (core module $m (import \"\" \"memory\" (memory 1))"                                                             \
  "    (import \"\" \"one\" (func $one (param i32 i32) (result i32)))"                                                \
  "    (import \"\" \"two\" (func $two (param i32 i32) (result i32)))"                                                \
  "    (import \"\" \"set\" (func $set (result i32))) (import \"\" \"join\" (func $join (param i32 i32)))"            \
  "    (import \"\" \"wait\" (func $wait (param i32 i32) (result i32))) (import \"\" \"drop\" (func $drop (param i32)))" \
  "    (func (export \"run\") (param i32) (result i32) (local $set i32) (local $left i32)"                            \
  "      (local.set $set (call $set)) (local.set $left (i32.const 2))"                                                \
  "      (call $join (i32.shr_u (call $one (local.get 0) (i32.const 1024)) (i32.const 4)) (local.get $set))"          \
  "      (call $join (i32.shr_u (call $two (local.get 0) (i32.const 1028)) (i32.const 4)) (local.get $set))"          \
  "      (loop $next"                                                                                                 \
  "        (drop (call $wait (local.get $set) (i32.const 0)))"                                                        \
  "        (if (i32.eq (i32.load (i32.const 4)) (i32.const 2)) (then"                                                 \
  "          (call $drop (i32.load (i32.const 0)))"                                                                   \
  "          (local.set $left (i32.sub (local.get $left) (i32.const 1)))))"                                           \
  "        (br_if $next (local.get $left)))"                                                                          \
  "      (i32.add (i32.load (i32.const 1024)) (i32.load (i32.const 1028)))))"                                         \
  "  (core instance $i (instantiate $m (with \"\" (instance (export \"memory\" (memory $libc \"memory\"))"            \
  "    (export \"one\" (func $one)) (export \"two\" (func $two)) (export \"set\" (func $set))"                        \
  "    (export \"join\" (func $join)) (export \"wait\" (func $wait)) (export \"drop\" (func $drop))))))"              \
  "  (func (export \"run\") async (param \"n\" u32) (result u32) (canon lift (core func $i \"run\"))))"

#define COMPANY                                                                                                       \
  "(component (import \"later\" (func $later async (param \"n\" u32) (result u32)))" WORKER BOSS                      \
  "  (instance $one (instantiate $Worker (with \"later\" (func $later))))"                                            \
  "  (instance $two (instantiate $Worker (with \"later\" (func $later))))"                                            \
  "  (instance $boss (instantiate $Boss (with \"one\" (func $one \"work\")) (with \"two\" (func $two \"work\"))))"  \
  "  (export \"run\" (func $boss \"run\")))"

static void host_functions_that_are_pending_keep_nobody_else_waiting(void) {
  host_t host = {.ready_after = 3};
  wasmtime_component_instance_t instance = instantiate_async(linker_with(&host), COMPANY);
  wasmtime_component_func_t run = func_named(&instance, "run");
  call_t call = {.arg = u32_val(10)};
  begin(&call, &run, 1, 1);
  int polls = finish(&call);
  expect_ok(call.error);
  expect(call.result.of.u32 == 42);
  // Both were pending at the same time, and took no longer than one.
  expect(host.most_pending == 2 && polls <= 5);
}

static wasmtime_component_linker_t *linker_for_boss(host_t *host) {
  wasmtime_component_linker_t *linker = wasmtime_component_linker_new(engine);
  wasmtime_component_linker_instance_t *root = wasmtime_component_linker_root(linker);
  expect_ok(wasmtime_component_linker_instance_add_func_async(root, "one", 3, later, host, finalize));
  expect_ok(wasmtime_component_linker_instance_add_func_async(root, "two", 3, later, host, finalize));
  wasmtime_component_linker_instance_delete(root);
  return linker;
}

static void one_guest_has_two_host_functions_pending(void) {
  static host_t host;
  host = (host_t){.ready_after = 3};
  wasmtime_component_instance_t instance = instantiate_async(linker_for_boss(&host), BOSS);
  wasmtime_component_func_t run = func_named(&instance, "run");
  call_t call = {.arg = u32_val(10)};
  begin(&call, &run, 1, 1);
  int polls = finish(&call);
  expect_ok(call.error);
  expect(call.result.of.u32 == 40);
  expect(host.most_pending == 2 && polls <= 5 && host.freed == 2);
  // Given up midway, both are freed, while all that was lent to them is there.
  host.ready_after = 1000000;
  begin(&call, &run, 1, 1);
  expect(!wasmtime_call_future_poll(call.future) && !wasmtime_call_future_poll(call.future));
  wasmtime_call_future_delete(call.future);
  wasmtime_store_delete(store);
  expect(host.freed == 4 && host.finalized == 2);
  store = wasmtime_store_new(engine, NULL, NULL);
  ctx = wasmtime_store_context(store);
}

static void what_one_of_two_host_functions_fails_with_ends_the_guest(void) {
  static host_t host;
  host = (host_t){.ready_after = 2, .fails = true};
  wasmtime_component_instance_t instance = instantiate_async(linker_for_boss(&host), BOSS);
  wasmtime_component_func_t run = func_named(&instance, "run");
  call_t call = {.arg = u32_val(10)};
  begin(&call, &run, 1, 1);
  finish(&call);
  expect_error_says(call.error, "the host has failed");
  expect(host.freed == 2);
  // Without anybody who polls, they are refused.
  wasmtime_store_delete(store);
  store = wasmtime_store_new(engine, NULL, NULL);
  ctx = wasmtime_store_context(store);
  host.fails = false;
  instance = instantiate_async(linker_for_boss(&host), BOSS);
  run = func_named(&instance, "run");
  val_t result = bool_val(false);
  expect_error_says(call_with(&run, u32_val(1), &result),
                    "store configuration requires that `*_async` functions are used instead");
}

// -- WASI

#define SLEEPER                                                                                                       \
  "(component"                                                                                                        \
  "  (import \"wasi:io/poll@0.2.0\" (instance $poll (export \"pollable\" (type (sub resource)))"                      \
  "    (export \"[method]pollable.block\" (func (param \"self\" (borrow 0))))))"                                      \
  "  (alias export $poll \"pollable\" (type $pollable))"                                                              \
  "  (import \"wasi:clocks/monotonic-clock@0.2.0\" (instance $clock"                                                  \
  "    (alias outer 1 $pollable (type $p)) (export \"pollable\" (type (eq $p)))"                                      \
  "    (export \"subscribe-duration\" (func (param \"when\" u64) (result (own 1))))))"                                \
  "  (core func $block (canon lower (func $poll \"[method]pollable.block\")))"                                        \
  "  (core func $subscribe (canon lower (func $clock \"subscribe-duration\")))"                                       \
  "  (core func $drop (canon resource.drop $pollable))"                                                               \
  "  (core module $m (import \"\" \"block\" (func $block (param i32)))"                                               \
  "    (import \"\" \"subscribe\" (func $subscribe (param i64) (result i32)))"                                        \
  "    (import \"\" \"drop\" (func $drop (param i32)))"                                                               \
  "    (func (export \"sleep\") (param i64) (result i32) (local i32)"                                                 \
  "      (call $block (local.tee 1 (call $subscribe (local.get 0)))) (call $drop (local.get 1)) (i32.const 7)))"      \
  "  (core instance $i (instantiate $m (with \"\" (instance (export \"block\" (func $block))"                         \
  "    (export \"subscribe\" (func $subscribe)) (export \"drop\" (func $drop))))))"                                   \
  "  (func (export \"sleep\") (param \"nanoseconds\" u64) (result u32) (canon lift (core func $i \"sleep\"))))"

static val_t u64_val(uint64_t value) {
  val_t val = val_of_kind(WASMTIME_COMPONENT_U64);
  val.of.u64 = value;
  return val;
}

static void a_guest_that_sleeps_leaves_the_thread(void) {
  wasmtime_component_linker_t *linker = wasmtime_component_linker_new(engine);
  expect_ok(wasmtime_component_linker_add_wasip2_async(linker));
  expect_ok(wasmtime_context_set_wasi(ctx, wasi_config_new()));
  wasmtime_component_instance_t instance = instantiate_async(linker, SLEEPER);
  wasmtime_component_func_t sleep = func_named(&instance, "sleep");
  // Long enough that a slow machine polls more than once.
  call_t call = {.arg = u64_val(500000000)};
  begin(&call, &sleep, 1, 1);
  int polls = 1;
  for (; !wasmtime_call_future_poll(call.future); polls++) usleep(5000);
  wasmtime_call_future_delete(call.future);
  expect(polls > 2);
  expect_ok(call.error);
  expect(call.result.of.u32 == 7);
  // In another call it sleeps on the thread.
  val_t result = bool_val(false);
  expect_ok(call_with(&sleep, u64_val(1000000), &result));
  expect(result.of.u32 == 7);
}

// -- Switches

// What a component needs a switch for, and whether that is on by default.
static const struct {
  void (*set)(wasm_config_t *, bool);
  bool is_on;
  const char *wat;
} switches[] = {
    {wasmtime_config_wasm_component_model_async_set, true, "(component (type (future u32)))"},
    {wasmtime_config_wasm_component_model_implements_set, true,
     "(component (import \"a\" (implements \"a:b/c\") (instance)))"},
    {wasmtime_config_wasm_component_model_async_stackful_set, false,
     "(component (core module $m (func (export \"f\"))) (core instance $i (instantiate $m))"
     "  (func (export \"f\") async (canon lift (core func $i \"f\") async)))"},
    {wasmtime_config_wasm_component_model_more_async_builtins_set, false,
     "(component (core func (canon subtask.cancel async)))"},
    {wasmtime_config_wasm_component_model_canonical_names_set, false,
     "(component (import \"a:b/c@1\" (version-suffix \".2.3\") (instance)))"},
    {wasmtime_config_wasm_component_model_accessors_set, false,
     "(component (import \"[get]a\" (func (result u32))))"},
};

static size_t switch_at;
static bool switch_to;

static void with_switch(wasm_config_t *config) { switches[switch_at].set(config, switch_to); }

static void it_decides(void) {
  wasmtime_error_t *error = component_error(switches[switch_at].wat);
  if (switch_to)
    expect_ok(error);
  else
    expect_error(error);
}

static void a_default_is_known(void) {
  for (switch_at = 0; switch_at < sizeof switches / sizeof *switches; switch_at++) {
    switch_to = switches[switch_at].is_on;
    it_decides();
  }
}

int main(void) {
  RUN(a_call_that_does_not_wait_is_done_with_its_first_poll);
  RUN(a_host_function_may_finish_later);
  RUN(a_host_function_that_fails_ends_its_guest);
  RUN(a_call_that_is_not_polled_cannot_wait);
  RUN(a_future_that_is_deleted_midway_ends_its_guest);
  RUN(what_is_missing_shows_at_the_end_of_an_instantiation);
  RUN(host_functions_that_are_pending_keep_nobody_else_waiting);
  RUN(one_guest_has_two_host_functions_pending);
  RUN(what_one_of_two_host_functions_fails_with_ends_the_guest);
  RUN(a_guest_that_sleeps_leaves_the_thread);
  RUN(a_default_is_known);
  for (switch_at = 0; switch_at < sizeof switches / sizeof *switches; switch_at++)
    for (int on = 0; on < 2; on++) {
      switch_to = on;
      RUN_WITH(with_switch, it_decides);
    }
  return test_summary();
}
#endif
