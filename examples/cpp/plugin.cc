// A plugin: the guest reads and writes its memory, calls the host, and is kept within limits of memory and time.
//
//     c++ -std=c++17 plugin.cc $(pkg-config --cflags --libs ampoule) -o plugin
#include <algorithm>
#include <iostream>
#include <string>
#include <wasmtime.hh>

using namespace wasmtime;

// Shouts what is in its buffer, by way of the host's `log`; and does nothing for ever, when asked to.
static const char *const plugin = R"((module
  (import "host" "log" (func $log (param i32 i32)))
  (memory (export "memory") 1)
  (func (export "shout") (param $at i32) (param $len i32) (local $i i32)
    (loop $next
      (i32.store8 (i32.add (local.get $at) (local.get $i))
        (i32.and (i32.load8_u (i32.add (local.get $at) (local.get $i))) (i32.const 0xdf)))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $i) (local.get $len))))
    (call $log (local.get $at) (local.get $len)))
  (func (export "spin") (loop $again br $again))))";

int main() {
  Config config;
  config.consume_fuel(true);
  Engine engine(std::move(config));

  // Host functions are defined once, for all stores.
  Linker linker(engine);
  linker.func_wrap("host", "log", [](Caller caller, uint32_t at, uint32_t len) -> Result<std::monostate, Trap> {
    auto memory = caller.get_export("memory");
    if (!memory || !std::holds_alternative<Memory>(*memory)) return Trap("the plugin exports no memory");
    Span<uint8_t> bytes = std::get<Memory>(*memory).data(caller);
    if (at > bytes.size() || len > bytes.size() - at) return Trap("the text is outside the memory");
    std::cout << std::string(bytes.begin() + at, bytes.begin() + at + len) << "\n";
    return std::monostate();
  }).unwrap();

  Store store(engine);
  store.limiter(/*memory_size*/ 1 << 20, /*table_elements*/ 100, /*instances*/ 1, /*tables*/ 1, /*memories*/ 1);
  store.context().set_fuel(100000).unwrap();
  Instance instance = linker.instantiate(store, Module::compile(engine, plugin).unwrap()).unwrap();

  std::string text = "hello";
  Span<uint8_t> memory = std::get<Memory>(*instance.get(store, "memory")).data(store);
  std::copy(text.begin(), text.end(), memory.begin() + 16);
  std::get<Func>(*instance.get(store, "shout")).call(store, {16, int32_t(text.size())}).unwrap();

  auto result = std::get<Func>(*instance.get(store, "spin")).call(store, {});
  TrapError error = result.err();
  bool out_of_fuel = std::get<Trap>(error.data).code() == WASMTIME_TRAP_CODE_OUT_OF_FUEL;
  std::cout << (out_of_fuel ? "stopped for want of fuel" : error.message()) << "\n";
}
