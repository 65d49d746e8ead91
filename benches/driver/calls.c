/* Calls between host and guest, checked (`wasmtime_val_t`) and unchecked (`wasmtime_val_raw_t`), both ways. */
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"

typedef struct {
  wasmtime_context_t *context;
  wasmtime_func_t func;
} call_t;

/* --- Host functions --- */

static wasm_trap_t *add_checked(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                                wasmtime_val_t *results, size_t nresults) {
  (void)env, (void)caller, (void)nargs, (void)nresults;
  results[0].kind = WASMTIME_I32;
  results[0].of.i32 = (int32_t)((uint32_t)args[0].of.i32 + (uint32_t)args[1].of.i32);
  return NULL;
}

static wasm_trap_t *add_unchecked(void *env, wasmtime_caller_t *caller, wasmtime_val_raw_t *values, size_t count) {
  (void)env, (void)caller, (void)count;
  values[0].i32 = (int32_t)((uint32_t)values[0].i32 + (uint32_t)values[1].i32);
  return NULL;
}

static wasm_trap_t *nothing_checked(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                                    wasmtime_val_t *results, size_t nresults) {
  (void)env, (void)caller, (void)args, (void)nargs, (void)results, (void)nresults;
  return NULL;
}

static wasm_trap_t *nothing_unchecked(void *env, wasmtime_caller_t *caller, wasmtime_val_raw_t *values, size_t count) {
  (void)env, (void)caller, (void)values, (void)count;
  return NULL;
}

/* Gives its argument back, of whatever type. */
static wasm_trap_t *same_checked(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                                 wasmtime_val_t *results, size_t nresults) {
  (void)env, (void)caller, (void)nargs, (void)nresults;
  wasmtime_val_clone(&args[0], &results[0]);
  return NULL;
}

static wasmtime_func_t func_same(wasmtime_context_t *context, wasm_valkind_t kind) {
  wasm_functype_t *type = wasm_functype_new_1_1(wasm_valtype_new(kind), wasm_valtype_new(kind));
  wasmtime_func_t func;
  wasmtime_func_new(context, type, same_checked, NULL, NULL, &func);
  wasm_functype_delete(type);
  return func;
}

/* An instance of calls.wat over these, and one of its functions. Its global `value` holds a value of the host's. */
static call_t prepare(const char *name, bool checked) {
  world_t world = world_new(NULL);
  wasm_functype_t *pair = functype_of_i32(2, 1), *nothing = functype_of_i32(0, 0);
  wasmtime_func_t host_add, host_nothing;
  if (checked) {
    wasmtime_func_new(world.context, pair, add_checked, NULL, NULL, &host_add);
    wasmtime_func_new(world.context, nothing, nothing_checked, NULL, NULL, &host_nothing);
  } else {
    wasmtime_func_new_unchecked(world.context, pair, add_unchecked, NULL, NULL, &host_add);
    wasmtime_func_new_unchecked(world.context, nothing, nothing_unchecked, NULL, NULL, &host_nothing);
  }
  wasm_functype_delete(pair);
  wasm_functype_delete(nothing);
  wasmtime_extern_t imports[4] = {extern_of_func(host_add), extern_of_func(host_nothing),
                                  extern_of_func(func_same(world.context, WASM_FUNCREF)),
                                  extern_of_func(func_same(world.context, WASM_EXTERNREF))};
  wasmtime_instance_t instance = instantiate(&world, load_module(world.engine, "calls.wat"), imports, 4);
  wasmtime_extern_t global;
  wasmtime_val_t value = {.kind = WASMTIME_EXTERNREF};
  if (!wasmtime_instance_export_get(world.context, &instance, "value", 5, &global)) fail("no global");
  if (!wasmtime_externref_new(world.context, NULL, NULL, &value.of.externref)) fail("externref_new");
  check(wasmtime_global_set(world.context, &global.of.global, &value), NULL, "global_set");
  wasmtime_val_unroot(&value);
  call_t call = {world.context, find_func(world.context, &instance, name)};
  return call;
}

/* --- Host to guest --- */

static void call_checked(void *env, uint64_t iterations) {
  call_t *call = env;
  wasmtime_val_t args[2] = {val_i32(0), val_i32(3)}, result;
  for (uint64_t i = 0; i < iterations; i++) {
    wasm_trap_t *trap = NULL;
    args[0].of.i32 = (int32_t)i;
    wasmtime_error_t *error = wasmtime_func_call(call->context, &call->func, args, 2, &result, 1, &trap);
    if (error || trap || result.of.i32 != (int32_t)i + 3) fail("add went wrong");
  }
}

static void call_unchecked(void *env, uint64_t iterations) {
  call_t *call = env;
  wasmtime_val_raw_t values[2];
  for (uint64_t i = 0; i < iterations; i++) {
    wasm_trap_t *trap = NULL;
    values[0].i32 = (int32_t)i;
    values[1].i32 = 3;
    wasmtime_error_t *error = wasmtime_func_call_unchecked(call->context, &call->func, values, 2, &trap);
    if (error || trap || values[0].i32 != (int32_t)i + 3) fail("add went wrong");
  }
}

static void call_nothing(void *env, uint64_t iterations) {
  call_t *call = env;
  for (uint64_t i = 0; i < iterations; i++) {
    wasm_trap_t *trap = NULL;
    if (wasmtime_func_call(call->context, &call->func, NULL, 0, NULL, 0, &trap) || trap) fail("nothing went wrong");
  }
}

static void call_wide(void *env, uint64_t iterations) {
  call_t *call = env;
  wasmtime_val_t args[8], results[2];
  for (int i = 0; i < 8; i++) {
    args[i].kind = i < 4 ? WASMTIME_I64 : WASMTIME_F64;
    if (i < 4)
      args[i].of.i64 = i;
    else
      args[i].of.f64 = i;
  }
  for (uint64_t i = 0; i < iterations; i++) {
    wasm_trap_t *trap = NULL;
    args[0].of.i64 = (int64_t)i;
    wasmtime_error_t *error = wasmtime_func_call(call->context, &call->func, args, 8, results, 2, &trap);
    if (error || trap || results[0].of.i64 != (int64_t)i + 3 || results[1].of.f64 != 11) fail("wide went wrong");
  }
}

static void call_funcref(void *env, uint64_t turns) {
  call_t *call = env;
  wasmtime_val_t arg = {.kind = WASMTIME_FUNCREF, .of.funcref = call->func}, result;
  for (uint64_t i = 0; i < turns; i++) {
    wasm_trap_t *trap = NULL;
    wasmtime_error_t *error = wasmtime_func_call(call->context, &call->func, &arg, 1, &result, 1, &trap);
    if (error || trap || result.of.funcref.store_id != call->func.store_id) fail("same went wrong");
  }
}

static void call_externref(void *env, uint64_t iterations) {
  call_t *call = env;
  wasmtime_val_t arg = {.kind = WASMTIME_EXTERNREF}, result;
  if (!wasmtime_externref_new(call->context, NULL, NULL, &arg.of.externref)) fail("externref_new");
  for (uint64_t i = 0; i < iterations; i++) {
    wasm_trap_t *trap = NULL;
    wasmtime_error_t *error = wasmtime_func_call(call->context, &call->func, &arg, 1, &result, 1, &trap);
    if (error || trap || wasmtime_externref_is_null(&result.of.externref)) fail("same_value went wrong");
    wasmtime_val_unroot(&result);
  }
  wasmtime_val_unroot(&arg);
}

/* --- The same by the portable interface --- */

static wasm_trap_t *portable_nothing(const wasm_val_vec_t *args, wasm_val_vec_t *results) {
  (void)args, (void)results;
  return NULL;
}

static wasm_trap_t *portable_add(const wasm_val_vec_t *args, wasm_val_vec_t *results) {
  results->data[0].kind = WASM_I32;
  results->data[0].of.i32 = (int32_t)((uint32_t)args->data[0].of.i32 + (uint32_t)args->data[1].of.i32);
  return NULL;
}

static void call_portable_loop(void *env, uint64_t iterations) {
  wasm_val_t values[1] = {WASM_I32_VAL((int32_t)iterations)}, answers[1] = {WASM_INIT_VAL};
  wasm_val_vec_t args = WASM_ARRAY_VEC(values), results = WASM_ARRAY_VEC(answers);
  if (wasm_func_call(env, &args, &results)) fail("call_host went wrong");
}

static void call_portable(void *env, uint64_t turns) {
  for (uint64_t i = 0; i < turns; i++) {
    wasm_val_t values[2] = {WASM_I32_VAL((int32_t)i), WASM_I32_VAL(3)}, answers[1] = {WASM_INIT_VAL};
    wasm_val_vec_t args = WASM_ARRAY_VEC(values), results = WASM_ARRAY_VEC(answers);
    if (wasm_func_call(env, &args, &results) || answers[0].of.i32 != (int32_t)i + 3) fail("add went wrong");
  }
}

static wasm_module_t *portable_module(wasm_store_t *store, const char *name) {
  char path[4096];
  snprintf(path, sizeof path, "%s/%s", options.guests, name);
  bytes_t text = read_file(path);
  wasm_byte_vec_t binary;
  check(wasmtime_wat2wasm((const char *)text.data, text.size, &binary), NULL, "wat2wasm");
  wasm_module_t *module = wasm_module_new(store, &binary);
  if (!module) fail("module_new");
  wasm_byte_vec_delete(&binary);
  free(text.data);
  return module;
}

/* Runs a loop with the export of calls.wat at this position. */
static void run_portable(size_t position, loop_t loop) {
  wasm_engine_t *engine = wasm_engine_new();
  wasm_store_t *store = wasm_store_new(engine);
  wasm_functype_t *pair = functype_of_i32(2, 1), *nothing = functype_of_i32(0, 0);
  wasm_functype_t *func = wasm_functype_new_1_1(wasm_valtype_new(WASM_FUNCREF), wasm_valtype_new(WASM_FUNCREF));
  wasm_functype_t *value = wasm_functype_new_1_1(wasm_valtype_new(WASM_EXTERNREF), wasm_valtype_new(WASM_EXTERNREF));
  wasm_extern_t *given[4] = {wasm_func_as_extern(wasm_func_new(store, pair, portable_add)),
                             wasm_func_as_extern(wasm_func_new(store, nothing, portable_nothing)),
                             wasm_func_as_extern(wasm_func_new(store, func, portable_nothing)),
                             wasm_func_as_extern(wasm_func_new(store, value, portable_nothing))};
  wasm_extern_vec_t imports = WASM_ARRAY_VEC(given), exports;
  wasm_module_t *module = portable_module(store, "calls.wat");
  wasm_instance_t *instance = wasm_instance_new(store, module, &imports, NULL);
  if (!instance) fail("instantiation");
  wasm_instance_exports(instance, &exports);
  measure(loop, wasm_extern_as_func(exports.data[position]));
}

/* --- Guest to host: the loop is in the guest, one call into it per batch --- */

static void call_guest_loop(void *env, uint64_t iterations) {
  call_t *call = env;
  wasmtime_val_t args[1] = {val_i32((int32_t)iterations)}, result;
  wasm_trap_t *trap = NULL;
  check(wasmtime_func_call(call->context, &call->func, args, 1, &result, 1, &trap), trap, "guest loop");
}

static void call_guest_sum(void *env, uint64_t iterations) {
  call_t *call = env;
  wasmtime_val_t args[1] = {val_i32((int32_t)iterations)}, result;
  wasm_trap_t *trap = NULL;
  check(wasmtime_func_call(call->context, &call->func, args, 1, &result, 1, &trap), trap, "guest loop");
  if ((uint32_t)result.of.i32 != (uint32_t)(iterations * (iterations + 1) / 2)) fail("the host's sums went wrong");
}

static void run_with(const char *export_name, bool checked, loop_t loop) {
  call_t call = prepare(export_name, checked);
  measure(loop, &call);
}

static void case_call_checked(char **a) { (void)a, run_with("add", true, call_checked); }
static void case_call_unchecked(char **a) { (void)a, run_with("add", true, call_unchecked); }
static void case_call_nothing(char **a) { (void)a, run_with("nothing", true, call_nothing); }
static void case_call_wide(char **a) { (void)a, run_with("wide", true, call_wide); }
static void case_call_funcref(char **a) { (void)a, run_with("same", true, call_funcref); }
static void case_call_externref(char **a) { (void)a, run_with("same_value", true, call_externref); }
static void case_call_portable(char **a) { (void)a, run_portable(0, call_portable); }
static void case_host_portable(char **a) { (void)a, run_portable(5, call_portable_loop); }
static void case_host_funcref(char **a) { (void)a, run_with("call_host_funcref", true, call_guest_loop); }
static void case_host_externref(char **a) { (void)a, run_with("call_host_externref", true, call_guest_loop); }
static void case_host_checked(char **a) { (void)a, run_with("call_host", true, call_guest_sum); }
static void case_host_unchecked(char **a) { (void)a, run_with("call_host", false, call_guest_sum); }
static void case_host_nothing(char **a) { (void)a, run_with("call_host_nothing", true, call_guest_loop); }

const case_t call_cases[] = {
    {"call_checked", 0, case_call_checked},     {"call_unchecked", 0, case_call_unchecked},
    {"call_nothing", 0, case_call_nothing},     {"call_wide", 0, case_call_wide},
    {"call_funcref", 0, case_call_funcref},     {"call_portable", 0, case_call_portable},
    {"host_checked", 0, case_host_checked},     {"host_unchecked", 0, case_host_unchecked},
    {"host_nothing", 0, case_host_nothing},     {"call_externref", 0, case_call_externref},
    {"host_funcref", 0, case_host_funcref},     {"host_externref", 0, case_host_externref},
    {"host_portable", 0, case_host_portable},   {NULL, 0, NULL},
};
