//! Fuel, epochs, cancellation and time limits hold over all tasks of a call.

use super::*;
use ampoule::error::ErrorKind;
use ampoule::store::task::{Task, Work};
use std::time::Duration;

#[test]
fn fuel_ends_a_task_that_only_lets_others_run() {
    let mut config = Config::default();
    config.tunables.consume_fuel = true;
    let (mut store, instance, _) = {
        let engine = engine(&config);
        let later = Later::default();
        let mut linker = Linker::new(&engine);
        linker.root().func_async("later", |_, _, _| unreachable!()).unwrap();
        let component = Component::new(&engine, GUEST.as_bytes()).unwrap();
        let mut store = Store::new(&engine);
        store.set_fuel(100_000).unwrap();
        let instance = linker.instantiate(&mut store, &component).unwrap();
        (store, instance, later)
    };
    let error = call(&mut store, &instance, "spin", &[]).unwrap_err();
    assert!(error.to_string().contains("all fuel consumed"), "{error}");
}

#[test]
fn a_token_cancels_what_waits_for_the_host_and_what_spins() {
    let mut config = Config::default();
    config.cancellation(true);
    for name in ["wait", "spin", "compute"] {
        let (mut store, instance, later) = instantiate(&engine(&config), GUEST);
        let token = store.cancel_token().unwrap();
        let thread = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(20));
            assert!(token.cancel(token.generation()));
        });
        let args: &[u32] = if name == "wait" { &[1] } else { &[] };
        let error = call(&mut store, &instance, name, args).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Cancelled(_)), "{name}: {error:?}");
        thread.join().unwrap();
        assert_eq!(later.alive(), 0);
    }
}

#[test]
fn a_time_limit_ends_what_waits_for_the_host_and_what_spins() {
    let mut config = Config::default();
    config.cancellation(true);
    for name in ["wait", "spin", "compute"] {
        let (mut store, instance, _) = instantiate(&engine(&config), GUEST);
        store.set_call_time_limit(Some(Duration::from_millis(20))).unwrap();
        let args: &[u32] = if name == "wait" { &[1] } else { &[] };
        let error = call(&mut store, &instance, name, args).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Cancelled(_)), "{name}: {error:?}");
    }
}

/// A call in a task, which is polled.
struct Call(Func);

impl Work for Call {
    fn run(&mut self, store: &mut Store) -> Result<(), Error> {
        self.0.call(store, &[], &mut [])
    }
}

#[test]
fn epochs_let_the_host_poll_again_and_a_task_that_is_dropped_ends_what_it_runs() {
    let mut config = Config::default();
    config.tunables.epoch_interruption = true;
    for name in ["spin", "compute"] {
        let engine = engine(&config);
        let mut linker = Linker::new(&engine);
        linker.root().func_async("later", |_, _, _| unreachable!()).unwrap();
        let component = Component::new(&engine, GUEST.as_bytes()).unwrap();
        let mut store = Store::new(&engine);
        store.set_epoch_deadline(1);
        let instance = linker.instantiate(&mut store, &component).unwrap();
        store.epoch_deadline_yield_and_update(1);
        let func = func(&mut store, &instance, name);
        // SAFETY: the store is used on one thread, and outlives the task, whose box stays where it is.
        let mut task = unsafe { Task::new(&mut store, |slot| _ = slot.write(Call(func))) };
        let done = Arc::new(AtomicU32::new(0));
        let ticks = std::thread::spawn({
            let (engine, done) = (engine.clone(), done.clone());
            move || {
                while done.load(Ordering::Relaxed) == 0 {
                    engine.increment_epoch();
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
        });
        for _ in 0..5 {
            // SAFETY: as above.
            assert!(unsafe { task.poll() }.is_pending(), "{name}");
        }
        drop(task);
        drop(store);
        done.store(1, Ordering::Relaxed);
        ticks.join().unwrap();
    }
}

#[test]
fn a_deadline_interrupts_what_waits_for_the_host() {
    let mut config = Config::default();
    config.tunables.epoch_interruption = true;
    let engine = engine(&config);
    let later = Later::default();
    let mut linker = Linker::new(&engine);
    let calls = later.clone();
    linker.root().func_async("later", move |_, _, args| calls.future(arg(&args))).unwrap();
    let component = Component::new(&engine, GUEST.as_bytes()).unwrap();
    let mut store = Store::new(&engine);
    store.set_epoch_deadline(1);
    let instance = linker.instantiate(&mut store, &component).unwrap();
    let thread = std::thread::spawn({
        let engine = engine.clone();
        move || {
            std::thread::sleep(Duration::from_millis(20));
            engine.increment_epoch();
        }
    });
    let error = call(&mut store, &instance, "wait", &[1]).unwrap_err();
    assert!(error.to_string().contains("interrupt"), "{error}");
    thread.join().unwrap();
    assert_eq!(later.alive(), 0);
}
