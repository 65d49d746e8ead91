// Types of guests as the interface tells them since 44.0.0: what a reference may point to, and whether it may be null. The
// host makes functions, globals and tables of such types.
#include "test.h"

#ifdef AMPOULE_AGAINST
int main(void) { return test_summary(); }
#else

#include <wasmtime/types.h>

static void with_all(wasm_config_t *config) {
  wasmtime_config_wasm_function_references_set(config, true);
  wasmtime_config_wasm_gc_set(config, true);
  wasmtime_config_wasm_exceptions_set(config, true);
}

static const char *const GUEST =
    "(module (type $p (sub (struct (field (mut i32))))) (type $q (sub final $p (struct (field (mut i32)) (field i8) (field (ref null $p)))))"
    " (type $a (array (mut i16))) (type $f (func (param i32) (result i32)))"
    " (func (export \"many\") (param anyref eqref i31ref structref arrayref nullref (ref any) funcref (ref func) nullfuncref"
    "   (ref null $f) externref (ref extern) nullexternref exnref (ref exn) nullexnref (ref null $p) (ref $a) i32 v128))"
    " (func (export \"point\") (result (ref $p)) (struct.new $q (i32.const 1) (i32.const 2) (ref.null $p)))"
    " (func (export \"array\") (result anyref) (array.new $a (i32.const -1) (i32.const 2)))"
    " (func (export \"small\") (result i31ref) (ref.i31 (i32.const 3)))"
    " (func (export \"in\") (param externref) (result anyref) (any.convert_extern (local.get 0))))";

static wasmtime_val_t result_of(const wasmtime_instance_t *instance, const char *name, const wasmtime_val_t *arg) {
  wasmtime_func_t func = func_of(instance, name);
  wasmtime_val_t result = i32_val(0);
  wasm_trap_t *trap = NULL;
  expect_ok(wasmtime_func_call(ctx, &func, arg, arg != NULL, &result, 1, &trap));
  expect_no_trap(trap);
  return result;
}

static void each_parameter_tells_what_it_points_to(void) {
  static const struct {
    bool nullable;
    wasmtime_heaptype_kind_t heap;
  } told[] = {
      {true, WASMTIME_HEAPTYPE_KIND_ANY},           {true, WASMTIME_HEAPTYPE_KIND_EQ},
      {true, WASMTIME_HEAPTYPE_KIND_I31},           {true, WASMTIME_HEAPTYPE_KIND_STRUCT},
      {true, WASMTIME_HEAPTYPE_KIND_ARRAY},         {true, WASMTIME_HEAPTYPE_KIND_NONE},
      {false, WASMTIME_HEAPTYPE_KIND_ANY},          {true, WASMTIME_HEAPTYPE_KIND_FUNC},
      {false, WASMTIME_HEAPTYPE_KIND_FUNC},         {true, WASMTIME_HEAPTYPE_KIND_NOFUNC},
      {true, WASMTIME_HEAPTYPE_KIND_CONCRETE_FUNC}, {true, WASMTIME_HEAPTYPE_KIND_EXTERN},
      {false, WASMTIME_HEAPTYPE_KIND_EXTERN},       {true, WASMTIME_HEAPTYPE_KIND_NOEXTERN},
      {true, WASMTIME_HEAPTYPE_KIND_EXN},           {false, WASMTIME_HEAPTYPE_KIND_EXN},
      {true, WASMTIME_HEAPTYPE_KIND_NOEXN},         {true, WASMTIME_HEAPTYPE_KIND_CONCRETE_STRUCT},
      {false, WASMTIME_HEAPTYPE_KIND_CONCRETE_ARRAY},
  };
  enum { REFERENCES = sizeof told / sizeof *told };
  wasmtime_instance_t instance = instance_of(GUEST);
  wasmtime_func_t many = func_of(&instance, "many");
  wasm_functype_t *type = wasmtime_func_type(ctx, &many);
  const wasm_valtype_vec_t *params = wasm_functype_params(type);
  if (!expect(params->size == REFERENCES + 2)) exit(1);
  for (size_t i = 0; i < params->size; i++) {
    wasmtime_valtype_t full;
    wasmtime_valtype_new(params->data[i], &full);
    if (i < REFERENCES) {
      bool held = expect(full.kind == WASMTIME_VALTYPE_KIND_REF && full.reftype.nullable == told[i].nullable &&
                         full.reftype.heaptype.kind == told[i].heap);
      if (!held) printf("# parameter %zu\n", i);
    } else {
      expect(full.kind == (i == REFERENCES ? WASMTIME_VALTYPE_KIND_I32 : WASMTIME_VALTYPE_KIND_V128));
    }
    wasm_valtype_t *back = wasmtime_valtype_to_wasm(engine, &full);
    for (size_t other = 0; other < params->size; other++)
      if (!expect(back && wasmtime_wasm_valtype_equal(back, params->data[other]) == (i == other)))
        printf("# parameters %zu and %zu\n", i, other);
    wasm_valtype_delete(back);
    wasmtime_valtype_delete(&full);
  }
  wasm_functype_delete(type);
}

static void an_object_tells_its_own_type(void) {
  wasmtime_instance_t instance = instance_of(GUEST);
  wasmtime_val_t point = result_of(&instance, "point", NULL), array = result_of(&instance, "array", NULL),
                 small = result_of(&instance, "small", NULL), host = null_externref_val();
  wasmtime_heaptype_t heap;
  if (expect(wasmtime_anyref_type(ctx, &point.of.anyref, &heap))) {
    // The one it was made with, though the function promised less.
    expect(heap.kind == WASMTIME_HEAPTYPE_KIND_CONCRETE_STRUCT);
    expect(wasmtime_struct_type_num_fields(heap.of.concrete_struct) == 3);
    wasmtime_heaptype_delete(&heap);
  }
  if (expect(wasmtime_anyref_type(ctx, &array.of.anyref, &heap))) {
    expect(heap.kind == WASMTIME_HEAPTYPE_KIND_CONCRETE_ARRAY);
    wasmtime_heaptype_delete(&heap);
  }
  if (expect(wasmtime_anyref_type(ctx, &small.of.anyref, &heap))) expect(heap.kind == WASMTIME_HEAPTYPE_KIND_I31);
  expect(wasmtime_externref_new(ctx, NULL, NULL, &host.of.externref));
  wasmtime_val_t inside = result_of(&instance, "in", &host);
  if (expect(wasmtime_anyref_type(ctx, &inside.of.anyref, &heap))) expect(heap.kind == WASMTIME_HEAPTYPE_KIND_ANY);
  wasmtime_structref_t structure;
  if (expect(wasmtime_anyref_as_struct(ctx, &point.of.anyref, &structure))) {
    wasmtime_struct_type_t *type = wasmtime_structref_type(ctx, &structure);
    expect(type && wasmtime_struct_type_num_fields(type) == 3);
    wasmtime_struct_type_delete(type);
    wasmtime_structref_unroot(&structure);
  }
  wasmtime_arrayref_t arrayref;
  if (expect(wasmtime_anyref_as_array(ctx, &array.of.anyref, &arrayref))) {
    wasmtime_array_type_t *type = wasmtime_arrayref_type(ctx, &arrayref);
    expect(type != NULL);
    wasmtime_array_type_delete(type);
    wasmtime_arrayref_unroot(&arrayref);
  }
  wasmtime_val_unroot(&point);
  wasmtime_val_unroot(&array);
  wasmtime_val_unroot(&host);
  wasmtime_val_unroot(&inside);
}

static wasm_valtype_t *ref_type(wasmtime_heaptype_kind_t heap, bool nullable) {
  wasmtime_valtype_t full;
  memset(&full, 0, sizeof full);
  full.kind = WASMTIME_VALTYPE_KIND_REF;
  full.reftype.nullable = nullable;
  full.reftype.heaptype.kind = heap;
  return wasmtime_valtype_to_wasm(engine, &full);
}

static wasm_trap_t *gives_back(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                               wasmtime_val_t *results, size_t nresults) {
  (void)env, (void)caller, (void)nargs, (void)nresults;
  expect(args[0].kind == WASMTIME_ANYREF);
  wasmtime_val_clone(&args[0], &results[0]);
  return NULL;
}

static void the_host_makes_functions_of_such_types(void) {
  wasm_functype_t *type = wasm_functype_new_1_1(ref_type(WASMTIME_HEAPTYPE_KIND_ANY, true), ref_type(WASMTIME_HEAPTYPE_KIND_ANY, true));
  wasmtime_func_t func;
  wasmtime_func_new(ctx, type, gives_back, NULL, NULL, &func);
  wasm_functype_delete(type);
  wasmtime_extern_t import = func_extern(func);
  wasmtime_instance_t instance = instance_with(
      ctx, engine,
      "(module (type $p (struct (field i32))) (import \"\" \"\" (func $f (param anyref) (result anyref)))"
      " (func (export \"run\") (param i32) (result i32)"
      "  (struct.get $p 0 (ref.cast (ref $p) (call $f (struct.new $p (local.get 0)))))))",
      &import, 1);
  wasmtime_func_t run = func_of(&instance, "run");
  for (int32_t i = 0; i < 100; i++) expect(call1(&run, i) == i);
}

static void the_host_makes_globals_and_tables_of_such_types(void) {
  wasm_limits_t limits = {2, 5};
  wasm_globaltype_t *global_type = wasm_globaltype_new(ref_type(WASMTIME_HEAPTYPE_KIND_EQ, true), WASM_VAR);
  wasm_tabletype_t *table_type = wasm_tabletype_new(ref_type(WASMTIME_HEAPTYPE_KIND_I31, true), &limits);
  wasmtime_val_t seven = i32_val(0), wrong = null_externref_val(), got;
  seven.kind = WASMTIME_ANYREF;
  wasmtime_anyref_from_i31(ctx, 7, &seven.of.anyref);
  wasmtime_extern_t imports[2];
  imports[0].kind = WASMTIME_EXTERN_GLOBAL;
  imports[1].kind = WASMTIME_EXTERN_TABLE;
  expect_error_says(wasmtime_global_new(ctx, global_type, &wrong, &imports[0].of.global), "type mismatch");
  expect_ok(wasmtime_global_new(ctx, global_type, &seven, &imports[0].of.global));
  expect_ok(wasmtime_table_new(ctx, table_type, &seven, &imports[1].of.table));
  wasm_globaltype_delete(global_type);
  wasm_tabletype_delete(table_type);
  wasmtime_instance_t instance = instance_with(
      ctx, engine,
      "(module (import \"\" \"g\" (global $g (mut eqref))) (import \"\" \"t\" (table $t 2 i31ref))"
      " (func (export \"run\") (result i32) (global.set $g (ref.i31 (i32.const 30)))"
      "  (i31.get_u (table.get $t (i32.const 1)))))",
      imports, 2);
  wasmtime_func_t run = func_of(&instance, "run");
  uint32_t u = 0;
  expect(call0(&run) == 7);
  wasmtime_global_get(ctx, &imports[0].of.global, &got);
  expect(got.kind == WASMTIME_ANYREF && wasmtime_anyref_i31_get_u(ctx, &got.of.anyref, &u) && u == 30);
  wasm_globaltype_t *back = wasmtime_global_type(ctx, &imports[0].of.global);
  wasmtime_valtype_t full;
  wasmtime_valtype_new(wasm_globaltype_content(back), &full);
  expect(full.kind == WASMTIME_VALTYPE_KIND_REF && full.reftype.heaptype.kind == WASMTIME_HEAPTYPE_KIND_EQ);
  wasmtime_valtype_delete(&full);
  wasm_globaltype_delete(back);
}

int main(void) {
  RUN_WITH(with_all, each_parameter_tells_what_it_points_to);
  RUN_WITH(with_all, an_object_tells_its_own_type);
  RUN_WITH(with_all, the_host_makes_functions_of_such_types);
  RUN_WITH(with_all, the_host_makes_globals_and_tables_of_such_types);
  return test_summary();
}
#endif
