//! The canonical ABI: values out of linear memory and into it.
//!
//! Lifting never runs guest code, so it looks at one slice of memory throughout. Lowering asks the guest for memory, whose base and
//! length it reads again each time.

pub(crate) mod lift;
pub(crate) mod lower;
pub(crate) mod options;
pub(crate) mod realloc;
mod spill;
pub(crate) mod strings;
pub(crate) mod transfer;

use crate::types::val::Extent;
use ampoule::{Error, TrapCode};

/// Values that are nested no deeper than this pass on what stack there is below every guest.
const SHALLOW: u32 = 8;

/// What each level takes of the stack where values are lifted, lowered, transferred and dropped.
const STACK_PER_LEVEL: usize = if cfg!(debug_assertions) { 6 << 10 } else { 1536 };

/// Whether an address is a multiple of an alignment, which is a power of two: to divide by it would take longer than all else about a short
/// string.
#[inline]
pub(crate) fn is_aligned(at: u32, align: u32) -> bool {
    debug_assert!(align.is_power_of_two());
    at & (align - 1) == 0
}

/// Checks that values can be walked on what is left of the stack: a guest has chosen how deep they are nested, and how deep it calls from.
#[inline]
pub(crate) fn check_stack(extent: Extent) -> Result<(), Error> {
    if extent.depth <= SHALLOW || ampoule::stack_left() >= extent.depth as usize * STACK_PER_LEVEL {
        return Ok(());
    }
    Err(Error::trap(TrapCode::StackOverflow))
}
