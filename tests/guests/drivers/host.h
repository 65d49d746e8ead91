/* What the drivers share: a host around one WASI module or component in one store, and claims about what it did.
 *
 * A driver is a C program over the C API. It takes the folder of compiled guests and the folder of inputs as its two
 * arguments (see ../README.md), prints a line for every claim that fails, and exits with 0 only when none did. */
#ifndef AMPOULE_GUEST_HOST_H
#define AMPOULE_GUEST_HOST_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <wasi.h>
#include <wasmtime.h>

/* ---- Claims ---- */

static int claims_failed;
static const char *guests_dir, *inputs_dir;

__attribute__((unused)) static bool claim_at(bool holds, const char *file, int line, const char *text) {
  if (!holds) {
    printf("%s:%d: does not hold: %s\n", file, line, text);
    claims_failed++;
  }
  return holds;
}

#define CLAIM(condition) claim_at((condition), __FILE__, __LINE__, #condition)

__attribute__((unused, noreturn)) static void give_up(const char *what, const char *why) {
  printf("%s: %s\n", what, why);
  exit(2);
}

__attribute__((unused)) static void must(const char *what, wasmtime_error_t *error) {
  if (error == NULL) return;
  wasm_name_t message;
  wasmtime_error_message(error, &message);
  printf("%s: %.*s\n", what, (int)message.size, message.data);
  exit(2);
}

/* ---- Bytes ---- */

/* Grows as bytes are added; always followed by a NUL that `length` does not count. */
struct bytes {
  char *data;
  size_t length;
};

__attribute__((unused)) static void add_bytes(struct bytes *bytes, const void *more, size_t length) {
  bytes->data = realloc(bytes->data, bytes->length + length + 1);
  if (bytes->data == NULL) give_up("realloc", "out of memory");
  if (length != 0) memcpy(bytes->data + bytes->length, more, length);
  bytes->length += length;
  bytes->data[bytes->length] = '\0';
}

__attribute__((unused)) static void free_bytes(struct bytes *bytes) {
  free(bytes->data);
  *bytes = (struct bytes){NULL, 0};
}

__attribute__((unused)) static struct bytes read_file(const char *path) {
  struct bytes bytes = {NULL, 0};
  char buffer[65536];
  FILE *file = fopen(path, "rb");
  if (file == NULL) give_up(path, strerror(errno));
  add_bytes(&bytes, "", 0);
  for (size_t got; (got = fread(buffer, 1, sizeof buffer, file)) > 0;) add_bytes(&bytes, buffer, got);
  fclose(file);
  return bytes;
}

__attribute__((unused)) static void write_file(const char *path, const char *text) {
  FILE *file = fopen(path, "wb");
  if (file == NULL || fwrite(text, 1, strlen(text), file) != strlen(text) || fclose(file) != 0) {
    give_up(path, strerror(errno));
  }
}

/* FNV-1a, 64 bits: enough to tell one output from another. */
__attribute__((unused)) static uint64_t hash_of(const char *data, size_t length) {
  uint64_t hash = UINT64_C(0xcbf29ce484222325);
  for (size_t i = 0; i < length; i++) hash = (hash ^ (unsigned char)data[i]) * UINT64_C(0x100000001b3);
  return hash;
}

/* `dir`/`name`, in one of eight buffers that are used in turn. */
__attribute__((unused)) static const char *path_in(const char *dir, const char *name) {
  static char buffers[8][4096];
  static unsigned next;
  char *buffer = buffers[next++ % 8];
  snprintf(buffer, sizeof buffers[0], "%s/%s", dir, name);
  return buffer;
}

/* ---- A module, and one life of it ---- */

/* Whether programs are loaded as components: those of the same name in the folder p1, which the adapter of preview 1 made. */
static bool as_components;

struct program {
  wasm_engine_t *engine;
  wasmtime_linker_t *linker;
  wasmtime_module_t *module;
  wasmtime_component_linker_t *component_linker;
  wasmtime_component_t *component; /* or NULL, and a module */
};

__attribute__((unused)) static void load_component(struct program *program, const char *file_name) {
  program->component_linker = wasmtime_component_linker_new(program->engine);
  must("linker", wasmtime_component_linker_add_wasip2(program->component_linker));
  struct bytes wasm = read_file(path_in(path_in(guests_dir, "p1"), file_name));
  must(file_name, wasmtime_component_new(program->engine, (const uint8_t *)wasm.data, wasm.length, &program->component));
  free_bytes(&wasm);
}

__attribute__((unused)) static struct program load_with(wasm_config_t *config, const char *file_name) {
  struct program program = {.engine = wasm_engine_new_with_config(config)};
  if (as_components) {
    load_component(&program, file_name);
    return program;
  }
  program.linker = wasmtime_linker_new(program.engine);
  must("linker", wasmtime_linker_define_wasi(program.linker));
  struct bytes wasm = read_file(path_in(guests_dir, file_name));
  must(file_name, wasmtime_module_new(program.engine, (const uint8_t *)wasm.data, wasm.length, &program.module));
  free_bytes(&wasm);
  return program;
}

__attribute__((unused)) static struct program load(const char *file_name) {
  return load_with(wasm_config_new(), file_name);
}

__attribute__((unused)) static void unload(struct program *program) {
  if (program->component != NULL) {
    wasmtime_component_delete(program->component);
    wasmtime_component_linker_delete(program->component_linker);
  } else {
    wasmtime_module_delete(program->module);
    wasmtime_linker_delete(program->linker);
  }
  wasm_engine_delete(program->engine);
}

/* How a call ended: `trapped` with `code`, or `exited` with `status`, or with an error `message`, or none of these. */
struct ending {
  bool trapped, exited, failed;
  wasmtime_trap_code_t code;
  int status;
  char message[16384];
};

struct life {
  wasmtime_store_t *store;
  wasmtime_context_t *context;
  wasmtime_instance_t instance;
  wasmtime_component_instance_t component_instance;
  struct bytes out, err;
};

__attribute__((unused)) static ptrdiff_t collect(void *bytes, const unsigned char *data, size_t length) {
  add_bytes(bytes, data, length);
  return (ptrdiff_t)length;
}

/* A store for `program` with the WASI world `wasi`, whose output is collected. `life` must not move while it lives. */
__attribute__((unused)) static void begin(struct life *life, struct program *program, wasi_config_t *wasi) {
  memset(life, 0, sizeof *life);
  add_bytes(&life->out, "", 0);
  add_bytes(&life->err, "", 0);
  wasi_config_set_stdout_custom(wasi, collect, &life->out, NULL);
  wasi_config_set_stderr_custom(wasi, collect, &life->err, NULL);
  life->store = wasmtime_store_new(program->engine, NULL, NULL);
  life->context = wasmtime_store_context(life->store);
  must("wasi", wasmtime_context_set_wasi(life->context, wasi));
}

__attribute__((unused)) static void end(struct life *life) {
  wasmtime_store_delete(life->store);
  free_bytes(&life->out);
  free_bytes(&life->err);
}

/* Whether an error is a trap of a component, which has no code: its text names one. */
__attribute__((unused)) static bool trap_named(const char *message, wasmtime_trap_code_t *code) {
  static const struct { const char *text; wasmtime_trap_code_t code; } traps[] = {
      {"call stack exhausted", WASMTIME_TRAP_CODE_STACK_OVERFLOW},
      {"out of bounds memory access", WASMTIME_TRAP_CODE_MEMORY_OUT_OF_BOUNDS},
      {"undefined element: out of bounds table access", WASMTIME_TRAP_CODE_TABLE_OUT_OF_BOUNDS},
      {"uninitialized element", WASMTIME_TRAP_CODE_INDIRECT_CALL_TO_NULL},
      {"indirect call type mismatch", WASMTIME_TRAP_CODE_BAD_SIGNATURE},
      {"integer overflow", WASMTIME_TRAP_CODE_INTEGER_OVERFLOW},
      {"integer divide by zero", WASMTIME_TRAP_CODE_INTEGER_DIVISION_BY_ZERO},
      {"invalid conversion to integer", WASMTIME_TRAP_CODE_BAD_CONVERSION_TO_INTEGER},
      {"wasm `unreachable` instruction executed", WASMTIME_TRAP_CODE_UNREACHABLE_CODE_REACHED},
      {"interrupt", WASMTIME_TRAP_CODE_INTERRUPT},
      {"all fuel consumed by WebAssembly", WASMTIME_TRAP_CODE_OUT_OF_FUEL},
  };
  const char *named = strstr(message, "wasm trap: ");
  for (size_t i = 0; named != NULL && i < sizeof traps / sizeof *traps; i++) {
    const char *text = named + strlen("wasm trap: ");
    if (strncmp(text, traps[i].text, strlen(traps[i].text)) == 0) {
      *code = traps[i].code;
      return true;
    }
  }
  return false;
}

/* Takes ownership of `error` and `trap`. */
__attribute__((unused)) static struct ending ending_of(wasmtime_error_t *error, wasm_trap_t *trap) {
  struct ending ending = {0};
  wasm_name_t message;
  if (error != NULL) {
    ending.exited = wasmtime_error_exit_status(error, &ending.status);
    ending.failed = !ending.exited;
    wasmtime_error_message(error, &message);
  } else if (trap != NULL) {
    ending.trapped = true;
    ending.failed = !wasmtime_trap_code(trap, &ending.code);
    wasm_trap_message(trap, &message);
  } else {
    return ending;
  }
  snprintf(ending.message, sizeof ending.message, "%.*s", (int)message.size, message.data);
  wasm_byte_vec_delete(&message);
  if (as_components && ending.failed && trap_named(ending.message, &ending.code)) {
    ending.trapped = true;
    ending.failed = false;
  }
  if (error != NULL) wasmtime_error_delete(error);
  if (trap != NULL) wasm_trap_delete(trap);
  return ending;
}

__attribute__((unused)) static struct ending instantiate(struct life *life, struct program *program) {
  if (program->component != NULL) {
    return ending_of(wasmtime_component_linker_instantiate(program->component_linker, life->context, program->component,
                                                           &life->component_instance),
                     NULL);
  }
  wasm_trap_t *trap = NULL;
  wasmtime_error_t *error =
      wasmtime_linker_instantiate(program->linker, life->context, program->module, &life->instance, &trap);
  return ending_of(error, trap);
}

__attribute__((unused)) static wasmtime_extern_t export_of(struct life *life, const char *name, int kind) {
  wasmtime_extern_t item;
  if (!wasmtime_instance_export_get(life->context, &life->instance, name, strlen(name), &item) || item.kind != kind) {
    give_up(name, "not exported as expected");
  }
  return item;
}

/* Calls an export whose parameters are all i32; `result` is NULL when it has none. */
__attribute__((unused)) static struct ending call(struct life *life, const char *name, const uint32_t *args,
                                                  size_t count, uint32_t *result) {
  wasmtime_extern_t item = export_of(life, name, WASMTIME_EXTERN_FUNC);
  wasmtime_val_t values[8], returned;
  memset(values, 0, sizeof values);
  memset(&returned, 0, sizeof returned);
  if (count > 8) give_up(name, "too many arguments");
  for (size_t i = 0; i < count; i++) {
    values[i].kind = WASMTIME_I32;
    values[i].of.i32 = (int32_t)args[i];
  }
  wasm_trap_t *trap = NULL;
  wasmtime_error_t *error =
      wasmtime_func_call(life->context, &item.of.func, values, count, &returned, result != NULL, &trap);
  bool came_back = error == NULL && trap == NULL;
  if (result != NULL) *result = came_back ? (uint32_t)returned.of.i32 : 0;
  return ending_of(error, trap);
}

/* Like `call`, for functions that must come back with a result. */
__attribute__((unused)) static uint32_t ask(struct life *life, const char *name, const uint32_t *args, size_t count) {
  uint32_t result = 0;
  struct ending ending = call(life, name, args, count, &result);
  if (ending.failed || ending.trapped || ending.exited) give_up(name, ending.message);
  return result;
}

/* `length` bytes of the guest's memory at `address`. Stale after the next call into the guest. */
__attribute__((unused)) static char *guest_bytes(struct life *life, uint32_t address, size_t length) {
  wasmtime_extern_t memory = export_of(life, "memory", WASMTIME_EXTERN_MEMORY);
  size_t size = wasmtime_memory_data_size(life->context, &memory.of.memory);
  if (address > size || length > size - address) give_up("guest memory", "an address lies outside of it");
  return (char *)wasmtime_memory_data(life->context, &memory.of.memory) + address;
}

/* A copy of `text`, with its NUL, in memory that the guest's `malloc` gave. */
__attribute__((unused)) static uint32_t guest_string(struct life *life, const char *text) {
  uint32_t length = (uint32_t)strlen(text) + 1;
  uint32_t address = ask(life, "malloc", &length, 1);
  if (address == 0) give_up("malloc", "the guest is out of memory");
  memcpy(guest_bytes(life, address, length), text, length);
  return address;
}

/* Arguments of the guest, the first being its name; NULL ends the list. */
__attribute__((unused)) static wasi_config_t *world(const char *const *argv) {
  wasi_config_t *wasi = wasi_config_new();
  size_t count = 0;
  while (argv[count] != NULL) count++;
  if (!wasi_config_set_argv(wasi, count, (const char **)argv)) give_up(argv[0], "its arguments are not UTF-8");
  return wasi;
}

/* Calls `run` of a component's `wasi:cli/run`. */
__attribute__((unused)) static struct ending run_component(struct life *life, struct program *program) {
  static const char interface[] = "wasi:cli/run@0.2.0", name[] = "run";
  wasmtime_component_export_index_t *run =
      wasmtime_component_get_export_index(program->component, NULL, interface, strlen(interface));
  wasmtime_component_export_index_t *index =
      run == NULL ? NULL : wasmtime_component_get_export_index(program->component, run, name, strlen(name));
  wasmtime_component_func_t func;
  if (index == NULL ||
      !wasmtime_component_instance_get_func(&life->component_instance, life->context, index, &func)) {
    give_up(interface, "not exported");
  }
  wasmtime_component_export_index_delete(index);
  wasmtime_component_export_index_delete(run);
  wasmtime_component_val_t result = {.kind = WASMTIME_COMPONENT_BOOL};
  struct ending ending = ending_of(wasmtime_component_func_call(&func, life->context, NULL, 0, &result, 1), NULL);
  if (result.kind == WASMTIME_COMPONENT_RESULT && !result.of.result.is_ok) {
    ending.exited = true;
    ending.status = 1;
  }
  wasmtime_component_val_delete(&result);
  return ending;
}

/* What remains of a status: components only tell success from failure. */
__attribute__((unused)) static int status_seen(int status) { return as_components && status != 0 ? 1 : status; }

/* Instantiates a command and runs its `_start`. */
__attribute__((unused)) static struct ending run_command(struct life *life, struct program *program) {
  struct ending ending = instantiate(life, program);
  if (ending.failed || ending.trapped || ending.exited) return ending;
  return program->component != NULL ? run_component(life, program) : call(life, "_start", NULL, 0, NULL);
}

/* A command that returned from main with 0, or that called exit(0). */
__attribute__((unused)) static bool ended_well(const struct ending *ending) {
  return !ending->failed && !ending->trapped && ending->status == 0;
}

/* ---- Scratch folders on the host ---- */

/* A new empty folder. The caller removes it with `remove_scratch`. */
__attribute__((unused)) static char *new_scratch(void) {
  static const char pattern[] = "/tmp/ampoule-guest-XXXXXX";
  char *path = malloc(sizeof pattern);
  if (path == NULL) give_up("malloc", "out of memory");
  memcpy(path, pattern, sizeof pattern);
  if (mkdtemp(path) == NULL) give_up(path, strerror(errno));
  return path;
}

/* Everything below `path`, which `new_scratch` made. */
__attribute__((unused)) static void remove_scratch(char *path) {
  char command[4200];
  snprintf(command, sizeof command, "rm -rf -- '%s'", path);
  if (system(command) != 0) printf("%s is left behind\n", path);
  free(path);
}

__attribute__((unused)) static int claims_result(const char *what) {
  if (claims_failed == 0) {
    printf("%s: every claim holds\n", what);
    return 0;
  }
  printf("%s: %d claims do not hold\n", what, claims_failed);
  return 1;
}

__attribute__((unused)) static void take_arguments(int argc, char **argv) {
  if (argc != 3) give_up(argv[0], "usage: DRIVER GUESTS_DIR INPUTS_DIR");
  guests_dir = argv[1];
  inputs_dir = argv[2];
}

#endif
