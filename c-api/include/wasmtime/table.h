/**
 * \file wasmtime/table.h
 *
 * \brief Tables: growable arrays of references.
 */

#ifndef WASMTIME_TABLE_H
#define WASMTIME_TABLE_H

#include <wasm.h>
#include <wasmtime/error.h>
#include <wasmtime/extern.h>
#include <wasmtime/store.h>
#include <wasmtime/val.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Sets `*table` to a new table of type `ty` (copied) with every element `init`
/// (borrowed). An error when `init` does not match the type or is of another
/// store, a limit of the store is exceeded, or the type asks for more elements
/// than a table can have.
WASM_API_EXTERN wasmtime_error_t *wasmtime_table_new(
    wasmtime_context_t *store, const wasm_tabletype_t *ty,
    const wasmtime_val_t *init, wasmtime_table_t *table);

/// Returns the type that the table was made with, owned by the caller. Its minimum
/// does not follow the size.
WASM_API_EXTERN wasm_tabletype_t *wasmtime_table_type(
    const wasmtime_context_t *store, const wasmtime_table_t *table);

/// Makes `*val` the element at `index`, owned by the caller, and returns true;
/// false past the end.
WASM_API_EXTERN bool wasmtime_table_get(
    wasmtime_context_t *store, const wasmtime_table_t *table, uint64_t index,
    wasmtime_val_t *val);

/// Sets the element at `index` to `value` (borrowed). An error, changing
/// nothing, past the end, or when the value does not match the type, or it or
/// the table is of another store.
WASM_API_EXTERN wasmtime_error_t *wasmtime_table_set(
    wasmtime_context_t *store, const wasmtime_table_t *table, uint64_t index,
    const wasmtime_val_t *value);

/// The current number of elements.
WASM_API_EXTERN uint64_t wasmtime_table_size(
    const wasmtime_context_t *store, const wasmtime_table_t *table);

/// Adds `delta` elements `init` (borrowed). Returns null and sets `*prev_size`,
/// in elements; or an error owned by the caller, leaving `*prev_size` alone,
/// when the maximum or a limit of the store would be exceeded, `init` does not
/// match, or it or the table is of another store.
WASM_API_EXTERN wasmtime_error_t *wasmtime_table_grow(
    wasmtime_context_t *store, const wasmtime_table_t *table, uint64_t delta,
    const wasmtime_val_t *init, uint64_t *prev_size);

#ifdef __cplusplus
} // extern "C"
#endif

#endif // WASMTIME_TABLE_H
