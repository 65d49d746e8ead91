// ampoule/http.h: components that answer requests of the program's, and whose requests the program answers.
#include "component.h"
#include "http_guest.h"

#include <ampoule.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

// -- A handler, and an exchange of it in the claim's store

static wasmtime_component_linker_t *linker_with_http(void) {
  wasmtime_component_linker_t *linker = wasmtime_component_linker_new(engine);
  expect_ok(wasmtime_component_linker_add_wasip2(linker));
  expect_ok(wasmtime_component_linker_add_wasi_http(linker));
  expect_ok(ampoule_component_linker_add_wasip3_http(linker));
  return linker;
}

static ampoule_http_handler_t *handler_of(wasmtime_component_t *component) {
  wasmtime_component_linker_t *linker = linker_with_http();
  ampoule_http_handler_t *handler = NULL;
  if (!expect_ok(ampoule_http_handler_new(linker, component, &handler))) exit(1);
  wasmtime_component_linker_delete(linker);
  return handler;
}

static void grant(void) {
  expect_ok(wasmtime_context_set_wasi(ctx, wasi_config_new()));
  expect_ok(ampoule_context_set_http(ctx, NULL));
}

static ampoule_http_handler_t *open_handler(void) {
  wasmtime_component_t *component = component_of(HTTP_GUEST);
  ampoule_http_handler_t *handler = handler_of(component);
  wasmtime_component_delete(component);
  grant();
  return handler;
}

// Another store, after what has ended a guest in the claim's.
static void renew_store(void) {
  wasmtime_store_delete(store);
  store = wasmtime_store_new(engine, NULL, NULL);
  ctx = wasmtime_store_context(store);
  grant();
}

static ampoule_http_header_t header(const char *name, const char *value) {
  ampoule_http_header_t header = {name, strlen(name), value, strlen(value)};
  return header;
}

static ampoule_http_request_t request_for(const char *path) {
  ampoule_http_request_t request = {0};
  request.method = "POST", request.method_len = 4;
  request.scheme = "http", request.scheme_len = 4;
  request.authority = "example.com", request.authority_len = 11;
  request.path = path, request.path_len = strlen(path);
  return request;
}

static ampoule_http_exchange_t *open_exchange(ampoule_http_handler_t *handler, const char *path) {
  ampoule_http_request_t request = request_for(path);
  ampoule_http_exchange_t *exchange = NULL;
  if (!expect_ok(ampoule_http_exchange_new(handler, ctx, NULL, &request, &exchange))) exit(1);
  return exchange;
}

static bool poll_ok(ampoule_http_exchange_t *exchange) {
  wasmtime_error_t *error;
  bool done = ampoule_http_exchange_poll(exchange, &error);
  expect_ok(error);
  return done;
}

static uint16_t status_of(const ampoule_http_exchange_t *exchange) {
  ampoule_http_response_t response;
  return ampoule_http_exchange_response(exchange, &response) ? response.status : 0;
}

static bool write_all(ampoule_http_writer_t *writer, const char *text) {
  size_t written = 0;
  return expect_ok(ampoule_http_writer_write(writer, (const uint8_t *)text, strlen(text), &written)) &&
         written == strlen(text);
}

// Takes what there is, which is to be this.
static bool takes(ampoule_http_reader_t *reader, const char *text) {
  const uint8_t *data;
  size_t len, at = 0;
  while (ampoule_http_reader_peek(reader, &data, &len) == AMPOULE_HTTP_READING_BYTES) {
    if (at + len > strlen(text) || memcmp(data, text + at, len)) return false;
    ampoule_http_reader_consume(reader, len);
    at += len;
  }
  return at == strlen(text);
}

static ampoule_http_reading_t state_of(ampoule_http_reader_t *reader) {
  const uint8_t *data;
  size_t len;
  return ampoule_http_reader_peek(reader, &data, &len);
}

static bool is(const char *text, size_t len, const char *expected) {
  return len == strlen(expected) && memcmp(text, expected, len) == 0;
}

// -- Answering

static void bodies_go_both_ways_in_pieces(void) {
  ampoule_http_handler_t *handler = open_handler();
  ampoule_http_exchange_t *exchange = open_exchange(handler, "/back");
  ampoule_http_writer_t *writer = ampoule_http_exchange_writer(exchange);
  ampoule_http_response_t response;
  expect(!ampoule_http_exchange_response(exchange, &response) && !ampoule_http_exchange_reader(exchange));
  expect(!poll_ok(exchange));
  // The response is there before the request is complete.
  expect(ampoule_http_exchange_response(exchange, &response) && response.status == 200 && response.num_headers == 1);
  expect(is(response.headers[0].name, response.headers[0].name_len, "x-guest"));
  expect(is(response.headers[0].value, response.headers[0].value_len, "yes"));
  ampoule_http_reader_t *reader = ampoule_http_exchange_reader(exchange);
  uint64_t length = 99;
  expect(state_of(reader) == AMPOULE_HTTP_READING_WAIT && !ampoule_http_reader_length(reader, &length));
  expect(write_all(writer, "one ") && !poll_ok(exchange) && takes(reader, "one "));
  expect(write_all(writer, "two ") && write_all(writer, "three") && !poll_ok(exchange) && takes(reader, "two three"));
  expect_ok(ampoule_http_writer_finish(writer, NULL, 0));
  expect(poll_ok(exchange) && poll_ok(exchange));
  expect(state_of(reader) == AMPOULE_HTTP_READING_END && !ampoule_http_reader_error(reader));
  expect(ampoule_http_reader_length(reader, &length) && length == 0);
  size_t count = 0;
  const ampoule_http_header_t *trailers = ampoule_http_reader_trailers(reader, &count);
  expect(count == 1 && is(trailers[0].name, trailers[0].name_len, "x-guest"));
  expect_error_says(ampoule_http_writer_finish(writer, NULL, 0), "the body has ended");
  size_t written = 7;
  expect_error_says(ampoule_http_writer_write(writer, NULL, 0, &written), "the body has ended");
  expect(written == 7 && ampoule_http_writer_room(writer) == 0);
  ampoule_http_exchange_delete(exchange);
  ampoule_http_handler_delete(handler);
}

static void no_more_is_held_than_64_kib_each_way(void) {
  static uint8_t bytes[100000];
  ampoule_http_handler_t *handler = open_handler();
  ampoule_http_exchange_t *exchange = open_exchange(handler, "/back");
  ampoule_http_writer_t *writer = ampoule_http_exchange_writer(exchange);
  size_t written = 0;
  expect(ampoule_http_writer_room(writer) == 65536);
  expect_ok(ampoule_http_writer_write(writer, bytes, sizeof bytes, &written));
  expect(written == 65536 && ampoule_http_writer_room(writer) == 0);
  expect_ok(ampoule_http_writer_write(writer, bytes, sizeof bytes, &written));
  expect(written == 0);
  expect(!poll_ok(exchange) && ampoule_http_writer_room(writer) > 0);
  ampoule_http_exchange_delete(exchange);
  renew_store();

  // A slow reader: the guest writes on as it is read.
  exchange = open_exchange(handler, "/forever");
  size_t total = 0;
  for (int round = 0; round < 20; round++) {
    expect(!poll_ok(exchange) && !poll_ok(exchange));
    ampoule_http_reader_t *reader = ampoule_http_exchange_reader(exchange);
    const uint8_t *data;
    size_t len, here = 0;
    while (ampoule_http_reader_peek(reader, &data, &len) == AMPOULE_HTTP_READING_BYTES) {
      size_t part = len > 1000 ? 1000 : len;
      ampoule_http_reader_consume(reader, part);
      here += part;
    }
    expect(here > 0 && here <= 65536);
    total += here;
  }
  expect(total > 500000);
  ampoule_http_exchange_delete(exchange);
  ampoule_http_handler_delete(handler);
}

static void an_exchange_may_be_deleted_at_any_moment(void) {
  ampoule_http_handler_t *handler = open_handler();
  ampoule_http_exchange_delete(NULL);
  // Before it has begun: nothing has happened.
  ampoule_http_exchange_delete(open_exchange(handler, "/back"));
  for (int polls = 1; polls < 4; polls++) {
    ampoule_http_exchange_t *exchange = open_exchange(handler, "/back");
    for (int i = 0; i < polls; i++) {
      expect(write_all(ampoule_http_exchange_writer(exchange), "some"));
      expect(!poll_ok(exchange));
    }
    ampoule_http_exchange_delete(exchange);
    // As after a trap.
    exchange = open_exchange(handler, "/drop");
    wasmtime_error_t *error;
    expect(ampoule_http_exchange_poll(exchange, &error));
    expect_error_says(error, "cannot enter component instance");
    ampoule_http_exchange_delete(exchange);
    renew_store();
  }
  ampoule_http_exchange_t *exchange = open_exchange(handler, "/drop");
  expect(poll_ok(exchange) && takes(ampoule_http_exchange_reader(exchange), "yes"));
  ampoule_http_exchange_delete(exchange);
  ampoule_http_handler_delete(handler);
  ampoule_http_handler_delete(NULL);
}

static void a_request_that_breaks_off_is_not_taken_for_a_whole_one(void) {
  ampoule_http_handler_t *handler = open_handler();
  ampoule_http_exchange_t *exchange = open_exchange(handler, "/back");
  ampoule_http_writer_t *writer = ampoule_http_exchange_writer(exchange);
  expect(write_all(writer, "half"));
  ampoule_http_writer_abort(writer);
  ampoule_http_writer_abort(writer);
  expect(poll_ok(exchange));
  ampoule_http_reader_t *reader = ampoule_http_exchange_reader(exchange);
  expect(takes(reader, "half") && state_of(reader) == AMPOULE_HTTP_READING_ERROR);
  expect(strcmp(ampoule_http_reader_error(reader), "HTTP-protocol-error") == 0);
  ampoule_http_exchange_delete(exchange);

  ampoule_http_header_t length = header("Content-Length", "3");
  ampoule_http_request_t request = request_for("/back");
  request.headers = &length, request.num_headers = 1;
  expect_ok(ampoule_http_exchange_new(handler, ctx, NULL, &request, &exchange));
  writer = ampoule_http_exchange_writer(exchange);
  expect(write_all(writer, "ab"));
  expect_error_says(ampoule_http_writer_finish(writer, NULL, 0), "shorter than its headers say");
  expect(poll_ok(exchange) && takes(ampoule_http_exchange_reader(exchange), "ab"));
  expect(state_of(ampoule_http_exchange_reader(exchange)) == AMPOULE_HTTP_READING_ERROR);
  ampoule_http_exchange_delete(exchange);

  expect_ok(ampoule_http_exchange_new(handler, ctx, NULL, &request, &exchange));
  writer = ampoule_http_exchange_writer(exchange);
  size_t written = 0;
  expect_error_says(ampoule_http_writer_write(writer, (const uint8_t *)"abcd", 4, &written),
                    "longer than its headers say");
  expect(poll_ok(exchange));
  ampoule_http_exchange_delete(exchange);
  ampoule_http_handler_delete(handler);
}

static void a_trap_ends_the_response_in_the_middle(void) {
  ampoule_http_handler_t *handler = open_handler();
  ampoule_http_exchange_t *exchange = open_exchange(handler, "/trap");
  wasmtime_error_t *error;
  expect(ampoule_http_exchange_poll(exchange, &error));
  expect_error_says(error, "unreachable");
  expect(ampoule_http_exchange_poll(exchange, &error) && !error);
  ampoule_http_reader_t *reader = ampoule_http_exchange_reader(exchange);
  expect(status_of(exchange) == 200 && takes(reader, "yes") && state_of(reader) == AMPOULE_HTTP_READING_ERROR);
  expect(strcmp(ampoule_http_reader_error(reader), "HTTP-response-incomplete") == 0);
  ampoule_http_exchange_delete(exchange);
  ampoule_http_handler_delete(handler);
}

static void a_guest_may_have_no_response(void) {
  ampoule_http_handler_t *handler = open_handler();
  ampoule_http_exchange_t *exchange = open_exchange(handler, "/nothing");
  expect(poll_ok(exchange) && status_of(exchange) == 0 && !ampoule_http_exchange_error(exchange));
  ampoule_http_exchange_delete(exchange);
  exchange = open_exchange(handler, "/error");
  expect(poll_ok(exchange) && status_of(exchange) == 0);
  expect(strcmp(ampoule_http_exchange_error(exchange), "loop-detected") == 0);
  ampoule_http_exchange_delete(exchange);
  ampoule_http_handler_delete(handler);
}

static void a_body_that_nobody_reads_is_thrown_away(void) {
  ampoule_http_handler_t *handler = open_handler();
  ampoule_http_exchange_t *exchange = open_exchange(handler, "/drop");
  ampoule_http_writer_t *writer = ampoule_http_exchange_writer(exchange);
  expect(write_all(writer, "before") && !ampoule_http_writer_is_closed(writer));
  expect(poll_ok(exchange) && ampoule_http_writer_is_closed(writer));
  expect(write_all(writer, "after") && ampoule_http_writer_room(writer) == 0);
  expect_ok(ampoule_http_writer_finish(writer, NULL, 0));
  expect(takes(ampoule_http_exchange_reader(exchange), "yes"));
  ampoule_http_exchange_delete(exchange);
  ampoule_http_handler_delete(handler);
}

static void an_instance_answers_one_request_after_another(void) {
  wasmtime_component_t *component = component_of(HTTP_GUEST), *other = component_of("(component)");
  ampoule_http_handler_t *handler = handler_of(component);
  grant();
  wasmtime_component_linker_t *linker = linker_with_http();
  wasmtime_component_instance_t instance = instantiate(linker, component), stranger = instantiate(linker, other);
  ampoule_http_request_t request = request_for("/drop");
  ampoule_http_exchange_t *exchange = NULL, *second = NULL;
  for (int i = 0; i < 3; i++) {
    expect_ok(ampoule_http_exchange_new(handler, ctx, &instance, &request, &exchange));
    expect(poll_ok(exchange) && takes(ampoule_http_exchange_reader(exchange), "yes"));
    ampoule_http_exchange_delete(exchange);
  }
  expect_error_says(ampoule_http_exchange_new(handler, ctx, &stranger, &request, &exchange),
                    "not one of the handler's component");

  // While one waits, the store has no other.
  request = request_for("/back");
  expect_ok(ampoule_http_exchange_new(handler, ctx, &instance, &request, &exchange));
  expect(!poll_ok(exchange));
  expect_ok(ampoule_http_exchange_new(handler, ctx, &instance, &request, &second));
  wasmtime_error_t *error;
  expect(ampoule_http_exchange_poll(second, &error));
  expect_error(error);
  ampoule_http_exchange_delete(second);
  expect_ok(ampoule_http_writer_finish(ampoule_http_exchange_writer(exchange), NULL, 0));
  expect(poll_ok(exchange));
  ampoule_http_exchange_delete(exchange);

  // An end in the middle is the instance's.
  expect_ok(ampoule_http_exchange_new(handler, ctx, &instance, &request, &exchange));
  expect(!poll_ok(exchange));
  ampoule_http_exchange_delete(exchange);
  expect_ok(ampoule_http_exchange_new(handler, ctx, &instance, &request, &exchange));
  expect(ampoule_http_exchange_poll(exchange, &error));
  expect_error(error);
  ampoule_http_exchange_delete(exchange);
  ampoule_http_handler_delete(handler);
  wasmtime_component_linker_delete(linker);
  wasmtime_component_delete(component);
  wasmtime_component_delete(other);
}

static void expect_refused(ampoule_http_handler_t *handler, const ampoule_http_request_t *request, const char *says) {
  ampoule_http_exchange_t *exchange = NULL;
  expect_error_says(ampoule_http_exchange_new(handler, ctx, NULL, request, &exchange), says);
  expect(!exchange);
}

static void what_cannot_be_is_refused(void) {
  wasmtime_component_t *component = component_of("(component)");
  wasmtime_component_linker_t *linker = linker_with_http();
  ampoule_http_handler_t *handler = NULL;
  expect_error_says(ampoule_http_handler_new(linker, component, &handler), "wasi:http/incoming-handler");
  expect(!handler);
  wasmtime_component_linker_delete(linker);
  wasmtime_component_delete(component);

  component = component_of(HTTP_GUEST);
  handler = handler_of(component);
  wasmtime_component_delete(component);
  ampoule_http_request_t request = request_for("/drop");
  expect_refused(handler, &request, "WASI");
  expect_ok(wasmtime_context_set_wasi(ctx, wasi_config_new()));
  expect_refused(handler, &request, "HTTP configuration");
  expect_ok(ampoule_context_set_http(ctx, NULL));
  request.method = "A B", request.method_len = 3;
  expect_refused(handler, &request, "`A B` is no method");
  request = request_for("/a b");
  expect_refused(handler, &request, "`/a b` is no path");
  request = request_for("/drop");
  request.authority = "a/b", request.authority_len = 3;
  expect_refused(handler, &request, "`a/b` is no authority");
  request = request_for("/drop");
  request.scheme = "a b", request.scheme_len = 3;
  expect_refused(handler, &request, "`a b` is no scheme");
  ampoule_http_header_t bad = header("a b", "");
  request = request_for("/drop");
  request.headers = &bad, request.num_headers = 1;
  expect_refused(handler, &request, "the header `a b` has no name");
  bad = header("a", "b\nc");
  expect_refused(handler, &request, "the header `a` has no value");
  bad = header("content-length", "many");
  expect_refused(handler, &request, "`content-length` is no length");

  enum { MANY = 100000 };
  ampoule_http_header_t *many = calloc(MANY, sizeof *many);
  for (int i = 0; i < MANY; i++) many[i] = header("a", "b");
  request.headers = many, request.num_headers = MANY;
  expect_refused(handler, &request, "HTTP-request-header-section-size");
  char(*names)[8] = calloc(MANY, sizeof *names);
  for (int i = 0; i < MANY; i++) {
    snprintf(names[i], sizeof names[i], "a%d", i);
    many[i] = header(names[i], "b");
  }
  expect_refused(handler, &request, "too many headers");
  request.num_headers = 5000;
  expect_refused(handler, &request, "HTTP-request-header-section-size");
  free(names);
  free(many);

  ampoule_http_config_t small = {.size = 8};
  expect_error_says(ampoule_context_set_http(ctx, &small), "ampoule_http_config_t");
  ampoule_http_config_t tight = {.size = sizeof tight, .max_bytes = 100};
  expect_ok(ampoule_context_set_http(ctx, &tight));
  request = request_for("/drop");
  expect_refused(handler, &request, "HTTP-request-header-section-size");
  ampoule_http_handler_delete(handler);
}

static void with_fuel(wasm_config_t *config) { wasmtime_config_consume_fuel_set(config, true); }

static void a_guest_that_computes_yields_and_can_be_ended(void) {
  ampoule_http_handler_t *handler = open_handler();
  expect_ok(wasmtime_context_set_fuel(ctx, 100000000));
  expect_ok(wasmtime_context_fuel_async_yield_interval(ctx, 100000));
  ampoule_http_exchange_t *exchange = open_exchange(handler, "/spin");
  int descriptor = -1;
  expect_ok(ampoule_context_wait_descriptor(ctx, &descriptor));
  for (int i = 0; i < 10; i++) {
    expect(!poll_ok(exchange));
    struct pollfd ready = {.fd = descriptor, .events = POLLIN};
    expect(poll(&ready, 1, 0) == 1);
  }
  ampoule_http_exchange_delete(exchange);
  ampoule_http_handler_delete(handler);
}

static void a_store_may_go_before_its_exchange(void) {
  ampoule_http_handler_t *handler = open_handler();
  ampoule_http_exchange_t *exchange = open_exchange(handler, "/back");
  expect(write_all(ampoule_http_exchange_writer(exchange), "some") && !poll_ok(exchange));
  renew_store();
  wasmtime_error_t *error;
  expect(ampoule_http_exchange_poll(exchange, &error));
  expect_error(error);
  ampoule_http_reader_t *reader = ampoule_http_exchange_reader(exchange);
  expect(takes(reader, "some") && state_of(reader) == AMPOULE_HTTP_READING_ERROR);
  expect(ampoule_http_writer_is_closed(ampoule_http_exchange_writer(exchange)));
  ampoule_http_exchange_delete(exchange);
  ampoule_http_handler_delete(handler);
}

// -- Components of 0.3

// The component that the tests in Rust have: the first letter of the path says what it does.
static ampoule_http_handler_t *open_service(void) {
  static char text[32768];
  FILE *file = fopen("wasi/tests/p3/http/service.wat", "r");
  if (!expect(file)) exit(1);
  text[fread(text, 1, sizeof text - 1, file)] = 0;
  fclose(file);
  wasmtime_component_t *component = component_of(text);
  ampoule_http_handler_t *handler = handler_of(component);
  wasmtime_component_delete(component);
  grant();
  return handler;
}

static void a_component_of_0_3_passes_a_body_on(void) {
  ampoule_http_handler_t *handler = open_service();
  ampoule_http_exchange_t *exchange = open_exchange(handler, "/back");
  ampoule_http_writer_t *writer = ampoule_http_exchange_writer(exchange);
  expect(!poll_ok(exchange) && status_of(exchange) == 200);
  ampoule_http_reader_t *reader = ampoule_http_exchange_reader(exchange);
  expect(write_all(writer, "one ") && !poll_ok(exchange) && takes(reader, "one "));
  expect(write_all(writer, "two") && !poll_ok(exchange) && takes(reader, "two"));
  ampoule_http_header_t trailer = header("X-End", "here");
  expect_ok(ampoule_http_writer_finish(writer, &trailer, 1));
  expect(poll_ok(exchange) && state_of(reader) == AMPOULE_HTTP_READING_END);
  size_t count = 0;
  const ampoule_http_header_t *trailers = ampoule_http_reader_trailers(reader, &count);
  expect(count == 1 && is(trailers[0].name, trailers[0].name_len, "x-end"));
  ampoule_http_exchange_delete(exchange);
  ampoule_http_handler_delete(handler);
}

static void a_component_of_0_3_waits_for_a_slow_reader(void) {
  ampoule_http_handler_t *handler = open_service();
  ampoule_http_exchange_t *exchange = open_exchange(handler, "/forever");
  size_t total = 0;
  for (int round = 0; round < 10; round++) {
    expect(!poll_ok(exchange) && !poll_ok(exchange));
    ampoule_http_reader_t *reader = ampoule_http_exchange_reader(exchange);
    const uint8_t *data;
    size_t len, here = 0;
    for (; ampoule_http_reader_peek(reader, &data, &len) == AMPOULE_HTTP_READING_BYTES; here += len)
      ampoule_http_reader_consume(reader, len);
    expect(here > 0 && here <= 65536);
    total += here;
  }
  expect(total > 200000);
  ampoule_http_exchange_delete(exchange);
  ampoule_http_handler_delete(handler);
}

static void a_component_of_0_3_fails_in_the_same_ways(void) {
  ampoule_http_handler_t *handler = open_service();
  ampoule_http_exchange_t *exchange = open_exchange(handler, "/error");
  expect(poll_ok(exchange) && strcmp(ampoule_http_exchange_error(exchange), "loop-detected") == 0);
  ampoule_http_exchange_delete(exchange);
  exchange = open_exchange(handler, "/trap");
  wasmtime_error_t *error;
  expect(ampoule_http_exchange_poll(exchange, &error));
  expect_error_says(error, "unreachable");
  ampoule_http_exchange_delete(exchange);
  for (int polls = 0; polls < 4; polls++) {
    renew_store();
    exchange = open_exchange(handler, polls % 2 ? "/read" : "/back");
    for (int i = 0; i < polls; i++) expect(write_all(ampoule_http_exchange_writer(exchange), "some") && !poll_ok(exchange));
    ampoule_http_exchange_delete(exchange);
  }
  ampoule_http_handler_delete(handler);
}

// -- Requests of guests

typedef struct {
  int finalized; // first: it is the table's `env`
  ampoule_http_outgoing_t *outgoing;
} upstream_t;

static void keep(void *env, ampoule_http_outgoing_t *outgoing) { ((upstream_t *)env)->outgoing = outgoing; }

// An exchange whose guest asks upstream; nobody has answered yet.
static ampoule_http_exchange_t *ask(ampoule_http_handler_t *handler, upstream_t *upstream) {
  ampoule_http_config_t config = {
      .size = sizeof config, .env = upstream, .finalizer = count_finalized, .send = keep};
  upstream->outgoing = NULL;
  expect_ok(ampoule_context_set_http(ctx, &config));
  ampoule_http_exchange_t *exchange = open_exchange(handler, "/ask");
  expect(!poll_ok(exchange));
  if (!expect(upstream->outgoing)) exit(1);
  return exchange;
}

static bool answers(ampoule_http_exchange_t *exchange, const char *text) {
  bool held = expect(poll_ok(exchange) && takes(ampoule_http_exchange_reader(exchange), text));
  ampoule_http_exchange_delete(exchange);
  return held;
}

static void a_request_of_a_guest_is_the_program_s_to_answer(void) {
  ampoule_http_handler_t *handler = open_handler();
  upstream_t upstream = {0};
  ampoule_http_exchange_t *exchange = ask(handler, &upstream);
  ampoule_http_request_t request;
  ampoule_http_outgoing_request(upstream.outgoing, &request);
  expect(is(request.method, request.method_len, "GET") && is(request.scheme, request.scheme_len, "https"));
  expect(is(request.authority, request.authority_len, "upstream:80") && request.path_len == 0);
  expect(request.num_headers == 0);
  ampoule_http_timeouts_t timeouts;
  ampoule_http_outgoing_timeouts(upstream.outgoing, &timeouts);
  expect(timeouts.connect == 600000000000 && timeouts.first_byte == timeouts.between_bytes);
  ampoule_http_reader_t *reader = ampoule_http_outgoing_reader(upstream.outgoing);
  expect(takes(reader, "yes") && state_of(reader) == AMPOULE_HTTP_READING_END);
  expect(ampoule_http_outgoing_is_awaited(upstream.outgoing));

  ampoule_http_writer_t *writer = NULL;
  ampoule_http_response_t response = {.status = 100};
  expect_error_says(ampoule_http_outgoing_respond(upstream.outgoing, &response, &writer), "100 is no status");
  response.status = 201;
  expect_ok(ampoule_http_outgoing_respond(upstream.outgoing, &response, &writer));
  expect_error_says(ampoule_http_outgoing_respond(upstream.outgoing, &response, &writer), "answered before");
  expect_error_says(ampoule_http_outgoing_fail(upstream.outgoing, "connection-refused"), "answered before");
  expect(write_all(writer, "far ") && !poll_ok(exchange));
  expect(takes(ampoule_http_exchange_reader(exchange), "far "));
  expect(write_all(writer, "away") && ampoule_http_outgoing_is_awaited(upstream.outgoing));
  expect_ok(ampoule_http_writer_finish(writer, NULL, 0));
  answers(exchange, "away");
  ampoule_http_outgoing_delete(upstream.outgoing);
  ampoule_http_outgoing_delete(NULL);
  expect(upstream.finalized == 0);
  expect_ok(ampoule_context_set_http(ctx, NULL));
  expect(upstream.finalized == 1);
  ampoule_http_handler_delete(handler);
}

static void what_goes_wrong_upstream_is_told_to_the_guest(void) {
  ampoule_http_handler_t *handler = open_handler();
  // Without a function.
  ampoule_http_exchange_t *exchange = open_exchange(handler, "/ask");
  answers(exchange, "noP"); // HTTP-request-denied, the 15th
  upstream_t upstream = {0};
  exchange = ask(handler, &upstream);
  expect_error_says(ampoule_http_outgoing_fail(upstream.outgoing, "no such error"), "is no error code");
  expect_ok(ampoule_http_outgoing_fail(upstream.outgoing, "connection-refused"));
  expect(!ampoule_http_outgoing_is_awaited(upstream.outgoing));
  answers(exchange, "noG"); // the 6th
  ampoule_http_outgoing_delete(upstream.outgoing);
  exchange = ask(handler, &upstream);
  ampoule_http_outgoing_delete(upstream.outgoing);
  answers(exchange, "noH"); // connection-terminated, the 7th

  // In the middle of the body.
  exchange = ask(handler, &upstream);
  ampoule_http_writer_t *writer = NULL;
  ampoule_http_response_t response = {.status = 200};
  expect_ok(ampoule_http_outgoing_respond(upstream.outgoing, &response, &writer));
  expect(write_all(writer, "half"));
  ampoule_http_outgoing_delete(upstream.outgoing);
  expect(poll_ok(exchange));
  ampoule_http_reader_t *reader = ampoule_http_exchange_reader(exchange);
  expect(takes(reader, "half") && state_of(reader) == AMPOULE_HTTP_READING_ERROR);
  ampoule_http_exchange_delete(exchange);
  expect_ok(ampoule_context_set_http(ctx, NULL));
  expect(upstream.finalized == 3); // as often as it was given
  ampoule_http_handler_delete(handler);
}

static void a_guest_that_goes_away_awaits_nothing(void) {
  ampoule_http_handler_t *handler = open_handler();
  upstream_t first = {0}, second = {0};
  ampoule_http_exchange_t *exchange = ask(handler, &first);
  ampoule_http_exchange_delete(exchange);
  renew_store();
  exchange = ask(handler, &second);
  ampoule_http_writer_t *writer = NULL;
  ampoule_http_response_t response = {.status = 200};
  expect_ok(ampoule_http_outgoing_respond(second.outgoing, &response, &writer));
  ampoule_http_exchange_delete(exchange);
  renew_store();
  expect(first.finalized == 1 && second.finalized == 1);
  expect(!ampoule_http_outgoing_is_awaited(first.outgoing) && !ampoule_http_outgoing_is_awaited(second.outgoing));
  expect(write_all(writer, "nobody reads this"));
  expect_ok(ampoule_http_outgoing_respond(first.outgoing, &response, &writer));
  expect(write_all(writer, "nor this"));
  ampoule_http_outgoing_delete(first.outgoing);
  ampoule_http_outgoing_delete(second.outgoing);
  ampoule_http_handler_delete(handler);
}

static void *answer(void *outgoing) {
  ampoule_http_writer_t *writer = NULL;
  ampoule_http_response_t response = {.status = 200};
  expect_ok(ampoule_http_outgoing_respond(outgoing, &response, &writer));
  expect(write_all(writer, "from elsewhere"));
  expect_ok(ampoule_http_writer_finish(writer, NULL, 0));
  ampoule_http_outgoing_delete(outgoing);
  return NULL;
}

// Polls an exchange whenever the store's descriptor says so, until it is over.
static bool drive(ampoule_http_exchange_t *exchange, int descriptor) {
  bool done = false;
  for (int polls = 0; !done && expect(polls < 1000); polls++) {
    struct pollfd ready = {.fd = descriptor, .events = POLLIN};
    if (!expect(poll(&ready, 1, 60000) == 1)) break;
    done = poll_ok(exchange);
  }
  return done;
}

static void another_thread_may_answer_and_the_descriptor_tells(void) {
  ampoule_http_handler_t *handler = open_handler();
  upstream_t upstream = {0};
  int descriptor = -1;
  expect_ok(ampoule_context_wait_descriptor(ctx, &descriptor));
  ampoule_http_exchange_t *exchange = ask(handler, &upstream);
  pthread_t thread;
  expect(pthread_create(&thread, NULL, answer, upstream.outgoing) == 0);
  bool done = drive(exchange, descriptor);
  pthread_join(thread, NULL);
  expect(done && takes(ampoule_http_exchange_reader(exchange), "from elsewhere"));
  ampoule_http_exchange_delete(exchange);
  expect_ok(ampoule_context_set_http(ctx, NULL));
  ampoule_http_handler_delete(handler);
}

static void a_component_of_0_3_asks_upstream(void) {
  ampoule_http_handler_t *handler = open_service();
  upstream_t upstream = {0};
  ampoule_http_exchange_t *exchange = ask(handler, &upstream);
  ampoule_http_reader_t *reader = ampoule_http_outgoing_reader(upstream.outgoing);
  expect(state_of(reader) == AMPOULE_HTTP_READING_END);
  ampoule_http_writer_t *writer = NULL;
  ampoule_http_response_t response = {.status = 201};
  expect_ok(ampoule_http_outgoing_respond(upstream.outgoing, &response, &writer));
  expect(write_all(writer, "far ") && !poll_ok(exchange) && status_of(exchange) == 201);
  expect(takes(ampoule_http_exchange_reader(exchange), "far "));
  expect(write_all(writer, "away"));
  expect_ok(ampoule_http_writer_finish(writer, NULL, 0));
  answers(exchange, "away");
  ampoule_http_outgoing_delete(upstream.outgoing);
  exchange = ask(handler, &upstream);
  ampoule_http_exchange_delete(exchange);
  expect(!ampoule_http_outgoing_is_awaited(upstream.outgoing));
  ampoule_http_outgoing_delete(upstream.outgoing);
  expect_ok(ampoule_context_set_http(ctx, NULL));
  ampoule_http_handler_delete(handler);
}

// -- Requests of guests that go to the network

typedef struct {
  int listener;
  atomic_int connections;
} origin_t;

// Answers all requests of one connection after the other, whatever follows their heads, until the listener is shut down.
static void *serve(void *argument) {
  origin_t *origin = argument;
  static const char response[] = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nhere";
  int connection;
  while ((connection = accept(origin->listener, NULL, NULL)) >= 0) {
    atomic_fetch_add(&origin->connections, 1);
    char request[4096];
    size_t len = 0;
    ssize_t got;
    while ((got = read(connection, request + len, sizeof request - 1 - len)) > 0) {
      request[len += (size_t)got] = 0;
      if (!strstr(request, "\r\n\r\n")) continue;
      len = 0;
      if (write(connection, response, sizeof response - 1) < 0) break;
    }
    close(connection);
  }
  return NULL;
}

static void connections_to_the_network_are_kept_where_that_is_wished(void) {
  origin_t origin = {.listener = socket(AF_INET, SOCK_STREAM, 0)};
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  if (!expect(bind(origin.listener, (struct sockaddr *)&address, size) == 0 && listen(origin.listener, 8) == 0)) exit(1);
  expect(getsockname(origin.listener, (struct sockaddr *)&address, &size) == 0);
  pthread_t thread;
  expect(pthread_create(&thread, NULL, serve, &origin) == 0);
  char path[64];
  snprintf(path, sizeof path, "/o127.0.0.1:%d", ntohs(address.sin_port));

  ampoule_http_network_t *kept = NULL, *alone = NULL;
  ampoule_http_network_config_t config = {.size = sizeof config, .max_idle = 4};
  expect_ok(ampoule_http_network_new(&config, &kept));
  expect_ok(ampoule_http_network_new(NULL, &alone));
  ampoule_http_handler_t *handler = open_handler();
  // Twice with the same connection, which another store has made; then each with its own.
  for (int turn = 0; turn < 4; turn++) {
    ampoule_context_set_http_network(ctx, turn < 2 ? kept : alone);
    int descriptor = -1;
    expect_ok(ampoule_context_wait_descriptor(ctx, &descriptor));
    ampoule_http_exchange_t *exchange = open_exchange(handler, path);
    expect(poll_ok(exchange) || drive(exchange, descriptor));
    expect(takes(ampoule_http_exchange_reader(exchange), "here"));
    ampoule_http_exchange_delete(exchange);
    for (int waits = 0; turn < 2 && ampoule_http_network_idle(kept) == 0 && expect(waits < 10000); waits++) usleep(1000);
    expect(atomic_load(&origin.connections) == (turn < 2 ? 1 : turn));
    // The server has one connection at a time.
    if (turn == 1) ampoule_http_network_delete(kept);
    renew_store();
    grant();
  }
  expect(ampoule_http_network_idle(alone) == 0);
  ampoule_http_network_delete(alone);
  ampoule_http_handler_delete(handler);
  shutdown(origin.listener, SHUT_RDWR);
  pthread_join(thread, NULL);
  close(origin.listener);
}

static void a_network_that_cannot_be_is_refused(void) {
  wasm_byte_vec_t root;
  wasm_byte_vec_new(&root, 4, "root");
  ampoule_http_network_config_t config = {.size = sizeof config, .roots = &root, .num_roots = 1};
  ampoule_http_network_t *network = NULL;
  expect_error_says(ampoule_http_network_new(&config, &network), "certificate");
  expect(network == NULL);
  // A program of before there were roots.
  config.size = offsetof(ampoule_http_network_config_t, roots);
  expect_ok(ampoule_http_network_new(&config, &network));
  expect(network != NULL);
  ampoule_http_network_delete(network);
  wasm_byte_vec_delete(&root);
}

// -- Bounds

typedef struct {
  int count;
  ampoule_http_outgoing_t *outgoing[1024];
} many_t;

static void keep_many(void *env, ampoule_http_outgoing_t *outgoing) {
  many_t *many = env;
  if (expect(many->count < 1024)) many->outgoing[many->count++] = outgoing;
}

// How many requests the program is given by a guest that sends them until it is refused.
static int requests_within(ampoule_http_handler_t *handler, size_t max_bytes) {
  static many_t many;
  many.count = 0;
  ampoule_http_config_t config = {.size = sizeof config, .env = &many, .send = keep_many, .max_bytes = max_bytes};
  expect_ok(ampoule_context_set_http(ctx, &config));
  answers(open_exchange(handler, "/many"), "noL"); // connection-limit-reached, the 11th
  for (int i = 0; i < many.count; i++) ampoule_http_outgoing_delete(many.outgoing[i]);
  renew_store();
  return many.count;
}

static void a_guest_has_only_so_many_requests_that_are_not_answered(void) {
  // What an exchange holds for the request's body and for the response's, and what each request of the guest's does.
  enum { OF_EXCHANGE = 2 * (64 << 10), OF_EACH = 288 << 10 };
  ampoule_http_handler_t *handler = open_handler();
  // By descriptors, of which each is to have one; by bytes.
  expect(requests_within(handler, (size_t)1 << 30) == 512);
  expect(requests_within(handler, OF_EXCHANGE + 2 * OF_EACH) == 2);
  expect(requests_within(handler, OF_EXCHANGE + 12 * OF_EACH) == 12);
  expect(requests_within(handler, 0) == ((64 << 20) - OF_EXCHANGE) / OF_EACH);
  ampoule_http_handler_delete(handler);
}

int main(void) {
  expect(ampoule_has("http"));
  RUN(bodies_go_both_ways_in_pieces);
  RUN(no_more_is_held_than_64_kib_each_way);
  RUN(an_exchange_may_be_deleted_at_any_moment);
  RUN(a_request_that_breaks_off_is_not_taken_for_a_whole_one);
  RUN(a_trap_ends_the_response_in_the_middle);
  RUN(a_guest_may_have_no_response);
  RUN(a_body_that_nobody_reads_is_thrown_away);
  RUN(an_instance_answers_one_request_after_another);
  RUN(what_cannot_be_is_refused);
  RUN_WITH(with_fuel, a_guest_that_computes_yields_and_can_be_ended);
  RUN(a_store_may_go_before_its_exchange);
  RUN(a_component_of_0_3_passes_a_body_on);
  RUN(a_component_of_0_3_waits_for_a_slow_reader);
  RUN(a_component_of_0_3_fails_in_the_same_ways);
  RUN(a_component_of_0_3_asks_upstream);
  RUN(a_request_of_a_guest_is_the_program_s_to_answer);
  RUN(what_goes_wrong_upstream_is_told_to_the_guest);
  RUN(a_guest_that_goes_away_awaits_nothing);
  RUN(another_thread_may_answer_and_the_descriptor_tells);
  RUN(connections_to_the_network_are_kept_where_that_is_wished);
  RUN(a_network_that_cannot_be_is_refused);
  RUN(a_guest_has_only_so_many_requests_that_are_not_answered);
  return test_summary();
}
