//! Bulk operations a portion at a time, so that the guest can be stopped, or pause, between them.

use super::Store;
use crate::error::Error;
use std::ops::Range;

/// Bytes that a bulk operation writes between two looks. Touched for the first time they take a quarter of a millisecond.
pub(crate) const MEMORY_PORTION: u64 = 1 << 20;

/// Elements that a bulk operation writes between two looks. Each may be a reference that is made for it.
pub(crate) const TABLE_PORTION: u64 = 1 << 16;

/// Does a bulk operation on `len` bytes or elements a portion at a time, so that the guest can be stopped, or yield, between them: with the next
/// range for `act`, and `look` where the guest would look.
///
/// # Errors
/// What `act` and `look` say.
pub(crate) fn in_portions(
    store: &mut Store,
    len: u64,
    portion: u64,
    mut look: impl FnMut(&mut Store) -> Result<(), Error>,
    mut act: impl FnMut(&mut Store, Range<u64>) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut done = 0;
    loop {
        let next = len.min(done + portion);
        act(store, done..next)?;
        done = next;
        if done == len {
            return Ok(());
        }
        if store.must_look() {
            look(store)?;
        }
    }
}

/// As [`in_portions`], for a copy within or between: where `target` is behind `source`, portions go from the end backwards, so that where the
/// ranges overlap none is written before it was read.
///
/// # Errors
/// See [`in_portions`].
pub(crate) fn in_copied_portions<T: PartialOrd>(
    store: &mut Store,
    (target, source, len): (T, T, u64),
    portion: u64,
    look: impl FnMut(&mut Store) -> Result<(), Error>,
    mut act: impl FnMut(&mut Store, Range<u64>) -> Result<(), Error>,
) -> Result<(), Error> {
    let backwards = target > source;
    in_portions(store, len, portion, look, |store, part| {
        act(store, if backwards { len - part.end..len - part.start } else { part })
    })
}
