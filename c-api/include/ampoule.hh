/**
 * \file ampoule.hh
 *
 * \brief What Ampoule offers beyond the interface it shares with Wasmtime, in
 * C++: `ampoule.h` over the classes of `wasmtime.hh`.
 *
 * A program that uses these needs Ampoule's library; `ampoule.h` tells how a
 * program asks at run time which library it has.
 */

#ifndef AMPOULE_HH
#define AMPOULE_HH

#include <ampoule.h>
#include <ampoule/budget.h>
#include <ampoule/cancel.h>
#include <ampoule/component.hh>
#include <ampoule/config.h>
#include <ampoule/error.h>
#include <ampoule/http.hh>
#include <ampoule/instance.h>
#include <ampoule/limits.h>
#include <ampoule/native.h>
#include <ampoule/snapshot.h>
#include <ampoule/wait.h>
#include <ampoule/wasi.hh>
#include <chrono>
#include <optional>
#include <string_view>
#include <type_traits>
#include <vector>
#include <wasmtime.hh>

namespace ampoule {

/// \brief Whether code that the engine compiles can be cancelled; off by
/// default.
inline void cancellation(wasmtime::Config &config, bool enable) {
  ampoule_config_cancellation_set(config.capi(), enable);
}

/// Whether stores count what `statistics` tells; see `ampoule/limits.h`.
inline void statistics(wasmtime::Config &config, bool enable) {
  ampoule_config_statistics_set(config.capi(), enable);
}

/// Whether modules may use exceptions in the encoding that came before the
/// standardized one, where they may use exceptions; off by default.
inline void legacy_exceptions(wasmtime::Config &config, bool enable) {
  ampoule_config_legacy_exceptions_set(config.capi(), enable);
}

/// After how many calls and turns of its loops a function that the baseline
/// compiler has made is optimized, and on how many threads at most; with none,
/// by the thread that runs it.
inline void tier_up(wasmtime::Config &config, uint32_t after, size_t threads) {
  ampoule_config_tier_up_set(config.capi(), after, threads);
}

/// How many bytes of machine code an engine's modules should have at most; see
/// `ampoule/config.h`.
inline void code_memory(wasmtime::Config &config, size_t bytes) {
  ampoule_config_code_memory_set(config.capi(), bytes);
}

/// For tests: whether every allocation of a collected object collects.
inline void gc_stress(wasmtime::Config &config, bool enable) {
  ampoule_config_gc_stress_set(config.capi(), enable);
}

namespace detail {
struct CancelTokenHandle {
  using Raw = ampoule_cancel_token_t;
  static void destroy(Raw *raw) { ampoule_cancel_token_delete(raw); }
  static Raw *copy(const Raw *raw) { return ampoule_cancel_token_clone(raw); }
};
} // namespace detail

/// \brief Cancels calls of one store, from any thread, also after the store is
/// gone. Copies are for the same store.
class CancelToken : public wasmtime::detail::Shared<detail::CancelTokenHandle> {
public:
  /// Takes over a C token.
  explicit CancelToken(ampoule_cancel_token_t *token) : Shared(token) {}

  /// A token for a store. An error where the engine's code cannot be cancelled,
  /// or where a call runs that has no generation.
  static wasmtime::Result<CancelToken> create(wasmtime::Store::Context cx) {
    ampoule_cancel_token_t *token = nullptr;
    auto *error = ampoule_cancel_token_new(cx.capi(), &token);
    if (error != nullptr) {
      return wasmtime::Error(error);
    }
    return CancelToken(token);
  }

  /// The generation of the call that runs or, where none does, of the next one;
  /// 0 once the store is deleted.
  uint64_t generation() const { return ampoule_cancel_token_generation(capi()); }
  /// Cancels the call of this generation; false where that is over, yet to
  /// come, or the store is deleted. Any thread, and signal handlers.
  bool cancel(uint64_t generation) const {
    return ampoule_cancel(capi(), generation);
  }
};

/// For host functions that take long: whether the call that runs was cancelled
/// or has passed its deadline.
inline bool cancelled(wasmtime::Store::Context cx) {
  return ampoule_cancelled(cx.capi());
}

/// Limits the time of each call that begins from now on; zero is no limit. An
/// error where the engine's code cannot be cancelled.
inline wasmtime::Result<std::monostate>
call_deadline(wasmtime::Store::Context cx, std::chrono::nanoseconds limit) {
  return wasmtime::detail::check(ampoule_context_set_call_deadline(
      cx.capi(), static_cast<uint64_t>(limit.count())));
}

/// \brief A descriptor that is readable when polling the store's call would
/// bring it forward; the store's own, to be waited for only. An error when the
/// process has none left.
inline wasmtime::Result<int> wait_descriptor(wasmtime::Store::Context cx) {
  int descriptor = -1;
  auto *error = ampoule_context_wait_descriptor(cx.capi(), &descriptor);
  if (error != nullptr) {
    return wasmtime::Error(error);
  }
  return descriptor;
}

namespace detail {
struct WakerHandle {
  using Raw = ampoule_waker_t;
  static void destroy(Raw *raw) { ampoule_waker_delete(raw); }
  static Raw *copy(const Raw *raw) { return ampoule_waker_clone(raw); }
};
} // namespace detail

/// \brief Says that a store's call can go on, from any thread, also after the
/// store is gone. Copies are for the same store.
class Waker : public wasmtime::detail::Shared<detail::WakerHandle> {
public:
  /// Takes over a C waker.
  explicit Waker(ampoule_waker_t *waker) : Shared(waker) {}

  /// A waker for a store. An error when the process has no descriptor left.
  static wasmtime::Result<Waker> create(wasmtime::Store::Context cx) {
    ampoule_waker_t *waker = nullptr;
    auto *error = ampoule_waker_new(cx.capi(), &waker);
    if (error != nullptr) {
      return wasmtime::Error(error);
    }
    return Waker(waker);
  }

  /// Makes the store's descriptor readable until its call is polled.
  void wake() const { ampoule_waker_wake(capi()); }
};

/// What is known about an error; texts in it live as long as the error.
inline ampoule_error_info_t info(const wasmtime::Error &error) {
  ampoule_error_info_t info = {};
  info.size = sizeof info;
  ampoule_error_info(error.capi(), &info);
  return info;
}

/// What is known about a trap; texts in it live as long as the trap.
inline ampoule_error_info_t info(const wasmtime::Trap &trap) {
  ampoule_error_info_t info = {};
  info.size = sizeof info;
  ampoule_trap_info(trap.capi(), &info);
  return info;
}

/// What is known about whichever of the two it is.
inline ampoule_error_info_t info(const wasmtime::TrapError &error) {
  return std::visit([](const auto &cause) { return info(cause); }, error.data);
}

/// The numbers of an engine's machine code.
inline ampoule_code_statistics_t code_statistics(const wasmtime::Engine &engine) {
  ampoule_code_statistics_t numbers = {};
  numbers.size = sizeof numbers;
  ampoule_engine_code_statistics(engine.capi(), &numbers);
  return numbers;
}

/// The numbers of a store.
inline ampoule_statistics_t statistics(wasmtime::Store::Context cx) {
  ampoule_statistics_t numbers = {};
  numbers.size = sizeof numbers;
  ampoule_context_statistics(cx.capi(), &numbers);
  return numbers;
}

namespace detail {
template <typename F>
wasmtime_error_t *allow(void *env, const ampoule_limit_request_t *request,
                        bool *allow) {
  return wasmtime::detail::shielded(
      [&]() -> wasmtime_error_t * {
        wasmtime::Result<bool> answer = (*static_cast<F *>(env))(*request);
        if (!answer) {
          return answer.err().capi_release();
        }
        *allow = answer.ok();
        return nullptr;
      },
      [](const char *message) { return wasmtime_error_new(message); });
}
} // namespace detail

/// \brief Asks `f(const ampoule_limit_request_t &)` before something of the
/// store is made or grows.
///
/// `f` returns whether that may be, or an `Error`, which ends the guest. An
/// error when the store refuses the limiter.
template <typename F>
wasmtime::Result<std::monostate> limiter(wasmtime::Store &store, F f) {
  return wasmtime::detail::check(ampoule_store_set_limiter(
      store.capi(), detail::allow<F>, nullptr, new F(std::move(f)),
      wasmtime::detail::finalize<F>));
}

namespace detail {
struct BudgetHandle {
  using Raw = ampoule_budget_t;
  static void destroy(Raw *raw) { ampoule_budget_delete(raw); }
  static Raw *copy(const Raw *raw) { return ampoule_budget_clone(raw); }
};

template <typename F>
wasmtime_error_t *at_soft_limit(void *env, ampoule_soft_limit_t *passed) {
  return wasmtime::detail::shielded(
      [&]() -> wasmtime_error_t * {
        wasmtime::Result<std::monostate> answer =
            (*static_cast<F *>(env))(*passed);
        return answer ? nullptr : answer.err().capi_release();
      },
      [](const char *message) { return wasmtime_error_new(message); });
}
} // namespace detail

/// \brief What one store's guests make the host hold, in bytes, and its limits;
/// for any thread, also after the store is gone. Copies are of the same budget.
class Budget : public wasmtime::detail::Shared<detail::BudgetHandle> {
public:
  /// Takes over a C handle.
  explicit Budget(ampoule_budget_t *budget) : Shared(budget) {}
  /// The budget of a store.
  explicit Budget(wasmtime::Store::Context cx)
      : Shared(ampoule_budget_new(cx.capi())) {}

  /// Bytes of one kind, one of `ampoule_budget_kind_enum`.
  uint64_t used(ampoule_budget_kind_t kind) const {
    return ampoule_budget_used(capi(), kind);
  }
  /// Bytes of all kinds.
  uint64_t total() const { return ampoule_budget_total(capi()); }
  /// The most that the total has been.
  uint64_t peak() const { return ampoule_budget_peak(capi()); }
  /// The soft limit; `UINT64_MAX` for none.
  uint64_t soft_limit() const { return ampoule_budget_soft_limit(capi()); }
  /// The hard limit; `UINT64_MAX` for none.
  uint64_t hard_limit() const { return ampoule_budget_hard_limit(capi()); }
  /// Sets both; `UINT64_MAX` is none.
  void set_limits(uint64_t soft, uint64_t hard) const {
    ampoule_budget_set_limits(capi(), soft, hard);
  }
};

/// \brief Calls `f(ampoule_soft_limit_t &)` when the store's total is about to
/// pass the soft limit of its budget.
///
/// `f` may change the limits there, and returns `std::monostate()`, or an
/// `Error`, which ends the guest. An error when the store refuses the callback.
template <typename F>
wasmtime::Result<std::monostate> at_soft_limit(wasmtime::Store &store, F f) {
  return wasmtime::detail::check(ampoule_store_set_soft_limit_callback(
      store.capi(), detail::at_soft_limit<F>, new F(std::move(f)),
      wasmtime::detail::finalize<F>));
}

/// \brief Deletes an instance, with what it has made, before its store goes.
///
/// Handles of it are refused from then on. An error that names what is in the
/// way, where something else in the store uses it.
inline wasmtime::Result<std::monostate>
delete_instance(wasmtime::Store::Context cx,
                const wasmtime::Instance &instance) {
  return wasmtime::detail::check(
      ampoule_instance_delete(cx.capi(), &instance.capi()));
}

/// \brief A guest function as a plain C function of the type `Signature`, such
/// as `int32_t(int32_t, double)`; good until the store is deleted.
///
/// The function returns zero when the guest fails; `take_failure` then tells
/// why. An error when the types do not match.
template <typename Signature>
wasmtime::Result<Signature *> native(wasmtime::Store::Context cx,
                                     const wasmtime::Func &func) {
  wasmtime::FuncType type =
      wasmtime::detail::HostFunc<Signature *>::type();
  ampoule_native_t entry = nullptr;
  auto *error =
      ampoule_func_native(cx.capi(), &func.capi(), type.capi(), &entry);
  if (error != nullptr) {
    return wasmtime::Error(error);
  }
  return reinterpret_cast<Signature *>(entry);
}

/// Takes the failure of a native call out of the store, if there is one.
inline std::optional<wasmtime::TrapError>
take_failure(wasmtime::Store::Context cx) {
  wasmtime_error_t *error = nullptr;
  wasm_trap_t *trap = nullptr;
  if (!ampoule_native_take_failure(cx.capi(), &error, &trap)) {
    return std::nullopt;
  }
  return wasmtime::detail::check(error, trap).err();
}

/// Gives a plain C function, which must not throw, a name in a linker. An error
/// when the name is taken.
template <typename R, typename... Args>
wasmtime::Result<std::monostate>
define_native(wasmtime::Linker &linker, std::string_view module,
              std::string_view name, R (*import)(Args...)) {
  wasmtime::FuncType type =
      wasmtime::detail::HostFunc<R (*)(Args...)>::type();
  return wasmtime::detail::check(ampoule_linker_define_native(
      linker.capi(), module.data(), module.size(), name.data(), name.size(),
      type.capi(), reinterpret_cast<ampoule_native_t>(import), 0, nullptr,
      nullptr));
}

namespace detail {
struct SnapshotHandle {
  using Raw = ampoule_snapshot_t;
  static void destroy(Raw *raw) { ampoule_snapshot_delete(raw); }
  static Raw *copy(const Raw *raw) { return ampoule_snapshot_clone(raw); }
};
} // namespace detail

/// \brief Instances as they were at one moment; see `ampoule/snapshot.h`.
///
/// `references` may be null where guests have no `externref`s of the host's.
/// Copies are the same snapshot.
class Snapshot : public wasmtime::detail::Shared<detail::SnapshotHandle> {
  static wasmtime::Result<Snapshot> result(wasmtime_error_t *error,
                                           ampoule_snapshot_t *raw) {
    if (error != nullptr) {
      return wasmtime::Error(error);
    }
    return Snapshot(raw);
  }

  static std::vector<wasmtime_instance_t>
  raw_instances(const std::vector<wasmtime::Instance> &instances) {
    std::vector<wasmtime_instance_t> raw;
    raw.reserve(instances.size());
    for (const wasmtime::Instance &instance : instances) {
      raw.push_back(instance.capi());
    }
    return raw;
  }

public:
  /// Takes over a C snapshot.
  explicit Snapshot(ampoule_snapshot_t *snapshot) : Shared(snapshot) {}

  /// A snapshot of these instances of a store, none of them twice.
  static wasmtime::Result<Snapshot>
  take(wasmtime::Store::Context cx,
       const std::vector<wasmtime::Instance> &instances,
       const ampoule_host_references_t *references = nullptr) {
    auto raw = raw_instances(instances);
    ampoule_snapshot_t *snapshot = nullptr;
    auto *error = ampoule_snapshot_take(cx.capi(), raw.data(), raw.size(),
                                        references, &snapshot);
    return result(error, snapshot);
  }

  /// A snapshot of all instances of a store, and of what the host made for them.
  static wasmtime::Result<Snapshot>
  take_all(wasmtime::Store::Context cx,
           const ampoule_host_references_t *references = nullptr) {
    ampoule_snapshot_t *snapshot = nullptr;
    auto *error = ampoule_snapshot_take_all(cx.capi(), references, &snapshot);
    return result(error, snapshot);
  }

#ifdef WASMTIME_FEATURE_COMPILER
  /// The snapshot as bytes, with its modules.
  wasmtime::Result<std::vector<uint8_t>> serialize() const {
    wasm_byte_vec_t bytes;
    auto *error = ampoule_snapshot_serialize(capi(), &bytes);
    if (error != nullptr) {
      return wasmtime::Error(error);
    }
    std::vector<uint8_t> copy(bytes.data, bytes.data + bytes.size);
    wasm_byte_vec_delete(&bytes);
    return copy;
  }
#endif // WASMTIME_FEATURE_COMPILER

  /// The snapshot that `serialize` wrote. The bytes are code.
  static wasmtime::Result<Snapshot>
  deserialize(wasmtime::Engine &engine, wasmtime::Span<const uint8_t> bytes) {
    ampoule_snapshot_t *snapshot = nullptr;
    auto *error = ampoule_snapshot_deserialize(engine.capi(), bytes.data(),
                                               bytes.size(), &snapshot);
    return result(error, snapshot);
  }

  /// The same from a file, which is mapped and must not change.
  static wasmtime::Result<Snapshot> deserialize_file(wasmtime::Engine &engine,
                                                     const char *path) {
    ampoule_snapshot_t *snapshot = nullptr;
    auto *error =
        ampoule_snapshot_deserialize_file(engine.capi(), path, &snapshot);
    return result(error, snapshot);
  }

  /// Has instances be as they were.
  wasmtime::Result<std::monostate>
  reset(wasmtime::Store::Context cx,
        const std::vector<wasmtime::Instance> &instances,
        const ampoule_host_references_t *references = nullptr) const {
    auto raw = raw_instances(instances);
    return wasmtime::detail::check(ampoule_snapshot_reset(
        capi(), cx.capi(), raw.data(), raw.size(), references));
  }

  /// Makes the instances in a store of the same engine, with imports from a
  /// linker.
  wasmtime::Result<std::vector<wasmtime::Instance>>
  instantiate(wasmtime::Store::Context cx, const wasmtime::Linker &linker,
              const ampoule_host_references_t *references = nullptr) const {
    std::vector<wasmtime_instance_t> raw(len());
    auto *error = ampoule_snapshot_instantiate(
        capi(), cx.capi(), linker.capi(), references, raw.data(), raw.size());
    if (error != nullptr) {
      return wasmtime::Error(error);
    }
    return std::vector<wasmtime::Instance>(raw.begin(), raw.end());
  }

  /// How many instances it has.
  size_t len() const { return ampoule_snapshot_len(capi()); }

  /// Adds bytes under a name; copies don't get them.
  wasmtime::Result<std::monostate>
  attach(std::string_view name, wasmtime::Span<const uint8_t> bytes) {
    return wasmtime::detail::check(ampoule_snapshot_attach(
        capi(), name.data(), name.size(), bytes.data(), bytes.size()));
  }

  /// The bytes that were added under a name; the snapshot's own.
  std::optional<wasmtime::Span<const uint8_t>>
  section(std::string_view name) const {
    const uint8_t *bytes = nullptr;
    size_t len = 0;
    if (!ampoule_snapshot_section(capi(), name.data(), name.size(), &bytes,
                                  &len)) {
      return std::nullopt;
    }
    return wasmtime::Span<const uint8_t>(bytes, len);
  }

#ifdef WASMTIME_FEATURE_WASI
  /// Adds what the guest of a store has of WASI; copies don't get it.
  wasmtime::Result<std::monostate> attach_wasi(wasmtime::Store::Context cx) {
    return wasmtime::detail::check(
        ampoule_snapshot_attach_wasi(capi(), cx.capi()));
  }

  /// As `Store::Context::set_wasi`, for a guest that goes on with what
  /// `attach_wasi` has added. Directories and streams are those of `config`.
  wasmtime::Result<std::monostate> set_wasi(wasmtime::Store::Context cx,
                                            wasmtime::WasiConfig config) const {
    return wasmtime::detail::check(ampoule_context_set_wasi_of_snapshot(
        cx.capi(), config.capi_release(), capi()));
  }
#endif // WASMTIME_FEATURE_WASI
};

#ifdef WASMTIME_FEATURE_COMPONENT_MODEL
namespace detail {
struct ComponentSnapshotHandle {
  using Raw = ampoule_component_snapshot_t;
  static void destroy(Raw *raw) { ampoule_component_snapshot_delete(raw); }
  static Raw *copy(const Raw *raw) {
    return ampoule_component_snapshot_clone(raw);
  }
};
} // namespace detail

/// \brief An instance of a component as it was at one moment; see
/// `ampoule/snapshot.h`.
///
/// What its guest has of WASI goes with `to_snapshot`. Copies are the same
/// snapshot.
class ComponentSnapshot
    : public wasmtime::detail::Shared<detail::ComponentSnapshotHandle> {
  static wasmtime::Result<ComponentSnapshot>
  result(wasmtime_error_t *error, ampoule_component_snapshot_t *raw) {
    if (error != nullptr) {
      return wasmtime::Error(error);
    }
    return ComponentSnapshot(raw);
  }

public:
  /// Takes over a C snapshot.
  explicit ComponentSnapshot(ampoule_component_snapshot_t *snapshot)
      : Shared(snapshot) {}

  /// A snapshot of an instance of this component.
  static wasmtime::Result<ComponentSnapshot>
  take(wasmtime::Store::Context cx,
       const wasmtime::component::Component &component,
       const wasmtime::component::Instance &instance) {
    ampoule_component_snapshot_t *snapshot = nullptr;
    auto *error = ampoule_component_snapshot_take(cx.capi(), component.capi(),
                                                  instance.capi(), &snapshot);
    return result(error, snapshot);
  }

  /// What `to_snapshot` gave, also after it was written and read. An error where
  /// it is of core instances.
  static wasmtime::Result<ComponentSnapshot>
  of_snapshot(const Snapshot &snapshot) {
    ampoule_component_snapshot_t *raw = nullptr;
    auto *error = ampoule_component_snapshot_of_snapshot(snapshot.capi(), &raw);
    return result(error, raw);
  }

  /// The snapshot with the component in it, to attach things and to write it as
  /// bytes.
  Snapshot to_snapshot() const {
    return Snapshot(ampoule_component_snapshot_to_snapshot(capi()));
  }

  /// The component.
  wasmtime::component::Component component() const {
    return wasmtime::component::Component(
        ampoule_component_snapshot_component(capi()));
  }

  /// Has an instance be as it was, also after a trap.
  wasmtime::Result<std::monostate>
  reset(wasmtime::Store::Context cx,
        const wasmtime::component::Instance &instance) const {
    return wasmtime::detail::check(ampoule_component_snapshot_reset(
        capi(), cx.capi(), instance.capi()));
  }

  /// Makes the instance in a store of the same engine, with imports from a
  /// linker. What the guest had of WASI is set before, by `Snapshot::set_wasi`.
  wasmtime::Result<wasmtime::component::Instance>
  instantiate(wasmtime::Store::Context cx,
              const wasmtime::component::Linker &linker) const {
    wasmtime_component_instance_t instance;
    auto *error = ampoule_component_snapshot_instantiate(
        capi(), cx.capi(), linker.capi(), &instance);
    if (error != nullptr) {
      return wasmtime::Error(error);
    }
    return wasmtime::component::Instance(instance);
  }
};
#endif // WASMTIME_FEATURE_COMPONENT_MODEL

} // namespace ampoule

#endif // AMPOULE_HH
