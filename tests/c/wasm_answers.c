// Misuse of the portable API: no function of wasm.h ends the process, each answers.
#include "portable.h"

#ifdef AMPOULE_AGAINST
// The reference library ends the process.
int main(void) { return test_summary(); }
#else

static const wasm_limits_t backwards = {2, 1}, too_large = {65537, 0xffffffff}, some = {1, 2};

static void kinds_that_there_are_not_have_no_type(void) {
  for (int kind = 0; kind < 256; kind++) {
    wasm_valtype_t *type = wasm_valtype_new((wasm_valkind_t)kind);
    bool known = kind <= 4 || kind == WASM_EXTERNREF || kind == WASM_FUNCREF;
    expect((type != NULL) == known && wasm_valtype_kind(type) == (known ? kind : 255));
    wasm_valtype_delete(type);
  }
  for (int mutability = 0; mutability < 256; mutability++) {
    wasm_globaltype_t *type = wasm_globaltype_new(wasm_valtype_new_i32(), (wasm_mutability_t)mutability);
    expect((type != NULL) == (mutability <= WASM_VAR));
    wasm_globaltype_delete(type);
  }
}

static void limits_that_nothing_has_have_no_type(void) {
  expect(wasm_memorytype_new(&backwards) == NULL && wasm_memorytype_new(&too_large) == NULL);
  wasm_tabletype_t *type = wasm_tabletype_new(wasm_valtype_new_funcref(), &backwards);
  wasm_engine_t *engine = wasm_engine_new();
  wasm_store_t *store = wasm_store_new(engine);
  wasm_table_t *table = wasm_table_new(store, type, NULL);
  expect(wasm_table_size(table) == 2 && !wasm_table_grow(table, 1, NULL));
  wasm_table_delete(table);
  wasm_store_delete(store);
  wasm_engine_delete(engine);
  wasm_tabletype_delete(type);
  expect(wasm_memorytype_new(NULL) == NULL && wasm_tabletype_new(wasm_valtype_new_funcref(), NULL) == NULL);
}

static wasm_trap_t *nothing(const wasm_val_vec_t *args, wasm_val_vec_t *results) {
  (void)args, (void)results;
  return NULL;
}

static wasm_trap_t *nothing_with(void *env, const wasm_val_vec_t *args, wasm_val_vec_t *results) {
  (void)env;
  return nothing(args, results);
}

static void count(void *env) { ++*(int *)env; }

// What a function refused to make is null, and may be passed on.
static void nothing_is_made_of_null(void) {
  wasm_valtype_t *types[2] = {wasm_valtype_new_i32(), NULL};
  wasm_valtype_vec_t with_null, results;
  wasm_valtype_vec_new(&with_null, 2, types);
  wasm_valtype_vec_new_empty(&results);
  expect(wasm_functype_new(&with_null, &results) == NULL && with_null.size == 0);
  wasm_valtype_vec_new_uninitialized(&results, 3);
  expect(wasm_functype_new(&with_null, &results) == NULL && results.size == 0);
  expect(wasm_globaltype_new(NULL, WASM_CONST) == NULL && wasm_tabletype_new(NULL, &some) == NULL);
  expect(wasm_tagtype_new(NULL) == NULL);
  wasm_name_t module, name;
  wasm_name_new_from_string(&module, "module");
  wasm_name_new_from_string(&name, "name");
  expect(wasm_importtype_new(&module, &name, NULL) == NULL && module.size == 0 && name.size == 0);
  expect(wasm_exporttype_new(&name, NULL) == NULL);

  expect(wasm_engine_new_with_config(NULL) == NULL && wasm_store_new(NULL) == NULL);
  wasm_val_t val = WASM_I32_VAL(1);
  expect(wasm_global_new(store, NULL, &val) == NULL && wasm_table_new(store, NULL, NULL) == NULL);
  expect(wasm_memory_new(store, NULL) == NULL && wasm_func_new(store, NULL, nothing) == NULL);
  expect(wasm_foreign_new(NULL) == NULL);
  wasm_functype_t *type = wasm_functype_new_0_0();
  expect(wasm_func_new(NULL, type, nothing) == NULL && wasm_func_new(store, type, NULL) == NULL);
  int finalized = 0;
  expect(wasm_func_new_with_env(store, type, NULL, &finalized, count) == NULL);
  expect(wasm_func_new_with_env(NULL, type, nothing_with, &finalized, count) == NULL);
  expect(wasm_func_new_with_env(store, NULL, nothing_with, &finalized, count) == NULL && finalized == 3);
  wasm_functype_delete(type);

  wasm_byte_vec_t bytes = {0, NULL};
  expect(wasm_module_new(store, NULL) == NULL && wasm_module_new(NULL, &bytes) == NULL);
  expect(wasm_module_new(store, &bytes) == NULL && !wasm_module_validate(store, NULL));
  expect(!wasm_module_validate(NULL, &bytes) && wasm_module_deserialize(store, NULL) == NULL);
  expect(wasm_module_share(NULL) == NULL && wasm_module_obtain(store, NULL) == NULL);
  wasm_trap_t *trap = NULL;
  expect(wasm_instance_new(store, NULL, &NO_EXTERNS, &trap) == NULL);
  expect_trap_says(trap, "the module is null");
  expect(wasm_instance_new(store, NULL, NULL, NULL) == NULL);
  expect_trap_says(wasm_func_call(NULL, NULL, NULL), "null function");
  trap = wasm_trap_new(NULL, NULL);
  expect(trap != NULL);
  wasm_trap_delete(trap);
}

static void null_is_seen_and_copied_as_null(void) {
  expect(!wasm_valtype_copy(NULL) && !wasm_functype_copy(NULL) && !wasm_globaltype_copy(NULL));
  expect(!wasm_tabletype_copy(NULL) && !wasm_memorytype_copy(NULL) && !wasm_tagtype_copy(NULL));
  expect(!wasm_externtype_copy(NULL) && !wasm_importtype_copy(NULL) && !wasm_exporttype_copy(NULL));
  expect(!wasm_frame_copy(NULL) && !wasm_trap_copy(NULL) && !wasm_foreign_copy(NULL) && !wasm_module_copy(NULL));
  expect(!wasm_func_copy(NULL) && !wasm_global_copy(NULL) && !wasm_table_copy(NULL) && !wasm_memory_copy(NULL));
  expect(!wasm_extern_copy(NULL) && !wasm_instance_copy(NULL) && !wasm_ref_copy(NULL));

  expect(!wasm_functype_as_externtype(NULL) && !wasm_globaltype_as_externtype(NULL));
  expect(!wasm_tabletype_as_externtype(NULL) && !wasm_memorytype_as_externtype(NULL));
  expect(!wasm_tagtype_as_externtype(NULL) && !wasm_externtype_as_functype(NULL));
  expect(!wasm_externtype_as_globaltype(NULL) && !wasm_externtype_as_tabletype(NULL));
  expect(!wasm_externtype_as_memorytype(NULL) && !wasm_externtype_as_tagtype(NULL));
  expect(!wasm_externtype_as_functype_const(NULL) && !wasm_functype_as_externtype_const(NULL));
  expect(!wasm_func_as_extern(NULL) && !wasm_global_as_extern(NULL) && !wasm_table_as_extern(NULL));
  expect(!wasm_memory_as_extern(NULL) && !wasm_extern_as_func(NULL) && !wasm_extern_as_global(NULL));
  expect(!wasm_extern_as_table(NULL) && !wasm_extern_as_memory(NULL) && !wasm_extern_as_memory_const(NULL));
  expect(!wasm_func_as_ref(NULL) && !wasm_ref_as_func(NULL) && !wasm_trap_as_ref(NULL) && !wasm_ref_as_trap(NULL));
  expect(!wasm_instance_as_ref(NULL) && !wasm_module_as_ref(NULL) && !wasm_foreign_as_ref_const(NULL));
}

// Sizes that no memory has, and vectors of nothing that claim to have something.
static void absurd_vectors_are_empty(void) {
  static const size_t sizes[] = {SIZE_MAX, SIZE_MAX / 2, SIZE_MAX / 8, SIZE_MAX / 16};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    wasm_byte_vec_t bytes;
    wasm_valtype_vec_t types;
    wasm_extern_vec_t externs;
    wasm_val_vec_t vals;
    wasm_byte_vec_new_uninitialized(&bytes, sizes[i]);
    wasm_valtype_vec_new_uninitialized(&types, sizes[i]);
    wasm_extern_vec_new_uninitialized(&externs, sizes[i]);
    wasm_val_vec_new_uninitialized(&vals, sizes[i]);
    expect(bytes.size == 0 && types.size == 0 && externs.size == 0 && vals.size == 0);
    wasm_byte_vec_delete(&bytes);
    wasm_valtype_vec_delete(&types);
    wasm_extern_vec_delete(&externs);
    wasm_val_vec_delete(&vals);
  }
  wasm_byte_vec_t bytes, copy;
  wasm_byte_vec_new(&bytes, 3, NULL);
  expect(bytes.size == 0);
  wasm_byte_vec_new(&bytes, SIZE_MAX, "");
  expect(bytes.size == 0);
  wasm_valtype_vec_t types;
  wasm_valtype_vec_new(&types, SIZE_MAX / 8, NULL);
  expect(types.size == 0);
  wasm_byte_vec_copy(&copy, NULL);
  expect(copy.size == 0);
  wasm_byte_vec_t claims = {5, NULL};
  wasm_byte_vec_copy(&copy, &claims);
  expect(copy.size == 0 && wasm_module_new(store, &claims) == NULL);
  wasm_byte_vec_delete(&claims);
  expect(claims.size == 0);
  wasm_val_vec_t vals = {3, NULL}, copied;
  wasm_val_vec_copy(&copied, &vals);
  expect(copied.size == 0);
}

static void calls_take_null_for_no_values(void) {
  wasm_extern_vec_t exports;
  wasm_instance_t *instance =
      instance_of("(module (func (export \"f\")) (func (export \"g\") (param i32)))", &NO_EXTERNS, &exports);
  expect_no_trap(wasm_func_call(func_at(&exports, 0), NULL, NULL));
  expect_trap_says(wasm_func_call(func_at(&exports, 1), NULL, NULL), "expected 1 arguments, got 0");
  wasm_val_vec_t claims = {1, NULL}, huge = {SIZE_MAX, (wasm_val_t *)&claims};
  expect_trap_says(wasm_func_call(func_at(&exports, 1), &claims, NULL), "expected 1 arguments, got 0");
  expect_trap_says(wasm_func_call(func_at(&exports, 1), &huge, &huge), "expected 1 arguments, got 0");
  wasm_extern_vec_delete(&exports);
  wasm_instance_delete(instance);
}

// An object is no other kind of thing.
static void each_object_is_one_kind(void) {
  wasm_extern_vec_t exports;
  wasm_instance_t *instance = instance_of("(module (func (export \"f\")) (global (export \"g\") i32 (i32.const 0))"
                                          " (table (export \"t\") 1 funcref) (memory (export \"m\") 1))",
                                          &NO_EXTERNS, &exports);
  for (size_t i = 0; i < exports.size; i++) {
    wasm_extern_t *item = exports.data[i];
    wasm_ref_t *ref = wasm_extern_as_ref(item);
    wasm_externkind_t kind = wasm_extern_kind(item);
    expect((wasm_extern_as_func(item) != NULL) == (kind == WASM_EXTERN_FUNC));
    expect((wasm_extern_as_global(item) != NULL) == (kind == WASM_EXTERN_GLOBAL));
    expect((wasm_extern_as_table(item) != NULL) == (kind == WASM_EXTERN_TABLE));
    expect((wasm_extern_as_memory(item) != NULL) == (kind == WASM_EXTERN_MEMORY));
    expect((wasm_ref_as_func(ref) != NULL) == (kind == WASM_EXTERN_FUNC));
    expect(!wasm_ref_as_instance(ref) && !wasm_ref_as_module(ref) && !wasm_ref_as_trap(ref) && !wasm_ref_as_foreign(ref));
    wasm_externtype_t *type = wasm_extern_type(item);
    expect((wasm_externtype_as_functype(type) != NULL) == (kind == WASM_EXTERN_FUNC));
    expect((wasm_externtype_as_memorytype(type) != NULL) == (kind == WASM_EXTERN_MEMORY));
    expect(!wasm_externtype_as_tagtype(type));
    wasm_externtype_delete(type);
  }
  expect(!wasm_ref_as_extern(wasm_instance_as_ref(instance)) && !wasm_ref_as_func(wasm_instance_as_ref(instance)));
  wasm_extern_vec_delete(&exports);
  wasm_instance_delete(instance);
}

// The portable API has no vectors of 128 bits: values of that type are told apart, and own nothing.
static void values_that_do_not_fit_are_none(void) {
  wasm_extern_vec_t exports;
  wasm_instance_t *instance = instance_of(
      "(module (global (export \"g\") (mut v128) (v128.const i64x2 1 2)) (func (export \"f\") (result v128) (global.get 0))"
      " (func (export \"h\") (param v128)))",
      &NO_EXTERNS, &exports);
  wasm_global_t *global = wasm_extern_as_global(exports.data[0]);
  wasm_val_t val;
  memset(&val, 0x5a, sizeof val);
  wasm_global_get(global, &val);
  expect(val.kind == 255);
  wasm_global_set(global, &val);
  wasm_globaltype_t *type = wasm_global_type(global);
  expect(wasm_valtype_kind(wasm_globaltype_content(type)) == 4 && wasm_global_new(store, type, &val) == NULL);
  wasm_globaltype_delete(type);
  wasm_val_vec_t one = {1, &val};
  expect_trap_says(wasm_func_call(func_at(&exports, 1), NULL, &one), "doesn't fit a value of the portable API");
  expect_trap_says(wasm_func_call(func_at(&exports, 2), &one, NULL), "255 is not the kind of a value");
  wasm_val_delete(&val);
  wasm_extern_vec_delete(&exports);
  wasm_instance_delete(instance);
}

static void a_shared_module_stays_with_its_engine(void) {
  wasm_engine_t *second = wasm_engine_new();
  wasm_store_t *other = wasm_store_new(second);
  wasm_module_t *module = module_of("(module)");
  wasm_shared_module_t *shared = wasm_module_share(module);
  expect(wasm_module_obtain(other, shared) == NULL);
  wasm_shared_module_delete(shared);
  wasm_module_delete(module);
  wasm_store_delete(other);
  wasm_engine_delete(second);
}

int main(void) {
  RUN(kinds_that_there_are_not_have_no_type);
  RUN(limits_that_nothing_has_have_no_type);
  RUN(nothing_is_made_of_null);
  RUN(null_is_seen_and_copied_as_null);
  RUN(absurd_vectors_are_empty);
  RUN(calls_take_null_for_no_values);
  RUN(each_object_is_one_kind);
  RUN(values_that_do_not_fit_are_none);
  RUN(a_shared_module_stays_with_its_engine);
  return test_summary();
}

#endif // AMPOULE_AGAINST
