;; Exceptions thrown and caught, near and far. Each export does `n` iterations and returns a number that depends on them all.
(module
  (tag $t (param i32))

  ;; Throws from `frames` frames down. It is called through a table that others may change, so that no compiler makes it part
  ;; of its caller.
  (type $down (func (param $frames i32) (param $value i32) (result i32)))
  (table (export "table") 1 1 funcref)
  (elem (i32.const 0) $down)
  (func $down (type $down)
    (if (i32.eqz (local.get 0)) (then (throw $t (local.get 1))))
    (i32.add (call_indirect (type $down) (i32.sub (local.get 0) (i32.const 1)) (local.get 1) (i32.const 0)) (i32.const 1)))

  (func $catch_from (param $n i32) (param $frames i32) (result i32)
    (local $sum i32)
    (loop $next
      (local.set $sum (i32.add (local.get $sum)
        (block $caught (result i32)
          (try_table (result i32) (catch $t $caught) (call_indirect (type $down) (local.get $frames) (i32.and (local.get $n) (i32.const 15)) (i32.const 0))))))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum))

  (func (export "one_function") (param $n i32) (result i32)
    (local $sum i32)
    (loop $next
      (local.set $sum (i32.add (local.get $sum)
        (block $caught (result i32)
          (try_table (result i32) (catch $t $caught) (throw $t (i32.and (local.get $n) (i32.const 15)))))))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum))

  (func (export "one_frame") (param $n i32) (result i32) (call $catch_from (local.get $n) (i32.const 0)))
  (func (export "twenty_frames") (param $n i32) (result i32) (call $catch_from (local.get $n) (i32.const 19)))

  ;; Throws at a value that never comes.
  (func $step (param $value i32) (result i32)
    (if (i32.eq (local.get $value) (i32.const -1)) (then (throw $t (call $step (i32.const 0)))))
    (i32.xor (local.get $value) (i32.const 0x5a5a)))

  ;; The same loop with a handler that is never used, and without.
  (func (export "quiet") (param $n i32) (result i32)
    (local $sum i32) (local $mix i32)
    (loop $next
      (block $caught (result i32)
        (try_table (catch $t $caught)
          (local.set $mix (i32.add (i32.rotl (local.get $mix) (i32.const 5)) (local.get $n)))
          (local.set $sum (i32.add (local.get $sum) (call $step (i32.and (local.get $mix) (i32.const 0xffff))))))
        (i32.const 0))
      (drop)
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum))

  (func (export "bare") (param $n i32) (result i32)
    (local $sum i32) (local $mix i32)
    (loop $next
      (block $caught (result i32)
        (block
          (local.set $mix (i32.add (i32.rotl (local.get $mix) (i32.const 5)) (local.get $n)))
          (local.set $sum (i32.add (local.get $sum) (call $step (i32.and (local.get $mix) (i32.const 0xffff))))))
        (i32.const 0))
      (drop)
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum)))
