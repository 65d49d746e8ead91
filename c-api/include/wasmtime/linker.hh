/**
 * \file wasmtime/linker.hh
 *
 * \brief Linkers: finding the imports of modules by name.
 */

#ifndef WASMTIME_LINKER_HH
#define WASMTIME_LINKER_HH

#include <optional>
#include <string_view>
#include <type_traits>
#include <wasmtime/engine.hh>
#include <wasmtime/error.hh>
#include <wasmtime/extern.hh>
#include <wasmtime/instance.hh>
#include <wasmtime/linker.h>
#include <wasmtime/store.hh>
#include <wasmtime/trap.hh>

namespace wasmtime {

namespace detail {
struct LinkerHandle {
  using Raw = wasmtime_linker_t;
  static void destroy(Raw *raw) { wasmtime_linker_delete(raw); }
  static Raw *copy(Raw *raw) { return wasmtime_linker_clone(raw); }
};
} // namespace detail

/// \brief A set of items, each under a module name and an item name.
///
/// Host functions defined by `func_new` and `func_wrap` fit every store of the
/// engine; the other items are those of one store. A copy is a linker of its
/// own with the same items. One thread at a time while it is changed.
class Linker : public detail::Shared<detail::LinkerHandle> {
public:
  /// Takes over a C linker.
  explicit Linker(wasmtime_linker_t *linker) : Shared(linker) {}
  /// An empty linker.
  explicit Linker(Engine &engine)
      : Shared(wasmtime_linker_new(engine.capi())) {}

  /// Whether defining a name again replaces the item, from now on. By default
  /// that is an error.
  void allow_shadowing(bool allow) {
    wasmtime_linker_allow_shadowing(ptr.get(), allow);
  }

  /// Defines an item of one store. An error when the name is taken.
  Result<std::monostate> define(Store::Context cx, std::string_view module,
                                std::string_view name, const Extern &item) {
    wasmtime_extern_t raw = detail::extern_to_c(item);
    return detail::check(
        wasmtime_linker_define(ptr.get(), cx.capi(), module.data(),
                               module.size(), name.data(), name.size(), &raw));
  }

  /// Defines a host function whose type is known at run time; `f` as for the
  /// constructor of `Func`. It lives as long as this linker or a store uses
  /// it. An error when the name is taken.
  template <typename F,
            std::enable_if_t<
                std::is_invocable_r_v<Result<std::monostate, Trap>, F, Caller,
                                      Span<const Val>, Span<Val>>,
                bool> = true>
  Result<std::monostate> func_new(std::string_view module,
                                  std::string_view name, const FuncType &type,
                                  F &&f) {
    using Host = std::decay_t<F>;
    return detail::check(wasmtime_linker_define_func(
        ptr.get(), module.data(), module.size(), name.data(), name.size(),
        type.capi(), detail::call_checked<Host>, new Host(std::forward<F>(f)),
        detail::finalize<Host>));
  }

  /// Defines a host function whose type follows from that of `f`; as for
  /// `Func::wrap` and `func_new`.
  template <typename F,
            std::enable_if_t<detail::HostFunc<std::decay_t<F>>::valid, bool> =
                true>
  Result<std::monostate> func_wrap(std::string_view module,
                                   std::string_view name, F &&f) {
    using Host = std::decay_t<F>;
    FuncType type = detail::HostFunc<Host>::type();
    return detail::check(wasmtime_linker_define_func_unchecked(
        ptr.get(), module.data(), module.size(), name.data(), name.size(),
        type.capi(), detail::call_unchecked<Host>, new Host(std::forward<F>(f)),
        detail::finalize<Host>));
  }

#ifdef WASMTIME_FEATURE_ASYNC
  /// Defines a host function that may finish later. Defined in
  /// `wasmtime/async.hh`, which tells about `f`.
  template <typename F>
  Result<std::monostate> func_new_async(std::string_view module,
                                        std::string_view name,
                                        const FuncType &type, F &&f);
#endif // WASMTIME_FEATURE_ASYNC

#ifdef WASMTIME_FEATURE_WASI
  /// Defines the functions of WASI preview 1; a store then needs
  /// `Store::Context::set_wasi`. An error when a name is taken.
  Result<std::monostate> define_wasi() {
    return detail::check(wasmtime_linker_define_wasi(ptr.get()));
  }
#endif // WASMTIME_FEATURE_WASI

  /// Defines all exports of `instance` under the module name `name`. An error
  /// when a name is taken.
  Result<std::monostate> define_instance(Store::Context cx,
                                         std::string_view name,
                                         Instance instance) {
    return detail::check(
        wasmtime_linker_define_instance(ptr.get(), cx.capi(), name.data(),
                                        name.size(), &instance.capi()));
  }

  /// Defines the functions that `module` imports and this linker lacks as ones
  /// that trap. An error when it lacks something else.
  Result<std::monostate> define_unknown_imports_as_traps(Module &module) {
    return detail::check(wasmtime_linker_define_unknown_imports_as_traps(
        ptr.get(), module.capi()));
  }

  /// Defines what `module` imports and this linker lacks with zeros and nulls.
  /// An error when a type has no such value.
  Result<std::monostate>
  define_unknown_imports_as_default_values(Store::Context cx, Module &module) {
    return detail::check(
        wasmtime_linker_define_unknown_imports_as_default_values(
            ptr.get(), cx.capi(), module.capi()));
  }

  /// Instantiates with items found by name; outcome as of `Instance::create`.
  TrapResult<Instance> instantiate(Store::Context cx,
                                   const Module &module) const {
    wasmtime_instance_t instance;
    wasm_trap_t *trap = nullptr;
    auto *error = wasmtime_linker_instantiate(capi(), cx.capi(), module.capi(),
                                              &instance, &trap);
    if (error != nullptr || trap != nullptr) {
      return detail::check(error, trap).err();
    }
    return Instance(instance);
  }

#ifdef WASMTIME_FEATURE_ASYNC
  /// Begins to instantiate. Defined in `wasmtime/async.hh`; linker and module
  /// must outlive the future.
  inline Future<Instance> instantiate_async(Store::Context cx,
                                            const Module &module) const;
#endif // WASMTIME_FEATURE_ASYNC

  /// Looks up and checks the imports of `module` once. An error when one is
  /// missing or does not match.
  Result<InstancePre> instantiate_pre(const Module &module) const {
    wasmtime_instance_pre_t *pre = nullptr;
    auto *error =
        wasmtime_linker_instantiate_pre(capi(), module.capi(), &pre);
    if (error != nullptr) {
      return Error(error);
    }
    return InstancePre(pre);
  }

  /// Defines the exports of `module` under the module name `name`: of a command
  /// each call makes a new instance, anything else is instantiated now.
  Result<std::monostate> module(Store::Context cx, std::string_view name,
                                const Module &module) {
    return detail::check(wasmtime_linker_module(
        ptr.get(), cx.capi(), name.data(), name.size(), module.capi()));
  }

  /// The item under these names, for this store.
  std::optional<Extern> get(Store::Context cx, std::string_view module,
                            std::string_view name) const {
    wasmtime_extern_t item;
    if (!wasmtime_linker_get(capi(), cx.capi(), module.data(), module.size(),
                             name.data(), name.size(), &item)) {
      return std::nullopt;
    }
    return detail::extern_from_c(item);
  }

  /// What running the module `name` means: its export with an empty name, else
  /// `_start`, else a function that does nothing.
  Result<Func> get_default(Store::Context cx, std::string_view name) const {
    wasmtime_func_t func;
    auto *error = wasmtime_linker_get_default(capi(), cx.capi(), name.data(),
                                              name.size(), &func);
    if (error != nullptr) {
      return Error(error);
    }
    return Func(func);
  }
};

} // namespace wasmtime

#endif // WASMTIME_LINKER_HH
