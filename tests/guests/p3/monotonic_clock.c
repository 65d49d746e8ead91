/* wasi:clocks/monotonic-clock of 0.3: waiting, one call after another.
 *
 * sync: all
 */
#include "command.h"

static void program(void) {
  uint64_t last = monotonic_clock_now();
  bool backwards = false;
  for (int i = 0; i < 1000; i++) {
    uint64_t now = monotonic_clock_now();
    backwards = backwards || now < last;
    last = now;
  }
  CLAIM(!backwards);
  CLAIM(monotonic_clock_get_resolution() > 0 && monotonic_clock_get_resolution() <= SECOND);

  uint64_t start = monotonic_clock_now();
  monotonic_clock_wait_for(30 * MILLISECOND);
  uint64_t elapsed = monotonic_clock_now() - start;
  CLAIM(elapsed >= 30 * MILLISECOND && elapsed < 10 * SECOND);
  start = monotonic_clock_now();
  monotonic_clock_wait_until(start + 20 * MILLISECOND);
  CLAIM(monotonic_clock_now() - start >= 20 * MILLISECOND);

  /* What has passed is not waited for. */
  start = monotonic_clock_now();
  monotonic_clock_wait_for(0);
  monotonic_clock_wait_until(0);
  monotonic_clock_wait_until(start);
  CLAIM(monotonic_clock_now() - start < 10 * SECOND);
}
