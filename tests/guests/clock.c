/* Clocks, randomness and sleeping. Prints "ok <claim>" or "FAIL <claim>"; the exit status is the number of failures. */
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

static int failures;

static void claim(const char *what, int holds) {
  printf("%s %s\n", holds ? "ok" : "FAIL", what);
  failures += !holds;
}

static long long now_ns(clockid_t clock) {
  struct timespec t;
  if (clock_gettime(clock, &t) != 0) return -1;
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void clocks_move_forward(void) {
  struct timespec resolution;
  claim("the wall clock is past 2020", now_ns(CLOCK_REALTIME) > 1577836800LL * 1000000000LL);
  claim("the wall clock has a resolution", clock_getres(CLOCK_REALTIME, &resolution) == 0 && resolution.tv_nsec > 0);
  claim("the monotonic clock has a resolution",
        clock_getres(CLOCK_MONOTONIC, &resolution) == 0 && resolution.tv_nsec > 0);
  int backwards = 0;
  long long last = now_ns(CLOCK_MONOTONIC);
  for (int i = 0; i < 1000; i++) {
    long long next = now_ns(CLOCK_MONOTONIC);
    backwards += next < last;
    last = next;
  }
  claim("the monotonic clock never goes back", backwards == 0 && last >= 0);
}

static void sleeping_takes_as_long_as_asked(void) {
  struct timespec pause = {.tv_sec = 0, .tv_nsec = 30 * 1000000};
  long long before = now_ns(CLOCK_MONOTONIC);
  claim("nanosleep", nanosleep(&pause, NULL) == 0);
  long long slept = now_ns(CLOCK_MONOTONIC) - before;
  claim("30 ms of sleep take 30 ms to 3 s", slept >= 30 * 1000000 && slept < 3000 * 1000000LL);

  before = now_ns(CLOCK_MONOTONIC);
  struct timespec until = {.tv_sec = (before + 20000000) / 1000000000, .tv_nsec = (before + 20000000) % 1000000000};
  claim("sleep until a point in time", clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == 0);
  claim("which is then past", now_ns(CLOCK_MONOTONIC) >= before + 20000000);

  struct pollfd out = {.fd = STDOUT_FILENO, .events = POLLOUT};
  claim("stdout can be written at once", poll(&out, 1, 1000) == 1 && (out.revents & POLLOUT));
  claim("yield", sched_yield() == 0);
}

static void random_bytes_differ(void) {
  static unsigned char a[256], b[256];
  claim("256 random bytes, twice", getentropy(a, sizeof a) == 0 && getentropy(b, sizeof b) == 0);
  claim("they differ", memcmp(a, b, sizeof a) != 0);
  int ones = 0;
  for (size_t i = 0; i < sizeof a; i++) ones += __builtin_popcount(a[i]) + __builtin_popcount(b[i]);
  claim("about half of their 4096 bits are set", ones > 1748 && ones < 2348);
}

int main(void) {
  clocks_move_forward();
  sleeping_takes_as_long_as_asked();
  random_bytes_differ();
  printf("%d failures\n", failures);
  return failures;
}
