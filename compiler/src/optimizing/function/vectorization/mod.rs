//! Vectorization: in front of a loop that goes through memory element by element, one that takes whole vectors of 16 bytes.
//!
//! [`body`] reads what an iteration does, [`plan`] finds out whether and how it is done to vectors, [`lanes`] what their lanes hold, [`emit`] makes
//! the code, with [`operators`] and [`reductions`]. The loop itself stays behind the vector loop: for what is left over, for what wasn't vectorized at
//! run time, and for whatever traps. A search goes through some elements one by one before: most end soon.
//!
//! What is right about it: the vector loop takes only iterations that go back to the loop's head, and all of whose accesses are in bounds, so that it
//! neither traps nor leaves anything half done. It stores what those iterations store, where no store could be seen by a load that it is moved
//! behind, and leaves the locals as those iterations do. All operators have equivalents on lanes, to the last bit; floats are never added up in
//! another order. Where a vector has what a search ends at, nothing of that vector is stored, and the loop itself finds it.
//!
//! No more iterations are taken than there is fuel for. The deadline is looked at before the first vector and then every few thousand bytes, which take
//! less than a microsecond or two: once it has been reached, the loop itself goes on, and looks where it would.
//!
//! Where the processor guesses how a branch goes, it may be in the vector loop without any iterations to take, or beyond the last of them. Where no
//! guard would stop it there, streams begin at address zero if there are none to take, and what would be behind the last vector is taken for that.
//!
//! Not done: to memories that are shared; where lanes would have to be wider than elements in memory, but for sums.

mod body;
mod emit;
mod lanes;
mod operators;
mod plan;
mod reductions;

use super::translator::{FrameKind, FuncTranslator, LocalPlace, Vectorized};
use super::unrolling::Unrolling;
use crate::CompileError;
use crate::optimizing::passes::Pass;
use ampoule_core::types::ValType;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{Block, InstBuilder, types};
use plan::Plan;
use wasmparser::{BlockType, OperatorsReader};

/// Operators of a loop that is vectorized, at most.
const OPERATORS: usize = 128;
/// Operators read to find out about loops, at most, in one function.
const READ: usize = 1 << 16;
/// Elements that are looked at one by one, before vectors of them are searched.
const SEARCHED_FIRST: usize = 32;
/// Loops vectorized in one function, at most.
const LOOPS: usize = 32;

/// Where the vector loop of a loop is.
pub(super) enum VectorLoop {
    /// In front of it.
    Before {
        /// Whether the loop's body is that of several iterations already.
        is_unrolled: bool,
    },
    /// Between a loop of so many copies of its body and the loop itself, because most searches end soon.
    Between(Planned, Unrolling),
}

/// A vector loop that is yet to be translated.
pub(super) struct Planned {
    plan: Box<Plan>,
    /// How often the loop goes back to its header before.
    after: usize,
}

impl<'a> FuncTranslator<'a> {
    /// Puts a vector loop in front of the loop that begins at `reader`, or plans one that is within, if one can do what it does.
    pub(super) fn vectorize(
        &mut self,
        ty: &BlockType,
        reader: &OperatorsReader<'a>,
    ) -> Result<Option<VectorLoop>, CompileError> {
        let around = self.cost_of_reader();
        let has_room = self.builder.func.dfg.num_values() + self.args_passed < self.budget.values / 2;
        let may = has_room && self.does(Pass::Vectorization);
        let Vectorized { loops, read } = &mut self.vectorized;
        let takes_nothing = matches!(ty, BlockType::Empty | BlockType::Type(_));
        if !may || !takes_nothing || *loops == LOOPS || *read + around + OPERATORS > READ {
            return Ok(None);
        }
        *read += around;
        let Some(body) = body::read(reader.clone(), &self.locals.places, OPERATORS, read)? else { return Ok(None) };
        let floats = !self.isa.flags().enable_nan_canonicalization();
        let may_access = |place: body::Place| !self.memory_type(place.memory).shared;
        let Some(mut plan) = plan::plan(body, floats, may_access) else { return Ok(None) };
        let vector_loop = if plan.searches.is_empty() {
            self.vector_loop(&mut plan);
            VectorLoop::Before { is_unrolled: plan.copies > 1 }
        } else if self.control.iter().any(|frame| matches!(frame.kind, FrameKind::Loop { .. })) {
            // In the inner loops of parsers and compressors searches end at once, and every register counts.
            return Ok(None);
        } else {
            let Some(copies) = self.copies_of_loop(reader)? else { return Ok(None) };
            self.unrolled.translated += copies.operators;
            let after = SEARCHED_FIRST.div_ceil(copies.copies * plan.copies as usize);
            VectorLoop::Between(Planned { plan: Box::new(plan), after }, copies)
        };
        self.vectorized.loops += 1;
        Ok(Some(vector_loop))
    }

    /// A place for how often a loop that begins has gone back to its header.
    pub(super) fn count_turns(&mut self) -> LocalPlace {
        let turns = self.local_place(ValType::I32);
        let none = self.builder.ins().iconst(types::I32, 0);
        self.write_local(turns, none);
        turns
    }

    /// Behind copies of a body, at what goes back to their header: the vector loop, once there have been enough turns, and then the loop
    /// itself. It is no part of a loop of which it comes back: the code generator would compute before that what it only needs here.
    pub(super) fn vector_loop_between(&mut self, mut planned: Planned, turns: LocalPlace, header: Block) {
        let before = self.read_local(turns, ValType::I32);
        let one = self.builder.ins().iconst(types::I32, 1);
        let count = self.builder.ins().iadd(before, one);
        self.write_local(turns, count);
        let is_other = self.builder.ins().icmp_imm_u(IntCC::NotEqual, count, planned.after as i64);
        let first = self.builder.create_block();
        self.builder.set_cold_block(first);
        self.builder.ins().brif(is_other, header, &[], first, &[]);
        self.builder.seal_block(header);
        self.builder.seal_block(first);
        self.builder.switch_to_block(first);
        self.vector_loop(&mut planned.plan);
        self.free_place(turns, ValType::I32);
        let rest = self.builder.create_block();
        self.builder.set_cold_block(rest);
        self.builder.ins().jump(rest, &[]);
        let frame = self.control.last_mut().expect("a loop has been entered");
        frame.kind = FrameKind::Loop { header: rest, params: 0 };
        self.builder.switch_to_block(rest);
        self.check_metering();
    }
}
