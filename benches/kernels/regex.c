// n: 20
/* A backtracking matcher for patterns of literals, '.', classes, '*', '+' and '?', over 32 KiB of text n times. */
#include "kernel.h"

enum { SIZE = 32768 };
static char text[SIZE + 1];

/* The length of the pattern's first atom. */
static uint32_t atom_length(const char *pattern) {
  if (*pattern != '[') return 1;
  uint32_t length = 1;
  while (pattern[length] != ']') length++;
  return length + 1;
}

static int atom_matches(const char *pattern, char c) {
  if (c == 0) return 0;
  if (*pattern == '.') return c != '\n';
  if (*pattern != '[') return *pattern == c;
  for (pattern++; *pattern != ']'; pattern++) {
    if (pattern[1] == '-' && pattern[2] != ']') {
      if (c >= pattern[0] && c <= pattern[2]) return 1;
      pattern += 2;
    } else if (*pattern == c) {
      return 1;
    }
  }
  return 0;
}

/* Where a match that starts at `at` ends, or null. */
static const char *match(const char *pattern, const char *at) {
  while (*pattern) {
    uint32_t length = atom_length(pattern);
    char repeat = pattern[length];
    if (repeat != '*' && repeat != '+' && repeat != '?') {
      if (!atom_matches(pattern, *at)) return 0;
      pattern += length;
      at++;
      continue;
    }
    const char *rest = pattern + length + 1, *least = at + (repeat == '+'), *from = at;
    while ((repeat != '?' || at == from) && atom_matches(pattern, *at)) at++;
    for (; at >= least; at--) {
      const char *end = match(rest, at);
      if (end) return end;
    }
    return 0;
  }
  return at;
}

uint64_t run(uint32_t n) {
  static const char *patterns[] = {"[a-z]+@[a-z]+.com", "ab*c?d", "[0-9]+-[0-9]+", "x.*y.*z", "[ae][b-dx-z]*q"};
  static const char letters[] = "abcdefxyz0123-@\\. \nqomc";
  random_t random = random_new(15);
  for (uint32_t i = 0; i < SIZE; i++) text[i] = letters[random_next(&random) % (sizeof letters - 1)];
  uint64_t checksum = 0;
  for (uint32_t round = 0; round < n; round++) {
    const char *pattern = patterns[round % 5];
    uint32_t found = 0;
    for (const char *at = text; *at;) {
      const char *end = match(pattern, at);
      found += end != 0;
      checksum += end ? (uint64_t)(end - text) : 0;
      at = end && end > at ? end : at + 1;
    }
    checksum = mix(checksum, found);
  }
  return checksum;
}
