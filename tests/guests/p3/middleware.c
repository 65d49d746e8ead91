/* wasi:http/handler of 0.3, imported and exported: a middleware that sends what it is asked to the handler behind it, with a header of
 * its own, and passes the answer on. Behind it is the network: the test's server.
 *
 * world: middleware
 * options: --http --env ADDRESS=SERVER
 */
#include "messages.h"

/* Another request like this one, to the server behind. */
static http_own_request_t forwarded(http_own_request_t own, struct outgoing *outgoing, done_t *sent) {
  http_borrow_request_t request = http_borrow_request(own);
  trailers_t trailers = http_future_result_option_own_trailers_error_code_new(&outgoing->trailers);
  http_stream_u8_t body = http_stream_u8_new(&outgoing->body);
  http_tuple2_own_request_future_result_void_error_code_t made;
  http_static_request_new(fields_with("x-question", "through"), &body, trailers, NULL, &made);
  http_method_t method;
  guest_string_t path;
  http_method_request_get_method(request, &method);
  CLAIM(http_method_request_set_method(http_borrow_request(made.f0), &method));
  if (http_method_request_get_path_with_query(request, &path)) {
    CLAIM(http_method_request_set_path_with_query(http_borrow_request(made.f0), &path));
  }
  CLAIM(http_method_request_set_scheme(http_borrow_request(made.f0), &(http_scheme_t){.tag = HTTP_SCHEME_HTTP}));
  CLAIM(http_method_request_set_authority(http_borrow_request(made.f0), TEXT(getenv("ADDRESS"))));
  *sent = made.f1;
  return made.f0;
}

/* Copies a body from one message to another. */
static void copy(struct incoming *from, struct outgoing *to) {
  char bytes[64];
  size_t got;
  for (bool more = true; more;) {
    more = read_part(http_stream_u8_read, from->body, bytes, sizeof bytes, &got);
    if (write_all(http_stream_u8_write, to->body, bytes, got) < got) break;
  }
  http_option_own_trailers_t trailers = {.is_some = false};
  http_error_code_t code;
  CLAIM(close_incoming(from, &trailers, &code));
  finish(to, trailers.is_some ? &trailers.val : NULL);
}

static void fail(http_error_code_t code) {
  exports_handler_handle_return((exports_handler_result_own_response_error_code_t){.is_err = true, .val.err = code});
}

/* Passes the answer on: its status, but that 200 becomes 203, and its body. */
static void answer(http_own_response_t response) {
  uint16_t status = http_method_response_get_status_code(http_borrow_response(response));
  struct outgoing outgoing;
  trailers_t trailers = http_future_result_option_own_trailers_error_code_new(&outgoing.trailers);
  http_stream_u8_t body = http_stream_u8_new(&outgoing.body);
  http_tuple2_own_response_future_result_void_error_code_t made;
  http_static_response_new(fields_with("x-answer", "passed on"), &body, trailers, &made);
  CLAIM(http_method_response_set_status_code(http_borrow_response(made.f0), status == 200 ? 203 : status));
  exports_handler_handle_return((exports_handler_result_own_response_error_code_t){.is_err = false, .val.ok = made.f0});
  struct incoming incoming = consume_response(response);
  copy(&incoming, &outgoing);
  http_future_result_void_error_code_drop_readable(made.f1);
}

guest_callback_code_t exports_handler_handle(exports_handler_own_request_t request) {
  guest_string_t path;
  if (http_method_request_get_path_with_query(http_borrow_request(request), &path) && is_text(&path, "/refuse")) {
    http_request_drop_own(request);
    fail((http_error_code_t){.tag = HTTP_ERROR_CODE_HTTP_REQUEST_DENIED});
    return GUEST_CALLBACK_CODE_EXIT;
  }
  struct outgoing outgoing;
  done_t sent;
  handler_result_own_response_error_code_t result;
  guest_subtask_status_t status = handler_handle(forwarded(request, &outgoing, &sent), &result);
  struct incoming incoming = consume_request(request);
  copy(&incoming, &outgoing);
  if (GUEST_SUBTASK_STATE(status) != GUEST_SUBTASK_RETURNED) {
    CLAIM(told(GUEST_SUBTASK_HANDLE(status)) == GUEST_SUBTASK_RETURNED);
    guest_subtask_drop(GUEST_SUBTASK_HANDLE(status));
  }
  http_future_result_void_error_code_drop_readable(sent);
  if (result.is_err) fail(result.val.err);
  if (!result.is_err) answer(result.val.ok);
  return GUEST_CALLBACK_CODE_EXIT;
}

/* Nothing is waited for but in the middle of a call. */
guest_callback_code_t exports_handler_handle_callback(guest_event_t *event) {
  CLAIM(event->event == GUEST_EVENT_NONE);
  return GUEST_CALLBACK_CODE_EXIT;
}
