/**
 * \file wasmtime/types/tag.hh
 *
 * \brief The types of exception tags.
 */

#ifndef WASMTIME_TYPES_TAG_HH
#define WASMTIME_TYPES_TAG_HH

#include <wasmtime/types/func.hh>

namespace wasmtime {

class TagType;

namespace detail {
struct TagTypeHandle {
  using Raw = wasm_tagtype_t;
  static void destroy(Raw *raw) { wasm_tagtype_delete(raw); }
  static Raw *copy(const Raw *raw) { return wasm_tagtype_copy(raw); }
};

/// The `Ref` of `TagType`.
class TagTypeRef : public TypeRef<wasm_tagtype_t> {
public:
  using TypeRef::TypeRef;
  /// Looks at `type`, which must outlive this.
  inline TagTypeRef(const TagType &type);

  /// The parameters are the fields of the tag's exceptions. A copy, which may
  /// outlive this.
  FuncType functype() const {
    return FuncType::Ref(wasm_tagtype_functype(raw));
  }
};
} // namespace detail

/// \brief The fields of the exceptions that have a tag.
class TagType
    : public detail::OwnedType<detail::TagTypeHandle, detail::TagTypeRef> {
public:
  /// \brief Looks at a tag type that somebody else owns.
  using Ref = detail::TagTypeRef;

  using OwnedType::OwnedType;
  /// Tags of exceptions whose fields are the parameters of `type`, which must
  /// have no results.
  explicit TagType(FuncType type)
      : OwnedType(wasm_tagtype_new(type.capi_release())) {}
};

inline detail::TagTypeRef::TagTypeRef(const TagType &type)
    : TypeRef(type.capi()) {}

} // namespace wasmtime

#endif // WASMTIME_TYPES_TAG_HH
