/* wasi:http/incoming-handler: what a server hears of a request, and each way to answer it. The path says what is to be done.
 *
 * world: proxy
 */
#include "claims.h"

static http_own_outgoing_response_t response_of(uint16_t status, const char *header, const char *text) {
  http_own_fields_t headers = http_constructor_fields();
  http_field_value_t value = {(uint8_t *)text, strlen(text)};
  http_header_error_t error;
  CLAIM(http_method_fields_append(http_borrow_fields(headers), TEXT(header), &value, &error));
  http_own_outgoing_response_t response = http_constructor_outgoing_response(headers);
  CLAIM(http_method_outgoing_response_set_status_code(http_borrow_outgoing_response(response), status));
  return response;
}

static void write_all(http_own_output_stream_t out, guest_list_u8_t bytes) {
  streams_stream_error_t error;
  for (size_t done = 0; done < bytes.len; done += 4096) {
    guest_list_u8_t part = {bytes.ptr + done, bytes.len - done < 4096 ? bytes.len - done : 4096};
    if (!streams_method_output_stream_blocking_write_and_flush(streams_borrow_output_stream(out), &part, &error)) return;
  }
}

/* Answers with the request: method, path, the header `x-question`, then the body as it arrives, and a trailer. */
static void echo(http_borrow_incoming_request_t request, http_own_output_stream_t out) {
  static const char *const methods[] = {"GET", "HEAD", "POST", "PUT", "DELETE"};
  http_method_t method;
  guest_string_t path = {NULL, 0};
  http_list_field_value_t question;
  http_method_incoming_request_method(request, &method);
  CLAIM(http_method_incoming_request_path_with_query(request, &path));
  http_own_headers_t headers = http_method_incoming_request_headers(request);
  http_method_fields_get(http_borrow_fields(headers), TEXT("x-question"), &question);
  char text[256];
  snprintf(text, sizeof text, "%s %.*s %.*s ", method.tag < 5 ? methods[method.tag] : "?", (int)path.len, (char *)path.ptr,
           question.len > 0 ? (int)question.ptr[0].len : 0, question.len > 0 ? (char *)question.ptr[0].ptr : "");
  write_all(out, *BYTES(text));
  http_fields_drop_own(headers);

  http_own_incoming_body_t body;
  http_own_input_stream_t in;
  NEED(http_method_incoming_request_consume(request, &body));
  NEED(http_method_incoming_body_stream(http_borrow_incoming_body(body), &in));
  guest_list_u8_t bytes;
  streams_stream_error_t error;
  while (streams_method_input_stream_blocking_read(streams_borrow_input_stream(in), 65536, &bytes, &error)) {
    write_all(out, bytes);
    guest_list_u8_free(&bytes);
  }
  CLAIM(error.tag == STREAMS_STREAM_ERROR_CLOSED);
  streams_input_stream_drop_own(in);
  http_future_trailers_drop_own(http_static_incoming_body_finish(body));
}

/* Whether what a server may rely on holds for this request. */
static void look_at(http_borrow_incoming_request_t request) {
  guest_string_t authority;
  http_scheme_t scheme;
  CLAIM(http_method_incoming_request_authority(request, &authority) && authority.len > 0);
  CLAIM(http_method_incoming_request_scheme(request, &scheme) && scheme.tag == HTTP_SCHEME_HTTP);
  http_own_headers_t headers = http_method_incoming_request_headers(request);
  http_header_error_t error;
  CLAIM(!http_method_fields_delete(http_borrow_fields(headers), TEXT("x-question"), &error));
  CLAIM(error.tag == HTTP_HEADER_ERROR_IMMUTABLE);
  CLAIM(!http_method_fields_has(http_borrow_fields(headers), TEXT("connection")));
  http_fields_drop_own(headers);
}

void exports_incoming_handler_handle(exports_incoming_handler_own_incoming_request_t own,
                                     exports_incoming_handler_own_response_outparam_t out) {
  http_borrow_incoming_request_t request = http_borrow_incoming_request(own);
  look_at(request);
  guest_string_t path = {NULL, 0};
  CLAIM(http_method_incoming_request_path_with_query(request, &path));
  bool refuses = path.len == 7 && memcmp(path.ptr, "/refuse", 7) == 0;
  bool forgets = path.len == 7 && memcmp(path.ptr, "/forget", 7) == 0;
  bool traps = path.len == 5 && memcmp(path.ptr, "/trap", 5) == 0;
  if (traps) __builtin_trap();
  if (forgets) return; /* the response is never given */
  http_result_own_outgoing_response_error_code_t result = {.is_err = refuses};
  if (refuses) {
    result.val.err = (http_error_code_t){.tag = HTTP_ERROR_CODE_HTTP_REQUEST_DENIED};
    http_static_response_outparam_set(out, &result);
    return;
  }
  http_own_outgoing_response_t response = response_of(claims_failed == 0 ? 203 : 500, "x-answer", "yes");
  http_own_outgoing_body_t body;
  http_own_output_stream_t stream;
  NEED(http_method_outgoing_response_body(http_borrow_outgoing_response(response), &body));
  NEED(http_method_outgoing_body_write(http_borrow_outgoing_body(body), &stream));
  result.val.ok = response;
  http_static_response_outparam_set(out, &result);
  echo(request, stream);
  streams_output_stream_drop_own(stream);
  http_error_code_t code;
  CLAIM(http_static_outgoing_body_finish(body, NULL, &code));
  http_incoming_request_drop_own(own);
}
