/**
 * \file wasmtime/func.hh
 *
 * \brief Functions: calling those of guests, and providing those of the host.
 */

#ifndef WASMTIME_FUNC_HH
#define WASMTIME_FUNC_HH

#include <array>
#include <initializer_list>
#include <iterator>
#include <optional>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <vector>
#include <wasmtime/error.hh>
#include <wasmtime/extern_declare.hh>
#include <wasmtime/func.h>
#include <wasmtime/span.hh>
#include <wasmtime/store.hh>
#include <wasmtime/trap.hh>
#include <wasmtime/types/func.hh>

namespace wasmtime {

class Val;
template <typename Params, typename Results> class TypedFunc;
template <typename T> class Future;

namespace detail {
template <typename T> struct WasmTypeList;
template <typename F, typename = void> struct HostFunc;
} // namespace detail

/// \brief The guest that calls a host function. Valid during that call only.
class Caller {
  wasmtime_caller_t *ptr;

public:
  /// Views a C caller.
  explicit Caller(wasmtime_caller_t *ptr_) : ptr(ptr_) {}

  /// What the calling instance exports under this name.
  inline std::optional<Extern> get_export(std::string_view name);
  /// The store of the guest.
  Store::Context context() { return this; }
  /// The C caller.
  wasmtime_caller_t *capi() { return ptr; }
};

inline detail::Context::Context(Caller &caller)
    : ptr(wasmtime_caller_context(caller.capi())) {}
inline detail::Context::Context(Caller *caller) : Context(*caller) {}

/// \brief A handle to a function in a store, of a guest or of the host.
class Func {
  wasmtime_func_t func;

public:
  /// Takes a C handle.
  Func(wasmtime_func_t func_) : func(func_) {}

  /// \brief A host function whose type is known at run time.
  ///
  /// `f(Caller, Span<const Val> params, Span<Val> results)` sets the results
  /// and returns `std::monostate()`, or returns a `Trap`, which ends the guest.
  /// Results of the wrong kind make the call fail. What `f` throws, if it is a
  /// `std::exception`, ends the guest with a trap of that message. `f` lives as
  /// long as the store.
  template <typename F,
            std::enable_if_t<
                std::is_invocable_r_v<Result<std::monostate, Trap>, F, Caller,
                                      Span<const Val>, Span<Val>>,
                bool> = true>
  Func(Store::Context cx, const FuncType &type, F f);

  /// \brief A host function whose type follows from that of `f`.
  ///
  /// Parameters may be `int32_t`, `uint32_t`, `int64_t`, `uint64_t`, `float`,
  /// `double`, `V128`, and `std::optional` of `Func`, `ExternRef` and `AnyRef`;
  /// before them may stand a `Caller`. The result is one of these, a
  /// `std::tuple` of them, `void` or `std::monostate`; or a `Result` of such
  /// with a `Trap`. Otherwise as above.
  template <typename F,
            std::enable_if_t<detail::HostFunc<F>::valid, bool> = true>
  static Func wrap(Store::Context cx, F f);

  /// \brief Calls the function with the values from `begin` to `end`, and
  /// returns its results.
  ///
  /// A `TrapError` holds a trap of the guest's, or an error when the values do
  /// not match the function's type or the guest was ended otherwise.
  template <typename I>
  TrapResult<std::vector<Val>> call(Store::Context cx, const I &begin,
                                    const I &end) const {
    return call(cx, std::vector<Val>(begin, end));
  }
  /// Calls the function with these values; as above.
  inline TrapResult<std::vector<Val>>
  call(Store::Context cx, const std::vector<Val> &params) const;
  /// Calls the function with these values; as above.
  inline TrapResult<std::vector<Val>>
  call(Store::Context cx, const std::initializer_list<Val> &params) const;

#ifdef WASMTIME_FEATURE_ASYNC
  /// Begins a call that can pause. Defined in `wasmtime/async.hh`.
  inline Future<std::vector<Val>> call_async(Store::Context cx,
                                             std::vector<Val> params) const;
#endif // WASMTIME_FEATURE_ASYNC

  /// The type of the function.
  FuncType type(Store::Context cx) const {
    return FuncType(wasmtime_func_type(cx.capi(), &func));
  }

  /// \brief Checks the type once, for faster calls with C++ values.
  ///
  /// `Params` and `Results` are each a `std::tuple` of the types that `wrap`
  /// lists, one of them, or `std::monostate` for none. A trap with the two
  /// types' difference when they do not match.
  template <
      typename Params, typename Results,
      std::enable_if_t<detail::WasmTypeList<Params>::valid, bool> = true,
      std::enable_if_t<detail::WasmTypeList<Results>::valid, bool> = true>
  Result<TypedFunc<Params, Results>, Trap> typed(Store::Context cx) const {
    FuncType type = this->type(cx);
    if (!detail::WasmTypeList<Params>::matches(type->params())) {
      return Trap("static type for this function does not match actual type: "
                  "the parameters differ");
    }
    if (!detail::WasmTypeList<Results>::matches(type->results())) {
      return Trap("static type for this function does not match actual type: "
                  "the results differ");
    }
    return TypedFunc<Params, Results>(*this);
  }

  /// The C handle.
  const wasmtime_func_t &capi() const { return func; }
  /// The C handle.
  const wasmtime_func_t &raw_func() const { return func; }

private:
  static std::vector<Val> results_for(Store::Context cx,
                                      const wasmtime_func_t *func);
  inline TrapResult<std::vector<Val>> call(Store::Context cx, const Val *params,
                                           size_t count) const;
};

/// \brief A function whose type has been checked by `Func::typed`.
template <typename Params, typename Results> class TypedFunc {
  friend class Func;

  using ParamTypes = detail::WasmTypeList<Params>;
  using ResultTypes = detail::WasmTypeList<Results>;

  Func f;

  explicit TypedFunc(Func f_) : f(f_) {}

public:
  /// Calls the function. A `TrapError` holds a trap of the guest's, or an error
  /// when the guest was ended otherwise.
  TrapResult<Results> call(Store::Context cx, const Params &params) const {
    constexpr size_t slots =
        ParamTypes::size > ResultTypes::size ? ParamTypes::size
                                             : ResultTypes::size;
    std::array<wasmtime_val_raw_t, slots == 0 ? 1 : slots> raw;
    ParamTypes::store(cx, raw.data(), params);
    wasm_trap_t *trap = nullptr;
    auto *error = wasmtime_func_call_unchecked(cx.capi(), &f.capi(), raw.data(),
                                               slots, &trap);
    if (error != nullptr || trap != nullptr) {
      return detail::check(error, trap).err();
    }
    return ResultTypes::load(cx, raw.data());
  }

#ifdef WASMTIME_FEATURE_ASYNC
  /// Begins a call that can pause. Defined in `wasmtime/async.hh`.
  inline Future<Results> call_async(Store::Context cx,
                                    const Params &params) const;
#endif // WASMTIME_FEATURE_ASYNC

  /// The function without its type.
  const Func &func() const { return f; }
};

} // namespace wasmtime

#include <wasmtime/val.hh>

#include <wasmtime/detail/host_func.hh>

namespace wasmtime {

template <typename F,
          std::enable_if_t<
              std::is_invocable_r_v<Result<std::monostate, Trap>, F, Caller,
                                    Span<const Val>, Span<Val>>,
              bool>>
Func::Func(Store::Context cx, const FuncType &type, F f) : func{} {
  wasmtime_func_new(cx.capi(), type.capi(), detail::call_checked<F>,
                    new F(std::move(f)), detail::finalize<F>, &func);
}

template <typename F, std::enable_if_t<detail::HostFunc<F>::valid, bool>>
Func Func::wrap(Store::Context cx, F f) {
  using Host = detail::HostFunc<F>;
  FuncType type = Host::type();
  wasmtime_func_t func;
  wasmtime_func_new_unchecked(cx.capi(), type.capi(), detail::call_unchecked<F>,
                              new F(std::move(f)), detail::finalize<F>, &func);
  return func;
}

inline std::vector<Val> Func::results_for(Store::Context cx,
                                          const wasmtime_func_t *func) {
  FuncType type(wasmtime_func_type(cx.capi(), func));
  return std::vector<Val>(type->results().size());
}

inline TrapResult<std::vector<Val>>
Func::call(Store::Context cx, const Val *params, size_t count) const {
  std::vector<Val> results = results_for(cx, &func);
  wasm_trap_t *trap = nullptr;
  // The library writes over numbers, which have no roots.
  auto *error = wasmtime_func_call(
      cx.capi(), &func, detail::vals_to_c(params), count,
      reinterpret_cast<wasmtime_val_t *>(results.data()), results.size(),
      &trap);
  if (error != nullptr || trap != nullptr) {
    return detail::check(error, trap).err();
  }
  return results;
}

inline TrapResult<std::vector<Val>>
Func::call(Store::Context cx, const std::vector<Val> &params) const {
  return call(cx, params.data(), params.size());
}

inline TrapResult<std::vector<Val>>
Func::call(Store::Context cx, const std::initializer_list<Val> &params) const {
  return call(cx, params.begin(), params.size());
}

} // namespace wasmtime

#include <wasmtime/extern.hh>

namespace wasmtime {

inline std::optional<Extern> Caller::get_export(std::string_view name) {
  wasmtime_extern_t item;
  if (!wasmtime_caller_export_get(ptr, name.data(), name.size(), &item)) {
    return std::nullopt;
  }
  return detail::extern_from_c(item);
}

} // namespace wasmtime

#endif // WASMTIME_FUNC_HH
