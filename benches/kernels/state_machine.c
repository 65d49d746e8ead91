// n: 40
/* A lexer as a table of states: classes of bytes, next states and actions are looked up for each of 64 KiB, n times. */
#include "kernel.h"

enum { SPACE, LETTER, DIGIT, QUOTE, SIGN, LINE, CLASSES };
enum { BETWEEN, NAME, NUMBER, STRING, SYMBOL, STATES };
enum { SIZE = 65536 };

static uint8_t text[SIZE], class_of[256];
static const uint8_t next[STATES][CLASSES] = {
    [BETWEEN] = {BETWEEN, NAME, NUMBER, STRING, SYMBOL, BETWEEN},  [NAME] = {BETWEEN, NAME, NAME, STRING, SYMBOL, BETWEEN},
    [NUMBER] = {BETWEEN, NAME, NUMBER, STRING, SYMBOL, BETWEEN},   [STRING] = {STRING, STRING, STRING, BETWEEN, STRING, BETWEEN},
    [SYMBOL] = {BETWEEN, NAME, NUMBER, STRING, SYMBOL, BETWEEN},
};

uint64_t run(uint32_t n) {
  static const char alphabet[] = "abcdefgh  01234 (){}+-*/=;\" xyz\n";
  random_t random = random_new(41);
  for (int i = 0; i < SIZE; i++) text[i] = (uint8_t)alphabet[random_next(&random) & 31];
  for (int c = 0; c < 256; c++)
    class_of[c] = c == ' ' ? SPACE : c == '\n' ? LINE : c == '"' ? QUOTE : c >= '0' && c <= '9' ? DIGIT : c >= 'a' && c <= 'z' ? LETTER : SIGN;
  uint64_t checksum = 0;
  for (uint32_t round = 0; round < n; round++) {
    uint32_t counts[STATES] = {0}, state = BETWEEN, hash = 0, lines = 0;
    for (uint32_t at = 0; at < SIZE; at++) {
      uint8_t c = text[at];
      uint32_t class = class_of[c], after = next[state][class];
      if (after != state) {
        counts[state]++;
        hash = 0;
      }
      hash = hash * 31 + c;
      lines += class == LINE;
      state = after;
    }
    for (int i = 0; i < STATES; i++) checksum = mix(checksum, counts[i]);
    checksum = mix(checksum, (uint64_t)hash << 32 | lines);
    text[round * 64] = (uint8_t)alphabet[round & 31];
  }
  return checksum;
}
