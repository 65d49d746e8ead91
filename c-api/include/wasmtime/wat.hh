/**
 * \file wasmtime/wat.hh
 *
 * \brief The text format.
 */

#ifndef WASMTIME_WAT_HH
#define WASMTIME_WAT_HH

#include <string_view>
#include <vector>
#include <wasmtime/conf.h>
#include <wasmtime/error.hh>
#include <wasmtime/wat.h>

#ifdef WASMTIME_FEATURE_WAT

namespace wasmtime {

/// The binary form of a module in the text format, or an error that shows the
/// place that is not understood. The binary may still be an invalid module.
inline Result<std::vector<uint8_t>> wat2wasm(std::string_view wat) {
  wasm_byte_vec_t binary;
  auto *error = wasmtime_wat2wasm(wat.data(), wat.size(), &binary);
  if (error != nullptr) {
    return Error(error);
  }
  return detail::take_bytes(binary);
}

} // namespace wasmtime

#endif // WASMTIME_FEATURE_WAT

#endif // WASMTIME_WAT_HH
