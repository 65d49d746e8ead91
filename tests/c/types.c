// The types and vectors of wasm.h: what they hold, who owns what, and their views.
#include "test.h"

static void a_byte_vector_copies_what_it_is_given(void) {
  wasm_byte_vec_t vec, copy;
  char bytes[] = "hello";
  wasm_byte_vec_new(&vec, 5, bytes);
  bytes[0] = 'j';
  expect(vec.size == 5 && !memcmp(vec.data, "hello", 5));
  wasm_byte_vec_copy(&copy, &vec);
  expect(copy.size == 5 && copy.data != vec.data && !memcmp(copy.data, "hello", 5));
  wasm_byte_vec_delete(&vec);
  expect(!memcmp(copy.data, "hello", 5));
  wasm_byte_vec_delete(&copy);
  wasm_byte_vec_new_uninitialized(&vec, 3);
  expect(vec.size == 3);
  memset(vec.data, 1, 3);
  wasm_byte_vec_delete(&vec);
  wasm_byte_vec_new_empty(&vec);
  expect(vec.size == 0);
  wasm_byte_vec_delete(&vec);
}

static void names_come_from_strings(void) {
  wasm_name_t name;
  wasm_name_new_from_string(&name, "abc");
  expect(name.size == 3);
  wasm_name_delete(&name);
  wasm_name_new_from_string_nt(&name, "abc");
  expect(name.size == 4 && name.data[3] == 0);
  wasm_name_delete(&name);
}

static void value_types_know_their_kind(void) {
  static const wasm_valkind_t kinds[] = {WASM_I32, WASM_I64, WASM_F32, WASM_F64, WASM_EXTERNREF, WASM_FUNCREF};
  for (size_t i = 0; i < 6; i++) {
    wasm_valtype_t *type = wasm_valtype_new(kinds[i]), *copy = wasm_valtype_copy(type);
    expect(wasm_valtype_kind(type) == kinds[i]);
    expect(wasm_valtype_is_num(type) == (i < 4) && wasm_valtype_is_ref(type) == (i >= 4));
    wasm_valtype_delete(type);
    expect(wasm_valtype_kind(copy) == kinds[i]);
    wasm_valtype_delete(copy);
  }
}

static void vectors_of_types_own_their_elements(void) {
  wasm_valtype_t *types[2] = {wasm_valtype_new_i32(), wasm_valtype_new_f64()};
  wasm_valtype_vec_t vec, copy, empty;
  wasm_valtype_vec_new(&vec, 2, types);
  wasm_valtype_vec_copy(&copy, &vec);
  expect(copy.data[1] != vec.data[1]);
  wasm_valtype_vec_delete(&vec);
  expect(copy.size == 2 && wasm_valtype_kind(copy.data[1]) == WASM_F64);
  wasm_valtype_vec_delete(&copy);
  wasm_valtype_vec_new_uninitialized(&vec, 2);
  vec.data[0] = wasm_valtype_new_i64();
  vec.data[1] = wasm_valtype_new_funcref();
  wasm_valtype_vec_delete(&vec);
  wasm_valtype_vec_new_empty(&empty);
  wasm_valtype_vec_delete(&empty);
}

static void a_function_type_takes_its_vectors_over(void) {
  wasm_valtype_vec_t params, results;
  wasm_valtype_t *param = wasm_valtype_new_i32(), *result = wasm_valtype_new_externref();
  wasm_valtype_vec_new(&params, 1, &param);
  wasm_valtype_vec_new(&results, 1, &result);
  wasm_functype_t *type = wasm_functype_new(&params, &results);
  expect(params.size == 0 && results.size == 0);
  wasm_functype_t *copy = wasm_functype_copy(type);
  wasm_functype_delete(type);
  expect(wasm_functype_params(copy)->size == 1 && wasm_functype_results(copy)->size == 1);
  expect(wasm_valtype_kind(wasm_functype_params(copy)->data[0]) == WASM_I32);
  expect(wasm_valtype_kind(wasm_functype_results(copy)->data[0]) == WASM_EXTERNREF);
  wasm_functype_delete(copy);
}

static bool has_arity(wasm_functype_t *type, size_t params, size_t results) {
  bool holds = wasm_functype_params(type)->size == params && wasm_functype_results(type)->size == results;
  wasm_functype_delete(type);
  return holds;
}

static void function_types_are_made_briefly(void) {
  wasm_valtype_t *(*t)(void) = wasm_valtype_new_i32;
  expect(has_arity(wasm_functype_new_0_0(), 0, 0));
  expect(has_arity(wasm_functype_new_1_0(t()), 1, 0));
  expect(has_arity(wasm_functype_new_2_0(t(), t()), 2, 0));
  expect(has_arity(wasm_functype_new_3_0(t(), t(), t()), 3, 0));
  expect(has_arity(wasm_functype_new_0_1(t()), 0, 1));
  expect(has_arity(wasm_functype_new_1_1(t(), t()), 1, 1));
  expect(has_arity(wasm_functype_new_2_1(t(), t(), t()), 2, 1));
  expect(has_arity(wasm_functype_new_3_1(t(), t(), t(), t()), 3, 1));
  expect(has_arity(wasm_functype_new_0_2(t(), t()), 0, 2));
  expect(has_arity(wasm_functype_new_1_2(t(), t(), t()), 1, 2));
  expect(has_arity(wasm_functype_new_2_2(t(), t(), t(), t()), 2, 2));
  expect(has_arity(wasm_functype_new_3_2(t(), t(), t(), t(), t()), 3, 2));
}

static void a_global_type_has_content_and_mutability(void) {
  wasm_globaltype_t *type = wasm_globaltype_new(wasm_valtype_new_i64(), WASM_CONST), *copy = wasm_globaltype_copy(type);
  wasm_globaltype_delete(type);
  expect(wasm_valtype_kind(wasm_globaltype_content(copy)) == WASM_I64);
  expect(wasm_globaltype_mutability(copy) == WASM_CONST);
  wasm_globaltype_delete(copy);
}

static void a_table_type_has_element_and_limits(void) {
  wasm_limits_t limits = {1, wasm_limits_max_default};
  wasm_tabletype_t *type = wasm_tabletype_new(wasm_valtype_new_funcref(), &limits), *copy = wasm_tabletype_copy(type);
  wasm_tabletype_delete(type);
  expect(wasm_valtype_kind(wasm_tabletype_element(copy)) == WASM_FUNCREF);
  expect(wasm_tabletype_limits(copy)->min == 1 && wasm_tabletype_limits(copy)->max == wasm_limits_max_default);
  wasm_tabletype_delete(copy);
}

static void a_memory_type_has_limits(void) {
  wasm_limits_t limits = {2, 3};
  wasm_memorytype_t *type = wasm_memorytype_new(&limits), *copy = wasm_memorytype_copy(type);
  wasm_memorytype_delete(type);
  expect(wasm_memorytype_limits(copy)->min == 2 && wasm_memorytype_limits(copy)->max == 3);
  uint64_t max = 0;
  expect(wasmtime_memorytype_minimum(copy) == 2 && wasmtime_memorytype_maximum(copy, &max) && max == 3);
  wasm_memorytype_delete(copy);
  limits.max = wasm_limits_max_default;
  type = wasm_memorytype_new(&limits);
  expect(wasm_memorytype_limits(type)->max == wasm_limits_max_default && !wasmtime_memorytype_maximum(type, &max));
  wasm_memorytype_delete(type);
}

static void an_extern_type_is_a_view(void) {
  wasm_limits_t limits = {1, 2};
  wasm_functype_t *func = wasm_functype_new_0_0();
  wasm_globaltype_t *global = wasm_globaltype_new(wasm_valtype_new_i32(), WASM_VAR);
  wasm_tabletype_t *table = wasm_tabletype_new(wasm_valtype_new_funcref(), &limits);
  wasm_memorytype_t *memory = wasm_memorytype_new(&limits);
  wasm_externtype_t *views[4] = {wasm_functype_as_externtype(func), wasm_globaltype_as_externtype(global),
                                 wasm_tabletype_as_externtype(table), wasm_memorytype_as_externtype(memory)};
  static const wasm_externkind_t kinds[] = {WASM_EXTERN_FUNC, WASM_EXTERN_GLOBAL, WASM_EXTERN_TABLE, WASM_EXTERN_MEMORY};
  for (size_t i = 0; i < 4; i++) {
    expect(wasm_externtype_kind(views[i]) == kinds[i]);
    expect((wasm_externtype_as_functype(views[i]) != NULL) == (i == 0));
    expect((wasm_externtype_as_globaltype(views[i]) != NULL) == (i == 1));
    expect((wasm_externtype_as_tabletype(views[i]) != NULL) == (i == 2));
    expect((wasm_externtype_as_memorytype(views[i]) != NULL) == (i == 3));
    expect((wasm_externtype_as_functype_const(views[i]) != NULL) == (i == 0));
    expect((wasm_externtype_as_globaltype_const(views[i]) != NULL) == (i == 1));
    expect((wasm_externtype_as_tabletype_const(views[i]) != NULL) == (i == 2));
    expect((wasm_externtype_as_memorytype_const(views[i]) != NULL) == (i == 3));
    wasm_externtype_t *copy = wasm_externtype_copy(views[i]);
    expect(wasm_externtype_kind(copy) == kinds[i]);
    wasm_externtype_delete(copy);
  }
  expect(wasm_externtype_kind(wasm_functype_as_externtype_const(func)) == WASM_EXTERN_FUNC);
  expect(wasm_externtype_kind(wasm_globaltype_as_externtype_const(global)) == WASM_EXTERN_GLOBAL);
  expect(wasm_externtype_kind(wasm_tabletype_as_externtype_const(table)) == WASM_EXTERN_TABLE);
  expect(wasm_externtype_kind(wasm_memorytype_as_externtype_const(memory)) == WASM_EXTERN_MEMORY);
  wasm_functype_delete(func);
  wasm_globaltype_delete(global);
  wasm_externtype_delete(views[2]); // through either view, once
  wasm_memorytype_delete(memory);
}

static void an_import_type_takes_its_parts_over(void) {
  wasm_name_t module, name;
  wasm_name_new_from_string(&module, "env");
  wasm_name_new_from_string(&name, "f");
  wasm_importtype_t *type = wasm_importtype_new(&module, &name, wasm_functype_as_externtype(wasm_functype_new_0_0()));
  wasm_importtype_t *copy = wasm_importtype_copy(type);
  wasm_importtype_delete(type);
  expect(name_is(wasm_importtype_module(copy), "env") && name_is(wasm_importtype_name(copy), "f"));
  expect(wasm_externtype_kind(wasm_importtype_type(copy)) == WASM_EXTERN_FUNC);
  wasm_importtype_vec_t vec, second;
  wasm_importtype_vec_new(&vec, 1, &copy);
  wasm_importtype_vec_copy(&second, &vec);
  wasm_importtype_vec_delete(&vec);
  expect(second.size == 1 && name_is(wasm_importtype_name(second.data[0]), "f"));
  wasm_importtype_vec_delete(&second);
}

static void an_export_type_takes_its_parts_over(void) {
  wasm_name_t name;
  wasm_limits_t limits = {1, 2};
  wasm_name_new_from_string(&name, "memory");
  wasm_exporttype_t *type = wasm_exporttype_new(&name, wasm_memorytype_as_externtype(wasm_memorytype_new(&limits)));
  wasm_exporttype_t *copy = wasm_exporttype_copy(type);
  wasm_exporttype_delete(type);
  expect(name_is(wasm_exporttype_name(copy), "memory"));
  expect(wasm_externtype_kind(wasm_exporttype_type(copy)) == WASM_EXTERN_MEMORY);
  wasm_exporttype_vec_t vec, second;
  wasm_exporttype_vec_new(&vec, 1, &copy);
  wasm_exporttype_vec_copy(&second, &vec);
  wasm_exporttype_vec_delete(&vec);
  expect(second.size == 1);
  wasm_exporttype_vec_delete(&second);
}

#define VECTOR_CLAIM(name, element)                        \
  do {                                                     \
    wasm_##name##_vec_t vec, copy;                         \
    wasm_##name##_t *elements[2] = {(element), (element)}; \
    wasm_##name##_vec_new(&vec, 2, elements);              \
    wasm_##name##_vec_copy(&copy, &vec);                   \
    expect(copy.size == 2 && copy.data[0] != vec.data[0]); \
    wasm_##name##_vec_delete(&vec);                        \
    wasm_##name##_vec_delete(&copy);                       \
    wasm_##name##_vec_new_empty(&vec);                     \
    expect(vec.size == 0);                                 \
    wasm_##name##_vec_delete(&vec);                        \
    wasm_##name##_vec_new_uninitialized(&vec, 1);          \
    expect(vec.size == 1);                                 \
    vec.data[0] = (element);                               \
    wasm_##name##_vec_delete(&vec);                        \
  } while (0)

static void every_vector_of_types_works_alike(void) {
  wasm_limits_t limits = {1, 2};
  VECTOR_CLAIM(valtype, wasm_valtype_new_i32());
  VECTOR_CLAIM(functype, wasm_functype_new_1_0(wasm_valtype_new_i32()));
  VECTOR_CLAIM(globaltype, wasm_globaltype_new(wasm_valtype_new_i32(), WASM_VAR));
  VECTOR_CLAIM(tabletype, wasm_tabletype_new(wasm_valtype_new_funcref(), &limits));
  VECTOR_CLAIM(memorytype, wasm_memorytype_new(&limits));
  VECTOR_CLAIM(externtype, wasm_memorytype_as_externtype(wasm_memorytype_new(&limits)));
}

int main(void) {
  RUN(a_byte_vector_copies_what_it_is_given);
  RUN(names_come_from_strings);
  RUN(value_types_know_their_kind);
  RUN(vectors_of_types_own_their_elements);
  RUN(a_function_type_takes_its_vectors_over);
  RUN(function_types_are_made_briefly);
  RUN(a_global_type_has_content_and_mutability);
  RUN(a_table_type_has_element_and_limits);
  RUN(a_memory_type_has_limits);
  RUN(an_extern_type_is_a_view);
  RUN(an_import_type_takes_its_parts_over);
  RUN(an_export_type_takes_its_parts_over);
  RUN(every_vector_of_types_works_alike);
  return test_summary();
}
