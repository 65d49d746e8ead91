//! The end of a loop's turn, copied to where branches lead to it.
//!
//! A `continue`, or a `break` out of a `switch` that fills a loop, is a branch to a few operators that end the turn: they count, compare,
//! and go back to the loop's beginning. A copy of them in the branch's place saves a jump. More than that, each way through the loop then
//! has a branch of its own at its end: of an interpreter's loop, the processor predicts the next instruction by the branches
//! before it, and a shared one tells it nothing.

use super::func::FuncTranslator;
use crate::CompileError;
use crate::operators::Properties;
use cranelift_codegen::ir::{Block, InstBuilder};
use std::collections::HashMap;
use wasmparser::{Operator, OperatorsReader};

/// Operators that are copied, at most, beside the branch back.
const OPERATORS: usize = 8;
/// Copies in one function, at most.
const COPIES: usize = 64;
/// Operators that are read in search of the end of a turn, at most, in one function.
const READ: usize = 1 << 16;

/// What is known of the ends of turns in the function being translated.
pub(super) struct Turns<'a> {
    /// For the end of a block what follows it, if that is the end of a turn.
    ends: HashMap<Block, Option<OperatorsReader<'a>>>,
    copies: usize,
    read: usize,
}

impl Default for Turns<'_> {
    fn default() -> Self {
        Turns { ends: HashMap::new(), copies: COPIES, read: READ }
    }
}

impl<'a> FuncTranslator<'a> {
    /// Translates a branch by a copy of what it leads to, if that is the end of a turn of the loop around. Otherwise answers false and
    /// does nothing. `reader` is behind the branch.
    pub(super) fn end_turn(&mut self, depth: u32, reader: &OperatorsReader<'a>) -> Result<bool, CompileError> {
        let Some((end, height, header, exit)) = self.block_in_loop(depth) else { return Ok(false) };
        if self.turns.copies == 0 {
            return Ok(false);
        }
        let copied = match self.turns.ends.get(&end) {
            Some(known) => known.clone(),
            None => {
                let found = find(reader.clone(), depth, &mut self.turns.read)?;
                self.turns.ends.insert(end, found.clone());
                found
            }
        };
        let Some(mut copied) = copied else { return Ok(false) };
        self.turns.copies -= 1;
        self.count(&Operator::Br { relative_depth: depth });
        // What the copy takes from the stack, the blocks that the branch is in still need.
        let stack = self.stack.clone();
        self.stack.truncate(height);
        loop {
            let (op, position) = copied.read_with_offset()?;
            self.set_position(position)?;
            if let Operator::BrIf { .. } = op {
                self.count(&op);
                break;
            }
            self.translate_operator(&op)?;
        }
        let condition = self.pop();
        self.settle_metering();
        self.builder.ins().brif(condition, header, &[], exit, &[]);
        self.use_loop_exit(depth);
        self.stack = stack;
        self.stop();
        Ok(true)
    }
}

/// A reader at what follows the block out of which a branch leads, if a turn of the loop around it ends there.
fn find<'a>(
    mut reader: OperatorsReader<'a>,
    depth: u32,
    budget: &mut usize,
) -> Result<Option<OperatorsReader<'a>>, CompileError> {
    let mut open = depth + 1;
    while open > 0 {
        if *budget == 0 || reader.eof() {
            return Ok(None);
        }
        *budget -= 1;
        match reader.read()? {
            Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } => open += 1,
            Operator::End => open -= 1,
            _ => {}
        }
    }
    let found = reader.clone();
    for _ in 0..=OPERATORS {
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
