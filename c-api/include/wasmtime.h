/**
 * \file wasmtime.h
 *
 * \brief The whole C API of Ampoule, compatible with Wasmtime 44.0.0.
 *
 * A program in five steps:
 *
 * 1. an engine (`wasm_engine_new`, or `wasm_engine_new_with_config`), one for
 *    the process, which compiles and is shared by all threads;
 * 2. modules (`wasmtime_module_new`), compiled once, shared by all threads;
 * 3. a store (`wasmtime_store_new`), cheap, the world of one guest, with its
 *    limits, fuel, deadline, host data and WASI state;
 * 4. an instance (`wasmtime_instance_new`, or a linker that finds the imports);
 * 5. calls (`wasmtime_func_call`) to the functions it exports.
 *
 * **Two kinds of objects.** What is only ever used by pointer (engine, module,
 * store, linker, error, trap...) is owned by whoever received it and freed by
 * its `..._delete` function. What is a struct (`wasmtime_func_t`,
 * `wasmtime_memory_t`, `wasmtime_instance_t`...) is a handle into a store: copy
 * it freely, never free it, use it with its own store only. A handle used with
 * another store is detected and never followed.
 *
 * **Borrowing.** Unless a comment says that something is taken over, arguments
 * stay the caller's; names and byte ranges are read during the call and need no
 * terminating NUL.
 *
 * **Errors.** A function that can fail returns a `wasmtime_error_t`, null on
 * success; what it would have written through other pointers is then
 * untouched. A function that runs guest code has a trap beside it: at most one
 * of the two is not null. Both belong to the caller.
 *
 * **Finalizers.** Where a `void *` is handed over together with a finalizer,
 * the finalizer runs exactly once with that pointer, also when the function
 * fails; it must not use the store. It may be null.
 *
 * **Threads.** Engines and modules may be used by many threads at once. A
 * store, with everything in it, may move between threads and is used by one at
 * a time. The same holds for a linker while it is being changed.
 */

#ifndef WASMTIME_API_H
#define WASMTIME_API_H

/// The version of the interface: "major.minor.patch".
#define WASMTIME_VERSION "44.0.0"
/// The first number of `WASMTIME_VERSION`.
#define WASMTIME_VERSION_MAJOR 44
/// The second number of `WASMTIME_VERSION`.
#define WASMTIME_VERSION_MINOR 0
/// The third number of `WASMTIME_VERSION`.
#define WASMTIME_VERSION_PATCH 0

#include "wasi.h"
#include "wasmtime/async.h"
#include "wasmtime/conf.h"
#include "wasmtime/config.h"
#include "wasmtime/engine.h"
#include "wasmtime/error.h"
#include "wasmtime/exn.h"
#include "wasmtime/extern.h"
#include "wasmtime/func.h"
#include "wasmtime/gc.h"
#include "wasmtime/global.h"
#include "wasmtime/instance.h"
#include "wasmtime/linker.h"
#include "wasmtime/memory.h"
#include "wasmtime/module.h"
#include "wasmtime/profiling.h"
#include "wasmtime/sharedmemory.h"
#include "wasmtime/store.h"
#include "wasmtime/table.h"
#include "wasmtime/tag.h"
#include "wasmtime/trap.h"
#include "wasmtime/types.h"
#include "wasmtime/val.h"
#include "wasmtime/wat.h"

#ifdef WASMTIME_FEATURE_COMPONENT_MODEL
#include "wasmtime/component.h"
#endif

#endif // WASMTIME_API_H
