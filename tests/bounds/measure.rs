//! What a piece of work costs: processor time, and bytes of the heap.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The system's allocator, counted.
struct Counted;

#[global_allocator]
static COUNTED: Counted = Counted;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);
static TOTAL: AtomicUsize = AtomicUsize::new(0);

fn took(bytes: usize) {
    TOTAL.fetch_add(bytes, Relaxed);
    PEAK.fetch_max(LIVE.fetch_add(bytes, Relaxed) + bytes, Relaxed);
}

fn gave(bytes: usize) {
    LIVE.fetch_sub(bytes, Relaxed);
}

// SAFETY: the system's allocator does all of it.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        took(layout.size());
        // SAFETY: the caller's promise is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        took(layout.size());
        // SAFETY: the caller's promise is the same.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        gave(layout.size());
        // SAFETY: the caller's promise is the same.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Both are there while one is copied to the other.
        took(size);
        gave(layout.size());
        // SAFETY: the caller's promise is the same.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// What a piece of work cost.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// Processor time of the process, in all its threads.
    pub time: Duration,
    /// How much more of the heap was in use at the worst moment than before.
    pub peak: usize,
    /// All that was asked of the heap.
    pub total: usize,
}

impl Cost {
    /// What it is known to cost after another attempt: the less of time, and of all that was asked of the heap. The peak is that of the
    /// later attempt, whichever is less: what others had left on the heap may have been freed in the first, and hides it.
    pub fn again(self, later: Cost) -> Cost {
        Cost { time: self.time.min(later.time), peak: later.peak, total: self.total.min(later.total) }
    }
}

/// Does a piece of work and says what it cost. One is measured at a time.
pub fn measure<T>(work: impl FnOnce() -> T) -> (T, Cost) {
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let live = LIVE.load(Relaxed);
    PEAK.store(live, Relaxed);
    let (total, time) = (TOTAL.load(Relaxed), processor_time());
    let result = work();
    let cost = Cost {
        time: processor_time() - time,
        peak: PEAK.load(Relaxed).saturating_sub(live),
        total: TOTAL.load(Relaxed) - total,
    };
    (result, cost)
}

fn processor_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is there to be written.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    assert_eq!(result, 0);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
