;; One loop, which is all that the program is: nothing is called that could be compiled better meanwhile.
(module
  (memory 1)
  (func (export "run") (param $n i32) (result i64) (local $x i64) (local $at i32)
    (local.set $x (i64.const 1))
    (loop $next
      (local.set $at (i32.and (i32.wrap_i64 (i64.shr_u (local.get $x) (i64.const 40))) (i32.const 0xfff8)))
      (i64.store (local.get $at) (i64.add (i64.load (local.get $at)) (local.get $x)))
      (local.set $x (i64.add (i64.mul (local.get $x) (i64.const 6364136223846793005)) (i64.const 1442695040888963407)))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (i64.add (local.get $x) (i64.load (i32.const 8)))))
