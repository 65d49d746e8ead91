/**
 * \file wasmtime/global.hh
 *
 * \brief Globals: single variables.
 */

#ifndef WASMTIME_GLOBAL_HH
#define WASMTIME_GLOBAL_HH

#include <wasmtime/error.hh>
#include <wasmtime/global.h>
#include <wasmtime/store.hh>
#include <wasmtime/types/global.hh>

namespace wasmtime {

class Val;

/// \brief A handle to a global of a store.
class Global {
  wasmtime_global_t global;

public:
  /// Takes a C handle.
  Global(wasmtime_global_t global_) : global(global_) {}

  /// A new global that holds `init`. An error when the value does not match the
  /// type or is of another store.
  static inline Result<Global> create(Store::Context cx, const GlobalType &type,
                                      const Val &init);

  /// The type of the global.
  GlobalType type(Store::Context cx) const {
    return GlobalType(wasmtime_global_type(cx.capi(), &global));
  }
  /// The current value.
  inline Val get(Store::Context cx) const;
  /// Stores a value. An error when the global is constant, or the value does
  /// not match its type or is of another store.
  inline Result<std::monostate> set(Store::Context cx, const Val &val) const;

  /// The C handle.
  const wasmtime_global_t &capi() const { return global; }
};

} // namespace wasmtime

#include <wasmtime/val.hh>

namespace wasmtime {

inline Result<Global> Global::create(Store::Context cx, const GlobalType &type,
                                     const Val &init) {
  wasmtime_global_t global;
  auto *error =
      wasmtime_global_new(cx.capi(), type.capi(), init.capi(), &global);
  if (error != nullptr) {
    return Error(error);
  }
  return Global(global);
}

inline Val Global::get(Store::Context cx) const {
  wasmtime_val_t val;
  wasmtime_global_get(cx.capi(), &global, &val);
  return val;
}

inline Result<std::monostate> Global::set(Store::Context cx,
                                          const Val &val) const {
  return detail::check(wasmtime_global_set(cx.capi(), &global, val.capi()));
}

} // namespace wasmtime

#endif // WASMTIME_GLOBAL_HH
