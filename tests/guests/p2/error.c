/* wasi:io/error: what a failed stream operation says, as text and as a code of the filesystem.
 *
 * options: --http --dir SCRATCH::/data
 */
#include "claims.h"

int main(void) {
  preopens_list_tuple2_own_descriptor_string_t given;
  preopens_get_directories(&given);
  NEED(given.len == 1);
  filesystem_own_descriptor_t file;
  filesystem_error_code_t code;
  NEED(filesystem_method_descriptor_open_at(filesystem_borrow_descriptor(given.ptr[0].f0), 0, TEXT("file"),
                                            FILESYSTEM_OPEN_FLAGS_CREATE, FILESYSTEM_DESCRIPTOR_FLAGS_WRITE, &file, &code));
  streams_own_output_stream_t stream;
  NEED(filesystem_method_descriptor_write_via_stream(filesystem_borrow_descriptor(file), UINT64_MAX, &stream, &code));
  streams_borrow_output_stream_t out = streams_borrow_output_stream(stream);

  /* No file is that long. */
  streams_stream_error_t error;
  NEED(!streams_method_output_stream_blocking_write_and_flush(out, BYTES("x"), &error));
  NEED(error.tag == STREAMS_STREAM_ERROR_LAST_OPERATION_FAILED);
  error_borrow_error_t failure = error_borrow_error(error.val.last_operation_failed);
  guest_string_t text;
  error_method_error_to_debug_string(failure, &text);
  CLAIM(text.len > 0);
  guest_string_free(&text);
  CLAIM(filesystem_filesystem_error_code(failure, &code));
  CLAIM(code == FILESYSTEM_ERROR_CODE_INVALID || code == FILESYSTEM_ERROR_CODE_FILE_TOO_LARGE ||
        code == FILESYSTEM_ERROR_CODE_OVERFLOW);
  http_error_code_t http;
  CLAIM(!http_http_error_code(failure, &http)); /* it is no error of HTTP */
  error_error_drop_own(error.val.last_operation_failed);

  /* After the error the stream is closed. */
  uint64_t permitted;
  CLAIM(!streams_method_output_stream_check_write(out, &permitted, &error) && error.tag == STREAMS_STREAM_ERROR_CLOSED);
  CLAIM(!streams_method_output_stream_blocking_write_and_flush(out, BYTES("x"), &error));
  CLAIM(error.tag == STREAMS_STREAM_ERROR_CLOSED);
  streams_own_pollable_t ready = streams_method_output_stream_subscribe(out);
  CLAIM(poll_method_pollable_ready(poll_borrow_pollable(ready)));
  poll_pollable_drop_own(ready);
  streams_output_stream_drop_own(stream);
  return claims_result();
}
