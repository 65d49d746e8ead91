//! Randomness: a generator for each context, seeded by the system.
//!
//! ChaCha20 by the `chacha20` crate, in place of a call to the system for every few bytes. A generator takes a new seed
//! after [`RESEED_BYTES`], so that a leaked state predicts little, and in a forked child, so that it never repeats
//! its parent. Contexts share nothing, so one guest's output says nothing about another's. Where a fork can't be
//! noticed, all bytes come from the system. An embedder may provide the bytes instead.

use super::error::Error;
use super::fork;
use chacha20::ChaCha20Rng;
use chacha20::rand_core::{Rng, SeedableRng};
use rustix::io::Errno;

/// The most bytes drawn at once.
pub const CHUNK: usize = 256;

/// How many bytes come from one seed.
const RESEED_BYTES: usize = 64 << 10;

/// Fills a buffer of at most [`CHUNK`] bytes with what the embedder has guests take for random, or says why it can't. Called by the
/// thread that uses the store, which it must not use.
pub type RandomSource = Box<dyn FnMut(&mut [u8]) -> Result<(), Error> + Send + Sync>;

/// The randomness of one context.
#[derive(Default)]
pub struct Random {
    generator: Option<Generator>,
    source: Option<RandomSource>,
}

struct Generator {
    rng: ChaCha20Rng,
    /// How many bytes may still come from this seed.
    left: usize,
    /// [`fork::mark`] of the process that seeded it.
    process: u64,
}

impl Random {
    /// What the embedder provides, if it does.
    pub fn of(source: Option<RandomSource>) -> Self {
        Self { generator: None, source }
    }

    /// Fills `out`, at most [`CHUNK`] bytes, with random bytes; blocks only before the system's generator is first
    /// seeded.
    ///
    /// # Errors
    /// The system has no generator, or refuses it; what the embedder says.
    pub fn fill(&mut self, out: &mut [u8]) -> Result<(), Error> {
        debug_assert!(out.len() <= CHUNK);
        if let Some(source) = &mut self.source {
            return source(out);
        }
        let Some(process) = fork::mark() else { return draw(out) };
        let generator = match &mut self.generator {
            Some(generator) if generator.process == process && generator.left >= out.len() => generator,
            stale => stale.insert(Generator::seeded(process)?),
        };
        generator.left -= out.len();
        generator.rng.fill_bytes(out);
        Ok(())
    }
}

impl Generator {
    #[cold]
    fn seeded(process: u64) -> Result<Self, Error> {
        let mut seed = [0; 32];
        draw(&mut seed)?;
        Ok(Self { rng: ChaCha20Rng::from_seed(seed), left: RESEED_BYTES, process })
    }
}

fn draw(out: &mut [u8]) -> Result<(), Error> {
    getrandom::fill(out).map_err(|_| Error::Os(Errno::IO))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::pipe;

    fn next(random: &mut Random) -> [u8; 16] {
        let mut out = [0; 16];
        random.fill(&mut out).expect("the system has a generator");
        out
    }

    /// What a child draws from its copy of `random`.
    fn in_child(random: &mut Random, fork: impl FnOnce() -> i64) -> [u8; 16] {
        let (from, to) = pipe().expect("a pipe");
        match fork() {
            0 => {
                let sent = rustix::io::write(&to, &next(random));
                // SAFETY: ends the child, which must not return into the test harness.
                unsafe { libc::_exit(i32::from(sent != Ok(16))) }
            }
            child => {
                assert!(child > 0);
                let mut out = [0; 16];
                assert_eq!(rustix::io::read(&from, &mut out), Ok(16));
                let mut status = 0;
                // SAFETY: waits for the child made above.
                assert_eq!(i64::from(unsafe { libc::waitpid(child as i32, &mut status, 0) }), child);
                assert_eq!(status, 0);
                out
            }
        }
    }

    #[test]
    fn a_child_never_repeats_its_parent() {
        let mut random = Random::default();
        next(&mut random);
        // SAFETY: the child draws, writes to a pipe and ends.
        let forked = in_child(&mut random, || unsafe { libc::fork() }.into());
        // What handlers of `pthread_atfork` never learn of.
        // SAFETY: without flags it is a fork, and the child does the same.
        let cloned = in_child(&mut random, || unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) });
        let own = next(&mut random);
        assert!(own != forked && own != cloned && forked != cloned);
    }

    #[test]
    fn a_child_of_a_child_has_its_own_mark() {
        let own = fork::mark().expect("this kernel zeroes pages in children");
        assert_eq!(fork::mark(), Some(own));
        let (from, to) = pipe().expect("a pipe");
        // SAFETY: the child and its own child write to a pipe and end.
        match unsafe { libc::fork() } {
            0 => {
                let mut failed = false;
                let mut send = || failed |= rustix::io::write(&to, &fork::mark().unwrap_or(0).to_le_bytes()) != Ok(8);
                send();
                // SAFETY: as above; both end here.
                unsafe {
                    let grandchild = libc::fork();
                    if grandchild == 0 {
                        send();
                    } else {
                        libc::waitpid(grandchild, &mut 0, 0);
                    }
                    libc::_exit(failed.into())
                }
            }
            // SAFETY: waits for the child made above.
            child => assert_eq!(unsafe { libc::waitpid(child, &mut 0, 0) }, child),
        }
        let mut bytes = [0; 16];
        assert_eq!(rustix::io::read(&from, &mut bytes), Ok(16));
        let [child, grandchild] = [0, 8].map(|at| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight")));
        assert!(own != child && own != grandchild && child != grandchild);
        assert!(child != 0 && grandchild != 0);
    }

    #[test]
    fn contexts_and_seeds_share_nothing() {
        let (mut one, mut other) = (Random::default(), Random::default());
        assert_ne!(next(&mut one), next(&mut other));
        let mut seen = std::collections::HashSet::new();
        for _ in 0..3 * RESEED_BYTES / 16 {
            assert!(seen.insert(next(&mut one)), "16 bytes came twice");
        }
    }

    #[test]
    fn a_seed_gives_only_so_much() {
        let mut random = Random::default();
        let mut chunk = [0; CHUNK];
        for _ in 0..RESEED_BYTES / CHUNK {
            random.fill(&mut chunk).expect("the system has a generator");
        }
        assert_eq!(random.generator.as_ref().map(|generator| generator.left), Some(0));
        random.fill(&mut chunk).expect("the system has a generator");
        assert_eq!(random.generator.as_ref().map(|generator| generator.left), Some(RESEED_BYTES - CHUNK));
    }
}
