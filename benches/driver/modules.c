/* Modules from bytes, and a whole program from process start to its last line. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

typedef struct {
  wasm_engine_t *engine;
  bytes_t bytes;
  const char *artifact;
} module_t;

static double step_new(void *env) {
  module_t *m = env;
  wasmtime_module_t *module = NULL;
  double start = now_ns();
  check(wasmtime_module_new(m->engine, m->bytes.data, m->bytes.size, &module), NULL, "module_new");
  double spent = now_ns() - start;
  wasmtime_module_delete(module);
  return spent;
}

static void case_module_new(char **arguments) {
  module_t m = {wasm_engine_new(), read_file(arguments[0]), NULL};
  measure_steps(step_new, &m);
}

static double step_deserialize(void *env) {
  module_t *m = env;
  wasmtime_module_t *module = NULL;
  double start = now_ns();
  check(wasmtime_module_deserialize_file(m->engine, m->artifact, &module), NULL, "deserialize_file");
  double spent = now_ns() - start;
  wasmtime_module_delete(module);
  return spent;
}

/* Loading a precompiled file; each library reads what it wrote itself. */
static void case_deserialize(char **arguments) {
  if (!options.scratch) fail("deserialize needs --scratch");
  char path[4096];
  snprintf(path, sizeof path, "%s/artifact", options.scratch);
  module_t m = {wasm_engine_new(), read_file(arguments[0]), path};
  wasmtime_module_t *module = NULL;
  wasm_byte_vec_t artifact;
  check(wasmtime_module_new(m.engine, m.bytes.data, m.bytes.size, &module), NULL, "module_new");
  check(wasmtime_module_serialize(module, &artifact), NULL, "serialize");
  FILE *file = fopen(path, "wb");
  if (!file || fwrite(artifact.data, 1, artifact.size, file) != artifact.size || fclose(file)) fail("cannot write %s", path);
  wasm_byte_vec_delete(&artifact);
  wasmtime_module_delete(module);
  measure_steps(step_deserialize, &m);
}

/* Runs CPython's `_start` with `-c CODE`, stdio inherited: the whole life of a program, timed from outside. */
static void case_python(char **arguments) {
  world_t world = world_new(NULL);
  bytes_t bytes = read_file(arguments[0]);
  wasmtime_module_t *module = NULL;
  check(wasmtime_module_new(world.engine, bytes.data, bytes.size, &module), NULL, "module_new");
  free(bytes.data);

  wasi_config_t *wasi = wasi_config_new();
  const char *argv[] = {"python", "-c", arguments[1]};
  if (!wasi_config_set_argv(wasi, 3, argv)) fail("arguments refused");
  wasi_config_inherit_stdin(wasi);
  wasi_config_inherit_stdout(wasi);
  wasi_config_inherit_stderr(wasi);
  check(wasmtime_context_set_wasi(world.context, wasi), NULL, "set_wasi");

  wasmtime_linker_t *linker = wasmtime_linker_new(world.engine);
  check(wasmtime_linker_define_wasi(linker), NULL, "define_wasi");
  wasmtime_instance_t instance;
  wasm_trap_t *trap = NULL;
  check(wasmtime_linker_instantiate(linker, world.context, module, &instance, &trap), trap, "instantiation");
  wasmtime_func_t start = find_func(world.context, &instance, "_start");
  wasmtime_error_t *error = wasmtime_func_call(world.context, &start, NULL, 0, NULL, 0, &trap);
  int status = 0;
  if (error && wasmtime_error_exit_status(error, &status)) {
    if (status != 0) fail("python exited with %d", status);
    return;
  }
  check(error, trap, "_start");
}

const case_t module_cases[] = {
    {"module_new", 1, case_module_new},
    {"deserialize", 1, case_deserialize},
    {"python", 2, case_python},
    {NULL, 0, NULL},
};
