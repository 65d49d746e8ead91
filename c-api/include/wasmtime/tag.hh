/**
 * \file wasmtime/tag.hh
 *
 * \brief Tags: what kind of exception it is.
 */

#ifndef WASMTIME_TAG_HH
#define WASMTIME_TAG_HH

#include <wasmtime/error.hh>
#include <wasmtime/store.hh>
#include <wasmtime/tag.h>
#include <wasmtime/types/tag.hh>

namespace wasmtime {

/// \brief A handle to a tag of a store.
class Tag {
  wasmtime_tag_t tag;

public:
  /// Takes a C handle.
  Tag(wasmtime_tag_t tag_) : tag(tag_) {}

  /// A new tag, different from all others.
  static Result<Tag> create(Store::Context cx, const TagType &type) {
    wasmtime_tag_t tag;
    auto *error = wasmtime_tag_new(cx.capi(), type.capi(), &tag);
    if (error != nullptr) {
      return Error(error);
    }
    return Tag(tag);
  }

  /// The type of the tag.
  TagType type(Store::Context cx) const {
    return TagType(wasmtime_tag_type(cx.capi(), &tag));
  }
  /// Whether both are handles to the same tag.
  bool eq(Store::Context cx, const Tag &other) const {
    return wasmtime_tag_eq(cx.capi(), &tag, &other.tag);
  }

  /// The C handle.
  const wasmtime_tag_t &capi() const { return tag; }
};

} // namespace wasmtime

#endif // WASMTIME_TAG_HH
