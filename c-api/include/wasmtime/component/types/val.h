/**
 * \file wasmtime/component/types/val.h
 *
 * \brief The types of values of the component model.
 *
 * Type objects are owned by whoever received them, and freed with their
 * `..._delete` function. They are independent of what they describe, and usable
 * by many threads.
 */

#ifndef WASMTIME_COMPONENT_TYPES_VAL_H
#define WASMTIME_COMPONENT_TYPES_VAL_H

#include <wasmtime/conf.h>

#ifdef WASMTIME_FEATURE_COMPONENT_MODEL

#include <stdint.h>
#include <wasmtime/component/types/resource.h>

#ifdef __cplusplus
extern "C" {
#endif

struct wasmtime_component_valtype_t;

/// \brief The type of lists.
typedef struct wasmtime_component_list_type wasmtime_component_list_type_t;

/// Returns a second handle to the same type, to be freed like the first.
WASM_API_EXTERN wasmtime_component_list_type_t *
wasmtime_component_list_type_clone(
    const wasmtime_component_list_type_t *ty);

/// Whether the two are the same type, in structure.
WASM_API_EXTERN bool wasmtime_component_list_type_equal(
    const wasmtime_component_list_type_t *a,
    const wasmtime_component_list_type_t *b);

/// Frees this handle to a type.
WASM_API_EXTERN void wasmtime_component_list_type_delete(
    wasmtime_component_list_type_t *ptr);

/// Sets `*type_ret` to the type of the elements, owned by the caller.
WASM_API_EXTERN void wasmtime_component_list_type_element(
    const wasmtime_component_list_type_t *ty,
    struct wasmtime_component_valtype_t *type_ret);

/// \brief The type of records: fields with names, as declared.
typedef struct wasmtime_component_record_type wasmtime_component_record_type_t;

/// Returns a second handle to the same type, to be freed like the first.
WASM_API_EXTERN wasmtime_component_record_type_t *
wasmtime_component_record_type_clone(
    const wasmtime_component_record_type_t *ty);

/// Whether the two are the same type, in structure.
WASM_API_EXTERN bool wasmtime_component_record_type_equal(
    const wasmtime_component_record_type_t *a,
    const wasmtime_component_record_type_t *b);

/// Frees this handle to a type.
WASM_API_EXTERN void wasmtime_component_record_type_delete(
    wasmtime_component_record_type_t *ptr);

/// The number of fields.
WASM_API_EXTERN size_t wasmtime_component_record_type_field_count(
    const wasmtime_component_record_type_t *ty);

/// Sets `*name_ret` and `*name_len_ret` to the name of the field number `nth`,
/// which lives as long as `ty`, and `*type_ret` to its type, owned by the
/// caller, and returns true; false past the last.
WASM_API_EXTERN bool wasmtime_component_record_type_field_nth(
    const wasmtime_component_record_type_t *ty, size_t nth,
    const char **name_ret, size_t *name_len_ret,
    struct wasmtime_component_valtype_t *type_ret);

/// \brief The type of tuples.
typedef struct wasmtime_component_tuple_type wasmtime_component_tuple_type_t;

/// Returns a second handle to the same type, to be freed like the first.
WASM_API_EXTERN wasmtime_component_tuple_type_t *
wasmtime_component_tuple_type_clone(
    const wasmtime_component_tuple_type_t *ty);

/// Whether the two are the same type, in structure.
WASM_API_EXTERN bool wasmtime_component_tuple_type_equal(
    const wasmtime_component_tuple_type_t *a,
    const wasmtime_component_tuple_type_t *b);

/// Frees this handle to a type.
WASM_API_EXTERN void wasmtime_component_tuple_type_delete(
    wasmtime_component_tuple_type_t *ptr);

/// The number of elements.
WASM_API_EXTERN size_t wasmtime_component_tuple_type_types_count(
    const wasmtime_component_tuple_type_t *ty);

/// Sets `*type_ret` to the type of the element number `nth`, owned by the
/// caller, and returns true; false past the last.
WASM_API_EXTERN bool wasmtime_component_tuple_type_types_nth(
    const wasmtime_component_tuple_type_t *ty, size_t nth,
    struct wasmtime_component_valtype_t *type_ret);

/// \brief The type of variants: cases with names, as declared, each perhaps
/// with a payload.
typedef struct wasmtime_component_variant_type
    wasmtime_component_variant_type_t;

/// Returns a second handle to the same type, to be freed like the first.
WASM_API_EXTERN wasmtime_component_variant_type_t *
wasmtime_component_variant_type_clone(
    const wasmtime_component_variant_type_t *ty);

/// Whether the two are the same type, in structure.
WASM_API_EXTERN bool wasmtime_component_variant_type_equal(
    const wasmtime_component_variant_type_t *a,
    const wasmtime_component_variant_type_t *b);

/// Frees this handle to a type.
WASM_API_EXTERN void wasmtime_component_variant_type_delete(
    wasmtime_component_variant_type_t *ptr);

/// The number of cases.
WASM_API_EXTERN size_t wasmtime_component_variant_type_case_count(
    const wasmtime_component_variant_type_t *ty);

/// Sets `*name_ret` and `*name_len_ret` to the name of the case number `nth`,
/// which lives as long as `ty`, `*has_payload_ret` to whether it has a
/// payload, and then `*payload_ret` to the payload's type, owned by the
/// caller, and returns true; false past the last.
WASM_API_EXTERN bool wasmtime_component_variant_type_case_nth(
    const wasmtime_component_variant_type_t *ty, size_t nth,
    const char **name_ret, size_t *name_len_ret, bool *has_payload_ret,
    struct wasmtime_component_valtype_t *payload_ret);

/// \brief The type of enumerations: names, as declared.
typedef struct wasmtime_component_enum_type wasmtime_component_enum_type_t;

/// Returns a second handle to the same type, to be freed like the first.
WASM_API_EXTERN wasmtime_component_enum_type_t *
wasmtime_component_enum_type_clone(
    const wasmtime_component_enum_type_t *ty);

/// Whether the two are the same type, in structure.
WASM_API_EXTERN bool wasmtime_component_enum_type_equal(
    const wasmtime_component_enum_type_t *a,
    const wasmtime_component_enum_type_t *b);

/// Frees this handle to a type.
WASM_API_EXTERN void wasmtime_component_enum_type_delete(
    wasmtime_component_enum_type_t *ptr);

/// The number of names.
WASM_API_EXTERN size_t wasmtime_component_enum_type_names_count(
    const wasmtime_component_enum_type_t *ty);

/// Sets `*name_ret` and `*name_len_ret` to the name number `nth`, which lives
/// as long as `ty`, and returns true; false past the last.
WASM_API_EXTERN bool wasmtime_component_enum_type_names_nth(
    const wasmtime_component_enum_type_t *ty, size_t nth,
    const char **name_ret, size_t *name_len_ret);

/// \brief The type of optional values.
typedef struct wasmtime_component_option_type wasmtime_component_option_type_t;

/// Returns a second handle to the same type, to be freed like the first.
WASM_API_EXTERN wasmtime_component_option_type_t *
wasmtime_component_option_type_clone(
    const wasmtime_component_option_type_t *ty);

/// Whether the two are the same type, in structure.
WASM_API_EXTERN bool wasmtime_component_option_type_equal(
    const wasmtime_component_option_type_t *a,
    const wasmtime_component_option_type_t *b);

/// Frees this handle to a type.
WASM_API_EXTERN void wasmtime_component_option_type_delete(
    wasmtime_component_option_type_t *ptr);

/// Sets `*type_ret` to the type of the value where there is one, owned by the
/// caller.
WASM_API_EXTERN void wasmtime_component_option_type_ty(
    const wasmtime_component_option_type_t *ty,
    struct wasmtime_component_valtype_t *type_ret);

/// \brief The type of results: success or failure, each perhaps with a value.
typedef struct wasmtime_component_result_type wasmtime_component_result_type_t;

/// Returns a second handle to the same type, to be freed like the first.
WASM_API_EXTERN wasmtime_component_result_type_t *
wasmtime_component_result_type_clone(
    const wasmtime_component_result_type_t *ty);

/// Whether the two are the same type, in structure.
WASM_API_EXTERN bool wasmtime_component_result_type_equal(
    const wasmtime_component_result_type_t *a,
    const wasmtime_component_result_type_t *b);

/// Frees this handle to a type.
WASM_API_EXTERN void wasmtime_component_result_type_delete(
    wasmtime_component_result_type_t *ptr);

/// Sets `*type_ret` to the type of the value of success, owned by the caller,
/// and returns true; false when it has none.
WASM_API_EXTERN bool wasmtime_component_result_type_ok(
    const wasmtime_component_result_type_t *ty,
    struct wasmtime_component_valtype_t *type_ret);

/// Sets `*type_ret` to the type of the value of failure, owned by the caller,
/// and returns true; false when it has none.
WASM_API_EXTERN bool wasmtime_component_result_type_err(
    const wasmtime_component_result_type_t *ty,
    struct wasmtime_component_valtype_t *type_ret);

/// \brief The type of flags: names, as declared.
typedef struct wasmtime_component_flags_type wasmtime_component_flags_type_t;

/// Returns a second handle to the same type, to be freed like the first.
WASM_API_EXTERN wasmtime_component_flags_type_t *
wasmtime_component_flags_type_clone(
    const wasmtime_component_flags_type_t *ty);

/// Whether the two are the same type, in structure.
WASM_API_EXTERN bool wasmtime_component_flags_type_equal(
    const wasmtime_component_flags_type_t *a,
    const wasmtime_component_flags_type_t *b);

/// Frees this handle to a type.
WASM_API_EXTERN void wasmtime_component_flags_type_delete(
    wasmtime_component_flags_type_t *ptr);

/// The number of names.
WASM_API_EXTERN size_t wasmtime_component_flags_type_names_count(
    const wasmtime_component_flags_type_t *ty);

/// Sets `*name_ret` and `*name_len_ret` to the name number `nth`, which lives
/// as long as `ty`, and returns true; false past the last.
WASM_API_EXTERN bool wasmtime_component_flags_type_names_nth(
    const wasmtime_component_flags_type_t *ty, size_t nth,
    const char **name_ret, size_t *name_len_ret);

/// \brief The type of futures.
typedef struct wasmtime_component_future_type wasmtime_component_future_type_t;

/// Returns a second handle to the same type, to be freed like the first.
WASM_API_EXTERN wasmtime_component_future_type_t *
wasmtime_component_future_type_clone(
    const wasmtime_component_future_type_t *ty);

/// Whether the two are the same type, in structure.
WASM_API_EXTERN bool wasmtime_component_future_type_equal(
    const wasmtime_component_future_type_t *a,
    const wasmtime_component_future_type_t *b);

/// Frees this handle to a type.
WASM_API_EXTERN void wasmtime_component_future_type_delete(
    wasmtime_component_future_type_t *ptr);

/// Sets `*type_ret` to the type of the value that comes, owned by the caller,
/// and returns true; false when there is none.
WASM_API_EXTERN bool wasmtime_component_future_type_ty(
    const wasmtime_component_future_type_t *ty,
    struct wasmtime_component_valtype_t *type_ret);

/// \brief The type of streams.
typedef struct wasmtime_component_stream_type wasmtime_component_stream_type_t;

/// Returns a second handle to the same type, to be freed like the first.
WASM_API_EXTERN wasmtime_component_stream_type_t *
wasmtime_component_stream_type_clone(
    const wasmtime_component_stream_type_t *ty);

/// Whether the two are the same type, in structure.
WASM_API_EXTERN bool wasmtime_component_stream_type_equal(
    const wasmtime_component_stream_type_t *a,
    const wasmtime_component_stream_type_t *b);

/// Frees this handle to a type.
WASM_API_EXTERN void wasmtime_component_stream_type_delete(
    wasmtime_component_stream_type_t *ptr);

/// Sets `*type_ret` to the type of the elements, owned by the caller, and
/// returns true; false when they have no value.
WASM_API_EXTERN bool wasmtime_component_stream_type_ty(
    const wasmtime_component_stream_type_t *ty,
    struct wasmtime_component_valtype_t *type_ret);

/// \brief The type of maps.
typedef struct wasmtime_component_map_type wasmtime_component_map_type_t;

/// Returns a second handle to the same type, to be freed like the first.
WASM_API_EXTERN wasmtime_component_map_type_t *
wasmtime_component_map_type_clone(
    const wasmtime_component_map_type_t *ty);

/// Whether the two are the same type, in structure.
WASM_API_EXTERN bool wasmtime_component_map_type_equal(
    const wasmtime_component_map_type_t *a,
    const wasmtime_component_map_type_t *b);

/// Frees this handle to a type.
WASM_API_EXTERN void wasmtime_component_map_type_delete(
    wasmtime_component_map_type_t *ptr);

/// Sets `*type_ret` to the type of the keys, owned by the caller.
WASM_API_EXTERN void wasmtime_component_map_type_key(
    const wasmtime_component_map_type_t *ty,
    struct wasmtime_component_valtype_t *type_ret);

/// Sets `*type_ret` to the type of the values, owned by the caller.
WASM_API_EXTERN void wasmtime_component_map_type_value(
    const wasmtime_component_map_type_t *ty,
    struct wasmtime_component_valtype_t *type_ret);

/// What a type is: one of the `WASMTIME_COMPONENT_VALTYPE_*` constants, whose
/// numbers are not those of values.
typedef uint8_t wasmtime_component_valtype_kind_t;

/// `bool`.
#define WASMTIME_COMPONENT_VALTYPE_BOOL 0
/// 8 bits, signed.
#define WASMTIME_COMPONENT_VALTYPE_S8 1
/// 16 bits, signed.
#define WASMTIME_COMPONENT_VALTYPE_S16 2
/// 32 bits, signed.
#define WASMTIME_COMPONENT_VALTYPE_S32 3
/// 64 bits, signed.
#define WASMTIME_COMPONENT_VALTYPE_S64 4
/// 8 bits, unsigned.
#define WASMTIME_COMPONENT_VALTYPE_U8 5
/// 16 bits, unsigned.
#define WASMTIME_COMPONENT_VALTYPE_U16 6
/// 32 bits, unsigned.
#define WASMTIME_COMPONENT_VALTYPE_U32 7
/// 64 bits, unsigned.
#define WASMTIME_COMPONENT_VALTYPE_U64 8
/// 32 bits of floating point.
#define WASMTIME_COMPONENT_VALTYPE_F32 9
/// 64 bits of floating point.
#define WASMTIME_COMPONENT_VALTYPE_F64 10
/// A Unicode scalar value.
#define WASMTIME_COMPONENT_VALTYPE_CHAR 11
/// Text.
#define WASMTIME_COMPONENT_VALTYPE_STRING 12
/// A list, described by `list`.
#define WASMTIME_COMPONENT_VALTYPE_LIST 13
/// A record, described by `record`.
#define WASMTIME_COMPONENT_VALTYPE_RECORD 14
/// A tuple, described by `tuple`.
#define WASMTIME_COMPONENT_VALTYPE_TUPLE 15
/// A variant, described by `variant`.
#define WASMTIME_COMPONENT_VALTYPE_VARIANT 16
/// An enumeration, described by `enum_`.
#define WASMTIME_COMPONENT_VALTYPE_ENUM 17
/// An optional value, described by `option`.
#define WASMTIME_COMPONENT_VALTYPE_OPTION 18
/// A result, described by `result`.
#define WASMTIME_COMPONENT_VALTYPE_RESULT 19
/// Flags, described by `flags`.
#define WASMTIME_COMPONENT_VALTYPE_FLAGS 20
/// An owned handle, to a resource of the type `own`.
#define WASMTIME_COMPONENT_VALTYPE_OWN 21
/// A borrowed handle, to a resource of the type `borrow`.
#define WASMTIME_COMPONENT_VALTYPE_BORROW 22
/// A future, described by `future`.
#define WASMTIME_COMPONENT_VALTYPE_FUTURE 23
/// A stream, described by `stream`.
#define WASMTIME_COMPONENT_VALTYPE_STREAM 24
/// An error context.
#define WASMTIME_COMPONENT_VALTYPE_ERROR_CONTEXT 25
/// A map, described by `map`.
#define WASMTIME_COMPONENT_VALTYPE_MAP 26

/// \brief What describes a type; its kind tells which member is set, and none is
/// of kinds that need no description.
typedef union wasmtime_component_valtype_union {
  /// Of a list.
  wasmtime_component_list_type_t *list;
  /// Of a record.
  wasmtime_component_record_type_t *record;
  /// Of a tuple.
  wasmtime_component_tuple_type_t *tuple;
  /// Of a variant.
  wasmtime_component_variant_type_t *variant;
  /// Of an enumeration.
  wasmtime_component_enum_type_t *enum_;
  /// Of an optional value.
  wasmtime_component_option_type_t *option;
  /// Of a result.
  wasmtime_component_result_type_t *result;
  /// Of flags.
  wasmtime_component_flags_type_t *flags;
  /// What an owned handle stands for.
  wasmtime_component_resource_type_t *own;
  /// What a borrowed handle stands for.
  wasmtime_component_resource_type_t *borrow;
  /// Of a future.
  wasmtime_component_future_type_t *future;
  /// Of a stream.
  wasmtime_component_stream_type_t *stream;
  /// Of a map.
  wasmtime_component_map_type_t *map;
} wasmtime_component_valtype_union_t;

/// \brief A type of values, which owns its description.
typedef struct wasmtime_component_valtype_t {
  /// What it is.
  wasmtime_component_valtype_kind_t kind;
  /// What describes it.
  wasmtime_component_valtype_union_t of;
} wasmtime_component_valtype_t;

/// Makes `*out` a copy of the type, to be freed like the first.
WASM_API_EXTERN void wasmtime_component_valtype_clone(
    const wasmtime_component_valtype_t *ty, wasmtime_component_valtype_t *out);

/// Whether the two are the same type: in structure, also across components,
/// and of resources in identity.
WASM_API_EXTERN bool wasmtime_component_valtype_equal(
    const wasmtime_component_valtype_t *a,
    const wasmtime_component_valtype_t *b);

/// Frees the description in the type, not the struct.
WASM_API_EXTERN void wasmtime_component_valtype_delete(
    wasmtime_component_valtype_t *ptr);

#ifdef __cplusplus
} // extern "C"
#endif

#endif // WASMTIME_FEATURE_COMPONENT_MODEL

#endif // WASMTIME_COMPONENT_TYPES_VAL_H
