//! Epoch deadlines: the embedder moves the engine's epoch on, and guests that reach their store's deadline are interrupted.

use super::Store;
use crate::engine::Engine;
use crate::error::Error;

/// Asked when the deadline passes: what to do with the guest.
pub type Callback = Box<dyn FnMut(&mut Store) -> Result<UpdateDeadline, Error> + Send + Sync>;

/// What an epoch callback wants.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum UpdateDeadline {
    /// Go on, with the deadline this many ticks beyond the current epoch.
    Continue(u64),
    /// Go on like that after yielding to the caller of an asynchronous call.
    Yield(u64),
}

/// What happens when the deadline passes.
pub(crate) enum AtDeadline {
    /// The guest traps.
    Interrupt,
    /// It yields to the caller of the asynchronous call, with the deadline so many ticks beyond the epoch at which it goes on.
    Yield(u64),
    Ask(Callback),
}

/// The deadline, and what happens then.
pub(crate) struct Epoch {
    /// The epoch at which the guest is interrupted; `u64::MAX` where the engine has no epochs.
    pub(crate) deadline: u64,
    pub(crate) then: AtDeadline,
}

impl Epoch {
    /// The deadline is now.
    pub(crate) fn new(engine: &Engine) -> Self {
        let on = engine.config().tunables.epoch_interruption;
        Self { deadline: if on { engine.epoch_now() } else { u64::MAX }, then: AtDeadline::Interrupt }
    }

    /// Whether the deadline has passed.
    #[inline]
    pub(crate) fn is_over(&self, engine: &Engine) -> bool {
        engine.config().tunables.epoch_interruption && engine.epoch_now() >= self.deadline
    }

    /// Whether the guest is stopped then, without anybody being asked.
    pub(crate) fn interrupts(&self) -> bool {
        matches!(self.then, AtDeadline::Interrupt)
    }

    /// Takes the callback, if there is one, to call it.
    pub(crate) fn take_callback(&mut self) -> Option<Callback> {
        match std::mem::replace(&mut self.then, AtDeadline::Interrupt) {
            AtDeadline::Ask(callback) => Some(callback),
            other => {
                self.then = other;
                None
            }
        }
    }

    /// Gives it back, unless it has set something else.
    pub(crate) fn give_callback(&mut self, callback: Callback) {
        if self.interrupts() {
            self.then = AtDeadline::Ask(callback);
        }
    }
}
