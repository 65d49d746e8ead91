//! Structs that never leave a function are not made: which shapes of functions the compiler sees that in, and which not.

use ampoule_compiler::ModuleInput;
use ampoule_compiler::optimizing::OptimizingCompiler;
use ampoule_core::decode::decode;
use ampoule_core::features::Features;
use ampoule_core::index::DefinedFuncIndex;
use ampoule_core::tunables::Tunables;
use ampoule_core::vm::VmLayout;

/// Types and functions that the shapes below use.
const COMMON: &str = r#"
    (type $point (struct (field $x (mut i32)) (field $y (mut i32))))
    (type $complex (struct (field $re f64) (field $im f64)))
    (type $open (sub (struct (field $id (mut i32)))))
    (type $closed (sub final $open (struct (field $id (mut i32)) (field $more i64))))
    (type $pair (struct (field $first (ref null $point)) (field $second (ref null $point))))
    (type $list (struct (field $head i32) (field $tail (mut (ref null $list)))))
    (type $small (struct (field $a (mut i8)) (field $b (mut i16)) (field $v v128)))
    (import "" "see" (func $see (param (ref null $point))))
    (import "" "work" (func $work))
    (tag $tag (param i32))
    (global $kept (mut (ref null $point)) (ref.null $point))
    (func $new (param i32 i32) (result (ref $point)) (struct.new $point (local.get 0) (local.get 1)))
    (func $sum (param (ref $point)) (result i32)
      (i32.add (struct.get $point $x (local.get 0)) (struct.get $point $y (local.get 0))))
    (func $add (param $a (ref $complex)) (param $b (ref $complex)) (result (ref $complex))
      (struct.new $complex
        (f64.add (struct.get $complex $re (local.get $a)) (struct.get $complex $re (local.get $b)))
        (f64.add (struct.get $complex $im (local.get $a)) (struct.get $complex $im (local.get $b)))))
"#;

/// The listing of a function with this text between the parentheses.
fn listing(function: &str) -> String {
    let bytes = wat::parse_str(format!("(module {COMMON} (func {function}))")).expect("a well-formed module");
    let mut validator = wasmparser::Validator::new_with_features(wasmparser::WasmFeatures::all());
    validator.validate_all(&bytes).unwrap_or_else(|error| panic!("{function}: {error}"));
    let features =
        Features { gc: true, function_references: true, exceptions: true, simd: true, ..Features::default() };
    let module = decode(&bytes, &features).unwrap_or_else(|error| panic!("{function}: {error}")).module;
    let layout = VmLayout::new(&module);
    let tunables = Tunables::default();
    let compiler =
        OptimizingCompiler::new(&tunables, &[], Some("x86_64-unknown-linux-gnu")).expect("a supported target");
    let input = ModuleInput {
        module: &module,
        layout: &layout,
        bytes: &bytes,
        tunables: &tunables,
        counters: None,
        profile: None,
    };
    let last = module.bodies.len() as u32 - 1;
    compiler.listing(&input, DefinedFuncIndex(last)).expect("it compiles")
}

/// How many objects a function makes that calls this many other functions: it calls the runtime for each, and where the stack is full.
fn objects_made(function: &str, calls: usize) -> usize {
    let listing = listing(function);
    let found = listing.lines().filter(|line| line.trim_start().starts_with("call ")).count();
    found.checked_sub(1 + calls).unwrap_or_else(|| panic!("{function}: {listing}"))
}

const A: &str = "(local.set $a (call $new (local.get $i) (i32.const 2)))";

/// Each with how many functions it calls.
const NEVER_LEAVE: &[(usize, &str)] = &[
    // Made and read, also by functions that are inlined.
    (0, "(result i32) (call $sum (call $new (i32.const 1) (i32.const 2)))"),
    (0, "(result i32) (struct.get $point $x (struct.new_default $point))"),
    (0, "(drop (struct.new $closed (i32.const 1) (i64.const 2)))"),
    // Alive across a call.
    (1, "(param $i i32) (result i32) (local $a (ref null $point)) {A} (call $work) (struct.get $point $x (local.get $a))"),
    // Written to, in the arm of an `if` and in a loop.
    (0, "(param $i i32) (result i32) (local $a (ref null $point)) {A}
         (if (local.get $i) (then (struct.set $point $x (local.get $a) (i32.const 5))))
         (struct.get $point $x (local.get $a))"),
    (0, "(param $i i32) (result i32) (local $a (ref null $point)) {A}
         (loop
           (struct.set $point $y (local.get $a) (i32.add (struct.get $point $y (local.get $a)) (struct.get $point $x (local.get $a))))
           (br_if 0 (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
         (struct.get $point $y (local.get $a))"),
    // Parameters of blocks and loops.
    (0, "(param $i i32) (result i32)
         (block $out (result (ref $point))
           (call $new (i32.const 1) (i32.const 2))
           (loop (param (ref $point)) (result (ref $point))
             (br_if $out (i32.eqz (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
             (br 0)))
         (struct.get $point $x)"),
    // A sum in a loop: another object each time, never written to.
    (0, "(param $i i32) (result f64) (local $sum (ref $complex))
         (local.set $sum (struct.new $complex (f64.const 0) (f64.const 0)))
         (loop
           (local.set $sum (call $add (local.get $sum) (struct.new $complex (f64.const 1) (f64.convert_i32_s (local.get $i)))))
           (br_if 0 (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
         (f64.add (struct.get $complex $re (local.get $sum)) (struct.get $complex $im (local.get $sum)))"),
    // One of two.
    (0, "(param $i i32) (result i32)
         (call $sum (if (result (ref $point)) (local.get $i)
           (then (call $new (i32.const 1) (i32.const 2)))
           (else (call $new (i32.const 3) (local.get $i)))))"),
    // Tests for null, comparisons and casts.
    (0, "(param $i i32) (result i32) (local $a (ref null $point)) {A}
         (i32.add (ref.is_null (local.get $a)) (struct.get $point $x (ref.as_non_null (local.get $a))))"),
    (0, "(param $i i32) (result i32) (local $a (ref null $point)) {A}
         (block $null (br_on_null $null (local.get $a)) (return (struct.get $point $y))) (i32.const 7)"),
    (0, "(param $i i32) (param $other (ref null $point)) (result i32) (local $a (ref null $point)) {A}
         (i32.add (ref.eq (local.get $a) (local.get $a)) (ref.eq (local.get $other) (local.get $a)))"),
    (0, "(result i32) (local $o (ref $open)) (local.set $o (struct.new $closed (i32.const 1) (i64.const 2)))
         (block $is (result (ref $closed))
           (return (struct.get $open $id (br_on_cast $is (ref $open) (ref $closed) (local.get $o)))))
         (i32.wrap_i64 (struct.get $closed $more))"),
    (0, "(result i32) (ref.test (ref $closed) (struct.new $open (i32.const 1)))"),
    // Packed fields, vectors.
    (0, "(param $i i32) (result i32) (local $s (ref $small))
         (local.set $s (struct.new $small (local.get $i) (local.get $i) (v128.const i64x2 1 2)))
         (struct.set $small $a (local.get $s) (i32.const 300))
         (i32.add (i32x4.extract_lane 2 (struct.get $small $v (local.get $s)))
           (i32.add (struct.get_s $small $a (local.get $s)) (struct.get_u $small $b (local.get $s))))"),
    // Objects in fields of others that don't leave either.
    (0, "(param $i i32) (result i32) (local $p (ref $pair))
         (local.set $p (struct.new $pair (call $new (i32.const 1) (local.get $i)) (ref.null $point)))
         (struct.get $point $y (struct.get $pair $first (local.get $p)))"),
    // Fields that the collector follows.
    (0, "(param $p (ref null $point)) (result (ref null $point))
         (struct.get $pair $second (struct.new $pair (ref.null $point) (local.get $p)))"),
    (1, "(param $i i32) (result i32) (local $l (ref $list))
         (local.set $l (struct.new $list (i32.const 1) (ref.null $list)))
         (struct.set $list $tail (local.get $l) (ref.null $list))
         (call $work) (ref.is_null (struct.get $list $tail (local.get $l)))"),
    (1, "(param $t (ref null $list)) (result (ref null $list)) (local $l (ref $list))
         (local.set $l (struct.new $list (i32.const 1) (ref.null $list)))
         (struct.set $list $tail (local.get $l) (local.get $t))
         (call $work) (struct.get $list $tail (local.get $l))"),
    // Alive in a handler.
    (1, "(param $i i32) (result i32) (local $a (ref null $point)) {A}
         (block $caught
           (try_table (catch_all $caught) (call $work) (struct.set $point $x (local.get $a) (i32.const 9))))
         (struct.get $point $x (local.get $a))"),
];

#[test]
fn objects_that_never_leave_are_not_made() {
    for &(calls, function) in NEVER_LEAVE {
        let function = function.replace("{A}", A);
        assert_eq!(objects_made(&function, calls), 0, "{function}: {}", listing(&function));
    }
}

/// Each with how many functions it calls, and how many objects it makes.
const LEAVE: &[(usize, usize, &str)] = &[
    (0, 1, "(result (ref $point)) (call $new (i32.const 1) (i32.const 2))"),
    (1, 1, "(call $see (call $new (i32.const 1) (i32.const 2)))"),
    (0, 1, "(global.set $kept (call $new (i32.const 1) (i32.const 2)))"),
    // In one arm only.
    (
        1,
        1,
        "(param $i i32) (result i32) (local $a (ref null $point)) {A}
            (if (local.get $i) (then (call $see (local.get $a))))
            (struct.get $point $x (local.get $a))",
    ),
    // Into something that leaves.
    (0, 2, "(result (ref $pair)) (struct.new $pair (call $new (i32.const 1) (i32.const 2)) (ref.null $point))"),
    (
        0,
        1,
        "(param $p (ref $list)) (struct.set $list $tail (local.get $p) (struct.new $list (i32.const 1) (ref.null $list)))",
    ),
    // Into itself.
    (
        0,
        1,
        "(result i32) (local $l (ref $list))
            (local.set $l (struct.new $list (i32.const 1) (ref.null $list)))
            (struct.set $list $tail (local.get $l) (local.get $l))
            (struct.get $list $head (local.get $l))",
    ),
    // Null, or what comes from elsewhere, in the same place.
    (
        0,
        1,
        "(param $i i32) (result i32) (local $a (ref null $point))
            (if (local.get $i) (then {A})) (struct.get $point $x (local.get $a))",
    ),
    (
        0,
        1,
        "(param $i i32) (param $a (ref null $point)) (result i32)
            (if (local.get $i) (then {A})) (struct.get $point $x (local.get $a))",
    ),
    // Two in the same place, one of which is written to, or is compared with the other.
    (
        0,
        2,
        "(param $i i32) (result i32) (local $a (ref null $point)) {A}
            (if (local.get $i) (then {A})) (struct.set $point $x (local.get $a) (i32.const 3))
            (struct.get $point $x (local.get $a))",
    ),
    (
        0,
        2,
        "(param $i i32) (result i32) (local $a (ref null $point)) (local $b (ref null $point)) {A}
            (local.set $b (local.get $a)) (if (local.get $i) (then {A}))
            (ref.eq (local.get $a) (local.get $b))",
    ),
    // The object of the last iteration beside that of this one.
    (
        0,
        2,
        "(param $i i32) (result i32) (local $a (ref null $point)) (local $b (ref null $point)) {A}
            (loop
              (local.set $b (local.get $a)) {A}
              (struct.set $point $x (local.get $b) (struct.get $point $y (local.get $a)))
              (br_if 0 (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
            (struct.get $point $x (local.get $b))",
    ),
];

#[test]
fn objects_that_may_leave_are_made() {
    for &(calls, objects, function) in LEAVE {
        let function = function.replace("{A}", A);
        assert_eq!(objects_made(&function, calls), objects, "{function}: {}", listing(&function));
    }
}
