/* Runs one case of the benchmark suite and prints its figures as one line of JSON. See ../README.md.
 *
 *     driver [--ms N] [--guests DIR] [--scratch DIR] CASE [ARGUMENTS…]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

options_t options = {.milliseconds = 40, .guests = "benches/guests", .scratch = NULL};

static const case_t *const all_cases[] = {call_cases,     native_cases, accessor_cases, trap_cases,
                                          instance_cases, module_cases, wasi_cases,     kernel_cases, async_cases,
                                          component_cases, collected_cases, start_cases, snapshot_cases};
enum { CASE_LISTS = sizeof all_cases / sizeof all_cases[0] };

static const case_t *find_case(const char *name) {
  for (int list = 0; list < CASE_LISTS; list++)
    for (const case_t *found = all_cases[list]; found->name; found++)
      if (strcmp(found->name, name) == 0) return found;
  fail("unknown case: %s", name);
}

int main(int argc, char **argv) {
  int at = 1;
  for (; at + 1 < argc && strncmp(argv[at], "--", 2) == 0; at += 2) {
    if (strcmp(argv[at], "--ms") == 0)
      options.milliseconds = atof(argv[at + 1]);
    else if (strcmp(argv[at], "--guests") == 0)
      options.guests = argv[at + 1];
    else if (strcmp(argv[at], "--scratch") == 0)
      options.scratch = argv[at + 1];
    else
      fail("unknown option: %s", argv[at]);
  }
  if (at >= argc) fail("usage: driver [--ms N] [--guests DIR] [--scratch DIR] CASE [ARGUMENTS]");
  const case_t *chosen = find_case(argv[at]);
  if (argc - at - 1 != chosen->argument_count)
    fail("%s takes %d arguments, got %d", chosen->name, chosen->argument_count, argc - at - 1);
  chosen->run(argv + at + 1);
  fflush(stdout);
  /* The worlds are left to the operating system: their end is no part of a case that didn't time it. */
  _Exit(0);
}
