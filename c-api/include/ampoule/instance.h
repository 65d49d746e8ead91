/**
 * \file ampoule/instance.h
 *
 * \brief Deleting an instance before its store goes.
 *
 * `ampoule_has("instance")` tells whether the library has this function.
 */

#ifndef AMPOULE_INSTANCE_H
#define AMPOULE_INSTANCE_H

#include <wasmtime/conf.h>
#include <wasmtime/error.h>
#include <wasmtime/instance.h>
#include <wasmtime/store.h>

#ifdef __cplusplus
extern "C" {
#endif

/// \brief Deletes an instance, with the memories, tables, globals and tags that
/// it has made.
///
/// Its memory goes back to the system, or to the engine for further instances.
/// Limits and the store's budget count it no more.
///
/// **Handles** of the instance, of what it has made and of its functions are
/// refused from then on, by the functions that return errors; also when
/// something new has taken the place. Functions that return none say so on
/// standard error and end the process, as for every handle that is no good;
/// #wasmtime_instance_export_get finds nothing. Raw references (`wasmtime_func_to_raw`) are
/// not checked, and must not be used any more. What others have made and the
/// instance only imported or exported stays.
///
/// **Refused**, by an error that names what is in the way, is an instance that
/// something else in the store uses:
///
/// - another instance imports a function, memory, table, global or tag that it
///   has made;
/// - a table or a global, the host's or another instance's, has a function of it;
/// - an object has a function of it, or an exception its tag, unless nobody holds that any
///   more: garbage is collected then;
/// - a native entry point (`ampoule/native.h`) leads to one of its functions.
///
/// Nothing changes then. Nor is an instance deleted while a guest of the store
/// runs, an asynchronous call of it is not finished, or a finalizer or limiter
/// of it runs.
///
/// Looks through the store: in proportion to its instances, to what was written
/// to its tables of functions, and to its heap of objects, where it has one. In
/// a store that has deleted instances, functions whose handles are older take a
/// look-up for each call from the host; to ask for the export again makes a new
/// handle. A store deletes 2^20 instances at most.
///
/// The instances that components make cannot be deleted.
WASM_API_EXTERN wasmtime_error_t *ampoule_instance_delete(
    wasmtime_context_t *context, const wasmtime_instance_t *instance);

#ifdef __cplusplus
} // extern "C"
#endif

#endif // AMPOULE_INSTANCE_H
