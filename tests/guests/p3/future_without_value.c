/* Futures of WASI 0.3: who has promised a value, and goes without having given it, is stopped.
 *
 * sync: all
 * stdout: breaking a promise\n
 * status: 1
 */
#include "command.h"

static void program(void) {
  http_future_result_void_error_code_writer_t writer;
  http_future_result_void_error_code_new(&writer);
  printf("breaking a promise\n");
  fflush(stdout);
  http_future_result_void_error_code_drop_writable(writer);
  printf("came back\n");
}
