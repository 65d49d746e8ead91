// ampoule/error.h: what errors and traps are about, as numbers and names.
#include "test.h"

#include <ampoule.h>
#include <errno.h>

// What is known of an error, which is freed; its names are copied.
static char names[2][64];

static void keep_names(const ampoule_error_info_t *info) {
  snprintf(names[0], sizeof names[0], "%.*s", (int)info->module_name_len, info->module_name ? info->module_name : "-");
  snprintf(names[1], sizeof names[1], "%.*s", (int)info->func_name_len, info->func_name ? info->func_name : "-");
}

static ampoule_error_info_t of_error(wasmtime_error_t *error) {
  ampoule_error_info_t info = {.size = sizeof info};
  if (!expect(error != NULL)) return info;
  expect(ampoule_error_info(error, &info));
  expect(info.size == sizeof info);
  keep_names(&info);
  wasmtime_error_delete(error);
  return info;
}

static ampoule_error_info_t of_trap(wasm_trap_t *trap) {
  ampoule_error_info_t info = {.size = sizeof info};
  if (!expect(trap != NULL)) return info;
  expect(ampoule_trap_info(trap, &info));
  expect(info.size == sizeof info);
  keep_names(&info);
  wasm_trap_delete(trap);
  return info;
}

static wasm_trap_t *trap_with(const wasmtime_func_t *func, const wasmtime_val_t *args, size_t nargs) {
  wasm_trap_t *trap = NULL;
  expect_ok(wasmtime_func_call(ctx, func, args, nargs, NULL, 0, &trap));
  return trap;
}

static ampoule_error_info_t trap_of_i32(const wasmtime_instance_t *instance, const char *name, int32_t arg) {
  wasmtime_func_t func = func_of(instance, name);
  wasmtime_val_t val = i32_val(arg);
  return of_trap(trap_with(&func, &val, 1));
}

static void a_trap_has_a_code_and_a_place(void) {
  wasmtime_instance_t instance = instance_of("(module $mod (func nop) (func $fn (export \"f\") nop unreachable))");
  wasmtime_func_t func = func_of(&instance, "f");
  wasm_trap_t *trap = call(&func);
  wasm_frame_t *origin = wasm_trap_origin(trap);
  size_t module_offset = wasm_frame_module_offset(origin), func_offset = wasm_frame_func_offset(origin);
  wasm_frame_delete(origin);
  ampoule_error_info_t info = of_trap(trap);
  expect(info.kind == AMPOULE_ERROR_TRAP);
  expect(info.has == (AMPOULE_ERROR_HAS_TRAP_CODE | AMPOULE_ERROR_HAS_FUNC | AMPOULE_ERROR_HAS_MODULE_OFFSET |
                      AMPOULE_ERROR_HAS_FUNC_OFFSET));
  expect(info.trap_code == WASMTIME_TRAP_CODE_UNREACHABLE_CODE_REACHED);
  expect(info.func_index == 1 && info.module_offset == module_offset && info.func_offset == func_offset);
  expect(!strcmp(names[0], "mod") && !strcmp(names[1], "fn"));
}

static void a_fault_has_its_memory_and_address(void) {
  wasmtime_instance_t instance = instance_of(
      "(module (memory 1) (memory 3) (memory 0)"
      "  (func (export \"load\") (param i32) (drop (i32.load (local.get 0))))"
      "  (func (export \"load8\") (param i32) (drop (i32.load8_u (local.get 0))))"
      "  (func (export \"offset\") (param i32) (drop (i64.load offset=1000 (local.get 0))))"
      "  (func (export \"store1\") (param i32) (i32.store 1 (local.get 0) (i32.const 1)))"
      "  (func (export \"store2\") (param i32) (i32.store 2 (local.get 0) (i32.const 1)))"
      "  (func (export \"grow\") (param i32) (drop (memory.grow (local.get 0)))))");
  static const struct {
    const char *name;
    int32_t arg;
    uint32_t memory;
    uint64_t address, size;
  } cases[] = {
      {"load", 65536, 0, 65536, 65536},   {"load", 65533, 0, 65536, 65536},
      {"load", -1, 0, 0xffffffff, 65536}, {"load8", 70000, 0, 70000, 65536},
      {"offset", -1, 0, 0x1000003e7, 65536}, {"store1", 3 << 16, 1, 3 << 16, 3 << 16},
      {"store2", 0, 2, 0, 0},             {"store2", 7, 2, 7, 0},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    ampoule_error_info_t info = trap_of_i32(&instance, cases[i].name, cases[i].arg);
    expect(info.trap_code == WASMTIME_TRAP_CODE_MEMORY_OUT_OF_BOUNDS);
    if (!expect(info.has & AMPOULE_ERROR_HAS_ADDRESS)) continue;
    expect(info.memory_index == cases[i].memory && info.memory_size == cases[i].size);
    if (!expect(info.memory_address == cases[i].address))
      printf("FAIL %s %d: %#llx\n", cases[i].name, cases[i].arg, (unsigned long long)info.memory_address);
  }
  wasmtime_func_t grow = func_of(&instance, "grow");
  wasmtime_val_t pages = i32_val(2);
  expect_no_trap(trap_with(&grow, &pages, 1));
  ampoule_error_info_t info = trap_of_i32(&instance, "load", 65536 * 3);
  expect(info.memory_size == 65536 * 3 && info.memory_address == 65536 * 3);
}

// Two instances of one module: the memory is that of the one that ran, under the index it has there.
static void an_imported_memory_has_the_importers_index(void) {
  wasmtime_instance_t owner = instance_of("(module (memory (export \"m\") 2))");
  wasmtime_extern_t import = export_of(&owner, "m");
  const char *wat = "(module (memory 1) (func (export \"f\") (param i32) (i32.store8 (local.get 0) (i32.const 1))))";
  wasmtime_instance_t other = instance_of(wat), second = instance_of(wat);
  wasmtime_instance_t importer =
      instance_with(ctx, engine,
                    "(module (import \"\" \"\" (memory 1)) (memory 1)"
                    "  (func (export \"f\") (param i32) (i32.store8 0 (local.get 0) (i32.const 1))))",
                    &import, 1);
  ampoule_error_info_t info = trap_of_i32(&importer, "f", 1 << 17);
  expect(info.memory_index == 0 && info.memory_size == 1 << 17 && info.memory_address == 1 << 17);
  info = trap_of_i32(&other, "f", 65537);
  expect(info.memory_index == 0 && info.memory_size == 65536 && info.memory_address == 65537);
  info = trap_of_i32(&second, "f", 65538);
  expect(info.memory_address == 65538);
}

static void a_faults_message_tells_the_address(void) {
  wasmtime_instance_t instance =
      instance_of("(module (memory 1) (func (export \"f\") (param i32) (drop (i32.load (local.get 0)))))");
  wasmtime_func_t func = func_of(&instance, "f");
  wasmtime_val_t arg = i32_val(65533);
  expect_trap_says(trap_with(&func, &arg, 1),
                   "\n\nCaused by:\n    0: memory fault at wasm address 0x10000 in linear memory of size 0x10000\n"
                   "    1: wasm trap: out of bounds memory access\n");
}

static void bulk_operations_tell_the_address_too(void) {
  wasmtime_instance_t instance = instance_of(
      "(module (memory 1) (memory 2) (data $d \"abc\")"
      "  (global $len (mut i32) (i32.const 100))"
      "  (func (export \"fill\") (param i32) (memory.fill (local.get 0) (i32.const 1) (global.get $len)))"
      "  (func (export \"copy\") (param i32) (memory.copy 1 0 (i32.const 0) (local.get 0) (global.get $len)))"
      "  (func (export \"init\") (param i32) (memory.init 1 $d (local.get 0) (i32.const 0) (i32.const 3)))"
      "  (func (export \"segment\") (param i32) (memory.init $d (i32.const 0) (i32.const 0) (local.get 0))))");
  ampoule_error_info_t info = trap_of_i32(&instance, "fill", 65500);
  expect(info.has & AMPOULE_ERROR_HAS_ADDRESS);
  expect(info.memory_index == 0 && info.memory_address == 65536 && info.memory_size == 65536);
  info = trap_of_i32(&instance, "fill", 80000);
  expect(info.memory_address == 80000);
  info = trap_of_i32(&instance, "copy", 65500);
  expect(info.memory_index == 0 && info.memory_address == 65536);
  info = trap_of_i32(&instance, "init", 131070);
  expect(info.memory_index == 1 && info.memory_address == 131072 && info.memory_size == 131072);
  // Beyond the end of a segment is no access to memory.
  info = trap_of_i32(&instance, "segment", 4);
  expect(info.trap_code == WASMTIME_TRAP_CODE_MEMORY_OUT_OF_BOUNDS && !(info.has & AMPOULE_ERROR_HAS_ADDRESS));
}

// Those of a short constant length, which machine code does itself where they are in bounds.
static void short_bulk_operations_tell_the_first_byte_outside(void) {
  static const int lens[] = {1, 2, 3, 4, 7, 8, 15, 16, 17, 31, 64, 70, 100, 127, 128, 129};
  enum { COUNT = sizeof lens / sizeof *lens };
  // One instance for all lengths: memories reserve more addresses than valgrind has for many.
  static char wat[COUNT * 512 + 512];
  int end = snprintf(wat, sizeof wat,
                     "(module (memory 1) (memory 2)"
                     "  (func (export \"last\") (result i32) (i32.load8_u (i32.const 65535)))"
                     "  (func (export \"reset\") (param i32) (i32.store8 (i32.const 65535) (local.get 0)))");
  for (size_t i = 0; i < COUNT; i++) {
    int len = lens[i];
    end += snprintf(
        wat + end, sizeof wat - (size_t)end,
        "  (func (export \"fill%d\") (param i32) (memory.fill (local.get 0) (i32.const 1) (i32.const %d)))"
        "  (func (export \"to%d\") (param i32) (memory.copy 0 1 (local.get 0) (i32.const 0) (i32.const %d)))"
        "  (func (export \"from%d\") (param i32) (memory.copy 1 0 (i32.const 0) (local.get 0) (i32.const %d)))",
        len, len, len, len, len, len);
  }
  snprintf(wat + end, sizeof wat - (size_t)end, ")");
  wasmtime_instance_t instance = instance_of(wat);
  wasmtime_func_t last = func_of(&instance, "last"), reset = func_of(&instance, "reset");
  for (size_t i = 0; i < COUNT; i++) {
    int len = lens[i];
    char names[3][16];
    snprintf(names[0], sizeof names[0], "fill%d", len);
    snprintf(names[1], sizeof names[1], "to%d", len);
    snprintf(names[2], sizeof names[2], "from%d", len);
    // All but one byte inside, and none.
    const uint32_t starts[] = {65536 - (uint32_t)len + 1, 65536, 70000, 0xffffffff};
    for (size_t j = 0; j < sizeof starts / sizeof *starts; j++) {
      for (size_t k = 0; k < 3; k++) {
        ampoule_error_info_t info = trap_of_i32(&instance, names[k], (int32_t)starts[j]);
        expect(info.trap_code == WASMTIME_TRAP_CODE_MEMORY_OUT_OF_BOUNDS && info.has & AMPOULE_ERROR_HAS_ADDRESS);
        expect(info.memory_index == 0 && info.memory_size == 65536);
        expect(info.memory_address == (starts[j] < 65536 ? 65536 : starts[j]));
      }
    }
    // Nothing was written; and what fits is.
    wasmtime_func_t fill = func_of(&instance, names[0]);
    wasmtime_val_t result, arg = i32_val(65536 - len), zero = i32_val(0);
    wasm_trap_t *trap = NULL;
    expect_ok(wasmtime_func_call(ctx, &last, NULL, 0, &result, 1, &trap));
    expect(!trap && result.of.i32 == 0);
    expect_no_trap(trap_with(&fill, &arg, 1));
    expect_ok(wasmtime_func_call(ctx, &last, NULL, 0, &result, 1, &trap));
    expect(!trap && result.of.i32 == 1);
    expect_no_trap(trap_with(&reset, &zero, 1));
  }
}

static void explicit_checks(wasm_config_t *config) { wasmtime_config_signals_based_traps_set(config, false); }

static void small_reservations(wasm_config_t *config) {
  wasmtime_config_memory_reservation_set(config, 0);
  wasmtime_config_memory_guard_size_set(config, 0);
}

static void unoptimized(wasm_config_t *config) {
  wasmtime_config_cranelift_opt_level_set(config, WASMTIME_OPT_LEVEL_NONE);
}

static void with_memory64(wasm_config_t *config) { wasmtime_config_wasm_memory64_set(config, true); }

static void what_compiled_code_compares_has_no_address(void) {
  wasmtime_instance_t instance =
      instance_of("(module (memory i64 1) (func (export \"f\") (param i64) (drop (i32.load (local.get 0)))))");
  wasmtime_func_t func = func_of(&instance, "f");
  wasmtime_val_t arg = i64_val(1 << 20);
  ampoule_error_info_t info = of_trap(trap_with(&func, &arg, 1));
  expect(info.trap_code == WASMTIME_TRAP_CODE_MEMORY_OUT_OF_BOUNDS);
  expect(!(info.has & AMPOULE_ERROR_HAS_ADDRESS) || info.memory_address == 1 << 20);
}

static wasm_functype_t *empty_type(void) {
  wasm_valtype_vec_t params, results;
  wasm_valtype_vec_new_empty(&params);
  wasm_valtype_vec_new_empty(&results);
  return wasm_functype_new(&params, &results);
}

static wasm_trap_t *failing(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                            wasmtime_val_t *results, size_t nresults) {
  (void)env, (void)caller, (void)args, (void)nargs, (void)results, (void)nresults;
  return wasmtime_trap_new("no", 2);
}

static void what_the_host_says_is_the_hosts(void) {
  expect(of_error(wasmtime_error_new("no")).kind == AMPOULE_ERROR_HOST);
  ampoule_error_info_t info = of_trap(wasmtime_trap_new("no", 2));
  expect(info.kind == AMPOULE_ERROR_HOST && info.has == 0 && !info.module_name && !info.func_name);
  info = of_trap(wasmtime_trap_new_code(WASMTIME_TRAP_CODE_INTERRUPT));
  expect(info.kind == AMPOULE_ERROR_TRAP && info.trap_code == WASMTIME_TRAP_CODE_INTERRUPT);
  expect(info.has == AMPOULE_ERROR_HAS_TRAP_CODE);
  // Through a guest it gets a place.
  wasm_functype_t *type = empty_type();
  wasmtime_func_t host;
  wasmtime_func_new(ctx, type, failing, NULL, NULL, &host);
  wasm_functype_delete(type);
  wasmtime_extern_t import = func_extern(host);
  wasmtime_instance_t instance = instance_with(
      ctx, engine, "(module (import \"\" \"\" (func)) (func nop) (func (export \"f\") call 0))", &import, 1);
  wasmtime_func_t func = func_of(&instance, "f");
  wasm_trap_t *trap = NULL;
  info = of_error(wasmtime_func_call(ctx, &func, NULL, 0, NULL, 0, &trap));
  expect(info.kind == AMPOULE_ERROR_HOST && info.func_index == 2);
  expect((info.has & AMPOULE_ERROR_HAS_FUNC) && !(info.has & AMPOULE_ERROR_HAS_TRAP_CODE));
}

static void an_exit_has_its_status(void) {
  wasmtime_linker_t *linker = wasmtime_linker_new(engine);
  expect_ok(wasmtime_linker_define_wasi(linker));
  expect_ok(wasmtime_context_set_wasi(ctx, wasi_config_new()));
  wasmtime_module_t *module =
      module_of("(module (import \"wasi_snapshot_preview1\" \"proc_exit\" (func $exit (param i32)))"
                "  (memory (export \"memory\") 1) (func (export \"_start\") i32.const 41 call $exit))");
  wasmtime_instance_t instance;
  wasm_trap_t *trap = NULL;
  expect_ok(wasmtime_linker_instantiate(linker, ctx, module, &instance, &trap));
  wasmtime_func_t start = func_of(&instance, "_start");
  ampoule_error_info_t info = of_error(wasmtime_func_call(ctx, &start, NULL, 0, NULL, 0, &trap));
  expect(info.kind == AMPOULE_ERROR_EXIT && info.exit_status == 41);
  expect((info.has & AMPOULE_ERROR_HAS_EXIT_STATUS) && (info.has & AMPOULE_ERROR_HAS_FUNC) && info.func_index == 1);
  wasmtime_module_delete(module);
  wasmtime_linker_delete(linker);
}

static void modules_fail_in_their_ways(void) {
  static const uint8_t garbage[] = {0, 'a', 's', 'm', 1, 0, 0, 0, 1, 4, 1, 0x61, 0, 0};
  wasmtime_module_t *module = NULL;
  ampoule_error_info_t info = of_error(wasmtime_module_new(engine, garbage, sizeof garbage, &module));
  expect(info.kind == AMPOULE_ERROR_INVALID_MODULE);
  expect((info.has & AMPOULE_ERROR_HAS_MODULE_OFFSET) && info.module_offset >= 8 && info.module_offset < sizeof garbage);
  // Also where it is a function that is invalid.
  info = of_error(module_error(engine, "(module (func (result i32)))"));
  expect(info.kind == AMPOULE_ERROR_INVALID_MODULE);
  expect(info.has == AMPOULE_ERROR_HAS_MODULE_OFFSET && info.module_offset == 24);
  wasm_byte_vec_t binary;
  expect(of_error(wasmtime_wat2wasm("(module", 7, &binary)).kind == AMPOULE_ERROR_TEXT);
  info = of_error(wasmtime_module_deserialize(engine, garbage, sizeof garbage, &module));
  expect(info.kind == AMPOULE_ERROR_ARTIFACT);
  info = of_error(wasmtime_module_deserialize_file(engine, "/no/such/file", &module));
  expect(info.kind == AMPOULE_ERROR_SYSTEM && (info.has & AMPOULE_ERROR_HAS_ERRNO) && info.system_errno == ENOENT);
  expect(module == NULL);
}

static void misuse_has_its_kinds(void) {
  wasmtime_instance_t instance =
      instance_of("(module (func (export \"f\") (param i32)) (memory (export \"m\") 1))");
  wasmtime_func_t func = func_of(&instance, "f");
  wasm_trap_t *trap = NULL;
  expect(of_error(wasmtime_func_call(ctx, &func, NULL, 0, NULL, 0, &trap)).kind == AMPOULE_ERROR_TYPE);
  wasmtime_val_t val = i64_val(1);
  expect(of_error(wasmtime_func_call(ctx, &func, &val, 1, NULL, 0, &trap)).kind == AMPOULE_ERROR_TYPE);
  expect(of_error(wasmtime_context_set_fuel(ctx, 1)).kind == AMPOULE_ERROR_CONFIG);
  wasmtime_store_t *other = wasmtime_store_new(engine, NULL, NULL);
  val = i32_val(1);
  expect(of_error(wasmtime_func_call(wasmtime_store_context(other), &func, &val, 1, NULL, 0, &trap)).kind ==
         AMPOULE_ERROR_WRONG_STORE);
  wasmtime_store_delete(other);
  wasmtime_linker_t *linker = wasmtime_linker_new(engine);
  wasmtime_module_t *module = module_of("(module (import \"a\" \"b\" (func)))");
  expect(of_error(wasmtime_linker_instantiate(linker, ctx, module, &instance, &trap)).kind == AMPOULE_ERROR_LINK);
  wasmtime_module_delete(module);
  wasmtime_linker_delete(linker);
  wasmtime_store_limiter(store, 65536, -1, -1, -1, -1);
  module = module_of("(module (memory 2))");
  expect(of_error(wasmtime_instance_new(ctx, module, NULL, 0, &instance, &trap)).kind == AMPOULE_ERROR_LIMIT);
  wasmtime_module_delete(module);
}

static void an_exception_and_whatever_else_there_is_have_kinds(void) {
  wasm_tagtype_t *type = wasm_tagtype_new(wasm_functype_new_0_0());
  wasmtime_tag_t tag;
  wasmtime_exn_t *exn = NULL;
  expect_ok(wasmtime_tag_new(ctx, type, &tag));
  expect_ok(wasmtime_exn_new(ctx, &tag, NULL, 0, &exn));
  ampoule_error_info_t info = of_trap(wasmtime_context_set_exception(ctx, exn));
  expect(info.kind == AMPOULE_ERROR_EXCEPTION && info.has == 0);
  wasm_tagtype_delete(type);
  wasmtime_linker_t *linker = wasmtime_linker_new(engine);
  wasmtime_func_t func;
  info = of_error(wasmtime_linker_get_default(linker, ctx, "\xff", 1, &func));
  expect(info.kind == AMPOULE_ERROR_OTHER && info.has == 0);
  wasmtime_linker_delete(linker);
}

static void a_structure_of_another_version_is_filled_in_as_far_as_it_goes(void) {
  wasmtime_error_t *error = wasmtime_error_new("no");
  struct {
    ampoule_error_info_t info;
    uint64_t more;
  } later = {.info = {.size = sizeof later}, .more = 7};
  expect(ampoule_error_info(error, &later.info));
  expect(later.info.size == sizeof later.info && later.more == 7 && later.info.kind == AMPOULE_ERROR_HOST);
  ampoule_error_info_t earlier;
  memset(&earlier, 0x55, sizeof earlier);
  earlier.size = offsetof(ampoule_error_info_t, exit_status);
  expect(ampoule_error_info(error, &earlier));
  expect(earlier.size == offsetof(ampoule_error_info_t, exit_status) && earlier.kind == AMPOULE_ERROR_HOST);
  expect(earlier.exit_status == 0x55555555 && earlier.func_name_len == 0x5555555555555555);
  earlier.size = sizeof(size_t);
  earlier.kind = 99;
  expect(!ampoule_error_info(error, &earlier) && earlier.kind == 99);
  wasmtime_error_delete(error);
}

int main(void) {
  RUN(a_trap_has_a_code_and_a_place);
  RUN_FAULTING(a_fault_has_its_memory_and_address);
  RUN_FAULTING(an_imported_memory_has_the_importers_index);
  RUN_FAULTING(a_faults_message_tells_the_address);
  RUN(bulk_operations_tell_the_address_too);
  RUN(short_bulk_operations_tell_the_first_byte_outside);
  RUN_WITH(explicit_checks, short_bulk_operations_tell_the_first_byte_outside);
  RUN_WITH(small_reservations, short_bulk_operations_tell_the_first_byte_outside);
  RUN_WITH(unoptimized, short_bulk_operations_tell_the_first_byte_outside);
  RUN_FAULTING_WITH(with_memory64, what_compiled_code_compares_has_no_address);
  RUN(what_the_host_says_is_the_hosts);
  RUN(an_exit_has_its_status);
  RUN(modules_fail_in_their_ways);
  RUN(misuse_has_its_kinds);
  RUN(an_exception_and_whatever_else_there_is_have_kinds);
  RUN(a_structure_of_another_version_is_filled_in_as_far_as_it_goes);
  return test_summary();
}
