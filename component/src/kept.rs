//! Shared values that a store keeps: its records point to them without counting.
//!
//! What components are made of is shared by all stores, and counted. A store counts what it keeps once, with the component instance that was
//! made of it ([`crate::state::Root`]), and its other records, of which there are some for each function, only point there: counting each
//! would be much of what an instance costs.

use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::Arc;

/// A shared value that the store keeps.
///
/// 1. The value is counted by the store that has this, as long as the store lives.
pub(crate) struct Kept<T>(NonNull<T>);

impl<T> Kept<T> {
    /// # Safety
    /// What gets this is a record of a store, which counts the value as long as it lives.
    #[inline]
    pub(crate) unsafe fn of(shared: &Arc<T>) -> Self {
        // SAFETY: a shared value has an address.
        Self(unsafe { NonNull::new_unchecked(Arc::as_ptr(shared).cast_mut()) })
    }

    /// The value, counted, for whoever may outlive the store.
    pub(crate) fn counted(self) -> Arc<T> {
        let value = self.0.as_ptr().cast_const();
        // SAFETY: it came from an `Arc` in `of`, and is counted by (1), once more from here on.
        unsafe {
            Arc::increment_strong_count(value);
            Arc::from_raw(value)
        }
    }
}

impl<T> Deref for Kept<T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: by (1) the value is there, and it is only read.
        unsafe { self.0.as_ref() }
    }
}

impl<T> Clone for Kept<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Kept<T> {}

// SAFETY: it stands for a shared reference and for an `Arc`, which may be sent where the value may be shared and sent.
unsafe impl<T: Send + Sync> Send for Kept<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for Kept<T> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_counting_counts() {
        let shared = Arc::new(7);
        // SAFETY: no record outlives `shared`.
        let kept = unsafe { Kept::of(&shared) };
        let copy = kept;
        assert_eq!((*copy, Arc::strong_count(&shared)), (7, 1));
        let counted = kept.counted();
        assert_eq!(Arc::strong_count(&shared), 2);
        assert!(Arc::ptr_eq(&counted, &shared));
        drop(counted);
        assert_eq!(Arc::strong_count(&shared), 1);
    }
}
