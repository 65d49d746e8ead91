// wasmtime/module.hh, wasmtime/linker.hh and wasmtime/wasi.hh: modules, and what they are linked with.
#include <cstdio>
#include <cstring>
#include <wasmtime.hh>

#include "test.hh"

using namespace wasmtime;

static const char *const adder =
    "(module (import \"host\" \"add\" (func $add (param i32 i32) (result i32)))"
    " (func (export \"run\") (result i32) i32.const 40 i32.const 2 call $add))";

static void modules_come_from_text_and_bytes() {
  Engine engine;
  std::vector<uint8_t> binary = wat2wasm("(module (func (export \"f\")))").unwrap();
  expect(Module::validate(engine, binary) && Module::compile(engine, binary));
  Span<uint8_t> view(binary);
  expect(Module::compile(engine, view));
  expect_error_says(wat2wasm("(module (nonsense))"), "nonsense");
  expect_error_says(Module::compile(engine, "(module (func i32.add))"), "type mismatch");
  std::vector<uint8_t> bad{1, 2, 3};
  expect(!Module::validate(engine, bad) && !Module::compile(engine, bad));
}

static void modules_are_stored_and_loaded() {
  World world;
  Module module = world.module("(module (func (export \"f\") (result i32) i32.const 6))");
  std::vector<uint8_t> bytes = module.serialize().unwrap();
  auto answer = [&](const Module &loaded) {
    Instance instance = Instance::create(world.store, loaded, {}).unwrap();
    return world.get<Func>(instance, "f").call(world.store, {}).unwrap()[0].i32();
  };
  expect(answer(Module::deserialize(world.engine, bytes).unwrap()) == 6);
  std::string path = "/tmp/ampoule-cpp-test-" + std::to_string(reinterpret_cast<uintptr_t>(&bytes)) + ".cwasm";
  std::FILE *file = std::fopen(path.c_str(), "wb");
  expect(file && std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size());
  std::fclose(file);
  expect(answer(Module::deserialize_file(world.engine, path).unwrap()) == 6);
  std::remove(path.c_str());
  expect(!Module::deserialize_file(world.engine, path));
  bytes.resize(bytes.size() / 2);
  expect(!Module::deserialize(world.engine, bytes));
}

static void copies_are_the_same_module() {
  World world;
  Module module = world.module("(module (func (export \"f\")))");
  Module copy(module), moved(std::move(module));
  expect(copy.exports().size() == 1 && moved.imports().size() == 0);
  auto [start, end] = moved.image_range();
  expect(start <= end && static_cast<const Module &>(copy).capi() != nullptr);
  Module raw(moved.capi_release());
  raw = copy;
  expect(raw.exports().size() == 1);
}

static void a_linker_finds_imports_by_name() {
  World world;
  Linker linker(world.engine);
  Module module = world.module(adder);
  expect_error_says(linker.instantiate(world.store, module), "unknown import: `host::add` has not been defined");
  linker.func_wrap("host", "add", [](int32_t a, int32_t b) { return a + b; }).unwrap();
  Instance instance = linker.instantiate(world.store, module).unwrap();
  Func run = world.get<Func>(instance, "run");
  expect(run.call(world.store, {}).unwrap()[0].i32() == 42);
  auto lambda = [](int32_t a, int32_t b) { return a * b; };
  expect_error_says(linker.func_wrap("host", "add", lambda), "defined twice");
  linker.allow_shadowing(true);
  linker.func_wrap("host", "add", lambda).unwrap();
  expect(std::get<Func>(*linker.get(world.store, "host", "add")).call(world.store, {3, 4}).unwrap()[0].i32() == 12);
  expect(!linker.get(world.store, "host", "sub"));
  Store other(world.engine); // host functions of a linker fit every store
  expect(linker.instantiate(other, module));
}

static void a_linker_takes_items_of_a_store() {
  World world;
  Linker linker(world.engine);
  FuncType type({ValKind::I32, ValKind::I32}, {ValKind::I32});
  linker.func_new("host", "add", type, [](Caller, Span<const Val> in, Span<Val> out) -> Result<std::monostate, Trap> {
    out[0] = in[0].i32() - in[1].i32();
    return std::monostate();
  }).unwrap();
  Linker copy(linker);
  Instance instance = copy.instantiate(world.store, world.module(adder)).unwrap();
  copy.define_instance(world.store, "guest", instance).unwrap();
  Func run = std::get<Func>(*copy.get(world.store, "guest", "run"));
  expect(run.call(world.store, {}).unwrap()[0].i32() == 38);
  expect(!linker.get(world.store, "guest", "run"));
  linker.define(world.store, "other", "run", run).unwrap();
  expect(linker.get(world.store, "other", "run"));
  linker.module(world.store, "named", world.module("(module (func (export \"\")))")).unwrap();
  expect(linker.get_default(world.store, "named").unwrap().call(world.store, {}));
  expect(linker.get_default(world.store, "unknown").unwrap().call(world.store, {}));
}

static void what_is_missing_can_be_made_up() {
  World world;
  Module module = world.module(adder);
  Linker traps(world.engine), zeros(world.engine);
  traps.define_unknown_imports_as_traps(module).unwrap();
  Instance trapping = traps.instantiate(world.store, module).unwrap();
  expect(!world.get<Func>(trapping, "run").call(world.store, {}));
  zeros.define_unknown_imports_as_default_values(world.store, module).unwrap();
  Instance calm = zeros.instantiate(world.store, module).unwrap();
  expect(world.get<Func>(calm, "run").call(world.store, {}).unwrap()[0].i32() == 0);
}

static void imports_can_be_looked_up_once() {
  World world;
  Linker linker(world.engine);
  Module module = world.module(adder);
  expect(!linker.instantiate_pre(module));
  linker.func_wrap("host", "add", [](int32_t a, int32_t b) { return a + b; }).unwrap();
  InstancePre pre = linker.instantiate_pre(module).unwrap();
  expect(pre.module().exports().size() == 1);
  Instance instance = pre.instantiate(world.store).unwrap();
  expect(world.get<Func>(instance, "run").call(world.store, {}).unwrap()[0].i32() == 42);
  Module failing = world.module("(module (func unreachable) (start 0))");
  InstancePre bad = Linker(world.engine).instantiate_pre(failing).unwrap();
  if (std::getenv("AMPOULE_VALGRIND"))
    test_skip("start functions that trap", "valgrind takes hardware faults for errors");
  else
    expect(!bad.instantiate(world.store));
}

#ifdef WASMTIME_FEATURE_WASI
static void a_wasi_program_sees_what_it_is_given() {
  static const char *const program = R"((module
    (import "wasi_snapshot_preview1" "args_sizes_get" (func $args (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "environ_sizes_get" (func $env (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "\40\00\00\00\20\00\00\00") ;; one buffer of 32 bytes at 64
    (func (export "args") (result i32)
      (drop (call $args (i32.const 16) (i32.const 20))) (i32.load (i32.const 16)))
    (func (export "env") (result i32)
      (drop (call $env (i32.const 16) (i32.const 20))) (i32.load (i32.const 16)))
    (func (export "echo") (param i32)
      (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
      (i32.store (i32.const 4) (i32.load (i32.const 8)))
      (drop (call $write (local.get 0) (i32.const 0) (i32.const 1) (i32.const 8))))))";
  World world;
  Linker linker(world.engine);
  linker.define_wasi().unwrap();
  Module module = world.module(program);
  Instance instance = linker.instantiate(world.store, module).unwrap();
  auto call = [&](const char *name) {
    return world.get<Func>(instance, name).call(world.store, {}).unwrap()[0].i32();
  };
  std::string out, err;
  WasiConfig wasi;
  expect(wasi.argv({"program", "argument"}));
  expect(wasi.env({{"NAME", "value"}}));
  const char *text = "input";
  wasi.stdin_bytes(Span<const uint8_t>(reinterpret_cast<const uint8_t *>(text), 5));
  wasi.stdout_custom([&](Span<const uint8_t> bytes) {
    out.append(bytes.begin(), bytes.end());
    return bytes.size();
  });
  wasi.stderr_custom([&](Span<const uint8_t> bytes) {
    err.append(bytes.begin(), bytes.end());
    return bytes.size();
  });
  expect(wasi.preopen_dir("/tmp", "/", WASMTIME_WASI_DIR_PERMS_READ, WASMTIME_WASI_FILE_PERMS_READ));
  expect(!wasi.preopen_dir("/no/such/folder", "/x", 0, 0));
  world.store.context().set_wasi(std::move(wasi)).unwrap();
  expect(call("args") == 2 && call("env") == 1);
  expect(world.get<Func>(instance, "echo").call(world.store, {1}));
  expect(world.get<Func>(instance, "echo").call(world.store, {2}));
  { World ended(std::move(world)); } // what is buffered comes out with the store
  expect(out == "input" && err.empty());
}

static void wasi_files_are_opened_at_once() {
  WasiConfig wasi;
  expect(!wasi.stdin_file("/no/such/file") && !wasi.stdout_file("/no/such/file") && !wasi.stderr_file("/no/such/file"));
  expect(wasi.stdin_file("/dev/null") && wasi.stdout_file("/dev/null") && wasi.stderr_file("/dev/null"));
  wasi.inherit_argv();
  wasi.inherit_env();
  wasi.inherit_stdin();
  wasi.inherit_stdout();
  wasi.inherit_stderr();
  WasiConfig raw(wasi.capi_release());
  World world;
  expect(world.store.context().set_wasi(std::move(raw)));
}
#endif

int main() {
  RUN(modules_come_from_text_and_bytes);
  RUN(modules_are_stored_and_loaded);
  RUN(copies_are_the_same_module);
  RUN(a_linker_finds_imports_by_name);
  RUN(a_linker_takes_items_of_a_store);
  RUN_FAULTING(what_is_missing_can_be_made_up);
  RUN(imports_can_be_looked_up_once);
#ifdef WASMTIME_FEATURE_WASI
  RUN(a_wasi_program_sees_what_it_is_given);
  RUN(wasi_files_are_opened_at_once);
#endif
  return test_summary();
}
