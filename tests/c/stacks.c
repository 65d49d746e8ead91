// Small stacks: what compiles, or tells of a trap, has a stack of its own. Threads from 16 KiB on, and asynchronous calls on stacks as
// small as they may be.
// valgrind: skip threads with less stack than valgrind itself needs
#include "test.h"
#include <limits.h>
#include <pthread.h>

#ifdef AMPOULE_AGAINST // Others need more.
int main(void) { return test_summary(); }
#else

// -- Threads of every size

static const size_t SIZES[] = {16 << 10, 32 << 10, 48 << 10, 64 << 10, 128 << 10, 256 << 10, 512 << 10};

static wasmtime_instance_t instance;

// Runs `work` on a thread of each size, in a fresh world: an engine has no thunks for the types yet.
static void on_threads(const char *wat, void (*define)(void), void *(*work)(void *)) {
  for (size_t i = 0; i < sizeof SIZES / sizeof *SIZES; i++) {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    if (pthread_attr_setstacksize(&attributes, SIZES[i])) continue; // less than the system has
    wasm_engine_t *const outer_engine = engine;
    wasmtime_store_t *const outer_store = store;
    wasmtime_context_t *const outer_ctx = ctx;
    engine = wasm_engine_new();
    store = wasmtime_store_new(engine, NULL, NULL);
    ctx = wasmtime_store_context(store);
    // What doesn't hold ends the process: this tells of which thread.
    printf("# %s: %zu KiB\n", test_claim, SIZES[i] >> 10);
    fflush(stdout);
    if (define) define();
    else instance = instance_of(wat);
    pthread_t thread;
    if (expect(!pthread_create(&thread, &attributes, work, NULL))) pthread_join(thread, NULL);
    wasmtime_store_delete(store);
    wasm_engine_delete(engine);
    engine = outer_engine;
    store = outer_store;
    ctx = outer_ctx;
    pthread_attr_destroy(&attributes);
  }
}

static void *call_sum(void *unused) {
  (void)unused;
  wasmtime_func_t sum = func_of(&instance, "sum");
  wasmtime_val_t args[] = {i32_val(40), i64_val(0), i32_val(2)}, result;
  wasm_trap_t *trap = NULL;
  expect_ok(wasmtime_func_call(ctx, &sum, args, 3, &result, 1, &trap));
  expect_no_trap(trap);
  expect(result.of.i32 == 42);
  return NULL;
}

static void the_first_call_of_a_type(void) {
  on_threads("(module (func (export \"sum\") (param i32 i64 i32) (result i32) (i32.add (local.get 0) (local.get 2))))",
             NULL, call_sum);
}

static void *call_trapping(void *unused) {
  (void)unused;
  wasmtime_func_t f = func_of(&instance, "f");
  expect_trap_says(call(&f), "m!space::divide(int)");
  return NULL;
}

static void a_trap_and_its_message(void) {
  on_threads("(module $m (func $_ZN5space6divideEi (param i32) (result i32) (i32.div_s (i32.const 1) (local.get 0)))"
             "  (func (export \"f\") (drop (call $_ZN5space6divideEi (i32.const 0)))))",
             NULL, call_trapping);
}

static void *overflow(void *unused) {
  (void)unused;
  wasmtime_func_t f = func_of(&instance, "f");
  expect_trap_says(call(&f), "call stack exhausted");
  return NULL;
}

static void a_stack_overflow_and_its_message(void) {
  on_threads("(module (func $f (export \"f\") (call $f)))", NULL, overflow);
}

static void *define_a_host_function(void *unused) {
  (void)unused;
  wasm_valtype_t *params[] = {wasm_valtype_new_i64(), wasm_valtype_new_f64(), wasm_valtype_new_i64()};
  wasm_valtype_vec_t in, out;
  wasm_valtype_vec_new(&in, 3, params);
  wasm_valtype_vec_new_empty(&out);
  wasm_functype_t *type = wasm_functype_new(&in, &out);
  wasmtime_func_t func;
  wasmtime_func_new(ctx, type, NULL, NULL, NULL, &func);
  wasm_functype_delete(type);
  expect(func.store_id != 0);
  return NULL;
}

static void a_host_function_of_a_new_type(void) {
  on_threads("(module)", NULL, define_a_host_function);
}

static void *make_a_module(void *unused) {
  (void)unused;
  wasmtime_module_t *module = module_of("(module $m (import \"a\" \"b\" (func)) (memory 1) (table 5 funcref) (data (i32.const 0) \"x\")"
                                        "  (global i32 (i32.const 5)) (elem (i32.const 0) $f)"
                                        "  (func $f (export \"f\") (param i32 f64) (result i32) (local.get 0)))");
  wasm_byte_vec_t artifact;
  if (!expect(module) || !expect_ok(wasmtime_module_serialize(module, &artifact))) return NULL;
  wasmtime_module_t *again = NULL;
  if (expect_ok(wasmtime_module_deserialize(engine, (const uint8_t *)artifact.data, artifact.size, &again)))
    wasmtime_module_delete(again);
  wasm_byte_vec_delete(&artifact);
  wasmtime_module_delete(module);
  expect_error_says(module_error(engine, "(module (func (result i32)))"), "type mismatch");
  expect_error_says(module_error(engine, "(module (func"), "expected");
  return NULL;
}

static void modules_are_made_written_and_read(void) { on_threads("(module)", NULL, make_a_module); }

// -- A guest that recurses before it calls back

static int depth_reached;

// Calls the guest's `leaf`, which is of a type that was never called.
static wasm_trap_t *call_back(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                              wasmtime_val_t *results, size_t nresults) {
  (void)env, (void)args, (void)nargs, (void)results, (void)nresults;
  wasmtime_context_t *inner = wasmtime_caller_context(caller);
  wasmtime_extern_t leaf;
  if (!wasmtime_caller_export_get(caller, "leaf", 4, &leaf)) return wasmtime_trap_new("no leaf", 7);
  wasmtime_val_t values[] = {i64_val(1), i32_val(2)}, result;
  wasm_trap_t *trap = NULL;
  wasmtime_error_t *error = wasmtime_func_call(inner, &leaf.of.func, values, 2, &result, 1, &trap);
  if (error) wasmtime_error_delete(error);
  else if (!trap) depth_reached++;
  return trap;
}

static void define_recursing(void) {
  wasm_functype_t *type = wasm_functype_new_0_0();
  wasmtime_func_t host;
  wasmtime_func_new(ctx, type, call_back, NULL, NULL, &host);
  wasm_functype_delete(type);
  wasmtime_extern_t import = func_extern(host);
  instance = instance_with(ctx, engine,
                           "(module (import \"\" \"host\" (func $host))"
                           "  (func (export \"leaf\") (param i64 i32) (result i64) (local.get 0))"
                           "  (func $f (export \"f\") (param i32) (result i32)"
                           "    (if (local.get 0) (then (return (call $f (i32.sub (local.get 0) (i32.const 1))))))"
                           "    (call $host) (i32.const 7))"
                           "  (func $alone (export \"alone\") (param i32) (result i32)"
                           "    (if (local.get 0) (then (return (call $alone (i32.sub (local.get 0) (i32.const 1))))))"
                           "    (i32.const 7)))",
                           &import, 1);
}

static bool recurses(const wasmtime_func_t *func, int32_t depth) {
  wasmtime_val_t arg = i32_val(depth), result;
  wasm_trap_t *trap = NULL;
  expect_ok(wasmtime_func_call(ctx, func, &arg, 1, &result, 1, &trap));
  if (trap) expect_trap_says(trap, "call stack exhausted");
  return !trap;
}

// From the deepest recursion on, searches for the first that can call back: `leaf` is called for the first time where as little stack is
// left as can be.
static void *recurse(void *unused) {
  (void)unused;
  wasmtime_func_t f = func_of(&instance, "f"), alone = func_of(&instance, "alone");
  int32_t least = 1, most = 1 << 20;
  while (most - least > 1) {
    int32_t middle = (least + most) / 2;
    if (recurses(&alone, middle)) least = middle;
    else most = middle;
  }
  depth_reached = 0;
  for (int32_t depth = most; depth > 0 && !depth_reached; depth--) recurses(&f, depth);
  expect(depth_reached == 1);
  return NULL;
}

static void a_guest_that_recurses_before_it_calls_back(void) { on_threads(NULL, define_recursing, recurse); }

// -- Asynchronous calls

static void an_asynchronous_call_on_a_small_stack(void) {
  for (size_t size = 16 << 10; size <= 256 << 10; size *= 2) {
    printf("# %s: %zu KiB\n", test_claim, size >> 10);
    fflush(stdout);
    wasm_config_t *config = wasm_config_new();
    wasmtime_config_max_wasm_stack_set(config, size / 4);
    wasmtime_config_async_stack_size_set(config, size);
    wasm_engine_t *own = wasm_engine_new_with_config(config);
    wasmtime_store_t *of = wasmtime_store_new(own, NULL, NULL);
    wasmtime_context_t *context = wasmtime_store_context(of);
    wasmtime_instance_t callee = instance_with(context, own,
                                               "(module $m (func (export \"div\") (param i64 i32 i32) (result i32)"
                                               "  (i32.div_u (local.get 1) (local.get 2))))",
                                               NULL, 0);
    wasmtime_func_t div = export_in(context, &callee, "div").of.func;
    for (int divisor = 1; divisor >= 0; divisor--) {
      wasmtime_val_t args[] = {i64_val(0), i32_val(42), i32_val(divisor)}, result;
      wasm_trap_t *trap = NULL;
      wasmtime_error_t *error = NULL;
      wasmtime_call_future_t *future = wasmtime_func_call_async(context, &div, args, 3, &result, 1, &trap, &error);
      while (!wasmtime_call_future_poll(future)) {}
      wasmtime_call_future_delete(future);
      expect_ok(error);
      if (divisor) expect(!trap && result.of.i32 == 42);
      else expect_trap_says(trap, "integer divide by zero");
    }
    wasmtime_store_delete(of);
    wasm_engine_delete(own);
  }
}

int main(void) {
  RUN(the_first_call_of_a_type);
  RUN(a_trap_and_its_message);
  RUN(a_stack_overflow_and_its_message);
  RUN(a_host_function_of_a_new_type);
  RUN(modules_are_made_written_and_read);
  RUN(a_guest_that_recurses_before_it_calls_back);
  RUN(an_asynchronous_call_on_a_small_stack);
  return test_summary();
}
#endif
