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

static wasm_valtype_t *ref_type(wasmtime_heaptype_kind_t heap, bool nullable) {
  wasmtime_valtype_t full;
  memset(&full, 0, sizeof full);
  full.kind = WASMTIME_VALTYPE_KIND_REF;
  full.reftype.nullable = nullable;
  full.reftype.heaptype.kind = heap;
  return wasmtime_valtype_to_wasm(engine, &full);
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
  RUN_WITH(with_all, the_host_makes_globals_and_tables_of_such_types);
  return test_summary();
}
#endif
