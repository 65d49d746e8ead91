// n: 60000
/* What `printf` does, n lines long: numbers in bases 10, 16, 8 and 2 with width and padding, fixed-point numbers, strings. */
#include "kernel.h"

typedef struct {
  char *at, *end;
} sink_t;

typedef struct {
  uint64_t value;
  const char *text;
} argument_t;

static inline void put(sink_t *sink, char c) {
  if (sink->at < sink->end) *sink->at = c;
  sink->at++;
}

static void put_padded(sink_t *sink, const char *text, uint32_t length, uint32_t width, char pad) {
  for (uint32_t i = length; i < width; i++) put(sink, pad);
  for (uint32_t i = 0; i < length; i++) put(sink, text[i]);
}

static void put_number(sink_t *sink, uint64_t value, uint32_t base, uint32_t width, char pad) {
  char digits[64];
  uint32_t at = sizeof digits;
  do {
    digits[--at] = "0123456789abcdef"[value % base];
    value /= base;
  } while (value);
  put_padded(sink, digits + at, sizeof digits - at, width, pad);
}

/* Knows d, u, x, o, b and f (in millionths), s, c and %, with a width that may begin with 0. */
static uint32_t format(char *to, uint32_t size, const char *pattern, const argument_t *argument) {
  sink_t sink = {to, to + size};
  for (; *pattern; pattern++) {
    if (*pattern != '%') {
      put(&sink, *pattern);
      continue;
    }
    char pad = *++pattern == '0' ? '0' : ' ';
    uint32_t width = 0;
    for (; *pattern >= '0' && *pattern <= '9'; pattern++) width = width * 10 + (uint32_t)(*pattern - '0');
    switch (*pattern) {
      case 'd': {
        int64_t value = (int64_t)argument++->value;
        if (value < 0) put(&sink, '-');
        put_number(&sink, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, 10, width, pad);
        break;
      }
      case 'u': put_number(&sink, argument++->value, 10, width, pad); break;
      case 'x': put_number(&sink, argument++->value, 16, width, pad); break;
      case 'o': put_number(&sink, argument++->value, 8, width, pad); break;
      case 'b': put_number(&sink, argument++->value, 2, width, pad); break;
      case 'f': {
        uint64_t value = argument++->value;
        put_number(&sink, value / 1000000, 10, width, pad);
        put(&sink, '.');
        put_number(&sink, value % 1000000, 10, 6, '0');
        break;
      }
      case 's': {
        const char *text = argument++->text;
        uint32_t length = 0;
        while (text[length]) length++;
        put_padded(&sink, text, length, width, ' ');
        break;
      }
      case 'c': put(&sink, (char)argument++->value); break;
      default: put(&sink, *pattern);
    }
  }
  return (uint32_t)(sink.at - to);
}

uint64_t run(uint32_t n) {
  static const char *const names[] = {"memory", "table", "a name of some length", "x"};
  random_t random = random_new(43);
  uint64_t checksum = 0;
  for (uint32_t line = 0; line < n; line++) {
    char text[256];
    uint32_t r = random_next(&random);
    uint64_t wide = (uint64_t)r * 0x9e3779b97f4aull;
    argument_t arguments[] = {{line, 0}, {r >> 8, 0}, {0 - (uint64_t)r, 0}, {0, names[r & 3]}, {r >> 28, 0}, {wide >> 16, 0}, {'!', 0}};
    uint32_t length = format(text, sizeof text, "%6u: %08x %d [%12s] %b %f%c\n", arguments);
    uint32_t hash = length;
    for (uint32_t i = 0; i < length; i++) hash = hash * 31 + (uint8_t)text[i];
    checksum = mix(checksum, hash);
  }
  return checksum;
}
