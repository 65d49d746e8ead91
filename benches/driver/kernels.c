/* Compute kernels: one module under four meterings, side by side, and the same source compiled natively. */
#include <dlfcn.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"

enum { PLAIN, FUEL, EPOCH, BOTH, METERINGS, MIN_ROUNDS = 3 };
static const char *const metering_names[METERINGS] = {"plain", "fuel", "epoch", "both"};

typedef struct {
  wasmtime_context_t *context;
  wasmtime_func_t run;
} kernel_t;

static kernel_t kernel_new(const char *path, int metering) {
  bool fuel = metering == FUEL || metering == BOTH, epoch = metering == EPOCH || metering == BOTH;
  wasm_config_t *config = wasm_config_new();
  if (fuel) wasmtime_config_consume_fuel_set(config, true);
  if (epoch) wasmtime_config_epoch_interruption_set(config, true);
  world_t world = world_new(config);
  if (fuel) check(wasmtime_context_set_fuel(world.context, (uint64_t)1 << 62), NULL, "set_fuel");
  if (epoch) wasmtime_context_set_epoch_deadline(world.context, (uint64_t)1 << 60);
  wasmtime_instance_t instance = instantiate(&world, load_module(world.engine, path), NULL, 0);
  kernel_t kernel = {world.context, find_func(world.context, &instance, "run")};
  return kernel;
}

static uint64_t kernel_run(kernel_t *kernel, uint32_t n) {
  wasmtime_val_t args[1] = {val_i32((int32_t)n)}, result;
  wasm_trap_t *trap = NULL;
  check(wasmtime_func_call(kernel->context, &kernel->run, args, 1, &result, 1, &trap), trap, "run");
  return (uint64_t)result.of.i64;
}

/* MODULE N CHECKSUM METERINGS: the least time of each metering, in turn until the time is up. METERINGS is how many of
 * plain, fuel, epoch and both are run. Every run's checksum must be CHECKSUM. */
static void case_kernel(char **arguments) {
  uint32_t n = (uint32_t)strtoul(arguments[1], NULL, 10);
  uint64_t expected = strtoull(arguments[2], NULL, 16);
  int meterings = atoi(arguments[3]);
  if (meterings < 1 || meterings > METERINGS) fail("not a number of meterings: %s", arguments[3]);
  kernel_t kernels[METERINGS];
  double best[METERINGS];
  for (int m = 0; m < meterings; m++) {
    kernels[m] = kernel_new(arguments[0], m);
    kernel_run(&kernels[m], n);
    best[m] = 1e30;
  }
  double started = now_ns();
  for (int round = 0; round < MIN_ROUNDS || now_ns() - started < options.milliseconds * 1e6 * meterings; round++)
    for (int m = 0; m < meterings; m++) {
      double start = now_ns();
      uint64_t checksum = kernel_run(&kernels[m], n);
      double spent = now_ns() - start;
      if (checksum != expected)
        fail("wrong checksum under %s metering: %016" PRIx64 ", natively %016" PRIx64, metering_names[m], checksum, expected);
      if (spent < best[m]) best[m] = spent;
    }
  for (int m = 0; m < meterings; m++) printf("%s\"%s\": %.0f", m ? ", " : "{", metering_names[m], best[m]);
  printf("}\n");
}

/* SHARED_OBJECT N */
static void case_native(char **arguments) {
  uint32_t n = (uint32_t)strtoul(arguments[1], NULL, 10);
  void *library = dlopen(arguments[0], RTLD_NOW);
  if (!library) fail("%s", dlerror());
  uint64_t (*run)(uint32_t) = (uint64_t(*)(uint32_t))dlsym(library, "run");
  if (!run) fail("%s has no run", arguments[0]);
  uint64_t checksum = run(n);
  double best = 1e30, started = now_ns();
  for (int round = 0; round < MIN_ROUNDS || now_ns() - started < options.milliseconds * 1e6; round++) {
    double start = now_ns();
    uint64_t again = run(n);
    double spent = now_ns() - start;
    if (again != checksum) fail("%s is not repeatable", arguments[0]);
    if (spent < best) best = spent;
  }
  printf("{\"ns\": %.0f, \"checksum\": \"%016" PRIx64 "\"}\n", best, checksum);
}

const case_t kernel_cases[] = {
    {"kernel", 4, case_kernel},
    {"native", 2, case_native},
    {NULL, 0, NULL},
};
