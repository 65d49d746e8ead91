//! How a guest that waits is told that another thread has done something for it.
//!
//! There is one signal a store, with one descriptor. It says that something has happened, not what: whoever waits arms it, looks at
//! everything that it waits for, and sleeps until the descriptor is readable. What happens after the arming makes it so, so that
//! nothing is missed; what turns out to be for somebody else only makes the guest look again.

use crate::host::error::Error;
use ampoule::sync::{Mutex, OnceLock};
use rustix::event::{EventfdFlags, eventfd};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::task::{Wake, Waker};

/// Tells the guests of one store.
#[derive(Debug, Default)]
pub struct Signal {
    /// Made when a guest waits for the first time.
    descriptor: OnceLock<OwnedFd>,
    /// Whom to wake besides: who polls the guest's task.
    waker: Mutex<Option<Waker>>,
}

impl Signal {
    /// Forgets what has happened. What happens from now on is told.
    ///
    /// # Errors
    /// The host has no descriptor for it.
    pub fn arm(&self) -> Result<(), Error> {
        match self.descriptor.get() {
            // That there is nothing to forget is an error, too.
            Some(descriptor) => _ = rustix::io::read(descriptor, &mut [0; 8]),
            None => _ = self.descriptor.set(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?),
        }
        Ok(())
    }

    /// Readable once something has happened; `None` where the signal was never armed.
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.descriptor.get().map(AsFd::as_fd)
    }

    /// Wakes this one, too, when something happens; the one before it no more.
    pub fn set_waker(&self, waker: Option<Waker>) {
        let before = std::mem::replace(&mut *self.waker.lock(), waker);
        // Its drop is somebody else's code: without the lock.
        drop(before);
    }

    /// Something has happened.
    pub fn notify(&self) {
        if let Some(descriptor) = self.descriptor.get() {
            // A counter that is full is readable.
            let _ = rustix::io::write(descriptor, &1_u64.to_ne_bytes());
        }
        let waker = self.waker.lock().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.notify();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.notify();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    fn is_readable(signal: &Signal) -> bool {
        let descriptor = signal.descriptor().expect("armed");
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut [PollFd::from_borrowed_fd(descriptor, PollFlags::IN)], Some(&now)) == Ok(1)
    }

    #[test]
    fn what_happens_after_the_arming_is_told() {
        let signal = Signal::default();
        signal.notify();
        assert!(signal.descriptor().is_none(), "nobody waits");
        signal.arm().expect("a descriptor");
        assert!(!is_readable(&signal));
        signal.notify();
        signal.notify();
        assert!(is_readable(&signal));
        signal.arm().expect("a descriptor");
        assert!(!is_readable(&signal));
    }
}
