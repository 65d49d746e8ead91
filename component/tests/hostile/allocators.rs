//! Allocators that lie, grow, stop or call out, and clean-ups that do; asked by the host, and by another component.

use crate::{ALLOCATES, BUMP, MEMORY, Pair, Run, guest};
use ampoule_component::{LinkerInstanceMut, Val};

/// A guest with this allocator, and functions of two strings, of a string that it answers, and one that asks the host for a string.
fn with_allocator(realloc: &str) -> String {
    guest(
        &format!(
            r#"{realloc}
            ;; The first bytes of two strings, one below the other.
            (func (export "firsts") (param i32 i32 i32 i32) (result i32)
                (i32.or (i32.load8_u (local.get 0)) (i32.shl (i32.load8_u (local.get 2)) (i32.const 8))))
            (func (export "numbers") (param i32 i32) (result i32) (i32.load (local.get 0)))"#
        ),
        &format!(
            r#"(func (export "firsts") (param "a" string) (param "b" string) (result u32)
                (canon lift (core func $m "firsts") {ALLOCATES}))
            (func (export "numbers") (param "a" (list u32)) (result u32)
                (canon lift (core func $m "numbers") {ALLOCATES}))"#
        ),
    )
}

fn realloc(body: &str) -> String {
    format!(r#"(func (export "realloc") (param i32 i32 i32 i32) (result i32) {body})"#)
}

fn numbers() -> [Val; 1] {
    [Val::list(vec![Val::from(7u32), Val::from(8u32)])]
}

#[test]
fn the_same_place_for_two_strings_is_the_guests_own_loss() {
    let mut run = Run::new(&with_allocator(&realloc("(i32.const 1024)")));
    assert_eq!(run.call("firsts", &[Val::from("a"), Val::from("b")]).unwrap(), Val::from(0x6262u32));
    run.is_alive();
}

#[test]
fn places_that_cannot_be_are_refused() {
    for (answer, says) in [
        ("(i32.const 1023)", "realloc return: result not aligned"),
        ("(i32.const 65536)", "realloc return: beyond end of memory"),
        ("(i32.const 65532)", "realloc return: beyond end of memory"),
        ("(i32.const -4)", "realloc return: beyond end of memory"),
        ("(i32.const -8)", "realloc return: beyond end of memory"),
        ("(i32.const 0x7ffffffc)", "realloc return: beyond end of memory"),
    ] {
        let mut run = Run::new(&with_allocator(&realloc(answer)));
        run.fails("numbers", &numbers(), says);
        run.is_alive();
    }
}

#[test]
fn an_empty_list_may_lie_at_the_end_of_memory_and_not_behind_it() {
    let mut run = Run::new(&with_allocator(&realloc("(i32.const 65536)")));
    run.fails("numbers", &[Val::list(vec![])], "wasm trap: out of bounds memory access");
    let mut run = Run::new(&with_allocator(&realloc("(i32.const 65540)")));
    run.fails("numbers", &[Val::list(vec![])], "realloc return: beyond end of memory");
    run.is_alive();
}

#[test]
fn memory_that_grows_while_it_is_allocated_is_found_again() {
    // Each allocation makes the memory a page larger, and is in the new page.
    let grows = realloc("(i32.mul (memory.grow (i32.const 1)) (i32.const 65536))");
    let mut run = Run::new(&with_allocator(&grows));
    assert_eq!(run.call("firsts", &[Val::from("a"), Val::from("b")]).unwrap(), Val::from(0x6261u32));
    // So do those inside a list, whose own place was there before.
    let lists = guest(
        &format!(
            r#"{grows}
            (func (export "sum") (param i32 i32) (result i32)
                (i32.add (i32.load (i32.load (local.get 0))) (i32.load (i32.load offset=8 (local.get 0)))))"#
        ),
        &format!(
            r#"(func (export "sum") (param "a" (list (list u32))) (result u32)
                (canon lift (core func $m "sum") {ALLOCATES}))"#
        ),
    );
    let mut run = Run::new(&lists);
    let list = |number: u32| Val::list(vec![Val::from(number)]);
    assert_eq!(run.call("sum", &[Val::list(vec![list(20), list(3)])]).unwrap(), Val::from(23u32));
}

#[test]
fn an_allocator_that_is_stopped_closes_the_store() {
    for (body, says) in [
        ("unreachable", "wasm trap: wasm `unreachable` instruction executed"),
        ("(i32.div_u (i32.const 1) (local.get 0))", "wasm trap: integer divide by zero"),
    ] {
        let mut run = Run::new(&with_allocator(&realloc(body)));
        run.fails("numbers", &numbers(), says);
        run.is_closed();
    }
    let dives = r#"(func $dive (export "realloc") (param i32 i32 i32 i32) (result i32)
        (call $dive (local.get 0) (local.get 1) (local.get 2) (local.get 3)) (i32.const 1) i32.add)"#;
    let mut run = Run::new(&with_allocator(dives));
    run.fails("numbers", &numbers(), "wasm trap: call stack exhausted");
    run.is_closed();
}

/// A guest whose function `f` takes a string, and whose allocator and clean-up are these; both may call the host's `$out`.
fn calls_out(realloc: &str, post_return: &str) -> String {
    format!(
        r#"(component
            (import "out" (func $out))
            (core func $out' (canon lower (func $out)))
            (core module $M
                (import "" "out" (func $out))
                (memory (export "memory") 1)
                (func (export "alive") (result i32) (i32.const 1))
                (func (export "f") (param i32 i32) (result i32) (local.get 1))
                (func (export "realloc") (param i32 i32 i32 i32) (result i32) {realloc})
                (func (export "clean") (param i32) {post_return}))
            (core instance $m (instantiate $M (with "" (instance (export "out" (func $out'))))))
            (func (export "alive") (result u32) (canon lift (core func $m "alive")))
            (func (export "f") (param "a" string) (result u32)
                (canon lift (core func $m "f") (memory (core memory $m "memory")) (realloc (core func $m "realloc"))
                    (post-return (core func $m "clean")))))"#
    )
}

fn define_out(linker: &mut ampoule_component::Linker) {
    let define = |mut root: LinkerInstanceMut<'_>| root.func("out", |_, _, _, _| Ok(()));
    define(linker.root()).unwrap();
}

#[test]
fn who_allocates_or_cleans_up_calls_nobody() {
    let leaves = "wasm trap: cannot leave component instance";
    for (realloc, clean) in [("(call $out) (i32.const 64)", ""), ("(i32.const 64)", "(call $out)")] {
        let mut run = Run::with(&calls_out(realloc, clean), define_out);
        run.fails("f", &[Val::from("abc")], leaves);
        run.is_closed();
    }
    let mut run = Run::with(&calls_out("(i32.const 64)", "unreachable"), define_out);
    run.fails("f", &[Val::from("abc")], "wasm trap: wasm `unreachable` instruction executed");
    run.is_closed();
    let mut run = Run::with(&calls_out("(i32.const 64)", ""), define_out);
    assert_eq!(run.call("f", &[Val::from("abc")]).unwrap(), Val::from(3u32));
    run.is_alive();
}

#[test]
fn a_destructor_is_a_call_out_too() {
    // The clean-up drops a handle, whose destructor would run.
    let text = r#"(component
        (type $t (resource (rep i32)))
        (core func $new (canon resource.new $t))
        (core func $drop (canon resource.drop $t))
        (core func $rep (canon resource.rep $t))
        (core module $M
            (import "" "new" (func $new (param i32) (result i32)))
            (import "" "drop" (func $drop (param i32)))
            (import "" "rep" (func $rep (param i32) (result i32)))
            (func (export "alive") (result i32) (i32.const 1))
            (func (export "f") (result i32) (call $new (i32.const 5)))
            (func (export "drops") (param i32) (call $drop (local.get 0)))
            (func (export "makes") (param i32) (drop (call $new (local.get 0))))
            (func (export "looks") (param i32)
                (if (i32.ne (call $rep (local.get 0)) (i32.const 5)) (then unreachable))))
        (core instance $m (instantiate $M (with "" (instance
            (export "new" (func $new)) (export "drop" (func $drop)) (export "rep" (func $rep))))))
        (func (export "alive") (result u32) (canon lift (core func $m "alive")))
        (func (export "drops") (result u32) (canon lift (core func $m "f") (post-return (core func $m "drops"))))
        (func (export "makes") (result u32) (canon lift (core func $m "f") (post-return (core func $m "makes"))))
        (func (export "looks") (result u32) (canon lift (core func $m "f") (post-return (core func $m "looks")))))"#;
    for name in ["drops", "makes"] {
        let mut run = Run::new(text);
        run.fails(name, &[], "wasm trap: cannot leave component instance");
        run.is_closed();
    }
    let mut run = Run::new(text);
    assert_eq!(run.call("looks", &[]).unwrap(), Val::from(1u32));
    run.is_alive();
}

/// A component whose allocator is this is given two numbers by another.
fn between(realloc: &str) -> Run {
    let text = Pair {
        ty: r#"(param "a" (list u32)) (result u32)"#,
        core: "(param i32 i32) (result i32)",
        inner: &format!(
            r#"{realloc}
            (func (export "f") (param i32 i32) (result i32) (i32.load (local.get 0)))"#
        ),
        inner_options: ALLOCATES,
        outer: r#"(data (i32.const 16) "\07\00\00\00\08\00\00\00")
            (func (export "run") (result i32) (call $f (i32.const 16) (i32.const 2)))"#,
        outer_options: MEMORY,
    };
    Run::new(&text.text())
}

#[test]
fn between_components_a_bad_allocator_is_stopped() {
    for (body, says) in [
        ("(i32.const 1023)", "wasm trap: unaligned pointer"),
        ("(i32.const 65536)", "wasm trap: list content out-of-bounds"),
        ("(i32.const -8)", "wasm trap: list content out-of-bounds"),
        ("unreachable", "wasm trap: wasm `unreachable` instruction executed"),
    ] {
        let mut run = between(&realloc(body));
        run.fails("run", &[], says);
        run.is_closed();
    }
    for body in ["(i32.const 1024)", "(i32.mul (memory.grow (i32.const 1)) (i32.const 65536))"] {
        let mut run = between(&realloc(body));
        assert_eq!(run.call("run", &[]).unwrap(), Val::from(7u32));
        run.is_alive();
    }
}

#[test]
fn the_callers_allocator_is_looked_at_as_closely_as_the_callees() {
    // The result goes to memory that the caller allocates.
    let text = |realloc: &str| {
        Pair {
            ty: r#"(result (list u32))"#,
            core: "(param i32)",
            inner: r#"(data (i32.const 16) "\20\00\00\00\01\00\00\00") (data (i32.const 32) "\07\00\00\00")
                (func (export "f") (result i32) (i32.const 16))"#,
            inner_options: MEMORY,
            outer: r#"(func (export "run") (result i32)
                (call $f (i32.const 8)) (i32.load (i32.load (i32.const 8))))"#,
            outer_options: ALLOCATES,
        }
        .text()
        .replace(BUMP, realloc)
    };
    let mut run = Run::new(&text(BUMP));
    assert_eq!(run.call("run", &[]).unwrap(), Val::from(7u32));
    for (body, says) in [
        ("(i32.const 1022)", "wasm trap: unaligned pointer"),
        ("(i32.const 65536)", "wasm trap: list content out-of-bounds"),
        ("unreachable", "wasm trap: wasm `unreachable` instruction executed"),
    ] {
        let mut run = Run::new(&text(&realloc(body)));
        run.fails("run", &[], says);
        run.is_closed();
    }
}

#[test]
fn where_a_result_goes_is_looked_at_before_the_allocator_makes_that_a_place() {
    // The callee returns core values, and the caller wants them in a page that it has not got yet.
    let text = |at: u32| {
        format!(
            r#"(component
            (component $callee
                (core module $memory (memory (export "memory") 1))
                (core instance $memory (instantiate $memory))
                (core func $return (canon task.return (result (tuple string u32)) (memory (core memory $memory "memory"))))
                (core module $m
                    (import "" "return" (func $return (param i32 i32 i32)))
                    (func (export "f") (result i32) (call $return (i32.const 0) (i32.const 3) (i32.const 7)) (i32.const 0))
                    (func (export "callback") (param i32 i32 i32) (result i32) unreachable))
                (core instance $m (instantiate $m (with "" (instance (export "return" (func $return))))))
                (func (export "f") async (result (tuple string u32))
                    (canon lift (core func $m "f") async (callback (core func $m "callback"))
                        (memory (core memory $memory "memory")))))
            (component $caller
                (import "f" (func $f async (result (tuple string u32))))
                (core module $memory
                    (memory (export "memory") 1)
                    {realloc})
                (core instance $memory (instantiate $memory))
                (core func $f (canon lower (func $f)
                    (memory (core memory $memory "memory")) (realloc (core func $memory "realloc"))))
                (core module $m
                    (import "" "memory" (memory 1))
                    (import "" "f" (func $f (param i32)))
                    (func (export "run") (result i32) (call $f (i32.const {at})) (i32.load offset=8 (i32.const {at})))
                    (func (export "alive") (result i32) (i32.const 1)))
                (core instance $m (instantiate $m (with "" (instance
                    (export "memory" (memory $memory "memory")) (export "f" (func $f))))))
                (func (export "run") async (result u32) (canon lift (core func $m "run")))
                (func (export "alive") (result u32) (canon lift (core func $m "alive"))))
            (instance $callee (instantiate $callee))
            (instance $caller (instantiate $caller (with "f" (func $callee "f"))))
            (export "run" (func $caller "run"))
            (export "alive" (func $caller "alive")))"#,
            realloc = realloc("(i32.mul (memory.grow (i32.const 1)) (i32.const 65536))"),
        )
    };
    let mut run = Run::new(&text(65524));
    assert_eq!(run.call("run", &[]).unwrap(), Val::from(7u32));
    for at in [65528, 65536, 131072] {
        let mut run = Run::new(&text(at));
        run.fails("run", &[], "wasm trap: out of bounds memory access");
        run.is_closed();
    }
}
