/**
 * \file wasmtime/config.h
 *
 * \brief The settings of an engine.
 *
 * Each function changes one setting of a configuration that no engine has taken
 * yet; none can fail unless it returns an error. Contradictions show when the
 * engine is made.
 */

#ifndef WASMTIME_CONFIG_H
#define WASMTIME_CONFIG_H

#include <wasm.h>
#include <wasmtime/conf.h>
#include <wasmtime/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/// How code is compiled: one of `wasmtime_strategy_enum`.
typedef uint8_t wasmtime_strategy_t;

/// The values of `wasmtime_strategy_t`.
enum wasmtime_strategy_enum {
  /// Each function when it is first called, by the baseline compiler: modules are
  /// there at once, and so are their first results. What runs often is compiled
  /// again by the optimizing compiler meanwhile. A module that is serialized is
  /// compiled as a whole, by the optimizing compiler.
  WASMTIME_STRATEGY_AUTO,
  /// Everything by the optimizing compiler, before the module is there.
  WASMTIME_STRATEGY_CRANELIFT,
  /// Everything by the baseline compiler, before the module is there: in a small
  /// part of the time, and code that runs some third longer. Not in 44.0.0.
  WASMTIME_STRATEGY_WINCH,
};

/// What the optimizing compiler aims at, and whether it is used at all: one of
/// `wasmtime_opt_level_enum`.
typedef uint8_t wasmtime_opt_level_t;

/// The values of `wasmtime_opt_level_t`.
enum wasmtime_opt_level_enum {
  /// Quick compilation. With `WASMTIME_STRATEGY_AUTO` everything is left to the
  /// baseline compiler, serialized modules too. With `WASMTIME_STRATEGY_CRANELIFT`
  /// it is the optimizing compiler all the same, that doesn't optimize and assigns
  /// registers in a single pass, unless the algorithm is chosen: that takes longer
  /// than the baseline compiler, for code that is slower.
  WASMTIME_OPT_LEVEL_NONE,
  /// Fast code.
  WASMTIME_OPT_LEVEL_SPEED,
  /// Fast code, with an eye on its size.
  WASMTIME_OPT_LEVEL_SPEED_AND_SIZE,
};

/// How the optimizing compiler assigns registers: one of
/// `wasmtime_regalloc_algorithm_enum`. Not in 44.0.0.
typedef uint8_t wasmtime_regalloc_algorithm_t;

/// The values of `wasmtime_regalloc_algorithm_t`.
enum wasmtime_regalloc_algorithm_enum {
  /// Better code.
  WASMTIME_REGALLOC_BACKTRACKING,
  /// Quicker compilation.
  WASMTIME_REGALLOC_SINGLE_PASS,
};

/// Which profiler is told about compiled code: one of
/// `wasmtime_profiling_strategy_enum`.
typedef uint8_t wasmtime_profiling_strategy_t;

/// The values of `wasmtime_profiling_strategy_t`.
enum wasmtime_profiling_strategy_enum {
  /// None.
  WASMTIME_PROFILING_STRATEGY_NONE,
  /// Linux `perf`, through jitdump files.
  WASMTIME_PROFILING_STRATEGY_JITDUMP,
  /// VTune, through its interface for just-in-time compilers.
  WASMTIME_PROFILING_STRATEGY_VTUNE,
  /// Linux `perf`, through `/tmp/perf-PID.map`.
  WASMTIME_PROFILING_STRATEGY_PERFMAP,
};

/// Whether native debug information is made for compiled code. Off by default.
WASM_API_EXTERN void wasmtime_config_debug_info_set(
    wasm_config_t *config, bool enable);

/// Whether code counts the fuel it uses and traps without any; see
/// `wasmtime_context_set_fuel`. Off by default.
WASM_API_EXTERN void wasmtime_config_consume_fuel_set(
    wasm_config_t *config, bool enable);

/// Whether code looks at its store's deadline at loops and function entries;
/// see `wasmtime_context_set_epoch_deadline`. Off by default.
WASM_API_EXTERN void wasmtime_config_epoch_interruption_set(
    wasm_config_t *config, bool enable);

/// The stack, in bytes, that wasm may use in one activation before it traps;
/// 512 KiB by default. With zero no engine can be made.
WASM_API_EXTERN void wasmtime_config_max_wasm_stack_set(
    wasm_config_t *config, size_t size);

#ifdef WASMTIME_FEATURE_THREADS
/// Whether modules may use atomics and declare shared memories. On by default.
WASM_API_EXTERN void wasmtime_config_wasm_threads_set(
    wasm_config_t *config, bool enable);
#endif // WASMTIME_FEATURE_THREADS

/// Whether shared memories can be made, by modules or the host. Off by default.
WASM_API_EXTERN void wasmtime_config_shared_memory_set(
    wasm_config_t *config, bool enable);

/// Whether modules may use tail calls. On by default.
WASM_API_EXTERN void wasmtime_config_wasm_tail_call_set(
    wasm_config_t *config, bool enable);

/// Whether modules may use reference types. On by default.
WASM_API_EXTERN void wasmtime_config_wasm_reference_types_set(
    wasm_config_t *config, bool enable);

/// Whether modules may use typed function references. Off by default.
WASM_API_EXTERN void wasmtime_config_wasm_function_references_set(
    wasm_config_t *config, bool enable);

/// Whether modules may use structs, arrays and the other garbage-collected
/// types. Off by default.
WASM_API_EXTERN void wasmtime_config_wasm_gc_set(
    wasm_config_t *config, bool enable);

/// Whether stores have a collected heap at all. On by default.
///
/// Off, modules whose types need one are refused, `externref` among them, and
/// those whose functions throw or catch exceptions; the host can make no
/// objects, exceptions and values for `externref`. 31-bit integers and references
/// to functions need no heap.
WASM_API_EXTERN void wasmtime_config_gc_support_set(
    wasm_config_t *config, bool enable);

/// Whether modules may use 128-bit vectors. On by default.
WASM_API_EXTERN void wasmtime_config_wasm_simd_set(
    wasm_config_t *config, bool enable);

/// Whether modules may use the relaxed vector instructions. On by default;
/// needs the vector instructions.
WASM_API_EXTERN void wasmtime_config_wasm_relaxed_simd_set(
    wasm_config_t *config, bool enable);

/// Whether the relaxed vector instructions give the same results on every
/// machine, at some cost. Off by default.
WASM_API_EXTERN void wasmtime_config_wasm_relaxed_simd_deterministic_set(
    wasm_config_t *config, bool enable);

/// Whether modules may use the bulk memory and table instructions. On by
/// default; reference types need it.
WASM_API_EXTERN void wasmtime_config_wasm_bulk_memory_set(
    wasm_config_t *config, bool enable);

/// Whether functions and blocks may have several results. On by default.
WASM_API_EXTERN void wasmtime_config_wasm_multi_value_set(
    wasm_config_t *config, bool enable);

/// Whether modules may have several memories. On by default.
WASM_API_EXTERN void wasmtime_config_wasm_multi_memory_set(
    wasm_config_t *config, bool enable);

/// Whether modules may have memories and tables with 64-bit indices. On by
/// default.
WASM_API_EXTERN void wasmtime_config_wasm_memory64_set(
    wasm_config_t *config, bool enable);

/// Whether modules may use the instructions for 128-bit integer arithmetic. Off
/// by default.
WASM_API_EXTERN void wasmtime_config_wasm_wide_arithmetic_set(
    wasm_config_t *config, bool enable);

/// Whether modules may use exceptions: have tags, and throw and catch. Off by
/// default. Tags and exceptions of the host (`tag.h`, `exn.h`) work without it.
WASM_API_EXTERN void wasmtime_config_wasm_exceptions_set(
    wasm_config_t *config, bool enable);

/// Whether modules may have memories with pages of one byte. Off by default.
WASM_API_EXTERN void wasmtime_config_wasm_custom_page_sizes_set(
    wasm_config_t *config, bool enable);

/// Whether modules may list several imports under one module name. Off by
/// default. Not in 44.0.0.
WASM_API_EXTERN void wasmtime_config_wasm_compact_imports_set(
    wasm_config_t *config, bool enable);

/// Whether what modules say about how likely their branches are is used; it
/// changes where code is placed, never what it does. Off by default. Not in
/// 44.0.0.
WASM_API_EXTERN void wasmtime_config_wasm_branch_hinting_set(
    wasm_config_t *config, bool enable);

#ifdef WASMTIME_FEATURE_COMPILER
/// Whether modules may use stack switching. Off by default.
WASM_API_EXTERN void wasmtime_config_wasm_stack_switching_set(
    wasm_config_t *config, bool enable);

/// How code is compiled; `WASMTIME_STRATEGY_AUTO` by default. Whichever compiler
/// made it, code does the same: results, traps, fuel and backtraces. A function
/// that the baseline compiler refuses, for its size, goes to the other.
WASM_API_EXTERN void wasmtime_config_strategy_set(
    wasm_config_t *config, wasmtime_strategy_t strategy);
#endif // WASMTIME_FEATURE_COMPILER

#ifdef WASMTIME_FEATURE_PARALLEL_COMPILATION
/// Whether one module may be compiled by several threads. On by default.
WASM_API_EXTERN void wasmtime_config_parallel_compilation_set(
    wasm_config_t *config, bool enable);
#endif // WASMTIME_FEATURE_PARALLEL_COMPILATION

#ifdef WASMTIME_FEATURE_COMPILER
/// Whether the optimizing compiler checks its own intermediate code, slowly.
/// Off by default.
WASM_API_EXTERN void wasmtime_config_cranelift_debug_verifier_set(
    wasm_config_t *config, bool enable);

/// Whether every NaN that arithmetic makes has the same bits on every machine.
/// Off by default.
WASM_API_EXTERN void wasmtime_config_cranelift_nan_canonicalization_set(
    wasm_config_t *config, bool enable);

/// What the optimizing compiler aims at; `WASMTIME_OPT_LEVEL_SPEED` by default.
WASM_API_EXTERN void wasmtime_config_cranelift_opt_level_set(
    wasm_config_t *config, wasmtime_opt_level_t level);

/// How the optimizing compiler assigns registers;
/// `WASMTIME_REGALLOC_BACKTRACKING` by default. Not in 44.0.0.
WASM_API_EXTERN void wasmtime_config_cranelift_regalloc_algorithm_set(
    wasm_config_t *config, wasmtime_regalloc_algorithm_t algorithm);
#endif // WASMTIME_FEATURE_COMPILER

/// Which profiler is told about compiled code;
/// `WASMTIME_PROFILING_STRATEGY_NONE` by default.
///
/// Functions, and what the engine puts around them, are told when their code is
/// made or loaded, before it runs. The files belong to the process: engines
/// share them, and a forked child starts its own. Where one can't be made, no
/// engine is: `wasm_engine_new_with_config` returns NULL.
WASM_API_EXTERN void wasmtime_config_profiler_set(
    wasm_config_t *config, wasmtime_profiling_strategy_t profiler);

/// Whether a memory may move to another address when it outgrows its
/// reservation. On by default; when off, growth beyond the reservation fails.
WASM_API_EXTERN void wasmtime_config_memory_may_move_set(
    wasm_config_t *config, bool enable);

/// The address space, in bytes, kept for each memory at least. By default
/// enough for a 32-bit memory to never move.
WASM_API_EXTERN void wasmtime_config_memory_reservation_set(
    wasm_config_t *config, uint64_t size);

/// The bytes without access after (and perhaps before) each memory, which save
/// bounds checks.
WASM_API_EXTERN void wasmtime_config_memory_guard_size_set(
    wasm_config_t *config, uint64_t size);

/// The extra address space, in bytes, that a memory gets when it has to move,
/// so that it need not move soon again.
WASM_API_EXTERN void wasmtime_config_memory_reservation_for_growth_set(
    wasm_config_t *config, uint64_t size);

/// Whether the platform's unwinder is told how to walk through guest frames, for
/// `backtrace`, exceptions and debuggers. On by default. Once one engine has
/// told it, it knows as long as the process lives, for all engines.
WASM_API_EXTERN void wasmtime_config_native_unwind_info_set(
    wasm_config_t *config, bool enable);

#ifdef WASMTIME_FEATURE_CACHE
/// \brief Turns on the cache of compiled modules, as described by the TOML file
/// at the NUL-terminated `path`.
///
/// When `path` is null the file is `ampoule/config.toml` in `$XDG_CONFIG_HOME`,
/// or in `~/.config`, and need not exist. An error when the file cannot be read
/// or is not understood, or when the folder it names cannot be made or may be
/// written to by others: what lies there is code that will run.
///
/// The file has one section, `[cache]`, whose keys are all optional:
///
/// - `directory`, an absolute path; without it `ampoule` in `$XDG_CACHE_HOME`,
///   or in `~/.cache`.
/// - `file-count-soft-limit` and `files-total-size-soft-limit` (`"65536"` and
///   `"512Mi"`): beyond either, the entries that were not used for longest are
///   deleted until `file-count-limit-percent-if-deleting` and
///   `files-total-size-limit-percent-if-deleting` (`"70%"`) of it are left. That
///   happens when an entry was written and the last time was `cleanup-interval`
///   (`"1h"`) ago.
/// - `allowed-clock-drift-for-files-from-future` (`"1d"`): files from later than
///   that count as the oldest. `optimizing-compression-task-timeout` (`"30m"`):
///   unfinished files so old are deleted.
/// - `worker-event-queue-size` (`"16"`): so many modules wait at most for being
///   compiled for the cache. Modules are, under `WASMTIME_STRATEGY_AUTO`, by a
///   thread of low priority while they run; of a process that ends before, the
///   functions are stored that it had compiled, and the next one goes on from
///   there. Under `WASMTIME_STRATEGY_CRANELIFT` they are stored when they
///   are made.
/// - `baseline-compression-level`, `optimized-compression-level` and
///   `optimized-compression-usage-counter-threshold` are checked and have no
///   effect: entries are mapped into memory, so they are not compressed.
WASM_API_EXTERN wasmtime_error_t *wasmtime_config_cache_config_load(
    wasm_config_t *config, const char *path);
#endif // WASMTIME_FEATURE_CACHE

/// Compiles for the machine that the NUL-terminated target triple names. An
/// error when it is not known.
WASM_API_EXTERN wasmtime_error_t *wasmtime_config_target_set(
    wasm_config_t *config, const char *target);

#ifdef WASMTIME_FEATURE_COMPILER
/// Turns on the optimizing compiler's flag `flag`. An unknown flag shows when
/// the engine is made.
WASM_API_EXTERN void wasmtime_config_cranelift_flag_enable(
    wasm_config_t *config, const char *flag);

/// Sets the optimizing compiler's setting `key` to `value`. What is unknown
/// shows when the engine is made. Passes of the compiler are settings, too:
/// where the value is `false`, the pass of that name is left out.
WASM_API_EXTERN void wasmtime_config_cranelift_flag_set(
    wasm_config_t *config, const char *key, const char *value);
#endif // WASMTIME_FEATURE_COMPILER

/// On macOS, whether faults are caught through Mach ports rather than signals.
/// No effect elsewhere.
WASM_API_EXTERN void wasmtime_config_macos_use_mach_ports_set(
    wasm_config_t *config, bool enable);

/// Whether traps may be detected by catching hardware faults. On by default;
/// when off, code checks explicitly and no signal handler is installed.
WASM_API_EXTERN void wasmtime_config_signals_based_traps_set(
    wasm_config_t *config, bool enable);

/// \brief Where a linear memory of the host's is.
///
/// Returns its first byte, and sets `*byte_size` to its current size and
/// `*byte_capacity` to the size it may grow to without moving.
typedef uint8_t *(*wasmtime_memory_get_callback_t)(void *env, size_t *byte_size,
                                                   size_t *byte_capacity);

/// \brief Grows a linear memory of the host's to `new_size` bytes.
///
/// The new bytes must be zero. Returns null, or an error (given up) when it
/// cannot; the memory is then as before.
typedef wasmtime_error_t *(*wasmtime_memory_grow_callback_t)(void *env,
                                                             size_t new_size);

/// A linear memory that the host provides.
typedef struct wasmtime_linear_memory {
  /// The host's pointer, passed to the three functions.
  void *env;
  /// Tells where the memory is.
  wasmtime_memory_get_callback_t get_memory;
  /// Grows it.
  wasmtime_memory_grow_callback_t grow_memory;
  /// Runs once with `env` when the memory is gone; may be null.
  void (*finalizer)(void *);
} wasmtime_linear_memory_t;

/// \brief Makes a linear memory of the host's.
///
/// It begins with `minimum` zeroed bytes and is never asked for more than
/// `maximum`; around it lie `reserved_size_in_bytes` of address space (in which
/// it must not move) and `guard_size_in_bytes` without access behind them.
/// Returns null after filling `*memory_ret`, with both functions, or an error
/// (given up), which comes out of what asked for the memory. Any thread.
typedef wasmtime_error_t *(*wasmtime_new_memory_callback_t)(
    void *env, const wasm_memorytype_t *ty, size_t minimum, size_t maximum,
    size_t reserved_size_in_bytes, size_t guard_size_in_bytes,
    wasmtime_linear_memory_t *memory_ret);

/// Makes the linear memories of an engine.
typedef struct wasmtime_memory_creator {
  /// The host's pointer, passed to the functions.
  void *env;
  /// Makes one memory.
  wasmtime_new_memory_callback_t new_memory;
  /// Runs once with `env` when the engine is gone; may be null.
  void (*finalizer)(void *);
} wasmtime_memory_creator_t;

/// Lets the host provide all unshared linear memories. `*creator` is copied;
/// its `env` is taken over.
WASM_API_EXTERN void wasmtime_config_host_memory_creator_set(
    wasm_config_t *config, wasmtime_memory_creator_t *creator);

/// Whether the initial contents of memories are mapped copy-on-write where
/// possible. On by default.
WASM_API_EXTERN void wasmtime_config_memory_init_cow_set(
    wasm_config_t *config, bool enable);

#ifdef WASMTIME_FEATURE_POOLING_ALLOCATOR

/// \brief The dimensions of a pool from which instances, memories, tables and
/// stacks are taken.
///
/// They bound what is alive at a time over all stores of an engine. A module
/// that could not be instantiated within them is refused when it is made; one
/// for which nothing is left, when it is instantiated. What ends with a store
/// is free again for all. What the host makes by itself (`wasmtime_memory_new`,
/// `wasmtime_table_new`, shared memories) is not counted, and modules that
/// define shared memories are refused.
typedef struct wasmtime_pooling_allocation_config_t
    wasmtime_pooling_allocation_config_t;

/// Returns the default dimensions; owned by the caller.
WASM_API_EXTERN wasmtime_pooling_allocation_config_t *
wasmtime_pooling_allocation_config_new(void);

/// Frees the dimensions; configurations have copied what they need.
WASM_API_EXTERN void wasmtime_pooling_allocation_config_delete(
    wasmtime_pooling_allocation_config_t *pool);

/// How many unused slots stay prepared for the module they last served before
/// one of them is taken for another module. 100 by default.
WASM_API_EXTERN void
wasmtime_pooling_allocation_config_max_unused_warm_slots_set(
    wasmtime_pooling_allocation_config_t *pool, uint32_t count);

/// How many freed memories are cleaned at a time; until then they are kept as
/// they were. 1 by default, as is 0.
WASM_API_EXTERN void wasmtime_pooling_allocation_config_decommit_batch_size_set(
    wasmtime_pooling_allocation_config_t *pool, size_t count);

#ifdef WASMTIME_FEATURE_ASYNC
/// How many bytes of a freed stack are zeroed in place rather than returned to
/// the system. None by default.
WASM_API_EXTERN void
wasmtime_pooling_allocation_config_async_stack_keep_resident_set(
    wasmtime_pooling_allocation_config_t *pool, size_t size);
#endif // WASMTIME_FEATURE_ASYNC

/// How many bytes of a freed memory are zeroed in place rather than returned to
/// the system. None by default. Beside that, a memory of which no more than 128
/// KiB were written keeps these, as long as unused memories keep no more than 16
/// MiB this way in all.
WASM_API_EXTERN void
wasmtime_pooling_allocation_config_linear_memory_keep_resident_set(
    wasmtime_pooling_allocation_config_t *pool, size_t size);

/// Freed tables whose elements take up to this many bytes are kept for the next
/// rather than returned to the system. None by default.
WASM_API_EXTERN void wasmtime_pooling_allocation_config_table_keep_resident_set(
    wasmtime_pooling_allocation_config_t *pool, size_t size);

/// How many component instances may live at a time.
WASM_API_EXTERN void
wasmtime_pooling_allocation_config_total_component_instances_set(
    wasmtime_pooling_allocation_config_t *pool, uint32_t count);

/// How many bytes the description of one component instance may take.
WASM_API_EXTERN void
wasmtime_pooling_allocation_config_max_component_instance_size_set(
    wasmtime_pooling_allocation_config_t *pool, size_t size);

/// How many core instances one component may have.
WASM_API_EXTERN void
wasmtime_pooling_allocation_config_max_core_instances_per_component_set(
    wasmtime_pooling_allocation_config_t *pool, uint32_t count);

/// How many memories one component may have.
WASM_API_EXTERN void
wasmtime_pooling_allocation_config_max_memories_per_component_set(
    wasmtime_pooling_allocation_config_t *pool, uint32_t count);

/// How many tables one component may have.
WASM_API_EXTERN void
wasmtime_pooling_allocation_config_max_tables_per_component_set(
    wasmtime_pooling_allocation_config_t *pool, uint32_t count);

/// How many memories of instances may live at a time; 1000 by default. Address
/// space for all of them is reserved when the engine is made.
WASM_API_EXTERN void wasmtime_pooling_allocation_config_total_memories_set(
    wasmtime_pooling_allocation_config_t *pool, uint32_t count);

/// How many tables of instances may live at a time. 1000 by default.
WASM_API_EXTERN void wasmtime_pooling_allocation_config_total_tables_set(
    wasmtime_pooling_allocation_config_t *pool, uint32_t count);

#ifdef WASMTIME_FEATURE_ASYNC
/// How many stacks of async calls may be in use at a time. 1000 by default.
WASM_API_EXTERN void wasmtime_pooling_allocation_config_total_stacks_set(
    wasmtime_pooling_allocation_config_t *pool, uint32_t count);
#endif // WASMTIME_FEATURE_ASYNC

/// How many core instances may live at a time. 1000 by default.
WASM_API_EXTERN void
wasmtime_pooling_allocation_config_total_core_instances_set(
    wasmtime_pooling_allocation_config_t *pool, uint32_t count);

/// How many bytes the description of one core instance may take, which is what
/// it needs beside its memories and elements. 1 MiB by default.
WASM_API_EXTERN void
wasmtime_pooling_allocation_config_max_core_instance_size_set(
    wasmtime_pooling_allocation_config_t *pool, size_t size);

/// How many tables one module may define. 1 by default.
WASM_API_EXTERN void
wasmtime_pooling_allocation_config_max_tables_per_module_set(
    wasmtime_pooling_allocation_config_t *pool, uint32_t count);

/// How many elements one table may have, also by growing. 20000 by default.
WASM_API_EXTERN void wasmtime_pooling_allocation_config_table_elements_set(
    wasmtime_pooling_allocation_config_t *pool, size_t count);

/// How many memories one module may define. 1 by default.
WASM_API_EXTERN void
wasmtime_pooling_allocation_config_max_memories_per_module_set(
    wasmtime_pooling_allocation_config_t *pool, uint32_t count);

/// How many bytes one memory may have, also by growing. 4 GiB by default; it
/// must not exceed what `wasmtime_config_memory_reservation_set` says, or no
/// engine can be made.
WASM_API_EXTERN void wasmtime_pooling_allocation_config_max_memory_size_set(
    wasmtime_pooling_allocation_config_t *pool, size_t size);

/// How many garbage-collected heaps may live at a time: stores that hold
/// references to host values. 1000 by default.
WASM_API_EXTERN void wasmtime_pooling_allocation_config_total_gc_heaps_set(
    wasmtime_pooling_allocation_config_t *pool, uint32_t count);

/// Makes the engine allocate from a pool of these dimensions, which are copied.
WASM_API_EXTERN void wasmtime_pooling_allocation_strategy_set(
    wasm_config_t *config, const wasmtime_pooling_allocation_config_t *pool);

#endif // WASMTIME_FEATURE_POOLING_ALLOCATOR

#ifdef WASMTIME_FEATURE_COMPONENT_MODEL
/// Whether there are components: without, `wasmtime_component_new` refuses each.
/// On by default.
WASM_API_EXTERN void wasmtime_config_wasm_component_model_set(
    wasm_config_t *config, bool enable);

/// Whether components may have anything asynchronous: functions, streams,
/// futures. On by default.
WASM_API_EXTERN void wasmtime_config_concurrency_support_set(
    wasm_config_t *config, bool enable);

/// Whether components may have maps. On by default, unlike in 44.0.0.
WASM_API_EXTERN void wasmtime_config_wasm_component_model_map_set(
    wasm_config_t *config, bool enable);

/// Whether names of components may say which interface an instance implements.
/// On by default. Not in 44.0.0.
WASM_API_EXTERN void wasmtime_config_wasm_component_model_implements_set(
    wasm_config_t *config, bool enable);

/// Whether names of components may have a suffix to a version that is cut to
/// its compatible part. Not in 44.0.0.
WASM_API_EXTERN void wasmtime_config_wasm_component_model_canonical_names_set(
    wasm_config_t *config, bool enable);

/// Whether functions of components may be named as those that get or set
/// something. Not in 44.0.0.
WASM_API_EXTERN void wasmtime_config_wasm_component_model_accessors_set(
    wasm_config_t *config, bool enable);

/// Whether components may have asynchronous functions, streams and futures. On
/// by default. Not in 44.0.0.
WASM_API_EXTERN void wasmtime_config_wasm_component_model_async_set(
    wasm_config_t *config, bool enable);

/// Whether components may use those built-in functions that wait, or that
/// cancel without waiting, where the other is usual. Not in 44.0.0.
WASM_API_EXTERN void
wasmtime_config_wasm_component_model_more_async_builtins_set(
    wasm_config_t *config, bool enable);

/// Whether asynchronous functions of components may do without a callback, and
/// wait on a stack of their own. Not in 44.0.0.
WASM_API_EXTERN void wasmtime_config_wasm_component_model_async_stackful_set(
    wasm_config_t *config, bool enable);
#endif // WASMTIME_FEATURE_COMPONENT_MODEL

#ifdef __cplusplus
} // extern "C"
#endif

#endif // WASMTIME_CONFIG_H
