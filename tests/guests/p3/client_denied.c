/* wasi:http/client of 0.3 where only some hosts may be reached: nobody else is asked.
 *
 * sync: all
 * options: --http --allow-net 127.0.0.1:1 --env ADDRESS=SERVER
 */
#include "command.h"
#include "messages.h"

/* The error of a request to this host. */
static uint8_t error_of(const char *authority) {
  struct outgoing outgoing;
  trailers_t trailers = http_future_result_option_own_trailers_error_code_new(&outgoing.trailers);
  http_tuple2_own_request_future_result_void_error_code_t made;
  http_static_request_new(http_constructor_fields(), NULL, trailers, NULL, &made);
  CLAIM(http_method_request_set_scheme(http_borrow_request(made.f0), &(http_scheme_t){.tag = HTTP_SCHEME_HTTP}));
  CLAIM(http_method_request_set_authority(http_borrow_request(made.f0), TEXT(authority)));
  http_own_response_t response;
  http_error_code_t code = {.tag = UINT8_MAX};
  CLAIM(!client_send(made.f0, &response, &code));
  http_future_result_void_error_code_drop_readable(made.f1);
  http_result_option_own_trailers_error_code_t none = {.is_err = false, .val.ok.is_some = false};
  settled(http_future_result_option_own_trailers_error_code_write(outgoing.trailers, &none), outgoing.trailers);
  http_future_result_option_own_trailers_error_code_drop_writable(outgoing.trailers);
  return code.tag;
}

static void program(void) {
  NEED(getenv("ADDRESS") != NULL);
  CLAIM(error_of(getenv("ADDRESS")) == HTTP_ERROR_CODE_HTTP_REQUEST_DENIED);
  CLAIM(error_of("localhost:1") == HTTP_ERROR_CODE_HTTP_REQUEST_DENIED);
  CLAIM(error_of("127.0.0.1:1") == HTTP_ERROR_CODE_CONNECTION_REFUSED); /* which was permitted */
}
