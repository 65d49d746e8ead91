//! One function body: its prologue, and the dispatch of operators.
//!
//! [`translator`] is the state, and what every operator needs. [`metering`] counts fuel and watches the epoch, [`traps`] makes the cold
//! blocks that stop a guest, [`locals`] says where locals are. Above them is a file for each family of operators; [`multiplication`] finds products of 128 bits among
//! those on numbers. [`inlining`] puts small functions in the place of their calls, [`likely_callee`] those that an
//! indirect call nearly always calls, [`partial_inlining`] the quick ways through recursive ones, [`tail_duplication`] loop latches in the place of
//! branches to them, [`cold`] what is never reached behind all else. [`vectorization`] puts loops over vectors in front of such over elements. [`counters`] knows what counters of loops may be. [`midway`] enters a function at a loop. [`gc`] has what is about objects. This file is above all of those: they never come back to the dispatch.

mod atomics;
mod call;
mod cold;
mod control;
mod counters;
mod exception;
mod gc;
mod inlining;
mod likely_callee;
mod local_lives;
mod locals;
mod memory;
mod metering;
mod midway;
mod multiplication;
mod numeric;
mod partial_inlining;
mod simd;
mod table;
mod tail_duplication;
mod translator;
mod traps;
mod unrolling;
mod variable;
mod vectorization;

use super::effort::{Budget, Effort};
use super::flags::Region;
use super::linkage::Numbers;
use super::passes::{Pass, Passes};
use super::signature::return_area_size;
use crate::loop_entry::LoopEntry;
use crate::operators::Properties;
use crate::{CompileError, ModuleInput};
use ampoule_core::builtins::Builtin;
use ampoule_core::index::{DefinedFuncIndex, FuncIndex};
use ampoule_core::vm::VmStoreContext;
use call::IndirectCall;
use counters::{Counters, LoopCounters};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, Value, types};
use cranelift_codegen::isa::TargetIsa;
use cranelift_frontend::FunctionBuilder;
use inlining::Callee;
use likely_callee::LikelyCallees;
use smallvec::SmallVec;
use std::collections::HashMap;
use std::mem::offset_of;
use tail_duplication::Latch;
use translator::{FrameKind, FuncTranslator, Inlining, Locals, Metering, TailDuplication, Unrolled, Vectorized};
use vectorization::VectorLoop;
use wasmparser::{FunctionBody, Operator, OperatorsReader};

/// What is done to make a function's code fast.
#[derive(Clone, Copy)]
pub(super) struct Optimizing {
    pub effort: Effort,
    pub passes: Passes,
}

/// How a function is entered.
pub(super) enum Entry<'a> {
    /// It is called.
    Call(StackCheck),
    /// At a loop, in the place of other code, for which the stack has been looked at.
    Loop(&'a LoopEntry),
}

/// Whether a function compares the stack pointer with the limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum StackCheck {
    /// Yes.
    Yes,
    /// No: it calls nothing and its frame is small, or its check is made before its frame.
    No,
}

/// Translates a body into the builder's function, whose signature has been set.
pub(super) fn translate_function(
    mut builder: FunctionBuilder<'_>,
    isa: &dyn TargetIsa,
    input: &ModuleInput<'_>,
    func: DefinedFuncIndex,
    body: &FunctionBody<'_>,
    how: Entry<'_>,
    Optimizing { effort, passes }: Optimizing,
) -> Result<Numbers, CompileError> {
    let func_type = input.module.func_type(input.module.func_index(func));
    let entry = builder.create_block();
    builder.append_block_params_for_function_params(entry);
    builder.switch_to_block(entry);
    builder.seal_block(entry);
    let vmctx = builder.block_params(entry)[0];
    let return_area = (return_area_size(func_type) != 0).then(|| builder.block_params(entry)[1]);
    let mut t = FuncTranslator {
        builder,
        isa,
        input: *input,
        vmctx,
        return_area,
        call_area: None,
        args_passed: 0,
        effort,
        passes,
        budget: effort.budget(inlining::body_len(body)),
        stack: Vec::new(),
        control: Vec::new(),
        scopes: Vec::new(),
        reachable: true,
        locals: Locals::default(),
        metering: Metering::default(),
        func_type,
        inlining: Inlining::new(func, inlining::budget(body)),
        tail_duplication: TailDuplication::default(),
        unrolled: Unrolled::default(),
        vectorized: Vectorized::default(),
        counters: Counters::default(),
        entered: LoopCounters::new(),
        midway: None,
        operator_at: 0,
        builtins: HashMap::new(),
        functions: HashMap::new(),
        signatures: HashMap::new(),
        reference_types: HashMap::new(),
        new_objects: Vec::new(),
        found_types: HashMap::new(),
        regions: Vec::new(),
    };
    let reader = body.get_operators_reader()?;
    match how {
        Entry::Call(stack_check) => {
            t.declare_locals(entry, body)?;
            t.set_position(reader.original_position())?;
            if stack_check == StackCheck::Yes {
                t.check_stack();
            }
            t.enter_metering();
        }
        Entry::Loop(at) => {
            t.set_position(reader.original_position())?;
            t.enter_midway(at, body)?;
        }
    }
    t.push_body_frame(func_type);
    t.operators(reader)?;
    t.check_midway()?;
    if passes.has(Pass::ScalarReplacement) {
        t.replace_objects();
    }
    if input.profile.is_some() && passes.has(Pass::ColdCode) {
        cold::spread(t.builder.func);
    }
    t.builder.finalize(isa.frontend_config());
    Ok(t.inlining.numbers)
}

/// Whether a body calls nothing for which the stack must be checked: no functions, and the runtime only to stop.
pub(super) fn is_leaf(body: &FunctionBody<'_>) -> Result<bool, CompileError> {
    for op in body.get_operators_reader()? {
        if Properties::of(&op?).needs_stack_check() {
            return Ok(false);
        }
    }
    Ok(true)
}

impl<'a> FuncTranslator<'a> {
    /// Compares the stack pointer with the limit.
    fn check_stack(&mut self) {
        let store = self.store_context();
        let flags = self.trusted(Region::Store);
        let limit = self.builder.ins().load(types::I64, flags, store, offset_of!(VmStoreContext, stack_limit) as i32);
        let pointer = self.builder.ins().get_stack_pointer(types::I64);
        let below = self.builder.ins().icmp(IntCC::UnsignedLessThan, pointer, limit);
        let (cold, next) = self.branch_cold(below);
        self.builder.switch_to_block(cold);
        let vmctx = self.vmctx;
        self.call_builtin_unmetered(Builtin::StackOverflow, &[vmctx]);
        self.never();
        self.builder.switch_to_block(next);
    }

    /// Translates the operators of a body.
    fn operators(&mut self, mut reader: OperatorsReader<'a>) -> Result<(), CompileError> {
        while !reader.eof() {
            self.operator(&mut reader)?;
        }
        Ok(())
    }

    /// Translates the next operator.
    fn operator(&mut self, reader: &mut OperatorsReader<'a>) -> Result<(), CompileError> {
        let (op, position) = reader.read_with_offset()?;
        self.set_position(position)?;
        self.operator_at = position;
        match op {
            Operator::Br { relative_depth } if self.reachable => match self.latch_to_copy(relative_depth, reader)? {
                Some(latch) => self.copy_latch(&op, relative_depth, latch)?,
                None => self.translate_operator(&op)?,
            },
            Operator::Loop { ref blockty } if self.reachable => {
                let counters = self.counters_of_loop(reader)?;
                let vector_loop = self.vectorize(blockty, reader)?;
                self.entered = counters;
                match vector_loop {
                    Some(VectorLoop::Between(planned, copies)) => {
                        self.count(&op);
                        let turns = self.count_turns();
                        let header = self.unroll(blockty, reader, copies, true)?;
                        self.vector_loop_between(planned, turns, header);
                    }
                    Some(VectorLoop::Before { is_unrolled: true }) => self.translate_operator(&op)?,
                    _ => match self.unrolling(reader)? {
                        None => self.translate_operator(&op)?,
                        Some(unrolling) => {
                            self.count(&op);
                            self.unroll(blockty, reader, unrolling, false)?;
                        }
                    },
                }
            }
            Operator::Call { function_index } if self.reachable => {
                self.count(&op);
                self.call_or_inline(FuncIndex(function_index))?;
            }
            _ => match self.likely_call(&op) {
                Some((call, likely)) => {
                    self.count(&op);
                    self.call_likely(call, &likely)?;
                }
                None => self.translate_operator(&op)?,
            },
        }
        self.check_size()
    }

    /// Translates a call of a function, by what it does or by a call.
    fn call_or_inline(&mut self, function: FuncIndex) -> Result<(), CompileError> {
        match self.callee_to_inline(function)? {
            Some(callee) if callee.whole => {
                let caller_locals = self.enter_inlined(&callee)?;
                self.operators(callee.body.get_operators_reader()?)?;
                self.leave_inlined(caller_locals);
            }
            Some(callee) => self.inline_quick_returns(function, &callee)?,
            None => self.call_function(function, false),
        }
        Ok(())
    }

    /// Translates an indirect call that is likely to call one of these functions: as calls of them, behind comparisons.
    fn call_likely(&mut self, call: IndirectCall, likely: &LikelyCallees) -> Result<(), CompileError> {
        let callee = self.find_callee(call);
        let ty = self.input.module.declared_func(call.ty);
        let height = self.stack.len() - ty.params().len();
        let args: SmallVec<[Value; 8]> = self.stack[height..].into();
        if !call.tail {
            self.push_frame(FrameKind::Block, ty.results().iter().copied().collect(), args.len());
        }
        let here = (self.builder.srcloc(), self.operator_at);
        let owed = self.metering.owed;
        for (position, &function) in likely.functions.iter().enumerate() {
            let is_last = position + 1 == likely.functions.len();
            let other = self.unless_callee(callee, function, is_last && likely.are_nearly_all);
            if call.tail {
                self.call_function(function, true);
            } else {
                self.call_or_inline(function)?;
                self.fall_through();
            }
            self.stack.truncate(height);
            self.stack.extend_from_slice(&args);
            self.reachable = true;
            self.builder.switch_to_block(other);
            // What was inlined has positions of its own.
            self.builder.set_srcloc(here.0);
            self.operator_at = here.1;
            self.metering.owed = owed;
        }
        self.call_found(call, callee);
        if !call.tail {
            self.end();
        }
        Ok(())
    }

    /// Translates a call by a copy of what of the callee returns at once, and the call for the rest.
    fn inline_quick_returns(&mut self, function: FuncIndex, callee: &Callee<'a>) -> Result<(), CompileError> {
        let mut returns = self.quick_returns(function, callee);
        let caller_locals = self.enter_inlined(callee)?;
        let mut reader = callee.body.get_operators_reader()?;
        loop {
            let (op, position) = reader.read_with_offset()?;
            self.set_position(position)?;
            self.operator_at = position;
            if reader.eof() {
                self.call_instead(returns);
                self.translate_operator(&op)?;
                break;
            }
            self.leave_quick_way(&mut returns, &op);
            self.translate_operator(&op)?;
            self.check_size()?;
        }
        self.leave_inlined(caller_locals);
        Ok(())
    }

    /// Translates a branch out of that many blocks by a copy of the latch that it leads to.
    fn copy_latch(&mut self, branch: &Operator<'_>, depth: u32, mut latch: Latch<'a>) -> Result<(), CompileError> {
        self.count(branch);
        // What the copy takes from the stack, the blocks that the branch is in still need.
        let stack = self.stack.clone();
        self.stack.truncate(latch.height);
        self.restore_below(depth);
        loop {
            let (op, position) = latch.operators.read_with_offset()?;
            self.set_position(position)?;
            if let Operator::BrIf { .. } = op {
                self.count(&op);
                break;
            }
            self.translate_operator(&op)?;
        }
        self.end_of_latch(&latch, depth);
        self.stack = stack;
        self.stop();
        Ok(())
    }

    /// A few bytes of a body can stand for thousands of values, those of a call or branch. What would cost too much is given up
    /// here: the code generator would have to see the whole first.
    fn check_size(&self) -> Result<(), CompileError> {
        let dfg = &self.builder.func.dfg;
        let Budget { values, definitions } = self.budget;
        // What is known of a variable is kept in a table with an entry for each block.
        let made = self.locals.variables.saturating_mul(dfg.num_blocks());
        let fits = dfg.num_values() + self.args_passed <= values && made <= definitions;
        if fits { Ok(()) } else { Err(CompileError::over_budget()) }
    }

    fn translate_operator(&mut self, op: &Operator<'_>) -> Result<(), CompileError> {
        if !self.reachable {
            self.unreachable_operator(op)?;
            return Ok(());
        }
        self.count(op);
        let translated = Properties::of(op).supported
            && (numeric::translate(self, op)
                || self.variable_operator(op)
                || self.memory_operator(op)
                || self.control_operator(op)?
                || self.exception_operator(op)?
                || self.call_operator(op)
                || self.table_operator(op)
                || self.gc_operator(op)?
                || simd::translate(self, op)
                || atomics::translate(self, op));
        if translated { Ok(()) } else { Err(CompileError::new(format!("operator {op:?} is not supported"))) }
    }
}
