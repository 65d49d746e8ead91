//! A global that the host made, as its store keeps it. Those of instances are in their blocks.

use ampoule_core::types::GlobalType;
use ampoule_core::vm::VmGlobal;

/// A global made by the host.
pub(crate) struct HostGlobal {
    pub(crate) vm: VmGlobal,
    pub(crate) ty: GlobalType,
}
