//! The address space of one memory between its owners: made ready for the next, cleaned after the last.
//!
//! Whoever keeps spaces ([`crate::memory::cache`], [`crate::engine::pool`]) cleans each before anybody else can come by it: every byte then
//! reads as it would in a new reservation, or as in the image that is mapped in it (docs/security.md, rule 11).
//!
//! Cleaning prefers to keep pages: on a virtual machine a page fault costs some 2 µs, overwriting a page 0.04 µs. So the
//! pages that were written are overwritten, up to a bound, and only the others are given back to the system.

use crate::memory::image::{ImagePolicy, MemoryImage, Run, span_of};
use crate::memory::linear::MemoryError;
use ampoule_machine::os::mmap::PAGE;
use ampoule_machine::os::pagemap::{self, ScanBuffer};
use ampoule_machine::os::reservation::{Reservation, round_up_to_pages};
use std::fmt::Debug;
use std::ops::Range;
use std::sync::Arc;

/// Up to this length a memory without an image is overwritten as a whole: cheaper than asking which pages were written.
const OVERWRITTEN_BYTES: usize = 64 << 10;

/// So much may stay resident behind what the next owner may access: guests that take a page for themselves when they begin, as adapters do,
/// find it there again, clean. To give it back and to have it back costs a system call and a page fault.
const CLEAN_BYTES_BEHIND: usize = 64 << 10;

/// Where two owners have written nothing and no pages are to be kept in any case, it is asked again of one owner in so many.
const ASKED_EVERY: u32 = 16;

/// The address space of one memory.
#[derive(Debug)]
pub(crate) struct Space {
    pub(crate) reservation: Reservation,
    image: Option<MappedImage>,
    /// Bytes that were left in physical memory when it was cleaned.
    resident_bytes: usize,
    /// How many owners in a row have written nothing, as far as was asked.
    unwritten: u32,
}

/// An image that is mapped into a space: so much is known of it after the image itself is gone.
#[derive(Clone, PartialEq, Eq, Debug)]
struct MappedImage {
    id: u64,
    runs: Arc<[Run]>,
}

/// What a memory asks of its space.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SpaceRequest<'a> {
    pub(crate) reserved: usize,
    pub(crate) guard: usize,
    /// Bytes to be accessible, a multiple of [`PAGE`].
    pub(crate) accessible: usize,
    pub(crate) image: Option<&'a MemoryImage>,
}

impl SpaceRequest<'_> {
    /// The id of the image; zero for none.
    pub(crate) fn image_id(&self) -> u64 {
        self.image.map_or(0, MemoryImage::id)
    }
}

/// What may stay resident of a space beyond a fixed number of bytes: all that was written, where that is little.
pub(crate) struct ExtraResidence<'a> {
    /// So many bytes are little.
    pub(crate) most: usize,
    /// Told the bytes that were written, says whether they may stay. Not asked for more than `most`.
    pub(crate) claim: &'a dyn Fn(usize) -> bool,
}

impl ExtraResidence<'_> {
    pub(crate) const NONE: Self = Self { most: 0, claim: &|_| false };
}

/// Where memories take their spaces from, and give them back to when they are dropped.
pub(crate) trait SpaceSource: Debug + Send + Sync {
    /// A space of at least this shape, all zeros but for the image.
    ///
    /// # Errors
    /// [`MemoryError::System`] where the system has no address space or no room for another mapping;
    /// [`MemoryError::NoneLeft`] where the source has none.
    fn take(&self, request: SpaceRequest<'_>) -> Result<Space, MemoryError>;

    /// Takes a space back from its owner. `image` is the one it was taken with.
    fn give_back(&self, space: Space, image: Option<Arc<MemoryImage>>);

    /// Lets go of the spaces that map this image, so that its memory is free.
    fn forget_image(&self, id: u64);

    /// Spaces and bytes of physical memory that are kept at present.
    #[cfg(test)]
    fn kept(&self) -> (usize, usize);

    /// Gives everything that is kept back to the system.
    fn clear(&self);

    /// Bytes that a memory may have at most.
    fn max_byte_len(&self) -> u64;

    /// Bytes that a memory reserves for further growth when it has to move.
    fn growth_headroom(&self) -> u64;

    /// When initial contents are mapped instead of copied.
    fn image_policy(&self) -> ImagePolicy;
}

impl Space {
    /// A space with `accessible` bytes that no cache gave and no cache will get.
    pub(crate) fn unshared(reserved: usize, guard: usize, accessible: usize) -> Result<Self, MemoryError> {
        let mut reservation = Reservation::new(reserved, guard)?;
        reservation.set_accessible(accessible)?;
        Ok(Self::new(reservation))
    }

    /// A space of which nothing is accessible yet.
    pub(crate) fn new(reservation: Reservation) -> Self {
        Self { reservation, image: None, resident_bytes: 0, unwritten: 0 }
    }

    /// The image that is mapped in it, by its id; zero for none.
    pub(crate) fn image_id(&self) -> u64 {
        self.image.as_ref().map_or(0, |image| image.id)
    }

    /// Bytes that were left in physical memory when it was cleaned.
    pub(crate) fn resident_bytes(&self) -> usize {
        self.resident_bytes
    }

    pub(crate) fn same_shape(&self, other: &Space) -> bool {
        self.reservation.reserved() == other.reservation.reserved()
            && self.reservation.guard() == other.reservation.guard()
    }

    pub(crate) fn total_bytes(&self) -> usize {
        self.reservation.reserved() + self.reservation.guard()
    }

    /// Makes a clean space ready for its owner.
    pub(crate) fn prepare(&mut self, request: &SpaceRequest<'_>) -> Result<(), MemoryError> {
        let wanted_image = request.image.map(MappedImage::of);
        self.resident_bytes = 0;
        if self.image != wanted_image
            && let Some(mapped) = self.image.take()
        {
            self.reservation.map_zeros(span_of(&mapped.runs))?;
        }
        let accessible = self.reservation.accessible();
        if accessible > request.accessible.saturating_add(CLEAN_BYTES_BEHIND) {
            // Else pages would stay resident where nobody counts them.
            self.reservation.discard(request.accessible..accessible)?;
        }
        self.reservation.set_accessible(request.accessible)?;
        if self.image != wanted_image
            && let Some(image) = request.image
        {
            for Run { range, file_offset } in &**image.runs() {
                self.reservation.map_file(range.clone(), (image.file(), *file_offset))?;
            }
            self.image = wanted_image;
        }
        Ok(())
    }

    /// Makes every byte read as in a new space with the same image, leaving at most `resident_bytes` resident, or what `extra` allows.
    pub(crate) fn clean(
        &mut self,
        image: Option<&MemoryImage>,
        resident_bytes: usize,
        extra: ExtraResidence<'_>,
    ) -> Result<(), MemoryError> {
        debug_assert_eq!(self.image, image.map(MappedImage::of));
        let accessible = self.reservation.accessible();
        if image.is_none() && accessible <= OVERWRITTEN_BYTES.min(resident_bytes) {
            // SAFETY: accessible bytes, and the memory's owner is gone.
            unsafe { self.reservation.base().write_bytes(0, accessible) };
            self.resident_bytes = accessible;
            return Ok(());
        }
        self.resident_bytes = 0;
        // To give back what nobody wrote is cheaper than to ask for it.
        if resident_bytes < PAGE && self.unwritten >= 2 && !self.unwritten.is_multiple_of(ASKED_EVERY) {
            self.unwritten = self.unwritten.wrapping_add(1);
            self.reservation.discard(0..accessible)?;
            return Ok(());
        }
        let base = self.reservation.base() as usize;
        let (mut rest, mut most) = (resident_bytes - resident_bytes % PAGE, resident_bytes.max(extra.most));
        let (mut at, mut buffer) = (0, ScanBuffer::default());
        while at < accessible && most >= PAGE {
            // One page more than may stay shows whether there are more.
            let max_pages = (most / PAGE).saturating_add(1);
            let Some(written) = pagemap::written_pages(base + at, base + accessible, max_pages, &mut buffer) else {
                break;
            };
            let scanned = written.scanned_end() - base;
            let written_bytes: usize = written.ranges().map(|range| range.len()).sum();
            if at == 0 {
                self.unwritten = if written_bytes == 0 { self.unwritten.wrapping_add(1) } else { 0 };
                if scanned == accessible
                    && written_bytes > resident_bytes
                    && written_bytes <= extra.most
                    && (extra.claim)(written_bytes)
                {
                    rest = written_bytes;
                }
            }
            for range in written.ranges() {
                let (start, len) = (range.start - base, range.len().min(rest));
                // SAFETY: accessible bytes, and nobody else uses them.
                unsafe { self.restore(start, start + len, image) };
                self.resident_bytes += len;
                rest -= len;
                if len < range.len() {
                    self.reservation.discard(start + len..accessible)?;
                    return Ok(());
                }
            }
            // A scan that gets nowhere is not repeated.
            if scanned == at {
                break;
            }
            (at, most) = (scanned, rest);
        }
        self.reservation.discard(at..accessible)?;
        Ok(())
    }

    /// The ranges of accessible pages in which anything but zeros may be, ascending: of the image, and what was written.
    pub(crate) fn used_ranges(&self) -> Vec<Range<usize>> {
        let (base, accessible) = (self.reservation.base() as usize, self.reservation.accessible());
        let runs = self.image.iter().flat_map(|image| &*image.runs);
        let mut ranges: Vec<_> = runs.map(|run| run.range.clone()).collect();
        let mut buffer = ScanBuffer::default();
        let mut at = 0;
        while at < accessible {
            let scan = pagemap::written_pages(base + at, base + accessible, usize::MAX / PAGE, &mut buffer);
            let Some(written) = scan.filter(|written| written.scanned_end() > base + at) else {
                // What the system doesn't tell of may have been written.
                ranges.push(at..accessible);
                break;
            };
            ranges.extend(written.ranges().map(|range| range.start - base..range.end - base));
            at = written.scanned_end() - base;
        }
        ranges.sort_by_key(|range| range.start);
        let mut end = 0;
        for range in &mut ranges {
            range.start = range.start.max(end);
            end = range.end.max(end);
        }
        ranges.retain(|range| range.start < range.end);
        ranges
    }

    /// Overwrites `start..end` with zeros, or the image where it covers them.
    ///
    /// # Safety
    /// The range is accessible, and nobody else uses it.
    unsafe fn restore(&mut self, start: usize, end: usize, image: Option<&MemoryImage>) {
        let covered = image.map_or(0..0, MemoryImage::range);
        let from = covered.start.clamp(start, end);
        let to = covered.end.clamp(from, end);
        let base = self.reservation.base();
        // SAFETY: by the caller; `start <= from <= to <= end`, and `from..to` is inside the image or empty.
        unsafe {
            base.add(start).write_bytes(0, from - start);
            if let Some(image) = image.filter(|_| from < to) {
                image.copy(from..to, base.add(from));
            }
            base.add(to).write_bytes(0, end - to);
        }
    }
}

impl MappedImage {
    fn of(image: &MemoryImage) -> Self {
        Self { id: image.id(), runs: image.runs().clone() }
    }
}

impl<'a> SpaceRequest<'a> {
    /// The request for these sizes in bytes, rounded up to pages of the host. `None` where the host can't address as much.
    pub(crate) fn new(reserved: u64, guard: u64, byte_len: u64, image: Option<&'a MemoryImage>) -> Option<Self> {
        let pages = |len: u64| round_up_to_pages(usize::try_from(len).ok()?);
        Some(Self { reserved: pages(reserved)?.max(PAGE), guard: pages(guard)?, accessible: pages(byte_len)?, image })
    }
}
