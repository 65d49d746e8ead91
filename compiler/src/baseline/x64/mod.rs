//! What is x86-64's in the baseline tier: registers, instructions, conventions.

mod assembler;
mod cpu;
mod registers;

pub(crate) use assembler::*;
pub(crate) use cpu::Cpu;
pub(crate) use registers::*;

/// Fills what is never run.
const INT3: u8 = 0xcc;
