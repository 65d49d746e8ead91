//! Address space: reserving it, giving parts of it memory, taking the memory away again.

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::MemfdFlags;
use rustix::mm::{Advice, MapFlags, MprotectFlags, ProtFlags};
use std::io;
use std::ops::Range;
use std::ptr::NonNull;

/// Bytes in a page.
pub const PAGE: usize = 4096;

/// What may be done with pages. There is deliberately no way to have both writable and executable pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Any access faults.
    None,
    /// Reading.
    Read,
    /// Reading and writing.
    ReadWrite,
    /// Reading and running.
    ReadExec,
}

impl Access {
    fn prot(self) -> ProtFlags {
        match self {
            Access::None => ProtFlags::empty(),
            Access::Read => ProtFlags::READ,
            Access::ReadWrite => ProtFlags::READ | ProtFlags::WRITE,
            Access::ReadExec => ProtFlags::READ | ProtFlags::EXEC,
        }
    }

    fn mprotect(self) -> MprotectFlags {
        match self {
            Access::None => MprotectFlags::empty(),
            Access::Read => MprotectFlags::READ,
            Access::ReadWrite => MprotectFlags::READ | MprotectFlags::WRITE,
            Access::ReadExec => MprotectFlags::READ | MprotectFlags::EXEC,
        }
    }
}

/// A range of address space.
///
/// 1. `base` starts `len` bytes that this value owns; `base` and `len` are multiples of [`PAGE`], and `len` is not zero.
/// 2. Nothing else maps or unmaps anything in that range.
/// 3. Dropping it unmaps the range.
///
/// The methods that change what lies in a range are unsafe because the value can't know who points into it; they check that the
/// range lies inside and is page-aligned, and panic otherwise.
#[derive(Debug)]
pub struct Mapping {
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: a range of addresses belongs to no thread; every method that changes it is unsafe and says what callers owe.
unsafe impl Send for Mapping {}
// SAFETY: as above; the safe methods only read the two fields.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Reserves `len` bytes, rounded up to pages, of which every access faults. Takes address space but no memory.
    ///
    /// # Errors
    /// What the operating system says; `InvalidInput` for a length of zero or one that can't be rounded up.
    pub fn reserve(len: usize) -> io::Result<Self> {
        Self::anonymous(len, Access::None)
    }

    /// Maps `len` bytes, rounded up to pages, of zeros.
    ///
    /// # Errors
    /// As [`Mapping::reserve`].
    pub fn anonymous(len: usize, access: Access) -> io::Result<Self> {
        let len = page_multiple(len)?;
        // SAFETY: no address is asked for, so nothing that exists is replaced.
        let base = unsafe {
            rustix::mm::mmap_anonymous(
                std::ptr::null_mut(),
                len,
                access.prot(),
                MapFlags::PRIVATE | MapFlags::NORESERVE,
            )?
        };
        Ok(Self::owning(base, len))
    }

    /// Maps the first `len` bytes of a file, rounded up to pages, shared with everyone who maps it.
    ///
    /// # Errors
    /// As [`Mapping::reserve`].
    pub fn shared_file(file: impl AsFd, len: usize, access: Access) -> io::Result<Self> {
        let len = page_multiple(len)?;
        // SAFETY: no address is asked for, so nothing that exists is replaced.
        let base = unsafe {
            rustix::mm::mmap(std::ptr::null_mut(), len, access.prot(), MapFlags::SHARED | MapFlags::NORESERVE, file, 0)?
        };
        Ok(Self::owning(base, len))
    }

    /// Maps the first `len` bytes of a file, rounded up to pages, so that writes stay private.
    ///
    /// The file must not be truncated while mapped: touching what is no longer there kills the process.
    ///
    /// # Errors
    /// As [`Mapping::reserve`].
    pub fn private_file(file: impl AsFd, len: usize, access: Access) -> io::Result<Self> {
        Self::private_part_of_file(file, 0, len, access)
    }

    /// As [`Mapping::private_file`], for bytes from `at` on, which is a multiple of [`PAGE`].
    ///
    /// # Errors
    /// As [`Mapping::reserve`].
    pub fn private_part_of_file(file: impl AsFd, at: u64, len: usize, access: Access) -> io::Result<Self> {
        let len = page_multiple(len)?;
        // SAFETY: no address is asked for, so nothing that exists is replaced.
        let base = unsafe { rustix::mm::mmap(std::ptr::null_mut(), len, access.prot(), MapFlags::PRIVATE, file, at)? };
        Ok(Self::owning(base, len))
    }

    /// Makes two of one: the first `at` bytes, and the rest, which may be nothing.
    ///
    /// # Panics
    /// Where `at` is zero, beyond the end, or no multiple of [`PAGE`].
    pub fn split(self, at: usize) -> (Mapping, Option<Mapping>) {
        let (rest, rest_len) = self.checked(at..self.len);
        assert!(at > 0, "a mapping is not empty");
        let first = Mapping { base: self.base, len: at };
        std::mem::forget(self);
        (first, (rest_len > 0).then(|| Self::owning(rest.cast(), rest_len)))
    }

    /// Makes an anonymous mapping of one kind of access longer, which may move it. Pages keep their contents, new ones are zeros.
    ///
    /// # Errors
    /// What the operating system says; `InvalidInput` for a length that can't be rounded up to pages. Nothing changes.
    ///
    /// # Panics
    /// Where the length is below the present one.
    ///
    /// # Safety
    /// Nobody keeps an address in the mapping.
    pub unsafe fn enlarge(&mut self, len: usize) -> io::Result<()> {
        let len = page_multiple(len)?;
        assert!(len >= self.len, "a mapping of {} bytes doesn't shrink to {len}", self.len);
        // SAFETY: the range is ours by (1); the caller sees to addresses in it.
        let base =
            unsafe { rustix::mm::mremap(self.base.as_ptr().cast(), self.len, len, rustix::mm::MremapFlags::MAYMOVE)? };
        self.base = NonNull::new(base.cast()).expect("the kernel never maps address zero unasked");
        self.len = len;
        Ok(())
    }

    fn owning(base: *mut std::ffi::c_void, len: usize) -> Self {
        Self { base: NonNull::new(base.cast()).expect("the kernel never maps address zero unasked"), len }
    }

    /// The first byte.
    pub fn base(&self) -> *mut u8 {
        self.base.as_ptr()
    }

    /// Bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Never: a mapping has at least one page.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Changes what may be done with a range. Memory that a range already has keeps its content.
    ///
    /// # Errors
    /// What the operating system says, for instance that memory or mappings have run out. Parts of the range may then have
    /// changed.
    ///
    /// # Safety
    /// No reference to bytes of the range may exist that the new access forbids.
    pub unsafe fn protect(&self, range: Range<usize>, access: Access) -> io::Result<()> {
        let (start, len) = self.checked(range);
        if len == 0 {
            return Ok(());
        }
        // SAFETY: the range is ours by (1); the caller sees to references into it.
        unsafe { rustix::mm::mprotect(start.cast(), len, access.mprotect())? };
        Ok(())
    }

    /// Maps `file` from `file_offset` on over a range. Writes stay private.
    ///
    /// # Errors
    /// What the operating system says; the range keeps what it had, or faults.
    ///
    /// # Safety
    /// The range's content is replaced: no reference into it may exist. The file must not be truncated while mapped.
    pub unsafe fn map_private(
        &self,
        range: Range<usize>,
        file: impl AsFd,
        file_offset: u64,
        access: Access,
    ) -> io::Result<()> {
        // SAFETY: passed on to the caller.
        unsafe { self.map_over(range, file, file_offset, access, MapFlags::PRIVATE) }
    }

    /// As [`Mapping::map_private`], but writes reach the file and everyone who maps it.
    ///
    /// # Errors
    /// As [`Mapping::map_private`].
    ///
    /// # Safety
    /// As [`Mapping::map_private`].
    pub unsafe fn map_shared(
        &self,
        range: Range<usize>,
        file: impl AsFd,
        file_offset: u64,
        access: Access,
    ) -> io::Result<()> {
        // SAFETY: passed on to the caller.
        unsafe { self.map_over(range, file, file_offset, access, MapFlags::SHARED) }
    }

    /// Maps a file over a range, private or shared.
    ///
    /// # Safety
    /// As [`Mapping::map_private`].
    unsafe fn map_over(
        &self,
        range: Range<usize>,
        file: impl AsFd,
        file_offset: u64,
        access: Access,
        share: MapFlags,
    ) -> io::Result<()> {
        let (start, len) = self.checked(range);
        if len == 0 {
            return Ok(());
        }
        let flags = share | MapFlags::FIXED | MapFlags::NORESERVE;
        // SAFETY: what is replaced is ours by (1) and (2); the caller sees to references into it.
        unsafe { rustix::mm::mmap(start.cast(), len, access.prot(), flags, file, file_offset)? };
        Ok(())
    }

    /// Replaces a range by anonymous zeros with this access, whatever was mapped there.
    ///
    /// # Errors
    /// What the operating system says; the range keeps what it had, or faults.
    ///
    /// # Safety
    /// The range's content is replaced: no reference into it may exist.
    pub unsafe fn map_anonymous(&self, range: Range<usize>, access: Access) -> io::Result<()> {
        let (start, len) = self.checked(range);
        if len == 0 {
            return Ok(());
        }
        let flags = MapFlags::PRIVATE | MapFlags::FIXED | MapFlags::NORESERVE;
        // SAFETY: what is replaced is ours by (1) and (2); the caller sees to references into it.
        unsafe { rustix::mm::mmap_anonymous(start.cast(), len, access.prot(), flags)? };
        Ok(())
    }

    /// Gives a range's memory back. Anonymous pages then read as zeros, private pages of a file as the file.
    ///
    /// # Errors
    /// What the operating system says; the content is then unchanged, or partly so.
    ///
    /// # Safety
    /// The range's content changes: no reference into it may exist.
    pub unsafe fn reset(&self, range: Range<usize>) -> io::Result<()> {
        let (start, len) = self.checked(range);
        if len == 0 {
            return Ok(());
        }
        // SAFETY: the range is ours by (1); the caller sees to references into it.
        unsafe { rustix::mm::madvise(start.cast(), len, Advice::LinuxDontNeed)? };
        Ok(())
    }

    /// Gives a writable range its memory now, all at once, instead of page by page when they are first touched. Contents stay.
    ///
    /// # Errors
    /// What the operating system says: before Linux 5.14 it can't. Pages then come when they are touched.
    pub fn populate(&self, range: Range<usize>) -> io::Result<()> {
        let (start, len) = self.checked(range);
        if len > 0 {
            // SAFETY: the range is ours by (1), and its content stays.
            unsafe { rustix::mm::madvise(start.cast(), len, Advice::LinuxPopulateWrite)? };
        }
        Ok(())
    }

    /// Asks that a range's memory be given in huge pages, where the system does so when asked. Only costs time where refused.
    pub fn prefer_huge_pages(&self, range: Range<usize>) {
        let (start, len) = self.checked(range);
        if len > 0 {
            // SAFETY: the range is ours by (1), and its content stays.
            let _ = unsafe { rustix::mm::madvise(start.cast(), len, Advice::LinuxHugepage) };
        }
    }

    /// Asks that its memory be given page by page, where the system gives huge pages by itself. Only costs memory where refused.
    pub fn refuse_huge_pages(&self) {
        // SAFETY: the range is ours by (1), and its content stays.
        let _ = unsafe { rustix::mm::madvise(self.base.as_ptr().cast(), self.len, Advice::LinuxNoHugepage) };
    }

    /// The start and length of a range that lies inside, at page boundaries.
    fn checked(&self, range: Range<usize>) -> (*mut u8, usize) {
        assert!(range.start <= range.end && range.end <= self.len, "{range:?} is not inside of {} bytes", self.len);
        assert!(
            range.start.is_multiple_of(PAGE) && range.end.is_multiple_of(PAGE),
            "{range:?} is not at page boundaries"
        );
        (self.base.as_ptr().wrapping_add(range.start), range.len())
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the range is ours by (1), and whoever pointed into it was to be gone before this value.
        let unmapped = unsafe { rustix::mm::munmap(self.base.as_ptr().cast(), self.len) };
        // It can fail where unmapping would split a mapping and their number is exhausted. Then the range stays mapped.
        debug_assert!(unmapped.is_ok(), "unmapping failed: {unmapped:?}");
    }
}

/// A file in memory of `len` zero bytes that take no memory until written.
///
/// # Errors
/// What the operating system says.
pub fn memory_file(name: &str, len: usize) -> io::Result<OwnedFd> {
    let file = rustix::fs::memfd_create(name, MemfdFlags::CLOEXEC)?;
    rustix::fs::ftruncate(&file, len as u64)?;
    Ok(file)
}

/// Writes all of `bytes` to a file.
///
/// # Errors
/// What the operating system says, such as a lack of memory for a file in memory; some bytes may have been written.
pub fn write_at(file: impl AsFd, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = rustix::io::retry_on_intr(|| rustix::io::pwrite(&file, bytes, offset))?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        bytes = &bytes[written..];
        offset += written as u64;
    }
    Ok(())
}

fn page_multiple(len: usize) -> io::Result<usize> {
    len.checked_next_multiple_of(PAGE).filter(|&len| len != 0).ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_reset_reads_as_zeros_and_the_rest_stays() {
        let mapping = Mapping::reserve(3 * PAGE).unwrap();
        // SAFETY: nothing points into the mapping; the accesses are to pages made writable.
        unsafe {
            mapping.protect(0..2 * PAGE, Access::ReadWrite).unwrap();
            mapping.base().write(7);
            mapping.base().add(PAGE).write(8);
            mapping.reset(0..PAGE).unwrap();
            assert_eq!(mapping.base().read(), 0);
            assert_eq!(mapping.base().add(PAGE).read(), 8);
        }
    }

    #[test]
    fn private_writes_do_not_reach_the_file() {
        let file = memory_file("test", PAGE).unwrap();
        write_at(&file, b"file", 0).unwrap();
        let mapping = Mapping::reserve(2 * PAGE).unwrap();
        // SAFETY: nothing points into the mapping; the accesses are to the page mapped.
        unsafe {
            mapping.map_private(PAGE..2 * PAGE, &file, 0, Access::ReadWrite).unwrap();
            assert_eq!(mapping.base().add(PAGE).read(), b'f');
            mapping.base().add(PAGE).write(b'x');
            mapping.reset(PAGE..2 * PAGE).unwrap();
            assert_eq!(mapping.base().add(PAGE).read(), b'f');
        }
    }

    #[test]
    fn the_parts_of_a_mapping_go_one_by_one() {
        let (first, rest) = Mapping::anonymous(4 * PAGE, Access::ReadWrite).unwrap().split(PAGE);
        let (second, rest) = rest.unwrap().split(PAGE);
        let (third, none) = rest.unwrap().split(2 * PAGE);
        assert_eq!((first.len(), second.len(), third.len(), none.is_none()), (PAGE, PAGE, 2 * PAGE, true));
        assert_eq!(
            (second.base() as usize, third.base() as usize),
            (first.base() as usize + PAGE, first.base() as usize + 2 * PAGE)
        );
        drop(second);
        // SAFETY: both are writable, and ours.
        unsafe {
            first.base().write(1);
            third.base().write(3);
        }
    }

    #[test]
    #[should_panic(expected = "is not inside")]
    fn ranges_outside_are_refused() {
        let mapping = Mapping::reserve(PAGE).unwrap();
        // SAFETY: nothing points into the mapping.
        let _ = unsafe { mapping.protect(0..2 * PAGE, Access::Read) };
    }
}
