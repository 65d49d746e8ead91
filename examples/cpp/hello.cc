// A guest function is called from C++.
//
//     c++ -std=c++17 hello.cc $(pkg-config --cflags --libs ampoule) -o hello
#include <iostream>
#include <wasmtime.hh>

using namespace wasmtime;

int main() {
  Engine engine;
  Store store(engine);
  Module module = Module::compile(engine, R"((module
    (func (export "multiply") (param i32 i32) (result i32)
      local.get 0 local.get 1 i32.mul)))").unwrap();
  Instance instance = Instance::create(store, module, {}).unwrap();

  using Numbers = std::tuple<int32_t, int32_t>;
  auto multiply = std::get<Func>(*instance.get(store, "multiply")).typed<Numbers, int32_t>(store).unwrap();
  std::cout << "7 * 6 = " << multiply.call(store, {7, 6}).unwrap() << "\n";
}
