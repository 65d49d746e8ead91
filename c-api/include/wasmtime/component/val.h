/**
 * \file wasmtime/component/val.h
 *
 * \brief Values of the component model, and resources.
 */

#ifndef WASMTIME_COMPONENT_VAL_H
#define WASMTIME_COMPONENT_VAL_H

#include <wasmtime/conf.h>

#ifdef WASMTIME_FEATURE_COMPONENT_MODEL

#include <stdint.h>
#include <wasm.h>
#include <wasmtime/component/types/resource.h>
#include <wasmtime/store.h>

#ifdef __cplusplus
extern "C" {
#endif

/// \brief A handle to a resource, the host's or a guest's, in a store.
///
/// Owned by whoever received it, and freed with
/// `wasmtime_component_resource_any_delete`, which leaves the resource alone.
/// Where it is owned rather than borrowed, the resource itself is dropped
/// once, with `wasmtime_component_resource_any_drop`, or by giving it to a
/// guest that takes it; a borrowed one is good as long as the call that it was
/// borrowed for.
typedef struct wasmtime_component_resource_any wasmtime_component_resource_any_t;

/// Returns the type of the resource, owned by the caller.
WASM_API_EXTERN wasmtime_component_resource_type_t *
wasmtime_component_resource_any_type(
    const wasmtime_component_resource_any_t *resource);

/// Returns a copy of the handle, to be freed like the first. It stands for the
/// same resource, which is still dropped once.
WASM_API_EXTERN wasmtime_component_resource_any_t *
wasmtime_component_resource_any_clone(
    const wasmtime_component_resource_any_t *resource);

/// Whether the handle owns the resource, rather than borrowing it.
WASM_API_EXTERN bool wasmtime_component_resource_any_owned(
    const wasmtime_component_resource_any_t *resource);

/// Drops the resource: where the handle owns it, its destructor runs, a
/// guest's in the guest; of the host's, where a guest has had it, that of the
/// linker. The handle is to be freed all the same.
///
/// An error when it was dropped before, or given away, when the store is
/// another one, and when the destructor fails.
WASM_API_EXTERN wasmtime_error_t *wasmtime_component_resource_any_drop(
    wasmtime_context_t *ctx,
    const wasmtime_component_resource_any_t *resource);

/// Frees the memory of the handle.
WASM_API_EXTERN void wasmtime_component_resource_any_delete(
    wasmtime_component_resource_any_t *resource);

/// \brief A resource of the host's, by numbers, outside of any store.
///
/// Owned by whoever received it, and freed with
/// `wasmtime_component_resource_host_delete`.
typedef struct wasmtime_component_resource_host wasmtime_component_resource_host_t;

/// Returns a resource that the host knows by the number `rep`, of the type
/// with the number `ty`, owned by the caller. Whether handles to it own it is
/// up to `owned`.
WASM_API_EXTERN wasmtime_component_resource_host_t *
wasmtime_component_resource_host_new(
    bool owned, uint32_t rep, uint32_t ty);

/// Returns a copy, to be freed like the first.
WASM_API_EXTERN wasmtime_component_resource_host_t *
wasmtime_component_resource_host_clone(
    const wasmtime_component_resource_host_t *resource);

/// The number that the host knows it by.
WASM_API_EXTERN uint32_t wasmtime_component_resource_host_rep(
    const wasmtime_component_resource_host_t *resource);

/// The number of its type.
WASM_API_EXTERN uint32_t wasmtime_component_resource_host_type(
    const wasmtime_component_resource_host_t *resource);

/// Whether it is owned, rather than borrowed.
WASM_API_EXTERN bool wasmtime_component_resource_host_owned(
    const wasmtime_component_resource_host_t *resource);

/// Frees its memory, nothing else.
WASM_API_EXTERN void wasmtime_component_resource_host_delete(
    wasmtime_component_resource_host_t *resource);

/// Takes a resource of the host's out of the store, and sets `*ret` to it,
/// owned by the caller. An owned one is no longer in the store then: every
/// handle to it is stale. An error when it is a guest's, was dropped or given
/// away, or is another store's.
WASM_API_EXTERN wasmtime_error_t *wasmtime_component_resource_any_to_host(
    wasmtime_context_t *ctx, const wasmtime_component_resource_any_t *resource,
    wasmtime_component_resource_host_t **ret);

/// Puts a resource of the host's into the store, and sets `*ret` to a new
/// handle to it, owned by the caller. An error when it is borrowed and no call
/// is running that could borrow it.
WASM_API_EXTERN wasmtime_error_t *wasmtime_component_resource_host_to_any(
    wasmtime_context_t *ctx,
    const wasmtime_component_resource_host_t *resource,
    wasmtime_component_resource_any_t **ret);

/// What a value is, and which member of the union it has: one of the constants
/// that follow.
typedef uint8_t wasmtime_component_valkind_t;

/// `boolean`.
#define WASMTIME_COMPONENT_BOOL 0
/// `s8`.
#define WASMTIME_COMPONENT_S8 1
/// `u8`.
#define WASMTIME_COMPONENT_U8 2
/// `s16`.
#define WASMTIME_COMPONENT_S16 3
/// `u16`.
#define WASMTIME_COMPONENT_U16 4
/// `s32`.
#define WASMTIME_COMPONENT_S32 5
/// `u32`.
#define WASMTIME_COMPONENT_U32 6
/// `s64`.
#define WASMTIME_COMPONENT_S64 7
/// `u64`.
#define WASMTIME_COMPONENT_U64 8
/// `f32`.
#define WASMTIME_COMPONENT_F32 9
/// `f64`.
#define WASMTIME_COMPONENT_F64 10
/// `character`: a Unicode scalar value.
#define WASMTIME_COMPONENT_CHAR 11
/// `string`, which is UTF-8.
#define WASMTIME_COMPONENT_STRING 12
/// `list`.
#define WASMTIME_COMPONENT_LIST 13
/// `record`.
#define WASMTIME_COMPONENT_RECORD 14
/// `tuple`.
#define WASMTIME_COMPONENT_TUPLE 15
/// `variant`.
#define WASMTIME_COMPONENT_VARIANT 16
/// `enumeration`: the name of a case.
#define WASMTIME_COMPONENT_ENUM 17
/// `option`: null, or a value.
#define WASMTIME_COMPONENT_OPTION 18
/// `result`.
#define WASMTIME_COMPONENT_RESULT 19
/// `flags`: the names of those that are set.
#define WASMTIME_COMPONENT_FLAGS 20
/// `resource`.
#define WASMTIME_COMPONENT_RESOURCE 21
/// `map`.
#define WASMTIME_COMPONENT_MAP 22

struct wasmtime_component_val;
struct wasmtime_component_valrecord_entry;
struct wasmtime_component_valmap_entry;

/// \brief The elements of a list, which the vector owns.
typedef struct wasmtime_component_vallist {
  /// How many there are.
  size_t size;
  /// Where they are, in a block of the library's.
  struct wasmtime_component_val *data;
} wasmtime_component_vallist_t;

/// Makes `*out` a vector of the `size` values at `ptr`, which are moved out of
/// there.
WASM_API_EXTERN void wasmtime_component_vallist_new(
    wasmtime_component_vallist_t *out, size_t size,
    const struct wasmtime_component_val *ptr);

/// Makes `*out` a vector without elements.
WASM_API_EXTERN void wasmtime_component_vallist_new_empty(
    wasmtime_component_vallist_t *out);

/// Makes `*out` a vector of `size` values, `false` each, to be filled in.
WASM_API_EXTERN void wasmtime_component_vallist_new_uninit(
    wasmtime_component_vallist_t *out, size_t size);

/// Makes `*dst` a copy of the vector and of all that is in it.
WASM_API_EXTERN void wasmtime_component_vallist_copy(
    wasmtime_component_vallist_t *dst,
    const wasmtime_component_vallist_t *src);

/// Frees the elements and their block, and leaves the vector empty.
WASM_API_EXTERN void wasmtime_component_vallist_delete(
    wasmtime_component_vallist_t *value);

/// \brief The fields of a record, which the vector owns.
typedef struct wasmtime_component_valrecord {
  /// How many there are.
  size_t size;
  /// Where they are, in a block of the library's.
  struct wasmtime_component_valrecord_entry *data;
} wasmtime_component_valrecord_t;

/// Makes `*out` a vector of the `size` fields at `ptr`, which are moved out of
/// there.
WASM_API_EXTERN void wasmtime_component_valrecord_new(
    wasmtime_component_valrecord_t *out, size_t size,
    const struct wasmtime_component_valrecord_entry *ptr);

/// Makes `*out` a vector without elements.
WASM_API_EXTERN void wasmtime_component_valrecord_new_empty(
    wasmtime_component_valrecord_t *out);

/// Makes `*out` a vector of `size` fields, to be filled in: names are empty,
/// values `false`.
WASM_API_EXTERN void wasmtime_component_valrecord_new_uninit(
    wasmtime_component_valrecord_t *out, size_t size);

/// Makes `*dst` a copy of the vector and of all that is in it.
WASM_API_EXTERN void wasmtime_component_valrecord_copy(
    wasmtime_component_valrecord_t *dst,
    const wasmtime_component_valrecord_t *src);

/// Frees the elements and their block, and leaves the vector empty.
WASM_API_EXTERN void wasmtime_component_valrecord_delete(
    wasmtime_component_valrecord_t *value);

/// \brief The elements of a tuple, which the vector owns.
typedef struct wasmtime_component_valtuple {
  /// How many there are.
  size_t size;
  /// Where they are, in a block of the library's.
  struct wasmtime_component_val *data;
} wasmtime_component_valtuple_t;

/// Makes `*out` a vector of the `size` values at `ptr`, which are moved out of
/// there.
WASM_API_EXTERN void wasmtime_component_valtuple_new(
    wasmtime_component_valtuple_t *out, size_t size,
    const struct wasmtime_component_val *ptr);

/// Makes `*out` a vector without elements.
WASM_API_EXTERN void wasmtime_component_valtuple_new_empty(
    wasmtime_component_valtuple_t *out);

/// Makes `*out` a vector of `size` values, `false` each, to be filled in.
WASM_API_EXTERN void wasmtime_component_valtuple_new_uninit(
    wasmtime_component_valtuple_t *out, size_t size);

/// Makes `*dst` a copy of the vector and of all that is in it.
WASM_API_EXTERN void wasmtime_component_valtuple_copy(
    wasmtime_component_valtuple_t *dst,
    const wasmtime_component_valtuple_t *src);

/// Frees the elements and their block, and leaves the vector empty.
WASM_API_EXTERN void wasmtime_component_valtuple_delete(
    wasmtime_component_valtuple_t *value);

/// \brief The names of flags, which the vector owns.
typedef struct wasmtime_component_valflags {
  /// How many there are.
  size_t size;
  /// Where they are, in a block of the library's.
  wasm_name_t *data;
} wasmtime_component_valflags_t;

/// Makes `*out` a vector of the `size` names at `ptr`, which are moved out of
/// there.
WASM_API_EXTERN void wasmtime_component_valflags_new(
    wasmtime_component_valflags_t *out, size_t size, const wasm_name_t *ptr);

/// Makes `*out` a vector without elements.
WASM_API_EXTERN void wasmtime_component_valflags_new_empty(
    wasmtime_component_valflags_t *out);

/// Makes `*out` a vector of `size` names, empty each, to be filled in.
WASM_API_EXTERN void wasmtime_component_valflags_new_uninit(
    wasmtime_component_valflags_t *out, size_t size);

/// Makes `*dst` a copy of the vector and of all that is in it.
WASM_API_EXTERN void wasmtime_component_valflags_copy(
    wasmtime_component_valflags_t *dst,
    const wasmtime_component_valflags_t *src);

/// Frees the elements and their block, and leaves the vector empty.
WASM_API_EXTERN void wasmtime_component_valflags_delete(
    wasmtime_component_valflags_t *value);

/// \brief The entries of a map, which the vector owns.
typedef struct wasmtime_component_valmap {
  /// How many there are.
  size_t size;
  /// Where they are, in a block of the library's.
  struct wasmtime_component_valmap_entry *data;
} wasmtime_component_valmap_t;

/// Makes `*out` a vector of the `size` entries at `ptr`, which are moved out
/// of there.
WASM_API_EXTERN void wasmtime_component_valmap_new(
    wasmtime_component_valmap_t *out, size_t size,
    const struct wasmtime_component_valmap_entry *ptr);

/// Makes `*out` a vector without elements.
WASM_API_EXTERN void wasmtime_component_valmap_new_empty(
    wasmtime_component_valmap_t *out);

/// Makes `*out` a vector of `size` entries, to be filled in: keys and values
/// are `false`.
WASM_API_EXTERN void wasmtime_component_valmap_new_uninit(
    wasmtime_component_valmap_t *out, size_t size);

/// Makes `*dst` a copy of the vector and of all that is in it.
WASM_API_EXTERN void wasmtime_component_valmap_copy(
    wasmtime_component_valmap_t *dst, const wasmtime_component_valmap_t *src);

/// Frees the elements and their block, and leaves the vector empty.
WASM_API_EXTERN void wasmtime_component_valmap_delete(
    wasmtime_component_valmap_t *value);

/// \brief What a variant holds.
typedef struct {
  /// The name of the case.
  wasm_name_t discriminant;
  /// The payload, made by `wasmtime_component_val_new`; null where the case has
  /// none.
  struct wasmtime_component_val *val;
} wasmtime_component_valvariant_t;

/// \brief What a result holds.
typedef struct {
  /// Success, or failure.
  bool is_ok;
  /// The value, made by `wasmtime_component_val_new`; null where there is none.
  struct wasmtime_component_val *val;
} wasmtime_component_valresult_t;

/// \brief What a value holds; its kind tells which member is set.
typedef union {
  /// `WASMTIME_COMPONENT_BOOL`.
  bool boolean;
  /// `WASMTIME_COMPONENT_S8`.
  int8_t s8;
  /// `WASMTIME_COMPONENT_U8`.
  uint8_t u8;
  /// `WASMTIME_COMPONENT_S16`.
  int16_t s16;
  /// `WASMTIME_COMPONENT_U16`.
  uint16_t u16;
  /// `WASMTIME_COMPONENT_S32`.
  int32_t s32;
  /// `WASMTIME_COMPONENT_U32`.
  uint32_t u32;
  /// `WASMTIME_COMPONENT_S64`.
  int64_t s64;
  /// `WASMTIME_COMPONENT_U64`.
  uint64_t u64;
  /// `WASMTIME_COMPONENT_F32`.
  float32_t f32;
  /// `WASMTIME_COMPONENT_F64`.
  float64_t f64;
  /// `WASMTIME_COMPONENT_CHAR`.
  uint32_t character;
  /// `WASMTIME_COMPONENT_STRING`.
  wasm_name_t string;
  /// `WASMTIME_COMPONENT_LIST`.
  wasmtime_component_vallist_t list;
  /// `WASMTIME_COMPONENT_RECORD`: fields in the order in which the type declares
  /// them.
  wasmtime_component_valrecord_t record;
  /// `WASMTIME_COMPONENT_TUPLE`.
  wasmtime_component_valtuple_t tuple;
  /// `WASMTIME_COMPONENT_VARIANT`.
  wasmtime_component_valvariant_t variant;
  /// `WASMTIME_COMPONENT_ENUM`.
  wasm_name_t enumeration;
  /// `WASMTIME_COMPONENT_OPTION`: made by `wasmtime_component_val_new`, or null.
  struct wasmtime_component_val *option;
  /// `WASMTIME_COMPONENT_RESULT`.
  wasmtime_component_valresult_t result;
  /// `WASMTIME_COMPONENT_FLAGS`: in any order, and as declared where they come
  /// from a guest.
  wasmtime_component_valflags_t flags;
  /// `WASMTIME_COMPONENT_MAP`: in any order, which is kept, as duplicates are.
  wasmtime_component_valmap_t map;
  /// `WASMTIME_COMPONENT_RESOURCE`.
  wasmtime_component_resource_any_t *resource;
} wasmtime_component_valunion_t;

/// \brief A value, which owns what it holds.
///
/// Names of fields, cases, enums and flags in a value that the library made may
/// be shared with other values: they are deleted and replaced like any name, but
/// their bytes must not be written to.
typedef struct wasmtime_component_val {
  /// What it is.
  wasmtime_component_valkind_t kind;
  /// What it holds.
  wasmtime_component_valunion_t of;
} wasmtime_component_val_t;

/// \brief A field of a record.
typedef struct wasmtime_component_valrecord_entry {
  /// Its name.
  wasm_name_t name;
  /// Its value.
  wasmtime_component_val_t val;
} wasmtime_component_valrecord_entry_t;

/// \brief An entry of a map.
typedef struct wasmtime_component_valmap_entry {
  /// Its key.
  wasmtime_component_val_t key;
  /// Its value.
  wasmtime_component_val_t value;
} wasmtime_component_valmap_entry_t;

/// Moves the value into memory of its own, owned by the caller: what options,
/// results and variants hold. A `bool` is left in its place.
WASM_API_EXTERN wasmtime_component_val_t *wasmtime_component_val_new(
    wasmtime_component_val_t *val);

/// Frees what `wasmtime_component_val_new` made, and what it holds; null is
/// nothing.
WASM_API_EXTERN void wasmtime_component_val_free(
    wasmtime_component_val_t *ptr);

/// Makes `*dst` a copy of the value and of all that it holds.
WASM_API_EXTERN void wasmtime_component_val_clone(
    const wasmtime_component_val_t *src, wasmtime_component_val_t *dst);

/// Frees what the value holds, not the struct. The value keeps its kind and
/// holds nothing: its vectors are empty and its pointers null.
WASM_API_EXTERN void wasmtime_component_val_delete(
    wasmtime_component_val_t *value);

#ifdef __cplusplus
} // extern "C"
#endif

#endif // WASMTIME_FEATURE_COMPONENT_MODEL

#endif // WASMTIME_COMPONENT_VAL_H
