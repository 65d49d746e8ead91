/* What a cold start costs: programs from the start of their process to their first result, compilers against each other, code that is compiled
 * while it runs against code that is compiled ahead. And the same programs again and again, in code that was compiled ahead. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"

/* --- Programs, timed from outside: each prints `1` when its first result is there --- */

typedef struct {
  world_t world;
  wasmtime_instance_t instance;
} program_t;

/* Of the program that runs again and again: made once. */
static wasm_engine_t *kept_engine;
static wasmtime_module_t *kept_module;

static wasmtime_module_t *module_of(wasm_engine_t *engine, const char *path) {
  bytes_t bytes = read_file(path);
  wasmtime_module_t *module = NULL;
  check(wasmtime_module_new(engine, bytes.data, bytes.size, &module), NULL, "module_new");
  free(bytes.data);
  return module;
}

/* `folder`, where there is one, is the guest's /files. */
static program_t program_new(const char *path, size_t argc, const char **argv, const char *folder) {
  program_t program = {.world = kept_engine ? world_in(kept_engine) : world_new(NULL)};
  wasmtime_module_t *module = kept_module ? kept_module : module_of(program.world.engine, path);
  wasi_config_t *wasi = wasi_config_new();
  if (!wasi_config_set_argv(wasi, argc, argv)) fail("arguments refused");
  wasi_config_inherit_stdin(wasi);
  wasi_config_inherit_stdout(wasi);
  wasi_config_inherit_stderr(wasi);
  if (folder && !wasi_config_preopen_dir(wasi, folder, "/files",
                                         WASMTIME_WASI_DIR_PERMS_READ | WASMTIME_WASI_DIR_PERMS_WRITE,
                                         WASMTIME_WASI_FILE_PERMS_READ | WASMTIME_WASI_FILE_PERMS_WRITE))
    fail("no such folder: %s", folder);
  check(wasmtime_context_set_wasi(program.world.context, wasi), NULL, "set_wasi");
  wasmtime_linker_t *linker = wasmtime_linker_new(program.world.engine);
  check(wasmtime_linker_define_wasi(linker), NULL, "define_wasi");
  wasm_trap_t *trap = NULL;
  wasmtime_error_t *error = wasmtime_linker_instantiate(linker, program.world.context, module, &program.instance, &trap);
  check(error, trap, "instantiation");
  wasmtime_linker_delete(linker);
  return program;
}

/* Where it is to run again, nothing of it stays. Otherwise that is left to the operating system. */
static void program_end(program_t *program) {
  if (kept_engine) wasmtime_store_delete(program->world.store);
}

static int32_t program_call(program_t *program, const char *name, size_t count, const int32_t *arguments, size_t results) {
  wasmtime_func_t func = find_func(program->world.context, &program->instance, name);
  wasmtime_val_t values[4], result = val_i32(0);
  for (size_t i = 0; i < count; i++) values[i] = val_i32(arguments[i]);
  wasm_trap_t *trap = NULL;
  check(wasmtime_func_call(program->world.context, &func, values, count, &result, results, &trap), trap, name);
  return result.of.i32;
}

static uint8_t *program_memory(program_t *program) {
  wasmtime_extern_t memory = find_export(program->world.context, &program->instance, "memory");
  return wasmtime_memory_data(program->world.context, &memory.of.memory);
}

/* A copy in memory that the guest's `malloc` gives. */
static int32_t program_bytes(program_t *program, const void *bytes, size_t size) {
  int32_t address = program_call(program, "malloc", 1, (int32_t[]){(int32_t)size}, 1);
  if (address == 0) fail("the guest is out of memory");
  memcpy(program_memory(program) + (uint32_t)address, bytes, size);
  return address;
}

/* MODULE: a command's `_start` to its end, which must be a success. */
static void program_start(program_t *program) {
  wasmtime_func_t start = find_func(program->world.context, &program->instance, "_start");
  wasm_trap_t *trap = NULL;
  wasmtime_error_t *error = wasmtime_func_call(program->world.context, &start, NULL, 0, NULL, 0, &trap);
  int status = 0;
  if (error && wasmtime_error_exit_status(error, &status)) {
    if (status != 0) fail("the program exited with %d", status);
    return;
  }
  check(error, trap, "_start");
}

/* MODULE CODE: CPython does what `python -c CODE` does. */
static void case_python(char **arguments) {
  program_t python = program_new(arguments[0], 3, (const char *[]){"python", "-c", arguments[1]}, NULL);
  program_start(&python);
  program_end(&python);
}

/* MODULE CODE: QuickJS does what `qjs -e CODE` does. */
static void case_quickjs(char **arguments) {
  program_t quickjs = program_new(arguments[0], 1, (const char *[]){"qjs"}, NULL);
  program_call(&quickjs, "_initialize", 0, NULL, 0);
  int32_t words[] = {program_bytes(&quickjs, "qjs", 4), program_bytes(&quickjs, "-e", 3),
                     program_bytes(&quickjs, arguments[1], strlen(arguments[1]) + 1)};
  int32_t argv = program_bytes(&quickjs, words, sizeof words);
  if (program_call(&quickjs, "qjs_init_argv", 2, (int32_t[]){3, argv}, 1) != 0) fail("the script failed");
  program_end(&quickjs);
}

/* MODULE DOT: Graphviz lays out the graph in a file. */
static void case_graphviz(char **arguments) {
  program_t graphviz = program_new(arguments[0], 1, (const char *[]){"graphviz"}, NULL);
  bytes_t dot = read_file(arguments[1]);
  char *text = strndup((const char *)dot.data, dot.size);
  int32_t words[] = {program_bytes(&graphviz, text, dot.size + 1), program_bytes(&graphviz, "svg", 4),
                     program_bytes(&graphviz, "dot", 4), program_bytes(&graphviz, &(int32_t){0}, 4)};
  uint32_t svg = (uint32_t)program_call(&graphviz, "graphviz_render", 4, words, 1), size;
  if (svg == 0) fail("nothing was rendered");
  memcpy(&size, program_memory(&graphviz) + (uint32_t)words[3], 4);
  if (!memmem(program_memory(&graphviz) + svg, size, "</svg>", 6)) fail("no drawing came out");
  printf("1\n");
  program_end(&graphviz);
}

/* MODULE SVG: resvg renders a drawing. */
static void case_resvg(char **arguments) {
  if (!options.scratch) fail("resvg needs --scratch");
  char in[4096], out[4096];
  snprintf(in, sizeof in, "%s/in.svg", options.scratch);
  snprintf(out, sizeof out, "%s/out.png", options.scratch);
  bytes_t svg = read_file(arguments[1]);
  FILE *file = fopen(in, "wb");
  if (!file || fwrite(svg.data, 1, svg.size, file) != svg.size || fclose(file)) fail("cannot write %s", in);
  remove(out);
  program_t resvg = program_new(arguments[0], 3, (const char *[]){"resvg", "/files/in.svg", "/files/out.png"}, options.scratch);
  program_start(&resvg);
  if (read_file(out).size < 100) fail("no picture came out");
  printf("1\n");
  program_end(&resvg);
}

/* --- The same programs in code that was compiled ahead --- */

static const struct {
  const char *name;
  void (*run)(char **arguments);
} programs[] = {{"python", case_python}, {"quickjs", case_quickjs}, {"graphviz", case_graphviz}, {"resvg", case_resvg}};

/* PROGRAM MODULE ARGUMENT: the least time from a store to the program's end. What it prints is thrown away. */
static void case_again(char **arguments) {
  void (*run_program)(char **arguments) = NULL;
  for (size_t i = 0; i < sizeof programs / sizeof *programs; i++)
    if (strcmp(programs[i].name, arguments[0]) == 0) run_program = programs[i].run;
  if (!run_program) fail("unknown program: %s", arguments[0]);
  wasm_config_t *config = wasm_config_new();
  wasmtime_config_strategy_set(config, WASMTIME_STRATEGY_CRANELIFT);
  kept_engine = wasm_engine_new_with_config(config);
  kept_module = module_of(kept_engine, arguments[1]);
  fflush(stdout);
  int out = dup(STDOUT_FILENO), nowhere = open("/dev/null", O_WRONLY);
  dup2(nowhere, STDOUT_FILENO);
  double best = 1e30, started = now_ns();
  for (int round = 0; round < 3 || now_ns() - started < options.milliseconds * 1e6 * 8; round++) {
    double start = now_ns();
    run_program(arguments + 1);
    double spent = now_ns() - start;
    if (spent < best) best = spent;
  }
  fflush(stdout);
  dup2(out, STDOUT_FILENO);
  printf("{\"ns\": %.0f}\n", best);
}

/* --- Timed inside --- */

static uint64_t run(wasmtime_context_t *context, const wasmtime_instance_t *instance, uint32_t n) {
  wasmtime_func_t func = find_func(context, instance, "run");
  wasmtime_val_t argument = val_i32((int32_t)n), result;
  wasm_trap_t *trap = NULL;
  check(wasmtime_func_call(context, &func, &argument, 1, &result, 1, &trap), trap, "run");
  return (uint64_t)result.of.i64;
}

/* MODULE N CHECKSUM: a kernel once, from its bytes to its result, in an engine that has compiled nothing yet. */
static void case_cold(char **arguments) {
  bytes_t bytes = read_file(arguments[0]);
  world_t world = world_new(NULL);
  double start = now_ns();
  wasmtime_module_t *module = NULL;
  check(wasmtime_module_new(world.engine, bytes.data, bytes.size, &module), NULL, "module_new");
  wasmtime_instance_t instance = instantiate(&world, module, NULL, 0);
  uint64_t checksum = run(world.context, &instance, (uint32_t)strtoul(arguments[1], NULL, 10));
  double spent = now_ns() - start;
  if (checksum != strtoull(arguments[2], NULL, 16)) fail("wrong checksum: %016" PRIx64, checksum);
  printf("{\"ns\": %.0f}\n", spent);
}

static double loop_once(wasmtime_strategy_t strategy, uint32_t n) {
  wasm_config_t *config = wasm_config_new();
  wasmtime_config_strategy_set(config, strategy);
  world_t world = world_new(config);
  wasmtime_instance_t instance = instantiate(&world, load_module(world.engine, "loop.wat"), NULL, 0);
  double start = now_ns();
  run(world.context, &instance, n);
  return now_ns() - start;
}

/* N: one call of a loop of N turns by the default strategy, over the same by code that is compiled ahead. Never warm. */
static void case_loop_over(char **arguments) {
  uint32_t n = (uint32_t)strtoul(arguments[0], NULL, 10);
  double cold = 1e30, ahead = 1e30;
  for (int round = 0; round < 3; round++) {
    double spent = loop_once(WASMTIME_STRATEGY_AUTO, n);
    if (spent < cold) cold = spent;
    spent = loop_once(WASMTIME_STRATEGY_CRANELIFT, n);
    if (spent < ahead) ahead = spent;
  }
  printf("{\"over\": %.4f, \"ns\": %.0f}\n", cold / ahead, cold);
}

/* How long a module's code section is. */
static size_t code_bytes(bytes_t bytes) {
  for (size_t at = 8; at < bytes.size;) {
    uint8_t section = bytes.data[at++];
    size_t size = 0;
    for (int shift = 0; at < bytes.size; shift += 7) {
      uint8_t byte = bytes.data[at++];
      size |= (size_t)(byte & 127) << shift;
      if (byte < 128) break;
    }
    if (section == 10) return size;
    at += size;
  }
  fail("the module has no code");
}

/* MODULE STRATEGY: the least time that module_new takes with that strategy's number, on one core. */
static void case_compile(char **arguments) {
  bytes_t bytes = read_file(arguments[0]);
  double best = 1e30, started = now_ns();
  for (int round = 0; round < 2 || (round < 10 && now_ns() - started < 1e9); round++) {
    wasm_config_t *config = wasm_config_new();
    wasmtime_config_strategy_set(config, (wasmtime_strategy_t)atoi(arguments[1]));
    wasmtime_config_parallel_compilation_set(config, false);
    wasm_engine_t *engine = wasm_engine_new_with_config(config);
    wasmtime_module_t *module = NULL;
    double start = now_ns();
    check(wasmtime_module_new(engine, bytes.data, bytes.size, &module), NULL, "module_new");
    double spent = now_ns() - start;
    if (spent < best) best = spent;
    wasmtime_module_delete(module);
    wasm_engine_delete(engine);
  }
  printf("{\"ns\": %.0f, \"code_bytes\": %zu}\n", best, code_bytes(bytes));
}

const case_t start_cases[] = {
    {"python", 2, case_python}, {"quickjs", 2, case_quickjs},     {"graphviz", 2, case_graphviz}, {"resvg", 2, case_resvg},
    {"again", 3, case_again},   {"cold", 3, case_cold},           {"loop_over", 1, case_loop_over}, {"compile", 2, case_compile},
    {NULL, 0, NULL},
};
