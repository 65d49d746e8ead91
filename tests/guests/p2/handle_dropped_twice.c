/* Resources of WASI 0.2: a handle that was dropped is none any more.
 *
 * stdout: dropping\n
 * status: 1
 */
#include "claims.h"

int main(void) {
  printf("dropping\n");
  fflush(stdout);
  poll_own_pollable_t pollable = monotonic_clock_subscribe_duration(SECOND);
  poll_pollable_drop_own(pollable);
  poll_pollable_drop_own(pollable);
  printf("came back\n");
  return 0;
}
