// wasmtime/linker.h: finding imports by name.
#include "test.h"

static wasmtime_linker_t *linker;

static wasmtime_error_t *define(const char *module, const char *name, const wasmtime_extern_t *item) {
  return wasmtime_linker_define(linker, ctx, module, strlen(module), name, strlen(name), item);
}

static wasm_trap_t *answer(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                           wasmtime_val_t *results, size_t nresults) {
  (void)caller, (void)args, (void)nargs, (void)nresults;
  results[0] = i32_val(*(int *)env);
  return NULL;
}

static wasm_trap_t *answer_unchecked(void *env, wasmtime_caller_t *caller, wasmtime_val_raw_t *vals, size_t len) {
  (void)caller, (void)len;
  vals[0].i32 = *(int *)env;
  return NULL;
}

// It is done at once.
static void answer_later(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                         wasmtime_val_t *results, size_t nresults, wasm_trap_t **trap,
                         wasmtime_async_continuation_t *continuation) {
  (void)trap, (void)continuation;
  answer(env, caller, args, nargs, results, nresults);
}

static wasmtime_error_t *define_answer(const char *module, const char *name, int *value, void (*finalizer)(void *)) {
  wasm_functype_t *type = wasm_functype_new_0_1(wasm_valtype_new_i32());
  wasmtime_error_t *error =
      wasmtime_linker_define_func(linker, module, strlen(module), name, strlen(name), type, answer, value, finalizer);
  wasm_functype_delete(type);
  return error;
}

static wasmtime_error_t *instantiate(const char *wat, wasmtime_instance_t *instance, wasm_trap_t **trap) {
  wasmtime_module_t *module = module_of(wat);
  *trap = NULL;
  wasmtime_error_t *error = wasmtime_linker_instantiate(linker, ctx, module, instance, trap);
  wasmtime_module_delete(module);
  return error;
}

static wasmtime_error_t *add_module(const char *name, const char *wat) {
  wasmtime_module_t *module = module_of(wat);
  wasmtime_error_t *error = wasmtime_linker_module(linker, ctx, name, strlen(name), module);
  wasmtime_module_delete(module);
  return error;
}

// What the import `module`.`name` answers, through a guest.
static int32_t ask(const char *module, const char *name) {
  char wat[256];
  wasmtime_instance_t instance;
  wasm_trap_t *trap;
  snprintf(wat, sizeof wat,
           "(module (import \"%s\" \"%s\" (func $f (result i32))) (func (export \"run\") (result i32) call $f))", module, name);
  if (!expect_ok(instantiate(wat, &instance, &trap)) || !expect_no_trap(trap)) return -99;
  wasmtime_func_t run = func_of(&instance, "run");
  return call0(&run);
}

static void a_host_function_fits_every_store(void) {
  int value = 42;
  expect_ok(define_answer("env", "f", &value, NULL));
  expect(ask("env", "f") == 42);
  wasmtime_context_t *mine = ctx;
  wasmtime_store_t *other = wasmtime_store_new(engine, NULL, NULL);
  ctx = wasmtime_store_context(other);
  expect(ask("env", "f") == 42);
  ctx = mine;
  wasmtime_store_delete(other);
}

static void an_unchecked_host_function_too(void) {
  int value = 43;
  wasm_functype_t *type = wasm_functype_new_0_1(wasm_valtype_new_i32());
  expect_ok(wasmtime_linker_define_func_unchecked(linker, "e", 1, "f", 1, type, answer_unchecked, &value, NULL));
  wasm_functype_delete(type);
  expect(ask("e", "f") == 43);
}

static void finalizers_run_once_after_the_last_user(void) {
  static int finalized;
  finalized = 0;
  expect_ok(define_answer("env", "f", &finalized, count_finalized));
  expect(ask("env", "f") == 0);
  wasmtime_linker_t *clone = wasmtime_linker_clone(linker);
  wasmtime_linker_delete(linker);
  expect(finalized == 0);
  linker = clone;
  expect(ask("env", "f") == 0);
  wasmtime_linker_delete(linker);
  linker = NULL;
  wasmtime_store_delete(store);
  store = NULL;
  expect(finalized == 1);
}

static void a_refused_definition_is_finalized(void) {
  static int first, second;
  first = second = 0;
  expect_ok(define_answer("env", "f", &first, count_finalized));
  expect_error_says(define_answer("env", "f", &second, count_finalized), "import of `env::f` defined twice");
  expect(first == 0 && second == 1);
}

static void a_name_is_defined_once_unless_shadowing_is_allowed(void) {
  int first = 1, second = 2;
  expect_ok(define_answer("env", "f", &first, NULL));
  expect_error_says(define_answer("env", "f", &second, NULL), "import of `env::f` defined twice");
  expect(ask("env", "f") == 1);
  wasmtime_linker_allow_shadowing(linker, true);
  expect_ok(define_answer("env", "f", &second, NULL));
  expect(ask("env", "f") == 2);
  wasmtime_linker_allow_shadowing(linker, false);
  expect_error(define_answer("env", "f", &first, NULL));
  expect(ask("env", "f") == 2);
}

static void any_item_can_be_defined_and_got(void) {
  wasmtime_instance_t provider = instance_of("(module (memory (export \"m\") 1) (table (export \"t\") 1 funcref)"
                                             "  (global (export \"g\") i32 (i32.const 3))"
                                             "  (func (export \"f\") (result i32) i32.const 4))");
  static const char *const names[] = {"m", "t", "g", "f"};
  wasmtime_extern_t item, got;
  for (size_t i = 0; i < 4; i++) {
    item = export_of(&provider, names[i]);
    expect_ok(define("env", names[i], &item));
    expect(wasmtime_linker_get(linker, ctx, "env", 3, names[i], 1, &got) && got.kind == item.kind);
  }
  expect(!wasmtime_linker_get(linker, ctx, "env", 3, "x", 1, &got));
  expect(!wasmtime_linker_get(linker, ctx, "en", 2, "m", 1, &got));
  wasmtime_instance_t instance;
  wasm_trap_t *trap;
  expect_ok(instantiate("(module (import \"env\" \"m\" (memory 1)) (import \"env\" \"t\" (table 1 funcref))"
                        "  (import \"env\" \"g\" (global i32)) (import \"env\" \"f\" (func (result i32))))",
                        &instance, &trap));
  expect(ask("env", "f") == 4);
}

static void a_missing_import_is_an_error_that_names_it(void) {
  wasmtime_instance_t instance;
  wasm_trap_t *trap;
  expect_error_says(instantiate("(module (import \"env\" \"log\" (func)))", &instance, &trap),
                    "unknown import: `env::log` has not been defined");
  expect_no_trap(trap);
}

static void a_mismatch_is_an_error_that_names_the_import(void) {
  int value = 1;
  wasmtime_instance_t instance;
  wasm_trap_t *trap;
  expect_ok(define_answer("env", "f", &value, NULL));
  expect_error_says(instantiate("(module (import \"env\" \"f\" (func (param i32))))", &instance, &trap),
                    "incompatible import type for `env::f`");
  expect_error_says(instantiate("(module (import \"env\" \"f\" (memory 1)))", &instance, &trap),
                    "incompatible import type for `env::f`");
}

// Every way to define something refuses a name that is taken, and one that is no text, and finalizes what it was given.
static void whatever_is_refused_is_finalized(void) {
  static int kept, refused;
  kept = refused = 0;
  wasm_functype_t *type = wasm_functype_new_0_1(wasm_valtype_new_i32());
  static const char *const modules[] = {"env", "\xff", "env"}, *const names[] = {"f", "f", "\xff"};
  expect_ok(define_answer("env", "f", &kept, count_finalized));
  for (int i = 0; i < 3; i++) {
    const char *m = modules[i], *n = names[i], *says = i ? "utf-8" : "import of `env::f` defined twice";
    expect_error_says(wasmtime_linker_define_func(linker, m, strlen(m), n, 1, type, answer, &refused, count_finalized), says);
    expect_error_says(wasmtime_linker_define_func_unchecked(linker, m, strlen(m), n, 1, type, answer_unchecked, &refused,
                                                            count_finalized), says);
    expect_error_says(wasmtime_linker_define_async_func(linker, m, strlen(m), n, 1, type, answer_later, &refused,
                                                        count_finalized), says);
    expect(refused == 3 * (i + 1) && kept == 0);
  }
  wasm_functype_delete(type);
}

static void names_that_are_no_text_are_refused(void) {
  wasmtime_instance_t provider = instance_of("(module (func (export \"f\")))");
  wasmtime_extern_t item = export_of(&provider, "f");
  wasmtime_func_t func;
  wasmtime_module_t *module = module_of("(module)");
  expect_error_says(define("\xff", "f", &item), "utf-8");
  expect_error_says(define("env", "\xff", &item), "utf-8");
  expect_error_says(wasmtime_linker_define_instance(linker, ctx, "\xff", 1, &provider), "utf-8");
  expect_error_says(wasmtime_linker_module(linker, ctx, "\xff", 1, module), "utf-8");
  expect_error_says(wasmtime_linker_get_default(linker, ctx, "\xff", 1, &func), "utf-8");
  expect(!wasmtime_linker_get(linker, ctx, "\xff", 1, "f", 1, &item));
  wasmtime_module_delete(module);
}

static void an_item_is_defined_once(void) {
  wasmtime_instance_t provider = instance_of("(module (memory (export \"m\") 1))");
  wasmtime_extern_t item = export_of(&provider, "m");
  expect_ok(define("env", "m", &item));
  expect_error_says(define("env", "m", &item), "import of `env::m` defined twice");
}

static void an_instance_is_defined_with_all_its_exports(void) {
  wasmtime_instance_t provider = instance_of("(module (func (export \"one\") (result i32) i32.const 1)"
                                             "  (func (export \"two\") (result i32) i32.const 2))");
  expect_ok(wasmtime_linker_define_instance(linker, ctx, "lib", 3, &provider));
  expect(ask("lib", "one") == 1 && ask("lib", "two") == 2);
  expect_error(wasmtime_linker_define_instance(linker, ctx, "lib", 3, &provider));
  wasmtime_linker_allow_shadowing(linker, true);
  expect_ok(wasmtime_linker_define_instance(linker, ctx, "lib", 3, &provider));
}

static void a_trap_of_the_start_function_comes_out(void) {
  wasmtime_instance_t instance;
  wasm_trap_t *trap;
  expect_ok(instantiate("(module (func $s unreachable) (start $s))", &instance, &trap));
  expect_trap(trap, WASMTIME_TRAP_CODE_UNREACHABLE_CODE_REACHED);
}

// -- Commands and reactors

static void a_reactor_is_instantiated_once_and_initialized(void) {
  expect_ok(add_module("lib", "(module (global $g (mut i32) (i32.const 0))"
                              "  (func (export \"_initialize\") (global.set $g (i32.const 10)))"
                              "  (func (export \"next\") (result i32)"
                              "    (global.set $g (i32.add (global.get $g) (i32.const 1))) (global.get $g)))"));
  expect(ask("lib", "next") == 11);
  expect(ask("lib", "next") == 12);
}

static void a_command_is_instantiated_for_every_call(void) {
  expect_ok(add_module("cmd", "(module (global $g (mut i32) (i32.const 0)) (func (export \"_start\"))"
                              "  (func (export \"next\") (result i32)"
                              "    (global.set $g (i32.add (global.get $g) (i32.const 1))) (global.get $g)))"));
  expect(ask("cmd", "next") == 1);
  expect(ask("cmd", "next") == 1);
}

static void a_reactor_that_fails_to_initialize_is_an_error(void) {
  expect_error_says(add_module("lib", "(module (func (export \"_initialize\") unreachable))"), "unreachable");
  expect_error_says(add_module("lib", "(module (import \"x\" \"y\" (func)))"), "unknown import: `x::y` has not been defined");
}

// A module that means to be both, or neither, as WASI has it.
static void a_module_is_a_command_or_a_reactor(void) {
  static const struct {
    const char *exports, *says;
  } cases[] = {
      {"(func (export \"_start\")) (func (export \"_initialize\"))", "Program cannot be both a Command and a Reactor"},
      {"(global (export \"_start\") i32 (i32.const 0))", "`_start` must be a function"},
      {"(memory (export \"_initialize\") 1)", "`_initialize` must be a function"},
      {"(func (export \"_start\")) (memory (export \"m\") 1)", "command export 'm' is not a function"},
      {"(func (export \"_start\")) (table (export \"t\") 1 funcref)", "command export 't' is not a function"},
      {"(func (export \"_start\")) (global (export \"memory\") i32 (i32.const 0))", "command export 'memory' is not a function"},
      {"(func (export \"_initialize\") (param i32))", "calling the Reactor initialization function"},
      {"(func (export \"_initialize\") (result i32) i32.const 0)", "calling the Reactor initialization function"},
      {"(func (export \"_initialize\") unreachable)", "calling the Reactor initialization function"},
      // What C compilers export besides is passed over.
      {"(func (export \"_start\")) (memory (export \"memory\") 1) (table (export \"__indirect_function_table\") 1 funcref)"
       "(global (export \"__heap_base\") i32 (i32.const 0)) (global (export \"__data_end\") i32 (i32.const 0))", NULL},
  };
  wasmtime_extern_t got;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char wat[512];
    snprintf(wat, sizeof wat, "(module (func (export \"f\")) %s)", cases[i].exports);
    wasmtime_error_t *error = add_module(cases[i].says ? "refused" : "m", wat);
    bool holds = cases[i].says ? expect_error_says(error, cases[i].says) : expect_ok(error);
    if (!holds) printf("# %s\n", wat);
    // Some of what was refused may be defined.
    wasmtime_linker_allow_shadowing(linker, true);
  }
  wasmtime_linker_allow_shadowing(linker, false);
  expect(wasmtime_linker_get(linker, ctx, "m", 1, "_start", 6, &got));
  expect(!wasmtime_linker_get(linker, ctx, "m", 1, "memory", 6, &got));
  expect_error_says(add_module("m", "(module (func (export \"f\")))"), "import of `m::f` defined twice");
  expect_error_says(add_module("c", "(module (import \"x\" \"y\" (func)) (func (export \"_start\")))"),
                    "unknown import: `x::y` has not been defined");
}

static void the_default_is_the_empty_name_or_start_or_nothing(void) {
  wasmtime_func_t func;
  wasm_trap_t *trap;
  expect_ok(add_module("starts", "(module (func (export \"_start\") unreachable))"));
  expect_ok(wasmtime_linker_get_default(linker, ctx, "starts", 6, &func));
  trap = call(&func);
  expect_trap(trap, WASMTIME_TRAP_CODE_UNREACHABLE_CODE_REACHED);
  expect_ok(add_module("empty", "(module (func (export \"\") unreachable))"));
  expect_ok(wasmtime_linker_get_default(linker, ctx, "empty", 5, &func));
  trap = call(&func);
  expect_trap(trap, WASMTIME_TRAP_CODE_UNREACHABLE_CODE_REACHED);
  expect_ok(add_module("neither", "(module (func (export \"f\") unreachable))"));
  expect_ok(wasmtime_linker_get_default(linker, ctx, "neither", 7, &func));
  expect_no_trap(call(&func));
  expect_ok(wasmtime_linker_get_default(linker, ctx, "unknown", 7, &func));
  expect_no_trap(call(&func));
}

static void a_default_that_is_no_function_is_an_error(void) {
  wasmtime_func_t func;
  expect_ok(add_module("m", "(module (memory (export \"\") 1))"));
  expect_error_says(wasmtime_linker_get_default(linker, ctx, "m", 1, &func), "default export in 'm' is not a function");
  wasmtime_instance_t provider = instance_of("(module (memory (export \"m\") 1))");
  wasmtime_extern_t item = export_of(&provider, "m");
  expect_ok(define("n", "_start", &item));
  expect_error_says(wasmtime_linker_get_default(linker, ctx, "n", 1, &func), "`_start` in 'n' is not a function");
}

// -- Unknown imports

static void unknown_functions_become_traps(void) {
  wasmtime_module_t *module =
      module_of("(module (import \"env\" \"known\" (func $known (result i32))) (import \"env\" \"log\" (func $log))"
                "  (func (export \"known\") (result i32) call $known) (func (export \"log\") call $log))");
  int value = 8;
  wasmtime_instance_t instance;
  wasm_trap_t *trap = NULL;
  expect_ok(define_answer("env", "known", &value, NULL));
  expect_ok(wasmtime_linker_define_unknown_imports_as_traps(linker, module));
  expect_ok(wasmtime_linker_instantiate(linker, ctx, module, &instance, &trap));
  wasmtime_func_t known = func_of(&instance, "known"), log = func_of(&instance, "log");
  expect(call0(&known) == 8);
  wasmtime_error_t *error = wasmtime_func_call(ctx, &log, NULL, 0, NULL, 0, &trap);
  if (trap) expect_trap_says(trap, "unknown import: `env::log` has not been defined");
  else expect_error_says(error, "unknown import: `env::log` has not been defined");
  wasmtime_module_delete(module);
}

static void unknown_imports_get_default_values(void) {
  wasmtime_module_t *module = module_of(
      "(module (import \"a\" \"f\" (func $f (param i32) (result i32 i64 f32 f64 externref funcref)))"
      "  (import \"a\" \"g\" (global $g i64)) (import \"a\" \"m\" (memory 2)) (import \"a\" \"t\" (table 3 funcref))"
      "  (func (export \"run\") (result i32 i64 f32 f64 externref funcref) (call $f (i32.const 1)))"
      "  (func (export \"size\") (result i32)"
      "    (i32.add (memory.size) (i32.add (table.size) (i32.wrap_i64 (global.get $g))))))");
  wasmtime_instance_t instance;
  wasm_trap_t *trap = NULL;
  expect_ok(wasmtime_linker_define_unknown_imports_as_default_values(linker, ctx, module));
  expect_ok(wasmtime_linker_instantiate(linker, ctx, module, &instance, &trap));
  wasmtime_func_t run = func_of(&instance, "run"), size = func_of(&instance, "size");
  wasmtime_val_t results[6];
  expect_ok(wasmtime_func_call(ctx, &run, NULL, 0, results, 6, &trap));
  expect(results[0].of.i32 == 0 && results[1].of.i64 == 0 && results[2].of.f32 == 0 && results[3].of.f64 == 0);
  expect(wasmtime_externref_is_null(&results[4].of.externref) && wasmtime_funcref_is_null(&results[5].of.funcref));
  expect(call0(&size) == 5);
  wasmtime_module_delete(module);
}

static void what_is_no_function_becomes_no_trap(void) {
  wasmtime_module_t *module = module_of("(module (import \"a\" \"m\" (memory 1)) (import \"a\" \"f\" (func)))");
  wasmtime_extern_t got;
  wasmtime_instance_t instance;
  wasm_trap_t *trap = NULL;
  expect_ok(wasmtime_linker_define_unknown_imports_as_traps(linker, module));
  expect(wasmtime_linker_get(linker, ctx, "a", 1, "f", 1, &got) && !wasmtime_linker_get(linker, ctx, "a", 1, "m", 1, &got));
  expect_error_says(wasmtime_linker_instantiate(linker, ctx, module, &instance, &trap), "unknown import: `a::m`");
  wasmtime_module_delete(module);
}

static void a_default_value_beyond_a_limit_is_an_error_that_names_the_import(void) {
  wasmtime_module_t *memory = module_of("(module (import \"a\" \"m\" (memory 2)))");
  wasmtime_module_t *table = module_of("(module (import \"a\" \"t\" (table 6 funcref)))");
  wasmtime_store_limiter(store, 65536, 5, -1, -1, -1);
  expect_error_says(wasmtime_linker_define_unknown_imports_as_default_values(linker, ctx, memory),
                    "no default value exists for `a::m`");
  expect_error_says(wasmtime_linker_define_unknown_imports_as_default_values(linker, ctx, table),
                    "no default value exists for `a::t`");
  wasmtime_module_delete(memory);
  wasmtime_module_delete(table);
}

// -- Prepared instances

static wasmtime_error_t *prepare(const char *wat) {
  wasmtime_module_t *module = module_of(wat);
  wasmtime_instance_pre_t *pre = NULL;
  wasmtime_error_t *error = wasmtime_linker_instantiate_pre(linker, module, &pre);
  expect(!error == !!pre);
  if (pre) wasmtime_instance_pre_delete(pre);
  wasmtime_module_delete(module);
  return error;
}

static void preparing_checks_types(void) {
  static const char *const says = "incompatible import type for `env::";
  wasmtime_instance_t provider = instance_of("(module (memory (export \"m\") 1 3) (table (export \"t\") 1 funcref)"
                                             "  (global (export \"g\") i32 (i32.const 3)) (func (export \"f\")))");
  expect_ok(wasmtime_linker_define_instance(linker, ctx, "env", 3, &provider));
  int value = 1;
  expect_ok(define_answer("env", "host", &value, NULL));
  expect_error_says(prepare("(module (import \"env\" \"host\" (func)))"), says);
  expect_error_says(prepare("(module (import \"env\" \"f\" (func (param i32))))"), says);
  expect_error_says(prepare("(module (import \"env\" \"f\" (memory 1)))"), says);
  expect_error_says(prepare("(module (import \"env\" \"g\" (global i64)))"), says);
  expect_error_says(prepare("(module (import \"env\" \"g\" (global (mut i32))))"), says);
  expect_error_says(prepare("(module (import \"env\" \"t\" (table 1 externref)))"), says);
  expect_error_says(prepare("(module (import \"env\" \"t\" (table 1 5 funcref)))"), says);
  expect_error_says(prepare("(module (import \"env\" \"m\" (memory 2)))"), says);
  expect_error_says(prepare("(module (import \"env\" \"m\" (memory 1 2)))"), says);
  expect_ok(prepare("(module (import \"env\" \"m\" (memory 1 3)) (import \"env\" \"t\" (table 1 funcref))"
                    "  (import \"env\" \"g\" (global i32)) (import \"env\" \"f\" (func))"
                    "  (import \"env\" \"host\" (func (result i32))))"));
  // The size that counts is the one at the time of the definition; without preparation, the current one.
  uint64_t previous;
  wasmtime_extern_t item = export_of(&provider, "m");
  expect_ok(wasmtime_memory_grow(ctx, &item.of.memory, 1, &previous));
  expect_error_says(prepare("(module (import \"env\" \"m\" (memory 2)))"), says);
  wasmtime_instance_t instance;
  wasm_trap_t *trap;
  expect_ok(instantiate("(module (import \"env\" \"m\" (memory 2)))", &instance, &trap));
}

// What an instance needs at last, a prepared one needs too.
static void a_prepared_instance_may_be_refused(void) {
  wasmtime_module_t *module = module_of("(module (memory 2))");
  wasmtime_instance_pre_t *pre = NULL;
  wasmtime_instance_t instance;
  wasm_trap_t *trap = NULL;
  expect_ok(wasmtime_linker_instantiate_pre(linker, module, &pre));
  wasmtime_store_limiter(store, 65536, -1, -1, -1, -1);
  expect_error_says(wasmtime_instance_pre_instantiate(pre, ctx, &instance, &trap), "exceeds memory limits");
  wasm_engine_t *other = wasm_engine_new();
  wasmtime_store_t *theirs = wasmtime_store_new(other, NULL, NULL);
  expect_error_says(wasmtime_instance_pre_instantiate(pre, wasmtime_store_context(theirs), &instance, &trap), "cross-`Engine`");
  expect_error_says(wasmtime_linker_instantiate(linker, wasmtime_store_context(theirs), module, &instance, &trap),
                    "cross-`Engine`");
  expect_no_trap(trap);
  wasmtime_store_delete(theirs);
  wasm_engine_delete(other);
  wasmtime_instance_pre_delete(pre);
  wasmtime_module_delete(module);
}

static void preparing_checks_the_imports(void) {
  int value = 6;
  wasmtime_module_t *module = module_of("(module (import \"env\" \"f\" (func $f (result i32)))"
                                        "  (func (export \"run\") (result i32) call $f))");
  wasmtime_instance_pre_t *pre = NULL;
  expect_error_says(wasmtime_linker_instantiate_pre(linker, module, &pre), "unknown import: `env::f` has not been defined");
  expect(pre == NULL);
  expect_ok(define_answer("env", "f", &value, NULL));
  expect_ok(wasmtime_linker_instantiate_pre(linker, module, &pre));
  wasmtime_instance_t instance;
  wasm_trap_t *trap = NULL;
  expect_ok(wasmtime_instance_pre_instantiate(pre, ctx, &instance, &trap));
  wasmtime_func_t run = func_of(&instance, "run");
  expect(call0(&run) == 6);
  wasmtime_instance_pre_delete(pre);
  wasmtime_module_delete(module);
}

// A host function's thunks are code of its engine.
static void nothing_is_linked_across_engines(void) {
  int value = 7;
  expect_ok(define_answer("env", "f", &value, NULL));
  wasm_engine_t *second = wasm_engine_new();
  wasmtime_store_t *other = wasmtime_store_new(second, NULL, NULL);
  wasmtime_module_t *module = module_in(second, "(module (import \"env\" \"f\" (func (result i32))))");
  wasmtime_instance_pre_t *pre = NULL;
  wasmtime_instance_t instance;
  wasmtime_func_t func;
  wasm_trap_t *trap = NULL;
  expect_error_says(wasmtime_linker_instantiate_pre(linker, module, &pre), "the module is of another engine");
  expect(pre == NULL);
  wasmtime_context_t *context = wasmtime_store_context(other);
  expect_error_says(wasmtime_linker_instantiate(linker, context, module, &instance, &trap), "the store is of another engine");
  expect_error_says(wasmtime_linker_instantiate(linker, ctx, module, &instance, &trap), "the module is of another engine");
  expect_error_says(wasmtime_linker_get_default(linker, context, "none", 4, &func), "the store is of another engine");
  wasmtime_module_delete(module);
  wasmtime_store_delete(other);
  wasm_engine_delete(second);
}

static void names_may_hold_any_text(void) {
  int value = 12;
  wasmtime_extern_t got;
  wasm_functype_t *type = wasm_functype_new_0_1(wasm_valtype_new_i32());
  expect_ok(wasmtime_linker_define_func(linker, "", 0, "a\0b", 3, type, answer, &value, NULL));
  expect_error(wasmtime_linker_define_func(linker, "\xff", 1, "f", 1, type, answer, &value, NULL));
  wasm_functype_delete(type);
  expect(wasmtime_linker_get(linker, ctx, "", 0, "a\0b", 3, &got));
  expect(!wasmtime_linker_get(linker, ctx, "", 0, "a", 1, &got));
  expect(call0(&got.of.func) == 12);
}

// -- WASI

static void wasi_is_defined_once(void) {
  wasmtime_extern_t got;
  expect_ok(wasmtime_linker_define_wasi(linker));
  expect(wasmtime_linker_get(linker, ctx, "wasi_snapshot_preview1", 22, "fd_write", 8, &got));
  expect(got.kind == WASMTIME_EXTERN_FUNC);
  expect_error_says(wasmtime_linker_define_wasi(linker), "defined twice");
}

// The reference library says so by ending the process.
static void wasi_without_a_configuration_is_an_error(void) {
  wasmtime_instance_t instance;
  wasm_trap_t *trap;
  expect_ok(wasmtime_linker_define_wasi(linker));
  expect_ok(instantiate("(module (import \"wasi_snapshot_preview1\" \"sched_yield\" (func $yield (result i32)))"
                        "  (memory (export \"memory\") 1) (func (export \"f\") (drop (call $yield))))", &instance, &trap));
  wasmtime_func_t f = func_of(&instance, "f");
  expect_error_says(wasmtime_func_call(ctx, &f, NULL, 0, NULL, 0, &trap), "the store has no WASI configuration");
  expect_no_trap(trap);
}

// Each claim runs with an empty `linker`.
#define RUN_LINKED(claim) (current = claim, test_run(#claim, linked, NULL))

static void (*current)(void);

static void linked(void) {
  linker = wasmtime_linker_new(engine);
  current();
  if (linker) wasmtime_linker_delete(linker);
  linker = NULL;
}

int main(void) {
  RUN_LINKED(a_host_function_fits_every_store);
  RUN_LINKED(an_unchecked_host_function_too);
  RUN_LINKED(finalizers_run_once_after_the_last_user);
  RUN_LINKED(a_refused_definition_is_finalized);
  RUN_LINKED(a_name_is_defined_once_unless_shadowing_is_allowed);
  RUN_LINKED(any_item_can_be_defined_and_got);
  RUN_LINKED(a_missing_import_is_an_error_that_names_it);
  RUN_LINKED(a_mismatch_is_an_error_that_names_the_import);
  // The reference library finalizes nothing where a name is no text.
  if (!getenv("AMPOULE_AGAINST"))
    RUN_LINKED(whatever_is_refused_is_finalized);
  else
    test_skip("whatever_is_refused_is_finalized", "another library is tested");
  RUN_LINKED(names_that_are_no_text_are_refused);
  RUN_LINKED(an_item_is_defined_once);
  RUN_LINKED(an_instance_is_defined_with_all_its_exports);
  RUN_LINKED(a_trap_of_the_start_function_comes_out);
  RUN_LINKED(a_reactor_is_instantiated_once_and_initialized);
  RUN_LINKED(a_command_is_instantiated_for_every_call);
  RUN_LINKED(a_reactor_that_fails_to_initialize_is_an_error);
  RUN_LINKED(a_module_is_a_command_or_a_reactor);
  RUN_LINKED(the_default_is_the_empty_name_or_start_or_nothing);
  RUN_LINKED(a_default_that_is_no_function_is_an_error);
  RUN_LINKED(unknown_functions_become_traps);
  RUN_LINKED(unknown_imports_get_default_values);
  RUN_LINKED(what_is_no_function_becomes_no_trap);
  RUN_LINKED(a_default_value_beyond_a_limit_is_an_error_that_names_the_import);
  RUN_LINKED(preparing_checks_the_imports);
  // The reference library ends the process.
  if (!getenv("AMPOULE_AGAINST"))
    RUN_LINKED(nothing_is_linked_across_engines);
  else
    test_skip("nothing_is_linked_across_engines", "another library is tested");
  RUN_LINKED(preparing_checks_types);
  RUN_LINKED(a_prepared_instance_may_be_refused);
  RUN_LINKED(names_may_hold_any_text);
  RUN_LINKED(wasi_is_defined_once);
  if (!getenv("AMPOULE_AGAINST"))
    RUN_LINKED(wasi_without_a_configuration_is_an_error);
  else
    test_skip("wasi_without_a_configuration_is_an_error", "another library is tested");
  return test_summary();
}
