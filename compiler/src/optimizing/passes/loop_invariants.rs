//! Sums with a constant that are the same in each iteration of a loop are made before it.
//!
//! Cranelift's optimizer makes such sums anew wherever they are needed, so that they take no register in between. In a loop that costs an instruction in each
//! iteration, and the register, or the load, of what the constant is added to.
//!
//! What is right about it: a sum neither traps nor has effects, and its operand is known before the loop.

use super::values::{constant, home, take_for};
use cranelift_codegen::Context;
use cranelift_codegen::cursor::{Cursor, FuncCursor};
use cranelift_codegen::ir::{Block, Function, Inst, InstBuilder, InstructionData, Opcode, Value, types};
use cranelift_codegen::loop_analysis::{Loop, LoopAnalysis};
use std::collections::HashMap;

/// Moves sums out of loops. Takes time in proportion to the function; the context's analyses are made anew and stay as they are.
pub(super) fn run(context: &mut Context) {
    context.compute_loop_analysis();
    let Context { func, cfg, loop_analysis, .. } = context;
    let mut made: HashMap<(Loop, Value, i64), Value> = HashMap::new();
    let blocks: Vec<Block> = func.layout.blocks().collect();
    for block in blocks {
        let Some(around) = loop_analysis.innermost_loop(block) else { continue };
        let header = loop_analysis.loop_header(around);
        let mut outside = cfg.pred_iter(header).filter(|way| !loop_analysis.is_in_loop(way.block, around));
        let (Some(way), None) = (outside.next(), outside.next()) else { continue };
        if func.dfg.insts[way.inst].opcode() != Opcode::Jump {
            continue;
        }
        let mut next = func.layout.first_inst(block);
        while let Some(inst) = next {
            next = func.layout.next_inst(inst);
            let Some((operand, by)) = sum(func, inst) else { continue };
            if !is_from_outside(func, loop_analysis, around, operand) {
                continue;
            }
            let known = *made.entry((around, operand, by)).or_insert_with(|| {
                let mut cursor = FuncCursor::new(func).at_inst(way.inst);
                cursor.use_srcloc(inst);
                let by = cursor.ins().iconst(types::I32, by);
                cursor.ins().iadd(operand, by)
            });
            take_for(func, inst, known);
        }
    }
    if !made.is_empty() {
        func.dfg.resolve_all_aliases();
    }
}

/// The parts of a sum of 32 bits with a constant.
fn sum(func: &Function, inst: Inst) -> Option<(Value, i64)> {
    let InstructionData::Binary { opcode: Opcode::Iadd, args: [x, y] } = func.dfg.insts[inst] else { return None };
    if func.dfg.value_type(x) != types::I32 {
        return None;
    }
    constant(func, y).map(|by| (func.dfg.resolve_aliases(x), by))
}

fn is_from_outside(func: &Function, loops: &LoopAnalysis, around: Loop, value: Value) -> bool {
    home(func, value).is_some_and(|home| !loops.is_in_loop(home, around))
}
