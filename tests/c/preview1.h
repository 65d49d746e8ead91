// What the tests of WASI preview 1 share: a guest that exports its functions, called by name. Includes `test.h`.

#ifndef AMPOULE_PREVIEW1_H
#define AMPOULE_PREVIEW1_H

#include "test.h"
#include <stdarg.h>

// -- A guest that exports every function of preview 1, so that claims can call them with the guest's memory

// Names with their parameters (i for i32, l for i64); all return an errno except proc_exit, which does not return.
static const char *const FUNCTIONS[][2] = {
    {"args_get", "ii"},
    {"args_sizes_get", "ii"},
    {"environ_get", "ii"},
    {"environ_sizes_get", "ii"},
    {"clock_res_get", "ii"},
    {"clock_time_get", "ili"},
    {"fd_advise", "illi"},
    {"fd_allocate", "ill"},
    {"fd_close", "i"},
    {"fd_datasync", "i"},
    {"fd_fdstat_get", "ii"},
    {"fd_fdstat_set_flags", "ii"},
    {"fd_fdstat_set_rights", "ill"},
    {"fd_filestat_get", "ii"},
    {"fd_filestat_set_size", "il"},
    {"fd_filestat_set_times", "illi"},
    {"fd_pread", "iiili"},
    {"fd_prestat_get", "ii"},
    {"fd_prestat_dir_name", "iii"},
    {"fd_pwrite", "iiili"},
    {"fd_read", "iiii"},
    {"fd_readdir", "iiili"},
    {"fd_renumber", "ii"},
    {"fd_seek", "ilii"},
    {"fd_sync", "i"},
    {"fd_tell", "ii"},
    {"fd_write", "iiii"},
    {"path_create_directory", "iii"},
    {"path_filestat_get", "iiiii"},
    {"path_filestat_set_times", "iiiilli"},
    {"path_link", "iiiiiii"},
    {"path_open", "iiiiillii"},
    {"path_readlink", "iiiiii"},
    {"path_remove_directory", "iii"},
    {"path_rename", "iiiiii"},
    {"path_symlink", "iiiii"},
    {"path_unlink_file", "iii"},
    {"poll_oneoff", "iiii"},
    {"proc_exit", "i"},
    {"proc_raise", "i"},
    {"random_get", "ii"},
    {"sched_yield", ""},
    {"sock_accept", "iii"},
    {"sock_recv", "iiiiii"},
    {"sock_send", "iiiii"},
    {"sock_shutdown", "ii"},
};

enum { N_FUNCTIONS = sizeof FUNCTIONS / sizeof *FUNCTIONS };

enum { SUCCESS = 0, BADF = 8, FAULT = 21, INVAL = 28, NOENT = 44 };

static wasmtime_instance_t program;

static inline const char *guest_wat(void) {
  static char wat[32768];
  char *at = wat;
  at += sprintf(at, "(module");
  for (size_t i = 0; i < N_FUNCTIONS; i++) {
    at += sprintf(at, "(import \"wasi_snapshot_preview1\" \"%s\" (func $%s (param", FUNCTIONS[i][0], FUNCTIONS[i][0]);
    for (const char *p = FUNCTIONS[i][1]; *p; p++) at += sprintf(at, *p == 'i' ? " i32" : " i64");
    at += sprintf(at, strcmp(FUNCTIONS[i][0], "proc_exit") ? ") (result i32)))\n" : ")))\n");
  }
  at += sprintf(at, "(memory (export \"memory\") 2)\n");
  for (size_t i = 0; i < N_FUNCTIONS; i++) {
    at += sprintf(at, "(func (export \"%s\") (param", FUNCTIONS[i][0]);
    for (const char *p = FUNCTIONS[i][1]; *p; p++) at += sprintf(at, *p == 'i' ? " i32" : " i64");
    at += sprintf(at, strcmp(FUNCTIONS[i][0], "proc_exit") ? ") (result i32)" : ")");
    for (size_t p = 0; p < strlen(FUNCTIONS[i][1]); p++) at += sprintf(at, " local.get %zu", p);
    at += sprintf(at, " call $%s)\n", FUNCTIONS[i][0]);
  }
  sprintf(at, ")");
  return wat;
}

// Starts the guest with what `config` grants.
static inline void start(wasi_config_t *config) {
  wasmtime_linker_t *linker = wasmtime_linker_new(engine);
  wasmtime_module_t *module = module_of(guest_wat());
  wasm_trap_t *trap = NULL;
  expect_ok(wasmtime_linker_define_wasi(linker));
  expect_ok(wasmtime_context_set_wasi(ctx, config));
  expect_ok(wasmtime_linker_instantiate(linker, ctx, module, &program, &trap));
  expect_no_trap(trap);
  wasmtime_module_delete(module);
  wasmtime_linker_delete(linker);
}

static inline uint8_t *mem(uint32_t at) {
  wasmtime_memory_t memory = export_of(&program, "memory").of.memory;
  return wasmtime_memory_data(ctx, &memory) + at;
}

static inline uint32_t word(uint32_t at) {
  uint32_t value;
  memcpy(&value, mem(at), 4);
  return value;
}

static inline uint64_t long_word(uint32_t at) {
  uint64_t value;
  memcpy(&value, mem(at), 8);
  return value;
}

static inline void put_word(uint32_t at, uint32_t value) { memcpy(mem(at), &value, 4); }

// Calls a function of preview 1; every argument is an int64_t here, whatever its type. -1 stands for a trap or error.
static inline int32_t wasi(const char *name, ...) {
  wasmtime_val_t args[9], result = i32_val(-1);
  size_t nargs = 0;
  va_list list;
  va_start(list, name);
  for (size_t i = 0; i < N_FUNCTIONS; i++) {
    if (strcmp(FUNCTIONS[i][0], name)) continue;
    for (const char *p = FUNCTIONS[i][1]; *p; p++, nargs++) {
      int64_t arg = va_arg(list, int64_t);
      args[nargs] = *p == 'i' ? i32_val((int32_t)arg) : i64_val(arg);
    }
  }
  va_end(list);
  wasmtime_func_t func = func_of(&program, name);
  wasm_trap_t *trap = NULL;
  wasmtime_error_t *error = wasmtime_func_call(ctx, &func, args, nargs, &result, 1, &trap);
  if (!trap && !error) return result.of.i32;
  if (trap) wasm_trap_delete(trap);
  if (error) wasmtime_error_delete(error);
  return -1;
}

#define L(value) ((int64_t)(value))

// Writes text to a file descriptor: its errno. The vector is at 16, the count at 24, the text at 1024.
static inline int32_t write_text(int fd, const char *text) {
  put_word(16, 1024);
  put_word(20, (uint32_t)strlen(text));
  memcpy(mem(1024), text, strlen(text));
  return wasi("fd_write", L(fd), L(16), L(1), L(24));
}

// Reads up to `len` bytes to 2048: how many, or minus the errno.
static inline int32_t read_some(int fd, uint32_t len) {
  put_word(16, 2048);
  put_word(20, len);
  int32_t error = wasi("fd_read", L(fd), L(16), L(1), L(24));
  return error ? -error : (int32_t)word(24);
}

enum { READ_RIGHT = 2, WRITE_RIGHT = 64, ALL_RIGHTS = 0x1fffffff };
enum { CREATE = 1, DIRECTORY = 2, EXCLUSIVE = 4, TRUNCATE = 8 };

// Opens a path below a directory: the descriptor, or minus the errno.
static inline int32_t open_path(int fd, const char *path, int how, int64_t rights) {
  memcpy(mem(512), path, strlen(path));
  int32_t error = wasi("path_open", L(fd), L(1), L(512), L(strlen(path)), L(how), rights, rights, L(0), L(24));
  return error ? -error : (int32_t)word(24);
}

#endif
