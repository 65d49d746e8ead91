//! The heap of a store: structs, arrays, exceptions and values of the host that guests refer to, and the collector that frees them.
//!
//! A reference is an offset from the heap's base ([`region`]). Objects begin in the nursery, a range in which machine code allocates by adding
//! to an offset. When it is full a [minor] collection moves those that something refers to into the [old space][old]; once that has
//! doubled, a major one [marks](mark) what is reachable there, and the rest is free again. Objects of the old space never move.
//!
//! What is not here: where references to objects are. Their owner, a store, knows ([`Owner`]). Nothing here knows stores or values.
//!
//! Invariants, cited below:
//!
//! 1. A collection happens in [`Heap::allocate`], [`Heap::allocate_all`] and [`Heap::collect`] only. What was allocated before is completely initialised then, and every
//!    reference to a young object is where the owner, or a written card, tells.
//! 2. The nursery is dense: from its start to `Bump::top` lies one object behind another.
//! 3. As many blocks of the old space are free as all of the nursery can fill ([`reserve_blocks`]), so that a minor collection never fails.
//!
//! Whatever a guest writes into its objects can't lead the collector out of the region: each access is checked. Where the heap
//! turns out to be damaged the process ends ([`corrupted`]).

#![cfg_attr(not(test), allow(dead_code))] // For the instructions that make and use objects.

mod access;
pub(crate) mod graph;
mod hosts;
mod mark;
mod minor;
mod object;
mod old;
pub(crate) mod region;
mod search;
#[cfg(test)]
mod tests;
mod verify;

use ampoule_core::object_layout::{ARRAY_ELEMENTS, HOST_POSITION, HOST_SIZE};
use ampoule_core::vm::VmType;
use ampoule_core::vm::types::TypeWord;
use hosts::Hosts;
use mark::{MarkLists, Marker};
use minor::Minor;
use object::Types;
use old::{BLOCK, LARGE, MOST_BLOCKS, Old};
use region::{NURSERY_MOST, NURSERY_START, OLD_START, Region};
use std::time::{Duration, Instant};

/// Bytes that a heap has from the start: a page of WebAssembly, the unit in which it grows.
pub(crate) const PAGE: u64 = 64 << 10;
/// Bytes of the first nursery.
const FIRST_NURSERY: u32 = PAGE as u32;
/// Bytes to which a nursery grows where there are few roots.
const GROWN_NURSERY: u32 = 1 << 20;
/// Every collection of the nursery looks at all roots, however few of them have changed. So that this takes no longer than to fill the nursery,
/// it has so many bytes for each root, up to [`NURSERY_MOST`]: with `n` roots a guest that allocates `b` bytes has at most
/// `b / NURSERY_MOST * n + b / BYTES_PER_ROOT` looked at.
const BYTES_PER_ROOT: u64 = 16;
/// The smallest one, of a heap that may not grow.
const LEAST_NURSERY: u32 = 8 << 10;
/// A nursery is doubled after so many collections.
const MINORS_OF_A_SIZE: u32 = 8;
/// Below so many bytes of new objects in the old space no major collection happens without being asked for.
const LEAST_BETWEEN_MAJORS: u64 = 4 << 20;
/// Bytes that a heap asks for beyond what it needs, at least and at most.
const GROWTH: (u64, u64) = (256 << 10, 4 << 20);
/// What freed bytes are filled with under stress: no reference, and no type word.
const FREED: u8 = 0x70;

/// Who owns a heap, and knows what refers to its objects.
///
/// # Safety
/// Slots that are visited are valid, aligned, used by nobody else meanwhile, and hold references of the heap. `visit_all` visits every reference
/// that is not in an object itself; `visit_young` those that may lead to an object made since the last collection. A slot may be visited twice.
pub(crate) unsafe trait Owner {
    /// Visits the references that may lead to young objects. What `visit` writes there replaces them. Answers how much there was to look
    /// through that is the same at every collection: in references, to which the owner compares the rest.
    fn visit_young(&mut self, visit: &mut dyn FnMut(*mut u32)) -> u64;

    /// Visits all references.
    fn visit_all(&mut self, visit: &mut dyn FnMut(*mut u32));

    /// Whether the heap may grow from one size to another, in bytes.
    ///
    /// # Errors
    /// Where the guest is to be stopped.
    fn allow_growth(&mut self, from: u64, to: u64) -> Result<bool, Interrupted>;

    /// Whether a major collection is to be given up. Asked often.
    fn is_interrupted(&mut self) -> bool;
}

/// The owner did not let a collection finish, or stopped the guest otherwise.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Interrupted;

/// Why there is no room for an object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum AllocationError {
    /// Everything unreachable is gone, and the heap may not grow as far as it would have to.
    OutOfMemory,
    /// See [`Interrupted`].
    Interrupted,
}

impl From<Interrupted> for AllocationError {
    fn from(_: Interrupted) -> Self {
        AllocationError::Interrupted
    }
}

/// How machine code allocates: `VmStoreContext::heap_top` and `heap_limit`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Bump {
    /// Where the next object begins.
    pub(crate) top: u32,
    /// Where the nursery ends, for machine code.
    pub(crate) limit: u32,
}

impl Bump {
    /// Of an empty nursery without room.
    pub(crate) const EMPTY: Bump = Bump { top: NURSERY_START, limit: NURSERY_START };
}

/// How much is collected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// Young objects.
    Minor,
    /// All.
    Major,
}

/// Numbers of a heap.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct HeapStatistics {
    /// Address space, with tables and guard.
    pub(crate) reserved_bytes: u64,
    /// Bytes for objects, as the owner has allowed them.
    pub(crate) size_bytes: u64,
    /// Bytes of objects that the last major collection found to be in use.
    pub(crate) live_bytes: u64,
    /// Bytes of all objects that were made, but those that are in the nursery.
    pub(crate) allocated_bytes: u64,
    /// Collections of either kind that were finished.
    pub(crate) minor_collections: u64,
    pub(crate) major_collections: u64,
    /// How long all took.
    pub(crate) collecting: Duration,
    /// How long the longest took.
    pub(crate) longest: Duration,
}

/// The objects of one store.
#[derive(Debug)]
pub(crate) struct Heap {
    region: Region,
    types: Types,
    old: Old,
    hosts: Hosts,
    /// Bytes of the nursery at present.
    nursery: u32,
    /// What it is to have after the next collection, without regard to roots.
    wanted_nursery: u32,
    /// Roots that the last collection looked at.
    roots: u64,
    /// Collections since that was changed.
    minors_of_a_size: u32,
    /// Bytes that the owner has allowed.
    size: u64,
    /// Whether gaps between objects are filled, since there are not enough free lines.
    is_tight: bool,
    /// A major collection happens when the old space has got so many bytes.
    next_major: u64,
    pending: Vec<u32>,
    mark_lists: MarkLists,
    stress: Option<Stress>,
    statistics: HeapStatistics,
}

/// Every allocation collects.
#[derive(Debug)]
struct Stress {
    next: Kind,
}

impl Heap {
    /// An empty heap of [`PAGE`] bytes, which the owner has allowed.
    ///
    /// # Errors
    /// Where the system has no memory.
    ///
    /// # Safety
    /// `types` leads to the records of all types that objects will have, [`TypeWord::TABLE_BYTES`] that are readable as long as the heap
    /// exists. They keep to `ampoule_core::object_layout`.
    pub(crate) unsafe fn new(mut region: Region, types: *const VmType, stress: bool) -> std::io::Result<Self> {
        let mut old = Old::default();
        let blocks = reserve_blocks(FIRST_NURSERY);
        region.commit(OLD_START + blocks * BLOCK)?;
        old.add_blocks(blocks);
        Ok(Self {
            region,
            // SAFETY: by the caller.
            types: unsafe { Types::new(types) },
            old,
            hosts: Hosts::default(),
            nursery: 0,
            wanted_nursery: FIRST_NURSERY,
            roots: 0,
            minors_of_a_size: 0,
            size: PAGE,
            is_tight: false,
            next_major: LEAST_BETWEEN_MAJORS,
            pending: Vec::new(),
            mark_lists: MarkLists::default(),
            stress: stress.then_some(Stress { next: Kind::Minor }),
            statistics: HeapStatistics::default(),
        })
    }

    /// The region, for the next heap.
    pub(crate) fn into_region(self) -> Region {
        self.region
    }

    /// What references count from.
    pub(crate) fn base(&self) -> *mut u8 {
        self.region.base()
    }

    /// The numbers at this moment.
    pub(crate) fn statistics(&self) -> HeapStatistics {
        let reserved_bytes = self.region.reserved_len() as u64;
        HeapStatistics { reserved_bytes, size_bytes: self.size, ..self.statistics }
    }

    /// Makes an object of `size` bytes, a multiple of 8. Its first word is written; the caller writes the rest before anything else is
    /// allocated. References are stored without a barrier until then.
    ///
    /// # Errors
    /// Where there is no room. Nothing but what was unreachable is gone.
    pub(crate) fn allocate(
        &mut self,
        bump: &mut Bump,
        word: TypeWord,
        size: u64,
        owner: &mut dyn Owner,
    ) -> Result<u32, AllocationError> {
        debug_assert!(size.is_multiple_of(8) && size >= 8);
        let size = u32::try_from(size).map_err(|_| AllocationError::OutOfMemory)?;
        if let Some(stress) = &mut self.stress {
            let other = if stress.next == Kind::Minor { Kind::Major } else { Kind::Minor };
            let kind = std::mem::replace(&mut stress.next, other);
            self.collect(bump, kind, owner)?;
        }
        let at = if size > LARGE {
            self.allocate_large(bump, size, owner)?
        } else {
            self.allocate_young(bump, size, owner)?
        };
        self.region.write(at, word.0);
        if size > LARGE {
            self.touch_cards(at, size, word);
        }
        Ok(at)
    }

    /// Makes a value of the host; `position` is told by [`Heap::take_dead_hosts`] once nothing refers to it.
    ///
    /// # Errors
    /// As [`Heap::allocate`].
    pub(crate) fn allocate_host(
        &mut self,
        bump: &mut Bump,
        position: u32,
        owner: &mut dyn Owner,
    ) -> Result<u32, AllocationError> {
        let at = self.allocate(bump, TypeWord::HOST, HOST_SIZE.into(), owner)?;
        self.region.write(at + HOST_POSITION, position);
        self.hosts.add(at, position);
        Ok(at)
    }

    /// As [`Heap::allocate`], where there is room without a collection.
    #[inline]
    pub(crate) fn allocate_at_once(&mut self, bump: &mut Bump, word: TypeWord, size: u64) -> Option<u32> {
        if size > u64::from(bump.limit - bump.top) || size > u64::from(LARGE) {
            return None;
        }
        let at = bump.top;
        bump.top += size as u32;
        self.region.write(at, word.0);
        Some(at)
    }

    /// The same where there is room without a collection.
    #[inline]
    pub(crate) fn allocate_host_at_once(&mut self, bump: &mut Bump, position: u32) -> Option<u32> {
        let (at, end) = (bump.top, bump.top + HOST_SIZE);
        if end > bump.limit || self.hosts.is_full(self.roots) {
            return None;
        }
        bump.top = end;
        self.region.write(at, TypeWord::HOST.0);
        self.region.write(at + HOST_POSITION, position);
        self.hosts.add(at, position);
        Some(at)
    }

    /// The position of a value of the host; `None` where the reference leads to something else.
    #[inline]
    pub(crate) fn host_position(&self, object: u32) -> Option<u32> {
        (self.type_of(object)? == TypeWord::HOST).then(|| self.region.read(object + HOST_POSITION))
    }

    /// Adds the positions of the host's values that nothing refers to any more. Each is told once.
    pub(crate) fn take_dead_hosts(&mut self, positions: &mut Vec<u32>) {
        self.hosts.take_dead(positions);
    }

    /// Collects what is unreachable.
    ///
    /// # Errors
    /// Where the owner didn't let it finish; young objects that are unreachable are gone then all the same.
    pub(crate) fn collect(&mut self, bump: &mut Bump, kind: Kind, owner: &mut dyn Owner) -> Result<(), Interrupted> {
        self.collect_young(bump, owner);
        if kind == Kind::Major {
            self.collect_old(owner)?;
        }
        match self.make_nursery(bump, 0, owner) {
            Err(AllocationError::Interrupted) => Err(Interrupted),
            // The next allocation fails, unless it finds more that is unreachable.
            Ok(()) | Err(AllocationError::OutOfMemory) => Ok(()),
        }
    }

    fn allocate_young(&mut self, bump: &mut Bump, size: u32, owner: &mut dyn Owner) -> Result<u32, AllocationError> {
        if size > self.nursery_end() - bump.top || self.hosts.is_full(self.roots) {
            self.collect_young(bump, owner);
            if self.old.allocated() >= self.next_major || self.hosts.want_major() {
                self.collect_old(owner)?;
            }
            self.make_nursery(bump, size, owner)?;
        }
        let at = bump.top;
        bump.top += size;
        self.set_limit(bump);
        Ok(at)
    }

    fn nursery_end(&self) -> u32 {
        NURSERY_START + self.nursery
    }

    /// Lets machine code allocate, unless every allocation is to come here.
    fn set_limit(&self, bump: &mut Bump) {
        bump.limit = if self.stress.is_some() { bump.top } else { self.nursery_end() };
    }

    /// Empties the nursery; [`Heap::make_nursery`] makes another one.
    fn collect_young(&mut self, bump: &mut Bump, owner: &mut dyn Owner) {
        let begun = Instant::now();
        self.verify_under_stress(bump, owner);
        let top = std::mem::replace(bump, Bump::EMPTY).top;
        let allocated = self.old.allocated();
        // No more is copied than what free blocks take (3).
        self.roots = Minor::new(&mut self.region, &mut self.old, self.types, top, &mut self.pending).run(owner);
        self.hosts.after_minor(&self.region);
        self.statistics.allocated_bytes += u64::from(top - NURSERY_START);
        self.region.nursery_written = self.region.nursery_written.max(top);
        if self.stress.is_some()
            && let Some(bytes) = self.region.bytes_mut(NURSERY_START, top - NURSERY_START)
        {
            bytes.fill(FREED);
        }
        let survived = self.old.allocated() - allocated;
        self.minors_of_a_size += 1;
        if top - NURSERY_START > self.nursery / 2
            && (survived > u64::from(self.nursery / 8) || self.minors_of_a_size >= MINORS_OF_A_SIZE)
            && self.wanted_nursery < GROWN_NURSERY
        {
            self.wanted_nursery *= 2;
            self.minors_of_a_size = 0;
        }
        self.nursery = 0;
        self.verify_under_stress(bump, owner);
        self.statistics.minor_collections += 1;
        self.took(begun);
    }

    /// Frees what is unreachable in the old space. The nursery is empty.
    fn collect_old(&mut self, owner: &mut dyn Owner) -> Result<(), Interrupted> {
        debug_assert_eq!(self.nursery, 0);
        let begun = Instant::now();
        // Given up midway nothing has changed but the marks, which the next collection clears.
        let live = Marker::new(&mut self.region, &mut self.old, self.types, &mut self.mark_lists).run(owner)?;
        self.region.swap_starts();
        self.old.sweep(&mut self.region, self.stress.is_some().then_some(FREED));
        self.is_tight = false;
        self.hosts.after_major(&mut self.region);
        self.mark_lists.shrink();
        self.next_major = live.max(LEAST_BETWEEN_MAJORS);
        // What is likely to be needed until the next time stays.
        let nursery = GROWN_NURSERY.max(self.nursery_for_roots());
        let kept = self.next_major / u64::from(BLOCK) + u64::from(reserve_blocks(nursery));
        self.old.release(&mut self.region, kept.min(u32::MAX.into()) as u32);
        self.region.discard_nursery(NURSERY_START + nursery);
        self.verify_under_stress(&Bump::EMPTY, owner);
        self.statistics.live_bytes = live;
        self.statistics.major_collections += 1;
        self.took(begun);
        Ok(())
    }

    fn took(&mut self, begun: Instant) {
        let time = begun.elapsed();
        self.statistics.collecting += time;
        self.statistics.longest = self.statistics.longest.max(time);
    }

    /// Makes an empty nursery ready, for an object of `least` bytes at least.
    fn make_nursery(&mut self, bump: &mut Bump, least: u32, owner: &mut dyn Owner) -> Result<(), AllocationError> {
        let wanted = self.wanted_nursery.max(least);
        let larger = self.nursery_for_roots();
        self.nursery = if larger > wanted && self.reserve(larger, 0, owner)? {
            larger
        } else if self.reserve(wanted, 0, owner)? {
            wanted
        } else {
            let some = self.fitting_nursery(wanted, least);
            let changed = self.old.allocated() > 0;
            match some {
                Some(size) if size >= wanted / 4 || !changed => size,
                // References may have been dropped since, so it is tried again for every object.
                _ if changed || least > 0 => {
                    self.collect_old(owner)?;
                    self.fitting_nursery(wanted, least).ok_or(AllocationError::OutOfMemory)?
                }
                _ => return Err(AllocationError::OutOfMemory),
            }
        };
        *bump = Bump::EMPTY;
        self.set_limit(bump);
        Ok(())
    }

    /// The bytes of nursery that make up for the roots.
    fn nursery_for_roots(&self) -> u32 {
        let bytes = self.roots.saturating_mul(BYTES_PER_ROOT).min(NURSERY_MOST.into());
        bytes.next_multiple_of(PAGE) as u32
    }

    /// The largest nursery up to `wanted` bytes that the size allows, and more than that: a heap that is full but for a few bytes would do
    /// nothing but collect.
    fn fitting_nursery(&mut self, wanted: u32, least: u32) -> Option<u32> {
        let slack = self.old.blocks() / 64;
        let least = least.max(LEAST_NURSERY);
        let halves = std::iter::successors(Some(wanted), |size| Some(size / 2)).take_while(|&size| size > least);
        let mut sizes = halves.clone().chain([least]);
        let found = sizes.find(|&size| self.fits(size, slack));
        // Where objects have died here and there, few lines are free after a collection.
        if found.is_some() || self.is_tight || self.old.allocated() > 0 {
            return found;
        }
        self.is_tight = true;
        self.old.fill_gaps();
        halves.chain([least]).find(|&size| self.fits(size, slack))
    }

    fn fits(&mut self, nursery: u32, slack: u32) -> bool {
        self.size_with(nursery, slack) <= self.size && self.free_blocks(reserve_blocks(nursery) + slack)
    }

    /// Sees to it that the heap may have `more` blocks in use, and that they are free, beside what a nursery of `nursery` bytes can fill.
    fn reserve(&mut self, nursery: u32, more: u32, owner: &mut dyn Owner) -> Result<bool, Interrupted> {
        let size = self.size_with(nursery, more);
        if size > self.size {
            // A few more, so that it is not asked all the time.
            let generous = size + (self.size / 8).clamp(GROWTH.0, GROWTH.1).next_multiple_of(PAGE);
            if owner.allow_growth(self.size, generous)? {
                self.size = generous;
            } else if owner.allow_growth(self.size, size)? {
                self.size = size;
            } else {
                return Ok(false);
            }
        }
        Ok(self.free_blocks(reserve_blocks(nursery) + more))
    }

    /// The size of the heap with a nursery of so many bytes, and with `more` blocks in use: what the owner knows. The free blocks that
    /// only wait for a nursery are not counted; the objects in it are. Nor are free lines between objects, and gaps where they are filled, up to
    /// a ninth of the blocks: they take what survives.
    fn size_with(&self, nursery: u32, more: u32) -> u64 {
        let bytes = |blocks: u32| u64::from(blocks) * u64::from(BLOCK);
        let used = match self.is_tight {
            true => self.statistics.live_bytes + self.old.allocated(),
            false => self.old.used_bytes(),
        };
        let used = used + bytes(more) + u64::from(nursery);
        let blocks = bytes(self.old.blocks() - self.old.free_blocks() + more);
        used.max(blocks / 9 * 8).next_multiple_of(PAGE)
    }

    /// Sees to it that so many blocks are free.
    fn free_blocks(&mut self, count: u32) -> bool {
        let missing = count.saturating_sub(self.old.free_blocks());
        missing == 0 || self.add_blocks(missing)
    }

    /// Makes `missing` further blocks accessible, or a few more.
    fn add_blocks(&mut self, missing: u32) -> bool {
        let blocks = self.old.blocks();
        let more = missing.max(blocks / 8).next_multiple_of(8).min(MOST_BLOCKS - blocks);
        let added = more >= missing && self.region.commit(OLD_START + (blocks + more) * BLOCK).is_ok();
        if added {
            self.old.add_blocks(more);
        }
        added
    }

    fn allocate_large(&mut self, bump: &mut Bump, size: u32, owner: &mut dyn Owner) -> Result<u32, AllocationError> {
        if self.old.allocated() > 0 && self.old.allocated() + u64::from(size) > self.next_major {
            self.collect(bump, Kind::Major, owner)?;
        }
        if let Some(at) = self.place_large(size, owner)? {
            return Ok(at);
        }
        self.collect(bump, Kind::Major, owner)?;
        self.place_large(size, owner)?.ok_or(AllocationError::OutOfMemory)
    }

    fn place_large(&mut self, size: u32, owner: &mut dyn Owner) -> Result<Option<u32>, Interrupted> {
        let count = size.div_ceil(BLOCK);
        if count > MOST_BLOCKS || !self.reserve(self.nursery, count, owner)? {
            return Ok(None);
        }
        let run = self.old.find_run(size);
        let run = match run {
            Some(run) => run,
            None if self.add_blocks(count - self.old.free_at_end()) => {
                self.old.find_run(size).expect("as many blocks are free at the end")
            }
            None => return Ok(None),
        };
        self.statistics.allocated_bytes += u64::from(size);
        Ok(Some(self.old.allocate_large(&mut self.region, run, size)))
    }

    /// The references in a new object of the old space are stored without a barrier.
    fn touch_cards(&mut self, at: u32, size: u32, word: TypeWord) {
        if word != TypeWord::HOST && self.types.record(word, at).ref_count > 0 {
            let (first, last) = (at >> region::CARD_LOG2, (at + size - 1) >> region::CARD_LOG2);
            self.region.cards()[first as usize..=last as usize].fill(1);
        }
    }

    fn verify_under_stress(&mut self, bump: &Bump, owner: &mut dyn Owner) {
        if self.stress.is_some()
            && let Err(damage) = self.verify(bump, owner)
        {
            eprintln!("{damage}");
            corrupted("verifying it failed", 0);
        }
    }
}

/// Free blocks that a nursery of so many bytes can fill at most when all of it survives. Objects longer than a line go to blocks of which each
/// but the last holds more than half: what doesn't fit there is longer than the rest. The others fill theirs up to a line.
fn reserve_blocks(nursery: u32) -> u32 {
    nursery.div_ceil(BLOCK / 2) + 2
}

/// An array of `len` elements has at most `u32::MAX` bytes; `None` for one that would have more.
pub(crate) fn array_bytes(len: u32, element_size_log2: u32) -> Option<u64> {
    let size = ampoule_core::object_layout::array_size(len, element_size_log2);
    (size <= u64::from(u32::MAX) - u64::from(ARRAY_ELEMENTS)).then_some(size)
}

/// Ends the process: what the heap consists of is damaged, so nothing of the store can be relied on.
#[cold]
#[inline(never)]
fn corrupted(what: &str, at: u32) -> ! {
    eprintln!("the heap of collected objects is damaged: {what} (at offset {at:#x})");
    std::process::abort()
}
