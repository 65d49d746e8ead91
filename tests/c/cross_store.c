// Handles, values and modules that belong to another store or engine are refused with an error, by every function that can
// return one; misuse.c is about the others. Nothing changes where something is refused.
//
// The reference library ends the process for most of this, and lacks some of the functions.
#include "test.h"

#ifdef AMPOULE_AGAINST
int main(void) { return test_summary(); }
#else

// Another store of the same engine, and what is in it.
static struct {
  wasmtime_store_t *store;
  wasmtime_context_t *ctx;
  wasmtime_instance_t instance;
  wasmtime_extern_t func, global, table, memory;
  wasmtime_val_t func_val, ref_val;
  int finalized;
} theirs;

static const char *const ITEMS = "(module (func (export \"f\")) (global (export \"g\") (mut i32) (i32.const 5))"
                                 "  (table (export \"t\") 1 4 funcref) (memory (export \"m\") 1 4))";

static const char *const WRONG_STORE = "object used with the wrong store";

static void no_more(void) {
  wasmtime_externref_unroot(&theirs.ref_val.of.externref);
  wasmtime_store_delete(theirs.store);
  expect(theirs.finalized == 1);
}

static void another_store(void) {
  theirs.store = wasmtime_store_new(engine, NULL, NULL);
  theirs.ctx = wasmtime_store_context(theirs.store);
  theirs.instance = instance_with(theirs.ctx, engine, ITEMS, NULL, 0);
  theirs.func = export_in(theirs.ctx, &theirs.instance, "f");
  theirs.global = export_in(theirs.ctx, &theirs.instance, "g");
  theirs.table = export_in(theirs.ctx, &theirs.instance, "t");
  theirs.memory = export_in(theirs.ctx, &theirs.instance, "m");
  theirs.func_val = funcref_val(&theirs.func.of.func);
  theirs.ref_val = null_externref_val();
  theirs.finalized = 0;
  expect(wasmtime_externref_new(theirs.ctx, &theirs.finalized, count_finalized, &theirs.ref_val.of.externref));
}

// -- Functions

static void functions_are_not_called(void) {
  another_store();
  wasm_trap_t *trap = NULL;
  wasmtime_val_raw_t raw[1] = {{.i32 = 1}};
  wasmtime_func_t *f = &theirs.func.of.func, null = no_func();
  expect_error_says(wasmtime_func_call(ctx, f, NULL, 0, NULL, 0, &trap), WRONG_STORE);
  expect_error_says(wasmtime_func_call_unchecked(ctx, f, raw, 1, &trap), WRONG_STORE);
  expect_error_says(wasmtime_func_call(ctx, &null, NULL, 0, NULL, 0, &trap), "null function");
  expect_error_says(wasmtime_func_call_unchecked(ctx, &null, raw, 1, &trap), "null function");
  expect_no_trap(trap);
#ifdef WASMTIME_FEATURE_ASYNC
  wasmtime_error_t *error = NULL;
  wasmtime_call_future_t *future = wasmtime_func_call_async(ctx, f, NULL, 0, NULL, 0, &trap, &error);
  expect(wasmtime_call_future_poll(future));
  expect_error_says(error, WRONG_STORE);
  wasmtime_call_future_delete(future);
  error = NULL;
  future = wasmtime_func_call_async(ctx, &null, NULL, 0, NULL, 0, &trap, &error);
  expect(wasmtime_call_future_poll(future));
  expect_error_says(error, "null function");
  wasmtime_call_future_delete(future);
  expect_no_trap(trap);
#endif
  no_more();
}

// The arguments before it are taken back as they came.
static void values_are_no_arguments(void) {
  another_store();
  wasmtime_instance_t instance =
      instance_of("(module (func (export \"f\") (param externref funcref)) (func (export \"e\") (param externref externref)))");
  wasmtime_func_t f = func_of(&instance, "f"), e = func_of(&instance, "e");
  wasm_trap_t *trap = NULL;
  int finalized = 0;
  wasmtime_val_t args[2] = {null_externref_val(), theirs.func_val}, refs[2] = {null_externref_val(), theirs.ref_val};
  expect(wasmtime_externref_new(ctx, &finalized, count_finalized, &args[0].of.externref));
  refs[0] = args[0];
  expect_error_says(wasmtime_func_call(ctx, &f, args, 2, NULL, 0, &trap), "argument type mismatch");
  expect_error_says(wasmtime_func_call(ctx, &e, refs, 2, NULL, 0, &trap), "argument type mismatch");
#ifdef WASMTIME_FEATURE_ASYNC
  wasmtime_error_t *error = NULL;
  wasmtime_call_future_t *future = wasmtime_func_call_async(ctx, &e, refs, 2, NULL, 0, &trap, &error);
  expect(wasmtime_call_future_poll(future));
  expect_error_says(error, "argument type mismatch");
  wasmtime_call_future_delete(future);
#endif
  wasmtime_val_t unknown = i32_val(1);
  unknown.kind = 77;
  refs[1] = unknown;
  expect_error_says(wasmtime_func_call(ctx, &e, refs, 2, NULL, 0, &trap), "77 is not the kind of a value");
  expect_no_trap(trap);
  wasmtime_val_unroot(&args[0]);
  expect_ok(wasmtime_context_gc(ctx));
  expect(finalized == 1);
  no_more();
}

// Also of host functions: the guest gets an error, and what was returned is freed.
static wasm_trap_t *return_theirs(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                                  wasmtime_val_t *results, size_t nresults) {
  (void)env, (void)caller, (void)args, (void)nargs, (void)nresults;
  wasmtime_val_clone(&theirs.ref_val, &results[0]);
  return NULL;
}

static void values_are_no_results(void) {
  another_store();
  int finalized = 0;
  wasmtime_func_t f;
  wasmtime_val_t result = i32_val(7);
  wasm_trap_t *trap = NULL;
  wasm_functype_t *type = wasm_functype_new_0_1(wasm_valtype_new_externref());
  wasmtime_func_new(ctx, type, return_theirs, &finalized, count_finalized, &f);
  wasm_functype_delete(type);
  expect_error_says(wasmtime_func_call(ctx, &f, NULL, 0, &result, 1, &trap), WRONG_STORE);
  expect_no_trap(trap);
  expect(result.kind == WASMTIME_I32 && result.of.i32 == 7 && finalized == 0);
  wasmtime_store_delete(store);
  store = NULL;
  expect(finalized == 1);
  no_more();
}

// -- Globals, tables and memories

static void globals_are_not_set(void) {
  another_store();
  wasmtime_val_t six = i32_val(6), got;
  expect_error_says(wasmtime_global_set(ctx, &theirs.global.of.global, &six), WRONG_STORE);
  wasmtime_global_get(theirs.ctx, &theirs.global.of.global, &got);
  expect(got.of.i32 == 5);
  no_more();
}

static void globals_hold_no_values(void) {
  another_store();
  static const wasm_valkind_t kinds[] = {WASM_FUNCREF, WASM_EXTERNREF};
  const wasmtime_val_t nulls[] = {funcref_val(NULL), null_externref_val()}, vals[] = {theirs.func_val, theirs.ref_val};
  for (int i = 0; i < 2; i++) {
    wasmtime_global_t global, none;
    wasm_globaltype_t *type = wasm_globaltype_new(wasm_valtype_new(kinds[i]), WASM_VAR);
    expect_ok(wasmtime_global_new(ctx, type, &nulls[i], &global));
    expect_error_says(wasmtime_global_new(ctx, type, &vals[i], &none), WRONG_STORE);
    expect_error_says(wasmtime_global_set(ctx, &global, &vals[i]), WRONG_STORE);
    wasm_globaltype_delete(type);
    wasmtime_val_t got;
    wasmtime_global_get(ctx, &global, &got);
    expect(got.kind == nulls[i].kind && got.of.funcref.store_id == 0);
  }
  no_more();
}

static void tables_are_not_changed(void) {
  another_store();
  uint64_t previous = 99;
  wasmtime_val_t null = funcref_val(NULL);
  expect_error_says(wasmtime_table_set(ctx, &theirs.table.of.table, 0, &null), WRONG_STORE);
  expect_error_says(wasmtime_table_grow(ctx, &theirs.table.of.table, 1, &null, &previous), WRONG_STORE);
  expect(previous == 99 && wasmtime_table_size(theirs.ctx, &theirs.table.of.table) == 1);
  no_more();
}

static void tables_hold_no_values(void) {
  another_store();
  static const wasm_valkind_t kinds[] = {WASM_FUNCREF, WASM_EXTERNREF};
  const wasmtime_val_t nulls[] = {funcref_val(NULL), null_externref_val()}, vals[] = {theirs.func_val, theirs.ref_val};
  const wasm_limits_t limits = {1, 4};
  for (int i = 0; i < 2; i++) {
    wasmtime_table_t table, none;
    uint64_t previous = 99;
    wasm_tabletype_t *type = wasm_tabletype_new(wasm_valtype_new(kinds[i]), &limits);
    expect_ok(wasmtime_table_new(ctx, type, &nulls[i], &table));
    expect_error_says(wasmtime_table_new(ctx, type, &vals[i], &none), WRONG_STORE);
    expect_error_says(wasmtime_table_set(ctx, &table, 0, &vals[i]), WRONG_STORE);
    expect_error_says(wasmtime_table_grow(ctx, &table, 1, &vals[i], &previous), WRONG_STORE);
    wasm_tabletype_delete(type);
    wasmtime_val_t got;
    expect(previous == 99 && wasmtime_table_size(ctx, &table) == 1);
    expect(wasmtime_table_get(ctx, &table, 0, &got) && got.of.funcref.store_id == 0);
  }
  no_more();
}

static void memories_are_not_grown(void) {
  another_store();
  uint64_t previous = 99;
  expect_error_says(wasmtime_memory_grow(ctx, &theirs.memory.of.memory, 1, &previous), WRONG_STORE);
  expect(previous == 99 && wasmtime_memory_size(theirs.ctx, &theirs.memory.of.memory) == 1);
  no_more();
}

// -- Linking

static void items_are_not_linked(void) {
  another_store();
  static const char *const imports[] = {"func", "global (mut i32)", "table 1 funcref", "memory 1"};
  const wasmtime_extern_t items[] = {theirs.func, theirs.global, theirs.table, theirs.memory};
  wasmtime_linker_t *linker = wasmtime_linker_new(engine), *own = wasmtime_linker_new(engine);
  wasmtime_instance_t instance;
  wasm_trap_t *trap = NULL;
  for (int i = 0; i < 4; i++) {
    char wat[99];
    snprintf(wat, sizeof wat, "(module (import \"a\" \"b\" (%s)))", imports[i]);
    wasmtime_module_t *module = module_of(wat);
    wasmtime_instance_pre_t *pre;
    expect_error_says(wasmtime_instance_new(ctx, module, &items[i], 1, &instance, &trap), "cross-`Store`");
    expect_error_says(wasmtime_linker_define(linker, ctx, "a", 1, "b", 1, &items[i]), WRONG_STORE);
    // Defined with its own store, it serves that one only.
    wasmtime_linker_allow_shadowing(own, true);
    expect_ok(wasmtime_linker_define(own, theirs.ctx, "a", 1, "b", 1, &items[i]));
    expect_error_says(wasmtime_linker_instantiate(own, ctx, module, &instance, &trap), "cross-`Store`");
    expect_ok(wasmtime_linker_instantiate_pre(own, module, &pre));
    expect_error_says(wasmtime_instance_pre_instantiate(pre, ctx, &instance, &trap), "cross-`Store`");
    expect_ok(wasmtime_instance_pre_instantiate(pre, theirs.ctx, &instance, &trap));
    wasmtime_instance_pre_delete(pre);
    wasmtime_module_delete(module);
  }
  expect_no_trap(trap);
  expect_error_says(wasmtime_linker_define_instance(linker, ctx, "a", 1, &theirs.instance), WRONG_STORE);
  wasmtime_linker_delete(linker);
  wasmtime_linker_delete(own);
  no_more();
}

static void externs_that_are_none_are_not_linked(void) {
  wasmtime_module_t *module = module_of("(module (import \"a\" \"b\" (func)))");
  wasmtime_linker_t *linker = wasmtime_linker_new(engine);
  wasmtime_instance_t instance;
  wasm_trap_t *trap = NULL;
  wasmtime_extern_t null, unknown, no_memory;
  null = unknown = func_extern(no_func());
  unknown.kind = 66;
  no_memory.kind = WASMTIME_EXTERN_SHAREDMEMORY;
  no_memory.of.sharedmemory = NULL;
  expect_error_says(wasmtime_instance_new(ctx, module, &null, 1, &instance, &trap), "null function");
  expect_error_says(wasmtime_instance_new(ctx, module, &unknown, 1, &instance, &trap), "66 is not the kind of an extern");
  expect_error_says(wasmtime_instance_new(ctx, module, &no_memory, 1, &instance, &trap), "null shared memory");
  expect_error_says(wasmtime_linker_define(linker, ctx, "a", 1, "b", 1, &null), "null function");
  expect_error_says(wasmtime_linker_define(linker, ctx, "a", 1, "b", 1, &unknown), "66 is not the kind of an extern");
  expect_error_says(wasmtime_linker_define(linker, ctx, "a", 1, "b", 1, &no_memory), "null shared memory");
  expect_no_trap(trap);
  wasmtime_linker_delete(linker);
  wasmtime_module_delete(module);
}

static void exports_are_not_found(void) {
  another_store();
  wasmtime_extern_t item;
  char *name;
  size_t len;
  expect(!wasmtime_instance_export_get(ctx, &theirs.instance, "f", 1, &item));
  expect(!wasmtime_instance_export_nth(ctx, &theirs.instance, 0, &name, &len, &item));
  no_more();
}

static void engines_do_not_mix(void) {
  wasm_engine_t *other = wasm_engine_new();
  wasmtime_store_t *foreign = wasmtime_store_new(other, NULL, NULL);
  wasmtime_context_t *c = wasmtime_store_context(foreign);
  wasmtime_module_t *module = module_of("(module (import \"a\" \"f\" (func)))"), *empty = module_of("(module)");
  wasmtime_linker_t *linker = wasmtime_linker_new(engine), *their_linker = wasmtime_linker_new(other);
  wasmtime_instance_t instance, mine = instance_of(ITEMS);
  wasmtime_extern_t item = export_in(ctx, &mine, "f");
  wasm_trap_t *trap = NULL;
  const char *says = "cross-`Engine` instantiation is not currently supported";
  expect_error_says(wasmtime_instance_new(c, empty, NULL, 0, &instance, &trap), says);
  expect_error_says(wasmtime_linker_define(their_linker, ctx, "a", 1, "f", 1, &item), says);
  expect_error_says(wasmtime_linker_define_instance(their_linker, ctx, "a", 1, &mine), says);
  expect_error_says(wasmtime_linker_instantiate(linker, c, empty, &instance, &trap), says);
  expect_error_says(wasmtime_linker_instantiate(their_linker, c, empty, &instance, &trap), says);
  expect_error_says(wasmtime_linker_module(linker, c, "m", 1, empty), says);
  expect_error_says(wasmtime_linker_define_unknown_imports_as_default_values(linker, c, module), says);
  expect_no_trap(trap);
  wasmtime_linker_delete(linker);
  wasmtime_linker_delete(their_linker);
  wasmtime_module_delete(module);
  wasmtime_module_delete(empty);
  wasmtime_store_delete(foreign);
  wasm_engine_delete(other);
}

// -- Exceptions and objects

#ifdef WASMTIME_FEATURE_GC

static void exceptions_are_not_mixed(void) {
  another_store();
  wasmtime_tag_t tag, their_tag, none;
  wasmtime_exn_t *exn = NULL, *their_exn = NULL;
  wasmtime_exnref_t ref, their_ref;
  wasmtime_val_t val = i32_val(7);
  wasm_tagtype_t *type = wasm_tagtype_new(wasm_functype_new_1_0(wasm_valtype_new_externref()));
  expect_ok(wasmtime_tag_new(ctx, type, &tag));
  expect_ok(wasmtime_tag_new(theirs.ctx, type, &their_tag));
  wasm_tagtype_delete(type);
  // The tag, and a field.
  expect_error_says(wasmtime_exn_new(ctx, &their_tag, &theirs.ref_val, 1, &exn), WRONG_STORE);
  expect_error_says(wasmtime_exn_new(ctx, &tag, &theirs.ref_val, 1, &exn), WRONG_STORE);
  expect_error_says(wasmtime_exnref_new(ctx, &their_tag, &theirs.ref_val, 1, &ref), WRONG_STORE);
  expect_error_says(wasmtime_exnref_new(ctx, &tag, &theirs.ref_val, 1, &ref), WRONG_STORE);
  // The exception.
  expect_ok(wasmtime_exn_new(theirs.ctx, &their_tag, &theirs.ref_val, 1, &their_exn));
  expect_ok(wasmtime_exnref_new(theirs.ctx, &their_tag, &theirs.ref_val, 1, &their_ref));
  expect_error_says(wasmtime_exn_tag(ctx, their_exn, &none), WRONG_STORE);
  expect_error_says(wasmtime_exn_field(ctx, their_exn, 0, &val), WRONG_STORE);
  expect_error_says(wasmtime_exnref_tag(ctx, &their_ref, &none), WRONG_STORE);
  expect_error_says(wasmtime_exnref_field(ctx, &their_ref, 0, &val), WRONG_STORE);
  expect(!exn && val.of.i32 == 7);
  // Throwing it is refused by the trap that comes; it is taken over all the same.
  expect_trap_says(wasmtime_context_set_exception(ctx, their_exn), WRONG_STORE);
  expect(!wasmtime_context_has_exception(ctx));
  wasmtime_exnref_unroot(&their_ref);
  no_more();
}

static void allocators_are_not_mixed(void) {
  another_store();
  wasmtime_field_type_t field = {WASMTIME_I32, false};
  wasmtime_struct_type_t *struct_type = wasmtime_struct_type_new(engine, &field, 1);
  wasmtime_array_type_t *array_type = wasmtime_array_type_new(engine, &field);
  wasmtime_struct_ref_pre_t *structs = wasmtime_struct_ref_pre_new(theirs.ctx, struct_type);
  wasmtime_array_ref_pre_t *arrays = wasmtime_array_ref_pre_new(theirs.ctx, array_type);
  wasmtime_structref_t structure;
  wasmtime_arrayref_t array;
  wasmtime_val_t seven = i32_val(7);
  expect_error_says(wasmtime_structref_new(ctx, structs, &seven, 1, &structure), WRONG_STORE);
  expect_error_says(wasmtime_arrayref_new(ctx, arrays, &seven, 3, &array), WRONG_STORE);
  wasmtime_struct_ref_pre_delete(structs);
  wasmtime_array_ref_pre_delete(arrays);
  wasmtime_struct_type_delete(struct_type);
  wasmtime_array_type_delete(array_type);
  no_more();
}

#endif // WASMTIME_FEATURE_GC

int main(void) {
  RUN(functions_are_not_called);
  RUN(values_are_no_arguments);
  RUN(values_are_no_results);
  RUN(globals_are_not_set);
  RUN(globals_hold_no_values);
  RUN(tables_are_not_changed);
  RUN(tables_hold_no_values);
  RUN(memories_are_not_grown);
  RUN(items_are_not_linked);
  RUN(externs_that_are_none_are_not_linked);
  RUN(exports_are_not_found);
  RUN(engines_do_not_mix);
#ifdef WASMTIME_FEATURE_GC
  RUN(exceptions_are_not_mixed);
  RUN(allocators_are_not_mixed);
#endif
  return test_summary();
}

#endif // AMPOULE_AGAINST
