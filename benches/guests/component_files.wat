;; WASI 0.2 file calls in loops. The first directory holds `data`, 4 MiB long. Zero is success; 1000 means a short read.
(component
  (import "wasi:filesystem/types@0.2.0" (instance $types
    (export "descriptor" (type $descriptor (sub resource)))
    (type $error-code' (enum
      "access" "would-block" "already" "bad-descriptor" "busy" "deadlock" "quota" "exist" "file-too-large"
      "illegal-byte-sequence" "in-progress" "interrupted" "invalid" "io" "is-directory" "loop" "too-many-links"
      "message-size" "name-too-long" "no-device" "no-entry" "no-lock" "insufficient-memory" "insufficient-space"
      "not-directory" "not-empty" "not-recoverable" "unsupported" "no-tty" "no-such-device" "overflow"
      "not-permitted" "pipe" "read-only" "invalid-seek" "text-file-busy" "cross-device"))
    (export "error-code" (type $error-code (eq $error-code')))
    (type $path-flags' (flags "symlink-follow"))
    (export "path-flags" (type $path-flags (eq $path-flags')))
    (type $open-flags' (flags "create" "directory" "exclusive" "truncate"))
    (export "open-flags" (type $open-flags (eq $open-flags')))
    (type $descriptor-flags' (flags
      "read" "write" "file-integrity-sync" "data-integrity-sync" "requested-write-sync" "mutate-directory"))
    (export "descriptor-flags" (type $descriptor-flags (eq $descriptor-flags')))
    (export "[method]descriptor.open-at" (func
      (param "self" (borrow $descriptor)) (param "path-flags" $path-flags) (param "path" string)
      (param "open-flags" $open-flags) (param "flags" $descriptor-flags)
      (result (result (own $descriptor) (error $error-code)))))
    (export "[method]descriptor.read" (func
      (param "self" (borrow $descriptor)) (param "length" u64) (param "offset" u64)
      (result (result (tuple (list u8) bool) (error $error-code)))))))
  (alias export $types "descriptor" (type $descriptor))
  (import "wasi:filesystem/preopens@0.2.0" (instance $preopens
    (alias outer 1 $descriptor (type $outer))
    (export "descriptor" (type $descriptor (eq $outer)))
    (export "get-directories" (func (result (list (tuple (own $descriptor) string)))))))

  (core module $memory
    (memory (export "memory") 4)
    ;; The list of directories is aligned to 4, and goes to 1024; paths and what is read to 65536.
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (select (i32.const 1024) (i32.const 65536) (i32.eq (local.get 2) (i32.const 4)))))
  (core instance $memory (instantiate $memory))
  (alias core export $memory "memory" (core memory $m))
  (alias core export $memory "realloc" (core func $realloc))
  (core func $directories (canon lower (func $preopens "get-directories") (memory $m) (realloc $realloc)))
  (core func $open (canon lower (func $types "[method]descriptor.open-at") (memory $m) (realloc $realloc)))
  (core func $read (canon lower (func $types "[method]descriptor.read") (memory $m) (realloc $realloc)))

  (core module $files
    (import "wasi" "directories" (func $directories (param i32)))
    (import "wasi" "open" (func $open (param i32 i32 i32 i32 i32 i32 i32)))
    (import "wasi" "read" (func $read (param i32 i64 i64 i32)))
    (import "memory" "memory" (memory 0))
    (data (i32.const 16) "data")
    (global $file (mut i32) (i32.const 0))
    (global $offset (mut i64) (i64.const 0))
    ;; What a call says when it fails: the error's number, plus one.
    (func $failure (result i32) (i32.add (i32.load8_u (i32.const 36)) (i32.const 1)))
    (func (export "prepare") (result i32)
      (call $directories (i32.const 32))
      (call $open (i32.load (i32.load (i32.const 32))) (i32.const 0) (i32.const 16) (i32.const 4) (i32.const 0) (i32.const 1)
        (i32.const 32))
      (if (i32.load8_u (i32.const 32)) (then (return (call $failure))))
      (global.set $file (i32.load (i32.const 36)))
      (i32.const 0))
    (func (export "read") (param $iterations i32) (result i32)
      (loop $again
        (call $read (global.get $file) (i64.const 4096) (global.get $offset) (i32.const 32))
        (if (i32.load8_u (i32.const 32)) (then (return (call $failure))))
        (if (i32.ne (i32.load (i32.const 40)) (i32.const 4096)) (then (return (i32.const 1000))))
        (global.set $offset (i64.and (i64.add (global.get $offset) (i64.const 4096)) (i64.const 0x3fffff)))
        (br_if $again (local.tee $iterations (i32.sub (local.get $iterations) (i32.const 1)))))
      (i32.const 0)))
  (core instance $files (instantiate $files
    (with "wasi" (instance
      (export "directories" (func $directories)) (export "open" (func $open)) (export "read" (func $read))))
    (with "memory" (instance $memory))))
  (func (export "prepare") (result u32) (canon lift (core func $files "prepare")))
  (func (export "read") (param "iterations" u32) (result u32) (canon lift (core func $files "read")))
)
