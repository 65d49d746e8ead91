// ampoule/component.h: calls beside one another, and streams and futures between guests and the host.
#include "component.h"

#include <ampoule.h>
#include <poll.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>
#include <wasmtime/async.h>

typedef ampoule_component_call_t call_t;
typedef ampoule_component_reader_t reader_t;
typedef ampoule_component_writer_t writer_t;

// -- A guest

#define CORE_IMPORT(name, type) "(import \"\" \"" name "\" (func $" name " " type "))"
#define CORE_EXPORT(name) "(export \"" name "\" (func $" name "))"

static const char *const GUEST =
    "(component"
    "  (core module $libc (memory (export \"memory\") 1) (global $next (mut i32) (i32.const 4096))"
    "    (func (export \"realloc\") (param i32 i32 i32 i32) (result i32)"
    "      (global.get $next) (global.set $next (i32.add (global.get $next) (local.get 3)))))"
    "  (core instance $libc (instantiate $libc))"
    "  (alias core export $libc \"memory\" (core memory $memory))"
    "  (alias core export $libc \"realloc\" (core func $realloc))"
    "  (type $bytes (stream u8)) (type $numbers (stream u32)) (type $texts (stream string)) (type $ticks (stream))"
    "  (type $number (future u32))"
    "  (core func $new (canon stream.new $bytes))"
    "  (core func $read (canon stream.read $bytes (memory $memory)))"
    "  (core func $write (canon stream.write $bytes (memory $memory)))"
    "  (core func $drop-in (canon stream.drop-readable $bytes))"
    "  (core func $drop-out (canon stream.drop-writable $bytes))"
    "  (core func $return-bytes (canon task.return (result $bytes)))"
    "  (core func $new-numbers (canon stream.new $numbers))"
    "  (core func $write-numbers (canon stream.write $numbers (memory $memory)))"
    "  (core func $drop-numbers (canon stream.drop-writable $numbers))"
    "  (core func $return-numbers (canon task.return (result $numbers)))"
    "  (core func $read-texts (canon stream.read $texts (memory $memory) (realloc $realloc)))"
    "  (core func $drop-texts (canon stream.drop-readable $texts))"
    "  (core func $read-ticks (canon stream.read $ticks))"
    "  (core func $drop-ticks (canon stream.drop-readable $ticks))"
    "  (core func $await (canon future.read $number (memory $memory)))"
    "  (core func $drop-number (canon future.drop-readable $number))"
    "  (core func $return-u32 (canon task.return (result u32)))"
    "  (core module $m (import \"\" \"memory\" (memory 1))"
    CORE_IMPORT("new", "(result i64)") CORE_IMPORT("read", "(param i32 i32 i32) (result i32)")
    CORE_IMPORT("write", "(param i32 i32 i32) (result i32)") CORE_IMPORT("drop-in", "(param i32)")
    CORE_IMPORT("drop-out", "(param i32)") CORE_IMPORT("return-bytes", "(param i32)")
    CORE_IMPORT("new-numbers", "(result i64)") CORE_IMPORT("write-numbers", "(param i32 i32 i32) (result i32)")
    CORE_IMPORT("drop-numbers", "(param i32)") CORE_IMPORT("return-numbers", "(param i32)")
    CORE_IMPORT("read-texts", "(param i32 i32 i32) (result i32)") CORE_IMPORT("drop-texts", "(param i32)")
    CORE_IMPORT("read-ticks", "(param i32 i32 i32) (result i32)") CORE_IMPORT("drop-ticks", "(param i32)")
    CORE_IMPORT("await", "(param i32 i32) (result i32)") CORE_IMPORT("drop-number", "(param i32)")
    CORE_IMPORT("return-u32", "(param i32)")
    // Gives back each byte plus one, up to 16 at a time.
    "    (func (export \"echo\") (param $in i32) (local $pair i64) (local $out i32) (local $got i32) (local $at i32)"
    "      (local $buffer i32)"
    "      (local.set $pair (call $new)) (call $return-bytes (i32.wrap_i64 (local.get $pair)))"
    "      (local.set $out (i32.wrap_i64 (i64.shr_u (local.get $pair) (i64.const 32))))"
    "      (local.set $buffer (i32.mul (local.get $in) (i32.const 64)))"
    "      (loop $more"
    "        (local.set $got (call $read (local.get $in) (local.get $buffer) (i32.const 16)))"
    "        (local.set $at (i32.const 0))"
    "        (block $done (loop $next"
    "          (br_if $done (i32.ge_u (local.get $at) (i32.shr_u (local.get $got) (i32.const 4))))"
    "          (i32.store8 (i32.add (local.get $buffer) (local.get $at))"
    "            (i32.add (i32.const 1) (i32.load8_u (i32.add (local.get $buffer) (local.get $at)))))"
    "          (local.set $at (i32.add (local.get $at) (i32.const 1))) (br $next)))"
    "        (local.set $at (i32.const 0))"
    "        (block $done (loop $next"
    "          (br_if $done (i32.ge_u (local.get $at) (i32.shr_u (local.get $got) (i32.const 4))))"
    "          (local.set $at (i32.add (local.get $at) (i32.shr_u (call $write (local.get $out)"
    "            (i32.add (local.get $buffer) (local.get $at))"
    "            (i32.sub (i32.shr_u (local.get $got) (i32.const 4)) (local.get $at))) (i32.const 4)))) (br $next)))"
    "        (br_if $more (i32.eqz (i32.and (local.get $got) (i32.const 15)))))"
    "      (call $drop-in (local.get $in)) (call $drop-out (local.get $out)))"
    // Drops what it gets.
    "    (func (export \"refuse\") (param $in i32) (call $drop-in (local.get $in)) (call $return-u32 (i32.const 0)))"
    // Gives the numbers 100, 101, and so on, so many.
    "    (func (export \"count\") (param $n i32) (local $pair i64) (local $out i32) (local $at i32)"
    "      (local.set $pair (call $new-numbers)) (call $return-numbers (i32.wrap_i64 (local.get $pair)))"
    "      (local.set $out (i32.wrap_i64 (i64.shr_u (local.get $pair) (i64.const 32))))"
    "      (loop $next"
    "        (i32.store (i32.add (i32.const 256) (i32.mul (local.get $at) (i32.const 4)))"
    "          (i32.add (local.get $at) (i32.const 100)))"
    "        (local.set $at (i32.add (local.get $at) (i32.const 1)))"
    "        (br_if $next (i32.lt_u (local.get $at) (local.get $n))))"
    "      (local.set $at (i32.const 0))"
    "      (block $done (loop $next"
    "        (br_if $done (i32.ge_u (local.get $at) (local.get $n)))"
    "        (local.set $at (i32.add (local.get $at) (i32.shr_u (call $write-numbers (local.get $out)"
    "          (i32.add (i32.const 256) (i32.mul (local.get $at) (i32.const 4)))"
    "          (i32.sub (local.get $n) (local.get $at))) (i32.const 4)))) (br $next)))"
    "      (call $drop-numbers (local.get $out)))"
    // The sum of the lengths of texts.
    "    (func (export \"lengths\") (param $in i32) (local $got i32) (local $sum i32) (local $at i32)"
    "      (loop $more"
    "        (local.set $got (call $read-texts (local.get $in) (i32.const 512) (i32.const 8)))"
    "        (local.set $at (i32.const 0))"
    "        (block $done (loop $next"
    "          (br_if $done (i32.ge_u (local.get $at) (i32.shr_u (local.get $got) (i32.const 4))))"
    "          (local.set $sum (i32.add (local.get $sum)"
    "            (i32.load (i32.add (i32.const 516) (i32.mul (local.get $at) (i32.const 8))))))"
    "          (local.set $at (i32.add (local.get $at) (i32.const 1))) (br $next)))"
    "        (br_if $more (i32.eqz (i32.and (local.get $got) (i32.const 15)))))"
    "      (call $drop-texts (local.get $in)) (call $return-u32 (local.get $sum)))"
    "    (func (export \"ticks\") (param $in i32) (local $got i32) (local $sum i32)"
    "      (loop $more"
    "        (local.set $got (call $read-ticks (local.get $in) (i32.const 0) (i32.const 1000)))"
    "        (local.set $sum (i32.add (local.get $sum) (i32.shr_u (local.get $got) (i32.const 4))))"
    "        (br_if $more (i32.eqz (i32.and (local.get $got) (i32.const 15)))))"
    "      (call $drop-ticks (local.get $in)) (call $return-u32 (local.get $sum)))"
    // Twice the value of a future, once it is there; a trap where that is 13.
    "    (func (export \"double\") (param $in i32) (local $at i32)"
    "      (local.set $at (i32.mul (local.get $in) (i32.const 64)))"
    "      (drop (call $await (local.get $in) (local.get $at)))"
    "      (call $drop-number (local.get $in))"
    "      (if (i32.eq (i32.load (local.get $at)) (i32.const 13)) (then unreachable))"
    "      (call $return-u32 (i32.mul (i32.load (local.get $at)) (i32.const 2))))"
    "    (func (export \"plain\") (param i32) (result i32) (i32.add (local.get 0) (i32.const 1))))"
    "  (core instance $i (instantiate $m (with \"\" (instance (export \"memory\" (memory $memory))"
    CORE_EXPORT("new") CORE_EXPORT("read") CORE_EXPORT("write") CORE_EXPORT("drop-in") CORE_EXPORT("drop-out")
    CORE_EXPORT("return-bytes") CORE_EXPORT("new-numbers") CORE_EXPORT("write-numbers") CORE_EXPORT("drop-numbers")
    CORE_EXPORT("return-numbers") CORE_EXPORT("read-texts") CORE_EXPORT("drop-texts") CORE_EXPORT("read-ticks")
    CORE_EXPORT("drop-ticks") CORE_EXPORT("await") CORE_EXPORT("drop-number") CORE_EXPORT("return-u32")
    "  ))))"
    "  (func (export \"echo\") async (param \"in\" $bytes) (result $bytes) (canon lift (core func $i \"echo\") async))"
    "  (func (export \"refuse\") async (param \"in\" $bytes) (result u32) (canon lift (core func $i \"refuse\") async))"
    "  (func (export \"count\") async (param \"n\" u32) (result $numbers) (canon lift (core func $i \"count\") async))"
    "  (func (export \"lengths\") async (param \"in\" $texts) (result u32) (canon lift (core func $i \"lengths\") async))"
    "  (func (export \"ticks\") async (param \"in\" $ticks) (result u32) (canon lift (core func $i \"ticks\") async))"
    "  (func (export \"double\") async (param \"in\" $number) (result u32) (canon lift (core func $i \"double\") async))"
    "  (func (export \"plain\") (param \"n\" u32) (result u32) (canon lift (core func $i \"plain\"))))";

static void asynchronous(wasm_config_t *config) {
  wasmtime_config_wasm_component_model_async_set(config, true);
  wasmtime_config_wasm_component_model_async_stackful_set(config, true);
  wasmtime_config_wasm_component_model_more_async_builtins_set(config, true);
}

static void interruptible(wasm_config_t *config) {
  asynchronous(config);
  wasmtime_config_epoch_interruption_set(config, true);
}

// -- Short ways

static call_t *start(const wasmtime_component_instance_t *instance, const char *name, val_t arg) {
  wasmtime_component_func_t func = func_named(instance, name);
  call_t *call = NULL;
  if (!expect_ok(ampoule_component_call_start(ctx, &func, &arg, 1, &call))) exit(1);
  // It was taken.
  expect(arg.kind == WASMTIME_COMPONENT_BOOL);
  return call;
}

static void run(void) { expect_ok(ampoule_component_run(ctx, NULL)); }

static bool is_over(const call_t *call) { return ampoule_component_call_is_over(call, ctx); }

static val_t finish(call_t *call) {
  val_t result = bool_val(false);
  expect(is_over(call));
  expect_ok(ampoule_component_call_finish(call, ctx, &result, 1));
  ampoule_component_call_delete(call);
  return result;
}

static uint32_t finish_u32(call_t *call) {
  val_t result = finish(call);
  expect(result.kind == WASMTIME_COMPONENT_U32);
  return result.of.u32;
}

static val_t val_of_reader(reader_t *reader) {
  val_t val;
  ampoule_component_reader_into_val(reader, &val);
  return val;
}

static reader_t *reader_of(val_t val) {
  reader_t *reader = NULL;
  if (!expect_ok(ampoule_component_reader_from_val(&val, &reader))) exit(1);
  return reader;
}

static void new_stream(wasmtime_component_valtype_kind_t kind, writer_t **writer, reader_t **reader) {
  wasmtime_component_valtype_t type = {.kind = kind};
  if (!expect_ok(ampoule_component_stream_new(ctx, &type, writer, reader))) exit(1);
}

static void new_future(writer_t **writer, reader_t **reader) {
  wasmtime_component_valtype_t type = {.kind = WASMTIME_COMPONENT_VALTYPE_U32};
  if (!expect_ok(ampoule_component_future_new(ctx, &type, writer, reader))) exit(1);
}

// What came of reading or writing, when there is no error.
typedef struct {
  size_t count;
  ampoule_component_flow_t flow;
} copied_t;

static copied_t write_block(writer_t *writer, const void *block, size_t count) {
  copied_t copied = {99, 99};
  expect_ok(ampoule_component_write_block(writer, ctx, block, count, &copied.count, &copied.flow));
  return copied;
}

static copied_t read_block(reader_t *reader, void *block, size_t most) {
  copied_t copied = {99, 99};
  expect_ok(ampoule_component_read_block(reader, ctx, block, most, &copied.count, &copied.flow));
  return copied;
}

static copied_t write_vals(writer_t *writer, val_t *vals, size_t count) {
  copied_t copied = {99, 99};
  expect_ok(ampoule_component_write(writer, ctx, vals, count, &copied.count, &copied.flow));
  return copied;
}

static copied_t read_vals(reader_t *reader, val_t *vals, size_t most) {
  copied_t copied = {99, 99};
  expect_ok(ampoule_component_read(reader, ctx, vals, most, &copied.count, &copied.flow));
  return copied;
}

#define expect_copied(copied, n, how) test_copied((copied), (n), AMPOULE_COMPONENT_##how, __LINE__)

static void test_copied(copied_t copied, size_t count, ampoule_component_flow_t flow, int line) {
  if (copied.count != count || copied.flow != flow) printf("%zu, flow %d\n", copied.count, copied.flow);
  test_expect(copied.count == count && copied.flow == flow, "what was copied", __FILE__, line);
}

static val_t text_val(const char *text) {
  val_t val = val_of_kind(WASMTIME_COMPONENT_STRING);
  wasm_name_new_from_string(&val.of.string, text);
  return val;
}

// -- Calls

static void calls_run_beside_one_another(void) {
  wasmtime_component_instance_t instance = instance_alone(GUEST);
  writer_t *writers[5];
  call_t *calls[5];
  for (int i = 0; i < 5; i++) {
    reader_t *reader;
    new_future(&writers[i], &reader);
    calls[i] = start(&instance, "double", val_of_reader(reader));
  }
  bool idle = true;
  expect_ok(ampoule_component_run(ctx, &idle));
  expect(!idle);
  // They end in whatever order what they wait for comes in.
  for (int i = 4; i >= 0; i--) {
    expect(!is_over(calls[i]));
    uint32_t value = 100 + i;
    expect_copied(write_block(writers[i], &value, 1), 1, READY);
    expect_copied(write_block(writers[i], &value, 1), 0, CLOSED);
    ampoule_component_writer_delete(writers[i]);
    run();
    expect(is_over(calls[i]));
    for (int other = 0; other < i; other++) expect(!is_over(calls[other]));
  }
  for (uint32_t i = 0; i < 5; i++) expect(finish_u32(calls[i]) == 200 + 2 * i);
  expect_ok(ampoule_component_run(ctx, &idle));
  expect(idle);
}

static void calls_that_do_not_wait_are_over_at_once(void) {
  wasmtime_component_instance_t instance = instance_alone(GUEST);
  call_t *calls[3];
  for (uint32_t i = 0; i < 3; i++) calls[i] = start(&instance, "plain", u32_val(i));
  expect(!is_over(calls[0]));
  run();
  for (uint32_t i = 0; i < 3; i++) expect(finish_u32(calls[i]) == i + 1);
  // So they are when another call runs.
  call_t *call = start(&instance, "plain", u32_val(7));
  wasmtime_component_func_t plain = func_named(&instance, "plain");
  val_t result = bool_val(false);
  expect_ok(call_with(&plain, u32_val(9), &result));
  expect(result.of.u32 == 10);
  run();
  expect(finish_u32(call) == 8);
}

static void what_cannot_be_started_takes_nothing(void) {
  wasmtime_component_instance_t instance = instance_alone(GUEST);
  wasmtime_component_func_t plain = func_named(&instance, "plain");
  call_t *call = NULL;
  val_t args[2] = {text_val("a"), text_val("b")};
  expect_error_says(ampoule_component_call_start(ctx, &plain, args, 2, &call), "expected 1 argument(s), got 2");
  expect(!call && args[0].of.string.size == 1 && args[1].of.string.size == 1);
  // What doesn't fit is an error of the call, and of no other.
  call_t *other = start(&instance, "plain", u32_val(1));
  expect_ok(ampoule_component_call_start(ctx, &plain, args, 1, &call));
  expect(args[0].kind == WASMTIME_COMPONENT_BOOL);
  val_t result = bool_val(false);
  expect_error_says(ampoule_component_call_finish(call, ctx, &result, 1), "the call is not over");
  run();
  expect_error_says(ampoule_component_call_finish(call, ctx, &result, 0), "expected 1 result(s), got 0");
  expect_error_says(ampoule_component_call_finish(call, ctx, &result, 1), "type mismatch: expected u32, found string");
  expect_error_says(ampoule_component_call_finish(call, ctx, &result, 1), "the result of the call was taken");
  expect(!is_over(call));
  ampoule_component_call_delete(call);
  ampoule_component_call_delete(NULL);
  expect(finish_u32(other) == 2);
  wasmtime_component_val_delete(&args[1]);
}

static void a_call_that_is_deleted_goes_on(void) {
  wasmtime_component_instance_t instance = instance_alone(GUEST);
  writer_t *writer;
  reader_t *reader;
  new_future(&writer, &reader);
  ampoule_component_call_delete(start(&instance, "double", val_of_reader(reader)));
  run();
  uint32_t value = 1;
  expect_copied(write_block(writer, &value, 1), 1, READY);
  ampoule_component_writer_delete(writer);
  bool idle = false;
  expect_ok(ampoule_component_run(ctx, &idle));
  expect(idle);
}

static void a_trap_ends_all_calls_of_its_store(void) {
  wasmtime_component_instance_t instance = instance_alone(GUEST);
  writer_t *writers[2];
  call_t *calls[2];
  for (int i = 0; i < 2; i++) {
    reader_t *reader;
    new_future(&writers[i], &reader);
    calls[i] = start(&instance, "double", val_of_reader(reader));
  }
  run();
  uint32_t value = 13;
  expect_copied(write_block(writers[0], &value, 1), 1, READY);
  expect_error_says(ampoule_component_run(ctx, NULL), "unreachable");
  val_t result = bool_val(false);
  for (int i = 0; i < 2; i++) {
    expect_error_says(ampoule_component_call_finish(calls[i], ctx, &result, 1), "unreachable");
    ampoule_component_call_delete(calls[i]);
  }
  wasmtime_component_func_t plain = func_named(&instance, "plain");
  call_t *call = NULL;
  val_t arg = u32_val(1);
  expect_error_says(ampoule_component_call_start(ctx, &plain, &arg, 1, &call), "cannot enter component instance");
  for (int i = 0; i < 2; i++) ampoule_component_writer_delete(writers[i]);
}

static void a_call_that_has_not_begun_can_be_cancelled(void) {
  wasmtime_component_instance_t instance = instance_alone(GUEST);
  writer_t *writer;
  reader_t *reader;
  new_future(&writer, &reader);
  call_t *call = start(&instance, "double", val_of_reader(reader));
  expect_ok(ampoule_component_call_cancel(call, ctx));
  val_t result = bool_val(false);
  expect_error_says(ampoule_component_call_finish(call, ctx, &result, 1), "the call was cancelled");
  ampoule_component_call_delete(call);
  // What it was to get is dropped.
  run();
  uint32_t value = 1;
  expect_copied(write_block(writer, &value, 1), 0, CLOSED);
  ampoule_component_writer_delete(writer);
  // One that waits for something else goes on; one that is over stays so.
  new_future(&writer, &reader);
  call = start(&instance, "double", val_of_reader(reader));
  run();
  expect_ok(ampoule_component_call_cancel(call, ctx));
  expect(!is_over(call));
  expect_copied(write_block(writer, &value, 1), 1, READY);
  run();
  expect_ok(ampoule_component_call_cancel(call, ctx));
  expect(finish_u32(call) == 2);
  ampoule_component_writer_delete(writer);
}

static void a_future_runs_what_was_started(void) {
  wasmtime_context_set_epoch_deadline(ctx, 1000000);
  wasmtime_component_instance_t instance = instance_alone(GUEST);
  writer_t *writer;
  reader_t *reader;
  new_future(&writer, &reader);
  call_t *calls[2] = {start(&instance, "double", val_of_reader(reader)), start(&instance, "plain", u32_val(1))};
  wasmtime_error_t *error = NULL;
  wasmtime_call_future_t *future = ampoule_component_run_async(ctx, calls[1], &error);
  expect(wasmtime_call_future_poll(future));
  wasmtime_call_future_delete(future);
  expect_ok(error);
  expect(finish_u32(calls[1]) == 2);
  // Nobody will ever bring what it waits for, while the future does.
  error = NULL;
  future = ampoule_component_run_async(ctx, calls[0], &error);
  expect(wasmtime_call_future_poll(future));
  wasmtime_call_future_delete(future);
  expect_error_says(error, "no task waits for anything that would come by itself");
  uint32_t value = 21;
  expect_copied(write_block(writer, &value, 1), 1, READY);
  ampoule_component_writer_delete(writer);
  error = NULL;
  future = ampoule_component_run_async(ctx, NULL, &error);
  expect(wasmtime_call_future_poll(future));
  wasmtime_call_future_delete(future);
  expect_ok(error);
  expect(finish_u32(calls[0]) == 42);
}

// -- Streams and futures

static void bytes_go_both_ways(void) {
  wasmtime_component_instance_t instance = instance_alone(GUEST);
  writer_t *writer;
  reader_t *reader;
  new_stream(WASMTIME_COMPONENT_VALTYPE_U8, &writer, &reader);
  call_t *call = start(&instance, "echo", val_of_reader(reader));
  run();
  // It has returned, and goes on.
  val_t result = finish(call);
  expect(result.kind == AMPOULE_COMPONENT_STREAM);
  reader_t *out = reader_of(result);
  char sent[100], got[100];
  for (int i = 0; i < 100; i++) sent[i] = i;
  size_t written = 0, read = 0;
  expect_copied(read_block(out, got, 100), 0, PENDING);
  while (read < 100) {
    if (written < 100) {
      copied_t copied = write_block(writer, sent + written, 100 - written);
      written += copied.count;
      expect(copied.flow != AMPOULE_COMPONENT_CLOSED && copied.count <= 16);
    }
    run();
    // In pieces that are smaller than the guest's.
    copied_t copied = read_block(out, got + read, 100 - read < 7 ? 100 - read : 7);
    expect(copied.flow == AMPOULE_COMPONENT_READY && copied.count > 0);
    read += copied.count;
    run();
  }
  for (int i = 0; i < 100; i++) expect(got[i] == i + 1);
  ampoule_component_writer_delete(writer);
  run();
  expect_copied(read_block(out, got, 100), 0, CLOSED);
  bool idle = false;
  expect_ok(ampoule_component_run(ctx, &idle));
  expect(idle);
  ampoule_component_reader_delete(out);
}

static void values_and_blocks_of_numbers_come_from_a_guest(void) {
  wasmtime_component_instance_t instance = instance_alone(GUEST);
  call_t *call = start(&instance, "count", u32_val(10));
  run();
  reader_t *reader = reader_of(finish(call));
  wasmtime_component_valtype_t type;
  expect(ampoule_component_reader_type(reader, &type) && type.kind == WASMTIME_COMPONENT_VALTYPE_U32);
  val_t vals[3];
  expect_copied(read_vals(reader, vals, 3), 3, READY);
  for (uint32_t i = 0; i < 3; i++) expect(vals[i].kind == WASMTIME_COMPONENT_U32 && vals[i].of.u32 == 100 + i);
  run();
  uint32_t numbers[20] = {0};
  expect_copied(read_block(reader, numbers, 20), 7, READY);
  for (uint32_t i = 0; i < 7; i++) expect(numbers[i] == 103 + i);
  expect(numbers[7] == 0);
  run();
  expect_copied(read_vals(reader, vals, 3), 0, CLOSED);
  ampoule_component_reader_delete(reader);
}

static void strings_go_to_a_guest(void) {
  wasmtime_component_instance_t instance = instance_alone(GUEST);
  writer_t *writer;
  reader_t *reader;
  new_stream(WASMTIME_COMPONENT_VALTYPE_STRING, &writer, &reader);
  call_t *call = start(&instance, "lengths", val_of_reader(reader));
  run();
  val_t vals[3] = {text_val("one"), text_val("three"), u32_val(1)};
  // The third one isn't a string: it ends the write, and is an error when it is the first.
  expect_copied(write_vals(writer, vals, 3), 2, READY);
  expect(vals[0].kind == WASMTIME_COMPONENT_BOOL && vals[2].kind == WASMTIME_COMPONENT_U32);
  run();
  copied_t copied;
  expect_error_says(ampoule_component_write(writer, ctx, &vals[2], 1, &copied.count, &copied.flow),
                    "type mismatch: expected string, found u32");
  expect_error_says(ampoule_component_write_block(writer, ctx, "abc", 3, &copied.count, &copied.flow),
                    "values of the type string don't lie in memory as such");
  vals[0] = text_val("\xff");
  expect_error_says(ampoule_component_write(writer, ctx, vals, 1, &copied.count, &copied.flow), "utf-8");
  expect(vals[0].of.string.size == 1);
  wasmtime_component_val_delete(&vals[0]);
  // The guest reads on.
  vals[0] = text_val("twelve chars");
  expect_copied(write_vals(writer, vals, 1), 1, READY);
  ampoule_component_writer_delete(writer);
  run();
  expect(finish_u32(call) == 20);
}

static void elements_without_a_type_are_counted(void) {
  wasmtime_component_instance_t instance = instance_alone(GUEST);
  writer_t *writer;
  reader_t *reader;
  expect_ok(ampoule_component_stream_new(ctx, NULL, &writer, &reader));
  wasmtime_component_valtype_t type;
  expect(!ampoule_component_reader_type(reader, &type) && !ampoule_component_writer_type(writer, &type));
  call_t *call = start(&instance, "ticks", val_of_reader(reader));
  run();
  expect_copied(write_block(writer, NULL, 5), 5, READY);
  run();
  val_t vals[2] = {bool_val(true), bool_val(true)};
  expect_copied(write_vals(writer, vals, 2), 2, READY);
  ampoule_component_writer_delete(writer);
  run();
  expect(finish_u32(call) == 7);
}

static void whoever_writes_learns_that_nobody_reads(void) {
  wasmtime_component_instance_t instance = instance_alone(GUEST);
  writer_t *writer;
  reader_t *reader;
  new_stream(WASMTIME_COMPONENT_VALTYPE_U8, &writer, &reader);
  call_t *call = start(&instance, "refuse", val_of_reader(reader));
  run();
  expect(finish_u32(call) == 0);
  expect_copied(write_block(writer, "abc", 3), 0, CLOSED);
  ampoule_component_writer_delete(writer);
}

static void both_ends_may_be_the_hosts(void) {
  wasmtime_component_instance_t instance = instance_alone(GUEST);
  writer_t *writer;
  reader_t *reader;
  char got[8];
  // Without any guest: what is written waits, and is read after the writer has gone.
  new_stream(WASMTIME_COMPONENT_VALTYPE_U8, &writer, &reader);
  expect_copied(read_block(reader, got, 8), 0, PENDING);
  expect_copied(write_block(writer, "hello", 5), 5, READY);
  expect_copied(write_block(writer, "again", 5), 0, PENDING);
  ampoule_component_writer_delete(writer);
  expect_copied(read_block(reader, got, 3), 3, READY);
  expect_copied(read_block(reader, got + 3, 5), 2, READY);
  expect(!memcmp(got, "hello", 5));
  expect_copied(read_block(reader, got, 8), 0, CLOSED);
  ampoule_component_reader_delete(reader);
  // What was written before a guest has the end is the guest's.
  new_stream(WASMTIME_COMPONENT_VALTYPE_U8, &writer, &reader);
  expect_copied(write_block(writer, "abc", 3), 3, READY);
  ampoule_component_writer_delete(writer);
  call_t *call = start(&instance, "echo", val_of_reader(reader));
  run();
  reader = reader_of(finish(call));
  run();
  expect_copied(read_block(reader, got, 8), 3, READY);
  expect(!memcmp(got, "bcd", 3));
  run();
  expect_copied(read_block(reader, got, 8), 0, CLOSED);
  ampoule_component_reader_delete(reader);
  // Characters and bools mean something.
  uint32_t chars[3] = {'a', 0x1f600, 0xd800};
  copied_t copied;
  new_stream(WASMTIME_COMPONENT_VALTYPE_CHAR, &writer, &reader);
  expect_copied(write_block(writer, chars, 3), 2, READY);
  val_t vals[2];
  expect_copied(read_vals(reader, vals, 2), 2, READY);
  expect(vals[1].kind == WASMTIME_COMPONENT_CHAR && vals[1].of.character == 0x1f600);
  expect_error_says(ampoule_component_write_block(writer, ctx, chars + 2, 1, &copied.count, &copied.flow),
                    "0xd800 is not a `char`");
  expect_error_says(ampoule_component_write_block(writer, ctx, chars, SIZE_MAX, &copied.count, &copied.flow),
                    "longer than memory");
  ampoule_component_writer_delete(writer);
  ampoule_component_reader_delete(reader);
  uint8_t bools[2] = {2, 0};
  new_stream(WASMTIME_COMPONENT_VALTYPE_BOOL, &writer, &reader);
  expect_copied(write_block(writer, bools, 2), 2, READY);
  expect_copied(read_block(reader, bools, 2), 2, READY);
  expect(bools[0] == 1 && bools[1] == 0);
  // One that nobody reads from any more.
  ampoule_component_reader_delete(reader);
  expect_copied(write_block(writer, bools, 2), 0, CLOSED);
  ampoule_component_writer_delete(writer);
  // A future, likewise.
  new_future(&writer, &reader);
  expect_copied(read_vals(reader, vals, 1), 0, PENDING);
  vals[0] = text_val("no number");
  expect_error_says(ampoule_component_write(writer, ctx, vals, 1, &copied.count, &copied.flow),
                    "type mismatch: expected u32, found string");
  wasmtime_component_val_delete(&vals[0]);
  vals[0] = u32_val(5);
  expect_copied(write_vals(writer, vals, 1), 1, READY);
  ampoule_component_writer_delete(writer);
  expect_copied(read_vals(reader, vals, 1), 1, READY);
  expect(vals[0].of.u32 == 5);
  expect_copied(read_vals(reader, vals, 1), 0, CLOSED);
  ampoule_component_reader_delete(reader);
}

static void values_hold_ends(void) {
  writer_t *writer;
  reader_t *reader;
  new_stream(WASMTIME_COMPONENT_VALTYPE_U8, &writer, &reader);
  val_t val = val_of_reader(reader), copy;
  expect(val.kind == AMPOULE_COMPONENT_STREAM);
  // There is one of each end.
  wasmtime_component_val_clone(&val, &copy);
  reader = NULL;
  expect_error_says(ampoule_component_reader_from_val(&copy, &reader), "the stream was given away");
  expect_ok(ampoule_component_reader_from_val(&val, &reader));
  expect_error_says(ampoule_component_reader_from_val(&val, &reader), "the stream was given away");
  val_t number = u32_val(1);
  expect_error_says(ampoule_component_reader_from_val(&number, &reader), "type mismatch: expected stream, found u32");
  wasmtime_component_val_delete(&val);
  // A value that is deleted drops its end.
  val = val_of_reader(reader);
  wasmtime_component_val_delete(&val);
  expect_copied(write_block(writer, "abc", 3), 0, CLOSED);
  ampoule_component_writer_delete(writer);
  // So does one that is a part of another.
  new_stream(WASMTIME_COMPONENT_VALTYPE_U8, &writer, &reader);
  val_t list = val_of_kind(WASMTIME_COMPONENT_LIST);
  wasmtime_component_vallist_new_uninit(&list.of.list, 1);
  ampoule_component_reader_into_val(reader, &list.of.list.data[0]);
  wasmtime_component_val_delete(&list);
  expect_copied(write_block(writer, "abc", 3), 0, CLOSED);
  ampoule_component_writer_delete(writer);
  wasmtime_component_valtype_t type = {.kind = 77};
  expect_error_says(ampoule_component_stream_new(ctx, &type, &writer, &reader), "77 is not a kind of types");
}

static void a_stream_of_another_type_is_refused(void) {
  wasmtime_component_instance_t instance = instance_alone(GUEST);
  writer_t *writer;
  reader_t *reader;
  new_stream(WASMTIME_COMPONENT_VALTYPE_U16, &writer, &reader);
  call_t *call = start(&instance, "echo", val_of_reader(reader));
  run();
  val_t result = bool_val(false);
  expect_error_says(ampoule_component_call_finish(call, ctx, &result, 1), "mismatched types of streams");
  ampoule_component_call_delete(call);
  run();
  expect_copied(write_block(writer, "abc", 1), 0, CLOSED);
  ampoule_component_writer_delete(writer);
}

static void a_promise_that_is_broken_stops_the_guest(void) {
  wasmtime_component_instance_t instance = instance_alone(GUEST);
  writer_t *writer;
  reader_t *reader;
  new_future(&writer, &reader);
  call_t *call = start(&instance, "double", val_of_reader(reader));
  run();
  ampoule_component_writer_delete(writer);
  expect_error_says(ampoule_component_run(ctx, NULL), "the writable end of a future was dropped without a value");
  expect(is_over(call));
  ampoule_component_call_delete(call);
}

// -- Waiting

// A wait may return for no reason, but not for ever.
static void wait_in_vain(void) {
  wasmtime_error_t *error = NULL;
  for (int i = 0; !error && expect(i < 10); i++) {
    run();
    error = ampoule_component_wait(ctx);
  }
  expect_error_says(error, "no task waits for anything that would come by itself");
}

static void what_nobody_will_bring_is_not_waited_for(void) {
  wait_in_vain();
  wasmtime_component_instance_t instance = instance_alone(GUEST);
  writer_t *writer;
  reader_t *reader;
  new_future(&writer, &reader);
  call_t *call = start(&instance, "double", val_of_reader(reader));
  // It can begin.
  expect_ok(ampoule_component_wait(ctx));
  wait_in_vain();
  // The store is as it was.
  uint32_t value = 3;
  expect_copied(write_block(writer, &value, 1), 1, READY);
  // The guest can go on.
  expect_ok(ampoule_component_wait(ctx));
  run();
  expect(finish_u32(call) == 6);
  ampoule_component_writer_delete(writer);
}

static bool readable(int descriptor, int timeout_ms) {
  struct pollfd fd = {.fd = descriptor, .events = POLLIN};
  return poll(&fd, 1, timeout_ms) == 1;
}

static void the_descriptor_tells_that_a_guest_has_come(void) {
  wasmtime_component_instance_t instance = instance_alone(GUEST);
  int descriptor = -1;
  expect_ok(ampoule_context_wait_descriptor(ctx, &descriptor));
  call_t *call = start(&instance, "count", u32_val(1));
  run();
  reader_t *reader = reader_of(finish(call));
  uint32_t number;
  expect_copied(read_block(reader, &number, 1), 1, READY);
  run();
  expect_copied(read_block(reader, &number, 1), 0, CLOSED);
  ampoule_component_reader_delete(reader);
  writer_t *writer;
  new_stream(WASMTIME_COMPONENT_VALTYPE_U8, &writer, &reader);
  call = start(&instance, "echo", val_of_reader(reader));
  run();
  reader = reader_of(finish(call));
  run();
  char byte = 'a';
  expect_copied(read_block(reader, &byte, 1), 0, PENDING);
  run();
  expect(!readable(descriptor, 0));
  expect_copied(write_block(writer, &byte, 1), 1, READY);
  run();
  // The guest has written, where the host waits.
  expect(readable(descriptor, 1000));
  expect_copied(read_block(reader, &byte, 1), 1, READY);
  expect(byte == 'b');
  run();
  ampoule_component_reader_delete(reader);
  ampoule_component_writer_delete(writer);
}

// -- Misuse

static void objects_of_another_store_are_refused(void) {
  wasmtime_component_instance_t instance = instance_alone(GUEST);
  writer_t *writer;
  reader_t *reader;
  new_stream(WASMTIME_COMPONENT_VALTYPE_U8, &writer, &reader);
  call_t *call = start(&instance, "plain", u32_val(1));
  wasmtime_component_func_t plain = func_named(&instance, "plain");
  wasmtime_store_t *other = wasmtime_store_new(engine, NULL, NULL);
  wasmtime_context_t *context = wasmtime_store_context(other);
  size_t count;
  ampoule_component_flow_t flow;
  char byte;
  expect_error_says(ampoule_component_read_block(reader, context, &byte, 1, &count, &flow), "wrong store");
  expect_error_says(ampoule_component_write_block(writer, context, "a", 1, &count, &flow), "wrong store");
  val_t val = u32_val(1);
  call_t *none = NULL;
  expect_error_says(ampoule_component_call_start(context, &plain, &val, 1, &none), "wrong store");
  expect(val.kind == WASMTIME_COMPONENT_U32);
  expect(!ampoule_component_call_is_over(call, context));
  expect_error_says(ampoule_component_call_cancel(call, context), "wrong store");
  expect_error_says(ampoule_component_call_finish(call, context, &val, 1), "wrong store");
  ampoule_component_call_delete(call);
  ampoule_component_writer_delete(writer);
  // A guest there doesn't get it.
  wasmtime_store_t *mine = store;
  (store = other, ctx = context);
  instance = instance_alone(GUEST);
  call = start(&instance, "refuse", val_of_reader(reader));
  run();
  val_t result = bool_val(false);
  expect_error_says(ampoule_component_call_finish(call, ctx, &result, 1), "wrong store");
  ampoule_component_call_delete(call);
  (store = mine, ctx = wasmtime_store_context(mine));
  wasmtime_store_delete(other);
}

static void objects_may_outlive_their_store(void) {
  wasmtime_component_instance_t instance = instance_alone(GUEST);
  writer_t *writers[2];
  reader_t *readers[2];
  new_stream(WASMTIME_COMPONENT_VALTYPE_U8, &writers[0], &readers[0]);
  new_future(&writers[1], &readers[1]);
  call_t *calls[2] = {start(&instance, "double", val_of_reader(readers[1])), start(&instance, "plain", u32_val(1))};
  run();
  char byte;
  expect_copied(read_block(readers[0], &byte, 1), 0, PENDING);
  wasmtime_store_delete(store);
  store = wasmtime_store_new(engine, NULL, NULL);
  ctx = wasmtime_store_context(store);
  size_t count;
  ampoule_component_flow_t flow;
  expect_error_says(ampoule_component_read_block(readers[0], ctx, &byte, 1, &count, &flow), "wrong store");
  for (int i = 0; i < 2; i++) {
    ampoule_component_writer_delete(writers[i]);
    ampoule_component_call_delete(calls[i]);
  }
  ampoule_component_reader_delete(readers[0]);
  ampoule_component_reader_delete(NULL);
  ampoule_component_writer_delete(NULL);
}

static wasmtime_error_t *runs_again(void *data, wasmtime_context_t *context, const wasmtime_component_func_type_t *type,
                                    val_t *args, size_t nargs, val_t *results, size_t nresults) {
  (void)type, (void)args, (void)nargs, (void)results, (void)nresults;
  expect_error_says(ampoule_component_run(context, NULL), "tasks are run from outside of components");
  expect_error_says(ampoule_component_wait(context), "tasks are run from outside of components");
  // To start a call is another thing: it begins later.
  val_t arg = u32_val(1);
  call_t **call = data;
  if (!*call) expect_ok(ampoule_component_call_start(context, (const wasmtime_component_func_t *)(call + 1), &arg, 1, call));
  return NULL;
}

static void the_event_loop_is_not_run_by_what_it_runs(void) {
  struct {
    call_t *call;
    wasmtime_component_func_t func;
  } data = {0};
  wasmtime_component_instance_t other = instance_alone(GUEST);
  data.func = func_named(&other, "plain");
  wasmtime_component_linker_t *linker = wasmtime_component_linker_new(engine);
  wasmtime_component_linker_instance_t *root = wasmtime_component_linker_root(linker);
  expect_ok(wasmtime_component_linker_instance_add_func(root, "host", 4, runs_again, &data, NULL));
  wasmtime_component_linker_instance_delete(root);
  wasmtime_component_instance_t instance = instance_with_linker(
      linker,
      "(component (import \"host\" (func $host)) (core func $host' (canon lower (func $host)))"
      "  (core module $m (import \"\" \"host\" (func $host))"
      "    (func (export \"run\") (param i32) (result i32) (call $host) (local.get 0)))"
      "  (core instance $i (instantiate $m (with \"\" (instance (export \"host\" (func $host'))))))"
      "  (func (export \"run\") (param \"n\" u32) (result u32) (canon lift (core func $i \"run\"))))");
  wasmtime_component_linker_delete(linker);
  call_t *call = start(&instance, "run", u32_val(5));
  run();
  expect(finish_u32(call) == 5);
  run();
  expect(finish_u32(data.call) == 2);
}

// Drops ends of a store that its parent uses, and uses the store itself.
static void a_forked_child_has_ends_of_its_own(void) {
  wasmtime_component_instance_t instance = instance_alone(GUEST);
  writer_t *writer;
  reader_t *reader;
  new_stream(WASMTIME_COMPONENT_VALTYPE_U8, &writer, &reader);
  call_t *call = start(&instance, "echo", val_of_reader(reader));
  run();
  reader = reader_of(finish(call));
  run();
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    char byte = 'a';
    size_t count;
    ampoule_component_flow_t flow;
    bool fine = !ampoule_component_write_block(writer, ctx, &byte, 1, &count, &flow) && count == 1 &&
                !ampoule_component_run(ctx, NULL) &&
                !ampoule_component_read_block(reader, ctx, &byte, 1, &count, &flow) && count == 1 && byte == 'b';
    ampoule_component_writer_delete(writer);
    ampoule_component_reader_delete(reader);
    _exit(fine ? 0 : 1);
  }
  int status = -1;
  expect(waitpid(child, &status, 0) == child && status == 0);
  char byte = 'x';
  expect_copied(write_block(writer, &byte, 1), 1, READY);
  run();
  expect_copied(read_block(reader, &byte, 1), 1, READY);
  expect(byte == 'y');
  ampoule_component_writer_delete(writer);
  ampoule_component_reader_delete(reader);
}

int main(void) {
  expect(ampoule_has("component"));
  RUN_WITH(asynchronous, calls_run_beside_one_another);
  RUN_WITH(asynchronous, calls_that_do_not_wait_are_over_at_once);
  RUN_WITH(asynchronous, what_cannot_be_started_takes_nothing);
  RUN_WITH(asynchronous, a_call_that_is_deleted_goes_on);
  RUN_WITH(asynchronous, a_trap_ends_all_calls_of_its_store);
  RUN_WITH(asynchronous, a_call_that_has_not_begun_can_be_cancelled);
  RUN_WITH(interruptible, a_future_runs_what_was_started);
  RUN_WITH(asynchronous, bytes_go_both_ways);
  RUN_WITH(asynchronous, values_and_blocks_of_numbers_come_from_a_guest);
  RUN_WITH(asynchronous, strings_go_to_a_guest);
  RUN_WITH(asynchronous, elements_without_a_type_are_counted);
  RUN_WITH(asynchronous, whoever_writes_learns_that_nobody_reads);
  RUN_WITH(asynchronous, both_ends_may_be_the_hosts);
  RUN_WITH(asynchronous, values_hold_ends);
  RUN_WITH(asynchronous, a_stream_of_another_type_is_refused);
  RUN_WITH(asynchronous, a_promise_that_is_broken_stops_the_guest);
  RUN_WITH(asynchronous, what_nobody_will_bring_is_not_waited_for);
  RUN_WITH(asynchronous, the_descriptor_tells_that_a_guest_has_come);
  RUN_WITH(asynchronous, objects_of_another_store_are_refused);
  RUN_WITH(asynchronous, objects_may_outlive_their_store);
  RUN_WITH(asynchronous, the_event_loop_is_not_run_by_what_it_runs);
  RUN_WITH(asynchronous, a_forked_child_has_ends_of_its_own);
  return test_summary();
}
