// The library without the compiler: it runs what was compiled before, with host functions of every kind, and says what it can't.
//
// Usage: run GUEST HELLO, two compiled modules: tests/min/guest.wat, and a WASI program that prints.

#include "../c/test.h"

#include <unistd.h>

#ifdef WASMTIME_FEATURE_COMPILER
#error "this is about a library without the compiler"
#endif

static const char *guest_file, *hello_file;

static wasm_trap_t *twice(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                          wasmtime_val_t *results, size_t nresults) {
  (void)caller, (void)nargs, (void)nresults;
  ++*(int *)env;
  results[0] = i32_val(args[0].of.i32 * 2);
  return NULL;
}

static wasm_trap_t *stop(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                         wasmtime_val_t *results, size_t nresults) {
  (void)env, (void)caller, (void)args, (void)nargs, (void)results, (void)nresults;
  return wasmtime_trap_new("as asked", 8);
}

static wasm_trap_t *keep(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                         wasmtime_val_t *results, size_t nresults) {
  (void)env, (void)nargs, (void)nresults;
  results[0] = args[0];
  if (!wasmtime_externref_is_null(&args[0].of.externref))
    wasmtime_externref_clone(&args[0].of.externref, &results[0].of.externref);
  (void)caller;
  return NULL;
}

static wasm_trap_t *mixed(void *env, wasmtime_caller_t *caller, wasmtime_val_raw_t *values, size_t len) {
  (void)env, (void)caller, (void)len;
  values[0].f64 = (double)values[0].i64 + values[1].f64;
  return NULL;
}

static wasm_functype_t *mixed_type(void) {
  wasm_valtype_t *params[2] = {wasm_valtype_new(WASM_I64), wasm_valtype_new(WASM_F64)};
  wasm_valtype_t *results[1] = {wasm_valtype_new(WASM_F64)};
  wasm_valtype_vec_t in, out;
  wasm_valtype_vec_new(&in, 2, params);
  wasm_valtype_vec_new(&out, 1, results);
  return wasm_functype_new(&in, &out);
}

static wasmtime_instance_t instantiate(int *calls) {
  wasmtime_linker_t *linker = wasmtime_linker_new(engine);
  wasm_functype_t *twice_type = wasm_functype_new_1_1(wasm_valtype_new(WASM_I32), wasm_valtype_new(WASM_I32));
  wasm_functype_t *stop_type = wasm_functype_new_0_0();
  wasm_functype_t *keep_type =
      wasm_functype_new_1_1(wasm_valtype_new(WASM_EXTERNREF), wasm_valtype_new(WASM_EXTERNREF));
  // Before any module is there.
  expect_ok(wasmtime_linker_define_func(linker, "host", 4, "twice", 5, twice_type, twice, calls, NULL));
  expect_ok(wasmtime_linker_define_func(linker, "host", 4, "stop", 4, stop_type, stop, NULL, NULL));
  expect_ok(wasmtime_linker_define_func(linker, "host", 4, "keep", 4, keep_type, keep, NULL, NULL));
  wasm_functype_delete(twice_type);
  wasm_functype_delete(stop_type);
  wasm_functype_delete(keep_type);
  wasmtime_module_t *module = NULL;
  wasmtime_instance_t instance;
  wasm_trap_t *trap = NULL;
  if (!expect_ok(wasmtime_module_deserialize_file(engine, guest_file, &module))) exit(1);
  if (!expect_ok(wasmtime_linker_instantiate(linker, ctx, module, &instance, &trap))) exit(1);
  expect_no_trap(trap);
  wasmtime_module_delete(module);
  wasmtime_linker_delete(linker);
  return instance;
}

static void a_guest_calls_and_is_called(void) {
  int calls = 0;
  wasmtime_instance_t instance = instantiate(&calls);
  wasmtime_func_t run = func_of(&instance, "run");
  expect(call1(&run, 20) == 41 && call1(&run, -3) == -5 && calls == 2);
  wasmtime_val_raw_t raw[1];
  raw[0].i32 = 7;
  wasm_trap_t *trap = NULL;
  expect_ok(wasmtime_func_call_unchecked(ctx, &run, raw, 1, &trap));
  expect_no_trap(trap);
  expect(raw[0].i32 == 15);
  wasmtime_extern_t memory = export_of(&instance, "memory");
  expect(!memcmp(wasmtime_memory_data(ctx, &memory.of.memory) + 8, "precompiled", 11));
}

static void a_host_function_from_before_any_module_works_once_one_is_there(void) {
  wasm_functype_t *type = mixed_type();
  wasmtime_func_t func;
  wasmtime_func_new_unchecked(ctx, type, mixed, NULL, NULL, &func);
  wasm_functype_delete(type);
  int calls = 0;
  wasmtime_instance_t instance = instantiate(&calls);
  wasmtime_extern_t table = export_of(&instance, "table");
  wasmtime_val_t val = funcref_val(&func);
  expect_ok(wasmtime_table_set(ctx, &table.of.table, 0, &val));
  wasmtime_func_t indirect = func_of(&instance, "indirect");
  for (int round = 0; round < 3; round++) {
    wasmtime_val_raw_t raw[2];
    raw[0].i64 = 40 + round;
    raw[1].f64 = 0.5;
    wasm_trap_t *trap = NULL;
    expect_ok(wasmtime_func_call_unchecked(ctx, &indirect, raw, 2, &trap));
    expect_no_trap(trap);
    expect(raw[0].f64 == 40.5 + round);
  }
}

static void a_type_that_no_module_has_cannot_be_called(void) {
  wasm_functype_t *type = wasm_functype_new_1_1(wasm_valtype_new(WASM_F32), wasm_valtype_new(WASM_I64));
  wasmtime_func_t func;
  int calls = 0;
  wasmtime_func_new(ctx, type, twice, &calls, NULL, &func);
  wasm_functype_delete(type);
  wasmtime_val_t arg = i32_val(0), result;
  arg.kind = WASMTIME_F32;
  wasm_trap_t *trap = NULL;
  expect_error_says(wasmtime_func_call(ctx, &func, &arg, 1, &result, 1, &trap), "no compiler");
  expect(calls == 0);
}

static void references_cross(void) {
  int calls = 0, finalized = 0;
  wasmtime_instance_t instance = instantiate(&calls);
  wasmtime_func_t func = func_of(&instance, "keep");
  wasmtime_val_t arg = null_externref_val(), result;
  wasm_trap_t *trap = NULL;
  expect_ok(wasmtime_func_call(ctx, &func, &arg, 1, &result, 1, &trap));
  expect_no_trap(trap);
  expect(wasmtime_externref_is_null(&result.of.externref));
  expect(wasmtime_externref_new(ctx, &finalized, count_finalized, &arg.of.externref));
  expect_ok(wasmtime_func_call(ctx, &func, &arg, 1, &result, 1, &trap));
  expect(wasmtime_externref_data(ctx, &result.of.externref) == &finalized);
  wasmtime_val_unroot(&arg);
  wasmtime_val_unroot(&result);
  expect_ok(wasmtime_context_gc(ctx));
  expect(finalized == 1);
}

static void guests_trap(void) {
  int calls = 0;
  wasmtime_instance_t instance = instantiate(&calls);
  wasmtime_func_t deep = func_of(&instance, "deep"), outside = func_of(&instance, "outside");
  wasmtime_func_t stopping = func_of(&instance, "stopping");
  wasmtime_val_t arg = i32_val(3), result;
  wasm_trap_t *trap = NULL;
  expect_ok(wasmtime_func_call(ctx, &deep, &arg, 1, &result, 1, &trap));
  if (expect(trap != NULL)) {
    wasm_frame_vec_t frames;
    wasm_trap_trace(trap, &frames);
    expect(frames.size == 4 && wasm_frame_func_index(frames.data[0]) == wasm_frame_func_index(frames.data[3]));
    wasm_frame_vec_delete(&frames);
  }
  expect_trap(trap, WASMTIME_TRAP_CODE_UNREACHABLE_CODE_REACHED);
  arg = i32_val(1 << 30);
  trap = NULL;
  expect_ok(wasmtime_func_call(ctx, &deep, &arg, 1, &result, 1, &trap));
  expect_trap(trap, WASMTIME_TRAP_CODE_STACK_OVERFLOW);
  trap = NULL;
  expect_ok(wasmtime_func_call(ctx, &outside, NULL, 0, &result, 1, &trap));
  expect_trap(trap, WASMTIME_TRAP_CODE_MEMORY_OUT_OF_BOUNDS);
  trap = NULL;
  expect_error_says(wasmtime_func_call(ctx, &stopping, NULL, 0, NULL, 0, &trap), "as asked");
}

static void a_wasi_program_prints(void) {
  wasmtime_linker_t *linker = wasmtime_linker_new(engine);
  expect_ok(wasmtime_linker_define_wasi(linker));
  wasi_config_t *wasi = wasi_config_new();
  char out[] = "/tmp/ampoule-min-XXXXXX";
  int file = mkstemp(out);
  expect(file >= 0 && wasi_config_set_stdout_file(wasi, out));
  expect_ok(wasmtime_context_set_wasi(ctx, wasi));
  wasmtime_module_t *module = NULL;
  wasmtime_instance_t instance;
  wasm_trap_t *trap = NULL;
  if (!expect_ok(wasmtime_module_deserialize_file(engine, hello_file, &module))) exit(1);
  if (!expect_ok(wasmtime_linker_instantiate(linker, ctx, module, &instance, &trap))) exit(1);
  expect_no_trap(trap);
  wasmtime_func_t start = func_of(&instance, "_start");
  trap = NULL;
  wasmtime_error_t *error = wasmtime_func_call(ctx, &start, NULL, 0, NULL, 0, &trap);
  int status = 0;
  if (error) {
    expect(wasmtime_error_exit_status(error, &status) && status == 0);
    wasmtime_error_delete(error);
  }
  expect_no_trap(trap);
  char said[256] = {0};
  expect(read(file, said, sizeof said - 1) > 0 && strstr(said, "ello"));
  close(file);
  unlink(out);
  wasmtime_module_delete(module);
  wasmtime_linker_delete(linker);
}

static void nothing_is_compiled(void) {
  static const char empty[] = "\0asm\1\0\0\0";
  wasm_byte_vec_t binary;
  wasm_byte_vec_new(&binary, 8, empty);
  wasm_store_t *objects = wasm_store_new(engine);
  expect(wasm_module_new(objects, &binary) == NULL);
  wasm_store_delete(objects);
  wasm_byte_vec_delete(&binary);
  wasmtime_module_t *module = NULL;
  expect_error_says(wasmtime_module_deserialize(engine, (const uint8_t *)empty, 8, &module), "not a compiled module");
  wasm_config_t *config = wasm_config_new();
  expect_error_says(wasmtime_config_target_set(config, "x86_64-unknown-linux-gnu"), "no compiler");
  wasm_config_delete(config);
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  guest_file = argv[1];
  hello_file = argv[2];
  RUN(a_host_function_from_before_any_module_works_once_one_is_there);
  RUN(a_guest_calls_and_is_called);
  RUN(a_type_that_no_module_has_cannot_be_called);
  RUN(references_cross);
  RUN_FAULTING(guests_trap);
  RUN(a_wasi_program_prints);
  RUN(nothing_is_compiled);
  return test_summary();
}
