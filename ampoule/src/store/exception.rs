//! Exceptions: the one that is pending, and the table that raw references count in.

use crate::error::{Error, ErrorKind};
use crate::gc::exnref::{Exception, ExnRef};
use crate::store::handler_cache::HandlerCache;
use std::sync::Arc;

/// The exceptions of one store. One that nothing but the table holds is gone at the next collection.
#[derive(Default)]
pub(crate) struct Exceptions {
    /// Thrown and not caught yet.
    pub(crate) pending: Option<ExnRef>,
    /// Made with the first.
    kept: Option<Box<Kept>>,
}

#[derive(Default)]
struct Kept {
    table: Vec<Option<Slot>>,
    /// Free positions.
    free: Vec<u32>,
    /// What the exceptions take, by their own account.
    bytes: usize,
    collect_at: usize,
    /// Whether objects may lead to exceptions. The collector of objects knows nothing of those, so that all stay.
    in_objects: bool,
    /// Where what is thrown may be caught.
    handlers: HandlerCache,
}

struct Slot {
    exn: Arc<Exception>,
    marked: bool,
}

/// Exceptions below which a store is not collected by itself.
const COLLECT_FROM: usize = 1024;

/// What the exceptions of a store may take in all. A guest that wants more is stopped.
const BYTES_MAX: usize = 256 << 20;

/// The raw reference to the exception at this position in the table. It is odd: the collector of the heap takes it for an integer.
fn raw_of(position: u32) -> u32 {
    position << 1 | 1
}

/// The position in the table that a raw reference tells; `None` for one to an object. That of an integer may be anybody's.
fn position_of(raw: u32) -> Option<usize> {
    (raw & 1 != 0).then_some(raw as usize >> 1)
}

impl Exceptions {
    /// Whether there should be a collection before another exception of so many bytes is made.
    pub(crate) fn wants_collection(&self, bytes: usize) -> bool {
        let wants = |kept: &Kept| kept.live() >= kept.collect_at.max(COLLECT_FROM) || kept.bytes + bytes > BYTES_MAX;
        self.kept.as_deref().is_some_and(wants)
    }

    /// Puts an exception, made for its raw reference, into the table. What it takes was looked at by [`Exceptions::wants_collection`].
    ///
    /// # Errors
    /// Where there are too many.
    pub(crate) fn insert(
        &mut self,
        bytes: usize,
        make: impl FnOnce(u32) -> Exception,
    ) -> Result<Arc<Exception>, Error> {
        let kept = &mut **self.kept.get_or_insert_default();
        if kept.bytes + bytes > BYTES_MAX {
            return Err(Error::new(ErrorKind::Limit("too many exceptions in a store".to_string())));
        }
        kept.bytes += bytes;
        let position = kept.free.pop().unwrap_or_else(|| {
            kept.table.push(None);
            // They would take more than they may before there were so many.
            kept.table.len() as u32 - 1
        });
        let exn = Arc::new(make(raw_of(position)));
        kept.table[position as usize] = Some(Slot { exn: exn.clone(), marked: false });
        Ok(exn)
    }

    /// The exception behind a raw reference.
    pub(crate) fn get(&self, raw: u32) -> Option<&Arc<Exception>> {
        self.kept.as_ref()?.table.get(position_of(raw)?)?.as_ref().map(|slot| &slot.exn)
    }

    /// What is known of handlers.
    pub(crate) fn handlers(&mut self) -> &mut HandlerCache {
        &mut self.kept.get_or_insert_default().handlers
    }

    /// Says that a guest has this reference, which may be one to an exception.
    pub(crate) fn mark(&mut self, raw: u32) {
        let (Some(kept), Some(position)) = (&mut self.kept, position_of(raw)) else { return };
        if let Some(Some(slot)) = kept.table.get_mut(position) {
            slot.marked = true;
        }
    }

    /// Visits the references in the fields as machine code has them.
    pub(super) fn visit_fields(&self, visit: &mut dyn FnMut(*mut u32)) {
        let slots = self.kept.iter().flat_map(|kept| kept.table.iter().flatten());
        slots.for_each(|slot| slot.exn.visit_fields(visit));
    }

    /// Forgets the exceptions that are not marked and that nothing else holds. One exception may be a field of another, which is looked at
    /// again then.
    pub(crate) fn sweep(&mut self) {
        let Some(kept) = &mut self.kept else { return };
        if kept.in_objects {
            return self.keep_all();
        }
        let mut again = Vec::new();
        for position in 0..kept.table.len() as u32 {
            again.push(position);
            while let Some(position) = again.pop() {
                let slot = &mut kept.table[position as usize];
                if slot.as_ref().is_some_and(|slot| !slot.marked && Arc::strong_count(&slot.exn) == 1)
                    && let Some(Slot { exn, .. }) = slot.take()
                {
                    again.extend(exn.exceptions_inside().filter_map(position_of).map(|position| position as u32));
                    kept.bytes -= exn.bytes();
                    kept.free.push(position);
                }
            }
        }
        kept.table.iter_mut().flatten().for_each(|slot| slot.marked = false);
        kept.collect_at = kept.live() * 2;
    }

    /// Keeps all exceptions from now on, as long as the store lives: objects may lead to any.
    pub(crate) fn keep_for_objects(&mut self) {
        self.kept.get_or_insert_default().in_objects = true;
    }

    /// In place of [`Exceptions::sweep`], where it can't be told which ones guests have.
    pub(crate) fn keep_all(&mut self) {
        if let Some(kept) = &mut self.kept {
            kept.collect_at = kept.live() * 2;
        }
    }
}

impl Kept {
    fn live(&self) -> usize {
        self.table.len() - self.free.len()
    }
}

impl Drop for Exceptions {
    fn drop(&mut self) {
        self.kept.iter().flat_map(|kept| kept.table.iter().flatten()).for_each(|slot| slot.exn.orphan());
    }
}
