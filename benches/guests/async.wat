;; Calls that wait: at loop heads when the epoch or the fuel says so, and in a host function that is not ready.
(module
  (import "host" "later" (func $later (param i32) (result i32)))
  (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
  (func (export "forever") (loop $again (br $again)))
  (func (export "wait") (result i32) (call $later (i32.const 41)))
)
