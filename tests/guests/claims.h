/* What the programs of p2 and p3 share: claims about what an interface does. One that does not hold prints its place. */
#ifndef AMPOULE_GUEST_CLAIMS_H
#define AMPOULE_GUEST_CLAIMS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guest.h"

static int claims_failed;

__attribute__((unused)) static bool claim_at(bool holds, const char *file, int line, const char *text) {
  if (!holds) {
    const char *name = strrchr(file, '/');
    printf("%s:%d: does not hold: %s\n", name == NULL ? file : name + 1, line, text);
    fflush(stdout);
    claims_failed++;
  }
  return holds;
}

#define CLAIM(condition) claim_at((condition), __FILE__, __LINE__, #condition)

/* A claim without which nothing that follows makes sense. */
#define NEED(condition) (CLAIM(condition) ? (void)0 : exit(1))

/* A call that answers false and the error `expected`; the last argument of the call is `&error`. */
#define FAILS(call, expected) CLAIM(!(call) && error == (expected))

#define SECOND 1000000000ull
#define MILLISECOND 1000000ull

/* Text and bytes as arguments; they stay the program's. */
#define TEXT(text) (&(guest_string_t){(uint8_t *)(text), strlen(text)})
#define BYTES(text) (&(guest_list_u8_t){(uint8_t *)(text), strlen(text)})

/* Whether what the host gave is `text`; frees it. */
__attribute__((unused)) static bool is_text(guest_string_t *given, const char *text) {
  bool is = given->len == strlen(text) && memcmp(given->ptr, text, given->len) == 0;
  guest_string_free(given);
  return is;
}

__attribute__((unused)) static bool is_bytes(guest_list_u8_t *given, const char *text) {
  bool is = given->len == strlen(text) && memcmp(given->ptr, text, given->len) == 0;
  guest_list_u8_free(given);
  return is;
}

/* What `main` returns. */
__attribute__((unused)) static int claims_result(void) { return claims_failed != 0; }

#endif
