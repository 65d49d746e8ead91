/* Time, failing, and worlds: see bench.h. */
#include "bench.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* --- Time --- */

enum { MAX_BATCHES = 4096, MIN_BATCHES = 5 };

double now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1e9 + now.tv_nsec;
}

static int compare_doubles(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void print_figures(double *times, int count, uint64_t iterations) {
  qsort(times, count, sizeof *times, compare_doubles);
  printf("{\"ns\": %.3f, \"median_ns\": %.3f, \"batches\": %d, \"iterations\": %llu}\n", times[0], times[count / 2], count,
         (unsigned long long)iterations);
}

void measure(loop_t loop, void *env) {
  double budget = options.milliseconds * 1e6;
  uint64_t iterations = 1;
  loop(env, iterations);
  for (;; iterations *= 2) {
    double start = now_ns();
    loop(env, iterations);
    if (now_ns() - start >= budget / 16) break;
  }
  static double times[MAX_BATCHES];
  int count = 0;
  for (double started = now_ns(); count < MAX_BATCHES && (count < MIN_BATCHES || now_ns() - started < budget); count++) {
    double start = now_ns();
    loop(env, iterations);
    times[count] = (now_ns() - start) / iterations;
  }
  print_figures(times, count, iterations);
}

void measure_steps(step_t step, void *env) {
  double budget = options.milliseconds * 1e6;
  static double times[MAX_BATCHES];
  int count = 0;
  for (double spent = 0; count == 0 || (count < MAX_BATCHES && spent < budget); count++) {
    times[count] = step(env);
    spent += times[count];
  }
  print_figures(times, count, 1);
}

/* --- Memory --- */

long resident_bytes(void) {
  long pages = 0;
  FILE *file = fopen("/proc/self/statm", "r");
  if (!file || fscanf(file, "%*d %ld", &pages) != 1) fail("cannot read /proc/self/statm");
  fclose(file);
  return pages * sysconf(_SC_PAGESIZE);
}

/* --- Failing --- */

void fail(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fputs("driver: ", stderr);
  vfprintf(stderr, format, arguments);
  fputc('\n', stderr);
  va_end(arguments);
  exit(1);
}

void check(wasmtime_error_t *error, wasm_trap_t *trap, const char *what) {
  if (!error && !trap) return;
  wasm_byte_vec_t message;
  if (error)
    wasmtime_error_message(error, &message);
  else
    wasm_trap_message(trap, &message);
  fail("%s: %.*s", what, (int)message.size, message.data);
}

/* --- A world --- */

world_t world_new(wasm_config_t *config) {
  wasm_engine_t *engine = config ? wasm_engine_new_with_config(config) : wasm_engine_new();
  if (!engine) fail("no engine for this configuration");
  return world_in(engine);
}

world_t world_in(wasm_engine_t *engine) {
  world_t world = {.engine = engine};
  world.store = wasmtime_store_new(world.engine, NULL, NULL);
  world.context = wasmtime_store_context(world.store);
  return world;
}

bytes_t read_file(const char *path) {
  FILE *file = fopen(path, "rb");
  if (!file) fail("cannot read %s", path);
  fseek(file, 0, SEEK_END);
  bytes_t bytes = {.size = (size_t)ftell(file)};
  rewind(file);
  bytes.data = malloc(bytes.size + 1);
  if (!bytes.data || fread(bytes.data, 1, bytes.size, file) != bytes.size) fail("cannot read %s", path);
  fclose(file);
  return bytes;
}

bytes_t read_guest(const char *path) {
  if (strchr(path, '/')) return read_file(path);
  char in_guests[4096];
  snprintf(in_guests, sizeof in_guests, "%s/%s", options.guests, path);
  return read_file(in_guests);
}

void make_data_file(void) {
  if (!options.scratch) fail("WASI cases need --scratch");
  char path[4096];
  static char block[4096];
  snprintf(path, sizeof path, "%s/data", options.scratch);
  FILE *file = fopen(path, "wb");
  if (!file) fail("cannot write %s", path);
  memset(block, 'x', sizeof block);
  for (int i = 0; i < 1024; i++)
    if (fwrite(block, 1, sizeof block, file) != sizeof block) fail("cannot write %s", path);
  if (fclose(file)) fail("cannot write %s", path);
}

wasmtime_module_t *load_module(wasm_engine_t *engine, const char *path) {
  bytes_t bytes = read_guest(path);
  wasmtime_module_t *module = NULL;
  if (bytes.size >= 4 && memcmp(bytes.data, "\0asm", 4) == 0) {
    check(wasmtime_module_new(engine, bytes.data, bytes.size, &module), NULL, path);
  } else {
    wasm_byte_vec_t binary;
    check(wasmtime_wat2wasm((const char *)bytes.data, bytes.size, &binary), NULL, path);
    check(wasmtime_module_new(engine, (const uint8_t *)binary.data, binary.size, &module), NULL, path);
    wasm_byte_vec_delete(&binary);
  }
  free(bytes.data);
  return module;
}

wasmtime_instance_t instantiate(world_t *world, const wasmtime_module_t *module, const wasmtime_extern_t *imports,
                                size_t import_count) {
  wasmtime_instance_t instance;
  wasm_trap_t *trap = NULL;
  check(wasmtime_instance_new(world->context, module, imports, import_count, &instance, &trap), trap, "instantiation");
  return instance;
}

wasmtime_extern_t find_export(wasmtime_context_t *context, const wasmtime_instance_t *instance, const char *name) {
  wasmtime_extern_t found;
  if (!wasmtime_instance_export_get(context, instance, name, strlen(name), &found)) fail("no export named %s", name);
  return found;
}

wasmtime_func_t find_func(wasmtime_context_t *context, const wasmtime_instance_t *instance, const char *name) {
  wasmtime_extern_t found = find_export(context, instance, name);
  if (found.kind != WASMTIME_EXTERN_FUNC) fail("%s is not a function", name);
  return found.of.func;
}

wasmtime_extern_t extern_of_func(wasmtime_func_t func) {
  wasmtime_extern_t item = {.kind = WASMTIME_EXTERN_FUNC};
  item.of.func = func;
  return item;
}

static wasm_valtype_vec_t vec_of_i32(size_t count) {
  wasm_valtype_vec_t types;
  wasm_valtype_vec_new_uninitialized(&types, count);
  for (size_t i = 0; i < count; i++) types.data[i] = wasm_valtype_new(WASM_I32);
  return types;
}

wasm_functype_t *functype_of_i32(size_t params, size_t results) {
  wasm_valtype_vec_t from = vec_of_i32(params), to = vec_of_i32(results);
  return wasm_functype_new(&from, &to);
}

wasmtime_func_t host_func(wasmtime_context_t *context, wasmtime_func_callback_t callback, void *env) {
  wasmtime_func_t func;
  wasm_functype_t *type = functype_of_i32(0, 0);
  wasmtime_func_new(context, type, callback, env, NULL, &func);
  wasm_functype_delete(type);
  return func;
}

wasmtime_val_t val_i32(int32_t value) {
  wasmtime_val_t val = {.kind = WASMTIME_I32};
  val.of.i32 = value;
  return val;
}
