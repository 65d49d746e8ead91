/**
 * \file wasmtime/profiling.hh
 *
 * \brief Profiles of guests, for the Firefox Profiler.
 */

#ifndef WASMTIME_PROFILING_HH
#define WASMTIME_PROFILING_HH

#include <wasmtime/profiling.h>

#ifdef WASMTIME_FEATURE_PROFILING

#include <chrono>
#include <string>
#include <utility>
#include <vector>
#include <wasmtime/engine.hh>
#include <wasmtime/error.hh>
#include <wasmtime/module.hh>
#include <wasmtime/store.hh>

namespace wasmtime {

namespace detail {
struct GuestProfilerHandle {
  using Raw = wasmtime_guestprofiler_t;
  static void destroy(Raw *raw) { wasmtime_guestprofiler_delete(raw); }
};
} // namespace detail

/// \brief Collects samples of a guest's stack into a profile. Used by the
/// thread that uses the store.
class GuestProfiler : public detail::Owned<detail::GuestProfilerHandle> {
  static wasmtime_guestprofiler_t *
  make(const Engine &engine, const std::string &title,
       std::chrono::nanoseconds interval,
       const std::vector<std::pair<std::string, Module>> &modules) {
    // A view: C only reads names.
    auto name_of = [](const std::string &text) {
      return wasm_name_t{text.size(), const_cast<char *>(text.data())};
    };
    std::vector<wasm_name_t> names;
    for (const auto &[name, module] : modules) {
      names.push_back(name_of(name));
    }
    std::vector<wasmtime_guestprofiler_modules_t> list;
    for (size_t i = 0; i < modules.size(); i++) {
      list.push_back({&names[i], modules[i].second.capi()});
    }
    wasm_name_t title_name = name_of(title);
    return wasmtime_guestprofiler_new(
        engine.capi(), &title_name, static_cast<uint64_t>(interval.count()),
        list.data(), list.size());
  }

public:
  /// Takes over a C profiler.
  explicit GuestProfiler(wasmtime_guestprofiler_t *profiler)
      : Owned(profiler) {}
  /// A profiler with this title and intended time between samples, which names
  /// the functions of `modules`.
  GuestProfiler(const Engine &engine, const std::string &title,
                std::chrono::nanoseconds interval,
                const std::vector<std::pair<std::string, Module>> &modules)
      : Owned(make(engine, title, interval, modules)) {}

  /// Records the stack of the guest that runs in `store`; to be called by an
  /// epoch deadline callback. `delta` is the processor time since the last
  /// sample, or zero when unknown.
  void sample(const Store &store, std::chrono::nanoseconds delta) {
    wasmtime_guestprofiler_sample(ptr.get(), store.capi(),
                                  static_cast<uint64_t>(delta.count()));
  }

  /// The profile as JSON. This object is not to be used afterwards.
  Result<std::string> finish() {
    wasm_byte_vec_t json;
    auto *error = wasmtime_guestprofiler_finish(ptr.release(), &json);
    if (error != nullptr) {
      return Error(error);
    }
    return detail::take_text(json);
  }
};

} // namespace wasmtime

#endif // WASMTIME_FEATURE_PROFILING

#endif // WASMTIME_PROFILING_HH
