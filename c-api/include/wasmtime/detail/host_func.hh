/**
 * \file wasmtime/detail/host_func.hh
 *
 * \brief How C++ values stand for wasm values, and C++ callables for host
 * functions. Included by `wasmtime/func.hh`.
 */

#include <wasmtime/func.hh> // first: it includes this file where it belongs

#ifndef WASMTIME_DETAIL_HOST_FUNC_HH
#define WASMTIME_DETAIL_HOST_FUNC_HH

#include <cstring>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>
#include <wasmtime/val.hh>

namespace wasmtime {
namespace detail {

/// \brief A C++ type that stands for a wasm type: its `kind`, and how it is
/// put into a raw value and got out.
template <typename T> struct WasmType {
  static constexpr bool valid = false;
};

/// A number, kept in the member `MEMBER` of a raw value.
#define WASMTIME_NUMBER(TYPE, KIND, MEMBER)                                    \
  template <> struct WasmType<TYPE> {                                          \
    static constexpr bool valid = true;                                        \
    static constexpr ValKind kind = ValKind::KIND;                             \
    static void store(Store::Context, wasmtime_val_raw_t *raw, TYPE value) {   \
      raw->MEMBER = static_cast<decltype(raw->MEMBER)>(value);                 \
    }                                                                          \
    static TYPE load(Store::Context, const wasmtime_val_raw_t *raw) {          \
      return static_cast<TYPE>(raw->MEMBER);                                   \
    }                                                                          \
  };

WASMTIME_NUMBER(int32_t, I32, i32)
WASMTIME_NUMBER(uint32_t, I32, i32)
WASMTIME_NUMBER(int64_t, I64, i64)
WASMTIME_NUMBER(uint64_t, I64, i64)
WASMTIME_NUMBER(float, F32, f32)
WASMTIME_NUMBER(double, F64, f64)

#undef WASMTIME_NUMBER

template <> struct WasmType<V128> {
  static constexpr bool valid = true;
  static constexpr ValKind kind = ValKind::V128;
  static void store(Store::Context, wasmtime_val_raw_t *raw, const V128 &value) {
    std::memcpy(raw->v128, value.v128, sizeof value.v128);
  }
  static V128 load(Store::Context, const wasmtime_val_raw_t *raw) {
    return V128(raw->v128);
  }
};

template <> struct WasmType<std::optional<Func>> {
  static constexpr bool valid = true;
  static constexpr ValKind kind = ValKind::FuncRef;
  static void store(Store::Context cx, wasmtime_val_raw_t *raw,
                    const std::optional<Func> &func) {
    raw->funcref =
        func ? wasmtime_func_to_raw(cx.capi(), &func->capi()) : nullptr;
  }
  static std::optional<Func> load(Store::Context cx,
                                  const wasmtime_val_raw_t *raw) {
    if (raw->funcref == nullptr) {
      return std::nullopt;
    }
    wasmtime_func_t func;
    wasmtime_func_from_raw(cx.capi(), raw->funcref, &func);
    return Func(func);
  }
};

template <> struct WasmType<std::optional<ExternRef>> {
  static constexpr bool valid = true;
  static constexpr ValKind kind = ValKind::ExternRef;
  static void store(Store::Context cx, wasmtime_val_raw_t *raw,
                    const std::optional<ExternRef> &ref) {
    raw->externref = ref ? ref->borrow_raw(cx) : 0;
  }
  static std::optional<ExternRef> load(Store::Context cx,
                                       const wasmtime_val_raw_t *raw) {
    if (raw->externref == 0) {
      return std::nullopt;
    }
    wasmtime_externref_t ref;
    wasmtime_externref_from_raw(cx.capi(), raw->externref, &ref);
    return ExternRef(ref);
  }
};

template <> struct WasmType<std::optional<AnyRef>> {
  static constexpr bool valid = true;
  static constexpr ValKind kind = ValKind::AnyRef;
  static void store(Store::Context cx, wasmtime_val_raw_t *raw,
                    const std::optional<AnyRef> &ref) {
    raw->anyref = ref ? ref->borrow_raw(cx) : 0;
  }
  static std::optional<AnyRef> load(Store::Context cx,
                                    const wasmtime_val_raw_t *raw) {
    if (raw->anyref == 0) {
      return std::nullopt;
    }
    wasmtime_anyref_t ref;
    wasmtime_anyref_from_raw(cx.capi(), raw->anyref, &ref);
    return AnyRef(ref);
  }
};

/// \brief A list of types that stand for wasm types: a tuple of them, one, or
/// `std::monostate` for none. Values are in consecutive raw values.
template <typename T> struct WasmTypeList {
  static constexpr bool valid = WasmType<T>::valid;
  static constexpr size_t size = 1;
  static bool matches(ValType::ListRef types) {
    return types.size() == 1 && types[0].kind() == WasmType<T>::kind;
  }
  static void store(Store::Context cx, wasmtime_val_raw_t *raw,
                    const T &value) {
    WasmType<T>::store(cx, raw, value);
  }
  static T load(Store::Context cx, const wasmtime_val_raw_t *raw) {
    return WasmType<T>::load(cx, raw);
  }
  static std::vector<ValKind> kinds() { return {WasmType<T>::kind}; }
};

template <> struct WasmTypeList<std::monostate> {
  static constexpr bool valid = true;
  static constexpr size_t size = 0;
  static bool matches(ValType::ListRef types) { return types.size() == 0; }
  static void store(Store::Context, wasmtime_val_raw_t *,
                    const std::monostate &) {}
  static std::monostate load(Store::Context, const wasmtime_val_raw_t *) {
    return {};
  }
  static std::vector<ValKind> kinds() { return {}; }
};

template <typename... Ts> struct WasmTypeList<std::tuple<Ts...>> {
  static constexpr bool valid = (WasmType<Ts>::valid && ...);
  static constexpr size_t size = sizeof...(Ts);
  static bool matches([[maybe_unused]] ValType::ListRef types) {
    if (types.size() != size) {
      return false;
    }
    [[maybe_unused]] size_t index = 0;
    return ((types[index++].kind() == WasmType<Ts>::kind) && ...);
  }
  static void store([[maybe_unused]] Store::Context cx,
                    [[maybe_unused]] wasmtime_val_raw_t *raw,
                    const std::tuple<Ts...> &values) {
    std::apply(
        [&](const Ts &...each) { (WasmType<Ts>::store(cx, raw++, each), ...); },
        values);
  }
  static std::tuple<Ts...> load(Store::Context cx,
                                const wasmtime_val_raw_t *raw) {
    return load(cx, raw, std::index_sequence_for<Ts...>());
  }
  static std::vector<ValKind> kinds() { return {WasmType<Ts>::kind...}; }

private:
  template <size_t... I>
  static std::tuple<Ts...> load([[maybe_unused]] Store::Context cx,
                                [[maybe_unused]] const wasmtime_val_raw_t *raw,
                                std::index_sequence<I...>) {
    return std::tuple<Ts...>(WasmType<Ts>::load(cx, raw + I)...);
  }
};

/// \brief What a host function returns, as the wasm results and a way to give
/// them: `give(cx, raw, call)` runs `call` and returns a trap or null.
template <typename R> struct HostReturn {
  using Results = WasmTypeList<R>;
  template <typename Call>
  static wasm_trap_t *give(Store::Context cx, wasmtime_val_raw_t *raw,
                           Call &&call) {
    Results::store(cx, raw, call());
    return nullptr;
  }
};

template <> struct HostReturn<void> {
  using Results = WasmTypeList<std::monostate>;
  template <typename Call>
  static wasm_trap_t *give(Store::Context, wasmtime_val_raw_t *, Call &&call) {
    call();
    return nullptr;
  }
};

template <typename R> struct HostReturn<Result<R, Trap>> {
  using Results = WasmTypeList<R>;
  template <typename Call>
  static wasm_trap_t *give(Store::Context cx, wasmtime_val_raw_t *raw,
                           Call &&call) {
    Result<R, Trap> result = call();
    if (!result) {
      return result.err().capi_release();
    }
    Results::store(cx, raw, result.ok());
    return nullptr;
  }
};

/// A signature taken apart: what it returns, and its parameters without the
/// caller.
template <typename R, typename... Args> struct HostSignature {
  using Return = HostReturn<R>;
  using Params = WasmTypeList<std::tuple<std::decay_t<Args>...>>;
  static constexpr bool valid = Params::valid && Return::Results::valid;

  static FuncType type() {
    return FuncType::from_iters(Params::kinds(), Return::Results::kinds());
  }

  template <typename F>
  static wasm_trap_t *invoke(F &f, Caller caller, wasmtime_val_raw_t *raw) {
    Store::Context cx = caller.context();
    auto params = Params::load(cx, raw);
    return Return::give(cx, raw, [&]() -> R {
      return std::apply(
          [&](auto &...each) -> R { return f(std::move(each)...); }, params);
    });
  }
};

template <typename R, typename... Args>
struct HostSignature<R, Caller, Args...> : HostSignature<R, Args...> {
  using typename HostSignature<R, Args...>::Return;
  using typename HostSignature<R, Args...>::Params;

  template <typename F>
  static wasm_trap_t *invoke(F &f, Caller caller, wasmtime_val_raw_t *raw) {
    Store::Context cx = caller.context();
    auto params = Params::load(cx, raw);
    return Return::give(cx, raw, [&]() -> R {
      return std::apply(
          [&](auto &...each) -> R { return f(caller, std::move(each)...); },
          params);
    });
  }
};

/// The signature of a callable whose parameters are known.
template <typename F, typename> struct HostFunc {
  static constexpr bool valid = false;
};

template <typename R, typename... Args>
struct HostFunc<R (*)(Args...), void> : HostSignature<R, Args...> {};
template <typename R, typename... Args>
struct HostFunc<R (*)(Args...) noexcept, void> : HostSignature<R, Args...> {};

/// The signature of a member function.
template <typename M> struct MemberSignature;
template <typename C, typename R, typename... Args>
struct MemberSignature<R (C::*)(Args...)> : HostSignature<R, Args...> {};
template <typename C, typename R, typename... Args>
struct MemberSignature<R (C::*)(Args...) const> : HostSignature<R, Args...> {};
template <typename C, typename R, typename... Args>
struct MemberSignature<R (C::*)(Args...) noexcept>
    : HostSignature<R, Args...> {};
template <typename C, typename R, typename... Args>
struct MemberSignature<R (C::*)(Args...) const noexcept>
    : HostSignature<R, Args...> {};

/// A lambda, a `std::function`, or any class with one `operator()`.
template <typename F>
struct HostFunc<F, std::void_t<decltype(&F::operator())>>
    : MemberSignature<decltype(&F::operator())> {};

inline wasm_trap_t *trap_of(const char *message) {
  return Trap(message).capi_release();
}

/// A `Func::wrap` callable as C calls it.
template <typename F>
wasm_trap_t *call_unchecked(void *env, wasmtime_caller_t *caller,
                            wasmtime_val_raw_t *raw, size_t) {
  return shielded(
      [&] {
        return HostFunc<F>::invoke(*static_cast<F *>(env), Caller(caller), raw);
      },
      trap_of);
}

/// A callable over `Val`s as C calls it.
template <typename F>
wasm_trap_t *call_checked(void *env, wasmtime_caller_t *caller,
                          const wasmtime_val_t *params, size_t param_count,
                          wasmtime_val_t *results, size_t result_count) {
  Span<const Val> in(reinterpret_cast<const Val *>(params), param_count);
  Span<Val> out(reinterpret_cast<Val *>(results), result_count);
  wasm_trap_t *trap = shielded(
      [&]() -> wasm_trap_t * {
        Result<std::monostate, Trap> result =
            (*static_cast<F *>(env))(Caller(caller), in, out);
        return result ? nullptr : result.err().capi_release();
      },
      trap_of);
  if (trap != nullptr) {
    // Nobody looks at them any more, and so nobody frees their roots.
    for (Val &val : out) {
      val = Val();
    }
  }
  return trap;
}

} // namespace detail
} // namespace wasmtime

#endif // WASMTIME_DETAIL_HOST_FUNC_HH
