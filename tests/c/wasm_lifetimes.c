// The portable API at work, lives of objects: hostref, finalize, serialize and threads; and every order of dropping.

#include "portable.h"

#include <pthread.h>

static wasm_trap_t *answer(void *env, const wasm_val_vec_t *args, wasm_val_vec_t *results) {
  (void)args;
  results->data[0] = i32(*(int *)env);
  return NULL;
}

static void count_down(void *env) { --*(int *)env; }

// -- hostref: references that the host hands out and gets back

static const char *const KEEPER =
    "(module"
    "  (global $g (export \"global\") (mut funcref) (ref.null func))"
    "  (table $t (export \"table\") 2 4 funcref)"
    "  (func (export \"keep\") (param funcref) (global.set $g (local.get 0)))"
    "  (func (export \"kept\") (result funcref) (global.get $g))"
    "  (func (export \"put\") (param i32 funcref) (table.set $t (local.get 0) (local.get 1)))"
    "  (func (export \"call\") (param i32) (result i32) (call_indirect (result i32) (local.get 0)))"
    "  (func $seven (export \"seven\") (result i32) i32.const 7)"
    "  (elem declare func $seven)"
    "  (func (export \"ref\") (result funcref) (ref.func $seven))"
    "  (func (export \"same\") (param externref) (result externref) (local.get 0)))";

static wasm_ref_t *ref_from(const wasm_func_t *func) {
  wasm_val_t out[1] = {WASM_INIT_VAL};
  wasm_val_vec_t outs = WASM_ARRAY_VEC(out);
  expect_no_trap(wasm_func_call(func, &NO_VALS, &outs));
  expect(out[0].kind == WASM_FUNCREF);
  return out[0].of.ref;
}

static void references_travel(void) {
  wasm_extern_vec_t exports;
  wasm_instance_t *instance = instance_of(KEEPER, &NO_EXTERNS, &exports);
  wasm_func_t *keep = func_at(&exports, 2), *kept = func_at(&exports, 3), *put = func_at(&exports, 4);
  expect(ref_from(kept) == NULL);
  wasm_ref_t *seven = ref_from(func_at(&exports, 7));
  need(seven != NULL);
  // Into a global, as an argument that the caller keeps.
  wasm_val_t arg[1] = {ref_val(WASM_FUNCREF, seven)}, *nothing = NULL;
  wasm_val_vec_t args = WASM_ARRAY_VEC(arg), none = {0, nothing};
  expect_no_trap(wasm_func_call(keep, &args, &none));
  wasm_ref_t *back = ref_from(kept);
  need(back != NULL);
  // Into a table, from where the guest calls it.
  wasm_val_t put_arg[2] = {WASM_I32_VAL(1), ref_val(WASM_FUNCREF, back)};
  wasm_val_vec_t put_args = WASM_ARRAY_VEC(put_arg);
  expect_no_trap(wasm_func_call(put, &put_args, &none));
  wasm_ref_delete(back);
  expect(call1(func_at(&exports, 5), 1) == 7);
  // The host reads and writes the global itself.
  wasm_global_t *global = wasm_extern_as_global(exports.data[0]);
  wasm_val_t val, null = ref_val(WASM_FUNCREF, NULL), copy;
  wasm_global_get(global, &val);
  expect(val.kind == WASM_FUNCREF && val.of.ref != NULL);
  wasm_val_copy(&copy, &val);
  wasm_val_delete(&val);
  wasm_global_set(global, &null);
  expect(ref_from(kept) == NULL);
  wasm_global_set(global, &copy);
  back = ref_from(kept);
  expect(back != NULL);
  if (back) wasm_ref_delete(back);
  wasm_val_delete(&copy);
  wasm_ref_t *second = wasm_ref_copy(seven);
  wasm_ref_delete(seven);
  wasm_ref_delete(second);
  wasm_extern_vec_delete(&exports);
  wasm_instance_delete(instance);
}

static void a_null_of_the_host_goes_through_as_null(void) {
  wasm_extern_vec_t exports;
  wasm_instance_t *instance = instance_of(KEEPER, &NO_EXTERNS, &exports);
  wasm_val_t null[1] = {WASM_INIT_VAL}, out[1] = {i32(0)};
  wasm_val_vec_t args = WASM_ARRAY_VEC(null), outs = WASM_ARRAY_VEC(out);
  expect_no_trap(wasm_func_call(func_at(&exports, 8), &args, &outs));
  expect(out[0].kind == WASM_EXTERNREF && out[0].of.ref == NULL);
  wasm_extern_vec_delete(&exports);
  wasm_instance_delete(instance);
}

// Host information is the object's, whichever handle it is seen through.
static void objects_keep_host_information(void) {
  static int infos[3];
  wasm_extern_vec_t exports;
  wasm_instance_t *instance =
      instance_of("(module (func (export \"f\")) (memory (export \"m\") 1))", &NO_EXTERNS, &exports);
  wasm_memory_t *memory = wasm_extern_as_memory(exports.data[1]);
  wasm_func_set_host_info(func_at(&exports, 0), &infos[0]);
  wasm_memory_set_host_info(memory, &infos[1]);
  wasm_instance_set_host_info(instance, &infos[2]);
  wasm_func_t *copy = wasm_func_copy(func_at(&exports, 0));
  expect(wasm_func_get_host_info(copy) == &infos[0] && wasm_memory_get_host_info(memory) == &infos[1]);
  expect(wasm_instance_get_host_info(instance) == &infos[2]);
  const wasm_ref_t *view = wasm_extern_as_ref_const(exports.data[0]);
  expect(view && wasm_ref_get_host_info(view) == &infos[0]);
  wasm_ref_set_host_info(wasm_func_as_ref(copy), &infos[1]);
  expect(wasm_func_get_host_info(func_at(&exports, 0)) == &infos[1]);
  wasm_func_delete(copy);
  wasm_extern_vec_delete(&exports);
  wasm_instance_delete(instance);
}

// -- finalize: what was given with a finalizer is finalized once, when nothing can reach it any more

static wasm_func_t *answering(int *env) {
  wasm_functype_t *type = wasm_functype_new_0_1(wasm_valtype_new_i32());
  wasm_func_t *func = wasm_func_new_with_env(store, type, answer, env, count_down);
  wasm_functype_delete(type);
  need(func != NULL);
  return func;
}

static void finalize(void) {
  enum { COUNT = 100 };
  static int env[COUNT];
  wasm_extern_vec_t kept[COUNT / 10];
  for (int i = 0; i < COUNT; i++) {
    env[i] = i + 1000;
    wasm_func_t *func = answering(&env[i]);
    wasm_extern_t *imports[1] = {wasm_func_as_extern(func)};
    wasm_extern_vec_t import_vec = WASM_ARRAY_VEC(imports), exports;
    wasm_instance_t *instance =
        instance_of("(module (import \"\" \"\" (func (result i32))) (export \"f\" (func 0)))", &import_vec, &exports);
    expect(call0(func_at(&exports, 0)) == i + 1000);
    wasm_func_delete(func);
    wasm_instance_delete(instance);
    // Some exports outlive everything else.
    if (i % 10 == 0)
      kept[i / 10] = exports;
    else
      wasm_extern_vec_delete(&exports);
  }
  wasm_store_delete(store);
  wasm_engine_delete(engine);
  store = NULL;
  engine = NULL;
  // The store is there as long as something of it is, and with it what it was given.
  for (int i = 0; i < COUNT / 10; i++) {
    expect(env[i * 10] == i * 10 + 1000 && call0(func_at(&kept[i], 0)) == i * 10 + 1000);
    wasm_extern_vec_delete(&kept[i]);
  }
  for (int i = 0; i < COUNT; i++) expect(env[i] == i + 999);
}

// Finalizers count exactly where making or running something fails, too.
static void finalizers_count_when_things_fail(void) {
  static int env[3];
  for (int i = 0; i < 3; i++) env[i] = 1;
  wasm_func_t *funcs[3];
  for (int i = 0; i < 3; i++) funcs[i] = answering(&env[i]);
  wasm_extern_t *imports[2] = {wasm_func_as_extern(funcs[0]), wasm_func_as_extern(funcs[1])};
  wasm_extern_vec_t one = {1, imports}, two = {2, imports};
  wasm_module_t *wrong = module_of("(module (import \"\" \"\" (func (param i32))))");
  wasm_module_t *traps = module_of("(module (import \"\" \"\" (func (result i32))) (func $s unreachable) (start $s))");
  wasm_trap_t *trap = NULL;
  expect(wasm_instance_new(store, wrong, &one, &trap) == NULL);
  expect_trap_says(trap, "incompatible import type");
  trap = NULL;
  expect(wasm_instance_new(store, traps, &two, &trap) == NULL);
  expect_trap_says(trap, "expected 1 imports, found 2");
  trap = NULL;
  expect(wasm_instance_new(store, traps, &one, &trap) == NULL);
  expect_trap_says(trap, "unreachable");
  expect(wasm_instance_new(store, traps, &one, NULL) == NULL);
  // A call that doesn't fit doesn't happen.
  wasm_val_t arg[1] = {WASM_I32_VAL(1)}, out[1] = {WASM_INIT_VAL};
  wasm_val_vec_t args = WASM_ARRAY_VEC(arg), outs = WASM_ARRAY_VEC(out);
  trap = wasm_func_call(funcs[2], &args, &outs);
  expect_trap_says(trap, "expected 0 arguments, got 1");
  expect(env[0] == 1 && env[1] == 1 && env[2] == 1);
  wasm_store_delete(store);
  store = NULL;
  wasm_module_delete(wrong);
  wasm_module_delete(traps);
  for (int i = 0; i < 3; i++) wasm_func_delete(funcs[i]);
  expect(env[0] == 0 && env[1] == 0 && env[2] == 0);
}

static void objects_go_in_any_order(void) {
  static int env;
  for (unsigned seed = 0; seed < 720; seed += 7) {
    if (engine) wasm_engine_delete(engine);
    if (store) wasm_store_delete(store);
    engine = wasm_engine_new();
    store = wasm_store_new(engine);
    env = 1;
    wasm_func_t *func = answering(&env);
    wasm_module_t *module = module_of(
        "(module (import \"\" \"\" (func (result i32))) (memory (export \"m\") 1) (export \"f\" (func 0)))");
    wasm_extern_t *imports[1] = {wasm_func_as_extern(func)};
    wasm_extern_vec_t import_vec = WASM_ARRAY_VEC(imports), exports;
    wasm_instance_t *instance = wasm_instance_new(store, module, &import_vec, NULL);
    need(instance != NULL);
    wasm_instance_exports(instance, &exports);
    // The seed is the number of a permutation.
    int order[6] = {0, 1, 2, 3, 4, 5};
    for (unsigned i = 6, rest = seed; i > 1; rest /= i, i--) {
      int swapped = order[rest % i];
      order[rest % i] = order[i - 1];
      order[i - 1] = swapped;
    }
    // The last four keep the store, an engine and a module don't.
    for (int i = 0, keepers = 4; i < 6; i++) {
      expect(env == (keepers > 0));
      keepers -= order[i] >= 2;
      switch (order[i]) {
      case 0: wasm_engine_delete(engine); break;
      case 1: wasm_module_delete(module); break;
      case 2: wasm_store_delete(store); break;
      case 3: wasm_instance_delete(instance); break;
      case 4: wasm_extern_vec_delete(&exports); break;
      case 5: wasm_func_delete(func); break;
      }
    }
    engine = NULL;
    store = NULL;
    expect(env == 0);
  }
}

// A result that no wasm_val_t can hold is refused, and the reference beside it isn't lost.
static void results_are_all_given_or_none(void) {
  wasm_extern_vec_t exports;
  wasm_instance_t *instance = instance_of(
      "(module (func $f (export \"f\") (result funcref v128) (ref.func $f) (v128.const i64x2 0 0)))", &NO_EXTERNS,
      &exports);
  wasm_val_t out[2] = {WASM_I32_VAL(3), WASM_I32_VAL(4)};
  wasm_val_vec_t outs = WASM_ARRAY_VEC(out);
  expect_trap_says(wasm_func_call(func_at(&exports, 0), &NO_VALS, &outs), "vector");
  expect(out[0].kind == WASM_I32 && out[0].of.i32 == 3 && out[1].of.i32 == 4);
  wasm_extern_vec_delete(&exports);
  wasm_instance_delete(instance);
}

// -- serialize: a module goes through bytes, into another engine

static void serialize(void) {
  wasm_module_t *module = module_of(
      "(module (import \"\" \"hello\" (func $hello (result i32)))"
      "  (func (export \"run\") (result i32) (i32.add (call $hello) (i32.const 1))))");
  wasm_byte_vec_t bytes, copy;
  wasm_module_serialize(module, &bytes);
  need(bytes.size > 0);
  wasm_byte_vec_copy(&copy, &bytes);
  wasm_module_delete(module);
  wasm_store_delete(store);
  wasm_engine_delete(engine);
  engine = wasm_engine_new();
  store = wasm_store_new(engine);
  module = wasm_module_deserialize(store, &bytes);
  wasm_byte_vec_delete(&bytes);
  need(module != NULL);
  static int env;
  env = 41;
  wasm_func_t *func = answering(&env);
  wasm_extern_t *imports[1] = {wasm_func_as_extern(func)};
  wasm_extern_vec_t import_vec = WASM_ARRAY_VEC(imports), exports;
  wasm_instance_t *instance = wasm_instance_new(store, module, &import_vec, NULL);
  need(instance != NULL);
  wasm_instance_exports(instance, &exports);
  expect(call0(func_at(&exports, 0)) == 42);
  wasm_extern_vec_delete(&exports);
  wasm_instance_delete(instance);
  wasm_func_delete(func);
  wasm_module_delete(module);
  // Bytes that nobody wrote are refused.
  wasm_byte_vec_t none, half = {copy.size / 2, copy.data};
  wasm_byte_vec_new_empty(&none);
  expect(wasm_module_deserialize(store, &none) == NULL);
  expect(wasm_module_deserialize(store, &half) == NULL);
  copy.data[0] ^= 1;
  expect(wasm_module_deserialize(store, &copy) == NULL);
  wasm_byte_vec_delete(&copy);
}

static void what_is_no_module_is_refused(void) {
  wasm_byte_vec_t binary = binary_of("(module (func (export \"f\") (result i32) (i32.const 1)))"), empty = {0, NULL};
  expect(wasm_module_validate(store, &binary));
  expect(!wasm_module_validate(store, &empty) && wasm_module_new(store, &empty) == NULL);
  for (size_t size = 1; size < binary.size; size++) {
    // The header alone is a module, the types after it are; a function without its body isn't.
    wasm_byte_vec_t part = {size, binary.data};
    bool valid = wasm_module_validate(store, &part);
    expect(size > 8 || valid == (size == 8));
    expect(!valid || size < binary.size / 2);
    wasm_module_t *module = wasm_module_new(store, &part);
    expect((module != NULL) == valid);
    if (module) wasm_module_delete(module);
  }
  wasm_byte_vec_delete(&binary);
}

// -- threads: one module, shared; an engine for all, a store for each

enum { THREADS = 8, ROUNDS = 5 };

struct share {
  wasm_engine_t *engine;
  wasm_shared_module_t *module;
  int number, result;
};

static wasm_trap_t *add_number(void *env, const wasm_val_vec_t *args, wasm_val_vec_t *results) {
  results->data[0] = i32(args->data[0].of.i32 + ((struct share *)env)->number);
  return NULL;
}

static void *work(void *arg) {
  struct share *share = arg;
  for (int round = 0; round < ROUNDS; round++) {
    wasm_store_t *mine = wasm_store_new(share->engine);
    wasm_module_t *module = wasm_module_obtain(mine, share->module);
    wasm_functype_t *type = wasm_functype_new_1_1(wasm_valtype_new_i32(), wasm_valtype_new_i32());
    wasm_func_t *func = wasm_func_new_with_env(mine, type, add_number, share, NULL);
    wasm_functype_delete(type);
    wasm_globaltype_t *global_type = wasm_globaltype_new(wasm_valtype_new_i32(), WASM_CONST);
    wasm_val_t number = i32(share->number), results[1] = {WASM_INIT_VAL};
    wasm_global_t *global = wasm_global_new(mine, global_type, &number);
    wasm_globaltype_delete(global_type);
    wasm_extern_t *imports[2] = {wasm_func_as_extern(func), wasm_global_as_extern(global)};
    wasm_extern_vec_t import_vec = WASM_ARRAY_VEC(imports), exports;
    wasm_instance_t *instance = module ? wasm_instance_new(mine, module, &import_vec, NULL) : NULL;
    if (instance) {
      wasm_val_vec_t result_vec = WASM_ARRAY_VEC(results);
      wasm_instance_exports(instance, &exports);
      wasm_trap_t *trap = wasm_func_call(wasm_extern_as_func(exports.data[0]), &NO_VALS, &result_vec);
      if (trap)
        wasm_trap_delete(trap);
      else
        share->result += results[0].of.i32;
      wasm_extern_vec_delete(&exports);
      wasm_instance_delete(instance);
    }
    wasm_global_delete(global);
    wasm_func_delete(func);
    if (module) wasm_module_delete(module);
    wasm_store_delete(mine);
  }
  return NULL;
}

static void threads(void) {
  wasm_module_t *module = module_of(
      "(module (import \"\" \"add\" (func $add (param i32) (result i32))) (import \"\" \"n\" (global $n i32))"
      "  (func (export \"run\") (result i32) (call $add (i32.mul (global.get $n) (i32.const 100)))))");
  wasm_shared_module_t *shared = wasm_module_share(module);
  wasm_module_delete(module);
  pthread_t ids[THREADS];
  struct share shares[THREADS];
  for (int i = 0; i < THREADS; i++) {
    shares[i] = (struct share){engine, shared, i, 0};
    need(!pthread_create(&ids[i], NULL, work, &shares[i]));
  }
  for (int i = 0; i < THREADS; i++) {
    pthread_join(ids[i], NULL);
    expect(shares[i].result == ROUNDS * 101 * i);
  }
  wasm_shared_module_delete(shared);
}

int main(void) {
  RUN(references_travel);
  RUN_HERE(a_null_of_the_host_goes_through_as_null);
  RUN_HERE(objects_keep_host_information);
  RUN(finalize);
  RUN(finalizers_count_when_things_fail);
  RUN_HERE(results_are_all_given_or_none);
  RUN(objects_go_in_any_order);
  RUN(serialize);
  RUN(what_is_no_module_is_refused);
  RUN(threads);
  return test_summary();
}
