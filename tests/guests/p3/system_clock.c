/* wasi:clocks/system-clock of 0.3: seconds since 1970, and nanoseconds below a second.
 *
 * sync: all
 */
#include "command.h"

static void program(void) {
  system_clock_instant_t before, after;
  system_clock_now(&before);
  CLAIM(before.seconds > 1577836800); /* 2020 */
  CLAIM(before.nanoseconds < SECOND);
  monotonic_clock_wait_for(20 * MILLISECOND);
  system_clock_now(&after);
  CLAIM(after.nanoseconds < SECOND);
  CLAIM(after.seconds > before.seconds ||
        (after.seconds == before.seconds && after.nanoseconds > before.nanoseconds));
  CLAIM(after.seconds - before.seconds < 60);
  CLAIM(system_clock_get_resolution() > 0 && system_clock_get_resolution() <= SECOND);
}
