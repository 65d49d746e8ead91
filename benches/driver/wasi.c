/* WASI file calls and bulk memory: loops inside a guest, one call into it per batch. */
#include <stdio.h>

#include "bench.h"

typedef struct {
  wasmtime_context_t *context;
  wasmtime_func_t loop;
  int32_t length;
} guest_loop_t;

static int32_t call_i32(wasmtime_context_t *context, const wasmtime_func_t *func, const wasmtime_val_t *args, size_t count) {
  wasmtime_val_t result;
  wasm_trap_t *trap = NULL;
  check(wasmtime_func_call(context, func, args, count, &result, 1, &trap), trap, "guest call");
  return result.of.i32;
}

static void file_loop(void *env, uint64_t iterations) {
  guest_loop_t *guest = env;
  wasmtime_val_t args[1] = {val_i32((int32_t)iterations)};
  int32_t failure = call_i32(guest->context, &guest->loop, args, 1);
  if (failure) fail("the guest's file call failed: %d", failure - 1);
}

/* The scratch folder is the guest's only preopened directory. */
static void case_wasi(char **arguments) {
  make_data_file();
  world_t world = world_new(NULL);
  wasi_config_t *wasi = wasi_config_new();
  if (!wasi_config_preopen_dir(wasi, options.scratch, ".", WASMTIME_WASI_DIR_PERMS_READ | WASMTIME_WASI_DIR_PERMS_WRITE,
                               WASMTIME_WASI_FILE_PERMS_READ | WASMTIME_WASI_FILE_PERMS_WRITE))
    fail("preopen refused");
  check(wasmtime_context_set_wasi(world.context, wasi), NULL, "set_wasi");
  wasmtime_linker_t *linker = wasmtime_linker_new(world.engine);
  check(wasmtime_linker_define_wasi(linker), NULL, "define_wasi");
  wasmtime_instance_t instance;
  wasm_trap_t *trap = NULL;
  wasmtime_module_t *module = load_module(world.engine, "wasi_files.wat");
  check(wasmtime_linker_instantiate(linker, world.context, module, &instance, &trap), trap, "instantiation");
  wasmtime_func_t prepare = find_func(world.context, &instance, "prepare");
  int32_t failure = call_i32(world.context, &prepare, NULL, 0);
  if (failure) fail("path_open failed: %d", failure - 1);
  guest_loop_t guest = {world.context, find_func(world.context, &instance, arguments[0]), 0};
  measure(file_loop, &guest);
}

static void bulk_loop(void *env, uint64_t iterations) {
  guest_loop_t *guest = env;
  wasmtime_val_t args[2] = {val_i32((int32_t)iterations), val_i32(guest->length)};
  wasm_trap_t *trap = NULL;
  check(wasmtime_func_call(guest->context, &guest->loop, args, 2, NULL, 0, &trap), trap, "guest call");
}

/* EXPORT LENGTH */
static void case_bulk(char **arguments) {
  world_t world = world_new(NULL);
  wasmtime_instance_t instance = instantiate(&world, load_module(world.engine, "bulk.wat"), NULL, 0);
  guest_loop_t guest = {world.context, find_func(world.context, &instance, arguments[0]), 0};
  if (sscanf(arguments[1], "%d", &guest.length) != 1) fail("not a length: %s", arguments[1]);
  measure(bulk_loop, &guest);
}

const case_t wasi_cases[] = {
    {"wasi", 1, case_wasi},
    {"bulk", 2, case_bulk},
    {NULL, 0, NULL},
};
