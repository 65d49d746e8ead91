//! What bytes come from: standard input, files, connections. Reading never waits; [`InputStream::readiness`] says when it is worth
//! trying again.

use super::buffers::IoVecs;
use super::ctx::Host;
use super::error::Error;
use super::file::OpenFile;
use super::http::ErrorCode;
use super::http::incoming::IncomingBody;
use super::net::Connection;
use super::poll::{Interest, Poll, Readiness};
use super::stat::FileType;
use super::wait::Waiter;
use hyper::body::Bytes;
use rustix::io::Errno;
use std::sync::Arc;

/// The most bytes that one read of a file gives.
pub const MAX_READ: usize = 1 << 20;

/// The most bytes that one read gives of what arrives piece by piece.
const MAX_STREAM_READ: usize = 64 << 10;

/// Where bytes come from.
#[derive(Debug)]
pub enum Source {
    /// The context's standard input.
    Stdin,
    /// A file, from the offset that it has.
    File(OpenFile),
    /// A connection.
    Connection(Arc<Connection>),
    /// A body.
    Http(IncomingBody),
}

/// Why a stream gives or takes no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamError {
    /// It has ended.
    Closed,
    /// It has failed, and ends with that.
    Failed(Error),
}

/// A stream of bytes to read.
#[derive(Debug)]
pub struct InputStream {
    source: Source,
    closed: bool,
}

impl InputStream {
    /// Reads from here.
    pub fn new(source: Source) -> Self {
        Self { source, closed: false }
    }

    /// One that has read all there is.
    pub fn ended(source: Source) -> Self {
        Self { source, closed: true }
    }

    /// Where its bytes come from.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Whether it has not ended.
    pub fn is_open(&self) -> bool {
        !self.closed
    }

    /// Reads what there is, up to `len` bytes: none where there are none now.
    ///
    /// # Errors
    /// [`StreamError`]: the stream is closed from then on. An interruption closes nothing.
    pub fn try_read(&mut self, host: &mut Host, len: u64) -> Result<Vec<u8>, StreamError> {
        if self.closed {
            return Err(StreamError::Closed);
        }
        if len == 0 {
            return Ok(Vec::new());
        }
        if let Source::Http(body) = &self.source {
            // Fits: it is no more than the bound.
            let read = body.read(len.min(MAX_STREAM_READ as u64) as usize);
            return Ok(self.of_body(read)?.into());
        }
        let most = match &self.source {
            Source::File(file) if file.filetype == FileType::RegularFile => MAX_READ,
            _ => MAX_STREAM_READ,
        };
        // Fits: it is no more than `most`.
        let mut bytes = vec![0; len.min(most as u64) as usize];
        let count = self.try_read_into(host, &mut bytes)?;
        bytes.truncate(count);
        Ok(bytes)
    }

    /// As [`InputStream::try_read`], into these bytes: says how many there were.
    ///
    /// # Errors
    /// As there.
    pub fn try_read_into(&mut self, host: &mut Host, bytes: &mut [u8]) -> Result<usize, StreamError> {
        if self.closed {
            return Err(StreamError::Closed);
        }
        if bytes.is_empty() {
            return Ok(0);
        }
        if let Source::Http(body) = &self.source {
            let read = body.read(bytes.len().min(MAX_STREAM_READ));
            let read = self.of_body(read)?;
            bytes[..read.len()].copy_from_slice(&read);
            return Ok(read.len());
        }
        let len = bytes.len().min(MAX_READ);
        match self.read_into(host, &mut IoVecs::over(&mut bytes[..len])) {
            Ok(0) => {
                self.closed = true;
                Err(StreamError::Closed)
            }
            Ok(count) => Ok(count),
            Err(Error::Os(Errno::AGAIN | Errno::INTR)) => Ok(0),
            Err(error) => {
                self.closed = !matches!(error, Error::Interrupted | Error::MustWait);
                Err(StreamError::Failed(error))
            }
        }
    }

    /// What a body has answered.
    fn of_body(&mut self, read: Result<Option<Bytes>, ErrorCode>) -> Result<Bytes, StreamError> {
        self.closed = !matches!(read, Ok(Some(_)));
        match read {
            Ok(Some(bytes)) => Ok(bytes),
            Ok(None) => Err(StreamError::Closed),
            Err(code) => Err(StreamError::Failed(Error::Http(code))),
        }
    }

    fn read_into(&mut self, host: &mut Host, buffers: &mut IoVecs<'_>) -> Result<usize, Error> {
        match &mut self.source {
            Source::Stdin => host.stdin.try_read(buffers, &mut host.waiter),
            Source::File(file) => file.read(buffers, &mut host.waiter),
            Source::Connection(connection) => connection.receive(buffers),
            Source::Http(_) => unreachable!("a body was read before"),
        }
    }

    /// As [`InputStream::try_read`], once there is something.
    ///
    /// # Errors
    /// As there, or an interruption.
    pub fn read(&mut self, host: &mut Host, len: u64) -> Result<Vec<u8>, StreamError> {
        loop {
            let bytes = self.try_read(host, len)?;
            if !bytes.is_empty() || len == 0 {
                return Ok(bytes);
            }
            self.wait(host)?;
        }
    }

    /// Waits until there is something to read.
    ///
    /// # Errors
    /// An interruption.
    pub fn wait(&self, host: &mut Host) -> Result<(), StreamError> {
        let is_signalled = matches!(self.source, Source::Http(_));
        host.with_waiter(|host, waiter| wait_for(Interest::Read(self.readiness(host)), is_signalled, host, waiter))
    }

    /// When there is something to read.
    pub fn readiness<'a>(&'a self, host: &'a Host) -> Readiness<'a> {
        match &self.source {
            _ if self.closed => Readiness::Now(0),
            Source::Stdin => host.stdin.readiness(),
            Source::File(file) => file.read_readiness().unwrap_or(Readiness::Now(0)),
            Source::Connection(connection) => connection.read_readiness(),
            Source::Http(body) => Readiness::Ask(body),
        }
    }
}

/// Waits for one thing, of which other threads tell or not.
pub(super) fn wait_for(
    interest: Interest<'_>,
    is_signalled: bool,
    host: &Host,
    waiter: &mut Waiter,
) -> Result<(), StreamError> {
    let poll = Poll::new(vec![interest]);
    let mut poll = if is_signalled { poll.signalled_by(&host.signal) } else { poll };
    poll.wait(&host.clocks, waiter).map_err(StreamError::Failed)
}
