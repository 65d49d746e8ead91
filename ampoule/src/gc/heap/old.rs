//! The old space: blocks of 32 KiB, each of 128 lines. Objects lie in lines that were free, several to a line; large ones have blocks of their own.
//!
//! A collection marks objects and moves none. A line is free again once no object touches it, a block once all its lines are. Which
//! lines objects touch is told by where they start: a small one, of a line's bytes at most, touches its line and perhaps the next, which
//! counts as touched in any case; those that are longer note their lines when they are marked.
//!
//! Where objects die here and there, few lines are free. A heap that has nothing else left fills the gaps between objects, too.

use super::corrupted;
use super::object::Types;
use super::region::{MOST_END, OLD_START, Region};
use ampoule_core::object_layout::MOST_INLINE;
use std::ops::Range;

/// Bytes of a block.
pub(super) const BLOCK: u32 = 1 << BLOCK_LOG2;
const BLOCK_LOG2: u32 = 15;
const LINE_LOG2: u32 = 8;
/// Bytes of a line.
pub(super) const LINE: u32 = 1 << LINE_LOG2;
/// Lines of a block: bits of a `u128`.
const LINES: u32 = BLOCK / LINE;
const _: () = assert!(LINES == u128::BITS);
/// Longer objects have blocks of their own, and are never in the nursery.
pub(super) const LARGE: u32 = MOST_INLINE;
const _: () = assert!(LARGE <= BLOCK / 2);
/// Blocks there are at most.
pub(super) const MOST_BLOCKS: u32 = (MOST_END - OLD_START) / BLOCK;
/// Memory for blocks is asked for in ranges of at most this many bytes.
const POPULATED_AT_ONCE: u32 = 1 << 20;

/// What is in a block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Block {
    Free,
    /// Objects in lines.
    Lines,
    /// The start of a large object, which has so many blocks.
    Head(u32),
    /// A further block of the large object that starts in that one.
    Tail(u32),
}

/// The old space of a heap. Blocks are counted from [`OLD_START`]; all are accessible.
#[derive(Debug, Default)]
pub(super) struct Old {
    blocks: Vec<Block>,
    /// For each block with lines those that hold objects, or were given out since the last collection.
    used: Vec<u128>,
    /// For each block the lines that objects longer than a line touch, as the collection that runs finds them; afterwards those that it found
    /// to be in use.
    spans: Vec<u128>,
    free: BlockSet,
    /// Free blocks that may hold memory of the system's.
    resident: BlockSet,
    /// Where the next object goes, and where the free lines end.
    bump: Range<u32>,
    /// The same for objects longer than a line that didn't fit there.
    overflow: Range<u32>,
    /// Block and line from which on free lines are looked for.
    next_hole: (u32, u32),
    /// The same for objects longer than a line.
    next_wide_hole: (u32, u32),
    /// From where on gaps between objects are looked for; `None` where they are not to be filled. All are in lines that the last
    /// collection found to be in use, so none of them was given out since.
    next_gap: Option<u32>,
    /// Whether there are gaps to be filled.
    has_gaps: bool,
    /// Lines that hold objects, or were given out since the last collection; those of large objects, too.
    used_lines: u32,
    /// Up to here memory was asked for.
    populated: u32,
    /// Bytes of objects since the last collection.
    allocated: u64,
}

/// A set of blocks.
#[derive(Debug, Default)]
struct BlockSet {
    words: Vec<u64>,
    count: u32,
    /// None of the set is before this one.
    first: u32,
}

impl Old {
    /// Blocks there are.
    pub(super) fn blocks(&self) -> u32 {
        self.blocks.len() as u32
    }

    /// Bytes of the lines that are not free.
    pub(super) fn used_bytes(&self) -> u64 {
        u64::from(self.used_lines) * u64::from(LINE)
    }

    /// Blocks without objects.
    pub(super) fn free_blocks(&self) -> u32 {
        self.free.count
    }

    /// Bytes of objects that were put here since the last collection.
    pub(super) fn allocated(&self) -> u64 {
        self.allocated
    }

    /// Where the blocks end.
    pub(super) fn end(&self) -> u32 {
        start_of(self.blocks())
    }

    /// Adds blocks, which have become accessible.
    pub(super) fn add_blocks(&mut self, count: u32) {
        for _ in 0..count {
            let block = self.blocks();
            self.blocks.push(Block::Free);
            self.used.push(0);
            self.spans.push(0);
            self.free.insert(block);
        }
    }

    /// A place for an object that has survived. There is one: the nursery is never larger than what the free blocks take.
    #[inline]
    pub(super) fn allocate(&mut self, region: &mut Region, types: Types, size: u32) -> u32 {
        let at = if size <= self.bump.end - self.bump.start {
            self.bump.start += size;
            self.bump.start - size
        } else {
            self.allocate_slowly(region, types, size)
        };
        self.allocated += u64::from(size);
        region.starts()[(at >> 9) as usize] |= bit(at);
        at
    }

    #[cold]
    fn allocate_slowly(&mut self, region: &mut Region, types: Types, size: u32) -> u32 {
        if size > LARGE {
            corrupted("a long object is in the nursery", size);
        }
        if size > LINE {
            if size > self.overflow.end - self.overflow.start {
                self.overflow = match self.take_wide_hole(size.div_ceil(LINE)) {
                    Some(hole) => hole,
                    None => self.take_block(region),
                };
            }
            self.overflow.start += size;
            return self.overflow.start - size;
        }
        let place = self.take_hole().or_else(|| self.take_gap(region, types, size));
        self.bump = place.unwrap_or_else(|| self.take_block(region));
        self.bump.start += size;
        self.bump.start - size
    }

    /// The next free lines of a block with others.
    fn take_hole(&mut self) -> Option<Range<u32>> {
        let (mut block, mut line) = self.next_hole;
        while block < self.blocks() {
            let used = self.used[block as usize];
            if line < LINES && self.blocks[block as usize] == Block::Lines {
                let free = !used & (u128::MAX << line);
                if free != 0 {
                    let (hole, end) = self.take_lines(block, first_hole(free));
                    self.next_hole = (block, end);
                    return Some(hole);
                }
            }
            (block, line) = (block + 1, 0);
        }
        self.next_hole = (block, 0);
        None
    }

    /// So many free lines beside each other, or more, in a block with others. Holes that are passed by are left to small objects.
    fn take_wide_hole(&mut self, least: u32) -> Option<Range<u32>> {
        let (mut block, mut line) = self.next_wide_hole;
        while block < self.blocks() {
            let free = match self.blocks[block as usize] {
                Block::Lines if line < LINES => !self.used[block as usize] & (u128::MAX << line),
                _ => 0,
            };
            if free == 0 {
                (block, line) = (block + 1, 0);
                continue;
            }
            let hole = first_hole(free);
            line = hole.end;
            if hole.len() as u32 >= least {
                self.next_wide_hole = (block, line);
                return Some(self.take_lines(block, hole).0);
            }
        }
        self.next_wide_hole = (block, 0);
        None
    }

    /// Takes these lines of a block: the offsets, and the line behind them.
    fn take_lines(&mut self, block: u32, hole: Range<u32>) -> (Range<u32>, u32) {
        self.used[block as usize] |= lines(hole.clone());
        self.used_lines += hole.len() as u32;
        let start = start_of(block);
        (start + hole.start * LINE..start + hole.end * LINE, hole.end)
    }

    /// Has gaps between objects filled before another block is taken, until the next collection.
    pub(super) fn fill_gaps(&mut self) {
        if self.has_gaps && self.next_gap.is_none() {
            self.next_gap = Some(OLD_START);
        }
    }

    /// The next gap between objects, of so many bytes at least. Smaller ones are passed by.
    fn take_gap(&mut self, region: &mut Region, types: Types, least: u32) -> Option<Range<u32>> {
        let mut at = self.next_gap?;
        while at < self.end() {
            let block = block_of(at);
            let in_use = if self.blocks[block as usize] == Block::Lines { self.spans[block as usize] } else { 0 };
            let line = (at - start_of(block)) >> LINE_LOG2;
            let rest = in_use >> line;
            if rest & 1 == 0 {
                // Objects neither begin before a line that is in use and end in it, nor leave their block.
                at = start_of(block) + (line + rest.trailing_zeros()).min(LINES) * LINE;
                continue;
            }
            if region.starts()[(at >> 9) as usize] & bit(at) != 0 {
                at += types.object(region, at).size;
                continue;
            }
            let lines_end = start_of(block) + (line + (!rest).trailing_zeros()).min(LINES) * LINE;
            let end = next_start(region, at, lines_end);
            if end - at >= least {
                self.next_gap = Some(end);
                return Some(at..end);
            }
            at = end;
        }
        self.next_gap = Some(at);
        None
    }

    /// A free block for objects in lines.
    fn take_block(&mut self, region: &mut Region) -> Range<u32> {
        let block = self.free.first().expect("as many blocks are free as the nursery can fill");
        self.take(region, block, Block::Lines);
        self.used[block as usize] = u128::MAX;
        let (start, end) = (start_of(block), start_of(block + 1));
        if end > self.populated.max(OLD_START) {
            // To be given memory page by page costs several times as much.
            let more = ((start - OLD_START) / 8).clamp(BLOCK, POPULATED_AT_ONCE).next_multiple_of(BLOCK);
            self.populated = (start + more).min(self.end());
            region.populate(start..self.populated);
        }
        start..end
    }

    fn take(&mut self, region: &mut Region, block: u32, state: Block) {
        debug_assert_eq!(self.blocks[block as usize], Block::Free);
        self.blocks[block as usize] = state;
        self.free.remove(block);
        self.resident.remove(block);
        self.used_lines += LINES;
        region.old_written = region.old_written.max(start_of(block + 1));
    }

    /// Free blocks beside each other that `size` bytes fit in; `None` where there are none.
    pub(super) fn find_run(&self, size: u32) -> Option<u32> {
        self.free.run(size.div_ceil(BLOCK), self.blocks())
    }

    /// Free blocks behind all that hold objects.
    pub(super) fn free_at_end(&self) -> u32 {
        self.blocks.iter().rev().take_while(|block| **block == Block::Free).count() as u32
    }

    /// Puts a large object into blocks that [`Old::find_run`] has found.
    pub(super) fn allocate_large(&mut self, region: &mut Region, head: u32, size: u32) -> u32 {
        let count = size.div_ceil(BLOCK);
        for block in head..head + count {
            self.take(region, block, if block == head { Block::Head(count) } else { Block::Tail(head) });
        }
        let at = start_of(head);
        self.allocated += u64::from(count * BLOCK);
        region.starts()[(at >> 9) as usize] |= bit(at);
        at
    }

    /// The last object that starts before `at` in the same block, or the large one that the block belongs to.
    pub(super) fn object_before(&self, region: &mut Region, at: u32) -> Option<u32> {
        let block = block_of(at);
        match *self.blocks.get(block as usize)? {
            Block::Free => None,
            Block::Head(_) => Some(start_of(block)),
            Block::Tail(head) => Some(start_of(head)),
            Block::Lines => {
                let starts = region.starts();
                let words = (start_of(block) >> 9) as usize..(at >> 9) as usize;
                let word = words.rev().find(|&word| starts[word] != 0)?;
                Some(((word as u32) << 9) + (starts[word].ilog2() << 3))
            }
        }
    }

    /// Forgets what an abandoned collection has noted.
    pub(super) fn begin_marking(&mut self) {
        (self.next_gap, self.has_gaps) = (None, false);
        self.spans.fill(0);
    }

    /// Notes the lines of a marked object that is longer than one.
    pub(super) fn mark_span(&mut self, at: u32, size: u32) {
        let block = block_of(at);
        if self.blocks[block as usize] == Block::Lines {
            let first = (at - start_of(block)) >> LINE_LOG2;
            let last = (at + size - 1 - start_of(block)) >> LINE_LOG2;
            self.spans[block as usize] |= lines(first..last.min(LINES - 1) + 1);
        }
    }

    /// Whether a marked object can be at this offset, as far as that is known without looking at it.
    #[inline]
    pub(super) fn may_hold(&self, at: u32) -> bool {
        at >= OLD_START && at < self.end() && at.is_multiple_of(8)
    }

    /// Frees whatever holds no object that was marked. The marks have become the starts. Where `fill` is given, freed bytes get it.
    pub(super) fn sweep(&mut self, region: &mut Region, fill: Option<u8>) {
        (self.bump, self.overflow, self.allocated) = (0..0, 0..0, 0);
        (self.next_hole, self.next_wide_hole, self.used_lines) = ((0, 0), (0, 0), 0);
        self.has_gaps = true;
        for block in 0..self.blocks() {
            let index = block as usize;
            match self.blocks[index] {
                Block::Free | Block::Tail(_) => {}
                Block::Head(count) => {
                    let at = start_of(block);
                    self.used_lines += count * LINES;
                    if region.starts()[(at >> 9) as usize] & bit(at) == 0 {
                        (block..block + count).for_each(|block| self.free_block(block));
                        self.used_lines -= count * LINES;
                        fill_bytes(region, at, count * BLOCK, fill);
                    }
                }
                Block::Lines => {
                    let starts = start_lines(region, block);
                    if starts == 0 {
                        self.free_block(block);
                        fill_bytes(region, start_of(block), BLOCK, fill);
                        continue;
                    }
                    self.used[index] = starts | starts << 1 | self.spans[index];
                    self.used_lines += self.used[index].count_ones();
                    self.spans[index] = self.used[index];
                    if fill.is_some() {
                        for line in (0..LINES).filter(|&line| self.used[index] & 1 << line == 0) {
                            fill_bytes(region, start_of(block) + line * LINE, LINE, fill);
                        }
                    }
                }
            }
        }
    }

    fn free_block(&mut self, block: u32) {
        self.blocks[block as usize] = Block::Free;
        self.used[block as usize] = 0;
        self.free.insert(block);
        self.resident.insert(block);
    }

    /// Gives the memory of free blocks back to the system, but for as many as given.
    pub(super) fn release(&mut self, region: &mut Region, kept: u32) {
        let mut block = self.blocks();
        while self.resident.count > kept && block > 0 {
            // The last blocks are used last.
            let end = block;
            while block > 0 && self.resident.contains(block - 1) && self.resident.count > kept {
                block -= 1;
                self.resident.remove(block);
            }
            if block < end {
                region.discard(start_of(block)..start_of(end));
            } else {
                block -= 1;
            }
        }
    }

    /// Whether the block at an offset holds objects.
    pub(super) fn is_used(&self, at: u32) -> bool {
        self.blocks.get(block_of(at) as usize).is_some_and(|block| *block != Block::Free)
    }

    /// Whether the object at an offset is a large one; its blocks belong to it alone.
    pub(super) fn is_large(&self, at: u32) -> bool {
        matches!(self.blocks.get(block_of(at) as usize), Some(Block::Head(_)))
    }
}

impl BlockSet {
    fn insert(&mut self, block: u32) {
        let word = block as usize / 64;
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        debug_assert!(!self.contains(block));
        self.words[word] |= 1 << (block % 64);
        self.count += 1;
        self.first = self.first.min(block);
    }

    fn contains(&self, block: u32) -> bool {
        self.words.get(block as usize / 64).is_some_and(|word| word & 1 << (block % 64) != 0)
    }

    fn remove(&mut self, block: u32) {
        if self.contains(block) {
            self.words[block as usize / 64] &= !(1 << (block % 64));
            self.count -= 1;
        }
    }

    fn first(&mut self) -> Option<u32> {
        let from = self.first as usize / 64;
        let word = (from..self.words.len()).find(|&word| self.words[word] != 0)?;
        self.first = word as u32 * 64 + self.words[word].trailing_zeros();
        Some(self.first)
    }

    /// The first of `count` of the set beside each other, all below `end`.
    fn run(&self, count: u32, end: u32) -> Option<u32> {
        if count > self.count {
            return None;
        }
        let (mut start, mut len) = (0, 0);
        let mut block = self.first;
        while block < end {
            if block.is_multiple_of(64) && self.words.get(block as usize / 64).is_none_or(|&word| word == 0) {
                (block, len) = (block + 64, 0);
                continue;
            }
            if self.contains(block) {
                if len == 0 {
                    start = block;
                }
                len += 1;
                if len == count {
                    return Some(start);
                }
            } else {
                len = 0;
            }
            block += 1;
        }
        None
    }
}

/// The bit of an object in the word of its card.
#[inline(always)]
pub(super) fn bit(at: u32) -> u64 {
    1 << ((at >> 3) & 63)
}

fn start_of(block: u32) -> u32 {
    OLD_START + (block << BLOCK_LOG2)
}

fn block_of(at: u32) -> u32 {
    (at - OLD_START) >> BLOCK_LOG2
}

/// The bits of lines, of which there is at least one.
fn lines(range: Range<u32>) -> u128 {
    u128::MAX >> (LINES - range.len() as u32) << range.start
}

/// The first lines beside each other among the free ones of a block, of which there are some.
fn first_hole(free: u128) -> Range<u32> {
    let start = free.trailing_zeros();
    start..start + (!(free >> start)).trailing_zeros().min(LINES - start)
}

/// Where the first object from an offset on starts, or `end`.
fn next_start(region: &mut Region, from: u32, end: u32) -> u32 {
    let starts = region.starts();
    let mut at = from;
    while at < end {
        let rest = starts[(at >> 9) as usize] & (u64::MAX << ((at >> 3) & 63));
        if rest != 0 {
            return end.min((at & !511) + (rest.trailing_zeros() << 3));
        }
        at = (at & !511) + 512;
    }
    end
}

/// The lines of a block in which objects start.
fn start_lines(region: &mut Region, block: u32) -> u128 {
    let first = (start_of(block) >> 9) as usize;
    let words = &region.starts()[first..first + (BLOCK >> 9) as usize];
    let mut lines = 0;
    for (index, &word) in words.iter().enumerate().filter(|(_, word)| **word != 0) {
        let both = u128::from(word as u32 != 0) | u128::from(word >> 32 != 0) << 1;
        lines |= both << (2 * index);
    }
    lines
}

fn fill_bytes(region: &mut Region, at: u32, len: u32, fill: Option<u8>) {
    if let Some(fill) = fill
        && let Some(bytes) = region.bytes_mut(at, len)
    {
        bytes.fill(fill);
    }
}
