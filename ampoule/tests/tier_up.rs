//! Guests whose functions are optimized while they run: what happens just then is the same as it is at any other time. Code changes at a number
//! of calls and turns, so each test tries many numbers: the change falls on every call and every turn of the guest once.

use ampoule::error::ErrorKind;
use ampoule::store::epoch::UpdateDeadline;
use ampoule::{Config, Engine, Error, Extern, Func, FuncType, Instance, Module, Store, TrapCode, Val};
use ampoule_core::tunables::Tiers;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Functions are optimized after so many calls and turns, by this many threads; with none, by the guest's own, at that moment.
fn engine(after: u32, threads: usize, change: impl FnOnce(&mut Config)) -> Engine {
    let mut config = Config::new();
    config.tiers(Tiers::Auto);
    (config.tier_up.after, config.tier_up.threads) = (after, threads);
    let features = &mut config.features;
    (features.function_references, features.gc, features.exceptions) = (true, true, true);
    change(&mut config);
    Engine::new(&config).expect("it can be had")
}

/// Engines whose guests change at each of the first calls and turns; the last one's never do.
fn engines(change: impl Fn(&mut Config)) -> impl Iterator<Item = (u32, Engine)> {
    let numbers = [0, 1, 2, 3, 4, 5, 7, 9, 12, 15, 20, 30, 1 << 30];
    numbers.into_iter().map(move |after| (after, engine(after, 0, &change)))
}

/// A new instance in a new store, with much fuel and time.
fn instance(engine: &Engine, module: &Module) -> (Box<Store>, Instance) {
    let mut store = Store::new(engine);
    let _ = store.set_fuel(1 << 40);
    store.set_epoch_deadline(1 << 40);
    let instance = Instance::new(&mut store, module, &[]).expect("it imports nothing");
    (store, instance)
}

fn call(store: &mut Store, instance: &Instance, name: &str, arg: i32) -> Result<i32, Error> {
    let func = instance.get_func(store, name).expect("it is exported");
    let mut results = [Val::I32(0)];
    func.call(store, &[Val::I32(arg)], &mut results)?;
    let Val::I32(result) = results[0] else { panic!("the result is an integer") };
    Ok(result)
}

fn trap_code(result: Result<i32, Error>) -> Option<TrapCode> {
    result.expect_err("it doesn't return").trap_code()
}

/// `run` calls `$step` from a loop, which has a loop itself, so that it is never inlined. `$done` counts its turns, and at `$last` it does `what`.
fn stepping(what: &str) -> String {
    format!(
        r#"(module
          (memory 1)
          (global $done (export "done") (mut i32) (i32.const 0))
          (global $last (mut i32) (i32.const 0))
          (func $stop {what})
          (func $step (param i32) (result i32) (local $sum i32)
            (loop $again
              (global.set $done (i32.add (global.get $done) (i32.const 1)))
              (if (i32.eq (global.get $done) (global.get $last)) (then (call $stop)))
              (local.set $sum (i32.add (local.get $sum) (local.get 0)))
              (br_if $again (i32.rem_u (global.get $done) (i32.const 3))))
            (local.get $sum))
          (func (export "run") (param $last i32) (result i32) (local $i i32) (local $sum i32)
            (global.set $last (local.get $last))
            (global.set $done (i32.const 0))
            (loop $again
              (local.set $sum (i32.add (i32.mul (local.get $sum) (i32.const 7)) (call $step (local.get $i))))
              (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 12))))
            (local.get $sum)))"#
    )
}

#[test]
fn a_trap_is_the_same_at_every_turn_wherever_the_code_changes() {
    for (what, code) in [
        ("unreachable", TrapCode::Unreachable),
        ("(i32.store (i32.const -1) (i32.const 0))", TrapCode::MemoryOutOfBounds),
        ("(drop (i32.div_u (i32.const 1) (i32.load (i32.const 0))))", TrapCode::IntegerDivisionByZero),
        ("(call $stop)", TrapCode::StackOverflow),
    ] {
        let mut seen = Vec::new();
        for (after, engine) in engines(|config| config.tunables.consume_fuel = true) {
            let module = Module::new(&engine, stepping(what).as_bytes()).expect("it is valid");
            // Once for all, so that the change comes at another call each time.
            let runs = (1..40).step_by(3).map(|last| {
                let (mut store, instance) = instance(&engine, &module);
                match call(&mut store, &instance, "run", last) {
                    Ok(result) => (Ok(result), store.fuel().ok(), Vec::new()),
                    Err(error) => {
                        let frames = error.backtrace().expect("a trap has one").frames();
                        assert!(last <= 36, "it was to return");
                        let frames = frames.iter().map(|frame| (frame.func_index(), frame.module_offset())).collect();
                        // How many calls fit on the stack, another time.
                        let fuel = store.fuel().ok().filter(|_| code != TrapCode::StackOverflow);
                        (Err(error.trap_code()), fuel, frames)
                    }
                }
            });
            let runs: Vec<_> = runs.collect();
            assert!(runs.iter().all(|(end, ..)| end.is_ok() || *end == Err(Some(code))), "{what}, {after}: {runs:?}");
            seen.push((after, runs));
        }
        let (_, expected) = seen.last().expect("there are engines");
        for (after, runs) in &seen {
            assert_eq!(runs, expected, "{what}, changing after {after}");
        }
    }
}

#[test]
fn fuel_runs_out_at_the_same_turn_wherever_the_code_changes() {
    let text = stepping("");
    let mut expected = Vec::new();
    for fuel in (0..880).step_by(22) {
        let mut seen = Vec::new();
        for (after, engine) in engines(|config| config.tunables.consume_fuel = true) {
            let module = Module::new(&engine, text.as_bytes()).expect("it is valid");
            let (mut store, instance) = instance(&engine, &module);
            store.set_fuel(fuel).expect("the engine counts");
            let end = call(&mut store, &instance, "run", 0).map_err(|error| error.trap_code());
            let Some(Extern::Global(done)) = instance.get_export(&store, "done") else { panic!("it is exported") };
            let done = done.get(&mut store).expect("it is its store");
            seen.push((after, format!("{end:?}, {done:?}, {:?}", store.fuel().ok())));
        }
        let last = seen.last().expect("there are engines").1.clone();
        assert!(seen.iter().all(|(_, one)| *one == last), "with {fuel}: {seen:?}");
        expected.push(last);
    }
    expected.dedup();
    assert!(expected.len() > 30, "it is stopped at many places: {expected:?}");
}

#[test]
fn a_guest_is_interrupted_as_often_wherever_the_code_changes() {
    let text = stepping("");
    let mut seen = Vec::new();
    for (after, engine) in engines(|config| config.tunables.epoch_interruption = true) {
        let module = Module::new(&engine, text.as_bytes()).expect("it is valid");
        let (mut store, instance) = instance(&engine, &module);
        // Whoever waits for a compiler looks as well: the first call may take as many looks as it likes.
        let first = call(&mut store, &instance, "run", 0).expect("it returns");
        let looks = Arc::new(AtomicUsize::new(0));
        let counter = looks.clone();
        store.set_epoch_deadline(0);
        store.epoch_deadline_callback(Some(Box::new(move |store| {
            counter.fetch_add(1, Ordering::Relaxed);
            store.gc();
            Ok(UpdateDeadline::Continue(0))
        })));
        let second = call(&mut store, &instance, "run", 0).expect("it returns");
        seen.push((after, first, second, looks.load(Ordering::Relaxed)));
    }
    let &(_, first, second, looks) = seen.last().expect("there are engines");
    assert_eq!((first, looks), (second, 1 + 12 + 12 + 36), "entries and turns");
    assert!(seen.iter().all(|one| (one.1, one.2, one.3) == (first, second, looks)), "{seen:?}");
}

#[test]
fn a_guest_can_be_cancelled_while_its_code_changes() {
    let text = r#"(module
      (func $leaf (param i32) (result i32) (loop $l (br_if $l (i32.const 0))) (i32.add (local.get 0) (i32.const 1)))
      (func (export "run") (param i32) (result i32)
        (loop $again (local.set 0 (call $leaf (local.get 0))) (br $again)) (unreachable)))"#;
    for turn in 0..60 {
        let engine = engine(1 + turn % 7, turn as usize % 2, |config| config.tunables.cancellation = true);
        let module = Module::new(&engine, text.as_bytes()).expect("it is valid");
        let (mut store, instance) = instance(&engine, &module);
        let token = store.cancel_token().expect("the engine cancels");
        let generation = token.generation();
        let canceller = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_micros(u64::from(turn) * 97));
            assert!(token.cancel(generation), "the call has no other end");
        });
        let error = call(&mut store, &instance, "run", 0).expect_err("it never returns");
        assert!(matches!(error.kind(), ErrorKind::Cancelled(_)), "{error:?}");
        canceller.join().expect("it cancels");
    }
}

#[test]
fn the_stack_may_be_full_of_frames_of_both_tiers() {
    let text = r#"(module
      (func $f (param i32) (result i32)
        (if (i32.eqz (local.get 0)) (then (return (i32.const 0))))
        (i32.add (call $f (i32.sub (local.get 0) (i32.const 1))) (i32.const 1)))
      (func (export "run") (param i32) (result i32) (call $f (local.get 0))))"#;
    for (after, engine) in engines(|_| {}) {
        let module = Module::new(&engine, text.as_bytes()).expect("it is valid");
        let (mut store, instance) = instance(&engine, &module);
        for _ in 0..3 {
            assert_eq!(trap_code(call(&mut store, &instance, "run", -1)), Some(TrapCode::StackOverflow), "{after}");
            assert_eq!(call(&mut store, &instance, "run", 100).expect("there is room"), 100, "{after}");
        }
    }
}

/// The stack that a guest has taken each time that it overflowed, in bytes: it calls `note` at each depth, and the last call shows how far it came.
/// `locals` are kept over the recursive call, so that the frame is large.
fn taken(config: &Config, locals: usize) -> Vec<usize> {
    let engine = Engine::new(config).expect("it can be had");
    let names: String = (0..locals).map(|at| format!("(local $l{at} i64)")).collect();
    let sets: String = (0..locals).map(|at| format!("(local.set $l{at} (i64.load (i32.const {})))", 8 * at)).collect();
    let sums: String = (0..locals).map(|at| format!("(i64.store (i32.const {}) (local.get $l{at}))", 8 * at)).collect();
    let text = format!(
        r#"(module
          (import "" "note" (func $note))
          (memory 1)
          (func $f (param i32) (result i32) {names}
            (call $note)
            {sets}
            (local.set 0 (i32.add (call $f (i32.add (local.get 0) (i32.const 1))) (i32.const 1)))
            {sums}
            (local.get 0))
          (func (export "run") (param i32) (result i32) (call $f (local.get 0))))"#
    );
    let module = Module::new(&engine, text.as_bytes()).expect("it is valid");
    let mut store = Store::new(&engine);
    let addresses = Arc::new(Mutex::new(Vec::new()));
    let notes = addresses.clone();
    let note = Func::new(&mut store, &FuncType::new([], []), move |_, _, _| {
        let here = 0_u8;
        notes.lock().expect("nobody panics with it").push((&raw const here).addr());
        Ok(())
    });
    let imports = [Extern::Func(note.expect("it can be made"))];
    let instance = Instance::new(&mut store, &module, &imports).expect("that is what it imports");
    let mut taken = Vec::new();
    // In frames of the first code, then, where functions are optimized, of both, then of better code alone.
    for _ in 0..3 {
        addresses.lock().expect("nobody panics with it").clear();
        assert_eq!(trap_code(call(&mut store, &instance, "run", 0)), Some(TrapCode::StackOverflow));
        let addresses = addresses.lock().expect("nobody panics with it");
        taken.push(addresses[0] - addresses[addresses.len() - 1]);
    }
    taken
}

/// More than a frame of `taken` is large.
const FRAME_MAX: usize = 4096;

#[test]
fn the_stack_is_full_where_its_limit_says_whichever_compiler_made_the_frames() {
    for max_wasm_stack in [64 << 10, 512 << 10, 1 << 20] {
        for locals in [0, 3, 200] {
            let taken = |tiers, after| {
                let mut config = Config::new();
                config.tiers(tiers).max_wasm_stack = max_wasm_stack;
                (config.tier_up.after, config.tier_up.threads) = (after, 0);
                taken(&config, locals)
            };
            let modes = [(Tiers::Optimizing, 0), (Tiers::Baseline, 0)];
            let modes = modes.into_iter().chain([0, 1, 20, 200].map(|after| (Tiers::Auto, after)));
            let all: Vec<_> = modes.map(|(tiers, after)| (tiers, after, taken(tiers, after))).collect();
            let expected = max_wasm_stack - FRAME_MAX..=max_wasm_stack;
            assert!(
                all.iter().all(|(.., taken)| taken.iter().all(|taken| expected.contains(taken))),
                "{max_wasm_stack}, {locals} locals: {all:?}"
            );
        }
    }
}

#[test]
fn exceptions_and_collections_find_their_way_through_frames_of_both_tiers() {
    // Every third frame catches, adds and throws again; all keep an object over the calls.
    let text = r#"(module
      (type $s (struct (field i32)))
      (tag $t (param i32))
      (func $f (param $depth i32) (result i32) (local $own (ref null $s)) (local $n i32)
        (local.set $own (struct.new $s (local.get $depth)))
        (if (i32.eqz (local.get $depth)) (then (throw $t (i32.const 5))))
        (if (i32.rem_u (local.get $depth) (i32.const 3)) (then
          (local.set $n (call $f (i32.sub (local.get $depth) (i32.const 1))))
          (return (i32.add (local.get $n) (struct.get $s 0 (local.get $own))))))
        (block $caught (result i32)
          (try_table (result i32) (catch $t $caught) (call $f (i32.sub (local.get $depth) (i32.const 1))))
          (return))
        (throw $t (i32.add (i32.mul (i32.const 3)) (struct.get $s 0 (local.get $own)))))
      (func (export "run") (param i32) (result i32)
        (block $caught (result i32) (try_table (result i32) (catch $t $caught) (call $f (local.get 0))))))"#;
    let text = text.replace(
        "(i32.add (i32.mul (i32.const 3)) (struct.get $s 0 (local.get $own)))",
        "(i32.add (struct.get $s 0 (local.get $own)))",
    );
    for stress in [false, true] {
        let mut seen = Vec::new();
        for (after, engine) in engines(|config| config.gc_stress = stress) {
            let module = Module::new(&engine, text.as_bytes()).expect("it is valid");
            let (mut store, instance) = instance(&engine, &module);
            let results: Vec<_> = [3, 10, 17, 30].map(|depth| call(&mut store, &instance, "run", depth).ok()).into();
            seen.push((after, results));
        }
        let expected = seen.last().expect("there are engines").1.clone();
        assert!(expected.iter().all(Option::is_some), "{expected:?}");
        assert!(seen.iter().all(|(_, results)| *results == expected), "{seen:?}");
    }
}

/// Functions of some size that call each other, and give the same whoever made their code.
fn large(functions: usize) -> String {
    let mut text = String::from("(module (memory 1)");
    for at in 0..functions {
        let next = if at == 0 { "(local.get 0)".into() } else { format!("(call $f{} (local.get 0))", at - 1) };
        text += &format!(
            "(func $f{at} (param i32) (result i32) (local i32) (loop $l (br_if $l (i32.const 0))) (local.set 1 {next})"
        );
        for step in 0..30 {
            text += &format!(
                "(local.set 1 (i32.add (i32.mul (local.get 1) (i32.const {})) (i32.load (i32.and (local.get 1) (i32.const 0xffc)))))",
                2 * step + 3
            );
        }
        text += "(local.get 1))";
    }
    text + &format!(r#"(func (export "run") (param i32) (result i32) (call $f{} (local.get 0))))"#, functions - 1)
}

#[test]
fn threads_that_call_a_module_while_it_changes_get_the_same() {
    let text = large(12);
    let never = engine(1 << 30, 0, |_| {});
    let (mut store, first) = instance(&never, &Module::new(&never, text.as_bytes()).expect("it is valid"));
    let expected: Vec<i32> = (0..50).map(|arg| call(&mut store, &first, "run", arg).expect("it returns")).collect();
    for threads in [0, 1, 3] {
        let engine = engine(20, threads, |_| {});
        let module = Module::new(&engine, text.as_bytes()).expect("it is valid");
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let (mut store, instance) = instance(&engine, &module);
                    for _ in 0..4 {
                        for (arg, &expected) in expected.iter().enumerate() {
                            let found = call(&mut store, &instance, "run", arg as i32);
                            assert_eq!(found.expect("it returns"), expected, "{threads} threads");
                        }
                    }
                });
            }
        });
        if threads == 0 {
            // Who is in a loop meanwhile may ask for code from there, too.
            assert!(engine.compiled_functions() >= 2 * 13, "each was compiled at first, and for good");
        }
    }
}

/// Has all functions asked for.
fn warm(engine: &Engine, module: &Module) {
    let (mut store, instance) = instance(engine, module);
    for arg in 0..4 {
        call(&mut store, &instance, "run", arg).expect("it returns");
    }
}

#[test]
fn modules_and_engines_may_go_while_their_functions_are_optimized() {
    let text = large(10);
    let keeps = engine(1, 2, |_| {});
    for turn in 0..20 {
        let module = Module::new(&keeps, text.as_bytes()).expect("it is valid");
        warm(&keeps, &module);
        std::thread::sleep(Duration::from_micros(turn * 300));
        drop(module);
        let goes = engine(1, 2, |_| {});
        let module = Module::new(&goes, text.as_bytes()).expect("it is valid");
        warm(&goes, &module);
        std::thread::sleep(Duration::from_micros(turn * 300));
        // The module goes first in every other turn.
        if turn % 2 == 0 {
            drop((module, goes));
        } else {
            drop((goes, module));
        }
    }
    // Those who optimized end when there is nothing to do.
    let of_ours = || {
        let tasks = std::fs::read_dir("/proc/self/task").expect("there are threads");
        let names = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
        names.filter(|name| name.starts_with("ampoule-optim")).count()
    };
    for _ in 0..1000 {
        if of_ours() == 0 {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("{} threads are left", of_ours());
}

#[test]
fn a_child_that_is_forked_while_functions_are_optimized_goes_on() {
    let text = large(10);
    let engine = engine(1, 2, |_| {});
    for turn in 0..10 {
        let module = Module::new(&engine, text.as_bytes()).expect("it is valid");
        let (mut store, instance) = instance(&engine, &module);
        let expected = call(&mut store, &instance, "run", 3).expect("it returns");
        std::thread::sleep(Duration::from_micros(turn * 500));
        // SAFETY: the child, in its only thread, runs what is tested and ends without returning.
        match unsafe { libc::fork() } {
            0 => {
                // SAFETY: a signal ends the child, should it hang.
                unsafe { libc::alarm(20) };
                let same = (0..30).all(|_| call(&mut store, &instance, "run", 3).ok() == Some(expected));
                // SAFETY: ends the process.
                unsafe { libc::_exit(i32::from(!same)) }
            }
            child => {
                let mut status = 0;
                // SAFETY: waits for the child made above.
                assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
                assert_eq!(status, 0, "the child got the same, turn {turn}");
                assert_eq!(call(&mut store, &instance, "run", 3).expect("it returns"), expected);
            }
        }
    }
}

/// Resident bytes of the process.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").expect("there is one");
    let pages: usize = text.split(' ').nth(1).expect("the second number").parse().expect("a number");
    pages * 4096
}

#[test]
fn a_thousand_modules_that_were_optimized_leave_nothing_behind() {
    let text = r#"(module
      (func $leaf (param i32) (result i32) (loop $l (br_if $l (i32.const 0))) (i32.add (local.get 0) (i32.const 1)))
      (func (export "run") (param i32) (result i32) (call $leaf (call $leaf (call $leaf (local.get 0))))))"#;
    let binary = Module::binary_of_text(text).expect("the text is right");
    for threads in [0, 1] {
        let engine = engine(1, threads, |_| {});
        let mut before = 0;
        for turn in 0..500 {
            let module = Module::from_binary(&engine, &binary).expect("it is valid");
            warm(&engine, &module);
            if turn == 200 {
                before = resident();
            }
        }
        let more = resident().saturating_sub(before);
        assert!(more < 3 << 20, "{threads} threads: 300 modules left {more} bytes behind");
    }
}
