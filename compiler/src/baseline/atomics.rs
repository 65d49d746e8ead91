//! Operators of the threads proposal. They work on every memory, shared or not.
//!
//! Loads are ordinary ones: the processor keeps loads and locked instructions in order. Machine code checks alignment, before the access checks
//! its bounds. Waiting and waking are the runtime's.

use super::call::Argument;
use super::memory::memory_index;
use super::translator::Translator;
use super::values::{Kind, Place, Value};
use super::x64::{Alu, Class, Condition, Extend, Mem, Operand, RAX, Reg, SCRATCH, Width, emit, mem};
use crate::CompileError;
use ampoule_core::builtins::Builtin;
use ampoule_core::trap::TrapCode;
use cranelift_assembler_x64 as x64;
use wasmparser::{MemArg, Operator};

/// Bytes of an access: one, two, four or eight.
type Size = u32;

/// What is done to memory, whose value before is the result.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Rmw {
    Add,
    Sub,
    Exchange,
    /// By comparison and exchange, again and again.
    Other(Alu),
}

/// Emits the instruction of a size.
macro_rules! by_size {
    ($asm:expr, $size:expr, $b:ident $w:ident $l:ident $q:ident $(, $arg:expr)*) => {
        match $size {
            1 => emit!($asm, $b $(, $arg)*),
            2 => emit!($asm, $w $(, $arg)*),
            4 => emit!($asm, $l $(, $arg)*),
            _ => emit!($asm, $q $(, $arg)*),
        }
    };
}

impl Translator<'_> {
    /// Translates atomic accesses, fences, waiting and waking.
    pub(super) fn atomic_operator(&mut self, op: &Operator<'_>) -> Result<bool, CompileError> {
        use Kind::{I32, I64};
        use Operator as O;
        let (and, or, xor) = (Rmw::Other(Alu::And), Rmw::Other(Alu::Or), Rmw::Other(Alu::Xor));
        match op {
            O::AtomicFence { .. } => emit!(self.asm, [mfence_zo]),
            O::MemoryAtomicNotify { memarg } => self.notify(memarg)?,
            O::MemoryAtomicWait32 { memarg } => self.wait(memarg, 4, Builtin::MemoryAtomicWait32)?,
            O::MemoryAtomicWait64 { memarg } => self.wait(memarg, 8, Builtin::MemoryAtomicWait64)?,

            O::I32AtomicLoad { memarg } => self.atomic_load(memarg, 4, I32),
            O::I32AtomicLoad8U { memarg } => self.atomic_load(memarg, 1, I32),
            O::I32AtomicLoad16U { memarg } => self.atomic_load(memarg, 2, I32),
            O::I64AtomicLoad { memarg } => self.atomic_load(memarg, 8, I64),
            O::I64AtomicLoad8U { memarg } => self.atomic_load(memarg, 1, I64),
            O::I64AtomicLoad16U { memarg } => self.atomic_load(memarg, 2, I64),
            O::I64AtomicLoad32U { memarg } => self.atomic_load(memarg, 4, I64),

            O::I32AtomicStore { memarg } | O::I64AtomicStore32 { memarg } => self.atomic_store(memarg, 4),
            O::I32AtomicStore8 { memarg } | O::I64AtomicStore8 { memarg } => self.atomic_store(memarg, 1),
            O::I32AtomicStore16 { memarg } | O::I64AtomicStore16 { memarg } => self.atomic_store(memarg, 2),
            O::I64AtomicStore { memarg } => self.atomic_store(memarg, 8),

            O::I32AtomicRmwAdd { memarg } => self.atomic_rmw(memarg, Rmw::Add, 4, I32),
            O::I32AtomicRmw8AddU { memarg } => self.atomic_rmw(memarg, Rmw::Add, 1, I32),
            O::I32AtomicRmw16AddU { memarg } => self.atomic_rmw(memarg, Rmw::Add, 2, I32),
            O::I64AtomicRmwAdd { memarg } => self.atomic_rmw(memarg, Rmw::Add, 8, I64),
            O::I64AtomicRmw8AddU { memarg } => self.atomic_rmw(memarg, Rmw::Add, 1, I64),
            O::I64AtomicRmw16AddU { memarg } => self.atomic_rmw(memarg, Rmw::Add, 2, I64),
            O::I64AtomicRmw32AddU { memarg } => self.atomic_rmw(memarg, Rmw::Add, 4, I64),

            O::I32AtomicRmwSub { memarg } => self.atomic_rmw(memarg, Rmw::Sub, 4, I32),
            O::I32AtomicRmw8SubU { memarg } => self.atomic_rmw(memarg, Rmw::Sub, 1, I32),
            O::I32AtomicRmw16SubU { memarg } => self.atomic_rmw(memarg, Rmw::Sub, 2, I32),
            O::I64AtomicRmwSub { memarg } => self.atomic_rmw(memarg, Rmw::Sub, 8, I64),
            O::I64AtomicRmw8SubU { memarg } => self.atomic_rmw(memarg, Rmw::Sub, 1, I64),
            O::I64AtomicRmw16SubU { memarg } => self.atomic_rmw(memarg, Rmw::Sub, 2, I64),
            O::I64AtomicRmw32SubU { memarg } => self.atomic_rmw(memarg, Rmw::Sub, 4, I64),

            O::I32AtomicRmwAnd { memarg } => self.atomic_rmw(memarg, and, 4, I32),
            O::I32AtomicRmw8AndU { memarg } => self.atomic_rmw(memarg, and, 1, I32),
            O::I32AtomicRmw16AndU { memarg } => self.atomic_rmw(memarg, and, 2, I32),
            O::I64AtomicRmwAnd { memarg } => self.atomic_rmw(memarg, and, 8, I64),
            O::I64AtomicRmw8AndU { memarg } => self.atomic_rmw(memarg, and, 1, I64),
            O::I64AtomicRmw16AndU { memarg } => self.atomic_rmw(memarg, and, 2, I64),
            O::I64AtomicRmw32AndU { memarg } => self.atomic_rmw(memarg, and, 4, I64),

            O::I32AtomicRmwOr { memarg } => self.atomic_rmw(memarg, or, 4, I32),
            O::I32AtomicRmw8OrU { memarg } => self.atomic_rmw(memarg, or, 1, I32),
            O::I32AtomicRmw16OrU { memarg } => self.atomic_rmw(memarg, or, 2, I32),
            O::I64AtomicRmwOr { memarg } => self.atomic_rmw(memarg, or, 8, I64),
            O::I64AtomicRmw8OrU { memarg } => self.atomic_rmw(memarg, or, 1, I64),
            O::I64AtomicRmw16OrU { memarg } => self.atomic_rmw(memarg, or, 2, I64),
            O::I64AtomicRmw32OrU { memarg } => self.atomic_rmw(memarg, or, 4, I64),

            O::I32AtomicRmwXor { memarg } => self.atomic_rmw(memarg, xor, 4, I32),
            O::I32AtomicRmw8XorU { memarg } => self.atomic_rmw(memarg, xor, 1, I32),
            O::I32AtomicRmw16XorU { memarg } => self.atomic_rmw(memarg, xor, 2, I32),
            O::I64AtomicRmwXor { memarg } => self.atomic_rmw(memarg, xor, 8, I64),
            O::I64AtomicRmw8XorU { memarg } => self.atomic_rmw(memarg, xor, 1, I64),
            O::I64AtomicRmw16XorU { memarg } => self.atomic_rmw(memarg, xor, 2, I64),
            O::I64AtomicRmw32XorU { memarg } => self.atomic_rmw(memarg, xor, 4, I64),

            O::I32AtomicRmwXchg { memarg } => self.atomic_rmw(memarg, Rmw::Exchange, 4, I32),
            O::I32AtomicRmw8XchgU { memarg } => self.atomic_rmw(memarg, Rmw::Exchange, 1, I32),
            O::I32AtomicRmw16XchgU { memarg } => self.atomic_rmw(memarg, Rmw::Exchange, 2, I32),
            O::I64AtomicRmwXchg { memarg } => self.atomic_rmw(memarg, Rmw::Exchange, 8, I64),
            O::I64AtomicRmw8XchgU { memarg } => self.atomic_rmw(memarg, Rmw::Exchange, 1, I64),
            O::I64AtomicRmw16XchgU { memarg } => self.atomic_rmw(memarg, Rmw::Exchange, 2, I64),
            O::I64AtomicRmw32XchgU { memarg } => self.atomic_rmw(memarg, Rmw::Exchange, 4, I64),

            O::I32AtomicRmwCmpxchg { memarg } => self.compare_exchange(memarg, 4, I32),
            O::I32AtomicRmw8CmpxchgU { memarg } => self.compare_exchange(memarg, 1, I32),
            O::I32AtomicRmw16CmpxchgU { memarg } => self.compare_exchange(memarg, 2, I32),
            O::I64AtomicRmwCmpxchg { memarg } => self.compare_exchange(memarg, 8, I64),
            O::I64AtomicRmw8CmpxchgU { memarg } => self.compare_exchange(memarg, 1, I64),
            O::I64AtomicRmw16CmpxchgU { memarg } => self.compare_exchange(memarg, 2, I64),
            O::I64AtomicRmw32CmpxchgU { memarg } => self.compare_exchange(memarg, 4, I64),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn atomic_load(&mut self, memarg: &MemArg, size: Size, kind: Kind) {
        let from = self.atomic_address(memarg, size);
        let to = self.alloc(Class::General);
        match size {
            1 => self.asm.load_extended(Extend::Unsigned8, to, from),
            2 => self.asm.load_extended(Extend::Unsigned16, to, from),
            4 => self.asm.load(Width::W32, to, from),
            _ => self.asm.load(Width::W64, to, from),
        }
        self.push_reg(kind, to);
    }

    fn atomic_store(&mut self, memarg: &MemArg, size: Size) {
        let value = self.pop();
        let reg = self.own(value).number();
        let to = self.atomic_address(memarg, size);
        by_size!(self.asm, size, xchgb_rm xchgw_rm xchgl_rm xchgq_rm, reg, to);
    }

    fn atomic_rmw(&mut self, memarg: &MemArg, op: Rmw, size: Size, kind: Kind) {
        if let Rmw::Other(op) = op {
            return self.atomic_loop(memarg, op, size, kind);
        }
        let value = self.pop();
        let reg = self.own(value);
        let to = self.atomic_address(memarg, size);
        let number = reg.number();
        if op == Rmw::Sub {
            emit!(self.asm, negq_m, number);
        }
        match op {
            Rmw::Exchange => by_size!(self.asm, size, xchgb_rm xchgw_rm xchgl_rm xchgq_rm, number, to),
            _ => by_size!(self.asm, size, lock_xaddb_mr lock_xaddw_mr lock_xaddl_mr lock_xaddq_mr, to, number),
        }
        self.push_extended(reg, size, kind);
    }

    fn atomic_loop(&mut self, memarg: &MemArg, op: Alu, size: Size, kind: Kind) {
        self.reserve(RAX);
        let value = self.pop();
        let operand = self.read(value);
        let to = self.atomic_address(memarg, size);
        let after = self.alloc(Class::General);
        let again = self.asm.label();
        by_size!(self.asm, size, movb_rm movw_rm movl_rm movq_rm, RAX.number(), to);
        self.asm.bind(again);
        self.asm.mov_all(after, RAX);
        self.asm.alu(op, Width::W64, after, Operand::Reg(operand));
        self.lock_compare_exchange(size, to, after);
        self.asm.jump_if(Condition::NotEqual, again);
        self.push_extended(RAX, size, kind);
    }

    fn compare_exchange(&mut self, memarg: &MemArg, size: Size, kind: Kind) {
        self.reserve(RAX);
        let (replacement, expected) = (self.pop(), self.pop());
        let replacement = self.read(replacement);
        self.move_to(expected, RAX);
        let to = self.atomic_address(memarg, size);
        self.lock_compare_exchange(size, to, replacement);
        self.push_extended(RAX, size, kind);
    }

    /// Writes `replacement` if memory is as `rax`, and has `rax` as memory was.
    fn lock_compare_exchange(&mut self, size: Size, memory: Mem, replacement: Reg) {
        let (reg, rax) = (replacement.number(), x64::Fixed(RAX.number()));
        by_size!(
            self.asm, size, lock_cmpxchgb_mr lock_cmpxchgw_mr lock_cmpxchgl_mr lock_cmpxchgq_mr, memory, reg, rax
        );
    }

    /// Pushes as many bytes of a register as were accessed.
    fn push_extended(&mut self, reg: Reg, size: Size, kind: Kind) {
        match size {
            1 => self.asm.extend(Extend::Unsigned8, reg, reg),
            2 => self.asm.extend(Extend::Unsigned16, reg, reg),
            4 => self.asm.mov(Width::W32, reg, reg),
            _ => {}
        }
        self.push_reg(kind, reg);
    }

    /// Pops the address operand, and stops the guest unless it and the offset make a multiple of the size.
    fn atomic_address(&mut self, memarg: &MemArg, size: Size) -> Mem {
        let index = self.pop();
        let index = self.check_alignment(index, memarg, size);
        self.address_of(index, memory_index(memarg), memarg.offset, u64::from(size))
    }

    fn check_alignment(&mut self, index: Value, memarg: &MemArg, size: Size) -> Value {
        if size == 1 {
            return index;
        }
        // What the sum overflows by is a multiple of every size.
        let low = (memarg.offset & u64::from(size - 1)) as i32;
        if let Place::Const(bits) = index.place
            && (bits.wrapping_add(low as u64)) & u64::from(size - 1) == 0
        {
            return index;
        }
        let reg = self.read(index);
        let sum = match low {
            0 => reg,
            _ => {
                self.asm.address(Width::W64, SCRATCH, mem(reg, low));
                SCRATCH
            }
        };
        emit!(self.asm, testl_mi, sum.number(), (size - 1) as i32);
        self.trap_if(Condition::NotEqual, TrapCode::HeapMisaligned);
        match index.place {
            Place::Local(_) => index,
            _ => Value { place: Place::Reg(reg), ..index },
        }
    }

    fn notify(&mut self, memarg: &MemArg) -> Result<(), CompileError> {
        let count = self.pop();
        let address = self.wide_address(memarg, 4);
        let args = [
            Argument::Context,
            Argument::Number(memory_index(memarg).0),
            Argument::Reg(address),
            Argument::Value(count),
        ];
        self.call_builtin(Builtin::MemoryAtomicNotify, &args)
    }

    fn wait(&mut self, memarg: &MemArg, size: Size, builtin: Builtin) -> Result<(), CompileError> {
        let (timeout, expected) = (self.pop(), self.pop());
        let address = self.wide_address(memarg, size);
        let args = [
            Argument::Context,
            Argument::Number(memory_index(memarg).0),
            Argument::Reg(address),
            Argument::Value(expected),
            Argument::Value(timeout),
        ];
        self.call_builtin(builtin, &args)
    }

    /// The address operand plus the constant offset, as builtins want it. Stops the guest where the sum doesn't fit: no memory is that long.
    fn wide_address(&mut self, memarg: &MemArg, size: Size) -> Reg {
        let index = self.pop();
        let index = self.check_alignment(index, memarg, size);
        let reg = self.own(index);
        if memarg.offset != 0 {
            self.asm.mov_imm(SCRATCH, memarg.offset);
            self.asm.alu(Alu::Add, Width::W64, reg, Operand::Reg(SCRATCH));
            if self.memory_type(memory_index(memarg)).is_64 {
                self.trap_if(Condition::Below, TrapCode::MemoryOutOfBounds);
            }
        }
        reg
    }
}
