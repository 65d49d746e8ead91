/**
 * \file wasmtime/store.h
 *
 * \brief Stores: one guest world each, with its limits, fuel and deadline.
 */

#ifndef WASMTIME_STORE_H
#define WASMTIME_STORE_H

#include <wasi.h>
#include <wasm.h>
#include <wasmtime/conf.h>
#include <wasmtime/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/// \brief Owns everything that lives while guests run: instances, memories,
/// tables, globals, host functions, references.
///
/// The unit of isolation, and of reclamation: what is in a store is freed with
/// it, never before. Cheap to make; using one for a single call is fine. It may
/// move between threads and is used by one at a time.
typedef struct wasmtime_store wasmtime_store_t;

/// \brief The inside of a store, which most functions take.
///
/// A pointer into the store: valid until the store is deleted, never freed
/// itself, and not to be used by finalizers.
typedef struct wasmtime_context wasmtime_context_t;

/// Returns a store of `engine`, owned by the caller; this never fails.
///
/// `data` is for the host, see `wasmtime_context_get_data`. When the store is
/// deleted, `finalizer` runs with what the data is then. Both may be null.
WASM_API_EXTERN wasmtime_store_t *wasmtime_store_new(
    wasm_engine_t *engine, void *data, void (*finalizer)(void *));

/// The context of `store`.
WASM_API_EXTERN wasmtime_context_t *wasmtime_store_context(
    wasmtime_store_t *store);

/// Sets the limits of what guests of this store can take from now on; what
/// exists already stays.
///
/// A negative number keeps the default. Growth beyond a limit fails:
/// `memory.grow` and `table.grow` answer -1, the host's growth functions return
/// an error. Instantiating a module, or making a memory or table, that would
/// exceed a limit is an error; of what the host makes only the sizes count.
///
/// \param store the store
/// \param memory_size bytes of any one memory; unlimited by default
/// \param table_elements elements of any one table; unlimited by default
/// \param instances instances of the whole store; 10,000 by default
/// \param tables tables of all its instances; 10,000 by default
/// \param memories memories of all its instances; 10,000 by default
WASM_API_EXTERN void wasmtime_store_limiter(
    wasmtime_store_t *store, int64_t memory_size, int64_t table_elements,
    int64_t instances, int64_t tables, int64_t memories);

/// Frees the store and everything in it, and runs the finalizers of its data,
/// host functions, references and callbacks. Not by what a guest of the store has
/// called: that ends the process with a message.
WASM_API_EXTERN void wasmtime_store_delete(wasmtime_store_t *store);

/// The host's data of this store.
WASM_API_EXTERN void *wasmtime_context_get_data(
    const wasmtime_context_t *context);

/// Replaces the host's data. No finalizer runs now; the store's finalizer will
/// run with the new data.
WASM_API_EXTERN void wasmtime_context_set_data(
    wasmtime_context_t *context, void *data);

/// Frees the `externref`s and other garbage-collected objects that neither wasm
/// nor the host can reach, and runs the finalizers of their host data. Returns
/// null on success.
WASM_API_EXTERN wasmtime_error_t *wasmtime_context_gc(
    wasmtime_context_t *context);

/// Replaces the remaining fuel of this store.
///
/// A unit is about one wasm instruction. A new store has none, and a guest
/// without fuel traps with `WASMTIME_TRAP_CODE_OUT_OF_FUEL`. An error, changing
/// nothing, unless the engine was configured with
/// `wasmtime_config_consume_fuel_set`.
WASM_API_EXTERN wasmtime_error_t *wasmtime_context_set_fuel(
    wasmtime_context_t *store, uint64_t fuel);

/// Sets `*fuel` to the remaining fuel of this store. An error, leaving `*fuel`
/// alone, unless the engine was configured for fuel.
WASM_API_EXTERN wasmtime_error_t *wasmtime_context_get_fuel(
    const wasmtime_context_t *context, uint64_t *fuel);

#ifdef WASMTIME_FEATURE_WASI
/// Gives this store a WASI state made from `wasi`, which is taken over also
/// when an error is returned: where inherited arguments take more than 4 GiB.
///
/// Needed before anything that `wasmtime_linker_define_wasi` defined is called.
/// A later call replaces the state.
WASM_API_EXTERN wasmtime_error_t *wasmtime_context_set_wasi(
    wasmtime_context_t *context, wasi_config_t *wasi);
#endif // WASMTIME_FEATURE_WASI

#ifdef WASMTIME_FEATURE_WASI_HTTP
/// Gives this store a state for `wasi:http`: its components may send requests
/// to any host that this process reaches. It also needs
/// `wasmtime_context_set_wasi`, in either order, before a component calls a
/// function of `wasmtime_component_linker_add_wasi_http`; without either, the
/// call fails with an error. A later call replaces the state.
///
/// Connections are carried by one thread of the library for all stores, which
/// is made with the first request. What the library holds for the components
/// of one store, headers and what bodies buffer, is bounded to 64 MiB.
WASM_API_EXTERN void wasmtime_context_set_wasi_http(
    wasmtime_context_t *context);
#endif // WASMTIME_FEATURE_WASI_HTTP

/// Sets this store's deadline to `ticks_beyond_current` after the engine's
/// current epoch.
///
/// With `wasmtime_config_epoch_interruption_set`, a guest past its deadline
/// traps with `WASMTIME_TRAP_CODE_INTERRUPT`, unless
/// `wasmtime_store_epoch_deadline_callback` says otherwise. The deadline of a
/// new store has passed already.
WASM_API_EXTERN void wasmtime_context_set_epoch_deadline(
    wasmtime_context_t *context, uint64_t ticks_beyond_current);

/// What follows a deadline callback: `WASMTIME_UPDATE_DEADLINE_CONTINUE` or
/// `WASMTIME_UPDATE_DEADLINE_YIELD`.
typedef uint8_t wasmtime_update_deadline_kind_t;

/// The guest goes on with the new deadline.
#define WASMTIME_UPDATE_DEADLINE_CONTINUE 0
/// The guest, which must run in an async call, first yields to its caller, then
/// goes on with the new deadline.
#define WASMTIME_UPDATE_DEADLINE_YIELD 1

/// Lets `func` decide what happens when a guest has passed its deadline.
///
/// `func(context, data, delta, kind)` returns an error (given up), which ends
/// the guest and comes out of its call; or null, after setting `*delta` to the
/// ticks from the current epoch to the next deadline and `*kind`, which ends the
/// process when it is neither of the two.
/// `finalizer(data)` runs once, when the callback is replaced or the store
/// deleted; it may be null.
WASM_API_EXTERN void wasmtime_store_epoch_deadline_callback(
    wasmtime_store_t *store,
    wasmtime_error_t *(*func)(wasmtime_context_t *context, void *data,
                              uint64_t *epoch_deadline_delta,
                              wasmtime_update_deadline_kind_t *update_kind),
    void *data, void (*finalizer)(void *));

#ifdef __cplusplus
} // extern "C"
#endif

#endif // WASMTIME_STORE_H
