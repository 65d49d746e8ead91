/**
 * \file wasmtime.hh
 *
 * \brief The whole C++ API of Ampoule: classes over the C API, source-compatible
 * with Wasmtime 44.0.0's.
 *
 * Nothing but headers, for C++17 and later, with exceptions or without. They
 * work over every library with the C API, and one class after the other may be
 * included by itself (`wasmtime/module.hh`).
 *
 * **Ownership.** Classes own their C objects and free them. `Engine`, `Module`,
 * `SharedMemory` and the types copy; references (`ExternRef`...) copy their
 * root; `Store`, `Trap`, `Error` and the like only move. `Func`, `Memory`,
 * `Table`, `Global`, `Tag` and `Instance` are handles into a store: copied
 * freely, used with that store only. `capi()` shows the C object, the
 * constructor from a C object takes it over.
 *
 * **Failures.** What can fail returns a `Result`, which is a value or an
 * `Error`; what runs guest code returns a `TrapResult`, which is a value, a
 * `Trap` or an `Error`. `unwrap()` takes the value, or prints the failure and
 * ends the process. Nothing throws by itself. What a callback throws ends the
 * guest with a trap of that message.
 *
 * **Components** have a namespace of their own, `wasmtime::component`, where
 * `Func`, `Instance`, `Linker` and `Val` are other classes than here.
 *
 * **Contexts.** A function that needs a store takes a `Store::Context`, which
 * is made from a `Store` or, in host functions, from the `Caller`.
 *
 * **Threads.** As in the C API: engines and modules are shared by threads, a
 * store with all that is in it is used by one at a time.
 */

#ifndef WASMTIME_HH
#define WASMTIME_HH

#include <wasmtime/async.hh>
#include <wasmtime/component.hh>
#include <wasmtime/config.hh>
#include <wasmtime/engine.hh>
#include <wasmtime/error.hh>
#include <wasmtime/exn.hh>
#include <wasmtime/extern.hh>
#include <wasmtime/func.hh>
#include <wasmtime/gc.hh>
#include <wasmtime/global.hh>
#include <wasmtime/instance.hh>
#include <wasmtime/linker.hh>
#include <wasmtime/memory.hh>
#include <wasmtime/module.hh>
#include <wasmtime/profiling.hh>
#include <wasmtime/sharedmemory.hh>
#include <wasmtime/span.hh>
#include <wasmtime/store.hh>
#include <wasmtime/table.hh>
#include <wasmtime/tag.hh>
#include <wasmtime/trap.hh>
#include <wasmtime/types.hh>
#include <wasmtime/val.hh>
#include <wasmtime/wasi.hh>
#include <wasmtime/wat.hh>

#endif // WASMTIME_HH
