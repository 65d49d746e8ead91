/* wasi:http/handler of 0.3: what a service hears of a request, and each way to answer it. The path says what is to be done.
 *
 * world: service
 */
#include "messages.h"

/* Answers with the request: method, path, the header `x-question`, then the body as it arrives. The response is given first. */
static void echo(http_own_request_t own) {
  static const char *const methods[] = {"GET", "HEAD", "POST", "PUT", "DELETE"};
  http_borrow_request_t request = http_borrow_request(own);
  http_method_t method;
  guest_string_t path = {NULL, 0}, authority;
  http_list_field_value_t question;
  http_method_request_get_method(request, &method);
  CLAIM(http_method_request_get_path_with_query(request, &path));
  CLAIM(http_method_request_get_authority(request, &authority) && authority.len > 0);
  http_own_headers_t headers = http_method_request_get_headers(request);
  http_method_fields_get(http_borrow_fields(headers), TEXT("x-question"), &question);
  http_header_error_t error;
  FAILS_WITH(http_method_fields_delete(http_borrow_fields(headers), TEXT("x-question"), &error), HTTP_HEADER_ERROR_IMMUTABLE);
  http_fields_drop_own(headers);
  char text[256];
  snprintf(text, sizeof text, "%s %.*s %.*s ", method.tag < 5 ? methods[method.tag] : "?", (int)path.len, (char *)path.ptr,
           question.len > 0 ? (int)question.ptr[0].len : 0, question.len > 0 ? (char *)question.ptr[0].ptr : "");

  struct outgoing outgoing;
  trailers_t trailers = http_future_result_option_own_trailers_error_code_new(&outgoing.trailers);
  http_stream_u8_t body = http_stream_u8_new(&outgoing.body);
  http_tuple2_own_response_future_result_void_error_code_t made;
  http_static_response_new(fields_with("x-answer", "yes"), &body, trailers, &made);
  CLAIM(http_method_response_set_status_code(http_borrow_response(made.f0), claims_failed == 0 ? 203 : 500));
  struct incoming incoming = consume_request(own);
  exports_handler_handle_return((exports_handler_result_own_response_error_code_t){.is_err = false, .val.ok = made.f0});

  write_all(http_stream_u8_write, outgoing.body, text, strlen(text));
  char bytes[64];
  size_t got;
  for (bool more = true; more;) {
    more = read_part(http_stream_u8_read, incoming.body, bytes, sizeof bytes, &got);
    write_all(http_stream_u8_write, outgoing.body, bytes, got);
  }
  http_option_own_trailers_t none;
  http_error_code_t code;
  CLAIM(close_incoming(&incoming, &none, &code) && !none.is_some);
  http_own_trailers_t end = fields_with("x-end", "yes");
  finish(&outgoing, &end);
  CLAIM(is_done(made.f1, &code));
}

static bool asks_for(http_borrow_request_t request, const char *path) {
  guest_string_t given;
  return http_method_request_get_path_with_query(request, &given) && is_text(&given, path);
}

guest_callback_code_t exports_handler_handle(exports_handler_own_request_t request) {
  if (asks_for(http_borrow_request(request), "/trap")) __builtin_trap();
  if (asks_for(http_borrow_request(request), "/refuse")) {
    http_request_drop_own(request);
    exports_handler_handle_return((exports_handler_result_own_response_error_code_t){
        .is_err = true, .val.err.tag = HTTP_ERROR_CODE_HTTP_REQUEST_DENIED});
  } else {
    echo(request);
  }
  return GUEST_CALLBACK_CODE_EXIT;
}

/* Nothing is waited for but in the middle of a call. */
guest_callback_code_t exports_handler_handle_callback(guest_event_t *event) {
  CLAIM(event->event == GUEST_EVENT_NONE);
  return GUEST_CALLBACK_CODE_EXIT;
}
