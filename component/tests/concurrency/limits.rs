//! Fuel, epochs, cancellation and time limits hold over all tasks of a call.

use super::*;
use ampoule::error::ErrorKind;
use ampoule::store::task::{Task, Work};
use ampoule_component::streams::{Destination, Flow, Producer, StreamReader};
use ampoule_component::types::ValType;
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

/// A guest that reads from a stream.
const READER: &str = r#"(component
    (import "later" (func $later async (param "n" u32) (result u32)))
    (core module $memory (memory (export "memory") 1))
    (core instance $memory (instantiate $memory))
    (type $stream (stream u8))
    (core func $read (canon stream.read $stream (memory (core memory $memory "memory"))))
    (core module $m
        (import "" "read" (func $read (param i32 i32 i32) (result i32)))
        (func (export "read") (param i32) (drop (call $read (local.get 0) (i32.const 0) (i32.const 8)))))
    (core instance $i (instantiate $m (with "" (instance (export "read" (func $read))))))
    (func (export "read") async (param "in" $stream) (canon lift (core func $i "read"))))"#;

/// A host that never writes.
struct Silent;

impl Producer for Silent {
    fn poll_produce(&mut self, _: &mut Context<'_>, _: &mut Destination<'_>) -> Poll<Result<Flow, Error>> {
        Poll::Pending
    }
}

/// What ends a call that waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stop {
    Token,
    TimeLimit,
    Epoch,
    Check,
}

/// A store whose calls can be stopped, with an instance of this guest.
fn stoppable(text: &str) -> (Box<Store>, Instance) {
    let mut config = Config::default();
    config.cancellation(true).epoch_interruption(true).features.component_model_more_async_builtins = true;
    let engine = engine(&config);
    let mut linker = Linker::new(&engine);
    linker.root().func_async("later", |_, _, _| Box::pin(std::future::pending())).unwrap();
    let component = Component::new(&engine, text.as_bytes()).unwrap();
    let mut store = Store::new(&engine);
    store.set_epoch_deadline(1);
    let instance = linker.instantiate(&mut store, &component).unwrap();
    (store, instance)
}

/// Has what waits in the store stopped soon.
fn stop_soon(stop: Stop, store: &mut Store) {
    const SOON: Duration = Duration::from_millis(30);
    match stop {
        Stop::Token => {
            let token = store.cancel_token().unwrap();
            std::thread::spawn(move || (std::thread::sleep(SOON), token.cancel(token.generation())));
        }
        Stop::TimeLimit => store.set_call_time_limit(Some(SOON)).unwrap(),
        Stop::Epoch => {
            let engine = store.engine().clone();
            std::thread::spawn(move || (std::thread::sleep(SOON), engine.increment_epoch()));
        }
        Stop::Check => {
            let asked = AtomicU32::new(0);
            store.set_interrupt_check(Some(Arc::new(move || asked.fetch_add(1, Ordering::Relaxed) >= 3)));
        }
    }
}

const STOPS: [Stop; 4] = [Stop::Token, Stop::TimeLimit, Stop::Epoch, Stop::Check];

#[test]
fn whatever_stops_a_guest_ends_its_wait_for_the_host() {
    for stop in STOPS {
        for text in [GUEST, READER] {
            let (mut store, instance) = stoppable(text);
            stop_soon(stop, &mut store);
            let ended = if text == GUEST {
                call(&mut store, &instance, "wait", &[1]).map(drop)
            } else {
                let reader = StreamReader::new(&mut store, Some(ValType::U8), Silent).unwrap();
                func(&mut store, &instance, "read").call(&mut store, &[Val::from(reader)], &mut [])
            };
            let error = ended.expect_err("it would wait for ever");
            assert_eq!(error.trap_code(), Some(ampoule::TrapCode::Interrupt), "{stop:?}: {error:?}");
            let is_cancelled = matches!(error.kind(), ErrorKind::Cancelled(_));
            assert_eq!(is_cancelled, matches!(stop, Stop::Token | Stop::TimeLimit), "{stop:?}");
            // A guest was stopped in the middle: no other of the store's goes on.
            store.set_interrupt_check(None);
            store.set_epoch_deadline(1);
            let name = if text == GUEST { "stored" } else { "read" };
            let func = func(&mut store, &instance, name);
            let args: &mut [Val] = &mut if text == GUEST { vec![] } else { vec![Val::from(0u32)] };
            let error = func.call(&mut store, args, &mut [Val::default()][..usize::from(text == GUEST)]).unwrap_err();
            assert!(error.to_string().contains("cannot enter component instance"), "{stop:?}: {error}");
        }
    }
}

#[test]
fn whatever_stops_a_guest_ends_its_wait_in_a_task_too() {
    for stop in STOPS {
        let (mut store, instance) = stoppable(GUEST);
        stop_soon(stop, &mut store);
        let func = func(&mut store, &instance, "wait");
        store.set_host_waker(Some(Waker::from(Arc::new(Unpark(std::thread::current())))));
        // SAFETY: the store is used on one thread, and outlives the task, whose box stays where it is.
        let mut task = unsafe { Task::new(&mut store, |slot| _ = slot.write(CallWith(func))) };
        let ended = loop {
            // SAFETY: as above.
            match unsafe { task.poll() } {
                Poll::Ready(ended) => break ended,
                // The host is told.
                Poll::Pending => std::thread::park(),
            }
        };
        assert_eq!(ended.unwrap_err().trap_code(), Some(ampoule::TrapCode::Interrupt), "{stop:?}");
        drop(task);
    }
}

/// Has a thread poll again.
struct Unpark(std::thread::Thread);

impl std::task::Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// A call that waits, in a task.
struct CallWith(Func);

impl Work for CallWith {
    fn run(&mut self, store: &mut Store) -> Result<(), Error> {
        self.0.call(store, &[Val::from(1u32)], &mut [Val::default()])
    }
}

#[test]
fn a_host_that_waits_for_tasks_is_asked_and_its_store_stays_usable() {
    for stop in [Stop::Token, Stop::Epoch, Stop::Check] {
        let (mut store, instance) = stoppable(GUEST);
        let wait = func(&mut store, &instance, "wait");
        let mut started = wait.start(&mut store, vec![Val::from(1u32)]).unwrap();
        assert!(ampoule_component::run_tasks(&mut store).unwrap().is_pending());
        stop_soon(stop, &mut store);
        let error = loop {
            if let Err(error) = ampoule_component::wait_for_tasks(&mut store) {
                break error;
            }
        };
        assert_eq!(error.trap_code(), Some(ampoule::TrapCode::Interrupt), "{stop:?}: {error:?}");
        assert!(started.take(&mut store).is_pending(), "{stop:?}: the call still waits");
        store.set_interrupt_check(None);
        store.set_epoch_deadline(1);
        if stop == Stop::Token {
            // It was meant for the next call.
            let error = call(&mut store, &instance, "stored", &[]).unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::Cancelled(_)), "{error:?}");
        }
        assert_eq!(call(&mut store, &instance, "stored", &[]).unwrap(), 0, "{stop:?}");
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
