//! Why a function of a component's interfaces doesn't succeed.

use crate::host;
use crate::host::input::StreamError;
use ampoule::Store;
use rustix::io::Errno;

/// What ends the guest.
#[derive(Debug)]
pub enum Error {
    /// Its call is interrupted.
    Interrupted,
    /// It doesn't: what it does is to be tried again later, when what it waits for has happened.
    MustWait,
    /// This.
    Trap(ampoule::Error),
}

impl Error {
    /// With this text.
    pub fn message(text: impl Into<String>) -> Self {
        Self::Trap(ampoule::Error::message(text.into()))
    }

    /// The engine's error, which ends the guest of this store.
    pub fn ending(self, store: &Store) -> ampoule::Error {
        match self {
            Self::Trap(error) => error,
            Self::Interrupted => store.interruption(),
            Self::MustWait => unreachable!("what waits is tried again where it waits"),
        }
    }
}

impl From<ampoule::Error> for Error {
    fn from(error: ampoule::Error) -> Self {
        Self::Trap(error)
    }
}

/// Of a function that has no error of its own.
impl From<host::Error> for Error {
    fn from(error: host::Error) -> Self {
        match error {
            host::Error::Interrupted => Self::Interrupted,
            host::Error::MustWait => Self::MustWait,
            error => Self::message(error.to_string()),
        }
    }
}

/// An error that may say that something is to be tried again.
pub trait MustWait: From<Error> {
    /// Whether it says so.
    fn must_wait(&self) -> bool;
}

impl MustWait for Error {
    fn must_wait(&self) -> bool {
        matches!(self, Self::MustWait)
    }
}

impl<E> MustWait for Fail<E> {
    fn must_wait(&self) -> bool {
        matches!(self, Self::End(Error::MustWait))
    }
}

/// What becomes of a guest whose output is written at its end: that it can't be written is no reason for another end.
///
/// # Errors
/// An interruption, or that it is to be tried again.
pub fn unless_lost(flushed: Result<(), StreamError>) -> Result<(), Error> {
    match flushed {
        Err(StreamError::Failed(error @ (host::Error::Interrupted | host::Error::MustWait))) => Err(error.into()),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Why a function of type `result` doesn't succeed.
#[derive(Debug)]
pub enum Fail<E> {
    /// The guest is told.
    Err(E),
    /// The guest ends.
    End(Error),
}

impl<E> From<Error> for Fail<E> {
    fn from(error: Error) -> Self {
        Self::End(error)
    }
}

/// The host's errors, as a version calls them.
impl<E: From<Errno>> From<host::Error> for Fail<E> {
    fn from(error: host::Error) -> Self {
        match error {
            host::Error::Interrupted | host::Error::MustWait => Self::End(error.into()),
            error => Self::Err(error.errno().into()),
        }
    }
}

impl<E: From<Errno>> From<Errno> for Fail<E> {
    fn from(errno: Errno) -> Self {
        Self::Err(errno.into())
    }
}
