//! What a compiler leaves of one function: the form that the runtime links, looks up at traps, and serializes.

use crate::builtins::Builtin;
use crate::index::FuncIndex;
use crate::trap::TrapCode;
use serde::{Deserialize, Serialize};

/// The machine code of one function, relocatable, with all that must be known about it while it runs.
///
/// Offsets are bytes from the start of `code`. Lists are sorted by offset.
#[derive(Clone, Debug, Default)]
pub struct CompiledFunction {
    /// Machine code followed by its constants.
    pub code: Vec<u8>,
    /// The alignment `code` needs, a power of two.
    pub alignment: u32,
    /// Calls to be resolved when the code is placed.
    pub relocations: Vec<Relocation>,
    /// What must be known about it while it runs.
    pub info: FunctionInfo,
}

/// One call to be resolved.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Relocation {
    /// Where the 32-bit displacement is. The value to write is `target - (code + offset) - 4` (`R_X86_64_PC32` with the
    /// addend -4).
    pub offset: u32,
    /// What it refers to.
    pub target: RelocationTarget,
}

/// What a relocation refers to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
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
    /// From code offset to the offset in the module's bytes of the operator it was made from. An entry holds until the
    /// next. `u32::MAX` stands for code made from no operator.
    pub positions: Vec<(u32, u32)>,
    /// For each return address with live references: the return address' offset, and the offsets from the stack pointer
    /// (at the call) of the 32-bit slots that hold them.
    pub stack_maps: Vec<(u32, StackMap)>,
}

/// The live references at one call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StackMap {
    /// Bytes from the stack pointer at the call up to the frame pointer.
    pub frame_size: u32,
    /// Offsets from the stack pointer of slots that hold a raw `externref`.
    pub slots: Vec<u32>,
}

impl FunctionInfo {
    /// The trap that a fault at this offset means, or `None` where no fault is expected.
    pub fn trap_at(&self, offset: u32) -> Option<TrapCode> {
        let at = self.traps.binary_search_by_key(&offset, |&(at, _)| at).ok()?;
        TrapCode::from_u8(self.traps[at].1)
    }

    /// The offset in the module's bytes of the operator that the code at `offset` was made from.
    pub fn position_at(&self, offset: u32) -> Option<u32> {
        let after = self.positions.partition_point(|&(at, _)| at <= offset);
        let (_, position) = self.positions[after.checked_sub(1)?];
        (position != u32::MAX).then_some(position)
    }

    /// The live references at the call that returns to this offset.
    pub fn stack_map_at(&self, return_offset: u32) -> Option<&StackMap> {
        let at = self.stack_maps.binary_search_by_key(&return_offset, |&(at, _)| at).ok()?;
        Some(&self.stack_maps[at].1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_holds_until_the_next() {
        let info = FunctionInfo { positions: vec![(4, 100), (9, 101), (12, u32::MAX)], ..Default::default() };
        assert_eq!(info.position_at(3), None);
        assert_eq!(info.position_at(4), Some(100));
        assert_eq!(info.position_at(8), Some(100));
        assert_eq!(info.position_at(9), Some(101));
        assert_eq!(info.position_at(12), None);
    }
}
