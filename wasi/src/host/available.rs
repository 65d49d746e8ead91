//! When something that the embedder provides can be read or written without waiting.
//!
//! What it provides may answer that it would have to wait: [`Errno::AGAIN`](rustix::io::Errno::AGAIN). Then it is tried again: when the
//! descriptor that it names is readable, or else every [`RETRY`].

use super::error::Error;
use super::wait::Waiter;
use ampoule::store::reactor;
use rustix::fd::BorrowedFd;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The time between two attempts where the embedder names no descriptor to wait for.
pub const RETRY: Duration = Duration::from_millis(10);

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // The names say it.
pub enum Direction {
    Read,
    Write,
}

/// What an embedder says of something that would have had to wait.
#[derive(Clone, Copy, Debug)]
pub enum Availability<'a> {
    /// It is worth trying now.
    Ready,
    /// Once this descriptor is readable.
    When(BorrowedFd<'a>),
    /// Once the store's signal has told of something, it is worth asking again.
    Signalled,
    /// Not now; it will be asked again after a while.
    Later,
}

/// Something of the embedder's that can be asked.
pub trait Available: fmt::Debug {
    /// Whether it is worth trying in this direction.
    fn available(&self, direction: Direction) -> Availability<'_>;
}

/// Whether the last attempt would have had to wait. For what can't tell when to try again: that is worth it at first, and each
/// time that a while has passed.
#[derive(Debug, Default)]
pub struct Blocked(AtomicBool);

impl Blocked {
    /// Notes the outcome of an attempt.
    pub fn note(&self, blocked: bool) {
        self.0.store(blocked, Ordering::Relaxed);
    }

    /// The embedder's answer, or what takes its place.
    pub fn or<'a>(&self, answer: Option<Availability<'a>>) -> Availability<'a> {
        match answer {
            // What isn't open can't be waited for.
            Some(Availability::When(fd)) if rustix::io::fcntl_getfd(fd).is_err() => Availability::Later,
            Some(answer) => answer,
            None if self.0.swap(false, Ordering::Relaxed) => Availability::Later,
            None => Availability::Ready,
        }
    }
}

/// The time until something is tried again that is said to be ready.
const PAUSE: Duration = Duration::from_millis(1);

/// Sleeps until it is worth trying again.
pub(super) fn wait_for(what: &dyn Available, direction: Direction, waiter: &mut Waiter) -> Result<(), Error> {
    match what.available(direction) {
        // It has just answered otherwise: without a pause, one that errs would be asked for ever.
        Availability::Ready => waiter.wait_for(None, Some(PAUSE)),
        Availability::When(fd) => waiter.wait_for(Some((fd, reactor::Direction::Read)), None),
        Availability::Signalled | Availability::Later => waiter.wait_for(None, Some(RETRY)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_tell_is_tried_at_first_and_again_after_a_while() {
        let blocked = Blocked::default();
        assert!(matches!(blocked.or(None), Availability::Ready));
        blocked.note(true);
        assert!(matches!(blocked.or(None), Availability::Later));
        assert!(matches!(blocked.or(None), Availability::Ready));
        blocked.note(true);
        assert!(matches!(blocked.or(Some(Availability::Ready)), Availability::Ready));
    }
}
