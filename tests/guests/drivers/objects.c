/* One program in Kotlin, MoonBit and Python, compiled to garbage-collected WebAssembly: each prints what CPython prints. */
#include "host.h"

/* How a program is run. */
struct mode {
  const char *name;
  bool compiled_at_once; /* or function by function, when they are first called */
  bool with_fuel;
  bool from_artifact; /* serialized and deserialized */
};

static const struct mode MODES[] = {
    {"as it comes", false, false, false},
    {"compiled at once", true, false, false},
    {"with fuel", false, true, false},
    {"from an artifact", true, false, true},
};

static wasm_config_t *config_of(const struct mode *mode) {
  wasm_config_t *config = wasm_config_new();
  wasmtime_config_wasm_reference_types_set(config, true);
  wasmtime_config_wasm_function_references_set(config, true);
  wasmtime_config_wasm_gc_set(config, true);
  wasmtime_config_wasm_exceptions_set(config, true);
  wasmtime_config_wasm_tail_call_set(config, true);
  if (mode->compiled_at_once) wasmtime_config_strategy_set(config, WASMTIME_STRATEGY_CRANELIFT);
  wasmtime_config_consume_fuel_set(config, mode->with_fuel);
  return config;
}

/* ---- What the programs print by */

/* `env` is a `struct bytes`. Python's characters are bytes of UTF-8; MoonBit's are of UTF-16, here all below 128. */
static wasm_trap_t *print_char(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                               wasmtime_val_t *results, size_t nresults) {
  (void)caller, (void)nargs, (void)results, (void)nresults;
  char character = (char)args[0].of.i32;
  add_bytes(env, &character, 1);
  return NULL;
}

static wasm_trap_t *print_number(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                                 wasmtime_val_t *results, size_t nresults) {
  (void)caller, (void)nargs, (void)results, (void)nresults;
  char text[32];
  long long number = args[0].kind == WASMTIME_I64 ? args[0].of.i64 : args[0].of.i32;
  add_bytes(env, text, (size_t)snprintf(text, sizeof text, "%lld", number));
  return NULL;
}

static void define(struct program *program, const char *module, const char *name, wasm_valkind_t kind,
                   wasmtime_func_callback_t callback, struct bytes *out) {
  wasm_functype_t *type = wasm_functype_new_1_0(wasm_valtype_new(kind));
  must(name, wasmtime_linker_define_func(program->linker, module, strlen(module), name, strlen(name), type, callback,
                                         out, NULL));
  wasm_functype_delete(type);
}

/* ---- The programs */

static void check(const char *language, const struct mode *mode, struct bytes *out, const struct ending *ending) {
  struct bytes expected = read_file(path_in(inputs_dir, "objects.expected"));
  if (!CLAIM(ended_well(ending)) || !CLAIM(strcmp(out->data, expected.data) == 0)) {
    printf("%s, %s: %s\n%s", language, mode->name, ending->message, out->data);
  }
  free_bytes(&expected);
}

/* The module in `file`, as text or not. */
static void load_module(struct program *program, const struct mode *mode, const char *file) {
  program->engine = wasm_engine_new_with_config(config_of(mode));
  program->linker = wasmtime_linker_new(program->engine);
  must("wasi", wasmtime_linker_define_wasi(program->linker));
  struct bytes text = read_file(path_in(guests_dir, file));
  wasm_byte_vec_t binary, artifact;
  if (strstr(file, ".wat") != NULL) {
    must(file, wasmtime_wat2wasm(text.data, text.length, &binary));
  } else {
    wasm_byte_vec_new(&binary, text.length, text.data);
  }
  must(file, wasmtime_module_new(program->engine, (const uint8_t *)binary.data, binary.size, &program->module));
  if (mode->from_artifact) {
    must(file, wasmtime_module_serialize(program->module, &artifact));
    wasmtime_module_delete(program->module);
    must(file, wasmtime_module_deserialize(program->engine, (const uint8_t *)artifact.data, artifact.size, &program->module));
    wasm_byte_vec_delete(&artifact);
  }
  wasm_byte_vec_delete(&binary);
  free_bytes(&text);
}

static void run(const char *language, const struct mode *mode, const char *file) {
  struct program program = {0};
  struct bytes printed = {NULL, 0};
  add_bytes(&printed, "", 0);
  load_module(&program, mode, file);
  define(&program, "spectest", "print_char", WASM_I32, print_char, &printed);
  define(&program, "env", "write_char", WASM_I32, print_char, &printed);
  define(&program, "env", "write_i32", WASM_I32, print_number, &printed);
  define(&program, "env", "write_i64", WASM_I64, print_number, &printed);
  /* Floats, and what a browser has. */
  must(file, wasmtime_linker_define_unknown_imports_as_traps(program.linker, program.module));

  struct life life;
  const char *argv[] = {"objects", NULL};
  begin(&life, &program, world(argv));
  if (mode->with_fuel) must("fuel", wasmtime_context_set_fuel(life.context, UINT64_C(10000000000)));
  struct ending ending = instantiate(&life, &program);
  if (!ending.failed && !ending.trapped) {
    /* p2w's `_start` has a result: 0. */
    wasmtime_extern_t start = export_of(&life, "_start", WASMTIME_EXTERN_FUNC);
    wasm_functype_t *type = wasmtime_func_type(life.context, &start.of.func);
    uint32_t status = 0;
    bool has_status = wasm_functype_results(type)->size == 1;
    wasm_functype_delete(type);
    ending = call(&life, "_start", NULL, 0, has_status ? &status : NULL);
    CLAIM(status == 0);
  }
  add_bytes(&printed, life.out.data, life.out.length);
  check(language, mode, &printed, &ending);
  if (mode->with_fuel) {
    uint64_t left = 0;
    must("fuel", wasmtime_context_get_fuel(life.context, &left));
    CLAIM(left > 0 && left < UINT64_C(10000000000));
  }
  end(&life);
  unload(&program);
  free_bytes(&printed);
}

int main(int argc, char **argv) {
  take_arguments(argc, argv);
  for (size_t i = 0; i < sizeof MODES / sizeof *MODES; i++) {
    run("Kotlin", &MODES[i], "kotlin.wasm");
    run("MoonBit", &MODES[i], "moonbit.wasm");
    /* Twice as much code as the others', which takes its time to be compiled. */
    if (i == 0 || MODES[i].from_artifact) run("Python", &MODES[i], "p2w.wat");
  }
  return claims_result("objects");
}
