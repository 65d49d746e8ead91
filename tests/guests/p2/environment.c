/* wasi:cli/environment: arguments and variables are those that were given, each time.
 *
 * options: --env COLOUR=blue=green --env EMPTY=
 * arguments: one zwölf -x
 */
#include "claims.h"

static void arguments_come_in_order(void) {
  guest_list_string_t arguments;
  environment_get_arguments(&arguments);
  NEED(arguments.len == 4);
  CLAIM(arguments.ptr[0].len > 0);
  CLAIM(is_text(&arguments.ptr[1], "one"));
  CLAIM(is_text(&arguments.ptr[2], "zw\xc3\xb6lf"));
  CLAIM(is_text(&arguments.ptr[3], "-x"));
}

static void variables_are_pairs(void) {
  guest_list_tuple2_string_string_t variables;
  environment_get_environment(&variables);
  NEED(variables.len == 2);
  CLAIM(is_text(&variables.ptr[0].f0, "COLOUR") && is_text(&variables.ptr[0].f1, "blue=green"));
  CLAIM(is_text(&variables.ptr[1].f0, "EMPTY") && is_text(&variables.ptr[1].f1, ""));
}

static void an_initial_directory_is_a_path(void) {
  guest_string_t cwd;
  if (!environment_initial_cwd(&cwd)) return;
  CLAIM(cwd.len > 0);
  guest_string_free(&cwd);
}

int main(void) {
  for (int round = 0; round < 2; round++) {
    arguments_come_in_order();
    variables_are_pairs();
    an_initial_directory_is_a_path();
  }
  return claims_result();
}
