/**
 * \file wasmtime/table.hh
 *
 * \brief Tables of references.
 */

#ifndef WASMTIME_TABLE_HH
#define WASMTIME_TABLE_HH

#include <optional>
#include <wasmtime/error.hh>
#include <wasmtime/store.hh>
#include <wasmtime/table.h>
#include <wasmtime/types/table.hh>

namespace wasmtime {

class Val;

/// \brief A handle to a table of a store.
class Table {
  wasmtime_table_t table;

public:
  /// Takes a C handle.
  Table(wasmtime_table_t table_) : table(table_) {}

  /// A new table, each element being `init`. An error when that does not match
  /// the type, or a limit of the store is exceeded.
  static inline Result<Table> create(Store::Context cx, const TableType &type,
                                     const Val &init);

  /// The type of the table.
  TableType type(Store::Context cx) const {
    return TableType(wasmtime_table_type(cx.capi(), &table));
  }
  /// The number of elements.
  uint64_t size(Store::Context cx) const {
    return wasmtime_table_size(cx.capi(), &table);
  }
  /// Element number `index`; nothing past the end.
  inline std::optional<Val> get(Store::Context cx, uint64_t index) const;
  /// Sets element number `index`. An error past the end, or when the value does
  /// not match.
  inline Result<std::monostate> set(Store::Context cx, uint64_t index,
                                    const Val &val) const;
  /// Adds `delta` elements, each being `init`, and returns the size before. An
  /// error when the table cannot grow that far.
  inline Result<uint64_t> grow(Store::Context cx, uint64_t delta,
                               const Val &init) const;

  /// The C handle.
  const wasmtime_table_t &capi() const { return table; }
};

} // namespace wasmtime

#include <wasmtime/val.hh>

namespace wasmtime {

inline Result<Table> Table::create(Store::Context cx, const TableType &type,
                                   const Val &init) {
  wasmtime_table_t table;
  auto *error = wasmtime_table_new(cx.capi(), type.capi(), init.capi(), &table);
  if (error != nullptr) {
    return Error(error);
  }
  return Table(table);
}

inline std::optional<Val> Table::get(Store::Context cx, uint64_t index) const {
  wasmtime_val_t val;
  if (!wasmtime_table_get(cx.capi(), &table, index, &val)) {
    return std::nullopt;
  }
  return Val(val);
}

inline Result<std::monostate> Table::set(Store::Context cx, uint64_t index,
                                         const Val &val) const {
  return detail::check(
      wasmtime_table_set(cx.capi(), &table, index, val.capi()));
}

inline Result<uint64_t> Table::grow(Store::Context cx, uint64_t delta,
                                    const Val &init) const {
  uint64_t before = 0;
  auto *error =
      wasmtime_table_grow(cx.capi(), &table, delta, init.capi(), &before);
  if (error != nullptr) {
    return Error(error);
  }
  return before;
}

} // namespace wasmtime

#endif // WASMTIME_TABLE_HH
