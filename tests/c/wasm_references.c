// The portable API's references: views of objects, comparison, host information with finalizers, foreign objects.
//
// The reference library has none of this and ends the process, so every claim is run here only.

#include "portable.h"

static void count(void *info) { ++*(int *)info; }

static wasm_trap_t *nothing(const wasm_val_vec_t *args, wasm_val_vec_t *results) {
  (void)args, (void)results;
  return NULL;
}

static wasm_func_t *new_func(void) {
  wasm_functype_t *type = wasm_functype_new_0_0();
  wasm_func_t *func = wasm_func_new(store, type, nothing);
  wasm_functype_delete(type);
  return func;
}

static const char *const EVERYTHING =
    "(module (func (export \"f\") (result i32) i32.const 7) (global (export \"g\") (mut i32) (i32.const 1))"
    "  (table (export \"t\") 2 funcref) (memory (export \"m\") 1)"
    "  (table (export \"e\") 2 externref)"
    "  (func (export \"id\") (param externref) (result externref) local.get 0)"
    "  (func (export \"same\") (param funcref) (result funcref) local.get 0))";

static void a_view_is_the_object(void) {
  wasm_extern_vec_t exports;
  wasm_instance_t *instance = instance_of(EVERYTHING, &NO_EXTERNS, &exports);
  wasm_func_t *func = func_at(&exports, 0);
  wasm_global_t *global = wasm_extern_as_global(exports.data[1]);
  wasm_table_t *table = wasm_extern_as_table(exports.data[2]);
  wasm_memory_t *memory = wasm_extern_as_memory(exports.data[3]);
  expect(wasm_ref_as_func(wasm_func_as_ref(func)) == func);
  expect(wasm_ref_as_func_const(wasm_func_as_ref_const(func)) == func);
  expect(wasm_ref_as_global(wasm_global_as_ref(global)) == global);
  expect(wasm_ref_as_global_const(wasm_global_as_ref_const(global)) == global);
  expect(wasm_ref_as_table(wasm_table_as_ref(table)) == table);
  expect(wasm_ref_as_table_const(wasm_table_as_ref_const(table)) == table);
  expect(wasm_ref_as_memory(wasm_memory_as_ref(memory)) == memory);
  expect(wasm_ref_as_memory_const(wasm_memory_as_ref_const(memory)) == memory);
  expect(wasm_ref_as_extern(wasm_extern_as_ref(exports.data[3])) == exports.data[3]);
  expect(wasm_ref_as_extern_const(wasm_func_as_ref_const(func)) == wasm_func_as_extern(func));
  expect(wasm_ref_as_instance(wasm_instance_as_ref(instance)) == instance);
  expect(wasm_ref_as_instance_const(wasm_instance_as_ref_const(instance)) == instance);
  wasm_extern_vec_delete(&exports);
  wasm_instance_delete(instance);
}

static void an_object_of_another_kind_is_null(void) {
  wasm_extern_vec_t exports;
  wasm_instance_t *instance = instance_of(EVERYTHING, &NO_EXTERNS, &exports);
  wasm_ref_t *func = wasm_extern_as_ref(exports.data[0]), *memory = wasm_extern_as_ref(exports.data[3]);
  expect(!wasm_ref_as_global(func) && !wasm_ref_as_table(func) && !wasm_ref_as_memory(func) && !wasm_ref_as_func(memory));
  expect(!wasm_ref_as_instance(func) && !wasm_ref_as_module(func) && !wasm_ref_as_trap(func) && !wasm_ref_as_foreign(func));
  expect(!wasm_ref_as_extern(wasm_instance_as_ref(instance)) && !wasm_ref_as_func_const(wasm_instance_as_ref(instance)));
  expect(!wasm_ref_as_func(NULL) && !wasm_ref_as_trap(NULL) && !wasm_ref_as_module_const(NULL));
  wasm_extern_vec_delete(&exports);
  wasm_instance_delete(instance);
}

static void references_are_compared(void) {
  wasm_extern_vec_t exports, again;
  wasm_instance_t *instance = instance_of(EVERYTHING, &NO_EXTERNS, &exports);
  wasm_instance_exports(instance, &again);
  for (size_t i = 0; i < exports.size; i++) {
    for (size_t j = 0; j < exports.size; j++)
      expect(wasm_ref_same(wasm_extern_as_ref(exports.data[i]), wasm_extern_as_ref(again.data[j])) == (i == j));
    wasm_ref_t *copy = wasm_ref_copy(wasm_extern_as_ref(exports.data[i]));
    expect(wasm_ref_same(copy, wasm_extern_as_ref(again.data[i])));
    wasm_ref_delete(copy);
    expect(!wasm_ref_same(wasm_extern_as_ref(exports.data[i]), wasm_instance_as_ref(instance)));
  }
  expect(wasm_extern_same(exports.data[1], again.data[1]) && wasm_instance_same(instance, instance));
  expect(wasm_ref_same(NULL, NULL) && !wasm_ref_same(NULL, wasm_instance_as_ref(instance)));
  wasm_extern_vec_delete(&exports);
  wasm_extern_vec_delete(&again);
  wasm_instance_delete(instance);
}

// A global that goes by two instances' names is one.
static void a_global_that_is_exported_again_is_the_same(void) {
  wasm_extern_vec_t exports, again;
  wasm_instance_t *instance = instance_of("(module (global (export \"g\") (mut i32) (i32.const 1)))", &NO_EXTERNS, &exports);
  wasm_instance_t *other =
      instance_of("(module (import \"\" \"g\" (global (mut i32))) (export \"h\" (global 0)))", &exports, &again);
  int finalized = 0;
  expect(wasm_extern_same(exports.data[0], again.data[0]));
  wasm_extern_set_host_info_with_finalizer(exports.data[0], &finalized, count);
  expect(wasm_extern_get_host_info(again.data[0]) == &finalized);
  wasm_extern_set_host_info(again.data[0], NULL);
  expect(finalized == 1 && !wasm_extern_get_host_info(exports.data[0]));
  wasm_extern_vec_delete(&exports);
  wasm_extern_vec_delete(&again);
  wasm_instance_delete(instance);
  wasm_instance_delete(other);
}

static void functions_travel_as_views(void) {
  wasm_extern_vec_t exports;
  wasm_instance_t *instance = instance_of(EVERYTHING, &NO_EXTERNS, &exports);
  wasm_func_t *func = func_at(&exports, 0);
  wasm_table_t *table = wasm_extern_as_table(exports.data[2]);
  expect(wasm_table_set(table, 1, wasm_func_as_ref(func)));
  wasm_ref_t *element = wasm_table_get(table, 1);
  need(element != NULL);
  expect(wasm_ref_same(element, wasm_func_as_ref(func)));
  wasm_func_t *back = wasm_ref_as_func(element);
  need(back != NULL);
  expect(call0(back) == 7 && wasm_func_same(back, func));
  // The element is the function: freed once, by either name.
  wasm_func_delete(back);
  // An argument stays the caller's, a result is.
  wasm_val_t arg[1] = {ref_val(WASM_FUNCREF, wasm_func_as_ref(func))}, result[1] = {WASM_INIT_VAL};
  wasm_val_vec_t args = WASM_ARRAY_VEC(arg), results = WASM_ARRAY_VEC(result);
  expect_no_trap(wasm_func_call(func_at(&exports, 6), &args, &results));
  expect(wasm_ref_same(result[0].of.ref, wasm_func_as_ref(func)));
  wasm_val_delete(&result[0]);
  // What guests don't know doesn't fit.
  expect(!wasm_table_set(table, 0, wasm_extern_as_ref(exports.data[3])));
  expect(!wasm_table_set(table, 0, wasm_instance_as_ref(instance)));
  wasm_extern_vec_delete(&exports);
  wasm_instance_delete(instance);
}

static void host_information_belongs_to_the_object(void) {
  int first = 0, second = 0;
  wasm_func_t *func = new_func(), *copy = wasm_func_copy(func), *other = new_func();
  expect(!wasm_func_get_host_info(func));
  wasm_func_set_host_info_with_finalizer(func, &first, count);
  expect(wasm_func_get_host_info(copy) == &first && !wasm_func_get_host_info(other));
  expect(wasm_ref_get_host_info(wasm_func_as_ref(func)) == &first);
  expect(wasm_extern_get_host_info(wasm_func_as_extern(copy)) == &first);
  wasm_ref_set_host_info_with_finalizer(wasm_func_as_ref(copy), &second, count);
  expect(first == 1 && second == 0 && wasm_func_get_host_info(func) == &second);
  wasm_func_delete(func);
  wasm_func_delete(copy);
  wasm_func_delete(other);
  expect(second == 0);
  wasm_store_delete(store);
  store = NULL;
  expect(first == 1 && second == 1);
}

static void every_object_of_a_store_keeps_information(void) {
  int finalized = 0;
  wasm_extern_vec_t exports;
  wasm_instance_t *instance = instance_of(EVERYTHING, &NO_EXTERNS, &exports);
  wasm_instance_t *copy = wasm_instance_copy(instance);
  wasm_global_t *global = wasm_extern_as_global(exports.data[1]);
  wasm_table_t *table = wasm_extern_as_table(exports.data[2]);
  wasm_memory_t *memory = wasm_extern_as_memory(exports.data[3]);
  wasm_global_set_host_info_with_finalizer(global, &finalized, count);
  wasm_table_set_host_info_with_finalizer(table, &finalized, count);
  wasm_memory_set_host_info_with_finalizer(memory, &finalized, count);
  wasm_instance_set_host_info_with_finalizer(instance, &finalized, count);
  expect(wasm_global_get_host_info(global) == &finalized && wasm_table_get_host_info(table) == &finalized);
  expect(wasm_memory_get_host_info(memory) == &finalized && wasm_instance_get_host_info(copy) == &finalized);
  wasm_global_set_host_info(global, &store);
  wasm_table_set_host_info(table, NULL);
  expect(finalized == 2 && wasm_global_get_host_info(global) == &store);
  wasm_extern_vec_delete(&exports);
  wasm_instance_delete(instance);
  wasm_store_delete(store);
  store = NULL;
  expect(finalized == 2); // the copy keeps the store
  wasm_instance_delete(copy);
  expect(finalized == 4);
}

// Thousands of instances, each with its information: at the end nothing is left.
static void finalizers_run_for_every_instance(void) {
  int finalized = 0;
  wasm_module_t *module = module_of("(module (func (export \"f\")))");
  for (int i = 0; i < 2000; i++) {
    wasm_instance_t *instance = wasm_instance_new(store, module, &NO_EXTERNS, NULL);
    need(instance != NULL);
    wasm_instance_set_host_info_with_finalizer(instance, &finalized, count);
    wasm_instance_delete(instance);
  }
  wasm_module_delete(module);
  wasm_store_delete(store);
  store = NULL;
  expect(finalized == 2000);
}

static void a_modules_information_goes_with_its_last_handle(void) {
  int finalized = 0;
  wasm_module_t *module = module_of("(module)"), *copy = wasm_module_copy(module), *other = module_of("(module)");
  wasm_module_set_host_info_with_finalizer(module, &finalized, count);
  expect(wasm_module_get_host_info(copy) == &finalized && !wasm_module_get_host_info(other));
  expect(wasm_ref_as_module(wasm_module_as_ref(module)) == module);
  expect(wasm_ref_as_module_const(wasm_module_as_ref_const(module)) == module);
  wasm_ref_t *ref = wasm_ref_copy(wasm_module_as_ref(module));
  wasm_module_delete(module);
  wasm_module_delete(copy);
  expect(finalized == 0 && wasm_ref_get_host_info(ref) == &finalized);
  wasm_ref_delete(ref);
  expect(finalized == 1);
  wasm_module_set_host_info(other, &finalized);
  expect(wasm_module_get_host_info(other) == &finalized);
  wasm_module_delete(other);
  expect(finalized == 1);
}

static void a_traps_information_goes_with_its_last_handle(void) {
  int first = 0, second = 0;
  wasm_trap_t *trap = trap_that_says("stop"), *copy = wasm_trap_copy(trap), *other = trap_that_says("stop");
  expect(!wasm_trap_get_host_info(trap));
  wasm_trap_set_host_info_with_finalizer(trap, &first, count);
  expect(wasm_trap_get_host_info(copy) == &first && !wasm_trap_get_host_info(other));
  wasm_trap_set_host_info_with_finalizer(copy, &second, count);
  expect(first == 1);
  wasm_trap_set_host_info(other, &first);
  wasm_ref_t *view = wasm_trap_as_ref(trap), *ref = wasm_ref_copy(view);
  expect(wasm_ref_same(view, wasm_trap_as_ref_const(copy)) && !wasm_ref_same(view, wasm_trap_as_ref(other)));
  expect(wasm_ref_get_host_info(view) == &second && wasm_trap_same(wasm_ref_as_trap(view), trap));
  wasm_trap_delete(trap);
  wasm_trap_delete(copy);
  wasm_trap_delete(other);
  expect(second == 0);
  expect(wasm_trap_get_host_info(wasm_ref_as_trap_const(ref)) == &second);
  expect_trap_says(wasm_trap_copy(wasm_ref_as_trap(ref)), "stop");
  wasm_ref_delete(ref);
  expect(first == 1 && second == 1);
}

static wasm_trap_t *throws(void *env, const wasm_val_vec_t *args, wasm_val_vec_t *results) {
  (void)args, (void)results;
  wasm_trap_t *trap = trap_that_says("thrown");
  wasm_trap_set_host_info_with_finalizer(trap, env, count);
  return trap;
}

static void a_traps_information_passes_through_the_guest(void) {
  int finalized = 0;
  wasm_functype_t *type = wasm_functype_new_0_0();
  wasm_func_t *func = wasm_func_new_with_env(store, type, throws, &finalized, NULL);
  wasm_functype_delete(type);
  wasm_extern_t *imported[] = {wasm_func_as_extern(func)};
  wasm_extern_vec_t imports = WASM_ARRAY_VEC(imported), exports;
  wasm_instance_t *instance = instance_of(
      "(module (import \"\" \"\" (func $f)) (func (export \"run\") call $f))", &imports, &exports);
  wasm_trap_t *trap = call(func_at(&exports, 0));
  need(trap != NULL);
  expect(wasm_trap_get_host_info(trap) == &finalized && finalized == 0);
  wasm_trap_delete(trap);
  expect(finalized == 1);
  wasm_extern_vec_delete(&exports);
  wasm_instance_delete(instance);
  wasm_func_delete(func);
}

static void foreign_objects_pass_through_guests(void) {
  int finalized = 0;
  wasm_extern_vec_t exports;
  wasm_instance_t *instance = instance_of(EVERYTHING, &NO_EXTERNS, &exports);
  wasm_foreign_t *foreign = wasm_foreign_new(store), *other = wasm_foreign_new(store), *copy = wasm_foreign_copy(foreign);
  expect(!wasm_foreign_get_host_info(foreign));
  wasm_foreign_set_host_info_with_finalizer(foreign, &finalized, count);
  expect(wasm_foreign_get_host_info(copy) == &finalized && !wasm_foreign_get_host_info(other));
  expect(wasm_foreign_same(foreign, copy) && !wasm_foreign_same(foreign, other));
  expect(wasm_ref_as_foreign(wasm_foreign_as_ref(foreign)) == foreign);
  expect(wasm_ref_as_foreign_const(wasm_foreign_as_ref_const(foreign)) == foreign);
  expect(!wasm_ref_as_func(wasm_foreign_as_ref(foreign)));
  // Through a function,
  wasm_val_t arg[1] = {ref_val(WASM_EXTERNREF, wasm_foreign_as_ref(foreign))}, result[1] = {WASM_INIT_VAL};
  wasm_val_vec_t args = WASM_ARRAY_VEC(arg), results = WASM_ARRAY_VEC(result);
  expect_no_trap(wasm_func_call(func_at(&exports, 5), &args, &results));
  need(result[0].kind == WASM_EXTERNREF && result[0].of.ref != NULL);
  expect(wasm_foreign_same(wasm_ref_as_foreign(result[0].of.ref), foreign));
  wasm_val_delete(&result[0]);
  // and kept in a table, when the host has let go of it.
  wasm_table_t *table = wasm_extern_as_table(exports.data[4]);
  expect(wasm_table_set(table, 0, wasm_foreign_as_ref(foreign)));
  wasm_foreign_delete(foreign);
  wasm_foreign_delete(copy);
  wasm_ref_t *element = wasm_table_get(table, 0);
  need(element != NULL);
  expect(wasm_foreign_get_host_info(wasm_ref_as_foreign(element)) == &finalized && finalized == 0);
  wasm_ref_delete(element);
  wasm_foreign_set_host_info(other, &finalized);
  wasm_foreign_delete(other);
  wasm_extern_vec_delete(&exports);
  wasm_instance_delete(instance);
  wasm_store_delete(store);
  store = NULL;
  expect(finalized == 1);
}

// Nothing refers to any of these: the store collects them by itself.
static void forgotten_foreign_objects_are_collected(void) {
  int finalized = 0;
  for (int i = 0; i < 20000; i++) {
    wasm_foreign_t *foreign = wasm_foreign_new(store);
    wasm_foreign_set_host_info_with_finalizer(foreign, &finalized, count);
    wasm_foreign_delete(foreign);
  }
  expect(finalized > 0);
  wasm_store_delete(store);
  store = NULL;
  expect(finalized == 20000);
}

static void references_of_another_store_are_refused(void) {
  wasm_store_t *other = wasm_store_new(engine);
  wasm_foreign_t *foreign = wasm_foreign_new(other);
  wasm_extern_vec_t exports;
  wasm_instance_t *instance = instance_of(EVERYTHING, &NO_EXTERNS, &exports);
  expect(!wasm_table_set(wasm_extern_as_table(exports.data[4]), 0, wasm_foreign_as_ref(foreign)));
  wasm_val_t arg[1] = {ref_val(WASM_EXTERNREF, wasm_foreign_as_ref(foreign))}, result[1] = {WASM_INIT_VAL};
  wasm_val_vec_t args = WASM_ARRAY_VEC(arg), results = WASM_ARRAY_VEC(result);
  expect_trap_says(wasm_func_call(func_at(&exports, 5), &args, &results), "wrong store");
  wasm_extern_vec_delete(&exports);
  wasm_instance_delete(instance);
  wasm_store_delete(other);
  wasm_foreign_delete(foreign); // it has kept its store
}

int main(void) {
  RUN_HERE(a_view_is_the_object);
  RUN_HERE(an_object_of_another_kind_is_null);
  RUN_HERE(references_are_compared);
  RUN_HERE(a_global_that_is_exported_again_is_the_same);
  RUN_HERE(functions_travel_as_views);
  RUN_HERE(host_information_belongs_to_the_object);
  RUN_HERE(every_object_of_a_store_keeps_information);
  RUN_HERE(finalizers_run_for_every_instance);
  RUN_HERE(a_modules_information_goes_with_its_last_handle);
  RUN_HERE(a_traps_information_goes_with_its_last_handle);
  RUN_HERE(a_traps_information_passes_through_the_guest);
  RUN_HERE(foreign_objects_pass_through_guests);
  RUN_HERE(forgotten_foreign_objects_are_collected);
  RUN_HERE(references_of_another_store_are_refused);
  return test_summary();
}
