/* wasi:cli/exit, `exit`: it does not come back, and the host sees failure.
 *
 * stdout: leaving\n
 * status: 1
 */
#include "claims.h"

int main(void) {
  printf("leaving\n");
  fflush(stdout);
  exit_result_void_void_t failure = {.is_err = true};
  exit_exit(&failure);
  printf("came back\n");
  return 0;
}
