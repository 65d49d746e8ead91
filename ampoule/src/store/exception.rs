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

/// The raw reference to the exception at this position in the table. It is odd: the collector of the heap takes it for an integer.
fn raw_of(position: u32) -> u32 {
    position << 1 | 1
}

/// The position in the table that a raw reference tells; `None` for one to an object. That of an integer may be anybody's.
fn position_of(raw: u32) -> Option<usize> {
    (raw & 1 != 0).then_some(raw as usize >> 1)
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
                let position = u32::try_from(self.table.len()).ok().filter(|&position| position <= u32::MAX >> 1);
                self.table.push(None);
                position.ok_or_else(|| Error::new(ErrorKind::Limit("too many exceptions in a store".to_string())))?
            }
        };
        let exn = Arc::new(make(raw_of(position)));
        self.table[position as usize] = Some(Slot { exn: exn.clone(), marked: false });
        Ok(exn)
    }

    /// The exception behind a raw reference.
    pub(crate) fn get(&self, raw: u32) -> Option<&Arc<Exception>> {
        self.table.get(position_of(raw)?)?.as_ref().map(|slot| &slot.exn)
    }

    /// Says that a guest has this reference, which may be one to an exception.
    pub(crate) fn mark(&mut self, raw: u32) {
        if let Some(Some(slot)) = position_of(raw).and_then(|position| self.table.get_mut(position)) {
            slot.marked = true;
        }
    }

    /// Visits the references in the fields as machine code has them.
    pub(super) fn visit_fields(&self, visit: &mut dyn FnMut(*mut u32)) {
        self.table.iter().flatten().for_each(|slot| slot.exn.visit_fields(visit));
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
