//! A function that is entered at one of its loops.
//!
//! The whole body is translated, as ever. But the function's entry loads what the loop finds at its head, and leads there; the code from the body's
//! beginning on is one that nothing leads to, and goes away but for what comes round again in loops outside.
//!
//! So the loop's header is reached in two ways, and what was an operand below a block, a value known from its definition on, may now have two. The
//! operands below each block around the loop are variables: written where the block is entered, and read where it ends, which is where code can
//! reach them again. Of references among them nothing is known but that they are references: some checks stay that would have gone. Locals and the loop's
//! parameters have their types.

use super::translator::{FuncTranslator, LocalPlace};
use crate::CompileError;
use crate::loop_entry::LoopEntry;
use crate::optimizing::flags::Region;
use crate::optimizing::signature::clif_type;
use ampoule_core::types::ValType;
use ampoule_core::vm::VmStoreContext;
use cranelift_codegen::ir::{Block, BlockArg, InstBuilder, MemFlagsData, Value, types};
use smallvec::SmallVec;
use std::mem::offset_of;
use std::ops::Range;
use wasmparser::FunctionBody;

/// Where a function is entered, and what its frames are told apart by.
pub(super) struct Midway<'a> {
    entry: &'a LoopEntry,
    /// The loop's header, until it is reached.
    header: Option<Block>,
    /// Of the operands below the loop.
    operands: Vec<(LocalPlace, ValType)>,
    /// Of the exceptions that clauses around the loop have caught, outermost first.
    exceptions: Vec<LocalPlace>,
}

impl<'a> FuncTranslator<'a> {
    /// Fills the entry, and goes on where nothing leads to.
    pub(super) fn enter_midway(&mut self, entry: &'a LoopEntry, body: &FunctionBody<'_>) -> Result<(), CompileError> {
        let store = self.store_context();
        let flags = self.trusted(Region::Store);
        let replaced = offset_of!(VmStoreContext, replaced_frame) as i32;
        let frame = self.builder.ins().load(types::I64, flags, store, replaced);
        self.declare_locals_of(entry, body, frame)?;
        self.declare_metering();
        let (below, params) = entry.operands.split_at(entry.operands.len() - entry.params);
        let mut operands = Vec::with_capacity(below.len());
        for &(ty, home) in below {
            operands.push((self.load_place(ty, frame, home), ty));
        }
        let mut exceptions = Vec::with_capacity(entry.exceptions.len());
        for &home in &entry.exceptions {
            exceptions.push(self.load_place(ValType::EXNREF, frame, home));
        }
        let args: SmallVec<[BlockArg; 4]> =
            params.iter().map(|&(ty, home)| BlockArg::from(self.load_home(ty, frame, home))).collect();
        self.args_passed += entry.operands.len();
        let header = self.builder.create_block();
        self.builder.ins().jump(header, &args);
        self.midway = Some(Midway { entry, header: Some(header), operands, exceptions });
        self.stop_metering();
        let nowhere = self.builder.create_block();
        self.builder.seal_block(nowhere);
        self.builder.switch_to_block(nowhere);
        Ok(())
    }

    /// What a frame has at this displacement.
    pub(super) fn load_home(&mut self, ty: ValType, frame: Value, home: i32) -> Value {
        // Vectors are where there is space for them.
        let flags = MemFlagsData::new().with_notrap();
        let value = self.builder.ins().load(clif_type(ty), flags, frame, home);
        if ty.is_collected() {
            self.builder.declare_value_needs_stack_map(value);
        }
        value
    }

    /// The same for a local, which is zero where the frame has it nowhere.
    pub(super) fn load_home_or_zero(&mut self, ty: ValType, frame: Value, home: Option<i32>) -> Value {
        match home {
            Some(home) => self.load_home(ty, frame, home),
            None => self.zero(ty),
        }
    }

    /// A place of its own for what a frame has at this displacement.
    fn load_place(&mut self, ty: ValType, frame: Value, home: i32) -> LocalPlace {
        let value = self.load_home(ty, frame, home);
        let place = self.local_place(ty);
        self.write_local(place, value);
        place
    }

    /// Whether the loop is in the block whose beginning is being translated, or is that itself.
    pub(super) fn is_around_entry(&self) -> bool {
        let Some(midway) = &self.midway else { return false };
        let depth = self.control.len().checked_sub(1);
        depth.and_then(|depth| midway.entry.place.blocks.get(depth)) == Some(&self.operator_at)
    }

    /// The header of the loop whose beginning is being translated, if the function is entered there.
    pub(super) fn header_of_entry(&mut self) -> Option<Block> {
        let is_innermost = |midway: &Midway<'_>| midway.entry.place.blocks.len() == self.control.len();
        let is_it = self.is_around_entry() && self.midway.as_ref().is_some_and(is_innermost);
        self.midway.as_mut().filter(|_| is_it)?.header.take()
    }

    /// Before a block begins that takes so many parameters: what is below goes to variables, if the loop is inside.
    pub(super) fn keep_operands(&mut self, params: usize) {
        if let Some(around) = self.control.last()
            && self.is_around_entry()
        {
            for index in around.height..self.stack.len() - params {
                let place = self.midway.as_ref().expect("it is around its loop").operands[index].0;
                self.write_local(place, self.stack[index]);
                self.args_passed += 1;
            }
        }
    }

    /// Behind a block that the loop is in, or at a copy of what is there: reads again what is below it.
    pub(super) fn restore_operands(&mut self, below: Range<usize>) {
        for index in below {
            let (place, ty) = self.midway.as_ref().expect("a block is around its loop").operands[index];
            self.stack[index] = self.read_local(place, ty);
            self.args_passed += 1;
        }
    }

    /// Before a copy of what follows the block that many blocks out: reads again what is below it, if the loop is inside.
    pub(super) fn restore_below(&mut self, depth: u32) {
        let block = self.control.len() - 1 - depth as usize;
        if self.control[block].around_entry
            && let Some(around) = block.checked_sub(1)
        {
            self.restore_operands(self.control[around].height..self.control[block].height);
        }
    }

    /// The place for the exception that a clause of the innermost block has caught.
    pub(super) fn exception_place(&mut self) -> LocalPlace {
        let (block, around) = self.control.split_last().expect("a clause is of a block");
        if let Some(midway) = &self.midway
            && block.around_entry
        {
            let clauses = around.iter().filter(|frame| frame.around_entry && frame.is_clause()).count();
            if let Some(&place) = midway.exceptions.get(clauses) {
                return place;
            }
        }
        self.local_place(ValType::EXNREF)
    }

    /// Whether the function can be entered: its loop has been reached.
    pub(super) fn check_midway(&self) -> Result<(), CompileError> {
        match &self.midway {
            Some(Midway { header: Some(_), .. }) => Err(CompileError::new("nothing leads to the loop")),
            _ => Ok(()),
        }
    }
}
