/**
 * \file wasmtime/extern.h
 *
 * \brief Externs: the items that modules import and export.
 */

#ifndef WASMTIME_EXTERN_H
#define WASMTIME_EXTERN_H

#include <wasmtime/module.h>
#include <wasmtime/sharedmemory.h>
#include <wasmtime/store.h>
#include <wasmtime/tag.h>

#ifdef __cplusplus
extern "C" {
#endif

/// \brief A handle to a function of a store; also the value of a `funcref`.
/// Nothing to free.
///
/// A `store_id` of 0 is the null reference: see `wasmtime_funcref_set_null`.
typedef struct wasmtime_func {
  /// The store it belongs to, or 0.
  uint64_t store_id;
  /// Private.
  void *__private;
} wasmtime_func_t;

/// \brief A handle to a table of a store. Nothing to free.
typedef struct wasmtime_table {
  struct {
    /// The store it belongs to; never 0.
    uint64_t store_id;
    /// Private.
    uint32_t __private1;
  };
  /// Private.
  uint32_t __private2;
} wasmtime_table_t;

/// \brief A handle to a linear memory of a store. Nothing to free.
typedef struct wasmtime_memory {
  struct {
    /// The store it belongs to; never 0.
    uint64_t store_id;
    /// Private.
    uint32_t __private1;
  };
  /// Private.
  uint32_t __private2;
} wasmtime_memory_t;

/// \brief A handle to a global of a store. Nothing to free.
typedef struct wasmtime_global {
  /// The store it belongs to; never 0.
  uint64_t store_id;
  /// Private.
  uint32_t __private1;
  /// Private.
  uint32_t __private2;
  /// Private.
  uint32_t __private3;
} wasmtime_global_t;

/// What an extern is: one of the `WASMTIME_EXTERN_...` below.
typedef uint8_t wasmtime_extern_kind_t;

/// A function; member `func`.
#define WASMTIME_EXTERN_FUNC 0
/// A global; member `global`.
#define WASMTIME_EXTERN_GLOBAL 1
/// A table; member `table`.
#define WASMTIME_EXTERN_TABLE 2
/// An unshared memory; member `memory`.
#define WASMTIME_EXTERN_MEMORY 3
/// A shared memory; member `sharedmemory`.
#define WASMTIME_EXTERN_SHAREDMEMORY 4
#ifndef WASMTIME_EXTERN_TAG
/// A tag; member `tag`.
#define WASMTIME_EXTERN_TAG 5
#endif

/// The handle in a `wasmtime_extern_t`.
typedef union wasmtime_extern_union {
  /// With `WASMTIME_EXTERN_FUNC`.
  wasmtime_func_t func;
  /// With `WASMTIME_EXTERN_GLOBAL`.
  wasmtime_global_t global;
  /// With `WASMTIME_EXTERN_TABLE`.
  wasmtime_table_t table;
  /// With `WASMTIME_EXTERN_MEMORY`.
  wasmtime_memory_t memory;
  /// With `WASMTIME_EXTERN_SHAREDMEMORY`; owned by the extern, the only member
  /// that is.
  wasmtime_sharedmemory_t *sharedmemory;
  /// With `WASMTIME_EXTERN_TAG`.
  wasmtime_tag_t tag;
} wasmtime_extern_union_t;

/// \brief Anything that can be imported or exported.
///
/// An extern that a function has written belongs to the caller, who passes it
/// to `wasmtime_extern_delete`; that frees something only for shared memories.
typedef struct wasmtime_extern {
  /// Which member of `of` counts.
  wasmtime_extern_kind_t kind;
  /// The handle.
  wasmtime_extern_union_t of;
} wasmtime_extern_t;

/// Frees what the extern owns. Not the struct itself.
WASM_API_EXTERN void wasmtime_extern_delete(wasmtime_extern_t *val);

/// Returns the type of the item, owned by the caller. The item must be of this
/// store; a shared memory may be of any.
WASM_API_EXTERN wasm_externtype_t *wasmtime_extern_type(
    wasmtime_context_t *context, wasmtime_extern_t *val);

#ifdef __cplusplus
} // extern "C"
#endif

#endif // WASMTIME_EXTERN_H
