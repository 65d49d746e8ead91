/* wasi:cli/stdin, stdout and stderr: streams of bytes, the same ones however often they are asked for.
 *
 * stdin: one line\nand another\n
 * stdout: to stdout, again\n
 * stderr: to stderr\n
 */
#include "claims.h"

static void write_to(streams_own_output_stream_t stream, const char *text) {
  streams_stream_error_t error;
  CLAIM(streams_method_output_stream_blocking_write_and_flush(streams_borrow_output_stream(stream), BYTES(text), &error));
  streams_output_stream_drop_own(stream);
}

static void stdin_ends(void) {
  static const char expected[] = "one line\nand another\n";
  streams_own_input_stream_t in = stdin_get_stdin();
  streams_stream_error_t error;
  guest_list_u8_t bytes;
  size_t got = 0;
  while (streams_method_input_stream_blocking_read(streams_borrow_input_stream(in), 5, &bytes, &error)) {
    CLAIM(bytes.len >= 1 && bytes.len <= 5);
    if (!CLAIM(got + bytes.len <= strlen(expected))) break;
    CLAIM(memcmp(bytes.ptr, expected + got, bytes.len) == 0);
    got += bytes.len;
    guest_list_u8_free(&bytes);
  }
  CLAIM(got == strlen(expected));
  CLAIM(error.tag == STREAMS_STREAM_ERROR_CLOSED);
  CLAIM(!streams_method_input_stream_read(streams_borrow_input_stream(in), 1, &bytes, &error));
  CLAIM(error.tag == STREAMS_STREAM_ERROR_CLOSED);
  streams_input_stream_drop_own(in);

  /* Dropping the handle is not what ended it: it stays at its end for the next one, too. */
  in = stdin_get_stdin();
  CLAIM(!streams_method_input_stream_blocking_read(streams_borrow_input_stream(in), 1, &bytes, &error));
  CLAIM(error.tag == STREAMS_STREAM_ERROR_CLOSED);
  streams_input_stream_drop_own(in);
}

int main(void) {
  stdin_ends();
  write_to(stdout_get_stdout(), "to stdout");
  write_to(stdout_get_stdout(), ", again\n");
  write_to(stderr_get_stderr(), "to stderr\n");
  return claims_result();
}
