// wasmtime/memory.h: linear memories and their types.
#include "test.h"

static wasm_memorytype_t *type_of(uint64_t min, bool bounded, uint64_t max, bool is_64, uint8_t page_size_log2) {
  wasm_memorytype_t *type = NULL;
  expect_ok(wasmtime_memorytype_new(min, bounded, max, is_64, false, page_size_log2, &type));
  return type;
}

static wasmtime_memory_t new_memory(uint64_t min, bool bounded, uint64_t max, bool is_64) {
  wasm_memorytype_t *type = type_of(min, bounded, max, is_64, 16);
  wasmtime_memory_t memory;
  expect_ok(wasmtime_memory_new(ctx, type, &memory));
  wasm_memorytype_delete(type);
  return memory;
}

static void a_type_tells_what_it_was_made_of(void) {
  uint64_t max = 99;
  wasm_memorytype_t *type = type_of(1, true, 3, false, 16);
  expect(wasmtime_memorytype_minimum(type) == 1);
  expect(wasmtime_memorytype_maximum(type, &max) && max == 3);
  expect(!wasmtime_memorytype_is64(type) && !wasmtime_memorytype_isshared(type));
  expect(wasmtime_memorytype_page_size(type) == 65536 && wasmtime_memorytype_page_size_log2(type) == 16);
  wasm_memorytype_delete(type);

  type = type_of(UINT64_C(1) << 33, false, 0, true, 16);
  max = 99;
  expect(wasmtime_memorytype_minimum(type) == UINT64_C(1) << 33);
  expect(!wasmtime_memorytype_maximum(type, &max) && max == 99);
  expect(wasmtime_memorytype_is64(type));
  wasm_memorytype_delete(type);

  type = type_of(5, true, 100, false, 0);
  expect(wasmtime_memorytype_page_size(type) == 1 && wasmtime_memorytype_page_size_log2(type) == 0);
  wasm_memorytype_delete(type);

  expect_ok(wasmtime_memorytype_new(1, true, 2, false, true, 16, &type));
  expect(wasmtime_memorytype_isshared(type));
  wasm_memorytype_delete(type);
}

static void a_type_that_makes_no_sense_is_an_error(void) {
  wasm_memorytype_t *type = NULL;
  expect_error(wasmtime_memorytype_new(0, false, 0, false, false, 15, &type)); // pages have 1 or 65536 bytes
  expect_error(wasmtime_memorytype_new(65537, false, 0, false, false, 16, &type)); // more than 4 GiB
  expect_error(wasmtime_memorytype_new(1, false, 0, false, true, 16, &type)); // shared without a maximum
  expect_error_says(wasmtime_memorytype_new(5, true, 2, false, false, 16, &type), "cannot be smaller");
  expect_error_says(wasmtime_memorytype_new(5, true, 65537, false, false, 16, &type), "too large");
  expect_error_says(wasmtime_memorytype_new((UINT64_C(1) << 48) + 1, false, 0, true, false, 16, &type), "size");
  expect(type == NULL);
}

static void a_memory_begins_zeroed(void) {
  wasmtime_memory_t memory = new_memory(2, false, 0, false);
  expect(wasmtime_memory_size(ctx, &memory) == 2);
  expect(wasmtime_memory_data_size(ctx, &memory) == 2 * 65536);
  const uint8_t *data = wasmtime_memory_data(ctx, &memory);
  bool zero = true;
  for (size_t i = 0; i < 2 * 65536; i++) zero = zero && data[i] == 0;
  expect(zero);
}

static void grow_reports_the_old_size_in_pages(void) {
  wasmtime_memory_t memory = new_memory(1, true, 3, false);
  uint64_t previous = 99;
  expect_ok(wasmtime_memory_grow(ctx, &memory, 2, &previous));
  expect(previous == 1);
  expect(wasmtime_memory_size(ctx, &memory) == 3);
  expect(wasmtime_memory_data_size(ctx, &memory) == 3 * 65536);
  expect_error_says(wasmtime_memory_grow(ctx, &memory, 1, &previous), "failed to grow memory by `1`");
  expect(previous == 1); // untouched on failure
  expect_error(wasmtime_memory_grow(ctx, &memory, UINT64_MAX, &previous));
  expect_ok(wasmtime_memory_grow(ctx, &memory, 0, &previous));
  expect(previous == 3);
}

static void growing_keeps_the_contents_and_adds_zeros(void) {
  wasmtime_memory_t memory = new_memory(1, false, 0, false);
  uint64_t previous;
  memset(wasmtime_memory_data(ctx, &memory), 0x5a, 65536);
  for (int pages = 1; pages < 40; pages++) expect_ok(wasmtime_memory_grow(ctx, &memory, 1, &previous));
  const uint8_t *data = wasmtime_memory_data(ctx, &memory);
  expect(data[0] == 0x5a && data[65535] == 0x5a && data[65536] == 0 && data[40 * 65536 - 1] == 0);
}

static void the_type_is_told(void) {
  uint64_t max = 0;
  wasmtime_memory_t memory = new_memory(1, true, 3, true);
  wasm_memorytype_t *type = wasmtime_memory_type(ctx, &memory);
  expect(wasmtime_memorytype_is64(type));
  expect(wasmtime_memorytype_minimum(type) == 1 && wasmtime_memorytype_maximum(type, &max) && max == 3);
  wasm_memorytype_delete(type);
  /* It is the type that the memory was made with, whatever its size is now. */
  uint64_t previous;
  expect_ok(wasmtime_memory_grow(ctx, &memory, 1, &previous));
  type = wasmtime_memory_type(ctx, &memory);
  expect(wasmtime_memorytype_minimum(type) == 1 && wasmtime_memory_size(ctx, &memory) == 2);
  wasm_memorytype_delete(type);
  expect(wasmtime_memory_page_size(ctx, &memory) == 65536 && wasmtime_memory_page_size_log2(ctx, &memory) == 16);
}

static const char *const LOAD_STORE = "(module (memory (export \"m\") %s) "
                                      "  (func (export \"size\") (result %s) memory.size)"
                                      "  (func (export \"grow\") (param %s) (result %s) (memory.grow (local.get 0)))"
                                      "  (func (export \"load\") (param %s) (result i32) (i32.load8_u (local.get 0)))"
                                      "  (func (export \"store\") (param %s i32) (i32.store8 (local.get 0) (local.get 1))))";

static void host_and_guest_see_the_same_bytes(void) {
  char wat[1024];
  snprintf(wat, sizeof wat, LOAD_STORE, "1 2", "i32", "i32", "i32", "i32", "i32");
  wasmtime_instance_t instance = instance_of(wat);
  wasmtime_memory_t memory = export_of(&instance, "m").of.memory;
  wasmtime_func_t load = func_of(&instance, "load"), grow = func_of(&instance, "grow"), size = func_of(&instance, "size"),
                  put = func_of(&instance, "store");
  wasmtime_memory_data(ctx, &memory)[65535] = 200;
  expect(call1(&load, 65535) == 200);
  wasmtime_val_t args[2] = {i32_val(7), i32_val(300)};
  wasm_trap_t *trap = NULL;
  expect_ok(wasmtime_func_call(ctx, &put, args, 2, NULL, 0, &trap));
  expect(wasmtime_memory_data(ctx, &memory)[7] == 300 - 256);
  expect(call1(&grow, 1) == 1 && call0(&size) == 2 && wasmtime_memory_size(ctx, &memory) == 2);
  expect(call1(&grow, 1) == -1 && call1(&grow, -1) == -1);
  expect(call1(&load, 65535) == 200);
  wasmtime_val_t beyond = i32_val(2 * 65536), result;
  expect_ok(wasmtime_func_call(ctx, &load, &beyond, 1, &result, 1, &trap));
  expect_trap(trap, WASMTIME_TRAP_CODE_MEMORY_OUT_OF_BOUNDS);
}

static void a_64_bit_memory_has_64_bit_addresses(void) {
  char wat[1024];
  snprintf(wat, sizeof wat, LOAD_STORE, "i64 1 0x100000000", "i64", "i64", "i64", "i64", "i64");
  wasmtime_instance_t instance = instance_of(wat);
  wasmtime_memory_t memory = export_of(&instance, "m").of.memory;
  wasmtime_func_t load = func_of(&instance, "load"), grow = func_of(&instance, "grow");
  wasmtime_memory_data(ctx, &memory)[9] = 77;
  wasmtime_val_t arg = i64_val(9), result;
  wasm_trap_t *trap = NULL;
  expect_ok(wasmtime_func_call(ctx, &load, &arg, 1, &result, 1, &trap));
  expect(result.of.i32 == 77);
  static const int64_t beyond[] = {65536, INT64_C(0x100000009), -1, INT64_MIN, INT64_MAX};
  for (size_t i = 0; i < sizeof beyond / sizeof *beyond; i++) {
    arg = i64_val(beyond[i]);
    expect_ok(wasmtime_func_call(ctx, &load, &arg, 1, &result, 1, &trap));
    expect_trap(trap, WASMTIME_TRAP_CODE_MEMORY_OUT_OF_BOUNDS);
    trap = NULL;
  }
  arg = i64_val(2);
  expect_ok(wasmtime_func_call(ctx, &grow, &arg, 1, &result, 1, &trap));
  expect(result.kind == WASMTIME_I64 && result.of.i64 == 1);
  arg = i64_val(INT64_C(0x100000000));
  expect_ok(wasmtime_func_call(ctx, &grow, &arg, 1, &result, 1, &trap));
  expect(result.of.i64 == -1);
  expect(wasmtime_memory_size(ctx, &memory) == 3);
}

static void custom_page_sizes(wasm_config_t *config) { wasmtime_config_wasm_custom_page_sizes_set(config, true); }

static void a_memory_may_have_pages_of_one_byte(void) {
  wasmtime_instance_t instance =
      instance_of("(module (memory (export \"m\") 5 10 (pagesize 1))"
                  "  (func (export \"grow\") (param i32) (result i32) (memory.grow (local.get 0)))"
                  "  (func (export \"load\") (param i32) (result i32) (i32.load8_u (local.get 0))))");
  wasmtime_memory_t memory = export_of(&instance, "m").of.memory;
  wasmtime_func_t grow = func_of(&instance, "grow"), load = func_of(&instance, "load");
  uint64_t previous = 0;
  expect(wasmtime_memory_size(ctx, &memory) == 5 && wasmtime_memory_data_size(ctx, &memory) == 5);
  expect(wasmtime_memory_page_size(ctx, &memory) == 1 && wasmtime_memory_page_size_log2(ctx, &memory) == 0);
  expect(call1(&load, 4) == 0);
  wasmtime_val_t arg = i32_val(5), result;
  wasm_trap_t *trap = NULL;
  expect_ok(wasmtime_func_call(ctx, &load, &arg, 1, &result, 1, &trap));
  expect_trap(trap, WASMTIME_TRAP_CODE_MEMORY_OUT_OF_BOUNDS);
  expect(call1(&grow, 1) == 5 && call1(&load, 5) == 0);
  expect_ok(wasmtime_memory_grow(ctx, &memory, 4, &previous));
  expect(previous == 6);
  expect_error(wasmtime_memory_grow(ctx, &memory, 1, &previous));
  wasm_memorytype_t *type = wasmtime_memory_type(ctx, &memory);
  expect(wasmtime_memorytype_page_size_log2(type) == 0);
  wasm_memorytype_delete(type);
}

// Growth to 2^32 - 1 bytes would answer later what it answers where it fails, -1; so it is an error, whatever the maximum is.
static void pages_of_one_byte_stop_before_sizes_that_look_like_failure(void) {
  static const struct {
    const char *type;
    bool shared;
  } memories[] = {{"1 (pagesize 1)", false}, {"1 5 (pagesize 1)", false}, {"1 5 shared (pagesize 1)", true}};
  for (int i = 0; i < 3; i++) {
    char wat[300];
    snprintf(wat, sizeof wat,
             "(module (memory (export \"m\") %s)"
             "  (func (export \"grow\") (param i32) (result i32) (memory.grow (local.get 0))))",
             memories[i].type);
    wasmtime_instance_t instance = instance_of(wat);
    wasmtime_func_t grow = func_of(&instance, "grow");
    wasmtime_val_t arg = i32_val(-2), result;
    wasm_trap_t *trap = NULL;
    expect_error_says(wasmtime_func_call(ctx, &grow, &arg, 1, &result, 1, &trap),
                      "disallowing growth to 0xffffffff bytes based on page size");
    arg = i32_val(-1);
    expect_error_says(wasmtime_func_call(ctx, &grow, &arg, 1, &result, 1, &trap),
                      "disallowing growth to 0x100000000 bytes based on page size");
    expect_no_trap(trap);
    wasmtime_extern_t exported = export_of(&instance, "m");
    if (memories[i].shared) {
      wasmtime_extern_delete(&exported);
      continue;
    }
    uint64_t previous = 99;
    expect_error_says(wasmtime_memory_grow(ctx, &exported.of.memory, 0x100000000, &previous),
                      "disallowing growth to 0x100000001 bytes based on page size");
    // A sum that overflows is refused as any other growth.
    expect_error_says(wasmtime_memory_grow(ctx, &exported.of.memory, UINT64_MAX, &previous), "failed to grow memory");
    expect(previous == 99 && wasmtime_memory_size(ctx, &exported.of.memory) == 1);
  }
  static const char *const too_long[] = {"4294967295 (pagesize 1)", "4294967295 4294967295 shared (pagesize 1)"};
  for (int i = 0; i < 2; i++) {
    char wat[100];
    snprintf(wat, sizeof wat, "(module (memory %s))", too_long[i]);
    wasmtime_module_t *module = module_of(wat);
    wasmtime_instance_t instance;
    wasm_trap_t *trap = NULL;
    expect_error_says(wasmtime_instance_new(ctx, module, NULL, 0, &instance, &trap),
                      "memory minimum size of 4294967295 pages exceeds memory limits");
    wasmtime_module_delete(module);
  }
  wasm_memorytype_t *type = type_of(0xffffffff, false, 0, false, 0);
  wasmtime_memory_t memory;
  expect_error_says(wasmtime_memory_new(ctx, type, &memory),
                    "memory minimum size of 4294967295 pages exceeds memory limits");
  wasm_memorytype_delete(type);
}

static void small_pages_and_shared(wasm_config_t *config) {
  custom_page_sizes(config);
  wasmtime_config_shared_memory_set(config, true);
}

static void a_module_may_have_many_memories(void) {
  wasmtime_instance_t instance = instance_of("(module (memory (export \"a\") 1) (memory (export \"b\") 2)"
                                             "  (func (export \"f\") (result i32)"
                                             "    (i32.store 1 (i32.const 8) (i32.const 9)) (i32.load 0 (i32.const 8))))");
  wasmtime_memory_t a = export_of(&instance, "a").of.memory, b = export_of(&instance, "b").of.memory;
  wasmtime_func_t f = func_of(&instance, "f");
  expect(call0(&f) == 0);
  expect(wasmtime_memory_data(ctx, &a)[8] == 0 && wasmtime_memory_data(ctx, &b)[8] == 9);
}

static void a_shared_type_does_not_make_an_unshared_memory(void) {
  wasm_memorytype_t *type;
  wasmtime_memory_t memory;
  expect_ok(wasmtime_memorytype_new(1, true, 2, false, true, 16, &type));
  expect_error(wasmtime_memory_new(ctx, type, &memory));
  wasm_memorytype_delete(type);
}

static void small_reservation(wasm_config_t *config) {
  wasmtime_config_memory_reservation_set(config, 65536);
  wasmtime_config_memory_guard_size_set(config, 0);
  wasmtime_config_memory_reservation_for_growth_set(config, 0);
}

static void fixed(wasm_config_t *config) {
  small_reservation(config);
  wasmtime_config_memory_may_move_set(config, false);
}

static void a_memory_that_may_not_move_stays_in_its_reservation(void) {
  wasmtime_memory_t memory = new_memory(1, false, 0, false);
  uint64_t previous = 99;
  expect_error(wasmtime_memory_grow(ctx, &memory, 1, &previous));
  expect(previous == 99);
}

static void no_signals(wasm_config_t *config) { wasmtime_config_signals_based_traps_set(config, false); }

static void no_images(wasm_config_t *config) { wasmtime_config_memory_init_cow_set(config, false); }

static void data_segments_are_there_at_the_beginning(void) {
  wasmtime_instance_t a, b;
  wasm_trap_t *trap = NULL;
  wasmtime_module_t *module = module_of("(module (memory (export \"m\") 3) (data (i32.const 3) \"abc\")"
                                        "  (data (i32.const 65534) \"defg\") (data (i32.const 4) \"X\"))");
  expect_ok(wasmtime_instance_new(ctx, module, NULL, 0, &a, &trap));
  wasmtime_memory_t memory = export_of(&a, "m").of.memory;
  expect(!memcmp(wasmtime_memory_data(ctx, &memory) + 2, "\0aXc\0", 5));
  expect(!memcmp(wasmtime_memory_data(ctx, &memory) + 65533, "\0defg\0", 6));
  memset(wasmtime_memory_data(ctx, &memory), 1, 3 * 65536);
  expect_ok(wasmtime_instance_new(ctx, module, NULL, 0, &b, &trap)); // not touched by the first
  memory = export_of(&b, "m").of.memory;
  expect(!memcmp(wasmtime_memory_data(ctx, &memory) + 2, "\0aXc\0", 5));
  expect(wasmtime_memory_data(ctx, &memory)[3 * 65536 - 1] == 0);
  wasmtime_module_delete(module);
}

static void no_byte_of_a_dead_store_shows(void) {
  wasmtime_module_t *module = module_of("(module (memory (export \"m\") 4) (data (i32.const 8) \"x\"))");
  for (int i = 0; i < 20; i++) {
    wasmtime_store_t *s = wasmtime_store_new(engine, NULL, NULL);
    wasmtime_context_t *c = wasmtime_store_context(s);
    wasmtime_instance_t instance;
    wasm_trap_t *trap = NULL;
    uint64_t previous;
    expect_ok(wasmtime_instance_new(c, module, NULL, 0, &instance, &trap));
    wasmtime_memory_t memory = export_in(c, &instance, "m").of.memory;
    expect_ok(wasmtime_memory_grow(c, &memory, 4, &previous));
    uint8_t *data = wasmtime_memory_data(c, &memory);
    size_t others = 0;
    for (size_t at = 0; at < 8 * 65536; at++) others += data[at] != (at == 8 ? 'x' : 0);
    expect(others == 0);
    memset(data, 0xee, 8 * 65536);
    wasmtime_store_delete(s);
  }
  wasmtime_module_delete(module);
}

// -- Memories of the host

struct host_memory {
  uint8_t *bytes;
  size_t size, capacity;
};

static int created, grown, freed;

static uint8_t *get_host_memory(void *env, size_t *size, size_t *capacity) {
  struct host_memory *memory = env;
  *size = memory->size;
  *capacity = memory->capacity;
  return memory->bytes;
}

static wasmtime_error_t *grow_host_memory(void *env, size_t new_size) {
  struct host_memory *memory = env;
  if (new_size > memory->capacity) return wasmtime_error_new("no room");
  memory->size = new_size;
  grown++;
  return NULL;
}

static void free_host_memory(void *env) {
  freed++;
  free(((struct host_memory *)env)->bytes);
  free(env);
}

static wasmtime_error_t *new_host_memory(void *env, const wasm_memorytype_t *type, size_t minimum, size_t maximum,
                                         size_t reserved, size_t guard, wasmtime_linear_memory_t *out) {
  (void)maximum, (void)reserved, (void)guard;
  expect(wasmtime_memorytype_minimum(type) * 65536 == minimum);
  struct host_memory *memory = malloc(sizeof *memory);
  memory->size = minimum;
  memory->capacity = 4 * 65536;
  memory->bytes = aligned_alloc(65536, memory->capacity);
  memset(memory->bytes, 0, memory->capacity);
  *out = (wasmtime_linear_memory_t){memory, get_host_memory, grow_host_memory, free_host_memory};
  ++*(int *)env;
  return NULL;
}

static int creator_finalized;

static void finalize_creator(void *env) {
  (void)env;
  creator_finalized++;
}

static void host_memories(wasm_config_t *config) {
  wasmtime_memory_creator_t creator = {&created, new_host_memory, finalize_creator};
  small_reservation(config);
  wasmtime_config_memory_init_cow_set(config, false);
  wasmtime_config_host_memory_creator_set(config, &creator);
}

static void the_host_may_provide_the_memories(void) {
  wasmtime_instance_t instance = instance_of("(module (memory (export \"m\") 1 4) (data (i32.const 1) \"hi\")"
                                             "  (func (export \"grow\") (param i32) (result i32) (memory.grow (local.get 0)))"
                                             "  (func (export \"load\") (param i32) (result i32) (i32.load8_u (local.get 0))))");
  wasmtime_memory_t memory = export_of(&instance, "m").of.memory;
  wasmtime_func_t grow = func_of(&instance, "grow"), load = func_of(&instance, "load");
  expect(created == 1 && freed == 0);
  expect(!memcmp(wasmtime_memory_data(ctx, &memory), "\0hi", 3));
  expect(call1(&load, 2) == 'i');
  expect(call1(&grow, 2) == 1 && grown == 1);
  expect(call1(&load, 3 * 65536 - 1) == 0);
  wasmtime_val_t arg = i32_val(3 * 65536), result;
  wasm_trap_t *trap = NULL;
  expect_ok(wasmtime_func_call(ctx, &load, &arg, 1, &result, 1, &trap));
  expect_trap(trap, WASMTIME_TRAP_CODE_MEMORY_OUT_OF_BOUNDS);
  wasmtime_store_delete(store);
  store = NULL;
  expect(created == 1 && freed == 1);
}

// What a creator of the host's may do wrong; each memory it began is freed.
enum { REFUSES, LACKS_A_FUNCTION, REFUSES_TO_GROW };

static wasmtime_error_t *grow_nothing(void *env, size_t new_size) {
  (void)env, (void)new_size;
  return wasmtime_error_new("the host grows nothing");
}

static wasmtime_error_t *new_bad_memory(void *env, const wasm_memorytype_t *type, size_t minimum, size_t maximum,
                                        size_t reserved, size_t guard, wasmtime_linear_memory_t *out) {
  int how = *(int *)env, ignored = 0;
  if (how == REFUSES) return wasmtime_error_new("no memory today");
  wasmtime_error_t *error = new_host_memory(&ignored, type, minimum, maximum, reserved, guard, out);
  if (how == LACKS_A_FUNCTION) out->grow_memory = NULL;
  if (how == REFUSES_TO_GROW) out->grow_memory = grow_nothing;
  return error;
}

static void a_creator_may_fail(void) {
  static int how;
  wasm_config_t *config = wasm_config_new();
  wasmtime_memory_creator_t creator = {&how, new_bad_memory, finalize_creator};
  wasmtime_config_host_memory_creator_set(config, &creator);
  wasm_engine_t *e = wasm_engine_new_with_config(config);
  wasmtime_store_t *s = wasmtime_store_new(e, NULL, NULL);
  wasmtime_context_t *c = wasmtime_store_context(s);
  wasmtime_module_t *module =
      module_in(e, "(module (memory (export \"m\") 1 3) (func (export \"grow\") (result i32) (memory.grow (i32.const 1))))");
  wasm_memorytype_t *type;
  wasmtime_memory_t memory;
  wasmtime_instance_t instance;
  wasm_trap_t *trap = NULL;
  expect_ok(wasmtime_memorytype_new(1, true, 3, false, false, 16, &type));
  for (how = REFUSES; how <= LACKS_A_FUNCTION; how++) {
    const char *says = how == REFUSES ? "no memory today" : "the host's memory lacks a function";
    freed = 0;
    expect_error_says(wasmtime_instance_new(c, module, NULL, 0, &instance, &trap), says);
    expect_error_says(wasmtime_memory_new(c, type, &memory), says);
    expect_no_trap(trap);
    expect(freed == (how == REFUSES ? 0 : 2));
  }
  freed = 0;
  how = REFUSES_TO_GROW;
  uint64_t previous = 99;
  expect_ok(wasmtime_instance_new(c, module, NULL, 0, &instance, &trap));
  memory = export_in(c, &instance, "m").of.memory;
  wasmtime_func_t grow = export_in(c, &instance, "grow").of.func;
  wasmtime_val_t result = i32_val(0);
  expect_error(wasmtime_memory_grow(c, &memory, 1, &previous));
  expect_ok(wasmtime_func_call(c, &grow, NULL, 0, &result, 1, &trap));
  expect_no_trap(trap);
  expect(result.of.i32 == -1 && previous == 99 && wasmtime_memory_size(c, &memory) == 1 && freed == 0);
  creator_finalized = 0;
  wasm_memorytype_delete(type);
  wasmtime_module_delete(module);
  wasmtime_store_delete(s);
  expect(freed == 1);
  wasm_engine_delete(e);
  expect(creator_finalized == 1);
}

// Beyond what any system has.
static void memory_that_is_not_there_is_an_error(void) {
  wasm_memorytype_t *type;
  wasmtime_memory_t memory;
  expect_ok(wasmtime_memorytype_new(UINT64_C(1) << 40, false, 0, true, false, 16, &type));
  expect_error(wasmtime_memory_new(ctx, type, &memory));
  wasm_memorytype_delete(type);
  wasmtime_module_t *module = module_of("(module (memory i64 0x1000000000))");
  wasmtime_instance_t instance;
  wasm_trap_t *trap = NULL;
  expect_error(wasmtime_instance_new(ctx, module, NULL, 0, &instance, &trap));
  expect_no_trap(trap);
  wasmtime_module_delete(module);
  // The store goes on.
  expect_ok(wasmtime_memorytype_new(1, true, UINT64_C(1) << 40, true, false, 16, &type));
  expect_ok(wasmtime_memory_new(ctx, type, &memory));
  wasm_memorytype_delete(type);
  uint64_t previous = 99;
  expect_error(wasmtime_memory_grow(ctx, &memory, UINT64_C(1) << 39, &previous));
  expect(previous == 99 && wasmtime_memory_size(ctx, &memory) == 1);
}

static void the_creator_is_finalized_with_its_engine(void) { expect(creator_finalized == 1); }

int main(void) {
  RUN(a_type_tells_what_it_was_made_of);
  RUN(a_type_that_makes_no_sense_is_an_error);
  RUN(a_memory_begins_zeroed);
  RUN(grow_reports_the_old_size_in_pages);
  RUN(growing_keeps_the_contents_and_adds_zeros);
  RUN_WITH(small_reservation, growing_keeps_the_contents_and_adds_zeros);
  RUN(the_type_is_told);
  RUN_FAULTING(host_and_guest_see_the_same_bytes);
  RUN_FAULTING_WITH(small_reservation, host_and_guest_see_the_same_bytes);
  RUN_FAULTING_WITH(no_signals, host_and_guest_see_the_same_bytes);
  RUN_FAULTING(a_64_bit_memory_has_64_bit_addresses);
  RUN_FAULTING_WITH(small_reservation, a_64_bit_memory_has_64_bit_addresses);
  RUN_FAULTING_WITH(no_signals, a_64_bit_memory_has_64_bit_addresses);
  RUN_FAULTING_WITH(custom_page_sizes, a_memory_may_have_pages_of_one_byte);
  RUN_WITH(small_pages_and_shared, pages_of_one_byte_stop_before_sizes_that_look_like_failure);
  RUN(a_module_may_have_many_memories);
  RUN(a_shared_type_does_not_make_an_unshared_memory);
  RUN_WITH(fixed, a_memory_that_may_not_move_stays_in_its_reservation);
  RUN(data_segments_are_there_at_the_beginning);
  RUN_WITH(no_images, data_segments_are_there_at_the_beginning);
  RUN(no_byte_of_a_dead_store_shows);
  RUN_WITH(no_images, no_byte_of_a_dead_store_shows);
  RUN_FAULTING_WITH(host_memories, the_host_may_provide_the_memories);
  RUN_FAULTING(the_creator_is_finalized_with_its_engine); // the engine of the claim before
  RUN_HERE(a_creator_may_fail);
  RUN(memory_that_is_not_there_is_an_error);
  return test_summary();
}
