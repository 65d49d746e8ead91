/* wasi:cli/exit of 0.3, `exit`: failure is status 1.
 *
 * sync: all
 * status: 1
 */
#include "command.h"

static void program(void) {
  exit_exit(&(exit_result_void_void_t){.is_err = true});
  printf("came back\n");
}
