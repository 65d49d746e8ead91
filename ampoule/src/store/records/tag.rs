//! A tag, as its store keeps it.

use crate::engine::type_registry::Type;
use ampoule_core::types::TagType;

/// A tag in its store's arena.
pub(crate) struct TagData {
    pub(crate) ty: TagType,
    /// The function type whose parameters are the fields: of imports it matters what it is declared as. Keeps what it names.
    pub(crate) declared: Type,
}
