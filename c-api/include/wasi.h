/**
 * \file wasi.h
 *
 * \brief What a WASI program may see of the host: arguments, environment,
 * standard streams and directories.
 *
 * A configuration starts with nothing: no arguments, no environment, an empty
 * standard input, outputs that are thrown away, no directory. Each function
 * grants one thing. `wasmtime_context_set_wasi` gives the result to a store.
 */

#ifndef WASI_H
#define WASI_H

#include "wasm.h"
#include "wasmtime/conf.h"
#include <stdint.h>

#ifdef WASMTIME_FEATURE_WASI

/// \def WASI_API_EXTERN
/// \brief Stands before every function that the library exports.
#ifndef WASI_API_EXTERN
#if defined(_WIN32) && !defined(__MINGW32__) && !defined(LIBWASM_STATIC)
#define WASI_API_EXTERN __declspec(dllimport)
#else
#define WASI_API_EXTERN
#endif
#endif

#ifdef __cplusplus
extern "C" {
#endif

// Marks a transfer of ownership for the reader; nothing to the compiler.
#define own

/// \brief What one WASI program is given.
///
/// Made by `wasi_config_new`; given up to `wasmtime_context_set_wasi` or freed
/// by `wasi_config_delete`.
typedef struct wasi_config_t wasi_config_t;

/// Frees a configuration that no store has taken, and runs the finalizers of
/// its callbacks.
WASI_API_EXTERN void wasi_config_delete(own wasi_config_t *config);

/// Returns a configuration that grants nothing.
WASI_API_EXTERN own wasi_config_t *wasi_config_new(void);

/// Sets the program's arguments to copies of the `argc` strings `argv`, the
/// first being the program's name. Returns false, changing nothing, when one of
/// them is not UTF-8.
WASI_API_EXTERN bool wasi_config_set_argv(
    wasi_config_t *config, size_t argc, const char *argv[]);

/// Gives the program the arguments of this process, as they are when the store
/// takes the configuration.
WASI_API_EXTERN void wasi_config_inherit_argv(wasi_config_t *config);

/// Sets the program's environment to the `envc` variables `names[i]` =
/// `values[i]` (copied). Returns false, changing nothing, when one of the
/// strings is not UTF-8.
WASI_API_EXTERN bool wasi_config_set_env(
    wasi_config_t *config, size_t envc, const char *names[],
    const char *values[]);

/// Gives the program the environment of this process.
WASI_API_EXTERN void wasi_config_inherit_env(wasi_config_t *config);

/// Lets the program read the file at `path` as its standard input. The file is
/// opened now. Returns false, changing nothing, when it cannot be opened.
WASI_API_EXTERN bool wasi_config_set_stdin_file(
    wasi_config_t *config, const char *path);

/// Lets the program read the bytes `binary` as its standard input. The contents
/// of the vector are taken over; it is empty afterwards.
WASI_API_EXTERN void wasi_config_set_stdin_bytes(
    wasi_config_t *config, wasm_byte_vec_t *binary);

/// Lets the program read the standard input of this process.
WASI_API_EXTERN void wasi_config_inherit_stdin(wasi_config_t *config);

/// Writes the program's standard output to the file at `path`, which is created
/// or emptied now. Returns false, changing nothing, when it cannot be opened.
WASI_API_EXTERN bool wasi_config_set_stdout_file(
    wasi_config_t *config, const char *path);

/// Writes the program's standard output to that of this process.
WASI_API_EXTERN void wasi_config_inherit_stdout(wasi_config_t *config);

/// Hands the program's standard output to `callback`.
///
/// `callback(data, bytes, len)` borrows `len` bytes and returns how many of
/// them it took, or a negative `errno` value when writing fails, which the
/// program is told. To take none, or more than there are, is `EIO`.
/// `finalizer(data)` runs once, when the stream is gone; it may be null. Both
/// may run on any thread, also after the store was deleted, though never on two
/// at once.
WASI_API_EXTERN void wasi_config_set_stdout_custom(
    wasi_config_t *config,
    ptrdiff_t (*callback)(void *, const unsigned char *, size_t), void *data,
    void (*finalizer)(void *));

/// Writes the program's standard error to the file at `path`, which is created
/// or emptied now. Returns false, changing nothing, when it cannot be opened.
WASI_API_EXTERN bool wasi_config_set_stderr_file(
    wasi_config_t *config, const char *path);

/// Writes the program's standard error to that of this process.
WASI_API_EXTERN void wasi_config_inherit_stderr(wasi_config_t *config);

/// Hands the program's standard error to `callback`; as
/// `wasi_config_set_stdout_custom`.
WASI_API_EXTERN void wasi_config_set_stderr_custom(
    wasi_config_t *config,
    ptrdiff_t (*callback)(void *, const unsigned char *, size_t), void *data,
    void (*finalizer)(void *));

/// What a program may do with the entries of a directory.
enum wasi_dir_perms_flags {
  /// Look entries up and list them.
  WASMTIME_WASI_DIR_PERMS_READ = 1,
  /// Create, rename and remove entries.
  WASMTIME_WASI_DIR_PERMS_WRITE = 2,
};

/// A set of `wasi_dir_perms_flags`.
typedef size_t wasi_dir_perms;

/// What a program may do with the files in a directory.
enum wasi_file_perms_flags {
  /// Read their contents.
  WASMTIME_WASI_FILE_PERMS_READ = 1,
  /// Write their contents.
  WASMTIME_WASI_FILE_PERMS_WRITE = 2,
};

/// A set of `wasi_file_perms_flags`.
typedef size_t wasi_file_perms;

/// Opens the directory `host_path` now and shows it to the program as
/// `guest_path`.
///
/// The permissions hold for everything below; nothing outside the directory can
/// be reached through it, by `..` or by symbolic link. Returns false, changing
/// nothing, when the directory cannot be opened, `guest_path` is not UTF-8, or a
/// permission is none of the flags.
WASI_API_EXTERN bool wasi_config_preopen_dir(
    wasi_config_t *config, const char *host_path, const char *guest_path,
    wasi_dir_perms dir_perms, wasi_file_perms file_perms);

/// Lets the program use the network of this process. Not in 44.0.0.
///
/// Kept for programs that open sockets themselves, which takes preview 2; in
/// preview 1 there is nothing that this allows.
WASI_API_EXTERN void wasi_config_inherit_network(wasi_config_t *config);

/// Whether the program may look up the addresses of host names; not allowed at
/// first. Not in 44.0.0. As for `wasi_config_inherit_network`, this is about
/// preview 2.
WASI_API_EXTERN void wasi_config_allow_ip_name_lookup(
    wasi_config_t *config, bool allow);

#undef own

#ifdef __cplusplus
} // extern "C"
#endif

#endif // WASMTIME_FEATURE_WASI

#endif // WASI_H
