//! Types that are nested deep or are large when written out, and what they make the host do.

use crate::{BUMP, Run, guest};
use ampoule::Engine;
use ampoule_component::{Component, Val};
use std::time::{Duration, Instant};

/// Definitions of types that nest as deep, each written by one of `wraps` around the one before.
fn nested(depth: usize, wraps: &[&str]) -> String {
    let mut types = "(type $t0 u8)".to_string();
    for level in 1..=depth {
        let ty = wraps[level % wraps.len()].replace('$', &format!("$t{}", level - 1));
        types.push_str(&format!("(type $t{level} {ty})\n"));
    }
    types
}

const WRAPS: [&str; 5] = ["(list $)", "(option $)", "(tuple $)", "(result $)", "(result (error $))"];

/// The deepest type that passes the validator.
const DEEPEST: usize = 97;

#[test]
fn a_component_is_read_on_a_small_stack() {
    with_stack(64, || {
        let engine = Engine::default();
        let text = format!("(component {} (import \"f\" (func (param \"x\" $t97))))", nested(DEEPEST, &WRAPS));
        let component = Component::new(&engine, text.as_bytes()).unwrap();
        let artifact = component.serialize().unwrap();
        // SAFETY: the bytes were just written by the same library.
        unsafe { Component::deserialize(&engine, &artifact) }.unwrap();
    });
}

#[test]
fn types_nest_so_deep_and_no_deeper() {
    let engine = Engine::default();
    for wrap in WRAPS {
        let text =
            |depth| format!("(component {} (import \"f\" (func (param \"x\" $t{depth}))))", nested(depth, &[wrap]));
        Component::new(&engine, text(DEEPEST).as_bytes()).unwrap();
        for depth in [DEEPEST + 1, 200, 10_000] {
            let error = Component::new(&engine, text(depth).as_bytes()).unwrap_err();
            assert!(error.to_string().contains("type nesting is too deep"), "{wrap}: {error}");
        }
    }
    // Components, too.
    let text = format!("{}{}", "(component ".repeat(10_000), ")".repeat(10_000));
    Component::new(&engine, text.as_bytes()).unwrap_err();
}

/// Runs on a thread with a stack of so many KiB.
fn with_stack(kib: usize, run: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().stack_size(kib << 10).spawn(run).unwrap().join().unwrap();
}

/// A guest that calls itself as often as it is told, and then the host with a value that is as deep as a value can be: lists and tuples of one
/// element, each in the other.
fn dives() -> String {
    let types = nested(DEEPEST - 1, &["(tuple $)", "(list $)"]);
    let deepest = format!("$t{}", DEEPEST - 1);
    format!(
        r#"(component
            {types}
            (import "out" (func $out (param "x" {deepest})))
            (core module $L (memory (export "memory") 1))
            (core instance $l (instantiate $L))
            (alias core export $l "memory" (core memory $memory))
            (core func $out' (canon lower (func $out) (memory $memory)))
            (core module $M
                (import "" "memory" (memory 1))
                (import "" "out" (func $out (param i32 i32)))
                (func (export "alive") (result i32) (i32.const 1))
                (func $dive (param i32)
                    (if (local.get 0)
                        (then (call $dive (i32.sub (local.get 0) (i32.const 1))))
                        (else (call $out (i32.const 8) (i32.const 1)))))
                (func (export "run") (param $depth i32) (local $at i32)
                    (local.set $at (i32.const 8))
                    (loop $next
                        (i32.store (local.get $at) (i32.add (local.get $at) (i32.const 8)))
                        (i32.store offset=4 (local.get $at) (i32.const 1))
                        (br_if $next (i32.lt_u
                            (local.tee $at (i32.add (local.get $at) (i32.const 8))) (i32.const 2000))))
                    (call $dive (local.get $depth))))
            (core instance $m (instantiate $M (with "" (instance
                (export "memory" (memory $memory)) (export "out" (func $out'))))))
            (func (export "alive") (result u32) (canon lift (core func $m "alive")))
            (func (export "run") (param "depth" u32) (canon lift (core func $m "run"))))"#
    )
}

/// Whatever depth the guest calls from, the call goes well or ends for want of stack; the process does not.
#[test]
fn deep_values_at_the_end_of_the_stack_are_a_trap() {
    for kib in [96, 1024] {
        with_stack(kib, move || {
            let mut run = Run::with(&dives(), |linker| {
                linker.root().func("out", |_, _, _, _| Ok(())).unwrap();
            });
            let mut depth = 0_u32;
            let error = loop {
                match run.call("run", &[Val::from(depth)]) {
                    Ok(_) => depth += depth / 50 + 1,
                    Err(error) => break error,
                }
            };
            assert!(error.to_string().contains("call stack exhausted"), "{error}");
            assert_eq!(depth == 0, kib == 96, "there is room for the value alone on the larger stack");
            run.is_closed();
        });
    }
}

/// Definitions of a type that has so many parts when it is written out, though few when it isn't.
fn wide(levels: usize, wrap: &str) -> String {
    let mut types = format!("(type $t0 {wrap})");
    for level in 1..=levels {
        let below = level - 1;
        types.push_str(&format!("(type $t{level} (tuple $t{below} $t{below}))\n"));
    }
    types
}

#[test]
fn a_type_is_not_written_out_for_each_function_of_it() {
    // 2¹⁷ parts, in 2,000 functions of 2,000 types.
    let funcs: String = (0..2_000)
        .map(|index| {
            format!(
                "(type $f{index} (func (param \"x{index}\" $t17)))
                (func (type $f{index}) (canon lift (core func $m \"f\") (memory (core memory $m \"memory\"))
                    (realloc (core func $m \"realloc\"))))\n"
            )
        })
        .collect();
    let text =
        guest(&format!(r#"{BUMP} (func (export "f") (param i32))"#), &format!("{} {funcs}", wide(17, "(tuple u8 u8)")));
    let started = Instant::now();
    Component::new(&Engine::default(), text.as_bytes()).unwrap();
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}
