//! Standard input, output and error of a guest.
//!
//! They live in the context, outside of the descriptor table: a guest that closes or renumbers a descriptor gives up
//! its way to the stream, while the stream (and an embedder's callback) ends with the context.

use super::available::{Availability, Available, Blocked, Direction, wait_for};
use super::buffers::IoVecs;
use super::error::Error;
use super::file::in_portions;
use super::poll::Readiness;
use super::stat::{FileStat, FileType};
use super::stream::Stream;
use super::wait::Waiter;
use ampoule::sync::OnceLock;
use rustix::fd::{AsFd, BorrowedFd};
use rustix::io::Errno;
use std::fmt;
use std::fs::File;

/// A host descriptor that a standard stream reads or writes at its own offset.
#[derive(Debug)]
pub struct HostStream {
    fd: HostFd,
    /// A regular file: reading or writing it never waits. Asked when it is first read or written, which most guests never do.
    regular: OnceLock<bool>,
}

#[derive(Debug)]
enum HostFd {
    Owned(File),
    /// The host process's own, which stays open as long as the process.
    Process(BorrowedFd<'static>),
}

impl HostStream {
    /// The stream of a file.
    pub fn file(file: File) -> Self {
        Self::new(HostFd::Owned(file))
    }

    /// The host process's standard input.
    pub fn stdin() -> Self {
        Self::new(HostFd::Process(rustix::stdio::stdin()))
    }

    /// The host process's standard output.
    pub fn stdout() -> Self {
        Self::new(HostFd::Process(rustix::stdio::stdout()))
    }

    /// The host process's standard error.
    pub fn stderr() -> Self {
        Self::new(HostFd::Process(rustix::stdio::stderr()))
    }

    fn new(fd: HostFd) -> Self {
        Self { fd, regular: OnceLock::new() }
    }

    fn is_regular(&self) -> bool {
        let ask = || FileStat::of(self.as_fd()).is_ok_and(|stat| stat.filetype == FileType::RegularFile);
        *self.regular.get_or_init(ask)
    }

    fn stream(&self) -> Stream<'_> {
        Stream { fd: self.as_fd(), nonblocking: false }
    }

    fn filetype(&self) -> FileType {
        if rustix::termios::isatty(self.as_fd()) { FileType::CharacterDevice } else { FileType::Unknown }
    }
}

impl AsFd for HostStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.fd {
            HostFd::Owned(file) => file.as_fd(),
            HostFd::Process(fd) => *fd,
        }
    }
}

/// Standard input of the embedder's. Called by the thread that uses the store, which it must not use.
pub trait Input: Send + Sync {
    /// Says how many bytes of `out`, which isn't empty and has at most [`CALLBACK_BYTES`], it has filled: none at the end.
    ///
    /// # Errors
    /// `AGAIN` where nothing is there yet, or what is wrong.
    fn read(&mut self, out: &mut [u8]) -> Result<usize, Error>;

    /// Whether it is worth trying to read again. `None` where that isn't known: it is tried after a while.
    fn available(&self) -> Option<Availability<'_>> {
        None
    }
}

/// Standard input that an embedder provides, and whether its last answer was that it would have to wait.
pub struct ProvidedInput {
    input: Box<dyn Input>,
    blocked: Blocked,
}

impl ProvidedInput {
    /// Reads what there is, from a piece of the host's own memory.
    fn try_read(&mut self, buffers: &IoVecs<'_>) -> Result<usize, Error> {
        let mut piece = [0; CALLBACK_BYTES];
        let len = buffers.byte_len().min(CALLBACK_BYTES);
        if len == 0 {
            return Ok(0);
        }
        let result = self.input.read(&mut piece[..len]);
        self.blocked.note(result == Err(Errno::AGAIN.into()));
        let count = result?;
        // More than was asked for is nonsense.
        let bytes = piece[..len].get(..count).ok_or(Errno::IO)?;
        Ok(buffers.copy_in(bytes))
    }
}

impl Available for ProvidedInput {
    fn available(&self, _: Direction) -> Availability<'_> {
        self.blocked.or(self.input.available())
    }
}

impl fmt::Debug for ProvidedInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProvidedInput").finish_non_exhaustive()
    }
}

/// Where standard input comes from.
#[derive(Debug, Default)]
pub enum Stdin {
    /// Nothing: every read meets the end.
    #[default]
    Empty,
    /// These bytes, from the position on.
    Bytes {
        /// What there is to read.
        bytes: Vec<u8>,
        /// How much of it has been read; at most its length.
        position: usize,
    },
    /// A file, or the host process's own standard input.
    Host(HostStream),
    /// The embedder.
    Provided(ProvidedInput),
}

impl Stdin {
    /// What the embedder provides.
    pub fn provided(input: impl Input + 'static) -> Self {
        Self::Provided(ProvidedInput { input: Box::new(input), blocked: Blocked::default() })
    }

    /// Reads into `buffers`; 0 at the end.
    ///
    /// # Errors
    /// What the host's read says, or an interruption while waiting for input.
    pub fn read(&mut self, buffers: &mut IoVecs<'_>, waiter: &mut Waiter) -> Result<usize, Error> {
        match self {
            Self::Empty => Ok(0),
            Self::Bytes { bytes, position } => {
                let count = buffers.copy_in(&bytes[*position..]);
                *position += count;
                Ok(count)
            }
            Self::Host(host) if host.is_regular() => {
                in_portions(buffers, waiter, |buffers, _| rustix::io::readv(&*host, buffers.for_read()))
            }
            Self::Host(host) => host.stream().read(buffers, waiter),
            Self::Provided(input) => loop {
                match input.try_read(buffers) {
                    Err(Error::Os(Errno::AGAIN)) => wait_for(input, Direction::Read, waiter)?,
                    result => return result,
                }
            },
        }
    }

    /// Reads what there is into `buffers`; 0 at the end. Never waits.
    ///
    /// # Errors
    /// `AGAIN` when there is nothing yet, or what the host's read says.
    pub fn try_read(&mut self, buffers: &mut IoVecs<'_>, waiter: &mut Waiter) -> Result<usize, Error> {
        match self {
            Self::Host(host) if !host.is_regular() => host.stream().try_read(buffers),
            Self::Provided(input) => input.try_read(buffers),
            _ => self.read(buffers, waiter),
        }
    }

    /// What this is, for `isatty`.
    pub fn filetype(&self) -> FileType {
        match self {
            Self::Host(stream) => stream.filetype(),
            _ => FileType::Unknown,
        }
    }

    /// When it can be read without waiting.
    pub fn readiness(&self) -> Readiness<'_> {
        match self {
            Self::Empty => Readiness::Now(0),
            Self::Bytes { bytes, position } => Readiness::Now((bytes.len() - position) as u64),
            Self::Host(stream) => Readiness::When(stream.as_fd()),
            Self::Provided(input) => Readiness::Ask(input),
        }
    }
}

/// Receives what a guest writes: returns how many of the bytes were taken, at least one, or a negative host error
/// number. The bytes are lent for the call; there are at most [`CALLBACK_BYTES`].
pub type OutputCallback = Box<dyn FnMut(&[u8]) -> isize + Send + Sync>;

/// The most bytes a callback is given at once.
pub const CALLBACK_BYTES: usize = 4096;

/// Where standard output or error goes.
#[derive(Default)]
pub enum Output {
    /// Nowhere: every write succeeds.
    #[default]
    Discard,
    /// A file, or one of the host process's own streams.
    Host(HostStream),
    /// A function of the embedder's.
    Callback(OutputCallback),
}

impl Output {
    /// Writes what is taken at once, and says how much. Never waits, but for an embedder's callback.
    ///
    /// # Errors
    /// `AGAIN` when nothing is taken yet, or what the host's write or the callback says.
    pub fn try_write(&mut self, buffers: &mut IoVecs<'_>, waiter: &mut Waiter) -> Result<usize, Error> {
        match self {
            Self::Host(host) if !host.is_regular() => host.stream().try_write(buffers),
            _ => self.write(buffers, waiter),
        }
    }

    /// Writes `buffers` and returns how many bytes were taken.
    ///
    /// # Errors
    /// What the host's write or the callback says when nothing was taken before, or an interruption.
    pub fn write(&mut self, buffers: &mut IoVecs<'_>, waiter: &mut Waiter) -> Result<usize, Error> {
        match self {
            Self::Discard => Ok(buffers.byte_len()),
            Self::Host(host) if host.is_regular() => {
                in_portions(buffers, waiter, |buffers, _| rustix::io::writev(&*host, buffers.for_write()))
            }
            Self::Host(host) => host.stream().write(buffers, waiter),
            Self::Callback(callback) => write_to_callback(callback, buffers, waiter),
        }
    }

    /// What this is, for `isatty`.
    pub fn filetype(&self) -> FileType {
        match self {
            Self::Host(stream) => stream.filetype(),
            _ => FileType::Unknown,
        }
    }

    /// When it can be written without waiting.
    pub fn readiness(&self) -> Readiness<'_> {
        match self {
            // How much a callback will take is unknown; at least one byte.
            Self::Discard | Self::Callback(_) => Readiness::Now(1),
            Self::Host(stream) => Readiness::When(stream.as_fd()),
        }
    }
}

/// Hands `buffers` to `callback` in pieces. The bytes are copied: a callback holds a reference to them, and other guest
/// threads may be writing to the originals.
fn write_to_callback(callback: &mut OutputCallback, buffers: &IoVecs<'_>, waiter: &mut Waiter) -> Result<usize, Error> {
    let mut piece = [0; CALLBACK_BYTES];
    let mut written = 0;
    loop {
        let len = buffers.copy_out(written, &mut piece);
        if len == 0 {
            return Ok(written);
        }
        match taken(callback(&piece[..len]), len) {
            Ok(count) => written += count,
            // Report what was taken before; the next write meets the error again.
            Err(_) if written > 0 => return Ok(written),
            Err(errno) => return Err(errno.into()),
        }
        // A callback that takes little may be called often.
        waiter.check()?;
    }
}

/// What a callback's answer to `len` bytes means.
fn taken(answer: isize, len: usize) -> Result<usize, Errno> {
    match usize::try_from(answer) {
        // Taking nothing for ever would be a hang, and more than there is is nonsense.
        Ok(count) if count == 0 || count > len => Err(Errno::IO),
        Ok(count) => Ok(count),
        Err(_) => match i32::try_from(answer.unsigned_abs()) {
            Ok(number @ 1..4096) => Err(Errno::from_raw_os_error(number)),
            _ => Err(Errno::IO),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callback_takes_some_all_or_none() {
        assert_eq!(taken(1, 5), Ok(1));
        assert_eq!(taken(5, 5), Ok(5));
        assert_eq!(taken(0, 5), Err(Errno::IO));
        assert_eq!(taken(6, 5), Err(Errno::IO));
    }

    #[test]
    fn a_negative_answer_is_a_host_error_number() {
        assert_eq!(taken(-32, 5), Err(Errno::PIPE));
        assert_eq!(taken(-4095, 5), Err(Errno::from_raw_os_error(4095)));
        assert_eq!(taken(-4096, 5), Err(Errno::IO));
        assert_eq!(taken(isize::MIN, 5), Err(Errno::IO));
    }
}
