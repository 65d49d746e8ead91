/**
 * \file wasmtime/sharedmemory.h
 *
 * \brief Shared memories: linear memories that stores and threads have in
 * common.
 */

#ifndef WASMTIME_SHAREDMEMORY_H
#define WASMTIME_SHAREDMEMORY_H

#include <wasm.h>
#include <wasmtime/conf.h>
#include <wasmtime/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/// \brief A linear memory that any number of stores, threads and hosts use at
/// once.
///
/// Belongs to an engine, not to a store: modules of another engine do not take
/// it as an import. Reference-counted; every function here
/// may be called from any thread. Whoever reads or writes its bytes does so
/// with atomic accesses, as others may be writing.
typedef struct wasmtime_sharedmemory wasmtime_sharedmemory_t;

#ifdef WASMTIME_FEATURE_THREADS
/// Sets `*ret` to a zeroed shared memory of type `ty`, owned by the caller.
///
/// `ty` must be shared and have a maximum. An error when it is not, when the
/// engine's configuration has shared memories off, or when the system has no
/// memory.
WASM_API_EXTERN wasmtime_error_t *wasmtime_sharedmemory_new(
    const wasm_engine_t *engine, const wasm_memorytype_t *ty,
    wasmtime_sharedmemory_t **ret);
#endif // WASMTIME_FEATURE_THREADS

/// Frees this handle to a shared memory.
WASM_API_EXTERN void wasmtime_sharedmemory_delete(
    wasmtime_sharedmemory_t *memory);

/// Returns a second handle to the same memory, to be freed like the first.
WASM_API_EXTERN wasmtime_sharedmemory_t *wasmtime_sharedmemory_clone(
    const wasmtime_sharedmemory_t *memory);

/// Returns the type of the memory, owned by the caller.
WASM_API_EXTERN wasm_memorytype_t *wasmtime_sharedmemory_type(
    const wasmtime_sharedmemory_t *memory);

/// The first byte of the memory. It never moves.
WASM_API_EXTERN uint8_t *wasmtime_sharedmemory_data(
    const wasmtime_sharedmemory_t *memory);

/// The current size in bytes; it only grows.
WASM_API_EXTERN size_t wasmtime_sharedmemory_data_size(
    const wasmtime_sharedmemory_t *memory);

/// The current size in pages; it only grows.
WASM_API_EXTERN uint64_t wasmtime_sharedmemory_size(
    const wasmtime_sharedmemory_t *memory);

/// Grows the memory by `delta` pages. Returns null and sets `*prev_size`, in
/// pages; or an error owned by the caller when that would exceed the maximum,
/// leaving `*prev_size` alone.
WASM_API_EXTERN wasmtime_error_t *wasmtime_sharedmemory_grow(
    const wasmtime_sharedmemory_t *memory, uint64_t delta, uint64_t *prev_size);

#ifdef __cplusplus
} // extern "C"
#endif

#endif // WASMTIME_SHAREDMEMORY_H
