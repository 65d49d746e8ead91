//! Exceptions: the one that is pending, and the table that raw references count in.

use crate::error::{Error, ErrorKind};
use crate::gc::exnref::{Exception, ExnRef};
use std::sync::Arc;

/// The exceptions of one store. One that nothing but the table holds is gone at the next collection.
#[derive(Default)]
pub(crate) struct Exceptions {
    /// Thrown and not caught yet.
    pub(crate) pending: Option<ExnRef>,
    table: Vec<Option<Slot>>,
    /// Free positions.
    free: Vec<u32>,
    pub(crate) collect_at: usize,
}

struct Slot {
    exn: Arc<Exception>,
    marked: bool,
}

/// Exceptions below which a store is not collected by itself.
const COLLECT_FROM: usize = 1024;

/// In the raw reference to an exception, beside its position in the table: no other raw reference has this bit.
const EXCEPTION: u32 = 1 << 31;

/// Whether a raw reference is one to an exception.
pub(crate) fn is_exception(raw: u32) -> bool {
    raw & EXCEPTION != 0
}

impl Exceptions {
    pub(crate) fn live(&self) -> usize {
        self.table.len() - self.free.len()
    }

    pub(crate) fn wants_collection(&self) -> bool {
        self.live() >= self.collect_at.max(COLLECT_FROM)
    }

    /// Puts an exception, made for its raw reference, into the table.
    pub(crate) fn insert(&mut self, make: impl FnOnce(u32) -> Exception) -> Result<Arc<Exception>, Error> {
        let position = match self.free.pop() {
            Some(position) => position,
            None => {
                let position = u32::try_from(self.table.len()).ok().filter(|position| position & EXCEPTION == 0);
                self.table.push(None);
                position.ok_or_else(|| Error::new(ErrorKind::Limit("too many exceptions in a store".to_string())))?
            }
        };
        let exn = Arc::new(make(position | EXCEPTION));
        self.table[position as usize] = Some(Slot { exn: exn.clone(), marked: false });
        Ok(exn)
    }

    /// The exception behind a raw reference.
    pub(crate) fn get(&self, raw: u32) -> Option<&Arc<Exception>> {
        if !is_exception(raw) {
            return None;
        }
        self.table.get((raw & !EXCEPTION) as usize)?.as_ref().map(|slot| &slot.exn)
    }

    /// Says that a guest has this one.
    pub(crate) fn mark(&mut self, raw: u32) {
        if let Some(Some(slot)) = self.table.get_mut((raw & !EXCEPTION) as usize) {
            slot.marked = true;
        }
    }

    /// Forgets the exceptions that are not marked and that nothing else holds. One exception may be a field of another, so this goes on
    /// for as long as some are found.
    pub(crate) fn sweep(&mut self) {
        loop {
            let before = self.free.len();
            for (position, slot) in self.table.iter_mut().enumerate() {
                if slot.as_ref().is_some_and(|slot| !slot.marked && Arc::strong_count(&slot.exn) == 1) {
                    *slot = None;
                    self.free.push(position as u32);
                }
            }
            if self.free.len() == before {
                break;
            }
        }
        self.table.iter_mut().flatten().for_each(|slot| slot.marked = false);
        self.collect_at = self.live() * 2;
    }
}

impl Drop for Exceptions {
    fn drop(&mut self) {
        self.table.iter().flatten().for_each(|slot| slot.exn.orphan());
    }
}
