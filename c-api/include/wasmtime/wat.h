/**
 * \file wasmtime/wat.h
 *
 * \brief The text format.
 */

#ifndef WASMTIME_WAT_H
#define WASMTIME_WAT_H

#include <wasmtime/conf.h>
#include <wasmtime/error.h>

#ifdef WASMTIME_FEATURE_WAT

#ifdef __cplusplus
extern "C" {
#endif

/// Makes `*ret` the binary form, owned by the caller, of the `wat_len` bytes of
/// text (UTF-8) at `wat`.
///
/// Returns an error that shows the place when the text is not understood. The
/// binary may still be invalid as a module.
WASM_API_EXTERN wasmtime_error_t *wasmtime_wat2wasm(
    const char *wat, size_t wat_len, wasm_byte_vec_t *ret);

#ifdef __cplusplus
} // extern "C"
#endif

#endif // WASMTIME_FEATURE_WAT

#endif // WASMTIME_WAT_H
