//! Looking through a whole heap for what objects hold of an instance that is to be deleted.

use super::Heap;
use super::region::{NURSERY_START, OLD_START};
use ampoule_core::vm::types::{ObjectKind, TypeWord};
use std::ops::Range;

impl Heap {
    /// Whether an object has a word that may be a reference to a function at one of these addresses, or is an exception with one of these tags;
    /// also one that nobody refers to any more, until it is collected. `top` is where the next object begins.
    pub(crate) fn has_object_with(&mut self, top: u32, functions: &Range<usize>, tags: &[u32]) -> bool {
        let mut at = NURSERY_START;
        while at < top {
            let size = self.types.object(&self.region, at).size;
            if self.is_such(at, size, functions, tags) {
                return true;
            }
            at += size;
        }
        for word in OLD_START >> 9..self.region.old_written >> 9 {
            let mut bits = self.region.starts()[word as usize];
            while bits != 0 {
                let at = (word << 9) + (bits.trailing_zeros() << 3);
                bits &= bits - 1;
                let size = self.types.object(&self.region, at).size;
                if self.is_such(at, size, functions, tags) {
                    return true;
                }
            }
        }
        false
    }

    fn is_such(&self, at: u32, size: u32, functions: &Range<usize>, tags: &[u32]) -> bool {
        if TypeWord(self.region.read(at)).kind() == ObjectKind::Exception && tags.contains(&self.tag_number(at)) {
            return true;
        }
        // References to functions are at multiples of eight, as objects are. What else is there looks like one only by chance.
        let bytes = self.region.bytes(at, size).expect("an object is in the heap");
        let words = bytes.chunks_exact(8).map(|word| usize::from_ne_bytes(word.try_into().expect("eight bytes")));
        words.into_iter().any(|word| functions.contains(&word))
    }
}
