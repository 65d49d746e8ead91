// wasi.h: what a program is given, seen from inside, through the functions of WASI preview 1.
#include "preview1.h"
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

// -- Files of the host

static char dir[64]; // a fresh directory, for the claim that runs

static const char *host_path(const char *name) {
  static char path[2][256];
  static int round;
  round = !round;
  snprintf(path[round], sizeof path[round], "%s/%s", dir, name);
  return path[round];
}

static void host_write(const char *name, const char *text) {
  FILE *file = fopen(host_path(name), "w");
  if (!expect(file != NULL)) return;
  fputs(text, file);
  fclose(file);
}

static const char *host_read(const char *name) {
  static char text[1024];
  FILE *file = fopen(host_path(name), "r");
  text[file ? fread(text, 1, sizeof text - 1, file) : 0] = 0;
  if (file) fclose(file);
  return text;
}

// -- Arguments and environment

static void a_program_gets_its_arguments(void) {
  const char *argv[] = {"program", "", "h\xc3\xa9llo"};
  wasi_config_t *config = wasi_config_new();
  expect(wasi_config_set_argv(config, 3, argv));
  start(config);
  expect(wasi("args_sizes_get", L(0), L(4)) == SUCCESS);
  expect(word(0) == 3 && word(4) == 8 + 1 + 7);
  expect(wasi("args_get", L(64), L(256)) == SUCCESS);
  expect(word(64) == 256 && word(68) == 264 && word(72) == 265);
  expect(!memcmp(mem(256), "program\0\0h\xc3\xa9llo\0", 16));
}

static void a_program_gets_its_environment(void) {
  const char *names[] = {"A", "EMPTY"}, *values[] = {"one=two", ""};
  wasi_config_t *config = wasi_config_new();
  expect(wasi_config_set_env(config, 2, names, values));
  start(config);
  expect(wasi("environ_sizes_get", L(0), L(4)) == SUCCESS);
  expect(word(0) == 2 && word(4) == 10 + 7);
  expect(wasi("environ_get", L(64), L(256)) == SUCCESS);
  expect(!memcmp(mem(word(64)), "A=one=two\0", 10) && !memcmp(mem(word(68)), "EMPTY=\0", 7));
}

static void by_default_there_is_nothing(void) {
  start(wasi_config_new());
  expect(wasi("args_sizes_get", L(0), L(4)) == SUCCESS && word(0) == 0 && word(4) == 0);
  expect(wasi("environ_sizes_get", L(0), L(4)) == SUCCESS && word(0) == 0 && word(4) == 0);
  expect(read_some(0, 10) == 0);
  expect(write_text(1, "thrown away") == SUCCESS && word(24) == 11);
  expect(write_text(2, "thrown away") == SUCCESS);
  expect(wasi("fd_prestat_get", L(3), L(0)) == BADF);
  expect(write_text(3, "x") == BADF);
}

static void text_that_is_not_utf8_is_refused(void) {
  const char *bad[] = {"\xff"}, *good[] = {"good"};
  wasi_config_t *config = wasi_config_new();
  expect(!wasi_config_set_argv(config, 1, bad));
  expect(!wasi_config_set_env(config, 1, bad, good));
  expect(!wasi_config_set_env(config, 1, good, bad));
  wasi_config_delete(config);
}

static void arguments_and_environment_are_inherited(void) {
  setenv("AMPOULE_TEST_VARIABLE", "inherited", 1);
  wasi_config_t *config = wasi_config_new();
  wasi_config_inherit_argv(config);
  wasi_config_inherit_env(config);
  start(config);
  expect(wasi("args_sizes_get", L(0), L(4)) == SUCCESS && word(0) >= 1);
  expect(wasi("environ_sizes_get", L(0), L(4)) == SUCCESS);
  uint32_t count = word(0), found = 0;
  if (!expect(count < 4096 && word(4) < 49152)) return;
  expect(wasi("environ_get", L(65536), L(81920)) == SUCCESS);
  for (uint32_t i = 0; i < count; i++)
    found += !strcmp((const char *)mem(word(65536 + 4 * i)), "AMPOULE_TEST_VARIABLE=inherited");
  expect(found == 1);
}

// -- Standard streams

static void standard_input_may_be_bytes(void) {
  wasm_byte_vec_t bytes;
  wasm_byte_vec_new(&bytes, 11, "some\0input\n");
  wasi_config_t *config = wasi_config_new();
  wasi_config_set_stdin_bytes(config, &bytes);
  start(config);
  expect(read_some(0, 4) == 4 && !memcmp(mem(2048), "some", 4));
  expect(read_some(0, 100) == 7 && !memcmp(mem(2048), "\0input\n", 7));
  expect(read_some(0, 100) == 0);
}

static void standard_streams_may_be_files(void) {
  host_write("in", "from a file");
  wasi_config_t *config = wasi_config_new();
  expect(wasi_config_set_stdin_file(config, host_path("in")));
  expect(wasi_config_set_stdout_file(config, host_path("out")));
  expect(wasi_config_set_stderr_file(config, host_path("err")));
  start(config);
  expect(read_some(0, 100) == 11 && !memcmp(mem(2048), "from a file", 11));
  expect(write_text(1, "to ") == SUCCESS && write_text(1, "stdout") == SUCCESS);
  expect(write_text(2, "to stderr") == SUCCESS);
  wasmtime_store_delete(store);
  store = NULL;
  expect(!strcmp(host_read("out"), "to stdout"));
  expect(!strcmp(host_read("err"), "to stderr"));
}

static void files_that_cannot_be_opened_are_refused(void) {
  wasi_config_t *config = wasi_config_new();
  expect(!wasi_config_set_stdin_file(config, host_path("missing")));
  expect(!wasi_config_set_stdout_file(config, host_path("missing/out")));
  expect(!wasi_config_set_stderr_file(config, host_path("missing/err")));
  expect(!wasi_config_preopen_dir(config, host_path("missing"), "/", WASMTIME_WASI_DIR_PERMS_READ,
                                  WASMTIME_WASI_FILE_PERMS_READ));
  // Nor what is no text, or no permission.
  expect(!wasi_config_preopen_dir(config, dir, "\xff", WASMTIME_WASI_DIR_PERMS_READ, WASMTIME_WASI_FILE_PERMS_READ));
  expect(!wasi_config_preopen_dir(config, dir, "/", 64, WASMTIME_WASI_FILE_PERMS_READ));
  expect(!wasi_config_preopen_dir(config, dir, "/", WASMTIME_WASI_DIR_PERMS_READ, 64));
  wasi_config_delete(config);
}

struct sink {
  char text[256];
  size_t len;
  atomic_int finalized;
};

static ptrdiff_t collect(void *data, const unsigned char *bytes, size_t len) {
  struct sink *sink = data;
  if (sink->len + len > sizeof sink->text) return -1;
  memcpy(sink->text + sink->len, bytes, len);
  sink->len += len;
  return (ptrdiff_t)len;
}

static void finalize_sink(void *data) { atomic_fetch_add(&((struct sink *)data)->finalized, 1); }

static int finalizations(struct sink *sink) { return atomic_load(&sink->finalized); }

static void outputs_may_be_callbacks(void) {
  static struct sink out, err;
  memset(&out, 0, sizeof out);
  memset(&err, 0, sizeof err);
  wasi_config_t *config = wasi_config_new();
  wasi_config_set_stdout_custom(config, collect, &out, finalize_sink);
  wasi_config_set_stderr_custom(config, collect, &err, finalize_sink);
  start(config);
  expect(write_text(1, "hello ") == SUCCESS && write_text(2, "warning") == SUCCESS && write_text(1, "world") == SUCCESS);
  // Several vectors in one call.
  put_word(32, 1024), put_word(36, 2), put_word(40, 1026), put_word(44, 3);
  memcpy(mem(1024), "!?\n..", 5);
  expect(wasi("fd_write", L(1), L(32), L(2), L(24)) == SUCCESS);
  expect(word(24) >= 2);
  wasmtime_store_delete(store);
  store = NULL;
  // Another thread may hold the streams a moment longer.
  for (int i = 0; i < 2000 && !(finalizations(&out) && finalizations(&err)); i++) usleep(1000);
  expect(out.len >= 13 && !memcmp(out.text, "hello world!?", 13));
  expect(err.len == 7 && !memcmp(err.text, "warning", 7));
  expect(finalizations(&out) == 1 && finalizations(&err) == 1);
}

// What a callback answers to a write of five bytes, and what the program gets.
static ptrdiff_t answer;

static ptrdiff_t answering(void *data, const unsigned char *bytes, size_t len) {
  (void)data, (void)bytes, (void)len;
  return answer;
}

static void outputs_may_fail(void) {
  enum { WASI_EIO = 29, WASI_ENOSPC = 51, WASI_EPIPE = 64 };
  static const struct {
    ptrdiff_t answer;
    int32_t result;
  } cases[] = {{-EIO, WASI_EIO}, {-ENOSPC, WASI_ENOSPC}, {-EPIPE, WASI_EPIPE}, {5, SUCCESS},
               {0, WASI_EIO},    {6, WASI_EIO},          {-100000, WASI_EIO}};
  static struct sink sink;
  memset(&sink, 0, sizeof sink);
  wasi_config_t *config = wasi_config_new();
  wasi_config_set_stdout_custom(config, answering, &sink, finalize_sink);
  start(config);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    answer = cases[i].answer;
    int32_t result = write_text(1, "five!");
    if (!expect(result == cases[i].result)) printf("# %td: %d\n", answer, result);
  }
  wasmtime_store_delete(store);
  store = NULL;
  expect(finalizations(&sink) == 1);
}

// A later configuration takes the place of an earlier one.
static void a_replaced_configuration_is_finalized(void) {
  static struct sink first, second;
  memset(&first, 0, sizeof first);
  memset(&second, 0, sizeof second);
  struct sink *const sinks[] = {&first, &second};
  for (int i = 0; i < 2; i++) {
    wasi_config_t *config = wasi_config_new();
    wasi_config_set_stdout_custom(config, collect, sinks[i], finalize_sink);
    expect_ok(wasmtime_context_set_wasi(ctx, config));
    for (int wait = 0; i && wait < 2000 && !finalizations(&first); wait++) usleep(1000);
  }
  expect(finalizations(&first) == 1 && finalizations(&second) == 0);
}

static void an_unused_configuration_finalizes_its_callbacks(void) {
  static struct sink out, replaced;
  memset(&out, 0, sizeof out);
  memset(&replaced, 0, sizeof replaced);
  wasi_config_t *config = wasi_config_new();
  wasi_config_set_stdout_custom(config, collect, &replaced, finalize_sink);
  wasi_config_set_stdout_custom(config, collect, &out, finalize_sink);
  expect(finalizations(&replaced) == 1 && finalizations(&out) == 0);
  wasi_config_delete(config);
  expect(finalizations(&replaced) == 1 && finalizations(&out) == 1);
}

static void streams_are_inherited(void) {
  // Files take the place of this process's streams meanwhile.
  host_write("in", "inherited input");
  int kept[3], files[3] = {open(host_path("in"), O_RDONLY), open(host_path("out"), O_WRONLY | O_CREAT, 0600),
                           open(host_path("err"), O_WRONLY | O_CREAT, 0600)};
  wasi_config_t *config = wasi_config_new();
  wasi_config_inherit_stdin(config);
  wasi_config_inherit_stdout(config);
  wasi_config_inherit_stderr(config);
  start(config);
  fflush(stdout);
  for (int i = 0; i < 3; i++) kept[i] = dup(i), dup2(files[i], i), close(files[i]);
  int32_t read = read_some(0, 100), out = write_text(1, "guest out"), err = write_text(2, "guest err");
  wasmtime_store_delete(store);
  store = NULL;
  for (int i = 0; i < 3; i++) dup2(kept[i], i), close(kept[i]);
  expect(read == 15 && out == SUCCESS && err == SUCCESS);
  expect(!strcmp(host_read("out"), "guest out"));
  expect(!strcmp(host_read("err"), "guest err"));
}

// -- Directories

static void start_with_directory(size_t dir_perms, size_t file_perms) {
  wasi_config_t *config = wasi_config_new();
  expect(wasi_config_preopen_dir(config, dir, "/data", dir_perms, file_perms));
  start(config);
}

enum { ALL = WASMTIME_WASI_DIR_PERMS_READ | WASMTIME_WASI_DIR_PERMS_WRITE };

static void a_directory_is_the_descriptor_three(void) {
  start_with_directory(ALL, ALL);
  expect(wasi("fd_prestat_get", L(3), L(0)) == SUCCESS);
  expect(*mem(0) == 0 && word(4) == 5);
  expect(wasi("fd_prestat_dir_name", L(3), L(64), L(5)) == SUCCESS && !memcmp(mem(64), "/data", 5));
  expect(wasi("fd_prestat_get", L(4), L(0)) == BADF);
  expect(wasi("fd_fdstat_get", L(3), L(0)) == SUCCESS && *mem(0) == 3); // a directory
}

static void files_are_written_and_read(void) {
  start_with_directory(ALL, ALL);
  int32_t fd = open_path(3, "new", CREATE | EXCLUSIVE, READ_RIGHT | WRITE_RIGHT | 4 /* seek */ | 32 /* tell */);
  if (!expect(fd > 3)) return;
  expect(write_text(fd, "0123456789") == SUCCESS && word(24) == 10);
  expect(wasi("fd_tell", L(fd), L(0)) == SUCCESS && long_word(0) == 10);
  expect(wasi("fd_seek", L(fd), L(-7), L(2), L(0)) == SUCCESS && long_word(0) == 3);
  expect(read_some(fd, 4) == 4 && !memcmp(mem(2048), "3456", 4));
  put_word(16, 2048), put_word(20, 3);
  expect(wasi("fd_pread", L(fd), L(16), L(1), L(1), L(24)) == SUCCESS && word(24) == 3 && !memcmp(mem(2048), "123", 3));
  put_word(16, 1024), put_word(20, 2);
  memcpy(mem(1024), "xy", 2);
  expect(wasi("fd_pwrite", L(fd), L(16), L(1), L(8), L(24)) == SUCCESS && word(24) == 2);
  expect(wasi("fd_tell", L(fd), L(0)) == SUCCESS && long_word(0) == 7);
  expect(wasi("fd_filestat_get", L(fd), L(128)) == SUCCESS && *mem(128 + 16) == 4 && long_word(128 + 32) == 10);
  expect(wasi("fd_filestat_set_size", L(fd), L(5)) == SUCCESS);
  expect(wasi("fd_sync", L(fd)) == SUCCESS && wasi("fd_datasync", L(fd)) == SUCCESS);
  expect(wasi("fd_close", L(fd)) == SUCCESS);
  expect(wasi("fd_close", L(fd)) == BADF);
  expect(!strcmp(host_read("new"), "01234"));
  expect(open_path(3, "new", CREATE | EXCLUSIVE, READ_RIGHT) < 0);
  fd = open_path(3, "new", TRUNCATE, WRITE_RIGHT);
  expect(fd > 0 && !strcmp(host_read("new"), ""));
}

static void directories_and_names_change(void) {
  start_with_directory(ALL, ALL);
  memcpy(mem(512), "sub", 3), memcpy(mem(520), "file", 4), memcpy(mem(528), "sub/moved", 9), memcpy(mem(544), "link", 4);
  expect(wasi("path_create_directory", L(3), L(512), L(3)) == SUCCESS);
  expect(wasi("path_create_directory", L(3), L(512), L(3)) != SUCCESS);
  host_write("file", "text");
  expect(wasi("path_filestat_get", L(3), L(0), L(520), L(4), L(128)) == SUCCESS && long_word(128 + 32) == 4);
  expect(wasi("path_rename", L(3), L(520), L(4), L(3), L(528), L(9)) == SUCCESS);
  expect(!strcmp(host_read("sub/moved"), "text"));
  expect(wasi("path_filestat_get", L(3), L(0), L(520), L(4), L(128)) == NOENT);
  expect(wasi("path_symlink", L(528), L(9), L(3), L(544), L(4)) == SUCCESS);
  expect(wasi("path_readlink", L(3), L(544), L(4), L(64), L(32), L(24)) == SUCCESS);
  expect(word(24) == 9 && !memcmp(mem(64), "sub/moved", 9));
  expect(open_path(3, "link", 0, READ_RIGHT) > 0); // a link inside is followed
  memcpy(mem(512), "sub", 3), memcpy(mem(528), "sub/moved", 9), memcpy(mem(544), "link", 4);
  expect(wasi("path_remove_directory", L(3), L(512), L(3)) != SUCCESS); // not empty
  expect(wasi("path_unlink_file", L(3), L(528), L(9)) == SUCCESS);
  expect(wasi("path_unlink_file", L(3), L(544), L(4)) == SUCCESS);
  expect(wasi("path_remove_directory", L(3), L(512), L(3)) == SUCCESS);
  expect(access(host_path("sub"), F_OK) != 0);
}

static void a_directory_lists_its_entries(void) {
  host_write("alpha", "");
  host_write("beta", "");
  start_with_directory(ALL, ALL);
  expect(wasi("fd_readdir", L(3), L(4096), L(4096), L(0), L(24)) == SUCCESS);
  uint32_t used = word(24), entries = 0, known = 0;
  for (uint32_t at = 4096; at + 24 <= 4096 + used; entries++) {
    uint32_t len = word(at + 16);
    known += len == 5 && !memcmp(mem(at + 24), "alpha", 5);
    known += len == 4 && !memcmp(mem(at + 24), "beta", 4);
    at += 24 + len;
  }
  expect(known == 2 && entries == 4); // with "." and ".."
  // A short buffer is filled to its end; the guest then asks again.
  expect(wasi("fd_readdir", L(3), L(4096), L(30), L(0), L(24)) == SUCCESS && word(24) == 30);
}

static void nothing_outside_can_be_reached(void) {
  char outside[300], link[300];
  snprintf(outside, sizeof outside, "%s.outside", dir);
  FILE *file = fopen(outside, "w");
  fputs("secret", file);
  fclose(file);
  snprintf(link, sizeof link, "%s/escape", dir);
  expect(symlink(outside, link) == 0);
  snprintf(link, sizeof link, "%s/up", dir);
  expect(symlink("..", link) == 0);
  mkdir(host_path("sub"), 0700);
  start_with_directory(ALL, ALL);
  const char *base = strrchr(outside, '/') + 1;
  char path[6][600];
  snprintf(path[0], sizeof path[0], "../%s", base);
  snprintf(path[1], sizeof path[1], "sub/../../%s", base);
  snprintf(path[2], sizeof path[2], "%s", outside);
  snprintf(path[3], sizeof path[3], "escape");
  snprintf(path[4], sizeof path[4], "up/%s", base);
  snprintf(path[5], sizeof path[5], "..");
  for (int i = 0; i < 6; i++) {
    expect(open_path(3, path[i], 0, READ_RIGHT) < 0);
    expect(open_path(3, path[i], CREATE, WRITE_RIGHT) < 0);
    memcpy(mem(512), path[i], strlen(path[i]));
    expect(wasi("path_filestat_get", L(3), L(1), L(512), L(strlen(path[i])), L(128)) != SUCCESS);
    if (i == 3) continue; // the link itself is inside
    expect(wasi("path_unlink_file", L(3), L(512), L(strlen(path[i]))) != SUCCESS);
  }
  // A link that leads outside cannot be made to work either.
  memcpy(mem(512), outside, strlen(outside)), memcpy(mem(900), "fresh", 5);
  wasi("path_symlink", L(512), L(strlen(outside)), L(3), L(900), L(5));
  expect(open_path(3, "fresh", 0, READ_RIGHT) < 0);
  expect(open_path(3, "sub/../sub", DIRECTORY, READ_RIGHT) > 0); // `..` inside is fine
  unlink(outside);
}

static void permissions_hold(void) {
  host_write("file", "text");
  start_with_directory(WASMTIME_WASI_DIR_PERMS_READ, WASMTIME_WASI_FILE_PERMS_READ);
  int32_t fd = open_path(3, "file", 0, READ_RIGHT);
  if (expect(fd > 3)) expect(read_some(fd, 10) == 4);
  expect(open_path(3, "file", 0, WRITE_RIGHT) < 0);
  expect(open_path(3, "file", TRUNCATE, READ_RIGHT | WRITE_RIGHT) < 0);
  expect(open_path(3, "new", CREATE, READ_RIGHT | WRITE_RIGHT) < 0);
  memcpy(mem(512), "file", 4), memcpy(mem(520), "other", 5);
  expect(wasi("path_unlink_file", L(3), L(512), L(4)) != SUCCESS);
  expect(wasi("path_create_directory", L(3), L(520), L(5)) != SUCCESS);
  expect(wasi("path_rename", L(3), L(512), L(4), L(3), L(520), L(5)) != SUCCESS);
  expect(wasi("path_symlink", L(512), L(4), L(3), L(520), L(5)) != SUCCESS);
  expect(!strcmp(host_read("file"), "text"));
  expect(access(host_path("new"), F_OK) != 0 && access(host_path("other"), F_OK) != 0);
}

// -- Clocks, randomness, waiting

static void clocks_tick(void) {
  start(wasi_config_new());
  expect(wasi("clock_time_get", L(0), L(1), L(0)) == SUCCESS && long_word(0) > UINT64_C(1600000000000000000));
  expect(wasi("clock_time_get", L(1), L(1), L(0)) == SUCCESS);
  uint64_t before = long_word(0);
  expect(wasi("clock_time_get", L(1), L(1), L(0)) == SUCCESS && long_word(0) >= before);
  expect(wasi("clock_res_get", L(0), L(0)) == SUCCESS && long_word(0) > 0);
  expect(wasi("clock_res_get", L(1), L(0)) == SUCCESS && long_word(0) > 0);
  expect(wasi("clock_time_get", L(77), L(1), L(0)) != SUCCESS);
}

static void random_bytes_differ(void) {
  start(wasi_config_new());
  expect(wasi("random_get", L(256), L(32)) == SUCCESS && wasi("random_get", L(512), L(32)) == SUCCESS);
  expect(memcmp(mem(256), mem(512), 32) != 0);
  expect(wasi("random_get", L(0), L(0)) == SUCCESS);
}

static void waiting_for_a_clock_takes_its_time(void) {
  start(wasi_config_new());
  uint64_t ms = 1000000, timeout = 20 * ms;
  memset(mem(256), 0, 48);
  memcpy(mem(256), "userdata", 8);
  put_word(256 + 16, 1); // the monotonic clock
  memcpy(mem(256 + 24), &timeout, 8);
  expect(wasi("clock_time_get", L(1), L(1), L(0)) == SUCCESS);
  uint64_t before = long_word(0);
  expect(wasi("poll_oneoff", L(256), L(512), L(1), L(24)) == SUCCESS && word(24) == 1);
  expect(!memcmp(mem(512), "userdata", 8) && mem(512)[8] == 0 && mem(512)[10] == 0);
  expect(wasi("clock_time_get", L(1), L(1), L(0)) == SUCCESS);
  expect(long_word(0) - before >= 20 * ms && long_word(0) - before < 5000 * ms);
  expect(wasi("poll_oneoff", L(256), L(512), L(0), L(24)) == INVAL);
}

static void yielding_succeeds(void) {
  start(wasi_config_new());
  expect(wasi("sched_yield") == SUCCESS);
}

// -- Hostile guests

// An address outside is an errno or a trap, never more.
static void bad_pointers_are_refused(void) {
  start_with_directory(ALL, ALL);
  const int64_t beyond[] = {2 * 65536, 2 * 65536 - 3, -1, -4, 0x7fffffff};
  for (size_t i = 0; i < sizeof beyond / sizeof *beyond; i++) {
    int64_t p = beyond[i];
    expect(wasi("args_sizes_get", p, L(0)) != SUCCESS);
    expect(wasi("fd_write", L(1), p, L(1), L(24)) != SUCCESS);
    expect(wasi("fd_read", L(0), p, L(1), L(24)) != SUCCESS);
    expect(wasi("fd_prestat_get", L(3), p) != SUCCESS);
    expect(wasi("clock_time_get", L(0), L(1), p) != SUCCESS);
    expect(wasi("random_get", p, L(8)) != SUCCESS);
    expect(wasi("path_open", L(3), L(0), p, L(8), L(0), L(2), L(2), L(0), L(24)) != SUCCESS);
    expect(wasi("poll_oneoff", p, L(512), L(1), L(24)) != SUCCESS);
    put_word(16, (uint32_t)p), put_word(20, 100);
    expect(wasi("fd_write", L(1), L(16), L(1), L(24)) != SUCCESS);
  }
  put_word(16, 0), put_word(20, UINT32_MAX);
  expect(wasi("fd_write", L(1), L(16), L(1), L(24)) != SUCCESS);
  expect(wasi("random_get", L(16), L(0xffffffff)) != SUCCESS);
  expect(wasi("fd_write", L(1), L(16), L(0xffffffff), L(24)) != SUCCESS);
}

static void unknown_descriptors_are_refused(void) {
  start(wasi_config_new());
  const int64_t fds[] = {3, 4, 1000, -1, 0x7fffffff};
  for (size_t i = 0; i < sizeof fds / sizeof *fds; i++) {
    expect(wasi("fd_close", fds[i]) == BADF);
    expect(write_text((int)fds[i], "x") == BADF);
    expect(read_some((int)fds[i], 1) == -BADF);
    expect(wasi("fd_fdstat_get", fds[i], L(0)) == BADF);
    expect(wasi("fd_seek", fds[i], L(0), L(0), L(0)) == BADF);
    expect(wasi("fd_renumber", fds[i], L(1)) == BADF);
    expect(wasi("fd_readdir", fds[i], L(64), L(64), L(0), L(24)) == BADF);
    expect(wasi("path_unlink_file", fds[i], L(512), L(1)) == BADF);
  }
}

static void sockets_that_are_none_are_refused(void) {
  start(wasi_config_new());
  expect(wasi("sock_accept", L(9), L(0), L(0)) != SUCCESS);
  expect(wasi("sock_shutdown", L(9), L(1)) != SUCCESS);
  expect(wasi("sock_recv", L(9), L(16), L(1), L(0), L(24), L(28)) != SUCCESS);
  expect(wasi("sock_send", L(9), L(16), L(1), L(0), L(24)) != SUCCESS);
}

static void a_program_without_memory_traps_or_fails(void) {
  wasmtime_linker_t *linker = wasmtime_linker_new(engine);
  wasmtime_module_t *module =
      module_of("(module (import \"wasi_snapshot_preview1\" \"random_get\" (func $f (param i32 i32) (result i32)))"
                "  (func (export \"run\") (drop (call $f (i32.const 0) (i32.const 8)))))");
  wasmtime_instance_t instance;
  wasm_trap_t *trap = NULL;
  expect_ok(wasmtime_linker_define_wasi(linker));
  expect_ok(wasmtime_context_set_wasi(ctx, wasi_config_new()));
  expect_ok(wasmtime_linker_instantiate(linker, ctx, module, &instance, &trap));
  wasmtime_func_t run = func_of(&instance, "run");
  wasmtime_error_t *error = wasmtime_func_call(ctx, &run, NULL, 0, NULL, 0, &trap);
  expect((error != NULL) + (trap != NULL) == 1);
  if (error) wasmtime_error_delete(error);
  if (trap) wasm_trap_delete(trap);
  wasmtime_module_delete(module);
  wasmtime_linker_delete(linker);
}

// Each claim runs with an empty directory `dir`.
#define RUN_WITH_DIR(claim) (current = claim, test_run(#claim, with_directory, NULL))

static void (*current)(void);

static void with_directory(void) {
  char command[128];
  strcpy(dir, "/tmp/ampoule-wasi-XXXXXX");
  if (!expect(mkdtemp(dir) != NULL)) return;
  current();
  snprintf(command, sizeof command, "rm -rf '%s'", dir);
  expect(system(command) == 0);
}

int main(void) {
  RUN_WITH_DIR(a_program_gets_its_arguments);
  RUN_WITH_DIR(a_program_gets_its_environment);
  RUN_WITH_DIR(by_default_there_is_nothing);
  RUN_WITH_DIR(text_that_is_not_utf8_is_refused);
  RUN_WITH_DIR(arguments_and_environment_are_inherited);
  RUN_WITH_DIR(standard_input_may_be_bytes);
  RUN_WITH_DIR(standard_streams_may_be_files);
  RUN_WITH_DIR(files_that_cannot_be_opened_are_refused);
  RUN_WITH_DIR(outputs_may_be_callbacks);
  // With the reference library, a write that failed shows with the next one.
  if (!getenv("AMPOULE_AGAINST"))
    RUN_WITH_DIR(outputs_may_fail);
  else
    test_skip("outputs_may_fail", "another library is tested");
  RUN_WITH_DIR(a_replaced_configuration_is_finalized);
  RUN_WITH_DIR(an_unused_configuration_finalizes_its_callbacks);
  RUN_WITH_DIR(streams_are_inherited);
  RUN_WITH_DIR(a_directory_is_the_descriptor_three);
  RUN_WITH_DIR(files_are_written_and_read);
  RUN_WITH_DIR(directories_and_names_change);
  RUN_WITH_DIR(a_directory_lists_its_entries);
  RUN_WITH_DIR(nothing_outside_can_be_reached);
  RUN_WITH_DIR(permissions_hold);
  RUN_WITH_DIR(clocks_tick);
  RUN_WITH_DIR(random_bytes_differ);
  RUN_WITH_DIR(waiting_for_a_clock_takes_its_time);
  RUN_WITH_DIR(yielding_succeeds);
  RUN_WITH_DIR(bad_pointers_are_refused);
  RUN_WITH_DIR(unknown_descriptors_are_refused);
  RUN_WITH_DIR(sockets_that_are_none_are_refused);
  RUN_WITH_DIR(a_program_without_memory_traps_or_fails);
  return test_summary();
}
