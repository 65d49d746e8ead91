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

use super::values::index;
use cranelift_codegen::ir::{Function, Inst, InstructionData, Opcode, Value};

/// Instructions, at most, to where an operand is near that is needed again.
const NEAR: u32 = 100;

/// Changes the order of operands. Takes time in proportion to the function.
pub(super) fn run(func: &mut Function) {
    let mut uses = Uses::of(func);
    for (inst, at) in std::mem::take(&mut uses.commutative) {
        if let InstructionData::Binary { opcode, args: [first, second] } = func.dfg.insts[inst]
            && uses.is_later(first, at)
            && uses.is_last(second, at)
            && (func.dfg.value_def(second).inst().is_some() || uses.is_near(first, at))
            && !is_part_of_instruction(func, second)
        {
            func.dfg.insts[inst] = InstructionData::Binary { opcode, args: [second, first] };
        }
    }
}

/// Whether an operator's operands may change places, and one of them is where its result is put.
pub(super) fn is_commutative(opcode: Opcode) -> bool {
    matches!(opcode, Opcode::Band | Opcode::Bor | Opcode::Bxor | Opcode::Imul)
}

/// Constants and complements are part of the instruction, where they come last.
fn is_part_of_instruction(func: &Function, value: Value) -> bool {
    let def = func.dfg.value_def(value).inst();
    def.is_some_and(|inst| matches!(func.dfg.insts[inst].opcode(), Opcode::Iconst | Opcode::Bnot))
}

/// Where the values of a function are used. Its instructions are counted from one, in their order, so that a block is known by the number
/// before its first.
struct Uses {
    of: Vec<UsesOfValue>,
    /// Instructions whose operands may change places, with their numbers.
    commutative: Vec<(Inst, u32)>,
}

#[derive(Clone, Copy, Default)]
struct UsesOfValue {
    /// The block that the value is defined in.
    home: u32,
    /// The last instruction there that uses it, or zero.
    here: u32,
    count: u32,
    /// Whether others use it.
    elsewhere: bool,
}

impl Uses {
    fn of(func: &Function) -> Self {
        let mut uses = Self { of: vec![UsesOfValue::default(); func.dfg.num_values()], commutative: Vec::new() };
        let mut at = 0;
        for block in func.layout.blocks() {
            let home = at;
            uses.define(func.dfg.block_params(block), home);
            for inst in func.layout.block_insts(block) {
                at += 1;
                let data = &func.dfg.insts[inst];
                let opcode = data.opcode();
                if opcode.is_terminator() {
                    // What is handed on to other blocks, too.
                    func.dfg.inst_values(inst).for_each(|value| uses.note(value, home, at));
                } else {
                    data.arguments(&func.dfg.value_lists).iter().for_each(|&value| uses.note(value, home, at));
                }
                if is_commutative(opcode) {
                    uses.commutative.push((inst, at));
                }
                uses.define(func.dfg.inst_results(inst), home);
            }
        }
        uses
    }

    fn define(&mut self, values: &[Value], home: u32) {
        for &value in values {
            self.of[index(value)].home = home;
        }
    }

    fn note(&mut self, value: Value, home: u32, at: u32) {
        let uses = &mut self.of[index(value)];
        uses.count += 1;
        // A value that is used before its definition is walked over is of another block.
        if uses.home == home { uses.here = at } else { uses.elsewhere = true }
    }

    /// Whether an instruction, which uses a value, is followed by one in the same block that does.
    fn is_later(&self, value: Value, at: u32) -> bool {
        let uses = &self.of[index(value)];
        match uses.here {
            0 => uses.count > 1,
            last => last != at,
        }
    }

    /// Whether the last of those is near.
    fn is_near(&self, value: Value, at: u32) -> bool {
        self.of[index(value)].here.checked_sub(at).is_some_and(|distance| distance <= NEAR)
    }

    /// Whether an instruction is the last that uses a value.
    fn is_last(&self, value: Value, at: u32) -> bool {
        let uses = &self.of[index(value)];
        uses.here == at && !uses.elsewhere
    }
}
