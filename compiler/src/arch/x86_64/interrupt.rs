//! How code calls the builtins that interrupt a guest.

use ampoule_core::artifact::{Relocation, RelocationTarget};
use ampoule_core::builtins::Builtin;

/// Makes a call of a builtin that interrupts the guest a jump to code behind the function that pushes the return address and jumps on.
/// Such a builtin doesn't return either: the guest may pause there, and others run meanwhile, whose returns the processor would match with
/// this call. The return address is the same, so nothing that is known of it changes.
pub(crate) fn jump_to_interrupt(code: &mut Vec<u8>, relocation: &mut Relocation) {
    const CALL: u8 = 0xe8;
    const JUMP: u8 = 0xe9;
    let interrupts =
        matches!(relocation.target, RelocationTarget::Builtin(Builtin::EpochReached | Builtin::FuelExhausted));
    let at = relocation.offset as usize;
    if !interrupts || code[at - 1] != CALL {
        return;
    }
    let (back, start) = (at + 4, code.len());
    let displacement = |from: usize, to: usize| (to.wrapping_sub(from) as u32).to_le_bytes();
    code[at - 1] = JUMP;
    code[at..back].copy_from_slice(&displacement(back, start));
    // Every register is kept: push rax, push rax, lea rax, [rip + back], mov [rsp + 8], rax, pop rax.
    code.extend_from_slice(&[0x50, 0x50, 0x48, 0x8d, 0x05]);
    code.extend_from_slice(&displacement(start + 9, back));
    code.extend_from_slice(&[0x48, 0x89, 0x44, 0x24, 0x08, 0x58, JUMP]);
    relocation.offset = code.len() as u32;
    code.extend_from_slice(&[0; 4]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interrupt_is_jumped_to_with_the_return_address_of_the_call() {
        let target = RelocationTarget::Builtin(Builtin::EpochReached);
        let call = [0x90, 0xe8, 0, 0, 0, 0, 0xc3];
        let mut code = call.to_vec();
        let mut relocation = Relocation { offset: 2, target };
        jump_to_interrupt(&mut code, &mut relocation);
        let at =
            |offset: usize| offset as i64 + 4 + i64::from(i32::from_le_bytes(*code[offset..].first_chunk().unwrap()));
        assert_eq!((code[1], at(2)), (0xe9, 7), "a jump behind the code");
        assert_eq!(code[9..12], [0x48, 0x8d, 0x05]);
        assert_eq!(at(12), 6, "what is pushed is the address behind the call");
        assert_eq!((code[22], relocation.offset as usize, code.len()), (0xe9, 23, 27));

        let mut code = call.to_vec();
        let mut relocation = Relocation { offset: 2, target: RelocationTarget::Builtin(Builtin::MemoryGrow) };
        jump_to_interrupt(&mut code, &mut relocation);
        assert_eq!((code, relocation.offset), (call.to_vec(), 2), "others are called");
    }
}
