// n: 15
/* Patterns with '*', '?', '.', '^' and '$' against many short lines: two small functions that call each other for every
 * character. */
#include "kernel.h"

enum { LINES = 1000, WIDTH = 40 };
static char lines[LINES][WIDTH];

static int match_here(const char *pattern, const char *text);

/* `c` any number of times, as few as do, and the rest. */
static int match_star(char c, const char *pattern, const char *text) {
  do
    if (match_here(pattern, text)) return 1;
  while (*text && (*text++ == c || c == '.'));
  return 0;
}

static int match_here(const char *pattern, const char *text) {
  if (pattern[0] == 0) return 1;
  if (pattern[1] == '*') return match_star(pattern[0], pattern + 2, text);
  if (pattern[1] == '?') {
    if (*text && (pattern[0] == '.' || pattern[0] == *text) && match_here(pattern + 2, text + 1)) return 1;
    return match_here(pattern + 2, text);
  }
  if (pattern[0] == '$' && pattern[1] == 0) return *text == 0;
  if (*text && (pattern[0] == '.' || pattern[0] == *text)) return match_here(pattern + 1, text + 1);
  return 0;
}

static int match(const char *pattern, const char *text) {
  if (*pattern == '^') return match_here(pattern + 1, text);
  do
    if (match_here(pattern, text)) return 1;
  while (*text++);
  return 0;
}

uint64_t run(uint32_t n) {
  static const char *const patterns[] = {"^a.*b$", "colou?r", "ab*c", "a.*b.*c.*d", "xyz", "c.?c.?c$"};
  random_t random = random_new(48);
  for (int line = 0; line < LINES; line++) {
    uint32_t length = 10 + random_next(&random) % (WIDTH - 11);
    for (uint32_t i = 0; i < length; i++) lines[line][i] = "aabbccdxyzcolour"[random_next(&random) & 15];
    lines[line][length] = 0;
  }
  uint64_t checksum = 0;
  for (uint32_t round = 0; round < n; round++) {
    for (uint32_t p = 0; p < sizeof patterns / sizeof *patterns; p++) {
      uint32_t found = 0;
      for (int line = 0; line < LINES; line++) found = found * 3 + (uint32_t)match(patterns[p], lines[line]);
      checksum = mix(checksum, found);
    }
    lines[round % LINES][2] = 'x';
  }
  return checksum;
}
