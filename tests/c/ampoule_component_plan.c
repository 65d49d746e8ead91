// ampoule/component.h: calls between C's memory and a guest's. The guests pass what they get to a host function, which sees it as a value and
// gives it back.
#include "component.h"

#include <ampoule.h>

typedef ampoule_component_plan_t plan_t;

typedef struct {
  const char *ptr;
  size_t len;
} text_t;

typedef struct {
  const void *ptr;
  size_t len;
} list_t;

// -- A guest that passes values on

// Of a type, whose core values are `flat`; strings are in this encoding.
static const char *echo(const char *type, const char *flat, const char *encoding) {
  static char wat[8192];
  char gets[512] = "", params[128], body[1024];
  size_t count = (strlen(flat) + 1) / 4;
  for (size_t i = 0; i < count; i++) snprintf(gets + strlen(gets), 32, "(local.get %zu)", i);
  snprintf(params, sizeof params, count == 1 ? "(param %s) (result %s)" : "(param %s i32)", flat, flat);
  snprintf(body, sizeof body, count == 1 ? "(call $do %s)" : "(call $do %s (i32.const 64)) (i32.const 64)", gets);
  snprintf(wat, sizeof wat,
           "(component (type $T' %s) (import \"t\" (type $T (eq $T')))"
           "(import \"do\" (func $do (param \"a\" $T) (result $T)))"
           "(core module $libc (memory (export \"memory\") 1) (global $next (mut i32) (i32.const 1024))"
           "  (func (export \"realloc\") (param i32 i32 i32 i32) (result i32) (global.get $next)"
           "    (global.set $next (i32.and (i32.add (global.get $next) (i32.add (local.get 3) (i32.const 7))) (i32.const -8)))))"
           "(core instance $libc (instantiate $libc)) (alias core export $libc \"memory\" (core memory $memory))"
           "(alias core export $libc \"realloc\" (core func $realloc))"
           "(core func $lowered (canon lower (func $do) (memory $memory) (realloc $realloc) %s))"
           "(core module $m (import \"\" \"do\" (func $do %s))"
           "  (func (export \"call\") (param %s) (result %s) %s))"
           "(core instance $i (instantiate $m (with \"\" (instance (export \"do\" (func $lowered))))))"
           "(func (export \"call\") (param \"a\" $T) (result $T)"
           "  (canon lift (core func $i \"call\") (memory $memory) (realloc $realloc) %s)))",
           type, encoding, params, flat, count == 1 ? flat : "i32", body, encoding);
  return wat;
}

// What the host function saw.
static val_t seen;

static wasmtime_error_t *give_back(void *data, wasmtime_context_t *context, const wasmtime_component_func_type_t *type,
                                   val_t *args, size_t nargs, val_t *results, size_t nresults) {
  (void)data, (void)context, (void)type;
  expect(nargs == 1 && nresults == 1);
  wasmtime_component_val_delete(&seen);
  wasmtime_component_val_clone(&args[0], &seen);
  results[0] = args[0];
  args[0] = bool_val(false);
  return NULL;
}

static wasmtime_component_func_t echo_func(const char *type, const char *flat, const char *encoding) {
  wasmtime_component_linker_t *linker = wasmtime_component_linker_new(engine);
  wasmtime_component_linker_instance_t *root = wasmtime_component_linker_root(linker);
  expect_ok(wasmtime_component_linker_instance_add_func(root, "do", 2, give_back, NULL, NULL));
  wasmtime_component_linker_instance_delete(root);
  wasmtime_component_instance_t instance = instance_with_linker(linker, echo(type, flat, encoding));
  wasmtime_component_linker_delete(linker);
  return func_named(&instance, "call");
}

static plan_t *plan_of(const wasmtime_component_func_t *func, size_t size) {
  plan_t *plan = NULL;
  if (!expect_ok(ampoule_component_plan_new(ctx, func, &size, 1, size, &plan))) exit(1);
  return plan;
}

// Whether stores whose calls are tasks are tried.
static bool concurrent;

static plan_t *echo_plan(const char *type, const char *flat, const char *encoding, size_t size) {
  wasmtime_component_func_t func = echo_func(type, flat, encoding);
  if (concurrent) {
    wasmtime_component_instance_t other = instance_alone(
        "(component (core module $m (func (export \"f\"))) (core instance $i (instantiate $m))"
        "  (func (export \"f\") (canon lift (core func $i \"f\"))))");
    wasmtime_component_func_t nothing = func_named(&other, "f");
    ampoule_component_call_t *call;
    expect_ok(ampoule_component_call_start(ctx, &nothing, NULL, 0, &call));
    expect_ok(ampoule_component_run(ctx, NULL));
    ampoule_component_call_delete(call);
  }
  return plan_of(&func, size);
}

static void call_plan(const plan_t *plan, const void *arg, void *result) {
  const void *args[1] = {arg};
  expect_ok(ampoule_component_plan_call(plan, ctx, args, result));
}

static void forget_seen(void) {
  wasmtime_component_val_delete(&seen);
  seen = bool_val(false);
}

static bool is_text(const val_t *val, const char *text) {
  return val->kind == WASMTIME_COMPONENT_STRING && val->of.string.size == strlen(text) &&
         !memcmp(val->of.string.data, text, strlen(text));
}

// -- Claims

static void strings_in_each_encoding(void) {
  const char *const encodings[] = {"string-encoding=utf8", "string-encoding=utf16", "string-encoding=latin1+utf16"};
  const char *const texts[] = {"thirty-two bytes, which is ASCII", "", "na\xc3\xafve", "\xf0\x9f\x98\x80 and \xe2\x82\xac"};
  for (int e = 0; e < 3; e++) {
    plan_t *plan = echo_plan("string", "i32 i32", encodings[e], sizeof(text_t));
    for (int t = 0; t < 4; t++) {
      text_t arg = {texts[t], strlen(texts[t])}, result = {0};
      if (arg.len == 0) arg.ptr = NULL;
      call_plan(plan, &arg, &result);
      expect(is_text(&seen, texts[t]));
      expect(result.len == strlen(texts[t]) && !memcmp(result.ptr, texts[t], result.len));
    }
    forget_seen();
    // What isn't UTF-8 is refused, and nothing has run.
    text_t bad = {"\xff", 1}, result;
    const void *args[1] = {&bad};
    expect_error_says(ampoule_component_plan_call(plan, ctx, args, &result), "utf-8");
    bad = (text_t){NULL, 5};
    expect_error_says(ampoule_component_plan_call(plan, ctx, args, &result), "nowhere");
    bad = (text_t){"x", SIZE_MAX};
    expect_error_says(ampoule_component_plan_call(plan, ctx, args, &result), "nowhere");
    expect(seen.kind == WASMTIME_COMPONENT_BOOL);
    ampoule_component_plan_delete(plan);
  }
}

static void records_of_each_scalar(void) {
  typedef struct {
    int8_t a;
    int16_t b;
    bool c;
    uint8_t d;
    uint32_t e;
    uint64_t f;
    float g;
    double h;
    uint32_t character;
    int64_t i;
    int32_t j;
    uint16_t k;
  } all_t;
  plan_t *plan = echo_plan("(record (field \"a\" s8) (field \"b\" s16) (field \"c\" bool) (field \"d\" u8) (field \"e\" u32)"
                           "  (field \"f\" u64) (field \"g\" f32) (field \"h\" f64) (field \"ch\" char) (field \"i\" s64)"
                           "  (field \"j\" s32) (field \"k\" u16))",
                           "i32 i32 i32 i32 i32 i64 f32 f64 i32 i64 i32 i32", "", sizeof(all_t));
  all_t arg = {-5, -300, true, 200, 4000000000, 1ull << 63, 1.5f, -2.25, 0x1f600, INT64_MIN, -7, 65535}, result;
  memset(&result, 0x55, sizeof result);
  call_plan(plan, &arg, &result);
  expect(seen.kind == WASMTIME_COMPONENT_RECORD && seen.of.record.size == 12);
  if (seen.of.record.size == 12) {
    wasmtime_component_valrecord_entry_t *fields = seen.of.record.data;
    expect(fields[0].val.of.s8 == -5 && fields[1].val.of.s16 == -300 && fields[2].val.of.boolean);
    expect(fields[3].val.of.u8 == 200 && fields[8].val.of.character == 0x1f600 && fields[9].val.of.s64 == INT64_MIN);
  }
  expect(result.a == arg.a && result.b == arg.b && result.c == arg.c && result.d == arg.d && result.e == arg.e);
  expect(result.f == arg.f && result.g == arg.g && result.h == arg.h && result.character == arg.character);
  expect(result.i == arg.i && result.j == arg.j && result.k == arg.k);
  const void *args[1] = {&arg};
  arg.character = 0xd800;
  expect_error_says(ampoule_component_plan_call(plan, ctx, args, &result), "out of range for `char`");
  forget_seen();
  ampoule_component_plan_delete(plan);
}

static void lists_of_scalars_strings_and_tuples(void) {
  plan_t *plan = echo_plan("(list u32)", "i32 i32", "", sizeof(list_t));
  uint32_t numbers[1000];
  for (uint32_t i = 0; i < 1000; i++) numbers[i] = i * i;
  for (size_t len = 0; len <= 1000; len += 500) {
    list_t arg = {numbers, len}, result;
    call_plan(plan, &arg, &result);
    expect(seen.of.list.size == len && result.len == len && !memcmp(result.ptr, numbers, 4 * len));
  }
  // A list that no guest has memory for.
  list_t endless = {numbers, (size_t)1 << 40}, none;
  const void *args[1] = {&endless};
  expect_error_says(ampoule_component_plan_call(plan, ctx, args, &none), "list is too long to be passed");
  ampoule_component_plan_delete(plan);

  typedef struct {
    text_t name;
    bool flag;
    uint16_t number;
  } item_t;
  forget_seen();
  plan = echo_plan("(list (tuple string bool u16))", "i32 i32", "", sizeof(list_t));
  item_t items[20];
  char names[20][8];
  for (int i = 0; i < 20; i++) {
    int len = snprintf(names[i], sizeof names[i], "item%d", i);
    items[i] = (item_t){{names[i], (size_t)len}, i % 2, (uint16_t)(i * 1000)};
  }
  for (int round = 0; round < 3; round++) {
    list_t arg = {items, 20}, result;
    call_plan(plan, &arg, &result);
    expect(seen.of.list.size == 20 && is_text(&seen.of.list.data[7].of.tuple.data[0], "item7"));
    expect(result.len == 20);
    for (int i = 0; i < 20 && result.len == 20; i++) {
      const item_t *item = (const item_t *)result.ptr + i;
      expect(item->name.len == items[i].name.len && !memcmp(item->name.ptr, names[i], item->name.len));
      expect(item->flag == (i % 2) && item->number == i * 1000);
    }
  }
  forget_seen();
  ampoule_component_plan_delete(plan);
}

static void cases_have_a_tag_and_a_union(void) {
  typedef struct {
    bool is_some;
    uint64_t val;
  } option_t;
  plan_t *plan = echo_plan("(option u64)", "i32 i64", "", sizeof(option_t));
  for (int some = 0; some < 2; some++) {
    option_t arg = {some, 77}, result = {0};
    call_plan(plan, &arg, &result);
    expect(seen.kind == WASMTIME_COMPONENT_OPTION && !!seen.of.option == !!some);
    expect(result.is_some == some && (!some || result.val == 77));
  }
  ampoule_component_plan_delete(plan);
  forget_seen();

  // The payloads share their core values.
  typedef struct {
    bool is_err;
    union {
      text_t ok;
      double err;
    } val;
  } result_t;
  plan = echo_plan("(result string (error f64))", "i32 i64 i32", "", sizeof(result_t));
  result_t arg = {.is_err = false, .val.ok = {"fine", 4}}, result;
  call_plan(plan, &arg, &result);
  expect(seen.of.result.is_ok && is_text(seen.of.result.val, "fine"));
  expect(!result.is_err && result.val.ok.len == 4 && !memcmp(result.val.ok.ptr, "fine", 4));
  arg = (result_t){.is_err = true, .val.err = -0.5};
  call_plan(plan, &arg, &result);
  expect(!seen.of.result.is_ok && seen.of.result.val->of.f64 == -0.5 && result.is_err && result.val.err == -0.5);
  ampoule_component_plan_delete(plan);
  forget_seen();

  typedef struct {
    uint8_t tag;
    union {
      uint8_t small;
      float real;
      list_t bytes;
    } val;
  } variant_t;
  plan = echo_plan("(variant (case \"none\") (case \"small\" u8) (case \"real\" f32) (case \"bytes\" (list u8)))",
                   "i32 i32 i32", "", sizeof(variant_t));
  variant_t given = {.tag = 0}, got;
  call_plan(plan, &given, &got);
  expect(got.tag == 0 && seen.of.variant.discriminant.size == 4 && !seen.of.variant.val);
  given = (variant_t){.tag = 1, .val.small = 250};
  call_plan(plan, &given, &got);
  expect(got.tag == 1 && got.val.small == 250);
  given = (variant_t){.tag = 2, .val.real = 0.25f};
  call_plan(plan, &given, &got);
  expect(got.tag == 2 && got.val.real == 0.25f && seen.of.variant.val->of.f32 == 0.25f);
  given = (variant_t){.tag = 3, .val.bytes = {"abc", 3}};
  call_plan(plan, &given, &got);
  expect(got.tag == 3 && got.val.bytes.len == 3 && !memcmp(got.val.bytes.ptr, "abc", 3));
  given.tag = 4;
  const void *args[1] = {&given};
  expect_error_says(ampoule_component_plan_call(plan, ctx, args, &got), "discriminant 4 out of range [0..4)");
  ampoule_component_plan_delete(plan);
  forget_seen();
}

static void enums_flags_and_tuples(void) {
  plan_t *plan = echo_plan("(enum \"red\" \"green\" \"blue\")", "i32", "", 1);
  uint8_t color = 2, answer = 9;
  call_plan(plan, &color, &answer);
  expect(answer == 2 && seen.kind == WASMTIME_COMPONENT_ENUM && seen.of.enumeration.size == 4);
  color = 3;
  const void *args[1] = {&color};
  expect_error_says(ampoule_component_plan_call(plan, ctx, args, &answer), "out of range [0..3)");
  ampoule_component_plan_delete(plan);
  forget_seen();

  plan = echo_plan("(flags \"a\" \"b\" \"c\" \"d\" \"e\" \"f\" \"g\" \"h\" \"i\" \"j\")", "i32", "", 2);
  // Bits that stand for no flag are nothing.
  uint16_t flags = 0xf205, back = 0;
  call_plan(plan, &flags, &back);
  expect(back == 0x205 && seen.of.flags.size == 3);
  ampoule_component_plan_delete(plan);
  forget_seen();

  typedef struct {
    uint8_t first;
    struct {
      float x, y;
    } second;
    bool third;
  } tuple_t;
  plan = echo_plan("(tuple u8 (tuple f32 f32) bool)", "i32 f32 f32 i32", "", sizeof(tuple_t));
  tuple_t arg = {7, {1.5f, 2.5f}, true}, result;
  call_plan(plan, &arg, &result);
  expect(result.first == 7 && result.second.x == 1.5f && result.second.y == 2.5f && result.third);
  ampoule_component_plan_delete(plan);
  forget_seen();
}

static void in_a_store_with_tasks(void) {
  concurrent = true;
  strings_in_each_encoding();
  lists_of_scalars_strings_and_tuples();
  cases_have_a_tag_and_a_union();
  concurrent = false;
}

// Gives what a guest may give that means nothing.
#define LIAR                                                                                                          \
  "(component"                                                                                                        \
  "  (core module $m (memory (export \"memory\") 1) (data (i32.const 100) \"ok\\ff\")"                                \
  "    (func (export \"pair\") (param i32 i32) (result i32)"                                                          \
  "      (i32.store (i32.const 16) (local.get 0)) (i32.store (i32.const 20) (local.get 1)) (i32.const 16))"           \
  "    (func (export \"one\") (param i32) (result i32) (local.get 0))"                                                \
  "    (func (export \"sum\") (param i32) (result i32) (local $i i32) (local $sum i32)"                               \
  "      (loop $next (local.set $sum (i32.add (local.get $sum) (i32.load (local.get 0))))"                            \
  "        (local.set 0 (i32.add (local.get 0) (i32.const 4))) (local.set $i (i32.add (local.get $i) (i32.const 1)))" \
  "        (br_if $next (i32.lt_u (local.get $i) (i32.const 17)))) (local.get $sum))"                                 \
  "    (func (export \"realloc\") (param i32 i32 i32 i32) (result i32) (i32.const 1024))"                             \
  "    (func (export \"trap\") unreachable))"                                                                         \
  "  (core instance $i (instantiate $m)) (alias core export $i \"memory\" (core memory $memory))"                     \
  "  (alias core export $i \"realloc\" (core func $realloc))"                                                         \
  "  (func (export \"text\") (param \"at\" u32) (param \"len\" u32) (result string)"                                  \
  "    (canon lift (core func $i \"pair\") (memory $memory)))"                                                        \
  "  (func (export \"list\") (param \"at\" u32) (param \"len\" u32) (result (list u64))"                              \
  "    (canon lift (core func $i \"pair\") (memory $memory)))"                                                        \
  "  (func (export \"option\") (param \"tag\" u32) (param \"value\" u32) (result (option u32))"                       \
  "    (canon lift (core func $i \"pair\") (memory $memory)))"                                                        \
  "  (func (export \"char\") (param \"n\" u32) (result char) (canon lift (core func $i \"one\")))"                    \
  "  (func (export \"at\") (param \"n\" u32) (result (tuple u64 u64)) (canon lift (core func $i \"one\") (memory $memory)))" \
  "  (func (export \"many\") (param \"a\" u32) (param \"b\" u32) (param \"c\" u32) (param \"d\" u32) (param \"e\" u32)" \
  "    (param \"f\" u32) (param \"g\" u32) (param \"h\" u32) (param \"i\" u32) (param \"j\" u32) (param \"k\" u32)"   \
  "    (param \"l\" u32) (param \"m\" u32) (param \"n\" u32) (param \"o\" u32) (param \"p\" u32) (param \"q\" u32)"   \
  "    (result u32) (canon lift (core func $i \"sum\") (memory $memory) (realloc $realloc)))"                         \
  "  (func (export \"trap\") (canon lift (core func $i \"trap\"))))"

static void what_means_nothing_is_an_error(void) {
  wasmtime_component_instance_t instance = instance_alone(LIAR);
  uint32_t a, b;
  const void *args[2] = {&a, &b};
  size_t sizes[2] = {4, 4};
  struct {
    const char *name;
    size_t params, result;
    uint32_t a, b;
    const char *says;
  } cases[] = {
      {"text", 2, sizeof(text_t), 100, 2, NULL},
      {"text", 2, sizeof(text_t), 100, 3, "utf-8"},
      {"text", 2, sizeof(text_t), 65535, 2, "string pointer/length out of bounds of memory"},
      {"text", 2, sizeof(text_t), 0, UINT32_MAX, "string pointer/length out of bounds of memory"},
      {"list", 2, sizeof(list_t), 65536, 0, NULL},
      {"list", 2, sizeof(list_t), 0, 8193, "list pointer/length out of bounds of memory"},
      {"list", 2, sizeof(list_t), 0, UINT32_MAX, "list pointer/length out of bounds of memory"},
      {"list", 2, sizeof(list_t), 4, 1, "list pointer is not aligned"},
      {"option", 2, 8, 1, 5, NULL},
      {"option", 2, 8, 2, 5, "discriminant 2 out of range [0..2)"},
      {"char", 1, 4, 0xd800, 0, "out of range for `char`"},
      {"at", 1, 16, 4, 0, "return pointer not aligned"},
      {"at", 1, 16, 65528, 0, "pointer out of bounds of memory"},
      {"at", 1, 16, 65520, 0, NULL},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    wasmtime_component_func_t func = func_named(&instance, cases[i].name);
    plan_t *plan = NULL;
    expect_ok(ampoule_component_plan_new(ctx, &func, sizes, cases[i].params, cases[i].result, &plan));
    (a = cases[i].a, b = cases[i].b);
    union {
      text_t text;
      list_t list;
      char bytes[16];
    } result;
    wasmtime_error_t *error = ampoule_component_plan_call(plan, ctx, args, &result);
    if (cases[i].says)
      expect_error_says(error, cases[i].says);
    else
      expect_ok(error);
    ampoule_component_plan_delete(plan);
  }
}

static void more_parameters_than_registers_go_through_memory(void) {
  wasmtime_component_instance_t instance = instance_alone(LIAR);
  wasmtime_component_func_t many = func_named(&instance, "many");
  size_t sizes[17];
  uint32_t values[17], sum = 0;
  const void *args[17];
  for (uint32_t i = 0; i < 17; i++) (sizes[i] = 4, values[i] = i + 1, args[i] = &values[i]);
  plan_t *plan = NULL;
  expect_ok(ampoule_component_plan_new(ctx, &many, sizes, 17, 4, &plan));
  expect_ok(ampoule_component_plan_call(plan, ctx, args, &sum));
  expect(sum == 153);
  ampoule_component_plan_delete(plan);
}

static void a_plan_is_for_one_function(void) {
  wasmtime_component_instance_t instance = instance_alone(LIAR);
  wasmtime_component_func_t func = func_named(&instance, "text");
  size_t sizes[2] = {4, 4};
  plan_t *plan = NULL;
  expect_error_says(ampoule_component_plan_new(ctx, &func, sizes, 1, 16, &plan), "expected 2 argument(s), got 1");
  expect_error_says(ampoule_component_plan_new(ctx, &func, sizes, 2, 8, &plan), "the result has 16 bytes, not 8");
  sizes[1] = 8;
  expect_error_says(ampoule_component_plan_new(ctx, &func, sizes, 2, 16, &plan), "parameter 1 has 4 bytes, not 8");
  sizes[1] = 4;
  expect_ok(ampoule_component_plan_new(ctx, &func, sizes, 2, 16, &plan));
  wasmtime_store_t *other = wasmtime_store_new(engine, NULL, NULL);
  text_t result;
  uint32_t a = 0;
  const void *args[2] = {&a, &a};
  expect_error_says(ampoule_component_plan_call(plan, wasmtime_store_context(other), args, &result), "wrong store");
  wasmtime_store_delete(other);
  // A trap is one, and the store's end.
  wasmtime_component_func_t trap = func_named(&instance, "trap");
  plan_t *traps = NULL;
  expect_ok(ampoule_component_plan_new(ctx, &trap, NULL, 0, 0, &traps));
  expect_error_says(ampoule_component_plan_call(traps, ctx, NULL, NULL), "unreachable");
  expect_error_says(ampoule_component_plan_call(plan, ctx, args, &result), "cannot enter component instance");
  ampoule_component_plan_delete(traps);
  ampoule_component_plan_delete(plan);
  ampoule_component_plan_delete(NULL);
  // What has no form in C.
  wasmtime_component_instance_t handles = instance_alone(
      "(component (type $r' (resource (rep i32))) (export $r \"r\" (type $r'))"
      "  (core module $m (func (export \"f\") (param i32))) (core instance $i (instantiate $m))"
      "  (func (export \"f\") (param \"r\" (own $r)) (canon lift (core func $i \"f\"))))");
  func = func_named(&handles, "f");
  expect_error_says(ampoule_component_plan_new(ctx, &func, sizes, 1, 0, &plan), "a plan has no owned resource");
}

int main(void) {
  RUN(strings_in_each_encoding);
  RUN(records_of_each_scalar);
  RUN(lists_of_scalars_strings_and_tuples);
  RUN(cases_have_a_tag_and_a_union);
  RUN(enums_flags_and_tuples);
  RUN(in_a_store_with_tasks);
  RUN(what_means_nothing_is_an_error);
  RUN(more_parameters_than_registers_go_through_memory);
  RUN(a_plan_is_for_one_function);
  return test_summary();
}
