// ampoule.h: what a program finds of it, on this library and on others.
//
// Nothing here refers to a function of ampoule.h strongly, so the program also starts with a library that has none.
#include "test.h"

#include <ampoule.h>
#include <dlfcn.h>

typedef bool has_fn(const char *name);

bool ampoule_has(const char *name) __attribute__((weak));

// Null with another library, and with the archive, which a weak name alone draws nothing from.
static has_fn *find_has(void) {
  has_fn *found = (has_fn *)(uintptr_t)dlsym(RTLD_DEFAULT, "ampoule_has");
  return found ? found : ampoule_has;
}

static void both_ways_find_the_same(void) {
  has_fn *found = (has_fn *)(uintptr_t)dlsym(RTLD_DEFAULT, "ampoule_has");
  expect(found == ampoule_has || !found);
}

static void unknown_names_are_not_there(void) {
  has_fn *has = find_has();
  if (!has) {
    test_skip(__func__, "another library is tested");
    return;
  }
  expect(!has(NULL));
  expect(!has(""));
  expect(!has("no such thing"));
  expect(!has("Native"));
  expect(!has("native "));
}

static void documented_names_are_there(void) {
  static const char *const names[] = {"cancel", "error", "limits", "native", NULL};
  has_fn *has = find_has();
  if (!has) {
    test_skip(__func__, "another library is tested");
    return;
  }
  for (const char *const *name = names; *name; name++)
    if (!expect(has(*name))) printf("FAIL no %s\n", *name);
}

int main(void) {
  RUN(both_ways_find_the_same);
  RUN(unknown_names_are_not_there);
  RUN(documented_names_are_there);
  return test_summary();
}
