// What every C test shares: claims, expectations, and short ways to a store and a module.
//
// A test file is a list of claims, each a function without parameters that runs with a fresh `store` and `ctx`.
// `main` runs them with RUN and ends with `return test_summary();`. Each claim prints one line; a failed expectation
// prints where it stands, and the claim goes on. The same source runs against every library with this interface.

#ifndef AMPOULE_TEST_H
#define AMPOULE_TEST_H

#ifndef _DEFAULT_SOURCE
#define _DEFAULT_SOURCE // usleep, mkdtemp and the like beside plain C11
#endif

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wasmtime.h>

// The world of the claim that runs: RUN makes and deletes it.
static wasm_engine_t *engine;
static wasmtime_store_t *store;
static wasmtime_context_t *ctx;

static const char *test_claim;
static bool test_claim_holds;
static int test_passed, test_failed;

#define expect(condition) test_expect((condition), #condition, __FILE__, __LINE__)

static inline bool test_expect(bool holds, const char *what, const char *file, int line) {
  if (!holds) {
    printf("FAIL %s: %s:%d: %s\n", test_claim, file, line, what);
    test_claim_holds = false;
  }
  return holds;
}

// -- Messages

// The message of an error, which is freed, as a string that is valid until the next call.
static inline const char *test_take_message(wasmtime_error_t *error) {
  static char text[8192];
  wasm_name_t message;
  wasmtime_error_message(error, &message);
  size_t len = message.size < sizeof text ? message.size : sizeof text - 1;
  memcpy(text, message.data, len);
  text[len] = 0;
  wasm_name_delete(&message);
  wasmtime_error_delete(error);
#ifdef SHOW_MESSAGES
  printf("# %s: %s\n", test_claim, text);
#endif
  return text;
}

// The same of a trap. Its message counts a NUL, which is checked.
static inline const char *test_take_trap_message(wasm_trap_t *trap) {
  static char text[8192];
  wasm_message_t message;
  wasm_trap_message(trap, &message);
  expect(message.size > 0 && message.data[message.size - 1] == 0);
  snprintf(text, sizeof text, "%s", message.data);
  wasm_byte_vec_delete(&message);
  wasm_trap_delete(trap);
#ifdef SHOW_MESSAGES
  printf("# %s: trap: %s\n", test_claim, text);
#endif
  return text;
}

// -- Expectations about outcomes; each frees what it is given

#define expect_ok(error) test_expect_ok((error), #error, __FILE__, __LINE__)
#define expect_error(error) test_expect_error((error), NULL, #error, __FILE__, __LINE__)
#define expect_error_says(error, part) test_expect_error((error), (part), #error, __FILE__, __LINE__)
#define expect_trap(trap, code) test_expect_trap((trap), (code), NULL, #trap, __FILE__, __LINE__)
#define expect_trap_says(trap, part) test_expect_trap((trap), -1, (part), #trap, __FILE__, __LINE__)
#define expect_no_trap(trap) test_expect_no_trap((trap), #trap, __FILE__, __LINE__)

static inline bool test_expect_ok(wasmtime_error_t *error, const char *what, const char *file, int line) {
  if (!error) return true;
  printf("FAIL %s: %s:%d: %s: %s\n", test_claim, file, line, what, test_take_message(error));
  test_claim_holds = false;
  return false;
}

static inline bool test_expect_error(wasmtime_error_t *error, const char *part, const char *what, const char *file,
                                     int line) {
  if (!error) {
    printf("FAIL %s: %s:%d: %s: no error\n", test_claim, file, line, what);
    test_claim_holds = false;
    return false;
  }
  const char *message = test_take_message(error);
  if (*message && (!part || strstr(message, part))) return true;
  printf("FAIL %s: %s:%d: %s: says \"%s\", not \"%s\"\n", test_claim, file, line, what, message, part ? part : "?");
  test_claim_holds = false;
  return false;
}

// A code of -1 stands for a trap without one.
static inline bool test_expect_trap(wasm_trap_t *trap, int code, const char *part, const char *what,
                                    const char *file, int line) {
  if (!trap) {
    printf("FAIL %s: %s:%d: %s: no trap\n", test_claim, file, line, what);
    test_claim_holds = false;
    return false;
  }
  wasmtime_trap_code_t found_code = 0;
  int found = wasmtime_trap_code(trap, &found_code) ? found_code : -1;
  const char *message = test_take_trap_message(trap);
  if ((part || found == code) && (!part || strstr(message, part))) return true;
  printf("FAIL %s: %s:%d: %s: trap with code %d: %s\n", test_claim, file, line, what, found, message);
  test_claim_holds = false;
  return false;
}

static inline bool test_expect_no_trap(wasm_trap_t *trap, const char *what, const char *file, int line) {
  if (!trap) return true;
  printf("FAIL %s: %s:%d: %s: %s\n", test_claim, file, line, what, test_take_trap_message(trap));
  test_claim_holds = false;
  return false;
}

// -- Finalizers

// Counts how often a finalizer ran: pass `&int` as data. The count is static where its store outlives the claim.
static inline void count_finalized(void *data) { ++*(int *)data; }

// -- Short ways

static inline wasmtime_func_t no_func(void) {
  wasmtime_func_t func;
  memset(&func, 0, sizeof func);
  return func;
}

static inline wasmtime_val_t i32_val(int32_t value) {
  wasmtime_val_t val;
  memset(&val, 0, sizeof val);
  val.kind = WASMTIME_I32;
  val.of.i32 = value;
  return val;
}

static inline wasmtime_val_t i64_val(int64_t value) {
  wasmtime_val_t val = i32_val(0);
  val.kind = WASMTIME_I64;
  val.of.i64 = value;
  return val;
}

static inline wasmtime_val_t funcref_val(const wasmtime_func_t *func) {
  wasmtime_val_t val = i32_val(0);
  val.kind = WASMTIME_FUNCREF;
  wasmtime_funcref_set_null(&val.of.funcref);
  if (func) val.of.funcref = *func;
  return val;
}

static inline wasmtime_val_t null_externref_val(void) {
  wasmtime_val_t val = i32_val(0);
  val.kind = WASMTIME_EXTERNREF;
  wasmtime_externref_set_null(&val.of.externref);
  return val;
}

#ifdef WASMTIME_FEATURE_WAT // A library without a compiler has no text format either.

// A new module from text, or NULL with a failed expectation.
static inline wasmtime_module_t *module_in(wasm_engine_t *of, const char *wat) {
  wasm_byte_vec_t binary;
  wasmtime_module_t *module = NULL;
  if (!expect_ok(wasmtime_wat2wasm(wat, strlen(wat), &binary))) return NULL;
  expect_ok(wasmtime_module_new(of, (const uint8_t *)binary.data, binary.size, &module));
  wasm_byte_vec_delete(&binary);
  return module;
}

static inline wasmtime_module_t *module_of(const char *wat) { return module_in(engine, wat); }

// What making a module from text says.
static inline wasmtime_error_t *module_error(wasm_engine_t *of, const char *wat) {
  wasm_byte_vec_t binary;
  wasmtime_module_t *module = NULL;
  wasmtime_error_t *error = wasmtime_wat2wasm(wat, strlen(wat), &binary);
  if (error) return error;
  error = wasmtime_module_new(of, (const uint8_t *)binary.data, binary.size, &module);
  wasm_byte_vec_delete(&binary);
  if (!error) wasmtime_module_delete(module);
  return error;
}

// A new instance in `in` of a module from text. A failed expectation when it cannot be made; the process then ends, as
// no claim makes sense without.
static inline wasmtime_instance_t instance_with(wasmtime_context_t *in, wasm_engine_t *of, const char *wat,
                                                const wasmtime_extern_t *imports, size_t nimports) {
  wasmtime_instance_t instance;
  wasm_trap_t *trap = NULL;
  wasmtime_module_t *module = module_in(of, wat);
  if (!module) exit(1);
  if (!expect_ok(wasmtime_instance_new(in, module, imports, nimports, &instance, &trap)) || !expect_no_trap(trap))
    exit(1);
  wasmtime_module_delete(module);
  return instance;
}

static inline wasmtime_instance_t instance_of(const char *wat) { return instance_with(ctx, engine, wat, NULL, 0); }

#endif // WASMTIME_FEATURE_WAT

// An export that has to be there. Nothing to free unless it is a shared memory.
static inline wasmtime_extern_t export_in(wasmtime_context_t *in, const wasmtime_instance_t *instance,
                                          const char *name) {
  wasmtime_extern_t item;
  if (!expect(wasmtime_instance_export_get(in, instance, name, strlen(name), &item))) {
    printf("FAIL %s: no export %s\n", test_claim, name);
    exit(1);
  }
  return item;
}

static inline wasmtime_extern_t export_of(const wasmtime_instance_t *instance, const char *name) {
  return export_in(ctx, instance, name);
}

static inline wasmtime_func_t func_of(const wasmtime_instance_t *instance, const char *name) {
  wasmtime_extern_t item = export_of(instance, name);
  return expect(item.kind == WASMTIME_EXTERN_FUNC) ? item.of.func : no_func();
}

static inline wasmtime_extern_t func_extern(wasmtime_func_t func) {
  wasmtime_extern_t item;
  item.kind = WASMTIME_EXTERN_FUNC;
  item.of.func = func;
  return item;
}

// Calls without arguments or results, and returns the trap, which is the caller's. An error is a failed expectation.
static inline wasm_trap_t *call(const wasmtime_func_t *func) {
  wasm_trap_t *trap = NULL;
  expect_ok(wasmtime_func_call(ctx, func, NULL, 0, NULL, 0, &trap));
  return trap;
}

// Calls an export that takes `nargs` i32 and returns one i32.
static inline int32_t call_i32(const wasmtime_func_t *func, size_t nargs, const int32_t *args) {
  wasmtime_val_t vals[8], result = i32_val(0);
  wasm_trap_t *trap = NULL;
  for (size_t i = 0; i < nargs; i++) vals[i] = i32_val(args[i]);
  expect_ok(wasmtime_func_call(ctx, func, vals, nargs, &result, 1, &trap));
  expect_no_trap(trap);
  expect(result.kind == WASMTIME_I32);
  return result.of.i32;
}

static inline int32_t call0(const wasmtime_func_t *func) { return call_i32(func, 0, NULL); }

static inline int32_t call1(const wasmtime_func_t *func, int32_t arg) { return call_i32(func, 1, &arg); }

static inline int32_t call2(const wasmtime_func_t *func, int32_t a, int32_t b) {
  int32_t args[2] = {a, b};
  return call_i32(func, 2, args);
}

static inline bool name_is(const wasm_name_t *name, const char *text) {
  return name->size == strlen(text) && !memcmp(name->data, text, name->size);
}

// -- Running claims

// Says that a claim is not tested in this run, and why; `cargo xtask test` lists what was left out.
static inline void test_skip(const char *claim, const char *reason) { printf("skipped: %s: %s\n", claim, reason); }

// Runs `claim` with a fresh store of the default engine.
#define RUN(claim) test_run(#claim, claim, NULL)
// The same with an engine of its own, whose configuration `configure(config)` changes.
#define RUN_WITH(configure, claim) test_run(#claim, claim, configure)

// Runs `claim` unless valgrind watches, which takes the hardware faults that guests run into for errors of ours.
#define RUN_FAULTING(claim) (getenv("AMPOULE_VALGRIND") ? test_skip(#claim, "valgrind takes hardware faults for errors") : RUN(claim))
#define RUN_FAULTING_WITH(configure, claim) \
  (getenv("AMPOULE_VALGRIND") ? test_skip(#claim, "valgrind takes hardware faults for errors") : RUN_WITH(configure, claim))

// The same for what valgrind makes too slow, or what it cannot follow.
#define RUN_UNWATCHED(claim) (getenv("AMPOULE_VALGRIND") ? test_skip(#claim, "not under valgrind") : RUN(claim))

// For what the reference library answers by ending the process: run unless AMPOULE_AGAINST says that it is tested.
#define RUN_HERE(claim) (getenv("AMPOULE_AGAINST") ? test_skip(#claim, "another library is tested") : RUN(claim))
#define RUN_HERE_WITH(configure, claim) (getenv("AMPOULE_AGAINST") ? test_skip(#claim, "another library is tested") : RUN_WITH(configure, claim))

static inline void test_run(const char *name, void (*claim)(void), void (*configure)(wasm_config_t *)) {
  static wasm_engine_t *shared;
  if (!name) { // the end
    if (shared) wasm_engine_delete(shared);
    shared = NULL;
    return;
  }
  setvbuf(stdout, NULL, _IOLBF, 0); // so that nothing is lost when the process dies
  test_claim = name;
  test_claim_holds = true;
  if (configure) {
    wasm_config_t *config = wasm_config_new();
    configure(config);
    engine = wasm_engine_new_with_config(config);
  } else {
    if (!shared) shared = wasm_engine_new();
    engine = shared;
  }
  store = wasmtime_store_new(engine, NULL, NULL);
  ctx = wasmtime_store_context(store);
  claim();
  if (store) wasmtime_store_delete(store);
  store = NULL;
  ctx = NULL;
  if (configure && engine) wasm_engine_delete(engine);
  engine = NULL;
  if (test_claim_holds) {
    test_passed++;
    printf("ok %s\n", name);
  } else {
    test_failed++;
  }
  fflush(stdout);
}

// Prints the last line and returns the exit status of the program.
static inline int test_summary(void) {
  test_run(NULL, NULL, NULL);
  printf("%d passed, %d failed\n", test_passed, test_failed);
  return test_failed != 0;
}

#endif // AMPOULE_TEST_H
