//! How many random programs are tried, and what of them was compared.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

/// A line tells how far a long run has come, each time there are so many programs more: what is ended early has counted, too.
const PROGRESS: u64 = 5000;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

/// Whether a test that always runs the same programs is to run others as well.
pub fn is_longer() -> bool {
    ["AMPOULE_FUZZ_SEED", "AMPOULE_FUZZ_SECONDS", "AMPOULE_FUZZ_PROGRAMS"]
        .iter()
        .any(|name| std::env::var_os(name).is_some())
}

/// Runs `test` with one seed after the other until the time is over, or there have been as many programs as are asked for; or once, where the
/// environment names a seed. The test gives `None` where a seed makes no program.
pub fn for_seeds(mut test: impl FnMut(u64) -> Option<()>) {
    if let Some(seed) = number("AMPOULE_FUZZ_SEED") {
        test(seed);
        return;
    }
    let wanted = number("AMPOULE_FUZZ_PROGRAMS");
    let seconds = number("AMPOULE_FUZZ_SECONDS").or(wanted.is_none().then_some(10));
    let end = seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a time after 1970");
    let first = number("AMPOULE_FUZZ_FROM").unwrap_or(now.as_micros() as u64);
    // Before anything can end the process.
    println!("seeds from AMPOULE_FUZZ_FROM={first}");
    let (mut seed, mut programs) = (first, 0);
    while end.is_none_or(|end| Instant::now() < end) && wanted.is_none_or(|wanted| programs < wanted) {
        let shown = ShowSeed(seed);
        if test(seed).is_some() {
            programs += 1;
            if programs % PROGRESS == 0 {
                println!("{programs} programs so far");
            }
        }
        drop(shown);
        seed += 1;
    }
    println!("{programs} programs of {} seeds", seed - first);
}

/// Tells of a panic with which seed it came, also of one in the engine.
struct ShowSeed(u64);

impl Drop for ShowSeed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("failed with AMPOULE_FUZZ_SEED={}", self.0);
        }
    }
}

/// Programs and calls that were compared, by what they were compared with.
#[derive(Default)]
pub struct Compared(BTreeMap<&'static str, [usize; 2]>);

impl Compared {
    /// A program did the same there in all these calls.
    pub fn add(&mut self, mode: &'static str, calls: usize) {
        let [programs, all] = self.0.entry(mode).or_default();
        *programs += 1;
        *all += calls;
    }

    /// Calls, of all of them.
    pub fn calls(&self) -> usize {
        self.0.values().map(|[_, calls]| calls).sum()
    }

    /// Says what was compared.
    pub fn print(&self) {
        for (mode, [programs, calls]) in &self.0 {
            println!("{mode}: {programs} programs, {calls} calls");
        }
    }
}
