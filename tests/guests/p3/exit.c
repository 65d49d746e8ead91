/* wasi:cli/exit of 0.3: it ends the program from inside of an asynchronous call, and does not come back.
 *
 * sync: all
 * stdout: leaving\n
 * status: 42
 */
#include "command.h"

static void program(void) {
  monotonic_clock_wait_for(MILLISECOND);
  printf("leaving\n");
  fflush(stdout);
  exit_exit_with_code(42);
  printf("came back\n");
}
