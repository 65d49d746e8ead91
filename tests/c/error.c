// wasmtime/error.h: messages, exit statuses and traces of errors.
#include "test.h"

static void an_error_has_the_message_it_was_made_with(void) {
  wasmtime_error_t *error = wasmtime_error_new("something failed");
  wasm_name_t message;
  wasmtime_error_message(error, &message);
  expect(name_is(&message, "something failed")); // no NUL is counted
  wasm_name_delete(&message);
  wasmtime_error_message(error, &message); // a second time, of its own
  expect(name_is(&message, "something failed"));
  wasm_name_delete(&message);
  wasmtime_error_delete(error);
}

static void an_error_of_the_host_is_no_exit_and_has_no_frames(void) {
  wasmtime_error_t *error = wasmtime_error_new("something failed");
  int status = 99;
  expect(!wasmtime_error_exit_status(error, &status));
  expect(status == 99);
  wasm_frame_vec_t frames;
  wasmtime_error_wasm_trace(error, &frames);
  expect(frames.size == 0);
  wasm_frame_vec_delete(&frames);
  wasmtime_error_delete(error);
}

static wasmtime_error_t *exit_with(int status) {
  char wat[512];
  snprintf(wat, sizeof wat,
           "(module (import \"wasi_snapshot_preview1\" \"proc_exit\" (func $exit (param i32)))"
           "  (memory (export \"memory\") 1) (func $inner i32.const %d call $exit)"
           "  (func (export \"_start\") call $inner))",
           status);
  wasmtime_linker_t *linker = wasmtime_linker_new(engine);
  expect_ok(wasmtime_linker_define_wasi(linker));
  expect_ok(wasmtime_context_set_wasi(ctx, wasi_config_new()));
  wasmtime_module_t *module = module_of(wat);
  wasmtime_instance_t instance;
  wasm_trap_t *trap = NULL;
  expect_ok(wasmtime_linker_instantiate(linker, ctx, module, &instance, &trap));
  expect_no_trap(trap);
  wasmtime_func_t start = func_of(&instance, "_start");
  wasmtime_error_t *error = wasmtime_func_call(ctx, &start, NULL, 0, NULL, 0, &trap);
  expect_no_trap(trap);
  wasmtime_module_delete(module);
  wasmtime_linker_delete(linker);
  return error;
}

static void an_exit_is_an_error_with_its_status(void) {
  static const int statuses[] = {0, 1, 42, 125};
  for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
    wasmtime_error_t *error = exit_with(statuses[i]);
    int status = 99;
    if (!expect(error != NULL)) continue;
    expect(wasmtime_error_exit_status(error, &status));
    expect(status == statuses[i]);
    char expected[64];
    snprintf(expected, sizeof expected, "Exited with i32 exit status %d", statuses[i]);
    expect_error_says(error, expected);
  }
}

static void an_exit_has_a_trace(void) {
  wasmtime_error_t *error = exit_with(3);
  if (!expect(error != NULL)) return;
  wasm_frame_vec_t frames;
  wasmtime_error_wasm_trace(error, &frames);
  if (expect(frames.size == 2)) {
    expect(wasm_frame_func_index(frames.data[0]) == 1);
    expect(wasm_frame_func_index(frames.data[1]) == 2);
    expect(name_is(wasmtime_frame_func_name(frames.data[0]), "inner"));
  }
  wasm_frame_vec_delete(&frames);
  wasmtime_error_delete(error);
}

static void an_error_names_its_causes(void) {
  wasmtime_error_t *error = module_error(engine, "(module (func (result i32)))");
  const char *message = error ? test_take_message(error) : "";
  expect(strstr(message, "type mismatch") != NULL);
  expect(strstr(message, "at offset") != NULL);
}

static wasmtime_error_t *made_from(const char *bytes, size_t len) {
  wasmtime_module_t *module = NULL;
  wasmtime_error_t *error = wasmtime_module_new(engine, (const uint8_t *)bytes, len, &module);
  if (module) wasmtime_module_delete(module);
  return error;
}

// What is wrong in a function names the function; all else names the module.
static void an_error_names_the_part_of_a_module(void) {
  const char *message = test_take_message(module_error(engine, "(module (import \"a\" \"b\" (func)) (func)"
                                                               "  (func $sum (result i32)) (func (result i64)))"));
  expect(!strcmp(message, "failed to compile: wasm[0]::function[2]::sum\n\nCaused by:\n"
                          "    0: WebAssembly translation error\n"
                          "    1: Invalid input WebAssembly code at offset 45: type mismatch: expected i32 but nothing on stack\n"));
  message = test_take_message(module_error(engine, "(module (func (drop (local.get 3))))"));
  expect(strstr(message, "failed to compile: wasm[0]::function[0]\n") == message);
  message = test_take_message(module_error(engine, "(module (global i32 (i64.const 0)))"));
  expect(!strcmp(message, "failed to parse WebAssembly module\n\nCaused by:\n"
                          "    type mismatch: expected i32, found i64 (at offset 0xf)\n"));
  expect_error_says(made_from("\0asm\15\0\1\0", 8), "expected a WebAssembly module but was given a WebAssembly component");
}

// Also where many bodies are looked at by several threads.
static void of_several_invalid_functions_the_first_is_named(void) {
  enum { FUNCS = 300, LEN = FUNCS * 48 };
  char *wat = calloc(LEN, 1);
  size_t len = (size_t)snprintf(wat, LEN, "(module");
  for (int i = 0; i < FUNCS; i++) len += (size_t)snprintf(wat + len, LEN - len, " (func%s)", i == 7 || i > 100 ? " drop" : "");
  snprintf(wat + len, LEN - len, ")");
  for (int i = 0; i < 20; i++) expect_error_says(module_error(engine, wat), "failed to compile: wasm[0]::function[7]\n");
  free(wat);
}

int main(void) {
  RUN(an_error_has_the_message_it_was_made_with);
  RUN(an_error_of_the_host_is_no_exit_and_has_no_frames);
  RUN(an_exit_is_an_error_with_its_status);
  RUN(an_exit_has_a_trace);
  RUN(an_error_names_its_causes);
  RUN(an_error_names_the_part_of_a_module);
  RUN(of_several_invalid_functions_the_first_is_named);
  return test_summary();
}
