;; Calls across the boundary, both ways, and a plain call inside for scale.
(module
  (type $pair (func (param i32 i32) (result i32)))
  (import "host" "add" (func $host_add (type $pair)))
  (import "host" "nothing" (func $host_nothing))
  (import "host" "same_func" (func $host_same_func (param funcref) (result funcref)))
  (import "host" "same_value" (func $host_same_value (param externref) (result externref)))

  (func $add (export "add") (type $pair) (i32.add (local.get 0) (local.get 1)))
  (func (export "nothing"))
  (func (export "wide") (param i64 i64 i64 i64 f64 f64 f64 f64) (result i64 f64)
    (i64.add (local.get 0) (local.get 3))
    (f64.add (local.get 4) (local.get 7)))

  (func (export "same") (param funcref) (result funcref) (local.get 0))

  (func (export "same_value") (param externref) (result externref) (local.get 0))

  ;; sum = host.add(sum, i) for each iteration.
  (func (export "call_host") (param $iterations i32) (result i32) (local $sum i32)
    (loop $again
      (local.set $sum (call $host_add (local.get $sum) (local.get $iterations)))
      (br_if $again (local.tee $iterations (i32.sub (local.get $iterations) (i32.const 1)))))
    (local.get $sum))

  (func (export "call_host_nothing") (param $iterations i32) (result i32)
    (loop $again
      (call $host_nothing)
      (br_if $again (local.tee $iterations (i32.sub (local.get $iterations) (i32.const 1)))))
    (i32.const 0))

  (func (export "call_host_funcref") (param $iterations i32) (result i32) (local $func funcref)
    (local.set $func (ref.func $add))
    (loop $again
      (local.set $func (call $host_same_func (local.get $func)))
      (br_if $again (local.tee $iterations (i32.sub (local.get $iterations) (i32.const 1)))))
    (ref.is_null (local.get $func)))

  (func (export "call_host_externref") (param $iterations i32) (result i32)
    (loop $again
      (drop (call $host_same_value (global.get $value)))
      (br_if $again (local.tee $iterations (i32.sub (local.get $iterations) (i32.const 1)))))
    (ref.is_null (global.get $value)))

  (global $value (export "value") (mut externref) (ref.null extern))
  (elem declare func $add)
)
