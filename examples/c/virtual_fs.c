/* A file system that is only in the host's memory, beneath two guests: a module that copies a file in capitals, by WASI preview 1, and a
 * component that reads the copy, by WASI 0.2. Neither can tell it from a disk; neither has any other file.
 *
 *     cc -std=c11 virtual_fs.c $(pkg-config --cflags --libs ampoule) -o virtual_fs && ./virtual_fs
 *
 * memory_fs.h has the file system; this program gives it to the guests and looks into it afterwards. */
#include "memory_fs.h"

static void must(wasmtime_error_t *error, wasm_trap_t *trap) {
  if (error == NULL && trap == NULL) return;
  wasm_byte_vec_t message;
  if (error != NULL) wasmtime_error_message(error, &message);
  else wasm_trap_message(trap, &message);
  fprintf(stderr, "%.*s\n", (int)message.size, message.data);
  exit(1);
}

/* What a compiler would make of a program that opens note.txt and shout.txt in its first directory, which is descriptor 3. */
static const char shouter[] =
    "(module"
    "  (import \"wasi_snapshot_preview1\" \"path_open\""
    "    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))"
    "  (import \"wasi_snapshot_preview1\" \"fd_read\" (func $read (param i32 i32 i32 i32) (result i32)))"
    "  (import \"wasi_snapshot_preview1\" \"fd_write\" (func $write (param i32 i32 i32 i32) (result i32)))"
    "  (memory (export \"memory\") 1)"
    "  (data (i32.const 0) \"note.txt\") (data (i32.const 16) \"shout.txt\")"
    "  (data (i32.const 32) \"\\00\\01\\00\\00\\00\\10\\00\\00\")" /* a buffer: 4,096 bytes at 256 */
    "  (func $must (param i32) (if (local.get 0) (then (unreachable))))"
    "  (func (export \"_start\") (local $at i32) (local $end i32)"
    "    (call $must (call $open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 8) (i32.const 0)"
    "      (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 48)))" /* to read */
    "    (call $must (call $read (i32.load (i32.const 48)) (i32.const 32) (i32.const 1) (i32.const 36)))"
    "    (local.set $at (i32.const 256))"
    "    (local.set $end (i32.add (i32.const 256) (i32.load (i32.const 36))))"
    "    (block $done (loop $next"
    "      (br_if $done (i32.ge_u (local.get $at) (local.get $end)))"
    "      (if (i32.lt_u (i32.sub (i32.load8_u (local.get $at)) (i32.const 97)) (i32.const 26))"
    "        (then (i32.store8 (local.get $at) (i32.sub (i32.load8_u (local.get $at)) (i32.const 32)))))"
    "      (local.set $at (i32.add (local.get $at) (i32.const 1)))"
    "      (br $next)))"
    "    (call $must (call $open (i32.const 3) (i32.const 0) (i32.const 16) (i32.const 9) (i32.const 9)"
    "      (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 48)))" /* to write; new, or emptied */
    "    (call $must (call $write (i32.load (i32.const 48)) (i32.const 32) (i32.const 1) (i32.const 40)))))";

/* The same of: export read: func(path: string) -> string, which reads a file of the first directory. */
static const char reader[] =
    "(component"
    "  (import \"wasi:filesystem/types@0.2.0\" (instance $types"
    "    (export \"descriptor\" (type $descriptor (sub resource)))"
    "    (type $codes (enum \"access\" \"would-block\" \"already\" \"bad-descriptor\" \"busy\" \"deadlock\" \"quota\" \"exist\""
    "      \"file-too-large\" \"illegal-byte-sequence\" \"in-progress\" \"interrupted\" \"invalid\" \"io\" \"is-directory\" \"loop\""
    "      \"too-many-links\" \"message-size\" \"name-too-long\" \"no-device\" \"no-entry\" \"no-lock\" \"insufficient-memory\""
    "      \"insufficient-space\" \"not-directory\" \"not-empty\" \"not-recoverable\" \"unsupported\" \"no-tty\""
    "      \"no-such-device\" \"overflow\" \"not-permitted\" \"pipe\" \"read-only\" \"invalid-seek\" \"text-file-busy\""
    "      \"cross-device\"))"
    "    (export \"error-code\" (type $code (eq $codes)))"
    "    (type $paths (flags \"symlink-follow\"))"
    "    (export \"path-flags\" (type $path (eq $paths)))"
    "    (type $opens (flags \"create\" \"directory\" \"exclusive\" \"truncate\"))"
    "    (export \"open-flags\" (type $open (eq $opens)))"
    "    (type $uses (flags \"read\" \"write\" \"file-integrity-sync\" \"data-integrity-sync\" \"requested-write-sync\""
    "      \"mutate-directory\"))"
    "    (export \"descriptor-flags\" (type $use (eq $uses)))"
    "    (export \"[method]descriptor.open-at\" (func (param \"self\" (borrow $descriptor)) (param \"path-flags\" $path)"
    "      (param \"path\" string) (param \"open-flags\" $open) (param \"flags\" $use)"
    "      (result (result (own $descriptor) (error $code)))))"
    "    (export \"[method]descriptor.read\" (func (param \"self\" (borrow $descriptor)) (param \"length\" u64)"
    "      (param \"offset\" u64) (result (result (tuple (list u8) bool) (error $code)))))))"
    "  (alias export $types \"descriptor\" (type $descriptor))"
    "  (import \"wasi:filesystem/preopens@0.2.0\" (instance $preopens"
    "    (alias outer 1 $descriptor (type $outer))"
    "    (export \"descriptor\" (type $descriptor (eq $outer)))"
    "    (export \"get-directories\" (func (result (list (tuple (own $descriptor) string)))))))"
    "  (core module $libc (memory (export \"memory\") 1) (global $next (mut i32) (i32.const 1024))"
    "    (func (export \"realloc\") (param i32 i32 i32 i32) (result i32) (local $at i32)"
    "      (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))"
    "      (global.set $next (i32.add (local.get $at) (local.get 3)))"
    "      (local.get $at)))"
    "  (core instance $libc (instantiate $libc))"
    "  (alias core export $libc \"memory\" (core memory $memory))"
    "  (alias core export $libc \"realloc\" (core func $realloc))"
    "  (alias export $preopens \"get-directories\" (func $directories))"
    "  (alias export $types \"[method]descriptor.open-at\" (func $open))"
    "  (alias export $types \"[method]descriptor.read\" (func $read))"
    "  (core func $directories (canon lower (func $directories) (memory $memory) (realloc $realloc)))"
    "  (core func $open (canon lower (func $open) (memory $memory) (realloc $realloc)))"
    "  (core func $read (canon lower (func $read) (memory $memory) (realloc $realloc)))"
    "  (core module $m"
    "    (import \"libc\" \"memory\" (memory 1))"
    "    (import \"host\" \"directories\" (func $directories (param i32)))"
    "    (import \"host\" \"open\" (func $open (param i32 i32 i32 i32 i32 i32 i32)))"
    "    (import \"host\" \"read\" (func $read (param i32 i64 i64 i32)))"
    "    (func (export \"read\") (param i32 i32) (result i32)"
    "      (call $directories (i32.const 16))" /* a list at 16: of a handle and a name */
    "      (call $open (i32.load (i32.load (i32.const 16))) (i32.const 0) (local.get 0) (local.get 1) (i32.const 0) (i32.const 1)"
    "        (i32.const 32))"
    "      (if (i32.load8_u (i32.const 32)) (then (unreachable)))"
    "      (call $read (i32.load (i32.const 36)) (i64.const 4096) (i64.const 0) (i32.const 48))"
    "      (if (i32.load8_u (i32.const 48)) (then (unreachable)))"
    "      (i32.const 52)))" /* where the bytes are, and how many */
    "  (core instance $i (instantiate $m (with \"libc\" (instance $libc)) (with \"host\" (instance"
    "    (export \"directories\" (func $directories)) (export \"open\" (func $open)) (export \"read\" (func $read))))))"
    "  (func (export \"read\") (param \"path\" string) (result string)"
    "    (canon lift (core func $i \"read\") (memory $memory) (realloc $realloc))))";

/* What a guest will get: the file system, and nothing else. */
static wasi_config_t *grant(const ampoule_wasi_filesystem_t *fs) {
  wasi_config_t *wasi = wasi_config_new();
  must(ampoule_wasi_config_preopen_virtual_dir(wasi, fs, "/", WASMTIME_WASI_DIR_PERMS_READ | WASMTIME_WASI_DIR_PERMS_WRITE,
                                               WASMTIME_WASI_FILE_PERMS_READ | WASMTIME_WASI_FILE_PERMS_WRITE),
       NULL);
  return wasi;
}

static void run_module(wasm_engine_t *engine, const ampoule_wasi_filesystem_t *fs) {
  wasm_byte_vec_t wasm;
  must(wasmtime_wat2wasm(shouter, sizeof shouter - 1, &wasm), NULL);
  wasmtime_module_t *module;
  must(wasmtime_module_new(engine, (const uint8_t *)wasm.data, wasm.size, &module), NULL);
  wasm_byte_vec_delete(&wasm);
  wasmtime_linker_t *linker = wasmtime_linker_new(engine);
  must(wasmtime_linker_define_wasi(linker), NULL);

  wasmtime_store_t *store = wasmtime_store_new(engine, NULL, NULL);
  wasmtime_context_t *context = wasmtime_store_context(store);
  must(wasmtime_context_set_wasi(context, grant(fs)), NULL);
  must(wasmtime_linker_module(linker, context, "", 0, module), NULL);
  wasmtime_func_t start;
  must(wasmtime_linker_get_default(linker, context, "", 0, &start), NULL);
  wasm_trap_t *trap = NULL;
  wasmtime_error_t *error = wasmtime_func_call(context, &start, NULL, 0, NULL, 0, &trap);
  must(error, trap);
  wasmtime_store_delete(store);
  wasmtime_linker_delete(linker);
  wasmtime_module_delete(module);
}

static void run_component(wasm_engine_t *engine, const ampoule_wasi_filesystem_t *fs) {
  wasmtime_component_t *component;
  must(wasmtime_component_new(engine, (const uint8_t *)reader, sizeof reader - 1, &component), NULL);
  wasmtime_component_linker_t *linker = wasmtime_component_linker_new(engine);
  must(wasmtime_component_linker_add_wasip2(linker), NULL);

  wasmtime_store_t *store = wasmtime_store_new(engine, NULL, NULL);
  wasmtime_context_t *context = wasmtime_store_context(store);
  must(wasmtime_context_set_wasi(context, grant(fs)), NULL);
  wasmtime_component_instance_t instance;
  must(wasmtime_component_linker_instantiate(linker, context, component, &instance), NULL);
  wasmtime_component_export_index_t *index = wasmtime_component_get_export_index(component, NULL, "read", 4);
  wasmtime_component_func_t read;
  if (index == NULL || !wasmtime_component_instance_get_func(&instance, context, index, &read)) exit(1);

  wasmtime_component_val_t path = {.kind = WASMTIME_COMPONENT_STRING}, text = {.kind = WASMTIME_COMPONENT_BOOL};
  wasm_name_new_from_string(&path.of.string, "shout.txt");
  must(wasmtime_component_func_call(&read, context, &path, 1, &text, 1), NULL);
  printf("the component reads: %.*s\n", (int)text.of.string.size, text.of.string.data);
  wasmtime_component_val_delete(&path);
  wasmtime_component_val_delete(&text);
  wasmtime_component_export_index_delete(index);
  wasmtime_store_delete(store);
  wasmtime_component_linker_delete(linker);
  wasmtime_component_delete(component);
}

int main(void) {
  wasm_engine_t *engine = wasm_engine_new();
  ampoule_wasi_filesystem_t fs = memory_fs_new(64 * 1024);
  memory_fs_put(&fs, "note.txt", "there is no disk");

  /* Two guests share it, one after the other: only the last table that is given away has the finalizer. */
  ampoule_wasi_filesystem_t lent = fs;
  lent.finalizer = NULL;
  run_module(engine, &lent);

  /* The host walks through the table as the library does. */
  uint64_t cursor = 0;
  for (;;) {
    ampoule_wasi_entry_t entry;
    bool end = false;
    if (fs.entry(fs.env, fs.root, cursor, &entry, &end) != AMPOULE_WASI_OK || end) break;
    printf("the file system has: %.*s\n", (int)entry.name_len, entry.name);
    cursor = entry.next;
  }
  run_component(engine, &fs);
  wasm_engine_delete(engine);
  return 0;
}
