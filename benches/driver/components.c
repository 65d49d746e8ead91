/* Components: calls with values of each kind, and by plans of `ampoule/component.h` without any; instances, file calls of WASI 0.2, and making a
 * large one from bytes. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

#include <ampoule/component.h>

typedef wasmtime_component_val_t val_t;

/* --- A world with components --- */

static wasmtime_component_t *load_component(wasm_engine_t *engine, const char *path) {
  bytes_t bytes = read_guest(path);
  wasmtime_component_t *component = NULL;
  check(wasmtime_component_new(engine, bytes.data, bytes.size, &component), NULL, path);
  free(bytes.data);
  return component;
}

/* A linker with the host function `take`, which looks at its string. */
static wasmtime_error_t *take(void *data, wasmtime_context_t *context, const wasmtime_component_func_type_t *type, val_t *args,
                              size_t nargs, val_t *results, size_t nresults) {
  (void)context, (void)type, (void)results, (void)nresults;
  if (nargs != 1 || args[0].kind != WASMTIME_COMPONENT_STRING || args[0].of.string.size != 32) fail("take was given no string");
  *(uint64_t *)data += 1;
  return NULL;
}

static uint64_t taken;

static wasmtime_component_linker_t *linker_with_host(wasm_engine_t *engine) {
  wasmtime_component_linker_t *linker = wasmtime_component_linker_new(engine);
  wasmtime_component_linker_instance_t *root = wasmtime_component_linker_root(linker);
  check(wasmtime_component_linker_instance_add_func(root, "take", 4, take, &taken, NULL), NULL, "add_func");
  wasmtime_component_linker_instance_delete(root);
  return linker;
}

static wasmtime_component_func_t find_component_func(wasmtime_context_t *context, const wasmtime_component_instance_t *instance,
                                                     const char *name) {
  wasmtime_component_func_t func;
  wasmtime_component_export_index_t *index =
      wasmtime_component_instance_get_export_index(instance, context, NULL, name, strlen(name));
  if (!index || !wasmtime_component_instance_get_func(instance, context, index, &func)) fail("no function named %s", name);
  wasmtime_component_export_index_delete(index);
  return func;
}

typedef struct {
  wasmtime_context_t *context;
  wasmtime_component_func_t func;
  val_t arg;
} call_t;

/* The result is the caller's. It is written in place: copying a value right after it was written costs more than many a call. */
static void call(const call_t *call, const val_t *args, size_t count, val_t *result) {
  result->kind = WASMTIME_COMPONENT_BOOL;
  check(wasmtime_component_func_call(&call->func, call->context, args, count, result, 1), NULL, "call");
  check(wasmtime_component_func_post_return(&call->func, call->context), NULL, "post_return");
}

static val_t val_u32(uint32_t value) {
  val_t val = {.kind = WASMTIME_COMPONENT_U32};
  val.of.u32 = value;
  return val;
}

/* --- Calls from the host --- */

static void add_loop(void *env, uint64_t iterations) {
  val_t args[2] = {val_u32(0), val_u32(3)}, result;
  for (uint64_t i = 0; i < iterations; i++) {
    args[0].of.u32 = (uint32_t)i;
    call(env, args, 2, &result);
    if (result.of.u32 != (uint32_t)i + 3) fail("add went wrong");
  }
}

enum { ELEMENTS = 4096 };

static bool is_same(const val_t *a, const val_t *b) {
  if (a->kind != b->kind) return false;
  switch (a->kind) {
    case WASMTIME_COMPONENT_STRING: return a->of.string.size == b->of.string.size;
    case WASMTIME_COMPONENT_RECORD: return a->of.record.size == b->of.record.size;
    default: return a->of.list.size == b->of.list.size && is_same(&a->of.list.data[ELEMENTS - 1], &b->of.list.data[ELEMENTS - 1]);
    case WASMTIME_COMPONENT_U8: return a->of.u8 == b->of.u8;
    case WASMTIME_COMPONENT_U32: return a->of.u32 == b->of.u32;
  }
}

/* The argument comes back, and is deleted. */
static void same_loop(void *env, uint64_t iterations) {
  call_t *it = env;
  val_t result;
  for (uint64_t i = 0; i < iterations; i++) {
    call(it, &it->arg, 1, &result);
    if (!is_same(&result, &it->arg)) fail("another value came back");
    wasmtime_component_val_delete(&result);
  }
}

static val_t point(uint32_t id) {
  static const char *const names[4] = {"id", "tag", "x", "y"};
  val_t val = {.kind = WASMTIME_COMPONENT_RECORD};
  wasmtime_component_valrecord_new_uninit(&val.of.record, 4);
  for (int i = 0; i < 4; i++) {
    wasmtime_component_valrecord_entry_t *field = &val.of.record.data[i];
    wasm_name_new(&field->name, strlen(names[i]), names[i]);
    field->val.kind = i == 0 ? WASMTIME_COMPONENT_U32 : i == 1 ? WASMTIME_COMPONENT_U64 : WASMTIME_COMPONENT_F64;
    if (i == 0)
      field->val.of.u32 = id;
    else if (i == 1)
      field->val.of.u64 = id;
    else
      field->val.of.f64 = i;
  }
  return val;
}

static val_t list_of(val_t (*element)(uint32_t index)) {
  val_t val = {.kind = WASMTIME_COMPONENT_LIST};
  wasmtime_component_vallist_new_uninit(&val.of.list, ELEMENTS);
  for (uint32_t i = 0; i < ELEMENTS; i++) val.of.list.data[i] = element(i);
  return val;
}

static val_t val_u8(uint32_t value) {
  val_t val = {.kind = WASMTIME_COMPONENT_U8};
  val.of.u8 = (uint8_t)value;
  return val;
}

static val_t argument_for(const char *name) {
  val_t val = {.kind = WASMTIME_COMPONENT_BOOL};
  if (strcmp(name, "string") == 0) {
    val.kind = WASMTIME_COMPONENT_STRING;
    wasm_name_new(&val.of.string, 32, "thirty-two bytes, which is ASCII");
  }
  if (strcmp(name, "record") == 0) val = point(1);
  if (strcmp(name, "bytes") == 0) val = list_of(val_u8);
  if (strcmp(name, "words") == 0) val = list_of(val_u32);
  if (strcmp(name, "records") == 0) val = list_of(point);
  return val;
}

static call_t prepare(const char *name) {
  world_t world = world_new(NULL);
  wasmtime_component_instance_t instance;
  check(wasmtime_component_linker_instantiate(linker_with_host(world.engine), world.context,
                                              load_component(world.engine, "components.wat"), &instance),
        NULL, "instantiation");
  call_t call = {world.context, find_component_func(world.context, &instance, name), argument_for(name)};
  return call;
}

static void case_add(char **arguments) {
  (void)arguments;
  call_t call = prepare("add");
  measure(add_loop, &call);
}

/* string|record|bytes|words|records */
static void case_same(char **arguments) {
  call_t call = prepare(arguments[0]);
  measure(same_loop, &call);
}

/* --- The same by a plan, which knows no values --- */

typedef struct {
  uint32_t id;
  uint64_t tag;
  double x, y;
} point_t;

typedef struct {
  void *data;
  size_t len;
} slice_t;

typedef struct {
  wasmtime_context_t *context;
  ampoule_component_plan_t *plan;
  __typeof__(&ampoule_component_plan_call) call;
  const void *args[1];
  size_t size;
} planned_t;

static void plan_loop(void *env, uint64_t iterations) {
  planned_t *it = env;
  union {
    point_t point;
    slice_t slice;
  } result;
  for (uint64_t i = 0; i < iterations; i++) {
    check(it->call(it->plan, it->context, it->args, &result), NULL, "plan call");
    if (memcmp((const char *)&result + sizeof(void *), (const char *)it->args[0] + sizeof(void *), sizeof(size_t)))
      fail("another value came back");
  }
}

static void *find(const char *name) {
  bool (*has)(const char *) = (bool (*)(const char *))(uintptr_t)dlsym(RTLD_DEFAULT, "ampoule_has");
  return has && has("component") ? dlsym(RTLD_DEFAULT, name) : NULL;
}

/* string|record|bytes. A library without plans is measured at what it has instead: values. */
static void case_plan(char **arguments) {
  __typeof__(&ampoule_component_plan_new) make = (__typeof__(make))(uintptr_t)find("ampoule_component_plan_new");
  call_t call = prepare(arguments[0]);
  if (!make) {
    measure(same_loop, &call);
    return;
  }
  static point_t point = {1, 2, 3, 4};
  static char bytes[ELEMENTS];
  static slice_t slice = {bytes, ELEMENTS};
  bool is_record = strcmp(arguments[0], "record") == 0;
  if (strcmp(arguments[0], "string") == 0) slice = (slice_t){"thirty-two bytes, which is ASCII", 32};
  size_t size = is_record ? sizeof point : sizeof slice;
  planned_t planned = {.context = call.context, .size = size};
  planned.args[0] = is_record ? (void *)&point : (void *)&slice;
  planned.call = (__typeof__(planned.call))(uintptr_t)find("ampoule_component_plan_call");
  check(make(call.context, &call.func, &size, 1, size, &planned.plan), NULL, "plan");
  measure(plan_loop, &planned);
}

/* --- Calls from a component: a loop in the guest --- */

static uint32_t call_u32(const call_t *it, const val_t *args, size_t count) {
  val_t result;
  call(it, args, count, &result);
  if (result.kind != WASMTIME_COMPONENT_U32) fail("the result is no u32");
  return result.of.u32;
}

static void guest_loop(void *env, uint64_t iterations) {
  val_t count = val_u32((uint32_t)iterations);
  uint64_t before = taken;
  uint32_t answer = call_u32(env, &count, 1);
  bool by_component = taken == before && answer == (uint32_t)iterations * 3;
  if (!by_component && (taken - before != iterations || answer != 0)) fail("the guest's calls went wrong: %u", answer);
}

/* call-host|call-component */
static void case_from_component(char **arguments) {
  call_t call = prepare(arguments[0]);
  measure(guest_loop, &call);
}

/* --- Asynchronous calls, which 44.0.0 has none of: the case is left out with a peer that lacks these --- */

#pragma weak wasmtime_component_func_call_async
#pragma weak wasmtime_component_linker_instantiate_async
#pragma weak wasmtime_config_wasm_component_model_async_set

/* A future is polled once, and done. */
static void finish(wasmtime_call_future_t *future, wasmtime_error_t **error, const char *what) {
  bool done = wasmtime_call_future_poll(future);
  wasmtime_call_future_delete(future);
  check(*error, NULL, what);
  if (!done) fail("%s waits", what);
}

typedef struct {
  wasmtime_context_t *context;
  /* Functions of later versions take more than those of 44.0.0: they stay where they were written. */
  union {
    wasmtime_component_func_t func;
    char room[64];
  };
} async_call_t;

static void async_add_loop(void *env, uint64_t iterations) {
  async_call_t *it = env;
  val_t args[2] = {val_u32(0), val_u32(3)}, result;
  for (uint64_t i = 0; i < iterations; i++) {
    wasmtime_error_t *error = NULL;
    args[0].of.u32 = (uint32_t)i;
    result.kind = WASMTIME_COMPONENT_BOOL;
    finish(wasmtime_component_func_call_async(&it->func, it->context, args, 2, &result, 1, &error), &error, "call");
    if (result.of.u32 != (uint32_t)i + 3) fail("add went wrong");
  }
}

static void case_async_add(char **arguments) {
  (void)arguments;
  wasm_config_t *config = wasm_config_new();
  wasmtime_config_wasm_component_model_async_set(config, true);
  world_t world = world_new(config);
  wasmtime_component_instance_t instance;
  wasmtime_error_t *error = NULL;
  wasmtime_component_linker_t *linker = wasmtime_component_linker_new(world.engine);
  wasmtime_component_t *component = load_component(world.engine, "component_async.wat");
  finish(wasmtime_component_linker_instantiate_async(linker, world.context, component, &instance, &error), &error,
         "instantiation");
  async_call_t call = {.context = world.context};
  wasmtime_component_export_index_t *index =
      wasmtime_component_instance_get_export_index(&instance, world.context, NULL, "add", 3);
  if (!index || !wasmtime_component_instance_get_func(&instance, world.context, index, &call.func)) fail("no function named add");
  measure(async_add_loop, &call);
}

/* --- Instances --- */

typedef struct {
  wasm_engine_t *engine;
  wasmtime_component_linker_t *linker;
  wasmtime_component_t *component;
} life_t;

static void instance_life(void *env, uint64_t iterations) {
  life_t *life = env;
  for (uint64_t i = 0; i < iterations; i++) {
    wasmtime_store_t *store = wasmtime_store_new(life->engine, NULL, NULL);
    wasmtime_component_instance_t instance;
    check(wasmtime_component_linker_instantiate(life->linker, wasmtime_store_context(store), life->component, &instance), NULL,
          "instantiation");
    wasmtime_store_delete(store);
  }
}

static void case_component_instance(char **arguments) {
  life_t life = {.engine = wasm_engine_new()};
  life.linker = wasmtime_component_linker_new(life.engine);
  check(wasmtime_component_linker_add_wasip2(life.linker), NULL, "add_wasip2");
  life.component = load_component(life.engine, arguments[0]);
  measure(instance_life, &life);
}

/* --- WASI 0.2 --- */

static void file_loop(void *env, uint64_t iterations) {
  val_t count = val_u32((uint32_t)iterations);
  uint32_t failure = call_u32(env, &count, 1);
  if (failure) fail("the guest's file call failed: %u", failure - 1);
}

static void case_component_file(char **arguments) {
  make_data_file();
  world_t world = world_new(NULL);
  wasi_config_t *wasi = wasi_config_new();
  if (!wasi_config_preopen_dir(wasi, options.scratch, "/", WASMTIME_WASI_DIR_PERMS_READ | WASMTIME_WASI_DIR_PERMS_WRITE,
                               WASMTIME_WASI_FILE_PERMS_READ | WASMTIME_WASI_FILE_PERMS_WRITE))
    fail("preopen refused");
  check(wasmtime_context_set_wasi(world.context, wasi), NULL, "set_wasi");
  wasmtime_component_linker_t *linker = wasmtime_component_linker_new(world.engine);
  check(wasmtime_component_linker_add_wasip2(linker), NULL, "add_wasip2");
  wasmtime_component_instance_t instance;
  check(wasmtime_component_linker_instantiate(linker, world.context, load_component(world.engine, "component_files.wat"),
                                              &instance),
        NULL, "instantiation");
  call_t open = {world.context, find_component_func(world.context, &instance, "prepare"), {0}};
  uint32_t failure = call_u32(&open, NULL, 0);
  if (failure) fail("open-at failed: %u", failure - 1);
  call_t loop = {world.context, find_component_func(world.context, &instance, arguments[0]), {0}};
  measure(file_loop, &loop);
}

/* --- Components from bytes --- */

typedef struct {
  wasm_engine_t *engine;
  bytes_t bytes;
} large_t;

static double step_new(void *env) {
  large_t *large = env;
  wasmtime_component_t *component = NULL;
  double start = now_ns();
  check(wasmtime_component_new(large->engine, large->bytes.data, large->bytes.size, &component), NULL, "component_new");
  double spent = now_ns() - start;
  wasmtime_component_delete(component);
  return spent;
}

static void case_component_new(char **arguments) {
  large_t large = {wasm_engine_new(), read_file(arguments[0])};
  measure_steps(step_new, &large);
}

/* What a component has of memory, beside the bytes that it was made of. */
static void case_component_new_bytes(char **arguments) {
  wasm_engine_t *engine = wasm_engine_new();
  bytes_t bytes = read_file(arguments[0]);
  long before = resident_bytes();
  wasmtime_component_t *component = NULL;
  check(wasmtime_component_new(engine, bytes.data, bytes.size, &component), NULL, "component_new");
  printf("{\"bytes\": %ld}\n", resident_bytes() - before);
}

const case_t component_cases[] = {
    {"component_add", 0, case_add},
    {"component_same", 1, case_same},
    {"component_plan", 1, case_plan},
    {"component_calls", 1, case_from_component},
    {"component_async_add", 0, case_async_add},
    {"component_new", 1, case_component_new},
    {"component_new_bytes", 1, case_component_new_bytes},
    {"component_instance", 1, case_component_instance},
    {"component_file", 1, case_component_file},
    {NULL, 0, NULL},
};
