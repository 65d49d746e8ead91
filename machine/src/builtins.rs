//! The functions of the runtime that machine code and this crate's assembly reach: one table of addresses, which the runtime
//! installs before the first guest runs.

use crate::arch::entry::{Kept, Landing};
use crate::arch::native::SavedArgs;
use crate::os::sync::OnceLock;
use ampoule_core::vm::{VmContext, VmFuncRef, VmStoreContext};
use std::cell::UnsafeCell;
use std::mem::MaybeUninit;

/// A function in the C convention, with the parameters and the result that its row in [`ampoule_core::builtins`] tells.
pub type Code = *const ();

/// The functions. One that fails notes why in the store and sets `VmStoreContext::unwinding`; its trampoline then unwinds the guest.
#[repr(C)]
pub struct Builtins {
    /// Stops the guest at `pc` and `fp` with a trap code.
    pub trap: unsafe fn(store: *mut VmStoreContext, code: u32, pc: usize, fp: usize),
    /// Stops the guest whose function at `pc` found no stack left.
    pub stack_overflow: unsafe fn(vmctx: *mut VmContext, pc: usize, fp: usize),
    /// Stops the guest whose instruction at `pc` raised `signal` when it accessed `address`.
    pub fault: unsafe fn(store: *mut VmStoreContext, pc: usize, fp: usize, address: usize, signal: i32),
    /// Finds the handler of the pending exception among the guest frames below an exit, and takes the exception. `None` notes it as the
    /// error that the guest is stopped with.
    pub find_handler: unsafe fn(store: *mut VmStoreContext, exit_fp: usize, kept: Kept) -> Option<Landing>,
    /// Notes that the guest was given up while it waited.
    pub given_up: unsafe fn(store: *mut VmStoreContext),
    /// `(vmctx, module, number of the function) -> its code`: what a stub leads to until its function is compiled. `module` is
    /// the word that the head of the stub's region holds, see [`crate::arch::jumps::MODULE_SLOT`].
    pub compile_function: Code,
    /// `(vmctx, loop, number of the function) -> code that goes on, or zero`: [`ampoule_core::builtins::Builtin::BecomeHot`].
    pub become_hot: Code,
    /// `(host function) -> the exit thunk of its type`.
    pub resolve_exit_thunk: Code,
    /// `(vmctx)` -> [`Pause`](crate::arch::switch::Pause).
    pub epoch_reached: Code,
    /// `(store, Wake, ticks)`: goes on after the pause that `epoch_reached` asked for.
    pub epoch_resumed: Code,
    /// `(vmctx)` -> [`Pause`](crate::arch::switch::Pause).
    pub fuel_exhausted: Code,
    /// `(store, Wake, ticks)`: goes on after the pause that `fuel_exhausted` asked for.
    pub fuel_resumed: Code,
    /// Makes a native call whose arguments need memory, or of which something has to be found out first; leaves the first
    /// result in `saved`. `stack` points to the arguments behind the return address.
    pub native_call:
        unsafe extern "C" fn(*mut VmStoreContext, *mut VmFuncRef, saved: *mut SavedArgs, stack: *const u64),
    /// Keeps the error that a native call was unwound for.
    pub native_unwound: unsafe extern "C" fn(*mut VmStoreContext),
    /// [`ampoule_core::builtins::Builtin::HostError`].
    pub host_error: Code,
    /// [`ampoule_core::builtins::Builtin::HostResultMismatch`].
    pub host_result_mismatch: Code,
    /// [`ampoule_core::builtins::Builtin::RootRefs`].
    pub root_refs: Code,
    /// [`ampoule_core::builtins::Builtin::RawRef`].
    pub raw_ref: Code,
    /// [`ampoule_core::builtins::Builtin::RawRefOf`].
    pub raw_ref_of: Code,
    /// [`ampoule_core::builtins::Builtin::Allocate`].
    pub allocate: Code,
    /// [`ampoule_core::builtins::Builtin::ArrayNew`].
    pub array_new: Code,
    /// [`ampoule_core::builtins::Builtin::ArrayNewData`].
    pub array_new_data: Code,
    /// [`ampoule_core::builtins::Builtin::ArrayNewElem`].
    pub array_new_elem: Code,
    /// [`ampoule_core::builtins::Builtin::ArrayFill`].
    pub array_fill: Code,
    /// [`ampoule_core::builtins::Builtin::ArrayCopy`].
    pub array_copy: Code,
    /// [`ampoule_core::builtins::Builtin::ArrayInitData`].
    pub array_init_data: Code,
    /// [`ampoule_core::builtins::Builtin::ArrayInitElem`].
    pub array_init_elem: Code,
    /// [`ampoule_core::builtins::Builtin::IsSubtype`].
    pub is_subtype: Code,
    /// [`ampoule_core::builtins::Builtin::RawFuncOf`].
    pub raw_func_of: Code,
    /// [`ampoule_core::builtins::Builtin::UnrootRefs`].
    pub unroot_refs: Code,
    /// [`ampoule_core::builtins::Builtin::MemoryGrow`].
    pub memory_grow: Code,
    /// [`ampoule_core::builtins::Builtin::MemoryFill`].
    pub memory_fill: Code,
    /// [`ampoule_core::builtins::Builtin::MemoryCopy`].
    pub memory_copy: Code,
    /// [`ampoule_core::builtins::Builtin::MemoryInit`].
    pub memory_init: Code,
    /// [`ampoule_core::builtins::Builtin::DataDrop`].
    pub data_drop: Code,
    /// [`ampoule_core::builtins::Builtin::MemoryAtomicNotify`].
    pub memory_atomic_notify: Code,
    /// [`ampoule_core::builtins::Builtin::MemoryAtomicWait32`].
    pub memory_atomic_wait32: Code,
    /// [`ampoule_core::builtins::Builtin::MemoryAtomicWait64`].
    pub memory_atomic_wait64: Code,
    /// [`ampoule_core::builtins::Builtin::TableGrow`].
    pub table_grow: Code,
    /// [`ampoule_core::builtins::Builtin::TableFill`].
    pub table_fill: Code,
    /// [`ampoule_core::builtins::Builtin::TableCopy`].
    pub table_copy: Code,
    /// [`ampoule_core::builtins::Builtin::TableInit`].
    pub table_init: Code,
    /// [`ampoule_core::builtins::Builtin::ElemDrop`].
    pub elem_drop: Code,
    /// [`ampoule_core::builtins::Builtin::TableGetFuncRef`].
    pub table_get_func_ref: Code,
    /// [`ampoule_core::builtins::Builtin::TableGetCallee`].
    pub table_get_callee: Code,
    /// [`ampoule_core::builtins::Builtin::RefFunc`].
    pub ref_func: Code,
    /// [`ampoule_core::builtins::Builtin::Throw`].
    pub throw: Code,
    /// [`ampoule_core::builtins::Builtin::CeilF32`].
    pub ceil_f32: Code,
    /// [`ampoule_core::builtins::Builtin::CeilF64`].
    pub ceil_f64: Code,
    /// [`ampoule_core::builtins::Builtin::FloorF32`].
    pub floor_f32: Code,
    /// [`ampoule_core::builtins::Builtin::FloorF64`].
    pub floor_f64: Code,
    /// [`ampoule_core::builtins::Builtin::TruncF32`].
    pub trunc_f32: Code,
    /// [`ampoule_core::builtins::Builtin::TruncF64`].
    pub trunc_f64: Code,
    /// [`ampoule_core::builtins::Builtin::NearestF32`].
    pub nearest_f32: Code,
    /// [`ampoule_core::builtins::Builtin::NearestF64`].
    pub nearest_f64: Code,
    /// [`ampoule_core::builtins::Builtin::FmaF32`].
    pub fma_f32: Code,
    /// [`ampoule_core::builtins::Builtin::FmaF64`].
    pub fma_f64: Code,
}

/// Where assembly finds the table: at a fixed distance, so that a call of a builtin is one indirect call.
#[repr(transparent)]
pub(crate) struct Installed(UnsafeCell<MaybeUninit<Builtins>>);

// SAFETY: written once, under `INSTALL`, before anyone reads it; the pointers in it are to functions.
unsafe impl Sync for Installed {}

pub(crate) static INSTALLED: Installed = Installed(UnsafeCell::new(MaybeUninit::zeroed()));

static INSTALL: OnceLock<()> = OnceLock::new();

/// Installs the table of the process. The first call counts: there is one runtime in a copy of this crate.
pub fn install(builtins: Builtins) {
    // SAFETY: nobody reads before this returns (the callers of `installed` run guests, for which the runtime installed first), and
    // nobody else writes.
    INSTALL.get_or_init(|| unsafe {
        (*INSTALLED.0.get()).write(builtins);
    });
}

/// The table.
///
/// # Panics
/// Where none was installed.
pub(crate) fn installed() -> &'static Builtins {
    assert!(INSTALL.get().is_some(), "the runtime installs its functions before it runs a guest");
    // SAFETY: written, and never again.
    unsafe { (*INSTALLED.0.get()).assume_init_ref() }
}
