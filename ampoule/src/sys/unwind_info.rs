//! What the system's unwinder is told of guest frames, so that `backtrace`, `_Unwind_Backtrace` and debuggers' libraries can walk
//! through them: the frames of [`super::entry`] and [`super::trampolines`] describe themselves, and everything between is code
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

use std::ops::Range;
use std::sync::OnceLock;

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

const RBP: u8 = 6;
const RETURN_ADDRESS: u8 = 16;

const DW_CFA_DEF_CFA: u8 = 0x0c;
const DW_CFA_OFFSET: u8 = 0x80;
const DW_CFA_NOP: u8 = 0;

/// A section (`.eh_frame`) with the description above for a range of addresses.
pub fn frame_pointer_section(range: Range<usize>) -> Vec<u8> {
    let mut section = Vec::with_capacity(72);
    entry(&mut section, |section| {
        section.extend_from_slice(&0u32.to_le_bytes()); // a CIE
        section.push(1); // its version
        section.extend_from_slice(b"zR\0");
        section.push(1); // code alignment
        section.push(0x78); // data alignment: -8
        section.push(RETURN_ADDRESS);
        section.extend_from_slice(&[1, 0]); // the size of what follows; addresses are absolute
        section.extend_from_slice(&[DW_CFA_DEF_CFA, RBP, 16]);
        section.extend_from_slice(&[DW_CFA_OFFSET | RBP, 2, DW_CFA_OFFSET | RETURN_ADDRESS, 1]);
    });
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
}
