;; A guest with a megabyte of state, of which requests touch some or all.
(module
  (memory (export "memory") 33)
  (func (export "begin") (memory.fill (i32.const 65536) (i32.const 7) (i32.const 1048576)))

  ;; Writes a byte into each of 16 pages of 4 KiB.
  (func (export "touch_16") (call $touch (i32.const 65536)))
  ;; The same of a megabyte.
  (func (export "touch_all") (call $touch (i32.const 1048576)))
  (func $touch (param $len i32) (local $at i32)
    (loop $again
      (i32.store8 (i32.add (local.get $at) (i32.const 65536)) (i32.const 1))
      (br_if $again (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 4096))) (local.get $len)))))
)
