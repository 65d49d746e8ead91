//! Numbers by which debug information names the processor and its registers (System V ABI for x86-64, "DWARF Register Number
//! Mapping"; ELF's machine numbers).

/// `rbp`.
pub const FRAME_POINTER: u8 = 6;
/// `rsp`.
pub const STACK_POINTER: u8 = 7;
/// The return address.
pub const RETURN_ADDRESS: u8 = 16;
/// What a function begins with, in bytes: `push rbp`; `mov rbp, rsp`.
pub const PROLOGUE: [u8; 2] = [1, 3];
/// The processor in an ELF header.
pub const ELF_MACHINE: u16 = 62;
