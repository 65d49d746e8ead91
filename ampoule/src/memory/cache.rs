//! Address space of dropped memories, kept for the next ones: in the steady state no memory costs an `mmap`.
//!
//! A space enters the cache clean: every byte of it reads as it would in a new reservation, or as in the image that is
//! mapped in it. Bytes of a former owner are gone before anybody else can come by the space (docs/security.md, rule 11).
//!
//! An engine with a pool has one more of these, behind which is [`crate::engine::pool::memories`].

use crate::memory::image::{ImagePolicy, KEPT_BYTES, MemoryImage};
use crate::memory::linear::MemoryError;
use crate::memory::space::{ExtraResidence, Space, SpaceRequest, SpaceSource};
use ampoule_machine::os::reservation::Reservation;
use ampoule_machine::os::sync::{Mutex, MutexGuard};
use std::sync::{Arc, Weak};

/// What a [`MemoryCache`] keeps at most.
#[derive(Clone, Copy, Debug)]
pub struct MemoryCacheLimits {
    /// Spaces.
    pub spaces: usize,
    /// Bytes of address space, over all of them.
    pub reserved_bytes: usize,
    /// Bytes of physical memory, over all of them.
    pub resident_bytes: usize,
}

impl Default for MemoryCacheLimits {
    fn default() -> Self {
        Self { spaces: 100, reserved_bytes: 1 << 40, resident_bytes: 16 << 20 }
    }
}

/// The memories of an engine that wait for their next owner. Clones are the same cache.
#[derive(Clone, Debug)]
pub struct MemoryCache(Arc<dyn SpaceSource>);

#[derive(Debug)]
struct Shared {
    limits: MemoryCacheLimits,
    growth_headroom: u64,
    kept: Mutex<Kept>,
}

/// What is kept, newest last, and sums over it.
#[derive(Debug, Default)]
struct Kept {
    spaces: Vec<Space>,
    reserved_bytes: usize,
    resident_bytes: usize,
}

impl MemoryCache {
    /// A cache with default limits, for memories that reserve 2 GiB more than they need when they have to move.
    #[cfg(test)]
    pub fn new() -> Self {
        Self::with_limits(MemoryCacheLimits::default(), 2 << 30)
    }

    /// A cache with these limits, for memories that reserve `growth_headroom` bytes more than they need when they have to
    /// move.
    pub fn with_limits(limits: MemoryCacheLimits, growth_headroom: u64) -> Self {
        Self(Arc::new(Shared { limits, growth_headroom, kept: Mutex::default() }))
    }

    /// A handle to another source of address space, such as the pool.
    pub(crate) fn of(source: Arc<dyn SpaceSource>) -> Self {
        Self(source)
    }

    /// Whether two handles are the same cache.
    pub fn same(&self, other: &MemoryCache) -> bool {
        std::ptr::addr_eq(Arc::as_ptr(&self.0), Arc::as_ptr(&other.0))
    }

    /// Spaces and bytes of physical memory that are kept at present.
    #[cfg(test)]
    pub fn kept(&self) -> (usize, usize) {
        self.0.kept()
    }

    /// Gives everything that is kept back to the system.
    #[cfg(test)]
    pub fn clear(&self) {
        self.0.clear();
    }

    pub(crate) fn take(&self, request: SpaceRequest<'_>) -> Result<Space, MemoryError> {
        self.0.take(request)
    }

    pub(crate) fn give_back(&self, space: Space, image: Option<Arc<MemoryImage>>) {
        self.0.give_back(space, image);
    }

    pub(crate) fn max_byte_len(&self) -> u64 {
        self.0.max_byte_len()
    }

    pub(crate) fn growth_headroom(&self) -> u64 {
        self.0.growth_headroom()
    }

    pub(crate) fn image_policy(&self) -> ImagePolicy {
        self.0.image_policy()
    }

    pub(crate) fn downgrade(&self) -> WeakMemoryCache {
        WeakMemoryCache(Arc::downgrade(&self.0))
    }
}

impl SpaceSource for Shared {
    fn take(&self, request: SpaceRequest<'_>) -> Result<Space, MemoryError> {
        let kept = self.lock().take(&request);
        if let Some(mut space) = kept
            && space.prepare(&request).is_ok()
        {
            return Ok(space);
        }
        let create = || {
            let mut space = Space::new(Reservation::new(request.reserved, request.guard)?);
            space.prepare(&request).map(|()| space)
        };
        create().or_else(|_| {
            // What the cache keeps may be what the system lacks.
            self.clear();
            create()
        })
    }

    /// Cleans the space and keeps it if there is room.
    fn give_back(&self, mut space: Space, image: Option<Arc<MemoryImage>>) {
        let most = image.as_deref().map_or(KEPT_BYTES, MemoryImage::kept_bytes);
        let Some(resident_bytes) = self.resident_bytes_allowed(&space, most) else { return };
        match space.clean(image.as_deref(), resident_bytes, ExtraResidence::NONE) {
            Ok(()) => self.keep(space),
            // Dropping unmaps it, contents and all.
            Err(_) => drop(space),
        }
    }

    fn forget_image(&self, id: u64) {
        let mut forgotten = Vec::new();
        let mut kept = self.lock();
        while let Some(position) = kept.spaces.iter().rposition(|space| space.image_id() == id) {
            forgotten.push(kept.remove(position));
        }
        drop(kept);
        drop(forgotten);
    }

    #[cfg(test)]
    fn kept(&self) -> (usize, usize) {
        let kept = self.lock();
        (kept.spaces.len(), kept.resident_bytes)
    }

    fn clear(&self) {
        let spaces = {
            let mut kept = self.lock();
            std::mem::take(&mut *kept).spaces
        };
        drop(spaces);
    }

    fn max_byte_len(&self) -> u64 {
        u64::MAX
    }

    fn growth_headroom(&self) -> u64 {
        self.growth_headroom
    }

    fn image_policy(&self) -> ImagePolicy {
        ImagePolicy::KEPT_PAGES
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock()
    }

    /// Whether a space would be kept, and how many bytes of it may stay resident: `most` where there is room.
    fn resident_bytes_allowed(&self, space: &Space, most: usize) -> Option<usize> {
        if !space.reservation.is_intact() || space.total_bytes() > self.limits.reserved_bytes {
            return None;
        }
        let kept = self.lock();
        // A full cache of other shapes must not stay full of them for good. A full cache of the same stays as it is.
        if self.is_full(&kept, space) && kept.spaces.first().is_none_or(|oldest| oldest.same_shape(space)) {
            return None;
        }
        let rest = self.limits.resident_bytes.saturating_sub(kept.resident_bytes);
        Some(rest.min(most))
    }

    fn is_full(&self, kept: &Kept, space: &Space) -> bool {
        kept.spaces.len() >= self.limits.spaces
            || kept.reserved_bytes + space.total_bytes() > self.limits.reserved_bytes
            || kept.resident_bytes + space.resident_bytes() > self.limits.resident_bytes
    }

    fn keep(&self, space: Space) {
        let mut evicted = Vec::new();
        let mut kept = self.lock();
        while self.is_full(&kept, &space) && !kept.spaces.is_empty() {
            evicted.push(kept.remove(0));
        }
        if self.is_full(&kept, &space) {
            evicted.push(space);
        } else {
            kept.push(space);
        }
        drop(kept);
        // Unmapping takes its time, so it happens outside of the lock.
        drop(evicted);
    }
}

impl Kept {
    /// Takes the kept space that suits best: with the same image, and as long.
    fn take(&mut self, request: &SpaceRequest<'_>) -> Option<Space> {
        let mut best = None;
        for (position, space) in self.spaces.iter().enumerate().rev() {
            if space.reservation.reserved() != request.reserved || space.reservation.guard() != request.guard {
                continue;
            }
            let same_image = space.image_id() == request.image_id();
            let same_len = space.reservation.accessible() == request.accessible;
            let score = 4 * u32::from(same_image) + 2 * u32::from(same_len) + u32::from(space.image_id() == 0);
            if best.is_none_or(|(_, other)| other < score) {
                best = Some((position, score));
            }
            if same_image && same_len {
                break;
            }
        }
        best.map(|(position, _)| self.remove(position))
    }

    fn push(&mut self, space: Space) {
        self.reserved_bytes += space.total_bytes();
        self.resident_bytes += space.resident_bytes();
        self.spaces.push(space);
    }

    fn remove(&mut self, position: usize) -> Space {
        let space = self.spaces.remove(position);
        self.reserved_bytes -= space.total_bytes();
        self.resident_bytes -= space.resident_bytes();
        space
    }
}

/// A cache that may be gone.
#[derive(Debug)]
pub(crate) struct WeakMemoryCache(Weak<dyn SpaceSource>);

impl WeakMemoryCache {
    /// Gives the spaces that map this image back to the system, and the image's memory with them.
    pub(crate) fn forget_image(&self, id: u64) {
        if let Some(source) = self.0.upgrade() {
            source.forget_image(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::linear::LinearMemory;
    use ampoule_core::tunables::{MemoryPlan, Tunables};
    use ampoule_core::types::MemoryType;

    const WASM_PAGE: usize = 1 << 16;

    fn memory(cache: &MemoryCache, pages: u64, image: Option<&Arc<MemoryImage>>) -> LinearMemory {
        let ty = MemoryType { min: pages, max: None, is_64: false, shared: false, page_size_log2: 16 };
        LinearMemory::new(&ty, MemoryPlan::new(&ty, &Tunables::default()), image, cache).unwrap()
    }

    #[expect(clippy::mut_from_ref, reason = "as the host does it: through the pointer")]
    fn bytes(memory: &LinearMemory) -> &mut [u8] {
        // SAFETY: so many bytes are accessible, and the tests have one such slice of a memory at a time.
        unsafe { std::slice::from_raw_parts_mut(memory.base(), memory.byte_len()) }
    }

    fn image(cache: &MemoryCache, seed: u8) -> (Arc<MemoryImage>, Vec<u8>) {
        let data: Vec<u8> = (0..300_000).map(|i| (i % 241) as u8 ^ seed).collect();
        let image = MemoryImage::new(16 * WASM_PAGE, &[(70_001, &data)], cache, &|| Ok(())).unwrap().unwrap();
        let mut contents = vec![0; 16 * WASM_PAGE];
        contents[70_001..370_001].copy_from_slice(&data);
        (image, contents)
    }

    #[test]
    fn the_next_memory_gets_the_same_space() {
        let cache = MemoryCache::new();
        let base = memory(&cache, 1, None).base();
        assert_eq!(cache.kept().0, 1);
        let next = memory(&cache, 1, None);
        assert_eq!((next.base(), cache.kept()), (base, (0, 0)));
    }

    /// No byte of an owner is visible to the next, whatever both were like, however much was written where.
    #[test]
    fn no_byte_survives_its_owner() {
        let cache = MemoryCache::new();
        let (image_a, contents_a) = image(&cache, 0);
        let (image_b, contents_b) = image(&cache, 0x80);
        let zeros = vec![0u8; 100 * WASM_PAGE];
        let kinds = [
            (1, None, &zeros),
            (3, None, &zeros),
            (20, None, &zeros),
            (16, Some(&image_a), &contents_a),
            (20, Some(&image_a), &contents_a),
            (16, Some(&image_b), &contents_b),
        ];
        let mut reused = 0;
        for (pages, image, _) in kinds {
            for writes in ["all", "sparse", "grown", "grown by a page", "read", "none"] {
                for (next_pages, next_image, expected) in kinds {
                    cache.clear();
                    let mut first = memory(&cache, pages, image);
                    match writes {
                        "all" => bytes(&first).fill(0xee),
                        "sparse" => bytes(&first).iter_mut().step_by(13_001).for_each(|byte| *byte = 0xee),
                        "grown" => {
                            first.grow(50).unwrap();
                            bytes(&first).iter_mut().rev().step_by(5_003).for_each(|byte| *byte = 0xee);
                        }
                        // What stays resident behind the next owner's bytes.
                        "grown by a page" => {
                            first.grow(1).unwrap();
                            bytes(&first)[(pages as usize * WASM_PAGE)..].fill(0xee);
                        }
                        "read" => assert_ne!(
                            bytes(&first).iter().step_by(1024).map(|&byte| u64::from(byte) + 1).sum::<u64>(),
                            0
                        ),
                        _ => {}
                    }
                    let base = first.base();
                    drop(first);
                    let mut next = memory(&cache, next_pages, next_image);
                    reused += u32::from(next.base() == base);
                    // What is hidden now can come to light by growth.
                    next.grow(60).unwrap();
                    let (with_data, rest) = bytes(&next).split_at(expected.len().min(next_pages as usize * WASM_PAGE));
                    let what = format!("{pages} pages, {writes}, then {next_pages}");
                    assert!(with_data == &expected[..with_data.len()], "{what}");
                    assert!(rest == &zeros[..rest.len()], "{what}");
                }
            }
        }
        assert_eq!(reused, 6 * 6 * 6, "the test is about reuse");
    }

    #[test]
    fn an_image_is_whole_again_after_many_owners() {
        let cache = MemoryCache::new();
        let (image, contents) = image(&cache, 7);
        for round in 0..50 {
            let memory = memory(&cache, 16, Some(&image));
            assert!(bytes(&memory) == contents, "round {round}");
            bytes(&memory)
                .iter_mut()
                .skip(round * 1000)
                .step_by(4096 * (round % 5 + 1))
                .for_each(|byte| *byte = !*byte);
        }
    }

    #[test]
    fn a_memory_prefers_a_space_with_its_image() {
        let cache = MemoryCache::new();
        let (image_a, _) = image(&cache, 1);
        let (image_b, _) = image(&cache, 2);
        let memories =
            [memory(&cache, 16, Some(&image_a)), memory(&cache, 16, Some(&image_b)), memory(&cache, 16, None)];
        let bases: Vec<_> = memories.iter().map(LinearMemory::base).collect();
        drop(memories);
        let again = [memory(&cache, 16, None), memory(&cache, 16, Some(&image_a)), memory(&cache, 16, Some(&image_b))];
        assert_eq!(again.each_ref().map(LinearMemory::base), [bases[2], bases[0], bases[1]]);
    }

    #[test]
    fn no_more_is_kept_than_allowed() {
        let limits = MemoryCacheLimits { spaces: 3, reserved_bytes: usize::MAX, resident_bytes: 2 * WASM_PAGE };
        let cache = MemoryCache::with_limits(limits, 0);
        let memories: Vec<_> = (0..8).map(|_| memory(&cache, 1, None)).collect();
        memories.iter().for_each(|memory| bytes(memory).fill(1));
        drop(memories);
        assert_eq!(cache.kept(), (3, 2 * WASM_PAGE));
        let memories: Vec<_> = (0..4).map(|_| memory(&cache, 1, None)).collect();
        assert_eq!(cache.kept(), (0, 0));
        assert!(memories.iter().all(|memory| bytes(memory).iter().all(|&byte| byte == 0)));

        let limits = MemoryCacheLimits { reserved_bytes: 9 << 30, ..MemoryCacheLimits::default() };
        let cache = MemoryCache::with_limits(limits, 0);
        drop((0..8).map(|_| memory(&cache, 1, None)).collect::<Vec<_>>());
        assert_eq!(cache.kept().0, 2);
    }

    #[test]
    fn nothing_is_kept_where_nothing_may_be() {
        let limits = MemoryCacheLimits { spaces: 0, ..MemoryCacheLimits::default() };
        let cache = MemoryCache::with_limits(limits, 0);
        drop(memory(&cache, 1, None));
        assert_eq!(cache.kept(), (0, 0));
    }

    #[test]
    fn a_full_cache_makes_resident_bytes_allowed_another_shape() {
        let limits = MemoryCacheLimits { spaces: 2, ..MemoryCacheLimits::default() };
        let cache = MemoryCache::with_limits(limits, 0);
        let odd = MemoryType { min: 1, max: Some(2), is_64: true, shared: false, page_size_log2: 16 };
        let tunables = Tunables { memory_reservation: 1 << 20, ..Tunables::default() };
        let make_odd = || LinearMemory::new(&odd, MemoryPlan::new(&odd, &tunables), None, &cache).unwrap();
        drop([make_odd(), make_odd()]);
        let base = memory(&cache, 1, None).base();
        assert_eq!(cache.kept().0, 2);
        assert_eq!(memory(&cache, 1, None).base(), base);
    }

    #[test]
    fn spaces_with_the_image_of_a_gone_module_are_given_up() {
        let cache = MemoryCache::new();
        let (image, _) = image(&cache, 3);
        drop([memory(&cache, 16, Some(&image)), memory(&cache, 16, None)]);
        assert_eq!(cache.kept().0, 2);
        drop(image);
        assert_eq!(cache.kept().0, 1);
    }

    #[test]
    fn an_image_may_outlive_its_cache_and_a_memory_its_image() {
        let cache = MemoryCache::new();
        let (image, contents) = image(&cache, 4);
        let memory = memory(&cache, 16, Some(&image));
        drop(image);
        assert!(bytes(&memory) == contents);
        drop(memory);
        assert_eq!(cache.kept().0, 0);
        let (image, _) = self::image(&cache, 5);
        drop(cache);
        drop(image);
    }

    #[test]
    fn threads_share_a_cache() {
        let cache = MemoryCache::new();
        std::thread::scope(|scope| {
            for seed in 1..5u8 {
                let cache = &cache;
                scope.spawn(move || {
                    let (image, contents) = image(cache, seed);
                    for round in 0..200 {
                        let memory = memory(cache, 16, (round % 3 > 0).then_some(&image));
                        let expected = if round % 3 > 0 { &contents[70_000..71_000] } else { &[0; 1000] };
                        assert!(bytes(&memory)[70_000..71_000] == *expected);
                        bytes(&memory)[70_000..71_000].fill(seed);
                    }
                });
            }
        });
    }

    #[test]
    fn a_forked_child_does_not_trust_its_parents_page_map() {
        let cache = MemoryCache::new();
        let first = memory(&cache, 16, None);
        bytes(&first)[5] = 1;
        drop(first);
        // SAFETY: the child makes and drops memories (all locks are free: the cache is this test's), and exits.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let memory_in_child = memory(&cache, 16, None);
            bytes(&memory_in_child)[WASM_PAGE..].fill(7);
            drop(memory_in_child);
            let clean = bytes(&memory(&cache, 16, None)).iter().all(|&byte| byte == 0);
            // SAFETY: leaves without running anything of the parent's.
            unsafe { libc::_exit(i32::from(!clean)) }
        }
        let mut status = 0;
        // SAFETY: our child.
        assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
        assert_eq!(status, 0);
    }
}
