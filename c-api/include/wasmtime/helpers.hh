/**
 * \file wasmtime/helpers.hh
 *
 * \brief What the C++ classes are made of: owners of C objects, and the way out
 * of callbacks.
 *
 * Nothing here is for programs. Each class derives from one of the owners with
 * a *handle*, a struct that names the C type and the C functions that free and
 * copy it.
 */

#ifndef WASMTIME_HELPERS_HH
#define WASMTIME_HELPERS_HH

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <utility>

namespace wasmtime {
namespace detail {

/// \brief Owns one C object, freed by `Handle::destroy`. Moves, does not copy.
///
/// After a move nothing but assignment and destruction is allowed.
template <typename Handle> class Owned {
public:
  /// The C type.
  using Raw = typename Handle::Raw;

  /// Takes over `raw`.
  explicit Owned(Raw *raw) : ptr(raw) {}

  /// The C object, which stays this value's.
  const Raw *capi() const { return ptr.get(); }
  /// The C object, which stays this value's.
  Raw *capi() { return ptr.get(); }
  /// Gives up the C object to the caller; this value is as after a move.
  Raw *capi_release() { return ptr.release(); }

protected:
  struct Deleter {
    void operator()(Raw *raw) const { Handle::destroy(raw); }
  };
  std::unique_ptr<Raw, Deleter> ptr;
};

/// \brief An `Owned` that copies, by `Handle::copy`.
template <typename Handle> class Shared : public Owned<Handle> {
public:
  using Owned<Handle>::Owned;

  Shared(const Shared &other) : Owned<Handle>(copy(other)) {}
  Shared &operator=(const Shared &other) {
    if (this != &other) {
      this->ptr.reset(copy(other));
    }
    return *this;
  }
  Shared(Shared &&) = default;
  Shared &operator=(Shared &&) = default;
  ~Shared() = default;

private:
  static typename Handle::Raw *copy(const Shared &other) {
    return other.ptr ? Handle::copy(other.ptr.get()) : nullptr;
  }
};

/// \brief Owns one root of a store: a struct with a `store_id`, 0 for null.
///
/// A copy is a second root for the same object. The object lives as long as a
/// root or something in the store refers to it; roots may outlive the store.
template <typename Handle> class Root {
public:
  /// The C type.
  using Raw = typename Handle::Raw;

  /// Takes over the root `raw`.
  explicit Root(Raw raw_) : raw(raw_) {}
  Root(const Root &other) : raw(copy(other)) {}
  Root(Root &&other) noexcept : raw(other.capi_release()) {}
  Root &operator=(const Root &other) {
    if (this != &other) {
      Handle::unroot(&raw);
      raw = copy(other);
    }
    return *this;
  }
  Root &operator=(Root &&other) noexcept {
    if (this != &other) {
      Handle::unroot(&raw);
      raw = other.capi_release();
    }
    return *this;
  }
  ~Root() { Handle::unroot(&raw); }

  /// The root, which stays this value's.
  const Raw *capi() const { return &raw; }
  /// Gives up the root to the caller; this value is null afterwards.
  Raw capi_release() {
    Raw given = raw;
    raw.store_id = 0;
    return given;
  }

protected:
  Raw raw;

private:
  static Raw copy(const Root &other) {
    Raw second;
    Handle::clone(&other.raw, &second);
    return second;
  }
};

/// \brief Runs `body`, the part of a callback that is not ours; what it throws
/// becomes `failed(message)`.
///
/// An exception must not leave a callback: the frames below it are not C++.
template <typename Body, typename Failed>
auto shielded(Body &&body, Failed &&failed) -> decltype(body()) {
#ifdef __cpp_exceptions
  try {
    return body();
  } catch (const std::exception &exception) {
    return failed(exception.what());
  } catch (...) {
    return failed("a C++ exception that is no std::exception");
  }
#else
  (void)failed;
  return body();
#endif
}

/// Deletes the `T` at `data`: the finalizer of what was handed to C.
template <typename T> void finalize(void *data) {
  delete static_cast<T *>(data);
}

/// Ends the process with a message.
[[noreturn]] inline void fail(const char *message) {
  std::fprintf(stderr, "error: %s\n", message);
  std::abort();
}

} // namespace detail
} // namespace wasmtime

#endif // WASMTIME_HELPERS_HH
