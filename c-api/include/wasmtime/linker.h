/**
 * \file wasmtime/linker.h
 *
 * \brief Linkers: finding the imports of modules by name.
 */

#ifndef WASMTIME_LINKER_H
#define WASMTIME_LINKER_H

#include <wasm.h>
#include <wasmtime/conf.h>
#include <wasmtime/error.h>
#include <wasmtime/extern.h>
#include <wasmtime/func.h>
#include <wasmtime/instance.h>
#include <wasmtime/store.h>

#ifdef __cplusplus
extern "C" {
#endif

/// \brief A set of items, each under a module name and an item name.
///
/// Host functions defined by `wasmtime_linker_define_func` fit every store of
/// the engine; the other items are those of one store. One thread at a time
/// while it is changed; several may instantiate through one that is not.
typedef struct wasmtime_linker wasmtime_linker_t;

/// Returns an empty linker of `engine`, owned by the caller.
WASM_API_EXTERN wasmtime_linker_t *wasmtime_linker_new(wasm_engine_t *engine);

/// Returns a copy with the same items and settings, owned by the caller.
WASM_API_EXTERN wasmtime_linker_t *wasmtime_linker_clone(
    wasmtime_linker_t *linker);

/// Frees the linker. The finalizers of its host functions run when no store
/// uses them any more either.
WASM_API_EXTERN void wasmtime_linker_delete(wasmtime_linker_t *linker);

/// Whether defining a name again replaces the item, from now on. By default
/// that is an error.
WASM_API_EXTERN void wasmtime_linker_allow_shadowing(
    wasmtime_linker_t *linker, bool allow_shadowing);

/// Defines every function that `module` imports and the linker lacks as one
/// whose call fails with an error that names the import. What else it lacks
/// stays missing. Returns null, unless a function's adapter cannot be compiled.
WASM_API_EXTERN wasmtime_error_t *
wasmtime_linker_define_unknown_imports_as_traps(
    wasmtime_linker_t *linker, wasmtime_module_t *module);

/// Defines everything that `module` imports and the linker lacks: functions
/// that return zeros and nulls, and globals, tables and memories (made in
/// `store`) that hold them. An error when one cannot be made, which names it
/// where a limit of the store is the reason, or when `store` is of another
/// engine; what came before it stays defined.
WASM_API_EXTERN wasmtime_error_t *
wasmtime_linker_define_unknown_imports_as_default_values(
    wasmtime_linker_t *linker, wasmtime_context_t *store,
    wasmtime_module_t *module);

/// Defines `item` (borrowed) of `store` as `module`.`name`. An error when that
/// name is taken and may not be shadowed, when one of the two is not UTF-8, or
/// when the item is null or of another store, or the store of another engine.
WASM_API_EXTERN wasmtime_error_t *wasmtime_linker_define(
    wasmtime_linker_t *linker, wasmtime_context_t *store, const char *module,
    size_t module_len, const char *name, size_t name_len,
    const wasmtime_extern_t *item);

/// Defines a host function for every store of the engine as `module`.`name`; as
/// `wasmtime_func_new`, but `finalizer(data)` runs when neither this linker nor
/// a store uses the function. An error, after running the finalizer, when the
/// name is taken and may not be shadowed, when one of the two is not UTF-8, or
/// when the function's adapter cannot be compiled.
WASM_API_EXTERN wasmtime_error_t *wasmtime_linker_define_func(
    wasmtime_linker_t *linker, const char *module, size_t module_len,
    const char *name, size_t name_len, const wasm_functype_t *ty,
    wasmtime_func_callback_t cb, void *data, void (*finalizer)(void *));

/// As `wasmtime_linker_define_func`, for a callback whose results nobody
/// checks.
WASM_API_EXTERN wasmtime_error_t *wasmtime_linker_define_func_unchecked(
    wasmtime_linker_t *linker, const char *module, size_t module_len,
    const char *name, size_t name_len, const wasm_functype_t *ty,
    wasmtime_func_unchecked_callback_t cb, void *data,
    void (*finalizer)(void *));

#ifdef WASMTIME_FEATURE_WASI
/// Defines the functions of WASI preview 1. A store needs
/// `wasmtime_context_set_wasi` before one of them is called: without it, the
/// call fails with an error. An error when a name is taken and may not be
/// shadowed.
WASM_API_EXTERN wasmtime_error_t *wasmtime_linker_define_wasi(
    wasmtime_linker_t *linker);
#endif // WASMTIME_FEATURE_WASI

/// Defines every export of `instance` under the module name `name`. An error
/// when a name is taken and may not be shadowed, when `name` is not UTF-8, or
/// when the instance is of another store, or the store of another engine.
WASM_API_EXTERN wasmtime_error_t *wasmtime_linker_define_instance(
    wasmtime_linker_t *linker, wasmtime_context_t *store, const char *name,
    size_t name_len, const wasmtime_instance_t *instance);

/// Instantiates `module` in `store` with items found by name; results as in
/// `wasmtime_instance_new`. An error that names the import when one is missing
/// or does not match; an error, too, when it is of another store, or the module
/// or the store of another engine.
WASM_API_EXTERN wasmtime_error_t *wasmtime_linker_instantiate(
    const wasmtime_linker_t *linker, wasmtime_context_t *store,
    const wasmtime_module_t *module, wasmtime_instance_t *instance,
    wasm_trap_t **trap);

/// Defines the exports of `module` under the module name `name`.
///
/// A command (it exports `_start`) is instantiated anew for every call from
/// outside to one of its functions. Anything else is a reactor: it is
/// instantiated in `store` now, its `_initialize` function called if there is
/// one, and its exports defined.
///
/// An error when the module exports both names, or under one of them no
/// function; when `_initialize` has parameters or results; when a command
/// exports something else than functions, except for what C compilers export
/// besides (`memory`, `__indirect_function_table`, `__heap_base`, `__data_end`,
/// `__dso_handle`), which is passed over; when an import is missing or does not
/// match, when something traps, when a name is taken and may not be shadowed, or
/// when `name` is not UTF-8.
WASM_API_EXTERN wasmtime_error_t *wasmtime_linker_module(
    wasmtime_linker_t *linker, wasmtime_context_t *store, const char *name,
    size_t name_len, const wasmtime_module_t *module);

/// Sets `*func` to what running the module `name` means: its export with an
/// empty name, else its export `_start`, else a function that does nothing. An
/// error when that export is not a function, `name` not UTF-8, or the store of
/// another engine.
WASM_API_EXTERN wasmtime_error_t *wasmtime_linker_get_default(
    const wasmtime_linker_t *linker, wasmtime_context_t *store,
    const char *name, size_t name_len, wasmtime_func_t *func);

/// Sets `*item` to `module`.`name` for `store` and returns true; false when it
/// is not defined. The extern belongs to the caller. A store of another engine
/// than the linker's ends the process.
WASM_API_EXTERN bool wasmtime_linker_get(
    const wasmtime_linker_t *linker, wasmtime_context_t *store,
    const char *module, size_t module_len, const char *name, size_t name_len,
    wasmtime_extern_t *item);

/// Looks up and checks the imports of `module` once, and sets `*instance_pre`
/// to the result, owned by the caller. An error when one is missing or does not
/// match, or the module is of another engine; memories and tables have the sizes
/// that they had when they were defined.
WASM_API_EXTERN wasmtime_error_t *wasmtime_linker_instantiate_pre(
    const wasmtime_linker_t *linker, const wasmtime_module_t *module,
    wasmtime_instance_pre_t **instance_pre);

#ifdef __cplusplus
} // extern "C"
#endif

#endif // WASMTIME_LINKER_H
