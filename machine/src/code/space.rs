//! The code space: the part of the address space in which all machine code of this process lies.
//!
//! One file in memory is mapped twice: readable and executable, where code runs, and readable and writable, where the engine
//! writes it. No page is ever writable and executable at one address (docs/security.md, rule 16), no permission ever
//! changes, and nothing stops while code is written. The file is sparse; unused pages cost nothing.
//!
//! A [`Region`] is a range of it with one owner. Freed regions are punched out of the file, and used again.
//!
//! On x86 the writes of one core are seen by the instruction fetch of all. What must not happen is that a core runs bytes it
//! fetched before they were written; code is only ever reached through pointers and jumps published after the writes, and the pages of
//! a freed region leave the page tables before they are used again.
//!
//! A forked child must not see what its parent does to shared pages, so the child gets a file of its own, with a copy that is
//! made just before the fork, while no region can come or go.

use crate::code::free_ranges::FreeRanges;
use crate::code::{debugger, unwind_info};
use crate::os::fork;
use crate::os::mmap::{Access, Mapping, PAGE, memory_file, write_at};
use crate::os::sync::{Mutex, MutexGuard};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{FallocateFlags, SeekFrom};
use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// The most a region may have, so that 32-bit displacements reach from end to end.
pub const REGION_MAX: usize = 1 << 31;

/// The sizes tried for the code space, in bytes: a limit on the address space may forbid the larger ones.
const SPACE_SIZES: [usize; 7] = [64 << 30, 32 << 30, 16 << 30, 8 << 30, 4 << 30, 1 << 30, 256 << 20];

/// The code space's bounds, for the signal handler. Zero until there is one; then constant.
static START: AtomicUsize = AtomicUsize::new(0);
static END: AtomicUsize = AtomicUsize::new(0);

/// The code space, made for the first region. Never given back.
static SPACE: Mutex<Option<Space>> = Mutex::new(None);

/// Whether some engine wants unwinders to find their way through code.
static DESCRIBED: AtomicBool = AtomicBool::new(false);

/// Tells the system's unwinder, and debuggers, how frames of guest code are walked, now or when there is a code space. For good: the code space
/// stays as well.
pub fn describe_frames() {
    if !DESCRIBED.swap(true, Ordering::AcqRel)
        && let Some(space) = &*lock()
    {
        space.describe_frames();
    }
}

/// Whether code lies in anonymous memory where it runs, instead of in the file.
static ANONYMOUS: AtomicBool = AtomicBool::new(false);

/// Puts code that comes from now on into anonymous memory where it runs, at the price of whole pages for each piece: `perf` looks for
/// the names in a map only where no file is mapped. No page is ever both writable and executable for that either: it is filled
/// before it may run.
pub fn use_anonymous_memory() {
    ANONYMOUS.store(true, Ordering::Relaxed);
}

/// What the start of a piece of code must be a multiple of, beyond the code's own wishes.
pub fn granularity() -> usize {
    if ANONYMOUS.load(Ordering::Relaxed) { PAGE } else { 1 }
}

/// Whether a program counter is in the code space. May be called from a signal handler.
pub fn contains(pc: usize) -> bool {
    START.load(Ordering::Acquire) <= pc && pc < END.load(Ordering::Acquire)
}

struct Space {
    file: OwnedFd,
    exec: Mapping,
    write: Mapping,
    free: FreeRanges,
    /// Ranges of `exec` over which files of others, or anonymous memory, are mapped, start to length.
    files: BTreeMap<usize, usize>,
    /// The child of a fork for which no copy could be made: its code is gone.
    lost: bool,
}

/// A range of the code space, owned by whoever owns the value.
///
/// 1. `start..start + len` is at page boundaries inside of the space, and in no other region.
/// 2. The addresses behind `exec` and `write` are those of `start` in the two mappings, which live as long as the process.
/// 3. Nothing runs in it any more when it is dropped.
#[derive(Debug)]
pub struct Region {
    start: usize,
    len: usize,
    exec: usize,
    write: usize,
}

impl Region {
    /// A region of at least `len` bytes, at most [`REGION_MAX`], that read as zeros.
    ///
    /// # Errors
    /// What the operating system says; `OutOfMemory` where the code space is full.
    pub fn new(len: usize) -> io::Result<Self> {
        let len = len.max(1).checked_next_multiple_of(PAGE).filter(|&len| len <= REGION_MAX);
        let len = len.ok_or_else(|| io::Error::from(io::ErrorKind::OutOfMemory))?;
        let mut space = lock();
        if space.is_none() {
            *space = Some(Space::new()?);
        }
        let space = space.as_mut().expect("made above");
        if space.lost {
            return Err(io::Error::other("code memory could not be copied when this process was forked"));
        }
        let start = space.take(len).ok_or_else(|| io::Error::from(io::ErrorKind::OutOfMemory))?;
        // SAFETY: nobody uses what was free.
        if let Err(error) = unsafe { space.write.protect(start..start + len, Access::ReadWrite) } {
            space.give_back(start, len);
            return Err(error);
        }
        Ok(Region { start, len, exec: space.exec.base().addr() + start, write: space.write.base().addr() + start })
    }

    /// Where its first byte is when it runs.
    pub fn exec_base(&self) -> usize {
        self.exec
    }

    /// Bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Never: a region has at least one page.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// The addresses it runs at.
    pub fn exec_range(&self) -> Range<usize> {
        self.exec..self.exec + self.len
    }

    /// Writes code or data that nothing runs or reads yet.
    ///
    /// Goes through the file rather than the writable mapping, so that a lack of memory is an error and not a signal.
    ///
    /// # Errors
    /// What the operating system says.
    ///
    /// # Panics
    /// Where the bytes don't lie inside.
    pub fn write(&self, offset: usize, bytes: &[u8]) -> io::Result<()> {
        self.check(offset, bytes.len());
        let space = lock();
        let space = space.as_ref().expect("a region exists, so does the space");
        write_at(&space.file, bytes, (self.start + offset) as u64)
    }

    /// Tells that these pages were written for good, before anything runs there. A range that doesn't start at a page boundary has
    /// its first page in common with other code, and is left as it is.
    ///
    /// # Errors
    /// What the operating system says, where code is to lie in anonymous memory ([`use_anonymous_memory`]).
    ///
    /// # Panics
    /// Where the range doesn't lie inside.
    pub fn seal(&self, range: Range<usize>) -> io::Result<()> {
        if granularity() == 1 || range.is_empty() || !range.start.is_multiple_of(PAGE) {
            return Ok(());
        }
        let len = range.len().next_multiple_of(PAGE);
        self.check(range.start, len);
        let mut space = lock();
        let space = space.as_mut().expect("a region exists, so does the space");
        let in_space = self.start + range.start..self.start + range.start + len;
        // SAFETY: by the caller nothing writes there any more.
        let code = unsafe { self.bytes(range.start..range.start + len) }.to_vec();
        // As for a file: replaced when the region is freed, and kept by a forked child.
        space.files.insert(in_space.start, len);
        // SAFETY: the range is ours by (1), and nothing runs there yet; it is writable while it is written.
        unsafe {
            space.exec.map_anonymous(in_space.clone(), Access::ReadWrite)?;
            ptr::copy_nonoverlapping(code.as_ptr(), space.exec.base().add(in_space.start), len);
            space.exec.protect(in_space, Access::ReadExec)
        }
    }

    /// Lets the pages that lie wholly in a range take no memory, until something is written there again. Not for code in anonymous memory
    /// ([`use_anonymous_memory`]), nor where a file is mapped.
    ///
    /// # Panics
    /// Where the range doesn't lie inside.
    ///
    /// # Safety
    /// Nothing runs there, or reads there, until it is written again.
    pub unsafe fn release(&self, range: Range<usize>) {
        self.check(range.start, range.len());
        let (start, end) = (range.start.next_multiple_of(PAGE), range.end / PAGE * PAGE);
        let space = lock();
        let space = space.as_ref().expect("a region exists, so does the space");
        if start < end && !space.lost {
            // Where it fails, the memory stays, and can be written all the same.
            space.punch(self.start + start, end - start);
        }
    }

    /// A word that the engine may write while code reads it. The word must have been written once by [`Region::write`].
    ///
    /// # Panics
    /// Where the word doesn't lie inside, or is not aligned.
    pub fn word(&self, offset: usize) -> &AtomicU64 {
        self.check(offset, 8);
        assert_eq!(offset % 8, 0, "a word is aligned");
        // SAFETY: it lies in the writable mapping by (1) and (2), which lives as long as the process, and has memory. Code only reads it.
        unsafe { AtomicU64::from_ptr((self.write + offset) as *mut u64) }
    }

    /// What lies at a range of it.
    ///
    /// # Panics
    /// Where the range doesn't lie inside.
    ///
    /// # Safety
    /// Nothing writes to the range while the slice is used.
    pub unsafe fn bytes(&self, range: Range<usize>) -> &[u8] {
        self.check(range.start, range.len());
        // SAFETY: it lies in the executable mapping by (1) and (2), which can be read; the caller sees to writes.
        unsafe { std::slice::from_raw_parts((self.exec + range.start) as *const u8, range.len()) }
    }

    /// Maps a file, from `file_offset` on, over a part of where the region runs. The file must keep its length.
    ///
    /// # Errors
    /// What the operating system says.
    ///
    /// # Panics
    /// Where the range doesn't lie inside or is not at page boundaries.
    pub fn map_file(&self, range: Range<usize>, file: impl AsFd, file_offset: u64) -> io::Result<()> {
        self.check(range.start, range.len());
        let mut space = lock();
        let space = space.as_mut().expect("a region exists, so does the space");
        let in_space = self.start + range.start..self.start + range.end;
        // Noted even if mapping fails: what lies there is then unknown, and replaced when the region is freed.
        space.files.insert(in_space.start, in_space.len());
        // SAFETY: the range is ours by (1), and nothing runs there yet.
        unsafe { space.exec.map_private(in_space, file, file_offset, Access::ReadExec) }
    }

    fn check(&self, offset: usize, len: usize) {
        let end = offset.checked_add(len);
        assert!(end.is_some_and(|end| end <= self.len), "{offset} + {len} is not inside of {} bytes", self.len);
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        let mut space = lock();
        space.as_mut().expect("a region exists, so does the space").give_back(self.start, self.len);
    }
}

impl Space {
    fn new() -> io::Result<Self> {
        // A process may not be allowed files of any size; asking for more would raise a signal.
        let file_limit = rustix::process::getrlimit(rustix::process::Resource::Fsize).current.unwrap_or(u64::MAX);
        let mut result = Err(io::ErrorKind::OutOfMemory.into());
        for size in SPACE_SIZES.into_iter().filter(|&size| size as u64 <= file_limit) {
            result = Self::of_size(size);
            if result.is_ok() {
                break;
            }
        }
        let space = result?;
        fork::add_hook(&COPY_ON_FORK)?;
        let start = space.exec.base().addr();
        // `END` last: until then the bounds are empty.
        START.store(start, Ordering::Release);
        END.store(start + space.exec.len(), Ordering::Release);
        if DESCRIBED.load(Ordering::Acquire) {
            space.describe_frames();
        }
        Ok(space)
    }

    fn of_size(size: usize) -> io::Result<Self> {
        let file = memory_file("ampoule-code", size)?;
        let exec = Mapping::shared_file(&file, size, Access::ReadExec)?;
        // Region by region, as they are made: a gigantic writable mapping is a gift to wild writes, and takes leak checkers
        // for ever to search.
        let write = Mapping::shared_file(&file, size, Access::None)?;
        Ok(Space { file, exec, write, free: FreeRanges::of(0..size), files: BTreeMap::new(), lost: false })
    }

    /// Under the lock, so that no fork comes between and leaves the child with an unwinder whose own lock is taken.
    fn describe_frames(&self) {
        let start = self.exec.base().addr();
        // SAFETY: all code that compilers make keeps frame pointers (docs/vm-layout.md), and nothing else runs in the code space.
        unsafe { unwind_info::register(start..start + self.exec.len()) };
        debugger::register(start..start + self.exec.len());
    }

    /// The upper end of the last free range that is large enough. The system puts a new mapping below those it has, the library's among
    /// them, so that is where jumps between code and library are short: processors forget targets, now and then, that are far away.
    fn take(&mut self, len: usize) -> Option<usize> {
        self.free.take_last(len)
    }

    fn give_back(&mut self, start: usize, len: usize) {
        if !self.clear(start, len) {
            // The memory and the range stay taken: better than code of the last owner in the hands of the next.
            return;
        }
        self.free.give_back(start..start + len);
    }

    /// Makes a range read as zeros again, without memory.
    fn clear(&mut self, start: usize, len: usize) -> bool {
        let files: Vec<_> = self.files.range(start..start + len).map(|(&start, &len)| (start, len)).collect();
        for (at, len) in files {
            // SAFETY: nothing runs in a region that is given back.
            if unsafe { self.exec.map_shared(at..at + len, &self.file, at as u64, Access::ReadExec) }.is_err() {
                return false;
            }
            self.files.remove(&at);
        }
        // SAFETY: nothing uses a region that is given back. Where it fails, the range is writable for longer than it should be.
        let _ = unsafe { self.write.protect(start..start + len, Access::None) };
        self.lost || self.punch(start, len)
    }

    /// Gives the memory of whole pages back to the system. They read as zeros then.
    fn punch(&self, start: usize, len: usize) -> bool {
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        rustix::fs::fallocate(&self.file, flags, start as u64, len as u64).is_ok()
    }

    /// A file with the same content.
    fn copy_file(&self) -> io::Result<OwnedFd> {
        let size = self.exec.len() as u64;
        let copy = memory_file("ampoule-code", size as usize)?;
        let mut at = 0;
        while at < size {
            let start = match rustix::fs::seek(&self.file, SeekFrom::Data(at)) {
                Ok(start) => start,
                // Nothing but a hole from here on.
                Err(rustix::io::Errno::NXIO) => break,
                Err(error) => return Err(error.into()),
            };
            let end = rustix::fs::seek(&self.file, SeekFrom::Hole(start))?;
            // SAFETY: it lies in the mapping and has memory. Regions can't come or go now; words that change meanwhile are read by
            // the kernel, in one piece or another, and belong to threads the child doesn't have.
            let data = unsafe {
                std::slice::from_raw_parts(self.write.base().add(start as usize).cast_const(), (end - start) as usize)
            };
            write_at(&copy, data, start)?;
            at = end;
        }
        Ok(copy)
    }

    /// Puts `file` in place of ours in both mappings. Allocates nothing: runs in the child of a fork.
    fn replace_file(&mut self, file: OwnedFd) -> io::Result<()> {
        let size = self.exec.len();
        // SAFETY: the content is the same, so whatever points into the mapping finds what it found before. There is only this thread.
        unsafe { self.write.map_shared(0..size, &file, 0, Access::None)? };
        // Writable is what regions have, as in the parent.
        let mut at = 0;
        for free in self.free.iter().chain(std::iter::once(size..size)) {
            if at < free.start {
                // SAFETY: it lies in the mapping.
                unsafe { self.write.protect(at..free.start, Access::ReadWrite)? };
            }
            at = free.end;
        }
        let mut at = 0;
        for (&start, &len) in self.files.iter().chain([(&size, &0)]) {
            // SAFETY: as above; what is mapped from other files stays, since it is private to each process.
            unsafe { self.exec.map_shared(at..start, &file, at as u64, Access::ReadExec)? };
            at = start + len;
        }
        self.file = file;
        Ok(())
    }

    /// Makes the shared pages unreachable: the parent's must not be touched.
    fn lose(&mut self) {
        self.lost = true;
        let size = self.exec.len();
        // SAFETY: running or writing code faults from here on, which is what a process without its code must do.
        let lost = unsafe {
            self.write.map_anonymous(0..size, Access::None).and(self.exec.map_anonymous(0..size, Access::None))
        };
        if lost.is_err() {
            std::process::abort();
        }
    }
}

fn lock() -> MutexGuard<'static, Option<Space>> {
    SPACE.lock()
}

/// Gives the child of a fork its own copy of the file.
struct CopyOnFork {
    /// The child's file, while a fork is in progress.
    copy: Mutex<Option<io::Result<OwnedFd>>>,
}

static COPY_ON_FORK: CopyOnFork = CopyOnFork { copy: Mutex::new(None) };

impl fork::Hook for CopyOnFork {
    fn before(&self) {
        let copy = match &*lock() {
            Some(space) if !space.lost => space.copy_file(),
            _ => Err(io::ErrorKind::NotFound.into()),
        };
        *self.copy.lock() = Some(copy);
    }

    fn in_parent(&self) {
        *self.copy.lock() = None;
    }

    fn in_child(&self) {
        let copy = self.copy.lock().take();
        if let (Some(space), Some(copy)) = (lock().as_mut(), copy)
            && !copy.is_ok_and(|copy| space.replace_file(copy).is_ok())
        {
            space.lose();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_freed_region_reads_as_zeros_when_it_is_used_again() {
        let mut seen = Vec::new();
        for round in 0..64 {
            let region = Region::new(2 * PAGE).unwrap();
            // SAFETY: nobody else writes to the region.
            assert_eq!(unsafe { region.bytes(0..4) }, [0; 4]);
            region.write(0, b"code").unwrap();
            // SAFETY: as above.
            assert_eq!(unsafe { region.bytes(0..4) }, b"code");
            seen.push(region.exec_base());
            assert!(round == 0 || contains(region.exec_base()));
        }
        let distinct: std::collections::BTreeSet<_> = seen.iter().collect();
        assert!(distinct.len() < 64, "no range was ever used again");
    }

    #[test]
    fn words_written_are_read_where_code_runs() {
        let region = Region::new(PAGE).unwrap();
        region.write(0, &[0; 16]).unwrap();
        region.word(8).store(0x1122_3344_5566_7788, Ordering::Release);
        // SAFETY: nobody writes to the region any more.
        assert_eq!(unsafe { region.bytes(8..16) }, 0x1122_3344_5566_7788u64.to_le_bytes());
    }

    #[test]
    fn a_file_lies_over_the_region_until_it_is_freed() {
        let file = memory_file("test", PAGE).unwrap();
        write_at(&file, b"file", 0).unwrap();
        let mut space = Space::of_size(4 * PAGE).unwrap();
        let start = space.take(2 * PAGE).unwrap();
        space.files.insert(start, PAGE);
        // SAFETY: nothing else points into the space.
        unsafe { space.exec.map_private(start..start + PAGE, &file, 0, Access::ReadExec).unwrap() };
        // SAFETY: the page can be read.
        assert_eq!(unsafe { space.exec.base().add(start).read() }, b'f');
        space.give_back(start, 2 * PAGE);
        // SAFETY: the page can be read.
        assert_eq!(unsafe { space.exec.base().add(start).read() }, 0);
        assert!(space.files.is_empty());
    }
}
