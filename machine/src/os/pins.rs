//! Counts of threads that use what a shared pointer leads to, so that who takes the pointer away can wait for them.
//!
//! Who follows the pointer counts up before reading it; who takes it away clears it, then waits until the count is zero. A forked child is without
//! the threads that its parent's count was about: their count is that of another generation, which is none.

use super::fork;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

/// Such a count. It may be changed by signal handlers.
#[derive(Debug, Default)]
pub struct Pins(AtomicU64);

/// One that was counted.
pub struct Pinned<'a> {
    pins: &'a AtomicU64,
    generation: u32,
}

fn parts(word: u64) -> (u32, u32) {
    ((word >> 32) as u32, word as u32)
}

impl Pins {
    /// Counts the calling thread.
    pub fn pin(&self) -> Pinned<'_> {
        let generation = fork::generation();
        let count = |word| Some(if parts(word).0 == generation { word + 1 } else { (u64::from(generation) << 32) + 1 });
        self.0.fetch_update(SeqCst, SeqCst, count).expect("there is always one more");
        Pinned { pins: &self.0, generation }
    }

    /// Waits until nobody uses what a pointer that was just cleared led to.
    pub fn wait_unpinned(&self) {
        while let (generation, 1..) = parts(self.0.load(SeqCst))
            && generation == fork::generation()
        {
            std::thread::yield_now();
        }
    }
}

impl Drop for Pinned<'_> {
    fn drop(&mut self) {
        // In a child that was forked meanwhile, by a signal handler, the count is of the parent's threads, and stays as it is.
        let uncount = |word| (parts(word).0 == self.generation).then(|| word - 1);
        let _ = self.pins.fetch_update(SeqCst, SeqCst, uncount);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_goes_on_when_nobody_is_counted() {
        let pins = Pins::default();
        let pinned = pins.pin();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| pins.wait_unpinned());
            std::thread::sleep(std::time::Duration::from_millis(10));
            assert!(!waiting.is_finished());
            drop(pins.pin());
            drop(pinned);
        });
        pins.wait_unpinned();
    }

    #[test]
    fn a_child_does_not_wait_for_its_parents_threads() {
        fork::watch().unwrap();
        let pins = Pins::default();
        let _pinned = pins.pin();
        fork::tests::assert_in_child(|| {
            pins.wait_unpinned();
            drop(pins.pin());
            pins.wait_unpinned();
            true
        });
    }
}
