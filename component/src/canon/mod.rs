//! The canonical ABI: values out of linear memory and into it.
//!
//! Lifting never runs guest code, so it looks at one slice of memory throughout. Lowering asks the guest for memory, whose base and
//! length it reads again each time.

pub(crate) mod lift;
pub(crate) mod lower;
pub(crate) mod options;
pub(crate) mod strings;

use crate::canon::options::Encoding;
use ampoule::{Error, Func, Memory, Store};

/// The options of one lifted or lowered function, as a store knows them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    /// The component instance whose memory and handles these are.
    pub(crate) instance: u32,
    pub(crate) encoding: Encoding,
    pub(crate) memory: Option<Memory>,
    pub(crate) realloc: Option<Func>,
    pub(crate) post_return: Option<Func>,
}

impl Options {
    /// Base and length of the memory; nothing where there is none.
    #[inline]
    pub(crate) fn memory(&self, store: &Store) -> Result<(*mut u8, usize), Error> {
        match &self.memory {
            Some(memory) => memory.data(store),
            None => Ok((std::ptr::NonNull::dangling().as_ptr(), 0)),
        }
    }
}

/// Lists and strings have fewer bytes than this (Canonical ABI, "Loading").
pub(crate) const MAX_BYTES: usize = (1 << 28) - 1;
