//! The stacks of all fibers: a stack's bounds can be told from any address in it, on any thread.

use crate::os::sync::RwLock;
use std::collections::BTreeMap;
use std::ops::Range;

/// Every fiber's stack, by its end: where its start is.
static ALL: RwLock<BTreeMap<usize, usize>> = RwLock::new(BTreeMap::new());

/// The usable bytes of the fiber's stack that `address` is in.
pub fn stack_around(address: usize) -> Option<Range<usize>> {
    let all = ALL.read();
    let (&end, &start) = all.range(address + 1..).next()?;
    (start..end).contains(&address).then_some(start..end)
}

/// Makes a stack known, until it is forgotten.
pub fn add(stack: Range<usize>) {
    ALL.write().insert(stack.end, stack.start);
}

/// Forgets the stack with this end.
pub fn remove(end: usize) {
    ALL.write().remove(&end);
}
