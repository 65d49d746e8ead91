// wasmtime/component/component.h: components, and the places of their exports.
#include "component.h"

static const char *const CALC =
    "(component (core module $m (func (export \"f\") (result i32) i32.const 7)) (core instance $i (instantiate $m))"
    "(func $f (result u32) (canon lift (core func $i \"f\")))"
    "(type $u u32) (instance $j (export \"f\" (func $f)) (export \"t\" (type $u)))"
    "(export \"a:b/c@0.2.6\" (instance $j)) (export \"g\" (func $f)) (type $t (list u8)) (export \"t\" (type $t)))";

static wasmtime_component_export_index_t *place(const wasmtime_component_t *component,
                                                const wasmtime_component_export_index_t *within, const char *name) {
  return wasmtime_component_get_export_index(component, within, name, strlen(name));
}

static void a_component_is_made_of_text_or_bytes(void) {
  wasmtime_component_delete(component_of("(component)"));
  wasm_byte_vec_t binary;
  wasmtime_component_t *component = NULL;
  if (!expect_ok(wasmtime_wat2wasm(CALC, strlen(CALC), &binary))) return;
  expect_ok(wasmtime_component_new(engine, (const uint8_t *)binary.data, binary.size, &component));
  wasm_byte_vec_delete(&binary); // not needed any more
  wasmtime_component_t *again = wasmtime_component_clone(component);
  wasmtime_component_delete(component);
  wasmtime_component_type_t *type = wasmtime_component_type(again);
  wasmtime_component_delete(again);
  expect(wasmtime_component_type_export_count(type, engine) == 3);
  wasmtime_component_type_delete(type);
}

static void what_is_no_component_is_refused(void) {
  const uint8_t module[] = {0, 'a', 's', 'm', 1, 0, 0, 0}, component[] = {0, 'a', 's', 'm', 13, 0, 1, 0};
  wasmtime_component_t *out = NULL;
  expect_error_says(wasmtime_component_new(engine, module, sizeof module, &out),
                    "attempted to parse a wasm module with a component parser");
  expect_error_says(wasmtime_component_new(engine, component, 4, &out), "unexpected end-of-file");
  expect_error_says(component_error("(module)"), "attempted to parse a wasm module with a component parser");
  expect_error_says(component_error("(componen"), "expected valid module field");
  expect_error_says(component_error("(component (export \"a\" (func 3)))"), "function index out of bounds");
  expect_error_says(component_error("(component (core module (func (result i32))))"),
                    "type mismatch: expected i32 but nothing on stack");
  expect(!out);
  wasmtime_module_t *as_module = NULL;
  expect_error_says(wasmtime_module_new(engine, component, sizeof component, &as_module),
                    "expected a WebAssembly module but was given a WebAssembly component");
}

static void what_is_off_is_named(void) {
  expect_error_says(component_error("(component (type (map string u32)))"),
                    "Maps require the component model map feature");
  expect_error_says(component_error("(component (type (list u8 4)))"),
                    "Fixed-length lists require the component model fixed-length lists feature");
  expect_error_says(component_error("(component (import \"f\" (func (param \"a\" error-context))))"),
                    "requires the component model error-context feature");
}

static void without_components(wasm_config_t *config) { wasmtime_config_wasm_component_model_set(config, false); }

static void components_can_be_off(void) {
  expect_error_says(component_error("(component)"), "the WebAssembly component model feature is not enabled");
  wasmtime_module_delete(module_of("(module)"));
}

static void with_maps(wasm_config_t *config) {
  wasmtime_config_wasm_component_model_map_set(config, true);
  wasmtime_config_concurrency_support_set(config, false);
}

static void maps_can_be_on(void) { wasmtime_component_delete(component_of("(component (type (map string u32)))")); }

static void exports_are_found_by_name(void) {
  wasmtime_component_t *component = component_of(CALC);
  wasmtime_component_export_index_t *instance = place(component, NULL, "a:b/c@0.2.6"), *inner, *copy;
  if (!expect(instance != NULL)) return;
  inner = place(component, instance, "f");
  expect(inner != NULL);
  copy = wasmtime_component_export_index_clone(inner);
  expect(copy != NULL);
  wasmtime_component_export_index_delete(inner);
  expect((inner = place(component, instance, "t")) != NULL); // a type
  wasmtime_component_export_index_delete(inner);
  expect((inner = place(component, NULL, "t")) != NULL);
  wasmtime_component_export_index_delete(inner);
  expect(!place(component, instance, "x"));
  expect(!place(component, copy, "f")); // a function has no exports
  expect(!place(component, NULL, "f"));
  expect(!place(component, NULL, ""));
  expect(!wasmtime_component_get_export_index(component, NULL, "\xff", 1));
  wasmtime_component_export_index_delete(copy);
  wasmtime_component_export_index_delete(instance);
  wasmtime_component_delete(component);
}

static void versions_of_one_track_stand_for_each_other(void) {
  wasmtime_component_t *component = component_of(CALC);
  const char *found[] = {"a:b/c@0.2.0", "a:b/c@0.2.6", "a:b/c@0.2.9"};
  const char *missing[] = {"a:b/c@0.3.0", "a:b/c@1.2.6", "a:b/c", "a:b/d@0.2.6", "a:b/c@0.2.7-rc.1"};
  for (size_t i = 0; i < sizeof found / sizeof *found; i++) {
    wasmtime_component_export_index_t *index = place(component, NULL, found[i]);
    if (!expect(index != NULL)) printf("  %s\n", found[i]);
    wasmtime_component_export_index_delete(index);
  }
  for (size_t i = 0; i < sizeof missing / sizeof *missing; i++) expect(!place(component, NULL, missing[i]));
  wasmtime_component_delete(component);
}

// The bytes of a component, compiled.
static wasm_byte_vec_t serialized(const char *wat) {
  wasmtime_component_t *component = component_of(wat);
  wasm_byte_vec_t bytes;
  if (!expect_ok(wasmtime_component_serialize(component, &bytes))) exit(1);
  wasmtime_component_delete(component);
  return bytes;
}

// Whether a component, which is deleted, is `CALC`.
static void expect_calc(wasmtime_component_t *component) {
  wasmtime_component_linker_t *linker = wasmtime_component_linker_new(engine);
  wasmtime_component_instance_t instance = instantiate(linker, component);
  wasmtime_component_linker_delete(linker);
  wasmtime_component_delete(component);
  wasmtime_component_func_t func = func_named(&instance, "g");
  val_t back = bool_val(false);
  expect_ok(wasmtime_component_func_call(&func, ctx, NULL, 0, &back, 1));
  expect(back.kind == WASMTIME_COMPONENT_U32 && back.of.u32 == 7);
}

static void a_compiled_component_is_read_again(void) {
  wasm_byte_vec_t bytes = serialized(CALC);
  wasmtime_component_t *component = NULL;
  expect_ok(wasmtime_component_deserialize(engine, (const uint8_t *)bytes.data, bytes.size, &component));
  char path[] = "/tmp/component-XXXXXX";
  int fd = mkstemp(path);
  FILE *file = fdopen(fd, "wb");
  expect(file && fwrite(bytes.data, 1, bytes.size, file) == bytes.size && !fclose(file));
  wasm_byte_vec_delete(&bytes);
  expect_calc(component);
  expect_ok(wasmtime_component_deserialize_file(engine, path, &component));
  remove(path);
  expect_calc(component);
  component = NULL;
  expect_error(wasmtime_component_deserialize_file(engine, path, &component));
  expect(!component);
}

static void what_is_no_compiled_component_is_refused(void) {
  wasm_byte_vec_t bytes = serialized(CALC), of_module;
  wasmtime_component_t *component = NULL;
  wasmtime_module_t *module = module_of("(module)"), *made = NULL;
  expect_ok(wasmtime_module_serialize(module, &of_module));
  wasmtime_module_delete(module);
  expect_error(wasmtime_component_deserialize(engine, (const uint8_t *)of_module.data, of_module.size, &component));
  expect_error(wasmtime_module_deserialize(engine, (const uint8_t *)bytes.data, bytes.size, &made));
  expect_error(wasmtime_component_deserialize(engine, (const uint8_t *)bytes.data, 20, &component));
  expect_error(wasmtime_component_deserialize(engine, (const uint8_t *)CALC, strlen(CALC), &component));
  expect_error(wasmtime_component_deserialize(engine, NULL, 0, &component));
  expect(!component && !made);
  wasm_byte_vec_delete(&of_module);
  wasm_byte_vec_delete(&bytes);
}

int main(void) {
  RUN(a_component_is_made_of_text_or_bytes);
  RUN(what_is_no_component_is_refused);
  RUN(what_is_off_is_named);
  RUN_WITH(without_components, components_can_be_off);
  RUN_WITH(with_maps, maps_can_be_on);
  RUN(exports_are_found_by_name);
  RUN(versions_of_one_track_stand_for_each_other);
  RUN(a_compiled_component_is_read_again);
  RUN(what_is_no_compiled_component_is_refused);
  return test_summary();
}
