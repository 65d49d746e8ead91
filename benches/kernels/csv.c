// n: 50
/* Parses a table of comma-separated values, some 100 KB, n times: quotes, numbers, sums by column, a count by word. */
#include "kernel.h"

enum { ROWS = 2400, COLUMNS = 6, SIZE = 1 << 17 };
static char text[SIZE];
static uint32_t used;

static void put(const char *s) {
  while (*s) text[used++] = *s++;
}

static void put_number(uint32_t value) {
  if (value >= 10) put_number(value / 10);
  text[used++] = (char)('0' + value % 10);
}

static void write_table(random_t *random) {
  static const char *const names[] = {"plain", "\"with, comma\"", "\"with \"\"quotes\"\"\"", "", "longer than the others"};
  for (int row = 0; row < ROWS; row++) {
    put_number((uint32_t)row);
    put(","), put(names[random_next(random) % 5]);
    put(","), put_number(random_next(random) % 100000);
    put(",-"), put_number(random_next(random) % 1000), put("."), put_number(random_next(random) % 100);
    put(","), put(random_next(random) & 1 ? "yes" : "no");
    put(","), put_number(random_next(random)), put("\r\n");
  }
}

typedef struct {
  const char *at, *end;
} reader_t;

/* The next field without its quotes, in `field`; its length. */
static uint32_t read_field(reader_t *reader, char field[64]) {
  uint32_t length = 0;
  if (reader->at < reader->end && *reader->at == '"') {
    for (reader->at++; reader->at < reader->end; reader->at++) {
      if (*reader->at == '"' && *++reader->at != '"') break;
      field[length++ & 63] = *reader->at;
    }
  } else {
    while (reader->at < reader->end && *reader->at != ',' && *reader->at != '\r') field[length++ & 63] = *reader->at++;
  }
  return length;
}

/* Hundredths, when it is a number. */
static int read_number(const char *field, uint32_t length, int64_t *number) {
  uint32_t i = 0, after_point = 3;
  int negative = length > 0 && field[0] == '-';
  int64_t value = 0;
  for (i = (uint32_t)negative; i < length; i++) {
    if (field[i] == '.' && after_point == 3) {
      after_point = 2;
    } else if (field[i] >= '0' && field[i] <= '9') {
      if (after_point == 0) continue;
      if (after_point < 3) after_point--;
      value = value * 10 + (field[i] - '0');
    } else {
      return 0;
    }
  }
  if (i == (uint32_t)negative) return 0;
  for (uint32_t left = after_point == 3 ? 2 : after_point; left > 0; left--) value *= 10;
  *number = negative ? -value : value;
  return 1;
}

uint64_t run(uint32_t n) {
  random_t random = random_new(35);
  used = 0;
  write_table(&random);
  uint64_t checksum = 0;
  for (uint32_t round = 0; round < n; round++) {
    int64_t sums[COLUMNS] = {0};
    uint32_t words[16] = {0};
    reader_t reader = {text, text + used};
    while (reader.at < reader.end) {
      for (int column = 0; column < COLUMNS; column++) {
        char field[64];
        int64_t number;
        uint32_t length = read_field(&reader, field);
        if (read_number(field, length & 63, &number)) {
          sums[column] += number;
        } else {
          uint32_t hash = 0;
          for (uint32_t i = 0; i < (length & 63); i++) hash = hash * 31 + (uint8_t)field[i];
          words[hash >> 3 & 15]++;
        }
        if (reader.at < reader.end && *reader.at == ',') reader.at++;
      }
      while (reader.at < reader.end && (*reader.at == '\r' || *reader.at == '\n')) reader.at++;
    }
    for (int column = 0; column < COLUMNS; column++) checksum = mix(checksum, (uint64_t)sums[column]);
    for (int i = 0; i < 16; i++) checksum = mix(checksum, words[i]);
  }
  return checksum;
}
