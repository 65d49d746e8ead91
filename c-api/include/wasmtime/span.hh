/**
 * \file wasmtime/span.hh
 *
 * \brief `Span`, a view of elements that somebody else owns: `std::span` where
 * the standard library has it.
 */

#ifndef WASMTIME_SPAN_HH
#define WASMTIME_SPAN_HH

#if __has_include(<version>)
#include <version>
#endif

#ifdef __cpp_lib_span

#include <span>

namespace wasmtime {

using std::dynamic_extent;

/// A view of `Extent` elements, or of a number known at run time.
template <typename T, std::size_t Extent = std::dynamic_extent>
using Span = std::span<T, Extent>;

} // namespace wasmtime

#else

#include <cstddef>
#include <iterator>
#include <type_traits>

namespace wasmtime {

/// The `Extent` of a span whose size is known at run time.
inline constexpr std::size_t dynamic_extent = static_cast<std::size_t>(-1);

template <typename T, std::size_t Extent = dynamic_extent> class Span;

/// Whether `T` is a `Span`.
template <typename T> struct IsSpan : std::false_type {};
template <typename T, std::size_t Extent>
struct IsSpan<Span<T, Extent>> : std::true_type {};

/// \brief A view of elements that somebody else owns and that must outlive it;
/// the part of C++20's `std::span` that this API needs.
///
/// The size is kept at run time, whatever `Extent` is.
template <typename T, std::size_t Extent> class Span {
  template <typename From>
  static constexpr bool fits = std::is_convertible_v<From (*)[], T (*)[]>;

  template <typename C>
  using ElementOf =
      std::remove_pointer_t<decltype(std::data(std::declval<C &>()))>;

public:
  /// The type of the elements.
  using element_type = T;
  /// The same without `const`.
  using value_type = std::remove_cv_t<T>;
  /// A number of elements.
  using size_type = std::size_t;
  /// Points to an element.
  using pointer = T *;
  /// Refers to an element.
  using reference = T &;
  /// Goes from element to element.
  using iterator = T *;
  /// Goes the other way.
  using reverse_iterator = std::reverse_iterator<iterator>;

  /// The number of elements, when it is part of the type.
  static constexpr std::size_t extent = Extent;

  /// A view of nothing.
  constexpr Span() : first(nullptr), count(0) {}
  /// A view of `count` elements from `first`.
  constexpr Span(T *first_, std::size_t count_)
      : first(first_), count(count_) {}
  /// A view of the elements of an array.
  template <std::size_t N>
  constexpr Span(T (&array)[N]) : first(array), count(N) {}
  /// A view of what a container with `data` and `size` holds.
  template <typename C, typename = decltype(std::size(std::declval<C &>())),
            std::enable_if_t<!std::is_array_v<std::remove_reference_t<C>> &&
                                 (std::is_lvalue_reference_v<C> ||
                                  std::is_const_v<T> ||
                                  IsSpan<std::decay_t<C>>::value) &&
                                 fits<ElementOf<C>>,
                             bool> = true>
  constexpr Span(C &&container)
      : first(std::data(container)), count(std::size(container)) {}

  /// The first element.
  constexpr T *data() const { return first; }
  /// The number of elements.
  constexpr std::size_t size() const { return count; }
  /// The number of bytes.
  constexpr std::size_t size_bytes() const { return count * sizeof(T); }
  /// Whether there are no elements.
  constexpr bool empty() const { return count == 0; }
  /// Element number `index`, which must be below `size()`.
  constexpr T &operator[](std::size_t index) const { return first[index]; }
  /// The first element; there must be one.
  constexpr T &front() const { return first[0]; }
  /// The last element; there must be one.
  constexpr T &back() const { return first[count - 1]; }
  /// Where iteration begins.
  constexpr iterator begin() const { return first; }
  /// Where iteration ends.
  constexpr iterator end() const { return first + count; }
  /// Where backward iteration begins.
  constexpr reverse_iterator rbegin() const { return reverse_iterator(end()); }
  /// Where backward iteration ends.
  constexpr reverse_iterator rend() const { return reverse_iterator(begin()); }

  /// A view of `length` elements from number `offset`, or of all from there.
  constexpr Span<T> subspan(std::size_t offset,
                            std::size_t length = dynamic_extent) const {
    return {first + offset, length == dynamic_extent ? count - offset : length};
  }

private:
  T *first;
  std::size_t count;
};

} // namespace wasmtime

#endif // __cpp_lib_span

#endif // WASMTIME_SPAN_HH
