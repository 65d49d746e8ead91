//! The options of the canonical ABI: which memory, which allocator, how strings are encoded.

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
}
