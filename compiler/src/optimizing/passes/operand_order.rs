//! Of two operands that may change places, the one that is needed no longer comes first.
//!
//! Most instructions of the machine put their result where the first operand was. Where that operand is needed again it has to be moved out of the
//! way first. Where the other one isn't, the two change places, and nothing has to be moved. Cranelift takes them as they come.
//!
//! An operand that came into the block, and is needed again only far from here, had better be moved: it will be out of its register by then, and the
//! other one would be kept out of its own for as long.
//!
//! The code is as it will be emitted: optimized, in order.
//!
//! What is right about it: the operators are commutative, also in what they do with every bit.

use super::values::{home, index};
use cranelift_codegen::ir::{Block, Function, InstructionData, Opcode, Value};

/// Instructions, at most, to where an operand is near that is needed again.
const NEAR: u32 = 100;

/// Changes the order of operands. Takes time in proportion to the function.
pub(super) fn run(func: &mut Function) {
    let uses = LastUses::of(func);
    let blocks: Vec<Block> = func.layout.blocks().collect();
    let mut at = 0;
    for block in blocks {
        let mut next = func.layout.first_inst(block);
        while let Some(inst) = next {
            at += 1;
            next = func.layout.next_inst(inst);
            if let InstructionData::Binary { opcode, args: [first, second] } = func.dfg.insts[inst]
                && matches!(opcode, Opcode::Band | Opcode::Bor | Opcode::Bxor | Opcode::Imul)
                && uses.is_later(first, at)
                && uses.is_last(second, at)
                && (func.dfg.value_def(second).inst().is_some() || uses.is_near(first, at))
                && !is_part_of_instruction(func, second)
            {
                func.dfg.insts[inst] = InstructionData::Binary { opcode, args: [second, first] };
            }
        }
    }
}

/// Constants and complements are part of the instruction, where they come last.
fn is_part_of_instruction(func: &Function, value: Value) -> bool {
    let def = func.dfg.value_def(value).inst();
    def.is_some_and(|inst| matches!(func.dfg.insts[inst].opcode(), Opcode::Iconst | Opcode::Bnot))
}

/// Where the values of a function are used. Its instructions are counted from one, in their order.
struct LastUses {
    /// The last instruction in the block that the value is defined in, or zero.
    here: Vec<u32>,
    /// Whether others use it.
    elsewhere: Vec<bool>,
    count: Vec<u32>,
}

impl LastUses {
    fn of(func: &Function) -> Self {
        let values = func.dfg.num_values();
        let mut uses = Self { here: vec![0; values], elsewhere: vec![false; values], count: vec![0; values] };
        let mut at = 0;
        for block in func.layout.blocks() {
            for inst in func.layout.block_insts(block) {
                at += 1;
                for value in func.dfg.inst_values(inst) {
                    uses.count[index(value)] += 1;
                    if home(func, value) == Some(block) {
                        uses.here[index(value)] = at;
                    } else {
                        uses.elsewhere[index(value)] = true;
                    }
                }
            }
        }
        uses
    }

    /// Whether an instruction, which uses a value, is followed by one in the same block that does.
    fn is_later(&self, value: Value, at: u32) -> bool {
        match self.here[index(value)] {
            0 => self.count[index(value)] > 1,
            last => last != at,
        }
    }

    /// Whether the last of those is near.
    fn is_near(&self, value: Value, at: u32) -> bool {
        self.here[index(value)].checked_sub(at).is_some_and(|distance| distance <= NEAR)
    }

    /// Whether an instruction is the last that uses a value.
    fn is_last(&self, value: Value, at: u32) -> bool {
        self.here[index(value)] == at && !self.elsewhere[index(value)]
    }
}
