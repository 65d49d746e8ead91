/* wasi:cli/environment of 0.3: arguments and variables are those that were given.
 *
 * sync: all
 * options: --env COLOUR=blue=green --env EMPTY=
 * arguments: one zwölf -x
 */
#include "command.h"

static void program(void) {
  guest_list_string_t arguments;
  environment_get_arguments(&arguments);
  NEED(arguments.len == 4);
  CLAIM(arguments.ptr[0].len > 0);
  CLAIM(is_text(&arguments.ptr[1], "one") && is_text(&arguments.ptr[2], "zw\xc3\xb6lf") && is_text(&arguments.ptr[3], "-x"));

  guest_list_tuple2_string_string_t variables;
  environment_get_environment(&variables);
  NEED(variables.len == 2);
  CLAIM(is_text(&variables.ptr[0].f0, "COLOUR") && is_text(&variables.ptr[0].f1, "blue=green"));
  CLAIM(is_text(&variables.ptr[1].f0, "EMPTY") && is_text(&variables.ptr[1].f1, ""));
  guest_string_t cwd;
  if (environment_get_initial_cwd(&cwd)) CLAIM(cwd.len > 0);
}
