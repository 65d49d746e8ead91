//! What the system's unwinder is told of guest frames, so that `backtrace`, `_Unwind_Backtrace` and debuggers' libraries can walk
//! through them: the frames of [`crate::arch::entry`] and [`crate::arch::trampolines`] describe themselves, and everything between is code
//! that keeps frame pointers.
//!
//! So one description covers all code there will ever be ("Why one unwind entry covers all code" in docs/rationale.md):
//!
//! ```text
//! canonical frame address   rbp + 16
//! caller's rbp              at that address - 16
//! return address            at that address - 8
//! ```
//!
//! What guest code did to other registers doesn't matter: the entry frame gives back those of the host.

use crate::arch::dwarf::{FRAME_POINTER, PROLOGUE, RETURN_ADDRESS, STACK_POINTER};
use crate::os::sync::OnceLock;
use std::ops::Range;

unsafe extern "C" {
    /// The unwinder's, of libgcc: takes a section of call frame information that ends in a zero length.
    fn __register_frame(section: *const u8);
}

/// The section that was registered. It lives as long as the process, as the code space does that it describes.
static SECTION: OnceLock<Box<[u8]>> = OnceLock::new();

/// Tells the unwinder that all code in a range keeps frame pointers. The first call counts.
///
/// # Safety
/// Nothing but such code will ever run in the range.
pub unsafe fn register(range: Range<usize>) {
    SECTION.get_or_init(|| {
        let section: Box<[u8]> = frame_pointer_section(range).into();
        // SAFETY: a well-formed section, kept in memory by `SECTION` for good; its description is true by the caller.
        unsafe { __register_frame(section.as_ptr()) };
        section
    });
}

const DW_CFA_DEF_CFA: u8 = 0x0c;
const DW_CFA_DEF_CFA_REGISTER: u8 = 0x0d;
const DW_CFA_DEF_CFA_OFFSET: u8 = 0x0e;
const DW_CFA_ADVANCE: u8 = 0x40;
const DW_CFA_OFFSET: u8 = 0x80;
const DW_CFA_NOP: u8 = 0;

const DW_EH_PE_ABSPTR: u8 = 0;
const DW_EH_PE_PCREL_SDATA4: u8 = 0x1b;

/// A section (`.eh_frame`) with the description above for a range of addresses.
pub fn frame_pointer_section(range: Range<usize>) -> Vec<u8> {
    let mut section = Vec::with_capacity(72);
    let rules =
        [DW_CFA_DEF_CFA, FRAME_POINTER, 16, DW_CFA_OFFSET | FRAME_POINTER, 2, DW_CFA_OFFSET | RETURN_ADDRESS, 1];
    common_entry(&mut section, DW_EH_PE_ABSPTR, &rules);
    entry(&mut section, |section| {
        let to_cie = section.len() as u32;
        section.extend_from_slice(&to_cie.to_le_bytes());
        section.extend_from_slice(&(range.start as u64).to_le_bytes());
        section.extend_from_slice(&(range.len() as u64).to_le_bytes());
        section.push(0); // nothing more
    });
    section.extend_from_slice(&0u32.to_le_bytes());
    section
}

/// The sections `.eh_frame` and `.eh_frame_hdr` for one function of `code_len` bytes, to lie one after another behind it at the
/// next multiple of eight bytes, as `perf inject` puts them. Exact in the function's first instructions too.
pub fn sections_behind(code_len: usize) -> (Vec<u8>, Vec<u8>) {
    let before = code_len.next_multiple_of(8);
    let back = |distance: usize| (-(distance as i32)).to_le_bytes();
    let mut frames = Vec::new();
    let at_call = [DW_CFA_DEF_CFA, STACK_POINTER, 8, DW_CFA_OFFSET | RETURN_ADDRESS, 1];
    common_entry(&mut frames, DW_EH_PE_PCREL_SDATA4, &at_call);
    let function = frames.len();
    entry(&mut frames, |frames| {
        let to_cie = frames.len() as u32;
        frames.extend_from_slice(&to_cie.to_le_bytes());
        frames.extend_from_slice(&back(before + frames.len()));
        frames.extend_from_slice(&(code_len as u32).to_le_bytes());
        frames.push(0); // nothing more
        // push rbp; mov rbp, rsp
        frames.extend_from_slice(&[
            DW_CFA_ADVANCE | PROLOGUE[0],
            DW_CFA_DEF_CFA_OFFSET,
            16,
            DW_CFA_OFFSET | FRAME_POINTER,
            2,
        ]);
        frames.extend_from_slice(&[DW_CFA_ADVANCE | PROLOGUE[1], DW_CFA_DEF_CFA_REGISTER, FRAME_POINTER]);
    });
    frames.extend_from_slice(&0u32.to_le_bytes());
    // Version, and the forms of what follows: the section's address, the number of functions, the table.
    let mut table = vec![1, DW_EH_PE_PCREL_SDATA4, 0x03, 0x3b];
    table.extend_from_slice(&back(frames.len() + 4));
    table.extend_from_slice(&1u32.to_le_bytes());
    table.extend_from_slice(&back(frames.len() + before));
    table.extend_from_slice(&back(frames.len() - function));
    (frames, table)
}

/// Appends the entry that others refer to (a CIE), which is the section's first: the form of addresses, and the rules that hold at
/// the start of each.
fn common_entry(section: &mut Vec<u8>, address_form: u8, rules: &[u8]) {
    entry(section, |section| {
        section.extend_from_slice(&0u32.to_le_bytes());
        section.push(1); // version
        section.extend_from_slice(b"zR\0");
        section.push(1); // code alignment
        section.push(0x78); // data alignment: -8
        section.push(RETURN_ADDRESS);
        section.extend_from_slice(&[1, address_form]);
        section.extend_from_slice(rules);
    });
}

/// Appends an entry: its length, and what `fill` appends, to a multiple of eight bytes.
fn entry(section: &mut Vec<u8>, fill: impl FnOnce(&mut Vec<u8>)) {
    let start = section.len();
    section.extend_from_slice(&[0; 4]);
    fill(section);
    section.resize(section.len().next_multiple_of(8), DW_CFA_NOP);
    let len = (section.len() - start - 4) as u32;
    section[start..start + 4].copy_from_slice(&len.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use gimli::{
        BaseAddresses, CfaRule, EhFrame, LittleEndian, Register, RegisterRule, UnwindContext, UnwindSection, X86_64,
    };

    #[test]
    fn every_address_of_the_range_has_the_frame_pointers_rules() {
        let section = frame_pointer_section(0x1000..0x1_0000_5000);
        let frames = EhFrame::new(&section, LittleEndian);
        let bases = BaseAddresses::default();
        let mut context = UnwindContext::new();
        for pc in [0x1000, 0x1234, 0x1_0000_4fff] {
            let rules = frames.unwind_info_for_address(&bases, &mut context, pc, EhFrame::cie_from_offset).unwrap();
            assert_eq!(*rules.cfa(), CfaRule::RegisterAndOffset { register: X86_64::RBP, offset: 16 });
            assert_eq!(rules.register(X86_64::RBP), Some(RegisterRule::Offset(-16)));
            assert_eq!(rules.register(Register(16)), Some(RegisterRule::Offset(-8)));
        }
        for pc in [0xfff, 0x1_0000_5000] {
            let rules = frames.unwind_info_for_address(&bases, &mut context, pc, EhFrame::cie_from_offset);
            assert!(rules.is_err());
        }
        assert!(section.ends_with(&[0; 4]));
    }

    #[test]
    fn a_functions_rules_follow_its_first_instructions() {
        const CODE: u64 = 0x1000;
        let (frames, table) = sections_behind(0x1d);
        let (at_frames, at_table) = (CODE + 0x20, CODE + 0x20 + frames.len() as u64);
        let bases = BaseAddresses::default().set_eh_frame(at_frames).set_eh_frame_hdr(at_table).set_text(CODE);
        let header = gimli::EhFrameHdr::new(&table, LittleEndian).parse(&bases, 8).unwrap();
        assert_eq!(header.eh_frame_ptr(), gimli::Pointer::Direct(at_frames));
        let found = header.table().unwrap().lookup(CODE + 5, &bases).unwrap();
        let section = EhFrame::new(&frames, LittleEndian);
        let function = header.table().unwrap().pointer_to_offset(found).unwrap();
        let function = section.fde_from_offset(&bases, function, EhFrame::cie_from_offset).unwrap();
        assert_eq!((function.initial_address(), function.len()), (CODE, 0x1d));
        let mut context = UnwindContext::new();
        let mut cfa = |pc| {
            let rules = section.unwind_info_for_address(&bases, &mut context, pc, EhFrame::cie_from_offset).unwrap();
            rules.cfa().clone()
        };
        assert_eq!(cfa(CODE), CfaRule::RegisterAndOffset { register: X86_64::RSP, offset: 8 });
        assert_eq!(cfa(CODE + 1), CfaRule::RegisterAndOffset { register: X86_64::RSP, offset: 16 });
        assert_eq!(cfa(CODE + 4), CfaRule::RegisterAndOffset { register: X86_64::RBP, offset: 16 });
        assert_eq!(cfa(CODE + 0x1c), CfaRule::RegisterAndOffset { register: X86_64::RBP, offset: 16 });
    }
}
