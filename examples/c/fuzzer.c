// A small fuzzer: a guest is tried with thousands of inputs, each on the same memory, because it is reset before each. Inputs that get further
// than those before are kept and changed again.
//
//     gcc fuzzer.c -o fuzzer -lampoule && ./fuzzer

#include <ampoule.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wasmtime.h>

enum { INPUT = 1024, LENGTH = 8, MOST = 100000 };

// A parser with a fault: it traps where the input begins with `bug!`, however it got there. `depth` counts how far it has come. It has a counter
// besides, which would make it fail by itself after a hundred inputs, had it not been reset.
static const char *const guest =
    "(module (memory (export \"memory\") 1) (data (i32.const 16) \"bug!\")"
    "  (global $depth (export \"depth\") (mut i32) (i32.const 0)) (global $calls (mut i32) (i32.const 0))"
    "  (func (export \"parse\")"
    "    (global.set $calls (i32.add (global.get $calls) (i32.const 1)))"
    "    (if (i32.gt_u (global.get $calls) (i32.const 100)) (then unreachable))"
    "    (block $other"
    "      (loop $next"
    "        (br_if $other (i32.ne (i32.load8_u offset=1024 (global.get $depth)) (i32.load8_u offset=16 (global.get $depth))))"
    "        (global.set $depth (i32.add (global.get $depth) (i32.const 1)))"
    "        (br_if $next (i32.lt_u (global.get $depth) (i32.const 4))))"
    "      unreachable)))";

static void must(wasmtime_error_t *error) {
  if (error == NULL) return;
  wasm_byte_vec_t message;
  wasmtime_error_message(error, &message);
  fprintf(stderr, "%.*s\n", (int)message.size, message.data);
  exit(1);
}

static wasmtime_extern_t export_of(wasmtime_context_t *context, const wasmtime_instance_t *instance, const char *name) {
  wasmtime_extern_t item;
  if (!wasmtime_instance_export_get(context, instance, name, strlen(name), &item)) exit(1);
  return item;
}

// The same numbers each time, so that what is found is found again.
static uint32_t next_random(void) {
  static uint32_t state = 1;
  state ^= state << 13;
  state ^= state >> 17;
  state ^= state << 5;
  return state;
}

int main(void) {
  wasm_engine_t *engine = wasm_engine_new();
  wasm_byte_vec_t wasm;
  wasmtime_module_t *module;
  must(wasmtime_wat2wasm(guest, strlen(guest), &wasm));
  must(wasmtime_module_new(engine, (const uint8_t *)wasm.data, wasm.size, &module));
  wasm_byte_vec_delete(&wasm);
  wasmtime_store_t *store = wasmtime_store_new(engine, NULL, NULL);
  wasmtime_context_t *context = wasmtime_store_context(store);
  wasmtime_instance_t instance;
  wasm_trap_t *trap = NULL;
  must(wasmtime_instance_new(context, module, NULL, 0, &instance, &trap));
  wasmtime_memory_t memory = export_of(context, &instance, "memory").of.memory;
  wasmtime_global_t depth = export_of(context, &instance, "depth").of.global;
  wasmtime_func_t parse = export_of(context, &instance, "parse").of.func;
  ampoule_snapshot_t *fresh;
  must(ampoule_snapshot_take(context, &instance, 1, NULL, &fresh));

  uint8_t best[LENGTH] = {0};
  int32_t furthest = 0;
  int tried = 0;
  while (tried < MOST && trap == NULL) {
    // Handles stay good. A reset costs as much as the guest has written.
    must(ampoule_snapshot_reset(fresh, context, &instance, 1, NULL));
    uint8_t input[LENGTH];
    memcpy(input, best, LENGTH);
    input[next_random() % LENGTH] = (uint8_t)next_random();
    memcpy(wasmtime_memory_data(context, &memory) + INPUT, input, LENGTH);
    must(wasmtime_func_call(context, &parse, NULL, 0, NULL, 0, &trap));
    tried++;
    wasmtime_val_t reached;
    wasmtime_global_get(context, &depth, &reached);
    if (reached.of.i32 > furthest) {
      furthest = reached.of.i32;
      memcpy(best, input, LENGTH);
      printf("further: \"%.*s\"\n", furthest, (const char *)best);
    }
  }
  if (trap == NULL) {
    printf("nothing found\n");
    return 1;
  }
  wasm_trap_delete(trap);

  // What was found fails again, by itself.
  trap = NULL;
  must(ampoule_snapshot_reset(fresh, context, &instance, 1, NULL));
  memcpy(wasmtime_memory_data(context, &memory) + INPUT, best, LENGTH);
  must(wasmtime_func_call(context, &parse, NULL, 0, NULL, 0, &trap));
  printf("\"%.*s\" traps%s, after more than a thousand inputs: %s\n", furthest, (const char *)best,
         trap == NULL ? " no more" : " again", tried > 1000 ? "yes" : "no");
  if (trap != NULL) wasm_trap_delete(trap);
  ampoule_snapshot_delete(fresh);
  wasmtime_store_delete(store);
  wasmtime_module_delete(module);
  wasm_engine_delete(engine);
  return 0;
}
