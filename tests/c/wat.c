// wasmtime/wat.h: text to binary.
#include "test.h"

static void the_empty_module_is_eight_bytes(void) {
  wasm_byte_vec_t binary;
  expect_ok(wasmtime_wat2wasm("(module)", 8, &binary));
  expect(binary.size == 8 && !memcmp(binary.data, "\0asm\1\0\0\0", 8));
  wasm_byte_vec_delete(&binary);
}

static void empty_text_is_an_error(void) {
  wasm_byte_vec_t binary;
  expect_error_says(wasmtime_wat2wasm("", 0, &binary), "expected at least one module field");
}

static void only_the_given_length_is_read(void) {
  wasm_byte_vec_t binary;
  expect_ok(wasmtime_wat2wasm("(module) (nonsense", 8, &binary));
  expect(binary.size == 8);
  wasm_byte_vec_delete(&binary);
}

static void what_is_not_understood_is_an_error_that_shows_the_place(void) {
  wasm_byte_vec_t binary;
  const char *text = "(module\n  (func (nonsense)))";
  wasmtime_error_t *error = wasmtime_wat2wasm(text, strlen(text), &binary);
  if (!expect(error != NULL)) return;
  const char *message = test_take_message(error);
  expect(strstr(message, "unknown operator or unexpected token") != NULL);
  expect(strstr(message, "2:10") != NULL);
  expect(strstr(message, "(func (nonsense)))") != NULL);
}

static void text_that_is_not_utf8_is_an_error(void) {
  wasm_byte_vec_t binary;
  expect_error(wasmtime_wat2wasm("(module \xff)", 10, &binary));
}

static void an_invalid_module_may_have_a_binary(void) {
  wasm_byte_vec_t binary;
  const char *text = "(module (func (result i32)))";
  expect_ok(wasmtime_wat2wasm(text, strlen(text), &binary));
  expect_error(wasmtime_module_validate(engine, (const uint8_t *)binary.data, binary.size));
  wasm_byte_vec_delete(&binary);
}

int main(void) {
  RUN(the_empty_module_is_eight_bytes);
  RUN(empty_text_is_an_error);
  RUN(only_the_given_length_is_read);
  RUN(what_is_not_understood_is_an_error_that_shows_the_place);
  RUN(text_that_is_not_utf8_is_an_error);
  RUN(an_invalid_module_may_have_a_binary);
  return test_summary();
}
