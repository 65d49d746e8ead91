/**
 * \file wasmtime/engine.h
 *
 * \brief More about engines; `wasm.h` makes and frees them.
 */

#ifndef WASMTIME_ENGINE_H
#define WASMTIME_ENGINE_H

#include <wasm.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Returns a second handle to the same engine, to be freed like the first. Any
/// thread.
WASM_API_EXTERN wasm_engine_t *wasmtime_engine_clone(wasm_engine_t *engine);

/// Adds one to the engine's epoch, which every store of this engine compares
/// with its deadline.
///
/// May be called from any thread at any time, and from a signal handler.
WASM_API_EXTERN void wasmtime_engine_increment_epoch(wasm_engine_t *engine);

/// Whether the engine runs portable bytecode instead of machine code.
WASM_API_EXTERN bool wasmtime_engine_is_pulley(wasm_engine_t *engine);

#ifdef __cplusplus
} // extern "C"
#endif

#endif // WASMTIME_ENGINE_H
