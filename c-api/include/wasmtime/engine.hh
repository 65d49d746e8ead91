/**
 * \file wasmtime/engine.hh
 *
 * \brief Engines, which compile modules and are shared by stores and threads.
 */

#ifndef WASMTIME_ENGINE_HH
#define WASMTIME_ENGINE_HH

#include <wasmtime/config.hh>
#include <wasmtime/engine.h>
#include <wasmtime/error.hh>
#include <wasmtime/helpers.hh>

namespace wasmtime {

namespace detail {
struct EngineHandle {
  using Raw = wasm_engine_t;
  static void destroy(Raw *raw) { wasm_engine_delete(raw); }
  static Raw *copy(Raw *raw) { return wasmtime_engine_clone(raw); }
};
} // namespace detail

/// \brief Compiles modules and holds what all stores share; one per process is
/// usual.
///
/// Reference-counted: a copy is the same engine, and what is made with an
/// engine keeps it alive. All threads may use it at once.
class Engine : public detail::Shared<detail::EngineHandle> {
public:
  /// Takes over a C engine, which must not be null.
  explicit Engine(wasm_engine_t *engine) : Shared(engine) {}
  /// An engine with the default settings.
  Engine() : Shared(wasm_engine_new()) {}
  /// An engine with these settings. Ends the process with a message when they
  /// cannot be met; `create` reports that instead.
  explicit Engine(Config config)
      : Shared(wasm_engine_new_with_config(config.capi_release())) {
    if (!ptr) {
      detail::fail("no engine can be made with these settings");
    }
  }

  /// An engine with these settings, or an error when they contradict each other
  /// or ask for something that this machine cannot do.
  static Result<Engine> create(Config config) {
    wasm_engine_t *raw = wasm_engine_new_with_config(config.capi_release());
    if (raw == nullptr) {
      return Error("no engine can be made with these settings");
    }
    return Engine(raw);
  }

  /// Adds one to the epoch, which every store of this engine compares with its
  /// deadline. Any thread, and signal handlers.
  void increment_epoch() const { wasmtime_engine_increment_epoch(ptr.get()); }

  /// Whether the engine runs portable bytecode instead of machine code.
  bool is_pulley() const { return wasmtime_engine_is_pulley(ptr.get()); }
};

} // namespace wasmtime

#endif // WASMTIME_ENGINE_HH
