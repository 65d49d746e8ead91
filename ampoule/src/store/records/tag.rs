//! A tag, as its store keeps it.

use ampoule_core::types::TagType;

/// A tag in its store's arena.
pub(crate) struct TagData {
    pub(crate) ty: TagType,
}
