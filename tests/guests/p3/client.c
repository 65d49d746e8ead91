/* wasi:http/client of 0.3: requests to the test's server, their bodies both ways, trailers, and what goes wrong.
 *
 * sync: export:wasi:cli/run@0.3.2#run
 * options: --http --env ADDRESS=SERVER
 */
#include "command.h"
#include "messages.h"

static http_error_code_t code;

/* A request; its body, where it has one, is to be written. */
static http_own_request_t request_to(const char *authority, const char *path, uint8_t method, struct outgoing *outgoing,
                                     http_own_request_options_t *options, done_t *sent) {
  trailers_t trailers = http_future_result_option_own_trailers_error_code_new(&outgoing->trailers);
  http_stream_u8_t body = http_stream_u8_new(&outgoing->body);
  http_tuple2_own_request_future_result_void_error_code_t made;
  http_static_request_new(fields_with("x-question", "why"), &body, trailers, options, &made);
  http_borrow_request_t request = http_borrow_request(made.f0);
  CLAIM(http_method_request_set_method(request, &(http_method_t){.tag = method}));
  CLAIM(http_method_request_set_scheme(request, &(http_scheme_t){.tag = HTTP_SCHEME_HTTP}));
  CLAIM(http_method_request_set_authority(request, TEXT(authority)));
  CLAIM(http_method_request_set_path_with_query(request, TEXT(path)));
  *sent = made.f1;
  return made.f0;
}

/* Sends a request with this body, and takes the response; false where there is none but an error in `code`. */
static bool sends(const char *authority, const char *path, uint8_t method, http_own_request_options_t *options,
                  const char *const *parts, http_own_response_t *response) {
  struct outgoing outgoing;
  done_t sent;
  http_own_request_t request = request_to(authority, path, method, &outgoing, options, &sent);
  client_result_own_response_error_code_t result;
  guest_subtask_status_t status = client_send(request, &result);
  for (; *parts != NULL; parts++) write_all(http_stream_u8_write, outgoing.body, *parts, strlen(*parts));
  finish(&outgoing, NULL);
  if (GUEST_SUBTASK_STATE(status) != GUEST_SUBTASK_RETURNED) {
    CLAIM(told(GUEST_SUBTASK_HANDLE(status)) == GUEST_SUBTASK_RETURNED);
    guest_subtask_drop(GUEST_SUBTASK_HANDLE(status));
  }
  http_error_code_t not_sent;
  bool all_sent = is_done(sent, &not_sent);
  if (result.is_err) code = result.val.err;
  if (!result.is_err) CLAIM(all_sent);
  if (!result.is_err) *response = result.val.ok;
  return !result.is_err;
}

static const char *const nothing[] = {NULL};

static void a_body_is_sent_and_comes_back(const char *server) {
  static const char *const parts[] = {"first, ", "second", NULL};
  http_own_response_t response;
  NEED(sends(server, "/echo", HTTP_METHOD_POST, NULL, parts, &response));
  CLAIM(http_method_response_get_status_code(http_borrow_response(response)) == 200);
  http_own_headers_t headers = http_method_response_get_headers(http_borrow_response(response));
  CLAIM(http_method_fields_has(http_borrow_fields(headers), TEXT("X-Answer")));
  http_header_error_t error;
  FAILS_WITH(http_method_fields_delete(http_borrow_fields(headers), TEXT("x-answer"), &error), HTTP_HEADER_ERROR_IMMUTABLE);
  http_fields_drop_own(headers);
  struct incoming incoming = consume_response(response);
  http_option_own_trailers_t trailers;
  CLAIM(reads(http_stream_u8_read, incoming.body, "POST why first, second"));
  CLAIM(close_incoming(&incoming, &trailers, &code) && !trailers.is_some);
}

static void long_bodies_and_trailers_arrive(const char *server) {
  static char bytes[1000001];
  http_own_response_t response;
  http_option_own_trailers_t trailers;
  NEED(sends(server, "/long", HTTP_METHOD_GET, NULL, nothing, &response));
  struct incoming incoming = consume_response(response);
  CLAIM(read_all(http_stream_u8_read, incoming.body, bytes, sizeof bytes) == 1000000);
  CLAIM(bytes[0] == 'x' && bytes[999999] == 'x');
  CLAIM(close_incoming(&incoming, &trailers, &code) && !trailers.is_some);

  NEED(sends(server, "/trailers", HTTP_METHOD_GET, NULL, nothing, &response));
  incoming = consume_response(response);
  CLAIM(reads(http_stream_u8_read, incoming.body, "with trailers"));
  if (CLAIM(close_incoming(&incoming, &trailers, &code) && trailers.is_some)) {
    CLAIM(http_method_fields_has(http_borrow_fields(trailers.val), TEXT("x-end")));
    http_fields_drop_own(trailers.val);
  }
}

static void failures_have_codes(const char *server) {
  http_own_response_t response;
  http_option_own_trailers_t trailers;
  NEED(sends(server, "/nothing", HTTP_METHOD_GET, NULL, nothing, &response));
  CLAIM(http_method_response_get_status_code(http_borrow_response(response)) == 404);
  http_response_drop_own(response);
  NEED(sends(server, "/short", HTTP_METHOD_GET, NULL, nothing, &response));
  struct incoming incoming = consume_response(response);
  CLAIM(reads(http_stream_u8_read, incoming.body, "beginning"));
  CLAIM(!close_incoming(&incoming, &trailers, &code));
  CLAIM(!sends("127.0.0.1:1", "/", HTTP_METHOD_GET, NULL, nothing, &response));
  CLAIM(code.tag == HTTP_ERROR_CODE_CONNECTION_REFUSED);

  http_own_request_options_t options = http_constructor_request_options();
  http_request_options_error_t error;
  CLAIM(http_method_request_options_set_first_byte_timeout(http_borrow_request_options(options),
                                                           &(http_duration_t){50 * MILLISECOND}, &error));
  uint64_t start = monotonic_clock_now();
  CLAIM(!sends(server, "/silent", HTTP_METHOD_GET, &options, nothing, &response));
  CLAIM(code.tag == HTTP_ERROR_CODE_CONNECTION_READ_TIMEOUT);
  CLAIM(monotonic_clock_now() - start >= 50 * MILLISECOND);
}

static void a_request_can_be_given_up(const char *server) {
  struct outgoing outgoing;
  done_t sent;
  client_result_own_response_error_code_t result;
  guest_subtask_status_t status =
      client_send(request_to(server, "/silent", HTTP_METHOD_POST, &outgoing, NULL, &sent), &result);
  NEED(GUEST_SUBTASK_STATE(status) == GUEST_SUBTASK_STARTED);
  guest_subtask_status_t cancelled = guest_subtask_cancel(GUEST_SUBTASK_HANDLE(status));
  if (cancelled == GUEST_WAITABLE_STATUS_BLOCKED) cancelled = told(GUEST_SUBTASK_HANDLE(status));
  CLAIM(cancelled == GUEST_SUBTASK_RETURNED_CANCELLED);
  guest_subtask_drop(GUEST_SUBTASK_HANDLE(status));
  finish(&outgoing, NULL);
  http_future_result_void_error_code_drop_readable(sent);
}

static void program(void) {
  const char *server = getenv("ADDRESS");
  NEED(server != NULL);
  a_body_is_sent_and_comes_back(server);
  long_bodies_and_trailers_arrive(server);
  failures_have_codes(server);
  a_request_can_be_given_up(server);
}
