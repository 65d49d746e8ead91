//! Small functions are translated in the place of their calls.
//!
//! The callee's body becomes a block of the caller: its locals are variables of their own, `return` is a branch to the block's
//! end. Fuel is counted as for a call. What is left out is the callee's look at stack, fuel and deadline: the body is small and has no
//! loops, so the caller's own do.
//!
//! Backtraces show the callee all the same: positions of its operators lead on to the call's (`FunctionInfo::inlined`).

use super::translator::{CallSite, FuncTranslator};
use crate::CompileError;
use crate::operators::{self, Properties};
use crate::optimizing::signature::return_area_size;
use ampoule_core::decode::body_reader;
use ampoule_core::index::{DefinedFuncIndex, FuncIndex};
use ampoule_core::types::FuncType;
use cranelift_frontend::Variable;
use wasmparser::FunctionBody;

/// Bytes of a body that calls nothing, at most.
const LEAF_LEN: u64 = 160;
/// Bytes of a body that calls something, at most.
const CALLER_LEN: u64 = 40;
/// Locals of a body beside its parameters, at most: a few bytes can declare thousands.
const LOCALS: u32 = 32;
/// Bodies within bodies, at most.
const DEPTH: usize = 3;
/// Bytes of all bodies inlined into one function, at most, beyond that function's own.
const BUDGET: u64 = 1024;

/// A function that is to be translated in the place of a call.
pub(super) struct Callee<'a> {
    function: DefinedFuncIndex,
    pub body: FunctionBody<'a>,
    ty: &'a FuncType,
}

/// Bytes that may be inlined into a function of this body.
pub(super) fn budget(body: &FunctionBody<'_>) -> u64 {
    BUDGET + body_len(body)
}

fn body_len(body: &FunctionBody<'_>) -> u64 {
    body.range().end - body.range().start
}

impl<'a> FuncTranslator<'a> {
    /// What a call calls, if it is to be inlined.
    pub(super) fn callee_to_inline(&self, callee: FuncIndex) -> Result<Option<Callee<'a>>, CompileError> {
        let Some(function) = self.input.module.defined_func(callee) else { return Ok(None) };
        let body = body_reader(self.input.bytes, &self.input.module.bodies[function.index()]);
        let len = body_len(&body);
        let ty = self.input.module.func_type(callee);
        let refused = len > LEAF_LEN.min(self.inlining.budget)
            || self.inlining.functions.len() > DEPTH
            || self.inlining.functions.contains(&function)
            || return_area_size(ty) != 0
            || !is_worthwhile(&body, len)?;
        Ok((!refused).then_some(Callee { function, body, ty }))
    }

    /// Begins the translation of a callee in the place of its call. Gives the caller's locals, for [`Self::leave_inlined`].
    pub(super) fn enter_inlined(&mut self, callee: &Callee<'a>) -> Result<Vec<Variable>, CompileError> {
        let &Callee { function, ref body, ty } = callee;
        self.inlining.budget -= body_len(body);
        let caller_locals = std::mem::take(&mut self.locals);
        let first = self.stack.len() - ty.params().len();
        let args: Vec<_> = self.stack.drain(first..).collect();
        for (arg, &ty) in args.into_iter().zip(ty.params()) {
            let var = self.declare_local(ty);
            self.builder.def_var(var, arg);
        }
        self.zeroed_locals(body)?;
        self.enter_inlined_metering();
        let site = CallSite { frame: self.control.len(), call: self.builder.srcloc().bits() };
        self.inlining.functions.push(function);
        self.inlining.sites.push(site);
        self.push_body_frame(ty);
        Ok(caller_locals)
    }

    /// Goes on in the caller.
    pub(super) fn leave_inlined(&mut self, caller_locals: Vec<Variable>) {
        self.inlining.sites.pop();
        self.inlining.functions.pop();
        self.locals = caller_locals;
    }
}

/// Whether a body is worth its copies: it has few locals, no loops, no tail calls, and hardly calls.
fn is_worthwhile(body: &FunctionBody<'_>, len: u64) -> Result<bool, CompileError> {
    let mut locals = 0u32;
    for group in body.get_locals_reader()? {
        locals = locals.saturating_add(group?.0);
    }
    if locals > LOCALS {
        return Ok(false);
    }
    for op in body.get_operators_reader()? {
        let inlines = match Properties::of(&op?).inlining {
            operators::Inlining::Yes => true,
            operators::Inlining::OnlyInShortBodies => len <= CALLER_LEN,
            operators::Inlining::Never => false,
        };
        if !inlines {
            return Ok(false);
        }
    }
    Ok(true)
}
