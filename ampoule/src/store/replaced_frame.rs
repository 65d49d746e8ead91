//! What a frame held whose place other code takes: code of its function that goes on from a loop.
//!
//! The frame goes before that of the other code is made, in the same place: so tail calls leave nothing behind, and nobody who walks frames meets
//! both. What it held is copied here, where the other code reads it as soon as it is entered. Nothing else happens in between.

use super::Store;
use ampoule_core::artifact;
use std::ptr;

/// The copy of the frame that was replaced last. As long as a frame of the baseline tier may be, 1 MiB, at most.
#[derive(Default)]
pub(crate) struct ReplacedFrame(Vec<u128>);

impl Store {
    /// Copies a frame that code is about to take the place of. False where the stack or the memory is too small for that: then nothing is to be
    /// replaced.
    ///
    /// # Safety
    /// `fp` is the frame pointer of a frame that is active, waits, and has what `replaced` says below it.
    pub(crate) unsafe fn replace_frame(&mut self, fp: usize, replaced: artifact::ReplacedFrame) -> bool {
        if fp.saturating_sub(replaced.own_len as usize) < self.vm.stack_limit {
            return false;
        }
        let len = replaced.len as usize;
        let words = len.div_ceil(size_of::<u128>());
        let copy = &mut self.replaced_frame.0;
        if copy.try_reserve_exact(words).is_err() {
            return false;
        }
        // SAFETY: the copy has room for so many words, and nobody else uses it. `len` bytes below `fp` are the frame's, by the caller.
        unsafe {
            let end = copy.as_mut_ptr().add(words).cast::<u8>();
            ptr::copy_nonoverlapping((fp as *const u8).sub(len), end.sub(len), len);
            self.vm.replaced_frame = end;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Engine;

    #[test]
    fn a_frame_is_copied_where_there_is_stack_for_the_one_in_its_place() {
        let engine = Engine::default();
        let mut store = Store::new(&engine);
        let frame: Vec<u64> = (0..50).collect();
        let fp = frame.as_ptr_range().end.addr();
        for (len, own_len) in [(400, 1000), (8, 0), (24, 4096), (0, 8)] {
            store.vm.stack_limit = fp - own_len as usize;
            // SAFETY: so many numbers are there.
            assert!(unsafe { store.replace_frame(fp, artifact::ReplacedFrame { len, own_len }) });
            let copied = len as usize / 8;
            // SAFETY: they were just written there.
            let copy: Vec<u64> =
                (1..=copied).map(|at| unsafe { store.vm.replaced_frame.cast::<u64>().sub(at).read() }).collect();
            assert!(copy.iter().eq(frame.iter().rev().take(copied)), "{copy:?}");
            store.vm.stack_limit += 1;
            // SAFETY: as above.
            assert!(!unsafe { store.replace_frame(fp, artifact::ReplacedFrame { len, own_len }) });
        }
    }
}
