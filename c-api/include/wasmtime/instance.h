/**
 * \file wasmtime/instance.h
 *
 * \brief Instances: modules brought to life in a store.
 */

#ifndef WASMTIME_INSTANCE_H
#define WASMTIME_INSTANCE_H

#include <wasm.h>
#include <wasmtime/extern.h>
#include <wasmtime/module.h>
#include <wasmtime/store.h>

#ifdef __cplusplus
extern "C" {
#endif

/// \brief A handle to an instance of a store. Nothing to free.
typedef struct wasmtime_instance {
  /// The store it belongs to; never 0.
  uint64_t store_id;
  /// Private.
  size_t __private;
} wasmtime_instance_t;

/// Instantiates `module` with the `nimports` externs `imports` (borrowed), one
/// for each import in the order of `wasmtime_module_imports`, and runs its
/// start function.
///
/// Sets `*instance` and returns null with `*trap` untouched on success. Returns
/// null with `*trap` set to a trap owned by the caller when the start function
/// or a segment's initialization trapped. Returns an error when the number of
/// imports is wrong, one does not match, is null or of another store, when the
/// module is of another engine, or when a limit of the store or of the engine's
/// pool would be exceeded, or the system has no memory; and when the start
/// function threw an exception, which is then pending.
WASM_API_EXTERN wasmtime_error_t *wasmtime_instance_new(
    wasmtime_context_t *store, const wasmtime_module_t *module,
    const wasmtime_extern_t *imports, size_t nimports,
    wasmtime_instance_t *instance, wasm_trap_t **trap);

/// Sets `*item` to the export `name` and returns true, or returns false when
/// there is none, or the instance is of another store. The extern belongs to the
/// caller.
WASM_API_EXTERN bool wasmtime_instance_export_get(
    wasmtime_context_t *store, const wasmtime_instance_t *instance,
    const char *name, size_t name_len, wasmtime_extern_t *item);

/// Sets `*item` to the export number `index`, in the order of
/// `wasmtime_module_exports`, and returns true; false past the last, or when the
/// instance is of another store.
///
/// `*name` and `*name_len` become its name, without a NUL; it lives as long as
/// the store. The extern belongs to the caller.
WASM_API_EXTERN bool wasmtime_instance_export_nth(
    wasmtime_context_t *store, const wasmtime_instance_t *instance,
    size_t index, char **name, size_t *name_len, wasmtime_extern_t *item);

/// \brief A module with its imports looked up and checked, ready for any number
/// of instances.
///
/// Made by `wasmtime_linker_instantiate_pre`. May be used by several threads at
/// once, each with a store of its own, unless the linker held items of one
/// store.
typedef struct wasmtime_instance_pre wasmtime_instance_pre_t;

/// Frees this handle.
WASM_API_EXTERN void wasmtime_instance_pre_delete(
    wasmtime_instance_pre_t *instance_pre);

/// Instantiates in `store`; as `wasmtime_instance_new`, without looking
/// anything up. Items that the linker held must be of this store, or it is an
/// error.
WASM_API_EXTERN wasmtime_error_t *wasmtime_instance_pre_instantiate(
    const wasmtime_instance_pre_t *instance_pre, wasmtime_context_t *store,
    wasmtime_instance_t *instance, wasm_trap_t **trap_ptr);

/// Returns a handle to the module, owned by the caller.
WASM_API_EXTERN wasmtime_module_t *wasmtime_instance_pre_module(
    wasmtime_instance_pre_t *instance_pre);

#ifdef __cplusplus
} // extern "C"
#endif

#endif // WASMTIME_INSTANCE_H
