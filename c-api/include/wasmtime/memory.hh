/**
 * \file wasmtime/memory.hh
 *
 * \brief Memories: the linear memories of one store.
 */

#ifndef WASMTIME_MEMORY_HH
#define WASMTIME_MEMORY_HH

#include <wasmtime/error.hh>
#include <wasmtime/memory.h>
#include <wasmtime/span.hh>
#include <wasmtime/store.hh>
#include <wasmtime/types/memory.hh>

namespace wasmtime {

/// \brief A handle to a memory of a store.
class Memory {
  wasmtime_memory_t memory;

public:
  /// Takes a C handle.
  Memory(wasmtime_memory_t memory_) : memory(memory_) {}

  /// A new zeroed memory. An error when a limit of the store is exceeded, the
  /// system has no memory, or the type is shared (see `SharedMemory`).
  static Result<Memory> create(Store::Context cx, const MemoryType &type) {
    wasmtime_memory_t memory;
    auto *error = wasmtime_memory_new(cx.capi(), type.capi(), &memory);
    if (error != nullptr) {
      return Error(error);
    }
    return Memory(memory);
  }

  /// The type of the memory.
  MemoryType type(Store::Context cx) const {
    return MemoryType(wasmtime_memory_type(cx.capi(), &memory));
  }
  /// The current size in pages.
  uint64_t size(Store::Context cx) const {
    return wasmtime_memory_size(cx.capi(), &memory);
  }
  /// The bytes. Stale after the memory has grown, by guest or host.
  Span<uint8_t> data(Store::Context cx) const {
    uint8_t *base = wasmtime_memory_data(cx.capi(), &memory);
    return {base, wasmtime_memory_data_size(cx.capi(), &memory)};
  }
  /// Adds `delta` pages and returns the size before, in pages. An error when
  /// the memory cannot grow that far.
  Result<uint64_t> grow(Store::Context cx, uint64_t delta) const {
    uint64_t before = 0;
    auto *error = wasmtime_memory_grow(cx.capi(), &memory, delta, &before);
    if (error != nullptr) {
      return Error(error);
    }
    return before;
  }
  /// The page size in bytes.
  uint64_t page_size(Store::Context cx) const {
    return wasmtime_memory_page_size(cx.capi(), &memory);
  }
  /// The page size as a power of two.
  uint8_t page_size_log2(Store::Context cx) const {
    return wasmtime_memory_page_size_log2(cx.capi(), &memory);
  }

  /// The C handle.
  const wasmtime_memory_t &capi() const { return memory; }
};

} // namespace wasmtime

#endif // WASMTIME_MEMORY_HH
