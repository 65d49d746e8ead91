//! Address space for linear memories: reserved at once, made accessible from the start on, with a guard behind.

use crate::os::mmap::{Access, Mapping, PAGE};
use rustix::mm::MremapFlags;
use std::io;
use std::ops::Range;
use std::os::fd::BorrowedFd;
use std::ptr;

/// Reserved address space:
///
/// ```text
/// base                     base + accessible            base + reserved        + guard
///  | readable and writable        | faults                     | always faults    |
/// ```
///
/// 1. `mapping` is `reserved` bytes and a guard, both multiples of [`PAGE`], and belongs to nobody else.
/// 2. `..accessible`, a multiple of [`PAGE`], is readable and writable; touching anything behind it faults. After
///    [`Reservation::set_accessible`] has failed the border may be a different one, and `is_intact` is false.
/// 3. Bytes in here are lent through raw pointers only, never as references.
#[derive(Debug)]
pub struct Reservation {
    mapping: Mapping,
    reserved: usize,
    accessible: usize,
    intact: bool,
}

impl Reservation {
    /// Reserves at least `reserved` bytes, at least a page, and a guard of at least `guard` bytes. Nothing is accessible yet.
    ///
    /// # Errors
    /// What the operating system says, or `OutOfMemory` for sizes beyond all address spaces.
    pub fn new(reserved: usize, guard: usize) -> io::Result<Self> {
        let sizes = round_up_to_pages(reserved).zip(round_up_to_pages(guard));
        let total = sizes.and_then(|(reserved, guard)| reserved.max(PAGE).checked_add(guard));
        let (Some((reserved, _)), Some(total)) = (sizes, total) else { return Err(io::ErrorKind::OutOfMemory.into()) };
        Ok(Self { mapping: Mapping::reserve(total)?, reserved: reserved.max(PAGE), accessible: 0, intact: true })
    }

    /// The reservation in a mapping of which nothing is accessible yet; what follows its first `reserved` bytes is the guard.
    ///
    /// # Panics
    /// Where `reserved` is zero, beyond the mapping, or no multiple of [`PAGE`].
    pub fn over(mapping: Mapping, reserved: usize) -> Self {
        assert!(
            reserved > 0 && reserved <= mapping.len() && reserved.is_multiple_of(PAGE),
            "a mapping holds its parts"
        );
        Self { mapping, reserved, accessible: 0, intact: true }
    }

    /// The first byte.
    pub fn base(&self) -> *mut u8 {
        self.mapping.base()
    }

    /// Bytes reserved, without the guard.
    pub fn reserved(&self) -> usize {
        self.reserved
    }

    /// Bytes of the guard.
    pub fn guard(&self) -> usize {
        self.mapping.len() - self.reserved
    }

    /// Accessible bytes.
    pub fn accessible(&self) -> usize {
        self.accessible
    }

    /// Whether it is known what is accessible and mapped: false after a change of it has failed.
    pub fn is_intact(&self) -> bool {
        self.intact
    }

    /// Moves the border of what is accessible to `len`, a multiple of [`PAGE`] within the reservation. What bytes hold
    /// does not change, on either side.
    ///
    /// # Errors
    /// What the operating system says: it may have no room for another mapping.
    pub fn set_accessible(&mut self, len: usize) -> io::Result<()> {
        assert!(len <= self.reserved, "the guard stays a guard");
        let (range, access) = if len > self.accessible {
            (self.accessible..len, Access::ReadWrite)
        } else {
            (len..self.accessible, Access::None)
        };
        // SAFETY: nobody holds references into the range (3).
        let result = unsafe { self.mapping.protect(range, access) };
        match result {
            Ok(()) => self.accessible = len,
            Err(_) => self.intact = false,
        }
        result
    }

    /// Maps a file from an offset on, a multiple of [`PAGE`], privately over an accessible range. What was there before is gone. The file must
    /// never be truncated.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn map_file(&mut self, range: Range<usize>, (file, offset): (BorrowedFd<'_>, u64)) -> io::Result<()> {
        assert!(range.end <= self.accessible, "the border stays where it is");
        // SAFETY: nobody holds references into the range (3).
        let result = unsafe { self.mapping.map_private(range, file, offset, Access::ReadWrite) };
        self.intact &= result.is_ok();
        result
    }

    /// Maps fresh zeros over an accessible range, in place of a file or anything else.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn map_zeros(&mut self, range: Range<usize>) -> io::Result<()> {
        assert!(range.end <= self.accessible, "the border stays where it is");
        // SAFETY: nobody holds references into the range (3).
        let result = unsafe { self.mapping.map_anonymous(range, Access::ReadWrite) };
        self.intact &= result.is_ok();
        result
    }

    /// Gives the pages of a range back: afterwards they read as the file mapped there, or as zeros.
    ///
    /// # Errors
    /// What the operating system says; then nothing may be assumed of what the range holds.
    pub fn discard(&mut self, range: Range<usize>) -> io::Result<()> {
        // SAFETY: nobody holds references into the range (3).
        unsafe { self.mapping.reset(range) }
    }

    /// Takes over the accessible bytes of `from`, into this reservation, of which as much must be accessible and untouched.
    /// Pages move as they are where the system can do that; those of `file_range`, where a file is mapped, are copied.
    pub fn take_contents(&mut self, from: Reservation, file_range: Range<usize>) {
        let len = from.accessible;
        assert!(len <= self.accessible, "as much is accessible as is taken over");
        let file_start = file_range.start.min(len);
        let file_end = file_range.end.clamp(file_start, len);
        // DONTUNMAP leaves zeros at the old place, not a hole that another thread might fill before `from` unmaps it.
        let flags = MremapFlags::MAYMOVE | MremapFlags::DONTUNMAP;
        for (start, end) in [(0, file_start), (file_start, file_end), (file_end, len)] {
            let (old, new, len) = (from.base().wrapping_add(start), self.base().wrapping_add(start), end - start);
            let has_file = start == file_start && end == file_end;
            // SAFETY: both ranges are owned (1), of equal length, and unborrowed (3). What arrives has our protection.
            let moved = !has_file
                && len > 0
                && unsafe { rustix::mm::mremap_fixed(old.cast(), len, len, flags, new.cast()) }.is_ok();
            if !moved {
                // SAFETY: `len` bytes are accessible at both (2), which are different mappings.
                unsafe { ptr::copy_nonoverlapping(old, new, len) }
            }
        }
    }
}

/// `len` rounded up to pages of the host, or `None` where that overflows.
pub fn round_up_to_pages(len: usize) -> Option<usize> {
    len.checked_next_multiple_of(PAGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_that_overflow_are_errors() {
        assert!(Reservation::new(usize::MAX, 0).is_err());
        assert!(Reservation::new(usize::MAX - 4096, 8192).is_err());
        assert!(Reservation::new(1 << 20, usize::MAX).is_err());
        assert!(Reservation::new(1 << 60, 0).is_err());
    }

    #[test]
    fn contents_move_by_pages_and_by_copying() {
        for file_range in [0..0, 0..1 << 16, 4096..8192] {
            let mut old = Reservation::new(1 << 20, 1 << 16).unwrap();
            old.set_accessible(1 << 16).unwrap();
            // SAFETY: 64 KiB are accessible.
            unsafe { old.base().write_bytes(0x5a, 1 << 16) };
            let mut new = Reservation::new(1 << 21, 1 << 16).unwrap();
            new.set_accessible(1 << 17).unwrap();
            new.take_contents(old, file_range);
            // SAFETY: 128 KiB are accessible.
            let bytes = unsafe { std::slice::from_raw_parts(new.base(), 1 << 17) };
            assert!(bytes[..1 << 16].iter().all(|&byte| byte == 0x5a));
            assert!(bytes[1 << 16..].iter().all(|&byte| byte == 0));
        }
    }

    #[test]
    fn moving_unmaps_the_old_place() {
        // Address space would run out at 128 TiB.
        let reserve = || {
            let mut reservation = Reservation::new(1 << 40, 0).unwrap();
            reservation.set_accessible(1 << 16).unwrap();
            reservation
        };
        let mut old = reserve();
        for _ in 0..200 {
            let mut new = reserve();
            new.take_contents(old, 0..0);
            old = new;
        }
    }
}
