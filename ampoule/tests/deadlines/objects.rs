//! Operations on long arrays, and collections of large heaps. Each is in the middle of one when the deadline comes; the store works on
//! then, as `check` does.

use super::{expect_short_overrun, module, work};
use ampoule::Val;

/// Two arrays, of 256 and 64 MiB, and functions that repeat one operation on them for ever.
fn arrays() -> String {
    let forever = |name: &str, operation: &str| format!(r#"(func (export "{name}") (loop {operation} (br 0)))"#);
    let (bytes, refs) = ("(global.get $b)", "(global.get $r)");
    let (zero, half) = ("(i32.const 0)", "(i32.const 134217728)");
    let value = "(ref.i31 (i32.const 5))";
    let functions = [
        forever("new", "(global.set $b (array.new $bytes (i32.const 7) (i32.const 268435456)))"),
        forever("new_default", "(global.set $b (array.new_default $bytes (i32.const 268435456)))"),
        forever("new_refs", &format!("(global.set $r (array.new $refs {value} (i32.const 16777216)))")),
        forever("new_data", &format!("(global.set $b (array.new_data $bytes $d {zero} (i32.const 16777216)))")),
        forever("fill", &format!("(array.fill $bytes {bytes} {zero} (i32.const 7) (i32.const 268435456))")),
        forever("fill_refs", &format!("(array.fill $refs {refs} {zero} {value} (i32.const 16777216))")),
        forever("copy_down", &format!("(array.copy $bytes $bytes {bytes} {zero} {bytes} (i32.const 1) {half})")),
        forever("copy_up", &format!("(array.copy $bytes $bytes {bytes} (i32.const 1) {bytes} {zero} {half})")),
        forever(
            "copy_refs",
            &format!("(array.copy $refs $refs {refs} (i32.const 1) {refs} {zero} (i32.const 16777215))"),
        ),
        forever("init_data", &format!("(array.init_data $bytes $d {bytes} {zero} {zero} (i32.const 16777216))")),
        forever("init_elem", &format!("(array.init_elem $refs $e {refs} {zero} {zero} (i32.const 200000))")),
    ];
    format!(
        r#"(module (type $bytes (array (mut i8))) (type $refs (array (mut anyref)))
             (data $d "{}") (elem $e i31ref {})
             (global $b (mut (ref null $bytes)) (ref.null $bytes)) (global $r (mut (ref null $refs)) (ref.null $refs))
             (func (export "prepare")
               (global.set $b (array.new $bytes (i32.const 1) (i32.const 268435456)))
               (global.set $r (array.new $refs (ref.i31 (i32.const 1)) (i32.const 16777216))))
             (func (export "check") (local $i i32)
               (loop $more
                 (global.set $r (array.new $refs (ref.i31 (local.get $i)) (i32.const 1000)))
                 (br_if $more (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 10000)))))
             {})"#,
        "x".repeat(16 << 20),
        "(ref.i31 (i32.const 1))".repeat(200_000),
        functions.concat()
    )
}

#[test]
fn operations_on_arrays_end_when_their_call_does() {
    let module = module(&arrays());
    let names: Vec<_> = module.exports().map(|(export, _)| export.name.clone()).collect();
    let names: Vec<_> = names.iter().filter(|name| !["prepare", "check"].contains(&name.as_str())).collect();
    assert_eq!(names.len(), 11);
    for name in names {
        expect_short_overrun(&module, name, &[], work);
    }
}

/// Objects of which there are many, or many references, and guests that make garbage for ever.
fn large_heap(prepare: &str, churn: &str) -> String {
    format!(
        r#"(module
             (type $node (struct (field (mut (ref null $node))) (field (mut (ref null $node)))))
             (type $refs (array (mut (ref null $node))))
             (global $list (mut (ref null $node)) (ref.null $node))
             (global $wide (mut (ref null $refs)) (ref.null $refs))
             (table $table 1 (ref null $node))
             (func $make (param $n i32)
               (loop $more
                 (global.set $list (struct.new $node (global.get $list) (global.get $list)))
                 (br_if $more (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
             (func (export "prepare") (param $n i32) {prepare})
             (func (export "run") (param $n i32) (loop $again {churn} (drop (struct.new_default $node)) (br $again)))
             ;; The list is as long as it was.
             (func (export "check") (param $n i32) (local $at (ref null $node))
               (local.set $at (global.get $list))
               (loop $more
                 (if (ref.is_null (local.get $at)) (then (return)))
                 (if (i32.eqz (local.get $n)) (then (unreachable)))
                 (local.set $n (i32.sub (local.get $n) (i32.const 1)))
                 (local.set $at (struct.get $node 0 (local.get $at)))
                 (br $more))))"#
    )
}

#[test]
fn collections_of_a_long_list_end_when_their_call_does() {
    // What is kept for a while makes major collections.
    let churn = "(table.set $table (i32.const 0) (struct.new $node (table.get $table (i32.const 0)) (ref.null $node)))";
    let module = module(&large_heap("(call $make (local.get $n))", churn));
    expect_short_overrun(&module, "run", &[Val::I32(1_000_000)], work);
}

#[test]
fn collections_of_a_wide_array_end_when_their_call_does() {
    let prepare = "(global.set $wide (array.new $refs (struct.new_default $node) (local.get $n)))";
    // Each collection has to look at all of it.
    let churn = "(array.fill $refs (global.get $wide) (i32.const 0) (struct.new_default $node) (local.get $n))
      (call $make (i32.const 10000))";
    let module = module(&large_heap(prepare, churn));
    expect_short_overrun(&module, "run", &[Val::I32(32 << 20)], work);
}
