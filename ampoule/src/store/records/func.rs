//! Functions of the host: what an engine keeps of one, and what each store that uses it does.

use crate::engine::type_registry::{Thunk, Type};
use ampoule_core::vm::VmHostFunc;
use std::any::Any;
use std::ffi::c_void;
use std::ptr::NonNull;
use std::sync::Arc;

/// A host function, for any store of its engine. Its owner's value is dropped with the last use.
pub struct HostFunc {
    pub(crate) signature: Type,
    pub(crate) which: Thunk,
    pub(crate) callback: *const c_void,
    pub(crate) env: *mut c_void,
    /// Whether it may suspend its caller.
    pub(crate) may_suspend: bool,
    /// What `env` points into, or what must be dropped when the function is.
    pub(crate) _owner: Box<dyn Any + Send + Sync>,
}

// SAFETY: the pointers are constants: code, a function, and `env`, which the constructors require to be usable from any
// thread.
unsafe impl Send for HostFunc {}
// SAFETY: as above.
unsafe impl Sync for HostFunc {}

/// A store's copy of a host function.
///
/// 1. The function is there as long as the store: that counts it, or keeps what does.
#[repr(C)]
pub(crate) struct StoreHostFunc {
    pub(crate) vm: VmHostFunc,
    host: NonNull<HostFunc>,
}

impl StoreHostFunc {
    /// # Safety
    /// Invariant 1 holds.
    pub(crate) unsafe fn new(vm: VmHostFunc, host: &Arc<HostFunc>) -> Self {
        // SAFETY: a shared value has an address.
        Self { vm, host: unsafe { NonNull::new_unchecked(Arc::as_ptr(host).cast_mut()) } }
    }

    pub(crate) fn host(&self) -> &HostFunc {
        // SAFETY: by (1).
        unsafe { self.host.as_ref() }
    }
}
