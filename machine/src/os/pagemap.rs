//! Which pages of a range this process has written: the kernel's page map, asked with one `ioctl`.

use crate::os::mmap::PAGE;
use crate::os::sync::OnceLock;
use rustix::fs::{Mode, OFlags};
use rustix::io;
use rustix::ioctl::{Ioctl, IoctlOutput, Opcode, opcode};
use rustix::mm::{Advice, MapFlags, ProtFlags};
use std::ffi::c_void;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::ptr::{self, NonNull};

/// Ranges that one scan finds at most.
pub const MAX_RANGES: usize = 64;

/// Where [`written_pages`] writes its answer: so much is better not moved about.
pub struct ScanBuffer([PageRegion; MAX_RANGES]);

impl Default for ScanBuffer {
    #[inline]
    fn default() -> Self {
        Self([PageRegion::default(); MAX_RANGES])
    }
}

/// The answer of [`written_pages`].
pub struct WrittenPages<'a> {
    regions: &'a [PageRegion],
    scanned_end: usize,
}

impl WrittenPages<'_> {
    /// Addresses of the pages with contents of their own, in order, up to [`WrittenPages::scanned_end`]. All others up to
    /// there read as zeros, or as the file mapped there.
    pub fn ranges(&self) -> impl Iterator<Item = Range<usize>> {
        self.regions.iter().map(|region| region.start as usize..region.end as usize)
    }

    /// Where the scan ended: at the end of what was asked for, or where it had found enough.
    pub fn scanned_end(&self) -> usize {
        self.scanned_end
    }
}

/// Finds the private pages that have been written in a range of page-aligned addresses; stops after `max_pages`. Swapped-out
/// pages count as well.
///
/// `None` where the kernel (before 6.7) or a sandbox doesn't answer.
pub fn written_pages(start: usize, end: usize, max_pages: usize, buffer: &mut ScanBuffer) -> Option<WrittenPages<'_>> {
    static PAGE_MAP: OnceLock<Option<PageMap>> = OnceLock::new();
    PAGE_MAP.get_or_init(PageMap::open).as_ref()?.scan(start, end, max_pages, buffer)
}

/// Bytes of the pages that have been written, among those of a range that starts where a page does; pages count as a whole, but not
/// beyond the range. `None` as for [`written_pages`].
pub fn written_bytes(start: usize, len: usize) -> Option<u64> {
    let (mut at, end) = (start, start + len);
    let (mut sum, mut buffer) = (0, ScanBuffer::default());
    while at < end {
        let found = written_pages(at, end.next_multiple_of(PAGE), usize::MAX / PAGE, &mut buffer)?;
        sum += found.ranges().map(|range| (range.end.min(end) - range.start) as u64).sum::<u64>();
        // It always gets further; were that not so, nobody should wait for it.
        at = Some(found.scanned_end()).filter(|&scanned| scanned > at)?;
    }
    Some(sum)
}

/// `/proc/self/pagemap`, opened once. The file stays that of the process which opened it: a forked child would read of its
/// parent's pages.
struct PageMap {
    file: OwnedFd,
    /// A byte that is 1 here and 0 in a forked child.
    ours: NonNull<u8>,
}

// SAFETY: `ours` is never written after `open`, and never unmapped.
unsafe impl Send for PageMap {}
// SAFETY: as above.
unsafe impl Sync for PageMap {}

impl PageMap {
    fn open() -> Option<Self> {
        let file = rustix::fs::open("/proc/self/pagemap", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a fresh mapping at a place the system chooses, written before anybody else knows it.
        let ours = unsafe {
            let page = rustix::mm::mmap_anonymous(ptr::null_mut(), PAGE, protection, MapFlags::PRIVATE).ok()?;
            rustix::mm::madvise(page, PAGE, Advice::LinuxWipeOnFork).ok()?;
            page.cast::<u8>().write(1);
            NonNull::new(page.cast::<u8>())?
        };
        Some(Self { file, ours })
    }

    fn scan<'a>(
        &self,
        start: usize,
        end: usize,
        max_pages: usize,
        buffer: &'a mut ScanBuffer,
    ) -> Option<WrittenPages<'a>> {
        // SAFETY: mapped for the process's life. Volatile, as the kernel changes it in a child.
        if unsafe { self.ours.as_ptr().read_volatile() } != 1 {
            return None;
        }
        let mut scan = PageMapScan {
            size: size_of::<PageMapScan>() as u64,
            start: start as u64,
            end: end as u64,
            vec: buffer.0.as_mut_ptr() as u64,
            vec_len: MAX_RANGES as u64,
            max_pages: max_pages as u64,
            // Neither of a file nor the shared page of zeros, but present or swapped out.
            category_inverted: PAGE_IS_FILE | PAGE_IS_PFNZERO,
            category_mask: PAGE_IS_FILE | PAGE_IS_PFNZERO,
            category_anyof_mask: PAGE_IS_PRESENT | PAGE_IS_SWAPPED,
            return_mask: PAGE_IS_PRESENT,
            ..PageMapScan::default()
        };
        // SAFETY: the structs are the kernel's (linux/fs.h), and `vec` has room for `vec_len` regions.
        let len = unsafe { rustix::ioctl::ioctl(&self.file, Scan(&mut scan)) }.ok()?;
        let scanned_end = usize::try_from(scan.walk_end).ok()?;
        // Whoever closed all files of the process may have put another in this place, which answers something else.
        let found = WrittenPages { regions: buffer.0.get(..len)?, scanned_end };
        if !(start..=end).contains(&scanned_end) {
            return None;
        }
        let inside = found.ranges().all(|range| start <= range.start && range.start <= range.end && range.end <= end);
        inside.then_some(found)
    }
}

const PAGE_IS_FILE: u64 = 1 << 2;
const PAGE_IS_PRESENT: u64 = 1 << 3;
const PAGE_IS_SWAPPED: u64 = 1 << 4;
const PAGE_IS_PFNZERO: u64 = 1 << 5;

/// `struct page_region` of `linux/fs.h`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct PageRegion {
    start: u64,
    end: u64,
    categories: u64,
}

/// `struct pm_scan_arg` of `linux/fs.h`.
#[repr(C)]
#[derive(Default)]
struct PageMapScan {
    size: u64,
    flags: u64,
    start: u64,
    end: u64,
    walk_end: u64,
    vec: u64,
    vec_len: u64,
    max_pages: u64,
    category_inverted: u64,
    category_mask: u64,
    category_anyof_mask: u64,
    return_mask: u64,
}

/// `PAGEMAP_SCAN`.
struct Scan<'a>(&'a mut PageMapScan);

// SAFETY: the opcode reads and writes a `pm_scan_arg`, which is what the pointer points to, and answers a count.
unsafe impl Ioctl for Scan<'_> {
    type Output = usize;
    const IS_MUTATING: bool = true;

    fn opcode(&self) -> Opcode {
        opcode::read_write::<PageMapScan>(b'f', 16)
    }

    fn as_ptr(&mut self) -> *mut c_void {
        ptr::from_mut(self.0).cast()
    }

    unsafe fn output_from_ptr(count: IoctlOutput, _: *mut c_void) -> io::Result<usize> {
        usize::try_from(count).map_err(|_| io::Errno::INVAL)
    }
}
