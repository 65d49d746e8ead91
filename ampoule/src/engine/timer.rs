//! Wall-clock limits of calls: one thread, started when a limit is first used, that cancels calls whose time is over.
//!
//! A call costs a look at the clock and two writes: its cell notes when its time is over, and the thread is only told where it would
//! look at that cell too late. Entries are not taken out when calls end; the thread finds a cell without a limit, or with a later one,
//! and forgets it or comes back. So there is at most one entry for each store, and an engine without entries has a thread that sleeps.
//!
//! The thread ends with its [`Timer`]. A forked child has no such thread: it makes a timer of its own.

use crate::engine::cancel::Cell;
use crate::error::CancelCause;
use crate::error::{Error, ErrorKind};
use ampoule_machine::os::sync::{Mutex, MutexGuard, OnceLock};
use ampoule_machine::os::{fork, futex, signals};
use std::collections::BinaryHeap;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use std::{cmp, process};

/// The timer of an engine, once it is used.
#[derive(Debug, Default)]
pub(crate) struct LazyTimer(AtomicPtr<Timer>);

/// The thread of one process, and what it waits for.
#[derive(Debug)]
struct Timer {
    process: u32,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    /// That of the process which this one was forked from, if it had one. Only kept so that leak checkers find it.
    _parent: *const Timer,
}

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    /// Counts what the thread must be woken for, which sleeps on it. Not a condition variable: the lock is not to be taken while it sleeps.
    changed: AtomicU32,
}

#[derive(Debug, Default)]
struct Queue {
    entries: BinaryHeap<Entry>,
    stopping: bool,
}

/// When to look at a cell. The greatest is the earliest.
#[derive(Debug)]
struct Entry {
    at: u64,
    cell: Weak<Cell>,
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> cmp::Ordering {
        other.at.cmp(&self.at)
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Entry {}

/// How soon a call is looked at again that is between two states.
const SOON_NS: u64 = 100_000;

/// The time that limits are told in: nanoseconds since it was first asked, and never zero.
pub(crate) fn now_ns() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    1 + u64::try_from(START.get_or_init(Instant::now).elapsed().as_nanos()).unwrap_or(u64::MAX - 1)
}

impl LazyTimer {
    /// Looks at `cell` at the time `at` at the latest.
    ///
    /// # Errors
    /// Where the thread can't be made.
    pub(crate) fn watch(&self, cell: &Arc<Cell>, at: u64) -> Result<(), Error> {
        let watched_at = cell.watched_at();
        if watched_at != 0 && watched_at <= at {
            return Ok(());
        }
        self.get()?.shared.watch(cell, at);
        Ok(())
    }

    /// This process's timer.
    fn get(&self) -> Result<&Timer, Error> {
        loop {
            let current = self.0.load(Ordering::Acquire);
            // SAFETY: what was published stays until `drop`.
            if let Some(timer) = unsafe { current.as_ref() }
                && timer.process == process::id()
            {
                return Ok(timer);
            }
            let made = Box::into_raw(Box::new(Timer::start(current)?));
            // A parent's timer is left alone: its thread is not here.
            if self.0.compare_exchange(current, made, Ordering::AcqRel, Ordering::Acquire).is_err() {
                // SAFETY: made above, and nobody saw it.
                drop(unsafe { Box::from_raw(made) });
            }
        }
    }
}

impl Drop for LazyTimer {
    fn drop(&mut self) {
        let timer = *self.0.get_mut();
        // SAFETY: published by `get`, and nobody uses it any more.
        if unsafe { timer.as_ref() }.is_some_and(|timer| timer.process == process::id()) {
            // SAFETY: as above.
            drop(unsafe { Box::from_raw(timer) });
        }
    }
}

impl Timer {
    fn start(parent: *const Timer) -> Result<Timer, Error> {
        let failed = |error| Error::new(ErrorKind::System("starting the thread of time limits", error));
        // A child must see that nobody watches its cells, whatever its parent wrote to them.
        fork::watch().map_err(failed)?;
        let shared = Arc::new(Shared::default());
        let of_thread = shared.clone();
        let builder = std::thread::Builder::new().name("ampoule-timer".to_string());
        // The host's signals are for the host's threads.
        let thread = signals::with_all_blocked(|| builder.spawn(move || of_thread.run())).map_err(failed)?;
        Ok(Timer { process: process::id(), shared, thread: Some(thread), _parent: parent })
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.shared.lock().stopping = true;
        self.shared.wake_thread();
        if let Some(thread) = self.thread.take() {
            // It doesn't panic.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock()
    }

    fn wake_thread(&self) {
        self.changed.fetch_add(1, Ordering::SeqCst);
        futex::wake(&self.changed);
    }

    fn watch(&self, cell: &Arc<Cell>, at: u64) {
        let mut queue = self.lock();
        let first = queue.entries.peek().is_none_or(|entry| at < entry.at);
        cell.set_watched_at(at);
        queue.entries.push(Entry { at, cell: Arc::downgrade(cell) });
        drop(queue);
        if first {
            self.wake_thread();
        }
    }

    /// What the thread does: looks at cells whose time has come, and sleeps until the next.
    fn run(&self) {
        loop {
            // Before the queue is looked at: what comes later ends the sleep.
            let changed = self.changed.load(Ordering::SeqCst);
            let mut queue = self.lock();
            if queue.stopping {
                return;
            }
            let left = queue.look_at_due();
            drop(queue);
            futex::wait(&self.changed, changed, left);
        }
    }
}

impl Queue {
    /// Looks at the cells whose time has come, and says how long it is until the next.
    fn look_at_due(&mut self) -> Option<Duration> {
        loop {
            let (entry, now) = (self.entries.peek()?, now_ns());
            if entry.at > now {
                return Some(Duration::from_nanos(entry.at - now));
            }
            let entry = self.entries.pop().expect("just seen");
            if let Some(cell) = entry.cell.upgrade()
                && let Some(at) = look(&cell, entry.at, now)
            {
                self.entries.push(Entry { at, cell: entry.cell });
            }
        }
    }
}

/// Cancels the cell's call if its time is over, and says when to look again.
fn look(cell: &Cell, at: u64, now: u64) -> Option<u64> {
    if cell.watched_at() != at {
        // There is an entry with an earlier time for it, or was.
        return None;
    }
    // Before the cell is asked for its limit: a call that begins meanwhile sees that nobody watches, or we see its limit.
    cell.set_watched_at(0);
    let (running, limit) = cell.time_limit()?;
    let again = match running {
        Some(generation) if limit <= now => {
            cell.cancel(generation, CancelCause::TimeLimit);
            return None;
        }
        // About to begin, or just over.
        None if limit <= now => now + SOON_NS,
        _ => limit,
    };
    cell.set_watched_at(again);
    Some(again)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU64;

    fn wait_until(what: impl Fn() -> bool) {
        let end = Instant::now() + Duration::from_secs(20);
        while !what() {
            assert!(Instant::now() < end, "it never happens");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn a_call_is_cancelled_when_its_time_is_over_and_no_other() {
        let (timer, deadline) = (LazyTimer::default(), AtomicU64::new(u64::MAX));
        let cell = Arc::new(Cell::new(&deadline));
        for _ in 0..3 {
            let at = now_ns() + 5_000_000;
            cell.set_time_limit(at);
            timer.watch(&cell, at).unwrap();
            cell.begin().unwrap();
            assert!(now_ns() >= at || cell.cause().is_none());
            wait_until(|| cell.cause().is_some());
            assert!(now_ns() >= at);
            assert_eq!(cell.cause(), Some(CancelCause::TimeLimit));
            wait_until(|| deadline.load(Ordering::SeqCst) == 0);
            cell.end();
            assert_eq!(cell.cause(), None);
        }
        cell.close();
    }

    #[test]
    fn an_earlier_limit_overtakes_a_later_one_and_short_calls_leave_one_entry() {
        let (timer, deadline) = (LazyTimer::default(), AtomicU64::new(u64::MAX));
        let cell = Arc::new(Cell::new(&deadline));
        for _ in 0..1000 {
            let at = now_ns() + 3_600_000_000_000;
            cell.set_time_limit(at);
            timer.watch(&cell, at).unwrap();
            cell.begin().unwrap();
            cell.end();
        }
        assert_eq!(timer.get().unwrap().shared.lock().entries.len(), 1);
        let at = now_ns() + 2_000_000;
        cell.set_time_limit(at);
        timer.watch(&cell, at).unwrap();
        cell.begin().unwrap();
        wait_until(|| cell.cause().is_some());
        cell.close();
    }
}
