/**
 * \file wasmtime/types/global.hh
 *
 * \brief The types of globals.
 */

#ifndef WASMTIME_TYPES_GLOBAL_HH
#define WASMTIME_TYPES_GLOBAL_HH

#include <wasmtime/types/val.hh>

namespace wasmtime {

class GlobalType;

namespace detail {
struct GlobalTypeHandle {
  using Raw = wasm_globaltype_t;
  static void destroy(Raw *raw) { wasm_globaltype_delete(raw); }
  static Raw *copy(const Raw *raw) { return wasm_globaltype_copy(raw); }
};

/// The `Ref` of `GlobalType`.
class GlobalTypeRef : public TypeRef<wasm_globaltype_t> {
public:
  using TypeRef::TypeRef;
  /// Looks at `type`, which must outlive this.
  inline GlobalTypeRef(const GlobalType &type);

  /// Whether the global may change.
  bool is_mutable() const {
    return wasm_globaltype_mutability(raw) == WASM_VAR;
  }
  /// The type of the value inside.
  ValType::Ref content() const { return wasm_globaltype_content(raw); }
};
} // namespace detail

/// \brief The content type and mutability of a global.
class GlobalType : public detail::OwnedType<detail::GlobalTypeHandle,
                                            detail::GlobalTypeRef> {
public:
  /// \brief Looks at a global type that somebody else owns.
  using Ref = detail::GlobalTypeRef;

  using OwnedType::OwnedType;
  /// The type of a global that holds a `content` and may change if `mut`.
  GlobalType(ValType content, bool mut)
      : OwnedType(wasm_globaltype_new(content.capi_release(),
                                      mut ? WASM_VAR : WASM_CONST)) {}
};

inline detail::GlobalTypeRef::GlobalTypeRef(const GlobalType &type)
    : TypeRef(type.capi()) {}

} // namespace wasmtime

#endif // WASMTIME_TYPES_GLOBAL_HH
