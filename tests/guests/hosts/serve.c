/* A server without a network around one component: it gives it one request, through ampoule/http.h, and prints the response's status and
 * body.
 *
 *     serve [--env NAME=VALUE] [--http] FILE PATH
 *
 * The request is a POST with the header `x-question: why` and the body `a body`. Where the guest gives no response the status is 500, as
 * of `ampoule serve`; what ended the guest goes to stderr. */
#include "../drivers/host.h"

#include <ampoule.h>
#include <ampoule/http.h>
#include <ampoule/wait.h>
#include <poll.h>

static ampoule_http_handler_t *handler_of(wasm_engine_t *engine, const char *file) {
  wasmtime_component_linker_t *linker = wasmtime_component_linker_new(engine);
  must("wasip2", wasmtime_component_linker_add_wasip2(linker));
  must("http", wasmtime_component_linker_add_wasi_http(linker));
  must("wasip3", ampoule_component_linker_add_wasip3(linker));
  must("http", ampoule_component_linker_add_wasip3_http(linker));
  struct bytes wasm = read_file(file);
  wasmtime_component_t *component;
  must(file, wasmtime_component_new(engine, (const uint8_t *)wasm.data, wasm.length, &component));
  ampoule_http_handler_t *handler;
  must(file, ampoule_http_handler_new(linker, component, &handler));
  free_bytes(&wasm);
  wasmtime_component_delete(component);
  wasmtime_component_linker_delete(linker);
  return handler;
}

/* Takes what there is of the response's body; false at its end. */
static bool take(ampoule_http_exchange_t *exchange, struct bytes *body) {
  ampoule_http_reader_t *reader = ampoule_http_exchange_reader(exchange);
  const uint8_t *data;
  size_t length;
  if (reader == NULL) return true;
  for (;;) {
    switch (ampoule_http_reader_peek(reader, &data, &length)) {
      case AMPOULE_HTTP_READING_BYTES:
        add_bytes(body, data, length);
        ampoule_http_reader_consume(reader, length);
        break;
      case AMPOULE_HTTP_READING_WAIT: return true;
      case AMPOULE_HTTP_READING_END: return false;
      default: give_up("body", ampoule_http_reader_error(reader));
    }
  }
}

/* Polls the guest until it is done, while taking its body; sleeps while it waits for something. */
static void answer(wasmtime_context_t *context, ampoule_http_exchange_t *exchange, struct bytes *body) {
  wasmtime_error_t *error = NULL;
  while (!ampoule_http_exchange_poll(exchange, &error)) {
    size_t before = body->length;
    take(exchange, body);
    if (body->length != before) continue; /* there is room again */
    struct pollfd readable = {.events = POLLIN};
    must("descriptor", ampoule_context_wait_descriptor(context, &readable.fd));
    poll(&readable, 1, 1000);
  }
  take(exchange, body);
  if (error == NULL) return;
  wasm_name_t message;
  wasmtime_error_message(error, &message);
  fprintf(stderr, "%.*s\n", (int)message.size, message.data);
  wasm_byte_vec_delete(&message);
  wasmtime_error_delete(error);
}

int main(int argc, char **argv) {
  wasi_config_t *wasi = wasi_config_new();
  bool http = false;
  int i = 1;
  for (; i + 2 < argc; i++) {
    if (strcmp(argv[i], "--http") == 0) {
      http = true;
    } else if (strcmp(argv[i], "--env") == 0) {
      char *value = strchr(argv[++i], '=');
      if (value == NULL) give_up(argv[i], "no value");
      *value++ = '\0';
      const char *name = argv[i], *given = value;
      if (!wasi_config_set_env(wasi, 1, &name, &given)) give_up(name, "not UTF-8");
    } else {
      give_up(argv[i], "this host has no such option");
    }
  }
  if (argc - i != 2) give_up(argv[0], "usage: serve [--env NAME=VALUE] [--http] FILE PATH");
  wasi_config_inherit_stdout(wasi);
  wasi_config_inherit_stderr(wasi);

  wasm_config_t *config = wasm_config_new();
  wasmtime_config_wasm_component_model_async_set(config, true);
  wasm_engine_t *engine = wasm_engine_new_with_config(config);
  ampoule_http_handler_t *handler = handler_of(engine, argv[i]);
  wasmtime_store_t *store = wasmtime_store_new(engine, NULL, NULL);
  wasmtime_context_t *context = wasmtime_store_context(store);
  must("wasi", wasmtime_context_set_wasi(context, wasi));
  if (http) wasmtime_context_set_wasi_http(context);
  if (!http) must("http", ampoule_context_set_http(context, NULL));

  ampoule_http_header_t question = {"x-question", 10, "why", 3};
  ampoule_http_request_t request = {.headers = &question, .num_headers = 1};
  request.method = "POST", request.method_len = 4;
  request.scheme = "http", request.scheme_len = 4;
  request.authority = "example.com", request.authority_len = 11;
  request.path = argv[i + 1], request.path_len = strlen(argv[i + 1]);
  ampoule_http_exchange_t *exchange;
  must("exchange", ampoule_http_exchange_new(handler, context, NULL, &request, &exchange));
  size_t written;
  must("body", ampoule_http_writer_write(ampoule_http_exchange_writer(exchange), (const uint8_t *)"a body", 6, &written));
  must("body", ampoule_http_writer_finish(ampoule_http_exchange_writer(exchange), NULL, 0));
  struct bytes body = {NULL, 0};
  add_bytes(&body, "", 0);
  answer(context, exchange, &body);
  ampoule_http_response_t response = {.status = 500};
  ampoule_http_exchange_response(exchange, &response);
  printf("%d %s\n", response.status, body.data);

  free_bytes(&body);
  ampoule_http_exchange_delete(exchange);
  wasmtime_store_delete(store);
  ampoule_http_handler_delete(handler);
  wasm_engine_delete(engine);
  return 0;
}
