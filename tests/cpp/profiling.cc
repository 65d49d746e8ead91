// wasmtime/profiling.hh: profiles of guests.
#include <wasmtime.hh>

#include "test.hh"

using namespace wasmtime;

#ifdef WASMTIME_FEATURE_PROFILING

static void samples_become_a_profile() {
  Config config;
  config.epoch_interruption(true);
  World world(std::move(config));
  Module module = world.module("(module (func $busy_function (export \"run\") (loop br 0)))");
  GuestProfiler profiler(world.engine, "the title", std::chrono::milliseconds(1), {{"the module", module}});
  int samples = 0;
  world.store.epoch_deadline_callback([&](Store::Context, uint64_t &delta) -> Result<DeadlineKind> {
    if (++samples > 5) return Error("enough samples");
    profiler.sample(world.store, std::chrono::milliseconds(1));
    delta = 0;
    return DeadlineKind::Continue;
  });
  Instance instance = Instance::create(world.store, module, {}).unwrap();
  expect_error_says(world.get<Func>(instance, "run").call(world.store, {}), "enough samples");
  std::string json = profiler.finish().unwrap();
  expect(json.find("the title") != std::string::npos && json.find("busy_function") != std::string::npos);
}

static void a_profiler_need_not_finish() {
  World world;
  GuestProfiler profiler(world.engine, "unused", std::chrono::seconds(1), {});
  GuestProfiler moved(std::move(profiler));
  expect(moved.capi() != nullptr);
}

int main() {
  RUN(samples_become_a_profile);
  RUN(a_profiler_need_not_finish);
  return test_summary();
}

#else

int main() {
  (void)test_run; // this library has no profiler
  return test_summary();
}

#endif
