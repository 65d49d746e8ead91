/**
 * \file wasmtime/component/component.hh
 *
 * \brief Components: validated code of an engine, ready to be instantiated.
 */

#ifndef WASMTIME_COMPONENT_COMPONENT_HH
#define WASMTIME_COMPONENT_COMPONENT_HH

#include <wasmtime/conf.h>

#ifdef WASMTIME_FEATURE_COMPONENT_MODEL

#include <optional>
#include <string>
#include <string_view>
#include <vector>
#include <wasmtime/component/component.h>
#include <wasmtime/component/types/component.hh>
#include <wasmtime/engine.hh>
#include <wasmtime/error.hh>
#include <wasmtime/helpers.hh>
#include <wasmtime/span.hh>
#include <wasmtime/wat.hh>

namespace wasmtime {

namespace detail {
struct ComponentHandle {
  using Raw = wasmtime_component_t;
  static void destroy(Raw *raw) { wasmtime_component_delete(raw); }
  static Raw *copy(const Raw *raw) { return wasmtime_component_clone(raw); }
};

struct ComponentExportIndexHandle {
  using Raw = wasmtime_component_export_index_t;
  static void destroy(Raw *raw) { wasmtime_component_export_index_delete(raw); }
  static Raw *copy(const Raw *raw) {
    return wasmtime_component_export_index_clone(raw);
  }
};
} // namespace detail

namespace component {

/// \brief The place of an export, found once by name. Good for every instance
/// of the component, in any store.
class ExportIndex : public detail::Shared<detail::ComponentExportIndexHandle> {
public:
  using Shared::Shared;
};

/// \brief A valid component. Immutable, of no store, used by any number of
/// threads. Copies are the same component.
class Component : public detail::Shared<detail::ComponentHandle> {
  static Result<Component> made(wasmtime_error_t *error,
                                wasmtime_component_t *const &component) {
    if (error != nullptr) {
      return Error(error);
    }
    return Component(component);
  }

public:
  using Shared::Shared;

#ifdef WASMTIME_FEATURE_COMPILER
#ifdef WASMTIME_FEATURE_WAT
  /// Makes a component from its text. An error when the text is not understood,
  /// or as the other `compile`.
  static Result<Component> compile(Engine &engine, std::string_view wat) {
    Result<std::vector<uint8_t>> binary = wat2wasm(wat);
    if (!binary) {
      return binary.err();
    }
    return compile(engine, Span<const uint8_t>(binary.ok_ref()));
  }
#endif // WASMTIME_FEATURE_WAT

  /// Makes a component from its bytes, which are not needed afterwards. An
  /// error when they are not a valid component, or use a proposal that the
  /// engine's configuration has off.
  static Result<Component> compile(Engine &engine, Span<const uint8_t> wasm) {
    wasmtime_component_t *component = nullptr;
    auto *error = wasmtime_component_new(engine.capi(), wasm.data(),
                                         wasm.size(), &component);
    return made(error, component);
  }

  /// The compiled component as bytes, for `deserialize`.
  Result<std::vector<uint8_t>> serialize() const {
    wasm_byte_vec_t bytes;
    auto *error = wasmtime_component_serialize(capi(), &bytes);
    if (error != nullptr) {
      return Error(error);
    }
    return detail::take_bytes(bytes);
  }
#endif // WASMTIME_FEATURE_COMPILER

  /// Takes the bytes of `serialize` back. An error when they were made by
  /// another version, for another machine or under other settings. **They are
  /// code**: bytes from somebody else must be authenticated first.
  static Result<Component> deserialize(Engine &engine,
                                       Span<const uint8_t> bytes) {
    wasmtime_component_t *component = nullptr;
    auto *error = wasmtime_component_deserialize(engine.capi(), bytes.data(),
                                                 bytes.size(), &component);
    return made(error, component);
  }

  /// As `deserialize`, from a file, which must not change while the component
  /// lives.
  static Result<Component> deserialize_file(Engine &engine,
                                            const std::string &path) {
    wasmtime_component_t *component = nullptr;
    auto *error = wasmtime_component_deserialize_file(
        engine.capi(), path.c_str(), &component);
    return made(error, component);
  }

  /// What the component imports and exports.
  ComponentType type() const {
    return ComponentType(wasmtime_component_type(capi()));
  }

  /// The place of the export `name`, if there is one: of the component itself
  /// where `instance` is null, and else of the exported instance at that place.
  /// A name with a version also finds a compatible one.
  std::optional<ExportIndex> export_index(const ExportIndex *instance,
                                          std::string_view name) const {
    auto *index = wasmtime_component_get_export_index(
        capi(), instance != nullptr ? instance->capi() : nullptr, name.data(),
        name.size());
    if (index == nullptr) {
      return std::nullopt;
    }
    return ExportIndex(index);
  }
};

} // namespace component
} // namespace wasmtime

#endif // WASMTIME_FEATURE_COMPONENT_MODEL

#endif // WASMTIME_COMPONENT_COMPONENT_HH
