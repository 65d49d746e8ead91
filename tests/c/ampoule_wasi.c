// ampoule/wasi.h: file systems, standard input, clocks and randomness that the host provides as tables.
#include "preview1.h"
// The file system of the example. It comes second: `test.h` chooses what the system's headers declare.
#include "../../examples/c/memory_fs.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stddef.h>
#include <time.h>
#include <unistd.h>

enum { PREOPENED = 3, AGAIN = 6, EXIST = 20, FBIG = 22, ILSEQ = 25, IO = 29, LOOP = 32, NOSPC = 51, NOTSUP = 58, PERM = 63, ROFS = 69 };

#define ALL_DIR (WASMTIME_WASI_DIR_PERMS_READ | WASMTIME_WASI_DIR_PERMS_WRITE)
#define ALL_FILE (WASMTIME_WASI_FILE_PERMS_READ | WASMTIME_WASI_FILE_PERMS_WRITE)

static int finalized;

static void count_finalizer(void *env) {
  (void)env;
  finalized++;
}

// Starts the guest with this file system as "/".
static void start_with(const ampoule_wasi_filesystem_t *fs) {
  wasi_config_t *config = wasi_config_new();
  expect_ok(ampoule_wasi_config_preopen_virtual_dir(config, fs, "/", ALL_DIR, ALL_FILE));
  start(config);
}

// -- File systems

static int32_t make_link(const char *target, const char *path) {
  memcpy(mem(512), target, strlen(target));
  memcpy(mem(768), path, strlen(path));
  return wasi("path_symlink", L(512), L(strlen(target)), L(PREOPENED), L(768), L(strlen(path)));
}

static int32_t make_dir(const char *path) {
  memcpy(mem(512), path, strlen(path));
  return wasi("path_create_directory", L(PREOPENED), L(512), L(strlen(path)));
}

static int32_t move(const char *path, const char *new_path) {
  memcpy(mem(512), path, strlen(path));
  memcpy(mem(768), new_path, strlen(new_path));
  return wasi("path_rename", L(PREOPENED), L(512), L(strlen(path)), L(PREOPENED), L(768), L(strlen(new_path)));
}

// Lists "/" in pieces of 64 bytes: its names, each with a space behind it; or NULL, and the error.
static const char *list(int32_t *error) {
  static char names[4096];
  size_t len = 0;
  uint64_t cookie = 0;
  for (;;) {
    *error = wasi("fd_readdir", L(PREOPENED), L(4096), L(64), L(cookie), L(24));
    if (*error) return NULL;
    uint32_t used = word(24), at = 0;
    while (at + 24 <= used) {
      uint32_t name_len = word(4096 + at + 16);
      if (at + 24 + name_len > used) break;
      cookie = long_word(4096 + at);
      len += (size_t)snprintf(names + len, sizeof names - len, "%.*s ", (int)name_len, (char *)mem(4096 + at + 24));
      at += 24 + name_len;
    }
    if (used < 64) return names;
  }
}

static void a_program_uses_a_file_system_of_the_host(void) {
  ampoule_wasi_filesystem_t fs = memory_fs_new(1 << 20);
  memory_fs_put(&fs, "greeting", "hello");
  start_with(&fs);
  int fd = open_path(PREOPENED, "greeting", 0, READ_RIGHT | WRITE_RIGHT);
  expect(fd > PREOPENED);
  expect(read_some(fd, 100) == 5 && !memcmp(mem(2048), "hello", 5));
  expect(write_text(fd, " world") == SUCCESS);
  expect(wasi("fd_seek", L(fd), L(-8), L(2), L(32)) == SUCCESS && long_word(32) == 3);
  expect(read_some(fd, 100) == 8 && !memcmp(mem(2048), "lo world", 8));
  expect(make_dir("dir") == SUCCESS && make_dir("dir") == EXIST);
  expect(make_link("../greeting", "dir/link") == SUCCESS);
  int linked = open_path(PREOPENED, "dir/./../dir/link", 0, READ_RIGHT);
  expect(read_some(linked, 4) == 4 && !memcmp(mem(2048), "hell", 4));
  expect(move("greeting", "dir/moved") == SUCCESS);
  // What lost its name is still there for who has it open.
  expect(read_some(linked, 100) == 7);
  expect(open_path(PREOPENED, "dir/link", 0, READ_RIGHT) == -NOENT);
  int32_t error;
  for (int i = 0; i < 9; i++) {
    char name[] = {'f', (char)('0' + i), 0};
    expect(open_path(PREOPENED, name, CREATE | EXCLUSIVE, WRITE_RIGHT) > 0);
  }
  const char *names = list(&error);
  expect(names && !strcmp(names, ". .. dir f0 f1 f2 f3 f4 f5 f6 f7 f8 "));
}

static void nothing_leads_out_of_it(void) {
  ampoule_wasi_filesystem_t fs = memory_fs_new(1 << 20);
  start_with(&fs);
  expect(make_dir("dir") == SUCCESS);
  expect(make_link("/greeting", "absolute") == PERM);
  expect(make_link("../../greeting", "dir/out") == SUCCESS);
  expect(make_link("round", "round") == SUCCESS);
  expect(open_path(PREOPENED, "..", 0, READ_RIGHT) == -PERM);
  expect(open_path(PREOPENED, "/dir", 0, READ_RIGHT) == -PERM);
  expect(open_path(PREOPENED, "dir/out", 0, READ_RIGHT) == -PERM);
  expect(open_path(PREOPENED, "round", 0, READ_RIGHT) == -LOOP);
}

static void permissions_hold_for_it(void) {
  ampoule_wasi_filesystem_t fs = memory_fs_new(1 << 20);
  memory_fs_put(&fs, "f", "text");
  wasi_config_t *config = wasi_config_new();
  expect_ok(ampoule_wasi_config_preopen_virtual_dir(config, &fs, "/", WASMTIME_WASI_DIR_PERMS_READ,
                                                    WASMTIME_WASI_FILE_PERMS_READ));
  start(config);
  expect(open_path(PREOPENED, "f", 0, READ_RIGHT) > 0);
  expect(open_path(PREOPENED, "f", 0, WRITE_RIGHT) == -PERM);
  expect(open_path(PREOPENED, "g", CREATE, READ_RIGHT) == -PERM);
  expect(make_dir("d") == PERM);
}

static void a_file_system_may_have_a_bound(void) {
  ampoule_wasi_filesystem_t fs = memory_fs_new(4096);
  start_with(&fs);
  int fd = open_path(PREOPENED, "f", CREATE, WRITE_RIGHT);
  expect(wasi("fd_filestat_set_size", L(fd), L(1 << 30)) == NOSPC);
  expect(wasi("fd_filestat_set_size", L(fd), INT64_MAX) == NOSPC);
  expect(wasi("fd_allocate", L(fd), INT64_MAX, L(1)) == FBIG);
  int made = 0;
  for (char name[] = "a"; name[0] <= 'z'; name[0]++) made += make_dir(name) == SUCCESS;
  expect(made > 2 && made < 20 && make_dir("more") == NOSPC);
  expect(move("a", "b") == SUCCESS);
}

// -- Tables that lack something

static void a_table_needs_what_its_header_says(void) {
  ampoule_wasi_filesystem_t fs = memory_fs_new(0);
  void (*finalize)(void *) = fs.finalizer;
  wasi_config_t *config = wasi_config_new();
  ampoule_wasi_filesystem_t bad = fs;
  bad.finalizer = count_finalizer;
  finalized = 0;
  bad.lookup = NULL;
  expect_error_says(ampoule_wasi_config_preopen_virtual_dir(config, &bad, "/", ALL_DIR, ALL_FILE), "no function `lookup`");
  expect(finalized == 1);
  bad.lookup = fs.lookup;
  bad.size = offsetof(ampoule_wasi_filesystem_t, stat);
  expect_error_says(ampoule_wasi_config_preopen_virtual_dir(config, &bad, "/", ALL_DIR, ALL_FILE), "no function `stat`");
  expect(finalized == 2);
  bad.size = sizeof bad;
  expect_error_says(ampoule_wasi_config_preopen_virtual_dir(config, &bad, "\xff", ALL_DIR, ALL_FILE), "UTF-8");
  expect_error_says(ampoule_wasi_config_preopen_virtual_dir(config, &bad, "/", 64, ALL_FILE), "permission");
  expect(finalized == 4);
  bad.size = 8; // too small to have a finalizer
  expect_error_says(ampoule_wasi_config_preopen_virtual_dir(config, &bad, "/", ALL_DIR, ALL_FILE), "8 bytes");
  expect(finalized == 4);
  ampoule_wasi_stdin_t input = {.size = sizeof input, .finalizer = count_finalizer};
  expect_error_says(ampoule_wasi_config_set_stdin(config, &input), "no function `read`");
  ampoule_wasi_random_t random = {.size = sizeof random, .finalizer = count_finalizer};
  expect_error_says(ampoule_wasi_config_set_random(config, &random), "no function `fill`");
  expect(finalized == 6);
  finalize(fs.env);
  wasi_config_delete(config);
}

static void what_a_table_lacks_is_not_supported(void) {
  ampoule_wasi_filesystem_t fs = memory_fs_new(1 << 20);
  memory_fs_put(&fs, "f", "text");
  // As a program would have it that knows no more than this.
  fs.size = offsetof(ampoule_wasi_filesystem_t, open);
  start_with(&fs);
  int fd = open_path(PREOPENED, "f", 0, READ_RIGHT);
  expect(fd > 0 && read_some(fd, 10) == -NOTSUP);
  expect(open_path(PREOPENED, "f", 0, WRITE_RIGHT) == -ROFS);
  expect(open_path(PREOPENED, "g", CREATE, READ_RIGHT) == -ROFS);
  expect(make_dir("d") == ROFS && move("f", "g") == ROFS && make_link("f", "l") == ROFS);
  expect(wasi("fd_sync", L(fd)) == SUCCESS);
  int32_t error;
  expect(!list(&error) && error == NOTSUP);
}

// -- Tables that lie

static struct {
  ampoule_wasi_error_t error;
  ampoule_wasi_type_t type;
  size_t count;
  ampoule_wasi_entry_t entry;
  unsigned char end;
  int64_t references;
} lie;

static ampoule_wasi_error_t lying_lookup(void *env, ampoule_wasi_node_t dir, const char *name, size_t name_len,
                                         ampoule_wasi_node_t *node, ampoule_wasi_type_t *type) {
  (void)env, (void)dir;
  expect(strlen(name) == name_len && !strchr(name, '/'));
  *node = 7;
  *type = lie.type;
  lie.references += lie.error == 0;
  return lie.error;
}

static void lying_release(void *env, ampoule_wasi_node_t node) {
  (void)env;
  expect(node == 7);
  lie.references--;
}

static ampoule_wasi_error_t lying_stat(void *env, ampoule_wasi_node_t node, ampoule_wasi_stat_t *stat) {
  (void)env, (void)node;
  memset(stat, 0xff, sizeof *stat);
  stat->type = lie.type;
  return lie.error;
}

static ampoule_wasi_error_t lying_read(void *env, ampoule_wasi_node_t node, uint64_t offset, uint8_t *buffer, size_t len,
                                       size_t *count) {
  (void)env, (void)node, (void)offset;
  memset(buffer, 'x', len < 2 ? len : 2);
  *count = lie.count;
  return lie.error;
}

static ampoule_wasi_error_t lying_write(void *env, ampoule_wasi_node_t node, uint64_t offset, const uint8_t *bytes, size_t len,
                                        size_t *count) {
  (void)env, (void)node, (void)offset, (void)bytes, (void)len;
  *count = lie.count;
  return lie.error;
}

static ampoule_wasi_error_t lying_entry(void *env, ampoule_wasi_node_t dir, uint64_t cursor, ampoule_wasi_entry_t *entry,
                                        bool *end) {
  (void)env, (void)dir, (void)cursor;
  *entry = lie.entry;
  memcpy(end, &lie.end, 1);
  return lie.error;
}

static ampoule_wasi_error_t lying_link(void *env, ampoule_wasi_node_t link, char *target, size_t capacity, size_t *len) {
  (void)env, (void)link;
  memset(target, 'x', capacity);
  *len = lie.count;
  return lie.error;
}

static void start_with_lies(void) {
  ampoule_wasi_filesystem_t fs = {
      .size = sizeof fs + 64, // of a later version, of which nothing is known
      .finalizer = count_finalizer,
      .lookup = lying_lookup,
      .release = lying_release,
      .stat = lying_stat,
      .read = lying_read,
      .write = lying_write,
      .set_size = NULL,
      .entry = lying_entry,
      .read_link = lying_link,
  };
  struct {
    ampoule_wasi_filesystem_t known;
    char unknown[64];
  } later = {fs, {0}};
  memset(&lie, 0, sizeof lie);
  memset(later.unknown, 0xff, sizeof later.unknown);
  lie.type = AMPOULE_WASI_TYPE_REGULAR_FILE;
  start_with(&later.known);
}

static void counts_beyond_what_was_asked_for_are_errors(void) {
  start_with_lies();
  int fd = open_path(PREOPENED, "f", 0, READ_RIGHT | WRITE_RIGHT);
  size_t counts[] = {11, 1 << 16, SIZE_MAX / 2, SIZE_MAX};
  for (int i = 0; i < 4; i++) {
    lie.count = counts[i];
    expect(read_some(fd, 10) == -IO);
    expect(write_text(fd, "0123456789") == IO);
  }
  lie.count = 0;
  expect(read_some(fd, 10) == 0);
  expect(write_text(fd, "0") == IO);
  // What was not filled is zero, not whatever was there.
  lie.count = 10;
  expect(read_some(fd, 10) == 10 && !memcmp(mem(2048), "xx\0\0\0\0\0\0\0\0", 10));
  // A length that no file has.
  expect(wasi("fd_seek", L(fd), L(0), L(2), L(32)) == INVAL);
  expect(wasi("fd_seek", L(fd), L(-1), L(2), L(32)) == INVAL);
}

static void unknown_numbers_are_errors(void) {
  start_with_lies();
  ampoule_wasi_error_t errors[] = {1, 29, 76, 77, 1000, UINT16_MAX};
  for (int i = 0; i < 6; i++) {
    lie.error = errors[i];
    expect(open_path(PREOPENED, "f", 0, READ_RIGHT) == -IO);
  }
  lie.error = 0;
  for (int type = 0; type < 256; type++) {
    lie.type = (ampoule_wasi_type_t)type;
    bool known = type == 0 || type == 2 || type == 3 || type == 4;
    int fd = open_path(PREOPENED, "f", 0, READ_RIGHT);
    if (type == AMPOULE_WASI_TYPE_SYMBOLIC_LINK) expect(fd == -IO); // with an empty target
    else expect(known ? fd > 0 : fd == -IO);
    if (fd > 0) expect(wasi("fd_close", L(fd)) == SUCCESS);
  }
  expect(lie.references == 0);
}

static void names_that_cannot_be_are_errors(void) {
  start_with_lies();
  int32_t error;
  ampoule_wasi_entry_t good = {.next = 1, .type = AMPOULE_WASI_TYPE_REGULAR_FILE, .name_len = 1, .name = "f"}, bad;
#define LISTING(field, value) (bad = good, bad.field = (value), lie.entry = bad, list(&error) ? 0 : error)
  expect(LISTING(name_len, 0) == IO);
  expect(LISTING(name_len, 256) == IO);
  expect(LISTING(name_len, SIZE_MAX) == IO);
  expect(LISTING(name_len, 2) == IO); // with a NUL
  expect(LISTING(name[0], '/') == IO);
  expect(LISTING(name[0], '\xff') == ILSEQ);
  expect(LISTING(type, 99) == IO);
  expect(LISTING(next, 0) == IO); // the same for ever
  lie.end = 2; // true, whatever a compiler makes of it
  const char *names = list(&error);
  expect(names && !strcmp(names, ". .. "));
  lie.type = AMPOULE_WASI_TYPE_SYMBOLIC_LINK;
  size_t lengths[] = {4096, SIZE_MAX};
  for (int i = 0; i < 2; i++) {
    lie.count = lengths[i];
    expect(open_path(PREOPENED, "l", 0, READ_RIGHT) == -IO);
  }
  lie.count = 300;
  expect(open_path(PREOPENED, "l", 0, READ_RIGHT) == -37); // a name that is too long
  lie.count = 20;
  expect(open_path(PREOPENED, "l", 0, READ_RIGHT) == -LOOP);
  expect(lie.references == 0);
  finalized = 0;
  wasmtime_store_delete(store);
  store = NULL;
  expect(finalized == 1);
}

// -- A table that answers anything

static uint64_t state; // of the random numbers

static uint64_t below(uint64_t bound) {
  state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
  return (state >> 33) % bound;
}

// Mostly success, then an error that there is, then any number.
static ampoule_wasi_error_t some_error(void) {
  return (ampoule_wasi_error_t)(below(8) ? 0 : below(2) ? below(80) : below(1 << 16));
}

static ampoule_wasi_type_t some_type(void) {
  static const ampoule_wasi_type_t known[] = {3, 3, 4, 4, 7, 2, 0};
  return below(9) ? known[below(7)] : (ampoule_wasi_type_t)below(256);
}

static size_t some_count(size_t len) { return below(4) ? below(len + 1) : below(2) ? len + below(3) : SIZE_MAX - below(3); }

static int64_t in_use; // references that were given and not taken back

static ampoule_wasi_error_t any_lookup(void *env, ampoule_wasi_node_t dir, const char *name, size_t len,
                                       ampoule_wasi_node_t *node, ampoule_wasi_type_t *type) {
  (void)env, (void)dir;
  expect(len >= 1 && len <= AMPOULE_WASI_MAX_NAME && strlen(name) == len && !strchr(name, '/'));
  expect(strcmp(name, ".") && strcmp(name, ".."));
  ampoule_wasi_error_t error = some_error();
  *node = below(100);
  *type = some_type();
  in_use += error == 0;
  return error;
}

static void any_release(void *env, ampoule_wasi_node_t node) {
  (void)env, (void)node;
  in_use--;
}

static ampoule_wasi_error_t any_stat(void *env, ampoule_wasi_node_t node, ampoule_wasi_stat_t *stat) {
  (void)env, (void)node;
  *stat = (ampoule_wasi_stat_t){.type = some_type(), .size = below(3) ? below(1000) : UINT64_MAX - below(10)};
  return some_error();
}

static ampoule_wasi_error_t any_open(void *env, ampoule_wasi_node_t node, uint32_t flags) {
  (void)env, (void)node;
  expect(flags < 8);
  return some_error();
}

static ampoule_wasi_error_t any_read(void *env, ampoule_wasi_node_t node, uint64_t offset, uint8_t *buffer, size_t len,
                                     size_t *count) {
  (void)env, (void)node, (void)offset;
  memset(buffer, 'x', len);
  *count = some_count(len);
  ampoule_wasi_error_t error = some_error();
  return error == AMPOULE_WASI_EAGAIN && below(4) ? AMPOULE_WASI_EIO : error; // waiting takes time
}

static ampoule_wasi_error_t any_write(void *env, ampoule_wasi_node_t node, uint64_t offset, const uint8_t *bytes, size_t len,
                                      size_t *count) {
  (void)env, (void)node, (void)offset;
  size_t sum = 0;
  for (size_t i = 0; i < len; i++) sum += bytes[i];
  *count = some_count(len + sum % 2);
  ampoule_wasi_error_t error = some_error();
  return error == AMPOULE_WASI_EAGAIN && below(4) ? AMPOULE_WASI_EIO : error;
}

static ampoule_wasi_error_t any_size(void *env, ampoule_wasi_node_t node, uint64_t size) {
  (void)env, (void)node, (void)size;
  return some_error();
}

static ampoule_wasi_error_t any_entry(void *env, ampoule_wasi_node_t dir, uint64_t cursor, ampoule_wasi_entry_t *entry,
                                      bool *end) {
  (void)env, (void)dir;
  for (size_t i = 0; i < sizeof entry->name; i++) entry->name[i] = (char)(below(20) ? 'a' + below(26) : below(256));
  entry->name_len = below(9) ? 1 + below(30) : some_count(sizeof entry->name);
  entry->next = below(9) ? cursor + 1 : below(UINT32_MAX);
  entry->type = some_type();
  *end = !below(20);
  return some_error();
}

static ampoule_wasi_error_t any_link(void *env, ampoule_wasi_node_t link, char *target, size_t capacity, size_t *len) {
  (void)env, (void)link;
  static const char *const targets[] = {"a", "..", "../a", "/a", "a/b/../c", ".", "", "a\xff"};
  const char *some = targets[below(8)];
  memcpy(target, some, strlen(some));
  *len = below(9) ? strlen(some) : some_count(capacity);
  return some_error();
}

static ampoule_wasi_error_t any_create(void *env, ampoule_wasi_node_t dir, const char *name, size_t len,
                                       ampoule_wasi_node_t *node) {
  (void)env, (void)dir, (void)name, (void)len;
  ampoule_wasi_error_t error = some_error();
  *node = below(100);
  in_use += error == 0;
  return error;
}

static ampoule_wasi_error_t any_change(void *env, ampoule_wasi_node_t dir, const char *name, size_t len) {
  (void)env, (void)dir, (void)name, (void)len;
  return some_error();
}

static int32_t at_path(const char *name, const char *path) {
  memcpy(mem(512), path, strlen(path));
  return wasi(name, L(PREOPENED), L(512), L(strlen(path)));
}

// Whatever it answers, a program gets an errno, and every reference is given back.
static void any_answers_break_nothing(void) {
  static const char *const paths[] = {"a", "a/b", "a/../b/c", "./a/", "..", "a/b/c/d/e", "l", "/"};
  ampoule_wasi_filesystem_t fs = {.size = sizeof fs, .lookup = any_lookup, .release = any_release, .stat = any_stat,
                                  .open = any_open, .read = any_read, .write = any_write, .set_size = any_size,
                                  .entry = any_entry, .read_link = any_link, .create = any_create,
                                  .create_dir = any_change, .remove_file = any_change, .remove_dir = any_change};
  state = 1;
  in_use = 0;
  start_with(&fs);
  int steps = getenv("AMPOULE_VALGRIND") ? 3000 : 20000;
  for (int i = 0; i < steps; i++) {
    const char *path = paths[below(8)];
    int fd = PREOPENED + (int)below(20);
    int32_t answer = 0;
    switch (below(14)) {
    case 0: case 1: case 2: {
      int how[] = {0, 0, CREATE, CREATE | EXCLUSIVE, TRUNCATE, DIRECTORY};
      answer = open_path(PREOPENED, path, how[below(6)], below(2) ? READ_RIGHT : READ_RIGHT | WRITE_RIGHT);
      answer = answer > 0 ? 0 : -answer;
      break;
    }
    case 3: answer = read_some(fd, (uint32_t)below(5000)), answer = answer > 0 ? 0 : -answer; break;
    case 4: answer = write_text(fd, "some text"); break;
    case 5: answer = wasi("fd_seek", L(fd), L(below(100)) - 50, L(below(3)), L(32)); break;
    case 6: answer = wasi("fd_readdir", L(PREOPENED), L(4096), L(below(3000)), L(below(50)), L(24)); break;
    case 7: answer = at_path("path_create_directory", path); break;
    case 8: answer = at_path("path_unlink_file", path); break;
    case 9: answer = at_path("path_remove_directory", path); break;
    case 10: answer = move(path, paths[below(8)]); break;
    case 11: answer = wasi("fd_filestat_get", L(fd), L(4096)); break;
    case 12: answer = wasi("fd_filestat_set_size", L(fd), L(below(1000))); break;
    default: answer = fd > PREOPENED ? wasi("fd_close", L(fd)) : 0;
    }
    if (!expect(answer >= 0 && answer <= 76)) return;
  }
  wasmtime_store_delete(store);
  store = NULL;
  expect(in_use == 0);
}

// -- Standard input

static struct {
  int pipe[2];
  int tells; // of which descriptor
  int reads;
} in;

static ampoule_wasi_error_t read_pipe(void *env, uint8_t *buffer, size_t len, size_t *count) {
  (void)env;
  in.reads++;
  ssize_t got = read(in.pipe[0], buffer, len);
  if (got < 0) return errno == EAGAIN ? AMPOULE_WASI_EAGAIN : AMPOULE_WASI_EIO;
  *count = (size_t)got;
  return AMPOULE_WASI_OK;
}

static bool pipe_ready(void *env, int *fd) {
  (void)env;
  expect(*fd == -1);
  if (in.tells) *fd = in.tells;
  return false;
}

static void *write_later(void *env) {
  usleep(40 * 1000);
  if (write(in.pipe[1], "hello", 5) != 5) abort();
  close(in.pipe[1]);
  return env;
}

static int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void standard_input_is_waited_for(void) {
  for (int round = 0; round < 4; round++) {
    pthread_t writer;
    in.reads = 0;
    expect(pipe(in.pipe) == 0 && fcntl(in.pipe[0], F_SETFL, O_NONBLOCK) == 0);
    // The right one, one that is not open, none; and nothing that would tell.
    int tells[] = {in.pipe[0], 1 << 29, 0, 0};
    in.tells = tells[round];
    int64_t began = now_ms();
    ampoule_wasi_stdin_t input = {
        .size = sizeof input, .finalizer = count_finalizer, .read = read_pipe, .ready = round < 3 ? pipe_ready : NULL};
    wasi_config_t *config = wasi_config_new();
    finalized = 0;
    expect_ok(ampoule_wasi_config_set_stdin(config, &input));
    start(config);
    expect(pthread_create(&writer, NULL, write_later, NULL) == 0);
    expect(read_some(0, 100) == 5 && !memcmp(mem(2048), "hello", 5));
    expect(read_some(0, 100) == 0);
    // With a descriptor nobody has to look again and again; without, every 10 ms, however long it took.
    expect(in.reads <= 4 + (round == 0 ? 0 : (now_ms() - began) / 10));
    pthread_join(writer, NULL);
    close(in.pipe[0]);
    expect_ok(wasmtime_context_set_wasi(ctx, wasi_config_new()));
    expect(finalized == 1);
  }
}

static ampoule_wasi_error_t lying_input(void *env, uint8_t *buffer, size_t len, size_t *count) {
  (void)buffer;
  expect(len >= 1 && len <= 4096);
  *count = len + 1;
  return *(ampoule_wasi_error_t *)env;
}

static void input_that_cannot_be_is_an_error(void) {
  static ampoule_wasi_error_t error;
  ampoule_wasi_stdin_t input = {.size = sizeof input, .env = &error, .read = lying_input};
  wasi_config_t *config = wasi_config_new();
  expect_ok(ampoule_wasi_config_set_stdin(config, &input));
  start(config);
  expect(read_some(0, 10) == -IO && read_some(0, 10000) == -IO);
  error = AMPOULE_WASI_EPERM;
  expect(read_some(0, 10) == -PERM);
  expect(read_some(0, 0) == 0);
}

// -- Clocks and randomness

static uint64_t simulated;

static uint64_t simulated_time(void *env) {
  (void)env;
  return simulated;
}

static uint64_t no_resolution(void *env, ampoule_wasi_clock_t clock) {
  (void)env, (void)clock;
  return 0;
}

static bool skip_to(void *env, ampoule_wasi_clock_t clock, uint64_t deadline) {
  (void)env;
  expect(clock == AMPOULE_WASI_CLOCK_MONOTONIC && deadline > simulated);
  simulated = deadline;
  return true;
}

static void clocks_may_be_simulated(void) {
  ampoule_wasi_clocks_t clocks = {.size = sizeof clocks,
                                  .finalizer = count_finalizer,
                                  .monotonic = simulated_time,
                                  .resolution = no_resolution,
                                  .skip_to = skip_to};
  wasi_config_t *config = wasi_config_new();
  finalized = 0;
  expect_ok(ampoule_wasi_config_set_clocks(config, &clocks));
  start(config);
  simulated = 1000;
  expect(wasi("clock_time_get", L(1), L(1), L(32)) == SUCCESS && long_word(32) == 1000);
  simulated = 500;
  expect(wasi("clock_time_get", L(1), L(1), L(32)) == SUCCESS && long_word(32) == 1000);
  expect(wasi("clock_res_get", L(1), L(32)) == SUCCESS && long_word(32) == 1);
  // The other clock is the system's.
  expect(wasi("clock_time_get", L(0), L(1), L(32)) == SUCCESS && long_word(32) / 1000000000 + 10 > (uint64_t)time(NULL));
  // A year's sleep.
  const uint64_t year = UINT64_C(365) * 86400 * 1000000000;
  memset(mem(2048), 0, 48);
  put_word(2048 + 16, 1);
  memcpy(mem(2048 + 24), &year, 8);
  time_t before = time(NULL);
  expect(wasi("poll_oneoff", L(2048), L(4096), L(1), L(24)) == SUCCESS && word(24) == 1);
  expect(time(NULL) - before < 60 && simulated == 1000 + year);
  wasmtime_store_delete(store);
  store = NULL;
  expect(finalized == 1);
}

static ampoule_wasi_error_t fill(void *env, uint8_t *buffer, size_t len) {
  expect(len >= 1 && len <= 256 && buffer[0] == 0);
  memset(buffer, 4, len - len % 2); // chosen by a fair die, as far as it goes
  return *(ampoule_wasi_error_t *)env;
}

static void random_bytes_may_be_the_host_s(void) {
  static ampoule_wasi_error_t error;
  ampoule_wasi_random_t random = {.size = sizeof random, .env = &error, .fill = fill};
  wasi_config_t *config = wasi_config_new();
  expect_ok(ampoule_wasi_config_set_random(config, &random));
  start(config);
  error = AMPOULE_WASI_OK;
  expect(wasi("random_get", L(2048), L(3)) == SUCCESS && !memcmp(mem(2048), "\4\4\0", 3));
  expect(wasi("random_get", L(2048), L(300)) == SUCCESS && mem(2048)[299] == 4);
  error = AMPOULE_WASI_EIO;
  expect(wasi("random_get", L(2048), L(3)) == IO);
}

static void an_unused_configuration_finalizes_its_tables(void) {
  ampoule_wasi_filesystem_t fs = memory_fs_new(0);
  wasi_config_t *config = wasi_config_new();
  expect_ok(ampoule_wasi_config_preopen_virtual_dir(config, &fs, "/", ALL_DIR, ALL_FILE));
  ampoule_wasi_clocks_t clocks = {.size = sizeof clocks, .finalizer = count_finalizer};
  finalized = 0;
  expect_ok(ampoule_wasi_config_set_clocks(config, &clocks));
  expect_ok(ampoule_wasi_config_set_clocks(config, &clocks));
  expect(finalized == 1);
  wasi_config_delete(config);
  expect(finalized == 2);
}

// -- The network

static void a_rule_of_the_network_is_a_host_and_ports(void) {
  wasi_config_t *config = wasi_config_new();
  const char *rules[] = {"example.com", "*.example.com:443", "10.0.0.0/8:80-90", "[fd00::/8]:1", "::1", "*"};
  for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) expect_ok(ampoule_wasi_config_allow_net(config, rules[i]));
  const char *others[] = {"", "a b", "example.com:", "10.0.0.0/33", "\xff"};
  for (size_t i = 0; i < sizeof others / sizeof *others; i++)
    expect_error(ampoule_wasi_config_allow_net(config, others[i]));
  wasi_config_delete(config);
}

int main(void) {
  expect(ampoule_has("wasi"));
  RUN(a_program_uses_a_file_system_of_the_host);
  RUN(nothing_leads_out_of_it);
  RUN(permissions_hold_for_it);
  RUN(a_file_system_may_have_a_bound);
  RUN(a_table_needs_what_its_header_says);
  RUN(what_a_table_lacks_is_not_supported);
  RUN(counts_beyond_what_was_asked_for_are_errors);
  RUN(unknown_numbers_are_errors);
  RUN(names_that_cannot_be_are_errors);
  RUN(any_answers_break_nothing);
  RUN(standard_input_is_waited_for);
  RUN(input_that_cannot_be_is_an_error);
  RUN(clocks_may_be_simulated);
  RUN(random_bytes_may_be_the_host_s);
  RUN(an_unused_configuration_finalizes_its_tables);
  RUN(a_rule_of_the_network_is_a_host_and_ports);
  return test_summary();
}
