/**
 * \file ampoule/budget.h
 *
 * \brief One budget for all that a store's guests make the host hold.
 *
 * `ampoule_has("budget")` tells whether the library has these functions.
 *
 * A store's budget adds up what its guests hold of the host, in bytes and by
 * kind. Any thread reads it at any time, without stopping the guest, and sets
 * its two limits:
 *
 * - At the **hard limit** nothing more is given. To the guest that is what any
 *   limit is: `memory.grow` and `table.grow` return -1, a full heap of objects
 *   is a trap, WASI has its error for a lack of memory or descriptors. Functions
 *   of the host return an error that names the kind, what was asked for, what is
 *   held, and the limit.
 * - At the **soft limit** a callback is called, which may raise both, or end the
 *   guest with an error.
 *
 * Both are limits of the sum. The finer ones stay beside them:
 * #wasmtime_store_limiter for each memory and table, #ampoule_store_set_limiter
 * case by case, and those of WASI; each has to allow. They are asked first, so
 * that a limiter is told (`failed`) of what the budget has refused.
 *
 * Of machine code, that is among it which is compiled while guests run, for the
 * only store that has ever had instances of the module. Code that stores share
 * is the engine's, as is what was compiled ahead:
 * #ampoule_config_code_memory_set bounds all of it.
 *
 * A store that nobody asks for its budget counts nothing, and takes no time for
 * it. Whoever asks late is told of all that is there.
 */

#ifndef AMPOULE_BUDGET_H
#define AMPOULE_BUDGET_H

#include <ampoule/config.h>
#include <wasmtime/conf.h>
#include <wasmtime/error.h>
#include <wasmtime/store.h>

#ifdef __cplusplus
extern "C" {
#endif

/// What bytes are held for: one of `ampoule_budget_kind_enum`.
typedef uint8_t ampoule_budget_kind_t;

/// \brief The values of `ampoule_budget_kind_t`. Later versions may add some at
/// the end.
enum ampoule_budget_kind_enum {
  /// Linear memories, the host's too: their lengths. Of shared memories, what
  /// this store's guests have made and grown; it counts until the store is
  /// deleted.
  AMPOULE_BUDGET_MEMORY,
  /// Tables, the host's too: eight bytes an element.
  AMPOULE_BUDGET_TABLE,
  /// The heap of garbage-collected objects: its size, as `gc_heap_bytes` of
  /// `ampoule_statistics_t`. It does not shrink.
  AMPOULE_BUDGET_GC_HEAP,
  /// Stacks of asynchronous calls that were polled and are not done, and those
  /// that the store keeps for the next: their address space.
  AMPOULE_BUDGET_STACK,
  /// Records of instances: globals, imports, references to functions.
  AMPOULE_BUDGET_INSTANCE,
  /// What components have: room for records of handles, calls, tasks, threads,
  /// subtasks, ends of streams and futures, waitable sets and error contexts, with
  /// what they keep besides. Each list of them grows to twice its size, and does
  /// not shrink.
  AMPOULE_BUDGET_COMPONENT,
  /// What WASI's HTTP keeps for guests: headers, bodies and connections. Other
  /// output that is not taken yet has small bounds of its own, and is not
  /// counted.
  AMPOULE_BUDGET_BUFFER,
  /// Descriptors and resources of WASI: 1 KiB each, 16 at a time, whatever the
  /// system takes for them.
  AMPOULE_BUDGET_DESCRIPTOR,
  /// Machine code that was compiled while the store's guests ran, of modules that
  /// no other store has had instances of. As soon as another has, it counts for
  /// neither, and never again. At the hard limit, a function that is called for
  /// the first time is an error, which ends the call; one that would get better
  /// code keeps what it has.
  AMPOULE_BUDGET_CODE,
};

/// \brief The budget of one store.
///
/// Any thread may use a handle, several may at the same time, and also while the
/// store is used or deleted. A handle may be kept after its store is deleted:
/// it then tells of nothing that the store held.
typedef struct ampoule_budget ampoule_budget_t;

/// \brief A handle of a store's budget, owned by the caller.
///
/// To be called by the thread that uses the store; host functions may. There are
/// no limits at first. Handles of one store are alike.
WASM_API_EXTERN ampoule_budget_t *ampoule_budget_new(
    wasmtime_context_t *context);

/// Another handle of the same budget, owned by the caller.
WASM_API_EXTERN ampoule_budget_t *ampoule_budget_clone(
    const ampoule_budget_t *budget);

/// \brief Frees a handle.
///
/// Nobody may be using this handle. Limits that were set stay.
WASM_API_EXTERN void ampoule_budget_delete(ampoule_budget_t *budget);

/// \brief Bytes that are held of one kind; 0 for a kind that the library does not
/// know.
///
/// This and the following functions take no lock and allocate nothing. What is
/// read one after another need not add up while the store is used.
WASM_API_EXTERN uint64_t ampoule_budget_used(
    const ampoule_budget_t *budget, ampoule_budget_kind_t kind);

/// Bytes that are held of all kinds.
WASM_API_EXTERN uint64_t ampoule_budget_total(const ampoule_budget_t *budget);

/// The most that the total has been since there is a budget.
WASM_API_EXTERN uint64_t ampoule_budget_peak(const ampoule_budget_t *budget);

/// The soft limit; `UINT64_MAX` where there is none.
WASM_API_EXTERN uint64_t ampoule_budget_soft_limit(
    const ampoule_budget_t *budget);

/// The hard limit; `UINT64_MAX` where there is none.
WASM_API_EXTERN uint64_t ampoule_budget_hard_limit(
    const ampoule_budget_t *budget);

/// \brief Sets both limits of the total; `UINT64_MAX` is none.
///
/// Nothing that is held is taken away: with a limit below the total nothing
/// more is given, and the callback of the soft limit is called when something is
/// asked for next.
WASM_API_EXTERN void ampoule_budget_set_limits(
    const ampoule_budget_t *budget, uint64_t soft_limit, uint64_t hard_limit);

/// \brief What the callback of the soft limit is told. Lent for the call.
typedef struct ampoule_soft_limit {
  /// What is asked for.
  ampoule_budget_kind_t kind;
  /// How many bytes of it. 0 where they are counted already: of what WASI and
  /// components hold, the callback is told a moment later, when a function of
  /// WASI returns, or something else is asked for.
  uint64_t asked;
  /// Bytes that are held, of all kinds.
  uint64_t used;
  /// The limits, which the callback may change here; `UINT64_MAX` is none.
  uint64_t soft_limit;
  /// See `soft_limit`.
  uint64_t hard_limit;
} ampoule_soft_limit_t;

/// \brief Called when a store's total is about to pass its soft limit, before
/// the hard limit is looked at.
///
/// Once, and again when the total has been at or below the limit, or a limit was
/// set. Returns null; or an error, which the library takes over: that ends the
/// guest, or the host's function, that asked, and nothing is given.
///
/// Runs on the thread that uses the store, in the middle of what asked. It must
/// not use the store: as for a limiter (`ampoule/limits.h`), calls of functions,
/// instantiations and growth are refused with an error that says so, and
/// deleting the store is undefined. Handles of the budget may be used.
typedef wasmtime_error_t *(*ampoule_soft_limit_callback_t)(
    void *env, ampoule_soft_limit_t *passed);

/// \brief Sets the callback of a store's soft limit, in place of an earlier one.
///
/// \param callback null for none: then nothing happens at the soft limit
/// \param env passed to it
/// \param finalizer called with `env` when the callback is replaced or the store
/// deleted; may be null
///
/// An error only while the callback, or the store's limiter, runs; `finalizer`
/// is called then, too.
WASM_API_EXTERN wasmtime_error_t *ampoule_store_set_soft_limit_callback(
    wasmtime_store_t *store, ampoule_soft_limit_callback_t callback, void *env,
    void (*finalizer)(void *));

#ifdef __cplusplus
} // extern "C"
#endif

#endif // AMPOULE_BUDGET_H
