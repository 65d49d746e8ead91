;; Checked accesses of a 64-bit memory, and one of constant address.
(module
  (memory i64 1)
  (func (param i64) (result i32) (i32.load offset=8 (local.get 0)))
  (func (result i32) (i32.load offset=8 (i64.const 64)))
  (func (unreachable)))
