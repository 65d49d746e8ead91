/**
 * \file wasmtime/exn.h
 *
 * \brief Exceptions: making, throwing and catching them in the host.
 *
 * An exception that a host function throws goes to the guest that called it,
 * which may catch it (`wasmtime_config_wasm_exceptions_set`). One that nobody
 * catches ends the call, and is the pending exception of the store: it stays
 * there until it is taken, thrown on, or replaced by the next one. The call gives
 * a trap without a code, `thrown Wasm exception`; an instantiation and an
 * asynchronous call give an error with that message.
 *
 * Guests catch exceptions only, never traps. A host function that called a guest
 * and has an exception's trap returns that trap to pass the exception on, or takes
 * the exception and returns null, and the guest that called it goes on.
 *
 * What `gc.h` says of errors, threads and a heap that is full holds for exceptions
 * too.
 */

#ifndef WASMTIME_EXN_H
#define WASMTIME_EXN_H

#include <wasmtime/conf.h>

#ifdef WASMTIME_FEATURE_GC

#include <wasm.h>
#include <wasmtime/error.h>
#include <wasmtime/store.h>
#include <wasmtime/tag.h>
#include <wasmtime/val.h>

#ifdef __cplusplus
extern "C" {
#endif

/// \brief An exception of a store: a tag with its fields.
///
/// Owned by whoever received it, and freed with `wasmtime_exn_delete` before
/// the store.
typedef struct wasmtime_exn wasmtime_exn_t;

/// Frees this handle to an exception.
WASM_API_EXTERN void wasmtime_exn_delete(wasmtime_exn_t *exn);

/// Sets `*exn_ret` to a new exception, owned by the caller, with `tag` and the
/// `nfields` values `fields` (borrowed). An error when they do not match the
/// tag's type (`expected 1 fields, got 2`; `field type mismatch` and the reason),
/// anything is of another store, or the store can have no more exceptions.
WASM_API_EXTERN wasmtime_error_t *wasmtime_exn_new(
    wasmtime_context_t *store, const wasmtime_tag_t *tag,
    const wasmtime_val_t *fields, size_t nfields, wasmtime_exn_t **exn_ret);

/// Sets `*tag_ret` to the tag of the exception. An error when it is of another
/// store.
WASM_API_EXTERN wasmtime_error_t *wasmtime_exn_tag(
    wasmtime_context_t *store, const wasmtime_exn_t *exn,
    wasmtime_tag_t *tag_ret);

/// The number of fields.
WASM_API_EXTERN size_t wasmtime_exn_field_count(
    wasmtime_context_t *store, const wasmtime_exn_t *exn);

/// Makes `*val_ret` the field number `index`, owned by the caller. An error
/// past the last (`cannot access field 1: exn only has 1 fields`), or when the
/// exception is of another store.
WASM_API_EXTERN wasmtime_error_t *wasmtime_exn_field(
    wasmtime_context_t *store, const wasmtime_exn_t *exn, size_t index,
    wasmtime_val_t *val_ret);

/// Makes `exn` (taken over) the pending exception of the store, in place of any
/// other, and returns a trap, owned by the caller, for a host function to
/// return: the guest then sees the exception thrown. An exception of another
/// store is freed, and the trap says so.
WASM_API_EXTERN wasm_trap_t *wasmtime_context_set_exception(
    wasmtime_context_t *store, wasmtime_exn_t *exn);

/// Sets `*exn_ret` to the pending exception, owned by the caller, which is then
/// pending no more; false when there is none.
///
/// After a call that returned a trap, this tells whether an exception that no
/// guest caught was the reason.
WASM_API_EXTERN bool wasmtime_context_take_exception(
    wasmtime_context_t *store, wasmtime_exn_t **exn_ret);

/// Whether the store has a pending exception.
WASM_API_EXTERN bool wasmtime_context_has_exception(wasmtime_context_t *store);

/// Makes `*out` a root for a new exception; otherwise as `wasmtime_exn_new`.
///
/// Not in 44.0.0, like the functions below: later versions of the interface
/// have them in the place of `wasmtime_exn_t`.
WASM_API_EXTERN wasmtime_error_t *wasmtime_exnref_new(
    wasmtime_context_t *store, const wasmtime_tag_t *tag,
    const wasmtime_val_t *fields, size_t nfields, wasmtime_exnref_t *out);

/// Makes `*out` a root for the raw reference `raw`: null for 0, and for what is
/// no exception of this store.
WASM_API_EXTERN void wasmtime_exnref_from_raw(
    wasmtime_context_t *context, uint32_t raw, wasmtime_exnref_t *out);

/// Returns the raw reference, 0 for null. It is good for as long as a root, or
/// something in the store, keeps the exception alive.
WASM_API_EXTERN uint32_t wasmtime_exnref_to_raw(
    wasmtime_context_t *context, const wasmtime_exnref_t *exnref);

/// Sets `*tag_ret` to the tag of the exception. An error for null, and of
/// another store.
WASM_API_EXTERN wasmtime_error_t *wasmtime_exnref_tag(
    wasmtime_context_t *store, const wasmtime_exnref_t *exnref,
    wasmtime_tag_t *tag_ret);

/// The number of fields; 0 for null.
WASM_API_EXTERN size_t wasmtime_exnref_field_count(
    wasmtime_context_t *store, const wasmtime_exnref_t *exnref);

/// Makes `*val_ret` the field number `index`, owned by the caller. An error for
/// null, past the last, and of another store.
WASM_API_EXTERN wasmtime_error_t *wasmtime_exnref_field(
    wasmtime_context_t *store, const wasmtime_exnref_t *exnref, size_t index,
    wasmtime_val_t *val_ret);

/// Returns the type of the exception, owned by the caller; null for null.
WASM_API_EXTERN struct wasmtime_exn_type *wasmtime_exnref_type(
    wasmtime_context_t *context, const wasmtime_exnref_t *exnref);

#ifdef __cplusplus
} // extern "C"
#endif

#endif // WASMTIME_FEATURE_GC

#endif // WASMTIME_EXN_H
