//! Products with 3, 5, 9 and other neighbours of powers of two become shifts and sums.
//!
//! A product takes the machine three cycles, a sum of a number and the same shifted by up to three one, in one instruction. The optimizer, which comes before, makes
//! products of sums.
//!
//! What is right about it: `x·(2ᵏ ± 1) = (x << k) ± x`, also where that wraps.

use super::values::constant;
use cranelift_codegen::cursor::{Cursor, FuncCursor};
use cranelift_codegen::ir::{Function, Inst, InstBuilder, InstructionData, Opcode, Value, types};

/// Replaces those of these products with a constant that are such.
pub(super) fn run(func: &mut Function, products: &[Inst]) {
    for &inst in products {
        if func.layout.inst_block(inst).is_some()
            && let InstructionData::Binary { opcode: Opcode::Imul, args: [value, factor] } = func.dfg.insts[inst]
            && constant(func, value).is_none()
            && let Some(factor) = constant(func, factor)
        {
            replace(func, inst, value, factor);
        }
    }
}

fn replace(func: &mut Function, inst: Inst, value: Value, factor: i64) {
    if factor < 3 {
        return;
    }
    let shift = |power: i64| (power.count_ones() == 1).then(|| i64::from(power.trailing_zeros()));
    let (by, adds) = match (shift(factor - 1), shift(factor.wrapping_add(1))) {
        (Some(by), _) => (by, true),
        (None, Some(by)) => (by, false),
        (None, None) => return,
    };
    let mut cursor = FuncCursor::new(func).at_inst(inst);
    cursor.use_srcloc(inst);
    let by = cursor.ins().iconst(types::I8, by);
    let shifted = cursor.ins().ishl(value, by);
    if adds {
        func.replace(inst).iadd(value, shifted);
    } else {
        func.replace(inst).isub(shifted, value);
    }
}
