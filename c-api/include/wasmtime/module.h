/**
 * \file wasmtime/module.h
 *
 * \brief Modules: validated code of an engine, ready to be instantiated.
 */

#ifndef WASMTIME_MODULE_H
#define WASMTIME_MODULE_H

#include <wasm.h>
#include <wasmtime/conf.h>
#include <wasmtime/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/// \brief A valid module.
///
/// Immutable and not tied to a store: any number of threads may use and
/// instantiate it. Reference-counted; instances keep what they need of it
/// alive.
typedef struct wasmtime_module wasmtime_module_t;

#ifdef WASMTIME_FEATURE_COMPILER
/// Validates the `wasm_len` bytes of binary module at `wasm` and sets `*ret` to
/// a module owned by the caller.
///
/// Returns an error when the bytes are not a valid module, or use a proposal
/// that the engine's configuration has off. The bytes are not needed
/// afterwards.
WASM_API_EXTERN wasmtime_error_t *wasmtime_module_new(
    wasm_engine_t *engine, const uint8_t *wasm, size_t wasm_len,
    wasmtime_module_t **ret);
#endif // WASMTIME_FEATURE_COMPILER

/// Frees this handle to a module.
WASM_API_EXTERN void wasmtime_module_delete(wasmtime_module_t *m);

/// Returns a second handle to the same module, to be freed like the first.
WASM_API_EXTERN wasmtime_module_t *wasmtime_module_clone(wasmtime_module_t *m);

/// Makes `*out` the module's imports, in order; owned by the caller.
WASM_API_EXTERN void wasmtime_module_imports(
    const wasmtime_module_t *module, wasm_importtype_vec_t *out);

/// Makes `*out` the module's exports, in order; owned by the caller.
WASM_API_EXTERN void wasmtime_module_exports(
    const wasmtime_module_t *module, wasm_exporttype_vec_t *out);

#ifdef WASMTIME_FEATURE_COMPILER
/// Returns null when `wasmtime_module_new` would accept the bytes, else the
/// error that says why not. Compiles nothing.
WASM_API_EXTERN wasmtime_error_t *wasmtime_module_validate(
    wasm_engine_t *engine, const uint8_t *wasm, size_t wasm_len);

/// Makes `*ret` the compiled module as bytes, owned by the caller, for
/// `wasmtime_module_deserialize`.
WASM_API_EXTERN wasmtime_error_t *wasmtime_module_serialize(
    wasmtime_module_t *module, wasm_byte_vec_t *ret);
#endif // WASMTIME_FEATURE_COMPILER

/// Sets `*ret` to the module that `wasmtime_module_serialize` wrote; owned by
/// the caller.
///
/// Returns an error when the bytes are damaged, or were made by another version,
/// for another machine or under a configuration that does not fit this engine's. The bytes
/// are copied. **They are code**: this only catches mistakes, so bytes from
/// somebody else must be authenticated first.
WASM_API_EXTERN wasmtime_error_t *wasmtime_module_deserialize(
    wasm_engine_t *engine, const uint8_t *bytes, size_t bytes_len,
    wasmtime_module_t **ret);

/// As `wasmtime_module_deserialize`, from the file at the NUL-terminated
/// `path`, which is mapped rather than read and must not change while the
/// module lives; the machine code in it is not looked at. An error, too, when the
/// file cannot be opened or mapped.
WASM_API_EXTERN wasmtime_error_t *wasmtime_module_deserialize_file(
    wasm_engine_t *engine, const char *path, wasmtime_module_t **ret);

/// Sets `*start` and `*end` to the range of addresses in this process that
/// holds the module's machine code, or has room for it where functions are
/// compiled as they are called. A module whose code becomes unusually large then
/// has more of it elsewhere.
WASM_API_EXTERN void wasmtime_module_image_range(
    const wasmtime_module_t *module, void **start, void **end);

#ifdef __cplusplus
} // extern "C"
#endif

#endif // WASMTIME_MODULE_H
