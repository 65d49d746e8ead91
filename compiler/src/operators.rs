//! What tiers and analyses ask of an operator: one table with a line for every operator that the decoder knows.
//!
//! Knows nothing of any tier. An operator that a later version of the decoder adds is a compile error here, so nobody can forget
//! to say whether it calls, traps, or may be inlined.

use wasmparser::Operator;

/// What is known of an operator without its operands. Where the immediates or the configuration decide (a `memory.fill` of a
/// constant length needs no runtime), this is the answer that is safe for all of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Properties {
    /// Whether the engine runs it. The validator refuses the others, for the proposal they belong to is off.
    pub supported: bool,
    /// Units of fuel that it costs.
    pub fuel: u32,
    /// Whether fuel is charged up to this operator, with it, before anything of it happens: others may look at the counter meanwhile, or
    /// the text says that the guest stops here. What else stops the guest charges what it has spent up to the last such operator, branch,
    /// or end of a block.
    pub settles_fuel: bool,
    /// What its code may call, beside what stops the guest.
    pub calls: Calls,
    /// Whether it may stop the guest by itself, not counting what a called function does.
    pub may_trap: bool,
    /// Whether a function that has it may be inlined.
    pub inlining: Inlining,
    /// Whether it takes an instruction at most and nothing can go wrong in it, so that a copy costs little: tail duplication copies
    /// nothing else.
    pub copyable: bool,
}

/// What an operator's code may call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Calls {
    /// Nothing.
    Nothing,
    /// A function that computes a number, where a processor has no instruction for it, or looks at types. It neither traps nor asks for the
    /// store, and needs no more stack than the call that stops a guest.
    Arithmetic,
    /// The runtime.
    Runtime,
    /// Functions of guests or the host.
    Functions,
}

/// Whether the code of a function may be put in the place of its calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Inlining {
    /// Yes.
    Yes,
    /// If the body is so short that the call would be the larger part of its work.
    OnlyInShortBodies,
    /// No.
    Never,
}

impl Properties {
    /// Of this operator.
    pub fn of(op: &Operator<'_>) -> Self {
        Opcode::of(op).properties()
    }

    /// Whether a function with this operator must make sure, before it makes its frame, that the stack has space for what it calls.
    pub fn needs_stack_check(self) -> bool {
        match self.calls {
            Calls::Nothing | Calls::Arithmetic => false,
            Calls::Runtime | Calls::Functions => true,
        }
    }
}

/// Always has a result, and calls nothing.
const COMPUTE: Properties = Properties {
    supported: true,
    fuel: 1,
    settles_fuel: false,
    calls: Calls::Nothing,
    may_trap: false,
    inlining: Inlining::Yes,
    copyable: false,
};
const COPYABLE: Properties = Properties { copyable: true, ..COMPUTE };
const ARITHMETIC: Properties = Properties { calls: Calls::Arithmetic, ..COMPUTE };
const ARITHMETIC_OR_TRAP: Properties = Properties { may_trap: true, ..ARITHMETIC };
const TRAP: Properties = Properties { may_trap: true, ..COMPUTE };
const RUNTIME: Properties = Properties { calls: Calls::Runtime, settles_fuel: true, ..COMPUTE };
const RUNTIME_OR_TRAP: Properties = Properties { may_trap: true, ..RUNTIME };

const FREE: Properties = Properties { fuel: 0, ..COMPUTE };
const UNREACHABLE: Properties = Properties { may_trap: true, settles_fuel: true, ..FREE };
/// An inlined function does not look at fuel and deadline, so it must not run for long.
const LOOP: Properties = Properties { inlining: Inlining::Never, ..FREE };
/// A `call_indirect` traps where the table has no function of its type, a `call_ref` at null.
const CALL: Properties = Properties {
    calls: Calls::Functions,
    settles_fuel: true,
    may_trap: true,
    inlining: Inlining::OnlyInShortBodies,
    ..COMPUTE
};
/// Tail calls leave the frame, which an inlined function doesn't have.
const TAIL_CALL: Properties = Properties { inlining: Inlining::Never, ..CALL };

/// Nothing is known of it.
const UNSUPPORTED: Properties = Properties {
    supported: false,
    fuel: 1,
    settles_fuel: true,
    calls: Calls::Functions,
    may_trap: true,
    inlining: Inlining::Never,
    copyable: false,
};

macro_rules! define_opcodes {
    ($(@$proposal:ident $op:ident $({ $($arg:ident: $argty:ty),* })? => $visit:ident ($($annotation:tt)*))*) => {
        /// An operator without its immediates.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub(crate) enum Opcode {
            $($op,)*
        }

        impl Opcode {
            /// Every operator, with the proposal that it came from.
            #[cfg(test)]
            const ALL: &'static [(Opcode, &'static str)] = &[$((Opcode::$op, stringify!($proposal))),*];

            fn of(op: &Operator<'_>) -> Opcode {
                match op {
                    $(Operator::$op { .. } => Opcode::$op,)*
                    _ => unreachable!("the list that made this match is the decoder's own"),
                }
            }
        }
    };
}
wasmparser::for_each_operator!(define_opcodes);

macro_rules! table {
    ($($properties:ident: $($op:ident)*;)*) => {
        impl Opcode {
            pub(crate) const fn properties(self) -> Properties {
                match self { $($(Opcode::$op)|* => $properties,)* }
            }
        }
    };
}

table! {
    // Structure of the text, and what only drops an operand.
    FREE:
        Nop Drop Block Else End Return Catch CatchAll Delegate;
    LOOP:
        Loop;
    UNREACHABLE:
        Unreachable;
    // Branches.
    COMPUTE:
        If Br BrIf BrTable TryTable Try;
    // Locals, constants, and the integer operators that count and compare.
    COPYABLE:
        LocalGet LocalSet LocalTee I32Const I64Const I32Add I64Add I32Sub I64Sub I32And I64And I32Eqz I64Eqz
        I32Eq I64Eq I32Ne I64Ne I32LtS I64LtS I32LtU I64LtU I32GtS I64GtS I32GtU I64GtU I32LeS I64LeS I32LeU
        I64LeU I32GeS I64GeS I32GeU I64GeU;
    // Other operators that always have a result, and need nobody for it.
    COMPUTE:
        Select GlobalGet GlobalSet MemorySize TypedSelect RefNull RefIsNull TableSize AtomicFence;
    COMPUTE:
        F32Const F64Const F32Eq F32Ne F32Lt F32Gt F32Le F32Ge F64Eq F64Ne F64Lt F64Gt F64Le F64Ge I32Clz I32Ctz
        I32Popcnt I32Mul I32Or I32Xor I32Shl I32ShrS I32ShrU I32Rotl I32Rotr I64Clz I64Ctz I64Popcnt I64Mul
        I64Or I64Xor I64Shl I64ShrS I64ShrU I64Rotl I64Rotr F32Abs F32Neg F32Sqrt F32Add F32Sub F32Mul F32Div
        F32Min F32Max F32Copysign F64Abs F64Neg F64Sqrt F64Add F64Sub F64Mul F64Div F64Min F64Max F64Copysign
        I32WrapI64 I64ExtendI32S I64ExtendI32U F32ConvertI32S F32ConvertI32U F32ConvertI64S F32ConvertI64U
        F32DemoteF64 F64ConvertI32S F64ConvertI32U F64ConvertI64S F64ConvertI64U F64PromoteF32 I32ReinterpretF32
        I64ReinterpretF64 F32ReinterpretI32 F64ReinterpretI64;
    COMPUTE:
        I32Extend8S I32Extend16S I64Extend8S I64Extend16S I64Extend32S I32TruncSatF32S I32TruncSatF32U
        I32TruncSatF64S I32TruncSatF64U I64TruncSatF32S I64TruncSatF32U I64TruncSatF64S I64TruncSatF64U
        I64Add128 I64Sub128 I64MulWideS I64MulWideU;
    COMPUTE:
        V128Const I8x16Shuffle I8x16ExtractLaneS I8x16ExtractLaneU I8x16ReplaceLane I16x8ExtractLaneS
        I16x8ExtractLaneU I16x8ReplaceLane I32x4ExtractLane I32x4ReplaceLane I64x2ExtractLane I64x2ReplaceLane
        F32x4ExtractLane F32x4ReplaceLane F64x2ExtractLane F64x2ReplaceLane I8x16Swizzle I8x16Splat I16x8Splat
        I32x4Splat I64x2Splat F32x4Splat F64x2Splat I8x16Eq I8x16Ne I8x16LtS I8x16LtU I8x16GtS I8x16GtU I8x16LeS
        I8x16LeU I8x16GeS I8x16GeU I16x8Eq I16x8Ne I16x8LtS I16x8LtU I16x8GtS I16x8GtU I16x8LeS I16x8LeU
        I16x8GeS I16x8GeU I32x4Eq I32x4Ne I32x4LtS I32x4LtU I32x4GtS I32x4GtU I32x4LeS I32x4LeU I32x4GeS
        I32x4GeU I64x2Eq I64x2Ne I64x2LtS I64x2GtS I64x2LeS I64x2GeS F32x4Eq F32x4Ne F32x4Lt F32x4Gt F32x4Le
        F32x4Ge F64x2Eq F64x2Ne F64x2Lt F64x2Gt F64x2Le F64x2Ge V128Not V128And V128AndNot V128Or V128Xor
        V128Bitselect V128AnyTrue I8x16Abs I8x16Neg I8x16Popcnt I8x16AllTrue I8x16Bitmask I8x16NarrowI16x8S
        I8x16NarrowI16x8U I8x16Shl I8x16ShrS I8x16ShrU I8x16Add I8x16AddSatS I8x16AddSatU I8x16Sub I8x16SubSatS
        I8x16SubSatU I8x16MinS I8x16MinU I8x16MaxS I8x16MaxU I8x16AvgrU I16x8ExtAddPairwiseI8x16S
        I16x8ExtAddPairwiseI8x16U I16x8Abs I16x8Neg I16x8Q15MulrSatS I16x8AllTrue I16x8Bitmask I16x8NarrowI32x4S
        I16x8NarrowI32x4U I16x8ExtendLowI8x16S I16x8ExtendHighI8x16S I16x8ExtendLowI8x16U I16x8ExtendHighI8x16U
        I16x8Shl I16x8ShrS I16x8ShrU I16x8Add I16x8AddSatS I16x8AddSatU I16x8Sub I16x8SubSatS I16x8SubSatU
        I16x8Mul I16x8MinS I16x8MinU I16x8MaxS I16x8MaxU I16x8AvgrU I16x8ExtMulLowI8x16S I16x8ExtMulHighI8x16S
        I16x8ExtMulLowI8x16U I16x8ExtMulHighI8x16U I32x4ExtAddPairwiseI16x8S I32x4ExtAddPairwiseI16x8U I32x4Abs
        I32x4Neg I32x4AllTrue I32x4Bitmask I32x4ExtendLowI16x8S I32x4ExtendHighI16x8S I32x4ExtendLowI16x8U
        I32x4ExtendHighI16x8U I32x4Shl I32x4ShrS I32x4ShrU I32x4Add I32x4Sub I32x4Mul I32x4MinS I32x4MinU
        I32x4MaxS I32x4MaxU I32x4DotI16x8S I32x4ExtMulLowI16x8S I32x4ExtMulHighI16x8S I32x4ExtMulLowI16x8U
        I32x4ExtMulHighI16x8U I64x2Abs I64x2Neg I64x2AllTrue I64x2Bitmask I64x2ExtendLowI32x4S
        I64x2ExtendHighI32x4S I64x2ExtendLowI32x4U I64x2ExtendHighI32x4U I64x2Shl I64x2ShrS I64x2ShrU I64x2Add
        I64x2Sub I64x2Mul I64x2ExtMulLowI32x4S I64x2ExtMulHighI32x4S I64x2ExtMulLowI32x4U I64x2ExtMulHighI32x4U
        F32x4Abs F32x4Neg F32x4Sqrt F32x4Add F32x4Sub F32x4Mul F32x4Div F32x4Min F32x4Max F32x4PMin F32x4PMax
        F64x2Abs F64x2Neg F64x2Sqrt F64x2Add F64x2Sub F64x2Mul F64x2Div F64x2Min F64x2Max F64x2PMin F64x2PMax
        I32x4TruncSatF32x4S I32x4TruncSatF32x4U F32x4ConvertI32x4S F32x4ConvertI32x4U I32x4TruncSatF64x2SZero
        I32x4TruncSatF64x2UZero F64x2ConvertLowI32x4S F64x2ConvertLowI32x4U F32x4DemoteF64x2Zero
        F64x2PromoteLowF32x4 I8x16RelaxedSwizzle I32x4RelaxedTruncF32x4S I32x4RelaxedTruncF32x4U
        I32x4RelaxedTruncF64x2SZero I32x4RelaxedTruncF64x2UZero I8x16RelaxedLaneselect I16x8RelaxedLaneselect
        I32x4RelaxedLaneselect I64x2RelaxedLaneselect F32x4RelaxedMin F32x4RelaxedMax F64x2RelaxedMin
        F64x2RelaxedMax I16x8RelaxedQ15mulrS I16x8RelaxedDotI8x16I7x16S I32x4RelaxedDotI8x16I7x16AddS;
    // What a processor may lack an instruction for.
    ARITHMETIC:
        F32Ceil F32Floor F32Trunc F32Nearest F64Ceil F64Floor F64Trunc F64Nearest F32x4Ceil F32x4Floor
        F32x4Trunc F32x4Nearest F64x2Ceil F64x2Floor F64x2Trunc F64x2Nearest F32x4RelaxedMadd F32x4RelaxedNmadd
        F64x2RelaxedMadd F64x2RelaxedNmadd;
    // Divisions, and truncations of floats that may not fit.
    TRAP:
        I32DivS I32DivU I32RemS I32RemU I64DivS I64DivU I64RemS I64RemU I32TruncF32S I32TruncF32U I32TruncF64S
        I32TruncF64U I64TruncF32S I64TruncF32U I64TruncF64S I64TruncF64U;
    // Accesses to memories and tables.
    TRAP:
        I32Load I64Load F32Load F64Load I32Load8S I32Load8U I32Load16S I32Load16U I64Load8S I64Load8U I64Load16S
        I64Load16U I64Load32S I64Load32U I32Store I64Store F32Store F64Store I32Store8 I32Store16 I64Store8
        I64Store16 I64Store32 V128Load V128Load8x8S V128Load8x8U V128Load16x4S V128Load16x4U V128Load32x2S
        V128Load32x2U V128Load8Splat V128Load16Splat V128Load32Splat V128Load64Splat V128Load32Zero
        V128Load64Zero V128Store V128Load8Lane V128Load16Lane V128Load32Lane V128Load64Lane V128Store8Lane
        V128Store16Lane V128Store32Lane V128Store64Lane I32AtomicLoad I64AtomicLoad I32AtomicLoad8U
        I32AtomicLoad16U I64AtomicLoad8U I64AtomicLoad16U I64AtomicLoad32U I32AtomicStore I64AtomicStore
        I32AtomicStore8 I32AtomicStore16 I64AtomicStore8 I64AtomicStore16 I64AtomicStore32 I32AtomicRmwAdd
        I64AtomicRmwAdd I32AtomicRmw8AddU I32AtomicRmw16AddU I64AtomicRmw8AddU I64AtomicRmw16AddU
        I64AtomicRmw32AddU I32AtomicRmwSub I64AtomicRmwSub I32AtomicRmw8SubU I32AtomicRmw16SubU
        I64AtomicRmw8SubU I64AtomicRmw16SubU I64AtomicRmw32SubU I32AtomicRmwAnd I64AtomicRmwAnd
        I32AtomicRmw8AndU I32AtomicRmw16AndU I64AtomicRmw8AndU I64AtomicRmw16AndU I64AtomicRmw32AndU
        I32AtomicRmwOr I64AtomicRmwOr I32AtomicRmw8OrU I32AtomicRmw16OrU I64AtomicRmw8OrU I64AtomicRmw16OrU
        I64AtomicRmw32OrU I32AtomicRmwXor I64AtomicRmwXor I32AtomicRmw8XorU I32AtomicRmw16XorU I64AtomicRmw8XorU
        I64AtomicRmw16XorU I64AtomicRmw32XorU I32AtomicRmwXchg I64AtomicRmwXchg I32AtomicRmw8XchgU
        I32AtomicRmw16XchgU I64AtomicRmw8XchgU I64AtomicRmw16XchgU I64AtomicRmw32XchgU I32AtomicRmwCmpxchg
        I64AtomicRmwCmpxchg I32AtomicRmw8CmpxchgU I32AtomicRmw16CmpxchgU I64AtomicRmw8CmpxchgU
        I64AtomicRmw16CmpxchgU I64AtomicRmw32CmpxchgU TableSet;
    // What the runtime does, or may have to do.
    RUNTIME:
        DataDrop ElemDrop RefFunc;
    RUNTIME_OR_TRAP:
        MemoryGrow MemoryFill MemoryCopy MemoryInit MemoryAtomicNotify MemoryAtomicWait32 MemoryAtomicWait64
        TableGet TableGrow TableFill TableCopy TableInit;
    // What throws leaves the function, or goes on in it.
    RUNTIME_OR_TRAP:
        Throw ThrowRef Rethrow;
    CALL:
        Call CallIndirect CallRef;
    TAIL_CALL:
        ReturnCall ReturnCallIndirect ReturnCallRef;
    // What looks at null.
    TRAP:
        RefAsNonNull;
    COMPUTE:
        BrOnNull BrOnNonNull;
    // Objects. Making one may collect others.
    COMPUTE:
        RefEq RefI31 AnyConvertExtern ExternConvertAny;
    TRAP:
        I31GetS I31GetU StructGet StructGetS StructGetU StructSet ArrayGet ArrayGetS ArrayGetU ArraySet ArrayLen;
    RUNTIME_OR_TRAP:
        StructNew StructNewDefault ArrayNew ArrayNewDefault ArrayNewFixed ArrayNewData ArrayNewElem ArrayFill ArrayCopy
        ArrayInitData ArrayInitElem;
    // Of functions' types that are not final, the runtime knows the sub-types.
    ARITHMETIC:
        RefTestNonNull RefTestNullable BrOnCast BrOnCastFail;
    ARITHMETIC_OR_TRAP:
        RefCastNonNull RefCastNullable;
    // Proposals that the engine does not run.
    UNSUPPORTED:
        StructNewDesc StructNewDefaultDesc RefGetDesc RefCastDescEqNonNull RefCastDescEqNullable;
    UNSUPPORTED:
        ContNew ContBind Suspend Resume ResumeThrow ResumeThrowRef Switch;
    UNSUPPORTED:
        GlobalAtomicGet GlobalAtomicSet GlobalAtomicRmwAdd GlobalAtomicRmwSub GlobalAtomicRmwAnd
        GlobalAtomicRmwOr GlobalAtomicRmwXor GlobalAtomicRmwXchg GlobalAtomicRmwCmpxchg TableAtomicGet
        TableAtomicSet TableAtomicRmwXchg TableAtomicRmwCmpxchg StructAtomicGet StructAtomicGetS
        StructAtomicGetU StructAtomicSet StructAtomicRmwAdd StructAtomicRmwSub StructAtomicRmwAnd
        StructAtomicRmwOr StructAtomicRmwXor StructAtomicRmwXchg StructAtomicRmwCmpxchg ArrayAtomicGet
        ArrayAtomicGetS ArrayAtomicGetU ArrayAtomicSet ArrayAtomicRmwAdd ArrayAtomicRmwSub ArrayAtomicRmwAnd
        ArrayAtomicRmwOr ArrayAtomicRmwXor ArrayAtomicRmwXchg ArrayAtomicRmwCmpxchg RefI31Shared;
    UNSUPPORTED:
        MemoryDiscard;
    UNSUPPORTED:
        Pause;
    UNSUPPORTED:
        TypedSelectMulti BrOnCastDescEq BrOnCastDescEqFail;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The proposals whose operators the engine runs, where the configuration allows them.
    const RUN: &[&str] = &[
        "mvp",
        "sign_extension",
        "saturating_float_to_int",
        "bulk_memory",
        "reference_types",
        "tail_call",
        "threads",
        "simd",
        "relaxed_simd",
        "wide_arithmetic",
        "function_references",
        "exceptions",
        "legacy_exceptions",
        "gc",
    ];

    #[test]
    fn exactly_the_operators_of_the_proposals_that_the_engine_runs_are_supported() {
        for &(op, proposal) in Opcode::ALL {
            // A `select` of several values: no proposal that is on allows it.
            let expected = RUN.contains(&proposal) && op != Opcode::TypedSelectMulti;
            assert_eq!(op.properties().supported, expected, "{op:?} of {proposal}");
        }
    }

    #[test]
    fn what_is_copied_can_neither_trap_nor_call() {
        for &(op, _) in Opcode::ALL {
            let properties = op.properties();
            if properties.copyable {
                assert!(!properties.may_trap && properties.calls == Calls::Nothing, "{op:?}");
            }
        }
    }

    #[test]
    fn fuel_is_settled_before_others_may_look_at_it() {
        for &(op, _) in Opcode::ALL {
            let properties = op.properties();
            if matches!(properties.calls, Calls::Runtime | Calls::Functions) {
                assert!(properties.settles_fuel, "{op:?}");
            }
        }
    }

    #[test]
    fn every_access_to_memory_may_trap() {
        let accesses = |name: &str| {
            let access = name.contains("Load") || name.contains("Store") || name.contains("AtomicRmw");
            access || name.starts_with("Memory") && name != "MemorySize"
        };
        for &(op, _) in Opcode::ALL {
            if accesses(&format!("{op:?}")) {
                assert!(op.properties().may_trap, "{op:?}");
            }
        }
    }

    #[test]
    fn fuel_is_not_charged_for_the_structure_of_the_text() {
        let free: Vec<_> = Opcode::ALL.iter().map(|&(op, _)| op).filter(|op| op.properties().fuel == 0).collect();
        use Opcode as O;
        let structure = [O::Unreachable, O::Nop, O::Block, O::Loop, O::Else, O::End, O::Return, O::Drop];
        let old = [O::Catch, O::Delegate, O::CatchAll];
        assert_eq!(free, [&structure[..], &old[..]].concat());
        assert!(Opcode::ALL.iter().all(|(op, _)| op.properties().fuel <= 1));
    }

    #[test]
    fn operators_are_told_by_their_kind_and_not_by_what_they_carry() {
        assert_eq!(Properties::of(&Operator::LocalGet { local_index: 7 }), COPYABLE);
        assert_eq!(Properties::of(&Operator::I32Const { value: 7 }), COPYABLE);
        assert_eq!(Properties::of(&Operator::Call { function_index: 7 }), CALL);
        assert!(Properties::of(&Operator::DataDrop { data_index: 1 }).needs_stack_check());
        assert!(!Properties::of(&Operator::F32Ceil).needs_stack_check());
    }
}
