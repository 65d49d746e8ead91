//! Registers that the runtime reads.

/// An address in the current frame, near enough to the stack pointer to compare limits with.
#[inline(always)]
pub fn stack_pointer() -> usize {
    let sp;
    // SAFETY: reads a register.
    unsafe { std::arch::asm!("mov {}, rsp", out(reg) sp, options(nomem, nostack, preserves_flags)) }
    sp
}

/// The address of this thread's control block, which no other thread has at the same time.
#[inline(always)]
pub fn this_thread() -> usize {
    let thread;
    // SAFETY: reads the word that the platform's convention for thread-local storage keeps at the start of every thread's control
    // block: its own address.
    unsafe { std::arch::asm!("mov {}, fs:0", out(reg) thread, options(readonly, nostack, preserves_flags)) }
    thread
}
