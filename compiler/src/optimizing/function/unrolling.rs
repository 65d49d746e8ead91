//! Unrolling: the body of a small innermost loop is translated several times in a row.
//!
//! What goes round comes to the next copy, and from the last one to the loop's header; the ways out of the loop are those of each copy. Nothing is
//! known of how often the loop goes round, and nothing has to be: each copy looks for itself. What is saved are the jump back, and the moves that
//! bring what an iteration leaves to where the next one looks for it; a branch that is predicted by its address gets several; and what
//! an iteration leaves in memory or registers is known in the next.
//!
//! Fuel and deadlines are looked at in each copy, as at the loop's head: a guest yields as often as it would.

use super::translator::{FrameKind, FuncTranslator, Unrolled};
use crate::CompileError;
use crate::operators::{Calls, Properties};
use crate::optimizing::passes::Pass;
use cranelift_codegen::ir::Block;
use wasmparser::{BlockType, Operator, OperatorsReader};

/// Operators of a loop that is unrolled, at most.
const OPERATORS: usize = 96;
/// Copies of its body.
const COPIES: usize = 2;
/// Operators of a loop of which there are more copies.
const SMALL: usize = 48;
pub(super) const COPIES_OF_SMALL: usize = 4;
/// Operators translated again in one function, at most.
const TRANSLATED: usize = 4096;
/// Operators read to find out about loops, at most, in one function.
const READ: usize = 1 << 16;

/// A loop that is to be unrolled.
pub(super) struct Unrolling {
    /// Its operators, with its `end`.
    pub operators: usize,
    /// Copies of its body.
    pub copies: usize,
}

impl<'a> FuncTranslator<'a> {
    /// How the loop that begins at `reader` is to be unrolled, if it is.
    pub(super) fn unrolling(&mut self, reader: &OperatorsReader<'a>) -> Result<Option<Unrolling>, CompileError> {
        if self.does(Pass::Unrolling) { self.copies_of_loop(reader, COPIES_OF_SMALL) } else { Ok(None) }
    }

    /// As many copies of the loop as it may have, and at most so many.
    pub(super) fn copies_of_loop(
        &mut self,
        reader: &OperatorsReader<'a>,
        at_most: usize,
    ) -> Result<Option<Unrolling>, CompileError> {
        let around = self.cost_of_reader();
        let Unrolled { translated, read } = &mut self.unrolled;
        if *read + around + OPERATORS > READ {
            return Ok(None);
        }
        *read += around;
        let Some(operators) = operators_of_loop(reader.clone(), read)? else { return Ok(None) };
        let copies = if operators <= SMALL { COPIES_OF_SMALL } else { COPIES };
        let copies = copies.min(at_most);
        let more = operators * (copies - 1);
        if *translated + more > TRANSLATED {
            return Ok(None);
        }
        *translated += more;
        Ok(Some(Unrolling { operators, copies }))
    }

    /// Begins a loop that is unrolled. The last copy of its body is left to the caller; or one more. Gives the loop's header.
    pub(super) fn unroll(
        &mut self,
        ty: &BlockType,
        reader: &mut OperatorsReader<'a>,
        Unrolling { operators, copies }: Unrolling,
        one_more: bool,
    ) -> Result<Block, CompileError> {
        let start = self.builder.srcloc();
        self.enter_loop(ty)?;
        let body = reader.clone();
        let frame = self.control.len() - 1;
        let FrameKind::Loop { header, params } = self.control[frame].kind else {
            unreachable!("a loop has been entered")
        };
        for _ in 1..copies + usize::from(one_more) {
            let next = self.header_of(ty)?;
            self.control[frame].kind = FrameKind::Loop { header: next, params };
            // All but the loop's `end`.
            for _ in 1..operators {
                self.operator(reader)?;
            }
            *reader = body.clone();
            self.fall_through();
            self.builder.seal_block(next);
            self.builder.switch_to_block(next);
            self.reachable = true;
            let height = self.control[frame].height;
            self.stack.truncate(height);
            self.stack.extend_from_slice(self.builder.block_params(next));
            self.builder.set_srcloc(start);
            self.check_metering();
        }
        self.control[frame].kind = FrameKind::Loop { header, params };
        Ok(header)
    }
}

/// How many operators the loop has that begins at the reader; `None` where it isn't to be unrolled: it is large, has loops within, or calls.
fn operators_of_loop(mut reader: OperatorsReader<'_>, read: &mut usize) -> Result<Option<usize>, CompileError> {
    let mut open = 1;
    let mut back = false;
    for count in 0..OPERATORS {
        let op = reader.read()?;
        *read += 1;
        match op {
            Operator::Block { .. } | Operator::If { .. } => open += 1,
            Operator::End => open -= 1,
            Operator::Br { relative_depth } | Operator::BrIf { relative_depth } if relative_depth == open - 1 => {
                back = true
            }
            Operator::Loop { .. } | Operator::Try { .. } | Operator::TryTable { .. } | Operator::BrTable { .. } => {
                return Ok(None);
            }
            _ if Properties::of(&op).calls != Calls::Nothing => return Ok(None),
            _ => {}
        }
        if open == 0 {
            return Ok(back.then_some(count + 1));
        }
    }
    Ok(None)
}
