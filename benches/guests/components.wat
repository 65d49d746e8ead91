;; What is called from the host, what calls the host, and what calls another component. Everything is given back as it came; memory for
;; arguments is always the same, since nothing is kept.
(component
  (type $point' (record (field "id" u32) (field "tag" u64) (field "x" f64) (field "y" f64)))
  (export $point "point" (type $point'))
  (import "take" (func $take (param "text" string)))

  (core module $memory
    (memory (export "memory") 4)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024)))
  (core instance $memory (instantiate $memory))
  (alias core export $memory "memory" (core memory $m))
  (alias core export $memory "realloc" (core func $realloc))
  (core func $take (canon lower (func $take) (memory $m)))

  (core module $calls
    (import "host" "take" (func $take (param i32 i32)))
    (import "memory" "memory" (memory 0))
    (data (i32.const 64) "thirty-two bytes, which is ASCII")
    (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
    ;; Of strings and lists: address and length.
    (func (export "same") (param i32 i32) (result i32)
      (i32.store (i32.const 0) (local.get 0))
      (i32.store (i32.const 4) (local.get 1))
      (i32.const 0))
    (func (export "same_point") (param i32 i64 f64 f64) (result i32)
      (i32.store (i32.const 0) (local.get 0))
      (i64.store (i32.const 8) (local.get 1))
      (f64.store (i32.const 16) (local.get 2))
      (f64.store (i32.const 24) (local.get 3))
      (i32.const 0))
    (func (export "call_host") (param $iterations i32) (result i32)
      (loop $again
        (call $take (i32.const 64) (i32.const 32))
        (br_if $again (local.tee $iterations (i32.sub (local.get $iterations) (i32.const 1)))))
      (i32.const 0)))
  (core instance $calls (instantiate $calls
    (with "host" (instance (export "take" (func $take))))
    (with "memory" (instance $memory))))

  (func (export "add") (param "a" u32) (param "b" u32) (result u32) (canon lift (core func $calls "add")))
  (func (export "string") (param "it" string) (result string)
    (canon lift (core func $calls "same") (memory $m) (realloc $realloc)))
  (func (export "record") (param "it" $point) (result $point)
    (canon lift (core func $calls "same_point") (memory $m) (realloc $realloc)))
  (func (export "bytes") (param "it" (list u8)) (result (list u8))
    (canon lift (core func $calls "same") (memory $m) (realloc $realloc)))
  (func (export "words") (param "it" (list u32)) (result (list u32))
    (canon lift (core func $calls "same") (memory $m) (realloc $realloc)))
  (func (export "records") (param "it" (list $point)) (result (list $point))
    (canon lift (core func $calls "same") (memory $m) (realloc $realloc)))
  (func (export "call-host") (param "iterations" u32) (result u32) (canon lift (core func $calls "call_host")))

  (component $adder
    (core module $m
      (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))
    (core instance $i (instantiate $m))
    (func (export "add") (param "a" u32) (param "b" u32) (result u32) (canon lift (core func $i "add"))))
  (component $caller
    (import "add" (func $add (param "a" u32) (param "b" u32) (result u32)))
    (core func $add (canon lower (func $add)))
    (core module $m
      (import "" "add" (func $add (param i32 i32) (result i32)))
      (func (export "run") (param $iterations i32) (result i32) (local $sum i32)
        (loop $again
          (local.set $sum (call $add (local.get $sum) (i32.const 3)))
          (br_if $again (local.tee $iterations (i32.sub (local.get $iterations) (i32.const 1)))))
        (local.get $sum)))
    (core instance $i (instantiate $m (with "" (instance (export "add" (func $add))))))
    (func (export "run") (param "iterations" u32) (result u32) (canon lift (core func $i "run"))))
  (instance $adder (instantiate $adder))
  (instance $caller (instantiate $caller (with "add" (func $adder "add"))))
  (export "call-component" (func $caller "run"))
)
