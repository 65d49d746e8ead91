;; Calls of each kind: own function that is inlined, own function that isn't for its loop, import, table.
(module
  (type $binary (func (param i32 i32) (result i32)))
  (import "host" "f" (func $import (type $binary)))
  (table 8 8 funcref)
  (global $counter (mut i32) (i32.const 0))
  (func $own (type $binary) (i32.add (local.get 0) (local.get 1)))
  (func (type $binary) (call $own (call $own (local.get 0) (local.get 1)) (i32.const 7)))
  (func $looping (type $binary) (loop (br_if 0 (local.get 0))) (local.get 1))
  (func (type $binary) (call $looping (local.get 0) (i32.const 7)))
  (func (type $binary) (call $import (local.get 0) (local.get 1)))
  (func (type $binary) (call_indirect (type $binary) (local.get 0) (local.get 1) (local.get 0)))
  (func (global.set $counter (i32.add (global.get $counter) (i32.const 1)))))
