/**
 * \file wasmtime/component/types/val.hh
 *
 * \brief The types of values of the component model.
 */

#ifndef WASMTIME_COMPONENT_TYPES_VAL_HH
#define WASMTIME_COMPONENT_TYPES_VAL_HH

#include <wasmtime/conf.h>

#ifdef WASMTIME_FEATURE_COMPONENT_MODEL

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <wasmtime/component/types/val.h>
#include <wasmtime/helpers.hh>

namespace wasmtime {

namespace detail {
/// \brief A `Shared` that compares, by `Handle::equal`.
template <typename Handle> class ComponentTypeOf : public Shared<Handle> {
public:
  using Shared<Handle>::Shared;

  /// Whether the two are the same type.
  bool operator==(const ComponentTypeOf &other) const {
    return Handle::equal(this->capi(), other.capi());
  }
  /// Whether the two are different types.
  bool operator!=(const ComponentTypeOf &other) const {
    return !(*this == other);
  }
};

/// The owner of the pointer `raw`, which stays where it is: an owner is that
/// pointer and nothing else.
template <typename T> const T &owner_of(typename T::Raw *const &raw) {
  static_assert(sizeof(T) == sizeof(raw));
  return reinterpret_cast<const T &>(raw);
}

struct ComponentListTypeHandle {
  using Raw = wasmtime_component_list_type_t;
  static void destroy(Raw *raw) { wasmtime_component_list_type_delete(raw); }
  static Raw *copy(const Raw *raw) {
    return wasmtime_component_list_type_clone(raw);
  }
  static bool equal(const Raw *a, const Raw *b) {
    return wasmtime_component_list_type_equal(a, b);
  }
};

struct ComponentRecordTypeHandle {
  using Raw = wasmtime_component_record_type_t;
  static void destroy(Raw *raw) { wasmtime_component_record_type_delete(raw); }
  static Raw *copy(const Raw *raw) {
    return wasmtime_component_record_type_clone(raw);
  }
  static bool equal(const Raw *a, const Raw *b) {
    return wasmtime_component_record_type_equal(a, b);
  }
};

struct ComponentTupleTypeHandle {
  using Raw = wasmtime_component_tuple_type_t;
  static void destroy(Raw *raw) { wasmtime_component_tuple_type_delete(raw); }
  static Raw *copy(const Raw *raw) {
    return wasmtime_component_tuple_type_clone(raw);
  }
  static bool equal(const Raw *a, const Raw *b) {
    return wasmtime_component_tuple_type_equal(a, b);
  }
};

struct ComponentVariantTypeHandle {
  using Raw = wasmtime_component_variant_type_t;
  static void destroy(Raw *raw) { wasmtime_component_variant_type_delete(raw); }
  static Raw *copy(const Raw *raw) {
    return wasmtime_component_variant_type_clone(raw);
  }
  static bool equal(const Raw *a, const Raw *b) {
    return wasmtime_component_variant_type_equal(a, b);
  }
};

struct ComponentEnumTypeHandle {
  using Raw = wasmtime_component_enum_type_t;
  static void destroy(Raw *raw) { wasmtime_component_enum_type_delete(raw); }
  static Raw *copy(const Raw *raw) {
    return wasmtime_component_enum_type_clone(raw);
  }
  static bool equal(const Raw *a, const Raw *b) {
    return wasmtime_component_enum_type_equal(a, b);
  }
};

struct ComponentOptionTypeHandle {
  using Raw = wasmtime_component_option_type_t;
  static void destroy(Raw *raw) { wasmtime_component_option_type_delete(raw); }
  static Raw *copy(const Raw *raw) {
    return wasmtime_component_option_type_clone(raw);
  }
  static bool equal(const Raw *a, const Raw *b) {
    return wasmtime_component_option_type_equal(a, b);
  }
};

struct ComponentResultTypeHandle {
  using Raw = wasmtime_component_result_type_t;
  static void destroy(Raw *raw) { wasmtime_component_result_type_delete(raw); }
  static Raw *copy(const Raw *raw) {
    return wasmtime_component_result_type_clone(raw);
  }
  static bool equal(const Raw *a, const Raw *b) {
    return wasmtime_component_result_type_equal(a, b);
  }
};

struct ComponentFlagsTypeHandle {
  using Raw = wasmtime_component_flags_type_t;
  static void destroy(Raw *raw) { wasmtime_component_flags_type_delete(raw); }
  static Raw *copy(const Raw *raw) {
    return wasmtime_component_flags_type_clone(raw);
  }
  static bool equal(const Raw *a, const Raw *b) {
    return wasmtime_component_flags_type_equal(a, b);
  }
};

struct ComponentResourceTypeHandle {
  using Raw = wasmtime_component_resource_type_t;
  static void destroy(Raw *raw) {
    wasmtime_component_resource_type_delete(raw);
  }
  static Raw *copy(const Raw *raw) {
    return wasmtime_component_resource_type_clone(raw);
  }
  static bool equal(const Raw *a, const Raw *b) {
    return wasmtime_component_resource_type_equal(a, b);
  }
};

struct ComponentFutureTypeHandle {
  using Raw = wasmtime_component_future_type_t;
  static void destroy(Raw *raw) { wasmtime_component_future_type_delete(raw); }
  static Raw *copy(const Raw *raw) {
    return wasmtime_component_future_type_clone(raw);
  }
  static bool equal(const Raw *a, const Raw *b) {
    return wasmtime_component_future_type_equal(a, b);
  }
};

struct ComponentStreamTypeHandle {
  using Raw = wasmtime_component_stream_type_t;
  static void destroy(Raw *raw) { wasmtime_component_stream_type_delete(raw); }
  static Raw *copy(const Raw *raw) {
    return wasmtime_component_stream_type_clone(raw);
  }
  static bool equal(const Raw *a, const Raw *b) {
    return wasmtime_component_stream_type_equal(a, b);
  }
};

struct ComponentMapTypeHandle {
  using Raw = wasmtime_component_map_type_t;
  static void destroy(Raw *raw) { wasmtime_component_map_type_delete(raw); }
  static Raw *copy(const Raw *raw) {
    return wasmtime_component_map_type_clone(raw);
  }
  static bool equal(const Raw *a, const Raw *b) {
    return wasmtime_component_map_type_equal(a, b);
  }
};
} // namespace detail

namespace component {

class ValType;

/// \brief The type of lists.
class ListType
    : public detail::ComponentTypeOf<detail::ComponentListTypeHandle> {
public:
  using ComponentTypeOf::ComponentTypeOf;

  /// The type of the elements.
  inline ValType element() const;
};

/// \brief The type of records: fields with names, as declared.
class RecordType
    : public detail::ComponentTypeOf<detail::ComponentRecordTypeHandle> {
public:
  using ComponentTypeOf::ComponentTypeOf;

  /// The number of fields.
  size_t field_count() const {
    return wasmtime_component_record_type_field_count(capi());
  }
  /// The name of field number `nth`, which lives as long as this type, and its
  /// type; nothing past the last.
  inline std::optional<std::pair<std::string_view, ValType>>
  field_nth(size_t nth) const;
};

/// \brief The type of tuples.
class TupleType
    : public detail::ComponentTypeOf<detail::ComponentTupleTypeHandle> {
public:
  using ComponentTypeOf::ComponentTypeOf;

  /// The number of elements.
  size_t types_count() const {
    return wasmtime_component_tuple_type_types_count(capi());
  }
  /// The type of element number `nth`; nothing past the last.
  inline std::optional<ValType> types_nth(size_t nth) const;
};

/// \brief The type of variants: cases with names, as declared, each perhaps
/// with a payload.
class VariantType
    : public detail::ComponentTypeOf<detail::ComponentVariantTypeHandle> {
public:
  using ComponentTypeOf::ComponentTypeOf;

  /// The number of cases.
  size_t case_count() const {
    return wasmtime_component_variant_type_case_count(capi());
  }
  /// The name of case number `nth`, which lives as long as this type, and the
  /// type of its payload, if it has one; nothing past the last.
  inline std::optional<std::pair<std::string_view, std::optional<ValType>>>
  case_nth(size_t nth) const;
};

/// \brief The type of enumerations: names, as declared.
class EnumType
    : public detail::ComponentTypeOf<detail::ComponentEnumTypeHandle> {
public:
  using ComponentTypeOf::ComponentTypeOf;

  /// The number of names.
  size_t names_count() const {
    return wasmtime_component_enum_type_names_count(capi());
  }
  /// Name number `nth`, which lives as long as this type; nothing past the
  /// last.
  std::optional<std::string_view> names_nth(size_t nth) const {
    const char *name = nullptr;
    size_t size = 0;
    if (!wasmtime_component_enum_type_names_nth(capi(), nth, &name, &size)) {
      return std::nullopt;
    }
    return std::string_view(name, size);
  }
};

/// \brief The type of optional values.
class OptionType
    : public detail::ComponentTypeOf<detail::ComponentOptionTypeHandle> {
public:
  using ComponentTypeOf::ComponentTypeOf;

  /// The type of the value where there is one.
  inline ValType ty() const;
};

/// \brief The type of results: success or failure, each perhaps with a value.
class ResultType
    : public detail::ComponentTypeOf<detail::ComponentResultTypeHandle> {
public:
  using ComponentTypeOf::ComponentTypeOf;

  /// The type of the value of success, if it has one.
  inline std::optional<ValType> ok() const;
  /// The type of the value of failure, if it has one.
  inline std::optional<ValType> err() const;
};

/// \brief The type of flags: names, as declared.
class FlagsType
    : public detail::ComponentTypeOf<detail::ComponentFlagsTypeHandle> {
public:
  using ComponentTypeOf::ComponentTypeOf;

  /// The number of names.
  size_t names_count() const {
    return wasmtime_component_flags_type_names_count(capi());
  }
  /// Name number `nth`, which lives as long as this type; nothing past the
  /// last.
  std::optional<std::string_view> names_nth(size_t nth) const {
    const char *name = nullptr;
    size_t size = 0;
    if (!wasmtime_component_flags_type_names_nth(capi(), nth, &name, &size)) {
      return std::nullopt;
    }
    return std::string_view(name, size);
  }
};

/// \brief Which resource a handle stands for: one of the host's, or one that a
/// component instance defines. Types of the host's are the same when their
/// numbers are.
class ResourceType
    : public detail::ComponentTypeOf<detail::ComponentResourceTypeHandle> {
public:
  using ComponentTypeOf::ComponentTypeOf;

  /// The type of the host's with this number.
  explicit ResourceType(uint32_t ty)
      : ComponentTypeOf(wasmtime_component_resource_type_new_host(ty)) {}
};

/// \brief The type of futures.
class FutureType
    : public detail::ComponentTypeOf<detail::ComponentFutureTypeHandle> {
public:
  using ComponentTypeOf::ComponentTypeOf;

  /// The type of the value that comes, if there is one.
  inline std::optional<ValType> ty() const;
};

/// \brief The type of streams.
class StreamType
    : public detail::ComponentTypeOf<detail::ComponentStreamTypeHandle> {
public:
  using ComponentTypeOf::ComponentTypeOf;

  /// The type of the elements, if they have a value.
  inline std::optional<ValType> ty() const;
};

/// \brief The type of maps.
class MapType : public detail::ComponentTypeOf<detail::ComponentMapTypeHandle> {
public:
  using ComponentTypeOf::ComponentTypeOf;

  /// The type of the keys.
  inline ValType key() const;
  /// The type of the values.
  inline ValType value() const;
};

/// \brief A type of values. Copies are the same type, which may outlive what it
/// describes.
class ValType {
  using Union = wasmtime_component_valtype_union_t;

  wasmtime_component_valtype_t raw;

  explicit ValType(wasmtime_component_valtype_kind_t kind) : raw{} {
    raw.kind = kind;
  }
  template <typename T>
  ValType(wasmtime_component_valtype_kind_t kind,
          typename T::Raw *Union::*member, T type)
      : ValType(kind) {
    raw.of.*member = type.capi_release();
  }

  template <typename T>
  const T &described_by(wasmtime_component_valtype_kind_t kind,
                        typename T::Raw *const Union::*member) const {
    if (raw.kind != kind) {
      wasmtime::detail::fail("a value type of another kind");
    }
    return detail::owner_of<T>(raw.of.*member);
  }

public:
  /// Takes over a C type.
  explicit ValType(wasmtime_component_valtype_t &&type) : raw(type) {
    type.kind = WASMTIME_COMPONENT_VALTYPE_BOOL;
  }
  ValType(const ValType &other) : raw{} {
    wasmtime_component_valtype_clone(&other.raw, &raw);
  }
  /// The other one is `bool` afterwards.
  ValType(ValType &&other) noexcept : ValType(std::move(other.raw)) {}
  ValType &operator=(const ValType &other) {
    return *this = ValType(other);
  }
  ValType &operator=(ValType &&other) noexcept {
    std::swap(raw, other.raw);
    return *this;
  }
  ~ValType() { wasmtime_component_valtype_delete(&raw); }

  /// Whether the two are the same type: in structure, also across components,
  /// and of resources in identity.
  bool operator==(const ValType &other) const {
    return wasmtime_component_valtype_equal(&raw, &other.raw);
  }
  /// Whether the two are different types.
  bool operator!=(const ValType &other) const { return !(*this == other); }

  /// A list type.
  ValType(ListType type)
      : ValType(WASMTIME_COMPONENT_VALTYPE_LIST, &Union::list,
                std::move(type)) {}
  /// A record type.
  ValType(RecordType type)
      : ValType(WASMTIME_COMPONENT_VALTYPE_RECORD, &Union::record,
                std::move(type)) {}
  /// A tuple type.
  ValType(TupleType type)
      : ValType(WASMTIME_COMPONENT_VALTYPE_TUPLE, &Union::tuple,
                std::move(type)) {}
  /// A variant type.
  ValType(VariantType type)
      : ValType(WASMTIME_COMPONENT_VALTYPE_VARIANT, &Union::variant,
                std::move(type)) {}
  /// An enum type.
  ValType(EnumType type)
      : ValType(WASMTIME_COMPONENT_VALTYPE_ENUM, &Union::enum_,
                std::move(type)) {}
  /// An option type.
  ValType(OptionType type)
      : ValType(WASMTIME_COMPONENT_VALTYPE_OPTION, &Union::option,
                std::move(type)) {}
  /// A result type.
  ValType(ResultType type)
      : ValType(WASMTIME_COMPONENT_VALTYPE_RESULT, &Union::result,
                std::move(type)) {}
  /// A flags type.
  ValType(FlagsType type)
      : ValType(WASMTIME_COMPONENT_VALTYPE_FLAGS, &Union::flags,
                std::move(type)) {}
  /// A future type.
  ValType(FutureType type)
      : ValType(WASMTIME_COMPONENT_VALTYPE_FUTURE, &Union::future,
                std::move(type)) {}
  /// A stream type.
  ValType(StreamType type)
      : ValType(WASMTIME_COMPONENT_VALTYPE_STREAM, &Union::stream,
                std::move(type)) {}
  /// A map type.
  ValType(MapType type)
      : ValType(WASMTIME_COMPONENT_VALTYPE_MAP, &Union::map,
                std::move(type)) {}

  /// The type `bool`.
  static ValType new_bool() {
    return ValType(wasmtime_component_valtype_kind_t{
        WASMTIME_COMPONENT_VALTYPE_BOOL});
  }
  /// The type `s8`.
  static ValType new_s8() {
    return ValType(wasmtime_component_valtype_kind_t{
        WASMTIME_COMPONENT_VALTYPE_S8});
  }
  /// The type `s16`.
  static ValType new_s16() {
    return ValType(wasmtime_component_valtype_kind_t{
        WASMTIME_COMPONENT_VALTYPE_S16});
  }
  /// The type `s32`.
  static ValType new_s32() {
    return ValType(wasmtime_component_valtype_kind_t{
        WASMTIME_COMPONENT_VALTYPE_S32});
  }
  /// The type `s64`.
  static ValType new_s64() {
    return ValType(wasmtime_component_valtype_kind_t{
        WASMTIME_COMPONENT_VALTYPE_S64});
  }
  /// The type `u8`.
  static ValType new_u8() {
    return ValType(wasmtime_component_valtype_kind_t{
        WASMTIME_COMPONENT_VALTYPE_U8});
  }
  /// The type `u16`.
  static ValType new_u16() {
    return ValType(wasmtime_component_valtype_kind_t{
        WASMTIME_COMPONENT_VALTYPE_U16});
  }
  /// The type `u32`.
  static ValType new_u32() {
    return ValType(wasmtime_component_valtype_kind_t{
        WASMTIME_COMPONENT_VALTYPE_U32});
  }
  /// The type `u64`.
  static ValType new_u64() {
    return ValType(wasmtime_component_valtype_kind_t{
        WASMTIME_COMPONENT_VALTYPE_U64});
  }
  /// The type `f32`.
  static ValType new_f32() {
    return ValType(wasmtime_component_valtype_kind_t{
        WASMTIME_COMPONENT_VALTYPE_F32});
  }
  /// The type `f64`.
  static ValType new_f64() {
    return ValType(wasmtime_component_valtype_kind_t{
        WASMTIME_COMPONENT_VALTYPE_F64});
  }
  /// The type `char`.
  static ValType new_char() {
    return ValType(wasmtime_component_valtype_kind_t{
        WASMTIME_COMPONENT_VALTYPE_CHAR});
  }
  /// The type `string`.
  static ValType new_string() {
    return ValType(wasmtime_component_valtype_kind_t{
        WASMTIME_COMPONENT_VALTYPE_STRING});
  }
  /// The type `error-context`.
  static ValType new_error_context() {
    return ValType(wasmtime_component_valtype_kind_t{
        WASMTIME_COMPONENT_VALTYPE_ERROR_CONTEXT});
  }
  /// The type of owned handles to such a resource.
  static ValType new_own(ResourceType type) {
    return ValType(WASMTIME_COMPONENT_VALTYPE_OWN, &Union::own,
                   std::move(type));
  }
  /// The type of borrowed handles to such a resource.
  static ValType new_borrow(ResourceType type) {
    return ValType(WASMTIME_COMPONENT_VALTYPE_BORROW, &Union::borrow,
                   std::move(type));
  }

  /// Which type it is: one of the `WASMTIME_COMPONENT_VALTYPE_*` constants.
  wasmtime_component_valtype_kind_t kind() const { return raw.kind; }

  /// Whether it is `bool`.
  bool is_bool() const {
    return raw.kind == WASMTIME_COMPONENT_VALTYPE_BOOL;
  }
  /// Whether it is `s8`.
  bool is_s8() const {
    return raw.kind == WASMTIME_COMPONENT_VALTYPE_S8;
  }
  /// Whether it is `s16`.
  bool is_s16() const {
    return raw.kind == WASMTIME_COMPONENT_VALTYPE_S16;
  }
  /// Whether it is `s32`.
  bool is_s32() const {
    return raw.kind == WASMTIME_COMPONENT_VALTYPE_S32;
  }
  /// Whether it is `s64`.
  bool is_s64() const {
    return raw.kind == WASMTIME_COMPONENT_VALTYPE_S64;
  }
  /// Whether it is `u8`.
  bool is_u8() const {
    return raw.kind == WASMTIME_COMPONENT_VALTYPE_U8;
  }
  /// Whether it is `u16`.
  bool is_u16() const {
    return raw.kind == WASMTIME_COMPONENT_VALTYPE_U16;
  }
  /// Whether it is `u32`.
  bool is_u32() const {
    return raw.kind == WASMTIME_COMPONENT_VALTYPE_U32;
  }
  /// Whether it is `u64`.
  bool is_u64() const {
    return raw.kind == WASMTIME_COMPONENT_VALTYPE_U64;
  }
  /// Whether it is `f32`.
  bool is_f32() const {
    return raw.kind == WASMTIME_COMPONENT_VALTYPE_F32;
  }
  /// Whether it is `f64`.
  bool is_f64() const {
    return raw.kind == WASMTIME_COMPONENT_VALTYPE_F64;
  }
  /// Whether it is `char`.
  bool is_char() const {
    return raw.kind == WASMTIME_COMPONENT_VALTYPE_CHAR;
  }
  /// Whether it is `string`.
  bool is_string() const {
    return raw.kind == WASMTIME_COMPONENT_VALTYPE_STRING;
  }
  /// Whether it is `error-context`.
  bool is_error_context() const {
    return raw.kind == WASMTIME_COMPONENT_VALTYPE_ERROR_CONTEXT;
  }
  /// Whether it is a list type.
  bool is_list() const {
    return raw.kind == WASMTIME_COMPONENT_VALTYPE_LIST;
  }
  /// Whether it is a record type.
  bool is_record() const {
    return raw.kind == WASMTIME_COMPONENT_VALTYPE_RECORD;
  }
  /// Whether it is a tuple type.
  bool is_tuple() const {
    return raw.kind == WASMTIME_COMPONENT_VALTYPE_TUPLE;
  }
  /// Whether it is a variant type.
  bool is_variant() const {
    return raw.kind == WASMTIME_COMPONENT_VALTYPE_VARIANT;
  }
  /// Whether it is an enum type.
  bool is_enum() const {
    return raw.kind == WASMTIME_COMPONENT_VALTYPE_ENUM;
  }
  /// Whether it is an option type.
  bool is_option() const {
    return raw.kind == WASMTIME_COMPONENT_VALTYPE_OPTION;
  }
  /// Whether it is a result type.
  bool is_result() const {
    return raw.kind == WASMTIME_COMPONENT_VALTYPE_RESULT;
  }
  /// Whether it is a flags type.
  bool is_flags() const {
    return raw.kind == WASMTIME_COMPONENT_VALTYPE_FLAGS;
  }
  /// Whether it is a future type.
  bool is_future() const {
    return raw.kind == WASMTIME_COMPONENT_VALTYPE_FUTURE;
  }
  /// Whether it is a stream type.
  bool is_stream() const {
    return raw.kind == WASMTIME_COMPONENT_VALTYPE_STREAM;
  }
  /// Whether it is a map type.
  bool is_map() const {
    return raw.kind == WASMTIME_COMPONENT_VALTYPE_MAP;
  }
  /// Whether it is a type of own handles.
  bool is_own() const {
    return raw.kind == WASMTIME_COMPONENT_VALTYPE_OWN;
  }
  /// Whether it is a type of borrow handles.
  bool is_borrow() const {
    return raw.kind == WASMTIME_COMPONENT_VALTYPE_BORROW;
  }

  // What describes the type, which it keeps. Of a type of another kind, asking
  // ends the process with a message.

  /// It as a list type.
  const ListType &list() const {
    return described_by<ListType>(WASMTIME_COMPONENT_VALTYPE_LIST,
                              &Union::list);
  }
  /// It as a record type.
  const RecordType &record() const {
    return described_by<RecordType>(WASMTIME_COMPONENT_VALTYPE_RECORD,
                              &Union::record);
  }
  /// It as a tuple type.
  const TupleType &tuple() const {
    return described_by<TupleType>(WASMTIME_COMPONENT_VALTYPE_TUPLE,
                              &Union::tuple);
  }
  /// It as a variant type.
  const VariantType &variant() const {
    return described_by<VariantType>(WASMTIME_COMPONENT_VALTYPE_VARIANT,
                              &Union::variant);
  }
  /// It as an enum type.
  const EnumType &enum_() const {
    return described_by<EnumType>(WASMTIME_COMPONENT_VALTYPE_ENUM,
                              &Union::enum_);
  }
  /// It as an option type.
  const OptionType &option() const {
    return described_by<OptionType>(WASMTIME_COMPONENT_VALTYPE_OPTION,
                              &Union::option);
  }
  /// It as a result type.
  const ResultType &result() const {
    return described_by<ResultType>(WASMTIME_COMPONENT_VALTYPE_RESULT,
                              &Union::result);
  }
  /// It as a flags type.
  const FlagsType &flags() const {
    return described_by<FlagsType>(WASMTIME_COMPONENT_VALTYPE_FLAGS,
                              &Union::flags);
  }
  /// It as a future type.
  const FutureType &future() const {
    return described_by<FutureType>(WASMTIME_COMPONENT_VALTYPE_FUTURE,
                              &Union::future);
  }
  /// It as a stream type.
  const StreamType &stream() const {
    return described_by<StreamType>(WASMTIME_COMPONENT_VALTYPE_STREAM,
                              &Union::stream);
  }
  /// It as a map type.
  const MapType &map() const {
    return described_by<MapType>(WASMTIME_COMPONENT_VALTYPE_MAP,
                              &Union::map);
  }
  /// The resource that owned handles stand for.
  const ResourceType &own() const {
    return described_by<ResourceType>(WASMTIME_COMPONENT_VALTYPE_OWN,
                              &Union::own);
  }
  /// The resource that borrowed handles stand for.
  const ResourceType &borrow() const {
    return described_by<ResourceType>(WASMTIME_COMPONENT_VALTYPE_BORROW,
                              &Union::borrow);
  }

  /// The C type, which stays this value's.
  const wasmtime_component_valtype_t *capi() const { return &raw; }
};

inline ValType ListType::element() const {
  wasmtime_component_valtype_t type;
  wasmtime_component_list_type_element(capi(), &type);
  return ValType(std::move(type));
}

inline std::optional<std::pair<std::string_view, ValType>>
RecordType::field_nth(size_t nth) const {
  wasmtime_component_valtype_t type;
  const char *name = nullptr;
  size_t size = 0;
  if (!wasmtime_component_record_type_field_nth(capi(), nth, &name, &size,
                                                &type)) {
    return std::nullopt;
  }
  return std::pair(std::string_view(name, size), ValType(std::move(type)));
}

inline std::optional<ValType> TupleType::types_nth(size_t nth) const {
  wasmtime_component_valtype_t type;
  if (!wasmtime_component_tuple_type_types_nth(capi(), nth, &type)) {
    return std::nullopt;
  }
  return ValType(std::move(type));
}

inline std::optional<std::pair<std::string_view, std::optional<ValType>>>
VariantType::case_nth(size_t nth) const {
  wasmtime_component_valtype_t type;
  const char *name = nullptr;
  size_t size = 0;
  bool has_payload = false;
  if (!wasmtime_component_variant_type_case_nth(capi(), nth, &name, &size,
                                                &has_payload, &type)) {
    return std::nullopt;
  }
  std::optional<ValType> payload;
  if (has_payload) {
    payload = ValType(std::move(type));
  }
  return std::pair(std::string_view(name, size), std::move(payload));
}

inline ValType OptionType::ty() const {
  wasmtime_component_valtype_t type;
  wasmtime_component_option_type_ty(capi(), &type);
  return ValType(std::move(type));
}

inline std::optional<ValType> ResultType::ok() const {
  wasmtime_component_valtype_t type;
  if (!wasmtime_component_result_type_ok(capi(), &type)) {
    return std::nullopt;
  }
  return ValType(std::move(type));
}

inline std::optional<ValType> ResultType::err() const {
  wasmtime_component_valtype_t type;
  if (!wasmtime_component_result_type_err(capi(), &type)) {
    return std::nullopt;
  }
  return ValType(std::move(type));
}

inline std::optional<ValType> FutureType::ty() const {
  wasmtime_component_valtype_t type;
  if (!wasmtime_component_future_type_ty(capi(), &type)) {
    return std::nullopt;
  }
  return ValType(std::move(type));
}

inline std::optional<ValType> StreamType::ty() const {
  wasmtime_component_valtype_t type;
  if (!wasmtime_component_stream_type_ty(capi(), &type)) {
    return std::nullopt;
  }
  return ValType(std::move(type));
}

inline ValType MapType::key() const {
  wasmtime_component_valtype_t type;
  wasmtime_component_map_type_key(capi(), &type);
  return ValType(std::move(type));
}

inline ValType MapType::value() const {
  wasmtime_component_valtype_t type;
  wasmtime_component_map_type_value(capi(), &type);
  return ValType(std::move(type));
}

} // namespace component
} // namespace wasmtime

#endif // WASMTIME_FEATURE_COMPONENT_MODEL

#endif // WASMTIME_COMPONENT_TYPES_VAL_HH
