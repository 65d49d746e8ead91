//! Unrolling: the body of a small innermost loop is translated several times in a row.
//!
//! What goes round comes to the next copy, and from the last one to the loop's header; the ways out of the loop are those of each copy. Nothing is
//! known of how often the loop goes round, and nothing has to be: each copy looks for itself. What is saved are the jump back, and the moves that
//! bring what an iteration leaves to where the next one looks for it; a branch that is predicted by its address gets several; and what
//! an iteration leaves in memory or registers is known in the next.
//!
//! Fuel and deadlines are looked at before each iteration. To do without that in the copies, the header finds out whether any of them would find
//! something: whether fuel could run out before the last of them, or the deadline has been reached. If so, one more copy, in a cold place,
//! looks as the loop would, goes round once, and leads back to the header. So a guest stops and yields where it would.

use super::translator::{FrameKind, FuncTranslator, Unrolled};
use crate::CompileError;
use crate::operators::{Calls, Properties};
use crate::optimizing::passes::Pass;
use cranelift_codegen::ir::Block;
use wasmparser::{BlockType, Operator, OperatorsReader};

/// Copies of a loop's body.
const COPIES: usize = 2;
/// The same for a small loop.
const COPIES_OF_SMALL: usize = 4;
/// Operators translated again in one function, at most.
const TRANSLATED: usize = 4096;
/// Operators read to find out about loops, at most, in one function.
const READ: usize = 1 << 16;

/// Which loops are unrolled.
struct Limits {
    /// Operators, at most.
    operators: usize,
    /// Operators of a loop that is small, at most.
    small: usize,
}

/// In functions that are known to run often.
const HOT: Limits = Limits { operators: 96, small: 48 };
/// In others: most of what is compiled ahead never runs long, and time is in proportion to what is made.
const UNKNOWN: Limits = Limits { operators: 32, small: 16 };

/// A loop that is to be unrolled.
pub(super) struct Unrolling {
    /// Its operators, with its `end`.
    pub operators: usize,
    /// Copies of its body.
    pub copies: usize,
    /// Units of fuel that an iteration takes at most.
    fuel: i64,
}

impl<'a> FuncTranslator<'a> {
    /// How the loop that begins at `reader` is to be unrolled, if it is.
    pub(super) fn unrolling(&mut self, reader: &OperatorsReader<'a>) -> Result<Option<Unrolling>, CompileError> {
        if self.does(Pass::Unrolling) { self.copies_of_loop(reader) } else { Ok(None) }
    }

    /// As many copies of the loop as it may have.
    pub(super) fn copies_of_loop(&mut self, reader: &OperatorsReader<'a>) -> Result<Option<Unrolling>, CompileError> {
        let around = self.cost_of_reader();
        let metered = self.is_metered();
        let limits = if self.is_hot() { HOT } else { UNKNOWN };
        let Unrolled { translated, read } = &mut self.unrolled;
        if *read + around + limits.operators > READ {
            return Ok(None);
        }
        *read += around;
        let Some((operators, fuel)) = operators_of_loop(reader.clone(), limits.operators, read)? else {
            return Ok(None);
        };
        let copies = if operators <= limits.small { COPIES_OF_SMALL } else { COPIES };
        let more = operators * (copies - 1 + usize::from(metered));
        if *translated + more > TRANSLATED {
            return Ok(None);
        }
        *translated += more;
        Ok(Some(Unrolling { operators, copies, fuel }))
    }

    /// Begins a loop that is unrolled. The last copy of its body is left to the caller; or one more. Gives the loop's header.
    pub(super) fn unroll(
        &mut self,
        ty: &BlockType,
        reader: &mut OperatorsReader<'a>,
        Unrolling { operators, copies, fuel }: Unrolling,
        one_more: bool,
    ) -> Result<Block, CompileError> {
        let header = self.open_loop(ty)?;
        // All but the loop's `end`.
        let body = operators - 1;
        if self.is_metered() {
            let (watched, next) = self.branch_if_metering_is_near((copies as i64 - 1) * fuel);
            let first = self.builder.func.dfg.num_blocks();
            self.builder.switch_to_block(watched);
            self.check_metering();
            self.copy_of_loop(body, reader, header)?;
            for block in first..self.builder.func.dfg.num_blocks() {
                self.builder.set_cold_block(Block::from_u32(block as u32));
            }
            self.begin_copy(next, header);
            self.metering.owed = None;
        }
        for _ in 1..copies + usize::from(one_more) {
            let next = self.header_of(ty)?;
            self.copy_of_loop(body, reader, next)?;
            self.builder.seal_block(next);
            self.begin_copy(next, next);
        }
        self.set_loop_header(header);
        Ok(header)
    }

    /// Translates the body of the innermost loop, so many operators, from whose end branches to the loop lead to `next`. The reader stays.
    fn copy_of_loop(
        &mut self,
        operators: usize,
        reader: &mut OperatorsReader<'a>,
        next: Block,
    ) -> Result<(), CompileError> {
        let (beginning, start) = (reader.clone(), self.builder.srcloc());
        self.set_loop_header(next);
        for _ in 0..operators {
            self.operator(reader)?;
        }
        *reader = beginning;
        self.fall_through();
        self.builder.set_srcloc(start);
        Ok(())
    }

    /// Goes on in a block at the beginning of the innermost loop's body, with what this header has been given.
    fn begin_copy(&mut self, block: Block, header: Block) {
        self.builder.switch_to_block(block);
        self.reachable = true;
        self.restore_params(header);
        let owed = self.control.last_mut().and_then(|frame| frame.back_owed.take());
        self.metering.owed = owed.flatten();
    }

    /// Where branches to the innermost loop lead.
    fn set_loop_header(&mut self, next: Block) {
        let frame = self.control.last_mut().expect("a loop has been entered");
        let FrameKind::Loop { header, .. } = &mut frame.kind else { unreachable!("it is a loop") };
        *header = next;
    }
}

/// How many operators the loop has that begins at the reader, and how much fuel they take; `None` where it isn't to be unrolled: it is large, has loops within, or calls.
fn operators_of_loop(
    mut reader: OperatorsReader<'_>,
    max: usize,
    read: &mut usize,
) -> Result<Option<(usize, i64)>, CompileError> {
    let (mut open, mut fuel) = (1, 0);
    let mut back = false;
    for count in 0..max {
        let op = reader.read()?;
        *read += 1;
        let properties = Properties::of(&op);
        fuel += i64::from(properties.fuel);
        match op {
            Operator::Block { .. } | Operator::If { .. } => open += 1,
            Operator::End => open -= 1,
            Operator::Br { relative_depth } | Operator::BrIf { relative_depth } if relative_depth == open - 1 => {
                back = true
            }
            Operator::Loop { .. } | Operator::Try { .. } | Operator::TryTable { .. } | Operator::BrTable { .. } => {
                return Ok(None);
            }
            _ if properties.calls != Calls::Nothing => return Ok(None),
            _ => {}
        }
        if open == 0 {
            return Ok(back.then_some((count + 1, fuel)));
        }
    }
    Ok(None)
}
