/**
 * \file ampoule/wasi.h
 *
 * \brief What a WASI program finds in place of the system: file systems, clocks,
 * randomness, standard input and sockets as tables of C functions; and which part
 * of the system's network it may reach.
 *
 * For core modules (preview 1) and components (0.2 and 0.3) alike; and WASI 0.3
 * itself, for linkers of components.
 * `ampoule_has("wasi")` tells whether the library has these functions.
 *
 * **Tables.** Each begins with its size, to be set with `sizeof`; it is copied
 * when it is given. A function that is null is one that the host does not have,
 * and its comment says what the program is told then. Later versions add members
 * at the end. `env` is passed to each function; `finalizer(env)` runs
 * once, when nothing can call them any more, on any thread; it may be null. It
 * runs also when the table is refused.
 *
 * **Errors** are one of `ampoule_wasi_error_enum`, 0 for success; what an output
 * is when there is an error does not matter. Any other number, a count larger
 * than what was asked for, a name or a path that cannot be is the error
 * `AMPOULE_WASI_EIO` to the program.
 *
 * **Threads and re-entry.** The functions are called by the thread that
 * uses the store, while it does: they must not use the store, nor throw
 * or jump out. Each table that is given to a configuration is for one store. What
 * is lent (names, buffers) is lent for the call. Buffers are never the memory of
 * the guest.
 *
 * **Waiting.** A function that would have to wait answers
 * `AMPOULE_WASI_EAGAIN` where its comment allows that. A program that waits then
 * sleeps: until the file descriptor is readable that the table's `ready` names,
 * or for a while (10 ms) where it names none; and the function is called again.
 * Sleeps end early for cancellation, time limits and epochs.
 */

#ifndef AMPOULE_WASI_H
#define AMPOULE_WASI_H

#include <wasi.h>
#include <wasmtime/component/linker.h>
#include <wasmtime/conf.h>
#include <wasmtime/error.h>

#ifdef WASMTIME_FEATURE_WASI

#ifdef __cplusplus
extern "C" {
#endif

/// One of #ampoule_wasi_error_enum.
typedef uint16_t ampoule_wasi_error_t;

/// \brief What may go wrong: `errno` values by their names, with the numbers of
/// preview 1, which differ from the system's.
enum ampoule_wasi_error_enum {
  /// Nothing did.
  AMPOULE_WASI_OK = 0,
  /// Permission denied.
  AMPOULE_WASI_EACCES = 2,
  /// Address in use.
  AMPOULE_WASI_EADDRINUSE = 3,
  /// Address not available.
  AMPOULE_WASI_EADDRNOTAVAIL = 4,
  /// Address family not supported.
  AMPOULE_WASI_EAFNOSUPPORT = 5,
  /// It would have to wait.
  AMPOULE_WASI_EAGAIN = 6,
  /// It was begun already.
  AMPOULE_WASI_EALREADY = 7,
  /// Not opened for this.
  AMPOULE_WASI_EBADF = 8,
  /// Busy.
  AMPOULE_WASI_EBUSY = 10,
  /// Connection aborted.
  AMPOULE_WASI_ECONNABORTED = 13,
  /// Connection refused.
  AMPOULE_WASI_ECONNREFUSED = 14,
  /// Connection reset.
  AMPOULE_WASI_ECONNRESET = 15,
  /// Disk quota exceeded.
  AMPOULE_WASI_EDQUOT = 19,
  /// It exists already.
  AMPOULE_WASI_EEXIST = 20,
  /// File too large.
  AMPOULE_WASI_EFBIG = 22,
  /// Host unreachable.
  AMPOULE_WASI_EHOSTUNREACH = 23,
  /// Not the right bytes for a text.
  AMPOULE_WASI_EILSEQ = 25,
  /// Invalid argument.
  AMPOULE_WASI_EINVAL = 28,
  /// It failed.
  AMPOULE_WASI_EIO = 29,
  /// It is connected already.
  AMPOULE_WASI_EISCONN = 30,
  /// It is a directory.
  AMPOULE_WASI_EISDIR = 31,
  /// Too many symbolic links.
  AMPOULE_WASI_ELOOP = 32,
  /// Too many links to one file.
  AMPOULE_WASI_EMLINK = 34,
  /// Message too long.
  AMPOULE_WASI_EMSGSIZE = 35,
  /// Name too long.
  AMPOULE_WASI_ENAMETOOLONG = 37,
  /// Network unreachable.
  AMPOULE_WASI_ENETUNREACH = 40,
  /// No buffer space.
  AMPOULE_WASI_ENOBUFS = 42,
  /// No such device.
  AMPOULE_WASI_ENODEV = 43,
  /// There is no such name.
  AMPOULE_WASI_ENOENT = 44,
  /// No memory.
  AMPOULE_WASI_ENOMEM = 48,
  /// No space left.
  AMPOULE_WASI_ENOSPC = 51,
  /// Not connected.
  AMPOULE_WASI_ENOTCONN = 53,
  /// It is not a directory.
  AMPOULE_WASI_ENOTDIR = 54,
  /// The directory is not empty.
  AMPOULE_WASI_ENOTEMPTY = 55,
  /// Not supported.
  AMPOULE_WASI_ENOTSUP = 58,
  /// A number does not fit.
  AMPOULE_WASI_EOVERFLOW = 61,
  /// Not permitted.
  AMPOULE_WASI_EPERM = 63,
  /// Nobody reads it any more.
  AMPOULE_WASI_EPIPE = 64,
  /// The file system is read-only.
  AMPOULE_WASI_EROFS = 69,
  /// It has no offsets.
  AMPOULE_WASI_ESPIPE = 70,
  /// Timed out.
  AMPOULE_WASI_ETIMEDOUT = 73,
  /// Between two file systems.
  AMPOULE_WASI_EXDEV = 75,
};

/// One of #ampoule_wasi_type_enum.
typedef uint8_t ampoule_wasi_type_t;

/// What a file is.
enum ampoule_wasi_type_enum {
  /// Something else.
  AMPOULE_WASI_TYPE_UNKNOWN = 0,
  /// A stream of bytes without offsets: a device, a pipe.
  AMPOULE_WASI_TYPE_CHARACTER_DEVICE = 2,
  /// A directory.
  AMPOULE_WASI_TYPE_DIRECTORY = 3,
  /// A file with offsets.
  AMPOULE_WASI_TYPE_REGULAR_FILE = 4,
  /// A symbolic link.
  AMPOULE_WASI_TYPE_SYMBOLIC_LINK = 7,
};

/// \brief A number by which a file system knows a file, directory or link.
///
/// Chosen by the file system; an index, or an address.
typedef uint64_t ampoule_wasi_node_t;

/// The attributes of a node. Zero where the file system sets nothing.
typedef struct ampoule_wasi_stat {
  /// A number that is the same for all names of one file.
  uint64_t inode;
  /// How many names it has.
  uint64_t links;
  /// Its length in bytes.
  uint64_t size;
  /// Time of the last access, in nanoseconds since 1970.
  uint64_t accessed;
  /// Time of the last change of its contents.
  uint64_t modified;
  /// Time of the last change of its attributes.
  uint64_t changed;
  /// What it is.
  ampoule_wasi_type_t type;
} ampoule_wasi_stat_t;

/// The longest name in a directory, in bytes.
#define AMPOULE_WASI_MAX_NAME 255

/// An entry of a directory. Zero where the file system sets nothing.
typedef struct ampoule_wasi_entry {
  /// The cursor of the entry after it.
  uint64_t next;
  /// As `ampoule_wasi_stat_t` tells of what it names.
  uint64_t inode;
  /// What that is.
  ampoule_wasi_type_t type;
  /// How many bytes of `name` are the name.
  size_t name_len;
  /// UTF-8, without slash or NUL; `.` and `..` are skipped.
  char name[AMPOULE_WASI_MAX_NAME + 1];
} ampoule_wasi_entry_t;

/// For what a file is opened: any of these, added.
enum ampoule_wasi_open_enum {
  /// To read it.
  AMPOULE_WASI_OPEN_READ = 1,
  /// To write it.
  AMPOULE_WASI_OPEN_WRITE = 2,
  /// To empty it, by `set_size`.
  AMPOULE_WASI_OPEN_TRUNCATE = 4,
};

/// In place of a time: it stays as it is.
#define AMPOULE_WASI_TIME_KEEP UINT64_MAX
/// In place of a time: the present.
#define AMPOULE_WASI_TIME_NOW (UINT64_MAX - 1)

/// \brief A file system.
///
/// It is asked about one name in one directory at a time: paths are the
/// library's. `name` is UTF-8 without slash or NUL, 1 to
/// `AMPOULE_WASI_MAX_NAME` bytes, never `.` or `..`, and a NUL follows it.
/// Symbolic links are followed by the library, which lets nothing lead out of the
/// directory that was preopened; nor is the file system asked for what the
/// permissions of the preopen forbid.
///
/// A node that `lookup` or `create` gives is one reference more to it, and
/// `release` ends one: until then the number must mean the same node, also
/// where it lost its last name.
typedef struct ampoule_wasi_filesystem {
  /// `sizeof(ampoule_wasi_filesystem_t)`
  size_t size;
  /// Passed to all of the functions.
  void *env;
  /// Called with `env` in the end; may be null.
  void (*finalizer)(void *env);
  /// The directory that is preopened. It takes no `release`.
  ampoule_wasi_node_t root;
  /// Finds a name: `*node` and `*type`, of a link itself. Needed.
  ampoule_wasi_error_t (*lookup)(
      void *env, ampoule_wasi_node_t dir, const char *name, size_t name_len,
      ampoule_wasi_node_t *node, ampoule_wasi_type_t *type);
  /// Ends a reference. Null where nodes need none.
  void (*release)(void *env, ampoule_wasi_node_t node);
  /// Tells the attributes. Needed.
  ampoule_wasi_error_t (*stat)(
      void *env, ampoule_wasi_node_t node, ampoule_wasi_stat_t *stat);
  /// Whether a file may be opened for `flags` of #ampoule_wasi_open_enum. Null
  /// where all may be, as far as there are functions for it.
  ampoule_wasi_error_t (*open)(
      void *env, ampoule_wasi_node_t file, uint32_t flags);
  /// Reads up to `len` bytes (1 to 64 KiB) at `offset` into `buffer`, and sets
  /// `*count`, which is 0 at the end. May have to wait. `offset` is 0 for what is
  /// not a regular file. Null: ENOTSUP.
  ampoule_wasi_error_t (*read)(
      void *env, ampoule_wasi_node_t file, uint64_t offset, uint8_t *buffer,
      size_t len, size_t *count);
  /// Writes up to `len` bytes (1 to 64 KiB) at `offset`, which may be beyond the
  /// end, and sets `*count`, at least 1. May have to wait. Null: EROFS when a
  /// file is opened for writing.
  ampoule_wasi_error_t (*write)(
      void *env, ampoule_wasi_node_t file, uint64_t offset,
      const uint8_t *bytes, size_t len, size_t *count);
  /// Writes at the end. Null: `write` at the size that `stat` tells.
  ampoule_wasi_error_t (*append)(
      void *env, ampoule_wasi_node_t file, const uint8_t *bytes, size_t len,
      size_t *count);
  /// Whether it is worth trying again what would have had to wait; otherwise sets
  /// `*fd` to a file descriptor that is readable once it is, or leaves it at -1.
  /// The descriptor is only lent, and stays open while the program waits. Null:
  /// it is tried after a while.
  bool (*ready)(void *env, ampoule_wasi_node_t file, bool write, int *fd);
  /// Cuts a file, or adds zeros. Null: ENOTSUP.
  ampoule_wasi_error_t (*set_size)(
      void *env, ampoule_wasi_node_t file, uint64_t size);
  /// Sets times in nanoseconds since 1970, or `AMPOULE_WASI_TIME_KEEP`,
  /// `AMPOULE_WASI_TIME_NOW`. Null: ENOTSUP.
  ampoule_wasi_error_t (*set_times)(
      void *env, ampoule_wasi_node_t node, uint64_t accessed,
      uint64_t modified);
  /// Makes durable what was written; without attributes where `data_only`. Null:
  /// nothing is to be done.
  ampoule_wasi_error_t (*sync)(
      void *env, ampoule_wasi_node_t node, bool data_only);
  /// Fills in the entry of a directory at `cursor`: 0 for the first, later what
  /// `next` was. Sets `*end` behind the last. Null: ENOTSUP.
  ampoule_wasi_error_t (*entry)(
      void *env, ampoule_wasi_node_t dir, uint64_t cursor,
      ampoule_wasi_entry_t *entry, bool *end);
  /// Writes where a link leads, UTF-8, up to `capacity` bytes (4,095), and sets
  /// `*len`. Null: EINVAL.
  ampoule_wasi_error_t (*read_link)(
      void *env, ampoule_wasi_node_t link, char *target, size_t capacity,
      size_t *len);
  /// Makes an empty file, and gives `*node`; EEXIST where there is the name.
  /// Null, as of the others below: EROFS.
  ampoule_wasi_error_t (*create)(
      void *env, ampoule_wasi_node_t dir, const char *name, size_t name_len,
      ampoule_wasi_node_t *node);
  /// Makes a directory.
  ampoule_wasi_error_t (*create_dir)(
      void *env, ampoule_wasi_node_t dir, const char *name, size_t name_len);
  /// Makes a link to `target`, a relative path that a NUL follows.
  ampoule_wasi_error_t (*symlink)(
      void *env, const char *target, size_t target_len, ampoule_wasi_node_t dir,
      const char *name, size_t name_len);
  /// Makes another name of a node, which is no directory.
  ampoule_wasi_error_t (*link)(
      void *env, ampoule_wasi_node_t node, ampoule_wasi_node_t dir,
      const char *name, size_t name_len);
  /// Moves what has a name, replacing what has the new one. EINVAL where a
  /// directory would get into itself; EISDIR, ENOTDIR, ENOTEMPTY for what
  /// cannot be replaced.
  ampoule_wasi_error_t (*rename)(
      void *env, ampoule_wasi_node_t dir, const char *name, size_t name_len,
      ampoule_wasi_node_t new_dir, const char *new_name, size_t new_name_len);
  /// Takes away the name of what is no directory.
  ampoule_wasi_error_t (*remove_file)(
      void *env, ampoule_wasi_node_t dir, const char *name, size_t name_len);
  /// Removes a directory; ENOTEMPTY where it is not empty.
  ampoule_wasi_error_t (*remove_dir)(
      void *env, ampoule_wasi_node_t dir, const char *name, size_t name_len);
} ampoule_wasi_filesystem_t;

/// \brief Shows a directory of a file system to the program as `guest_path`, with
/// permissions as for `wasi_config_preopen_dir`.
///
/// Every table that is given is a file system of its own: between two of them
/// nothing can be moved or linked.
///
/// An error when the table is too small or lacks what is needed, `guest_path` is
/// not UTF-8, or a permission is none of the flags.
WASI_API_EXTERN wasmtime_error_t *ampoule_wasi_config_preopen_virtual_dir(
    wasi_config_t *config, const ampoule_wasi_filesystem_t *filesystem,
    const char *guest_path, wasi_dir_perms dir_perms,
    wasi_file_perms file_perms);

/// \brief Standard input.
typedef struct ampoule_wasi_stdin {
  /// `sizeof(ampoule_wasi_stdin_t)`
  size_t size;
  /// Passed to the functions.
  void *env;
  /// Called with `env` in the end; may be null.
  void (*finalizer)(void *env);
  /// Reads up to `len` bytes (1 to 4,096) into `buffer` and sets `*count`, which
  /// is 0 at the end. May have to wait. Needed.
  ampoule_wasi_error_t (*read)(
      void *env, uint8_t *buffer, size_t len, size_t *count);
  /// As in `ampoule_wasi_filesystem_t`.
  bool (*ready)(void *env, int *fd);
} ampoule_wasi_stdin_t;

/// \brief Lets the program read its standard input from a function, in place of
/// what was set before.
///
/// An error when the table is too small or lacks what is needed.
WASI_API_EXTERN wasmtime_error_t *ampoule_wasi_config_set_stdin(
    wasi_config_t *config, const ampoule_wasi_stdin_t *input);

/// Which clock: one of the AMPOULE_WASI_CLOCK constants.
typedef uint8_t ampoule_wasi_clock_t;
/// Nanoseconds since 1970.
#define AMPOULE_WASI_CLOCK_REALTIME 0
/// Nanoseconds since a beginning of its own.
#define AMPOULE_WASI_CLOCK_MONOTONIC 1

/// \brief Clocks. What is null is as the system's.
typedef struct ampoule_wasi_clocks {
  /// `sizeof(ampoule_wasi_clocks_t)`
  size_t size;
  /// Passed to all of the functions.
  void *env;
  /// Called with `env` in the end; may be null.
  void (*finalizer)(void *env);
  /// The time of `AMPOULE_WASI_CLOCK_REALTIME`.
  uint64_t (*realtime)(void *env);
  /// The time of `AMPOULE_WASI_CLOCK_MONOTONIC`. The program never sees it go
  /// back.
  uint64_t (*monotonic)(void *env);
  /// The length of a tick in nanoseconds.
  uint64_t (*resolution)(void *env, ampoule_wasi_clock_t clock);
  /// The program sleeps until `clock` shows `deadline`, or until something else
  /// happens that it waits for. A clock that does not go by itself may be set now;
  /// true says that it was. Otherwise real time passes, in which the clock
  /// is looked at every 10 ms.
  bool (*skip_to)(void *env, ampoule_wasi_clock_t clock, uint64_t deadline);
} ampoule_wasi_clocks_t;

/// \brief Shows the program other clocks than the system's.
///
/// An error when the table is too small.
WASI_API_EXTERN wasmtime_error_t *ampoule_wasi_config_set_clocks(
    wasi_config_t *config, const ampoule_wasi_clocks_t *clocks);

/// \brief Randomness.
typedef struct ampoule_wasi_random {
  /// `sizeof(ampoule_wasi_random_t)`
  size_t size;
  /// Passed to the function.
  void *env;
  /// Called with `env` in the end; may be null.
  void (*finalizer)(void *env);
  /// Fills `len` bytes (1 to 256), which are zero before. An error is told to the
  /// program (preview 1) or ends it (0.2, which knows none). Needed.
  ampoule_wasi_error_t (*fill)(void *env, uint8_t *buffer, size_t len);
} ampoule_wasi_random_t;

/// \brief Gives the program other random bytes than the system's, wherever it asks
/// for some.
///
/// An error when the table is too small or lacks what is needed.
WASI_API_EXTERN wasmtime_error_t *ampoule_wasi_config_set_random(
    wasi_config_t *config, const ampoule_wasi_random_t *random);

/// \brief A number by which a network knows a socket.
typedef uint64_t ampoule_wasi_socket_t;

/// The address of a socket.
typedef struct ampoule_wasi_address {
  /// 4 or 6: what of `ip` counts.
  uint8_t family;
  /// The port.
  uint16_t port;
  /// 4 or 16 bytes, as they are written in packets.
  uint8_t ip[16];
  /// Of family 6.
  uint32_t flow_info;
  /// Of family 6.
  uint32_t scope_id;
} ampoule_wasi_address_t;

/// The most addresses of one name.
#define AMPOULE_WASI_MAX_ADDRESSES 256

/// \brief A network: what the sockets of WASI 0.2 connect to. (A program of
/// preview 1 makes none.)
///
/// Functions that may have to wait answer EAGAIN, and are called again. A null
/// function answers ENOTSUP, unless its comment says otherwise. What belongs to
/// the system alone (hop limits, buffer sizes, keep-alive) is not supported.
typedef struct ampoule_wasi_sockets {
  /// `sizeof(ampoule_wasi_sockets_t)`
  size_t size;
  /// Passed to all of the functions.
  void *env;
  /// Called with `env` in the end; may be null.
  void (*finalizer)(void *env);
  /// Makes a socket, for connections or for datagrams, of `family` 4 or 6. Needed.
  ampoule_wasi_error_t (*open)(
      void *env, bool datagrams, uint8_t family, ampoule_wasi_socket_t *socket);
  /// Closes a socket that `open` or `accept` gave, once. Null where there is
  /// nothing to do.
  void (*close)(void *env, ampoule_wasi_socket_t socket);
  /// Gives it an address; with port 0, one with a port of the network's choice.
  ampoule_wasi_error_t (*bind)(
      void *env, ampoule_wasi_socket_t socket,
      const ampoule_wasi_address_t *address);
  /// Connects it; EAGAIN as long as that is not decided. A socket for datagrams
  /// exchanges them with this address only; with any where it is null.
  ampoule_wasi_error_t (*connect)(
      void *env, ampoule_wasi_socket_t socket,
      const ampoule_wasi_address_t *address);
  /// Lets others connect to it; `backlog` of them may wait for that.
  ampoule_wasi_error_t (*listen)(
      void *env, ampoule_wasi_socket_t socket, uint32_t backlog);
  /// Gives the next connection to it. May have to wait.
  ampoule_wasi_error_t (*accept)(
      void *env, ampoule_wasi_socket_t socket, ampoule_wasi_socket_t *accepted);
  /// Tells its address, or that of the other side where `remote`.
  ampoule_wasi_error_t (*address)(
      void *env, ampoule_wasi_socket_t socket, bool remote,
      ampoule_wasi_address_t *address);
  /// Receives up to `len` bytes (1 to 64 KiB), and sets `*count`: 0 at the end of
  /// a connection. Of a datagram, `*from` too, which is of family 0 before. May
  /// have to wait.
  ampoule_wasi_error_t (*receive)(
      void *env, ampoule_wasi_socket_t socket, uint8_t *buffer, size_t len,
      size_t *count, ampoule_wasi_address_t *from);
  /// Sends up to `len` bytes (1 to 64 KiB), and sets `*count`, at least 1; a
  /// datagram (also an empty one) as a whole, to `to` unless that is null. May
  /// have to wait.
  ampoule_wasi_error_t (*send)(
      void *env, ampoule_wasi_socket_t socket, const uint8_t *bytes, size_t len,
      const ampoule_wasi_address_t *to, size_t *count);
  /// Shuts the way in, the way out, or both. Null: nothing is to be done.
  ampoule_wasi_error_t (*shutdown)(
      void *env, ampoule_wasi_socket_t socket, bool receive, bool send);
  /// As in `ampoule_wasi_filesystem_t`: `write` for `send` and `connect`,
  /// otherwise for `receive` and `accept`.
  bool (*ready)(void *env, ampoule_wasi_socket_t socket, bool write, int *fd);
  /// Finds up to `capacity` addresses of a name, which a NUL follows; ports do not
  /// count. ENOENT where it has none; EAGAIN while there is no answer. Null:
  /// EPERM.
  ampoule_wasi_error_t (*lookup)(
      void *env, const char *name, size_t name_len,
      ampoule_wasi_address_t *addresses, size_t capacity, size_t *count);
} ampoule_wasi_sockets_t;

/// \brief Gives the program a network in place of the system's, with all that it
/// can do: `wasi_config_inherit_network` and
/// `wasi_config_allow_ip_name_lookup` are about the system's.
///
/// An error when the table is too small or lacks what is needed.
WASI_API_EXTERN wasmtime_error_t *ampoule_wasi_config_set_sockets(
    wasi_config_t *config, const ampoule_wasi_sockets_t *sockets);

/**
 * \brief Lets the program look up, connect to and send to one part of the system's
 * network. May be called again for others.
 *
 * `rule` is `HOST`, `HOST:PORT` or `HOST:FIRST-LAST`. The host is a name, `*.` and
 * a name for all below it, an address, a network such as `10.0.0.0/8`, or `*`. IPv6
 * addresses in front of a port are in brackets: `[fd00::/8]:443`.
 *
 * What no rule lists is denied, unless `wasi_config_inherit_network` (addresses)
 * or `wasi_config_allow_ip_name_lookup` (names) allow everything. A name stands
 * for the addresses that the system's resolver gives when the program looks it
 * up, without those of the host itself (but for `localhost`) and of its link. The
 * program's sockets have ports that the system chooses, and can't listen. Requests
 * by `wasi:http`, where the store has that, go to what the rules list, too.
 *
 * An error when the rule is none of these; nothing changes then.
 */
WASI_API_EXTERN wasmtime_error_t *
ampoule_wasi_config_allow_net(wasi_config_t *config, const char *rule);

#ifdef WASMTIME_FEATURE_COMPONENT_MODEL

/**
 * \brief Adds the interfaces of WASI 0.3 to a linker, but for `wasi:http`: those
 * of 0.3.2, which components of any 0.3 get.
 *
 * Programs of 0.3 mostly import some of 0.2 beside it: the same linker may have
 * `wasmtime_component_linker_add_wasip2`, too. Stores need
 * `wasmtime_context_set_wasi`, as for 0.2; both see the same.
 *
 * Functions of such components that wait keep neither the thread nor the other
 * tasks of the store from going on: `ampoule/component.h` is how a host drives them.
 *
 * An error when the linker has a name already, unless it allows shadowing.
 */
WASI_API_EXTERN wasmtime_error_t *
ampoule_component_linker_add_wasip3(wasmtime_component_linker_t *linker);

#endif // WASMTIME_FEATURE_COMPONENT_MODEL

#ifdef __cplusplus
} // extern "C"
#endif

#endif // WASMTIME_FEATURE_WASI

#endif // AMPOULE_WASI_H
