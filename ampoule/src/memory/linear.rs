//! The bytes of one linear memory: reserved, made accessible, grown and moved as its plan says.
//!
//! The limits of a store are checked before a memory is made or grown, by [`crate::store`] and its callers. Shared memories are in
//! [`crate::memory::shared`].

use crate::memory::cache::MemoryCache;
use crate::memory::image::MemoryImage;
use crate::memory::space::{ExtraResidence, Space, SpaceRequest};
use ampoule_core::tunables::{Bounds, MemoryPlan};
use ampoule_core::types::MemoryType;
use ampoule_machine::os::reservation::round_up_to_pages;
use std::ops::Range;
use std::sync::Arc;

/// Why a memory could not be made or grown. Nothing has changed then.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum MemoryError {
    /// The size is beyond the type's maximum, the width of its addresses, or what the host can address.
    #[error("memory size exceeds its maximum")]
    TooLarge,
    /// The memory would have to move, and may not.
    #[error("memory cannot grow beyond its reservation")]
    CannotMove,
    /// The engine's pool has so many memories, and all of them are in use.
    #[error("maximum concurrent limit of {0} for memories reached")]
    NoneLeft(u32),
    /// The operating system refused.
    #[error("mapping a linear memory: {0}")]
    System(#[from] rustix::io::Errno),
}

impl From<std::io::Error> for MemoryError {
    fn from(error: std::io::Error) -> Self {
        Self::System(rustix::io::Errno::from_io_error(&error).unwrap_or(rustix::io::Errno::NOMEM))
    }
}

/// The bytes of one linear memory that is not shared.
///
/// 1. The first `byte_len` bytes of `space` are accessible; whole pages of the host are, so a length that is no multiple of
///    them (custom page sizes) leaves up to one page accessible behind it, which explicit checks guard.
/// 2. `byte_len` never shrinks but in [`LinearMemory::reset`], while no guest runs. The base stays while `byte_len` is within the reservation.
/// 3. `space` is `Some` until `drop`.
#[derive(Debug)]
pub struct LinearMemory {
    space: Option<Space>,
    byte_len: usize,
    ty: MemoryType,
    may_move: bool,
    /// Mapped in `space`.
    image: Option<Arc<MemoryImage>>,
    /// Where `space` goes at the end. None after a move: what it moved to has no shape that another memory would ask for.
    cache: Option<MemoryCache>,
    growth_headroom: u64,
    /// What `cache` allows a memory.
    max_byte_len: u64,
}

impl LinearMemory {
    /// A memory of the type's minimal length: zeros, and the image if there is one.
    ///
    /// # Errors
    /// [`MemoryError::TooLarge`], [`MemoryError::System`].
    pub fn new(
        ty: &MemoryType,
        plan: MemoryPlan,
        image: Option<&Arc<MemoryImage>>,
        cache: &MemoryCache,
    ) -> Result<Self, MemoryError> {
        assert!(!ty.shared, "shared memories are `SharedMemory`s");
        let (request, byte_len) = checked_request(ty, &plan, image.map(|image| &**image))?;
        if byte_len as u64 > cache.max_byte_len() {
            return Err(MemoryError::TooLarge);
        }
        let space = Some(cache.take(request)?);
        Ok(Self {
            space,
            byte_len,
            ty: *ty,
            may_move: plan.may_move,
            image: image.cloned(),
            cache: Some(cache.clone()),
            growth_headroom: cache.growth_headroom(),
            max_byte_len: cache.max_byte_len(),
        })
    }

    /// The byte at address zero. Changes only in [`LinearMemory::grow`], and only where the plan says that it may.
    pub fn base(&self) -> *mut u8 {
        self.space().reservation.base()
    }

    /// Length in bytes.
    #[inline]
    pub fn byte_len(&self) -> usize {
        self.byte_len
    }

    /// Bytes of address space, with the guard.
    pub fn reserved_len(&self) -> usize {
        let reservation = &self.space().reservation;
        reservation.reserved() + reservation.guard()
    }

    /// Length in pages of the memory's type.
    pub fn pages(&self) -> u64 {
        self.byte_len as u64 >> self.ty.page_size_log2
    }

    /// Grows by `delta_pages` pages of zeros and returns the number of pages before.
    ///
    /// # Errors
    /// [`MemoryError`]; nothing has changed then.
    pub fn grow(&mut self, delta_pages: u64) -> Result<u64, MemoryError> {
        let old_pages = self.pages();
        let byte_len = grown_byte_len(&self.ty, self.byte_len, delta_pages)?;
        if byte_len as u64 > self.max_byte_len {
            return Err(MemoryError::TooLarge);
        }
        let accessible = round_up_to_pages(byte_len).ok_or(MemoryError::TooLarge)?;
        let reservation = &mut self.space_mut().reservation;
        if accessible <= reservation.reserved() {
            if accessible > reservation.accessible() {
                reservation.set_accessible(accessible)?;
            }
        } else if self.may_move {
            self.relocate(byte_len, accessible)?;
        } else {
            return Err(MemoryError::CannotMove);
        }
        self.byte_len = byte_len;
        Ok(old_pages)
    }

    /// Has it hold what a new memory of `byte_len` bytes with this image would, which is not longer than the reservation. Only pages that were
    /// written since it had this image are touched: up to `kept_bytes` of them are overwritten, the others given back to the system.
    ///
    /// # Errors
    /// What the system says. The memory has no bytes then.
    pub(crate) fn reset(
        &mut self,
        byte_len: usize,
        image: Option<&Arc<MemoryImage>>,
        kept_bytes: usize,
    ) -> Result<(), MemoryError> {
        let before = self.image.clone();
        let same_image = before.as_deref().map(MemoryImage::id) == image.map(|image| image.id());
        let accessible = round_up_to_pages(byte_len).ok_or(MemoryError::TooLarge)?;
        let space = self.space_mut();
        let (reserved, guard) = (space.reservation.reserved(), space.reservation.guard());
        if accessible > reserved {
            return Err(MemoryError::CannotMove);
        }
        // Whatever happens below, nothing is behind the length that isn't accessible.
        self.byte_len = 0;
        // Pages of another image would be mapped over.
        let kept_bytes = if same_image { kept_bytes } else { 0 };
        let space = self.space_mut();
        space.clean(before.as_deref(), kept_bytes, ExtraResidence::NONE)?;
        space.prepare(&SpaceRequest { reserved, guard, accessible, image: image.map(|image| &**image) })?;
        (self.image, self.byte_len) = (image.cloned(), byte_len);
        Ok(())
    }

    /// The pages in which anything but zeros may be, as ranges of bytes, ascending.
    pub(crate) fn used_ranges(&self) -> Vec<Range<usize>> {
        let mut ranges = self.space().used_ranges();
        ranges.iter_mut().for_each(|range| range.end = range.end.min(self.byte_len));
        ranges.retain(|range| range.start < range.end);
        ranges
    }

    /// Moves to a larger reservation, of which `accessible` bytes are accessible.
    fn relocate(&mut self, byte_len: usize, accessible: usize) -> Result<(), MemoryError> {
        let guard = self.space().reservation.guard();
        let generous = (byte_len as u64).saturating_add(self.growth_headroom).min(self.ty.max_byte_len());
        let generous = usize::try_from(generous).unwrap_or(usize::MAX).max(accessible);
        let mut new =
            Space::unshared(generous, guard, accessible).or_else(|_| Space::unshared(accessible, guard, accessible))?;
        let old = self.space.take().expect("there until drop");
        let image_range = self.image.as_ref().map_or(0..0, |image| image.range());
        new.reservation.take_contents(old.reservation, image_range);
        self.space = Some(new);
        (self.image, self.cache) = (None, None);
        Ok(())
    }

    fn space(&self) -> &Space {
        self.space.as_ref().expect("there until drop")
    }

    fn space_mut(&mut self) -> &mut Space {
        self.space.as_mut().expect("there until drop")
    }
}

impl Drop for LinearMemory {
    fn drop(&mut self) {
        if let (Some(space), Some(cache)) = (self.space.take(), &self.cache) {
            cache.give_back(space, self.image.take());
        }
    }
}

/// What a new memory needs: its space, and its length in bytes.
pub(crate) fn checked_request<'a>(
    ty: &MemoryType,
    plan: &MemoryPlan,
    image: Option<&'a MemoryImage>,
) -> Result<(SpaceRequest<'a>, usize), MemoryError> {
    // Compilers elide checks by these facts of the plan (docs/security.md, rule 2).
    if plan.bounds != Bounds::Explicit {
        assert!(ty.page_size_log2 == 16, "only what is behind whole pages faults");
    }
    if plan.bounds == Bounds::Reserved {
        assert!(
            plan.reservation >= ty.max_byte_len() && !plan.may_move,
            "the reservation holds every length, and stays"
        );
    }
    let byte_len = ty.min_byte_len().filter(|&len| len <= ty.max_byte_len()).ok_or(MemoryError::TooLarge)?;
    let reserved = plan.reservation.max(byte_len);
    let request = SpaceRequest::new(reserved, plan.guard, byte_len, image).ok_or(MemoryError::TooLarge)?;
    let covered = image.map_or(0, |image| image.range().end);
    assert!(covered <= request.accessible, "an image covers no more than the memory it was made for");
    Ok((request, usize::try_from(byte_len).map_err(|_| MemoryError::TooLarge)?))
}

/// The length after growth by `delta_pages`, if the type allows it.
pub(crate) fn grown_byte_len(ty: &MemoryType, byte_len: usize, delta_pages: u64) -> Result<usize, MemoryError> {
    let pages = (byte_len as u64 >> ty.page_size_log2).checked_add(delta_pages).ok_or(MemoryError::TooLarge)?;
    let grown = pages.checked_mul(ty.page_size()).filter(|&len| ty.allows_byte_len(len) && len <= ty.max_byte_len());
    grown.and_then(|len| usize::try_from(len).ok()).ok_or(MemoryError::TooLarge)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ampoule_core::tunables::Tunables;

    const PAGE: usize = 1 << 16;

    fn ty(min: u64, max: Option<u64>) -> MemoryType {
        MemoryType { min, max, is_64: false, shared: false, page_size_log2: 16 }
    }

    /// Reserves 256 KiB and a guard of 64 KiB, with explicit checks.
    fn small() -> Tunables {
        Tunables { memory_reservation: 4 * PAGE as u64, memory_guard_size: PAGE as u64, ..Tunables::default() }
    }

    fn memory(ty: MemoryType, tunables: &Tunables) -> LinearMemory {
        LinearMemory::new(&ty, MemoryPlan::new(&ty, tunables), None, &MemoryCache::new()).unwrap()
    }

    /// Whether the system can read a byte there; asking it doesn't fault.
    fn is_accessible(at: *const u8) -> bool {
        let (_reader, writer) = std::io::pipe().unwrap();
        // SAFETY: the system checks the address itself, and answers EFAULT.
        unsafe { libc::write(std::os::fd::AsRawFd::as_raw_fd(&writer), at.cast(), 1) == 1 }
    }

    #[test]
    fn growth_is_exact_and_zero_filled() {
        let mut memory = memory(ty(1, Some(3)), &Tunables::default());
        assert_eq!((memory.byte_len(), memory.pages()), (PAGE, 1));
        assert_eq!(memory.grow(0), Ok(1));
        assert_eq!(memory.grow(2), Ok(1));
        assert_eq!(memory.grow(0), Ok(3));
        assert_eq!(memory.grow(1), Err(MemoryError::TooLarge));
        assert_eq!(memory.byte_len(), 3 * PAGE);
        // SAFETY: so many bytes are accessible, and nobody else has them.
        let bytes = unsafe { std::slice::from_raw_parts(memory.base(), 3 * PAGE) };
        assert!(bytes.iter().all(|&byte| byte == 0));
    }

    #[test]
    fn what_lies_behind_the_length_faults() {
        let mut memory = memory(ty(1, None), &Tunables::default());
        let base = memory.base();
        let at = |offset: usize| is_accessible(base.wrapping_add(offset));
        assert!(at(0) && at(PAGE - 1) && !at(PAGE) && !at(2 * PAGE));
        memory.grow(1).unwrap();
        assert_eq!(memory.base(), base);
        assert!(at(PAGE) && at(2 * PAGE - 1) && !at(2 * PAGE));
        // The end of the reservation, and all of the guard.
        assert!(!at((4 << 30) - 1) && !at(4 << 30) && !at((4 << 30) + (32 << 20) - 1));
    }

    #[test]
    fn a_whole_32_bit_memory_can_be_had_and_no_more() {
        let mut memory = memory(ty(0, None), &Tunables::default());
        assert_eq!(memory.grow(1 << 16), Ok(0));
        assert_eq!(memory.byte_len(), 4 << 30);
        assert_eq!(memory.grow(1), Err(MemoryError::TooLarge));
        assert!(is_accessible(memory.base().wrapping_add((4 << 30) - 1)));
        assert!(!is_accessible(memory.base().wrapping_add(4 << 30)));
    }

    #[test]
    fn absurd_deltas_are_errors() {
        for is_64 in [false, true] {
            let mut memory = memory(MemoryType { is_64, ..ty(1, None) }, &Tunables::default());
            for delta in [1 << 48, (1 << 48) - 1, 1 << 47, u64::MAX, u64::MAX - 1, 1 << 63] {
                assert!(memory.grow(delta).is_err(), "{delta:#x}");
                assert_eq!(memory.pages(), 1);
            }
        }
    }

    #[test]
    fn absurd_minima_are_errors() {
        let cache = MemoryCache::new();
        for min in [1 << 48, (1 << 48) - 1, 1 << 47, u64::MAX] {
            let ty = MemoryType { is_64: true, ..ty(min, None) };
            let plan = MemoryPlan::new(&ty, &Tunables::default());
            assert!(LinearMemory::new(&ty, plan, None, &cache).is_err(), "{min:#x}");
        }
        let ty = ty((1 << 16) + 1, None);
        let plan = MemoryPlan::new(&ty, &Tunables::default());
        assert_eq!(LinearMemory::new(&ty, plan, None, &cache).err(), Some(MemoryError::TooLarge));
    }

    #[test]
    fn pages_of_one_byte_give_exact_lengths() {
        let byte_pages = MemoryType { page_size_log2: 0, ..ty(5, Some(5000)) };
        let mut memory = memory(byte_pages, &Tunables::default());
        assert_eq!((memory.byte_len(), memory.grow(4995)), (5, Ok(5)));
        assert_eq!((memory.byte_len(), memory.grow(1)), (5000, Err(MemoryError::TooLarge)));
        assert!(is_accessible(memory.base().wrapping_add(4999)));
        assert!(!is_accessible(memory.base().wrapping_add(8192)));
    }

    #[test]
    fn pages_of_one_byte_stay_countable() {
        let byte_pages = MemoryType { page_size_log2: 0, ..ty(0, None) };
        let mut memory = memory(byte_pages, &Tunables::default());
        // A size of 0xffffffff would look like a failure of `memory.grow` in 32 bits.
        assert_eq!(memory.grow((1 << 32) - 1), Err(MemoryError::TooLarge));
        assert_eq!(memory.grow((1 << 32) - 2), Ok(0));
        assert_eq!(memory.grow(1), Err(MemoryError::TooLarge));
    }

    #[test]
    fn outgrowing_the_reservation_moves_contents_and_keeps_a_guard() {
        let mut memory = memory(ty(4, None), &small());
        let fill = |memory: &LinearMemory, from: usize, to: usize| {
            for offset in (from..to).step_by(997) {
                // SAFETY: inside the memory.
                unsafe { memory.base().add(offset).write(offset as u8) }
            }
        };
        let check = |memory: &LinearMemory, len: usize| {
            for offset in (0..len).step_by(997) {
                // SAFETY: inside the memory.
                assert_eq!(unsafe { memory.base().add(offset).read() }, offset as u8);
            }
        };
        fill(&memory, 0, 4 * PAGE);
        let base = memory.base();
        assert_eq!(memory.grow(2), Ok(4));
        assert_ne!(memory.base(), base);
        check(&memory, 4 * PAGE);
        // SAFETY: the page is inside the memory.
        let fresh = unsafe { std::slice::from_raw_parts(memory.base().add(4 * PAGE), 2 * PAGE) };
        assert!(fresh.iter().all(|&byte| byte == 0));
        assert!(!is_accessible(memory.base().wrapping_add(6 * PAGE)));
        // The headroom spares it further moves.
        let base = memory.base();
        assert_eq!(memory.grow(100), Ok(6));
        assert_eq!(memory.base(), base);
    }

    #[test]
    fn moving_without_headroom_works_every_time() {
        let (ty, cache) = (ty(1, None), MemoryCache::with_limits(Default::default(), 0));
        let tunables = Tunables { memory_reservation: 0, memory_guard_size: 0, ..small() };
        let mut memory = LinearMemory::new(&ty, MemoryPlan::new(&ty, &tunables), None, &cache).unwrap();
        for pages in 1..200 {
            // SAFETY: the last byte of the memory.
            unsafe { memory.base().add(memory.byte_len() - 1).write(pages as u8) };
            assert_eq!(memory.grow(1), Ok(pages));
        }
        for pages in 1..200 {
            // SAFETY: inside the memory.
            assert_eq!(unsafe { memory.base().add(pages * PAGE - 1).read() }, pages as u8);
        }
    }

    #[test]
    fn a_memory_that_may_not_move_stops_at_its_reservation() {
        let mut memory = memory(ty(1, None), &Tunables { memory_may_move: false, ..small() });
        assert_eq!(memory.grow(3), Ok(1));
        assert_eq!(memory.grow(1), Err(MemoryError::CannotMove));
        assert_eq!(memory.byte_len(), 4 * PAGE);
    }

    #[test]
    fn a_memory_with_an_image_moves_with_it() {
        let (ty, cache) = (ty(4, None), MemoryCache::new());
        let data: Vec<u8> = (0..100_000).map(|i| (i % 251) as u8).collect();
        let image = MemoryImage::new(4 * PAGE, &[(10_000, &data)], &cache, &|| Ok(())).unwrap().unwrap();
        let mut memory = LinearMemory::new(&ty, MemoryPlan::new(&ty, &small()), Some(&image), &cache).unwrap();
        // SAFETY: all inside the memory.
        unsafe {
            memory.base().write(1);
            memory.base().add(50_000).write(2);
            memory.base().add(4 * PAGE - 1).write(3);
        }
        let mut expected = vec![0; 5 * PAGE];
        expected[10_000..110_000].copy_from_slice(&data);
        (expected[0], expected[50_000], expected[4 * PAGE - 1]) = (1, 2, 3);
        memory.grow(1).unwrap();
        // SAFETY: so many bytes are accessible, and nobody else has them.
        assert!(unsafe { std::slice::from_raw_parts(memory.base(), 5 * PAGE) } == expected);
    }

    #[test]
    #[should_panic(expected = "holds every length")]
    fn a_plan_that_elides_checks_without_the_reservation_is_refused() {
        let plan = MemoryPlan { reservation: 1 << 20, guard: 0, may_move: false, bounds: Bounds::Reserved };
        let _ = LinearMemory::new(&ty(1, None), plan, None, &MemoryCache::new());
    }
}
