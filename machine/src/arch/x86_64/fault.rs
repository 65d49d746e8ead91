//! What the signal handler reads and changes in the registers of a thread that faulted.

use super::trampolines::fault_landing;
use libc::{c_int, ucontext_t};

/// The program counter at which a signal found its thread.
pub fn program_counter(context: &ucontext_t) -> usize {
    context.uc_mcontext.gregs[libc::REG_RIP as usize] as usize
}

/// Makes a thread that faulted in guest code at `pc` go on in [`fault_landing`], which is told where, why and on which access.
pub fn divert_to_landing(context: &mut ucontext_t, pc: usize, address: usize, signal: c_int) {
    let registers = &mut context.uc_mcontext.gregs;
    registers[libc::REG_RDI as usize] = pc as i64;
    registers[libc::REG_RSI as usize] = registers[libc::REG_RBP as usize];
    registers[libc::REG_RDX as usize] = address as i64;
    registers[libc::REG_RCX as usize] = i64::from(signal);
    // Guest code keeps nothing below its stack pointer; the gap is for debuggers that assume a red zone.
    registers[libc::REG_RSP as usize] = (registers[libc::REG_RSP as usize] - 128) & !15;
    registers[libc::REG_RIP as usize] = fault_landing as *const () as i64;
}
