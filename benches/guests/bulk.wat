;; Loops of bulk memory operations; the length comes from outside, so that no compiler knows it.
(module
  (memory 4)
  (func (export "copy") (param $iterations i32) (param $length i32)
    (loop $again
      (memory.copy (i32.const 65536) (i32.const 1024) (local.get $length))
      (br_if $again (local.tee $iterations (i32.sub (local.get $iterations) (i32.const 1))))))
  (func (export "fill") (param $iterations i32) (param $length i32)
    (loop $again
      (memory.fill (i32.const 65536) (local.get $iterations) (local.get $length))
      (br_if $again (local.tee $iterations (i32.sub (local.get $iterations) (i32.const 1))))))
  (func (export "copy_16") (param $iterations i32) (param i32)
    (loop $again
      (memory.copy (i32.const 65536) (i32.const 1024) (i32.const 16))
      (br_if $again (local.tee $iterations (i32.sub (local.get $iterations) (i32.const 1))))))
  (func (export "grow") (param $iterations i32) (param i32)
    (loop $again
      (drop (memory.grow (i32.const 0)))
      (br_if $again (local.tee $iterations (i32.sub (local.get $iterations) (i32.const 1))))))
)
