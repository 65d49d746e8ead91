/**
 * \file wasmtime/types/import.hh
 *
 * \brief What a module imports.
 */

#ifndef WASMTIME_TYPES_IMPORT_HH
#define WASMTIME_TYPES_IMPORT_HH

#include <string_view>
#include <wasmtime/types/val.hh>

namespace wasmtime {

namespace detail {
/// \brief Owns a list of types, whose elements are looked at through `View`s.
///
/// Moves, does not copy; a `View` must not outlive it.
template <typename Vec, void (*Delete)(Vec *), typename View> class TypeList {
  Vec list;

public:
  /// Takes over a C list.
  explicit TypeList(Vec list_) : list(list_) {}
  TypeList(const TypeList &) = delete;
  TypeList &operator=(const TypeList &) = delete;
  TypeList(TypeList &&other) noexcept : list(other.list) {
    other.list.size = 0;
    other.list.data = nullptr;
  }
  TypeList &operator=(TypeList &&other) noexcept {
    std::swap(list, other.list);
    return *this;
  }
  ~TypeList() {
    if (list.size > 0) {
      Delete(&list);
    }
  }

  /// Goes through the elements.
  typedef const View *iterator;

  /// The first element.
  iterator begin() const {
    // A `View` is one pointer, so the list is an array of them.
    static_assert(sizeof(View) == sizeof(*list.data));
    return reinterpret_cast<iterator>(list.data);
  }
  /// Past the last element.
  iterator end() const { return begin() + list.size; }
  /// The number of elements.
  size_t size() const { return list.size; }
  /// Element number `index`, which must be below `size()`.
  const View &operator[](size_t index) const { return begin()[index]; }
};

inline std::string_view name_view(const wasm_name_t *name) {
  return {name->data, name->size};
}

struct ImportTypeHandle {
  using Raw = wasm_importtype_t;
  static void destroy(Raw *raw) { wasm_importtype_delete(raw); }
  static Raw *copy(const Raw *raw) { return wasm_importtype_copy(raw); }
};

inline void delete_imports(wasm_importtype_vec_t *list) {
  wasm_importtype_vec_delete(list);
}
} // namespace detail

/// \brief What a module imports: names, and a type that `ExternType` reads.
class ImportType : public detail::Shared<detail::ImportTypeHandle> {
public:
  using Shared::Shared;

  /// \brief Looks at an import that somebody else owns.
  class Ref : public detail::TypeRef<wasm_importtype_t> {
  public:
    using TypeRef::TypeRef;
    /// The name of the module.
    std::string_view module() const {
      return detail::name_view(wasm_importtype_module(raw));
    }
    /// The name of the item in that module.
    std::string_view name() const {
      return detail::name_view(wasm_importtype_name(raw));
    }
    /// The C type of the item; see `ExternType::from_import`.
    const wasm_externtype_t *raw_type() const {
      return wasm_importtype_type(raw);
    }
  };

  /// Looks at it; the result must not outlive this.
  Ref ref() const { return Ref(capi()); }

  /// \brief All imports of a module, in order.
  using List =
      detail::TypeList<wasm_importtype_vec_t, detail::delete_imports, Ref>;
};

} // namespace wasmtime

#endif // WASMTIME_TYPES_IMPORT_HH
