//! Randomness: the host's generator, in pieces.

/// The most bytes drawn at once.
pub const CHUNK: usize = 1024;

/// Fills `out`, at most [`CHUNK`] bytes, with random bytes; blocks only before the host's generator is first seeded.
///
/// # Errors
/// The host has no generator, or refuses it.
pub fn fill(out: &mut [u8]) -> Result<(), getrandom::Error> {
    debug_assert!(out.len() <= CHUNK);
    getrandom::fill(out)
}
