// wasmtime/tag.h: the identities of exceptions, and their types.
#include "test.h"

// The type of tags with one field of this kind, or none for 255.
static wasm_tagtype_t *tag_type(wasm_valkind_t field) {
  wasm_valtype_vec_t params, results;
  if (field == 255) {
    wasm_valtype_vec_new_empty(&params);
  } else {
    wasm_valtype_t *type = wasm_valtype_new(field);
    wasm_valtype_vec_new(&params, 1, &type);
  }
  wasm_valtype_vec_new_empty(&results);
  return wasm_tagtype_new(wasm_functype_new(&params, &results));
}

static wasmtime_tag_t new_tag(wasm_valkind_t field) {
  wasm_tagtype_t *type = tag_type(field);
  wasmtime_tag_t tag;
  expect_ok(wasmtime_tag_new(ctx, type, &tag));
  wasm_tagtype_delete(type);
  return tag;
}

static void a_tag_tells_its_type(void) {
  wasmtime_tag_t tag = new_tag(WASM_F64);
  expect(tag.store_id != 0);
  wasm_tagtype_t *type = wasmtime_tag_type(ctx, &tag);
  const wasm_functype_t *func = wasm_tagtype_functype(type);
  expect(wasm_functype_params(func)->size == 1 && wasm_functype_results(func)->size == 0);
  expect(wasm_valtype_kind(wasm_functype_params(func)->data[0]) == WASM_F64);
  wasm_tagtype_delete(type);
}

static void tags_of_one_type_are_different(void) {
  wasmtime_tag_t a = new_tag(WASM_I32), b = new_tag(WASM_I32), copy = a;
  expect(wasmtime_tag_eq(ctx, &a, &a) && wasmtime_tag_eq(ctx, &a, &copy));
  expect(!wasmtime_tag_eq(ctx, &a, &b));
}

static void a_tag_has_no_results(void) {
  wasm_functype_t *func = wasm_functype_new_0_1(wasm_valtype_new_i32());
  wasm_tagtype_t *type = wasm_tagtype_new(func);
  wasmtime_tag_t tag;
  memset(&tag, 0, sizeof tag);
  expect_error_says(wasmtime_tag_new(ctx, type, &tag), "results");
  expect(tag.store_id == 0);
  wasm_tagtype_delete(type);
}

static void tag_types_are_extern_types(void) {
  wasm_tagtype_t *type = tag_type(WASM_I64), *copy = wasm_tagtype_copy(type);
  wasm_externtype_t *view = wasm_tagtype_as_externtype(copy);
  wasm_tagtype_delete(type);
  expect(wasm_externtype_kind(view) == WASM_EXTERN_TAG);
  expect(wasm_externtype_as_tagtype(view) == copy);
  expect(wasm_externtype_as_tagtype_const(wasm_tagtype_as_externtype_const(copy)) == copy);
  expect(!wasm_externtype_as_functype(view) && !wasm_externtype_as_memorytype_const(view));
  wasm_externtype_t *other = wasm_externtype_copy(view);
  wasm_tagtype_delete(copy);
  const wasm_functype_t *func = wasm_tagtype_functype(wasm_externtype_as_tagtype(other));
  expect(wasm_valtype_kind(wasm_functype_params(func)->data[0]) == WASM_I64);
  wasm_externtype_delete(other);
  wasm_functype_t *functype = wasm_functype_new_0_0();
  expect(!wasm_externtype_as_tagtype(wasm_functype_as_externtype(functype)));
  expect(!wasm_externtype_as_tagtype_const(wasm_functype_as_externtype_const(functype)));
  wasm_functype_delete(functype);
}

static void a_tag_is_an_extern_and_can_be_defined(void) {
  wasmtime_extern_t item, found;
  item.kind = WASMTIME_EXTERN_TAG;
  item.of.tag = new_tag(255);
  wasm_externtype_t *type = wasmtime_extern_type(ctx, &item);
  expect(wasm_externtype_kind(type) == WASM_EXTERN_TAG);
  wasm_externtype_delete(type);
  wasmtime_linker_t *linker = wasmtime_linker_new(engine);
  expect_ok(wasmtime_linker_define(linker, ctx, "m", 1, "tag", 3, &item));
  expect_error_says(wasmtime_linker_define(linker, ctx, "m", 1, "tag", 3, &item), "defined twice");
  if (expect(wasmtime_linker_get(linker, ctx, "m", 1, "tag", 3, &found))) {
    expect(found.kind == WASMTIME_EXTERN_TAG && wasmtime_tag_eq(ctx, &found.of.tag, &item.of.tag));
    wasmtime_extern_delete(&found);
  }
  wasmtime_linker_delete(linker);
}

static void a_tag_is_no_function(void) {
  wasmtime_module_t *module = module_of("(module (import \"m\" \"f\" (func)))");
  wasmtime_extern_t item;
  item.kind = WASMTIME_EXTERN_TAG;
  item.of.tag = new_tag(255);
  wasmtime_instance_t instance;
  wasm_trap_t *trap = NULL;
  expect_error_says(wasmtime_instance_new(ctx, module, &item, 1, &instance, &trap), "expected func, but found tag");
  expect_no_trap(trap);
  wasmtime_module_delete(module);
}

int main(void) {
  RUN(a_tag_tells_its_type);
  RUN(tags_of_one_type_are_different);
  RUN(a_tag_has_no_results);
  RUN(tag_types_are_extern_types);
  RUN(a_tag_is_an_extern_and_can_be_defined);
  RUN(a_tag_is_no_function);
  return test_summary();
}
