/**
 * \file wasmtime/trap.hh
 *
 * \brief Traps: how a guest ends before its time, and where it was.
 */

#ifndef WASMTIME_TRAP_HH
#define WASMTIME_TRAP_HH

#include <wasmtime/error.hh>
#include <wasmtime/trap.h>

namespace wasmtime {

/// \brief One function of a backtrace, which must not outlive its `Trace`.
class FrameRef {
  wasm_frame_t *frame;

  static std::optional<std::string_view> text(const wasm_name_t *name) {
    if (name == nullptr) {
      return std::nullopt;
    }
    return std::string_view(name->data, name->size);
  }

public:
  /// The function's index in its module.
  uint32_t func_index() const { return wasm_frame_func_index(frame); }
  /// How far into the function it was, in bytes of the module.
  size_t func_offset() const { return wasm_frame_func_offset(frame); }
  /// How far into the module it was, in bytes.
  size_t module_offset() const { return wasm_frame_module_offset(frame); }
  /// The function's name, when the module tells.
  std::optional<std::string_view> func_name() const {
    return text(wasmtime_frame_func_name(frame));
  }
  /// The module's name, when it tells.
  std::optional<std::string_view> module_name() const {
    return text(wasmtime_frame_module_name(frame));
  }
};

/// \brief A backtrace, innermost frame first. Neither copies nor moves, and
/// must not outlive what it was asked of.
class Trace {
  friend class Trap;
  friend class Error;

  wasm_frame_vec_t frames;

  explicit Trace(wasm_frame_vec_t frames_) : frames(frames_) {}

public:
  Trace(const Trace &) = delete;
  Trace(Trace &&) = delete;
  Trace &operator=(const Trace &) = delete;
  Trace &operator=(Trace &&) = delete;
  ~Trace() { wasm_frame_vec_delete(&frames); }

  /// Goes through the frames.
  typedef const FrameRef *iterator;

  /// The innermost frame.
  iterator begin() const {
    // A `FrameRef` is one pointer, so the vector is an array of them.
    static_assert(sizeof(FrameRef) == sizeof(wasm_frame_t *));
    return reinterpret_cast<iterator>(frames.data);
  }
  /// Past the outermost frame.
  iterator end() const { return begin() + frames.size; }
  /// The number of frames.
  size_t size() const { return frames.size; }
};

inline Trace Error::trace() const {
  wasm_frame_vec_t frames;
  wasmtime_error_wasm_trace(capi(), &frames);
  return Trace(frames);
}

namespace detail {
struct TrapHandle {
  using Raw = wasm_trap_t;
  static void destroy(Raw *raw) { wasm_trap_delete(raw); }
};
} // namespace detail

/// \brief What ends a guest: an instruction that cannot go on, or the host's
/// wish.
class Trap : public detail::Owned<detail::TrapHandle> {
public:
  /// Takes over a C trap, which must not be null.
  explicit Trap(wasm_trap_t *trap) : Owned(trap) {}
  /// A trap of the host's with this message, for a host function to return.
  explicit Trap(std::string_view message)
      : Owned(wasmtime_trap_new(message.data(), message.size())) {}
  /// A trap as an instruction would raise it.
  explicit Trap(wasmtime_trap_code_enum code)
      : Owned(
            wasmtime_trap_new_code(static_cast<wasmtime_trap_code_t>(code))) {}

  /// The message, with the backtrace.
  std::string message() const {
    wasm_byte_vec_t vec;
    wasm_trap_message(capi(), &vec);
    std::string text = detail::take_text(vec);
    if (!text.empty() && text.back() == '\0') {
      text.pop_back(); // C counts the NUL
    }
    return text;
  }

  /// The reason, unless it is a trap of the host's.
  std::optional<wasmtime_trap_code_enum> code() const {
    wasmtime_trap_code_t code = 0;
    if (wasmtime_trap_code(capi(), &code)) {
      return static_cast<wasmtime_trap_code_enum>(code);
    }
    return std::nullopt;
  }

  /// The frames of the guest, which must not outlive the trap.
  Trace trace() const {
    wasm_frame_vec_t frames;
    wasm_trap_trace(capi(), &frames);
    return Trace(frames);
  }
};

/// Prints the message.
inline std::ostream &operator<<(std::ostream &out, const Trap &trap) {
  return out << trap.message();
}

/// \brief What can come out of a call instead of results: the guest's trap, or
/// an error of the call.
struct TrapError {
  /// Which of the two it is.
  std::variant<Trap, Error> data;

  /// The guest has trapped.
  TrapError(Trap trap) : data(std::move(trap)) {}
  /// Something else went wrong.
  TrapError(Error error) : data(std::move(error)) {}

  /// The message of either.
  std::string message() const {
    return std::visit([](const auto &cause) { return cause.message(); }, data);
  }
};

/// Prints the message.
inline std::ostream &operator<<(std::ostream &out, const TrapError &error) {
  return out << error.message();
}

/// The outcome of what runs guest code.
template <typename T> using TrapResult = Result<T, TrapError>;

namespace detail {
/// Success when both are null; else takes over the one that is not.
inline TrapResult<std::monostate> check(wasmtime_error_t *error,
                                        wasm_trap_t *trap) {
  if (error != nullptr) {
    return TrapError(Error(error));
  }
  if (trap != nullptr) {
    return TrapError(Trap(trap));
  }
  return std::monostate();
}
} // namespace detail

} // namespace wasmtime

#endif // WASMTIME_TRAP_HH
