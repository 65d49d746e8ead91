//! Sums with a constant that are the same in each iteration of a loop are made before it.
//!
//! Cranelift's optimizer makes such sums anew wherever they are needed, so that they take no register in between. In a loop that costs an instruction in each
//! iteration, and the register, or the load, of what the constant is added to.
//!
//! What is right about it: a sum neither traps nor has effects, and its operand is known before the loop.

use super::values::{constant, home, take_for};
use cranelift_codegen::Context;
use cranelift_codegen::cursor::{Cursor, FuncCursor};
use cranelift_codegen::flowgraph::ControlFlowGraph;
use cranelift_codegen::ir::{Block, Function, Inst, InstBuilder, Opcode, Value, types};
use cranelift_codegen::loop_analysis::{Loop, LoopAnalysis};
use std::collections::HashMap;

/// Moves those of these sums out of loops that can be, each out of the innermost one. Answers whether any was. Takes time in proportion to the function; the context's
/// analyses are made anew and stay as they are.
pub(super) fn run(context: &mut Context, sums: &[(Block, Inst)]) -> bool {
    if sums.is_empty() {
        return false;
    }
    context.compute_loop_analysis();
    let Context { func, cfg, loop_analysis, .. } = context;
    let mut made: HashMap<(Loop, Value, i64), Value> = HashMap::new();
    let mut ways_in: HashMap<Loop, Option<Inst>> = HashMap::new();
    for &(block, inst) in sums {
        let Some(around) = loop_analysis.innermost_loop(block) else { continue };
        let Some((operand, by)) = parts(func, inst) else { continue };
        if !is_from_outside(func, loop_analysis, around, operand) {
            continue;
        }
        let way_in = ways_in.entry(around).or_insert_with(|| way_in(func, cfg, loop_analysis, around));
        let Some(before) = *way_in else { continue };
        let known = *made.entry((around, operand, by)).or_insert_with(|| {
            let mut cursor = FuncCursor::new(func).at_inst(before);
            cursor.use_srcloc(inst);
            let by = cursor.ins().iconst(types::I32, by);
            cursor.ins().iadd(operand, by)
        });
        take_for(func, inst, known);
    }
    !made.is_empty()
}

/// The jump that leads into a loop, if nothing else does.
fn way_in(func: &Function, cfg: &ControlFlowGraph, loops: &LoopAnalysis, around: Loop) -> Option<Inst> {
    let mut outside = cfg.pred_iter(loops.loop_header(around)).filter(|way| !loops.is_in_loop(way.block, around));
    let (Some(way), None) = (outside.next(), outside.next()) else { return None };
    (func.dfg.insts[way.inst].opcode() == Opcode::Jump).then_some(way.inst)
}

/// The parts of a sum with a constant.
fn parts(func: &Function, inst: Inst) -> Option<(Value, i64)> {
    let &[x, y] = func.dfg.inst_args(inst) else { return None };
    Some((func.dfg.resolve_aliases(x), constant(func, y)?))
}

fn is_from_outside(func: &Function, loops: &LoopAnalysis, around: Loop, value: Value) -> bool {
    home(func, value).is_some_and(|home| !loops.is_in_loop(home, around))
}
