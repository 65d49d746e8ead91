// wasmtime/component/types.hh: what components import and export, and the types of values.
#include <wasmtime.hh>

#include "test.hh"

#ifdef WASMTIME_FEATURE_COMPONENT_MODEL

using namespace wasmtime::component;
using wasmtime::Config;
using wasmtime::Engine;
using wasmtime::Store;

static ComponentType type_of(Engine &engine, std::string_view wat) { return Component::compile(engine,
    wat).unwrap().type(); }

// The type of the result of a function that a component imports, which has been given up then.
static ValType result(Engine &engine, std::string type) {
  std::string wat = "(component (type $t' " + type + ") (import \"t\" (type $t (eq $t'))) (import \"f\" (func (result $t))))";
  return type_of(engine, wat).import_get(engine, "f")->component_func().result().value();
}

static void a_component_has_imports_and_exports() {
  Engine engine;
  ComponentType empty = type_of(engine, "(component)");
  expect(empty.import_count(engine) == 0 && empty.export_count(engine) == 0 && !empty.import_nth(engine, 0));
  ComponentType type = type_of(engine, R"((component
    (import "a" (func (param "x" u32) (param "y" string) (result bool)))
    (import "b" (instance $b (export "t" (type (sub resource)))))
    (import "c" (func))
    (export "d" (instance $b))))");
  expect(type.import_count(engine) == 3 && type.export_count(engine) == 1);
  expect(!type.import_get(engine, "none") && !type.import_nth(engine, 3) && !type.export_nth(engine, 1));
  auto first = type.import_nth(engine, 0).value();
  expect(first.first == "a" && first.second.is_component_func() && !first.second.is_type());
  expect(type.import_get(engine, "c")->is_component_func());
  auto last = type.export_nth(engine, 0).value();
  expect(last.first == "d" && last.second.is_component_instance() && type.export_get(engine, "d"));
  ComponentType copy = type, moved = std::move(type);
  expect(copy.import_count(engine) == 3 && moved.export_count(engine) == 1);
}

#ifndef AMPOULE_AGAINST // which takes no component that imports one
static void components_in_components_are_described() {
  Engine engine;
  ComponentItem item = type_of(engine,
      "(component (import \"c\" (component (import \"f\" (func)))))").import_get(engine, "c").value();
  expect(item.is_component() && !item.is_module() && item.component().import_get(engine, "f")->is_component_func());
}
#endif

static void functions_have_parameters_and_a_result() {
  Engine engine;
  FuncType type = type_of(engine,
      "(component (import \"f\" (func (param \"x\" u32) (param \"y\" string) (result bool))))")
                    .import_get(engine, "f")->component_func();
  expect(type.param_count() == 2 && !type.async() && !type.param_nth(2));
  expect(type.param_nth(0)->first == "x" && type.param_nth(0)->second.is_u32());
  expect(type.param_nth(1)->first == "y" && type.param_nth(1)->second == ValType::new_string());
  expect(type.result()->is_bool());
  FuncType none = type_of(engine, "(component (import \"f\" (func)))").import_get(engine, "f")->component_func();
  expect(none.param_count() == 0 && !none.result());
  none = type;
  expect(none.param_count() == 2);
}

static void instances_and_resources_are_described() {
  Engine engine;
  ComponentType type = type_of(engine, R"((component
    (import "x" (instance $a (export "t" (type (sub resource))) (export "u" (type (sub resource)))))
    (import "r" (type $r (sub resource)))
    (import "o" (func (param "a" (own $r)) (param "b" (borrow $r))))
    (export "x" (instance $a))))");
  ComponentInstanceType instance = type.import_get(engine, "x")->component_instance();
  expect(instance.export_count(engine) == 2 && instance.export_nth(engine, 1)->first == "u" &&
      !instance.export_nth(engine, 2));
  ResourceType resource = instance.export_get(engine, "t")->resource();
  expect(instance.export_get(engine, "t")->is_resource() && !instance.export_get(engine, "none"));
  expect(type.export_get(engine, "x")->component_instance().export_get(engine, "t")->resource() == resource);
  ResourceType other = type.import_get(engine, "r")->resource();
  expect(other != resource);
  FuncType func = type.import_get(engine, "o")->component_func();
  ValType own = func.param_nth(0)->second, borrow = func.param_nth(1)->second;
  expect(own.is_own() && own.own() == other && borrow.is_borrow() && borrow.borrow() == other && own != borrow);
  expect(own == ValType::new_own(other) && borrow == ValType::new_borrow(other));
  expect(ResourceType(1) == ResourceType(1) && ResourceType(1) != ResourceType(2));
}

static void modules_are_described() {
  Engine engine;
  Component component = Component::compile(engine, R"((component (import "m" (core module
    (import "a" "b" (func (param i32))) (export "g" (global (mut i32)))))))").unwrap();
  ComponentType type = component.type();
  ComponentItem item = type.import_get(engine, "m").value();
  expect(item.is_module());
  ModuleType module = item.module();
  expect(module.import_count(engine) == 1 && module.export_count(engine) == 1);
  expect(!module.import_nth(engine, 1) && !module.export_nth(engine, 1));
  wasmtime::ImportType import = module.import_nth(engine, 0).value();
  wasmtime::ImportType copy = import;
  expect(import.ref().module() == "a" && copy.ref().name() == "b");
  auto func = std::get<wasmtime::FuncType::Ref>(wasmtime::ExternType::from_import(copy.ref()));
  expect(func.params().size() == 1 && func.results().size() == 0);
  wasmtime::ExportType exported = module.export_nth(engine, 0).value();
  expect(exported.ref().name() == "g");
  expect(std::get<wasmtime::GlobalType::Ref>(wasmtime::ExternType::from_export(exported.ref())).is_mutable());
}

static void items_copy_and_move() {
  Engine engine;
  ComponentType type = type_of(engine,
      "(component (type $t (record (field \"a\" u8))) (import \"t\" (type $u (eq $t))) (import \"f\" (func)) (export \"u\" (type $u)))");
  ComponentItem item = type.export_get(engine, "u").value(), copy = item, moved = std::move(item);
  expect(copy.is_type() && copy.type().is_record() && moved.type() == copy.type());
  expect(item.is_type() && item.type().is_bool());
  copy = type.import_get(engine, "f").value();
  item = copy;
  expect(item.is_component_func() && item.capi()->kind == WASMTIME_COMPONENT_ITEM_COMPONENT_FUNC);
}

static void numbers_and_texts_are_types() {
  Engine engine;
#define IS_TYPE(name, wit)                                                                                  \
  {                                                                                                         \
    ValType type = result(engine, wit);                                                                     \
    expect(type.is_##name() && type == ValType::new_##name() && type.kind() == ValType::new_##name().kind()); \
    expect(type != result(engine, "(list u8)") && !type.is_list());                                         \
  }
  IS_TYPE(bool, "bool");
  IS_TYPE(u8, "u8");
  IS_TYPE(s8, "s8");
  IS_TYPE(u16, "u16");
  IS_TYPE(s16, "s16");
  IS_TYPE(u32, "u32");
  IS_TYPE(s32, "s32");
  IS_TYPE(u64, "u64");
  IS_TYPE(s64, "s64");
  IS_TYPE(f32, "f32");
  IS_TYPE(f64, "f64");
  IS_TYPE(char, "char");
  IS_TYPE(string, "string");
}

static void lists_records_and_tuples_are_described() {
  Engine engine;
  ValType list = result(engine, "(list u8)");
  expect(list.is_list() && list.list().element().is_u8() && list.list() == result(engine, "(list u8)").list());
  expect(list.list() != result(engine, "(list u16)").list());
  ValType record = result(engine, "(record (field \"a\" u8) (field \"b\" string))");
  expect(record.is_record() && record.record().field_count() == 2 && !record.record().field_nth(2));
  expect(record.record().field_nth(1)->first == "b" && record.record().field_nth(1)->second.is_string());
  ValType tuple = result(engine, "(tuple u16 u8)");
  expect(tuple.is_tuple() && tuple.tuple().types_count() == 2 && tuple.tuple().types_nth(1)->is_u8() &&
      !tuple.tuple().types_nth(2));
}

static void variants_options_and_results_are_described() {
  Engine engine;
  ValType variant = result(engine, "(variant (case \"a\") (case \"b\" u16))");
  expect(variant.is_variant() && variant.variant().case_count() == 2 && !variant.variant().case_nth(2));
  expect(variant.variant().case_nth(0)->first == "a" && !variant.variant().case_nth(0)->second);
  expect(variant.variant().case_nth(1)->second->is_u16());
  ValType option = result(engine, "(option u8)");
  expect(option.is_option() && option.option().ty().is_u8());
  ValType both = result(engine, "(result u8 (error string))"), neither = result(engine, "(result)");
  expect(both.is_result() && both.result().ok()->is_u8() && both.result().err()->is_string());
  expect(!neither.result().ok() && !neither.result().err() && both.result() != neither.result());
}

static void enumerations_and_flags_are_described() {
  Engine engine;
  ValType cases = result(engine, "(enum \"a\" \"b\")"), flags = result(engine, "(flags \"c\" \"d\" \"e\")");
  expect(cases.is_enum() && cases.enum_().names_count() == 2 && cases.enum_().names_nth(1) == "b" &&
      !cases.enum_().names_nth(2));
  expect(flags.is_flags() && flags.flags().names_count() == 3 && flags.flags().names_nth(0) == "c" &&
      !flags.flags().names_nth(3));
}

static void maps_are_described() {
  Config config;
  config.wasm_component_model_map(true);
  Engine engine(std::move(config));
  ValType type = result(engine, "(map u32 string)");
  expect(type.is_map() && type.map().key().is_u32() && type.map().value().is_string());
  expect(type == ValType(type.map()));
}

static void value_types_copy_and_move() {
  Engine engine;
  ValType list = result(engine, "(list (list u8))"), copy = list, moved = std::move(list);
  expect(list.is_bool() && copy == moved && moved.list().element().list().element().is_u8());
  ListType inner = moved.list().element().list();
  ValType made(inner);
  moved = made;
  copy = ValType(result(engine, "(option u8)").option());
  expect(moved == result(engine, "(list u8)") && copy.is_option() && inner.element().is_u8());
  wasmtime_component_valtype_t raw;
  wasmtime_component_valtype_clone(copy.capi(), &raw);
  expect(ValType(std::move(raw)) == copy && raw.kind == WASMTIME_COMPONENT_VALTYPE_BOOL);
  expect(ValType(result(engine, "(record (field \"a\" u8))").record()).is_record());
  expect(ValType(result(engine, "(tuple u8)").tuple()).is_tuple() && ValType(result(engine,
      "(enum \"a\")").enum_()).is_enum());
  expect(ValType(result(engine, "(variant (case \"a\"))").variant()).is_variant());
  expect(ValType(result(engine, "(result)").result()).is_result() && ValType(result(engine,
      "(flags \"a\")").flags()).is_flags());
}

int main() {
  RUN(a_component_has_imports_and_exports);
#ifndef AMPOULE_AGAINST
  RUN(components_in_components_are_described);
#endif
  RUN(functions_have_parameters_and_a_result);
  RUN(instances_and_resources_are_described);
  RUN(modules_are_described);
  RUN(items_copy_and_move);
  RUN(numbers_and_texts_are_types);
  RUN(lists_records_and_tuples_are_described);
  RUN(variants_options_and_results_are_described);
  RUN(enumerations_and_flags_are_described);
  RUN(maps_are_described);
  RUN(value_types_copy_and_move);
  return test_summary();
}

#else

int main() { return test_summary(); }

#endif
