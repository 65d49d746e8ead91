//! How a store tells its engine which machine code it may be running: see [`crate::engine::code_memory`].

use super::Store;
use crate::module::Module;
use ampoule_machine::arch::entry::{self, GuestFrames};
use ampoule_machine::os::barrier;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What the engine's [`CodeMemory`](crate::engine::code_memory::CodeMemory) knows of a store.
#[derive(Default)]
pub(crate) struct CodeUse {
    /// What it is known by; once the store has an instance whose code may be replaced.
    key: Option<u32>,
    /// When the frames were looked through last.
    looked_at: u64,
    /// Stacks that asynchronous calls and siblings have.
    stacks: AtomicUsize,
}

impl Store {
    /// Lets the engine know of the store, which is to have an instance of this module.
    pub(crate) fn use_code(&mut self, module: &Module) {
        self.count_code(module);
        if self.code_use.key.is_none() && module.code().is_replaced() {
            let memory = self.engine.code_memory();
            let (entry_fp, stacks) = (NonNull::from(&self.vm.entry_fp), NonNull::from(&self.code_use.stacks));
            // SAFETY: the store doesn't move, and says when it ends. Who enters a guest writes `entry_fp` first, except on a stack that is counted.
            let key = unsafe { memory.add_user(entry_fp, stacks) };
            self.code_use.key = Some(u32::try_from(key).expect("fewer stores than bytes of memory"));
        }
    }

    /// An asynchronous call or a sibling has a stack from now on.
    #[inline]
    pub(super) fn stack_is_taken(&mut self) {
        // Only the store writes it.
        let stacks = &self.code_use.stacks;
        stacks.store(stacks.load(Ordering::Relaxed) + 1, Ordering::Release);
    }

    /// It has none any more.
    #[inline]
    pub(super) fn stack_is_given(&mut self) {
        let stacks = &self.code_use.stacks;
        stacks.store(stacks.load(Ordering::Relaxed) - 1, Ordering::Release);
    }

    /// Where enough code was replaced, looks for it in the frames, so that the rest can be given back. To be called by builtins, when nothing of
    /// what they are about to answer is an address in code.
    pub(crate) fn look_for_replaced_code(&mut self) {
        let memory = self.engine.code_memory();
        let Some(key) = self.code_use.key.filter(|_| memory.wants_look(self.code_use.looked_at)) else { return };
        let mut look = memory.look();
        // SAFETY: the guest has left through the exit that `exit_fp` tells of.
        let running = unsafe { GuestFrames::innermost(&self.vm) };
        // SAFETY: those below an exit, and of tasks that wait, are suspended until this returns.
        let walks = running.into_iter().chain(self.waiting_frames()).map(|frames| unsafe { entry::all_frames(frames) });
        // A call may be the last instruction of its function.
        walks.flatten().for_each(|frame| look.note(frame.pc - usize::from(frame.is_return_address)));
        self.code_use.looked_at = memory.note_look(key as usize, look);
        // The guest doesn't wait for what may take long, unless nobody else does it or there is no room.
        if barrier::is_ready() || memory.is_full() || self.engine.config().tier_up.threads == 0 {
            memory.free_unused();
        }
    }

    /// Before the store is dropped.
    pub(super) fn leave_code(&mut self) {
        if let Some(key) = self.code_use.key.take() {
            self.engine.code_memory().remove_user(key as usize);
        }
    }
}
