/**
 * \file wasmtime/component/func.h
 *
 * \brief Functions of component instances.
 */

#ifndef WASMTIME_COMPONENT_FUNC_H
#define WASMTIME_COMPONENT_FUNC_H

#include <wasmtime/async.h>
#include <wasmtime/component/types/func.h>
#include <wasmtime/component/val.h>
#include <wasmtime/conf.h>
#include <wasmtime/error.h>
#include <wasmtime/store.h>

#ifdef WASMTIME_FEATURE_COMPONENT_MODEL

#ifdef __cplusplus
extern "C" {
#endif

/// \brief A function that a component instance of a store exports.
///
/// A handle: it may be copied, is never freed, and is good as long as the
/// store.
typedef struct wasmtime_component_func {
  struct {
    /// The store's number; 0 is no store's.
    uint64_t store_id;
    /// Not to be touched.
    uint32_t __private1;
  };
  /// Not to be touched.
  uint32_t __private2;
} wasmtime_component_func_t;

/// Returns the type of the function, owned by the caller. A function of another
/// store ends the process.
WASM_API_EXTERN wasmtime_component_func_type_t *wasmtime_component_func_type(
    const wasmtime_component_func_t *func, wasmtime_context_t *context);

/// Calls the function with the `args_size` values at `args`, which stay the
/// caller's and are not changed, and puts what it returns into the
/// `results_size` values at `results`: one, or none where the function has no
/// result.
///
/// Before the call each result must be a valid value, a `bool` for example: what
/// it holds is freed when the result is written. Afterwards it is the caller's,
/// to be freed with `wasmtime_component_val_delete`. On error results are as they
/// were.
///
/// Returns an error when the function is of another store, when there are too
/// few or too many arguments or results, when an argument does not fit its
/// type, is a string that is not UTF-8, a `char` that is no Unicode scalar
/// value, or of a kind that does not exist: the store stays usable. What is
/// lowered before the wrong argument has reached the guest all the same,
/// resources included.
///
/// An error, too, when the guest traps, a host function fails, or the guest
/// returns what is no value of the result's type: every later call of any
/// component of this store is then an error that ends in `wasm trap: cannot
/// enter component instance`. Components can still be instantiated, where that
/// calls none of their functions.
///
/// The guest's clean-up after the call (`post-return`) has run before this
/// returns.
WASM_API_EXTERN wasmtime_error_t *wasmtime_component_func_call(
    const wasmtime_component_func_t *func, wasmtime_context_t *context,
    const wasmtime_component_val_t *args, size_t args_size,
    wasmtime_component_val_t *results, size_t results_size);

#ifdef WASMTIME_FEATURE_ASYNC
/// Begins to call the function, as `wasmtime_component_func_call` would;
/// nothing runs before the first poll. Not in 44.0.0.
///
/// The future is owned by the caller, polled until it is done and deleted
/// (`wasmtime/async.h`). Arguments, results and `*error_ret`, which is null at
/// first, stay where they are until then; at the end either the results or
/// `*error_ret`, owned by the caller, are set. A future that is deleted midway
/// ends its guest as a failure does: no component of the store can be called
/// afterwards.
///
/// What the guest waits for (sleeps and streams of WASI, host functions that
/// finish later) leaves the thread to the caller. Tasks of the store's
/// components go on while the call is polled, also those that calls before have
/// left behind.
WASM_API_EXTERN wasmtime_call_future_t *wasmtime_component_func_call_async(
    const wasmtime_component_func_t *func, wasmtime_context_t *context,
    const wasmtime_component_val_t *args, size_t args_size,
    wasmtime_component_val_t *results, size_t results_size,
    wasmtime_error_t **error_ret);
#endif // WASMTIME_FEATURE_ASYNC

/// Does nothing, and returns null: `wasmtime_component_func_call` has cleaned
/// up.
WASM_API_EXTERN wasmtime_error_t *wasmtime_component_func_post_return(
    const wasmtime_component_func_t *func, wasmtime_context_t *context);

#ifdef __cplusplus
} // extern "C"
#endif

#endif // WASMTIME_FEATURE_COMPONENT_MODEL

#endif // WASMTIME_COMPONENT_FUNC_H
