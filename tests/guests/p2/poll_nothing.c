/* wasi:io/poll: waiting for nothing would be waiting for ever; the guest is stopped.
 *
 * stdout: polling\n
 * status: 1
 */
#include "claims.h"

int main(void) {
  printf("polling\n");
  fflush(stdout);
  guest_list_u32_t ready;
  poll_list_borrow_pollable_t none = {NULL, 0};
  poll_poll(&none, &ready);
  printf("came back\n");
  return 0;
}
