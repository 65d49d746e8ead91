/**
 * \file wasmtime/types/func.hh
 *
 * \brief The types of functions.
 */

#ifndef WASMTIME_TYPES_FUNC_HH
#define WASMTIME_TYPES_FUNC_HH

#include <initializer_list>
#include <vector>
#include <wasmtime/types/val.hh>

namespace wasmtime {

class FuncType;

namespace detail {
struct FuncTypeHandle {
  using Raw = wasm_functype_t;
  static void destroy(Raw *raw) { wasm_functype_delete(raw); }
  static Raw *copy(const Raw *raw) { return wasm_functype_copy(raw); }
};

/// The `Ref` of `FuncType`.
class FuncTypeRef : public TypeRef<wasm_functype_t> {
public:
  using TypeRef::TypeRef;
  /// Looks at `type`, which must outlive this.
  inline FuncTypeRef(const FuncType &type);

  /// The types of the parameters, in order.
  ValType::ListRef params() const { return wasm_functype_params(raw); }
  /// The types of the results, in order.
  ValType::ListRef results() const { return wasm_functype_results(raw); }
};
} // namespace detail

/// \brief The parameters and results of a function.
class FuncType
    : public detail::OwnedType<detail::FuncTypeHandle, detail::FuncTypeRef> {
  template <typename Types> static wasm_valtype_vec_t list_of(Types &&types) {
    std::vector<wasm_valtype_t *> owned;
    for (const auto &type : types) {
      owned.push_back(ValType(type).capi_release());
    }
    wasm_valtype_vec_t list;
    wasm_valtype_vec_new(&list, owned.size(), owned.data());
    return list;
  }

  template <typename Params, typename Results>
  static wasm_functype_t *make(const Params &params, const Results &results) {
    wasm_valtype_vec_t param_list = list_of(params);
    wasm_valtype_vec_t result_list = list_of(results);
    return wasm_functype_new(&param_list, &result_list);
  }

public:
  /// \brief Looks at a function type that somebody else owns.
  using Ref = detail::FuncTypeRef;

  using OwnedType::OwnedType;
  /// The type from `params` to `results`.
  FuncType(std::initializer_list<ValType> params,
           std::initializer_list<ValType> results)
      : OwnedType(make(params, results)) {}

  /// The type from `params` to `results`, each anything to iterate over whose
  /// elements are value types or kinds.
  template <typename Params, typename Results>
  static FuncType from_iters(const Params &params, const Results &results) {
    return FuncType(make(params, results));
  }
};

inline detail::FuncTypeRef::FuncTypeRef(const FuncType &type)
    : TypeRef(type.capi()) {}

} // namespace wasmtime

#endif // WASMTIME_TYPES_FUNC_HH
