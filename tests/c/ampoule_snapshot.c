// ampoule/snapshot.h: instances are as they were, in their store, in another one, and out of bytes and files.
#include "test.h"

#include <ampoule.h>
#include <pthread.h>
#include <unistd.h>

static const char *const GUEST =
    "(module (import \"host\" \"next\" (func $next (result i32)))"
    "  (memory (export \"memory\") 1 4) (data (i32.const 8) \"first\") (data $later \"later\")"
    "  (table $table (export \"table\") 2 funcref) (elem (i32.const 0) $next)"
    "  (table $externs (export \"externs\") 1 externref)"
    "  (global $sum (export \"sum\") (mut i32) (i32.const 5))"
    "  (func (export \"add\") (result i32)"
    "    (global.set $sum (i32.add (global.get $sum) (call_indirect $table (result i32) (i32.const 0)))) (global.get $sum))"
    "  (func (export \"spoil\") (i32.store8 (i32.const 8) (i32.const 33)) (drop (memory.grow (i32.const 2)))"
    "    (i32.store8 (i32.const 131072) (i32.const 44)) (table.set $table (i32.const 0) (ref.null func))"
    "    (data.drop $later))"
    "  (func (export \"byte\") (param i32) (result i32) (i32.load8_u (local.get 0)))"
    "  (func (export \"pages\") (result i32) (memory.size))"
    "  (func (export \"later\") (result i32) (memory.init $later (i32.const 100) (i32.const 0) (i32.const 5))"
    "    (i32.load8_u (i32.const 100)))"
    "  (func (export \"trap\") unreachable))";

// A function of the host that answers what it was made with.
static wasm_trap_t *next(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                         wasmtime_val_t *results, size_t nresults) {
  (void)caller, (void)args, (void)nargs, (void)nresults;
  results[0].kind = WASMTIME_I32;
  results[0].of.i32 = *(const int *)env;
  return NULL;
}

static wasmtime_linker_t *linker_in(wasm_engine_t *of, const int *answer) {
  wasmtime_linker_t *linker = wasmtime_linker_new(of);
  wasm_valtype_vec_t params, results;
  wasm_valtype_vec_new_empty(&params);
  wasm_valtype_t *i32 = wasm_valtype_new(WASM_I32);
  wasm_valtype_vec_new(&results, 1, &i32);
  wasm_functype_t *type = wasm_functype_new(&params, &results);
  expect_ok(wasmtime_linker_define_func(linker, "host", 4, "next", 4, type, next, (void *)answer, NULL));
  wasm_functype_delete(type);
  return linker;
}

static wasmtime_instance_t guest(const wasmtime_linker_t *linker) {
  wasmtime_module_t *module = module_of(GUEST);
  wasmtime_instance_t instance;
  wasm_trap_t *trap = NULL;
  expect_ok(wasmtime_linker_instantiate(linker, ctx, module, &instance, &trap));
  wasmtime_module_delete(module);
  return instance;
}

// The result of an export without parameters, or with one; -1 where it traps.
static int call_in(wasmtime_context_t *in, const wasmtime_instance_t *instance, const char *name, int arg) {
  wasmtime_extern_t item;
  if (!expect(wasmtime_instance_export_get(in, instance, name, strlen(name), &item))) return -2;
  wasmtime_val_t args[1] = {i32_val(arg)}, results[1] = {i32_val(0)};
  wasm_trap_t *trap = NULL;
  bool takes = !strcmp(name, "byte"), gives = strcmp(name, "spoil") && strcmp(name, "trap");
  wasmtime_error_t *error = wasmtime_func_call(in, &item.of.func, args, takes, results, gives, &trap);
  if (error) wasmtime_error_delete(error);
  if (trap) wasm_trap_delete(trap);
  return error || trap ? -1 : results[0].of.i32;
}

static int run(const wasmtime_instance_t *instance, const char *name) { return call_in(ctx, instance, name, 0); }

static ampoule_snapshot_t *taken(const wasmtime_instance_t *instance) {
  ampoule_snapshot_t *snapshot = NULL;
  if (!expect_ok(ampoule_snapshot_take(ctx, instance, 1, NULL, &snapshot))) exit(1);
  return snapshot;
}

static const int TWO = 2, THREE = 3;

static void expect_spoiled(wasmtime_context_t *in, const wasmtime_instance_t *instance) {
  expect(call_in(in, instance, "spoil", 0) == 0 && call_in(in, instance, "byte", 8) == 33);
  expect(call_in(in, instance, "pages", 0) == 3 && call_in(in, instance, "byte", 131072) == 44);
  expect(call_in(in, instance, "add", 0) == -1 && call_in(in, instance, "later", 0) == -1);
}

static void expect_first(wasmtime_context_t *in, const wasmtime_instance_t *instance) {
  expect(call_in(in, instance, "byte", 8) == 'f' && call_in(in, instance, "pages", 0) == 1);
  expect(call_in(in, instance, "byte", 100) == 0);
  // Valgrind takes hardware faults for errors.
  if (!getenv("AMPOULE_VALGRIND")) expect(call_in(in, instance, "byte", 131072) == -1);
}

static void a_reset_instance_is_as_it_was(void) {
  wasmtime_linker_t *linker = linker_in(engine, &TWO);
  wasmtime_instance_t instance = guest(linker);
  expect(run(&instance, "add") == 7);
  ampoule_snapshot_t *snapshot = taken(&instance);
  for (int round = 0; round < 3; round++) {
    expect(run(&instance, "add") == 9);
    expect_spoiled(ctx, &instance);
    expect(run(&instance, "trap") == -1);
    expect_ok(ampoule_snapshot_reset(snapshot, ctx, &instance, 1, NULL));
    expect_first(ctx, &instance);
  }
  expect(run(&instance, "add") == 9 && run(&instance, "later") == 'l');
  // What can't be reset.
  expect_error_says(ampoule_snapshot_reset(snapshot, ctx, &instance, 0, NULL), "of 1 instances, and 0 are given");
  wasmtime_store_t *other = wasmtime_store_new(engine, NULL, NULL);
  expect_error(ampoule_snapshot_reset(snapshot, wasmtime_store_context(other), &instance, 1, NULL));
  wasmtime_store_delete(other);
  ampoule_snapshot_delete(snapshot);
  wasmtime_linker_delete(linker);
}

typedef struct {
  const ampoule_snapshot_t *snapshot;
  const wasmtime_linker_t *linker;
  wasm_engine_t *engine;
} shared_t;

static void *make_many(void *arg) {
  shared_t *shared = arg;
  for (int round = 0; round < 20; round++) {
    wasmtime_store_t *own = wasmtime_store_new(shared->engine, NULL, NULL);
    wasmtime_context_t *in = wasmtime_store_context(own);
    wasmtime_instance_t instance;
    wasmtime_error_t *error = ampoule_snapshot_instantiate(shared->snapshot, in, shared->linker, NULL, &instance, 1);
    if (error) return error;
    if (call_in(in, &instance, "add", 0) != 10) return in;
    expect_spoiled(in, &instance);
    wasmtime_store_delete(own);
  }
  return NULL;
}

static void instances_are_made_in_other_stores_on_any_thread(void) {
  wasmtime_linker_t *linker = linker_in(engine, &TWO), *other_linker = linker_in(engine, &THREE);
  wasmtime_instance_t instance = guest(linker);
  expect(run(&instance, "add") == 7);
  ampoule_snapshot_t *snapshot = taken(&instance), *clone = ampoule_snapshot_clone(snapshot);
  ampoule_snapshot_delete(snapshot);
  shared_t shared = {clone, other_linker, engine};
  pthread_t threads[4];
  for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, make_many, &shared);
  for (int i = 0; i < 4; i++) {
    void *answer = &shared;
    pthread_join(threads[i], &answer);
    expect(!answer);
  }
  expect(run(&instance, "add") == 9);
  // Imports one by one.
  wasm_importtype_vec_t imports;
  ampoule_snapshot_imports(clone, &imports);
  expect(imports.size == 1 && wasm_externtype_kind(wasm_importtype_type(imports.data[0])) == WASM_EXTERN_FUNC);
  wasm_importtype_vec_delete(&imports);
  wasmtime_extern_t item;
  expect(wasmtime_linker_get(other_linker, ctx, "host", 4, "next", 4, &item));
  wasmtime_instance_t again;
  expect_ok(ampoule_snapshot_instantiate_with(clone, ctx, &item, 1, NULL, &again, 1));
  expect(run(&again, "add") == 10);
  expect_error(ampoule_snapshot_instantiate_with(clone, ctx, NULL, 0, NULL, &again, 1));
  expect_error_says(ampoule_snapshot_instantiate(clone, ctx, linker, NULL, &again, 2), "there is room for 2");
  wasmtime_linker_t *none = wasmtime_linker_new(engine);
  expect_error_says(ampoule_snapshot_instantiate(clone, ctx, none, NULL, &again, 1), "`host::next` has not been defined");
  wasmtime_linker_delete(none);
  wasmtime_linker_delete(linker);
  wasmtime_linker_delete(other_linker);
  ampoule_snapshot_delete(clone);
}

static void bytes_and_files_make_the_same(void) {
  wasmtime_linker_t *linker = linker_in(engine, &TWO);
  wasmtime_instance_t instance = guest(linker);
  expect(run(&instance, "add") == 7);
  ampoule_snapshot_t *snapshot = taken(&instance);
  expect_ok(ampoule_snapshot_attach(snapshot, "mine", 4, (const uint8_t *)"bytes", 5));
  expect_error(ampoule_snapshot_attach(snapshot, "\xff", 1, NULL, 0));
  wasm_byte_vec_t bytes;
  expect_ok(ampoule_snapshot_serialize(snapshot, &bytes));
  ampoule_snapshot_delete(snapshot);

  char path[] = "/tmp/ampoule-snapshot-XXXXXX";
  int file = mkstemp(path);
  expect(write(file, bytes.data, bytes.size) == (ssize_t)bytes.size);
  close(file);
  wasm_engine_t *later = wasm_engine_new();
  wasmtime_linker_t *later_linker = linker_in(later, &THREE);
  for (int from_file = 0; from_file < 2; from_file++) {
    ampoule_snapshot_t *loaded = NULL;
    expect_ok(from_file ? ampoule_snapshot_deserialize_file(later, path, &loaded)
                        : ampoule_snapshot_deserialize(later, (const uint8_t *)bytes.data, bytes.size, &loaded));
    const uint8_t *section = NULL;
    size_t len = 0;
    expect(ampoule_snapshot_section(loaded, "mine", 4, &section, &len) && len == 5 && !memcmp(section, "bytes", 5));
    expect(!ampoule_snapshot_section(loaded, "other", 5, &section, &len));
    expect(ampoule_snapshot_len(loaded) == 1 && !ampoule_snapshot_module(loaded, 1));
    wasmtime_module_t *module = ampoule_snapshot_module(loaded, 0);
    expect(module != NULL);
    wasmtime_module_delete(module);
    wasmtime_store_t *own = wasmtime_store_new(later, NULL, NULL);
    wasmtime_context_t *in = wasmtime_store_context(own);
    wasmtime_instance_t made;
    expect_ok(ampoule_snapshot_instantiate(loaded, in, later_linker, NULL, &made, 1));
    expect(call_in(in, &made, "add", 0) == 10);
    expect_first(in, &made);
    expect_spoiled(in, &made);
    expect_ok(ampoule_snapshot_reset(loaded, in, &made, 1, NULL));
    expect_first(in, &made);
    ampoule_snapshot_delete(loaded);
    expect_first(in, &made);
    wasmtime_store_delete(own);
  }
  ampoule_snapshot_t *none = NULL;
  bytes.data[50] ^= 1;
  expect_error_says(ampoule_snapshot_deserialize(later, (const uint8_t *)bytes.data, bytes.size, &none), "damaged");
  expect_error_says(ampoule_snapshot_deserialize(later, (const uint8_t *)"x", 1, &none), "not a snapshot");
  expect_error(ampoule_snapshot_deserialize_file(later, "/nonexistent", &none));
  expect(!none);
  unlink(path);
  wasm_byte_vec_delete(&bytes);
  wasmtime_linker_delete(later_linker);
  wasmtime_linker_delete(linker);
  wasm_engine_delete(later);
}

// Values of the host, by number.
static int values[8], finalized;

static void finalize(void *data) { finalized++, (void)data; }

static wasmtime_error_t *save(void *env, void *data, uint64_t *number) {
  if (data == env) return wasmtime_error_new("not this one");
  *number = (uint64_t)((int *)data - values);
  return NULL;
}

static wasmtime_error_t *restore(void *env, uint64_t number, void **data, void (**finalizer)(void *)) {
  (void)env;
  if (number == 7) return wasmtime_error_new("gone");
  *data = &values[number + 1];
  *finalizer = finalize;
  return NULL;
}

static void put(const wasmtime_instance_t *instance, int number) {
  wasmtime_extern_t item;
  expect(wasmtime_instance_export_get(ctx, instance, "externs", 7, &item));
  wasmtime_val_t val = null_externref_val();
  expect(wasmtime_externref_new(ctx, &values[number], NULL, &val.of.externref));
  expect_ok(wasmtime_table_set(ctx, &item.of.table, 0, &val));
  wasmtime_val_unroot(&val);
}

// Which value is in the table.
static int number_in(wasmtime_context_t *in, const wasmtime_instance_t *instance) {
  wasmtime_extern_t item;
  expect(wasmtime_instance_export_get(in, instance, "externs", 7, &item));
  wasmtime_val_t val;
  if (!expect(wasmtime_table_get(in, &item.of.table, 0, &val))) return -1;
  int *data = wasmtime_externref_data(in, &val.of.externref);
  wasmtime_val_unroot(&val);
  return (int)(data - values);
}

static void values_of_the_host_have_numbers(void) {
  wasmtime_linker_t *linker = linker_in(engine, &TWO);
  wasmtime_instance_t instance = guest(linker);
  ampoule_host_references_t references = {&values[5], save, restore};
  ampoule_snapshot_t *snapshot = NULL;
  put(&instance, 5);
  expect_error_says(ampoule_snapshot_take(ctx, &instance, 1, &references, &snapshot), "not this one");
  expect_error_says(ampoule_snapshot_take(ctx, &instance, 1, NULL, &snapshot), "value of the host's");
  put(&instance, 3);
  expect_ok(ampoule_snapshot_take(ctx, &instance, 1, &references, &snapshot));
  finalized = 0;
  wasmtime_store_t *own = wasmtime_store_new(engine, NULL, NULL);
  wasmtime_context_t *in = wasmtime_store_context(own);
  wasmtime_instance_t made;
  expect_error(ampoule_snapshot_instantiate(snapshot, in, linker, NULL, &made, 1));
  expect_ok(ampoule_snapshot_instantiate(snapshot, in, linker, &references, &made, 1));
  expect(number_in(in, &made) == 4);
  wasmtime_store_delete(own);
  expect(finalized == 1);
  put(&instance, 6);
  expect_ok(ampoule_snapshot_reset(snapshot, ctx, &instance, 1, &references));
  expect(number_in(ctx, &instance) == 4);
  ampoule_snapshot_delete(snapshot);
  put(&instance, 7);
  expect_ok(ampoule_snapshot_take_all(ctx, &references, &snapshot));
  expect_error_says(ampoule_snapshot_reset(snapshot, ctx, &instance, 1, &references), "gone");
  expect(number_in(ctx, &instance) == 7);
  ampoule_snapshot_delete(snapshot);
  wasmtime_linker_delete(linker);
}

static void the_extension_has_a_name(void) { expect(ampoule_has("snapshot")); }

int main(void) {
  RUN(a_reset_instance_is_as_it_was);
  RUN(instances_are_made_in_other_stores_on_any_thread);
  RUN(bytes_and_files_make_the_same);
  RUN(values_of_the_host_have_numbers);
  RUN(the_extension_has_a_name);
  return test_summary();
}
