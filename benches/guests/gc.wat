;; Programs over garbage-collected objects. Each export does `n` iterations and returns a number that depends on them all.
(module
  (type $pair (struct (field i32) (field i32)))
  (type $bytes (array (mut i8)))
  (global $escaped (mut (ref null $pair)) (ref.null $pair))
  (global $escaped_bytes (mut (ref null $bytes)) (ref.null $bytes))

  ;; One struct of two fields, which the next one replaces.
  (func (export "struct_new") (param $n i32) (result i32)
    (local $i i32)
    (loop $next
      (global.set $escaped (struct.new $pair (local.get $i) (i32.mul (local.get $i) (i32.const 3))))
      (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
    (i32.add (struct.get $pair 0 (global.get $escaped)) (struct.get $pair 1 (global.get $escaped))))

  ;; One array of 64 bytes, which the next one replaces.
  (func (export "array_new") (param $n i32) (result i32)
    (local $i i32)
    (loop $next
      (global.set $escaped_bytes (array.new_default $bytes (i32.const 64)))
      (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
    (i32.add (array.len (global.get $escaped_bytes)) (array.get_u $bytes (global.get $escaped_bytes) (i32.const 63))))

  ;; --- Objects that stay in a function, as far as its small callees are put in their place ---

  (type $complex (struct (field $re f64) (field $im f64)))
  (type $range (struct (field $at (mut i32)) (field $end i32)))

  (func $add (param $a (ref $complex)) (param $b (ref $complex)) (result (ref $complex))
    (struct.new $complex
      (f64.add (struct.get $complex $re (local.get $a)) (struct.get $complex $re (local.get $b)))
      (f64.add (struct.get $complex $im (local.get $a)) (struct.get $complex $im (local.get $b)))))

  ;; A sum of complex numbers: two objects in each iteration.
  (func (export "local") (param $n i32) (result i32)
    (local $i i32) (local $sum (ref $complex))
    (local.set $sum (struct.new $complex (f64.const 0) (f64.const 0)))
    (loop $next
      (local.set $sum
        (call $add (local.get $sum) (struct.new $complex (f64.const 1) (f64.convert_i32_s (local.get $i)))))
      (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
    (i32.wrap_i64 (i64.trunc_sat_f64_s
      (f64.add (struct.get $complex $re (local.get $sum)) (struct.get $complex $im (local.get $sum))))))

  (func $has_next (param $range (ref $range)) (result i32)
    (i32.lt_u (struct.get $range $at (local.get $range)) (struct.get $range $end (local.get $range))))
  (func $next (param $range (ref $range)) (result i32)
    (struct.set $range $at (local.get $range) (i32.add (struct.get $range $at (local.get $range)) (i32.const 1)))
    (struct.get $range $at (local.get $range)))

  ;; An iterator over ten numbers in each iteration.
  (func (export "iterator") (param $n i32) (result i32)
    (local $sum i32) (local $range (ref null $range))
    (loop $again
      (local.set $range (struct.new $range (local.get $n) (i32.add (local.get $n) (i32.const 10))))
      (loop $next
        (local.set $sum (i32.xor (i32.rotl (local.get $sum) (i32.const 1))
          (call $next (ref.as_non_null (local.get $range)))))
        (br_if $next (call $has_next (ref.as_non_null (local.get $range)))))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum))

  ;; --- Casts ---

  ;; Shapes, all of them open. What is asked for is whether one is a polygon, and as usual with such questions none is that
  ;; and no more: squares are two steps below it, circles beside it.
  (type $shape (sub (struct (field $id i32))))
  (type $polygon (sub $shape (struct (field $id i32) (field $corners i32))))
  (type $rectangle (sub $polygon (struct (field $id i32) (field $corners i32) (field $width i32))))
  (type $square (sub $rectangle (struct (field $id i32) (field $corners i32) (field $width i32) (field $name i64))))
  (type $triangle (sub $polygon (struct (field $id i32) (field $corners i32) (field $angle f32))))
  (type $circle (sub $shape (struct (field $id i32) (field $radius f64))))

  ;; Four references take turns, so that no test is the same as the one before it.
  (func (export "ref_test") (param $n i32) (result i32)
    (local $a anyref) (local $b anyref) (local $c anyref) (local $d anyref) (local $first anyref) (local $hits i32)
    (local.set $a (struct.new $square (i32.const 1) (i32.const 4) (i32.const 2) (i64.const 0)))
    (local.set $b (struct.new $circle (i32.const 2) (f64.const 1)))
    (local.set $c (struct.new $rectangle (i32.const 3) (i32.const 4) (i32.const 2)))
    (local.set $d (struct.new $triangle (i32.const 4) (i32.const 3) (f32.const 1)))
    (loop $next
      (local.set $hits (i32.add (local.get $hits) (ref.test (ref $polygon) (local.get $a))))
      (local.set $first (local.get $a))
      (local.set $a (local.get $b))
      (local.set $b (local.get $c))
      (local.set $c (local.get $d))
      (local.set $d (local.get $first))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $hits))

  (func (export "ref_cast") (param $n i32) (result i32)
    (local $a anyref) (local $b anyref) (local $c anyref) (local $first anyref) (local $sum i32)
    (local.set $a (struct.new $square (i32.const 1) (i32.const 4) (i32.const 2) (i64.const 0)))
    (local.set $b (struct.new $rectangle (i32.const 2) (i32.const 40) (i32.const 2)))
    (local.set $c (struct.new $triangle (i32.const 3) (i32.const 500) (f32.const 1)))
    (loop $next
      (local.set $sum (i32.add (local.get $sum)
        (struct.get $polygon $corners (ref.cast (ref $polygon) (local.get $a)))))
      (local.set $first (local.get $a))
      (local.set $a (local.get $b))
      (local.set $b (local.get $c))
      (local.set $c (local.get $first))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum))

  ;; --- Trees ---

  (type $tree (struct (field $left (mut (ref null $tree))) (field $right (mut (ref null $tree))) (field $value i32)))

  (func $grow (param $depth i32) (param $value i32) (result (ref $tree))
    (if (i32.eqz (local.get $depth))
      (then (return (struct.new $tree (ref.null $tree) (ref.null $tree) (local.get $value)))))
    (struct.new $tree
      (call $grow (i32.sub (local.get $depth) (i32.const 1)) (i32.shl (local.get $value) (i32.const 1)))
      (call $grow (i32.sub (local.get $depth) (i32.const 1)) (i32.add (i32.shl (local.get $value) (i32.const 1)) (i32.const 1)))
      (local.get $value)))

  (func $sum (param $tree (ref null $tree)) (result i32)
    (if (ref.is_null (local.get $tree)) (then (return (i32.const 0))))
    (i32.add (struct.get $tree $value (local.get $tree))
      (i32.add (call $sum (struct.get $tree $left (local.get $tree))) (call $sum (struct.get $tree $right (local.get $tree))))))

  ;; Each iteration builds a tree of 511 nodes, sums it up and forgets it.
  (func (export "binary_trees") (param $n i32) (result i32)
    (local $sum i32)
    (loop $next
      (local.set $sum (i32.add (local.get $sum) (call $sum (call $grow (i32.const 8) (i32.const 1)))))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum))

  (global $forest (mut (ref null $tree)) (ref.null $tree))
  (global $walked (mut (ref null $tree)) (ref.null $tree))

  ;; Makes what stays alive: a tree of a million nodes, and one of 4095.
  (func (export "plant") (param $depth i32) (result i32)
    (global.set $forest (call $grow (local.get $depth) (i32.const 1)))
    (global.set $walked (call $grow (i32.const 11) (i32.const 1)))
    (i32.const 0))

  ;; Each iteration visits the 4095 nodes.
  (func (export "walk") (param $n i32) (result i32)
    (local $sum i32)
    (loop $next
      (local.set $sum (i32.add (local.get $sum) (call $sum (global.get $walked))))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum))

  ;; Objects that lived for a while: three nodes in turn, each swaps its children.
  (func (export "field_store") (param $n i32) (result i32)
    (local $a (ref null $tree)) (local $b (ref null $tree)) (local $c (ref null $tree)) (local $first (ref null $tree))
    (local.set $a (global.get $walked))
    (local.set $b (struct.get $tree $left (local.get $a)))
    (local.set $c (struct.get $tree $right (local.get $a)))
    (loop $next
      (local.set $first (struct.get $tree $left (local.get $a)))
      (struct.set $tree $left (local.get $a) (struct.get $tree $right (local.get $a)))
      (struct.set $tree $right (local.get $a) (local.get $first))
      (local.set $first (local.get $a))
      (local.set $a (local.get $b))
      (local.set $b (local.get $c))
      (local.set $c (local.get $first))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (i32.add (i32.mul (i32.const 10000) (struct.get $tree $value (struct.get $tree $left (local.get $a))))
      (struct.get $tree $value (struct.get $tree $right (local.get $c)))))

  ;; The same with references that are at hand: each node refers to the next.
  (func (export "field_store_local") (param $n i32) (result i32)
    (local $a (ref null $tree)) (local $b (ref null $tree)) (local $c (ref null $tree)) (local $first (ref null $tree))
    (local.set $a (global.get $walked))
    (local.set $b (struct.get $tree $left (local.get $a)))
    (local.set $c (struct.get $tree $right (local.get $a)))
    (loop $next
      (struct.set $tree $left (local.get $a) (local.get $b))
      (local.set $first (local.get $a))
      (local.set $a (local.get $b))
      (local.set $b (local.get $c))
      (local.set $c (local.get $first))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (i32.add (i32.mul (i32.const 10000) (struct.get $tree $value (struct.get $tree $left (local.get $a))))
      (struct.get $tree $value (struct.get $tree $left (local.get $c)))))

  ;; --- A splay tree ---

  (type $payload (array (mut i32)))
  (type $node (struct (field $key i32) (field $left (mut (ref null $node))) (field $right (mut (ref null $node)))
    (field $payload (ref $payload))))
  (global $root (mut (ref null $node)) (ref.null $node))
  (global $size (mut i32) (i32.const 0))
  (global $seed (mut i32) (i32.const 49734321))

  (func $random (result i32)
    (global.set $seed (i32.add (i32.mul (global.get $seed) (i32.const 1103515245)) (i32.const 12345)))
    (i32.and (i32.shr_u (global.get $seed) (i32.const 8)) (i32.const 0x3fffff)))

  ;; Brings the node with the key, or one next to where it would be, to the root: top-down, as Sleator and Tarjan describe.
  (func $splay (param $key i32)
    (local $top (ref null $node)) (local $near (ref null $node)) (local $header (ref null $node))
    (local $less (ref null $node)) (local $greater (ref null $node))
    (if (ref.is_null (global.get $root)) (then (return)))
    (local.set $header (struct.new $node (i32.const 0) (ref.null $node) (ref.null $node) (array.new_fixed $payload 0)))
    (local.set $less (local.get $header))
    (local.set $greater (local.get $header))
    (local.set $top (global.get $root))
    (block $found
      (loop $down
        (if (i32.lt_s (local.get $key) (struct.get $node $key (local.get $top)))
          (then
            (local.set $near (struct.get $node $left (local.get $top)))
            (br_if $found (ref.is_null (local.get $near)))
            (if (i32.lt_s (local.get $key) (struct.get $node $key (local.get $near)))
              (then ;; rotate right
                (struct.set $node $left (local.get $top) (struct.get $node $right (local.get $near)))
                (struct.set $node $right (local.get $near) (local.get $top))
                (local.set $top (local.get $near))
                (br_if $found (ref.is_null (struct.get $node $left (local.get $top))))))
            (struct.set $node $left (local.get $greater) (local.get $top)) ;; link right
            (local.set $greater (local.get $top))
            (local.set $top (struct.get $node $left (local.get $top)))
            (br $down)))
        (if (i32.gt_s (local.get $key) (struct.get $node $key (local.get $top)))
          (then
            (local.set $near (struct.get $node $right (local.get $top)))
            (br_if $found (ref.is_null (local.get $near)))
            (if (i32.gt_s (local.get $key) (struct.get $node $key (local.get $near)))
              (then ;; rotate left
                (struct.set $node $right (local.get $top) (struct.get $node $left (local.get $near)))
                (struct.set $node $left (local.get $near) (local.get $top))
                (local.set $top (local.get $near))
                (br_if $found (ref.is_null (struct.get $node $right (local.get $top))))))
            (struct.set $node $right (local.get $less) (local.get $top)) ;; link left
            (local.set $less (local.get $top))
            (local.set $top (struct.get $node $right (local.get $top)))
            (br $down)))))
    (struct.set $node $right (local.get $less) (struct.get $node $left (local.get $top)))
    (struct.set $node $left (local.get $greater) (struct.get $node $right (local.get $top)))
    (struct.set $node $left (local.get $top) (struct.get $node $right (local.get $header)))
    (struct.set $node $right (local.get $top) (struct.get $node $left (local.get $header)))
    (global.set $root (local.get $top)))

  ;; Puts a node with the key into the tree; false when it is there already.
  (func $insert (param $key i32) (result i32)
    (local $new (ref null $node)) (local $old (ref null $node))
    (call $splay (local.get $key))
    (local.set $old (global.get $root))
    (if (ref.is_null (local.get $old)) (then)
      (else (if (i32.eq (struct.get $node $key (local.get $old)) (local.get $key)) (then (return (i32.const 0))))))
    (local.set $new (struct.new $node (local.get $key) (ref.null $node) (ref.null $node)
      (array.new $payload (local.get $key) (i32.const 10))))
    (if (ref.is_null (local.get $old)) (then)
      (else
        (if (i32.gt_s (local.get $key) (struct.get $node $key (local.get $old)))
          (then
            (struct.set $node $left (local.get $new) (local.get $old))
            (struct.set $node $right (local.get $new) (struct.get $node $right (local.get $old)))
            (struct.set $node $right (local.get $old) (ref.null $node)))
          (else
            (struct.set $node $right (local.get $new) (local.get $old))
            (struct.set $node $left (local.get $new) (struct.get $node $left (local.get $old)))
            (struct.set $node $left (local.get $old) (ref.null $node))))))
    (global.set $root (local.get $new))
    (global.set $size (i32.add (global.get $size) (i32.const 1)))
    (i32.const 1))

  ;; Takes the node out that is at, or next to, the key; returns an element of its payload.
  (func $remove (param $key i32) (result i32)
    (local $gone (ref null $node)) (local $rest (ref null $node))
    (call $splay (local.get $key))
    (local.set $gone (global.get $root))
    (if (ref.is_null (struct.get $node $left (local.get $gone)))
      (then (global.set $root (struct.get $node $right (local.get $gone))))
      (else
        (local.set $rest (struct.get $node $right (local.get $gone)))
        (global.set $root (struct.get $node $left (local.get $gone)))
        (call $splay (struct.get $node $key (local.get $gone)))
        (struct.set $node $right (global.get $root) (local.get $rest))))
    (global.set $size (i32.sub (global.get $size) (i32.const 1)))
    (array.get $payload (struct.get $node $payload (local.get $gone)) (i32.const 9)))

  ;; Begins anew with a tree of so many nodes.
  (func (export "plant_splay") (param $nodes i32) (result i32)
    (global.set $seed (i32.const 49734321))
    (global.set $root (ref.null $node))
    (global.set $size (i32.const 0))
    (loop $more
      (drop (call $insert (call $random)))
      (br_if $more (i32.lt_u (global.get $size) (local.get $nodes))))
    (global.get $size))

  ;; Each iteration puts a new node in and takes another out.
  (func (export "splay") (param $n i32) (result i32)
    (local $sum i32)
    (loop $next
      (loop $again (br_if $again (i32.eqz (call $insert (call $random)))))
      (local.set $sum (i32.add (i32.mul (local.get $sum) (i32.const 31)) (call $remove (call $random))))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum)))
