;; Each function traps in its own way.
(module
  (type $nothing (func))
  (type $number (func (result i32)))
  (import "host" "fail_with_message" (func $fail_with_message))
  (import "host" "fail_with_code" (func $fail_with_code))
  (memory 1)
  (table 4 funcref)
  (elem (i32.const 1) $seven)
  (global $zero (mut i32) (i32.const 0))
  (global $sink (mut i32) (i32.const 0))
  (func $seven (type $number) (i32.const 7))

  (func $unreachable (export "unreachable") (unreachable))
  (func (export "out_of_bounds") (global.set $sink (i32.load (i32.const 0x7ffffff0))))
  (func (export "division_by_zero") (global.set $sink (i32.div_u (i32.const 1) (global.get $zero))))
  (func (export "integer_overflow") (global.set $sink (i32.div_s (i32.const 0x80000000) (i32.sub (global.get $zero) (i32.const 1)))))
  (func (export "table_out_of_bounds") (call_indirect (type $nothing) (i32.add (global.get $zero) (i32.const 9))))
  (func (export "call_null") (call_indirect (type $nothing) (global.get $zero)))
  (func (export "bad_signature") (call_indirect (type $nothing) (i32.add (global.get $zero) (i32.const 1))))
  (func (export "host_message") (call $fail_with_message))
  (func (export "host_code") (call $fail_with_code))

  (func $forever (export "stack_overflow") (call $forever) (global.set $sink (i32.const 1)))
  ;; Loops for ever: stopped by fuel or by an epoch.
  (func (export "spin") (loop $again (br $again)))

  (func $dive (param $frames i32)
    (if (local.get $frames)
      (then (call $dive (i32.sub (local.get $frames) (i32.const 1))) (global.set $sink (i32.const 2)))
      (else (call $unreachable))))
  (func (export "deep_unreachable") (call $dive (i32.const 50)))
)
