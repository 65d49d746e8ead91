//! What the passes over optimized code look for, found in one walk. Most functions have nothing for some of them, which then cost nothing.

use super::operand_order::is_commutative;
use super::values::constant;
use cranelift_codegen::ir::{Block, Function, Inst, InstructionData, Opcode, types};

/// Instructions, in their order.
pub(super) struct Candidates {
    /// Sums of 32 bits with a constant, and their blocks.
    pub sums: Vec<(Block, Inst)>,
    /// Products of 32 or 64 bits with a constant.
    pub products: Vec<Inst>,
    /// Whether operands may change places somewhere.
    pub commutative: bool,
}

impl Candidates {
    pub fn of(func: &Function) -> Self {
        let mut found = Self { sums: Vec::new(), products: Vec::new(), commutative: false };
        for block in func.layout.blocks() {
            for inst in func.layout.block_insts(block) {
                let InstructionData::Binary { opcode, args: [x, y] } = func.dfg.insts[inst] else { continue };
                let is_sum = opcode == Opcode::Iadd;
                if !is_sum && !is_commutative(opcode) {
                    continue;
                }
                let ty = func.dfg.value_type(x);
                match constant(func, y) {
                    Some(_) if is_sum && ty == types::I32 => found.sums.push((block, inst)),
                    Some(_) if opcode == Opcode::Imul && matches!(ty, types::I32 | types::I64) => {
                        found.products.push(inst)
                    }
                    None if !is_sum => found.commutative = true,
                    _ => {}
                }
            }
        }
        found
    }
}
