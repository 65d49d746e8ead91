//! Vectors as `wasm.h` has them: a length and a block that the library allocated.
//!
//! The C structs are all one generic Rust type. Elements that are objects are `Option<Box<T>>`: C sees pointers, of which the
//! ones not filled in yet are null.

use std::mem::MaybeUninit;
use std::ptr;

pub use ampoule_component::Vector;

/// How C makes vectors of its arrays, and gets them.
pub trait Own<T>: From<Vec<T>> + Default {
    /// A vector of copies of the elements of a C array; an empty one where that is null or there is no memory for them.
    ///
    /// # Safety
    /// See [`array`].
    unsafe fn copy_of(size: usize, data: *const T) -> Self
    where
        T: Clone,
    {
        // SAFETY: by the caller.
        let given = unsafe { array(size, data) }.unwrap_or_default();
        let Some(mut elements) = space_for(given.len()) else { return Self::default() };
        elements.extend_from_slice(given);
        elements.into()
    }

    /// A vector of the elements of a C array, which are moved out of it; an empty one as for [`Own::copy_of`].
    ///
    /// # Safety
    /// See [`array`]; the caller gives the elements up.
    unsafe fn moved_from(size: usize, data: *const T) -> Self {
        // SAFETY: by the caller.
        let given = unsafe { array(size, data) }.unwrap_or_default();
        let Some(mut elements) = space_for(given.len()) else { return Self::default() };
        // SAFETY: by the caller, each element is read and owned here once.
        elements.extend(given.iter().map(|element| unsafe { ptr::read(element) }));
        elements.into()
    }

    /// A vector of this many elements, each made alike; an empty one where there is no memory for them.
    fn of_alike(size: usize, make: impl FnMut() -> T) -> Self {
        let Some(mut elements) = space_for(size) else { return Self::default() };
        elements.resize_with(size, make);
        elements.into()
    }

    /// A vector of this many default elements; an empty one where there is no memory for them.
    fn of_defaults(size: usize) -> Self
    where
        T: Default,
    {
        Self::of_alike(size, T::default)
    }

    /// Writes the vector to where C wants it.
    fn give(self, out: &mut MaybeUninit<Self>) {
        out.write(self);
    }
}

impl<T> Own<T> for Vector<T> {}

/// Space for so many elements; `None` where there is no memory for them.
fn space_for<T>(size: usize) -> Option<Vec<T>> {
    let mut elements = Vec::new();
    elements.try_reserve_exact(size).ok()?;
    Some(elements)
}

/// The elements of a C array; `None` where it can't have so many, or is null.
///
/// # Safety
/// `data` is null or points to `size` elements that nobody changes while the result is in use; it may be anything where `size` is zero.
unsafe fn array<'a, T>(size: usize, data: *const T) -> Option<&'a [T]> {
    if data.is_null()
        || size == 0
        || size.checked_mul(size_of::<T>()).is_none_or(|bytes| isize::try_from(bytes).is_err())
    {
        return None;
    }
    // SAFETY: by the caller.
    Some(unsafe { std::slice::from_raw_parts(data, size) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_that_cannot_be_are_empty() {
        // SAFETY: null is no array, and nothing is read of so many elements.
        let made = unsafe {
            [
                Vector::<u64>::copy_of(3, ptr::null()),
                Vector::copy_of(usize::MAX, ptr::dangling()),
                Vector::moved_from(1, ptr::null()),
            ]
        };
        assert!(made.iter().all(|vector| vector.as_slice().is_empty()));
        assert!(Vector::<u64>::of_defaults(usize::MAX / 8).as_slice().is_empty());
    }
}
