//! Vectorization: in front of a loop that goes through memory element by element, one that takes whole vectors of 16 bytes.
//!
//! [`body`] reads what an iteration does, [`plan`] finds out whether and how it is done to vectors, [`lanes`] what their lanes hold, [`emit`] makes the code.
//! The loop itself stays behind the vector loop: for what is left over, for what wasn't vectorized at run time, and for whatever traps.
//!
//! What is right about it: the vector loop takes only iterations that go back to the loop's head, all of whose accesses are in bounds, so that it neither traps nor leaves
//! anything half done. It stores what those iterations store, where no store could be seen by a load that it is moved behind, and leaves
//! the locals as those iterations do. All operators have equivalents on lanes, to the last bit; floats are never added up in another order. Where a vector has what
//! a search ends at, nothing of that vector is stored, and the loop itself finds it.
//!
//! Not done: with fuel, deadlines or cancellation, which are looked at in each iteration; to memories that are shared, or whose bounds are checked by code that must
//! also hold where the processor guesses.

mod body;
mod emit;
mod lanes;
mod plan;

use super::translator::{FuncTranslator, Vectorized};
use crate::CompileError;
use crate::optimizing::passes::Pass;
use ampoule_core::tunables::{IndexCheck, MemoryPlan};
use plan::VECTOR;
use wasmparser::{BlockType, OperatorsReader};

/// Operators of a loop that is vectorized, at most.
const OPERATORS: usize = 128;
/// Operators read to find out about loops, at most, in one function.
const READ: usize = 1 << 16;
/// Loops vectorized in one function, at most.
const LOOPS: usize = 32;

/// A loop that a vector loop has been put in front of.
pub(super) struct VectorLoop {
    /// Whether its body is that of several iterations already.
    pub is_unrolled: bool,
}

impl<'a> FuncTranslator<'a> {
    /// Puts a vector loop in front of the loop that begins at `reader`, if one can do what it does.
    pub(super) fn vectorize(
        &mut self,
        ty: &BlockType,
        reader: &OperatorsReader<'a>,
    ) -> Result<Option<VectorLoop>, CompileError> {
        let tunables = self.tunables();
        let around = self.cost_of_reader();
        let has_room = self.builder.func.dfg.num_values() + self.args_passed < self.budget.values / 2;
        let may = has_room && self.does(Pass::Vectorization) && !tunables.consume_fuel && !tunables.interruptible();
        let Vectorized { loops, read } = &mut self.vectorized;
        let takes_nothing = matches!(ty, BlockType::Empty | BlockType::Type(_));
        if !may || !takes_nothing || *loops == LOOPS || *read + around + OPERATORS > READ {
            return Ok(None);
        }
        *read += around;
        let Some(body) = body::read(reader.clone(), &self.locals.places, OPERATORS, read)? else { return Ok(None) };
        let floats = !self.isa.flags().enable_nan_canonicalization();
        let may_access = |place: body::Place| {
            let ty = self.memory_type(place.memory);
            let reach = place.offset.saturating_add(VECTOR.into());
            let check = MemoryPlan::new(&ty, tunables).index_check(&ty, reach);
            !ty.shared && (check == IndexCheck::Nothing || !tunables.spectre_mitigation)
        };
        let Some(mut plan) = plan::plan(body, floats, may_access) else { return Ok(None) };
        self.vectorized.loops += 1;
        self.vector_loop(&mut plan);
        Ok(Some(VectorLoop { is_unrolled: plan.copies > 1 }))
    }
}
