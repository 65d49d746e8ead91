//! Claims about a reactor: who is woken, when, and how often.

use super::*;
use rustix::event::{PollFd, PollFlags, poll};
use std::sync::atomic::AtomicU32;

#[derive(Default)]
struct Counter(AtomicU32);

impl Wake for Counter {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Counter {
    fn count(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

fn counting() -> (Arc<Counter>, Waker) {
    let counter = Arc::new(Counter::default());
    (counter.clone(), counter.into())
}

/// Forks, and asserts that `claim` holds in the child, which ends by a signal should that take for ever.
fn assert_in_child(claim: impl FnOnce() -> bool) {
    // SAFETY: the child, in its only thread, runs what is tested and ends without returning.
    match unsafe { libc::fork() } {
        0 => {
            // SAFETY: ends the process.
            unsafe {
                libc::alarm(20);
                libc::_exit(i32::from(!claim()))
            }
        }
        child => {
            let mut status = 0;
            // SAFETY: waits for the child made above.
            assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
            assert_eq!(status, 0);
        }
    }
}

/// Looks without waiting.
fn look(reactor: &Reactor) -> bool {
    reactor.turn(Some(Duration::ZERO)).unwrap()
}

fn is_readable(descriptor: impl AsFd) -> bool {
    poll(&mut [PollFd::new(&descriptor, PollFlags::IN)], Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).unwrap() == 1
}

#[test]
fn who_is_armed_is_woken_once_whatever_becomes_of_the_descriptor_it_was_made_of() {
    let reactor = Reactor::new().unwrap();
    let (from, mut to) = std::io::pipe().unwrap();
    let registered = reactor.register(&from, Direction::Read).unwrap();
    drop(from);
    let (counter, waker) = counting();
    registered.arm(&waker).unwrap();
    assert!(!look(&reactor));
    io::Write::write_all(&mut to, b"x").unwrap();
    assert!(look(&reactor) && !look(&reactor));
    registered.arm(&waker).unwrap();
    assert!(look(&reactor), "there is still something to read");
    assert_eq!(counter.count(), 2);
}

#[test]
fn the_end_and_what_never_waits_are_ready() {
    let reactor = Reactor::new().unwrap();
    let (counter, waker) = counting();
    let (from, to) = std::io::pipe().unwrap();
    let reading = reactor.register(&from, Direction::Read).unwrap();
    let writing = reactor.register(&to, Direction::Write).unwrap();
    drop(to);
    reading.arm(&waker).unwrap();
    assert!(!look(&reactor), "a writer is registered still");
    writing.arm(&waker).unwrap();
    assert!(look(&reactor));
    drop(writing);
    assert!(look(&reactor));
    assert_eq!(counter.count(), 2);
    let file = reactor.register(tempfile::tempfile().unwrap(), Direction::Read).unwrap();
    file.arm(&reactor.waker()).unwrap();
    assert!(look(&reactor));
}

#[test]
fn what_is_dropped_wakes_nobody_and_leaves_nothing() {
    let reactor = Reactor::new().unwrap();
    let (counter, waker) = counting();
    let (from, to) = std::io::pipe().unwrap();
    drop(to);
    let registered = reactor.register(&from, Direction::Read).unwrap();
    registered.arm(&waker).unwrap();
    let mut timer = reactor.timer();
    timer.arm(Instant::now(), &waker);
    drop((registered, timer));
    assert!(!look(&reactor));
    assert_eq!((counter.count(), Arc::strong_count(&counter)), (0, 2));
    let armed = reactor.0.armed.lock();
    assert!(armed.descriptors.is_empty() && armed.timers.is_empty());
}

#[test]
fn the_first_timer_ends_a_turn() {
    let reactor = Reactor::new().unwrap();
    let (counter, waker) = counting();
    let mut timers = [reactor.timer(), reactor.timer(), reactor.timer()];
    let start = Instant::now();
    timers[0].arm(start + Duration::from_secs(1000), &waker);
    timers[1].arm(start + Duration::from_millis(20), &waker);
    timers[2].arm(start + Duration::from_millis(1), &waker);
    // Armed again: only the later time counts.
    timers[2].arm(start + Duration::from_secs(1000), &waker);
    while !reactor.turn(None).unwrap() {}
    assert!(start.elapsed() >= Duration::from_millis(20));
    assert_eq!(counter.count(), 1);
}

#[test]
fn a_wake_from_anywhere_ends_a_turn() {
    let reactor = Reactor::new().unwrap();
    let waker = reactor.waker();
    std::thread::scope(|scope| {
        for _ in 0..100 {
            let thread = scope.spawn(|| waker.wake_by_ref());
            while !reactor.turn(None).unwrap() {}
            thread.join().unwrap();
        }
    });
    assert!(!look(&reactor));
    // Also one that another wakes in a turn, which is no reason for a second one.
    let mut timer = reactor.timer();
    timer.arm(Instant::now(), &waker);
    assert!(look(&reactor) && !look(&reactor) && !is_readable(&reactor.0.epoll));
}

#[test]
fn the_descriptor_is_readable_for_each_reason() {
    let reactor = Reactor::new().unwrap();
    let waker = Waker::noop();
    let descriptor = reactor.descriptor().unwrap();
    assert!(!is_readable(descriptor));

    reactor.wake();
    assert!(is_readable(descriptor));
    assert!(look(&reactor) && !is_readable(descriptor));

    let (from, to) = std::io::pipe().unwrap();
    let registered = reactor.register(&from, Direction::Read).unwrap();
    registered.arm(waker).unwrap();
    assert!(!is_readable(descriptor));
    drop(to);
    assert!(is_readable(descriptor));
    assert!(look(&reactor) && !is_readable(descriptor));

    let mut timer = reactor.timer();
    timer.arm(Instant::now() + Duration::from_millis(5), waker);
    reactor.before_suspension();
    assert!(!is_readable(descriptor));
    poll(&mut [PollFd::new(&descriptor, PollFlags::IN)], None).unwrap();
    assert!(look(&reactor) && !is_readable(descriptor));
}

#[test]
fn a_child_has_a_reactor_of_its_own() {
    fork::watch().unwrap();
    let reactor = Reactor::new().unwrap();
    let descriptor = reactor.descriptor().unwrap();
    let (from, to) = std::io::pipe().unwrap();
    let registered = reactor.register(&from, Direction::Read).unwrap();
    let (counter, waker) = counting();
    registered.arm(&waker).unwrap();
    assert_in_child(|| {
        let renewed = look(&reactor) && !look(&reactor);
        reactor.wake();
        let woken = is_readable(descriptor) && look(&reactor);
        rustix::io::write(&to, b"x").is_ok()
            && renewed
            && woken
            && look(&reactor)
            && counter.count() == 1
            && rustix::io::read(&from, &mut [0; 1]).is_ok()
            && registered.arm(&waker).is_ok()
    });
    assert!(!is_readable(descriptor) && !look(&reactor));
    drop(to);
    assert!(look(&reactor), "the child has taken nothing of the parent's away");
    assert_eq!(counter.count(), 1);
}
