/* What the cases of the driver share: time, a world to run guests in, and what a measurement is.
 *
 * A case is a function that sets something up, hands a loop to `measure` and prints one line of JSON. Each case runs in
 * a process of its own. Anything unexpected ends the process with a message: a wrong answer is not worth timing.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <wasi.h>
#include <wasm.h>
#include <wasmtime.h>

/* From the command line; set before a case starts. */
typedef struct {
  double milliseconds; /* how long one measurement lasts */
  const char *guests;  /* the folder of `.wat` files */
  const char *scratch; /* an empty folder for files that guests read and write, or null */
} options_t;
extern options_t options;

typedef struct {
  const char *name;
  int argument_count;
  void (*run)(char **arguments);
} case_t;

extern const case_t call_cases[], native_cases[], accessor_cases[], trap_cases[], instance_cases[], module_cases[],
    wasi_cases[], kernel_cases[], async_cases[], component_cases[], collected_cases[], start_cases[], snapshot_cases[];

/* --- Time --- */

double now_ns(void);

/* Does the thing `iterations` times. */
typedef void (*loop_t)(void *env, uint64_t iterations);

/* Prints the time of one iteration of `loop`: the least and the median over batches that each last long enough for the
 * clock. The number of iterations in a batch is found by doubling, which also warms everything up. */
void measure(loop_t loop, void *env);

/* The same for a thing that can only be timed one at a time: `step` returns the nanoseconds that one iteration took. */
typedef double (*step_t)(void *env);
void measure_steps(step_t step, void *env);

/* --- Memory --- */

/* What the process has of it now. */
long resident_bytes(void);

/* --- Failing --- */

_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Ends the process with the error's or the trap's message, if there is one. */
void check(wasmtime_error_t *error, wasm_trap_t *trap, const char *what);

/* --- A world --- */

typedef struct {
  wasm_engine_t *engine;
  wasmtime_store_t *store;
  wasmtime_context_t *context;
} world_t;

/* Takes ownership of `config`; null means the default. */
world_t world_new(wasm_config_t *config);

/* Another one in the same engine. */
world_t world_in(wasm_engine_t *engine);

typedef struct {
  uint8_t *data;
  size_t size;
} bytes_t;

bytes_t read_file(const char *path);

/* As `read_file`; a name without a slash is a file of the guests' folder. */
bytes_t read_guest(const char *path);

/* Makes a 4 MiB file named `data` in the scratch folder. */
void make_data_file(void);

/* A module from a path, wasm or text; a name without a slash is a file of the guests' folder. */
wasmtime_module_t *load_module(wasm_engine_t *engine, const char *path);

wasmtime_instance_t instantiate(world_t *world, const wasmtime_module_t *module, const wasmtime_extern_t *imports,
                                size_t import_count);

wasmtime_extern_t find_export(wasmtime_context_t *context, const wasmtime_instance_t *instance, const char *name);

wasmtime_func_t find_func(wasmtime_context_t *context, const wasmtime_instance_t *instance, const char *name);

wasmtime_extern_t extern_of_func(wasmtime_func_t func);

/* A function type of 32-bit integers. The caller owns it. */
wasm_functype_t *functype_of_i32(size_t params, size_t results);

/* A host function () -> () with no environment. */
wasmtime_func_t host_func(wasmtime_context_t *context, wasmtime_func_callback_t callback, void *env);

wasmtime_val_t val_i32(int32_t value);

#endif
