//! Vectors as `wasm.h` has them: a length and a block that the library allocated.
//!
//! The C structs are all one generic Rust type. Elements that are objects are `Option<Box<T>>`: C sees pointers, of which the
//! ones not filled in yet are null.

use crate::misuse::misuse;
use std::mem::{self, MaybeUninit};
use std::ptr;

/// A vector. Dropping it frees the block and its elements.
///
/// 1. `data` is what `Box<[T]>::into_raw` gave for `size` elements, or null where `size` is zero. C callers keep to
///    this: they fill in elements, and never change `size` or `data` of a vector that the library made.
/// 2. Only a vector that never had contents, or whose contents were taken, has null: bindings look at where the bytes of a name begin
///    before they look at how many there are.
#[repr(C)]
pub struct Vector<T> {
    size: usize,
    data: *mut T,
}

impl<T> Vector<T> {
    /// The elements. A vector of the host's own making (`WASM_ARRAY_VEC`) can be read like this too.
    pub fn as_slice(&self) -> &[T] {
        if self.size == 0 {
            return &[];
        }
        // SAFETY: by (1), or by the caller's array of `size` elements.
        unsafe { std::slice::from_raw_parts(self.data, self.size) }
    }

    /// The elements, to change them.
    pub fn as_mut_slice(&mut self) -> &mut [T] {
        if self.size == 0 {
            return &mut [];
        }
        // SAFETY: as in `as_slice`, and the vector is borrowed exclusively.
        unsafe { std::slice::from_raw_parts_mut(self.data, self.size) }
    }

    /// Takes the elements out and leaves the vector empty: how a function takes over the contents of a vector that stays C's.
    pub fn take(&mut self) -> Box<[T]> {
        let (size, data) = (mem::take(&mut self.size), mem::replace(&mut self.data, ptr::null_mut()));
        if size == 0 {
            return Box::default();
        }
        // SAFETY: by (1), and the vector has forgotten the block.
        unsafe { Box::from_raw(ptr::slice_from_raw_parts_mut(data, size)) }
    }
}

/// Space for so many elements. Without any, the process ends with the name of the C function that asked.
fn space_for<T>(function: &str, size: usize) -> Vec<T> {
    let mut elements = Vec::new();
    if elements.try_reserve_exact(size).is_err() {
        misuse(function, &format!("there is no memory for {size} elements"));
    }
    elements
}

impl<T: Clone> Vector<T> {
    /// A vector of copies of the elements of a C array.
    ///
    /// # Safety
    /// `data` points to `size` elements; it may be anything where `size` is zero.
    pub unsafe fn copy_of(function: &str, size: usize, data: *const T) -> Self {
        let mut elements = space_for(function, size);
        if size == 0 {
            return elements.into();
        }
        // SAFETY: by the caller.
        elements.extend_from_slice(unsafe { std::slice::from_raw_parts(data, size) });
        elements.into()
    }
}

impl<T> Vector<T> {
    /// A vector of the elements of a C array, which are moved out of it.
    ///
    /// # Safety
    /// As for [`Vector::copy_of`]; the caller gives the elements up.
    pub unsafe fn moved_from(function: &str, size: usize, data: *const T) -> Self {
        let mut elements = space_for(function, size);
        // SAFETY: by the caller, each element is read and owned here once.
        elements.extend((0..size).map(|index| unsafe { data.add(index).read() }));
        elements.into()
    }

    /// Writes the vector to where C wants it.
    pub fn give(self, out: &mut MaybeUninit<Self>) {
        out.write(self);
    }
}

impl<T: Default> Vector<T> {
    /// A vector of this many default elements.
    pub fn of_defaults(function: &str, size: usize) -> Self {
        let mut elements = space_for(function, size);
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
    fn elements_are_dropped_once() {
        let element = Rc::new(());
        let vector: Vector<Rc<()>> = [element.clone(), element.clone()].into_iter().collect();
        let copy = vector.clone();
        assert_eq!(Rc::strong_count(&element), 5);
        drop((vector, copy));
        assert_eq!(Rc::strong_count(&element), 1);
    }
}
