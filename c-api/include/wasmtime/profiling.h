/**
 * \file wasmtime/profiling.h
 *
 * \brief Profiles of guests, sampled by the host.
 */

#ifndef WASMTIME_PROFILING_H
#define WASMTIME_PROFILING_H

#include <wasm.h>
#include <wasmtime/conf.h>
#include <wasmtime/error.h>
#include <wasmtime/module.h>
#include <wasmtime/store.h>

#ifdef WASMTIME_FEATURE_PROFILING

#ifdef __cplusplus
extern "C" {
#endif

// Marks a transfer of ownership for the reader; nothing to the compiler.
#define own

/// \brief Collects samples of a guest's stack into a profile.
///
/// One thread at a time, the one that uses the store.
typedef struct wasmtime_guestprofiler wasmtime_guestprofiler_t;

/// Frees a profiler that was not finished.
WASM_API_EXTERN void wasmtime_guestprofiler_delete(
    own wasmtime_guestprofiler_t *guestprofiler);

/// A module whose functions shall be named in the profile.
typedef struct wasmtime_guestprofiler_modules {
  /// The name to show.
  const wasm_name_t *name;
  /// The module.
  const wasmtime_module_t *mod;
} wasmtime_guestprofiler_modules_t;

/// Returns a profiler, owned by the caller. Modules of another engine end the
/// process with a message.
///
/// \param engine the engine of the modules
/// \param module_name the title of the profile
/// \param interval_nanos the intended time between samples, in nanoseconds
/// \param modules the modules to name, borrowed
/// \param modules_len how many there are
WASM_API_EXTERN own wasmtime_guestprofiler_t *wasmtime_guestprofiler_new(
    const wasm_engine_t *engine, const wasm_name_t *module_name,
    uint64_t interval_nanos, const wasmtime_guestprofiler_modules_t *modules,
    size_t modules_len);

/// Records the stack of the guest that runs in `store`; to be called by an
/// epoch deadline callback. `delta_nanos` is the processor time since the last
/// sample, in nanoseconds, or 0 when unknown.
WASM_API_EXTERN void wasmtime_guestprofiler_sample(
    wasmtime_guestprofiler_t *guestprofiler, const wasmtime_store_t *store,
    uint64_t delta_nanos);

/// Makes `*out` the profile, as JSON for the Firefox Profiler, and frees the
/// profiler, also when it returns an error.
WASM_API_EXTERN own wasmtime_error_t *wasmtime_guestprofiler_finish(
    own wasmtime_guestprofiler_t *guestprofiler, own wasm_byte_vec_t *out);

#undef own

#ifdef __cplusplus
} // extern "C"
#endif

#endif // WASMTIME_FEATURE_PROFILING

#endif // WASMTIME_PROFILING_H
