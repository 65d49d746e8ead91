;; Does what its first argument says, and tells what came of it.
(module
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $args_sizes (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_sizes_get" (func $env_sizes (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_get" (func $env (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_prestat_get" (func $prestat (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_prestat_dir_name" (func $dir_name (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open" (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 4)
  ;; 0: results; 64: iovec; 128: a subscription, 192: an event; 256: how often it was started, and a number of that start; 1024: numbers; 4096: pointers to arguments; 8192: arguments; 65536: bytes.

  (func $print (param $at i32) (param $len i32)
    (i32.store (i32.const 64) (local.get $at))
    (i32.store (i32.const 68) (local.get $len))
    (drop (call $fd_write (i32.const 1) (i32.const 64) (i32.const 1) (i32.const 0))))
  (func $print_number (param $n i32) (local $at i32)
    (local.set $at (i32.const 1055))
    (i32.store8 (local.get $at) (i32.const 10))
    (loop $digit
      (local.set $at (i32.sub (local.get $at) (i32.const 1)))
      (i32.store8 (local.get $at) (i32.add (i32.const 48) (i32.rem_u (local.get $n) (i32.const 10))))
      (br_if $digit (local.tee $n (i32.div_u (local.get $n) (i32.const 10)))))
    (call $print (local.get $at) (i32.sub (i32.const 1056) (local.get $at))))
  ;; Strings with a NUL behind each, as lines.
  (func $print_strings (param $at i32) (param $len i32) (local $i i32)
    (block $done (loop $next
      (br_if $done (i32.ge_u (local.get $i) (local.get $len)))
      (if (i32.eqz (i32.load8_u (i32.add (local.get $at) (local.get $i))))
        (then (i32.store8 (i32.add (local.get $at) (local.get $i)) (i32.const 10))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br $next)))
    (call $print (local.get $at) (local.get $len)))
  (func $argument (param $index i32) (result i32)
    (i32.load (i32.add (i32.const 4096) (i32.shl (local.get $index) (i32.const 2)))))
  (func $len (param $at i32) (result i32) (local $end i32)
    (local.set $end (local.get $at))
    (loop $next
      (if (i32.load8_u (local.get $end))
        (then (local.set $end (i32.add (local.get $end) (i32.const 1))) (br $next))))
    (i32.sub (local.get $end) (local.get $at)))
  (func $number (param $at i32) (result i32) (local $n i32)
    (loop $next
      (if (i32.load8_u (local.get $at))
        (then
          (local.set $n (i32.add (i32.mul (local.get $n) (i32.const 10)) (i32.sub (i32.load8_u (local.get $at)) (i32.const 48))))
          (local.set $at (i32.add (local.get $at) (i32.const 1)))
          (br $next))))
    (local.get $n))
  ;; The preopened directory of this name.
  (func $find (param $name i32) (result i32) (local $fd i32) (local $i i32)
    (local.set $fd (i32.const 2))
    (loop $next
      (local.set $fd (i32.add (local.get $fd) (i32.const 1)))
      (if (call $prestat (local.get $fd) (i32.const 0)) (then (call $exit (i32.const 99))))
      (br_if $next (i32.ne (i32.load (i32.const 4)) (call $len (local.get $name))))
      (drop (call $dir_name (local.get $fd) (i32.const 65536) (i32.load (i32.const 4))))
      (local.set $i (i32.const 0))
      (loop $byte
        (if (i32.lt_u (local.get $i) (i32.load (i32.const 4)))
          (then
            (br_if $next (i32.ne
              (i32.load8_u (i32.add (local.get $name) (local.get $i)))
              (i32.load8_u (i32.add (i32.const 65536) (local.get $i)))))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br $byte)))))
    (local.get $fd))
  ;; Opens the file of the third argument in the directory of the second, or ends with the number of the error.
  (func $open (param $flags i32) (param $rights i64) (result i32) (local $error i32)
    (local.set $error (call $path_open (call $find (call $argument (i32.const 2))) (i32.const 1)
      (call $argument (i32.const 3)) (call $len (call $argument (i32.const 3)))
      (local.get $flags) (local.get $rights) (i64.const 0) (i32.const 0) (i32.const 8)))
    (if (local.get $error) (then (call $exit (local.get $error))))
    (i32.load (i32.const 8)))
  (func $copy (param $from i32)
    (loop $more
      (i32.store (i32.const 64) (i32.const 65536))
      (i32.store (i32.const 68) (i32.const 4096))
      (if (i32.eqz (call $fd_read (local.get $from) (i32.const 64) (i32.const 1) (i32.const 0)))
        (then (if (i32.load (i32.const 0))
          (then (call $print (i32.const 65536) (i32.load (i32.const 0))) (br $more)))))))
  (func $sleep (param $seconds i32)
    (i32.store8 (i32.const 136) (i32.const 0))
    (i32.store (i32.const 144) (i32.const 1))
    (i64.store (i32.const 152) (i64.mul (i64.extend_i32_u (local.get $seconds)) (i64.const 1000000000)))
    (drop (call $poll (i32.const 128) (i32.const 192) (i32.const 1) (i32.const 0))))

  (func (export "wizer.initialize")
    (i32.store (i32.const 256) (i32.add (i32.load (i32.const 256)) (i32.const 1)))
    (drop (call $random (i32.const 260) (i32.const 4))))
  (func (export "fail") unreachable)

  (func (export "_start") (local $what i32) (local $fd i32)
    (drop (call $args_sizes (i32.const 0) (i32.const 4)))
    (drop (call $args (i32.const 4096) (i32.const 8192)))
    (local.set $what (i32.load8_u (call $argument (i32.const 1))))
    ;; arguments
    (if (i32.eq (local.get $what) (i32.const 97)) (then
      (call $print_strings (i32.const 8192) (i32.load (i32.const 4)))
      (return)))
    ;; environment
    (if (i32.eq (local.get $what) (i32.const 101)) (then
      (drop (call $env_sizes (i32.const 0) (i32.const 4)))
      (drop (call $env (i32.const 65536) (i32.const 131072)))
      (call $print_strings (i32.const 131072) (i32.load (i32.const 4)))
      (return)))
    ;; once: how often it was started
    (if (i32.eq (local.get $what) (i32.const 111)) (then
      (call $print_number (i32.load (i32.const 256)))
      (call $print_number (i32.load (i32.const 260)))
      (return)))
    ;; x: exit
    (if (i32.eq (local.get $what) (i32.const 120)) (then (call $exit (call $number (call $argument (i32.const 2))))))
    ;; trap
    (if (i32.eq (local.get $what) (i32.const 116)) (then (unreachable)))
    ;; loop
    (if (i32.eq (local.get $what) (i32.const 108)) (then
      (call $print (i32.add (call $argument (i32.const 1)) (i32.const 0)) (i32.const 1))
      (loop $forever (br $forever))))
    ;; sleep
    (if (i32.eq (local.get $what) (i32.const 115)) (then
      (call $print (call $argument (i32.const 1)) (i32.const 1))
      (call $sleep (call $number (call $argument (i32.const 2))))
      (call $exit (i32.const 7))))
    ;; input
    (if (i32.eq (local.get $what) (i32.const 105)) (then (call $copy (i32.const 0)) (return)))
    ;; read
    (if (i32.eq (local.get $what) (i32.const 114)) (then
      (call $copy (call $open (i32.const 0) (i64.const 0x2)))
      (return)))
    ;; write
    (if (i32.eq (local.get $what) (i32.const 119)) (then
      (local.set $fd (call $open (i32.const 1) (i64.const 0x42)))
      (i32.store (i32.const 64) (call $argument (i32.const 1)))
      (i32.store (i32.const 68) (i32.const 1))
      (call $exit (call $fd_write (local.get $fd) (i32.const 64) (i32.const 1) (i32.const 0)))))
    ;; grow: MiB after MiB, all of it written, until there is no more
    (if (i32.eq (local.get $what) (i32.const 103)) (then
      (block $refused (loop $more
        (br_if $refused (i32.lt_s (local.tee $fd (memory.grow (i32.const 16))) (i32.const 0)))
        (memory.fill (i32.shl (local.get $fd) (i32.const 16)) (i32.const 1) (i32.const 1048576))
        (br $more)))
      (call $print_number (i32.shr_u (memory.size) (i32.const 4)))
      (return)))
    (call $exit (i32.const 98)))
)
