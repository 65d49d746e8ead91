// wasmtime/instance.h: instantiation, its failures, and exports.
#include "test.h"

// Instantiates a module from text; what comes out is the caller's.
static wasmtime_error_t *instantiate(const char *wat, const wasmtime_extern_t *imports, size_t nimports,
                                     wasmtime_instance_t *instance, wasm_trap_t **trap) {
  wasmtime_module_t *module = module_of(wat);
  *trap = NULL;
  wasmtime_error_t *error = wasmtime_instance_new(ctx, module, imports, nimports, instance, trap);
  wasmtime_module_delete(module);
  return error;
}

static void exports_are_found_by_name(void) {
  wasmtime_instance_t instance = instance_of("(module (func (export \"f\")) (memory (export \"\") 1)"
                                             "  (global (export \"a\\00b\") i32 (i32.const 0)))");
  wasmtime_extern_t item;
  expect(wasmtime_instance_export_get(ctx, &instance, "f", 1, &item) && item.kind == WASMTIME_EXTERN_FUNC);
  expect(wasmtime_instance_export_get(ctx, &instance, "", 0, &item) && item.kind == WASMTIME_EXTERN_MEMORY);
  expect(wasmtime_instance_export_get(ctx, &instance, "a\0b", 3, &item) && item.kind == WASMTIME_EXTERN_GLOBAL);
  expect(!wasmtime_instance_export_get(ctx, &instance, "a", 1, &item));
  expect(!wasmtime_instance_export_get(ctx, &instance, "F", 1, &item));
  expect(!wasmtime_instance_export_get(ctx, &instance, "\xff\xfe", 2, &item));
}

static void exports_are_counted_in_order(void) {
  wasmtime_instance_t instance = instance_of("(module (memory (export \"z\") 1) (func (export \"a\"))"
                                             "  (table (export \"m\") 1 funcref) (global (export \"b\") i32 (i32.const 0)))");
  static const char *const names[] = {"z", "a", "m", "b"};
  static const wasmtime_extern_kind_t kinds[] = {WASMTIME_EXTERN_MEMORY, WASMTIME_EXTERN_FUNC, WASMTIME_EXTERN_TABLE,
                                                 WASMTIME_EXTERN_GLOBAL};
  char *name;
  size_t len;
  wasmtime_extern_t item;
  for (size_t i = 0; i < 4; i++) {
    if (!expect(wasmtime_instance_export_nth(ctx, &instance, i, &name, &len, &item))) continue;
    expect(len == 1 && name[0] == names[i][0] && item.kind == kinds[i]);
  }
  expect(!wasmtime_instance_export_nth(ctx, &instance, 4, &name, &len, &item));
  expect(!wasmtime_instance_export_nth(ctx, &instance, SIZE_MAX, &name, &len, &item));
}

static void the_number_of_imports_must_be_right(void) {
  wasmtime_instance_t instance;
  wasm_trap_t *trap;
  wasmtime_instance_t provider = instance_of("(module (func (export \"f\")))");
  wasmtime_extern_t imports[2] = {export_of(&provider, "f"), export_of(&provider, "f")};
  const char *wat = "(module (import \"\" \"\" (func)))";
  expect_error_says(instantiate(wat, NULL, 0, &instance, &trap), "expected 1 imports, found 0");
  expect_error_says(instantiate(wat, imports, 2, &instance, &trap), "expected 1 imports, found 2");
  expect_ok(instantiate(wat, imports, 1, &instance, &trap));
}

static void each_mismatch_of_an_import_is_an_error(void) {
  wasmtime_instance_t provider =
      instance_of("(module (func (export \"f\") (param i32)) (global (export \"g\") i32 (i32.const 0))"
                  "  (global (export \"gm\") (mut i32) (i32.const 0)) (table (export \"t\") 2 5 funcref)"
                  "  (table (export \"te\") 2 5 externref) (memory (export \"m\") 2 5) (memory (export \"m64\") i64 2 5))");
  static const struct {
    const char *item, *import, *message;
  } cases[] = {
      {"f", "(func)", "incompatible import type for `mod::item`"},
      {"f", "(func (param i64))", "incompatible import type for `mod::item`"},
      {"f", "(func (param i32) (result i32))", "incompatible import type for `mod::item`"},
      {"f", "(func (param i32))", NULL},
      {"f", "(global i32)", "incompatible import type for `mod::item`"},
      {"f", "(memory 1)", "incompatible import type for `mod::item`"},
      {"f", "(table 1 funcref)", "incompatible import type for `mod::item`"},
      {"g", "(func)", "incompatible import type for `mod::item`"},
      {"g", "(global i64)", "incompatible import type for `mod::item`"},
      {"g", "(global (mut i32))", "incompatible import type for `mod::item`"},
      {"g", "(global i32)", NULL},
      {"gm", "(global i32)", "incompatible import type for `mod::item`"},
      {"gm", "(global (mut i32))", NULL},
      {"t", "(table 3 funcref)", "incompatible import type for `mod::item`"},
      {"t", "(table 2 4 funcref)", "incompatible import type for `mod::item`"},
      {"t", "(table 2 5 externref)", "incompatible import type for `mod::item`"},
      {"t", "(table 1 6 funcref)", NULL},
      {"t", "(table 0 funcref)", NULL},
      {"te", "(table 1 externref)", NULL},
      {"m", "(memory 3)", "incompatible import type for `mod::item`"},
      {"m", "(memory 1 4)", "incompatible import type for `mod::item`"},
      {"m", "(memory i64 1 5)", "incompatible import type for `mod::item`"},
      {"m", "(memory 1 5 shared)", "incompatible import type for `mod::item`"},
      {"m", "(memory 2 5)", NULL},
      {"m", "(memory 0)", NULL},
      {"m64", "(memory 1)", "incompatible import type for `mod::item`"},
      {"m64", "(memory i64 1)", NULL},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char wat[256];
    snprintf(wat, sizeof wat, "(module (import \"mod\" \"item\" %s))", cases[i].import);
    wasmtime_extern_t item = export_of(&provider, cases[i].item);
    wasmtime_instance_t instance;
    wasm_trap_t *trap;
    wasmtime_error_t *error = instantiate(wat, &item, 1, &instance, &trap);
    expect_no_trap(trap);
    bool holds = cases[i].message ? expect_error_says(error, cases[i].message) : expect_ok(error);
    if (!holds) printf("# %s for %s\n", cases[i].item, cases[i].import);
  }
}

static void sizes_at_the_time_of_linking_count(void) {
  wasmtime_instance_t provider = instance_of("(module (memory (export \"m\") 1 5) (table (export \"t\") 1 5 funcref))");
  wasmtime_extern_t imports[2] = {export_of(&provider, "m"), export_of(&provider, "t")};
  const char *wat = "(module (import \"\" \"m\" (memory 3 5)) (import \"\" \"t\" (table 3 5 funcref)))";
  wasmtime_instance_t instance;
  wasm_trap_t *trap;
  uint64_t previous;
  wasmtime_val_t null = funcref_val(NULL);
  expect_error(instantiate(wat, imports, 2, &instance, &trap));
  expect_ok(wasmtime_memory_grow(ctx, &imports[0].of.memory, 2, &previous));
  expect_error(instantiate(wat, imports, 2, &instance, &trap));
  expect_ok(wasmtime_table_grow(ctx, &imports[1].of.table, 2, &null, &previous));
  expect_ok(instantiate(wat, imports, 2, &instance, &trap));
}

static void what_is_exported_can_be_imported_and_is_the_same(void) {
  wasmtime_instance_t provider = instance_of(
      "(module (memory (export \"m\") 1) (global (export \"g\") (mut i32) (i32.const 1)) (table (export \"t\") 1 funcref)"
      "  (func (export \"f\") (result i32) (i32.add (global.get 0) (i32.load (i32.const 0)))))");
  wasmtime_extern_t imports[4] = {export_of(&provider, "m"), export_of(&provider, "g"), export_of(&provider, "t"),
                                  export_of(&provider, "f")};
  wasmtime_instance_t user =
      instance_with(ctx, engine, "(module (import \"\" \"m\" (memory 1)) (import \"\" \"g\" (global $g (mut i32)))"
                                 "  (import \"\" \"t\" (table 1 funcref)) (import \"\" \"f\" (func $f (result i32)))"
                                 "  (elem (i32.const 0) func $set)"
                                 "  (func $set (export \"set\") (result i32) (i32.store (i32.const 0) (i32.const 40))"
                                 "    (global.set $g (i32.const 2)) (call $f)))",
                    imports, 4);
  wasmtime_func_t set = func_of(&user, "set"), f = func_of(&provider, "f");
  expect(call0(&f) == 1);
  expect(call0(&set) == 42);
  expect(call0(&f) == 42);
  wasmtime_val_t val;
  expect(wasmtime_table_get(ctx, &imports[2].of.table, 0, &val));
  expect(!wasmtime_funcref_is_null(&val.of.funcref) && call0(&val.of.funcref) == 42);
}

static void a_start_function_runs(void) {
  wasmtime_instance_t instance = instance_of("(module (global (export \"g\") (mut i32) (i32.const 1))"
                                             "  (func $s (global.set 0 (i32.const 7))) (start $s))");
  wasmtime_val_t val;
  wasmtime_global_t global = export_of(&instance, "g").of.global;
  wasmtime_global_get(ctx, &global, &val);
  expect(val.of.i32 == 7);
}

static void a_start_function_may_trap(void) {
  wasmtime_instance_t instance;
  wasm_trap_t *trap;
  expect_ok(instantiate("(module (func $s unreachable) (start $s))", NULL, 0, &instance, &trap));
  expect_trap(trap, WASMTIME_TRAP_CODE_UNREACHABLE_CODE_REACHED);
}

static void segments_beyond_the_end_trap(void) {
  wasmtime_instance_t instance;
  wasm_trap_t *trap;
  expect_ok(instantiate("(module (memory 1) (data (i32.const 65535) \"ab\"))", NULL, 0, &instance, &trap));
  expect_trap(trap, WASMTIME_TRAP_CODE_MEMORY_OUT_OF_BOUNDS);
  expect_ok(instantiate("(module (table 1 funcref) (func $f) (elem (i32.const 1) func $f))", NULL, 0, &instance, &trap));
  expect_trap(trap, WASMTIME_TRAP_CODE_TABLE_OUT_OF_BOUNDS);
}

static void what_ran_before_a_failed_segment_stays_done(void) {
  wasmtime_instance_t provider = instance_of("(module (memory (export \"m\") 1))");
  wasmtime_extern_t import = export_of(&provider, "m");
  wasmtime_instance_t instance;
  wasm_trap_t *trap;
  expect_ok(instantiate("(module (import \"\" \"m\" (memory 1)) (data (i32.const 0) \"a\") (data (i32.const 65536) \"b\"))",
                        &import, 1, &instance, &trap));
  expect_trap(trap, WASMTIME_TRAP_CODE_MEMORY_OUT_OF_BOUNDS);
  expect(wasmtime_memory_data(ctx, &import.of.memory)[0] == 'a');
}

static wasm_trap_t *count(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                          wasmtime_val_t *results, size_t nresults) {
  (void)caller, (void)args, (void)nargs, (void)results, (void)nresults;
  ++*(int *)env;
  return NULL;
}

static void a_host_function_may_be_the_start_function(void) {
  int calls = 0;
  wasm_functype_t *type = wasm_functype_new_0_0();
  wasmtime_func_t host;
  wasmtime_func_new(ctx, type, count, &calls, NULL, &host);
  wasm_functype_delete(type);
  wasmtime_extern_t import = func_extern(host);
  instance_with(ctx, engine, "(module (import \"\" \"\" (func $h)) (start $h))", &import, 1);
  expect(calls == 1);
}

static void an_import_of_another_store_is_refused(void) {
  wasmtime_store_t *other = wasmtime_store_new(engine, NULL, NULL);
  wasmtime_context_t *c = wasmtime_store_context(other);
  wasmtime_instance_t theirs = instance_with(c, engine, "(module (memory (export \"m\") 1))", NULL, 0);
  wasmtime_extern_t item = export_in(c, &theirs, "m");
  wasmtime_instance_t instance;
  wasm_trap_t *trap;
  expect_error_says(instantiate("(module (import \"\" \"\" (memory 1)))", &item, 1, &instance, &trap), "cross-`Store` instantiation is not currently supported");
  wasmtime_store_delete(other);
}

static void instances_of_one_module_are_apart(void) {
  wasmtime_module_t *module = module_of("(module (global $g (mut i32) (i32.const 0)) (memory 1) (data (i32.const 0) \"\\05\")"
                                        "  (func (export \"next\") (result i32)"
                                        "    (i32.store8 (i32.const 0) (i32.add (i32.load8_u (i32.const 0)) (i32.const 1)))"
                                        "    (i32.load8_u (i32.const 0))))");
  wasmtime_instance_t a, b;
  wasm_trap_t *trap = NULL;
  expect_ok(wasmtime_instance_new(ctx, module, NULL, 0, &a, &trap));
  wasmtime_func_t next = func_of(&a, "next");
  expect(call0(&next) == 6 && call0(&next) == 7);
  expect_ok(wasmtime_instance_new(ctx, module, NULL, 0, &b, &trap));
  wasmtime_func_t theirs = func_of(&b, "next");
  expect(call0(&theirs) == 6);
  expect(call0(&next) == 8);
  wasmtime_module_delete(module);
}

static void a_prepared_instance_is_made_in_any_store(void) {
  wasmtime_linker_t *linker = wasmtime_linker_new(engine);
  wasmtime_module_t *module = module_of("(module (func (export \"f\") (result i32) i32.const 3))");
  wasmtime_instance_pre_t *pre = NULL;
  expect_ok(wasmtime_linker_instantiate_pre(linker, module, &pre));
  wasmtime_module_delete(module);
  wasmtime_linker_delete(linker);
  for (int i = 0; i < 3; i++) {
    wasmtime_store_t *s = wasmtime_store_new(engine, NULL, NULL);
    wasmtime_context_t *mine = ctx;
    ctx = wasmtime_store_context(s);
    wasmtime_instance_t instance;
    wasm_trap_t *trap = NULL;
    expect_ok(wasmtime_instance_pre_instantiate(pre, ctx, &instance, &trap));
    wasmtime_func_t f = func_of(&instance, "f");
    expect(call0(&f) == 3);
    ctx = mine;
    wasmtime_store_delete(s);
  }
  module = wasmtime_instance_pre_module(pre);
  wasmtime_instance_pre_delete(pre);
  wasm_exporttype_vec_t exports;
  wasmtime_module_exports(module, &exports);
  expect(exports.size == 1);
  wasm_exporttype_vec_delete(&exports);
  wasmtime_module_delete(module);
}

static void a_prepared_instance_may_trap(void) {
  wasmtime_linker_t *linker = wasmtime_linker_new(engine);
  wasmtime_module_t *module = module_of("(module (func $s unreachable) (start $s))");
  wasmtime_instance_pre_t *pre = NULL;
  wasmtime_instance_t instance;
  wasm_trap_t *trap = NULL;
  expect_ok(wasmtime_linker_instantiate_pre(linker, module, &pre));
  expect_ok(wasmtime_instance_pre_instantiate(pre, ctx, &instance, &trap));
  expect_trap(trap, WASMTIME_TRAP_CODE_UNREACHABLE_CODE_REACHED);
  wasmtime_instance_pre_delete(pre);
  wasmtime_module_delete(module);
  wasmtime_linker_delete(linker);
}

static void custom_page_sizes(wasm_config_t *config) { wasmtime_config_wasm_custom_page_sizes_set(config, true); }

static void memories_with_other_pages_are_no_imports(void) {
  for (int log2 = 0; log2 <= 16; log2 += 16) {
    wasm_memorytype_t *type;
    expect_ok(wasmtime_memorytype_new(1, true, 2, false, false, (uint8_t)log2, &type));
    wasmtime_extern_t memory = {.kind = WASMTIME_EXTERN_MEMORY};
    expect_ok(wasmtime_memory_new(ctx, type, &memory.of.memory));
    wasm_memorytype_delete(type);
    const char *wat = log2 ? "(module (import \"\" \"m\" (memory 1 2 (pagesize 1))))" : "(module (import \"\" \"m\" (memory 1 2)))";
    wasmtime_module_t *module = module_of(wat);
    wasmtime_instance_t instance;
    wasm_trap_t *trap = NULL;
    expect_error_says(wasmtime_instance_new(ctx, module, &memory, 1, &instance, &trap),
                      log2 ? "expected a memory with a page size of 1, but received a memory with a page size of 65536"
                           : "expected a memory with a page size of 65536, but received a memory with a page size of 1");
    wasmtime_module_delete(module);
    // Of several differences the limits come first.
    module = module_of(log2 ? "(module (import \"\" \"m\" (memory 5 5 (pagesize 1))))" : "(module (import \"\" \"m\" (memory 5 5)))");
    expect_error_says(wasmtime_instance_new(ctx, module, &memory, 1, &instance, &trap), "memory limits (min: 5, max: 5)");
    wasmtime_module_delete(module);
  }
}

int main(void) {
  RUN(exports_are_found_by_name);
  RUN(exports_are_counted_in_order);
  RUN(the_number_of_imports_must_be_right);
  RUN(each_mismatch_of_an_import_is_an_error);
  RUN(sizes_at_the_time_of_linking_count);
  RUN(what_is_exported_can_be_imported_and_is_the_same);
  RUN(a_start_function_runs);
  RUN(a_start_function_may_trap);
  RUN(segments_beyond_the_end_trap);
  RUN(what_ran_before_a_failed_segment_stays_done);
  RUN(a_host_function_may_be_the_start_function);
  RUN(an_import_of_another_store_is_refused);
  RUN(instances_of_one_module_are_apart);
  RUN(a_prepared_instance_is_made_in_any_store);
  RUN(a_prepared_instance_may_trap);
  RUN_WITH(custom_page_sizes, memories_with_other_pages_are_no_imports);
  return test_summary();
}
