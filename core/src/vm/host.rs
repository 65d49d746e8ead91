//! Functions of the host, as exit thunks see them.

use super::{VmContext, VmFuncRef, VmStoreContext};
use std::ffi::c_void;

/// A function of the host, inside one store. Exit thunks get a pointer to it where wasm functions get their
/// [`VmContext`].
///
/// The exit thunk of the function's signature calls `callback` in the C convention with one of two shapes:
///
/// * raw: `callback(env, caller: *mut VmCaller, args_and_results: *mut VmValRaw, len: usize) -> *mut c_void`
/// * checked: `callback(env, caller, args: *const VmVal, nargs, results: *mut VmVal, nresults) -> *mut c_void`
///
/// A non-null answer is an error (`Box<ampoule::Error>`): the guest is unwound.
#[repr(C)]
#[derive(Debug)]
pub struct VmHostFunc {
    /// The reference to this function; `func_ref.vmctx` points back here.
    pub func_ref: VmFuncRef,
    /// The store this copy of the function belongs to.
    pub store: *mut VmStoreContext,
    /// The C function.
    pub callback: *const c_void,
    /// Its first argument.
    pub env: *mut c_void,
}

/// What a host function learns of its caller; `wasmtime_caller_t` in C. Lives on the exit thunk's stack.
#[repr(C)]
#[derive(Debug)]
pub struct VmCaller {
    /// The running store.
    pub store: *mut VmStoreContext,
    /// The instance whose code called, or null when the host called.
    pub vmctx: *mut VmContext,
}
