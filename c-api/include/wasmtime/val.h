/**
 * \file wasmtime/val.h
 *
 * \brief Values: numbers, vectors and references that cross between host and
 * guest.
 */

#ifndef WASMTIME_VAL_H
#define WASMTIME_VAL_H

#include <stdalign.h>
#include <wasm.h>
#include <wasmtime/extern.h>

#ifdef __cplusplus
extern "C" {
#endif

struct wasmtime_eqref;
/// A reference that can be compared: see `wasmtime/gc.h`.
typedef struct wasmtime_eqref wasmtime_eqref_t;

/// \brief An `anyref`: null, or a root that keeps a garbage-collected object
/// alive.
///
/// A `store_id` of 0 is null. Each root that a function has written is freed
/// once, by `wasmtime_anyref_unroot`, also when its store is gone; a plain copy
/// of the struct is the same root, `wasmtime_anyref_clone` makes another.
typedef struct wasmtime_anyref {
  /// The store it belongs to, or 0.
  uint64_t store_id;
  /// Private.
  uint32_t __private1;
  /// Private.
  uint32_t __private2;
  /// Private.
  void *__private3;
} wasmtime_anyref_t;

/// Makes `*ref` null, without freeing what was there.
static inline void wasmtime_anyref_set_null(wasmtime_anyref_t *ref) {
  ref->store_id = 0;
}

/// Whether `ref` is null.
static inline bool wasmtime_anyref_is_null(const wasmtime_anyref_t *ref) {
  return ref->store_id == 0;
}

/// Makes `*out` a second root for the same object; null for null.
WASM_API_EXTERN void wasmtime_anyref_clone(
    const wasmtime_anyref_t *anyref, wasmtime_anyref_t *out);

/// Makes `*out` a root for the same object when it is an `eqref`, and returns
/// whether it is.
///
/// Declared for sources that mention it; like 44.0.0, the library does not
/// export it. `wasmtime_anyref_as_eqref` does the same.
WASM_API_EXTERN bool wasmtime_anyref_to_eqref(
    wasmtime_context_t *context, const wasmtime_anyref_t *anyref,
    wasmtime_eqref_t *out);

/// Frees the root, if `ref` is not null; `*ref` is not to be used again.
WASM_API_EXTERN void wasmtime_anyref_unroot(wasmtime_anyref_t *ref);

/// Makes `*out` a root for the reference `raw` of a `wasmtime_val_raw_t`.
/// Between the two no collection may have happened.
WASM_API_EXTERN void wasmtime_anyref_from_raw(
    wasmtime_context_t *context, uint32_t raw, wasmtime_anyref_t *out);

/// Returns the reference as a member of `wasmtime_val_raw_t`, valid until the
/// next collection; 0 for null.
WASM_API_EXTERN uint32_t wasmtime_anyref_to_raw(
    wasmtime_context_t *context, const wasmtime_anyref_t *ref);

/// Makes `*out` the 31-bit integer in the low bits of `i31val`, as an `i31ref`.
WASM_API_EXTERN void wasmtime_anyref_from_i31(
    wasmtime_context_t *context, uint32_t i31val, wasmtime_anyref_t *out);

/// Whether `anyref` is an `i31ref`.
WASM_API_EXTERN bool wasmtime_anyref_is_i31(
    wasmtime_context_t *context, const wasmtime_anyref_t *anyref);

/// Sets `*dst` to the integer, zero-extended, when `anyref` is an `i31ref`;
/// returns whether it is.
WASM_API_EXTERN bool wasmtime_anyref_i31_get_u(
    wasmtime_context_t *context, const wasmtime_anyref_t *anyref,
    uint32_t *dst);

/// Sets `*dst` to the integer, sign-extended, when `anyref` is an `i31ref`;
/// returns whether it is.
WASM_API_EXTERN bool wasmtime_anyref_i31_get_s(
    wasmtime_context_t *context, const wasmtime_anyref_t *anyref, int32_t *dst);

/// \brief An `externref`: null, or a root that keeps a pointer of the host's
/// alive in a store.
///
/// A `store_id` of 0 is null. Each root that a function has written is freed
/// once, by `wasmtime_externref_unroot`, also when its store is gone; a plain
/// copy of the struct is the same root, `wasmtime_externref_clone` makes
/// another.
typedef struct wasmtime_externref {
  /// The store it belongs to, or 0.
  uint64_t store_id;
  /// Private.
  uint32_t __private1;
  /// Private.
  uint32_t __private2;
  /// Private.
  void *__private3;
} wasmtime_externref_t;

/// Makes `*ref` null, without freeing what was there.
static inline void wasmtime_externref_set_null(wasmtime_externref_t *ref) {
  ref->store_id = 0;
}

/// Whether `ref` is null.
static inline bool wasmtime_externref_is_null(const wasmtime_externref_t *ref) {
  return ref->store_id == 0;
}

/// Makes `*out` a new `externref` that holds `data`, and returns true; false,
/// after running the finalizer, when the store cannot hold it: its heap is full
/// (see `gc.h`), the engine's pool has no heap left, or
/// `wasmtime_config_gc_support_set` turned it off.
///
/// `finalizer(data)` runs once, some time after neither the host nor wasm can
/// reach the reference: during `wasmtime_context_gc`, a collection that a guest
/// brings about, or the deletion of the store. It may be null.
WASM_API_EXTERN bool wasmtime_externref_new(
    wasmtime_context_t *context, void *data, void (*finalizer)(void *),
    wasmtime_externref_t *out);

/// The host's pointer in a reference; null for the null reference.
WASM_API_EXTERN void *wasmtime_externref_data(
    wasmtime_context_t *context, const wasmtime_externref_t *data);

/// Makes `*out` a second root for the same object; null for null.
WASM_API_EXTERN void wasmtime_externref_clone(
    const wasmtime_externref_t *ref, wasmtime_externref_t *out);

/// Frees the root, if `ref` is not null; `*ref` is not to be used again. The
/// object lives as long as wasm or another root refers to it.
WASM_API_EXTERN void wasmtime_externref_unroot(wasmtime_externref_t *ref);

/// Makes `*out` a root for the reference `raw` of a `wasmtime_val_raw_t`.
/// Between the two no collection may have happened.
WASM_API_EXTERN void wasmtime_externref_from_raw(
    wasmtime_context_t *context, uint32_t raw, wasmtime_externref_t *out);

/// Returns the reference as a member of `wasmtime_val_raw_t`, valid until the
/// next collection; 0 for null.
WASM_API_EXTERN uint32_t wasmtime_externref_to_raw(
    wasmtime_context_t *context, const wasmtime_externref_t *ref);

/// \brief An `exnref`: null, or a root that keeps an exception alive.
///
/// A `store_id` of 0 is null; roots are treated as those of an `anyref`.
typedef struct wasmtime_exnref {
  /// The store it belongs to, or 0.
  uint64_t store_id;
  /// Private.
  uint32_t __private1;
  /// Private.
  uint32_t __private2;
  /// Private.
  void *__private3;
} wasmtime_exnref_t;

/// Makes `*ref` null, without freeing what was there.
static inline void wasmtime_exnref_set_null(wasmtime_exnref_t *ref) {
  ref->store_id = 0;
}

/// Whether `ref` is null.
static inline bool wasmtime_exnref_is_null(const wasmtime_exnref_t *ref) {
  return ref->store_id == 0;
}

/// Makes `*out` a second root for the same exception; null for null.
WASM_API_EXTERN void wasmtime_exnref_clone(
    const wasmtime_exnref_t *ref, wasmtime_exnref_t *out);

/// Frees the root, if `ref` is not null; `*ref` is not to be used again.
WASM_API_EXTERN void wasmtime_exnref_unroot(wasmtime_exnref_t *ref);

/// The kind of a value: one of the `WASMTIME_...` below.
typedef uint8_t wasmtime_valkind_t;

/// A 32-bit integer; member `i32`.
#define WASMTIME_I32 0
/// A 64-bit integer; member `i64`.
#define WASMTIME_I64 1
/// A 32-bit float; member `f32`.
#define WASMTIME_F32 2
/// A 64-bit float; member `f64`.
#define WASMTIME_F64 3
/// A 128-bit vector; member `v128`.
#define WASMTIME_V128 4
/// A function reference; member `funcref`.
#define WASMTIME_FUNCREF 5
/// A reference to something of the host's; member `externref`.
#define WASMTIME_EXTERNREF 6
/// A reference to a garbage-collected object; member `anyref`.
#define WASMTIME_ANYREF 7
/// A reference to an exception; member `exnref`.
#define WASMTIME_EXNREF 8

/// The 16 bytes of a vector, lane 0 first, each lane little-endian.
typedef uint8_t wasmtime_v128[16];

/// The value in a `wasmtime_val_t`.
typedef union wasmtime_valunion {
  /// With `WASMTIME_I32`.
  int32_t i32;
  /// With `WASMTIME_I64`.
  int64_t i64;
  /// With `WASMTIME_F32`.
  float32_t f32;
  /// With `WASMTIME_F64`.
  float64_t f64;
  /// With `WASMTIME_ANYREF`; a root of the value's.
  wasmtime_anyref_t anyref;
  /// With `WASMTIME_EXTERNREF`; a root of the value's.
  wasmtime_externref_t externref;
  /// With `WASMTIME_EXNREF`; a root of the value's.
  wasmtime_exnref_t exnref;
  /// With `WASMTIME_FUNCREF`; nothing to free.
  wasmtime_func_t funcref;
  /// With `WASMTIME_V128`.
  wasmtime_v128 v128;
} wasmtime_valunion_t;

/// \brief A value without its kind, for the unchecked calls.
///
/// In memory always little-endian. References are not rooted: a collection
/// makes them stale.
typedef union wasmtime_val_raw {
  /// An `i32`.
  int32_t i32;
  /// An `i64`.
  int64_t i64;
  /// An `f32`.
  float32_t f32;
  /// An `f64`.
  float64_t f64;
  /// A `v128`.
  wasmtime_v128 v128;
  /// An `anyref`, 0 for null: see `wasmtime_anyref_from_raw`.
  uint32_t anyref;
  /// An `externref`, 0 for null: see `wasmtime_externref_from_raw`.
  uint32_t externref;
  /// A `funcref`, null for null: see `wasmtime_func_from_raw`.
  void *funcref;
} wasmtime_val_raw_t;

/// \brief A value with its kind.
///
/// A value that a function has written belongs to the caller, who passes it to
/// `wasmtime_val_unroot` if it may be a reference.
typedef struct wasmtime_val {
  /// Which member of `of` counts.
  wasmtime_valkind_t kind;
  /// The value.
  wasmtime_valunion_t of;
} wasmtime_val_t;

/// Makes `*func` the null function reference.
static inline void wasmtime_funcref_set_null(wasmtime_func_t *func) {
  func->store_id = 0;
}

/// Whether `func` is the null function reference.
static inline bool wasmtime_funcref_is_null(const wasmtime_func_t *func) {
  return func->store_id == 0;
}

/// Frees the root that the value holds, if it holds one. Not the struct itself.
WASM_API_EXTERN void wasmtime_val_unroot(wasmtime_val_t *val);

/// Makes `*dst` a copy of `src`, with a root of its own where there is one.
WASM_API_EXTERN void wasmtime_val_clone(
    const wasmtime_val_t *src, wasmtime_val_t *dst);

#ifdef __cplusplus
} // extern "C"
#endif

#endif // WASMTIME_VAL_H
