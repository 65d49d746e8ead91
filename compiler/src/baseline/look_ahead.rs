//! What a loop is going to ask for, told by its first operators.
//!
//! Whoever comes back to a loop's header brings what was in registers when the loop was entered, and nothing else. So it is worth a look which
//! locals the loop works with: those are loaded beforehand. The look goes a bounded number of operators far, for each loop anew, but all looks together
//! not much farther than the function is long, in bytes: an operator may be as long as a table of branches.

use super::translator::Translator;
use super::values::{Holds, Local};
use super::visitor::{OperatorKind, Receiver, Visitor};
use crate::CompileError;
use crate::operators::Calls;
use smallvec::SmallVec;
use wasmparser::{BinaryReader, Operator, OperatorsReader};

/// How many operators are looked at.
const OPERATORS: usize = 128;
/// How many bytes are looked at in a function for each that has been translated, and beyond that. The last look may go farther.
const LOOKED_EACH: usize = 2;
const LOOKED_MAX: usize = 1 << 12;
/// How many locals are noted.
const LOCALS: usize = 24;
/// How many registers of each class are left for operands.
const LEFT: usize = 5;

/// What is known of a local's use in a loop.
struct Use {
    local: u32,
    /// It is written before it is read.
    written_first: bool,
    written: bool,
}

/// The first operators of a loop.
struct Ahead {
    uses: SmallVec<[Use; LOCALS]>,
    /// Blocks that have begun and not ended, with the loop.
    depth: u32,
    /// All of the loop has been seen.
    complete: bool,
    /// Something is called: registers that are not kept are no use.
    calls: bool,
    /// How many bytes were looked at.
    looked: usize,
}

impl Ahead {
    /// Looks at the operators behind that which begins here, the loop.
    fn look(start: BinaryReader<'_>) -> Result<Self, CompileError> {
        let at = start.original_position();
        // A reader knows the blocks around it. This one takes the loop for the outermost: knowing all of them anew for each would cost the square.
        let mut reader = OperatorsReader::new(start);
        let mut ahead = Self { uses: SmallVec::new(), depth: 0, complete: false, calls: false, looked: 0 };
        ahead.read(&mut reader)?;
        ahead.looked = (reader.original_position() - at) as usize;
        Ok(ahead)
    }

    fn read(&mut self, reader: &mut OperatorsReader<'_>) -> Result<(), CompileError> {
        // The loop itself is the first.
        for _ in 0..=OPERATORS {
            reader.visit_operator(&mut Visitor(self))??;
            if self.depth == 0 {
                self.complete = self.uses.len() < LOCALS;
                break;
            }
        }
        Ok(())
    }

    fn note(&mut self, local: u32, written: bool) {
        if let Some(known) = self.uses.iter_mut().find(|known| known.local == local) {
            known.written |= written;
        } else if self.uses.len() < LOCALS {
            self.uses.push(Use { local, written_first: written, written });
        }
    }

    fn uses(&self, local: u32) -> Option<&Use> {
        self.uses.iter().find(|known| known.local == local)
    }
}

impl Receiver for Ahead {
    fn receive(&mut self, op: &Operator<'_>, kind: &'static OperatorKind) -> Result<(), CompileError> {
        match *op {
            Operator::LocalGet { local_index } => self.note(local_index, false),
            Operator::LocalSet { local_index } | Operator::LocalTee { local_index } => self.note(local_index, true),
            Operator::Block { .. }
            | Operator::Loop { .. }
            | Operator::If { .. }
            | Operator::Try { .. }
            | Operator::TryTable { .. } => self.depth += 1,
            Operator::End | Operator::Delegate { .. } => self.depth -= 1,
            _ => self.calls |= matches!(kind.properties.calls, Calls::Runtime | Calls::Functions),
        }
        Ok(())
    }
}

impl Translator<'_> {
    /// Has in registers what the loop that is the operator being translated is going to use.
    pub(super) fn prepare_loop(&mut self) -> Result<(), CompileError> {
        self.regs.end_operator();
        let start = self.position as usize;
        let translated = start - self.body_start;
        if self.looked > LOOKED_MAX + LOOKED_EACH * translated {
            // All is taken to be written.
            for reg in self.regs.used().iter() {
                if let Holds::Local(_) = self.regs.holds[reg.index()] {
                    self.regs.dirty.insert(reg);
                }
            }
            return Ok(());
        }
        let bytes = &self.input.bytes[start..self.body_start + self.body_len];
        let ahead = Ahead::look(BinaryReader::new(bytes, start as u64))?;
        self.looked += ahead.looked;
        for reg in self.regs.used().iter() {
            let Holds::Local(local) = self.regs.holds[reg.index()] else { continue };
            match ahead.uses(local) {
                // Who comes back brings it in a register: nobody has to write its home for that.
                Some(known) if known.written => self.regs.dirty.insert(reg),
                Some(_) => {}
                None if ahead.complete => self.vacate(reg),
                // It may be written later on.
                None => self.regs.dirty.insert(reg),
            }
        }
        for &Use { local, written_first, written } in &ahead.uses {
            let Local { kind, reg, .. } = self.locals[local as usize];
            if reg.is_some() || written_first || (ahead.calls && !kind.survives_calls()) {
                continue;
            }
            if self.regs.free(kind.class()) > LEFT {
                let reg = if ahead.calls { self.kept_local_reg(local) } else { Some(self.local_reg(local)) };
                if let Some(reg) = reg
                    && written
                {
                    self.regs.dirty.insert(reg);
                }
            }
        }
        self.regs.end_operator();
        Ok(())
    }
}
