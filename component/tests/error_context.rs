//! Error contexts, and how many things a guest can make the store keep.

use ampoule::{BudgetKind, Config, Engine, Error, Features, Store};
use ampoule_component::streams::{Consumer, Destination, Flow, Producer, Source, StreamReader};
use ampoule_component::types::ValType;
use ampoule_component::{Component, Instance, Linker, Val};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

/// A component with these core functions and exports; `realloc` gives memory from 4096 on.
fn component(core_funcs: &str, imports: &str, module: &str, given: &str, exports: &str) -> String {
    format!(
        r#"(component
        {imports}
        (core module $libc
            (memory (export "memory") 2)
            (global $next (mut i32) (i32.const 4096))
            (func (export "realloc") (param i32 i32 i32 i32) (result i32)
                (global.get $next)
                (global.set $next (i32.add (global.get $next) (i32.and (i32.add (local.get 3) (i32.const 7)) (i32.const -8))))))
        (core instance $libc (instantiate $libc))
        (alias core export $libc "memory" (core memory $memory))
        (alias core export $libc "realloc" (core func $realloc))
        {core_funcs}
        (core module $m (import "" "memory" (memory 2)) {module})
        (core instance $i (instantiate $m (with "" (instance (export "memory" (memory $memory)) {given}))))
        {exports})"#
    )
}

fn instantiate(text: &str, define: impl FnOnce(&mut Linker)) -> (Box<Store>, Instance) {
    let features = Features {
        component_model_error_context: true,
        component_model_more_async_builtins: true,
        ..Features::default()
    };
    let engine = Engine::new(&Config { features, ..Config::default() }).unwrap();
    let component = Component::new(&engine, text.as_bytes()).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let mut linker = Linker::new(&engine);
    define(&mut linker);
    let mut store = Store::new(&engine);
    let instance = linker.instantiate(&mut store, &component).unwrap();
    (store, instance)
}

fn call(store: &mut Store, instance: &Instance, name: &str, args: &[Val]) -> Result<Option<Val>, Error> {
    let func = instance.get_func(store, &[name])?.expect("it exports it");
    let mut results = vec![Val::default(); usize::from(func.ty(store)?.result().is_some())];
    func.call(store, args, &mut results)?;
    Ok(results.pop())
}

fn contexts() -> (Box<Store>, Instance) {
    let text = component(
        r#"(core func $new (canon error-context.new (memory $memory)))
           (core func $message (canon error-context.debug-message (memory $memory) (realloc $realloc)))
           (core func $drop (canon error-context.drop))"#,
        "",
        r#"(import "" "new" (func $new (param i32 i32) (result i32)))
           (import "" "message" (func $message (param i32 i32)))
           (import "" "drop" (func $drop (param i32)))
           (func (export "make") (param i32 i32) (result i32) (call $new (local.get 0) (local.get 1)))
           (func (export "read") (param i32) (result i32)
               (call $message (local.get 0) (i32.const 16))
               (call $drop (local.get 0))
               (i32.const 16))
           (func (export "read-at") (param i32 i32) (call $message (local.get 0) (local.get 1)))
           (func (export "twice") (param i32) (call $drop (local.get 0)) (call $drop (local.get 0)))
           (func (export "many") (loop (drop (call $new (i32.const 0) (i32.const 0))) (br 0)))
           (func (export "break") (drop (call $new (i32.const -1) (i32.const 1))))"#,
        r#"(export "new" (func $new)) (export "message" (func $message)) (export "drop" (func $drop))"#,
        r#"(func (export "make") (param "s" string) (result error-context)
               (canon lift (core func $i "make") (memory $memory) (realloc $realloc)))
           (func (export "read") (param "e" error-context) (result string)
               (canon lift (core func $i "read") (memory $memory)))
           (func (export "read-at") (param "e" error-context) (param "at" u32) (canon lift (core func $i "read-at")))
           (func (export "twice") (param "e" error-context) (canon lift (core func $i "twice")))
           (func (export "many") (canon lift (core func $i "many")))
           (func (export "break") (canon lift (core func $i "break")))"#,
    );
    instantiate(&text, |_| {})
}

#[test]
fn messages_of_error_contexts_go_both_ways() {
    let (mut store, instance) = contexts();
    let made = call(&mut store, &instance, "make", &[Val::from("no such file")]).unwrap().unwrap();
    assert_eq!(made, Val::error_context("no such file"));
    assert_eq!(
        call(&mut store, &instance, "read", std::slice::from_ref(&made)).unwrap(),
        Some(Val::from("no such file"))
    );
    // As much as a store keeps of it, whole characters.
    let long = Val::error_context("ä".repeat(600) + "x");
    let read = call(&mut store, &instance, "read", &[long]).unwrap();
    assert_eq!(read, Some(Val::from("ä".repeat(512))));
}

#[test]
fn what_is_done_wrong_with_error_contexts_stops_the_guest() {
    for (name, args, text) in [
        ("twice", vec![Val::error_context("x")], "unknown handle index 1"),
        ("read-at", vec![Val::error_context("x"), Val::from(18u32)], "pointer not aligned"),
        ("read-at", vec![Val::error_context("x"), Val::from(0xffff_fffcu32)], "pointer out of bounds of memory"),
        ("break", vec![], "string pointer/length out of bounds of memory"),
        ("many", vec![], "too many error contexts of components in one store: at most 65536 are allowed"),
    ] {
        let (mut store, instance) = contexts();
        let error = format!("{:#}", call(&mut store, &instance, name, &args).unwrap_err());
        assert!(error.contains(text), "{name}: {error}");
    }
    let (mut store, instance) = contexts();
    let error = call(&mut store, &instance, "read", &[Val::from("x")]).unwrap_err();
    assert_eq!(error.to_string(), "type mismatch: expected error-context, found string");
}

#[test]
fn a_guest_makes_no_more_streams_and_sets_than_a_store_has_room_for() {
    let text = component(
        r#"(type $s (stream u8))
           (core func $stream (canon stream.new $s))
           (core func $set (canon waitable-set.new))"#,
        "",
        r#"(import "" "stream" (func $stream (result i64)))
           (import "" "set" (func $set (result i32)))
           (func (export "streams") (loop (drop (call $stream)) (br 0)))
           (func (export "sets") (loop (drop (call $set)) (br 0)))"#,
        r#"(export "stream" (func $stream)) (export "set" (func $set))"#,
        r#"(func (export "streams") (canon lift (core func $i "streams")))
           (func (export "sets") (canon lift (core func $i "sets")))"#,
    );
    for name in ["streams", "sets"] {
        let (mut store, instance) = instantiate(&text, |_| {});
        let error = format!("{:#}", call(&mut store, &instance, name, &[]).unwrap_err());
        assert!(error.contains("too many"), "{error}");
    }
}

#[test]
fn what_a_guest_makes_without_end_meets_the_hard_limit_of_the_store() {
    let text = component(
        r#"(type $s (stream u8))
           (type $f (future u8))
           (core func $stream (canon stream.new $s))
           (core func $future (canon future.new $f))
           (core func $set (canon waitable-set.new))
           (core func $context (canon error-context.new (memory $memory)))"#,
        "",
        r#"(import "" "stream" (func $stream (result i64)))
           (import "" "future" (func $future (result i64)))
           (import "" "set" (func $set (result i32)))
           (import "" "context" (func $context (param i32 i32) (result i32)))
           (func (export "streams") (loop (drop (call $stream)) (br 0)))
           (func (export "futures") (loop (drop (call $future)) (br 0)))
           (func (export "sets") (loop (drop (call $set)) (br 0)))
           (func (export "contexts") (loop (drop (call $context (i32.const 0) (i32.const 1000))) (br 0)))
           (func (export "none"))"#,
        r#"(export "stream" (func $stream)) (export "future" (func $future)) (export "set" (func $set))
           (export "context" (func $context))"#,
        r#"(func (export "streams") (canon lift (core func $i "streams")))
           (func (export "futures") (canon lift (core func $i "futures")))
           (func (export "sets") (canon lift (core func $i "sets")))
           (func (export "contexts") (canon lift (core func $i "contexts")))
           (func (export "none") (canon lift (core func $i "none")))"#,
    );
    for name in ["streams", "futures", "sets", "contexts"] {
        let (mut store, instance) = instantiate(&text, |_| {});
        let budget = store.budget();
        call(&mut store, &instance, "none", &[]).unwrap();
        let before = budget.used(BudgetKind::Component);
        budget.set_limits(None, Some(budget.total() + (1 << 20)));
        let error = format!("{:#}", call(&mut store, &instance, name, &[]).unwrap_err());
        let expected = "the store's budget is used up: ";
        assert!(error.contains(expected) && error.contains("asked for components"), "{name}: {error}");
        // Lists grow to twice their size.
        let held = budget.used(BudgetKind::Component) - before;
        assert!(held > 1 << 18 && budget.total() <= budget.hard_limit().unwrap(), "{name}: {held}");
        // The guest is over; the store is not.
        budget.set_limits(None, None);
        let module = ampoule::Module::new(store.engine(), b"(module (memory (export \"m\") 1))").unwrap();
        ampoule::Instance::new(&mut store, &module, &[]).unwrap();
        drop((instance, store));
        assert_eq!(budget.total(), 0);
    }
}

#[test]
fn a_call_beyond_the_hard_limit_is_an_error_and_can_be_made_later() {
    let text = component(
        "(core func $set (canon waitable-set.new))",
        "",
        r#"(func (export "none"))"#,
        r#"(export "set" (func $set))"#,
        r#"(func (export "none") (canon lift (core func $i "none")))"#,
    );
    let (mut store, instance) = instantiate(&text, |_| {});
    let budget = store.budget();
    for _ in 0..3 {
        budget.set_limits(None, Some(0));
        let error = call(&mut store, &instance, "none", &[]).unwrap_err().to_string();
        assert!(error.contains("the store's budget is used up"), "{error}");
    }
    budget.set_limits(None, None);
    call(&mut store, &instance, "none", &[]).unwrap();
    let held = budget.total();
    budget.set_limits(None, Some(held));
    for _ in 0..100 {
        call(&mut store, &instance, "none", &[]).unwrap();
    }
    assert_eq!(budget.total(), held, "what is over makes room");
}

/// Elements that the guest allocates memory for, while it waits for them; and such that it gives.
#[test]
fn elements_with_memory_of_their_own_go_both_ways() {
    struct Words(Vec<&'static str>, bool);
    impl Producer for Words {
        fn poll_produce(&mut self, cx: &mut Context<'_>, into: &mut Destination<'_>) -> Poll<Result<Flow, Error>> {
            // The first time the guest waits, so that the event loop brings the words.
            if !std::mem::replace(&mut self.1, true) {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            while into.remaining() > 0
                && let Some(word) = self.0.pop()
            {
                into.push(Val::from(word))?;
            }
            Poll::Ready(Ok(if self.0.is_empty() { Flow::End } else { Flow::More }))
        }
    }
    struct Take(Arc<Mutex<Vec<Val>>>);
    impl Consumer for Take {
        fn poll_consume(&mut self, _: &mut Context<'_>, from: &mut Source<'_>) -> Poll<Result<Flow, Error>> {
            while let Some(val) = from.pop()? {
                self.0.lock().unwrap().push(val);
            }
            Poll::Ready(Ok(Flow::More))
        }
    }
    let text = component(
        r#"(type $s (stream string))
           (core func $new (canon stream.new $s))
           (core func $read (canon stream.read $s (memory $memory) (realloc $realloc)))
           (core func $write (canon stream.write $s (memory $memory)))
           (core func $drop (canon stream.drop-writable $s))
           (core func $words (canon lower (func $words)))
           (core func $take (canon lower (func $take)))"#,
        r#"(import "words" (func $words (result (stream string))))
           (import "take" (func $take (param "s" (stream string))))"#,
        r#"(import "" "new" (func $new (result i64)))
           (import "" "read" (func $read (param i32 i32 i32) (result i32)))
           (import "" "write" (func $write (param i32 i32 i32) (result i32)))
           (import "" "drop" (func $drop (param i32)))
           (import "" "words" (func $words (result i32)))
           (import "" "take" (func $take (param i32)))
           (func (export "run") (result i32)
               (local $in i32) (local $got i32) (local $pair i64)
               (local.set $in (call $words))
               (local.set $pair (call $new))
               (call $take (i32.wrap_i64 (local.get $pair)))
               (loop $more
                   (local.set $got (call $read (local.get $in) (i32.const 64) (i32.const 2)))
                   (drop (call $write (i32.wrap_i64 (i64.shr_u (local.get $pair) (i64.const 32)))
                       (i32.const 64) (i32.shr_u (local.get $got) (i32.const 4))))
                   (br_if $more (i32.eqz (i32.and (local.get $got) (i32.const 15)))))
               (call $drop (i32.wrap_i64 (i64.shr_u (local.get $pair) (i64.const 32))))
               (local.get $got))"#,
        r#"(export "new" (func $new)) (export "read" (func $read)) (export "write" (func $write))
           (export "drop" (func $drop)) (export "words" (func $words)) (export "take" (func $take))"#,
        r#"(func (export "run") async (result u32) (canon lift (core func $i "run")))"#,
    );
    let taken = Arc::new(Mutex::new(Vec::new()));
    let shared = taken.clone();
    let (mut store, instance) = instantiate(&text, |linker| {
        let mut root = linker.root();
        root.func("words", |store, _, _, results| {
            let words = Words(vec!["drei", "zwei", "", "eins"], false);
            results[0] = StreamReader::new(store, Some(ValType::String), words)?.into();
            Ok(())
        })
        .unwrap();
        root.func("take", move |store, _, args, _| {
            StreamReader::from_val(&mut args[0])?.consume(store, Take(shared.clone()))
        })
        .unwrap();
    });
    let last = call(&mut store, &instance, "run", &[]).unwrap();
    assert_eq!(last, Some(Val::from(2u32 << 4 | 1)), "two more, and no others");
    assert_eq!(*taken.lock().unwrap(), ["eins", "", "zwei", "drei"].map(Val::from));
}
