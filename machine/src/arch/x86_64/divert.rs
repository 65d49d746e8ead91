//! Turning back a guest that is not to go on: its frames return one by one, each activation into unwinding.

use super::entry::{EntryFrame, GuestFrame, GuestFrames, unwind};
use crate::builtins;
use std::arch::naked_asm;

/// Makes the guest frames that wait below `exit_fp`, and those of every activation around it, end instead of going on: whatever
/// the host function or builtin that each waits for returns, its activation is unwound, with an error that the builtin `given_up`
/// notes. Gives the outermost entry frame.
///
/// # Safety
/// `exit_fp` is that of a suspended guest, see [`GuestFrames::below_exit`], and so are those of the activations around it.
pub unsafe fn divert(exit_fp: usize) -> EntryFrame {
    let mut exit_fp = exit_fp;
    loop {
        // SAFETY: by the caller, for this exit and those around it. An exit's frame holds its return address into the guest above
        // the frame pointer; the return address is the only thing that is changed, and where it leads needs nothing of the
        // frame but the guest's frame pointer, which exits restore.
        let entry = unsafe {
            let guest = GuestFrames::below_exit(exit_fp);
            // Without a guest there is nobody to turn back: the exit returns to its native call.
            if !guest.is_empty() {
                (exit_fp as *mut usize).add(1).write(turned_back as *const () as usize);
            }
            guest.entry()
        };
        match entry.outer_exit_fp() {
            Some(outer) => exit_fp = outer,
            None => return entry,
        }
    }
}

/// Whether a return address is one that [`divert`] has written: what called there is not to go on.
pub fn is_turned_back(pc: usize) -> bool {
    pc == turned_back as *const () as usize
}

/// Where an exit returns to whose guest was given up. The frame pointer is the guest's; below it nothing is needed any more.
///
/// # Safety
/// Never called: an exit returns here, in the place of a guest that [`turn_back`] knows.
#[unsafe(naked)]
unsafe extern "C" fn turned_back() {
    naked_asm!(
        "mov rdi, rbp",
        "and rsp, -16",
        "call {turn_back}",
        "mov rdi, rax",
        "jmp {unwind}",
        turn_back = sym turn_back,
        unwind = sym unwind,
    )
}

/// Notes the error, and gives the frame pointer of the entry frame.
extern "C" fn turn_back(fp: usize) -> usize {
    // SAFETY: `fp` is the frame of guest code that has just been returned to, past `divert`.
    let entry = unsafe { GuestFrames::from(GuestFrame { pc: 0, fp, is_return_address: true }) }.entry();
    // SAFETY: the store of an active entry frame is live, and its guest is not going on.
    unsafe { (builtins::installed().given_up)(entry.store()) };
    entry.fp()
}
