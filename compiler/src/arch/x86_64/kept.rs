//! Which of the caller's registers a function has in its frame.

use crate::CompileError;
use ampoule_core::artifact::KeptRegisters;
use cranelift_codegen::CompiledCode;
use cranelift_codegen::isa::TargetIsa;
use cranelift_codegen::isa::unwind::{UnwindInfo, UnwindInfoKind};

/// The registers that the guest convention keeps, by the processor's numbers: `rbx` and `r12` to `r15`. The frame pointer is one, too, but
/// every frame has that.
const KEPT: [u8; 5] = [3, 12, 13, 14, 15];

/// Those that a function's prologue stores, from what the code generator would tell an unwinder of Windows: the one form that it lets be read.
pub(crate) fn kept_registers(isa: &dyn TargetIsa, code: &CompiledCode) -> Result<KeptRegisters, CompileError> {
    let info = isa.emit_unwind_info(code, UnwindInfoKind::Windows).map_err(CompileError::new)?;
    let Some(UnwindInfo::WindowsX64(info)) = info else {
        return Err(CompileError::new("the code generator doesn't tell what registers a function keeps"));
    };
    let mut bytes = vec![0; info.emit_size()];
    info.emit(&mut bytes);
    read(&bytes).ok_or_else(|| CompileError::new("a function keeps registers in another way than is known"))
}

/// Reads an `UNWIND_INFO`: four bytes, of which the third counts the slots that follow, of two bytes each.
fn read(info: &[u8]) -> Option<KeptRegisters> {
    const PUSH: u8 = 0;
    const SET_FRAME_POINTER: u8 = 3;
    const SAVE: u8 = 4;
    let (header, slots) = info.split_at_checked(4)?;
    let mut slots = slots.chunks_exact(2).take(header[2].into());
    let mut set = 0;
    while let Some(slot) = slots.next() {
        match (slot[1] & 0xf, slot[1] >> 4) {
            // The frame pointer.
            (PUSH, 5) | (SET_FRAME_POINTER, _) => {}
            (SAVE, register) => {
                set |= 1 << KEPT.iter().position(|&kept| kept == register)?;
                // Where it is.
                slots.next()?;
            }
            _ => return None,
        }
    }
    Some(KeptRegisters::below_frame_pointer(set))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stores_of_kept_registers_are_read_and_nothing_else_is_accepted() {
        let info = |slots: &[[u8; 2]]| [&[1, 9, slots.len() as u8, 5][..], &slots.concat(), &[0, 0]].concat();
        let (push, frame) = ([1, 0x50], [4, 0x03]);
        assert_eq!(read(&info(&[frame, push])), Some(KeptRegisters::default()));
        assert_eq!(
            read(&info(&[[16, 0xe4], [0, 0], [12, 0x34], [0, 0], frame, push])),
            Some(KeptRegisters::below_frame_pointer(0b1001)),
            "r14 and rbx"
        );
        assert_eq!(read(&info(&[[12, 0x64], [0, 0], frame, push])), None, "rsi is not kept");
        assert_eq!(read(&info(&[[12, 0x68], [0, 0], frame, push])), None, "nor is any vector");
        assert_eq!(read(&info(&[[1, 0x30]])), None, "nothing but the frame pointer is pushed");
    }
}
