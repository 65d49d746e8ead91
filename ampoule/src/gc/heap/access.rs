//! Reading and writing the fields of objects, for the runtime. Machine code does the same by itself.

use super::Heap;
use super::old::bit;
use super::region::{CARD_LOG2, OLD_START};
use ampoule_core::object_layout::{ARRAY_ELEMENTS, ARRAY_LENGTH, EXCEPTION_TAG};
use ampoule_core::vm::types::{ObjectKind, TypeWord};

impl Heap {
    /// The type of an object; `None` where the reference can lead to none.
    pub(crate) fn type_of(&self, object: u32) -> Option<TypeWord> {
        if object == 0 || !object.is_multiple_of(8) {
            return None;
        }
        if object >= OLD_START && self.region.start_bits(object) & bit(object) == 0 {
            return None;
        }
        let bytes = self.region.bytes(object, 4)?;
        let word = u32::from_ne_bytes(bytes.try_into().expect("four bytes"));
        // Where no object has ever been are zeros.
        (word != 0).then_some(TypeWord(word))
    }

    /// The length of an array.
    pub(crate) fn array_len(&self, array: u32) -> u32 {
        self.region.read(array + ARRAY_LENGTH)
    }

    /// Sets the length of an array that was just allocated.
    pub(crate) fn set_array_len(&mut self, array: u32, len: u32) {
        self.region.write(array + ARRAY_LENGTH, len);
    }

    /// The number of an exception's tag.
    pub(crate) fn tag_number(&self, exception: u32) -> u32 {
        self.region.read(exception + EXCEPTION_TAG)
    }

    /// The bytes of a field.
    ///
    /// # Panics
    /// Where they are not in the heap. Whether they are the object's is for the caller to know.
    pub(crate) fn field<const N: usize>(&self, object: u32, offset: u32) -> [u8; N] {
        let bytes = object.checked_add(offset).and_then(|at| self.region.bytes(at, N as u32));
        bytes.expect("a field is in the heap").try_into().expect("as many bytes")
    }

    /// Writes the bytes of a field that holds no reference.
    ///
    /// # Panics
    /// As [`Heap::field`].
    pub(crate) fn set_field(&mut self, object: u32, offset: u32, value: &[u8]) {
        self.bytes_mut(object, offset, value.len() as u32).copy_from_slice(value);
    }

    /// Bytes of an object that hold no references, such as elements of an array, to change them.
    ///
    /// # Panics
    /// As [`Heap::field`].
    pub(crate) fn bytes_mut(&mut self, object: u32, offset: u32, len: u32) -> &mut [u8] {
        let at = object.checked_add(offset);
        at.and_then(|at| self.region.bytes_mut(at, len)).expect("a field is in the heap")
    }

    /// Copies bytes from one place of the heap to another, which may overlap: elements of arrays.
    ///
    /// # Panics
    /// As [`Heap::field`].
    pub(crate) fn copy_bytes(&mut self, from: u32, to: u32, len: u32) {
        let [start, end] = [from.min(to), from.max(to)];
        let bytes = end.checked_add(len).and_then(|end| self.region.bytes_mut(start, end - start));
        let (from, to) = ((from - start) as usize, (to - start) as usize);
        bytes.expect("elements are in the heap").copy_within(from..from + len as usize, to);
    }

    /// Has the next collection of young objects look at references that were written from `at` on: elements of an array.
    pub(crate) fn touch(&mut self, at: u32, len: u32) {
        let (first, last) = (at >> CARD_LOG2, (at + len - 1) >> CARD_LOG2);
        self.region.cards()[first as usize..=last as usize].fill(1);
    }

    /// All elements of an array that was just allocated are this reference: unless it is a young object, no collection of young objects has to look
    /// at them.
    pub(crate) fn note_initialized(&mut self, array: u32, element: u32) {
        let is_object = element != 0 && element & 1 == 0;
        // What is not in the nursery has blocks, and so cards, of its own.
        if array >= OLD_START && !(is_object && element < OLD_START) {
            let end = array + ARRAY_ELEMENTS + 4 * self.array_len(array);
            let (first, last) = (array >> CARD_LOG2, (end - 1) >> CARD_LOG2);
            self.region.cards()[first as usize..=last as usize].fill(0);
        }
    }

    /// Stores a reference into a field or an element.
    ///
    /// # Panics
    /// As [`Heap::field`].
    pub(crate) fn set_ref(&mut self, object: u32, offset: u32, reference: u32) {
        self.set_field(object, offset, &reference.to_ne_bytes());
        // The collector looks for a struct by its start, and for an element by where that is.
        let is_array = self.type_of(object).is_some_and(|word| word.kind() == ObjectKind::Array);
        let at = if is_array { object + offset } else { object };
        self.region.cards()[(at >> CARD_LOG2) as usize] = 1;
    }
}
