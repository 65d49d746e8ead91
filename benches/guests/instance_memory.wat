;; A memory, a table and a global, as compilers of C make them.
(module
  (memory (export "memory") 17)
  (table 2 funcref)
  (global $stack (mut i32) (i32.const 1048576))
  (elem (i32.const 1) $run)
  (data (i32.const 1024) "hello")
  (func $run (export "run") (result i32) (i32.const 42))

  ;; Writes a byte into each of 16 pages of 4 KiB.
  (func (export "touch") (local $at i32)
    (loop $again
      (i32.store8 (i32.add (local.get $at) (i32.const 65536)) (i32.const 1))
      (br_if $again (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 4096))) (i32.const 65536)))))
)
