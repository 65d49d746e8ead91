/* wasi:cli/terminal-stdin, -stdout and -stderr of 0.3: files are no terminals.
 *
 * sync: all
 */
#include "command.h"

static void program(void) {
  terminal_stdin_own_terminal_input_t in;
  terminal_stdout_own_terminal_output_t out;
  terminal_stderr_own_terminal_output_t err;
  CLAIM(!terminal_stdin_get_terminal_stdin(&in));
  CLAIM(!terminal_stdout_get_terminal_stdout(&out));
  CLAIM(!terminal_stderr_get_terminal_stderr(&err));
}
