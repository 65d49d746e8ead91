//! The baseline tier: machine code in one pass over a function's operators.
//!
//! [`translator`] is the state of a translation; [`values`] knows where operands and locals are, [`homes`] and [`frame`] what is where in the frame; [`x64`] is
//! the processor. Above them is a file for each family of operators. There is no form in between: an operator's code is emitted when it is
//! read, with what is known of its operands then. All passes over a body, and all that is kept of it, are linear in its size.
//!
//! What a function of this tier looks like to others is the same as of any tier, and written in `docs/vm-layout.md`.

mod atomics;
mod call;
mod control;
mod exception;
mod frame;
mod gc;
mod homes;
mod look_ahead;
mod memory;
mod metering;
mod numeric;
mod simd;
mod table;
mod translator;
mod values;
mod variable;
mod visitor;
mod x64;

use crate::loop_entry::{LoopEntry, LoopPlace};
use crate::operators::Calls;
use crate::optimizing::{OptimizingCompiler, return_area_size};
use crate::{CompileError, Compiler, ModuleInput, NativeShape, ValueShape};
use ampoule_core::artifact::CompiledFunction;
use ampoule_core::decode::body_reader;
use ampoule_core::index::DefinedFuncIndex;
use ampoule_core::types::FuncType;
use frame::{FRAME_MAX, stack_arguments};
use homes::Homes;
use std::sync::Arc;
use translator::Translator;
use values::Registers;
use visitor::{Family, OperatorKind, Receiver, Visitor};
use wasmparser::{FunctionBody, Operator, OperatorsReader};
use x64::{Assembler, Cpu};

/// Bytes of code that a function is made into, at most, for each byte of its body and beyond that, and however large it is; not counting what is
/// behind it for rare cases. Only what stands for many values comes near.
const CODE_EACH: usize = 48;
const CODE_FEW: usize = 4 << 20;
const CODE_MAX: usize = 1 << 28;

/// The baseline tier. Thunks, and the functions that it must refuse, are another's.
pub struct BaselineCompiler {
    other: Arc<OptimizingCompiler>,
    cpu: Cpu,
    /// Tunables or a flag of the back end ask for it.
    canonical_nans: bool,
}

impl BaselineCompiler {
    /// A compiler for what another one compiles for.
    pub fn new(other: Arc<OptimizingCompiler>) -> Self {
        let cpu = Cpu::new(other.target().split([' ', ',']));
        let canonical_nans = other.makes_canonical_nans();
        Self { other, cpu, canonical_nans }
    }

    /// Compiles one function of a module, or says why another tier has to.
    ///
    /// # Errors
    /// [`CompileError`] for a function whose frame, or what has to be known about it, would be too large.
    pub fn translate(&self, input: &ModuleInput<'_>, func: DefinedFuncIndex) -> Result<CompiledFunction, CompileError> {
        let mut translator = self.translator(input, func);
        let body = body_reader(input.bytes, &input.module.bodies[func.index()]);
        translator.body(&body)?;
        translator.finish()
    }

    /// What a frame of this function holds at the head of a loop.
    ///
    /// # Errors
    /// See [`Self::translate`]. A loop to which nothing leads is refused.
    fn loop_entry(
        &self,
        input: &ModuleInput<'_>,
        func: DefinedFuncIndex,
        loop_number: u32,
    ) -> Result<LoopEntry, CompileError> {
        let body = body_reader(input.bytes, &input.module.bodies[func.index()]);
        let place = LoopPlace::find(&body, loop_number)?;
        let mut translator = self.translator(input, func);
        // Where everything is may depend on it: code that is replaced counts.
        translator.input.counters = Some(0);
        translator.sought_loop = Some(loop_number);
        translator.body(&body)?;
        translator.loop_entry(place)
    }

    /// At the beginning of a function.
    fn translator<'a>(&self, input: &ModuleInput<'a>, func: DefinedFuncIndex) -> Translator<'a> {
        let body = body_reader(input.bytes, &input.module.bodies[func.index()]);
        let func_type = input.module.func_type(input.module.func_index(func));
        let in_area = return_area_size(func_type) != 0;
        let body_len = (body.range().end - body.range().start) as usize;
        let mut asm = Assembler::for_body(body_len);
        let epilogue = asm.label();
        Translator {
            asm,
            epilogue,
            has_called: false,
            input: *input,
            cpu: self.cpu,
            canonical_nans: self.canonical_nans,
            func,
            func_type,
            in_area,
            stack_arguments: stack_arguments(func_type, in_area),
            locals: Vec::new(),
            stack: Vec::with_capacity(32),
            flushed: 0,
            regs: Registers::new(),
            homes: Homes::below(if in_area { 8 } else { 0 }),
            context_home: None,
            most_passed: 0,
            needs_stack_check: false,
            control: Vec::with_capacity(16),
            last_state: None,
            reachable: true,
            scaled: None,
            flags: None,
            position: body.range().start as u32,
            positions: Vec::with_capacity(body_len / 4),
            stubs: Vec::with_capacity(4 + body_len / 32),
            scopes: Vec::new(),
            handlers: Vec::new(),
            stack_maps: Vec::new(),
            spent: 0,
            reference_locals: Vec::new(),
            reference_operands: Vec::new(),
            fuel_pending: 0,
            loops: 0,
            sought_loop: None,
            found_loop: None,
            looked: 0,
            body_start: body.range().start as usize,
            body_len,
        }
    }
}

impl<'a> Translator<'a> {
    /// Translates a function's body.
    fn body(&mut self, body: &FunctionBody<'a>) -> Result<(), CompileError> {
        let reader = body.get_operators_reader()?;
        // All positions up to there can be noted.
        position(body.range().end)?;
        self.position = position(reader.original_position())?;
        self.note_position();
        self.enter(body)?;
        self.enter_metering()?;
        self.push_body_frame(self.func_type.results());
        self.operators(reader)
    }

    fn operators(&mut self, mut reader: OperatorsReader<'a>) -> Result<(), CompileError> {
        let code_max = (CODE_FEW + CODE_EACH * self.body_len).min(CODE_MAX);
        while !reader.eof() {
            self.position = reader.original_position() as u32;
            reader.visit_operator(&mut Visitor(self))??;
            if self.asm.offset() as usize > code_max || self.homes.len() > FRAME_MAX {
                return Err(CompileError::over_budget());
            }
        }
        Ok(())
    }

    fn operator(&mut self, op: &Operator<'_>, family: Family) -> Result<(), CompileError> {
        let translated = match family {
            Family::Numeric => self.numeric_operator(op)?,
            Family::Memory => self.memory_operator(op)?,
            Family::Control => self.control_operator(op)?,
            Family::Any => false,
        };
        let translated = translated
            || self.variable_operator(op)
            || self.call_operator(op)?
            || self.numeric_operator(op)?
            || self.memory_operator(op)?
            || self.control_operator(op)?
            || self.table_operator(op)?
            || self.atomic_operator(op)?
            || self.vector_operator(op)?
            || self.gc_operator(op)?
            || self.exception_operator(op)?;
        if translated { Ok(()) } else { Err(CompileError::new(format!("operator {op:?} is not supported"))) }
    }
}

impl Receiver for Translator<'_> {
    /// Translates the operator at the translator's position.
    fn receive(&mut self, op: &Operator<'_>, kind: &'static OperatorKind) -> Result<(), CompileError> {
        if !self.reachable {
            return self.unreachable_operator(op);
        }
        let OperatorKind { properties, family } = kind;
        if properties.may_trap || properties.calls != Calls::Nothing || self.input.tunables.debug_positions {
            self.note_position();
        }
        if self.flags.is_some() && !Self::takes_flags(op) {
            self.settle_flags();
        }
        self.needs_stack_check |= properties.needs_stack_check();
        self.count(properties);
        self.operator(op, *family)?;
        self.regs.end_operator();
        Ok(())
    }
}

/// A position in the module, as tables of positions have it.
fn position(at: u64) -> Result<u32, CompileError> {
    u32::try_from(at).map_err(|_| CompileError::new("the module is too large"))
}

impl Compiler for BaselineCompiler {
    fn compile_function(
        &self,
        input: &ModuleInput<'_>,
        func: DefinedFuncIndex,
    ) -> Result<CompiledFunction, CompileError> {
        // Nothing is known of a function that hasn't run.
        let of_other = ModuleInput { profile: None, ..*input };
        self.translate(input, func).or_else(|_| self.other.compile_function(&of_other, func))
    }

    fn compile_at_once(&self, input: &ModuleInput<'_>, func: DefinedFuncIndex) -> Option<CompiledFunction> {
        self.translate(input, func).ok()
    }

    /// Nothing: it is the first tier.
    fn compile_better(
        &self,
        _: &ModuleInput<'_>,
        _: DefinedFuncIndex,
    ) -> Result<Option<CompiledFunction>, CompileError> {
        Ok(None)
    }

    fn compile_from_loop(
        &self,
        input: &ModuleInput<'_>,
        func: DefinedFuncIndex,
        loop_number: u32,
    ) -> Result<CompiledFunction, CompileError> {
        self.other.compile_from_loop(input, func, &self.loop_entry(input, func, loop_number)?)
    }

    fn entry_thunk(&self, ty: &FuncType, shape: ValueShape) -> Result<CompiledFunction, CompileError> {
        self.other.entry_thunk(ty, shape)
    }

    fn exit_thunk(&self, ty: &FuncType, shape: ValueShape) -> Result<CompiledFunction, CompileError> {
        self.other.exit_thunk(ty, shape)
    }

    fn native_exit_thunk(&self, ty: &FuncType, shape: NativeShape) -> Result<CompiledFunction, CompileError> {
        self.other.native_exit_thunk(ty, shape)
    }

    fn target(&self) -> &str {
        self.other.target()
    }
}
