/**
 * \file wasmtime/types/memory.hh
 *
 * \brief The types of memories.
 */

#ifndef WASMTIME_TYPES_MEMORY_HH
#define WASMTIME_TYPES_MEMORY_HH

#include <optional>
#include <wasmtime/error.hh>
#include <wasmtime/memory.h>
#include <wasmtime/types/val.hh>

namespace wasmtime {

class MemoryType;

namespace detail {
struct MemoryTypeHandle {
  using Raw = wasm_memorytype_t;
  static void destroy(Raw *raw) { wasm_memorytype_delete(raw); }
  static Raw *copy(const Raw *raw) { return wasm_memorytype_copy(raw); }
};

/// The `Ref` of `MemoryType`.
class MemoryTypeRef : public TypeRef<wasm_memorytype_t> {
public:
  using TypeRef::TypeRef;
  /// Looks at `type`, which must outlive this.
  inline MemoryTypeRef(const MemoryType &type);

  /// The size at the beginning, in pages.
  uint64_t min() const { return wasmtime_memorytype_minimum(raw); }
  /// The size that growth may reach, in pages, if there is a bound.
  std::optional<uint64_t> max() const {
    uint64_t max = 0;
    if (wasmtime_memorytype_maximum(raw, &max)) {
      return max;
    }
    return std::nullopt;
  }
  /// Whether addresses have 64 bits.
  bool is_64() const { return wasmtime_memorytype_is64(raw); }
  /// Whether stores and threads share the memory.
  bool is_shared() const { return wasmtime_memorytype_isshared(raw); }
  /// The page size in bytes.
  uint64_t page_size() const { return wasmtime_memorytype_page_size(raw); }
  /// The page size as a power of two.
  uint8_t page_size_log2() const {
    return wasmtime_memorytype_page_size_log2(raw);
  }
};
} // namespace detail

/// \brief The limits of a memory, in pages, and what else there is to it.
class MemoryType : public detail::OwnedType<detail::MemoryTypeHandle,
                                            detail::MemoryTypeRef> {
  static wasm_memorytype_t *make(wasm_limits_t limits) {
    return wasm_memorytype_new(&limits);
  }

  static wasm_memorytype_t *make64(uint64_t min, std::optional<uint64_t> max) {
    wasm_memorytype_t *raw = nullptr;
    detail::check(wasmtime_memorytype_new(min, max.has_value(), max.value_or(0),
                                          true, false, 16, &raw))
        .unwrap();
    return raw;
  }

public:
  /// \brief Looks at a memory type that somebody else owns.
  using Ref = detail::MemoryTypeRef;
  class Builder;

  using OwnedType::OwnedType;
  /// Memories of at least `min` pages.
  explicit MemoryType(uint32_t min)
      : OwnedType(make({min, wasm_limits_max_default})) {}
  /// Memories of `min` to `max` pages.
  MemoryType(uint32_t min, uint32_t max) : OwnedType(make({min, max})) {}

  /// 64-bit memories of at least `min` pages. Ends the process when there is no
  /// such memory; `Builder` reports that instead.
  static MemoryType New64(uint64_t min) {
    return MemoryType(make64(min, std::nullopt));
  }
  /// 64-bit memories of `min` to `max` pages; otherwise as the other `New64`.
  static MemoryType New64(uint64_t min, uint64_t max) {
    return MemoryType(make64(min, max));
  }
};

inline detail::MemoryTypeRef::MemoryTypeRef(const MemoryType &type)
    : TypeRef(type.capi()) {}

/// \brief Describes a memory type piece by piece. Starts with 32-bit memories
/// that have no minimum and no maximum, are not shared, and have pages of
/// 64 KiB.
class MemoryType::Builder {
  uint64_t min_pages = 0;
  std::optional<uint64_t> max_pages;
  bool has_64_bits = false;
  bool is_shared = false;
  uint8_t page_log2 = 16;

public:
  /// The size at the beginning, in pages.
  Builder &min(uint64_t pages) {
    min_pages = pages;
    return *this;
  }
  /// The size that growth may reach, in pages, or none.
  Builder &max(std::optional<uint64_t> pages) {
    max_pages = pages;
    return *this;
  }
  /// Whether addresses have 64 bits.
  Builder &memory64(bool enable) {
    has_64_bits = enable;
    return *this;
  }
  /// Whether stores and threads share it; needs a maximum.
  Builder &shared(bool enable) {
    is_shared = enable;
    return *this;
  }
  /// The page size as a power of two: 16 or 0.
  Builder &page_size_log2(uint8_t log2) {
    page_log2 = log2;
    return *this;
  }
  /// The type described so far, or an error when it makes no sense.
  Result<MemoryType> build() const {
    wasm_memorytype_t *raw = nullptr;
    auto *error = wasmtime_memorytype_new(
        min_pages, max_pages.has_value(), max_pages.value_or(0), has_64_bits,
        is_shared, page_log2, &raw);
    if (error != nullptr) {
      return Error(error);
    }
    return MemoryType(raw);
  }
};

} // namespace wasmtime

#endif // WASMTIME_TYPES_MEMORY_HH
