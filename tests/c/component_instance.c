// wasmtime/component/instance.h: instances of components.
#include "component.h"

static const char *const COUNTER =
    "(component (core module $m (global $n (mut i32) (i32.const 0))"
    "  (func (export \"next\") (result i32) (global.set $n (i32.add (global.get $n) (i32.const 1))) (global.get $n)))"
    "(core instance $i (instantiate $m)) (func $next (result u32) (canon lift (core func $i \"next\")))"
    "(instance $j (export \"next\" (func $next))) (export \"a:b/c@0.2.6\" (instance $j)) (export \"next\" (func $next))"
    "(type $t (list u8)) (export \"t\" (type $t)) (export \"m\" (core module $m)))";

static uint32_t call_u32(const wasmtime_component_func_t *func) {
  val_t back = bool_val(false);
  expect_ok(wasmtime_component_func_call(func, ctx, NULL, 0, &back, 1));
  expect(back.kind == WASMTIME_COMPONENT_U32);
  return back.of.u32;
}

static void an_index_serves_every_instance_of_its_component(void) {
  wasmtime_component_t *component = component_of(COUNTER);
  wasmtime_component_linker_t *linker = wasmtime_component_linker_new(engine);
  wasmtime_component_instance_t a = instantiate(linker, component), b = instantiate(linker, component);
  wasmtime_component_linker_delete(linker);
  wasmtime_component_export_index_t *index = wasmtime_component_get_export_index(component, NULL, "next", 4);
  wasmtime_component_delete(component);
  wasmtime_component_func_t of_a, of_b;
  expect(wasmtime_component_instance_get_func(&a, ctx, index, &of_a));
  expect(wasmtime_component_instance_get_func(&b, ctx, index, &of_b));
  expect(call_u32(&of_a) == 1 && call_u32(&of_a) == 2 && call_u32(&of_b) == 1);
  wasmtime_component_export_index_delete(index);
}

static void exported_instances_have_functions(void) {
  wasmtime_component_instance_t instance = instance_alone(COUNTER);
  wasmtime_component_export_index_t *within =
      wasmtime_component_instance_get_export_index(&instance, ctx, NULL, "a:b/c@0.2.0", 11);
  if (!expect(within != NULL)) return;
  wasmtime_component_export_index_t *index =
      wasmtime_component_instance_get_export_index(&instance, ctx, within, "next", 4);
  if (!expect(index != NULL)) return;
  expect(!wasmtime_component_instance_get_export_index(&instance, ctx, within, "none", 4));
  expect(!wasmtime_component_instance_get_export_index(&instance, ctx, NULL, "\xff", 1));
  wasmtime_component_func_t func;
  expect(wasmtime_component_instance_get_func(&instance, ctx, index, &func));
  expect(call_u32(&func) == 1);
  wasmtime_component_export_index_delete(index);
  wasmtime_component_export_index_delete(within);
}

static void only_functions_are_functions(void) {
  wasmtime_component_instance_t instance = instance_alone(COUNTER);
  const char *names[] = {"a:b/c@0.2.6", "t", "m"};
  wasmtime_component_func_t func;
  memset(&func, 7, sizeof func);
  wasmtime_component_func_t before = func;
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    wasmtime_component_export_index_t *index =
        wasmtime_component_instance_get_export_index(&instance, ctx, NULL, names[i], strlen(names[i]));
    if (!expect(index != NULL)) continue;
    expect(!wasmtime_component_instance_get_func(&instance, ctx, index, &func));
    wasmtime_component_export_index_delete(index);
  }
  expect(!memcmp(&func, &before, sizeof func));
}

static void another_components_index_finds_nothing(void) {
  wasmtime_component_instance_t instance = instance_alone(COUNTER);
  wasmtime_component_t *other = component_of(COUNTER);
  wasmtime_component_export_index_t *index = wasmtime_component_get_export_index(other, NULL, "next", 4);
  wasmtime_component_func_t func;
  expect(!wasmtime_component_instance_get_func(&instance, ctx, index, &func));
  wasmtime_component_export_index_delete(index);
  wasmtime_component_delete(other);
}

static void instances_outlive_component_and_linker(void) {
  wasmtime_component_instance_t instance = instance_alone(COUNTER), copy = instance;
  wasmtime_component_func_t func = func_named(&copy, "next");
  expect(call_u32(&func) == 1);
  func = func_named(&instance, "next");
  expect(call_u32(&func) == 2);
}

int main(void) {
  RUN(an_index_serves_every_instance_of_its_component);
  RUN(exported_instances_have_functions);
  RUN(only_functions_are_functions);
  RUN(another_components_index_finds_nothing);
  RUN(instances_outlive_component_and_linker);
  return test_summary();
}
