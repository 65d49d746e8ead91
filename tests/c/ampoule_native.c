// ampoule/native.h: guest functions as plain C functions, plain C functions as imports.
#include "test.h"

#include <ampoule.h>
#include <pthread.h>

// -- Types in short: "if>d" is (param i32 f32) (result f64); I is i64, d is f64

static wasm_valkind_t kind_of(char letter) {
  switch (letter) {
  case 'i': return WASM_I32;
  case 'I': return WASM_I64;
  case 'f': return WASM_F32;
  case 'd': return WASM_F64;
  case 'x': return WASM_EXTERNREF;
  default: return WASM_FUNCREF;
  }
}

static wasm_functype_t *type_of(const char *letters) {
  wasm_valtype_t *types[2][40];
  size_t counts[2] = {0, 0};
  int side = 0;
  for (; *letters; letters++) {
    if (*letters == '>')
      side = 1;
    else
      types[side][counts[side]++] = wasm_valtype_new(kind_of(*letters));
  }
  wasm_valtype_vec_t params, results;
  wasm_valtype_vec_new(&params, counts[0], types[0]);
  wasm_valtype_vec_new(&results, counts[1], types[1]);
  return wasm_functype_new(&params, &results);
}

static ampoule_native_t native_of(const wasmtime_func_t *func, const char *letters) {
  wasm_functype_t *type = type_of(letters);
  ampoule_native_t entry = NULL;
  expect_ok(ampoule_func_native(ctx, func, type, &entry));
  wasm_functype_delete(type);
  if (!expect(entry != NULL)) exit(1);
  return entry;
}

static ampoule_native_t native_export(const wasmtime_instance_t *instance, const char *name, const char *letters) {
  wasmtime_func_t func = func_of(instance, name);
  return native_of(&func, letters);
}

static wasmtime_error_t *native_error(const wasmtime_func_t *func, const char *letters) {
  wasm_functype_t *type = type_of(letters);
  ampoule_native_t entry = (ampoule_native_t)native_error;
  wasmtime_error_t *error = ampoule_func_native(ctx, func, type, &entry);
  expect(entry == (ampoule_native_t)native_error || !error); // untouched on failure
  wasm_functype_delete(type);
  return error;
}

static wasmtime_func_t import_of(ampoule_native_t import, const char *letters, ampoule_native_takes_t takes, void *env) {
  wasm_functype_t *type = type_of(letters);
  wasmtime_func_t func = no_func();
  expect_ok(ampoule_func_new_native(ctx, type, import, takes, env, NULL, &func));
  wasm_functype_delete(type);
  return func;
}

// The trap that the last native call left.
static wasm_trap_t *taken_trap(void) {
  wasmtime_error_t *error = NULL;
  wasm_trap_t *trap = NULL;
  expect(*ampoule_native_failed(ctx) != 0);
  if (!expect(ampoule_native_take_failure(ctx, &error, &trap))) return NULL;
  expect_ok(error);
  expect(*ampoule_native_failed(ctx) == 0);
  expect(!ampoule_native_take_failure(ctx, &error, &trap));
  return trap;
}

static wasmtime_error_t *taken_error(void) {
  wasmtime_error_t *error = NULL;
  wasm_trap_t *trap = NULL;
  expect(ampoule_native_take_failure(ctx, &error, &trap));
  expect_no_trap(trap);
  return error;
}

// -- Guest functions as C functions

static void a_function_is_called_by_its_c_signature(void) {
  wasmtime_instance_t instance = instance_of(
      "(module (func (export \"add\") (param i32 i32) (result i32) local.get 0 local.get 1 i32.add))");
  int32_t (*add)(int32_t, int32_t) = (int32_t(*)(int32_t, int32_t))native_export(&instance, "add", "ii>i");
  expect(add(2, 3) == 5);
  expect(add(INT32_MAX, 1) == INT32_MIN);
  for (int32_t i = 0; i < 1000; i++)
    if (!expect(add(i, -7) == i - 7)) break;
  expect(*ampoule_native_failed(ctx) == 0);
  // The same pointer each time it is asked for.
  expect((ampoule_native_t)add == native_export(&instance, "add", "ii>i"));
}

static void each_type_is_returned(void) {
  wasmtime_instance_t instance = instance_of(
      "(module (func (export \"none\") (param i32) local.get 0 global.set 0)"
      "  (global (export \"g\") (mut i32) (i32.const 0))"
      "  (func (export \"i\") (result i32) i32.const -5) (func (export \"I\") (result i64) i64.const -6000000000)"
      "  (func (export \"f\") (result f32) f32.const 1.5) (func (export \"d\") (result f64) f64.const -2.25))");
  ((void (*)(int32_t))native_export(&instance, "none", "i"))(77);
  wasmtime_extern_t global = export_of(&instance, "g");
  wasmtime_val_t val;
  wasmtime_global_get(ctx, &global.of.global, &val);
  expect(val.of.i32 == 77);
  expect(((int32_t(*)(void))native_export(&instance, "i", ">i"))() == -5);
  expect(((int64_t(*)(void))native_export(&instance, "I", ">I"))() == -6000000000);
  expect(((float (*)(void))native_export(&instance, "f", ">f"))() == 1.5f);
  expect(((double (*)(void))native_export(&instance, "d", ">d"))() == -2.25);
}

// A function that makes one number of its parameters, in which each has its own place: Horner's scheme in f64.
static void weigh(char *wat, size_t size, const char *params) {
  size_t at = 0;
  at += snprintf(wat + at, size - at, "(module (func (export \"weigh\") (param");
  for (const char *p = params; *p; p++)
    at += snprintf(wat + at, size - at, " %s", *p == 'i' ? "i32" : *p == 'I' ? "i64" : *p == 'f' ? "f32" : "f64");
  at += snprintf(wat + at, size - at, ") (result f64) f64.const 0");
  for (size_t i = 0; params[i]; i++) {
    const char *convert = params[i] == 'i'   ? "f64.convert_i32_s"
                          : params[i] == 'I' ? "f64.convert_i64_s"
                          : params[i] == 'f' ? "f64.promote_f32"
                                             : "";
    at += snprintf(wat + at, size - at, " f64.const 3 f64.mul local.get %zu %s f64.add", i, convert);
  }
  snprintf(wat + at, size - at, "))");
}

#define WEIGHT(...) weight((const double[]){__VA_ARGS__}, sizeof((const double[]){__VA_ARGS__}) / sizeof(double))

static double weight(const double *values, size_t count) {
  double sum = 0;
  for (size_t i = 0; i < count; i++) sum = sum * 3 + values[i];
  return sum;
}

#define WEIGH(letters, signature, ...)                                                                                 \
  do {                                                                                                                 \
    char wat[4096];                                                                                                    \
    weigh(wat, sizeof wat, letters);                                                                                   \
    wasmtime_instance_t instance = instance_of(wat);                                                                   \
    double(*f) signature = (double(*) signature)native_export(&instance, "weigh", letters ">d");                       \
    expect(f(__VA_ARGS__) == WEIGHT(__VA_ARGS__));                                                                     \
    expect(f(__VA_ARGS__) == WEIGHT(__VA_ARGS__)); /* the second time everything about the call is known */           \
  } while (0)

typedef int32_t i;
typedef int64_t I;
typedef float f_;
typedef double d;

static void arguments_arrive_in_registers(void) {
  WEIGH("i", (i), 7);
  WEIGH("I", (I), -70000000000);
  WEIGH("f", (f_), 0.5f);
  WEIGH("d", (d), 0.25);
  WEIGH("iii", (i, i, i), 1, 2, 3);
  WEIGH("iiii", (i, i, i, i), 1, 2, 3, 4);
  WEIGH("iiiii", (i, i, i, i, i), 1, 2, 3, 4, 5);
  WEIGH("iIiIi", (i, I, i, I, i), -1, 2, -3, 4, -5);
  WEIGH("ffffffff", (f_, f_, f_, f_, f_, f_, f_, f_), 1, 2, 3, 4, 5, 6, 7, 8);
  WEIGH("dfdfdfdf", (d, f_, d, f_, d, f_, d, f_), 1, 2, 3, 4, 5, 6, 7, 8);
  WEIGH("idIfidIfidff", (i, d, I, f_, i, d, I, f_, i, d, f_, f_), 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12);
}

static void arguments_arrive_on_the_stack(void) {
  WEIGH("iiiiii", (i, i, i, i, i, i), 1, 2, 3, 4, 5, 6);
  WEIGH("iiiiiii", (i, i, i, i, i, i, i), 1, 2, 3, 4, 5, 6, 7);
  WEIGH("IiIiIiIiIi", (I, i, I, i, I, i, I, i, I, i), -1, 2, -3, 4, -5, 6, -7, 8, -9, 10);
  WEIGH("fffffffff", (f_, f_, f_, f_, f_, f_, f_, f_, f_), 1, 2, 3, 4, 5, 6, 7, 8, 9);
  WEIGH("dddddddddd", (d, d, d, d, d, d, d, d, d, d), 1, 2, 3, 4, 5, 6, 7, 8, 9, 10);
  WEIGH("iiiiiiiddddddddddfI", (i, i, i, i, i, i, i, d, d, d, d, d, d, d, d, d, d, f_, I), 1, 2, 3, 4, 5, 6, 7, 8, 9,
        10, 11, 12, 13, 14, 15, 16, 17, 18, 19);
  WEIGH("dididididididididididi", (d, i, d, i, d, i, d, i, d, i, d, i, d, i, d, i, d, i, d, i, d, i), 1, 2, 3, 4, 5, 6,
        7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22);
}

static void further_results_come_through_pointers(void) {
  wasmtime_instance_t instance = instance_of(
      "(module (func (export \"two\") (param i32 i64) (result i64 i32) local.get 1 local.get 0)"
      "  (func (export \"four\") (param f64) (result f32 f64 i32 i64)"
      "    f32.const 0.5 local.get 0 i32.const -3 i64.const -4)"
      "  (func (export \"fail\") (result i32 i32) unreachable)"
      "  (func (export \"twelve\") (param i32) (result i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)"
      "    local.get 0 i32.const 1 i32.const 2 i32.const 3 i32.const 4 i32.const 5 i32.const 6 i32.const 7 i32.const 8"
      "    i32.const 9 i32.const 10 i32.const 11))");
  int64_t (*two)(int32_t, int64_t, int32_t *) =
      (int64_t(*)(int32_t, int64_t, int32_t *))native_export(&instance, "two", "iI>Ii");
  int32_t second[2] = {0, 99};
  expect(two(4, 5000000000, second) == 5000000000 && second[0] == 4);
  expect(second[1] == 99); // only as many bytes as the type has
  expect(two(4, 6, NULL) == 6);
  float (*four)(double, double *, int32_t *, int64_t *) =
      (float (*)(double, double *, int32_t *, int64_t *))native_export(&instance, "four", "d>fdiI");
  double b;
  int32_t c;
  int64_t e;
  expect(four(9.5, &b, &c, &e) == 0.5f && b == 9.5 && c == -3 && e == -4);
  int32_t(*twelve)(i, i *, i *, i *, i *, i *, i *, i *, i *, i *, i *, i *) =
      (int32_t(*)(i, i *, i *, i *, i *, i *, i *, i *, i *, i *, i *, i *))native_export(&instance, "twelve",
                                                                                        "i>iiiiiiiiiiii");
  i r[12];
  expect(twelve(-1, r + 1, r + 2, r + 3, r + 4, r + 5, r + 6, r + 7, r + 8, r + 9, r + 10, r + 11) == -1);
  for (int k = 1; k < 12; k++) expect(r[k] == k);
  int32_t (*fail)(int32_t *) = (int32_t(*)(int32_t *))native_export(&instance, "fail", ">ii");
  expect(fail(second) == 0 && second[0] == 0);
  expect_trap(taken_trap(), WASMTIME_TRAP_CODE_UNREACHABLE_CODE_REACHED);
}

static void wrong_types_are_refused(void) {
  wasmtime_instance_t instance = instance_of(
      "(module (func (export \"add\") (param i32 i32) (result i32) local.get 0)"
      "  (func (export \"ref\") (param externref) (result funcref) ref.null func)"
      "  (func (export \"vec\") (result v128) v128.const i64x2 0 0))");
  wasmtime_func_t add = func_of(&instance, "add"), ref = func_of(&instance, "ref"), vec = func_of(&instance, "vec");
  expect_error_says(native_error(&add, "iI>i"), "type mismatch");
  expect_error_says(native_error(&add, "ii"), "type mismatch");
  expect_error_says(native_error(&add, "i>i"), "type mismatch");
  expect_error_says(native_error(&ref, "x>F"), "number types");
  wasm_functype_t *type = wasmtime_func_type(ctx, &vec);
  ampoule_native_t entry = NULL;
  expect_error_says(ampoule_func_native(ctx, &vec, type, &entry), "number types");
  wasm_functype_delete(type);
  expect(!entry);
  wasmtime_func_t null = no_func();
  expect_error_says(native_error(&null, "ii>i"), "null");
}

static void functions_of_other_stores_are_refused(void) {
  wasmtime_store_t *other = wasmtime_store_new(engine, NULL, NULL);
  wasmtime_instance_t instance =
      instance_with(wasmtime_store_context(other), engine, "(module (func (export \"f\")))", NULL, 0);
  wasmtime_extern_t item = export_in(wasmtime_store_context(other), &instance, "f");
  expect_error_says(native_error(&item.of.func, ""), "wrong store");
  wasmtime_store_delete(other);
}

static void a_trap_is_kept_for_the_caller(void) {
  wasmtime_instance_t instance = instance_of(
      "(module $m (func $div (export \"div\") (param i32 i32) (result i32) local.get 0 local.get 1 i32.eqz"
      "  if unreachable end local.get 1 i32.div_s)"
      "  (func (export \"half\") (param f64) (result f64) local.get 0 f64.const 0 f64.eq if unreachable end"
      "    local.get 0 f64.const 2 f64.div))");
  int32_t (*div)(int32_t, int32_t) = (int32_t(*)(int32_t, int32_t))native_export(&instance, "div", "ii>i");
  double (*half)(double) = (double (*)(double))native_export(&instance, "half", "d>d");
  expect(!ampoule_native_take_failure(ctx, NULL, NULL));
  const uint32_t *failed = ampoule_native_failed(ctx);
  for (int round = 0; round < 3; round++) {
    expect(div(7, 2) == 3 && *failed == 0);
    expect(div(7, 0) == 0 && *failed != 0);
    expect(div(9, 3) == 3 && *failed != 0); // kept until it is taken
    expect(half(0) == 0);                   // a later one is dropped
    wasm_trap_t *trap = taken_trap();
    wasm_frame_t *origin = wasm_trap_origin(trap);
    if (expect(origin != NULL)) expect(wasm_frame_func_index(origin) == 0);
    wasm_frame_delete(origin);
    expect_trap(trap, WASMTIME_TRAP_CODE_UNREACHABLE_CODE_REACHED);
    expect(half(3) == 1.5 && *failed == 0);
  }
  // Without a place for the trap it is an error.
  expect(div(7, 0) == 0);
  wasmtime_error_t *error = NULL;
  expect(ampoule_native_take_failure(ctx, &error, NULL));
  expect_error_says(error, "unreachable");
}

static void a_failure_nobody_takes_goes_with_the_store(void) {
  wasmtime_instance_t instance = instance_of("(module (func (export \"f\") unreachable))");
  ((void (*)(void))native_export(&instance, "f", ""))();
  expect(*ampoule_native_failed(ctx) != 0);
}

static void faults_are_traps(void) {
  wasmtime_instance_t instance = instance_of(
      "(module (memory 1) (func (export \"load\") (param i32) (result i32) local.get 0 i32.load)"
      "  (func (export \"div\") (param i32 i32) (result i32) local.get 0 local.get 1 i32.div_s))");
  int32_t (*load)(int32_t) = (int32_t(*)(int32_t))native_export(&instance, "load", "i>i");
  int32_t (*div)(int32_t, int32_t) = (int32_t(*)(int32_t, int32_t))native_export(&instance, "div", "ii>i");
  expect(load(65532) == 0 && *ampoule_native_failed(ctx) == 0);
  expect(load(65533) == 0);
  expect_trap(taken_trap(), WASMTIME_TRAP_CODE_MEMORY_OUT_OF_BOUNDS);
  expect(div(1, 0) == 0);
  expect_trap(taken_trap(), WASMTIME_TRAP_CODE_INTEGER_DIVISION_BY_ZERO);
  expect(div(INT32_MIN, -1) == 0);
  expect_trap(taken_trap(), WASMTIME_TRAP_CODE_INTEGER_OVERFLOW);
  expect(div(12, -4) == -3);
}

static void deep_recursion_is_a_trap(void) {
  wasmtime_instance_t instance =
      instance_of("(module (func $f (export \"f\") (param i32) (result i32) local.get 0 i32.eqz"
                  "  if (result i32) i32.const 0 else local.get 0 i32.const 1 i32.sub call $f i32.const 1 i32.add end))");
  int32_t (*f)(int32_t) = (int32_t(*)(int32_t))native_export(&instance, "f", "i>i");
  for (int round = 0; round < 3; round++) {
    expect(f(1000) == 1000);
    expect(f(100 << 20) == 0);
    expect_trap(taken_trap(), WASMTIME_TRAP_CODE_STACK_OVERFLOW);
  }
}

// Leaves every register that a callee has to keep with another value, and looks at them after the call.
static bool keeps_registers(void (*f)(void)) {
#if defined(__x86_64__)
  uint64_t found[5];
  __asm__ volatile("lea -128(%%rsp), %%rsp\n push %%rbx\n push %%rbp\n push %%r12\n push %%r13\n push %%r14\n push %%r15\n"
                   "mov %1, %%rbp\n" // kept by the callee too, so it also carries the array
                   "mov $11, %%rbx\n mov $12, %%r12\n mov $13, %%r13\n mov $14, %%r14\n mov $15, %%r15\n"
                   "mov %%rsp, %%rax\n and $-16, %%rsp\n sub $16, %%rsp\n mov %%rax, (%%rsp)\n"
                   "call *%0\n"
                   "mov (%%rsp), %%rsp\n"
                   "mov %%rbx, (%%rbp)\n mov %%r12, 8(%%rbp)\n mov %%r13, 16(%%rbp)\n"
                   "mov %%r14, 24(%%rbp)\n mov %%r15, 32(%%rbp)\n"
                   "pop %%r15\n pop %%r14\n pop %%r13\n pop %%r12\n pop %%rbp\n pop %%rbx\n lea 128(%%rsp), %%rsp\n"
                   :
                   : "D"(f), "S"(found)
                   : "rax", "rcx", "rdx", "r8", "r9", "r10", "r11", "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3",
                     "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14",
                     "xmm15");
  return found[0] == 11 && found[1] == 12 && found[2] == 13 && found[3] == 14 && found[4] == 15;
#else
  f();
  return true;
#endif
}

static void the_callers_registers_are_kept(void) {
  wasmtime_instance_t instance = instance_of(
      "(module (func $mix (param i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64) (result i64)"
      "    local.get 0 local.get 1 i64.mul local.get 2 i64.add local.get 3 i64.mul local.get 4 i64.add local.get 5"
      "    i64.mul local.get 6 i64.add local.get 7 i64.mul local.get 8 i64.add local.get 9 i64.mul local.get 10"
      "    i64.add local.get 11 i64.mul)"
      "  (global (mut i64) (i64.const 3))"
      "  (func $busy (local i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64)"
      "    (local.set 0 (global.get 0)) (local.set 1 (i64.add (global.get 0) (i64.const 1)))"
      "    (local.set 2 (i64.mul (local.get 0) (local.get 1))) (local.set 3 (i64.mul (local.get 2) (local.get 1)))"
      "    (local.set 4 (i64.mul (local.get 3) (local.get 1))) (local.set 5 (i64.mul (local.get 4) (local.get 1)))"
      "    (local.set 6 (i64.mul (local.get 5) (local.get 1))) (local.set 7 (i64.mul (local.get 6) (local.get 1)))"
      "    (global.set 0 (call $mix (local.get 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4)"
      "      (local.get 5) (local.get 6) (local.get 7) (local.get 0) (local.get 1) (local.get 2) (local.get 3)))"
      "    (global.set 0 (i64.add (global.get 0) (call $mix (local.get 7) (local.get 6) (local.get 5) (local.get 4)"
      "      (local.get 3) (local.get 2) (local.get 1) (local.get 0) (local.get 1) (local.get 2) (local.get 3)"
      "      (local.get 4)))))"
      "  (func (export \"busy\") call $busy) (func (export \"fail\") call $busy unreachable))");
  void (*busy)(void) = (void (*)(void))native_export(&instance, "busy", "");
  void (*fail)(void) = (void (*)(void))native_export(&instance, "fail", "");
  for (int round = 0; round < 3; round++) {
    expect(keeps_registers(busy));
    expect(*ampoule_native_failed(ctx) == 0);
    expect(keeps_registers(fail));
    expect_trap(taken_trap(), WASMTIME_TRAP_CODE_UNREACHABLE_CODE_REACHED);
  }
}

// A function may end in another that takes more arguments than fit into registers.
static void tail_calls_find_their_way_back(void) {
  wasmtime_instance_t instance = instance_of(
      "(module (func $many (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)"
      "    local.get 9 i32.const 10 i32.mul local.get 0 i32.add local.get 8 i32.eqz if unreachable end)"
      "  (func (export \"f\") (param i32 i32) (result i32) local.get 0 i32.const 1 i32.const 2 i32.const 3 i32.const 4"
      "    i32.const 5 i32.const 6 i32.const 7 local.get 1 i32.const 9 return_call $many))");
  int32_t (*f)(int32_t, int32_t) = (int32_t(*)(int32_t, int32_t))native_export(&instance, "f", "ii>i");
  for (int round = 0; round < 4; round++) {
    expect(f(5, 8) == 95);
    expect(f(5, 0) == 0);
    wasm_trap_t *trap = taken_trap();
    expect_trap(trap, WASMTIME_TRAP_CODE_UNREACHABLE_CODE_REACHED);
  }
}

// -- From other threads

typedef struct {
  int32_t (*f)(int32_t);
  int32_t calls, wrong;
  wasmtime_context_t *context;
} job_t;

static void *call_from_thread(void *data) {
  job_t *job = data;
  for (int32_t i = 0; i < job->calls; i++) job->wrong += job->f(i) != i + 1;
  // Too deep, on a stack of this thread's size.
  job->wrong += job->f(-1) != 0 || !*ampoule_native_failed(job->context);
  wasmtime_error_t *error = NULL;
  wasm_trap_t *trap = NULL;
  wasmtime_trap_code_t code = 0;
  job->wrong += !ampoule_native_take_failure(job->context, &error, &trap);
  job->wrong += error || !trap || !wasmtime_trap_code(trap, &code) || code != WASMTIME_TRAP_CODE_STACK_OVERFLOW;
  if (trap) wasm_trap_delete(trap);
  if (error) wasmtime_error_delete(error);
  return NULL;
}

static const char *const deep_wat =
    "(module (func $deep (param i32) (result i32) local.get 0 i32.const 1 i32.add call $deep i32.const 1 i32.add)"
    "  (func (export \"f\") (param i32) (result i32) local.get 0 i32.const -1 i32.eq"
    "    if (result i32) i32.const 0 call $deep else local.get 0 i32.const 1 i32.add end))";

static void one_store_goes_from_thread_to_thread(void) {
  wasmtime_instance_t instance = instance_of(deep_wat);
  job_t job = {(int32_t(*)(int32_t))native_export(&instance, "f", "i>i"), 100, 0, ctx};
  call_from_thread(&job);
  // Stacks of many sizes, which may come to lie where a larger one was.
  static const size_t sizes[] = {1 << 20, 64 << 10, 256 << 10, 128 << 10, 4 << 20, 64 << 10};
  for (size_t i = 0; i < 24; i++) {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, sizes[i % 6]);
    pthread_t thread;
    if (!expect(!pthread_create(&thread, &attributes, call_from_thread, &job))) return;
    pthread_join(thread, NULL);
    pthread_attr_destroy(&attributes);
  }
  call_from_thread(&job);
  expect(job.wrong == 0);
}

static void stores_run_side_by_side(void) {
  enum { THREADS = 4 };
  wasmtime_module_t *module = module_of(deep_wat);
  wasmtime_store_t *stores[THREADS];
  job_t jobs[THREADS];
  pthread_t threads[THREADS];
  wasm_functype_t *type = type_of("i>i");
  for (int i = 0; i < THREADS; i++) {
    stores[i] = wasmtime_store_new(engine, NULL, NULL);
    wasmtime_context_t *context = wasmtime_store_context(stores[i]);
    wasmtime_instance_t instance;
    wasm_trap_t *trap = NULL;
    expect_ok(wasmtime_instance_new(context, module, NULL, 0, &instance, &trap));
    wasmtime_extern_t item = export_in(context, &instance, "f");
    ampoule_native_t entry = NULL;
    expect_ok(ampoule_func_native(context, &item.of.func, type, &entry));
    jobs[i] = (job_t){(int32_t(*)(int32_t))entry, 20000, 0, context};
    expect(!pthread_create(&threads[i], NULL, call_from_thread, &jobs[i]));
  }
  for (int i = 0; i < THREADS; i++) {
    pthread_join(threads[i], NULL);
    expect(jobs[i].wrong == 0);
    wasmtime_store_delete(stores[i]);
  }
  wasm_functype_delete(type);
  wasmtime_module_delete(module);
}

static void many_functions_have_their_entry_points(void) {
  enum { COUNT = 200 };
  static char wat[COUNT * 96];
  size_t at = snprintf(wat, sizeof wat, "(module");
  for (int n = 0; n < COUNT; n++)
    at += snprintf(wat + at, sizeof wat - at,
                   "(func (export \"f%d\") (param i32) (result i32) local.get 0 i32.const %d i32.add)", n, n);
  snprintf(wat + at, sizeof wat - at, ")");
  wasmtime_instance_t instance = instance_of(wat);
  int32_t (*functions[COUNT])(int32_t);
  for (int n = 0; n < COUNT; n++) {
    char name[16];
    snprintf(name, sizeof name, "f%d", n);
    functions[n] = (int32_t(*)(int32_t))native_export(&instance, name, "i>i");
  }
  for (int n = 0; n < COUNT; n++) expect(functions[n](1000) == 1000 + n);
}

// -- C functions as imports

static int32_t add_import(int32_t a, int32_t b) { return (int32_t)((uint32_t)a + (uint32_t)b); }

static double weigh_import(i a, d b, I c, f_ e, i g, i h, i k, i l, d m, d n, d o, d p, d q, d r, d s, f_ t) {
  return WEIGHT(a, b, c, e, g, h, k, l, m, n, o, p, q, r, s, t);
}

static int32_t three_import(int64_t a, int64_t *second, float *third) {
  *second = a + 1;
  *third = (float)a / 2;
  return (int32_t)a - 1;
}

static void c_functions_are_imports(void) {
  wasmtime_extern_t imports[3] = {
      func_extern(import_of((ampoule_native_t)add_import, "ii>i", 0, NULL)),
      func_extern(import_of((ampoule_native_t)weigh_import, "idIfiiiidddddddf>d", 0, NULL)),
      func_extern(import_of((ampoule_native_t)three_import, "I>iIf", 0, NULL)),
  };
  wasmtime_instance_t instance = instance_with(
      ctx, engine,
      "(module (func $add (import \"\" \"a\") (param i32 i32) (result i32))"
      "  (func $weigh (import \"\" \"b\") (param i32 f64 i64 f32 i32 i32 i32 i32 f64 f64 f64 f64 f64 f64 f64 f32)"
      "    (result f64))"
      "  (func $three (import \"\" \"c\") (param i64) (result i32 i64 f32))"
      "  (func (export \"add\") (param i32 i32) (result i32) local.get 0 local.get 1 call $add)"
      "  (func (export \"weigh\") (result f64) i32.const 1 f64.const 2 i64.const 3 f32.const 4 i32.const 5 i32.const 6"
      "    i32.const 7 i32.const 8 f64.const 9 f64.const 10 f64.const 11 f64.const 12 f64.const 13 f64.const 14"
      "    f64.const 15 f32.const 16 call $weigh)"
      "  (func (export \"three\") (param i64) (result f64) (local i32 i64 f32) local.get 0 call $three local.set 3"
      "    local.set 2 local.set 1 local.get 1 f64.convert_i32_s f64.const 100 f64.mul local.get 2 f64.convert_i64_s"
      "    f64.add f64.const 100 f64.mul local.get 3 f64.promote_f32 f64.add))",
      imports, 3);
  wasmtime_func_t add = func_of(&instance, "add");
  expect(call2(&add, 20, 22) == 42);
  int32_t (*native_add)(int32_t, int32_t) = (int32_t(*)(int32_t, int32_t))native_of(&add, "ii>i");
  expect(native_add(-1, INT32_MIN) == INT32_MAX);
  double (*weigh)(void) = (double (*)(void))native_export(&instance, "weigh", ">d");
  expect(weigh() == WEIGHT(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16));
  double (*three)(int64_t) = (double (*)(int64_t))native_export(&instance, "three", "I>d");
  expect(three(10) == (9 * 100.0 + 11) * 100 + 5);
}

static void an_import_is_called_without_a_guest_too(void) {
  wasmtime_func_t func = import_of((ampoule_native_t)add_import, "ii>i", 0, NULL);
  expect(call2(&func, 1, 2) == 3);
  int32_t (*add)(int32_t, int32_t) = (int32_t(*)(int32_t, int32_t))native_of(&func, "ii>i");
  expect(add(3, 4) == 7);
}

typedef struct {
  int calls;
  wasmtime_context_t *context;
} seen_t;

static int32_t import_with_env(seen_t *seen, int32_t a) {
  seen->calls++;
  return a * 2;
}

static int32_t import_with_caller(wasmtime_caller_t *caller, int32_t address) {
  wasmtime_extern_t item;
  if (!wasmtime_caller_export_get(caller, "memory", 6, &item)) return -1;
  uint8_t *data = wasmtime_memory_data(wasmtime_caller_context(caller), &item.of.memory);
  wasmtime_extern_delete(&item);
  return data[address];
}

static int32_t import_with_both(seen_t *seen, wasmtime_caller_t *caller, int32_t a, double b) {
  seen->calls++;
  seen->context = wasmtime_caller_context(caller);
  return a + (int32_t)b;
}

// Calls what it has for a pointer: the host does, while a guest waits.
static int32_t import_that_calls(int32_t (**inner)(int32_t), int32_t a) { return (*inner)(a); }

static void an_import_takes_its_pointer_and_its_caller(void) {
  seen_t seen = {0, NULL};
  int32_t (*direct)(int32_t) = NULL;
  wasmtime_extern_t imports[4] = {
      func_extern(import_of((ampoule_native_t)import_with_env, "i>i", AMPOULE_NATIVE_TAKES_ENV, &seen)),
      func_extern(import_of((ampoule_native_t)import_with_caller, "i>i", AMPOULE_NATIVE_TAKES_CALLER, NULL)),
      func_extern(import_of((ampoule_native_t)import_with_both, "id>i",
                            AMPOULE_NATIVE_TAKES_ENV | AMPOULE_NATIVE_TAKES_CALLER, &seen)),
      func_extern(import_of((ampoule_native_t)import_that_calls, "i>i", AMPOULE_NATIVE_TAKES_ENV, &direct)),
  };
  wasmtime_instance_t instance =
      instance_with(ctx, engine,
                    "(module (import \"\" \"a\" (func $env (param i32) (result i32)))"
                    "  (import \"\" \"b\" (func $caller (param i32) (result i32)))"
                    "  (import \"\" \"c\" (func $both (param i32 f64) (result i32)))"
                    "  (import \"\" \"d\" (func $nested (param i32) (result i32)))"
                    "  (memory (export \"memory\") 1) (data (i32.const 5) \"\\2a\")"
                    "  (func (export \"env\") (param i32) (result i32) local.get 0 call $env)"
                    "  (func (export \"caller\") (param i32) (result i32) local.get 0 call $caller)"
                    "  (func (export \"both\") (param i32) (result i32) local.get 0 f64.const 3 call $both)"
                    "  (func (export \"nested\") (param i32) (result i32) (drop (call $caller (i32.const 5)))"
                    "    (i32.add (call $nested (local.get 0)) (call $caller (local.get 0)))))",
                    imports, 4);
  wasmtime_func_t env = func_of(&instance, "env"), caller = func_of(&instance, "caller"),
                  both = func_of(&instance, "both");
  expect(call1(&env, 4) == 8 && seen.calls == 1);
  expect(call1(&caller, 5) == 42 && call1(&caller, 6) == 0);
  expect(call1(&both, 10) == 13 && seen.calls == 2 && seen.context == ctx);
  // Through native calls the caller is the same, and a host that calls an import has none.
  int32_t (*f)(int32_t) = (int32_t(*)(int32_t))native_of(&caller, "i>i");
  expect(f(5) == 42 && f(6) == 0 && f(5) == 42);
  direct = (int32_t(*)(int32_t))native_of(&imports[1].of.func, "i>i");
  expect(direct(5) == -1 && direct(5) == -1);
  // A guest that waits is the caller of what it called, not of what the host calls meanwhile.
  wasmtime_func_t nested = func_of(&instance, "nested");
  expect(call1(&nested, 5) == 41);
}

static void the_finalizer_runs_once(void) {
  int finalized = 0;
  wasm_functype_t *type = type_of("i>i"), *refs = type_of("x");
  wasmtime_func_t func = no_func();
  store = (wasmtime_store_delete(store), wasmtime_store_new(engine, NULL, NULL));
  ctx = wasmtime_store_context(store);
  expect_ok(ampoule_func_new_native(ctx, type, (ampoule_native_t)import_with_env, AMPOULE_NATIVE_TAKES_ENV, &finalized,
                                    count_finalized, &func));
  expect(finalized == 0);
  wasmtime_store_delete(store);
  expect(finalized == 1);
  store = wasmtime_store_new(engine, NULL, NULL);
  ctx = wasmtime_store_context(store);
  // Also where nothing is made of it.
  func = no_func();
  expect_error_says(ampoule_func_new_native(ctx, refs, (ampoule_native_t)import_with_env, AMPOULE_NATIVE_TAKES_ENV,
                                            &finalized, count_finalized, &func),
                    "number types");
  expect(finalized == 2 && func.store_id == 0);
  expect_error_says(ampoule_func_new_native(ctx, type, (ampoule_native_t)import_with_env, 8, &finalized,
                                            count_finalized, &func),
                    "0x8");
  expect(finalized == 3);
  expect_error_says(ampoule_func_new_native(ctx, type, NULL, 0, &finalized, count_finalized, &func), "null");
  expect(finalized == 4);
  wasm_functype_delete(type);
  wasm_functype_delete(refs);
}

static void a_linker_has_native_functions(void) {
  int finalized = 0;
  wasmtime_linker_t *linker = wasmtime_linker_new(engine);
  wasm_functype_t *type = type_of("ii>i");
  expect_ok(ampoule_linker_define_native(linker, "env", 3, "add", 3, type, (ampoule_native_t)add_import, 0, &finalized,
                                         count_finalized));
  expect_error_says(ampoule_linker_define_native(linker, "env", 3, "add", 3, type, (ampoule_native_t)add_import, 0,
                                                 &finalized, count_finalized),
                    "import of `env::add` defined twice");
  expect(finalized == 1);
  expect_error_says(ampoule_linker_define_native(linker, "\xff", 1, "add", 3, type, (ampoule_native_t)add_import, 0,
                                                 &finalized, count_finalized),
                    "utf-8");
  expect(finalized == 2);
  wasmtime_module_t *module =
      module_of("(module (import \"env\" \"add\" (func $add (param i32 i32) (result i32)))"
                "  (func (export \"f\") (param i32) (result i32) local.get 0 i32.const 1 call $add))");
  wasmtime_instance_t instance;
  wasm_trap_t *trap = NULL;
  expect_ok(wasmtime_linker_instantiate(linker, ctx, module, &instance, &trap));
  wasmtime_func_t f = func_of(&instance, "f");
  expect(call1(&f, 41) == 42);
  // Another type than the module wants does not fit.
  wasmtime_linker_allow_shadowing(linker, true);
  wasm_functype_t *other = type_of("i>i");
  expect_ok(ampoule_linker_define_native(linker, "env", 3, "add", 3, other, (ampoule_native_t)import_with_caller,
                                         AMPOULE_NATIVE_TAKES_CALLER, NULL, NULL));
  wasmtime_instance_t second;
  expect_error_says(wasmtime_linker_instantiate(linker, ctx, module, &second, &trap), "incompatible import type");
  wasmtime_module_delete(module);
  wasm_functype_delete(type);
  wasm_functype_delete(other);
  wasmtime_linker_delete(linker);
  expect(call1(&f, 1) == 2); // the store keeps what it uses
  wasmtime_store_delete(store);
  expect(finalized == 3);
  store = NULL;
}

// -- Errors out of imports

static int32_t raising_import(wasmtime_caller_t *caller, int32_t what) {
  wasmtime_context_t *context = wasmtime_caller_context(caller);
  if (what == 1) ampoule_native_raise_trap(context, wasmtime_trap_new("stopped by the host", 19));
  if (what == 2) ampoule_native_raise_trap(context, wasmtime_trap_new_code(WASMTIME_TRAP_CODE_BAD_SIGNATURE));
  if (what == 3) ampoule_native_raise_error(context, wasmtime_error_new("an error of the host"));
  return what;
}

static void an_import_can_end_the_guest(void) {
  wasmtime_extern_t import =
      func_extern(import_of((ampoule_native_t)raising_import, "i>i", AMPOULE_NATIVE_TAKES_CALLER, NULL));
  wasmtime_instance_t instance =
      instance_with(ctx, engine,
                    "(module (import \"\" \"\" (func $import (param i32) (result i32)))"
                    "  (global (export \"after\") (mut i32) (i32.const 0))"
                    "  (func (export \"f\") (param i32) (result i32) local.get 0 call $import"
                    "    (global.set 0 (i32.add (global.get 0) (i32.const 1)))))",
                    &import, 1);
  wasmtime_func_t func = func_of(&instance, "f");
  int32_t (*f)(int32_t) = (int32_t(*)(int32_t))native_of(&func, "i>i");
  for (int round = 0; round < 2; round++) {
    expect(f(7) == 7 && call1(&func, 8) == 8);
    wasmtime_val_t arg = i32_val(1), result;
    wasm_trap_t *trap = NULL;
    expect_error_says(wasmtime_func_call(ctx, &func, &arg, 1, &result, 1, &trap), "stopped by the host");
    expect(f(1) == 0);
    expect_error_says(taken_error(), "stopped by the host");
    expect(f(2) == 0);
    trap = taken_trap();
    wasm_frame_t *origin = wasm_trap_origin(trap);
    if (expect(origin != NULL)) expect(wasm_frame_func_index(origin) == 1);
    wasm_frame_delete(origin);
    expect_trap(trap, WASMTIME_TRAP_CODE_BAD_SIGNATURE);
    expect(f(3) == 0);
    wasmtime_error_t *error = taken_error();
    wasm_frame_vec_t frames;
    wasmtime_error_wasm_trace(error, &frames);
    expect(frames.size == 1);
    wasm_frame_vec_delete(&frames);
    expect_error_says(error, "an error of the host");
  }
  // What follows an import that raised did not run.
  wasmtime_extern_t after = export_of(&instance, "after");
  wasmtime_val_t val;
  wasmtime_global_get(ctx, &after.of.global, &val);
  expect(val.of.i32 == 4);
}

// -- Guest calls host calls guest

typedef struct {
  int32_t (*inner)(int32_t);
  bool pass_on;
} nest_t;

static int32_t nesting_import(nest_t *nest, wasmtime_caller_t *caller, int32_t depth) {
  wasmtime_context_t *context = wasmtime_caller_context(caller);
  int32_t answer = nest->inner(depth - 1);
  if (*ampoule_native_failed(context) && nest->pass_on) {
    wasmtime_error_t *error = NULL;
    wasm_trap_t *trap = NULL;
    ampoule_native_take_failure(context, &error, &trap);
    if (trap) ampoule_native_raise_trap(context, trap);
    if (error) ampoule_native_raise_error(context, error);
  }
  return answer + 1;
}

static void calls_nest(void) {
  nest_t nest = {NULL, true};
  wasmtime_extern_t import =
      func_extern(import_of((ampoule_native_t)nesting_import, "i>i",
                            AMPOULE_NATIVE_TAKES_ENV | AMPOULE_NATIVE_TAKES_CALLER, &nest));
  wasmtime_instance_t instance = instance_with(
      ctx, engine,
      "(module (import \"\" \"\" (func $host (param i32) (result i32)))"
      "  (func $f (export \"f\") (param i32) (result i32) local.get 0 i32.const -1000 i32.eq if unreachable end"
      "    local.get 0 i32.eqz if (result i32) i32.const 0 else local.get 0 call $host i32.const 1 i32.add end))",
      &import, 1);
  wasmtime_func_t func = func_of(&instance, "f");
  nest.inner = (int32_t(*)(int32_t))native_of(&func, "i>i");
  for (int round = 0; round < 3; round++) {
    expect(nest.inner(0) == 0 && nest.inner(1) == 2 && nest.inner(100) == 200);
    expect(call1(&func, 50) == 100);
    expect(*ampoule_native_failed(ctx) == 0);
  }
  // A trap deep inside, passed on by every host frame.
  expect(nest.inner(-990) == 0);
  wasm_trap_t *trap = taken_trap();
  wasm_frame_vec_t frames;
  wasm_trap_trace(trap, &frames);
  expect(frames.size == 11); // every activation is seen
  wasm_frame_vec_delete(&frames);
  expect_trap(trap, WASMTIME_TRAP_CODE_UNREACHABLE_CODE_REACHED);
  // Ignored, it is zero like any failure, and the guests outside go on.
  nest.pass_on = false;
  expect(nest.inner(-998) == 4);
  expect_trap(taken_trap(), WASMTIME_TRAP_CODE_UNREACHABLE_CODE_REACHED);
  // Endless recursion through both.
  nest.pass_on = true;
  expect(nest.inner(-1001) == 0);
  expect_trap(taken_trap(), WASMTIME_TRAP_CODE_STACK_OVERFLOW);
  expect(nest.inner(3) == 6);
}

static wasm_trap_t *checked_import(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                                   wasmtime_val_t *results, size_t nresults) {
  (void)nargs, (void)nresults;
  int32_t (*inner)(int32_t) = *(int32_t(**)(int32_t))env;
  results[0] = i32_val(inner(args[0].of.i32) + 1);
  if (!*ampoule_native_failed(wasmtime_caller_context(caller))) return NULL;
  wasmtime_error_t *error = NULL;
  wasm_trap_t *trap = NULL;
  ampoule_native_take_failure(wasmtime_caller_context(caller), &error, &trap);
  return trap;
}

static void other_calls_nest_in_native_ones(void) {
  int32_t (*inner)(int32_t) = NULL;
  wasm_functype_t *type = type_of("i>i");
  wasmtime_func_t host;
  wasmtime_func_new(ctx, type, checked_import, &inner, NULL, &host);
  wasm_functype_delete(type);
  wasmtime_extern_t import = func_extern(host);
  wasmtime_instance_t instance =
      instance_with(ctx, engine,
                    "(module (import \"\" \"\" (func $host (param i32) (result i32)))"
                    "  (func (export \"outer\") (param i32) (result i32) local.get 0 call $host)"
                    "  (func (export \"inner\") (param i32) (result i32) local.get 0 i32.eqz if unreachable end"
                    "    local.get 0 i32.const 2 i32.mul))",
                    &import, 1);
  wasmtime_func_t outer = func_of(&instance, "outer");
  inner = (int32_t(*)(int32_t))native_export(&instance, "inner", "i>i");
  int32_t (*native_outer)(int32_t) = (int32_t(*)(int32_t))native_of(&outer, "i>i");
  for (int round = 0; round < 3; round++) {
    expect(call1(&outer, 5) == 11 && native_outer(6) == 13);
    wasmtime_val_t arg = i32_val(0), result;
    wasm_trap_t *trap = NULL;
    expect_ok(wasmtime_func_call(ctx, &outer, &arg, 1, &result, 1, &trap));
    expect_trap(trap, WASMTIME_TRAP_CODE_UNREACHABLE_CODE_REACHED);
    expect(native_outer(0) == 0);
    expect_trap(taken_trap(), WASMTIME_TRAP_CODE_UNREACHABLE_CODE_REACHED);
  }
}

// -- With other features

static void with_fuel(wasm_config_t *config) { wasmtime_config_consume_fuel_set(config, true); }

static void fuel_is_used_up(void) {
  wasmtime_instance_t instance = instance_of("(module (func (export \"f\") (param i32) (result i32) local.get 0))");
  int32_t (*f)(int32_t) = (int32_t(*)(int32_t))native_export(&instance, "f", "i>i");
  expect_ok(wasmtime_context_set_fuel(ctx, 5));
  uint64_t fuel = 0;
  expect(f(3) == 3);
  expect_ok(wasmtime_context_get_fuel(ctx, &fuel));
  expect(fuel == 3);
  int calls = 0;
  while (f(3) == 3 && calls < 10) calls++;
  expect(calls == 1 || calls == 2);
  expect_trap(taken_trap(), WASMTIME_TRAP_CODE_OUT_OF_FUEL);
}

static void with_epochs(wasm_config_t *config) { wasmtime_config_epoch_interruption_set(config, true); }

static void deadlines_hold(void) {
  wasmtime_instance_t instance = instance_of("(module (func (export \"f\") (loop br 0)))");
  void (*f)(void) = (void (*)(void))native_export(&instance, "f", "");
  for (int round = 0; round < 3; round++) {
    wasmtime_context_set_epoch_deadline(ctx, 1);
    wasmtime_engine_increment_epoch(engine);
    f();
    expect_trap(taken_trap(), WASMTIME_TRAP_CODE_INTERRUPT);
  }
}

static int32_t calling_import(nest_t *nest, int32_t value) { return nest->inner(value) + 1; }

static void asynchronous_calls_and_native_ones_know_of_each_other(void) {
  nest_t nest = {NULL, true};
  wasmtime_extern_t import =
      func_extern(import_of((ampoule_native_t)calling_import, "i>i", AMPOULE_NATIVE_TAKES_ENV, &nest));
  wasmtime_instance_t instance =
      instance_with(ctx, engine,
                    "(module (import \"\" \"\" (func $host (param i32) (result i32)))"
                    "  (func (export \"outer\") (param i32) (result i32) local.get 0 call $host)"
                    "  (func $deep (export \"inner\") (param i32) (result i32)"
                    "    local.get 0 i32.const -1 i32.eq if i32.const -1 call $deep drop end"
                    "    local.get 0 i32.const 2 i32.mul))",
                    &import, 1);
  wasmtime_func_t outer = func_of(&instance, "outer");
  nest.inner = (int32_t(*)(int32_t))native_export(&instance, "inner", "i>i");
  for (int round = 0; round < 3; round++) {
    expect(nest.inner(1) == 2);
    wasmtime_val_t arg = i32_val(20), result = i32_val(0);
    wasm_trap_t *trap = NULL;
    wasmtime_error_t *error = NULL;
    wasmtime_call_future_t *future = wasmtime_func_call_async(ctx, &outer, &arg, 1, &result, 1, &trap, &error);
    // Before it is done nothing else may run.
    expect(nest.inner(1) == 0);
    expect_error_says(taken_error(), "asynchronous call");
    expect(wasmtime_call_future_poll(future));
    wasmtime_call_future_delete(future);
    expect_ok(error);
    expect_no_trap(trap);
    expect(result.of.i32 == 41);
    expect(nest.inner(1) == 2 && *ampoule_native_failed(ctx) == 0);
    // The stack of the future has its own end.
    arg = i32_val(-1);
    future = wasmtime_func_call_async(ctx, &outer, &arg, 1, &result, 1, &trap, &error);
    expect(wasmtime_call_future_poll(future));
    wasmtime_call_future_delete(future);
    expect_ok(error);
    expect(result.of.i32 == 1);
    expect_trap(taken_trap(), WASMTIME_TRAP_CODE_STACK_OVERFLOW);
  }
}

static void with_cancellation(wasm_config_t *config) { ampoule_config_cancellation_set(config, true); }

static void call_deadlines_hold(void) {
  wasmtime_instance_t instance = instance_of(
      "(module (func (export \"spin\") (loop br 0)) (func (export \"add\") (param i32) (result i32) local.get 0))");
  void (*spin)(void) = (void (*)(void))native_export(&instance, "spin", "");
  int32_t (*add)(int32_t) = (int32_t(*)(int32_t))native_export(&instance, "add", "i>i");
  ampoule_cancel_token_t *token = NULL;
  for (int round = 0; round < 3; round++) {
    expect_ok(ampoule_context_set_call_deadline(ctx, 2000000));
    spin();
    expect_trap(taken_trap(), WASMTIME_TRAP_CODE_INTERRUPT);
    expect_ok(ampoule_context_set_call_deadline(ctx, 0));
    if (!token) expect_ok(ampoule_cancel_token_new(ctx, &token));
    // Native calls are calls like others: each has its generation.
    uint64_t generation = ampoule_cancel_token_generation(token);
    expect(add(5) == 5 && add(6) == 6);
    expect(ampoule_cancel_token_generation(token) == generation + 2);
    expect(!ampoule_cancel(token, generation));
  }
  ampoule_cancel_token_delete(token);
}

// A host function that is called natively has no guest around it; walks of the stack start and end there.
static wasmtime_func_t inner_func;

static wasm_trap_t *call_inner(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                               wasmtime_val_t *results, size_t nresults) {
  (void)env, (void)args, (void)nargs, (void)results, (void)nresults;
  wasm_trap_t *trap = NULL;
  expect_ok(wasmtime_func_call(wasmtime_caller_context(caller), &inner_func, NULL, 0, NULL, 0, &trap));
  expect_ok(wasmtime_context_gc(wasmtime_caller_context(caller)));
  return trap;
}

static void traps_and_collections_inside_of_a_host_function_end_at_its_native_call(void) {
  wasmtime_instance_t instance = instance_of("(module (func (export \"fails\") unreachable))");
  inner_func = func_of(&instance, "fails");
  wasm_functype_t *type = wasm_functype_new_0_0();
  wasmtime_func_t host;
  wasmtime_func_new(ctx, type, call_inner, NULL, NULL, &host);
  wasm_functype_delete(type);
  native_of(&host, "")();
  expect_trap(taken_trap(), WASMTIME_TRAP_CODE_UNREACHABLE_CODE_REACHED);
  // The same where the guest has made way for its import.
  wasmtime_extern_t import = func_extern(host);
  wasmtime_instance_t outer = instance_with(
      ctx, engine, "(module (import \"\" \"\" (func $host)) (func (export \"run\") (return_call $host)))", &import, 1);
  native_export(&outer, "run", "")();
  expect_trap(taken_trap(), WASMTIME_TRAP_CODE_UNREACHABLE_CODE_REACHED);
}

int main(void) {
  RUN(a_function_is_called_by_its_c_signature);
  RUN(each_type_is_returned);
  RUN(arguments_arrive_in_registers);
  RUN(arguments_arrive_on_the_stack);
  RUN(further_results_come_through_pointers);
  RUN(wrong_types_are_refused);
  RUN(functions_of_other_stores_are_refused);
  RUN(a_trap_is_kept_for_the_caller);
  RUN(a_failure_nobody_takes_goes_with_the_store);
  RUN_FAULTING(faults_are_traps);
  RUN(deep_recursion_is_a_trap);
  RUN(the_callers_registers_are_kept);
  RUN(tail_calls_find_their_way_back);
  RUN(one_store_goes_from_thread_to_thread);
  RUN(stores_run_side_by_side);
  RUN(many_functions_have_their_entry_points);
  RUN(c_functions_are_imports);
  RUN(an_import_is_called_without_a_guest_too);
  RUN(an_import_takes_its_pointer_and_its_caller);
  RUN(the_finalizer_runs_once);
  RUN(a_linker_has_native_functions);
  RUN(an_import_can_end_the_guest);
  RUN(calls_nest);
  RUN(other_calls_nest_in_native_ones);
  RUN(traps_and_collections_inside_of_a_host_function_end_at_its_native_call);
  RUN(asynchronous_calls_and_native_ones_know_of_each_other);
  RUN_WITH(with_fuel, fuel_is_used_up);
  RUN_WITH(with_epochs, deadlines_hold);
  RUN_WITH(with_cancellation, call_deadlines_hold);
  return test_summary();
}
