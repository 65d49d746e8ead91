//! How a store waits for the host: asleep, or suspended until it is polled again, where it runs in a task. What it can wait for is
//! [`super::reactor`]'s.
//!
//! Either way a wait ends early when the call is cancelled, its time limit passes, the store's epoch deadline interrupts, or the embedder's
//! check ([`super::interrupt_check`]) says so, which is asked again and again.

use super::Store;
use super::interrupt_check::INTERVAL;
use super::reactor::Reactor;
use crate::engine::cancel::Interrupts;
use crate::error::{Error, ErrorKind};
use std::io;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// Who is told when what is suspended can go on.
#[derive(Default)]
pub(super) struct Listener {
    waker: Option<Waker>,
    /// The waker was woken, or will be.
    is_armed: bool,
    /// The engine's thread knows the store.
    is_watched: bool,
}

impl Store {
    /// Has this waker woken whenever polling what is suspended in this store would bring it forward, on whatever thread, in place
    /// of the one from before. Where a host waits for the reactor's descriptor, it needs none; futures of calls set theirs at each poll.
    ///
    /// The first in an engine that has to be woken for a descriptor or a point in time starts a thread, which ends with the engine.
    pub fn set_host_waker(&mut self, waker: Option<Waker>) {
        if waker.is_none()
            && std::mem::take(&mut self.listener.is_watched)
            && let Some(descriptor) = self.reactor.as_ref().and_then(|reactor| reactor.descriptor().ok())
        {
            self.engine.watcher().forget(self.id(), descriptor);
        }
        self.listener.is_armed = false;
        let before = std::mem::replace(&mut self.listener.waker, waker);
        self.finalize(before);
    }

    /// Whether the waker that was set was woken since, or will be.
    pub fn host_waker_is_armed(&self) -> bool {
        self.listener.is_armed
    }

    /// Sees to it that the host's waker, if there is one, is woken when the reactor has a reason to go on: for what suspends itself until
    /// that. [`Store::wait`] does.
    ///
    /// # Errors
    /// Where the operating system has no descriptor or thread left.
    pub fn arm_host_waker(&mut self) -> Result<(), Error> {
        let Some(waker) = self.listener.waker.clone() else { return Ok(()) };
        let (engine, number) = (self.engine.clone(), self.id());
        let descriptor = self.reactor()?.descriptor().map_err(cannot_wait)?;
        engine.watcher().watch(number, descriptor, waker)?;
        (self.listener.is_armed, self.listener.is_watched) = (true, true);
        Ok(())
    }

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

    /// What this store waits for, if it ever had to wait.
    pub fn reactor_if_any(&self) -> Option<&Reactor> {
        self.reactor.as_ref()
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
    /// Where what runs has to end: its call was cancelled or given up, its time or its store's epochs are over, or the embedder's check says so.
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
        let asks = self.interrupt_check.is_some();
        if self.waits_suspended() && !reactor.sleeper().is_woken() {
            self.arm_host_waker()?;
            let mut next_question = reactor.timer();
            if asks {
                next_question.arm(Instant::now() + INTERVAL, Waker::noop());
            }
            reactor.before_suspension();
            interrupts.sleep_on(reactor.sleeper(), || self.suspend()).transpose()?;
            reactor.turn(Some(Duration::ZERO)).map_err(cannot_wait)?;
        } else {
            interrupts
                .sleep_on(reactor.sleeper(), || reactor.turn(asks.then_some(INTERVAL)))
                .transpose()
                .map_err(cannot_wait)?;
        }
        self.check_wait()
    }

    /// Has the host learn when there is a reason to go on, by the reactor's descriptor or the waker that it has set, though nothing is
    /// suspended: for event loops that return to it while something waits.
    ///
    /// # Errors
    /// Where the operating system has no descriptor or thread left.
    pub fn listen(&mut self) -> Result<(), Error> {
        self.arm_host_waker()?;
        if let Some(reactor) = &self.reactor {
            reactor.before_suspension();
        }
        Ok(())
    }

    /// Wakes, without waiting, whoever waits for what is there: for event loops that always have something else to do.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn poll_reactor(&mut self) -> Result<(), Error> {
        match self.reactor.clone() {
            Some(reactor) => reactor.turn(Some(Duration::ZERO)).map(drop).map_err(cannot_wait),
            None => Ok(()),
        }
    }

    /// Has a host that listens to the reactor's descriptor poll again: what is suspended now can go on at once.
    #[inline]
    pub(super) fn wake_listener(&mut self) {
        if let Some(waker) = &self.listener.waker {
            waker.wake_by_ref();
            self.listener.is_armed = true;
        }
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
        let is_over = self.is_cancelled() || past || self.interrupt_check.as_ref().is_some_and(|check| check());
        if is_over { Err(self.interruption()) } else { Ok(()) }
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
