//! Indirect calls compare what they call with functions that they have called, as code that ran before has noted (`Profile`), or with the few that they
//! can hardly call others than: the module makes references to no more of their type.
//!
//! The callee is found as ever, with all that may stop the guest meanwhile: in a table behind the check of its bounds, lazy elements made. If it is
//! the reference to one of those functions in this very instance, it is neither null nor of another type, and the function is called directly, or translated in the place
//! of the call. Otherwise it is called like any other: nothing is taken on trust.
//!
//! That pays for callees that are not frequent, too. Processors predict indirect calls by the branches before them, and each comparison is one: with four
//! of 24 functions that are called in an order that comes again, a call takes a third of the time, and as long as before where there is no order.

use super::call::{FoundCallee, IndirectCall};
use super::translator::FuncTranslator;
use crate::optimizing::passes::Pass;
use ampoule_core::index::{FuncIndex, TypeIndex};
use ampoule_core::types::{HeapType, TypeId};
use ampoule_core::vm::{Callees, KnownCallees};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{Block, InstBuilder};
use smallvec::SmallVec;
use wasmparser::Operator;

/// Functions that a callee is compared with, at most.
const FEW: usize = 8;
/// References that a module makes to functions, at most, for those of a type to be looked for among them at each call.
const LOOKED_AT: usize = 64;
/// What a comparison and a call take of the bytes that may be inlined.
const COMPARISON: u64 = 8;

/// What an indirect call is likely to call.
pub(super) struct LikelyCallees {
    /// In the order in which they are compared.
    pub functions: SmallVec<[FuncIndex; FEW]>,
    /// Whether others are hardly called.
    pub are_nearly_all: bool,
}

impl FuncTranslator<'_> {
    /// What the indirect call being translated has called, as far as is known.
    pub(super) fn callees_here(&self) -> Option<Callees> {
        self.input.profile?.callees(u32::try_from(self.operator_at).ok()?)
    }

    /// Whether an operator is an indirect call of which the callees are likely to be known, and which functions they are.
    pub(super) fn likely_call(&mut self, op: &Operator<'_>) -> Option<(IndirectCall, LikelyCallees)> {
        let call = IndirectCall::of(op).filter(|_| self.reachable && self.does(Pass::LikelyCallees))?;
        let likely = match self.callees_here() {
            Some(Callees::None) => return None,
            Some(Callees::Known(known)) => self.noted(call, known)?,
            _ => LikelyCallees { functions: self.few_of_type(call.ty)?, are_nearly_all: true },
        };
        let fits = likely.functions.iter().all(|&function| self.may_be_called_by(call, function));
        (fits && !likely.functions.is_empty()).then_some((call, likely))
    }

    /// The module's functions that were noted of a call; where it called others, too, behind them the few that those may be. Each but the first is
    /// paid for like what is inlined.
    fn noted(&mut self, call: IndirectCall, noted: KnownCallees) -> Option<LikelyCallees> {
        let function = |callee| {
            let position = self.input.layout.func_ref_at(callee)?;
            let &function = self.input.module.func_refs.get(position.index())?;
            self.may_be_called_by(call, function).then_some(function)
        };
        let mut functions: SmallVec<[FuncIndex; FEW]> = noted.iter().filter_map(function).collect();
        functions.truncate(1 + (self.inlining.budget / COMPARISON) as usize);
        let known = functions.len();
        self.inlining.budget -= known.saturating_sub(1) as u64 * COMPARISON;
        let mut are_nearly_all = noted.are_nearly_all && known == noted.iter().count();
        if !noted.are_nearly_all
            && let Some(mut few) = self.few_of_type(call.ty)
        {
            few.retain(|function| !functions.contains(function));
            functions.extend(few);
            are_nearly_all = true;
        }
        Some(LikelyCallees { functions, are_nearly_all })
    }

    /// Whether a function is the module's own, and of the type that a call wants. Of another one it would stop the guest there.
    fn may_be_called_by(&self, call: IndirectCall, function: FuncIndex) -> bool {
        let module = self.input.module;
        let found = HeapType::ConcreteFunc(TypeId(module.functions.at(function.index()).0));
        let fits = found.matches(HeapType::ConcreteFunc(TypeId(call.ty.0)), module);
        fits && module.defined_func(function).is_some()
    }

    /// The functions of a type that the module makes references to, if they are few. Each is paid for like what is inlined.
    fn few_of_type(&mut self, ty: TypeIndex) -> Option<SmallVec<[FuncIndex; FEW]>> {
        let module = self.input.module;
        if module.func_refs.len() > LOOKED_AT {
            return None;
        }
        let mut few = SmallVec::new();
        for &function in module.func_refs.iter() {
            if module.functions.at(function.index()) == ty && module.defined_func(function).is_some() {
                if few.len() == FEW {
                    return None;
                }
                few.push(function);
            }
        }
        self.inlining.budget = self.inlining.budget.checked_sub(few.len() as u64 * COMPARISON)?;
        Some(few)
    }

    /// Compares the callee of a call with a function, and goes on where it is that one. Gives the block for the others, which is cold where they
    /// are unlikely.
    pub(super) fn unless_callee(&mut self, callee: FoundCallee, function: FuncIndex, are_unlikely: bool) -> Block {
        let position = self.input.module.func_ref(function).expect("it was found among the references");
        let offset = i64::from(self.input.layout.func_ref(position));
        let vmctx = self.vmctx;
        let expected = self.builder.ins().iadd_imm_s(vmctx, offset);
        let differs = self.builder.ins().icmp(IntCC::NotEqual, callee.reference, expected);
        let (other, here) = if are_unlikely { self.branch_cold(differs) } else { self.branch_aside(differs) };
        self.builder.switch_to_block(here);
        other
    }
}
