//! Operators of the threads proposal. They work on every memory, shared or not.
//!
//! Machine code checks alignment, before the access checks its bounds. Waiting and waking are the runtime's.

use super::memory::memory_index;
use super::translator::FuncTranslator;
use ampoule_core::builtins::Builtin;
use ampoule_core::trap::TrapCode;
use cranelift_codegen::ir::types::{I8, I16, I32, I64};
use cranelift_codegen::ir::{AtomicRmwOp, InstBuilder, MemFlagsData, Type, Value};
use wasmparser::{MemArg, Operator};

/// Translates an operator of this family; false where it belongs to another.
pub(super) fn translate(t: &mut FuncTranslator<'_>, op: &Operator<'_>) -> bool {
    use AtomicRmwOp::{Add, And, Or, Sub, Xchg, Xor};
    match op {
        Operator::AtomicFence { .. } => {
            t.builder.ins().fence();
        }
        Operator::MemoryAtomicNotify { memarg } => notify(t, memarg),
        Operator::MemoryAtomicWait32 { memarg } => wait(t, memarg, I32, Builtin::MemoryAtomicWait32),
        Operator::MemoryAtomicWait64 { memarg } => wait(t, memarg, I64, Builtin::MemoryAtomicWait64),

        Operator::I32AtomicLoad { memarg } => load(t, memarg, I32, I32),
        Operator::I32AtomicLoad8U { memarg } => load(t, memarg, I8, I32),
        Operator::I32AtomicLoad16U { memarg } => load(t, memarg, I16, I32),
        Operator::I64AtomicLoad { memarg } => load(t, memarg, I64, I64),
        Operator::I64AtomicLoad8U { memarg } => load(t, memarg, I8, I64),
        Operator::I64AtomicLoad16U { memarg } => load(t, memarg, I16, I64),
        Operator::I64AtomicLoad32U { memarg } => load(t, memarg, I32, I64),

        Operator::I32AtomicStore { memarg } => store(t, memarg, I32),
        Operator::I32AtomicStore8 { memarg } => store(t, memarg, I8),
        Operator::I32AtomicStore16 { memarg } => store(t, memarg, I16),
        Operator::I64AtomicStore { memarg } => store(t, memarg, I64),
        Operator::I64AtomicStore8 { memarg } => store(t, memarg, I8),
        Operator::I64AtomicStore16 { memarg } => store(t, memarg, I16),
        Operator::I64AtomicStore32 { memarg } => store(t, memarg, I32),

        Operator::I32AtomicRmwAdd { memarg } => rmw(t, memarg, Add, I32, I32),
        Operator::I32AtomicRmw8AddU { memarg } => rmw(t, memarg, Add, I8, I32),
        Operator::I32AtomicRmw16AddU { memarg } => rmw(t, memarg, Add, I16, I32),
        Operator::I64AtomicRmwAdd { memarg } => rmw(t, memarg, Add, I64, I64),
        Operator::I64AtomicRmw8AddU { memarg } => rmw(t, memarg, Add, I8, I64),
        Operator::I64AtomicRmw16AddU { memarg } => rmw(t, memarg, Add, I16, I64),
        Operator::I64AtomicRmw32AddU { memarg } => rmw(t, memarg, Add, I32, I64),

        Operator::I32AtomicRmwSub { memarg } => rmw(t, memarg, Sub, I32, I32),
        Operator::I32AtomicRmw8SubU { memarg } => rmw(t, memarg, Sub, I8, I32),
        Operator::I32AtomicRmw16SubU { memarg } => rmw(t, memarg, Sub, I16, I32),
        Operator::I64AtomicRmwSub { memarg } => rmw(t, memarg, Sub, I64, I64),
        Operator::I64AtomicRmw8SubU { memarg } => rmw(t, memarg, Sub, I8, I64),
        Operator::I64AtomicRmw16SubU { memarg } => rmw(t, memarg, Sub, I16, I64),
        Operator::I64AtomicRmw32SubU { memarg } => rmw(t, memarg, Sub, I32, I64),

        Operator::I32AtomicRmwAnd { memarg } => rmw(t, memarg, And, I32, I32),
        Operator::I32AtomicRmw8AndU { memarg } => rmw(t, memarg, And, I8, I32),
        Operator::I32AtomicRmw16AndU { memarg } => rmw(t, memarg, And, I16, I32),
        Operator::I64AtomicRmwAnd { memarg } => rmw(t, memarg, And, I64, I64),
        Operator::I64AtomicRmw8AndU { memarg } => rmw(t, memarg, And, I8, I64),
        Operator::I64AtomicRmw16AndU { memarg } => rmw(t, memarg, And, I16, I64),
        Operator::I64AtomicRmw32AndU { memarg } => rmw(t, memarg, And, I32, I64),

        Operator::I32AtomicRmwOr { memarg } => rmw(t, memarg, Or, I32, I32),
        Operator::I32AtomicRmw8OrU { memarg } => rmw(t, memarg, Or, I8, I32),
        Operator::I32AtomicRmw16OrU { memarg } => rmw(t, memarg, Or, I16, I32),
        Operator::I64AtomicRmwOr { memarg } => rmw(t, memarg, Or, I64, I64),
        Operator::I64AtomicRmw8OrU { memarg } => rmw(t, memarg, Or, I8, I64),
        Operator::I64AtomicRmw16OrU { memarg } => rmw(t, memarg, Or, I16, I64),
        Operator::I64AtomicRmw32OrU { memarg } => rmw(t, memarg, Or, I32, I64),

        Operator::I32AtomicRmwXor { memarg } => rmw(t, memarg, Xor, I32, I32),
        Operator::I32AtomicRmw8XorU { memarg } => rmw(t, memarg, Xor, I8, I32),
        Operator::I32AtomicRmw16XorU { memarg } => rmw(t, memarg, Xor, I16, I32),
        Operator::I64AtomicRmwXor { memarg } => rmw(t, memarg, Xor, I64, I64),
        Operator::I64AtomicRmw8XorU { memarg } => rmw(t, memarg, Xor, I8, I64),
        Operator::I64AtomicRmw16XorU { memarg } => rmw(t, memarg, Xor, I16, I64),
        Operator::I64AtomicRmw32XorU { memarg } => rmw(t, memarg, Xor, I32, I64),

        Operator::I32AtomicRmwXchg { memarg } => rmw(t, memarg, Xchg, I32, I32),
        Operator::I32AtomicRmw8XchgU { memarg } => rmw(t, memarg, Xchg, I8, I32),
        Operator::I32AtomicRmw16XchgU { memarg } => rmw(t, memarg, Xchg, I16, I32),
        Operator::I64AtomicRmwXchg { memarg } => rmw(t, memarg, Xchg, I64, I64),
        Operator::I64AtomicRmw8XchgU { memarg } => rmw(t, memarg, Xchg, I8, I64),
        Operator::I64AtomicRmw16XchgU { memarg } => rmw(t, memarg, Xchg, I16, I64),
        Operator::I64AtomicRmw32XchgU { memarg } => rmw(t, memarg, Xchg, I32, I64),

        Operator::I32AtomicRmwCmpxchg { memarg } => compare_exchange(t, memarg, I32, I32),
        Operator::I32AtomicRmw8CmpxchgU { memarg } => compare_exchange(t, memarg, I8, I32),
        Operator::I32AtomicRmw16CmpxchgU { memarg } => compare_exchange(t, memarg, I16, I32),
        Operator::I64AtomicRmwCmpxchg { memarg } => compare_exchange(t, memarg, I64, I64),
        Operator::I64AtomicRmw8CmpxchgU { memarg } => compare_exchange(t, memarg, I8, I64),
        Operator::I64AtomicRmw16CmpxchgU { memarg } => compare_exchange(t, memarg, I16, I64),
        Operator::I64AtomicRmw32CmpxchgU { memarg } => compare_exchange(t, memarg, I32, I64),

        _ => return false,
    }
    true
}

/// `width` is the type in memory; the operand stack has it zero-extended to `ty`.
fn load(t: &mut FuncTranslator<'_>, memarg: &MemArg, width: Type, ty: Type) {
    let (flags, address) = address(t, memarg, width);
    let value = t.builder.ins().atomic_load(width, flags, address);
    push_extended(t, value, ty);
}

fn store(t: &mut FuncTranslator<'_>, memarg: &MemArg, width: Type) {
    let value = pop_reduced(t, width);
    let (flags, address) = address(t, memarg, width);
    t.builder.ins().atomic_store(flags, value, address);
}

fn rmw(t: &mut FuncTranslator<'_>, memarg: &MemArg, op: AtomicRmwOp, width: Type, ty: Type) {
    let operand = pop_reduced(t, width);
    let (flags, address) = address(t, memarg, width);
    let before = t.builder.ins().atomic_rmw(width, flags, op, address, operand);
    push_extended(t, before, ty);
}

fn compare_exchange(t: &mut FuncTranslator<'_>, memarg: &MemArg, width: Type, ty: Type) {
    let replacement = pop_reduced(t, width);
    let expected = pop_reduced(t, width);
    let (flags, address) = address(t, memarg, width);
    let before = t.builder.ins().atomic_cas(flags, address, expected, replacement);
    push_extended(t, before, ty);
}

fn notify(t: &mut FuncTranslator<'_>, memarg: &MemArg) {
    let count = t.pop();
    check_alignment(t, memarg, I32);
    let address = t.wide_address(memarg);
    let memory = t.number(memory_index(memarg).0);
    let woken = t.call_builtin(Builtin::MemoryAtomicNotify, &[t.vmctx, memory, address, count]);
    t.push(woken.expect("it answers how many it woke"));
}

fn wait(t: &mut FuncTranslator<'_>, memarg: &MemArg, width: Type, builtin: Builtin) {
    let (expected, timeout) = t.pop2();
    check_alignment(t, memarg, width);
    let address = t.wide_address(memarg);
    let memory = t.number(memory_index(memarg).0);
    let outcome = t.call_builtin(builtin, &[t.vmctx, memory, address, expected, timeout]);
    t.push(outcome.expect("it answers how the wait ended"));
}

/// Pops the address operand. Cranelift's atomic instructions add no offset, so it is added beforehand.
fn address(t: &mut FuncTranslator<'_>, memarg: &MemArg, width: Type) -> (MemFlagsData, Value) {
    check_alignment(t, memarg, width);
    let address = t.address(memarg, width.bytes());
    let host = t.builder.ins().iadd_imm_s(address.base, i64::from(address.offset));
    (address.flags, host)
}

/// Stops the guest unless address operand (which stays on the stack) and offset make a multiple of the width.
fn check_alignment(t: &mut FuncTranslator<'_>, memarg: &MemArg, width: Type) {
    let size = i64::from(width.bytes());
    if size == 1 {
        return;
    }
    let index = *t.stack.last().expect("validation counted the operands");
    // What the sum overflows by is a multiple of every width.
    let low = memarg.offset as i64 & (size - 1);
    let sum = if low == 0 { index } else { t.builder.ins().iadd_imm_s(index, low) };
    let misaligned = t.builder.ins().band_imm_s(sum, size - 1);
    t.trap_if(misaligned, TrapCode::HeapMisaligned);
}

fn pop_reduced(t: &mut FuncTranslator<'_>, width: Type) -> Value {
    let value = t.pop();
    if t.builder.func.dfg.value_type(value) == width { value } else { t.builder.ins().ireduce(width, value) }
}

fn push_extended(t: &mut FuncTranslator<'_>, value: Value, ty: Type) {
    let narrow = t.builder.func.dfg.value_type(value) != ty;
    let value = if narrow { t.builder.ins().uextend(ty, value) } else { value };
    t.push(value);
}
