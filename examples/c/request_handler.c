// A guest that is started once, and answers many requests. After each it is as it was when it had started, also after a trap: no byte of a
// request is seen by the next. A second store, as another thread would have it, goes on from the same start.
//
//     gcc request_handler.c -o request_handler -lampoule && ./request_handler

#include <ampoule.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wasmtime.h>

enum { TABLE = 1024, REQUEST = 32768, PAGE = 65536 };

// `start` makes a table of squares, which stands for all that takes long in real life. `answer` keeps each request behind the last one, grows its
// memory, traps where a request begins with `!`, and returns the square of the request's length and, times 1000, how many bytes of earlier
// requests it knows.
static const char *const guest =
    "(module (memory (export \"memory\") 1) (global $known (mut i32) (i32.const 0))"
    "  (func (export \"start\") (local $n i32)"
    "    (loop $more"
    "      (i32.store offset=1024 (i32.shl (local.get $n) (i32.const 2)) (i32.mul (local.get $n) (local.get $n)))"
    "      (br_if $more (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 100)))))"
    "  (func (export \"answer\") (param $len i32) (result i32) (local $before i32)"
    "    (local.set $before (global.get $known))"
    "    (memory.copy (i32.add (i32.const 40000) (local.get $before)) (i32.const 32768) (local.get $len))"
    "    (global.set $known (i32.add (local.get $before) (local.get $len)))"
    "    (drop (memory.grow (i32.const 1)))"
    "    (if (i32.eq (i32.load8_u (i32.const 32768)) (i32.const 33)) (then unreachable))"
    "    (i32.add (i32.load offset=1024 (i32.shl (local.get $len) (i32.const 2)))"
    "      (i32.mul (local.get $before) (i32.const 1000)))))";

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

// Has the guest answer a request; returns false where it traps.
static bool answer(wasmtime_context_t *context, const wasmtime_instance_t *instance, const char *request, int *square,
                   int *known) {
  wasmtime_memory_t memory = export_of(context, instance, "memory").of.memory;
  wasmtime_func_t func = export_of(context, instance, "answer").of.func;
  memcpy(wasmtime_memory_data(context, &memory) + REQUEST, request, strlen(request));
  wasmtime_val_t length = {.kind = WASMTIME_I32, .of = {.i32 = (int32_t)strlen(request)}}, result;
  wasm_trap_t *trap = NULL;
  must(wasmtime_func_call(context, &func, &length, 1, &result, 1, &trap));
  if (trap != NULL) {
    wasm_trap_delete(trap);
    return false;
  }
  *square = result.of.i32 % 1000;
  *known = result.of.i32 / 1000;
  return true;
}

static void serve(wasmtime_context_t *context, const wasmtime_instance_t *instance, const char *request) {
  int square, known;
  if (answer(context, instance, request, &square, &known))
    printf("%s: %d; of others it knows %d bytes\n", request, square, known);
  else
    printf("%s: trapped\n", request);
}

int main(void) {
  wasm_engine_t *engine = wasm_engine_new();
  wasm_byte_vec_t wasm;
  wasmtime_module_t *module;
  must(wasmtime_wat2wasm(guest, strlen(guest), &wasm));
  must(wasmtime_module_new(engine, (const uint8_t *)wasm.data, wasm.size, &module));
  wasm_byte_vec_delete(&wasm);

  // Once.
  wasmtime_store_t *store = wasmtime_store_new(engine, NULL, NULL);
  wasmtime_context_t *context = wasmtime_store_context(store);
  wasmtime_instance_t instance;
  wasm_trap_t *trap = NULL;
  must(wasmtime_instance_new(context, module, NULL, 0, &instance, &trap));
  wasmtime_func_t start = export_of(context, &instance, "start").of.func;
  must(wasmtime_func_call(context, &start, NULL, 0, NULL, 0, &trap));
  ampoule_snapshot_t *started;
  must(ampoule_snapshot_take(context, &instance, 1, NULL, &started));
  wasmtime_memory_t memory = export_of(context, &instance, "memory").of.memory;
  static uint8_t at_start[PAGE];
  memcpy(at_start, wasmtime_memory_data(context, &memory), PAGE);

  // What happens without: the guest knows what others asked.
  serve(context, &instance, "Ann");
  serve(context, &instance, "Bob");

  // For each request: what was written is put back, and nothing else is touched.
  static const char *const requests[] = {"Ann", "Bob", "!boom", "Cyril"};
  for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
    must(ampoule_snapshot_reset(started, context, &instance, 1, NULL));
    serve(context, &instance, requests[i]);
  }
  must(ampoule_snapshot_reset(started, context, &instance, 1, NULL));
  bool is_clean = wasmtime_memory_data_size(context, &memory) == PAGE &&
                  memcmp(wasmtime_memory_data(context, &memory), at_start, PAGE) == 0;
  printf("%s\n", is_clean ? "no byte of a request is left" : "something is left");
  wasmtime_store_delete(store);

  // Elsewhere, without `start`. Snapshots may be used by several threads at once.
  store = wasmtime_store_new(engine, NULL, NULL);
  context = wasmtime_store_context(store);
  wasmtime_linker_t *linker = wasmtime_linker_new(engine);
  must(ampoule_snapshot_instantiate(started, context, linker, NULL, &instance, 1));
  serve(context, &instance, "Dee");

  wasmtime_linker_delete(linker);
  wasmtime_store_delete(store);
  ampoule_snapshot_delete(started);
  wasmtime_module_delete(module);
  wasm_engine_delete(engine);
  return is_clean ? 0 : 1;
}
