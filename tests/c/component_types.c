// wasmtime/component/types.h and what it includes: the types of components.
#include "component.h"

typedef wasmtime_component_valtype_t valtype_t;
typedef wasmtime_component_item_t item_t;

#define FUNCS                                                                                                         \
  "(type $rec' (record (field \"a\" u8) (field \"b\" string))) (import \"rec\" (type $rec (eq $rec')))"               \
  "(type $var' (variant (case \"none\") (case \"some\" u16))) (import \"var\" (type $var (eq $var')))"                \
  "(type $enu' (enum \"x\" \"y\")) (import \"enu\" (type $enu (eq $enu')))"                                           \
  "(type $fla' (flags \"r\" \"w\")) (import \"fla\" (type $fla (eq $fla')))"                                          \
  "(import \"res\" (type $res (sub resource)))"                                                                       \
  "(import \"f\" (func (param \"p\" s32) (result string)))"                                                           \
  "(import \"g\" (func (param \"l\" (list u8)) (param \"r\" $rec) (param \"t\" (tuple u8 f32)) (param \"v\" $var)"    \
  "  (param \"e\" $enu) (param \"o\" (option char)) (param \"ok\" (result u8 (error s8))) (param \"none\" (result))"  \
  "  (param \"fl\" $fla) (param \"own\" (own $res)) (param \"borrow\" (borrow $res))))"                               \
  "(import \"scalars\" (func (param \"a\" bool) (param \"b\" s8) (param \"c\" s16) (param \"d\" s32) (param \"e\" s64)" \
  "  (param \"f\" u8) (param \"g\" u16) (param \"h\" u32) (param \"i\" u64) (param \"j\" f32) (param \"k\" f64)"      \
  "  (param \"l\" char) (param \"m\" string)))"

static wasmtime_component_type_t *type_of(const char *wat) {
  wasmtime_component_t *component = component_of(wat);
  wasmtime_component_type_t *type = wasmtime_component_type(component);
  wasmtime_component_delete(component);
  return type;
}

static item_t import_of(const wasmtime_component_type_t *type, const char *name) {
  item_t item;
  if (!expect(wasmtime_component_type_import_get(type, engine, name, strlen(name), &item))) exit(1);
  return item;
}

static item_t export_of_type(const wasmtime_component_type_t *type, const char *name) {
  item_t item;
  if (!expect(wasmtime_component_type_export_get(type, engine, name, strlen(name), &item))) exit(1);
  return item;
}

// The type of the parameter of this name.
static valtype_t param_of(const wasmtime_component_func_type_t *func, const char *name) {
  const char *found;
  size_t len;
  valtype_t type;
  for (size_t i = 0; wasmtime_component_func_type_param_nth(func, i, &found, &len, &type); i++) {
    if (len == strlen(name) && !memcmp(found, name, len)) return type;
    wasmtime_component_valtype_delete(&type);
  }
  expect(!"a parameter of this name");
  exit(1);
}

static bool text_is(const char *name, size_t len, const char *text) {
  return len == strlen(text) && !memcmp(name, text, len);
}

static bool kind_is(valtype_t type, wasmtime_component_valtype_kind_t kind) {
  bool is = type.kind == kind;
  wasmtime_component_valtype_delete(&type);
  return is;
}

static void imports_and_exports_are_listed_as_declared(void) {
  wasmtime_component_type_t *type = type_of(
      "(component (import \"b\" (func)) (import \"a\" (func)) (type $t u32) (import \"t\" (type (eq $t)))"
      "(import \"c\" (instance (export \"x\" (func)))) (core module $m) (export \"z\" (core module $m)) (export \"y\" (type $t)))");
  wasmtime_component_type_t *copy = wasmtime_component_type_clone(type);
  wasmtime_component_type_delete(type);
  type = copy;
  // That two types are the same is no import.
  expect(wasmtime_component_type_import_count(type, engine) == 3);
  expect(wasmtime_component_type_export_count(type, engine) == 2);
  const char *name, *imports[] = {"b", "a", "c"}, *exports[] = {"z", "y"};
  size_t len;
  item_t item;
  const uint8_t kinds[] = {WASMTIME_COMPONENT_ITEM_COMPONENT_FUNC, WASMTIME_COMPONENT_ITEM_COMPONENT_FUNC,
                           WASMTIME_COMPONENT_ITEM_COMPONENT_INSTANCE};
  for (size_t i = 0; i < 3; i++) {
    expect(wasmtime_component_type_import_nth(type, engine, i, &name, &len, &item));
    expect(text_is(name, len, imports[i]) && item.kind == kinds[i]);
    wasmtime_component_item_delete(&item);
  }
  for (size_t i = 0; i < 2; i++) {
    expect(wasmtime_component_type_export_nth(type, engine, i, &name, &len, &item));
    expect(text_is(name, len, exports[i]));
    expect(item.kind == (i ? WASMTIME_COMPONENT_ITEM_TYPE : WASMTIME_COMPONENT_ITEM_MODULE));
    wasmtime_component_item_delete(&item);
  }
  memset(&item, 7, sizeof item);
  item_t before = item;
  name = NULL;
  expect(!wasmtime_component_type_import_nth(type, engine, 3, &name, &len, &item));
  expect(!wasmtime_component_type_export_nth(type, engine, 2, &name, &len, &item));
  expect(!wasmtime_component_type_import_get(type, engine, "z", 1, &item));
  expect(!wasmtime_component_type_export_get(type, engine, "a", 1, &item));
  expect(!name && !memcmp(&item, &before, sizeof item));
  wasmtime_component_type_delete(type);
}

static void lookups_are_exact(void) {
  wasmtime_component_type_t *type = type_of("(component (import \"a:b/c@0.2.6\" (instance)))");
  item_t item;
  expect(!wasmtime_component_type_import_get(type, engine, "a:b/c@0.2.0", 11, &item));
  expect(!wasmtime_component_type_import_get(type, engine, "\xff", 1, &item));
  item = import_of(type, "a:b/c@0.2.6");
  wasmtime_component_item_delete(&item);
  wasmtime_component_type_delete(type);
}

static void items_outlive_their_component(void) {
  wasmtime_component_type_t *type = type_of(
      "(component (import \"i\" (instance (export \"f\" (func (param \"p\" u8))) (export \"r\" (type (sub resource)))))"
      "(component $c (import \"x\" (func))) (import \"m\" (core module)))");
  item_t item = import_of(type, "i"), copy;
  wasmtime_component_type_delete(type);
  expect(item.kind == WASMTIME_COMPONENT_ITEM_COMPONENT_INSTANCE);
  wasmtime_component_item_clone(&item, &copy);
  wasmtime_component_item_delete(&item);
  wasmtime_component_instance_type_t *instance = wasmtime_component_instance_type_clone(copy.of.component_instance);
  wasmtime_component_item_delete(&copy);
  expect(wasmtime_component_instance_type_export_count(instance, engine) == 2);
  expect(wasmtime_component_instance_type_export_get(instance, engine, "f", 1, &item));
  expect(item.kind == WASMTIME_COMPONENT_ITEM_COMPONENT_FUNC);
  wasmtime_component_item_clone(&item, &copy);
  wasmtime_component_item_delete(&item);
  expect(wasmtime_component_func_type_param_count(copy.of.component_func) == 1);
  wasmtime_component_item_delete(&copy);
  const char *name;
  size_t len;
  expect(wasmtime_component_instance_type_export_nth(instance, engine, 1, &name, &len, &item));
  expect(text_is(name, len, "r") && item.kind == WASMTIME_COMPONENT_ITEM_RESOURCE);
  wasmtime_component_item_clone(&item, &copy);
  expect(wasmtime_component_resource_type_equal(item.of.resource, copy.of.resource));
  wasmtime_component_item_delete(&item);
  wasmtime_component_item_delete(&copy);
  expect(!wasmtime_component_instance_type_export_nth(instance, engine, 2, &name, &len, &item));
  expect(!wasmtime_component_instance_type_export_get(instance, engine, "x", 1, &item));
  wasmtime_component_instance_type_delete(instance);
}

static void functions_have_parameters_and_a_result(void) {
  wasmtime_component_type_t *type = type_of("(component " FUNCS ")");
  item_t f = import_of(type, "f"), g = import_of(type, "g");
  wasmtime_component_type_delete(type);
  wasmtime_component_func_type_t *func = wasmtime_component_func_type_clone(f.of.component_func);
  wasmtime_component_item_delete(&f);
  const char *name;
  size_t len;
  valtype_t val;
  expect(!wasmtime_component_func_type_async(func));
  expect(wasmtime_component_func_type_param_count(func) == 1);
  expect(wasmtime_component_func_type_param_nth(func, 0, &name, &len, &val));
  expect(text_is(name, len, "p") && kind_is(val, WASMTIME_COMPONENT_VALTYPE_S32));
  expect(!wasmtime_component_func_type_param_nth(func, 1, &name, &len, &val));
  expect(wasmtime_component_func_type_result(func, &val) && kind_is(val, WASMTIME_COMPONENT_VALTYPE_STRING));
  expect(wasmtime_component_func_type_param_count(g.of.component_func) == 11);
  expect(!wasmtime_component_func_type_result(g.of.component_func, &val));
  wasmtime_component_func_type_delete(func);
  wasmtime_component_item_delete(&g);
}

static void scalars_are_kinds(void) {
  wasmtime_component_type_t *type = type_of("(component " FUNCS ")");
  item_t item = import_of(type, "scalars");
  wasmtime_component_type_delete(type);
  for (size_t i = 0; i < 13; i++) {
    const char *name;
    size_t len;
    valtype_t val;
    expect(wasmtime_component_func_type_param_nth(item.of.component_func, i, &name, &len, &val));
    expect(kind_is(val, (uint8_t)i)); // declared in the order of the constants
  }
  wasmtime_component_item_delete(&item);
}

static void types_tell_what_they_consist_of(void) {
  wasmtime_component_type_t *type = type_of("(component " FUNCS ")");
  item_t item = import_of(type, "g"), res = import_of(type, "res");
  wasmtime_component_type_delete(type);
  const wasmtime_component_func_type_t *func = item.of.component_func;
  const char *name;
  size_t len;
  valtype_t part;

  valtype_t list = param_of(func, "l");
  expect(list.kind == WASMTIME_COMPONENT_VALTYPE_LIST);
  wasmtime_component_list_type_element(list.of.list, &part);
  expect(kind_is(part, WASMTIME_COMPONENT_VALTYPE_U8));
  wasmtime_component_list_type_t *list_copy = wasmtime_component_list_type_clone(list.of.list);
  expect(wasmtime_component_list_type_equal(list_copy, list.of.list));
  wasmtime_component_list_type_delete(list_copy);

  valtype_t record = param_of(func, "r");
  expect(record.kind == WASMTIME_COMPONENT_VALTYPE_RECORD);
  expect(wasmtime_component_record_type_field_count(record.of.record) == 2);
  expect(wasmtime_component_record_type_field_nth(record.of.record, 1, &name, &len, &part));
  expect(text_is(name, len, "b") && kind_is(part, WASMTIME_COMPONENT_VALTYPE_STRING));
  expect(!wasmtime_component_record_type_field_nth(record.of.record, 2, &name, &len, &part));
  wasmtime_component_record_type_t *record_copy = wasmtime_component_record_type_clone(record.of.record);
  expect(wasmtime_component_record_type_equal(record_copy, record.of.record));
  wasmtime_component_record_type_delete(record_copy);

  valtype_t tuple = param_of(func, "t");
  expect(tuple.kind == WASMTIME_COMPONENT_VALTYPE_TUPLE);
  expect(wasmtime_component_tuple_type_types_count(tuple.of.tuple) == 2);
  expect(wasmtime_component_tuple_type_types_nth(tuple.of.tuple, 1, &part));
  expect(kind_is(part, WASMTIME_COMPONENT_VALTYPE_F32));
  expect(!wasmtime_component_tuple_type_types_nth(tuple.of.tuple, 2, &part));
  wasmtime_component_tuple_type_t *tuple_copy = wasmtime_component_tuple_type_clone(tuple.of.tuple);
  expect(wasmtime_component_tuple_type_equal(tuple_copy, tuple.of.tuple));
  wasmtime_component_tuple_type_delete(tuple_copy);

  valtype_t variant = param_of(func, "v");
  bool has_payload = true;
  expect(variant.kind == WASMTIME_COMPONENT_VALTYPE_VARIANT);
  expect(wasmtime_component_variant_type_case_count(variant.of.variant) == 2);
  expect(wasmtime_component_variant_type_case_nth(variant.of.variant, 0, &name, &len, &has_payload, &part));
  expect(text_is(name, len, "none") && !has_payload);
  expect(wasmtime_component_variant_type_case_nth(variant.of.variant, 1, &name, &len, &has_payload, &part));
  expect(text_is(name, len, "some") && has_payload && kind_is(part, WASMTIME_COMPONENT_VALTYPE_U16));
  expect(!wasmtime_component_variant_type_case_nth(variant.of.variant, 2, &name, &len, &has_payload, &part));
  wasmtime_component_variant_type_t *variant_copy = wasmtime_component_variant_type_clone(variant.of.variant);
  expect(wasmtime_component_variant_type_equal(variant_copy, variant.of.variant));
  wasmtime_component_variant_type_delete(variant_copy);

  valtype_t names = param_of(func, "e");
  expect(names.kind == WASMTIME_COMPONENT_VALTYPE_ENUM);
  expect(wasmtime_component_enum_type_names_count(names.of.enum_) == 2);
  expect(wasmtime_component_enum_type_names_nth(names.of.enum_, 1, &name, &len) && text_is(name, len, "y"));
  expect(!wasmtime_component_enum_type_names_nth(names.of.enum_, 2, &name, &len));
  wasmtime_component_enum_type_t *enum_copy = wasmtime_component_enum_type_clone(names.of.enum_);
  expect(wasmtime_component_enum_type_equal(enum_copy, names.of.enum_));
  wasmtime_component_enum_type_delete(enum_copy);

  valtype_t option = param_of(func, "o");
  expect(option.kind == WASMTIME_COMPONENT_VALTYPE_OPTION);
  wasmtime_component_option_type_ty(option.of.option, &part);
  expect(kind_is(part, WASMTIME_COMPONENT_VALTYPE_CHAR));
  wasmtime_component_option_type_t *option_copy = wasmtime_component_option_type_clone(option.of.option);
  expect(wasmtime_component_option_type_equal(option_copy, option.of.option));
  wasmtime_component_option_type_delete(option_copy);

  valtype_t result = param_of(func, "ok"), none = param_of(func, "none");
  expect(result.kind == WASMTIME_COMPONENT_VALTYPE_RESULT && none.kind == WASMTIME_COMPONENT_VALTYPE_RESULT);
  expect(wasmtime_component_result_type_ok(result.of.result, &part) && kind_is(part, WASMTIME_COMPONENT_VALTYPE_U8));
  expect(wasmtime_component_result_type_err(result.of.result, &part) && kind_is(part, WASMTIME_COMPONENT_VALTYPE_S8));
  expect(!wasmtime_component_result_type_ok(none.of.result, &part));
  expect(!wasmtime_component_result_type_err(none.of.result, &part));
  wasmtime_component_result_type_t *result_copy = wasmtime_component_result_type_clone(result.of.result);
  expect(wasmtime_component_result_type_equal(result_copy, result.of.result));
  expect(!wasmtime_component_result_type_equal(result_copy, none.of.result));
  wasmtime_component_result_type_delete(result_copy);

  valtype_t flags = param_of(func, "fl");
  expect(flags.kind == WASMTIME_COMPONENT_VALTYPE_FLAGS);
  expect(wasmtime_component_flags_type_names_count(flags.of.flags) == 2);
  expect(wasmtime_component_flags_type_names_nth(flags.of.flags, 0, &name, &len) && text_is(name, len, "r"));
  expect(!wasmtime_component_flags_type_names_nth(flags.of.flags, 2, &name, &len));
  wasmtime_component_flags_type_t *flags_copy = wasmtime_component_flags_type_clone(flags.of.flags);
  expect(wasmtime_component_flags_type_equal(flags_copy, flags.of.flags));
  wasmtime_component_flags_type_delete(flags_copy);

  valtype_t own = param_of(func, "own"), borrow = param_of(func, "borrow");
  expect(own.kind == WASMTIME_COMPONENT_VALTYPE_OWN && borrow.kind == WASMTIME_COMPONENT_VALTYPE_BORROW);
  expect(wasmtime_component_resource_type_equal(own.of.own, borrow.of.borrow));
  expect(wasmtime_component_resource_type_equal(own.of.own, res.of.resource));
  expect(!wasmtime_component_valtype_equal(&own, &borrow));

  valtype_t all[] = {list, record, tuple, variant, names, option, result, none, flags, own, borrow};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    valtype_t copy;
    wasmtime_component_valtype_clone(&all[i], &copy);
    for (size_t j = 0; j < sizeof all / sizeof *all; j++)
      expect(wasmtime_component_valtype_equal(&copy, &all[j]) == (i == j));
    wasmtime_component_valtype_delete(&copy);
  }
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) wasmtime_component_valtype_delete(&all[i]);
  wasmtime_component_item_delete(&item);
  wasmtime_component_item_delete(&res);
}

static void equality_is_that_of_structure(void) {
  const char *wat = "(component (type $r' (record (field \"a\" (list (tuple u8 string))))) (import \"r\" (type $r (eq $r')))"
                    "(import \"f\" (func (param \"p\" $r))))";
  wasmtime_component_type_t *one = type_of(wat), *other = type_of(wat);
  item_t a = import_of(one, "f"), b = import_of(other, "f");
  valtype_t type_a = param_of(a.of.component_func, "p"), type_b = param_of(b.of.component_func, "p");
  expect(wasmtime_component_valtype_equal(&type_a, &type_b));
  wasmtime_component_valtype_delete(&type_a);
  wasmtime_component_valtype_delete(&type_b);
  wasmtime_component_item_delete(&a);
  wasmtime_component_item_delete(&b);
  wasmtime_component_type_delete(one);
  wasmtime_component_type_delete(other);
}

static void modules_tell_what_they_import_and_export(void) {
  wasmtime_component_t *component = component_of(
      "(component (import \"m\" (core module (import \"a\" \"b\" (func (param i32))) (export \"mem\" (memory 1 2))"
      "(export \"g\" (global i64)))) (core module $n (import \"x\" \"y\" (table 1 funcref)) (func (export \"f\")))"
      "(export \"n\" (core module $n)))");
  wasmtime_component_type_t *type = wasmtime_component_type(component);
  item_t m = import_of(type, "m"), n = export_of_type(type, "n");
  wasmtime_component_type_delete(type);
  expect(m.kind == WASMTIME_COMPONENT_ITEM_MODULE && n.kind == WASMTIME_COMPONENT_ITEM_MODULE);
  wasmtime_module_type_t *module = wasmtime_module_type_clone(m.of.module);
  wasmtime_component_item_delete(&m);
  expect(wasmtime_module_type_import_count(module, engine) == 1);
  expect(wasmtime_module_type_export_count(module, engine) == 2);
  wasm_importtype_t *import = wasmtime_module_type_import_nth(module, engine, 0);
  expect(name_is(wasm_importtype_module(import), "a") && name_is(wasm_importtype_name(import), "b"));
  expect(wasm_externtype_kind(wasm_importtype_type(import)) == WASM_EXTERN_FUNC);
  wasm_importtype_delete(import);
  expect(!wasmtime_module_type_import_nth(module, engine, 1));
  wasm_exporttype_t *export = wasmtime_module_type_export_nth(module, engine, 0);
  expect(name_is(wasm_exporttype_name(export), "mem"));
  expect(wasm_externtype_kind(wasm_exporttype_type(export)) == WASM_EXTERN_MEMORY);
  wasm_exporttype_delete(export);
  expect(!wasmtime_module_type_export_nth(module, engine, 2));
  wasmtime_module_type_delete(module);
  expect(wasmtime_module_type_import_count(n.of.module, engine) == 1);
  wasmtime_component_item_delete(&n);
  wasmtime_component_delete(component);
}

static void resource_types_of_the_host_are_numbers(void) {
  wasmtime_component_resource_type_t *a = wasmtime_component_resource_type_new_host(1);
  wasmtime_component_resource_type_t *b = wasmtime_component_resource_type_new_host(2);
  wasmtime_component_resource_type_t *copy = wasmtime_component_resource_type_clone(a);
  expect(wasmtime_component_resource_type_equal(a, copy) && !wasmtime_component_resource_type_equal(a, b));
  wasmtime_component_resource_type_delete(a);
  wasmtime_component_resource_type_delete(b);
  wasmtime_component_resource_type_delete(copy);
}

static void with_maps(wasm_config_t *config) { wasmtime_config_wasm_component_model_map_set(config, true); }

static void maps_have_keys_and_values(void) {
  wasmtime_component_type_t *type = type_of("(component (import \"f\" (func (param \"m\" (map string u32)))))");
  item_t item = import_of(type, "f");
  valtype_t map = param_of(item.of.component_func, "m"), part;
  expect(map.kind == WASMTIME_COMPONENT_VALTYPE_MAP);
  wasmtime_component_map_type_key(map.of.map, &part);
  expect(kind_is(part, WASMTIME_COMPONENT_VALTYPE_STRING));
  wasmtime_component_map_type_value(map.of.map, &part);
  expect(kind_is(part, WASMTIME_COMPONENT_VALTYPE_U32));
  wasmtime_component_map_type_t *copy = wasmtime_component_map_type_clone(map.of.map);
  expect(wasmtime_component_map_type_equal(copy, map.of.map));
  wasmtime_component_map_type_delete(copy);
  wasmtime_component_valtype_delete(&map);
  wasmtime_component_item_delete(&item);
  wasmtime_component_type_delete(type);
}

int main(void) {
  RUN(imports_and_exports_are_listed_as_declared);
  RUN(lookups_are_exact);
  RUN(items_outlive_their_component);
  RUN(functions_have_parameters_and_a_result);
  RUN(scalars_are_kinds);
  RUN(types_tell_what_they_consist_of);
  RUN(equality_is_that_of_structure);
  RUN(modules_tell_what_they_import_and_export);
  RUN(resource_types_of_the_host_are_numbers);
  RUN_WITH(with_maps, maps_have_keys_and_values);
  return test_summary();
}
