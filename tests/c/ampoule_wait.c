// ampoule/wait.h: one thread that serves several stores, and learns from their descriptors which call can go on.
#include "test.h"

#include <ampoule.h>
#include <poll.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

// `sleep` lasts so many milliseconds; `read` answers how many bytes came through standard input.
static const char *const GUEST =
    "(module"
    "  (import \"wasi_snapshot_preview1\" \"poll_oneoff\" (func $poll (param i32 i32 i32 i32) (result i32)))"
    "  (import \"wasi_snapshot_preview1\" \"fd_read\" (func $read (param i32 i32 i32 i32) (result i32)))"
    "  (memory (export \"memory\") 1)"
    "  (func (export \"sleep\") (param i32) (result i32)"
    "    (i64.store (i32.const 8) (i64.const 0))"
    "    (i32.store (i32.const 16) (i32.const 1))"
    "    (i64.store (i32.const 24) (i64.mul (i64.extend_i32_u (local.get 0)) (i64.const 1000000)))"
    "    (call $poll (i32.const 0) (i32.const 100) (i32.const 1) (i32.const 200)))"
    "  (func (export \"read\") (param i32) (result i32)"
    "    (i32.store (i32.const 0) (i32.const 100))"
    "    (i32.store (i32.const 4) (local.get 0))"
    "    (if (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)) (then unreachable))"
    "    (i32.load (i32.const 8))))";

static int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

// -- A guest in a store of its own, and its call

typedef struct {
  wasmtime_store_t *store;
  wasmtime_context_t *ctx;
  wasmtime_instance_t instance;
  int descriptor;
  wasmtime_call_future_t *future;
  wasm_trap_t *trap;
  wasmtime_error_t *error;
  wasmtime_val_t arg, result;
} guest_t;

static wasmtime_linker_t *linker_with_wasi(void) {
  wasmtime_linker_t *linker = wasmtime_linker_new(engine);
  expect_ok(wasmtime_linker_define_wasi(linker));
  return linker;
}

static void open_guest(guest_t *guest, const char *wat, wasmtime_linker_t *linker, int input) {
  memset(guest, 0, sizeof *guest);
  guest->store = wasmtime_store_new(engine, NULL, NULL);
  guest->ctx = wasmtime_store_context(guest->store);
  wasi_config_t *wasi = wasi_config_new();
  if (input >= 0) {
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", input);
    expect(wasi_config_set_stdin_file(wasi, path));
  }
  expect_ok(wasmtime_context_set_wasi(guest->ctx, wasi));
  wasmtime_module_t *module = module_of(wat);
  guest->future = wasmtime_linker_instantiate_async(linker, guest->ctx, module, &guest->instance, &guest->trap,
                                                    &guest->error);
  expect(wasmtime_call_future_poll(guest->future));
  wasmtime_call_future_delete(guest->future);
  expect_ok(guest->error);
  wasmtime_module_delete(module);
  guest->descriptor = -1;
  expect_ok(ampoule_context_wait_descriptor(guest->ctx, &guest->descriptor));
  expect(guest->descriptor >= 0);
}

static void begin(guest_t *guest, const char *name, int32_t arg) {
  wasmtime_extern_t item;
  if (!expect(wasmtime_instance_export_get(guest->ctx, &guest->instance, name, strlen(name), &item))) exit(1);
  guest->arg = i32_val(arg);
  guest->future = wasmtime_func_call_async(guest->ctx, &item.of.func, &guest->arg, 1, &guest->result, 1, &guest->trap,
                                           &guest->error);
}

static int32_t finish(guest_t *guest) {
  wasmtime_call_future_delete(guest->future);
  expect_ok(guest->error);
  expect_no_trap(guest->trap);
  return guest->result.of.i32;
}

static void close_guest(guest_t *guest) { wasmtime_store_delete(guest->store); }

static bool readable(int descriptor, int timeout_ms) {
  struct pollfd fd = {.fd = descriptor, .events = POLLIN};
  return poll(&fd, 1, timeout_ms) == 1;
}

// Waits for the descriptor before each poll but the first, and says how many polls it took.
static int run(guest_t *guest) {
  int polls = 1;
  for (; !wasmtime_call_future_poll(guest->future); polls++)
    if (!expect(readable(guest->descriptor, 20000))) exit(1);
  return polls;
}

// -- Claims

static void guests_that_wait_share_a_thread(void) {
  int from_to[2];
  expect(pipe(from_to) == 0);
  wasmtime_linker_t *linker = linker_with_wasi();
  guest_t guests[2];
  open_guest(&guests[0], GUEST, linker, -1);
  open_guest(&guests[1], GUEST, linker, from_to[0]);
  // Long enough that a slow machine has polled both before.
  const int time = 1000;
  int64_t start = now_ms();
  begin(&guests[0], "sleep", time);
  begin(&guests[1], "read", 100);
  // Both wait at once, and their thread is free.
  expect(!wasmtime_call_future_poll(guests[0].future) && !wasmtime_call_future_poll(guests[1].future));
  expect(now_ms() - start < time);
  expect(!readable(guests[0].descriptor, 0) && !readable(guests[1].descriptor, 0));
  int order[2], done = 0;
  bool is_done[2] = {false, false};
  while (done < 2) {
    struct pollfd fds[2];
    for (int i = 0; i < 2; i++) fds[i] = (struct pollfd){.fd = is_done[i] ? -1 : guests[i].descriptor, .events = POLLIN};
    if (!expect(poll(fds, 2, 20000) > 0)) exit(1);
    for (int i = 0; i < 2; i++)
      if (fds[i].revents && wasmtime_call_future_poll(guests[i].future)) {
        is_done[i] = true;
        order[done++] = i;
        // The second one's input comes when the first one has slept.
        if (i == 0) expect(write(from_to[1], "input", 5) == 5);
      }
  }
  expect(order[0] == 0 && order[1] == 1);
  expect(now_ms() - start >= time);
  expect(finish(&guests[0]) == 0);
  expect(finish(&guests[1]) == 5);
  close_guest(&guests[0]);
  close_guest(&guests[1]);
  wasmtime_linker_delete(linker);
  close(from_to[0]);
  close(from_to[1]);
}

static void a_sleep_takes_two_polls_where_one_listens(void) {
  wasmtime_linker_t *linker = linker_with_wasi();
  guest_t guest;
  open_guest(&guest, GUEST, linker, -1);
  for (int round = 0; round < 3; round++) {
    begin(&guest, "sleep", 5);
    int polls = run(&guest);
    // Once more, perhaps, where the timer was a little early.
    expect(polls == 2 || polls == 3);
    expect(finish(&guest) == 0);
  }
  // One that only polls gets there, too.
  begin(&guest, "sleep", 5);
  while (!wasmtime_call_future_poll(guest.future)) usleep(1000);
  expect(finish(&guest) == 0);
  close_guest(&guest);
  wasmtime_linker_delete(linker);
}

static void a_guest_that_is_given_up_leaves_its_store_usable(void) {
  wasmtime_linker_t *linker = linker_with_wasi();
  guest_t guest;
  open_guest(&guest, GUEST, linker, -1);
  begin(&guest, "sleep", 1000000);
  expect(!wasmtime_call_future_poll(guest.future));
  wasmtime_call_future_delete(guest.future);
  begin(&guest, "sleep", 1);
  expect(run(&guest) >= 2);
  expect(finish(&guest) == 0);
  close_guest(&guest);
  wasmtime_linker_delete(linker);
}

static void cancellable(wasm_config_t *config) { ampoule_config_cancellation_set(config, true); }

static void *cancel_soon(void *arg) {
  usleep(10000);
  const ampoule_cancel_token_t *token = arg;
  expect(ampoule_cancel(token, ampoule_cancel_token_generation(token)));
  return NULL;
}

static void a_cancellation_makes_the_descriptor_readable(void) {
  wasmtime_linker_t *linker = linker_with_wasi();
  guest_t guest;
  open_guest(&guest, GUEST, linker, -1);
  ampoule_cancel_token_t *token = NULL;
  expect_ok(ampoule_cancel_token_new(guest.ctx, &token));
  begin(&guest, "sleep", 1000000);
  expect(!wasmtime_call_future_poll(guest.future));
  pthread_t thread;
  pthread_create(&thread, NULL, cancel_soon, token);
  run(&guest);
  pthread_join(thread, NULL);
  wasmtime_call_future_delete(guest.future);
  expect_ok(guest.error);
  expect_trap(guest.trap, WASMTIME_TRAP_CODE_INTERRUPT);
  // So does a deadline.
  guest.trap = NULL;
  expect_ok(ampoule_context_set_call_deadline(guest.ctx, 10000000));
  begin(&guest, "sleep", 1000000);
  run(&guest);
  wasmtime_call_future_delete(guest.future);
  expect_ok(guest.error);
  expect_trap(guest.trap, WASMTIME_TRAP_CODE_INTERRUPT);
  ampoule_cancel_token_delete(token);
  close_guest(&guest);
  wasmtime_linker_delete(linker);
}

// A host function that is done when another thread says so.
typedef struct {
  ampoule_waker_t *waker;
  wasmtime_val_t *results;
  bool done;
  int asked;
} request_t;

static bool is_answered(void *env) {
  request_t *request = env;
  request->asked++;
  if (!__atomic_load_n(&request->done, __ATOMIC_ACQUIRE)) return false;
  request->results[0] = i32_val(42);
  return true;
}

static void ask_thread(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                       wasmtime_val_t *results, size_t nresults, wasm_trap_t **trap_ret,
                       wasmtime_async_continuation_t *continuation_ret) {
  (void)args, (void)nargs, (void)nresults, (void)trap_ret;
  request_t *request = env;
  expect_ok(ampoule_waker_new(wasmtime_caller_context(caller), &request->waker));
  request->results = results;
  *continuation_ret = (wasmtime_async_continuation_t){.callback = is_answered, .env = request};
}

static void *answer_soon(void *arg) {
  request_t *request = arg;
  ampoule_waker_t *mine = ampoule_waker_clone(request->waker);
  usleep(10000);
  __atomic_store_n(&request->done, true, __ATOMIC_RELEASE);
  ampoule_waker_wake(mine);
  ampoule_waker_delete(mine);
  return NULL;
}

static void a_waker_says_that_a_host_function_is_done(void) {
  request_t request = {0};
  wasmtime_linker_t *linker = wasmtime_linker_new(engine);
  wasm_functype_t *type = wasm_functype_new_0_1(wasm_valtype_new_i32());
  expect_ok(wasmtime_linker_define_async_func(linker, "host", 4, "ask", 3, type, ask_thread, &request, NULL));
  wasm_functype_delete(type);
  guest_t guest;
  open_guest(&guest,
             "(module (import \"host\" \"ask\" (func $ask (result i32)))"
             "  (func (export \"run\") (param i32) (result i32) (i32.add (local.get 0) (call $ask))))",
             linker, -1);
  begin(&guest, "run", 100);
  expect(!wasmtime_call_future_poll(guest.future));
  expect(!readable(guest.descriptor, 0) && request.asked == 1);
  pthread_t thread;
  pthread_create(&thread, NULL, answer_soon, &request);
  expect(readable(guest.descriptor, 20000));
  expect(wasmtime_call_future_poll(guest.future));
  pthread_join(thread, NULL);
  expect(finish(&guest) == 142 && request.asked == 2);
  expect(!readable(guest.descriptor, 0));
  close_guest(&guest);
  // Nobody is there any more.
  ampoule_waker_wake(request.waker);
  ampoule_waker_delete(request.waker);
  wasmtime_linker_delete(linker);
}

static void with_fuel(wasm_config_t *config) { wasmtime_config_consume_fuel_set(config, true); }

static void a_guest_that_yields_can_go_on_at_once(void) {
  wasmtime_linker_t *linker = linker_with_wasi();
  guest_t guest;
  open_guest(&guest,
             "(module (func (export \"run\") (param i32) (result i32)"
             "  (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))) (i32.const 7)))",
             linker, -1);
  expect_ok(wasmtime_context_set_fuel(guest.ctx, 1000000));
  expect_ok(wasmtime_context_fuel_async_yield_interval(guest.ctx, 1000));
  begin(&guest, "run", 10000);
  expect(run(&guest) > 3);
  expect(finish(&guest) == 7);
  close_guest(&guest);
  wasmtime_linker_delete(linker);
}

// A callback that counts, and lets a thread go on.
typedef struct {
  int pipe[2], finalized;
} counter_t;

static void count(void *env) { expect(write(((counter_t *)env)->pipe[1], "x", 1) == 1); }

static void end_counter(void *env) { __atomic_fetch_add(&((counter_t *)env)->finalized, 1, __ATOMIC_RELEASE); }

// A thread of the engine that has just called the callback may be the last that has it.
static bool is_finalized(counter_t *counter, int times) {
  for (int i = 0; i < 5000 && __atomic_load_n(&counter->finalized, __ATOMIC_ACQUIRE) < times; i++) usleep(1000);
  return __atomic_load_n(&counter->finalized, __ATOMIC_ACQUIRE) == times;
}

// Polls only when the callback was called.
static void run_called(guest_t *guest, counter_t *counter) {
  char byte;
  while (!wasmtime_call_future_poll(guest->future)) {
    if (!expect(readable(counter->pipe[0], 20000))) exit(1);
    expect(read(counter->pipe[0], &byte, 1) == 1);
  }
}

static void a_callback_is_called_when_a_call_can_go_on(void) {
  counter_t counter = {.finalized = 0};
  expect(pipe(counter.pipe) == 0);
  int from_to[2];
  expect(pipe(from_to) == 0);
  wasmtime_linker_t *linker = linker_with_wasi();
  guest_t guest;
  open_guest(&guest, GUEST, linker, from_to[0]);
  ampoule_context_set_waker(guest.ctx, count, &counter, end_counter);
  int64_t start = now_ms();
  begin(&guest, "sleep", 30);
  run_called(&guest, &counter);
  expect(finish(&guest) == 0 && now_ms() - start >= 30);
  begin(&guest, "read", 100);
  expect(!wasmtime_call_future_poll(guest.future));
  expect(write(from_to[1], "abc", 3) == 3);
  run_called(&guest, &counter);
  expect(finish(&guest) == 3);
  expect(counter.finalized == 0);
  ampoule_context_set_waker(guest.ctx, NULL, NULL, NULL);
  expect(is_finalized(&counter, 1));
  ampoule_context_set_waker(guest.ctx, count, &counter, end_counter);
  begin(&guest, "sleep", 1000000);
  expect(!wasmtime_call_future_poll(guest.future));
  wasmtime_call_future_delete(guest.future);
  close_guest(&guest);
  expect(is_finalized(&counter, 2));
  wasmtime_linker_delete(linker);
  for (int i = 0; i < 2; i++) close(counter.pipe[i]), close(from_to[i]);
}

int main(void) {
  expect(ampoule_has("wait"));
  RUN(guests_that_wait_share_a_thread);
  RUN(a_sleep_takes_two_polls_where_one_listens);
  RUN(a_guest_that_is_given_up_leaves_its_store_usable);
  RUN_WITH(cancellable, a_cancellation_makes_the_descriptor_readable);
  RUN(a_callback_is_called_when_a_call_can_go_on);
  RUN(a_waker_says_that_a_host_function_is_done);
  RUN_WITH(with_fuel, a_guest_that_yields_can_go_on_at_once);
  return test_summary();
}
