// wasmtime/config.hh and wasmtime/engine.hh: settings, and what they do to engines.
#include <cstring>
#include <memory>
#include <wasmtime.hh>

#include "test.hh"

using namespace wasmtime;

// The binary form of a module that uses SIMD.
static const char *const simd = "(module (func (param v128)))";

static void every_setting_can_be_made() {
  Config config;
  config.debug_info(false);
  config.epoch_interruption(false);
  config.consume_fuel(false);
  config.max_wasm_stack(256 << 10);
#ifdef WASMTIME_FEATURE_THREADS
  config.wasm_threads(true);
#endif
  config.shared_memory(false);
  config.wasm_tail_call(true);
  config.wasm_reference_types(true);
  config.wasm_function_references(false);
  config.wasm_gc(false);
  config.gc_support(true);
  config.wasm_simd(true);
  config.wasm_relaxed_simd(true);
  config.wasm_relaxed_simd_deterministic(false);
  config.wasm_bulk_memory(true);
  config.wasm_multi_value(true);
  config.wasm_multi_memory(true);
  config.wasm_memory64(true);
  config.wasm_wide_arithmetic(false);
  config.wasm_exceptions(false);
  config.wasm_custom_page_sizes(false);
  config.wasm_stack_switching(false);
  config.parallel_compilation(true);
  config.cranelift_debug_verifier(false);
  config.cranelift_nan_canonicalization(false);
  config.memory_may_move(true);
  config.memory_reservation(1 << 20);
  config.memory_guard_size(1 << 16);
  config.memory_reservation_for_growth(1 << 20);
  config.native_unwind_info(true);
  config.macos_use_mach_ports(true);
  config.signals_based_traps(true);
  config.memory_init_cow(true);
  config.strategy(Strategy::Auto);
#ifndef AMPOULE_AGAINST
  config.strategy(Strategy::Winch);
#endif
  config.strategy(Strategy::Cranelift);
  config.cranelift_opt_level(OptLevel::SpeedAndSize);
  config.profiler(ProfilingStrategy::None);
  Engine engine(std::move(config));
  expect(!engine.is_pulley());
}

static void settings_are_obeyed() {
  Config config;
  config.wasm_simd(false);
  config.wasm_relaxed_simd(false);
  Engine without = Engine::create(std::move(config)).unwrap();
  expect(!Module::compile(without, simd));
  Engine with;
  expect(Module::compile(with, simd));
}

static void every_compiler_makes_code_that_runs() {
  for (Strategy strategy : {
           Strategy::Auto,
           Strategy::Cranelift,
#ifndef AMPOULE_AGAINST
           Strategy::Winch,
#endif
       }) {
    for (OptLevel level : {OptLevel::None, OptLevel::Speed}) {
      Config config;
      config.strategy(strategy);
      config.cranelift_opt_level(level);
      World world(std::move(config));
      Instance instance = world.instance("(module (func (export \"f\") (param i32) (result i32)"
                                         "  (i32.mul (local.get 0) (i32.const 3))))");
      Func f = std::get<Func>(*instance.get(world.store, "f"));
      expect(f.call(world.store, {14}).unwrap()[0].i32() == 42);
    }
  }
}

static void targets_that_nobody_knows_are_errors() {
  Config config;
  expect(!config.target("no-such-machine"));
}

static void engines_are_shared_by_copies() {
  auto first = std::make_unique<Engine>();
  Engine second = *first;
  Module module = Module::compile(*first, "(module)").unwrap();
  first.reset();
  Store store(second);
  expect(Instance::create(store, module, {}));
  Engine third(std::move(second));
  second = third;
  third.increment_epoch();
  expect(third.capi() != nullptr && static_cast<const Engine &>(second).capi() != nullptr);
  wasm_engine_t *raw = third.capi_release();
  Engine again(raw);
}

// A memory of the host's: an array with room to grow in place.
struct ArrayMemory {
  std::unique_ptr<uint8_t[]> bytes;
  size_t size, capacity;

  uint8_t *get_memory(size_t *byte_size, size_t *byte_capacity) {
    *byte_size = size;
    *byte_capacity = capacity;
    return bytes.get();
  }

  Result<std::monostate> grow_memory(size_t new_size) {
    if (new_size > capacity) return Error("no room in the array");
    size = new_size;
    return std::monostate();
  }
};

static int memories_made;

struct ArrayCreator {
  Result<ArrayMemory> new_memory(const MemoryType::Ref &ty, size_t minimum, size_t, size_t, size_t) {
    if (ty.min() > 2) return Error("too much for an array");
    memories_made++;
    size_t capacity = 3 << 16;
    return ArrayMemory{std::make_unique<uint8_t[]>(capacity), minimum, capacity};
  }
};

static void the_host_can_provide_memories() {
  Config config;
  config.memory_reservation(0);
  config.memory_guard_size(0);
  config.memory_init_cow(false);
  config.host_memory_creator(ArrayCreator());
  Engine engine(std::move(config));
  Store store(engine);
  Module module = Module::compile(engine, "(module (memory (export \"m\") 1) (data (i32.const 5) \"hello\"))").unwrap();
  memories_made = 0;
  Instance instance = Instance::create(store, module, {}).unwrap();
  expect(memories_made == 1);
  Memory memory = std::get<Memory>(*instance.get(store, "m"));
  expect(!std::memcmp(memory.data(store).data() + 5, "hello", 5));
  expect(memory.grow(store, 2).unwrap() == 1);
  expect(memory.data(store).size() == 3 << 16);
  expect(!memory.grow(store, 1));
  Module larger = Module::compile(engine, "(module (memory 3))").unwrap();
  expect_error_says(Instance::create(store, larger, {}), "too much for an array");
}

#ifdef WASMTIME_FEATURE_POOLING_ALLOCATOR
static void a_pool_has_dimensions() {
  PoolAllocationConfig pool;
  pool.max_unused_warm_slots(2);
  pool.decommit_batch_size(1);
#ifdef WASMTIME_FEATURE_ASYNC
  pool.async_stack_keep_resident(0);
  pool.total_stacks(2);
#endif
  pool.linear_memory_keep_resident(1 << 16);
  pool.table_keep_resident(0);
  pool.total_component_instances(1);
  pool.max_component_instance_size(1 << 16);
  pool.max_core_instances_per_component(1);
  pool.max_memories_per_component(1);
  pool.max_tables_per_component(1);
  pool.total_memories(1);
  pool.total_tables(1);
  pool.total_core_instances(2);
  pool.max_core_instance_size(1 << 16);
  pool.max_tables_per_module(1);
  pool.table_elements(10);
  pool.max_memories_per_module(1);
  pool.max_memory_size(1 << 16);
  pool.total_gc_heaps(1);
  Config config;
  config.memory_reservation(1 << 16);
  config.memory_guard_size(0);
  config.pooling_allocation_strategy(pool);
  World world(std::move(config));
  Module module = world.module("(module (memory 1))");
  expect(Instance::create(world.store, module, {}));
  expect(!Instance::create(world.store, module, {})); // the one memory is taken
}
#endif

#ifdef WASMTIME_FEATURE_CACHE
static void a_cache_needs_its_file() {
  Config config;
  expect(!config.cache_load("/no/such/file.toml"));
}
#endif

int main() {
  RUN(every_setting_can_be_made);
  RUN(settings_are_obeyed);
  RUN(every_compiler_makes_code_that_runs);
  RUN(targets_that_nobody_knows_are_errors);
  RUN(engines_are_shared_by_copies);
  RUN(the_host_can_provide_memories);
#ifdef WASMTIME_FEATURE_POOLING_ALLOCATOR
  RUN(a_pool_has_dimensions);
#endif
#ifdef WASMTIME_FEATURE_CACHE
  RUN(a_cache_needs_its_file);
#endif
  return test_summary();
}
