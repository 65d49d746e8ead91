//! What machine code calls: one function per row of `core::builtins`, under its name there, with its parameters.
//!
//! The trampolines in [`crate::sys::trampolines`] call these on behalf of the guest. A function that fails notes the error in
//! the store ([`Store::unwind_with`]) and returns anything: its trampoline unwinds instead of returning it.
//!
//! Invariants, by the trampolines: `vmctx` is the block of an instance whose code is running; no Rust reference to its store
//! is in use (store invariant 3); index arguments were validated with the module; `exit_fp` of the store is up to date.

mod float;
mod interrupt;
mod memory;
mod table;
mod trap;

pub(crate) use float::*;
pub(crate) use interrupt::*;
pub(crate) use memory::{
    data_drop, init as memory_init_segment, memory_atomic_notify, memory_atomic_wait32, memory_atomic_wait64,
    memory_copy, memory_fill, memory_grow, memory_init,
};
pub(crate) use table::{
    elem_drop, init as table_init_segment, ref_func, table_copy, table_fill, table_get_callee, table_get_func_ref,
    table_grow, table_init,
};
pub(crate) use trap::*;

use crate::instance::InstanceData;
use crate::store::Store;
use ampoule_core::vm::VmContext;

/// The store and the record of the instance that is running.
///
/// # Safety
/// By the invariants above. The record must not be used across anything that adds an instance to the store.
unsafe fn running<'a>(vmctx: *mut VmContext) -> (&'a mut Store, *mut InstanceData) {
    // SAFETY: by the caller; the record's address is stable (invariant 3 of `InstanceData`).
    unsafe { (Store::from_vm((*vmctx).store), (*vmctx).instance.cast::<InstanceData>()) }
}
