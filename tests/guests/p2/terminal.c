/* wasi:cli/terminal-stdin, -stdout and -stderr: files are no terminals. */
#include "claims.h"

int main(void) {
  terminal_stdin_own_terminal_input_t in;
  terminal_stdout_own_terminal_output_t out;
  terminal_stderr_own_terminal_output_t err;
  CLAIM(!terminal_stdin_get_terminal_stdin(&in));
  CLAIM(!terminal_stdout_get_terminal_stdout(&out));
  CLAIM(!terminal_stderr_get_terminal_stderr(&err));
  return claims_result();
}
