/**
 * \file wasmtime/component/val.hh
 *
 * \brief Values of the component model, and resources.
 */

#ifndef WASMTIME_COMPONENT_VAL_HH
#define WASMTIME_COMPONENT_VAL_HH

#include <wasmtime/conf.h>

#ifdef WASMTIME_FEATURE_COMPONENT_MODEL

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>
#include <wasmtime/component/types/val.hh>
#include <wasmtime/component/val.h>
#include <wasmtime/error.hh>
#include <wasmtime/helpers.hh>
#include <wasmtime/store.hh>

namespace wasmtime {

namespace detail {
/// \brief Owns what values of the kind `Kind` hold: a `T`, which `Member` is.
///
/// `Self`, the class that derives from this, adds no members, so that the
/// inside of a C value is seen as a `Self`. All bytes zero is the empty `T`.
template <typename Self, typename T, wasmtime_component_valkind_t Kind,
          T wasmtime_component_valunion_t::*Member>
class ComponentValPart {
public:
  /// The C type.
  using Raw = T;

  /// Takes over what a C value holds, and leaves it empty.
  explicit ComponentValPart(Raw &&other) noexcept
      : raw(std::exchange(other, Raw{})) {}
  ComponentValPart(const ComponentValPart &other) : raw(copy(other.raw)) {}
  /// The other one is empty afterwards.
  ComponentValPart(ComponentValPart &&other) noexcept
      : raw(other.capi_release()) {}
  ComponentValPart &operator=(const ComponentValPart &other) {
    return *this = ComponentValPart(other);
  }
  ComponentValPart &operator=(ComponentValPart &&other) noexcept {
    std::swap(raw, other.raw);
    return *this;
  }
  ~ComponentValPart() {
    wasmtime_component_val_t val = value_of(raw);
    wasmtime_component_val_delete(&val);
  }

  /// What a C value holds, seen as this class.
  static const Self *from_capi(const Raw *raw) {
    static_assert(sizeof(Self) == sizeof(Raw));
    return reinterpret_cast<const Self *>(raw);
  }
  /// What a C value holds, seen as this class.
  static Self *from_capi(Raw *raw) {
    static_assert(sizeof(Self) == sizeof(Raw));
    return reinterpret_cast<Self *>(raw);
  }
  /// What a C value would hold.
  static const Raw *to_capi(const Self *self) { return &self->raw; }
  /// What a C value would hold.
  static Raw *to_capi(Self *self) { return &self->raw; }

  /// What a C value would hold; it stays this object's.
  const Raw *capi() const { return &raw; }
  /// Gives up what a C value holds to the caller; this is empty afterwards.
  Raw capi_release() { return std::exchange(raw, Raw{}); }

protected:
  ComponentValPart() : raw{} {}

  Raw raw;

private:
  static wasmtime_component_val_t value_of(const Raw &raw) {
    wasmtime_component_val_t val;
    val.kind = Kind;
    val.of.*Member = raw;
    return val;
  }
  static Raw copy(const Raw &raw) {
    wasmtime_component_val_t from = value_of(raw), to;
    wasmtime_component_val_clone(&from, &to);
    return to.of.*Member;
  }
};

struct ComponentResourceAnyHandle {
  using Raw = wasmtime_component_resource_any_t;
  static void destroy(Raw *raw) { wasmtime_component_resource_any_delete(raw); }
  static Raw *copy(const Raw *raw) {
    return wasmtime_component_resource_any_clone(raw);
  }
};

struct ComponentResourceHostHandle {
  using Raw = wasmtime_component_resource_host_t;
  static void destroy(Raw *raw) {
    wasmtime_component_resource_host_delete(raw);
  }
  static Raw *copy(const Raw *raw) {
    return wasmtime_component_resource_host_clone(raw);
  }
};

inline std::string_view component_name(const wasm_name_t &name) {
  return {name.data, name.size};
}

inline wasm_name_t new_component_name(std::string_view text) {
  wasm_name_t name;
  wasm_name_new(&name, text.size(), text.data());
  return name;
}
} // namespace detail

namespace component {

class Val;
class ResourceHost;

/// \brief A field of a record, which owns it.
class RecordField {
  wasmtime_component_valrecord_entry_t entry;

  RecordField() = delete;
  RecordField(const RecordField &) = delete;
  RecordField &operator=(const RecordField &) = delete;

public:
  /// The name.
  std::string_view name() const { return detail::component_name(entry.name); }
  /// The value.
  inline const Val &value() const;
};

/// \brief A record: fields in the order in which the type declares them.
class Record
    : public detail::ComponentValPart<Record, wasmtime_component_valrecord_t,
                                      WASMTIME_COMPONENT_RECORD,
                                      &wasmtime_component_valunion_t::record> {
public:
  using ComponentValPart::ComponentValPart;
  /// A record of these fields.
  inline Record(std::vector<std::pair<std::string_view, Val>> entries);

  /// The number of fields.
  size_t size() const { return raw.size; }
  /// The first field.
  const RecordField *begin() const {
    static_assert(sizeof(RecordField) == sizeof(*raw.data));
    return reinterpret_cast<const RecordField *>(raw.data);
  }
  /// Past the last field.
  const RecordField *end() const { return begin() + raw.size; }
};

/// \brief A list: values of one type.
class List
    : public detail::ComponentValPart<List, wasmtime_component_vallist_t,
                                      WASMTIME_COMPONENT_LIST,
                                      &wasmtime_component_valunion_t::list> {
public:
  using ComponentValPart::ComponentValPart;
  /// A list of these values.
  inline List(std::vector<Val> values);

  /// The number of elements.
  size_t size() const { return raw.size; }
  /// The first element.
  inline const Val *begin() const;
  /// Past the last element.
  inline const Val *end() const;
};

/// \brief A tuple: values, each of a type of its own.
class Tuple
    : public detail::ComponentValPart<Tuple, wasmtime_component_valtuple_t,
                                      WASMTIME_COMPONENT_TUPLE,
                                      &wasmtime_component_valunion_t::tuple> {
public:
  using ComponentValPart::ComponentValPart;
  /// A tuple of these values.
  inline Tuple(std::vector<Val> values);

  /// The number of elements.
  size_t size() const { return raw.size; }
  /// The first element.
  inline const Val *begin() const;
  /// Past the last element.
  inline const Val *end() const;
};

/// \brief A variant: a case, with its payload if it has one.
class Variant
    : public detail::ComponentValPart<Variant, wasmtime_component_valvariant_t,
                                      WASMTIME_COMPONENT_VARIANT,
                                      &wasmtime_component_valunion_t::variant> {
public:
  using ComponentValPart::ComponentValPart;
  /// The case of this name.
  inline Variant(std::string_view discriminant, std::optional<Val> value);

  /// The name of the case.
  std::string_view discriminant() const {
    return detail::component_name(raw.discriminant);
  }
  /// The payload; null when the case has none.
  inline const Val *value() const;
};

/// \brief An option: a value, or none.
class WitOption
    : public detail::ComponentValPart<WitOption, wasmtime_component_val_t *,
                                      WASMTIME_COMPONENT_OPTION,
                                      &wasmtime_component_valunion_t::option> {
public:
  using ComponentValPart::ComponentValPart;
  /// This value, or none.
  inline WitOption(std::optional<Val> value);

  /// The value; null when there is none.
  inline const Val *value() const;
};

/// \brief A result: success or failure, with its payload if it has one.
class WitResult
    : public detail::ComponentValPart<WitResult, wasmtime_component_valresult_t,
                                      WASMTIME_COMPONENT_RESULT,
                                      &wasmtime_component_valunion_t::result> {
public:
  using ComponentValPart::ComponentValPart;
  /// Success.
  inline static WitResult ok(std::optional<Val> value);
  /// Failure.
  inline static WitResult err(std::optional<Val> value);

  /// Whether it is success.
  bool is_ok() const { return raw.is_ok; }
  /// The payload; null when there is none.
  inline const Val *payload() const;

private:
  inline WitResult(bool is_ok, std::optional<Val> value);
};

/// \brief A flag that is set.
class Flag {
  wasm_name_t raw;

public:
  /// The flag of this name.
  explicit Flag(std::string_view name)
      : raw(detail::new_component_name(name)) {}
  Flag(const Flag &other) : Flag(other.name()) {}
  /// The other one has no name afterwards.
  Flag(Flag &&other) noexcept : raw(other.capi_release()) {}
  Flag &operator=(const Flag &other) { return *this = Flag(other); }
  Flag &operator=(Flag &&other) noexcept {
    std::swap(raw, other.raw);
    return *this;
  }
  ~Flag() { wasm_name_delete(&raw); }

  /// The name.
  std::string_view name() const { return detail::component_name(raw); }

  /// The C name, which stays this flag's.
  const wasm_name_t *capi() const { return &raw; }
  /// Gives up the C name to the caller; this flag is as after a move.
  wasm_name_t capi_release() { return std::exchange(raw, wasm_name_t{}); }
};

/// \brief Flags: those that are set, in any order, and as declared where they
/// come from a guest.
class Flags
    : public detail::ComponentValPart<Flags, wasmtime_component_valflags_t,
                                      WASMTIME_COMPONENT_FLAGS,
                                      &wasmtime_component_valunion_t::flags> {
public:
  using ComponentValPart::ComponentValPart;
  /// These flags.
  Flags(std::vector<Flag> flags) {
    wasmtime_component_valflags_new_uninit(&raw, flags.size());
    for (size_t i = 0; i < flags.size(); i++) {
      raw.data[i] = flags[i].capi_release();
    }
  }

  /// The number of flags that are set.
  size_t size() const { return raw.size; }
  /// The first flag.
  const Flag *begin() const {
    static_assert(sizeof(Flag) == sizeof(*raw.data));
    return reinterpret_cast<const Flag *>(raw.data);
  }
  /// Past the last flag.
  const Flag *end() const { return begin() + raw.size; }
};

/// \brief An entry of a map, which owns it.
class MapEntry {
  wasmtime_component_valmap_entry_t entry;

  MapEntry() = delete;
  MapEntry(const MapEntry &) = delete;
  MapEntry &operator=(const MapEntry &) = delete;

public:
  /// The key.
  inline const Val &key() const;
  /// The value.
  inline const Val &value() const;
};

/// \brief A map: keys with values, in any order, which is kept, as duplicates
/// are.
class Map
    : public detail::ComponentValPart<Map, wasmtime_component_valmap_t,
                                      WASMTIME_COMPONENT_MAP,
                                      &wasmtime_component_valunion_t::map> {
public:
  using ComponentValPart::ComponentValPart;
  /// A map of these keys and values.
  inline Map(std::vector<std::pair<Val, Val>> entries);

  /// The number of entries.
  size_t size() const { return raw.size; }
  /// The first entry.
  const MapEntry *begin() const {
    static_assert(sizeof(MapEntry) == sizeof(*raw.data));
    return reinterpret_cast<const MapEntry *>(raw.data);
  }
  /// Past the last entry.
  const MapEntry *end() const { return begin() + raw.size; }
};

/// \brief A handle to a resource, the host's or a guest's, in a store.
///
/// A copy stands for the same resource. The end of a handle leaves the resource
/// alone: an owned one is dropped once, with `drop`, or by giving it to a guest
/// that takes it. A borrowed one is good as long as the call that it was
/// borrowed for.
class ResourceAny : public detail::Shared<detail::ComponentResourceAnyHandle> {
public:
  using Shared::Shared;

  /// The type of the resource.
  ResourceType type() const {
    return ResourceType(wasmtime_component_resource_any_type(capi()));
  }
  /// Whether the handle owns the resource, rather than borrowing it.
  bool owned() const { return wasmtime_component_resource_any_owned(capi()); }

  /// Drops the resource: where the handle owns it, its destructor runs. An
  /// error when it was dropped before, or given away, when the store is another
  /// one, and when the destructor fails.
  Result<std::monostate> drop(Store::Context cx) const {
    return detail::check(
        wasmtime_component_resource_any_drop(cx.capi(), capi()));
  }

  /// Takes a resource of the host's out of the store; every handle to an owned
  /// one is stale then. An error when it is a guest's, was dropped or given
  /// away, or is another store's.
  inline Result<ResourceHost> to_host(Store::Context cx) const;
};

/// \brief A resource of the host's, by numbers, outside of any store.
class ResourceHost
    : public detail::Shared<detail::ComponentResourceHostHandle> {
public:
  using Shared::Shared;
  /// A resource that the host knows by the number `rep`, of the type with the
  /// number `ty`.
  ResourceHost(bool owned, uint32_t rep, uint32_t ty)
      : Shared(wasmtime_component_resource_host_new(owned, rep, ty)) {}

  /// The number that the host knows it by.
  uint32_t rep() const { return wasmtime_component_resource_host_rep(capi()); }
  /// The number of its type.
  uint32_t type() const {
    return wasmtime_component_resource_host_type(capi());
  }
  /// Whether handles to it own it, rather than borrowing it.
  bool owned() const { return wasmtime_component_resource_host_owned(capi()); }

  /// Puts it into the store. An error when it is borrowed and no call is
  /// running that could borrow it.
  Result<ResourceAny> to_any(Store::Context cx) const {
    wasmtime_component_resource_any_t *any = nullptr;
    auto *error =
        wasmtime_component_resource_host_to_any(cx.capi(), capi(), &any);
    if (error != nullptr) {
      return Error(error);
    }
    return ResourceAny(any);
  }
};

inline Result<ResourceHost> ResourceAny::to_host(Store::Context cx) const {
  wasmtime_component_resource_host_t *host = nullptr;
  auto *error =
      wasmtime_component_resource_any_to_host(cx.capi(), capi(), &host);
  if (error != nullptr) {
    return Error(error);
  }
  return ResourceHost(host);
}

/// \brief A value of any kind, which owns what it holds.
///
/// Made from the C++ type of its kind; strings, characters and enumerations by
/// the functions `string`, `char_` and `enum_`.
class Val {
  using Union = wasmtime_component_valunion_t;

  wasmtime_component_val_t raw;

  template <typename T>
  Val(wasmtime_component_valkind_t kind, T Union::*member, T held) : raw{} {
    raw.kind = kind;
    raw.of.*member = held;
  }

  const Union &of(wasmtime_component_valkind_t kind) const {
    if (raw.kind != kind) {
      wasmtime::detail::fail("a value was taken for another kind than it has");
    }
    return raw.of;
  }

public:
  /// The C type.
  using Raw = wasmtime_component_val_t;

  /// Takes over a C value, and leaves it `false`.
  explicit Val(Raw &&other) noexcept : raw(std::exchange(other, Raw{})) {}
  Val(const Val &other) : raw{} {
    wasmtime_component_val_clone(&other.raw, &raw);
  }
  /// The other one is `false` afterwards.
  Val(Val &&other) noexcept : raw(other.capi_release()) {}
  Val &operator=(const Val &other) { return *this = Val(other); }
  Val &operator=(Val &&other) noexcept {
    std::swap(raw, other.raw);
    return *this;
  }
  ~Val() { wasmtime_component_val_delete(&raw); }

  /// A `bool`.
  Val(bool v) : Val(WASMTIME_COMPONENT_BOOL, &Union::boolean, v) {}
  /// A `u8`.
  Val(uint8_t v) : Val(WASMTIME_COMPONENT_U8, &Union::u8, v) {}
  /// A `s8`.
  Val(int8_t v) : Val(WASMTIME_COMPONENT_S8, &Union::s8, v) {}
  /// A `u16`.
  Val(uint16_t v) : Val(WASMTIME_COMPONENT_U16, &Union::u16, v) {}
  /// A `s16`.
  Val(int16_t v) : Val(WASMTIME_COMPONENT_S16, &Union::s16, v) {}
  /// A `u32`.
  Val(uint32_t v) : Val(WASMTIME_COMPONENT_U32, &Union::u32, v) {}
  /// A `s32`.
  Val(int32_t v) : Val(WASMTIME_COMPONENT_S32, &Union::s32, v) {}
  /// A `u64`.
  Val(uint64_t v) : Val(WASMTIME_COMPONENT_U64, &Union::u64, v) {}
  /// A `s64`.
  Val(int64_t v) : Val(WASMTIME_COMPONENT_S64, &Union::s64, v) {}
  /// A `f32`.
  Val(float v) : Val(WASMTIME_COMPONENT_F32, &Union::f32, v) {}
  /// A `f64`.
  Val(double v) : Val(WASMTIME_COMPONENT_F64, &Union::f64, v) {}
  /// A pointer is no value; it would be a `bool`.
  template <typename T> Val(T *) = delete;
  /// A list.
  Val(List v)
      : Val(WASMTIME_COMPONENT_LIST, &Union::list, v.capi_release()) {}
  /// A record.
  Val(Record v)
      : Val(WASMTIME_COMPONENT_RECORD, &Union::record, v.capi_release()) {}
  /// A tuple.
  Val(Tuple v)
      : Val(WASMTIME_COMPONENT_TUPLE, &Union::tuple, v.capi_release()) {}
  /// A variant.
  Val(Variant v)
      : Val(WASMTIME_COMPONENT_VARIANT, &Union::variant, v.capi_release()) {}
  /// An option.
  Val(WitOption v)
      : Val(WASMTIME_COMPONENT_OPTION, &Union::option, v.capi_release()) {}
  /// A result.
  Val(WitResult v)
      : Val(WASMTIME_COMPONENT_RESULT, &Union::result, v.capi_release()) {}
  /// Flags.
  Val(Flags v)
      : Val(WASMTIME_COMPONENT_FLAGS, &Union::flags, v.capi_release()) {}
  /// A map.
  Val(Map v)
      : Val(WASMTIME_COMPONENT_MAP, &Union::map, v.capi_release()) {}
  /// A handle to a resource.
  Val(ResourceAny v)
      : Val(WASMTIME_COMPONENT_RESOURCE, &Union::resource, v.capi_release()) {}
  /// A string, which should be UTF-8.
  static Val string(std::string_view text) {
    return Val(WASMTIME_COMPONENT_STRING, &Union::string,
               detail::new_component_name(text));
  }
  /// A `char`: a Unicode scalar value.
  static Val char_(uint32_t character) {
    return Val(WASMTIME_COMPONENT_CHAR, &Union::character, character);
  }
  /// The case of this name of an enumeration.
  static Val enum_(std::string_view name) {
    return Val(WASMTIME_COMPONENT_ENUM, &Union::enumeration,
               detail::new_component_name(name));
  }

  /// Whether it is a `bool`.
  bool is_bool() const { return raw.kind == WASMTIME_COMPONENT_BOOL; }
  /// Whether it is a `u8`.
  bool is_u8() const { return raw.kind == WASMTIME_COMPONENT_U8; }
  /// Whether it is a `s8`.
  bool is_s8() const { return raw.kind == WASMTIME_COMPONENT_S8; }
  /// Whether it is a `u16`.
  bool is_u16() const { return raw.kind == WASMTIME_COMPONENT_U16; }
  /// Whether it is a `s16`.
  bool is_s16() const { return raw.kind == WASMTIME_COMPONENT_S16; }
  /// Whether it is a `u32`.
  bool is_u32() const { return raw.kind == WASMTIME_COMPONENT_U32; }
  /// Whether it is a `s32`.
  bool is_s32() const { return raw.kind == WASMTIME_COMPONENT_S32; }
  /// Whether it is a `u64`.
  bool is_u64() const { return raw.kind == WASMTIME_COMPONENT_U64; }
  /// Whether it is a `s64`.
  bool is_s64() const { return raw.kind == WASMTIME_COMPONENT_S64; }
  /// Whether it is a `f32`.
  bool is_f32() const { return raw.kind == WASMTIME_COMPONENT_F32; }
  /// Whether it is a `f64`.
  bool is_f64() const { return raw.kind == WASMTIME_COMPONENT_F64; }
  /// Whether it is a `char`.
  bool is_char() const { return raw.kind == WASMTIME_COMPONENT_CHAR; }
  /// Whether it is a string.
  bool is_string() const { return raw.kind == WASMTIME_COMPONENT_STRING; }
  /// Whether it is a case of an enumeration.
  bool is_enum() const { return raw.kind == WASMTIME_COMPONENT_ENUM; }
  /// Whether it is a list.
  bool is_list() const { return raw.kind == WASMTIME_COMPONENT_LIST; }
  /// Whether it is a record.
  bool is_record() const { return raw.kind == WASMTIME_COMPONENT_RECORD; }
  /// Whether it is a tuple.
  bool is_tuple() const { return raw.kind == WASMTIME_COMPONENT_TUPLE; }
  /// Whether it is a variant.
  bool is_variant() const { return raw.kind == WASMTIME_COMPONENT_VARIANT; }
  /// Whether it is an option.
  bool is_option() const { return raw.kind == WASMTIME_COMPONENT_OPTION; }
  /// Whether it is a result.
  bool is_result() const { return raw.kind == WASMTIME_COMPONENT_RESULT; }
  /// Whether it is flags.
  bool is_flags() const { return raw.kind == WASMTIME_COMPONENT_FLAGS; }
  /// Whether it is a map.
  bool is_map() const { return raw.kind == WASMTIME_COMPONENT_MAP; }
  /// Whether it is a handle to a resource.
  bool is_resource() const { return raw.kind == WASMTIME_COMPONENT_RESOURCE; }

  // What the value holds. Of a value of another kind, asking ends the process
  // with a message.

  /// It as a `bool`.
  bool get_bool() const { return of(WASMTIME_COMPONENT_BOOL).boolean; }
  /// It as a `u8`.
  uint8_t get_u8() const { return of(WASMTIME_COMPONENT_U8).u8; }
  /// It as a `s8`.
  int8_t get_s8() const { return of(WASMTIME_COMPONENT_S8).s8; }
  /// It as a `u16`.
  uint16_t get_u16() const { return of(WASMTIME_COMPONENT_U16).u16; }
  /// It as a `s16`.
  int16_t get_s16() const { return of(WASMTIME_COMPONENT_S16).s16; }
  /// It as a `u32`.
  uint32_t get_u32() const { return of(WASMTIME_COMPONENT_U32).u32; }
  /// It as a `s32`.
  int32_t get_s32() const { return of(WASMTIME_COMPONENT_S32).s32; }
  /// It as a `u64`.
  uint64_t get_u64() const { return of(WASMTIME_COMPONENT_U64).u64; }
  /// It as a `s64`.
  int64_t get_s64() const { return of(WASMTIME_COMPONENT_S64).s64; }
  /// It as a `f32`.
  float get_f32() const { return of(WASMTIME_COMPONENT_F32).f32; }
  /// It as a `f64`.
  double get_f64() const { return of(WASMTIME_COMPONENT_F64).f64; }
  /// It as a `char`: a Unicode scalar value.
  uint32_t get_char() const { return of(WASMTIME_COMPONENT_CHAR).character; }
  /// The text of a string, which must not outlive it.
  std::string_view get_string() const {
    return detail::component_name(of(WASMTIME_COMPONENT_STRING).string);
  }
  /// The name of the case of an enumeration, which must not outlive it.
  std::string_view get_enum() const {
    return detail::component_name(of(WASMTIME_COMPONENT_ENUM).enumeration);
  }
  /// A list, which must not outlive this value.
  const List &get_list() const {
    return *List::from_capi(&of(WASMTIME_COMPONENT_LIST).list);
  }
  /// A record, which must not outlive this value.
  const Record &get_record() const {
    return *Record::from_capi(&of(WASMTIME_COMPONENT_RECORD).record);
  }
  /// A tuple, which must not outlive this value.
  const Tuple &get_tuple() const {
    return *Tuple::from_capi(&of(WASMTIME_COMPONENT_TUPLE).tuple);
  }
  /// A variant, which must not outlive this value.
  const Variant &get_variant() const {
    return *Variant::from_capi(&of(WASMTIME_COMPONENT_VARIANT).variant);
  }
  /// An option, which must not outlive this value.
  const WitOption &get_option() const {
    return *WitOption::from_capi(&of(WASMTIME_COMPONENT_OPTION).option);
  }
  /// A result, which must not outlive this value.
  const WitResult &get_result() const {
    return *WitResult::from_capi(&of(WASMTIME_COMPONENT_RESULT).result);
  }
  /// Flags, which must not outlive this value.
  const Flags &get_flags() const {
    return *Flags::from_capi(&of(WASMTIME_COMPONENT_FLAGS).flags);
  }
  /// A map, which must not outlive this value.
  const Map &get_map() const {
    return *Map::from_capi(&of(WASMTIME_COMPONENT_MAP).map);
  }
  /// A handle to a resource, which must not outlive this value.
  const ResourceAny &get_resource() const {
    return detail::owner_of<ResourceAny>(
        of(WASMTIME_COMPONENT_RESOURCE).resource);
  }

  /// A C value, seen as this class.
  static const Val *from_capi(const Raw *raw) {
    return reinterpret_cast<const Val *>(raw);
  }
  /// A C value, seen as this class.
  static Val *from_capi(Raw *raw) { return reinterpret_cast<Val *>(raw); }
  /// The C value that this is.
  static const Raw *to_capi(const Val *val) {
    return reinterpret_cast<const Raw *>(val);
  }
  /// The C value that this is.
  static Raw *to_capi(Val *val) { return reinterpret_cast<Raw *>(val); }

  /// The C value, which stays this value's.
  const Raw *capi() const { return &raw; }
  /// Gives up the C value to the caller; this is `false` afterwards.
  Raw capi_release() { return std::exchange(raw, Raw{}); }
};

// C values are seen as `Val`s where they are, arrays of them included.
static_assert(sizeof(Val) == sizeof(wasmtime_component_val_t));
static_assert(alignof(Val) == alignof(wasmtime_component_val_t));

} // namespace component

namespace detail {
/// A payload in memory of its own, or null for none.
inline wasmtime_component_val_t *
new_component_payload(std::optional<component::Val> value) {
  if (!value) {
    return nullptr;
  }
  wasmtime_component_val_t raw = value->capi_release();
  return wasmtime_component_val_new(&raw);
}
} // namespace detail

namespace component {

inline const Val &RecordField::value() const {
  return *Val::from_capi(&entry.val);
}

inline Record::Record(std::vector<std::pair<std::string_view, Val>> entries) {
  wasmtime_component_valrecord_new_uninit(&raw, entries.size());
  for (size_t i = 0; i < entries.size(); i++) {
    raw.data[i].name = detail::new_component_name(entries[i].first);
    raw.data[i].val = entries[i].second.capi_release();
  }
}

inline List::List(std::vector<Val> values) {
  wasmtime_component_vallist_new_uninit(&raw, values.size());
  for (size_t i = 0; i < values.size(); i++) {
    raw.data[i] = values[i].capi_release();
  }
}
inline const Val *List::begin() const { return Val::from_capi(raw.data); }
inline const Val *List::end() const { return begin() + raw.size; }

inline Tuple::Tuple(std::vector<Val> values) {
  wasmtime_component_valtuple_new_uninit(&raw, values.size());
  for (size_t i = 0; i < values.size(); i++) {
    raw.data[i] = values[i].capi_release();
  }
}
inline const Val *Tuple::begin() const { return Val::from_capi(raw.data); }
inline const Val *Tuple::end() const { return begin() + raw.size; }

inline Variant::Variant(std::string_view discriminant,
                        std::optional<Val> value) {
  raw.discriminant = detail::new_component_name(discriminant);
  raw.val = detail::new_component_payload(std::move(value));
}
inline const Val *Variant::value() const { return Val::from_capi(raw.val); }

inline WitOption::WitOption(std::optional<Val> value) {
  raw = detail::new_component_payload(std::move(value));
}
inline const Val *WitOption::value() const { return Val::from_capi(raw); }

inline WitResult::WitResult(bool is_ok, std::optional<Val> value) {
  raw.is_ok = is_ok;
  raw.val = detail::new_component_payload(std::move(value));
}
inline WitResult WitResult::ok(std::optional<Val> value) {
  return WitResult(true, std::move(value));
}
inline WitResult WitResult::err(std::optional<Val> value) {
  return WitResult(false, std::move(value));
}
inline const Val *WitResult::payload() const {
  return Val::from_capi(raw.val);
}

inline const Val &MapEntry::key() const { return *Val::from_capi(&entry.key); }
inline const Val &MapEntry::value() const {
  return *Val::from_capi(&entry.value);
}

inline Map::Map(std::vector<std::pair<Val, Val>> entries) {
  wasmtime_component_valmap_new_uninit(&raw, entries.size());
  for (size_t i = 0; i < entries.size(); i++) {
    raw.data[i].key = entries[i].first.capi_release();
    raw.data[i].value = entries[i].second.capi_release();
  }
}

} // namespace component
} // namespace wasmtime

#endif // WASMTIME_FEATURE_COMPONENT_MODEL

#endif // WASMTIME_COMPONENT_VAL_HH
