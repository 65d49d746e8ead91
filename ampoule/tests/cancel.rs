//! Cancelling calls: from other threads, by time limits, and never a call that it wasn't meant for.

use ampoule::error::CancelCause;
use ampoule::error::ErrorKind;
use ampoule::store::epoch::UpdateDeadline;
use ampoule::{
    CancelToken, Config, Engine, Error, Extern, Func, FuncType, Instance, Module, Store, TrapCode, Val, ValType,
};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

fn engine(change: impl FnOnce(&mut Config)) -> Engine {
    let mut config = Config::new();
    config.cancellation(true);
    change(&mut config);
    Engine::new(&config).unwrap()
}

const SPIN: &str = r#"(module
    (func (export "spin") (loop br 0))
    (func (export "count") (param i64) (result i64) (local i64)
        (loop (local.set 1 (i64.add (local.get 1) (i64.const 1)))
            (br_if 0 (i64.lt_u (local.get 1) (local.get 0))))
        local.get 1))"#;

fn func(store: &mut Store, wat: &str, imports: &[Extern], name: &str) -> Func {
    let module = Module::new(store.engine(), wat.as_bytes()).unwrap();
    let instance = Instance::new(store, &module, imports).unwrap();
    instance.get_func(store, name).unwrap()
}

fn cause(error: &Error) -> Option<CancelCause> {
    match error.kind() {
        ErrorKind::Cancelled(cause) => Some(*cause),
        _ => None,
    }
}

#[track_caller]
fn expect_cancelled(result: Result<(), Error>, expected: CancelCause) {
    let error = result.expect_err("it was cancelled");
    assert_eq!(cause(&error), Some(expected), "{error:?}");
    assert_eq!(error.trap_code(), Some(TrapCode::Interrupt));
    assert!(format!("{error:?}").contains("wasm trap: interrupt"), "{error:?}");
}

/// Cancels the call that is running, or the next one, after a while.
fn cancel_later(token: &CancelToken, after: Duration) -> thread::JoinHandle<bool> {
    let token = token.clone();
    let generation = token.generation();
    thread::spawn(move || {
        thread::sleep(after);
        token.cancel(generation)
    })
}

const SOON: Duration = Duration::from_millis(15);

#[test]
fn a_spinning_guest_is_cancelled_from_another_thread_and_the_store_goes_on() {
    type Change = fn(&mut Config);
    let changes: [Change; 4] = [
        |_| {},
        |config| config.tunables.epoch_interruption = true,
        |config| config.tunables.consume_fuel = true,
        |config| config.tunables.opt_level = ampoule_core::tunables::OptLevel::None,
    ];
    for change in changes {
        let engine = engine(change);
        let mut store = Store::new(&engine);
        store.set_epoch_deadline(u64::MAX);
        let _ = store.set_fuel(u64::MAX);
        let token = store.cancel_token().unwrap();
        let spin = func(&mut store, SPIN, &[], "spin");
        let count = func(&mut store, SPIN, &[], "count");
        for _ in 0..3 {
            let thread = cancel_later(&token, SOON);
            expect_cancelled(spin.call(&mut store, &[], &mut []), CancelCause::Token);
            assert!(thread.join().unwrap());
            let mut result = [Val::I64(0)];
            count.call(&mut store, &[Val::I64(1000)], &mut result).unwrap();
            assert_eq!(result, [Val::I64(1000)]);
        }
    }
}

#[test]
fn epochs_alone_are_enough_and_without_either_there_is_an_error() {
    let mut config = Config::new();
    config.epoch_interruption(true);
    let mut store = Store::new(&Engine::new(&config).unwrap());
    store.set_epoch_deadline(1000);
    let token = store.cancel_token().unwrap();
    let spin = func(&mut store, SPIN, &[], "spin");
    let thread = cancel_later(&token, SOON);
    expect_cancelled(spin.call(&mut store, &[], &mut []), CancelCause::Token);
    assert!(thread.join().unwrap());

    let mut store = Store::new(&Engine::default());
    assert!(matches!(store.cancel_token().unwrap_err().kind(), ErrorKind::Config(_)));
    assert!(store.set_call_time_limit(Some(SOON)).is_err());
    assert!(!store.is_cancelled());
}

#[test]
fn generations_count_outermost_calls_and_late_cancels_hit_nothing() {
    let mut store = Store::new(&engine(|_| {}));
    let count = func(&mut store, SPIN, &[], "count");
    let token = store.cancel_token().unwrap();
    for generation in 1..100 {
        assert_eq!(token.generation(), generation);
        assert!(!token.cancel(generation - 1) && !token.cancel(generation + 1) && !token.cancel(0));
        count.call(&mut store, &[Val::I64(10)], &mut [Val::I64(0)]).unwrap();
    }
}

#[test]
fn the_next_call_can_be_cancelled_before_it_begins_and_only_that() {
    let mut store = Store::new(&engine(|_| {}));
    let count = func(&mut store, SPIN, &[], "count");
    let token = store.cancel_token().unwrap();
    assert!(token.cancel(1) && store.is_cancelled());
    let mut call = || count.call(&mut store, &[Val::I64(10)], &mut [Val::I64(0)]);
    expect_cancelled(call(), CancelCause::Token);
    call().unwrap();
    assert_eq!(token.generation(), 3);
}

#[test]
fn a_token_outlives_its_store() {
    let mut store = Store::new(&engine(|_| {}));
    let token = store.cancel_token().unwrap();
    let other = store.cancel_token().unwrap();
    assert_eq!(token.generation(), other.generation());
    drop(store);
    assert_eq!(token.generation(), 0);
    assert!(!token.cancel(0) && !token.cancel(1) && !other.cancel(u64::MAX >> 4) && !other.cancel(u64::MAX));
}

#[test]
fn calls_of_the_host_that_the_guest_makes_belong_to_the_outer_call() {
    let mut store = Store::new(&engine(|_| {}));
    let token = store.cancel_token().unwrap();
    let inner = func(&mut store, SPIN, &[], "count");
    let of_host = token.clone();
    let ty = FuncType::new([], []);
    let host = Func::new(&mut store, &ty, move |mut caller, _, _| {
        assert_eq!(of_host.generation(), 1);
        inner.call(caller.store(), &[Val::I64(10)], &mut [Val::I64(0)])?;
        assert!(of_host.generation() == 1 && !caller.store().is_cancelled());
        assert!(of_host.cancel(1) && caller.store().is_cancelled());
        let error = inner.call(caller.store(), &[Val::I64(10)], &mut [Val::I64(0)]).unwrap_err();
        assert_eq!(cause(&error), Some(CancelCause::Token));
        // Swallowing it helps nobody: the outer guest is stopped at its next look.
        Ok(())
    })
    .unwrap();
    let wat = r#"(module (import "" "" (func $host)) (func (export "f") call $host (loop br 0)))"#;
    let f = func(&mut store, wat, &[Extern::Func(host)], "f");
    expect_cancelled(f.call(&mut store, &[], &mut []), CancelCause::Token);
    assert_eq!(token.generation(), 2);
}

#[test]
fn a_first_token_in_the_middle_of_a_call_is_refused() {
    let mut store = Store::new(&engine(|_| {}));
    let ty = FuncType::new([], []);
    let host = Func::new(&mut store, &ty, |mut caller, _, _| {
        assert!(caller.store().cancel_token().is_err());
        // A limit holds from the next call on.
        caller.store().set_call_time_limit(Some(Duration::ZERO))?;
        assert!(caller.store().cancel_token().is_ok());
        Ok(())
    })
    .unwrap();
    let wat = r#"(module (import "" "" (func $host)) (func (export "f") call $host))"#;
    let f = func(&mut store, wat, &[Extern::Func(host)], "f");
    f.call(&mut store, &[], &mut []).unwrap();
    assert_eq!(store.cancel_token().unwrap().generation(), 1);
}

#[test]
fn a_time_limit_stops_what_runs_into_it() {
    let mut store = Store::new(&engine(|_| {}));
    let spin = func(&mut store, SPIN, &[], "spin");
    let count = func(&mut store, SPIN, &[], "count");
    let limit = Duration::from_millis(20);
    for _ in 0..3 {
        store.set_call_time_limit(Some(Duration::MAX)).unwrap();
        for _ in 0..100 {
            count.call(&mut store, &[Val::I64(10)], &mut [Val::I64(0)]).unwrap();
        }
        store.set_call_time_limit(Some(limit)).unwrap();
        let start = Instant::now();
        expect_cancelled(spin.call(&mut store, &[], &mut []), CancelCause::TimeLimit);
        assert!(start.elapsed() >= limit);
    }
    store.set_call_time_limit(None).unwrap();
    thread::sleep(2 * limit);
    count.call(&mut store, &[Val::I64(10)], &mut [Val::I64(0)]).unwrap();
    store.set_call_time_limit(Some(Duration::ZERO)).unwrap();
    expect_cancelled(spin.call(&mut store, &[], &mut []), CancelCause::TimeLimit);
}

#[test]
fn an_epoch_callback_and_a_cancellation_lose_nothing() {
    let engine = engine(|config| config.tunables.epoch_interruption = true);
    let mut store = Store::new(&engine);
    let token = store.cancel_token().unwrap();
    let spin = func(&mut store, SPIN, &[], "spin");
    static CALLED: AtomicU64 = AtomicU64::new(0);
    // Every look finds the deadline over, and the callback moves it while others cancel.
    store.epoch_deadline_callback(Some(Box::new(|_| {
        CALLED.fetch_add(1, Ordering::Relaxed);
        Ok(UpdateDeadline::Continue(0))
    })));
    for round in 0..200 {
        let thread = cancel_later(&token, Duration::from_micros(round % 7 * 20));
        let result = spin.call(&mut store, &[], &mut []);
        expect_cancelled(result, CancelCause::Token);
        assert!(thread.join().unwrap());
    }
    assert!(CALLED.load(Ordering::Relaxed) > 0);
}

#[test]
fn in_a_storm_of_cancellations_each_call_is_hit_by_its_own_only() {
    let mut store = Store::new(&engine(|_| {}));
    let token = store.cancel_token().unwrap();
    let count = func(&mut store, SPIN, &[], "count");
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        // These only cancel odd generations, as late as they like.
        for pause in [0, 3, 50] {
            let (token, stop) = (token.clone(), &stop);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let generation = token.generation() | 1;
                    for _ in 0..pause {
                        std::hint::spin_loop();
                    }
                    token.cancel(generation);
                    if pause == 50 {
                        thread::yield_now();
                    }
                }
            });
        }
        let (mut cancelled, mut completed) = (0, 0);
        for round in 0..20_000_000u64 {
            // On a busy machine the threads may take a while to begin.
            if round >= 20_000 && cancelled > 0 {
                break;
            }
            let generation = token.generation();
            let mut result = [Val::I64(0)];
            let turns = (round % 100) as i64 * 10 + 1;
            match count.call(&mut store, &[Val::I64(turns)], &mut result) {
                Ok(()) => {
                    completed += 1;
                    assert_eq!(result, [Val::I64(turns)]);
                }
                Err(error) => {
                    cancelled += 1;
                    assert_eq!(cause(&error), Some(CancelCause::Token));
                    assert_eq!(generation % 2, 1, "an even generation was never cancelled");
                }
            }
            assert_eq!(token.generation(), generation + 1);
        }
        stop.store(true, Ordering::Relaxed);
        assert!(cancelled > 0 && completed >= 10_000, "{cancelled} and {completed}");
    });
}

#[test]
fn stores_come_and_go_while_others_cancel() {
    let engine = engine(|_| {});
    let module = Module::new(&engine, SPIN.as_bytes()).unwrap();
    let (sender, receiver) = mpsc::sync_channel::<CancelToken>(4);
    thread::scope(|scope| {
        scope.spawn(move || {
            for token in receiver {
                // Until the store is gone.
                while token.generation() != 0 {
                    token.cancel(token.generation());
                }
            }
        });
        for _ in 0..500 {
            let mut store = Store::new(&engine);
            sender.send(store.cancel_token().unwrap()).unwrap();
            let count = Instance::new(&mut store, &module, &[]).unwrap().get_func(&store, "count").unwrap();
            let _ = count.call(&mut store, &[Val::I64(100)], &mut [Val::I64(0)]);
        }
        drop(sender);
    });
}

#[test]
fn cancellation_wakes_a_guest_that_waits_for_others() {
    let engine = engine(|config| {
        config.features.threads = true;
        config.shared_memory = true;
    });
    let mut store = Store::new(&engine);
    let token = store.cancel_token().unwrap();
    let wat = r#"(module (memory 1 1 shared) (func (export "wait") (result i32)
        (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const -1))))"#;
    let wait = func(&mut store, wat, &[], "wait");
    assert_eq!(wait.ty(&store).unwrap().results(), [ValType::I32]);
    let thread = cancel_later(&token, SOON);
    let start = Instant::now();
    expect_cancelled(wait.call(&mut store, &[], &mut [Val::I32(0)]), CancelCause::Token);
    assert!(thread.join().unwrap());
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    store.set_call_time_limit(Some(SOON)).unwrap();
    expect_cancelled(wait.call(&mut store, &[], &mut [Val::I32(0)]), CancelCause::TimeLimit);
}
