// wasmtime/trap.h, and the traps and frames of wasm.h: every way a guest can end, its code, its message, its backtrace.
// valgrind: skip (the faults of guests are its subject)
#include "test.h"

// One export per kind of trap. Function 0 is the import-free `helper`, so that indices are not all the same.
static const char *const KINDS =
    "(module $kinds"
    "  (memory 1) (table $t 2 funcref) (type $v (func)) (type $i (func (result i32)))"
    "  (elem (table $t) (i32.const 0) func $one)"
    "  (elem $seg func $one) (data $bytes \"abc\")"
    "  (func $one (type $i) i32.const 1)"
    "  (func (export \"unreachable\") unreachable)"
    "  (func (export \"load\") i32.const 65533 i32.load drop)"
    "  (func (export \"load far\") i32.const -1 i64.load offset=0xfffffff0 drop)"
    "  (func (export \"store\") i32.const 65536 i32.const 1 i32.store8)"
    "  (func (export \"fill\") i32.const 65530 i32.const 0 i32.const 7 memory.fill)"
    "  (func (export \"copy\") i32.const 0 i32.const 65530 i32.const 7 memory.copy)"
    "  (func (export \"init\") i32.const 0 i32.const 1 i32.const 3 memory.init $bytes)"
    "  (func (export \"table.get\") i32.const 2 table.get $t drop)"
    "  (func (export \"table.set\") i32.const 2 ref.null func table.set $t)"
    "  (func (export \"table.init\") i32.const 0 i32.const 0 i32.const 2 table.init $seg)"
    "  (func (export \"table.fill\") i32.const 1 ref.null func i32.const 2 table.fill $t)"
    "  (func (export \"indirect far\") i32.const 2 call_indirect (type $v))"
    "  (func (export \"indirect null\") i32.const 1 call_indirect (type $v))"
    "  (func (export \"indirect type\") i32.const 0 call_indirect (type $v))"
    "  (func (export \"div 0\") i32.const 1 i32.const 0 i32.div_s drop)"
    "  (func (export \"divu 0\") i64.const 1 i64.const 0 i64.div_u drop)"
    "  (func (export \"rem 0\") i32.const 1 i32.const 0 i32.rem_u drop)"
    "  (func (export \"div overflow\") i32.const 0x80000000 i32.const -1 i32.div_s drop)"
    "  (func (export \"div64 overflow\") i64.const 0x8000000000000000 i64.const -1 i64.div_s drop)"
    "  (func (export \"trunc overflow\") f64.const 1e30 i32.trunc_f64_s drop)"
    "  (func (export \"trunc nan\") f32.const nan i64.trunc_f32_u drop)"
    "  (func $deep (export \"overflow\") call $deep)"
    ")";

static void each_kind_has_its_code_and_message(void) {
  static const struct {
    const char *name;
    int code;
    const char *message;
  } expected[] = {
      {"unreachable", WASMTIME_TRAP_CODE_UNREACHABLE_CODE_REACHED, "wasm trap: wasm `unreachable` instruction executed"},
      {"load", WASMTIME_TRAP_CODE_MEMORY_OUT_OF_BOUNDS, "wasm trap: out of bounds memory access"},
      {"load far", WASMTIME_TRAP_CODE_MEMORY_OUT_OF_BOUNDS, "wasm trap: out of bounds memory access"},
      {"store", WASMTIME_TRAP_CODE_MEMORY_OUT_OF_BOUNDS, "wasm trap: out of bounds memory access"},
      {"fill", WASMTIME_TRAP_CODE_MEMORY_OUT_OF_BOUNDS, "wasm trap: out of bounds memory access"},
      {"copy", WASMTIME_TRAP_CODE_MEMORY_OUT_OF_BOUNDS, "wasm trap: out of bounds memory access"},
      {"init", WASMTIME_TRAP_CODE_MEMORY_OUT_OF_BOUNDS, "wasm trap: out of bounds memory access"},
      {"table.get", WASMTIME_TRAP_CODE_TABLE_OUT_OF_BOUNDS, "wasm trap: undefined element: out of bounds table access"},
      {"table.set", WASMTIME_TRAP_CODE_TABLE_OUT_OF_BOUNDS, "wasm trap: undefined element: out of bounds table access"},
      {"table.init", WASMTIME_TRAP_CODE_TABLE_OUT_OF_BOUNDS, "wasm trap: undefined element: out of bounds table access"},
      {"table.fill", WASMTIME_TRAP_CODE_TABLE_OUT_OF_BOUNDS, "wasm trap: undefined element: out of bounds table access"},
      {"indirect far", WASMTIME_TRAP_CODE_TABLE_OUT_OF_BOUNDS, "wasm trap: undefined element: out of bounds table access"},
      {"indirect null", WASMTIME_TRAP_CODE_INDIRECT_CALL_TO_NULL, "wasm trap: uninitialized element"},
      {"indirect type", WASMTIME_TRAP_CODE_BAD_SIGNATURE, "wasm trap: indirect call type mismatch"},
      {"div 0", WASMTIME_TRAP_CODE_INTEGER_DIVISION_BY_ZERO, "wasm trap: integer divide by zero"},
      {"divu 0", WASMTIME_TRAP_CODE_INTEGER_DIVISION_BY_ZERO, "wasm trap: integer divide by zero"},
      {"rem 0", WASMTIME_TRAP_CODE_INTEGER_DIVISION_BY_ZERO, "wasm trap: integer divide by zero"},
      {"div overflow", WASMTIME_TRAP_CODE_INTEGER_OVERFLOW, "wasm trap: integer overflow"},
      {"div64 overflow", WASMTIME_TRAP_CODE_INTEGER_OVERFLOW, "wasm trap: integer overflow"},
      {"trunc overflow", WASMTIME_TRAP_CODE_INTEGER_OVERFLOW, "wasm trap: integer overflow"},
      {"trunc nan", WASMTIME_TRAP_CODE_BAD_CONVERSION_TO_INTEGER, "wasm trap: invalid conversion to integer"},
      {"overflow", WASMTIME_TRAP_CODE_STACK_OVERFLOW, "wasm trap: call stack exhausted"},
  };
  wasmtime_instance_t kinds = instance_of(KINDS);
  for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
    wasmtime_func_t func = func_of(&kinds, expected[i].name);
    wasm_trap_t *trap = call(&func);
    if (!trap || !strstr(expected[i].message, "wasm trap: ")) {
      printf("FAIL %s: %s does not trap\n", test_claim, expected[i].name);
      test_claim_holds = false;
      continue;
    }
    wasmtime_trap_code_t code = 255;
    expect(wasmtime_trap_code(trap, &code));
    const char *message = test_take_trap_message(trap);
    if (code != expected[i].code || !strstr(message, expected[i].message)) {
      printf("FAIL %s: %s: code %d, message %s\n", test_claim, expected[i].name, code, message);
      test_claim_holds = false;
    }
  }
}

static void atomics_trap_when_misaligned_or_waiting_unshared(void) {
  wasmtime_instance_t instance = instance_of("(module (memory 1)"
                                             "  (func (export \"misaligned\") i32.const 1 i32.atomic.load drop)"
                                             "  (func (export \"wait\") i32.const 0 i32.const 0 i64.const 0"
                                             "    memory.atomic.wait32 drop))");
  wasmtime_func_t misaligned = func_of(&instance, "misaligned"), wait = func_of(&instance, "wait");
  expect_trap(call(&misaligned), WASMTIME_TRAP_CODE_HEAP_MISALIGNED);
  expect_trap(call(&wait), WASMTIME_TRAP_CODE_ATOMIC_WAIT_NON_SHARED_MEMORY);
}

static void a_store_goes_on_after_a_trap(void) {
  wasmtime_instance_t instance = instance_of("(module (memory 1) (global $g (mut i32) (i32.const 0))"
                                             "  (func (export \"trap\") (global.set $g (i32.const 7)) unreachable)"
                                             "  (func (export \"get\") (result i32) global.get $g))");
  wasmtime_func_t trap = func_of(&instance, "trap"), get = func_of(&instance, "get");
  for (int i = 0; i < 100; i++) expect_trap(call(&trap), WASMTIME_TRAP_CODE_UNREACHABLE_CODE_REACHED);
  expect(call0(&get) == 7);
}

static void a_hosts_trap_has_its_message_and_no_code(void) {
  wasm_trap_t *trap = wasmtime_trap_new("a message\0b", 9);
  wasmtime_trap_code_t code = 77;
  expect(!wasmtime_trap_code(trap, &code));
  expect(code == 77);
  wasm_frame_vec_t frames;
  wasm_trap_trace(trap, &frames);
  expect(frames.size == 0);
  wasm_frame_vec_delete(&frames);
  expect(wasm_trap_origin(trap) == NULL);
  expect(!strcmp(test_take_trap_message(trap), "a message"));
}

static void a_trap_can_be_made_with_every_code(void) {
  for (int code = 0; code <= WASMTIME_TRAP_CODE_CONCURRENT_FUTURE_STREAM_OP; code++) {
    wasm_trap_t *trap = wasmtime_trap_new_code((wasmtime_trap_code_t)code);
    wasmtime_trap_code_t found = 255;
    expect(wasmtime_trap_code(trap, &found) && found == code);
    expect(strlen(test_take_trap_message(trap)) > 0);
  }
}

static void each_code_has_its_words(void) {
  static const char *const words[] = {
      "wasm trap: call stack exhausted",
      "wasm trap: out of bounds memory access",
      "wasm trap: unaligned atomic",
      "wasm trap: undefined element: out of bounds table access",
      "wasm trap: uninitialized element",
      "wasm trap: indirect call type mismatch",
      "wasm trap: integer overflow",
      "wasm trap: integer divide by zero",
      "wasm trap: invalid conversion to integer",
      "wasm trap: wasm `unreachable` instruction executed",
      "wasm trap: interrupt",
      "wasm trap: all fuel consumed by WebAssembly",
      "wasm trap: atomic wait on non-shared memory",
      "wasm trap: null reference",
      "wasm trap: out of bounds array access",
      "wasm trap: allocation size too large",
      "wasm trap: cast failure",
  };
  for (size_t code = 0; code < sizeof words / sizeof *words; code++) {
    const char *message = test_take_trap_message(wasmtime_trap_new_code((wasmtime_trap_code_t)code));
    if (!expect(!strcmp(message, words[code]))) printf("# %zu: %s\n", code, message);
  }
}

static void a_copy_of_a_trap_has_its_message(void) {
  wasm_trap_t *trap = wasmtime_trap_new_code(WASMTIME_TRAP_CODE_OUT_OF_FUEL);
  wasm_trap_t *copy = wasm_trap_copy(trap);
  wasm_trap_delete(trap);
  expect_trap_says(copy, "wasm trap: all fuel consumed by WebAssembly");
}

// The binary of this module is short enough to know its offsets: see the table in the claim below.
static const char *const NAMED = "(module $named_module"
                                 "  (func $inner unreachable)"
                                 "  (func $middle nop call $inner)"
                                 "  (func (export \"run\") call $middle))";

static void a_backtrace_lists_the_frames_innermost_first(void) {
  wasmtime_instance_t instance = instance_of(NAMED);
  wasmtime_func_t run = func_of(&instance, "run");
  wasm_trap_t *trap = call(&run);
  if (!expect(trap != NULL)) return;
  wasm_frame_vec_t frames;
  wasm_trap_trace(trap, &frames);
  if (expect(frames.size == 3)) {
    for (size_t i = 0; i < 3; i++) expect(wasm_frame_func_index(frames.data[i]) == i);
    expect(name_is(wasmtime_frame_func_name(frames.data[0]), "inner"));
    expect(name_is(wasmtime_frame_func_name(frames.data[1]), "middle"));
    expect(wasmtime_frame_func_name(frames.data[2]) == NULL);
    for (size_t i = 0; i < 3; i++) expect(name_is(wasmtime_frame_module_name(frames.data[i]), "named_module"));
    // Within a function, offsets count from its body, whose first byte is the number of locals.
    expect(wasm_frame_func_offset(frames.data[0]) == 1);
    expect(wasm_frame_func_offset(frames.data[1]) == 2);
    expect(wasm_frame_func_offset(frames.data[2]) == 1);
    // The bodies follow each other, each after a byte of length: 00 nn 0b, then 00 01 10 00 0b, then 00 10 01 0b.
    size_t inner = wasm_frame_module_offset(frames.data[0]);
    expect(wasm_frame_module_offset(frames.data[1]) == inner + 5);
    expect(wasm_frame_module_offset(frames.data[2]) == inner + 10);
  }
  wasm_frame_t *origin = wasm_trap_origin(trap);
  if (expect(origin != NULL)) {
    expect(wasm_frame_func_index(origin) == 0);
    wasm_frame_t *copy = wasm_frame_copy(origin);
    expect(wasm_frame_func_index(copy) == 0);
    expect(wasm_frame_func_offset(copy) == 1);
    wasm_frame_delete(copy);
    wasm_frame_delete(origin);
  }
  // Frames live on without their trap.
  wasm_trap_delete(trap);
  if (frames.size) expect(name_is(wasmtime_frame_func_name(frames.data[0]), "inner"));
  wasm_frame_vec_t copies;
  wasm_frame_vec_copy(&copies, &frames);
  expect(copies.size == frames.size);
  wasm_frame_vec_delete(&copies);
  wasm_frame_vec_delete(&frames);
}

static void a_frame_without_a_known_instance_has_none(void) {
  wasmtime_instance_t instance = instance_of("(module (func (export \"f\") unreachable))");
  wasmtime_func_t f = func_of(&instance, "f");
  wasm_trap_t *trap = call(&f);
  wasm_frame_t *origin = wasm_trap_origin(trap);
  if (expect(origin != NULL)) expect(wasm_frame_instance(origin) == NULL);
  wasm_frame_delete(origin);
  wasm_trap_delete(trap);
}

static void a_message_shows_the_backtrace(void) {
  wasmtime_instance_t instance = instance_of(NAMED);
  wasmtime_func_t run = func_of(&instance, "run");
  expect(!strcmp(test_take_trap_message(call(&run)), "error while executing at wasm backtrace:\n"
                                                     "    0:     0x22 - named_module!inner\n"
                                                     "    1:     0x27 - named_module!middle\n"
                                                     "    2:     0x2c - named_module!<wasm function 2>\n"
                                                     "\n"
                                                     "Caused by:\n"
                                                     "    wasm trap: wasm `unreachable` instruction executed\n"));
}

static wasm_trap_t *trap_in_host(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                                 wasmtime_val_t *results, size_t nresults) {
  (void)env, (void)caller, (void)args, (void)nargs, (void)results, (void)nresults;
  return wasmtime_trap_new("host says no", 12);
}

// A trap with a code comes out of a call as a trap; a host's own message has no code and comes out as an error.
static void a_hosts_message_comes_out_as_an_error_with_the_guests_frames(void) {
  wasm_functype_t *type = wasm_functype_new_0_0();
  wasmtime_func_t host;
  wasmtime_func_new(ctx, type, trap_in_host, NULL, NULL, &host);
  wasm_functype_delete(type);
  wasmtime_extern_t import = func_extern(host);
  wasmtime_instance_t instance =
      instance_with(ctx, engine, "(module (import \"\" \"\" (func $host)) (func (export \"run\") call $host))", &import, 1);
  wasmtime_func_t run = func_of(&instance, "run");
  wasm_trap_t *trap = NULL;
  wasmtime_error_t *error = wasmtime_func_call(ctx, &run, NULL, 0, NULL, 0, &trap);
  expect_no_trap(trap);
  if (!expect(error != NULL)) return;
  wasm_frame_vec_t frames;
  wasmtime_error_wasm_trace(error, &frames);
  expect(frames.size == 1);
  if (frames.size) expect(wasm_frame_func_index(frames.data[0]) == 1);
  wasm_frame_vec_delete(&frames);
  expect_error_says(error, "host says no");
  // Called without a guest, the host function has no frames.
  error = wasmtime_func_call(ctx, &host, NULL, 0, NULL, 0, &trap);
  expect_no_trap(trap);
  if (!expect(error != NULL)) return;
  wasmtime_error_wasm_trace(error, &frames);
  expect(frames.size == 0);
  wasm_frame_vec_delete(&frames);
  expect(!strcmp(test_take_message(error), "host says no"));
}

static wasm_trap_t *trap_with_code(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                                   wasmtime_val_t *results, size_t nresults) {
  (void)env, (void)caller, (void)args, (void)nargs, (void)results, (void)nresults;
  return wasmtime_trap_new_code(WASMTIME_TRAP_CODE_INTEGER_OVERFLOW);
}

static void a_hosts_code_reaches_the_caller(void) {
  wasm_functype_t *type = wasm_functype_new_0_0();
  wasmtime_func_t host;
  wasmtime_func_new(ctx, type, trap_with_code, NULL, NULL, &host);
  wasm_functype_delete(type);
  wasmtime_extern_t import = func_extern(host);
  wasmtime_instance_t instance =
      instance_with(ctx, engine, "(module (import \"\" \"\" (func $host)) (func (export \"run\") call $host))", &import, 1);
  wasmtime_func_t run = func_of(&instance, "run");
  expect_trap(call(&run), WASMTIME_TRAP_CODE_INTEGER_OVERFLOW);
}

static void a_trap_of_the_portable_api_has_its_message(void) {
  wasm_message_t message;
  wasm_name_new_from_string_nt(&message, "portable");
  wasm_trap_t *trap = wasm_trap_new(NULL, &message);
  wasm_byte_vec_delete(&message);
  expect_trap_says(trap, "portable");
}

static void explicit_checks(wasm_config_t *config) { wasmtime_config_signals_based_traps_set(config, false); }

static void unoptimized(wasm_config_t *config) {
  wasmtime_config_cranelift_opt_level_set(config, WASMTIME_OPT_LEVEL_NONE);
}

static void a_memory_fault_tells_its_address(void) {
  wasmtime_instance_t instance =
      instance_of("(module (memory 1) (memory 0) (func (export \"a\") (drop (i32.load offset=3 (i32.const 65530))))"
                  "  (func (export \"b\") (i32.store8 1 (i32.const 0) (i32.const 0))))");
  wasmtime_func_t a = func_of(&instance, "a"), b = func_of(&instance, "b");
  // The first byte that lies outside, not where the access began.
  expect_trap_says(call(&a), "\n\nCaused by:\n    0: memory fault at wasm address 0x10000 in linear memory of size 0x10000\n"
                             "    1: wasm trap: out of bounds memory access\n");
  expect_trap_says(call(&b), "    0: memory fault at wasm address 0x0 in linear memory of size 0x0\n");
}

static void a_fault_at_a_large_offset_tells_its_address_within_4_gib(void) {
  // Offsets that are longer than the guard.
  wasmtime_instance_t instance = instance_of(
      "(module (memory 1)"
      "  (func (export \"near\") (drop (i32.load offset=0x80000000 (i32.const 16))))"
      "  (func (export \"last\") (i32.store8 offset=0x80000000 (i32.const 0x7fffffff) (i32.const 1)))"
      "  (func (export \"first beyond\") (i32.store8 offset=0x80000000 (i32.const 0x80000000) (i32.const 1)))"
      "  (func (export \"straddling\") (drop (i64.load offset=0xfffffff0 (i32.const 9))))"
      "  (func (export \"beyond\") (drop (i64.load offset=0xfffffffc (i32.const 0)))))");
  struct { const char *name, *address; } cases[] = {
      {"near", "0x80000010"}, {"last", "0xffffffff"}, {"first beyond", NULL}, {"straddling", NULL}, {"beyond", NULL}};
  for (size_t i = 0; i < 5; i++) {
    wasmtime_func_t func = func_of(&instance, cases[i].name);
    char line[128];
    if (cases[i].address) {
      snprintf(line, sizeof line, "    0: memory fault at wasm address %s in linear memory of size 0x10000\n", cases[i].address);
    } else {
      snprintf(line, sizeof line, "\n\nCaused by:\n    wasm trap: out of bounds memory access");
    }
    expect_trap_says(call(&func), line);
  }
}

static void wide_addresses(wasm_config_t *config) {
  wasmtime_config_wasm_memory64_set(config, true);
  wasmtime_config_wasm_custom_page_sizes_set(config, true);
}

static void a_small_reservation(wasm_config_t *config) {
  wide_addresses(config);
  wasmtime_config_memory_reservation_set(config, 1 << 20);
  wasmtime_config_memory_guard_size_set(config, 1 << 16);
}

typedef struct {
  const char *memory, *access;
  unsigned long long index;
  // Where it faults; null where no fault tells it.
  const char *address;
} fault_case_t;

static void expect_faults(const fault_case_t *cases, size_t count) {
  for (size_t i = 0; i < count; i++) {
    const char *width = strncmp(cases[i].memory, "i64", 3) == 0 ? "i64" : "i32";
    const char *value = strstr(cases[i].access, "i32.store")    ? "(i32.const 1)"
                        : strstr(cases[i].access, "i64.store")  ? "(i64.const 1)"
                        : strstr(cases[i].access, "v128.store") ? "(v128.const i64x2 1 1)"
                                                                : "";
    char wat[512], line[128];
    snprintf(wat, sizeof wat, "(module (memory %s) (func (export \"f\") (%s.const %llu) %s %s %s))", cases[i].memory, width,
             cases[i].index, value, cases[i].access, *value ? "" : "drop");
    wasmtime_instance_t instance = instance_of(wat);
    wasmtime_func_t func = func_of(&instance, "f");
    if (cases[i].address) {
      snprintf(line, sizeof line, "\n\nCaused by:\n    0: memory fault at wasm address %s in linear memory of size ", cases[i].address);
    } else {
      snprintf(line, sizeof line, "\n\nCaused by:\n    wasm trap: out of bounds memory access");
    }
    expect_trap_says(call(&func), line);
  }
}

static void faults_of_memories_of_either_width_tell_their_address(void) {
  static const fault_case_t cases[] = {
      // A length that may outgrow the reservation: an index up to it, and an offset within the guard.
      {"i64 1", "i32.load", 65536, "0x10000"},
      {"i64 1", "i32.load", 65533, "0x10000"},
      {"i64 1", "i32.load", 65537, NULL},
      {"i64 1", "i32.load offset=0x10000", 65536, "0x20000"},
      {"i64 1", "i32.load offset=0x1fffffc", 0, "0x1fffffc"},
      {"i64 1", "i32.load offset=0x1fffffd", 0, NULL},
      {"i64 1", "i32.load offset=0xffffffffffffffff", 0, NULL},
      {"i64 1", "i32.load offset=5", 0xffffffffffffffff, NULL},
      {"i64 1", "i32.load", 0x100000000, NULL},
      {"i64 0", "i32.load", 0, "0x0"},
      {"i64 131072 131080", "i64.load offset=0x100", 0x200000000, "0x200000100"},
      {"i64 131072 131080", "i64.load", 0x200000001, NULL},
      // Every width. One byte behind the length is compared exactly.
      {"i64 1", "i32.load8_u", 65536, NULL},
      {"i64 1", "i32.load8_u offset=1", 65536, "0x10001"},
      {"i64 1", "i64.load16_s", 65535, "0x10000"},
      {"i64 1", "i64.load", 65529, "0x10000"},
      {"i64 1", "f32.load", 65536, "0x10000"},
      {"i64 1", "v128.load", 65528, "0x10000"},
      {"i64 1", "v128.load32_zero", 65533, "0x10000"},
      {"i64 1", "v128.load8x8_s", 65536, "0x10000"},
      {"i64 1", "i32.store8 offset=8", 65532, "0x10004"},
      {"i64 1", "i64.store", 65533, "0x10000"},
      {"i64 1", "v128.store", 65528, "0x10000"},
      // A reservation that holds every length: any index that ends in it.
      {"i64 1 2", "i32.load", 100000, "0x186a0"},
      {"i64 1 65536", "i32.load", 0xfffffffc, "0xfffffffc"},
      {"i64 1 65536", "i32.load", 0xfffffffd, NULL},
      {"i64 1 65536", "i32.load offset=0xfffffff0", 0, "0xfffffff0"},
      {"i64 1 65537", "i32.load", 65537, NULL},
      {"1", "i32.load offset=0x1fffffd", 0xffffffff, "0x101fffffc"},
      {"1 2", "i32.load", 0xffffffff, "0xffffffff"},
      {"1 2", "i32.load offset=0x1fffc", 65536, "0x2fffc"},
      // No memory of the type is as long.
      {"1 2", "i32.load offset=0x1fffd", 65536, NULL},
      {"i64 1 2", "i32.load offset=0x1fffd", 0, NULL},
      {"0 0", "i32.load", 0, NULL},
      // Pages of one byte end within one of the host.
      {"1 (pagesize 1)", "i32.load", 65536, NULL},
      {"i64 1 (pagesize 1)", "i32.load", 1, NULL},
  };
  expect_faults(cases, sizeof cases / sizeof *cases);
}

static void a_small_reservation_tells_of_faults_in_it_and_in_its_guard(void) {
  static const fault_case_t cases[] = {
      {"1", "i32.load", 65536, "0x10000"},
      {"1", "i32.load", 65537, NULL},
      {"1", "i32.load offset=0xfffc", 65536, "0x1fffc"},
      {"1", "i32.load offset=0xfffd", 65536, NULL},
      {"1 16", "i32.load", 0xffffc, "0xffffc"},
      {"1 16", "i32.load", 0xffffd, NULL},
      {"1 17", "i32.load", 0xffffc, NULL},
      {"i64 1 16", "v128.load", 0xffff0, "0xffff0"},
      {"i64 1 16", "v128.load", 0xffff1, NULL},
  };
  expect_faults(cases, sizeof cases / sizeof *cases);
}

int main(void) {
  RUN(each_kind_has_its_code_and_message);
  RUN_WITH(explicit_checks, each_kind_has_its_code_and_message);
  RUN_WITH(unoptimized, each_kind_has_its_code_and_message);
  RUN(atomics_trap_when_misaligned_or_waiting_unshared);
  RUN(a_store_goes_on_after_a_trap);
  RUN(a_hosts_trap_has_its_message_and_no_code);
  RUN(a_trap_can_be_made_with_every_code);
  RUN(each_code_has_its_words);
  RUN(a_copy_of_a_trap_has_its_message);
  RUN(a_backtrace_lists_the_frames_innermost_first);
  RUN_HERE(a_frame_without_a_known_instance_has_none);
  RUN(a_message_shows_the_backtrace);
  RUN(a_hosts_message_comes_out_as_an_error_with_the_guests_frames);
  RUN(a_hosts_code_reaches_the_caller);
  RUN(a_trap_of_the_portable_api_has_its_message);
  RUN(a_memory_fault_tells_its_address);
  RUN(a_fault_at_a_large_offset_tells_its_address_within_4_gib);
  RUN_WITH(wide_addresses, faults_of_memories_of_either_width_tell_their_address);
  RUN_WITH(a_small_reservation, a_small_reservation_tells_of_faults_in_it_and_in_its_guard);
  return test_summary();
}
