/**
 * \file wasmtime/exn.hh
 *
 * \brief Exceptions: making, throwing and catching them in the host.
 */

#ifndef WASMTIME_EXN_HH
#define WASMTIME_EXN_HH

#include <wasmtime/conf.h>

#ifdef WASMTIME_FEATURE_GC

#include <optional>
#include <vector>
#include <wasmtime/error.hh>
#include <wasmtime/exn.h>
#include <wasmtime/store.hh>
#include <wasmtime/tag.hh>
#include <wasmtime/val.hh>

namespace wasmtime {

namespace detail {
struct ExnHandle {
  using Raw = wasmtime_exn_t;
  static void destroy(Raw *raw) { wasmtime_exn_delete(raw); }
};
} // namespace detail

/// \brief An exception of a store: a tag with its fields. To be destroyed
/// before the store.
class Exn : public detail::Owned<detail::ExnHandle> {
public:
  /// Takes over a C exception.
  explicit Exn(wasmtime_exn_t *exn) : Owned(exn) {}

  /// A new exception. An error when the fields do not match the tag's type.
  static Result<Exn> create(Store::Context cx, const Tag &tag,
                            const std::vector<Val> &fields) {
    wasmtime_exn_t *exn = nullptr;
    auto *error =
        wasmtime_exn_new(cx.capi(), &tag.capi(),
                         detail::vals_to_c(fields.data()), fields.size(), &exn);
    if (error != nullptr) {
      return Error(error);
    }
    return Exn(exn);
  }

  /// The tag.
  Result<Tag> tag(Store::Context cx) const {
    wasmtime_tag_t tag;
    auto *error = wasmtime_exn_tag(cx.capi(), capi(), &tag);
    if (error != nullptr) {
      return Error(error);
    }
    return Tag(tag);
  }
  /// The number of fields.
  size_t field_count(Store::Context cx) const {
    return wasmtime_exn_field_count(cx.capi(), capi());
  }
  /// Field number `index`; an error past the last.
  Result<Val> field(Store::Context cx, size_t index) const {
    wasmtime_val_t val;
    auto *error = wasmtime_exn_field(cx.capi(), capi(), index, &val);
    if (error != nullptr) {
      return Error(error);
    }
    return Val(val);
  }
};

inline Trap Store::Context::throw_exception(Exn exn) {
  return Trap(wasmtime_context_set_exception(ptr, exn.capi_release()));
}

inline std::optional<Exn> Store::Context::take_exception() {
  wasmtime_exn_t *exn = nullptr;
  if (!wasmtime_context_take_exception(ptr, &exn)) {
    return std::nullopt;
  }
  return Exn(exn);
}

inline bool Store::Context::has_exception() {
  return wasmtime_context_has_exception(ptr);
}

} // namespace wasmtime

#endif // WASMTIME_FEATURE_GC

#endif // WASMTIME_EXN_HH
