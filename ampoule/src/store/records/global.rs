//! A global that the host made, as its store keeps it. Those of instances are in their blocks.

use ampoule_core::types::{GlobalType, ValType};
use ampoule_core::vm::VmGlobal;

/// A global made by the host.
pub(crate) struct HostGlobal {
    pub(crate) vm: VmGlobal,
    pub(crate) ty: GlobalType,
}

impl HostGlobal {
    /// The raw reference inside, where the global holds an `externref`.
    pub(crate) fn externref(&self) -> Option<u32> {
        let [a, b, c, d, ..] = self.vm.bytes;
        (self.ty.content == ValType::EXTERNREF).then_some(u32::from_le_bytes([a, b, c, d]))
    }
}
