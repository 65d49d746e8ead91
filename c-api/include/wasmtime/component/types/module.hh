/**
 * \file wasmtime/component/types/module.hh
 *
 * \brief The types of core modules that components import and export.
 */

#ifndef WASMTIME_COMPONENT_TYPES_MODULE_HH
#define WASMTIME_COMPONENT_TYPES_MODULE_HH

#include <wasmtime/conf.h>

#ifdef WASMTIME_FEATURE_COMPONENT_MODEL

#include <cstddef>
#include <optional>
#include <wasmtime/component/types/module.h>
#include <wasmtime/engine.hh>
#include <wasmtime/helpers.hh>
#include <wasmtime/types/export.hh>
#include <wasmtime/types/import.hh>

namespace wasmtime {

namespace detail {
struct ComponentModuleTypeHandle {
  using Raw = wasmtime_module_type_t;
  static void destroy(Raw *raw) { wasmtime_module_type_delete(raw); }
  static Raw *copy(const Raw *raw) { return wasmtime_module_type_clone(raw); }
};
} // namespace detail

namespace component {

/// \brief What a core module imports and exports, in order.
class ModuleType : public detail::Shared<detail::ComponentModuleTypeHandle> {
public:
  using Shared::Shared;

  /// The number of imports.
  size_t import_count(const Engine &engine) const {
    return wasmtime_module_type_import_count(capi(), engine.capi());
  }
  /// Import number `nth`; nothing past the last.
  std::optional<ImportType> import_nth(const Engine &engine, size_t nth) const {
    auto *type = wasmtime_module_type_import_nth(capi(), engine.capi(), nth);
    if (type == nullptr) {
      return std::nullopt;
    }
    return ImportType(type);
  }

  /// The number of exports.
  size_t export_count(const Engine &engine) const {
    return wasmtime_module_type_export_count(capi(), engine.capi());
  }
  /// Export number `nth`; nothing past the last.
  std::optional<ExportType> export_nth(const Engine &engine, size_t nth) const {
    auto *type = wasmtime_module_type_export_nth(capi(), engine.capi(), nth);
    if (type == nullptr) {
      return std::nullopt;
    }
    return ExportType(type);
  }
};

} // namespace component
} // namespace wasmtime

#endif // WASMTIME_FEATURE_COMPONENT_MODEL

#endif // WASMTIME_COMPONENT_TYPES_MODULE_HH
