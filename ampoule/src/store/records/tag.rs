//! A tag, as its store keeps it.

use crate::engine::type_registry::Type;
use crate::store::places::Born;
use ampoule_core::types::TagType;

/// A tag in its store's arena.
pub(crate) struct TagData {
    pub(crate) ty: TagType,
    /// The function type whose parameters are the fields: of imports it matters what it is declared as. Keeps what it names.
    pub(crate) declared: Type,
    /// How many instances the store had deleted when the tag was made.
    pub(crate) born: u32,
}

impl Born for TagData {
    fn born(&self) -> u32 {
        self.born
    }
}
