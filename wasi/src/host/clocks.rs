//! The two clocks a guest has: real time and monotonic time.
//!
//! CPU-time clocks are absent: they would show the guest how busy the embedder's other threads are.
//!
//! An embedder may provide clocks of its own, which may go as they like. Monotonic time never goes back for the guest, whatever
//! such a clock shows.

use rustix::time::{ClockId, Timespec};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// A clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// Nanoseconds since 1970.
    Realtime,
    /// Nanoseconds since the context was made.
    Monotonic,
}

/// Clocks of the embedder's. Called by the thread that uses the store, which they must not use.
pub trait ClockSource: Send + Sync {
    /// What `clock` shows, in nanoseconds; `None` where that is what the system's shows.
    fn now(&self, clock: Clock) -> Option<u64>;

    /// The length of `clock`'s tick in nanoseconds; `None` where that is the system's.
    fn resolution(&self, _clock: Clock) -> Option<u64> {
        None
    }

    /// The guest sleeps until `clock` shows `deadline`, unless something else happens that it waits for. A clock that doesn't go
    /// by itself may be set now. Whether it was: otherwise it is looked at now and then while real time passes.
    fn skip_to(&self, _clock: Clock, _deadline: u64) -> bool {
        false
    }
}

impl Clock {
    /// All of them, in the order of their numbers.
    pub const ALL: [Clock; 2] = [Clock::Realtime, Clock::Monotonic];
}

/// The clocks of one context.
pub struct Clocks {
    /// The host's monotonic time when the context was made, in nanoseconds: guests don't learn the host's uptime.
    origin: u64,
    /// The guest's monotonic time at the origin: zero, or what it had seen before it was kept.
    base: u64,
    /// The embedder's clocks.
    source: Option<Box<dyn ClockSource>>,
    /// The latest monotonic time that the embedder's clock has shown.
    latest: AtomicU64,
}

impl Clocks {
    /// Clocks whose monotonic time starts now.
    pub fn new() -> Self {
        Self { origin: host_time(ClockId::Monotonic), base: 0, source: None, latest: AtomicU64::new(0) }
    }

    /// The embedder's.
    pub fn of(source: Option<Box<dyn ClockSource>>) -> Self {
        Self { source, ..Self::new() }
    }

    /// Lets monotonic time go on from `base`, in nanoseconds.
    pub fn go_on_from(&mut self, base: u64) {
        self.base = base;
        self.latest = AtomicU64::new(base);
    }

    /// Whether time may pass otherwise than the system's.
    pub fn are_virtual(&self) -> bool {
        self.source.is_some()
    }

    /// Lets the embedder set `clock` to `deadline`, for which the guest sleeps; tells whether it now shows another time.
    pub fn skip_to(&self, clock: Clock, deadline: u64) -> bool {
        let Some(source) = &self.source else { return false };
        let before = self.now(clock);
        source.skip_to(clock, deadline) && self.now(clock) != before
    }

    /// What `clock` shows, in nanoseconds.
    pub fn now(&self, clock: Clock) -> u64 {
        if let Some(source) = &self.source
            && let Some(now) = source.now(clock)
        {
            return match clock {
                Clock::Realtime => now,
                Clock::Monotonic => self.latest.fetch_max(now, Ordering::Relaxed).max(now),
            };
        }
        match clock {
            Clock::Realtime => host_time(ClockId::Realtime),
            Clock::Monotonic => host_time(ClockId::Monotonic).saturating_sub(self.origin).saturating_add(self.base),
        }
    }

    /// The length of `clock`'s tick in nanoseconds; never zero.
    pub fn resolution(&self, clock: Clock) -> u64 {
        if let Some(resolution) = self.source.as_ref().and_then(|source| source.resolution(clock)) {
            return resolution.max(1);
        }
        let host = match clock {
            Clock::Realtime => ClockId::Realtime,
            Clock::Monotonic => ClockId::Monotonic,
        };
        nanoseconds(rustix::time::clock_getres(host)).max(1)
    }
}

impl Default for Clocks {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Clocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clocks").field("virtual", &self.are_virtual()).finish_non_exhaustive()
    }
}

fn host_time(clock: ClockId) -> u64 {
    nanoseconds(rustix::time::clock_gettime(clock))
}

/// `time` in nanoseconds; times before 1970 become 0, those after 2554 the largest number.
pub fn nanoseconds(time: Timespec) -> u64 {
    let Ok(seconds) = u64::try_from(time.tv_sec) else { return 0 };
    seconds.saturating_mul(1_000_000_000).saturating_add(u64::try_from(time.tv_nsec).unwrap_or(0))
}

/// `nanoseconds` as the host writes a time.
pub fn timespec(nanoseconds: u64) -> Timespec {
    // Both fit: 2^64 ns are about 2^34 s.
    Timespec { tv_sec: (nanoseconds / 1_000_000_000) as i64, tv_nsec: (nanoseconds % 1_000_000_000) as _ }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_survive_the_way_there_and_back() {
        for time in [0, 1, 999_999_999, 1_000_000_000, u64::MAX] {
            assert_eq!(nanoseconds(timespec(time)), time);
        }
    }

    #[test]
    fn odd_host_times_saturate() {
        assert_eq!(nanoseconds(Timespec { tv_sec: -1, tv_nsec: 5 }), 0);
        assert_eq!(nanoseconds(Timespec { tv_sec: i64::MAX, tv_nsec: 5 }), u64::MAX);
    }

    #[test]
    fn monotonic_time_starts_at_the_context_and_goes_on() {
        let clocks = Clocks::new();
        let first = clocks.now(Clock::Monotonic);
        assert!(first < 60_000_000_000);
        assert!(clocks.now(Clock::Monotonic) >= first);
        assert!(clocks.now(Clock::Realtime) > 1_600_000_000_000_000_000);
        assert!(clocks.resolution(Clock::Monotonic) >= 1);
    }

    #[derive(Default)]
    struct Jumpy {
        calls: AtomicU64,
    }

    impl ClockSource for Jumpy {
        fn now(&self, clock: Clock) -> Option<u64> {
            let call = self.calls.fetch_add(1, Ordering::Relaxed);
            (clock == Clock::Monotonic).then(|| [7, 3, 9, 0][call as usize % 4])
        }

        fn resolution(&self, _: Clock) -> Option<u64> {
            Some(0)
        }
    }

    #[test]
    fn monotonic_time_goes_on_from_where_it_was() {
        let hour = 3_600_000_000_000;
        for source in [None, Some(Box::<Jumpy>::default() as Box<dyn ClockSource>)] {
            let is_virtual = source.is_some();
            let mut clocks = Clocks::of(source);
            clocks.go_on_from(hour);
            let now = clocks.now(Clock::Monotonic);
            assert!(if is_virtual { now == hour } else { (hour..2 * hour).contains(&now) }, "{now}");
            clocks.go_on_from(u64::MAX);
            assert_eq!(clocks.now(Clock::Monotonic), u64::MAX);
        }
    }

    #[test]
    fn monotonic_time_of_an_embedder_never_goes_back() {
        let clocks = Clocks::of(Some(Box::new(Jumpy::default())));
        let shown: Vec<u64> = (0..4).map(|_| clocks.now(Clock::Monotonic)).collect();
        assert_eq!(shown, [7, 7, 9, 9]);
        assert!(clocks.now(Clock::Realtime) > 1_600_000_000_000_000_000, "what isn't provided is the system's");
        assert_eq!(clocks.resolution(Clock::Monotonic), 1);
        assert!(!clocks.skip_to(Clock::Monotonic, 100));
    }
}
