//! A global that the host made, as its store keeps it. Those of instances are in their blocks.

use ampoule_core::types::GlobalType;
use ampoule_core::vm::VmGlobal;

/// A global made by the host.
pub(crate) struct HostGlobal {
    pub(crate) vm: VmGlobal,
    pub(crate) ty: GlobalType,
}

impl HostGlobal {
    /// The raw reference inside, where the global holds one that isn't a function.
    pub(crate) fn reference(&self) -> Option<u32> {
        let [a, b, c, d, ..] = self.vm.bytes;
        self.ty.content.is_collected().then_some(u32::from_le_bytes([a, b, c, d]))
    }
}
