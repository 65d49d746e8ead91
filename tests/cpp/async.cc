// wasmtime/async.hh: calls that pause, and host functions that finish later.
#include <memory>
#include <wasmtime.hh>

#include "test.hh"

using namespace wasmtime;

#ifdef WASMTIME_FEATURE_ASYNC

static World pausing() {
  Config config;
  config.consume_fuel(true);
  config.epoch_interruption(true);
  World world(std::move(config));
  world.store.context().set_fuel(1 << 30).unwrap();
  world.store.context().set_epoch_deadline(1 << 20);
  return world;
}

static const char *const counter = R"((module (func (export "count") (param i32) (result i32) (local i32)
    (loop
      (local.set 1 (i32.add (local.get 1) (i32.const 1)))
      (br_if 0 (i32.lt_u (local.get 1) (local.get 0))))
    (local.get 1))))";

static void a_call_pauses_when_its_fuel_interval_is_over() {
  World world = pausing();
  world.store.context().fuel_async_yield_interval(1000).unwrap();
  Linker linker(world.engine);
  Module module = world.module(counter);
  Instance instance = linker.instantiate_async(world.store, module).get().unwrap();
  Future<std::vector<Val>> call = world.get<Func>(instance, "count").call_async(world.store, {10000});
  int pauses = 0;
  while (!call.poll()) pauses++;
  expect(pauses > 10);
  expect(call.poll() && call.get().unwrap()[0].i32() == 10000);
}

static void typed_calls_pause_too() {
  World world = pausing();
  // In 44.0.0 this function has no result, though its declaration says so: what comes back is not to be looked at.
  if (!std::getenv("AMPOULE_AGAINST")) {
    world.store.context().epoch_deadline_async_yield_and_update(1).unwrap();
    world.store.context().set_epoch_deadline(0);
  }
  Linker linker(world.engine);
  InstancePre pre = linker.instantiate_pre(world.module(counter)).unwrap();
  Instance instance = pre.instantiate_async(world.store).get().unwrap();
  auto count = world.get<Func>(instance, "count").typed<uint32_t, uint32_t>(world.store).unwrap();
  Future<uint32_t> call = count.call_async(world.store, 5);
  Future<uint32_t> moved(std::move(call));
  expect(moved.get().unwrap() == 5);
}

static void a_host_function_can_finish_later() {
  World world = pausing();
  Linker linker(world.engine);
  FuncType type({ValKind::I32}, {ValKind::I32});
  int polls = 0;
  auto later = [&](Caller caller, Span<const Val> in, Span<Val> out) {
    expect(caller.context().capi() != nullptr);
    return [&polls, in, out]() mutable -> Result<bool, Trap> {
      if (in[0].i32() < 0) return Trap("negative");
      if (++polls < 3) return false;
      out[0] = in[0].i32() * 2;
      return true;
    };
  };
  linker.func_new_async("host", "later", type, later).unwrap();
  auto at_once = [](Caller, Span<const Val> in, Span<Val> out) {
    return [in, out]() mutable {
      out[0] = in[0].i32() + 1;
      return true;
    };
  };
  linker.func_new_async("host", "at_once", type, at_once).unwrap();
  expect(!linker.func_new_async("host", "later", type, later));
  Module module = world.module(R"((module (import "host" "later" (func $later (param i32) (result i32)))
    (import "host" "at_once" (func $at_once (param i32) (result i32)))
    (func (export "run") (param i32) (result i32) local.get 0 call $later call $at_once)))");
  Instance instance = linker.instantiate_async(world.store, module).get().unwrap();
  Func run = world.get<Func>(instance, "run");
  auto call = run.call_async(world.store, {21});
  expect(!call.poll() && !call.poll());
  expect(call.get().unwrap()[0].i32() == 43 && polls == 3);
  expect_error_says(run.call_async(world.store, {-1}).get(), "negative");
}

static void a_call_can_trap_or_be_wrong() {
  World world = pausing();
  Instance instance = Linker(world.engine)
                          .instantiate_async(world.store, world.module("(module (func (export \"f\") unreachable))"))
                          .get()
                          .unwrap();
  Func func = world.get<Func>(instance, "f");
  auto result = func.call_async(world.store, {}).get();
  TrapError error = result.err();
  expect(std::get<Trap>(error.data).code() == WASMTIME_TRAP_CODE_UNREACHABLE_CODE_REACHED);
  expect(!func.call_async(world.store, {1}).get());
}

static void a_future_can_be_given_up() {
  auto alive = std::make_shared<int>(1);
  {
    World world = pausing();
    Linker linker(world.engine);
    linker.func_new_async("host", "never", FuncType({}, {}), [alive](Caller, Span<const Val>, Span<Val>) {
      return [alive] { return false; };
    }).unwrap();
    Module module = world.module("(module (import \"host\" \"never\" (func $f)) (func (export \"run\") call $f))");
    Instance instance = linker.instantiate_async(world.store, module).get().unwrap();
    {
      auto call = world.get<Func>(instance, "run").call_async(world.store, {});
      expect(!call.poll() && alive.use_count() == 3);
    }
    expect(alive.use_count() == 2); // the continuation is gone with the call
  }
  expect(alive.use_count() == 1);
}

int main() {
  RUN(a_call_pauses_when_its_fuel_interval_is_over);
  RUN(typed_calls_pause_too);
  RUN(a_host_function_can_finish_later);
  RUN_FAULTING(a_call_can_trap_or_be_wrong);
  RUN(a_future_can_be_given_up);
  return test_summary();
}

#else

int main() {
  (void)test_run; // this library has no async calls
  return test_summary();
}

#endif
