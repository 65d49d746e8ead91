//! Limits on what a store may hold; asked before every creation and growth, never acting on what exists.

use crate::error::{Error, ErrorKind};

/// The limiter's five numbers.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of each linear memory; `None` is unlimited.
    pub memory_size: Option<u64>,
    /// Elements of each table; `None` is unlimited.
    pub table_elements: Option<u64>,
    /// Instances in the store.
    pub instances: u64,
    /// Tables of instances in the store; what the host makes by itself isn't counted, of memories neither.
    pub tables: u64,
    /// Memories of instances in the store.
    pub memories: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { memory_size: None, table_elements: None, instances: 10_000, tables: 10_000, memories: 10_000 }
    }
}

impl Limits {
    /// Whether a memory may have this many bytes.
    pub(crate) fn allow_memory(&self, byte_len: u64) -> bool {
        self.memory_size.is_none_or(|most| byte_len <= most)
    }

    /// Whether a table may have this many elements.
    pub(crate) fn allow_table(&self, len: u64) -> bool {
        self.table_elements.is_none_or(|most| len <= most)
    }

    /// Whether `count` things of a kind, `more` of them new, are within the limit.
    #[inline]
    pub(crate) fn check_count(what: &str, count: usize, more: usize, limit: u64) -> Result<(), Error> {
        if count as u64 + more as u64 > limit { Err(too_many(what, count + more)) } else { Ok(()) }
    }
}

#[cold]
fn too_many(what: &str, count: usize) -> Error {
    Error::new(ErrorKind::Limit(format!("resource limit exceeded: {what} count too high at {count}")))
}
