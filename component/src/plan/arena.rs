//! Memory for strings and lists of results, which is freed all at once, and kept for the next call.

use std::mem::MaybeUninit;

/// Blocks of words, each of which is given out from its beginning.
///
/// 1. What was given out stays where it is until the arena is cleared or dropped.
#[derive(Default)]
pub(super) struct Arena {
    blocks: Vec<Box<[MaybeUninit<u64>]>>,
    /// How much of the last block is taken, in words.
    taken: usize,
}

/// Words of the first block.
const FIRST: usize = 128;
/// Words that are kept for the next call.
const KEPT: usize = 8 << 10;

impl Arena {
    /// Frees what was given out. The last block is kept, which is the largest, unless it is very large.
    pub(super) fn clear(&mut self) {
        self.taken = 0;
        if let Some(last) = self.blocks.pop() {
            self.blocks.clear();
            if last.len() <= KEPT {
                self.blocks.push(last);
            }
        }
    }

    /// Memory for so many bytes, aligned to 8.
    pub(super) fn alloc(&mut self, byte_len: usize) -> *mut u8 {
        let words = byte_len.div_ceil(8);
        if self.blocks.last().is_none_or(|block| block.len() - self.taken < words) {
            let len = self.blocks.last().map_or(FIRST, |block| block.len() * 2).max(words);
            self.blocks.push(Box::new_uninit_slice(len));
            self.taken = 0;
        }
        let block = self.blocks.last_mut().expect("there is one with as much room");
        let at = block[self.taken..].as_mut_ptr();
        self.taken += words;
        at.cast()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_do_not_move_and_are_kept() {
        let mut arena = Arena::default();
        let given: Vec<*mut u8> = (0..1000).map(|len| arena.alloc(len)).collect();
        for (len, &at) in given.iter().enumerate() {
            assert!(at.is_aligned_to_8());
            // SAFETY: as many bytes were given.
            unsafe { at.write_bytes(len as u8, len) };
        }
        for (len, &at) in given.iter().enumerate() {
            // SAFETY: as above; they were written.
            assert!(unsafe { std::slice::from_raw_parts(at, len) }.iter().all(|&byte| byte == len as u8));
        }
        arena.clear();
        let first = arena.alloc(100);
        arena.clear();
        assert_eq!(arena.alloc(100), first);
        arena.alloc(8 * KEPT + 8);
        arena.clear();
        assert!(arena.blocks.is_empty(), "very large ones are not kept");
    }

    trait Aligned {
        fn is_aligned_to_8(&self) -> bool;
    }

    impl Aligned for *mut u8 {
        fn is_aligned_to_8(&self) -> bool {
            self.addr().is_multiple_of(8)
        }
    }
}
