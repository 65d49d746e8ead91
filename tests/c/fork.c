// Forks of a host that has an engine: both processes go on with all they had, each with its own.
// valgrind: skip (guests fault, in the children too)
//
// What is promised: a process may fork whatever its other threads do in the library. The child is the parent's copy, with the forking
// thread alone; it uses all but the stores that other threads were using.

#define _XOPEN_SOURCE 700 // nftw
#include "test.h"

#include <ampoule.h>
#include <dirent.h>
#include <ftw.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *const COUNTER =
    "(module (memory (export \"m\") 1) (global $g (mut i32) (i32.const 100))"
    "  (func (export \"early\") (result i32) i32.const 1)"
    "  (func (export \"late\") (param i32) (result i32) (i32.mul (local.get 0) (i32.const 3)))"
    "  (func (export \"count\") (result i32)"
    "    (global.set $g (i32.add (global.get $g) (i32.const 1))) (global.get $g))"
    "  (func (export \"poke\") (param i32) (result i32)"
    "    (i32.store (i32.const 8) (local.get 0)) (i32.load (i32.const 8)))"
    "  (func (export \"peek\") (result i32) (i32.load (i32.const 8)))"
    "  (func (export \"trap\") (drop (i32.load (i32.const 65536))))"
    "  (func $deep (export \"deep\") call $deep))";

// Runs `work` in a child; whether it did as claimed comes back as its exit status.
static pid_t begin_child(void (*work)(void)) {
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    work();
    fflush(stdout);
    _exit(test_claim_holds ? 0 : 1);
  }
  return child;
}

static void end_child(pid_t child) {
  int status = 0;
  expect(waitpid(child, &status, 0) == child);
  if (status) printf("FAIL %s: a child ended with status 0x%x\n", test_claim, status);
  expect(status == 0);
}

static void in_child(void (*work)(void)) { end_child(begin_child(work)); }

static int open_files(void) {
  int count = 0;
  DIR *folder = opendir("/proc/self/fd");
  while (readdir(folder)) count++;
  closedir(folder);
  return count;
}

// A module that nobody compiled before: its numbers are new.
static void use_fresh_module(void) {
  static int number;
  char wat[256];
  number += 10 * getpid() % 1000 + 1;
  snprintf(wat, sizeof wat,
           "(module (memory 1) (data (i32.const 4) \"x\") (func (export \"f\") (result i32)"
           " (i32.add (i32.load (i32.const 4)) (i32.const %d))) (func (export \"t\") unreachable))",
           number);
  wasmtime_instance_t instance = instance_of(wat);
  wasmtime_func_t f = func_of(&instance, "f"), t = func_of(&instance, "t");
  expect(call0(&f) == 'x' + number);
  expect_trap(call(&t), WASMTIME_TRAP_CODE_UNREACHABLE_CODE_REACHED);
}

// Compiled as a whole, on several threads: a child has none of its parent's.
static void serialize_fresh_module(void) {
  wasmtime_module_t *module = module_of(COUNTER);
  wasm_byte_vec_t bytes;
  if (expect_ok(wasmtime_module_serialize(module, &bytes))) wasm_byte_vec_delete(&bytes);
  wasmtime_module_delete(module);
}

static wasmtime_instance_t counter;

static void use_everything(void) {
  wasmtime_func_t early = func_of(&counter, "early"), late = func_of(&counter, "late"), trap = func_of(&counter, "trap");
  wasmtime_func_t deep = func_of(&counter, "deep");
  expect(call0(&early) == 1 && call1(&late, 14) == 42);
  expect_trap(call(&trap), WASMTIME_TRAP_CODE_MEMORY_OUT_OF_BOUNDS);
  expect_trap(call(&deep), WASMTIME_TRAP_CODE_STACK_OVERFLOW);
  use_fresh_module();
  serialize_fresh_module();
  for (int round = 0; round < 20; round++) {
    wasmtime_store_t *other = wasmtime_store_new(engine, NULL, NULL);
    wasmtime_instance_t instance = instance_with(wasmtime_store_context(other), engine, COUNTER, NULL, 0);
    wasmtime_extern_t memory = export_in(wasmtime_store_context(other), &instance, "m");
    uint8_t *data = wasmtime_memory_data(wasmtime_store_context(other), &memory.of.memory);
    expect(data[8] == 0);
    data[8] = 1;
    wasmtime_store_delete(other);
  }
}

static void make_counter(void) {
  counter = instance_of(COUNTER);
  wasmtime_func_t early = func_of(&counter, "early");
  expect(call0(&early) == 1);
}

static void parent_and_child_go_on(void) {
  make_counter();
  use_everything();
  pid_t child = begin_child(use_everything);
  use_everything();
  end_child(child);
  use_everything();
}

static void child_before_any_store(void) {
  store = wasmtime_store_new(engine, NULL, NULL);
  ctx = wasmtime_store_context(store);
  make_counter();
  use_everything();
  wasmtime_store_delete(store);
  store = NULL;
}

static void an_engine_that_did_nothing_yet_is_forked(void) {
  wasmtime_store_delete(store);
  store = NULL;
  wasm_engine_delete(engine);
  engine = wasm_engine_new();
  in_child(child_before_any_store);
  child_before_any_store();
}

static void own_engine(wasm_config_t *config) { (void)config; }

static void write_and_check(void) {
  wasmtime_func_t count = func_of(&counter, "count"), poke = func_of(&counter, "poke"), peek = func_of(&counter, "peek");
  expect(call0(&peek) == 5 && call0(&count) == 102);
  expect(call1(&poke, getpid()) == getpid());
  usleep(20000);
  expect(call0(&peek) == getpid() && call0(&count) == 103);
}

static void memories_and_globals_are_each_process_own(void) {
  make_counter();
  wasmtime_func_t count = func_of(&counter, "count"), poke = func_of(&counter, "poke");
  expect(call0(&count) == 101 && call1(&poke, 5) == 5);
  pid_t child = begin_child(write_and_check);
  write_and_check();
  end_child(child);
}

static void grandchild(void) {
  make_counter();
  in_child(use_everything);
  use_everything();
}

static void children_have_children(void) {
  make_counter();
  in_child(grandchild);
  use_everything();
}

// -- Artifacts

static wasm_byte_vec_t artifact;

static void deserialize_and_use(void) {
  wasmtime_module_t *module;
  if (!expect_ok(wasmtime_module_deserialize(engine, (uint8_t *)artifact.data, artifact.size, &module))) return;
  wasmtime_instance_t instance;
  wasm_trap_t *trap = NULL;
  expect_ok(wasmtime_instance_new(ctx, module, NULL, 0, &instance, &trap));
  expect_no_trap(trap);
  wasmtime_func_t late = func_of(&instance, "late"), traps = func_of(&instance, "trap");
  expect(call1(&late, 5) == 15);
  expect_trap(call(&traps), WASMTIME_TRAP_CODE_MEMORY_OUT_OF_BOUNDS);
  wasmtime_module_delete(module);
}

static char path[64];

static void deserialize_file_and_use(void) {
  wasmtime_module_t *module;
  if (!expect_ok(wasmtime_module_deserialize_file(engine, path, &module))) return;
  wasmtime_instance_t instance;
  wasm_trap_t *trap = NULL;
  expect_ok(wasmtime_instance_new(ctx, module, NULL, 0, &instance, &trap));
  wasmtime_func_t late = func_of(&instance, "late");
  expect(call1(&late, 6) == 18);
  wasmtime_module_delete(module);
}

static void children_load_artifacts(void) {
  wasmtime_module_t *module = module_of(COUNTER);
  expect_ok(wasmtime_module_serialize(module, &artifact));
  wasmtime_module_delete(module);
  snprintf(path, sizeof path, "/tmp/ampoule-fork-%d.cwasm", (int)getpid());
  FILE *file = fopen(path, "wb");
  expect(fwrite(artifact.data, 1, artifact.size, file) == artifact.size);
  fclose(file);
  in_child(deserialize_and_use);
  in_child(deserialize_file_and_use);
  deserialize_and_use();
  deserialize_file_and_use();
  // Code that the parent loaded runs in the child.
  in_child(deserialize_file_and_use);
  unlink(path);
  wasm_byte_vec_delete(&artifact);
}

// -- In the middle of a call

static pid_t forked_inside;

static wasm_trap_t *fork_now(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                             wasmtime_val_t *results, size_t nresults) {
  (void)env, (void)caller, (void)args, (void)nargs, (void)nresults;
  fflush(stdout);
  forked_inside = fork();
  results[0] = i32_val(forked_inside == 0);
  return NULL;
}

static void a_function_that_the_guest_calls_forks(void) {
  wasm_functype_t *type = wasm_functype_new_0_1(wasm_valtype_new_i32());
  wasmtime_func_t host;
  wasmtime_func_new(ctx, type, fork_now, NULL, NULL, &host);
  wasm_functype_delete(type);
  wasmtime_extern_t import = func_extern(host);
  // The child goes on by itself, through functions that only it compiles.
  wasmtime_instance_t instance = instance_with(
      ctx, engine,
      "(module (import \"\" \"fork\" (func $fork (result i32)))"
      "  (func $child (param i32) (result i32) (i32.add (local.get 0) (i32.const 7)))"
      "  (func $parent (param i32) (result i32) (i32.add (local.get 0) (i32.const 9)))"
      "  (func (export \"run\") (param i32) (result i32)"
      "    (if (result i32) (call $fork) (then (call $child (local.get 0))) (else (call $parent (local.get 0))))))",
      &import, 1);
  wasmtime_func_t run = func_of(&instance, "run");
  int32_t answer = call1(&run, 1000);
  if (forked_inside == 0) {
    fflush(stdout);
    _exit(answer == 1007 && test_claim_holds ? 0 : 1);
  }
  expect(answer == 1009);
  end_child(forked_inside);
}

// -- Endings

static int finalized;

static void delete_all(void) {
  wasmtime_store_delete(store);
  store = NULL;
  expect(finalized == 1);
  wasm_engine_delete(engine);
  engine = NULL;
}

static void each_process_deletes_its_own(void) {
  wasmtime_store_delete(store);
  store = wasmtime_store_new(engine, &finalized, count_finalized);
  ctx = wasmtime_store_context(store);
  make_counter();
  in_child(delete_all);
  expect(finalized == 0);
  use_everything();
  delete_all();
}

// A child that returns from main runs exit handlers and destructors, of our library too.
static void children_exit_as_they_like(void) {
  make_counter();
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    use_everything();
    exit(test_claim_holds ? 42 : 1);
  }
  int status;
  expect(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 42);
  use_everything();
}

static void nothing(void) {}

static void many_forks_leave_nothing_behind(void) {
  make_counter();
  in_child(use_everything);
  int before = open_files();
  for (int i = 0; i < 30; i++) in_child(i % 10 ? nothing : use_everything);
  expect(open_files() == before);
}

// -- Other threads, outside of the engine when we fork

struct idle {
  pthread_mutex_t lock;
  pthread_cond_t changed;
  bool ready, done;
};

static void *use_then_idle(void *arg) {
  struct idle *idle = arg;
  wasmtime_store_t *other = wasmtime_store_new(engine, NULL, NULL);
  wasmtime_context_t *context = wasmtime_store_context(other);
  wasmtime_instance_t instance = instance_with(context, engine, COUNTER, NULL, 0);
  wasmtime_extern_t trap = export_in(context, &instance, "trap");
  for (int round = 0; round < 2; round++) {
    wasm_trap_t *got = NULL;
    expect_ok(wasmtime_func_call(context, &trap.of.func, NULL, 0, NULL, 0, &got));
    expect_trap(got, WASMTIME_TRAP_CODE_MEMORY_OUT_OF_BOUNDS);
    pthread_mutex_lock(&idle->lock);
    idle->ready = true;
    pthread_cond_broadcast(&idle->changed);
    while (!round && !idle->done) pthread_cond_wait(&idle->changed, &idle->lock);
    pthread_mutex_unlock(&idle->lock);
  }
  wasmtime_store_delete(other);
  return NULL;
}

static void other_threads_may_be_idle(void) {
  make_counter();
  struct idle idle = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, false};
  pthread_t thread;
  expect(!pthread_create(&thread, NULL, use_then_idle, &idle));
  pthread_mutex_lock(&idle.lock);
  while (!idle.ready) pthread_cond_wait(&idle.changed, &idle.lock);
  pthread_mutex_unlock(&idle.lock);
  pid_t child = begin_child(use_everything);
  use_everything();
  end_child(child);
  pthread_mutex_lock(&idle.lock);
  idle.done = true;
  pthread_cond_broadcast(&idle.changed);
  pthread_mutex_unlock(&idle.lock);
  pthread_join(thread, NULL);
}

// -- Other threads inside of the engine when we fork

static void *start(void *(*work)(void *), void *arg) {
  static pthread_t threads[8];
  static unsigned number;
  pthread_t *thread = &threads[number++ % 8];
  if (pthread_create(thread, NULL, work, arg)) abort();
  return thread;
}

static void join(void *thread) { pthread_join(*(pthread_t *)thread, NULL); }

static volatile bool stop_threads;

static wasmtime_module_t *slow_module;

// Calls a function whose compilation takes a while, in a store of its own.
static void *call_slow(void *arg) {
  wasmtime_store_t *other = wasmtime_store_new(engine, NULL, NULL);
  wasmtime_context_t *context = wasmtime_store_context(other);
  wasmtime_context_set_epoch_deadline(context, 1);
  wasmtime_instance_t instance;
  wasm_trap_t *trap = NULL;
  expect_ok(wasmtime_instance_new(context, slow_module, NULL, 0, &instance, &trap));
  expect_no_trap(trap);
  wasmtime_extern_t f = export_in(context, &instance, "f");
  wasmtime_val_t one = i32_val(1), result = i32_val(0);
  if (arg) *(volatile bool *)arg = true;
  expect_ok(wasmtime_func_call(context, &f.of.func, &one, 1, &result, 1, &trap));
  expect_no_trap(trap);
  expect(result.of.i32 == 1);
  wasmtime_store_delete(other);
  return NULL;
}

static void compile_what_the_parent_compiles(void) {
  alarm(60);
  call_slow(NULL);
}

static void another_thread_may_be_compiling(void) {
  enum { BLOCKS = 6000 };
  static const char block[] = "(block (br_if 0 (local.get 0)) (local.set 0 (i32.add (local.get 0) (i32.const 1))))\n";
  char *wat = malloc(sizeof block * BLOCKS + 256), *end = wat;
  end += sprintf(end, "(module (func (export \"f\") (param i32) (result i32)\n");
  for (int i = 0; i < BLOCKS; i++) end = stpcpy(end, block);
  stpcpy(end, "local.get 0))");
  slow_module = module_of(wat);
  free(wat);
  volatile bool begun = false;
  void *thread = start(call_slow, (void *)&begun);
  while (!begun) usleep(1000);
  usleep(20000);
  pid_t child = begin_child(compile_what_the_parent_compiles);
  join(thread);
  end_child(child);
  wasmtime_module_delete(slow_module);
}

static void *make_and_drop_modules(void *arg) {
  (void)arg;
  while (!stop_threads) {
    wasmtime_store_t *other = wasmtime_store_new(engine, NULL, NULL);
    wasmtime_context_t *context = wasmtime_store_context(other);
    wasmtime_instance_t instance = instance_with(context, engine, COUNTER, NULL, 0);
    wasmtime_extern_t early = export_in(context, &instance, "early");
    wasmtime_val_t result;
    wasm_trap_t *trap = NULL;
    expect_ok(wasmtime_func_call(context, &early.of.func, NULL, 0, &result, 1, &trap));
    expect_no_trap(trap);
    wasmtime_store_delete(other);
  }
  return NULL;
}

static void use_fresh_modules(void) {
  alarm(30);
  use_fresh_module();
  serialize_fresh_module();
  wasmtime_func_t early = func_of(&counter, "early");
  expect(call0(&early) == 1);
}

static void other_threads_may_come_and_go_in_the_engine(void) {
  make_counter();
  stop_threads = false;
  void *threads[2] = {start(make_and_drop_modules, NULL), start(make_and_drop_modules, NULL)};
  for (int i = 0; i < 60; i++) in_child(use_fresh_modules);
  stop_threads = true;
  join(threads[0]), join(threads[1]);
}

static void cancellable(wasm_config_t *config) { ampoule_config_cancellation_set(config, true); }

static void *cancel_all_the_time(void *token) {
  while (!stop_threads) ampoule_cancel(token, ampoule_cancel_token_generation(token) + 1000);
  return NULL;
}

static void *cancel_what_runs(void *token) {
  while (!stop_threads) ampoule_cancel(token, ampoule_cancel_token_generation(token));
  return NULL;
}

static void delete_the_store(void) {
  alarm(20);
  wasmtime_store_delete(store);
  store = NULL;
}

static void another_thread_may_be_cancelling(void) {
  ampoule_cancel_token_t *token = NULL;
  expect_ok(ampoule_cancel_token_new(ctx, &token));
  stop_threads = false;
  void *threads[2] = {start(cancel_what_runs, token), start(cancel_all_the_time, token)};
  for (int i = 0; i < 60; i++) in_child(delete_the_store);
  stop_threads = true;
  join(threads[0]), join(threads[1]);
  ampoule_cancel_token_delete(token);
}

static const char *const SPIN = "(module (func (export \"spin\") (loop br 0)))";

static void run_into_the_deadline(void) {
  alarm(20);
  wasmtime_instance_t instance = instance_of(SPIN);
  wasmtime_func_t spin = func_of(&instance, "spin");
  expect_ok(ampoule_context_set_call_deadline(ctx, 5000000));
  expect_trap(call(&spin), WASMTIME_TRAP_CODE_INTERRUPT);
}

static void *run_into_deadlines(void *arg) {
  (void)arg;
  wasmtime_store_t *other = wasmtime_store_new(engine, NULL, NULL);
  wasmtime_context_t *context = wasmtime_store_context(other);
  wasmtime_instance_t instance = instance_with(context, engine, SPIN, NULL, 0);
  wasmtime_extern_t spin = export_in(context, &instance, "spin");
  while (!stop_threads) {
    wasm_trap_t *trap = NULL;
    expect_ok(ampoule_context_set_call_deadline(context, 20000));
    expect_ok(wasmtime_func_call(context, &spin.of.func, NULL, 0, NULL, 0, &trap));
    expect_trap(trap, WASMTIME_TRAP_CODE_INTERRUPT);
  }
  wasmtime_store_delete(other);
  return NULL;
}

static void deadlines_may_be_passing(void) {
  run_into_the_deadline();
  stop_threads = false;
  void *thread = start(run_into_deadlines, NULL);
  for (int i = 0; i < 30; i++) in_child(run_into_the_deadline);
  stop_threads = true;
  join(thread);
  alarm(0);
}

static void with_threads(wasm_config_t *config) {
  cancellable(config);
  wasmtime_config_wasm_threads_set(config, true);
  wasmtime_config_shared_memory_set(config, true);
}

static const char *const WAITER =
    "(module (import \"\" \"\" (memory 1 1 shared))"
    "  (func (export \"wait\") (result i32)"
    "    (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const -1)))"
    "  (func (export \"wait_a_little\") (result i32)"
    "    (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const 1000000)))"
    "  (func (export \"notify\") (result i32) (memory.atomic.notify (i32.const 0) (i32.const 9))))";

static wasmtime_sharedmemory_t *waited_on;

static wasmtime_instance_t waiter_in(wasmtime_context_t *context) {
  wasmtime_extern_t import = {.kind = WASMTIME_EXTERN_SHAREDMEMORY, .of.sharedmemory = waited_on};
  return instance_with(context, engine, WAITER, &import, 1);
}

static void *wait_for_a_notification(void *arg) {
  (void)arg;
  wasmtime_store_t *other = wasmtime_store_new(engine, NULL, NULL);
  wasmtime_context_t *context = wasmtime_store_context(other);
  wasmtime_instance_t instance = waiter_in(context);
  wasmtime_extern_t wait = export_in(context, &instance, "wait");
  wasmtime_val_t result = i32_val(-1);
  wasm_trap_t *trap = NULL;
  expect_ok(wasmtime_func_call(context, &wait.of.func, NULL, 0, &result, 1, &trap));
  expect_no_trap(trap);
  expect(result.of.i32 == 0);
  wasmtime_store_delete(other);
  return NULL;
}

static void nobody_waits_here(void) {
  alarm(20);
  wasmtime_instance_t instance = waiter_in(ctx);
  wasmtime_func_t notify = func_of(&instance, "notify"), wait = func_of(&instance, "wait_a_little");
  expect(call0(&notify) == 0 && call0(&wait) == 2);
}

static void other_threads_may_be_waiting(void) {
  wasm_memorytype_t *type = NULL;
  expect_ok(wasmtime_memorytype_new(1, true, 1, false, true, 16, &type));
  expect_ok(wasmtime_sharedmemory_new(engine, type, &waited_on));
  wasm_memorytype_delete(type);
  void *thread = start(wait_for_a_notification, NULL);
  usleep(20000);
  in_child(nobody_waits_here);
  wasmtime_instance_t instance = waiter_in(ctx);
  wasmtime_func_t notify = func_of(&instance, "notify");
  while (call0(&notify) == 0) usleep(1000);
  join(thread);
  wasmtime_sharedmemory_delete(waited_on);
}

// -- Objects that several threads have handles of

static wasm_trap_t *shared_trap;

static void *keep_things_with(void *trap) {
  while (!stop_threads) wasm_trap_set_host_info(trap, trap);
  return NULL;
}

static void keep_something_with_the_trap(void) {
  alarm(20);
  wasm_trap_set_host_info(shared_trap, &shared_trap);
  expect(wasm_trap_get_host_info(shared_trap) == &shared_trap);
  expect(wasm_ref_get_host_info(wasm_trap_as_ref(shared_trap)) == &shared_trap);
}

static void others_may_be_at_the_host_information(void) {
  shared_trap = wasmtime_trap_new("", 0);
  wasm_trap_t *handles[2] = {wasm_trap_copy(shared_trap), wasm_trap_copy(shared_trap)};
  stop_threads = false;
  void *threads[2] = {start(keep_things_with, handles[0]), start(keep_things_with, handles[1])};
  for (int i = 0; i < 60; i++) in_child(keep_something_with_the_trap);
  stop_threads = true;
  join(threads[0]), join(threads[1]);
  wasm_trap_delete(handles[0]), wasm_trap_delete(handles[1]), wasm_trap_delete(shared_trap);
}

// -- The thread of a cache, of which the host doesn't know when it forks

static char cache_folder[] = "/tmp/ampoule-fork-cache-XXXXXX";

static void with_cache(wasm_config_t *config) {
  char settings[64];
  if (!expect(mkdtemp(cache_folder) != NULL)) return;
  snprintf(settings, sizeof settings, "%s/cache.toml", cache_folder);
  FILE *file = fopen(settings, "wb");
  fprintf(file, "[cache]\ndirectory = \"%s\"\n", cache_folder);
  fclose(file);
  expect_ok(wasmtime_config_cache_config_load(config, settings));
}

// Many functions, of which none is called.
static wasmtime_module_t *large_module(int functions) {
  size_t capacity = 192 * (size_t)functions + 16, len = 0;
  char *wat = malloc(capacity);
  len += snprintf(wat, capacity, "(module");
  for (int i = 0; i < functions; i++)
    len += snprintf(wat + len, capacity - len,
                    "(func (param i32) (result i32) (local.get 0) (loop (param i32) (result i32)"
                    " (i32.mul (i32.const %d)) (br_if 0 (local.tee 0) (local.get 0))))",
                    i);
  snprintf(wat + len, capacity - len, ")");
  wasmtime_module_t *module = module_of(wat);
  free(wat);
  return module;
}

// Entries have names of 64 characters; that of the large module is the only large one.
static int find_large_entry(const char *file, const struct stat *status, int kind, struct FTW *place) {
  return kind == FTW_F && strlen(file + place->base) == 64 && status->st_size > 100000;
}

static bool is_stored(void) { return nftw(cache_folder, find_large_entry, 8, FTW_PHYS) != 0; }

static int delete_one(const char *file, const struct stat *status, int kind, struct FTW *place) {
  (void)status, (void)kind, (void)place;
  return remove(file);
}

static void compile_beside_the_parent(void) {
  alarm(30); // rather than wait for ever for a lock of a thread that isn't here
  use_fresh_module();
  wasmtime_module_delete(large_module(3));
}

static void a_cache_may_be_compiling(void) {
  wasmtime_module_t *large = large_module(3000);
  for (int i = 0; i < 100 && !is_stored(); i++) in_child(compile_beside_the_parent);
  // It goes on in the parent.
  for (int i = 0; i < 6000 && !is_stored(); i++) usleep(10000);
  expect(is_stored());
  use_fresh_module();
  wasmtime_module_delete(large);
  wasmtime_store_delete(store);
  store = NULL;
  wasm_engine_delete(engine);
  engine = NULL;
  nftw(cache_folder, delete_one, 8, FTW_DEPTH | FTW_PHYS);
}

// -- Code memory

// Bytes that this process may write of the file in memory that holds code.
static unsigned long writable_code(void) {
  unsigned long sum = 0, start, end;
  char line[512], access[8];
  FILE *maps = fopen("/proc/self/maps", "r");
  while (maps && fgets(line, sizeof line, maps))
    if (strstr(line, "ampoule-code") && sscanf(line, "%lx-%lx %7s", &start, &end, access) == 3 && access[1] == 'w')
      sum += end - start;
  if (maps) fclose(maps);
  return sum;
}

static unsigned long parents_writable_code;

static void child_may_write_no_more(void) {
  expect(writable_code() == parents_writable_code);
  use_fresh_module();
  expect(writable_code() >= parents_writable_code);
}

static void a_child_may_write_as_much_code_as_its_parent(void) {
  make_counter();
  use_fresh_module();
  parents_writable_code = writable_code();
  expect(parents_writable_code > 0);
  in_child(child_may_write_no_more);
  expect(writable_code() == parents_writable_code);
}

// -- Epochs

static void with_epochs(wasm_config_t *config) { wasmtime_config_epoch_interruption_set(config, true); }

static void pass_the_deadline(void) {
  wasmtime_func_t early = func_of(&counter, "early");
  wasmtime_val_t result;
  wasm_trap_t *trap = NULL;
  wasmtime_engine_increment_epoch(engine);
  expect_ok(wasmtime_func_call(ctx, &early, NULL, 0, &result, 1, &trap));
  expect_trap(trap, WASMTIME_TRAP_CODE_INTERRUPT);
}

static void epochs_are_each_process_own(void) {
  wasmtime_context_set_epoch_deadline(ctx, 1);
  make_counter();
  in_child(pass_the_deadline);
  wasmtime_func_t early = func_of(&counter, "early");
  expect(call0(&early) == 1);
  pass_the_deadline();
}

int main(void) {
  // The reference library's children wait for ever for threads that their parent compiled with.
  if (getenv("AMPOULE_AGAINST")) {
    test_skip("all of fork", "another library is tested, whose children may wait for ever");
    return test_summary();
  }
  RUN(parent_and_child_go_on);
  RUN_WITH(own_engine, an_engine_that_did_nothing_yet_is_forked);
  RUN(memories_and_globals_are_each_process_own);
  RUN(children_have_children);
  RUN(children_load_artifacts);
  RUN(a_function_that_the_guest_calls_forks);
  RUN_WITH(own_engine, each_process_deletes_its_own);
  RUN(children_exit_as_they_like);
  RUN(many_forks_leave_nothing_behind);
  RUN(other_threads_may_be_idle);
  RUN(another_thread_may_be_compiling);
  RUN(other_threads_may_come_and_go_in_the_engine);
  RUN_WITH(cancellable, another_thread_may_be_cancelling);
  RUN_WITH(cancellable, deadlines_may_be_passing);
  RUN_WITH(with_threads, other_threads_may_be_waiting);
  RUN(others_may_be_at_the_host_information);
  RUN_WITH(with_cache, a_cache_may_be_compiling);
  RUN(a_child_may_write_as_much_code_as_its_parent);
  RUN_WITH(with_epochs, epochs_are_each_process_own);
  return test_summary();
}
