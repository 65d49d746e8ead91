// ampoule/cancel.h: cancelling calls from threads and signal handlers, each its own call only; and deadlines.
#define _GNU_SOURCE // RUSAGE_THREAD
#include "test.h"

#include <ampoule.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char *const GUEST =
    "(module (func (export \"spin\") (loop br 0))"
    "  (func (export \"count\") (param i32) (result i32) (local i32)"
    "    (loop (local.set 1 (i32.add (local.get 1) (i32.const 1)))"
    "      (br_if 0 (i32.lt_u (local.get 1) (local.get 0)))) local.get 1))";

static void cancellable(wasm_config_t *config) { ampoule_config_cancellation_set(config, true); }
static void with_epochs(wasm_config_t *config) { wasmtime_config_epoch_interruption_set(config, true); }
static void with_fuel(wasm_config_t *config) {
  cancellable(config);
  wasmtime_config_consume_fuel_set(config, true);
}
static void with_threads(wasm_config_t *config) {
  cancellable(config);
  wasmtime_config_wasm_threads_set(config, true);
  wasmtime_config_shared_memory_set(config, true);
}

static ampoule_cancel_token_t *new_token(void) {
  ampoule_cancel_token_t *token = NULL;
  if (!expect_ok(ampoule_cancel_token_new(ctx, &token))) exit(1);
  return token;
}

static int64_t now_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

// A thread that cancels one generation after a while.
typedef struct {
  pthread_t thread;
  const ampoule_cancel_token_t *token;
  uint64_t generation;
  unsigned after_us;
  bool answer;
  int64_t at_us;
} canceller;

static void *cancel_after(void *arg) {
  canceller *self = arg;
  usleep(self->after_us);
  self->at_us = now_us();
  self->answer = ampoule_cancel(self->token, self->generation);
  return NULL;
}

static void start(canceller *self, const ampoule_cancel_token_t *token, unsigned after_us) {
  self->token = token;
  self->generation = ampoule_cancel_token_generation(token);
  self->after_us = after_us;
  self->answer = false;
  pthread_create(&self->thread, NULL, cancel_after, self);
}

// How long the cancellation took to arrive, in microseconds.
static int64_t finish(canceller *self) {
  int64_t now = now_us();
  pthread_join(self->thread, NULL);
  return now - self->at_us;
}

static void expect_counts(const wasmtime_func_t *count) { expect(call1(count, 1000) == 1000); }

static void a_thread_cancels_a_spinning_guest(void) {
  wasmtime_instance_t instance = instance_of(GUEST);
  wasmtime_func_t spin = func_of(&instance, "spin"), count = func_of(&instance, "count");
  ampoule_cancel_token_t *token = new_token();
  for (int round = 0; round < 5; round++) {
    canceller other;
    start(&other, token, 2000);
    expect_trap(call(&spin), WASMTIME_TRAP_CODE_INTERRUPT);
    finish(&other);
    expect(other.answer);
    expect_counts(&count);
  }
  canceller other;
  start(&other, token, 2000);
  expect_trap_says(call(&spin), "wasm trap: interrupt");
  finish(&other);
  ampoule_cancel_token_delete(token);
}

static void epochs_are_enough(void) {
  wasmtime_context_set_epoch_deadline(ctx, 1000000);
  a_thread_cancels_a_spinning_guest();
}

static void fuel_counts_on_in_calls_that_are_cancelled(void) {
  expect_ok(wasmtime_context_set_fuel(ctx, UINT64_MAX));
  a_thread_cancels_a_spinning_guest();
  uint64_t left = 0;
  expect_ok(wasmtime_context_get_fuel(ctx, &left));
  expect(left < UINT64_MAX - 1000);
  // Whichever comes first ends the call.
  wasmtime_instance_t instance = instance_of(GUEST);
  wasmtime_func_t spin = func_of(&instance, "spin");
  expect_ok(wasmtime_context_set_fuel(ctx, 1000));
  ampoule_cancel_token_t *token = new_token();
  expect_trap(call(&spin), WASMTIME_TRAP_CODE_OUT_OF_FUEL);
  ampoule_cancel_token_delete(token);
}

static const ampoule_cancel_token_t *handler_token;
static volatile sig_atomic_t handler_answer;

static void on_alarm(int signal) {
  (void)signal;
  handler_answer = ampoule_cancel(handler_token, ampoule_cancel_token_generation(handler_token));
}

static void a_signal_handler_cancels_the_guest_it_interrupts(void) {
  wasmtime_instance_t instance = instance_of(GUEST);
  wasmtime_func_t spin = func_of(&instance, "spin"), count = func_of(&instance, "count");
  ampoule_cancel_token_t *token = new_token();
  handler_token = token;
  struct sigaction action, before;
  memset(&action, 0, sizeof action);
  action.sa_handler = on_alarm;
  sigaction(SIGALRM, &action, &before);
  for (int round = 0; round < 3; round++) {
    handler_answer = 0;
    struct itimerval timer = {{0, 0}, {0, 5000}};
    setitimer(ITIMER_REAL, &timer, NULL);
    expect_trap(call(&spin), WASMTIME_TRAP_CODE_INTERRUPT);
    expect(handler_answer == 1);
    expect_counts(&count);
  }
  sigaction(SIGALRM, &before, NULL);
  ampoule_cancel_token_delete(token);
}

static void late_and_early_cancellations_hit_nothing(void) {
  wasmtime_instance_t instance = instance_of(GUEST);
  wasmtime_func_t count = func_of(&instance, "count");
  ampoule_cancel_token_t *token = new_token(), *other = ampoule_cancel_token_clone(token);
  for (uint64_t generation = 1; generation < 50; generation++) {
    expect(ampoule_cancel_token_generation(other) == generation);
    expect(!ampoule_cancel(token, generation - 1));
    expect(!ampoule_cancel(token, generation + 1));
    expect(!ampoule_cancelled(ctx));
    expect_counts(&count);
  }
  // The next call is there to be cancelled, and no other is hit.
  expect(ampoule_cancel(other, 50));
  expect(ampoule_cancelled(ctx));
  wasmtime_val_t arg = i32_val(1), result;
  wasm_trap_t *trap = NULL;
  expect_ok(wasmtime_func_call(ctx, &count, &arg, 1, &result, 1, &trap));
  expect_trap(trap, WASMTIME_TRAP_CODE_INTERRUPT);
  expect(!ampoule_cancelled(ctx));
  expect_counts(&count);
  ampoule_cancel_token_delete(other);
  ampoule_cancel_token_delete(token);
}

static void a_token_outlives_its_store(void) {
  ampoule_cancel_token_t *token = new_token();
  wasmtime_store_delete(store);
  store = NULL;
  expect(ampoule_cancel_token_generation(token) == 0);
  expect(!ampoule_cancel(token, 0));
  expect(!ampoule_cancel(token, 1));
  ampoule_cancel_token_delete(token);
}

static void engines_without_checks_refuse(void) {
  ampoule_cancel_token_t *token = NULL;
  expect_error_says(ampoule_cancel_token_new(ctx, &token), "cancellation is not configured");
  expect(token == NULL);
  expect_error_says(ampoule_context_set_call_deadline(ctx, 1), "cancellation is not configured");
  expect(!ampoule_cancelled(ctx));
}

// A host function that cancels its own call, and sees so; swallowing it helps nobody.
static wasm_trap_t *cancel_own(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                               wasmtime_val_t *results, size_t nresults) {
  (void)args, (void)nargs, (void)results, (void)nresults;
  ampoule_cancel_token_t *token = env, *another = NULL;
  wasmtime_context_t *context = wasmtime_caller_context(caller);
  expect(!ampoule_cancelled(context));
  expect_ok(ampoule_cancel_token_new(context, &another));
  expect(ampoule_cancel_token_generation(another) == ampoule_cancel_token_generation(token));
  expect(ampoule_cancel(another, ampoule_cancel_token_generation(token)));
  expect(ampoule_cancelled(context));
  ampoule_cancel_token_delete(another);
  return NULL;
}

static void host_functions_can_ask(void) {
  ampoule_cancel_token_t *token = new_token();
  wasm_functype_t *ty = wasm_functype_new_0_0();
  wasmtime_func_t host;
  wasmtime_func_new(ctx, ty, cancel_own, token, NULL, &host);
  wasm_functype_delete(ty);
  wasmtime_extern_t import = func_extern(host);
  wasmtime_instance_t instance = instance_with(
      ctx, engine, "(module (import \"\" \"\" (func $h)) (func (export \"f\") call $h (loop br 0)))", &import, 1);
  wasmtime_func_t f = func_of(&instance, "f");
  expect_trap(call(&f), WASMTIME_TRAP_CODE_INTERRUPT);
  expect(!ampoule_cancelled(ctx));
  ampoule_cancel_token_delete(token);
}

static wasm_trap_t *make_token(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                               wasmtime_val_t *results, size_t nresults) {
  (void)env, (void)args, (void)nargs, (void)results, (void)nresults;
  ampoule_cancel_token_t *token = NULL;
  expect_error_says(ampoule_cancel_token_new(wasmtime_caller_context(caller), &token), "while a call runs");
  return NULL;
}

static void a_first_token_is_made_between_calls(void) {
  wasm_functype_t *ty = wasm_functype_new_0_0();
  wasmtime_func_t host;
  wasmtime_func_new(ctx, ty, make_token, NULL, NULL, &host);
  wasm_functype_delete(ty);
  expect_no_trap(call(&host));
}

static void a_deadline_stops_what_runs_into_it(void) {
  wasmtime_instance_t instance = instance_of(GUEST);
  wasmtime_func_t spin = func_of(&instance, "spin"), count = func_of(&instance, "count");
  for (int round = 0; round < 3; round++) {
    expect_ok(ampoule_context_set_call_deadline(ctx, 20 * 1000000));
    int64_t before = now_us();
    expect_trap(call(&spin), WASMTIME_TRAP_CODE_INTERRUPT);
    expect(now_us() - before >= 20000);
    expect_ok(ampoule_context_set_call_deadline(ctx, UINT64_MAX));
    for (int i = 0; i < 10; i++) expect_counts(&count);
  }
  expect_ok(ampoule_context_set_call_deadline(ctx, 20 * 1000000));
  expect_trap_says(call(&spin), "time limit");
  expect_ok(ampoule_context_set_call_deadline(ctx, 0));
  usleep(30000);
  expect_counts(&count);
}

// The end of a forked child: by a signal where it did as claimed, since what the parent's threads held is a leak in valgrind's eyes,
// which changes exit statuses.
static void end_child(bool holds) {
  fflush(stdout);
  if (holds) raise(SIGKILL);
  _exit(1);
}

static bool child_did_as_claimed(pid_t child) {
  int status = 0;
  return waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

// The parent's timer still means to look at this store when the process forks; the child has to see to it itself.
static void a_forked_child_watches_what_its_parent_watched(void) {
  wasmtime_instance_t instance = instance_of(GUEST);
  wasmtime_func_t spin = func_of(&instance, "spin"), count = func_of(&instance, "count");
  expect_counts(&count); // compiled now, however long it takes
  uint64_t limit_ms = getenv("AMPOULE_VALGRIND") ? 2000 : 200;
  expect_ok(ampoule_context_set_call_deadline(ctx, limit_ms * 1000000));
  expect_counts(&count);
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    alarm(20);
    expect_trap(call(&spin), WASMTIME_TRAP_CODE_INTERRUPT);
    end_child(test_claim_holds);
  }
  expect(child_did_as_claimed(child));
  expect_trap(call(&spin), WASMTIME_TRAP_CODE_INTERRUPT);
}

static void a_forked_child_has_deadlines(void) {
  wasmtime_instance_t instance = instance_of(GUEST);
  wasmtime_func_t spin = func_of(&instance, "spin");
  expect_ok(ampoule_context_set_call_deadline(ctx, 5 * 1000000));
  expect_trap(call(&spin), WASMTIME_TRAP_CODE_INTERRUPT);
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    alarm(20);
    wasm_trap_t *trap = call(&spin);
    wasmtime_trap_code_t code = 0;
    bool stopped = trap && wasmtime_trap_code(trap, &code) && code == WASMTIME_TRAP_CODE_INTERRUPT;
    if (trap) wasm_trap_delete(trap);
    end_child(stopped);
  }
  expect(child_did_as_claimed(child));
}

static uint64_t callbacks;

static wasmtime_error_t *move_on(wasmtime_context_t *context, void *data, uint64_t *delta,
                                 wasmtime_update_deadline_kind_t *kind) {
  (void)context, (void)data;
  callbacks++;
  *delta = 0;
  *kind = WASMTIME_UPDATE_DEADLINE_CONTINUE;
  return NULL;
}

// Every look of the guest finds its deadline over; the callback moves it while another thread cancels.
static void an_epoch_callback_loses_no_cancellation(void) {
  wasmtime_instance_t instance = instance_of("(module (func (export \"spin\") (loop br 0)))");
  wasmtime_func_t spin = func_of(&instance, "spin");
  wasmtime_store_epoch_deadline_callback(store, move_on, NULL, NULL);
  ampoule_cancel_token_t *token = new_token();
  for (unsigned round = 0; round < 100; round++) {
    canceller other;
    start(&other, token, round % 7 * 30);
    expect_trap(call(&spin), WASMTIME_TRAP_CODE_INTERRUPT);
    finish(&other);
    expect(other.answer);
  }
  expect(callbacks > 0);
  ampoule_cancel_token_delete(token);
}

static const ampoule_cancel_token_t *storm_token;
static volatile bool storm_over;

// Cancels odd generations only, whenever it gets to it.
static void *storm(void *arg) {
  (void)arg;
  while (!storm_over) ampoule_cancel(storm_token, ampoule_cancel_token_generation(storm_token) | 1);
  return NULL;
}

static void in_a_storm_each_call_is_hit_by_its_own_cancellation(void) {
  wasmtime_instance_t instance = instance_of(GUEST);
  wasmtime_func_t count = func_of(&instance, "count");
  ampoule_cancel_token_t *token = new_token();
  storm_token = token;
  storm_over = false;
  pthread_t threads[3];
  for (int i = 0; i < 3; i++) pthread_create(&threads[i], NULL, storm, NULL);
  int rounds = getenv("AMPOULE_VALGRIND") ? 200 : 20000, cancelled = 0;
  // On a busy machine the threads may take a while to begin.
  for (int round = 0; round < rounds || (!cancelled && round < 1000 * rounds); round++) {
    uint64_t generation = ampoule_cancel_token_generation(token);
    wasmtime_val_t arg = i32_val(round % 1000 + 1), result = i32_val(0);
    wasm_trap_t *trap = NULL;
    expect_ok(wasmtime_func_call(ctx, &count, &arg, 1, &result, 1, &trap));
    if (trap) {
      cancelled++;
      expect(generation % 2 == 1);
      expect_trap(trap, WASMTIME_TRAP_CODE_INTERRUPT);
    } else {
      expect(result.of.i32 == round % 1000 + 1);
    }
    expect(ampoule_cancel_token_generation(token) == generation + 1);
  }
  storm_over = true;
  for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
  expect(cancelled > 0);
  ampoule_cancel_token_delete(token);
}

// A call that yields again and again is one call, from its first poll to its last.
static void an_asynchronous_call_is_one_generation(void) {
  wasmtime_instance_t instance = instance_of("(module (func (export \"spin\") (loop br 0)) (func (export \"nothing\")))");
  wasmtime_func_t spin = func_of(&instance, "spin"), nothing = func_of(&instance, "nothing");
  ampoule_cancel_token_t *token = new_token();
  expect_ok(wasmtime_context_epoch_deadline_async_yield_and_update(ctx, 0));
  for (uint64_t generation = 1; generation < 10; generation += 2) {
    wasm_trap_t *trap = NULL;
    wasmtime_error_t *error = NULL;
    wasmtime_call_future_t *future = wasmtime_func_call_async(ctx, &spin, NULL, 0, NULL, 0, &trap, &error);
    for (int poll = 0; poll < 20; poll++) {
      expect(ampoule_cancel_token_generation(token) == generation);
      expect(!wasmtime_call_future_poll(future));
    }
    expect(ampoule_cancel(token, generation));
    int polls = 0;
    while (!wasmtime_call_future_poll(future) && ++polls < 10) {}
    wasmtime_call_future_delete(future);
    expect_ok(error);
    expect_trap(trap, WASMTIME_TRAP_CODE_INTERRUPT);
    expect(!ampoule_cancel(token, generation));
    trap = NULL;
    future = wasmtime_func_call_async(ctx, &nothing, NULL, 0, NULL, 0, &trap, &error);
    for (polls = 0; !wasmtime_call_future_poll(future) && polls < 10;) polls++;
    wasmtime_call_future_delete(future);
    expect_ok(error);
    expect_no_trap(trap);
  }
  ampoule_cancel_token_delete(token);
}

// Milliseconds, with a margin for a machine that is busy.
static const int64_t AT_ONCE_US = 200 * 1000;

static void a_sleep_in_wasi_is_cut_short(void) {
  wasmtime_linker_t *linker = wasmtime_linker_new(engine);
  expect_ok(wasmtime_linker_define_wasi(linker));
  expect_ok(wasmtime_context_set_wasi(ctx, wasi_config_new()));
  wasmtime_module_t *module = module_of(
      "(module (import \"wasi_snapshot_preview1\" \"poll_oneoff\" (func $poll (param i32 i32 i32 i32) (result i32)))"
      "  (memory (export \"memory\") 1)"
      "  (func (export \"sleep\") (i32.store (i32.const 16) (i32.const 1)) (i64.store (i32.const 24) (i64.const -1))"
      "    (drop (call $poll (i32.const 0) (i32.const 100) (i32.const 1) (i32.const 200)))))");
  wasmtime_instance_t instance;
  wasm_trap_t *trap = NULL;
  expect_ok(wasmtime_linker_instantiate(linker, ctx, module, &instance, &trap));
  expect_no_trap(trap);
  wasmtime_func_t sleep_ = func_of(&instance, "sleep");
  ampoule_cancel_token_t *token = new_token();
  for (int round = 0; round < 3; round++) {
    canceller other;
    start(&other, token, 20000);
    expect_trap(call(&sleep_), WASMTIME_TRAP_CODE_INTERRUPT);
    expect(finish(&other) < AT_ONCE_US);
  }
  expect_ok(ampoule_context_set_call_deadline(ctx, 20 * 1000000));
  expect_trap_says(call(&sleep_), "time limit");
  ampoule_cancel_token_delete(token);
  wasmtime_module_delete(module);
  wasmtime_linker_delete(linker);
}

// How often this thread has slept.
static long sleeps(void) {
  struct rusage usage;
  expect(!getrusage(RUSAGE_THREAD, &usage));
  return usage.ru_nvcsw;
}

// A pipe that nobody writes to, read and polled: the thread sleeps until it is cancelled, and looks at nothing meanwhile.
static void a_wait_for_a_descriptor_is_cut_short(void) {
  char path[] = "/tmp/ampoule-cancel-XXXXXX";
  if (!expect(mkdtemp(path) != NULL)) return;
  char pipe[64];
  snprintf(pipe, sizeof pipe, "%s/pipe", path);
  expect(!mkfifo(pipe, 0600));
  int writer = open(pipe, O_RDWR);
  wasi_config_t *config = wasi_config_new();
  expect(wasi_config_set_stdin_file(config, pipe));
  wasmtime_linker_t *linker = wasmtime_linker_new(engine);
  expect_ok(wasmtime_linker_define_wasi(linker));
  expect_ok(wasmtime_context_set_wasi(ctx, config));
  wasmtime_module_t *module = module_of(
      "(module (import \"wasi_snapshot_preview1\" \"poll_oneoff\" (func $poll (param i32 i32 i32 i32) (result i32)))"
      "  (import \"wasi_snapshot_preview1\" \"fd_read\" (func $read (param i32 i32 i32 i32) (result i32)))"
      "  (memory (export \"memory\") 1)"
      "  (func (export \"poll\") (result i32) (i32.store8 (i32.const 8) (i32.const 1)) (i32.store (i32.const 16) (i32.const 0))"
      "    (drop (call $poll (i32.const 0) (i32.const 100) (i32.const 1) (i32.const 200))) (i32.load (i32.const 200)))"
      "  (func (export \"read\") (result i32) (i32.store (i32.const 300) (i32.const 400)) (i32.store (i32.const 304) (i32.const 9))"
      "    (drop (call $read (i32.const 0) (i32.const 300) (i32.const 1) (i32.const 308))) (i32.load (i32.const 308))))");
  wasmtime_instance_t instance;
  wasm_trap_t *trap = NULL;
  expect_ok(wasmtime_linker_instantiate(linker, ctx, module, &instance, &trap));
  expect_no_trap(trap);
  ampoule_cancel_token_t *token = new_token();
  static const char *const names[] = {"poll", "read"};
  for (int i = 0; i < 2; i++) {
    wasmtime_func_t wait_ = func_of(&instance, names[i]);
    wasmtime_val_t result;
    // What is there is told without a wait.
    expect(write(writer, "x", 1) == 1);
    expect(call0(&wait_) == 1);
    char byte;
    if (i == 0) expect(read(writer, &byte, 1) == 1);
    for (int round = 0; round < 3; round++) {
      canceller other;
      start(&other, token, 300000);
      long before = sleeps();
      expect_ok(wasmtime_func_call(ctx, &wait_, NULL, 0, &result, 1, &trap));
      long slept = sleeps() - before;
      expect_trap(trap, WASMTIME_TRAP_CODE_INTERRUPT);
      trap = NULL;
      expect(finish(&other) < AT_ONCE_US);
      if (!getenv("AMPOULE_VALGRIND") && !expect(slept < 15)) printf("# %s slept %ld times\n", names[i], slept);
    }
    expect_ok(ampoule_context_set_call_deadline(ctx, 20 * 1000000));
    expect_ok(wasmtime_func_call(ctx, &wait_, NULL, 0, &result, 1, &trap));
    expect_trap_says(trap, "time limit");
    trap = NULL;
    expect_ok(ampoule_context_set_call_deadline(ctx, 0));
  }
  ampoule_cancel_token_delete(token);
  wasmtime_module_delete(module);
  wasmtime_linker_delete(linker);
  close(writer);
  unlink(pipe);
  rmdir(path);
}

static void a_wait_for_other_threads_is_cut_short(void) {
  wasmtime_instance_t instance = instance_of(
      "(module (memory 1 1 shared) (func (export \"wait\")"
      "  (drop (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const -1)))))");
  wasmtime_func_t wait_ = func_of(&instance, "wait");
  ampoule_cancel_token_t *token = new_token();
  for (int round = 0; round < 3; round++) {
    canceller other;
    start(&other, token, 20000);
    expect_trap(call(&wait_), WASMTIME_TRAP_CODE_INTERRUPT);
    expect(finish(&other) < AT_ONCE_US);
  }
  ampoule_cancel_token_delete(token);
}

int main(void) {
  RUN_WITH(cancellable, a_thread_cancels_a_spinning_guest);
  RUN_WITH(with_epochs, epochs_are_enough);
  RUN_WITH(with_fuel, fuel_counts_on_in_calls_that_are_cancelled);
  RUN_WITH(cancellable, a_signal_handler_cancels_the_guest_it_interrupts);
  RUN_WITH(cancellable, late_and_early_cancellations_hit_nothing);
  RUN_WITH(cancellable, a_token_outlives_its_store);
  RUN(engines_without_checks_refuse);
  RUN_WITH(cancellable, host_functions_can_ask);
  RUN_WITH(cancellable, a_first_token_is_made_between_calls);
  RUN_WITH(cancellable, a_deadline_stops_what_runs_into_it);
  RUN_WITH(cancellable, a_forked_child_has_deadlines);
  RUN_WITH(cancellable, a_forked_child_watches_what_its_parent_watched);
  RUN_WITH(with_epochs, an_epoch_callback_loses_no_cancellation);
  RUN_WITH(with_epochs, an_asynchronous_call_is_one_generation);
  RUN_WITH(cancellable, in_a_storm_each_call_is_hit_by_its_own_cancellation);
  RUN_WITH(cancellable, a_sleep_in_wasi_is_cut_short);
  RUN_WITH(cancellable, a_wait_for_a_descriptor_is_cut_short);
  RUN_WITH(with_threads, a_wait_for_other_threads_is_cut_short);
  return test_summary();
}
