//! Products with 3, 5, 9 and other neighbours of powers of two become shifts and sums.
//!
//! A product takes the machine three cycles, a sum of a number and the same shifted by up to three one, in one instruction. The optimizer, which comes before, makes
//! products of sums.
//!
//! What is right about it: `x·(2ᵏ ± 1) = (x << k) ± x`, also where that wraps.

use super::values::constant;
use cranelift_codegen::cursor::{Cursor, FuncCursor};
use cranelift_codegen::ir::{Block, Function, Inst, InstBuilder, InstructionData, Opcode, Value, types};

/// Replaces such products. Takes time in proportion to the function.
pub(super) fn run(func: &mut Function) {
    let blocks: Vec<Block> = func.layout.blocks().collect();
    for block in blocks {
        let mut next = func.layout.first_inst(block);
        while let Some(inst) = next {
            next = func.layout.next_inst(inst);
            if let Some((value, factor)) = product(func, inst) {
                replace(func, inst, value, factor);
            }
        }
    }
}

/// The operand and the constant of a product of 32 or 64 bits.
fn product(func: &Function, inst: Inst) -> Option<(Value, i64)> {
    let InstructionData::Binary { opcode: Opcode::Imul, args: [x, y] } = func.dfg.insts[inst] else { return None };
    let is_word = matches!(func.dfg.value_type(x), types::I32 | types::I64);
    (is_word && constant(func, x).is_none()).then(|| constant(func, y)).flatten().map(|factor| (x, factor))
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
