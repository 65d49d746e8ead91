/* A host around one component: as much of `ampoule run` as the programs of p2 and p3 need, through the C API.
 *
 *     run [--async] [--dir HOST::GUEST] [--env NAME=VALUE] [--tcp] [--allow-net HOST:PORT] [--http] FILE [ARGUMENT...]
 *
 * With `--async` the guest is called as a future, and this host sleeps by the store's descriptor while the guest waits.
 * It exits with the guest's status; as the command does, with 134 and a message after a trap, with 1 and a message after an error; with
 * 77 when the library cannot give what the options ask for. */
#include "../drivers/host.h"

#ifdef AMPOULE_AGAINST
/* 44.0.0 has neither. */
#pragma weak wasi_config_inherit_network
#pragma weak wasi_config_allow_ip_name_lookup
#else
#include <ampoule/http.h>
#include <ampoule/wait.h>
#include <ampoule/wasi.h>
#include <poll.h>
#include <wasmtime/async.h>
#endif

enum { MOST = 32, FAILED = 1, TRAPPED = 134, NOT_HERE = 77 };

struct options {
  const char *hosts[MOST], *guests[MOST];
  const char *names[MOST], *values[MOST];
  const char *networks[MOST];
  size_t dirs, env, nets;
  bool tcp, http, async;
};

/* Divides `text` at `mark`, and returns what follows it. */
static char *divide(char *text, const char *mark) {
  char *found = strstr(text, mark);
  if (found == NULL) give_up(text, mark);
  *found = '\0';
  return found + strlen(mark);
}

/* Reads the options, and returns how many words they were. */
static int read_options(struct options *options, int argc, char **argv) {
  int i = 1;
  for (; i < argc && argv[i][0] == '-'; i++) {
    if (strcmp(argv[i], "--tcp") == 0) {
      options->tcp = true;
    } else if (strcmp(argv[i], "--http") == 0) {
      options->http = true;
    } else if (strcmp(argv[i], "--async") == 0) {
      options->async = true;
    } else if (i + 1 < argc && options->nets < MOST && strcmp(argv[i], "--allow-net") == 0) {
      options->networks[options->nets++] = argv[++i];
    } else if (i + 1 < argc && options->dirs < MOST && strcmp(argv[i], "--dir") == 0) {
      options->guests[options->dirs] = divide(argv[++i], "::");
      options->hosts[options->dirs++] = argv[i];
    } else if (i + 1 < argc && options->env < MOST && strcmp(argv[i], "--env") == 0) {
      options->values[options->env] = divide(argv[++i], "=");
      options->names[options->env++] = argv[i];
    } else {
      give_up(argv[i], "this host has no such option");
    }
  }
  if (i == argc) give_up(argv[0], "no file");
  return i;
}

static wasi_config_t *wasi_of(struct options *options, int argc, char **argv) {
  wasi_config_t *wasi = wasi_config_new();
  if (!wasi_config_set_argv(wasi, (size_t)argc, (const char **)argv)) give_up("arguments", "not UTF-8");
  if (!wasi_config_set_env(wasi, options->env, options->names, options->values)) give_up("environment", "not UTF-8");
  for (size_t i = 0; i < options->dirs; i++) {
    if (!wasi_config_preopen_dir(wasi, options->hosts[i], options->guests[i],
                                 WASMTIME_WASI_DIR_PERMS_READ | WASMTIME_WASI_DIR_PERMS_WRITE,
                                 WASMTIME_WASI_FILE_PERMS_READ | WASMTIME_WASI_FILE_PERMS_WRITE)) {
      give_up(options->hosts[i], "cannot be opened");
    }
  }
  if (options->tcp) {
#ifdef AMPOULE_AGAINST
    if (wasi_config_inherit_network == NULL) exit(NOT_HERE);
#endif
    wasi_config_inherit_network(wasi);
    wasi_config_allow_ip_name_lookup(wasi, true);
  }
#ifdef AMPOULE_AGAINST
  if (options->nets > 0 || options->async) exit(NOT_HERE);
#else
  for (size_t i = 0; i < options->nets; i++) must("network", ampoule_wasi_config_allow_net(wasi, options->networks[i]));
#endif
  wasi_config_inherit_stdin(wasi);
  wasi_config_inherit_stdout(wasi);
  wasi_config_inherit_stderr(wasi);
  return wasi;
}

static wasmtime_component_linker_t *linker_of(struct options *options, wasm_engine_t *engine) {
  wasmtime_component_linker_t *linker = wasmtime_component_linker_new(engine);
  must("wasip2", wasmtime_component_linker_add_wasip2(linker));
  if (options->http) must("http", wasmtime_component_linker_add_wasi_http(linker));
#ifndef AMPOULE_AGAINST
  must("wasip3", ampoule_component_linker_add_wasip3(linker));
  if (options->http) must("http", ampoule_component_linker_add_wasip3_http(linker));
#endif
  return linker;
}

/* `run` of either version. */
static wasmtime_component_export_index_t *index_of_run(const wasmtime_component_t *component) {
  static const char *const interfaces[] = {"wasi:cli/run@0.2.0", "wasi:cli/run@0.3.0"};
  wasmtime_component_export_index_t *run = NULL, *index = NULL;
  for (size_t i = 0; run == NULL && i < sizeof interfaces / sizeof *interfaces; i++) {
    run = wasmtime_component_get_export_index(component, NULL, interfaces[i], strlen(interfaces[i]));
  }
  if (run != NULL) index = wasmtime_component_get_export_index(component, run, "run", 3);
  if (index == NULL) give_up("wasi:cli/run", "not exported");
  wasmtime_component_export_index_delete(run);
  return index;
}

static int status_of(wasmtime_error_t *error) {
  int status = 0;
  if (error == NULL || wasmtime_error_exit_status(error, &status)) {
    if (error != NULL) wasmtime_error_delete(error);
    return status;
  }
  wasm_name_t message;
  wasmtime_error_message(error, &message);
  struct bytes text = {NULL, 0};
  add_bytes(&text, message.data, message.size);
  fprintf(stderr, "%s\n", text.data);
  bool trapped = strstr(text.data, "wasm trap: ") != NULL;
  free_bytes(&text);
  wasm_byte_vec_delete(&message);
  wasmtime_error_delete(error);
  return trapped ? TRAPPED : FAILED;
}

#ifndef AMPOULE_AGAINST
/* Calls `run`, and sleeps while the guest waits. */
static wasmtime_error_t *call_async(wasmtime_context_t *context, const wasmtime_component_func_t *run,
                                    wasmtime_component_val_t *result) {
  wasmtime_error_t *error = NULL;
  wasmtime_call_future_t *future = wasmtime_component_func_call_async(run, context, NULL, 0, result, 1, &error);
  while (!wasmtime_call_future_poll(future)) {
    struct pollfd readable = {.events = POLLIN};
    must("descriptor", ampoule_context_wait_descriptor(context, &readable.fd));
    if (poll(&readable, 1, -1) != 1) give_up("poll", strerror(errno));
  }
  wasmtime_call_future_delete(future);
  return error;
}
#endif

static wasmtime_error_t *call_run(const struct options *options, wasmtime_context_t *context,
                                  const wasmtime_component_func_t *run, wasmtime_component_val_t *result) {
#ifndef AMPOULE_AGAINST
  if (options->async) return call_async(context, run, result);
#endif
  (void)options;
  return wasmtime_component_func_call(run, context, NULL, 0, result, 1);
}

int main(int argc, char **argv) {
  struct options options = {0};
  int file = read_options(&options, argc, argv);
  wasm_config_t *config = wasm_config_new();
#ifndef AMPOULE_AGAINST
  wasmtime_config_wasm_component_model_async_set(config, true);
#endif
  wasm_engine_t *engine = wasm_engine_new_with_config(config);
  struct bytes wasm = read_file(argv[file]);
  wasmtime_component_t *component;
  must(argv[file], wasmtime_component_new(engine, (const uint8_t *)wasm.data, wasm.length, &component));
  free_bytes(&wasm);
  wasmtime_component_linker_t *linker = linker_of(&options, engine);
  wasmtime_component_export_index_t *index = index_of_run(component);

  wasmtime_store_t *store = wasmtime_store_new(engine, NULL, NULL);
  wasmtime_context_t *context = wasmtime_store_context(store);
  must("wasi", wasmtime_context_set_wasi(context, wasi_of(&options, argc - file, argv + file)));
  if (options.http) wasmtime_context_set_wasi_http(context);
  wasmtime_component_instance_t instance;
  must("instantiate", wasmtime_component_linker_instantiate(linker, context, component, &instance));
  wasmtime_component_func_t run;
  if (!wasmtime_component_instance_get_func(&instance, context, index, &run)) give_up("run", "no function");
  wasmtime_component_val_t result = {.kind = WASMTIME_COMPONENT_BOOL};
  int status = status_of(call_run(&options, context, &run, &result));
  if (result.kind == WASMTIME_COMPONENT_RESULT && !result.of.result.is_ok) status = 1;

  wasmtime_component_val_delete(&result);
  wasmtime_store_delete(store);
  wasmtime_component_export_index_delete(index);
  wasmtime_component_linker_delete(linker);
  wasmtime_component_delete(component);
  wasm_engine_delete(engine);
  return status;
}
