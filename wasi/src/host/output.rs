//! What bytes go to: standard output and error, files, connections.
//!
//! A stream takes as many bytes as it has said before that it will, without waiting. What the other side doesn't take at once is kept,
//! so much and no more; nothing more is taken until that is gone.

use super::buffers::IoVecs;
use super::ctx::Host;
use super::error::Error;
use super::file::OpenFile;
use super::http::outgoing::{OutgoingBody, WriteError};
use super::input::{MAX_READ, StreamError, wait_for};
use super::net::Connection;
use super::poll::{Interest, Readiness};
use super::stat::FileType;
use super::wait::Waiter;
use hyper::body::Bytes;
use rustix::io::Errno;
use std::sync::Arc;

/// The most bytes that are kept for one connection.
const MAX_PENDING: usize = 64 << 10;

/// The most bytes that are kept for a standard stream, however many streams of the guest's go there; and for a pipe or device.
const MAX_SMALL_PENDING: usize = 4096;

/// Where bytes go to.
#[derive(Debug)]
pub enum Sink {
    /// The context's standard output.
    Stdout,
    /// The context's standard error.
    Stderr,
    /// A file, at the offset that it has, or its end.
    File(OpenFile),
    /// A connection.
    Connection(Arc<Connection>),
    /// A body. What it has taken needs no flush.
    Http(OutgoingBody),
}

/// Bytes that were taken and not written yet.
#[derive(Debug, Default)]
pub struct Pending {
    bytes: Vec<u8>,
    written: usize,
}

impl Pending {
    pub(super) fn len(&self) -> usize {
        self.bytes.len() - self.written
    }

    /// Writes from the front by `write`, until all is written or there is an error.
    fn drain(&mut self, mut write: impl FnMut(&mut IoVecs<'_>) -> Result<usize, Error>) -> Result<(), Error> {
        while self.written < self.bytes.len() {
            match write(&mut IoVecs::over(&mut self.bytes[self.written..])) {
                Ok(0) => return Err(Errno::IO.into()),
                Ok(count) => self.written += count,
                Err(Error::Os(Errno::INTR)) => {}
                Err(error) => return Err(error),
            }
        }
        // The block is kept for the next time.
        self.bytes.clear();
        self.written = 0;
        Ok(())
    }
}

/// A stream of bytes to write.
#[derive(Debug)]
pub struct OutputStream {
    sink: Sink,
    /// Of a standard stream, nothing: that is the host's.
    pending: Pending,
    /// How many bytes the next write may have, as it was last told.
    permitted: usize,
    /// Nothing is taken until all is written.
    flushing: bool,
    closed: bool,
}

impl OutputStream {
    /// Writes to here.
    pub fn new(sink: Sink) -> Self {
        Self { sink, pending: Pending::default(), permitted: 0, flushing: false, closed: false }
    }

    /// Where its bytes go to.
    pub fn sink(&self) -> &Sink {
        &self.sink
    }

    /// Whether it takes bytes, has none to write, and flushes nothing.
    pub fn is_at_rest(&self) -> bool {
        !self.closed && !self.flushing && self.pending.len() == 0
    }

    /// How many bytes the next write may have, and that is remembered.
    ///
    /// # Errors
    /// [`StreamError`]: the stream is closed from then on.
    pub fn check_write(&mut self, host: &mut Host) -> Result<usize, StreamError> {
        self.drain(host)?;
        let pending = self.pending(host);
        self.permitted = match &self.sink {
            _ if self.flushing && pending > 0 => 0,
            Sink::File(file) if file.filetype == FileType::RegularFile => MAX_READ,
            Sink::Connection(connection) if connection.may_send() => MAX_PENDING.saturating_sub(pending),
            Sink::Connection(_) => {
                self.closed = true;
                return Err(StreamError::Closed);
            }
            Sink::Http(body) => match body.room() {
                Ok(room) => room,
                Err(error) => return Err(self.body_failed(error)),
            },
            _ => MAX_SMALL_PENDING.saturating_sub(pending),
        };
        self.flushing &= pending > 0;
        Ok(self.permitted)
    }

    /// What the last [`OutputStream::check_write`] has said, less what was written since.
    pub fn permitted(&self) -> usize {
        self.permitted
    }

    /// Takes `bytes`: no more than are permitted.
    ///
    /// # Errors
    /// [`StreamError`]: the stream is closed from then on.
    pub fn write(&mut self, host: &mut Host, bytes: &mut [u8]) -> Result<(), StreamError> {
        debug_assert!(bytes.len() <= self.permitted, "the caller has looked");
        self.check_open()?;
        self.permitted = self.permitted.saturating_sub(bytes.len());
        if let Sink::Http(body) = &self.sink {
            // All of it: so much was permitted, and only this stream writes there.
            return body.write(Bytes::copy_from_slice(bytes)).map(drop).map_err(|error| self.body_failed(error));
        }
        let mut written = 0;
        if self.pending(host) == 0 {
            while written < bytes.len() {
                match self.write_to_sink(host, &mut IoVecs::over(&mut bytes[written..]), false) {
                    Ok(0) => return Err(self.failed(Errno::IO.into())),
                    Ok(count) => written += count,
                    Err(Error::Os(Errno::AGAIN)) => break,
                    Err(Error::Os(Errno::INTR)) => {}
                    Err(error) => return Err(self.failed(error)),
                }
            }
        }
        self.pending_mut(host).bytes.extend_from_slice(&bytes[written..]);
        Ok(())
    }

    /// Writes of `bytes`, after all that was taken before, as many as the other side takes at once, and says how many: none where it takes none
    /// now. Nothing is kept.
    ///
    /// # Errors
    /// [`StreamError`]: the stream is closed from then on. An interruption closes nothing.
    pub fn try_write(&mut self, host: &mut Host, bytes: &mut [u8]) -> Result<usize, StreamError> {
        self.drain(host)?;
        if self.pending(host) > 0 || bytes.is_empty() {
            return Ok(0);
        }
        if let Sink::Http(body) = &self.sink {
            let room = body.room().map_err(|error| self.body_failed(error))?;
            let Sink::Http(body) = &self.sink else { unreachable!("looked at above") };
            let count = bytes.len().min(room);
            return match body.write(Bytes::copy_from_slice(&bytes[..count])) {
                Ok(_) => Ok(count),
                Err(error) => Err(self.body_failed(error)),
            };
        }
        let len = bytes.len().min(MAX_READ);
        match self.write_to_sink(host, &mut IoVecs::over(&mut bytes[..len]), false) {
            Ok(0) => Err(self.failed(Errno::IO.into())),
            Ok(count) => Ok(count),
            Err(Error::Os(Errno::AGAIN | Errno::INTR)) => Ok(0),
            Err(error) => Err(self.failed(error)),
        }
    }

    /// Writes `bytes` after all that was taken before, however long that takes. `written` counts them; where the call is put off, it
    /// goes on from there.
    ///
    /// # Errors
    /// [`StreamError`]: the stream is closed from then on. An interruption, or that the call is put off.
    pub fn write_all(&mut self, host: &mut Host, bytes: &mut [u8], written: &mut usize) -> Result<(), StreamError> {
        self.flush(host)?;
        self.permitted = 0;
        if matches!(self.sink, Sink::Http(_)) {
            return self.write_all_of_body(host, bytes, written);
        }
        let may_wait = !host.waiter.suspends();
        while *written < bytes.len() {
            match self.write_to_sink(host, &mut IoVecs::over(&mut bytes[*written..]), may_wait) {
                Ok(0) => return Err(self.failed(Errno::IO.into())),
                Ok(count) => *written += count,
                Err(Error::Os(Errno::AGAIN)) => self.wait_for_sink(host)?,
                Err(Error::Os(Errno::INTR)) => {}
                Err(error) => return Err(self.failed(error)),
            }
        }
        Ok(())
    }

    fn write_all_of_body(&mut self, host: &mut Host, bytes: &[u8], written: &mut usize) -> Result<(), StreamError> {
        loop {
            let Sink::Http(body) = &self.sink else { unreachable!("the caller has looked") };
            let rest = Bytes::copy_from_slice(&bytes[*written..]);
            *written += body.write(rest).map_err(|error| self.body_failed(error))?;
            if *written == bytes.len() {
                return Ok(());
            }
            self.wait_for_sink(host)?;
        }
    }

    /// Takes nothing more until all that was taken is written.
    ///
    /// # Errors
    /// [`StreamError`]: the stream is closed from then on.
    pub fn start_flush(&mut self, host: &mut Host) -> Result<(), StreamError> {
        self.drain(host)?;
        self.flushing = self.pending(host) > 0;
        if self.flushing {
            self.permitted = 0;
        }
        Ok(())
    }

    /// Waits until all that was taken is written.
    ///
    /// # Errors
    /// [`StreamError`]: the stream is closed from then on. An interruption.
    pub fn flush(&mut self, host: &mut Host) -> Result<(), StreamError> {
        loop {
            self.drain(host)?;
            if self.pending(host) == 0 {
                self.flushing = false;
                return Ok(());
            }
            self.wait_for_sink(host)?;
        }
    }

    /// Waits until there is a write that would be taken.
    ///
    /// # Errors
    /// As [`OutputStream::check_write`]; an interruption.
    pub fn wait(&mut self, host: &mut Host) -> Result<usize, StreamError> {
        loop {
            match self.check_write(host)? {
                0 => self.wait_for_sink(host)?,
                permitted => return Ok(permitted),
            }
        }
    }

    /// When bytes are taken, or it is worth asking again.
    pub fn readiness<'a>(&'a self, host: &'a Host) -> Readiness<'a> {
        if let Sink::Http(_) = self.sink {
            return if self.closed { Readiness::Now(1) } else { self.sink_readiness(host) };
        }
        if self.closed || self.pending(host) == 0 { Readiness::Now(1) } else { self.sink_readiness(host) }
    }

    fn sink_readiness<'a>(&'a self, host: &'a Host) -> Readiness<'a> {
        match &self.sink {
            Sink::Stdout => host.stdout.readiness(),
            Sink::Stderr => host.stderr.readiness(),
            Sink::File(file) => file.write_readiness().unwrap_or(Readiness::Now(1)),
            Sink::Connection(connection) => connection.write_readiness(),
            Sink::Http(body) => Readiness::Ask(body),
        }
    }

    /// Waits until the other side takes something, or says that it won't.
    ///
    /// # Errors
    /// An interruption.
    pub fn wait_for_sink(&self, host: &mut Host) -> Result<(), StreamError> {
        let is_signalled = matches!(self.sink, Sink::Http(_));
        host.with_waiter(|host, waiter| {
            wait_for(Interest::Write(self.sink_readiness(host)), is_signalled, host, waiter)
        })
    }

    fn pending(&self, host: &Host) -> usize {
        match self.sink {
            Sink::Stdout => host.unwritten[0].len(),
            Sink::Stderr => host.unwritten[1].len(),
            _ => self.pending.len(),
        }
    }

    fn pending_mut<'a>(&'a mut self, host: &'a mut Host) -> &'a mut Pending {
        match self.sink {
            Sink::Stdout => &mut host.unwritten[0],
            Sink::Stderr => &mut host.unwritten[1],
            _ => &mut self.pending,
        }
    }

    /// Writes of what was taken as much as goes without waiting.
    fn drain(&mut self, host: &mut Host) -> Result<(), StreamError> {
        self.check_open()?;
        if self.pending(host) == 0 {
            return Ok(());
        }
        let mut pending = std::mem::take(self.pending_mut(host));
        let drained = pending.drain(|buffers| self.write_to_sink(host, buffers, false));
        match drained {
            Ok(()) | Err(Error::Os(Errno::AGAIN) | Error::Interrupted | Error::MustWait) => {
                *self.pending_mut(host) = pending
            }
            // It can't be written any more.
            Err(_) => {}
        }
        match drained {
            Err(Error::Os(Errno::AGAIN)) => Ok(()),
            drained => drained.map_err(|error| self.failed(error)),
        }
    }

    fn write_to_sink(&mut self, host: &mut Host, buffers: &mut IoVecs<'_>, may_wait: bool) -> Result<usize, Error> {
        let Host { stdout, stderr, waiter, .. } = host;
        let to_stdio = |output: &mut super::stdio::Output, waiter: &mut Waiter, buffers: &mut IoVecs<'_>| {
            if may_wait { output.write(buffers, waiter) } else { output.try_write(buffers, waiter) }
        };
        match &mut self.sink {
            Sink::Stdout => to_stdio(stdout, waiter, buffers),
            Sink::Stderr => to_stdio(stderr, waiter, buffers),
            Sink::File(file) => file.write(buffers, waiter),
            Sink::Connection(connection) => connection.send(buffers),
            Sink::Http(_) => unreachable!("a body was written before"),
        }
    }

    fn check_open(&self) -> Result<(), StreamError> {
        if self.closed { Err(StreamError::Closed) } else { Ok(()) }
    }

    fn body_failed(&mut self, error: WriteError) -> StreamError {
        self.closed = true;
        match error {
            WriteError::Closed => StreamError::Closed,
            WriteError::TooLong(code) => StreamError::Failed(Error::Http(code)),
        }
    }

    /// The stream ends, unless it was only interrupted. That nobody reads any more is no failure.
    fn failed(&mut self, error: Error) -> StreamError {
        self.closed = !matches!(error, Error::Interrupted | Error::MustWait);
        match error {
            Error::Os(Errno::PIPE) => StreamError::Closed,
            error => StreamError::Failed(error),
        }
    }
}
