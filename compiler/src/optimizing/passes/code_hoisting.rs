//! What both ways on from a branch compute is computed before it.
//!
//! Cranelift's optimizer places a value where it is first needed. Where that is behind a branch, on either way, there are two copies of what makes it,
//! and all that they are made of stays alive until then. In a loop with more than one way out, as unrolling makes them, that may be
//! all that it has loaded; and what the machine would have computed beside the branch begins only when it knows where that goes.
//!
//! Later branches come first: what was moved before one of them may be what the other way on from an earlier one computes, too.
//!
//! What is right about it: nothing is computed on a way that would not have computed it, and what is moved neither traps nor has effects, so
//! that it has the same result before the branch.
//!
//! Bounds: a block is looked at once, as a way on from a branch, and each of its instructions compared with [`CANDIDATES`] others at most, of the first
//! [`OTHERS`] on the other way. Each move makes one instruction of two, so those that have been moved make that no more than twice the function.

use super::values::{constant, home, take_for};
use cranelift_codegen::cursor::{Cursor, FuncCursor};
use cranelift_codegen::dominator_tree::DominatorTree;
use cranelift_codegen::flowgraph::ControlFlowGraph;
use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{Block, Function, Inst, InstBuilder, InstructionData, MemFlags, Opcode, Type, Value};
use smallvec::SmallVec;

/// Instructions of one kind that an instruction is compared with, at most.
const CANDIDATES: usize = 16;
/// Instructions of one way that those of the other are compared with, at most.
const OTHERS: usize = 64;

/// What an instruction does with its operands.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Kind {
    opcode: Opcode,
    ty: Type,
    int_condition: Option<IntCC>,
    float_condition: Option<FloatCC>,
    /// Of a `bitcast`.
    flags: Option<MemFlags>,
    lane: u8,
}

/// An operand.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Operand {
    Constant(Type, i64),
    Value(Value),
}

/// Moves what both ways compute to before their branch. Answers whether anything was moved. The graph is the function's, and stays as it is.
pub(super) fn run(func: &mut Function, cfg: &ControlFlowGraph, dominators: &DominatorTree) -> bool {
    let mut moved = false;
    for &block in dominators.cfg_postorder() {
        if let Some(ways) = ways_on(func, cfg, block) {
            moved |= hoist(func, block, ways);
        }
    }
    moved
}

/// The two ways on from a block, if nothing else leads to either.
fn ways_on(func: &Function, cfg: &ControlFlowGraph, block: Block) -> Option<[Block; 2]> {
    let branch = func.layout.last_inst(block)?;
    let InstructionData::Brif { blocks, .. } = func.dfg.insts[branch] else { return None };
    let [first, second] = blocks.map(|way| way.block(&func.dfg.value_lists));
    if first == second {
        return None;
    }
    Some([behind_jumps(func, cfg, first)?, behind_jumps(func, cfg, second)?])
}

/// The first block on a way that does more than to jump to the next one, if nothing else leads there.
fn behind_jumps(func: &Function, cfg: &ControlFlowGraph, mut block: Block) -> Option<Block> {
    let alone = |block| cfg.pred_iter(block).take(2).count() == 1;
    if !alone(block) {
        return None;
    }
    while func.dfg.num_block_params(block) == 0
        && let Some(jump) = func.layout.first_inst(block)
        && let InstructionData::Jump { destination, .. } = func.dfg.insts[jump]
        && let next = destination.block(&func.dfg.value_lists)
        && alone(next)
    {
        block = next;
    }
    Some(block)
}

fn hoist(func: &mut Function, before: Block, [first, second]: [Block; 2]) -> bool {
    let mut others: SmallVec<[(Kind, Inst); OTHERS]> = SmallVec::new();
    let second = func.layout.block_insts(second);
    others.extend(second.filter_map(|inst| Some((kind(func, inst)?, inst))).take(OTHERS));
    let mut moved = false;
    let mut next = func.layout.first_inst(first);
    while let Some(inst) = next
        && !others.is_empty()
    {
        next = func.layout.next_inst(inst);
        let Some(kind) = kind(func, inst) else { continue };
        let same = others.iter().enumerate().filter(|(_, (other, _))| *other == kind);
        let mut same = same.take(CANDIDATES).peekable();
        if same.peek().is_none() {
            continue;
        }
        let operands = operands(func, inst);
        if !all_from_before(func, &operands, first) {
            continue;
        }
        let Some((place, &(_, other))) = same.find(|&(_, &(_, other))| self::operands(func, other) == operands) else {
            continue;
        };
        others.swap_remove(place);
        move_up(func, before, inst, other);
        moved = true;
    }
    moved
}

/// Moves an instruction to the end of the block before, with the constants that it is made of, and takes its result for that of another one.
fn move_up(func: &mut Function, before: Block, inst: Inst, other: Inst) {
    let branch = func.layout.last_inst(before).expect("it ends in a branch");
    for position in 0..func.dfg.inst_args(inst).len() {
        let value = func.dfg.inst_args(inst)[position];
        if let Some(number) = constant(func, value) {
            let ty = func.dfg.value_type(value);
            let mut cursor = FuncCursor::new(func).at_inst(branch);
            cursor.use_srcloc(inst);
            func.dfg.inst_args_mut(inst)[position] = cursor.ins().iconst(ty, number);
        }
    }
    func.layout.remove_inst(inst);
    func.layout.insert_inst(inst, branch);
    let result = func.dfg.first_result(inst);
    take_for(func, other, result);
}

/// What an instruction does, if it is one that may be moved.
fn kind(func: &Function, inst: Inst) -> Option<Kind> {
    let data = func.dfg.insts[inst];
    let &[result] = func.dfg.inst_results(inst) else { return None };
    let opcode = data.opcode();
    let mut kind = Kind {
        opcode,
        ty: func.dfg.value_type(result),
        int_condition: None,
        float_condition: None,
        flags: None,
        lane: 0,
    };
    match data {
        InstructionData::Unary { .. } | InstructionData::Binary { .. } | InstructionData::Ternary { .. } => {}
        InstructionData::IntCompare { cond, .. } => kind.int_condition = Some(cond),
        InstructionData::FloatCompare { cond, .. } => kind.float_condition = Some(cond),
        InstructionData::BinaryImm8 { imm, .. } | InstructionData::TernaryImm8 { imm, .. } => kind.lane = imm,
        InstructionData::LoadNoOffset { opcode: Opcode::Bitcast, flags, .. } => kind.flags = Some(flags),
        _ => return None,
    }
    let stays = opcode.can_trap() || opcode.can_load() || opcode.can_store() || opcode.other_side_effects();
    (!stays).then_some(kind)
}

fn operands(func: &Function, inst: Inst) -> SmallVec<[Operand; 3]> {
    let operand = |&value: &Value| match constant(func, value) {
        Some(number) => Operand::Constant(func.dfg.value_type(value), number),
        None => Operand::Value(func.dfg.resolve_aliases(value)),
    };
    func.dfg.inst_args(inst).iter().map(operand).collect()
}

/// Whether all operands are known before a block begins.
fn all_from_before(func: &Function, operands: &[Operand], block: Block) -> bool {
    operands.iter().all(|operand| match operand {
        Operand::Constant(..) => true,
        Operand::Value(value) => home(func, *value).is_some_and(|home| home != block),
    })
}
