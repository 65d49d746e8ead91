/**
 * \file wasmtime/types/export.hh
 *
 * \brief What a module exports.
 */

#ifndef WASMTIME_TYPES_EXPORT_HH
#define WASMTIME_TYPES_EXPORT_HH

#include <wasmtime/types/import.hh>

namespace wasmtime {

namespace detail {
struct ExportTypeHandle {
  using Raw = wasm_exporttype_t;
  static void destroy(Raw *raw) { wasm_exporttype_delete(raw); }
  static Raw *copy(const Raw *raw) { return wasm_exporttype_copy(raw); }
};

inline void delete_exports(wasm_exporttype_vec_t *list) {
  wasm_exporttype_vec_delete(list);
}
} // namespace detail

/// \brief What a module exports: a name, and a type that `ExternType` reads.
class ExportType : public detail::Shared<detail::ExportTypeHandle> {
public:
  using Shared::Shared;

  /// \brief Looks at an export that somebody else owns.
  class Ref : public detail::TypeRef<wasm_exporttype_t> {
  public:
    using TypeRef::TypeRef;
    /// The name of the item.
    std::string_view name() const {
      return detail::name_view(wasm_exporttype_name(raw));
    }
    /// The C type of the item; see `ExternType::from_export`.
    const wasm_externtype_t *raw_type() const {
      return wasm_exporttype_type(raw);
    }
  };

  /// Looks at it; the result must not outlive this.
  Ref ref() const { return Ref(capi()); }

  /// \brief All exports of a module, in order.
  using List =
      detail::TypeList<wasm_exporttype_vec_t, detail::delete_exports, Ref>;
};

} // namespace wasmtime

#endif // WASMTIME_TYPES_EXPORT_HH
