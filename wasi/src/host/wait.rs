//! The one place where a call of a guest's sleeps.
//!
//! A sleep ends early when the call is cancelled or its time limit passes, when the store's epoch deadline passes, or when
//! a check of the embedder's says so. All are looked at before sleeping. The first two wake the sleeper; the check is
//! asked every [`SLICE`]. Without one, a call sleeps exactly as long as the guest asked.

use super::error::Error;
use ampoule::Engine;
use ampoule::engine::cancel::{CancelCheck, Interrupts};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::time::{Duration, Instant};

/// Whether the sleeping guest is to be interrupted.
pub type InterruptCheck = Box<dyn FnMut() -> bool + Send + Sync>;

/// The longest time between two questions to the interrupt check.
pub const SLICE: Duration = Duration::from_millis(10);

/// How calls of one context sleep.
#[derive(Default)]
pub struct Waiter {
    check: Option<InterruptCheck>,
    /// The engine whose epoch ends a sleep, and the epoch that does. Set for each call.
    epoch: Option<Engine>,
    deadline: Option<u64>,
    /// Says whether the call was cancelled. Set for each call.
    cancel: Option<CancelCheck>,
}

impl Waiter {
    /// Sets or removes the interrupt check.
    pub fn set_check(&mut self, check: Option<InterruptCheck>) {
        self.check = check;
    }

    /// Ends the sleeps of a call when its store says so.
    pub(crate) fn set_call(&mut self, engine: &Engine, epoch: Option<u64>, cancel: Option<CancelCheck>) {
        self.deadline = epoch;
        self.cancel = cancel;
        if epoch.is_some() && self.epoch.is_none() {
            self.epoch = Some(engine.clone());
        }
    }

    /// Whether a sleep could be interrupted, so that it is worth waiting here rather than in a blocking system call.
    pub fn is_interruptible(&self) -> bool {
        self.check.is_some() || self.interrupts().are_possible()
    }

    /// What ends a sleep by itself.
    fn interrupts(&self) -> Interrupts<'_> {
        Interrupts::new(self.cancel.as_ref(), self.epoch.as_ref().zip(self.deadline))
    }

    /// Looks for a cancellation and at the deadline, and asks the interrupt check.
    ///
    /// # Errors
    /// [`Error::Interrupted`] when it says so.
    pub fn check(&mut self) -> Result<(), Error> {
        let interrupted = self.interrupts().is_pending() || self.check.as_mut().is_some_and(|check| check());
        if interrupted { Err(Error::Interrupted) } else { Ok(()) }
    }

    /// Sleeps until one of `fds` is ready or `timeout` is over; without either, until interrupted. Returns how many
    /// are ready: `PollFd::revents` says which.
    ///
    /// # Errors
    /// [`Error::Interrupted`], or what `poll(2)` says.
    pub fn poll(&mut self, fds: &mut [PollFd<'_>], timeout: Option<Duration>) -> Result<usize, Error> {
        // A timeout past the end of the host's clock is none.
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            self.check()?;
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            let slice = match (left, self.check.is_some()) {
                (Some(left), true) => Some(left.min(SLICE)),
                (None, true) => Some(SLICE),
                (left, false) => left,
            };
            let interrupts = self.interrupts();
            let ready = if !interrupts.are_possible() {
                poll_once(fds, slice)?
            } else if fds.is_empty() {
                interrupts.sleep(slice);
                0
            } else {
                poll_or_wake(interrupts, fds, slice)?
            };
            if ready > 0 || deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Ok(ready);
            }
        }
    }
}

/// `poll(2)`, where a signal ends the wait like its time.
fn poll_once(fds: &mut [PollFd<'_>], timeout: Option<Duration>) -> Result<usize, Error> {
    match poll(fds, timeout.and_then(|timeout| Timespec::try_from(timeout).ok()).as_ref()) {
        Ok(ready) => Ok(ready),
        // A signal of the embedder's: its handler may have changed what the check says.
        Err(rustix::io::Errno::INTR) => Ok(0),
        Err(error) => Err(error.into()),
    }
}

/// The same, no longer than until the call is interrupted.
fn poll_or_wake(interrupts: Interrupts<'_>, fds: &mut [PollFd<'_>], timeout: Option<Duration>) -> Result<usize, Error> {
    let ready = poll_once(fds, Some(Duration::ZERO))?;
    if ready > 0 || timeout == Some(Duration::ZERO) {
        return Ok(ready);
    }
    let waited = interrupts.wait_with(|wake| {
        let mut all: Vec<PollFd<'_>> = fds.to_vec();
        all.push(PollFd::from_borrowed_fd(wake, PollFlags::IN));
        poll_once(&mut all, timeout)
    });
    match waited {
        // Where it was interrupted, the caller looks.
        Ok(waited) => waited.transpose()?,
        // No descriptor is left to be woken by.
        Err(_) => return poll_once(fds, Some(timeout.map_or(SLICE, |timeout| timeout.min(SLICE)))),
    };
    // Reports in the caller's own list which are ready.
    poll_once(fds, Some(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sleeps_as_long_as_asked() {
        let start = Instant::now();
        assert_eq!(Waiter::default().poll(&mut [], Some(Duration::from_millis(15))), Ok(0));
        assert!(start.elapsed() >= Duration::from_millis(15));
    }

    #[test]
    fn a_check_shortens_the_sleep() {
        let mut waiter = Waiter::default();
        let mut questions = 0;
        waiter.set_check(Some(Box::new(move || {
            questions += 1;
            questions > 2
        })));
        let start = Instant::now();
        assert_eq!(waiter.poll(&mut [], None), Err(Error::Interrupted));
        assert!(start.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn a_check_that_says_no_changes_nothing() {
        let mut waiter = Waiter::default();
        waiter.set_check(Some(Box::new(|| false)));
        let start = Instant::now();
        assert_eq!(waiter.poll(&mut [], Some(Duration::from_millis(35))), Ok(0));
        assert!(start.elapsed() >= Duration::from_millis(35));
    }
}
