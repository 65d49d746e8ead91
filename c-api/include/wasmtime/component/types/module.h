/**
 * \file wasmtime/component/types/module.h
 *
 * \brief The types of core modules that components import and export.
 */

#ifndef WASMTIME_COMPONENT_TYPES_MODULE_H
#define WASMTIME_COMPONENT_TYPES_MODULE_H

#include <wasmtime/conf.h>

#ifdef WASMTIME_FEATURE_COMPONENT_MODEL

#include <wasm.h>

#ifdef __cplusplus
extern "C" {
#endif

/// \brief What a module imports and exports, in order.
///
/// Owned by whoever received it, and freed with `wasmtime_module_type_delete`.
/// Independent of what it describes, and usable by many threads.
typedef struct wasmtime_module_type wasmtime_module_type_t;

/// Returns a second handle to the same type, to be freed like the first.
WASM_API_EXTERN wasmtime_module_type_t *wasmtime_module_type_clone(
    const wasmtime_module_type_t *ty);

/// Frees this handle to a type.
WASM_API_EXTERN void wasmtime_module_type_delete(wasmtime_module_type_t *ty);

/// The number of imports.
WASM_API_EXTERN size_t wasmtime_module_type_import_count(
    const wasmtime_module_type_t *ty, const wasm_engine_t *engine);

/// Returns the import number `nth`, owned by the caller; null past the last.
WASM_API_EXTERN wasm_importtype_t *wasmtime_module_type_import_nth(
    const wasmtime_module_type_t *ty, const wasm_engine_t *engine,
    size_t nth);

/// The number of exports.
WASM_API_EXTERN size_t wasmtime_module_type_export_count(
    const wasmtime_module_type_t *ty, const wasm_engine_t *engine);

/// Returns the export number `nth`, owned by the caller; null past the last.
WASM_API_EXTERN wasm_exporttype_t *wasmtime_module_type_export_nth(
    const wasmtime_module_type_t *ty, const wasm_engine_t *engine,
    size_t nth);

#ifdef __cplusplus
} // extern "C"
#endif

#endif // WASMTIME_FEATURE_COMPONENT_MODEL

#endif // WASMTIME_COMPONENT_TYPES_MODULE_H
