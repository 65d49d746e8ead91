//! The clauses of a `try_table`, as every tier reads them.

use ampoule_core::index::TagIndex;
use wasmparser::Catch;

/// A clause of a `try_table`.
#[derive(Clone, Copy)]
pub(crate) struct Clause {
    /// The tag that it takes, with the fields; `None` takes all.
    pub tag: Option<TagIndex>,
    /// Whether it hands on the exception itself.
    pub with_reference: bool,
    /// Where it leads, among the enclosing blocks.
    pub target: usize,
}

impl Clause {
    /// A clause of a `try_table` that stands inside of so many blocks.
    pub fn new(catch: &Catch, depth: usize) -> Self {
        let (tag, with_reference, label) = match *catch {
            Catch::One { tag, label } => (Some(TagIndex(tag)), false, label),
            Catch::OneRef { tag, label } => (Some(TagIndex(tag)), true, label),
            Catch::All { label } => (None, false, label),
            Catch::AllRef { label } => (None, true, label),
        };
        Self { tag, with_reference, target: depth - 1 - label as usize }
    }
}
