// Stress of the C API by threads: engines and modules are shared, stores are each thread's own, shared memories are everybody's.
//
//     threads --seconds N
//
// All threads begin each round at the same moment with modules that nobody has compiled yet. Other threads increment epochs
// meanwhile. Every answer is checked, and in the end every finalizer has run once.

#ifndef _DEFAULT_SOURCE
#define _DEFAULT_SOURCE
#endif

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <ampoule.h>
#include <wasmtime.h>

enum { THREADS = 8, FUNCS = 40 };

#define check(condition) ((condition) ? (void)0 : broken(#condition, __LINE__))

static _Noreturn void broken(const char *what, int line) {
  printf("broken: line %d: %s\n", line, what);
  fflush(stdout);
  abort();
}

static wasm_engine_t *engine;
static wasmtime_module_t *module; // this round's
static wasmtime_sharedmemory_t *memory;
static pthread_barrier_t begin_round, end_round;
static atomic_bool stop;
static atomic_long given, finalized, calls, traps, interrupts, wakes;

static void finalize(void *data) {
  (void)data;
  finalized++;
}

static void no_error(wasmtime_error_t *error) {
  if (!error) return;
  wasm_name_t message;
  wasmtime_error_message(error, &message);
  printf("%.*s\n", (int)message.size, message.data);
  broken("no error", 0);
}

// Functions with numbers that no round had before, so that none is compiled; each calls the one before.
static wasmtime_module_t *new_module(unsigned round) {
  static char text[FUNCS * 160 + 2048];
  size_t len = (size_t)sprintf(
      text,
      "(module (import \"\" \"host\" (func $host (param i32) (result i32))) (memory $s (import \"\" \"s\") 1 1 shared)"
      " (memory $m 1) (func $f0 (export \"f0\") (param i32) (result i32) (call $host (local.get 0)))"
      " (func (export \"oob\") (drop (i32.load $m (i32.const 65536))))"
      " (func (export \"div\") (drop (i32.div_u (i32.const 1) (i32.load $m (i32.const 0)))))"
      " (func $deep (export \"deep\") call $deep)"
      " (func (export \"spin\") (loop $l (br $l)))"
      " (func (export \"add\") (result i32) (i32.atomic.rmw.add $s (i32.const 0) (i32.const 1)))"
      " (func (export \"wait\") (result i32)"
      "  (memory.atomic.wait32 $s (i32.const 64) (i32.atomic.load $s (i32.const 64)) (i64.const 2000000)))"
      " (func (export \"notify\") (result i32) (drop (i32.atomic.rmw.add $s (i32.const 64) (i32.const 1)))"
      "  (memory.atomic.notify $s (i32.const 64) (i32.const 100)))");
  for (int i = 1; i < FUNCS; i++)
    len += (size_t)sprintf(text + len,
                           " (func $f%d (export \"f%d\") (param i32) (result i32)"
                           " (i32.add (call $f%d (local.get 0)) (i32.const %u)))",
                           i, i, i - 1, round);
  len += (size_t)sprintf(text + len, ")");
  wasm_byte_vec_t binary;
  no_error(wasmtime_wat2wasm(text, len, &binary));
  wasmtime_module_t *made;
  no_error(wasmtime_module_new(engine, (const uint8_t *)binary.data, binary.size, &made));
  wasm_byte_vec_delete(&binary);
  return made;
}

static wasm_trap_t *host(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                         wasmtime_val_t *results, size_t nresults) {
  (void)env, (void)nargs, (void)nresults;
  // A reference that nobody keeps, now and then collected.
  wasmtime_externref_t ref;
  given++;
  check(wasmtime_externref_new(wasmtime_caller_context(caller), NULL, finalize, &ref));
  wasmtime_externref_unroot(&ref);
  if (args[0].of.i32 % 16 == 0) no_error(wasmtime_context_gc(wasmtime_caller_context(caller)));
  results[0].kind = WASMTIME_I32;
  results[0].of.i32 = args[0].of.i32 + 1;
  return NULL;
}

static wasmtime_func_t export_of(wasmtime_context_t *context, const wasmtime_instance_t *instance, const char *name) {
  wasmtime_extern_t item;
  check(wasmtime_instance_export_get(context, instance, name, strlen(name), &item));
  check(item.kind == WASMTIME_EXTERN_FUNC);
  return item.of.func;
}

static int32_t call(wasmtime_context_t *context, const wasmtime_func_t *func, int nargs, int32_t arg, int nresults) {
  wasmtime_val_t val = {.kind = WASMTIME_I32, .of = {.i32 = arg}}, result = {.kind = WASMTIME_I32, .of = {.i32 = 0}};
  wasm_trap_t *trap = NULL;
  no_error(wasmtime_func_call(context, func, &val, (size_t)nargs, &result, (size_t)nresults, &trap));
  check(!trap);
  calls++;
  return result.of.i32;
}

static void call_that_traps(wasmtime_context_t *context, const wasmtime_func_t *func, wasmtime_trap_code_t expected) {
  wasm_trap_t *trap = NULL;
  wasmtime_trap_code_t code = 99;
  no_error(wasmtime_func_call(context, func, NULL, 0, NULL, 0, &trap));
  check(trap && wasmtime_trap_code(trap, &code) && code == expected);
  wasm_message_t message;
  wasm_trap_message(trap, &message);
  wasm_byte_vec_delete(&message);
  wasm_trap_delete(trap);
  traps++;
}

static void use_module(unsigned round, int number) {
  given++;
  wasmtime_store_t *store = wasmtime_store_new(engine, NULL, finalize);
  wasmtime_context_t *context = wasmtime_store_context(store);
  wasmtime_context_set_epoch_deadline(context, 1u << 30);
  wasm_valtype_vec_t params, results;
  wasm_valtype_t *in[1] = {wasm_valtype_new(WASM_I32)}, *out[1] = {wasm_valtype_new(WASM_I32)};
  wasm_valtype_vec_new(&params, 1, in);
  wasm_valtype_vec_new(&results, 1, out);
  wasm_functype_t *type = wasm_functype_new(&params, &results);
  wasmtime_extern_t imports[2] = {{.kind = WASMTIME_EXTERN_FUNC}, {.kind = WASMTIME_EXTERN_SHAREDMEMORY}};
  given++;
  wasmtime_func_new(context, type, host, NULL, finalize, &imports[0].of.func);
  wasm_functype_delete(type);
  imports[1].of.sharedmemory = memory;
  wasmtime_instance_t instance;
  wasm_trap_t *trap = NULL;
  no_error(wasmtime_instance_new(context, module, imports, 2, &instance, &trap));
  check(!trap);
  wasmtime_func_t add = export_of(context, &instance, "add"), wait = export_of(context, &instance, "wait");
  wasmtime_func_t notify = export_of(context, &instance, "notify"), spin = export_of(context, &instance, "spin");
  // Some go up, some go down, so that they meet.
  for (int i = 0; i < FUNCS; i++) {
    int at = number % 2 ? i : FUNCS - 1 - i;
    char name[8];
    sprintf(name, "f%d", at);
    wasmtime_func_t func = export_of(context, &instance, name);
    check(call(context, &func, 1, i, 1) == (int32_t)(i + 1 + at * round));
  }
  int32_t before = call(context, &add, 0, 0, 1);
  for (int i = 0; i < 50; i++) {
    int32_t now = call(context, &add, 0, 0, 1);
    check(now > before);
    before = now;
  }
  if (!getenv("AMPOULE_VALGRIND")) {
    static const char *const names[] = {"oob", "div", "deep"};
    static const wasmtime_trap_code_t codes[] = {WASMTIME_TRAP_CODE_MEMORY_OUT_OF_BOUNDS,
                                                 WASMTIME_TRAP_CODE_INTEGER_DIVISION_BY_ZERO,
                                                 WASMTIME_TRAP_CODE_STACK_OVERFLOW};
    for (int i = 0; i < 6; i++) {
      wasmtime_func_t func = export_of(context, &instance, names[(i + number) % 3]);
      call_that_traps(context, &func, codes[(i + number) % 3]);
    }
  }
  for (int i = 0; i < 10; i++) {
    int32_t woken = call(context, (i + number) % 3 ? &notify : &wait, 0, 0, 1);
    if ((i + number) % 3) wakes += woken;
  }
  // Until somebody increments the epoch.
  wasmtime_context_set_epoch_deadline(context, 1);
  call_that_traps(context, &spin, WASMTIME_TRAP_CODE_INTERRUPT);
  interrupts++;
  wasmtime_store_delete(store);
}

static atomic_uint this_round;

static void *work(void *arg) {
  int number = *(int *)arg;
  for (;;) {
    pthread_barrier_wait(&begin_round);
    if (stop) return NULL;
    use_module(this_round, number);
    pthread_barrier_wait(&end_round);
  }
}

static void *tick(void *arg) {
  (void)arg;
  while (!stop) {
    usleep(300);
    wasmtime_engine_increment_epoch(engine);
  }
  return NULL;
}

int main(int argc, char **argv) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  long seconds = argc > 2 && !strcmp(argv[1], "--seconds") ? atol(argv[2]) : 10;
  wasm_config_t *config = wasm_config_new();
  wasmtime_config_epoch_interruption_set(config, true);
  wasmtime_config_wasm_threads_set(config, true);
  wasmtime_config_shared_memory_set(config, true);
  // While the threads are at it.
  ampoule_config_tier_up_set(config, 50, 2);
  engine = wasm_engine_new_with_config(config);
  wasm_memorytype_t *type;
  no_error(wasmtime_memorytype_new(1, true, 1, false, true, 16, &type));
  no_error(wasmtime_sharedmemory_new(engine, type, &memory));
  wasm_memorytype_delete(type);
  pthread_barrier_init(&begin_round, NULL, THREADS + 1);
  pthread_barrier_init(&end_round, NULL, THREADS + 1);
  pthread_t ids[THREADS], ticking;
  int numbers[THREADS];
  check(!pthread_create(&ticking, NULL, tick, NULL));
  for (int i = 0; i < THREADS; i++) {
    numbers[i] = i;
    check(!pthread_create(&ids[i], NULL, work, &numbers[i]));
  }
  unsigned round = 0;
  for (time_t end = time(NULL) + seconds; time(NULL) < end || round == 0;) {
    this_round = ++round;
    module = new_module(round);
    pthread_barrier_wait(&begin_round);
    // A handle of another thread's may go while they use theirs.
    wasmtime_module_t *clone = wasmtime_module_clone(module);
    wasmtime_module_delete(clone);
    pthread_barrier_wait(&end_round);
    wasmtime_module_delete(module);
  }
  stop = true;
  pthread_barrier_wait(&begin_round);
  for (int i = 0; i < THREADS; i++) pthread_join(ids[i], NULL);
  pthread_join(ticking, NULL);
  // Every atomic addition happened.
  check(*(uint32_t *)wasmtime_sharedmemory_data(memory) == round * THREADS * 51);
  wasmtime_sharedmemory_delete(memory);
  wasm_engine_delete(engine);
  pthread_barrier_destroy(&begin_round);
  pthread_barrier_destroy(&end_round);
  check(given == finalized);
  printf("%u rounds of %d threads: %ld calls, %ld traps, %ld interrupted, %ld woken\n", round, THREADS, calls, traps,
         interrupts, wakes);
  return 0;
}
