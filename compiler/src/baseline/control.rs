//! Blocks and branches.
//!
//! Where paths meet, they agree on what is in registers: a loop's header on what was there when the loop was entered, the end of any other
//! block on what was there at the first branch to it. One result of a block is in a register, several are at home. Before a block begins, all
//! operands go home.

use super::frame::{AHEAD_EACH, ahead_len, kinds, result_registers};
use super::translator::{Stub, Translator};
use super::values::{Holds, Kind, Known, Local, Place, Value};
use super::x64::{
    Alu, Class, Condition, Label, Operand, RAX, REGISTERS, Reg, RegSet, SCRATCH, VECTOR_SCRATCH, Width, XMM0, mem,
};
use crate::CompileError;
use crate::loop_entry::{LoopEntry, LoopPlace};
use ampoule_core::decode::val_type;
use ampoule_core::index::TypeIndex;
use ampoule_core::trap::TrapCode;
use ampoule_core::types::ValType;
use smallvec::SmallVec;
use std::collections::HashMap;
use std::rc::Rc;
use wasmparser::{BlockType, BrTable, Operator};

/// What is in registers at a place where paths meet: in those of `used`. What the others have does not matter.
pub(super) struct State {
    holds: [Holds; REGISTERS],
    used: RegSet,
    dirty: RegSet,
}

/// Where a branch leads.
pub(super) struct Target {
    label: Label,
    /// What is in registers there, once something leads there. What follows on each other with nothing in between shares it.
    state: Option<Rc<State>>,
}

pub(super) enum FrameKind {
    /// The function itself: a branch to its end returns.
    Body,
    Block,
    /// Where the loop begins.
    Loop(Target),
    /// An `if` up to its `else`: where the other arm begins, and what is in registers there.
    If {
        otherwise: Label,
        state: Rc<State>,
    },
    /// A clause of an old `try`: where exceptions go on that it doesn't take. The exception is the lowest operand.
    Catch {
        otherwise: Option<Label>,
    },
}

/// One of the enclosing blocks of the operator being translated. There may be millions.
pub(super) struct ControlFrame<'a> {
    pub kind: FrameKind,
    end: Target,
    /// Operands below the block's parameters.
    pub height: usize,
    params: &'a [ValType],
    results: &'a [ValType],
    /// Whether the block's beginning could be reached.
    pub entered: bool,
    /// Whether it is a loop or in one.
    pub in_loop: bool,
}

impl<'a> ControlFrame<'a> {
    /// What branches to the block take along.
    fn taken(&self) -> &'a [ValType] {
        if let FrameKind::Loop(_) = self.kind { self.params } else { self.results }
    }

    /// Where the only value is that branches take along. All that they take to a loop's header is at home, even if it is one value.
    fn result(&self) -> Option<Reg> {
        match (&self.kind, self.results) {
            (FrameKind::Loop(_), _) => None,
            (_, &[ty]) => Some(result_reg(Kind::of(ty))),
            _ => None,
        }
    }
}

/// Where everything is at the head of a loop.
pub(super) struct LoopHead {
    /// Locals in registers that are ahead of their homes.
    ahead: Vec<(Reg, u32)>,
    /// Operands, with the loop's parameters, and where they are.
    operands: Vec<(ValType, i32)>,
    params: usize,
    exceptions: Vec<i32>,
}

/// Where a value comes from that goes to a register.
#[derive(Clone, Copy, Debug)]
pub(super) enum Source {
    Reg(Reg),
    Home(Kind, i32),
    Const(Kind, u64),
    Known(Known),
}

/// Values that go to registers, all at once.
pub(super) type Moves = SmallVec<[(Reg, Source); 16]>;

impl<'a> Translator<'a> {
    pub(super) fn push_body_frame(&mut self, results: &'a [ValType]) {
        let end = self.target();
        self.control.push(ControlFrame {
            kind: FrameKind::Body,
            end,
            height: 0,
            params: &[],
            results,
            entered: true,
            in_loop: false,
        });
    }

    fn target(&mut self) -> Target {
        Target { label: self.asm.label(), state: None }
    }

    /// Translates `block`, `br` and similar operators.
    pub(super) fn control_operator(&mut self, op: &Operator<'_>) -> Result<bool, CompileError> {
        match op {
            Operator::Nop => {}
            Operator::Unreachable => self.trap(TrapCode::Unreachable),
            Operator::Block { blockty } => self.enter_block(blockty)?,
            Operator::Loop { blockty } => self.enter_loop(blockty)?,
            Operator::If { blockty } => self.enter_if(blockty)?,
            Operator::Else => self.enter_else()?,
            Operator::End => self.end()?,
            Operator::Br { relative_depth } => {
                self.settle_fuel();
                self.jump_out_of(*relative_depth)?;
                self.stop();
            }
            Operator::BrIf { relative_depth } => {
                let condition = self.pop_condition();
                self.settle_fuel();
                self.branch_out_if(condition, *relative_depth)?;
            }
            Operator::BrOnNull { relative_depth } => self.branch_on_null(*relative_depth)?,
            Operator::BrOnNonNull { relative_depth } => self.branch_on_non_null(*relative_depth)?,
            Operator::BrTable { targets } => self.branch_table(targets)?,
            Operator::Return => {
                self.settle_fuel();
                self.return_results()?;
                self.stop();
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Follows the nesting of code that can't be reached.
    pub(super) fn unreachable_operator(&mut self, op: &Operator<'_>) -> Result<(), CompileError> {
        match op {
            Operator::Block { .. }
            | Operator::Loop { .. }
            | Operator::If { .. }
            | Operator::TryTable { .. }
            | Operator::Try { .. } => {
                if let Operator::Loop { .. } = op {
                    self.next_loop();
                }
                let (end, height) = (self.target(), self.stack.len());
                let (params, results): (&[_], &[_]) = (&[], &[]);
                self.control.push(ControlFrame {
                    kind: FrameKind::Block,
                    end,
                    height,
                    params,
                    results,
                    entered: false,
                    in_loop: false,
                });
            }
            Operator::Else => self.enter_else()?,
            Operator::End => self.end()?,
            Operator::Catch { .. } | Operator::CatchAll | Operator::Delegate { .. } => {
                self.exception_operator(op)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn branch_on_null(&mut self, depth: u32) -> Result<(), CompileError> {
        let value = self.pop();
        let reg = self.read(value);
        self.settle_fuel();
        self.asm.test(value.kind.width(), reg);
        self.branch_out_if(Condition::Equal, depth)?;
        self.push_again(value, reg);
        Ok(())
    }

    fn branch_on_non_null(&mut self, depth: u32) -> Result<(), CompileError> {
        let value = self.pop();
        let reg = self.read(value);
        self.settle_fuel();
        self.asm.test(value.kind.width(), reg);
        self.push_again(value, reg);
        self.branch_out_if(Condition::NotEqual, depth)?;
        self.pop();
        Ok(())
    }

    /// Pops an integer and has the flags tell whether it is not zero.
    pub(super) fn pop_condition(&mut self) -> Condition {
        if let Some(condition) = self.flags.take() {
            self.stack.pop();
            return condition;
        }
        let value = self.pop();
        let reg = self.read(value);
        self.asm.test(Width::W32, reg);
        Condition::NotEqual
    }

    /// Parameters and results of a block.
    fn block_type(&self, ty: &BlockType) -> Result<(&'a [ValType], &'a [ValType]), CompileError> {
        Ok(match *ty {
            BlockType::Empty => (&[], &[]),
            BlockType::Type(ty) => {
                let ty = val_type(ty, self.input.module).map_err(CompileError::new)?;
                (&[], Kind::of(ty).one_type())
            }
            BlockType::FuncType(index) => {
                let ty = self.input.module.declared_func(TypeIndex(index));
                (ty.params(), ty.results())
            }
        })
    }

    pub(super) fn enter_block(&mut self, ty: &BlockType) -> Result<(), CompileError> {
        let (params, results) = self.block_type(ty)?;
        self.flush_all();
        self.push_frame(FrameKind::Block, params, results);
        Ok(())
    }

    /// Whether the operator being translated may run again.
    pub(super) fn is_in_loop(&self) -> bool {
        self.control.last().is_some_and(|frame| frame.in_loop)
    }

    fn push_frame(&mut self, kind: FrameKind, params: &'a [ValType], results: &'a [ValType]) {
        let end = self.target();
        let height = self.stack.len() - params.len();
        let in_loop = matches!(kind, FrameKind::Loop(_)) || self.is_in_loop();
        self.control.push(ControlFrame { kind, end, height, params, results, entered: true, in_loop });
    }

    fn enter_loop(&mut self, ty: &BlockType) -> Result<(), CompileError> {
        let (params, results) = self.block_type(ty)?;
        let number = self.next_loop();
        self.settle_fuel();
        self.flush_all();
        self.prepare_loop()?;
        if self.memory_may_move() {
            // Whoever interrupts the guest here may have it grow.
            self.forget(Known::Memory);
        }
        let mut header = self.target();
        header.state = Some(self.state(None));
        self.asm.bind(header.label);
        self.push_frame(FrameKind::Loop(header), params, results);
        if self.sought_loop == Some(number) {
            self.found_loop = Some(self.loop_head());
        }
        self.count_run(Some(number));
        self.check_metering()?;
        Ok(())
    }

    /// The number of the loop that begins.
    fn next_loop(&mut self) -> u32 {
        self.loops += 1;
        self.loops - 1
    }

    /// Where everything is at the head of the innermost enclosing block, a loop.
    fn loop_head(&self) -> LoopHead {
        let clauses = self.control.iter().filter(|frame| matches!(frame.kind, FrameKind::Catch { .. }));
        // In a clause, the exception is the lowest operand.
        let caught: Vec<usize> = clauses.map(|frame| frame.height).collect();
        let home = |value: &Value| match value.place {
            Place::Home(home) => home,
            _ => unreachable!("before a loop, operands go home"),
        };
        let operands = self.stack.iter().enumerate().filter(|(index, _)| caught.binary_search(index).is_err());
        LoopHead {
            ahead: self.ahead(),
            operands: operands.map(|(_, value)| (value.kind.one_type()[0], home(value))).collect(),
            params: self.control.last().map_or(0, |frame| frame.params.len()),
            exceptions: caught.iter().map(|&index| home(&self.stack[index])).collect(),
        }
    }

    /// What the function's frame holds at the head of the loop that was sought.
    pub(super) fn loop_entry(mut self, place: LoopPlace) -> Result<LoopEntry, CompileError> {
        let LoopHead { ahead, operands, params, exceptions } =
            self.found_loop.take().ok_or_else(|| CompileError::new("nothing leads to the loop"))?;
        // All homes are known by now: what has none has been zero all along, unless it is ahead.
        let mut locals: Vec<_> = self.locals.iter().map(|local| local.home).collect();
        let below = self.frame_len() + ahead_len(&ahead);
        for (&(_, local), at) in ahead.iter().zip((0..).step_by(AHEAD_EACH)) {
            locals[local as usize] = Some(at - below as i32);
        }
        Ok(LoopEntry { place, locals, operands, params, exceptions })
    }

    fn enter_if(&mut self, ty: &BlockType) -> Result<(), CompileError> {
        let condition = self.pop_condition();
        let (params, results) = self.block_type(ty)?;
        self.settle_fuel();
        self.regs.end_operator();
        self.flush_all();
        let otherwise = self.asm.label();
        self.asm.jump_if(condition.inverse(), otherwise);
        let state = self.state(None);
        self.push_frame(FrameKind::If { otherwise, state }, params, results);
        Ok(())
    }

    fn enter_else(&mut self) -> Result<(), CompileError> {
        self.fall_through(true)?;
        let frame = self.control.last_mut().expect("validation matched the blocks");
        if let FrameKind::If { otherwise, state } = std::mem::replace(&mut frame.kind, FrameKind::Block) {
            let (height, params) = (frame.height, frame.params);
            self.asm.bind(otherwise);
            self.restore(&state);
            self.drop_to(height);
            self.spend(params.len())?;
            for kind in kinds(params) {
                self.push_home(kind);
            }
            self.flushed = self.stack.len();
            self.reachable = true;
        }
        Ok(())
    }

    pub(super) fn end(&mut self) -> Result<(), CompileError> {
        if let Some(ControlFrame { kind: FrameKind::If { .. }, .. }) = self.control.last() {
            self.end_if()?;
        }
        self.end_of_handled()?;
        let is_body = matches!(self.control.last(), Some(ControlFrame { kind: FrameKind::Body, .. }));
        if is_body {
            if self.reachable {
                self.settle_fuel();
                self.return_results()?;
                self.stop();
            }
            self.control.pop();
            return Ok(());
        }
        let met = self.control.last().is_some_and(|frame| frame.end.state.is_some());
        if !met {
            // Nothing but the code before leads here.
            self.settle_fuel_if_reachable();
            let frame = self.control.pop().expect("validation matched the blocks");
            if !self.reachable {
                self.drop_to(frame.height);
            }
            return Ok(());
        }
        self.fall_through(false)?;
        let frame = self.control.pop().expect("validation matched the blocks");
        let Target { label, state } = frame.end;
        self.asm.bind(label);
        self.restore(&state.expect("something leads here"));
        self.drop_to(frame.height);
        self.push_results(frame.results);
        self.reachable = frame.entered;
        Ok(())
    }

    /// The end of a block that handles exceptions: what is done of those lies behind its body.
    fn end_of_handled(&mut self) -> Result<(), CompileError> {
        let is_clause = matches!(self.control.last(), Some(ControlFrame { kind: FrameKind::Catch { .. }, .. }));
        if is_clause || self.is_handled() {
            self.fall_through(true)?;
            self.end_scope()?;
        }
        Ok(())
    }

    /// The end of an `if` without `else`: the other arm hands the parameters on.
    fn end_if(&mut self) -> Result<(), CompileError> {
        let frame = self.control.last_mut().expect("it was looked for");
        if !frame.results.is_empty() || frame.end.state.is_some() {
            return self.enter_else();
        }
        // Nothing leads to the end yet: both arms meet as the one without code is.
        if let FrameKind::If { otherwise, state } = std::mem::replace(&mut frame.kind, FrameKind::Block) {
            frame.end.state = Some(state);
            self.fall_through(false)?;
            self.asm.bind(otherwise);
        }
        Ok(())
    }

    fn settle_fuel_if_reachable(&mut self) {
        if self.reachable {
            self.settle_fuel();
        }
    }

    /// Pushes what branches brought along.
    fn push_results(&mut self, types: &[ValType]) {
        if let &[ty] = types {
            let kind = Kind::of(ty);
            return self.push_reg(kind, result_reg(kind));
        }
        for kind in kinds(types) {
            self.push_home(kind);
            self.flushed = self.stack.len();
        }
    }

    /// Drops operands, whatever they are, down to a height.
    pub(super) fn drop_to(&mut self, height: usize) {
        while self.stack.len() > height {
            let value = self.stack.pop().expect("there are more");
            if value.kind == Kind::Reference {
                self.reference_operands.pop();
            }
            match value.place {
                Place::Reg(reg) if self.regs.holds[reg.index()] == Holds::Operand(self.stack.len() as u32) => {
                    self.regs.set(reg, Holds::Nothing);
                }
                Place::Local(local) => self.locals[local as usize].pending -= 1,
                _ => {}
            }
        }
        self.flushed = self.flushed.min(height);
        self.flags = None;
    }

    /// Leads from the end of an arm or body to the end of its frame.
    pub(super) fn fall_through(&mut self, jump: bool) -> Result<(), CompileError> {
        if !self.reachable {
            return Ok(());
        }
        self.settle_fuel();
        let frame = self.control.len() - 1;
        self.bring_to(frame)?;
        if jump {
            let label = self.control[frame].end.label;
            self.asm.jump(label);
        }
        self.reachable = false;
        Ok(())
    }

    /// What is in registers now, but for what is in the way of a result.
    fn state(&mut self, result: Option<Reg>) -> Rc<State> {
        let holds = &self.regs.holds;
        let mut used = self.regs.used();
        for reg in used.iter() {
            if !matches!(holds[reg.index()], Holds::Local(_) | Holds::Known(_)) || result == Some(reg) {
                used.remove(reg);
            }
        }
        let dirty = self.regs.dirty.and(used);
        let same = |last: &&Rc<State>| {
            let holds_same = |reg: Reg| last.holds[reg.index()] == holds[reg.index()];
            last.used == used && last.dirty == dirty && used.iter().all(holds_same)
        };
        if let Some(last) = self.last_state.as_ref().filter(same) {
            return Rc::clone(last);
        }
        Rc::clone(self.last_state.insert(Rc::new(State { holds: *holds, used, dirty })))
    }

    /// Takes nothing to be in registers: all is at home.
    pub(super) fn forget_registers(&mut self) {
        for reg in self.regs.used().iter() {
            if let Holds::Local(local) = self.regs.holds[reg.index()] {
                self.locals[local as usize].reg = None;
            }
            self.regs.set(reg, Holds::Nothing);
        }
    }

    /// Goes on with what is in registers at a place where paths meet.
    fn restore(&mut self, state: &State) {
        for reg in self.regs.used().iter() {
            let holds = self.regs.holds[reg.index()];
            if state.used.contains(reg) && state.holds[reg.index()] == holds {
                continue;
            }
            if let Holds::Local(local) = holds {
                self.locals[local as usize].reg = None;
            }
            self.regs.set(reg, Holds::Nothing);
        }
        for reg in state.used.iter() {
            let holds = state.holds[reg.index()];
            if holds == self.regs.holds[reg.index()] {
                continue;
            }
            self.regs.set(reg, holds);
            if let Holds::Local(local) = holds {
                self.locals[local as usize].reg = Some(reg);
            }
        }
        self.regs.dirty = state.dirty;
    }

    /// The target of branches to an enclosing block.
    fn target_of(&mut self, frame: usize) -> &mut Target {
        match &mut self.control[frame] {
            ControlFrame { kind: FrameKind::Loop(header), .. } => header,
            ControlFrame { end, .. } => end,
        }
    }

    /// Whether branches to this block return.
    fn returns(&self, frame: usize) -> bool {
        matches!(self.control[frame].kind, FrameKind::Body)
    }

    pub(super) fn jump_out_of(&mut self, depth: u32) -> Result<(), CompileError> {
        self.jump_to_frame(self.control.len() - 1 - depth as usize)
    }

    /// Branches to the block at this place among the enclosing ones.
    pub(super) fn jump_to_frame(&mut self, frame: usize) -> Result<(), CompileError> {
        if self.returns(frame) {
            return self.return_results();
        }
        self.bring_to(frame)?;
        let label = self.target_of(frame).label;
        self.asm.jump(label);
        Ok(())
    }

    /// Branches out of that many blocks where a condition holds.
    pub(super) fn branch_out_if(&mut self, condition: Condition, depth: u32) -> Result<(), CompileError> {
        let frame = self.control.len() - 1 - depth as usize;
        if let Some(label) = self.straight_to(frame) {
            self.asm.jump_if(condition, label);
            return Ok(());
        }
        let next = self.asm.label();
        self.asm.jump_if(condition.inverse(), next);
        self.jump_out_of(depth)?;
        self.asm.bind(next);
        Ok(())
    }

    /// What is in registers where branches to a block lead: if nothing leads there yet, what is in them now.
    fn meet(&mut self, frame: usize) -> Rc<State> {
        if let Some(state) = &self.target_of(frame).state {
            return Rc::clone(state);
        }
        let state = self.state(self.control[frame].result());
        Rc::clone(self.target_of(frame).state.insert(state))
    }

    /// Where a branch to a block leads that has nothing to do on the way.
    fn straight_to(&mut self, frame: usize) -> Option<Label> {
        if !self.control[frame].taken().is_empty() {
            return None;
        }
        if self.returns(frame) {
            return Some(self.epilogue);
        }
        let state = self.meet(frame);
        self.agrees(&state).then(|| self.target_of(frame).label)
    }

    fn agrees(&self, state: &State) -> bool {
        // What is to be at home has to be written.
        let at_home = self.regs.dirty.without(state.dirty) == RegSet::EMPTY;
        at_home && state.used.iter().all(|reg| state.holds[reg.index()] == self.regs.holds[reg.index()])
    }

    /// Brings everything to where it is at the target of a branch. What is known here of registers stays as it is: the way may be one of two.
    fn bring_to(&mut self, frame: usize) -> Result<(), CompileError> {
        let state = self.meet(frame);
        let (result, count) = (self.control[frame].result(), self.control[frame].taken().len());
        self.spend(count)?;
        let mut moves = Moves::new();
        let first = self.stack.len() - count;
        match result {
            Some(reg) => moves.push((reg, self.source(self.stack[first]))),
            None => self.bring_home(frame, first),
        }
        for reg in self.regs.dirty.iter() {
            // What is only here goes home, unless the target has it in a register that is ahead.
            let holds = self.regs.holds[reg.index()];
            if let Holds::Local(local) = holds
                && !(state.dirty.contains(reg) && state.holds[reg.index()] == holds)
                && !state.dirty.iter().any(|ahead| state.holds[ahead.index()] == holds)
            {
                let (kind, home) = (self.locals[local as usize].kind, self.local_home(local));
                self.store_home(kind, home, reg);
            }
        }
        for reg in state.used.iter() {
            let wanted = state.holds[reg.index()];
            if wanted == self.regs.holds[reg.index()] {
                continue;
            }
            match wanted {
                Holds::Local(local) => moves.push((reg, self.local_source(local))),
                Holds::Known(Known::Context) => moves.push((reg, self.context_source())),
                Holds::Known(known) => {
                    moves.push((reg, self.regs.known(known).map_or(Source::Known(known), Source::Reg)));
                }
                _ => {}
            }
        }
        self.move_all(&mut moves);
        Ok(())
    }

    /// Where a value is.
    pub(super) fn source(&mut self, value: Value) -> Source {
        match value.place {
            Place::Reg(reg) => Source::Reg(reg),
            Place::Const(bits) => Source::Const(value.kind, bits),
            Place::Home(home) => Source::Home(value.kind, home),
            Place::Local(local) => self.local_source(local),
        }
    }

    fn local_source(&mut self, local: u32) -> Source {
        let Local { kind, reg, .. } = self.locals[local as usize];
        reg.map_or_else(|| Source::Home(kind, self.local_home(local)), Source::Reg)
    }

    /// Writes the uppermost operands, from `first` on, to the homes that they have on the stack of a block. Their places there are not above
    /// their own, so each is read before it is written over.
    fn bring_home(&mut self, frame: usize, first: usize) {
        let height = self.control[frame].height;
        for index in first..self.stack.len() {
            let value = self.stack[index];
            let home = self.homes.of_operand(height + index - first, value.kind);
            self.write_home(value, home);
        }
    }

    /// Writes a value to a place in the frame. No register changes but the scratch ones.
    pub(super) fn write_home(&mut self, value: Value, home: i32) {
        match self.source(value) {
            Source::Reg(reg) => self.store_home(value.kind, home, reg),
            Source::Home(_, from) if from == home => {}
            Source::Home(kind, from) => self.copy_home(kind, from, home),
            Source::Const(kind, bits) => match super::values::small(kind, bits) {
                Some(small) => self.asm.store_imm(super::values::kind_width(kind), mem(super::x64::RBP, home), small),
                None => {
                    self.asm.mov_imm(SCRATCH, bits);
                    self.asm.store(Width::W64, mem(super::x64::RBP, home), SCRATCH);
                }
            },
            Source::Known(_) => unreachable!("no operand is one"),
        }
    }

    /// Moves values to registers, all at once: none is written over that is still to be read.
    pub(super) fn move_all(&mut self, moves: &mut Moves) {
        if moves.is_empty() {
            return;
        }
        moves.retain(|&mut (to, from)| !matches!(from, Source::Reg(from) if from == to));
        // How many moves read each register.
        let mut readers = [0u8; REGISTERS];
        for (_, from) in moves.iter() {
            if let Source::Reg(from) = from {
                readers[from.index()] += 1;
            }
        }
        let mut rest = moves.len();
        while rest > 0 {
            let ready =
                moves[..rest].iter().position(|&(to, from)| matches!(from, Source::Reg(_)) && readers[to.index()] == 0);
            let Some(at) = ready else {
                let cycle = moves[..rest].iter().position(|(_, from)| matches!(from, Source::Reg(_)));
                let Some(at) = cycle else { break };
                // Each is read by another: one makes room.
                let Source::Reg(from) = moves[at].1 else { unreachable!("it was looked for") };
                let scratch = if from.class() == Class::General { SCRATCH } else { VECTOR_SCRATCH };
                self.asm.mov_all(scratch, from);
                for (_, source) in &mut moves[..rest] {
                    if matches!(*source, Source::Reg(reg) if reg == from) {
                        *source = Source::Reg(scratch);
                    }
                }
                readers[scratch.index()] = readers[from.index()];
                readers[from.index()] = 0;
                continue;
            };
            rest -= 1;
            moves.swap(at, rest);
            let (to, Source::Reg(from)) = moves[rest] else { unreachable!("it was looked for") };
            self.asm.mov_all(to, from);
            readers[from.index()] -= 1;
        }
        for &(to, from) in &moves[..rest] {
            match from {
                Source::Home(kind, home) => self.load_home(kind, home, to),
                Source::Const(kind, bits) => self.load_const(kind, bits, to),
                Source::Known(known) => {
                    // The context may be in a register that has just been written.
                    let home = self.context_home();
                    self.asm.load(Width::W64, to, mem(super::x64::RBP, home));
                    self.load_known_from(known, to, to);
                }
                Source::Reg(_) => unreachable!("all of them have been moved"),
            }
        }
    }

    /// Returns with the results on the stack.
    pub(super) fn return_results(&mut self) -> Result<(), CompileError> {
        self.spend(self.func_type.results().len())?;
        let results = self.func_type.results();
        let first = self.stack.len() - results.len();
        if self.in_area {
            self.asm.load(Width::W64, SCRATCH, mem(super::x64::RBP, super::frame::RETURN_AREA));
            let values: SmallVec<[Value; 16]> = self.stack[first..].into();
            for (position, value) in values.into_iter().enumerate() {
                self.store_in_area(SCRATCH, position, value);
            }
        } else {
            let places = result_registers(kinds(results));
            let moves = places.enumerate().map(|(index, to)| (to, self.source(self.stack[first + index])));
            let mut moves = moves.collect();
            self.move_all(&mut moves);
        }
        self.leave();
        Ok(())
    }

    /// Stores a result in an area at `base`, which is the scratch register.
    fn store_in_area(&mut self, base: Reg, position: usize, value: Value) {
        let at = mem(base, position as i32 * 16);
        // The other scratch register takes what has to be moved through one: it holds any 64 bits.
        match self.source(value) {
            Source::Reg(reg) => match value.kind {
                Kind::F32 => self.asm.store_float(super::x64::Float::F32, at, reg),
                Kind::F64 => self.asm.store_float(super::x64::Float::F64, at, reg),
                Kind::V128 => self.asm.store_vector(at, reg),
                kind => self.asm.store(kind.width(), at, reg),
            },
            Source::Home(Kind::V128, home) => {
                self.asm.load_vector(VECTOR_SCRATCH, mem(super::x64::RBP, home));
                self.asm.store_vector(at, VECTOR_SCRATCH);
            }
            Source::Home(_, home) => {
                self.asm.load_float(super::x64::Float::F64, VECTOR_SCRATCH, mem(super::x64::RBP, home));
                self.asm.store_float(super::x64::Float::F64, at, VECTOR_SCRATCH);
            }
            Source::Const(_, bits) => {
                self.asm.store_imm(Width::W32, at, bits as u32 as i32);
                self.asm.store_imm(Width::W32, mem(base, position as i32 * 16 + 4), (bits >> 32) as u32 as i32);
            }
            Source::Known(_) => unreachable!("no operand is one"),
        }
    }

    fn branch_table(&mut self, targets: &BrTable<'_>) -> Result<(), CompileError> {
        let value = self.pop();
        self.settle_fuel();
        let index = self.own(value);
        let last = self.control.len() - 1;
        let straight = self.straight_to(last - targets.default() as usize);
        let default = straight.unwrap_or_else(|| self.asm.label());
        self.asm.alu(Alu::Cmp, Width::W32, index, Operand::Imm(targets.len() as i32));
        self.asm.jump_if(Condition::AboveOrEqual, default);
        if self.input.tunables.spectre_mitigation {
            // Behind a mispredicted branch, the first entry is what is read.
            self.asm.mov_imm(SCRATCH, 0);
            self.asm.mov_if(Condition::AboveOrEqual, Width::W32, index, SCRATCH);
        }
        // What there is to do on the way to a target is done once for each.
        let mut steps: HashMap<u32, Label> = HashMap::new();
        let mut order = Vec::new();
        let mut labels = Vec::with_capacity(targets.len() as usize);
        for depth in targets.targets() {
            let depth = depth?;
            let label = match steps.get(&depth) {
                Some(&label) => label,
                None => {
                    let straight = self.straight_to(last - depth as usize);
                    let label = straight.unwrap_or_else(|| {
                        order.push(depth);
                        self.asm.label()
                    });
                    steps.insert(depth, label);
                    label
                }
            };
            labels.push(label);
        }
        if labels.is_empty() {
            self.asm.jump(default);
        } else {
            self.asm.jump_by_table(index, labels);
        }
        for depth in order {
            self.asm.bind(steps[&depth]);
            self.jump_out_of(depth)?;
        }
        if straight.is_none() {
            self.asm.bind(default);
            self.jump_out_of(targets.default())?;
        }
        self.stop();
        Ok(())
    }

    /// Notes a stub that interrupts the guest and comes back.
    pub(super) fn interrupt_stub(
        &mut self,
        builtin: ampoule_core::builtins::Builtin,
        back: Label,
    ) -> Result<Label, CompileError> {
        let label = self.asm.label();
        let mut in_regs = Vec::new();
        for reg in self.regs.used().iter() {
            if let Holds::Local(local) = self.regs.holds[reg.index()]
                && self.locals[local as usize].kind == Kind::Reference
            {
                in_regs.push((reg, self.local_home(local)));
            }
        }
        let in_frame = self.references()?;
        let context = self.context_source();
        self.stubs.push(Stub::interrupt(label, self.position, builtin, context, in_regs, in_frame, back));
        Ok(label)
    }
}

/// Where the only result of a block is.
fn result_reg(kind: Kind) -> Reg {
    match kind.class() {
        Class::General => RAX,
        Class::Vector => XMM0,
    }
}
