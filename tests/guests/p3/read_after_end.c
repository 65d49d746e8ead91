/* Streams of WASI 0.3: whoever was told that there is no writer any more must not read again.
 *
 * sync: all
 * stdout: reading\n
 * status: 1
 */
#include "command.h"

static void program(void) {
  stdin_tuple2_stream_u8_future_result_void_error_code_t in;
  stdin_read_via_stream(&in);
  CLAIM(reads(stdin_stream_u8_read, in.f0, ""));
  printf("reading\n");
  fflush(stdout);
  uint8_t byte;
  stdin_stream_u8_read(in.f0, &byte, 1);
  printf("came back\n");
}
