//! Small functions are translated in the place of their calls.
//!
//! The callee's body becomes a block of the caller: its locals are variables of their own, `return` is a branch to the block's
//! end. Fuel is counted as for a call. What is left out is the callee's look at stack, fuel and deadline: the body is small and has no
//! loops, so the caller's own do.
//!
//! Backtraces show the callee all the same: positions of its operators lead on to the call's (`FunctionInfo::inlined`).

use super::func::FuncTranslator;
use super::signature::return_area_size;
use crate::CompileError;
use crate::operators::{self, Properties};
use ampoule_core::artifact::INLINED;
use ampoule_core::decode::body_reader;
use ampoule_core::index::{DefinedFuncIndex, FuncIndex};
use wasmparser::FunctionBody;

/// Operators of inlined functions, as `FunctionInfo::inlined` has them.
pub(super) type InlinedPositions = Vec<(u32, u32)>;

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

/// What has been inlined into a function.
pub(super) struct Inlining {
    pub positions: InlinedPositions,
    /// Where we are: the functions being translated, outermost first, and all but the first with their calls.
    functions: Vec<DefinedFuncIndex>,
    sites: Vec<Site>,
    budget: u64,
}

struct Site {
    /// The place of the callee's frame among the enclosing blocks.
    frame: usize,
    /// The position of the call.
    call: u32,
}

impl Inlining {
    pub(super) fn new(func: DefinedFuncIndex, body: &FunctionBody<'_>) -> Self {
        let range = body.range();
        let budget = BUDGET + (range.end - range.start);
        Self { positions: Vec::new(), functions: vec![func], sites: Vec::new(), budget }
    }

    /// The position of an operator of the function being translated.
    pub(super) fn position(&mut self, offset: u32) -> u32 {
        let Some(site) = self.sites.last() else { return offset };
        self.positions.push((offset, site.call));
        INLINED + self.positions.len() as u32 - 1
    }

    /// The place of the frame that `return` leaves, in a function that is inlined.
    pub(super) fn frame(&self) -> Option<usize> {
        self.sites.last().map(|site| site.frame)
    }
}

impl FuncTranslator<'_> {
    /// Translates a call by translating the callee, where that pays. Otherwise answers false and does nothing.
    pub(super) fn inline_call(&mut self, callee: FuncIndex) -> Result<bool, CompileError> {
        let Some(own) = self.input.module.defined_func(callee) else { return Ok(false) };
        let body = body_reader(self.input.bytes, &self.input.module.bodies[own.index()]);
        let len = body.range().end - body.range().start;
        let ty = self.input.module.func_type(callee);
        let refused = len > LEAF_LEN.min(self.inlining.budget)
            || self.inlining.functions.len() > DEPTH
            || self.inlining.functions.contains(&own)
            || return_area_size(ty) != 0
            || !pays(&body, len)?;
        if refused {
            return Ok(false);
        }
        self.inlining.budget -= len;
        let caller_locals = std::mem::take(&mut self.locals);
        let first = self.stack.len() - ty.params().len();
        let args: Vec<_> = self.stack.drain(first..).collect();
        for (arg, &ty) in args.into_iter().zip(ty.params()) {
            let var = self.declare_local(ty);
            self.builder.def_var(var, arg);
        }
        self.zeroed_locals(&body)?;
        self.enter_inlined_metering();
        let site = Site { frame: self.control.len(), call: self.builder.srcloc().bits() };
        self.inlining.functions.push(own);
        self.inlining.sites.push(site);
        self.push_body_frame(ty);
        self.operators(body.get_operators_reader()?)?;
        self.inlining.sites.pop();
        self.inlining.functions.pop();
        self.locals = caller_locals;
        Ok(true)
    }
}

/// Whether a body is worth its copies: it has few locals, no loops, no tail calls, and hardly calls.
fn pays(body: &FunctionBody<'_>, len: u64) -> Result<bool, CompileError> {
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
