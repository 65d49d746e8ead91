// wasmtime/component/linker.h: what components import, by name.
#include "component.h"

static wasmtime_component_linker_t *linker;
static wasmtime_component_linker_instance_t *root;

static void new_linker(void) {
  linker = wasmtime_component_linker_new(engine);
  root = wasmtime_component_linker_root(linker);
}

static void delete_linker(void) {
  wasmtime_component_linker_instance_delete(root);
  wasmtime_component_linker_delete(linker);
}

static wasmtime_error_t *add_func(wasmtime_component_linker_instance_t *to, const char *name,
                                  wasmtime_component_func_callback_t callback, void *data, void (*finalizer)(void *)) {
  return wasmtime_component_linker_instance_add_func(to, name, strlen(name), callback, data, finalizer);
}

static wasmtime_component_linker_instance_t *add_instance(wasmtime_component_linker_instance_t *to, const char *name) {
  wasmtime_component_linker_instance_t *instance = NULL;
  expect_ok(wasmtime_component_linker_instance_add_instance(to, name, strlen(name), &instance));
  return instance;
}

static wasmtime_error_t *instantiating(const char *wat) {
  wasmtime_component_t *component = component_of(wat);
  wasmtime_component_instance_t instance;
  wasmtime_error_t *error = wasmtime_component_linker_instantiate(linker, ctx, component, &instance);
  wasmtime_component_delete(component);
  return error;
}

static wasmtime_error_t *answer(void *data, wasmtime_context_t *context, const wasmtime_component_func_type_t *type,
                                val_t *args, size_t nargs, val_t *results, size_t nresults) {
  (void)args;
  expect(context == ctx && nargs == 0 && nresults == 1);
  expect(wasmtime_component_func_type_param_count(type) == 0);
  expect(results[0].kind == WASMTIME_COMPONENT_BOOL && !results[0].of.boolean);
  results[0] = u32_val(*(uint32_t *)data);
  return NULL;
}

static wasmtime_error_t *do_nothing(void *data, wasmtime_context_t *context, const wasmtime_component_func_type_t *type,
                                    val_t *args, size_t nargs, val_t *results, size_t nresults) {
  (void)data, (void)context, (void)type, (void)args, (void)nargs, (void)results, (void)nresults;
  return NULL;
}

// A component that exports the import `name` of this function type as `f`, through a guest.
#define PASSES_ON(name, type)                                                                                         \
  "(component (import \"" name "\" (func $h " type ")) (core func $l (canon lower (func $h)))"                        \
  "(core module $m (import \"\" \"h\" (func $h (result i32))) (func (export \"f\") (result i32) (call $h)))"          \
  "(core instance $i (instantiate $m (with \"\" (instance (export \"h\" (func $l))))))"                               \
  "(func (export \"f\") " type " (canon lift (core func $i \"f\"))))"

static uint32_t call_u32(const wasmtime_component_instance_t *instance) {
  wasmtime_component_func_t func = func_named(instance, "f");
  val_t back = bool_val(false);
  expect_ok(wasmtime_component_func_call(&func, ctx, NULL, 0, &back, 1));
  expect(back.kind == WASMTIME_COMPONENT_U32);
  return back.of.u32;
}

static void guests_call_functions_of_the_host(void) {
  new_linker();
  uint32_t seven = 7;
  expect_ok(add_func(root, "h", answer, &seven, NULL));
  wasmtime_component_instance_t instance = instance_with_linker(linker, PASSES_ON("h", "(result u32)"));
  delete_linker();
  expect(call_u32(&instance) == 7);
}

// Takes a string out of its arguments, and gives it back as the result.
static wasmtime_error_t *pass_back(void *data, wasmtime_context_t *context, const wasmtime_component_func_type_t *type,
                                   val_t *args, size_t nargs, val_t *results, size_t nresults) {
  (void)data, (void)context, (void)type;
  expect(nargs == 1 && nresults == 1 && args[0].kind == WASMTIME_COMPONENT_STRING);
  results[0] = args[0];
  args[0] = bool_val(false);
  return NULL;
}

#define STRING_GUEST                                                                                                  \
  "(component (import \"h\" (func $h (param \"a\" string) (result string)))"                                          \
  "(core module $libc (memory (export \"memory\") 1) (global $next (mut i32) (i32.const 1024))"                       \
  "  (func (export \"realloc\") (param i32 i32 i32 i32) (result i32) (global.get $next)"                              \
  "    (global.set $next (i32.add (global.get $next) (local.get 3)))))"                                               \
  "(core instance $libc (instantiate $libc))"                                                                         \
  "(alias core export $libc \"memory\" (core memory $memory)) (alias core export $libc \"realloc\" (core func $realloc))" \
  "(core func $l (canon lower (func $h) (memory $memory) (realloc $realloc)))"                                        \
  "(core module $m (import \"\" \"h\" (func $h (param i32 i32 i32)))"                                                 \
  "  (func (export \"f\") (param i32 i32) (result i32)"                                                               \
  "    (call $h (local.get 0) (local.get 1) (i32.const 16)) i32.const 16))"                                           \
  "(core instance $i (instantiate $m (with \"\" (instance (export \"h\" (func $l))))))"                               \
  "(func (export \"f\") (param \"a\" string) (result string)"                                                         \
  "  (canon lift (core func $i \"f\") (memory $memory) (realloc $realloc))))"

static void arguments_may_be_taken(void) {
  new_linker();
  expect_ok(add_func(root, "h", pass_back, NULL, NULL));
  wasmtime_component_instance_t instance = instance_with_linker(linker, STRING_GUEST);
  delete_linker();
  wasmtime_component_func_t func = func_named(&instance, "f");
  val_t back = bool_val(false);
  expect_ok(call_with(&func, string_val("there and back"), &back));
  expect(back.kind == WASMTIME_COMPONENT_STRING && name_is(&back.of.string, "there and back"));
  drop(back);
}

static wasmtime_error_t *fail(void *data, wasmtime_context_t *context, const wasmtime_component_func_type_t *type,
                              val_t *args, size_t nargs, val_t *results, size_t nresults) {
  (void)context, (void)type, (void)args, (void)nargs, (void)nresults;
  results[0] = u32_val(1);
  return wasmtime_error_new(data);
}

static void an_error_of_the_host_ends_the_guest(void) {
  new_linker();
  expect_ok(add_func(root, "h", fail, "out of cheese", NULL));
  wasmtime_component_instance_t instance = instance_with_linker(linker, PASSES_ON("h", "(result u32)"));
  delete_linker();
  wasmtime_component_func_t func = func_named(&instance, "f");
  val_t back = u32_val(77);
  expect_error_says(wasmtime_component_func_call(&func, ctx, NULL, 0, &back, 1), "out of cheese");
  expect_error_says(wasmtime_component_func_call(&func, ctx, NULL, 0, &back, 1),
                    "wasm trap: cannot enter component instance");
  expect(back.of.u32 == 77);
}

static void results_of_the_host_have_to_fit(void) {
  new_linker();
  uint32_t seven = 7;
  expect_ok(add_func(root, "h", answer, &seven, NULL));
  wasmtime_component_instance_t instance = instance_with_linker(linker, PASSES_ON("h", "(result s32)"));
  delete_linker();
  wasmtime_component_func_t func = func_named(&instance, "f");
  val_t back = u32_val(77);
  expect_error_says(wasmtime_component_func_call(&func, ctx, NULL, 0, &back, 1),
                    "type mismatch: expected s32, found u32");
  expect_error_says(wasmtime_component_func_call(&func, ctx, NULL, 0, &back, 1), "cannot enter component instance");
}

static wasmtime_component_func_t nested;

// Calls into the instance that has called, and gives what that answers.
static wasmtime_error_t *call_back(void *data, wasmtime_context_t *context, const wasmtime_component_func_type_t *type,
                                   val_t *args, size_t nargs, val_t *results, size_t nresults) {
  (void)type, (void)args, (void)nargs;
  wasmtime_error_t *error = wasmtime_component_func_call(&nested, context, NULL, 0, results, nresults);
  if (!data || !error) return error;
  *(bool *)data = true;
  wasmtime_error_delete(error);
  results[0] = u32_val(5);
  return NULL;
}

#define CALLS_BACK                                                                                                    \
  "(component (import \"h\" (func $h (result u32))) (core func $l (canon lower (func $h)))"                           \
  "(core module $m (import \"\" \"h\" (func $h (result i32))) (func (export \"f\") (result i32) (call $h))"           \
  "  (func (export \"g\") (result i32) i32.const 9) (func (export \"t\") (result i32) unreachable))"                  \
  "(core instance $i (instantiate $m (with \"\" (instance (export \"h\" (func $l))))))"                               \
  "(func (export \"f\") (result u32) (canon lift (core func $i \"f\")))"                                              \
  "(func (export \"g\") (result u32) (canon lift (core func $i \"g\")))"                                              \
  "(func (export \"t\") (result u32) (canon lift (core func $i \"t\"))))"

static void the_host_may_call_back(void) {
  new_linker();
  expect_ok(add_func(root, "h", call_back, NULL, NULL));
  wasmtime_component_instance_t instance = instance_with_linker(linker, CALLS_BACK);
  delete_linker();
  nested = func_named(&instance, "g");
  expect(call_u32(&instance) == 9);
}

static void a_trap_that_the_host_swallows_still_ends_later_calls(void) {
  new_linker();
  bool failed = false;
  expect_ok(add_func(root, "h", call_back, &failed, NULL));
  wasmtime_component_instance_t instance = instance_with_linker(linker, CALLS_BACK);
  delete_linker();
  nested = func_named(&instance, "t");
  expect(call_u32(&instance) == 5 && failed);
  val_t back = bool_val(false);
  wasmtime_component_func_t func = func_named(&instance, "g");
  expect_error_says(wasmtime_component_func_call(&func, ctx, NULL, 0, &back, 1), "cannot enter component instance");
}

static void what_is_missing_is_named(void) {
  new_linker();
  expect_error_says(instantiating("(component (import \"f\" (func)))"),
                    "component imports function `f`, but a matching implementation was not found in the linker");
  const char *in_instance = "(component (import \"a:b/c@0.2.3\" (instance (export \"f\" (func)))))";
  expect_error_says(instantiating(in_instance), "component imports instance `a:b/c@0.2.3`, but a matching "
                                                "implementation was not found in the linker");
  wasmtime_component_linker_instance_delete(add_instance(root, "a:b/c@0.2.3"));
  expect_error_says(instantiating(in_instance), "0: instance export `f` has the wrong type\n"
                                                "    1: function implementation is missing");
  expect_error_says(instantiating("(component (import \"a:b/c@0.2.3\" (func)))"), "expected function found instance");
  expect_error_says(instantiating("(component (import \"m\" (core module)))"), "component imports core module `m`");
  expect_error_says(instantiating("(component (import \"r\" (type (sub resource))))"),
                    "resource implementation is missing");
  expect_ok(instantiating("(component (import \"x:y/z\" (instance)))")); // nothing is missing
  delete_linker();
}

static void names_are_defined_once(void) {
  new_linker();
  int finalized = 0;
  expect_ok(add_func(root, "f", do_nothing, &finalized, count_finalized));
  expect_error_says(add_func(root, "f", do_nothing, &finalized, count_finalized), "map entry `f` defined twice");
  expect(finalized == 1); // what was refused
  wasmtime_component_linker_instance_t *instance = add_instance(root, "i"), *again = NULL;
  expect_error_says(wasmtime_component_linker_instance_add_instance(root, "i", 1, &again),
                    "map entry `i` defined twice");
  expect(!again);
  wasmtime_component_linker_instance_delete(instance);
  delete_linker();
  expect(finalized == 2);
}

static void names_are_utf8(void) {
  new_linker();
  wasmtime_component_linker_instance_t *instance = NULL;
  wasmtime_component_resource_type_t *type = wasmtime_component_resource_type_new_host(1);
  expect_error_says(add_func(root, "\xff", do_nothing, NULL, NULL), "not valid utf-8");
  expect_error_says(wasmtime_component_linker_instance_add_instance(root, "\xff", 1, &instance), "not valid utf-8");
  expect(!instance);
  wasmtime_component_resource_type_delete(type);
  delete_linker();
}

// 44.0.0 never finalizes what it refuses for its name.
static void what_is_refused_for_its_name_is_finalized(void) {
  new_linker();
  int finalized = 0;
  expect_error_says(add_func(root, "\xff", do_nothing, &finalized, count_finalized), "not valid utf-8");
  expect(finalized == 1);
  delete_linker();
}

static void shadowing_replaces_at_once(void) {
  new_linker();
  wasmtime_component_linker_allow_shadowing(linker, true);
  wasmtime_component_linker_instance_delete(root);
  root = wasmtime_component_linker_root(linker);
  int finalized = 0;
  expect_ok(add_func(root, "f", do_nothing, &finalized, count_finalized));
  expect_ok(add_func(root, "f", do_nothing, NULL, NULL));
  expect(finalized == 1);
  wasmtime_component_linker_instance_t *instance = add_instance(root, "i");
  expect_ok(add_func(instance, "f", do_nothing, &finalized, count_finalized));
  wasmtime_component_linker_instance_delete(instance);
  instance = add_instance(root, "i"); // empty again
  expect(finalized == 2);
  wasmtime_component_linker_instance_delete(instance);
  expect_error_says(instantiating("(component (import \"i\" (instance (export \"f\" (func)))))"),
                    "function implementation is missing");
  delete_linker();
}

// A program may go on with an instance after it has added another beside it; of 44.0.0 that is more than it promises.
static void instances_are_filled_in_any_order(void) {
  new_linker();
  wasmtime_component_linker_instance_t *all[20];
  for (int i = 0; i < 20; i++) {
    char name[8];
    snprintf(name, sizeof name, "i%d", i);
    all[i] = add_instance(root, name);
  }
  for (int i = 0; i < 20; i++) expect_ok(add_func(all[i], "f", do_nothing, NULL, NULL));
  for (int i = 0; i < 20; i++) wasmtime_component_linker_instance_delete(all[i]);
  expect_ok(instantiating("(component (import \"i0\" (instance (export \"f\" (func)))) (import \"i19\" (instance (export \"f\" (func)))))"));
  delete_linker();
}

static void data_lives_as_long_as_linker_and_stores(void) {
  static int finalized;
  finalized = 0;
  new_linker();
  expect_ok(add_func(root, "h", do_nothing, &finalized, count_finalized));
  instance_with_linker(linker, PASSES_ON("h", "(result u32)"));
  delete_linker();
  expect(finalized == 0);
  wasmtime_store_delete(store);
  store = NULL;
  expect(finalized == 1);
}

// What a component that imports this name calls, where the linker has 1 for `a:b/c@0.2.3` and so on.
static uint32_t version_called(const char *name) {
  char wat[2048];
  snprintf(wat, sizeof wat,
           "(component (import \"%s\" (instance $n (export \"h\" (func (result u32)))))"
           "(alias export $n \"h\" (func $h)) (core func $l (canon lower (func $h)))"
           "(core module $m (import \"\" \"h\" (func $h (result i32))) (func (export \"f\") (result i32) (call $h)))"
           "(core instance $i (instantiate $m (with \"\" (instance (export \"h\" (func $l))))))"
           "(func (export \"f\") (result u32) (canon lift (core func $i \"f\"))))",
           name);
  wasmtime_component_instance_t instance = instance_with_linker(linker, wat);
  return call_u32(&instance);
}

static void versions_of_one_track_stand_for_each_other(void) {
  static const char *const names[] = {"a:b/c@0.2.3", "a:b/c@0.2.6", "a:b/c@1.1.0", "a:b/c@0.0.1"};
  static uint32_t answers[] = {1, 2, 3, 4};
  new_linker();
  for (int i = 0; i < 4; i++) {
    wasmtime_component_linker_instance_t *instance = add_instance(root, names[i]);
    expect_ok(add_func(instance, "h", answer, &answers[i], NULL));
    wasmtime_component_linker_instance_delete(instance);
  }
  expect(version_called("a:b/c@0.2.3") == 1);
  expect(version_called("a:b/c@0.2.0") == 2);
  expect(version_called("a:b/c@0.2.9") == 2);
  expect(version_called("a:b/c@1.0.0") == 3);
  expect(version_called("a:b/c@1.9.9") == 3);
  const char *missing[] = {"a:b/c@0.3.0", "a:b/c@2.0.0", "a:b/c@0.0.2", "a:b/c"};
  for (int i = 0; i < 4; i++) {
    char wat[256];
    snprintf(wat, sizeof wat, "(component (import \"%s\" (instance (export \"h\" (func (result u32))))))", missing[i]);
    expect_error_says(instantiating(wat), "function implementation is missing");
  }
  delete_linker();
}

static void modules_are_checked(void) {
  new_linker();
  wasmtime_module_t *module = module_of("(module (import \"a\" \"b\" (func)) (func (export \"f\") (param i32)))");
  expect_ok(wasmtime_component_linker_instance_add_module(root, "m", 1, module));
  wasmtime_module_delete(module);
  expect_ok(instantiating("(component (import \"m\" (core module (import \"a\" \"b\" (func)) (import \"a\" \"c\" (func))"
                          "(export \"f\" (func (param i32))))))"));
  expect_error_says(instantiating("(component (import \"m\" (core module (import \"a\" \"b\" (func)) (export \"g\" (func)))))"),
                    "module export `g` not defined");
  expect_error_says(instantiating("(component (import \"m\" (core module (import \"a\" \"b\" (func)) (export \"f\" (func)))))"),
                    "0: module export `f` has the wrong type\n"
                    "    1: types incompatible: expected type `(func)`, found type `(func (param i32))`");
  expect_error_says(instantiating("(component (import \"m\" (core module (export \"f\" (func (param i32))))))"),
                    "module import `a::b` not defined");
  expect_error_says(instantiating("(component (import \"m\" (core module (import \"a\" \"b\" (func (param i32)))"
                                  "(export \"f\" (func (param i32))))))"),
                    "0: module import `a::b` has the wrong type\n"
                    "    1: types incompatible: expected type `(func)`, found type `(func (param i32))`");
  delete_linker();
}

static void unknown_imports_trap(void) {
  new_linker();
  wasmtime_component_t *component = component_of(PASSES_ON("h", "(result u32)"));
  expect_ok(wasmtime_component_linker_define_unknown_imports_as_traps(linker, component));
  wasmtime_component_instance_t instance = instantiate(linker, component);
  wasmtime_component_func_t func = func_named(&instance, "f");
  val_t back = bool_val(false);
  expect_error_says(wasmtime_component_func_call(&func, ctx, NULL, 0, &back, 1),
                    "unknown import: `h` has not been defined");
  wasmtime_component_delete(component);
  component = component_of("(component (import \"a:b/c@0.2.3\" (instance (export \"f\" (func)) (export \"r\" (type (sub resource))))))");
  expect_ok(wasmtime_component_linker_define_unknown_imports_as_traps(linker, component));
  instantiate(linker, component);
  wasmtime_component_delete(component);
  component = component_of("(component (import \"m\" (core module)))");
  expect_error_says(wasmtime_component_linker_define_unknown_imports_as_traps(linker, component),
                    "unable to define core module imports as traps");
  wasmtime_component_delete(component);
  delete_linker();
}

static void a_start_function_that_traps_is_an_error(void) {
  new_linker();
  expect_error_says(instantiating("(component (core module $m (func $s unreachable) (start $s)) (core instance (instantiate $m)))"),
                    "wasm trap: wasm `unreachable` instruction executed");
  expect_ok(instantiating("(component)"));
  delete_linker();
}

static void limits_count_core_instances(void) {
  new_linker();
  wasmtime_store_limiter(store, -1, -1, 1, -1, -1);
  expect_ok(instantiating("(component (core module $m) (core instance (instantiate $m)))"));
  expect_error_says(instantiating("(component (core module $m) (core instance (instantiate $m)))"), "instance");
  expect_ok(instantiating("(component)"));
  delete_linker();
}

// 44.0.0 takes a linker of another engine, and ends the process over the rest.
static void another_engine_is_refused(void) {
  new_linker();
  wasm_engine_t *other = wasm_engine_new();
  wasmtime_store_t *elsewhere = wasmtime_store_new(other, NULL, NULL);
  wasmtime_component_t *component = component_of("(component)");
  wasmtime_component_instance_t instance;
  expect_error_says(wasmtime_component_linker_instantiate(linker, wasmtime_store_context(elsewhere), component, &instance),
                    "cross-`Engine` instantiation is not currently supported");
  wasmtime_component_delete(component);
  wasmtime_store_delete(elsewhere);
  wasm_engine_delete(other);
  delete_linker();
}

int main(void) {
  RUN(guests_call_functions_of_the_host);
  RUN(arguments_may_be_taken);
  RUN(an_error_of_the_host_ends_the_guest);
  RUN(results_of_the_host_have_to_fit);
  RUN(the_host_may_call_back);
  RUN(a_trap_that_the_host_swallows_still_ends_later_calls);
  RUN(what_is_missing_is_named);
  RUN(names_are_defined_once);
  RUN(names_are_utf8);
  RUN_HERE(what_is_refused_for_its_name_is_finalized);
  RUN(shadowing_replaces_at_once);
  RUN_HERE(instances_are_filled_in_any_order);
  RUN(data_lives_as_long_as_linker_and_stores);
  RUN(versions_of_one_track_stand_for_each_other);
  RUN(modules_are_checked);
  RUN(unknown_imports_trap);
  RUN(a_start_function_that_traps_is_an_error);
  RUN(limits_count_core_instances);
  RUN_HERE(another_engine_is_refused);
  return test_summary();
}
