//! Handles: forged, given away twice, dropped twice, of other types; tables that are filled.

use crate::Run;
use ampoule_component::types::ResourceType;
use ampoule_component::{Linker, ResourceHost, Val, ValRef};

/// A component with two resource types of its own, whose core functions come with everything that can be done to them.
/// `$new-a`, `$drop-a`, `$rep-a`, `$new-b`, `$drop-b` and `$rep-b`; `run` is to be given.
fn owner(run: &str) -> String {
    format!(
        r#"(component
            (type $a (resource (rep i32)))
            (type $b (resource (rep i32)))
            (core func $new-a (canon resource.new $a)) (core func $drop-a (canon resource.drop $a))
            (core func $rep-a (canon resource.rep $a))
            (core func $new-b (canon resource.new $b)) (core func $drop-b (canon resource.drop $b))
            (core func $rep-b (canon resource.rep $b))
            (core module $M
                (import "a" "new" (func $new-a (param i32) (result i32)))
                (import "a" "drop" (func $drop-a (param i32)))
                (import "a" "rep" (func $rep-a (param i32) (result i32)))
                (import "b" "new" (func $new-b (param i32) (result i32)))
                (import "b" "drop" (func $drop-b (param i32)))
                (import "b" "rep" (func $rep-b (param i32) (result i32)))
                (func (export "alive") (result i32) (i32.const 1))
                (func (export "run") (result i32) {run}))
            (core instance $m (instantiate $M
                (with "a" (instance
                    (export "new" (func $new-a)) (export "drop" (func $drop-a)) (export "rep" (func $rep-a))))
                (with "b" (instance
                    (export "new" (func $new-b)) (export "drop" (func $drop-b)) (export "rep" (func $rep-b))))))
            (func (export "alive") (result u32) (canon lift (core func $m "alive")))
            (func (export "run") (result u32) (canon lift (core func $m "run"))))"#
    )
}

#[test]
fn handles_are_what_they_were_made_as() {
    let other =
        "used with the wrong type, expected guest-defined resource but found a different guest-defined resource";
    for (body, says) in [
        ("(call $drop-a (i32.const 0)) (i32.const 0)", "unknown handle index 0"),
        ("(call $drop-a (i32.const 1)) (i32.const 0)", "unknown handle index 1"),
        ("(call $rep-a (i32.const -1))", "unknown handle index 4294967295"),
        ("(call $drop-a (i32.const 0x7fffffff)) (i32.const 0)", "unknown handle index 2147483647"),
        (
            "(call $drop-a (call $new-a (i32.const 5))) (call $drop-a (i32.const 1)) (i32.const 0)",
            "unknown handle index 1",
        ),
        ("(call $drop-a (call $new-a (i32.const 5))) (call $rep-a (i32.const 1))", "unknown handle index 1"),
        ("(call $rep-b (call $new-a (i32.const 5)))", other),
        ("(call $drop-b (call $new-a (i32.const 5))) (i32.const 0)", other),
    ] {
        let mut run = Run::new(&owner(body));
        run.fails("run", &[], says);
        run.is_closed();
    }
    let mut run = Run::new(&owner("(call $rep-a (call $new-a (i32.const -1)))"));
    assert_eq!(run.call("run", &[]).unwrap(), Val::from(u32::MAX));
    // The table is one for all types of an instance, and the last that was freed is used first.
    let body = r#"(drop (call $new-a (i32.const 1))) (drop (call $new-b (i32.const 2)))
        (call $drop-a (i32.const 1)) (call $drop-b (i32.const 2)) (call $new-a (i32.const 3))"#;
    assert_eq!(Run::new(&owner(body)).call("run", &[]).unwrap(), Val::from(2u32));
}

#[test]
fn a_table_has_an_end() {
    let body = "(loop $next (drop (call $new-a (i32.const 5))) (br $next)) unreachable";
    let mut run = Run::new(&owner(body));
    run.fails("run", &[], "cannot allocate another handle: index overflow");
    run.is_closed();
}

/// A component that has a resource type, and another one that uses it: `run` of the latter is given, and calls `$make`, `$take`, `$look`
/// (which borrows), `$both` (which takes one and borrows one), `$two` (which takes two), `$keep` (which borrows and doesn't give back),
/// and `$drop`.
fn user(run: &str) -> String {
    format!(
        r#"(component
            (component $Owner
                (type $t' (resource (rep i32)))
                (core func $new (canon resource.new $t'))
                (core func $drop (canon resource.drop $t'))
                (core func $rep (canon resource.rep $t'))
                (core module $M
                    (import "" "new" (func $new (param i32) (result i32)))
                    (import "" "drop" (func $drop (param i32)))
                    (import "" "rep" (func $rep (param i32) (result i32)))
                    (func (export "make") (param i32) (result i32) (call $new (local.get 0)))
                    (func (export "take") (param i32) (result i32)
                        (call $rep (local.get 0)) (call $drop (local.get 0)))
                    (func (export "look") (param i32) (result i32) (local.get 0))
                    (func (export "two") (param i32 i32)))
                (core instance $m (instantiate $M (with "" (instance
                    (export "new" (func $new)) (export "drop" (func $drop)) (export "rep" (func $rep))))))
                (export $t "t" (type $t'))
                (func (export "make") (param "n" u32) (result (own $t)) (canon lift (core func $m "make")))
                (func (export "take") (param "t" (own $t)) (result u32) (canon lift (core func $m "take")))
                (func (export "look") (param "t" (borrow $t)) (result u32) (canon lift (core func $m "look")))
                (func (export "own-borrow") (param "t" (own $t)) (param "u" (borrow $t)) (canon lift (core func $m "two")))
                (func (export "borrow-own") (param "t" (borrow $t)) (param "u" (own $t)) (canon lift (core func $m "two")))
                (func (export "two") (param "t" (own $t)) (param "u" (own $t)) (canon lift (core func $m "two"))))
            (component $User
                (import "owner" (instance $owner
                    (export "t" (type $t (sub resource)))
                    (export "make" (func (param "n" u32) (result (own $t))))
                    (export "take" (func (param "t" (own $t)) (result u32)))
                    (export "look" (func (param "t" (borrow $t)) (result u32)))
                    (export "own-borrow" (func (param "t" (own $t)) (param "u" (borrow $t))))
                    (export "borrow-own" (func (param "t" (borrow $t)) (param "u" (own $t))))
                    (export "two" (func (param "t" (own $t)) (param "u" (own $t))))))
                (alias export $owner "t" (type $t))
                (core func $make (canon lower (func $owner "make")))
                (core func $take (canon lower (func $owner "take")))
                (core func $look (canon lower (func $owner "look")))
                (core func $own-borrow (canon lower (func $owner "own-borrow")))
                (core func $borrow-own (canon lower (func $owner "borrow-own")))
                (core func $two (canon lower (func $owner "two")))
                (core func $drop (canon resource.drop $t))
                (core module $M
                    (import "" "make" (func $make (param i32) (result i32)))
                    (import "" "take" (func $take (param i32) (result i32)))
                    (import "" "look" (func $look (param i32) (result i32)))
                    (import "" "own-borrow" (func $own-borrow (param i32 i32)))
                    (import "" "borrow-own" (func $borrow-own (param i32 i32)))
                    (import "" "two" (func $two (param i32 i32)))
                    (import "" "drop" (func $drop (param i32)))
                    (func (export "alive") (result i32) (i32.const 1))
                    (func (export "run") (result i32) (local $t i32) {run}))
                (core instance $m (instantiate $M (with "" (instance
                    (export "make" (func $make)) (export "take" (func $take)) (export "look" (func $look))
                    (export "own-borrow" (func $own-borrow)) (export "borrow-own" (func $borrow-own))
                    (export "two" (func $two)) (export "drop" (func $drop))))))
                (func (export "alive") (result u32) (canon lift (core func $m "alive")))
                (func (export "run") (result u32) (canon lift (core func $m "run"))))
            (instance $owner (instantiate $Owner))
            (instance $user (instantiate $User (with "owner" (instance $owner))))
            (export "alive" (func $user "alive"))
            (export "run" (func $user "run")))"#
    )
}

#[test]
fn what_was_given_away_is_gone() {
    for (body, says) in [
        ("(call $take (i32.const 1))", "unknown handle index 1"),
        (
            "(drop (call $take (local.tee $t (call $make (i32.const 5))))) (call $take (local.get $t))",
            "unknown handle index 1",
        ),
        (
            "(drop (call $take (local.tee $t (call $make (i32.const 5))))) (call $look (local.get $t))",
            "unknown handle index 1",
        ),
        (
            "(drop (call $take (local.tee $t (call $make (i32.const 5))))) (call $drop (local.get $t)) (i32.const 0)",
            "unknown handle index 1",
        ),
        // The same handle twice in one call.
        (
            "(call $two (local.tee $t (call $make (i32.const 5))) (local.get $t)) (i32.const 0)",
            "unknown handle index 1",
        ),
        (
            "(call $own-borrow (local.tee $t (call $make (i32.const 5))) (local.get $t)) (i32.const 0)",
            "unknown handle index 1",
        ),
        (
            "(call $borrow-own (local.tee $t (call $make (i32.const 5))) (local.get $t)) (i32.const 0)",
            "cannot remove owned resource while borrowed",
        ),
    ] {
        let mut run = Run::new(&user(body));
        run.fails("run", &[], says);
        run.is_closed();
    }
    // The owner is lent what it has put behind the handle, and the handle is the user's again after.
    let body = r#"(local.set $t (call $make (i32.const 5)))
        (i32.add (call $look (local.get $t)) (i32.add (call $look (local.get $t)) (call $take (local.get $t))))"#;
    assert_eq!(Run::new(&user(body)).call("run", &[]).unwrap(), Val::from(15u32));
}

#[test]
fn one_handle_is_not_lent_without_end() {
    // A list of 2²² times the same handle, to the component that has the resource and gets what is behind it without a handle.
    let text = r#"(component
        (component $Owner
            (type $t' (resource (rep i32)))
            (core func $new (canon resource.new $t'))
            (core module $L (memory (export "memory") 258)
                (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024)))
            (core instance $l (instantiate $L))
            (core module $M
                (import "" "new" (func $new (param i32) (result i32)))
                (func (export "make") (result i32) (call $new (i32.const 5)))
                (func (export "look") (param i32 i32)))
            (core instance $m (instantiate $M (with "" (instance (export "new" (func $new))))))
            (export $t "t" (type $t'))
            (func (export "make") (result (own $t)) (canon lift (core func $m "make")))
            (func (export "look") (param "t" (list (borrow $t))) (canon lift (core func $m "look")
                (memory (core memory $l "memory")) (realloc (core func $l "realloc")))))
        (component $User
            (import "owner" (instance $owner
                (export "t" (type $t (sub resource)))
                (export "make" (func (result (own $t))))
                (export "look" (func (param "t" (list (borrow $t)))))))
            (core module $L (memory (export "memory") 258))
            (core instance $l (instantiate $L))
            (alias core export $l "memory" (core memory $memory))
            (core func $make (canon lower (func $owner "make")))
            (core func $look (canon lower (func $owner "look") (memory $memory)))
            (core module $M
                (import "" "memory" (memory 258))
                (import "" "make" (func $make (result i32)))
                (import "" "look" (func $look (param i32 i32)))
                (func (export "alive") (result i32) (i32.const 1))
                (func (export "run") (param $count i32) (result i32) (local $t i32) (local $at i32)
                    (local.set $t (call $make))
                    (loop $next
                        (i32.store offset=1024 (i32.shl (local.get $at) (i32.const 2)) (local.get $t))
                        (br_if $next (i32.lt_u
                            (local.tee $at (i32.add (local.get $at) (i32.const 1))) (local.get $count))))
                    (call $look (i32.const 1024) (local.get $count))
                    (i32.const 1)))
            (core instance $m (instantiate $M (with "" (instance
                (export "memory" (memory $memory)) (export "make" (func $make)) (export "look" (func $look))))))
            (func (export "alive") (result u32) (canon lift (core func $m "alive")))
            (func (export "run") (param "count" u32) (result u32) (canon lift (core func $m "run"))))
        (instance $owner (instantiate $Owner))
        (instance $user (instantiate $User (with "owner" (instance $owner))))
        (export "alive" (func $user "alive"))
        (export "run" (func $user "run")))"#;
    let mut run = Run::new(text);
    assert_eq!(run.call("run", &[Val::from(1000_u32)]).unwrap(), Val::from(1u32));
    run.fails("run", &[Val::from(1_u32 << 22)], "too many handles are lent to one call");
    run.is_closed();
}

/// A component that imports two resource types of the host's and functions of them, and passes on what it is told.
const OF_THE_HOST: &str = r#"(component
    (import "a" (type $a (sub resource)))
    (import "b" (type $b (sub resource)))
    (import "take" (func $take (param "t" (own $a))))
    (import "look" (func $look (param "t" (borrow $a))))
    (core func $take' (canon lower (func $take)))
    (core func $look' (canon lower (func $look)))
    (core func $drop-a (canon resource.drop $a))
    (core func $drop-b (canon resource.drop $b))
    (core module $M
        (import "" "take" (func $take (param i32)))
        (import "" "look" (func $look (param i32)))
        (import "" "drop-a" (func $drop-a (param i32)))
        (import "" "drop-b" (func $drop-b (param i32)))
        (func (export "alive") (result i32) (i32.const 1))
        (func (export "take") (param i32) (call $take (local.get 0)))
        (func (export "look") (param i32) (call $look (local.get 0)))
        (func (export "drop-a") (param i32) (call $drop-a (local.get 0)))
        (func (export "drop-b") (param i32) (call $drop-b (local.get 0)))
        (func (export "drop-twice") (param i32) (call $drop-a (local.get 0)) (call $drop-a (local.get 0))))
    (core instance $m (instantiate $M (with "" (instance
        (export "take" (func $take')) (export "look" (func $look'))
        (export "drop-a" (func $drop-a)) (export "drop-b" (func $drop-b))))))
    (func (export "alive") (result u32) (canon lift (core func $m "alive")))
    (func (export "take-number") (param "n" u32) (canon lift (core func $m "take")))
    (func (export "look-number") (param "n" u32) (canon lift (core func $m "look")))
    (func (export "take-borrowed") (param "t" (borrow $a)) (canon lift (core func $m "take")))
    (func (export "look-borrowed") (param "t" (borrow $a)) (canon lift (core func $m "look")))
    (func (export "drop-borrowed") (param "t" (borrow $a)) (canon lift (core func $m "drop-a")))
    (func (export "drop-borrowed-as-b") (param "t" (borrow $a)) (canon lift (core func $m "drop-b")))
    (func (export "drop-borrowed-twice") (param "t" (borrow $a)) (canon lift (core func $m "drop-twice")))
    (func (export "drop-owned-as-b") (param "t" (own $a)) (canon lift (core func $m "drop-b")))
    (func (export "b-as-a") (param "t" (own $b)) (canon lift (core func $m "take"))))"#;

fn of_the_host() -> Run {
    Run::with(OF_THE_HOST, |linker: &mut Linker| {
        let mut root = linker.root();
        root.resource("a", 1, |_, _| Ok(())).unwrap();
        root.resource("b", 2, |_, _| Ok(())).unwrap();
        root.func("take", |_, _, _, _| Ok(())).unwrap();
        root.func("look", |_, _, _, _| Ok(())).unwrap();
    })
}

#[test]
fn the_hosts_resources_are_not_made_up() {
    let thing =
        |run: &mut Run, ty: u32| Val::from(ResourceHost { rep: 9, ty, owned: true }.into_any(&mut run.store).unwrap());
    for name in ["take-number", "look-number"] {
        for number in [0, 1, 77, u32::MAX] {
            let mut run = of_the_host();
            run.fails(name, &[Val::from(number)], &format!("unknown handle index {number}"));
            run.is_closed();
        }
    }
    let wrong = "used with the wrong type, expected host-defined resource but found a different host-defined resource";
    for (name, ty, says) in [
        ("take-borrowed", 1, "cannot lift own resource from a borrow"),
        ("look-borrowed", 1, "borrow handles still remain at the end of the call"),
        ("drop-borrowed-as-b", 1, wrong),
        ("drop-borrowed-twice", 1, "unknown handle index 1"),
        ("drop-owned-as-b", 1, wrong),
        ("b-as-a", 2, wrong),
    ] {
        let mut run = of_the_host();
        let thing = thing(&mut run, ty);
        run.fails(name, &[thing], says);
        run.is_closed();
    }
    let mut run = of_the_host();
    let thing = thing(&mut run, 1);
    run.call("drop-borrowed", std::slice::from_ref(&thing)).unwrap();
    run.is_alive();
    // It is still the host's.
    let ValRef::Resource(Some(any)) = thing.get() else { panic!("{thing:?}") };
    assert_eq!(any.ty(), ResourceType::Host(1));
    any.drop(&mut run.store).unwrap();
}
