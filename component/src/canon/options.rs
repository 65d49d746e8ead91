//! The options of the canonical ABI: which memory, which allocator, how strings are encoded.

use ampoule::{Error, Func, Memory, Store};

/// How strings lie in memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Encoding {
    #[default]
    Utf8,
    Utf16,
    /// One byte for each character where all fit, or UTF-16, which a bit of the length tells.
    Latin1OrUtf16,
}

/// The options as a component gives them: by index into its core spaces.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct StaticOptions {
    pub(crate) encoding: Encoding,
    pub(crate) memory: Option<u32>,
    pub(crate) realloc: Option<u32>,
    pub(crate) post_return: Option<u32>,
    pub(crate) is_async: bool,
    pub(crate) callback: Option<u32>,
}

/// The options of one lifted or lowered function, as a store knows them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    /// The component instance whose memory and handles these are.
    pub(crate) instance: u32,
    pub(crate) encoding: Encoding,
    pub(crate) memory: Option<Memory>,
    pub(crate) realloc: Option<Func>,
    pub(crate) post_return: Option<Func>,
    /// Whether the function is called, or calls, asynchronously.
    pub(crate) is_async: bool,
    /// What is called with events, of a function that keeps no stack while it waits.
    pub(crate) callback: Option<Func>,
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
