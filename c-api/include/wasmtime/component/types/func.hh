/**
 * \file wasmtime/component/types/func.hh
 *
 * \brief The types of functions of the component model.
 */

#ifndef WASMTIME_COMPONENT_TYPES_FUNC_HH
#define WASMTIME_COMPONENT_TYPES_FUNC_HH

#include <wasmtime/conf.h>

#ifdef WASMTIME_FEATURE_COMPONENT_MODEL

#include <cstddef>
#include <optional>
#include <string_view>
#include <utility>
#include <wasmtime/component/types/func.h>
#include <wasmtime/component/types/val.hh>
#include <wasmtime/helpers.hh>

namespace wasmtime {

namespace detail {
struct ComponentFuncTypeHandle {
  using Raw = wasmtime_component_func_type_t;
  static void destroy(Raw *raw) { wasmtime_component_func_type_delete(raw); }
  static Raw *copy(const Raw *raw) {
    return wasmtime_component_func_type_clone(raw);
  }
};
} // namespace detail

namespace component {

/// \brief The parameters, with names, and the result of a function.
class FuncType : public detail::Shared<detail::ComponentFuncTypeHandle> {
public:
  using Shared::Shared;

  /// Whether the function is declared `async`.
  bool async() const { return wasmtime_component_func_type_async(capi()); }

  /// The number of parameters.
  size_t param_count() const {
    return wasmtime_component_func_type_param_count(capi());
  }
  /// The name of parameter number `nth`, which lives as long as this type, and
  /// its type; nothing past the last.
  std::optional<std::pair<std::string_view, ValType>>
  param_nth(size_t nth) const {
    wasmtime_component_valtype_t type;
    const char *name = nullptr;
    size_t size = 0;
    if (!wasmtime_component_func_type_param_nth(capi(), nth, &name, &size,
                                                &type)) {
      return std::nullopt;
    }
    return std::pair(std::string_view(name, size), ValType(std::move(type)));
  }

  /// The type of the result, if there is one.
  std::optional<ValType> result() const {
    wasmtime_component_valtype_t type;
    if (!wasmtime_component_func_type_result(capi(), &type)) {
      return std::nullopt;
    }
    return ValType(std::move(type));
  }
};

} // namespace component
} // namespace wasmtime

#endif // WASMTIME_FEATURE_COMPONENT_MODEL

#endif // WASMTIME_COMPONENT_TYPES_FUNC_HH
