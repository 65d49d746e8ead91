/**
 * \file wasmtime/error.h
 *
 * \brief Why a function of the API failed.
 */

#ifndef WASMTIME_ERROR_H
#define WASMTIME_ERROR_H

#include <wasm.h>

#ifdef __cplusplus
extern "C" {
#endif

/// \brief A failure with its message.
///
/// Every function that returns one returns null on success and else an error
/// owned by the caller, who frees it with `wasmtime_error_delete`. Not tied to
/// a store; one thread at a time.
typedef struct wasmtime_error wasmtime_error_t;

/// Returns an error with a copy of the NUL-terminated `message`, which must be
/// UTF-8.
WASM_API_EXTERN wasmtime_error_t *wasmtime_error_new(const char *message);

/// Frees the error.
WASM_API_EXTERN void wasmtime_error_delete(wasmtime_error_t *error);

/// Makes `*message` the text of the error with its causes; owned by the caller,
/// without a NUL at its end.
WASM_API_EXTERN void wasmtime_error_message(
    const wasmtime_error_t *error, wasm_name_t *message);

/// Whether the error is a WASI program's exit; if so, `*status` becomes its
/// status, else it is untouched.
///
/// `proc_exit` ends the guest through an error, not a trap, also with status 0.
WASM_API_EXTERN bool wasmtime_error_exit_status(
    const wasmtime_error_t *error, int *status);

/// Makes `*out` the wasm frames at which the error arose, innermost first;
/// empty when it did not arise in a guest. Owned by the caller.
WASM_API_EXTERN void wasmtime_error_wasm_trace(
    const wasmtime_error_t *error, wasm_frame_vec_t *out);

#ifdef __cplusplus
} // extern "C"
#endif

#endif // WASMTIME_ERROR_H
