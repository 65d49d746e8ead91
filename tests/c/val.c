// wasmtime/val.h: values and host references, and the layouts that calls rely on.
#include "test.h"

static void values_have_the_layout_of_the_interface(void) {
  expect(sizeof(wasmtime_val_t) == 32 && offsetof(wasmtime_val_t, of) == 8);
  expect(sizeof(wasmtime_val_raw_t) == 16 && _Alignof(wasmtime_val_raw_t) == 8);
  expect(sizeof(wasmtime_func_t) == 16 && sizeof(wasmtime_externref_t) == 24 && sizeof(wasmtime_extern_t) == 32);
}

static void null_references_are_null(void) {
  wasmtime_anyref_t any;
  wasmtime_externref_t external;
  wasmtime_exnref_t exception;
  wasmtime_func_t func;
  memset(&any, 0x55, sizeof any);
  memset(&external, 0x55, sizeof external);
  memset(&exception, 0x55, sizeof exception);
  memset(&func, 0x55, sizeof func);
  expect(!wasmtime_anyref_is_null(&any) && !wasmtime_externref_is_null(&external));
  expect(!wasmtime_exnref_is_null(&exception) && !wasmtime_funcref_is_null(&func));
  wasmtime_anyref_set_null(&any);
  wasmtime_externref_set_null(&external);
  wasmtime_exnref_set_null(&exception);
  wasmtime_funcref_set_null(&func);
  expect(wasmtime_anyref_is_null(&any) && wasmtime_externref_is_null(&external));
  expect(wasmtime_exnref_is_null(&exception) && wasmtime_funcref_is_null(&func));
}

static void a_reference_holds_the_hosts_pointer(void) {
  static int value;
  wasmtime_externref_t ref;
  expect(wasmtime_externref_new(ctx, &value, NULL, &ref));
  expect(!wasmtime_externref_is_null(&ref) && wasmtime_externref_data(ctx, &ref) == &value);
  wasmtime_externref_unroot(&ref);
  expect(wasmtime_externref_new(ctx, NULL, NULL, &ref)); // a null pointer is not a null reference
  expect(!wasmtime_externref_is_null(&ref) && wasmtime_externref_data(ctx, &ref) == NULL);
  wasmtime_externref_unroot(&ref);
}

static void a_null_reference_has_no_data(void) {
  wasmtime_externref_t null, clone;
  wasmtime_externref_set_null(&null);
  expect(wasmtime_externref_data(ctx, &null) == NULL);
  memset(&clone, 0x55, sizeof clone);
  wasmtime_externref_clone(&null, &clone);
  expect(wasmtime_externref_is_null(&clone));
  wasmtime_externref_unroot(&null);
  wasmtime_externref_unroot(&clone);
  expect(wasmtime_externref_to_raw(ctx, &null) == 0);
  memset(&clone, 0x55, sizeof clone);
  wasmtime_externref_from_raw(ctx, 0, &clone);
  expect(wasmtime_externref_is_null(&clone));
}

static void each_clone_keeps_the_object_alive(void) {
  static int finalized;
  finalized = 0;
  wasmtime_externref_t ref, clone;
  expect(wasmtime_externref_new(ctx, &finalized, count_finalized, &ref));
  wasmtime_externref_clone(&ref, &clone);
  wasmtime_externref_unroot(&ref);
  expect_ok(wasmtime_context_gc(ctx));
  expect(finalized == 0 && wasmtime_externref_data(ctx, &clone) == &finalized);
  wasmtime_externref_unroot(&clone);
  expect_ok(wasmtime_context_gc(ctx));
  expect(finalized == 1);
  expect_ok(wasmtime_context_gc(ctx));
  expect(finalized == 1);
}

static void values_are_cloned_and_unrooted(void) {
  static int finalized;
  finalized = 0;
  wasmtime_val_t val = null_externref_val(), copy;
  expect(wasmtime_externref_new(ctx, &finalized, count_finalized, &val.of.externref));
  wasmtime_val_clone(&val, &copy);
  expect(copy.kind == WASMTIME_EXTERNREF && wasmtime_externref_data(ctx, &copy.of.externref) == &finalized);
  wasmtime_val_unroot(&val);
  expect_ok(wasmtime_context_gc(ctx));
  expect(finalized == 0);
  wasmtime_val_unroot(&copy);
  expect_ok(wasmtime_context_gc(ctx));
  expect(finalized == 1);
  val = i64_val(-5);
  wasmtime_val_clone(&val, &copy);
  expect(copy.kind == WASMTIME_I64 && copy.of.i64 == -5);
  wasmtime_val_unroot(&val); // nothing to free, but allowed
  wasmtime_val_unroot(&copy);
}

static void a_reference_passes_through_a_guest(void) {
  static int finalized;
  finalized = 0;
  wasmtime_instance_t instance = instance_of("(module (func (export \"same\") (param externref) (result externref)"
                                             "  local.get 0)"
                                             "  (func (export \"null\") (param externref) (result i32)"
                                             "  (ref.is_null (local.get 0))))");
  wasmtime_func_t same = func_of(&instance, "same"), is_null = func_of(&instance, "null");
  wasmtime_val_t arg = null_externref_val(), result;
  wasm_trap_t *trap = NULL;
  expect_ok(wasmtime_func_call(ctx, &is_null, &arg, 1, &result, 1, &trap));
  expect(result.of.i32 == 1);
  expect_ok(wasmtime_func_call(ctx, &same, &arg, 1, &result, 1, &trap));
  expect(result.kind == WASMTIME_EXTERNREF && wasmtime_externref_is_null(&result.of.externref));
  expect(wasmtime_externref_new(ctx, &finalized, count_finalized, &arg.of.externref));
  expect_ok(wasmtime_func_call(ctx, &is_null, &arg, 1, &result, 1, &trap));
  expect(result.of.i32 == 0);
  expect_ok(wasmtime_func_call(ctx, &same, &arg, 1, &result, 1, &trap));
  expect(wasmtime_externref_data(ctx, &result.of.externref) == &finalized);
  wasmtime_val_unroot(&arg);
  expect_ok(wasmtime_context_gc(ctx));
  expect(finalized == 0 && wasmtime_externref_data(ctx, &result.of.externref) == &finalized);
  wasmtime_val_unroot(&result);
  wasmtime_store_delete(store);
  store = NULL;
  expect(finalized == 1);
}

static void raw_references_convert_and_back(void) {
  static int finalized;
  finalized = 0;
  wasmtime_externref_t ref, back;
  expect(wasmtime_externref_new(ctx, &finalized, count_finalized, &ref));
  uint32_t raw = wasmtime_externref_to_raw(ctx, &ref);
  expect(raw != 0);
  wasmtime_externref_from_raw(ctx, raw, &back);
  expect(wasmtime_externref_data(ctx, &back) == &finalized);
  wasmtime_externref_unroot(&ref);
  wasmtime_externref_unroot(&back);
  wasmtime_store_delete(store);
  store = NULL;
  expect(finalized == 1);
}

static void many_references_come_and_go(void) {
  enum { N = 20000 };
  static int finalized;
  finalized = 0;
  wasmtime_externref_t ref;
  for (int i = 0; i < N; i++) {
    if (!expect(wasmtime_externref_new(ctx, &finalized, count_finalized, &ref))) break;
    wasmtime_externref_unroot(&ref);
    if (i % 5000 == 4999) expect_ok(wasmtime_context_gc(ctx));
  }
  expect_ok(wasmtime_context_gc(ctx));
  expect(finalized == N);
}

static void a_guest_drops_references(void) {
  static int finalized;
  finalized = 0;
  wasmtime_instance_t instance = instance_of("(module (table 100 externref)"
                                             "  (func (export \"put\") (param i32 externref)"
                                             "    (table.set (i32.rem_u (local.get 0) (i32.const 100)) (local.get 1)))"
                                             "  (func (export \"clear\")"
                                             "    (table.fill (i32.const 0) (ref.null extern) (i32.const 100))))");
  wasmtime_func_t put = func_of(&instance, "put"), clear = func_of(&instance, "clear");
  for (int i = 0; i < 1000; i++) {
    wasmtime_val_t args[2] = {i32_val(i), null_externref_val()};
    wasm_trap_t *trap = NULL;
    expect(wasmtime_externref_new(ctx, &finalized, count_finalized, &args[1].of.externref));
    expect_ok(wasmtime_func_call(ctx, &put, args, 2, NULL, 0, &trap));
    wasmtime_val_unroot(&args[1]);
  }
  expect_ok(wasmtime_context_gc(ctx));
  expect(finalized == 900);
  expect_no_trap(call(&clear));
  expect_ok(wasmtime_context_gc(ctx));
  expect(finalized == 1000);
}

static void no_references(wasm_config_t *config) { wasmtime_config_gc_support_set(config, false); }

static void a_reference_that_is_refused_is_finalized(void) {
  int finalized = 0;
  wasmtime_externref_t ref;
  expect(!wasmtime_externref_new(ctx, &finalized, count_finalized, &ref));
  expect(finalized == 1);
  expect_error_says(module_error(engine, "(module (table 1 externref))"), "gc types are disallowed");
}

int main(void) {
  RUN(values_have_the_layout_of_the_interface);
  RUN(null_references_are_null);
  RUN(a_reference_holds_the_hosts_pointer);
  RUN(a_null_reference_has_no_data);
  RUN(each_clone_keeps_the_object_alive);
  RUN(values_are_cloned_and_unrooted);
  RUN(a_reference_passes_through_a_guest);
  RUN(raw_references_convert_and_back);
  RUN(many_references_come_and_go);
  RUN(a_guest_drops_references);
  RUN_WITH(no_references, a_reference_that_is_refused_is_finalized);
  return test_summary();
}
