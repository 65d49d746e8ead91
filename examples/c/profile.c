// Profiles a guest: samples its stack every millisecond, and writes what the Firefox Profiler reads.
//
//     gcc profile.c -o profile -lampoule -lpthread && ./profile && ls guest-profile.json
//
// With an argument the guest runs under a profiler of the system instead: `./profile perfmap`, `jitdump` or `vtune`.

#define _POSIX_C_SOURCE 200809L // for nanosleep and clock_gettime
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <wasmtime.h>

static const char *const guest =
    "(module $sieve (memory 16)"
    "  (func $strike (param $step i32)"
    "    (local $at i32) (local.set $at (i32.add (local.get $step) (local.get $step)))"
    "    (loop $next"
    "      (i32.store8 (local.get $at) (i32.const 1))"
    "      (local.set $at (i32.add (local.get $at) (local.get $step)))"
    "      (br_if $next (i32.lt_u (local.get $at) (i32.const 1000000)))))"
    "  (func $count (result i32)"
    "    (local $at i32) (local $found i32) (local.set $at (i32.const 2))"
    "    (loop $next"
    "      (if (i32.eqz (i32.load8_u (local.get $at)))"
    "        (then (local.set $found (i32.add (local.get $found) (i32.const 1)))"
    "          (if (i32.lt_u (local.get $at) (i32.const 500000)) (then (call $strike (local.get $at))))))"
    "      (local.set $at (i32.add (local.get $at) (i32.const 1)))"
    "      (br_if $next (i32.lt_u (local.get $at) (i32.const 1000000))))"
    "    (memory.fill (i32.const 0) (i32.const 0) (i32.const 1000000))"
    "    (local.get $found))"
    "  (func (export \"run\") (result i32)"
    "    (local $rounds i32) (local.set $rounds (i32.const 20))"
    "    (loop $next"
    "      (drop (call $count))"
    "      (br_if $next (local.tee $rounds (i32.sub (local.get $rounds) (i32.const 1)))))"
    "    (call $count)))";

static void check(wasmtime_error_t *error, wasm_trap_t *trap) {
  wasm_byte_vec_t message;
  if (!error && !trap) return;
  if (error) wasmtime_error_message(error, &message);
  else wasm_trap_message(trap, &message);
  fprintf(stderr, "%.*s\n", (int)message.size, message.data);
  exit(1);
}

// A clock that moves the engine's epoch on, so that the guest is interrupted for a sample each time.
static atomic_bool done;

static void *tick(void *engine) {
  struct timespec millisecond = {0, 1000000};
  while (!done) {
    nanosleep(&millisecond, NULL);
    wasmtime_engine_increment_epoch(engine);
  }
  return NULL;
}

struct profile {
  wasmtime_guestprofiler_t *profiler;
  wasmtime_store_t *store;
  uint64_t last; // processor time at the last sample, in nanoseconds
};

static uint64_t processor_time(void) {
  struct timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return (uint64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static wasmtime_error_t *on_deadline(wasmtime_context_t *context, void *data, uint64_t *delta,
                                     wasmtime_update_deadline_kind_t *kind) {
  struct profile *profile = data;
  uint64_t now = processor_time();
  wasmtime_guestprofiler_sample(profile->profiler, profile->store, now - profile->last);
  profile->last = now;
  *delta = 1; // the next sample at the next tick
  (void)context, (void)kind;
  return NULL;
}

int main(int argc, char **argv) {
  wasm_config_t *config = wasm_config_new();
  bool sample = argc < 2;
  wasmtime_config_epoch_interruption_set(config, sample);
  if (!sample && !strcmp(argv[1], "perfmap"))
    wasmtime_config_profiler_set(config, WASMTIME_PROFILING_STRATEGY_PERFMAP);
  if (!sample && !strcmp(argv[1], "jitdump"))
    wasmtime_config_profiler_set(config, WASMTIME_PROFILING_STRATEGY_JITDUMP);
  if (!sample && !strcmp(argv[1], "vtune"))
    wasmtime_config_profiler_set(config, WASMTIME_PROFILING_STRATEGY_VTUNE);
  wasm_engine_t *engine = wasm_engine_new_with_config(config);
  if (!engine) return 1;

  wasm_byte_vec_t binary;
  wasmtime_module_t *module;
  wasmtime_instance_t instance;
  wasm_trap_t *trap = NULL;
  wasmtime_extern_t run;
  wasmtime_val_t result;
  check(wasmtime_wat2wasm(guest, strlen(guest), &binary), NULL);
  check(wasmtime_module_new(engine, (const uint8_t *)binary.data, binary.size, &module), NULL);
  wasm_byte_vec_delete(&binary);
  wasmtime_store_t *store = wasmtime_store_new(engine, NULL, NULL);
  wasmtime_context_t *context = wasmtime_store_context(store);

  pthread_t clock;
  struct profile profile = {NULL, store, processor_time()};
  if (sample) {
    wasm_name_t title, name;
    wasm_name_new_from_string(&title, "sieve");
    wasm_name_new_from_string(&name, "sieve.wasm");
    wasmtime_guestprofiler_modules_t modules[] = {{&name, module}};
    profile.profiler = wasmtime_guestprofiler_new(engine, &title, 1000000, modules, 1);
    wasm_name_delete(&title);
    wasm_name_delete(&name);
    wasmtime_store_epoch_deadline_callback(store, on_deadline, &profile, NULL);
    wasmtime_context_set_epoch_deadline(context, 1);
    if (pthread_create(&clock, NULL, tick, engine)) return 1;
  }

  check(wasmtime_instance_new(context, module, NULL, 0, &instance, &trap), trap);
  if (!wasmtime_instance_export_get(context, &instance, "run", 3, &run)) return 1;
  check(wasmtime_func_call(context, &run.of.func, NULL, 0, &result, 1, &trap), trap);
  printf("%d primes\n", result.of.i32);

  if (sample) {
    done = true;
    pthread_join(clock, NULL);
    wasm_byte_vec_t json;
    check(wasmtime_guestprofiler_finish(profile.profiler, &json), NULL);
    FILE *file = fopen("guest-profile.json", "wb");
    if (!file || fwrite(json.data, 1, json.size, file) != json.size || fclose(file)) return 1;
    wasm_byte_vec_delete(&json);
  }
  wasmtime_store_delete(store);
  wasmtime_module_delete(module);
  wasm_engine_delete(engine);
  return 0;
}
