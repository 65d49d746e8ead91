// wasmtime/store.hh: data, fuel, deadlines and limits of stores.
#include <stdexcept>
#include <thread>
#include <wasmtime.hh>

#include "test.hh"

using namespace wasmtime;

static const char *const loop = "(module (func (export \"run\") (loop br 0)))";

static void a_store_keeps_a_value_of_the_hosts() {
  World world;
  Store::Context cx = world.store.context();
  expect(!cx.get_data().has_value());
  cx.set_data(5);
  std::any &data = cx.get_data();
  cx.set_data(std::string("replaced"));
  expect(std::any_cast<std::string>(data) == "replaced");
  Store::Context same(&world.store);
  expect(same.capi() == cx.capi() && same.raw_context() == cx.capi());
  expect(static_cast<const Store::Context &>(same).capi() != nullptr);
}

static void stores_move() {
  Engine engine;
  Store first(engine);
  first.context().set_data(1);
  Store second(std::move(first));
  expect(std::any_cast<int>(second.context().get_data()) == 1);
  first = std::move(second);
  expect(first.context().gc());
  Store raw(first.capi_release());
  expect(raw.capi() != nullptr);
}

static void fuel_runs_out() {
  Config config;
  config.consume_fuel(true);
  World world(std::move(config));
  Store::Context cx = world.store.context();
  cx.set_fuel(1000).unwrap();
  expect(cx.get_fuel().unwrap() == 1000);
  Instance instance = world.instance(loop);
  auto result = world.get<Func>(instance, "run").call(world.store, {});
  TrapError error = result.err();
  expect(std::get<Trap>(error.data).code() == WASMTIME_TRAP_CODE_OUT_OF_FUEL);
  World without;
  expect_error_says(without.store.context().set_fuel(1), "fuel is not configured");
  expect(!without.store.context().get_fuel());
}

static World interruptible() {
  Config config;
  config.epoch_interruption(true);
  return World(std::move(config));
}

static void a_deadline_ends_a_guest() {
  World world = interruptible();
  world.store.context().set_epoch_deadline(1);
  Instance instance = world.instance(loop);
  std::thread interrupter([engine = world.engine] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    engine.increment_epoch();
  });
  auto result = world.get<Func>(instance, "run").call(world.store, {});
  interrupter.join();
  TrapError error = result.err();
  expect(std::get<Trap>(error.data).code() == WASMTIME_TRAP_CODE_INTERRUPT);
}

static void a_callback_decides_about_the_deadline() {
  World world = interruptible();
  Instance instance = world.instance(loop);
  int asked = 0;
  world.store.epoch_deadline_callback([&](Store::Context cx, uint64_t &delta) -> Result<DeadlineKind> {
    expect(cx.capi() != nullptr);
    if (++asked == 3) return Error("asked often enough");
    delta = 0; // again at once
    return DeadlineKind::Continue;
  });
  world.store.context().set_epoch_deadline(1);
  world.engine.increment_epoch();
  expect_error_says(world.get<Func>(instance, "run").call(world.store, {}), "asked often enough");
  expect(asked == 3);
#ifdef __cpp_exceptions
  world.store.epoch_deadline_callback(
      [](Store::Context, uint64_t &) -> Result<DeadlineKind> { throw std::runtime_error("thrown at the deadline"); });
  expect_error_says(world.get<Func>(instance, "run").call(world.store, {}), "thrown at the deadline");
#endif
}

static void a_store_has_limits() {
  World world;
  world.store.limiter(2 << 16, 10, 1, 1, 1);
  Instance instance = world.instance("(module (memory (export \"m\") 1) (table (export \"t\") 1 funcref))");
  Memory memory = world.get<Memory>(instance, "m");
  expect(memory.grow(world.store, 1).unwrap() == 1);
  expect(!memory.grow(world.store, 1));
  expect(!world.get<Table>(instance, "t").grow(world.store, 10, std::optional<Func>()));
  expect_error_says(Instance::create(world.store, world.module("(module)"), {}), "resource limit exceeded");
}

int main() {
  RUN(a_store_keeps_a_value_of_the_hosts);
  RUN(stores_move);
  RUN(fuel_runs_out);
  RUN(a_deadline_ends_a_guest);
  RUN(a_callback_decides_about_the_deadline);
  RUN(a_store_has_limits);
  return test_summary();
}
