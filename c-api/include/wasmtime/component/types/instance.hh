/**
 * \file wasmtime/component/types/instance.hh
 *
 * \brief The types of instances of components.
 */

#ifndef WASMTIME_COMPONENT_TYPES_INSTANCE_HH
#define WASMTIME_COMPONENT_TYPES_INSTANCE_HH

#include <wasmtime/conf.h>

#ifdef WASMTIME_FEATURE_COMPONENT_MODEL

#include <cstddef>
#include <optional>
#include <string_view>
#include <utility>
#include <wasmtime/component/types/instance.h>
#include <wasmtime/engine.hh>
#include <wasmtime/helpers.hh>

namespace wasmtime {

namespace detail {
struct ComponentInstanceTypeHandle {
  using Raw = wasmtime_component_instance_type_t;
  static void destroy(Raw *raw) {
    wasmtime_component_instance_type_delete(raw);
  }
  static Raw *copy(const Raw *raw) {
    return wasmtime_component_instance_type_clone(raw);
  }
};
} // namespace detail

namespace component {

class ComponentItem;

/// \brief What an instance of a component exports, by name, as declared.
class ComponentInstanceType
    : public detail::Shared<detail::ComponentInstanceTypeHandle> {
public:
  using Shared::Shared;

  /// The number of exports.
  size_t export_count(const Engine &engine) const {
    return wasmtime_component_instance_type_export_count(capi(), engine.capi());
  }
  /// The type of the export of exactly this name, if there is one.
  inline std::optional<ComponentItem> export_get(const Engine &engine,
                                                 std::string_view name) const;
  /// The name of export number `nth`, which lives as long as this type, and its
  /// type; nothing past the last.
  inline std::optional<std::pair<std::string_view, ComponentItem>>
  export_nth(const Engine &engine, size_t nth) const;
};

} // namespace component
} // namespace wasmtime

#include <wasmtime/component/types/component.hh>

#endif // WASMTIME_FEATURE_COMPONENT_MODEL

#endif // WASMTIME_COMPONENT_TYPES_INSTANCE_HH
