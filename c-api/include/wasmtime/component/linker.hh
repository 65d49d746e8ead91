/**
 * \file wasmtime/component/linker.hh
 *
 * \brief Linkers: finding what components import.
 */

#ifndef WASMTIME_COMPONENT_LINKER_HH
#define WASMTIME_COMPONENT_LINKER_HH

#include <wasmtime/conf.h>

#ifdef WASMTIME_FEATURE_COMPONENT_MODEL

#include <string_view>
#include <type_traits>
#include <variant>
#include <wasmtime/component/component.hh>
#include <wasmtime/component/instance.hh>
#include <wasmtime/component/linker.h>
#include <wasmtime/component/types/func.hh>
#include <wasmtime/component/val.hh>
#include <wasmtime/engine.hh>
#include <wasmtime/error.hh>
#include <wasmtime/helpers.hh>
#include <wasmtime/module.hh>
#include <wasmtime/span.hh>
#include <wasmtime/store.hh>

namespace wasmtime {

namespace detail {
struct ComponentLinkerHandle {
  using Raw = wasmtime_component_linker_t;
  static void destroy(Raw *raw) { wasmtime_component_linker_delete(raw); }
};

struct ComponentLinkerInstanceHandle {
  using Raw = wasmtime_component_linker_instance_t;
  static void destroy(Raw *raw) {
    wasmtime_component_linker_instance_delete(raw);
  }
};

/// Runs what a component calls; its failure, or what it throws, is the error
/// returned.
template <typename Body> wasmtime_error_t *component_calls(Body &&body) {
  return shielded(
      [&]() -> wasmtime_error_t * {
        Result<std::monostate> result = body();
        return result ? nullptr : result.err().capi_release();
      },
      [](const char *message) { return wasmtime_error_new(message); });
}
} // namespace detail

namespace component {

/// \brief An instance of a linker, to add items to: the root, or one with a
/// name. Must not outlive its linker.
class LinkerInstance
    : public detail::Owned<detail::ComponentLinkerInstanceHandle> {
  template <typename F>
  static wasmtime_error_t *
  call(void *data, wasmtime_context_t *context,
       const wasmtime_component_func_type_t *type,
       wasmtime_component_val_t *args, size_t nargs,
       wasmtime_component_val_t *results, size_t nresults) {
    return detail::component_calls([&]() -> Result<std::monostate> {
      auto *borrowed = const_cast<wasmtime_component_func_type_t *>(type);
      return (*static_cast<F *>(data))(
          Store::Context(context), detail::owner_of<FuncType>(borrowed),
          Span<Val>(Val::from_capi(args), nargs),
          Span<Val>(Val::from_capi(results), nresults));
    });
  }

  template <typename F>
  static wasmtime_error_t *destroy(void *data, wasmtime_context_t *context,
                                   uint32_t rep) {
    return detail::component_calls([&]() -> Result<std::monostate> {
      return (*static_cast<F *>(data))(Store::Context(context), rep);
    });
  }

public:
  using Owned::Owned;

  /// Adds an instance without items. An error when the name is taken.
  Result<LinkerInstance> add_instance(std::string_view name) {
    wasmtime_component_linker_instance_t *instance = nullptr;
    auto *error = wasmtime_component_linker_instance_add_instance(
        capi(), name.data(), name.size(), &instance);
    if (error != nullptr) {
      return Error(error);
    }
    return LinkerInstance(instance);
  }

  /// Adds a core module. An error when the name is taken.
  Result<std::monostate> add_module(std::string_view name,
                                    const Module &module) {
    return detail::check(wasmtime_component_linker_instance_add_module(
        capi(), name.data(), name.size(), module.capi()));
  }

  /// \brief Adds a host function, of whatever type the component imports it
  /// with.
  ///
  /// `f(Store::Context, const FuncType &, Span<Val> args, Span<Val> results)`
  /// sets the result, if there is one, and returns `std::monostate()`; or
  /// returns an `Error`, which ends the guest and comes out of its call. What
  /// it throws, if it is a `std::exception`, becomes an error of that message.
  /// `f` lives as long as the linker or a store uses it. An error when the name
  /// is taken.
  template <typename F,
            std::enable_if_t<
                std::is_invocable_r_v<Result<std::monostate>, F, Store::Context,
                                      const FuncType &, Span<Val>, Span<Val>>,
                bool> = true>
  Result<std::monostate> add_func(std::string_view name, F &&f) {
    using Host = std::decay_t<F>;
    return detail::check(wasmtime_component_linker_instance_add_func(
        capi(), name.data(), name.size(), call<Host>,
        new Host(std::forward<F>(f)), detail::finalize<Host>));
  }

  /// \brief Adds a resource type of the host's.
  ///
  /// `f(Store::Context, uint32_t rep)` destroys the resource that the host
  /// knows by this number, when nobody has it any more; it returns and lives as
  /// the function of `add_func`. An error when the name is taken, or the type
  /// is a guest's.
  template <typename F,
            std::enable_if_t<
                std::is_invocable_r_v<Result<std::monostate>, F, Store::Context,
                                      uint32_t>,
                bool> = true>
  Result<std::monostate> add_resource(std::string_view name,
                                      const ResourceType &ty, F &&f) {
    using Host = std::decay_t<F>;
    return detail::check(wasmtime_component_linker_instance_add_resource(
        capi(), name.data(), name.size(), ty.capi(), destroy<Host>,
        new Host(std::forward<F>(f)), detail::finalize<Host>));
  }
};

/// \brief What components import: functions, modules, resource types, and
/// instances of these, each under a name.
///
/// A name with a version also serves imports of compatible versions. One thread
/// at a time while it is changed.
class Linker : public detail::Owned<detail::ComponentLinkerHandle> {
public:
  using Owned::Owned;
  /// An empty linker.
  explicit Linker(Engine &engine)
      : Owned(wasmtime_component_linker_new(engine.capi())) {}

  /// Whether adding a name again replaces the item, from now on. By default
  /// that is an error.
  void allow_shadowing(bool allow) {
    wasmtime_component_linker_allow_shadowing(capi(), allow);
  }

  /// The items that components import by themselves, to add to.
  LinkerInstance root() {
    return LinkerInstance(wasmtime_component_linker_root(capi()));
  }

  /// Instantiates with items found by name. An error when one is missing or
  /// does not fit, a limit of the store refuses, or a start function traps.
  Result<Instance> instantiate(Store::Context cx,
                               const Component &component) const {
    wasmtime_component_instance_t instance;
    auto *error = wasmtime_component_linker_instantiate(
        capi(), cx.capi(), component.capi(), &instance);
    if (error != nullptr) {
      return Error(error);
    }
    return Instance(instance);
  }

  /// Defines the functions and resource types that `component` imports and this
  /// linker lacks; a call to such a function is an error that names it. An
  /// error when it lacks a module or a component.
  Result<std::monostate>
  define_unknown_imports_as_traps(const Component &component) {
    return detail::check(
        wasmtime_component_linker_define_unknown_imports_as_traps(
            capi(), component.capi()));
  }

#ifdef WASMTIME_FEATURE_WASI
  /// Adds the interfaces of WASI 0.2; a store then needs
  /// `Store::Context::set_wasi`. An error when a name is taken.
  Result<std::monostate> add_wasip2() {
    return detail::check(wasmtime_component_linker_add_wasip2(capi()));
  }

#ifdef WASMTIME_FEATURE_ASYNC
  /// The same.
  Result<std::monostate> add_wasip2_async() {
    return detail::check(wasmtime_component_linker_add_wasip2_async(capi()));
  }
#endif // WASMTIME_FEATURE_ASYNC
#endif // WASMTIME_FEATURE_WASI

#ifdef WASMTIME_FEATURE_WASI_HTTP
  /// Adds `wasi:http`; a store then needs `Store::Context::set_wasi_http`, too.
  /// An error when a name is taken.
  Result<std::monostate> add_wasi_http() {
    return detail::check(wasmtime_component_linker_add_wasi_http(capi()));
  }
#endif // WASMTIME_FEATURE_WASI_HTTP
};

} // namespace component
} // namespace wasmtime

#endif // WASMTIME_FEATURE_COMPONENT_MODEL

#endif // WASMTIME_COMPONENT_LINKER_HH
