/* wasi:http/types: fields, requests and responses, before anything is sent.
 *
 * options: --http
 */
#include "claims.h"

static http_header_error_t header_error;

#define REFUSES(call, expected) CLAIM(!(call) && header_error.tag == (expected))

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
  http_own_fields_t own = http_constructor_fields();
  http_borrow_fields_t fields = http_borrow_fields(own);
  http_field_value_t one = value("one"), two = value("two");
  CLAIM(values(fields, "x-a", "") == 0 && !http_method_fields_has(fields, TEXT("x-a")));
  CLAIM(http_method_fields_append(fields, TEXT("X-A"), &one, &header_error));
  CLAIM(http_method_fields_append(fields, TEXT("x-a"), &two, &header_error));
  CLAIM(values(fields, "x-A", "one") == 2 && http_method_fields_has(fields, TEXT("X-a")));
  http_list_field_value_t only_two = {&two, 1};
  CLAIM(http_method_fields_set(fields, TEXT("x-a"), &only_two, &header_error) && values(fields, "x-a", "two") == 1);

  http_own_fields_t copy = http_method_fields_clone(fields);
  CLAIM(http_method_fields_delete(fields, TEXT("x-a"), &header_error) && values(fields, "x-a", "") == 0);
  CLAIM(http_method_fields_delete(fields, TEXT("x-a"), &header_error));
  CLAIM(values(http_borrow_fields(copy), "x-a", "two") == 1);
  http_list_tuple2_field_name_field_value_t entries;
  http_method_fields_entries(http_borrow_fields(copy), &entries);
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
    REFUSES(http_method_fields_append(fields, TEXT(names[i]), &good, &header_error), HTTP_HEADER_ERROR_INVALID_SYNTAX);
  }
  REFUSES(http_method_fields_append(fields, TEXT("x-a"), &line, &header_error), HTTP_HEADER_ERROR_INVALID_SYNTAX);
  REFUSES(http_method_fields_append(fields, TEXT("x-a"), &zero, &header_error), HTTP_HEADER_ERROR_INVALID_SYNTAX);
  static const char *const forbidden[] = {"connection", "Keep-Alive", "transfer-encoding", "upgrade", "host"};
  for (size_t i = 0; i < sizeof forbidden / sizeof *forbidden; i++) {
    REFUSES(http_method_fields_append(fields, TEXT(forbidden[i]), &good, &header_error), HTTP_HEADER_ERROR_FORBIDDEN);
  }
  http_tuple2_field_name_field_value_t entry = {*TEXT("host"), good};
  http_list_tuple2_field_name_field_value_t list = {&entry, 1};
  http_own_fields_t made;
  REFUSES(http_static_fields_from_list(&list, &made, &header_error), HTTP_HEADER_ERROR_FORBIDDEN);
  entry.f0 = *TEXT("x-b");
  CLAIM(http_static_fields_from_list(&list, &made, &header_error));
  CLAIM(values(http_borrow_fields(made), "x-b", "good") == 1);
  http_fields_drop_own(made);
  http_fields_drop_own(own);
}

static void requests_are_put_together(void) {
  http_own_outgoing_request_t own = http_constructor_outgoing_request(http_constructor_fields());
  http_borrow_outgoing_request_t request = http_borrow_outgoing_request(own);
  http_method_t method;
  guest_string_t text;
  http_scheme_t scheme;
  http_method_outgoing_request_method(request, &method);
  CLAIM(method.tag == HTTP_METHOD_GET);
  method.tag = HTTP_METHOD_PATCH;
  CLAIM(http_method_outgoing_request_set_method(request, &method));
  method = (http_method_t){.tag = HTTP_METHOD_OTHER, .val.other = *TEXT("not a method")};
  CLAIM(!http_method_outgoing_request_set_method(request, &method));
  http_method_outgoing_request_method(request, &method);
  CLAIM(method.tag == HTTP_METHOD_PATCH);
  CLAIM(!http_method_outgoing_request_path_with_query(request, &text));
  CLAIM(http_method_outgoing_request_set_path_with_query(request, TEXT("/a?b=c")));
  CLAIM(!http_method_outgoing_request_set_path_with_query(request, TEXT("/a b")));
  CLAIM(http_method_outgoing_request_path_with_query(request, &text) && is_text(&text, "/a?b=c"));
  CLAIM(!http_method_outgoing_request_scheme(request, &scheme));
  scheme.tag = HTTP_SCHEME_HTTPS;
  CLAIM(http_method_outgoing_request_set_scheme(request, &scheme));
  CLAIM(http_method_outgoing_request_scheme(request, &scheme) && scheme.tag == HTTP_SCHEME_HTTPS);
  CLAIM(http_method_outgoing_request_set_authority(request, TEXT("example.com:8080")));
  CLAIM(!http_method_outgoing_request_set_authority(request, TEXT("no authority/")));
  CLAIM(http_method_outgoing_request_authority(request, &text) && is_text(&text, "example.com:8080"));

  /* Its headers are there to be read only. */
  http_own_headers_t headers = http_method_outgoing_request_headers(request);
  http_field_value_t late = value("late");
  REFUSES(http_method_fields_append(http_borrow_fields(headers), TEXT("x-a"), &late, &header_error),
          HTTP_HEADER_ERROR_IMMUTABLE);
  http_fields_drop_own(headers);
  http_own_outgoing_body_t body, second;
  NEED(http_method_outgoing_request_body(request, &body));
  CLAIM(!http_method_outgoing_request_body(request, &second));
  http_own_output_stream_t stream, another;
  NEED(http_method_outgoing_body_write(http_borrow_outgoing_body(body), &stream));
  CLAIM(!http_method_outgoing_body_write(http_borrow_outgoing_body(body), &another));
  streams_output_stream_drop_own(stream);
  http_outgoing_body_drop_own(body);
  http_outgoing_request_drop_own(own);
}

static void responses_and_options_are_put_together(void) {
  http_own_outgoing_response_t own = http_constructor_outgoing_response(http_constructor_fields());
  http_borrow_outgoing_response_t response = http_borrow_outgoing_response(own);
  CLAIM(http_method_outgoing_response_status_code(response) == 200);
  CLAIM(http_method_outgoing_response_set_status_code(response, 418));
  CLAIM(!http_method_outgoing_response_set_status_code(response, 99));
  CLAIM(http_method_outgoing_response_status_code(response) == 418);
  http_outgoing_response_drop_own(own);

  http_own_request_options_t options = http_constructor_request_options();
  http_borrow_request_options_t o = http_borrow_request_options(options);
  http_duration_t duration = 5 * SECOND;
  CLAIM(!http_method_request_options_connect_timeout(o, &duration));
  CLAIM(http_method_request_options_set_connect_timeout(o, &(http_duration_t){SECOND}));
  CLAIM(http_method_request_options_connect_timeout(o, &duration) && duration == SECOND);
  CLAIM(http_method_request_options_set_first_byte_timeout(o, &(http_duration_t){2 * SECOND}));
  CLAIM(http_method_request_options_first_byte_timeout(o, &duration) && duration == 2 * SECOND);
  CLAIM(http_method_request_options_set_between_bytes_timeout(o, &(http_duration_t){3 * SECOND}));
  CLAIM(http_method_request_options_set_between_bytes_timeout(o, NULL));
  CLAIM(!http_method_request_options_between_bytes_timeout(o, &duration));
  http_request_options_drop_own(options);
}

int main(void) {
  fields_are_lists_by_name();
  what_breaks_the_protocol_is_refused();
  requests_are_put_together();
  responses_and_options_are_put_together();
  return claims_result();
}
