//! How much a guest may have going on: each bound is a trap that says so, and the host goes on.

use super::*;

/// A component whose function `run` does this over and over until it is stopped.
fn repeating(imports: &str, body: &str) -> String {
    running(imports, "", &format!("(loop {body} (br 0))"))
}

/// A component with a function `run`.
fn running(imports: &str, params: &str, run: &str) -> String {
    format!(
        r#"(component
            (import "later" (func $later async (param "n" u32) (result u32)))
            {imports}
            (component $runner
                (import "later" (func $later async (param "n" u32) (result u32)))
                (import "callee" (func $callee async))
                (core module $memory (memory (export "memory") 1))
                (core instance $memory (instantiate $memory))
                (core func $later (canon lower (func $later) async (memory (core memory $memory "memory"))))
                (core func $callee (canon lower (func $callee) async))
                (core func $set.new (canon waitable-set.new))
                (core func $backpressure.inc (canon backpressure.inc))
                (core module $m
                    (import "" "later" (func $later (param i32 i32) (result i32)))
                    (import "" "set.new" (func $set.new (result i32)))
                    (import "" "backpressure.inc" (func $backpressure.inc))
                    (import "" "callee" (func $callee (result i32)))
                    (func (export "run") {run}))
                (core instance $i (instantiate $m (with "" (instance
                    (export "later" (func $later)) (export "set.new" (func $set.new))
                    (export "backpressure.inc" (func $backpressure.inc))
                    (export "callee" (func $callee))))))
                (func (export "run") async {params} (canon lift (core func $i "run"))))
            (instance $runner (instantiate $runner (with "later" (func $later)) (with "callee" (func $callee "f"))))
            (export "run" (func $runner "run")))"#
    )
}

/// A component that never answers: it waits in its callback, or with its stack.
fn callee(stackful: bool) -> String {
    let (body, options) = if stackful {
        ("(drop (call $set.wait (global.get $set) (i32.const 0)))", "async")
    } else {
        (
            "(i32.or (i32.const 2) (i32.shl (global.get $set) (i32.const 4)))",
            r#"async (callback (core func $i "callback"))"#,
        )
    };
    let result = if stackful { "" } else { "(result i32)" };
    format!(
        r#"(component $callee
            (core module $memory (memory (export "memory") 1))
            (core instance $memory (instantiate $memory))
            (core func $set.new (canon waitable-set.new))
            (core func $set.wait (canon waitable-set.wait (memory (core memory $memory "memory"))))
            (core module $m
                (import "" "set.new" (func $set.new (result i32)))
                (import "" "set.wait" (func $set.wait (param i32 i32) (result i32)))
                (global $set (mut i32) (i32.const 0))
                (func $start (global.set $set (call $set.new)))
                (start $start)
                (func (export "f") {result} {body})
                (func (export "callback") (param i32 i32 i32) (result i32) unreachable))
            (core instance $i (instantiate $m (with "" (instance
                (export "set.new" (func $set.new)) (export "set.wait" (func $set.wait))))))
            (func (export "f") async (canon lift (core func $i "f") {options})))
        (instance $callee (instantiate $callee))"#
    )
}

#[track_caller]
fn stopped(text: &str, expected: &str) {
    let mut config = Config::default();
    config.features.component_model_async_stackful = true;
    let (mut store, instance, later) = instantiate(&engine(&config), text);
    let error = call(&mut store, &instance, "run", &[]).unwrap_err();
    assert!(format!("{error:#}").contains(expected), "{error:#}");
    assert_eq!(later.alive(), 0);
    let error = call(&mut store, &instance, "run", &[]).unwrap_err();
    assert!(error.to_string().contains("cannot enter component instance"), "{error}");
}

#[test]
fn what_runs_without_end_meets_the_hard_limit_of_the_store() {
    for (stackful, body, kind) in [
        (false, "(drop (call $callee))", "components"),
        (true, "(drop (call $callee))", "stacks"),
        (false, "(drop (call $later (i32.const 0) (i32.const 0)))", "components"),
    ] {
        let mut config = Config::default();
        config.features.component_model_async_stackful = true;
        let (mut store, instance, later) = instantiate(&engine(&config), &repeating(&callee(stackful), body));
        let budget = store.budget();
        budget.set_limits(None, Some(budget.total() + (8 << 20)));
        let error = format!("{:#}", call(&mut store, &instance, "run", &[]).unwrap_err());
        let expected = format!("bytes asked for {kind}");
        assert!(error.contains("the store's budget is used up: ") && error.contains(&expected), "{error}");
        assert!(budget.peak() > 4 << 20 && budget.peak() <= budget.hard_limit().unwrap(), "{}", budget.peak());
        assert_eq!(later.alive(), 0);
        drop((instance, store));
        assert_eq!(budget.total(), 0);
    }
}

#[test]
fn tasks_are_bounded() {
    let text = repeating(&callee(false), "(drop (call $callee))");
    stopped(&text, "too many tasks of components in one store: at most 65536 are allowed");
}

/// A component with a function that never ends, and one that calls it as often as told, and goes on.
fn starting() -> String {
    let run = r#"(param $n i32)
        (loop (if (local.get $n) (then
            (drop (call $callee)) (local.set $n (i32.sub (local.get $n) (i32.const 1))) (br 1))))"#;
    let imports = callee(false) + r#"(export "f" (func $callee "f"))"#;
    running(&imports, r#"(param "n" u32)"#, run)
}

/// How many tasks calls from the host may begin, and how many calls from guests.
const TASKS: u32 = 65_536;

#[test]
fn calls_that_the_host_has_started_leave_guests_their_tasks() {
    let (mut store, instance, _) = instantiate(&engine(&Config::default()), &starting());
    let f = func(&mut store, &instance, "f");
    let started: Vec<_> = (1..TASKS).map(|_| f.start(&mut store, Vec::new()).unwrap()).collect();
    assert!(ampoule_component::run_tasks(&mut store).unwrap().is_pending());
    call(&mut store, &instance, "run", &[TASKS]).unwrap();
    let error = call(&mut store, &instance, "run", &[1]).unwrap_err().to_string();
    assert_eq!(error, "too many tasks of components in one store: at most 65536 are allowed");
    drop(started);
}

#[test]
fn tasks_of_guests_leave_the_host_its_calls() {
    let mut config = Config::default();
    config.cancellation(true);
    let (mut store, instance, _) = instantiate(&engine(&config), &starting());
    call(&mut store, &instance, "run", &[TASKS]).unwrap();
    let f = func(&mut store, &instance, "f");
    let started: Vec<_> = (0..TASKS).map(|_| f.start(&mut store, Vec::new()).unwrap()).collect();
    let generation = store.cancel_token().unwrap().generation();
    // One more is refused, whichever way, and does no harm.
    let expected = "too many calls of components in one store: at most 65536 are allowed";
    assert_eq!(f.start(&mut store, Vec::new()).unwrap_err().to_string(), expected);
    assert_eq!(call(&mut store, &instance, "run", &[0]).unwrap_err().to_string(), expected);
    assert_eq!(store.cancel_token().unwrap().generation(), generation, "no call has begun that does not end");
    drop(started);
}

#[test]
fn tasks_that_outlive_calls_of_the_host_are_bounded() {
    let (mut store, instance, _later) = instantiate(&engine(&Config::default()), GUEST);
    for n in 0..TASKS {
        assert_eq!(call(&mut store, &instance, "behind", &[n]).unwrap(), n);
    }
    let error = call(&mut store, &instance, "behind", &[0]).unwrap_err().to_string();
    assert_eq!(error, "too many tasks that the host has begun of components in one store: at most 65536 are allowed");
}

#[test]
fn stacks_are_bounded() {
    let text = repeating(&callee(true), "(drop (call $callee))");
    stopped(&text, "too many threads of components in one store wait on stacks of their own: at most 4096 may");
}

#[test]
fn calls_of_the_host_are_bounded() {
    let text = repeating(&callee(false), "(drop (call $later (i32.const 0) (i32.const 0)))");
    stopped(&text, "too many host calls of components in one store: at most 65536 are allowed");
}

#[test]
fn waitable_sets_are_bounded() {
    let text = repeating(&callee(false), "(drop (call $set.new))");
    stopped(&text, "too many waitable sets of components in one store: at most 524288 are allowed");
}

#[test]
fn backpressure_is_bounded() {
    let text = repeating(&callee(false), "(call $backpressure.inc)");
    stopped(&text, "backpressure counter overflow");
}
