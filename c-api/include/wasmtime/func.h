/**
 * \file wasmtime/func.h
 *
 * \brief Functions: calling guests and being called by them.
 */

#ifndef WASMTIME_FUNC_H
#define WASMTIME_FUNC_H

#include <wasm.h>
#include <wasmtime/extern.h>
#include <wasmtime/store.h>
#include <wasmtime/val.h>

#ifdef __cplusplus
extern "C" {
#endif

/// \brief Who called a host function: the instance and its store.
///
/// Valid during that call only.
typedef struct wasmtime_caller wasmtime_caller_t;

/// \brief A host function.
///
/// `args` holds `nargs` values of the parameter types, borrowed; `results` has
/// room for `nresults` values, all of which the callback writes with the right
/// kinds, giving up the references in them. Returns null, or a trap (given up)
/// that ends the guest; the results then do not count. The callback may call
/// back into wasm. It must not unwind or `longjmp` out.
typedef wasm_trap_t *(*wasmtime_func_callback_t)(
    void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args,
    size_t nargs, wasmtime_val_t *results, size_t nresults);

/// \brief A host function without checks.
///
/// On entry the first elements of `args_and_results` are the arguments, on
/// return its first elements are the results, both in the order of the type;
/// `num_args_and_results` is the greater of the two numbers. Otherwise as
/// `wasmtime_func_callback_t`.
typedef wasm_trap_t *(*wasmtime_func_unchecked_callback_t)(
    void *env, wasmtime_caller_t *caller, wasmtime_val_raw_t *args_and_results,
    size_t num_args_and_results);

/// Sets `*ret` to a new host function of the given type (copied), which calls
/// `callback` with `env`.
///
/// `finalizer(env)` runs once, when the store is deleted; it may be null. A
/// result of the wrong kind makes the call fail. A type with references other
/// than `externref` and `funcref`, or one that a library without a compiler has
/// no adapter for, ends the process; `wasmtime_linker_define_func` returns an
/// error instead.
WASM_API_EXTERN void wasmtime_func_new(
    wasmtime_context_t *store, const wasm_functype_t *type,
    wasmtime_func_callback_t callback, void *env, void (*finalizer)(void *),
    wasmtime_func_t *ret);

/// As `wasmtime_func_new`, for a callback whose results nobody checks: values
/// that do not match the type are undefined behaviour.
WASM_API_EXTERN void wasmtime_func_new_unchecked(
    wasmtime_context_t *store, const wasm_functype_t *type,
    wasmtime_func_unchecked_callback_t callback, void *env,
    void (*finalizer)(void *), wasmtime_func_t *ret);

/// Returns the type of the function, owned by the caller.
WASM_API_EXTERN wasm_functype_t *wasmtime_func_type(
    const wasmtime_context_t *store, const wasmtime_func_t *func);

/// Calls `func` with the `nargs` values `args` (borrowed).
///
/// Returns null with `*trap` untouched after success; `results` then holds
/// `nresults` values owned by the caller. Returns null with `*trap` set to a
/// trap owned by the caller when the guest trapped. Returns an error when the
/// arguments do not match the type, in number or kind, when `nresults` is not
/// its number of results, when the function is null, when it or a value is of
/// another store, when the store is busy with an asynchronous call, or when the
/// guest was ended by an error (an exit, for example). `results` is meaningful after
/// success only.
WASM_API_EXTERN wasmtime_error_t *wasmtime_func_call(
    wasmtime_context_t *store, const wasmtime_func_t *func,
    const wasmtime_val_t *args, size_t nargs, wasmtime_val_t *results,
    size_t nresults, wasm_trap_t **trap);

/// Calls `func` without checking anything: `args_and_results` holds the
/// arguments and then the results, both from its beginning, and must have
/// `args_and_results_len` elements; fewer than the greater of the two numbers is
/// an error. Other errors, and traps, are as in `wasmtime_func_call`.
WASM_API_EXTERN wasmtime_error_t *wasmtime_func_call_unchecked(
    wasmtime_context_t *store, const wasmtime_func_t *func,
    wasmtime_val_raw_t *args_and_results, size_t args_and_results_len,
    wasm_trap_t **trap);

/// Sets `*item` to the export `name` of the calling instance and returns true;
/// false when there is no such export or the caller is not an instance. The
/// extern belongs to the caller.
WASM_API_EXTERN bool wasmtime_caller_export_get(
    wasmtime_caller_t *caller, const char *name, size_t name_len,
    wasmtime_extern_t *item);

/// The context of the calling store.
WASM_API_EXTERN wasmtime_context_t *wasmtime_caller_context(
    wasmtime_caller_t *caller);

/// Makes `*ret` the function that `raw` of a `wasmtime_val_raw_t` refers to.
/// `raw` must not be null.
WASM_API_EXTERN void wasmtime_func_from_raw(
    wasmtime_context_t *context, void *raw, wasmtime_func_t *ret);

/// Returns the function as a member of `wasmtime_val_raw_t`.
WASM_API_EXTERN void *wasmtime_func_to_raw(
    wasmtime_context_t *context, const wasmtime_func_t *func);

#ifdef __cplusplus
} // extern "C"
#endif

#endif // WASMTIME_FUNC_H
