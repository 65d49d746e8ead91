/* The small programs beside this folder, the harmless ones and the hostile ones: as modules, and as components. */
#include "host.h"

#include <pthread.h>
#include <stdatomic.h>

static struct ending run(struct life *life, struct program *program, wasi_config_t *wasi) {
  begin(life, program, wasi);
  return run_command(life, program);
}

static wasi_config_t *writable_world(const char *name, const char *folder) {
  const char *argv[] = {name, "/data", NULL};
  wasi_config_t *wasi = world(argv);
  CLAIM(wasi_config_preopen_dir(wasi, folder, "/data", WASMTIME_WASI_DIR_PERMS_READ | WASMTIME_WASI_DIR_PERMS_WRITE,
                                WASMTIME_WASI_FILE_PERMS_READ | WASMTIME_WASI_FILE_PERMS_WRITE));
  return wasi;
}

static void hello_sees_its_arguments_and_environment(void) {
  struct program hello = load("hello.wasm");
  struct life life;
  const char *argv[] = {"hello", "one", "", "tw\xc3\xb6", NULL};
  wasi_config_t *wasi = world(argv);
  const char *names[] = {"COLOUR", "EMPTY"}, *values[] = {"blue=green", ""};
  CLAIM(wasi_config_set_env(wasi, 2, names, values));
  struct ending ending = run(&life, &hello, wasi);
  CLAIM(ended_well(&ending));
  CLAIM(strcmp(life.out.data, "hello from hello\narg 1: one\narg 2: \narg 3: tw\xc3\xb6\n"
                              "env: COLOUR=blue=green\nenv: EMPTY=\n") == 0);
  CLAIM(life.err.length == 0);
  end(&life);

  const char *alone[] = {"hello", NULL};
  ending = run(&life, &hello, world(alone));
  CLAIM(ended_well(&ending));
  CLAIM(strcmp(life.out.data, "hello from hello\n") == 0 && strcmp(life.err.data, "no arguments\n") == 0);
  end(&life);
  unload(&hello);
}

static void cat_copies_bytes_exactly(void) {
  struct program cat = load("cat.wasm");
  const char *argv[] = {"cat", NULL};
  enum { SIZE = 300001 };
  wasm_byte_vec_t input;
  wasm_byte_vec_new_uninitialized(&input, SIZE);
  for (size_t i = 0; i < SIZE; i++) input.data[i] = (char)(i * 31 + (i >> 8));
  char *expected = malloc(SIZE);
  if (expected == NULL) give_up("malloc", "out of memory");
  memcpy(expected, input.data, SIZE);
  wasi_config_t *wasi = world(argv);
  wasi_config_set_stdin_bytes(wasi, &input);
  struct life life;
  struct ending ending = run(&life, &cat, wasi);
  CLAIM(ended_well(&ending));
  CLAIM(life.out.length == SIZE && memcmp(life.out.data, expected, SIZE) == 0);
  CLAIM(strcmp(life.err.data, "300001 bytes\n") == 0);
  free(expected);
  end(&life);

  char *folder = new_scratch();
  write_file(path_in(folder, "in"), "from a file\n");
  wasi = world(argv);
  CLAIM(wasi_config_set_stdin_file(wasi, path_in(folder, "in")));
  CLAIM(!wasi_config_set_stdin_file(wasi, path_in(folder, "missing")));
  ending = run(&life, &cat, wasi);
  CLAIM(ended_well(&ending));
  CLAIM(strcmp(life.out.data, "from a file\n") == 0);
  end(&life);

  ending = run(&life, &cat, world(argv));
  CLAIM(ended_well(&ending));
  CLAIM(life.out.length == 0 && strcmp(life.err.data, "0 bytes\n") == 0);
  end(&life);
  remove_scratch(folder);
  unload(&cat);
}

static void files_behave_as_posix_says(void) {
  struct program files = load("files.wasm");
  struct life life;
  char *folder = new_scratch();
  struct ending ending = run(&life, &files, writable_world("files", folder));
  if (!CLAIM(ended_well(&ending))) printf("%s%s%s\n", life.out.data, life.err.data, ending.message);
  CLAIM(rmdir(folder) == 0); /* the program left it empty */
  free(folder);
  end(&life);
  unload(&files);
}

static void nothing_escapes_from_a_preopened_folder(void) {
  struct program escape = load("escape.wasm");
  struct life life;
  char *outside = new_scratch();
  char folder[4096], sub[4096], victim[4096];
  snprintf(folder, sizeof folder, "%s/data", outside);
  snprintf(sub, sizeof sub, "%s/data/sub", outside);
  snprintf(victim, sizeof victim, "%s/victim", outside);
  bool ready = mkdir(folder, 0755) == 0 && mkdir(sub, 0755) == 0 && mkdir(victim, 0755) == 0;
  write_file(path_in(outside, "secret.txt"), "secret");
  write_file(path_in(folder, "inside.txt"), "inside");
  ready = ready && symlink("inside.txt", path_in(folder, "link-inside")) == 0 &&
          symlink("/etc/passwd", path_in(folder, "link-absolute")) == 0 &&
          symlink("../secret.txt", path_in(folder, "link-up")) == 0 &&
          symlink("..", path_in(folder, "link-dir")) == 0 &&
          symlink("link-loop", path_in(folder, "link-loop")) == 0;
  if (!ready) give_up(outside, strerror(errno));

  struct ending ending = run(&life, &escape, writable_world("escape", folder));
  struct bytes expected = read_file(path_in(inputs_dir, "escape.expected"));
  if (!CLAIM(ended_well(&ending))) printf("%s%s%s\n", life.out.data, life.err.data, ending.message);
  if (!CLAIM(strcmp(life.out.data, expected.data) == 0)) printf("%s", life.out.data);
  free_bytes(&expected);

  struct bytes secret = read_file(path_in(outside, "secret.txt"));
  CLAIM(strcmp(secret.data, "secret") == 0);
  free_bytes(&secret);
  CLAIM(access(path_in(outside, "planted"), F_OK) != 0);
  CLAIM(access(victim, F_OK) == 0);
  CLAIM(access(path_in(folder, "inside.txt"), F_OK) == 0);
  CLAIM(access(path_in(folder, "stolen"), F_OK) != 0);
  end(&life);
  remove_scratch(outside);
  unload(&escape);
}

static void exit_statuses_reach_the_host(void) {
  static const struct { const char *argument, *how; int status; } cases[] = {
      {"0", "exit", 0}, {"1", "exit", 1}, {"125", "exit", 125}, {"3", "return", 3}, {"0", "return", 0}};
  struct program program = load("exit.wasm");
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const char *argv[] = {"exit", cases[i].argument, cases[i].how, NULL};
    struct life life;
    struct ending ending = run(&life, &program, world(argv));
    CLAIM(!ending.failed && !ending.trapped && ending.status == status_seen(cases[i].status));
    end(&life);
  }
  unload(&program);
}

static void clocks_sleep_and_randomness_work(void) {
  struct program clock = load("clock.wasm");
  const char *argv[] = {"clock", NULL};
  struct life life;
  struct ending ending = run(&life, &clock, world(argv));
  if (!CLAIM(ended_well(&ending))) printf("%s%s%s\n", life.out.data, life.err.data, ending.message);
  end(&life);
  unload(&clock);
}

static void each_kind_of_trap_has_its_code(void) {
  static const struct { const char *kind; wasmtime_trap_code_t code; } cases[] = {
      {"unreachable", WASMTIME_TRAP_CODE_UNREACHABLE_CODE_REACHED},
      {"divide-by-zero", WASMTIME_TRAP_CODE_INTEGER_DIVISION_BY_ZERO},
      {"integer-overflow", WASMTIME_TRAP_CODE_INTEGER_OVERFLOW},
      {"too-large-to-convert", WASMTIME_TRAP_CODE_INTEGER_OVERFLOW},
      {"nan-to-convert", WASMTIME_TRAP_CODE_BAD_CONVERSION_TO_INTEGER},
      {"memory-out-of-bounds", WASMTIME_TRAP_CODE_MEMORY_OUT_OF_BOUNDS},
      {"null-call", WASMTIME_TRAP_CODE_INDIRECT_CALL_TO_NULL},
      {"bad-signature", WASMTIME_TRAP_CODE_BAD_SIGNATURE},
      {"table-out-of-bounds", WASMTIME_TRAP_CODE_TABLE_OUT_OF_BOUNDS},
  };
  struct program program = load("trap.wasm");
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const char *argv[] = {"trap", cases[i].kind, NULL};
    struct life life;
    struct ending ending = run(&life, &program, world(argv));
    if (!CLAIM(ending.trapped && ending.code == cases[i].code)) {
      printf("%s: trapped %d, code %d, exited %d, status %d\n%s\n", cases[i].kind, ending.trapped, ending.code,
             ending.exited, ending.status, ending.message);
    }
    CLAIM(strncmp(life.out.data, cases[i].kind, strlen(cases[i].kind)) == 0);
    CLAIM(strstr(ending.message, "main") != NULL); /* the backtrace names the guest's functions */
    end(&life);
  }
  unload(&program);
}

static void endless_recursion_is_a_trap_each_time(void) {
  struct program recurse = load("recurse.wasm");
  const char *argv[] = {"recurse", NULL};
  for (int round = 0; round < 3; round++) {
    struct life life;
    struct ending ending = run(&life, &recurse, world(argv));
    CLAIM(ending.trapped && ending.code == WASMTIME_TRAP_CODE_STACK_OVERFLOW);
    CLAIM(strcmp(life.out.data, "diving\n") == 0);
    end(&life);
  }
  unload(&recurse);
}

struct ticker {
  wasm_engine_t *engine;
  atomic_bool stop;
};

static void *tick(void *argument) {
  struct ticker *ticker = argument;
  while (!atomic_load(&ticker->stop)) {
    usleep(5000);
    wasmtime_engine_increment_epoch(ticker->engine);
  }
  return NULL;
}

static void an_endless_loop_is_interrupted_from_another_thread(void) {
  wasm_config_t *config = wasm_config_new();
  wasmtime_config_epoch_interruption_set(config, true);
  struct program spin = load_with(config, "spin.wasm");
  struct ticker ticker = {.engine = spin.engine};
  pthread_t thread;
  if (pthread_create(&thread, NULL, tick, &ticker) != 0) give_up("pthread_create", "failed");
  const char *argv[] = {"spin", NULL};
  for (int round = 0; round < 2; round++) {
    struct life life;
    begin(&life, &spin, world(argv));
    /* Half a second, in which a loaded machine gets as far as the loop. */
    wasmtime_context_set_epoch_deadline(life.context, 100);
    struct ending ending = run_command(&life, &spin);
    CLAIM(ending.trapped && ending.code == WASMTIME_TRAP_CODE_INTERRUPT);
    CLAIM(strcmp(life.out.data, "spinning\n") == 0);
    end(&life);
  }
  atomic_store(&ticker.stop, true);
  pthread_join(thread, NULL);
  unload(&spin);
}

static void an_endless_loop_runs_out_of_fuel(void) {
  wasm_config_t *config = wasm_config_new();
  wasmtime_config_consume_fuel_set(config, true);
  struct program spin = load_with(config, "spin.wasm");
  const char *argv[] = {"spin", NULL};
  struct life life;
  begin(&life, &spin, world(argv));
  must("set_fuel", wasmtime_context_set_fuel(life.context, 10000000));
  struct ending ending = run_command(&life, &spin);
  CLAIM(ending.trapped && ending.code == WASMTIME_TRAP_CODE_OUT_OF_FUEL);
  uint64_t left = 1;
  must("get_fuel", wasmtime_context_get_fuel(life.context, &left));
  CLAIM(left == 0);
  end(&life);
  unload(&spin);
}

static void memory_stops_growing_at_the_limit(void) {
  enum { LIMIT_PAGES = 512 };
  struct program membomb = load("membomb.wasm");
  const char *argv[] = {"membomb", NULL};
  struct life life;
  begin(&life, &membomb, world(argv));
  wasmtime_store_limiter(life.store, LIMIT_PAGES * 65536, -1, -1, -1, -1);
  struct ending ending = run_command(&life, &membomb);
  CLAIM(ended_well(&ending));
  int pages = 0;
  CLAIM(sscanf(life.out.data, "%d pages", &pages) == 1 && pages <= LIMIT_PAGES && pages > LIMIT_PAGES - 16);
  end(&life);

  /* A limit below what the module starts with: no instance at all. */
  begin(&life, &membomb, world(argv));
  wasmtime_store_limiter(life.store, 65536, -1, -1, -1, -1);
  ending = instantiate(&life, &membomb);
  CLAIM(ending.failed && !ending.trapped);
  end(&life);
  unload(&membomb);
}

static void a_memory_bomb_is_interrupted(void) {
  wasm_config_t *config = wasm_config_new();
  wasmtime_config_consume_fuel_set(config, true);
  struct program membomb = load_with(config, "membomb.wasm");
  const char *argv[] = {"membomb", "forever", NULL};
  struct life life;
  begin(&life, &membomb, world(argv));
  wasmtime_store_limiter(life.store, 32 * 1024 * 1024, -1, -1, -1, -1);
  must("set_fuel", wasmtime_context_set_fuel(life.context, 1000000));
  struct ending ending = run_command(&life, &membomb);
  CLAIM(ending.trapped && ending.code == WASMTIME_TRAP_CODE_OUT_OF_FUEL);
  end(&life);
  unload(&membomb);
}

static void all_claims(void) {
  hello_sees_its_arguments_and_environment();
  cat_copies_bytes_exactly();
  files_behave_as_posix_says();
  nothing_escapes_from_a_preopened_folder();
  exit_statuses_reach_the_host();
  clocks_sleep_and_randomness_work();
  each_kind_of_trap_has_its_code();
  endless_recursion_is_a_trap_each_time();
  an_endless_loop_is_interrupted_from_another_thread();
  an_endless_loop_runs_out_of_fuel();
  memory_stops_growing_at_the_limit();
  a_memory_bomb_is_interrupted();
}

int main(int argc, char **argv) {
  take_arguments(argc, argv);
  all_claims();
  as_components = true;
  puts("as components:");
  all_claims();
  return claims_result("programs");
}
