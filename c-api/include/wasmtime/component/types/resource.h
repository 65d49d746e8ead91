/**
 * \file wasmtime/component/types/resource.h
 *
 * \brief Resource types.
 */

#ifndef WASMTIME_COMPONENT_TYPES_RESOURCE_H
#define WASMTIME_COMPONENT_TYPES_RESOURCE_H

#include <wasmtime/conf.h>

#ifdef WASMTIME_FEATURE_COMPONENT_MODEL

#include <wasm.h>

#ifdef __cplusplus
extern "C" {
#endif

/// \brief Which resource a handle stands for: one of the host's, or one that a
/// component instance defines.
///
/// Owned by whoever received it, and freed with
/// `wasmtime_component_resource_type_delete`. Independent of any store, and
/// usable by many threads.
typedef struct wasmtime_component_resource_type
    wasmtime_component_resource_type_t;

/// Returns the resource type of the host's that goes by the number `ty`, owned
/// by the caller.
WASM_API_EXTERN wasmtime_component_resource_type_t *
wasmtime_component_resource_type_new_host(uint32_t ty);

/// Returns a copy, to be freed like the first.
WASM_API_EXTERN wasmtime_component_resource_type_t *
wasmtime_component_resource_type_clone(
    const wasmtime_component_resource_type_t *ty);

/// Whether the two are the same type: of the host's, those with the same number;
/// of guests', those of the same definition in the same instance.
WASM_API_EXTERN bool wasmtime_component_resource_type_equal(
    const wasmtime_component_resource_type_t *a,
    const wasmtime_component_resource_type_t *b);

/// Frees a resource type.
WASM_API_EXTERN void wasmtime_component_resource_type_delete(
    wasmtime_component_resource_type_t *resource);

#ifdef __cplusplus
} // extern "C"
#endif

#endif // WASMTIME_FEATURE_COMPONENT_MODEL

#endif // WASMTIME_COMPONENT_TYPES_RESOURCE_H
