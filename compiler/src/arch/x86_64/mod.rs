//! x86-64: what code for it looks like, byte by byte, and the instructions that only it has.

mod interrupt;
mod kept;
mod loop_placement;
mod vector;

pub(crate) use interrupt::jump_to_interrupt;
pub(crate) use kept::kept_registers;
pub(crate) use loop_placement::{Placement, best_placement};
pub(crate) use vector::*;

use cranelift_codegen::binemit::{Addend, Reloc};

/// The processor's name in target triples.
pub(crate) const NAME: &str = "x86_64";

/// How many general registers, and how many vector registers, carry results in the guest convention.
pub(crate) const RETURN_REGISTERS: usize = 8;

/// What of a call is in the same registers in the guest convention and in C's: so many parameters in general and in vector registers, and so
/// many results.
pub(crate) const SHARED_WITH_C: (usize, usize, usize, usize) = (6, 8, 1, 2);

/// The instruction that does nothing, for gaps.
pub(crate) const NOP: u8 = 0x90;

/// Whether a relocation is the displacement of a call or jump, counted from its end: the only kind that the runtime links.
pub(crate) fn is_linkable(kind: Reloc, addend: Addend) -> bool {
    matches!(kind, Reloc::X86CallPCRel4 | Reloc::X86PCRel4) && addend == -4
}

/// Makes the displacement at `at` one that leads to `target`.
pub(crate) fn link(code: &mut [u8], at: usize, target: usize) {
    let displacement = (target.wrapping_sub(at + 4) as u32).to_le_bytes();
    code[at..at + 4].copy_from_slice(&displacement);
}
