//! The jumps at the start of a code region: to builtins, and to functions that may not be compiled yet.
//!
//! ```text
//! region:  jumps to builtins, page 0 | addresses for them, page 1 | code …
//! lazy:    jumps to builtins, page 0 | addresses for them, page 1 | stubs | stubs of references
//!          | addresses of functions | addresses for references | code …
//! ```
//!
//! Code and addresses lie on pages of their own: a write next to running code would stall it.
//!
//! A jump to a builtin is `jmp [rip + its address]`. A stub is 16 bytes:
//!
//! ```text
//! +0   jmp [rip + the function's address]   at first the address of the next instruction
//! +6   mov eax, number of the function      eax carries no argument in the guest's convention
//! +11  jmp to the shared half, at the head's end: mov r11, [rip + module]; jmp [rip + compile_function]
//! ```
//!
//! The stub of a reference is `jmp [rip + the address for it]`, in 8 bytes.

use super::trampolines::trampoline;
use crate::os::mmap::PAGE;
use ampoule_core::builtins::Builtin;

/// Bytes of a region's head.
pub const HEAD_LEN: usize = 2 * PAGE;

/// Bytes of a function's stub.
pub const STUB_LEN: usize = 16;

/// Bytes of a stub before its lazy half.
pub const STUB_JUMP_LEN: usize = 6;

/// Bytes of the stub of a reference.
pub const REFERENCE_STUB_LEN: usize = JUMP_LEN;

const JUMP_LEN: usize = 8;
const COMPILE_ON_CALL: usize = (Builtin::COUNT * JUMP_LEN).next_multiple_of(16);

/// Bytes of code at the start of a head.
pub const JUMPS_LEN: usize = COMPILE_ON_CALL + 16;

/// Where the head keeps the address of the `ModuleCode`.
pub const MODULE_SLOT: usize = slot(Builtin::COUNT);

const _: () = assert!(JUMPS_LEN <= PAGE && MODULE_SLOT + 8 <= HEAD_LEN);

/// Where the jump to a builtin is in a region.
pub const fn builtin_jump(builtin: Builtin) -> usize {
    builtin as usize * JUMP_LEN
}

const fn slot(index: usize) -> usize {
    PAGE + index * 8
}

/// The head of a region, without the address of its `ModuleCode`.
pub fn head() -> Vec<u8> {
    let mut head = vec![0; HEAD_LEN];
    for &builtin in Builtin::ALL {
        let address = slot(builtin as usize);
        jump_through(&mut head, builtin_jump(builtin), address);
        head[address..address + 8].copy_from_slice(&(trampoline(builtin) as u64).to_le_bytes());
    }
    // mov r11, [rip + displacement]
    head[COMPILE_ON_CALL..COMPILE_ON_CALL + 3].copy_from_slice(&[0x4c, 0x8b, 0x1d]);
    displace(&mut head, COMPILE_ON_CALL + 3, MODULE_SLOT);
    jump_through(&mut head, COMPILE_ON_CALL + 7, slot(Builtin::CompileFunction as usize));
    head
}

/// The stubs of `count` functions, for a region where they start at `stubs` and the functions' addresses at `slots`.
pub fn stubs(count: usize, stubs: usize, slots: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(count * STUB_LEN);
    for number in 0..count {
        let at = stubs + number * STUB_LEN;
        let displacement = |target: usize, after: usize| (target.wrapping_sub(at + after) as u32).to_le_bytes();
        bytes.extend_from_slice(&[0xff, 0x25]);
        bytes.extend_from_slice(&displacement(slots + number * 8, STUB_JUMP_LEN));
        bytes.push(0xb8);
        bytes.extend_from_slice(&(number as u32).to_le_bytes());
        bytes.push(0xe9);
        bytes.extend_from_slice(&displacement(COMPILE_ON_CALL, STUB_LEN));
    }
    bytes
}

/// The stubs of `count` references, for a region where they start at `stubs` and the addresses for them at `slots`.
pub fn reference_stubs(count: usize, stubs: usize, slots: usize) -> Vec<u8> {
    let mut bytes = vec![0xcc; count * REFERENCE_STUB_LEN];
    for number in 0..count {
        jump_through(&mut bytes, number * REFERENCE_STUB_LEN, (slots + number * 8).wrapping_sub(stubs));
    }
    bytes
}

/// `jmp [rip + displacement]`, through the address at `through`.
fn jump_through(bytes: &mut [u8], at: usize, through: usize) {
    bytes[at..at + 2].copy_from_slice(&[0xff, 0x25]);
    displace(bytes, at + 2, through);
}

/// Writes the displacement at `at` from its end to `target`.
fn displace(bytes: &mut [u8], at: usize, target: usize) {
    bytes[at..at + 4].copy_from_slice(&(target.wrapping_sub(at + 4) as u32).to_le_bytes());
}

/// Appends a jump to any address to code that lies at `address`, and answers where the jump is.
pub fn append_far_jump(code: &mut Vec<u8>, address: usize, target: usize) -> usize {
    code.resize(code.len().next_multiple_of(8), 0xcc);
    let far = address + code.len();
    // jmp [rip + 2], a pause to align, the address.
    code.extend_from_slice(&[0xff, 0x25, 2, 0, 0, 0, 0xcc, 0xcc]);
    code.extend_from_slice(&(target as u64).to_le_bytes());
    far
}
