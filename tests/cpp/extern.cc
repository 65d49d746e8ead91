// wasmtime/extern.hh: globals, tables, memories, shared memories and tags, and instances made of them.
#include <wasmtime.hh>

#include "test.hh"

using namespace wasmtime;

static void globals_hold_a_value() {
  World world;
  GlobalType type(ValKind::I32, true);
  Global global = Global::create(world.store, type, 1).unwrap();
  expect(global.get(world.store).i32() == 1);
  expect(global.set(world.store, 2) && global.get(world.store).i32() == 2);
  expect_error_says(global.set(world.store, 2.0), "type mismatch");
  expect(global.type(world.store)->is_mutable() && global.capi().store_id != 0);
  Global constant = Global::create(world.store, GlobalType(ValKind::I64, false), int64_t(3)).unwrap();
  expect_error_says(constant.set(world.store, int64_t(4)), "immutable global");
  expect(!Global::create(world.store, type, 1.0f));
}

static void tables_hold_references() {
  World world;
  TableType type(ValKind::ExternRef, 2, 4);
  Table table = Table::create(world.store, type, std::optional<ExternRef>()).unwrap();
  expect(table.size(world.store) == 2 && table.capi().store_id != 0);
  ExternRef ref(world.store, std::string("element"));
  expect(table.set(world.store, 1, ref));
  expect(std::any_cast<std::string>(table.get(world.store, 1)->externref()->data(world.store)) == "element");
  expect(!table.get(world.store, 0)->externref() && !table.get(world.store, 2));
  expect(!table.set(world.store, 2, ref) && !table.set(world.store, 0, 1));
  expect(table.grow(world.store, 2, ref).unwrap() == 2 && table.get(world.store, 3)->externref());
  expect(!table.grow(world.store, 1, ref));
  expect(table.type(world.store)->max() == 4);
  expect(!Table::create(world.store, type, 1));
}

static void memories_are_bytes() {
  World world;
  Memory memory = Memory::create(world.store, MemoryType(1, 2)).unwrap();
  Span<uint8_t> data = memory.data(world.store);
  expect(data.size() == 65536 && data[0] == 0);
  data[65535] = 7;
  expect(memory.size(world.store) == 1 && memory.grow(world.store, 1).unwrap() == 1);
  expect(memory.data(world.store)[65535] == 7 && memory.data(world.store).size() == 2 * 65536);
  expect(!memory.grow(world.store, 1));
  expect(memory.type(world.store)->max() == 2u && memory.capi().store_id != 0);
  expect(memory.page_size(world.store) == 65536 && memory.page_size_log2(world.store) == 16);
  Memory wide = Memory::create(world.store, MemoryType::New64(1)).unwrap();
  expect(wide.type(world.store)->is_64());
}

#ifdef WASMTIME_FEATURE_THREADS
static void stores_share_a_memory() {
  Config config;
  config.shared_memory(true);
  World world(std::move(config));
  MemoryType type = MemoryType::Builder().min(1).max(2).shared(true).build().unwrap();
  SharedMemory memory = SharedMemory::create(world.engine, type).unwrap();
  SharedMemory same(memory);
  memory.data()[3] = 9;
  expect(same.data()[3] == 9 && same.size() == 1 && same.type()->is_shared());
  Module module = world.module(R"((module (import "" "m" (memory 1 2 shared)) (export "m" (memory 0))
    (func (export "load") (result i32) i32.const 3 i32.load8_u)))");
  for (int i = 0; i < 2; i++) {
    Store store(world.engine);
    Instance instance = Instance::create(store, module, {memory}).unwrap();
    expect(std::get<Func>(*instance.get(store, "load")).call(store, {}).unwrap()[0].i32() == 9);
    SharedMemory exported = std::get<SharedMemory>(*instance.get(store, "m"));
    expect(exported.data().data() == memory.data().data());
  }
  Linker linker(world.engine);
  linker.define(world.store, "", "m", memory).unwrap();
  expect(linker.instantiate(world.store, module));
  expect(memory.grow(1).unwrap() == 1 && same.size() == 2 && !memory.grow(1));
  expect(!SharedMemory::create(world.engine, MemoryType(1, 2)));
}
#endif

#ifdef WASMTIME_FEATURE_GC
static void tags_are_themselves() {
  Config config;
  config.wasm_exceptions(true);
  World world(std::move(config));
  TagType type(FuncType({ValKind::I32}, {}));
  expect(type->functype()->params().size() == 1);
  Tag tag = Tag::create(world.store, type).unwrap(), other = Tag::create(world.store, type).unwrap();
  expect(tag.eq(world.store, tag) && !tag.eq(world.store, other) && tag.capi().store_id != 0);
  TagType found = tag.type(world.store);
  TagType copy(**found);
  expect(copy->functype()->params()[0].kind() == ValKind::I32);
  if (!Module::compile(world.engine, "(module (tag))")) return test_skip("tags of modules", "guests have no exceptions in this library");
  Instance instance = world.instance(R"((module (import "" "t" (tag (param i32))) (export "t" (tag 0))))", {tag});
  expect(world.get<Tag>(instance, "t").eq(world.store, tag));
}
#endif

static void instances_export_by_name_and_number() {
  World world;
  Instance instance = world.instance("(module (memory (export \"a\") 1) (global (export \"b\") i32 (i32.const 4)))");
  expect(!instance.get(world.store, "c") && !instance.get(world.store, 2));
  auto [name, item] = *instance.get(world.store, 1);
  expect(name == "b" && std::get<Global>(item).get(world.store).i32() == 4);
  expect(instance.capi().store_id != 0);
}

static void instances_need_what_they_import() {
  World world;
  Module module = world.module(R"((module (import "" "g" (global i32)) (import "" "t" (table 1 funcref))
    (import "" "m" (memory 1)) (import "" "f" (func)) (export "f" (func 0)) (export "t" (table 0))))");
  Global global = Global::create(world.store, GlobalType(ValKind::I32, false), 1).unwrap();
  Table table = Table::create(world.store, TableType(ValKind::FuncRef, 1), std::optional<Func>()).unwrap();
  Memory memory = Memory::create(world.store, MemoryType(1)).unwrap();
  int calls = 0;
  Func func = Func::wrap(world.store, [&] { calls++; });
  Instance instance = Instance::create(world.store, module, {global, table, memory, func}).unwrap();
  expect(world.get<Func>(instance, "f").call(world.store, {}) && calls == 1);
  expect(world.get<Table>(instance, "t").size(world.store) == 1);
  expect_error_says(Instance::create(world.store, module, {global}), "expected 4 imports, found 1");
  expect(!Instance::create(world.store, module, {global, table, func, memory}));
}

static void a_start_function_can_trap() {
  World world;
  Module module = world.module("(module (func unreachable) (start 0))");
  auto result = Instance::create(world.store, module, {});
  TrapError error = result.err();
  expect(std::get<Trap>(error.data).code() == WASMTIME_TRAP_CODE_UNREACHABLE_CODE_REACHED);
}

int main() {
  RUN(globals_hold_a_value);
  RUN(tables_hold_references);
  RUN(memories_are_bytes);
#ifdef WASMTIME_FEATURE_THREADS
  RUN(stores_share_a_memory);
#endif
#ifdef WASMTIME_FEATURE_GC
  RUN(tags_are_themselves);
#endif
  RUN(instances_export_by_name_and_number);
  RUN(instances_need_what_they_import);
  RUN_FAULTING(a_start_function_can_trap);
  return test_summary();
}
