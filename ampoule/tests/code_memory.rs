//! Code that was replaced or taken out of use is given back, other code comes to where it was, and guests notice nothing of it.

use ampoule::engine::code_memory::CodeStatistics;
use ampoule::{Caller, Config, Engine, Extern, Func, Instance, Module, Store, Tiers};
use std::fmt::Write;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

/// An engine whose functions are optimized after so many calls and turns, and which should have so much code.
fn engine(after: u32, threads: usize, code_memory: usize) -> Engine {
    let mut config = Config::new();
    config.tiers(Tiers::Auto);
    (config.tier_up.after, config.tier_up.threads) = (after, threads);
    config.code_memory = code_memory;
    config.features.exceptions = true;
    Engine::new(&config).expect("it can be had")
}

/// Much more than there will be.
const MUCH: usize = 1 << 30;

/// How many functions the guest has.
const FUNCTIONS: u32 = 200;

/// A guest of many functions, each of which has a loop and some code, catches its own exceptions, and calls the next one as often as it is told.
/// `sum` calls each of them, `times` times; `deep` is so many calls deep when it calls `sum`.
fn guest(engine: &Engine) -> Module {
    let mut text = r#"(module (import "" "host" (func $host))
        (table $all funcref (elem"#
        .to_string();
    (0..FUNCTIONS).for_each(|number| write!(text, " $f{number}").unwrap());
    text.push_str(
        r#"))
        (type $f (func (param i32 i32) (result i32)))
        (tag $thrown (param i32))
        (func $sum (export "sum") (param $times i32) (result i32) (local $at i32) (local $sum i32)
          (loop $again
            (local.set $sum (i32.add (i32.mul (local.get $sum) (i32.const 31))
              (call_indirect $all (type $f) (i32.const 0) (local.get $times) (local.get $at))))
            (local.set $at (i32.rem_u (i32.add (local.get $at) (i32.const 1)) (table.size $all)))
            (br_if $again (local.get $at))
            (br_if $again (local.tee $times (i32.sub (local.get $times) (i32.const 1)))))
          (call $host)
          (local.get $sum))
        (global $times (mut i32) (i32.const 1))
        (func (export "deep") (param $depth i32) (param $times i32) (result i32)
          (global.set $times (local.get $times))
          (call $f0 (local.get $depth) (i32.const 5)))"#,
    );
    for number in 0..FUNCTIONS {
        let next = (number + 1) % FUNCTIONS;
        write!(text, "(func $f{number} (type $f) (local $sum i32) (local $turn i32)").unwrap();
        // What it is different from the others by, before and after the call.
        let some_code = |text: &mut String, count| {
            for step in 0..count {
                let constant = number * 7 + step * 13 + 1;
                write!(
                    text,
                    "(local.set $sum (i32.rotl (i32.add (local.get $sum) (i32.const {constant})) (local.get 1)))"
                )
                .unwrap();
            }
        };
        text.push_str("(loop $again (local.set $turn (i32.add (local.get $turn) (i32.const 1)))");
        some_code(&mut text, number % 5 + 10);
        text.push_str("(br_if $again (i32.lt_u (local.get $turn) (i32.const 2))))");
        write!(
            text,
            "(if (i32.eqz (local.get 0)) (then
               (block $caught (result i32)
                 (try_table (catch $thrown $caught) (throw $thrown (i32.const {number})))
                 (unreachable))
               (return (i32.add (local.get $sum)))))
             (local.set $sum (i32.add (local.get $sum)
               (if (result i32) (i32.eq (local.get 0) (i32.const 1))
                 (then (call $sum (global.get $times)))
                 (else (call $f{next} (i32.sub (local.get 0) (i32.const 1)) (local.get 1))))))"
        )
        .unwrap();
        some_code(&mut text, 3);
        text.push_str("(local.get $sum))");
    }
    text.push(')');
    Module::new(engine, text.as_bytes()).expect("it is valid")
}

/// A store with an instance, whose host function tells what there is of code while the guest runs.
fn instance(engine: &Engine, module: &Module) -> (Box<Store>, Instance) {
    let mut store = Store::new(engine);
    store.set_data(Box::new(CodeStatistics::default()));
    let host = Func::wrap(&mut store, |mut caller: Caller<'_>| {
        let found = caller.store().engine().code_memory().statistics();
        *caller.store().data_mut().downcast_mut::<CodeStatistics>().expect("it is put there") = found;
    });
    let host = host.expect("it has a type");
    let instance = Instance::new(&mut store, module, &[Extern::Func(host)]).expect("it fits");
    (store, instance)
}

fn sum(store: &mut Store, instance: &Instance, times: i32) -> i32 {
    let func = instance.get_func(store, "sum").expect("it is exported").typed::<(i32,), i32>(store).expect("it fits");
    func.call(store, (times,)).expect("it returns")
}

fn deep(store: &mut Store, instance: &Instance, depth: i32, times: i32) -> i32 {
    let func = instance.get_func(store, "deep").expect("it is exported");
    func.typed::<(i32, i32), i32>(store).expect("it fits").call(store, (depth, times)).expect("it returns")
}

/// What the guest answers where nothing is replaced.
fn expected<R>(ask: impl FnOnce(&mut Store, &Instance) -> R) -> R {
    let mut config = Config::new();
    config.tiers(Tiers::Optimizing);
    config.features.exceptions = true;
    let engine = Engine::new(&config).expect("it can be had");
    let module = guest(&engine);
    let (mut store, instance) = instance(&engine, &module);
    ask(&mut store, &instance)
}

/// Whether code can be given back at all here.
fn gives_back() -> bool {
    let works = ampoule_machine::os::barrier::in_all_threads();
    if !works {
        eprintln!("skipped: the kernel has no barrier for all threads");
    }
    works
}

#[test]
fn what_was_replaced_is_given_back_while_the_guest_goes_on_and_after_it() {
    if !gives_back() {
        return;
    }
    let engine = engine(20, 0, MUCH);
    let module = guest(&engine);
    let (mut store, instance) = instance(&engine, &module);
    sum(&mut store, &instance, 1);
    let first = engine.code_memory().statistics();
    assert!(first.bytes > 150 << 10 && first.replaced_bytes < 2048, "{first:?}");
    // Everything is replaced in the middle of one call.
    assert_eq!(deep(&mut store, &instance, 3, 50), expected(|store, instance| deep(store, instance, 3, 50)));
    let inside = *store.data().downcast_ref::<CodeStatistics>().expect("it was put there");
    assert!(inside.replaced_bytes < 140 << 10, "{inside:?}");
    // Nothing is in what is left now.
    engine.code_memory().free_unused();
    let after = engine.code_memory().statistics();
    assert!(after.replaced_bytes == 0 && after.bytes < first.bytes, "{after:?}, at first {first:?}");
    assert_eq!(after.evicted_functions, 0);
    drop((store, module));
    assert_eq!(engine.code_memory().statistics().bytes, 0);
}

#[test]
fn threads_that_optimize_give_back_what_they_have_replaced() {
    if !gives_back() {
        return;
    }
    let engine = engine(20, 2, MUCH);
    let module = guest(&engine);
    let (mut store, instance) = instance(&engine, &module);
    let until = Instant::now() + Duration::from_secs(60);
    let mut most = 0;
    while most == 0 {
        sum(&mut store, &instance, 10);
        most = engine.code_memory().statistics().replaced_bytes;
        assert!(Instant::now() < until);
    }
    // Without a guest nothing is in the way.
    while engine.code_memory().statistics().replaced_bytes > 0 {
        assert!(Instant::now() < until);
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn frames_of_code_that_was_replaced_are_returned_to() {
    for depth in [1, 40, FUNCTIONS as i32 + 100] {
        let expected = expected(|store, instance| deep(store, instance, depth, 30));
        for (after, limit) in [(1, MUCH), (25, MUCH), (25, 300 << 10), (3, 100 << 10), (25, 40 << 10), (1 << 30, 1)] {
            let engine = engine(after, 0, limit);
            let module = guest(&engine);
            let (mut store, instance) = instance(&engine, &module);
            for _ in 0..2 {
                assert_eq!(deep(&mut store, &instance, depth, 30), expected, "{after} {limit}");
            }
        }
    }
}

#[test]
fn there_is_no_more_code_than_there_should_be_and_what_fell_out_is_made_again() {
    if !gives_back() {
        return;
    }
    let expected = expected(|store, instance| sum(store, instance, 30));
    for after in [25, 1 << 30] {
        let limit = 64 << 10;
        let engine = engine(after, 0, limit);
        let module = guest(&engine);
        let (mut store, instance) = instance(&engine, &module);
        assert_eq!(sum(&mut store, &instance, 30), expected);
        let inside = *store.data().downcast_ref::<CodeStatistics>().expect("it was put there");
        assert!(inside.evicted_functions > 100, "{inside:?}");
        // Only as much more as may be placed between two looks, and what is replaced then.
        assert!(inside.bytes < 2 * limit as u64, "{inside:?}");
        assert_eq!(inside.limit, limit as u64);
    }
}

#[test]
fn guests_on_many_threads_notice_nothing() {
    let expected = expected(|store, instance| (sum(store, instance, 7), deep(store, instance, 150, 3)));
    let engine = engine(15, 2, 100 << 10);
    let modules: Arc<[Module]> = [(); 2].map(|()| guest(&engine)).into();
    let threads: Vec<_> = (0..4)
        .map(|number| {
            let (engine, modules) = (engine.clone(), modules.clone());
            thread::spawn(move || {
                for round in 0..6 {
                    let (mut store, instance) = instance(&engine, &modules[(number + round) % 2]);
                    let found = (sum(&mut store, &instance, 7), deep(&mut store, &instance, 150, 3));
                    assert_eq!(found, expected);
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().expect("it is the same in each thread"));
}

#[test]
fn a_guest_that_waits_keeps_what_it_returns_to() {
    let expected = expected(|store, instance| deep(store, instance, 30, 2));
    let engine = engine(25, 0, 64 << 10);
    let module = guest(&engine);
    let mut store = Store::new(&engine);
    let host = Func::wrap_async(&mut store, |(): ()| async move {
        let mut polled = false;
        std::future::poll_fn(|_| if std::mem::replace(&mut polled, true) { Poll::Ready(()) } else { Poll::Pending })
            .await;
    });
    let mut context = Context::from_waker(Waker::noop());
    let imports = [Extern::Func(host.expect("it has a type"))];
    let Poll::Ready(suspended) = pin!(Instance::new_async(&mut store, &module, &imports)).poll(&mut context) else {
        panic!("nothing waits")
    };
    let suspended = suspended.expect("it fits");
    let func = suspended.get_func(&store, "deep").expect("it is exported");
    let func = func.typed::<(i32, i32), i32>(&store).expect("it fits");
    for _ in 0..3 {
        let mut call = pin!(func.call_async(&mut store, (30, 2)));
        assert!(call.as_mut().poll(&mut context).is_pending());
        // Another guest of the module has everything replaced or taken out of use meanwhile.
        let (mut other, running) = instance(&engine, &module);
        sum(&mut other, &running, 30);
        let Poll::Ready(found) = call.poll(&mut context) else { panic!("the guest goes on") };
        assert_eq!(found.expect("it returns"), expected);
    }
}
