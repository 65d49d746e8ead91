//! Functions, as machine code sees them.

use super::VmContext;
use std::ffi::c_void;

/// What a `funcref` points to. Its address is stable for the life of its store.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct VmFuncRef {
    /// Machine code in the guest convention: `code(vmctx, args…)`. The runtime writes another address, while the guest waits in a call of it, where the
    /// function has better code; both are good.
    pub code: *const u8,
    /// The callee's context: an instance's [`VmContext`], or a [`super::VmHostFunc`] for a function of the host.
    pub vmctx: *mut VmContext,
    /// The engine's record of the function's type. Unique per type and engine: equal types have equal pointers, which is
    /// what `call_indirect` compares. Never null in a made reference; a zeroed `VmFuncRef` is one not made yet.
    pub signature: *const c_void,
}

/// An imported function: enough of its [`VmFuncRef`] to call it without a further load.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct VmFuncImport {
    /// See [`VmFuncRef::code`], which the runtime writes here, too, when the instance has called the function.
    pub code: *const u8,
    /// See [`VmFuncRef::vmctx`].
    pub vmctx: *mut VmContext,
    /// The reference this import was made from, for `ref.func` and re-export.
    pub func_ref: *mut VmFuncRef,
}
