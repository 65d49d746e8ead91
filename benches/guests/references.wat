;; Calls of functions that the code doesn't name. Each export does `n` iterations and returns a number that depends on them all.
(module
  (type $op (func (param i32 i32) (result i32)))
  (rec
    (type $object (sub (struct (field $class (ref $class)) (field $value (mut i32)))))
    (type $class (struct (field $method (ref $method))))
    (type $method (func (param (ref $object) i32) (result i32))))
  (table $ops 4 4 funcref)
  (elem (table $ops) (i32.const 0) func $add $xor)
  (elem declare func $add $method)
  (global $index (export "index") (mut i32) (i32.const 0))
  (global $op (export "op") (mut (ref null $op)) (ref.func $add))
  (global $object (export "object") (mut (ref null $object)) (ref.null $object))
  (func $add (type $op) (i32.add (i32.rotl (local.get 0) (i32.const 5)) (local.get 1)))
  (func $xor (type $op) (i32.xor (i32.rotl (local.get 0) (i32.const 5)) (local.get 1)))
  (func $method (type $method)
    (struct.set $object $value (local.get 0)
      (i32.add (i32.rotl (struct.get $object $value (local.get 0)) (i32.const 5)) (local.get 1)))
    (struct.get $object $value (local.get 0)))

  ;; One function through a table.
  (func (export "table") (param $n i32) (result i32) (local $i i32) (local $sum i32)
    (loop $next
      (local.set $sum (call_indirect $ops (type $op) (local.get $sum) (local.get $i) (global.get $index)))
      (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
    (local.get $sum))

  ;; Two in turn.
  (func (export "two") (param $n i32) (result i32) (local $i i32) (local $sum i32)
    (loop $next
      (local.set $sum
        (call_indirect $ops (type $op) (local.get $sum) (local.get $i) (i32.and (local.get $i) (i32.const 1))))
      (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
    (local.get $sum))

  ;; One function by a reference.
  (func (export "reference") (param $n i32) (result i32) (local $i i32) (local $sum i32)
    (loop $next
      (local.set $sum (call_ref $op (local.get $sum) (local.get $i) (global.get $op)))
      (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
    (local.get $sum))

  ;; A method of an object, whose class has the reference.
  (func (export "method") (param $n i32) (result i32) (local $i i32) (local $sum i32) (local $object (ref $object))
    (global.set $object (struct.new $object (struct.new $class (ref.func $method)) (i32.const 0)))
    (loop $next
      (local.set $object (ref.as_non_null (global.get $object)))
      (local.set $sum
        (i32.add (local.get $sum)
          (call_ref $method (local.get $object) (local.get $i)
            (struct.get $class $method (struct.get $object $class (local.get $object))))))
      (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
    (local.get $sum)))
