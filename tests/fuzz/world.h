// The world of the C API's fuzzer: random numbers, the pools of handles, the guests, and values.
//
// Handles are kept by value with the store they came from, also after that store was deleted. What `belongs` may go where a
// wrong handle ends the process by contract; everything else goes anywhere.

#ifndef AMPOULE_FUZZ_WORLD_H
#define AMPOULE_FUZZ_WORLD_H

#ifndef _DEFAULT_SOURCE
#define _DEFAULT_SOURCE
#endif

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ampoule.h>
#include <wasmtime.h>

// -- Random numbers, the same for the same seed

static uint64_t rng;

static uint64_t rnd(void) {
  uint64_t z = rng += 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

static uint64_t below(uint64_t bound) { return rnd() % bound; }
static bool once_in(unsigned n) { return below(n) == 0; }

// Small, mostly; now and then at an edge. Never what fits and takes gigabytes.
static uint64_t size_or_edge(uint64_t small) {
  static const uint64_t edges[] = {0, 1, 0xffff, 0x10001, 1ull << 40, 1ull << 63, UINT64_MAX - 1, UINT64_MAX};
  return once_in(8) ? edges[below(8)] : below(small);
}

static _Noreturn void broken(const char *what) {
  printf("broken: %s\n", what);
  fflush(stdout);
  abort();
}

#define check(condition) ((condition) ? (void)0 : broken(#condition))

// -- What is counted: everything given with a finalizer

enum { OF_STORE, OF_DEADLINE, OF_FUNC, OF_LINKER, OF_EXTERNREF, OF_LIMITER, OF_LATER, GIFTS };

static const char *const GIFT_NAMES[GIFTS] = {"stores' data", "deadline callbacks'", "functions'", "linkers'",
                                               "externrefs", "limiters'", "continuations'"};
static struct gift {
  long given, finalized;
} gifts[GIFTS];

static bool is_gift(const void *data, int kind) { return data == &gifts[kind]; }

static void finalize(void *data) {
  check((struct gift *)data >= gifts && (struct gift *)data < gifts + GIFTS);
  ((struct gift *)data)->finalized++;
}

static void *give_away(int kind) {
  gifts[kind].given++;
  return &gifts[kind];
}

// -- Engines

enum { ENGINES = 5, STORES = 6, GUESTS = 14 };

// What the engines differ in: 1 meters, 2 checks everything in code, 3 can cancel, 4 has a pool. And in how functions are compiled: by 2 all
// by the optimizing compiler, by 4 all by the other; by 1 and 3 those that run again are optimized, in the background and at once.
static wasm_engine_t *engines[ENGINES];
static bool has_fuel(int engine) { return engine == 1 || engine == 3; }
static bool has_epochs(int engine) { return engine == 1 || engine == 4; }
static bool can_cancel(int engine) { return has_epochs(engine) || engine == 3; }

// So small that it is often used up.
static void set_pool(wasm_config_t *config) {
  wasmtime_pooling_allocation_config_t *pool = wasmtime_pooling_allocation_config_new();
  wasmtime_pooling_allocation_config_total_core_instances_set(pool, 16);
  wasmtime_pooling_allocation_config_total_memories_set(pool, 12);
  wasmtime_pooling_allocation_config_max_memory_size_set(pool, 8 << 20);
  wasmtime_pooling_allocation_config_max_memories_per_module_set(pool, 2);
  wasmtime_pooling_allocation_config_total_tables_set(pool, 12);
  wasmtime_pooling_allocation_config_max_tables_per_module_set(pool, 2);
  wasmtime_pooling_allocation_config_table_elements_set(pool, 60);
  wasmtime_pooling_allocation_config_total_stacks_set(pool, 3);
  wasmtime_pooling_allocation_config_linear_memory_keep_resident_set(pool, 4096);
  wasmtime_pooling_allocation_strategy_set(config, pool);
  wasmtime_pooling_allocation_config_delete(pool);
}

static void make_engines(void) {
  for (int i = 0; i < ENGINES; i++) {
    wasm_config_t *config = wasm_config_new();
    wasmtime_config_wasm_threads_set(config, true);
    wasmtime_config_shared_memory_set(config, true);
    wasmtime_config_wasm_memory64_set(config, true);
    wasmtime_config_max_wasm_stack_set(config, 64 << 10);
    wasmtime_config_parallel_compilation_set(config, false);
    // Under valgrind no guest may fault.
    if (i == 2 || getenv("AMPOULE_VALGRIND")) wasmtime_config_signals_based_traps_set(config, false);
    if (i == 2) {
      wasmtime_config_strategy_set(config, WASMTIME_STRATEGY_CRANELIFT);
      wasmtime_config_memory_reservation_set(config, 1 << 20);
      wasmtime_config_memory_guard_size_set(config, 0);
      wasmtime_config_memory_init_cow_set(config, false);
    }
    if (i == 1) ampoule_config_tier_up_set(config, 2, 1);
    if (i == 3) {
      ampoule_config_tier_up_set(config, 1, 0);
      ampoule_config_cancellation_set(config, true);
      ampoule_config_statistics_set(config, true);
    }
    if (i == 4) {
      wasmtime_config_strategy_set(config, WASMTIME_STRATEGY_WINCH);
      set_pool(config);
    }
    wasmtime_config_consume_fuel_set(config, has_fuel(i));
    wasmtime_config_epoch_interruption_set(config, has_epochs(i));
    engines[i] = wasm_engine_new_with_config(config);
    check(engines[i]);
  }
}

// -- Stores

static struct {
  wasmtime_store_t *store;
  wasmtime_context_t *context;
  int engine;
  unsigned generation;
  uint64_t id; // in the handles
  int active;  // uses that nest, on the stack that runs: see `enter`
  bool going;  // being deleted
} stores[STORES];

struct origin {
  int store;
  unsigned generation;
};

static struct origin origin_of(int store) { return (struct origin){store, stores[store].generation}; }

// Whose a handle is, by what it says: a linker gives out handles of the stores that its items were defined with.
static struct origin owner(uint64_t store_id) {
  for (int i = 0; i < STORES; i++)
    if (stores[i].store && stores[i].id == store_id) return origin_of(i);
  return (struct origin){0, UINT_MAX};
}

static bool alive(struct origin origin) {
  return stores[origin.store].store && stores[origin.store].generation == origin.generation;
}

static bool belongs(struct origin origin, int store) { return alive(origin) && origin.store == store; }

// The same for what is made in an engine.
static struct origin made_in(int engine) { return (struct origin){engine, 1}; }
static bool of_engine(struct origin origin, int store) { return origin.store == stores[store].engine; }

// A store that is there, or -1.
static int any_store(void) {
  int first = (int)below(STORES);
  for (int i = 0; i < STORES; i++)
    if (stores[(first + i) % STORES].store) return (first + i) % STORES;
  return -1;
}

static int store_of(const wasmtime_context_t *context) {
  for (int i = 0; i < STORES; i++)
    if (stores[i].store && stores[i].context == context) return i;
  broken("a callback with an unknown store");
}

// -- Pools: what is full forgets something; not while a call runs, which may have borrowed it

static int depth; // of calls

// A future, where its results go, and whether it has been polled: what a call waits for.
struct pending {
  wasmtime_call_future_t *future;
  bool instantiates, begun, running, done;
  size_t nresults;
  wasmtime_val_t results[16];
  wasmtime_instance_t instance;
  wasm_trap_t *trap;
  wasmtime_error_t *error;
};

struct native {
  ampoule_native_t entry;
  size_t signature; // 0 or 1
};

#define POOL(type, name, drop, suits)                                                                                         \
  enum { MAX_##name = 48 };                                                                                            \
  static struct {                                                                                                      \
    struct origin origin;                                                                                              \
    type it;                                                                                                           \
  } name[MAX_##name];                                                                                                  \
  static size_t num_##name;                                                                                            \
  static void keep_##name(struct origin origin, type it) {                                                             \
    if (num_##name == MAX_##name && depth) {                                                                           \
      drop(&it);                                                                                                       \
      return;                                                                                                          \
    }                                                                                                                  \
    size_t at = num_##name < MAX_##name ? num_##name++ : below(MAX_##name);                                            \
    if (name[at].origin.generation) drop(&name[at].it);                                                                \
    name[at].origin = origin;                                                                                          \
    name[at].it = it;                                                                                                  \
  }                                                                                                                    \
  static inline void remove_##name(size_t at) {                                                                        \
    name[at] = name[--num_##name];                                                                                     \
    memset(&name[num_##name], 0, sizeof name[0]);                                                                      \
  }                                                                                                                    \
  static inline void forget_##name(void) {                                                                                    \
    for (size_t i = 0; i < num_##name; i++) drop(&name[i].it);                                                         \
    memset(name, 0, sizeof name);                                                                                      \
    num_##name = 0;                                                                                                    \
  }                                                                                                                    \
  /* Prefers those of `store`; anything one time in six. The answer is an index, or -1. */                             \
  static int pick_##name(int store) {                                                                                  \
    if (!num_##name) return -1;                                                                                        \
    bool any = once_in(6);                                                                                             \
    for (int tries = 0; tries < 12; tries++) {                                                                         \
      int at = (int)below(num_##name);                                                                                 \
      if (any || suits(name[at].origin, store)) return at;                                                             \
    }                                                                                                                  \
    return -1;                                                                                                         \
  }

static void nothing_to_drop(void *it) { (void)it; }
static void drop_externref(wasmtime_externref_t *ref) { wasmtime_externref_unroot(ref); }
static void drop_anyref(wasmtime_anyref_t *ref) { wasmtime_anyref_unroot(ref); }
static void drop_exnref(wasmtime_exnref_t *ref) { wasmtime_exnref_unroot(ref); }
static void drop_exn(wasmtime_exn_t **exn) { wasmtime_exn_delete(*exn); }
static void drop_token(ampoule_cancel_token_t **token) { ampoule_cancel_token_delete(*token); }
static void drop_pending(struct pending **pending); // in futures.h
static void drop_module(wasmtime_module_t **module) { wasmtime_module_delete(*module); }
static void drop_linker(wasmtime_linker_t **linker) { wasmtime_linker_delete(*linker); }
static void drop_pre(wasmtime_instance_pre_t **pre) { wasmtime_instance_pre_delete(*pre); }
static void drop_shared(wasmtime_sharedmemory_t **memory) { wasmtime_sharedmemory_delete(*memory); }

POOL(wasmtime_func_t, funcs, nothing_to_drop, belongs)
POOL(wasmtime_memory_t, memories, nothing_to_drop, belongs)
POOL(wasmtime_table_t, tables, nothing_to_drop, belongs)
POOL(wasmtime_global_t, globals, nothing_to_drop, belongs)
POOL(wasmtime_instance_t, instances, nothing_to_drop, belongs)
POOL(wasmtime_externref_t, externrefs, drop_externref, belongs)
POOL(wasmtime_anyref_t, anyrefs, drop_anyref, belongs)
POOL(wasmtime_exnref_t, exnrefs, drop_exnref, belongs)
POOL(wasmtime_tag_t, tags, nothing_to_drop, belongs)
POOL(wasmtime_exn_t *, exns, drop_exn, belongs)
POOL(ampoule_cancel_token_t *, tokens, drop_token, belongs)
POOL(struct native, natives, nothing_to_drop, belongs)
POOL(struct pending *, futures, drop_pending, belongs)
// These belong to engines.
POOL(wasmtime_module_t *, modules, drop_module, of_engine)
POOL(wasmtime_linker_t *, linkers, drop_linker, of_engine)
POOL(wasmtime_instance_pre_t *, pres, drop_pre, of_engine)
POOL(wasmtime_sharedmemory_t *, shareds, drop_shared, of_engine)

// -- Guests

static const char *const GUEST_TEXTS[GUESTS] = {
    "(module)",
    // Every kind of export, every way to fail.
    "(module (memory (export \"m\") 1 40) (table (export \"t\") 3 100 funcref) (table $x (export \"x\") 2 externref)"
    " (global (export \"g\") (mut i32) (i32.const 1)) (global (export \"c\") i64 (i64.const 2))"
    " (global $r (export \"r\") (mut externref) (ref.null extern)) (elem (i32.const 0) $id)"
    " (func (export \"load\") (param i32) (result i32) (i32.load (local.get 0)))"
    " (func (export \"store\") (param i32) (result i32) (i64.store offset=65528 (local.get 0) (i64.const -1)) (i32.const 0))"
    " (func (export \"grow\") (param i32) (result i32) (memory.grow (i32.and (local.get 0) (i32.const 3))))"
    " (func (export \"div\") (param i32) (result i32) (i32.div_s (i32.const 7) (local.get 0)))"
    " (func $id (export \"id\") (param i32) (result i32) (local.get 0))"
    " (func (export \"call\") (param i32) (result i32) (call_indirect 0 (param i32) (result i32) (local.get 0) (local.get 0)))"
    " (func (export \"unreachable\") unreachable) (func $deep (export \"deep\") call $deep)"
    " (func (export \"keep\") (param externref) (result externref) (global.get $r) (global.set $r (local.get 0)))"
    " (func (export \"put\") (param externref) (result externref) (table.set $x (i32.const 1) (local.get 0)) (table.get $x (i32.const 0)))"
    " (func (export \"fill\") (param i32) (result i32) (memory.fill (local.get 0) (i32.const 1) (i32.const 100)) (i32.const 1)))",
    // Calls the host in every way it can be called.
    "(module (import \"env\" \"f0\" (func $f0)) (import \"env\" \"f1\" (func $f1 (param i32) (result i32)))"
    " (import \"env\" \"f2\" (func $f2 (param externref) (result externref)))"
    " (import \"env\" \"f3\" (func $f3 (param funcref i64) (result funcref)))"
    " (import \"env\" \"f4\" (func $f4 (param f32 f64 i64 v128) (result v128 f64)))"
    " (memory (export \"m\") 1) (table $t (export \"t\") 8 funcref) (elem (i32.const 0) $f0 $f1 $f0 $a)"
    " (func $a (export \"a\") (call $f0) (drop (i32.load (i32.const 65000))) (call $f0))"
    " (func (export \"b\") (param i32) (result i32) (i32.add (call $f1 (local.get 0)) (call $f1 (i32.const 3))))"
    " (func (export \"c\") (param externref) (result externref) (local $l externref)"
    "   (local.set $l (call $f2 (local.get 0))) (call $f0) (drop (call $f2 (local.get 0))) (local.get $l))"
    " (func (export \"d\") (param i64) (result funcref) (call $f3 (ref.func $a) (local.get 0)))"
    " (func (export \"e\") (result v128 f64) (call $f4 (f32.const 1) (f64.const 2) (i64.const 3) (v128.const i64x2 4 5)))"
    " (func (export \"i\") (param i32) (call_indirect $t (i32.and (local.get 0) (i32.const 15)))) (export \"f1\" (func $f1)))",
    // Shares memory, table and global; the segments may not fit.
    "(module (import \"env\" \"m\" (memory 1)) (import \"env\" \"t\" (table 1 funcref)) (import \"env\" \"g\" (global $g (mut i32)))"
    " (data (i32.const 65530) \"abcdef\") (elem (i32.const 2) $f $f) (data (i32.const 131072) \"x\")"
    " (func $f (export \"f\") (param i32) (result i32) (global.set $g (i32.add (global.get $g) (local.get 0))) (global.get $g)))",
    "(module (import \"env\" \"f0\" (func $f)) (start $s) (func $s call $f call $f) (memory (export \"m\") 2))",
    "(module (func $s unreachable) (start $s) (memory 1) (table 10 funcref) (global (export \"g\") i32 (i32.const 1)))",
    "(module (func (export \"loop\") (param i32) (result i32) (loop $l (br_if $l (local.tee 0 (i32.sub (i32.and (local.get 0)"
    " (i32.const 0xfff)) (i32.const 1))))) (local.get 0)))",
    // WASI.
    "(module (import \"wasi_snapshot_preview1\" \"proc_exit\" (func $exit (param i32)))"
    " (import \"wasi_snapshot_preview1\" \"fd_write\" (func $write (param i32 i32 i32 i32) (result i32)))"
    " (memory (export \"memory\") 1) (data (i32.const 8) \"\\10\\00\\00\\00\\05\\00\\00\\00hello\")"
    " (func (export \"write\") (param i32) (result i32) (call $write (i32.const 1) (local.get 0) (i32.const 1) (i32.const 0)))"
    " (func (export \"_start\") (call $exit (i32.const 3))))",
    "(module (memory (export \"m\") i64 1 3) (memory $n (export \"n\") 1) (data (i64.const 3) \"x\")"
    " (func (export \"f\") (param i64) (result i64) (i64.load (local.get 0)) (memory.copy $n $n (i32.const 0) (i32.const 9) (i32.const 65527))))",
    "(module (memory (export \"s\") 1 4 shared)"
    " (func (export \"wait\") (param i32) (result i32) (memory.atomic.wait32 (local.get 0) (i32.const 0) (i64.const 1000)))"
    " (func (export \"notify\") (param i32) (result i32) (memory.atomic.notify (local.get 0) (i32.const 1))))",
    "(module (import \"env\" \"s\" (memory 1 4 shared))"
    " (func (export \"add\") (param i32) (result i32) (i32.atomic.rmw.add (local.get 0) (i32.const 1))))",
    "(module (import \"env\" \"r\" (global $r (mut externref))) (import \"env\" \"x\" (table $x 0 externref))"
    " (func (export \"swap\") (param externref) (result externref) (local $old externref) (local.set $old (global.get $r))"
    "  (global.set $r (local.get 0)) (drop (table.grow $x (local.get 0) (i32.const 3))) (local.get $old)))",
    "(module (import \"env\" \"f1\" (func $f (param i32) (result i32)))"
    " (func $g (export \"tail\") (param i32) (result i32) (return_call $f (local.get 0)))"
    " (func $deep (export \"deep\") (param i32) (result i32) (i32.add (call $deep (i32.add (local.get 0) (i32.const 1)))"
    "  (i32.and (local.get 0) (i32.const 1)))))",
    "(module (func (export \"\") (result i32 i32 i64 f32 f64 i32 i32 i32 i32 i32) (i32.const 1) (i32.const 2) (i64.const 3)"
    " (f32.const 4) (f64.const 5) (i32.const 6) (i32.const 7) (i32.const 8) (i32.const 9) (i32.const 10)))",
};

// A pool has no shared memories.
static bool takes_guest(int engine, int guest) { return engine != 4 || !strstr(GUEST_TEXTS[guest], "shared)"); }

static wasm_byte_vec_t guests[GUESTS];

static void make_guests(void) {
  for (int i = 0; i < GUESTS; i++) {
    wasmtime_error_t *error = wasmtime_wat2wasm(GUEST_TEXTS[i], strlen(GUEST_TEXTS[i]), &guests[i]);
    if (!error) continue;
    wasm_name_t message;
    wasmtime_error_message(error, &message);
    printf("guest %d: %.*s\n", i, (int)message.size, message.data);
    exit(2);
  }
}

// -- Signatures of host functions: what the guests import as f0 to f4

static const struct {
  size_t nparams, nresults;
  uint8_t params[4], results[2];
} SIGNATURES[] = {
    {0, 0, {0}, {0}},
    {1, 1, {WASMTIME_I32}, {WASMTIME_I32}},
    {1, 1, {WASMTIME_EXTERNREF}, {WASMTIME_EXTERNREF}},
    {2, 1, {WASMTIME_FUNCREF, WASMTIME_I64}, {WASMTIME_FUNCREF}},
    // The fourth parameter and the first result are vectors, which this way of making types has no name for.
    {3, 1, {WASMTIME_F32, WASMTIME_F64, WASMTIME_I64}, {WASMTIME_F64}},
};
enum { NUM_SIGNATURES = 5 };

static wasm_valtype_t *new_valtype(uint8_t kind) {
  switch (kind) {
  case WASMTIME_I32: return wasm_valtype_new(WASM_I32);
  case WASMTIME_I64: return wasm_valtype_new(WASM_I64);
  case WASMTIME_F32: return wasm_valtype_new(WASM_F32);
  case WASMTIME_F64: return wasm_valtype_new(WASM_F64);
  case WASMTIME_FUNCREF: return wasm_valtype_new(WASM_FUNCREF);
  default: return wasm_valtype_new(WASM_EXTERNREF);
  }
}

static wasm_functype_t *new_functype(size_t signature) {
  wasm_valtype_vec_t params, results;
  wasm_valtype_vec_new_uninitialized(&params, SIGNATURES[signature].nparams);
  wasm_valtype_vec_new_uninitialized(&results, SIGNATURES[signature].nresults);
  for (size_t i = 0; i < params.size; i++) params.data[i] = new_valtype(SIGNATURES[signature].params[i]);
  for (size_t i = 0; i < results.size; i++) results.data[i] = new_valtype(SIGNATURES[signature].results[i]);
  return wasm_functype_new(&params, &results);
}

// -- Outcomes

// What the structure of an error says has to agree with itself, and with what the other functions say.
static void check_info(const ampoule_error_info_t *info) {
  check(info->size == sizeof *info && info->kind <= AMPOULE_ERROR_SYSTEM);
  check((info->kind == AMPOULE_ERROR_TRAP) <= !!(info->has & AMPOULE_ERROR_HAS_TRAP_CODE));
  check((info->kind == AMPOULE_ERROR_EXIT) == !!(info->has & AMPOULE_ERROR_HAS_EXIT_STATUS));
  check((info->has & AMPOULE_ERROR_HAS_TRAP_CODE) || !info->trap_code);
  check((info->has & AMPOULE_ERROR_HAS_FUNC) || (!info->func_index && !info->func_name));
  check(!info->func_name_len || info->func_name);
  check(!info->module_name_len || info->module_name);
  if (info->has & AMPOULE_ERROR_HAS_FUNC) check(info->func_index < 100);
  // What is inside of the memory is no access beyond it.
  if (info->has & AMPOULE_ERROR_HAS_ADDRESS) check(info->memory_address >= info->memory_size || info->memory_size);
}

static void drop_error(wasmtime_error_t *error) {
  if (!error) return;
  wasm_name_t message;
  wasmtime_error_message(error, &message);
  check(message.size > 0);
  wasm_name_delete(&message);
  int status;
  bool exits = wasmtime_error_exit_status(error, &status);
  ampoule_error_info_t info = {.size = sizeof info};
  check(ampoule_error_info(error, &info));
  check_info(&info);
  check(exits == (info.kind == AMPOULE_ERROR_EXIT) && (!exits || status == info.exit_status));
  wasm_frame_vec_t trace;
  wasmtime_error_wasm_trace(error, &trace);
  wasm_frame_vec_delete(&trace);
  wasmtime_error_delete(error);
}

static void drop_trap(wasm_trap_t *trap) {
  if (!trap) return;
  wasm_message_t message;
  wasm_trap_message(trap, &message);
  check(message.size > 1 && message.data[message.size - 1] == 0);
  wasm_byte_vec_delete(&message);
  ampoule_error_info_t info = {.size = sizeof info};
  check(ampoule_trap_info(trap, &info));
  check_info(&info);
  wasmtime_trap_code_t code;
  bool coded = wasmtime_trap_code(trap, &code);
  check(coded == !!(info.has & AMPOULE_ERROR_HAS_TRAP_CODE) && (!coded || code == info.trap_code));
  wasm_frame_vec_t trace;
  wasm_trap_trace(trap, &trace);
  for (size_t i = 0; i < trace.size; i++) (void)wasm_frame_func_index(trace.data[i]);
  wasm_frame_vec_delete(&trace);
  wasm_trap_delete(trap);
}

// -- Values

// A value that the caller doesn't own: references are those of the pools.
static wasmtime_val_t some_val(int store, uint8_t kind) {
  wasmtime_val_t val;
  memset(&val, 0, sizeof val);
  if (once_in(24)) kind = (uint8_t[]){WASMTIME_I32, WASMTIME_I64, WASMTIME_FUNCREF, WASMTIME_EXTERNREF,
                                              WASMTIME_ANYREF, WASMTIME_EXNREF}[below(6)];
  val.kind = kind;
  int at;
  switch (kind) {
  case WASMTIME_I32: val.of.i32 = (int32_t)size_or_edge(16); break;
  case WASMTIME_I64: val.of.i64 = (int64_t)rnd(); break;
  case WASMTIME_FUNCREF:
    wasmtime_funcref_set_null(&val.of.funcref);
    if ((at = pick_funcs(store)) >= 0 && !once_in(4)) val.of.funcref = funcs[at].it;
    break;
  case WASMTIME_EXTERNREF:
    wasmtime_externref_set_null(&val.of.externref);
    if ((at = pick_externrefs(store)) >= 0 && !once_in(4)) val.of.externref = externrefs[at].it;
    break;
  case WASMTIME_ANYREF:
    wasmtime_anyref_set_null(&val.of.anyref);
    if ((at = pick_anyrefs(store)) >= 0) val.of.anyref = anyrefs[at].it;
    break;
  case WASMTIME_EXNREF:
    wasmtime_exnref_set_null(&val.of.exnref);
    if ((at = pick_exnrefs(store)) >= 0) val.of.exnref = exnrefs[at].it;
    break;
  default: val.of.i64 = (int64_t)rnd();
  }
  return val;
}

// Takes over a value that the library gave.
static void take_val(wasmtime_val_t *val) {
  if (val->kind == WASMTIME_FUNCREF && !wasmtime_funcref_is_null(&val->of.funcref))
    keep_funcs(owner(val->of.funcref.store_id), val->of.funcref);
  else if (val->kind == WASMTIME_EXTERNREF && !wasmtime_externref_is_null(&val->of.externref) && once_in(2))
    keep_externrefs(owner(val->of.externref.store_id), val->of.externref);
  else
    wasmtime_val_unroot(val);
}

static void take_extern(int store, wasmtime_extern_t *item) {
  switch (item->kind) {
  case WASMTIME_EXTERN_FUNC: keep_funcs(owner(item->of.func.store_id), item->of.func); break;
  case WASMTIME_EXTERN_GLOBAL: keep_globals(owner(item->of.global.store_id), item->of.global); break;
  case WASMTIME_EXTERN_TABLE: keep_tables(owner(item->of.table.store_id), item->of.table); break;
  case WASMTIME_EXTERN_MEMORY: keep_memories(owner(item->of.memory.store_id), item->of.memory); break;
  case WASMTIME_EXTERN_SHAREDMEMORY: keep_shareds(made_in(stores[store].engine), item->of.sharedmemory); break;
  default: wasmtime_extern_delete(item);
  }
}

// Any item, not owned; false when there is none of the kind that came up.
static bool some_extern(int store, int kind, wasmtime_extern_t *item) {
  int at = -1;
  item->kind = (wasmtime_extern_kind_t)kind;
  switch (kind) {
  case WASMTIME_EXTERN_FUNC:
    if ((at = pick_funcs(store)) >= 0) item->of.func = funcs[at].it;
    break;
  case WASMTIME_EXTERN_GLOBAL:
    if ((at = pick_globals(store)) >= 0) item->of.global = globals[at].it;
    break;
  case WASMTIME_EXTERN_TABLE:
    if ((at = pick_tables(store)) >= 0) item->of.table = tables[at].it;
    break;
  case WASMTIME_EXTERN_MEMORY:
    if ((at = pick_memories(store)) >= 0) item->of.memory = memories[at].it;
    break;
  default:
    if ((at = pick_shareds(store)) >= 0) item->of.sharedmemory = shareds[at].it;
  }
  return at >= 0;
}

#endif // AMPOULE_FUZZ_WORLD_H
