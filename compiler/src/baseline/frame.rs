//! The frame of a function: what is where below the frame pointer, and the code that makes and leaves it.
//!
//! From the frame pointer down: the address of the return area, homes, registers of the caller, and space for what calls pass on the
//! stack. What of it is needed is known at the end: the code that makes the frame is put in front of the body then.

use super::translator::{Stub, Translator};
use super::values::{Holds, Kind, Known, Local};
use super::x64::{
    ARGUMENTS, Alu, Class, Code, Condition, Float, Label, Operand, RAX, RBP, RESULTS, RSP, Reg, RegSet, SCRATCH,
    VECTOR_ARGUMENTS, VECTOR_SCRATCH, Width, emit, mem,
};
use crate::CompileError;
use crate::optimizing::LEAF_FRAME_MAX;
use ampoule_core::artifact::{KeptRegisters, RelocationTarget};
use ampoule_core::decode::val_type;
use ampoule_core::index::FuncIndex;
use ampoule_core::types::{FuncType, ValType};
use ampoule_core::vm::{VmLayout, VmStoreContext};
use smallvec::SmallVec;
use std::mem::offset_of;
use wasmparser::FunctionBody;

/// Where a frame has the address of the return area, from the frame pointer, if there is one.
pub(super) const RETURN_AREA: i32 = -8;
/// Where the caller has left arguments on the stack: behind the old frame pointer and the return address.
const STACK_ARGUMENTS: i32 = 16;
/// A register that passes nothing.
const PASSES_NOTHING: Reg = Reg::general(10);
/// Bytes of a frame, at most: a larger one is the other tier's.
pub(super) const FRAME_MAX: u32 = 1 << 20;
/// Bytes of stack for each register that is ahead of its home while other code is asked for.
pub(super) const AHEAD_EACH: usize = 16;

/// Bytes for so many registers.
pub(super) fn ahead_len<T>(ahead: &[T]) -> u32 {
    (ahead.len() * AHEAD_EACH) as u32
}

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
                let size = kind.home_size().max(8);
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
    /// Declares parameters and locals.
    pub(super) fn enter(&mut self, body: &FunctionBody<'_>) -> Result<(), CompileError> {
        let params = self.func_type.params();
        for kind in kinds(params) {
            self.declare_locals(kind, 1);
        }
        for group in body.get_locals_reader()? {
            let (count, ty) = group?;
            let ty = val_type(ty, self.input.module).map_err(CompileError::new)?;
            self.declare_locals(Kind::of(ty), count);
        }
        // As the prologue leaves them.
        self.regs.set(ARGUMENTS[0], Holds::Known(Known::Context));
        self.regs.set(RAX, Holds::Known(Known::Store));
        let (places, _) = passed(kinds(params), 1 + usize::from(self.in_area));
        for (index, place) in places.into_iter().enumerate() {
            let kind = self.locals[index].kind;
            match place {
                Passed::Reg(reg) => {
                    if kind.class() == Class::General && kind.width() == Width::W32 {
                        // Callers leave what they like in the upper half.
                        self.asm.mov(Width::W32, reg, reg);
                    }
                    self.regs.set(reg, Holds::Local(index as u32));
                    self.regs.dirty.insert(reg);
                    self.locals[index].reg = Some(reg);
                }
                Passed::Stack(at) => {
                    let home = self.local_home(index as u32);
                    self.copy_home(kind, STACK_ARGUMENTS + at as i32, home);
                }
            }
        }
        Ok(())
    }

    /// Declares locals. Their number is bounded by validation.
    fn declare_locals(&mut self, kind: Kind, count: u32) {
        for _ in 0..count {
            if kind == Kind::Reference {
                self.reference_locals.push(self.locals.len() as u32);
            }
            self.locals.push(Local { kind, home: None, reg: None, pending: 0 });
        }
    }

    /// The code that makes the frame, to be put in front of the body: once it is known that there is space for it, where that has to be known. The
    /// registers of arguments stay as they are.
    pub(super) fn prologue(&mut self, frame_size: u32, overflow: Label) -> Code {
        let body = std::mem::take(&mut self.asm.code);
        let size = frame_size as i32;
        emit!(self.asm, pushq_o, RBP.number());
        self.asm.mov(Width::W64, RBP, RSP);
        self.asm.load(Width::W64, RAX, mem(ARGUMENTS[0], VmLayout::STORE));
        if self.needs_stack_check || frame_size > LEAF_FRAME_MAX {
            self.asm.address(Width::W64, SCRATCH, mem(RSP, -size));
            self.asm.compare_with(Width::W64, SCRATCH, mem(RAX, offset_of!(VmStoreContext, stack_limit) as i32));
            self.asm.jump_if(Condition::Below, overflow);
            self.asm.mov(Width::W64, RSP, SCRATCH);
            self.stubs.push(Stub::overflow(overflow, self.positions[0].1));
        } else if size != 0 {
            self.asm.address(Width::W64, RSP, mem(RSP, -size));
        }
        self.zero_locals();
        for (reg, at) in self.saved() {
            self.asm.store(Width::W64, mem(RBP, at), reg);
        }
        if let Some(home) = self.context_home {
            self.asm.store(Width::W64, mem(RBP, home), ARGUMENTS[0]);
        }
        if self.in_area {
            self.asm.store(Width::W64, mem(RBP, RETURN_AREA), ARGUMENTS[1]);
        }
        std::mem::replace(&mut self.asm.code, body)
    }

    /// Writes zeros to the homes of locals that are no parameters. Nothing else is in the frame yet.
    fn zero_locals(&mut self) {
        let declared = &self.locals[self.func_type.params().len()..];
        let homes = declared.iter().filter_map(|local| Some((local.home?, local.kind.home_size() as i32)));
        // Words of eight bytes.
        let mut words: Vec<(i32, i32)> = homes.map(|(home, size)| (home & !7, (home + size + 7) & !7)).collect();
        words.sort_unstable();
        if !words.is_empty() {
            self.asm.zero_vector(VECTOR_SCRATCH);
        }
        let mut rest = words.into_iter().peekable();
        while let Some((bottom, mut top)) = rest.next() {
            // What is between two that are near needs no instruction more.
            while let Some((_, next)) = rest.next_if(|&(next, _)| next <= top + 8) {
                top = top.max(next);
            }
            self.zero_words(bottom, top);
        }
    }

    /// Writes zeros to words of the frame. The vector scratch register is zero.
    fn zero_words(&mut self, bottom: i32, top: i32) {
        // Few are written one by one, many in a loop.
        const FEW: i32 = 16 * 16;
        let odd = (top - bottom) % 16;
        if odd != 0 {
            self.asm.store_float(Float::F64, mem(RBP, bottom), VECTOR_SCRATCH);
        }
        let bottom = bottom + odd;
        if top - bottom <= FEW {
            for at in (bottom..top).step_by(16) {
                self.asm.store_vector(mem(RBP, at), VECTOR_SCRATCH);
            }
            return;
        }
        let again = self.asm.label();
        self.asm.address(Width::W64, SCRATCH, mem(RBP, bottom));
        self.asm.address(Width::W64, PASSES_NOTHING, mem(RBP, top));
        self.asm.bind(again);
        self.asm.store_vector(mem(SCRATCH, 0), VECTOR_SCRATCH);
        self.asm.alu(Alu::Add, Width::W64, SCRATCH, Operand::Imm(16));
        self.asm.alu(Alu::Cmp, Width::W64, SCRATCH, Operand::Reg(PASSES_NOTHING));
        self.asm.jump_if(Condition::Below, again);
    }

    /// Leaves the frame and returns. Results are where the convention has them.
    pub(super) fn leave(&mut self) {
        let epilogue = self.epilogue;
        self.asm.jump(epilogue);
    }

    /// Which registers the function keeps for its caller: behind the homes.
    pub(super) fn kept(&self) -> KeptRegisters {
        let touched = RegSet::CALLEE_SAVED.iter().enumerate().filter(|&(_, reg)| self.regs.touched.contains(reg));
        let set: u8 = touched.map(|(number, _)| 1 << number).sum();
        KeptRegisters { set, below: self.homes.len() + 8 * set.count_ones() }
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
        if self.frame_len() != 0 {
            self.asm.mov(Width::W64, RSP, RBP);
        }
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
        self.asm.load(Width::W64, PASSES_NOTHING, mem(RBP, 8));
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
        self.asm.store(Width::W64, mem(RBP, start - 8), PASSES_NOTHING);
        self.asm.address(Width::W64, RSP, mem(RBP, start - 8));
        self.asm.mov(Width::W64, RBP, SCRATCH);
        match callee {
            Some(function) => self.asm.jump_to(RelocationTarget::Func(function)),
            None => emit!(self.asm, jmpq_m, RAX.number()),
        }
    }

    /// Leaves the frame for code of the same function that takes its place, in `rax`: it is entered as the function was. The context is where
    /// that finds it.
    pub(super) fn leave_to_other_code(&mut self) {
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

    /// Bytes below the frame pointer that are the function's own, whatever it passes on.
    fn own_len(&self) -> u32 {
        let KeptRegisters { set, below } = self.kept();
        if set == 0 { self.homes.len() } else { below }
    }

    /// Bytes from the stack pointer up to the frame pointer.
    pub(super) fn frame_len(&self) -> u32 {
        self.own_len().next_multiple_of(16) + self.most_passed
    }

    /// The same, unless it is too much.
    ///
    /// # Errors
    /// [`CompileError`] where the frame is the other tier's.
    pub(super) fn frame_size(&self) -> Result<u32, CompileError> {
        if self.own_len() > FRAME_MAX { Err(CompileError::over_budget()) } else { Ok(self.frame_len()) }
    }
}
