/**
 * \file wasmtime/instance.hh
 *
 * \brief Instances: modules brought to life in a store.
 */

#ifndef WASMTIME_INSTANCE_HH
#define WASMTIME_INSTANCE_HH

#include <optional>
#include <string_view>
#include <utility>
#include <vector>
#include <wasmtime/extern.hh>
#include <wasmtime/func.hh>
#include <wasmtime/instance.h>
#include <wasmtime/module.hh>
#include <wasmtime/store.hh>

namespace wasmtime {

/// \brief A handle to an instance of a store.
class Instance {
  wasmtime_instance_t instance;

public:
  /// Takes a C handle.
  Instance(wasmtime_instance_t instance_) : instance(instance_) {}

  /// \brief Instantiates `module` with these imports, one for each in order,
  /// and runs its start function.
  ///
  /// A `TrapError` holds the trap of the start function or of a segment that
  /// does not fit, or an error when an import does not match or a limit is
  /// exceeded.
  static TrapResult<Instance> create(Store::Context cx, const Module &module,
                                     const std::vector<Extern> &imports) {
    std::vector<wasmtime_extern_t> raw;
    raw.reserve(imports.size());
    for (const Extern &item : imports) {
      raw.push_back(detail::extern_to_c(item));
    }
    wasmtime_instance_t instance;
    wasm_trap_t *trap = nullptr;
    auto *error = wasmtime_instance_new(cx.capi(), module.capi(), raw.data(),
                                        raw.size(), &instance, &trap);
    if (error != nullptr || trap != nullptr) {
      return detail::check(error, trap).err();
    }
    return Instance(instance);
  }

  /// What the instance exports under this name.
  std::optional<Extern> get(Store::Context cx, std::string_view name) const {
    wasmtime_extern_t item;
    if (!wasmtime_instance_export_get(cx.capi(), &instance, name.data(),
                                      name.size(), &item)) {
      return std::nullopt;
    }
    return detail::extern_from_c(item);
  }

  /// Export number `index` with its name, which lives as long as the store;
  /// nothing past the last.
  std::optional<std::pair<std::string_view, Extern>> get(Store::Context cx,
                                                         size_t index) const {
    wasmtime_extern_t item;
    char *name = nullptr;
    size_t name_len = 0;
    if (!wasmtime_instance_export_nth(cx.capi(), &instance, index, &name,
                                      &name_len, &item)) {
      return std::nullopt;
    }
    return std::pair(std::string_view(name, name_len),
                     detail::extern_from_c(item));
  }

  /// The C handle.
  const wasmtime_instance_t &capi() const { return instance; }
};

namespace detail {
struct InstancePreHandle {
  using Raw = wasmtime_instance_pre_t;
  static void destroy(Raw *raw) { wasmtime_instance_pre_delete(raw); }
};
} // namespace detail

/// \brief A module with its imports looked up and checked, ready for any number
/// of instances. Made by `Linker::instantiate_pre`.
///
/// Several threads may use it at once, each with a store of its own, unless the
/// linker held items of one store.
class InstancePre : public detail::Owned<detail::InstancePreHandle> {
public:
  /// Takes over a C object.
  explicit InstancePre(wasmtime_instance_pre_t *pre) : Owned(pre) {}

  /// Instantiates; outcome as of `Instance::create`.
  TrapResult<Instance> instantiate(Store::Context cx) const {
    wasmtime_instance_t instance;
    wasm_trap_t *trap = nullptr;
    auto *error = wasmtime_instance_pre_instantiate(capi(), cx.capi(),
                                                    &instance, &trap);
    if (error != nullptr || trap != nullptr) {
      return detail::check(error, trap).err();
    }
    return Instance(instance);
  }

#ifdef WASMTIME_FEATURE_ASYNC
  /// Begins to instantiate. Defined in `wasmtime/async.hh`; this object must
  /// outlive the future.
  inline Future<Instance> instantiate_async(Store::Context cx) const;
#endif // WASMTIME_FEATURE_ASYNC

  /// The module.
  Module module() const {
    return Module(wasmtime_instance_pre_module(ptr.get()));
  }
};

} // namespace wasmtime

#endif // WASMTIME_INSTANCE_HH
