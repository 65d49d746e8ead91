//! Vectors as the C interface has them: a length and a block that the library allocated.

use crate::shared_names::{SharedName, is_shared};
use std::fmt;
use std::mem::{self, ManuallyDrop};
use std::ptr;

/// A name or a string: bytes that ought to be UTF-8.
pub type Name = Vector<u8>;

/// A vector. Dropping it frees the block and its elements.
///
/// 1. `data` is what `Box<[T]>::into_raw` gave for `size` elements, or null where `size` is zero; it is a slice's of another owner in
///    a vector that is lent, and never dropped. C callers keep to this: they fill in elements, and never change `size` or `data` of a
///    vector that the library made.
/// 2. Or `data` is one of the [shared names](crate::shared_names), which no vector owns.
/// 3. Only a vector that never had contents, or whose contents were taken, has null: bindings look at where the bytes of a name begin
///    before they look at how many there are.
#[repr(C)]
pub struct Vector<T> {
    size: usize,
    data: *mut T,
}

impl<T> Vector<T> {
    /// No elements.
    pub const EMPTY: Self = Vector { size: 0, data: ptr::null_mut() };

    /// Whether there are no elements, or none can be: C may say anything.
    fn is_empty(&self) -> bool {
        let is_possible = || self.size.checked_mul(size_of::<T>()).is_some_and(|bytes| isize::try_from(bytes).is_ok());
        self.size == 0 || self.data.is_null() || !is_possible()
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
        if is_shared(self.data) {
            *self = self.take().into();
        }
        // SAFETY: as in `as_slice`; the vector is borrowed exclusively, and owns the elements or is lent them.
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
        if is_shared(data) {
            // SAFETY: by (2), bytes, which are copied as such.
            return unsafe {
                std::slice::from_raw_parts(data, size).iter().map(|element| ptr::read(element)).collect()
            };
        }
        // SAFETY: by (1), and the vector has forgotten the block.
        unsafe { Box::from_raw(ptr::slice_from_raw_parts_mut(data, size)) }
    }
}

impl From<SharedName> for Name {
    #[inline]
    fn from(name: SharedName) -> Self {
        let (data, size) = name.parts();
        Vector { size, data: data.cast_mut() }
    }
}

impl<T> Default for Vector<T> {
    fn default() -> Self {
        Vector::EMPTY
    }
}

impl<T: Clone> Clone for Vector<T> {
    fn clone(&self) -> Self {
        if is_shared(self.data) {
            return Vector { size: self.size, data: self.data };
        }
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
        if !is_shared(self.data) {
            drop(self.take());
        }
    }
}

// SAFETY: a vector owns its elements as a `Box<[T]>` does.
unsafe impl<T: Send> Send for Vector<T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for Vector<T> {}

impl<T: Clone> From<&[T]> for Vector<T> {
    fn from(elements: &[T]) -> Self {
        Box::<[T]>::from(elements).into()
    }
}

impl From<&str> for Vector<u8> {
    fn from(text: &str) -> Self {
        text.as_bytes().into()
    }
}

impl<T: PartialEq> PartialEq for Vector<T> {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl<T: fmt::Debug> fmt::Debug for Vector<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_slice().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_same_wherever_it_is_from_and_nobody_frees_it() {
        let name = SharedName::of("a field").unwrap();
        let again = SharedName::of(&String::from("a field")).unwrap();
        assert!(again.is(Name::from(name).as_slice()) && !again.is(b"a field"));
        let mut taken = Name::from(name);
        assert_eq!(*taken.take(), *b"a field");
        assert!(name.is(Name::from(name).clone().as_slice()));
        drop([Name::from(name), Name::from(name)]);
        assert_eq!(Name::from(name).as_slice(), b"a field");
        assert!(SharedName::of("").is_none() && SharedName::of(&"x".repeat(1000)).is_none());
    }
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
