//! `wasi:clocks`: what they show, and waiting for it.

use crate::support::{Guest, instantiate};
use ampoule::{Config, Engine, TrapCode};
use ampoule_component::{Val, ValRef};
use ampoule_wasi::WasiConfig;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

#[test]
fn clocks_go_on() {
    let mut guest = Guest::new(WasiConfig::new());
    let mut number = |name: &str| match guest.call(name, &[]).get() {
        ValRef::U64(number) => number,
        other => panic!("{other:?}"),
    };
    let first = number("monotonic-clock#now");
    assert!(number("monotonic-clock#now") >= first);
    assert!(number("monotonic-clock#get-resolution") >= 1);
    assert!(number("system-clock#get-resolution") >= 1);
    let now = guest.call("system-clock#now", &[]);
    let ValRef::Record([seconds, nanoseconds]) = now.get() else { panic!("{now:?}") };
    assert!(matches!(seconds.val.get(), ValRef::S64(seconds) if seconds > 1_600_000_000), "{now:?}");
    assert!(matches!(nanoseconds.val.get(), ValRef::U32(nanoseconds) if nanoseconds < 1_000_000_000), "{now:?}");
}

#[test]
fn a_wait_lasts_as_long_as_asked() {
    let mut guest = Guest::new(WasiConfig::new());
    let start = Instant::now();
    guest.call("monotonic-clock#wait-for", &[Val::from(20_000_000u64)]);
    assert!(start.elapsed() >= Duration::from_millis(20));
    guest.call("monotonic-clock#wait-until", &[Val::from(0u64)]);
    let ValRef::U64(now) = guest.call("monotonic-clock#now", &[]).get() else { panic!("a number") };
    guest.call("monotonic-clock#wait-until", &[Val::from(now + 20_000_000)]);
    assert!(start.elapsed() >= Duration::from_millis(40));
}

#[test]
fn a_wait_ends_when_the_guest_is_to() {
    let mut config = WasiConfig::new();
    let mut looks = 0;
    config.interrupt_check(Box::new(move || {
        looks += 1;
        looks > 3
    }));
    let mut guest = Guest::new(config);
    let ended = guest.try_call("monotonic-clock#wait-for", &[Val::from(u64::MAX)]).expect_err("interrupted");
    assert_eq!(ended.trap_code(), Some(TrapCode::Interrupt), "{ended}");

    let mut guest = Guest::new(WasiConfig::new());
    let asked = AtomicU32::new(0);
    guest.store.set_interrupt_check(Some(Arc::new(move || asked.fetch_add(1, Ordering::Relaxed) >= 3)));
    let ended = guest.try_call("monotonic-clock#wait-for", &[Val::from(u64::MAX)]).expect_err("interrupted");
    assert_eq!(ended.trap_code(), Some(TrapCode::Interrupt), "{ended}");

    let mut config = Config::new();
    config.epoch_interruption(true);
    let engine = Engine::new(&config).unwrap();
    let mut guest = Guest::in_engine(&engine, Some(WasiConfig::new()));
    let ticks = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(20));
        engine.increment_epoch();
    });
    let ended = guest.try_call("monotonic-clock#wait-for", &[Val::from(u64::MAX)]).expect_err("interrupted");
    assert_eq!(ended.trap_code(), Some(TrapCode::Interrupt), "{ended}");
    ticks.join().unwrap();
}

/// A guest that waits many times at once, and one that cancels what it waits for.
const WAITS: &str = r#"(component
    (import "wasi:clocks/monotonic-clock@0.3.0" (instance $clock
        (export "wait-for" (func async (param "how-long" u64)))))
    (core module $memory (memory (export "memory") 1))
    (core instance $memory (instantiate $memory))
    (core func $wait-for (canon lower (func $clock "wait-for") async))
    (core func $set (canon waitable-set.new))
    (core func $wait (canon waitable-set.wait (memory (core memory $memory "memory"))))
    (core func $join (canon waitable.join))
    (core func $cancel (canon subtask.cancel))
    (core func $drop (canon subtask.drop))
    (core module $m
        (import "" "wait-for" (func $wait-for (param i64) (result i32)))
        (import "" "set" (func $set (result i32)))
        (import "" "wait" (func $wait (param i32 i32) (result i32)))
        (import "" "join" (func $join (param i32 i32)))
        (import "" "cancel" (func $cancel (param i32) (result i32)))
        (import "" "drop" (func $drop (param i32)))
        (import "" "memory" (memory 1))
        ;; So many waits of so long: gives how many have ended.
        (func (export "many") (param $count i32) (param $time i64) (result i32)
            (local $set i32) (local $task i32) (local $begun i32) (local $ended i32)
            (local.set $set (call $set))
            (loop $more
                (local.set $task (call $wait-for (local.get $time)))
                (if (i32.ne (i32.and (local.get $task) (i32.const 15)) (i32.const 1)) (then unreachable))
                (call $join (i32.shr_u (local.get $task) (i32.const 4)) (local.get $set))
                (local.set $begun (i32.add (local.get $begun) (i32.const 1)))
                (br_if $more (i32.lt_u (local.get $begun) (local.get $count))))
            (loop $next
                (if (i32.ne (call $wait (local.get $set) (i32.const 0)) (i32.const 1)) (then unreachable))
                (if (i32.ne (i32.load (i32.const 4)) (i32.const 2)) (then unreachable))
                (call $drop (i32.load (i32.const 0)))
                (local.set $ended (i32.add (local.get $ended) (i32.const 1)))
                (br_if $next (i32.lt_u (local.get $ended) (local.get $count))))
            (local.get $ended))
        ;; Begins a wait and cancels it, so many times: gives the state of the last.
        (func (export "cancel") (param $count i32) (result i32)
            (local $task i32) (local $state i32)
            (loop $more
                (local.set $task (i32.shr_u (call $wait-for (i64.const -1)) (i32.const 4)))
                (local.set $state (call $cancel (local.get $task)))
                (call $drop (local.get $task))
                (local.set $count (i32.sub (local.get $count) (i32.const 1)))
                (br_if $more (local.get $count)))
            (local.get $state)))
    (core instance $m (instantiate $m (with "" (instance
        (export "wait-for" (func $wait-for)) (export "set" (func $set)) (export "wait" (func $wait))
        (export "join" (func $join)) (export "cancel" (func $cancel)) (export "drop" (func $drop))
        (export "memory" (memory $memory "memory"))))))
    (func (export "many") async (param "count" u32) (param "time" u64) (result u32)
        (canon lift (core func $m "many")))
    (func (export "cancel") async (param "count" u32) (result u32) (canon lift (core func $m "cancel"))))"#;

#[test]
fn waits_go_on_beside_each_other() {
    let (mut store, instance) = instantiate(&Engine::default(), WAITS, Some(WasiConfig::new()));
    let many = instance.get_func(&mut store, &["many"]).unwrap().unwrap();
    let start = Instant::now();
    let mut ended = [Val::default()];
    many.call(&mut store, &[Val::from(1000u32), Val::from(50_000_000u64)], &mut ended).unwrap();
    assert_eq!(ended[0], Val::from(1000u32));
    assert!(start.elapsed() >= Duration::from_millis(50));
    assert!(start.elapsed() < Duration::from_secs(20), "one after another they would take 50 s");
}

#[test]
fn cancelled_waits_leave_nothing_behind() {
    let (mut store, instance) = instantiate(&Engine::default(), WAITS, Some(WasiConfig::new()));
    let cancel = instance.get_func(&mut store, &["cancel"]).unwrap().unwrap();
    let mut state = [Val::default()];
    // More than may wait at a time.
    cancel.call(&mut store, &[Val::from(70_000u32)], &mut state).unwrap();
    assert_eq!(state[0], Val::from(4u32), "cancelled before it returned");
}

#[test]
fn too_many_waits_at_once_end_the_guest() {
    let (mut store, instance) = instantiate(&Engine::default(), WAITS, Some(WasiConfig::new()));
    let many = instance.get_func(&mut store, &["many"]).unwrap().unwrap();
    let error = many.call(&mut store, &[Val::from(u32::MAX), Val::from(u64::MAX)], &mut [Val::default()]);
    let error = error.expect_err("there is a bound").to_string();
    assert!(error.contains("too many host calls"), "{error}");
}
