// A stream both ways: the host writes lines to a guest, which gives them back in capitals while the host goes on.
//
//     gcc component_stream.c -o component_stream -lampoule && ./component_stream

#include <ampoule.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// What a compiler would make of: export shout: async func(lines: stream<u8>) -> stream<u8>. It returns at once, and goes on.
static const char *const guest =
    "(component"
    "  (core module $libc (memory (export \"memory\") 1)) (core instance $libc (instantiate $libc))"
    "  (alias core export $libc \"memory\" (core memory $memory))"
    "  (type $bytes (stream u8))"
    "  (core func $new (canon stream.new $bytes))"
    "  (core func $read (canon stream.read $bytes (memory $memory)))"
    "  (core func $write (canon stream.write $bytes (memory $memory)))"
    "  (core func $drop-readable (canon stream.drop-readable $bytes))"
    "  (core func $drop-writable (canon stream.drop-writable $bytes))"
    "  (core func $return (canon task.return (result $bytes)))"
    "  (core module $m (import \"libc\" \"memory\" (memory 1))"
    "    (import \"host\" \"new\" (func $new (result i64)))"
    "    (import \"host\" \"read\" (func $read (param i32 i32 i32) (result i32)))"
    "    (import \"host\" \"write\" (func $write (param i32 i32 i32) (result i32)))"
    "    (import \"host\" \"drop-readable\" (func $drop-readable (param i32)))"
    "    (import \"host\" \"drop-writable\" (func $drop-writable (param i32)))"
    "    (import \"host\" \"return\" (func $return (param i32)))"
    "    (func $capitals (param $end i32) (local $at i32) (local $byte i32)"
    "      (block $done (loop $next"
    "        (br_if $done (i32.ge_u (local.get $at) (local.get $end)))"
    "        (local.set $byte (i32.load8_u (local.get $at)))"
    "        (if (i32.and (i32.ge_u (local.get $byte) (i32.const 97)) (i32.le_u (local.get $byte) (i32.const 122)))"
    "          (then (i32.store8 (local.get $at) (i32.sub (local.get $byte) (i32.const 32)))))"
    "        (local.set $at (i32.add (local.get $at) (i32.const 1))) (br $next))))"
    "    (func (export \"shout\") (param $in i32)"
    "      (local $pair i64) (local $out i32) (local $got i32) (local $len i32) (local $at i32)"
    "      (local.set $pair (call $new))"
    "      (call $return (i32.wrap_i64 (local.get $pair)))"
    "      (local.set $out (i32.wrap_i64 (i64.shr_u (local.get $pair) (i64.const 32))))"
    // A result's low bits tell whether the other end has gone, the others how many bytes there were.
    "      (loop $more"
    "        (local.set $got (call $read (local.get $in) (i32.const 0) (i32.const 64)))"
    "        (local.set $len (i32.shr_u (local.get $got) (i32.const 4)))"
    "        (call $capitals (local.get $len))"
    "        (local.set $at (i32.const 0))"
    "        (block $written (loop $next"
    "          (br_if $written (i32.ge_u (local.get $at) (local.get $len)))"
    "          (local.set $at (i32.add (local.get $at) (i32.shr_u (call $write"
    "            (local.get $out) (local.get $at) (i32.sub (local.get $len) (local.get $at))) (i32.const 4))))"
    "          (br $next)))"
    "        (br_if $more (i32.eqz (i32.and (local.get $got) (i32.const 15)))))"
    "      (call $drop-readable (local.get $in))"
    "      (call $drop-writable (local.get $out))))"
    "  (core instance $i (instantiate $m (with \"libc\" (instance $libc)) (with \"host\" (instance"
    "    (export \"new\" (func $new)) (export \"read\" (func $read)) (export \"write\" (func $write))"
    "    (export \"drop-readable\" (func $drop-readable)) (export \"drop-writable\" (func $drop-writable))"
    "    (export \"return\" (func $return))))))"
    "  (func (export \"shout\") async (param \"lines\" $bytes) (result $bytes) (canon lift (core func $i \"shout\") async)))";

static void must(wasmtime_error_t *error) {
  if (error == NULL) return;
  wasm_name_t message;
  wasmtime_error_message(error, &message);
  fprintf(stderr, "%.*s\n", (int)message.size, message.data);
  exit(1);
}

int main(void) {
  wasm_config_t *config = wasm_config_new();
  // The guest above waits on a stack of its own, and in its reads and writes; guests of most compilers need neither.
  wasmtime_config_wasm_component_model_async_stackful_set(config, true);
  wasmtime_config_wasm_component_model_more_async_builtins_set(config, true);
  wasm_engine_t *engine = wasm_engine_new_with_config(config);
  wasmtime_component_t *component = NULL;
  must(wasmtime_component_new(engine, (const uint8_t *)guest, strlen(guest), &component));
  wasmtime_component_linker_t *linker = wasmtime_component_linker_new(engine);
  wasmtime_store_t *store = wasmtime_store_new(engine, NULL, NULL);
  wasmtime_context_t *context = wasmtime_store_context(store);
  wasmtime_component_instance_t instance;
  must(wasmtime_component_linker_instantiate(linker, context, component, &instance));
  wasmtime_component_export_index_t *index = wasmtime_component_get_export_index(component, NULL, "shout", 5);
  wasmtime_component_func_t shout;
  if (index == NULL || !wasmtime_component_instance_get_func(&instance, context, index, &shout)) return 1;

  // The guest gets the readable end of a stream of ours, and gives us that of one of its own.
  wasmtime_component_valtype_t byte = {.kind = WASMTIME_COMPONENT_VALTYPE_U8};
  ampoule_component_writer_t *to_guest = NULL;
  ampoule_component_reader_t *reader = NULL, *from_guest = NULL;
  must(ampoule_component_stream_new(context, &byte, &to_guest, &reader));
  wasmtime_component_val_t arg, result;
  ampoule_component_reader_into_val(reader, &arg);
  ampoule_component_call_t *call = NULL;
  must(ampoule_component_call_start(context, &shout, &arg, 1, &call));
  must(ampoule_component_run(context, NULL));
  must(ampoule_component_call_finish(call, context, &result, 1));
  ampoule_component_call_delete(call);
  must(ampoule_component_reader_from_val(&result, &from_guest));

  const char *text = "hello, stream\nand again\nthe end\n";
  size_t left = strlen(text), count;
  ampoule_component_flow_t flow;
  for (;;) {
    if (left > 0) {
      // As much as the guest has room for just now.
      must(ampoule_component_write_block(to_guest, context, text, left, &count, &flow));
      text += count;
      left -= count;
      if (left == 0) ampoule_component_writer_delete(to_guest);
    }
    must(ampoule_component_run(context, NULL));
    char got[16];
    must(ampoule_component_read_block(from_guest, context, got, sizeof got, &count, &flow));
    fwrite(got, 1, count, stdout);
    if (flow == AMPOULE_COMPONENT_CLOSED) break;
    must(ampoule_component_run(context, NULL));
  }
  puts("closed");

  ampoule_component_reader_delete(from_guest);
  wasmtime_component_export_index_delete(index);
  wasmtime_store_delete(store);
  wasmtime_component_linker_delete(linker);
  wasmtime_component_delete(component);
  wasm_engine_delete(engine);
  return 0;
}
