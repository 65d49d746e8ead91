//! What lives in a store: instances, and the memories, tables, globals and functions, of instances and of the host.

use crate::global::HostGlobal;
use crate::host_func::StoreHostFunc;
use crate::instance::InstanceData;
use crate::memory::MemoryData;
use crate::table::TableData;

/// The arenas of a store. What machine code points to is boxed: its address must not change when a list grows.
/// Nothing is removed before the store is dropped, so a position stays valid.
#[derive(Default)]
#[expect(clippy::vec_box, reason = "machine code holds the addresses")]
pub(crate) struct Instances {
    pub(crate) list: Vec<Box<InstanceData>>,
    pub(crate) memories: Vec<MemoryData>,
    pub(crate) tables: Vec<TableData>,
    /// Globals made by the host; an instance's own are in its block.
    pub(crate) globals: Vec<Box<HostGlobal>>,
    /// The store's copies of host functions.
    pub(crate) host_funcs: Vec<Box<StoreHostFunc>>,
}
