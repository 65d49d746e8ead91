/**
 * \file wasmtime/component/types/instance.h
 *
 * \brief The types of instances of components.
 */

#ifndef WASMTIME_COMPONENT_TYPES_INSTANCE_H
#define WASMTIME_COMPONENT_TYPES_INSTANCE_H

#include <wasmtime/conf.h>

#ifdef WASMTIME_FEATURE_COMPONENT_MODEL

#include <wasm.h>

#ifdef __cplusplus
extern "C" {
#endif

/// \brief What an instance exports, by name, as declared.
///
/// Owned by whoever received it, and freed with
/// `wasmtime_component_instance_type_delete`. Independent of what it describes,
/// and usable by many threads.
typedef struct wasmtime_component_instance_type
    wasmtime_component_instance_type_t;

struct wasmtime_component_item_t;

/// Returns a second handle to the same type, to be freed like the first.
WASM_API_EXTERN wasmtime_component_instance_type_t *
wasmtime_component_instance_type_clone(
    const wasmtime_component_instance_type_t *ty);

/// Frees this handle to a type.
WASM_API_EXTERN void wasmtime_component_instance_type_delete(
    wasmtime_component_instance_type_t *ty);

/// The number of exports.
WASM_API_EXTERN size_t wasmtime_component_instance_type_export_count(
    const wasmtime_component_instance_type_t *ty,
    const wasm_engine_t *engine);

/// Sets `*ret` to the type of the export `name`, exactly, owned by the caller,
/// and returns true; false when there is none.
WASM_API_EXTERN bool wasmtime_component_instance_type_export_get(
    const wasmtime_component_instance_type_t *ty, const wasm_engine_t *engine,
    const char *name, size_t name_len,
    struct wasmtime_component_item_t *ret);

/// Sets `*name_ret` and `*name_len_ret` to the name of the export number `nth`,
/// which lives as long as `ty`, and `*type_ret` to its type, owned by the
/// caller, and returns true; false past the last.
WASM_API_EXTERN bool wasmtime_component_instance_type_export_nth(
    const wasmtime_component_instance_type_t *ty, const wasm_engine_t *engine,
    size_t nth, const char **name_ret, size_t *name_len_ret,
    struct wasmtime_component_item_t *type_ret);

#ifdef __cplusplus
} // extern "C"
#endif

#endif // WASMTIME_FEATURE_COMPONENT_MODEL

#endif // WASMTIME_COMPONENT_TYPES_INSTANCE_H
