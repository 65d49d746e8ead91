/**
 * \file ampoule/component.h
 *
 * \brief Components that are asynchronous: calls beside one another, streams
 * and futures, and host functions that answer later; and calls without values.
 *
 * `ampoule_has("component")` tells whether the library has these functions.
 *
 * A component may export functions that wait: for a host function, for a
 * stream, or for each other. `wasmtime_component_func_call` runs such a
 * function until it has returned. Here a program **starts** any number of calls
 * (#ampoule_component_call_start), lets them go on (#ampoule_component_run),
 * and does what it likes in between: no call keeps a stack of the program's
 * busy.
 *
 * \code
 * ampoule_component_call_t *call;
 * ampoule_component_call_start(context, &func, args, nargs, &call);
 * while (!ampoule_component_call_is_over(call, context)) {
 *   ampoule_component_run(context, NULL);  // what can go on, does
 *   // read, write, or complete something; or, where there is nothing to do:
 *   ampoule_component_wait(context);
 * }
 * ampoule_component_call_finish(call, context, &result, 1);
 * ampoule_component_call_delete(call);
 * \endcode
 *
 * Instead of #ampoule_component_wait, a program with an event loop of its own
 * waits for the store's descriptor (`ampoule/wait.h`), and calls
 * #ampoule_component_run when that is readable.
 *
 * Whatever takes a context is called by the thread that uses the store. Where a
 * function returns an error, it has done nothing, unless it says otherwise. An
 * object may be deleted after its store; using it with another store is an
 * error.
 *
 * When a guest traps, all that runs in its store ends: the function that ran
 * the guest returns the trap, and each call that was started ends with it.
 */

#ifndef AMPOULE_COMPONENT_H
#define AMPOULE_COMPONENT_H

#include <wasmtime/async.h>
#include <wasmtime/component.h>
#include <wasmtime/conf.h>
#include <wasmtime/error.h>
#include <wasmtime/store.h>

#if defined(WASMTIME_FEATURE_COMPONENT_MODEL) && defined(WASMTIME_FEATURE_ASYNC)

#ifdef __cplusplus
extern "C" {
#endif

/// \name Values
///
/// Kinds of values beside those of `wasmtime/component/val.h`. A value of these
/// kinds is freed by `wasmtime_component_val_delete` like any other, and may be
/// part of a record or a list.
/// @{

/// The readable end of a stream, made by #ampoule_component_reader_into_val and
/// taken by #ampoule_component_reader_from_val. Deleting the value drops the
/// end. There is one of each: a clone of the value holds none.
#define AMPOULE_COMPONENT_STREAM 128
/// The readable end of a future, likewise.
#define AMPOULE_COMPONENT_FUTURE 129
/// An error context: its message is the member `string`.
#define AMPOULE_COMPONENT_ERROR_CONTEXT 130

/// @}
/// \name Calls
/// @{

/// \brief A call that was started.
typedef struct ampoule_component_call ampoule_component_call_t;

/// \brief Starts a call, and sets `*call` to it, owned by the caller.
///
/// The arguments are moved out of `args`, where `false` is left behind, unless
/// there is an error. Nothing runs yet: the call begins with the next
/// #ampoule_component_run, or while any other call of the store runs. Arguments
/// that don't fit their types are an error of the call.
///
/// Any number of calls may have been started, of one instance, too. Calls of
/// functions that are not asynchronous run one after another. A host function
/// may start a call.
///
/// From the first such call on, each call into a component of the store runs on
/// a stack of its own, which takes a little longer.
WASM_API_EXTERN wasmtime_error_t *ampoule_component_call_start(
    wasmtime_context_t *context, const wasmtime_component_func_t *func,
    wasmtime_component_val_t *args, size_t nargs,
    ampoule_component_call_t **call);

/// Whether #ampoule_component_call_finish has something to give. False where
/// the result was taken, or the store is another one.
WASM_API_EXTERN bool ampoule_component_call_is_over(
    const ampoule_component_call_t *call, wasmtime_context_t *context);

/// \brief Takes the result of a call that is over.
///
/// `nresults` is how many results the function has, one or none. `results[0]`
/// is written over; what was there is not freed. An error is what the call came
/// to, a trap for instance; or that it isn't over, or was finished before.
WASM_API_EXTERN wasmtime_error_t *ampoule_component_call_finish(
    ampoule_component_call_t *call, wasmtime_context_t *context,
    wasmtime_component_val_t *results, size_t nresults);

/// \brief Asks the guest to end a call early.
///
/// A call that has not begun never does. Otherwise the guest is told, where it
/// waits for an event; it may end the call, which then is over with the error
/// `the call was cancelled`, or go on and return. Nothing happens to a call
/// that is over. An error is a trap of the guest's.
WASM_API_EXTERN wasmtime_error_t *ampoule_component_call_cancel(
    ampoule_component_call_t *call, wasmtime_context_t *context);

/// Frees a call. It goes on, where it isn't over, and its result is dropped.
/// Null is nothing.
WASM_API_EXTERN void ampoule_component_call_delete(
    ampoule_component_call_t *call);

/// \brief Lets all go on in a store's components that can, without waiting.
///
/// `*idle`, where that isn't null, is set to whether nothing is left to go on
/// with, later either: no task runs or waits. Tasks may be left when all calls
/// are over: a function may return before it ends.
///
/// An error is what has stopped a guest. So it is an error to call this in a
/// host function, or while a future of `wasmtime/async.h` waits: polling that
/// does what this would.
WASM_API_EXTERN wasmtime_error_t *ampoule_component_run(
    wasmtime_context_t *context, bool *idle);

/// \brief Sleeps until #ampoule_component_run, or an end of a stream or future
/// that wasn't ready before, may bring something forward.
///
/// It may return for no reason. An error where nothing would ever come: no task
/// waits for the host. An error, too, where the call was cancelled
/// (`ampoule/cancel.h`), or an epoch deadline has passed.
WASM_API_EXTERN wasmtime_error_t *ampoule_component_wait(
    wasmtime_context_t *context);

/// \brief A future that lets all go on, and is done when this call is over;
/// where it is null, when nothing is left to go on with.
///
/// For stores that need asynchronous calls, since epochs or fuel interrupt
/// their guests, say. Polled and deleted like every future
/// (`wasmtime/async.h`), one at a time in a store. `*error_ret`, which has to
/// be null, is set to what has stopped a guest, or that the call would never be
/// over; it stays where it is as long as the future, and so does the call.
WASM_API_EXTERN wasmtime_call_future_t *ampoule_component_run_async(
    wasmtime_context_t *context, ampoule_component_call_t *call,
    wasmtime_error_t **error_ret);

/// @}
/// \name Streams and futures
///
/// A stream has two ends: what is written to one is read from the other. A
/// future is the same for one value. The host makes a pair, and gives the
/// readable end to a guest as an argument or a result; or it gets one from a
/// guest. Guests keep their writable ends.
///
/// Reading and writing never wait, and the library keeps no pointer to what it
/// was given: where the other end isn't ready, nothing has happened, and the
/// program tries again later. So there is nothing to cancel.
/// #ampoule_component_wait, and the store's descriptor, tell when that makes
/// sense.
///
/// Between a guest's end and the host's nothing is stored: a write gives as
/// many elements as the guest is reading just now. Where both ends are the
/// host's, some are: 64, or 64 KiB of bytes.
/// @{

/// \brief The readable end of a stream or future.
typedef struct ampoule_component_reader ampoule_component_reader_t;
/// \brief The writable end of a stream or future.
typedef struct ampoule_component_writer ampoule_component_writer_t;

/// \brief What came of reading or writing: one of the constants that follow.
typedef uint8_t ampoule_component_flow_t;

/// As many elements as `*count` says were read or written.
#define AMPOULE_COMPONENT_READY 0
/// None were: the other end isn't ready.
#define AMPOULE_COMPONENT_PENDING 1
/// None were, nor will be: the other end was dropped; or the future's value was
/// read, or written.
#define AMPOULE_COMPONENT_CLOSED 2

/// \brief Makes a stream of elements of this type, and sets `*writer` and
/// `*reader` to its ends, owned by the caller.
///
/// The type is copied. Without one, null, the elements are nothing but their
/// number.
WASM_API_EXTERN wasmtime_error_t *ampoule_component_stream_new(
    wasmtime_context_t *context, const wasmtime_component_valtype_t *type,
    ampoule_component_writer_t **writer, ampoule_component_reader_t **reader);

/// \brief The same of a future.
///
/// Whoever drops the writable end of a future without a value breaks a promise:
/// a guest that reads it traps.
WASM_API_EXTERN wasmtime_error_t *ampoule_component_future_new(
    wasmtime_context_t *context, const wasmtime_component_valtype_t *type,
    ampoule_component_writer_t **writer, ampoule_component_reader_t **reader);

/// Makes `*val` the value of a readable end, which is deleted. What was in
/// `*val` is not freed.
WASM_API_EXTERN void ampoule_component_reader_into_val(
    ampoule_component_reader_t *reader, wasmtime_component_val_t *val);

/// \brief Takes the readable end out of a value, and sets `*reader` to it,
/// owned by the caller.
///
/// The value holds none then. An error where it is of another kind, or holds
/// none.
WASM_API_EXTERN wasmtime_error_t *ampoule_component_reader_from_val(
    wasmtime_component_val_t *val, ampoule_component_reader_t **reader);

/// Sets `*type` to the type of the elements, owned by the caller; false where
/// they have none.
WASM_API_EXTERN bool ampoule_component_reader_type(
    const ampoule_component_reader_t *reader,
    wasmtime_component_valtype_t *type);

/// The same of a writable end.
WASM_API_EXTERN bool ampoule_component_writer_type(
    const ampoule_component_writer_t *writer,
    wasmtime_component_valtype_t *type);

/// \brief Reads up to `most` elements.
///
/// They are written to `vals`, owned by the caller; what was there is not
/// freed. Of elements without a type, each is an empty tuple. `*count` and
/// `*flow` are set, unless there is an error: an element that means nothing, as
/// a string that isn't UTF-8.
WASM_API_EXTERN wasmtime_error_t *ampoule_component_read(
    ampoule_component_reader_t *reader, wasmtime_context_t *context,
    wasmtime_component_val_t *vals, size_t most, size_t *count,
    ampoule_component_flow_t *flow);

/// \brief Reads up to `most` elements that are scalars into plain memory: an
/// array of `bool`, `int8_t` to `uint64_t`, `float`, `double`, or, of `char`,
/// `uint32_t`.
///
/// Otherwise as #ampoule_component_read. Of elements without a type nothing is
/// written. An error where they are no scalars.
WASM_API_EXTERN wasmtime_error_t *ampoule_component_read_block(
    ampoule_component_reader_t *reader, wasmtime_context_t *context,
    void *block, size_t most, size_t *count, ampoule_component_flow_t *flow);

/// \brief Writes up to `nvals` elements.
///
/// Those that were written, `*count` of them, are moved out of `vals`, where
/// `false` is left behind. `*count` and `*flow` are set, unless there is an
/// error: the first element isn't of the type. One further on ends the write
/// before it.
///
/// A future takes one value, at once: that waits until somebody reads it.
WASM_API_EXTERN wasmtime_error_t *ampoule_component_write(
    ampoule_component_writer_t *writer, wasmtime_context_t *context,
    wasmtime_component_val_t *vals, size_t nvals, size_t *count,
    ampoule_component_flow_t *flow);

/// \brief Writes up to `nelements` scalars from plain memory: see
/// #ampoule_component_read_block and #ampoule_component_write.
WASM_API_EXTERN wasmtime_error_t *ampoule_component_write_block(
    ampoule_component_writer_t *writer, wasmtime_context_t *context,
    const void *block, size_t nelements, size_t *count,
    ampoule_component_flow_t *flow);

/// Drops a readable end, of which the other end is told. Any thread may, also
/// after the store is gone. Null is nothing.
WASM_API_EXTERN void ampoule_component_reader_delete(
    ampoule_component_reader_t *reader);

/// The same of a writable end: whoever reads learns that nothing more comes,
/// after what was written.
WASM_API_EXTERN void ampoule_component_writer_delete(
    ampoule_component_writer_t *writer);

/// @}
/// \name Host functions that answer later
///
/// A guest calls, and goes on with other things where it has called
/// asynchronously; otherwise it waits, and others of its store go on. The host
/// begins what is asked for, and gives the answer later, from whatever thread.
/// @{

/// \brief The answer of one call, which is yet to come.
///
/// Any thread may use it, several may at the same time, also while the store is
/// used or deleted, and after that. A forked child answers its own copy of the
/// call.
typedef struct ampoule_component_completion ampoule_component_completion_t;

/// \brief Begins what a guest has asked for.
///
/// `type` and the arguments are lent; arguments may be taken, with a valid
/// value left behind. `completion` is the callback's, to be deleted by whoever
/// gives the answer, which may be at once. The callback may call other
/// components of the store, and start calls.
typedef void (*ampoule_component_async_callback_t)(
    void *env, wasmtime_context_t *context,
    const wasmtime_component_func_type_t *type, wasmtime_component_val_t *args,
    size_t nargs, ampoule_component_completion_t *completion);

/// \brief Adds a function to a linker's instance, as
/// `wasmtime_component_linker_instance_add_func` does.
///
/// It serves imports of functions that are asynchronous, and of those that are
/// not. `finalizer(env)`, where it isn't null, runs when the function isn't
/// used any more, or at once where there is an error.
WASM_API_EXTERN wasmtime_error_t *ampoule_component_linker_instance_add_func(
    wasmtime_component_linker_instance_t *linker_instance, const char *name,
    size_t name_len, ampoule_component_async_callback_t callback, void *env,
    void (*finalizer)(void *env));

/// \brief Gives the answer: the result, null of a function that has none.
///
/// It is moved out of `*result`, where `false` is left behind. True where this
/// is the answer: the store's wait ends then. False where there was one before,
/// or the guest doesn't want it any more; the result is dropped.
///
/// A result that doesn't fit the type stops the guest.
WASM_API_EXTERN bool ampoule_component_complete(
    const ampoule_component_completion_t *completion,
    wasmtime_component_val_t *result);

/// \brief Gives an error for an answer, which stops the guest. The error is the
/// library's from now on; otherwise as #ampoule_component_complete.
WASM_API_EXTERN bool ampoule_component_fail(
    const ampoule_component_completion_t *completion, wasmtime_error_t *error);

/// Whether the guest has given up the call, was stopped, or its store deleted,
/// before there was an answer.
WASM_API_EXTERN bool ampoule_component_completion_is_cancelled(
    const ampoule_component_completion_t *completion);

/// \brief Has `callback(env)` called when that happens, once; at once, where it
/// has.
///
/// By the thread that uses the store, which the callback must not use. It takes
/// the place of one that was set before. `finalizer(env)`, where it isn't null,
/// runs after it, or when the callback will not be called any more.
WASM_API_EXTERN void ampoule_component_completion_on_cancel(
    const ampoule_component_completion_t *completion,
    void (*callback)(void *env), void *env, void (*finalizer)(void *env));

/// Frees a completion. Where no answer was given, that stops the guest. Null is
/// nothing.
WASM_API_EXTERN void ampoule_component_completion_delete(
    ampoule_component_completion_t *completion);

/// @}
/// \name Plans
///
/// Calls between the memory of C and that of a guest, without values in
/// between: a **plan** knows how each parameter and the result of a function
/// lie in both. Types are in C as they are for the C programs of `wit-bindgen`:
///
/// | type | in C |
/// | --- | --- |
/// | numbers, `bool`, `char` | `int8_t` to `uint64_t`, `float`, `double`, `bool`, `uint32_t` |
/// | `string` | `struct { const char *ptr; size_t len; }`, UTF-8 |
/// | `list<t>` | `struct { const T *ptr; size_t len; }` |
/// | `record`, `tuple` | a struct of the fields in their order |
/// | `variant` | `struct { uint8_t tag; union { ... } val; }`; the tag is the number of the case |
/// | `option<t>` | `struct { bool is_some; T val; }` |
/// | `result<t, e>` | `struct { bool is_err; union { T ok; E err; } val; }` |
/// | `enum` | `uint8_t`, the number of the case |
/// | `flags` | `uint8_t`, `uint16_t` or `uint32_t`, from the lowest bit on |
///
/// A tag has 16 bits where there are more than 256 cases. Where no case has a
/// payload, there is no union. A list or string without elements may have a
/// null pointer as an argument. Handles, streams, futures, maps and error
/// contexts have no form in C: functions with those are called with values.
/// @{

/// \brief How a function is called from C's memory.
typedef struct ampoule_component_plan ampoule_component_plan_t;

/// \brief Makes a plan for a function, and sets `*plan` to it, owned by the
/// caller.
///
/// `param_sizes` is what `sizeof` says of the C type of each parameter, and
/// `result_size` of the result, 0 where there is none. An error where they are
/// not what the function's type has, or there is a type that has no form in C.
WASM_API_EXTERN wasmtime_error_t *ampoule_component_plan_new(
    wasmtime_context_t *context, const wasmtime_component_func_t *func,
    const size_t *param_sizes, size_t nparams, size_t result_size,
    ampoule_component_plan_t **plan);

/// \brief Calls a function as its plan says.
///
/// `args` has the address of each argument, and `result` is where the result
/// goes, null where there is none; all aligned as their C types are. Arguments
/// are lent: nobody changes them, or what they lead to, before this returns.
///
/// The result is written over what was there. Its strings and lists are the
/// plan's: they stay until its next call, or until it is deleted, and need not
/// be freed.
///
/// Errors are those of `wasmtime_component_func_call`. After an error, parts of
/// the result may have been written.
WASM_API_EXTERN wasmtime_error_t *ampoule_component_plan_call(
    const ampoule_component_plan_t *plan, wasmtime_context_t *context,
    const void *const *args, void *result);

/// Frees a plan, and the strings and lists of its last result. It must not be
/// in a call. Null is nothing.
WASM_API_EXTERN void ampoule_component_plan_delete(
    ampoule_component_plan_t *plan);

/// @}

#ifdef __cplusplus
} // extern "C"
#endif

#endif // WASMTIME_FEATURE_COMPONENT_MODEL && WASMTIME_FEATURE_ASYNC

#endif // AMPOULE_COMPONENT_H
