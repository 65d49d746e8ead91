// ampoule.hh: cancel tokens, native functions, structured errors, limits and numbers, in C++.
#include <poll.h>
#include <thread>
#include <ampoule.hh>


#include "test.hh"

using namespace wasmtime;

static World cancellable() {
  Config config;
  ampoule::cancellation(config, true);
  ampoule::statistics(config, true);
  return World(std::move(config));
}

static const char *const loop = "(module (func (export \"run\") (loop br 0)))";

static void a_token_cancels_one_call() {
  World world = cancellable();
  Instance instance = world.instance(loop);
  ampoule::CancelToken token = ampoule::CancelToken::create(world.store).unwrap(), copy(token);
  uint64_t next = token.generation();
  std::thread canceller([copy, next] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    expect(copy.cancel(next));
  });
  expect(!world.get<Func>(instance, "run").call(world.store, {}));
  canceller.join();
  expect(!token.cancel(next) && !ampoule::cancelled(world.store));
  World without;
  expect(!ampoule::CancelToken::create(without.store));
}

static void a_call_has_a_deadline() {
  World world = cancellable();
  Instance instance = world.instance(loop);
  ampoule::call_deadline(world.store, std::chrono::milliseconds(20)).unwrap();
  auto result = world.get<Func>(instance, "run").call(world.store, {});
  expect(!result && ampoule::info(result.err()).kind == AMPOULE_ERROR_CANCELLED);
}

static void failures_have_a_kind() {
  World world;
  auto bad = Module::compile(world.engine, "(module (func i32.add))");
  expect(ampoule::info(bad.err()).kind == AMPOULE_ERROR_INVALID_MODULE);
  Trap trap(WASMTIME_TRAP_CODE_CAST_FAILURE);
  expect(ampoule::info(trap).kind == AMPOULE_ERROR_TRAP);
}

static void the_host_decides_about_growth() {
  World world = cancellable();
  int asked = 0;
  ampoule::limiter(world.store, [&](const ampoule_limit_request_t &request) -> Result<bool> {
    if (request.kind == AMPOULE_LIMIT_MEMORY) asked++;
    return request.kind != AMPOULE_LIMIT_MEMORY || request.desired <= 2 << 16;
  }).unwrap();
  Memory memory = Memory::create(world.store, MemoryType(1)).unwrap();
  expect(memory.grow(world.store, 1) && !memory.grow(world.store, 1) && asked == 3);
  expect(ampoule::statistics(world.store).memory_bytes == 2 << 16);
  ExternRef value(world.store, 1);
  expect(ampoule::statistics(world.store).gc_host_values == 1);
}

static void a_budget_has_limits_and_is_told_of_after_its_store() {
  auto world = std::make_unique<World>();
  ampoule::Budget budget(world->store);
  int told = 0;
  ampoule::at_soft_limit(world->store, [&](ampoule_soft_limit_t &passed) -> Result<std::monostate> {
    told++;
    if (passed.asked > 1 << 16) return Error("too much");
    passed.soft_limit = 5 << 16;
    return std::monostate();
  }).unwrap();
  budget.set_limits(1 << 16, 6 << 16);
  Memory memory = Memory::create(world->store, MemoryType(1)).unwrap();
  expect(!memory.grow(world->store, 2) && told == 1);
  expect(memory.grow(world->store, 1) && told == 2 && budget.soft_limit() == 5 << 16);
  expect(!memory.grow(world->store, 5) && told == 3 && budget.hard_limit() == 6 << 16);
  expect(budget.used(AMPOULE_BUDGET_MEMORY) == 2 << 16 && budget.total() == 2 << 16);
  ampoule::Budget copy = budget;
  world.reset();
  expect(copy.total() == 0 && copy.peak() == 2 << 16);
}

static void an_instance_is_deleted() {
  World world;
  const char *text = "(module (memory (export \"m\") 1) (func (export \"f\") (result i32) i32.const 7))";
  Module module = Module::compile(world.engine, text).unwrap();
  Instance instance = Instance::create(world.store, module, {}).unwrap();
  Memory memory = world.get<Memory>(instance, "m");
  expect(world.get<Func>(instance, "f").call(world.store, {}).unwrap()[0].i32() == 7);
  expect(ampoule::delete_instance(world.store, instance) && !ampoule::delete_instance(world.store, instance));
  auto after = memory.grow(world.store, 1);
  expect(!after && ampoule::info(after.err()).kind == AMPOULE_ERROR_WRONG_STORE);
}

static void settings_reach_the_engine() {
  const char *old = "(module (tag $t) (func (export \"f\") try (throw $t) catch_all end))";
  for (bool on : {false, true}) {
    Config config;
    config.wasm_exceptions(true);
    ampoule::legacy_exceptions(config, on);
    ampoule::gc_stress(config, on);
    World world(std::move(config));
    expect(static_cast<bool>(Module::compile(world.engine, old)) == on);
    ExternRef one(world.store, 1), other(world.store, 2);
    expect((ampoule::statistics(world.store).gc_major_collections > 0) == on);
  }
}

static double half(int32_t value) { return value / 2.0; }

static void functions_are_native_both_ways() {
  World world;
  Linker linker(world.engine);
  ampoule::define_native(linker, "host", "half", half).unwrap();
  expect(!ampoule::define_native(linker, "host", "half", half));
  Module module = world.module(R"((module (import "host" "half" (func $half (param i32) (result f64)))
    (func (export "run") (param i32) (result f64) local.get 0 call $half) (func (export "trap") unreachable)))");
  Instance instance = linker.instantiate(world.store, module).unwrap();
  double (*run)(int32_t) = ampoule::native<double(int32_t)>(world.store, world.get<Func>(instance, "run")).unwrap();
  expect(run(7) == 3.5 && !ampoule::take_failure(world.store));
  expect(!ampoule::native<void(int32_t)>(world.store, world.get<Func>(instance, "run")));
  if (std::getenv("AMPOULE_VALGRIND")) return test_skip("traps of native functions", "valgrind takes hardware faults for errors");
  ampoule::native<void()>(world.store, world.get<Func>(instance, "trap")).unwrap()();
  expect(ampoule::take_failure(world.store));
}

static void a_waker_makes_the_descriptor_readable() {
  World world;
  int descriptor = ampoule::wait_descriptor(world.store).unwrap();
  expect(descriptor == ampoule::wait_descriptor(world.store).unwrap());
  auto readable = [descriptor] {
    pollfd fd{descriptor, POLLIN, 0};
    return poll(&fd, 1, 0) == 1;
  };
  expect(!readable());
  ampoule::Waker waker = ampoule::Waker::create(world.store).unwrap();
  ampoule::Waker copy = waker;
  std::thread([copy] { copy.wake(); }).join();
  expect(readable());
}

static void snapshots_make_and_reset_instances() {
  World world;
  Module module = world.module(R"((module (global $n (mut i32) (i32.const 0))
    (func (export "next") (result i32) (global.set $n (i32.add (global.get $n) (i32.const 1))) (global.get $n))))");
  Linker linker(world.engine);
  Instance instance = linker.instantiate(world.store, module).unwrap();
  auto next = [](Store::Context cx, const Instance &in) {
    return std::get<Func>(*in.get(cx, "next")).call(cx, {}).unwrap()[0].i32();
  };
  expect(next(world.store, instance) == 1);
  ampoule::Snapshot snapshot = ampoule::Snapshot::take(world.store, {instance}).unwrap(), copy(snapshot);
  uint8_t bytes[] = {1, 2};
  snapshot.attach("mine", Span<const uint8_t>(bytes, 2)).unwrap();
  expect(snapshot.section("mine")->size() == 2 && !copy.section("mine") && copy.len() == 1);
  expect(next(world.store, instance) == 2 && next(world.store, instance) == 3);
  copy.reset(world.store, {instance}).unwrap();
  expect(next(world.store, instance) == 2 && !copy.reset(world.store, {}));
  Store other(world.engine);
  auto made = copy.instantiate(other, linker).unwrap();
  expect(made.size() == 1 && next(other, made[0]) == 2);
  auto serialized = snapshot.serialize().unwrap();
  auto loaded = ampoule::Snapshot::deserialize(world.engine, Span<const uint8_t>(serialized)).unwrap();
  expect(loaded.section("mine")->data()[1] == 2);
  expect(next(other, loaded.instantiate(other, linker).unwrap()[0]) == 2);
  expect(!ampoule::Snapshot::deserialize_file(world.engine, "/nonexistent"));
  expect(ampoule::Snapshot::take_all(other).unwrap().len() == 2);
}

int main() {
  RUN(a_token_cancels_one_call);
  RUN(a_call_has_a_deadline);
  RUN(failures_have_a_kind);
  RUN(the_host_decides_about_growth);
  RUN(a_budget_has_limits_and_is_told_of_after_its_store);
  RUN(an_instance_is_deleted);
  RUN(settings_reach_the_engine);
  RUN(functions_are_native_both_ways);
  RUN(a_waker_makes_the_descriptor_readable);
  RUN(snapshots_make_and_reset_instances);
  return test_summary();
}
