//! Small functions are translated in the place of their calls.
//!
//! The callee's body becomes a block of the caller: its locals are variables beside the caller's, `return` is a branch to the block's
//! end. Fuel is counted as for a call. What is left out is the callee's look at stack, fuel and deadline: the body is small, and has no
//! loops, or looks in them as ever; so the caller's own do.
//!
//! A recursive function is inlined into itself in the same way, once; in the innermost copies, calls are inlined where they return at
//! once (`partial_inlining`). The calls that remain look at stack, fuel and deadline.
//!
//! Backtraces show the callee all the same: positions of its operators lead on to the call's (`FunctionInfo::inlined`).

use super::locals::OuterLocals;
use super::partial_inlining::may_return_at_once;
use super::translator::{CallSite, FuncTranslator};
use crate::CompileError;
use crate::operators::{self, Properties};
use crate::optimizing::passes::Pass;
use crate::optimizing::signature::return_area_size;
use ampoule_core::decode::body_reader;
use ampoule_core::index::{DefinedFuncIndex, FuncIndex};
use ampoule_core::types::FuncType;
use wasmparser::{FunctionBody, Operator};

/// Bytes of a body that calls nothing, at most.
const LEAF_LEN: u64 = 160;
/// Bytes of a body that calls something, at most, in functions that are known to run often.
const CALLER_LEN: u64 = 40;
/// The same in others: what is saved is one call of two.
const CALLER_LEN_UNKNOWN: u64 = 20;
/// Parameters and locals of a body, at most: a few bytes can declare thousands.
const LOCALS: u64 = 40;
/// Bodies within bodies, at most.
const DEPTH: usize = 3;
/// Copies of a recursive function within itself, at most. They halve its calls, or better; in other functions there are none.
const RECURSION: usize = 1;
/// Bytes and locals of all bodies inlined into one function, at most, beyond that function's own bytes.
const BUDGET: u64 = 1024;

/// A function that is to be translated in the place of a call.
pub(super) struct Callee<'a> {
    function: DefinedFuncIndex,
    pub body: FunctionBody<'a>,
    ty: &'a FuncType,
    /// What it takes of the budget.
    cost: u64,
    /// Whether all of it is, or only where it returns at once: see `partial_inlining`.
    pub whole: bool,
}

impl Callee<'_> {
    /// How many parameters it has.
    pub fn params(&self) -> usize {
        self.ty.params().len()
    }
}

/// Bytes and locals that may be inlined into a function of this body.
pub(super) fn budget(body: &FunctionBody<'_>) -> u64 {
    BUDGET + body_len(body)
}

/// Bytes of a body.
pub(super) fn body_len(body: &FunctionBody<'_>) -> u64 {
    body.range().end - body.range().start
}

impl<'a> FuncTranslator<'a> {
    /// What a call calls, if it is to be inlined.
    pub(super) fn callee_to_inline(&self, callee: FuncIndex) -> Result<Option<Callee<'a>>, CompileError> {
        let Some(function) = self.input.module.defined_func(callee) else { return Ok(None) };
        let body = body_reader(self.input.bytes, &self.input.module.bodies[function.index()]);
        let ty = self.input.module.func_type(callee);
        let around = &self.inlining.functions;
        let copies = around.iter().filter(|&&around| around == function).count();
        let refused = !self.does(Pass::Inlining)
            || self.is_never_called(callee)
            || body_len(&body) > LEAF_LEN
            || return_area_size(ty) != 0
            || copies > 0 && around[0] != function;
        if refused {
            return Ok(None);
        }
        let whole = around.len() <= DEPTH && copies <= RECURSION;
        let is_recursive = around[0] == function;
        let caller_len = if self.is_hot() { CALLER_LEN } else { CALLER_LEN_UNKNOWN };
        let (cost, whole) = match if whole { cost(&body, ty, is_recursive, caller_len)? } else { None } {
            Some(cost) => (Some(cost), true),
            None if copies > 0 && may_return_at_once(&body)? => (size(&body, ty)?, false),
            None => (None, false),
        };
        let cost = cost.filter(|&cost| cost <= self.inlining.budget);
        Ok(cost.map(|cost| Callee { function, body, ty, cost, whole }))
    }

    /// Begins the translation of a callee in the place of its call. Gives the caller's locals, for [`Self::leave_inlined`].
    pub(super) fn enter_inlined(&mut self, callee: &Callee<'a>) -> Result<OuterLocals, CompileError> {
        let &Callee { function, ref body, ty, cost, .. } = callee;
        self.inlining.budget -= cost;
        let first = self.stack.len() - ty.params().len();
        let args = self.stack.drain(first..).collect();
        let caller_locals = self.enter_locals(ty.params(), args, body)?;
        self.enter_inlined_metering();
        let site = CallSite { frame: self.control.len(), call: self.builder.srcloc().bits() };
        self.inlining.functions.push(function);
        self.inlining.sites.push(site);
        self.push_body_frame(ty);
        Ok(caller_locals)
    }

    /// Goes on in the caller.
    pub(super) fn leave_inlined(&mut self, caller_locals: OuterLocals) {
        self.inlining.sites.pop();
        self.inlining.functions.pop();
        self.leave_locals(caller_locals);
    }
}

/// What a copy of a body takes of the budget: its bytes, parameters and locals. `None` where it has too many of them.
fn size(body: &FunctionBody<'_>, ty: &FuncType) -> Result<Option<u64>, CompileError> {
    // Parameters, too, are made anew for each call.
    let mut locals = ty.params().len() as u64;
    for group in body.get_locals_reader()? {
        locals = locals.saturating_add(u64::from(group?.0));
    }
    Ok((locals <= LOCALS).then(|| body_len(body) + locals))
}

/// What a copy of a body takes of the budget, if the body is worth copies: it has few locals, no tail calls, and hardly calls; loops only
/// where the copy is in the function itself.
fn cost(
    body: &FunctionBody<'_>,
    ty: &FuncType,
    is_recursive: bool,
    caller_len: u64,
) -> Result<Option<u64>, CompileError> {
    let len = body_len(body);
    let Some(size) = size(body, ty)? else { return Ok(None) };
    for op in body.get_operators_reader()? {
        let op = op?;
        let inlines = match Properties::of(&op).inlining {
            operators::Inlining::Yes => true,
            operators::Inlining::OnlyInShortBodies => len <= caller_len || is_recursive,
            operators::Inlining::Never => is_recursive && matches!(op, Operator::Loop { .. }),
        };
        if !inlines {
            return Ok(None);
        }
    }
    Ok(Some(size))
}
