/**
 * \file wasmtime/types.h
 *
 * \brief Value types in full: references of every kind, nullable or not.
 *
 * `wasm_valtype_t` tells numbers, `externref` and `funcref` apart by its kind;
 * the structs here say the rest. None of this is in 44.0.0: it came with later
 * versions of the interface.
 *
 * The structs own what they point to: each that was written by a function here
 * is to be freed by its `..._delete`.
 */

#ifndef WASMTIME_TYPES_H
#define WASMTIME_TYPES_H

#include <wasm.h>
#include <wasmtime/gc.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Returns the type `v128`, owned by the caller.
WASM_API_EXTERN wasm_valtype_t *wasmtime_wasm_valtype_v128(void);

/// Whether both are the same type.
WASM_API_EXTERN bool wasmtime_wasm_valtype_equal(
    const wasm_valtype_t *a, const wasm_valtype_t *b);

/// What a heap type is: a `WASMTIME_HEAPTYPE_KIND_...`.
typedef uint8_t wasmtime_heaptype_kind_t;

/// Values of the host.
#define WASMTIME_HEAPTYPE_KIND_EXTERN 0
/// Below `extern`; without values.
#define WASMTIME_HEAPTYPE_KIND_NOEXTERN 1
/// Functions.
#define WASMTIME_HEAPTYPE_KIND_FUNC 2
/// Functions of the type `of.concrete_func`.
#define WASMTIME_HEAPTYPE_KIND_CONCRETE_FUNC 3
/// Below `func`; without values.
#define WASMTIME_HEAPTYPE_KIND_NOFUNC 4
/// Whatever the guest's heap holds.
#define WASMTIME_HEAPTYPE_KIND_ANY 5
/// Below `any`; without values.
#define WASMTIME_HEAPTYPE_KIND_NONE 6
/// What can be compared: structs, arrays and 31-bit integers.
#define WASMTIME_HEAPTYPE_KIND_EQ 7
/// 31-bit integers.
#define WASMTIME_HEAPTYPE_KIND_I31 8
/// Arrays.
#define WASMTIME_HEAPTYPE_KIND_ARRAY 9
/// Arrays of the type `of.concrete_array`.
#define WASMTIME_HEAPTYPE_KIND_CONCRETE_ARRAY 10
/// Structs.
#define WASMTIME_HEAPTYPE_KIND_STRUCT 11
/// Structs of the type `of.concrete_struct`.
#define WASMTIME_HEAPTYPE_KIND_CONCRETE_STRUCT 12
/// Exceptions.
#define WASMTIME_HEAPTYPE_KIND_EXN 13
/// Exceptions of the type `of.concrete_exn`: those whose tags have its type.
#define WASMTIME_HEAPTYPE_KIND_CONCRETE_EXN 14
/// Below `exn`; without values.
#define WASMTIME_HEAPTYPE_KIND_NOEXN 15

/// The type that a heap type of a concrete kind owns.
typedef union wasmtime_heaptype_union {
  /// For `WASMTIME_HEAPTYPE_KIND_CONCRETE_FUNC`.
  wasm_functype_t *concrete_func;
  /// For `WASMTIME_HEAPTYPE_KIND_CONCRETE_ARRAY`.
  wasmtime_array_type_t *concrete_array;
  /// For `WASMTIME_HEAPTYPE_KIND_CONCRETE_STRUCT`.
  wasmtime_struct_type_t *concrete_struct;
  /// For `WASMTIME_HEAPTYPE_KIND_CONCRETE_EXN`.
  wasmtime_exn_type_t *concrete_exn;
} wasmtime_heaptype_union_t;

/// What references point to.
typedef struct wasmtime_heaptype {
  /// What it is.
  wasmtime_heaptype_kind_t kind;
  /// For the concrete kinds.
  wasmtime_heaptype_union_t of;
} wasmtime_heaptype_t;

/// Makes `*out` a deep copy.
WASM_API_EXTERN void wasmtime_heaptype_clone(
    const wasmtime_heaptype_t *ty, wasmtime_heaptype_t *out);

/// Frees what `*ty` owns; not the struct itself.
WASM_API_EXTERN void wasmtime_heaptype_delete(wasmtime_heaptype_t *ty);

/// The type of a reference.
typedef struct wasmtime_reftype {
  /// Whether it may be null.
  bool nullable;
  /// What it points to otherwise.
  wasmtime_heaptype_t heaptype;
} wasmtime_reftype_t;

/// Makes `*out` a deep copy.
WASM_API_EXTERN void wasmtime_reftype_clone(
    const wasmtime_reftype_t *ty, wasmtime_reftype_t *out);

/// Frees what `*ty` owns; not the struct itself.
WASM_API_EXTERN void wasmtime_reftype_delete(wasmtime_reftype_t *ty);

/// What a value type is: a `WASMTIME_VALTYPE_KIND_...`.
typedef uint8_t wasmtime_valtype_kind_t;

/// `i32`.
#define WASMTIME_VALTYPE_KIND_I32 0
/// `i64`.
#define WASMTIME_VALTYPE_KIND_I64 1
/// `f32`.
#define WASMTIME_VALTYPE_KIND_F32 2
/// `f64`.
#define WASMTIME_VALTYPE_KIND_F64 3
/// `v128`.
#define WASMTIME_VALTYPE_KIND_V128 4
/// A reference, of the type `reftype`.
#define WASMTIME_VALTYPE_KIND_REF 5

/// The type of a value.
typedef struct wasmtime_valtype {
  /// What it is.
  wasmtime_valtype_kind_t kind;
  /// For references.
  wasmtime_reftype_t reftype;
} wasmtime_valtype_t;

/// Makes `*out` the same type as `ty` (borrowed).
WASM_API_EXTERN void wasmtime_valtype_new(
    const wasm_valtype_t *ty, wasmtime_valtype_t *out);

/// Makes `*out` a deep copy.
WASM_API_EXTERN void wasmtime_valtype_clone(
    const wasmtime_valtype_t *ty, wasmtime_valtype_t *out);

/// Frees what `*ty` owns; not the struct itself.
WASM_API_EXTERN void wasmtime_valtype_delete(wasmtime_valtype_t *ty);

/// Returns the same type as a `wasm_valtype_t`, owned by the caller: functions,
/// globals and tables can be made with it.
///
/// Null when a concrete type is null or of another engine. Guests cannot declare
/// a type of `WASMTIME_HEAPTYPE_KIND_CONCRETE_EXN`, but a constant global of the
/// host with it can be imported as one of `exnref`.
/// References outside the hierarchies of `extern` and `func` have no
/// `wasm_valkind_t`: `wasm_valtype_kind` answers 255.
WASM_API_EXTERN wasm_valtype_t *wasmtime_valtype_to_wasm(
    const wasm_engine_t *engine, const wasmtime_valtype_t *ty);

/// What a field is kept as: a `WASMTIME_STORAGE_TYPE_KIND_...`.
typedef uint8_t wasmtime_storage_type_kind_t;

/// An integer of 8 bits.
#define WASMTIME_STORAGE_TYPE_KIND_I8 0
/// An integer of 16 bits.
#define WASMTIME_STORAGE_TYPE_KIND_I16 1
/// A value of the type `valtype`.
#define WASMTIME_STORAGE_TYPE_KIND_VALTYPE 2

/// What a field is kept as. `wasmtime_field_type_t` has a kind in its place, as
/// in 44.0.0.
typedef struct wasmtime_storage_type {
  /// What it is.
  wasmtime_storage_type_kind_t kind;
  /// For values; owned.
  wasm_valtype_t *valtype;
} wasmtime_storage_type_t;

/// Makes `*out` a deep copy.
WASM_API_EXTERN void wasmtime_storage_type_clone(
    const wasmtime_storage_type_t *storage, wasmtime_storage_type_t *out);

/// Frees what `*storage` owns; not the struct itself.
WASM_API_EXTERN void wasmtime_storage_type_delete(
    wasmtime_storage_type_t *storage);

#ifdef __cplusplus
} // extern "C"
#endif

#endif // WASMTIME_TYPES_H
