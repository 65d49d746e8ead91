/* wasi:cli/run of 0.3: `run` is lifted asynchronously, waits, and answers failure.
 *
 * stdout: waited\n
 * status: 1
 */
#include "waiting.h"

static guest_waitable_set_t set;
static uint64_t start;

guest_callback_code_t exports_run_run(void) {
  start = monotonic_clock_now();
  set = guest_waitable_set_new();
  guest_subtask_status_t status = monotonic_clock_wait_for(20 * MILLISECOND);
  NEED(GUEST_SUBTASK_STATE(status) == GUEST_SUBTASK_STARTED);
  guest_waitable_join(GUEST_SUBTASK_HANDLE(status), set);
  return GUEST_CALLBACK_CODE_WAIT(set);
}

guest_callback_code_t exports_run_run_callback(guest_event_t *event) {
  NEED(event->event == GUEST_EVENT_SUBTASK && event->code == GUEST_SUBTASK_RETURNED);
  CLAIM(monotonic_clock_now() - start >= 20 * MILLISECOND);
  guest_subtask_drop(event->waitable);
  guest_waitable_set_drop(set);
  if (claims_failed == 0) printf("waited\n");
  fflush(stdout);
  exports_run_run_return((exports_run_result_void_void_t){.is_err = true});
  return GUEST_CALLBACK_CODE_EXIT;
}
