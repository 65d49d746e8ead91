//! Lists that are longer than they can be, lie outside, or on top of each other.

use crate::{ALLOCATES, BUMP, MEMORY, Pair, Run, guest};
use ampoule_component::Val;

/// A guest that answers a list of this type, which is at `at` and has `len` elements.
fn answers(element: &str, at: &str, len: &str) -> String {
    guest(
        &format!(
            r#"(func (export "f") (result i32)
                (i32.store (i32.const 8) (i32.const {at})) (i32.store (i32.const 12) (i32.const {len})) (i32.const 8))"#
        ),
        &format!(r#"(func (export "f") (result (list {element})) (canon lift (core func $m "f") {MEMORY}))"#),
    )
}

/// Elements, where they are and how many, and whether they are aligned.
const OUTSIDE: [(&str, &str, &str); 9] = [
    ("u8", "0", "0x10000000"),
    ("u64", "0", "0x10000000"),
    ("u64", "8", "0xffffffff"),
    ("u8", "1", "65536"),
    ("u8", "65537", "0"),
    ("u8", "0xffffffff", "1"),
    ("u8", "0xffffffff", "0xffffffff"),
    ("string", "0", "0x20000000"),
    ("(tuple u64 u64 u64 u64)", "0", "0x08000000"),
];

#[test]
fn a_list_that_is_not_in_memory_is_no_list() {
    for (element, at, len) in OUTSIDE {
        let mut run = Run::new(&answers(element, at, len));
        run.fails("f", &[], "list pointer/length out of bounds of memory");
        run.is_alive();
    }
    for (element, at, len) in [("u8", "65536", "0"), ("u64", "65536", "0"), ("string", "0", "0")] {
        let mut run = Run::new(&answers(element, at, len));
        assert_eq!(run.call("f", &[]).unwrap(), Val::list(vec![]));
    }
    for (element, at) in [("u16", "65535"), ("u64", "4"), ("string", "2")] {
        let mut run = Run::new(&answers(element, at, "0"));
        run.fails("f", &[], "list pointer is not aligned");
        run.is_alive();
    }
}

/// A component passes a list of this type, which is at `at` and has `len` elements, to another one.
fn passes(element: &str, at: &str, len: &str) -> Run {
    let text = Pair {
        ty: &format!(r#"(param "a" (list {element})) (result u32)"#),
        core: "(param i32 i32) (result i32)",
        inner: &format!(r#"{BUMP} (func (export "f") (param i32 i32) (result i32) (local.get 1))"#),
        inner_options: ALLOCATES,
        outer: &format!(r#"(func (export "run") (result i32) (call $f (i32.const {at}) (i32.const {len})))"#),
        outer_options: MEMORY,
    };
    Run::new(&text.text())
}

#[test]
fn nor_is_it_for_another_component() {
    for (element, at, len) in OUTSIDE {
        let mut run = passes(element, at, len);
        run.fails("run", &[], "wasm trap: list content out-of-bounds");
        run.is_closed();
    }
    for (element, at) in [("u16", "65535"), ("u64", "4"), ("string", "2")] {
        let mut run = passes(element, at, "0");
        run.fails("run", &[], "wasm trap: unaligned pointer");
        run.is_closed();
    }
    let mut run = passes("u64", "0", "8150");
    run.fails("run", &[], "wasm trap: list content out-of-bounds");
    let mut run = passes("u64", "0", "7000");
    assert_eq!(run.call("run", &[]).unwrap(), Val::from(7000u32));
}

#[test]
fn strings_on_top_of_each_other_do_not_exhaust_the_host() {
    // 2¹² strings that are all the same 2¹⁶ bytes.
    let text = guest(
        r#"(func (export "f") (result i32)
            (local $at i32)
            (loop $next
                (i32.store offset=16 (local.get $at) (i32.const 0))
                (i32.store offset=20 (local.get $at) (i32.const 65536))
                (br_if $next (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 8))) (i32.const 32768))))
            (i32.store (i32.const 8) (i32.const 16)) (i32.store (i32.const 12) (i32.const 4096))
            (memory.fill (i32.const 33000) (i32.const 97) (i32.const 32536))
            (i32.const 8))"#,
        &format!(
            r#"(func (export "f") (result (list string))
                (canon lift (core func $m "f") {MEMORY} string-encoding=latin1+utf16))"#
        ),
    );
    let mut run = Run::new(&text);
    run.fails("f", &[], "the values of one call would take the host more than 256 MiB");
    run.is_alive();
}

#[test]
fn names_that_are_long_count_for_each_value() {
    // 2¹⁵ values of a byte each, in whose type a name of 20,000 characters stands.
    let name = "n".repeat(20_000);
    for ty in [
        format!(r#"(enum "{name}")"#),
        format!(r#"(variant (case "{name}") (case "b"))"#),
        format!(r#"(record (field "{name}" u8))"#),
        format!(r#"(flags "{name}")"#),
    ] {
        let text = guest(
            r#"(func (export "f") (result i32)
                (memory.fill (i32.const 1024) (i32.const 1) (i32.const 32768))
                (i32.store (i32.const 8) (i32.const 1024)) (i32.store (i32.const 12) (i32.const 32768)) (i32.const 8))"#,
            &format!(
                r#"(type $t' {ty}) (export $t "t" (type $t'))
                (func (export "f") (result (list $t)) (canon lift (core func $m "f") {MEMORY}))"#
            ),
        );
        // The only case is the first one.
        let text = if ty.starts_with("(flags") || ty.starts_with("(record") {
            text
        } else {
            text.replace("(i32.const 1) (i32.const 32768))\n", "(i32.const 0) (i32.const 32768))\n")
        };
        let mut run = Run::new(&text);
        run.fails("f", &[], "the values of one call would take the host more than 256 MiB");
        run.is_alive();
    }
}
