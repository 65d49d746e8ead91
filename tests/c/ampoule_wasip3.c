// ampoule/wasi.h: WASI 0.3 for components, and what programs of 0.3 find of the host's own.
#include "component.h"

#include <ampoule/wasi.h>

static wasmtime_component_linker_t *linker;

// A linker that has 0.3, and 0.2 beside it.
static void with_both(void) {
  linker = wasmtime_component_linker_new(engine);
  expect_ok(ampoule_component_linker_add_wasip3(linker));
  expect_ok(wasmtime_component_linker_add_wasip2(linker));
}

#define RANDOM(version)                                                                                               \
  "(component (import \"wasi:random/random@" version "\""                                                             \
  " (instance $n (export \"get-random-u64\" (func (result u64)))))"                                                   \
  "(alias export $n \"get-random-u64\" (func $h)) (core func $l (canon lower (func $h)))"                             \
  "(core module $m (import \"\" \"h\" (func $h (result i64))) (func (export \"f\") (result i64) (call $h)))"          \
  "(core instance $i (instantiate $m (with \"\" (instance (export \"h\" (func $l))))))"                               \
  "(func (export \"f\") (result u64) (canon lift (core func $i \"f\"))))"

// Shows the monotonic clock after a wait of 10 seconds.
#define WAITS                                                                                                         \
  "(component (import \"wasi:clocks/monotonic-clock@0.3.1\" (instance $n"                                             \
  "  (export \"now\" (func (result u64))) (export \"wait-for\" (func async (param \"how-long\" u64)))))"              \
  "(core func $now (canon lower (func $n \"now\")))"                                                                  \
  "(core func $wait (canon lower (func $n \"wait-for\")))"                                                            \
  "(core module $m (import \"\" \"now\" (func $now (result i64))) (import \"\" \"wait\" (func $wait (param i64)))"    \
  "  (func (export \"f\") (result i64) (call $wait (i64.const 10000000000)) (call $now)))"                            \
  "(core instance $i (instantiate $m (with \"\" (instance"                                                            \
  "  (export \"now\" (func $now)) (export \"wait\" (func $wait))))))"                                                 \
  "(func (export \"f\") async (result u64) (canon lift (core func $i \"f\"))))"

// Adds up all bytes of a stream: of standard input (`f`), or of the file `f` of the first directory (`file`).
#define SUMS                                                                                                          \
  "(component"                                                                                                        \
  " (import \"wasi:cli/types@0.3.0\" (instance $cli"                                                                  \
  "   (type $e (enum \"io\" \"illegal-byte-sequence\" \"pipe\")) (export \"error-code\" (type (eq $e)))))"            \
  " (alias export $cli \"error-code\" (type $cli-error))"                                                             \
  " (import \"wasi:cli/stdin@0.3.0\" (instance $stdin (alias outer 1 $cli-error (type $e'))"                          \
  "   (export \"error-code\" (type $e (eq $e')))"                                                                     \
  "   (export \"read-via-stream\" (func (result (tuple (stream u8) (future (result (error $e)))))))))"                \
  " (import \"wasi:filesystem/types@0.3.0\" (instance $types"                                                         \
  "   (export \"descriptor\" (type $d (sub resource)))"                                                               \
  "   (type $e' (variant (case \"no-entry\") (case \"io\"))) (export \"error-code\" (type $e (eq $e')))"              \
  "   (type $p' (flags \"symlink-follow\")) (export \"path-flags\" (type $p (eq $p')))"                               \
  "   (type $o' (flags \"create\")) (export \"open-flags\" (type $o (eq $o')))"                                       \
  "   (type $f' (flags \"read\")) (export \"descriptor-flags\" (type $f (eq $f')))"                                   \
  "   (export \"[method]descriptor.open-at\" (func async (param \"self\" (borrow $d)) (param \"path-flags\" $p)"      \
  "     (param \"path\" string) (param \"open-flags\" $o) (param \"flags\" $f)"                                       \
  "     (result (result (own $d) (error $e)))))"                                                                      \
  "   (export \"[method]descriptor.read-via-stream\" (func (param \"self\" (borrow $d)) (param \"offset\" u64)"       \
  "     (result (tuple (stream u8) (future (result (error $e)))))))))"                                                \
  " (alias export $types \"descriptor\" (type $descriptor))"                                                          \
  " (import \"wasi:filesystem/preopens@0.3.0\" (instance $preopens"                                                   \
  "   (alias outer 1 $descriptor (type $d')) (export \"descriptor\" (type $d (eq $d')))"                              \
  "   (export \"get-directories\" (func (result (list (tuple (own $d) string)))))))"                                  \
  " (core module $libc (memory (export \"memory\") 1) (data (i32.const 100) \"f\") (global $at (mut i32) (i32.const 4096))" \
  "   (func (export \"realloc\") (param i32 i32 i32 i32) (result i32) (global.get $at)"                               \
  "     (global.set $at (i32.and (i32.add (i32.add (global.get $at) (local.get 3)) (i32.const 7)) (i32.const -8)))))" \
  " (core instance $libc (instantiate $libc)) (alias core export $libc \"memory\" (core memory $memory))"             \
  " (type $bytes (stream u8))"                                                                                        \
  " (core func $stdin (canon lower (func $stdin \"read-via-stream\") (memory $memory)))"                              \
  " (core func $dirs (canon lower (func $preopens \"get-directories\") (memory $memory)"                              \
  "   (realloc (core func $libc \"realloc\"))))"                                                                      \
  " (core func $open (canon lower (func $types \"[method]descriptor.open-at\") (memory $memory)))"                    \
  " (core func $read-file (canon lower (func $types \"[method]descriptor.read-via-stream\") (memory $memory)))"       \
  " (core func $read (canon stream.read $bytes async (memory $memory)))"                                              \
  " (core func $set (canon waitable-set.new)) (core func $join (canon waitable.join))"                                \
  " (core func $wait (canon waitable-set.wait (memory $memory)))"                                                     \
  " (core module $m (import \"\" \"memory\" (memory 1)) (import \"\" \"stdin\" (func $stdin (param i32)))"            \
  "   (import \"\" \"dirs\" (func $dirs (param i32)))"                                                                \
  "   (import \"\" \"open\" (func $open (param i32 i32 i32 i32 i32 i32 i32)))"                                        \
  "   (import \"\" \"read-file\" (func $read-file (param i32 i64 i32)))"                                              \
  "   (import \"\" \"read\" (func $read (param i32 i32 i32) (result i32)))"                                           \
  "   (import \"\" \"set\" (func $set (result i32))) (import \"\" \"join\" (func $join (param i32 i32)))"             \
  "   (import \"\" \"wait\" (func $wait (param i32 i32) (result i32)))"                                               \
  "   (func $sum (param $from i32) (result i64) (local $set i32) (local $got i32) (local $at i32) (local $sum i64)"   \
  "     (local.set $set (call $set)) (call $join (local.get $from) (local.get $set))"                                 \
  "     (loop $more"                                                                                                  \
  "       (local.set $got (call $read (local.get $from) (i32.const 1024) (i32.const 8)))"                             \
  "       (if (i32.eq (local.get $got) (i32.const -1))"                                                               \
  "         (then (drop (call $wait (local.get $set) (i32.const 64))) (local.set $got (i32.load (i32.const 68)))))"   \
  "       (local.set $at (i32.const 0))"                                                                              \
  "       (block $end (loop $next"                                                                                    \
  "         (br_if $end (i32.ge_u (local.get $at) (i32.shr_u (local.get $got) (i32.const 4))))"                       \
  "         (local.set $sum (i64.add (local.get $sum) (i64.load8_u offset=1024 (local.get $at))))"                    \
  "         (local.set $at (i32.add (local.get $at) (i32.const 1))) (br $next)))"                                     \
  "       (br_if $more (i32.eqz (i32.and (local.get $got) (i32.const 15)))))"                                         \
  "     (local.get $sum))"                                                                                            \
  "   (func (export \"f\") (result i64) (call $stdin (i32.const 0)) (call $sum (i32.load (i32.const 0))))"            \
  "   (func (export \"file\") (result i64)"                                                                           \
  "     (call $dirs (i32.const 0))"                                                                                   \
  "     (call $open (i32.load (i32.load (i32.const 0))) (i32.const 0) (i32.const 100) (i32.const 1) (i32.const 0)"    \
  "       (i32.const 1) (i32.const 16))"                                                                              \
  "     (if (i32.load8_u (i32.const 16)) (then unreachable))"                                                         \
  "     (call $read-file (i32.load (i32.const 20)) (i64.const 1) (i32.const 32))"                                     \
  "     (call $sum (i32.load (i32.const 32)))))"                                                                      \
  " (core instance $m (instantiate $m (with \"\" (instance (export \"memory\" (memory $memory))"                      \
  "   (export \"stdin\" (func $stdin)) (export \"dirs\" (func $dirs)) (export \"open\" (func $open))"                 \
  "   (export \"read-file\" (func $read-file)) (export \"read\" (func $read)) (export \"set\" (func $set))"           \
  "   (export \"join\" (func $join)) (export \"wait\" (func $wait))))))"                                              \
  " (func (export \"f\") async (result u64) (canon lift (core func $m \"f\")))"                                       \
  " (func (export \"file\") async (result u64) (canon lift (core func $m \"file\"))))"

// What a function of a component answers, and whether it does.
static uint64_t answer(const char *wat, const char *name) {
  wasmtime_component_instance_t instance = instance_with_linker(linker, wat);
  wasmtime_component_func_t func = func_named(&instance, name);
  val_t back = bool_val(false);
  expect_ok(wasmtime_component_func_call(&func, ctx, NULL, 0, &back, 1));
  return expect(back.kind == WASMTIME_COMPONENT_U64) ? back.of.u64 : 0;
}

static void every_version_of_0_3_is_served_beside_0_2(void) {
  with_both();
  expect_ok(wasmtime_context_set_wasi(ctx, wasi_config_new()));
  uint64_t a = answer(RANDOM("0.3.0"), "f"), b = answer(RANDOM("0.3.2"), "f"), c = answer(RANDOM("0.2.0"), "f");
  expect(a != b && b != c);
  wasmtime_component_linker_delete(linker);
}

static void it_is_served_where_it_was_added_once(void) {
  linker = wasmtime_component_linker_new(engine);
  wasmtime_component_t *component = component_of(RANDOM("0.3.0"));
  wasmtime_component_instance_t instance;
  expect_error_says(wasmtime_component_linker_instantiate(linker, ctx, component, &instance),
                    "component imports instance `wasi:random/random@0.3.0`");
  expect_ok(ampoule_component_linker_add_wasip3(linker));
  expect_error_says(ampoule_component_linker_add_wasip3(linker), "defined twice");
  wasmtime_component_delete(component);
  wasmtime_component_linker_delete(linker);
}

static uint64_t now = 5;

static uint64_t show(void *env) {
  (void)env;
  return now;
}

static bool skip(void *env, ampoule_wasi_clock_t clock, uint64_t deadline) {
  (void)env, (void)clock;
  now = deadline;
  return true;
}

static void waits_are_for_clocks_of_the_host_s(void) {
  with_both();
  wasi_config_t *config = wasi_config_new();
  ampoule_wasi_clocks_t clocks = {.size = sizeof clocks, .realtime = show, .monotonic = show, .skip_to = skip};
  expect_ok(ampoule_wasi_config_set_clocks(config, &clocks));
  expect_ok(wasmtime_context_set_wasi(ctx, config));
  expect(answer(WAITS, "f") == 10000000005);
  wasmtime_component_linker_delete(linker);
}

// Gives 1, 2, ... 20, three at a time; each second time it would have to wait.
static int reads = 0;
static uint8_t given = 0;

static ampoule_wasi_error_t read_some(void *env, uint8_t *buffer, size_t len, size_t *count) {
  (void)env;
  if (++reads % 2) return AMPOULE_WASI_EAGAIN;
  for (*count = 0; *count < len && *count < 3 && given < 20; ++*count) buffer[*count] = ++given;
  return AMPOULE_WASI_OK;
}

static void input_of_the_host_s_is_a_stream(void) {
  with_both();
  wasi_config_t *config = wasi_config_new();
  ampoule_wasi_stdin_t input = {.size = sizeof input, .read = read_some};
  expect_ok(ampoule_wasi_config_set_stdin(config, &input));
  expect_ok(wasmtime_context_set_wasi(ctx, config));
  expect(answer(SUMS, "f") == 210);
  expect(given == 20 && reads >= 14);
  wasmtime_component_linker_delete(linker);
}

// A directory (1) with one file `f` (2) of 100 bytes, each of which is its offset.
static ampoule_wasi_error_t look_up(void *env, ampoule_wasi_node_t dir, const char *name, size_t len,
                                    ampoule_wasi_node_t *node, ampoule_wasi_type_t *type) {
  (void)env;
  if (dir != 1 || len != 1 || name[0] != 'f') return AMPOULE_WASI_ENOENT;
  *node = 2;
  *type = AMPOULE_WASI_TYPE_REGULAR_FILE;
  return AMPOULE_WASI_OK;
}

static ampoule_wasi_error_t get_stat(void *env, ampoule_wasi_node_t node, ampoule_wasi_stat_t *stat) {
  (void)env;
  stat->inode = node;
  stat->size = node == 2 ? 100 : 0;
  stat->type = node == 2 ? AMPOULE_WASI_TYPE_REGULAR_FILE : AMPOULE_WASI_TYPE_DIRECTORY;
  return AMPOULE_WASI_OK;
}

static int attempts = 0;

static ampoule_wasi_error_t read_at(void *env, ampoule_wasi_node_t file, uint64_t offset, uint8_t *buffer, size_t len,
                                    size_t *count) {
  (void)env, (void)file;
  if (++attempts % 4 == 0) return AMPOULE_WASI_EAGAIN;
  for (*count = 0; *count < len && offset + *count < 100; ++*count) buffer[*count] = (uint8_t)(offset + *count);
  return AMPOULE_WASI_OK;
}

static void files_of_the_host_s_are_streams(void) {
  with_both();
  wasi_config_t *config = wasi_config_new();
  ampoule_wasi_filesystem_t files = {
      .size = sizeof files, .root = 1, .lookup = look_up, .stat = get_stat, .read = read_at};
  expect_ok(ampoule_wasi_config_preopen_virtual_dir(config, &files, "/", 1, 1));
  expect_ok(wasmtime_context_set_wasi(ctx, config));
  // From the second byte on.
  expect(answer(SUMS, "file") == 99 * 100 / 2);
  wasmtime_component_linker_delete(linker);
}

int main(void) {
  RUN(every_version_of_0_3_is_served_beside_0_2);
  RUN(it_is_served_where_it_was_added_once);
  RUN(waits_are_for_clocks_of_the_host_s);
  RUN(input_of_the_host_s_is_a_stream);
  RUN(files_of_the_host_s_are_streams);
  return test_summary();
}
