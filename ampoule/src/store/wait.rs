//! How a store waits for the host: asleep, or suspended until it is polled again, where it runs in a task. What it can wait for is
//! [`super::reactor`]'s.
//!
//! Either way a wait ends early when the call is cancelled, its time limit passes, or the store's epoch deadline interrupts.

use super::Store;
use super::reactor::Reactor;
use crate::engine::cancel::Interrupts;
use crate::error::{Error, ErrorKind};
use std::io;
use std::task::{Context, Poll};
use std::time::Duration;

impl Store {
    /// What this store waits for, to add to. Made when first asked for.
    ///
    /// # Errors
    /// Where the operating system has no descriptor left.
    pub fn reactor(&mut self) -> Result<&Reactor, Error> {
        if self.reactor.is_none() {
            self.reactor = Some(Reactor::new().map_err(cannot_wait)?);
        }
        Ok(self.reactor.as_ref().expect("it is there, or was just made"))
    }

    /// Whether [`Store::wait`] suspends what runs, rather than put the thread to sleep.
    #[inline]
    pub fn waits_suspended(&self) -> bool {
        // What was given up is told so by the attempt.
        self.can_suspend() && (!self.is_held() || self.check_not_given_up().is_err())
    }

    /// Waits until there is a reason to go on that the reactor knows of, and wakes whoever waits for that. May return for no reason:
    /// callers look at what they wait for, and wait again.
    ///
    /// # Errors
    /// Where what runs has to end: its call was cancelled or given up, or its time or its store's epochs are over.
    pub fn wait(&mut self) -> Result<(), Error> {
        self.check_wait()?;
        if self.on_sibling() && self.waits_suspended() {
            // Whoever runs the event loop waits, with the reactor, when nothing else of the store can go on.
            self.suspend_for_host()?;
            return self.check_wait();
        }
        let reactor = self.reactor()?.clone();
        // Held here, not borrowed from the store, which others use while this is suspended.
        let (engine, epoch, cancel) = (self.engine.clone(), self.interrupting_epoch(), self.cancel_check());
        let interrupts = Interrupts::new(cancel.as_ref(), epoch.map(|epoch| (&engine, epoch)));
        if self.waits_suspended() && !reactor.sleeper().is_woken() {
            reactor.before_suspension();
            interrupts.sleep_on(reactor.sleeper(), || self.suspend()).transpose()?;
            reactor.turn(Some(Duration::ZERO)).map_err(cannot_wait)?;
        } else {
            interrupts.sleep_on(reactor.sleeper(), || reactor.turn(None)).transpose().map_err(cannot_wait)?;
        }
        self.check_wait()
    }

    /// Has a host that listens to the reactor's descriptor poll again: what is suspended now can go on at once.
    #[inline]
    pub(super) fn wake_listener(&self) {
        if let Some(reactor) = &self.reactor
            && reactor.has_listener()
        {
            reactor.wake();
        }
    }

    /// The host polls again: what it was woken for is looked at now, and the descriptor has served its purpose.
    #[inline]
    pub(super) fn heed_listener(&self) {
        if let Some(reactor) = &self.reactor
            && reactor.has_listener()
        {
            reactor.sleeper().take_wake();
        }
    }

    /// Whether there is something that ends waits.
    fn check_wait(&self) -> Result<(), Error> {
        let past = self.epoch.interrupts() && self.epoch.is_over(&self.engine);
        if self.is_cancelled() || past { Err(self.interruption()) } else { Ok(()) }
    }

    /// Asks `poll` again and again until it is ready, and waits in between. What it is given leads to a waker, to arm registrations and
    /// timers of the reactor with, or to hand to another thread.
    ///
    /// # Errors
    /// As [`Store::wait`].
    pub fn wait_until<T>(&mut self, mut poll: impl FnMut(&mut Store, &mut Context<'_>) -> Poll<T>) -> Result<T, Error> {
        let waker = self.reactor()?.waker();
        loop {
            if let Poll::Ready(value) = poll(self, &mut Context::from_waker(&waker)) {
                return Ok(value);
            }
            self.wait()?;
        }
    }
}

#[cold]
fn cannot_wait(error: io::Error) -> Error {
    Error::new(ErrorKind::System("waiting for the host", error))
}

#[cfg(test)]
mod tests;
