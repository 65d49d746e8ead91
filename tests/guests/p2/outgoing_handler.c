/* wasi:http/outgoing-handler: requests to the test's server, their bodies both ways, and what goes wrong.
 *
 * options: --http --env ADDRESS=SERVER
 */
#include "claims.h"

static http_error_code_t code;

static http_own_outgoing_request_t request_to(const char *authority, const char *path, uint8_t method) {
  http_own_fields_t headers = http_constructor_fields();
  http_field_value_t question = {(uint8_t *)"why", 3};
  http_header_error_t error;
  CLAIM(http_method_fields_append(http_borrow_fields(headers), TEXT("x-question"), &question, &error));
  http_own_outgoing_request_t own = http_constructor_outgoing_request(headers);
  http_borrow_outgoing_request_t request = http_borrow_outgoing_request(own);
  CLAIM(http_method_outgoing_request_set_method(request, &(http_method_t){.tag = method}));
  CLAIM(http_method_outgoing_request_set_scheme(request, &(http_scheme_t){.tag = HTTP_SCHEME_HTTP}));
  CLAIM(http_method_outgoing_request_set_authority(request, TEXT(authority)));
  CLAIM(http_method_outgoing_request_set_path_with_query(request, TEXT(path)));
  return own;
}

/* Waits for the response; false where there is none but an error in `code`. */
static bool answered(http_own_future_incoming_response_t future, http_own_incoming_response_t *response) {
  http_borrow_future_incoming_response_t f = http_borrow_future_incoming_response(future);
  http_own_pollable_t ready = http_method_future_incoming_response_subscribe(f);
  poll_method_pollable_block(poll_borrow_pollable(ready));
  poll_pollable_drop_own(ready);
  http_result_result_own_incoming_response_error_code_void_t result;
  NEED(http_method_future_incoming_response_get(f, &result) && !result.is_err);
  bool ok = !result.val.ok.is_err;
  if (ok) *response = result.val.ok.val.ok;
  if (!ok) code = result.val.ok.val.err;
  CLAIM(http_method_future_incoming_response_get(f, &result) && result.is_err); /* it can be taken once */
  http_future_incoming_response_drop_own(future);
  return ok;
}

static bool sends(http_own_outgoing_request_t request, http_own_request_options_t *options,
                  http_own_incoming_response_t *response) {
  http_own_future_incoming_response_t future;
  return outgoing_handler_handle(request, options, &future, &code) && answered(future, response);
}

/* Reads a whole body, and returns how many bytes it had; the first ones must be `text`. False in `whole` where it was cut off. */
static size_t read_body(http_own_incoming_response_t response, const char *text, bool *whole, http_own_future_trailers_t *end) {
  http_own_incoming_body_t body, second;
  NEED(http_method_incoming_response_consume(http_borrow_incoming_response(response), &body));
  CLAIM(!http_method_incoming_response_consume(http_borrow_incoming_response(response), &second));
  http_own_input_stream_t in;
  NEED(http_method_incoming_body_stream(http_borrow_incoming_body(body), &in));
  guest_list_u8_t bytes;
  streams_stream_error_t error;
  size_t got = 0;
  while (streams_method_input_stream_blocking_read(streams_borrow_input_stream(in), 65536, &bytes, &error)) {
    for (size_t i = 0; i < bytes.len && got + i < strlen(text); i++) CLAIM(bytes.ptr[i] == (uint8_t)text[got + i]);
    got += bytes.len;
    guest_list_u8_free(&bytes);
  }
  *whole = error.tag == STREAMS_STREAM_ERROR_CLOSED;
  if (!*whole) {
    CLAIM(http_http_error_code(error_borrow_error(error.val.last_operation_failed), &code));
    error_error_drop_own(error.val.last_operation_failed);
  }
  streams_input_stream_drop_own(in);
  http_own_future_trailers_t trailers = http_static_incoming_body_finish(body);
  if (end != NULL) *end = trailers;
  if (end == NULL) http_future_trailers_drop_own(trailers);
  return got;
}

static void a_body_is_sent_and_comes_back(const char *server) {
  http_own_outgoing_request_t request = request_to(server, "/echo", HTTP_METHOD_POST);
  http_own_outgoing_body_t body;
  http_own_output_stream_t out;
  streams_stream_error_t error;
  NEED(http_method_outgoing_request_body(http_borrow_outgoing_request(request), &body));
  NEED(http_method_outgoing_body_write(http_borrow_outgoing_body(body), &out));
  http_own_future_incoming_response_t future;
  NEED(outgoing_handler_handle(request, NULL, &future, &code));
  /* It is sent while it is being written. */
  CLAIM(streams_method_output_stream_blocking_write_and_flush(streams_borrow_output_stream(out), BYTES("first, "), &error));
  CLAIM(streams_method_output_stream_blocking_write_and_flush(streams_borrow_output_stream(out), BYTES("second"), &error));
  streams_output_stream_drop_own(out);
  CLAIM(http_static_outgoing_body_finish(body, NULL, &code));
  http_own_incoming_response_t response;
  NEED(answered(future, &response));
  CLAIM(http_method_incoming_response_status(http_borrow_incoming_response(response)) == 200);
  http_own_headers_t headers = http_method_incoming_response_headers(http_borrow_incoming_response(response));
  CLAIM(http_method_fields_has(http_borrow_fields(headers), TEXT("X-Answer")));
  http_header_error_t header_error;
  CLAIM(!http_method_fields_delete(http_borrow_fields(headers), TEXT("x-answer"), &header_error));
  CLAIM(header_error.tag == HTTP_HEADER_ERROR_IMMUTABLE);
  http_fields_drop_own(headers);
  bool whole = false;
  static const char text[] = "POST why first, second";
  CLAIM(read_body(response, text, &whole, NULL) == strlen(text) && whole);
  http_incoming_response_drop_own(response);
}

static void long_bodies_and_trailers_arrive(const char *server) {
  http_own_incoming_response_t response;
  bool whole = false;
  NEED(sends(request_to(server, "/long", HTTP_METHOD_GET), NULL, &response));
  CLAIM(read_body(response, "xxxx", &whole, NULL) == 1000000 && whole);
  http_incoming_response_drop_own(response);

  http_own_future_trailers_t end;
  NEED(sends(request_to(server, "/trailers", HTTP_METHOD_GET), NULL, &response));
  CLAIM(read_body(response, "with trailers", &whole, &end) == 13 && whole);
  http_own_pollable_t ready = http_method_future_trailers_subscribe(http_borrow_future_trailers(end));
  poll_method_pollable_block(poll_borrow_pollable(ready));
  poll_pollable_drop_own(ready);
  http_result_result_option_own_trailers_error_code_void_t result;
  NEED(http_method_future_trailers_get(http_borrow_future_trailers(end), &result) && !result.is_err && !result.val.ok.is_err);
  if (CLAIM(result.val.ok.val.ok.is_some)) {
    CLAIM(http_method_fields_has(http_borrow_fields(result.val.ok.val.ok.val), TEXT("x-end")));
    http_fields_drop_own(result.val.ok.val.ok.val);
  }
  http_future_trailers_drop_own(end);
  http_incoming_response_drop_own(response);
}

static void failures_have_codes(const char *server) {
  http_own_incoming_response_t response;
  bool whole = true;
  NEED(sends(request_to(server, "/nothing", HTTP_METHOD_GET), NULL, &response));
  CLAIM(http_method_incoming_response_status(http_borrow_incoming_response(response)) == 404);
  http_incoming_response_drop_own(response);
  NEED(sends(request_to(server, "/short", HTTP_METHOD_GET), NULL, &response));
  CLAIM(read_body(response, "beginning", &whole, NULL) == 9 && !whole);
  http_incoming_response_drop_own(response);
  CLAIM(!sends(request_to("127.0.0.1:1", "/", HTTP_METHOD_GET), NULL, &response));
  CLAIM(code.tag == HTTP_ERROR_CODE_CONNECTION_REFUSED);

  http_own_request_options_t options = http_constructor_request_options();
  CLAIM(http_method_request_options_set_first_byte_timeout(http_borrow_request_options(options),
                                                           &(http_duration_t){50 * MILLISECOND}));
  uint64_t start = monotonic_clock_now();
  CLAIM(!sends(request_to(server, "/silent", HTTP_METHOD_GET), &options, &response));
  CLAIM(code.tag == HTTP_ERROR_CODE_CONNECTION_READ_TIMEOUT);
  CLAIM(monotonic_clock_now() - start >= 50 * MILLISECOND);
}

static void a_body_keeps_to_its_length(const char *server) {
  http_own_outgoing_request_t request = request_to(server, "/echo", HTTP_METHOD_POST);
  http_own_outgoing_request_t without = http_constructor_outgoing_request(http_constructor_fields());
  http_outgoing_request_drop_own(without); /* one that is never sent */
  http_own_fields_t headers = http_constructor_fields();
  http_field_value_t length = {(uint8_t *)"5", 1};
  http_header_error_t error;
  CLAIM(http_method_fields_append(http_borrow_fields(headers), TEXT("content-length"), &length, &error));
  http_outgoing_request_drop_own(request);
  request = http_constructor_outgoing_request(headers);
  http_own_outgoing_body_t body;
  http_own_output_stream_t out;
  streams_stream_error_t failure;
  NEED(http_method_outgoing_request_body(http_borrow_outgoing_request(request), &body));
  NEED(http_method_outgoing_body_write(http_borrow_outgoing_body(body), &out));
  CLAIM(streams_method_output_stream_blocking_write_and_flush(streams_borrow_output_stream(out), BYTES("123"), &failure));
  streams_output_stream_drop_own(out);
  CLAIM(!http_static_outgoing_body_finish(body, NULL, &code) && code.tag == HTTP_ERROR_CODE_HTTP_REQUEST_BODY_SIZE);
  http_outgoing_request_drop_own(request);
}

int main(void) {
  const char *server = getenv("ADDRESS");
  NEED(server != NULL);
  a_body_is_sent_and_comes_back(server);
  long_bodies_and_trailers_arrive(server);
  failures_have_codes(server);
  a_body_keeps_to_its_length(server);
  return claims_result();
}
