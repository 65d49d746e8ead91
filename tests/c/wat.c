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

static bool binary_contains(const wasm_byte_vec_t *binary, const char *part, size_t len) {
  for (size_t at = 0; at + len <= binary->size; at++) {
    if (!memcmp(binary->data + at, part, len)) return true;
  }
  return false;
}

#define LIKELY "(@metadata.code.branch_hint \"\\01\")"
#define UNLIKELY "(@metadata.code.branch_hint \"\\00\")"

static void of_several_branch_hints_the_first_counts(void) {
  const char *texts[] = {
      "(module (func i32.const 0 " LIKELY " " UNLIKELY " if end))",
      "(module (func i32.const 0 " LIKELY LIKELY " (; \xc3\xbc ;) (@other (x \")\")) " UNLIKELY " if end))",
      "(module (func (if (i32.const 0) " UNLIKELY UNLIKELY " (then))) (func i32.const 0 " LIKELY UNLIKELY " if end))",
  };
  // Where the branch is in the body, the length of the hint, the hint.
  const char hint[] = {3, 1, 1};
  for (size_t i = 0; i < 3; i++) {
    wasm_byte_vec_t binary;
    expect_ok(wasmtime_wat2wasm(texts[i], strlen(texts[i]), &binary));
    // One function with one hint.
    char section[] = "metadata.code.branch_hint\1\0\1";
    section[sizeof section - 3] = i == 2 ? 1 : 0;
    expect(binary_contains(&binary, section, sizeof section - 1));
    expect(binary_contains(&binary, hint, sizeof hint));
    wasm_byte_vec_delete(&binary);
  }
}

static void a_branch_hint_before_no_instruction_is_none(void) {
  const char *texts[] = {
      "(module (func " LIKELY "))",
      "(module (func (block " LIKELY UNLIKELY ")))",
      "(module (func (if (i32.const 0) " LIKELY " (then " LIKELY "))))",
  };
  for (size_t i = 0; i < 3; i++) {
    wasm_byte_vec_t binary;
    expect_ok(wasmtime_wat2wasm(texts[i], strlen(texts[i]), &binary));
    expect_ok(wasmtime_module_validate(engine, (const uint8_t *)binary.data, binary.size));
    expect(!binary_contains(&binary, "branch_hint", 11));
    wasm_byte_vec_delete(&binary);
  }
}

static void a_wrong_branch_hint_is_an_error_beside_others_too(void) {
  wasm_byte_vec_t binary;
  const char *text = "(module (func " LIKELY " (@metadata.code.branch_hint \"\\02\") nop))";
  expect_error_says(wasmtime_wat2wasm(text, strlen(text), &binary), "invalid value for branch hint");
  text = "(module (func " LIKELY LIKELY " nop)\n  (func (nonsense)))";
  wasmtime_error_t *error = wasmtime_wat2wasm(text, strlen(text), &binary);
  if (!expect(error != NULL)) return;
  const char *message = test_take_message(error);
  expect(strstr(message, "unknown operator or unexpected token") != NULL);
  expect(strstr(message, "2:10") != NULL);
}

static void only_parameters_of_bodies_have_names_in_the_binary(void) {
  const char *texts[] = {
      "(module (type (func (param $x i32))))",
      "(module (rec (type (func (param $x i32) (param $x i32)))))",
      "(module (tag (param $x i32)))",
      "(module (import \"\" \"\" (func (param $x i32))) (import \"\" \"\" (tag (param $x i32))))",
      "(module (func (import \"\" \"\") (param $x i32)) (tag (import \"\" \"\") (param $x i32)))",
  };
  for (size_t i = 0; i < 5; i++) {
    wasm_byte_vec_t binary;
    expect_ok(wasmtime_wat2wasm(texts[i], strlen(texts[i]), &binary));
    expect(!binary_contains(&binary, "name", 4));
    wasm_byte_vec_delete(&binary);
  }
  const char *text = "(module (type $t (func (param $x i32))) (func (type $t) (param $y i32) (drop (local.get $y))))";
  wasm_byte_vec_t binary;
  expect_ok(wasmtime_wat2wasm(text, strlen(text), &binary));
  // The name section is the last: the local `y`, and the type `t`.
  const char names[] = "\0\x13\4name\2\6\1\0\1\0\1y\4\4\1\0\1t";
  size_t len = sizeof names - 1;
  expect(binary.size > len && !memcmp(binary.data + binary.size - len, names, len));
  wasm_byte_vec_delete(&binary);
}

int main(void) {
  RUN(the_empty_module_is_eight_bytes);
  RUN(empty_text_is_an_error);
  RUN(only_the_given_length_is_read);
  RUN(what_is_not_understood_is_an_error_that_shows_the_place);
  RUN(text_that_is_not_utf8_is_an_error);
  RUN(an_invalid_module_may_have_a_binary);
  RUN(of_several_branch_hints_the_first_counts);
  RUN(a_branch_hint_before_no_instruction_is_none);
  RUN(a_wrong_branch_hint_is_an_error_beside_others_too);
  RUN(only_parameters_of_bodies_have_names_in_the_binary);
  return test_summary();
}
