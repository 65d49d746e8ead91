// ampoule/config.h: settings about exceptions, collected objects and compilers that the shared interface has no names for.
#include "test.h"

#include <ampoule.h>
#include <dirent.h>
#include <stddef.h>
#include <unistd.h>

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

static const char *const TRIANGLE =
    "(module (func $add (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))"
    "  (func (export \"sum\") (param $n i32) (result i32) (local $sum i32)"
    "    (loop (local.set $sum (call $add (local.get $sum) (local.get $n)))"
    "      (br_if 0 (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))"
    "    (local.get $sum)))";

static void on_no_thread(wasm_config_t *config) { ampoule_config_tier_up_set(config, 10, 0); }
static void on_one_thread(wasm_config_t *config) { ampoule_config_tier_up_set(config, 10, 1); }

// How many threads of the process optimize.
static int optimizers(void) {
  int count = 0;
  DIR *tasks = opendir("/proc/self/task");
  expect(tasks != NULL);
  for (struct dirent *task; (task = readdir(tasks)) != NULL;) {
    char path[300], name[32] = "";
    snprintf(path, sizeof path, "/proc/self/task/%s/comm", task->d_name);
    FILE *file = fopen(path, "r");
    if (file != NULL) {
      count += fgets(name, sizeof name, file) != NULL && strncmp(name, "ampoule-optim", 13) == 0;
      fclose(file);
    }
  }
  closedir(tasks);
  return count;
}

static void functions_are_optimized_by_who_runs_them_where_there_are_no_threads(void) {
  wasmtime_instance_t instance = instance_of(TRIANGLE);
  wasmtime_func_t sum = func_of(&instance, "sum");
  for (int i = 0; i < 100; i++) {
    expect(call1(&sum, 1000) == 500500);
    expect(optimizers() == 0);
  }
}

static void functions_are_optimized_in_the_background_otherwise(void) {
  wasmtime_instance_t instance = instance_of(TRIANGLE);
  wasmtime_func_t sum = func_of(&instance, "sum");
  int most = 0;
  for (int i = 0; i < 1000; i++) {
    expect(call1(&sum, 1000) == 500500);
    int now = optimizers();
    most = now > most ? now : most;
  }
  expect(most == 1);
  // It ends a moment after its work.
  for (int i = 0; i < 1000 && optimizers() > 0; i++) {
    usleep(10000);
  }
  expect(optimizers() == 0);
}

static void with_little_code(wasm_config_t *config) { ampoule_config_code_memory_set(config, 4096); }

// A hundred functions of some hundred bytes of code each: more than there should be.
static void code_beyond_the_bound_is_given_back_and_made_again(void) {
  static char text[1 << 16];
  size_t len = (size_t)sprintf(text, "(module (func (export \"sum\") (param i32) (result i32) (i32.const 0)");
  for (int i = 0; i < 100; i++) len += (size_t)sprintf(text + len, "(i32.add (call $f%d (local.get 0)))", i);
  len += (size_t)sprintf(text + len, ")");
  for (int i = 0; i < 100; i++) {
    len += (size_t)sprintf(text + len, "(func $f%d (param i32) (result i32) (loop) (local.get 0)", i);
    for (int j = 0; j < 10; j++) len += (size_t)sprintf(text + len, "(i32.rotl (i32.add (i32.const %d)) (i32.const 1))", i);
    len += (size_t)sprintf(text + len, ")");
  }
  sprintf(text + len, ")");
  wasmtime_instance_t instance = instance_of(text);
  wasmtime_func_t sum = func_of(&instance, "sum");
  int first = call1(&sum, 1);
  for (int i = 0; i < 10; i++) expect(call1(&sum, 1) == first);
  ampoule_code_statistics_t found = {.size = sizeof found};
  ampoule_engine_code_statistics(engine, &found);
  expect(found.size == sizeof found && found.limit == 4096 && found.bytes > 0);
  expect(found.bytes < 2 * 4096 && found.replaced_bytes <= found.bytes && found.evicted_functions >= 100);
  ampoule_code_statistics_t shorter = {.size = offsetof(ampoule_code_statistics_t, replaced_bytes), .limit = 7};
  ampoule_engine_code_statistics(engine, &shorter);
  expect(shorter.bytes == found.bytes && shorter.limit == 7 && shorter.size == 16);
}

int main(void) {
  expect(ampoule_has("config"));
  RUN_WITH(with_both_encodings, one_encoding_catches_what_the_other_throws);
  RUN(the_old_encoding_is_refused_otherwise);
  RUN_WITH(with_stress, every_allocation_collects_under_stress);
  RUN_WITH(with_stress, a_raw_reference_that_nothing_keeps_is_nothing_soon_under_stress);
  RUN_WITH(on_no_thread, functions_are_optimized_by_who_runs_them_where_there_are_no_threads);
  RUN_WITH(on_one_thread, functions_are_optimized_in_the_background_otherwise);
  RUN_WITH(with_little_code, code_beyond_the_bound_is_given_back_and_made_again);
  return test_summary();
}
