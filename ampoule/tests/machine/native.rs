//! What `sys::native` needs of the engine. Nothing here enters guest code that way: the C tests do (`tests/c/ampoule_native.c`).

use crate::sys::stack::StackBounds;
use ampoule_core::vm::{VmFuncRef, VmStoreContext};

#[repr(C)]
pub struct Store {
    pub vm: VmStoreContext,
    pub stack: StackBounds,
    pub native: Native,
}

pub struct Native {
    pub max_stack: usize,
}

#[repr(C)]
pub struct SavedArgs {
    ints: [u64; 6],
    pub floats: [u64; 8],
}

pub unsafe extern "C" fn call_saved(_: *mut VmStoreContext, _: *mut VmFuncRef, _: *mut SavedArgs, _: *const u64) {
    unreachable!("no stub leads here");
}

pub unsafe extern "C" fn keep_error(_: *mut VmStoreContext) {
    unreachable!("no native call can be unwound");
}
