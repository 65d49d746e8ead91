/**
 * \file wasm.hh
 *
 * \brief The portable WebAssembly C++ API, in a header over `wasm.h`.
 *
 * This is the interface that several engines share; new programs have more from
 * `wasmtime.hh`. Nothing but a header, for C++17 and later.
 *
 * **Ownership.** `own<T>` is a `std::unique_ptr`: what is returned in one is the
 * caller's, what is taken in one is given up. Plain pointers and references are
 * borrowed, for the call or as long as what they came from. `vec<T>` owns its
 * elements; of an `ownvec<T>` they are `own<T>`.
 *
 * **Failures.** Where something can fail, null (or an invalid `vec`) comes
 * back.
 *
 * **Threads.** An engine, and `Shared` modules, may be used by many; a store,
 * and everything made in it, by one at a time.
 */

#ifndef WASM_HH
#define WASM_HH

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <wasm.h>

namespace wasm {

/// A byte of a binary, a string or a memory.
using byte_t = ::byte_t;
/// An IEEE 754 number of 32 bits.
using float32_t = ::float32_t;
/// An IEEE 754 number of 64 bits.
using float64_t = ::float64_t;

/* ----------------------------------------------------------------------------
 * Ownership
 */

/// Owns a `T`.
template <typename T> using own = std::unique_ptr<T>;

/// Takes over `raw`.
template <typename T> own<T> make_own(T *raw) { return own<T>(raw); }

/// Whether `T` is an `own`.
template <typename T> struct is_own : std::false_type {};
template <typename T> struct is_own<own<T>> : std::true_type {};

/// \brief A number of elements in one block, or nothing at all (invalid).
template <typename T> class vec {
  static constexpr size_t none = std::numeric_limits<size_t>::max();

  size_t count;
  std::unique_ptr<T[]> items;

  explicit vec(size_t count_)
      : count(count_),
        items(count_ == 0 || count_ == none ? nullptr : new T[count_]()) {}

public:
  /// The type of the elements.
  using elem_type = T;
  /// The `size` of an invalid vector.
  static constexpr size_t invalid_size = none;

  vec(vec &&other) noexcept
      : count(std::exchange(other.count, none)), items(std::move(other.items)) {}
  vec &operator=(vec &&other) noexcept {
    count = std::exchange(other.count, none);
    items = std::move(other.items);
    return *this;
  }

  /// Whether it is valid.
  explicit operator bool() const { return count != none; }
  /// The number of elements.
  size_t size() const { return count; }
  /// The first element.
  const T *get() const { return items.get(); }
  /// The first element.
  T *get() { return items.get(); }
  /// Gives up the block, made by `new[]`, to the caller.
  T *release() { return items.release(); }
  /// Makes it invalid.
  void reset() { *this = invalid(); }
  /// Takes the elements of `other`, which is invalid then.
  void reset(vec &other) { *this = std::move(other); }
  /// Exchanges the elements with `other`.
  void swap(vec &other) noexcept {
    std::swap(count, other.count);
    std::swap(items, other.items);
  }
  /// Element number `index`, which must be below `size()`.
  T &operator[](size_t index) { return items[index]; }
  /// Element number `index`, which must be below `size()`.
  const T &operator[](size_t index) const { return items[index]; }

  /// A copy with copies of all elements.
  vec copy() const {
    vec other(count);
    for (size_t i = 0; *this && i < count; i++) {
      if constexpr (std::is_copy_assignable_v<T>) {
        other.items[i] = items[i];
      } else if constexpr (is_own<T>::value) {
        if (items[i]) {
          other.items[i] = items[i]->copy();
        }
      } else {
        other.items[i] = items[i].copy();
      }
    }
    return other;
  }
  /// The same under its older name.
  vec deep_copy() const { return copy(); }

  /// `size` default elements: zeros and nulls.
  static vec make_uninitialized(size_t size = 0) { return vec(size); }
  /// The `size` elements at `data`, which are moved out.
  static vec make(size_t size, T data[]) {
    vec made(size);
    for (size_t i = 0; i < size; i++) {
      made.items[i] = std::move(data[i]);
    }
    return made;
  }
  /// The bytes of a string.
  template <typename X = T,
            std::enable_if_t<std::is_same_v<X, byte_t>, bool> = true>
  static vec make(const std::string &text) {
    vec made(text.size());
    std::copy(text.begin(), text.end(), made.items.get());
    return made;
  }
  /// The bytes of a string and a NUL.
  template <typename X = T,
            std::enable_if_t<std::is_same_v<X, byte_t>, bool> = true>
  static vec make_nt(const std::string &text) {
    return make(text + '\0');
  }
  /// These elements.
  template <typename... Ts,
            std::enable_if_t<(std::is_convertible_v<Ts &&, T> && ...), bool> =
                true>
  static vec make(Ts &&...each) {
    vec made(sizeof...(Ts));
    [[maybe_unused]] size_t index = 0;
    ((made.items[index++] = std::forward<Ts>(each)), ...);
    return made;
  }
  /// Takes over a block of `size` elements, made by `new[]`.
  static vec adopt(size_t size, T data[]) {
    vec made(0);
    made.count = size;
    made.items.reset(data);
    return made;
  }
  /// No vector.
  static vec invalid() { return vec(none); }
};

/// A vector of owned objects.
template <typename T> using ownvec = vec<own<T>>;

/// A string in UTF-8.
using Name = vec<byte_t>;
/// What a trap says; its last byte is NUL.
using Message = vec<byte_t>;

/// \brief How the classes reach each other's C objects; not for programs.
struct Access;

namespace detail {
/// Owns a C object that `Delete` frees.
template <typename C, void (*Delete)(C *)> struct Deleter {
  void operator()(C *raw) const { Delete(raw); }
};
template <typename C, void (*Delete)(C *)>
using Raw = std::unique_ptr<C, Deleter<C, Delete>>;

inline Name copy_name(const wasm_byte_vec_t &bytes) {
  Name name = Name::make_uninitialized(bytes.size);
  if (bytes.size > 0) {
    std::memcpy(name.get(), bytes.data, bytes.size);
  }
  return name;
}

inline Name take_name(wasm_byte_vec_t bytes) {
  Name name = copy_name(bytes);
  wasm_byte_vec_delete(&bytes);
  return name;
}

/// A view for C, which does not write to it.
inline wasm_byte_vec_t view(const Name &name) {
  return {name ? name.size() : 0, const_cast<byte_t *>(name.get())};
}

/// Null becomes null.
template <typename T, typename C> own<T> wrap(C *raw) {
  return raw ? own<T>(new T(raw)) : nullptr;
}
} // namespace detail

/* ----------------------------------------------------------------------------
 * Configuration, engine, store
 */

/// \brief The settings an engine is made with.
class Config {
  friend Access;
  detail::Raw<wasm_config_t, wasm_config_delete> raw{wasm_config_new()};
  Config() = default;

public:
  /// Every setting at its default.
  static own<Config> make() { return own<Config>(new Config()); }
  /// The C configuration, for settings that only C knows.
  wasm_config_t *capi() { return raw.get(); }
};

/// \brief Compiles modules and holds what all stores share.
class Engine {
  friend Access;
  detail::Raw<wasm_engine_t, wasm_engine_delete> raw;

public:
  /// Takes over a C engine.
  explicit Engine(wasm_engine_t *raw_) : raw(raw_) {}
  /// An engine with these settings; null when they cannot be met.
  static own<Engine> make(own<Config> &&config = Config::make());
};

/// \brief Where objects live. Objects keep their store alive.
class Store {
  friend Access;
  detail::Raw<wasm_store_t, wasm_store_delete> raw;

public:
  /// Takes over a C store.
  explicit Store(wasm_store_t *raw_) : raw(raw_) {}
  /// An empty store.
  static own<Store> make(Engine *engine);
};

/* ----------------------------------------------------------------------------
 * Types
 */

/// Whether a global may change.
enum class Mutability : uint8_t {
  /// Fixed when it is made.
  CONST = WASM_CONST,
  /// Changeable by wasm and host.
  VAR = WASM_VAR,
};

/// \brief The size limits of a memory (in pages) or a table (in elements).
struct Limits {
  /// The size at the beginning.
  uint32_t min;
  /// The size that growth may reach; the greatest number for no limit.
  uint32_t max;

  /// From `min` to `max`, or without a maximum.
  Limits(uint32_t min_, uint32_t max_ = wasm_limits_max_default)
      : min(min_), max(max_) {}
};

/// The kind of a value type.
enum class ValKind : uint8_t {
  /// 32-bit integer.
  I32 = WASM_I32,
  /// 64-bit integer.
  I64 = WASM_I64,
  /// 32-bit float.
  F32 = WASM_F32,
  /// 64-bit float.
  F64 = WASM_F64,
  /// Nullable reference to something of the host's.
  EXTERNREF = WASM_EXTERNREF,
  /// The older name of `EXTERNREF`.
  ANYREF = WASM_EXTERNREF,
  /// Nullable reference to a function.
  FUNCREF = WASM_FUNCREF,
};

/// Whether it is the kind of a number.
inline bool is_num(ValKind kind) {
  return wasm_valkind_is_num(static_cast<wasm_valkind_t>(kind));
}
/// Whether it is the kind of a reference.
inline bool is_ref(ValKind kind) { return !is_num(kind); }

/// \brief The type of a value.
class ValType {
  friend Access;
  detail::Raw<wasm_valtype_t, wasm_valtype_delete> raw;

public:
  /// Takes over a C type.
  explicit ValType(wasm_valtype_t *raw_) : raw(raw_) {}
  /// The type of this kind.
  static own<ValType> make(ValKind kind) {
    return detail::wrap<ValType>(
        wasm_valtype_new(static_cast<wasm_valkind_t>(kind)));
  }
  /// A copy.
  own<ValType> copy() const {
    return detail::wrap<ValType>(wasm_valtype_copy(raw.get()));
  }
  /// The kind; of a type that `ValKind` does not list, no value of it.
  ValKind kind() const {
    return static_cast<ValKind>(wasm_valtype_kind(raw.get()));
  }
  /// Whether it is of a number.
  bool is_num() const { return wasm::is_num(kind()); }
  /// Whether it is of a reference.
  bool is_ref() const { return wasm::is_ref(kind()); }
};

/// The kind of an item that can be imported or exported.
enum class ExternKind : uint8_t {
  /// A function.
  FUNC = WASM_EXTERN_FUNC,
  /// A global.
  GLOBAL = WASM_EXTERN_GLOBAL,
  /// A table.
  TABLE = WASM_EXTERN_TABLE,
  /// A memory.
  MEMORY = WASM_EXTERN_MEMORY,
};

class FuncType;
class GlobalType;
class TableType;
class MemoryType;

/// \brief The type of an item of any kind.
class ExternType {
  friend Access;
  detail::Raw<wasm_externtype_t, wasm_externtype_delete> raw;

protected:
  explicit ExternType(wasm_externtype_t *raw_) : raw(raw_) {}
  /// The C type.
  wasm_externtype_t *capi() const { return raw.get(); }

public:
  ExternType(const ExternType &) = delete;
  virtual ~ExternType() = default;

  /// A copy.
  own<ExternType> copy() const;
  /// The kind of the item.
  ExternKind kind() const {
    return static_cast<ExternKind>(wasm_externtype_kind(raw.get()));
  }
  /// This as a type of its kind; null of the others.
  inline FuncType *func();
  /// This as the type of a global; null where it is another.
  inline GlobalType *global();
  /// This as the type of a table; null where it is another.
  inline TableType *table();
  /// This as the type of a memory; null where it is another.
  inline MemoryType *memory();
  /// This as the type of a function; null where it is another.
  inline const FuncType *func() const;
  /// This as the type of a global; null where it is another.
  inline const GlobalType *global() const;
  /// This as the type of a table; null where it is another.
  inline const TableType *table() const;
  /// This as the type of a memory; null where it is another.
  inline const MemoryType *memory() const;
};

/// \brief The parameters and results of a function.
class FuncType : public ExternType {
  friend Access;
  ownvec<ValType> param_types, result_types;

  static ownvec<ValType> list(const wasm_valtype_vec_t *types) {
    auto made = ownvec<ValType>::make_uninitialized(types->size);
    for (size_t i = 0; i < types->size; i++) {
      made[i] = detail::wrap<ValType>(wasm_valtype_copy(types->data[i]));
    }
    return made;
  }
  static wasm_valtype_vec_t to_c(ownvec<ValType> &types);

public:
  /// Takes over a C type.
  explicit FuncType(wasm_functype_t *raw_)
      : ExternType(wasm_functype_as_externtype(raw_)),
        param_types(list(wasm_functype_params(raw_))),
        result_types(list(wasm_functype_results(raw_))) {}
  /// The type from `params` to `results`.
  static own<FuncType>
  make(ownvec<ValType> &&params = ownvec<ValType>::make(),
       ownvec<ValType> &&results = ownvec<ValType>::make()) {
    wasm_valtype_vec_t param_list = to_c(params), result_list = to_c(results);
    return detail::wrap<FuncType>(
        wasm_functype_new(&param_list, &result_list));
  }
  /// A copy.
  own<FuncType> copy() const {
    return detail::wrap<FuncType>(
        wasm_functype_copy(wasm_externtype_as_functype(capi())));
  }
  /// The parameter types, in order; borrowed.
  const ownvec<ValType> &params() const { return param_types; }
  /// The result types, in order; borrowed.
  const ownvec<ValType> &results() const { return result_types; }
};

/// \brief The content type and mutability of a global.
class GlobalType : public ExternType {
  friend Access;
  own<ValType> content_type;

  wasm_globaltype_t *type() const {
    return wasm_externtype_as_globaltype(capi());
  }

public:
  /// Takes over a C type.
  explicit GlobalType(wasm_globaltype_t *raw_)
      : ExternType(wasm_globaltype_as_externtype(raw_)),
        content_type(detail::wrap<ValType>(
            wasm_valtype_copy(wasm_globaltype_content(raw_)))) {}
  /// The type of a global that holds a `content`.
  static own<GlobalType> make(own<ValType> &&content, Mutability mutability);
  /// A copy.
  own<GlobalType> copy() const {
    return detail::wrap<GlobalType>(wasm_globaltype_copy(type()));
  }
  /// The type of the value inside; borrowed.
  const ValType *content() const { return content_type.get(); }
  /// Whether the global may change.
  Mutability mutability() const {
    return static_cast<Mutability>(wasm_globaltype_mutability(type()));
  }
};

/// \brief The element type and limits of a table.
class TableType : public ExternType {
  friend Access;
  own<ValType> element_type;
  Limits size_limits;

public:
  /// Takes over a C type.
  explicit TableType(wasm_tabletype_t *raw_)
      : ExternType(wasm_tabletype_as_externtype(raw_)),
        element_type(detail::wrap<ValType>(
            wasm_valtype_copy(wasm_tabletype_element(raw_)))),
        size_limits(wasm_tabletype_limits(raw_)->min,
                    wasm_tabletype_limits(raw_)->max) {}
  /// The type of a table of `element`s.
  static own<TableType> make(own<ValType> &&element, Limits limits);
  /// A copy.
  own<TableType> copy() const {
    return detail::wrap<TableType>(
        wasm_tabletype_copy(wasm_externtype_as_tabletype(capi())));
  }
  /// The type of the elements; borrowed.
  const ValType *element() const { return element_type.get(); }
  /// The size limits, in elements.
  const Limits &limits() const { return size_limits; }
};

/// \brief The limits of a memory, in pages.
class MemoryType : public ExternType {
  friend Access;
  Limits size_limits;

public:
  /// Takes over a C type.
  explicit MemoryType(wasm_memorytype_t *raw_)
      : ExternType(wasm_memorytype_as_externtype(raw_)),
        size_limits(wasm_memorytype_limits(raw_)->min,
                    wasm_memorytype_limits(raw_)->max) {}
  /// The type of a memory of such sizes, in pages.
  static own<MemoryType> make(Limits limits) {
    wasm_limits_t raw = {limits.min, limits.max};
    return detail::wrap<MemoryType>(wasm_memorytype_new(&raw));
  }
  /// A copy.
  own<MemoryType> copy() const {
    return detail::wrap<MemoryType>(
        wasm_memorytype_copy(wasm_externtype_as_memorytype(capi())));
  }
  /// The size limits, in pages.
  const Limits &limits() const { return size_limits; }
};

/// \brief What a module imports.
class ImportType {
  friend Access;
  Name module_name, item_name;
  own<ExternType> item_type;

  ImportType(Name &&module, Name &&name, own<ExternType> &&type)
      : module_name(std::move(module)), item_name(std::move(name)),
        item_type(std::move(type)) {}

public:
  /// The import of an item of this type.
  static own<ImportType> make(Name &&module, Name &&name,
                              own<ExternType> &&type) {
    return own<ImportType>(
        new ImportType(std::move(module), std::move(name), std::move(type)));
  }
  /// A copy.
  own<ImportType> copy() const {
    return make(module_name.copy(), item_name.copy(), item_type->copy());
  }
  /// The module that it is imported from; borrowed.
  const Name &module() const { return module_name; }
  /// The name of the item; borrowed.
  const Name &name() const { return item_name; }
  /// The type of the item; borrowed.
  const ExternType *type() const { return item_type.get(); }
};

/// \brief What a module exports.
class ExportType {
  friend Access;
  Name item_name;
  own<ExternType> item_type;

  ExportType(Name &&name, own<ExternType> &&type)
      : item_name(std::move(name)), item_type(std::move(type)) {}

public:
  /// The export of an item of this type.
  static own<ExportType> make(Name &&name, own<ExternType> &&type) {
    return own<ExportType>(new ExportType(std::move(name), std::move(type)));
  }
  /// A copy.
  own<ExportType> copy() const {
    return make(item_name.copy(), item_type->copy());
  }
  /// The name of the item; borrowed.
  const Name &name() const { return item_name; }
  /// The type of the item; borrowed.
  const ExternType *type() const { return item_type.get(); }
};

/* ----------------------------------------------------------------------------
 * References and values
 */

/// \brief A handle to any object of a store.
class Ref {
  friend Access;

protected:
  Ref() = default;
  /// The object as a C reference, borrowed.
  virtual wasm_ref_t *as_ref() const = 0;

public:
  Ref(const Ref &) = delete;
  virtual ~Ref() = default;

  /// A second handle to the same object.
  own<Ref> copy() const;
  /// Whether both are handles to the same object.
  bool same(const Ref *other) const {
    return wasm_ref_same(as_ref(), other->as_ref());
  }
  /// The pointer kept with the object.
  void *get_host_info() const { return wasm_ref_get_host_info(as_ref()); }
  /// Keeps a pointer with the object; `finalizer` gets it in the end.
  void set_host_info(void *info, void (*finalizer)(void *) = nullptr) {
    wasm_ref_set_host_info_with_finalizer(as_ref(), info, finalizer);
  }
};

namespace detail {
/// A reference to something unknown, such as a table's element.
class PlainRef : public Ref {
  Raw<wasm_ref_t, wasm_ref_delete> raw;

  wasm_ref_t *as_ref() const override { return raw.get(); }

public:
  explicit PlainRef(wasm_ref_t *raw_) : raw(raw_) {}
};
} // namespace detail

inline own<Ref> Ref::copy() const {
  return own<Ref>(new detail::PlainRef(wasm_ref_copy(as_ref())));
}

/// \brief A value with its kind; a reference in it is owned.
class Val {
  friend Access;
  ValKind val_kind;
  union {
    int32_t i32;
    int64_t i64;
    float32_t f32;
    float64_t f64;
  } number;
  own<Ref> reference;

public:
  /// The null reference.
  Val() : val_kind(ValKind::EXTERNREF), number{} {}
  /// A number.
  Val(int32_t i32) : val_kind(ValKind::I32), number{} { number.i32 = i32; }
  /// A number.
  Val(int64_t i64) : val_kind(ValKind::I64), number{} { number.i64 = i64; }
  /// A number.
  Val(float32_t f32) : val_kind(ValKind::F32), number{} { number.f32 = f32; }
  /// A number.
  Val(float64_t f64) : val_kind(ValKind::F64), number{} { number.f64 = f64; }
  /// A reference, perhaps null.
  Val(own<Ref> &&ref)
      : val_kind(ValKind::EXTERNREF), number{}, reference(std::move(ref)) {}
  Val(Val &&) = default;
  Val &operator=(Val &&) = default;

  /// A 32-bit integer as a value, or the value as one, whose kind it must be.
  static Val i32(int32_t value) { return Val(value); }
  /// A 64-bit integer as a value, or the value as one, whose kind it must be.
  static Val i64(int64_t value) { return Val(value); }
  /// A 32-bit float as a value, or the value as one, whose kind it must be.
  static Val f32(float32_t value) { return Val(value); }
  /// A 64-bit float as a value, or the value as one, whose kind it must be.
  static Val f64(float64_t value) { return Val(value); }
  /// A reference as a value, perhaps null.
  static Val ref(own<Ref> &&value) { return Val(std::move(value)); }
  /// An object of any class as a value.
  template <typename T> static Val make(T value) { return Val(std::move(value)); }

  /// Makes it the null reference.
  void reset() { *this = Val(); }
  /// Takes the value of `other`, which is the null reference then.
  void reset(Val &other) {
    *this = std::move(other);
    other.reset();
  }

  /// The kind of the value.
  ValKind kind() const { return val_kind; }
  /// Whether it is of a number.
  bool is_num() const { return wasm::is_num(val_kind); }
  /// Whether it is of a reference.
  bool is_ref() const { return wasm::is_ref(val_kind); }
  /// A 32-bit integer as a value, or the value as one, whose kind it must be.
  int32_t i32() const { return number.i32; }
  /// A 64-bit integer as a value, or the value as one, whose kind it must be.
  int64_t i64() const { return number.i64; }
  /// A 32-bit float as a value, or the value as one, whose kind it must be.
  float32_t f32() const { return number.f32; }
  /// A 64-bit float as a value, or the value as one, whose kind it must be.
  float64_t f64() const { return number.f64; }
  /// The reference, or null.
  Ref *ref() const { return reference.get(); }
  /// The number as a C++ type, or the reference.
  template <typename T> T get() const {
    if constexpr (std::is_pointer_v<T>) {
      return reference.get();
    } else if constexpr (std::is_same_v<T, float32_t>) {
      return number.f32;
    } else if constexpr (std::is_same_v<T, float64_t>) {
      return number.f64;
    } else if constexpr (sizeof(T) == sizeof(int32_t)) {
      return static_cast<T>(number.i32);
    } else {
      return static_cast<T>(number.i64);
    }
  }
  /// Makes it another value.
  template <typename T> void set(T value) { *this = Val(std::move(value)); }

  /// Gives up the reference to the caller; this is the null reference then.
  own<Ref> release_ref() {
    own<Ref> given = std::move(reference);
    reset();
    return given;
  }
  /// The same number, or another handle to the same object.
  Val copy() const {
    Val other;
    other.val_kind = val_kind;
    other.number = number;
    if (reference) {
      other.reference = reference->copy();
    }
    return other;
  }
};

/* ----------------------------------------------------------------------------
 * Objects
 */

class Func;
class Global;
class Instance;
class Memory;
class Module;
class Table;

/// \brief A module that any store of its engine can obtain.
template <typename T> class Shared;

/// \brief One function of a backtrace.
class Frame {
  friend Access;
  detail::Raw<wasm_frame_t, wasm_frame_delete> raw;
  mutable own<Instance> of; // made when first asked for

public:
  /// Takes over a C frame.
  explicit inline Frame(wasm_frame_t *raw);
  inline ~Frame();
  /// A copy.
  inline own<Frame> copy() const;
  /// The function's instance, which lives as long as the frame.
  inline Instance *instance() const;
  /// The function's index in its module.
  uint32_t func_index() const { return wasm_frame_func_index(raw.get()); }
  /// How far into the function it was, in bytes of the module.
  size_t func_offset() const { return wasm_frame_func_offset(raw.get()); }
  /// How far into the module it was, in bytes.
  size_t module_offset() const { return wasm_frame_module_offset(raw.get()); }
};

/// \brief Why a guest ended.
class Trap : public Ref {
  friend Access;
  detail::Raw<wasm_trap_t, wasm_trap_delete> raw;

  wasm_ref_t *as_ref() const override { return wasm_trap_as_ref(raw.get()); }

public:
  /// Takes over a C trap.
  explicit Trap(wasm_trap_t *raw_) : raw(raw_) {}
  /// A trap of the host's; the message need not end with a NUL.
  static own<Trap> make(Store *store, const Message &message);
  /// Another handle to the same object.
  own<Trap> copy() const {
    return detail::wrap<Trap>(wasm_trap_copy(raw.get()));
  }
  /// What went wrong, with a NUL at the end.
  Message message() const {
    wasm_byte_vec_t text;
    wasm_trap_message(raw.get(), &text);
    return detail::take_name(text);
  }
  /// The innermost frame, or null.
  inline own<Frame> origin() const;
  /// The frames, innermost first.
  inline ownvec<Frame> trace() const;
};

template <> class Shared<Module> {
  friend Access;
  detail::Raw<wasm_shared_module_t, wasm_shared_module_delete> raw;

public:
  /// Takes over a C object.
  explicit Shared(wasm_shared_module_t *raw_) : raw(raw_) {}
};

/// \brief Validated code.
class Module : public Ref {
  friend Access;
  detail::Raw<wasm_module_t, wasm_module_delete> raw;

  wasm_ref_t *as_ref() const override { return wasm_module_as_ref(raw.get()); }

public:
  /// Takes over a C module.
  explicit Module(wasm_module_t *raw_) : raw(raw_) {}
  /// Whether `make` would succeed.
  static bool validate(Store *store, const vec<byte_t> &binary);
  /// Makes a module from its bytes; null when they are not valid.
  static own<Module> make(Store *store, const vec<byte_t> &binary);
  /// Another handle to the same object.
  own<Module> copy() const {
    return detail::wrap<Module>(wasm_module_copy(raw.get()));
  }
  /// What it needs, in the order in which an instance is given it.
  ownvec<ImportType> imports() const;
  /// What it offers, in the order of an instance's exports.
  ownvec<ExportType> exports() const;
  /// The module for other stores, and other threads.
  own<Shared<Module>> share() const {
    return detail::wrap<Shared<Module>>(wasm_module_share(raw.get()));
  }
  /// The module for `store`, which must be of the same engine.
  static own<Module> obtain(Store *store, const Shared<Module> *shared);
  /// The compiled module as bytes; invalid when there is none.
  vec<byte_t> serialize() const {
    wasm_byte_vec_t bytes;
    wasm_module_serialize(raw.get(), &bytes);
    return detail::take_name(bytes);
  }
  /// Takes the bytes of `serialize` back, which must be trusted.
  static own<Module> deserialize(Store *store, const vec<byte_t> &serialized);
};

/// \brief A reference to something of the host's.
class Foreign : public Ref {
  friend Access;
  detail::Raw<wasm_foreign_t, wasm_foreign_delete> raw;

  wasm_ref_t *as_ref() const override { return wasm_foreign_as_ref(raw.get()); }

public:
  /// Takes over a C object.
  explicit Foreign(wasm_foreign_t *raw_) : raw(raw_) {}
  /// A new object with nothing in it but what the host notes.
  static own<Foreign> make(Store *store);
  /// Another handle to the same object.
  own<Foreign> copy() const {
    return detail::wrap<Foreign>(wasm_foreign_copy(raw.get()));
  }
};

/// \brief An item that can be imported or exported.
class Extern : public Ref {
  friend Access;
  detail::Raw<wasm_extern_t, wasm_extern_delete> raw;

protected:
  explicit Extern(wasm_extern_t *raw_) : raw(raw_) {}
  /// The C item.
  wasm_extern_t *capi() const { return raw.get(); }

public:
  /// Another handle to the same object.
  own<Extern> copy() const;
  /// The kind of the item.
  ExternKind kind() const {
    return static_cast<ExternKind>(wasm_extern_kind(raw.get()));
  }
  /// The type of the item.
  own<ExternType> type() const;
  /// This as an item of its kind; null of the others.
  inline Func *func();
  /// This as a global; null where it is something else.
  inline Global *global();
  /// This as a table; null where it is something else.
  inline Table *table();
  /// This as a memory; null where it is something else.
  inline Memory *memory();
  /// This as a function; null where it is something else.
  inline const Func *func() const;
  /// This as a global; null where it is something else.
  inline const Global *global() const;
  /// This as a table; null where it is something else.
  inline const Table *table() const;
  /// This as a memory; null where it is something else.
  inline const Memory *memory() const;
};

/// \brief A function, of a guest or of the host.
class Func : public Extern {
  friend Access;
  wasm_func_t *raw() const { return wasm_extern_as_func(capi()); }
  wasm_ref_t *as_ref() const override { return wasm_func_as_ref(raw()); }

public:
  /// A host function: it sets the results and returns null, or returns a trap.
  using callback = own<Trap> (*)(const vec<Val> &, vec<Val> &);
  /// The same with a pointer of the host's.
  using callback_with_env = own<Trap> (*)(void *, const vec<Val> &, vec<Val> &);

  /// Takes over a C function.
  explicit Func(wasm_func_t *raw) : Extern(wasm_func_as_extern(raw)) {}
  /// A new host function of a type, which is copied.
  static own<Func> make(Store *store, const FuncType *type, callback call);
  /// `finalizer(env)` runs when the function is gone.
  static own<Func> make(Store *store, const FuncType *type,
                        callback_with_env call, void *env,
                        void (*finalizer)(void *) = nullptr);
  /// Another handle to the same object.
  own<Func> copy() const { return detail::wrap<Func>(wasm_func_copy(raw())); }
  /// The type of the function.
  own<FuncType> type() const {
    return detail::wrap<FuncType>(wasm_func_type(raw()));
  }
  /// How many parameters it has.
  size_t param_arity() const { return wasm_func_param_arity(raw()); }
  /// How many results it has.
  size_t result_arity() const { return wasm_func_result_arity(raw()); }
  /// Calls the function. `results` has room for all results. Returns null, or
  /// the trap.
  own<Trap> call(const vec<Val> &args, vec<Val> &results) const {
    return call(args.get(), results.get());
  }
  /// Calls the function with as many values, and room for as many, as it has
  /// parameters and results.
  own<Trap> call(const Val args[] = nullptr, Val results[] = nullptr) const;
};

/// \brief A single variable.
class Global : public Extern {
  friend Access;
  wasm_global_t *raw() const { return wasm_extern_as_global(capi()); }
  wasm_ref_t *as_ref() const override { return wasm_global_as_ref(raw()); }

public:
  /// Takes over a C global.
  explicit Global(wasm_global_t *raw) : Extern(wasm_global_as_extern(raw)) {}
  /// A new global that holds `init`; null where that is not of its type.
  static own<Global> make(Store *store, const GlobalType *type,
                          const Val &init);
  /// Another handle to the same object.
  own<Global> copy() const {
    return detail::wrap<Global>(wasm_global_copy(raw()));
  }
  /// The type of the global.
  own<GlobalType> type() const {
    return detail::wrap<GlobalType>(wasm_global_type(raw()));
  }
  /// The value now.
  Val get() const;
  /// Sets the value, which must be of its type. Does nothing to a global that
  /// is fixed.
  void set(const Val &value);
};

/// \brief A table of references.
class Table : public Extern {
  friend Access;
  wasm_table_t *raw() const { return wasm_extern_as_table(capi()); }
  wasm_ref_t *as_ref() const override { return wasm_table_as_ref(raw()); }

public:
  /// A number of elements.
  using size_t = wasm_table_size_t;

  /// Takes over a C table.
  explicit Table(wasm_table_t *raw) : Extern(wasm_table_as_extern(raw)) {}
  /// A new table whose elements are all `init`.
  static own<Table> make(Store *store, const TableType *type,
                         const Ref *init = nullptr);
  /// Another handle to the same object.
  own<Table> copy() const {
    return detail::wrap<Table>(wasm_table_copy(raw()));
  }
  /// The type of the table.
  own<TableType> type() const {
    return detail::wrap<TableType>(wasm_table_type(raw()));
  }
  /// Element number `index`; null past the end too.
  own<Ref> get(size_t index) const {
    return detail::wrap<detail::PlainRef>(wasm_table_get(raw(), index));
  }
  /// Sets element number `index`; false past the end.
  bool set(size_t index, const Ref *ref);
  /// The number of elements.
  size_t size() const { return wasm_table_size(raw()); }
  /// Adds `delta` elements; false when that is too many.
  bool grow(size_t delta, const Ref *init = nullptr);
};

/// \brief A linear memory.
class Memory : public Extern {
  friend Access;
  wasm_memory_t *raw() const { return wasm_extern_as_memory(capi()); }
  wasm_ref_t *as_ref() const override { return wasm_memory_as_ref(raw()); }

public:
  /// A number of pages.
  using pages_t = wasm_memory_pages_t;
  /// The bytes of a page.
  static constexpr size_t page_size = 0x10000;

  /// Takes over a C memory.
  explicit Memory(wasm_memory_t *raw) : Extern(wasm_memory_as_extern(raw)) {}
  /// A new memory, all zeros.
  static own<Memory> make(Store *store, const MemoryType *type);
  /// Another handle to the same object.
  own<Memory> copy() const {
    return detail::wrap<Memory>(wasm_memory_copy(raw()));
  }
  /// The type of the memory.
  own<MemoryType> type() const {
    return detail::wrap<MemoryType>(wasm_memory_type(raw()));
  }
  /// The bytes; stale after the memory has grown.
  byte_t *data() const { return wasm_memory_data(raw()); }
  /// The size in bytes.
  size_t data_size() const { return wasm_memory_data_size(raw()); }
  /// The size in pages.
  pages_t size() const { return wasm_memory_size(raw()); }
  /// Adds `delta` pages; false when that is too many.
  bool grow(pages_t delta) { return wasm_memory_grow(raw(), delta); }
};

/// \brief A module brought to life.
class Instance : public Ref {
  friend Access;
  detail::Raw<wasm_instance_t, wasm_instance_delete> raw;

  wasm_ref_t *as_ref() const override {
    return wasm_instance_as_ref(raw.get());
  }

public:
  /// Takes over a C instance.
  explicit Instance(wasm_instance_t *raw_) : raw(raw_) {}
  /// Instantiates with these imports, one for each in order. Null when one does
  /// not fit or the start function traps; `*trap` is then the trap, if there is
  /// one and `trap` is not null.
  static own<Instance> make(Store *store, const Module *module,
                            const vec<Extern *> &imports,
                            own<Trap> *trap = nullptr);
  /// Another handle to the same object.
  own<Instance> copy() const {
    return detail::wrap<Instance>(wasm_instance_copy(raw.get()));
  }
  /// What it exports, in the order of the module.
  ownvec<Extern> exports() const;
};

} // namespace wasm

#include <wasm/inline.hh>

#endif // WASM_HH
