//! References that the host holds. A handle can be cloned and dropped without its store at hand, on any thread: it shares a
//! counted cell with the store, and a cell that only the store still holds is dead at the next collection.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// One reference held by the host.
#[derive(Debug)]
pub(crate) struct Root {
    /// The raw reference. Never zero.
    pub(crate) raw: u32,
    /// Whether the store is gone, so that all that share the cell are handles.
    orphaned: AtomicBool,
}

impl Root {
    /// Whether a handle shares the cell that `root` leads to: false where the host has given back each one that it had. Best effort:
    /// the next collection frees a cell without handles.
    ///
    /// # Safety
    /// `root` leads to a cell.
    pub(crate) unsafe fn has_handle(root: *const Root) -> bool {
        // SAFETY: by the caller; the count is only looked at.
        let cell = std::mem::ManuallyDrop::new(unsafe { Arc::from_raw(root) });
        Arc::strong_count(&cell) > 1 || cell.orphaned.load(Ordering::Relaxed)
    }
}

/// The host's references of one store.
#[derive(Default)]
pub(crate) struct Roots {
    cells: Vec<Arc<Root>>,
    /// Arguments on their way to a host function that takes raw values; a stack.
    in_flight: Vec<u32>,
    prune_at: usize,
}

impl Roots {
    /// A new handle's cell for this reference.
    pub(crate) fn add(&mut self, raw: u32) -> Arc<Root> {
        debug_assert_ne!(raw, 0, "null is not rooted");
        if self.cells.len() >= self.prune_at.max(1024) {
            self.prune();
        }
        let cell = Arc::new(Root { raw, orphaned: AtomicBool::new(false) });
        self.cells.push(cell.clone());
        cell
    }

    /// Forgets the cells whose handles are gone.
    pub(crate) fn prune(&mut self) {
        self.cells.retain(|cell| Arc::strong_count(cell) > 1);
        self.prune_at = self.cells.len() * 2;
    }

    /// Every reference that the host has a handle to.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> {
        self.cells.iter().map(|cell| cell.raw)
    }

    /// Keeps a raw argument alive; see [`Roots::release_in_flight`].
    pub(crate) fn push_in_flight(&mut self, raw: u32) {
        self.in_flight.push(raw);
    }

    /// The raw arguments in flight.
    pub(crate) fn in_flight(&self) -> &[u32] {
        &self.in_flight
    }

    /// Lets go of the raw arguments added since there were `count`.
    pub(crate) fn release_in_flight(&mut self, count: usize) {
        self.in_flight.truncate(count);
    }
}

impl Drop for Roots {
    fn drop(&mut self) {
        self.cells.iter().for_each(|cell| cell.orphaned.store(true, Ordering::Relaxed));
    }
}
