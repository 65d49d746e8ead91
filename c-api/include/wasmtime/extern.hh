/**
 * \file wasmtime/extern.hh
 *
 * \brief `Extern`, which stands for a function, global, table, memory, shared
 * memory or tag.
 */

#include <wasmtime/func.hh> // first: it includes this file where it belongs

#ifndef WASMTIME_EXTERN_HH
#define WASMTIME_EXTERN_HH

#include <wasmtime/extern.h>
#include <wasmtime/extern_declare.hh>
#include <wasmtime/global.hh>
#include <wasmtime/memory.hh>
#include <wasmtime/sharedmemory.hh>
#include <wasmtime/table.hh>
#include <wasmtime/tag.hh>
#include <wasmtime/types/extern.hh>

namespace wasmtime {

namespace detail {
/// Takes over a C extern.
inline Extern extern_from_c(wasmtime_extern_t item) {
  switch (item.kind) {
  case WASMTIME_EXTERN_FUNC: return Func(item.of.func);
  case WASMTIME_EXTERN_GLOBAL: return Global(item.of.global);
  case WASMTIME_EXTERN_TABLE: return Table(item.of.table);
  case WASMTIME_EXTERN_MEMORY: return Memory(item.of.memory);
  case WASMTIME_EXTERN_SHAREDMEMORY:
    return SharedMemory(item.of.sharedmemory);
  case WASMTIME_EXTERN_TAG: return Tag(item.of.tag);
  default: fail("an item of an unknown kind");
  }
}

/// A C extern that borrows from `item`; not to be deleted.
inline wasmtime_extern_t extern_to_c(const Extern &item) {
  wasmtime_extern_t raw;
  if (const auto *func = std::get_if<Func>(&item)) {
    raw.kind = WASMTIME_EXTERN_FUNC;
    raw.of.func = func->capi();
  } else if (const auto *global = std::get_if<Global>(&item)) {
    raw.kind = WASMTIME_EXTERN_GLOBAL;
    raw.of.global = global->capi();
  } else if (const auto *table = std::get_if<Table>(&item)) {
    raw.kind = WASMTIME_EXTERN_TABLE;
    raw.of.table = table->capi();
  } else if (const auto *memory = std::get_if<Memory>(&item)) {
    raw.kind = WASMTIME_EXTERN_MEMORY;
    raw.of.memory = memory->capi();
  } else if (const auto *tag = std::get_if<Tag>(&item)) {
    raw.kind = WASMTIME_EXTERN_TAG;
    raw.of.tag = tag->capi();
  } else {
    raw.kind = WASMTIME_EXTERN_SHAREDMEMORY;
    raw.of.sharedmemory = const_cast<wasmtime_sharedmemory_t *>(
        std::get<SharedMemory>(item).capi());
  }
  return raw;
}
} // namespace detail

/// The type of an item of any kind.
inline ExternType extern_type(Store::Context cx, const Extern &item) {
  wasmtime_extern_t raw = detail::extern_to_c(item);
  return ExternType(wasmtime_extern_type(cx.capi(), &raw));
}

} // namespace wasmtime

#endif // WASMTIME_EXTERN_HH
