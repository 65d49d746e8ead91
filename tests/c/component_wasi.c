// wasmtime/component/linker.h and wasmtime/store.h: WASI 0.2 for components, and wasi:http.
#include "component.h"

// A component whose `f` answers what the core code `body` makes of the function `name` of `iface`, `$h`.
#define CALLS(iface, name, type, core, body)                                                                          \
  "(component (import \"" iface "\" (instance $n (export \"" name "\" (func " type "))))"                             \
  "(alias export $n \"" name "\" (func $h)) (core func $l (canon lower (func $h)))"                                   \
  "(core module $m (import \"\" \"h\" (func $h " core ")) (func (export \"f\") (result i64) " body "))"               \
  "(core instance $i (instantiate $m (with \"\" (instance (export \"h\" (func $l))))))"                               \
  "(func (export \"f\") (result u64) (canon lift (core func $i \"f\"))))"

#define RANDOM(version)                                                                                               \
  CALLS("wasi:random/random@" version, "get-random-u64", "(result u64)", "(result i64)", "(call $h)")

#define EXITS(status)                                                                                                 \
  CALLS("wasi:cli/exit@0.2.0", "exit", "(param \"status\" (result))", "(param i32)",                                  \
        "(call $h (i32.const " status ")) i64.const 0")

// Makes `fields`, and answers their handle.
#define FIELDS(version)                                                                                               \
  "(component (import \"wasi:http/types@" version "\" (instance $n (export \"fields\" (type $t (sub resource)))"       \
  " (export \"[constructor]fields\" (func (result (own $t))))))"                                                      \
  "(alias export $n \"[constructor]fields\" (func $h)) (core func $l (canon lower (func $h)))"                        \
  "(core module $m (import \"\" \"h\" (func $h (result i32)))"                                                        \
  " (func (export \"f\") (result i64) (i64.extend_i32_u (call $h))))"                                                 \
  "(core instance $i (instantiate $m (with \"\" (instance (export \"h\" (func $l))))))"                               \
  "(func (export \"f\") (result u64) (canon lift (core func $i \"f\"))))"

static wasmtime_component_linker_t *linker;

static void with_wasi(void) {
  linker = wasmtime_component_linker_new(engine);
  expect_ok(wasmtime_component_linker_add_wasip2(linker));
  expect_ok(wasmtime_context_set_wasi(ctx, wasi_config_new()));
}

// What calling `f` of a component says.
static wasmtime_error_t *call_f(const char *wat, uint64_t *answer) {
  wasmtime_component_instance_t instance = instance_with_linker(linker, wat);
  wasmtime_component_func_t func = func_named(&instance, "f");
  val_t back = bool_val(false);
  wasmtime_error_t *error = wasmtime_component_func_call(&func, ctx, NULL, 0, &back, 1);
  if (!error && answer) *answer = back.of.u64;
  return error;
}

static void every_version_of_0_2_is_served(void) {
  with_wasi();
  uint64_t a = 0, b = 0;
  expect_ok(call_f(RANDOM("0.2.0"), &a));
  expect_ok(call_f(RANDOM("0.2.9"), &b));
  expect(a != b);
  wasmtime_component_t *component = component_of(RANDOM("0.3.0"));
  wasmtime_component_instance_t instance;
  expect_error_says(wasmtime_component_linker_instantiate(linker, ctx, component, &instance),
                    "component imports instance `wasi:random/random@0.3.0`");
  wasmtime_component_delete(component);
  wasmtime_component_linker_delete(linker);
}

static void adding_it_twice_is_an_error(void) {
  with_wasi();
  expect_error_says(wasmtime_component_linker_add_wasip2(linker), "defined twice");
  wasmtime_component_linker_delete(linker);
}

static void exits_with(const char *wat, int expected) {
  with_wasi();
  wasmtime_error_t *error = call_f(wat, NULL);
  int status = -1;
  if (!expect(error != NULL)) return;
  expect(wasmtime_error_exit_status(error, &status) && status == expected);
  expect_error_says(error, expected ? "Exited with i32 exit status 1" : "Exited with i32 exit status 0");
  expect_error_says(call_f(wat, NULL), "wasm trap: cannot enter component instance");
  wasmtime_component_linker_delete(linker);
}

static void success_ends_the_call_with_status_0(void) { exits_with(EXITS("0"), 0); }

static void failure_ends_the_call_with_status_1(void) { exits_with(EXITS("1"), 1); }

// 44.0.0 ends the process.
static void without_configuration_calls_are_errors(void) {
  linker = wasmtime_component_linker_new(engine);
  expect_ok(wasmtime_component_linker_add_wasip2(linker));
  expect_error_says(call_f(RANDOM("0.2.0"), NULL), "the store has no WASI configuration");
  wasmtime_component_linker_delete(linker);
}

static void http_is_there_beside_the_rest_in_either_order(void) {
  for (int http_first = 0; http_first < 2; http_first++) {
    linker = wasmtime_component_linker_new(engine);
    if (http_first) expect_ok(wasmtime_component_linker_add_wasi_http(linker));
    expect_ok(wasmtime_component_linker_add_wasip2(linker));
    if (!http_first) expect_ok(wasmtime_component_linker_add_wasi_http(linker));
    expect_error_says(wasmtime_component_linker_add_wasi_http(linker), "defined twice");
    expect_ok(wasmtime_context_set_wasi(ctx, wasi_config_new()));
    wasmtime_context_set_wasi_http(ctx);
    uint64_t handle = 0;
    expect_ok(call_f(FIELDS("0.2.0"), &handle));
    expect(handle != 0);
    wasmtime_component_linker_delete(linker);
  }
}

static void http_is_there_for_asynchronous_calls(void) {
  linker = wasmtime_component_linker_new(engine);
  expect_ok(wasmtime_component_linker_add_wasi_http_async(linker));
  expect_ok(wasmtime_component_linker_add_wasip2_async(linker));
  expect_error_says(wasmtime_component_linker_add_wasi_http_async(linker), "defined twice");
  expect_ok(wasmtime_context_set_wasi(ctx, wasi_config_new()));
  wasmtime_context_set_wasi_http(ctx);
  wasmtime_component_t *component = component_of(FIELDS("0.2.9"));
  wasmtime_component_instance_t instance;
  wasmtime_error_t *error = NULL;
  wasmtime_call_future_t *future =
      wasmtime_component_linker_instantiate_async(linker, ctx, component, &instance, &error);
  expect(wasmtime_call_future_poll(future));
  wasmtime_call_future_delete(future);
  expect_ok(error);
  wasmtime_component_func_t func = func_named(&instance, "f");
  val_t back = bool_val(false);
  future = wasmtime_component_func_call_async(&func, ctx, NULL, 0, &back, 1, &error);
  expect(wasmtime_call_future_poll(future));
  wasmtime_call_future_delete(future);
  expect_ok(error);
  expect(back.kind == WASMTIME_COMPONENT_U64 && back.of.u64 != 0);
  wasmtime_component_delete(component);
  wasmtime_component_linker_delete(linker);
}

// 44.0.0 ends the process.
static void without_http_configuration_calls_are_errors(void) {
  with_wasi();
  expect_ok(wasmtime_component_linker_add_wasi_http(linker));
  expect_error_says(call_f(FIELDS("0.2.9"), NULL), "the store has no WASI HTTP configuration");
  wasmtime_component_linker_delete(linker);
}

int main(void) {
  RUN(every_version_of_0_2_is_served);
  RUN(adding_it_twice_is_an_error);
  RUN(success_ends_the_call_with_status_0);
  RUN(failure_ends_the_call_with_status_1);
  RUN(http_is_there_beside_the_rest_in_either_order);
  RUN(http_is_there_for_asynchronous_calls);
  RUN_HERE(without_configuration_calls_are_errors);
  RUN_HERE(without_http_configuration_calls_are_errors);
  return test_summary();
}
