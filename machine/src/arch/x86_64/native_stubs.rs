//! The stubs of native entry points: code that is a plain C function to the host.
//!
//! ```text
//!     mov  …, …            each integer argument to the next register, since guest code has its context in the first
//!     mov  r10, func_ref
//!     mov  r11, store
//!     jmp  target          in [`super::native`]; where that is too far away: jmp [rip], dq target
//! ```

use crate::code::CodeError;
use crate::code::space::Region;
use crate::os::mmap::PAGE;

/// Bytes from one stub to the next: two fit into a cache line's neighbours without sharing one.
const STUB_LEN: usize = 64;

/// `mov` to each argument register but the first from the one before it, first argument first.
const MOVES: [[u8; 3]; 5] = [
    [0x48, 0x89, 0xfe], // mov rsi, rdi
    [0x48, 0x89, 0xf2], // mov rdx, rsi
    [0x48, 0x89, 0xd1], // mov rcx, rdx
    [0x49, 0x89, 0xc8], // mov r8, rcx
    [0x4d, 0x89, 0xc1], // mov r9, r8
];

/// How many integer arguments a stub can move without needing memory for the last.
pub const MOVED_MAX: usize = MOVES.len();

/// The stubs of one store. Dropping it frees their code.
#[derive(Default)]
pub struct Stubs {
    /// The last one may have bytes left.
    regions: Vec<Region>,
    used: usize,
}

impl Stubs {
    /// Makes a stub, ready to run as long as this value lives.
    ///
    /// # Errors
    /// Where code memory has run out.
    ///
    /// # Panics
    /// Where there are more than [`MOVED_MAX`] arguments to move.
    pub fn add(&mut self, moved: usize, func_ref: usize, store: usize, target: usize) -> Result<usize, CodeError> {
        let full = self.regions.last().is_none_or(|region| self.used + STUB_LEN > region.len());
        if full {
            self.regions.push(Region::new(PAGE).map_err(CodeError::no_memory)?);
            self.used = 0;
        }
        let region = self.regions.last().expect("there is one by now");
        let address = region.exec_base() + self.used;
        region.write(self.used, &stub(address, moved, func_ref, store, target)).map_err(CodeError::no_memory)?;
        self.used += STUB_LEN;
        Ok(address)
    }
}

/// The code of a stub that is to lie at `address`.
fn stub(address: usize, moved: usize, func_ref: usize, store: usize, target: usize) -> Vec<u8> {
    let mut code = Vec::with_capacity(STUB_LEN);
    // The last argument first, so that none is overwritten before it has moved.
    MOVES[..moved].iter().rev().for_each(|instruction| code.extend(instruction));
    code.extend([0x49, 0xba]);
    code.extend(func_ref.to_le_bytes());
    code.extend([0x49, 0xbb]);
    code.extend(store.to_le_bytes());
    let after_jump = address + code.len() + 5;
    match i32::try_from(target.wrapping_sub(after_jump) as isize) {
        Ok(distance) => {
            code.push(0xe9);
            code.extend(distance.to_le_bytes());
        }
        Err(_) => {
            code.extend([0xff, 0x25, 0, 0, 0, 0]);
            code.extend(target.to_le_bytes());
        }
    }
    assert!(code.len() <= STUB_LEN, "a stub is no longer than that");
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stub_jumps_as_far_as_its_target_is() {
        let near = stub(0x7f00_0000_1000, 5, 1, 2, 0x7f00_7000_0000);
        let (at, jump) = (near.len() - 5, &near[near.len() - 4..]);
        assert_eq!(near[at], 0xe9);
        let end = 0x7f00_0000_1000 + near.len();
        assert_eq!(end + i32::from_le_bytes(jump.try_into().unwrap()) as usize, 0x7f00_7000_0000);
        let far = stub(0x7f00_0000_1000, 5, 1, 2, 0x5500_0000_0000);
        assert!(far.ends_with(&0x5500_0000_0000usize.to_le_bytes()) && far.len() <= STUB_LEN);
        // Behind a target, the distance is negative.
        let back = stub(0x7f00_0000_1000, 0, 1, 2, 0x7f00_0000_0000);
        assert_eq!(back[back.len() - 5..], [0xe9, 0xe7, 0xef, 0xff, 0xff]);
    }
}
