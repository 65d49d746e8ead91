/* A C host that runs a real program, CPython 3.12 compiled to WebAssembly, in stores that limit it, meter it,
 * interrupt it, and survive it.
 *
 *     cc -std=c11 demo.c -I include -L lib -lampoule -lpthread -o demo && ./demo python.wasm
 *
 * One engine and one module serve every step. Each step gets a store of its own: what happens to the guest in one
 * store is gone when that store is deleted. `cargo xtask demo` builds and runs this file.
 */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <wasi.h>
#include <wasmtime.h>

#define MIB (1024.0 * 1024.0)

/* The watchdog thread advances the engine's epoch once per tick. */
enum { TICK_MS = 10, NO_HURRY_TICKS = 60 * 1000 / TICK_MS };

static const uint64_t PLENTY_OF_FUEL = UINT64_C(1000000000000);

/* What one step allows its guest. */
struct allowance {
  int64_t memory_bytes; /* negative: no limit */
  uint64_t fuel;
  uint64_t ticks;
};

/* What all steps share. */
struct host {
  wasm_engine_t *engine;
  wasmtime_linker_t *linker;
  wasmtime_module_t *module;
  int failures;
};

/* How a guest ended. */
enum ending { ENDED_WELL, ENDED_WITH_STATUS, RAN_OUT_OF_FUEL, WAS_INTERRUPTED, ENDED_OTHERWISE };

static double now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void print_error(const char *what, wasmtime_error_t *error) {
  wasm_name_t message;
  wasmtime_error_message(error, &message);
  printf("      %s: %.*s\n", what, (int)message.size, message.data);
  wasm_byte_vec_delete(&message);
}

/* A trap's message is its backtrace and then its reason; the reason is the last line. */
static void print_reason_of_trap(wasm_trap_t *trap) {
  wasm_message_t message;
  wasm_trap_message(trap, &message);
  size_t end = message.size;
  while (end > 0 && (message.data[end - 1] == '\0' || message.data[end - 1] == '\n')) end--;
  size_t start = end;
  while (start > 0 && message.data[start - 1] != '\n') start--;
  while (start < end && message.data[start] == ' ') start++;
  printf("      %.*s\n", (int)(end - start), message.data + start);
  wasm_byte_vec_delete(&message);
}

/* Errors that a correct host never sees: report and give up. */
static void must(const char *what, wasmtime_error_t *error) {
  if (error == NULL) return;
  print_error(what, error);
  exit(2);
}

/* The guest's output arrives here, piece by piece; each line is shown behind a bar. */
static ptrdiff_t show_output(void *at_line_start, const unsigned char *bytes, size_t length) {
  bool *start = at_line_start;
  for (size_t i = 0; i < length; i++) {
    if (*start) fputs("      | ", stdout);
    fputc(bytes[i], stdout);
    *start = bytes[i] == '\n';
  }
  return (ptrdiff_t)length;
}

/* Files, arguments and streams that the guest sees: its arguments and its output, and nothing else. */
static wasi_config_t *python_world(const char *script, bool *at_line_start) {
  wasi_config_t *wasi = wasi_config_new();
  const char *argv[] = {"python", "-c", script};
  if (!wasi_config_set_argv(wasi, 3, argv)) {
    fprintf(stderr, "the script is not UTF-8\n");
    exit(2);
  }
  wasi_config_set_stdout_custom(wasi, show_output, at_line_start, NULL);
  wasi_config_set_stderr_custom(wasi, show_output, at_line_start, NULL);
  return wasi;
}

/* Says how the call of `_start` ended, and frees what it returned. */
static enum ending explain(wasmtime_error_t *error, wasm_trap_t *trap) {
  enum ending ending = ENDED_OTHERWISE;
  int status = 0;
  wasmtime_trap_code_t code = 0;
  if (error == NULL && trap == NULL) {
    ending = ENDED_WELL;
  } else if (error != NULL && wasmtime_error_exit_status(error, &status)) {
    ending = status == 0 ? ENDED_WELL : ENDED_WITH_STATUS;
    if (status != 0) printf("      the guest exited with status %d\n", status);
  } else if (error != NULL) {
    print_error("error", error);
  } else {
    print_reason_of_trap(trap);
    if (wasmtime_trap_code(trap, &code)) {
      if (code == WASMTIME_TRAP_CODE_OUT_OF_FUEL) ending = RAN_OUT_OF_FUEL;
      if (code == WASMTIME_TRAP_CODE_INTERRUPT) ending = WAS_INTERRUPTED;
    }
  }
  if (error != NULL) wasmtime_error_delete(error);
  if (trap != NULL) wasm_trap_delete(trap);
  return ending;
}

/* One life: a store, an instance of CPython in it, one script, and the end of the store. */
static enum ending run_in_a_store(struct host *host, struct allowance allowed, const char *script) {
  wasmtime_store_t *store = wasmtime_store_new(host->engine, NULL, NULL);
  wasmtime_context_t *context = wasmtime_store_context(store);
  wasmtime_store_limiter(store, allowed.memory_bytes, -1, -1, -1, -1);
  wasmtime_context_set_epoch_deadline(context, allowed.ticks);
  must("fuel", wasmtime_context_set_fuel(context, allowed.fuel));
  bool at_line_start = true;
  must("wasi", wasmtime_context_set_wasi(context, python_world(script, &at_line_start)));

  double started = now_ms();
  wasmtime_instance_t instance;
  wasm_trap_t *trap = NULL;
  wasmtime_error_t *error = wasmtime_linker_instantiate(host->linker, context, host->module, &instance, &trap);
  if (error != NULL || trap != NULL) {
    wasmtime_store_delete(store);
    return explain(error, trap);
  }
  wasmtime_extern_t start, memory;
  if (!wasmtime_instance_export_get(context, &instance, "_start", strlen("_start"), &start) ||
      !wasmtime_instance_export_get(context, &instance, "memory", strlen("memory"), &memory)) {
    fprintf(stderr, "this module is not a WASI program\n");
    exit(2);
  }
  error = wasmtime_func_call(context, &start.of.func, NULL, 0, NULL, 0, &trap);
  double took = now_ms() - started;

  enum ending ending = explain(error, trap);
  uint64_t left = 0;
  must("fuel", wasmtime_context_get_fuel(context, &left));
  printf("      %.0f ms, %" PRIu64 " units of fuel, %.1f MiB of memory\n", took, allowed.fuel - left,
         (double)wasmtime_memory_data_size(context, &memory.of.memory) / MIB);
  wasmtime_store_delete(store);
  return ending;
}

static void step(struct host *host, const char *title, struct allowance allowed, const char *script,
                 enum ending expected, const char *conclusion) {
  static int number = 0;
  printf("\n  %d.  %s\n", ++number, title);
  bool as_expected = run_in_a_store(host, allowed, script) == expected;
  printf("      %s %s\n", as_expected ? "=>" : "=> UNEXPECTED, this should have happened:", conclusion);
  host->failures += !as_expected;
}

struct watchdog {
  wasm_engine_t *engine;
  atomic_bool stop;
};

/* `wasmtime_engine_increment_epoch` may be called from any thread, also while guests run. */
static void *tick(void *argument) {
  struct watchdog *watchdog = argument;
  struct timespec pause = {.tv_sec = 0, .tv_nsec = TICK_MS * 1000000L};
  while (!atomic_load(&watchdog->stop)) {
    nanosleep(&pause, NULL);
    wasmtime_engine_increment_epoch(watchdog->engine);
  }
  return NULL;
}

static wasm_byte_vec_t read_file(const char *path) {
  wasm_byte_vec_t bytes = {0, NULL};
  FILE *file = fopen(path, "rb");
  if (file == NULL || fseek(file, 0, SEEK_END) != 0) {
    fprintf(stderr, "%s: %s\n", path, strerror(errno));
    exit(2);
  }
  long length = ftell(file);
  rewind(file);
  wasm_byte_vec_new_uninitialized(&bytes, (size_t)length);
  if (fread(bytes.data, 1, bytes.size, file) != bytes.size) {
    fprintf(stderr, "%s: cannot read\n", path);
    exit(2);
  }
  fclose(file);
  return bytes;
}

static wasm_engine_t *new_engine(void) {
  wasm_config_t *config = wasm_config_new();
  wasmtime_config_consume_fuel_set(config, true);
  wasmtime_config_epoch_interruption_set(config, true);
  return wasm_engine_new_with_config(config);
}

int main(int argc, char **argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: %s python.wasm\n", argv[0]);
    return 2;
  }
  setvbuf(stdout, NULL, _IOLBF, 0);

  struct host host = {.engine = new_engine()};
  host.linker = wasmtime_linker_new(host.engine);
  must("wasi", wasmtime_linker_define_wasi(host.linker));

  wasm_byte_vec_t wasm = read_file(argv[1]);
  double started = now_ms();
  must("module", wasmtime_module_new(host.engine, (const uint8_t *)wasm.data, wasm.size, &host.module));
  printf("\nA C host has loaded CPython, %.1f MB of WebAssembly, in %.0f ms.\n", (double)wasm.size / 1e6,
         now_ms() - started);
  wasm_byte_vec_delete(&wasm);

  struct watchdog watchdog = {.engine = host.engine};
  pthread_t thread;
  if (pthread_create(&thread, NULL, tick, &watchdog) != 0) {
    fprintf(stderr, "cannot start the watchdog thread\n");
    return 2;
  }

  struct allowance generous = {.memory_bytes = -1, .fuel = PLENTY_OF_FUEL, .ticks = NO_HURRY_TICKS};
  struct allowance small = generous, poor = generous, hurried = generous;
  small.memory_bytes = 64 * 1024 * 1024;
  poor.fuel = UINT64_C(2000000000);
  hurried.ticks = 500 / TICK_MS;

  step(&host, "A program runs.", generous,
       "import sys, json, hashlib\n"
       "print('Python', sys.version.split()[0], 'on', sys.platform)\n"
       "primes = [n for n in range(2, 8000) if all(n % d for d in range(2, int(n ** 0.5) + 1))]\n"
       "print(json.dumps({'primes': len(primes), 'sum': sum(primes)}))\n"
       "print(hashlib.sha256(b'ampoule').hexdigest())\n",
       ENDED_WELL, "it printed its results and ended.");

  step(&host, "The store allows 64 MiB of memory; the program asks for 1 GiB.", small,
       "try:\n"
       "    hoard = bytearray(1 << 30)\n"
       "    print('got it')\n"
       "    raise SystemExit(1)\n"
       "except MemoryError:\n"
       "    print('MemoryError: memory.grow said no, and Python goes on')\n",
       ENDED_WELL, "growth was refused, and the program handled it.");

  step(&host, "The store holds 2,000,000,000 units of fuel; the program counts without end.", poor,
       "n = 0\n"
       "while True: n += 1\n",
       RAN_OUT_OF_FUEL, "the guest used up its fuel and trapped.");

  step(&host, "Another thread ticks the epoch every 10 ms; the program may run for 50 ticks, and loops for ever.",
       hurried, "while True: pass\n", WAS_INTERRUPTED, "the guest was interrupted in its infinite loop.");

  step(&host, "The guest tries to read the host's files.", generous,
       "try:\n"
       "    print(open('/etc/passwd').read())\n"
       "    raise SystemExit(1)\n"
       "except OSError as e:\n"
       "    print(type(e).__name__, 'for', e.filename)\n",
       ENDED_WELL, "no directory was given to it, so there is none.");

  step(&host, "After all of that, a fresh store of the same module.", generous,
       "print('alive and well:', sum(range(10 ** 6)))\n", ENDED_WELL, "the host never noticed a thing.");

  atomic_store(&watchdog.stop, true);
  pthread_join(thread, NULL);
  wasmtime_module_delete(host.module);
  wasmtime_linker_delete(host.linker);
  wasm_engine_delete(host.engine);
  if (host.failures != 0) {
    printf("\n%d of the steps did not end as they should.\n", host.failures);
    return 1;
  }
  printf("\nEvery store did what it was told. The host ends in good health.\n");
  return 0;
}
