/* Modules from bytes. */
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

const case_t module_cases[] = {
    {"module_new", 1, case_module_new},
    {"deserialize", 1, case_deserialize},
    {NULL, 0, NULL},
};
