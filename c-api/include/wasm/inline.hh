/**
 * \file wasm/inline.hh
 *
 * \brief The bodies of what `wasm.hh` declares, which includes this file.
 *
 * \internal
 */

#include <wasm.hh>

#ifndef WASM_INLINE_HH
#define WASM_INLINE_HH

namespace wasm {

struct Access {
  /// The C object behind an object of ours.
  template <typename T> static auto *raw(const T *object) {
    return object->raw.get();
  }
  static wasm_externtype_t *raw(const ExternType *type) {
    return type->raw.get();
  }
  static wasm_extern_t *raw(const Extern *item) { return item->raw.get(); }
  /// Gives up that C object.
  template <typename T> static auto *release(T &object) {
    return object.raw.release();
  }
  static wasm_ref_t *ref(const Ref *ref) {
    return ref ? ref->as_ref() : nullptr;
  }

  static own<ExternType> wrap(wasm_externtype_t *type) {
    switch (wasm_externtype_kind(type)) {
    case WASM_EXTERN_FUNC:
      return make_own<ExternType>(
          new FuncType(wasm_externtype_as_functype(type)));
    case WASM_EXTERN_GLOBAL:
      return make_own<ExternType>(
          new GlobalType(wasm_externtype_as_globaltype(type)));
    case WASM_EXTERN_TABLE:
      return make_own<ExternType>(
          new TableType(wasm_externtype_as_tabletype(type)));
    case WASM_EXTERN_MEMORY:
      return make_own<ExternType>(
          new MemoryType(wasm_externtype_as_memorytype(type)));
    default: wasm_externtype_delete(type); return nullptr;
    }
  }

  static own<Extern> wrap(wasm_extern_t *item) {
    switch (wasm_extern_kind(item)) {
    case WASM_EXTERN_FUNC:
      return make_own<Extern>(new Func(wasm_extern_as_func(item)));
    case WASM_EXTERN_GLOBAL:
      return make_own<Extern>(new Global(wasm_extern_as_global(item)));
    case WASM_EXTERN_TABLE:
      return make_own<Extern>(new Table(wasm_extern_as_table(item)));
    case WASM_EXTERN_MEMORY:
      return make_own<Extern>(new Memory(wasm_extern_as_memory(item)));
    default: wasm_extern_delete(item); return nullptr;
    }
  }

  /// A C value that borrows from `val`. `type` tells which kind of reference.
  static wasm_val_t borrow(const Val &val, const wasm_valtype_t *type) {
    wasm_val_t raw;
    raw.kind = static_cast<wasm_valkind_t>(val.val_kind);
    switch (val.val_kind) {
    case ValKind::I32: raw.of.i32 = val.number.i32; break;
    case ValKind::I64: raw.of.i64 = val.number.i64; break;
    case ValKind::F32: raw.of.f32 = val.number.f32; break;
    case ValKind::F64: raw.of.f64 = val.number.f64; break;
    default:
      if (type != nullptr && wasm_valtype_is_ref(type)) {
        raw.kind = wasm_valtype_kind(type);
      }
      raw.of.ref = ref(val.reference.get());
    }
    return raw;
  }

  /// The same with a reference of its own.
  static wasm_val_t give(const Val &val, const wasm_valtype_t *type) {
    wasm_val_t raw = borrow(val, type), given;
    wasm_val_copy(&given, &raw);
    return given;
  }

  /// Takes over the reference in `raw`.
  static Val take(const wasm_val_t &raw) {
    switch (raw.kind) {
    case WASM_I32: return Val(raw.of.i32);
    case WASM_I64: return Val(raw.of.i64);
    case WASM_F32: return Val(raw.of.f32);
    case WASM_F64: return Val(raw.of.f64);
    default: break;
    }
    Val val(own<Ref>(detail::wrap<detail::PlainRef>(raw.of.ref)));
    val.val_kind = static_cast<ValKind>(raw.kind);
    return val;
  }

  /// What a host function needs when it is called.
  struct Host {
    wasm_functype_t *type;
    Func::callback plain;
    Func::callback_with_env with_env;
    void *env;
    void (*finalizer)(void *);

    static void finalize(void *data) {
      auto *host = static_cast<Host *>(data);
      if (host->finalizer != nullptr) {
        host->finalizer(host->env);
      }
      wasm_functype_delete(host->type);
      delete host;
    }

    static wasm_trap_t *call(void *data, const wasm_val_vec_t *args,
                             wasm_val_vec_t *results) {
      auto *host = static_cast<Host *>(data);
      auto in = vec<Val>::make_uninitialized(args->size);
      for (size_t i = 0; i < args->size; i++) {
        wasm_val_t copy;
        wasm_val_copy(&copy, &args->data[i]);
        in[i] = take(copy);
      }
      auto out = vec<Val>::make_uninitialized(results->size);
      own<Trap> trap = host->plain ? host->plain(in, out)
                                   : host->with_env(host->env, in, out);
      if (trap) {
        return trap->raw.release();
      }
      const wasm_valtype_vec_t *types = wasm_functype_results(host->type);
      for (size_t i = 0; i < results->size; i++) {
        results->data[i] = give(out[i], types->data[i]);
      }
      return nullptr;
    }
  };

  static own<Func> make(Store *store, const FuncType *type, Host host) {
    const wasm_functype_t *raw_type = wasm_externtype_as_functype(raw(type));
    host.type = wasm_functype_copy(raw_type);
    return detail::wrap<Func>(
        wasm_func_new_with_env(raw(store), raw_type, Host::call, new Host(host),
                               Host::finalize));
  }

  static own<Trap> call(wasm_func_t *func, const Val *args, Val *results) {
    wasm_functype_t *type = wasm_func_type(func);
    const wasm_valtype_vec_t *params = wasm_functype_params(type);
    size_t param_count = params->size;
    size_t result_count = wasm_functype_results(type)->size;
    // Blocks of our own, since C must not free what is lent.
    auto lent = std::make_unique<wasm_val_t[]>(param_count + 1);
    auto given = std::make_unique<wasm_val_t[]>(result_count + 1);
    for (size_t i = 0; i < param_count; i++) {
      lent[i] = borrow(args[i], params->data[i]);
    }
    wasm_functype_delete(type);
    wasm_val_vec_t in = {param_count, lent.get()};
    wasm_val_vec_t out = {result_count, given.get()};
    own<Trap> trap = detail::wrap<Trap>(wasm_func_call(func, &in, &out));
    for (size_t i = 0; !trap && i < result_count; i++) {
      results[i] = take(given[i]);
    }
    return trap;
  }
};

inline own<Engine> Engine::make(own<Config> &&config) {
  return detail::wrap<Engine>(
      wasm_engine_new_with_config(Access::release(*config)));
}

inline own<Store> Store::make(Engine *engine) {
  return detail::wrap<Store>(wasm_store_new(Access::raw(engine)));
}

inline own<ExternType> ExternType::copy() const {
  return Access::wrap(wasm_externtype_copy(raw.get()));
}

/// `KIND` of an `ExternType` and of an `Extern`.
#define WASM_DOWNCAST(NAME, KIND, TYPE, ITEM)                                  \
  inline TYPE *ExternType::NAME() {                                            \
    return kind() == ExternKind::KIND ? static_cast<TYPE *>(this) : nullptr;   \
  }                                                                            \
  inline const TYPE *ExternType::NAME() const {                                \
    return kind() == ExternKind::KIND ? static_cast<const TYPE *>(this)        \
                                      : nullptr;                               \
  }                                                                            \
  inline ITEM *Extern::NAME() {                                                \
    return kind() == ExternKind::KIND ? static_cast<ITEM *>(this) : nullptr;   \
  }                                                                            \
  inline const ITEM *Extern::NAME() const {                                    \
    return kind() == ExternKind::KIND ? static_cast<const ITEM *>(this)        \
                                      : nullptr;                               \
  }

WASM_DOWNCAST(func, FUNC, FuncType, Func)
WASM_DOWNCAST(global, GLOBAL, GlobalType, Global)
WASM_DOWNCAST(table, TABLE, TableType, Table)
WASM_DOWNCAST(memory, MEMORY, MemoryType, Memory)

#undef WASM_DOWNCAST

inline wasm_valtype_vec_t FuncType::to_c(ownvec<ValType> &types) {
  wasm_valtype_vec_t list;
  wasm_valtype_vec_new_uninitialized(&list, types.size());
  for (size_t i = 0; i < types.size(); i++) {
    list.data[i] = Access::release(*types[i]);
  }
  types.reset();
  return list;
}

inline own<GlobalType> GlobalType::make(own<ValType> &&content,
                                        Mutability mutability) {
  return detail::wrap<GlobalType>(
      wasm_globaltype_new(Access::release(*content),
                          static_cast<wasm_mutability_t>(mutability)));
}

inline own<TableType> TableType::make(own<ValType> &&element, Limits limits) {
  wasm_limits_t raw = {limits.min, limits.max};
  return detail::wrap<TableType>(
      wasm_tabletype_new(Access::release(*element), &raw));
}

inline Frame::Frame(wasm_frame_t *raw_) : raw(raw_) {}
inline Frame::~Frame() = default;

inline own<Frame> Frame::copy() const {
  return detail::wrap<Frame>(wasm_frame_copy(raw.get()));
}

inline Instance *Frame::instance() const {
  if (!of) {
    const wasm_instance_t *found = wasm_frame_instance(raw.get());
    of = detail::wrap<Instance>(found ? wasm_instance_copy(found) : nullptr);
  }
  return of.get();
}

inline own<Trap> Trap::make(Store *store, const Message &message) {
  std::string text(message.get(), message.size());
  if (text.empty() || text.back() != '\0') {
    text.push_back('\0');
  }
  wasm_byte_vec_t view = {text.size(), text.data()};
  return detail::wrap<Trap>(wasm_trap_new(Access::raw(store), &view));
}

inline own<Frame> Trap::origin() const {
  return detail::wrap<Frame>(wasm_trap_origin(raw.get()));
}

inline ownvec<Frame> Trap::trace() const {
  wasm_frame_vec_t frames;
  wasm_trap_trace(raw.get(), &frames);
  auto made = ownvec<Frame>::make_uninitialized(frames.size);
  for (size_t i = 0; i < frames.size; i++) {
    made[i] = detail::wrap<Frame>(wasm_frame_copy(frames.data[i]));
  }
  wasm_frame_vec_delete(&frames);
  return made;
}

inline bool Module::validate(Store *store, const vec<byte_t> &binary) {
  wasm_byte_vec_t view = detail::view(binary);
  return wasm_module_validate(Access::raw(store), &view);
}

inline own<Module> Module::make(Store *store, const vec<byte_t> &binary) {
  wasm_byte_vec_t view = detail::view(binary);
  return detail::wrap<Module>(wasm_module_new(Access::raw(store), &view));
}

inline ownvec<ImportType> Module::imports() const {
  wasm_importtype_vec_t list;
  wasm_module_imports(raw.get(), &list);
  auto made = ownvec<ImportType>::make_uninitialized(list.size);
  for (size_t i = 0; i < list.size; i++) {
    made[i] = ImportType::make(
        detail::copy_name(*wasm_importtype_module(list.data[i])),
        detail::copy_name(*wasm_importtype_name(list.data[i])),
        Access::wrap(
            wasm_externtype_copy(wasm_importtype_type(list.data[i]))));
  }
  wasm_importtype_vec_delete(&list);
  return made;
}

inline ownvec<ExportType> Module::exports() const {
  wasm_exporttype_vec_t list;
  wasm_module_exports(raw.get(), &list);
  auto made = ownvec<ExportType>::make_uninitialized(list.size);
  for (size_t i = 0; i < list.size; i++) {
    made[i] = ExportType::make(
        detail::copy_name(*wasm_exporttype_name(list.data[i])),
        Access::wrap(
            wasm_externtype_copy(wasm_exporttype_type(list.data[i]))));
  }
  wasm_exporttype_vec_delete(&list);
  return made;
}

inline own<Module> Module::obtain(Store *store, const Shared<Module> *shared) {
  return detail::wrap<Module>(
      wasm_module_obtain(Access::raw(store), Access::raw(shared)));
}

inline own<Module> Module::deserialize(Store *store,
                                       const vec<byte_t> &serialized) {
  wasm_byte_vec_t view = detail::view(serialized);
  return detail::wrap<Module>(
      wasm_module_deserialize(Access::raw(store), &view));
}

inline own<Foreign> Foreign::make(Store *store) {
  return detail::wrap<Foreign>(wasm_foreign_new(Access::raw(store)));
}

inline own<Extern> Extern::copy() const {
  return Access::wrap(wasm_extern_copy(raw.get()));
}

inline own<ExternType> Extern::type() const {
  return Access::wrap(wasm_extern_type(raw.get()));
}

inline own<Func> Func::make(Store *store, const FuncType *type, callback call) {
  return Access::make(store, type, {nullptr, call, nullptr, nullptr, nullptr});
}

inline own<Func> Func::make(Store *store, const FuncType *type,
                            callback_with_env call, void *env,
                            void (*finalizer)(void *)) {
  return Access::make(store, type, {nullptr, nullptr, call, env, finalizer});
}

inline own<Trap> Func::call(const Val args[], Val results[]) const {
  return Access::call(raw(), args, results);
}

inline own<Global> Global::make(Store *store, const GlobalType *type,
                                const Val &init) {
  const wasm_globaltype_t *raw_type =
      wasm_externtype_as_globaltype(Access::raw(type));
  wasm_val_t val = Access::borrow(init, wasm_globaltype_content(raw_type));
  return detail::wrap<Global>(
      wasm_global_new(Access::raw(store), raw_type, &val));
}

inline Val Global::get() const {
  wasm_val_t val;
  wasm_global_get(raw(), &val);
  return Access::take(val);
}

inline void Global::set(const Val &value) {
  wasm_globaltype_t *type = wasm_global_type(raw());
  wasm_val_t val = Access::borrow(value, wasm_globaltype_content(type));
  wasm_global_set(raw(), &val);
  wasm_globaltype_delete(type);
}

inline own<Table> Table::make(Store *store, const TableType *type,
                              const Ref *init) {
  return detail::wrap<Table>(wasm_table_new(
      Access::raw(store), wasm_externtype_as_tabletype(Access::raw(type)),
      Access::ref(init)));
}

inline bool Table::set(size_t index, const Ref *ref) {
  return wasm_table_set(raw(), index, Access::ref(ref));
}

inline bool Table::grow(size_t delta, const Ref *init) {
  return wasm_table_grow(raw(), delta, Access::ref(init));
}

inline own<Memory> Memory::make(Store *store, const MemoryType *type) {
  return detail::wrap<Memory>(wasm_memory_new(
      Access::raw(store), wasm_externtype_as_memorytype(Access::raw(type))));
}

inline own<Instance> Instance::make(Store *store, const Module *module,
                                    const vec<Extern *> &imports,
                                    own<Trap> *trap) {
  auto items = std::make_unique<wasm_extern_t *[]>(imports.size() + 1);
  for (size_t i = 0; i < imports.size(); i++) {
    items[i] = Access::raw(imports[i]);
  }
  wasm_extern_vec_t list = {imports.size(), items.get()};
  wasm_trap_t *why = nullptr;
  auto *instance = wasm_instance_new(Access::raw(store), Access::raw(module),
                                     &list, &why);
  own<Trap> reason = detail::wrap<Trap>(why);
  if (trap != nullptr) {
    *trap = std::move(reason);
  }
  return detail::wrap<Instance>(instance);
}

inline ownvec<Extern> Instance::exports() const {
  wasm_extern_vec_t list;
  wasm_instance_exports(raw.get(), &list);
  auto made = ownvec<Extern>::make_uninitialized(list.size);
  for (size_t i = 0; i < list.size; i++) {
    const wasm_extern_t *item = list.data[i];
    made[i] = item ? Access::wrap(wasm_extern_copy(item)) : nullptr;
  }
  wasm_extern_vec_delete(&list);
  return made;
}

} // namespace wasm

#endif // WASM_INLINE_HH
