/**
 * \file wasmtime/config.hh
 *
 * \brief The settings of an engine.
 */

#ifndef WASMTIME_CONFIG_HH
#define WASMTIME_CONFIG_HH

#include <string>
#include <utility>
#include <wasmtime/conf.h>
#include <wasmtime/config.h>
#include <wasmtime/error.hh>
#include <wasmtime/helpers.hh>
#include <wasmtime/types/memory.hh>

namespace wasmtime {

/// How code is compiled.
enum class Strategy {
  /// Each function when it is first called, by the baseline compiler; what runs
  /// often again by the optimizing compiler.
  Auto = WASMTIME_STRATEGY_AUTO,
  /// Everything by the optimizing compiler, before the module is there.
  Cranelift = WASMTIME_STRATEGY_CRANELIFT,
  /// Everything by the baseline compiler, before the module is there. Not in
  /// 44.0.0.
  Winch = WASMTIME_STRATEGY_WINCH,
};

/// What the optimizing compiler aims at.
enum class OptLevel {
  /// Quick compilation; with `Strategy::Auto` by the baseline compiler alone.
  None = WASMTIME_OPT_LEVEL_NONE,
  /// Fast code.
  Speed = WASMTIME_OPT_LEVEL_SPEED,
  /// Fast code, with an eye on its size.
  SpeedAndSize = WASMTIME_OPT_LEVEL_SPEED_AND_SIZE,
};

/// Which profiler is told about compiled code.
enum class ProfilingStrategy {
  /// None.
  None = WASMTIME_PROFILING_STRATEGY_NONE,
  /// Linux `perf`, through jitdump files.
  Jitdump = WASMTIME_PROFILING_STRATEGY_JITDUMP,
  /// VTune, through its interface for just-in-time compilers.
  Vtune = WASMTIME_PROFILING_STRATEGY_VTUNE,
  /// Linux `perf`, through `/tmp/perf-PID.map`.
  Perfmap = WASMTIME_PROFILING_STRATEGY_PERFMAP,
};

namespace detail {
struct ConfigHandle {
  using Raw = wasm_config_t;
  static void destroy(Raw *raw) { wasm_config_delete(raw); }
};

/// The host's linear memories as C calls them; see
/// `Config::host_memory_creator`.
template <typename Creator> struct HostMemory {
  using Memory = std::decay_t<decltype(std::declval<Creator &>()
                                           .new_memory(
                                               std::declval<MemoryType::Ref>(),
                                               size_t(), size_t(), size_t(),
                                               size_t())
                                           .ok())>;

  static wasmtime_error_t *failed(const char *message) {
    return wasmtime_error_new(message);
  }

  static uint8_t *get(void *env, size_t *size, size_t *capacity) {
    return static_cast<Memory *>(env)->get_memory(size, capacity);
  }

  static wasmtime_error_t *grow(void *env, size_t new_size) {
    return shielded(
        [&]() -> wasmtime_error_t * {
          Result<std::monostate> grown =
              static_cast<Memory *>(env)->grow_memory(new_size);
          return grown ? nullptr : grown.err().capi_release();
        },
        failed);
  }

  static wasmtime_error_t *create(void *env, const wasm_memorytype_t *ty,
                                  size_t minimum, size_t maximum,
                                  size_t reserved, size_t guard,
                                  wasmtime_linear_memory_t *out) {
    return shielded(
        [&]() -> wasmtime_error_t * {
          Result<Memory> made = static_cast<Creator *>(env)->new_memory(
              MemoryType::Ref(ty), minimum, maximum, reserved, guard);
          if (!made) {
            return made.err().capi_release();
          }
          *out = {new Memory(made.ok()), get, grow, finalize<Memory>};
          return nullptr;
        },
        failed);
  }
};
} // namespace detail

#ifdef WASMTIME_FEATURE_POOLING_ALLOCATOR
namespace detail {
struct PoolHandle {
  using Raw = wasmtime_pooling_allocation_config_t;
  static void destroy(Raw *raw) {
    wasmtime_pooling_allocation_config_delete(raw);
  }
};
} // namespace detail

/// \brief The dimensions of a pool from which instances, memories, tables and
/// stacks are taken.
///
/// All sizes are fixed when the engine is made; what does not fit is refused
/// when it is instantiated.
class PoolAllocationConfig : public detail::Owned<detail::PoolHandle> {
public:
  /// Takes over a C pool configuration.
  explicit PoolAllocationConfig(wasmtime_pooling_allocation_config_t *pool)
      : Owned(pool) {}
  /// The default dimensions.
  PoolAllocationConfig() : Owned(wasmtime_pooling_allocation_config_new()) {}

  /// How many unused slots stay prepared for the module they last served.
  void max_unused_warm_slots(uint32_t count) {
    wasmtime_pooling_allocation_config_max_unused_warm_slots_set(
        ptr.get(), count);
  }

  /// How many freed slots are returned to the system at a time.
  void decommit_batch_size(size_t count) {
    wasmtime_pooling_allocation_config_decommit_batch_size_set(
        ptr.get(), count);
  }

#ifdef WASMTIME_FEATURE_ASYNC
  /// How many bytes of a freed stack are zeroed in place rather than returned
  /// to the system.
  void async_stack_keep_resident(size_t size) {
    wasmtime_pooling_allocation_config_async_stack_keep_resident_set(
        ptr.get(), size);
  }
#endif // WASMTIME_FEATURE_ASYNC

  /// How many bytes of a freed memory are zeroed in place rather than
  /// returned to the system.
  void linear_memory_keep_resident(size_t size) {
    wasmtime_pooling_allocation_config_linear_memory_keep_resident_set(
        ptr.get(), size);
  }

  /// How many bytes of a freed table are zeroed in place rather than returned
  /// to the system.
  void table_keep_resident(size_t size) {
    wasmtime_pooling_allocation_config_table_keep_resident_set(ptr.get(), size);
  }

  /// How many component instances may live at a time.
  void total_component_instances(uint32_t count) {
    wasmtime_pooling_allocation_config_total_component_instances_set(
        ptr.get(), count);
  }

  /// How many bytes the description of one component instance may take.
  void max_component_instance_size(size_t size) {
    wasmtime_pooling_allocation_config_max_component_instance_size_set(
        ptr.get(), size);
  }

  /// How many core instances one component may have.
  void max_core_instances_per_component(uint32_t count) {
    wasmtime_pooling_allocation_config_max_core_instances_per_component_set(
        ptr.get(), count);
  }

  /// How many memories one component may have.
  void max_memories_per_component(uint32_t count) {
    wasmtime_pooling_allocation_config_max_memories_per_component_set(
        ptr.get(), count);
  }

  /// How many tables one component may have.
  void max_tables_per_component(uint32_t count) {
    wasmtime_pooling_allocation_config_max_tables_per_component_set(
        ptr.get(), count);
  }

  /// How many memories may live at a time.
  void total_memories(uint32_t count) {
    wasmtime_pooling_allocation_config_total_memories_set(ptr.get(), count);
  }

  /// How many tables may live at a time.
  void total_tables(uint32_t count) {
    wasmtime_pooling_allocation_config_total_tables_set(ptr.get(), count);
  }

#ifdef WASMTIME_FEATURE_ASYNC
  /// How many stacks may be in use at a time.
  void total_stacks(uint32_t count) {
    wasmtime_pooling_allocation_config_total_stacks_set(ptr.get(), count);
  }
#endif // WASMTIME_FEATURE_ASYNC

  /// How many core instances may live at a time.
  void total_core_instances(uint32_t count) {
    wasmtime_pooling_allocation_config_total_core_instances_set(
        ptr.get(), count);
  }

  /// How many bytes the description of one core instance may take.
  void max_core_instance_size(size_t size) {
    wasmtime_pooling_allocation_config_max_core_instance_size_set(
        ptr.get(), size);
  }

  /// How many tables one module may define.
  void max_tables_per_module(uint32_t count) {
    wasmtime_pooling_allocation_config_max_tables_per_module_set(
        ptr.get(), count);
  }

  /// How many elements one table may have.
  void table_elements(size_t count) {
    wasmtime_pooling_allocation_config_table_elements_set(ptr.get(), count);
  }

  /// How many memories one module may define.
  void max_memories_per_module(uint32_t count) {
    wasmtime_pooling_allocation_config_max_memories_per_module_set(
        ptr.get(), count);
  }

  /// How many bytes one memory may have.
  void max_memory_size(size_t size) {
    wasmtime_pooling_allocation_config_max_memory_size_set(ptr.get(), size);
  }

  /// How many garbage-collected heaps may live at a time.
  void total_gc_heaps(uint32_t count) {
    wasmtime_pooling_allocation_config_total_gc_heaps_set(ptr.get(), count);
  }
};
#endif // WASMTIME_FEATURE_POOLING_ALLOCATOR

/// \brief The settings of an engine that is yet to be made.
///
/// What the settings have in common shows when the engine is made; none fails
/// by itself unless it returns a `Result`.
class Config : public detail::Owned<detail::ConfigHandle> {
public:
  /// Takes over a C configuration.
  explicit Config(wasm_config_t *config) : Owned(config) {}
  /// Every setting at its default.
  Config() : Owned(wasm_config_new()) {}

  /// Whether native debug information is made for compiled code. Off by
  /// default.
  void debug_info(bool enable) {
    wasmtime_config_debug_info_set(ptr.get(), enable);
  }

  /// Whether code looks at its store's deadline; see
  /// `Store::Context::set_epoch_deadline`. Off by default.
  void epoch_interruption(bool enable) {
    wasmtime_config_epoch_interruption_set(ptr.get(), enable);
  }

  /// Whether code counts the fuel it uses and traps without any; see
  /// `Store::Context::set_fuel`. Off by default.
  void consume_fuel(bool enable) {
    wasmtime_config_consume_fuel_set(ptr.get(), enable);
  }

  /// The stack, in bytes, that wasm may use in one activation before it
  /// traps. Must not be zero.
  void max_wasm_stack(size_t size) {
    wasmtime_config_max_wasm_stack_set(ptr.get(), size);
  }

#ifdef WASMTIME_FEATURE_THREADS
  /// Whether modules may use atomics and declare shared memories.
  void wasm_threads(bool enable) {
    wasmtime_config_wasm_threads_set(ptr.get(), enable);
  }
#endif // WASMTIME_FEATURE_THREADS

  /// Whether shared memories can be made, by modules or the host. Off by
  /// default.
  void shared_memory(bool enable) {
    wasmtime_config_shared_memory_set(ptr.get(), enable);
  }

  /// Whether modules may use tail calls.
  void wasm_tail_call(bool enable) {
    wasmtime_config_wasm_tail_call_set(ptr.get(), enable);
  }

  /// Whether modules may use reference types.
  void wasm_reference_types(bool enable) {
    wasmtime_config_wasm_reference_types_set(ptr.get(), enable);
  }

  /// Whether modules may use typed function references. Off by default.
  void wasm_function_references(bool enable) {
    wasmtime_config_wasm_function_references_set(ptr.get(), enable);
  }

  /// Whether modules may use the garbage-collected types. Off by default.
  void wasm_gc(bool enable) {
    wasmtime_config_wasm_gc_set(ptr.get(), enable);
  }

  /// Whether stores have a collected heap at all, which `externref` needs
  /// too.
  void gc_support(bool enable) {
    wasmtime_config_gc_support_set(ptr.get(), enable);
  }

  /// Whether modules may use 128-bit vectors.
  void wasm_simd(bool enable) {
    wasmtime_config_wasm_simd_set(ptr.get(), enable);
  }

  /// Whether modules may use the relaxed vector instructions.
  void wasm_relaxed_simd(bool enable) {
    wasmtime_config_wasm_relaxed_simd_set(ptr.get(), enable);
  }

  /// Whether the relaxed vector instructions give the same results on every
  /// machine. Off by default.
  void wasm_relaxed_simd_deterministic(bool enable) {
    wasmtime_config_wasm_relaxed_simd_deterministic_set(ptr.get(), enable);
  }

  /// Whether modules may use the bulk memory and table instructions.
  void wasm_bulk_memory(bool enable) {
    wasmtime_config_wasm_bulk_memory_set(ptr.get(), enable);
  }

  /// Whether functions and blocks may have several results.
  void wasm_multi_value(bool enable) {
    wasmtime_config_wasm_multi_value_set(ptr.get(), enable);
  }

  /// Whether modules may have several memories.
  void wasm_multi_memory(bool enable) {
    wasmtime_config_wasm_multi_memory_set(ptr.get(), enable);
  }

  /// Whether modules may have memories and tables with 64-bit indices.
  void wasm_memory64(bool enable) {
    wasmtime_config_wasm_memory64_set(ptr.get(), enable);
  }

  /// Whether modules may use 128-bit integer arithmetic. Off by default.
  void wasm_wide_arithmetic(bool enable) {
    wasmtime_config_wasm_wide_arithmetic_set(ptr.get(), enable);
  }

  /// Whether modules may use exceptions: have tags, and throw and catch. Off by
  /// default.
  void wasm_exceptions(bool enable) {
    wasmtime_config_wasm_exceptions_set(ptr.get(), enable);
  }

  /// Whether modules may have memories with pages of one byte. Off by
  /// default.
  void wasm_custom_page_sizes(bool enable) {
    wasmtime_config_wasm_custom_page_sizes_set(ptr.get(), enable);
  }

#ifdef WASMTIME_FEATURE_COMPILER
  /// Whether modules may use stack switching. Off by default.
  void wasm_stack_switching(bool enable) {
    wasmtime_config_wasm_stack_switching_set(ptr.get(), enable);
  }
#endif // WASMTIME_FEATURE_COMPILER

#ifdef WASMTIME_FEATURE_PARALLEL_COMPILATION
  /// Whether one module may be compiled by several threads.
  void parallel_compilation(bool enable) {
    wasmtime_config_parallel_compilation_set(ptr.get(), enable);
  }
#endif // WASMTIME_FEATURE_PARALLEL_COMPILATION

#ifdef WASMTIME_FEATURE_COMPILER
  /// Whether the optimizing compiler checks its own intermediate code,
  /// slowly. Off by default.
  void cranelift_debug_verifier(bool enable) {
    wasmtime_config_cranelift_debug_verifier_set(ptr.get(), enable);
  }
#endif // WASMTIME_FEATURE_COMPILER

#ifdef WASMTIME_FEATURE_COMPILER
  /// Whether every NaN that arithmetic makes has the same bits on every
  /// machine. Off by default.
  void cranelift_nan_canonicalization(bool enable) {
    wasmtime_config_cranelift_nan_canonicalization_set(ptr.get(), enable);
  }
#endif // WASMTIME_FEATURE_COMPILER

  /// Whether a memory may move when it outgrows its reservation; when off,
  /// such growth fails.
  void memory_may_move(bool enable) {
    wasmtime_config_memory_may_move_set(ptr.get(), enable);
  }

  /// The address space, in bytes, kept for each memory at least.
  void memory_reservation(uint64_t size) {
    wasmtime_config_memory_reservation_set(ptr.get(), size);
  }

  /// The bytes without access around each memory, which save bounds checks.
  void memory_guard_size(uint64_t size) {
    wasmtime_config_memory_guard_size_set(ptr.get(), size);
  }

  /// The extra address space, in bytes, that a memory gets when it has to
  /// move.
  void memory_reservation_for_growth(uint64_t size) {
    wasmtime_config_memory_reservation_for_growth_set(ptr.get(), size);
  }

  /// Whether tables for the platform's unwinder are made for compiled code.
  void native_unwind_info(bool enable) {
    wasmtime_config_native_unwind_info_set(ptr.get(), enable);
  }

  /// On macOS, whether faults are caught through Mach ports rather than
  /// signals.
  void macos_use_mach_ports(bool enable) {
    wasmtime_config_macos_use_mach_ports_set(ptr.get(), enable);
  }

  /// Whether traps may be detected by catching hardware faults; when off,
  /// code checks explicitly.
  void signals_based_traps(bool enable) {
    wasmtime_config_signals_based_traps_set(ptr.get(), enable);
  }

  /// Whether the initial contents of memories are mapped copy-on-write where
  /// possible.
  void memory_init_cow(bool enable) {
    wasmtime_config_memory_init_cow_set(ptr.get(), enable);
  }

#ifdef WASMTIME_FEATURE_COMPONENT_MODEL
  /// Whether components are accepted.
  void wasm_component_model(bool enable) {
    wasmtime_config_wasm_component_model_set(ptr.get(), enable);
  }
#endif // WASMTIME_FEATURE_COMPONENT_MODEL

#ifdef WASMTIME_FEATURE_COMPONENT_MODEL
  /// Whether tasks of components may run concurrently.
  void concurrency_support(bool enable) {
    wasmtime_config_concurrency_support_set(ptr.get(), enable);
  }
#endif // WASMTIME_FEATURE_COMPONENT_MODEL

#ifdef WASMTIME_FEATURE_COMPONENT_MODEL
  /// Whether components may use the `map` type.
  void wasm_component_model_map(bool enable) {
    wasmtime_config_wasm_component_model_map_set(ptr.get(), enable);
  }

  /// Whether names of components may say what an instance implements.
  void wasm_component_model_implements(bool enable) {
    wasmtime_config_wasm_component_model_implements_set(ptr.get(), enable);
  }

  /// Whether names of components may have a suffix to a version.
  void wasm_component_model_canonical_names(bool enable) {
    wasmtime_config_wasm_component_model_canonical_names_set(ptr.get(), enable);
  }

  /// Whether functions of components may be named as those that get or set.
  void wasm_component_model_accessors(bool enable) {
    wasmtime_config_wasm_component_model_accessors_set(ptr.get(), enable);
  }

  /// Whether components may have asynchronous functions, streams and futures.
  void wasm_component_model_async(bool enable) {
    wasmtime_config_wasm_component_model_async_set(ptr.get(), enable);
  }

  /// Whether components may use the less usual asynchronous built-ins.
  void wasm_component_model_more_async_builtins(bool enable) {
    wasmtime_config_wasm_component_model_more_async_builtins_set(ptr.get(), enable);
  }

  /// Whether asynchronous functions may wait on stacks of their own.
  void wasm_component_model_async_stackful(bool enable) {
    wasmtime_config_wasm_component_model_async_stackful_set(ptr.get(), enable);
  }
#endif // WASMTIME_FEATURE_COMPONENT_MODEL

#ifdef WASMTIME_FEATURE_COMPILER
  /// How code is compiled; `Strategy::Auto` by default.
  void strategy(Strategy strategy) {
    wasmtime_config_strategy_set(ptr.get(),
                                 static_cast<wasmtime_strategy_t>(strategy));
  }

  /// What the optimizing compiler aims at; `OptLevel::Speed` by default.
  void cranelift_opt_level(OptLevel level) {
    wasmtime_config_cranelift_opt_level_set(
        ptr.get(), static_cast<wasmtime_opt_level_t>(level));
  }

  /// Turns on a flag of the optimizing compiler. An unknown one shows when the
  /// engine is made.
  void cranelift_flag_enable(const std::string &flag) {
    wasmtime_config_cranelift_flag_enable(ptr.get(), flag.c_str());
  }

  /// Gives a setting of the optimizing compiler a value. What is unknown shows
  /// when the engine is made.
  void cranelift_flag_set(const std::string &flag, const std::string &value) {
    wasmtime_config_cranelift_flag_set(ptr.get(), flag.c_str(), value.c_str());
  }
#endif // WASMTIME_FEATURE_COMPILER

  /// Compiles for the machine of this target triple; an error when it is not
  /// known.
  Result<std::monostate> target(const std::string &target) {
    return detail::check(
        wasmtime_config_target_set(ptr.get(), target.c_str()));
  }

  /// Which profiler is told about compiled code; none by default.
  void profiler(ProfilingStrategy profiler) {
    wasmtime_config_profiler_set(
        ptr.get(), static_cast<wasmtime_profiling_strategy_t>(profiler));
  }

#ifdef WASMTIME_FEATURE_CACHE
  /// Keeps compiled modules in files, as told by the configuration file in its
  /// default place.
  Result<std::monostate> cache_load_default() {
    return detail::check(
        wasmtime_config_cache_config_load(ptr.get(), nullptr));
  }

  /// Keeps compiled modules in files, as told by the TOML file at `path`.
  Result<std::monostate> cache_load(const std::string &path) {
    return detail::check(
        wasmtime_config_cache_config_load(ptr.get(), path.c_str()));
  }
#endif // WASMTIME_FEATURE_CACHE

  /// \brief Lets the host provide all unshared linear memories.
  ///
  /// `creator` has a function
  ///
  ///     Result<M> new_memory(const MemoryType::Ref &ty, size_t minimum,
  ///                          size_t maximum, size_t reserved, size_t guard);
  ///
  /// which makes a memory of `minimum` zeroed bytes that will not be asked for
  /// more than `maximum`, with `reserved` bytes of address space in which it
  /// does not move and `guard` bytes without access behind them; any thread may
  /// call it. The memory type `M`, which is moved once and destroyed when the
  /// memory is gone, has
  ///
  ///     uint8_t *get_memory(size_t *size, size_t *capacity);
  ///     Result<std::monostate> grow_memory(size_t new_size);
  ///
  /// the first of which tells where the memory is, its size, and the size it
  /// may grow to without moving.
  template <typename T> void host_memory_creator(T creator) {
    wasmtime_memory_creator_t raw = {new T(std::move(creator)),
                                     detail::HostMemory<T>::create,
                                     detail::finalize<T>};
    wasmtime_config_host_memory_creator_set(ptr.get(), &raw);
  }

#ifdef WASMTIME_FEATURE_POOLING_ALLOCATOR
  /// Makes the engine allocate from a pool of these dimensions, which are
  /// copied.
  void pooling_allocation_strategy(const PoolAllocationConfig &pool) {
    wasmtime_pooling_allocation_strategy_set(ptr.get(), pool.capi());
  }
#endif // WASMTIME_FEATURE_POOLING_ALLOCATOR
};

} // namespace wasmtime

#endif // WASMTIME_CONFIG_HH
