//! From a program counter to the module whose code it is in, across the whole process.
//!
//! Read when a trap or backtrace is made, written when modules come and go. Never used in a signal handler: that needs only the
//! bounds of the code space.

use super::table::ModuleCode;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, PoisonError, RwLock, Weak};

/// Ranges of code by their start. A range is taken out before its region is freed, so that it never names another's code.
static RANGES: RwLock<BTreeMap<usize, (usize, Weak<ModuleCode>)>> = RwLock::new(BTreeMap::new());

/// The module whose code lies at `pc`. `None` for thunks, and for everything that is not code of a module.
pub fn lookup(pc: usize) -> Option<Arc<ModuleCode>> {
    let ranges = RANGES.read().unwrap_or_else(PoisonError::into_inner);
    let (_, (end, code)) = ranges.range(..=pc).next_back()?;
    if pc < *end { code.upgrade() } else { None }
}

/// Makes code known.
pub(super) fn register(range: Range<usize>, code: Weak<ModuleCode>) {
    RANGES.write().unwrap_or_else(PoisonError::into_inner).insert(range.start, (range.end, code));
}

/// Forgets code, before its region is freed.
pub(super) fn unregister(range: Range<usize>) {
    RANGES.write().unwrap_or_else(PoisonError::into_inner).remove(&range.start);
}
