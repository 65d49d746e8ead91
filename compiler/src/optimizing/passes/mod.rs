//! What the optimizing tier does to code beside what Cranelift does: which passes there are, and those over Cranelift's IR.
//!
//! Some copy operators while a function is translated (`function::{inlining, likely_callee, tail_duplication, unrolling, vectorization}`), or look for what they mean
//! (`function::multiplication`, `function::counters`, `function::gc::scalar_replacement`). The others, here, are walks over the IR: before Cranelift's optimizer those that give it
//! more to work with, behind it those that know what will be emitted, in which order.
//!
//! Each can be switched off by its name, with a flag like those of Cranelift, for all functions or some: so a wrong result is followed to its pass and the function.
//!
//! Bounds: each takes time in proportion to the function.

mod candidates;
mod code_hoisting;
mod known_bits;
mod loop_invariants;
mod operand_order;
mod repeated_checks;
mod small_factors;
mod store_forwarding;
mod values;

use super::settings::switch;
use crate::CompileError;
use ampoule_core::index::FuncIndex;
use candidates::Candidates;
use cranelift_codegen::Context;
use cranelift_codegen::ir::Function;
use std::ops::Range;

/// A pass of the optimizing tier.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Pass {
    /// Functions in the place of their calls.
    Inlining,
    /// Direct calls of what an indirect call nearly always calls.
    LikelyCallees,
    /// Loop latches in the place of branches to them.
    TailDuplication,
    /// Vectors in the place of elements of memory, in loops.
    Vectorization,
    /// Loop bodies several times in a row.
    Unrolling,
    /// Addresses made of counters that start and end at constants.
    CounterRanges,
    /// Products of 128 bits that are made of four smaller ones.
    WideProducts,
    /// Objects that are not made.
    ScalarReplacement,
    /// Code that was never reached behind all else.
    ColdCode,
    /// What is known of the bits of integers.
    KnownBits,
    /// Loads of what was just stored, or loaded.
    StoreForwarding,
    /// What both ways on from a branch compute, before it.
    CodeHoisting,
    /// Sums that are the same in each iteration of a loop, before it.
    LoopInvariants,
    /// One check for accesses at one address.
    RepeatedChecks,
    /// Products with neighbours of powers of two as shifts and sums.
    SmallFactors,
    /// Operands in the order that takes no moves.
    OperandOrder,
}

impl Pass {
    /// All of them.
    pub const ALL: [Pass; 16] = [
        Self::Inlining,
        Self::LikelyCallees,
        Self::TailDuplication,
        Self::Vectorization,
        Self::Unrolling,
        Self::CounterRanges,
        Self::WideProducts,
        Self::ScalarReplacement,
        Self::ColdCode,
        Self::KnownBits,
        Self::StoreForwarding,
        Self::CodeHoisting,
        Self::LoopInvariants,
        Self::RepeatedChecks,
        Self::SmallFactors,
        Self::OperandOrder,
    ];

    /// The name of the flag that switches it off, where its value is `false`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Inlining => "inlining",
            Self::LikelyCallees => "likely_callees",
            Self::TailDuplication => "tail_duplication",
            Self::Vectorization => "vectorization",
            Self::Unrolling => "unrolling",
            Self::CounterRanges => "counter_ranges",
            Self::WideProducts => "wide_products",
            Self::ScalarReplacement => "scalar_replacement",
            Self::ColdCode => "cold_code",
            Self::KnownBits => "known_bits",
            Self::StoreForwarding => "store_forwarding",
            Self::CodeHoisting => "code_hoisting",
            Self::LoopInvariants => "loop_invariants",
            Self::RepeatedChecks => "repeated_checks",
            Self::SmallFactors => "small_factors",
            Self::OperandOrder => "operand_order",
        }
    }
}

/// Which passes are on, for which functions of a module.
pub(super) struct PassFlags {
    /// Functions that each is off for.
    off: [Range<u32>; Pass::ALL.len()],
}

impl PassFlags {
    /// All passes, for all functions.
    pub fn all() -> Self {
        Self { off: [const { 0..0 }; Pass::ALL.len()] }
    }

    /// Switches a pass on or off, as the value of its flag says. `3..7` is off for functions 3 to 6 of the module, counted with imported ones, and
    /// on for others: a wrong result is followed to a function with that.
    ///
    /// # Errors
    /// [`CompileError`] where the value is neither.
    pub fn set(&mut self, pass: Pass, value: Option<&str>) -> Result<(), CompileError> {
        let range = value.and_then(|value| value.split_once(".."));
        let range = range.and_then(|(first, end)| Some(first.parse().ok()?..end.parse().ok()?));
        self.off[pass as usize] = match range {
            Some(range) => range,
            None if switch(pass.name(), value)? => 0..0,
            None => 0..u32::MAX,
        };
        Ok(())
    }

    /// The passes that are on for a function.
    pub fn of(&self, func: FuncIndex) -> Passes {
        let is_on = |pass: &Pass| !self.off[*pass as usize].contains(&func.0);
        Passes(Pass::ALL.into_iter().filter(is_on).fold(0, |set, pass| set | 1 << pass as u32))
    }
}

/// Those that are on for a function.
#[derive(Clone, Copy)]
pub(super) struct Passes(u32);

impl Passes {
    /// None of them.
    pub const NONE: Self = Self(0);

    /// The others.
    pub fn without(self, pass: Pass) -> Self {
        Self(self.0 & !(1 << pass as u32))
    }

    /// Whether a pass is on.
    pub fn has(self, pass: Pass) -> bool {
        self.0 & 1 << pass as u32 != 0
    }

    /// What is done to code before it is optimized.
    pub fn before_optimizer(self, func: &mut Function) {
        if self.has(Pass::KnownBits) {
            known_bits::run(func);
        }
    }

    /// What is done to code that has been optimized. The context's graph and dominators stay right.
    pub fn after_optimizer(self, context: &mut Context) {
        if self.has(Pass::StoreForwarding) {
            store_forwarding::run(context);
        }
        if self.has(Pass::RepeatedChecks) {
            repeated_checks::run(context);
        }
        let Candidates { sums, products, commutative } = Candidates::of(&context.func);
        let mut moved = self.has(Pass::LoopInvariants) && loop_invariants::run(context, &sums);
        let func = &mut context.func;
        if self.has(Pass::CodeHoisting) {
            moved |= code_hoisting::run(func, &context.cfg, &context.domtree);
        }
        if moved {
            func.dfg.resolve_all_aliases();
        }
        if self.has(Pass::SmallFactors) {
            small_factors::run(func, &products);
        }
        if self.has(Pass::OperandOrder) && commutative {
            operand_order::run(func);
        }
    }
}
