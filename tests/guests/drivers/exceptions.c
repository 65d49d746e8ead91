/* A C++ program throws and catches, within itself and through the C library; what it does not catch reaches the host. */
#include "host.h"

static struct program program;

static struct ending run(struct life *life, const char *argument) {
  const char *argv[] = {"exceptions", argument, NULL};
  begin(life, &program, world(argv));
  return run_command(life, &program);
}

static void every_claim_holds(void) {
  struct life life;
  struct ending ending = run(&life, NULL);
  if (!CLAIM(ended_well(&ending))) printf("%s\n", ending.message);
  if (!CLAIM(strcmp(life.out.data, "0 claims do not hold\n") == 0)) printf("%s", life.out.data);
  end(&life);
}

static void what_nobody_catches_ends_the_call(void) {
  struct life life;
  struct ending ending = run(&life, "uncaught");
  CLAIM(ending.failed && !ending.exited);
  CLAIM(strstr(ending.message, "thrown Wasm exception") != NULL);
  CLAIM(life.out.length == 0);
  wasmtime_exn_t *exception = NULL;
  CLAIM(wasmtime_context_take_exception(life.context, &exception));
  if (exception != NULL) wasmtime_exn_delete(exception);
  CLAIM(!wasmtime_context_take_exception(life.context, &exception));
  end(&life);
}

static void what_may_not_throw_terminates(void) {
  struct life life;
  struct ending ending = run(&life, "noexcept");
  CLAIM(ending.exited && ending.status == 3);
  CLAIM(strcmp(life.out.data, "terminated\n") == 0);
  end(&life);
}

/* Exiting is no exception: it passes handlers that catch all. */
static void a_handler_may_exit(void) {
  struct life life;
  struct ending ending = run(&life, "exit");
  CLAIM(ending.exited && ending.status == 7);
  CLAIM(strcmp(life.out.data, "leaving\n") == 0);
  end(&life);
}

static void all_claims(wasm_config_t *config) {
  wasmtime_config_wasm_exceptions_set(config, true);
  program = load_with(config, "exceptions.wasm");
  every_claim_holds();
  what_nobody_catches_ends_the_call();
  what_may_not_throw_terminates();
  a_handler_may_exit();
  unload(&program);
}

int main(int argc, char **argv) {
  take_arguments(argc, argv);
  all_claims(wasm_config_new());
  puts("compiled at once:");
  wasm_config_t *config = wasm_config_new();
  wasmtime_config_strategy_set(config, WASMTIME_STRATEGY_CRANELIFT);
  all_claims(config);
  return claims_result("exceptions");
}
