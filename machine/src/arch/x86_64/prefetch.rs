//! Hints to the processor's caches.

use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};

/// Begins to load the cache line at an address, which need not lead anywhere.
#[inline(always)]
pub fn prefetch(address: *const u8) {
    // SAFETY: a hint accesses nothing as far as the program can tell, whatever the address; every x86-64 processor has the instruction.
    unsafe { _mm_prefetch(address.cast(), _MM_HINT_T0) }
}
