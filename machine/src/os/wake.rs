//! A descriptor that becomes readable when somebody says so: what wakes a thread that waits for descriptors.

use rustix::event::{EventfdFlags, eventfd};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Such a descriptor. A forked child shares it with its parent, so it should live for one wait only.
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

    #[test]
    fn it_is_readable_once_somebody_said_so() {
        let wake = WakeFd::new().unwrap();
        let is_readable = || {
            let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
            poll(&mut [PollFd::new(&wake, PollFlags::IN)], Some(&at_once)).unwrap() == 1
        };
        assert!(!is_readable());
        wake.wake();
        wake.wake();
        assert!(is_readable());
    }
}
