/* wasi:cli/stdin, stdout and stderr of 0.3: streams, and futures that tell how they ended.
 *
 * sync: all
 * stdin: one line\nand another\n
 * stdout: to stdout, again\n
 * stderr: to stderr\n
 */
#include "command.h"

static bool all_well(stdin_future_result_void_error_code_t future) {
  stdin_result_void_error_code_t result = {.is_err = true};
  guest_waitable_status_t status = settled(stdin_future_result_void_error_code_read(future, &result), future);
  stdin_future_result_void_error_code_drop_readable(future);
  return GUEST_WAITABLE_STATE(status) == GUEST_WAITABLE_COMPLETED && !result.is_err;
}

static void stdin_is_read_to_its_end(void) {
  stdin_tuple2_stream_u8_future_result_void_error_code_t in;
  stdin_read_via_stream(&in);
  char few[4];
  CLAIM(read_all(stdin_stream_u8_read, in.f0, few, sizeof few) == 4 && memcmp(few, "one ", 4) == 0);
  CLAIM(reads(stdin_stream_u8_read, in.f0, "line\nand another\n"));
  stdin_stream_u8_drop_readable(in.f0);
  CLAIM(all_well(in.f1));

  /* Another stream begins where that one ended. */
  stdin_read_via_stream(&in);
  CLAIM(reads(stdin_stream_u8_read, in.f0, ""));
  stdin_stream_u8_drop_readable(in.f0);
  CLAIM(all_well(in.f1));
}

static void a_stream_that_is_dropped_at_once_is_no_failure(void) {
  stdin_tuple2_stream_u8_future_result_void_error_code_t in;
  stdin_read_via_stream(&in);
  stdin_stream_u8_drop_readable(in.f0);
  CLAIM(all_well(in.f1));
}

typedef uint32_t write_via_stream_t(uint32_t stream);

static void write_to(write_via_stream_t *write_via_stream, const char *text) {
  stdin_stream_u8_writer_t writer;
  uint32_t future = write_via_stream(stdin_stream_u8_new(&writer));
  CLAIM(write_all(stdin_stream_u8_write, writer, text, strlen(text)) == strlen(text));
  stdin_stream_u8_drop_writable(writer);
  CLAIM(all_well(future));
}

static void program(void) {
  a_stream_that_is_dropped_at_once_is_no_failure();
  stdin_is_read_to_its_end();
  write_to(stdout_write_via_stream, "to stdout");
  write_to(stdout_write_via_stream, "");
  write_to(stdout_write_via_stream, ", again\n");
  write_to(stderr_write_via_stream, "to stderr\n");
}
