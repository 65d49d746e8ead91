/**
 * \file wasmtime/memory.h
 *
 * \brief Memories: the linear memories of one store.
 */

#ifndef WASMTIME_MEMORY_H
#define WASMTIME_MEMORY_H

#include <wasm.h>
#include <wasmtime/error.h>
#include <wasmtime/extern.h>
#include <wasmtime/store.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Sets `*ret` to a memory type, owned by the caller, or returns an error when
/// the description makes no sense.
///
/// \param min the size at the beginning, in pages
/// \param max_present whether there is a maximum
/// \param max the maximum in pages, looked at only with `max_present`
/// \param is_64 whether addresses have 64 bits rather than 32
/// \param shared whether stores and threads share it; needs a maximum
/// \param page_size_log2 the page size as a power of two: 16 for 64 KiB, or 0
/// for a byte
/// \param ret where the type goes
WASM_API_EXTERN wasmtime_error_t *wasmtime_memorytype_new(
    uint64_t min, bool max_present, uint64_t max, bool is_64, bool shared,
    uint8_t page_size_log2, wasm_memorytype_t **ret);

/// The size at the beginning, in pages.
WASM_API_EXTERN uint64_t wasmtime_memorytype_minimum(
    const wasm_memorytype_t *ty);

/// Sets `*max` to the maximum in pages and returns true; false, leaving `*max`
/// alone, when there is none.
WASM_API_EXTERN bool wasmtime_memorytype_maximum(
    const wasm_memorytype_t *ty, uint64_t *max);

/// Whether addresses have 64 bits.
WASM_API_EXTERN bool wasmtime_memorytype_is64(const wasm_memorytype_t *ty);

/// Whether the memory is shared.
WASM_API_EXTERN bool wasmtime_memorytype_isshared(const wasm_memorytype_t *ty);

/// The page size in bytes.
WASM_API_EXTERN uint64_t wasmtime_memorytype_page_size(
    const wasm_memorytype_t *ty);

/// The page size as a power of two.
WASM_API_EXTERN uint8_t wasmtime_memorytype_page_size_log2(
    const wasm_memorytype_t *ty);

/// Sets `*ret` to a new zeroed memory of type `ty`. An error when a limit of
/// the store is exceeded, the system has no memory, or `ty` is shared (see
/// `wasmtime_sharedmemory_new`).
WASM_API_EXTERN wasmtime_error_t *wasmtime_memory_new(
    wasmtime_context_t *store, const wasm_memorytype_t *ty,
    wasmtime_memory_t *ret);

/// Returns the type that the memory was made with, owned by the caller. Its minimum
/// does not follow the size.
WASM_API_EXTERN wasm_memorytype_t *wasmtime_memory_type(
    const wasmtime_context_t *store, const wasmtime_memory_t *memory);

/// The first byte. Stale after the memory has grown, by wasm or host.
WASM_API_EXTERN uint8_t *wasmtime_memory_data(
    const wasmtime_context_t *store, const wasmtime_memory_t *memory);

/// The current size in bytes.
WASM_API_EXTERN size_t wasmtime_memory_data_size(
    const wasmtime_context_t *store, const wasmtime_memory_t *memory);

/// The current size in pages.
WASM_API_EXTERN uint64_t wasmtime_memory_size(
    const wasmtime_context_t *store, const wasmtime_memory_t *memory);

/// Grows the memory by `delta` pages (of `wasmtime_memory_page_size` bytes).
/// Returns null and sets `*prev_size`, in pages; or an error owned by the
/// caller, leaving `*prev_size` alone, when the maximum or a limit of the store
/// would be exceeded, the system has no memory, or the memory is of another store.
/// Pointers from `wasmtime_memory_data` are stale after success.
WASM_API_EXTERN wasmtime_error_t *wasmtime_memory_grow(
    wasmtime_context_t *store, const wasmtime_memory_t *memory, uint64_t delta,
    uint64_t *prev_size);

/// The page size in bytes.
WASM_API_EXTERN uint64_t wasmtime_memory_page_size(
    wasmtime_context_t *store, const wasmtime_memory_t *memory);

/// The page size as a power of two.
WASM_API_EXTERN uint8_t wasmtime_memory_page_size_log2(
    wasmtime_context_t *store, const wasmtime_memory_t *memory);

#ifdef __cplusplus
} // extern "C"
#endif

#endif // WASMTIME_MEMORY_H
