/* The components in Python and JavaScript that export `values.wit`: values of each kind go in and come back, the same from both. Each is
 * also a command, which reads a file and prints a report. */
#include "host.h"

#include <inttypes.h>

typedef wasmtime_component_val_t val_t;

/* ---- Making values ---- */

static val_t val(wasmtime_component_valkind_t kind) {
  val_t val;
  memset(&val, 0, sizeof val);
  val.kind = kind;
  return val;
}

static wasm_name_t name(const char *text) {
  wasm_name_t name;
  wasm_name_new(&name, strlen(text), text);
  return name;
}

static val_t number(wasmtime_component_valkind_t kind, int64_t value) {
  val_t made = val(kind);
  if (kind == WASMTIME_COMPONENT_U8) made.of.u8 = (uint8_t)value;
  if (kind == WASMTIME_COMPONENT_U32) made.of.u32 = (uint32_t)value;
  if (kind == WASMTIME_COMPONENT_S64) made.of.s64 = value;
  return made;
}

static val_t f64(double value) {
  val_t made = val(WASMTIME_COMPONENT_F64);
  made.of.f64 = value;
  return made;
}

static val_t string(const char *text) {
  val_t made = val(WASMTIME_COMPONENT_STRING);
  made.of.string = name(text);
  return made;
}

static val_t enumeration(const char *case_name) {
  val_t made = val(WASMTIME_COMPONENT_ENUM);
  made.of.enumeration = name(case_name);
  return made;
}

static val_t variant(const char *case_name, val_t *payload) {
  val_t made = val(WASMTIME_COMPONENT_VARIANT);
  made.of.variant.discriminant = name(case_name);
  made.of.variant.val = payload == NULL ? NULL : wasmtime_component_val_new(payload);
  return made;
}

static val_t tuple(val_t first, val_t second) {
  val_t made = val(WASMTIME_COMPONENT_TUPLE), elements[] = {first, second};
  wasmtime_component_valtuple_new(&made.of.tuple, 2, elements);
  return made;
}

static val_t list(size_t size, const val_t *elements) {
  val_t made = val(WASMTIME_COMPONENT_LIST);
  wasmtime_component_vallist_new(&made.of.list, size, elements);
  return made;
}

/* A list of what is written as an array. */
#define LIST(...) list(sizeof((val_t[]){__VA_ARGS__}) / sizeof(val_t), (val_t[]){__VA_ARGS__})

static val_t flags(size_t size, const char *const *names) {
  val_t made = val(WASMTIME_COMPONENT_FLAGS);
  wasmtime_component_valflags_new_uninit(&made.of.flags, size);
  for (size_t i = 0; i < size; i++) made.of.flags.data[i] = name(names[i]);
  return made;
}

static val_t word(const char *text, uint32_t count) {
  wasmtime_component_valrecord_entry_t fields[] = {
      {name("text"), string(text)},
      {name("count"), number(WASMTIME_COMPONENT_U32, count)},
      {name("lines"), list(0, NULL)},
  };
  val_t made = val(WASMTIME_COMPONENT_RECORD);
  wasmtime_component_valrecord_new(&made.of.record, 3, fields);
  return made;
}

/* ---- Values as text, as WAVE writes them ---- */

static void print(struct bytes *out, const val_t *val);

static void print_text(struct bytes *out, const char *text) { add_bytes(out, text, strlen(text)); }

static void print_name(struct bytes *out, const wasm_name_t *name) { add_bytes(out, name->data, name->size); }

static void print_all(struct bytes *out, const char *open, size_t size, const val_t *vals, const char *close) {
  print_text(out, open);
  for (size_t i = 0; i < size; i++) {
    if (i > 0) print_text(out, ", ");
    print(out, &vals[i]);
  }
  print_text(out, close);
}

static void print_case(struct bytes *out, const char *case_name, size_t length, const val_t *payload) {
  add_bytes(out, case_name, length);
  if (payload != NULL) print_all(out, "(", 1, payload, ")");
}

static void print(struct bytes *out, const val_t *val) {
  char number[64] = "";
  switch (val->kind) {
    case WASMTIME_COMPONENT_U8: snprintf(number, sizeof number, "%" PRIu8, val->of.u8); break;
    case WASMTIME_COMPONENT_U32: snprintf(number, sizeof number, "%" PRIu32, val->of.u32); break;
    case WASMTIME_COMPONENT_S64: snprintf(number, sizeof number, "%" PRId64, val->of.s64); break;
    case WASMTIME_COMPONENT_U64: snprintf(number, sizeof number, "%" PRIu64, val->of.u64); break;
    case WASMTIME_COMPONENT_F64: snprintf(number, sizeof number, "%.17g", val->of.f64); break;
    /* Of what is asked for, all are ASCII. */
    case WASMTIME_COMPONENT_CHAR: snprintf(number, sizeof number, "'%c'", (char)val->of.character); break;
    case WASMTIME_COMPONENT_STRING:
      print_text(out, "\"");
      print_name(out, &val->of.string);
      print_text(out, "\"");
      break;
    case WASMTIME_COMPONENT_LIST: print_all(out, "[", val->of.list.size, val->of.list.data, "]"); break;
    case WASMTIME_COMPONENT_RECORD:
      for (size_t i = 0; i < val->of.record.size; i++) {
        print_text(out, i == 0 ? "{" : ", ");
        print_name(out, &val->of.record.data[i].name);
        print_text(out, ": ");
        print(out, &val->of.record.data[i].val);
      }
      print_text(out, "}");
      break;
    case WASMTIME_COMPONENT_OPTION:
      print_case(out, val->of.option == NULL ? "none" : "some", 4, val->of.option);
      break;
    case WASMTIME_COMPONENT_RESULT:
      print_case(out, val->of.result.is_ok ? "ok" : "err", val->of.result.is_ok ? 2 : 3, val->of.result.val);
      break;
    default: give_up("print", "a kind that no function returns");
  }
  print_text(out, number);
}

/* ---- A component, and one life of it ---- */

struct script {
  const char *file;
  wasm_engine_t *engine;
  wasmtime_component_linker_t *linker;
  wasmtime_component_t *component;
};

static struct script script;

#ifdef AMPOULE_AGAINST
static wasmtime_error_t *leave(void *data, wasmtime_context_t *context, const wasmtime_component_func_type_t *type,
                               val_t *args, size_t nargs, val_t *results, size_t nresults) {
  (void)data, (void)context, (void)type, (void)args, (void)nargs, (void)results, (void)nresults;
  return wasmtime_error_new("nothing leaves here");
}

/* 44.0.0 lacks a function of this interface. */
static void define_exit(void) {
  static const char interface[] = "wasi:cli/exit@0.2.12";
  static const char *const names[] = {"exit", "exit-with-code"};
  wasmtime_component_linker_instance_t *root = wasmtime_component_linker_root(script.linker), *instance;
  must(interface, wasmtime_component_linker_instance_add_instance(root, interface, strlen(interface), &instance));
  for (size_t i = 0; i < 2; i++) {
    must(names[i], wasmtime_component_linker_instance_add_func(instance, names[i], strlen(names[i]), leave, NULL, NULL));
  }
  wasmtime_component_linker_instance_delete(instance);
  wasmtime_component_linker_instance_delete(root);
}
#endif

static void load_script(const char *file) {
  script = (struct script){.file = file, .engine = wasm_engine_new()};
  struct bytes wasm = read_file(path_in(guests_dir, file));
  must(file, wasmtime_component_new(script.engine, (const uint8_t *)wasm.data, wasm.length, &script.component));
  free_bytes(&wasm);
  script.linker = wasmtime_component_linker_new(script.engine);
  must("wasi", wasmtime_component_linker_add_wasip2(script.linker));
#ifdef AMPOULE_AGAINST
  define_exit();
#endif
}

static void unload_script(void) {
  wasmtime_component_linker_delete(script.linker);
  wasmtime_component_delete(script.component);
  wasm_engine_delete(script.engine);
}

struct script_life {
  wasmtime_store_t *store;
  wasmtime_context_t *context;
  wasmtime_component_instance_t instance;
  struct bytes out;
};

static void begin_script(struct script_life *life, wasi_config_t *wasi) {
  life->out = (struct bytes){NULL, 0};
  add_bytes(&life->out, "", 0);
  wasi_config_set_stdout_custom(wasi, collect, &life->out, NULL);
  life->store = wasmtime_store_new(script.engine, NULL, NULL);
  life->context = wasmtime_store_context(life->store);
  must("wasi", wasmtime_context_set_wasi(life->context, wasi));
  must(script.file, wasmtime_component_linker_instantiate(script.linker, life->context, script.component, &life->instance));
}

static void end_script(struct script_life *life) {
  wasmtime_store_delete(life->store);
  free_bytes(&life->out);
}

static wasmtime_component_func_t function(const struct script_life *life, const char *interface, const char *func_name) {
  wasmtime_component_export_index_t *outer =
      wasmtime_component_get_export_index(script.component, NULL, interface, strlen(interface));
  if (outer == NULL) give_up(interface, "not exported");
  wasmtime_component_export_index_t *inner =
      wasmtime_component_get_export_index(script.component, outer, func_name, strlen(func_name));
  wasmtime_component_func_t func;
  if (inner == NULL || !wasmtime_component_instance_get_func(&life->instance, life->context, inner, &func)) {
    give_up(func_name, "not exported");
  }
  wasmtime_component_export_index_delete(inner);
  wasmtime_component_export_index_delete(outer);
  return func;
}

static struct script_life life;

/* Calls a function of `values.wit`, whose result must be `expected`. The arguments are deleted. */
static bool answers(const char *func_name, const char *expected, size_t count, val_t *args) {
  wasmtime_component_func_t func = function(&life, "ampoule:guests/values", func_name);
  val_t result = val(WASMTIME_COMPONENT_BOOL);
  must(func_name, wasmtime_component_func_call(&func, life.context, args, count, &result, 1));
  struct bytes text = {NULL, 0};
  print(&text, &result);
  bool same = strcmp(text.data, expected) == 0;
  if (!same) printf("%s of %s: %s\n", func_name, script.file, text.data);
  free_bytes(&text);
  wasmtime_component_val_delete(&result);
  for (size_t i = 0; i < count; i++) wasmtime_component_val_delete(&args[i]);
  return same;
}

#define ANSWERS(func_name, expected, ...) \
  CLAIM(answers(func_name, expected, sizeof((val_t[]){__VA_ARGS__}) / sizeof(val_t), (val_t[]){__VA_ARGS__}))

/* ---- Claims ---- */

static void values_of_each_kind_go_there_and_back(void) {
  begin_script(&life, wasi_config_new());
  ANSWERS("add", "3", number(WASMTIME_COMPONENT_U32, 4294967295), number(WASMTIME_COMPONENT_U32, 4));
  ANSWERS("greet", "\"hello, Gr\u00fc\u00dfe \U0001f54a\"", string("Gr\u00fc\u00dfe \U0001f54a"));
  ANSWERS("words",
          "[{text: \"a\", count: 3, lines: [1, 3]}, {text: \"b\", count: 1, lines: [1]}, {text: \"c\", count: 1, lines: [2]}]",
          string("a b\nc\na A"), enumeration("ascending"));
  ANSWERS("words", "[{text: \"b\", count: 1, lines: [1]}, {text: \"a\", count: 1, lines: [1]}]", string("a b"),
          enumeration("descending"));
  ANSWERS("words", "[]", string(""), enumeration("ascending"));
  ANSWERS("total", "8589934590", LIST(word("many", 4294967295), word("", 0), word("more", 4294967295)));
  val_t radius = f64(1), sides = tuple(f64(2), f64(0.25));
  ANSWERS("area", "ok(3.6415926535897931)", LIST(variant("circle", &radius), variant("point", NULL), variant("rectangle", &sides)));
  sides = tuple(f64(2), f64(-0.5));
  ANSWERS("area", "err(\"a length of -0.5\")", LIST(variant("rectangle", &sides)));
  ANSWERS("backwards", "[255, 0, 3]",
          LIST(number(WASMTIME_COMPONENT_U8, 3), number(WASMTIME_COMPONENT_U8, 0), number(WASMTIME_COMPONENT_U8, 255)));
  ANSWERS("find", "some(-9223372036854775808)",
          LIST(tuple(string("x"), number(WASMTIME_COMPONENT_S64, 1)), tuple(string("y"), number(WASMTIME_COMPONENT_S64, INT64_MIN))),
          string("y"));
  ANSWERS("find", "none", list(0, NULL), string("y"));
  ANSWERS("only", "['e', 'o', 'u']", string("Hey, you"), flags(1, (const char *const[]){"vowels"}));
  ANSWERS("only", "[]", string("Hey"), flags(0, NULL));
  end_script(&life);
}

static void a_megabyte_goes_there_and_back(void) {
  enum { LENGTH = 1 << 20 };
  begin_script(&life, wasi_config_new());
  wasmtime_component_func_t func = function(&life, "ampoule:guests/values", "backwards");
  val_t bytes = val(WASMTIME_COMPONENT_LIST), result = val(WASMTIME_COMPONENT_BOOL);
  wasmtime_component_vallist_new_uninit(&bytes.of.list, LENGTH);
  for (size_t i = 0; i < LENGTH; i++) bytes.of.list.data[i] = number(WASMTIME_COMPONENT_U8, (int64_t)(i >> 3));
  must("backwards", wasmtime_component_func_call(&func, life.context, &bytes, 1, &result, 1));
  bool is_right = result.kind == WASMTIME_COMPONENT_LIST && result.of.list.size == LENGTH;
  for (size_t i = 0; is_right && i < LENGTH; i++) {
    is_right = result.of.list.data[i].of.u8 == bytes.of.list.data[LENGTH - 1 - i].of.u8;
  }
  CLAIM(is_right);
  wasmtime_component_val_delete(&bytes);
  wasmtime_component_val_delete(&result);
  end_script(&life);
}

/* Whether there is an error whose message contains `text`. Deletes it. */
static bool says(wasmtime_error_t *error, const char *text) {
  if (error == NULL) return false;
  wasm_name_t message;
  wasmtime_error_message(error, &message);
  bool found = memmem(message.data, message.size, text, strlen(text)) != NULL;
  if (!found) printf("%.*s\n", (int)message.size, message.data);
  wasm_byte_vec_delete(&message);
  wasmtime_error_delete(error);
  return found;
}

static void what_nobody_catches_is_a_trap_and_ends_the_instance(void) {
  begin_script(&life, wasi_config_new());
  ANSWERS("greet", "\"hello, you\"", string("you"));
  wasmtime_component_func_t func = function(&life, "ampoule:guests/values", "fail");
  val_t message = string("as asked");
  CLAIM(says(wasmtime_component_func_call(&func, life.context, &message, 1, NULL, 0), "wasm trap: "));
  CLAIM(says(wasmtime_component_func_call(&func, life.context, &message, 1, NULL, 0),
             "wasm trap: cannot enter component instance"));
  wasmtime_component_val_delete(&message);
  end_script(&life);
}

/* Runs it as a command with the inputs at /inputs; these words are its arguments. */
static void prints(const char *const *argv, const char *expected_file, const char *from) {
  wasi_config_t *wasi = world(argv);
  CLAIM(wasi_config_preopen_dir(wasi, inputs_dir, "/inputs", WASMTIME_WASI_DIR_PERMS_READ, WASMTIME_WASI_FILE_PERMS_READ));
  begin_script(&life, wasi);
  wasmtime_component_func_t func = function(&life, "wasi:cli/run@0.2.0", "run");
  val_t result = val(WASMTIME_COMPONENT_BOOL);
  must("run", wasmtime_component_func_call(&func, life.context, NULL, 0, &result, 1));
  CLAIM(result.kind == WASMTIME_COMPONENT_RESULT && result.of.result.is_ok);
  wasmtime_component_val_delete(&result);
  struct bytes expected = read_file(path_in(inputs_dir, expected_file));
  const char *printed = strstr(life.out.data, from), *same = strstr(expected.data, from);
  if (!CLAIM(printed != NULL && same != NULL && strcmp(printed, same) == 0)) printf("%s", life.out.data);
  free_bytes(&expected);
  end_script(&life);
}

static void claims(const char *file, const char *const *argv, const char *expected_file, const char *from) {
  load_script(file);
  values_of_each_kind_go_there_and_back();
  a_megabyte_goes_there_and_back();
  what_nobody_catches_is_a_trap_and_ends_the_instance();
  prints(argv, expected_file, from);
  unload_script();
}

int main(int argc, char **argv) {
  take_arguments(argc, argv);
  static const char *const python[] = {"python", "/inputs/report.py", "/inputs/words.txt", NULL};
  static const char *const javascript[] = {"javascript", "/inputs/words.txt", NULL};
  /* What comes before is the version of Python, which is another one than that of `python.wasm`. */
  claims("python_command.wasm", python, "report.expected", "lines ");
  claims("js_command.wasm", javascript, "report-js.expected", "lines ");
  return claims_result("values");
}
