/* Messages of wasi:http 0.3: what clients, services and middleware do with them. */
#ifndef AMPOULE_GUEST_MESSAGES_H
#define AMPOULE_GUEST_MESSAGES_H

#include "waiting.h"

typedef http_future_result_option_own_trailers_error_code_t trailers_t;
typedef http_future_result_option_own_trailers_error_code_writer_t trailers_writer_t;
typedef http_future_result_void_error_code_t done_t;
typedef http_future_result_void_error_code_writer_t done_writer_t;

/* What a message says that has begun: its body, and its end. */
struct outgoing {
  http_stream_u8_writer_t body;
  trailers_writer_t trailers;
};

__attribute__((unused)) static http_own_fields_t fields_with(const char *name, const char *text) {
  http_own_fields_t fields = http_constructor_fields();
  http_field_value_t value = {(uint8_t *)text, strlen(text)};
  http_header_error_t error;
  CLAIM(http_method_fields_append(http_borrow_fields(fields), TEXT(name), &value, &error));
  return fields;
}

/* Ends a message, with trailers or without; waits until they are taken, or nobody wants them. */
__attribute__((unused)) static void finish(struct outgoing *outgoing, http_own_trailers_t *trailers) {
  http_result_option_own_trailers_error_code_t result = {.is_err = false, .val.ok.is_some = trailers != NULL};
  if (trailers != NULL) result.val.ok.val = *trailers;
  http_stream_u8_drop_writable(outgoing->body);
  settled(http_future_result_option_own_trailers_error_code_write(outgoing->trailers, &result), outgoing->trailers);
  http_future_result_option_own_trailers_error_code_drop_writable(outgoing->trailers);
}

/* What a future of the host's says; the error goes to `code`. */
__attribute__((unused)) static bool is_done(done_t future, http_error_code_t *code) {
  http_result_void_error_code_t result = {.is_err = true};
  settled(http_future_result_void_error_code_read(future, &result), future);
  http_future_result_void_error_code_drop_readable(future);
  if (result.is_err) *code = result.val.err;
  return !result.is_err;
}

/* A body that is being read. */
struct incoming {
  http_stream_u8_t body;
  trailers_t trailers;
  done_writer_t done;
};

/* Says that nothing went wrong here, and reads how the body ended: `*trailers` is where there are some. */
__attribute__((unused)) static bool close_incoming(struct incoming *incoming, http_option_own_trailers_t *trailers,
                                                   http_error_code_t *code) {
  http_result_option_own_trailers_error_code_t end = {.is_err = true};
  http_result_void_error_code_t fine = {.is_err = false};
  http_stream_u8_drop_readable(incoming->body);
  settled(http_future_result_option_own_trailers_error_code_read(incoming->trailers, &end), incoming->trailers);
  http_future_result_option_own_trailers_error_code_drop_readable(incoming->trailers);
  settled(http_future_result_void_error_code_write(incoming->done, &fine), incoming->done);
  http_future_result_void_error_code_drop_writable(incoming->done);
  if (end.is_err) *code = end.val.err;
  if (!end.is_err) *trailers = end.val.ok;
  return !end.is_err;
}

__attribute__((unused)) static struct incoming consume_response(http_own_response_t response) {
  struct incoming incoming;
  http_tuple2_stream_u8_future_result_option_own_trailers_error_code_t parts;
  done_t done = http_future_result_void_error_code_new(&incoming.done);
  http_static_response_consume_body(response, done, &parts);
  incoming.body = parts.f0;
  incoming.trailers = parts.f1;
  return incoming;
}

__attribute__((unused)) static struct incoming consume_request(http_own_request_t request) {
  struct incoming incoming;
  http_tuple2_stream_u8_future_result_option_own_trailers_error_code_t parts;
  done_t done = http_future_result_void_error_code_new(&incoming.done);
  http_static_request_consume_body(request, done, &parts);
  incoming.body = parts.f0;
  incoming.trailers = parts.f1;
  return incoming;
}

#endif
