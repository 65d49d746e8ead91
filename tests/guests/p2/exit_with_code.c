/* wasi:cli/exit, `exit-with-code`: the host sees the code.
 *
 * stdout: leaving\n
 * status: 42
 * differs: 44.0.0 has no exit-with-code
 */
#include "claims.h"

int main(void) {
  printf("leaving\n");
  fflush(stdout);
  exit_exit_with_code(42);
  printf("came back\n");
  return 0;
}
