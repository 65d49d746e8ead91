//! Epoch deadlines: the embedder moves the engine's epoch on, and guests that reach their store's deadline are interrupted.

use super::Store;
use crate::error::Error;

/// Asked when the deadline passes: what to do with the guest.
pub type Callback = Box<dyn FnMut(&mut Store) -> Result<UpdateDeadline, Error> + Send + Sync>;

/// What an epoch callback wants.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum UpdateDeadline {
    /// Go on, with the deadline this many ticks beyond the current epoch.
    Continue(u64),
    /// Go on like that after yielding to the caller of an asynchronous call.
    Yield(u64),
}

/// The callback, if any.
#[derive(Default)]
pub(crate) struct Epoch {
    pub(crate) callback: Option<Callback>,
}
