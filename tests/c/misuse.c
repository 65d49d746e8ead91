// Mistakes that nothing can report end the process, with a message that names the function.
// valgrind: skip (each mistake ends a forked child by abort)

#include "test.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

// Runs `mistake` in a child, which must end by abort and have said the function's name.
static void ends_the_process(const char *function, void (*mistake)(void)) {
  int pipes[2];
  if (!expect(!pipe(pipes))) return;
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    dup2(pipes[1], 2);
    alarm(20);
    mistake();
    _exit(0);
  }
  close(pipes[1]);
  char said[4096] = {0};
  size_t len = 0;
  for (ssize_t more; (more = read(pipes[0], said + len, sizeof said - 1 - len)) > 0;) len += (size_t)more;
  close(pipes[0]);
  int status = 0;
  waitpid(child, &status, 0);
  bool told = WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT && strstr(said, function);
  if (!told) printf("FAIL %s: %s: status 0x%x, says \"%s\"\n", test_claim, function, status, said);
  if (!told) test_claim_holds = false;
}

#define MISTAKE(function, ...)                                                                                         \
  static void mistake_with_##function(void) { __VA_ARGS__; }

// -- Handles of another store

static wasmtime_context_t *other; // a store that the handles are not of
static wasmtime_extern_t func, global, table, memory;
static wasmtime_externref_t ref;
static wasmtime_val_t val;

MISTAKE(wasmtime_func_type, wasmtime_func_type(other, &func.of.func))
MISTAKE(wasmtime_func_to_raw, wasmtime_func_to_raw(other, &func.of.func))
MISTAKE(wasmtime_global_type, wasmtime_global_type(other, &global.of.global))
MISTAKE(wasmtime_global_get, wasmtime_global_get(other, &global.of.global, &val))
MISTAKE(wasmtime_table_type, wasmtime_table_type(other, &table.of.table))
MISTAKE(wasmtime_table_size, wasmtime_table_size(other, &table.of.table))
MISTAKE(wasmtime_table_get, wasmtime_table_get(other, &table.of.table, 0, &val))
MISTAKE(wasmtime_memory_type, wasmtime_memory_type(other, &memory.of.memory))
MISTAKE(wasmtime_memory_data, wasmtime_memory_data(other, &memory.of.memory))
MISTAKE(wasmtime_memory_data_size, wasmtime_memory_data_size(other, &memory.of.memory))
MISTAKE(wasmtime_memory_size, wasmtime_memory_size(other, &memory.of.memory))
MISTAKE(wasmtime_memory_page_size, wasmtime_memory_page_size(other, &memory.of.memory))
MISTAKE(wasmtime_memory_page_size_log2, wasmtime_memory_page_size_log2(other, &memory.of.memory))
MISTAKE(wasmtime_extern_type, wasmtime_extern_type(other, &memory))
MISTAKE(wasmtime_externref_data, wasmtime_externref_data(other, &ref))
MISTAKE(wasmtime_externref_to_raw, wasmtime_externref_to_raw(other, &ref))

static wasmtime_linker_t *linker;

MISTAKE(wasmtime_linker_get, wasmtime_linker_get(linker, other, "env", 3, "f", 1, &func))

#define ENDS(function) ends_the_process(#function, mistake_with_##function)

static void handles_of_another_store(void) {
  wasmtime_instance_t instance = instance_of(
      "(module (func (export \"f\")) (global (export \"g\") i32 (i32.const 0)) (table (export \"t\") 1 funcref)"
      " (memory (export \"m\") 1))");
  func = export_of(&instance, "f"), global = export_of(&instance, "g");
  table = export_of(&instance, "t"), memory = export_of(&instance, "m");
  expect(wasmtime_externref_new(ctx, NULL, NULL, &ref));
  wasmtime_store_t *second = wasmtime_store_new(engine, NULL, NULL);
  other = wasmtime_store_context(second);
  ENDS(wasmtime_func_type);
  ENDS(wasmtime_func_to_raw);
  ENDS(wasmtime_global_type);
  ENDS(wasmtime_global_get);
  ENDS(wasmtime_table_type);
  ENDS(wasmtime_table_size);
  ENDS(wasmtime_table_get);
  ENDS(wasmtime_memory_type);
  ENDS(wasmtime_memory_data);
  ENDS(wasmtime_memory_data_size);
  ENDS(wasmtime_memory_size);
  ENDS(wasmtime_memory_page_size);
  ENDS(wasmtime_memory_page_size_log2);
  ENDS(wasmtime_extern_type);
  ENDS(wasmtime_externref_data);
  ENDS(wasmtime_externref_to_raw);
  wasmtime_externref_unroot(&ref);
  wasmtime_store_delete(second);
}

static wasm_trap_t *nothing(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                            wasmtime_val_t *results, size_t nresults) {
  (void)env, (void)caller, (void)args, (void)nargs, (void)results, (void)nresults;
  return NULL;
}

static void a_store_of_another_engine_than_the_linkers(void) {
  linker = wasmtime_linker_new(engine);
  wasm_functype_t *type = wasm_functype_new_0_0();
  expect_ok(wasmtime_linker_define_func(linker, "env", 3, "f", 1, type, nothing, NULL, NULL));
  wasm_functype_delete(type);
  wasm_engine_t *second = wasm_engine_new();
  wasmtime_store_t *stranger = wasmtime_store_new(second, NULL, NULL);
  other = wasmtime_store_context(stranger);
  ENDS(wasmtime_linker_get);
  wasmtime_store_delete(stranger);
  wasm_engine_delete(second);
  wasmtime_linker_delete(linker);
}

// -- Numbers that mean nothing

MISTAKE(wasmtime_config_strategy_set, wasmtime_config_strategy_set(wasm_config_new(), 99))
MISTAKE(wasmtime_config_cranelift_opt_level_set, wasmtime_config_cranelift_opt_level_set(wasm_config_new(), 99))
MISTAKE(wasmtime_config_profiler_set, wasmtime_config_profiler_set(wasm_config_new(), 99))
MISTAKE(wasmtime_trap_new_code, wasmtime_trap_new_code(250))
MISTAKE(wasm_valtype_new, wasm_valtype_new(77))

static void numbers_that_mean_nothing(void) {
  ENDS(wasmtime_config_strategy_set);
  ENDS(wasmtime_config_cranelift_opt_level_set);
  ENDS(wasmtime_config_profiler_set);
  ENDS(wasmtime_trap_new_code);
  ENDS(wasm_valtype_new);
}

// -- What the portable API declares and this library doesn't have

static wasm_frame_t *frame;

MISTAKE(wasm_frame_instance, wasm_frame_instance(frame))

static void frames_know_no_instance(void) {
  wasmtime_instance_t instance = instance_of("(module (func (export \"f\") unreachable))");
  wasmtime_func_t f = func_of(&instance, "f");
  wasm_trap_t *trap = call(&f);
  frame = wasm_trap_origin(trap);
  if (expect(frame != NULL)) ENDS(wasm_frame_instance);
  wasm_frame_delete(frame);
  wasm_trap_delete(trap);
}

int main(void) {
  // The reference library ends the process too, without naming the function.
  if (getenv("AMPOULE_AGAINST")) return test_summary();
  RUN(handles_of_another_store);
  RUN(a_store_of_another_engine_than_the_linkers);
  RUN(numbers_that_mean_nothing);
  RUN(frames_know_no_instance);
  return test_summary();
}
