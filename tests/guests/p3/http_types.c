/* wasi:http/types of 0.3: fields, requests and responses, before anything is sent.
 *
 * sync: all
 * options: --http
 */
#include "command.h"
#include "messages.h"

static http_header_error_t error;

static http_field_value_t value(const char *text) { return (http_field_value_t){(uint8_t *)text, strlen(text)}; }

/* How many values `name` has; the first one must be `first`. */
static size_t values(http_borrow_fields_t fields, const char *name, const char *first) {
  http_list_field_value_t list;
  http_method_fields_get(fields, TEXT(name), &list);
  size_t count = list.len;
  if (count > 0) CLAIM(list.ptr[0].len == strlen(first) && memcmp(list.ptr[0].ptr, first, list.ptr[0].len) == 0);
  http_list_field_value_free(&list);
  return count;
}

static void fields_are_lists_by_name(void) {
  http_own_fields_t own = fields_with("X-A", "one");
  http_borrow_fields_t fields = http_borrow_fields(own);
  http_field_value_t two = value("two");
  CLAIM(http_method_fields_append(fields, TEXT("x-a"), &two, &error));
  CLAIM(values(fields, "x-A", "one") == 2 && http_method_fields_has(fields, TEXT("X-a")));
  http_list_field_value_t only_two = {&two, 1}, taken;
  CLAIM(http_method_fields_set(fields, TEXT("x-a"), &only_two, &error) && values(fields, "x-a", "two") == 1);
  http_own_fields_t copy = http_method_fields_clone(fields);
  CLAIM(http_method_fields_get_and_delete(fields, TEXT("x-a"), &taken, &error) && taken.len == 1);
  http_list_field_value_free(&taken);
  CLAIM(values(fields, "x-a", "") == 0 && values(http_borrow_fields(copy), "x-a", "two") == 1);
  CLAIM(http_method_fields_delete(fields, TEXT("x-a"), &error));
  http_list_tuple2_field_name_field_value_t entries;
  http_method_fields_copy_all(http_borrow_fields(copy), &entries);
  CLAIM(entries.len == 1 && entries.ptr[0].f0.len == 3 && entries.ptr[0].f1.len == 3);
  http_list_tuple2_field_name_field_value_free(&entries);
  http_fields_drop_own(copy);
  http_fields_drop_own(own);
}

static void what_breaks_the_protocol_is_refused(void) {
  http_own_fields_t own = http_constructor_fields();
  http_borrow_fields_t fields = http_borrow_fields(own);
  http_field_value_t good = value("good"), line = value("two\r\nlines"), zero = {(uint8_t *)"a\0b", 3};
  static const char *const names[] = {"", "with space", "colon:", "new\nline", "\xc3\xbc"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    FAILS_WITH(http_method_fields_append(fields, TEXT(names[i]), &good, &error), HTTP_HEADER_ERROR_INVALID_SYNTAX);
  }
  FAILS_WITH(http_method_fields_append(fields, TEXT("x-a"), &line, &error), HTTP_HEADER_ERROR_INVALID_SYNTAX);
  FAILS_WITH(http_method_fields_append(fields, TEXT("x-a"), &zero, &error), HTTP_HEADER_ERROR_INVALID_SYNTAX);
  static const char *const forbidden[] = {"connection", "Keep-Alive", "transfer-encoding", "upgrade", "host"};
  for (size_t i = 0; i < sizeof forbidden / sizeof *forbidden; i++) {
    FAILS_WITH(http_method_fields_append(fields, TEXT(forbidden[i]), &good, &error), HTTP_HEADER_ERROR_FORBIDDEN);
  }
  http_fields_drop_own(own);

  /* No list is longer than what a host may hold for a guest. */
  own = http_constructor_fields();
  static char large[10000];
  memset(large, 'x', sizeof large - 1);
  http_field_value_t much = value(large);
  bool fits = true;
  for (int i = 0; i < 1000 && fits; i++) fits = http_method_fields_append(http_borrow_fields(own), TEXT("x-l"), &much, &error);
  CLAIM(!fits && error.tag == HTTP_HEADER_ERROR_SIZE_EXCEEDED);
  http_fields_drop_own(own);
}

static void requests_are_put_together(void) {
  struct outgoing outgoing;
  trailers_t trailers = http_future_result_option_own_trailers_error_code_new(&outgoing.trailers);
  http_stream_u8_t body = http_stream_u8_new(&outgoing.body);
  http_own_request_options_t options = http_constructor_request_options();
  http_request_options_error_t options_error;
  http_duration_t duration = 0, five = 5 * SECOND;
  CLAIM(!http_method_request_options_get_connect_timeout(http_borrow_request_options(options), &duration));
  CLAIM(http_method_request_options_set_connect_timeout(http_borrow_request_options(options), &five, &options_error));
  http_tuple2_own_request_future_result_void_error_code_t made;
  http_static_request_new(fields_with("x-a", "b"), &body, trailers, &options, &made);
  http_borrow_request_t request = http_borrow_request(made.f0);

  http_method_t method;
  guest_string_t text;
  http_scheme_t scheme;
  http_method_request_get_method(request, &method);
  CLAIM(method.tag == HTTP_METHOD_GET);
  CLAIM(http_method_request_set_method(request, &(http_method_t){.tag = HTTP_METHOD_PATCH}));
  CLAIM(!http_method_request_set_method(request, &(http_method_t){.tag = HTTP_METHOD_OTHER, .val.other = *TEXT("not one")}));
  http_method_request_get_method(request, &method);
  CLAIM(method.tag == HTTP_METHOD_PATCH);
  CLAIM(!http_method_request_get_path_with_query(request, &text) && !http_method_request_get_authority(request, &text));
  CLAIM(http_method_request_set_path_with_query(request, TEXT("/a?b=c")));
  CLAIM(!http_method_request_set_path_with_query(request, TEXT("/a b")));
  CLAIM(http_method_request_get_path_with_query(request, &text) && is_text(&text, "/a?b=c"));
  CLAIM(http_method_request_set_scheme(request, &(http_scheme_t){.tag = HTTP_SCHEME_HTTPS}));
  CLAIM(http_method_request_get_scheme(request, &scheme) && scheme.tag == HTTP_SCHEME_HTTPS);
  CLAIM(http_method_request_set_authority(request, TEXT("example.com:8080")));
  CLAIM(!http_method_request_set_authority(request, TEXT("no authority/")));
  CLAIM(http_method_request_get_authority(request, &text) && is_text(&text, "example.com:8080"));

  /* Its parts are there to be read only. */
  http_own_headers_t headers = http_method_request_get_headers(request);
  http_field_value_t late = value("late");
  FAILS_WITH(http_method_fields_append(http_borrow_fields(headers), TEXT("x-a"), &late, &error), HTTP_HEADER_ERROR_IMMUTABLE);
  CLAIM(values(http_borrow_fields(headers), "x-a", "b") == 1);
  http_fields_drop_own(headers);
  NEED(http_method_request_get_options(request, &options));
  CLAIM(http_method_request_options_get_connect_timeout(http_borrow_request_options(options), &duration) &&
        duration == 5 * SECOND);
  CLAIM(!http_method_request_options_set_connect_timeout(http_borrow_request_options(options), NULL, &options_error) &&
        options_error.tag == HTTP_REQUEST_OPTIONS_ERROR_IMMUTABLE);
  http_own_request_options_t copy = http_method_request_options_clone(http_borrow_request_options(options));
  CLAIM(http_method_request_options_set_connect_timeout(http_borrow_request_options(copy), NULL, &options_error));
  http_request_options_drop_own(copy);
  http_request_options_drop_own(options);

  /* Without having been sent its body can be read here. */
  struct incoming incoming = consume_request(made.f0);
  uint8_t byte = 0;
  guest_waitable_status_t reading = http_stream_u8_read(incoming.body, &byte, 1);
  CLAIM(write_all(http_stream_u8_write, outgoing.body, "z", 1) == 1);
  reading = settled(reading, incoming.body);
  CLAIM(GUEST_WAITABLE_COUNT(reading) == 1 && byte == 'z');
  http_stream_u8_drop_readable(incoming.body);
  http_future_result_option_own_trailers_error_code_drop_readable(incoming.trailers);
  finish(&outgoing, NULL);
  http_result_void_error_code_t fine = {.is_err = false};
  settled(http_future_result_void_error_code_write(incoming.done, &fine), incoming.done);
  http_future_result_void_error_code_drop_writable(incoming.done);
  http_future_result_void_error_code_drop_readable(made.f1);
}

static void responses_are_put_together(void) {
  struct outgoing outgoing;
  trailers_t trailers = http_future_result_option_own_trailers_error_code_new(&outgoing.trailers);
  http_stream_u8_t body = http_stream_u8_new(&outgoing.body);
  http_tuple2_own_response_future_result_void_error_code_t made;
  http_static_response_new(fields_with("x-a", "b"), &body, trailers, &made);
  http_borrow_response_t response = http_borrow_response(made.f0);
  CLAIM(http_method_response_get_status_code(response) == 200);
  CLAIM(http_method_response_set_status_code(response, 418));
  CLAIM(!http_method_response_set_status_code(response, 99));
  CLAIM(http_method_response_get_status_code(response) == 418);
  http_response_drop_own(made.f0); /* which nobody gets */
  finish(&outgoing, NULL);
  http_future_result_void_error_code_drop_readable(made.f1);
}

static void program(void) {
  fields_are_lists_by_name();
  what_breaks_the_protocol_is_refused();
  requests_are_put_together();
  responses_are_put_together();
}
