//! What a compiler leaves of one function: the form that the runtime links, looks up at traps, and serializes.

use crate::builtins::Builtin;
use crate::index::FuncIndex;
use crate::trap::TrapCode;
use crate::tunables::Tier;
use serde::{Deserialize, Serialize};

/// The machine code of one function, relocatable, with all that must be known about it while it runs.
///
/// Offsets are bytes from the start of `code`. Lists are sorted by offset.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct CompiledFunction {
    /// Who made it.
    pub tier: Tier,
    /// Machine code followed by its constants.
    pub code: Vec<u8>,
    /// `code` starts `phase` bytes behind a multiple of this, which is a power of two.
    pub alignment: u32,
    /// Less than `alignment`. What alignment the code needs, it has with any multiple of `alignment`, and with this.
    pub phase: u32,
    /// Calls to be resolved when the code is placed.
    pub relocations: Vec<Relocation>,
    /// What must be known about it while it runs.
    pub info: FunctionInfo,
    /// Of code that is entered at a loop.
    pub replaces: Option<ReplacedFrame>,
}

/// What must be known to enter code at a loop of its function, in the place of the frame of other code that has come so far.
///
/// The code is entered as the function is, with that frame gone. Of the arguments, nothing but the context and the return area is read; what the
/// frame held is read through `VmStoreContext::replaced_frame`, before anything else happens.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ReplacedFrame {
    /// Bytes below the frame pointer that it had, which are to be there.
    pub len: u32,
    /// Bytes below the frame pointer of the code's own frame. It doesn't look at the stack limit when it is entered: whoever leads there has.
    pub own_len: u32,
}

/// One call to be resolved.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Relocation {
    /// Where the 32-bit displacement is. The value to write is `target - (code + offset) - 4` (`R_X86_64_PC32` with the
    /// addend -4).
    pub offset: u32,
    /// What it refers to.
    pub target: RelocationTarget,
}

/// What a relocation refers to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum RelocationTarget {
    /// A function defined in the same module.
    Func(FuncIndex),
    /// The module's jump to a builtin.
    Builtin(Builtin),
}

/// What must be known about a function's code while it runs. This is what an artifact keeps of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FunctionInfo {
    /// Instructions that may fault, and what the fault means: offset and [`TrapCode`] as a number.
    pub traps: Vec<(u32, u8)>,
    /// From code offset to the position of the operator it was made from. An entry holds until the next. `u32::MAX` stands
    /// for code made from no operator. A position is an offset in the module's bytes or, from [`INLINED`] on, names an entry
    /// of `inlined`.
    pub positions: Vec<(u32, u32)>,
    /// Operators of functions that were inlined: the offset of each in the module's bytes, and the position of the call
    /// that it was inlined for.
    pub inlined: Vec<(u32, u32)>,
    /// Of the instructions that may fault, those where the store has less fuel spent than the guest has: offset, and how many units a fault there
    /// charges.
    pub owed: Vec<(u32, u32)>,
    /// For each return address with live references: the return address' offset, and the offsets from the stack pointer
    /// (at the call) of the 32-bit slots that hold them.
    pub stack_maps: Vec<(u32, StackMap)>,
    /// For each return address at which exceptions are handled, the handler. It gets every exception, and throws on what it has no use for.
    pub handlers: Vec<(u32, Handler)>,
    /// Which of the registers that the guest convention keeps for callers are in the function's frame while it runs; see [`KeptRegisters`].
    pub kept: KeptRegisters,
}

/// Those of the registers which functions leave as they found them that a function needs itself. They are in its frame meanwhile, one word
/// behind the other in the processor's order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptRegisters {
    /// The lowest bit stands for the first in the processor's order.
    pub set: u8,
    /// Bytes from the frame pointer down to the first word.
    pub below: u32,
}

impl KeptRegisters {
    /// Just below the frame pointer. One word stands empty behind the last where their number is odd.
    pub fn below_frame_pointer(set: u8) -> Self {
        Self { set, below: set.count_ones().next_multiple_of(2) * 8 }
    }

    /// Where the words of these registers are, from the frame pointer down: their numbers among those kept, and bytes.
    pub fn places(self) -> impl Iterator<Item = (usize, usize)> {
        let mut left = self.set;
        let mut below = self.below as usize;
        std::iter::from_fn(move || {
            let place = (left != 0).then_some((left.trailing_zeros() as usize, below));
            left &= left.wrapping_sub(1);
            below = below.wrapping_sub(8);
            place
        })
    }
}

/// Positions from this one on are, less it, places in [`FunctionInfo::inlined`].
pub const INLINED: u32 = 1 << 31;

/// Where a function goes on when what it has called throws.
///
/// The code there expects the stack pointer as it was at the call, the frame pointer, the exception as guest code holds it in the first
/// payload register of the guest convention, and what a callee keeps as it was at the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handler {
    /// Its offset.
    pub landing: u32,
    /// Bytes from the stack pointer at the call up to the frame pointer.
    pub frame_size: u32,
}

/// The live references at one call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StackMap {
    /// Bytes from the stack pointer at the call up to the frame pointer.
    pub frame_size: u32,
    /// Offsets from the stack pointer of slots that hold a raw reference.
    pub slots: Vec<u32>,
}

impl FunctionInfo {
    /// The trap that a fault at this offset means, or `None` where no fault is expected.
    pub fn trap_at(&self, offset: u32) -> Option<TrapCode> {
        let at = self.traps.binary_search_by_key(&offset, |&(at, _)| at).ok()?;
        TrapCode::from_u8(self.traps[at].1)
    }

    /// The offsets in the module's bytes of the operators that the code at `offset` was made from: the operator itself and, where
    /// its function was inlined, the calls it was inlined for, innermost first. Empty where there are none.
    pub fn positions_at(&self, offset: u32) -> impl Iterator<Item = u32> {
        let after = self.positions.partition_point(|&(at, _)| at <= offset);
        let mut next = after.checked_sub(1).map_or(u32::MAX, |entry| self.positions[entry].1);
        std::iter::from_fn(move || {
            if next == u32::MAX || next < INLINED {
                let position = std::mem::replace(&mut next, u32::MAX);
                return (position != u32::MAX).then_some(position);
            }
            let (position, call) = *self.inlined.get((next - INLINED) as usize)?;
            // A call was noted before what was inlined for it: this ends, whatever the numbers say.
            next = if call < next || call < INLINED { call } else { u32::MAX };
            Some(position)
        })
    }

    /// What a fault at this offset charges beyond what the store has.
    pub fn owed_at(&self, offset: u32) -> u32 {
        let found = self.owed.binary_search_by_key(&offset, |&(at, _)| at);
        found.map_or(0, |at| self.owed[at].1)
    }

    /// The live references at the call that returns to this offset.
    pub fn stack_map_at(&self, return_offset: u32) -> Option<&StackMap> {
        let at = self.stack_maps.binary_search_by_key(&return_offset, |&(at, _)| at).ok()?;
        Some(&self.stack_maps[at].1)
    }

    /// The handler at the call that returns to this offset.
    pub fn handler_at(&self, return_offset: u32) -> Option<Handler> {
        let at = self.handlers.binary_search_by_key(&return_offset, |&(at, _)| at).ok()?;
        Some(self.handlers[at].1)
    }
}

/// A checksum against accidents, at memory speed. Any change within eight bytes at a multiple of eight is certain to be noticed:
/// each step is a bijection of the word it takes in.
pub fn checksum(bytes: &[u8]) -> u64 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut lanes = [1, 2, 3, 4];
    let mut take = |block: &[u8]| {
        for (lane, word) in lanes.iter_mut().zip(block.chunks_exact(8)) {
            let word = u64::from_le_bytes(word.try_into().expect("eight bytes"));
            *lane = (*lane ^ word).wrapping_mul(ODD).rotate_left(31);
        }
    };
    let blocks = bytes.chunks_exact(32);
    let mut last = [0; 32];
    last[..blocks.remainder().len()].copy_from_slice(blocks.remainder());
    blocks.for_each(&mut take);
    take(&last);
    lanes.into_iter().fold(bytes.len() as u64, |sum, lane| (sum ^ lane).wrapping_mul(ODD).rotate_left(31))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_holds_until_the_next() {
        let info = FunctionInfo { positions: vec![(4, 100), (9, 101), (12, u32::MAX)], ..Default::default() };
        let at = |offset| info.positions_at(offset).collect::<Vec<_>>();
        assert_eq!(at(3), []);
        assert_eq!(at(4), [100]);
        assert_eq!(at(8), [100]);
        assert_eq!(at(9), [101]);
        assert_eq!(at(12), []);
    }

    #[test]
    fn kept_registers_are_in_order() {
        let places = |set| KeptRegisters::below_frame_pointer(set).places().collect::<Vec<_>>();
        assert_eq!(places(0), []);
        assert_eq!(places(0b100), [(2, 16)], "a word stands empty between it and the frame pointer");
        assert_eq!(places(0b10001), [(0, 16), (4, 8)]);
        assert_eq!(places(0b11111), [(0, 48), (1, 40), (2, 32), (3, 24), (4, 16)]);
        let elsewhere = KeptRegisters { set: 0b10010, below: 88 };
        assert_eq!(elsewhere.places().collect::<Vec<_>>(), [(1, 88), (4, 80)]);
    }

    #[test]
    fn a_fault_charges_what_is_owed_at_its_instruction() {
        let info = FunctionInfo { traps: vec![(4, 1), (9, 1)], owed: vec![(9, 12)], ..Default::default() };
        assert_eq!([4, 9, 10].map(|offset| info.owed_at(offset)), [0, 12, 0]);
    }

    #[test]
    fn an_inlined_operator_is_followed_by_its_calls() {
        let inlined = vec![(50, 100), (60, INLINED), (70, INLINED + 2)];
        let positions = vec![(0, INLINED + 1), (8, INLINED), (16, INLINED + 2), (24, INLINED + 9)];
        let info = FunctionInfo { positions, inlined, ..Default::default() };
        let at = |offset| info.positions_at(offset).collect::<Vec<_>>();
        assert_eq!(at(0), [60, 50, 100]);
        assert_eq!(at(8), [50, 100]);
        assert_eq!(at(16), [70], "an entry that leads to itself, as in a damaged artifact, ends the walk");
        assert_eq!(at(24), [], "as does one that doesn't exist");
    }
}
