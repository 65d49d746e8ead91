/* Compute kernels: one module under four meterings and by the baseline compiler, side by side, and the same source compiled natively. */
#include <dlfcn.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"

enum { PLAIN, FUEL, EPOCH, BOTH, BASELINE, WAYS, MIN_ROUNDS = 3 };
static const char *const way_names[WAYS] = {"plain", "fuel", "epoch", "both", "baseline"};
/* The number of the strategy that means the baseline compiler; 44.0.0 has none. */
static const wasmtime_strategy_t baseline_strategy = 2;

typedef struct {
  wasmtime_context_t *context;
  wasmtime_func_t run;
} kernel_t;

static kernel_t kernel_new(const char *path, int way) {
  bool fuel = way == FUEL || way == BOTH, epoch = way == EPOCH || way == BOTH;
  wasm_config_t *config = wasm_config_new();
  if (way == BASELINE) wasmtime_config_strategy_set(config, baseline_strategy);
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

/* MODULE N CHECKSUM WAYS: the least time of each way, in turn until the time is up. WAYS is how many of plain, fuel, epoch,
 * both and baseline are run. Every run's checksum must be CHECKSUM. */
static void case_kernel(char **arguments) {
  uint32_t n = (uint32_t)strtoul(arguments[1], NULL, 10);
  uint64_t expected = strtoull(arguments[2], NULL, 16);
  int ways = atoi(arguments[3]);
  if (ways < 1 || ways > WAYS) fail("not a number of ways: %s", arguments[3]);
  kernel_t kernels[WAYS];
  double best[WAYS];
  for (int w = 0; w < ways; w++) {
    kernels[w] = kernel_new(arguments[0], w);
    kernel_run(&kernels[w], n);
    best[w] = 1e30;
  }
  double started = now_ns();
  for (int round = 0; round < MIN_ROUNDS || now_ns() - started < options.milliseconds * 1e6 * ways; round++)
    for (int w = 0; w < ways; w++) {
      double start = now_ns();
      uint64_t checksum = kernel_run(&kernels[w], n);
      double spent = now_ns() - start;
      if (checksum != expected)
        fail("wrong checksum in the way \"%s\": %016" PRIx64 ", natively %016" PRIx64, way_names[w], checksum, expected);
      if (spent < best[w]) best[w] = spent;
    }
  for (int w = 0; w < ways; w++) printf("%s\"%s\": %.0f", w ? ", " : "{", way_names[w], best[w]);
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
