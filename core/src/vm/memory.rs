//! A linear memory, as machine code sees it.

use std::sync::atomic::AtomicUsize;

/// Base and length of a linear memory.
///
/// `base` never changes while the memory's plan says that it doesn't move. `byte_len` only grows; it is atomic because
/// another thread may grow a shared memory. Machine code reads it with plain loads, which on every supported CPU are
/// relaxed atomic loads.
#[repr(C)]
#[derive(Debug)]
pub struct VmMemory {
    /// The byte at address zero.
    pub base: *mut u8,
    /// Accessible bytes.
    pub byte_len: AtomicUsize,
}
