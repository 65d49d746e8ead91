/**
 * \file wasmtime/component/types/component.h
 *
 * \brief The types of components, and of what they import and export.
 */

#ifndef WASMTIME_COMPONENT_TYPES_COMPONENT_H
#define WASMTIME_COMPONENT_TYPES_COMPONENT_H

#include <wasmtime/conf.h>

#ifdef WASMTIME_FEATURE_COMPONENT_MODEL

#include <wasm.h>
#include <wasmtime/component/types/func.h>
#include <wasmtime/component/types/instance.h>
#include <wasmtime/component/types/module.h>
#include <wasmtime/component/types/resource.h>
#include <wasmtime/component/types/val.h>

#ifdef __cplusplus
extern "C" {
#endif

/// \brief What a component imports and exports, by name, as declared. An import
/// that only says that two types are the same is not listed.
///
/// Owned by whoever received it, and freed with `wasmtime_component_type_delete`.
/// Independent of its component, and usable by many threads.
typedef struct wasmtime_component_type_t wasmtime_component_type_t;

/// Returns a second handle to the same type, to be freed like the first.
WASM_API_EXTERN wasmtime_component_type_t *wasmtime_component_type_clone(
    const wasmtime_component_type_t *ty);

/// Frees this handle to a type.
WASM_API_EXTERN void wasmtime_component_type_delete(
    wasmtime_component_type_t *ty);

/// The number of imports.
WASM_API_EXTERN size_t wasmtime_component_type_import_count(
    const wasmtime_component_type_t *ty, const wasm_engine_t *engine);

/// Sets `*ret` to the type of the import `name`, exactly, owned by the caller,
/// and returns true; false when there is none.
WASM_API_EXTERN bool wasmtime_component_type_import_get(
    const wasmtime_component_type_t *ty, const wasm_engine_t *engine,
    const char *name, size_t name_len,
    struct wasmtime_component_item_t *ret);

/// Sets `*name_ret` and `*name_len_ret` to the name of the import number `nth`,
/// which lives as long as `ty`, and `*type_ret` to its type, owned by the
/// caller, and returns true; false past the last.
WASM_API_EXTERN bool wasmtime_component_type_import_nth(
    const wasmtime_component_type_t *ty, const wasm_engine_t *engine,
    size_t nth, const char **name_ret, size_t *name_len_ret,
    struct wasmtime_component_item_t *type_ret);

/// The number of exports.
WASM_API_EXTERN size_t wasmtime_component_type_export_count(
    const wasmtime_component_type_t *ty, const wasm_engine_t *engine);

/// As `wasmtime_component_type_import_get`, of the exports.
WASM_API_EXTERN bool wasmtime_component_type_export_get(
    const wasmtime_component_type_t *ty, const wasm_engine_t *engine,
    const char *name, size_t name_len,
    struct wasmtime_component_item_t *ret);

/// As `wasmtime_component_type_import_nth`, of the exports.
WASM_API_EXTERN bool wasmtime_component_type_export_nth(
    const wasmtime_component_type_t *ty, const wasm_engine_t *engine,
    size_t nth, const char **name_ret, size_t *name_len_ret,
    struct wasmtime_component_item_t *type_ret);

/// What an item is: one of the `WASMTIME_COMPONENT_ITEM_*` constants.
typedef uint8_t wasmtime_component_item_kind_t;

/// A component, described by `component`.
#define WASMTIME_COMPONENT_ITEM_COMPONENT 0
/// An instance, described by `component_instance`.
#define WASMTIME_COMPONENT_ITEM_COMPONENT_INSTANCE 1
/// A core module, described by `module`.
#define WASMTIME_COMPONENT_ITEM_MODULE 2
/// A function of the component model, described by `component_func`.
#define WASMTIME_COMPONENT_ITEM_COMPONENT_FUNC 3
/// A resource type: `resource`.
#define WASMTIME_COMPONENT_ITEM_RESOURCE 4
/// A core function, described by `core_func`.
#define WASMTIME_COMPONENT_ITEM_CORE_FUNC 5
/// A type of values: `type`.
#define WASMTIME_COMPONENT_ITEM_TYPE 6

/// \brief The type of an item; its kind tells which member is set.
typedef union wasmtime_component_item_union {
  /// Of a component.
  wasmtime_component_type_t *component;
  /// Of an instance.
  wasmtime_component_instance_type_t *component_instance;
  /// Of a core module.
  wasmtime_module_type_t *module;
  /// Of a function of the component model.
  wasmtime_component_func_type_t *component_func;
  /// The resource type.
  wasmtime_component_resource_type_t *resource;
  /// Of a core function.
  wasm_functype_t *core_func;
  /// The type of values.
  wasmtime_component_valtype_t type;
} wasmtime_component_item_union_t;

/// \brief The type of an import or export, which it owns.
typedef struct wasmtime_component_item_t {
  /// What it is.
  wasmtime_component_item_kind_t kind;
  /// Its type.
  wasmtime_component_item_union_t of;
} wasmtime_component_item_t;

/// Makes `*out` a copy of the item, to be freed like the first.
WASM_API_EXTERN void wasmtime_component_item_clone(
    const wasmtime_component_item_t *item, wasmtime_component_item_t *out);

/// Frees the type in the item, not the struct.
WASM_API_EXTERN void wasmtime_component_item_delete(
    wasmtime_component_item_t *ptr);

#ifdef __cplusplus
} // extern "C"
#endif

#endif // WASMTIME_FEATURE_COMPONENT_MODEL

#endif // WASMTIME_COMPONENT_TYPES_COMPONENT_H
