//! State that most stores never need: made when something is first written to it.

use std::ops::{Deref, DerefMut};

/// A `T` that reads as an empty one until it is changed.
pub(crate) struct OnDemand<T>(Option<Box<T>>);

/// What reads as empty. Nothing in it may be changed through a shared reference: all that are empty are the same.
pub(crate) trait Empty: Sized + 'static {
    /// The value that nobody has changed.
    const EMPTY: Self;

    /// The same, to be looked at.
    fn empty() -> &'static Self;
}

impl<T> Default for OnDemand<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: Empty> Deref for OnDemand<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        match &self.0 {
            Some(made) => made,
            None => T::empty(),
        }
    }
}

impl<T: Empty> DerefMut for OnDemand<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        self.0.get_or_insert_with(|| Box::new(T::EMPTY))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Empty for Vec<u8> {
        const EMPTY: Self = Vec::new();

        fn empty() -> &'static Self {
            static EMPTY: Vec<u8> = Vec::EMPTY;
            &EMPTY
        }
    }

    #[test]
    fn nothing_is_made_before_it_is_changed() {
        let mut list = OnDemand::<Vec<u8>>::default();
        assert!(list.is_empty() && list.0.is_none());
        list.push(1);
        assert_eq!(*list, [1]);
    }
}
