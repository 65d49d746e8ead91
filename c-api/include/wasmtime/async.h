/**
 * \file wasmtime/async.h
 *
 * \brief Guests that pause: calls as futures, and host functions that finish
 * later.
 *
 * A future belongs to the store it runs in. From when it is made until it is
 * done or deleted, no other guest may be called in that store: an attempt is an
 * error. The store, its future and the polls may move between threads together,
 * one thread at a time using them. The places for results, traps and errors
 * must stay until the future is deleted; all else that was passed is copied.
 *
 * A guest yields (its poll returns false) at its epoch deadline, after an
 * interval of fuel, and in a host function of this header that is not done.
 *
 * A guest that runs as part of another store's asynchronous call may be left
 * waiting there: until it goes on, calls into its own store are an error. An
 * asynchronous call with a guest on its stack whose store has another guest,
 * waiting for that one further out, can't wait: its guest gets an error. Of
 * stacks that the host switches itself the library knows nothing: there, the
 * process ends with a message when a guest goes on, or ends, before a later
 * call into its store has ended.
 *
 * A store that was told to yield, or has such a host function in it, takes
 * asynchronous calls only: `wasmtime_func_call` and the like give an error,
 * except inside of an asynchronous call of the same store, where they wait as
 * part of it.
 */

#ifndef WASMTIME_ASYNC_H
#define WASMTIME_ASYNC_H

#include <wasm.h>
#include <wasmtime/conf.h>
#include <wasmtime/config.h>
#include <wasmtime/error.h>
#include <wasmtime/func.h>
#include <wasmtime/linker.h>
#include <wasmtime/store.h>

#ifdef WASMTIME_FEATURE_ASYNC

#ifdef __cplusplus
extern "C" {
#endif

/// The size, in bytes, of the stacks that async calls run on: for guest code,
/// and the host functions it calls. At least `wasmtime_config_max_wasm_stack_set`
/// says, or no engine can be made; rounded up to whole pages, and to 128 KiB.
/// 2 MiB unless set, or 1 MiB more than what guests may use.
WASM_API_EXTERN void wasmtime_config_async_stack_size_set(
    wasm_config_t *config, uint64_t size);

/// Makes guests of this store yield each time they have used `interval` units
/// of fuel; 0 turns that off. The fuel that remains is the same, and is read as
/// before. The store takes asynchronous calls only from then on. An error, owned
/// by the caller, unless the engine was configured for fuel.
WASM_API_EXTERN wasmtime_error_t *wasmtime_context_fuel_async_yield_interval(
    wasmtime_context_t *context, uint64_t interval);

/// Makes guests of this store yield at their deadline, which then moves to
/// `delta` ticks after the epoch at which they go on. Replaces a callback
/// (`wasmtime_store_epoch_deadline_callback`), whose finalizer runs. The store
/// takes asynchronous calls only from then on. Never fails: returns null.
WASM_API_EXTERN wasmtime_error_t *
wasmtime_context_epoch_deadline_async_yield_and_update(
    wasmtime_context_t *context, uint64_t delta);

/// \brief Whether a host function that was pending is done.
///
/// Called as soon as the host function has returned, then at each poll, on the
/// thread that polls, until it returns true: the results, or a trap, are then
/// written. It must not use the store.
typedef bool (*wasmtime_func_async_continuation_callback_t)(void *env);

/// How a pending host function goes on.
typedef struct wasmtime_async_continuation_t {
  /// Asked at each poll. Null: the host function is done already.
  wasmtime_func_async_continuation_callback_t callback;
  /// The host's pointer, passed to both functions.
  void *env;
  /// Runs once with `env` when the function is done or the call given up; may
  /// be null. It must not use the store.
  void (*finalizer)(void *);
} wasmtime_async_continuation_t;

/// \brief A host function that may finish later.
///
/// As `wasmtime_func_callback_t`, except that it fills `*continuation_ret`, and
/// that `args`, `results` and `trap_ret` stay valid until the continuation has
/// returned true. A trap is given up through `*trap_ret`, which is null at
/// first. `*continuation_ret` is all zeros at first. Neither is used once the
/// call was given up.
typedef void (*wasmtime_func_async_callback_t)(
    void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args,
    size_t nargs, wasmtime_val_t *results, size_t nresults,
    wasm_trap_t **trap_ret, wasmtime_async_continuation_t *continuation_ret);

/// \brief A call in progress.
typedef struct wasmtime_call_future wasmtime_call_future_t;

/// Runs the call until it is done (returns true, its results written) or yields
/// (returns false; poll again). To be called again after true, or by what the
/// call itself runs, is misuse that ends the process with a message.
///
/// A future made in a host function, of a guest of the same store, is polled
/// there; elsewhere it fails with an error. After its store was deleted, a
/// future gives an error.
WASM_API_EXTERN bool wasmtime_call_future_poll(wasmtime_call_future_t *future);

/// Frees the future. A call that is not done is given up: its guest runs no
/// further, the host functions that it is in get an error from calls that they
/// make (a function of this header is not continued, its finalizer runs), and
/// when they return, the guest ends. All of that happens before this returns.
/// The results are not written. The store can be used as after a trap.
///
/// To delete the future of a store that was deleted is fine. To delete one from
/// what it runs is misuse that ends the process with a message. What it runs are
/// also calls that its host functions made: one that is given up while both wait
/// must neither poll nor delete the future below it.
WASM_API_EXTERN void wasmtime_call_future_delete(
    wasmtime_call_future_t *future);

/// Begins to call `func`, as `wasmtime_func_call` would; nothing runs before
/// the first poll. The future is owned by the caller. At the end `*trap_ret` or
/// `*error_ret` may have been set, each owned by the caller; arguments that
/// don't fit show there too. `args` are copied.
WASM_API_EXTERN wasmtime_call_future_t *wasmtime_func_call_async(
    wasmtime_context_t *context, const wasmtime_func_t *func,
    const wasmtime_val_t *args, size_t nargs, wasmtime_val_t *results,
    size_t nresults, wasm_trap_t **trap_ret, wasmtime_error_t **error_ret);

/// Defines a host function that may finish later; otherwise as
/// `wasmtime_linker_define_func`. It can be called in async calls only.
WASM_API_EXTERN wasmtime_error_t *wasmtime_linker_define_async_func(
    wasmtime_linker_t *linker, const char *module, size_t module_len,
    const char *name, size_t name_len, const wasm_functype_t *ty,
    wasmtime_func_async_callback_t cb, void *data, void (*finalizer)(void *));

/// Begins to instantiate `module`, as `wasmtime_linker_instantiate` would; the
/// result is as that of `wasmtime_func_call_async`.
WASM_API_EXTERN wasmtime_call_future_t *wasmtime_linker_instantiate_async(
    const wasmtime_linker_t *linker, wasmtime_context_t *store,
    const wasmtime_module_t *module, wasmtime_instance_t *instance,
    wasm_trap_t **trap_ret, wasmtime_error_t **error_ret);

/// Begins to instantiate, as `wasmtime_instance_pre_instantiate` would; the
/// result is as that of `wasmtime_func_call_async`.
WASM_API_EXTERN wasmtime_call_future_t *wasmtime_instance_pre_instantiate_async(
    const wasmtime_instance_pre_t *instance_pre, wasmtime_context_t *store,
    wasmtime_instance_t *instance, wasm_trap_t **trap_ret,
    wasmtime_error_t **error_ret);

/// \brief Where a stack of the host's is.
///
/// Returns its upper end, the address behind its last byte, and sets `*out_len`
/// to its length in bytes, both multiples of the page size. The length is at
/// least what was asked for. Called once.
typedef uint8_t *(*wasmtime_stack_memory_get_callback_t)(void *env,
                                                         size_t *out_len);

/// A stack that the host provides.
typedef struct {
  /// The host's pointer, passed to both functions.
  void *env;
  /// Tells where the stack is.
  wasmtime_stack_memory_get_callback_t get_stack_memory;
  /// Runs once with `env` when the stack is not needed any more; may be null.
  void (*finalizer)(void *);
} wasmtime_stack_memory_t;

/// \brief Makes a stack of `size` bytes, a page without access below it.
///
/// With `zeroed` its bytes must be zero. Returns null after filling
/// `*stack_ret`, or an error (given up), which comes out of the asynchronous
/// call. May run on several threads at once. A store keeps its stack for the
/// next call.
typedef wasmtime_error_t *(*wasmtime_new_stack_memory_callback_t)(
    void *env, size_t size, bool zeroed, wasmtime_stack_memory_t *stack_ret);

/// Makes the stacks of an engine.
typedef struct {
  /// The host's pointer, passed to both functions.
  void *env;
  /// Makes one stack.
  wasmtime_new_stack_memory_callback_t new_stack;
  /// Runs once with `env` when the engine is gone; may be null.
  void (*finalizer)(void *);
} wasmtime_stack_creator_t;

/// Lets the host provide all stacks of async calls. `*creator` is copied; its
/// `env` is taken over.
WASM_API_EXTERN void wasmtime_config_host_stack_creator_set(
    wasm_config_t *config, wasmtime_stack_creator_t *creator);

#ifdef __cplusplus
} // extern "C"
#endif

#endif // WASMTIME_FEATURE_ASYNC

#endif // WASMTIME_ASYNC_H
