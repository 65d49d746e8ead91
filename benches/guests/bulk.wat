;; Loops of bulk memory operations; the length comes from outside, so that no compiler knows it.
(module
  (memory 4)
  (func (export "copy") (param $turns i32) (param $length i32)
    (loop $again
      (memory.copy (i32.const 65536) (i32.const 1024) (local.get $length))
      (br_if $again (local.tee $turns (i32.sub (local.get $turns) (i32.const 1))))))
  (func (export "fill") (param $turns i32) (param $length i32)
    (loop $again
      (memory.fill (i32.const 65536) (local.get $turns) (local.get $length))
      (br_if $again (local.tee $turns (i32.sub (local.get $turns) (i32.const 1))))))
  (func (export "copy_16") (param $turns i32) (param i32)
    (loop $again
      (memory.copy (i32.const 65536) (i32.const 1024) (i32.const 16))
      (br_if $again (local.tee $turns (i32.sub (local.get $turns) (i32.const 1))))))
  (func (export "grow") (param $turns i32) (param i32)
    (loop $again
      (drop (memory.grow (i32.const 0)))
      (br_if $again (local.tee $turns (i32.sub (local.get $turns) (i32.const 1))))))
)
