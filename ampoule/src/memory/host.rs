//! Linear memories that the embedder provides instead of the engine.
//!
//! Code never relies on address space around such a memory: every access is checked, and its base is read anew after every
//! growth. So an embedder's mistake about sizes is found here, not by a guest.

use crate::error::{Error, ErrorKind};
use crate::memory::linear::{MemoryError, grown_byte_len};
use ampoule_core::types::MemoryType;
use std::fmt;
use std::sync::Arc;

/// One memory of the embedder's, for as long as its store lives.
///
/// # Safety
/// What [`HostMemory::place`] tells is readable and writable, for this memory alone, until the next growth or until this value is
/// dropped; it never gets shorter, and new bytes are zero.
pub unsafe trait HostMemory: Send + Sync {
    /// The byte at address zero, and how many bytes there are.
    fn place(&mut self) -> (*mut u8, usize);

    /// Makes it so many bytes long.
    ///
    /// # Errors
    /// Where it can't be; nothing has changed then.
    fn grow(&mut self, byte_len: usize) -> Result<(), Error>;
}

/// Makes memories.
pub trait HostMemoryCreator: Send + Sync {
    /// A memory of `minimum` bytes that will never be asked for more than `maximum`.
    ///
    /// # Errors
    /// Where there is none to be had.
    fn create(&self, ty: &MemoryType, minimum: usize, maximum: usize) -> Result<Box<dyn HostMemory>, Error>;
}

/// A creator, as a configuration holds it.
#[derive(Clone)]
pub struct HostMemories(pub Arc<dyn HostMemoryCreator>);

impl fmt::Debug for HostMemories {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HostMemories")
    }
}

/// A memory of the embedder's, and what of it is in use.
pub(crate) struct HostLinearMemory {
    memory: Box<dyn HostMemory>,
    ty: MemoryType,
    base: *mut u8,
    byte_len: usize,
}

/// Guest code may use atomics and vectors of this size at aligned addresses.
const ALIGN: usize = 16;

impl HostLinearMemory {
    pub(crate) fn new(creator: &HostMemories, ty: &MemoryType) -> Result<Self, Error> {
        let too_large = |_| Error::new(ErrorKind::Limit(MemoryError::TooLarge.to_string()));
        let byte_len = usize::try_from(ty.min_byte_len().unwrap_or(u64::MAX)).map_err(too_large)?;
        let maximum = usize::try_from(ty.max_byte_len()).unwrap_or(usize::MAX);
        let mut memory = creator.0.create(ty, byte_len, maximum)?;
        let base = placed(&mut *memory, byte_len)
            .ok_or_else(|| Error::message("the host's memory is too short, or not aligned"))?;
        Ok(Self { memory, ty: *ty, base, byte_len })
    }

    pub(crate) fn base(&self) -> *mut u8 {
        self.base
    }

    #[inline]
    pub(crate) fn byte_len(&self) -> usize {
        self.byte_len
    }

    /// Grows by `delta_pages` and gives the pages before; `None` where it can't. The base may have changed in any case.
    pub(crate) fn grow(&mut self, delta_pages: u64) -> Option<u64> {
        let byte_len = grown_byte_len(&self.ty, self.byte_len, delta_pages).ok()?;
        let before = self.byte_len as u64 >> self.ty.page_size_log2;
        if delta_pages == 0 {
            return Some(before);
        }
        let grown = self.memory.grow(byte_len).is_ok();
        let wanted = if grown { byte_len } else { self.byte_len };
        self.base = placed(&mut *self.memory, wanted).expect("the host keeps to `HostMemory`'s contract");
        self.byte_len = wanted;
        grown.then_some(before)
    }
}

/// The base, where so many bytes are there.
fn placed(memory: &mut dyn HostMemory, byte_len: usize) -> Option<*mut u8> {
    let (base, len) = memory.place();
    (len >= byte_len && !base.is_null() && base.addr().is_multiple_of(ALIGN)).then_some(base)
}
