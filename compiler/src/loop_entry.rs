//! A function that is entered at one of its loops, in the place of code that another tier has made of it and that has come so far: which loop
//! that is, and where the other code's frame has what the function has at its head.
//!
//! Loops are numbered in the order of the text, from 0.

use crate::CompileError;
use ampoule_core::types::ValType;
use wasmparser::{FunctionBody, Operator};

/// What the frame of a function holds at the head of a loop. Places are displacements from its frame pointer.
pub(crate) struct LoopEntry {
    /// Which loop that is.
    pub place: LoopPlace,
    /// Where each local is. One that is nowhere is zero.
    pub locals: Vec<Option<i32>>,
    /// Where the operands are, with the loop's parameters, which come last.
    pub operands: Vec<(ValType, i32)>,
    /// How many parameters the loop has.
    pub params: usize,
    /// Where the exceptions are that the clauses of old `try`s around the loop have caught.
    pub exceptions: Vec<i32>,
}

impl LoopEntry {
    /// Bytes below the frame pointer that any of it is in.
    pub fn len(&self) -> u32 {
        let operands = self.operands.iter().map(|&(_, place)| place);
        let all = self.locals.iter().copied().flatten().chain(operands).chain(self.exceptions.iter().copied());
        all.min().map_or(0, i32::unsigned_abs)
    }
}

/// Where a loop is in its function.
pub(crate) struct LoopPlace {
    /// The positions, in the module, of the blocks around it, outermost first, and at last its own.
    pub blocks: Vec<u64>,
    /// How many operators come before it.
    pub operators_before: u32,
}

impl LoopPlace {
    /// Of the loop of this number.
    ///
    /// # Errors
    /// [`CompileError`] where the function has fewer loops.
    pub fn find(body: &FunctionBody<'_>, number: u32) -> Result<Self, CompileError> {
        let mut reader = body.get_operators_reader()?;
        let (mut blocks, mut operators_before, mut loops) = (Vec::new(), 0, 0);
        while !reader.eof() {
            let (op, position) = reader.read_with_offset()?;
            match op {
                Operator::Loop { .. } => {
                    blocks.push(position);
                    if loops == number {
                        return Ok(Self { blocks, operators_before });
                    }
                    loops += 1;
                }
                Operator::Block { .. } | Operator::If { .. } | Operator::Try { .. } | Operator::TryTable { .. } => {
                    blocks.push(position);
                }
                Operator::End | Operator::Delegate { .. } => {
                    blocks.pop();
                }
                _ => {}
            }
            operators_before += 1;
        }
        Err(CompileError::new("the function has no such loop"))
    }
}
