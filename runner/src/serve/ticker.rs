//! An engine's epochs as ticks of a clock, which stands still while no guest runs.

use super::guest::TICK;
use ampoule::Engine;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread::Thread;

/// Increments an engine's epoch every [`TICK`], as long as there are guests.
pub struct Ticker {
    guests: Arc<AtomicUsize>,
    thread: Thread,
}

impl Ticker {
    /// Of this engine. Its thread is not waited for: it ends with the process.
    pub fn new(engine: &Engine) -> Self {
        let guests = Arc::new(AtomicUsize::new(0));
        let (engine, counted) = (engine.clone(), guests.clone());
        let thread = std::thread::spawn(move || {
            loop {
                // Whoever makes it more than zero unparks, also a thread that has not parked yet.
                while counted.load(SeqCst) == 0 {
                    std::thread::park();
                }
                std::thread::sleep(TICK);
                engine.increment_epoch();
            }
        });
        Self { guests, thread: thread.thread().clone() }
    }

    /// There is a guest, until this is dropped.
    pub fn begin(&self) -> Ticking {
        if self.guests.fetch_add(1, SeqCst) == 0 {
            self.thread.unpark();
        }
        Ticking(self.guests.clone())
    }
}

/// A guest that is there.
pub struct Ticking(Arc<AtomicUsize>);

impl Drop for Ticking {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn epochs_go_on_only_while_there_are_guests() {
        let engine = Engine::new(&crate::base_config()).expect("an engine");
        let ticker = Ticker::new(&engine);
        let ticks = |time| {
            let before = engine.epoch_now();
            std::thread::sleep(time);
            engine.epoch_now() - before
        };
        assert_eq!(ticks(TICK * 5), 0);
        for _ in 0..2 {
            let guests = [ticker.begin(), ticker.begin()];
            while ticks(TICK) == 0 {}
            drop(guests);
            // One may be on its way.
            std::thread::sleep(TICK * 3);
            assert_eq!(ticks(Duration::from_millis(100)), 0);
        }
    }
}
