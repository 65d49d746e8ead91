//! What machine code calls: one function per row of `core::builtins`, under its name there, with its parameters.
//!
//! The trampolines in [`ampoule_machine::arch::trampolines`] call these on behalf of the guest. A function that fails notes the error in
//! the store ([`Store::unwind_with`]) and returns anything: its trampoline unwinds instead of returning it.
//!
//! Invariants, by the trampolines: `vmctx` is the block of an instance whose code is running; no Rust reference to its store
//! is in use (store invariant 3); index arguments were validated with the module; `exit_fp` of the store is up to date.

mod compile;
mod exception;
mod float;
mod interrupt;
mod memory;
mod object;
mod reference;
mod table;
mod trap;

pub(crate) use exception::{find_handler, throw};
pub(crate) use float::*;
pub(crate) use interrupt::*;
pub(crate) use memory::{
    data_drop, memory_atomic_notify, memory_atomic_wait32, memory_atomic_wait64, memory_copy, memory_fill, memory_grow,
    memory_init,
};
pub(crate) use reference::{is_subtype, raw_func_of, raw_ref, raw_ref_of, root_refs, unroot_refs};
pub(crate) use table::{
    elem_drop, ref_func, table_copy, table_fill, table_get_callee, table_get_func_ref, table_grow, table_init,
};
pub(crate) use trap::*;

use crate::func::native;
use crate::store::Store;
use crate::store::records::instance::InstanceData;
use ampoule_core::vm::VmContext;
use ampoule_machine::builtins::Builtins;

/// The store and the record of the instance that is running.
///
/// # Safety
/// By the invariants above. The record must not be used across anything that adds an instance to the store.
unsafe fn running<'a>(vmctx: *mut VmContext) -> (&'a mut Store, *mut InstanceData) {
    // SAFETY: by the caller; the record's address is stable (invariant 3 of `InstanceData`).
    unsafe { (Store::from_vm((*vmctx).store), (*vmctx).instance.cast::<InstanceData>()) }
}

/// The functions, for the assembly that calls them.
pub(crate) fn table() -> Builtins {
    Builtins {
        trap,
        stack_overflow,
        fault,
        find_handler,
        given_up,
        native_call: native::call_saved,
        native_unwound: native::keep_error,
        compile_function: compile::compile_function as *const (),
        become_hot: compile::become_hot as *const (),
        resolve_exit_thunk: resolve_exit_thunk as *const (),
        host_error: host_error as *const (),
        host_result_mismatch: host_result_mismatch as *const (),
        root_refs: root_refs as *const (),
        raw_ref: raw_ref as *const (),
        raw_ref_of: raw_ref_of as *const (),
        is_subtype: is_subtype as *const (),
        raw_func_of: raw_func_of as *const (),
        unroot_refs: unroot_refs as *const (),
        memory_grow: memory_grow as *const (),
        memory_fill: memory_fill as *const (),
        memory_copy: memory_copy as *const (),
        memory_init: memory_init as *const (),
        data_drop: data_drop as *const (),
        memory_atomic_notify: memory_atomic_notify as *const (),
        memory_atomic_wait32: memory_atomic_wait32 as *const (),
        memory_atomic_wait64: memory_atomic_wait64 as *const (),
        table_grow: table_grow as *const (),
        table_fill: table_fill as *const (),
        table_copy: table_copy as *const (),
        table_init: table_init as *const (),
        elem_drop: elem_drop as *const (),
        table_get_func_ref: table_get_func_ref as *const (),
        table_get_callee: table_get_callee as *const (),
        ref_func: ref_func as *const (),
        throw: throw as *const (),
        allocate: object::allocate as *const (),
        array_new: object::array_new as *const (),
        array_new_data: object::array_new_data as *const (),
        array_new_elem: object::array_new_elem as *const (),
        array_fill: object::array_fill as *const (),
        array_copy: object::array_copy as *const (),
        array_init_data: object::array_init_data as *const (),
        array_init_elem: object::array_init_elem as *const (),
        ceil_f32: ceil_f32 as *const (),
        ceil_f64: ceil_f64 as *const (),
        floor_f32: floor_f32 as *const (),
        floor_f64: floor_f64 as *const (),
        trunc_f32: trunc_f32 as *const (),
        trunc_f64: trunc_f64 as *const (),
        nearest_f32: nearest_f32 as *const (),
        nearest_f64: nearest_f64 as *const (),
        fma_f32: fma_f32 as *const (),
        fma_f64: fma_f64 as *const (),
        epoch_reached: epoch_reached as *const (),
        epoch_resumed: epoch_resumed as *const (),
        fuel_exhausted: fuel_exhausted as *const (),
        fuel_resumed: fuel_resumed as *const (),
    }
}
