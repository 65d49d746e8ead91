// What the tests of the portable API share: programs that include `wasm.h` and nothing else of the library.
//
// As in test.h, a test file is a list of claims that `main` runs with RUN; each claim has a fresh `engine` and `store`,
// which it may delete and set to null. The portable API has no text format: `wasmtime_wat2wasm` is declared here as the
// only other name, in place of the tool of that name.

#ifndef AMPOULE_PORTABLE_H
#define AMPOULE_PORTABLE_H

#ifndef _DEFAULT_SOURCE
#define _DEFAULT_SOURCE // usleep and the like beside plain C11
#endif

#include <stdio.h>
#include <stdlib.h>
#include <wasm.h>

struct wasmtime_error *wasmtime_wat2wasm(const char *wat, size_t len, wasm_byte_vec_t *binary);

static wasm_engine_t *engine;
static wasm_store_t *store;

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

// The same where nothing makes sense without.
#define need(condition) (expect(condition) ? (void)0 : exit(1))

// -- Outcomes; each frees the trap

#define expect_no_trap(trap) test_expect_no_trap((trap), #trap, __FILE__, __LINE__)
#define expect_trap_says(trap, part) test_expect_trap((trap), (part), #trap, __FILE__, __LINE__)

static inline bool test_expect_no_trap(wasm_trap_t *trap, const char *what, const char *file, int line) {
  if (!trap) return true;
  wasm_message_t message;
  wasm_trap_message(trap, &message);
  printf("FAIL %s: %s:%d: %s: %.*s\n", test_claim, file, line, what, (int)message.size, message.data);
  wasm_byte_vec_delete(&message);
  wasm_trap_delete(trap);
  test_claim_holds = false;
  return false;
}

static inline bool test_expect_trap(wasm_trap_t *trap, const char *part, const char *what, const char *file, int line) {
  if (!trap) {
    printf("FAIL %s: %s:%d: %s: no trap\n", test_claim, file, line, what);
    test_claim_holds = false;
    return false;
  }
  wasm_message_t message;
  wasm_trap_message(trap, &message);
  bool terminated = message.size > 0 && message.data[message.size - 1] == 0;
  bool says = terminated && strstr(message.data, part);
  if (!says) {
    printf("FAIL %s: %s:%d: %s: says \"%.*s\", not \"%s\"\n", test_claim, file, line, what, (int)message.size,
           message.data, part);
    test_claim_holds = false;
  }
  wasm_byte_vec_delete(&message);
  wasm_trap_delete(trap);
  return says;
}

// -- Short ways

static const wasm_extern_vec_t NO_EXTERNS = WASM_EMPTY_VEC;
static const wasm_val_vec_t NO_VALS = WASM_EMPTY_VEC;

static inline wasm_byte_vec_t binary_of(const char *wat) {
  wasm_byte_vec_t binary;
  need(!wasmtime_wat2wasm(wat, strlen(wat), &binary));
  return binary;
}

static inline wasm_module_t *module_of(const char *wat) {
  wasm_byte_vec_t binary = binary_of(wat);
  wasm_module_t *module = wasm_module_new(store, &binary);
  wasm_byte_vec_delete(&binary);
  need(module != NULL);
  return module;
}

// A new instance of a module from text, and its exports.
static inline wasm_instance_t *instance_of(const char *wat, const wasm_extern_vec_t *imports,
                                           wasm_extern_vec_t *exports) {
  wasm_module_t *module = module_of(wat);
  wasm_trap_t *trap = NULL;
  wasm_instance_t *instance = wasm_instance_new(store, module, imports, &trap);
  expect_no_trap(trap);
  need(instance != NULL);
  wasm_module_delete(module);
  wasm_instance_exports(instance, exports);
  return instance;
}

// The export at a position, which has to be a function. It lives as long as `exports`.
static inline wasm_func_t *func_at(const wasm_extern_vec_t *exports, size_t position) {
  need(position < exports->size && wasm_extern_kind(exports->data[position]) == WASM_EXTERN_FUNC);
  return wasm_extern_as_func(exports->data[position]);
}

static inline wasm_val_t i32(int32_t value) {
  wasm_val_t val = WASM_I32_VAL(value);
  return val;
}

// A value owns this reference.
static inline wasm_val_t ref_val(wasm_valkind_t kind, wasm_ref_t *ref) {
  wasm_val_t val = {.kind = kind, .of = {.ref = ref}};
  return val;
}

// Calls what takes `nargs` numbers and returns one i32.
static inline int32_t call_i32(const wasm_func_t *func, size_t nargs, wasm_val_t *args) {
  wasm_val_t results[1] = {WASM_INIT_VAL};
  wasm_val_vec_t arg_vec = {nargs, args}, result_vec = WASM_ARRAY_VEC(results);
  expect_no_trap(wasm_func_call(func, &arg_vec, &result_vec));
  expect(results[0].kind == WASM_I32);
  return results[0].of.i32;
}

static inline int32_t call0(const wasm_func_t *func) { return call_i32(func, 0, NULL); }

static inline int32_t call1(const wasm_func_t *func, int32_t a) {
  wasm_val_t args[1] = {i32(a)};
  return call_i32(func, 1, args);
}

// Calls what takes nothing and returns nothing.
static inline wasm_trap_t *call(const wasm_func_t *func) {
  wasm_val_vec_t none = WASM_EMPTY_VEC;
  return wasm_func_call(func, &NO_VALS, &none);
}

static inline wasm_trap_t *trap_that_says(const char *text) {
  wasm_message_t message;
  wasm_name_new_from_string_nt(&message, text);
  wasm_trap_t *trap = wasm_trap_new(store, &message);
  wasm_byte_vec_delete(&message);
  return trap;
}

static inline bool name_is(const wasm_name_t *name, const char *text) {
  return name->size == strlen(text) && !memcmp(name->data, text, name->size);
}

// -- Running claims

// Says that a claim is not tested in this run, and why; `cargo xtask test` lists what was left out.
static inline void test_skip(const char *claim, const char *reason) { printf("skipped: %s: %s\n", claim, reason); }

#define RUN(claim) test_run(#claim, claim)

// For what the reference library answers by ending the process: run unless AMPOULE_AGAINST says that it is tested.
#define RUN_HERE(claim) (getenv("AMPOULE_AGAINST") ? test_skip(#claim, "another library is tested") : RUN(claim))

// Under valgrind, which takes the hardware faults of guests for errors of ours, not at all.
#define RUN_FAULTING(claim) (getenv("AMPOULE_VALGRIND") ? test_skip(#claim, "valgrind takes hardware faults for errors") : RUN(claim))

static inline void test_run(const char *name, void (*claim)(void)) {
  setvbuf(stdout, NULL, _IOLBF, 0); // so that nothing is lost when the process dies
  test_claim = name;
  test_claim_holds = true;
  engine = wasm_engine_new();
  store = wasm_store_new(engine);
  claim();
  if (store) wasm_store_delete(store);
  if (engine) wasm_engine_delete(engine);
  if (test_claim_holds) {
    test_passed++;
    printf("ok %s\n", name);
  } else {
    test_failed++;
  }
}

// Prints the last line and returns the exit status of the program.
static inline int test_summary(void) {
  printf("%d passed, %d failed\n", test_passed, test_failed);
  return test_failed != 0;
}

#endif // AMPOULE_PORTABLE_H
