// The cache of wasmtime/config.h: what its file may say, and what later processes find in it.
//
// The program starts itself for every process that is spoken of: `cache child FILE STRATEGY` makes a module with the cache that
// FILE describes, and calls it.
#define _XOPEN_SOURCE 700 // nftw
#include "test.h"
#include <ftw.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char folder[] = "/tmp/ampoule-cache-XXXXXX";
static char settings[64], entries[64];

static void write_file(const char *path, const char *text, size_t len) {
  FILE *file = fopen(path, "wb");
  if (!file || fwrite(text, 1, len, file) != len || fclose(file) != 0) {
    perror(path);
    exit(1);
  }
}

static wasmtime_error_t *load(const char *text) {
  write_file(settings, text, strlen(text));
  wasm_config_t *config = wasm_config_new();
  wasmtime_error_t *error = wasmtime_config_cache_config_load(config, settings);
  wasm_config_delete(config);
  return error;
}

// -- The file

static void an_empty_section_is_enough(void) {
  setenv("HOME", folder, 1);
  setenv("XDG_CACHE_HOME", entries, 1);
  expect_ok(load("[cache]\n"));
}

static void without_a_path_there_need_be_no_file(void) {
  setenv("HOME", folder, 1);
  unsetenv("XDG_CONFIG_HOME");
  wasm_config_t *config = wasm_config_new();
  expect_ok(wasmtime_config_cache_config_load(config, NULL));
  wasm_config_delete(config);
}

static void every_setting_is_understood(void) {
  char text[2048];
  snprintf(text, sizeof text,
           "[cache]\n"
           "directory = \"%s\"\n"
           "worker-event-queue-size = \"1K\"\n"
           "baseline-compression-level = 0\n"
           "optimized-compression-level = 21\n"
           "optimized-compression-usage-counter-threshold = \"2M\"\n"
           "cleanup-interval = \"30m\"\n"
           "optimizing-compression-task-timeout = \"5s\"\n"
           "allowed-clock-drift-for-files-from-future = \"2d\"\n"
           "file-count-soft-limit = \"7P\"\n"
           "files-total-size-soft-limit = \"1Gi\"\n"
           "file-count-limit-percent-if-deleting = \"0%%\"\n"
           "files-total-size-limit-percent-if-deleting = \"100%%\"\n",
           entries);
  expect_ok(load(text));
}

static void a_file_that_is_missing_is_an_error(void) {
  wasm_config_t *config = wasm_config_new();
  expect_error_says(wasmtime_config_cache_config_load(config, "/nonexistent/cache.toml"),
                    "failed to read config file: /nonexistent/cache.toml");
  wasm_config_delete(config);
}

// What lies there is code.
static void a_folder_that_others_may_write_to_is_refused(void) {
  char place[300], modules[320], text[400];
  snprintf(place, sizeof place, "%s/open", folder);
  snprintf(modules, sizeof modules, "%s/modules", place);
  snprintf(text, sizeof text, "[cache]\ndirectory = \"%s\"\n", place);
  expect(!mkdir(place, 0700) && !mkdir(modules, 0700) && !chmod(modules, 0777));
  expect_error_says(load(text), "others may write to it");
  expect(!chmod(modules, 0700));
  expect_ok(load(text));
}

static void what_is_not_understood_is_an_error(void) {
  expect_error_says(load(""), "failed to parse config file");
  expect_error_says(load(""), "missing field `cache`");
  expect_error_says(load("[cache]\nbogus = 1\n"), "unknown field `bogus`, expected one of `directory`");
  expect_error_says(load("[cache]\nenabled = true\n"), "unknown field `enabled`");
  expect_error_says(load("[other]\n"), "unknown field `other`, expected `cache`");
  expect_error_says(load("[cache\n"), "TOML parse error at line 1");
  expect_error_says(load("[cache]\ndirectory = 5\n"), "invalid type: integer `5`");
  expect_error_says(load("[cache]\ndirectory = \"relative\"\n"), "ache directory path has to be absolute, path: relative");
  expect_error_says(load("[cache]\ndirectory = \"/proc/nothing\"\n"), "failed to create cache directory: /proc/nothing");
  const char *const values[] = {
      "worker-event-queue-size = 16",
      "worker-event-queue-size = \"1Ki\"",
      "worker-event-queue-size = \"99999999999999999999\"",
      "baseline-compression-level = 22",
      "baseline-compression-level = 21",
      "optimized-compression-level = 1",
      "cleanup-interval = \"30\"",
      "cleanup-interval = \"1w\"",
      "file-count-soft-limit = \"3E\"",
      "files-total-size-soft-limit = \"1GiB\"",
      "file-count-limit-percent-if-deleting = \"70\"",
      "files-total-size-limit-percent-if-deleting = \"101%\"",
  };
  for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
    char text[128];
    snprintf(text, sizeof text, "[cache]\n%s\n", values[i]);
    expect_error(load(text));
  }
}

// -- Entries

// The largest file in the cache: the entry of the module, whatever else there is.
static struct {
  char path[256];
  off_t size;
  struct timespec modified;
} entry;

static int note_entry(const char *path, const struct stat *status, int kind, struct FTW *place) {
  (void)place;
  if (kind == FTW_F && status->st_size > entry.size && strlen(path) < sizeof entry.path) {
    strcpy(entry.path, path);
    entry.size = status->st_size;
    entry.modified = status->st_mtim;
  }
  return 0;
}

static bool find_entry(void) {
  entry.size = 0;
  nftw(entries, note_entry, 8, FTW_PHYS);
  return entry.size > 0;
}

static int delete_one(const char *path, const struct stat *status, int kind, struct FTW *place) {
  (void)status, (void)kind, (void)place;
  return remove(path);
}

static const char *const CACHED = "(module (memory 1) (data (i32.const 8) \"\\2a\")"
                                  " (func (export \"f\") (result i32) (i32.load (i32.const 8))))";

// One process of its own: makes the module and calls it, and lives until there is an entry.
static int child(const char *file, const char *strategy) {
  wasm_config_t *config = wasm_config_new();
  wasmtime_error_t *error = wasmtime_config_cache_config_load(config, file);
  if (error) return 2;
  if (strcmp(strategy, "eager") == 0) wasmtime_config_strategy_set(config, WASMTIME_STRATEGY_CRANELIFT);
  wasm_engine_t *e = wasm_engine_new_with_config(config);
  wasmtime_store_t *s = wasmtime_store_new(e, NULL, NULL);
  wasmtime_context_t *c = wasmtime_store_context(s);
  wasmtime_instance_t instance = instance_with(c, e, CACHED, NULL, 0);
  wasmtime_func_t f = export_in(c, &instance, "f").of.func;
  wasmtime_val_t result = {.of.i32 = 0};
  wasm_trap_t *trap = NULL;
  if (wasmtime_func_call(c, &f, NULL, 0, &result, 1, &trap) || trap || result.of.i32 != 42) return 3;
  wasmtime_store_delete(s);
  for (int i = 0; i < 1000 && !find_entry(); i++) usleep(10000);
  wasm_engine_delete(e);
  return 0;
}

// What it says on standard error is written to `says`, where that is not null.
static void run_child_that_says(const char *strategy, char *says, size_t len) {
  char text[128];
  snprintf(text, sizeof text, "[cache]\ndirectory = \"%s\"\n", entries);
  write_file(settings, text, strlen(text));
  char self[256] = {0}; // valgrind answers this for the program that it runs
  expect(readlink("/proc/self/exe", self, sizeof self - 1) > 0);
  int pipes[2];
  if (!expect(pipe(pipes) == 0)) return;
  pid_t pid = fork();
  if (pid == 0) {
    if (says) dup2(pipes[1], 2);
    close(pipes[0]), close(pipes[1]);
    execl(self, "cache", "child", settings, strategy, entries, (char *)NULL);
    _exit(9);
  }
  close(pipes[1]);
  size_t said = 0;
  if (says) {
    for (ssize_t more; (more = read(pipes[0], says + said, len - 1 - said)) > 0;) said += (size_t)more;
    says[said] = 0;
  }
  close(pipes[0]);
  int status = -1;
  expect(waitpid(pid, &status, 0) == pid);
  expect(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void run_child(const char *strategy) { run_child_that_says(strategy, NULL, 0); }

static void forget_everything(void) { nftw(entries, delete_one, 8, FTW_DEPTH | FTW_PHYS); }

static void a_compiled_module_is_kept_and_used(void) {
  forget_everything();
  run_child("eager");
  if (!expect(find_entry())) return;
  off_t size = entry.size;
  struct stat before, after;
  expect(stat(entry.path, &before) == 0);
  for (int i = 0; i < 3; i++) {
    run_child("eager");
    // What is used is not written again.
    expect(stat(entry.path, &after) == 0 && after.st_ino == before.st_ino && after.st_size == size);
  }
}

static void a_module_that_is_compiled_lazily_is_kept_too(void) {
  forget_everything();
  run_child("auto");
  if (!expect(find_entry())) return;
  struct stat before, after;
  expect(stat(entry.path, &before) == 0);
  run_child("auto");
  expect(stat(entry.path, &after) == 0 && after.st_ino == before.st_ino);
}

static void a_damaged_entry_is_not_used_but_replaced(void) {
  forget_everything();
  run_child("eager");
  if (!expect(find_entry())) return;
  off_t size = entry.size;
  char *bytes = malloc(size);
  for (int kind = 0; kind < 3; kind++) {
    FILE *file = fopen(entry.path, "rb");
    if (!expect(file && fread(bytes, 1, size, file) == (size_t)size)) break;
    fclose(file);
    off_t len = size;
    switch (kind) {
    case 0: len = size / 2; break;
    case 1: memset(bytes, 0x5a, size); break;
    case 2: len = 0; break;
    }
    write_file(entry.path, bytes, len);
    run_child("eager");
    struct stat status;
    expect(stat(entry.path, &status) == 0 && status.st_size == size);
    run_child("eager");
  }
  free(bytes);
}

static void what_is_wrong_with_an_entry_is_said_where_it_is_asked_for(void) {
  static const char *const FILTERS[] = {NULL, "error", "warn"};
  forget_everything();
  for (int i = 0; i < 3; i++) {
    run_child("eager");
    if (!expect(find_entry())) return;
    write_file(entry.path, "no artifact", 11);
    if (FILTERS[i]) setenv("AMPOULE_LOG", FILTERS[i], 1);
    char says[16384];
    run_child_that_says("eager", says, sizeof says);
    unsetenv("AMPOULE_LOG");
    expect((strstr(says, "an entry of the cache is not used") != NULL) == (i == 2));
  }
}

static void other_settings_have_other_entries(void) {
  forget_everything();
  run_child("eager");
  expect(find_entry());
  char text[128], first[256];
  strcpy(first, entry.path);
  snprintf(text, sizeof text, "[cache]\ndirectory = \"%s\"\n", entries);
  write_file(settings, text, strlen(text));
  wasm_config_t *config = wasm_config_new();
  expect_ok(wasmtime_config_cache_config_load(config, settings));
  wasmtime_config_strategy_set(config, WASMTIME_STRATEGY_CRANELIFT);
  wasmtime_config_consume_fuel_set(config, true);
  wasm_engine_t *e = wasm_engine_new_with_config(config);
  wasmtime_module_t *module = module_in(e, CACHED);
  wasmtime_store_t *s = wasmtime_store_new(e, NULL, NULL);
  wasmtime_context_t *c = wasmtime_store_context(s);
  wasmtime_instance_t instance;
  wasm_trap_t *trap = NULL;
  expect_ok(wasmtime_context_set_fuel(c, 1000));
  expect_ok(wasmtime_instance_new(c, module, NULL, 0, &instance, &trap));
  wasmtime_func_t f = export_in(c, &instance, "f").of.func;
  wasmtime_val_t result;
  expect_ok(wasmtime_func_call(c, &f, NULL, 0, &result, 1, &trap));
  uint64_t fuel = 1000;
  expect_ok(wasmtime_context_get_fuel(c, &fuel));
  expect(fuel < 1000);
  wasmtime_store_delete(s);
  wasmtime_module_delete(module);
  wasm_engine_delete(e);
}

int main(int argc, char **argv) {
  if (argc == 5 && strcmp(argv[1], "child") == 0) {
    snprintf(entries, sizeof entries, "%s", argv[4]);
    return child(argv[2], argv[3]);
  }
  if (!mkdtemp(folder)) {
    perror("mkdtemp");
    return 1;
  }
  snprintf(settings, sizeof settings, "%s/cache.toml", folder);
  snprintf(entries, sizeof entries, "%s/entries", folder);
  RUN(an_empty_section_is_enough);
  RUN(without_a_path_there_need_be_no_file);
  RUN(every_setting_is_understood);
  RUN(a_file_that_is_missing_is_an_error);
  RUN_HERE(a_folder_that_others_may_write_to_is_refused); // the reference library takes it
  RUN(what_is_not_understood_is_an_error);
  RUN(a_compiled_module_is_kept_and_used);
  RUN(a_module_that_is_compiled_lazily_is_kept_too);
  RUN(a_damaged_entry_is_not_used_but_replaced);
  RUN_HERE(what_is_wrong_with_an_entry_is_said_where_it_is_asked_for); // the reference library has another variable
  RUN(other_settings_have_other_entries);
  nftw(folder, delete_one, 8, FTW_DEPTH | FTW_PHYS);
  return test_summary();
}
