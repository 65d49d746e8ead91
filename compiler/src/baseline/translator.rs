//! The state of a function's translation, and what all operators need.

use super::call::OtherCallee;
use super::control::{ControlFrame, LoopHead, Moves, Source, State};
use super::exception::Scope;
use super::frame::{AHEAD_EACH, ahead_len};
use super::homes::Homes;
use super::numeric::Scaled;
use super::values::{Kind, Local, Place, Registers, Value};
use super::x64::{
    ARGUMENTS, Assembler, Class, Condition, Cpu, Label, RAX, RSP, Reg, RegSet, SCRATCH, Width, emit, mem,
};
use crate::{CompileError, ModuleInput, arch};
use ampoule_core::artifact::{CompiledFunction, FunctionInfo, Handler, RelocationTarget, StackMap};
use ampoule_core::builtins::Builtin;
use ampoule_core::index::{DefinedFuncIndex, FuncIndex};
use ampoule_core::trap::TrapCode;
use ampoule_core::tunables::Tier;
use ampoule_core::types::FuncType;
use ampoule_core::vm::MemorySlot;
use std::rc::Rc;

/// The translation of one function body.
pub(super) struct Translator<'a> {
    pub asm: Assembler,
    pub input: ModuleInput<'a>,
    pub cpu: Cpu,
    /// Results that are no numbers get the canonical bits.
    pub canonical_nans: bool,
    pub func: DefinedFuncIndex,
    pub func_type: &'a FuncType,
    /// Results go to an area whose address the caller passes.
    pub in_area: bool,
    /// Bytes of arguments on the stack, which go when the function returns.
    pub stack_arguments: u32,
    pub locals: Vec<Local>,
    /// The operand stack.
    pub stack: Vec<Value>,
    /// So many of the lowest operands are at home.
    pub flushed: usize,
    pub regs: Registers,
    pub homes: Homes,
    /// Where the frame has the context, if it is ever looked for there.
    pub context_home: Option<i32>,
    /// Bytes that calls pass on the stack, at most.
    pub most_passed: u32,
    /// Something is called for which there must be stack.
    pub needs_stack_check: bool,
    /// Where all returns lead.
    pub epilogue: Label,
    /// Something has been called already.
    pub has_called: bool,
    /// The enclosing blocks, outermost first.
    pub control: Vec<ControlFrame<'a>>,
    /// What was in registers where paths meet that was noted last.
    pub last_state: Option<Rc<State>>,
    /// Whether the next operator can be reached.
    pub reachable: bool,
    /// The last shift to the left: see [`super::numeric`].
    pub scaled: Option<Scaled>,
    /// What the flags tell of the uppermost operand: it is whether this holds.
    pub flags: Option<Condition>,
    /// Where the operator being translated is in the module.
    pub position: u32,
    /// Where code begins that was made from another operator than that before it.
    pub positions: Vec<(u32, u32)>,
    pub stubs: Vec<Stub>,
    /// The enclosing blocks that handle exceptions.
    pub scopes: Vec<Scope>,
    /// Handlers by return address: where they are.
    pub handlers: Vec<(u32, u32)>,
    /// For each return address, the bytes below the frame, and where operands are that are references. Locals that are have been brought home, too.
    pub stack_maps: Vec<(u32, u32, Vec<i32>)>,
    /// Values that calls and branches take along, and references noted at them, all together.
    pub spent: usize,
    /// The locals that are references, and the places of operands that are.
    pub reference_locals: Vec<u32>,
    pub reference_operands: Vec<u32>,
    pub fuel_pending: i64,
    /// So many loops have begun.
    pub loops: u32,
    /// The loop at whose head it is asked where everything is, and that.
    pub sought_loop: Option<u32>,
    pub found_loop: Option<LoopHead>,
    /// Bytes of operators that have been looked at ahead.
    pub looked: usize,
    /// Where the body begins in the module, and its bytes.
    pub body_start: usize,
    pub body_len: usize,
}

/// Code behind the function's, where it goes on in rare cases.
pub(super) struct Stub {
    label: Label,
    position: u32,
    what: Rare,
}

enum Rare {
    Trap(TrapCode),
    Overflow,
    /// A builtin that keeps all registers, in which these references live meanwhile; then back.
    Interrupt {
        builtin: Builtin,
        context: Source,
        references: Vec<(Reg, i32)>,
        in_frame: Vec<i32>,
        back: Label,
    },
    /// The function, or this loop of it, has run often: goes on in other code, if there is some by now. Of a loop, what is in registers ahead of
    /// its home is below the frame meanwhile.
    Hot {
        number: Option<u32>,
        context: Source,
        ahead: Vec<(Kind, Reg)>,
        back: Label,
    },
    /// The call site at the scratch register has another callee than before.
    OtherCallee(OtherCallee),
    Call(Box<RareCall>),
    /// The end of a tail call, whose arguments are in their registers and, so many bytes, at the stack pointer: to a function of the module, or
    /// to code in `rax`.
    TailCall {
        callee: Option<FuncIndex>,
        area: u32,
    },
    /// Where the call that returns to `at` goes on when it throws: what callees keep is brought home.
    Handler {
        at: u32,
        behind: Vec<(Kind, i32, Reg)>,
        dispatch: Label,
    },
}

/// A call of a builtin from where the function goes back.
pub(super) struct RareCall {
    pub builtin: Builtin,
    pub args: Vec<(Reg, Source)>,
    /// Registers that are kept meanwhile.
    pub keep: RegSet,
    /// Where its answer goes.
    pub result: Option<Reg>,
    /// What stops the guest where it answers zero.
    pub zero: Option<TrapCode>,
    pub back: Label,
    /// Of a builtin that may collect: references in registers, with the homes in which they are meanwhile, and those that are at home anyway
    /// or because of that.
    pub references: Vec<(Reg, i32)>,
    pub in_frame: Vec<i32>,
}

impl RareCall {
    /// A call of a builtin that collects nothing.
    pub fn plain(
        builtin: Builtin,
        args: Vec<(Reg, Source)>,
        keep: RegSet,
        result: Option<Reg>,
        zero: Option<TrapCode>,
        back: Label,
    ) -> Self {
        Self { builtin, args, keep, result, zero, back, references: Vec::new(), in_frame: Vec::new() }
    }
}

impl Stub {
    pub fn overflow(label: Label, position: u32) -> Self {
        Self { label, position, what: Rare::Overflow }
    }

    pub fn interrupt(
        label: Label,
        position: u32,
        builtin: Builtin,
        context: Source,
        references: Vec<(Reg, i32)>,
        in_frame: Vec<i32>,
        back: Label,
    ) -> Self {
        Self { label, position, what: Rare::Interrupt { builtin, context, references, in_frame, back } }
    }

    pub fn hot(
        label: Label,
        position: u32,
        number: Option<u32>,
        context: Source,
        ahead: Vec<(Kind, Reg)>,
        back: Label,
    ) -> Self {
        Self { label, position, what: Rare::Hot { number, context, ahead, back } }
    }

    pub fn other_callee(label: Label, position: u32, rare: OtherCallee) -> Self {
        Self { label, position, what: Rare::OtherCallee(rare) }
    }

    pub fn call(label: Label, position: u32, call: RareCall) -> Self {
        Self { label, position, what: Rare::Call(Box::new(call)) }
    }

    pub fn handler(label: Label, position: u32, at: u32, behind: Vec<(Kind, i32, Reg)>, dispatch: Label) -> Self {
        Self { label, position, what: Rare::Handler { at, behind, dispatch } }
    }

    pub fn tail_call(label: Label, position: u32, callee: Option<FuncIndex>, area: u32) -> Self {
        Self { label, position, what: Rare::TailCall { callee, area } }
    }
}

/// Values that calls and branches of a function take along, and references noted at them, at most, beyond some for each byte of its body. What
/// needs more is the other tier's, which has bounds of its own.
const VALUES_MAX: usize = 1 << 18;
const VALUES_EACH: usize = 8;
/// However large the function is.
const VALUES_IN_ALL: usize = 1 << 23;

impl<'a> Translator<'a> {
    /// Notes that code from here on is made from the operator being translated.
    pub(super) fn note_position(&mut self) {
        let at = self.asm.offset();
        match self.positions.last_mut() {
            Some(last) if last.1 == self.position => {}
            // The first is of the prologue. A jump that led here may have been taken back.
            Some(last) if last.0 >= at && at != 0 => *last = (at, self.position),
            _ => self.positions.push((at, self.position)),
        }
    }

    /// Goes on elsewhere to stop the guest where a condition holds.
    pub(super) fn trap_if(&mut self, condition: Condition, code: TrapCode) {
        let label = self.trap_label(code);
        self.asm.jump_if(condition, label);
    }

    pub(super) fn trap_label(&mut self, code: TrapCode) -> Label {
        if let Some(Stub { label, position, what: Rare::Trap(known) }) = self.stubs.last()
            && (*position, *known) == (self.position, code)
        {
            return *label;
        }
        let label = self.asm.label();
        self.stubs.push(Stub { label, position: self.position, what: Rare::Trap(code) });
        label
    }

    /// Stops the guest. The operators up to the next block end are unreachable.
    pub(super) fn trap(&mut self, code: TrapCode) {
        let label = self.trap_label(code);
        self.asm.jump(label);
        self.stop();
    }

    /// What follows can't be reached.
    pub(super) fn stop(&mut self) {
        self.fuel_pending = 0;
        self.reachable = false;
    }

    /// Base and displacement of something that the context holds, or points to. `scratch` may be the base then.
    pub(super) fn definition(&mut self, context: Reg, scratch: Reg, slot: MemorySlot) -> (Reg, i32) {
        match slot {
            MemorySlot::Own(offset) => (context, offset as i32),
            MemorySlot::Pointer(offset) => {
                self.asm.load(Width::W64, scratch, mem(context, offset as i32));
                (scratch, 0)
            }
        }
    }

    /// Where operands are at a call that are references: at home, where they have been brought. So are locals, which are counted here, too; all
    /// of their homes are known at the function's end.
    pub(super) fn references(&mut self) -> Result<Vec<i32>, CompileError> {
        let operands = self.reference_operands.iter().map(|&index| self.stack[index as usize].place);
        let homes = operands.filter_map(|place| if let Place::Home(home) = place { Some(home) } else { None });
        let references: Vec<i32> = homes.collect();
        self.spend(references.len() + self.reference_locals.len())?;
        Ok(references)
    }

    /// Counts what a few bytes of a body may ask for a lot of: values that are passed on, and references that are noted.
    pub(super) fn spend(&mut self, values: usize) -> Result<(), CompileError> {
        self.spent += values;
        let budget = (VALUES_MAX + VALUES_EACH * self.body_len).min(VALUES_IN_ALL);
        if self.spent > budget { Err(CompileError::over_budget()) } else { Ok(()) }
    }

    /// Notes where references are for a return address.
    pub(super) fn note_references(&mut self, at: u32, pushed: u32, references: Vec<i32>) {
        if !references.is_empty() || !self.reference_locals.is_empty() {
            self.stack_maps.push((at, pushed, references));
        }
    }

    fn emit_stub(&mut self, Stub { label, position, what }: Stub) {
        self.position = position;
        self.asm.bind(label);
        self.note_position();
        match what {
            Rare::Trap(code) => {
                self.asm.mov_imm(ARGUMENTS[0], code as u64);
                self.asm.call(RelocationTarget::Builtin(Builtin::Trap));
            }
            Rare::Overflow => {
                // Before the frame is made.
                self.asm.call(RelocationTarget::Builtin(Builtin::StackOverflow));
            }
            Rare::Interrupt { builtin, context, references, in_frame, back } => {
                for &(reg, home) in &references {
                    self.store_home(Kind::Reference, home, reg);
                }
                emit!(self.asm, pushq_o, ARGUMENTS[0].number());
                emit!(self.asm, pushq_o, RAX.number());
                self.move_all(&mut [(ARGUMENTS[0], context)].into_iter().collect());
                let at = self.asm.call(RelocationTarget::Builtin(builtin));
                self.note_references(at, 16, in_frame);
                emit!(self.asm, popq_o, RAX.number());
                emit!(self.asm, popq_o, ARGUMENTS[0].number());
                for (reg, home) in references {
                    self.load_home(Kind::Reference, home, reg);
                }
                self.asm.jump(back);
            }
            Rare::Hot { number, context, ahead, back } => {
                let bytes = ahead_len(&ahead) as i32;
                if bytes != 0 {
                    self.asm.address(Width::W64, RSP, mem(RSP, -bytes));
                }
                for (&(kind, reg), at) in ahead.iter().zip((0..).step_by(AHEAD_EACH)) {
                    self.store_value(kind, mem(RSP, at), reg);
                }
                emit!(self.asm, pushq_o, ARGUMENTS[0].number());
                emit!(self.asm, pushq_o, RAX.number());
                self.move_all(&mut [(ARGUMENTS[0], context)].into_iter().collect());
                self.asm.mov_imm(RAX, self.func.0.into());
                self.asm.mov_imm(SCRATCH, number.unwrap_or(u32::MAX).into());
                self.asm.call(RelocationTarget::Builtin(Builtin::BecomeHot));
                let replaced = self.asm.label();
                if number.is_some() {
                    self.asm.test(Width::W64, RAX);
                    self.asm.jump_if(Condition::NotEqual, replaced);
                }
                emit!(self.asm, popq_o, RAX.number());
                emit!(self.asm, popq_o, ARGUMENTS[0].number());
                if bytes != 0 {
                    self.asm.address(Width::W64, RSP, mem(RSP, bytes));
                }
                self.asm.jump(back);
                if number.is_some() {
                    self.asm.bind(replaced);
                    self.leave_to_other_code();
                }
            }
            Rare::OtherCallee(rare) => self.note_other_callee(rare),
            Rare::Call(call) => self.rare_call(*call),
            Rare::TailCall { callee, area } => self.leave_for(callee, area),
            Rare::Handler { at, behind, dispatch } => {
                self.handlers.push((at, self.asm.offset()));
                for (kind, home, reg) in behind {
                    self.store_home(kind, home, reg);
                }
                self.asm.jump(dispatch);
            }
        }
    }

    /// Calls a builtin and keeps registers meanwhile, on the stack.
    fn rare_call(&mut self, call: RareCall) {
        let bytes = 16 * call.keep.iter().count() as i32;
        self.asm.address(Width::W64, RSP, mem(RSP, -bytes));
        for (reg, at) in call.keep.iter().zip((0..).step_by(16)) {
            match reg.class() {
                Class::General => self.asm.store(Width::W64, mem(RSP, at), reg),
                Class::Vector => self.asm.store_vector(mem(RSP, at), reg),
            }
        }
        for &(reg, home) in &call.references {
            self.store_home(Kind::Reference, home, reg);
        }
        self.move_all(&mut Moves::from_vec(call.args));
        let at = self.asm.call(RelocationTarget::Builtin(call.builtin));
        self.note_references(at, bytes as u32, call.in_frame);
        self.asm.mov_all(SCRATCH, RAX);
        for (reg, home) in call.references {
            self.load_home(Kind::Reference, home, reg);
        }
        for (reg, at) in call.keep.iter().zip((0..).step_by(16)) {
            match reg.class() {
                Class::General => self.asm.load(Width::W64, reg, mem(RSP, at)),
                Class::Vector => self.asm.load_vector(reg, mem(RSP, at)),
            }
        }
        self.asm.address(Width::W64, RSP, mem(RSP, bytes));
        if let Some(code) = call.zero {
            self.asm.test(Width::W32, SCRATCH);
            self.trap_if(Condition::Equal, code);
        }
        if let Some(result) = call.result {
            self.asm.mov_all(result, SCRATCH);
        }
        self.asm.jump(call.back);
    }

    /// Emits what is before and behind the function's code, and gives all of it.
    pub(super) fn finish(mut self) -> Result<CompiledFunction, CompileError> {
        let frame_size = self.frame_size()?;
        self.emit_epilogue();
        let overflow = self.asm.label();
        let prologue = self.prologue(frame_size, overflow);
        // One may need another.
        while !self.stubs.is_empty() {
            for stub in std::mem::take(&mut self.stubs) {
                self.emit_stub(stub);
            }
        }
        debug_assert_eq!(self.frame_len(), frame_size, "what is behind the body has no homes of its own");
        // Behind the last call that doesn't return there is code: the return address is the function's.
        emit!(self.asm, [nop_1b]);
        let start = self.asm.prepend(prologue);
        let assembled = std::mem::take(&mut self.asm).finish();
        let mut code = assembled.bytes;
        let mut relocations = assembled.relocations;
        relocations.iter_mut().for_each(|relocation| arch::jump_to_interrupt(&mut code, relocation));
        relocations.sort_by_key(|relocation| relocation.offset);
        let handlers =
            self.handlers.iter().map(|&(at, landing)| (start + at, Handler { landing: start + landing, frame_size }));
        let mut handlers: Vec<_> = handlers.collect();
        handlers.sort_unstable_by_key(|&(at, _)| at);
        // The first is of the function's beginning.
        self.positions.iter_mut().skip(1).for_each(|(at, _)| *at += start);
        let stack_maps = self.stack_maps_from(start, frame_size);
        let kept = self.kept();
        let (mut traps, mut positions) = (assembled.traps, self.positions);
        // They are kept for long, and there was space for more.
        code.shrink_to_fit();
        traps.shrink_to_fit();
        positions.shrink_to_fit();
        let info = FunctionInfo { handlers, kept, traps, stack_maps, positions, ..FunctionInfo::default() };
        let tier = Tier::Baseline;
        Ok(CompiledFunction { tier, code, alignment: 16, phase: 0, relocations, info, replaces: None })
    }

    /// The stack maps of a function whose body begins there.
    fn stack_maps_from(&mut self, start: u32, frame_size: u32) -> Vec<(u32, StackMap)> {
        let locals = self.reference_locals.iter().filter_map(|&local| self.locals[local as usize].home);
        let locals: Vec<i32> = locals.collect();
        let maps = std::mem::take(&mut self.stack_maps).into_iter().filter_map(|(at, pushed, operands)| {
            let frame_size = frame_size + pushed;
            let homes = locals.iter().chain(&operands);
            let slots: Vec<u32> = homes.map(|home| (frame_size as i32 + home) as u32).collect();
            (!slots.is_empty()).then_some((start + at, StackMap { frame_size, slots }))
        });
        maps.collect()
    }
}
