// wasmtime/types.hh: types of values and items, made and read.
#include <sstream>
#include <wasmtime.hh>

#include "test.hh"

using namespace wasmtime;

static void kinds_print_as_the_text_format_writes_them() {
  std::ostringstream out;
  for (ValKind kind : {ValKind::I32, ValKind::I64, ValKind::F32, ValKind::F64, ValKind::V128, ValKind::FuncRef,
                       ValKind::ExternRef, ValKind::AnyRef, ValKind::ExnRef})
    out << kind << ' ';
  expect(out.str() == "i32 i64 f32 f64 v128 funcref externref anyref exnref ");
}

static void value_types_know_their_kind() {
  for (ValKind kind : {ValKind::I32, ValKind::I64, ValKind::F32, ValKind::F64, ValKind::V128, ValKind::FuncRef,
                       ValKind::ExternRef}) {
    ValType type(kind), copy(type), again(**type), assigned(ValKind::I32);
    assigned = copy;
    ValType moved(std::move(copy));
    expect(type->kind() == kind && moved->kind() == kind && again->kind() == kind && assigned->kind() == kind);
    ValType::Ref ref(type);
    expect(ref.kind() == kind && ref.capi() == type.capi());
  }
}

static void function_types_list_both_sides() {
  FuncType type({ValKind::I32, ValKind::F64}, {ValKind::ExternRef});
  expect(type->params().size() == 2 && type->results().size() == 1);
  expect(type->params()[1].kind() == ValKind::F64 && type->results()[0].kind() == ValKind::ExternRef);
  std::ostringstream out;
  for (auto &param : type->params()) out << param.kind() << ' ';
  expect(out.str() == "i32 f64 ");
  std::vector<ValType> params{ValKind::I64};
  FuncType made = FuncType::from_iters(params, std::vector<ValKind>());
  expect(made->params().size() == 1 && made->results().size() == 0);
  // A list of another type serves too.
  FuncType same = FuncType::from_iters(type->params(), type->results());
  expect(same->params().size() == 2 && same->results().size() == 1);
  FuncType::Ref ref(type);
  FuncType copy(ref);
  expect(copy->params().size() == 2);
}

static void other_types_have_limits() {
  GlobalType global(ValKind::I64, true);
  expect(global->is_mutable() && global->content().kind() == ValKind::I64);
  expect(!GlobalType(ValKind::F32, false)->is_mutable());
  TableType table(ValKind::FuncRef, 3), bounded(ValKind::ExternRef, 1, 5);
  expect(table->min() == 3 && !table->max() && table->element().kind() == ValKind::FuncRef);
  expect(bounded->max() == 5 && bounded->element().kind() == ValKind::ExternRef);
  MemoryType memory(2), limited(1, 4);
  expect(memory->min() == 2 && !memory->max() && !memory->is_64() && !memory->is_shared());
  expect(limited->max() == 4 && limited->page_size() == 65536 && limited->page_size_log2() == 16);
  MemoryType wide = MemoryType::New64(1), bounded_wide = MemoryType::New64(1, 9);
  expect(wide->is_64() && !wide->max() && bounded_wide->max() == 9);
  MemoryType shared = MemoryType::Builder().min(1).max(2).shared(true).build().unwrap();
  expect(shared->is_shared() && shared->max() == 2);
  MemoryType bytes = MemoryType::Builder().min(7).max(std::nullopt).memory64(true).page_size_log2(0).build().unwrap();
  expect(bytes->page_size() == 1 && bytes->is_64() && bytes->min() == 7);
  expect(!MemoryType::Builder().page_size_log2(99).build());
}

static void modules_list_imports_and_exports() {
  World world;
  Module module = world.module("(module (import \"a\" \"f\" (func (param i32) (result i64)))"
                               "  (import \"b\" \"g\" (global f32))"
                               "  (table (export \"t\") 1 2 funcref) (memory (export \"m\") 3)"
                               "  (global (export \"mut\") (mut i32) (i32.const 0)))");
  ImportType::List imports = module.imports();
  expect(imports.size() == 2 && imports[0].module() == "a" && imports[0].name() == "f");
  FuncType::Ref func = std::get<FuncType::Ref>(ExternType::from_import(imports[0]));
  expect(func.params().size() == 1 && func.results()[0].kind() == ValKind::I64);
  expect(!std::get<GlobalType::Ref>(ExternType::from_import(imports[1])).is_mutable());
  ExportType::List exports = module.exports();
  std::string names;
  for (auto &each : exports) names += std::string(each.name()) + ' ';
  expect(names == "t m mut ");
  expect(std::get<TableType::Ref>(ExternType::from_export(exports[0])).max() == 2);
  expect(std::get<MemoryType::Ref>(ExternType::from_export(exports[1])).min() == 3);
  expect(std::get<GlobalType::Ref>(ExternType::from_export(exports[2])).is_mutable());
  ExportType::List moved(std::move(exports));
  expect(moved.size() == 3 && exports.size() == 0);
  exports = std::move(moved);
  expect(exports.size() == 3);
}

static void an_item_tells_its_type() {
  World world;
  Instance instance = world.instance("(module (memory (export \"m\") 3))");
  ExternType type = extern_type(world.store, *instance.get(world.store, "m"));
  ExternType copy(type);
  expect(std::get<MemoryType::Ref>(copy.ref()).min() == 3);
}

int main() {
  RUN(kinds_print_as_the_text_format_writes_them);
  RUN(value_types_know_their_kind);
  RUN(function_types_list_both_sides);
  RUN(other_types_have_limits);
  RUN(modules_list_imports_and_exports);
  RUN(an_item_tells_its_type);
  return test_summary();
}
