/* A call that traps, with the trap deleted: one case for each way to fail. */
#include <string.h>

#include "bench.h"

typedef enum { PLAIN, FUEL, EPOCH } metering_t;

typedef struct {
  wasmtime_context_t *context;
  wasmtime_func_t func;
  metering_t metering;
  bool read_message;
} trapping_t;

static wasm_trap_t *fail_with_message(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                                      wasmtime_val_t *results, size_t nresults) {
  (void)env, (void)caller, (void)args, (void)nargs, (void)results, (void)nresults;
  return wasmtime_trap_new("refused", 7);
}

static wasm_trap_t *fail_with_code(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                                   wasmtime_val_t *results, size_t nresults) {
  (void)env, (void)caller, (void)args, (void)nargs, (void)results, (void)nresults;
  return wasmtime_trap_new_code(WASMTIME_TRAP_CODE_INTEGER_OVERFLOW);
}

/* What a failing call gave; the caller deletes it. A trap that a host function made of a message comes out as an error. */
typedef struct {
  wasm_trap_t *trap;
  wasmtime_error_t *error;
} failure_t;

static failure_t call(trapping_t *t) {
  failure_t failure = {NULL, NULL};
  if (t->metering == FUEL) check(wasmtime_context_set_fuel(t->context, 5), NULL, "set_fuel");
  failure.error = wasmtime_func_call(t->context, &t->func, NULL, 0, NULL, 0, &failure.trap);
  if (!failure.trap && !failure.error) fail("no trap");
  return failure;
}

static void failure_delete(failure_t failure) {
  if (failure.trap) wasm_trap_delete(failure.trap);
  if (failure.error) wasmtime_error_delete(failure.error);
}

static void loop(void *env, uint64_t iterations) {
  trapping_t *t = env;
  for (uint64_t i = 0; i < iterations; i++) {
    failure_t failure = call(t);
    if (t->read_message) {
      wasm_byte_vec_t message;
      wasm_trap_message(failure.trap, &message);
      if (message.size == 0) fail("no message");
      wasm_byte_vec_delete(&message);
    }
    failure_delete(failure);
  }
}

static void run_with(const char *export_name, int expected_code, metering_t metering, bool read_message) {
  wasm_config_t *config = wasm_config_new();
  if (metering == FUEL) wasmtime_config_consume_fuel_set(config, true);
  if (metering == EPOCH) wasmtime_config_epoch_interruption_set(config, true);
  world_t world = world_new(config);
  if (metering == FUEL) check(wasmtime_context_set_fuel(world.context, 1000), NULL, "set_fuel");
  if (metering == EPOCH) wasmtime_context_set_epoch_deadline(world.context, 0);
  wasmtime_extern_t imports[2] = {extern_of_func(host_func(world.context, fail_with_message, NULL)),
                                  extern_of_func(host_func(world.context, fail_with_code, NULL))};
  wasmtime_instance_t instance = instantiate(&world, load_module(world.engine, "traps.wat"), imports, 2);
  trapping_t t = {world.context, find_func(world.context, &instance, export_name), metering, read_message};

  failure_t first = call(&t);
  wasmtime_trap_code_t code = 0;
  bool has_code = first.trap && wasmtime_trap_code(first.trap, &code);
  if ((has_code ? code : -1) != expected_code)
    fail("%s trapped with code %d, not %d", export_name, has_code ? code : -1, expected_code);
  failure_delete(first);
  measure(loop, &t);
}

/* The kinds, by the name that traps.wat exports; -1: no code. */
static const struct {
  const char *name;
  int code;
} kinds[] = {
    {"unreachable", WASMTIME_TRAP_CODE_UNREACHABLE_CODE_REACHED},
    {"deep_unreachable", WASMTIME_TRAP_CODE_UNREACHABLE_CODE_REACHED},
    {"out_of_bounds", WASMTIME_TRAP_CODE_MEMORY_OUT_OF_BOUNDS},
    {"division_by_zero", WASMTIME_TRAP_CODE_INTEGER_DIVISION_BY_ZERO},
    {"integer_overflow", WASMTIME_TRAP_CODE_INTEGER_OVERFLOW},
    {"table_out_of_bounds", WASMTIME_TRAP_CODE_TABLE_OUT_OF_BOUNDS},
    {"call_null", WASMTIME_TRAP_CODE_INDIRECT_CALL_TO_NULL},
    {"bad_signature", WASMTIME_TRAP_CODE_BAD_SIGNATURE},
    {"stack_overflow", WASMTIME_TRAP_CODE_STACK_OVERFLOW},
    {"host_message", -1},
    {"host_code", WASMTIME_TRAP_CODE_INTEGER_OVERFLOW},
};

static void case_trap(char **arguments) {
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
    if (strcmp(kinds[i].name, arguments[0]) == 0) {
      run_with(kinds[i].name, kinds[i].code, PLAIN, false);
      return;
    }
  fail("unknown trap: %s", arguments[0]);
}

static void case_trap_message(char **a) {
  (void)a, run_with("unreachable", WASMTIME_TRAP_CODE_UNREACHABLE_CODE_REACHED, PLAIN, true);
}
static void case_trap_fuel(char **a) { (void)a, run_with("spin", WASMTIME_TRAP_CODE_OUT_OF_FUEL, FUEL, false); }
static void case_trap_epoch(char **a) { (void)a, run_with("spin", WASMTIME_TRAP_CODE_INTERRUPT, EPOCH, false); }

const case_t trap_cases[] = {
    {"trap", 1, case_trap},
    {"trap_message", 0, case_trap_message},
    {"trap_fuel", 0, case_trap_fuel},
    {"trap_epoch", 0, case_trap_epoch},
    {NULL, 0, NULL},
};
