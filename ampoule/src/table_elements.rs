//! The elements of one table: zeros that cost nothing until they are written.
//!
//! Short tables live on the heap. A long one is a mapping of its own: the system gives it a page when that is first written, moves
//! pages without copying when it grows, and takes them back at the end. What a module declares as a table's minimum, and what a
//! guest grows a table by, is therefore address space, not memory.

use ampoule_machine::os::mmap::{Access, Mapping, PAGE};
use ampoule_machine::os::pagemap::{self, ScanBuffer};
use std::io;
use std::ops::{Deref, DerefMut, Range};

/// Tables of more bytes than this are mappings. Up to here, overwriting is cheaper than two system calls and a fault for each page.
const HEAP_BYTES: usize = 128 << 10;

const WORD: usize = size_of::<u64>();

/// See the module.
#[derive(Debug)]
pub(crate) struct Elements(Storage);

/// In a mapping, all words from `len` on are zero.
#[derive(Debug)]
enum Storage {
    Heap(Vec<u64>),
    Mapped { mapping: Mapping, len: usize },
}

impl Elements {
    /// No elements, and no memory.
    pub(crate) const fn new() -> Self {
        Self(Storage::Heap(Vec::new()))
    }

    /// Appends zeros up to a length, which is not below the present one. `None` where there is no memory or address space for
    /// them; nothing changes.
    ///
    /// Growth by one element at a time costs a constant number of steps for each.
    pub(crate) fn extend_to(&mut self, len: usize) -> Option<()> {
        debug_assert!(self.len() <= len);
        let byte_len = len.checked_mul(WORD)?;
        match &mut self.0 {
            Storage::Heap(words) if byte_len <= HEAP_BYTES => {
                let more = len - words.len();
                // What a module declares seldom grows; what has grown before will again.
                if words.capacity() == 0 { words.try_reserve_exact(more) } else { words.try_reserve(more) }.ok()?;
                words.resize(len, 0);
            }
            Storage::Heap(words) => {
                let mapping = Mapping::anonymous(byte_len, Access::ReadWrite).ok()?;
                // Else the first write to a table could cost two megabytes.
                mapping.refuse_huge_pages();
                // SAFETY: the mapping is new, writable, and longer than what is copied.
                unsafe { mapping.base().cast::<u64>().copy_from_nonoverlapping(words.as_ptr(), words.len()) };
                self.0 = Storage::Mapped { mapping, len };
            }
            Storage::Mapped { mapping, len: used } => {
                if byte_len > mapping.len() {
                    let generous = byte_len.max(mapping.len().saturating_mul(2));
                    // SAFETY: elements are only borrowed from `self`; whoever keeps their address asks for it anew after growth.
                    unsafe { mapping.enlarge(generous).or_else(|_| mapping.enlarge(byte_len)).ok()? };
                }
                *used = len;
            }
        }
        Some(())
    }

    /// Takes out all elements. Nothing of them is left in the memory, which stays for the next.
    pub(crate) fn clear(&mut self) {
        self.fill(0);
        match &mut self.0 {
            Storage::Heap(words) => words.clear(),
            Storage::Mapped { len, .. } => *len = 0,
        }
    }

    /// Bytes allocated for the elements.
    pub(crate) fn capacity_bytes(&self) -> usize {
        match &self.0 {
            Storage::Heap(words) => words.capacity() * WORD,
            Storage::Mapped { mapping, .. } => mapping.len(),
        }
    }

    /// Visits the elements that are not zero.
    pub(crate) fn visit_nonzero(&mut self, mut visit: impl FnMut(&mut u64)) {
        let mut visit_all = |words: &mut [u64]| words.iter_mut().filter(|word| **word != 0).for_each(&mut visit);
        match &self.0 {
            Storage::Heap(_) => visit_all(self),
            Storage::Mapped { mapping, len } => {
                written_words(mapping.base() as usize, *len, |words| visit_all(&mut self[words]));
            }
        }
    }

    /// Whether one of the elements that are not zero is such.
    pub(crate) fn any_nonzero(&self, is: impl Fn(u64) -> bool) -> bool {
        let any = |words: &[u64]| words.iter().any(|&word| word != 0 && is(word));
        match &self.0 {
            Storage::Heap(words) => any(words),
            Storage::Mapped { mapping, len } => {
                let mut found = false;
                written_words(mapping.base() as usize, *len, |words| found = found || any(&self[words]));
                found
            }
        }
    }

    /// The elements that are not zero, with their places, ascending.
    pub(crate) fn nonzero(&self) -> Vec<(usize, u64)> {
        let mut found = Vec::new();
        let mut find = |words: Range<usize>| {
            let words = words.clone().zip(&self[words]);
            found.extend(words.filter(|(_, word)| **word != 0).map(|(at, &word)| (at, word)));
        };
        match &self.0 {
            Storage::Heap(words) => find(0..words.len()),
            Storage::Mapped { mapping, len } => written_words(mapping.base() as usize, *len, find),
        }
        found
    }

    /// Has as many elements as given, all zero; no more than there is room for already.
    ///
    /// # Errors
    /// What the system says. There are no elements then.
    pub(crate) fn reset(&mut self, to_len: usize) -> io::Result<()> {
        match &mut self.0 {
            Storage::Heap(words) => {
                assert!(to_len <= words.capacity(), "there is room for the elements");
                words.clear();
                words.resize(to_len, 0);
            }
            Storage::Mapped { mapping, len } => {
                assert!(to_len * WORD <= mapping.len(), "there is room for the elements");
                *len = 0;
                // SAFETY: elements are only borrowed from `self`.
                unsafe { mapping.reset(0..mapping.len())? };
                *len = to_len;
            }
        }
        Ok(())
    }
}

/// Tells the ranges of words that may not be zero, of `len` from an address on that a page begins at.
fn written_words(start: usize, len: usize, mut tell: impl FnMut(Range<usize>)) {
    // Reading a page that was never written would be a fault for each, so the system is asked which were.
    let (mut at, end) = (start, start + (len * WORD).next_multiple_of(PAGE));
    let mut buffer = ScanBuffer::default();
    while at < end {
        let Some(written) = pagemap::written_pages(at, end, usize::MAX / PAGE, &mut buffer) else { break };
        for range in written.ranges() {
            tell((range.start - start) / WORD..((range.end - start) / WORD).min(len));
        }
        if written.scanned_end() <= at {
            break;
        }
        at = written.scanned_end();
    }
    // What the system doesn't tell of may hold anything.
    tell(((at - start) / WORD).min(len)..len);
}

impl Deref for Elements {
    type Target = [u64];

    #[inline]
    fn deref(&self) -> &[u64] {
        match &self.0 {
            Storage::Heap(words) => words,
            // SAFETY: that many words are mapped, readable and initialized: the system's zeros, or what was written.
            Storage::Mapped { mapping, len } => unsafe { std::slice::from_raw_parts(mapping.base().cast(), *len) },
        }
    }
}

impl DerefMut for Elements {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u64] {
        match &mut self.0 {
            Storage::Heap(words) => words,
            // SAFETY: as above, and writable; the mapping is borrowed exclusively.
            Storage::Mapped { mapping, len } => unsafe { std::slice::from_raw_parts_mut(mapping.base().cast(), *len) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: usize = HEAP_BYTES / WORD + 1;

    fn elements(len: usize) -> Elements {
        let mut elements = Elements::new();
        elements.extend_to(len).unwrap();
        elements
    }

    #[test]
    fn what_is_added_is_zero_and_the_rest_stays() {
        let mut elements = elements(3);
        elements.fill(7);
        let mut previous = 3;
        for len in [4, 1000, LONG - 1, LONG, 2 * LONG, 40 * LONG] {
            elements.extend_to(len).unwrap();
            assert_eq!(elements.len(), len);
            assert!(
                elements[..previous].iter().all(|&word| word == 7)
                    && elements[previous..].iter().all(|&word| word == 0)
            );
            elements.fill(7);
            previous = len;
        }
    }

    #[test]
    fn nothing_is_left_after_clearing() {
        for len in [10, 5 * LONG] {
            let mut elements = elements(len);
            elements.fill(7);
            let capacity = elements.capacity_bytes();
            elements.clear();
            assert_eq!((elements.len(), elements.capacity_bytes()), (0, capacity));
            elements.extend_to(len).unwrap();
            assert!(elements.iter().all(|&word| word == 0));
        }
    }

    #[test]
    fn a_length_beyond_all_memory_is_refused_and_changes_nothing() {
        for len in [10, LONG] {
            let mut elements = elements(len);
            elements.fill(7);
            assert!(elements.extend_to(1 << 57).is_none() && elements.extend_to(usize::MAX).is_none());
            assert!(elements.len() == len && elements.iter().all(|&word| word == 7));
        }
    }

    #[test]
    fn every_element_that_is_not_zero_is_visited() {
        for (len, step) in [(1000, 1), (1000, 13), (100 * LONG, 512), (100 * LONG, 1024), (100 * LONG, 99_999)] {
            let mut elements = elements(len);
            let expected: Vec<u64> = (0..len as u64).step_by(step).map(|word| word + 1).collect();
            expected.iter().for_each(|&word| elements[word as usize - 1] = word);
            let mut found = Vec::new();
            elements.visit_nonzero(|word| found.push(*word));
            assert_eq!(found, expected, "{len} {step}");
            assert!(elements.any_nonzero(|word| word == expected[expected.len() - 1]));
            assert!(!elements.any_nonzero(|word| word == 0 || word > len as u64));
        }
    }
}
