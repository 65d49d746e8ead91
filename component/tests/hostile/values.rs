//! Single values that no type has: discriminants, characters, flags with bits too many, addresses of results.

use crate::{ALLOCATES, MEMORY, Pair, Run, guest};
use ampoule_component::Val;

/// A guest with these types, whose function answers the core value that it is given, as this type.
fn casts(definitions: &str, ty: &str) -> Run {
    Run::new(&guest(
        r#"(func (export "f") (param i32) (result i32) (local.get 0))"#,
        &format!(
            r#"{definitions}
            (func (export "f") (param "a" u32) (result {ty}) (canon lift (core func $m "f")))"#
        ),
    ))
}

/// As [`casts`], in memory: the answer is a list of one.
fn casts_in_memory(definitions: &str, ty: &str) -> Run {
    Run::new(&guest(
        r#"(func (export "f") (param i32) (result i32)
            (i32.store (i32.const 16) (local.get 0))
            (i32.store (i32.const 8) (i32.const 16)) (i32.store (i32.const 12) (i32.const 1)) (i32.const 8))"#,
        &format!(
            r#"{definitions}
            (func (export "f") (param "a" u32) (result (list {ty})) (canon lift (core func $m "f") {MEMORY}))"#
        ),
    ))
}

const ENUM: &str = r#"(type $t' (enum "a" "b" "c")) (export $t "t" (type $t'))"#;
const VARIANT: &str = r#"(type $t' (variant (case "a") (case "b") (case "c"))) (export $t "t" (type $t'))"#;
const FLAGS: &str = r#"(type $t' (flags "a" "b" "c")) (export $t "t" (type $t'))"#;

#[test]
fn a_case_that_a_type_does_not_have_is_named() {
    for (definitions, ty, count) in [(ENUM, "$t", 3_u32), (VARIANT, "$t", 3), ("", "(result)", 2)] {
        for case in [count, 7, 255] {
            let says = format!("discriminant {case} out of range [0..{count})");
            for mut run in [casts(definitions, ty), casts_in_memory(definitions, ty)] {
                run.fails("f", &[Val::from(case)], &says);
                run.is_alive();
                run.call("f", &[Val::from(count - 1)]).unwrap();
            }
        }
        // Bits that the discriminant has no room for in memory.
        let says = format!("discriminant {} out of range [0..{count})", u32::MAX);
        casts(definitions, ty).fails("f", &[Val::from(u32::MAX)], &says);
        casts_in_memory(definitions, ty).call("f", &[Val::from(0xff00_0000_u32)]).unwrap();
    }
}

#[test]
fn characters_are_scalar_values() {
    for code in [0xd800_u32, 0xdfff, 0x11_0000, u32::MAX] {
        for mut run in [casts("", "char"), casts_in_memory("", "char")] {
            run.fails("f", &[Val::from(code)], "converted integer out of range for `char`");
            run.is_alive();
        }
    }
    for code in [0, 0xd7ff, 0xe000, 0x10_ffff] {
        let char = Val::from(char::from_u32(code).unwrap());
        assert_eq!(casts("", "char").call("f", &[Val::from(code)]).unwrap(), char);
    }
}

#[test]
fn what_is_wider_than_its_type_is_cut() {
    for (definitions, ty, given, val) in [
        ("", "bool", 0x100, Val::from(true)),
        ("", "u8", 0x1ff, Val::from(0xff_u8)),
        ("", "s8", 0x80, Val::from(-128_i8)),
        ("", "u16", 0x1_ffff, Val::from(0xffff_u16)),
        ("", "s16", 0x8000, Val::from(i16::MIN)),
        (FLAGS, "$t", u32::MAX, Val::flags(["a", "b", "c"])),
        (FLAGS, "$t", 0xffff_fff8, Val::flags::<&str>([])),
    ] {
        assert_eq!(casts(definitions, ty).call("f", &[Val::from(given)]).unwrap(), val, "{ty}");
    }
    let flags = casts_in_memory(FLAGS, "$t").call("f", &[Val::from(0xfa_u32)]).unwrap();
    assert_eq!(flags, Val::list(vec![Val::flags(["b"])]));
}

#[test]
fn a_result_lies_aligned_in_memory() {
    for (at, says) in [
        ("2", "return pointer not aligned"),
        ("65536", "pointer out of bounds of memory"),
        ("65532", "pointer out of bounds of memory"),
        ("-4", "pointer out of bounds of memory"),
    ] {
        let mut run = Run::new(&guest(
            &format!(r#"(func (export "f") (result i32) (i32.const {at}))"#),
            &format!(r#"(func (export "f") (result (tuple u32 u32)) (canon lift (core func $m "f") {MEMORY}))"#),
        ));
        run.fails("f", &[], says);
        run.is_alive();
    }
}

/// A component passes `given` as a value of this type to another one, which answers what it gets.
fn passes(definitions: &str, ty: &str, given: u32) -> Run {
    let text = Pair {
        ty: &format!(r#"(param "a" {ty}) (result u32)"#),
        core: "(param i32) (result i32)",
        inner: r#"(func (export "f") (param i32) (result i32) (local.get 0))"#,
        inner_options: "",
        outer: &format!(r#"(func (export "run") (result i32) (call $f (i32.const {given})))"#),
        outer_options: "",
    };
    Run::new(&with_types(&text.text(), definitions))
}

/// Puts types with names into a pair, where the outermost component defines and each of the two gets them.
fn with_types(text: &str, definitions: &str) -> String {
    if definitions.is_empty() {
        return text.to_string();
    }
    let takes = r#"(import "t" (type $t (eq $t')))"#;
    text.replacen("(component\n", &format!("(component {} (export $t \"t\" (type $t'))\n", defined(definitions)), 1)
        .replacen("(component $Inner", &format!("(component $Inner (alias outer 1 $t' (type $t')) {takes}"), 1)
        .replacen("(component $Outer", &format!("(component $Outer (alias outer 1 $t' (type $t')) {takes}"), 1)
        .replacen("(instantiate $Inner)", "(instantiate $Inner (with \"t\" (type $t)))", 1)
        .replacen("(instantiate $Outer ", "(instantiate $Outer (with \"t\" (type $t)) ", 1)
}

/// The definition without the export.
fn defined(definitions: &str) -> &str {
    &definitions[..definitions.find(" (export").unwrap()]
}

#[test]
fn between_components_values_are_looked_at_too() {
    let case = "wasm trap: invalid variant discriminant";
    for (definitions, ty, given, says) in [
        (ENUM, "$t", 3, case),
        (ENUM, "$t", u32::MAX, case),
        (VARIANT, "$t", 3, case),
        ("", "(result)", 2, case),
        ("", "char", 0xd800, "wasm trap: invalid `char` bit pattern"),
        ("", "char", 0x11_0000, "wasm trap: invalid `char` bit pattern"),
    ] {
        let mut run = passes(definitions, ty, given);
        run.fails("run", &[], says);
        run.is_closed();
    }
    for (definitions, ty, given, taken) in [
        ("", "bool", 0x100, 1),
        ("", "u8", 0x1ff, 0xff),
        ("", "s8", 0x180, 0xffff_ff80_u32),
        ("", "u16", 0x1_ffff, 0xffff),
        ("", "s16", 0x18000, 0xffff_8000),
        (FLAGS, "$t", u32::MAX, 7),
        (ENUM, "$t", 2, 2),
    ] {
        assert_eq!(passes(definitions, ty, given).call("run", &[]).unwrap(), Val::from(taken), "{ty}");
    }
}

#[test]
fn a_caller_that_wants_its_result_elsewhere_is_stopped() {
    let with = |at: &str, ty: &str, inner: &str| {
        Pair {
            ty,
            core: "(param i32)",
            inner,
            inner_options: MEMORY,
            outer: &format!(r#"(func (export "run") (result i32) (call $f (i32.const {at})) (i32.const 0))"#),
            outer_options: ALLOCATES,
        }
        .text()
    };
    let pair = "(result (tuple u32 u32))";
    let gives = r#"(func (export "f") (result i32) (i32.const 16))"#;
    for (at, says) in [
        ("2", "wasm trap: unaligned pointer"),
        ("65536", "wasm trap: out of bounds memory access"),
        ("65532", "wasm trap: out of bounds memory access"),
        ("-8", "wasm trap: out of bounds memory access"),
    ] {
        let mut run = Run::new(&with(at, pair, gives));
        run.fails("run", &[], says);
        run.is_closed();
        // So is a callee that has put it there.
        let mut run = Run::new(&with("16", pair, &gives.replace("16", at)));
        run.fails("run", &[], says);
        run.is_closed();
    }
    assert_eq!(Run::new(&with("65528", pair, gives)).call("run", &[]).unwrap(), Val::from(0u32));
}
