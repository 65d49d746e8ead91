// The portable API at work, calls between host and guest: hello, callback, trap, start and multi.

#include "portable.h"

// -- hello: the smallest host function, called once

static int greetings;

static wasm_trap_t *greet(const wasm_val_vec_t *args, wasm_val_vec_t *results) {
  expect(args->size == 0 && results->size == 0);
  greetings++;
  return NULL;
}

static wasm_func_t *host_func(wasm_functype_t *type, wasm_func_callback_t callback) {
  wasm_func_t *func = wasm_func_new(store, type, callback);
  wasm_functype_delete(type);
  need(func != NULL);
  return func;
}

static void hello(void) {
  greetings = 0;
  wasm_func_t *greeting = host_func(wasm_functype_new_0_0(), greet);
  wasm_extern_t *imports[1] = {wasm_func_as_extern(greeting)};
  wasm_extern_vec_t import_vec = WASM_ARRAY_VEC(imports), exports;
  wasm_instance_t *instance = instance_of(
      "(module (import \"world\" \"greet\" (func $greet)) (func (export \"main\") call $greet))", &import_vec, &exports);
  // The host function's handle is not needed any longer; the instance has what it needs.
  wasm_func_delete(greeting);
  wasm_instance_delete(instance);
  expect(greetings == 0);
  expect_no_trap(call(func_at(&exports, 0)));
  expect(greetings == 1);
  wasm_extern_vec_delete(&exports);
}

// -- callback: values go in and out, with and without an environment

static wasm_trap_t *twice(const wasm_val_vec_t *args, wasm_val_vec_t *results) {
  need(args->size == 1 && args->data[0].kind == WASM_I32 && results->size == 1);
  results->data[0] = i32(2 * args->data[0].of.i32);
  return NULL;
}

struct counter {
  int calls, step, finalized;
};

static wasm_trap_t *count(void *env, const wasm_val_vec_t *args, wasm_val_vec_t *results) {
  struct counter *counter = env;
  expect(args->size == 0);
  results->data[0] = i32(counter->step * ++counter->calls);
  return NULL;
}

static void counter_finalized(void *env) { ((struct counter *)env)->finalized++; }

static void callback(void) {
  struct counter counter = {.step = 100};
  wasm_func_t *doubling =
      host_func(wasm_functype_new_1_1(wasm_valtype_new_i32(), wasm_valtype_new_i32()), twice);
  wasm_functype_t *count_type = wasm_functype_new_0_1(wasm_valtype_new_i32());
  wasm_func_t *counting = wasm_func_new_with_env(store, count_type, count, &counter, counter_finalized);
  wasm_functype_delete(count_type);
  wasm_extern_t *imports[2] = {wasm_func_as_extern(doubling), wasm_func_as_extern(counting)};
  wasm_extern_vec_t import_vec = WASM_ARRAY_VEC(imports), exports;
  wasm_instance_t *instance = instance_of(
      "(module"
      "  (import \"\" \"twice\" (func $twice (param i32) (result i32)))"
      "  (import \"\" \"count\" (func $count (result i32)))"
      "  (func (export \"run\") (param i32) (result i32)"
      "    (i32.add (call $twice (call $twice (local.get 0))) (call $count))))",
      &import_vec, &exports);
  expect(call1(func_at(&exports, 0), 3) == 112);
  expect(call1(func_at(&exports, 0), 4) == 216);
  // Called by the host itself, too.
  expect(call1(doubling, 21) == 42 && call0(counting) == 300);
  expect(wasm_func_param_arity(doubling) == 1 && wasm_func_result_arity(counting) == 1);
  wasm_func_delete(doubling);
  wasm_func_delete(counting);
  wasm_extern_vec_delete(&exports);
  wasm_instance_delete(instance);
  wasm_store_delete(store);
  store = NULL;
  expect(counter.calls == 3 && counter.finalized == 1);
}

// -- trap: from the guest and from the host, with message and frames

static wasm_trap_t *refuse(void *env, const wasm_val_vec_t *args, wasm_val_vec_t *results) {
  (void)args, (void)results;
  return trap_that_says(env);
}

static void trap(void) {
  static char reason[] = "the host refuses";
  wasm_functype_t *type = wasm_functype_new_0_1(wasm_valtype_new_i32());
  wasm_func_t *refusing = wasm_func_new_with_env(store, type, refuse, reason, NULL);
  wasm_functype_delete(type);
  wasm_extern_t *imports[1] = {wasm_func_as_extern(refusing)};
  wasm_extern_vec_t import_vec = WASM_ARRAY_VEC(imports), exports;
  wasm_instance_t *instance = instance_of(
      "(module (import \"\" \"refuse\" (func $refuse (result i32)))"
      "  (func (export \"asks\") (result i32) call $middle)"
      "  (func $middle (result i32) call $refuse)"
      "  (func (export \"stops\") (result i32) unreachable))",
      &import_vec, &exports);
  wasm_val_t results[1] = {i32(7)};
  wasm_val_vec_t result_vec = WASM_ARRAY_VEC(results);
  expect_trap_says(wasm_func_call(func_at(&exports, 0), &NO_VALS, &result_vec), reason);

  wasm_trap_t *stopped = wasm_func_call(func_at(&exports, 1), &NO_VALS, &result_vec);
  need(stopped != NULL);
  wasm_frame_t *origin = wasm_trap_origin(stopped);
  need(origin != NULL);
  expect(wasm_frame_func_index(origin) == 3);
  expect(wasm_frame_module_offset(origin) > wasm_frame_func_offset(origin) && wasm_frame_func_offset(origin) > 0);
  wasm_frame_t *copy = wasm_frame_copy(origin);
  wasm_frame_delete(origin);
  expect(wasm_frame_func_index(copy) == 3);
  wasm_frame_delete(copy);
  wasm_frame_vec_t trace;
  wasm_trap_trace(stopped, &trace);
  expect(trace.size == 1 && wasm_frame_func_index(trace.data[0]) == 3);
  wasm_frame_vec_t trace_copy;
  wasm_frame_vec_copy(&trace_copy, &trace);
  wasm_frame_vec_delete(&trace);
  expect(trace_copy.size == 1);
  wasm_frame_vec_delete(&trace_copy);
  wasm_trap_t *same = wasm_trap_copy(stopped);
  wasm_trap_delete(stopped);
  expect_trap_says(same, "unreachable");

  // A trap that nobody has thrown yet has no frames.
  wasm_trap_t *fresh = trap_that_says("fresh");
  expect(wasm_trap_origin(fresh) == NULL);
  wasm_trap_trace(fresh, &trace);
  expect(trace.size == 0);
  wasm_frame_vec_delete(&trace);
  expect_trap_says(fresh, "fresh");

  wasm_extern_vec_delete(&exports);
  wasm_instance_delete(instance);
  wasm_func_delete(refusing);
}

// -- start: a start function that traps makes no instance, but what it did before stays done

static void start(void) {
  wasm_module_t *module = module_of("(module (func $start unreachable) (start $start))");
  wasm_trap_t *trap = NULL;
  expect(wasm_instance_new(store, module, &NO_EXTERNS, &trap) == NULL);
  need(trap != NULL);
  wasm_frame_t *origin = wasm_trap_origin(trap);
  expect(origin != NULL && wasm_frame_func_index(origin) == 0);
  if (origin) wasm_frame_delete(origin);
  wasm_frame_vec_t trace;
  wasm_trap_trace(trap, &trace);
  expect(trace.size == 1);
  wasm_frame_vec_delete(&trace);
  expect_trap_says(trap, "unreachable");
  wasm_module_delete(module);
}

static void start_runs_before_the_host_can_call(void) {
  greetings = 0;
  wasm_func_t *greeting = host_func(wasm_functype_new_0_0(), greet);
  wasm_extern_t *imports[1] = {wasm_func_as_extern(greeting)};
  wasm_extern_vec_t import_vec = WASM_ARRAY_VEC(imports), exports;
  wasm_instance_t *instance =
      instance_of("(module (import \"\" \"greet\" (func $greet)) (start $greet))", &import_vec, &exports);
  expect(greetings == 1 && exports.size == 0);
  wasm_extern_vec_delete(&exports);
  wasm_instance_delete(instance);
  wasm_func_delete(greeting);
}

// -- multi: several results, in both directions

static wasm_trap_t *reverse(const wasm_val_vec_t *args, wasm_val_vec_t *results) {
  need(args->size == results->size);
  for (size_t i = 0; i < args->size; i++) wasm_val_copy(&results->data[i], &args->data[args->size - 1 - i]);
  return NULL;
}

static wasm_valtype_vec_t types_of(size_t count, const wasm_valkind_t *kinds) {
  wasm_valtype_t *types[12];
  wasm_valtype_vec_t vec;
  for (size_t i = 0; i < count; i++) types[i] = wasm_valtype_new(kinds[i]);
  wasm_valtype_vec_new(&vec, count, types);
  return vec;
}

static void multi(void) {
  static const wasm_valkind_t in[4] = {WASM_I32, WASM_I64, WASM_F32, WASM_F64};
  static const wasm_valkind_t out[4] = {WASM_F64, WASM_F32, WASM_I64, WASM_I32};
  wasm_valtype_vec_t params = types_of(4, in), results = types_of(4, out);
  wasm_func_t *reversing = host_func(wasm_functype_new(&params, &results), reverse);
  expect(params.size == 0 && results.size == 0);
  wasm_extern_t *imports[1] = {wasm_func_as_extern(reversing)};
  wasm_extern_vec_t import_vec = WASM_ARRAY_VEC(imports), exports;
  wasm_instance_t *instance = instance_of(
      "(module"
      "  (import \"\" \"reverse\" (func $reverse (param i32 i64 f32 f64) (result f64 f32 i64 i32)))"
      "  (func (export \"run\") (param i32 i64 f32 f64) (result f64 f32 i64 i32)"
      "    local.get 0 local.get 1 local.get 2 local.get 3 call $reverse))",
      &import_vec, &exports);
  wasm_val_t args[4] = {WASM_I32_VAL(-1), WASM_I64_VAL(1ll << 40), WASM_F32_VAL(0.5f), WASM_F64_VAL(-0.25)};
  wasm_val_vec_t arg_vec = WASM_ARRAY_VEC(args), result_vec;
  wasm_val_vec_new_uninitialized(&result_vec, 4);
  expect_no_trap(wasm_func_call(func_at(&exports, 0), &arg_vec, &result_vec));
  expect(result_vec.data[0].kind == WASM_F64 && result_vec.data[0].of.f64 == -0.25);
  expect(result_vec.data[1].kind == WASM_F32 && result_vec.data[1].of.f32 == 0.5f);
  expect(result_vec.data[2].kind == WASM_I64 && result_vec.data[2].of.i64 == 1ll << 40);
  expect(result_vec.data[3].kind == WASM_I32 && result_vec.data[3].of.i32 == -1);
  wasm_val_vec_t copy;
  wasm_val_vec_copy(&copy, &result_vec);
  wasm_val_vec_delete(&result_vec);
  expect(copy.size == 4 && copy.data[2].of.i64 == 1ll << 40);
  wasm_val_vec_delete(&copy);
  wasm_extern_vec_delete(&exports);
  wasm_instance_delete(instance);
  wasm_func_delete(reversing);
}

// More than a call keeps on the stack.
static void a_dozen_values_pass_both_ways(void) {
  wasm_valkind_t kinds[12];
  for (int i = 0; i < 12; i++) kinds[i] = i % 2 ? WASM_I64 : WASM_F64;
  wasm_valkind_t reversed[12];
  for (int i = 0; i < 12; i++) reversed[i] = kinds[11 - i];
  wasm_valtype_vec_t params = types_of(12, kinds), results = types_of(12, reversed);
  wasm_func_t *reversing = host_func(wasm_functype_new(&params, &results), reverse);
  wasm_val_t args[12], answers[12];
  for (int i = 0; i < 12; i++) {
    args[i].kind = kinds[i];
    if (i % 2) args[i].of.i64 = i << 20;
    else args[i].of.f64 = i / 4.0;
  }
  wasm_val_vec_t arg_vec = WASM_ARRAY_VEC(args), answer_vec = WASM_ARRAY_VEC(answers);
  expect_no_trap(wasm_func_call(reversing, &arg_vec, &answer_vec));
  for (int i = 0; i < 12; i++) {
    expect(answers[i].kind == kinds[11 - i]);
    expect(i % 2 ? answers[i].of.f64 == (11 - i) / 4.0 : answers[i].of.i64 == (11 - i) << 20);
  }
  wasm_func_delete(reversing);
}

static wasm_trap_t *one_integer(const wasm_val_vec_t *args, wasm_val_vec_t *results) {
  (void)args;
  results->data[0].kind = WASM_I32;
  results->data[0].of.i32 = 1;
  return NULL;
}

static void a_result_of_another_kind_stops_the_guest(void) {
  wasm_functype_t *type = wasm_functype_new_1_1(wasm_valtype_new_i64(), wasm_valtype_new_i64());
  wasm_func_t *func = host_func(type, one_integer);
  wasm_val_t args[1] = {WASM_I64_VAL(1)}, answers[1] = {WASM_I64_VAL(7)};
  wasm_val_vec_t arg_vec = WASM_ARRAY_VEC(args), answer_vec = WASM_ARRAY_VEC(answers);
  expect_trap_says(wasm_func_call(func, &arg_vec, &answer_vec), "function attempted to return an incompatible value");
  expect(answers[0].kind == WASM_I64 && answers[0].of.i64 == 7);
  wasm_func_delete(func);
}

// In the place of a vector with room for all of them.
static wasm_trap_t *no_results(const wasm_val_vec_t *args, wasm_val_vec_t *results) {
  (void)args;
  wasm_val_vec_delete(results);
  wasm_val_vec_new_empty(results);
  return NULL;
}

static void results_that_are_missing_are_zero(void) {
  wasm_functype_t *type = wasm_functype_new_1_1(wasm_valtype_new_i64(), wasm_valtype_new_i64());
  wasm_func_t *func = host_func(type, no_results);
  wasm_val_t args[1] = {WASM_I64_VAL(5)}, answers[1] = {WASM_INIT_VAL};
  wasm_val_vec_t arg_vec = WASM_ARRAY_VEC(args), answer_vec = WASM_ARRAY_VEC(answers);
  expect_no_trap(wasm_func_call(func, &arg_vec, &answer_vec));
  expect(answers[0].kind == WASM_I64 && answers[0].of.i64 == 0);
  wasm_func_delete(func);
}

int main(void) {
  RUN(hello);
  RUN(callback);
  RUN(trap);
  RUN(start);
  RUN(start_runs_before_the_host_can_call);
  RUN(multi);
  RUN(a_dozen_values_pass_both_ways);
  RUN(a_result_of_another_kind_stops_the_guest);
  RUN_HERE(results_that_are_missing_are_zero);
  return test_summary();
}
