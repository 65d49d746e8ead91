/**
 * \file wasmtime/component/types/func.h
 *
 * \brief The types of functions of the component model.
 */

#ifndef WASMTIME_COMPONENT_TYPES_FUNC_H
#define WASMTIME_COMPONENT_TYPES_FUNC_H

#include <wasmtime/conf.h>

#ifdef WASMTIME_FEATURE_COMPONENT_MODEL

#include <wasm.h>
#include <wasmtime/component/types/val.h>

#ifdef __cplusplus
extern "C" {
#endif

/// \brief Parameters with names, and perhaps a result.
///
/// Owned by whoever received it, and freed with
/// `wasmtime_component_func_type_delete`. Independent of what it describes, and
/// usable by many threads.
typedef struct wasmtime_component_func_type_t wasmtime_component_func_type_t;

/// Returns a second handle to the same type, to be freed like the first.
WASM_API_EXTERN wasmtime_component_func_type_t *
wasmtime_component_func_type_clone(const wasmtime_component_func_type_t *ty);

/// Frees this handle to a type.
WASM_API_EXTERN void wasmtime_component_func_type_delete(
    wasmtime_component_func_type_t *ty);

/// Whether the function is declared `async`.
WASM_API_EXTERN bool wasmtime_component_func_type_async(
    const wasmtime_component_func_type_t *ty);

/// The number of parameters.
WASM_API_EXTERN size_t wasmtime_component_func_type_param_count(
    const wasmtime_component_func_type_t *ty);

/// Sets `*name_ret` and `*name_len_ret` to the name of the parameter number
/// `nth`, which lives as long as `ty`, and `*type_ret` to its type, owned by the
/// caller, and returns true; false past the last.
WASM_API_EXTERN bool wasmtime_component_func_type_param_nth(
    const wasmtime_component_func_type_t *ty, size_t nth,
    const char **name_ret, size_t *name_len_ret,
    wasmtime_component_valtype_t *type_ret);

/// Sets `*type_ret` to the type of the result, owned by the caller, and returns
/// true; false when the function has none.
WASM_API_EXTERN bool wasmtime_component_func_type_result(
    const wasmtime_component_func_type_t *ty,
    wasmtime_component_valtype_t *type_ret);

#ifdef __cplusplus
} // extern "C"
#endif

#endif // WASMTIME_FEATURE_COMPONENT_MODEL

#endif // WASMTIME_COMPONENT_TYPES_FUNC_H
