//! Exceptions: the one that is pending, and the table that raw references count in.

use crate::error::{Error, ErrorKind};
use crate::gc::exnref::{Exception, ExnRef};
use std::sync::Arc;

/// The exceptions of one store. One that only the table still holds is gone at the next collection.
#[derive(Default)]
pub(crate) struct Exceptions {
    /// Thrown by a host function and not taken yet.
    pub(crate) pending: Option<ExnRef>,
    table: Vec<Option<Arc<Exception>>>,
    /// Free positions.
    free: Vec<u32>,
    prune_at: usize,
}

/// Exceptions below which nothing is pruned without being asked.
const PRUNE_FROM: usize = 1024;

impl Exceptions {
    /// Puts an exception, made for its raw reference, into the table.
    pub(crate) fn insert(&mut self, make: impl FnOnce(u32) -> Exception) -> Result<Arc<Exception>, Error> {
        if self.table.len() - self.free.len() >= self.prune_at.max(PRUNE_FROM) {
            self.prune();
        }
        let position = match self.free.pop() {
            Some(position) => position as usize,
            None => {
                self.table.push(None);
                self.table.len() - 1
            }
        };
        let raw = u32::try_from(position + 1)
            .map_err(|_| Error::new(ErrorKind::Limit("too many exceptions in a store".to_string())))?;
        let exn = Arc::new(make(raw));
        self.table[position] = Some(exn.clone());
        Ok(exn)
    }

    /// The exception behind a raw reference.
    pub(crate) fn get(&self, raw: u32) -> Option<Arc<Exception>> {
        self.table.get(raw.checked_sub(1)? as usize)?.clone()
    }

    /// Forgets the exceptions that nothing else holds. One exception may be a field of another, so this goes on for as long as
    /// some are found.
    pub(crate) fn prune(&mut self) {
        loop {
            let before = self.free.len();
            for (position, slot) in self.table.iter_mut().enumerate() {
                if slot.as_ref().is_some_and(|exn| Arc::strong_count(exn) == 1) {
                    *slot = None;
                    self.free.push(position as u32);
                }
            }
            if self.free.len() == before {
                break;
            }
        }
        self.prune_at = (self.table.len() - self.free.len()) * 2;
    }
}

impl Drop for Exceptions {
    fn drop(&mut self) {
        self.table.iter().flatten().for_each(|exn| exn.orphan());
    }
}
