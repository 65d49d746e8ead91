;; Calls across the boundary, both ways, and a plain call inside for scale.
(module
  (type $pair (func (param i32 i32) (result i32)))
  (import "host" "add" (func $host_add (type $pair)))
  (import "host" "nothing" (func $host_nothing))

  (func $add (export "add") (type $pair) (i32.add (local.get 0) (local.get 1)))
  (func (export "nothing"))
  (func (export "wide") (param i64 i64 i64 i64 f64 f64 f64 f64) (result i64 f64)
    (i64.add (local.get 0) (local.get 3))
    (f64.add (local.get 4) (local.get 7)))

  (func (export "same") (param funcref) (result funcref) (local.get 0))

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
)
