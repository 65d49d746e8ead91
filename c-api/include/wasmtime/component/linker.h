/**
 * \file wasmtime/component/linker.h
 *
 * \brief Linkers: what components import, by name.
 */

#ifndef WASMTIME_COMPONENT_LINKER_H
#define WASMTIME_COMPONENT_LINKER_H

#include <wasm.h>
#include <wasmtime/async.h>
#include <wasmtime/component/component.h>
#include <wasmtime/component/instance.h>
#include <wasmtime/component/types/func.h>
#include <wasmtime/conf.h>
#include <wasmtime/error.h>
#include <wasmtime/module.h>
#include <wasmtime/store.h>

#ifdef WASMTIME_FEATURE_COMPONENT_MODEL

#ifdef __cplusplus
extern "C" {
#endif

/// \brief What components import: functions, modules, resource types, and
/// instances of these, each under a name.
///
/// Names are UTF-8. One with a version (`wasi:cli/run@0.2.6`) also serves
/// imports of compatible versions, older and newer, unless the linker has
/// exactly the one that is imported; the newest serves where several could.
///
/// One thread at a time while it is changed; several may instantiate through
/// one that is not.
typedef struct wasmtime_component_linker_t wasmtime_component_linker_t;

/// \brief An instance of a linker, to add items to: the root, or one with a
/// name.
///
/// Owned by whoever received it, and freed before the linker. It leads to its
/// instance by name: an instance that was replaced by another of that name
/// (`wasmtime_component_linker_allow_shadowing`) is no longer reached.
typedef struct wasmtime_component_linker_instance_t
    wasmtime_component_linker_instance_t;

/// Returns a linker without items for components of `engine`, owned by the
/// caller.
WASM_API_EXTERN wasmtime_component_linker_t *wasmtime_component_linker_new(
    const wasm_engine_t *engine);

/// Whether adding a name again replaces the item, an instance with all that is
/// in it, from now on. By default that is an error.
WASM_API_EXTERN void wasmtime_component_linker_allow_shadowing(
    wasmtime_component_linker_t *linker, bool allow);

/// Returns the root, owned by the caller: the items that components import by
/// themselves.
WASM_API_EXTERN wasmtime_component_linker_instance_t *
wasmtime_component_linker_root(wasmtime_component_linker_t *linker);

/// Instantiates `component` in the store, with its imports found by name, and
/// sets `*instance_out` to the instance.
///
/// Returns an error that names the import when one is missing or does not fit;
/// an error, too, when a limit of the store refuses, when a start function
/// traps (after which no component of the store can be called), or when the
/// component or the store is of another engine.
WASM_API_EXTERN wasmtime_error_t *wasmtime_component_linker_instantiate(
    const wasmtime_component_linker_t *linker, wasmtime_context_t *context,
    const wasmtime_component_t *component,
    wasmtime_component_instance_t *instance_out);

#ifdef WASMTIME_FEATURE_ASYNC
/// Begins to instantiate, as `wasmtime_component_linker_instantiate` would; the
/// result is as that of `wasmtime_component_func_call_async`. Neither the linker
/// nor the component is needed afterwards. Not in 44.0.0.
WASM_API_EXTERN wasmtime_call_future_t *
wasmtime_component_linker_instantiate_async(
    const wasmtime_component_linker_t *linker, wasmtime_context_t *context,
    const wasmtime_component_t *component,
    wasmtime_component_instance_t *instance_out, wasmtime_error_t **error_ret);
#endif // WASMTIME_FEATURE_ASYNC

/// Defines what `component` imports and the linker lacks, such that it can be
/// instantiated: a call to a function so defined is an error that names it, and
/// resource types are equal to none of the host's.
///
/// Returns an error when a module or a component is missing.
WASM_API_EXTERN wasmtime_error_t *
wasmtime_component_linker_define_unknown_imports_as_traps(
    wasmtime_component_linker_t *linker,
    const wasmtime_component_t *component);

/// Frees the linker. The finalizers of its functions and resource types run
/// when no store in which it has instantiated uses them any more either.
WASM_API_EXTERN void wasmtime_component_linker_delete(
    wasmtime_component_linker_t *linker);

/// Adds an instance without items, and sets `*linker_instance_out` to it, owned
/// by the caller. An error when the name is taken, or is not UTF-8.
WASM_API_EXTERN wasmtime_error_t *
wasmtime_component_linker_instance_add_instance(
    wasmtime_component_linker_instance_t *linker_instance, const char *name,
    size_t name_len,
    wasmtime_component_linker_instance_t **linker_instance_out);

/// Adds a core module, to which the linker keeps a reference. An error when the
/// name is taken, or is not UTF-8.
WASM_API_EXTERN wasmtime_error_t *
wasmtime_component_linker_instance_add_module(
    wasmtime_component_linker_instance_t *linker_instance, const char *name,
    size_t name_len, const wasmtime_module_t *module);

/// \brief A host function that components call.
///
/// Gets the `data` that it was added with, the store, its type as the component
/// imports it (borrowed), the `nargs` arguments, and place for `nresults`
/// results: one or none.
///
/// Arguments are the library's; what one holds may be taken out if a valid value
/// is left in its place. Results are `bool`s before; what the callback puts there
/// is the library's.
///
/// Returns null on success, or an error, which is the library's from then on:
/// the guest ends with it.
typedef wasmtime_error_t *(*wasmtime_component_func_callback_t)(
    void *data, wasmtime_context_t *context,
    const wasmtime_component_func_type_t *type,
    wasmtime_component_val_t *args, size_t nargs,
    wasmtime_component_val_t *results, size_t nresults);

/// Adds a host function, of whatever type the component imports it with.
///
/// `finalizer(data)`, where it is not null, runs when neither the linker nor a
/// store needs the function any more. An error, after running the finalizer,
/// when the name is taken, or is not UTF-8.
WASM_API_EXTERN wasmtime_error_t *wasmtime_component_linker_instance_add_func(
    wasmtime_component_linker_instance_t *linker_instance, const char *name,
    size_t name_len, wasmtime_component_func_callback_t callback, void *data,
    void (*finalizer)(void *));

#ifdef WASMTIME_FEATURE_ASYNC
/// \brief A host function that components call, and that may finish later.
///
/// As `wasmtime_component_func_callback_t`, except that it fills
/// `*continuation_ret` (all zeros at first), and that `args`, `results` and
/// `error_ret` stay valid until the continuation has returned true. An error is
/// given up through `*error_ret`, which is null at first. None of them is used
/// once the call was given up.
typedef void (*wasmtime_component_func_async_callback_t)(
    void *data, wasmtime_context_t *context,
    const wasmtime_component_func_type_t *type,
    wasmtime_component_val_t *args, size_t nargs,
    wasmtime_component_val_t *results, size_t nresults,
    wasmtime_error_t **error_ret,
    wasmtime_async_continuation_t *continuation_ret);

/// Adds a host function that may finish later; otherwise as
/// `wasmtime_component_linker_instance_add_func`. It can be called in calls
/// that are polled only: in another, calling it is an error. While it is
/// pending, other tasks of the store's components go on. Not in 44.0.0.
WASM_API_EXTERN wasmtime_error_t *
wasmtime_component_linker_instance_add_func_async(
    wasmtime_component_linker_instance_t *linker_instance, const char *name,
    size_t name_len, wasmtime_component_func_async_callback_t callback,
    void *data, void (*finalizer)(void *));
#endif // WASMTIME_FEATURE_ASYNC

#ifdef WASMTIME_FEATURE_WASI
/// Adds the interfaces of WASI 0.2, which serve components of every version of
/// it. A store needs `wasmtime_context_set_wasi` before a component calls one of
/// their functions: without it, the call fails with an error. An error when a
/// name is taken and may not be shadowed.
///
/// A component that exits (`wasi:cli/exit`) ends its call with an error, of
/// which `wasmtime_error_exit_status` tells the status.
WASM_API_EXTERN wasmtime_error_t *wasmtime_component_linker_add_wasip2(
    wasmtime_component_linker_t *linker);

#ifdef WASMTIME_FEATURE_ASYNC
/// The same: whether a guest that waits leaves the thread to the caller is a
/// matter of the call that it is in. Not in 44.0.0.
WASM_API_EXTERN wasmtime_error_t *wasmtime_component_linker_add_wasip2_async(
    wasmtime_component_linker_t *linker);
#endif // WASMTIME_FEATURE_ASYNC
#endif // WASMTIME_FEATURE_WASI

#ifdef WASMTIME_FEATURE_WASI_HTTP
/// Adds `wasi:http/types` and `wasi:http/outgoing-handler`, which serve
/// components of every version of 0.2, before or after
/// `wasmtime_component_linker_add_wasip2`, whose interfaces they use. A store
/// needs `wasmtime_context_set_wasi_http` before a component calls one of their
/// functions: without it, the call fails with an error. An error when a name is
/// taken and may not be shadowed.
WASM_API_EXTERN wasmtime_error_t *wasmtime_component_linker_add_wasi_http(
    wasmtime_component_linker_t *linker);

#ifdef WASMTIME_FEATURE_ASYNC
/// The same; see `wasmtime_component_linker_add_wasip2_async`. Not in 44.0.0.
WASM_API_EXTERN wasmtime_error_t *
wasmtime_component_linker_add_wasi_http_async(
    wasmtime_component_linker_t *linker);
#endif // WASMTIME_FEATURE_ASYNC
#endif // WASMTIME_FEATURE_WASI_HTTP

/// \brief What happens when nobody has a resource of the host's any more.
///
/// Gets the `data` that the type was added with, the store, and the number that
/// the host gave the resource (`rep`). Returns null on success, or an error,
/// which is the library's from then on, and that of what has dropped the
/// resource.
typedef wasmtime_error_t *(*wasmtime_component_resource_destructor_t)(
    void *data, wasmtime_context_t *context, uint32_t rep);

/// Adds a resource type of the host's (`resource`, borrowed). The destructor
/// runs when a guest drops an owned handle, and when the host drops one that a
/// guest has had (`wasmtime_component_resource_any_drop`).
///
/// `finalizer(data)` as in `wasmtime_component_linker_instance_add_func`. An
/// error, after running the finalizer, when the name is taken, is not UTF-8, or
/// the type is a guest's.
WASM_API_EXTERN wasmtime_error_t *
wasmtime_component_linker_instance_add_resource(
    wasmtime_component_linker_instance_t *linker_instance, const char *name,
    size_t name_len, const wasmtime_component_resource_type_t *resource,
    wasmtime_component_resource_destructor_t destructor, void *data,
    void (*finalizer)(void *));

/// Frees this way to an instance; the instance stays in the linker.
WASM_API_EXTERN void wasmtime_component_linker_instance_delete(
    wasmtime_component_linker_instance_t *linker_instance);

#ifdef __cplusplus
} // extern "C"
#endif

#endif // WASMTIME_FEATURE_COMPONENT_MODEL

#endif // WASMTIME_COMPONENT_LINKER_H
