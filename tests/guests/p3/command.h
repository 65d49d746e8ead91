/* A command of 0.3 that makes claims: `program` is what it does. */
#ifndef AMPOULE_GUEST_COMMAND_H
#define AMPOULE_GUEST_COMMAND_H

#include "waiting.h"

static void program(void);

bool exports_run_run(void) {
  program();
  return claims_failed == 0;
}

#endif
