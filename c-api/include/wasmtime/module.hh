/**
 * \file wasmtime/module.hh
 *
 * \brief Modules: validated code of an engine, ready to be instantiated.
 */

#ifndef WASMTIME_MODULE_HH
#define WASMTIME_MODULE_HH

#include <string>
#include <string_view>
#include <utility>
#include <vector>
#include <wasmtime/conf.h>
#include <wasmtime/engine.hh>
#include <wasmtime/error.hh>
#include <wasmtime/module.h>
#include <wasmtime/span.hh>
#include <wasmtime/types/export.hh>
#include <wasmtime/types/extern.hh>
#include <wasmtime/types/import.hh>
#include <wasmtime/wat.hh>

namespace wasmtime {

namespace detail {
struct ModuleHandle {
  using Raw = wasmtime_module_t;
  static void destroy(Raw *raw) { wasmtime_module_delete(raw); }
  static Raw *copy(Raw *raw) { return wasmtime_module_clone(raw); }
};
} // namespace detail

/// \brief A valid module. Immutable, of no store, used by any number of
/// threads. Copies are the same module.
class Module : public detail::Shared<detail::ModuleHandle> {
  static Result<Module> made(wasmtime_error_t *error,
                             wasmtime_module_t *const &module) {
    if (error != nullptr) {
      return Error(error);
    }
    return Module(module);
  }

public:
  /// Takes over a C module.
  explicit Module(wasmtime_module_t *module) : Shared(module) {}

#ifdef WASMTIME_FEATURE_COMPILER
#ifdef WASMTIME_FEATURE_WAT
  /// Makes a module from its text. An error when the text is not understood, or
  /// as the other `compile`.
  static Result<Module> compile(Engine &engine, std::string_view wat) {
    Result<std::vector<uint8_t>> binary = wat2wasm(wat);
    if (!binary) {
      return binary.err();
    }
    return compile(engine, Span<const uint8_t>(binary.ok_ref()));
  }
#endif // WASMTIME_FEATURE_WAT

  /// Makes a module from its bytes, which are not needed afterwards. An error
  /// when they are not a valid module, or use a proposal that the engine's
  /// configuration has off.
  static Result<Module> compile(Engine &engine, Span<const uint8_t> wasm) {
    wasmtime_module_t *module = nullptr;
    auto *error =
        wasmtime_module_new(engine.capi(), wasm.data(), wasm.size(), &module);
    return made(error, module);
  }

  /// Success when `compile` would succeed, else the error that says why not.
  static Result<std::monostate> validate(Engine &engine,
                                         Span<const uint8_t> wasm) {
    return detail::check(
        wasmtime_module_validate(engine.capi(), wasm.data(), wasm.size()));
  }

  /// The compiled module as bytes, for `deserialize`.
  Result<std::vector<uint8_t>> serialize() const {
    wasm_byte_vec_t bytes;
    auto *error = wasmtime_module_serialize(ptr.get(), &bytes);
    if (error != nullptr) {
      return Error(error);
    }
    return detail::take_bytes(bytes);
  }
#endif // WASMTIME_FEATURE_COMPILER

  /// Takes the bytes of `serialize` back. An error when they were made by
  /// another version, for another machine or under other settings. **They are
  /// code**: bytes from somebody else must be authenticated first.
  static Result<Module> deserialize(Engine &engine, Span<const uint8_t> bytes) {
    wasmtime_module_t *module = nullptr;
    auto *error = wasmtime_module_deserialize(engine.capi(), bytes.data(),
                                              bytes.size(), &module);
    return made(error, module);
  }

  /// As `deserialize`, from a file, which must not change while the module
  /// lives.
  static Result<Module> deserialize_file(Engine &engine,
                                         const std::string &path) {
    wasmtime_module_t *module = nullptr;
    auto *error = wasmtime_module_deserialize_file(engine.capi(), path.c_str(),
                                                   &module);
    return made(error, module);
  }

  /// What the module imports, in order.
  ImportType::List imports() const {
    wasm_importtype_vec_t list;
    wasmtime_module_imports(capi(), &list);
    return ImportType::List(list);
  }
  /// What the module exports, in order.
  ExportType::List exports() const {
    wasm_exporttype_vec_t list;
    wasmtime_module_exports(capi(), &list);
    return ExportType::List(list);
  }

  /// The addresses in this process, from the first to past the last, that hold
  /// the module's machine code.
  std::pair<const void *, const void *> image_range() const {
    void *start = nullptr, *end = nullptr;
    wasmtime_module_image_range(capi(), &start, &end);
    return {start, end};
  }
};

} // namespace wasmtime

#endif // WASMTIME_MODULE_HH
