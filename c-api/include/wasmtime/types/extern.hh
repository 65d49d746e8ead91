/**
 * \file wasmtime/types/extern.hh
 *
 * \brief The types of everything that can be imported or exported.
 */

#ifndef WASMTIME_TYPES_EXTERN_HH
#define WASMTIME_TYPES_EXTERN_HH

#include <variant>
#include <wasmtime/types/export.hh>
#include <wasmtime/types/func.hh>
#include <wasmtime/types/global.hh>
#include <wasmtime/types/import.hh>
#include <wasmtime/types/memory.hh>
#include <wasmtime/types/table.hh>
#include <wasmtime/types/tag.hh>

namespace wasmtime {

namespace detail {
struct ExternTypeHandle {
  using Raw = wasm_externtype_t;
  static void destroy(Raw *raw) { wasm_externtype_delete(raw); }
  static Raw *copy(const Raw *raw) { return wasm_externtype_copy(raw); }
};
} // namespace detail

/// \brief The type of an item of any kind.
class ExternType : public detail::Shared<detail::ExternTypeHandle> {
public:
  /// \brief Looks at the type of an item that somebody else owns.
  typedef std::variant<FuncType::Ref, GlobalType::Ref, TableType::Ref,
                       MemoryType::Ref, TagType::Ref>
      Ref;

  /// Takes over a C type.
  explicit ExternType(wasm_externtype_t *type) : Shared(type) {}

  /// Looks at this type, which must outlive the result.
  Ref ref() const { return ref_from_c(capi()); }

  /// The type of an import, whose list must outlive the result.
  static Ref from_import(ImportType::Ref type) {
    return ref_from_c(type.raw_type());
  }
  /// The type of an export, whose list must outlive the result.
  static Ref from_export(ExportType::Ref type) {
    return ref_from_c(type.raw_type());
  }
  /// Looks at a C type, which must outlive the result.
  static Ref ref_from_c(const wasm_externtype_t *type) {
    switch (wasm_externtype_kind(type)) {
    case WASM_EXTERN_FUNC:
      return FuncType::Ref(wasm_externtype_as_functype_const(type));
    case WASM_EXTERN_GLOBAL:
      return GlobalType::Ref(wasm_externtype_as_globaltype_const(type));
    case WASM_EXTERN_TABLE:
      return TableType::Ref(wasm_externtype_as_tabletype_const(type));
    case WASM_EXTERN_MEMORY:
      return MemoryType::Ref(wasm_externtype_as_memorytype_const(type));
    case WASM_EXTERN_TAG:
      return TagType::Ref(wasm_externtype_as_tagtype_const(type));
    default: detail::fail("the type of an item of an unknown kind");
    }
  }
};

} // namespace wasmtime

#endif // WASMTIME_TYPES_EXTERN_HH
