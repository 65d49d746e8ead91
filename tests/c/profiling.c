// Claims about wasmtime/profiling.h, and about the profilers that `wasmtime_config_profiler_set` chooses.

#include "test.h"
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *const guest =
    "(module $calculator"
    "  (func $_ZN4calc4spinEv (param i32) (result i32)"
    "    (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))) (local.get 0))"
    "  (func $twice (export \"twice\") (param i32) (result i32)"
    "    (i32.add (call $_ZN4calc4spinEv (local.get 0)) (call $_ZN4calc4spinEv (local.get 0))))"
    "  (func (export \"run\") (param i32) (result i32) (call $twice (local.get 0))))";

// -- The guest profiler

static wasmtime_guestprofiler_t *profiler;

static wasmtime_error_t *sample_at_deadline(wasmtime_context_t *context, void *data, uint64_t *delta,
                                            wasmtime_update_deadline_kind_t *kind) {
  (void)context, (void)data, (void)kind;
  wasmtime_guestprofiler_sample(profiler, store, 2500000);
  *delta = 1;
  return NULL;
}

static wasmtime_guestprofiler_t *profiler_of(const wasmtime_module_t *module) {
  wasm_name_t title, name;
  wasm_name_new_from_string(&title, "a profile");
  wasm_name_new_from_string(&name, "the calculator");
  wasmtime_guestprofiler_modules_t modules[] = {{&name, module}};
  wasmtime_guestprofiler_t *made =
      wasmtime_guestprofiler_new(engine, &title, 1000000, module ? modules : NULL, module ? 1 : 0);
  wasm_name_delete(&title);
  wasm_name_delete(&name);
  return made;
}

// The profile as a string, which is the caller's.
static char *finished(wasmtime_guestprofiler_t *taken) {
  wasm_byte_vec_t json;
  if (!expect_ok(wasmtime_guestprofiler_finish(taken, &json))) return calloc(1, 1);
  char *text = malloc(json.size + 1);
  memcpy(text, json.data, json.size);
  text[json.size] = 0;
  expect(strlen(text) == json.size);
  wasm_byte_vec_delete(&json);
  return text;
}

static void epochs(wasm_config_t *config) { wasmtime_config_epoch_interruption_set(config, true); }

static void a_profile_names_what_ran(void) {
  wasmtime_module_t *module = module_of(guest);
  wasmtime_instance_t instance;
  wasm_trap_t *trap = NULL;
  expect_ok(wasmtime_instance_new(ctx, module, NULL, 0, &instance, &trap));
  wasmtime_func_t run = func_of(&instance, "run");
  profiler = profiler_of(module);
  wasmtime_store_epoch_deadline_callback(store, sample_at_deadline, NULL, NULL);
  wasmtime_context_set_epoch_deadline(ctx, 1);
  for (int i = 0; i < 3; i++) {
    wasmtime_engine_increment_epoch(engine);
    expect(call1(&run, 10) == 0);
  }
  char *text = finished(profiler);
  // Braces and brackets are as many on both sides: none of the names has any.
  int braces = 0, brackets = 0;
  for (char *c = text; *c; c++) braces += (*c == '{') - (*c == '}'), brackets += (*c == '[') - (*c == ']');
  expect(braces == 0 && brackets == 0 && text[0] == '{' && text[strlen(text) - 1] == '}');
  expect(strstr(text, "\"product\":\"a profile\"") != NULL);
  expect(strstr(text, "\"name\":\"the calculator\"") != NULL);
  expect(strstr(text, "\"interval\":1.0") != NULL);
  expect(strstr(text, "<wasm function ") != NULL); // run, which has no name
  expect(strstr(text, "\"samples\":{\"length\":3") != NULL);
  expect(strstr(text, "\"threadCPUDelta\":[2500,2500,2500]") != NULL ||
         strstr(text, "\"threadCPUDelta\":[0,2500,2500]") != NULL);
  expect(strstr(text, "\"stack\":[null") == NULL);
  free(text);
  wasmtime_module_delete(module);
}

static wasm_trap_t *sample_in_host(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                                   wasmtime_val_t *results, size_t nresults) {
  (void)env, (void)caller, (void)args, (void)nargs, (void)results, (void)nresults;
  wasmtime_guestprofiler_sample(profiler, store, 0);
  return NULL;
}

static void samples_may_be_taken_by_host_functions(void) {
  wasmtime_module_t *module = module_of(
      "(module (import \"\" \"sample\" (func $sample)) (func $_ZN4calc5innerEv call $sample)"
      "  (func $middle (export \"middle\") call $_ZN4calc5innerEv) (func (export \"run\") call $middle))");
  wasm_functype_t *type = wasm_functype_new_0_0();
  wasmtime_func_t host;
  wasmtime_func_new(ctx, type, sample_in_host, NULL, NULL, &host);
  wasm_functype_delete(type);
  wasmtime_extern_t import = func_extern(host);
  wasmtime_instance_t instance;
  wasm_trap_t *trap = NULL;
  expect_ok(wasmtime_instance_new(ctx, module, &import, 1, &instance, &trap));
  wasmtime_func_t run = func_of(&instance, "run");
  profiler = profiler_of(module);
  expect_no_trap(call(&run));
  char *text = finished(profiler);
  expect(strstr(text, "\"calc::inner()\"") != NULL);
  expect(strstr(text, "\"middle\"") != NULL);
  expect(strstr(text, "\"samples\":{\"length\":1") != NULL);
  expect(strstr(text, "\"stackTable\":{\"length\":3,\"prefix\":[null,0,1]") != NULL);
  free(text);
  wasmtime_module_delete(module);
}

static void frames_of_other_modules_are_left_out(void) {
  wasmtime_module_t *module = module_of(guest);
  wasmtime_instance_t instance;
  wasm_trap_t *trap = NULL;
  expect_ok(wasmtime_instance_new(ctx, module, NULL, 0, &instance, &trap));
  wasmtime_func_t run = func_of(&instance, "run");
  profiler = profiler_of(NULL);
  wasmtime_store_epoch_deadline_callback(store, sample_at_deadline, NULL, NULL);
  wasmtime_context_set_epoch_deadline(ctx, 1);
  wasmtime_engine_increment_epoch(engine);
  expect(call1(&run, 10) == 0);
  char *text = finished(profiler);
  expect(strstr(text, "\"stack\":[null]") != NULL);
  expect(strstr(text, "\"libs\":[]") != NULL);
  free(text);
  wasmtime_module_delete(module);
}

static void a_sample_without_a_guest_has_no_frames(void) {
  wasmtime_module_t *module = module_of(guest);
  wasmtime_guestprofiler_t *idle = profiler_of(module);
  wasmtime_guestprofiler_sample(idle, store, 0);
  // The modules are the profiler's as well.
  wasmtime_module_delete(module);
  wasmtime_guestprofiler_sample(idle, store, 0);
  char *text = finished(idle);
  expect(strstr(text, "\"samples\":{\"length\":2") != NULL);
  expect(strstr(text, "\"stack\":[null,null]") != NULL);
  free(text);
}

static void a_profiler_may_be_deleted_unfinished(void) {
  wasmtime_module_t *module = module_of(guest);
  wasmtime_guestprofiler_t *unfinished = profiler_of(module);
  wasmtime_guestprofiler_sample(unfinished, store, 1);
  wasmtime_guestprofiler_delete(unfinished);
  wasmtime_module_delete(module);
}

// -- Profilers of the process

static void perf_map(wasm_config_t *config) {
  wasmtime_config_profiler_set(config, WASMTIME_PROFILING_STRATEGY_PERFMAP);
}

static void perf_map_eager(wasm_config_t *config) {
  perf_map(config);
  wasmtime_config_strategy_set(config, WASMTIME_STRATEGY_CRANELIFT);
}

static void jitdump(wasm_config_t *config) {
  wasmtime_config_profiler_set(config, WASMTIME_PROFILING_STRATEGY_JITDUMP);
}

static void vtune(wasm_config_t *config) {
  wasmtime_config_profiler_set(config, WASMTIME_PROFILING_STRATEGY_VTUNE);
}

// A whole file, which is the caller's.
static uint8_t *contents(const char *path, size_t *size) {
  FILE *file = fopen(path, "rb");
  *size = 0;
  if (!expect(file != NULL)) return calloc(1, 1);
  uint8_t *bytes = malloc((1 << 20) + 1);
  *size = fread(bytes, 1, 1 << 20, file);
  bytes[*size] = 0;
  fclose(file);
  return bytes;
}

static void run_guest(const wasmtime_module_t *module) {
  wasmtime_instance_t instance;
  wasm_trap_t *trap = NULL;
  expect_ok(wasmtime_instance_new(ctx, module, NULL, 0, &instance, &trap));
  wasmtime_func_t run = func_of(&instance, "run");
  expect(call1(&run, 10) == 0);
  wasmtime_func_t twice = func_of(&instance, "twice");
  expect(call1(&twice, 10) == 0);
}

// How many lines of the map are `name`, each of them well-formed.
static int lines_named(const char *name) {
  char path[64];
  size_t size;
  int found = 0;
  snprintf(path, sizeof path, "/tmp/perf-%d.map", (int)getpid());
  char *map = (char *)contents(path, &size);
  for (char *line = strtok(map, "\n"); line; line = strtok(NULL, "\n")) {
    unsigned long long address, len;
    int at = 0;
    expect(sscanf(line, "%llx %llx %n", &address, &len, &at) == 2 && address && len && at > 0);
    found += !strcmp(line + at, name);
  }
  free(map);
  return found;
}

static void a_perf_map_has_the_functions_that_ran(void) {
  wasmtime_module_t *module = module_of(guest);
  run_guest(module);
  expect(lines_named("twice") == 1);
  wasmtime_module_delete(module);
}

static void a_perf_map_has_the_functions_of_deserialized_modules(void) {
  wasmtime_module_t *module = module_of(guest), *loaded = NULL;
  wasm_byte_vec_t bytes;
  int before = lines_named("twice");
  expect_ok(wasmtime_module_serialize(module, &bytes));
  wasmtime_module_delete(module);
  expect_ok(wasmtime_module_deserialize(engine, (const uint8_t *)bytes.data, bytes.size, &loaded));
  wasm_byte_vec_delete(&bytes);
  run_guest(loaded);
  expect(lines_named("calc::spin()") > 0);
  expect(lines_named("twice") > before);
  wasmtime_module_delete(loaded);
}

static uint64_t word(const uint8_t *bytes, int len) {
  uint64_t value = 0;
  memcpy(&value, bytes, len);
  return value;
}

static void a_jitdump_has_the_code_that_ran(void) {
  wasmtime_module_t *module = module_of(guest);
  run_guest(module);
  char path[64];
  size_t size;
  snprintf(path, sizeof path, "jit-%d.dump", (int)getpid());
  uint8_t *dump = contents(path, &size);
  expect(size > 40 && word(dump, 4) == 0x4a695444 && word(dump + 4, 4) == 1 && word(dump + 8, 4) == 40);
  expect(word(dump + 12, 4) == 62 && word(dump + 20, 4) == (uint64_t)getpid());
  uint64_t time = word(dump + 24, 8), loads = 0;
  bool twice = false;
  size_t at = 40;
  while (size - at >= 16) {
    const uint8_t *record = dump + at;
    size_t len = word(record + 4, 4);
    if (!expect(len >= 16 && len <= size - at) || !expect(word(record + 8, 8) >= time)) break;
    time = word(record + 8, 8);
    if (word(record, 4) == 0) {
      size_t code_len = word(record + 40, 8), name_len = strlen((const char *)record + 56);
      expect(len == 56 + name_len + 1 + code_len && word(record + 48, 8) == loads);
      loads++;
      if (!strcmp((const char *)record + 56, "twice")) {
        // The bytes are those that lie there.
        twice = true;
        expect(!memcmp(record + 56 + name_len + 1, (const void *)(uintptr_t)word(record + 32, 8), code_len));
      }
    }
    at += len;
  }
  expect(at == size);
  expect(twice);
  // The page by which perf finds the file.
  uint8_t *maps = contents("/proc/self/maps", &size);
  char *line = strstr((char *)maps, path);
  expect(line != NULL);
  if (line) {
    while (line > (char *)maps && line[-1] != '\n') line--;
    expect(strstr(line, "r-xp") != NULL);
  }
  free(maps);
  free(dump);
  unlink(path);
  wasmtime_module_delete(module);
}

static void without_its_collector_vtune_changes_nothing(void) {
  wasmtime_module_t *module = module_of(guest);
  run_guest(module);
  wasmtime_module_delete(module);
}

// In a process of its own, whose files have not been begun.
static void without_its_files_there_is_no_engine(void) {
  fflush(stdout);
  pid_t child = fork();
  if (!child) {
    char path[64];
    snprintf(path, sizeof path, "/tmp/perf-%d.map", (int)getpid());
    if (mkdir(path, 0700)) _exit(2);
    wasm_config_t *config = wasm_config_new();
    perf_map(config);
    wasm_engine_t *made = wasm_engine_new_with_config(config);
    rmdir(path);
    _exit(made != NULL);
  }
  int status = -1;
  waitpid(child, &status, 0);
  expect(status == 0);
}

int main(void) {
  if (getenv("AMPOULE_VALGRIND"))
    test_skip("without_its_files_there_is_no_engine", "not under valgrind");
  else
    RUN_HERE(without_its_files_there_is_no_engine);
  RUN_WITH(epochs, a_profile_names_what_ran);
  RUN(samples_may_be_taken_by_host_functions);
  RUN_WITH(epochs, frames_of_other_modules_are_left_out);
  RUN(a_sample_without_a_guest_has_no_frames);
  RUN(a_profiler_may_be_deleted_unfinished);
  RUN_WITH(perf_map, a_perf_map_has_the_functions_that_ran);
  RUN_WITH(perf_map, a_perf_map_has_the_functions_of_deserialized_modules);
  RUN_WITH(perf_map_eager, a_perf_map_has_the_functions_of_deserialized_modules);
  RUN_WITH(jitdump, a_jitdump_has_the_code_that_ran);
  RUN_WITH(vtune, without_its_collector_vtune_changes_nothing);
  char path[64];
  snprintf(path, sizeof path, "/tmp/perf-%d.map", (int)getpid());
  unlink(path);
  return test_summary();
}
