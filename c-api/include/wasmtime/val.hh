/**
 * \file wasmtime/val.hh
 *
 * \brief Values: numbers, vectors and references that cross between host and
 * guest.
 */

#ifndef WASMTIME_VAL_HH
#define WASMTIME_VAL_HH

#include <any>
#include <cstring>
#include <optional>
#include <wasmtime/gc.h>
#include <wasmtime/helpers.hh>
#include <wasmtime/store.hh>
#include <wasmtime/types/val.hh>
#include <wasmtime/val.h>

namespace wasmtime {

class ArrayRef;
class EqRef;
class Func;
class StructRef;

namespace detail {
struct ExternRefHandle {
  using Raw = wasmtime_externref_t;
  static void clone(const Raw *raw, Raw *out) {
    wasmtime_externref_clone(raw, out);
  }
  static void unroot(Raw *raw) { wasmtime_externref_unroot(raw); }
};

struct AnyRefHandle {
  using Raw = wasmtime_anyref_t;
  static void clone(const Raw *raw, Raw *out) {
    wasmtime_anyref_clone(raw, out);
  }
  static void unroot(Raw *raw) { wasmtime_anyref_unroot(raw); }
};

struct ExnRefHandle {
  using Raw = wasmtime_exnref_t;
  static void clone(const Raw *raw, Raw *out) {
    wasmtime_exnref_clone(raw, out);
  }
  static void unroot(Raw *raw) { wasmtime_exnref_unroot(raw); }
};
} // namespace detail

/// \brief A root of an `externref`: a value of the host's that guests can hold
/// but not look into.
///
/// The value is destroyed some time after neither host nor guest can reach it.
class ExternRef : public detail::Root<detail::ExternRefHandle> {
public:
  using Root::Root;
  /// A new reference to a copy of `value`. Ends the process when the store
  /// cannot hold it.
  explicit ExternRef(Store::Context cx, std::any value)
      : Root(make(cx, std::move(value))) {}

  /// The host's value. Only for references made by this class.
  std::any &data(Store::Context cx) {
    return *static_cast<std::any *>(wasmtime_externref_data(cx.capi(), &raw));
  }

  /// The reference as a `wasmtime_val_raw_t` has it, valid until the next
  /// collection.
  uint32_t borrow_raw(Store::Context cx) const {
    return wasmtime_externref_to_raw(cx.capi(), &raw);
  }
  /// As `borrow_raw`, and gives up this root.
  uint32_t take_raw(Store::Context cx) {
    uint32_t bits = borrow_raw(cx);
    wasmtime_externref_unroot(&raw);
    wasmtime_externref_set_null(&raw);
    return bits;
  }

private:
  static wasmtime_externref_t make(Store::Context cx, std::any &&value) {
    wasmtime_externref_t raw;
    auto *data = new std::any(std::move(value));
    if (!wasmtime_externref_new(cx.capi(), data, detail::finalize<std::any>,
                                &raw)) {
      detail::fail("the store cannot hold an externref");
    }
    return raw;
  }
};

/// \brief A root of an `anyref`: a garbage-collected object, or a 31-bit
/// integer.
class AnyRef : public detail::Root<detail::AnyRefHandle> {
public:
  using Root::Root;

  /// The low 31 bits of `value` as a reference.
  static AnyRef i31(Store::Context cx, uint32_t value) {
    wasmtime_anyref_t raw;
    wasmtime_anyref_from_i31(cx.capi(), value, &raw);
    return AnyRef(raw);
  }
  /// The integer, zero-extended, when this is one.
  std::optional<uint32_t> u31(Store::Context cx) const {
    uint32_t value = 0;
    if (wasmtime_anyref_i31_get_u(cx.capi(), &raw, &value)) {
      return value;
    }
    return std::nullopt;
  }
  /// The integer, sign-extended, when this is one.
  std::optional<int32_t> i31(Store::Context cx) const {
    int32_t value = 0;
    if (wasmtime_anyref_i31_get_s(cx.capi(), &raw, &value)) {
      return value;
    }
    return std::nullopt;
  }
  /// Whether this is an integer.
  bool is_i31(Store::Context cx) const {
    return wasmtime_anyref_is_i31(cx.capi(), &raw);
  }

  /// Whether this is an `eqref`. What follows is defined in `wasmtime/gc.hh`.
  inline bool is_eqref(Store::Context cx) const;
  /// Whether this is a struct.
  inline bool is_struct(Store::Context cx) const;
  /// Whether this is an array.
  inline bool is_array(Store::Context cx) const;
  /// This as an `eqref`, when it is one.
  inline std::optional<EqRef> as_eqref(Store::Context cx) const;
  /// This as a struct, when it is one.
  inline std::optional<StructRef> as_struct(Store::Context cx) const;
  /// This as an array, when it is one.
  inline std::optional<ArrayRef> as_array(Store::Context cx) const;

  /// The reference as a `wasmtime_val_raw_t` has it, valid until the next
  /// collection.
  uint32_t borrow_raw(Store::Context cx) const {
    return wasmtime_anyref_to_raw(cx.capi(), &raw);
  }
  /// As `borrow_raw`, and gives up this root.
  uint32_t take_raw(Store::Context cx) {
    uint32_t bits = borrow_raw(cx);
    wasmtime_anyref_unroot(&raw);
    wasmtime_anyref_set_null(&raw);
    return bits;
  }
};

/// \brief A root of an `exnref`: an exception as a value. `Exn` is an exception
/// to look into.
class ExnRef : public detail::Root<detail::ExnRefHandle> {
public:
  using Root::Root;
};

/// \brief The 16 bytes of a vector, lane 0 first, each lane little-endian.
struct V128 {
  /// The bytes.
  wasmtime_v128 v128;

  /// All bits zero.
  V128() : v128{} {}
  /// These bytes.
  V128(const wasmtime_v128 &bytes) { std::memcpy(v128, bytes, sizeof v128); }
};

/// \brief A value with its kind. Holds roots, which it copies and frees.
///
/// Asking for another kind than it has ends the process.
class Val {
  wasmtime_val_t val{};

  void need(ValKind wanted) const {
    if (kind() != wanted) {
      detail::fail("a value was taken for another kind than it has");
    }
  }

  /// The reference in the value, with a root of its own.
  template <typename R, typename H>
  std::optional<R> reference(ValKind wanted, const typename H::Raw &raw) const {
    need(wanted);
    if (raw.store_id == 0) {
      return std::nullopt;
    }
    typename H::Raw second;
    H::clone(&raw, &second);
    return R(second);
  }

public:
  /// The `i32` 0.
  Val() { val.kind = WASMTIME_I32; }
  /// Takes over a C value, with the root in it.
  Val(wasmtime_val_t val_) : val(val_) {}
  /// An `i32`.
  Val(int32_t i32) {
    val.kind = WASMTIME_I32;
    val.of.i32 = i32;
  }
  /// An `i64`.
  Val(int64_t i64) {
    val.kind = WASMTIME_I64;
    val.of.i64 = i64;
  }
  /// An `f32`.
  Val(float f32) {
    val.kind = WASMTIME_F32;
    val.of.f32 = f32;
  }
  /// An `f64`.
  Val(double f64) {
    val.kind = WASMTIME_F64;
    val.of.f64 = f64;
  }
  /// A `v128`.
  Val(const V128 &v128) {
    val.kind = WASMTIME_V128;
    std::memcpy(val.of.v128, v128.v128, sizeof v128.v128);
  }
  /// A `funcref`, null without a function.
  inline Val(std::optional<Func> func);
  /// A `funcref`.
  inline Val(Func func);
  /// An `externref`, null without a reference.
  Val(std::optional<ExternRef> ref) {
    val.kind = WASMTIME_EXTERNREF;
    wasmtime_externref_set_null(&val.of.externref);
    if (ref) {
      val.of.externref = ref->capi_release();
    }
  }
  /// An `externref`.
  inline Val(ExternRef ref);
  /// An `anyref`, null without a reference.
  Val(std::optional<AnyRef> ref) {
    val.kind = WASMTIME_ANYREF;
    wasmtime_anyref_set_null(&val.of.anyref);
    if (ref) {
      val.of.anyref = ref->capi_release();
    }
  }
  /// An `anyref`.
  inline Val(AnyRef ref);
  /// An `exnref`, null without a reference.
  Val(std::optional<ExnRef> ref) {
    val.kind = WASMTIME_EXNREF;
    wasmtime_exnref_set_null(&val.of.exnref);
    if (ref) {
      val.of.exnref = ref->capi_release();
    }
  }
  /// An `exnref`.
  inline Val(ExnRef ref);

  Val(const Val &other) { wasmtime_val_clone(&other.val, &val); }
  Val &operator=(const Val &other) {
    if (this != &other) {
      wasmtime_val_unroot(&val);
      wasmtime_val_clone(&other.val, &val);
    }
    return *this;
  }
  /// Leaves the `i32` 0 behind.
  Val(Val &&other) noexcept : val(other.capi_release()) {}
  /// Leaves the `i32` 0 behind.
  Val &operator=(Val &&other) noexcept {
    if (this != &other) {
      wasmtime_val_unroot(&val);
      val = other.capi_release();
    }
    return *this;
  }
  ~Val() {
    if (val.kind >= WASMTIME_EXTERNREF) { // the others have no roots
      wasmtime_val_unroot(&val);
    }
  }

  /// The kind.
  ValKind kind() const { return static_cast<ValKind>(val.kind); }
  /// The `i32`.
  int32_t i32() const {
    need(ValKind::I32);
    return val.of.i32;
  }
  /// The `i64`.
  int64_t i64() const {
    need(ValKind::I64);
    return val.of.i64;
  }
  /// The `f32`.
  float f32() const {
    need(ValKind::F32);
    return val.of.f32;
  }
  /// The `f64`.
  double f64() const {
    need(ValKind::F64);
    return val.of.f64;
  }
  /// The `v128`.
  V128 v128() const {
    need(ValKind::V128);
    return V128(val.of.v128);
  }
  /// The `funcref`, nothing when it is null.
  inline std::optional<Func> funcref() const;
  /// The `externref`, nothing when it is null.
  std::optional<ExternRef> externref() const {
    return reference<ExternRef, detail::ExternRefHandle>(ValKind::ExternRef,
                                                         val.of.externref);
  }
  /// As the other `externref`; no store is needed.
  std::optional<ExternRef> externref(Store::Context) const {
    return externref();
  }
  /// The `anyref`, nothing when it is null.
  std::optional<AnyRef> anyref() const {
    return reference<AnyRef, detail::AnyRefHandle>(ValKind::AnyRef,
                                                   val.of.anyref);
  }
  /// The `exnref`, nothing when it is null.
  std::optional<ExnRef> exnref() const {
    return reference<ExnRef, detail::ExnRefHandle>(ValKind::ExnRef,
                                                   val.of.exnref);
  }

  /// The C value, which stays this one's.
  const wasmtime_val_t *capi() const { return &val; }
  /// Gives up the C value, with its root, to the caller; leaves the `i32` 0.
  wasmtime_val_t capi_release() {
    wasmtime_val_t given = val;
    val.kind = WASMTIME_I32;
    val.of.i32 = 0;
    return given;
  }
};

namespace detail {
// Arrays of the one are looked at as arrays of the other.
static_assert(sizeof(Val) == sizeof(wasmtime_val_t));
static_assert(alignof(Val) == alignof(wasmtime_val_t));

inline const wasmtime_val_t *vals_to_c(const Val *vals) {
  return reinterpret_cast<const wasmtime_val_t *>(vals);
}
} // namespace detail

} // namespace wasmtime

#include <wasmtime/func.hh>

namespace wasmtime {

inline Val::Val(std::optional<Func> func) {
  val.kind = WASMTIME_FUNCREF;
  wasmtime_funcref_set_null(&val.of.funcref);
  if (func) {
    val.of.funcref = func->capi();
  }
}

inline Val::Val(Func func) : Val(std::optional<Func>(func)) {}
inline Val::Val(ExternRef ref)
    : Val(std::optional<ExternRef>(std::move(ref))) {}
inline Val::Val(AnyRef ref) : Val(std::optional<AnyRef>(std::move(ref))) {}
inline Val::Val(ExnRef ref) : Val(std::optional<ExnRef>(std::move(ref))) {}

inline std::optional<Func> Val::funcref() const {
  need(ValKind::FuncRef);
  if (wasmtime_funcref_is_null(&val.of.funcref)) {
    return std::nullopt;
  }
  return Func(val.of.funcref);
}

} // namespace wasmtime

#endif // WASMTIME_VAL_HH
