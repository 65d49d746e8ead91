//! The structs that machine code reads and writes.
//!
//! Every `Vm…` struct is `repr(C)`, defined here once. Compilers take field offsets with `offset_of!`; the runtime fills
//! the same structs in. [`context`] says what an instance looks like to machine code, [`store_context`] what a store
//! does.
//!
//! Pointers in these structs are raw because machine code shares them: the runtime reads and writes them through raw
//! pointers only and never holds a Rust reference to one while guest code may run.

pub mod adapter;
pub mod call_site;
pub mod context;
pub mod entry;
pub mod func_ref;
pub mod global;
pub mod heap;
pub mod host;
pub mod memory;
pub mod store_context;
pub mod table;
pub mod types;
pub mod val;

pub use adapter::VmAdapter;
pub use call_site::{Callees, KnownCallees, SITE_CALLEES, VmCallSite, VmCallee};
pub use context::{MemorySlot, VmContext, VmLayout};
pub use entry::{VmEntryChecks, VmFunc, VmSignature, VmStackBounds};
pub use func_ref::{VmFuncImport, VmFuncRef};
pub use global::VmGlobal;
pub use host::{VmCaller, VmHostFunc};
pub use memory::VmMemory;
pub use store_context::VmStoreContext;
pub use table::{TABLE_ELEMENT_LAZY, TABLE_ELEMENT_NULL, VmTable};
pub use types::VmType;
pub use val::{VmRef, VmVal, VmValRaw, VmValUnion};
