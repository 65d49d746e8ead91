/* wasi:clocks/monotonic-clock: it never goes back, and what waits for it waits long enough. */
#include "claims.h"

static void it_never_goes_back(void) {
  uint64_t last = monotonic_clock_now();
  bool backwards = false;
  for (int i = 0; i < 1000; i++) {
    uint64_t now = monotonic_clock_now();
    backwards = backwards || now < last;
    last = now;
  }
  CLAIM(!backwards);
  CLAIM(monotonic_clock_resolution() > 0 && monotonic_clock_resolution() <= SECOND);
}

/* Waits, and says after how long it was ready. */
static uint64_t waited(monotonic_clock_own_pollable_t pollable, uint64_t since) {
  poll_borrow_pollable_t borrowed = poll_borrow_pollable(pollable);
  poll_method_pollable_block(borrowed);
  uint64_t elapsed = monotonic_clock_now() - since;
  CLAIM(poll_method_pollable_ready(borrowed));
  poll_pollable_drop_own(pollable);
  return elapsed;
}

static void a_duration_passes(void) {
  uint64_t start = monotonic_clock_now();
  monotonic_clock_own_pollable_t pollable = monotonic_clock_subscribe_duration(30 * MILLISECOND);
  CLAIM(!poll_method_pollable_ready(poll_borrow_pollable(pollable)));
  uint64_t elapsed = waited(pollable, start);
  CLAIM(elapsed >= 30 * MILLISECOND && elapsed < 10 * SECOND);
}

static void an_instant_comes(void) {
  uint64_t start = monotonic_clock_now();
  CLAIM(waited(monotonic_clock_subscribe_instant(start + 20 * MILLISECOND), start) >= 20 * MILLISECOND);
  /* Those that have passed, and no time at all, are ready from the beginning. */
  start = monotonic_clock_now();
  waited(monotonic_clock_subscribe_instant(0), start);
  waited(monotonic_clock_subscribe_instant(start), start);
  CLAIM(waited(monotonic_clock_subscribe_duration(0), start) < 10 * SECOND);
}

static void the_end_of_time_does_not_come(void) {
  monotonic_clock_own_pollable_t never = monotonic_clock_subscribe_instant(UINT64_MAX);
  monotonic_clock_own_pollable_t long_from_now = monotonic_clock_subscribe_duration(UINT64_MAX);
  CLAIM(!poll_method_pollable_ready(poll_borrow_pollable(never)));
  CLAIM(!poll_method_pollable_ready(poll_borrow_pollable(long_from_now)));
  poll_pollable_drop_own(never);
  poll_pollable_drop_own(long_from_now);
}

int main(void) {
  it_never_goes_back();
  a_duration_passes();
  an_instant_comes();
  the_end_of_time_does_not_come();
  return claims_result();
}
