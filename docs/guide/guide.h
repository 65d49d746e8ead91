/* What the programs of the guide have in common. hello.md shows these steps one by one. */
#ifndef GUIDE_H
#define GUIDE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wasmtime.h>

/* Prints the reason of an error or trap, without the backtrace, and frees it. */
static inline void show(wasmtime_error_t *error, wasm_trap_t *trap) {
  wasm_byte_vec_t message;
  if (error != NULL) wasmtime_error_message(error, &message);
  else wasm_trap_message(trap, &message);
  char text[2048];
  snprintf(text, sizeof text, "%.*s", (int)message.size, message.data);
  wasm_byte_vec_delete(&message);
  /* Behind a backtrace comes what caused it. */
  const char *cause = strstr(text, "Caused by:\n");
  cause = cause == NULL ? text : cause + strlen("Caused by:\n");
  cause += strspn(cause, " ");
  printf("%.*s\n", (int)strcspn(cause, "\n"), cause);
  if (error != NULL) wasmtime_error_delete(error);
  if (trap != NULL) wasm_trap_delete(trap);
}

/* Ends the program where something failed. */
static inline void must(wasmtime_error_t *error, wasm_trap_t *trap) {
  if (error == NULL && trap == NULL) return;
  show(error, trap);
  exit(1);
}

static inline wasmtime_module_t *compile(wasm_engine_t *engine, const char *text) {
  wasm_byte_vec_t wasm;
  wasmtime_module_t *module;
  must(wasmtime_wat2wasm(text, strlen(text), &wasm), NULL);
  must(wasmtime_module_new(engine, (const uint8_t *)wasm.data, wasm.size, &module), NULL);
  wasm_byte_vec_delete(&wasm);
  return module;
}

/* Of a module without imports. */
static inline wasmtime_instance_t instantiate(wasmtime_context_t *context, const wasmtime_module_t *module) {
  wasmtime_instance_t instance;
  wasm_trap_t *trap = NULL;
  wasmtime_error_t *error = wasmtime_instance_new(context, module, NULL, 0, &instance, &trap);
  must(error, trap);
  return instance;
}

static inline wasmtime_extern_t export_of(wasmtime_context_t *context, const wasmtime_instance_t *instance,
                                          const char *name) {
  wasmtime_extern_t item;
  if (!wasmtime_instance_export_get(context, instance, name, strlen(name), &item)) {
    printf("no export %s\n", name);
    exit(1);
  }
  return item;
}

/* Calls a function from i32 to i32. */
static inline int32_t call(wasmtime_context_t *context, const wasmtime_func_t *func, int32_t argument) {
  wasmtime_val_t arg = {.kind = WASMTIME_I32, .of = {.i32 = argument}}, result;
  wasm_trap_t *trap = NULL;
  wasmtime_error_t *error = wasmtime_func_call(context, func, &arg, 1, &result, 1, &trap);
  must(error, trap);
  return result.of.i32;
}

#endif
