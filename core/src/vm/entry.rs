//! What is compared before a guest is entered. Assembly of the runtime reads these structures where the host's call is to cost
//! least; nothing else decides whether a store may be entered without asking it.

use super::VmFuncRef;
use std::ffi::c_void;
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::atomic::AtomicPtr;

/// The bounds of the stack that a store last ran on.
///
/// Finding a stack's bounds takes a while, so a store keeps them. They hold while the same thread enters with a stack pointer
/// inside of them. A thread is told by the address of its control block, which costs one load without a call. That address is
/// used again by later threads, whose stack may end higher; so bounds also count the threads that have ended since, of those
/// whose bounds were ever found.
#[repr(C)]
#[derive(Clone, Debug, Default)]
pub struct VmStackBounds {
    /// The thread's control block, with [`VmStackBounds::ASKING`] added while the bounds are not to be relied on.
    pub thread: usize,
    /// How many threads had ended when the bounds were found.
    pub threads_ended: usize,
    /// The lowest usable byte.
    pub start: usize,
    /// Where the usable bytes end.
    pub end: usize,
    /// Below this the stack is kept for the runtime and the host.
    pub lowest: usize,
}

impl VmStackBounds {
    /// A bit that no control block's address has.
    const ASKING: usize = 1;

    /// Whether an address is on the stack.
    #[inline]
    pub fn contains(&self, address: usize) -> bool {
        self.range().contains(&address)
    }

    /// The usable bytes.
    #[inline]
    pub fn range(&self) -> Range<usize> {
        self.start..self.end
    }

    /// Lets nobody rely on the bounds until their owner is asked, without forgetting them.
    pub fn keep_asking(&mut self) {
        self.thread |= Self::ASKING;
    }

    /// Takes [`VmStackBounds::keep_asking`] back.
    pub fn stop_asking(&mut self) {
        self.thread &= !Self::ASKING;
    }

    /// Whether [`VmStackBounds::keep_asking`] is in force.
    pub fn is_asking(&self) -> bool {
        self.thread & Self::ASKING != 0
    }
}

/// What a store has besides its stack that an entry depends on.
#[repr(C)]
#[derive(Debug)]
pub struct VmEntryChecks {
    /// The stack of the thread that last entered.
    pub stack: VmStackBounds,
    /// Stack that guest code may use, in bytes. At most what no stack has, so that it can be subtracted from an address.
    pub max_stack: usize,
    /// The asynchronous call that runs, null without one. The runtime's; nothing but null is told here.
    pub running_task: *mut c_void,
    /// The first of the asynchronous calls that wait, null without one.
    pub waiting_task: *mut c_void,
    /// Whether the time of calls is counted.
    pub timed: bool,
}

/// A function of a store, as the host holds it; the layout is that of `wasmtime_func_t`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct VmFunc {
    /// The store's id; zero stands for no function.
    pub store_id: u64,
    /// Null stands for no function.
    pub func_ref: Option<NonNull<VmFuncRef>>,
}

/// The part of the engine's record of a function type that is read before a call: what `VmFuncRef::signature` points to.
#[repr(C)]
#[derive(Debug)]
pub struct VmSignature {
    /// The larger number of parameters and results: the values that an array for both has room for.
    pub slots: usize,
    /// The thunk by which the host calls functions of the type with values without kinds; null until there is one.
    pub entry_raw: AtomicPtr<u8>,
}
