//! Claims about waits: what ends them, asleep and suspended.

use super::*;
use crate::store::interrupt_check::InterruptCheck;
use crate::store::reactor::Direction;
use crate::store::task::{Task, Work};
use crate::{Config, Engine};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::Waker;
use std::time::Instant;

/// Work of a test.
struct Run<F>(F);

impl<F: FnMut(&mut Store) -> Result<(), Error> + 'static> Work for Run<F> {
    fn run(&mut self, store: &mut Store) -> Result<(), Error> {
        (self.0)(store)
    }
}

fn task<F: FnMut(&mut Store) -> Result<(), Error> + 'static>(store: &mut Store, run: F) -> Box<Task<Run<F>>> {
    // SAFETY: each test uses its store on one thread, and leaves the box where it is.
    unsafe { Task::new(store, |slot| _ = slot.write(Run(run))) }
}

fn poll<W: Work>(task: &mut Task<W>) -> Poll<Result<(), Error>> {
    // SAFETY: as above.
    unsafe { task.poll() }
}

fn interruptible() -> Engine {
    Engine::new(Config::new().cancellation(true).epoch_interruption(true)).unwrap()
}

/// Waits for ever.
fn wait_for_ever(store: &mut Store) -> Result<(), Error> {
    store.wait_until(|_, _| Poll::Pending)
}

/// Whether the descriptor of a store's reactor becomes readable soon.
fn becomes_readable(store: &mut Store) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let descriptor = store.reactor().unwrap().descriptor().unwrap();
    let soon = Timespec { tv_sec: 10, tv_nsec: 0 };
    poll(&mut [PollFd::new(&descriptor, PollFlags::IN)], Some(&soon)).unwrap() == 1
}

#[test]
fn without_a_task_the_thread_sleeps_until_there_is_a_reason() {
    let mut store = Store::new(&Engine::default());
    let (from, to) = std::io::pipe().unwrap();
    let registered = store.reactor().unwrap().register(&from, Direction::Read).unwrap();
    let thread = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(10));
        drop(to);
    });
    let mut polls = 0;
    store
        .wait_until(|_, context| {
            polls += 1;
            if polls > 1 {
                return Poll::Ready(());
            }
            registered.arm(context.waker()).unwrap();
            Poll::Pending
        })
        .unwrap();
    thread.join().unwrap();

    let mut timer = store.reactor().unwrap().timer();
    let at = Instant::now() + Duration::from_millis(10);
    store
        .wait_until(|_, context| {
            if Instant::now() >= at {
                return Poll::Ready(());
            }
            timer.arm(at, context.waker());
            Poll::Pending
        })
        .unwrap();
}

#[test]
fn a_task_is_suspended_and_another_thread_wakes_it() {
    let mut store = Store::new(&Engine::default());
    let come = Arc::new(AtomicBool::new(false));
    let (wakers, woken) = std::sync::mpsc::channel::<Waker>();
    let mut waiting = task(&mut store, {
        let come = come.clone();
        move |store| {
            store.wait_until(|_, context| {
                if come.load(Ordering::SeqCst) {
                    return Poll::Ready(());
                }
                wakers.send(context.waker().clone()).unwrap();
                Poll::Pending
            })
        }
    });
    assert!(poll(&mut waiting).is_pending());
    let descriptor = store.reactor().unwrap().descriptor().unwrap().try_clone_to_owned().unwrap();
    assert!(poll(&mut waiting).is_pending(), "polled for nothing");
    std::thread::scope(|scope| {
        scope.spawn(move || {
            come.store(true, Ordering::SeqCst);
            woken.recv().unwrap().wake();
        });
        assert!(becomes_readable(&mut store));
    });
    assert!(matches!(poll(&mut waiting), Poll::Ready(Ok(()))));
    let at_once = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
    let fds = &mut [rustix::event::PollFd::new(&descriptor, rustix::event::PollFlags::IN)];
    assert_eq!(rustix::event::poll(fds, Some(&at_once)), Ok(0), "nothing is left that it would be polled for");
}

#[test]
fn cancellation_time_and_epochs_end_waits_asleep() {
    let engine = interruptible();
    let mut store = Store::new(&engine);
    store.set_epoch_deadline(1);
    let token = store.cancel_token().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(10));
            assert!(token.cancel(token.generation()));
        });
        assert!(matches!(wait_for_ever(&mut store).unwrap_err().kind(), ErrorKind::Cancelled(_)));
    });
    let mut store = Store::new(&engine);
    store.set_epoch_deadline(1);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(10));
            engine.increment_epoch();
        });
        assert_eq!(wait_for_ever(&mut store).unwrap_err().trap_code(), Some(crate::TrapCode::Interrupt));
    });
}

#[test]
fn cancellation_time_and_epochs_end_waits_suspended() {
    let engine = interruptible();
    let cancel = |store: &mut Store| {
        let token = store.cancel_token().unwrap();
        std::thread::spawn(move || token.cancel(token.generation()));
    };
    let tick = |_: &mut Store| {
        let engine = engine.clone();
        std::thread::spawn(move || engine.increment_epoch());
    };
    let reasons: [&dyn Fn(&mut Store); 2] = [&cancel, &tick];
    for reason in reasons {
        let mut store = Store::new(&engine);
        store.set_epoch_deadline(1);
        store.cancel_token().unwrap();
        let mut waiting = task(&mut store, wait_for_ever);
        assert!(poll(&mut waiting).is_pending());
        store.reactor().unwrap().descriptor().unwrap();
        reason(&mut store);
        assert!(becomes_readable(&mut store));
        let Poll::Ready(Err(error)) = poll(&mut waiting) else { panic!("it ends") };
        assert_eq!(error.trap_code(), Some(crate::TrapCode::Interrupt));
    }
}

/// A check that says so when asked the third time.
fn third_time() -> (InterruptCheck, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    (Arc::new(move || count.fetch_add(1, Ordering::SeqCst) >= 2), asked)
}

#[test]
fn the_embedder_is_asked_while_a_store_waits_asleep_and_suspended() {
    let mut store = Store::new(&Engine::default());
    let (check, asked) = third_time();
    store.set_interrupt_check(Some(check));
    let start = Instant::now();
    assert_eq!(wait_for_ever(&mut store).unwrap_err().trap_code(), Some(crate::TrapCode::Interrupt));
    assert_eq!(asked.load(Ordering::SeqCst), 3);
    assert!(start.elapsed() >= INTERVAL, "it slept in between");

    let (check, asked) = third_time();
    store.set_interrupt_check(Some(check));
    let mut waiting = task(&mut store, wait_for_ever);
    let ended = loop {
        match poll(&mut waiting) {
            Poll::Ready(ended) => break ended,
            Poll::Pending => assert!(becomes_readable(&mut store)),
        }
    };
    assert_eq!(ended.unwrap_err().trap_code(), Some(crate::TrapCode::Interrupt));
    assert_eq!(asked.load(Ordering::SeqCst), 3);
    drop(waiting);

    // Another one takes its place, and nothing does.
    let (check, _) = third_time();
    let kept = Arc::downgrade(&check);
    store.set_interrupt_check(Some(check));
    store.set_interrupt_check(None);
    assert!(kept.upgrade().is_none());
    let mut timer = store.reactor().unwrap().timer();
    timer.arm(Instant::now() + 2 * INTERVAL, Waker::noop());
    store.wait().unwrap();
}

#[test]
fn a_wait_that_is_given_up_ends() {
    let mut store = Store::new(&Engine::default());
    let ended = Arc::new(AtomicBool::new(false));
    let mut waiting = task(&mut store, {
        let ended = ended.clone();
        move |store| {
            let waited = wait_for_ever(store);
            ended.store(waited.is_err() && wait_for_ever(store).is_err(), Ordering::SeqCst);
            waited
        }
    });
    assert!(poll(&mut waiting).is_pending());
    drop(waiting);
    assert!(ended.load(Ordering::SeqCst));
}

#[test]
fn a_host_that_listens_polls_a_guest_again_that_yields_wherever_that_is() {
    // In its own code, and in a builtin that takes long.
    let wait = "(drop (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const -1)))";
    for body in ["(loop $again (br $again))", wait] {
        let mut config = Config::new();
        config.epoch_interruption(true).shared_memory = true;
        let engine = Engine::new(&config).unwrap();
        let text = format!(r#"(module (memory 1 1 shared) (func (export "run") {body}))"#);
        let module = crate::Module::new(&engine, text.as_bytes()).unwrap();
        let mut store = Store::new(&engine);
        let run = crate::Instance::new(&mut store, &module, &[]).unwrap().get_typed_func::<(), ()>(&store, "run");
        let run = run.unwrap();
        store.epoch_deadline_yield_and_update(1);
        store.set_epoch_deadline(1);
        store.reactor().unwrap().descriptor().unwrap();
        let mut guest = task(&mut store, move |store| run.call(store, ()));
        for _ in 0..2 {
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    std::thread::sleep(Duration::from_millis(10));
                    engine.increment_epoch();
                });
                assert!(poll(&mut guest).is_pending());
            });
            assert!(becomes_readable(&mut store), "{body}");
        }
    }
}
