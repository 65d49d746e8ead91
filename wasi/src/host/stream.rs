//! Descriptors that may have to wait for the other side: pipes, terminals, sockets, devices.

use super::buffers::IoVecs;
use super::error::Error;
use super::wait::Waiter;
use ampoule::store::reactor::Direction;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::BorrowedFd;
use rustix::io::Errno;

/// What `poll(2)` promises to take without blocking, in bytes: POSIX's `PIPE_BUF` on Linux.
const UNBLOCKED_BYTES: usize = 4096;

/// A descriptor of the host that may have nothing to read, or take nothing, for a while.
#[derive(Clone, Copy, Debug)]
pub struct Stream<'a> {
    /// The descriptor.
    pub fd: BorrowedFd<'a>,
    /// Whether the descriptor is in nonblocking mode. The embedder's own may not be, and must not be put in it, because
    /// they are shared with other processes.
    pub nonblocking: bool,
}

impl Stream<'_> {
    /// Reads what there is; 0 at the end. Never waits.
    ///
    /// # Errors
    /// `AGAIN` when there is nothing yet, or what the host's read says.
    pub fn try_read(self, buffers: &mut IoVecs<'_>) -> Result<usize, Error> {
        if buffers.byte_len() == 0 {
            return Ok(0);
        }
        self.require(PollFlags::IN)?;
        Ok(rustix::io::readv(self.fd, buffers.for_read())?)
    }

    /// Reads what there is, once there is something; 0 at the end.
    ///
    /// # Errors
    /// What the host's read says, an interruption, or that the call is put off.
    pub fn read(self, buffers: &mut IoVecs<'_>, waiter: &mut Waiter) -> Result<usize, Error> {
        // With nothing that could end a sleep, the host's read may do the waiting.
        let blocks = !self.nonblocking && !waiter.is_interruptible();
        loop {
            let result = if blocks {
                rustix::io::readv(self.fd, buffers.for_read()).map_err(Error::from)
            } else {
                waiter.check()?;
                self.try_read(buffers)
            };
            match result {
                Err(Error::Os(Errno::AGAIN)) => self.wait_for(Direction::Read, waiter, 0)?,
                Err(Error::Os(Errno::INTR)) => waiter.check()?,
                result => return result,
            }
        }
    }

    /// Writes what is taken at once, and says how much. Never waits.
    ///
    /// # Errors
    /// `AGAIN` when nothing is taken yet, or what the host's write says.
    pub fn try_write(self, buffers: &IoVecs<'_>) -> Result<usize, Error> {
        if self.nonblocking {
            return Ok(rustix::io::writev(self.fd, buffers.for_write())?);
        }
        self.require(PollFlags::OUT)?;
        Ok(rustix::io::writev(self.fd, buffers.window(0, UNBLOCKED_BYTES).for_write())?)
    }

    /// Writes everything. An error midway ends it early, and is met again by the next write.
    ///
    /// # Errors
    /// What the host's write says when nothing was taken before, an interruption, or that the call is put off.
    pub fn write(self, buffers: &IoVecs<'_>, waiter: &mut Waiter) -> Result<usize, Error> {
        let blocks = !self.nonblocking && !waiter.is_interruptible();
        // What it wrote before it was put off.
        let mut written = std::mem::take(&mut waiter.progress().written).min(buffers.byte_len());
        while written < buffers.byte_len() {
            let rest = buffers.window(written, usize::MAX);
            let result = if blocks {
                rustix::io::writev(self.fd, rest.for_write()).map_err(Error::from)
            } else {
                // Portions are small and the reader may keep up: then this is the only look at what ends a call.
                waiter.check()?;
                self.try_write(&rest)
            };
            match result {
                Ok(count) => written += count,
                Err(Error::Os(Errno::AGAIN)) => self.wait_for(Direction::Write, waiter, written)?,
                Err(Error::Os(Errno::INTR)) => waiter.check()?,
                Err(_) if written > 0 => return Ok(written),
                Err(error) => return Err(error),
            }
        }
        Ok(written)
    }

    /// Makes sure that the host's call won't block.
    fn require(self, event: PollFlags) -> Result<(), Error> {
        if self.nonblocking {
            return Ok(());
        }
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        let ready = poll(&mut [PollFd::from_borrowed_fd(self.fd, event)], Some(&now))?;
        if ready > 0 { Ok(()) } else { Err(Errno::AGAIN.into()) }
    }

    /// Waits, after so much was written. The call may be put off.
    fn wait_for(self, direction: Direction, waiter: &mut Waiter, written: usize) -> Result<(), Error> {
        waiter.progress().written = written;
        let waited = waiter.wait_for(Some((self.fd, direction)), None);
        if waited.is_ok() {
            waiter.progress().written = 0;
        }
        waited
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fd::AsFd;
    use std::io::{PipeReader, PipeWriter};

    fn pipe(nonblocking: bool) -> (PipeReader, PipeWriter) {
        let (from, to) = std::io::pipe().expect("a pipe");
        rustix::io::ioctl_fionbio(&from, nonblocking).expect("a mode");
        rustix::io::ioctl_fionbio(&to, nonblocking).expect("a mode");
        (from, to)
    }

    #[test]
    fn an_attempt_never_waits_whatever_the_mode() {
        for nonblocking in [false, true] {
            let (from, to) = pipe(nonblocking);
            let reader = Stream { fd: from.as_fd(), nonblocking };
            let writer = Stream { fd: to.as_fd(), nonblocking };
            let mut bytes = [1; 10_000];
            assert_eq!(reader.try_read(&mut IoVecs::over(&mut bytes)), Err(Error::Os(Errno::AGAIN)));
            let mut written = 0;
            let full = loop {
                match writer.try_write(&IoVecs::over(&mut bytes)) {
                    Ok(count) => written += count,
                    Err(error) => break error,
                }
            };
            assert_eq!(full, Error::Os(Errno::AGAIN));
            assert!(written >= UNBLOCKED_BYTES);
            assert_eq!(reader.try_read(&mut IoVecs::over(&mut bytes[..7])), Ok(7));
            drop(to);
            while reader.try_read(&mut IoVecs::over(&mut bytes)).expect("the rest") > 0 {}
        }
    }

    #[test]
    fn a_write_that_waits_ends_when_it_is_to() {
        for nonblocking in [false, true] {
            let (_from, to) = pipe(nonblocking);
            let mut looks = 0;
            let mut waiter = Waiter::default();
            waiter.set_check(Some(Box::new(move || {
                looks += 1;
                looks > 100
            })));
            let mut bytes = vec![1; 1 << 20];
            let writer = Stream { fd: to.as_fd(), nonblocking };
            assert_eq!(writer.write(&IoVecs::over(&mut bytes), &mut waiter), Err(Error::Interrupted));
        }
    }
}
