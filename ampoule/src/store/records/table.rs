//! A table, as its store keeps it.

use crate::engine::pool::Claim;
use crate::module::LazyImage;
use crate::store::places::Born;
use crate::table_elements::Elements;
use ampoule_core::types::TableType;
use ampoule_core::vm::VmTable;

/// A table and where machine code looks for it.
pub(crate) struct TableData {
    /// `definition.base` and `len` always tell where these are.
    pub(crate) elements: Elements,
    pub(crate) ty: TableType,
    /// In an instance's block, or in `own`. Lives as long as this.
    pub(crate) definition: *mut VmTable,
    pub(crate) own: Option<Box<VmTable>>,
    /// What the lazy elements stand for: the instance whose functions they are, and which. Behind those they are null.
    pub(crate) lazy: Option<(u32, LazyImage)>,
    /// That of an instance's table, where the engine has a pool.
    pub(crate) claim: Option<Claim>,
    /// How many instances the store had deleted when the table was made.
    pub(crate) born: u32,
}

impl Drop for TableData {
    fn drop(&mut self) {
        if let Some(claim) = &self.claim {
            claim.pool().give_back_elements(std::mem::replace(&mut self.elements, Elements::new()));
        }
    }
}

impl TableData {
    /// Bytes allocated for its elements.
    pub(crate) fn capacity_bytes(&self) -> usize {
        self.elements.capacity_bytes()
    }
}

impl TableData {
    /// Elements.
    pub(crate) fn len(&self) -> usize {
        self.elements.len()
    }
}

impl Born for TableData {
    fn born(&self) -> u32 {
        self.born
    }
}
