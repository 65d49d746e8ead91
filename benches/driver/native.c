/* Guest functions as plain C functions, and plain C functions as imports (`ampoule/native.h`), next to an indirect C call.
 *
 * Found at run time, so that the driver runs with any library. One that has no native functions is measured at what it has
 * instead: the unchecked call. */
#include <dlfcn.h>

#include "bench.h"

#include <ampoule/native.h>

typedef int32_t add_t(int32_t, int32_t);

typedef struct {
  wasmtime_context_t *context;
  wasmtime_func_t func;
  add_t *volatile add;
} native_t;

static void *find(const char *name) {
  bool (*has)(const char *) = (bool (*)(const char *))(uintptr_t)dlsym(RTLD_DEFAULT, "ampoule_has");
  return has && has("native") ? dlsym(RTLD_DEFAULT, name) : NULL;
}

__attribute__((noinline)) static int32_t add_in_c(int32_t a, int32_t b) { return (int32_t)((uint32_t)a + (uint32_t)b); }

static wasm_trap_t *add_unchecked(void *env, wasmtime_caller_t *caller, wasmtime_val_raw_t *values, size_t count) {
  (void)env, (void)caller, (void)count;
  values[0].i32 = (int32_t)((uint32_t)values[0].i32 + (uint32_t)values[1].i32);
  return NULL;
}

static wasm_trap_t *nothing(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                            wasmtime_val_t *results, size_t nresults) {
  (void)env, (void)caller, (void)args, (void)nargs, (void)results, (void)nresults;
  return NULL;
}

/* The import of calls.wat: native where there are native imports. */
static wasmtime_func_t import_add(wasmtime_context_t *context) {
  __typeof__(&ampoule_func_new_native) make = (__typeof__(make))(uintptr_t)find("ampoule_func_new_native");
  wasm_functype_t *pair = functype_of_i32(2, 1);
  wasmtime_func_t func;
  if (make)
    check(make(context, pair, (ampoule_native_t)add_in_c, 0, NULL, NULL, &func), NULL, "native import");
  else
    wasmtime_func_new_unchecked(context, pair, add_unchecked, NULL, NULL, &func);
  wasm_functype_delete(pair);
  return func;
}

/* An import of calls.wat that nothing here calls. */
static wasmtime_extern_t unused(wasmtime_context_t *context, wasm_valkind_t kind) {
  wasm_functype_t *type = wasm_functype_new_1_1(wasm_valtype_new(kind), wasm_valtype_new(kind));
  wasmtime_func_t func;
  wasmtime_func_new(context, type, nothing, NULL, NULL, &func);
  wasm_functype_delete(type);
  return extern_of_func(func);
}

static native_t prepare(const char *name) {
  world_t world = world_new(NULL);
  wasmtime_extern_t imports[4] = {extern_of_func(import_add(world.context)),
                                  extern_of_func(host_func(world.context, nothing, NULL)),
                                  unused(world.context, WASM_FUNCREF), unused(world.context, WASM_EXTERNREF)};
  wasmtime_instance_t instance = instantiate(&world, load_module(world.engine, "calls.wat"), imports, 4);
  native_t native = {world.context, find_func(world.context, &instance, name), NULL};
  return native;
}

static void call_through_pointer(void *env, uint64_t iterations) {
  native_t *native = env;
  for (uint64_t i = 0; i < iterations; i++)
    if (native->add((int32_t)i, 3) != (int32_t)i + 3) fail("add went wrong");
}

static void call_unchecked(void *env, uint64_t iterations) {
  native_t *native = env;
  wasmtime_val_raw_t values[2];
  for (uint64_t i = 0; i < iterations; i++) {
    wasm_trap_t *trap = NULL;
    values[0].i32 = (int32_t)i;
    values[1].i32 = 3;
    wasmtime_error_t *error = wasmtime_func_call_unchecked(native->context, &native->func, values, 2, &trap);
    if (error || trap || values[0].i32 != (int32_t)i + 3) fail("add went wrong");
  }
}

static void call_guest_sum(void *env, uint64_t iterations) {
  native_t *native = env;
  wasmtime_val_t args[1] = {val_i32((int32_t)iterations)}, result;
  wasm_trap_t *trap = NULL;
  check(wasmtime_func_call(native->context, &native->func, args, 1, &result, 1, &trap), trap, "guest loop");
  if ((uint32_t)result.of.i32 != (uint32_t)(iterations * (iterations + 1) / 2)) fail("the host's sums went wrong");
}

static void case_indirect(char **a) {
  (void)a;
  native_t native = {.add = add_in_c};
  measure(call_through_pointer, &native);
}

static void case_native_call(char **a) {
  (void)a;
  native_t native = prepare("add");
  __typeof__(&ampoule_func_native) entry_of = (__typeof__(entry_of))(uintptr_t)find("ampoule_func_native");
  if (!entry_of) return measure(call_unchecked, &native);
  wasm_functype_t *pair = functype_of_i32(2, 1);
  ampoule_native_t entry;
  check(entry_of(native.context, &native.func, pair, &entry), NULL, "native entry point");
  wasm_functype_delete(pair);
  native.add = (add_t *)entry;
  measure(call_through_pointer, &native);
}

static void case_native_import(char **a) {
  (void)a;
  native_t native = prepare("call_host");
  measure(call_guest_sum, &native);
}

const case_t native_cases[] = {
    {"indirect", 0, case_indirect},
    {"native_call", 0, case_native_call},
    {"native_import", 0, case_native_import},
    {NULL, 0, NULL},
};
