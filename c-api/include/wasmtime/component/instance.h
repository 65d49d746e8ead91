/**
 * \file wasmtime/component/instance.h
 *
 * \brief Components brought to life in a store.
 */

#ifndef WASMTIME_COMPONENT_INSTANCE_H
#define WASMTIME_COMPONENT_INSTANCE_H

#include <wasmtime/component/component.h>
#include <wasmtime/component/func.h>
#include <wasmtime/conf.h>
#include <wasmtime/store.h>

#ifdef WASMTIME_FEATURE_COMPONENT_MODEL

#ifdef __cplusplus
extern "C" {
#endif

/// \brief An instance of a component, in a store.
///
/// A handle: it may be copied, is never freed, and is good as long as the
/// store.
typedef struct wasmtime_component_instance {
  /// The store's number; 0 is no store's.
  uint64_t store_id;
  /// Not to be touched.
  uint32_t __private;
} wasmtime_component_instance_t;

/// As `wasmtime_component_get_export_index`, of the component that the instance
/// is of. An instance of another store ends the process.
WASM_API_EXTERN wasmtime_component_export_index_t *
wasmtime_component_instance_get_export_index(
    const wasmtime_component_instance_t *instance,
    wasmtime_context_t *context,
    const wasmtime_component_export_index_t *instance_export_index,
    const char *name, size_t name_len);

/// Sets `*func_out` to the exported function at this place and returns true;
/// false when it is not a function, or the index another component's. An
/// instance of another store ends the process.
WASM_API_EXTERN bool wasmtime_component_instance_get_func(
    const wasmtime_component_instance_t *instance,
    wasmtime_context_t *context,
    const wasmtime_component_export_index_t *export_index,
    wasmtime_component_func_t *func_out);

#ifdef __cplusplus
} // extern "C"
#endif

#endif // WASMTIME_FEATURE_COMPONENT_MODEL

#endif // WASMTIME_COMPONENT_INSTANCE_H
