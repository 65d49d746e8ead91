//! Telling a forked child from its parent, however it was made.
//!
//! Handlers of `pthread_atfork` aren't called by `clone`, `vfork` or `_Fork`, and asking for the process's number is a
//! call to the system. `MADV_WIPEONFORK` needs neither: the kernel zeroes a page in every child that gets a copy of this
//! memory.

use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap};
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

/// A number that differs between a process and each of its children and parents, and stays while a process lives. `None`
/// where the kernel doesn't know how (before Linux 4.14), or has no random number to give.
#[inline]
pub fn mark() -> Option<u64> {
    let page = PAGE.load(Ordering::Acquire);
    let word = if page.is_null() { map_page()? } else { page };
    // SAFETY: such a page is never unmapped, and used as this atomic word alone.
    let word = unsafe { &*word };
    match word.load(Ordering::Relaxed) {
        0 => new_mark(word),
        mark => Some(mark),
    }
}

/// The page that the kernel zeroes in children. Made without a lock: a fork might leave that taken for ever.
static PAGE: AtomicPtr<AtomicU64> = AtomicPtr::new(ptr::null_mut());

/// Enough for the word.
const PAGE_BYTES: usize = 4096;

#[cold]
fn map_page() -> Option<*mut AtomicU64> {
    // SAFETY: a new mapping at an address of the kernel's choice, aligned for anything and zero.
    let page = unsafe {
        mmap_anonymous(ptr::null_mut(), PAGE_BYTES, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE).ok()?
    };
    // SAFETY: the mapping made above, not yet shared.
    let advised = unsafe { madvise(page, PAGE_BYTES, Advice::LinuxWipeOnFork) };
    let installed = match advised {
        Ok(()) => PAGE.compare_exchange(ptr::null_mut(), page.cast(), Ordering::AcqRel, Ordering::Acquire),
        Err(_) => Err(ptr::null_mut()),
    };
    match installed {
        Ok(_) => Some(page.cast()),
        Err(other) => {
            // SAFETY: the mapping made above, which was not shared.
            let _ = unsafe { munmap(page, PAGE_BYTES) };
            // Of another thread that was quicker, if any.
            (!other.is_null()).then_some(other)
        }
    }
}

/// The first mark of this process.
#[cold]
fn new_mark(word: &AtomicU64) -> Option<u64> {
    let new = getrandom::u64().ok()?.max(1);
    Some(word.compare_exchange(0, new, Ordering::Relaxed, Ordering::Relaxed).err().unwrap_or(new))
}
