/**
 * \file wasmtime/global.h
 *
 * \brief Globals: single variables.
 */

#ifndef WASMTIME_GLOBAL_H
#define WASMTIME_GLOBAL_H

#include <wasm.h>
#include <wasmtime/extern.h>
#include <wasmtime/store.h>
#include <wasmtime/val.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Sets `*ret` to a new global of the given type (copied) that holds `val`
/// (borrowed). An error when the value does not match the type or is of another
/// store.
WASM_API_EXTERN wasmtime_error_t *wasmtime_global_new(
    wasmtime_context_t *store, const wasm_globaltype_t *type,
    const wasmtime_val_t *val, wasmtime_global_t *ret);

/// Returns the type of the global, owned by the caller.
WASM_API_EXTERN wasm_globaltype_t *wasmtime_global_type(
    const wasmtime_context_t *store, const wasmtime_global_t *global);

/// Makes `*out` the current value, owned by the caller.
WASM_API_EXTERN void wasmtime_global_get(
    wasmtime_context_t *store, const wasmtime_global_t *global,
    wasmtime_val_t *out);

/// Stores `val` (borrowed). An error, changing nothing, when the global is
/// constant or of another store, or the value does not match its type or is of
/// another store.
WASM_API_EXTERN wasmtime_error_t *wasmtime_global_set(
    wasmtime_context_t *store, const wasmtime_global_t *global,
    const wasmtime_val_t *val);

#ifdef __cplusplus
} // extern "C"
#endif

#endif // WASMTIME_GLOBAL_H
