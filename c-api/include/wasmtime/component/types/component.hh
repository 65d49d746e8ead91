/**
 * \file wasmtime/component/types/component.hh
 *
 * \brief The types of components, and of what they import and export.
 */

#ifndef WASMTIME_COMPONENT_TYPES_COMPONENT_HH
#define WASMTIME_COMPONENT_TYPES_COMPONENT_HH

#include <wasmtime/conf.h>

#ifdef WASMTIME_FEATURE_COMPONENT_MODEL

#include <cstddef>
#include <optional>
#include <string_view>
#include <utility>
#include <wasmtime/component/types/component.h>
#include <wasmtime/component/types/func.hh>
#include <wasmtime/component/types/instance.hh>
#include <wasmtime/component/types/module.hh>
#include <wasmtime/component/types/val.hh>
#include <wasmtime/engine.hh>
#include <wasmtime/helpers.hh>
#include <wasmtime/types/func.hh>

namespace wasmtime {

namespace detail {
struct ComponentTypeHandle {
  using Raw = wasmtime_component_type_t;
  static void destroy(Raw *raw) { wasmtime_component_type_delete(raw); }
  static Raw *copy(const Raw *raw) {
    return wasmtime_component_type_clone(raw);
  }
};
} // namespace detail

namespace component {

class ComponentItem;

/// \brief What a component imports and exports, by name, as declared.
class ComponentType : public detail::Shared<detail::ComponentTypeHandle> {
public:
  using Shared::Shared;

  /// The number of imports.
  size_t import_count(const Engine &engine) const {
    return wasmtime_component_type_import_count(capi(), engine.capi());
  }
  /// The type of the import of exactly this name, if there is one.
  inline std::optional<ComponentItem> import_get(const Engine &engine,
                                                 std::string_view name) const;
  /// The name of import number `nth`, which lives as long as this type, and its
  /// type; nothing past the last.
  inline std::optional<std::pair<std::string_view, ComponentItem>>
  import_nth(const Engine &engine, size_t nth) const;

  /// The number of exports.
  size_t export_count(const Engine &engine) const {
    return wasmtime_component_type_export_count(capi(), engine.capi());
  }
  /// The type of the export of exactly this name, if there is one.
  inline std::optional<ComponentItem> export_get(const Engine &engine,
                                                 std::string_view name) const;
  /// The name of export number `nth`, which lives as long as this type, and its
  /// type; nothing past the last.
  inline std::optional<std::pair<std::string_view, ComponentItem>>
  export_nth(const Engine &engine, size_t nth) const;
};

/// \brief The type of an import or export of any kind. Copies are the same
/// type, which may outlive what it describes.
class ComponentItem {
  wasmtime_component_item_t raw;

  const wasmtime_component_item_union_t &
  of(wasmtime_component_item_kind_t kind) const {
    if (raw.kind != kind) {
      detail::fail("an item was taken for another kind than it has");
    }
    return raw.of;
  }

public:
  /// Takes over a C item.
  explicit ComponentItem(wasmtime_component_item_t &&item) : raw(item) {
    item.kind = WASMTIME_COMPONENT_ITEM_TYPE;
    item.of.type.kind = WASMTIME_COMPONENT_VALTYPE_BOOL;
  }
  ComponentItem(const ComponentItem &other) : raw{} {
    wasmtime_component_item_clone(&other.raw, &raw);
  }
  /// The other one is the type `bool` afterwards.
  ComponentItem(ComponentItem &&other) noexcept
      : ComponentItem(std::move(other.raw)) {}
  ComponentItem &operator=(const ComponentItem &other) {
    return *this = ComponentItem(other);
  }
  ComponentItem &operator=(ComponentItem &&other) noexcept {
    std::swap(raw, other.raw);
    return *this;
  }
  ~ComponentItem() { wasmtime_component_item_delete(&raw); }

  /// Whether it is a component.
  bool is_component() const {
    return raw.kind == WASMTIME_COMPONENT_ITEM_COMPONENT;
  }
  /// Whether it is an instance.
  bool is_component_instance() const {
    return raw.kind == WASMTIME_COMPONENT_ITEM_COMPONENT_INSTANCE;
  }
  /// Whether it is a core module.
  bool is_module() const {
    return raw.kind == WASMTIME_COMPONENT_ITEM_MODULE;
  }
  /// Whether it is a function of the component model.
  bool is_component_func() const {
    return raw.kind == WASMTIME_COMPONENT_ITEM_COMPONENT_FUNC;
  }
  /// Whether it is a resource type.
  bool is_resource() const {
    return raw.kind == WASMTIME_COMPONENT_ITEM_RESOURCE;
  }
  /// Whether it is a core function.
  bool is_core_func() const {
    return raw.kind == WASMTIME_COMPONENT_ITEM_CORE_FUNC;
  }
  /// Whether it is a type of values.
  bool is_type() const {
    return raw.kind == WASMTIME_COMPONENT_ITEM_TYPE;
  }

  // What the item is. Of an item of another kind, asking ends the process with
  // a message.

  /// The type of a component.
  const ComponentType &component() const {
    return detail::owner_of<ComponentType>(
        of(WASMTIME_COMPONENT_ITEM_COMPONENT).component);
  }
  /// The type of an instance.
  const ComponentInstanceType &component_instance() const {
    return detail::owner_of<ComponentInstanceType>(
        of(WASMTIME_COMPONENT_ITEM_COMPONENT_INSTANCE).component_instance);
  }
  /// The type of a core module.
  const ModuleType &module() const {
    return detail::owner_of<ModuleType>(
        of(WASMTIME_COMPONENT_ITEM_MODULE).module);
  }
  /// The type of a function of the component model.
  const FuncType &component_func() const {
    return detail::owner_of<FuncType>(
        of(WASMTIME_COMPONENT_ITEM_COMPONENT_FUNC).component_func);
  }
  /// The resource type.
  const ResourceType &resource() const {
    return detail::owner_of<ResourceType>(
        of(WASMTIME_COMPONENT_ITEM_RESOURCE).resource);
  }
  /// The type of a core function, which must not outlive this item.
  wasmtime::FuncType::Ref core_func() const {
    return of(WASMTIME_COMPONENT_ITEM_CORE_FUNC).core_func;
  }
  /// The type of values.
  const ValType &type() const {
    // A `ValType` is the C type and nothing else.
    static_assert(sizeof(ValType) == sizeof(wasmtime_component_valtype_t));
    return reinterpret_cast<const ValType &>(
        of(WASMTIME_COMPONENT_ITEM_TYPE).type);
  }

  /// The C item, which stays this value's.
  const wasmtime_component_item_t *capi() const { return &raw; }
};

inline std::optional<ComponentItem>
ComponentType::import_get(const Engine &engine, std::string_view name) const {
  wasmtime_component_item_t item;
  if (!wasmtime_component_type_import_get(
          capi(), engine.capi(), name.data(), name.size(), &item)) {
    return std::nullopt;
  }
  return ComponentItem(std::move(item));
}

inline std::optional<std::pair<std::string_view, ComponentItem>>
ComponentType::import_nth(const Engine &engine, size_t nth) const {
  wasmtime_component_item_t item;
  const char *name = nullptr;
  size_t size = 0;
  if (!wasmtime_component_type_import_nth(
          capi(), engine.capi(), nth, &name, &size, &item)) {
    return std::nullopt;
  }
  return std::pair(std::string_view(name, size),
                   ComponentItem(std::move(item)));
}

inline std::optional<ComponentItem>
ComponentType::export_get(const Engine &engine, std::string_view name) const {
  wasmtime_component_item_t item;
  if (!wasmtime_component_type_export_get(
          capi(), engine.capi(), name.data(), name.size(), &item)) {
    return std::nullopt;
  }
  return ComponentItem(std::move(item));
}

inline std::optional<std::pair<std::string_view, ComponentItem>>
ComponentType::export_nth(const Engine &engine, size_t nth) const {
  wasmtime_component_item_t item;
  const char *name = nullptr;
  size_t size = 0;
  if (!wasmtime_component_type_export_nth(
          capi(), engine.capi(), nth, &name, &size, &item)) {
    return std::nullopt;
  }
  return std::pair(std::string_view(name, size),
                   ComponentItem(std::move(item)));
}

inline std::optional<ComponentItem>
ComponentInstanceType::export_get(const Engine &engine,
                                  std::string_view name) const {
  wasmtime_component_item_t item;
  if (!wasmtime_component_instance_type_export_get(
          capi(), engine.capi(), name.data(), name.size(), &item)) {
    return std::nullopt;
  }
  return ComponentItem(std::move(item));
}

inline std::optional<std::pair<std::string_view, ComponentItem>>
ComponentInstanceType::export_nth(const Engine &engine, size_t nth) const {
  wasmtime_component_item_t item;
  const char *name = nullptr;
  size_t size = 0;
  if (!wasmtime_component_instance_type_export_nth(
          capi(), engine.capi(), nth, &name, &size, &item)) {
    return std::nullopt;
  }
  return std::pair(std::string_view(name, size),
                   ComponentItem(std::move(item)));
}

} // namespace component
} // namespace wasmtime

#endif // WASMTIME_FEATURE_COMPONENT_MODEL

#endif // WASMTIME_COMPONENT_TYPES_COMPONENT_HH
