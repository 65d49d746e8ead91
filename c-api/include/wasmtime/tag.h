/**
 * \file wasmtime/tag.h
 *
 * \brief Tags: the identities of exceptions.
 *
 * Two tags of one type are different: a handler catches the exceptions of its
 * own tag. Guests that are to understand each other import the same one.
 */

#ifndef WASMTIME_TAG_H
#define WASMTIME_TAG_H

#include <wasm.h>
#include <wasmtime/error.h>
#include <wasmtime/store.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef WASMTIME_EXTERN_TAG
/// The `kind` of a `wasmtime_extern_t` that is a tag.
#define WASMTIME_EXTERN_TAG 5
#endif

/// \brief A handle to a tag of a store. Nothing to free.
///
/// Only its store and this library know what the private fields mean.
typedef struct wasmtime_tag {
  struct {
    /// The store it belongs to; never 0.
    uint64_t store_id;
    /// Private.
    uint32_t __private1;
  };
  /// Private.
  uint32_t __private2;
} wasmtime_tag_t;

/// Sets `*ret` to a new tag of type `tt` (copied). An error when the type has
/// results, or names a type of another engine.
///
/// The store has it for as long as it lives.
WASM_API_EXTERN wasmtime_error_t *wasmtime_tag_new(
    wasmtime_context_t *store, const wasm_tagtype_t *tt, wasmtime_tag_t *ret);

/// Returns the type of the tag, owned by the caller. A tag of another store ends
/// the process.
WASM_API_EXTERN wasm_tagtype_t *wasmtime_tag_type(
    const wasmtime_context_t *store, const wasmtime_tag_t *tag);

/// Whether both handles refer to the same tag. Tags of two stores are different.
WASM_API_EXTERN bool wasmtime_tag_eq(
    const wasmtime_context_t *store, const wasmtime_tag_t *a,
    const wasmtime_tag_t *b);

#ifdef __cplusplus
} // extern "C"
#endif

#endif // WASMTIME_TAG_H
