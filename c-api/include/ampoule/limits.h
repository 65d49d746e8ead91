/**
 * \file ampoule/limits.h
 *
 * \brief Limits that the host decides on case by case, and what a store takes.
 *
 * `ampoule_has("limits")` tells whether the library has these functions.
 */

#ifndef AMPOULE_LIMITS_H
#define AMPOULE_LIMITS_H

#include <wasmtime/conf.h>
#include <wasmtime/config.h>
#include <wasmtime/error.h>
#include <wasmtime/store.h>

#ifdef __cplusplus
extern "C" {
#endif

/// What is to be made or grown: one of the AMPOULE_LIMIT constants.
typedef uint8_t ampoule_limit_kind_t;

/// A linear memory; sizes are in bytes. A shared one too, where an instance
/// makes it or a guest of the store grows it.
#define AMPOULE_LIMIT_MEMORY 0
/// A table; sizes are in elements.
#define AMPOULE_LIMIT_TABLE 1
/// Instances of the store; sizes are how many there are.
#define AMPOULE_LIMIT_INSTANCE 2

/// \brief What a limiter is asked.
///
/// Lent for the call of the limiter.
typedef struct ampoule_limit_request {
  /// Of what.
  ampoule_limit_kind_t kind;
  /// Whether it is there already, and grows; it is made otherwise.
  bool grows;
  /// Size now; 0 for a memory or table that is made.
  uint64_t current;
  /// Size wanted.
  uint64_t desired;
  /// The most that the type allows; `UINT64_MAX` where it names no maximum.
  uint64_t maximum;
} ampoule_limit_request_t;

/// \brief Asked before something is made or grown.
///
/// Answers by setting `*allow`, which is false before, and returning null. Where
/// it is refused, `memory.grow` and `table.grow` return -1 to the guest; the
/// host's functions return an error. Or returns an error, which the library
/// takes over: that ends the guest, or the host's function, that asked.
///
/// Runs on the thread that uses the store, in the middle of what asked. It must
/// not use the store: calls of functions, instantiations and growth are refused
/// with an error that says so, and deleting the store is undefined.
typedef wasmtime_error_t *(*ampoule_limit_allow_t)(
    void *env, const ampoule_limit_request_t *request, bool *allow);

/// \brief Told of a request that came to nothing.
///
/// It was refused by a type's maximum, by #wasmtime_store_limiter's numbers, by
/// the limiter itself (unless that returned an error), or by the system. `reason`
/// is lent. The same rules as for #ampoule_limit_allow_t hold.
typedef void (*ampoule_limit_failed_t)(
    void *env, const ampoule_limit_request_t *request,
    const wasmtime_error_t *reason);

/// \brief Sets the limiter of a store, in place of an earlier one.
///
/// It is asked for all that is made and grown in the store from now on, beside
/// #wasmtime_store_limiter's numbers: both have to allow, and what the type or
/// the numbers refuse is only told to `failed`. What was allowed may come to
/// nothing later in the same instantiation. Nothing is given back before the
/// store is deleted, but by #ampoule_instance_delete.
///
/// \param allow null for no limiter
/// \param failed may be null
/// \param env passed to both
/// \param finalizer called with `env` when the limiter is replaced or the store
/// deleted; may be null
///
/// An error only while the limiter runs; `finalizer` is called then, too.
WASM_API_EXTERN wasmtime_error_t *ampoule_store_set_limiter(
    wasmtime_store_t *store, ampoule_limit_allow_t allow,
    ampoule_limit_failed_t failed, void *env, void (*finalizer)(void *));

/// \brief Whether host calls and guest time are counted; off by default.
///
/// Costs two looks at the clock for each call of a host function, and for each
/// call of a guest function by the host. Artifacts are only loaded by engines of
/// the same choice.
WASM_API_EXTERN void ampoule_config_statistics_set(
    wasm_config_t *config, bool enable);

/// \brief Numbers of one store. Sizes are in bytes.
///
/// Later versions add members at the end.
typedef struct ampoule_statistics {
  /// Size of this struct as the program knows it: to be set before the call.
  size_t size;
  /// Instances in the store.
  uint64_t instances;
  /// Memories in the store, and shared ones that its instances use.
  uint64_t memories;
  /// Tables in the store.
  uint64_t tables;
  /// Lengths of the memories: what is committed to the guest.
  uint64_t memory_bytes;
  /// Of these, the pages that have contents of their own: in physical memory,
  /// or swapped out. Pages that nobody has written take none, but a memory may be
  /// made of one that is gone, with pages that were zeroed. `UINT64_MAX` where the
  /// system does not tell, which Linux does from 6.7 on.
  uint64_t memory_resident_bytes;
  /// Address space that the memories occupy, with guards.
  uint64_t memory_reserved_bytes;
  /// Room for the elements of the tables.
  uint64_t table_bytes;
  /// Records of the instances: globals, imports, references to functions.
  uint64_t instance_bytes;
  /// Fuel used since the store was made, however often it was set. 0 where the
  /// engine has no fuel.
  uint64_t fuel_used;
  /// Calls of host functions by guests. 0 unless
  /// #ampoule_config_statistics_set.
  uint64_t host_calls;
  /// Nanoseconds that guests ran, on the clock on the wall: without the time in
  /// host functions, and with what the engine did for the guest, such as
  /// compiling functions at their first call. 0 unless
  /// #ampoule_config_statistics_set.
  uint64_t guest_time_ns;
  /// Stacks of asynchronous calls that were polled and are not done, and one
  /// that the store may keep for the next. The engine keeps others, which belong
  /// to no store.
  uint64_t stacks;
  /// Address space that the stacks occupy: what
  /// #wasmtime_config_async_stack_size_set says, rounded up, and a guard page;
  /// of the host's own stacks their length.
  uint64_t stack_reserved_bytes;
  /// Of it, the pages that have contents of their own. `UINT64_MAX` where the
  /// system does not tell.
  uint64_t stack_resident_bytes;
  /// The heap of garbage-collected objects, as the limits of the store count it:
  /// what its objects may take. 0 before the first object.
  uint64_t gc_heap_bytes;
  /// Bytes of objects that the last full collection found in use; 0 before it.
  uint64_t gc_live_bytes;
  /// Bytes of all objects that were ever made, by guests and the host.
  uint64_t gc_allocated_bytes;
  /// Address space that the heap occupies: the same for every heap, and 0
  /// without one.
  uint64_t gc_reserved_bytes;
  /// Collections of young objects. Each full one begins with one of them.
  uint64_t gc_minor_collections;
  /// Full collections that were finished; #wasmtime_context_gc is one.
  uint64_t gc_major_collections;
  /// Nanoseconds that collections took, all together: the guest stands meanwhile.
  uint64_t gc_time_ns;
  /// Nanoseconds that the longest of either kind took.
  uint64_t gc_longest_ns;
  /// Handles of the host that keep objects alive: each root that was not given
  /// back. Integers and null have none. A number that grows is a leak.
  uint64_t gc_roots;
  /// Values behind `externref`s, whose finalizers have not run yet.
  uint64_t gc_host_values;
} ampoule_statistics_t;

/// \brief Fills in the numbers of a store at this moment.
///
/// `statistics->size` says how much of the struct there is; it is set to how
/// much was filled in, which is less where the library is older than the
/// program. What is behind it stays as it is. May be called by host functions.
/// Adding up takes time: microseconds, and more where much memory was written.
WASM_API_EXTERN void ampoule_context_statistics(
    const wasmtime_context_t *context, ampoule_statistics_t *statistics);

/// \brief Numbers of the machine code of an engine's modules.
///
/// Later versions add members at the end.
typedef struct ampoule_code_statistics {
  /// Size of this struct as the program knows it: to be set before the call.
  size_t size;
  /// Bytes of code.
  uint64_t bytes;
  /// Of them, those of code that was replaced by better code or taken out of use,
  /// and is not given back yet: a guest may be in it.
  uint64_t replaced_bytes;
  /// What #ampoule_config_code_memory_set says.
  uint64_t limit;
  /// Functions whose code was taken out of use because there was more code than
  /// that, counted each time.
  uint64_t evicted_functions;
} ampoule_code_statistics_t;

/// \brief Fills in the numbers of an engine's code at this moment.
///
/// `statistics->size` is as for #ampoule_context_statistics. May be called from
/// any thread.
WASM_API_EXTERN void ampoule_engine_code_statistics(
    const wasm_engine_t *engine, ampoule_code_statistics_t *statistics);

#ifdef __cplusplus
} // extern "C"
#endif

#endif // AMPOULE_LIMITS_H
