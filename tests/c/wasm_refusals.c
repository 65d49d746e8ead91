// What the portable API refuses: null, false or a trap, and nothing has changed.
#include "portable.h"

#include <sys/resource.h>

static const char *const ALL = "(module (func (export \"f\") (param i32) (result i32) (local.get 0))"
                               "  (global (export \"v\") (mut i32) (i32.const 5)) (global (export \"c\") i32 (i32.const 6))"
                               "  (table (export \"t\") 1 3 funcref) (memory (export \"m\") 1 2))";

static wasm_extern_vec_t exports;
static wasm_instance_t *instance;

static void begin(void) { instance = instance_of(ALL, &NO_EXTERNS, &exports); }

static void end(void) {
  wasm_extern_vec_delete(&exports);
  wasm_instance_delete(instance);
}

static void a_table_of_numbers_has_no_type(void) {
  const wasm_limits_t limits = {1, 2};
  expect(wasm_tabletype_new(wasm_valtype_new_i32(), &limits) == NULL);
  expect(wasm_tabletype_new(wasm_valtype_new_f64(), &limits) == NULL);
}

static void a_global_takes_its_type_only(void) {
  begin();
  wasm_globaltype_t *type = wasm_globaltype_new(wasm_valtype_new_i64(), WASM_VAR);
  wasm_val_t wrong = WASM_I32_VAL(1), null = WASM_INIT_VAL, unknown = WASM_I32_VAL(1), got;
  unknown.kind = 77;
  expect(wasm_global_new(store, type, &wrong) == NULL && wasm_global_new(store, type, &null) == NULL);
  expect(wasm_global_new(store, type, &unknown) == NULL);
  wasm_globaltype_delete(type);
  wasm_global_t *variable = wasm_extern_as_global(exports.data[1]), *constant = wasm_extern_as_global(exports.data[2]);
  wasm_val_t seven = WASM_I32_VAL(7), eight = WASM_I64_VAL(8);
  wasm_global_set(constant, &seven);
  wasm_global_get(constant, &got);
  expect(got.of.i32 == 6);
  wasm_global_set(variable, &eight);
  wasm_global_set(variable, &unknown);
  wasm_global_get(variable, &got);
  expect(got.of.i32 == 5);
  wasm_global_set(variable, &seven);
  wasm_global_get(variable, &got);
  expect(got.of.i32 == 7);
  end();
}

static void a_table_takes_functions_only(void) {
  begin();
  wasm_table_t *table = wasm_extern_as_table(exports.data[3]);
  wasm_ref_t *memory = wasm_extern_as_ref(exports.data[4]), *func = wasm_extern_as_ref(exports.data[0]);
  wasm_foreign_t *foreign = wasm_foreign_new(store);
  wasm_ref_t *wrong_kinds[] = {memory, wasm_foreign_as_ref(foreign), wasm_instance_as_ref(instance)};
  wasm_tabletype_t *type = wasm_table_type(table);
  for (int i = 0; i < 3; i++) {
    expect(wasm_table_new(store, type, wrong_kinds[i]) == NULL);
    expect(!wasm_table_set(table, 0, wrong_kinds[i]) && !wasm_table_grow(table, 1, wrong_kinds[i]));
  }
  expect(!wasm_table_set(table, 1, func) && !wasm_table_set(table, 0xffffffff, func));
  expect(!wasm_table_grow(table, 3, func) && !wasm_table_grow(table, 0xffffffff, func));
  expect(wasm_table_size(table) == 1 && wasm_table_get(table, 0) == NULL);
  expect(wasm_table_grow(table, 2, func) && wasm_table_size(table) == 3);
  wasm_tabletype_delete(type);
  wasm_foreign_delete(foreign);
  end();
}

static void a_memory_grows_within_its_limits_only(void) {
  begin();
  wasm_memory_t *memory = wasm_extern_as_memory(exports.data[4]);
  expect(!wasm_memory_grow(memory, 2) && !wasm_memory_grow(memory, 0xffffffff));
  expect(wasm_memory_size(memory) == 1 && wasm_memory_grow(memory, 1));
  end();
}

static void values_that_do_not_fit_are_not_passed(void) {
  begin();
  const wasm_func_t *f = wasm_extern_as_func(exports.data[0]);
  wasm_val_t one[1] = {WASM_I32_VAL(1)}, wide[1] = {WASM_I64_VAL(1)}, two[2] = {WASM_I32_VAL(1), WASM_I32_VAL(2)};
  wasm_val_t unknown[1] = {WASM_I32_VAL(1)}, out[2] = {WASM_I32_VAL(9), WASM_I32_VAL(9)};
  unknown[0].kind = 77;
  wasm_val_vec_t fits = WASM_ARRAY_VEC(one), wrong = WASM_ARRAY_VEC(wide), many = WASM_ARRAY_VEC(two);
  wasm_val_vec_t odd = WASM_ARRAY_VEC(unknown), none = WASM_EMPTY_VEC, result = {1, out}, results = {2, out};
  expect_trap_says(wasm_func_call(f, &wrong, &result), "argument type mismatch");
  expect_trap_says(wasm_func_call(f, &many, &result), "expected 1 arguments, got 2");
  expect_trap_says(wasm_func_call(f, &none, &result), "expected 1 arguments, got 0");
  expect_trap_says(wasm_func_call(f, &odd, &result), "77 is not the kind of a value");
  expect_trap_says(wasm_func_call(f, &fits, &results), "expected 1 results, got 2");
  expect_trap_says(wasm_func_call(f, &fits, &none), "expected 1 results, got 0");
  expect(out[0].of.i32 == 9 && out[1].of.i32 == 9);
  end();
}

// A reference to something of another store, wherever values go.
static void stores_do_not_mix(void) {
  begin();
  wasm_store_t *other = wasm_store_new(engine);
  wasm_foreign_t *foreign = wasm_foreign_new(other);
  wasm_globaltype_t *type = wasm_globaltype_new(wasm_valtype_new_externref(), WASM_VAR);
  const wasm_limits_t limits = {1, 2};
  wasm_tabletype_t *table_type = wasm_tabletype_new(wasm_valtype_new_externref(), &limits);
  wasm_val_t theirs[1] = {WASM_REF_VAL(wasm_foreign_as_ref(foreign))};
  expect(wasm_global_new(store, type, theirs) == NULL);
  expect(wasm_table_new(store, table_type, wasm_foreign_as_ref(foreign)) == NULL);
  wasm_module_t *module = module_of("(module (import \"\" \"\" (memory 1)))");
  wasm_extern_t *import[1] = {exports.data[4]}, *null[1] = {NULL};
  wasm_extern_vec_t imports = {1, import}, nulls = {1, null};
  wasm_trap_t *trap = NULL;
  expect(wasm_instance_new(other, module, &imports, &trap) == NULL);
  expect_trap_says(trap, "cross-`Store` instantiation is not currently supported");
  trap = NULL;
  expect(wasm_instance_new(store, module, &nulls, &trap) == NULL);
  expect_trap_says(trap, "an import is null");
  wasm_module_delete(module);
  wasm_tabletype_delete(table_type);
  wasm_globaltype_delete(type);
  wasm_foreign_delete(foreign);
  wasm_store_delete(other);
  end();
}

static void engines_do_not_mix(void) {
  wasm_engine_t *second = wasm_engine_new();
  wasm_store_t *other = wasm_store_new(second);
  wasm_module_t *module = module_of("(module)");
  wasm_trap_t *trap = NULL;
  expect(wasm_instance_new(other, module, &NO_EXTERNS, &trap) == NULL);
  expect_trap_says(trap, "cross-`Engine` instantiation is not currently supported");
  wasm_module_delete(module);
  wasm_store_delete(other);
  wasm_engine_delete(second);
}

// A process that may have no more address space gets no memory, and goes on.
static void memory_that_is_not_there_is_null(void) {
  const wasm_limits_t limits = {1, 65536};
  wasm_memorytype_t *type = wasm_memorytype_new(&limits);
  struct rlimit kept, small;
  expect(!getrlimit(RLIMIT_AS, &kept));
  FILE *file = fopen("/proc/self/statm", "r");
  unsigned long pages = 0;
  expect(file && fscanf(file, "%lu", &pages) == 1);
  fclose(file);
  small = kept;
  small.rlim_cur = pages * 4096 + (UINT64_C(1) << 30);
  expect(!setrlimit(RLIMIT_AS, &small));
  wasm_memory_t *memory = wasm_memory_new(store, type);
  expect(!setrlimit(RLIMIT_AS, &kept));
  expect(memory == NULL);
  memory = wasm_memory_new(store, type);
  if (expect(memory != NULL)) wasm_memory_delete(memory);
  wasm_memorytype_delete(type);
}

int main(void) {
  RUN(a_table_of_numbers_has_no_type);
  RUN_HERE(a_global_takes_its_type_only);
  RUN_HERE(a_table_takes_functions_only);
  RUN(a_memory_grows_within_its_limits_only);
  RUN_HERE(values_that_do_not_fit_are_not_passed);
  RUN_HERE(stores_do_not_mix);
  RUN(engines_do_not_mix);
  if (getenv("AMPOULE_VALGRIND"))
    test_skip("memory_that_is_not_there_is_null", "not under valgrind");
  else
    RUN_HERE(memory_that_is_not_there_is_null);
  return test_summary();
}
