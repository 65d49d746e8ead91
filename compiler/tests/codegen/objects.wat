;; What casts ask, and what stores note.
(module
  (type $shape (sub (struct (field $id i32))))
  (type $polygon (sub $shape (struct (field $id i32) (field $corners i32))))
  (type $last (sub final $polygon (struct (field $id i32) (field $corners i32) (field $next (mut (ref null $last))))))

  ;; Null and 31-bit integers are no polygons; what is one has the type in its own type's display.
  (func (param anyref) (result i32)
    (ref.test (ref $polygon) (local.get 0)))

  ;; Null faults where the object's type is looked at.
  (func (param anyref) (result i32)
    (struct.get $polygon $corners (ref.cast (ref $polygon) (local.get 0))))

  ;; What is a shape is no integer, and a final type has no sub-types.
  (func (param (ref $shape)) (result i32)
    (ref.test (ref $last) (local.get 0)))

  ;; Nothing is asked.
  (func (param (ref $last)) (result i32)
    (struct.get $polygon $corners (ref.cast (ref $polygon) (local.get 0))))

  (func (param anyref) (result i32)
    (block $is (result (ref $polygon))
      (drop (br_on_cast $is anyref (ref $polygon) (local.get 0)))
      (return (i32.const 0)))
    (struct.get $polygon $corners))

  ;; The card is marked behind the store.
  (func (param (ref $last) (ref null $last))
    (struct.set $last $next (local.get 0) (local.get 1))))
