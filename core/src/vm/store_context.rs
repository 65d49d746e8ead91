//! What machine code sees of a store.

use super::{VmContext, VmEntryChecks, VmType};
use std::ffi::c_void;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// The block of a store that machine code reads and writes. It is the first field of the runtime's `Store`, so a pointer
/// to one is a pointer to the other.
#[repr(C)]
#[derive(Debug)]
pub struct VmStoreContext {
    /// Function prologues trap with `StackOverflow` when the stack pointer, after the frame was made, is below this.
    /// Set by the runtime at the outermost entry.
    pub stack_limit: usize,
    /// Fuel spent, counted up from minus the fuel that was set: the guest may go on while this is negative. Machine code
    /// keeps it in a register and writes it back before calls and returns; see `docs/vm-layout.md`.
    pub fuel: i64,
    /// Guest code is interrupted when the engine's epoch has reached this; code that is compiled without epochs, when this
    /// is zero. Whoever cancels a call, on whatever thread, writes zero: machine code must read it at every look.
    pub epoch_deadline: AtomicU64,
    /// The engine's epoch counter; outlives the store.
    pub epoch: *const AtomicU64,
    /// Frame pointer of the innermost entry frame (see [`super`]). Zero when no guest code is active, and one when in addition none
    /// may be entered without asking the runtime. Machine code never reads it; whoever gives code back does, on whatever thread.
    pub entry_fp: AtomicUsize,
    /// Frame pointer of the frame through which the guest last left to the host (an exit thunk or a builtin's
    /// trampoline). `[exit_fp]` is the guest frame's frame pointer, `[exit_fp + 8]` the guest's program counter.
    pub exit_fp: usize,
    /// What the running builtin asks of its trampoline: zero to return, [`VmStoreContext::STOPPING`] or [`VmStoreContext::THROWING`].
    pub unwinding: u32,
    /// Keeps the layout explicit.
    pub _pad: u32,
    /// The instance that last called an import, or through a reference or table. Exit thunks read it: it is the
    /// caller whose exports the host may ask for.
    pub caller: *mut VmContext,
    /// What handles of functions carry: the store's id, unique in the process and never zero, in [`VmStoreContext::ID_BITS`], and above
    /// them how many instances it has deleted. So none that was made before a deletion is taken unseen.
    pub id: u64,
    /// `extern "C" fn(*mut VmStoreContext)`, which exit thunks call before they call the host, where they are compiled with
    /// [`crate::tunables::Tunables::statistics`].
    pub leaving: *const c_void,
    /// The same, after the host has returned.
    pub returning: *const c_void,
    /// Where references count from: the start of the store's heap, which never moves. Null until the store has a heap, when no reference
    /// but null and 31-bit integers exists.
    pub heap_base: *mut u8,
    /// Where the next object begins, from `heap_base`: a multiple of 8. Machine code allocates `n` bytes, a multiple of 8, at most
    /// [`crate::object_layout::MOST_INLINE`], by adding them, where the sum is at most `heap_limit`; else it asks the runtime. Both are zero where everything is to be asked for.
    pub heap_top: u32,
    /// Where the range ends that `heap_top` moves in.
    pub heap_limit: u32,
    /// The engine's table of types: see [`super::types`]. Null until the store has a heap.
    pub types: *const VmType,
    /// The frame pointer of a frame that is gone, as it were: below it is a copy of what the frame held. Code that takes the frame's place
    /// reads it at its entry, and nobody later; see `docs/vm-layout.md`.
    pub replaced_frame: *const u8,
    /// What the runtime's assembly compares before it enters a guest; machine code never reads it.
    pub entry: VmEntryChecks,
}

impl VmStoreContext {
    /// How many bits of `id` tell the store.
    pub const ID_BITS: u32 = 44;
    /// In `unwinding`: unwind to `entry_fp` instead of returning.
    pub const STOPPING: u32 = 1;
    /// In `unwinding`: unwind to the innermost handler of the pending exception, or to `entry_fp` where there is none.
    pub const THROWING: u32 = 2;

    /// [`VmStoreContext::entry_fp`], for whoever has the store.
    #[inline(always)]
    pub fn entry_fp(&self) -> usize {
        self.entry_fp.load(Ordering::Relaxed)
    }

    /// Changes [`VmStoreContext::entry_fp`].
    #[inline(always)]
    pub fn set_entry_fp(&self, fp: usize) {
        self.entry_fp.store(fp, Ordering::Relaxed);
    }
}
