//! A memory, as its store keeps it.

use crate::memory::host::HostLinearMemory;
use crate::memory::linear::LinearMemory;
use crate::store::places::Born;
use ampoule_core::types::MemoryType;
use ampoule_core::vm::VmMemory;

/// A memory and where machine code looks for it.
pub(crate) struct MemoryData {
    pub(crate) memory: Bytes,
    pub(crate) ty: MemoryType,
    /// In an instance's block, or in `own`. Lives as long as this.
    pub(crate) definition: *mut VmMemory,
    /// The definition of a memory made by the host.
    pub(crate) own: Option<Box<VmMemory>>,
    /// How many instances the store had deleted when the memory was made.
    pub(crate) born: u32,
}

/// Where a memory's bytes are.
pub(crate) enum Bytes {
    /// With the engine.
    Engine(LinearMemory),
    /// With the embedder.
    Host(HostLinearMemory),
}

impl Bytes {
    pub(crate) fn base(&self) -> *mut u8 {
        match self {
            Bytes::Engine(memory) => memory.base(),
            Bytes::Host(memory) => memory.base(),
        }
    }

    #[inline]
    pub(crate) fn byte_len(&self) -> usize {
        match self {
            Bytes::Engine(memory) => memory.byte_len(),
            Bytes::Host(memory) => memory.byte_len(),
        }
    }

    /// Bytes of address space.
    pub(crate) fn reserved_len(&self) -> usize {
        match self {
            Bytes::Engine(memory) => memory.reserved_len(),
            Bytes::Host(memory) => memory.byte_len(),
        }
    }

    /// Grows by `delta` pages and gives the pages before.
    pub(crate) fn grow(&mut self, delta: u64) -> Option<u64> {
        match self {
            Bytes::Engine(memory) => memory.grow(delta).ok(),
            Bytes::Host(memory) => memory.grow(delta),
        }
    }
}

impl MemoryData {
    /// Base and length in bytes.
    pub(crate) fn place(&self) -> (*mut u8, usize) {
        (self.memory.base(), self.memory.byte_len())
    }

    /// Bytes of address space, with guards.
    pub(crate) fn reserved_len(&self) -> usize {
        self.memory.reserved_len()
    }
}

impl Born for MemoryData {
    fn born(&self) -> u32 {
        self.born
    }
}
