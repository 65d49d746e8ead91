// wasm.hh: the portable C++ API, in the scenarios of its well-known examples.
#include <thread>
#include <vector>
#include <wasm.hh>
#include <wasmtime/wat.hh>

#include "test.hh"

using namespace wasm;

// A store, with short ways to modules and exports.
struct Portable {
  own<Engine> engine = Engine::make();
  own<Store> store = Store::make(engine.get());

  static vec<byte_t> binary(const char *wat) {
    std::vector<uint8_t> bytes = wasmtime::wat2wasm(wat).unwrap();
    return vec<byte_t>::make(std::string(bytes.begin(), bytes.end()));
  }
  own<Module> module(const char *wat) { return Module::make(store.get(), binary(wat)); }
  ownvec<Extern> exports(const char *wat, const vec<Extern *> &imports = vec<Extern *>::make()) {
    return Instance::make(store.get(), module(wat).get(), imports)->exports();
  }
};

static std::string text(const Name &name) { return std::string(name.get(), name.size()); }

static int hellos;

static own<Trap> say_hello(const vec<Val> &args, vec<Val> &results) {
  expect(args.size() == 0 && results.size() == 0);
  hellos++;
  return nullptr;
}

static void hello() {
  Portable world;
  own<FuncType> type = FuncType::make();
  own<Func> func = Func::make(world.store.get(), type.get(), say_hello);
  ownvec<Extern> exports = world.exports(
      "(module (import \"\" \"hello\" (func $h)) (func (export \"run\") call $h))", vec<Extern *>::make(func.get()));
  hellos = 0;
  expect(exports.size() == 1 && !exports[0]->func()->call() && hellos == 1);
  expect(!exports[0]->memory() && !exports[0]->global() && !exports[0]->table());
}

static own<Trap> add_to_env(void *env, const vec<Val> &args, vec<Val> &results) {
  results[0] = Val::i32(args[0].i32() + *static_cast<int32_t *>(env));
  return nullptr;
}

static int finalized;
static void count_finalized(void *) { finalized++; }

static void callback_with_an_environment() {
  finalized = 0;
  int32_t added = 40;
  {
    Portable world;
    own<FuncType> type =
        FuncType::make(ownvec<ValType>::make(ValType::make(ValKind::I32)), ownvec<ValType>::make(ValType::make(ValKind::I32)));
    own<Func> func = Func::make(world.store.get(), type.get(), add_to_env, &added, count_finalized);
    auto args = vec<Val>::make(Val::i32(2)), results = vec<Val>::make_uninitialized(1);
    expect(!func->call(args, results) && results[0].i32() == 42 && results[0].get<int32_t>() == 42);
    Val in[] = {Val(3)}, out[1];
    expect(!func->copy()->call(in, out) && out[0].i32() == 43);
    expect(func->param_arity() == 1 && func->result_arity() == 1);
    expect(func->type()->params()[0]->kind() == ValKind::I32);
  }
  expect(finalized == 1);
}

static Store *trapping_store;
static own<Trap> refuse(const vec<Val> &, vec<Val> &) {
  return Trap::make(trapping_store, Message::make("refused by the host"));
}

static void traps() {
  Portable world;
  trapping_store = world.store.get();
  own<FuncType> type = FuncType::make(ownvec<ValType>::make(), ownvec<ValType>::make());
  own<Func> func = Func::make(world.store.get(), type.get(), refuse);
  auto exports = world.exports(
      "(module (import \"\" \"\" (func $f)) (func (export \"host\") call $f) (func (export \"guest\") unreachable))",
      vec<Extern *>::make(func.get()));
  own<Trap> host = exports[0]->func()->call(), guest = exports[1]->func()->call();
  expect(host && text(host->message()).find("refused by the host") != std::string::npos);
  expect(guest && text(guest->message()).find("unreachable") != std::string::npos);
  expect(guest->origin()->func_index() == 2 && guest->trace().size() == 1);
  own<Frame> frame = guest->trace()[0]->copy();
  expect(frame->func_index() == 2 && frame->module_offset() > frame->func_offset());
  expect(text(guest->copy()->message()) == text(guest->message()));
  own<Trap> start;
  auto failing = world.module("(module (func unreachable) (start 0))");
  expect(!Instance::make(world.store.get(), failing.get(), vec<Extern *>::make(), &start) && start);
}

static void reflect() {
  Portable world;
  auto module = world.module(R"((module (import "a" "f" (func (param i32) (result f64)))
    (func (export "func") (param i64 f32)) (global (export "global") f64 (f64.const 0))
    (table (export "table") 0 50 funcref) (memory (export "memory") 1)))");
  auto imports = module->imports();
  expect(imports.size() == 1 && text(imports[0]->module()) == "a" && text(imports[0]->name()) == "f");
  expect(imports[0]->copy()->type()->func()->results()[0]->kind() == ValKind::F64);
  auto exports = module->exports();
  const ExternKind kinds[] = {ExternKind::FUNC, ExternKind::GLOBAL, ExternKind::TABLE, ExternKind::MEMORY};
  for (size_t i = 0; i < exports.size(); i++) expect(exports[i]->type()->kind() == kinds[i]);
  expect(text(exports[0]->name()) == "func" && exports[0]->type()->func()->params().size() == 2);
  expect(exports[1]->type()->global()->mutability() == Mutability::CONST);
  expect(exports[1]->type()->global()->content()->is_num() && !exports[1]->type()->func());
  expect(exports[2]->type()->table()->limits().max == 50 && exports[2]->type()->table()->element()->is_ref());
  expect(exports[3]->copy()->type()->memory()->limits().min == 1 && !exports[3]->type()->table());
  expect(exports[3]->type()->copy()->memory());
  own<ExportType> made = ExportType::make(Name::make("name"), MemoryType::make(Limits(1, 2)));
  expect(text(made->name()) == "name" && made->type()->memory()->copy()->limits().max == 2);
  own<ImportType> import =
      ImportType::make(Name::make("m"), Name::make_nt("n"), GlobalType::make(ValType::make(ValKind::I32), Mutability::VAR));
  expect(import->name().size() == 2 && import->type()->global()->copy()->mutability() == Mutability::VAR);
  own<TableType> table = TableType::make(ValType::make(ValKind::FUNCREF), Limits(3));
  expect(table->copy()->element()->copy()->kind() == ValKind::FUNCREF && table->limits().min == 3);
  expect(FuncType::make()->copy()->params().size() == 0);
}

static void globals_and_memories() {
  Portable world;
  own<GlobalType> type = GlobalType::make(ValType::make(ValKind::F32), Mutability::VAR);
  own<Global> global = Global::make(world.store.get(), type.get(), Val::f32(1));
  own<Memory> memory = Memory::make(world.store.get(), MemoryType::make(Limits(1, 3)).get());
  auto exports = world.exports(R"((module (import "" "g" (global $g (mut f32))) (import "" "m" (memory 1))
    (func (export "load") (param i32) (result i32) (i32.load8_u (local.get 0)))
    (func (export "global") (result f32) (global.get $g)) (export "memory" (memory 0))))",
                               vec<Extern *>::make(global.get(), memory.get()));
  memory->data()[7] = 42;
  Val args[] = {Val(7)}, results[1];
  expect(!exports[0]->func()->call(args, results) && results[0].i32() == 42);
  global->set(Val(2.5f));
  expect(!exports[1]->func()->call(nullptr, results) && results[0].f32() == 2.5f && global->copy()->get().f32() == 2.5f);
  expect(global->type()->content()->kind() == ValKind::F32);
  Memory *same = exports[2]->memory();
  expect(same->data() == memory->data() && same->data_size() == Memory::page_size && same->size() == 1);
  expect(memory->grow(2) && same->size() == 3 && !memory->grow(1) && memory->type()->limits().max == 3);
  own<Extern> copy = exports[2]->copy();
  expect(copy->kind() == ExternKind::MEMORY && copy->type()->memory() && memory->copy()->size() == 3);
}

static void tables_of_functions() {
  Portable world;
  auto exports = world.exports(R"((module (table (export "table") 2 10 funcref) (func $f) (elem (i32.const 1) $f)))");
  Table *table = exports[0]->table();
  expect(table->size() == 2 && !table->get(0) && table->get(1));
  own<Ref> element = table->get(1);
  expect(table->set(0, element.get()) && table->get(0) && !table->set(2, nullptr));
  expect(table->set(1, nullptr) && !table->get(1));
  expect(table->grow(3, element.get()) && table->size() == 5 && table->get(4) && !table->grow(6));
  expect(table->type()->limits().max == 10 && table->copy()->size() == 5);
  own<TableType> type = TableType::make(ValType::make(ValKind::FUNCREF), Limits(1));
  expect(Table::make(world.store.get(), type.get())->size() == 1);
}

static void multi_value() {
  Portable world;
  auto exports = world.exports("(module (func (export \"f\") (param i32 i64 f32 f64) (result f64 f32 i64 i32)"
                               " local.get 3 local.get 2 local.get 1 local.get 0))");
  auto args = vec<Val>::make(Val::i32(1), Val::i64(2), Val::f32(3), Val::f64(4));
  auto results = vec<Val>::make_uninitialized(4);
  expect(!exports[0]->func()->call(args.copy(), results));
  expect(results[0].f64() == 4 && results[1].f32() == 3 && results[2].i64() == 2 && results[3].i32() == 1);
  results[0].reset(results[3]);
  expect(results[0].i32() == 1 && results[3].is_ref() && !results[3].ref());
}

static void modules_are_stored_and_shared() {
  Portable world;
  auto module = world.module("(module (func (export \"f\")))");
  vec<byte_t> bytes = module->serialize();
  expect(bytes && bytes.size() > 0);
  own<Module> loaded = Module::deserialize(world.store.get(), bytes);
  expect(loaded && loaded->exports().size() == 1 && loaded->copy());
  expect(!Module::deserialize(world.store.get(), vec<byte_t>::make("nonsense")));
  expect(Module::validate(world.store.get(), Portable::binary("(module)")));
  expect(!Module::validate(world.store.get(), vec<byte_t>::make("nonsense")));
  expect(!Module::make(world.store.get(), vec<byte_t>::make("nonsense")));
  own<Shared<Module>> shared = module->share();
  std::vector<std::thread> threads;
  int calls[4] = {};
  for (int &call : calls) {
    threads.emplace_back([&] {
      own<Store> store = Store::make(world.engine.get());
      own<Module> obtained = Module::obtain(store.get(), shared.get());
      auto exports = Instance::make(store.get(), obtained.get(), vec<Extern *>::make())->exports();
      if (!exports[0]->func()->call()) call = 1;
    });
  }
  for (std::thread &thread : threads) thread.join();
  for (int call : calls) expect(call == 1);
}

static void vectors_are_owned() {
  vec<byte_t> name = Name::make("abc"), none = Name::invalid();
  expect(name && name.size() == 3 && name[1] == 'b' && !none && none.size() == Name::invalid_size);
  expect(Name::make_nt("abc").size() == 4);
  name.swap(none);
  expect(!name && none);
  name.reset(none);
  expect(name && !none);
  vec<byte_t> copy = name.copy();
  expect(text(copy) == "abc" && text(name.deep_copy()) == "abc");
  byte_t *block = copy.release();
  vec<byte_t> adopted = vec<byte_t>::adopt(3, block);
  expect(adopted.get()[2] == 'c');
  name.reset();
  expect(!name && !name.copy());
  own<ValType> types[] = {ValType::make(ValKind::I64), ValType::make(ValKind::F64)};
  auto list = ownvec<ValType>::make(2, types);
  expect(list[1]->is_num() && list.copy()[0]->kind() == ValKind::I64 && !list[0]->is_ref());
}

static void objects_go_in_any_order() {
  auto engine = Engine::make(Config::make());
  auto store = Store::make(engine.get());
  auto module = Module::make(store.get(), Portable::binary("(module (func (export \"f\") (result i32) i32.const 5))"));
  auto instance = Instance::make(store.get(), module.get(), vec<Extern *>::make());
  auto exports = instance->copy()->exports();
  engine.reset();
  store.reset();
  module.reset();
  instance.reset();
  auto results = vec<Val>::make_uninitialized(1);
  expect(!exports[0]->func()->call(vec<Val>::make(), results) && results[0].i32() == 5);
}

int main() {
  RUN(hello);
  RUN(callback_with_an_environment);
  RUN_FAULTING(traps);
  RUN(reflect);
  RUN(globals_and_memories);
  RUN(tables_of_functions);
  RUN(multi_value);
  RUN(modules_are_stored_and_shared);
  RUN(vectors_are_owned);
  RUN(objects_go_in_any_order);
  return test_summary();
}
