// What the interface has since 44.0.0: types that are told in full, roots for exceptions, and a few settings.

#include "test.h"

#ifdef AMPOULE_AGAINST
int main(void) { return test_summary(); }
#else

#include <wasmtime/types.h>

// -- Types

static void value_types_go_both_ways(void) {
  static const wasm_valkind_t kinds[] = {WASM_I32, WASM_I64, WASM_F32, WASM_F64, WASM_EXTERNREF, WASM_FUNCREF};
  static const uint8_t told[] = {WASMTIME_VALTYPE_KIND_I32, WASMTIME_VALTYPE_KIND_I64, WASMTIME_VALTYPE_KIND_F32,
                                 WASMTIME_VALTYPE_KIND_F64, WASMTIME_VALTYPE_KIND_REF, WASMTIME_VALTYPE_KIND_REF};
  for (size_t i = 0; i < 6; i++) {
    wasm_valtype_t *type = wasm_valtype_new(kinds[i]);
    wasmtime_valtype_t full, copy;
    wasmtime_valtype_new(type, &full);
    expect(full.kind == told[i]);
    wasmtime_valtype_clone(&full, &copy);
    wasmtime_valtype_delete(&full);
    wasm_valtype_t *back = wasmtime_valtype_to_wasm(engine, &copy);
    expect(back && wasmtime_wasm_valtype_equal(type, back));
    if (copy.kind == WASMTIME_VALTYPE_KIND_REF) {
      expect(copy.reftype.nullable);
      expect(copy.reftype.heaptype.kind ==
             (kinds[i] == WASM_FUNCREF ? WASMTIME_HEAPTYPE_KIND_FUNC : WASMTIME_HEAPTYPE_KIND_EXTERN));
      wasmtime_reftype_t ref;
      wasmtime_reftype_clone(&copy.reftype, &ref);
      wasmtime_heaptype_t heap;
      wasmtime_heaptype_clone(&ref.heaptype, &heap);
      wasmtime_reftype_delete(&ref);
      expect(heap.kind == copy.reftype.heaptype.kind);
      wasmtime_heaptype_delete(&heap);
      // What can't be null is another type.
      copy.reftype.nullable = false;
      wasm_valtype_t *full_only = wasmtime_valtype_to_wasm(engine, &copy);
      expect(full_only && !wasmtime_wasm_valtype_equal(type, full_only));
      wasm_valtype_delete(full_only);
    }
    wasmtime_valtype_delete(&copy);
    wasm_valtype_delete(back);
    wasm_valtype_delete(type);
  }
}

static void vectors_have_a_type_too(void) {
  wasm_valtype_t *v128 = wasmtime_wasm_valtype_v128(), *again = wasmtime_wasm_valtype_v128();
  wasm_valtype_t *i64 = wasm_valtype_new(WASM_I64);
  wasmtime_valtype_t full;
  wasmtime_valtype_new(v128, &full);
  expect(full.kind == WASMTIME_VALTYPE_KIND_V128);
  wasmtime_valtype_delete(&full);
  expect(wasmtime_wasm_valtype_equal(v128, again) && !wasmtime_wasm_valtype_equal(v128, i64));
  wasmtime_storage_type_t storage = {.kind = WASMTIME_STORAGE_TYPE_KIND_VALTYPE, .valtype = v128}, copy;
  wasmtime_storage_type_clone(&storage, &copy);
  expect(copy.kind == WASMTIME_STORAGE_TYPE_KIND_VALTYPE && copy.valtype != v128);
  expect(wasmtime_wasm_valtype_equal(copy.valtype, again));
  wasmtime_storage_type_delete(&storage);
  wasmtime_storage_type_delete(&copy);
  wasm_valtype_delete(again);
  wasm_valtype_delete(i64);
}

// A heap type of a concrete kind owns the type in it.
static void concrete_heap_types_own_their_types(void) {
  wasmtime_heaptype_t heap = {.kind = WASMTIME_HEAPTYPE_KIND_CONCRETE_FUNC}, copy;
  heap.of.concrete_func = wasm_functype_new_1_0(wasm_valtype_new_i32());
  wasmtime_heaptype_clone(&heap, &copy);
  wasmtime_heaptype_delete(&heap);
  expect(copy.kind == WASMTIME_HEAPTYPE_KIND_CONCRETE_FUNC);
  expect(wasm_functype_params(copy.of.concrete_func)->size == 1);
  wasmtime_heaptype_delete(&copy);
}

static void with_objects(wasm_config_t *config) {
  wasmtime_config_wasm_function_references_set(config, true);
  wasmtime_config_wasm_gc_set(config, true);
}

// What is told of a module, about types that it declares, is the reader's own.
static void types_outlive_their_module_and_engine(void) {
  wasm_config_t *config = wasm_config_new();
  with_objects(config);
  wasm_engine_t *theirs = wasm_engine_new_with_config(config);
  wasmtime_module_t *module = module_in(
      theirs, "(module (type $p (sub (struct (field i32)))) (type $a (array (mut i8)))"
              " (rec (type $q (sub $p (struct (field i32) (field (ref null $q)))))"
              "      (type $f (sub (func (param (ref $q) (ref null $f)) (result (ref null $a))))))"
              " (import \"\" \"f\" (func (type $f))) (import \"\" \"g\" (global (ref null $p)))"
              " (import \"\" \"t\" (table 1 (ref null $f))))");
  wasm_importtype_vec_t imports, again;
  wasmtime_module_imports(module, &imports);
  wasmtime_module_imports(module, &again);
  wasmtime_module_delete(module);
  wasm_engine_delete(theirs);
  if (!expect(imports.size == 3)) return;
  const wasm_functype_t *func = wasm_externtype_as_functype_const(wasm_importtype_type(imports.data[0]));
  const wasm_valtype_vec_t *params = wasm_functype_params(func), *results = wasm_functype_results(func);
  const wasm_valtype_t *types[] = {
      params->data[0], params->data[1], results->data[0],
      wasm_globaltype_content(wasm_externtype_as_globaltype_const(wasm_importtype_type(imports.data[1]))),
      wasm_tabletype_element(wasm_externtype_as_tabletype_const(wasm_importtype_type(imports.data[2])))};
  const uint8_t kinds[] = {WASMTIME_HEAPTYPE_KIND_CONCRETE_STRUCT, WASMTIME_HEAPTYPE_KIND_CONCRETE_FUNC,
                           WASMTIME_HEAPTYPE_KIND_CONCRETE_ARRAY, WASMTIME_HEAPTYPE_KIND_CONCRETE_STRUCT,
                           WASMTIME_HEAPTYPE_KIND_CONCRETE_FUNC};
  wasmtime_valtype_t told[5];
  wasm_valtype_t *copies[5];
  for (size_t i = 0; i < 5; i++) {
    copies[i] = wasm_valtype_copy(types[i]);
    for (size_t other = 0; other < 5; other++) {
      // The function's own type is also the table's.
      bool same = i == other || (i == 1 && other == 4) || (i == 4 && other == 1);
      expect(wasmtime_wasm_valtype_equal(copies[i], types[other]) == same);
    }
  }
  // The same question has the same answer, but other engines have other types.
  const wasm_functype_t *second = wasm_externtype_as_functype_const(wasm_importtype_type(again.data[0]));
  expect(wasmtime_wasm_valtype_equal(copies[0], wasm_functype_params(second)->data[0]));
  wasm_importtype_vec_delete(&imports);
  wasm_importtype_vec_delete(&again);
  for (size_t i = 0; i < 5; i++) {
    wasmtime_valtype_new(copies[i], &told[i]);
    wasm_valtype_delete(copies[i]);
    expect(told[i].kind == WASMTIME_VALTYPE_KIND_REF && told[i].reftype.heaptype.kind == kinds[i]);
    expect(told[i].reftype.nullable == (i != 0));
    expect(wasmtime_valtype_to_wasm(engine, &told[i]) == NULL);
  }
  expect(wasmtime_struct_type_num_fields(told[0].reftype.heaptype.of.concrete_struct) == 2);
  expect(wasmtime_struct_type_num_fields(told[3].reftype.heaptype.of.concrete_struct) == 1);
  wasmtime_field_type_t field;
  wasmtime_array_type_element(told[2].reftype.heaptype.of.concrete_array, &field);
  expect(field.kind == WASMTIME_STORAGE_KIND_I8 && field.mutable_);
  const wasm_functype_t *inner = told[1].reftype.heaptype.of.concrete_func;
  wasmtime_valtype_t first;
  wasmtime_valtype_new(wasm_functype_params(inner)->data[0], &first);
  expect(first.reftype.heaptype.kind == WASMTIME_HEAPTYPE_KIND_CONCRETE_STRUCT);
  wasmtime_valtype_delete(&first);
  for (size_t i = 0; i < 5; i++) wasmtime_valtype_delete(&told[i]);
}

static wasm_trap_t *does_nothing(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                                 wasmtime_val_t *results, size_t nresults) {
  (void)env, (void)caller, (void)args, (void)nargs, (void)results, (void)nresults;
  return NULL;
}

// A function is of the type that it is made with, as that was declared: one with sub-types is another.
static void a_function_is_made_of_the_type_that_an_import_has(void) {
  const char *wat = "(module (type $f (sub (func))) (import \"\" \"f\" (func (type $f))) (export \"f\" (func 0)))";
  wasmtime_module_t *module = module_of(wat);
  wasm_importtype_vec_t imports;
  wasmtime_module_imports(module, &imports);
  const wasm_functype_t *open = wasm_externtype_as_functype_const(wasm_importtype_type(imports.data[0]));
  wasm_functype_t *final = wasm_functype_new_0_0();
  wasmtime_extern_t item = {.kind = WASMTIME_EXTERN_FUNC};
  wasmtime_instance_t instance;
  wasm_trap_t *trap = NULL;
  wasmtime_func_new(ctx, final, does_nothing, NULL, NULL, &item.of.func);
  expect_error_says(wasmtime_instance_new(ctx, module, &item, 1, &instance, &trap), "expected type `(sub (func))`");
  wasmtime_func_new(ctx, open, does_nothing, NULL, NULL, &item.of.func);
  wasm_importtype_vec_delete(&imports);
  wasm_functype_delete(final);
  expect_ok(wasmtime_instance_new(ctx, module, &item, 1, &instance, &trap));
  wasmtime_func_t func = func_of(&instance, "f");
  wasm_functype_t *told = wasmtime_func_type(ctx, &func);
  wasmtime_func_new(ctx, told, does_nothing, NULL, NULL, &item.of.func);
  wasm_functype_delete(told);
  expect_ok(wasmtime_instance_new(ctx, module, &item, 1, &instance, &trap));
  func = func_of(&instance, "f");
  expect_no_trap(call(&func));
  wasmtime_module_delete(module);
}

static wasm_valtype_t *of_exceptions(wasmtime_exn_type_t *type, uint8_t kind) {
  wasmtime_valtype_t full = {
      .kind = WASMTIME_VALTYPE_KIND_REF,
      .reftype = {.nullable = true, .heaptype = {.kind = kind, .of = {.concrete_exn = type}}}};
  return wasmtime_valtype_to_wasm(engine, &full);
}

static wasmtime_val_t exception_of(const wasmtime_exn_type_t *type, const wasmtime_val_t *fields, size_t nfields) {
  wasmtime_val_t made = {.kind = WASMTIME_EXNREF};
  wasmtime_tag_t tag;
  wasm_tagtype_t *tag_type = wasmtime_exn_type_tag_type(type);
  expect_ok(wasmtime_tag_new(ctx, tag_type, &tag));
  wasm_tagtype_delete(tag_type);
  expect_ok(wasmtime_exnref_new(ctx, &tag, fields, nfields, &made.of.exnref));
  return made;
}

static wasm_trap_t *counts_fields(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                                  wasmtime_val_t *results, size_t nresults) {
  (void)env, (void)nargs, (void)nresults;
  results[0] = i32_val((int32_t)wasmtime_exnref_field_count(wasmtime_caller_context(caller), &args[0].of.exnref));
  return NULL;
}

static void with_exceptions(wasm_config_t *config) { wasmtime_config_wasm_exceptions_set(config, true); }

static void a_type_of_exceptions_is_a_type_of_values(void) {
  wasm_valtype_vec_t params, none = WASM_EMPTY_VEC;
  wasm_valtype_t *i32 = wasm_valtype_new_i32();
  wasm_valtype_vec_new(&params, 1, &i32);
  wasmtime_exn_type_t *one, *other;
  expect_ok(wasmtime_exn_type_new(engine, &params, &one));
  expect_ok(wasmtime_exn_type_new(engine, &none, &other));
  wasm_valtype_vec_delete(&params);
  wasm_valtype_t *type = of_exceptions(one, WASMTIME_HEAPTYPE_KIND_CONCRETE_EXN);
  wasm_valtype_t *again = of_exceptions(one, WASMTIME_HEAPTYPE_KIND_CONCRETE_EXN);
  wasm_valtype_t *any = of_exceptions(NULL, WASMTIME_HEAPTYPE_KIND_EXN);
  wasm_valtype_t *another = of_exceptions(other, WASMTIME_HEAPTYPE_KIND_CONCRETE_EXN);
  if (!expect(type && again && any && another)) return;
  expect(wasmtime_wasm_valtype_equal(type, again) && !wasmtime_wasm_valtype_equal(type, any));
  expect(!wasmtime_wasm_valtype_equal(type, another));
  expect(of_exceptions(NULL, WASMTIME_HEAPTYPE_KIND_CONCRETE_EXN) == NULL);
  wasmtime_valtype_t full;
  wasmtime_valtype_new(type, &full);
  expect(full.kind == WASMTIME_VALTYPE_KIND_REF && full.reftype.nullable);
  expect(full.reftype.heaptype.kind == WASMTIME_HEAPTYPE_KIND_CONCRETE_EXN);
  wasm_tagtype_t *tag_type = wasmtime_exn_type_tag_type(full.reftype.heaptype.of.concrete_exn);
  expect(wasm_functype_params(wasm_tagtype_functype(tag_type))->size == 1);
  wasm_tagtype_delete(tag_type);
  wasmtime_valtype_delete(&full);

  // Globals and functions of the host have it. A guest imports a constant one as one of any exceptions.
  wasmtime_val_t field = i32_val(5), null = {.kind = WASMTIME_EXNREF};
  wasmtime_exnref_set_null(&null.of.exnref);
  wasmtime_val_t fits = exception_of(one, &field, 1), misfits = exception_of(other, NULL, 0);
  wasm_globaltype_t *global_type = wasm_globaltype_new(wasm_valtype_copy(type), WASM_CONST);
  wasmtime_extern_t global = {.kind = WASMTIME_EXTERN_GLOBAL};
  expect_ok(wasmtime_global_new(ctx, global_type, &null, &global.of.global));
  expect_error_says(wasmtime_global_new(ctx, global_type, &misfits, &global.of.global), "type mismatch");
  expect_ok(wasmtime_global_new(ctx, global_type, &fits, &global.of.global));
  wasm_globaltype_delete(global_type);
  wasmtime_instance_t instance =
      instance_with(ctx, engine, "(module (import \"\" \"\" (global exnref)) (export \"g\" (global 0)))", &global, 1);
  wasmtime_extern_t exported = export_of(&instance, "g");
  wasmtime_val_t got;
  wasmtime_global_get(ctx, &exported.of.global, &got);
  expect(got.kind == WASMTIME_EXNREF && wasmtime_exnref_field_count(ctx, &got.of.exnref) == 1);
  wasmtime_val_unroot(&got);

  wasm_functype_t *func_type = wasm_functype_new_1_1(wasm_valtype_copy(type), wasm_valtype_new_i32());
  wasmtime_func_t func;
  wasmtime_val_t result;
  wasm_trap_t *trap = NULL;
  wasmtime_func_new(ctx, func_type, counts_fields, NULL, NULL, &func);
  expect_ok(wasmtime_func_call(ctx, &func, &fits, 1, &result, 1, &trap));
  expect_no_trap(trap);
  expect(result.of.i32 == 1);
  expect_error_says(wasmtime_func_call(ctx, &func, &misfits, 1, &result, 1, &trap), "type mismatch");
  wasm_functype_delete(func_type);

  wasmtime_val_unroot(&fits);
  wasmtime_val_unroot(&misfits);
  wasm_valtype_delete(type);
  wasm_valtype_delete(again);
  wasm_valtype_delete(any);
  wasm_valtype_delete(another);
  wasmtime_exn_type_delete(one);
  wasmtime_exn_type_delete(other);
}

static void there_are_types_with_so_many_fields_and_no_more(void) {
  enum { MOST = 10000 };
  static wasmtime_field_type_t fields[MOST + 1];
  wasmtime_struct_type_t *most = wasmtime_struct_type_new(engine, fields, MOST);
  expect(most && wasmtime_struct_type_num_fields(most) == MOST);
  wasmtime_struct_type_delete(most);
  expect(wasmtime_struct_type_new(engine, fields, MOST + 1) == NULL);
  fields[0].kind = 77;
  expect(wasmtime_struct_type_new(engine, fields, 1) == NULL && wasmtime_array_type_new(engine, fields) == NULL);
}

static void structs_and_arrays_tell_their_fields(void) {
  wasmtime_field_type_t fields[2] = {{WASMTIME_STORAGE_KIND_I8, true}, {WASMTIME_I64, false}}, field;
  wasmtime_struct_type_t *type = wasmtime_struct_type_new(engine, fields, 2);
  wasmtime_struct_type_t *copy = wasmtime_struct_type_copy(type);
  wasmtime_struct_type_delete(type);
  expect(wasmtime_struct_type_num_fields(copy) == 2);
  expect(wasmtime_struct_type_field(copy, 0, &field) && field.kind == WASMTIME_STORAGE_KIND_I8 && field.mutable_);
  expect(wasmtime_struct_type_field(copy, 1, &field) && field.kind == WASMTIME_I64 && !field.mutable_);
  field.kind = 77;
  expect(!wasmtime_struct_type_field(copy, 2, &field) && field.kind == 77);
  wasmtime_struct_type_delete(copy);
  wasmtime_array_type_t *array = wasmtime_array_type_new(engine, &fields[0]), *second = wasmtime_array_type_copy(array);
  wasmtime_array_type_delete(array);
  wasmtime_array_type_element(second, &field);
  expect(field.kind == WASMTIME_STORAGE_KIND_I8 && field.mutable_);
  wasmtime_array_type_delete(second);
  wasmtime_field_type_t cloned;
  wasmtime_field_type_clone(&fields[1], &cloned);
  expect(cloned.kind == WASMTIME_I64 && !cloned.mutable_);
  wasmtime_field_type_delete(&cloned);
}

// -- References

static void small_integers_tell_their_type(void) {
  wasmtime_anyref_t any, copy, back;
  wasmtime_eqref_t eq;
  wasmtime_heaptype_t heap;
  int32_t value = 0;
  wasmtime_anyref_from_i31(ctx, 0x7fffffff, &any);
  wasmtime_anyref_clone(&any, &copy);
  wasmtime_anyref_unroot(&any);
  expect(wasmtime_anyref_i31_get_s(ctx, &copy, &value) && value == -1);
  expect(wasmtime_anyref_type(ctx, &copy, &heap) && heap.kind == WASMTIME_HEAPTYPE_KIND_I31);
  wasmtime_heaptype_delete(&heap);
  expect(wasmtime_anyref_as_eqref(ctx, &copy, &eq));
  expect(wasmtime_eqref_type(ctx, &eq, &heap) && heap.kind == WASMTIME_HEAPTYPE_KIND_I31);
  wasmtime_heaptype_delete(&heap);
  wasmtime_eqref_unroot(&eq);
  uint32_t raw = wasmtime_anyref_to_raw(ctx, &copy);
  expect(raw != 0);
  wasmtime_anyref_from_raw(ctx, raw, &back);
  expect(wasmtime_anyref_i31_get_s(ctx, &back, &value) && value == -1);
  wasmtime_anyref_unroot(&back);
  wasmtime_anyref_unroot(&copy);
}

static void nulls_have_no_type(void) {
  wasmtime_anyref_t any;
  wasmtime_eqref_t eq;
  wasmtime_structref_t structure;
  wasmtime_arrayref_t array;
  wasmtime_exnref_t exn;
  wasmtime_heaptype_t heap;
  wasmtime_val_t val;
  wasmtime_tag_t tag;
  wasmtime_anyref_set_null(&any);
  wasmtime_eqref_set_null(&eq);
  wasmtime_structref_set_null(&structure);
  wasmtime_arrayref_set_null(&array);
  wasmtime_exnref_set_null(&exn);
  expect(!wasmtime_anyref_type(ctx, &any, &heap) && !wasmtime_eqref_type(ctx, &eq, &heap));
  expect(wasmtime_structref_type(ctx, &structure) == NULL && wasmtime_arrayref_type(ctx, &array) == NULL);
  expect(wasmtime_exnref_type(ctx, &exn) == NULL && wasmtime_exnref_field_count(ctx, &exn) == 0);
  expect(wasmtime_anyref_to_raw(ctx, &any) == 0 && wasmtime_exnref_to_raw(ctx, &exn) == 0);
  expect_error(wasmtime_exnref_tag(ctx, &exn, &tag));
  expect_error(wasmtime_exnref_field(ctx, &exn, 0, &val));
  memset(&any, 0xee, sizeof any);
  wasmtime_anyref_from_raw(ctx, 0, &any);
  expect(wasmtime_anyref_is_null(&any));
  memset(&exn, 0xee, sizeof exn);
  wasmtime_exnref_from_raw(ctx, 0, &exn);
  expect(wasmtime_exnref_is_null(&exn));
}

// -- Exceptions

static void exceptions_are_rooted(void) {
  wasm_valtype_t *types[1] = {wasm_valtype_new_i64()};
  wasm_valtype_vec_t params;
  wasm_valtype_vec_new(&params, 1, types);
  wasmtime_exn_type_t *type, *copy;
  expect_ok(wasmtime_exn_type_new(engine, &params, &type));
  wasm_valtype_vec_delete(&params);
  copy = wasmtime_exn_type_copy(type);
  wasmtime_exn_type_delete(type);
  wasm_tagtype_t *tag_type = wasmtime_exn_type_tag_type(copy);
  wasmtime_exn_type_delete(copy);
  expect(wasm_functype_params(wasm_tagtype_functype(tag_type))->size == 1);
  wasmtime_tag_t tag, found;
  expect_ok(wasmtime_tag_new(ctx, tag_type, &tag));
  wasm_tagtype_delete(tag_type);
  wasmtime_val_t field = i64_val(41), got;
  wasmtime_exnref_t exn, second, back;
  expect_error(wasmtime_exnref_new(ctx, &tag, &field, 0, &exn));
  expect_ok(wasmtime_exnref_new(ctx, &tag, &field, 1, &exn));
  wasmtime_exnref_clone(&exn, &second);
  wasmtime_exnref_unroot(&exn);
  expect_ok(wasmtime_context_gc(ctx));
  expect(wasmtime_exnref_field_count(ctx, &second) == 1);
  expect_ok(wasmtime_exnref_field(ctx, &second, 0, &got));
  expect(got.kind == WASMTIME_I64 && got.of.i64 == 41);
  expect_error(wasmtime_exnref_field(ctx, &second, 1, &got));
  expect_ok(wasmtime_exnref_tag(ctx, &second, &found));
  expect(wasmtime_tag_eq(ctx, &tag, &found));
  uint32_t raw = wasmtime_exnref_to_raw(ctx, &second);
  expect(raw != 0);
  wasmtime_exnref_from_raw(ctx, raw, &back);
  expect(wasmtime_exnref_field_count(ctx, &back) == 1);
  wasmtime_exnref_unroot(&back);
  type = wasmtime_exnref_type(ctx, &second);
  if (expect(type != NULL)) wasmtime_exn_type_delete(type);
  wasmtime_exnref_unroot(&second);
}

// -- Settings

static void with_all_settings(wasm_config_t *config) {
  wasmtime_config_wasm_compact_imports_set(config, true);
  wasmtime_config_wasm_branch_hinting_set(config, true);
  wasmtime_config_cranelift_regalloc_algorithm_set(config, WASMTIME_REGALLOC_SINGLE_PASS);
}

static void settings_change_no_answer(void) {
  wasmtime_instance_t instance = instance_of(
      "(module (func (export \"f\") (param i32) (result i32)"
      " (if (result i32) (local.get 0) (then (i32.const 5)) (else (i32.const 6)))))");
  wasmtime_func_t f = func_of(&instance, "f");
  expect(call1(&f, 1) == 5 && call1(&f, 0) == 6);
}

// One group of imports with a type each, and one with a type for all.
static void compact_imports_are_imports(void) {
  const char *const wat = "(module (import \"a\" (item \"x\" (global i32)) (item \"y\" (global i64)))"
                          " (import \"b\" (item \"x\") (item \"y\") (global i32))"
                          " (func (export \"f\") (result i32)"
                          "   (i32.sub (i32.add (global.get 0) (global.get 2)) (global.get 3))))";
  wasmtime_module_t *module = module_of(wat);
  if (!expect(module != NULL)) return;
  static const char *const modules[] = {"a", "a", "b", "b"}, *const names[] = {"x", "y", "x", "y"};
  wasm_importtype_vec_t imports;
  wasmtime_module_imports(module, &imports);
  wasmtime_extern_t globals[4];
  if (!expect(imports.size == 4)) exit(1);
  for (size_t i = 0; i < 4; i++) {
    expect(name_is(wasm_importtype_module(imports.data[i]), modules[i]));
    expect(name_is(wasm_importtype_name(imports.data[i]), names[i]));
    const wasm_globaltype_t *type = wasm_externtype_as_globaltype_const(wasm_importtype_type(imports.data[i]));
    expect(type && wasm_valtype_kind(wasm_globaltype_content(type)) == (i == 1 ? WASM_I64 : WASM_I32));
    wasmtime_val_t value = i == 1 ? i64_val(0) : i32_val(10 * (int32_t)i + 5);
    globals[i].kind = WASMTIME_EXTERN_GLOBAL;
    expect_ok(wasmtime_global_new(ctx, type, &value, &globals[i].of.global));
  }
  wasm_importtype_vec_delete(&imports);
  wasmtime_module_delete(module);
  wasmtime_instance_t instance = instance_with(ctx, engine, wat, globals, 4);
  wasmtime_func_t f = func_of(&instance, "f");
  expect(call0(&f) == 5 + 25 - 35);
}

static void compact_imports_are_off_by_default(void) {
  expect_error_says(module_error(engine, "(module (import \"a\" (item \"x\") (item \"y\") (global i32)))"),
                    "compact imports");
}

static void networks_are_for_preview_2(void) {
  wasi_config_t *wasi = wasi_config_new();
  wasi_config_inherit_network(wasi);
  wasi_config_allow_ip_name_lookup(wasi, true);
  expect_ok(wasmtime_context_set_wasi(ctx, wasi));
}

int main(void) {
  RUN(value_types_go_both_ways);
  RUN(vectors_have_a_type_too);
  RUN(concrete_heap_types_own_their_types);
  RUN(types_outlive_their_module_and_engine);
  RUN_WITH(with_objects, a_function_is_made_of_the_type_that_an_import_has);
  RUN_WITH(with_exceptions, a_type_of_exceptions_is_a_type_of_values);
  RUN(there_are_types_with_so_many_fields_and_no_more);
  RUN(structs_and_arrays_tell_their_fields);
  RUN(small_integers_tell_their_type);
  RUN(nulls_have_no_type);
  RUN(exceptions_are_rooted);
  RUN_WITH(with_all_settings, settings_change_no_answer);
  RUN_WITH(with_all_settings, compact_imports_are_imports);
  RUN(compact_imports_are_off_by_default);
  RUN(networks_are_for_preview_2);
  return test_summary();
}
#endif
