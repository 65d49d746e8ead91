//! A descriptor that becomes readable when somebody says so: what wakes a thread that waits for descriptors.

use rustix::event::{EventfdFlags, eventfd};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// Such a descriptor. A forked child shares it with its parent: it lives for one wait only, or the child gives it a file of its own
/// ([`WakeFd::renew`]).
#[derive(Debug)]
pub struct WakeFd(OwnedFd);

impl WakeFd {
    /// One that isn't readable yet.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn new() -> io::Result<Self> {
        Ok(Self(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?))
    }

    /// Makes it readable. A system call and nothing else, so that signal handlers may.
    pub fn wake(&self) {
        // It can only fail where it was done 2^64 times: the descriptor is readable then.
        let _ = rustix::io::write(&self.0, &1u64.to_ne_bytes());
    }

    /// Makes it not readable, until it is woken again.
    pub fn drain(&self) {
        // It fails where there is nothing to read.
        let _ = rustix::io::read(&self.0, &mut [0; 8]);
    }

    /// For a forked child: under the same number, a file that isn't its parent's.
    ///
    /// # Errors
    /// What the operating system says; nothing has changed then.
    pub fn renew(&self) -> io::Result<()> {
        replace(self.as_fd(), Self::new()?.as_fd())
    }
}

/// Puts another open file under the number of a descriptor. Who uses the descriptor meanwhile uses one or the other.
///
/// # Errors
/// What the operating system says; nothing has changed then.
pub fn replace(descriptor: BorrowedFd<'_>, by: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: both are open descriptors, which the call neither closes nor makes invalid.
    let replaced = unsafe { libc::dup3(by.as_raw_fd(), descriptor.as_raw_fd(), libc::O_CLOEXEC) };
    if replaced < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

impl AsFd for WakeFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    fn is_readable(wake: impl AsFd) -> bool {
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut [PollFd::new(&wake, PollFlags::IN)], Some(&at_once)).unwrap() == 1
    }

    #[test]
    fn it_is_readable_once_somebody_said_so() {
        let wake = WakeFd::new().unwrap();
        assert!(!is_readable(&wake));
        wake.wake();
        wake.wake();
        assert!(is_readable(&wake));
        wake.drain();
        assert!(!is_readable(&wake));
    }

    #[test]
    fn one_that_is_renewed_shares_nothing_with_what_it_was() {
        let wake = WakeFd::new().unwrap();
        let before = wake.0.try_clone().unwrap();
        wake.renew().unwrap();
        wake.wake();
        assert!(is_readable(&wake) && !is_readable(&before));
    }
}
