/* wasi:clocks/monotonic-clock of 0.3, by asynchronous calls: several at once, in the order of their times, and one that is cancelled.
 *
 * sync: export:wasi:cli/run@0.3.2#run
 */
#include "command.h"

static guest_subtask_t begin_waiting(uint64_t until) {
  guest_subtask_status_t status = monotonic_clock_wait_until(until);
  NEED(GUEST_SUBTASK_STATE(status) == GUEST_SUBTASK_STARTED);
  return GUEST_SUBTASK_HANDLE(status);
}

static void they_wait_beside_each_other(void) {
  enum { COUNT = 4 };
  static const uint64_t after[COUNT] = {400 * MILLISECOND, 100 * MILLISECOND, 300 * MILLISECOND, 200 * MILLISECOND};
  static const int order[COUNT] = {1, 3, 2, 0};
  guest_waitable_set_t set = guest_waitable_set_new();
  guest_subtask_t calls[COUNT];
  uint64_t start = monotonic_clock_now();
  for (int i = 0; i < COUNT; i++) guest_waitable_join(calls[i] = begin_waiting(start + after[i]), set);
  guest_event_t event;
  guest_waitable_set_poll(set, &event);
  CLAIM(event.event == GUEST_EVENT_NONE);
  bool in_time = true;
  for (int i = 0; i < COUNT; i++) {
    guest_waitable_set_wait(set, &event);
    uint64_t now = monotonic_clock_now() - start;
    CLAIM(event.event == GUEST_EVENT_SUBTASK && event.code == GUEST_SUBTASK_RETURNED);
    CLAIM(now >= after[order[i]]);
    /* On a machine that had no time for it, several may be over at once, in any order. */
    in_time = in_time && now < after[order[i]] + 100 * MILLISECOND;
    if (in_time) CLAIM(event.waitable == calls[order[i]]);
    guest_subtask_drop(event.waitable);
  }
  guest_waitable_set_drop(set);
}

static void waiting_can_be_cancelled(void) {
  uint64_t start = monotonic_clock_now();
  guest_subtask_t call = begin_waiting(start + 3600 * SECOND);
  guest_subtask_status_t status = guest_subtask_cancel(call);
  if (status == GUEST_WAITABLE_STATUS_BLOCKED) status = told(call);
  CLAIM(status == GUEST_SUBTASK_RETURNED_CANCELLED);
  guest_subtask_drop(call);
  CLAIM(monotonic_clock_now() - start < 60 * SECOND);
}

static void what_is_over_needs_no_waiting(void) {
  guest_subtask_status_t status = monotonic_clock_wait_until(0);
  if (GUEST_SUBTASK_STATE(status) == GUEST_SUBTASK_RETURNED) return;
  CLAIM(told(GUEST_SUBTASK_HANDLE(status)) == GUEST_SUBTASK_RETURNED);
  guest_subtask_drop(GUEST_SUBTASK_HANDLE(status));
}

static void program(void) {
  they_wait_beside_each_other();
  waiting_can_be_cancelled();
  what_is_over_needs_no_waiting();
}
