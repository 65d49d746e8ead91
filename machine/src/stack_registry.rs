//! The stacks of all fibers: a stack's bounds can be told from any address in it, on any thread.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{PoisonError, RwLock};

/// Every fiber's stack, by its end: where its start is.
static ALL: RwLock<BTreeMap<usize, usize>> = RwLock::new(BTreeMap::new());

/// The usable bytes of the fiber's stack that `address` is in.
pub fn stack_around(address: usize) -> Option<Range<usize>> {
    let all = ALL.read().unwrap_or_else(PoisonError::into_inner);
    let (&end, &start) = all.range(address + 1..).next()?;
    (start..end).contains(&address).then_some(start..end)
}

/// Makes a stack known, until it is forgotten.
pub fn add(stack: Range<usize>) {
    ALL.write().unwrap_or_else(PoisonError::into_inner).insert(stack.end, stack.start);
}

/// Forgets the stack with this end.
pub fn remove(end: usize) {
    ALL.write().unwrap_or_else(PoisonError::into_inner).remove(&end);
}
