/* The smallest host: a module in the text format, one function, one call.
 *
 *     cc -std=c11 hello.c $(pkg-config --cflags --libs ampoule) -o hello && ./hello
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <wasmtime.h>

static const char TEXT[] =
    "(module"
    "  (func (export \"multiply\") (param i32 i32) (result i32)"
    "    (i32.mul (local.get 0) (local.get 1))))";

/* A returned error belongs to us; NULL means that all went well. */
static void must(wasmtime_error_t *error) {
  if (error == NULL) return;
  wasm_name_t message;
  wasmtime_error_message(error, &message);
  fprintf(stderr, "%.*s\n", (int)message.size, message.data);
  exit(1);
}

int main(void) {
  /* An engine and its modules serve a whole process, from any thread. */
  wasm_engine_t *engine = wasm_engine_new();
  wasm_byte_vec_t wasm;
  must(wasmtime_wat2wasm(TEXT, strlen(TEXT), &wasm));
  wasmtime_module_t *module = NULL;
  must(wasmtime_module_new(engine, (const uint8_t *)wasm.data, wasm.size, &module));
  wasm_byte_vec_delete(&wasm);

  /* A store owns everything that is made in it: all of it goes when the store goes. */
  wasmtime_store_t *store = wasmtime_store_new(engine, NULL, NULL);
  wasmtime_context_t *context = wasmtime_store_context(store);
  wasmtime_instance_t instance;
  wasm_trap_t *trap = NULL;
  must(wasmtime_instance_new(context, module, NULL, 0, &instance, &trap));

  wasmtime_extern_t multiply;
  if (!wasmtime_instance_export_get(context, &instance, "multiply", strlen("multiply"), &multiply)) return 1;
  wasmtime_val_t arguments[2] = {{.kind = WASMTIME_I32, .of.i32 = 7}, {.kind = WASMTIME_I32, .of.i32 = 6}};
  wasmtime_val_t product;
  must(wasmtime_func_call(context, &multiply.of.func, arguments, 2, &product, 1, &trap));
  if (trap != NULL) return 1;
  printf("7 * 6 = %d\n", product.of.i32);

  wasmtime_store_delete(store);
  wasmtime_module_delete(module);
  wasm_engine_delete(engine);
  return 0;
}
