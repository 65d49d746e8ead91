//! From a program counter to what owns the code there, across the whole process.
//!
//! Read when a trap or backtrace is made, written when code comes and goes. Never used in a signal handler: that needs only the
//! bounds of the code space.

use crate::os::sync::RwLock;
use std::any::Any;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Weak};

/// Who keeps a range of code alive.
type Owner = Weak<dyn Any + Send + Sync>;

/// Ranges of code by their start. A range is taken out before its region is freed, so that it never names another's code.
static RANGES: RwLock<BTreeMap<usize, (usize, Owner)>> = RwLock::new(BTreeMap::new());

/// The owner of the code at `pc`, where it is a `T` and still there.
pub fn lookup<T: Any + Send + Sync>(pc: usize) -> Option<Arc<T>> {
    let ranges = RANGES.read();
    let (_, (end, owner)) = ranges.range(..=pc).next_back()?;
    if pc < *end { owner.upgrade()?.downcast().ok() } else { None }
}

/// Makes the owner of a range of code known.
pub fn register(range: Range<usize>, owner: Owner) {
    RANGES.write().insert(range.start, (range.end, owner));
}

/// Forgets code, before its region is freed.
pub fn unregister(range: Range<usize>) {
    RANGES.write().remove(&range.start);
}
