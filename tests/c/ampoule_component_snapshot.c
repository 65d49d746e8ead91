// ampoule/snapshot.h: instances of components are as they were, and so is what guests have of WASI.
#include "component.h"

#include <ampoule.h>

// Counts, and keeps standard output in its handle table.
static const char *const GUEST =
    "(component"
    "  (import \"wasi:io/poll@0.2.0\" (instance $poll (export \"pollable\" (type $p (sub resource)))"
    "    (export \"[method]pollable.ready\" (func (param \"self\" (borrow $p)) (result bool)))))"
    "  (alias export $poll \"pollable\" (type $pollable))"
    "  (import \"wasi:io/streams@0.2.0\" (instance $streams (export \"output-stream\" (type $o (sub resource)))"
    "    (alias outer 1 $pollable (type $of)) (export \"pollable\" (type $p (eq $of)))"
    "    (export \"[method]output-stream.subscribe\" (func (param \"self\" (borrow $o)) (result (own $p))))))"
    "  (alias export $streams \"output-stream\" (type $output))"
    "  (import \"wasi:cli/stdout@0.2.0\" (instance $stdout"
    "    (alias outer 1 $output (type $of)) (export \"output-stream\" (type $o (eq $of)))"
    "    (export \"get-stdout\" (func (result (own $o))))))"
    "  (core func $get (canon lower (func $stdout \"get-stdout\")))"
    "  (core func $subscribe (canon lower (func $streams \"[method]output-stream.subscribe\")))"
    "  (core func $ready (canon lower (func $poll \"[method]pollable.ready\")))"
    "  (core func $drop (canon resource.drop $pollable))"
    "  (core module $m"
    "    (import \"\" \"get\" (func $get (result i32)))"
    "    (import \"\" \"subscribe\" (func $subscribe (param i32) (result i32)))"
    "    (import \"\" \"ready\" (func $ready (param i32) (result i32)))"
    "    (import \"\" \"drop\" (func $drop (param i32)))"
    "    (global $stream (mut i32) (i32.const 0)) (global $count (mut i32) (i32.const 0))"
    "    (func (export \"open\") (result i32) (global.set $stream (call $get)) (global.get $stream))"
    "    (func (export \"next\") (result i32)"
    "      (global.set $count (i32.add (global.get $count) (i32.const 1))) (global.get $count))"
    "    (func (export \"ready\") (result i32) (local $pollable i32)"
    "      (local.set $pollable (call $subscribe (global.get $stream)))"
    "      (call $ready (local.get $pollable)) (call $drop (local.get $pollable)))"
    "    (func (export \"stop\") (result i32) unreachable))"
    "  (core instance $i (instantiate $m (with \"\" (instance (export \"get\" (func $get))"
    "    (export \"subscribe\" (func $subscribe)) (export \"ready\" (func $ready)) (export \"drop\" (func $drop))))))"
    "  (func (export \"open\") (result u32) (canon lift (core func $i \"open\")))"
    "  (func (export \"next\") (result u32) (canon lift (core func $i \"next\")))"
    "  (func (export \"ready\") (result u32) (canon lift (core func $i \"ready\")))"
    "  (func (export \"stop\") (result u32) (canon lift (core func $i \"stop\"))))";

static wasmtime_component_linker_t *linker_in(wasm_engine_t *of) {
  wasmtime_component_linker_t *linker = wasmtime_component_linker_new(of);
  expect_ok(wasmtime_component_linker_add_wasip2(linker));
  return linker;
}

// What a function of an instance in a store answers; -1 where it is stopped.
static int64_t ask_in(wasmtime_context_t *in, const wasmtime_component_instance_t *instance, const char *name) {
  wasmtime_component_export_index_t *index =
      wasmtime_component_instance_get_export_index(instance, in, NULL, name, strlen(name));
  wasmtime_component_func_t func;
  if (!expect(index && wasmtime_component_instance_get_func(instance, in, index, &func))) exit(1);
  wasmtime_component_export_index_delete(index);
  val_t answer = bool_val(false);
  wasmtime_error_t *error = wasmtime_component_func_call(&func, in, NULL, 0, &answer, 1);
  if (!error) return answer.of.u32;
  wasmtime_error_delete(error);
  return -1;
}

static int64_t ask(const wasmtime_component_instance_t *instance, const char *name) {
  return ask_in(ctx, instance, name);
}

static void an_instance_is_reset_also_after_a_trap(void) {
  wasmtime_component_linker_t *linker = linker_in(engine);
  wasmtime_component_t *component = component_of(GUEST);
  wasmtime_component_instance_t instance = instantiate(linker, component);
  expect(ask(&instance, "next") == 1);
  ampoule_component_snapshot_t *snapshot = NULL;
  if (!expect_ok(ampoule_component_snapshot_take(ctx, component, &instance, &snapshot))) exit(1);
  for (int round = 0; round < 2; round++) {
    expect(ask(&instance, "next") == 2 && ask(&instance, "next") == 3);
    expect(ask(&instance, "stop") == -1 && ask(&instance, "next") == -1);
    expect_ok(ampoule_component_snapshot_reset(snapshot, ctx, &instance));
  }
  expect(ask(&instance, "next") == 2);
  wasmtime_component_t *same = ampoule_component_snapshot_component(snapshot);
  expect(same != NULL);
  wasmtime_component_delete(same);
  wasmtime_component_t *other = component_of("(component)");
  ampoule_component_snapshot_t *none = NULL;
  expect_error_says(ampoule_component_snapshot_take(ctx, other, &instance, &none), "another component");
  wasmtime_component_delete(other);
  ampoule_component_snapshot_delete(snapshot);
  wasmtime_component_delete(component);
  wasmtime_component_linker_delete(linker);
}

// Goes on in a store of its own.
static void expect_goes_on(wasm_engine_t *of, const ampoule_component_snapshot_t *component,
                           const ampoule_snapshot_t *whole) {
  wasmtime_component_linker_t *linker = linker_in(of);
  wasmtime_store_t *own = wasmtime_store_new(of, NULL, NULL);
  wasmtime_context_t *in = wasmtime_store_context(own);
  wasmtime_component_instance_t instance;
  expect_error(ampoule_component_snapshot_instantiate(component, in, linker, &instance));
  expect_ok(ampoule_context_set_wasi_of_snapshot(in, wasi_config_new(), whole));
  if (expect_ok(ampoule_component_snapshot_instantiate(component, in, linker, &instance)))
    expect(ask_in(in, &instance, "next") == 2 && ask_in(in, &instance, "ready") == 1);
  wasmtime_store_delete(own);
  wasmtime_component_linker_delete(linker);
}

static void what_a_guest_has_of_wasi_goes_on_too(void) {
  wasmtime_component_linker_t *linker = linker_in(engine);
  wasmtime_component_t *component = component_of(GUEST);
  wasmtime_component_instance_t instance = instantiate(linker, component);
  ampoule_component_snapshot_t *snapshot = NULL, *again = NULL;
  ampoule_snapshot_t *whole = NULL, *core = NULL;
  expect_ok(wasmtime_context_set_wasi(ctx, wasi_config_new()));
  expect(ask(&instance, "open") > 0 && ask(&instance, "next") == 1);
  if (!expect_ok(ampoule_component_snapshot_take(ctx, component, &instance, &snapshot))) exit(1);
  whole = ampoule_component_snapshot_to_snapshot(snapshot);
  expect_error_says(ampoule_context_set_wasi_of_snapshot(ctx, wasi_config_new(), whole), "WASI");
  expect_ok(ampoule_snapshot_attach_wasi(whole, ctx));
  expect_goes_on(engine, snapshot, whole);

  wasm_byte_vec_t bytes;
  expect_ok(ampoule_snapshot_serialize(whole, &bytes));
  wasm_engine_t *later = wasm_engine_new();
  expect_ok(ampoule_snapshot_deserialize(later, (uint8_t *)bytes.data, bytes.size, &core));
  expect_ok(ampoule_component_snapshot_of_snapshot(core, &again));
  expect_goes_on(later, again, core);
  ampoule_component_snapshot_t *copy = ampoule_component_snapshot_clone(again);
  ampoule_component_snapshot_delete(again);
  expect_goes_on(later, copy, core);
  ampoule_component_snapshot_delete(copy);
  ampoule_snapshot_delete(core);
  wasm_engine_delete(later);
  wasm_byte_vec_delete(&bytes);

  ampoule_snapshot_delete(whole);
  ampoule_component_snapshot_delete(snapshot);
  wasmtime_component_delete(component);
  wasmtime_component_linker_delete(linker);
}

static void a_snapshot_of_modules_is_none_of_a_component(void) {
  ampoule_snapshot_t *snapshot = NULL;
  if (!expect_ok(ampoule_snapshot_take_all(ctx, NULL, &snapshot))) exit(1);
  ampoule_component_snapshot_t *none = NULL;
  expect_error_says(ampoule_component_snapshot_of_snapshot(snapshot, &none), "not one of a component");
  expect_error_says(ampoule_snapshot_attach_wasi(snapshot, ctx), "no WASI");
  ampoule_snapshot_delete(snapshot);
}

static void directories_have_to_be_given_again(void) {
  char path[] = "/tmp/ampoule-snapshot-XXXXXX";
  if (!expect(mkdtemp(path) != NULL)) exit(1);
  wasi_config_t *wasi = wasi_config_new();
  expect(wasi_config_preopen_dir(wasi, path, "/data", WASMTIME_WASI_DIR_PERMS_READ, WASMTIME_WASI_FILE_PERMS_READ));
  expect_ok(wasmtime_context_set_wasi(ctx, wasi));
  // The guest has its directories from its first call on.
  wasmtime_linker_t *linker = wasmtime_linker_new(engine);
  expect_ok(wasmtime_linker_define_wasi(linker));
  wasmtime_module_t *module = module_of(
      "(module (import \"wasi_snapshot_preview1\" \"fd_prestat_get\" (func $get (param i32 i32) (result i32)))"
      "  (memory (export \"memory\") 1) (func (export \"has\") (result i32) (call $get (i32.const 3) (i32.const 0))))");
  wasmtime_instance_t instance;
  wasm_trap_t *trap = NULL;
  expect_ok(wasmtime_linker_instantiate(linker, ctx, module, &instance, &trap));
  wasmtime_extern_t item;
  expect(wasmtime_instance_export_get(ctx, &instance, "has", 3, &item));
  wasmtime_val_t has;
  expect_ok(wasmtime_func_call(ctx, &item.of.func, NULL, 0, &has, 1, &trap));
  expect(has.of.i32 == 0);
  ampoule_snapshot_t *snapshot = NULL;
  if (!expect_ok(ampoule_snapshot_take(ctx, &instance, 1, NULL, &snapshot))) exit(1);
  expect_ok(ampoule_snapshot_attach_wasi(snapshot, ctx));
  expect_error_says(ampoule_context_set_wasi_of_snapshot(ctx, wasi_config_new(), snapshot), "/data");
  wasi = wasi_config_new();
  expect(wasi_config_preopen_dir(wasi, path, "/data", WASMTIME_WASI_DIR_PERMS_READ, WASMTIME_WASI_FILE_PERMS_READ));
  expect_ok(ampoule_context_set_wasi_of_snapshot(ctx, wasi, snapshot));
  expect_ok(ampoule_snapshot_reset(snapshot, ctx, &instance, 1, NULL));
  expect_ok(wasmtime_func_call(ctx, &item.of.func, NULL, 0, &has, 1, &trap));
  expect(has.of.i32 == 0);
  ampoule_snapshot_delete(snapshot);
  wasmtime_module_delete(module);
  wasmtime_linker_delete(linker);
  expect(remove(path) == 0);
}

int main(void) {
  RUN(an_instance_is_reset_also_after_a_trap);
  RUN(what_a_guest_has_of_wasi_goes_on_too);
  RUN(a_snapshot_of_modules_is_none_of_a_component);
  RUN(directories_have_to_be_given_again);
  return test_summary();
}
