/**
 * \file wasmtime/component/func.hh
 *
 * \brief Functions that component instances export.
 */

#ifndef WASMTIME_COMPONENT_FUNC_HH
#define WASMTIME_COMPONENT_FUNC_HH

#include <wasmtime/conf.h>

#ifdef WASMTIME_FEATURE_COMPONENT_MODEL

#include <variant>
#include <wasmtime/component/func.h>
#include <wasmtime/component/types/func.hh>
#include <wasmtime/component/val.hh>
#include <wasmtime/error.hh>
#include <wasmtime/span.hh>
#include <wasmtime/store.hh>

namespace wasmtime {
namespace component {

/// \brief A handle to a function that a component instance exports.
class Func {
  wasmtime_component_func_t func;

public:
  /// Takes a C handle.
  explicit Func(const wasmtime_component_func_t &func_) : func(func_) {}

  /// \brief Calls the function, and puts what it returns into `results`: one
  /// value, or none where the function has no result.
  ///
  /// What the results were before does not matter. An error when the values or
  /// their numbers do not match the function's type, and when the guest traps
  /// or a host function fails, after which no component of the store can be
  /// called.
  Result<std::monostate> call(Store::Context cx, Span<const Val> args,
                              Span<Val> results) const {
    return detail::check(wasmtime_component_func_call(
        &func, cx.capi(), Val::to_capi(args.data()), args.size(),
        Val::to_capi(results.data()), results.size()));
  }

  /// Does nothing: `call` has cleaned up.
  Result<std::monostate> post_return(Store::Context cx) const {
    return detail::check(wasmtime_component_func_post_return(&func, cx.capi()));
  }

  /// The type of the function.
  FuncType type(Store::Context cx) const {
    return FuncType(wasmtime_component_func_type(&func, cx.capi()));
  }

  /// The C handle.
  const wasmtime_component_func_t *capi() const { return &func; }
};

} // namespace component
} // namespace wasmtime

#endif // WASMTIME_FEATURE_COMPONENT_MODEL

#endif // WASMTIME_COMPONENT_FUNC_HH
