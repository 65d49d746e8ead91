/**
 * \file wasmtime/gc.hh
 *
 * \brief Garbage-collected structs and arrays, made and read by the host.
 */

#ifndef WASMTIME_GC_HH
#define WASMTIME_GC_HH

#include <wasmtime/conf.h>

#ifdef WASMTIME_FEATURE_GC

#include <optional>
#include <vector>
#include <wasmtime/engine.hh>
#include <wasmtime/error.hh>
#include <wasmtime/gc.h>
#include <wasmtime/store.hh>
#include <wasmtime/val.hh>

namespace wasmtime {

namespace detail {
struct EqRefHandle {
  using Raw = wasmtime_eqref_t;
  static void clone(const Raw *raw, Raw *out) { wasmtime_eqref_clone(raw, out); }
  static void unroot(Raw *raw) { wasmtime_eqref_unroot(raw); }
};

struct StructRefHandle {
  using Raw = wasmtime_structref_t;
  static void clone(const Raw *raw, Raw *out) {
    wasmtime_structref_clone(raw, out);
  }
  static void unroot(Raw *raw) { wasmtime_structref_unroot(raw); }
};

struct StructTypeHandle {
  using Raw = wasmtime_struct_type_t;
  static void destroy(Raw *raw) { wasmtime_struct_type_delete(raw); }
};

struct StructRefPreHandle {
  using Raw = wasmtime_struct_ref_pre_t;
  static void destroy(Raw *raw) { wasmtime_struct_ref_pre_delete(raw); }
};

struct ArrayRefHandle {
  using Raw = wasmtime_arrayref_t;
  static void clone(const Raw *raw, Raw *out) {
    wasmtime_arrayref_clone(raw, out);
  }
  static void unroot(Raw *raw) { wasmtime_arrayref_unroot(raw); }
};

struct ArrayTypeHandle {
  using Raw = wasmtime_array_type_t;
  static void destroy(Raw *raw) { wasmtime_array_type_delete(raw); }
};

struct ArrayRefPreHandle {
  using Raw = wasmtime_array_ref_pre_t;
  static void destroy(Raw *raw) { wasmtime_array_ref_pre_delete(raw); }
};

/// \brief A reference as another type: null when it is none of that type, and
/// to be asked for that as an optional is.
template <typename T> class Downcast : public T {
  bool found;

public:
  /// Takes over the root `raw`, which is null unless `found`.
  Downcast(bool found_, typename T::Raw raw_) : T(raw_), found(found_) {}

  /// Whether it is of that type.
  explicit operator bool() const { return found; }
  /// Whether it is of that type.
  bool has_value() const { return found; }
  /// The reference.
  const T &operator*() const { return *this; }
  /// The reference.
  const T *operator->() const { return this; }
};
} // namespace detail

/// \brief What a field holds: a value, or one of the two small integers that
/// only fields know.
class StorageType {
  wasmtime_storage_kind_t kind;

public:
  /// A value of this kind.
  StorageType(ValKind kind_)
      : kind(static_cast<wasmtime_storage_kind_t>(kind_)) {}
  /// One of the C constants, `WASMTIME_STORAGE_KIND_I8` and the like.
  StorageType(wasmtime_storage_kind_t kind_) : kind(kind_) {}
  /// An integer of 8 bits, an `i32` to the host.
  static StorageType i8() {
    return wasmtime_storage_kind_t(WASMTIME_STORAGE_KIND_I8);
  }
  /// An integer of 16 bits, an `i32` to the host.
  static StorageType i16() {
    return wasmtime_storage_kind_t(WASMTIME_STORAGE_KIND_I16);
  }

  /// The C constant.
  wasmtime_storage_kind_t capi() const { return kind; }
};

/// \brief The type and mutability of a struct's field or an array's elements.
class FieldType {
  wasmtime_field_type_t field;

public:
  /// Takes a C description.
  FieldType(wasmtime_field_type_t field_) : field(field_) {}
  /// A field of this type, which may change if `is_mutable`.
  FieldType(bool is_mutable, StorageType type)
      : field{type.capi(), is_mutable} {}
  /// A field that may change.
  static FieldType mut_(StorageType type) { return FieldType(true, type); }
  /// A field that keeps the value it was made with.
  static FieldType const_(StorageType type) { return FieldType(false, type); }

  /// Whether the field may change.
  bool is_mutable() const { return field.mutable_; }
  /// What the field holds.
  StorageType storage() const { return field.kind; }
  /// The C description.
  const wasmtime_field_type_t &capi() const { return field; }
};

/// \brief The fields of a kind of struct.
class StructType : public detail::Owned<detail::StructTypeHandle> {
  static wasmtime_struct_type_t *make(const Engine &engine,
                                      const std::vector<FieldType> &fields) {
    std::vector<wasmtime_field_type_t> raw;
    for (const FieldType &field : fields) {
      raw.push_back(field.capi());
    }
    return wasmtime_struct_type_new(engine.capi(), raw.data(), raw.size());
  }

public:
  /// Takes over a C type.
  explicit StructType(wasmtime_struct_type_t *type) : Owned(type) {}
  /// A struct type with these fields. Ends the process when the engine has no
  /// such type.
  StructType(const Engine &engine, const std::vector<FieldType> &fields)
      : StructType(make(engine, fields)) {
    if (!ptr) {
      detail::fail("the engine has no such struct type");
    }
  }
  /// As the constructor.
  static StructType create(const Engine &engine,
                           const std::vector<FieldType> &fields) {
    return StructType(engine, fields);
  }
};

/// \brief The elements of a kind of array.
class ArrayType : public detail::Owned<detail::ArrayTypeHandle> {
public:
  /// Takes over a C type.
  explicit ArrayType(wasmtime_array_type_t *type) : Owned(type) {}
  /// An array type with these elements. Ends the process when the engine has no
  /// such type.
  ArrayType(const Engine &engine, const FieldType &element)
      : ArrayType(wasmtime_array_type_new(engine.capi(), &element.capi())) {
    if (!ptr) {
      detail::fail("the engine has no such array type");
    }
  }
  /// As the constructor.
  static ArrayType create(const Engine &engine, const FieldType &element) {
    return ArrayType(engine, element);
  }
};

/// \brief A type made known to a store, so that its structs are quickly made. To
/// be destroyed before the store.
class StructRefPre : public detail::Owned<detail::StructRefPreHandle> {
public:
  /// Takes over a C object.
  explicit StructRefPre(wasmtime_struct_ref_pre_t *pre) : Owned(pre) {}
  /// Makes `type` known to the store. Ends the process when that is of another
  /// engine.
  static StructRefPre create(Store::Context cx, const StructType &type) {
    auto *pre = wasmtime_struct_ref_pre_new(cx.capi(), type.capi());
    if (pre == nullptr) {
      detail::fail("the store cannot take this struct type");
    }
    return StructRefPre(pre);
  }
};

/// \brief A type made known to a store, so that its arrays are quickly made. To
/// be destroyed before the store.
class ArrayRefPre : public detail::Owned<detail::ArrayRefPreHandle> {
public:
  /// Takes over a C object.
  explicit ArrayRefPre(wasmtime_array_ref_pre_t *pre) : Owned(pre) {}
  /// Makes `type` known to the store. Ends the process when that is of another
  /// engine.
  static ArrayRefPre create(Store::Context cx, const ArrayType &type) {
    auto *pre = wasmtime_array_ref_pre_new(cx.capi(), type.capi());
    if (pre == nullptr) {
      detail::fail("the store cannot take this array type");
    }
    return ArrayRefPre(pre);
  }
};

/// \brief A root of an `eqref`: a struct, an array or a 31-bit integer.
class EqRef : public detail::Root<detail::EqRefHandle> {
public:
  using Root::Root;

  /// The low 31 bits of `value` as a reference.
  static EqRef from_i31(Store::Context cx, uint32_t value) {
    wasmtime_eqref_t raw;
    wasmtime_eqref_from_i31(cx.capi(), value, &raw);
    return EqRef(raw);
  }
  /// Whether this is an integer.
  bool is_i31(Store::Context cx) const {
    return wasmtime_eqref_is_i31(cx.capi(), &raw);
  }
  /// The integer, zero-extended, when this is one.
  std::optional<uint32_t> i31_get_u(Store::Context cx) const {
    uint32_t value = 0;
    if (wasmtime_eqref_i31_get_u(cx.capi(), &raw, &value)) {
      return value;
    }
    return std::nullopt;
  }
  /// The integer, sign-extended, when this is one.
  std::optional<int32_t> i31_get_s(Store::Context cx) const {
    int32_t value = 0;
    if (wasmtime_eqref_i31_get_s(cx.capi(), &raw, &value)) {
      return value;
    }
    return std::nullopt;
  }
  /// Whether this is a struct.
  bool is_struct(Store::Context cx) const {
    return wasmtime_eqref_is_struct(cx.capi(), &raw);
  }
  /// Whether this is an array.
  bool is_array(Store::Context cx) const {
    return wasmtime_eqref_is_array(cx.capi(), &raw);
  }
  /// This as a struct, when it is one.
  inline detail::Downcast<StructRef> as_struct(Store::Context cx) const;
  /// This as an array, when it is one.
  inline detail::Downcast<ArrayRef> as_array(Store::Context cx) const;
  /// This as an `anyref`.
  AnyRef to_anyref() const {
    wasmtime_anyref_t any;
    wasmtime_eqref_to_anyref(&raw, &any);
    return AnyRef(any);
  }
};

/// \brief A root of a struct.
class StructRef : public detail::Root<detail::StructRefHandle> {
public:
  using Root::Root;

  /// A new struct. An error when the fields do not match the type.
  static Result<StructRef> create(Store::Context cx, const StructRefPre &pre,
                                  const std::vector<Val> &fields) {
    wasmtime_structref_t raw;
    auto *error = wasmtime_structref_new(cx.capi(), pre.capi(),
                                         detail::vals_to_c(fields.data()),
                                         fields.size(), &raw);
    if (error != nullptr) {
      return Error(error);
    }
    return StructRef(raw);
  }

  /// Field number `index`; an error past the last.
  Result<Val> field(Store::Context cx, size_t index) const {
    wasmtime_val_t val;
    auto *error = wasmtime_structref_field(cx.capi(), &raw, index, &val);
    if (error != nullptr) {
      return Error(error);
    }
    return Val(val);
  }
  /// Sets field number `index`. An error past the last, or when the field is
  /// constant or the value does not match.
  Result<std::monostate> set_field(Store::Context cx, size_t index,
                                   const Val &value) const {
    return detail::check(
        wasmtime_structref_set_field(cx.capi(), &raw, index, value.capi()));
  }
  /// This as an `anyref`.
  AnyRef to_anyref() const {
    wasmtime_anyref_t any;
    wasmtime_structref_to_anyref(&raw, &any);
    return AnyRef(any);
  }
  /// This as an `eqref`.
  EqRef to_eqref() const {
    wasmtime_eqref_t eq;
    wasmtime_structref_to_eqref(&raw, &eq);
    return EqRef(eq);
  }
};

/// \brief A root of an array.
class ArrayRef : public detail::Root<detail::ArrayRefHandle> {
public:
  using Root::Root;

  /// A new array of `len` elements, each being `element`. An error when that
  /// does not match the type.
  static Result<ArrayRef> create(Store::Context cx, const ArrayRefPre &pre,
                                 const Val &element, uint32_t len) {
    wasmtime_arrayref_t raw;
    auto *error = wasmtime_arrayref_new(cx.capi(), pre.capi(), element.capi(),
                                        len, &raw);
    if (error != nullptr) {
      return Error(error);
    }
    return ArrayRef(raw);
  }

  /// The number of elements.
  Result<uint32_t> len(Store::Context cx) const {
    uint32_t len = 0;
    auto *error = wasmtime_arrayref_len(cx.capi(), &raw, &len);
    if (error != nullptr) {
      return Error(error);
    }
    return len;
  }
  /// Element number `index`; an error past the last.
  Result<Val> get(Store::Context cx, uint32_t index) const {
    wasmtime_val_t val;
    auto *error = wasmtime_arrayref_get(cx.capi(), &raw, index, &val);
    if (error != nullptr) {
      return Error(error);
    }
    return Val(val);
  }
  /// Sets element number `index`. An error past the last, or when the elements
  /// are constant or the value does not match.
  Result<std::monostate> set(Store::Context cx, uint32_t index,
                             const Val &value) const {
    return detail::check(
        wasmtime_arrayref_set(cx.capi(), &raw, index, value.capi()));
  }
  /// This as an `anyref`.
  AnyRef to_anyref() const {
    wasmtime_anyref_t any;
    wasmtime_arrayref_to_anyref(&raw, &any);
    return AnyRef(any);
  }
  /// This as an `eqref`.
  EqRef to_eqref() const {
    wasmtime_eqref_t eq;
    wasmtime_arrayref_to_eqref(&raw, &eq);
    return EqRef(eq);
  }
};

inline detail::Downcast<StructRef> EqRef::as_struct(Store::Context cx) const {
  wasmtime_structref_t out;
  bool found = wasmtime_eqref_as_struct(cx.capi(), &raw, &out);
  return {found, out};
}

inline detail::Downcast<ArrayRef> EqRef::as_array(Store::Context cx) const {
  wasmtime_arrayref_t out;
  bool found = wasmtime_eqref_as_array(cx.capi(), &raw, &out);
  return {found, out};
}

inline bool AnyRef::is_eqref(Store::Context cx) const {
  return wasmtime_anyref_is_eqref(cx.capi(), &raw);
}

inline std::optional<EqRef> AnyRef::as_eqref(Store::Context cx) const {
  wasmtime_eqref_t out;
  if (!wasmtime_anyref_as_eqref(cx.capi(), &raw, &out)) {
    return std::nullopt;
  }
  return EqRef(out);
}

inline bool AnyRef::is_struct(Store::Context cx) const {
  return wasmtime_anyref_is_struct(cx.capi(), &raw);
}

inline std::optional<StructRef> AnyRef::as_struct(Store::Context cx) const {
  wasmtime_structref_t out;
  if (!wasmtime_anyref_as_struct(cx.capi(), &raw, &out)) {
    return std::nullopt;
  }
  return StructRef(out);
}

inline bool AnyRef::is_array(Store::Context cx) const {
  return wasmtime_anyref_is_array(cx.capi(), &raw);
}

inline std::optional<ArrayRef> AnyRef::as_array(Store::Context cx) const {
  wasmtime_arrayref_t out;
  if (!wasmtime_anyref_as_array(cx.capi(), &raw, &out)) {
    return std::nullopt;
  }
  return ArrayRef(out);
}

} // namespace wasmtime

#endif // WASMTIME_FEATURE_GC

#endif // WASMTIME_GC_HH
