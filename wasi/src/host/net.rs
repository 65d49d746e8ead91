//! Connections over the network, as streams of bytes.

use super::buffers::IoVecs;
use super::error::Error;
use super::poll::Readiness;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendFlags, Shutdown};
use std::sync::atomic::{AtomicBool, Ordering};

/// A socket that may be connected. Its descriptor is in nonblocking mode.
#[derive(Debug)]
pub struct Connection {
    socket: OwnedFd,
    receives: AtomicBool,
    sends: AtomicBool,
}

impl Connection {
    /// Of a socket in nonblocking mode.
    pub fn new(socket: OwnedFd) -> Self {
        Self { socket, receives: AtomicBool::new(true), sends: AtomicBool::new(true) }
    }

    /// Whether the way out isn't shut.
    pub fn may_send(&self) -> bool {
        self.sends.load(Ordering::Relaxed)
    }

    /// Reads what has arrived; 0 at the end, also where the way in was shut. Never waits.
    ///
    /// # Errors
    /// `AGAIN` when there is nothing yet, or what the host says.
    pub fn receive(&self, buffers: &mut IoVecs<'_>) -> Result<usize, Error> {
        if !self.receives.load(Ordering::Relaxed) {
            return Ok(0);
        }
        Ok(rustix::io::readv(&self.socket, buffers.for_read())?)
    }

    /// Writes what is taken at once, and says how much. Never waits.
    ///
    /// # Errors
    /// `AGAIN` when nothing is taken yet, `PIPE` where the way out was shut, or what the host says.
    pub fn send(&self, buffers: &IoVecs<'_>) -> Result<usize, Error> {
        if !self.may_send() {
            return Err(Errno::PIPE.into());
        }
        let mut nothing = SendAncillaryBuffer::default();
        // The embedder's process mustn't get a signal for it.
        Ok(rustix::net::sendmsg(&self.socket, buffers.for_write(), &mut nothing, SendFlags::NOSIGNAL)?)
    }

    /// Shuts the way in, the way out, or both. What was shut before stays so.
    ///
    /// # Errors
    /// What the host says.
    pub fn shutdown(&self, receive: bool, send: bool) -> Result<(), Error> {
        let how = match (receive, send) {
            (true, true) => Shutdown::Both,
            (true, false) => Shutdown::Read,
            _ => Shutdown::Write,
        };
        rustix::net::shutdown(&self.socket, how)?;
        if receive {
            self.receives.store(false, Ordering::Relaxed);
        }
        if send {
            self.sends.store(false, Ordering::Relaxed);
        }
        Ok(())
    }

    /// When something has arrived, or the end.
    pub fn read_readiness(&self) -> Readiness<'_> {
        if self.receives.load(Ordering::Relaxed) { Readiness::When(self.as_fd()) } else { Readiness::Now(0) }
    }

    /// When something would be taken, or sending would fail.
    pub fn write_readiness(&self) -> Readiness<'_> {
        if self.may_send() { Readiness::When(self.as_fd()) } else { Readiness::Now(0) }
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
