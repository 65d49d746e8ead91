// The portable API at work, what instances share with their host: reflect, global, table and memory.

#include "portable.h"

// -- reflect: what a module tells about itself, and an instance about its exports

static void import_is(const wasm_importtype_t *type, const char *module, const char *name, wasm_externkind_t kind) {
  expect(name_is(wasm_importtype_module(type), module) && name_is(wasm_importtype_name(type), name));
  expect(wasm_externtype_kind(wasm_importtype_type(type)) == kind);
}

static void reflect(void) {
  wasm_module_t *module = module_of(
      "(module"
      "  (import \"env\" \"f\" (func (param i32 f64) (result i64)))"
      "  (import \"\" \"g\" (global (mut externref)))"
      "  (func (export \"func\") (param f32 f32) (result i32 i64) unreachable)"
      "  (global (export \"constant\") f64 (f64.const 1))"
      "  (table (export \"table\") 5 50 funcref)"
      "  (memory (export \"memory\") 2))");
  wasm_importtype_vec_t imports;
  wasm_module_imports(module, &imports);
  need(imports.size == 2);
  import_is(imports.data[0], "env", "f", WASM_EXTERN_FUNC);
  import_is(imports.data[1], "", "g", WASM_EXTERN_GLOBAL);
  const wasm_functype_t *import_type = wasm_externtype_as_functype_const(wasm_importtype_type(imports.data[0]));
  need(import_type != NULL);
  const wasm_valtype_vec_t *params = wasm_functype_params(import_type), *results = wasm_functype_results(import_type);
  expect(params->size == 2 && results->size == 1);
  expect(wasm_valtype_kind(params->data[0]) == WASM_I32 && wasm_valtype_kind(params->data[1]) == WASM_F64);
  expect(wasm_valtype_kind(results->data[0]) == WASM_I64);
  const wasm_globaltype_t *g = wasm_externtype_as_globaltype_const(wasm_importtype_type(imports.data[1]));
  need(g != NULL);
  expect(wasm_globaltype_mutability(g) == WASM_VAR);
  expect(wasm_valtype_kind(wasm_globaltype_content(g)) == WASM_EXTERNREF);
  expect(wasm_externtype_as_memorytype_const(wasm_importtype_type(imports.data[1])) == NULL);
  // What was taken out of the module outlives it.
  wasm_exporttype_vec_t exports;
  wasm_module_exports(module, &exports);
  wasm_module_delete(module);
  wasm_importtype_vec_delete(&imports);
  need(exports.size == 4);
  static const struct {
    const char *name;
    wasm_externkind_t kind;
  } expected[] = {{"func", WASM_EXTERN_FUNC},
                  {"constant", WASM_EXTERN_GLOBAL},
                  {"table", WASM_EXTERN_TABLE},
                  {"memory", WASM_EXTERN_MEMORY}};
  for (size_t i = 0; i < exports.size; i++) {
    expect(name_is(wasm_exporttype_name(exports.data[i]), expected[i].name));
    expect(wasm_externtype_kind(wasm_exporttype_type(exports.data[i])) == expected[i].kind);
  }
  const wasm_tabletype_t *table = wasm_externtype_as_tabletype_const(wasm_exporttype_type(exports.data[2]));
  need(table != NULL);
  expect(wasm_tabletype_limits(table)->min == 5 && wasm_tabletype_limits(table)->max == 50);
  expect(wasm_valtype_kind(wasm_tabletype_element(table)) == WASM_FUNCREF);
  const wasm_memorytype_t *memory = wasm_externtype_as_memorytype_const(wasm_exporttype_type(exports.data[3]));
  need(memory != NULL);
  expect(wasm_memorytype_limits(memory)->min == 2 && wasm_memorytype_limits(memory)->max == wasm_limits_max_default);
  wasm_exporttype_vec_delete(&exports);
}

static void an_instance_has_the_exports_of_its_module(void) {
  wasm_extern_vec_t exports;
  wasm_instance_t *instance = instance_of(
      "(module (func (export \"a\")) (global (export \"b\") i32 (i32.const 0))"
      "  (table (export \"c\") 0 externref) (memory (export \"d\") 0) (export \"e\" (func 0)))",
      &NO_EXTERNS, &exports);
  static const wasm_externkind_t kinds[] = {WASM_EXTERN_FUNC, WASM_EXTERN_GLOBAL, WASM_EXTERN_TABLE, WASM_EXTERN_MEMORY,
                                            WASM_EXTERN_FUNC};
  need(exports.size == 5);
  for (size_t i = 0; i < exports.size; i++) {
    wasm_externtype_t *type = wasm_extern_type(exports.data[i]);
    expect(wasm_extern_kind(exports.data[i]) == kinds[i] && wasm_externtype_kind(type) == kinds[i]);
    wasm_externtype_delete(type);
    // A view as another kind is refused, the right one is the object itself.
    expect((wasm_extern_as_func(exports.data[i]) != NULL) == (kinds[i] == WASM_EXTERN_FUNC));
    expect((wasm_extern_as_global(exports.data[i]) != NULL) == (kinds[i] == WASM_EXTERN_GLOBAL));
    expect((wasm_extern_as_table(exports.data[i]) != NULL) == (kinds[i] == WASM_EXTERN_TABLE));
    expect((wasm_extern_as_memory(exports.data[i]) != NULL) == (kinds[i] == WASM_EXTERN_MEMORY));
  }
  expect(wasm_func_as_extern(wasm_extern_as_func(exports.data[0])) == exports.data[0]);
  wasm_extern_vec_t copy;
  wasm_extern_vec_copy(&copy, &exports);
  wasm_extern_vec_delete(&exports);
  wasm_instance_delete(instance);
  expect(copy.size == 5);
  expect_no_trap(call(func_at(&copy, 4)));
  wasm_extern_vec_delete(&copy);
}

// -- global: seen and changed from both sides

static wasm_global_t *new_global(wasm_valkind_t kind, wasm_mutability_t mutability, wasm_val_t init) {
  wasm_globaltype_t *type = wasm_globaltype_new(wasm_valtype_new(kind), mutability);
  wasm_global_t *global = wasm_global_new(store, type, &init);
  wasm_globaltype_delete(type);
  need(global != NULL);
  return global;
}

static int64_t i64_in(const wasm_global_t *global) {
  wasm_val_t val;
  wasm_global_get(global, &val);
  expect(val.kind == WASM_I64);
  return val.of.i64;
}

static void global(void) {
  wasm_val_t five = WASM_I64_VAL(5), six = WASM_I64_VAL(6), half = WASM_F32_VAL(0.5f);
  wasm_global_t *constant = new_global(WASM_F32, WASM_CONST, half), *variable = new_global(WASM_I64, WASM_VAR, five);
  wasm_extern_t *imports[2] = {wasm_global_as_extern(constant), wasm_global_as_extern(variable)};
  wasm_extern_vec_t import_vec = WASM_ARRAY_VEC(imports), exports;
  wasm_instance_t *instance = instance_of(
      "(module"
      "  (import \"\" \"constant\" (global $c f32)) (import \"\" \"variable\" (global $v (mut i64)))"
      "  (global $own (export \"own\") (mut i64) (i64.const 10))"
      "  (export \"again\" (global $v))"
      "  (func (export \"add\") (param i32) (result i32)"
      "    (global.set $v (i64.add (global.get $v) (i64.extend_i32_s (local.get 0))))"
      "    (global.set $own (i64.sub (global.get $own) (i64.const 1)))"
      "    (i32.wrap_i64 (global.get $v)))"
      "  (func (export \"half\") (result i32) (f32.eq (global.get $c) (f32.const 0.5))))",
      &import_vec, &exports);
  const wasm_global_t *own = wasm_extern_as_global(exports.data[0]);
  wasm_global_t *again = wasm_extern_as_global(exports.data[1]);
  need(own && again);
  expect(call0(func_at(&exports, 3)) == 1);
  expect(call1(func_at(&exports, 2), 3) == 8);
  expect(i64_in(variable) == 8 && i64_in(own) == 9);
  wasm_global_set(variable, &six);
  expect(i64_in(again) == 6 && call1(func_at(&exports, 2), -7) == -1);
  wasm_global_set(again, &five);
  expect(i64_in(variable) == 5);
  wasm_globaltype_t *type = wasm_global_type(variable);
  expect(wasm_globaltype_mutability(type) == WASM_VAR && wasm_valtype_kind(wasm_globaltype_content(type)) == WASM_I64);
  wasm_globaltype_delete(type);
  // Handles go in any order.
  wasm_global_t *copy = wasm_global_copy(variable);
  wasm_global_delete(variable);
  wasm_extern_vec_delete(&exports);
  wasm_instance_delete(instance);
  expect(i64_in(copy) == 5);
  wasm_global_delete(copy);
  wasm_global_delete(constant);
}

// -- table: functions put in by both sides, called by the guest

static wasm_trap_t *negate(const wasm_val_vec_t *args, wasm_val_vec_t *results) {
  results->data[0] = i32(-args->data[0].of.i32);
  return NULL;
}

static void table(void) {
  wasm_extern_vec_t exports;
  wasm_instance_t *instance = instance_of(
      "(module"
      "  (type $op (func (param i32) (result i32)))"
      "  (table $t (export \"table\") 2 10 funcref) (elem (i32.const 1) $inc)"
      "  (func (export \"run\") (param i32 i32) (result i32) (call_indirect (type $op) (local.get 1) (local.get 0)))"
      "  (func $inc (export \"inc\") (type $op) (i32.add (local.get 0) (i32.const 1)))"
      "  (func (export \"dec\") (type $op) (i32.sub (local.get 0) (i32.const 1)))"
      "  (func (export \"pick\") (param i32) (result funcref) (table.get $t (local.get 0))))",
      &NO_EXTERNS, &exports);
  wasm_table_t *table = wasm_extern_as_table(exports.data[0]);
  need(table != NULL);
  wasm_func_t *run = func_at(&exports, 1);
  wasm_val_t one_eight[2] = {WASM_I32_VAL(1), WASM_I32_VAL(8)}, zero_eight[2] = {WASM_I32_VAL(0), WASM_I32_VAL(8)};
  wasm_val_t far[2] = {WASM_I32_VAL(99), WASM_I32_VAL(8)}, out[1] = {WASM_INIT_VAL};
  wasm_val_vec_t zero_args = WASM_ARRAY_VEC(zero_eight), far_args = WASM_ARRAY_VEC(far), outs = WASM_ARRAY_VEC(out);
  expect(wasm_table_size(table) == 2 && wasm_table_get(table, 0) == NULL);
  expect(call_i32(run, 2, one_eight) == 9);
  expect_trap_says(wasm_func_call(run, &zero_args, &outs), "uninitialized element");
  expect_trap_says(wasm_func_call(run, &far_args, &outs), "out of bounds table access");
  // What is at 1 is put at 0, too.
  wasm_ref_t *inc = wasm_table_get(table, 1);
  need(inc != NULL);
  expect(wasm_table_set(table, 0, inc) && call_i32(run, 2, zero_eight) == 9);
  expect(wasm_table_set(table, 0, NULL) && wasm_table_get(table, 0) == NULL);
  // Past the end nothing changes.
  expect(!wasm_table_set(table, 2, inc) && wasm_table_get(table, 2) == NULL);
  expect(wasm_table_grow(table, 3, inc) && wasm_table_size(table) == 5);
  wasm_ref_t *grown = wasm_table_get(table, 4);
  expect(grown != NULL);
  wasm_ref_delete(grown);
  expect(!wasm_table_grow(table, 6, NULL) && wasm_table_size(table) == 5);
  // A reference comes out of a call, and goes back into the table.
  wasm_val_t one[1] = {WASM_I32_VAL(1)};
  wasm_val_vec_t one_args = WASM_ARRAY_VEC(one);
  expect_no_trap(wasm_func_call(func_at(&exports, 4), &one_args, &outs));
  expect(out[0].kind == WASM_FUNCREF && out[0].of.ref != NULL);
  expect(wasm_table_set(table, 0, out[0].of.ref) && call_i32(run, 2, zero_eight) == 9);
  wasm_val_delete(&out[0]);
  wasm_tabletype_t *type = wasm_table_type(table);
  expect(wasm_tabletype_limits(type)->max == 10);
  wasm_table_t *made = wasm_table_new(store, type, inc);
  need(made != NULL);
  expect(wasm_table_size(made) == wasm_tabletype_limits(type)->min);
  wasm_tabletype_delete(type);
  wasm_table_delete(made);
  wasm_ref_delete(inc);
  wasm_extern_vec_delete(&exports);
  wasm_instance_delete(instance);
}

static void a_table_keeps_the_host_functions_that_are_in_it(void) {
  wasm_functype_t *type = wasm_functype_new_1_1(wasm_valtype_new_i32(), wasm_valtype_new_i32());
  wasm_func_t *negating = wasm_func_new(store, type, negate);
  wasm_functype_delete(type);
  wasm_extern_t *imports[1] = {wasm_func_as_extern(negating)};
  wasm_extern_vec_t import_vec = WASM_ARRAY_VEC(imports), exports;
  wasm_instance_t *instance = instance_of(
      "(module (type $op (func (param i32) (result i32))) (import \"\" \"n\" (func $n (type $op)))"
      "  (table 1 funcref) (elem (i32.const 0) $n)"
      "  (func (export \"run\") (type $op) (call_indirect (type $op) (local.get 0) (i32.const 0))))",
      &import_vec, &exports);
  wasm_func_delete(negating);
  wasm_instance_delete(instance);
  expect(call1(func_at(&exports, 0), 5) == -5);
  wasm_extern_vec_delete(&exports);
}

// -- memory: bytes written by one side and read by the other; growth

static void memory(void) {
  wasm_extern_vec_t exports;
  wasm_instance_t *instance = instance_of(
      "(module"
      "  (memory (export \"memory\") 2 3) (data (i32.const 0x1000) \"\\01\\02\\03\\04\")"
      "  (func (export \"size\") (result i32) memory.size)"
      "  (func (export \"load\") (param i32) (result i32) (i32.load8_s (local.get 0)))"
      "  (func (export \"store\") (param i32 i32) (result i32)"
      "    (i32.store8 (local.get 0) (local.get 1)) (i32.const 0))"
      "  (func (export \"fill\") (param i32) (result i32)"
      "    (memory.fill (local.get 0) (i32.const 7) (i32.const 16)) (i32.const 1)))",
      &NO_EXTERNS, &exports);
  wasm_memory_t *memory = wasm_extern_as_memory(exports.data[0]);
  need(memory != NULL);
  wasm_func_t *size = func_at(&exports, 1), *load = func_at(&exports, 2), *write = func_at(&exports, 3);
  expect(wasm_memory_size(memory) == 2 && wasm_memory_data_size(memory) == 2 * MEMORY_PAGE_SIZE);
  expect(wasm_memory_data(memory)[0] == 0 && wasm_memory_data(memory)[0x1003] == 4);
  expect(call0(size) == 2 && call1(load, 0x1000) == 1);
  wasm_val_t at_end[2] = {WASM_I32_VAL(0x1ffff), WASM_I32_VAL(-3)}, past[1] = {WASM_I32_VAL(0x20000 - 8)};
  expect(call_i32(write, 2, at_end) == 0 && wasm_memory_data(memory)[0x1ffff] == -3);
  wasm_memory_data(memory)[0x1002] = 9;
  expect(call1(load, 0x1002) == 9);
  // A fill that would pass the end writes nothing.
  wasm_val_vec_t past_args = WASM_ARRAY_VEC(past);
  wasm_val_t out[1] = {WASM_INIT_VAL};
  wasm_val_vec_t outs = WASM_ARRAY_VEC(out);
  expect_trap_says(wasm_func_call(func_at(&exports, 4), &past_args, &outs), "out of bounds memory access");
  expect(wasm_memory_data(memory)[0x20000 - 8] == 0);
  expect(wasm_memory_grow(memory, 1) && wasm_memory_size(memory) == 3 && call0(size) == 3);
  expect(wasm_memory_data(memory)[0x1ffff] == -3 && wasm_memory_data(memory)[0x2ffff] == 0);
  expect(!wasm_memory_grow(memory, 1) && wasm_memory_grow(memory, 0) && wasm_memory_size(memory) == 3);
  wasm_memorytype_t *type = wasm_memory_type(memory);
  expect(wasm_memorytype_limits(type)->max == 3);
  wasm_memorytype_delete(type);
  wasm_limits_t limits = {5, 5};
  type = wasm_memorytype_new(&limits);
  wasm_memory_t *made = wasm_memory_new(store, type);
  wasm_memorytype_delete(type);
  need(made != NULL);
  expect(wasm_memory_size(made) == 5 && !wasm_memory_grow(made, 1) && wasm_memory_grow(made, 0));
  wasm_memory_t *copy = wasm_memory_copy(made);
  wasm_memory_delete(made);
  wasm_memory_data(copy)[7] = 'x';
  wasm_extern_vec_delete(&exports);
  wasm_instance_delete(instance);
  wasm_store_delete(store);
  store = NULL;
  // The memory keeps what it lives in.
  expect(wasm_memory_data(copy)[7] == 'x');
  wasm_memory_delete(copy);
}

int main(void) {
  RUN(reflect);
  RUN(an_instance_has_the_exports_of_its_module);
  RUN(global);
  RUN_FAULTING(table);
  RUN(a_table_keeps_the_host_functions_that_are_in_it);
  RUN_FAULTING(memory);
  return test_summary();
}
