/**
 * \file wasmtime/conf.h
 *
 * \brief Which parts of the API this library has.
 *
 * A part that is missing has its line as a comment, and the declarations behind
 * that macro are then absent. The macros have no value: test with `#ifdef`.
 */

#ifndef WASMTIME_CONF_H
#define WASMTIME_CONF_H

/// The text format: `wasmtime/wat.h`.
#define WASMTIME_FEATURE_WAT
/// Compilation on several threads.
#define WASMTIME_FEATURE_PARALLEL_COMPILATION
/// WASI: `wasi.h` and what takes its configuration.
#define WASMTIME_FEATURE_WASI
/// HTTP for components, `wasi:http`.
#define WASMTIME_FEATURE_WASI_HTTP
/// File names and line numbers in backtraces.
#define WASMTIME_FEATURE_ADDR2LINE
/// Readable C++ and Rust names in backtraces.
#define WASMTIME_FEATURE_DEMANGLE
/// Calls as futures: `wasmtime/async.h`.
#define WASMTIME_FEATURE_ASYNC
/// The threads proposal, with shared memories.
#define WASMTIME_FEATURE_THREADS
/// A cache of compiled modules on disk.
#define WASMTIME_FEATURE_CACHE
/// Pooling allocation: bounds over all stores of an engine.
#define WASMTIME_FEATURE_POOLING_ALLOCATOR
/// Roots for what is collected, tags and exceptions: `wasmtime/exn.h`.
#define WASMTIME_FEATURE_GC
/// Profiles of guests, `wasmtime/profiling.h`, and `wasmtime_config_profiler_set`.
#define WASMTIME_FEATURE_PROFILING
/// Components: `wasmtime/component.h`.
#define WASMTIME_FEATURE_COMPONENT_MODEL
/// Messages on standard error, where the environment asks for them, as with `AMPOULE_LOG=warn`
/// (`error`, `warn`, `info`, `debug`, `trace`) or, in its place, `RUST_LOG=ampoule=warn`.
#define WASMTIME_FEATURE_LOGGING
/// The optimizing compiler.
#define WASMTIME_FEATURE_CRANELIFT
/// The baseline compiler, Ampoule's own: `WASMTIME_STRATEGY_WINCH`.
#define WASMTIME_FEATURE_WINCH

// The next four name parts of another implementation of this interface. No
// declaration depends on them, and no function is missing without them; they are
// defined because a library that has the whole interface has them. Here:

/// There is one collector, whichever is meant.
#define WASMTIME_FEATURE_GC_DRC
/// As `WASMTIME_FEATURE_GC_DRC`.
#define WASMTIME_FEATURE_GC_NULL
/// No core dump is made of a guest that traps: the interface has no function that
/// would ask for one.
#define WASMTIME_FEATURE_COREDUMP
/// `wasmtime_config_target_set` answers an error for the targets of an interpreter.
#define WASMTIME_FEATURE_PULLEY

// #define WASMTIME_FEATURE_ALL_ARCH
// #define WASMTIME_FEATURE_DEBUG_BUILTINS
// #define WASMTIME_FEATURE_DISABLE_LOGGING

#if defined(WASMTIME_FEATURE_CRANELIFT) || defined(WASMTIME_FEATURE_WINCH)
/// Modules can be compiled here, by whichever compiler.
#define WASMTIME_FEATURE_COMPILER
#endif

#endif // WASMTIME_CONF_H
