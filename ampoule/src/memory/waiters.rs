//! Waiting on an address of a shared memory: `memory.atomic.wait` and `memory.atomic.notify` (threads
//! proposal).

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a sleeping thread goes without asking whether it should stop.
const INTERRUPT_CHECK_INTERVAL: Duration = Duration::from_millis(10);

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
    /// By its interrupt check. No answer of the instruction: the guest is stopped.
    Interrupted = 3,
}

/// The threads that wait on one shared memory, by the address they wait on.
///
/// A thread compares and joins its queue under the lock, and whoever wakes holds it too: no notification falls between.
#[derive(Debug, Default)]
pub struct WaitQueues {
    waiters: Mutex<HashMap<u64, VecDeque<Arc<Waiter>>>>,
}

#[derive(Debug, Default)]
struct Waiter {
    wake: Condvar,
    /// Written under the queues' lock; tells a notification from a spurious wake-up.
    woken: AtomicBool,
}

type Waiters<'a> = MutexGuard<'a, HashMap<u64, VecDeque<Arc<Waiter>>>>;

impl WaitQueues {
    /// Sleeps on `address` until notified, if `is_expected` holds.
    ///
    /// `timeout` in nanoseconds; negative means forever. `should_stop`, if given, is asked now and then while sleeping.
    pub fn wait(
        &self,
        address: u64,
        is_expected: impl FnOnce() -> bool,
        timeout_ns: i64,
        mut should_stop: Option<&mut dyn FnMut() -> bool>,
    ) -> WaitOutcome {
        // A deadline that the clock can't express is never reached.
        let timeout = u64::try_from(timeout_ns).ok().map(Duration::from_nanos);
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut waiters = self.lock();
        if !is_expected() {
            return WaitOutcome::NotEqual;
        }
        let waiter = Arc::new(Waiter::default());
        waiters.entry(address).or_default().push_back(waiter.clone());
        loop {
            if waiter.woken.load(Ordering::Relaxed) {
                return WaitOutcome::Woken;
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                leave(&mut waiters, address, &waiter);
                return WaitOutcome::TimedOut;
            }
            let nap = match (left, &should_stop) {
                (None, None) => None,
                (left, None) => left,
                (left, Some(_)) => {
                    Some(left.map_or(INTERRUPT_CHECK_INTERVAL, |left| left.min(INTERRUPT_CHECK_INTERVAL)))
                }
            };
            waiters = match nap {
                None => waiter.wake.wait(waiters).unwrap_or_else(PoisonError::into_inner),
                Some(nap) => waiter.wake.wait_timeout(waiters, nap).unwrap_or_else(PoisonError::into_inner).0,
            };
            if let Some(should_stop) = &mut should_stop
                && !waiter.woken.load(Ordering::Relaxed)
            {
                // The embedder's code runs without the lock.
                drop(waiters);
                let stop = should_stop();
                waiters = self.lock();
                if stop && !waiter.woken.load(Ordering::Relaxed) {
                    leave(&mut waiters, address, &waiter);
                    return WaitOutcome::Interrupted;
                }
            }
        }
    }

    /// Wakes up to `count` threads that sleep on `address`, those first that slept longest, and says how many.
    pub fn notify(&self, address: u64, count: u32) -> u32 {
        let mut waiters = self.lock();
        let Some(queue) = waiters.get_mut(&address) else { return 0 };
        let woken = queue.len().min(count as usize);
        for waiter in queue.drain(..woken) {
            waiter.woken.store(true, Ordering::Relaxed);
            waiter.wake.notify_one();
        }
        if queue.is_empty() {
            waiters.remove(&address);
        }
        woken as u32
    }

    fn lock(&self) -> Waiters<'_> {
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a thread that was not notified out of its queue.
fn leave(waiters: &mut Waiters<'_>, address: u64, waiter: &Arc<Waiter>) {
    let queue = waiters.get_mut(&address).expect("a waiter that was not woken is in its queue");
    queue.retain(|other| !Arc::ptr_eq(other, waiter));
    if queue.is_empty() {
        waiters.remove(&address);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;
    use std::thread;

    /// Waits until `count` threads sleep on `address`.
    fn until_asleep(queues: &WaitQueues, address: u64, count: usize) {
        while queues.lock().get(&address).map_or(0, VecDeque::len) != count {
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
        assert!(queues.lock().is_empty());
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
                    order.lock().unwrap().push(number);
                });
                until_asleep(queues, 4, number + 1);
            }
            assert_eq!(queues.notify(4, 0), 0);
            assert_eq!(queues.notify(8, 9), 0);
            assert_eq!(queues.notify(4, 2), 2);
            until_asleep(&queues, 4, 2);
            while order.lock().unwrap().len() < 2 {
                thread::yield_now();
            }
            assert_eq!(queues.notify(4, u32::MAX), 2);
        });
        let mut order = order.into_inner().unwrap();
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
        let mut asked = 0;
        let mut third_time = || {
            asked += 1;
            asked == 3
        };
        assert_eq!(queues.wait(0, || true, -1, Some(&mut third_time)), WaitOutcome::Interrupted);
        assert_eq!(asked, 3);
        assert!(queues.lock().is_empty());
    }

    #[test]
    fn a_timeout_holds_under_interrupt_checks() {
        let queues = WaitQueues::default();
        let start = Instant::now();
        assert_eq!(queues.wait(0, || true, 25_000_000, Some(&mut || false)), WaitOutcome::TimedOut);
        assert!(start.elapsed() >= Duration::from_millis(25));
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
