//! The two clocks a guest has: real time and monotonic time.
//!
//! CPU-time clocks are absent: they would show the guest how busy the embedder's other threads are.

use rustix::time::{ClockId, Timespec};

/// A clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// Nanoseconds since 1970.
    Realtime,
    /// Nanoseconds since the context was made.
    Monotonic,
}

/// The clocks of one context.
#[derive(Debug)]
pub struct Clocks {
    /// The host's monotonic time when the context was made, in nanoseconds: guests don't learn the host's uptime.
    origin: u64,
}

impl Clocks {
    /// Clocks whose monotonic time starts now.
    pub fn new() -> Self {
        Self { origin: host_time(ClockId::Monotonic) }
    }

    /// What `clock` shows, in nanoseconds.
    pub fn now(&self, clock: Clock) -> u64 {
        match clock {
            Clock::Realtime => host_time(ClockId::Realtime),
            Clock::Monotonic => host_time(ClockId::Monotonic).saturating_sub(self.origin),
        }
    }

    /// The length of `clock`'s tick in nanoseconds; never zero.
    pub fn resolution(&self, clock: Clock) -> u64 {
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
}
