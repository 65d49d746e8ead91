//! Cancelling a call from outside: from another thread, from a signal handler, or because its time is over.
//!
//! What the host calls from outside of the guest is one **call**, whatever it leads to: functions that it calls back, and calls that
//! those make into the guest. A store numbers its calls: the number is the call's **generation**. A [`CancelToken`] cancels a
//! generation, so what comes too late for one call never hits the next.
//!
//! Two parties share a [`Cell`]: the store, which says where calls begin and end, and everybody who cancels. Who cancels first marks the
//! call, then makes the guest look, by moving the store's deadline to zero; the guest's next look (at a function's entry or the head of
//! a loop) leads to a builtin that finds the mark. Invariants:
//!
//! 1. `state` changes by atomic read-modify-write only, and a mark is set only together with a comparison of the generation.
//! 2. The mark comes before the write to the deadline. Whoever writes another deadline looks for a mark afterwards
//!    (`Store::write_deadline`), so no order of the two loses a cancellation. A write that comes late only makes the
//!    guest look, find nothing, and go on.
//! 3. `deadline` points into a live store while `pins` counts anybody: who cancels is counted before reading the pointer, and who takes it
//!    away clears it, then waits until nobody is.
//! 4. A sleeper is announced before it looks for a mark, and the mark comes before the look for a sleeper, so none is missed.
//! 5. Cancelling takes no lock, allocates nothing and waits for nothing, so that signal handlers may.

use crate::engine::Engine;
use crate::error::{CancelCause, Error};
use ampoule_machine::os::fork;
use ampoule_machine::os::pins::Pins;
use ampoule_machine::os::sleeper::{Sleeper, SleeperSlot};
use std::io;
use std::os::fd::BorrowedFd;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::time::Duration;

/// Cancels calls of one store. Clones are for the same store; any thread may use one, and one may outlive the store.
#[derive(Clone, Debug)]
pub struct CancelToken(Arc<Cell>);

impl CancelToken {
    pub(crate) fn new(cell: Arc<Cell>) -> Self {
        Self(cell)
    }

    /// The generation of the call that runs, or where none does, of the next one. Never zero, unless the store is gone.
    pub fn generation(&self) -> u64 {
        self.0.generation()
    }

    /// Cancels the call of this generation. If it runs, it stops at its next look: with the trap
    /// [`crate::TrapCode::Interrupt`], whose kind is [`crate::error::ErrorKind::Cancelled`], and sleeps of its end early; if it is the next
    /// one, it will stop where it begins. False, and nothing happens, where that call is over or far in the future.
    ///
    /// A call that makes no look any more before its end completes nevertheless. May be called from a signal handler.
    pub fn cancel(&self, generation: u64) -> bool {
        self.0.cancel(generation, CancelCause::Token)
    }
}

/// What a host function that waits needs to know.
#[derive(Clone, Debug)]
pub struct CancelCheck(pub(crate) Arc<Cell>);

impl CancelCheck {
    /// Whether the call that runs was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.0.cause().is_some()
    }
}

/// What ends the waits of a store's thread early: that its call is cancelled, and that the engine's epoch reaches a deadline. Only the thread
/// that uses the store may wait with it.
#[derive(Clone, Copy)]
pub struct Interrupts<'a> {
    cancel: Option<&'a Cell>,
    epoch: Option<(&'a Engine, u64)>,
}

impl<'a> Interrupts<'a> {
    /// Those of a call that may be cancelled, and of an epoch that ends it, where there are such.
    pub fn new(cancel: Option<&'a CancelCheck>, epoch: Option<(&'a Engine, u64)>) -> Self {
        Self::of_cell(cancel.map(|check| &*check.0), epoch)
    }

    pub(crate) fn of_cell(cancel: Option<&'a Cell>, epoch: Option<(&'a Engine, u64)>) -> Self {
        Self { cancel, epoch }
    }

    /// Whether there is anything that could end a wait.
    pub fn are_possible(&self) -> bool {
        self.cancel.is_some() || self.epoch.is_some()
    }

    /// Whether one is there.
    pub fn is_pending(&self) -> bool {
        self.cancel.is_some_and(|cell| cell.cause().is_some())
            || self.epoch.is_some_and(|(engine, deadline)| engine.epoch_now() >= deadline)
    }

    /// Sleeps for so long, or for ever, but no longer than until one comes. May return early for no reason.
    pub fn sleep(&self, timeout: Option<Duration>) {
        let sleeper = Sleeper::new();
        self.sleep_on(&sleeper, || sleeper.sleep(timeout));
    }

    /// Calls `wait` with a descriptor that becomes readable when one comes, to be waited for beside others; `None`, without
    /// calling it, where one is there.
    ///
    /// # Errors
    /// Where the operating system has no such descriptor.
    pub fn wait_with<R>(&self, wait: impl FnOnce(BorrowedFd<'_>) -> R) -> io::Result<Option<R>> {
        let sleeper = Sleeper::with_descriptor()?;
        Ok(self.sleep_on(&sleeper, || wait(sleeper.descriptor().expect("made with one"))))
    }

    /// Sleeps where each of them wakes the sleeper; `None`, without sleeping, where one is there.
    pub(crate) fn sleep_on<R>(&self, sleeper: &Sleeper, sleep: impl FnOnce() -> R) -> Option<R> {
        let _in_cell = self.cancel.map(|cell| cell.sleeper.announce(sleeper));
        let _in_engine = self.epoch.map(|(engine, deadline)| engine.epoch_sleepers().announce(deadline, sleeper));
        // After the announcements, by (4).
        (!self.is_pending()).then(sleep)
    }
}

/// What a store shares with those who cancel its calls; see the invariants above.
#[derive(Debug)]
pub(crate) struct Cell {
    /// The generation, above [`FLAGS`] bits.
    state: AtomicU64,
    pins: Pins,
    deadline: AtomicPtr<AtomicU64>,
    /// The store's thread where it sleeps.
    sleeper: SleeperSlot,
    /// When the call's time is over ([`crate::engine::timer::now_ns`]); zero for never. Belongs to the generation that is running: written before
    /// it runs, cleared when it is over.
    limit: AtomicU64,
    /// When the timer will look here; zero for never.
    watched_at: AtomicU64,
    /// Whose timer: that of a parent looks at the parent's cell.
    watched_in: AtomicU32,
}

/// A call of the generation runs.
const RUNNING: u64 = 1;
/// It was cancelled through a token.
const CANCELLED: u64 = 1 << 1;
/// Its time is over.
const EXPIRED: u64 = 1 << 2;
/// The store is gone.
const CLOSED: u64 = 1 << 3;
/// How many bits those are.
const FLAGS: u32 = 4;

fn generation_of(state: u64) -> u64 {
    state >> FLAGS
}

fn cause_of(state: u64) -> Option<CancelCause> {
    match state {
        state if state & CANCELLED != 0 => Some(CancelCause::Token),
        state if state & EXPIRED != 0 => Some(CancelCause::TimeLimit),
        _ => None,
    }
}

impl Cell {
    /// A cell for the store with this deadline, which no call runs in, or none that can be cancelled.
    pub(crate) fn new(deadline: &AtomicU64) -> Self {
        let deadline = AtomicPtr::new(ptr::from_ref(deadline).cast_mut());
        let [limit, watched_at] = [0, 0].map(AtomicU64::new);
        let (pins, sleeper, watched_in) = Default::default();
        Self { state: AtomicU64::new(1 << FLAGS), pins, deadline, sleeper, limit, watched_at, watched_in }
    }

    /// A call begins.
    ///
    /// # Errors
    /// Where it was cancelled before: then it is over already.
    pub(crate) fn begin(&self) -> Result<(), Error> {
        match cause_of(self.state.fetch_or(RUNNING, SeqCst)) {
            None => Ok(()),
            Some(cause) => {
                self.end();
                Err(Error::cancelled(cause))
            }
        }
    }

    /// The call is over, and with it what was marked.
    pub(crate) fn end(&self) {
        let next = |state| Some((generation_of(state) + 1) << FLAGS);
        self.state.fetch_update(SeqCst, SeqCst, next).expect("there is always a next state");
        self.limit.store(0, SeqCst);
    }

    /// The store goes away.
    pub(crate) fn close(&self) {
        self.state.store(CLOSED, SeqCst);
        self.deadline.store(ptr::null_mut(), SeqCst);
        self.pins.wait_unpinned();
    }

    /// Why the call that runs, or the next one, was cancelled, if it was.
    pub(crate) fn cause(&self) -> Option<CancelCause> {
        cause_of(self.state.load(SeqCst))
    }

    /// For the call that is about to begin.
    pub(crate) fn set_time_limit(&self, at: u64) {
        self.limit.store(at, SeqCst);
    }

    /// When the call's time is over, if it has a limit, and its generation, if it runs.
    pub(crate) fn time_limit(&self) -> Option<(Option<u64>, u64)> {
        loop {
            let before = self.state.load(SeqCst);
            let limit = self.limit.load(SeqCst);
            // The limit is this generation's if that was running all the time.
            if generation_of(self.state.load(SeqCst)) == generation_of(before) {
                let running = (before & RUNNING != 0).then(|| generation_of(before));
                return (limit != 0).then_some((running, limit));
            }
        }
    }

    /// When this process's timer will look here; zero for never.
    pub(crate) fn watched_at(&self) -> u64 {
        if self.watched_in.load(Relaxed) == fork::generation() { self.watched_at.load(SeqCst) } else { 0 }
    }

    pub(crate) fn set_watched_at(&self, at: u64) {
        self.watched_in.store(fork::generation(), Relaxed);
        self.watched_at.store(at, SeqCst);
    }

    fn generation(&self) -> u64 {
        generation_of(self.state.load(SeqCst))
    }

    pub(crate) fn cancel(&self, generation: u64, cause: CancelCause) -> bool {
        let mark = match cause {
            CancelCause::Token => CANCELLED,
            CancelCause::TimeLimit => EXPIRED,
        };
        // By (1). What was marked before is left as it is: the first cause is the one told.
        let marked = self.state.fetch_update(SeqCst, SeqCst, |state| {
            let ours = generation_of(state) == generation && state & CLOSED == 0;
            ours.then(|| if cause_of(state).is_some() { state } else { state | mark })
        });
        if marked.is_err() {
            return false;
        }
        let _pinned = self.pins.pin();
        let deadline = self.deadline.load(SeqCst);
        if !deadline.is_null() {
            // SAFETY: the store is alive, by (3).
            unsafe { (*deadline).store(0, SeqCst) };
        }
        self.sleeper.wake();
        true
    }
}
