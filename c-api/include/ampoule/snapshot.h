/**
 * \file ampoule/snapshot.h
 *
 * \brief Instances as they are at one moment: taken, reset, made again in other
 * stores, and in other processes.
 *
 * `ampoule_has("snapshot")` tells whether the library has these functions.
 *
 * A **snapshot** has all that a guest can tell: memories, tables, globals,
 * dropped segments, and the objects that can be reached from there. It is taken
 * between calls, of some instances of a store or of all of them. From it
 *
 * - the same instances are **reset**: only pages of memory are touched that were
 *   written since;
 * - they are **made again** in another store of the same engine, on any thread:
 *   no start function runs, and no segment is copied. Memories are mapped copy on
 *   write, so that instances share what none of them writes;
 * - bytes are made, of which another process with the same version of the library
 *   and the same configuration makes them.
 *
 * What instances import from outside of the snapshot, such as host functions, is
 * not part of it, and given again when they are made. Fuel, deadlines, limits, a
 * pending exception and the host's own data are the store's, and stay as they
 * are; of WASI it may be told (#ampoule_snapshot_attach_wasi). What is behind an `externref` is named by the host
 * (#ampoule_host_references_t).
 *
 * A snapshot keeps what it needs, its modules and their engine. It may be used
 * by several threads at once, but for #ampoule_snapshot_attach and
 * #ampoule_snapshot_delete.
 */

#ifndef AMPOULE_SNAPSHOT_H
#define AMPOULE_SNAPSHOT_H

#include <wasm.h>
#include <wasi.h>
#include <wasmtime/component/component.h>
#include <wasmtime/component/instance.h>
#include <wasmtime/component/linker.h>
#include <wasmtime/conf.h>
#include <wasmtime/error.h>
#include <wasmtime/extern.h>
#include <wasmtime/instance.h>
#include <wasmtime/linker.h>
#include <wasmtime/module.h>
#include <wasmtime/store.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Instances as they were at one moment.
typedef struct ampoule_snapshot ampoule_snapshot_t;

/// \brief How the host names what is behind `externref`s, and finds it again.
///
/// Both functions are called by the thread that takes, resets or makes, during
/// that call, and must not use the store.
typedef struct ampoule_host_references {
  /// Passed to both functions.
  void *env;
  /// \brief Sets `*number` to that by which `restore` will know the `data` that
  /// `wasmtime_externref_new` was given. Called once for each value that the
  /// instances can reach.
  ///
  /// An error, which is given to the library, where it cannot be part of a
  /// snapshot: none is taken then. Null refuses all.
  wasmtime_error_t *(*save)(void *env, void *data, uint64_t *number);
  /// \brief Sets `*data` and `*finalizer`, both null before, to what is to be
  /// behind an `externref` in place of what had this number, as for
  /// `wasmtime_externref_new`.
  ///
  /// An error, which is given to the library, where there is nothing: nothing is
  /// reset or made then. Null refuses all.
  wasmtime_error_t *(*restore)(
      void *env, uint64_t number, void **data, void (**finalizer)(void *));
} ampoule_host_references_t;

/// \brief Takes a snapshot of `ninstances` instances of a store, none of them
/// twice, and sets `*snapshot` to it, owned by the caller.
///
/// What they import of other instances, or of the host, is not part of it.
/// `references` may be null where guests have no `externref`s of the host's.
///
/// An error where a guest of the store runs, or an asynchronous call waits;
/// where an instance is of another store; and where they have what no snapshot can
/// have: a shared memory, a reference to a function of an instance that is not among
/// them and that none of them imports, an object of a type that their modules
/// don't declare, a value that `references` refuses.
WASM_API_EXTERN wasmtime_error_t *ampoule_snapshot_take(
    wasmtime_context_t *context, const wasmtime_instance_t *instances,
    size_t ninstances, const ampoule_host_references_t *references,
    ampoule_snapshot_t **snapshot);

/// \brief As #ampoule_snapshot_take, of all instances of a store in the order in
/// which they were made, and of the memories, tables, globals and tags that the
/// host made and they import.
WASM_API_EXTERN wasmtime_error_t *ampoule_snapshot_take_all(
    wasmtime_context_t *context, const ampoule_host_references_t *references,
    ampoule_snapshot_t **snapshot);

/// Another handle to the same snapshot, owned by the caller.
WASM_API_EXTERN ampoule_snapshot_t *ampoule_snapshot_clone(
    const ampoule_snapshot_t *snapshot);

/// Frees a handle to a snapshot. What was made of it stays.
WASM_API_EXTERN void ampoule_snapshot_delete(ampoule_snapshot_t *snapshot);

/// How many instances a snapshot has.
WASM_API_EXTERN size_t ampoule_snapshot_len(const ampoule_snapshot_t *snapshot);

/// The module of the instance at this place, owned by the caller; null past the
/// last.
WASM_API_EXTERN wasmtime_module_t *ampoule_snapshot_module(
    const ampoule_snapshot_t *snapshot, size_t instance);

/// \brief Makes `*out` what the instances import from outside of the snapshot, for
/// #ampoule_snapshot_instantiate_with; owned by the caller.
///
/// One instance after another in the order in which they were made, each in its
/// module's order; the same names may come several times.
WASM_API_EXTERN void ampoule_snapshot_imports(
    const ampoule_snapshot_t *snapshot, wasm_importtype_vec_t *out);

/// \brief Has instances be as they were when the snapshot was taken.
///
/// They are those that it was taken of, or that were made of it, or others of
/// the same modules that import the same of each other; in the same order.
/// All handles of the store keep working. A memory or table that has grown is
/// as short again as it was, so pointers from `wasmtime_memory_data` are stale.
/// Objects that the host has handles of stay as they are; the instances get
/// others. Of the memories only pages that were written are touched.
///
/// An error where a guest of the store runs, or an asynchronous call waits;
/// where the instances are not such ones; where a limit refuses that something
/// grows to what it was, or `references` refuses: then nothing but sizes has
/// changed. Also where the system refuses to map a memory, which is then empty.
/// Resets after a trap are fine.
WASM_API_EXTERN wasmtime_error_t *ampoule_snapshot_reset(
    const ampoule_snapshot_t *snapshot, wasmtime_context_t *context,
    const wasmtime_instance_t *instances, size_t ninstances,
    const ampoule_host_references_t *references);

/// \brief Makes the instances in a store of the same engine, with imports from a
/// linker.
///
/// Writes `ninstances` of them, which must be #ampoule_snapshot_len, to
/// `instances`, in the order in which the snapshot was taken of them. Limits of
/// the store and of the engine's pool hold.
///
/// An error where the store is of another engine, an import is missing or of
/// another type, or a limit or `references` refuses: nothing stays in the store
/// then.
WASM_API_EXTERN wasmtime_error_t *ampoule_snapshot_instantiate(
    const ampoule_snapshot_t *snapshot, wasmtime_context_t *context,
    const wasmtime_linker_t *linker,
    const ampoule_host_references_t *references, wasmtime_instance_t *instances,
    size_t ninstances);

/// \brief As #ampoule_snapshot_instantiate, with `nimports` imports in the order
/// of #ampoule_snapshot_imports.
WASM_API_EXTERN wasmtime_error_t *ampoule_snapshot_instantiate_with(
    const ampoule_snapshot_t *snapshot, wasmtime_context_t *context,
    const wasmtime_extern_t *imports, size_t nimports,
    const ampoule_host_references_t *references, wasmtime_instance_t *instances,
    size_t ninstances);

/// \brief Adds `len` bytes, which are copied, under a name, in place of those
/// that were there.
///
/// For what the host wants to find again with the snapshot; they are part of the
/// bytes that it is written as. Other handles don't get them. An error where the name is not
/// UTF-8. Nobody else may be using this handle.
WASM_API_EXTERN wasmtime_error_t *ampoule_snapshot_attach(
    ampoule_snapshot_t *snapshot, const char *name, size_t name_len,
    const uint8_t *bytes, size_t len);

/// \brief Sets `*bytes` and `*len` to what was added under a name; false where
/// there is nothing.
///
/// The bytes are the snapshot's, until it is deleted or others are added.
WASM_API_EXTERN bool ampoule_snapshot_section(
    const ampoule_snapshot_t *snapshot, const char *name, size_t name_len,
    const uint8_t **bytes, size_t *len);

#ifdef WASMTIME_FEATURE_COMPILER
/// \brief Makes `*out` the snapshot as bytes, with its modules, for
/// #ampoule_snapshot_deserialize; owned by the caller.
///
/// Compiles what of the modules has not been. An error where a function cannot
/// be compiled.
WASM_API_EXTERN wasmtime_error_t *ampoule_snapshot_serialize(
    const ampoule_snapshot_t *snapshot, wasm_byte_vec_t *out);
#endif // WASMTIME_FEATURE_COMPILER

/// \brief Sets `*snapshot` to the one that #ampoule_snapshot_serialize wrote; owned
/// by the caller.
///
/// An error where the bytes are damaged, or were made by another version, for
/// another machine or under a configuration that does not fit this engine's. The
/// bytes are copied. **They are code**: this only catches mistakes, so bytes from
/// somebody else must be authenticated first.
WASM_API_EXTERN wasmtime_error_t *ampoule_snapshot_deserialize(
    wasm_engine_t *engine, const uint8_t *bytes, size_t len,
    ampoule_snapshot_t **snapshot);

/// \brief As #ampoule_snapshot_deserialize, from the file at the NUL-terminated
/// `path`, which is mapped rather than read: ready at once, and shared with every
/// process that does the same.
///
/// The file must not change while the snapshot lives, or an instance that was made
/// of it; replacing it by another of the same name is fine. Damage of code and of
/// memories is not noticed.
WASM_API_EXTERN wasmtime_error_t *ampoule_snapshot_deserialize_file(
    wasm_engine_t *engine, const char *path, ampoule_snapshot_t **snapshot);

/// \name What guests have of WASI
/// @{

/// \brief Adds what the guest of a store has of WASI.
///
/// Arguments and environment, the monotonic clock, and what is open, by the
/// names and numbers that the guest knows: standard streams, directories, files
/// below them with their offsets; of components those that they have handles
/// of. An error, by name, where that cannot be kept: pipes, devices, sockets,
/// requests, output that is not written yet, files that were removed or renamed.
///
/// To be called at the moment at which the snapshot is taken. Other handles
/// don't get it. An error also where the store has no WASI. Nobody else may be
/// using this handle.
WASM_API_EXTERN wasmtime_error_t *ampoule_snapshot_attach_wasi(
    ampoule_snapshot_t *snapshot, wasmtime_context_t *context);

/// \brief As #wasmtime_context_set_wasi, for a guest that goes on with what was
/// added by #ampoule_snapshot_attach_wasi.
///
/// The snapshot grants nothing: directories come from `wasi`, by the names that
/// they had, and so do the standard streams. What the guest had open is opened
/// again below them, never made and never emptied. Arguments and environment
/// are those of `wasi`, where it has any, and the guest's otherwise; it
/// may have read them before.
///
/// To be called before the instances are made, or reset. `wasi` is taken over in
/// any case. An error where a directory is not given, or what was open is gone:
/// the store keeps what it had.
WASM_API_EXTERN wasmtime_error_t *ampoule_context_set_wasi_of_snapshot(
    wasmtime_context_t *context, wasi_config_t *wasi,
    const ampoule_snapshot_t *snapshot);

/// @}
/// \name Components
/// @{

/// \brief A component instance as it was at one moment, with all instances in it.
///
/// It may be used by several threads at once.
typedef struct ampoule_component_snapshot ampoule_component_snapshot_t;

/// \brief Takes a snapshot of an instance of this component, and sets
/// `*snapshot` to it, owned by the caller.
///
/// It has what its core instances have, and its handles, by the numbers that the
/// guest knows. Of the host's resources it has WASI's only, which need
/// #ampoule_snapshot_attach_wasi; the guest may have no others.
///
/// An error where the instance is of another store or component, or inside of
/// another instance; where a guest of the store runs, was stopped, or has left
/// tasks behind; where it has a stream, a future, an error context or a resource
/// that no snapshot can have, or what #ampoule_snapshot_take refuses.
WASM_API_EXTERN wasmtime_error_t *ampoule_component_snapshot_take(
    wasmtime_context_t *context, const wasmtime_component_t *component,
    const wasmtime_component_instance_t *instance,
    ampoule_component_snapshot_t **snapshot);

/// Another handle to the same snapshot, owned by the caller.
WASM_API_EXTERN ampoule_component_snapshot_t *ampoule_component_snapshot_clone(
    const ampoule_component_snapshot_t *snapshot);

/// Frees a handle to a snapshot. What was made of it stays.
WASM_API_EXTERN void ampoule_component_snapshot_delete(
    ampoule_component_snapshot_t *snapshot);

/// The component, owned by the caller.
WASM_API_EXTERN wasmtime_component_t *ampoule_component_snapshot_component(
    const ampoule_component_snapshot_t *snapshot);

/// \brief Has an instance be as it was: the one that the snapshot was taken of, one
/// that was made of it, or another of the component whose imports are the same.
///
/// Its handle and those of its functions keep working. Where a guest of the store
/// was stopped, it can be called again; then there must be no other component
/// instance in the store. What it has of WASI is set before, by
/// #ampoule_context_set_wasi_of_snapshot.
///
/// An error where the instance is another store's or component's; where a guest
/// runs, or tasks, streams or futures were left behind; where a limit refuses:
/// then the instance cannot be called, unless it is reset.
WASM_API_EXTERN wasmtime_error_t *ampoule_component_snapshot_reset(
    const ampoule_component_snapshot_t *snapshot, wasmtime_context_t *context,
    const wasmtime_component_instance_t *instance);

/// \brief Makes the instance in a store of the same engine, as it was: no start
/// function runs.
///
/// The linker has what #ampoule_component_snapshot_component imports. What the
/// guest had of WASI is set before, by #ampoule_context_set_wasi_of_snapshot.
///
/// An error where the store is of another engine, an import is missing, or a
/// limit refuses; or where the store does not have the resources of WASI that the
/// guest had.
WASM_API_EXTERN wasmtime_error_t *ampoule_component_snapshot_instantiate(
    const ampoule_component_snapshot_t *snapshot, wasmtime_context_t *context,
    const wasmtime_component_linker_t *linker,
    wasmtime_component_instance_t *instance);

/// \brief The snapshot with the component in it, to attach things and to write it
/// as bytes; owned by the caller.
WASM_API_EXTERN ampoule_snapshot_t *ampoule_component_snapshot_to_snapshot(
    const ampoule_component_snapshot_t *snapshot);

/// \brief Sets `*component_snapshot` to what
/// #ampoule_component_snapshot_to_snapshot gave, also after it was written and
/// read; owned by the caller.
///
/// An error where it is a snapshot of core instances, or damaged.
WASM_API_EXTERN wasmtime_error_t *ampoule_component_snapshot_of_snapshot(
    const ampoule_snapshot_t *snapshot,
    ampoule_component_snapshot_t **component_snapshot);

/// @}

#ifdef __cplusplus
} // extern "C"
#endif

#endif // AMPOULE_SNAPSHOT_H
