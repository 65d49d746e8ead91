;; An asynchronous function that is done when it is called.
(component
  (core module $m
    (import "" "return" (func $return (param i32)))
    (func (export "add") (param i32 i32) (result i32)
      (call $return (i32.add (local.get 0) (local.get 1)))
      (i32.const 0))
    (func (export "callback") (param i32 i32 i32) (result i32) unreachable))
  (core func $return (canon task.return (result u32)))
  (core instance $i (instantiate $m (with "" (instance (export "return" (func $return))))))
  (func (export "add") async (param "a" u32) (param "b" u32) (result u32)
    (canon lift (core func $i "add") async (callback (core func $i "callback"))))
)
