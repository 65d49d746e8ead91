/**
 * \file ampoule/wait.h
 *
 * \brief When an asynchronous call can go on, and whether what waits is to be
 * stopped.
 *
 * `ampoule_has("wait")` tells whether the library has these functions.
 *
 * A guest of an asynchronous call (`wasmtime/async.h`) that has to wait for the
 * host is suspended: it sleeps, reads from a pipe or a socket, or looks a name
 * up, through WASI, or waits for a host function. Polling its future again is
 * always right, and brings nothing forward before what it waits for has
 * happened. A program that serves many stores on one thread learns here when
 * that is: each store has a **descriptor**, to be waited for with `poll`,
 * `epoll` and the like, beside all others that the program has. Or it has a
 * callback called (#ampoule_context_set_waker).
 *
 * \code
 * while (!wasmtime_call_future_poll(future)) {
 *   struct pollfd ready = {.fd = descriptor, .events = POLLIN};
 *   poll(&ready, 1, -1);
 * }
 * \endcode
 *
 * What a host function waits for is the program's own: it calls a **waker**
 * when that is there.
 *
 * A call that waits ends early, by an error, when it is cancelled, or its time
 * is over (`ampoule/cancel.h`); when the engine's epoch reaches the store's
 * deadline, unless a callback or a yield was set for that; and when the
 * program's own check says so (#ampoule_context_set_interrupt_check).
 */

#ifndef AMPOULE_WAIT_H
#define AMPOULE_WAIT_H

#include <stdbool.h>
#include <wasmtime/conf.h>
#include <wasmtime/error.h>
#include <wasmtime/store.h>

#ifdef __cplusplus
extern "C" {
#endif

/// \brief Sets `*descriptor` to one that is readable when polling the store's
/// call would bring it forward.
///
/// Each call of this function gives the same one. It stays the store's, which
/// closes it, and only to be waited for: nothing is read from it, and a poll of
/// the future ends its being readable. Wait for it while a future is not done;
/// before the first poll, and when none is left, it means nothing. It may be
/// readable for no reason.
///
/// Readable means that what the guest waits for has happened or its time has
/// come; that the guest has yielded, and can go on at once; that somebody has
/// called a waker; or that the call is to end, by a cancellation, at its
/// deadline, or at an epoch.
///
/// To be called by the thread that uses the store. A forked child that goes on
/// with the store calls it again. An error when the process has no descriptor
/// left.
WASM_API_EXTERN wasmtime_error_t *ampoule_context_wait_descriptor(
    wasmtime_context_t *context, int *descriptor);

/// \brief Has `callback(env)` called whenever polling the store's call would
/// bring it forward: when the descriptor would become readable.
///
/// For programs whose event loop waits for no descriptors. The callback may run
/// on any thread, also while the call is being polled; it must not use the
/// store, and is called once for each suspension, perhaps for no reason. Null
/// instead of a callback ends it. `finalizer(env)`, where it is not null, runs
/// when the callback is not called any more: after another was set, or the
/// store was deleted.
///
/// The first callback in an engine that has to be called for a descriptor or a
/// point in time starts a thread with all signals blocked, which ends when the
/// engine does. To be called by the thread that uses the store.
WASM_API_EXTERN void ampoule_context_set_waker(
    wasmtime_context_t *context, void (*callback)(void *env), void *env,
    void (*finalizer)(void *env));

/// \brief Sets what is asked whenever the store waits for the host.
///
/// `check(env)` is called before a wait, every 10 milliseconds during it, and
/// after a signal handler of the program's has run on the thread: where a call
/// of WASI's sleeps, where a call of a component waits for the host, and in
/// `ampoule_component_wait`. True ends the wait by an error, and the guest that
/// waited traps (#WASMTIME_TRAP_CODE_INTERRUPT). A future that waits is to be
/// polled for that when the store's descriptor says so.
///
/// So a program that a user interrupts by a key, or an interpreter which has to
/// look for signals by itself, ends calls that wait. Guests that run are not
/// asked about: epochs interrupt those.
///
/// The callback is called by the thread that waits, and must not use the store.
/// Null instead of it ends the questions. `finalizer(env)`, where it is not
/// null, runs when the callback is not called any more.
WASM_API_EXTERN void ampoule_context_set_interrupt_check(
    wasmtime_context_t *context, bool (*check)(void *env), void *env,
    void (*finalizer)(void *env));

/// \brief Says that a store's call can go on.
typedef struct ampoule_waker ampoule_waker_t;

/// \brief Sets `*waker` to a new waker for a store, owned by the caller.
///
/// To be called by the thread that uses the store. An error when the process
/// has no descriptor left.
WASM_API_EXTERN wasmtime_error_t *ampoule_waker_new(
    wasmtime_context_t *context, ampoule_waker_t **waker);

/// Another waker for the same store, owned by the caller.
WASM_API_EXTERN ampoule_waker_t *ampoule_waker_clone(
    const ampoule_waker_t *waker);

/// \brief Makes the store's descriptor readable until its call is polled.
///
/// For whoever has what a host function waits for, once its continuation would
/// say so. Any thread may call it, several may at the same time, and also after
/// the store is deleted; nothing happens then.
WASM_API_EXTERN void ampoule_waker_wake(const ampoule_waker_t *waker);

/// Frees a waker.
WASM_API_EXTERN void ampoule_waker_delete(ampoule_waker_t *waker);

#ifdef __cplusplus
} // extern "C"
#endif

#endif // AMPOULE_WAIT_H
