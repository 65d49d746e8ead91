// n: 60
/* Writes a JSON document of some 60 KB, then parses it n times by recursive descent: branches on bytes, recursion. */
#include "kernel.h"

enum { SIZE = 1 << 17 };
static char text[SIZE];
static uint32_t used;

static void put(const char *s) {
  while (*s) text[used++] = *s++;
}

static void put_number(uint32_t value) {
  char digits[10];
  int count = 0;
  do digits[count++] = (char)('0' + value % 10);
  while (value /= 10);
  while (count) text[used++] = digits[--count];
}

static void write_value(random_t *random, int depth) {
  uint32_t kind = random_next(random) % 8;
  if (depth == 0 && kind < 4) kind += 4;
  if (kind < 4) {
    put(kind < 2 ? "[" : "{ ");
    for (uint32_t i = 0, count = 2 + random_next(random) % 5; i < count; i++) {
      if (i) put(", ");
      if (kind >= 2) put("\"key"), put_number(random_next(random) % 100), put("\" : ");
      write_value(random, depth - 1);
    }
    put(kind < 2 ? "]" : "}");
  } else if (kind == 4) {
    put(random_next(random) & 1 ? "true" : "null");
  } else if (kind == 5) {
    put("\"some text with \\\"quotes\\\" and \\n lines\"");
  } else {
    if (random_next(random) & 1) put("-");
    put_number(random_next(random));
    if (random_next(random) & 1) put("."), put_number(random_next(random) % 1000);
  }
}

typedef struct {
  const char *at;
  uint64_t checksum;
  uint32_t values;
} parser_t;

static inline void skip_space(parser_t *p) {
  while (*p->at == ' ' || *p->at == '\n') p->at++;
}

static int parse_string(parser_t *p) {
  uint32_t hash = 0;
  for (p->at++; *p->at != '"'; p->at++) {
    char c = *p->at;
    if (c == '\\') c = *++p->at == 'n' ? '\n' : *p->at;
    if (c == 0) return 0;
    hash = hash * 31 + (uint8_t)c;
  }
  p->at++;
  p->checksum = mix(p->checksum, hash);
  return 1;
}

static int parse_number(parser_t *p) {
  int negative = *p->at == '-';
  p->at += negative;
  double value = 0, scale = 1;
  if (*p->at < '0' || *p->at > '9') return 0;
  for (; *p->at >= '0' && *p->at <= '9'; p->at++) value = value * 10 + (*p->at - '0');
  if (*p->at == '.')
    for (p->at++; *p->at >= '0' && *p->at <= '9'; p->at++) value += (*p->at - '0') * (scale /= 10);
  p->checksum = mix_double(p->checksum, negative ? -value : value);
  return 1;
}

static int parse_word(parser_t *p, const char *word) {
  while (*word)
    if (*p->at++ != *word++) return 0;
  return 1;
}

static int parse_value(parser_t *p) {
  skip_space(p);
  p->values++;
  switch (*p->at) {
    case '[':
    case '{': {
      char close = *p->at == '[' ? ']' : '}';
      p->at++;
      do {
        skip_space(p);
        if (close == '}') {
          if (*p->at != '"' || !parse_string(p)) return 0;
          skip_space(p);
          if (*p->at++ != ':') return 0;
        }
        if (!parse_value(p)) return 0;
        skip_space(p);
      } while (*p->at++ == ',');
      return p->at[-1] == close;
    }
    case '"':
      return parse_string(p);
    case 't':
      return parse_word(p, "true");
    case 'n':
      return parse_word(p, "null");
    default:
      return parse_number(p);
  }
}

uint64_t run(uint32_t n) {
  random_t random = random_new(11);
  used = 0;
  put("[");
  while (used < 60000) write_value(&random, 4), put(",\n");
  put("null]");
  text[used] = 0;
  uint64_t checksum = 0;
  for (uint32_t round = 0; round < n; round++) {
    parser_t parser = {text, round, 0};
    if (!parse_value(&parser)) return 0;
    checksum = mix(checksum, parser.checksum + parser.values);
  }
  return checksum;
}
