//! References that the host holds. A handle can be cloned and dropped without its store at hand, on any thread: it shares a
//! counted cell with the store, and a cell that only the store still holds is dead at the next collection.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering, fence};

/// One reference held by the host.
#[derive(Debug)]
pub(crate) struct Root {
    /// The raw reference, which a collection may change. Never zero.
    raw: AtomicU32,
    /// Whether the store is gone, so that all that share the cell are handles.
    orphaned: AtomicBool,
}

impl Root {
    /// The raw reference, up to the next collection.
    #[inline]
    pub(crate) fn raw(&self) -> u32 {
        self.raw.load(Ordering::Relaxed)
    }

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
    /// Those that there were at the last collection of young objects: they lead to none.
    old: Vec<Arc<Root>>,
    young: Vec<Arc<Root>>,
    /// Cells without handles, for the next: at most [`MOST_SPARE`].
    spare: Vec<Arc<Root>>,
    in_flight: Vec<InFlight>,
    prune_at: usize,
}

/// See [`Roots::spare`].
const MOST_SPARE: usize = 8192;

/// A raw reference in the hands of a function, and where that has it.
struct InFlight {
    /// Tells those of one function from others.
    of: *const (),
    place: *mut u32,
    raw: u32,
}

impl Roots {
    /// A new handle's cell for this reference.
    pub(crate) fn add(&mut self, raw: u32) -> Arc<Root> {
        debug_assert_ne!(raw, 0, "null is not rooted");
        if self.old.len() + self.young.len() >= self.prune_at.max(1024) {
            self.prune();
        }
        let cell = match self.spare.pop() {
            Some(cell) => {
                cell.raw.store(raw, Ordering::Relaxed);
                cell
            }
            None => Arc::new(Root { raw: raw.into(), orphaned: AtomicBool::new(false) }),
        };
        self.young.push(cell.clone());
        cell
    }

    /// How many handles there are.
    pub(super) fn held(&self) -> usize {
        self.old.iter().chain(&self.young).map(|cell| Arc::strong_count(cell) - 1).sum()
    }

    /// Takes the cells out whose handles are gone.
    fn prune(&mut self) {
        take_dropped(&mut self.old, &mut self.spare);
        take_dropped(&mut self.young, &mut self.spare);
        self.prune_at = (self.old.len() + self.young.len()) * 2;
    }

    /// Visits the references that may lead to young objects, for a collection after which there are none.
    pub(super) fn visit_young(&mut self, visit: &mut dyn FnMut(*mut u32)) {
        take_dropped(&mut self.young, &mut self.spare);
        self.young.iter().for_each(|cell| visit(cell.raw.as_ptr()));
        self.old.append(&mut self.young);
        self.visit_in_flight(visit);
    }

    /// Visits every reference that the host holds.
    pub(super) fn visit_all(&mut self, visit: &mut dyn FnMut(*mut u32)) {
        self.prune();
        self.old.iter().chain(&self.young).for_each(|cell| visit(cell.raw.as_ptr()));
        self.visit_in_flight(visit);
    }

    /// Visits what functions have in their hands.
    pub(super) fn visit_in_flight(&mut self, visit: &mut dyn FnMut(*mut u32)) {
        for held in &mut self.in_flight {
            let before = held.raw;
            visit(&mut held.raw);
            // SAFETY: whoever told of the place has it still, and takes it back first. What is there may be something else by now.
            unsafe {
                if held.raw != before && held.place.read() == before {
                    held.place.write(held.raw);
                }
            }
        }
    }

    /// Keeps a raw reference alive, and up to date in its place, until [`Roots::release_in_flight`] of the same function.
    ///
    /// # Safety
    /// The place is valid until then, and used by nobody while the store collects.
    pub(crate) unsafe fn push_in_flight(&mut self, of: *const (), place: *mut u32) {
        // SAFETY: by the caller.
        let raw = unsafe { place.read() };
        self.in_flight.push(InFlight { of, place, raw });
    }

    /// Lets go of what a function has in its hands. Functions of several tasks may end in any order.
    pub(crate) fn release_in_flight(&mut self, of: *const ()) {
        self.in_flight.retain(|held| held.of != of);
    }
}

/// Takes the cells out of which nobody has a handle any more, and keeps some of them.
fn take_dropped(cells: &mut Vec<Arc<Root>>, spare: &mut Vec<Arc<Root>>) {
    let mut at = 0;
    while at < cells.len() {
        if Arc::strong_count(&cells[at]) > 1 {
            at += 1;
            continue;
        }
        let cell = cells.swap_remove(at);
        if spare.len() < MOST_SPARE {
            spare.push(cell);
        }
    }
    // Whatever the threads did that dropped the handles comes before the cells are used again.
    fence(Ordering::Acquire);
}

impl Drop for Roots {
    fn drop(&mut self) {
        self.old.iter().chain(&self.young).for_each(|cell| cell.orphaned.store(true, Ordering::Relaxed));
    }
}
