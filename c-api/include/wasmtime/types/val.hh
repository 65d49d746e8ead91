/**
 * \file wasmtime/types/val.hh
 *
 * \brief The types of values.
 */

#ifndef WASMTIME_TYPES_VAL_HH
#define WASMTIME_TYPES_VAL_HH

#include <ostream>
#include <wasm.h>
#include <wasmtime/helpers.hh>
#include <wasmtime/val.h>

namespace wasmtime {

/// The kind of a value or of its type.
enum class ValKind {
  /// 32-bit integer.
  I32 = WASMTIME_I32,
  /// 64-bit integer.
  I64 = WASMTIME_I64,
  /// 32-bit float.
  F32 = WASMTIME_F32,
  /// 64-bit float.
  F64 = WASMTIME_F64,
  /// 128-bit vector.
  V128 = WASMTIME_V128,
  /// Nullable reference to a function.
  FuncRef = WASMTIME_FUNCREF,
  /// Nullable reference to something of the host's.
  ExternRef = WASMTIME_EXTERNREF,
  /// Nullable reference to a garbage-collected object.
  AnyRef = WASMTIME_ANYREF,
  /// Nullable reference to an exception.
  ExnRef = WASMTIME_EXNREF,
};

/// Prints the kind as the text format writes it.
inline std::ostream &operator<<(std::ostream &out, const ValKind &kind) {
  switch (kind) {
  case ValKind::I32: return out << "i32";
  case ValKind::I64: return out << "i64";
  case ValKind::F32: return out << "f32";
  case ValKind::F64: return out << "f64";
  case ValKind::V128: return out << "v128";
  case ValKind::FuncRef: return out << "funcref";
  case ValKind::ExternRef: return out << "externref";
  case ValKind::AnyRef: return out << "anyref";
  case ValKind::ExnRef: return out << "exnref";
  }
  return out << "?";
}

namespace detail {
struct ValTypeHandle {
  using Raw = wasm_valtype_t;
  static void destroy(Raw *raw) { wasm_valtype_delete(raw); }
  static Raw *copy(const Raw *raw) { return wasm_valtype_copy(raw); }
};

// A type numbers its two references as `wasm.h` does, and all else as a value.
inline wasm_valkind_t kind_to_c(ValKind kind) {
  switch (kind) {
  case ValKind::ExternRef: return WASM_EXTERNREF;
  case ValKind::FuncRef: return WASM_FUNCREF;
  default: return static_cast<wasm_valkind_t>(kind);
  }
}

inline ValKind kind_from_c(wasm_valkind_t kind) {
  switch (kind) {
  case WASM_EXTERNREF: return ValKind::ExternRef;
  case WASM_FUNCREF: return ValKind::FuncRef;
  default: return static_cast<ValKind>(kind);
  }
}

/// \brief Owns a type, and looks at it through a `Ref`.
template <typename Handle, typename View>
class OwnedType : public Shared<Handle> {
public:
  /// Takes over a C type.
  explicit OwnedType(typename Handle::Raw *raw) : Shared<Handle>(raw), ref(raw) {}
  /// A copy of the type that `other` looks at.
  OwnedType(View other) : OwnedType(Handle::copy(other.capi())) {}
  OwnedType(const OwnedType &other) : Shared<Handle>(other), ref(this->capi()) {}
  OwnedType &operator=(const OwnedType &other) {
    Shared<Handle>::operator=(other);
    ref = View(this->capi());
    return *this;
  }
  // The type stays where it is, and so the view stays true.
  OwnedType(OwnedType &&) = default;
  OwnedType &operator=(OwnedType &&) = default;
  ~OwnedType() = default;

  /// Looks at the type.
  View *operator->() { return &ref; }
  /// Looks at the type.
  const View *operator->() const { return &ref; }
  /// The same as `->`: `**type` is the view.
  View *operator*() { return &ref; }
  /// The same as `->`: `**type` is the view.
  const View *operator*() const { return &ref; }

private:
  View ref;
};

/// \brief What every `Ref` is: one pointer to a type that somebody else owns.
template <typename R> class TypeRef {
public:
  /// Looks at a C type, which must outlive this.
  TypeRef(const R *raw_) : raw(raw_) {}
  /// The C type.
  const R *capi() const { return raw; }

protected:
  const R *raw;
};
} // namespace detail

class ValType;

namespace detail {
/// The `Ref` of `ValType`.
class ValTypeRef : public TypeRef<wasm_valtype_t> {
public:
  using TypeRef::TypeRef;
  /// Looks at `type`, which must outlive this.
  inline ValTypeRef(const ValType &type);

  /// The kind of the type. Of a type that `wasm_valtype_kind` has no number for, no
  /// value of `ValKind`.
  ValKind kind() const { return kind_from_c(wasm_valtype_kind(raw)); }
};
} // namespace detail

/// \brief The type of a value.
class ValType
    : public detail::OwnedType<detail::ValTypeHandle, detail::ValTypeRef> {
public:
  /// \brief Looks at a value type that somebody else owns.
  using Ref = detail::ValTypeRef;

  /// \brief Looks at a list of value types that somebody else owns.
  class ListRef {
    const wasm_valtype_vec_t *list;

  public:
    /// Looks at a C list, which must outlive this.
    ListRef(const wasm_valtype_vec_t *list_) : list(list_) {}

    /// Goes through the types.
    typedef const Ref *iterator;

    /// The first type.
    iterator begin() const {
      // A `Ref` is one pointer, so the list is an array of them.
      static_assert(sizeof(Ref) == sizeof(wasm_valtype_t *));
      return reinterpret_cast<iterator>(list->data);
    }
    /// Past the last type.
    iterator end() const { return begin() + list->size; }
    /// The number of types.
    size_t size() const { return list->size; }
    /// Type number `index`, which must be below `size()`.
    const Ref &operator[](size_t index) const { return begin()[index]; }
  };

  using OwnedType::OwnedType;
  /// The type of this kind.
  ValType(ValKind kind) : OwnedType(wasm_valtype_new(detail::kind_to_c(kind))) {}
};

inline detail::ValTypeRef::ValTypeRef(const ValType &type)
    : TypeRef(type.capi()) {}

} // namespace wasmtime

#endif // WASMTIME_TYPES_VAL_HH
