//! The address space of one heap, with the tables beside it; and the regions of an engine that wait for their next heap.

use super::corrupted;
use ampoule_machine::arch::prefetch::prefetch;
use ampoule_machine::os::mmap::{Access, Mapping, PAGE};
use ampoule_machine::os::sync::Mutex;
use std::io;
use std::ops::Range;
use std::ptr::NonNull;

/// The first offset of the heap that is ever mapped: what lies below faults, so null leads nowhere.
pub(super) const NURSERY_START: u32 = 64 << 10;
/// Bytes of the nursery at most.
pub(super) const NURSERY_MOST: u32 = 32 << 20;
/// Where the old space begins. References below lead to young objects.
pub(super) const OLD_START: u32 = NURSERY_START + NURSERY_MOST;
/// Where the heap ends at most: what is below 4 GiB in whole blocks, so that every end is a `u32`.
pub(super) const MOST_END: u32 = u32::MAX - super::old::BLOCK + 1;

/// log2 of the bytes of a card.
pub(super) const CARD_LOG2: u32 = 9;
/// Cards of 4 GiB.
const CARDS: usize = 1 << (32 - CARD_LOG2);
/// Words of 64 bits, one bit for each 8 bytes of 4 GiB. One word describes one card.
const START_WORDS: usize = 1 << (32 - 9);
/// Bytes of one table of starts.
const STARTS: usize = START_WORDS * size_of::<u64>();
/// Bytes of all tables, before the heap.
const TABLES: usize = 2 * STARTS + CARDS;
/// Behind the heap: more than the offset of any field.
const GUARD: usize = 1 << 20;

/// From here on memory is asked for in huge pages: a heap that has come so far touches most of them, and marking at random places mostly waits
/// for addresses to be translated.
const HUGE_FROM: u32 = OLD_START + (8 << 20);

/// Of what a heap has written, so much is overwritten for the next; the rest is given back to the system. For each part.
const KEPT: usize = 256 << 10;

/// The bytes of a heap:
///
/// ```text
/// base - 136 MiB                         base - 8 MiB   base             + 64 KiB            + end          + 4 GiB
///  | starts of objects: two tables         | cards        | always faults  | read and written | faults        | guard
/// ```
///
/// 1. `mapping` is all of the above, and belongs to nobody else. The tables are readable and writable.
/// 2. `NURSERY_START..end`, offsets from `base`, is readable and writable. `end` never falls.
/// 3. Bytes of the heap and cards are lent to nobody but machine code, which does not run while anything of this module does.
/// 4. `old_written` and `nursery_written` are upper bounds of what was ever written since the region was clean: everything else is zeros,
///    in the tables too.
#[derive(Debug)]
pub(crate) struct Region {
    mapping: Mapping,
    base: NonNull<u8>,
    end: u32,
    /// Which table of starts is in force: the other one is for the next collection.
    current: usize,
    pub(super) nursery_written: u32,
    pub(super) old_written: u32,
}

// SAFETY: the pointer is into the mapping, which belongs to no thread.
unsafe impl Send for Region {}
// SAFETY: as above; what `&Region` allows only reads.
unsafe impl Sync for Region {}

impl Region {
    /// A region of which only the nursery is accessible.
    pub(super) fn new() -> io::Result<Self> {
        let mapping = Mapping::reserve(TABLES + (1 << 32) + GUARD)?;
        let heap = TABLES + NURSERY_START as usize..TABLES + OLD_START as usize;
        // SAFETY: nobody has seen the mapping yet.
        unsafe {
            mapping.protect(0..TABLES, Access::ReadWrite)?;
            mapping.protect(heap, Access::ReadWrite)?;
        }
        let base = NonNull::new(mapping.base().wrapping_add(TABLES)).expect("the heap is inside of the mapping");
        let (nursery_written, old_written) = (NURSERY_START, OLD_START);
        Ok(Self { mapping, base, end: OLD_START, current: 0, nursery_written, old_written })
    }

    /// What references count from.
    pub(super) fn base(&self) -> *mut u8 {
        self.base.as_ptr()
    }

    /// Where accessible bytes end.
    pub(super) fn end(&self) -> u32 {
        self.end
    }

    /// Bytes of address space.
    pub(super) fn reserved_len(&self) -> usize {
        self.mapping.len()
    }

    /// Makes bytes up to `end` accessible, a multiple of a block.
    pub(super) fn commit(&mut self, end: u32) -> io::Result<()> {
        assert!(end <= MOST_END && end.is_multiple_of(PAGE as u32));
        if end > self.end {
            // SAFETY: nobody has references to bytes that were not accessible.
            unsafe { self.mapping.protect(self.in_mapping(self.end..end), Access::ReadWrite)? };
            if end >= HUGE_FROM {
                self.mapping.prefer_huge_pages(self.in_mapping(self.end.max(HUGE_FROM)..end));
            }
            self.end = end;
        }
        Ok(())
    }

    /// Lets the system give memory to a range of pages that is about to be written, at once instead of page by page.
    pub(super) fn populate(&self, range: Range<u32>) {
        debug_assert!(range.end <= self.end);
        // Where that fails, pages come one by one.
        let _ = self.mapping.populate(self.in_mapping(range));
    }

    /// Gives the memory of a range of pages back, which reads as zeros from then on.
    pub(super) fn discard(&mut self, range: Range<u32>) {
        debug_assert!(range.start >= NURSERY_START && range.end <= self.end);
        // SAFETY: nobody has references into the heap (3). Where it fails nothing was given back.
        let _ = unsafe { self.mapping.reset(self.in_mapping(range)) };
    }

    /// Gives the memory back of what of an empty nursery lies behind `end`, a multiple of a page.
    pub(super) fn discard_nursery(&mut self, end: u32) {
        if end < self.nursery_written {
            self.discard(end..OLD_START);
            self.nursery_written = end;
        }
    }

    fn in_mapping(&self, range: Range<u32>) -> Range<usize> {
        TABLES + range.start as usize..TABLES + range.end as usize
    }

    /// Whether an offset is that of `len` accessible bytes.
    #[inline(always)]
    fn holds(&self, at: u32, len: u32) -> bool {
        let past_start = at.wrapping_sub(NURSERY_START);
        // No overflow: `end` is above `NURSERY_START`, and lengths are at most that.
        past_start as u64 + len as u64 <= (self.end - NURSERY_START) as u64
    }

    /// The word at an offset.
    #[inline(always)]
    pub(super) fn read(&self, at: u32) -> u32 {
        if !self.holds(at, 4) {
            corrupted("a reference leads out of the heap", at);
        }
        // SAFETY: accessible (2), and every access of the collector is to a multiple of 4.
        unsafe { self.base.add(at as usize).cast::<u32>().read_unaligned() }
    }

    /// Writes the word at an offset.
    #[inline(always)]
    pub(super) fn write(&mut self, at: u32, word: u32) {
        if !self.holds(at, 4) {
            corrupted("a reference leads out of the heap", at);
        }
        // SAFETY: accessible (2), and lent to nobody (3).
        unsafe { self.base.add(at as usize).cast::<u32>().write_unaligned(word) }
    }

    /// Copies `len` bytes, a multiple of 8, to where nothing of them is.
    #[inline(always)]
    pub(super) fn copy(&mut self, from: u32, to: u32, len: u32) {
        if !self.holds(from, len) || !self.holds(to, len) || from.abs_diff(to) < len {
            corrupted("an object leads out of the heap", from);
        }
        // SAFETY: both are accessible (2), lent to nobody (3), and apart.
        unsafe {
            let (from, to) = (self.base.add(from as usize), self.base.add(to as usize));
            if len <= 64 {
                for at in (0..len as usize).step_by(8) {
                    to.add(at).cast::<u64>().write_unaligned(from.add(at).cast::<u64>().read_unaligned());
                }
            } else {
                from.copy_to_nonoverlapping(to, len as usize);
            }
        }
    }

    /// The bytes at an offset; `None` where not all of them are accessible.
    pub(super) fn bytes(&self, at: u32, len: u32) -> Option<&[u8]> {
        // SAFETY: accessible (2), and nothing writes them while `self` is borrowed (3).
        self.holds(at, len)
            .then(|| unsafe { std::slice::from_raw_parts(self.base.add(at as usize).as_ptr(), len as usize) })
    }

    /// As [`Region::bytes`], to change them.
    pub(super) fn bytes_mut(&mut self, at: u32, len: u32) -> Option<&mut [u8]> {
        // SAFETY: accessible (2), and lent to nobody else while `self` is borrowed (3).
        self.holds(at, len)
            .then(|| unsafe { std::slice::from_raw_parts_mut(self.base.add(at as usize).as_ptr(), len as usize) })
    }

    /// Begins to load what lies at an offset.
    #[inline(always)]
    pub(super) fn prefetch(&self, at: u32) {
        prefetch(self.base().wrapping_add(at as usize));
    }

    /// Begins to load the bit of an object in the table of the next collection.
    #[inline(always)]
    pub(super) fn prefetch_mark(&self, at: u32) {
        prefetch(self.mapping.base().wrapping_add((1 - self.current) * STARTS + (at >> 6) as usize));
    }

    /// The bytes that machine code sets to 1 where it stores a reference, one for each card.
    pub(super) fn cards(&mut self) -> &mut [u8; CARDS] {
        // SAFETY: before the heap (1), and machine code does not run (3).
        unsafe { self.base.sub(CARDS).cast().as_mut() }
    }

    /// Where objects of the old space start, as far as the last collection and what was made since tell.
    pub(super) fn starts(&mut self) -> &mut [u64; START_WORDS] {
        self.table(self.current)
    }

    /// The bits of [`Region::starts`] for the 512 bytes that an offset is in.
    pub(super) fn start_bits(&self, at: u32) -> u64 {
        // SAFETY: as for `table`, which nobody has borrowed while `self` is shared.
        let starts = unsafe { &*self.mapping.base().add(self.current * STARTS).cast::<[u64; START_WORDS]>() };
        starts[(at >> 9) as usize]
    }

    /// The table that the next collection marks in. It becomes the one in force by [`Region::swap_starts`].
    pub(super) fn marks(&mut self) -> &mut [u64; START_WORDS] {
        self.table(1 - self.current)
    }

    fn table(&mut self, which: usize) -> &mut [u64; START_WORDS] {
        debug_assert!(which < 2);
        // SAFETY: at the beginning of the mapping (1), and borrowed from `self`.
        unsafe { &mut *self.mapping.base().add(which * STARTS).cast() }
    }

    /// Makes the marks the starts in force.
    pub(super) fn swap_starts(&mut self) {
        self.current = 1 - self.current;
    }

    /// Makes everything as it was when the region was new, but for what is accessible.
    fn clean(&mut self) -> io::Result<()> {
        let (old, nursery) = (self.old_written as usize, self.nursery_written as usize);
        // The tables describe what lies before `old_written`.
        let written = [
            0..old / 64,
            STARTS..STARTS + old / 64,
            2 * STARTS..2 * STARTS + old / (1 << CARD_LOG2),
            TABLES + NURSERY_START as usize..TABLES + nursery,
            TABLES + OLD_START as usize..TABLES + old,
        ];
        for range in written {
            let kept = range.start..range.end.min(range.start + KEPT);
            // SAFETY: readable and writable by (1) and (2), and the owner is gone.
            unsafe { self.mapping.base().add(kept.start).write_bytes(0, kept.len()) };
            if kept.end < range.end {
                let end = range.end.next_multiple_of(PAGE);
                // SAFETY: as above. What follows up to the end of the page is zeros, or zeroed too.
                unsafe { self.mapping.reset(kept.end..end)? };
            }
        }
        (self.nursery_written, self.old_written, self.current) = (NURSERY_START, OLD_START, 0);
        Ok(())
    }
}

/// Regions that wait for their next heap. A region is clean before anybody else can come by it: docs/security.md, rule 11.
#[derive(Debug, Default)]
pub(crate) struct RegionCache(Mutex<Vec<Region>>);

/// Regions that are kept at most. Each keeps up to a few times [`KEPT`] of memory.
const CACHED_REGIONS: usize = 64;

impl RegionCache {
    /// A clean region.
    ///
    /// # Errors
    /// Where the system has no address space.
    pub(crate) fn take(&self) -> io::Result<Region> {
        let kept = self.0.lock().pop();
        kept.map_or_else(Region::new, Ok)
    }

    /// Takes a region whose heap is gone.
    pub(crate) fn give_back(&self, mut region: Region) {
        if region.clean().is_ok() {
            let mut kept = self.0.lock();
            if kept.len() < CACHED_REGIONS {
                kept.push(region);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_comes_back_clean() {
        let cache = RegionCache::default();
        let mut region = cache.take().unwrap();
        let base = region.base();
        region.commit(OLD_START + (4 << 20)).unwrap();
        let ends = [(NURSERY_START, OLD_START), (OLD_START, OLD_START + (2 << 20))];
        for (start, end) in ends {
            region.bytes_mut(start, end - start).unwrap().fill(7);
        }
        region.starts()[..(OLD_START + (2 << 20)) as usize / 512].fill(7);
        region.marks()[..(OLD_START + (2 << 20)) as usize / 512].fill(7);
        region.cards()[..(OLD_START + (2 << 20)) as usize / 512].fill(7);
        (region.nursery_written, region.old_written) = (OLD_START, OLD_START + (2 << 20));
        cache.give_back(region);
        let mut region = cache.take().unwrap();
        assert_eq!(region.base(), base);
        assert!(region.bytes(NURSERY_START, region.end() - NURSERY_START).unwrap().iter().all(|&byte| byte == 0));
        assert!(region.starts()[..100_000].iter().all(|&word| word == 0));
        assert!(region.marks()[..100_000].iter().all(|&word| word == 0));
        assert!(region.cards()[..100_000].iter().all(|&byte| byte == 0));
    }

    #[test]
    fn offsets_outside_of_it_are_known() {
        let mut region = Region::new().unwrap();
        region.commit(OLD_START + (64 << 10)).unwrap();
        let end = region.end();
        for (at, len, inside) in [
            (0, 4, false),
            (NURSERY_START - 1, 4, false),
            (NURSERY_START, 4, true),
            (end - 4, 4, true),
            (end - 3, 4, false),
            (end, 0, true),
            (u32::MAX - 3, 4, false),
            (NURSERY_START, u32::MAX, false),
        ] {
            assert_eq!(region.bytes(at, len).is_some(), inside, "{at:#x} {len}");
        }
        assert_eq!(region.read(end - 4), 0);
    }
}
