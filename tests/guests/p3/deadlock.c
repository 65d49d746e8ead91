/* wasi:cli/run of 0.3: a program that waits for itself is told, and does not wait for ever.
 *
 * sync: all
 * stdout: waiting\n
 * status: 134
 */
#include "command.h"

static void program(void) {
  stdin_stream_u8_writer_t writer;
  stdin_stream_u8_t reader = stdin_stream_u8_new(&writer);
  printf("waiting\n");
  fflush(stdout);
  uint8_t byte;
  settled(stdin_stream_u8_read(reader, &byte, 1), reader);
  printf("came back\n");
}
