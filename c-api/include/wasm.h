/**
 * \file wasm.h
 *
 * \brief The portable WebAssembly C API: types, values, traps, owned objects.
 *
 * This is the interface that several engines share. Ampoule's own interface,
 * `wasmtime.h`, builds on its types, vectors, traps, configuration and engine,
 * and replaces its stores, modules, instances and functions by faster handles.
 * New programs use those; the objects at the end of this file serve programs
 * that were written for the portable API.
 *
 * **Ownership.** `own` marks a transfer. A parameter marked `own` is given up
 * by the caller, whatever the outcome. A result marked `own` belongs to the
 * caller, who passes it to the `..._delete` function of its type in the end. On
 * a parameter named `out` it is the contents of `*out` that become the
 * caller's. What is not marked is borrowed: an argument for the duration of the
 * call, a result for as long as the object it was taken from.
 *
 * **Null.** What a function of this file has refused to make is null, and may be
 * passed on: a function that makes something (`..._new`, `..._copy`, `..._share`,
 * `..._obtain`) or views something (`..._as_...`) answers null where an object, a
 * type or a callback that it needs is null; a call of null is a trap; a null vector,
 * and one whose `data` is null or whose `size` no memory can have, is an empty one;
 * to delete a null object does nothing. Elsewhere pointers must not be null unless
 * a comment allows it.
 *
 * **Misuse.** No function of this file ends the process. A kind or a mutability that
 * is not in its enumeration, limits that no memory can have, a value or
 * an object of another type or store, or a type that nothing can have: the answer is
 * null, false or a trap, or nothing happens, as the comments say. What a refusing
 * function was to take over is freed all the same.
 *
 * **Threads.** An engine may be shared by threads. A configuration, a vector, a
 * type or a trap may move between threads but is used by one at a time. A
 * store, and every object made in it, is used by one thread at a time.
 */

#ifndef WASM_H
#define WASM_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/// \def WASM_API_EXTERN
/// \brief Stands before every function that the library exports.
///
/// Define `LIBWASM_STATIC` before including this file to link statically on
/// Windows; elsewhere it makes no difference.
#ifndef WASM_API_EXTERN
#if defined(_WIN32) && !defined(__MINGW32__) && !defined(LIBWASM_STATIC)
#define WASM_API_EXTERN __declspec(dllimport)
#else
#define WASM_API_EXTERN
#endif
#endif

#ifdef __cplusplus
extern "C" {
#endif

// Marks a transfer of ownership for the reader; nothing to the compiler.
#define own

/// A byte of a binary, a string or a memory.
typedef char byte_t;
/// An IEEE 754 number of 32 bits.
typedef float float32_t;
/// An IEEE 754 number of 64 bits.
typedef double float64_t;

// In C11 and C++ the assumption behind these two is checked.
#if defined(__cplusplus) || __STDC_VERSION__ >= 201112L
static_assert(sizeof(float32_t) == sizeof(uint32_t), "float has 32 bits");
static_assert(sizeof(float64_t) == sizeof(uint64_t), "double has 64 bits");
#endif

/* ----------------------------------------------------------------------------
 * Bytes and names
 *
 * A name is a vector of bytes in UTF-8, without a terminating NUL unless said
 * so.
 */

/// One byte.
typedef byte_t wasm_byte_t;

/// \brief A vector of bytes: `size` elements at `data`.
///
/// The block at `data` belongs to the library once a function of this family
/// has made it; an empty vector may have any `data`, null included.
typedef struct wasm_byte_vec_t {
  /// Number of elements.
  size_t size;
  /// The first element.
  wasm_byte_t *data;
} wasm_byte_vec_t;

/// Makes `*out` an empty vector.
WASM_API_EXTERN void wasm_byte_vec_new_empty(own wasm_byte_vec_t *out);
/// Makes `*out` a vector of `size` elements, with unspecified contents, for the
/// caller to fill; an empty one when there is no memory for so many.
WASM_API_EXTERN void wasm_byte_vec_new_uninitialized(
    own wasm_byte_vec_t *out, size_t size);
/// Makes `*out` a vector of the `size` elements at `data`, copying them out of
/// the array, which stays with the caller.
WASM_API_EXTERN void wasm_byte_vec_new(
    own wasm_byte_vec_t *out, size_t size, own const wasm_byte_t data[]);
/// Makes `*out` a copy of `src`.
WASM_API_EXTERN void wasm_byte_vec_copy(
    own wasm_byte_vec_t *out, const wasm_byte_vec_t *src);
/// Frees the vector's block; afterwards it is empty. Not the struct itself.
WASM_API_EXTERN void wasm_byte_vec_delete(own wasm_byte_vec_t *vec);

/// A string in UTF-8. A vector of bytes under another name.
typedef wasm_byte_vec_t wasm_name_t;

/// The functions of a name are those of a byte vector.
#define wasm_name wasm_byte_vec
#define wasm_name_new wasm_byte_vec_new
#define wasm_name_new_empty wasm_byte_vec_new_empty
#define wasm_name_new_uninitialized wasm_byte_vec_new_uninitialized
#define wasm_name_copy wasm_byte_vec_copy
#define wasm_name_delete wasm_byte_vec_delete

/// Makes `*out` a copy of the NUL-terminated `s`, without its NUL.
static inline void wasm_name_new_from_string(own wasm_name_t *out,
                                             const char *s) {
  wasm_name_new(out, strlen(s), s);
}

/// Makes `*out` a copy of the NUL-terminated `s`, its NUL included.
static inline void wasm_name_new_from_string_nt(own wasm_name_t *out,
                                                const char *s) {
  wasm_name_new(out, strlen(s) + 1, s);
}

/* ----------------------------------------------------------------------------
 * Configuration and engine
 */

/// \brief The settings an engine is made with.
///
/// Made by `wasm_config_new`, changed by the functions of `wasmtime/config.h`,
/// given up to `wasm_engine_new_with_config` or freed by `wasm_config_delete`.
typedef struct wasm_config_t wasm_config_t;

/// Frees a configuration that no engine has taken.
WASM_API_EXTERN void wasm_config_delete(own wasm_config_t *config);

/// Returns a configuration with every setting at its default.
WASM_API_EXTERN own wasm_config_t *wasm_config_new(void);

/// \brief Compiles modules and holds what all stores share.
///
/// One per process is usual. Reference-counted: modules, stores and linkers
/// keep their engine alive, so it may be deleted before them.
typedef struct wasm_engine_t wasm_engine_t;

/// Frees this handle to an engine.
WASM_API_EXTERN void wasm_engine_delete(own wasm_engine_t *engine);

/// Returns an engine with the default configuration; null on a machine that cannot
/// have one.
WASM_API_EXTERN own wasm_engine_t *wasm_engine_new(void);
/// Returns an engine configured by `config`, which it takes over; null when the
/// settings contradict each other or ask for something this machine cannot do.
WASM_API_EXTERN own wasm_engine_t *wasm_engine_new_with_config(
    own wasm_config_t *config);

/* ----------------------------------------------------------------------------
 * Store
 */

/// \brief Where the owned objects of this file live.
///
/// Not the store of `wasmtime/store.h`; the two do not mix.
typedef struct wasm_store_t wasm_store_t;

/// Frees this handle to a store; objects made in it keep it alive.
WASM_API_EXTERN void wasm_store_delete(own wasm_store_t *store);

/// Returns an empty store of `engine`.
WASM_API_EXTERN own wasm_store_t *wasm_store_new(wasm_engine_t *engine);

/* ----------------------------------------------------------------------------
 * Types
 *
 * A type is an immutable description, independent of engines and stores. Parts
 * of a type that a function returns without `own` live as long as the whole.
 */

/// Whether a global may change: one of `wasm_mutability_enum`.
typedef uint8_t wasm_mutability_t;

/// The values of `wasm_mutability_t`.
enum wasm_mutability_enum {
  /// Fixed when it is made.
  WASM_CONST,
  /// Changeable by wasm and host.
  WASM_VAR,
};

/// \brief The size limits of a memory (in pages) or a table (in elements).
///
/// Only 32 bits wide; `wasmtime/memory.h` has constructors and getters without
/// that bound.
typedef struct wasm_limits_t {
  /// The size at the beginning.
  uint32_t min;
  /// The size that growth may reach; `wasm_limits_max_default` for no limit.
  uint32_t max;
} wasm_limits_t;

/// The `max` of limits without a maximum.
static const uint32_t wasm_limits_max_default = 0xffffffff;

/// The kind of a value type: one of `wasm_valkind_enum`.
typedef uint8_t wasm_valkind_t;

/// The values of `wasm_valkind_t`. Numbers come before references.
enum wasm_valkind_enum {
  /// 32-bit integer.
  WASM_I32,
  /// 64-bit integer.
  WASM_I64,
  /// 32-bit float.
  WASM_F32,
  /// 64-bit float.
  WASM_F64,
  /// Nullable reference to something of the host's.
  WASM_EXTERNREF = 128,
  /// Nullable reference to a function.
  WASM_FUNCREF,
};

/// \brief The type of a value.
///
/// It can stand for every type of WebAssembly, also for those (`v128`, typed
/// references) that `wasm_valkind_t` has no name for.
typedef struct wasm_valtype_t wasm_valtype_t;

/// Frees a value type.
WASM_API_EXTERN void wasm_valtype_delete(own wasm_valtype_t *type);

/// \brief A vector of value types, each owned by the vector: `size` elements at
/// `data`.
///
/// The block at `data` belongs to the library once a function of this family
/// has made it; an empty vector may have any `data`, null included.
typedef struct wasm_valtype_vec_t {
  /// Number of elements.
  size_t size;
  /// The first element.
  wasm_valtype_t **data;
} wasm_valtype_vec_t;

/// Makes `*out` an empty vector.
WASM_API_EXTERN void wasm_valtype_vec_new_empty(own wasm_valtype_vec_t *out);
/// Makes `*out` a vector of `size` elements, all null, for the caller to fill;
/// an empty one when there is no memory for so many.
WASM_API_EXTERN void wasm_valtype_vec_new_uninitialized(
    own wasm_valtype_vec_t *out, size_t size);
/// Makes `*out` a vector of the `size` elements at `data`, taking them over;
/// the array itself stays with the caller.
WASM_API_EXTERN void wasm_valtype_vec_new(
    own wasm_valtype_vec_t *out, size_t size, own wasm_valtype_t *const data[]);
/// Makes `*out` a deep copy of `src`.
WASM_API_EXTERN void wasm_valtype_vec_copy(
    own wasm_valtype_vec_t *out, const wasm_valtype_vec_t *src);
/// Frees the vector's block and the elements in it; afterwards it is empty. Not
/// the struct itself.
WASM_API_EXTERN void wasm_valtype_vec_delete(own wasm_valtype_vec_t *vec);

/// Returns a copy of `type`, owned by the caller.
WASM_API_EXTERN own wasm_valtype_t *wasm_valtype_copy(
    const wasm_valtype_t *type);

/// Returns the value type of `kind`; null when that is not one of
/// `wasm_valkind_enum`.
WASM_API_EXTERN own wasm_valtype_t *wasm_valtype_new(wasm_valkind_t kind);
/// Returns the kind of `type`: that of its values. For types of values that
/// `wasm_val_t` cannot hold, and for null, it is none of `wasm_valkind_enum`: 4 for
/// `v128`, 255 for all others.
WASM_API_EXTERN wasm_valkind_t wasm_valtype_kind(const wasm_valtype_t *type);

/// Whether `k` is the kind of a number.
static inline bool wasm_valkind_is_num(wasm_valkind_t k) {
  return k < WASM_EXTERNREF;
}

/// Whether `k` is the kind of a reference.
static inline bool wasm_valkind_is_ref(wasm_valkind_t k) {
  return !wasm_valkind_is_num(k);
}

/// Whether `t` is the type of a number.
static inline bool wasm_valtype_is_num(const wasm_valtype_t *t) {
  return wasm_valkind_is_num(wasm_valtype_kind(t));
}

/// Whether `t` is the type of a reference.
static inline bool wasm_valtype_is_ref(const wasm_valtype_t *t) {
  return wasm_valkind_is_ref(wasm_valtype_kind(t));
}

/// \brief The parameters and results of a function.
typedef struct wasm_functype_t wasm_functype_t;

/// Frees a function type.
WASM_API_EXTERN void wasm_functype_delete(own wasm_functype_t *type);

/// \brief A vector of function types, each owned by the vector: `size` elements
/// at `data`.
///
/// The block at `data` belongs to the library once a function of this family
/// has made it; an empty vector may have any `data`, null included.
typedef struct wasm_functype_vec_t {
  /// Number of elements.
  size_t size;
  /// The first element.
  wasm_functype_t **data;
} wasm_functype_vec_t;

/// Makes `*out` an empty vector.
WASM_API_EXTERN void wasm_functype_vec_new_empty(own wasm_functype_vec_t *out);
/// Makes `*out` a vector of `size` elements, all null, for the caller to fill;
/// an empty one when there is no memory for so many.
WASM_API_EXTERN void wasm_functype_vec_new_uninitialized(
    own wasm_functype_vec_t *out, size_t size);
/// Makes `*out` a vector of the `size` elements at `data`, taking them over;
/// the array itself stays with the caller.
WASM_API_EXTERN void wasm_functype_vec_new(
    own wasm_functype_vec_t *out, size_t size,
    own wasm_functype_t *const data[]);
/// Makes `*out` a deep copy of `src`.
WASM_API_EXTERN void wasm_functype_vec_copy(
    own wasm_functype_vec_t *out, const wasm_functype_vec_t *src);
/// Frees the vector's block and the elements in it; afterwards it is empty. Not
/// the struct itself.
WASM_API_EXTERN void wasm_functype_vec_delete(own wasm_functype_vec_t *vec);

/// Returns a copy of `type`, owned by the caller.
WASM_API_EXTERN own wasm_functype_t *wasm_functype_copy(
    const wasm_functype_t *type);

/// Returns the function type from `params` to `results`; null when one of the types
/// is null. Takes over the contents of both vectors and leaves them empty; the two
/// structs stay the caller's.
WASM_API_EXTERN own wasm_functype_t *wasm_functype_new(
    own wasm_valtype_vec_t *params, own wasm_valtype_vec_t *results);
/// The parameter types, in order; they live as long as `type`.
WASM_API_EXTERN const wasm_valtype_vec_t *wasm_functype_params(
    const wasm_functype_t *type);
/// The result types, in order; they live as long as `type`.
WASM_API_EXTERN const wasm_valtype_vec_t *wasm_functype_results(
    const wasm_functype_t *type);

/// \brief The content type and mutability of a global.
typedef struct wasm_globaltype_t wasm_globaltype_t;

/// Frees a global type.
WASM_API_EXTERN void wasm_globaltype_delete(own wasm_globaltype_t *type);

/// \brief A vector of global types, each owned by the vector: `size` elements
/// at `data`.
///
/// The block at `data` belongs to the library once a function of this family
/// has made it; an empty vector may have any `data`, null included.
typedef struct wasm_globaltype_vec_t {
  /// Number of elements.
  size_t size;
  /// The first element.
  wasm_globaltype_t **data;
} wasm_globaltype_vec_t;

/// Makes `*out` an empty vector.
WASM_API_EXTERN void wasm_globaltype_vec_new_empty(
    own wasm_globaltype_vec_t *out);
/// Makes `*out` a vector of `size` elements, all null, for the caller to fill;
/// an empty one when there is no memory for so many.
WASM_API_EXTERN void wasm_globaltype_vec_new_uninitialized(
    own wasm_globaltype_vec_t *out, size_t size);
/// Makes `*out` a vector of the `size` elements at `data`, taking them over;
/// the array itself stays with the caller.
WASM_API_EXTERN void wasm_globaltype_vec_new(
    own wasm_globaltype_vec_t *out, size_t size,
    own wasm_globaltype_t *const data[]);
/// Makes `*out` a deep copy of `src`.
WASM_API_EXTERN void wasm_globaltype_vec_copy(
    own wasm_globaltype_vec_t *out, const wasm_globaltype_vec_t *src);
/// Frees the vector's block and the elements in it; afterwards it is empty. Not
/// the struct itself.
WASM_API_EXTERN void wasm_globaltype_vec_delete(own wasm_globaltype_vec_t *vec);

/// Returns a copy of `type`, owned by the caller.
WASM_API_EXTERN own wasm_globaltype_t *wasm_globaltype_copy(
    const wasm_globaltype_t *type);

/// Returns the type of a global that holds a `content` (taken over); null when
/// `mutability` is not one of `wasm_mutability_enum`.
WASM_API_EXTERN own wasm_globaltype_t *wasm_globaltype_new(
    own wasm_valtype_t *content, wasm_mutability_t mutability);
/// The type of the value inside; it lives as long as `type`.
WASM_API_EXTERN const wasm_valtype_t *wasm_globaltype_content(
    const wasm_globaltype_t *type);
/// Whether the global may change.
WASM_API_EXTERN wasm_mutability_t wasm_globaltype_mutability(
    const wasm_globaltype_t *type);

/// \brief The element type and limits of a table.
typedef struct wasm_tabletype_t wasm_tabletype_t;

/// Frees a table type.
WASM_API_EXTERN void wasm_tabletype_delete(own wasm_tabletype_t *type);

/// \brief A vector of table types, each owned by the vector: `size` elements at
/// `data`.
///
/// The block at `data` belongs to the library once a function of this family
/// has made it; an empty vector may have any `data`, null included.
typedef struct wasm_tabletype_vec_t {
  /// Number of elements.
  size_t size;
  /// The first element.
  wasm_tabletype_t **data;
} wasm_tabletype_vec_t;

/// Makes `*out` an empty vector.
WASM_API_EXTERN void wasm_tabletype_vec_new_empty(
    own wasm_tabletype_vec_t *out);
/// Makes `*out` a vector of `size` elements, all null, for the caller to fill;
/// an empty one when there is no memory for so many.
WASM_API_EXTERN void wasm_tabletype_vec_new_uninitialized(
    own wasm_tabletype_vec_t *out, size_t size);
/// Makes `*out` a vector of the `size` elements at `data`, taking them over;
/// the array itself stays with the caller.
WASM_API_EXTERN void wasm_tabletype_vec_new(
    own wasm_tabletype_vec_t *out, size_t size,
    own wasm_tabletype_t *const data[]);
/// Makes `*out` a deep copy of `src`.
WASM_API_EXTERN void wasm_tabletype_vec_copy(
    own wasm_tabletype_vec_t *out, const wasm_tabletype_vec_t *src);
/// Frees the vector's block and the elements in it; afterwards it is empty. Not
/// the struct itself.
WASM_API_EXTERN void wasm_tabletype_vec_delete(own wasm_tabletype_vec_t *vec);

/// Returns a copy of `type`, owned by the caller.
WASM_API_EXTERN own wasm_tabletype_t *wasm_tabletype_copy(
    const wasm_tabletype_t *type);

/// Returns the type of a table of `element`s (taken over) within `limits`
/// (copied); null when `element` is not a reference type. A table whose maximum is
/// below the minimum never grows.
WASM_API_EXTERN own wasm_tabletype_t *wasm_tabletype_new(
    own wasm_valtype_t *element, const wasm_limits_t *limits);
/// The type of the elements; it lives as long as `type`.
WASM_API_EXTERN const wasm_valtype_t *wasm_tabletype_element(
    const wasm_tabletype_t *type);
/// The limits in elements; they live as long as `type`.
WASM_API_EXTERN const wasm_limits_t *wasm_tabletype_limits(
    const wasm_tabletype_t *type);

/// \brief The limits and shape of a linear memory.
typedef struct wasm_memorytype_t wasm_memorytype_t;

/// Frees a memory type.
WASM_API_EXTERN void wasm_memorytype_delete(own wasm_memorytype_t *type);

/// \brief A vector of memory types, each owned by the vector: `size` elements
/// at `data`.
///
/// The block at `data` belongs to the library once a function of this family
/// has made it; an empty vector may have any `data`, null included.
typedef struct wasm_memorytype_vec_t {
  /// Number of elements.
  size_t size;
  /// The first element.
  wasm_memorytype_t **data;
} wasm_memorytype_vec_t;

/// Makes `*out` an empty vector.
WASM_API_EXTERN void wasm_memorytype_vec_new_empty(
    own wasm_memorytype_vec_t *out);
/// Makes `*out` a vector of `size` elements, all null, for the caller to fill;
/// an empty one when there is no memory for so many.
WASM_API_EXTERN void wasm_memorytype_vec_new_uninitialized(
    own wasm_memorytype_vec_t *out, size_t size);
/// Makes `*out` a vector of the `size` elements at `data`, taking them over;
/// the array itself stays with the caller.
WASM_API_EXTERN void wasm_memorytype_vec_new(
    own wasm_memorytype_vec_t *out, size_t size,
    own wasm_memorytype_t *const data[]);
/// Makes `*out` a deep copy of `src`.
WASM_API_EXTERN void wasm_memorytype_vec_copy(
    own wasm_memorytype_vec_t *out, const wasm_memorytype_vec_t *src);
/// Frees the vector's block and the elements in it; afterwards it is empty. Not
/// the struct itself.
WASM_API_EXTERN void wasm_memorytype_vec_delete(own wasm_memorytype_vec_t *vec);

/// Returns a copy of `type`, owned by the caller.
WASM_API_EXTERN own wasm_memorytype_t *wasm_memorytype_copy(
    const wasm_memorytype_t *type);

/// Returns the type of an unshared 32-bit memory with pages of 64 KiB, within
/// `limits` pages (copied); null when no memory can have such limits.
/// `wasmtime_memorytype_new` makes the others, and returns an error instead.
WASM_API_EXTERN own wasm_memorytype_t *wasm_memorytype_new(
    const wasm_limits_t *limits);
/// The limits in pages; they live as long as `type`. Only for sizes that fit in
/// 32 bits.
WASM_API_EXTERN const wasm_limits_t *wasm_memorytype_limits(
    const wasm_memorytype_t *type);

/// \brief The type of an exception tag: a function type without results.
typedef struct wasm_tagtype_t wasm_tagtype_t;

/// Frees a tag type.
WASM_API_EXTERN void wasm_tagtype_delete(own wasm_tagtype_t *type);

/// \brief A vector of tag types, each owned by the vector: `size` elements at
/// `data`.
///
/// The block at `data` belongs to the library once a function of this family
/// has made it; an empty vector may have any `data`, null included.
typedef struct wasm_tagtype_vec_t {
  /// Number of elements.
  size_t size;
  /// The first element.
  wasm_tagtype_t **data;
} wasm_tagtype_vec_t;

// A library of version 44.0.0 declares the five functions below and does not
// export them; this one does, and so do later versions.

/// Makes `*out` an empty vector.
WASM_API_EXTERN void wasm_tagtype_vec_new_empty(own wasm_tagtype_vec_t *out);
/// Makes `*out` a vector of `size` elements, all null, for the caller to fill;
/// an empty one when there is no memory for so many.
WASM_API_EXTERN void wasm_tagtype_vec_new_uninitialized(
    own wasm_tagtype_vec_t *out, size_t size);
/// Makes `*out` a vector of the `size` elements at `data`, taking them over;
/// the array itself stays with the caller.
WASM_API_EXTERN void wasm_tagtype_vec_new(
    own wasm_tagtype_vec_t *out, size_t size, own wasm_tagtype_t *const data[]);
/// Makes `*out` a deep copy of `src`.
WASM_API_EXTERN void wasm_tagtype_vec_copy(
    own wasm_tagtype_vec_t *out, const wasm_tagtype_vec_t *src);
/// Frees the vector's block and the elements in it; afterwards it is empty. Not
/// the struct itself.
WASM_API_EXTERN void wasm_tagtype_vec_delete(own wasm_tagtype_vec_t *vec);

/// Returns a copy of `type`, owned by the caller.
WASM_API_EXTERN own wasm_tagtype_t *wasm_tagtype_copy(
    const wasm_tagtype_t *type);

/// Returns the type of a tag with the parameters of `functype`, which is taken
/// over.
WASM_API_EXTERN own wasm_tagtype_t *wasm_tagtype_new(
    own wasm_functype_t *functype);
/// The function type whose parameters are the fields; it lives as long as
/// `type`.
WASM_API_EXTERN const wasm_functype_t *wasm_tagtype_functype(
    const wasm_tagtype_t *type);

/// What an item that crosses module boundaries is: one of
/// `wasm_externkind_enum`.
typedef uint8_t wasm_externkind_t;

/// The values of `wasm_externkind_t`.
enum wasm_externkind_enum {
  /// A function.
  WASM_EXTERN_FUNC,
  /// A global.
  WASM_EXTERN_GLOBAL,
  /// A table.
  WASM_EXTERN_TABLE,
  /// A linear memory.
  WASM_EXTERN_MEMORY,
  /// An exception tag.
  WASM_EXTERN_TAG,
};

/// \brief The type of anything that can be imported or exported.
///
/// It is one of the five types above; the conversions below change the view,
/// not the object, and move no ownership.
typedef struct wasm_externtype_t wasm_externtype_t;

/// Frees a extern type.
WASM_API_EXTERN void wasm_externtype_delete(own wasm_externtype_t *type);

/// \brief A vector of extern types, each owned by the vector: `size` elements
/// at `data`.
///
/// The block at `data` belongs to the library once a function of this family
/// has made it; an empty vector may have any `data`, null included.
typedef struct wasm_externtype_vec_t {
  /// Number of elements.
  size_t size;
  /// The first element.
  wasm_externtype_t **data;
} wasm_externtype_vec_t;

/// Makes `*out` an empty vector.
WASM_API_EXTERN void wasm_externtype_vec_new_empty(
    own wasm_externtype_vec_t *out);
/// Makes `*out` a vector of `size` elements, all null, for the caller to fill;
/// an empty one when there is no memory for so many.
WASM_API_EXTERN void wasm_externtype_vec_new_uninitialized(
    own wasm_externtype_vec_t *out, size_t size);
/// Makes `*out` a vector of the `size` elements at `data`, taking them over;
/// the array itself stays with the caller.
WASM_API_EXTERN void wasm_externtype_vec_new(
    own wasm_externtype_vec_t *out, size_t size,
    own wasm_externtype_t *const data[]);
/// Makes `*out` a deep copy of `src`.
WASM_API_EXTERN void wasm_externtype_vec_copy(
    own wasm_externtype_vec_t *out, const wasm_externtype_vec_t *src);
/// Frees the vector's block and the elements in it; afterwards it is empty. Not
/// the struct itself.
WASM_API_EXTERN void wasm_externtype_vec_delete(own wasm_externtype_vec_t *vec);

/// Returns a copy of `type`, owned by the caller.
WASM_API_EXTERN own wasm_externtype_t *wasm_externtype_copy(
    const wasm_externtype_t *type);

/// Which of the five types `type` is.
WASM_API_EXTERN wasm_externkind_t wasm_externtype_kind(
    const wasm_externtype_t *type);

/// Views a function type as an extern type: the same object, freed once.
WASM_API_EXTERN wasm_externtype_t *wasm_functype_as_externtype(
    wasm_functype_t *type);
/// Views a global type as an extern type: the same object, freed once.
WASM_API_EXTERN wasm_externtype_t *wasm_globaltype_as_externtype(
    wasm_globaltype_t *type);
/// Views a table type as an extern type: the same object, freed once.
WASM_API_EXTERN wasm_externtype_t *wasm_tabletype_as_externtype(
    wasm_tabletype_t *type);
/// Views a memory type as an extern type: the same object, freed once.
WASM_API_EXTERN wasm_externtype_t *wasm_memorytype_as_externtype(
    wasm_memorytype_t *type);
/// Views a tag type as an extern type: the same object, freed once.
WASM_API_EXTERN wasm_externtype_t *wasm_tagtype_as_externtype(
    wasm_tagtype_t *type);

/// The function type that `type` is, or null when it is another kind. Freed
/// with `type`.
WASM_API_EXTERN wasm_functype_t *wasm_externtype_as_functype(
    wasm_externtype_t *type);
/// The global type that `type` is, or null when it is another kind. Freed with
/// `type`.
WASM_API_EXTERN wasm_globaltype_t *wasm_externtype_as_globaltype(
    wasm_externtype_t *type);
/// The table type that `type` is, or null when it is another kind. Freed with
/// `type`.
WASM_API_EXTERN wasm_tabletype_t *wasm_externtype_as_tabletype(
    wasm_externtype_t *type);
/// The memory type that `type` is, or null when it is another kind. Freed with
/// `type`.
WASM_API_EXTERN wasm_memorytype_t *wasm_externtype_as_memorytype(
    wasm_externtype_t *type);
/// The tag type that `type` is, or null when it is another kind. Freed with
/// `type`.
WASM_API_EXTERN wasm_tagtype_t *wasm_externtype_as_tagtype(
    wasm_externtype_t *type);

/// As `wasm_functype_as_externtype`, for const.
WASM_API_EXTERN const wasm_externtype_t *wasm_functype_as_externtype_const(
    const wasm_functype_t *type);
/// As `wasm_globaltype_as_externtype`, for const.
WASM_API_EXTERN const wasm_externtype_t *wasm_globaltype_as_externtype_const(
    const wasm_globaltype_t *type);
/// As `wasm_tabletype_as_externtype`, for const.
WASM_API_EXTERN const wasm_externtype_t *wasm_tabletype_as_externtype_const(
    const wasm_tabletype_t *type);
/// As `wasm_memorytype_as_externtype`, for const.
WASM_API_EXTERN const wasm_externtype_t *wasm_memorytype_as_externtype_const(
    const wasm_memorytype_t *type);
/// As `wasm_tagtype_as_externtype`, for const.
WASM_API_EXTERN const wasm_externtype_t *wasm_tagtype_as_externtype_const(
    const wasm_tagtype_t *type);

/// As `wasm_externtype_as_functype`, for const.
WASM_API_EXTERN const wasm_functype_t *wasm_externtype_as_functype_const(
    const wasm_externtype_t *type);
/// As `wasm_externtype_as_globaltype`, for const.
WASM_API_EXTERN const wasm_globaltype_t *wasm_externtype_as_globaltype_const(
    const wasm_externtype_t *type);
/// As `wasm_externtype_as_tabletype`, for const.
WASM_API_EXTERN const wasm_tabletype_t *wasm_externtype_as_tabletype_const(
    const wasm_externtype_t *type);
/// As `wasm_externtype_as_memorytype`, for const.
WASM_API_EXTERN const wasm_memorytype_t *wasm_externtype_as_memorytype_const(
    const wasm_externtype_t *type);
/// As `wasm_externtype_as_tagtype`, for const.
WASM_API_EXTERN const wasm_tagtype_t *wasm_externtype_as_tagtype_const(
    const wasm_externtype_t *type);

/// \brief One import of a module: two names and a type.
typedef struct wasm_importtype_t wasm_importtype_t;

/// Frees a import type.
WASM_API_EXTERN void wasm_importtype_delete(own wasm_importtype_t *type);

/// \brief A vector of import types, each owned by the vector: `size` elements
/// at `data`.
///
/// The block at `data` belongs to the library once a function of this family
/// has made it; an empty vector may have any `data`, null included.
typedef struct wasm_importtype_vec_t {
  /// Number of elements.
  size_t size;
  /// The first element.
  wasm_importtype_t **data;
} wasm_importtype_vec_t;

/// Makes `*out` an empty vector.
WASM_API_EXTERN void wasm_importtype_vec_new_empty(
    own wasm_importtype_vec_t *out);
/// Makes `*out` a vector of `size` elements, all null, for the caller to fill;
/// an empty one when there is no memory for so many.
WASM_API_EXTERN void wasm_importtype_vec_new_uninitialized(
    own wasm_importtype_vec_t *out, size_t size);
/// Makes `*out` a vector of the `size` elements at `data`, taking them over;
/// the array itself stays with the caller.
WASM_API_EXTERN void wasm_importtype_vec_new(
    own wasm_importtype_vec_t *out, size_t size,
    own wasm_importtype_t *const data[]);
/// Makes `*out` a deep copy of `src`.
WASM_API_EXTERN void wasm_importtype_vec_copy(
    own wasm_importtype_vec_t *out, const wasm_importtype_vec_t *src);
/// Frees the vector's block and the elements in it; afterwards it is empty. Not
/// the struct itself.
WASM_API_EXTERN void wasm_importtype_vec_delete(own wasm_importtype_vec_t *vec);

/// Returns a copy of `type`, owned by the caller.
WASM_API_EXTERN own wasm_importtype_t *wasm_importtype_copy(
    const wasm_importtype_t *type);

/// Returns an import of `module`'s `name`. Takes over the contents of both
/// names, and `type`.
WASM_API_EXTERN own wasm_importtype_t *wasm_importtype_new(
    own wasm_name_t *module, own wasm_name_t *name,
    own wasm_externtype_t *type);
/// The name of the module imported from; it lives as long as `type`.
WASM_API_EXTERN const wasm_name_t *wasm_importtype_module(
    const wasm_importtype_t *type);
/// The name of the item; it lives as long as `type`.
WASM_API_EXTERN const wasm_name_t *wasm_importtype_name(
    const wasm_importtype_t *type);
/// The type that is asked for; it lives as long as `type`.
WASM_API_EXTERN const wasm_externtype_t *wasm_importtype_type(
    const wasm_importtype_t *type);

/// \brief One export of a module: a name and a type.
typedef struct wasm_exporttype_t wasm_exporttype_t;

/// Frees a export type.
WASM_API_EXTERN void wasm_exporttype_delete(own wasm_exporttype_t *type);

/// \brief A vector of export types, each owned by the vector: `size` elements
/// at `data`.
///
/// The block at `data` belongs to the library once a function of this family
/// has made it; an empty vector may have any `data`, null included.
typedef struct wasm_exporttype_vec_t {
  /// Number of elements.
  size_t size;
  /// The first element.
  wasm_exporttype_t **data;
} wasm_exporttype_vec_t;

/// Makes `*out` an empty vector.
WASM_API_EXTERN void wasm_exporttype_vec_new_empty(
    own wasm_exporttype_vec_t *out);
/// Makes `*out` a vector of `size` elements, all null, for the caller to fill;
/// an empty one when there is no memory for so many.
WASM_API_EXTERN void wasm_exporttype_vec_new_uninitialized(
    own wasm_exporttype_vec_t *out, size_t size);
/// Makes `*out` a vector of the `size` elements at `data`, taking them over;
/// the array itself stays with the caller.
WASM_API_EXTERN void wasm_exporttype_vec_new(
    own wasm_exporttype_vec_t *out, size_t size,
    own wasm_exporttype_t *const data[]);
/// Makes `*out` a deep copy of `src`.
WASM_API_EXTERN void wasm_exporttype_vec_copy(
    own wasm_exporttype_vec_t *out, const wasm_exporttype_vec_t *src);
/// Frees the vector's block and the elements in it; afterwards it is empty. Not
/// the struct itself.
WASM_API_EXTERN void wasm_exporttype_vec_delete(own wasm_exporttype_vec_t *vec);

/// Returns a copy of `type`, owned by the caller.
WASM_API_EXTERN own wasm_exporttype_t *wasm_exporttype_copy(
    const wasm_exporttype_t *type);

/// Returns an export called `name`. Takes over the contents of the name, and
/// `type`.
WASM_API_EXTERN own wasm_exporttype_t *wasm_exporttype_new(
    own wasm_name_t *name, own wasm_externtype_t *type);
/// The name of the export; it lives as long as `type`.
WASM_API_EXTERN const wasm_name_t *wasm_exporttype_name(
    const wasm_exporttype_t *type);
/// The type of the exported item; it lives as long as `type`.
WASM_API_EXTERN const wasm_externtype_t *wasm_exporttype_type(
    const wasm_exporttype_t *type);

/* ----------------------------------------------------------------------------
 * Values
 */

struct wasm_ref_t;

/// \brief A number or an owned reference, of the portable API.
///
/// `wasmtime/val.h` has a value of its own, which knows more types.
typedef struct wasm_val_t {
  /// Which member of `of` counts.
  wasm_valkind_t kind;
  /// The value.
  union {
    /// With `WASM_I32`.
    int32_t i32;
    /// With `WASM_I64`.
    int64_t i64;
    /// With `WASM_F32`.
    float32_t f32;
    /// With `WASM_F64`.
    float64_t f64;
    /// With `WASM_EXTERNREF` and `WASM_FUNCREF`: null, or an owned reference.
    struct wasm_ref_t *ref;
  } of;
} wasm_val_t;

/// Frees the reference inside, if there is one. Not the struct itself.
WASM_API_EXTERN void wasm_val_delete(own wasm_val_t *v);
/// Makes `*out` a copy of `src`, with a reference of its own.
WASM_API_EXTERN void wasm_val_copy(own wasm_val_t *out, const wasm_val_t *src);

/// \brief A vector of values, each owned by the vector: `size` elements at
/// `data`.
///
/// The block at `data` belongs to the library once a function of this family
/// has made it; an empty vector may have any `data`, null included.
typedef struct wasm_val_vec_t {
  /// Number of elements.
  size_t size;
  /// The first element.
  wasm_val_t *data;
} wasm_val_vec_t;

/// Makes `*out` an empty vector.
WASM_API_EXTERN void wasm_val_vec_new_empty(own wasm_val_vec_t *out);
/// Makes `*out` a vector of `size` elements, with unspecified contents, for the
/// caller to fill; an empty one when there is no memory for so many.
WASM_API_EXTERN void wasm_val_vec_new_uninitialized(
    own wasm_val_vec_t *out, size_t size);
/// Makes `*out` a vector of the `size` elements at `data`, taking them over;
/// the array itself stays with the caller.
WASM_API_EXTERN void wasm_val_vec_new(
    own wasm_val_vec_t *out, size_t size, own const wasm_val_t data[]);
/// Makes `*out` a deep copy of `src`.
WASM_API_EXTERN void wasm_val_vec_copy(
    own wasm_val_vec_t *out, const wasm_val_vec_t *src);
/// Frees the vector's block and the elements in it; afterwards it is empty. Not
/// the struct itself.
WASM_API_EXTERN void wasm_val_vec_delete(own wasm_val_vec_t *vec);

/* ----------------------------------------------------------------------------
 * References
 *
 * A reference is a handle to any object. A handle of another type and the
 * reference that it can be viewed as are one and the same: the view lives as
 * long as the handle, and is not freed by itself. A guest knows functions (as
 * `funcref`) and foreign objects (as `externref`); where a reference is given
 * to a guest, one to anything else does not fit.
 *
 * Host information is a pointer kept with an object, seen through every handle
 * to it, with a finalizer that runs once: when the information is replaced, or
 * the object is gone. What is in a store is gone with the store, which lives
 * for as long as there is a handle to anything in it; a module or trap is gone
 * with its last handle, a foreign object when neither a handle nor the guest
 * refers to it and the store has collected. A finalizer must not use the store.
 *
 * 44.0.0 has neither: there, host information is always null, and setting it,
 * comparing and viewing end the process.
 */

/// \brief A handle to an object of a store, whatever its kind.
typedef struct wasm_ref_t wasm_ref_t;

/// Frees this handle, not what it refers to.
WASM_API_EXTERN void wasm_ref_delete(own wasm_ref_t *ref);
/// Returns a second handle to the same object, owned by the caller; null for
/// null.
WASM_API_EXTERN own wasm_ref_t *wasm_ref_copy(const wasm_ref_t *ref);
/// Whether both handles refer to the same object.
WASM_API_EXTERN bool wasm_ref_same(const wasm_ref_t *a, const wasm_ref_t *b);
/// The host information of the object; null at first.
WASM_API_EXTERN void *wasm_ref_get_host_info(const wasm_ref_t *ref);
/// Replaces the host information by one without a finalizer.
WASM_API_EXTERN void wasm_ref_set_host_info(wasm_ref_t *ref, void *info);
/// Replaces the host information by one with a finalizer, which may be null.
WASM_API_EXTERN void wasm_ref_set_host_info_with_finalizer(
    wasm_ref_t *ref, void *info, void (*finalizer)(void *));

/* ----------------------------------------------------------------------------
 * Traps and frames
 */

struct wasm_instance_t;

/// \brief One function activation of a backtrace.
typedef struct wasm_frame_t wasm_frame_t;

/// Frees a frame.
WASM_API_EXTERN void wasm_frame_delete(own wasm_frame_t *frame);

/// \brief A vector of frames, innermost first, each owned by the vector: `size`
/// elements at `data`.
///
/// The block at `data` belongs to the library once a function of this family
/// has made it; an empty vector may have any `data`, null included.
typedef struct wasm_frame_vec_t {
  /// Number of elements.
  size_t size;
  /// The first element.
  wasm_frame_t **data;
} wasm_frame_vec_t;

/// Makes `*out` an empty vector.
WASM_API_EXTERN void wasm_frame_vec_new_empty(own wasm_frame_vec_t *out);
/// Makes `*out` a vector of `size` elements, all null, for the caller to fill;
/// an empty one when there is no memory for so many.
WASM_API_EXTERN void wasm_frame_vec_new_uninitialized(
    own wasm_frame_vec_t *out, size_t size);
/// Makes `*out` a vector of the `size` elements at `data`, taking them over;
/// the array itself stays with the caller.
WASM_API_EXTERN void wasm_frame_vec_new(
    own wasm_frame_vec_t *out, size_t size, own wasm_frame_t *const data[]);
/// Makes `*out` a deep copy of `src`.
WASM_API_EXTERN void wasm_frame_vec_copy(
    own wasm_frame_vec_t *out, const wasm_frame_vec_t *src);
/// Frees the vector's block and the elements in it; afterwards it is empty. Not
/// the struct itself.
WASM_API_EXTERN void wasm_frame_vec_delete(own wasm_frame_vec_t *vec);

/// Returns a copy of `frame`, owned by the caller.
WASM_API_EXTERN own wasm_frame_t *wasm_frame_copy(const wasm_frame_t *frame);
/// The instance the function belongs to, borrowed from the frame; null where it
/// is not known, as in this library.
WASM_API_EXTERN struct wasm_instance_t *wasm_frame_instance(
    const wasm_frame_t *frame);
/// The index of the function in its module, imports counted.
WASM_API_EXTERN uint32_t wasm_frame_func_index(const wasm_frame_t *frame);
/// The offset of the instruction in bytes, from the beginning of the function's
/// body; `SIZE_MAX` when unknown.
WASM_API_EXTERN size_t wasm_frame_func_offset(const wasm_frame_t *frame);
/// The offset of the instruction in bytes, from the beginning of the module;
/// `SIZE_MAX` when unknown.
WASM_API_EXTERN size_t wasm_frame_module_offset(const wasm_frame_t *frame);

/// A text that ends in a NUL, which is counted.
typedef wasm_name_t wasm_message_t;

/// \brief Why guest code ended: a message, perhaps a code, and a backtrace.
///
/// Returned by calls and instantiations, owned by the caller; returned by host
/// functions, which give it up. `wasmtime/trap.h` tells the code.
typedef struct wasm_trap_t wasm_trap_t;

/// Frees this handle to a trap, not what other handles refer to.
WASM_API_EXTERN void wasm_trap_delete(own wasm_trap_t *trap);
/// Returns a second handle to the same trap, owned by the caller.
WASM_API_EXTERN own wasm_trap_t *wasm_trap_copy(const wasm_trap_t *trap);
/// Whether both handles refer to the same trap.
WASM_API_EXTERN bool wasm_trap_same(const wasm_trap_t *a, const wasm_trap_t *b);
/// The host information of the object; null at first.
WASM_API_EXTERN void *wasm_trap_get_host_info(const wasm_trap_t *trap);
/// Replaces the host information by one without a finalizer.
WASM_API_EXTERN void wasm_trap_set_host_info(wasm_trap_t *trap, void *info);
/// Replaces the host information by one with a finalizer, which may be null.
WASM_API_EXTERN void wasm_trap_set_host_info_with_finalizer(
    wasm_trap_t *trap, void *info, void (*finalizer)(void *));

/// Views a trap as a reference.
WASM_API_EXTERN wasm_ref_t *wasm_trap_as_ref(wasm_trap_t *trap);
/// The trap that `ref` is, or null when it is null or of another kind.
WASM_API_EXTERN wasm_trap_t *wasm_ref_as_trap(wasm_ref_t *ref);
/// As `wasm_trap_as_ref`, for const.
WASM_API_EXTERN const wasm_ref_t *wasm_trap_as_ref_const(
    const wasm_trap_t *trap);
/// As `wasm_ref_as_trap`, for const.
WASM_API_EXTERN const wasm_trap_t *wasm_ref_as_trap_const(
    const wasm_ref_t *ref);

/// Returns a trap with `message`, which ends in a NUL and is copied; without one
/// where it is null.
/// `store` is not looked at.
WASM_API_EXTERN own wasm_trap_t *wasm_trap_new(
    wasm_store_t *store, const wasm_message_t *message);
/// Makes `*out` the message with the backtrace as text, ending in a NUL.
WASM_API_EXTERN void wasm_trap_message(
    const wasm_trap_t *trap, own wasm_message_t *out);
/// Returns the innermost frame, owned by the caller, or null when there is no
/// backtrace.
WASM_API_EXTERN own wasm_frame_t *wasm_trap_origin(const wasm_trap_t *trap);
/// Makes `*out` the backtrace, innermost frame first; empty when there is none.
WASM_API_EXTERN void wasm_trap_trace(
    const wasm_trap_t *trap, own wasm_frame_vec_t *out);

/* ----------------------------------------------------------------------------
 * Foreign objects
 */

/// \brief An object of the host's, made for its host information. To guests it
/// is an `externref`.
typedef struct wasm_foreign_t wasm_foreign_t;

/// Frees this handle to a foreign object, not what other handles refer to.
WASM_API_EXTERN void wasm_foreign_delete(own wasm_foreign_t *foreign);
/// Returns a second handle to the same foreign object, owned by the caller.
WASM_API_EXTERN own wasm_foreign_t *wasm_foreign_copy(
    const wasm_foreign_t *foreign);
/// Whether both handles refer to the same foreign object.
WASM_API_EXTERN bool wasm_foreign_same(
    const wasm_foreign_t *a, const wasm_foreign_t *b);
/// The host information of the object; null at first.
WASM_API_EXTERN void *wasm_foreign_get_host_info(const wasm_foreign_t *foreign);
/// Replaces the host information by one without a finalizer.
WASM_API_EXTERN void wasm_foreign_set_host_info(
    wasm_foreign_t *foreign, void *info);
/// Replaces the host information by one with a finalizer, which may be null.
WASM_API_EXTERN void wasm_foreign_set_host_info_with_finalizer(
    wasm_foreign_t *foreign, void *info, void (*finalizer)(void *));

/// Views a foreign object as a reference.
WASM_API_EXTERN wasm_ref_t *wasm_foreign_as_ref(wasm_foreign_t *foreign);
/// The foreign object that `ref` is, or null when it is null or of another kind.
WASM_API_EXTERN wasm_foreign_t *wasm_ref_as_foreign(wasm_ref_t *ref);
/// As `wasm_foreign_as_ref`, for const.
WASM_API_EXTERN const wasm_ref_t *wasm_foreign_as_ref_const(
    const wasm_foreign_t *foreign);
/// As `wasm_ref_as_foreign`, for const.
WASM_API_EXTERN const wasm_foreign_t *wasm_ref_as_foreign_const(
    const wasm_ref_t *ref);

/// Returns a new foreign object, owned by the caller; null in a store that may
/// hold no references to host values (`wasmtime_config_gc_support_set`, or a pool
/// without space for them).
WASM_API_EXTERN own wasm_foreign_t *wasm_foreign_new(wasm_store_t *store);

/* ----------------------------------------------------------------------------
 * Modules
 */

/// \brief Compiled code, for stores of its engine. It does not keep the store it
/// was made in.
typedef struct wasm_module_t wasm_module_t;

/// Frees this handle to a module, not what other handles refer to.
WASM_API_EXTERN void wasm_module_delete(own wasm_module_t *module);
/// Returns a second handle to the same module, owned by the caller.
WASM_API_EXTERN own wasm_module_t *wasm_module_copy(
    const wasm_module_t *module);
/// Whether both handles refer to the same module.
WASM_API_EXTERN bool wasm_module_same(
    const wasm_module_t *a, const wasm_module_t *b);
/// The host information of the object; null at first.
WASM_API_EXTERN void *wasm_module_get_host_info(const wasm_module_t *module);
/// Replaces the host information by one without a finalizer.
WASM_API_EXTERN void wasm_module_set_host_info(
    wasm_module_t *module, void *info);
/// Replaces the host information by one with a finalizer, which may be null.
WASM_API_EXTERN void wasm_module_set_host_info_with_finalizer(
    wasm_module_t *module, void *info, void (*finalizer)(void *));

/// Views a module as a reference.
WASM_API_EXTERN wasm_ref_t *wasm_module_as_ref(wasm_module_t *module);
/// The module that `ref` is, or null when it is null or of another kind.
WASM_API_EXTERN wasm_module_t *wasm_ref_as_module(wasm_ref_t *ref);
/// As `wasm_module_as_ref`, for const.
WASM_API_EXTERN const wasm_ref_t *wasm_module_as_ref_const(
    const wasm_module_t *module);
/// As `wasm_ref_as_module`, for const.
WASM_API_EXTERN const wasm_module_t *wasm_ref_as_module_const(
    const wasm_ref_t *ref);

/// \brief A module apart from any store; it may be used by several threads.
typedef struct wasm_shared_module_t wasm_shared_module_t;

/// Frees this handle to a shared module.
WASM_API_EXTERN void wasm_shared_module_delete(
    own wasm_shared_module_t *shared);

/// Returns a handle to `module` that stores of other threads can obtain; owned
/// by the caller.
WASM_API_EXTERN own wasm_shared_module_t *wasm_module_share(
    const wasm_module_t *module);
/// Returns a handle to a shared module for `store`, owned by the caller; null when
/// the store is of another engine.
WASM_API_EXTERN own wasm_module_t *wasm_module_obtain(
    wasm_store_t *store, const wasm_shared_module_t *shared);
/// Compiles the binary module `binary`. Returns null when it is not valid.
WASM_API_EXTERN own wasm_module_t *wasm_module_new(
    wasm_store_t *store, const wasm_byte_vec_t *binary);
/// Whether `binary` is a valid module for this store's engine.
WASM_API_EXTERN bool wasm_module_validate(
    wasm_store_t *store, const wasm_byte_vec_t *binary);
/// Makes `*out` the imports of the module, in order.
WASM_API_EXTERN void wasm_module_imports(
    const wasm_module_t *module, own wasm_importtype_vec_t *out);
/// Makes `*out` the exports of the module, in order.
WASM_API_EXTERN void wasm_module_exports(
    const wasm_module_t *module, own wasm_exporttype_vec_t *out);
/// Makes `*out` the compiled module as bytes for `wasm_module_deserialize`;
/// empty on failure.
WASM_API_EXTERN void wasm_module_serialize(
    const wasm_module_t *module, own wasm_byte_vec_t *out);
/// Returns the module that `wasm_module_serialize` wrote; null when the bytes
/// are of another version or configuration. The bytes are code: they must come
/// from a trusted place.
WASM_API_EXTERN own wasm_module_t *wasm_module_deserialize(
    wasm_store_t *store, const wasm_byte_vec_t *bytes);

/* ----------------------------------------------------------------------------
 * Functions
 */

/// \brief A function of a module or of the host.
typedef struct wasm_func_t wasm_func_t;

/// Frees this handle to a function, not what other handles refer to.
WASM_API_EXTERN void wasm_func_delete(own wasm_func_t *func);
/// Returns a second handle to the same function, owned by the caller.
WASM_API_EXTERN own wasm_func_t *wasm_func_copy(const wasm_func_t *func);
/// Whether both handles refer to the same function.
WASM_API_EXTERN bool wasm_func_same(const wasm_func_t *a, const wasm_func_t *b);
/// The host information of the object; null at first.
WASM_API_EXTERN void *wasm_func_get_host_info(const wasm_func_t *func);
/// Replaces the host information by one without a finalizer.
WASM_API_EXTERN void wasm_func_set_host_info(wasm_func_t *func, void *info);
/// Replaces the host information by one with a finalizer, which may be null.
WASM_API_EXTERN void wasm_func_set_host_info_with_finalizer(
    wasm_func_t *func, void *info, void (*finalizer)(void *));

/// Views a function as a reference.
WASM_API_EXTERN wasm_ref_t *wasm_func_as_ref(wasm_func_t *func);
/// The function that `ref` is, or null when it is null or of another kind.
WASM_API_EXTERN wasm_func_t *wasm_ref_as_func(wasm_ref_t *ref);
/// As `wasm_func_as_ref`, for const.
WASM_API_EXTERN const wasm_ref_t *wasm_func_as_ref_const(
    const wasm_func_t *func);
/// As `wasm_ref_as_func`, for const.
WASM_API_EXTERN const wasm_func_t *wasm_ref_as_func_const(
    const wasm_ref_t *ref);

/// \brief A host function.
///
/// `args` is borrowed; `results` has room for all results, which the callback
/// sets and gives up. Returns null, or a trap (given up) that ends the guest;
/// the results then do not count.
typedef own wasm_trap_t *(*wasm_func_callback_t)(const wasm_val_vec_t *args,
                                                 own wasm_val_vec_t *results);

/// As `wasm_func_callback_t`, with the pointer given at creation.
typedef own wasm_trap_t *(*wasm_func_callback_with_env_t)(
    void *env, const wasm_val_vec_t *args, wasm_val_vec_t *results);

/// Returns a function of the host's with the given type (copied); null when no
/// function can have that type, such as one with an `anyref`. A guest that passes a
/// value that `wasm_val_t` cannot hold (`v128`) ends with a trap instead of the call.
WASM_API_EXTERN own wasm_func_t *wasm_func_new(
    wasm_store_t *store, const wasm_functype_t *type,
    wasm_func_callback_t callback);
/// The same, for a callback that gets `env`. `finalizer(env)` runs once, when
/// nothing refers to the function any more, or before this returns null;
/// `finalizer` may be null.
WASM_API_EXTERN own wasm_func_t *wasm_func_new_with_env(
    wasm_store_t *store, const wasm_functype_t *type,
    wasm_func_callback_with_env_t callback, void *env,
    void (*finalizer)(void *));
/// Returns the type of the function, owned by the caller.
WASM_API_EXTERN own wasm_functype_t *wasm_func_type(const wasm_func_t *func);
/// The number of parameters.
WASM_API_EXTERN size_t wasm_func_param_arity(const wasm_func_t *func);
/// The number of results.
WASM_API_EXTERN size_t wasm_func_result_arity(const wasm_func_t *func);
/// Calls the function. `args` must fit its parameters; `results` must have the
/// length of its results and is filled with values owned by the caller. Returns
/// null, or a trap owned by the caller; also arguments that do not fit are
/// reported as a trap.
WASM_API_EXTERN own wasm_trap_t *wasm_func_call(
    const wasm_func_t *func, const wasm_val_vec_t *args,
    wasm_val_vec_t *results);

/* ----------------------------------------------------------------------------
 * Globals
 */

/// \brief A global variable.
typedef struct wasm_global_t wasm_global_t;

/// Frees this handle to a global, not what other handles refer to.
WASM_API_EXTERN void wasm_global_delete(own wasm_global_t *global);
/// Returns a second handle to the same global, owned by the caller.
WASM_API_EXTERN own wasm_global_t *wasm_global_copy(
    const wasm_global_t *global);
/// Whether both handles refer to the same global.
WASM_API_EXTERN bool wasm_global_same(
    const wasm_global_t *a, const wasm_global_t *b);
/// The host information of the object; null at first.
WASM_API_EXTERN void *wasm_global_get_host_info(const wasm_global_t *global);
/// Replaces the host information by one without a finalizer.
WASM_API_EXTERN void wasm_global_set_host_info(
    wasm_global_t *global, void *info);
/// Replaces the host information by one with a finalizer, which may be null.
WASM_API_EXTERN void wasm_global_set_host_info_with_finalizer(
    wasm_global_t *global, void *info, void (*finalizer)(void *));

/// Views a global as a reference.
WASM_API_EXTERN wasm_ref_t *wasm_global_as_ref(wasm_global_t *global);
/// The global that `ref` is, or null when it is null or of another kind.
WASM_API_EXTERN wasm_global_t *wasm_ref_as_global(wasm_ref_t *ref);
/// As `wasm_global_as_ref`, for const.
WASM_API_EXTERN const wasm_ref_t *wasm_global_as_ref_const(
    const wasm_global_t *global);
/// As `wasm_ref_as_global`, for const.
WASM_API_EXTERN const wasm_global_t *wasm_ref_as_global_const(
    const wasm_ref_t *ref);

/// Returns a global of `type` that holds a copy of `init`; null when the two do
/// not fit.
WASM_API_EXTERN own wasm_global_t *wasm_global_new(
    wasm_store_t *store, const wasm_globaltype_t *type, const wasm_val_t *init);
/// Returns the type of the global, owned by the caller.
WASM_API_EXTERN own wasm_globaltype_t *wasm_global_type(
    const wasm_global_t *global);
/// Makes `*out` the current value, owned by the caller. Of a value that `wasm_val_t`
/// cannot hold (`v128`), the kind is 255, and `*out` owns nothing.
WASM_API_EXTERN void wasm_global_get(
    const wasm_global_t *global, own wasm_val_t *out);
/// Stores a copy of `val`. Nothing happens when the global is constant or the
/// type does not fit.
WASM_API_EXTERN void wasm_global_set(
    wasm_global_t *global, const wasm_val_t *val);

/* ----------------------------------------------------------------------------
 * Tables
 */

/// \brief A table of references.
typedef struct wasm_table_t wasm_table_t;

/// Frees this handle to a table, not what other handles refer to.
WASM_API_EXTERN void wasm_table_delete(own wasm_table_t *table);
/// Returns a second handle to the same table, owned by the caller.
WASM_API_EXTERN own wasm_table_t *wasm_table_copy(const wasm_table_t *table);
/// Whether both handles refer to the same table.
WASM_API_EXTERN bool wasm_table_same(
    const wasm_table_t *a, const wasm_table_t *b);
/// The host information of the object; null at first.
WASM_API_EXTERN void *wasm_table_get_host_info(const wasm_table_t *table);
/// Replaces the host information by one without a finalizer.
WASM_API_EXTERN void wasm_table_set_host_info(wasm_table_t *table, void *info);
/// Replaces the host information by one with a finalizer, which may be null.
WASM_API_EXTERN void wasm_table_set_host_info_with_finalizer(
    wasm_table_t *table, void *info, void (*finalizer)(void *));

/// Views a table as a reference.
WASM_API_EXTERN wasm_ref_t *wasm_table_as_ref(wasm_table_t *table);
/// The table that `ref` is, or null when it is null or of another kind.
WASM_API_EXTERN wasm_table_t *wasm_ref_as_table(wasm_ref_t *ref);
/// As `wasm_table_as_ref`, for const.
WASM_API_EXTERN const wasm_ref_t *wasm_table_as_ref_const(
    const wasm_table_t *table);
/// As `wasm_ref_as_table`, for const.
WASM_API_EXTERN const wasm_table_t *wasm_ref_as_table_const(
    const wasm_ref_t *ref);

/// A number of table elements, or an index.
typedef uint32_t wasm_table_size_t;

/// Returns a table of `type` (copied) with every element `init` (borrowed; null
/// for the null reference); null when the two do not fit, or the table would be
/// too large.
WASM_API_EXTERN own wasm_table_t *wasm_table_new(
    wasm_store_t *store, const wasm_tabletype_t *type, wasm_ref_t *init);
/// Returns the type that the table was made with, owned by the caller. Its
/// minimum does not follow the size.
WASM_API_EXTERN own wasm_tabletype_t *wasm_table_type(
    const wasm_table_t *table);
/// Returns the element at `index`, owned by the caller; null for the null
/// reference and past the end.
WASM_API_EXTERN own wasm_ref_t *wasm_table_get(
    const wasm_table_t *table, wasm_table_size_t index);
/// Sets the element at `index` to `ref` (borrowed, may be null). False past the
/// end or when the type does not fit.
WASM_API_EXTERN bool wasm_table_set(
    wasm_table_t *table, wasm_table_size_t index, wasm_ref_t *ref);
/// The current number of elements.
WASM_API_EXTERN wasm_table_size_t wasm_table_size(const wasm_table_t *table);
/// Adds `delta` elements `init` (borrowed, may be null). False beyond the
/// limits, or when `init` does not fit.
WASM_API_EXTERN bool wasm_table_grow(
    wasm_table_t *table, wasm_table_size_t delta, wasm_ref_t *init);

/* ----------------------------------------------------------------------------
 * Memories
 */

/// \brief A linear memory.
typedef struct wasm_memory_t wasm_memory_t;

/// Frees this handle to a memory, not what other handles refer to.
WASM_API_EXTERN void wasm_memory_delete(own wasm_memory_t *memory);
/// Returns a second handle to the same memory, owned by the caller.
WASM_API_EXTERN own wasm_memory_t *wasm_memory_copy(
    const wasm_memory_t *memory);
/// Whether both handles refer to the same memory.
WASM_API_EXTERN bool wasm_memory_same(
    const wasm_memory_t *a, const wasm_memory_t *b);
/// The host information of the object; null at first.
WASM_API_EXTERN void *wasm_memory_get_host_info(const wasm_memory_t *memory);
/// Replaces the host information by one without a finalizer.
WASM_API_EXTERN void wasm_memory_set_host_info(
    wasm_memory_t *memory, void *info);
/// Replaces the host information by one with a finalizer, which may be null.
WASM_API_EXTERN void wasm_memory_set_host_info_with_finalizer(
    wasm_memory_t *memory, void *info, void (*finalizer)(void *));

/// Views a memory as a reference.
WASM_API_EXTERN wasm_ref_t *wasm_memory_as_ref(wasm_memory_t *memory);
/// The memory that `ref` is, or null when it is null or of another kind.
WASM_API_EXTERN wasm_memory_t *wasm_ref_as_memory(wasm_ref_t *ref);
/// As `wasm_memory_as_ref`, for const.
WASM_API_EXTERN const wasm_ref_t *wasm_memory_as_ref_const(
    const wasm_memory_t *memory);
/// As `wasm_ref_as_memory`, for const.
WASM_API_EXTERN const wasm_memory_t *wasm_ref_as_memory_const(
    const wasm_ref_t *ref);

/// A number of pages.
typedef uint32_t wasm_memory_pages_t;

/// The bytes of an ordinary page.
static const size_t MEMORY_PAGE_SIZE = 0x10000;

/// Returns a zeroed memory of `type` (copied); null when the system has no memory
/// for it.
WASM_API_EXTERN own wasm_memory_t *wasm_memory_new(
    wasm_store_t *store, const wasm_memorytype_t *type);
/// Returns the type that the memory was made with, owned by the caller. Its
/// minimum does not follow the size.
WASM_API_EXTERN own wasm_memorytype_t *wasm_memory_type(
    const wasm_memory_t *memory);
/// The first byte. Stale after the memory has grown, by wasm or host.
WASM_API_EXTERN byte_t *wasm_memory_data(wasm_memory_t *memory);
/// The current size in bytes.
WASM_API_EXTERN size_t wasm_memory_data_size(const wasm_memory_t *memory);
/// The current size in pages.
WASM_API_EXTERN wasm_memory_pages_t wasm_memory_size(
    const wasm_memory_t *memory);
/// Adds `delta` zeroed pages. False when that would go beyond the limits; the
/// memory is then as before.
WASM_API_EXTERN bool wasm_memory_grow(
    wasm_memory_t *memory, wasm_memory_pages_t delta);

/* ----------------------------------------------------------------------------
 * Externs
 */

/// \brief A function, global, table or memory, for import and export.
///
/// The conversions below change the view, not the object, and move no
/// ownership.
typedef struct wasm_extern_t wasm_extern_t;

/// Frees this handle to an extern, not what other handles refer to.
WASM_API_EXTERN void wasm_extern_delete(own wasm_extern_t *item);
/// Returns a second handle to the same extern, owned by the caller.
WASM_API_EXTERN own wasm_extern_t *wasm_extern_copy(const wasm_extern_t *item);
/// Whether both handles refer to the same extern.
WASM_API_EXTERN bool wasm_extern_same(
    const wasm_extern_t *a, const wasm_extern_t *b);
/// The host information of the object; null at first.
WASM_API_EXTERN void *wasm_extern_get_host_info(const wasm_extern_t *item);
/// Replaces the host information by one without a finalizer.
WASM_API_EXTERN void wasm_extern_set_host_info(wasm_extern_t *item, void *info);
/// Replaces the host information by one with a finalizer, which may be null.
WASM_API_EXTERN void wasm_extern_set_host_info_with_finalizer(
    wasm_extern_t *item, void *info, void (*finalizer)(void *));

/// Views an extern as a reference.
WASM_API_EXTERN wasm_ref_t *wasm_extern_as_ref(wasm_extern_t *item);
/// The extern that `ref` is, or null when it is null or of another kind.
WASM_API_EXTERN wasm_extern_t *wasm_ref_as_extern(wasm_ref_t *ref);
/// As `wasm_extern_as_ref`, for const.
WASM_API_EXTERN const wasm_ref_t *wasm_extern_as_ref_const(
    const wasm_extern_t *item);
/// As `wasm_ref_as_extern`, for const.
WASM_API_EXTERN const wasm_extern_t *wasm_ref_as_extern_const(
    const wasm_ref_t *ref);

/// \brief A vector of externs, each owned by the vector: `size` elements at
/// `data`.
///
/// The block at `data` belongs to the library once a function of this family
/// has made it; an empty vector may have any `data`, null included.
typedef struct wasm_extern_vec_t {
  /// Number of elements.
  size_t size;
  /// The first element.
  wasm_extern_t **data;
} wasm_extern_vec_t;

/// Makes `*out` an empty vector.
WASM_API_EXTERN void wasm_extern_vec_new_empty(own wasm_extern_vec_t *out);
/// Makes `*out` a vector of `size` elements, all null, for the caller to fill;
/// an empty one when there is no memory for so many.
WASM_API_EXTERN void wasm_extern_vec_new_uninitialized(
    own wasm_extern_vec_t *out, size_t size);
/// Makes `*out` a vector of the `size` elements at `data`, taking them over;
/// the array itself stays with the caller.
WASM_API_EXTERN void wasm_extern_vec_new(
    own wasm_extern_vec_t *out, size_t size, own wasm_extern_t *const data[]);
/// Makes `*out` a deep copy of `src`.
WASM_API_EXTERN void wasm_extern_vec_copy(
    own wasm_extern_vec_t *out, const wasm_extern_vec_t *src);
/// Frees the vector's block and the elements in it; afterwards it is empty. Not
/// the struct itself.
WASM_API_EXTERN void wasm_extern_vec_delete(own wasm_extern_vec_t *vec);

/// Which kind of object it is.
WASM_API_EXTERN wasm_externkind_t wasm_extern_kind(const wasm_extern_t *item);
/// Returns the type of the object, owned by the caller.
WASM_API_EXTERN own wasm_externtype_t *wasm_extern_type(
    const wasm_extern_t *item);

/// Views a function as an extern: the same object, freed once.
WASM_API_EXTERN wasm_extern_t *wasm_func_as_extern(wasm_func_t *func);
/// Views a global as an extern: the same object, freed once.
WASM_API_EXTERN wasm_extern_t *wasm_global_as_extern(wasm_global_t *global);
/// Views a table as an extern: the same object, freed once.
WASM_API_EXTERN wasm_extern_t *wasm_table_as_extern(wasm_table_t *table);
/// Views a memory as an extern: the same object, freed once.
WASM_API_EXTERN wasm_extern_t *wasm_memory_as_extern(wasm_memory_t *memory);

/// The function that `item` is, or null when it is another kind. Freed with
/// `item`.
WASM_API_EXTERN wasm_func_t *wasm_extern_as_func(wasm_extern_t *item);
/// The global that `item` is, or null when it is another kind. Freed with
/// `item`.
WASM_API_EXTERN wasm_global_t *wasm_extern_as_global(wasm_extern_t *item);
/// The table that `item` is, or null when it is another kind. Freed with
/// `item`.
WASM_API_EXTERN wasm_table_t *wasm_extern_as_table(wasm_extern_t *item);
/// The memory that `item` is, or null when it is another kind. Freed with
/// `item`.
WASM_API_EXTERN wasm_memory_t *wasm_extern_as_memory(wasm_extern_t *item);

/// As `wasm_func_as_extern`, for const.
WASM_API_EXTERN const wasm_extern_t *wasm_func_as_extern_const(
    const wasm_func_t *func);
/// As `wasm_global_as_extern`, for const.
WASM_API_EXTERN const wasm_extern_t *wasm_global_as_extern_const(
    const wasm_global_t *global);
/// As `wasm_table_as_extern`, for const.
WASM_API_EXTERN const wasm_extern_t *wasm_table_as_extern_const(
    const wasm_table_t *table);
/// As `wasm_memory_as_extern`, for const.
WASM_API_EXTERN const wasm_extern_t *wasm_memory_as_extern_const(
    const wasm_memory_t *memory);

/// As `wasm_extern_as_func`, for const.
WASM_API_EXTERN const wasm_func_t *wasm_extern_as_func_const(
    const wasm_extern_t *item);
/// As `wasm_extern_as_global`, for const.
WASM_API_EXTERN const wasm_global_t *wasm_extern_as_global_const(
    const wasm_extern_t *item);
/// As `wasm_extern_as_table`, for const.
WASM_API_EXTERN const wasm_table_t *wasm_extern_as_table_const(
    const wasm_extern_t *item);
/// As `wasm_extern_as_memory`, for const.
WASM_API_EXTERN const wasm_memory_t *wasm_extern_as_memory_const(
    const wasm_extern_t *item);

/* ----------------------------------------------------------------------------
 * Instances
 */

/// \brief A module brought to life in a store.
typedef struct wasm_instance_t wasm_instance_t;

/// Frees this handle to an instance, not what other handles refer to.
WASM_API_EXTERN void wasm_instance_delete(own wasm_instance_t *instance);
/// Returns a second handle to the same instance, owned by the caller.
WASM_API_EXTERN own wasm_instance_t *wasm_instance_copy(
    const wasm_instance_t *instance);
/// Whether both handles refer to the same instance.
WASM_API_EXTERN bool wasm_instance_same(
    const wasm_instance_t *a, const wasm_instance_t *b);
/// The host information of the object; null at first.
WASM_API_EXTERN void *wasm_instance_get_host_info(
    const wasm_instance_t *instance);
/// Replaces the host information by one without a finalizer.
WASM_API_EXTERN void wasm_instance_set_host_info(
    wasm_instance_t *instance, void *info);
/// Replaces the host information by one with a finalizer, which may be null.
WASM_API_EXTERN void wasm_instance_set_host_info_with_finalizer(
    wasm_instance_t *instance, void *info, void (*finalizer)(void *));

/// Views an instance as a reference.
WASM_API_EXTERN wasm_ref_t *wasm_instance_as_ref(wasm_instance_t *instance);
/// The instance that `ref` is, or null when it is null or of another kind.
WASM_API_EXTERN wasm_instance_t *wasm_ref_as_instance(wasm_ref_t *ref);
/// As `wasm_instance_as_ref`, for const.
WASM_API_EXTERN const wasm_ref_t *wasm_instance_as_ref_const(
    const wasm_instance_t *instance);
/// As `wasm_ref_as_instance`, for const.
WASM_API_EXTERN const wasm_instance_t *wasm_ref_as_instance_const(
    const wasm_ref_t *ref);

/// Instantiates `module` with `imports` (borrowed), one for each import in
/// order, and runs its start function. Returns null when an import does not fit
/// or the start function traps; `*trap`, unless `trap` is null, is then a trap
/// owned by the caller.
WASM_API_EXTERN own wasm_instance_t *wasm_instance_new(
    wasm_store_t *store, const wasm_module_t *module,
    const wasm_extern_vec_t *imports, own wasm_trap_t **trap);
/// Makes `*out` the exports, in the order of the module's export types. A shared
/// memory among them is null: this API has none.
WASM_API_EXTERN void wasm_instance_exports(
    const wasm_instance_t *instance, own wasm_extern_vec_t *out);

/* ----------------------------------------------------------------------------
 * Conveniences
 */

/// Returns the value type `i32`.
static inline own wasm_valtype_t *wasm_valtype_new_i32(void) {
  return wasm_valtype_new(WASM_I32);
}

/// Returns the value type `i64`.
static inline own wasm_valtype_t *wasm_valtype_new_i64(void) {
  return wasm_valtype_new(WASM_I64);
}

/// Returns the value type `f32`.
static inline own wasm_valtype_t *wasm_valtype_new_f32(void) {
  return wasm_valtype_new(WASM_F32);
}

/// Returns the value type `f64`.
static inline own wasm_valtype_t *wasm_valtype_new_f64(void) {
  return wasm_valtype_new(WASM_F64);
}

/// Returns the value type `externref`.
static inline own wasm_valtype_t *wasm_valtype_new_externref(void) {
  return wasm_valtype_new(WASM_EXTERNREF);
}

/// Returns the value type `funcref`.
static inline own wasm_valtype_t *wasm_valtype_new_funcref(void) {
  return wasm_valtype_new(WASM_FUNCREF);
}

/// Returns the function type with no parameters and no results.
static inline own wasm_functype_t *wasm_functype_new_0_0(void) {
  wasm_valtype_vec_t params, results;
  wasm_valtype_vec_new_empty(&params);
  wasm_valtype_vec_new_empty(&results);
  return wasm_functype_new(&params, &results);
}

/// Returns the function type with one parameter and no results; takes over the
/// types.
static inline own wasm_functype_t *wasm_functype_new_1_0(
    own wasm_valtype_t *p) {
  wasm_valtype_vec_t params, results;
  wasm_valtype_t *param_types[1] = {p};
  wasm_valtype_vec_new(&params, 1, param_types);
  wasm_valtype_vec_new_empty(&results);
  return wasm_functype_new(&params, &results);
}

/// Returns the function type with two parameters and no results; takes over the
/// types.
static inline own wasm_functype_t *wasm_functype_new_2_0(
    own wasm_valtype_t *p1, own wasm_valtype_t *p2) {
  wasm_valtype_vec_t params, results;
  wasm_valtype_t *param_types[2] = {p1, p2};
  wasm_valtype_vec_new(&params, 2, param_types);
  wasm_valtype_vec_new_empty(&results);
  return wasm_functype_new(&params, &results);
}

/// Returns the function type with three parameters and no results; takes over
/// the types.
static inline own wasm_functype_t *wasm_functype_new_3_0(
    own wasm_valtype_t *p1, own wasm_valtype_t *p2, own wasm_valtype_t *p3) {
  wasm_valtype_vec_t params, results;
  wasm_valtype_t *param_types[3] = {p1, p2, p3};
  wasm_valtype_vec_new(&params, 3, param_types);
  wasm_valtype_vec_new_empty(&results);
  return wasm_functype_new(&params, &results);
}

/// Returns the function type with no parameters and one result; takes over the
/// types.
static inline own wasm_functype_t *wasm_functype_new_0_1(
    own wasm_valtype_t *r) {
  wasm_valtype_vec_t params, results;
  wasm_valtype_t *result_types[1] = {r};
  wasm_valtype_vec_new_empty(&params);
  wasm_valtype_vec_new(&results, 1, result_types);
  return wasm_functype_new(&params, &results);
}

/// Returns the function type with one parameter and one result; takes over the
/// types.
static inline own wasm_functype_t *wasm_functype_new_1_1(
    own wasm_valtype_t *p, own wasm_valtype_t *r) {
  wasm_valtype_vec_t params, results;
  wasm_valtype_t *param_types[1] = {p};
  wasm_valtype_t *result_types[1] = {r};
  wasm_valtype_vec_new(&params, 1, param_types);
  wasm_valtype_vec_new(&results, 1, result_types);
  return wasm_functype_new(&params, &results);
}

/// Returns the function type with two parameters and one result; takes over the
/// types.
static inline own wasm_functype_t *wasm_functype_new_2_1(
    own wasm_valtype_t *p1, own wasm_valtype_t *p2, own wasm_valtype_t *r) {
  wasm_valtype_vec_t params, results;
  wasm_valtype_t *param_types[2] = {p1, p2};
  wasm_valtype_t *result_types[1] = {r};
  wasm_valtype_vec_new(&params, 2, param_types);
  wasm_valtype_vec_new(&results, 1, result_types);
  return wasm_functype_new(&params, &results);
}

/// Returns the function type with three parameters and one result; takes over
/// the types.
static inline own wasm_functype_t *wasm_functype_new_3_1(
    own wasm_valtype_t *p1, own wasm_valtype_t *p2, own wasm_valtype_t *p3,
    own wasm_valtype_t *r) {
  wasm_valtype_vec_t params, results;
  wasm_valtype_t *param_types[3] = {p1, p2, p3};
  wasm_valtype_t *result_types[1] = {r};
  wasm_valtype_vec_new(&params, 3, param_types);
  wasm_valtype_vec_new(&results, 1, result_types);
  return wasm_functype_new(&params, &results);
}

/// Returns the function type with no parameters and two results; takes over the
/// types.
static inline own wasm_functype_t *wasm_functype_new_0_2(
    own wasm_valtype_t *r1, own wasm_valtype_t *r2) {
  wasm_valtype_vec_t params, results;
  wasm_valtype_t *result_types[2] = {r1, r2};
  wasm_valtype_vec_new_empty(&params);
  wasm_valtype_vec_new(&results, 2, result_types);
  return wasm_functype_new(&params, &results);
}

/// Returns the function type with one parameter and two results; takes over the
/// types.
static inline own wasm_functype_t *wasm_functype_new_1_2(
    own wasm_valtype_t *p, own wasm_valtype_t *r1, own wasm_valtype_t *r2) {
  wasm_valtype_vec_t params, results;
  wasm_valtype_t *param_types[1] = {p};
  wasm_valtype_t *result_types[2] = {r1, r2};
  wasm_valtype_vec_new(&params, 1, param_types);
  wasm_valtype_vec_new(&results, 2, result_types);
  return wasm_functype_new(&params, &results);
}

/// Returns the function type with two parameters and two results; takes over
/// the types.
static inline own wasm_functype_t *wasm_functype_new_2_2(
    own wasm_valtype_t *p1, own wasm_valtype_t *p2, own wasm_valtype_t *r1,
    own wasm_valtype_t *r2) {
  wasm_valtype_vec_t params, results;
  wasm_valtype_t *param_types[2] = {p1, p2};
  wasm_valtype_t *result_types[2] = {r1, r2};
  wasm_valtype_vec_new(&params, 2, param_types);
  wasm_valtype_vec_new(&results, 2, result_types);
  return wasm_functype_new(&params, &results);
}

/// Returns the function type with three parameters and two results; takes over
/// the types.
static inline own wasm_functype_t *wasm_functype_new_3_2(
    own wasm_valtype_t *p1, own wasm_valtype_t *p2, own wasm_valtype_t *p3,
    own wasm_valtype_t *r1, own wasm_valtype_t *r2) {
  wasm_valtype_vec_t params, results;
  wasm_valtype_t *param_types[3] = {p1, p2, p3};
  wasm_valtype_t *result_types[2] = {r1, r2};
  wasm_valtype_vec_new(&params, 3, param_types);
  wasm_valtype_vec_new(&results, 2, result_types);
  return wasm_functype_new(&params, &results);
}

/// Makes `*out` the address `p` as an integer: `i64` where pointers have 64
/// bits, else `i32`.
static inline void wasm_val_init_ptr(own wasm_val_t *out, void *p) {
#if UINTPTR_MAX == UINT32_MAX
  out->kind = WASM_I32;
  out->of.i32 = (int32_t)(intptr_t)p;
#else
  out->kind = WASM_I64;
  out->of.i64 = (int64_t)(intptr_t)p;
#endif
}

/// The pointer that `wasm_val_init_ptr` put into `val`.
static inline void *wasm_val_ptr(const wasm_val_t *val) {
#if UINTPTR_MAX == UINT32_MAX
  return (void *)(intptr_t)val->of.i32;
#else
  return (void *)(intptr_t)val->of.i64;
#endif
}

/// Initializes any vector as empty.
#define WASM_EMPTY_VEC {0, NULL}
/// Initializes a vector as a view of the array `array`; such a vector is never
/// deleted.
#define WASM_ARRAY_VEC(array) {sizeof(array) / sizeof(*(array)), array}

// clang-format off
/// Initializes a `wasm_val_t` as an `i32`.
#define WASM_I32_VAL(i) {.kind = WASM_I32, .of = {.i32 = i}}
/// Initializes a `wasm_val_t` as an `i64`.
#define WASM_I64_VAL(i) {.kind = WASM_I64, .of = {.i64 = i}}
/// Initializes a `wasm_val_t` as an `f32`.
#define WASM_F32_VAL(z) {.kind = WASM_F32, .of = {.f32 = z}}
/// Initializes a `wasm_val_t` as an `f64`.
#define WASM_F64_VAL(z) {.kind = WASM_F64, .of = {.f64 = z}}
/// Initializes a `wasm_val_t` as an `externref`, which it then owns.
#define WASM_REF_VAL(r) {.kind = WASM_EXTERNREF, .of = {.ref = r}}
/// Initializes a `wasm_val_t` as the null `externref`.
#define WASM_INIT_VAL {.kind = WASM_EXTERNREF, .of = {.ref = NULL}}
// clang-format on

#undef own

#ifdef __cplusplus
} // extern "C"
#endif

#endif // WASM_H
