//! Waiting on an address of a shared memory: `memory.atomic.wait` and `memory.atomic.notify` (threads
//! proposal).

use ampoule_machine::os::fork;
use ampoule_machine::os::sleeper::{Sleep, Sleeper};
use ampoule_machine::os::sync::{Mutex, MutexGuard};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How a wait ended; the numbers are what the instruction answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum WaitOutcome {
    /// By a notification.
    Woken = 0,
    /// At once: the value was another than expected.
    NotEqual = 1,
    /// By its timeout.
    TimedOut = 2,
    /// Because it was to sleep no longer. No answer of the instruction: the guest is stopped, or waits again.
    Interrupted = 3,
}

/// The threads that wait on one shared memory, by the address they wait on.
///
/// A thread compares and joins its queue under the lock, and whoever notifies holds it too: no notification falls between. It sleeps
/// without the lock.
#[derive(Debug, Default)]
pub struct WaitQueues(Mutex<Queues>);

#[derive(Debug, Default)]
struct Queues {
    by_address: HashMap<u64, VecDeque<Arc<Waiter>>>,
    /// Of the process whose threads these are: a forked child has none of them.
    generation: u32,
}

#[derive(Debug, Default)]
struct Waiter {
    sleeper: Sleeper,
    /// Written under the queues' lock, where the waiter leaves its queue.
    notified: AtomicBool,
}

impl WaitQueues {
    /// Sleeps on `address` until notified, if `is_expected` holds.
    ///
    /// `timeout` in nanoseconds; negative means forever. `sleep`, if given, is how the thread sleeps.
    pub fn wait(
        &self,
        address: u64,
        is_expected: impl FnOnce() -> bool,
        timeout_ns: i64,
        mut sleep: Option<&mut Sleep<'_>>,
    ) -> WaitOutcome {
        // A deadline that the clock can't express is never reached.
        let timeout = u64::try_from(timeout_ns).ok().map(Duration::from_nanos);
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let waiter = {
            let mut queues = self.lock();
            if !is_expected() {
                return WaitOutcome::NotEqual;
            }
            let waiter = Arc::new(Waiter::default());
            queues.by_address.entry(address).or_default().push_back(waiter.clone());
            waiter
        };
        let outcome = loop {
            if waiter.notified.load(Ordering::SeqCst) {
                return WaitOutcome::Woken;
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                break WaitOutcome::TimedOut;
            }
            let goes_on = match &mut sleep {
                None => {
                    waiter.sleeper.sleep(left);
                    true
                }
                Some(sleep) => sleep(&waiter.sleeper, left),
            };
            if !goes_on {
                break WaitOutcome::Interrupted;
            }
        };
        if self.leave(address, &waiter) { outcome } else { WaitOutcome::Woken }
    }

    /// Takes a thread out of its queue; false where it was notified before.
    fn leave(&self, address: u64, waiter: &Arc<Waiter>) -> bool {
        let mut queues = self.lock();
        if waiter.notified.load(Ordering::SeqCst) {
            return false;
        }
        let queue = queues.by_address.get_mut(&address).expect("a waiter that was not notified is in its queue");
        queue.retain(|other| !Arc::ptr_eq(other, waiter));
        if queue.is_empty() {
            queues.by_address.remove(&address);
        }
        true
    }

    /// Wakes up to `count` threads that sleep on `address`, those first that slept longest, and says how many.
    pub fn notify(&self, address: u64, count: u32) -> u32 {
        let mut queues = self.lock();
        let Some(queue) = queues.by_address.get_mut(&address) else { return 0 };
        let woken = queue.len().min(count as usize);
        for waiter in queue.drain(..woken) {
            waiter.notified.store(true, Ordering::SeqCst);
            waiter.sleeper.wake();
        }
        if queue.is_empty() {
            queues.by_address.remove(&address);
        }
        woken as u32
    }

    fn lock(&self) -> MutexGuard<'_, Queues> {
        let mut queues = self.0.lock();
        if queues.generation != fork::generation() {
            *queues = Queues { generation: fork::generation(), ..Queues::default() };
        }
        queues
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;
    use std::thread;

    /// Waits until `count` threads sleep on `address`.
    fn until_asleep(queues: &WaitQueues, address: u64, count: usize) {
        while queues.lock().by_address.get(&address).map_or(0, VecDeque::len) != count {
            thread::yield_now();
        }
    }

    #[test]
    fn another_value_is_answered_at_once() {
        assert_eq!(WaitQueues::default().wait(0, || false, -1, None), WaitOutcome::NotEqual);
    }

    #[test]
    fn timeouts_end_a_wait_and_leave_nobody_behind() {
        let queues = WaitQueues::default();
        for timeout_ns in [0, 1, 2_000_000] {
            let start = Instant::now();
            assert_eq!(queues.wait(8, || true, timeout_ns, None), WaitOutcome::TimedOut);
            assert!(start.elapsed() >= Duration::from_nanos(timeout_ns as u64));
        }
        assert_eq!(queues.notify(8, u32::MAX), 0);
        assert!(queues.lock().by_address.is_empty());
    }

    #[test]
    fn notify_wakes_as_many_as_asked_for_and_oldest_first() {
        let queues = WaitQueues::default();
        let order = Mutex::new(Vec::new());
        thread::scope(|scope| {
            for number in 0..4 {
                let (queues, order) = (&queues, &order);
                scope.spawn(move || {
                    assert_eq!(queues.wait(4, || true, -1, None), WaitOutcome::Woken);
                    order.lock().push(number);
                });
                until_asleep(queues, 4, number + 1);
            }
            assert_eq!(queues.notify(4, 0), 0);
            assert_eq!(queues.notify(8, 9), 0);
            assert_eq!(queues.notify(4, 2), 2);
            until_asleep(&queues, 4, 2);
            while order.lock().len() < 2 {
                thread::yield_now();
            }
            assert_eq!(queues.notify(4, u32::MAX), 2);
        });
        let mut order = order.lock().clone();
        order[..2].sort();
        assert_eq!(order[..2], [0, 1]);
    }

    #[test]
    fn i64_max_nanoseconds_are_no_overflow() {
        let queues = WaitQueues::default();
        thread::scope(|scope| {
            scope.spawn(|| assert_eq!(queues.wait(0, || true, i64::MAX, None), WaitOutcome::Woken));
            until_asleep(&queues, 0, 1);
            assert_eq!(queues.notify(0, 1), 1);
        });
    }

    #[test]
    fn a_sleeping_thread_can_be_interrupted() {
        let queues = WaitQueues::default();
        let mut slept = 0;
        let mut twice = |sleeper: &Sleeper, timeout: Option<Duration>| {
            assert_eq!(timeout, None);
            sleeper.sleep(Some(Duration::from_millis(1)));
            slept += 1;
            slept < 2
        };
        assert_eq!(queues.wait(0, || true, -1, Some(&mut twice)), WaitOutcome::Interrupted);
        assert_eq!(slept, 2);
        assert!(queues.lock().by_address.is_empty());
    }

    #[test]
    fn a_notification_that_comes_with_an_interrupt_is_not_lost() {
        let queues = WaitQueues::default();
        let mut notified = |_: &Sleeper, _: Option<Duration>| {
            assert_eq!(queues.notify(0, 1), 1);
            false
        };
        assert_eq!(queues.wait(0, || true, -1, Some(&mut notified)), WaitOutcome::Woken);
    }

    #[test]
    fn a_timeout_holds_however_the_thread_sleeps() {
        let queues = WaitQueues::default();
        let start = Instant::now();
        let mut sleep = |sleeper: &Sleeper, left: Option<Duration>| {
            sleeper.sleep(left.map(|left| left / 2));
            true
        };
        assert_eq!(queues.wait(0, || true, 25_000_000, Some(&mut sleep)), WaitOutcome::TimedOut);
        assert!(start.elapsed() >= Duration::from_millis(25));
    }

    #[test]
    fn a_child_has_none_of_its_parents_waiters() {
        fork::watch().unwrap();
        let queues = WaitQueues::default();
        thread::scope(|scope| {
            scope.spawn(|| assert_eq!(queues.wait(0, || true, -1, None), WaitOutcome::Woken));
            until_asleep(&queues, 0, 1);
            // SAFETY: the child, in its only thread, runs what is tested and ends without returning; by a signal should that take for ever.
            match unsafe { libc::fork() } {
                0 => {
                    // SAFETY: ends the process.
                    unsafe { libc::alarm(20) };
                    let nobody = queues.notify(0, 1) == 0 && queues.wait(0, || true, 1, None) == WaitOutcome::TimedOut;
                    // SAFETY: as above.
                    unsafe { libc::_exit(i32::from(!nobody)) }
                }
                child => {
                    let mut status = 0;
                    // SAFETY: waits for the child made above.
                    assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
                    assert_eq!(status, 0);
                }
            }
            assert_eq!(queues.notify(0, 1), 1);
        });
    }

    #[test]
    fn no_notification_is_lost() {
        // Two threads pass a token back and forth; a lost notification would leave both asleep.
        let (queues, token) = (WaitQueues::default(), AtomicU32::new(0));
        let (queues, token) = (&queues, &token);
        thread::scope(|scope| {
            for me in 0..2 {
                scope.spawn(move || {
                    for _ in 0..5_000 {
                        while token.load(Ordering::SeqCst) != me {
                            queues.wait(0, || token.load(Ordering::SeqCst) != me, -1, None);
                        }
                        token.store(1 - me, Ordering::SeqCst);
                        queues.notify(0, 1);
                    }
                });
            }
        });
    }
}
