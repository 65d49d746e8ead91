/**
 * \file wasmtime/component/instance.hh
 *
 * \brief Instances of components.
 */

#ifndef WASMTIME_COMPONENT_INSTANCE_HH
#define WASMTIME_COMPONENT_INSTANCE_HH

#include <wasmtime/conf.h>

#ifdef WASMTIME_FEATURE_COMPONENT_MODEL

#include <optional>
#include <string_view>
#include <wasmtime/component/component.hh>
#include <wasmtime/component/func.hh>
#include <wasmtime/component/instance.h>
#include <wasmtime/store.hh>

namespace wasmtime {
namespace component {

/// \brief A handle to an instance of a component, in a store.
class Instance {
  wasmtime_component_instance_t instance;

public:
  /// Takes a C handle.
  explicit Instance(const wasmtime_component_instance_t &instance_)
      : instance(instance_) {}

  /// As `Component::export_index`, of the component that this is an instance
  /// of.
  std::optional<ExportIndex> get_export_index(Store::Context cx,
                                              const ExportIndex *parent,
                                              std::string_view name) const {
    auto *index = wasmtime_component_instance_get_export_index(
        &instance, cx.capi(), parent != nullptr ? parent->capi() : nullptr,
        name.data(), name.size());
    if (index == nullptr) {
      return std::nullopt;
    }
    return ExportIndex(index);
  }

  /// The exported function at this place; nothing when it is not a function, or
  /// the index another component's.
  std::optional<Func> get_func(Store::Context cx,
                               const ExportIndex &index) const {
    wasmtime_component_func_t func;
    if (!wasmtime_component_instance_get_func(&instance, cx.capi(),
                                              index.capi(), &func)) {
      return std::nullopt;
    }
    return Func(func);
  }

  /// The C handle.
  const wasmtime_component_instance_t *capi() const { return &instance; }
};

} // namespace component
} // namespace wasmtime

#endif // WASMTIME_FEATURE_COMPONENT_MODEL

#endif // WASMTIME_COMPONENT_INSTANCE_HH
