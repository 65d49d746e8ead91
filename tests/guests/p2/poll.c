/* wasi:io/poll: all that are ready are named by their places in the list, and one that is not ready is waited for. */
#include "claims.h"

static poll_own_pollable_t after(uint64_t duration) { return monotonic_clock_subscribe_duration(duration); }

/* Whether polling `list` names exactly the places whose bits are in `expected`. */
static bool polls(poll_borrow_pollable_t *list, size_t length, unsigned expected) {
  guest_list_u32_t ready;
  poll_list_borrow_pollable_t in = {list, length};
  poll_poll(&in, &ready);
  unsigned found = 0;
  for (size_t i = 0; i < ready.len; i++) {
    CLAIM(ready.ptr[i] < length && (found & 1u << ready.ptr[i]) == 0);
    found |= 1u << ready.ptr[i];
  }
  guest_list_u32_free(&ready);
  return found == expected;
}

int main(void) {
  poll_own_pollable_t at_once = after(0), soon = after(30 * MILLISECOND), late = after(3600 * SECOND);
  poll_borrow_pollable_t list[] = {poll_borrow_pollable(late), poll_borrow_pollable(at_once), poll_borrow_pollable(soon),
                                   poll_borrow_pollable(at_once)};
  CLAIM(polls(list, 2, 1u << 1));
  CLAIM(!poll_method_pollable_ready(list[0]));

  /* The same one twice: both places. */
  CLAIM(polls((poll_borrow_pollable_t[]){list[1], list[0], list[1]}, 3, 1u << 0 | 1u << 2));

  /* None is ready: it waits for the first. */
  uint64_t start = monotonic_clock_now();
  poll_own_pollable_t pause = after(20 * MILLISECOND);
  CLAIM(polls((poll_borrow_pollable_t[]){list[0], poll_borrow_pollable(pause)}, 2, 1u << 1));
  CLAIM(monotonic_clock_now() - start >= 20 * MILLISECOND);
  poll_pollable_drop_own(pause);

  /* What was ready stays ready: readiness is a state, not an event. */
  poll_method_pollable_block(list[2]);
  CLAIM(poll_method_pollable_ready(list[2]) && poll_method_pollable_ready(list[2]));
  CLAIM(polls(list, 4, 1u << 1 | 1u << 2 | 1u << 3));

  poll_pollable_drop_own(at_once);
  poll_pollable_drop_own(soon);
  poll_pollable_drop_own(late);
  return claims_result();
}
