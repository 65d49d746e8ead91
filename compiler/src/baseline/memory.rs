//! Linear memory: the one routine that makes addresses, loads and stores, and the bulk operators.

use super::call::Argument;
use super::translator::Translator;
use super::values::{Kind, Known, Place, Value};
use super::x64::{
    Alu, Class, Condition, Extend, Mem, Operand, Reg, SCRATCH, Shift, Width, emit, mem, mem_indexed, trapping,
};
use crate::CompileError;
use ampoule_core::builtins::Builtin;
use ampoule_core::index::MemoryIndex;
use ampoule_core::trap::TrapCode;
use ampoule_core::tunables::{IndexCheck, MemoryPlan};
use ampoule_core::types::MemoryType;
use ampoule_core::vm::VmMemory;
use std::mem::offset_of;
use wasmparser::{MemArg, MemArgTarget, Operator};

/// The memory that an access names.
pub(super) fn memory_index(memarg: &MemArg) -> MemoryIndex {
    match memarg.target {
        MemArgTarget::Memory(index) => MemoryIndex(index),
        MemArgTarget::Array(_) => unreachable!("the validator refuses the proposal that this belongs to"),
    }
}

impl Translator<'_> {
    pub(super) fn memory_type(&self, memory: MemoryIndex) -> MemoryType {
        self.input.module.memories[memory.index()]
    }

    /// Whether the first memory may be elsewhere after it has grown.
    pub(super) fn memory_may_move(&self) -> bool {
        let first = self.input.module.memories.first();
        first.is_some_and(|ty| MemoryPlan::new(ty, self.input.tunables).may_move)
    }

    /// Pops an address and makes it one that the host can access `size` bytes at, or that faults, or stops the guest.
    ///
    /// Every access to linear memory goes through here.
    pub(super) fn address(&mut self, memarg: &MemArg, size: u32) -> Mem {
        let index = self.pop();
        self.address_of(index, memory_index(memarg), memarg.offset, u64::from(size))
    }

    pub(super) fn address_of(&mut self, index: Value, memory: MemoryIndex, offset: u64, size: u64) -> Mem {
        let ty = self.memory_type(memory);
        let plan = MemoryPlan::new(&ty, self.input.tunables);
        let min = ty.min_byte_len().unwrap_or(u64::MAX);
        let constant = match index.place {
            Place::Const(bits) => Some(bits),
            _ => None,
        };
        // A constant address within the initial length always stays accessible: memories only grow.
        let last = constant.and_then(|index| index.checked_add(offset)?.checked_add(size));
        if last.is_some_and(|last| last <= min) {
            let base = self.memory_base(memory);
            let at = constant.expect("it was looked at") + offset;
            if let Ok(at) = i32::try_from(at) {
                return mem(base, at);
            }
            self.asm.mov_imm(SCRATCH, at);
            return mem_indexed(base, SCRATCH, 0, 0);
        }
        let reach = offset.saturating_add(size);
        let check = plan.index_check(&ty, reach);
        if check == IndexCheck::Nothing {
            let base = self.memory_base(memory);
            let index = self.read(index);
            return trapping(self.displaced(base, index, offset), TrapCode::MemoryOutOfBounds);
        }
        self.checked_address(index, memory, offset, reach, check, &ty)
    }

    /// The address of an access whose index has to be looked at. Where it is out of bounds, and nothing but a misprediction may get there, the
    /// address is the null page's.
    fn checked_address(
        &mut self,
        index: Value,
        memory: MemoryIndex,
        offset: u64,
        reach: u64,
        check: IndexCheck,
        ty: &MemoryType,
    ) -> Mem {
        let base = self.memory_base(memory);
        let index = self.read(index);
        let beyond = match check {
            IndexCheck::Nothing => unreachable!("it was seen to"),
            IndexCheck::AtMost(last) => {
                self.asm.mov_imm(SCRATCH, last);
                self.asm.alu(Alu::Cmp, Width::W64, index, Operand::Reg(SCRATCH));
                Condition::Above
            }
            IndexCheck::AtMostLength => {
                self.load_memory_len(memory, SCRATCH);
                self.asm.alu(Alu::Cmp, Width::W64, index, Operand::Reg(SCRATCH));
                Condition::Above
            }
            IndexCheck::EndsWithinLength => self.ends_beyond(index, memory, ty, reach),
            IndexCheck::Never => {
                // The comparison always comes out the same.
                self.asm.alu(Alu::Cmp, Width::W64, index, Operand::Reg(index));
                Condition::Equal
            }
        };
        let clamp = self.input.tunables.spectre_mitigation;
        let clamp_is_check = clamp && self.input.tunables.signals_based_traps;
        if !clamp_is_check {
            self.trap_if(beyond, TrapCode::MemoryOutOfBounds);
        }
        if !clamp {
            return trapping(self.displaced(base, index, offset), TrapCode::MemoryOutOfBounds);
        }
        // Flags stay as they are up to the conditional move.
        let sum = self.alloc(Class::General);
        let to = match i32::try_from(offset) {
            Ok(offset) => mem_indexed(base, index, 0, offset),
            Err(_) => {
                self.asm.mov_imm(sum, offset);
                self.asm.address(Width::W64, sum, mem_indexed(sum, index, 0, 0));
                mem_indexed(base, sum, 0, 0)
            }
        };
        self.asm.address(Width::W64, sum, to);
        self.asm.mov_imm(SCRATCH, 0);
        self.asm.mov_if(beyond, Width::W64, sum, SCRATCH);
        trapping(mem(sum, 0), TrapCode::MemoryOutOfBounds)
    }

    /// `base + index + offset`, with as much as possible left to the instruction.
    fn displaced(&mut self, base: Reg, index: Reg, offset: u64) -> Mem {
        match i32::try_from(offset) {
            Ok(offset) => mem_indexed(base, index, 0, offset),
            Err(_) => {
                self.asm.mov_imm(SCRATCH, offset);
                self.asm.alu(Alu::Add, Width::W64, SCRATCH, Operand::Reg(base));
                mem_indexed(SCRATCH, index, 0, 0)
            }
        }
    }

    /// Compares so that the condition tells whether `index + reach` is behind the memory's end.
    fn ends_beyond(&mut self, index: Reg, memory: MemoryIndex, ty: &MemoryType, reach: u64) -> Condition {
        if reach <= ty.min_byte_len().unwrap_or(u64::MAX) {
            // The length is at least `reach`, so this can't wrap.
            self.load_memory_len(memory, SCRATCH);
            let last = self.alloc(Class::General);
            self.asm.mov_imm(last, reach);
            self.asm.alu(Alu::Sub, Width::W64, SCRATCH, Operand::Reg(last));
            self.asm.alu(Alu::Cmp, Width::W64, index, Operand::Reg(SCRATCH));
            return Condition::Above;
        }
        // The end, or the greatest number where it wraps.
        let end = self.alloc(Class::General);
        self.asm.mov_imm(end, reach);
        self.asm.alu(Alu::Add, Width::W64, end, Operand::Reg(index));
        self.asm.mov_imm(SCRATCH, u64::MAX);
        self.asm.mov_if(Condition::Below, Width::W64, end, SCRATCH);
        self.load_memory_len(memory, SCRATCH);
        self.asm.alu(Alu::Cmp, Width::W64, end, Operand::Reg(SCRATCH));
        Condition::Above
    }

    /// The memory's first byte, in a register that is only read.
    pub(super) fn memory_base(&mut self, memory: MemoryIndex) -> Reg {
        if memory.0 == 0 {
            return self.known(Known::Memory);
        }
        let context = self.known(Known::Context);
        let reg = self.alloc(Class::General);
        let (base, offset) = self.definition(context, reg, self.input.layout.memory(memory));
        self.asm.load(Width::W64, reg, mem(base, offset + offset_of!(VmMemory, base) as i32));
        reg
    }

    fn load_memory_len(&mut self, memory: MemoryIndex, to: Reg) {
        let context = self.known(Known::Context);
        let (base, offset) = self.definition(context, to, self.input.layout.memory(memory));
        self.asm.load(Width::W64, to, mem(base, offset + offset_of!(VmMemory, byte_len) as i32));
    }

    /// Translates loads, stores and the bulk operators.
    pub(super) fn memory_operator(&mut self, op: &Operator<'_>) -> Result<bool, CompileError> {
        use Kind::{F32, F64, I32, I64};
        use Operator as O;
        use Width::{W32, W64};
        match op {
            O::I32Load { memarg } => self.load(memarg, I32, 4),
            O::I64Load { memarg } => self.load(memarg, I64, 8),
            O::F32Load { memarg } => self.load(memarg, F32, 4),
            O::F64Load { memarg } => self.load(memarg, F64, 8),
            O::I32Load8S { memarg } => self.load_extended(memarg, I32, Extend::Signed8(W32), 1),
            O::I32Load8U { memarg } => self.load_extended(memarg, I32, Extend::Unsigned8, 1),
            O::I32Load16S { memarg } => self.load_extended(memarg, I32, Extend::Signed16(W32), 2),
            O::I32Load16U { memarg } => self.load_extended(memarg, I32, Extend::Unsigned16, 2),
            O::I64Load8S { memarg } => self.load_extended(memarg, I64, Extend::Signed8(W64), 1),
            O::I64Load8U { memarg } => self.load_extended(memarg, I64, Extend::Unsigned8, 1),
            O::I64Load16S { memarg } => self.load_extended(memarg, I64, Extend::Signed16(W64), 2),
            O::I64Load16U { memarg } => self.load_extended(memarg, I64, Extend::Unsigned16, 2),
            O::I64Load32S { memarg } => self.load_extended(memarg, I64, Extend::Signed32, 4),
            O::I64Load32U { memarg } => self.load_zero_extended(memarg),
            O::I32Store { memarg } | O::F32Store { memarg } | O::I64Store32 { memarg } => self.store(memarg, 4),
            O::I64Store { memarg } | O::F64Store { memarg } => self.store(memarg, 8),
            O::I32Store8 { memarg } | O::I64Store8 { memarg } => self.store(memarg, 1),
            O::I32Store16 { memarg } | O::I64Store16 { memarg } => self.store(memarg, 2),
            O::MemorySize { mem } => self.memory_size(MemoryIndex(*mem)),
            O::MemoryGrow { mem } => self.memory_grow(MemoryIndex(*mem))?,
            O::MemoryFill { mem } => self.memory_fill(MemoryIndex(*mem))?,
            O::MemoryCopy { dst_mem, src_mem } => self.memory_copy(MemoryIndex(*dst_mem), MemoryIndex(*src_mem))?,
            O::MemoryInit { data_index, mem } => self.memory_init(*data_index, MemoryIndex(*mem))?,
            O::DataDrop { data_index } => {
                self.call_builtin(Builtin::DataDrop, &[Argument::Context, Argument::Number(*data_index)])?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn load(&mut self, memarg: &MemArg, kind: Kind, size: u32) {
        let from = self.address(memarg, size);
        let to = self.alloc(kind.class());
        self.load_value(kind, to, from);
        self.push_reg(kind, to);
    }

    fn load_extended(&mut self, memarg: &MemArg, kind: Kind, extend: Extend, size: u32) {
        let from = self.address(memarg, size);
        let to = self.alloc(Class::General);
        self.asm.load_extended(extend, to, from);
        self.push_reg(kind, to);
    }

    fn load_zero_extended(&mut self, memarg: &MemArg) {
        let from = self.address(memarg, 4);
        let to = self.alloc(Class::General);
        self.asm.load(Width::W32, to, from);
        self.push_reg(Kind::I64, to);
    }

    fn store(&mut self, memarg: &MemArg, size: u32) {
        let value = self.pop();
        if let Operand::Imm(imm) = self.immediate(value) {
            let to = self.address(memarg, size);
            match size {
                1 => emit!(self.asm, movb_mi, to, imm as u8),
                2 => emit!(self.asm, movw_mi, to, imm as u16),
                4 => emit!(self.asm, movl_mi, to, imm),
                _ => emit!(self.asm, movq_mi_sxl, to, imm),
            }
            return;
        }
        let reg = self.read(value);
        let to = self.address(memarg, size);
        match (value.kind.class(), size) {
            (Class::Vector, _) => self.store_value(value.kind, to, reg),
            (_, 1) => emit!(self.asm, movb_mr, to, reg.number()),
            (_, 2) => emit!(self.asm, movw_mr, to, reg.number()),
            (_, 4) => emit!(self.asm, movl_mr, to, reg.number()),
            _ => emit!(self.asm, movq_mr, to, reg.number()),
        }
    }

    fn memory_size(&mut self, memory: MemoryIndex) {
        let ty = self.memory_type(memory);
        let reg = self.alloc(Class::General);
        self.load_memory_len(memory, reg);
        self.asm.shift_imm(Shift::RightUnsigned, Width::W64, reg, ty.page_size_log2);
        self.push_reg(index_kind(ty.is_64), reg);
    }

    fn memory_grow(&mut self, memory: MemoryIndex) -> Result<(), CompileError> {
        let ty = self.memory_type(memory);
        let delta = self.pop();
        let args = [Argument::Context, Argument::Number(memory.0), Argument::Value(delta)];
        self.call_builtin(Builtin::MemoryGrow, &args)?;
        self.narrow_result(index_kind(ty.is_64));
        Ok(())
    }

    fn memory_fill(&mut self, memory: MemoryIndex) -> Result<(), CompileError> {
        let (len, byte, to) = (self.pop(), self.pop(), self.pop());
        let args = [
            Argument::Context,
            Argument::Number(memory.0),
            Argument::Value(to),
            Argument::Value(byte),
            Argument::Value(len),
        ];
        self.call_builtin(Builtin::MemoryFill, &args)
    }

    fn memory_copy(&mut self, to_memory: MemoryIndex, from_memory: MemoryIndex) -> Result<(), CompileError> {
        let (len, from, to) = (self.pop(), self.pop(), self.pop());
        let args = [
            Argument::Context,
            Argument::Number(to_memory.0),
            Argument::Number(from_memory.0),
            Argument::Value(to),
            Argument::Value(from),
            Argument::Value(len),
        ];
        self.call_builtin(Builtin::MemoryCopy, &args)
    }

    fn memory_init(&mut self, segment: u32, memory: MemoryIndex) -> Result<(), CompileError> {
        let (len, from, to) = (self.pop(), self.pop(), self.pop());
        let args = [
            Argument::Context,
            Argument::Number(memory.0),
            Argument::Number(segment),
            Argument::Value(to),
            Argument::Value(from),
            Argument::Value(len),
        ];
        self.call_builtin(Builtin::MemoryInit, &args)
    }
}

/// What indices and lengths of a memory or table are.
pub(super) fn index_kind(is_64: bool) -> Kind {
    if is_64 { Kind::I64 } else { Kind::I32 }
}
