// wasmtime/module.h: validation, imports and exports, and modules as files.
#include "test.h"
#include <execinfo.h>
#include <unistd.h>

static const char *const SAMPLE =
    "(module $sample (import \"env\" \"f\" (func (param i32) (result f64))) (import \"env\" \"\" (memory 1 4))"
    "  (import \"a\" \"b\" (global (mut i64))) (import \"a\" \"t\" (table 2 externref))"
    "  (func (export \"run\") (result i32) i32.const 42) (export \"mem\" (memory 0)))";

static void an_invalid_module_is_an_error(void) {
  static const char *const invalid[] = {
      "(module (func (result i32)))", "(module (func local.get 0))", "(module (func i32.const 0))",
      "(module (func br 5))", "(module (memory 65537))", "(module (export \"a\" (func 0)))",
      "(module (func) (export \"a\" (func 0)) (export \"a\" (func 0)))", "(module (start 0))",
      "(module (func i32.load))", "(module (global i32 (i64.const 0)))"};
  for (size_t i = 0; i < sizeof invalid / sizeof *invalid; i++)
    if (!expect_error(module_error(engine, invalid[i]))) printf("# %s\n", invalid[i]);
}

static wasmtime_error_t *new_from(const void *bytes, size_t len) {
  wasmtime_module_t *module = NULL;
  wasmtime_error_t *error = wasmtime_module_new(engine, bytes, len, &module);
  wasmtime_error_t *second = wasmtime_module_validate(engine, bytes, len);
  expect((error == NULL) == (second == NULL));
  if (second) wasmtime_error_delete(second);
  if (!error) wasmtime_module_delete(module);
  return error;
}

// Compilation says what it was doing as well; validation does not.
static void validation_gives_the_validators_words_alone(void) {
  static const struct {
    const char *wat, *message;
  } cases[] = {
      {"(module (func (result i32)))", "type mismatch: expected i32 but nothing on stack (at offset 0x18)"},
      {"(module (export \"a\" (func 3)))", "unknown function 3: exported function index out of bounds (at offset 0xb)"},
  };
  for (int i = 0; i < 2; i++) {
    wasm_byte_vec_t binary;
    expect_ok(wasmtime_wat2wasm(cases[i].wat, strlen(cases[i].wat), &binary));
    wasmtime_error_t *error = wasmtime_module_validate(engine, (const uint8_t *)binary.data, binary.size);
    if (expect(error != NULL)) expect(!strcmp(test_take_message(error), cases[i].message));
    wasm_byte_vec_delete(&binary);
  }
  static const uint8_t component[] = {0, 'a', 's', 'm', 13, 0, 1, 0};
  wasmtime_error_t *error = wasmtime_module_validate(engine, component, sizeof component);
  if (expect(error != NULL)) expect(!strcmp(test_take_message(error), "component passed to module validation"));
}

static void garbage_is_an_error(void) {
  static const uint8_t huge[] = {0, 'a', 's', 'm', 1, 0, 0, 0, 1, 6, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x60};
  static const uint8_t locals[] = {0,    'a', 's', 'm', 1, 0,    0,    0,    1,    4,    1,    0x60, 0,   0, 3,
                                   2,    1,   0,   10,  9, 1,    7,    1,    0xff, 0xff, 0xff, 0xff, 0xf, 0x7f, 0xb};
  expect_error(new_from("", 0));
  expect_error(new_from("\0asm", 4));
  expect_error(new_from("\0asm\2\0\0\0", 8));
  expect_error(new_from("MZ\220\0\3\0\0\0", 8));
  expect_error(new_from(huge, sizeof huge));
  expect_error(new_from(locals, sizeof locals));
}

static void a_truncated_module_is_an_error_at_every_length(void) {
  wasm_byte_vec_t binary;
  expect_ok(wasmtime_wat2wasm(SAMPLE, strlen(SAMPLE), &binary));
  size_t accepted = 0;
  for (size_t len = 0; len < binary.size; len++) {
    wasmtime_error_t *error = wasmtime_module_validate(engine, (const uint8_t *)binary.data, len);
    if (error) wasmtime_error_delete(error);
    else accepted++;
  }
  expect(accepted <= 4); // the cuts between whole sections that others do not need
  expect_ok(wasmtime_module_validate(engine, (const uint8_t *)binary.data, binary.size));
  wasm_byte_vec_delete(&binary);
}

static void flipped_bits_never_harm(void) {
  wasm_byte_vec_t binary;
  expect_ok(wasmtime_wat2wasm(SAMPLE, strlen(SAMPLE), &binary));
  for (size_t bit = 0; bit < binary.size * 8; bit++) {
    binary.data[bit / 8] ^= (char)(1 << bit % 8);
    wasmtime_error_t *error = wasmtime_module_validate(engine, (const uint8_t *)binary.data, binary.size);
    if (error) wasmtime_error_delete(error);
    binary.data[bit / 8] ^= (char)(1 << bit % 8);
  }
  wasm_byte_vec_delete(&binary);
}

static void imports_are_listed_in_order(void) {
  wasmtime_module_t *module = module_of(SAMPLE);
  wasm_importtype_vec_t imports;
  wasmtime_module_imports(module, &imports);
  static const char *const names[][2] = {{"env", "f"}, {"env", ""}, {"a", "b"}, {"a", "t"}};
  static const wasm_externkind_t kinds[] = {WASM_EXTERN_FUNC, WASM_EXTERN_MEMORY, WASM_EXTERN_GLOBAL, WASM_EXTERN_TABLE};
  if (expect(imports.size == 4)) {
    for (size_t i = 0; i < 4; i++) {
      expect(name_is(wasm_importtype_module(imports.data[i]), names[i][0]));
      expect(name_is(wasm_importtype_name(imports.data[i]), names[i][1]));
      expect(wasm_externtype_kind(wasm_importtype_type(imports.data[i])) == kinds[i]);
    }
  }
  wasm_importtype_vec_delete(&imports);
  wasmtime_module_delete(module);
}

static void exports_are_listed_in_order(void) {
  wasmtime_module_t *module = module_of(SAMPLE);
  wasm_exporttype_vec_t exports;
  wasmtime_module_exports(module, &exports);
  if (expect(exports.size == 2)) {
    expect(name_is(wasm_exporttype_name(exports.data[0]), "run"));
    expect(wasm_externtype_kind(wasm_exporttype_type(exports.data[0])) == WASM_EXTERN_FUNC);
    expect(name_is(wasm_exporttype_name(exports.data[1]), "mem"));
    expect(wasm_externtype_kind(wasm_exporttype_type(exports.data[1])) == WASM_EXTERN_MEMORY);
  }
  wasmtime_module_delete(module); // the list does not need it
  expect(exports.size == 2 && name_is(wasm_exporttype_name(exports.data[0]), "run"));
  wasm_exporttype_vec_delete(&exports);
}

static void a_clone_outlives_the_original(void) {
  wasmtime_module_t *module = module_of("(module (func (export \"f\") (result i32) i32.const 1))");
  wasmtime_module_t *clone = wasmtime_module_clone(module);
  wasmtime_module_delete(module);
  wasmtime_instance_t instance;
  wasm_trap_t *trap = NULL;
  expect_ok(wasmtime_instance_new(ctx, clone, NULL, 0, &instance, &trap));
  wasmtime_module_delete(clone);
  wasmtime_func_t f = func_of(&instance, "f");
  expect(call0(&f) == 1);
}

static const char *const RUNS = "(module $runs (memory 1) (data (i32.const 4) \"\\2a\") (global $g i32 (i32.const 8))"
                                "  (table 1 funcref) (elem (i32.const 0) func $f) (type $t (func (result i32)))"
                                "  (func $f (result i32) (i32.load8_u (i32.const 4)))"
                                "  (func (export \"run\") (result i32) (call_indirect (type $t) (i32.const 0)))"
                                "  (func (export \"trap\") unreachable))";

static void runs(wasmtime_module_t *module) {
  wasmtime_instance_t instance;
  wasm_trap_t *trap = NULL;
  expect_ok(wasmtime_instance_new(ctx, module, NULL, 0, &instance, &trap));
  expect_no_trap(trap);
  wasmtime_func_t run = func_of(&instance, "run"), fail = func_of(&instance, "trap");
  expect(call0(&run) == 42);
  trap = call(&fail);
  if (!expect(trap != NULL)) return;
  wasm_frame_t *origin = wasm_trap_origin(trap);
  if (expect(origin != NULL)) {
    expect(wasm_frame_func_index(origin) == 2);
    expect(name_is(wasmtime_frame_module_name(origin), "runs"));
    wasm_frame_delete(origin);
  }
  wasm_trap_delete(trap);
}

static wasm_byte_vec_t serialized(const char *wat) {
  wasmtime_module_t *module = module_of(wat);
  wasm_byte_vec_t bytes;
  expect_ok(wasmtime_module_serialize(module, &bytes));
  wasmtime_module_delete(module);
  return bytes;
}

static void a_serialized_module_runs_again(void) {
  wasm_byte_vec_t bytes = serialized(RUNS);
  wasmtime_module_t *module = NULL;
  expect_ok(wasmtime_module_deserialize(engine, (const uint8_t *)bytes.data, bytes.size, &module));
  memset(bytes.data, 0, bytes.size); // the bytes were copied
  wasm_byte_vec_delete(&bytes);
  runs(module);
  wasm_byte_vec_t again;
  expect_ok(wasmtime_module_serialize(module, &again));
  expect(again.size > 0);
  wasm_byte_vec_delete(&again);
  wasmtime_module_delete(module);
}

static void a_serialized_module_runs_in_another_engine(void) {
  wasm_byte_vec_t bytes = serialized("(module (func (export \"f\") (result i32) i32.const 5))");
  wasm_engine_t *other = wasm_engine_new();
  wasmtime_module_t *module = NULL;
  expect_ok(wasmtime_module_deserialize(other, (const uint8_t *)bytes.data, bytes.size, &module));
  wasm_byte_vec_delete(&bytes);
  if (module) wasmtime_module_delete(module);
  wasm_engine_delete(other);
}

static void a_serialized_module_runs_from_a_file(void) {
  char path[] = "/tmp/ampoule-module-XXXXXX";
  int fd = mkstemp(path);
  wasm_byte_vec_t bytes = serialized(RUNS);
  if (!expect(fd >= 0 && write(fd, bytes.data, bytes.size) == (ssize_t)bytes.size)) return;
  close(fd);
  wasm_byte_vec_delete(&bytes);
  wasmtime_module_t *module = NULL;
  expect_ok(wasmtime_module_deserialize_file(engine, path, &module));
  unlink(path); // what is mapped stays
  if (module) {
    runs(module);
    wasmtime_module_delete(module);
  }
}

static wasmtime_error_t *deserialize_in(wasm_engine_t *in, const void *bytes, size_t len) {
  wasmtime_module_t *module = NULL;
  wasmtime_error_t *error = wasmtime_module_deserialize(in, bytes, len, &module);
  if (!error) wasmtime_module_delete(module);
  else expect(module == NULL);
  return error;
}

static void what_was_not_serialized_is_refused(void) {
  static uint8_t zeros[100000];
  wasm_byte_vec_t binary;
  expect_error(deserialize_in(engine, "", 0));
  expect_error(deserialize_in(engine, "garbage garbage garbage", 23));
  expect_error(deserialize_in(engine, zeros, sizeof zeros));
  expect_error(deserialize_in(engine, "\177ELF\2\1\1\0", 8));
  expect_ok(wasmtime_wat2wasm("(module)", 8, &binary));
  expect_error(deserialize_in(engine, binary.data, binary.size));
  wasm_byte_vec_delete(&binary);
}

static void a_truncated_artifact_is_refused(void) {
  wasm_byte_vec_t bytes = serialized(RUNS);
  expect_error(deserialize_in(engine, bytes.data, 16));
  expect_error(deserialize_in(engine, bytes.data, bytes.size / 2));
  wasm_byte_vec_delete(&bytes);
}

// Of bytes that were damaged on the way, wherever that is.
static void a_damaged_artifact_is_refused(void) {
  wasm_byte_vec_t bytes = serialized(RUNS);
  size_t taken = 0;
  for (size_t at = 0; at < bytes.size; at += at < 512 ? 1 : 37) {
    bytes.data[at] ^= 0x10;
    wasmtime_module_t *module = NULL;
    wasmtime_error_t *error = wasmtime_module_deserialize(engine, (const uint8_t *)bytes.data, bytes.size, &module);
    expect(!error == !!module);
    if (error) wasmtime_error_delete(error);
    if (module) wasmtime_module_delete(module), taken++, printf("# taken at %zu\n", at);
    bytes.data[at] ^= 0x10;
  }
  expect(taken == 0);
  wasm_byte_vec_delete(&bytes);
}

static void files_that_cannot_be_mapped_are_refused(void) {
  wasmtime_module_t *module = NULL;
  expect_error(wasmtime_module_deserialize_file(engine, "/nonexistent/module", &module));
  expect_error(wasmtime_module_deserialize_file(engine, "/tmp", &module));
  char path[] = "/tmp/ampoule-module-XXXXXX";
  int fd = mkstemp(path);
  expect_error(wasmtime_module_deserialize_file(engine, path, &module)); // empty
  expect(write(fd, "text", 4) == 4);
  expect_error(wasmtime_module_deserialize_file(engine, path, &module));
  close(fd);
  unlink(path);
  expect(module == NULL);
}

static void an_artifact_of_another_configuration_is_refused(void) {
  wasm_byte_vec_t bytes = serialized(RUNS);
  for (int i = 0; i < 3; i++) {
    wasm_config_t *config = wasm_config_new();
    if (i == 0) wasmtime_config_consume_fuel_set(config, true);
    if (i == 1) wasmtime_config_epoch_interruption_set(config, true);
    if (i == 2) wasmtime_config_signals_based_traps_set(config, false);
    wasm_engine_t *other = wasm_engine_new_with_config(config);
    if (!expect_error(deserialize_in(other, bytes.data, bytes.size))) printf("# configuration %d\n", i);
    wasm_engine_delete(other);
  }
  wasm_byte_vec_delete(&bytes);
}

static void *callers[64];
static int num_callers;

static wasm_trap_t *note_callers(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                                 wasmtime_val_t *results, size_t nresults) {
  (void)env, (void)caller, (void)args, (void)nargs, (void)results, (void)nresults;
  num_callers = backtrace(callers, 64);
  return NULL;
}

// How many return addresses on the stack lie in the range.
static int callers_in(char *start, char *end) {
  int found = 0;
  for (int i = 0; i < num_callers; i++) found += start <= (char *)callers[i] && (char *)callers[i] < end;
  return found;
}

// Of two modules, the frames of each lie in its own range, which may hold a frame more of the way in or out; the host's lie in
// neither.
static void expect_frames_in_their_ranges(wasmtime_module_t *inner, wasmtime_module_t *outer) {
  char *inner_start, *inner_end, *outer_start, *outer_end;
  wasmtime_module_image_range(inner, (void **)&inner_start, (void **)&inner_end);
  wasmtime_module_image_range(outer, (void **)&outer_start, (void **)&outer_end);
  expect(inner_start && inner_start < inner_end && outer_start && outer_start < outer_end);
  expect(inner_end <= outer_start || outer_end <= inner_start);
  wasm_functype_t *type = wasm_functype_new_0_0();
  wasmtime_extern_t import = {.kind = WASMTIME_EXTERN_FUNC};
  wasmtime_func_new(ctx, type, note_callers, NULL, NULL, &import.of.func);
  wasm_functype_delete(type);
  wasmtime_instance_t instance;
  wasm_trap_t *trap = NULL;
  expect_ok(wasmtime_instance_new(ctx, inner, &import, 1, &instance, &trap));
  import = export_of(&instance, "f");
  expect_ok(wasmtime_instance_new(ctx, outer, &import, 1, &instance, &trap));
  wasmtime_func_t run = func_of(&instance, "run");
  num_callers = 0;
  expect_no_trap(call(&run));
  expect(callers_in(inner_start, inner_end) >= 2);
  expect(callers_in(outer_start, outer_end) >= 3);
  char *host = (char *)(uintptr_t)&expect_frames_in_their_ranges;
  expect((host < inner_start || host >= inner_end) && (host < outer_start || host >= outer_end));
}

// Functions with loops are not inlined, and what follows their calls keeps those from being tail calls.
static const char *const INNER = "(module (import \"\" \"\" (func $h)) (global $g (mut i32) (i32.const 0)) (type $t (func))"
                                 "  (table funcref (elem $a)) (func $a (loop) call $h (global.set $g (i32.const 1)))"
                                 "  (func (export \"f\") (call_indirect (type $t) (i32.const 0)) (global.set $g (i32.const 2))))";
static const char *const OUTER = "(module (import \"\" \"\" (func $f)) (global $g (mut i32) (i32.const 0)) (type $t (func))"
                                 "  (table funcref (elem $a $b))"
                                 "  (func $a (loop) call $f (global.set $g (i32.const 1)))"
                                 "  (func $b (loop) (call_indirect (type $t) (i32.const 0)) (global.set $g (i32.const 2)))"
                                 "  (func (export \"run\") (call_indirect (type $t) (i32.const 1)) (global.set $g (i32.const 3))))";

static void a_module_knows_where_its_code_is(void) {
  wasmtime_module_t *inner = module_of(INNER), *outer = module_of(OUTER);
  expect_frames_in_their_ranges(inner, outer);
  wasmtime_module_t *loaded[2], *const made[2] = {inner, outer};
  for (int i = 0; i < 2; i++) {
    wasm_byte_vec_t bytes;
    expect_ok(wasmtime_module_serialize(made[i], &bytes));
    expect_ok(wasmtime_module_deserialize(engine, (const uint8_t *)bytes.data, bytes.size, &loaded[i]));
    wasm_byte_vec_delete(&bytes);
  }
  expect_frames_in_their_ranges(loaded[0], loaded[1]);
  expect_frames_in_their_ranges(inner, loaded[1]);
  for (int i = 0; i < 2; i++) wasmtime_module_delete(made[i]), wasmtime_module_delete(loaded[i]);
}

static void a_large_module_compiles(void) {
  enum { N = 400 };
  char *wat = malloc(N * 160), *at = wat;
  at += sprintf(at, "(module (func $f0 (param i32) (result i32) local.get 0)");
  for (int i = 1; i < N; i++)
    at += sprintf(at, "(func $f%d (export \"f%d\") (param i32) (result i32) (i32.add (i32.const %d) (call $f%d (local.get 0))))",
                  i, i, i, i / 2);
  sprintf(at, ")");
  wasmtime_instance_t instance = instance_of(wat);
  free(wat);
  wasmtime_func_t f = func_of(&instance, "f399");
  int expected = 7;
  for (int i = N - 1; i > 0; i /= 2) expected += i;
  expect(call1(&f, 7) == expected);
}

static void unoptimized(wasm_config_t *config) {
  wasmtime_config_cranelift_opt_level_set(config, WASMTIME_OPT_LEVEL_NONE);
}

static void eager(wasm_config_t *config) { wasmtime_config_strategy_set(config, WASMTIME_STRATEGY_CRANELIFT); }

static void one_thread(wasm_config_t *config) {
  eager(config);
  wasmtime_config_parallel_compilation_set(config, false);
}

int main(void) {
  RUN(an_invalid_module_is_an_error);
  RUN(validation_gives_the_validators_words_alone);
  RUN(garbage_is_an_error);
  RUN(a_truncated_module_is_an_error_at_every_length);
  RUN(flipped_bits_never_harm);
  RUN(imports_are_listed_in_order);
  RUN(exports_are_listed_in_order);
  RUN(a_clone_outlives_the_original);
  RUN(a_serialized_module_runs_again);
  RUN_WITH(unoptimized, a_serialized_module_runs_again);
  RUN(a_serialized_module_runs_in_another_engine);
  RUN(a_serialized_module_runs_from_a_file);
  RUN(what_was_not_serialized_is_refused);
  RUN(a_truncated_artifact_is_refused);
  RUN_HERE(a_damaged_artifact_is_refused);
  RUN(files_that_cannot_be_mapped_are_refused);
  RUN(an_artifact_of_another_configuration_is_refused);
  RUN(a_module_knows_where_its_code_is);
  RUN_WITH(eager, a_module_knows_where_its_code_is);
  RUN_WITH(eager, a_large_module_compiles);
  RUN_WITH(one_thread, a_large_module_compiles);
  RUN(a_large_module_compiles);
  return test_summary();
}
