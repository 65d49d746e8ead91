//! What the optimizing tier does to code beside what Cranelift does: which passes there are, and those over Cranelift's IR.
//!
//! Some copy operators while a function is translated (`function::{inlining, likely_callee, tail_duplication, unrolling}`), or look for what they mean
//! (`function::multiplication`, `function::gc::scalar_replacement`). The others, here, are walks over the IR: before Cranelift's optimizer those that give it
//! more to work with, behind it those that know what will be emitted, in which order.
//!
//! Each can be switched off by its name, with a flag like those of Cranelift: so a wrong result is followed to its pass.
//!
//! Bounds: each takes time in proportion to the function.

mod code_hoisting;
mod known_bits;
mod loop_invariants;
mod operand_order;
mod small_factors;
mod values;

use cranelift_codegen::Context;
use cranelift_codegen::ir::Function;

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
    /// Loop bodies several times in a row.
    Unrolling,
    /// Products of 128 bits that are made of four smaller ones.
    WideProducts,
    /// Objects that are not made.
    ScalarReplacement,
    /// Code that was never reached behind all else.
    ColdCode,
    /// What is known of the bits of integers.
    KnownBits,
    /// What both ways on from a branch compute, before it.
    CodeHoisting,
    /// Sums that are the same in each iteration of a loop, before it.
    LoopInvariants,
    /// Products with neighbours of powers of two as shifts and sums.
    SmallFactors,
    /// Operands in the order that takes no moves.
    OperandOrder,
}

impl Pass {
    /// All of them.
    pub const ALL: [Pass; 12] = [
        Self::Inlining,
        Self::LikelyCallees,
        Self::TailDuplication,
        Self::Unrolling,
        Self::WideProducts,
        Self::ScalarReplacement,
        Self::ColdCode,
        Self::KnownBits,
        Self::CodeHoisting,
        Self::LoopInvariants,
        Self::SmallFactors,
        Self::OperandOrder,
    ];

    /// The name of the flag that switches it off, where its value is `false`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Inlining => "inlining",
            Self::LikelyCallees => "likely_callees",
            Self::TailDuplication => "tail_duplication",
            Self::Unrolling => "unrolling",
            Self::WideProducts => "wide_products",
            Self::ScalarReplacement => "scalar_replacement",
            Self::ColdCode => "cold_code",
            Self::KnownBits => "known_bits",
            Self::CodeHoisting => "code_hoisting",
            Self::LoopInvariants => "loop_invariants",
            Self::SmallFactors => "small_factors",
            Self::OperandOrder => "operand_order",
        }
    }
}

/// Those that are on.
#[derive(Clone, Copy)]
pub(super) struct Passes(u32);

impl Passes {
    /// All of them.
    pub fn all() -> Self {
        Self(u32::MAX)
    }

    /// Whether a pass is on.
    pub fn has(self, pass: Pass) -> bool {
        self.0 & 1 << pass as u32 != 0
    }

    /// Switches a pass on or off.
    pub fn set(&mut self, pass: Pass, on: bool) {
        let bit = 1 << pass as u32;
        self.0 = if on { self.0 | bit } else { self.0 & !bit };
    }

    /// What is done to code before it is optimized.
    pub fn before_optimizer(self, func: &mut Function) {
        if self.has(Pass::KnownBits) {
            known_bits::run(func);
        }
    }

    /// What is done to code that has been optimized. The context's graph and dominators stay right.
    pub fn after_optimizer(self, context: &mut Context) {
        if self.has(Pass::LoopInvariants) {
            loop_invariants::run(context);
        }
        if self.has(Pass::CodeHoisting) {
            code_hoisting::run(&mut context.func, &context.cfg);
        }
        if self.has(Pass::SmallFactors) {
            small_factors::run(&mut context.func);
        }
        if self.has(Pass::OperandOrder) {
            operand_order::run(&mut context.func);
        }
    }
}
