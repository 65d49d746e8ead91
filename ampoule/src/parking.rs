//! Where threads sleep on an address of a shared memory: `memory.atomic.wait` and `memory.atomic.notify` (threads
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

/// The sleeping threads of one shared memory, by the address they sleep on.
///
/// A thread compares and lies down under the lock, and whoever wakes holds it too: no notification falls between.
#[derive(Debug, Default)]
pub struct ParkingLot {
    sleepers: Mutex<HashMap<u64, VecDeque<Arc<Sleeper>>>>,
}

#[derive(Debug, Default)]
struct Sleeper {
    wake: Condvar,
    /// Written under the lot's lock; tells a notification from a spurious wake-up.
    woken: AtomicBool,
}

type Sleepers<'a> = MutexGuard<'a, HashMap<u64, VecDeque<Arc<Sleeper>>>>;

impl ParkingLot {
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
        let mut sleepers = self.lock();
        if !is_expected() {
            return WaitOutcome::NotEqual;
        }
        let sleeper = Arc::new(Sleeper::default());
        sleepers.entry(address).or_default().push_back(sleeper.clone());
        loop {
            if sleeper.woken.load(Ordering::Relaxed) {
                return WaitOutcome::Woken;
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                leave(&mut sleepers, address, &sleeper);
                return WaitOutcome::TimedOut;
            }
            let nap = match (left, &should_stop) {
                (None, None) => None,
                (left, None) => left,
                (left, Some(_)) => {
                    Some(left.map_or(INTERRUPT_CHECK_INTERVAL, |left| left.min(INTERRUPT_CHECK_INTERVAL)))
                }
            };
            sleepers = match nap {
                None => sleeper.wake.wait(sleepers).unwrap_or_else(PoisonError::into_inner),
                Some(nap) => sleeper.wake.wait_timeout(sleepers, nap).unwrap_or_else(PoisonError::into_inner).0,
            };
            if let Some(should_stop) = &mut should_stop
                && !sleeper.woken.load(Ordering::Relaxed)
            {
                // The embedder's code runs without the lock.
                drop(sleepers);
                let stop = should_stop();
                sleepers = self.lock();
                if stop && !sleeper.woken.load(Ordering::Relaxed) {
                    leave(&mut sleepers, address, &sleeper);
                    return WaitOutcome::Interrupted;
                }
            }
        }
    }

    /// Wakes up to `count` threads that sleep on `address`, those first that slept longest, and says how many.
    pub fn notify(&self, address: u64, count: u32) -> u32 {
        let mut sleepers = self.lock();
        let Some(queue) = sleepers.get_mut(&address) else { return 0 };
        let woken = queue.len().min(count as usize);
        for sleeper in queue.drain(..woken) {
            sleeper.woken.store(true, Ordering::Relaxed);
            sleeper.wake.notify_one();
        }
        if queue.is_empty() {
            sleepers.remove(&address);
        }
        woken as u32
    }

    fn lock(&self) -> Sleepers<'_> {
        self.sleepers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a thread that was not notified out of its queue.
fn leave(sleepers: &mut Sleepers<'_>, address: u64, sleeper: &Arc<Sleeper>) {
    let queue = sleepers.get_mut(&address).expect("a sleeper that was not woken is in its queue");
    queue.retain(|other| !Arc::ptr_eq(other, sleeper));
    if queue.is_empty() {
        sleepers.remove(&address);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;
    use std::thread;

    /// Waits until `count` threads sleep on `address`.
    fn until_asleep(lot: &ParkingLot, address: u64, count: usize) {
        while lot.lock().get(&address).map_or(0, VecDeque::len) != count {
            thread::yield_now();
        }
    }

    #[test]
    fn another_value_is_answered_at_once() {
        assert_eq!(ParkingLot::default().wait(0, || false, -1, None), WaitOutcome::NotEqual);
    }

    #[test]
    fn timeouts_end_a_wait_and_leave_nobody_behind() {
        let lot = ParkingLot::default();
        for timeout_ns in [0, 1, 2_000_000] {
            let start = Instant::now();
            assert_eq!(lot.wait(8, || true, timeout_ns, None), WaitOutcome::TimedOut);
            assert!(start.elapsed() >= Duration::from_nanos(timeout_ns as u64));
        }
        assert_eq!(lot.notify(8, u32::MAX), 0);
        assert!(lot.lock().is_empty());
    }

    #[test]
    fn notify_wakes_as_many_as_asked_for_and_oldest_first() {
        let lot = ParkingLot::default();
        let order = Mutex::new(Vec::new());
        thread::scope(|scope| {
            for number in 0..4 {
                let (lot, order) = (&lot, &order);
                scope.spawn(move || {
                    assert_eq!(lot.wait(4, || true, -1, None), WaitOutcome::Woken);
                    order.lock().unwrap().push(number);
                });
                until_asleep(lot, 4, number + 1);
            }
            assert_eq!(lot.notify(4, 0), 0);
            assert_eq!(lot.notify(8, 9), 0);
            assert_eq!(lot.notify(4, 2), 2);
            until_asleep(&lot, 4, 2);
            while order.lock().unwrap().len() < 2 {
                thread::yield_now();
            }
            assert_eq!(lot.notify(4, u32::MAX), 2);
        });
        let mut order = order.into_inner().unwrap();
        order[..2].sort();
        assert_eq!(order[..2], [0, 1]);
    }

    #[test]
    fn i64_max_nanoseconds_are_no_overflow() {
        let lot = ParkingLot::default();
        thread::scope(|scope| {
            scope.spawn(|| assert_eq!(lot.wait(0, || true, i64::MAX, None), WaitOutcome::Woken));
            until_asleep(&lot, 0, 1);
            assert_eq!(lot.notify(0, 1), 1);
        });
    }

    #[test]
    fn a_sleeping_thread_can_be_interrupted() {
        let lot = ParkingLot::default();
        let mut asked = 0;
        let mut third_time = || {
            asked += 1;
            asked == 3
        };
        assert_eq!(lot.wait(0, || true, -1, Some(&mut third_time)), WaitOutcome::Interrupted);
        assert_eq!(asked, 3);
        assert!(lot.lock().is_empty());
    }

    #[test]
    fn a_timeout_holds_under_interrupt_checks() {
        let lot = ParkingLot::default();
        let start = Instant::now();
        assert_eq!(lot.wait(0, || true, 25_000_000, Some(&mut || false)), WaitOutcome::TimedOut);
        assert!(start.elapsed() >= Duration::from_millis(25));
    }

    #[test]
    fn no_notification_is_lost() {
        // Two threads pass a token back and forth; a lost notification would leave both asleep.
        let (lot, token) = (ParkingLot::default(), AtomicU32::new(0));
        let (lot, token) = (&lot, &token);
        thread::scope(|scope| {
            for me in 0..2 {
                scope.spawn(move || {
                    for _ in 0..5_000 {
                        while token.load(Ordering::SeqCst) != me {
                            lot.wait(0, || token.load(Ordering::SeqCst) != me, -1, None);
                        }
                        token.store(1 - me, Ordering::SeqCst);
                        lot.notify(0, 1);
                    }
                });
            }
        });
    }
}
