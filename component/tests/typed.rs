//! Functions with Rust's types.

use ampoule::{Engine, Error, Store};
use ampoule_component::{Component, ComponentType, HostResource, Lift, Linker, Lower, Resource, component_types};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

component_types! {
    #[derive(Clone, Debug, PartialEq)]
    record Point { x: f32, y_of_it: i64 }

    #[derive(Clone, Debug, PartialEq)]
    variant Shape { Circle(f32), LongLine(Vec<Point>), Nothing }

    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Colour { Red, DarkGreen }

    #[derive(Clone, Copy, Debug, PartialEq)]
    flags Rights { read, write_all, r#type }
}

const TYPES: &str = r#"
    (type $point' (record (field "x" f32) (field "y-of-it" s64)))
    (import "point" (type $point (eq $point')))
    (type $shape' (variant (case "circle" f32) (case "long-line" (list $point)) (case "nothing")))
    (import "shape" (type $shape (eq $shape')))
    (type $colour' (enum "red" "dark-green"))
    (import "colour" (type $colour (eq $colour')))
    (type $rights' (flags "read" "write-all" "type"))
    (import "rights" (type $rights (eq $rights')))"#;

/// Values go from the host to the guest's `back`, to the host's `there`, and the same way back, as the elements of a list: that is a pointer
/// and a length for the guest, whatever the elements are.
fn echo<T: Lift + Lower + ComponentType + Clone + std::fmt::Debug + PartialEq + Send + Sync + 'static>(
    ty: &str,
    values: &[T],
) {
    let text = format!(
        r#"(component
            {TYPES}
            (import "there" (func $there (param "x" (list {ty})) (result (list {ty}))))
            (core module $memory
                (memory (export "memory") 16)
                (global $next (mut i32) (i32.const 1024))
                (func (export "realloc") (param i32 i32 i32 i32) (result i32)
                    (local $at i32)
                    (local.set $at (i32.and
                        (i32.add (global.get $next) (i32.sub (local.get 2) (i32.const 1)))
                        (i32.sub (i32.const 0) (local.get 2))))
                    (global.set $next (i32.add (local.get $at) (local.get 3)))
                    (local.get $at)))
            (core instance $memory (instantiate $memory))
            (alias core export $memory "memory" (core memory $m))
            (alias core export $memory "realloc" (core func $realloc))
            (core func $there (canon lower (func $there) (memory $m) (realloc $realloc)))
            (core module $main
                (import "" "there" (func $there (param i32 i32 i32)))
                (func (export "back") (param i32 i32) (result i32)
                    (call $there (local.get 0) (local.get 1) (i32.const 16))
                    (i32.const 16)))
            (core instance $main (instantiate $main (with "" (instance (export "there" (func $there))))))
            (func (export "back") (param "x" (list {ty})) (result (list {ty}))
                (canon lift (core func $main "back") (memory $m) (realloc $realloc))))"#
    );
    let mut config = ampoule::Config::default();
    config.features.component_model_map = true;
    let engine = Engine::new(&config).unwrap();
    let component = Component::new(&engine, text.as_bytes()).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let mut linker = Linker::new(&engine);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noted = seen.clone();
    let there = move |_: &mut Store, (values,): (Vec<T>,)| {
        noted.lock().unwrap().extend(values.iter().cloned());
        Ok((values,))
    };
    linker.root().func_wrap("there", there).unwrap();
    let mut store = Store::new(&engine);
    let instance = linker.instantiate(&mut store, &component).unwrap();
    let back = instance.get_func(&mut store, &["back"]).unwrap().unwrap();
    let back = back.typed::<(&[T],), (Vec<T>,)>(&mut store).unwrap();
    assert_eq!(back.call(&mut store, (values,)).unwrap().0, values, "{ty}");
    assert_eq!(*seen.lock().unwrap(), values, "{ty}");
}

#[test]
fn values_of_every_type_go_through_guest_and_host() {
    echo("bool", &[true, false]);
    echo("s8", &[-1i8, 127]);
    echo("u8", &[0u8, 255]);
    echo("s16", &[-300i16]);
    echo("u16", &[65_535u16]);
    echo("s32", &[i32::MIN]);
    echo("u32", &[u32::MAX]);
    echo("s64", &[i64::MIN]);
    echo("u64", &[u64::MAX]);
    echo("f32", &[1.5f32]);
    echo("f64", &[-0.25f64]);
    echo("char", &['é', '𝄞']);
    echo("string", &["x".to_string(), String::new(), "日本".to_string()]);
    echo("(list u8)", &[vec![1u8, 2, 3], vec![]]);
    echo("(list string)", &[vec!["a".to_string()]]);
    echo("(tuple u8 string)", &[(7u8, "seven".to_string())]);
    echo("(option u32)", &[Some(3u32), None]);
    echo("(option (option u8))", &[Some(Some(3u8)), Some(None), None]);
    echo("(result u8 (error string))", &[Ok(1u8), Err("no".to_string())]);
    echo("(result)", &[Ok::<(), ()>(()), Err(())]);
    echo("(result u64)", &[Ok::<u64, ()>(1), Err(())]);
    echo("(map string u16)", &[BTreeMap::from([("a".to_string(), 1u16), ("b".to_string(), 2)])]);
    let point = Point { x: 1.5, y_of_it: -2 };
    echo("$point", std::slice::from_ref(&point));
    echo("$shape", &[Shape::Circle(0.5), Shape::LongLine(vec![point.clone(), point]), Shape::Nothing]);
    echo("$colour", &[Colour::Red, Colour::DarkGreen]);
    echo("$rights", &[Rights { read: true, write_all: false, r#type: true }]);
}

const ADD: &str = r#"(component
    (core module $m (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))
    (core instance $i (instantiate $m))
    (func (export "add") (param "a" u32) (param "b" u32) (result u32) (canon lift (core func $i "add"))))"#;

#[test]
fn another_type_is_told_when_the_function_is_made() {
    let engine = Engine::default();
    let component = Component::new(&engine, ADD.as_bytes()).unwrap();
    let mut store = Store::new(&engine);
    let instance = Linker::new(&engine).instantiate(&mut store, &component).unwrap();
    let add = instance.get_func(&mut store, &["add"]).unwrap().unwrap();
    assert_eq!(add.typed::<(u32, u32), (u32,)>(&mut store).unwrap().call(&mut store, (2, 3)).unwrap(), (5,));
    let text = |error: Error| error.to_string();
    let wrong = add.typed::<(u32,), (u32,)>(&mut store).map(drop).map_err(text);
    assert_eq!(wrong, Err("expected 1 parameter(s), found 2".to_string()));
    let wrong = add.typed::<(u32, String), (u32,)>(&mut store).map(drop).map_err(text);
    assert_eq!(wrong, Err("parameter `b`: expected `string`, found `u32`".to_string()));
    let wrong = add.typed::<(u32, u32), ()>(&mut store).map(drop).map_err(text);
    assert_eq!(wrong, Err("result: expected none, found `u32`".to_string()));
    let wrong = add.typed::<(u32, u32), (Vec<u8>,)>(&mut store).map(drop).map_err(text);
    assert_eq!(wrong, Err("result: expected `list`, found `u32`".to_string()));
}

#[test]
fn a_host_function_of_another_type_is_told_at_instantiation() {
    let engine = Engine::default();
    let text = r#"(component
        (import "host" (instance $host (export "f" (func (param "x" u32) (result string))))))"#;
    let component = Component::new(&engine, text.as_bytes()).unwrap();
    let mut linker = Linker::new(&engine);
    linker.allow_shadowing(true);
    let define = |linker: &Linker| linker.instantiate(&mut Store::new(&engine), &component).map(drop);
    linker.instance("host").unwrap().func_wrap("f", |_, (x,): (u64,)| Ok((x.to_string(),))).unwrap();
    let error = define(&linker).unwrap_err();
    let all = format!("{error:?}") + &error.to_string();
    assert!(all.contains("instance export `f` has the wrong type"), "{all}");
    assert!(all.contains("parameter `x`: expected `u64`, found `u32`"), "{all}");
    linker.instance("host").unwrap().func_wrap("f", |_, (x,): (u32,)| Ok((x.to_string(),))).unwrap();
    define(&linker).unwrap();
}

struct Counter;

impl HostResource for Counter {
    const TYPE: u32 = 5;
    const NAME: &'static str = "counter";
}

#[test]
fn resources_have_rust_types() {
    let engine = Engine::default();
    let text = r#"(component
        (import "host" (instance $host
            (export "counter" (type $counter (sub resource)))
            (export "make" (func (param "n" u32) (result (own $counter))))
            (export "count" (func (param "of" (borrow $counter)) (result u32)))))
        (alias export $host "counter" (type $counter))
        (core func $make (canon lower (func $host "make")))
        (core func $count (canon lower (func $host "count")))
        (core func $drop (canon resource.drop $counter))
        (core module $m
            (import "" "make" (func $make (param i32) (result i32)))
            (import "" "count" (func $count (param i32) (result i32)))
            (import "" "drop" (func $drop (param i32)))
            (func (export "run") (param i32) (result i32)
                (local $handle i32)
                (local.set $handle (call $make (local.get 0)))
                (call $count (local.get $handle))
                (call $drop (local.get $handle))))
        (core instance $i (instantiate $m (with "" (instance
            (export "make" (func $make)) (export "count" (func $count)) (export "drop" (func $drop))))))
        (func (export "run") (param "n" u32) (result u32) (canon lift (core func $i "run"))))"#;
    let component = Component::new(&engine, text.as_bytes()).unwrap();
    let mut linker = Linker::new(&engine);
    let mut host = linker.instance("host").unwrap();
    let dropped = Arc::new(Mutex::new(Vec::new()));
    let note = dropped.clone();
    host.resource("counter", Counter::TYPE, move |_, rep| {
        note.lock().unwrap().push(rep);
        Ok(())
    })
    .unwrap();
    host.func_wrap("make", |_, (n,): (u32,)| Ok((Resource::<Counter>::new_own(n + 100),))).unwrap();
    host.func_wrap("count", |_, (of,): (Resource<Counter>,)| Ok((of.rep() - 100,))).unwrap();
    let mut store = Store::new(&engine);
    let instance = linker.instantiate(&mut store, &component).unwrap();
    let run = instance.get_func(&mut store, &["run"]).unwrap().unwrap();
    let run = run.typed::<(u32,), (u32,)>(&mut store).unwrap();
    assert_eq!(run.call(&mut store, (7,)).unwrap(), (7,));
    assert_eq!(*dropped.lock().unwrap(), [107]);
}
