/* Guests that go on from a snapshot (`ampoule/snapshot.h`), next to guests that are made anew.
 *
 * Found at run time, so that the driver runs with any library. One that has no snapshots makes instances of the module; what the guest
 * has done before its snapshot was taken is not done again there, and would come on top. */
#include <dlfcn.h>
#include <string.h>

#include "bench.h"

#include <ampoule/snapshot.h>

typedef struct {
  wasm_engine_t *engine;
  wasmtime_module_t *module;
  wasmtime_linker_t *linker;
  const char *touch;
  /* Where there are snapshots. */
  ampoule_snapshot_t *snapshot;
  __typeof__(&ampoule_snapshot_reset) reset;
  __typeof__(&ampoule_snapshot_instantiate) instantiate;
  /* The instance that is reset. */
  wasmtime_store_t *store;
  wasmtime_instance_t instance;
} guest_t;

static void *find(const char *name) {
  bool (*has)(const char *) = (bool (*)(const char *))(uintptr_t)dlsym(RTLD_DEFAULT, "ampoule_has");
  return has && has("snapshot") ? dlsym(RTLD_DEFAULT, name) : NULL;
}

static void call(wasmtime_context_t *context, const wasmtime_instance_t *instance, const char *name) {
  wasmtime_func_t func = find_func(context, instance, name);
  wasm_trap_t *trap = NULL;
  check(wasmtime_func_call(context, &func, NULL, 0, NULL, 0, &trap), trap, name);
}

static void instantiate_new(guest_t *guest) {
  wasm_trap_t *trap = NULL;
  guest->store = wasmtime_store_new(guest->engine, NULL, NULL);
  wasmtime_context_t *context = wasmtime_store_context(guest->store);
  check(wasmtime_instance_new(context, guest->module, NULL, 0, &guest->instance, &trap), trap, "instantiation");
}

static guest_t prepare(const char *touch) {
  guest_t guest = {.engine = wasm_engine_new(), .touch = touch};
  guest.module = load_module(guest.engine, "snapshot.wat");
  guest.linker = wasmtime_linker_new(guest.engine);
  instantiate_new(&guest);
  __typeof__(&ampoule_snapshot_take) take = (__typeof__(take))(uintptr_t)find("ampoule_snapshot_take");
  if (take) {
    guest.reset = (__typeof__(guest.reset))(uintptr_t)find("ampoule_snapshot_reset");
    guest.instantiate = (__typeof__(guest.instantiate))(uintptr_t)find("ampoule_snapshot_instantiate");
    wasmtime_context_t *context = wasmtime_store_context(guest.store);
    call(context, &guest.instance, "begin");
    check(take(context, &guest.instance, 1, NULL, &guest.snapshot), NULL, "snapshot");
  }
  return guest;
}

/* From a guest that has touched pages to one that has not. */
static double step_reset(void *env) {
  guest_t *guest = env;
  wasmtime_context_t *context = wasmtime_store_context(guest->store);
  call(context, &guest->instance, guest->touch);
  double start = now_ns();
  if (guest->reset) {
    check(guest->reset(guest->snapshot, context, &guest->instance, 1, NULL), NULL, "reset");
  } else {
    wasmtime_store_delete(guest->store);
    instantiate_new(guest);
  }
  return now_ns() - start;
}

/* TOUCH */
static void case_reset(char **arguments) {
  guest_t guest = prepare(arguments[0]);
  measure_steps(step_reset, &guest);
}

/* A store, an instance that touches its pages, and the end of both. */
static void thaw_life(void *env, uint64_t iterations) {
  guest_t *guest = env;
  for (uint64_t i = 0; i < iterations; i++) {
    if (guest->instantiate) {
      guest->store = wasmtime_store_new(guest->engine, NULL, NULL);
      wasmtime_context_t *context = wasmtime_store_context(guest->store);
      check(guest->instantiate(guest->snapshot, context, guest->linker, NULL, &guest->instance, 1), NULL, "instantiate");
    } else {
      instantiate_new(guest);
    }
    call(wasmtime_store_context(guest->store), &guest->instance, guest->touch);
    wasmtime_store_delete(guest->store);
  }
}

/* TOUCH */
static void case_thaw(char **arguments) {
  guest_t guest = prepare(arguments[0]);
  wasmtime_store_delete(guest.store);
  measure(thaw_life, &guest);
}

const case_t snapshot_cases[] = {
    {"snapshot_reset", 1, case_reset},
    {"snapshot_thaw", 1, case_thaw},
    {NULL, 0, NULL},
};
