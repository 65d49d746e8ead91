// What crun's handler for WebAssembly does with the library: it loads `libwasmtime.so` by that name, finds its functions by `dlsym`, and runs a
// module with them. crun comes without that handler in most distributions; this makes the same calls, with the types that it declares for them
// itself.
//
// Usage: crun FILE [ARGS]...

#include <dlfcn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
  size_t size;
  char *data;
} bytes_t;
typedef struct engine engine_t;
typedef struct store store_t;
typedef struct context context_t;
typedef struct linker linker_t;
typedef struct module module_t;
typedef struct wasi_config wasi_config_t;
typedef struct error error_t;
typedef struct trap trap_t;
// A function of a store.
typedef struct {
  uint64_t store;
  void *private;
} func_t;

static void *library;

static void *find(const char *name) {
  void *found = dlsym(library, name);
  if (!found) {
    fprintf(stderr, "could not find `%s` in libwasmtime.so\n", name);
    exit(EXIT_FAILURE);
  }
  return found;
}

// A pointer to a function of the library, of this name.
#define FUNCTION(result, name, ...) result (*name)(__VA_ARGS__) = (result (*)(__VA_ARGS__))find(#name)

static void check(error_t *error, const char *what) {
  if (!error)
    return;
  FUNCTION(void, wasmtime_error_message, const error_t *, bytes_t *);
  FUNCTION(void, wasmtime_error_delete, error_t *);
  bytes_t message;
  wasmtime_error_message(error, &message);
  wasmtime_error_delete(error);
  fprintf(stderr, "%s: %.*s\n", what, (int)message.size, message.data);
  exit(EXIT_FAILURE);
}

static void run_module(engine_t *engine, bytes_t *wasm, int argc, const char *argv[]) {
  FUNCTION(void, wasm_engine_delete, engine_t *);
  FUNCTION(void, wasm_byte_vec_delete, bytes_t *);
  FUNCTION(wasi_config_t *, wasi_config_new, const char *);
  FUNCTION(void, wasi_config_inherit_argv, wasi_config_t *);
  FUNCTION(void, wasi_config_inherit_env, wasi_config_t *);
  FUNCTION(void, wasi_config_set_argv, wasi_config_t *, int, const char *[]);
  FUNCTION(void, wasi_config_inherit_stdin, wasi_config_t *);
  FUNCTION(void, wasi_config_inherit_stdout, wasi_config_t *);
  FUNCTION(void, wasi_config_inherit_stderr, wasi_config_t *);
  FUNCTION(bool, wasi_config_preopen_dir, wasi_config_t *, const char *, const char *, size_t, size_t);
  FUNCTION(store_t *, wasmtime_store_new, engine_t *, void *, void (*)(void *));
  FUNCTION(context_t *, wasmtime_store_context, store_t *);
  FUNCTION(linker_t *, wasmtime_linker_new, engine_t *);
  FUNCTION(error_t *, wasmtime_linker_define_wasi, linker_t *);
  FUNCTION(error_t *, wasmtime_module_new, engine_t *, const uint8_t *, size_t, module_t **);
  FUNCTION(error_t *, wasmtime_context_set_wasi, context_t *, wasi_config_t *);
  FUNCTION(error_t *, wasmtime_linker_module, linker_t *, context_t *, const char *, size_t, const module_t *);
  FUNCTION(error_t *, wasmtime_linker_get_default, const linker_t *, context_t *, const char *, size_t, func_t *);
  FUNCTION(error_t *, wasmtime_func_call, context_t *, const func_t *, const void *, size_t, void *, size_t, trap_t **);
  FUNCTION(void, wasmtime_module_delete, module_t *);
  FUNCTION(void, wasmtime_store_delete, store_t *);
  (void)wasi_config_inherit_argv;

  store_t *store = wasmtime_store_new(engine, NULL, NULL);
  context_t *context = wasmtime_store_context(store);
  linker_t *linker = wasmtime_linker_new(engine);
  check(wasmtime_linker_define_wasi(linker), "failed to link wasi");
  module_t *module = NULL;
  check(wasmtime_module_new(engine, (uint8_t *)wasm->data, wasm->size, &module), "failed to compile module");
  wasm_byte_vec_delete(wasm);
  wasi_config_t *wasi = wasi_config_new("crun_wasi_program");
  wasi_config_set_argv(wasi, argc, argv);
  wasi_config_inherit_env(wasi);
  wasi_config_inherit_stdin(wasi);
  wasi_config_inherit_stdout(wasi);
  wasi_config_inherit_stderr(wasi);
  wasi_config_preopen_dir(wasi, ".", ".", 1 | 2, 1 | 2);
  check(wasmtime_context_set_wasi(context, wasi), "failed to instantiate WASI");
  check(wasmtime_linker_module(linker, context, "", 0, module), "failed to instantiate module");
  func_t func;
  check(wasmtime_linker_get_default(linker, context, "", 0, &func), "failed to locate default export");
  trap_t *trap = NULL;
  check(wasmtime_func_call(context, &func, NULL, 0, NULL, 0, &trap), "error calling default export");
  if (trap)
    exit(EXIT_FAILURE);
  wasmtime_module_delete(module);
  wasmtime_store_delete(store);
  wasm_engine_delete(engine);
}

int main(int argc, char *argv[]) {
  library = dlopen("libwasmtime.so", RTLD_NOW);
  if (!library || argc < 2) {
    fprintf(stderr, "could not load libwasmtime.so: %s\n", library ? "no file" : dlerror());
    return EXIT_FAILURE;
  }
  FUNCTION(engine_t *, wasm_engine_new, void);
  FUNCTION(void, wasm_byte_vec_new_uninitialized, bytes_t *, size_t);
  FUNCTION(void, wasm_byte_vec_delete, bytes_t *);
  FUNCTION(error_t *, wasmtime_wat2wasm, const char *, size_t, bytes_t *);
  FUNCTION(error_t *, wasmtime_module_validate, engine_t *, const uint8_t *, size_t);
  (void)wasmtime_module_validate;

  engine_t *engine = wasm_engine_new();
  FILE *file = fopen(argv[1], "rb");
  if (!file || fseek(file, 0, SEEK_END))
    return EXIT_FAILURE;
  long size = ftell(file);
  rewind(file);
  bytes_t wasm;
  wasm_byte_vec_new_uninitialized(&wasm, size);
  if (fread(wasm.data, size, 1, file) != 1)
    return EXIT_FAILURE;
  fclose(file);
  const char *suffix = strrchr(argv[1], '.');
  if (suffix && !strcmp(suffix, ".wat")) {
    bytes_t binary;
    check(wasmtime_wat2wasm(wasm.data, size, &binary), "failed while compiling wat to wasm binary");
    wasm_byte_vec_delete(&wasm);
    wasm = binary;
  }
  run_module(engine, &wasm, argc - 1, (const char **)argv + 1);
  return dlclose(library) ? EXIT_FAILURE : EXIT_SUCCESS;
}
