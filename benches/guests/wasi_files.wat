;; WASI preview 1 file calls in loops. The directory of descriptor 3 holds `data`, 4 MiB long.
;; Each loop returns 0, or an errno plus one; 1000 means a short read or write, or another offset than asked for.
(module
  (import "wasi_snapshot_preview1" "path_open" (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func $fd_close (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_seek" (func $fd_seek (param i32 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_filestat_get" (func $fd_filestat_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_filestat_get" (func $path_filestat_get (param i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "clock_time_get" (func $clock_time_get (param i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))
  (memory (export "memory") 2)
  ;; 0: the path. 16: an iovec of 4 KiB at 8192. 32: results.
  (data (i32.const 0) "data")
  (data (i32.const 16) "\00\20\00\00\00\10\00\00")
  (global $file (mut i32) (i32.const -1))
  (global $calls (mut i32) (i32.const 0))

  ;; fd_read, fd_seek, fd_write, fd_filestat_get
  (func $open (result i32)
    (call $path_open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 4) (i32.const 0)
      (i64.const 0x200046) (i64.const 0) (i32.const 0) (i32.const 32)))

  (func (export "_start"))
  (func (export "prepare") (result i32) (local $errno i32)
    (if (local.tee $errno (call $open)) (then (return (i32.add (local.get $errno) (i32.const 1)))))
    (global.set $file (i32.load (i32.const 32)))
    (i32.const 0))

  ;; Back to the start of the file after 1024 calls.
  (func $rewind (result i32)
    (global.set $calls (i32.and (i32.add (global.get $calls) (i32.const 1)) (i32.const 1023)))
    (if (global.get $calls) (then (return (i32.const 0))))
    (call $fd_seek (global.get $file) (i64.const 0) (i32.const 0) (i32.const 40)))

  (func (export "fd_read") (param $iterations i32) (result i32) (local $errno i32)
    (loop $again
      (if (local.tee $errno (call $fd_read (global.get $file) (i32.const 16) (i32.const 1) (i32.const 32)))
        (then (return (i32.add (local.get $errno) (i32.const 1)))))
      (if (i32.ne (i32.load (i32.const 32)) (i32.const 4096)) (then (return (i32.const 1000))))
      (if (local.tee $errno (call $rewind)) (then (return (i32.add (local.get $errno) (i32.const 1)))))
      (br_if $again (local.tee $iterations (i32.sub (local.get $iterations) (i32.const 1)))))
    (i32.const 0))

  (func (export "fd_write") (param $iterations i32) (result i32) (local $errno i32)
    (loop $again
      (if (local.tee $errno (call $fd_write (global.get $file) (i32.const 16) (i32.const 1) (i32.const 32)))
        (then (return (i32.add (local.get $errno) (i32.const 1)))))
      (if (i32.ne (i32.load (i32.const 32)) (i32.const 4096)) (then (return (i32.const 1000))))
      (if (local.tee $errno (call $rewind)) (then (return (i32.add (local.get $errno) (i32.const 1)))))
      (br_if $again (local.tee $iterations (i32.sub (local.get $iterations) (i32.const 1)))))
    (i32.const 0))

  (func (export "path_open") (param $iterations i32) (result i32) (local $errno i32)
    (loop $again
      (if (local.tee $errno (call $open)) (then (return (i32.add (local.get $errno) (i32.const 1)))))
      (if (local.tee $errno (call $fd_close (i32.load (i32.const 32))))
        (then (return (i32.add (local.get $errno) (i32.const 1)))))
      (br_if $again (local.tee $iterations (i32.sub (local.get $iterations) (i32.const 1)))))
    (i32.const 0))

  (func (export "path_filestat") (param $iterations i32) (result i32) (local $errno i32)
    (loop $again
      (if (local.tee $errno (call $path_filestat_get (i32.const 3) (i32.const 1) (i32.const 0) (i32.const 4) (i32.const 64)))
        (then (return (i32.add (local.get $errno) (i32.const 1)))))
      (br_if $again (local.tee $iterations (i32.sub (local.get $iterations) (i32.const 1)))))
    (i32.const 0))

  (func (export "fd_filestat") (param $iterations i32) (result i32) (local $errno i32)
    (loop $again
      (if (local.tee $errno (call $fd_filestat_get (global.get $file) (i32.const 64)))
        (then (return (i32.add (local.get $errno) (i32.const 1)))))
      (br_if $again (local.tee $iterations (i32.sub (local.get $iterations) (i32.const 1)))))
    (i32.const 0))

  (func (export "fd_seek") (param $iterations i32) (result i32) (local $errno i32)
    (loop $again
      (if (local.tee $errno (call $fd_seek (global.get $file) (i64.extend_i32_u (local.get $iterations)) (i32.const 0) (i32.const 40)))
        (then (return (i32.add (local.get $errno) (i32.const 1)))))
      (if (i64.ne (i64.load (i32.const 40)) (i64.extend_i32_u (local.get $iterations))) (then (return (i32.const 1000))))
      (br_if $again (local.tee $iterations (i32.sub (local.get $iterations) (i32.const 1)))))
    (i32.const 0))

  (func (export "clock") (param $iterations i32) (result i32) (local $errno i32)
    (loop $again
      (if (local.tee $errno (call $clock_time_get (i32.const 1) (i64.const 1) (i32.const 64)))
        (then (return (i32.add (local.get $errno) (i32.const 1)))))
      (br_if $again (local.tee $iterations (i32.sub (local.get $iterations) (i32.const 1)))))
    (i32.const 0))

  (func (export "random") (param $iterations i32) (result i32) (local $errno i32)
    (loop $again
      (if (local.tee $errno (call $random_get (i32.const 64) (i32.const 16)))
        (then (return (i32.add (local.get $errno) (i32.const 1)))))
      (br_if $again (local.tee $iterations (i32.sub (local.get $iterations) (i32.const 1)))))
    (i32.const 0))
)
