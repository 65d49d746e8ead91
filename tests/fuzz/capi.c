// The C API's stateful fuzzer: random operations on a world of engines, stores and handles, wrong ones among them.
//
//     capi SEED            runs one seed, and says what it does
//     capi --seconds N     runs seeds for N seconds on all cores, from a first one that it prints; --from SEED chooses it
//
// Nothing may crash, hang or get lost: a seed ends by deleting everything, and then each finalizer has run exactly once. Which
// operations a seed does follows from the seed alone. See README.md.

#include "world.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { OPS = 600, MAX_DEPTH = 4, SECONDS_FOR_SEED = 60 };

static bool verbose;
static int budget; // operations left, those of callbacks included

static void some_op(int within);

static unsigned instantiated, called, trapped, refused, waited;

static void note(const wasmtime_error_t *error, const wasm_trap_t *trap, unsigned *good) {
  ++*(error ? &refused : trap ? &trapped : good);
}

// -- Host functions

static wasm_trap_t *throw_exception(int store); // in extensions.h

static wasm_trap_t *end_callback(int store, const uint8_t *kinds, wasmtime_val_t *results, size_t nresults) {
  if (once_in(10)) return wasmtime_trap_new("no", 2);
  if (once_in(20)) {
    wasm_trap_t *thrown = throw_exception(store);
    if (thrown) return thrown;
  }
  if (once_in(20)) return wasmtime_trap_new_code((wasmtime_trap_code_t)below(8));
  for (size_t i = 0; i < nresults; i++) {
    wasmtime_val_t val = some_val(store, kinds[i]);
    // Results are given up.
    wasmtime_val_clone(&val, &results[i]);
  }
  return NULL;
}

static void cross_op(void);

static void callback_ops(int store) {
  if (depth >= MAX_DEPTH || once_in(3)) return;
  for (uint64_t n = below(4); n > 0 && budget > 0; n--) {
    // Where there are futures, calls between stores decide what is left on whose stack.
    if (num_futures && once_in(2))
      cross_op();
    else
      some_op(store);
  }
}

static wasm_trap_t *callback(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                             wasmtime_val_t *results, size_t nresults) {
  (void)env;
  int store = store_of(wasmtime_caller_context(caller));
  size_t signature = 0;
  // The two shapes with one parameter differ in its kind.
  while (SIGNATURES[signature].nparams != nargs || (nargs && args[0].kind != SIGNATURES[signature].params[0])) signature++;
  check(signature < NUM_SIGNATURES && nresults == SIGNATURES[signature].nresults);
  for (size_t i = 0; i < nargs; i++) check(args[i].kind == SIGNATURES[signature].params[i]);
  for (size_t i = 0; i < nargs; i++) {
    wasmtime_val_t copy;
    wasmtime_val_clone(&args[i], &copy);
    take_val(&copy);
  }
  if (once_in(3)) {
    static const char *const names[] = {"m", "memory", "f", "t", "nothing", ""};
    const char *name = names[below(6)];
    wasmtime_extern_t item;
    if (wasmtime_caller_export_get(caller, name, strlen(name), &item)) take_extern(store, &item);
  }
  callback_ops(store);
  return end_callback(store, SIGNATURES[signature].results, results, nresults);
}

// For signature 1 only: the raw way trusts its callback.
static wasm_trap_t *raw_callback(void *env, wasmtime_caller_t *caller, wasmtime_val_raw_t *values, size_t len) {
  (void)env;
  check(len == 1);
  int32_t argument = values[0].i32;
  callback_ops(store_of(wasmtime_caller_context(caller)));
  if (once_in(10)) return wasmtime_trap_new("raw no", 6);
  values[0].i32 = argument + 1;
  return NULL;
}

static wasmtime_error_t *deadline(wasmtime_context_t *context, void *data, uint64_t *delta,
                                  wasmtime_update_deadline_kind_t *kind) {
  check(is_gift(data, OF_DEADLINE));
  callback_ops(store_of(context));
  if (once_in(4)) return wasmtime_error_new("late");
  *delta = size_or_edge(5);
  *kind = once_in(4) ? WASMTIME_UPDATE_DEADLINE_YIELD : WASMTIME_UPDATE_DEADLINE_CONTINUE;
  return NULL;
}

// -- Entering and leaving calls

// Futures have stacks of their own, where a call may stay suspended, and guests of other stores with it.

static struct pending *current; // the future whose stack we are on
static int current_store;       // its store

// Whether a use of a store counts: those on the stack of the store's own future may never come back.
static bool enter(int store) {
  bool counted = !current || current_store != store;
  if (counted) stores[store].active++;
  depth++;
  return counted;
}

static void leave(int store, bool counted) {
  if (counted) stores[store].active--;
  depth--;
}

// -- Operations. `s` is a store that is there.

static void new_store(int slot) {
  int engine = (int)below(ENGINES);
  bool counted = !once_in(4);
  stores[slot].store = wasmtime_store_new(engines[engine], counted ? give_away(OF_STORE) : NULL, counted ? finalize : NULL);
  stores[slot].context = wasmtime_store_context(stores[slot].store);
  stores[slot].engine = engine;
  stores[slot].generation++;
  stores[slot].active = 0;
  stores[slot].going = false;
  wasmtime_externref_t ref;
  check(wasmtime_externref_new(stores[slot].context, NULL, NULL, &ref));
  stores[slot].id = ref.store_id;
  wasmtime_externref_unroot(&ref);
  if (once_in(3))
    wasmtime_store_limiter(stores[slot].store, (int64_t)below(1 << 21), (int64_t)below(200), (int64_t)below(8),
                           (int64_t)below(8), (int64_t)below(8));
  if (has_fuel(engine)) drop_error(wasmtime_context_set_fuel(stores[slot].context, size_or_edge(50000)));
  if (has_epochs(engine)) {
    wasmtime_context_set_epoch_deadline(stores[slot].context, size_or_edge(4));
    if (once_in(2)) wasmtime_store_epoch_deadline_callback(stores[slot].store, deadline, give_away(OF_DEADLINE), finalize);
  }
}

static void op_new_store(int s) {
  (void)s;
  for (int slot = 0; slot < STORES; slot++)
    if (!stores[slot].store) return new_store(slot);
}

static void set_running(int s, bool running) {
  for (size_t i = 0; i < num_futures; i++)
    if (belongs(futures[i].origin, s)) futures[i].it->running = running;
}

// Calls that wait in it come to an end, so that their host functions run once more, and must leave those calls alone.
static void delete_store(int s) {
  for (size_t i = num_exns; i-- > 0;)
    if (belongs(exns[i].origin, s)) drop_exn(&exns[i].it), remove_exns(i);
  for (size_t i = num_natives; i-- > 0;)
    if (belongs(natives[i].origin, s)) remove_natives(i);
  struct pending *outer = current;
  current = NULL;
  stores[s].going = true;
  set_running(s, true);
  bool entry = enter(s);
  wasmtime_store_delete(stores[s].store);
  leave(s, entry);
  set_running(s, false);
  current = outer;
  stores[s].store = NULL;
}

static void op_delete_store(int s) {
  if (!stores[s].active && once_in(2)) delete_store(s);
}

static void op_store_settings(int s) {
  wasmtime_context_t *context = stores[s].context;
  uint64_t fuel;
  switch (below(6)) {
  case 0: drop_error(wasmtime_context_set_fuel(context, size_or_edge(100000))); break;
  case 1: drop_error(wasmtime_context_get_fuel(context, &fuel)); break;
  case 2: wasmtime_context_set_epoch_deadline(context, size_or_edge(10)); break;
  case 3: wasmtime_engine_increment_epoch(engines[below(ENGINES)]); break;
  case 4:
    check(!wasmtime_context_get_data(context) || is_gift(wasmtime_context_get_data(context), OF_STORE));
    break;
  case 5:
    if (has_epochs(stores[s].engine))
      wasmtime_store_epoch_deadline_callback(stores[s].store, deadline, give_away(OF_DEADLINE), finalize);
    break;
  }
}

static void op_wasi(int s) {
  wasi_config_t *config = wasi_config_new();
  const char *argv[] = {"a", "b"};
  check(wasi_config_set_argv(config, 2, argv));
  if (once_in(4))
    wasi_config_delete(config);
  else
    drop_error(wasmtime_context_set_wasi(stores[s].context, config));
}

static void op_gc(int s) { drop_error(wasmtime_context_gc(stores[s].context)); }

static _Noreturn void refused_guest(int engine, int guest, const wasmtime_error_t *error) {
  wasm_name_t message;
  wasmtime_error_message(error, &message);
  printf("guest %d in engine %d: %.*s\n", guest, engine, (int)message.size, message.data);
  broken("a guest is refused");
}

static void op_new_module(int s) {
  int guest = (int)below(GUESTS);
  wasmtime_module_t *module = NULL;
  int in = once_in(4) ? (int)below(ENGINES) : stores[s].engine;
  if (!takes_guest(in, guest)) return;
  wasm_engine_t *engine = engines[in];
  if (once_in(3)) {
    // Damaged. It may still be a module, but nobody knows what it would do.
    uint8_t bytes[4096];
    size_t size = guests[guest].size < sizeof bytes ? guests[guest].size : sizeof bytes;
    memcpy(bytes, guests[guest].data, size);
    for (uint64_t n = 1 + below(3); n > 0; n--) bytes[below(size)] = (uint8_t)rnd();
    if (once_in(3)) size = below(size + 1);
    drop_error(wasmtime_module_validate(engine, bytes, size));
    wasmtime_error_t *error = wasmtime_module_new(engine, bytes, size, &module);
    drop_error(error);
    if (!error) {
      wasm_byte_vec_t serialized;
      error = wasmtime_module_serialize(module, &serialized);
      drop_error(error);
      if (!error) wasm_byte_vec_delete(&serialized);
      wasmtime_module_delete(module);
    }
    return;
  }
  wasmtime_error_t *error =
      wasmtime_module_new(engine, (const uint8_t *)guests[guest].data, guests[guest].size, &module);
  if (error) refused_guest(in, guest, error);
  keep_modules(made_in(in), module);
}

static void op_module(int s) {
  int at = pick_modules(s);
  if (at < 0) return;
  wasmtime_module_t *module = modules[at].it;
  wasm_importtype_vec_t imports;
  wasm_exporttype_vec_t exports;
  wasm_byte_vec_t bytes;
  wasmtime_error_t *error;
  switch (below(4)) {
  case 0:
    wasmtime_module_imports(module, &imports);
    wasm_importtype_vec_delete(&imports);
    break;
  case 1:
    wasmtime_module_exports(module, &exports);
    wasm_exporttype_vec_delete(&exports);
    break;
  case 2: keep_modules(modules[at].origin, wasmtime_module_clone(module)); break;
  case 3:
    if ((error = wasmtime_module_serialize(module, &bytes))) {
      drop_error(error);
      break;
    }
    // Cut artifacts are refused; damaged ones are the embedder's fault.
    size_t size = once_in(3) ? below(bytes.size) : bytes.size;
    int in = (int)below(ENGINES);
    error = wasmtime_module_deserialize(engines[in], (uint8_t *)bytes.data, size, &module);
    check(error || size == bytes.size);
    drop_error(error);
    if (!error) keep_modules(made_in(in), module);
    wasm_byte_vec_delete(&bytes);
    break;
  }
}

static void take_instance(int s, const wasmtime_instance_t *instance) {
  keep_instances(owner(instance->store_id), *instance);
  char *name;
  size_t len;
  wasmtime_extern_t item;
  for (size_t i = 0; wasmtime_instance_export_nth(stores[s].context, instance, i, &name, &len, &item); i++)
    if (once_in(2))
      take_extern(s, &item);
    else
      wasmtime_extern_delete(&item);
}

static void op_instantiate(int s) {
  int at = pick_modules(s);
  if (at < 0) return;
  wasmtime_extern_t imports[8];
  wasm_importtype_vec_t types;
  wasmtime_module_imports(modules[at].it, &types);
  size_t count = 0;
  while (count < types.size && count < 8) {
    int kind = wasm_externtype_kind(wasm_importtype_type(types.data[count]));
    const wasm_memorytype_t *memory = wasm_externtype_as_memorytype_const(wasm_importtype_type(types.data[count]));
    if (memory && wasmtime_memorytype_isshared(memory)) kind = WASMTIME_EXTERN_SHAREDMEMORY;
    if (!some_extern(s, once_in(12) ? (int)below(5) : kind, &imports[count])) break;
    count++;
  }
  bool complete = count == types.size;
  wasm_importtype_vec_delete(&types);
  if (!complete && !once_in(6)) return;
  wasmtime_instance_t instance;
  wasm_trap_t *trap = NULL;
  bool entry = enter(s);
  wasmtime_error_t *error = wasmtime_instance_new(stores[s].context, modules[at].it, imports, count, &instance, &trap);
  leave(s, entry);
  note(error, trap, &instantiated);
  if (!error && !trap) take_instance(s, &instance);
  drop_error(error);
  drop_trap(trap);
}

static void op_exports(int s) {
  int at = pick_instances(s);
  if (at < 0) return;
  static const char *const names[] = {"m", "t", "g", "f", "load", "keep", "a", "", "_start", "none"};
  const char *name = names[below(10)];
  wasmtime_instance_t instance = instances[at].it;
  wasmtime_extern_t item;
  char *text;
  size_t len;
  // What is of another store has no exports here.
  bool ours = belongs(instances[at].origin, s);
  if (wasmtime_instance_export_get(stores[s].context, &instance, name, strlen(name), &item)) {
    check(ours);
    take_extern(s, &item);
  }
  if (wasmtime_instance_export_nth(stores[s].context, &instance, size_or_edge(5), &text, &len, &item)) {
    check(ours);
    take_extern(s, &item);
  }
}

static void op_new_func(int s) {
  size_t signature = below(NUM_SIGNATURES);
  wasm_functype_t *type = new_functype(signature);
  wasmtime_func_t func;
  if (signature == 1 && once_in(2))
    wasmtime_func_new_unchecked(stores[s].context, type, raw_callback, give_away(OF_FUNC), finalize, &func);
  else
    wasmtime_func_new(stores[s].context, type, callback, give_away(OF_FUNC), finalize, &func);
  wasm_functype_delete(type);
  keep_funcs(owner(func.store_id), func);
}

// The kinds that the function takes, and mostly how many go in and out. `kinds` has room for 16.
static void kinds_of(int s, const wasmtime_func_t *func, uint8_t *kinds, size_t *nargs, size_t *nresults) {
  wasm_functype_t *type = wasmtime_func_type(stores[s].context, func);
  const wasm_valtype_vec_t *params = wasm_functype_params(type);
  if (!once_in(12)) *nargs = params->size, *nresults = wasm_functype_results(type)->size;
  check(params->size <= 16 && wasm_functype_results(type)->size <= 16);
  for (size_t i = 0; i < params->size; i++) {
    static const uint8_t of[] = {WASMTIME_I32, WASMTIME_I64, WASMTIME_F32, WASMTIME_F64};
    wasm_valkind_t kind = wasm_valtype_kind(params->data[i]);
    kinds[i] = kind < 4 ? of[kind] : kind == WASM_FUNCREF ? WASMTIME_FUNCREF : WASMTIME_EXTERNREF;
  }
  wasm_functype_delete(type);
}

static void op_call(int s) {
  int at = pick_funcs(s);
  if (at < 0) return;
  wasmtime_func_t func = funcs[at].it;
  wasmtime_val_t args[16], results[16];
  size_t nargs = below(4), nresults = below(3);
  uint8_t kinds[16] = {0};
  if (belongs(funcs[at].origin, s)) kinds_of(s, &func, kinds, &nargs, &nresults);
  for (size_t i = 0; i < nargs; i++) args[i] = some_val(s, kinds[i]);
  wasm_trap_t *trap = NULL;
  bool entry = enter(s);
  wasmtime_error_t *error =
      wasmtime_func_call(stores[s].context, &func, args, nargs, results, nresults, once_in(20) ? NULL : &trap);
  leave(s, entry);
  check(error || trap || func.store_id == stores[s].id);
  note(error, trap, &called);
  if (!error && !trap)
    for (size_t i = 0; i < nresults; i++) take_val(&results[i]);
  drop_error(error);
  drop_trap(trap);
}

static void op_call_unchecked(int s) {
  int at = pick_funcs(s);
  if (at < 0) return;
  wasmtime_func_t func = funcs[at].it;
  wasmtime_val_raw_t values[16];
  memset(values, 0, sizeof values);
  if (belongs(funcs[at].origin, s)) {
    // Numbers as they come, references null.
    wasm_functype_t *type = wasmtime_func_type(stores[s].context, &func);
    const wasm_valtype_vec_t *params = wasm_functype_params(type);
    for (size_t i = 0; i < params->size; i++)
      if (wasm_valtype_kind(params->data[i]) == WASM_I32) values[i].i32 = (int32_t)size_or_edge(70000);
    wasm_functype_delete(type);
  }
  wasm_trap_t *trap = NULL;
  bool entry = enter(s);
  wasmtime_error_t *error =
      wasmtime_func_call_unchecked(stores[s].context, &func, values, once_in(12) ? below(2) : 16, &trap);
  leave(s, entry);
  drop_error(error);
  drop_trap(trap);
}

static void op_func(int s) {
  int at = pick_funcs(s);
  if (at < 0 || !belongs(funcs[at].origin, s)) return;
  wasmtime_func_t func = funcs[at].it, back;
  void *raw = wasmtime_func_to_raw(stores[s].context, &func);
  check(raw);
  wasmtime_func_from_raw(stores[s].context, raw, &back);
  check(back.store_id == func.store_id);
  keep_funcs(owner(back.store_id), back);
}

static void op_memory(int s) {
  wasmtime_memory_t memory;
  wasm_memorytype_t *type = NULL;
  uint64_t previous = 77;
  int at = pick_memories(s);
  if (at < 0 || once_in(8)) {
    bool has_max = once_in(2), wide = once_in(4), shared = once_in(8);
    wasmtime_error_t *error = wasmtime_memorytype_new(size_or_edge(5), has_max, size_or_edge(40), wide, shared,
                                                      once_in(6) ? (uint8_t)below(70) : 16, &type);
    drop_error(error);
    if (error) return;
    // The minimum may be anything: what isn't there can't be had.
    error = wasmtime_memory_new(stores[s].context, type, &memory);
    drop_error(error);
    wasm_memorytype_delete(type);
    if (!error) keep_memories(owner(memory.store_id), memory);
    return;
  }
  memory = memories[at].it;
  bool ours = belongs(memories[at].origin, s);
  wasmtime_error_t *error = wasmtime_memory_grow(stores[s].context, &memory, size_or_edge(4), &previous);
  check(ours || error);
  check(!error || previous == 77);
  drop_error(error);
  if (!ours) return;
  size_t size = wasmtime_memory_data_size(stores[s].context, &memory);
  uint8_t *data = wasmtime_memory_data(stores[s].context, &memory);
  check(size == wasmtime_memory_size(stores[s].context, &memory) * wasmtime_memory_page_size(stores[s].context, &memory));
  check(1ull << wasmtime_memory_page_size_log2(stores[s].context, &memory) ==
        wasmtime_memory_page_size(stores[s].context, &memory));
  if (size) data[0]++, data[size - 1]++, data[below(size)]++;
  type = wasmtime_memory_type(stores[s].context, &memory);
  wasm_memorytype_delete(type);
}

static void op_sharedmemory(int s) {
  int at = pick_shareds(s);
  if (at < 0 || once_in(6)) {
    wasm_memorytype_t *type = NULL;
    wasmtime_sharedmemory_t *memory = NULL;
    wasmtime_error_t *error = wasmtime_memorytype_new(below(4), true, below(6), false, !once_in(6), 16, &type);
    drop_error(error);
    if (error) return;
    error = wasmtime_sharedmemory_new(engines[below(ENGINES)], type, &memory);
    drop_error(error);
    wasm_memorytype_delete(type);
    if (!error) keep_shareds(made_in(stores[s].engine), memory);
    return;
  }
  wasmtime_sharedmemory_t *memory = shareds[at].it;
  uint64_t previous;
  drop_error(wasmtime_sharedmemory_grow(memory, size_or_edge(3), &previous));
  size_t size = wasmtime_sharedmemory_data_size(memory);
  uint8_t *data = wasmtime_sharedmemory_data(memory);
  check(size == wasmtime_sharedmemory_size(memory) << 16);
  if (size) data[size - 1]++;
  if (once_in(3)) keep_shareds(made_in(stores[s].engine), wasmtime_sharedmemory_clone(memory));
  wasm_memorytype_delete(wasmtime_sharedmemory_type(memory));
}

static void op_table(int s) {
  wasmtime_table_t table;
  uint8_t kind = once_in(2) ? WASMTIME_FUNCREF : WASMTIME_EXTERNREF;
  wasmtime_val_t val = some_val(s, kind), got;
  uint64_t previous = 77;
  wasmtime_error_t *error;
  int at = pick_tables(s);
  if (at < 0 || once_in(8)) {
    wasm_limits_t limits = {(uint32_t)below(6), once_in(2) ? wasm_limits_max_default : (uint32_t)below(40)};
    wasm_tabletype_t *type = wasm_tabletype_new(new_valtype(kind), &limits);
    error = wasmtime_table_new(stores[s].context, type, &val, &table);
    drop_error(error);
    wasm_tabletype_delete(type);
    if (!error) keep_tables(owner(table.store_id), table);
    return;
  }
  table = tables[at].it;
  bool ours = belongs(tables[at].origin, s);
  switch (below(3)) {
  case 0:
    error = wasmtime_table_set(stores[s].context, &table, size_or_edge(10), &val);
    check(ours || error);
    drop_error(error);
    break;
  case 1:
    error = wasmtime_table_grow(stores[s].context, &table, size_or_edge(8), &val, &previous);
    check(ours || error);
    check(!error || previous == 77);
    drop_error(error);
    break;
  case 2:
    if (!ours) break;
    uint64_t index = size_or_edge(10), size = wasmtime_table_size(stores[s].context, &table);
    bool there = wasmtime_table_get(stores[s].context, &table, index, &got);
    check(there == (index < size));
    if (there) take_val(&got);
    wasm_tabletype_delete(wasmtime_table_type(stores[s].context, &table));
    break;
  }
}

static void op_global(int s) {
  static const uint8_t kinds[] = {WASMTIME_I32, WASMTIME_I64, WASMTIME_EXTERNREF, WASMTIME_FUNCREF};
  wasmtime_global_t global;
  uint8_t kind = kinds[below(4)];
  wasmtime_val_t val = some_val(s, kind), got;
  wasmtime_error_t *error;
  int at = pick_globals(s);
  if (at < 0 || once_in(8)) {
    wasm_globaltype_t *type = wasm_globaltype_new(new_valtype(kind), once_in(4) ? WASM_CONST : WASM_VAR);
    error = wasmtime_global_new(stores[s].context, type, &val, &global);
    drop_error(error);
    wasm_globaltype_delete(type);
    if (!error) keep_globals(owner(global.store_id), global);
    return;
  }
  global = globals[at].it;
  bool ours = belongs(globals[at].origin, s);
  error = wasmtime_global_set(stores[s].context, &global, &val);
  check(ours || error);
  drop_error(error);
  if (!ours) return;
  wasmtime_global_get(stores[s].context, &global, &got);
  take_val(&got);
  wasm_globaltype_delete(wasmtime_global_type(stores[s].context, &global));
}

static void op_externref(int s) {
  wasmtime_externref_t ref, copy;
  int at = pick_externrefs(s);
  if (at < 0 || once_in(3)) {
    // The store's limits may leave no room for it: then it is finalized at once.
    if (wasmtime_externref_new(stores[s].context, give_away(OF_EXTERNREF), finalize, &ref))
      keep_externrefs(owner(ref.store_id), ref);
    return;
  }
  ref = externrefs[at].it;
  wasmtime_externref_clone(&ref, &copy);
  if (belongs(externrefs[at].origin, s)) {
    check(is_gift(wasmtime_externref_data(stores[s].context, &ref), OF_EXTERNREF));
    uint32_t raw = wasmtime_externref_to_raw(stores[s].context, &ref);
    check(raw);
    wasmtime_externref_t back;
    wasmtime_externref_from_raw(stores[s].context, raw, &back);
    check(is_gift(wasmtime_externref_data(stores[s].context, &back), OF_EXTERNREF));
    wasmtime_externref_unroot(&back);
  }
  if (once_in(2))
    keep_externrefs(externrefs[at].origin, copy);
  else
    wasmtime_externref_unroot(&copy);
}

static void op_extern_type(int s) {
  wasmtime_extern_t item;
  int kind = (int)below(5);
  if (!some_extern(s, kind, &item)) return;
  uint64_t id = kind == WASMTIME_EXTERN_FUNC     ? item.of.func.store_id
                : kind == WASMTIME_EXTERN_GLOBAL ? item.of.global.store_id
                : kind == WASMTIME_EXTERN_TABLE  ? item.of.table.store_id
                : kind == WASMTIME_EXTERN_MEMORY ? item.of.memory.store_id
                                                 : stores[s].id;
  if (id == stores[s].id) wasm_externtype_delete(wasmtime_extern_type(stores[s].context, &item));
}

// -- Linkers

static const char *some_name(void) {
  static const char *const names[] = {"f0", "f1", "f2", "f3", "m", "t", "g", "r", "x", "s", ""};
  return names[below(11)];
}

static void op_linker_define(int s) {
  int at = pick_linkers(s);
  if (at < 0 || once_in(10)) {
    int in = once_in(4) ? (int)below(ENGINES) : stores[s].engine;
    wasmtime_linker_t *linker = wasmtime_linker_new(engines[in]);
    if (once_in(2)) wasmtime_linker_allow_shadowing(linker, true);
    keep_linkers(made_in(in), linker);
    return;
  }
  wasmtime_linker_t *linker = linkers[at].it;
  if (once_in(8)) {
    keep_linkers(linkers[at].origin, wasmtime_linker_clone(linker));
    return;
  }
  const char *name = some_name();
  if (once_in(2)) {
    size_t signature = below(NUM_SIGNATURES);
    char f[3] = {'f', (char)('0' + signature), 0};
    wasm_functype_t *type = new_functype(signature);
    if (!once_in(6)) name = f;
    drop_error(signature == 1 && once_in(2)
                   ? wasmtime_linker_define_func_unchecked(linker, "env", 3, name, strlen(name), type, raw_callback,
                                                           give_away(OF_LINKER), finalize)
                   : wasmtime_linker_define_func(linker, "env", 3, name, strlen(name), type, callback, give_away(OF_LINKER),
                                                 finalize));
    wasm_functype_delete(type);
    return;
  }
  wasmtime_extern_t item;
  int kind = *name == 'm' ? WASMTIME_EXTERN_MEMORY : *name == 't' || *name == 'x' ? WASMTIME_EXTERN_TABLE
           : *name == 's' ? WASMTIME_EXTERN_SHAREDMEMORY : *name == 'f' ? WASMTIME_EXTERN_FUNC : WASMTIME_EXTERN_GLOBAL;
  if (some_extern(s, kind, &item))
    drop_error(wasmtime_linker_define(linker, stores[s].context, "env", 3, name, strlen(name), &item));
}

static void op_linker(int s) {
  int at = pick_linkers(s), module_at = pick_modules(s), instance_at;
  if (at < 0 || module_at < 0) return;
  wasmtime_linker_t *linker = linkers[at].it;
  wasmtime_module_t *module = modules[module_at].it;
  wasmtime_context_t *context = stores[s].context;
  wasmtime_instance_t instance;
  wasmtime_instance_pre_t *pre = NULL;
  wasmtime_extern_t item;
  wasmtime_func_t func;
  wasm_trap_t *trap = NULL;
  wasmtime_error_t *error = NULL;
  const char *name = some_name(), *space = once_in(2) ? "env" : "";
  bool entry = enter(s);
  switch (below(9)) {
  case 0: error = wasmtime_linker_define_wasi(linker); break;
  case 1:
    if ((instance_at = pick_instances(s)) < 0) break;
    instance = instances[instance_at].it;
    error = wasmtime_linker_define_instance(linker, context, "env", 3, &instance);
    break;
  case 2:
    error = wasmtime_linker_module(linker, context, space, strlen(space), module);
    break;
  case 3: error = wasmtime_linker_define_unknown_imports_as_traps(linker, module); break;
  case 4: error = wasmtime_linker_define_unknown_imports_as_default_values(linker, context, module); break;
  case 5:
    // Another engine's is misuse.
    if (of_engine(linkers[at].origin, s) && wasmtime_linker_get(linker, context, "env", 3, name, strlen(name), &item)) take_extern(s, &item);
    break;
  case 6:
    error = wasmtime_linker_get_default(linker, context, space, strlen(space), &func);
    if (!error) keep_funcs(owner(func.store_id), func);
    break;
  case 7:
    error = wasmtime_linker_instantiate_pre(linker, module, &pre);
    check(error || linkers[at].origin.store == modules[module_at].origin.store);
    if (!error) keep_pres(linkers[at].origin, pre);
    break;
  default:
    error = wasmtime_linker_instantiate(linker, context, module, &instance, &trap);
    if (!error && !trap) take_instance(s, &instance);
  }
  leave(s, entry);
  drop_error(error);
  drop_trap(trap);
}

static void op_instantiate_pre(int s) {
  int at = pick_pres(s);
  if (at < 0) return;
  wasmtime_instance_t instance;
  wasm_trap_t *trap = NULL;
  bool entry = enter(s);
  wasmtime_error_t *error = wasmtime_instance_pre_instantiate(pres[at].it, stores[s].context, &instance, &trap);
  leave(s, entry);
  if (!error && !trap) take_instance(s, &instance);
  drop_error(error);
  drop_trap(trap);
  if (once_in(4)) keep_modules(pres[at].origin, wasmtime_instance_pre_module(pres[at].it));
}

#include "extensions.h"
#include "futures.h"

// -- What ends the process by contract, in a child: it says which function was misused

static void op_misuse(int s) {
  if (!once_in(20) || getenv("AMPOULE_VALGRIND") || depth) return;
  int func_at = -1, memory_at = -1, table_at = -1, global_at = -1, linker_at = -1;
  for (size_t i = 0; i < num_funcs; i++) if (!belongs(funcs[i].origin, s)) func_at = (int)i;
  for (size_t i = 0; i < num_memories; i++) if (!belongs(memories[i].origin, s)) memory_at = (int)i;
  for (size_t i = 0; i < num_tables; i++) if (!belongs(tables[i].origin, s)) table_at = (int)i;
  for (size_t i = 0; i < num_globals; i++) if (!belongs(globals[i].origin, s)) global_at = (int)i;
  for (size_t i = 0; i < num_linkers; i++) if (!of_engine(linkers[i].origin, s)) linker_at = (int)i;
  static const char *const names[] = {"wasmtime_func_type",   "wasmtime_memory_data", "wasmtime_table_size", "wasmtime_global_get",
                                      "wasmtime_memory_size", "wasmtime_func_to_raw", "wasmtime_linker_get"};
  const int found[] = {func_at, memory_at, table_at, global_at, memory_at, func_at, linker_at};
  int which = (int)below(7), pipes[2];
  if (found[which] < 0) return;
  check(!pipe(pipes));
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    wasmtime_val_t val;
    wasmtime_extern_t item;
    dup2(pipes[1], 2);
    switch (which) {
    case 0: wasmtime_func_type(stores[s].context, &funcs[func_at].it); break;
    case 1: wasmtime_memory_data(stores[s].context, &memories[memory_at].it); break;
    case 2: wasmtime_table_size(stores[s].context, &tables[table_at].it); break;
    case 3: wasmtime_global_get(stores[s].context, &globals[global_at].it, &val); break;
    case 4: wasmtime_memory_size(stores[s].context, &memories[memory_at].it); break;
    case 5: wasmtime_func_to_raw(stores[s].context, &funcs[func_at].it); break;
    case 6: wasmtime_linker_get(linkers[linker_at].it, stores[s].context, "env", 3, "f0", 2, &item); break;
    }
    _exit(0);
  }
  close(pipes[1]);
  char said[512] = {0};
  size_t len = 0;
  for (ssize_t more; (more = read(pipes[0], said + len, sizeof said - 1 - len)) > 0;) len += (size_t)more;
  close(pipes[0]);
  int status;
  check(waitpid(child, &status, 0) == child);
  if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT || !strstr(said, names[which])) {
    printf("%s with a wrong store: status 0x%x, says %s\n", names[which], status, said);
    broken("misuse isn't told");
  }
}

// -- Stores that enter each other, in whatever order their calls and futures are then to end

static void cross_op(void) {
  int store = any_store();
  if (store < 0) return;
  budget--;
  if (verbose) printf("%*scross in %d\n", 2 * depth, "", store);
  if (once_in(3))
    op_future(store);
  else
    op_call(store);
}

// -- Seeds

#define OP(name, weight) {#name, op_##name, weight}
static const struct {
  const char *name;
  void (*run)(int store);
  unsigned weight;
} KINDS[] = {
    OP(new_store, 4),  OP(delete_store, 2), OP(store_settings, 6), OP(wasi, 1),          OP(gc, 3),
    OP(new_module, 6), OP(module, 3),       OP(instantiate, 20),   OP(exports, 8),       OP(new_func, 8),
    OP(call, 30),      OP(func, 2),         OP(call_unchecked, 8), OP(memory, 8),        OP(sharedmemory, 3),
    OP(table, 8),      OP(global, 8),       OP(externref, 8),      OP(extern_type, 1),   OP(linker_define, 10),
    OP(linker, 14),    OP(misuse, 1),       OP(instantiate_pre, 4), OP(future, 24),      OP(yielding, 2),     OP(later, 4),
    OP(cancel, 4),     OP(limiter, 2),      OP(exception, 6),    OP(integer, 2),       OP(native, 6),
    OP(statistics, 1),
};
enum { NUM_KINDS = sizeof KINDS / sizeof *KINDS };

// An operation; in a callback, mostly on the store that calls.
static void some_op(int within) {
  static unsigned total;
  if (!total)
    for (size_t i = 0; i < NUM_KINDS; i++) total += KINDS[i].weight;
  budget--;
  size_t kind = 0;
  for (uint64_t left = below(total); left >= KINDS[kind].weight; kind++) left -= KINDS[kind].weight;
  int store = within >= 0 && !once_in(4) ? within : any_store();
  if (store < 0) new_store(store = 0);
  if (verbose) printf("%*s%s in %d\n", 2 * depth, "", KINDS[kind].name, store);
  KINDS[kind].run(store);
}

static void run_seed(uint64_t seed) {
  rng = seed * 0x2545f4914f6cdd1d + 1;
  memset(gifts, 0, sizeof gifts);
  depth = 0, current = NULL;
  budget = OPS;
  for (int i = 0; i < STORES; i++) stores[i].store = NULL, stores[i].generation = 1;
  make_engines();
  // Something to begin with: each engine has most of the modules, and a store.
  for (int i = 0; i < ENGINES; i++) {
    new_store(i);
    for (int guest = 0; guest < GUESTS; guest++) {
      wasmtime_module_t *module;
      if (once_in(4) || !takes_guest(i, guest)) continue;
      wasmtime_error_t *error =
          wasmtime_module_new(engines[i], (const uint8_t *)guests[guest].data, guests[guest].size, &module);
      if (error) refused_guest(i, guest, error);
      keep_modules(made_in(i), module);
    }
  }
  for (int i = 0; i < ENGINES; i++)
    if (stores[i].store && once_in(2)) prepare_waiting(i);
  while (budget > 0) some_op(-1);
  // The end, in an order of the seed's choice.
  bool stores_first = once_in(2), engines_first = once_in(2);
  if (engines_first)
    for (int i = 0; i < ENGINES; i++) wasm_engine_delete(engines[i]);
  for (int round = 0; round < 2; round++) {
    if (stores_first == (round == 0)) {
      // One whose guest was left on the stack of another's future comes after that.
      for (bool more = true; more;) {
        more = false;
        for (int i = 0; i < STORES; i++)
          if (stores[i].store && !stores[i].active) delete_store(i), more = true;
      }
    } else {
      end_futures();
      forget_pres(), forget_linkers(), forget_modules(), forget_shareds(), forget_externrefs();
      forget_anyrefs(), forget_exnrefs(), forget_tokens(), forget_exns();
    }
  }
  forget_funcs(), forget_memories(), forget_tables(), forget_globals(), forget_instances();
  forget_tags(), forget_natives();
  if (!engines_first)
    for (int i = 0; i < ENGINES; i++) wasm_engine_delete(engines[i]);
  for (int i = 0; i < GIFTS; i++) {
    if (gifts[i].given == gifts[i].finalized) continue;
    printf("%s: %ld were given away, %ld finalized\n", GIFT_NAMES[i], gifts[i].given, gifts[i].finalized);
    broken("finalizers don't count");
  }
}

// Runs seeds in a process of its own, one after the other, until `end`. `seed` and `count` are shared with the parent.
static _Noreturn void worker(volatile uint64_t *seed, volatile uint64_t *count, uint64_t step, time_t end) {
  make_guests();
  do {
    alarm(SECONDS_FOR_SEED);
    run_seed(*seed);
    *seed += step;
    ++*count;
  } while (time(NULL) < end);
  for (int i = 0; i < GUESTS; i++) wasm_byte_vec_delete(&guests[i]);
  _exit(0);
}

static int run_for(const char *program, long seconds, uint64_t first) {
  enum { MAX_WORKERS = 64 };
  long workers = sysconf(_SC_NPROCESSORS_ONLN);
  if (workers < 1) workers = 1;
  if (workers > MAX_WORKERS) workers = MAX_WORKERS;
  volatile uint64_t *shared = mmap(NULL, sizeof(uint64_t[2 * MAX_WORKERS]), PROT_READ | PROT_WRITE,
                                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  pid_t pids[MAX_WORKERS];
  time_t end = time(NULL) + seconds;
  printf("%ld processes for %ld s, from seed %llu\n", workers, seconds, (unsigned long long)first);
  fflush(stdout);
  for (long i = 0; i < workers; i++) {
    shared[2 * i] = first + (uint64_t)i;
    if (!(pids[i] = fork())) worker(&shared[2 * i], &shared[2 * i + 1], (uint64_t)workers, end);
  }
  uint64_t count = 0;
  int failed = 0;
  for (long i = 0; i < workers; i++) {
    int status;
    waitpid(pids[i], &status, 0);
    count += shared[2 * i + 1];
    if (!status) continue;
    failed = 1;
    printf("FAIL seed %llu: status 0x%x\nagain: %s %llu\n", (unsigned long long)shared[2 * i], status, program,
           (unsigned long long)shared[2 * i]);
  }
  printf("%llu seeds of %d operations\n", (unsigned long long)count, OPS);
  return failed;
}

int main(int argc, char **argv) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  long seconds = 0;
  uint64_t seed = (uint64_t)time(NULL) * 1000003;
  bool chosen = false;
  for (int i = 1; i < argc; i++) {
    if (!strcmp(argv[i], "--seconds") && i + 1 < argc)
      seconds = atol(argv[++i]);
    else if (!strcmp(argv[i], "--from") && i + 1 < argc)
      seed = strtoull(argv[++i], NULL, 10);
    else
      seed = strtoull(argv[i], NULL, 10), chosen = true;
  }
  if (!chosen) return run_for(argv[0], seconds ? seconds : 60, seed);
  verbose = true;
  make_guests();
  run_seed(seed);
  for (int i = 0; i < GUESTS; i++) wasm_byte_vec_delete(&guests[i]);
  printf("seed %llu holds: %u instances made, %u calls came back, %u trapped, %u refused, %u polls waited\n",
         (unsigned long long)seed, instantiated, called, trapped, refused, waited);
  return 0;
}
