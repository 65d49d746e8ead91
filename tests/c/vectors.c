// Claims about wasm.h's vectors and views: each family of vectors owns its elements, each view is the object itself.

#include "portable.h"

// The same for every family: empty, uninitialized, new, copy, delete. `make` gives one element; `like` says whether a
// copy is what it should be.
#define FAMILY(name, type, make, like)                                                                                 \
  static void vectors_of_##name(void) {                                                                                \
    wasm_##name##_vec_t empty, filled, made, copy;                                                                     \
    wasm_##name##_vec_new_empty(&empty);                                                                               \
    expect(empty.size == 0);                                                                                           \
    wasm_##name##_vec_copy(&copy, &empty);                                                                             \
    expect(copy.size == 0);                                                                                            \
    wasm_##name##_vec_delete(&copy);                                                                                   \
    wasm_##name##_vec_delete(&empty);                                                                                  \
    wasm_##name##_vec_new(&made, 0, NULL);                                                                             \
    expect(made.size == 0);                                                                                            \
    wasm_##name##_vec_delete(&made);                                                                                   \
    /* Elements may stay away: a vector is deleted with the nulls that are in it. */                                   \
    wasm_##name##_vec_new_uninitialized(&filled, 3);                                                                   \
    need(filled.size == 3 && filled.data);                                                                             \
    for (size_t i = 0; i < 3; i++) expect(filled.data[i] == NULL);                                                     \
    filled.data[1] = make();                                                                                           \
    wasm_##name##_vec_delete(&filled);                                                                                 \
    expect(filled.size == 0 && filled.data == NULL);                                                                   \
    /* The elements move, the array stays. */                                                                          \
    type *elements[2] = {make(), make()};                                                                              \
    wasm_##name##_vec_new(&made, 2, elements);                                                                         \
    need(made.size == 2);                                                                                              \
    expect(made.data != elements && made.data[0] == elements[0] && made.data[1] == elements[1]);                       \
    wasm_##name##_vec_copy(&copy, &made);                                                                              \
    need(copy.size == 2);                                                                                              \
    expect(copy.data[0] != made.data[0]);                                                                              \
    wasm_##name##_vec_delete(&made);                                                                                   \
    expect(like(copy.data[0]) && like(copy.data[1]));                                                                  \
    wasm_##name##_vec_delete(&copy);                                                                                   \
  }

static wasm_valtype_t *new_valtype(void) { return wasm_valtype_new(WASM_F32); }
static bool like_valtype(const wasm_valtype_t *type) { return wasm_valtype_kind(type) == WASM_F32; }
FAMILY(valtype, wasm_valtype_t, new_valtype, like_valtype)

static wasm_functype_t *new_functype(void) { return wasm_functype_new_1_0(wasm_valtype_new_i64()); }
static bool like_functype(const wasm_functype_t *type) {
  return wasm_functype_params(type)->size == 1 && wasm_functype_results(type)->size == 0;
}
FAMILY(functype, wasm_functype_t, new_functype, like_functype)

static wasm_globaltype_t *new_globaltype(void) { return wasm_globaltype_new(new_valtype(), WASM_VAR); }
static bool like_globaltype(const wasm_globaltype_t *type) {
  return wasm_globaltype_mutability(type) == WASM_VAR && like_valtype(wasm_globaltype_content(type));
}
FAMILY(globaltype, wasm_globaltype_t, new_globaltype, like_globaltype)

static const wasm_limits_t LIMITS = {3, 9};
static bool like_limits(const wasm_limits_t *limits) { return limits->min == 3 && limits->max == 9; }

static wasm_tabletype_t *new_tabletype(void) { return wasm_tabletype_new(wasm_valtype_new_funcref(), &LIMITS); }
static bool like_tabletype(const wasm_tabletype_t *type) { return like_limits(wasm_tabletype_limits(type)); }
FAMILY(tabletype, wasm_tabletype_t, new_tabletype, like_tabletype)

static wasm_memorytype_t *new_memorytype(void) { return wasm_memorytype_new(&LIMITS); }
static bool like_memorytype(const wasm_memorytype_t *type) { return like_limits(wasm_memorytype_limits(type)); }
FAMILY(memorytype, wasm_memorytype_t, new_memorytype, like_memorytype)

static wasm_externtype_t *new_externtype(void) { return wasm_memorytype_as_externtype(new_memorytype()); }
static bool like_externtype(const wasm_externtype_t *type) {
  const wasm_memorytype_t *memory = wasm_externtype_as_memorytype_const(type);
  return memory && like_memorytype(memory);
}
FAMILY(externtype, wasm_externtype_t, new_externtype, like_externtype)

static wasm_importtype_t *new_importtype(void) {
  wasm_name_t module, name;
  wasm_name_new_from_string(&module, "module");
  wasm_name_new_from_string(&name, "name");
  return wasm_importtype_new(&module, &name, new_externtype());
}
static bool like_importtype(const wasm_importtype_t *type) {
  return name_is(wasm_importtype_module(type), "module") && name_is(wasm_importtype_name(type), "name") &&
         like_externtype(wasm_importtype_type(type));
}
FAMILY(importtype, wasm_importtype_t, new_importtype, like_importtype)

static wasm_exporttype_t *new_exporttype(void) {
  wasm_name_t name;
  wasm_name_new_from_string(&name, "name");
  return wasm_exporttype_new(&name, new_externtype());
}
static bool like_exporttype(const wasm_exporttype_t *type) {
  return name_is(wasm_exporttype_name(type), "name") && like_externtype(wasm_exporttype_type(type));
}
FAMILY(exporttype, wasm_exporttype_t, new_exporttype, like_exporttype)

static wasm_extern_t *new_extern(void) {
  wasm_memorytype_t *type = new_memorytype();
  wasm_memory_t *memory = wasm_memory_new(store, type);
  wasm_memorytype_delete(type);
  need(memory != NULL);
  return wasm_memory_as_extern(memory);
}
static bool like_extern(const wasm_extern_t *item) {
  const wasm_memory_t *memory = wasm_extern_as_memory_const(item);
  return memory && wasm_memory_size(memory) == 3;
}
FAMILY(extern, wasm_extern_t, new_extern, like_extern)

static wasm_frame_t *new_frame(void) {
  static wasm_extern_vec_t exports;
  wasm_instance_t *instance = instance_of("(module (func) (func (export \"f\") unreachable))", &NO_EXTERNS, &exports);
  wasm_trap_t *trap = call(func_at(&exports, 0));
  need(trap != NULL);
  wasm_frame_t *frame = wasm_trap_origin(trap);
  need(frame != NULL);
  wasm_trap_delete(trap);
  wasm_extern_vec_delete(&exports);
  wasm_instance_delete(instance);
  return frame;
}
static bool like_frame(const wasm_frame_t *frame) { return wasm_frame_func_index(frame) == 1; }
FAMILY(frame, wasm_frame_t, new_frame, like_frame)

#ifndef AMPOULE_AGAINST // 44.0.0 declares these, and lacks them
static wasm_tagtype_t *new_tagtype(void) { return wasm_tagtype_new(new_functype()); }
static bool like_tagtype(const wasm_tagtype_t *type) { return like_functype(wasm_tagtype_functype(type)); }
FAMILY(tagtype, wasm_tagtype_t, new_tagtype, like_tagtype)
#endif

// Values are no pointers, and bytes own nothing.
static void vectors_of_val(void) {
  wasm_val_vec_t vec, copy;
  wasm_val_vec_new_empty(&vec);
  expect(vec.size == 0);
  wasm_val_vec_delete(&vec);
  wasm_val_t vals[2] = {WASM_I32_VAL(5), WASM_F64_VAL(0.5)};
  wasm_val_vec_new(&vec, 2, vals);
  need(vec.size == 2);
  expect(vec.data != vals && vec.data[1].kind == WASM_F64 && vec.data[1].of.f64 == 0.5);
  wasm_val_vec_copy(&copy, &vec);
  wasm_val_vec_delete(&vec);
  expect(vec.size == 0 && copy.size == 2 && copy.data[0].of.i32 == 5);
  wasm_val_vec_delete(&copy);
}

static void vectors_of_byte(void) {
  wasm_byte_vec_t vec, copy;
  wasm_byte_vec_new_empty(&vec);
  expect(vec.size == 0);
  wasm_byte_vec_delete(&vec);
  wasm_byte_vec_new_uninitialized(&vec, 2);
  need(vec.size == 2);
  vec.data[0] = 'a', vec.data[1] = 'b';
  wasm_byte_vec_copy(&copy, &vec);
  wasm_byte_vec_delete(&vec);
  expect(name_is(&copy, "ab"));
  wasm_byte_vec_delete(&copy);
}

// Bindings look at where the bytes or elements begin before they look at how many there are.
static void vectors_of_nothing_have_a_place(void) {
  wasm_byte_vec_t none, copy;
  wasm_byte_vec_new(&none, 0, NULL);
  expect(none.size == 0 && none.data != NULL);
  wasm_byte_vec_copy(&copy, &none);
  expect(copy.size == 0 && copy.data != NULL);
  wasm_byte_vec_delete(&copy);
  expect(copy.data == NULL);
  wasm_byte_vec_delete(&none);
  wasm_functype_t *type = wasm_functype_new_0_0();
  expect(wasm_functype_params(type)->data != NULL && wasm_functype_results(type)->data != NULL);
  wasm_functype_delete(type);

  wasm_module_t *module = module_of("(module (import \"\" \"\" (func)) (export \"\" (func 0)))");
  wasm_importtype_vec_t imports;
  wasm_exporttype_vec_t exports;
  wasm_module_imports(module, &imports);
  wasm_module_exports(module, &exports);
  need(imports.size == 1 && exports.size == 1);
  expect(wasm_importtype_module(imports.data[0])->data && wasm_importtype_name(imports.data[0])->data);
  expect(wasm_exporttype_name(exports.data[0])->size == 0 && wasm_exporttype_name(exports.data[0])->data);
  wasm_importtype_vec_delete(&imports);
  wasm_exporttype_vec_delete(&exports);
  wasm_module_delete(module);
}

// -- Views

static void items_are_seen_as_externs_and_back(void) {
  wasm_extern_vec_t exports;
  wasm_instance_t *instance = instance_of(
      "(module (func (export \"f\")) (global (export \"g\") i32 (i32.const 0)) (table (export \"t\") 1 funcref)"
      " (memory (export \"m\") 1))",
      &NO_EXTERNS, &exports);
  need(exports.size == 4);
  wasm_extern_t **items = exports.data;
  const wasm_extern_t *f = items[0], *g = items[1], *t = items[2], *m = items[3];
  expect(wasm_func_as_extern(wasm_extern_as_func(items[0])) == f);
  expect(wasm_global_as_extern(wasm_extern_as_global(items[1])) == g);
  expect(wasm_table_as_extern(wasm_extern_as_table(items[2])) == t);
  expect(wasm_memory_as_extern(wasm_extern_as_memory(items[3])) == m);
  expect(wasm_func_as_extern_const(wasm_extern_as_func_const(f)) == f && !wasm_extern_as_func_const(g));
  expect(wasm_global_as_extern_const(wasm_extern_as_global_const(g)) == g && !wasm_extern_as_global_const(t));
  expect(wasm_table_as_extern_const(wasm_extern_as_table_const(t)) == t && !wasm_extern_as_table_const(m));
  expect(wasm_memory_as_extern_const(wasm_extern_as_memory_const(m)) == m && !wasm_extern_as_memory_const(f));
  // Copies of each kind, freed by themselves.
  wasm_extern_delete(wasm_extern_copy(f));
  wasm_func_t *func = wasm_func_copy(wasm_extern_as_func(items[0]));
  wasm_table_t *table = wasm_table_copy(wasm_extern_as_table(items[2]));
  wasm_instance_t *second = wasm_instance_copy(instance);
  wasm_instance_delete(instance);
  wasm_extern_vec_delete(&exports);
  wasm_instance_exports(second, &exports);
  expect(exports.size == 4 && wasm_table_size(table) == 1);
  wasm_functype_t *type = wasm_func_type(func);
  expect(wasm_functype_params(type)->size == 0 && wasm_functype_results(type)->size == 0);
  wasm_functype_delete(type);
  expect_no_trap(call(func));
  wasm_func_delete(func);
  wasm_table_delete(table);
  wasm_extern_vec_delete(&exports);
  wasm_instance_delete(second);
  wasm_module_t *module = module_of("(module (func (export \"f\")))"), *again = wasm_module_copy(module);
  wasm_module_delete(module);
  wasm_exporttype_vec_t types;
  wasm_module_exports(again, &types);
  expect(types.size == 1);
  wasm_exporttype_vec_delete(&types);
  wasm_module_delete(again);
}

static void handles_of_the_same_object_are_the_same(void) {
  wasm_extern_vec_t a, b;
  static const char *const text =
      "(module (func (export \"f\")) (global (export \"g\") i32 (i32.const 0)) (table (export \"t\") 1 funcref)"
      " (memory (export \"m\") 1) (func (export \"f2\")))";
  wasm_instance_t *instance = instance_of(text, &NO_EXTERNS, &a), *other = instance_of(text, &NO_EXTERNS, &b);
  for (size_t i = 0; i < a.size; i++) {
    wasm_extern_t *copy = wasm_extern_copy(a.data[i]);
    expect(wasm_extern_same(copy, a.data[i]) && !wasm_extern_same(copy, b.data[i]));
    expect(!wasm_extern_same(copy, a.data[(i + 1) % a.size]));
    wasm_extern_delete(copy);
  }
  expect(wasm_func_same(func_at(&a, 0), func_at(&a, 0)) && !wasm_func_same(func_at(&a, 0), func_at(&a, 4)));
  expect(wasm_global_same(wasm_extern_as_global(a.data[1]), wasm_extern_as_global(a.data[1])));
  expect(!wasm_global_same(wasm_extern_as_global(a.data[1]), wasm_extern_as_global(b.data[1])));
  expect(wasm_table_same(wasm_extern_as_table(a.data[2]), wasm_extern_as_table(a.data[2])));
  expect(!wasm_table_same(wasm_extern_as_table(a.data[2]), wasm_extern_as_table(b.data[2])));
  expect(wasm_memory_same(wasm_extern_as_memory(a.data[3]), wasm_extern_as_memory(a.data[3])));
  expect(!wasm_memory_same(wasm_extern_as_memory(a.data[3]), wasm_extern_as_memory(b.data[3])));
  wasm_instance_t *second = wasm_instance_copy(instance);
  expect(wasm_instance_same(instance, second) && !wasm_instance_same(instance, other));
  wasm_instance_delete(second);
  wasm_module_t *module = module_of(text), *copy = wasm_module_copy(module), *twin = module_of(text);
  expect(wasm_module_same(module, copy) && !wasm_module_same(module, twin));
  wasm_module_delete(module);
  wasm_module_delete(copy);
  wasm_module_delete(twin);
  wasm_trap_t *trap = trap_that_says("x"), *same = wasm_trap_copy(trap), *like = trap_that_says("x");
  expect(wasm_trap_same(trap, same) && !wasm_trap_same(trap, like));
  wasm_trap_delete(trap);
  wasm_trap_delete(same);
  wasm_trap_delete(like);
  wasm_extern_vec_delete(&a);
  wasm_extern_vec_delete(&b);
  wasm_instance_delete(instance);
  wasm_instance_delete(other);
}

int main(void) {
  RUN(vectors_of_byte);
  RUN(vectors_of_val);
  RUN(vectors_of_nothing_have_a_place);
  RUN(vectors_of_valtype);
  RUN(vectors_of_functype);
  RUN(vectors_of_globaltype);
  RUN(vectors_of_tabletype);
  RUN(vectors_of_memorytype);
  RUN(vectors_of_externtype);
  RUN(vectors_of_importtype);
  RUN(vectors_of_exporttype);
  RUN(vectors_of_extern);
  RUN_HERE(vectors_of_frame);
#ifndef AMPOULE_AGAINST
  RUN(vectors_of_tagtype);
#endif
  RUN(items_are_seen_as_externs_and_back);
  RUN_HERE(handles_of_the_same_object_are_the_same);
  return test_summary();
}
