//! What Cranelift is told of accesses to memory: which can't overlap, which may move, and what a fault means.

use ampoule_core::trap::TrapCode;
use cranelift_codegen::ir::{self, MemFlagsData};

/// Parts of memory that never overlap, so that a store to one leaves what is known of the others.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Region {
    /// Linear memories, all of them: two may be one, imported twice.
    Heap,
    /// `VmMemory` and `VmTable` that may change.
    Definitions,
    /// Elements of tables.
    Elements,
    /// `VmFuncRef`s.
    FuncRefs,
    /// `VmStoreContext`.
    Store,
    /// Objects of the store's heap.
    Objects,
    /// The heap's card table.
    Cards,
    /// Imported globals, and the own ones beyond those that have a region each.
    Globals,
    /// One of the module's own globals.
    OwnGlobal(u32),
}

impl Region {
    /// How many own globals have a region each. Bounded because Cranelift's table of access flags is.
    pub const OWN_GLOBALS: u32 = 256;

    pub(super) fn id(self) -> u32 {
        match self {
            Region::Heap => 0,
            Region::Definitions => 1,
            Region::Elements => 2,
            Region::FuncRefs => 3,
            Region::Store => 4,
            Region::Objects => 5,
            Region::Cards => 6,
            Region::Globals => 7,
            Region::OwnGlobal(index) => 8 + index,
        }
    }
}

/// Flags of a load of something that never changes while the instance lives.
pub(super) fn constant_flags() -> MemFlagsData {
    MemFlagsData::trusted().with_readonly().with_can_move()
}

/// The code's number in Cranelift's terms, which have no zero.
pub(super) fn clif_trap(code: TrapCode) -> ir::TrapCode {
    ir::TrapCode::unwrap_user(code as u8 + 1)
}

/// The first of the numbers of which each function says for itself what they mean; and how many there are.
pub(super) const FIRST_OWING: u8 = 64;
pub(super) const OWING: usize = 180;
const _: () = assert!(TrapCode::ALL.len() < FIRST_OWING as usize - 1);

/// A number of which the function says what it means, at this place.
pub(super) fn owing_trap(place: usize) -> ir::TrapCode {
    ir::TrapCode::unwrap_user(FIRST_OWING + place as u8)
}

/// What a number in Cranelift's terms means: ours, or that of an instruction which Cranelift knows to trap.
pub(super) fn trap_code(code: ir::TrapCode) -> Option<TrapCode> {
    match code {
        ir::TrapCode::STACK_OVERFLOW => Some(TrapCode::StackOverflow),
        ir::TrapCode::HEAP_OUT_OF_BOUNDS => Some(TrapCode::MemoryOutOfBounds),
        ir::TrapCode::INTEGER_OVERFLOW => Some(TrapCode::IntegerOverflow),
        ir::TrapCode::INTEGER_DIVISION_BY_ZERO => Some(TrapCode::IntegerDivisionByZero),
        ir::TrapCode::BAD_CONVERSION_TO_INTEGER => Some(TrapCode::BadConversionToInteger),
        other => TrapCode::from_u8(other.as_raw().get() - 1),
    }
}
