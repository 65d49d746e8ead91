/**
 * \file wasmtime/component/component.h
 *
 * \brief Components: validated code of an engine, ready to be instantiated.
 */

#ifndef WASMTIME_COMPONENT_COMPONENT_H
#define WASMTIME_COMPONENT_COMPONENT_H

#include <wasm.h>
#include <wasmtime/component/types/component.h>
#include <wasmtime/conf.h>
#include <wasmtime/error.h>

#ifdef WASMTIME_FEATURE_COMPONENT_MODEL

#ifdef __cplusplus
extern "C" {
#endif

/// \brief A valid component.
///
/// Immutable and not tied to a store: any number of threads may use and
/// instantiate it. Reference-counted; instances keep what they need of it
/// alive.
typedef struct wasmtime_component_t wasmtime_component_t;

#ifdef WASMTIME_FEATURE_COMPILER
/// Validates the `len` bytes of component at `buf`, in binary or text form, and
/// sets `*component_out` to a component owned by the caller.
///
/// Returns an error when the bytes are a core module, are not valid, or use a
/// proposal that the engine's configuration has off, which the message names.
/// The bytes are not needed afterwards.
WASM_API_EXTERN wasmtime_error_t *wasmtime_component_new(
    const wasm_engine_t *engine, const uint8_t *buf, size_t len,
    wasmtime_component_t **component_out);

/// Makes `*ret` the compiled component as bytes, owned by the caller, for
/// `wasmtime_component_deserialize`. Compiles what is not compiled yet; an error
/// when that fails.
WASM_API_EXTERN wasmtime_error_t *wasmtime_component_serialize(
    const wasmtime_component_t *component, wasm_byte_vec_t *ret);
#endif // WASMTIME_FEATURE_COMPILER

/// Sets `*component_out` to the component that `wasmtime_component_serialize`
/// wrote; owned by the caller.
///
/// Returns an error when the bytes are damaged, are a module's, or were made by
/// another version, for another machine or under a configuration that does not
/// fit this engine's. The bytes are copied. **They are code**: this only catches
/// mistakes, so bytes from somebody else must be authenticated first.
WASM_API_EXTERN wasmtime_error_t *wasmtime_component_deserialize(
    const wasm_engine_t *engine, const uint8_t *buf, size_t len,
    wasmtime_component_t **component_out);

/// As `wasmtime_component_deserialize`, from the file at the NUL-terminated
/// `path`, whose machine code is mapped rather than read; the file must not
/// change while the component lives. An error, too, when the file cannot be
/// opened or mapped.
WASM_API_EXTERN wasmtime_error_t *wasmtime_component_deserialize_file(
    const wasm_engine_t *engine, const char *path,
    wasmtime_component_t **component_out);

/// Returns a second handle to the same component, to be freed like the first.
WASM_API_EXTERN wasmtime_component_t *wasmtime_component_clone(
    const wasmtime_component_t *component);

/// Returns the type of the component, owned by the caller, which may outlive
/// it.
WASM_API_EXTERN wasmtime_component_type_t *wasmtime_component_type(
    const wasmtime_component_t *component);

/// Frees this handle to a component.
WASM_API_EXTERN void wasmtime_component_delete(
    wasmtime_component_t *component);

/// \brief The place of an export, found once by name.
///
/// Good for every instance of the component, in any store, and after the
/// component's deletion. Any number of threads may use it.
typedef struct wasmtime_component_export_index_t
    wasmtime_component_export_index_t;

/// Returns the place of the export `name`, of `name_len` bytes, owned by the
/// caller; null when there is none.
///
/// It is an export of the component itself where `instance_export_index` is
/// null, and else of the exported instance at that place, which is borrowed; it
/// may be a type. A name with a version finds the newest export of the same
/// name whose version is compatible, when none has exactly this one:
/// `wasi:cli/run@0.2.0` finds `wasi:cli/run@0.2.6`, as does
/// `wasi:cli/run@0.2.9`.
WASM_API_EXTERN wasmtime_component_export_index_t *
wasmtime_component_get_export_index(
    const wasmtime_component_t *component,
    const wasmtime_component_export_index_t *instance_export_index,
    const char *name, size_t name_len);

/// Returns a copy of the index, to be freed like the first.
WASM_API_EXTERN wasmtime_component_export_index_t *
wasmtime_component_export_index_clone(
    const wasmtime_component_export_index_t *index);

/// Frees an index.
WASM_API_EXTERN void wasmtime_component_export_index_delete(
    wasmtime_component_export_index_t *export_index);

#ifdef __cplusplus
} // extern "C"
#endif

#endif // WASMTIME_FEATURE_COMPONENT_MODEL

#endif // WASMTIME_COMPONENT_COMPONENT_H
