/* wasi:clocks/wall-clock: seconds since 1970, and nanoseconds below a second. */
#include "claims.h"

int main(void) {
  wall_clock_datetime_t before, after, resolution;
  wall_clock_now(&before);
  CLAIM(before.seconds > 1577836800); /* 2020 */
  CLAIM(before.nanoseconds < SECOND);

  monotonic_clock_own_pollable_t pause = monotonic_clock_subscribe_duration(20 * MILLISECOND);
  poll_method_pollable_block(poll_borrow_pollable(pause));
  poll_pollable_drop_own(pause);
  wall_clock_now(&after);
  CLAIM(after.nanoseconds < SECOND);
  CLAIM(after.seconds > before.seconds ||
        (after.seconds == before.seconds && after.nanoseconds > before.nanoseconds));
  CLAIM(after.seconds - before.seconds < 60);

  wall_clock_resolution(&resolution);
  CLAIM(resolution.nanoseconds < SECOND);
  CLAIM(resolution.seconds > 0 || resolution.nanoseconds > 0);
  return claims_result();
}
