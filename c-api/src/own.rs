//! Vectors as `wasm.h` has them: a length and a block that the library allocated.
//!
//! The C structs are all one generic Rust type. Elements that are objects are `Option<Box<T>>`: C sees pointers, of which the
//! ones not filled in yet are null.

use std::mem::{self, ManuallyDrop, MaybeUninit};
use std::ptr;

/// A vector. Dropping it frees the block and its elements.
///
/// 1. `data` is what `Box<[T]>::into_raw` gave for `size` elements, or null where `size` is zero; it is a slice's of another owner in
///    a vector that is lent, and never dropped. C callers keep to this: they fill in elements, and never change `size` or `data` of a vector that the library made.
/// 2. Only a vector that never had contents, or whose contents were taken, has null: bindings look at where the bytes of a name begin
///    before they look at how many there are.
#[repr(C)]
pub struct Vector<T> {
    size: usize,
    data: *mut T,
}

impl<T> Vector<T> {
    /// Whether there are no elements, or none can be: C may say anything.
    fn is_empty(&self) -> bool {
        self.size == 0 || self.data.is_null() || !is_possible::<T>(self.size)
    }

    /// The elements. A vector of the host's own making (`WASM_ARRAY_VEC`) can be read like this too.
    pub fn as_slice(&self) -> &[T] {
        if self.is_empty() {
            return &[];
        }
        // SAFETY: by (1), or by the caller's array of `size` elements.
        unsafe { std::slice::from_raw_parts(self.data, self.size) }
    }

    /// The elements, to change them.
    pub fn as_mut_slice(&mut self) -> &mut [T] {
        if self.is_empty() {
            return &mut [];
        }
        // SAFETY: as in `as_slice`, and the vector is borrowed exclusively.
        unsafe { std::slice::from_raw_parts_mut(self.data, self.size) }
    }

    /// The elements of a slice as a vector, for a C function that reads it.
    pub fn lent(elements: &mut [T]) -> ManuallyDrop<Self> {
        ManuallyDrop::new(Vector { size: elements.len(), data: elements.as_mut_ptr() })
    }

    /// Takes the elements out and leaves the vector empty: how a function takes over the contents of a vector that stays C's.
    pub fn take(&mut self) -> Box<[T]> {
        let without_elements = self.is_empty();
        let (size, data) = (mem::take(&mut self.size), mem::replace(&mut self.data, ptr::null_mut()));
        if without_elements {
            return Box::default();
        }
        // SAFETY: by (1), and the vector has forgotten the block.
        unsafe { Box::from_raw(ptr::slice_from_raw_parts_mut(data, size)) }
    }
}

/// Whether so many elements fit the address space.
fn is_possible<T>(size: usize) -> bool {
    size.checked_mul(size_of::<T>()).is_some_and(|bytes| isize::try_from(bytes).is_ok())
}

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
    if data.is_null() || size == 0 || !is_possible::<T>(size) {
        return None;
    }
    // SAFETY: by the caller.
    Some(unsafe { std::slice::from_raw_parts(data, size) })
}

impl<T: Clone> Vector<T> {
    /// A vector of copies of the elements of a C array; an empty one where that is null or there is no memory for them.
    ///
    /// # Safety
    /// See [`array`].
    pub unsafe fn copy_of(size: usize, data: *const T) -> Self {
        // SAFETY: by the caller.
        let given = unsafe { array(size, data) }.unwrap_or_default();
        let Some(mut elements) = space_for(given.len()) else { return Self::default() };
        elements.extend_from_slice(given);
        elements.into()
    }
}

impl<T> Vector<T> {
    /// A vector of the elements of a C array, which are moved out of it; an empty one as for [`Vector::copy_of`].
    ///
    /// # Safety
    /// See [`array`]; the caller gives the elements up.
    pub unsafe fn moved_from(size: usize, data: *const T) -> Self {
        // SAFETY: by the caller.
        let given = unsafe { array(size, data) }.unwrap_or_default();
        let Some(mut elements) = space_for(given.len()) else { return Self::default() };
        // SAFETY: by the caller, each element is read and owned here once.
        elements.extend(given.iter().map(|element| unsafe { ptr::read(element) }));
        elements.into()
    }

    /// Writes the vector to where C wants it.
    pub fn give(self, out: &mut MaybeUninit<Self>) {
        out.write(self);
    }
}

impl<T: Default> Vector<T> {
    /// A vector of this many default elements; an empty one where there is no memory for them.
    pub fn of_defaults(size: usize) -> Self {
        let Some(mut elements) = space_for(size) else { return Self::default() };
        elements.resize_with(size, T::default);
        elements.into()
    }
}

impl<T> Default for Vector<T> {
    fn default() -> Self {
        Vector { size: 0, data: ptr::null_mut() }
    }
}

impl<T: Clone> Clone for Vector<T> {
    fn clone(&self) -> Self {
        self.as_slice().iter().cloned().collect()
    }
}

impl<T> From<Box<[T]>> for Vector<T> {
    fn from(elements: Box<[T]>) -> Self {
        let size = elements.len();
        Vector { size, data: Box::into_raw(elements).cast() }
    }
}

impl<T> From<Vec<T>> for Vector<T> {
    fn from(elements: Vec<T>) -> Self {
        elements.into_boxed_slice().into()
    }
}

impl<T> FromIterator<T> for Vector<T> {
    fn from_iter<I: IntoIterator<Item = T>>(elements: I) -> Self {
        elements.into_iter().collect::<Vec<T>>().into()
    }
}

impl<T> Drop for Vector<T> {
    fn drop(&mut self) {
        drop(self.take());
    }
}

// SAFETY: a vector owns its elements as a `Box<[T]>` does.
unsafe impl<T: Send> Send for Vector<T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for Vector<T> {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::rc::Rc;

    #[test]
    fn taking_leaves_an_empty_vector() {
        let mut vector: Vector<u8> = vec![1, 2].into();
        assert_eq!(*vector.take(), [1, 2]);
        assert!(vector.as_slice().is_empty() && vector.data.is_null());
        assert!(vector.take().is_empty());
    }

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
        for (size, data) in [(1, ptr::null_mut()), (usize::MAX, ptr::dangling_mut())] {
            let mut said = Vector::<u64> { size, data };
            assert!(said.as_slice().is_empty() && said.as_mut_slice().is_empty() && said.take().is_empty());
        }
    }

    #[test]
    fn elements_are_dropped_once() {
        let element = Rc::new(());
        let vector: Vector<Rc<()>> = [element.clone(), element.clone()].into_iter().collect();
        let copy = vector.clone();
        assert_eq!(Rc::strong_count(&element), 5);
        drop((vector, copy));
        assert_eq!(Rc::strong_count(&element), 1);
    }
}
