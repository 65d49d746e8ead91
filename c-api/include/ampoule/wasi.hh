/**
 * \file ampoule/wasi.hh
 *
 * \brief What a WASI program finds in place of the system, in C++:
 * `ampoule/wasi.h` with classes for the tables.
 *
 * The classes' functions are called by the thread that uses the store, which
 * they must not use. What they throw is `AMPOULE_WASI_EIO` to the program.
 */

#ifndef AMPOULE_WASI_HH
#define AMPOULE_WASI_HH

#include <ampoule/wasi.h>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <wasmtime/component/linker.hh>
#include <wasmtime/error.hh>
#include <wasmtime/helpers.hh>
#include <wasmtime/span.hh>
#include <wasmtime/wasi.hh>

#ifdef WASMTIME_FEATURE_WASI

namespace ampoule {

/// \brief A file system; each function is one of `ampoule_wasi_filesystem_t`,
/// whose comments say what it is asked.
class FileSystem {
public:
  /// A number for a file, directory or link.
  using Node = ampoule_wasi_node_t;
  /// One of `ampoule_wasi_error_enum`.
  using Error = ampoule_wasi_error_t;

  FileSystem() = default;
  /// Not copied: the library owns it.
  FileSystem(const FileSystem &) = delete;
  /// Not copied: the library owns it.
  FileSystem &operator=(const FileSystem &) = delete;
  virtual ~FileSystem() = default;

  /// Finds a name.
  virtual Error lookup(Node dir, std::string_view name, Node &node,
                       ampoule_wasi_type_t &type) = 0;
  /// Ends a reference.
  virtual void release(Node node) { (void)node; }
  /// Tells the attributes.
  virtual Error stat(Node node, ampoule_wasi_stat_t &stat) = 0;
  /// Whether a file may be opened.
  virtual Error open(Node file, uint32_t flags) {
    (void)file, (void)flags;
    return AMPOULE_WASI_OK;
  }
  /// Reads.
  virtual Error read(Node file, uint64_t offset,
                     wasmtime::Span<uint8_t> buffer, size_t &count) {
    (void)file, (void)offset, (void)buffer, (void)count;
    return AMPOULE_WASI_ENOTSUP;
  }
  /// Writes.
  virtual Error write(Node file, uint64_t offset,
                      wasmtime::Span<const uint8_t> bytes, size_t &count) {
    (void)file, (void)offset, (void)bytes, (void)count;
    return AMPOULE_WASI_EROFS;
  }
  /// Whether it is worth trying again; otherwise `fd` may say when.
  virtual bool ready(Node file, bool write, int &fd) {
    (void)file, (void)write, (void)fd;
    return false;
  }
  /// Cuts a file, or adds zeros.
  virtual Error set_size(Node file, uint64_t size) {
    (void)file, (void)size;
    return AMPOULE_WASI_ENOTSUP;
  }
  /// Sets times.
  virtual Error set_times(Node node, uint64_t accessed, uint64_t modified) {
    (void)node, (void)accessed, (void)modified;
    return AMPOULE_WASI_ENOTSUP;
  }
  /// Makes durable what was written.
  virtual Error sync(Node node, bool data_only) {
    (void)node, (void)data_only;
    return AMPOULE_WASI_OK;
  }
  /// Fills in an entry of a directory.
  virtual Error entry(Node dir, uint64_t cursor, ampoule_wasi_entry_t &entry,
                      bool &end) {
    (void)dir, (void)cursor, (void)entry, (void)end;
    return AMPOULE_WASI_ENOTSUP;
  }
  /// Tells where a link leads.
  virtual Error read_link(Node link, std::string &target) {
    (void)link, (void)target;
    return AMPOULE_WASI_EINVAL;
  }
  /// Makes an empty file.
  virtual Error create(Node dir, std::string_view name, Node &node) {
    (void)dir, (void)name, (void)node;
    return AMPOULE_WASI_EROFS;
  }
  /// Makes a directory.
  virtual Error create_dir(Node dir, std::string_view name) {
    (void)dir, (void)name;
    return AMPOULE_WASI_EROFS;
  }
  /// Makes a symbolic link.
  virtual Error symlink(std::string_view target, Node dir,
                        std::string_view name) {
    (void)target, (void)dir, (void)name;
    return AMPOULE_WASI_EROFS;
  }
  /// Makes another name.
  virtual Error link(Node node, Node dir, std::string_view name) {
    (void)node, (void)dir, (void)name;
    return AMPOULE_WASI_EROFS;
  }
  /// Moves what has a name.
  virtual Error rename(Node dir, std::string_view name, Node new_dir,
                       std::string_view new_name) {
    (void)dir, (void)name, (void)new_dir, (void)new_name;
    return AMPOULE_WASI_EROFS;
  }
  /// Takes a name away.
  virtual Error remove_file(Node dir, std::string_view name) {
    (void)dir, (void)name;
    return AMPOULE_WASI_EROFS;
  }
  /// Removes a directory.
  virtual Error remove_dir(Node dir, std::string_view name) {
    (void)dir, (void)name;
    return AMPOULE_WASI_EROFS;
  }
};

/// Clocks; each function is one of `ampoule_wasi_clocks_t`.
class Clocks {
public:
  Clocks() = default;
  /// Not copied: the library owns it.
  Clocks(const Clocks &) = delete;
  /// Not copied: the library owns it.
  Clocks &operator=(const Clocks &) = delete;
  virtual ~Clocks() = default;

  /// Nanoseconds since 1970.
  virtual uint64_t realtime() = 0;
  /// Nanoseconds since a beginning of its own.
  virtual uint64_t monotonic() = 0;
  /// The length of a tick in nanoseconds.
  virtual uint64_t resolution(ampoule_wasi_clock_t clock) {
    (void)clock;
    return 1;
  }
  /// Whether the clock was set, because the program sleeps until it shows this.
  virtual bool skip_to(ampoule_wasi_clock_t clock, uint64_t deadline) {
    (void)clock, (void)deadline;
    return false;
  }
};

/// A network; each function is one of `ampoule_wasi_sockets_t`, whose comments
/// say what it is asked.
class Network {
public:
  /// A number for a socket.
  using Socket = ampoule_wasi_socket_t;
  /// The address of one.
  using Address = ampoule_wasi_address_t;
  /// One of `ampoule_wasi_error_enum`.
  using Error = ampoule_wasi_error_t;

  Network() = default;
  /// Not copied: the library owns it.
  Network(const Network &) = delete;
  /// Not copied: the library owns it.
  Network &operator=(const Network &) = delete;
  virtual ~Network() = default;

  /// Makes a socket.
  virtual Error open(bool datagrams, uint8_t family, Socket &socket) = 0;
  /// Closes one.
  virtual void close(Socket socket) { (void)socket; }
  /// Gives it an address.
  virtual Error bind(Socket socket, const Address &address) {
    (void)socket, (void)address;
    return AMPOULE_WASI_ENOTSUP;
  }
  /// Connects it; with null, a socket for datagrams is connected no more.
  virtual Error connect(Socket socket, const Address *address) {
    (void)socket, (void)address;
    return AMPOULE_WASI_ENOTSUP;
  }
  /// Lets others connect to it.
  virtual Error listen(Socket socket, uint32_t backlog) {
    (void)socket, (void)backlog;
    return AMPOULE_WASI_ENOTSUP;
  }
  /// Gives the next connection.
  virtual Error accept(Socket socket, Socket &accepted) {
    (void)socket, (void)accepted;
    return AMPOULE_WASI_ENOTSUP;
  }
  /// Tells an address.
  virtual Error address(Socket socket, bool remote, Address &address) {
    (void)socket, (void)remote, (void)address;
    return AMPOULE_WASI_ENOTSUP;
  }
  /// Receives.
  virtual Error receive(Socket socket, wasmtime::Span<uint8_t> buffer,
                        size_t &count, Address &from) {
    (void)socket, (void)buffer, (void)count, (void)from;
    return AMPOULE_WASI_ENOTSUP;
  }
  /// Sends.
  virtual Error send(Socket socket, wasmtime::Span<const uint8_t> bytes,
                     const Address *to, size_t &count) {
    (void)socket, (void)bytes, (void)to, (void)count;
    return AMPOULE_WASI_ENOTSUP;
  }
  /// Shuts one way, or both.
  virtual Error shutdown(Socket socket, bool receive, bool send) {
    (void)socket, (void)receive, (void)send;
    return AMPOULE_WASI_OK;
  }
  /// Finds up to `addresses.size()` addresses of a name, and counts them.
  virtual Error lookup(std::string_view name,
                       wasmtime::Span<Address> addresses, size_t &count) {
    (void)name, (void)addresses, (void)count;
    return AMPOULE_WASI_EPERM;
  }
};

namespace detail {
/// Runs what the host wrote for a table of the class `T`; what it throws becomes
/// `otherwise`.
template <typename T, typename R, typename F>
R provided(void *env, R otherwise, F body) {
  return wasmtime::detail::shielded(
      [&]() -> R { return body(*static_cast<T *>(env)); },
      [&](const char *) { return otherwise; });
}

/// The same of a function that may fail.
template <typename F> ampoule_wasi_error_t in_fs(void *env, F body) {
  return provided<FileSystem>(
      env, static_cast<ampoule_wasi_error_t>(AMPOULE_WASI_EIO), body);
}

/// The table of a file system, which it owns.
inline ampoule_wasi_filesystem_t table(FileSystem *owned,
                                       ampoule_wasi_node_t root) {
  using Node = ampoule_wasi_node_t;
  ampoule_wasi_filesystem_t t = {};
  t.size = sizeof t;
  t.env = owned;
  t.finalizer = wasmtime::detail::finalize<FileSystem>;
  t.root = root;
  t.lookup = [](void *env, Node dir, const char *name, size_t len, Node *node,
                ampoule_wasi_type_t *type) {
    return in_fs(env, [&](FileSystem &fs) {
      return fs.lookup(dir, {name, len}, *node, *type);
    });
  };
  t.release = [](void *env, Node node) {
    provided<FileSystem>(env, 0, [&](FileSystem &fs) {
      fs.release(node);
      return 0;
    });
  };
  t.stat = [](void *env, Node node, ampoule_wasi_stat_t *stat) {
    return in_fs(env, [&](FileSystem &fs) { return fs.stat(node, *stat); });
  };
  t.open = [](void *env, Node file, uint32_t flags) {
    return in_fs(env, [&](FileSystem &fs) { return fs.open(file, flags); });
  };
  t.read = [](void *env, Node file, uint64_t offset, uint8_t *buffer,
              size_t len, size_t *count) {
    return in_fs(env, [&](FileSystem &fs) {
      return fs.read(file, offset, {buffer, len}, *count);
    });
  };
  t.write = [](void *env, Node file, uint64_t offset, const uint8_t *bytes,
               size_t len, size_t *count) {
    return in_fs(env, [&](FileSystem &fs) {
      return fs.write(file, offset, {bytes, len}, *count);
    });
  };
  t.ready = [](void *env, Node file, bool write, int *fd) {
    return provided<FileSystem>(env, false, [&](FileSystem &fs) {
      return fs.ready(file, write, *fd);
    });
  };
  t.set_size = [](void *env, Node file, uint64_t size) {
    return in_fs(env, [&](FileSystem &fs) { return fs.set_size(file, size); });
  };
  t.set_times = [](void *env, Node node, uint64_t accessed,
                   uint64_t modified) {
    return in_fs(env, [&](FileSystem &fs) {
      return fs.set_times(node, accessed, modified);
    });
  };
  t.sync = [](void *env, Node node, bool data_only) {
    return in_fs(env, [&](FileSystem &fs) { return fs.sync(node, data_only); });
  };
  t.entry = [](void *env, Node dir, uint64_t cursor,
               ampoule_wasi_entry_t *entry, bool *end) {
    return in_fs(env, [&](FileSystem &fs) {
      return fs.entry(dir, cursor, *entry, *end);
    });
  };
  t.read_link = [](void *env, Node link, char *target, size_t capacity,
                   size_t *len) {
    return in_fs(env, [&](FileSystem &fs) -> ampoule_wasi_error_t {
      std::string text;
      ampoule_wasi_error_t error = fs.read_link(link, text);
      if (text.size() > capacity) {
        return AMPOULE_WASI_ENAMETOOLONG;
      }
      text.copy(target, capacity);
      *len = text.size();
      return error;
    });
  };
  t.create = [](void *env, Node dir, const char *name, size_t len,
                Node *node) {
    return in_fs(env, [&](FileSystem &fs) {
      return fs.create(dir, {name, len}, *node);
    });
  };
  t.create_dir = [](void *env, Node dir, const char *name, size_t len) {
    return in_fs(
        env, [&](FileSystem &fs) { return fs.create_dir(dir, {name, len}); });
  };
  t.symlink = [](void *env, const char *target, size_t target_len, Node dir,
                 const char *name, size_t len) {
    return in_fs(env, [&](FileSystem &fs) {
      return fs.symlink({target, target_len}, dir, {name, len});
    });
  };
  t.link = [](void *env, Node node, Node dir, const char *name, size_t len) {
    return in_fs(
        env, [&](FileSystem &fs) { return fs.link(node, dir, {name, len}); });
  };
  t.rename = [](void *env, Node dir, const char *name, size_t len,
                Node new_dir, const char *new_name, size_t new_len) {
    return in_fs(env, [&](FileSystem &fs) {
      return fs.rename(dir, {name, len}, new_dir, {new_name, new_len});
    });
  };
  t.remove_file = [](void *env, Node dir, const char *name, size_t len) {
    return in_fs(
        env, [&](FileSystem &fs) { return fs.remove_file(dir, {name, len}); });
  };
  t.remove_dir = [](void *env, Node dir, const char *name, size_t len) {
    return in_fs(
        env, [&](FileSystem &fs) { return fs.remove_dir(dir, {name, len}); });
  };
  return t;
}
} // namespace detail

/// \brief Shows the directory `root` of a file system to the program as
/// `guest_path`.
///
/// The permissions are sets of `wasi_dir_perms_flags` and
/// `wasi_file_perms_flags`. An error when the path is not UTF-8, or a permission
/// none of the flags.
inline wasmtime::Result<std::monostate>
preopen_virtual_dir(wasmtime::WasiConfig &config,
                    std::unique_ptr<FileSystem> fs, FileSystem::Node root,
                    const std::string &guest_path, size_t dir_perms,
                    size_t file_perms) {
  ampoule_wasi_filesystem_t table = detail::table(fs.release(), root);
  return wasmtime::detail::check(ampoule_wasi_config_preopen_virtual_dir(
      config.capi(), &table, guest_path.c_str(), dir_perms, file_perms));
}

/// \brief Lets the program read its standard input from
/// `f(Span<uint8_t>, size_t &count)`, which returns one of
/// `ampoule_wasi_error_enum`.
template <typename F>
wasmtime::Result<std::monostate> stdin_custom(wasmtime::WasiConfig &config,
                                              F f) {
  ampoule_wasi_stdin_t input = {};
  input.size = sizeof input;
  input.env = new F(std::move(f));
  input.finalizer = wasmtime::detail::finalize<F>;
  input.read = [](void *env, uint8_t *buffer, size_t len, size_t *count) {
    return detail::provided<F>(
        env, static_cast<ampoule_wasi_error_t>(AMPOULE_WASI_EIO),
        [&](F &self) -> ampoule_wasi_error_t {
          return self(wasmtime::Span<uint8_t>(buffer, len), *count);
        });
  };
  return wasmtime::detail::check(
      ampoule_wasi_config_set_stdin(config.capi(), &input));
}

/// Shows the program these clocks.
inline wasmtime::Result<std::monostate>
clocks(wasmtime::WasiConfig &config, std::unique_ptr<Clocks> clocks) {
  constexpr uint64_t zero = 0;
  ampoule_wasi_clocks_t table = {};
  table.size = sizeof table;
  table.env = clocks.release();
  table.finalizer = wasmtime::detail::finalize<Clocks>;
  table.realtime = [](void *env) {
    return detail::provided<Clocks>(env, zero,
                                    [](Clocks &c) { return c.realtime(); });
  };
  table.monotonic = [](void *env) {
    return detail::provided<Clocks>(env, zero,
                                    [](Clocks &c) { return c.monotonic(); });
  };
  table.resolution = [](void *env, ampoule_wasi_clock_t clock) {
    return detail::provided<Clocks>(
        env, zero, [&](Clocks &c) { return c.resolution(clock); });
  };
  table.skip_to = [](void *env, ampoule_wasi_clock_t clock,
                     uint64_t deadline) {
    return detail::provided<Clocks>(
        env, false, [&](Clocks &c) { return c.skip_to(clock, deadline); });
  };
  return wasmtime::detail::check(
      ampoule_wasi_config_set_clocks(config.capi(), &table));
}

/// \brief Gives the program the random bytes of `f(Span<uint8_t>)`, which
/// returns one of `ampoule_wasi_error_enum`.
template <typename F>
wasmtime::Result<std::monostate> random(wasmtime::WasiConfig &config, F f) {
  ampoule_wasi_random_t table = {};
  table.size = sizeof table;
  table.env = new F(std::move(f));
  table.finalizer = wasmtime::detail::finalize<F>;
  table.fill = [](void *env, uint8_t *buffer, size_t len) {
    return detail::provided<F>(
        env, static_cast<ampoule_wasi_error_t>(AMPOULE_WASI_EIO),
        [&](F &self) -> ampoule_wasi_error_t {
          return self(wasmtime::Span<uint8_t>(buffer, len));
        });
  };
  return wasmtime::detail::check(
      ampoule_wasi_config_set_random(config.capi(), &table));
}

namespace detail {
/// What a function of a network answers.
template <typename F> ampoule_wasi_error_t in_network(void *env, F body) {
  return provided<Network>(
      env, static_cast<ampoule_wasi_error_t>(AMPOULE_WASI_EIO), body);
}
} // namespace detail

/// Gives the program this network in place of the system's.
inline wasmtime::Result<std::monostate>
network(wasmtime::WasiConfig &config, std::unique_ptr<Network> network) {
  using Socket = ampoule_wasi_socket_t;
  using Address = ampoule_wasi_address_t;
  ampoule_wasi_sockets_t t = {};
  t.size = sizeof t;
  t.env = network.release();
  t.finalizer = wasmtime::detail::finalize<Network>;
  t.open = [](void *env, bool datagrams, uint8_t family, Socket *socket) {
    return detail::in_network(env, [&](Network &n) {
      return n.open(datagrams, family, *socket);
    });
  };
  t.close = [](void *env, Socket socket) {
    detail::provided<Network>(env, 0, [&](Network &n) {
      n.close(socket);
      return 0;
    });
  };
  t.bind = [](void *env, Socket socket, const Address *address) {
    return detail::in_network(
        env, [&](Network &n) { return n.bind(socket, *address); });
  };
  t.connect = [](void *env, Socket socket, const Address *address) {
    return detail::in_network(
        env, [&](Network &n) { return n.connect(socket, address); });
  };
  t.listen = [](void *env, Socket socket, uint32_t backlog) {
    return detail::in_network(
        env, [&](Network &n) { return n.listen(socket, backlog); });
  };
  t.accept = [](void *env, Socket socket, Socket *accepted) {
    return detail::in_network(
        env, [&](Network &n) { return n.accept(socket, *accepted); });
  };
  t.address = [](void *env, Socket socket, bool remote, Address *address) {
    return detail::in_network(
        env, [&](Network &n) { return n.address(socket, remote, *address); });
  };
  t.receive = [](void *env, Socket socket, uint8_t *buffer, size_t len,
                 size_t *count, Address *from) {
    return detail::in_network(env, [&](Network &n) {
      return n.receive(socket, {buffer, len}, *count, *from);
    });
  };
  t.send = [](void *env, Socket socket, const uint8_t *bytes, size_t len,
              const Address *to, size_t *count) {
    return detail::in_network(env, [&](Network &n) {
      return n.send(socket, {bytes, len}, to, *count);
    });
  };
  t.shutdown = [](void *env, Socket socket, bool receive, bool send) {
    return detail::in_network(
        env, [&](Network &n) { return n.shutdown(socket, receive, send); });
  };
  t.lookup = [](void *env, const char *name, size_t len, Address *addresses,
                size_t capacity, size_t *count) {
    return detail::in_network(env, [&](Network &n) {
      return n.lookup({name, len}, {addresses, capacity}, *count);
    });
  };
  return wasmtime::detail::check(
      ampoule_wasi_config_set_sockets(config.capi(), &t));
}

/// \brief Lets the program look up, connect to and send to one part of the network:
/// see `ampoule_wasi_config_allow_net`.
inline wasmtime::Result<std::monostate> allow_net(wasmtime::WasiConfig &config,
                                                  const std::string &rule) {
  return wasmtime::detail::check(
      ampoule_wasi_config_allow_net(config.capi(), rule.c_str()));
}

#ifdef WASMTIME_FEATURE_COMPONENT_MODEL
/// \brief Adds the interfaces of WASI 0.3 to a linker: see
/// `ampoule_component_linker_add_wasip3`.
inline wasmtime::Result<std::monostate>
add_wasip3(wasmtime::component::Linker &linker) {
  return wasmtime::detail::check(
      ampoule_component_linker_add_wasip3(linker.capi()));
}
#endif // WASMTIME_FEATURE_COMPONENT_MODEL

} // namespace ampoule

#endif // WASMTIME_FEATURE_WASI

#endif // AMPOULE_WASI_HH
