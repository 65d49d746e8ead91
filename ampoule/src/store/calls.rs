//! What is done where calls begin and end, in stores whose calls can be cancelled, or where the guest's time is counted.
//!
//! Other stores never come here: the way in compares the stack's bounds that the store knows with the stack pointer, and a store with
//! something to do at the borders of calls pretends not to know them ([`ampoule_core::vm::VmStackBounds::keep_asking`]). That is decided
//! when a call begins, so a call that was running when a token was made has no generation.

use super::Store;
use crate::engine::Engine;
use crate::engine::cancel::{CancelCheck, CancelToken, Cell, Interrupts};
use crate::engine::timer::now_ns;
use crate::error::{Error, ErrorKind};
use ampoule_core::vm::{VmEntryChecks, VmStackBounds};
use ampoule_machine::stack;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Who wants to know of calls.
pub(crate) struct Calls {
    cancel: Option<Arc<Cell>>,
    time_limit: Option<Duration>,
    /// A call is running that [`Store::end_call`] will be told of.
    running: bool,
}

/// What is to be done when a call is over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum AtEnd {
    Nothing,
    /// The guest's clock is stopped.
    StopClock,
    /// And the call's generation is over.
    EndGeneration,
}

/// The call that an event loop is.
#[must_use = "it ends at `Store::end_loop`"]
#[derive(Debug)]
pub struct LoopCall {
    /// Whether it began with the loop, which then ends it.
    begins: bool,
}

impl Calls {
    pub(crate) fn new() -> Self {
        Self { cancel: None, time_limit: None, running: false }
    }
}

/// What a new store is entered by: it knows no stack, and will take none for known where the guest's time is counted.
pub(crate) fn entry_checks(engine: &Engine) -> VmEntryChecks {
    let timed = engine.config().tunables.statistics;
    let mut stack = VmStackBounds::default();
    if timed {
        stack.keep_asking();
    }
    VmEntryChecks {
        stack,
        max_stack: engine.config().max_wasm_stack,
        running_task: ptr::null_mut(),
        waiting_task: ptr::null_mut(),
        timed,
    }
}

impl Drop for Calls {
    fn drop(&mut self) {
        if let Some(cell) = &self.cancel {
            cell.close();
        }
    }
}

impl Store {
    /// The outermost call begins, entered at stack pointer `sp`, and the fast path did not know the stack. What [`Store::end_call`]
    /// is to be told after it.
    ///
    /// # Errors
    /// Where the call was cancelled before it began, or its time limit can't be watched.
    #[cold]
    pub(crate) fn begin_call(&mut self, sp: usize) -> Result<AtEnd, Error> {
        self.limiter.check_idle()?;
        self.vm.stack_limit = stack::limit_for(&mut self.vm.entry.stack, sp, self.engine.config().max_wasm_stack);
        let timed = self.begin_nested_call();
        if timed != AtEnd::Nothing {
            self.vm.entry.stack.keep_asking();
        }
        if self.calls.cancel.is_none() {
            return Ok(timed);
        }
        self.vm.entry.stack.keep_asking();
        // Entered on another stack, by a host function that waits for it, or by an event loop: part of its call.
        if !self.calls.running && self.begin_generation()? { Ok(AtEnd::EndGeneration) } else { Ok(timed) }
    }

    /// A call begins that can be cancelled. Whether it can.
    fn begin_generation(&mut self) -> Result<bool, Error> {
        let Some(cell) = &self.calls.cancel else { return Ok(false) };
        if let Some(limit) = self.calls.time_limit {
            let at = now_ns().saturating_add(u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX));
            cell.set_time_limit(at);
            if let Err(error) = self.engine.timer().watch(cell, at) {
                cell.set_time_limit(0);
                self.counters.stop();
                return Err(error);
            }
        }
        if let Err(error) = cell.begin() {
            self.counters.stop();
            return Err(error);
        }
        self.calls.running = true;
        self.write_deadline();
        Ok(true)
    }

    /// An event loop begins, whose siblings ([`super::task::sibling`]) enter the guest: all that they do until [`Store::end_loop`] is one
    /// call, which can be cancelled and has a time limit as one. What that is to be told.
    ///
    /// # Errors
    /// Where nothing may be entered now, or the call was cancelled before it began.
    pub fn begin_loop(&mut self) -> Result<LoopCall, Error> {
        self.check_unreserved()?;
        let begins = self.calls.cancel.is_some() && !self.calls.running && self.begin_generation()?;
        Ok(LoopCall { begins })
    }

    /// The event loop has ended.
    pub fn end_loop(&mut self, call: LoopCall) {
        if let (true, Some(cell)) = (call.begins, &self.calls.cancel) {
            self.calls.running = false;
            cell.end();
        }
    }

    /// A call in a call begins.
    #[inline]
    pub(crate) fn begin_nested_call(&mut self) -> AtEnd {
        if !self.vm.entry.timed {
            return AtEnd::Nothing;
        }
        self.counters.start();
        AtEnd::StopClock
    }

    /// A call is over that wanted to know it.
    #[cold]
    pub(crate) fn end_call(&mut self, what: AtEnd) {
        self.counters.stop();
        if let (AtEnd::EndGeneration, Some(cell)) = (what, &self.calls.cancel) {
            self.calls.running = false;
            cell.end();
        }
    }

    /// A token that cancels calls of this store.
    ///
    /// # Errors
    /// Where the engine's code can't be interrupted (see [`crate::Config::cancellation`]), or a call is running.
    pub fn cancel_token(&mut self) -> Result<CancelToken, Error> {
        if self.has_call() && self.calls.cancel.is_none() {
            return Err(Error::message("a store's first cancel token cannot be made while a call runs"));
        }
        self.cancel_cell().cloned().map(CancelToken::new)
    }

    /// Limits the time of each call that begins from now on, by the clock on the wall; `None` is no limit. A guest that is still running
    /// then is stopped as if it were cancelled. Time counts that calls spend in the host, asleep, or suspended.
    ///
    /// The first limit in an engine starts a thread, which ends with the engine.
    ///
    /// # Errors
    /// Where the engine's code can't be interrupted; see [`crate::Config::cancellation`].
    pub fn set_call_time_limit(&mut self, limit: Option<Duration>) -> Result<(), Error> {
        self.cancel_cell()?;
        self.calls.time_limit = limit;
        Ok(())
    }

    fn cancel_cell(&mut self) -> Result<&Arc<Cell>, Error> {
        if !self.engine.config().tunables.interruptible() {
            return Err(Error::new(ErrorKind::Config("cancellation is not configured in this engine".to_string())));
        }
        self.vm.entry.stack.keep_asking();
        Ok(self.calls.cancel.get_or_insert_with(|| Arc::new(Cell::new(&self.vm.epoch_deadline))))
    }

    /// Whether the call that runs was cancelled. Host functions that take long may ask, and return.
    pub fn is_cancelled(&self) -> bool {
        self.calls.cancel.as_ref().is_some_and(|cell| cell.cause().is_some())
    }

    /// For a host function that waits: tells later whether the call was cancelled. `None` where nobody can.
    pub fn cancel_check(&self) -> Option<CancelCheck> {
        self.calls.cancel.clone().map(CancelCheck)
    }

    /// What ends this store's waits early: whatever makes its guest look.
    pub(crate) fn interrupts(&self) -> Interrupts<'_> {
        let epochs = self.engine.config().tunables.epoch_interruption;
        Interrupts::of_cell(self.calls.cancel.as_deref(), epochs.then_some((&self.engine, self.epoch.deadline)))
    }

    /// Whether guest code would look now: it was cancelled, or its deadline is over.
    #[inline]
    pub(crate) fn must_look(&self) -> bool {
        self.engine.epoch_now() >= self.vm.epoch_deadline.load(Ordering::SeqCst)
    }

    /// For what the host does in a call of the guest's, and takes long.
    ///
    /// # Errors
    /// Where the guest is to be stopped without anybody being asked.
    pub(crate) fn check_interrupted(&self) -> Result<(), Error> {
        let past = || self.epoch.interrupts() && self.epoch.is_over(&self.engine);
        if self.is_running() && (self.is_cancelled() || past()) { Err(self.interruption()) } else { Ok(()) }
    }

    /// Why the guest is stopped that a host function let wait no longer.
    pub fn interruption(&self) -> Error {
        self.cancellation().unwrap_or_else(|| Error::trap(ampoule_core::trap::TrapCode::Interrupt))
    }

    /// The error of a call that was cancelled.
    #[inline]
    pub(crate) fn cancellation(&self) -> Option<Error> {
        self.calls.cancel.as_ref()?.cause().map(Error::cancelled)
    }

    /// Tells machine code the deadline; or to look at once, where the call was cancelled.
    pub(crate) fn write_deadline(&self) {
        let machine = &self.vm.epoch_deadline;
        if self.calls.cancel.is_none() {
            // Nobody else writes it.
            return machine.store(self.epoch.deadline, Ordering::Relaxed);
        }
        machine.store(self.epoch.deadline, Ordering::SeqCst);
        // In this order: see `crate::engine::cancel`, invariant 2.
        if self.is_cancelled() {
            machine.store(0, Ordering::SeqCst);
        }
    }
}
