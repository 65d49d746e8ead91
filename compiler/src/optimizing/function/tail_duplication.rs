//! Tail duplication: branches to a loop latch become copies of it.
//!
//! A latch ends the body of a loop: it counts, compares, and branches back to the loop's header. A `continue`, or a `break` out of a
//! `switch` that fills a loop, is a branch to it. A copy in the branch's place saves a jump. More than that, each way through the loop
//! then has a branch of its own at its end: of an interpreter's loop, the processor predicts the next instruction by the branches
//! before it, and a shared one tells it nothing.

use super::translator::FuncTranslator;
use crate::CompileError;
use crate::operators::Properties;
use crate::optimizing::passes::Pass;
use cranelift_codegen::ir::{Block, InstBuilder};
use wasmparser::{Operator, OperatorsReader};

/// Operators of a latch, at most, beside the branch back.
const LATCH_OPERATORS: usize = 8;
/// Copies in one function, at most.
const COPIES: usize = 64;
/// Operators that are read in search of latches, at most, in one function.
const READ: usize = 1 << 16;

/// A latch that is to be copied.
pub(super) struct Latch<'a> {
    /// At its first operator.
    pub operators: OperatorsReader<'a>,
    /// The operand stack's height there.
    pub height: usize,
    /// Where the loop begins.
    header: Block,
    /// Where it goes on behind the loop.
    exit: Block,
}

impl<'a> FuncTranslator<'a> {
    /// The latch that a branch out of that many blocks leads to, if it does and may be copied. `reader` is behind the branch.
    pub(super) fn latch_to_copy(
        &mut self,
        depth: u32,
        reader: &OperatorsReader<'a>,
    ) -> Result<Option<Latch<'a>>, CompileError> {
        let Some((end, height, header, exit)) = self.block_in_loop(depth) else { return Ok(None) };
        let copies_code = self.does(Pass::TailDuplication);
        let around = self.cost_of_reader();
        let state = &mut self.tail_duplication;
        if state.copies == COPIES || !copies_code {
            return Ok(None);
        }
        let known = match state.latches.get(&end) {
            Some(known) => known.clone(),
            None => {
                if state.read >= READ {
                    return Ok(None);
                }
                state.read += around;
                let found = find(reader.clone(), depth, &mut state.read)?;
                state.latches.insert(end, found.clone());
                found
            }
        };
        state.copies += usize::from(known.is_some());
        Ok(known.map(|operators| Latch { operators, height, header, exit }))
    }

    /// The branch at the end of a latch's copy, which stands for a branch out of that many blocks.
    pub(super) fn end_of_latch(&mut self, latch: &Latch<'a>, depth: u32) {
        let condition = self.pop();
        self.settle_metering();
        self.builder.ins().brif(condition, latch.header, &[], latch.exit, &[]);
        self.use_loop(depth);
    }
}

/// A reader at what follows the block out of which a branch leads, if that is the latch of the loop around it.
fn find<'a>(
    mut reader: OperatorsReader<'a>,
    depth: u32,
    read: &mut usize,
) -> Result<Option<OperatorsReader<'a>>, CompileError> {
    let mut open = depth + 1;
    while open > 0 {
        if *read >= READ || reader.eof() {
            return Ok(None);
        }
        *read += 1;
        match reader.read()? {
            Operator::Block { .. }
            | Operator::Loop { .. }
            | Operator::If { .. }
            | Operator::TryTable { .. }
            | Operator::Try { .. } => open += 1,
            Operator::End | Operator::Delegate { .. } => open -= 1,
            _ => {}
        }
    }
    let found = reader.clone();
    for _ in 0..=LATCH_OPERATORS {
        if reader.eof() {
            break;
        }
        match reader.read()? {
            Operator::BrIf { relative_depth: 0 } => {
                let last = !reader.eof() && matches!(reader.read()?, Operator::End);
                return Ok(last.then_some(found));
            }
            op if Properties::of(&op).copyable => {}
            _ => break,
        }
    }
    Ok(None)
}
