/**
 * \file wasmtime/async.hh
 *
 * \brief Guests that pause: calls as futures, and host functions that finish
 * later.
 */

#ifndef WASMTIME_ASYNC_HH
#define WASMTIME_ASYNC_HH

#include <wasmtime/async.h>

#ifdef WASMTIME_FEATURE_ASYNC

#include <functional>
#include <memory>
#include <tuple>
#include <type_traits>
#include <vector>
#include <wasmtime/func.hh>
#include <wasmtime/instance.hh>
#include <wasmtime/linker.hh>
#include <wasmtime/val.hh>

namespace wasmtime {

namespace detail {
/// \brief What C writes to during a call; stays where it is until the call is
/// over.
template <typename T> struct Pending {
  wasm_trap_t *trap = nullptr;
  wasmtime_error_t *error = nullptr;

  virtual ~Pending() {
    if (trap != nullptr) {
      wasm_trap_delete(trap);
    }
    if (error != nullptr) {
      wasmtime_error_delete(error);
    }
  }
  /// The outcome of a call that succeeded.
  virtual T take() = 0;

  /// The outcome.
  TrapResult<T> outcome() {
    if (error != nullptr || trap != nullptr) {
      return check(std::exchange(error, nullptr), std::exchange(trap, nullptr))
          .err();
    }
    return take();
  }
};
} // namespace detail

/// \brief A call, or an instantiation, in progress.
///
/// Nothing runs before the first `poll`. Between two polls nothing else may be
/// done with the store. A future that is destroyed before it is done gives its
/// call up; the store must then be destroyed without further use.
template <typename T> class Future {
  struct Delete {
    void operator()(wasmtime_call_future_t *future) const {
      wasmtime_call_future_delete(future);
    }
  };

  // In this order: what C writes to outlives the call.
  std::unique_ptr<detail::Pending<T>> pending;
  std::unique_ptr<wasmtime_call_future_t, Delete> future;

public:
  /// Takes over a call in progress; for the functions of this API.
  Future(std::unique_ptr<detail::Pending<T>> pending_,
         wasmtime_call_future_t *future_)
      : pending(std::move(pending_)), future(future_) {}
  Future(Future &&) = default;
  Future &operator=(Future &&other) noexcept {
    future = std::move(other.future);
    pending = std::move(other.pending);
    return *this;
  }

  /// Runs on until the call is done (returns true) or pauses (returns false:
  /// poll again). True at once when it was done before.
  bool poll() {
    if (future && wasmtime_call_future_poll(future.get())) {
      future.reset();
    }
    return !future;
  }

  /// Polls until the call is done, and returns its outcome. Only once.
  TrapResult<T> get() {
    while (!poll()) {
    }
    return pending->outcome();
  }
};

namespace detail {
struct PendingCall : Pending<std::vector<Val>> {
  std::vector<Val> params, results;

  std::vector<Val> take() override { return std::move(results); }
};

/// A value of a C++ type that stands for a wasm type, as a `Val` and back.
template <typename T> struct ValOf {
  static Val to(const T &value) { return Val(value); }
  static T from(const Val &val) {
    if constexpr (std::is_same_v<T, int32_t>) {
      return val.i32();
    } else if constexpr (std::is_same_v<T, int64_t>) {
      return val.i64();
    } else if constexpr (std::is_same_v<T, float>) {
      return val.f32();
    } else if constexpr (std::is_same_v<T, double>) {
      return val.f64();
    } else if constexpr (std::is_same_v<T, V128>) {
      return val.v128();
    } else if constexpr (std::is_same_v<T, std::optional<Func>>) {
      return val.funcref();
    } else if constexpr (std::is_same_v<T, std::optional<ExternRef>>) {
      return val.externref();
    } else {
      return val.anyref();
    }
  }
};
template <> struct ValOf<uint32_t> {
  static Val to(uint32_t value) { return Val(static_cast<int32_t>(value)); }
  static uint32_t from(const Val &val) {
    return static_cast<uint32_t>(val.i32());
  }
};
template <> struct ValOf<uint64_t> {
  static Val to(uint64_t value) { return Val(static_cast<int64_t>(value)); }
  static uint64_t from(const Val &val) {
    return static_cast<uint64_t>(val.i64());
  }
};

/// A `WasmTypeList` as `Val`s and back.
template <typename T> struct ValsOf {
  static std::vector<Val> to(const T &value) {
    return {ValOf<T>::to(value)};
  }
  static T from(const std::vector<Val> &vals) {
    return ValOf<T>::from(vals[0]);
  }
};
template <> struct ValsOf<std::monostate> {
  static std::vector<Val> to(const std::monostate &) { return {}; }
  static std::monostate from(const std::vector<Val> &) { return {}; }
};
template <typename... Ts> struct ValsOf<std::tuple<Ts...>> {
  static std::vector<Val> to(const std::tuple<Ts...> &values) {
    return std::apply(
        [](const Ts &...each) {
          return std::vector<Val>{ValOf<Ts>::to(each)...};
        },
        values);
  }
  static std::tuple<Ts...> from(const std::vector<Val> &vals) {
    return from(vals, std::index_sequence_for<Ts...>());
  }

private:
  template <size_t... I>
  static std::tuple<Ts...> from([[maybe_unused]] const std::vector<Val> &vals,
                                std::index_sequence<I...>) {
    return std::tuple<Ts...>(ValOf<Ts>::from(vals[I])...);
  }
};

template <typename Results> struct PendingTypedCall : Pending<Results> {
  std::vector<Val> params, results;

  Results take() override { return ValsOf<Results>::from(results); }
};

struct PendingInstance : Pending<Instance> {
  wasmtime_instance_t instance{};

  Instance take() override { return instance; }
};

/// Begins a call whose values are in `call`.
template <typename T, typename Call>
Future<T> begin_call(Store::Context cx, const Func &func,
                     std::unique_ptr<Call> call) {
  auto *future = wasmtime_func_call_async(
      cx.capi(), &func.capi(), vals_to_c(call->params.data()),
      call->params.size(),
      reinterpret_cast<wasmtime_val_t *>(call->results.data()),
      call->results.size(), &call->trap, &call->error);
  return Future<T>(std::move(call), future);
}
} // namespace detail

inline Future<std::vector<Val>> Func::call_async(Store::Context cx,
                                                 std::vector<Val> params) const {
  auto call = std::make_unique<detail::PendingCall>();
  call->params = std::move(params);
  call->results = results_for(cx, &func);
  return detail::begin_call<std::vector<Val>>(cx, *this, std::move(call));
}

template <typename Params, typename Results>
Future<Results>
TypedFunc<Params, Results>::call_async(Store::Context cx,
                                       const Params &params) const {
  auto call = std::make_unique<detail::PendingTypedCall<Results>>();
  call->params = detail::ValsOf<Params>::to(params);
  call->results.resize(ResultTypes::size);
  return detail::begin_call<Results>(cx, f, std::move(call));
}

inline Future<Instance>
Linker::instantiate_async(Store::Context cx, const Module &module) const {
  auto made = std::make_unique<detail::PendingInstance>();
  auto *future = wasmtime_linker_instantiate_async(
      capi(), cx.capi(), module.capi(), &made->instance, &made->trap,
      &made->error);
  return Future<Instance>(std::move(made), future);
}

inline Future<Instance>
InstancePre::instantiate_async(Store::Context cx) const {
  auto made = std::make_unique<detail::PendingInstance>();
  auto *future = wasmtime_instance_pre_instantiate_async(
      capi(), cx.capi(), &made->instance, &made->trap, &made->error);
  return Future<Instance>(std::move(made), future);
}

namespace detail {
/// A host function that is pending: `Go` is asked at each poll.
template <typename Go> struct Continuation {
  Go go;
  wasm_trap_t **trap;

  static bool poll(void *env) {
    auto *self = static_cast<Continuation *>(env);
    auto failed = [self](const char *message) {
      *self->trap = trap_of(message);
      return true;
    };
    return shielded(
        [self]() -> bool {
          if constexpr (std::is_same_v<std::invoke_result_t<Go &>, bool>) {
            return self->go();
          } else {
            Result<bool, Trap> done = self->go();
            if (!done) {
              *self->trap = done.err().capi_release();
              return true;
            }
            return done.ok();
          }
        },
        failed);
  }
};

/// A host function that may finish later, as C calls it.
template <typename F>
void call_async(void *env, wasmtime_caller_t *caller,
                const wasmtime_val_t *params, size_t param_count,
                wasmtime_val_t *results, size_t result_count,
                wasm_trap_t **trap, wasmtime_async_continuation_t *out) {
  using Go = std::decay_t<
      std::invoke_result_t<F &, Caller, Span<const Val>, Span<Val>>>;
  Span<const Val> in(reinterpret_cast<const Val *>(params), param_count);
  Span<Val> answers(reinterpret_cast<Val *>(results), result_count);
  *out = {[](void *) { return true; }, nullptr, nullptr};
  shielded(
      [&] {
        auto *next = new Continuation<Go>{
            (*static_cast<F *>(env))(Caller(caller), in, answers), trap};
        *out = {Continuation<Go>::poll, next, finalize<Continuation<Go>>};
      },
      [&](const char *message) { *trap = trap_of(message); });
}
} // namespace detail

/// \brief Defines a host function that may finish later, callable in async
/// calls only.
///
/// `f(Caller, Span<const Val> params, Span<Val> results)` returns a callable,
/// which is asked at each poll: it returns false to wait on, true once it has
/// set the results, or a `Trap` (as a `Result<bool, Trap>`), which ends the
/// guest. The two spans stay valid until then, the caller only while `f` runs.
/// `f` lives as long as this linker or a store uses it. An error when the name
/// is taken.
template <typename F>
Result<std::monostate>
Linker::func_new_async(std::string_view module, std::string_view name,
                       const FuncType &type, F &&f) {
  using Host = std::decay_t<F>;
  return detail::check(wasmtime_linker_define_async_func(
      ptr.get(), module.data(), module.size(), name.data(), name.size(),
      type.capi(), detail::call_async<Host>, new Host(std::forward<F>(f)),
      detail::finalize<Host>));
}

} // namespace wasmtime

#endif // WASMTIME_FEATURE_ASYNC

#endif // WASMTIME_ASYNC_HH
