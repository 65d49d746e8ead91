/**
 * \file ampoule/config.h
 *
 * \brief Settings of an engine about exceptions, collected objects and
 * compilers, beyond `wasmtime/config.h`.
 *
 * `ampoule_has("config")` tells whether the library has these functions. Other
 * settings are where what they are about is: `ampoule/cancel.h`,
 * `ampoule/limits.h`.
 */

#ifndef AMPOULE_CONFIG_H
#define AMPOULE_CONFIG_H

#include <wasmtime/conf.h>
#include <wasmtime/config.h>

#ifdef __cplusplus
extern "C" {
#endif

/// \brief Whether modules may use exceptions as they were encoded before they
/// were standardized: `try`, `catch`, `catch_all`, `delegate` and `rethrow`. Off
/// by default.
///
/// Toolchains of some years emitted that encoding, and some still do. Of use
/// with #wasmtime_config_wasm_exceptions_set alone: without that every use of
/// exceptions is refused. A module may use both encodings; what one throws the
/// other catches.
WASM_API_EXTERN void ampoule_config_legacy_exceptions_set(
    wasm_config_t *config, bool enable);

/// \brief For tests: whether every allocation of a collected object collects.
/// Off by default.
///
/// Young objects and all objects are collected in turn, what is freed is
/// overwritten, and the whole heap is looked through for damage, which ends the
/// process. So a raw reference that was kept too long leads to nothing at once
/// instead of rarely. Allocation takes time in proportion to the heap.
WASM_API_EXTERN void ampoule_config_gc_stress_set(
    wasm_config_t *config, bool enable);

/// \brief When a function that the baseline compiler has made is optimized, and
/// on how many threads.
///
/// \param after calls of the function and turns of its loops until then; 2,000
/// by default, `INT32_MAX` at most.
/// \param threads how many threads of the engine optimize in the background, at
/// most. They come when there is work and end a moment after it, or with the
/// engine; a forked child has none of its parent's. With none, a function is
/// optimized by the thread that runs it, at that moment, which the call waits
/// for: for hosts that allow no threads. By default one fewer than the machine
/// has processors, but at least one and at most four.
///
/// Of use with `WASMTIME_STRATEGY_AUTO`: with the others, and with
/// `WASMTIME_OPT_LEVEL_NONE`, no function is compiled twice.
WASM_API_EXTERN void ampoule_config_tier_up_set(wasm_config_t *config,
                                                uint32_t after, size_t threads);

/// \brief How many bytes of machine code the modules of an engine should have at
/// most, all together; 1 GiB by default.
///
/// Above that, code of the baseline compiler that has not been running lately is
/// given back, and made again when it is called. Optimized code stays, and so does
/// that of modules that were compiled as a whole: it is no limit for them. Where
/// such code takes three quarters of it, no function is optimized any more.
/// Code that was replaced by better code is always given back, whatever there is,
/// once no guest is in it. Where a profiler was told of code, all of it stays. #ampoule_engine_code_statistics tells how much there is.
WASM_API_EXTERN void ampoule_config_code_memory_set(wasm_config_t *config,
                                                    size_t bytes);

#ifdef __cplusplus
} // extern "C"
#endif

#endif // AMPOULE_CONFIG_H
