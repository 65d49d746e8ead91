//! Adapters between components, as assembly of the runtime sees them.

use super::{VmContext, VmFuncRef};

/// A function through which one component calls another whose values pass unchanged. It gets a pointer to this where wasm functions
/// get their [`VmContext`].
///
/// What it looks at before a call is elsewhere, and written by the runtime while no guest runs. Where anything is not as usual the call
/// goes on in `slow_path`, which knows what to do.
#[repr(C)]
#[derive(Debug)]
pub struct VmAdapter {
    /// The reference to this function; `func_ref.vmctx` points back here.
    pub func_ref: VmFuncRef,
    /// A function of the same type, which the runtime runs.
    pub slow_path: *const VmFuncRef,
    /// Whether the caller may call out.
    pub may_leave: *const bool,
    /// Whether nobody may be called any more.
    pub poisoned: *const bool,
    /// How many calls are inside the callee, which is called where there are none. Adapters that leave no frame never look at it.
    pub entered: *mut u32,
    /// See [`VmFuncRef::code`], of the callee.
    pub code: *const u8,
    /// See [`VmFuncRef::vmctx`], of the callee.
    pub vmctx: *mut VmContext,
}
