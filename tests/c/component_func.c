// wasmtime/component/func.h: functions of components, and what becomes of values on the way through a guest.
#include "component.h"

#define ECHO                                                                                                          \
  ECHO_BEGIN ECHO_FUNC("bool", "bool", "same") ECHO_FUNC("s8", "s8", "same") ECHO_FUNC("u8", "u8", "same")            \
  ECHO_FUNC("s16", "s16", "same") ECHO_FUNC("u16", "u16", "same") ECHO_FUNC("s32", "s32", "same")                     \
  ECHO_FUNC("u32", "u32", "same") ECHO_FUNC("s64", "s64", "same64") ECHO_FUNC("u64", "u64", "same64")                 \
  ECHO_FUNC("f32", "f32", "samef32") ECHO_FUNC("f64", "f64", "samef64") ECHO_FUNC("char", "char", "same")             \
  ECHO_FUNC("string", "string", "pair") ECHO_FUNC("list", "(list u32)", "pair")                                       \
  ECHO_FUNC("strings", "(list string)", "pair")                                                                       \
  "(type $r' (record (field \"n\" u32) (field \"s\" string))) (export $r \"r\" (type $r'))"                           \
  ECHO_FUNC("record", "$r", "triple") ECHO_FUNC("tuple", "(tuple u32 u32)", "pair")                                   \
  "(type $v' (variant (case \"none\") (case \"num\" u32) (case \"bit\" bool))) (export $v \"v\" (type $v'))"          \
  ECHO_FUNC("variant", "$v", "pair")                                                                                  \
  "(type $e' (enum \"a\" \"b\" \"c\")) (export $e \"e\" (type $e'))" ECHO_FUNC("enum", "$e", "same")                  \
  ECHO_FUNC("option", "(option u32)", "pair") ECHO_FUNC("result", "(result u32 (error u32))", "pair")                 \
  ECHO_FUNC("maybe", "(result (error u32))", "pair")                                                                  \
  "(type $f' (flags \"x\" \"y\" \"z\")) (export $f \"f\" (type $f'))" ECHO_FUNC("flags", "$f", "same")                \
  "(func (export \"to-bool\") (param \"a\" u32) (result bool) (canon lift (core func $i \"same\")))"                  \
  "(func (export \"to-u8\") (param \"a\" u32) (result u8) (canon lift (core func $i \"same\")))"                      \
  "(func (export \"to-s8\") (param \"a\" u32) (result s8) (canon lift (core func $i \"same\")))"                      \
  "(func (export \"to-char\") (param \"a\" u32) (result char) (canon lift (core func $i \"same\")))"                  \
  "(func (export \"to-enum\") (param \"a\" u32) (result $e) (canon lift (core func $i \"same\")))"                    \
  "(func (export \"to-flags\") (param \"a\" u32) (result $f) (canon lift (core func $i \"same\")))"                   \
  "(func (export \"to-variant\") (param \"a\" u32) (param \"b\" u32) (result $v)"                                     \
  "  (canon lift (core func $i \"pair\") (memory $memory)))"                                                          \
  "(func (export \"to-string\") (param \"a\" u32) (param \"b\" u32) (result string)"                                  \
  "  (canon lift (core func $i \"pair\") (memory $memory)))"                                                          \
  "(func (export \"to-list\") (param \"a\" u32) (param \"b\" u32) (result (list u32))"                                \
  "  (canon lift (core func $i \"pair\") (memory $memory)))"                                                          \
  "(func (export \"via-pointer\") (param \"a\" u32) (result string)"                                                  \
  "  (canon lift (core func $i \"same\") (memory $memory)))"                                                          \
  "(func (export \"nothing\") (canon lift (core func $i \"nothing\")))"                                               \
  "(func (export \"trap\") (canon lift (core func $i \"trap\")))" ECHO_END

static wasmtime_component_instance_t echo;

// Calls an echo with a value, which is freed.
static wasmtime_error_t *send(const char *name, val_t arg, val_t *back) {
  wasmtime_component_func_t func = func_named(&echo, name);
  return call_with(&func, arg, back);
}

static void numbers_come_back(void) {
  echo = instance_alone(ECHO);
  const wasmtime_component_valkind_t kinds[] = {
      WASMTIME_COMPONENT_S8,  WASMTIME_COMPONENT_U8,  WASMTIME_COMPONENT_S16, WASMTIME_COMPONENT_U16,
      WASMTIME_COMPONENT_S32, WASMTIME_COMPONENT_U32, WASMTIME_COMPONENT_S64, WASMTIME_COMPONENT_U64,
      WASMTIME_COMPONENT_F32, WASMTIME_COMPONENT_F64};
  const char *names[] = {"s8", "u8", "s16", "u16", "s32", "u32", "s64", "u64", "f32", "f64"};
  const size_t sizes[] = {1, 1, 2, 2, 4, 4, 8, 8, 4, 8};
  for (size_t i = 0; i < sizeof kinds; i++) {
    val_t arg = val_of_kind(kinds[i]), back = bool_val(false);
    memset(&arg.of, 0x91, sizes[i]);
    expect_ok(send(names[i], arg, &back));
    expect(back.kind == kinds[i] && !memcmp(&back.of, &arg.of, sizes[i]));
  }
  val_t back = bool_val(false), letter = val_of_kind(WASMTIME_COMPONENT_CHAR);
  expect_ok(send("bool", bool_val(true), &back));
  expect(back.kind == WASMTIME_COMPONENT_BOOL && back.of.boolean == true);
  letter.of.character = 0x1f600;
  expect_ok(send("char", letter, &back));
  expect(back.kind == WASMTIME_COMPONENT_CHAR && back.of.character == 0x1f600);
}

static void text_and_lists_come_back(void) {
  echo = instance_alone(ECHO);
  val_t back = bool_val(false);
  expect_ok(send("string", string_val("h\xc3\xa9llo"), &back));
  expect(back.kind == WASMTIME_COMPONENT_STRING && name_is(&back.of.string, "h\xc3\xa9llo"));
  // What the result held is freed when it is written again.
  expect_ok(send("string", val_of_kind(WASMTIME_COMPONENT_STRING), &back));
  expect(back.kind == WASMTIME_COMPONENT_STRING && back.of.string.size == 0);
  val_t numbers[3] = {u32_val(1), u32_val(2), u32_val(0xffffffff)};
  expect_ok(send("list", list_val(3, numbers), &back));
  expect(back.kind == WASMTIME_COMPONENT_LIST && back.of.list.size == 3);
  expect(back.of.list.data[2].kind == WASMTIME_COMPONENT_U32 && back.of.list.data[2].of.u32 == 0xffffffff);
  val_t texts[2] = {string_val("a"), string_val("bc")};
  expect_ok(send("strings", list_val(2, texts), &back));
  expect(back.of.list.size == 2 && name_is(&back.of.list.data[1].of.string, "bc"));
  expect_ok(send("list", list_val(0, NULL), &back));
  expect(back.kind == WASMTIME_COMPONENT_LIST && back.of.list.size == 0);
  drop(back);
}

static void what_has_parts_comes_back(void) {
  echo = instance_alone(ECHO);
  val_t back = bool_val(false);
  wasmtime_component_valrecord_entry_t fields[2] = {field_of("n", u32_val(7)), field_of("s", string_val("x"))};
  expect_ok(send("record", record_val(2, fields), &back));
  expect(back.kind == WASMTIME_COMPONENT_RECORD && back.of.record.size == 2);
  expect(name_is(&back.of.record.data[0].name, "n") && back.of.record.data[0].val.of.u32 == 7);
  expect(name_is(&back.of.record.data[1].name, "s") && name_is(&back.of.record.data[1].val.of.string, "x"));
  val_t elements[2] = {u32_val(3), u32_val(4)}, tuple = val_of_kind(WASMTIME_COMPONENT_TUPLE);
  wasmtime_component_valtuple_new(&tuple.of.tuple, 2, elements);
  expect_ok(send("tuple", tuple, &back));
  expect(back.kind == WASMTIME_COMPONENT_TUPLE && back.of.tuple.size == 2 && back.of.tuple.data[1].of.u32 == 4);
  val_t number = u32_val(9);
  expect_ok(send("variant", variant_val("num", &number), &back));
  expect(back.kind == WASMTIME_COMPONENT_VARIANT && name_is(&back.of.variant.discriminant, "num"));
  expect(back.of.variant.val && back.of.variant.val->of.u32 == 9);
  expect_ok(send("variant", variant_val("none", NULL), &back));
  expect(name_is(&back.of.variant.discriminant, "none") && !back.of.variant.val);
  expect_ok(send("enum", enum_val("b"), &back));
  expect(back.kind == WASMTIME_COMPONENT_ENUM && name_is(&back.of.enumeration, "b"));
  number = u32_val(5);
  expect_ok(send("option", option_val(&number), &back));
  expect(back.kind == WASMTIME_COMPONENT_OPTION && back.of.option && back.of.option->of.u32 == 5);
  expect_ok(send("option", option_val(NULL), &back));
  expect(back.kind == WASMTIME_COMPONENT_OPTION && !back.of.option);
  number = u32_val(6);
  expect_ok(send("result", result_val(false, &number), &back));
  expect(back.kind == WASMTIME_COMPONENT_RESULT && !back.of.result.is_ok && back.of.result.val->of.u32 == 6);
  expect_ok(send("maybe", result_val(true, NULL), &back));
  expect(back.of.result.is_ok && !back.of.result.val);
  drop(back);
}

static void flags_come_back_as_declared(void) {
  echo = instance_alone(ECHO);
  val_t back = bool_val(false);
  expect_ok(send("flags", flags_val("z x z"), &back));
  expect(back.kind == WASMTIME_COMPONENT_FLAGS && back.of.flags.size == 2);
  expect(name_is(&back.of.flags.data[0], "x") && name_is(&back.of.flags.data[1], "z"));
  expect_ok(send("flags", flags_val(""), &back));
  expect(back.kind == WASMTIME_COMPONENT_FLAGS && back.of.flags.size == 0);
  drop(back);
}

static void with_maps(wasm_config_t *config) { wasmtime_config_wasm_component_model_map_set(config, true); }

static void maps_keep_order_and_duplicates(void) {
  echo = instance_alone(ECHO_BEGIN ECHO_FUNC("map", "(map string u32)", "pair") ECHO_END);
  wasmtime_component_valmap_entry_t entries[3] = {
      {string_val("b"), u32_val(1)}, {string_val("a"), u32_val(2)}, {string_val("b"), u32_val(3)}};
  val_t map = val_of_kind(WASMTIME_COMPONENT_MAP), back = bool_val(false);
  wasmtime_component_valmap_new(&map.of.map, 3, entries);
  expect_ok(send("map", map, &back));
  expect(back.kind == WASMTIME_COMPONENT_MAP && back.of.map.size == 3);
  expect(name_is(&back.of.map.data[0].key.of.string, "b") && back.of.map.data[0].value.of.u32 == 1);
  expect(name_is(&back.of.map.data[2].key.of.string, "b") && back.of.map.data[2].value.of.u32 == 3);
  drop(back);
}

static void arguments_stay_the_callers(void) {
  echo = instance_alone(ECHO);
  wasmtime_component_func_t func = func_named(&echo, "string");
  val_t arg = string_val("kept"), back = bool_val(false);
  expect_ok(wasmtime_component_func_call(&func, ctx, &arg, 1, &back, 1));
  expect(name_is(&arg.of.string, "kept") && arg.of.string.data != back.of.string.data);
  expect_ok(wasmtime_component_func_post_return(&func, ctx));
  expect_ok(wasmtime_component_func_post_return(&func, ctx));
  drop(arg);
  drop(back);
}

// Refused before anything of the guest runs, or while its arguments are lowered; the result stays as it is, and the store usable.
static void refused(const char *name, val_t arg, const char *says) {
  val_t back = u32_val(77);
  expect_error_says(send(name, arg, &back), says);
  expect(back.kind == WASMTIME_COMPONENT_U32 && back.of.u32 == 77);
  expect_ok(send("u32", u32_val(1), &back));
  expect(back.of.u32 == 1);
}

static void arguments_have_to_fit(void) {
  echo = instance_alone(ECHO);
  wasmtime_component_func_t func = func_named(&echo, "u32"), nothing = func_named(&echo, "nothing");
  val_t args[2] = {u32_val(1), u32_val(2)}, back[2] = {u32_val(77), u32_val(78)};
  expect_error_says(wasmtime_component_func_call(&func, ctx, args, 2, back, 1), "expected 1 argument(s), got 2");
  expect_error_says(wasmtime_component_func_call(&func, ctx, NULL, 0, back, 1), "expected 1 argument(s), got 0");
  expect_error_says(wasmtime_component_func_call(&func, ctx, args, 1, NULL, 0), "expected 1 result(s), got 0");
  expect_error_says(wasmtime_component_func_call(&func, ctx, args, 1, back, 2), "expected 1 result(s), got 2");
  expect_error_says(wasmtime_component_func_call(&nothing, ctx, NULL, 0, back, 1), "expected 0 result(s), got 1");
  expect(back[0].of.u32 == 77 && back[1].of.u32 == 78);
  refused("u32", val_of_kind(WASMTIME_COMPONENT_S32), "type mismatch: expected u32, found s32");
  refused("string", u32_val(1), "type mismatch: expected string, found u32");
  refused("bool", string_val("x"), "type mismatch: expected bool, found string");
  val_t elements[2] = {u32_val(1), bool_val(true)};
  refused("list", list_val(2, elements), "type mismatch: expected u32, found bool");
  wasmtime_component_valrecord_entry_t one[1] = {field_of("n", u32_val(7))};
  refused("record", record_val(1, one), "expected 2 fields, got 1");
  wasmtime_component_valrecord_entry_t other[2] = {field_of("n", u32_val(7)), field_of("q", string_val("x"))};
  refused("record", record_val(2, other), "expected field `s`, got `q`");
  val_t tuple = val_of_kind(WASMTIME_COMPONENT_TUPLE);
  wasmtime_component_valtuple_new_uninit(&tuple.of.tuple, 3);
  refused("tuple", tuple, "expected 2 types, got 3");
  refused("variant", variant_val("q", NULL), "unknown variant case: `q`");
  val_t number = u32_val(1);
  refused("variant", variant_val("none", &number), "did not expect a payload for case `none`");
  refused("variant", variant_val("num", NULL), "expected a payload for case `num`");
  number = bool_val(true);
  refused("variant", variant_val("num", &number), "type mismatch: expected u32, found bool");
  refused("enum", enum_val("q"), "enum variant name `q` is not valid");
  number = bool_val(true);
  refused("option", option_val(&number), "type mismatch: expected u32, found bool");
  refused("result", result_val(true, NULL), "payload expected to `ok` but not provided");
  number = u32_val(1);
  refused("maybe", result_val(true, &number), "payload provided to `ok` but not expected");
  refused("maybe", result_val(false, NULL), "payload expected to `err` but not provided");
  refused("flags", flags_val("x q"), "unknown flag: `q`");
}

// 44.0.0 ends the process.
static void what_is_no_value_is_refused(void) {
  echo = instance_alone(ECHO);
  refused("string", string_val("\xff"), "invalid utf-8 sequence of 1 bytes from index 0");
  val_t letter = val_of_kind(WASMTIME_COMPONENT_CHAR);
  letter.of.character = 0xd800;
  refused("char", letter, "converted integer out of range for `char`");
  letter.of.character = 0x110000;
  refused("char", letter, "converted integer out of range for `char`");
  refused("u32", val_of_kind(99), "type mismatch: expected u32, found a value of an unknown kind");
  val_t elements[1] = {val_of_kind(255)};
  refused("list", list_val(1, elements), "a value of an unknown kind");
  refused("enum", enum_val("\xff"), "is not valid");
  refused("flags", flags_val("\xff"), "unknown flag");
  refused("variant", variant_val("\xff", NULL), "unknown variant case");
}

// A number that a guest returns where the type wants less of it.
static val_t returned(const char *name, uint32_t number) {
  val_t back = bool_val(false);
  expect_ok(send(name, u32_val(number), &back));
  return back;
}

static void what_a_guest_returns_is_narrowed(void) {
  echo = instance_alone(ECHO);
  expect(returned("to-bool", 2).of.boolean == true);
  expect(returned("to-u8", 0x1ff).of.u8 == 0xff);
  expect(returned("to-s8", 0x180).of.s8 == -128);
  val_t flags = returned("to-flags", 0xfffffffa);
  expect(flags.of.flags.size == 1 && name_is(&flags.of.flags.data[0], "y"));
  drop(flags);
}

// What makes every later call an error, while instantiation works.
static void expect_poisoned(void) {
  val_t back = u32_val(77);
  expect_error_says(send("u32", u32_val(1), &back), "wasm trap: cannot enter component instance");
  echo = instance_alone(ECHO);
  expect_error_says(send("u32", u32_val(1), &back), "wasm trap: cannot enter component instance");
  expect(back.of.u32 == 77);
}

// A function that returns what is no value of its result: an error of this call alone.
static void fails_to_lift_two(const char *name, uint32_t a, uint32_t b, const char *says) {
  wasmtime_component_func_t func = func_named(&echo, name);
  val_t back = u32_val(77), args[2] = {u32_val(a), u32_val(b)};
  expect_error_says(wasmtime_component_func_call(&func, ctx, args, 2, &back, 1), says);
  expect(back.of.u32 == 77);
}

static void results_have_to_be_values(void) {
  echo = instance_alone(ECHO);
  refused("to-char", u32_val(0xd800), "converted integer out of range for `char`");
  refused("to-enum", u32_val(7), "discriminant 7 out of range [0..3)");
  refused("via-pointer", u32_val(2), "return pointer not aligned");
  refused("via-pointer", u32_val(65536), "pointer out of bounds of memory");
  fails_to_lift_two("to-variant", 3, 0, "discriminant 3 out of range [0..3)");
  fails_to_lift_two("to-string", 65536, 1, "string pointer/length out of bounds of memory");
  fails_to_lift_two("to-string", 65535, 2, "string pointer/length out of bounds of memory");
  fails_to_lift_two("to-list", 65536, 1, "list pointer/length out of bounds of memory");
  fails_to_lift_two("to-list", 0, 0x40000000, "list pointer/length out of bounds of memory");
  fails_to_lift_two("to-list", 2, 1, "list pointer is not aligned");
}

static void a_trap_ends_all_components_of_the_store(void) {
  echo = instance_alone(ECHO);
  wasmtime_component_func_t trap = func_named(&echo, "trap");
  wasmtime_error_t *error = wasmtime_component_func_call(&trap, ctx, NULL, 0, NULL, 0);
  if (!expect(error != NULL)) return;
  wasm_frame_vec_t frames;
  wasmtime_error_wasm_trace(error, &frames);
  expect(frames.size == 1);
  wasm_frame_vec_delete(&frames);
  int status = 0;
  expect(!wasmtime_error_exit_status(error, &status));
  expect_error_says(error, "wasm trap: wasm `unreachable` instruction executed");
  expect_poisoned();
}

// What a `realloc` may return for the 4 bytes of an argument.
static void lowering_says(const char *realloc, const char *says) {
  char wat[2048];
  snprintf(wat, sizeof wat,
           "(component (core module $m (memory (export \"memory\") 1)"
           "(func $grow (param i32) (result i32) (drop (memory.grow (i32.const 1))) (local.get 0))"
           "(func (export \"realloc\") (param i32 i32 i32 i32) (result i32) %s)"
           "(func (export \"f\") (param i32 i32) (result i32) (i32.load (local.get 0))))"
           "(core instance $i (instantiate $m))"
           "(alias core export $i \"memory\" (core memory $memory)) (alias core export $i \"realloc\" (core func $realloc))"
           "(func (export \"f\") (param \"a\" (list u32)) (result u32)"
           "  (canon lift (core func $i \"f\") (memory $memory) (realloc $realloc))))",
           realloc);
  store = wasmtime_store_new(engine, NULL, NULL);
  ctx = wasmtime_store_context(store);
  wasmtime_component_instance_t instance = instance_alone(wat);
  wasmtime_component_func_t func = func_named(&instance, "f");
  val_t element = u32_val(42), arg = list_val(1, &element), back = u32_val(77);
  wasmtime_error_t *error = wasmtime_component_func_call(&func, ctx, &arg, 1, &back, 1);
  if (says) {
    expect_error_says(error, says);
    expect(back.of.u32 == 77);
  } else {
    expect_ok(error);
    expect(back.of.u32 == 42);
  }
  drop(arg);
  wasmtime_store_delete(store);
}

static void memory_that_a_guest_gives_is_checked(void) {
  wasmtime_store_delete(store);
  lowering_says("i32.const 16", NULL);
  lowering_says("i32.const 65532", NULL);
  lowering_says("(call $grow (i32.const 65536))", NULL);
  lowering_says("i32.const 65536", "realloc return: beyond end of memory");
  lowering_says("i32.const -4", "realloc return: beyond end of memory");
  lowering_says("i32.const 18", "realloc return: result not aligned");
  lowering_says("unreachable", "wasm trap: wasm `unreachable` instruction executed");
  store = NULL;
}

static void clean_up_runs_with_the_call(void) {
  wasmtime_component_instance_t instance = instance_alone(
      "(component (core module $m (global $n (mut i32) (i32.const 0))"
      "(func (export \"f\") (result i32) (global.get $n))"
      "(func (export \"post\") (param i32) (global.set $n (i32.add (local.get 0) (i32.const 1)))))"
      "(core instance $i (instantiate $m)) (alias core export $i \"post\" (core func $post))"
      "(func (export \"f\") (result u32) (canon lift (core func $i \"f\") (post-return $post))))");
  wasmtime_component_func_t func = func_named(&instance, "f");
  val_t back = bool_val(false);
  for (uint32_t i = 0; i < 3; i++) {
    expect_ok(wasmtime_component_func_call(&func, ctx, NULL, 0, &back, 1));
    expect(back.of.u32 == i);
  }
}

static void clean_up_that_traps_leaves_the_result(void) {
  wasmtime_component_instance_t instance = instance_alone(
      "(component (core module $m (func (export \"f\") (result i32) i32.const 1)"
      "(func (export \"post\") (param i32) unreachable))"
      "(core instance $i (instantiate $m)) (alias core export $i \"post\" (core func $post))"
      "(func (export \"f\") (result u32) (canon lift (core func $i \"f\") (post-return $post))))");
  wasmtime_component_func_t func = func_named(&instance, "f");
  val_t back = u32_val(77);
  expect_error_says(wasmtime_component_func_call(&func, ctx, NULL, 0, &back, 1), "unreachable");
  expect_error_says(wasmtime_component_func_call(&func, ctx, NULL, 0, &back, 1), "cannot enter component instance");
}

static void a_function_has_its_type(void) {
  echo = instance_alone(ECHO);
  wasmtime_component_func_t func = func_named(&echo, "to-string");
  wasmtime_component_func_type_t *type = wasmtime_component_func_type(&func, ctx);
  expect(wasmtime_component_func_type_param_count(type) == 2);
  wasmtime_component_func_type_delete(type);
}

static void fuel(wasm_config_t *config) { wasmtime_config_consume_fuel_set(config, true); }

static void fuel_ends_a_call(void) {
  expect_ok(wasmtime_context_set_fuel(ctx, 1000));
  wasmtime_component_instance_t instance =
      instance_alone("(component (core module $m (func (export \"f\") (loop $l (br $l))))"
                     "(core instance $i (instantiate $m))"
                     "(func (export \"f\") (canon lift (core func $i \"f\"))))");
  wasmtime_component_func_t func = func_named(&instance, "f");
  expect_error_says(wasmtime_component_func_call(&func, ctx, NULL, 0, NULL, 0), "wasm trap: all fuel consumed by WebAssembly");
  expect_error_says(wasmtime_component_func_call(&func, ctx, NULL, 0, NULL, 0), "cannot enter component instance");
}

// 44.0.0 ends the process.
static void another_store_is_refused(void) {
  echo = instance_alone(ECHO);
  wasmtime_component_func_t func = func_named(&echo, "nothing");
  wasmtime_store_t *other = wasmtime_store_new(engine, NULL, NULL);
  expect_error_says(wasmtime_component_func_call(&func, wasmtime_store_context(other), NULL, 0, NULL, 0),
                    "object used with the wrong store");
  wasmtime_store_delete(other);
  expect_ok(wasmtime_component_func_call(&func, ctx, NULL, 0, NULL, 0));
}

int main(void) {
  RUN(numbers_come_back);
  RUN(text_and_lists_come_back);
  RUN(what_has_parts_comes_back);
  RUN(flags_come_back_as_declared);
  RUN_WITH(with_maps, maps_keep_order_and_duplicates);
  RUN(arguments_stay_the_callers);
  RUN(arguments_have_to_fit);
  RUN_HERE(what_is_no_value_is_refused);
  RUN(what_a_guest_returns_is_narrowed);
  RUN(results_have_to_be_values);
  RUN(a_trap_ends_all_components_of_the_store);
  RUN(memory_that_a_guest_gives_is_checked);
  RUN(clean_up_runs_with_the_call);
  RUN(clean_up_that_traps_leaves_the_result);
  RUN(a_function_has_its_type);
  RUN_WITH(fuel, fuel_ends_a_call);
  RUN_HERE(another_store_is_refused);
  return test_summary();
}
