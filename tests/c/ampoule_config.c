// ampoule/config.h: settings about exceptions and collected objects that the shared interface has no names for.
#include "test.h"

#include <ampoule.h>

// The text format has the old encoding unfolded only.
static const char *const OLD_AND_NEW =
    "(module (tag $t (param i32))"
    "  (func $old (param i32) try (throw $t (local.get 0)) delegate 0)"
    "  (func $new (param i32) (throw $t (local.get 0)))"
    "  (func (export \"run\") (param i32) (result i32)"
    "    try (result i32)"
    "      (call $new (i32.add (local.get 0) (i32.const 1))) (i32.const -1)"
    "    catch $t"
    "      local.set 0"
    "      (block $caught (result i32)"
    "        (try_table (catch $t $caught) (call $old (i32.mul (local.get 0) (i32.const 10))))"
    "        (i32.const -2))"
    "    end))";

static void with_both_encodings(wasm_config_t *config) {
  wasmtime_config_wasm_exceptions_set(config, true);
  ampoule_config_legacy_exceptions_set(config, true);
}

static void one_encoding_catches_what_the_other_throws(void) {
  wasmtime_instance_t instance = instance_of(OLD_AND_NEW);
  wasmtime_func_t run = func_of(&instance, "run");
  expect(call1(&run, 4) == 50);
}

static void the_old_encoding_is_refused_otherwise(void) {
  for (int on = 0; on < 3; on++) {
    wasm_config_t *config = wasm_config_new();
    wasmtime_config_wasm_exceptions_set(config, on & 1);
    ampoule_config_legacy_exceptions_set(config, on & 2);
    wasm_engine_t *e = wasm_engine_new_with_config(config);
    expect_error_says(module_error(e, OLD_AND_NEW), on & 1 ? "legacy_exceptions feature required for try instruction"
                                                           : "exceptions proposal not enabled");
    wasm_engine_delete(e);
  }
}

static void with_stress(wasm_config_t *config) {
  wasmtime_config_wasm_function_references_set(config, true);
  wasmtime_config_wasm_gc_set(config, true);
  ampoule_config_gc_stress_set(config, true);
}

static void every_allocation_collects_under_stress(void) {
  wasmtime_instance_t instance = instance_of(
      "(module (type $node (struct (field (ref null $node)) (field i32)))"
      "  (func (export \"sum\") (param $n i32) (result i32) (local $list (ref null $node)) (local $sum i32)"
      "    (loop (local.set $list (struct.new $node (local.get $list) (local.get $n)))"
      "      (br_if 0 (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))"
      "    (loop (local.set $sum (i32.add (local.get $sum) (struct.get $node 1 (local.get $list))))"
      "      (local.set $list (struct.get $node 0 (local.get $list)))"
      "      (br_if 0 (i32.eqz (ref.is_null (local.get $list)))))"
      "    (local.get $sum)))");
  wasmtime_func_t sum = func_of(&instance, "sum");
  expect(call1(&sum, 100) == 5050);
  ampoule_statistics_t found = {.size = sizeof found};
  ampoule_context_statistics(ctx, &found);
  expect(found.gc_minor_collections >= 100 && found.gc_major_collections >= 50);
}

static void a_raw_reference_that_nothing_keeps_is_nothing_soon_under_stress(void) {
  wasmtime_externref_t value, other, back;
  expect(wasmtime_externref_new(ctx, &value, NULL, &value));
  uint32_t raw = wasmtime_externref_to_raw(ctx, &value);
  wasmtime_externref_unroot(&value);
  for (int i = 0; i < 2; i++) {
    expect(wasmtime_externref_new(ctx, NULL, NULL, &other));
    wasmtime_externref_unroot(&other);
  }
  wasmtime_externref_from_raw(ctx, raw, &back);
  expect(wasmtime_externref_data(ctx, &back) != &value);
  wasmtime_externref_unroot(&back);
}

int main(void) {
  expect(ampoule_has("config"));
  RUN_WITH(with_both_encodings, one_encoding_catches_what_the_other_throws);
  RUN(the_old_encoding_is_refused_otherwise);
  RUN_WITH(with_stress, every_allocation_collects_under_stress);
  RUN_WITH(with_stress, a_raw_reference_that_nothing_keeps_is_nothing_soon_under_stress);
  return test_summary();
}
