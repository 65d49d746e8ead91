//! The frame of a function: what is where below the frame pointer, and the code that makes and leaves it.
//!
//! From the frame pointer down: registers of the caller, the context, the address of the return area, locals, operands, and space for what calls
//! pass on the stack. How much operands need,
//! and which registers have to be kept, is known at the end: the code for it is filled in then.

use super::translator::{Stub, Translator};
use super::values::{Holds, Kind, Known, Local};
use super::x64::{
    ARGUMENTS, Alu, Assembler, Class, Condition, Float, Operand, RAX, RBP, RESULTS, RSP, Reg, RegSet, SCRATCH,
    VECTOR_ARGUMENTS, VECTOR_SCRATCH, Width, emit, mem,
};
use crate::CompileError;
use ampoule_core::artifact::{KeptRegisters, RelocationTarget};
use ampoule_core::builtins::Builtin;
use ampoule_core::decode::val_type;
use ampoule_core::index::FuncIndex;
use ampoule_core::types::{FuncType, ValType};
use ampoule_core::vm::{VmLayout, VmStoreContext};
use smallvec::SmallVec;
use std::mem::offset_of;
use wasmparser::FunctionBody;

/// Bytes for all registers that may have to be kept for the caller. Where each is, [`KeptRegisters`] says.
const KEPT: i32 = 48;
/// Where a frame has the context, from the frame pointer.
pub(super) const CONTEXT: i32 = -KEPT - 8;
/// Where it has the address of the return area.
pub(super) const RETURN_AREA: i32 = CONTEXT - 8;
/// Where locals begin.
const LOCALS: i32 = RETURN_AREA;
/// Where the caller has left arguments on the stack: behind the old frame pointer and the return address.
const STACK_ARGUMENTS: i32 = 16;
/// A register that passes nothing.
const RETURN_ADDRESS: Reg = Reg::general(10);
/// Bytes of a frame, at most: a larger one is the other tier's.
const FRAME_MAX: i32 = 1 << 20;

/// The registers that results of these kinds are returned in.
pub(super) fn result_registers(kinds: impl Iterator<Item = Kind>) -> impl Iterator<Item = Reg> {
    let (mut integers, mut vectors) = (RESULTS.iter(), 0..);
    kinds.map(move |kind| match kind.class() {
        Class::General => *integers.next().expect("more results come in an area"),
        Class::Vector => Reg::vector(vectors.next().expect("there is no end")),
    })
}

/// Where an argument or a result of a call is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Passed {
    Reg(Reg),
    /// That many bytes into the area of arguments on the stack.
    Stack(u32),
}

/// Where values of these types are passed, behind so many integer arguments; and the bytes of the area on the stack.
pub(super) fn passed(types: impl Iterator<Item = Kind>, integers: usize) -> (SmallVec<[Passed; 8]>, u32) {
    let (mut integers, mut vectors, mut area) = (integers, 0, 0u32);
    let places = types.map(|kind| {
        let reg = match kind.class() {
            Class::General => {
                integers += 1;
                ARGUMENTS.get(integers - 1).copied()
            }
            Class::Vector => {
                vectors += 1;
                (vectors <= VECTOR_ARGUMENTS).then(|| Reg::vector(vectors - 1))
            }
        };
        reg.map_or_else(
            || {
                let size = kind.home_size();
                let at = area.next_multiple_of(size);
                area = at + size;
                Passed::Stack(at)
            },
            Passed::Reg,
        )
    });
    let places = places.collect();
    (places, area.next_multiple_of(16))
}

/// Kinds of parameters.
pub(super) fn kinds(types: &[ValType]) -> impl Iterator<Item = Kind> {
    types.iter().map(|&ty| Kind::of(ty))
}

/// Bytes of arguments on the stack of functions of this type, which they pop when they return.
pub(super) fn stack_arguments(ty: &FuncType, in_area: bool) -> u32 {
    passed(kinds(ty.params()), 1 + usize::from(in_area)).1
}

impl Translator<'_> {
    /// Declares parameters and locals, and makes the frame.
    pub(super) fn enter(&mut self, body: &FunctionBody<'_>) -> Result<(), CompileError> {
        let params = self.func_type.params();
        let mut at = i64::from(LOCALS);
        let references = &mut self.reference_locals;
        let mut declare = |locals: &mut Vec<Local>, kind: Kind, count: u32| {
            // Bounded before anything of that size is made.
            if at - i64::from(count) * i64::from(kind.home_size()) < -i64::from(FRAME_MAX) {
                return Err(CompileError::over_budget());
            }
            for _ in 0..count {
                at -= i64::from(kind.home_size());
                locals.push(Local { kind, home: at as i32, reg: None, pending: 0 });
                if kind == Kind::Reference {
                    references.push(at as i32);
                }
            }
            Ok(())
        };
        for kind in kinds(params) {
            declare(&mut self.locals, kind, 1)?;
        }
        let declared = self.locals.len();
        for group in body.get_locals_reader()? {
            let (count, ty) = group?;
            let ty = val_type(ty, self.input.module).map_err(CompileError::new)?;
            declare(&mut self.locals, Kind::of(ty), count)?;
        }
        self.operands_start = at as i32;
        self.deepest = self.operands_start;

        emit!(self.asm, pushq_o, RBP.number());
        self.asm.mov(Width::W64, RBP, RSP);
        // The frame is made once it is known that there is space for it.
        self.asm.load(Width::W64, RAX, mem(ARGUMENTS[0], VmLayout::STORE));
        self.asm.address(Width::W64, SCRATCH, mem(RSP, i32::MIN));
        self.frame_size_at = self.asm.offset() - 4;
        self.asm.compare_with(Width::W64, SCRATCH, mem(RAX, offset_of!(VmStoreContext, stack_limit) as i32));
        let overflow = self.asm.label();
        self.asm.jump_if(Condition::Below, overflow);
        self.stubs.push(Stub::overflow(overflow, self.position));
        self.asm.mov(Width::W64, RSP, SCRATCH);
        self.saves_at = self.asm.offset();
        for _ in RegSet::CALLEE_SAVED.iter() {
            self.asm.store(Width::W64, mem(RBP, -8), RAX);
        }
        self.saves_end = self.asm.offset();
        self.asm.store(Width::W64, mem(RBP, CONTEXT), ARGUMENTS[0]);
        if self.in_area {
            self.asm.store(Width::W64, mem(RBP, RETURN_AREA), ARGUMENTS[1]);
        }
        self.regs.set(ARGUMENTS[0], Holds::Known(Known::Context));
        self.regs.set(RAX, Holds::Known(Known::Store));
        self.zero_locals(declared);

        let (places, _) = passed(kinds(params), 1 + usize::from(self.in_area));
        for (index, place) in places.into_iter().enumerate() {
            let Local { kind, home, .. } = self.locals[index];
            match place {
                Passed::Reg(reg) => {
                    if kind.class() == Class::General && kind.width() == Width::W32 {
                        // Callers leave what they like in the upper half.
                        self.asm.mov(Width::W32, reg, reg);
                    }
                    if !self.class_has(reg) {
                        self.store_home(kind, home, reg);
                        continue;
                    }
                    self.regs.set(reg, Holds::Local(index as u32));
                    self.regs.dirty.insert(reg);
                    self.locals[index].reg = Some(reg);
                }
                Passed::Stack(at) => self.copy_home(kind, STACK_ARGUMENTS + at as i32, home),
            }
        }
        Ok(())
    }

    fn class_has(&self, reg: Reg) -> bool {
        reg.class().allocatable().contains(reg)
    }

    /// Writes zeros to the homes of the locals from this one on. The registers of arguments stay as they are.
    fn zero_locals(&mut self, first: usize) {
        let Some(highest) = self.locals.get(first) else { return };
        let (top, bottom) = (highest.home + highest.kind.home_size() as i32, self.operands_start);
        let len = top - bottom;
        // Few are written one by one, many in a loop.
        const FEW: i32 = 16 * 16;
        self.asm.zero_vector(VECTOR_SCRATCH);
        let odd = len % 16;
        if odd != 0 {
            self.asm.store_float(Float::F64, mem(RBP, bottom), VECTOR_SCRATCH);
        }
        let bottom = bottom + odd;
        if len <= FEW {
            for at in (bottom..top).step_by(16) {
                self.asm.store_vector(mem(RBP, at), VECTOR_SCRATCH);
            }
            return;
        }
        let again = self.asm.label();
        self.asm.address(Width::W64, SCRATCH, mem(RBP, bottom));
        self.asm.address(Width::W64, RAX, mem(RBP, top));
        self.asm.bind(again);
        self.asm.store_vector(mem(SCRATCH, 0), VECTOR_SCRATCH);
        self.asm.alu(Alu::Add, Width::W64, SCRATCH, Operand::Imm(16));
        self.asm.alu(Alu::Cmp, Width::W64, SCRATCH, Operand::Reg(RAX));
        self.asm.jump_if(Condition::Below, again);
        self.regs.set(RAX, Holds::Nothing);
    }

    /// Leaves the frame and returns. Results are where the convention has them.
    pub(super) fn leave(&mut self) {
        let epilogue = self.epilogue;
        self.asm.jump(epilogue);
    }

    /// Which registers the function keeps for its caller.
    pub(super) fn kept(&self) -> KeptRegisters {
        let touched = RegSet::CALLEE_SAVED.iter().enumerate().filter(|&(_, reg)| self.regs.touched.contains(reg));
        KeptRegisters(touched.map(|(number, _)| 1 << number).sum())
    }

    /// Those registers, and where each is.
    fn saved(&self) -> Vec<(Reg, i32)> {
        let all: Vec<Reg> = RegSet::CALLEE_SAVED.iter().collect();
        self.kept().places().map(|(number, below)| (all[number], -(below as i32))).collect()
    }

    /// The end of the function, to which all returns lead.
    pub(super) fn emit_epilogue(&mut self) {
        self.asm.bind(self.epilogue);
        for (reg, at) in self.saved() {
            self.asm.load(Width::W64, reg, mem(RBP, at));
        }
        self.asm.mov(Width::W64, RSP, RBP);
        emit!(self.asm, popq_o, RBP.number());
        match self.stack_arguments {
            0 => emit!(self.asm, [retq_zo]),
            bytes => emit!(self.asm, [retq_i], bytes as u16),
        }
    }

    /// Leaves the frame for a function that returns to the caller in this one's place. So many bytes of its arguments are at the stack pointer:
    /// they go to where those of this function end, however many there were.
    pub(super) fn leave_for(&mut self, callee: Option<FuncIndex>, area: u32) {
        for (reg, at) in self.saved() {
            self.asm.load(Width::W64, reg, mem(RBP, at));
        }
        // The return address, for which there is another register that passes nothing.
        self.asm.load(Width::W64, RETURN_ADDRESS, mem(RBP, 8));
        let start = STACK_ARGUMENTS + self.stack_arguments as i32 - area as i32;
        let caller = area as i32 - 8;
        // What is written last is what may lie on the caller's frame pointer: it is among what is copied, below the arguments.
        self.asm.load(Width::W64, SCRATCH, mem(RBP, 0));
        emit!(self.asm, pushq_o, SCRATCH.number());
        for at in (0..=caller).rev().step_by(8) {
            self.asm.load(Width::W64, SCRATCH, mem(RSP, at + 8));
            self.asm.store(Width::W64, mem(RBP, start + at), SCRATCH);
        }
        emit!(self.asm, popq_o, SCRATCH.number());
        self.asm.store(Width::W64, mem(RBP, start - 8), RETURN_ADDRESS);
        self.asm.address(Width::W64, RSP, mem(RBP, start - 8));
        self.asm.mov(Width::W64, RBP, SCRATCH);
        match callee {
            Some(function) => self.asm.jump_to(RelocationTarget::Func(function)),
            None => emit!(self.asm, jmpq_m, RAX.number()),
        }
    }

    /// Leaves the frame for code of the same function that takes its place, in `rax`: it is entered as the function was.
    pub(super) fn leave_to_other_code(&mut self) {
        self.asm.load(Width::W64, ARGUMENTS[0], mem(RBP, CONTEXT));
        if self.in_area {
            self.asm.load(Width::W64, ARGUMENTS[1], mem(RBP, RETURN_AREA));
        }
        for (reg, at) in self.saved() {
            self.asm.load(Width::W64, reg, mem(RBP, at));
        }
        self.asm.mov(Width::W64, RSP, RBP);
        emit!(self.asm, popq_o, RBP.number());
        emit!(self.asm, jmpq_m, RAX.number());
    }

    /// Puts the code that keeps registers for the caller where space was left for it.
    fn fill_in_saves(&mut self) {
        let mut saves = Assembler::default();
        for (reg, at) in self.saved() {
            saves.store(Width::W64, mem(RBP, at), reg);
        }
        let space = self.saves_end - self.saves_at;
        saves.fill(space);
        self.asm.overwrite(self.saves_at, &saves);
    }

    /// Fills in what the frame has turned out to need. Gives its size.
    pub(super) fn finish_frame(&mut self) -> Result<u32, CompileError> {
        if self.deepest < -FRAME_MAX {
            return Err(CompileError::over_budget());
        }
        self.fill_in_saves();
        let size = (-self.deepest as u32).next_multiple_of(16) + self.most_passed;
        self.asm.patch(self.frame_size_at, -(size as i32));
        Ok(size)
    }

    /// The call of the builtin that stops a guest without stack, before the frame is made.
    pub(super) fn overflow(&mut self) {
        self.asm.call(RelocationTarget::Builtin(Builtin::StackOverflow));
    }
}
