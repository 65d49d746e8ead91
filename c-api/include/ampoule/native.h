/**
 * \file ampoule/native.h
 *
 * \brief Guest functions as plain C functions, and plain C functions as
 * imports, without arrays of values between them.
 *
 * A *native* function has the C signature of its WebAssembly type:
 *
 * | WebAssembly | C |
 * | --- | --- |
 * | `i32`, `i64` | `int32_t`, `int64_t` (or their unsigned twins) |
 * | `f32`, `f64` | `float`, `double` |
 * | no result | `void` |
 * | one result | the return type |
 * | further results | pointers behind the parameters, one for each result but the first, which is returned |
 *
 * So `(param i32 f64) (result i64 f32)` is
 * `int64_t f(int32_t, double, float *)`. Types with references or vectors have
 * no such signature and are refused.
 *
 * The signature is given as a `wasm_functype_t` and compared with the guest's;
 * nothing can compare it with what the C compiler sees. A pointer that is cast
 * to another C signature than the one above is undefined behaviour.
 *
 * This header is there when `ampoule_has("native")`.
 */

#ifndef AMPOULE_NATIVE_H
#define AMPOULE_NATIVE_H

#include <wasmtime/error.h>
#include <wasmtime/func.h>
#include <wasmtime/linker.h>
#include <wasmtime/store.h>

#ifdef __cplusplus
extern "C" {
#endif

/// \brief Any native function; cast it to its own signature before calling it.
typedef void (*ampoule_native_t)(void);

/// \brief Sets `*entry` to a C function that calls the guest's `func`, whose
/// type must be `type`.
///
/// The pointer belongs to the store: it is good until the store is deleted, must
/// not be called later, and is the same each time it is asked for. Calling it is
/// using the store, so the store's rules hold: one thread at a time, which may
/// be another for each call, and no call while another use of the store is
/// under way, except from a host function that the guest has called.
///
/// A C function cannot say that it failed. When the guest traps, or a host
/// function returns an error, or the call could not begin, it returns zero (also
/// through pointers to further results), and the store keeps the reason until
/// `ampoule_native_take_failure`. Pointers to further results may be null.
///
/// The function is compiled now, if it was not yet. Returns an error when the
/// function is null, of another store or of another type, when the type has
/// references or vectors, when it cannot be compiled, or when there is no memory
/// for code; `*entry` is then untouched.
WASM_API_EXTERN wasmtime_error_t *ampoule_func_native(
    wasmtime_context_t *context, const wasmtime_func_t *func,
    const wasm_functype_t *type, ampoule_native_t *entry);

/// \brief A word that is zero exactly when the store keeps no failure of a
/// native call.
///
/// For hosts that look after every call: reading it is one load. It stays at its
/// address as long as the store, and changes only while the store is used.
WASM_API_EXTERN const uint32_t *ampoule_native_failed(
    const wasmtime_context_t *context);

/// \brief Takes the failure of a native call out of the store.
///
/// Returns false, leaving both outputs alone, when there is none. Otherwise
/// exactly one of `*error` and `*trap` becomes not null, as with
/// `wasmtime_func_call`, and belongs to the caller. `trap` may be null; a trap
/// then comes as an error.
///
/// Of several failures since the last time, this is the first.
WASM_API_EXTERN bool ampoule_native_take_failure(
    wasmtime_context_t *context, wasmtime_error_t **error,
    wasm_trap_t **trap);

/// \brief What a native import takes before its parameters: any of
/// `ampoule_native_takes_enum`, added.
typedef uint32_t ampoule_native_takes_t;

/// \brief The values of `ampoule_native_takes_t`. A function that takes both
/// gets the pointer first.
enum ampoule_native_takes_enum {
  /// `void *`: the pointer given with the function.
  AMPOULE_NATIVE_TAKES_ENV = 1,
  /// `wasmtime_caller_t *`: who calls; good until the function returns.
  AMPOULE_NATIVE_TAKES_CALLER = 2,
};

/// \brief Makes `*ret` a function of the store that is the plain C function
/// `import`, of the signature of `type` behind what `takes` says.
///
/// `env` and `finalizer` are taken over as `wasmtime_func_new` does, also when
/// this fails. The C function may call back into the store, may not delete it,
/// and ends the guest with `ampoule_native_raise_trap` or
/// `ampoule_native_raise_error`; it must return, so no `longjmp` and no C++
/// exception may leave it.
///
/// Returns an error when the type has references or vectors, when `takes` is not
/// known, or when the adapter cannot be compiled (also in a library without a
/// compiler).
WASM_API_EXTERN wasmtime_error_t *ampoule_func_new_native(
    wasmtime_context_t *context, const wasm_functype_t *type,
    ampoule_native_t import, ampoule_native_takes_t takes, void *env,
    void (*finalizer)(void *), wasmtime_func_t *ret);

/// \brief Gives a plain C function a name in a linker, for every store of its
/// engine.
///
/// As `ampoule_func_new_native`; the function may then be called by several
/// threads at once, each with its own store. Fails also when the name is taken
/// and shadowing is off, or is not UTF-8.
WASM_API_EXTERN wasmtime_error_t *ampoule_linker_define_native(
    wasmtime_linker_t *linker, const char *module, size_t module_len,
    const char *name, size_t name_len, const wasm_functype_t *type,
    ampoule_native_t import, ampoule_native_takes_t takes, void *env,
    void (*finalizer)(void *));

/// \brief Ends the guest with a trap as soon as the native import that runs
/// returns; what it returns does not count.
///
/// To be called from a native import only, once, just before it returns;
/// `context` is its store's. Takes the trap over. A process in which no guest
/// waits for an import ends here with a message.
WASM_API_EXTERN void ampoule_native_raise_trap(
    wasmtime_context_t *context, wasm_trap_t *trap);

/// \brief The same with an error.
WASM_API_EXTERN void ampoule_native_raise_error(
    wasmtime_context_t *context, wasmtime_error_t *error);

#ifdef __cplusplus
} // extern "C"
#endif

#endif // AMPOULE_NATIVE_H
