// What the tests of components share: short ways to a component, an instance, a function and a value. Includes `test.h`.

#ifndef AMPOULE_TEST_COMPONENT_H
#define AMPOULE_TEST_COMPONENT_H

#include "test.h"

typedef wasmtime_component_val_t val_t;

// -- Components and instances

// A new component from text; the process ends where there is none, as no claim makes sense without.
static inline wasmtime_component_t *component_of(const char *wat) {
  wasmtime_component_t *component = NULL;
  if (!expect_ok(wasmtime_component_new(engine, (const uint8_t *)wat, strlen(wat), &component))) exit(1);
  return component;
}

// What making a component says.
static inline wasmtime_error_t *component_error(const char *wat) {
  wasmtime_component_t *component = NULL;
  wasmtime_error_t *error = wasmtime_component_new(engine, (const uint8_t *)wat, strlen(wat), &component);
  if (!error) wasmtime_component_delete(component);
  return error;
}

// An instance of a component that has to be there.
static inline wasmtime_component_instance_t instantiate(const wasmtime_component_linker_t *linker,
                                                        const wasmtime_component_t *component) {
  wasmtime_component_instance_t instance;
  if (!expect_ok(wasmtime_component_linker_instantiate(linker, ctx, component, &instance))) exit(1);
  return instance;
}

// An instance of a component from text that imports what the linker has.
static inline wasmtime_component_instance_t instance_with_linker(const wasmtime_component_linker_t *linker,
                                                                 const char *wat) {
  wasmtime_component_t *component = component_of(wat);
  wasmtime_component_instance_t instance = instantiate(linker, component);
  wasmtime_component_delete(component);
  return instance;
}

// An instance of a component from text that imports nothing.
static inline wasmtime_component_instance_t instance_alone(const char *wat) {
  wasmtime_component_linker_t *linker = wasmtime_component_linker_new(engine);
  wasmtime_component_instance_t instance = instance_with_linker(linker, wat);
  wasmtime_component_linker_delete(linker);
  return instance;
}

// An exported function that has to be there.
static inline wasmtime_component_func_t func_named(const wasmtime_component_instance_t *instance, const char *name) {
  wasmtime_component_func_t func;
  wasmtime_component_export_index_t *index =
      wasmtime_component_instance_get_export_index(instance, ctx, NULL, name, strlen(name));
  if (!expect(index != NULL) || !expect(wasmtime_component_instance_get_func(instance, ctx, index, &func))) {
    printf("FAIL %s: no function %s\n", test_claim, name);
    exit(1);
  }
  wasmtime_component_export_index_delete(index);
  return func;
}

// -- Values

static inline val_t val_of_kind(wasmtime_component_valkind_t kind) {
  val_t val;
  memset(&val, 0, sizeof val);
  val.kind = kind;
  return val;
}

static inline val_t bool_val(bool value) {
  val_t val = val_of_kind(WASMTIME_COMPONENT_BOOL);
  val.of.boolean = value;
  return val;
}

static inline val_t u32_val(uint32_t value) {
  val_t val = val_of_kind(WASMTIME_COMPONENT_U32);
  val.of.u32 = value;
  return val;
}

static inline wasm_name_t name_of(const char *text) {
  wasm_name_t name;
  wasm_name_new(&name, strlen(text), text);
  return name;
}

static inline val_t string_val(const char *text) {
  val_t val = val_of_kind(WASMTIME_COMPONENT_STRING);
  val.of.string = name_of(text);
  return val;
}

static inline val_t enum_val(const char *name) {
  val_t val = val_of_kind(WASMTIME_COMPONENT_ENUM);
  val.of.enumeration = name_of(name);
  return val;
}

static inline val_t list_val(size_t size, const val_t *elements) {
  val_t val = val_of_kind(WASMTIME_COMPONENT_LIST);
  wasmtime_component_vallist_new(&val.of.list, size, elements);
  return val;
}

static inline val_t option_val(val_t *some) {
  val_t val = val_of_kind(WASMTIME_COMPONENT_OPTION);
  val.of.option = some ? wasmtime_component_val_new(some) : NULL;
  return val;
}

static inline val_t result_val(bool is_ok, val_t *payload) {
  val_t val = val_of_kind(WASMTIME_COMPONENT_RESULT);
  val.of.result.is_ok = is_ok;
  val.of.result.val = payload ? wasmtime_component_val_new(payload) : NULL;
  return val;
}

static inline val_t variant_val(const char *name, val_t *payload) {
  val_t val = val_of_kind(WASMTIME_COMPONENT_VARIANT);
  val.of.variant.discriminant = name_of(name);
  val.of.variant.val = payload ? wasmtime_component_val_new(payload) : NULL;
  return val;
}

// Flags of names that spaces separate.
static inline val_t flags_val(const char *names) {
  val_t val = val_of_kind(WASMTIME_COMPONENT_FLAGS);
  wasm_name_t list[16];
  size_t count = 0;
  while (*names) {
    size_t len = strcspn(names, " ");
    wasm_name_new(&list[count++], len, names);
    names += len + (names[len] == ' ');
  }
  wasmtime_component_valflags_new(&val.of.flags, count, list);
  return val;
}

static inline wasmtime_component_valrecord_entry_t field_of(const char *name, val_t val) {
  wasmtime_component_valrecord_entry_t field = {name_of(name), val};
  return field;
}

static inline val_t record_val(size_t size, const wasmtime_component_valrecord_entry_t *fields) {
  val_t val = val_of_kind(WASMTIME_COMPONENT_RECORD);
  wasmtime_component_valrecord_new(&val.of.record, size, fields);
  return val;
}

static inline void drop(val_t val) { wasmtime_component_val_delete(&val); }

// -- Calls

// Calls with one argument, which is freed, for one result.
static inline wasmtime_error_t *call_with(const wasmtime_component_func_t *func, val_t arg, val_t *result) {
  wasmtime_error_t *error = wasmtime_component_func_call(func, ctx, &arg, 1, result, 1);
  drop(arg);
  return error;
}

// -- Guests

// A component whose functions answer their argument, whatever its type is: the core function that fits the type passes its core values
// on. It begins here; `ECHO_FUNC` and `ECHO_END` follow. `same` is for one core value, `pair` and `triple` are for two and three, which
// lie as i32 behind each other where the result is read.
#define ECHO_BEGIN                                                                                                    \
  "(component (core module $m (memory (export \"memory\") 1)"                                                         \
  "(global $next (mut i32) (i32.const 1024))"                                                                         \
  "(func (export \"realloc\") (param i32 i32 i32 i32) (result i32)"                                                   \
  "  (global.set $next (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))"                          \
  "  (global.get $next) (global.set $next (i32.add (global.get $next) (local.get 3))))"                               \
  "(func (export \"same\") (param i32) (result i32) local.get 0)"                                                     \
  "(func (export \"same64\") (param i64) (result i64) local.get 0)"                                                   \
  "(func (export \"samef32\") (param f32) (result f32) local.get 0)"                                                  \
  "(func (export \"samef64\") (param f64) (result f64) local.get 0)"                                                  \
  "(func (export \"pair\") (param i32 i32) (result i32) (i32.store (i32.const 16) (local.get 0))"                     \
  "  (i32.store (i32.const 20) (local.get 1)) i32.const 16)"                                                          \
  "(func (export \"triple\") (param i32 i32 i32) (result i32) (i32.store (i32.const 16) (local.get 0))"               \
  "  (i32.store (i32.const 20) (local.get 1)) (i32.store (i32.const 24) (local.get 2)) i32.const 16)"                 \
  "(func (export \"nothing\")) (func (export \"trap\") unreachable)"                                                  \
  ") (core instance $i (instantiate $m))"                                                                             \
  "(alias core export $i \"memory\" (core memory $memory)) (alias core export $i \"realloc\" (core func $realloc))"

// A function `name` of `type`, by the core function `core`.
#define ECHO_FUNC(name, type, core)                                                                                   \
  "(func (export \"" name "\") (param \"a\" " type ") (result " type ")"                                              \
  "  (canon lift (core func $i \"" core "\") (memory $memory) (realloc $realloc)))"

#define ECHO_END ")"

#endif // AMPOULE_TEST_COMPONENT_H
