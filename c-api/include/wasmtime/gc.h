/**
 * \file wasmtime/gc.h
 *
 * \brief Garbage-collected objects: structs, arrays and 31-bit integers.
 *
 * References form a hierarchy: structs, arrays and `i31` are `eq`, and `eq` is
 * `any`. Each handle here is a root, as described at `wasmtime_anyref_t` in
 * `val.h`; the conversions write new roots and leave the old ones.
 *
 * Objects are made in a heap of the store, which counts like a linear memory
 * for `wasmtime_store_limiter`, and live for as long as a root or something in
 * the store leads to them. 31-bit integers need no heap. Objects can be made
 * whatever proposals the engine accepts, but not without
 * `wasmtime_config_gc_support_set`: that is the error `cannot allocate a GC store
 * when GC is disabled at configuration time`.
 *
 * Rules that hold for all functions here: what is passed is borrowed; what is
 * written to `out` belongs to the caller, and nothing is written when an error
 * is returned, which belongs to the caller too. An object of another store is an
 * error, or ends the process with a message where a function returns none; so
 * does a root that was given back before, where that can be told. A heap that is
 * full is an error that begins with `GC heap out of memory`, after everything
 * that nothing leads to was collected. Functions with a context are called by
 * the thread that uses the store; roots are cloned and given back, and types
 * used, on any thread.
 *
 * Functions marked so are not in 44.0.0: they came with later versions of the
 * interface.
 */

#ifndef WASMTIME_GC_H
#define WASMTIME_GC_H

#include <wasmtime/val.h>

#ifdef __cplusplus
extern "C" {
#endif

/// \brief An `eqref`: null, or a root for an object that can be compared.
///
/// A `store_id` of 0 is null.
struct wasmtime_eqref {
  /// The store it belongs to, or 0.
  uint64_t store_id;
  /// Private.
  uint32_t __private1;
  /// Private.
  uint32_t __private2;
  /// Private.
  void *__private3;
};

/// Makes `*ref` null, without freeing what was there.
static inline void wasmtime_eqref_set_null(wasmtime_eqref_t *ref) {
  ref->store_id = 0;
}

/// Whether `ref` is null.
static inline bool wasmtime_eqref_is_null(const wasmtime_eqref_t *ref) {
  return ref->store_id == 0;
}

/// Makes `*out` a second root for the same object; null for null.
WASM_API_EXTERN void wasmtime_eqref_clone(
    const wasmtime_eqref_t *eqref, wasmtime_eqref_t *out);

/// Frees the root, if `ref` is not null; `*ref` is not to be used again.
WASM_API_EXTERN void wasmtime_eqref_unroot(wasmtime_eqref_t *ref);

/// Makes `*out` a root of type `any` for the same object; null for null.
WASM_API_EXTERN void wasmtime_eqref_to_anyref(
    const wasmtime_eqref_t *eqref, wasmtime_anyref_t *out);

/// Makes `*out` the 31-bit integer in the low bits of `i31val`, as an `i31ref`.
WASM_API_EXTERN void wasmtime_eqref_from_i31(
    wasmtime_context_t *context, uint32_t i31val, wasmtime_eqref_t *out);

/// Whether `eqref` is an `i31ref`.
WASM_API_EXTERN bool wasmtime_eqref_is_i31(
    wasmtime_context_t *context, const wasmtime_eqref_t *eqref);

/// Sets `*dst` to the integer, zero-extended, when `eqref` is an `i31ref`;
/// returns whether it is.
WASM_API_EXTERN bool wasmtime_eqref_i31_get_u(
    wasmtime_context_t *context, const wasmtime_eqref_t *eqref, uint32_t *dst);

/// Sets `*dst` to the integer, sign-extended, when `eqref` is an `i31ref`;
/// returns whether it is.
WASM_API_EXTERN bool wasmtime_eqref_i31_get_s(
    wasmtime_context_t *context, const wasmtime_eqref_t *eqref, int32_t *dst);

struct wasmtime_heaptype;

/// Sets `*out` to the type of the object and returns true; false for null. What
/// is written is freed with `wasmtime_heaptype_delete`. Not in 44.0.0.
WASM_API_EXTERN bool wasmtime_eqref_type(
    wasmtime_context_t *context, const wasmtime_eqref_t *eqref,
    struct wasmtime_heaptype *out);

/// As `wasmtime_eqref_type`. Not in 44.0.0.
WASM_API_EXTERN bool wasmtime_anyref_type(
    wasmtime_context_t *context, const wasmtime_anyref_t *anyref,
    struct wasmtime_heaptype *out);

/// What a field holds: a `wasmtime_valkind_t`, or one of the two packed kinds
/// below.
typedef uint8_t wasmtime_storage_kind_t;

/// An integer of 8 bits; its value is an `i32`.
#define WASMTIME_STORAGE_KIND_I8 9
/// An integer of 16 bits; its value is an `i32`.
#define WASMTIME_STORAGE_KIND_I16 10

/// The type of a field of a struct, or of the elements of an array.
typedef struct wasmtime_field_type {
  /// What the field holds.
  wasmtime_storage_kind_t kind;
  /// Whether it may change.
  bool mutable_;
} wasmtime_field_type_t;

/// Makes `*out` a copy. Not in 44.0.0.
///
/// The struct is 44.0.0's: later versions of the interface have another one of
/// this name, with a `wasmtime_storage_type_t` in it.
WASM_API_EXTERN void wasmtime_field_type_clone(
    const wasmtime_field_type_t *field, wasmtime_field_type_t *out);

/// Does nothing: a field type owns nothing. Not in 44.0.0.
WASM_API_EXTERN void wasmtime_field_type_delete(wasmtime_field_type_t *field);

/// The type of a struct.
typedef struct wasmtime_struct_type wasmtime_struct_type_t;

/// Returns the struct type with the `nfields` fields `fields` (borrowed); owned
/// by the caller. Null for an unknown kind of field, and for more than 10,000
/// fields.
///
/// It is equal to the types that guests declare with the same fields, as final
/// and without a supertype.
WASM_API_EXTERN wasmtime_struct_type_t *wasmtime_struct_type_new(
    const wasm_engine_t *engine, const wasmtime_field_type_t *fields,
    size_t nfields);

/// Frees the type; structs of it live on.
WASM_API_EXTERN void wasmtime_struct_type_delete(wasmtime_struct_type_t *ty);

/// Returns a copy, owned by the caller. Not in 44.0.0.
WASM_API_EXTERN wasmtime_struct_type_t *wasmtime_struct_type_copy(
    const wasmtime_struct_type_t *ty);

/// The number of fields. Not in 44.0.0.
WASM_API_EXTERN size_t wasmtime_struct_type_num_fields(
    const wasmtime_struct_type_t *ty);

/// Sets `*out` to the type of the field number `index`; false, leaving it
/// alone, past the last. Not in 44.0.0.
WASM_API_EXTERN bool wasmtime_struct_type_field(
    const wasmtime_struct_type_t *ty, size_t index, wasmtime_field_type_t *out);

/// A struct type prepared for allocation in one store.
typedef struct wasmtime_struct_ref_pre wasmtime_struct_ref_pre_t;

/// Returns the allocator of structs of type `ty` in this store; owned by the
/// caller. Null when the type is of another engine. It keeps the type.
WASM_API_EXTERN wasmtime_struct_ref_pre_t *wasmtime_struct_ref_pre_new(
    wasmtime_context_t *context, const wasmtime_struct_type_t *ty);

/// Frees the allocator; structs from it live on.
WASM_API_EXTERN void wasmtime_struct_ref_pre_delete(
    wasmtime_struct_ref_pre_t *pre);

/// \brief A `structref`: null, or a root for a struct.
///
/// A `store_id` of 0 is null.
typedef struct wasmtime_structref {
  /// The store it belongs to, or 0.
  uint64_t store_id;
  /// Private.
  uint32_t __private1;
  /// Private.
  uint32_t __private2;
  /// Private.
  void *__private3;
} wasmtime_structref_t;

/// Makes `*ref` null, without freeing what was there.
static inline void wasmtime_structref_set_null(wasmtime_structref_t *ref) {
  ref->store_id = 0;
}

/// Whether `ref` is null.
static inline bool wasmtime_structref_is_null(const wasmtime_structref_t *ref) {
  return ref->store_id == 0;
}

/// Makes `*out` a root for a new struct with the `nfields` values `fields`
/// (borrowed). An error when they do not match the type (`expected 2 fields, got
/// 1`; `field type mismatch` and the reason), or are of another store, or the
/// heap is full. Packed fields take the low bits of an `i32`.
WASM_API_EXTERN wasmtime_error_t *wasmtime_structref_new(
    wasmtime_context_t *context, const wasmtime_struct_ref_pre_t *pre,
    const wasmtime_val_t *fields, size_t nfields, wasmtime_structref_t *out);

/// Makes `*out` a second root for the same struct; null for null.
WASM_API_EXTERN void wasmtime_structref_clone(
    const wasmtime_structref_t *structref, wasmtime_structref_t *out);

/// Frees the root, if `ref` is not null; `*ref` is not to be used again.
WASM_API_EXTERN void wasmtime_structref_unroot(wasmtime_structref_t *ref);

/// Makes `*out` a root of type `any` for the same struct; null for null.
WASM_API_EXTERN void wasmtime_structref_to_anyref(
    const wasmtime_structref_t *structref, wasmtime_anyref_t *out);

/// Makes `*out` a root of type `eq` for the same struct; null for null.
WASM_API_EXTERN void wasmtime_structref_to_eqref(
    const wasmtime_structref_t *structref, wasmtime_eqref_t *out);

/// Makes `*out` the field number `index`, owned by the caller; packed fields
/// come zero-extended. An error for null and past the last field (`cannot access
/// field 2: struct only has 2 fields`).
WASM_API_EXTERN wasmtime_error_t *wasmtime_structref_field(
    wasmtime_context_t *context, const wasmtime_structref_t *structref,
    size_t index, wasmtime_val_t *out);

/// Stores `val` (borrowed) in the field number `index`. An error for null, past
/// the last field, when the field is constant (`cannot set field 0: field is not
/// mutable`) or the value does not match its type (`cannot set field 0: type
/// mismatch`).
WASM_API_EXTERN wasmtime_error_t *wasmtime_structref_set_field(
    wasmtime_context_t *context, const wasmtime_structref_t *structref,
    size_t index, const wasmtime_val_t *val);

/// Returns the type of the struct, owned by the caller; null for null. Not in
/// 44.0.0.
WASM_API_EXTERN wasmtime_struct_type_t *wasmtime_structref_type(
    wasmtime_context_t *context, const wasmtime_structref_t *structref);

/// Whether `eqref` is a struct.
WASM_API_EXTERN bool wasmtime_eqref_is_struct(
    wasmtime_context_t *context, const wasmtime_eqref_t *eqref);

/// Makes `*out` a root of type `struct` for the same object when it is one, and
/// null otherwise; returns whether it is.
WASM_API_EXTERN bool wasmtime_eqref_as_struct(
    wasmtime_context_t *context, const wasmtime_eqref_t *eqref,
    wasmtime_structref_t *out);

/// The type of an array.
typedef struct wasmtime_array_type wasmtime_array_type_t;

/// Returns the type of arrays with elements of type `field` (borrowed); owned
/// by the caller. Null for an unknown kind of element.
WASM_API_EXTERN wasmtime_array_type_t *wasmtime_array_type_new(
    const wasm_engine_t *engine, const wasmtime_field_type_t *field);

/// Frees the type; arrays of it live on.
WASM_API_EXTERN void wasmtime_array_type_delete(wasmtime_array_type_t *ty);

/// Returns a copy, owned by the caller. Not in 44.0.0.
WASM_API_EXTERN wasmtime_array_type_t *wasmtime_array_type_copy(
    const wasmtime_array_type_t *ty);

/// Sets `*out` to the type of the elements. Not in 44.0.0.
WASM_API_EXTERN void wasmtime_array_type_element(
    const wasmtime_array_type_t *ty, wasmtime_field_type_t *out);

/// An array type prepared for allocation in one store.
typedef struct wasmtime_array_ref_pre wasmtime_array_ref_pre_t;

/// Returns the allocator of arrays of type `ty` in this store; owned by the
/// caller. Null when the type is of another engine. It keeps the type.
WASM_API_EXTERN wasmtime_array_ref_pre_t *wasmtime_array_ref_pre_new(
    wasmtime_context_t *context, const wasmtime_array_type_t *ty);

/// Frees the allocator; arrays from it live on.
WASM_API_EXTERN void wasmtime_array_ref_pre_delete(
    wasmtime_array_ref_pre_t *pre);

/// \brief An `arrayref`: null, or a root for an array.
///
/// A `store_id` of 0 is null.
typedef struct wasmtime_arrayref {
  /// The store it belongs to, or 0.
  uint64_t store_id;
  /// Private.
  uint32_t __private1;
  /// Private.
  uint32_t __private2;
  /// Private.
  void *__private3;
} wasmtime_arrayref_t;

/// Makes `*ref` null, without freeing what was there.
static inline void wasmtime_arrayref_set_null(wasmtime_arrayref_t *ref) {
  ref->store_id = 0;
}

/// Whether `ref` is null.
static inline bool wasmtime_arrayref_is_null(const wasmtime_arrayref_t *ref) {
  return ref->store_id == 0;
}

/// Makes `*out` a root for a new array of `len` elements `elem` (borrowed). An
/// error when the value does not match the type (`element type mismatch`) or is
/// of another store, the heap is full, or no heap could hold so many (`allocation
/// size too large`).
WASM_API_EXTERN wasmtime_error_t *wasmtime_arrayref_new(
    wasmtime_context_t *context, const wasmtime_array_ref_pre_t *pre,
    const wasmtime_val_t *elem, uint32_t len, wasmtime_arrayref_t *out);

/// Makes `*out` a second root for the same array; null for null.
WASM_API_EXTERN void wasmtime_arrayref_clone(
    const wasmtime_arrayref_t *arrayref, wasmtime_arrayref_t *out);

/// Frees the root, if `ref` is not null; `*ref` is not to be used again.
WASM_API_EXTERN void wasmtime_arrayref_unroot(wasmtime_arrayref_t *ref);

/// Makes `*out` a root of type `any` for the same array; null for null.
WASM_API_EXTERN void wasmtime_arrayref_to_anyref(
    const wasmtime_arrayref_t *arrayref, wasmtime_anyref_t *out);

/// Makes `*out` a root of type `eq` for the same array; null for null.
WASM_API_EXTERN void wasmtime_arrayref_to_eqref(
    const wasmtime_arrayref_t *arrayref, wasmtime_eqref_t *out);

/// Sets `*out` to the number of elements. An error for null.
WASM_API_EXTERN wasmtime_error_t *wasmtime_arrayref_len(
    wasmtime_context_t *context, const wasmtime_arrayref_t *arrayref,
    uint32_t *out);

/// Makes `*out` the element at `index`, owned by the caller; packed elements
/// come zero-extended. An error for null and past the end (`index out of bounds:
/// the length is 3 but the index is 3`).
WASM_API_EXTERN wasmtime_error_t *wasmtime_arrayref_get(
    wasmtime_context_t *context, const wasmtime_arrayref_t *arrayref,
    uint32_t index, wasmtime_val_t *out);

/// Stores `val` (borrowed) at `index`. An error for null, past the end, when
/// the elements are constant (`cannot set element 0: array elements are not
/// mutable`) or the value does not match their type (`cannot set element 0: type
/// mismatch`).
WASM_API_EXTERN wasmtime_error_t *wasmtime_arrayref_set(
    wasmtime_context_t *context, const wasmtime_arrayref_t *arrayref,
    uint32_t index, const wasmtime_val_t *val);

/// Returns the type of the array, owned by the caller; null for null. Not in
/// 44.0.0.
WASM_API_EXTERN wasmtime_array_type_t *wasmtime_arrayref_type(
    wasmtime_context_t *context, const wasmtime_arrayref_t *arrayref);

/// Whether `eqref` is an array.
WASM_API_EXTERN bool wasmtime_eqref_is_array(
    wasmtime_context_t *context, const wasmtime_eqref_t *eqref);

/// Makes `*out` a root of type `array` for the same object when it is one, and
/// null otherwise; returns whether it is.
WASM_API_EXTERN bool wasmtime_eqref_as_array(
    wasmtime_context_t *context, const wasmtime_eqref_t *eqref,
    wasmtime_arrayref_t *out);

/// Whether `anyref` is an `eqref`.
WASM_API_EXTERN bool wasmtime_anyref_is_eqref(
    wasmtime_context_t *context, const wasmtime_anyref_t *anyref);

/// Makes `*out` a root of type `eq` for the same object when it is one, and
/// null otherwise; returns whether it is.
WASM_API_EXTERN bool wasmtime_anyref_as_eqref(
    wasmtime_context_t *context, const wasmtime_anyref_t *anyref,
    wasmtime_eqref_t *out);

/// Whether `anyref` is a struct.
WASM_API_EXTERN bool wasmtime_anyref_is_struct(
    wasmtime_context_t *context, const wasmtime_anyref_t *anyref);

/// Makes `*out` a root of type `struct` for the same object when it is one, and
/// null otherwise; returns whether it is.
WASM_API_EXTERN bool wasmtime_anyref_as_struct(
    wasmtime_context_t *context, const wasmtime_anyref_t *anyref,
    wasmtime_structref_t *out);

/// Whether `anyref` is an array.
WASM_API_EXTERN bool wasmtime_anyref_is_array(
    wasmtime_context_t *context, const wasmtime_anyref_t *anyref);

/// Makes `*out` a root of type `array` for the same object when it is one, and
/// null otherwise; returns whether it is.
WASM_API_EXTERN bool wasmtime_anyref_as_array(
    wasmtime_context_t *context, const wasmtime_anyref_t *anyref,
    wasmtime_arrayref_t *out);

/// The type of an exception: the types of its fields. Not in 44.0.0, like the
/// functions about it.
typedef struct wasmtime_exn_type wasmtime_exn_type_t;

/// Sets `*out` to the type of exceptions with fields of the types `params`
/// (borrowed), owned by the caller.
WASM_API_EXTERN wasmtime_error_t *wasmtime_exn_type_new(
    const wasm_engine_t *engine, const wasm_valtype_vec_t *params,
    wasmtime_exn_type_t **out);

/// Frees the type; exceptions of it live on.
WASM_API_EXTERN void wasmtime_exn_type_delete(wasmtime_exn_type_t *ty);

/// Returns a copy, owned by the caller.
WASM_API_EXTERN wasmtime_exn_type_t *wasmtime_exn_type_copy(
    const wasmtime_exn_type_t *ty);

/// Returns the type of tags of such exceptions, owned by the caller.
WASM_API_EXTERN wasm_tagtype_t *wasmtime_exn_type_tag_type(
    const wasmtime_exn_type_t *ty);

#ifdef __cplusplus
} // extern "C"
#endif

#endif // WASMTIME_GC_H
