// wasmtime/extern.h: externs and their types.
#include "test.h"

static const char *const ALL = "(module (func (export \"f\") (param i32) (result i64) i64.const 0)"
                               "  (global (export \"g\") (mut f32) (f32.const 0))"
                               "  (table (export \"t\") 1 2 externref)"
                               "  (memory (export \"m\") 1 5))";

static void each_kind_of_extern_has_its_type(void) {
  wasmtime_instance_t instance = instance_of(ALL);
  static const struct {
    const char *name;
    wasmtime_extern_kind_t kind;
    wasm_externkind_t type;
  } expected[] = {{"f", WASMTIME_EXTERN_FUNC, WASM_EXTERN_FUNC},
                  {"g", WASMTIME_EXTERN_GLOBAL, WASM_EXTERN_GLOBAL},
                  {"t", WASMTIME_EXTERN_TABLE, WASM_EXTERN_TABLE},
                  {"m", WASMTIME_EXTERN_MEMORY, WASM_EXTERN_MEMORY}};
  for (size_t i = 0; i < 4; i++) {
    wasmtime_extern_t item = export_of(&instance, expected[i].name);
    expect(item.kind == expected[i].kind);
    wasm_externtype_t *type = wasmtime_extern_type(ctx, &item);
    expect(wasm_externtype_kind(type) == expected[i].type);
    wasm_externtype_delete(type);
    wasmtime_extern_delete(&item); // nothing to free, but allowed
  }
}

static void the_types_have_their_contents(void) {
  wasmtime_instance_t instance = instance_of(ALL);
  wasmtime_extern_t item = export_of(&instance, "f");
  wasm_externtype_t *type = wasmtime_extern_type(ctx, &item);
  const wasm_functype_t *func = wasm_externtype_as_functype_const(type);
  expect(wasm_functype_params(func)->size == 1 && wasm_functype_results(func)->size == 1);
  expect(wasm_valtype_kind(wasm_functype_params(func)->data[0]) == WASM_I32);
  expect(wasm_valtype_kind(wasm_functype_results(func)->data[0]) == WASM_I64);
  wasm_externtype_delete(type);

  item = export_of(&instance, "g");
  type = wasmtime_extern_type(ctx, &item);
  const wasm_globaltype_t *global = wasm_externtype_as_globaltype_const(type);
  expect(wasm_valtype_kind(wasm_globaltype_content(global)) == WASM_F32);
  expect(wasm_globaltype_mutability(global) == WASM_VAR);
  wasm_externtype_delete(type);

  item = export_of(&instance, "t");
  type = wasmtime_extern_type(ctx, &item);
  const wasm_tabletype_t *table = wasm_externtype_as_tabletype_const(type);
  expect(wasm_valtype_kind(wasm_tabletype_element(table)) == WASM_EXTERNREF);
  expect(wasm_tabletype_limits(table)->min == 1 && wasm_tabletype_limits(table)->max == 2);
  wasm_externtype_delete(type);

  item = export_of(&instance, "m");
  type = wasmtime_extern_type(ctx, &item);
  const wasm_memorytype_t *memory = wasm_externtype_as_memorytype_const(type);
  expect(wasm_memorytype_limits(memory)->min == 1 && wasm_memorytype_limits(memory)->max == 5);
  wasm_externtype_delete(type);
}

static void shared(wasm_config_t *config) { wasmtime_config_shared_memory_set(config, true); }

static void a_shared_memory_is_owned_by_its_extern(void) {
  wasmtime_instance_t instance = instance_of("(module (memory (export \"m\") 1 2 shared))");
  wasmtime_extern_t item = export_of(&instance, "m");
  expect(item.kind == WASMTIME_EXTERN_SHAREDMEMORY);
  wasmtime_extern_t again = export_of(&instance, "m");
  wasm_externtype_t *type = wasmtime_extern_type(ctx, &item);
  expect(wasm_externtype_kind(type) == WASM_EXTERN_MEMORY);
  expect(wasmtime_memorytype_isshared(wasm_externtype_as_memorytype_const(type)));
  wasm_externtype_delete(type);
  expect(wasmtime_sharedmemory_data(item.of.sharedmemory) == wasmtime_sharedmemory_data(again.of.sharedmemory));
  wasmtime_extern_delete(&item);
  expect(wasmtime_sharedmemory_size(again.of.sharedmemory) == 1);
  wasmtime_extern_delete(&again);
}

static void handles_are_plain_values(void) {
  wasmtime_instance_t instance = instance_of("(module (func (export \"f\") (result i32) i32.const 5))");
  wasmtime_extern_t item = export_of(&instance, "f");
  wasmtime_extern_t copy = item;
  memset(&item, 0, sizeof item);
  expect(copy.of.func.store_id == instance.store_id);
  expect(call0(&copy.of.func) == 5);
}

int main(void) {
  RUN(each_kind_of_extern_has_its_type);
  RUN(the_types_have_their_contents);
  RUN_WITH(shared, a_shared_memory_is_owned_by_its_extern);
  RUN(handles_are_plain_values);
  return test_summary();
}
