//! What `sys::raw_call` needs of the engine. Nothing here enters guest code that way: the C tests do (`tests/c/func.c`).

use ampoule_core::vm::{VmFuncRef, VmValRaw};
use std::ffi::c_void;
use std::mem::offset_of;

use crate::native::Store;

impl Store {
    pub const TASKS_RUNNING: usize = 0;
    pub const TASKS_WAITING: usize = 0;
    pub const TIMED: usize = 0;
}

#[repr(C)]
pub struct Func {
    store_id: u64,
    func_ref: *mut VmFuncRef,
}

impl Func {
    pub const STORE_ID: usize = offset_of!(Func, store_id);
    pub const FUNC_REF: usize = offset_of!(Func, func_ref);
}

pub type RestOfCall =
    unsafe extern "C" fn(*mut Store, *const Func, *mut VmValRaw, usize, *mut c_void, bool) -> *mut c_void;

pub struct Signature;

impl Signature {
    pub const SLOTS: usize = 0;
    pub const ENTRY_RAW: usize = 0;
}
