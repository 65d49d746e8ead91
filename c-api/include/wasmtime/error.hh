/**
 * \file wasmtime/error.hh
 *
 * \brief Failures: `Error`, and `Result`, which holds a value or says why not.
 */

#ifndef WASMTIME_ERROR_HH
#define WASMTIME_ERROR_HH

#include <cstdint>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>
#include <wasmtime/error.h>
#include <wasmtime/helpers.hh>

namespace wasmtime {

class Trace;

namespace detail {
struct ErrorHandle {
  using Raw = wasmtime_error_t;
  static void destroy(Raw *raw) { wasmtime_error_delete(raw); }
};

/// The text of a vector of bytes, which is freed.
inline std::string take_text(wasm_byte_vec_t vec) {
  std::string text(vec.data, vec.size);
  wasm_byte_vec_delete(&vec);
  return text;
}

/// The bytes of a vector, which is freed.
inline std::vector<uint8_t> take_bytes(wasm_byte_vec_t vec) {
  std::vector<uint8_t> bytes(vec.data, vec.data + vec.size);
  wasm_byte_vec_delete(&vec);
  return bytes;
}
} // namespace detail

/// \brief Why a function of this API failed. Not tied to a store.
class Error : public detail::Owned<detail::ErrorHandle> {
public:
  /// Takes over a C error, which must not be null.
  explicit Error(wasmtime_error_t *error) : Owned(error) {}
  /// An error of the host's with this message, up to its first NUL.
  explicit Error(std::string_view message)
      : Owned(wasmtime_error_new(std::string(message).c_str())) {}

  /// The message, with what caused the error.
  std::string message() const {
    wasm_byte_vec_t text;
    wasmtime_error_message(capi(), &text);
    return detail::take_text(text);
  }

  /// The status that a WASI program has exited with, when this is its exit.
  std::optional<int32_t> i32_exit() const {
    int status = 0;
    if (wasmtime_error_exit_status(capi(), &status)) {
      return status;
    }
    return std::nullopt;
  }

  /// The wasm frames at which the error arose, which must not outlive it; empty
  /// when no guest was running.
  Trace trace() const;
};

/// Prints the message.
inline std::ostream &operator<<(std::ostream &out, const Error &error) {
  return out << error.message();
}

/// \brief A `T`, or the `E` that says why there is none.
///
/// Converts to `true` when it holds a value. Look before using `ok` or `err`:
/// the wrong one throws `std::bad_variant_access`, or ends the process when
/// exceptions are off.
template <typename T, typename E = Error> class [[nodiscard]] Result {
public:
  /// Success.
  Result(T value) : data(std::in_place_index<0>, std::move(value)) {}
  /// Failure.
  Result(E error) : data(std::in_place_index<1>, std::move(error)) {}

  /// Whether this holds a value.
  explicit operator bool() const { return data.index() == 0; }

  /// The value, to be moved from.
  T &&ok() { return std::get<0>(std::move(data)); }
  /// The value, left in place.
  const T &ok_ref() const { return std::get<0>(data); }
  /// The failure, to be moved from.
  E &&err() { return std::get<1>(std::move(data)); }
  /// The failure, left in place.
  const E &err_ref() const { return std::get<1>(data); }

  /// The value. When there is none, prints the failure to the standard error
  /// and ends the process.
  T unwrap() {
    if (!*this) {
      detail::fail(err_ref().message().c_str());
    }
    return ok();
  }

private:
  std::variant<T, E> data;
};

namespace detail {
/// Success when `error` is null; else takes it over.
inline Result<std::monostate> check(wasmtime_error_t *error) {
  if (error != nullptr) {
    return Error(error);
  }
  return std::monostate();
}
} // namespace detail

} // namespace wasmtime

#include <wasmtime/trap.hh>

#endif // WASMTIME_ERROR_HH
