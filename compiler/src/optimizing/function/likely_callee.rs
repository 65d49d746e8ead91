//! Indirect calls that nearly always call one function of the module, as code that ran before has noted (`Profile`).
//!
//! The callee is found as ever, with all that may stop the guest meanwhile: in a table behind the check of its bounds, lazy elements made. If it is
//! the reference to that function in this very instance, it is neither null nor of another type, and the function is called directly, or translated in the place
//! of the call. Otherwise, in a cold block, it is called like any other.

use super::call::IndirectCall;
use super::translator::{FrameKind, FuncTranslator};
use ampoule_core::index::FuncIndex;
use ampoule_core::types::{HeapType, TypeId};
use ampoule_core::vm::Callees;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, Value};
use smallvec::SmallVec;
use wasmparser::Operator;

impl FuncTranslator<'_> {
    /// What the indirect call being translated has called, as far as is known.
    pub(super) fn callees_here(&self) -> Option<Callees> {
        self.input.profile?.callees(u32::try_from(self.operator_at).ok()?)
    }

    /// Whether an operator is an indirect call that nearly always calls one function of the module, and which.
    pub(super) fn likely_call(&self, op: &Operator<'_>) -> Option<(IndirectCall, FuncIndex)> {
        let call = IndirectCall::of(op).filter(|_| self.reachable && self.copies_code())?;
        let Some(Callees::Mostly(callee)) = self.callees_here() else { return None };
        let module = self.input.module;
        let position = self.input.layout.func_ref_at(callee)?;
        let &function = module.func_refs.get(position.index())?;
        // What was noted is what guests made of it: nothing is taken on trust. A function of another type is one that stops them here.
        let found = HeapType::ConcreteFunc(TypeId(module.functions.at(function.index()).0));
        let fits = found.matches(HeapType::ConcreteFunc(TypeId(call.ty.0)), module);
        (fits && module.defined_func(function).is_some()).then_some((call, function))
    }

    /// Compares the callee with the likely one, and translates the call of any other. Goes on where it is that one, with its arguments; unless it is a
    /// tail call, in a block at whose end both ways meet.
    pub(super) fn call_unless_likely(&mut self, call: IndirectCall, function: FuncIndex) {
        let callee = self.find_callee(call);
        let position = self.input.module.func_ref(function).expect("it was found by its reference");
        let offset = i64::from(self.input.layout.func_ref(position));
        let vmctx = self.vmctx;
        let expected = self.builder.ins().iadd_imm_s(vmctx, offset);
        let differs = self.builder.ins().icmp(IntCC::NotEqual, callee.reference, expected);
        let (cold, likely) = self.branch_cold(differs);
        let ty = self.input.module.declared_func(call.ty);
        let params = ty.params().len();
        let height = self.stack.len() - params;
        let args: SmallVec<[Value; 8]> = self.stack[height..].into();
        if !call.tail {
            self.push_frame(FrameKind::Block, ty.results().iter().copied().collect(), params);
        }
        self.builder.switch_to_block(cold);
        self.call_found(call, callee);
        if !call.tail {
            self.fall_through();
        }
        self.stack.truncate(height);
        self.stack.extend(args);
        self.reachable = true;
        self.builder.switch_to_block(likely);
    }
}
