/* wasi:cli/exit, `exit`: with success, whatever would have been returned later.
 *
 * stdout: leaving\n
 */
#include "claims.h"

int main(void) {
  printf("leaving\n");
  fflush(stdout);
  exit_result_void_void_t success = {.is_err = false};
  exit_exit(&success);
  printf("came back\n");
  return 3;
}
