/**
 * \file wasmtime/wasi.hh
 *
 * \brief What a WASI program may see of the host.
 */

#ifndef WASMTIME_WASI_HH
#define WASMTIME_WASI_HH

#include <string>
#include <utility>
#include <vector>
#include <wasi.h>
#include <wasmtime/conf.h>
#include <wasmtime/helpers.hh>
#include <wasmtime/span.hh>

#ifdef WASMTIME_FEATURE_WASI

namespace wasmtime {

namespace detail {
struct WasiConfigHandle {
  using Raw = wasi_config_t;
  static void destroy(Raw *raw) { wasi_config_delete(raw); }
};

/// A host's stream as C calls it: `F` takes bytes and returns how many it took,
/// or a negative `errno` value. What it throws is the error `EIO`.
template <typename F>
ptrdiff_t write_to_stream(void *data, const unsigned char *bytes, size_t len) {
  constexpr ptrdiff_t io_error = -5;
  return shielded(
      [&]() -> ptrdiff_t {
        return (*static_cast<F *>(data))(Span<const uint8_t>(bytes, len));
      },
      [](const char *) { return io_error; });
}
} // namespace detail

/// \brief Arguments, environment, streams and directories of one WASI program.
///
/// Starts with nothing; each function grants one thing. `Store::Context::set_wasi`
/// gives the whole to a store.
class WasiConfig : public detail::Owned<detail::WasiConfigHandle> {
  static std::vector<const char *>
  pointers(const std::vector<std::string> &texts) {
    std::vector<const char *> all;
    all.reserve(texts.size());
    for (const std::string &text : texts) {
      all.push_back(text.c_str());
    }
    return all;
  }

public:
  /// Takes over a C configuration.
  explicit WasiConfig(wasi_config_t *config) : Owned(config) {}
  /// A configuration that grants nothing.
  WasiConfig() : Owned(wasi_config_new()) {}

  /// Sets the arguments, the first being the program's name. Returns false,
  /// changing nothing, when one of them is not UTF-8.
  bool argv(const std::vector<std::string> &args) {
    std::vector<const char *> texts = pointers(args);
    return wasi_config_set_argv(ptr.get(), texts.size(), texts.data());
  }
  /// Gives the program the arguments of this process.
  void inherit_argv() { wasi_config_inherit_argv(ptr.get()); }

  /// Sets the environment: pairs of a name and its value. Returns false,
  /// changing nothing, when one of the texts is not UTF-8.
  bool env(const std::vector<std::pair<std::string, std::string>> &env) {
    std::vector<const char *> names, values;
    for (const auto &[name, value] : env) {
      names.push_back(name.c_str());
      values.push_back(value.c_str());
    }
    return wasi_config_set_env(ptr.get(), names.size(), names.data(),
                               values.data());
  }
  /// Gives the program the environment of this process.
  void inherit_env() { wasi_config_inherit_env(ptr.get()); }

  /// Lets the program read this file, opened now; false when that fails.
  [[nodiscard]] bool stdin_file(const std::string &path) {
    return wasi_config_set_stdin_file(ptr.get(), path.c_str());
  }
  /// Lets the program read a copy of these bytes.
  void stdin_bytes(Span<const uint8_t> bytes) {
    wasm_byte_vec_t copy;
    wasm_byte_vec_new(&copy, bytes.size(),
                      reinterpret_cast<const wasm_byte_t *>(bytes.data()));
    wasi_config_set_stdin_bytes(ptr.get(), &copy);
  }
  /// Lets the program read the standard input of this process.
  void inherit_stdin() { wasi_config_inherit_stdin(ptr.get()); }

  /// Writes the standard output to this file, created or emptied now; false
  /// when that fails.
  [[nodiscard]] bool stdout_file(const std::string &path) {
    return wasi_config_set_stdout_file(ptr.get(), path.c_str());
  }
  /// Writes the standard output to that of this process.
  void inherit_stdout() { wasi_config_inherit_stdout(ptr.get()); }
  /// Hands the standard output to `f(Span<const uint8_t>)`, which returns how
  /// many bytes it took, or a negative `errno` value. It may run on any thread,
  /// also after the store is gone, but never twice at once.
  template <typename F> void stdout_custom(F f) {
    wasi_config_set_stdout_custom(ptr.get(), detail::write_to_stream<F>,
                                  new F(std::move(f)), detail::finalize<F>);
  }

  /// Writes the standard error to this file; as `stdout_file`.
  [[nodiscard]] bool stderr_file(const std::string &path) {
    return wasi_config_set_stderr_file(ptr.get(), path.c_str());
  }
  /// Writes the standard error to that of this process.
  void inherit_stderr() { wasi_config_inherit_stderr(ptr.get()); }
  /// Hands the standard error to `f`; as `stdout_custom`.
  template <typename F> void stderr_custom(F f) {
    wasi_config_set_stderr_custom(ptr.get(), detail::write_to_stream<F>,
                                  new F(std::move(f)), detail::finalize<F>);
  }

  /// Opens the directory `path` now and shows it to the program as
  /// `guest_path`; false when that fails. The permissions are sets of
  /// `wasi_dir_perms_flags` and `wasi_file_perms_flags`.
  [[nodiscard]] bool preopen_dir(const std::string &path,
                                 const std::string &guest_path,
                                 size_t dir_perms, size_t file_perms) {
    return wasi_config_preopen_dir(ptr.get(), path.c_str(), guest_path.c_str(),
                                   dir_perms, file_perms);
  }
};

} // namespace wasmtime

#endif // WASMTIME_FEATURE_WASI

#endif // WASMTIME_WASI_HH
