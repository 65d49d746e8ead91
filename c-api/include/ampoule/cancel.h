/**
 * \file ampoule/cancel.h
 *
 * \brief Cancelling a call while it runs, and limiting its time.
 *
 * `ampoule_has("cancel")` tells whether the library has these functions.
 *
 * A **call** is what the host starts from outside of the guest: of a function,
 * of a module's start function, or of a future that is polled until it is
 * done. All that it leads to belongs to it, also calls that host functions make
 * into the guest again. A store numbers its calls; the number is the call's
 * **generation**. Whoever cancels names the generation, so a cancellation that
 * comes too late never hits the next call.
 *
 * A call that is cancelled traps with `WASMTIME_TRAP_CODE_INTERRUPT` where the
 * guest next enters a function or begins another iteration of a loop. A guest that
 * sleeps (in `poll_oneoff` or a blocking read of WASI, or in
 * `memory.atomic.wait`) is woken; one that fills, copies or grows a large memory
 * or table is stopped on the way; one that waits for a function to be compiled
 * leaves that to a thread in the background. What the host does in its own functions is
 * not cut short: those that take long ask #ampoule_cancelled. A guest that does
 * none of this before it returns, returns. The store stays usable.
 */

#ifndef AMPOULE_CANCEL_H
#define AMPOULE_CANCEL_H

#include <wasmtime/conf.h>
#include <wasmtime/config.h>
#include <wasmtime/error.h>
#include <wasmtime/store.h>

#ifdef __cplusplus
extern "C" {
#endif

/// \brief Whether code that the engine compiles can be cancelled; off by
/// default.
///
/// Costs one comparison with memory at each function entry and iteration of a loop.
/// Not needed where epoch interruption is on, whose code can be cancelled too.
/// Artifacts are only loaded by engines of the same choice.
WASM_API_EXTERN void ampoule_config_cancellation_set(
    wasm_config_t *config, bool enable);

/// \brief Cancels calls of one store.
///
/// Any thread may use a token, several may at the same time, and also while the
/// store is used or deleted. A token may be kept after its store is deleted.
typedef struct ampoule_cancel_token ampoule_cancel_token_t;

/// \brief Sets `*token` to a new token for a store, owned by the caller.
///
/// To be called by the thread that uses the store. Several tokens of one store
/// are alike. An error, and `*token` stays as it is, where the engine's code
/// cannot be cancelled, or where a call of the store runs and there was no
/// token and no deadline before: that call has no generation.
///
/// Calls of a store with a token, or with a deadline, take some ten nanoseconds
/// more.
WASM_API_EXTERN wasmtime_error_t *ampoule_cancel_token_new(
    wasmtime_context_t *context, ampoule_cancel_token_t **token);

/// Another token for the same store, owned by the caller.
WASM_API_EXTERN ampoule_cancel_token_t *ampoule_cancel_token_clone(
    const ampoule_cancel_token_t *token);

/// \brief Frees a token.
///
/// Nobody may be using this token; what was cancelled with it stays cancelled.
WASM_API_EXTERN void ampoule_cancel_token_delete(ampoule_cancel_token_t *token);

/// \brief The generation of the call that runs in the store or, where none
/// does, of the next one.
///
/// Counts up by one with each call. 0 once the store is deleted. May be called
/// from a signal handler.
WASM_API_EXTERN uint64_t ampoule_cancel_token_generation(
    const ampoule_cancel_token_t *token);

/// \brief Cancels the call of this generation.
///
/// True where that call runs, or is the next one, which then fails before
/// anything of it has run. False where it is over or yet to come, or where the
/// store is deleted; nothing happens then.
///
/// May be called from any thread and from a signal handler: it takes no lock
/// and allocates nothing. A program whose handler may interrupt the making of a
/// token or the store's deletion has to see to it that the handler finds a
/// complete token; the store may be in any state.
WASM_API_EXTERN bool ampoule_cancel(
    const ampoule_cancel_token_t *token, uint64_t generation);

/// \brief Whether the call that runs was cancelled, or has passed its deadline.
///
/// For host functions that take long. Between calls, whether the next one was
/// cancelled. To be called by the thread that uses the store.
WASM_API_EXTERN bool ampoule_cancelled(const wasmtime_context_t *context);

/// \brief Limits the time of each call that begins from now on: what is still
/// running `nanoseconds` after it began is cancelled. 0 is no limit.
///
/// Time is that of the clock on the wall, and includes what the call spends in
/// host functions, asleep, or as a future that waits for its next poll. The
/// call is stopped within a millisecond or so of its deadline, on a machine with
/// a processor to spare, and never before it.
///
/// The first deadline in an engine starts a thread with all signals blocked,
/// which ends when the engine does. A forked child gets its own when it uses
/// one. An error, and nothing changes, where the engine's code cannot be
/// cancelled. To be called by the thread that uses the store.
WASM_API_EXTERN wasmtime_error_t *ampoule_context_set_call_deadline(
    wasmtime_context_t *context, uint64_t nanoseconds);

#ifdef __cplusplus
} // extern "C"
#endif

#endif // AMPOULE_CANCEL_H
