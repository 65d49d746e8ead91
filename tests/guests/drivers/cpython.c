/* CPython runs a script that reads files, computes and prints; its exit status and its exceptions reach the host. As a module, and as a component. */
#include "host.h"

static struct program python;

/* Runs `python <arguments>` with the inputs preopened read-only at /inputs. */
static struct ending run_python(struct life *life, const char *first, const char *second, const char *third) {
  const char *argv[] = {"python", first, second, third, NULL};
  wasi_config_t *wasi = world(argv);
  CLAIM(wasi_config_preopen_dir(wasi, inputs_dir, "/inputs", WASMTIME_WASI_DIR_PERMS_READ,
                                WASMTIME_WASI_FILE_PERMS_READ));
  begin(life, &python, wasi);
  return run_command(life, &python);
}

static void a_script_reads_computes_and_prints(void) {
  struct life life;
  struct ending ending = run_python(&life, "/inputs/report.py", "/inputs/words.txt", NULL);
  struct bytes expected = read_file(path_in(inputs_dir, "report.expected"));
  CLAIM(ended_well(&ending));
  if (!CLAIM(strcmp(life.out.data, expected.data) == 0)) printf("%s%s", life.out.data, life.err.data);
  CLAIM(life.err.length == 0);
  free_bytes(&expected);
  end(&life);
}

static void an_exit_status_reaches_the_host(void) {
  struct life life;
  struct ending ending = run_python(&life, "-c", "import sys; print('leaving'); sys.exit(7)", NULL);
  CLAIM(ending.exited && ending.status == status_seen(7));
  CLAIM(strcmp(life.out.data, "leaving\n") == 0);
  end(&life);
}

static void an_exception_is_a_traceback_and_a_status(void) {
  struct life life;
  struct ending ending = run_python(&life, "-c", "1 / 0", NULL);
  CLAIM(ending.exited && ending.status == 1);
  CLAIM(life.out.length == 0);
  CLAIM(strstr(life.err.data, "ZeroDivisionError: division by zero") != NULL);
  end(&life);
}

static void what_is_preopened_to_read_cannot_be_written(void) {
  struct life life;
  struct ending ending = run_python(&life, "-c",
                                    "for path in '/inputs/planted', '/inputs/words.txt', '/etc/passwd':\n"
                                    "    try:\n"
                                    "        open(path, 'a')\n"
                                    "        print(path, 'was opened')\n"
                                    "    except OSError as e:\n"
                                    "        print(path, 'was refused')\n",
                                    NULL);
  CLAIM(ended_well(&ending));
  CLAIM(strcmp(life.out.data, "/inputs/planted was refused\n/inputs/words.txt was refused\n"
                              "/etc/passwd was refused\n") == 0);
  end(&life);
}

static void deep_recursion_is_an_exception_in_python(void) {
  struct life life;
  struct ending ending = run_python(&life, "-c",
                                    "def dive(n): return dive(n + 1)\n"
                                    "try:\n"
                                    "    dive(0)\n"
                                    "except RecursionError:\n"
                                    "    print('RecursionError')\n",
                                    NULL);
  CLAIM(ended_well(&ending));
  CLAIM(strcmp(life.out.data, "RecursionError\n") == 0);
  end(&life);
}

static void all_claims(void) {
  python = load("python.wasm");
  a_script_reads_computes_and_prints();
  an_exit_status_reaches_the_host();
  an_exception_is_a_traceback_and_a_status();
  what_is_preopened_to_read_cannot_be_written();
  deep_recursion_is_an_exception_in_python();
  unload(&python);
}

int main(int argc, char **argv) {
  take_arguments(argc, argv);
  all_claims();
  as_components = true;
  puts("as a component:");
  all_claims();
  return claims_result("cpython");
}
