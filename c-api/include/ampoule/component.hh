/**
 * \file ampoule/component.hh
 *
 * \brief Components that are asynchronous, in C++: `ampoule/component.h` over
 * the classes of `wasmtime/component.hh`.
 */

#ifndef AMPOULE_COMPONENT_HH
#define AMPOULE_COMPONENT_HH

#include <ampoule/component.h>

#if defined(WASMTIME_FEATURE_COMPONENT_MODEL) && defined(WASMTIME_FEATURE_ASYNC)

#include <cstddef>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>
#include <wasmtime/component.hh>
#include <wasmtime/helpers.hh>
#include <wasmtime/span.hh>

namespace ampoule {

namespace detail {
struct ComponentCallHandle {
  using Raw = ampoule_component_call_t;
  static void destroy(Raw *raw) { ampoule_component_call_delete(raw); }
};
struct ComponentReaderHandle {
  using Raw = ampoule_component_reader_t;
  static void destroy(Raw *raw) { ampoule_component_reader_delete(raw); }
};
struct ComponentWriterHandle {
  using Raw = ampoule_component_writer_t;
  static void destroy(Raw *raw) { ampoule_component_writer_delete(raw); }
};
struct ComponentCompletionHandle {
  using Raw = ampoule_component_completion_t;
  static void destroy(Raw *raw) { ampoule_component_completion_delete(raw); }
};
} // namespace detail

/// \brief Components that are asynchronous; see `ampoule/component.h`.
namespace component {

/// Values, functions and types are the shared interface's.
using wasmtime::component::Val;

/// \brief A call that was started; destroying it lets the call go on without
/// anybody who wants the result.
class Call
    : public wasmtime::detail::Owned<ampoule::detail::ComponentCallHandle> {
public:
  using Owned::Owned;

  /// Starts a call, which begins with the next `run`. An error when the number
  /// of arguments is wrong, or no component of the store can be called.
  static wasmtime::Result<Call> start(wasmtime::Store::Context cx,
                                      const wasmtime::component::Func &func,
                                      std::vector<Val> args) {
    ampoule_component_call_t *call = nullptr;
    auto *error = ampoule_component_call_start(
        cx.capi(), func.capi(), Val::to_capi(args.data()), args.size(), &call);
    if (error != nullptr) {
      return wasmtime::Error(error);
    }
    return Call(call);
  }

  /// Whether there is an outcome to take.
  bool is_over(wasmtime::Store::Context cx) const {
    return ampoule_component_call_is_over(capi(), cx.capi());
  }
  /// Takes the result of a function that has one; an error is what the call
  /// came to, or that it isn't over.
  wasmtime::Result<Val> result(wasmtime::Store::Context cx) {
    wasmtime_component_val_t val;
    auto *error = ampoule_component_call_finish(capi(), cx.capi(), &val, 1);
    if (error != nullptr) {
      return wasmtime::Error(error);
    }
    return Val(std::move(val));
  }
  /// The same of a function that has none.
  wasmtime::Result<std::monostate> finish(wasmtime::Store::Context cx) {
    return wasmtime::detail::check(
        ampoule_component_call_finish(capi(), cx.capi(), nullptr, 0));
  }
  /// Asks the guest to end the call early. An error is a trap of the guest's.
  wasmtime::Result<std::monostate> cancel(wasmtime::Store::Context cx) {
    return wasmtime::detail::check(
        ampoule_component_call_cancel(capi(), cx.capi()));
  }
};

/// Lets all go on in a store's components that can, without waiting; whether
/// nothing is left. An error is what has stopped a guest.
inline wasmtime::Result<bool> run(wasmtime::Store::Context cx) {
  bool idle = false;
  auto *error = ampoule_component_run(cx.capi(), &idle);
  if (error != nullptr) {
    return wasmtime::Error(error);
  }
  return idle;
}

/// Sleeps until `run`, or an end of a stream or future, may bring something
/// forward. An error when nothing would ever come.
inline wasmtime::Result<std::monostate> wait(wasmtime::Store::Context cx) {
  return wasmtime::detail::check(ampoule_component_wait(cx.capi()));
}

/// \brief What came of reading or writing.
enum class Flow : ampoule_component_flow_t {
  /// Elements were read or written.
  Ready = AMPOULE_COMPONENT_READY,
  /// The other end isn't ready.
  Pending = AMPOULE_COMPONENT_PENDING,
  /// The other end was dropped, or the future's value was read or written.
  Closed = AMPOULE_COMPONENT_CLOSED,
};

/// \brief How many elements were read or written, and what came of it.
struct Copied {
  /// How many.
  size_t count;
  /// What came of it.
  Flow flow;
};

/// \brief The readable end of a stream or future; destroying it drops the end.
class Reader
    : public wasmtime::detail::Owned<ampoule::detail::ComponentReaderHandle> {
public:
  using Owned::Owned;

  /// Takes the end out of a value. An error when it has none.
  static wasmtime::Result<Reader> from_val(Val &val) {
    ampoule_component_reader_t *reader = nullptr;
    auto *error =
        ampoule_component_reader_from_val(Val::to_capi(&val), &reader);
    if (error != nullptr) {
      return wasmtime::Error(error);
    }
    return Reader(reader);
  }
  /// The value of the end, for a guest.
  Val into_val() && {
    wasmtime_component_val_t val;
    ampoule_component_reader_into_val(capi_release(), &val);
    return Val(std::move(val));
  }

  /// The type of the elements, where they have one.
  std::optional<wasmtime::component::ValType> type() const {
    wasmtime_component_valtype_t type;
    if (!ampoule_component_reader_type(capi(), &type)) {
      return std::nullopt;
    }
    return wasmtime::component::ValType(std::move(type));
  }

  /// Reads up to `most` elements, to the end of `vals`.
  wasmtime::Result<Copied> read(wasmtime::Store::Context cx,
                                std::vector<Val> &vals, size_t most) {
    std::vector<wasmtime_component_val_t> raw(most);
    size_t count = 0;
    ampoule_component_flow_t flow = AMPOULE_COMPONENT_PENDING;
    auto *error = ampoule_component_read(capi(), cx.capi(), raw.data(), most,
                                         &count, &flow);
    if (error != nullptr) {
      return wasmtime::Error(error);
    }
    for (size_t i = 0; i < count; i++) {
      vals.push_back(Val(std::move(raw[i])));
    }
    return Copied{count, Flow(flow)};
  }
  /// Reads elements that are scalars, of the type `T`, into an array.
  template <typename T>
  wasmtime::Result<Copied> read(wasmtime::Store::Context cx,
                                wasmtime::Span<T> block) {
    static_assert(std::is_arithmetic_v<T>);
    size_t count = 0;
    ampoule_component_flow_t flow = AMPOULE_COMPONENT_PENDING;
    auto *error = ampoule_component_read_block(
        capi(), cx.capi(), block.data(), block.size(), &count, &flow);
    if (error != nullptr) {
      return wasmtime::Error(error);
    }
    return Copied{count, Flow(flow)};
  }
};

/// \brief The writable end of a stream or future; destroying it drops the end.
class Writer
    : public wasmtime::detail::Owned<ampoule::detail::ComponentWriterHandle> {
public:
  using Owned::Owned;

  /// The type of the elements, where they have one.
  std::optional<wasmtime::component::ValType> type() const {
    wasmtime_component_valtype_t type;
    if (!ampoule_component_writer_type(capi(), &type)) {
      return std::nullopt;
    }
    return wasmtime::component::ValType(std::move(type));
  }

  /// Writes elements, as many as the other end wants: those are moved out of
  /// `vals`, from its beginning.
  wasmtime::Result<Copied> write(wasmtime::Store::Context cx,
                                 wasmtime::Span<Val> vals) {
    size_t count = 0;
    ampoule_component_flow_t flow = AMPOULE_COMPONENT_PENDING;
    auto *error =
        ampoule_component_write(capi(), cx.capi(), Val::to_capi(vals.data()),
                                vals.size(), &count, &flow);
    if (error != nullptr) {
      return wasmtime::Error(error);
    }
    return Copied{count, Flow(flow)};
  }
  /// Writes elements that are scalars, of the type `T`, from an array.
  template <typename T>
  wasmtime::Result<Copied> write(wasmtime::Store::Context cx,
                                 wasmtime::Span<const T> block) {
    static_assert(std::is_arithmetic_v<T>);
    size_t count = 0;
    ampoule_component_flow_t flow = AMPOULE_COMPONENT_PENDING;
    auto *error = ampoule_component_write_block(
        capi(), cx.capi(), block.data(), block.size(), &count, &flow);
    if (error != nullptr) {
      return wasmtime::Error(error);
    }
    return Copied{count, Flow(flow)};
  }
};

/// \brief Both ends of a stream or future.
struct Ends {
  /// The writable end.
  Writer writer;
  /// The readable end.
  Reader reader;
};

namespace detail {
using NewEnds = wasmtime_error_t *(wasmtime_context_t *,
                                   const wasmtime_component_valtype_t *,
                                   ampoule_component_writer_t **,
                                   ampoule_component_reader_t **);

inline wasmtime::Result<Ends>
new_ends(NewEnds *make, wasmtime::Store::Context cx,
         const std::optional<wasmtime::component::ValType> &type) {
  ampoule_component_writer_t *writer = nullptr;
  ampoule_component_reader_t *reader = nullptr;
  auto *error =
      make(cx.capi(), type ? type->capi() : nullptr, &writer, &reader);
  if (error != nullptr) {
    return wasmtime::Error(error);
  }
  return Ends{Writer(writer), Reader(reader)};
}
} // namespace detail

/// A stream of elements of this type; without one, they are nothing but their
/// number.
inline wasmtime::Result<Ends>
stream(wasmtime::Store::Context cx,
       const std::optional<wasmtime::component::ValType> &type) {
  return detail::new_ends(ampoule_component_stream_new, cx, type);
}

/// A future of a value of this type.
inline wasmtime::Result<Ends>
future(wasmtime::Store::Context cx,
       const std::optional<wasmtime::component::ValType> &type) {
  return detail::new_ends(ampoule_component_future_new, cx, type);
}

/// \brief The answer of one call of a host function, which is yet to come.
///
/// Any thread may give it. Destroying it without an answer stops the guest.
class Completion
    : public wasmtime::detail::Owned<
          ampoule::detail::ComponentCompletionHandle> {
public:
  using Owned::Owned;

  /// Gives the result. False where there was an answer, or nobody wants one.
  bool complete(Val result) const {
    return ampoule_component_complete(capi(), Val::to_capi(&result));
  }
  /// The same of a function without a result.
  bool complete() const { return ampoule_component_complete(capi(), nullptr); }
  /// Gives an error, which stops the guest; otherwise as `complete`.
  bool fail(wasmtime::Error error) const {
    return ampoule_component_fail(capi(), error.capi_release());
  }
  /// Whether the guest has gone without an answer.
  bool is_cancelled() const {
    return ampoule_component_completion_is_cancelled(capi());
  }
  /// Calls `f()` when that happens, on the thread that uses the store, which
  /// `f` must not use; at once, where it has. `f` must not throw.
  template <typename F> void on_cancel(F &&f) const {
    using Host = std::decay_t<F>;
    ampoule_component_completion_on_cancel(
        capi(), [](void *env) { (*static_cast<Host *>(env))(); },
        new Host(std::forward<F>(f)), wasmtime::detail::finalize<Host>);
  }
};

namespace detail {
template <typename F>
void begin(void *env, wasmtime_context_t *context,
           const wasmtime_component_func_type_t *type,
           wasmtime_component_val_t *args, size_t nargs,
           ampoule_component_completion_t *completion) {
  auto *borrowed = const_cast<wasmtime_component_func_type_t *>(type);
  (*static_cast<F *>(env))(
      wasmtime::Store::Context(context),
      wasmtime::detail::owner_of<wasmtime::component::FuncType>(borrowed),
      wasmtime::Span<Val>(Val::from_capi(args), nargs),
      Completion(completion));
}
} // namespace detail

/// \brief Adds a host function that answers later to a linker's instance.
///
/// `f(Store::Context, const FuncType &, Span<Val> args, Completion)` begins
/// what the guest asks for, and must not throw; whoever has the completion
/// answers. An error when the name is taken.
template <typename F,
          std::enable_if_t<
              std::is_invocable_v<F, wasmtime::Store::Context,
                                  const wasmtime::component::FuncType &,
                                  wasmtime::Span<Val>, Completion>,
              bool> = true>
wasmtime::Result<std::monostate>
add_func(wasmtime::component::LinkerInstance &instance, std::string_view name,
         F &&f) {
  using Host = std::decay_t<F>;
  return wasmtime::detail::check(ampoule_component_linker_instance_add_func(
      instance.capi(), name.data(), name.size(), detail::begin<Host>,
      new Host(std::forward<F>(f)), wasmtime::detail::finalize<Host>));
}

namespace detail {
struct ComponentPlanHandle {
  using Raw = ampoule_component_plan_t;
  static void destroy(Raw *raw) { ampoule_component_plan_delete(raw); }
};
} // namespace detail

/// \brief A string or list in C's memory: of an argument, or of a result, whose
/// plan has it until its next call.
template <typename T> struct Slice {
  /// Where it begins.
  const T *ptr;
  /// How many elements there are.
  size_t len;
};

template <typename Signature> class Plan;

/// \brief Calls of a function without values in between; see
/// `ampoule/component.h` for the C types of arguments and results.
template <typename R, typename... Args>
class Plan<R(Args...)>
    : public wasmtime::detail::Owned<detail::ComponentPlanHandle> {
  static_assert((std::is_trivially_copyable_v<Args> && ...) &&
                std::is_trivially_copyable_v<R>);

public:
  using Owned::Owned;

  /// A plan for a function. An error when the types have other sizes than the
  /// function's.
  static wasmtime::Result<Plan> create(wasmtime::Store::Context cx,
                                       const wasmtime::component::Func &func) {
    const size_t sizes[] = {sizeof(Args)..., 0};
    ampoule_component_plan_t *plan = nullptr;
    auto *error = ampoule_component_plan_new(
        cx.capi(), func.capi(), sizes, sizeof...(Args), sizeof(R), &plan);
    if (error != nullptr) {
      return wasmtime::Error(error);
    }
    return Plan(plan);
  }

  /// Calls the function. Strings and lists of the result stay until the next
  /// call.
  wasmtime::Result<R> call(wasmtime::Store::Context cx, const Args &...args) {
    const void *addresses[] = {&args..., nullptr};
    R result = {};
    auto *error =
        ampoule_component_plan_call(capi(), cx.capi(), addresses, &result);
    if (error != nullptr) {
      return wasmtime::Error(error);
    }
    return result;
  }
};

} // namespace component
} // namespace ampoule

#endif // WASMTIME_FEATURE_COMPONENT_MODEL && WASMTIME_FEATURE_ASYNC

#endif // AMPOULE_COMPONENT_HH
