/**
 * \file wasmtime/types/table.hh
 *
 * \brief The types of tables.
 */

#ifndef WASMTIME_TYPES_TABLE_HH
#define WASMTIME_TYPES_TABLE_HH

#include <optional>
#include <wasmtime/types/val.hh>

namespace wasmtime {

class TableType;

namespace detail {
struct TableTypeHandle {
  using Raw = wasm_tabletype_t;
  static void destroy(Raw *raw) { wasm_tabletype_delete(raw); }
  static Raw *copy(const Raw *raw) { return wasm_tabletype_copy(raw); }
};

/// The `Ref` of `TableType`.
class TableTypeRef : public TypeRef<wasm_tabletype_t> {
public:
  using TypeRef::TypeRef;
  /// Looks at `type`, which must outlive this.
  inline TableTypeRef(const TableType &type);

  /// The number of elements at the beginning.
  uint32_t min() const { return wasm_tabletype_limits(raw)->min; }
  /// The number of elements that growth may reach, if there is a bound.
  std::optional<uint32_t> max() const {
    uint32_t max = wasm_tabletype_limits(raw)->max;
    if (max == wasm_limits_max_default) {
      return std::nullopt;
    }
    return max;
  }
  /// The type of the elements.
  ValType::Ref element() const { return wasm_tabletype_element(raw); }
};
} // namespace detail

/// \brief The element type and limits of a table.
class TableType
    : public detail::OwnedType<detail::TableTypeHandle, detail::TableTypeRef> {
  static wasm_tabletype_t *make(ValType &element, wasm_limits_t limits) {
    return wasm_tabletype_new(element.capi_release(), &limits);
  }

public:
  /// \brief Looks at a table type that somebody else owns.
  using Ref = detail::TableTypeRef;

  using OwnedType::OwnedType;
  /// Tables of at least `min` elements.
  TableType(ValType element, uint32_t min)
      : OwnedType(make(element, {min, wasm_limits_max_default})) {}
  /// Tables of `min` to `max` elements.
  TableType(ValType element, uint32_t min, uint32_t max)
      : OwnedType(make(element, {min, max})) {}
};

inline detail::TableTypeRef::TableTypeRef(const TableType &type)
    : TypeRef(type.capi()) {}

} // namespace wasmtime

#endif // WASMTIME_TYPES_TABLE_HH
