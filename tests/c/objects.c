// Claims about wasm.h: the owned objects of the portable API, each of which keeps its store alive.

#include "test.h"

static wasm_store_t *objects;

// A module from text.
static wasm_module_t *object_module(const char *wat) {
  wasm_byte_vec_t binary;
  if (!expect_ok(wasmtime_wat2wasm(wat, strlen(wat), &binary))) exit(1);
  wasm_module_t *module = wasm_module_new(objects, &binary);
  wasm_byte_vec_delete(&binary);
  if (!expect(module != NULL)) exit(1);
  return module;
}

// An instance of a module from text, and its exports.
static wasm_instance_t *object_instance(const char *wat, wasm_extern_vec_t imports, wasm_extern_vec_t *exports) {
  wasm_module_t *module = object_module(wat);
  wasm_trap_t *trap = NULL;
  wasm_instance_t *instance = wasm_instance_new(objects, module, &imports, &trap);
  expect_no_trap(trap);
  if (!expect(instance != NULL)) exit(1);
  wasm_module_delete(module);
  wasm_instance_exports(instance, exports);
  return instance;
}

static const wasm_extern_vec_t NO_IMPORTS = WASM_EMPTY_VEC;

static void begin(void) { objects = wasm_store_new(engine); }
static void end(void) { wasm_store_delete(objects); }

static void a_function_is_called(void) {
  begin();
  wasm_extern_vec_t exports;
  wasm_instance_t *instance = object_instance(
      "(module (func (export \"f\") (param i32 i64 f32 f64) (result f64 f32 i64 i32)"
      "  local.get 3 local.get 2 local.get 1 local.get 0))",
      NO_IMPORTS, &exports);
  expect(exports.size == 1 && wasm_extern_kind(exports.data[0]) == WASM_EXTERN_FUNC);
  wasm_func_t *func = wasm_extern_as_func(exports.data[0]);
  expect(wasm_func_param_arity(func) == 4 && wasm_func_result_arity(func) == 4);
  wasm_val_t args[4] = {WASM_I32_VAL(-1), WASM_I64_VAL(-2), WASM_F32_VAL(1.5f), WASM_F64_VAL(2.5)};
  wasm_val_t results[4] = {WASM_INIT_VAL, WASM_INIT_VAL, WASM_INIT_VAL, WASM_INIT_VAL};
  wasm_val_vec_t arg_vec = WASM_ARRAY_VEC(args), result_vec = WASM_ARRAY_VEC(results);
  expect_no_trap(wasm_func_call(func, &arg_vec, &result_vec));
  expect(results[0].kind == WASM_F64 && results[0].of.f64 == 2.5);
  expect(results[1].kind == WASM_F32 && results[1].of.f32 == 1.5f);
  expect(results[2].kind == WASM_I64 && results[2].of.i64 == -2);
  expect(results[3].kind == WASM_I32 && results[3].of.i32 == -1);
  wasm_extern_vec_delete(&exports);
  wasm_instance_delete(instance);
  end();
}

static void what_does_not_fit_is_a_trap(void) {
  begin();
  wasm_extern_vec_t exports;
  wasm_instance_t *instance =
      object_instance("(module (func (export \"f\") (param i32)) (func (export \"g\") unreachable))", NO_IMPORTS, &exports);
  wasm_val_t args[1] = {WASM_I64_VAL(1)};
  wasm_val_vec_t arg_vec = WASM_ARRAY_VEC(args), none = WASM_EMPTY_VEC;
  wasm_trap_t *trap = wasm_func_call(wasm_extern_as_func(exports.data[0]), &arg_vec, &none);
  expect_trap_says(trap, "type mismatch");
  expect_trap(wasm_func_call(wasm_extern_as_func(exports.data[1]), &none, &none), WASMTIME_TRAP_CODE_UNREACHABLE_CODE_REACHED);
  wasm_extern_vec_delete(&exports);
  wasm_instance_delete(instance);
  end();
}

static wasm_trap_t *add_env(void *env, const wasm_val_vec_t *args, wasm_val_vec_t *results) {
  expect(args->size == 1 && args->data[0].kind == WASM_I32 && results->size == 1);
  results->data[0].kind = WASM_I32;
  results->data[0].of.i32 = args->data[0].of.i32 + *(int *)env;
  return NULL;
}

static int callback_finalized;
static void finalize_callback(void *env) {
  (void)env;
  callback_finalized++;
}

static wasm_trap_t *refuse(const wasm_val_vec_t *args, wasm_val_vec_t *results) {
  (void)args, (void)results;
  wasm_message_t message;
  wasm_name_new_from_string_nt(&message, "refused");
  wasm_trap_t *trap = wasm_trap_new(objects, &message);
  wasm_name_delete(&message);
  return trap;
}

static void host_functions_are_called_and_finalized(void) {
  begin();
  static int env = 30;
  callback_finalized = 0;
  wasm_functype_t *type = wasm_functype_new_1_1(wasm_valtype_new_i32(), wasm_valtype_new_i32());
  wasm_functype_t *none_type = wasm_functype_new_0_0();
  wasm_func_t *adding = wasm_func_new_with_env(objects, type, add_env, &env, finalize_callback);
  wasm_func_t *refusing = wasm_func_new(objects, none_type, refuse);
  wasm_functype_delete(type);
  wasm_functype_delete(none_type);
  wasm_extern_t *imports[2] = {wasm_func_as_extern(adding), wasm_func_as_extern(refusing)};
  wasm_extern_vec_t import_vec = WASM_ARRAY_VEC(imports), exports;
  wasm_instance_t *instance =
      object_instance("(module (import \"\" \"a\" (func $a (param i32) (result i32))) (import \"\" \"r\" (func $r))"
                      "  (func (export \"f\") (param i32) (result i32) (call $a (local.get 0)))"
                      "  (func (export \"g\") call $r))",
                      import_vec, &exports);
  wasm_val_t args[1] = {WASM_I32_VAL(12)}, results[1] = {WASM_INIT_VAL};
  wasm_val_vec_t arg_vec = WASM_ARRAY_VEC(args), result_vec = WASM_ARRAY_VEC(results), none = WASM_EMPTY_VEC;
  expect_no_trap(wasm_func_call(wasm_extern_as_func(exports.data[0]), &arg_vec, &result_vec));
  expect(results[0].kind == WASM_I32 && results[0].of.i32 == 42);
  expect_trap_says(wasm_func_call(wasm_extern_as_func(exports.data[1]), &none, &none), "refused");
  wasm_extern_vec_delete(&exports);
  wasm_instance_delete(instance);
  wasm_func_delete(adding);
  wasm_func_delete(refusing);
  expect(callback_finalized == 0);
  end();
  expect(callback_finalized == 1);
}

static void memories_tables_and_globals_are_used(void) {
  begin();
  wasm_extern_vec_t exports;
  wasm_instance_t *instance =
      object_instance("(module (memory (export \"m\") 1 2) (data (i32.const 1) \"x\") (table (export \"t\") 2 3 funcref)"
                      "  (elem (i32.const 1) $f) (global (export \"g\") (mut i64) (i64.const 5)) (func $f (export \"f\")))",
                      NO_IMPORTS, &exports);
  wasm_memory_t *memory = wasm_extern_as_memory(exports.data[0]);
  wasm_table_t *table = wasm_extern_as_table(exports.data[1]);
  wasm_global_t *global = wasm_extern_as_global(exports.data[2]);
  if (!expect(memory && table && global)) exit(1);
  expect(!wasm_extern_as_func(exports.data[0]));
  expect(wasm_memory_data(memory)[1] == 'x' && wasm_memory_data_size(memory) == 65536);
  expect(wasm_memory_size(memory) == 1 && wasm_memory_grow(memory, 1) && wasm_memory_size(memory) == 2);
  expect(!wasm_memory_grow(memory, 1));
  expect(wasm_table_size(table) == 2 && wasm_table_get(table, 0) == NULL && wasm_table_get(table, 7) == NULL);
  wasm_ref_t *element = wasm_table_get(table, 1);
  expect(element != NULL && wasm_table_set(table, 0, element));
  wasm_ref_t *copy = wasm_table_get(table, 0);
  expect(copy != NULL && !wasm_table_set(table, 2, element));
  expect(wasm_table_grow(table, 1, element) && !wasm_table_grow(table, 1, NULL) && wasm_table_size(table) == 3);
  wasm_ref_delete(copy);
  wasm_ref_delete(element);
  wasm_val_t val = WASM_I64_VAL(6), got;
  wasm_global_set(global, &val);
  wasm_global_get(global, &got);
  expect(got.kind == WASM_I64 && got.of.i64 == 6);
  wasm_globaltype_t *type = wasm_global_type(global);
  expect(wasm_globaltype_mutability(type) == WASM_VAR);
  wasm_global_t *made = wasm_global_new(objects, type, &val);
  expect(made != NULL);
  wasm_global_delete(made);
  wasm_globaltype_delete(type);
  wasm_extern_vec_delete(&exports);
  wasm_instance_delete(instance);
  end();
}

static void objects_keep_their_store_alive(void) {
  begin();
  wasm_extern_vec_t exports;
  wasm_instance_t *instance =
      object_instance("(module (memory (export \"m\") 1) (data (i32.const 3) \"y\"))", NO_IMPORTS, &exports);
  wasm_instance_delete(instance);
  wasm_memory_t *memory = wasm_memory_copy(wasm_extern_as_memory(exports.data[0]));
  wasm_extern_vec_delete(&exports);
  end();
  expect(wasm_memory_data(memory)[3] == 'y');
  wasm_memory_delete(memory);
}

static void a_module_is_shared_and_serialized(void) {
  begin();
  wasm_module_t *module = object_module("(module (import \"a\" \"b\" (func)) (export \"c\" (func 0)))");
  wasm_importtype_vec_t imports;
  wasm_exporttype_vec_t exports;
  wasm_module_imports(module, &imports);
  wasm_module_exports(module, &exports);
  expect(imports.size == 1 && name_is(wasm_importtype_name(imports.data[0]), "b"));
  expect(exports.size == 1 && name_is(wasm_exporttype_name(exports.data[0]), "c"));
  wasm_importtype_vec_delete(&imports);
  wasm_exporttype_vec_delete(&exports);
  wasm_shared_module_t *shared = wasm_module_share(module);
  wasm_module_t *obtained = wasm_module_obtain(objects, shared);
  expect(obtained != NULL);
  wasm_shared_module_delete(shared);
  wasm_byte_vec_t bytes;
  wasm_module_serialize(obtained, &bytes);
  wasm_module_t *loaded = wasm_module_deserialize(objects, &bytes);
  expect(loaded != NULL);
  expect(!wasm_module_validate(objects, &bytes));
  expect(wasm_module_new(objects, &bytes) == NULL);
  wasm_byte_vec_delete(&bytes);
  wasm_module_delete(loaded);
  wasm_module_delete(obtained);
  wasm_module_delete(module);
  end();
}

static void an_import_that_does_not_fit_is_a_trap(void) {
  begin();
  wasm_module_t *module = object_module("(module (import \"a\" \"b\" (func)))");
  wasm_trap_t *trap = NULL;
  wasm_extern_vec_t none = WASM_EMPTY_VEC;
  expect(wasm_instance_new(objects, module, &none, &trap) == NULL);
  expect_trap_says(trap, "expected 1 imports, found 0");
  expect(wasm_instance_new(objects, module, &none, NULL) == NULL);
  wasm_module_delete(module);
  end();
}

static void host_information_is_null(void) {
  begin();
  wasm_module_t *module = object_module("(module)");
  expect(wasm_module_get_host_info(module) == NULL);
  wasm_module_delete(module);
  end();
}

// -- Where there is nothing to answer, the answer is null

static void with_shared_memories(wasm_config_t *config) { wasmtime_config_shared_memory_set(config, true); }

static void a_shared_memory_among_the_exports_is_null(void) {
  objects = wasm_store_new(engine);
  wasm_extern_vec_t none = WASM_EMPTY_VEC, exports;
  wasm_instance_t *instance =
      object_instance("(module (memory (export \"m\") 1 2 shared) (func (export \"f\")))", none, &exports);
  expect(exports.size == 2 && exports.data[0] == NULL && wasm_extern_kind(exports.data[1]) == WASM_EXTERN_FUNC);
  wasm_extern_vec_delete(&exports);
  wasm_instance_delete(instance);
  wasm_store_delete(objects);
}

static void without_references(wasm_config_t *config) { wasmtime_config_gc_support_set(config, false); }

static void there_is_no_foreign_object_without_references(void) {
  objects = wasm_store_new(engine);
  expect(wasm_foreign_new(objects) == NULL);
  wasm_store_delete(objects);
}

static void a_message_without_a_nul_is_a_message(void) {
  wasm_message_t unended = {4, (char *)"text"}, nothing = WASM_EMPTY_VEC;
  wasm_trap_t *trap = wasm_trap_new(NULL, &unended), *empty = wasm_trap_new(NULL, &nothing);
  expect_trap_says(trap, "text");
  wasm_trap_delete(empty);
}

static void null_is_deleted_in_vain(void) {
  wasm_trap_delete(NULL);
  wasm_frame_delete(NULL);
  wasm_func_delete(NULL);
  wasm_module_delete(NULL);
  wasm_valtype_delete(NULL);
  wasm_config_delete(NULL);
  wasm_engine_delete(NULL);
  wasm_store_delete(NULL);
  wasmtime_error_delete(NULL);
  wasmtime_linker_delete(NULL);
}

int main(void) {
  RUN(a_function_is_called);
  RUN(what_does_not_fit_is_a_trap);
  RUN(host_functions_are_called_and_finalized);
  RUN(memories_tables_and_globals_are_used);
  RUN(objects_keep_their_store_alive);
  RUN(a_module_is_shared_and_serialized);
  RUN(an_import_that_does_not_fit_is_a_trap);
  RUN(host_information_is_null);
  RUN_HERE_WITH(with_shared_memories, a_shared_memory_among_the_exports_is_null);
  RUN_HERE_WITH(without_references, there_is_no_foreign_object_without_references);
  RUN_HERE(a_message_without_a_nul_is_a_message);
  RUN_HERE(null_is_deleted_in_vain);
  return test_summary();
}
