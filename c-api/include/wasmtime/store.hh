/**
 * \file wasmtime/store.hh
 *
 * \brief Stores: the world of one guest.
 */

#ifndef WASMTIME_STORE_HH
#define WASMTIME_STORE_HH

#include <any>
#include <optional>
#include <type_traits>
#include <wasmtime/async.h>
#include <wasmtime/conf.h>
#include <wasmtime/engine.hh>
#include <wasmtime/error.hh>
#include <wasmtime/helpers.hh>
#include <wasmtime/store.h>
#include <wasmtime/wasi.hh>

namespace wasmtime {

class Caller;
class Exn;
class Store;

/// What follows a deadline callback.
enum class DeadlineKind {
  /// The guest goes on with the new deadline.
  Continue = WASMTIME_UPDATE_DEADLINE_CONTINUE,
  /// The guest, which must run in an async call, first yields to its caller.
  Yield = WASMTIME_UPDATE_DEADLINE_YIELD,
};

namespace detail {
struct StoreHandle {
  using Raw = wasmtime_store_t;
  static void destroy(Raw *raw) { wasmtime_store_delete(raw); }
};

/// \brief A view of a store, made from the store or from a host function's
/// caller. Known as `Store::Context`.
///
/// Passed by value, and must not outlive what it was made from.
class Context {
  wasmtime_context_t *ptr;

public:
  /// Views a C context.
  explicit Context(wasmtime_context_t *ptr_) : ptr(ptr_) {}
  /// Views a store.
  inline Context(Store &store);
  /// Views a store.
  inline Context(Store *store);
  /// Views the store of the guest that calls a host function.
  inline Context(Caller &caller);
  /// Views the store of the guest that calls a host function.
  inline Context(Caller *caller);

  /// Collects what neither guest nor host can reach; finalizers run now.
  Result<std::monostate> gc() { return check(wasmtime_context_gc(ptr)); }

  /// Sets the remaining fuel. An error unless the engine counts fuel.
  Result<std::monostate> set_fuel(uint64_t fuel) {
    return check(wasmtime_context_set_fuel(ptr, fuel));
  }
  /// The remaining fuel. An error unless the engine counts fuel.
  Result<uint64_t> get_fuel() const {
    uint64_t fuel = 0;
    auto *error = wasmtime_context_get_fuel(ptr, &fuel);
    if (error != nullptr) {
      return Error(error);
    }
    return fuel;
  }

  /// Keeps a value of the host's with the store, in place of the one before.
  void set_data(std::any data) const { get_data() = std::move(data); }
  /// The host's value, empty at first. The reference holds as long as the
  /// store.
  std::any &get_data() const {
    auto *data = static_cast<std::any *>(wasmtime_context_get_data(ptr));
    if (data == nullptr) {
      // Made when first needed: most stores have none. `Store` frees it.
      data = new std::any();
      wasmtime_context_set_data(ptr, data);
    }
    return *data;
  }

#ifdef WASMTIME_FEATURE_WASI
  /// Gives the store what WASI functions called in it may see.
  Result<std::monostate> set_wasi(WasiConfig config) {
    return check(wasmtime_context_set_wasi(ptr, config.capi_release()));
  }
#endif // WASMTIME_FEATURE_WASI

#ifdef WASMTIME_FEATURE_WASI_HTTP
  /// Lets components in the store send HTTP requests; they need `set_wasi`, too.
  void set_wasi_http() { wasmtime_context_set_wasi_http(ptr); }
#endif // WASMTIME_FEATURE_WASI_HTTP

  /// Ends guests, or whatever `Store::epoch_deadline_callback` says, when the
  /// engine's epoch has grown by this many ticks.
  void set_epoch_deadline(uint64_t ticks_beyond_current) {
    wasmtime_context_set_epoch_deadline(ptr, ticks_beyond_current);
  }

#ifdef WASMTIME_FEATURE_ASYNC
  /// Makes guests in async calls yield each time they have used this much fuel;
  /// 0 turns that off. An error unless the engine counts fuel.
  Result<std::monostate> fuel_async_yield_interval(uint64_t interval) {
    return check(wasmtime_context_fuel_async_yield_interval(ptr, interval));
  }
  /// Makes guests in async calls yield at their deadline, which then moves to
  /// `delta` ticks after the current epoch.
  Result<std::monostate> epoch_deadline_async_yield_and_update(uint64_t delta) {
    return check(wasmtime_context_epoch_deadline_async_yield_and_update(
        ptr, delta));
  }
#endif // WASMTIME_FEATURE_ASYNC

#ifdef WASMTIME_FEATURE_GC
  /// Makes `exn` the pending exception. A host function that returns the trap
  /// throws it to the guest. Defined in `wasmtime/exn.hh`.
  inline Trap throw_exception(Exn exn);
  /// The exception that no guest caught and that ended the last call, if there
  /// is one; it is pending no more. Defined in `wasmtime/exn.hh`.
  inline std::optional<Exn> take_exception();
  /// Whether an exception is pending. Defined in `wasmtime/exn.hh`.
  inline bool has_exception();
#endif // WASMTIME_FEATURE_GC

  /// The C context.
  const wasmtime_context_t *capi() const { return ptr; }
  /// The C context.
  wasmtime_context_t *capi() { return ptr; }
  /// The C context.
  wasmtime_context_t *raw_context() { return ptr; }
};
} // namespace detail

/// \brief The world of one guest: instances, functions, memories and all else,
/// with limits, fuel, deadline and WASI state.
///
/// Handles (`Func`, `Memory`, `Instance`...) are copied freely and used with
/// their own store only; use with another one is detected. A store may move
/// between threads and is used by one at a time.
class Store : public detail::Owned<detail::StoreHandle> {
public:
  /// A view of a store.
  using Context = detail::Context;

  /// Takes over a C store, whose data must be null or a `std::any` made by
  /// `new` that its finalizer deletes.
  explicit Store(wasmtime_store_t *store) : Owned(store) {}
  /// An empty store.
  explicit Store(Engine &engine)
      : Owned(wasmtime_store_new(engine.capi(), nullptr,
                                 detail::finalize<std::any>)) {}

  /// \brief Limits what guests of this store may have; a negative number is the
  /// default.
  ///
  /// `memory_size` is in bytes for each memory, `table_elements` for each
  /// table; the others are how many there may be at all.
  void limiter(int64_t memory_size, int64_t table_elements, int64_t instances,
               int64_t tables, int64_t memories) {
    wasmtime_store_limiter(ptr.get(), memory_size, table_elements, instances,
                           tables, memories);
  }

  /// \brief Lets `f` decide what happens when a guest has passed its deadline.
  ///
  /// `f(context, delta)` sets `delta` to the ticks from the current epoch to
  /// the next deadline and returns a `DeadlineKind`, or returns an `Error`,
  /// which ends the guest and comes out of its call.
  template <
      typename F,
      std::enable_if_t<std::is_invocable_r_v<Result<DeadlineKind>, F, Context,
                                             uint64_t &>,
                       bool> = true>
  void epoch_deadline_callback(F &&f) {
    using Callback = std::decay_t<F>;
    wasmtime_store_epoch_deadline_callback(
        ptr.get(), at_deadline<Callback>, new Callback(std::forward<F>(f)),
        detail::finalize<Callback>);
  }

  /// A view of this store, which functions take.
  Context context() { return this; }

private:
  template <typename F>
  static wasmtime_error_t *
  at_deadline(wasmtime_context_t *context, void *data, uint64_t *delta,
              wasmtime_update_deadline_kind_t *kind) {
    return detail::shielded(
        [&]() -> wasmtime_error_t * {
          Result<DeadlineKind> answer =
              (*static_cast<F *>(data))(Context(context), *delta);
          if (!answer) {
            return answer.err().capi_release();
          }
          *kind = static_cast<wasmtime_update_deadline_kind_t>(answer.ok());
          return nullptr;
        },
        [](const char *message) { return wasmtime_error_new(message); });
  }
};

inline detail::Context::Context(Store &store)
    : ptr(wasmtime_store_context(store.capi())) {}
inline detail::Context::Context(Store *store) : Context(*store) {}

} // namespace wasmtime

#endif // WASMTIME_STORE_HH
