// wasmtime/config.h: what each setting turns on and off, and the defaults.
#include "test.h"

// A module for each proposal, and the function that switches it.
static const struct proposal {
  const char *name, *wat;
  void (*set)(wasm_config_t *, bool);
  bool by_default;
} PROPOSALS[] = {
    {"threads", "(module (memory 1) (func (drop (i32.atomic.load (i32.const 0)))))", wasmtime_config_wasm_threads_set, true},
    {"tail calls", "(module (func $f (return_call $f)))", wasmtime_config_wasm_tail_call_set, true},
    {"reference types", "(module (table 1 externref) (func (drop (table.get (i32.const 0)))))",
     wasmtime_config_wasm_reference_types_set, true},
    {"simd", "(module (func (drop (v128.const i64x2 0 0))))", wasmtime_config_wasm_simd_set, true},
    {"relaxed simd", "(module (func (param v128) (drop (i32x4.relaxed_trunc_f32x4_s (local.get 0)))))",
     wasmtime_config_wasm_relaxed_simd_set, true},
    {"bulk memory", "(module (memory 1) (func (memory.fill (i32.const 0) (i32.const 0) (i32.const 0))))",
     wasmtime_config_wasm_bulk_memory_set, true},
    {"multi value", "(module (func (result i32 i32) i32.const 0 i32.const 0))", wasmtime_config_wasm_multi_value_set, true},
    {"multi memory", "(module (memory 1) (memory 1))", wasmtime_config_wasm_multi_memory_set, true},
    {"memory64", "(module (memory i64 1))", wasmtime_config_wasm_memory64_set, true},
    {"wide arithmetic", "(module (func (param i64 i64) (result i64 i64) (i64.mul_wide_u (local.get 0) (local.get 1))))",
     wasmtime_config_wasm_wide_arithmetic_set, false},
    {"exceptions", "(module (tag) (func (throw 0)))", wasmtime_config_wasm_exceptions_set, false},
    {"custom page sizes", "(module (memory 1 (pagesize 1)))", wasmtime_config_wasm_custom_page_sizes_set, false},
};

static wasm_engine_t *engine_with(void (*set)(wasm_config_t *, bool), bool value) {
  wasm_config_t *config = wasm_config_new();
  if (set == wasmtime_config_wasm_simd_set && !value) wasmtime_config_wasm_relaxed_simd_set(config, false);
  if (set == wasmtime_config_wasm_bulk_memory_set && !value) wasmtime_config_wasm_reference_types_set(config, false);
  if (set) set(config, value);
  return wasm_engine_new_with_config(config);
}

static void each_proposal_is_switched_by_its_setting(void) {
  for (size_t i = 0; i < sizeof PROPOSALS / sizeof *PROPOSALS; i++) {
    for (int on = 0; on < 2; on++) {
      wasm_engine_t *e = engine_with(PROPOSALS[i].set, on);
      wasmtime_error_t *error = module_error(e, PROPOSALS[i].wat);
      if (!(on ? expect_ok(error) : expect_error(error))) printf("# %s %s\n", PROPOSALS[i].name, on ? "on" : "off");
      wasm_engine_delete(e);
    }
  }
}

static void the_defaults_are_those_of_the_interface(void) {
  for (size_t i = 0; i < sizeof PROPOSALS / sizeof *PROPOSALS; i++) {
    wasmtime_error_t *error = module_error(engine, PROPOSALS[i].wat);
    if (!(PROPOSALS[i].by_default ? expect_ok(error) : expect_error(error))) printf("# %s\n", PROPOSALS[i].name);
  }
}

// These two have their settings in every library, whether or not it has the proposals.
static void what_is_switched_off_is_refused(void) {
  static const struct proposal off[] = {
      {"gc", "(module (type (struct (field i32))))", wasmtime_config_wasm_gc_set, false},
      {"function references", "(module (type $t (func)) (func (param (ref $t)) (call_ref $t (local.get 0))))",
       wasmtime_config_wasm_function_references_set, false},
  };
  for (size_t i = 0; i < sizeof off / sizeof *off; i++) {
    wasm_config_t *config = wasm_config_new();
    wasmtime_config_wasm_gc_set(config, false);
    off[i].set(config, false);
    wasm_engine_t *e = wasm_engine_new_with_config(config);
    if (!expect_error(module_error(e, off[i].wat))) printf("# %s\n", off[i].name);
    wasm_engine_delete(e);
  }
}

// What is told of a module of WebAssembly 3.0 when the setting that it needs is off, and the others are on.
static void a_module_is_refused_with_the_reason(void) {
  enum { FUNC_REFS = 1, GC = 2, EXCEPTIONS = 4, REF_TYPES = 8, TAIL_CALLS = 16, GC_SUPPORT = 32, ALL = 63 };
  static const struct {
    int off;
    const char *wat, *says;
  } cases[] = {
      {FUNC_REFS | GC, "(module (type $t (func)) (func (param (ref null $t))))", "function references required for index reference types"},
      {FUNC_REFS, "(module (type $t (func)) (func (param (ref null $t))))", NULL},
      {FUNC_REFS, "(module (func (param (ref func))))", "function references required for non-nullable types"},
      {FUNC_REFS, "(module (type $t (func)) (func (param (ref null $t)) (call_ref $t (local.get 0))))", "function references support is not enabled"},
      {FUNC_REFS, "(module (func (param funcref) (drop (ref.as_non_null (local.get 0)))))", "function references support is not enabled"},
      {GC, "(module (type $t (func)) (func (param (ref null $t)) (call_ref $t (local.get 0))))", NULL},
      {GC, "(module (type (struct (field i32))))", "struct indexed types not supported without the gc feature"},
      {GC, "(module (type (array i8)))", "array indexed types not supported without the gc feature"},
      {GC, "(module (rec (type (func)) (type (func))))", "rec group usage requires `gc` proposal to be enabled"},
      {GC, "(module (type (sub (func))))", "gc proposal must be enabled to use subtypes"},
      {GC, "(module (func (param anyref)))", "heap types not supported without the gc feature"},
      {GC, "(module (func (param nullfuncref)))", "heap types not supported without the gc feature"},
      {GC, "(module (func (drop (ref.i31 (i32.const 1)))))", "gc support is not enabled"},
      {GC, "(module (global $a i32 (i32.const 1)) (global i32 (global.get $a)))", "constant expression required: global.get of locally defined global"},
      {EXCEPTIONS, "(module (tag))", "exceptions proposal not enabled"},
      {EXCEPTIONS, "(module (import \"\" \"\" (tag)))", "exceptions proposal not enabled"},
      {EXCEPTIONS, "(module (func (param exnref)))", "exception refs not supported without the exception handling feature"},
      {FUNC_REFS | GC, "(module (tag $t) (func (param exnref) (block (try_table (catch $t 0) (throw_ref (local.get 0))))))", NULL},
      {REF_TYPES, "(module (func (param anyref)))", "reference types support is not enabled"},
      {REF_TYPES, "(module (type $t (func)) (func (param (ref null $t))))", "reference types support is not enabled"},
      {TAIL_CALLS, "(module (func $f (return_call $f)))", "tail calls support is not enabled"},
      {GC_SUPPORT, "(module (func (param externref)))", "gc types are disallowed but found type which requires gc"},
      {GC_SUPPORT, "(module (func (param anyref)))", "gc types are disallowed but found type which requires gc"},
      {GC_SUPPORT, "(module (type (struct (field i32))))", "cannot define struct types when gc types are disabled"},
      {GC_SUPPORT, "(module (type (array i8)))", "cannot define array types when gc types are disabled"},
      {GC_SUPPORT, "(module (type $t (func)) (func (param (ref null $t)) (call_ref $t (local.get 0))))", NULL},
      {GC_SUPPORT, "(module (tag $t) (func (throw $t)))", "0: WebAssembly translation error\n    1: Unsupported feature: support for GC types disabled at configuration time"},
      {GC_SUPPORT, "(module (tag) (func (try_table)) (func (drop (i31.get_s (ref.i31 (i32.const 1))))))", NULL},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    int on = ALL & ~cases[i].off;
    wasm_config_t *config = wasm_config_new();
    wasmtime_config_wasm_function_references_set(config, on & FUNC_REFS);
    wasmtime_config_wasm_gc_set(config, on & GC);
    wasmtime_config_wasm_exceptions_set(config, on & EXCEPTIONS);
    wasmtime_config_wasm_reference_types_set(config, on & REF_TYPES);
    wasmtime_config_wasm_tail_call_set(config, on & TAIL_CALLS);
    wasmtime_config_gc_support_set(config, on & GC_SUPPORT);
    wasm_engine_t *e = wasm_engine_new_with_config(config);
    wasmtime_error_t *error = module_error(e, cases[i].wat);
    if (!(cases[i].says ? expect_error_says(error, cases[i].says) : expect_ok(error))) printf("# %s\n", cases[i].wat);
    wasm_engine_delete(e);
  }
}

// The reference library ends the process.
static void nothing_is_caught_without_a_heap(void) {
  static const char *const modules[] = {
      "(module (tag $t) (func (block (try_table (catch $t 0) (call 0)))))",
      "(module (func (param exnref) (throw_ref (local.get 0))))",
  };
  for (size_t i = 0; i < sizeof modules / sizeof *modules; i++) {
    wasm_config_t *config = wasm_config_new();
    wasmtime_config_wasm_exceptions_set(config, true);
    wasmtime_config_gc_support_set(config, false);
    wasm_engine_t *e = wasm_engine_new_with_config(config);
    expect_error_says(module_error(e, modules[i]), "support for GC types disabled at configuration time");
    wasm_engine_delete(e);
  }
}

static void exceptions_of_the_host_need_a_heap(void) {
  wasm_tagtype_t *tag_type = wasm_tagtype_new(wasm_functype_new_0_0());
  wasmtime_tag_t tag;
  wasmtime_exn_t *exn = NULL;
  expect_ok(wasmtime_tag_new(ctx, tag_type, &tag));
  expect_error_says(wasmtime_exn_new(ctx, &tag, NULL, 0, &exn),
                    "cannot allocate a GC store when GC is disabled at configuration time");
  wasm_tagtype_delete(tag_type);
}

static void exceptions_of_the_host_work_whatever_is_set(void) {
  for (int on = 0; on < 2; on++) {
    wasm_config_t *config = wasm_config_new();
    wasmtime_config_wasm_exceptions_set(config, on);
    wasm_engine_t *e = wasm_engine_new_with_config(config);
    wasmtime_store_t *s = wasmtime_store_new(e, NULL, NULL);
    wasmtime_context_t *c = wasmtime_store_context(s);
    wasm_functype_t *type = wasm_functype_new_0_0();
    wasm_tagtype_t *tag_type = wasm_tagtype_new(type);
    wasmtime_tag_t tag;
    wasmtime_exn_t *exn;
    expect_ok(wasmtime_tag_new(c, tag_type, &tag));
    if (expect_ok(wasmtime_exn_new(c, &tag, NULL, 0, &exn))) wasmtime_exn_delete(exn);
    wasm_tagtype_delete(tag_type);
    wasmtime_store_delete(s);
    wasm_engine_delete(e);
  }
}

static const char *const WORK = "(module (memory 1) (func (export \"f\") (param i32) (result i32) (local $i i32)"
                                "  (loop (i32.store (local.get $i) (i32.add (i32.load (local.get $i)) (local.get 0)))"
                                "    (br_if 0 (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 4)))"
                                "      (i32.const 400))))"
                                "  (i32.load (i32.const 396))))";

static void code_runs(void) {
  wasmtime_instance_t instance = instance_of(WORK);
  wasmtime_func_t f = func_of(&instance, "f");
  expect(call1(&f, 21) == 21 && call1(&f, 21) == 42);
}

static void debug_info(wasm_config_t *c) { wasmtime_config_debug_info_set(c, true); }
static void strategy_auto(wasm_config_t *c) { wasmtime_config_strategy_set(c, WASMTIME_STRATEGY_AUTO); }
static void strategy_cranelift(wasm_config_t *c) { wasmtime_config_strategy_set(c, WASMTIME_STRATEGY_CRANELIFT); }
static void opt_none(wasm_config_t *c) { wasmtime_config_cranelift_opt_level_set(c, WASMTIME_OPT_LEVEL_NONE); }
static void opt_speed(wasm_config_t *c) { wasmtime_config_cranelift_opt_level_set(c, WASMTIME_OPT_LEVEL_SPEED); }
static void opt_size(wasm_config_t *c) {
  wasmtime_config_cranelift_opt_level_set(c, WASMTIME_OPT_LEVEL_SPEED_AND_SIZE);
}
static void sequential(wasm_config_t *c) { wasmtime_config_parallel_compilation_set(c, false); }
static void verified(wasm_config_t *c) { wasmtime_config_cranelift_debug_verifier_set(c, true); }
static void canonical_nans(wasm_config_t *c) { wasmtime_config_cranelift_nan_canonicalization_set(c, true); }
static void not_profiled(wasm_config_t *c) { wasmtime_config_profiler_set(c, WASMTIME_PROFILING_STRATEGY_NONE); }
static void no_unwind_info(wasm_config_t *c) { wasmtime_config_native_unwind_info_set(c, false); }
static void mach_ports(wasm_config_t *c) { wasmtime_config_macos_use_mach_ports_set(c, false); }
static void no_signals(wasm_config_t *c) { wasmtime_config_signals_based_traps_set(c, false); }
static void no_images(wasm_config_t *c) { wasmtime_config_memory_init_cow_set(c, false); }
static void small_stack(wasm_config_t *c) { wasmtime_config_max_wasm_stack_set(c, 32 * 1024); }
static void small_memories(wasm_config_t *c) {
  wasmtime_config_memory_reservation_set(c, 0);
  wasmtime_config_memory_guard_size_set(c, 0);
  wasmtime_config_memory_reservation_for_growth_set(c, 65536);
  wasmtime_config_memory_may_move_set(c, true);
}
static void deterministic(wasm_config_t *c) { wasmtime_config_wasm_relaxed_simd_deterministic_set(c, true); }
static void this_target(wasm_config_t *c) {
#if defined(__x86_64__)
  expect_ok(wasmtime_config_target_set(c, "x86_64-unknown-linux-gnu"));
#else
  (void)c;
#endif
}
static void a_flag(wasm_config_t *c) { wasmtime_config_cranelift_flag_set(c, "opt_level", "speed"); }
static void an_enabled_flag(wasm_config_t *c) { wasmtime_config_cranelift_flag_enable(c, "enable_nan_canonicalization"); }
static void no_gc_support(wasm_config_t *c) {
  wasmtime_config_wasm_gc_set(c, false);
  wasmtime_config_wasm_function_references_set(c, false);
  wasmtime_config_wasm_reference_types_set(c, false);
  wasmtime_config_wasm_exceptions_set(c, false);
  wasmtime_config_gc_support_set(c, false);
}
static void no_stack_switching(wasm_config_t *c) { wasmtime_config_wasm_stack_switching_set(c, false); }

static void an_unknown_target_is_an_error(void) {
  wasm_config_t *config = wasm_config_new();
  expect_error(wasmtime_config_target_set(config, "no such machine"));
  wasm_config_delete(config);
}

// What cannot be had: there is no engine, and what the configuration took over is finalized.
static int finalized;

static wasmtime_error_t *no_memory(void *env, const wasm_memorytype_t *type, size_t minimum, size_t maximum,
                                   size_t reserved, size_t guard, wasmtime_linear_memory_t *out) {
  (void)env, (void)type, (void)minimum, (void)maximum, (void)reserved, (void)guard, (void)out;
  return wasmtime_error_new("no memory");
}

static void no_stack(wasm_config_t *c) { wasmtime_config_max_wasm_stack_set(c, 0); }
static void unknown_flag(wasm_config_t *c) { wasmtime_config_cranelift_flag_enable(c, "no_such_flag"); }
static void unknown_key(wasm_config_t *c) { wasmtime_config_cranelift_flag_set(c, "no_such_key", "1"); }
static void unknown_value(wasm_config_t *c) { wasmtime_config_cranelift_flag_set(c, "opt_level", "sideways"); }
static void small_async_stack(wasm_config_t *c) {
  wasmtime_config_max_wasm_stack_set(c, 1 << 20);
  wasmtime_config_async_stack_size_set(c, 1 << 19);
}
static void memories_beyond_their_reservation(wasm_config_t *c) {
  wasmtime_pooling_allocation_config_t *pool = wasmtime_pooling_allocation_config_new();
  wasmtime_pooling_allocation_config_max_memory_size_set(pool, 2 << 20);
  wasmtime_config_memory_reservation_set(c, 1 << 20);
  wasmtime_pooling_allocation_strategy_set(c, pool);
  wasmtime_pooling_allocation_config_delete(pool);
}
static void memories_beyond_the_address_space(wasm_config_t *c) {
  wasmtime_pooling_allocation_config_t *pool = wasmtime_pooling_allocation_config_new();
  wasmtime_pooling_allocation_config_total_memories_set(pool, 4000000);
  wasmtime_pooling_allocation_strategy_set(c, pool);
  wasmtime_pooling_allocation_config_delete(pool);
}

static void contradictions_make_no_engine(void) {
  void (*const configurations[])(wasm_config_t *) = {
      no_stack, unknown_flag, unknown_key, unknown_value, small_async_stack, memories_beyond_their_reservation,
      memories_beyond_the_address_space,
  };
  for (size_t i = 0; i < sizeof configurations / sizeof *configurations; i++) {
    finalized = 0;
    wasm_config_t *config = wasm_config_new();
    wasmtime_memory_creator_t creator = {&finalized, no_memory, count_finalized};
    wasmtime_config_host_memory_creator_set(config, &creator);
    configurations[i](config);
    wasm_engine_t *e = wasm_engine_new_with_config(config);
    if (!expect(e == NULL && finalized == 1)) printf("# configuration %zu\n", i);
    if (e) wasm_engine_delete(e);
  }
}

static void an_unused_configuration_finalizes_what_it_took(void) {
  wasm_config_t *config = wasm_config_new();
  int first = 0, second = 0;
  wasmtime_memory_creator_t one = {&first, no_memory, count_finalized}, two = {&second, no_memory, count_finalized};
  wasmtime_config_host_memory_creator_set(config, &one);
  wasmtime_config_host_memory_creator_set(config, &two);
  expect(first == 1 && second == 0);
  wasm_config_delete(config);
  expect(first == 1 && second == 1);
}

static int depth_of(wasm_engine_t *e) {
  wasmtime_store_t *s = wasmtime_store_new(e, NULL, NULL);
  wasmtime_context_t *c = wasmtime_store_context(s);
  wasmtime_instance_t instance =
      instance_with(c, e, "(module (global (export \"depth\") (mut i32) (i32.const 0))"
                          "  (func $f (export \"f\") (global.set 0 (i32.add (global.get 0) (i32.const 1))) call $f))",
                    NULL, 0);
  wasmtime_func_t f = export_in(c, &instance, "f").of.func;
  wasmtime_global_t depth = export_in(c, &instance, "depth").of.global;
  wasmtime_val_t val;
  wasm_trap_t *trap = NULL;
  expect_ok(wasmtime_func_call(c, &f, NULL, 0, NULL, 0, &trap));
  expect_trap(trap, WASMTIME_TRAP_CODE_STACK_OVERFLOW);
  wasmtime_global_get(c, &depth, &val);
  wasmtime_store_delete(s);
  return val.of.i32;
}

static void a_larger_stack_goes_deeper(void) {
  int depths[2];
  for (int i = 0; i < 2; i++) {
    wasm_config_t *config = wasm_config_new();
    wasmtime_config_max_wasm_stack_set(config, i ? 1024 * 1024 : 64 * 1024);
    wasm_engine_t *e = wasm_engine_new_with_config(config);
    depths[i] = depth_of(e);
    wasm_engine_delete(e);
  }
  int by_default = depth_of(engine);
  expect(depths[0] > 100 && by_default > 4 * depths[0] && depths[1] > depths[0] * 8);
}

static void nans_are_canonical(void) {
  wasmtime_instance_t instance = instance_of("(module (func (export \"f\") (param i32) (result i32)"
                                             "  (i32.reinterpret_f32 (f32.add (f32.reinterpret_i32 (local.get 0))"
                                             "    (f32.const 1)))))");
  wasmtime_func_t f = func_of(&instance, "f");
  expect(call1(&f, 0x7fa12345) == 0x7fc00000);
}

// A module's code as a whole, which `strategy` and `level` decide; what is compiled lazily is compiled for this.
static wasm_byte_vec_t code_of(wasmtime_strategy_t strategy, wasmtime_opt_level_t level, const char *wat) {
  wasm_config_t *config = wasm_config_new();
  // In either order.
  if (level != WASMTIME_OPT_LEVEL_NONE) wasmtime_config_cranelift_opt_level_set(config, level);
  wasmtime_config_strategy_set(config, strategy);
  if (level == WASMTIME_OPT_LEVEL_NONE) wasmtime_config_cranelift_opt_level_set(config, level);
  wasm_engine_t *e = wasm_engine_new_with_config(config);
  wasmtime_module_t *module = module_in(e, wat), *loaded = NULL;
  wasm_byte_vec_t artifact, code;
  expect_ok(wasmtime_module_serialize(module, &artifact));
  expect_ok(wasmtime_module_deserialize(e, (uint8_t *)artifact.data, artifact.size, &loaded));
  void *start, *end;
  wasmtime_module_image_range(loaded, &start, &end);
  // The rest of the last page is filled up.
  while (start < end && ((uint8_t *)end)[-1] == 0xcc) end = (uint8_t *)end - 1;
  wasm_byte_vec_new(&code, (char *)end - (char *)start, start);
  wasm_byte_vec_delete(&artifact);
  wasmtime_module_delete(loaded);
  wasmtime_module_delete(module);
  wasm_engine_delete(e);
  return code;
}

// Compared by their ends: they begin with what depends on where they are.
static bool same_code(const wasm_byte_vec_t *a, const wasm_byte_vec_t *b) {
  enum { END = 48 };
  return a->size == b->size && a->size > END && memcmp(a->data + a->size - END, b->data + b->size - END, END) == 0;
}

// The reference library has one compiler.
static void strategy_and_level_choose_the_compiler(void) {
  // Of a thousand exclusive ors by constants the optimizing compiler makes one.
  char wat[32 << 10] = "(module (func (export \"f\") (param i32) (result i32) local.get 0", *at = wat + strlen(wat);
  for (int i = 1; i <= 1000; i++) at += sprintf(at, " i32.const %d i32.xor", i * 8191);
  strcpy(at, "))");
  wasm_byte_vec_t baseline = code_of(WASMTIME_STRATEGY_WINCH, WASMTIME_OPT_LEVEL_SPEED, wat);
  wasm_byte_vec_t optimized = code_of(WASMTIME_STRATEGY_CRANELIFT, WASMTIME_OPT_LEVEL_SPEED, wat);
  expect(baseline.size > optimized.size + 4000);
  // What is serialized is optimized, unless that isn't wanted.
  wasm_byte_vec_t automatic = code_of(WASMTIME_STRATEGY_AUTO, WASMTIME_OPT_LEVEL_SPEED, wat);
  wasm_byte_vec_t quick = code_of(WASMTIME_STRATEGY_AUTO, WASMTIME_OPT_LEVEL_NONE, wat);
  expect(same_code(&automatic, &optimized));
  expect(same_code(&quick, &baseline));
  // A compiler that is named is that one.
  wasm_byte_vec_t named = code_of(WASMTIME_STRATEGY_CRANELIFT, WASMTIME_OPT_LEVEL_NONE, wat);
  wasm_byte_vec_t again = code_of(WASMTIME_STRATEGY_WINCH, WASMTIME_OPT_LEVEL_NONE, wat);
  expect(!same_code(&named, &baseline) && !same_code(&named, &optimized));
  expect(same_code(&again, &baseline));
  wasm_byte_vec_t *all[] = {&baseline, &optimized, &automatic, &quick, &named, &again};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) wasm_byte_vec_delete(all[i]);
}

// Where everything is compiled first, the module takes what its code needs; otherwise there is room for what may come.
static void a_named_compiler_compiles_everything_at_once(void) {
  static const wasmtime_strategy_t strategies[] = {WASMTIME_STRATEGY_AUTO, WASMTIME_STRATEGY_CRANELIFT, WASMTIME_STRATEGY_WINCH};
  for (int i = 0; i < 3; i++) {
    wasm_config_t *config = wasm_config_new();
    wasmtime_config_strategy_set(config, strategies[i]);
    wasm_engine_t *e = wasm_engine_new_with_config(config);
    wasmtime_module_t *module = module_in(e, WORK);
    void *start, *end;
    wasmtime_module_image_range(module, &start, &end);
    expect(((char *)end - (char *)start < 1 << 15) == (strategies[i] != WASMTIME_STRATEGY_AUTO));
    wasmtime_module_delete(module);
    wasm_engine_delete(e);
  }
}

static void strategy_winch(wasm_config_t *c) { wasmtime_config_strategy_set(c, WASMTIME_STRATEGY_WINCH); }

int main(void) {
  RUN(each_proposal_is_switched_by_its_setting);
  RUN(the_defaults_are_those_of_the_interface);
  RUN(what_is_switched_off_is_refused);
  RUN(a_module_is_refused_with_the_reason);
  RUN_HERE(nothing_is_caught_without_a_heap);
  RUN_WITH(no_gc_support, exceptions_of_the_host_need_a_heap);
  RUN_HERE(exceptions_of_the_host_work_whatever_is_set);
  RUN_WITH(debug_info, code_runs);
  RUN_WITH(strategy_auto, code_runs);
  RUN_WITH(strategy_cranelift, code_runs);
#ifndef AMPOULE_AGAINST // the value came after 44.0.0
  RUN_WITH(strategy_winch, code_runs);
#endif
  RUN_HERE(strategy_and_level_choose_the_compiler);
  RUN_HERE(a_named_compiler_compiles_everything_at_once);
  RUN_WITH(opt_none, code_runs);
  RUN_WITH(opt_speed, code_runs);
  RUN_WITH(opt_size, code_runs);
  RUN_WITH(sequential, code_runs);
  RUN_WITH(verified, code_runs);
  RUN_WITH(canonical_nans, code_runs);
  RUN_WITH(not_profiled, code_runs);
  RUN_WITH(no_unwind_info, code_runs);
  RUN_WITH(mach_ports, code_runs);
  RUN_WITH(no_signals, code_runs);
  RUN_WITH(no_images, code_runs);
  RUN_WITH(small_stack, code_runs);
  RUN_WITH(small_memories, code_runs);
  RUN_WITH(deterministic, code_runs);
  RUN_WITH(this_target, code_runs);
  RUN_WITH(a_flag, code_runs);
  RUN_WITH(an_enabled_flag, code_runs);
  RUN_WITH(no_gc_support, code_runs);
  RUN_WITH(no_stack_switching, code_runs);
  RUN(an_unknown_target_is_an_error);
  RUN_HERE(contradictions_make_no_engine);
  RUN(an_unused_configuration_finalizes_what_it_took);
  RUN(a_larger_stack_goes_deeper);
  RUN_WITH(canonical_nans, nans_are_canonical);
  RUN_WITH(an_enabled_flag, nans_are_canonical);
  return test_summary();
}
