/**
 * \file wasmtime/sharedmemory.hh
 *
 * \brief Memories that stores and threads share.
 */

#ifndef WASMTIME_SHAREDMEMORY_HH
#define WASMTIME_SHAREDMEMORY_HH

#include <wasmtime/engine.hh>
#include <wasmtime/error.hh>
#include <wasmtime/sharedmemory.h>
#include <wasmtime/span.hh>
#include <wasmtime/types/memory.hh>

namespace wasmtime {

namespace detail {
struct SharedMemoryHandle {
  using Raw = wasmtime_sharedmemory_t;
  static void destroy(Raw *raw) { wasmtime_sharedmemory_delete(raw); }
  static Raw *copy(const Raw *raw) { return wasmtime_sharedmemory_clone(raw); }
};
} // namespace detail

/// \brief A memory of no store, to be imported by modules in any number of
/// them, on any number of threads. Copies are the same memory.
class SharedMemory : public detail::Shared<detail::SharedMemoryHandle> {
public:
  /// Takes over a C shared memory.
  explicit SharedMemory(wasmtime_sharedmemory_t *memory) : Shared(memory) {}

#ifdef WASMTIME_FEATURE_THREADS
  /// A new zeroed memory. An error unless the type is shared and the engine
  /// allows shared memories.
  static Result<SharedMemory> create(const Engine &engine,
                                     const MemoryType &type) {
    wasmtime_sharedmemory_t *memory = nullptr;
    auto *error =
        wasmtime_sharedmemory_new(engine.capi(), type.capi(), &memory);
    if (error != nullptr) {
      return Error(error);
    }
    return SharedMemory(memory);
  }
#endif // WASMTIME_FEATURE_THREADS

  /// The type of the memory.
  MemoryType type() const {
    return MemoryType(wasmtime_sharedmemory_type(capi()));
  }
  /// The current size in pages.
  uint64_t size() const { return wasmtime_sharedmemory_size(capi()); }
  /// The bytes. They never move; what other threads write meanwhile makes plain
  /// accesses a data race.
  Span<uint8_t> data() const {
    return {wasmtime_sharedmemory_data(capi()),
            wasmtime_sharedmemory_data_size(capi())};
  }
  /// Adds `delta` pages and returns the size before, in pages. An error when
  /// the memory cannot grow that far.
  Result<uint64_t> grow(uint64_t delta) const {
    uint64_t before = 0;
    auto *error = wasmtime_sharedmemory_grow(capi(), delta, &before);
    if (error != nullptr) {
      return Error(error);
    }
    return before;
  }
};

} // namespace wasmtime

#endif // WASMTIME_SHAREDMEMORY_HH
