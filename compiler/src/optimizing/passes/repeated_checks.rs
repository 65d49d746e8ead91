//! Addresses that have been checked for an access before are not checked again.
//!
//! Fields of an object, and elements that copies of a loop's body come back to, are accesses at one address with different offsets. Each compares with
//! what it needs itself; where an access before it needed as much or more, that one's address is as good.
//!
//! What is right about it: an access that is made on every way to this one, at the same sum of base and index, would have stopped the guest if
//! that was too near to the end, or behind it. So this one is in bounds, whatever is at its own offset. Memories only grow, and where the base may have changed,
//! the sum is another value. The address that is taken is the clamped one of the access before: where the processor guesses, it is null as soon as that one's
//! comparison says so, and what an access adds to null leads to the null page.
//!
//! Bounds: each access is compared with [`ACCESSES`] others at most. Dominators answer in constant time.

use super::values::constant;
use cranelift_codegen::Context;
use cranelift_codegen::dominator_tree::DominatorTree;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{Block, Function, Inst, InstructionData, Opcode, Value, types};
use smallvec::SmallVec;
use std::collections::HashMap;

/// Accesses at one sum that are remembered, at most.
const ACCESSES: usize = 4;

/// What is compared with what, to find out whether an access at a sum is in bounds.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Subject {
    sum: Value,
    index: Value,
    /// A memory's length, or a constant.
    limit: Option<Value>,
}

/// An access that has been made.
struct Access {
    block: Block,
    /// It is out of bounds where the index and this are more than the limit.
    reach: i128,
    clamped: Value,
}

/// Takes addresses of accesses before for those of accesses behind. Takes time in proportion to the function.
pub(super) fn run(context: &mut Context) {
    let Context { func, domtree, .. } = context;
    let mut accesses: HashMap<Subject, SmallVec<[Access; ACCESSES]>> = HashMap::new();
    // Whatever dominates a block comes before it.
    for &block in domtree.cfg_rpo() {
        let mut next = func.layout.first_inst(block);
        while let Some(inst) = next {
            next = func.layout.next_inst(inst);
            if let Some(position) = address_operand(func, inst) {
                visit(func, domtree, &mut accesses, block, inst, position);
            }
        }
    }
}

fn visit(
    func: &mut Function,
    domtree: &DominatorTree,
    accesses: &mut HashMap<Subject, SmallVec<[Access; ACCESSES]>>,
    block: Block,
    inst: Inst,
    position: usize,
) {
    let clamped = func.dfg.resolve_aliases(func.dfg.inst_args(inst)[position]);
    let Some((subject, reach)) = check(func, clamped) else { return };
    let before = accesses.entry(subject).or_default();
    let covers = |access: &&Access| access.reach >= reach && domtree.block_dominates(access.block, block);
    if let Some(access) = before.iter().find(covers) {
        func.dfg.inst_args_mut(inst)[position] = access.clamped;
        return;
    }
    if before.len() == ACCESSES {
        before.remove(0);
    }
    before.push(Access { block, reach, clamped });
}

/// Which operand of a load or store is its address.
fn address_operand(func: &Function, inst: Inst) -> Option<usize> {
    match func.dfg.insts[inst] {
        InstructionData::Load { .. } => Some(0),
        InstructionData::Store { .. } => Some(1),
        _ => None,
    }
}

/// What was compared to clamp an address, and how far behind the index.
fn check(func: &Function, clamped: Value) -> Option<(Subject, i128)> {
    let dfg = &func.dfg;
    let args = |value: Value, opcode: Opcode| {
        let inst = dfg.value_def(dfg.resolve_aliases(value)).inst()?;
        (dfg.insts[inst].opcode() == opcode).then(|| dfg.inst_args(inst))
    };
    let &[condition, null, sum] = args(clamped, Opcode::SelectSpectreGuard)? else { return None };
    if constant(func, null) != Some(0) {
        return None;
    }
    let sum = dfg.resolve_aliases(sum);
    let compared = dfg.value_def(dfg.resolve_aliases(condition)).inst()?;
    let InstructionData::IntCompare { opcode: Opcode::Icmp, cond, args: [index, limit] } = dfg.insts[compared] else {
        return None;
    };
    // "At least" is "more than one less".
    let mut reach: i128 = match cond {
        IntCC::UnsignedGreaterThan => 0,
        IntCC::UnsignedGreaterThanOrEqual => 1,
        _ => return None,
    };
    let (mut index, mut limit) = (dfg.resolve_aliases(index), Some(dfg.resolve_aliases(limit)));
    if let Some(number) = limit.and_then(|limit| constant(func, limit)) {
        let is_narrow = dfg.value_type(index) == types::I32;
        let number = if is_narrow { u64::from(number as u32) } else { number as u64 };
        (reach, limit) = (reach - i128::from(number), None);
    } else if let Some(&[value, by]) = args(index, Opcode::Iadd)
        && let Some(by) = constant(func, by)
        && by > 0
        && args(sum, Opcode::Iadd).is_some_and(|parts| parts.iter().any(|&part| same(func, part, value)))
    {
        // What was added to the index to find the last byte: it doesn't wrap there.
        (index, reach) = (dfg.resolve_aliases(value), reach + i128::from(by));
    } else if let Some((len, by)) = limit.and_then(|limit| less(func, limit)) {
        (limit, reach) = (Some(len), reach + i128::from(by));
    }
    Some((Subject { sum, index, limit }, reach))
}

fn same(func: &Function, x: Value, y: Value) -> bool {
    func.dfg.resolve_aliases(x) == func.dfg.resolve_aliases(y)
}

/// A length and the constant that it is reduced by; it is longer.
fn less(func: &Function, value: Value) -> Option<(Value, i64)> {
    let inst = func.dfg.value_def(value).inst()?;
    let InstructionData::Binary { opcode, args: [len, by] } = func.dfg.insts[inst] else { return None };
    let by = match (opcode, constant(func, by)?) {
        (Opcode::Isub, by) => by,
        (Opcode::Iadd, by) => by.checked_neg()?,
        _ => return None,
    };
    (by > 0).then(|| (func.dfg.resolve_aliases(len), by))
}
