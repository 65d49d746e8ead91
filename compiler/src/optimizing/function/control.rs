//! Blocks, branches, and what is unreachable.

use super::translator::{ControlFrame, FrameKind, FuncTranslator, Types};
use crate::CompileError;
use crate::optimizing::signature::{RETURN_SLOT, clif_type};
use ampoule_core::decode::val_type;
use ampoule_core::index::{TagIndex, TypeIndex};
use ampoule_core::trap::TrapCode;
use ampoule_core::types::{FuncType, ValType};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{Block, BlockArg, BlockCall, InstBuilder, JumpTableData, MemFlagsData, Value};
use smallvec::SmallVec;
use std::collections::HashMap;
use wasmparser::{BlockType, Operator};

type Args = SmallVec<[BlockArg; 4]>;

impl FuncTranslator<'_> {
    /// The frame of a function's body, to whose end `return` and the last `end` lead.
    pub(super) fn push_body_frame(&mut self, ty: &FuncType) {
        self.push_frame(FrameKind::Block, ty.results().iter().copied().collect(), 0);
    }

    /// Translates `block`, `br` and similar operators, and those without effect on anything but the stack.
    pub(super) fn control_operator(&mut self, op: &Operator<'_>) -> Result<bool, CompileError> {
        match op {
            Operator::Nop => {}
            Operator::Unreachable => self.trap(TrapCode::Unreachable),
            Operator::Block { blockty } => self.enter_block(blockty)?,
            Operator::Loop { blockty } => self.enter_loop(blockty)?,
            Operator::If { blockty } => self.enter_if(blockty)?,
            Operator::Else => self.enter_else(),
            Operator::End => self.end(),
            Operator::Br { relative_depth } => self.jump_out_of(*relative_depth),
            Operator::BrIf { relative_depth } => {
                let condition = self.pop();
                self.settle_metering();
                let (target, args) = self.branch_target(*relative_depth);
                self.branch(condition, *relative_depth, (target, &args));
            }
            Operator::BrOnNull { relative_depth } => self.branch_on_null(*relative_depth),
            Operator::BrOnNonNull { relative_depth } => self.branch_on_non_null(*relative_depth),
            Operator::BrTable { targets } => self.branch_table(targets)?,
            Operator::Return => match self.inlining.frame() {
                Some(frame) => self.jump_to_end_of(frame),
                None => self.return_results(),
            },
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn branch_on_null(&mut self, depth: u32) {
        let reference = self.pop();
        self.settle_metering();
        let null = self.is_null(reference);
        self.branch_out_if(null, depth);
        self.push(reference);
    }

    fn branch_on_non_null(&mut self, depth: u32) {
        self.settle_metering();
        let reference = *self.stack.last().expect("validation counted the operands");
        let null = self.is_null(reference);
        let non_null = self.inverse(null);
        self.branch_out_if(non_null, depth);
        self.pop();
    }

    /// Branches out of that many blocks where a condition holds, with the uppermost operands.
    pub(super) fn branch_out_if(&mut self, condition: Value, depth: u32) {
        let (target, args) = self.branch_target(depth);
        self.branch(condition, depth, (target, &args));
    }

    /// Branches out of that many blocks where a condition holds, and goes on in a block of its own.
    fn branch(&mut self, condition: Value, depth: u32, (target, args): (Block, &Args)) {
        let next = self.builder.create_block();
        match self.branch_hint() {
            // The target has other callers, so it is the way there that is made cold.
            Some(false) => {
                let cold = self.builder.create_block();
                self.builder.set_cold_block(cold);
                self.builder.ins().brif(condition, cold, &[], next, &[]);
                self.builder.seal_block(cold);
                self.builder.switch_to_block(cold);
                self.builder.ins().jump(target, args);
            }
            Some(true) => {
                self.builder.set_cold_block(next);
                self.builder.ins().brif(condition, target, args, next, &[]);
            }
            None if self.leads_back(depth) && !self.leads_to_copy(target) => {
                self.builder.ins().brif(condition, target, args, next, &[]);
            }
            // What follows is named first. The other way round, values that are taken along would be moved in a block right
            // behind the branch, over which the way straight on would have to jump; and where what follows is there to
            // leave a loop ("if not so, go out"), it would be visited too early: see `branch_cold`.
            None => {
                let otherwise = self.inverse(condition);
                self.builder.ins().brif(otherwise, next, &[], target, args);
            }
        }
        self.builder.seal_block(next);
        self.builder.switch_to_block(next);
    }

    /// What the module says of the branch that is being translated: whether it is likely to be taken.
    fn branch_hint(&self) -> Option<bool> {
        let hints = &self.input.module.branch_hints;
        let found = hints.binary_search_by_key(&self.operator_at, |&(offset, _)| offset).ok()?;
        Some(hints[found].1)
    }

    /// Whether a branch leads to the next copy of a loop's body, and what the copies before it have spent is added up where it isn't taken. There
    /// the loop is left, and the copies are to follow each other without that in between.
    fn leads_to_copy(&self, target: Block) -> bool {
        self.metering.fuel.is_some() && !self.builder.func.layout.is_block_inserted(target)
    }

    fn jump_out_of(&mut self, depth: u32) {
        self.settle_metering();
        let (target, args) = self.branch_target(depth);
        self.builder.ins().jump(target, &args);
        self.stop();
    }

    /// Leaves the frame at this place among the enclosing ones.
    fn jump_to_end_of(&mut self, frame: usize) {
        self.jump_out_of((self.control.len() - 1 - frame) as u32);
    }

    /// Follows the nesting of code that can't be reached.
    pub(super) fn unreachable_operator(&mut self, op: &Operator<'_>) -> Result<(), CompileError> {
        match op {
            Operator::Block { .. }
            | Operator::Loop { .. }
            | Operator::If { .. }
            | Operator::TryTable { .. }
            | Operator::Try { .. } => {
                let end = self.builder.create_block();
                let height = self.stack.len();
                self.control.push(ControlFrame {
                    kind: FrameKind::Block,
                    end,
                    height,
                    results: SmallVec::new(),
                    entered: false,
                    end_used: false,
                    end_owed: None,
                    back_owed: None,
                    arm: None,
                    around_entry: false,
                });
            }
            Operator::Else => self.enter_else(),
            Operator::Catch { tag_index } => self.enter_catch(Some(TagIndex(*tag_index))),
            Operator::CatchAll => self.enter_catch(None),
            Operator::Delegate { relative_depth } => self.delegate(*relative_depth),
            Operator::End => self.end(),
            _ => {}
        }
        Ok(())
    }

    /// Leaves the function with the results on the stack.
    pub(super) fn return_results(&mut self) {
        self.leave_metering();
        let first = self.stack.len() - self.func_type.results().len();
        if let Some(area) = self.return_area {
            for (position, &result) in self.stack[first..].iter().enumerate() {
                let offset = position as i32 * RETURN_SLOT as i32;
                self.builder.ins().store(MemFlagsData::trusted(), result, area, offset);
            }
            self.builder.ins().return_(&[]);
        } else {
            self.builder.ins().return_(&self.stack[first..]);
        }
        self.stop();
    }

    /// What follows can't be reached.
    pub(super) fn stop(&mut self) {
        self.stop_metering();
        self.reachable = false;
    }

    /// Parameter and result types of a block.
    fn block_type(&self, ty: &BlockType) -> Result<(Types, Types), CompileError> {
        Ok(match *ty {
            BlockType::Empty => (SmallVec::new(), SmallVec::new()),
            BlockType::Type(ty) => {
                (SmallVec::new(), [val_type(ty, self.input.module).map_err(CompileError::new)?].into_iter().collect())
            }
            BlockType::FuncType(index) => {
                let ty = self.input.module.declared_func(TypeIndex(index));
                (ty.params().iter().copied().collect(), ty.results().iter().copied().collect())
            }
        })
    }

    /// A block, or what is like one but for exceptions.
    pub(super) fn enter_block(&mut self, ty: &BlockType) -> Result<(), CompileError> {
        let (params, results) = self.block_type(ty)?;
        self.keep_operands(params.len());
        self.push_frame(FrameKind::Block, results, params.len());
        Ok(())
    }

    pub(super) fn push_frame(&mut self, kind: FrameKind, results: Types, params: usize) {
        let end = self.block_with(&results);
        let height = self.stack.len() - params;
        let around_entry = self.is_around_entry();
        let (entered, end_used, end_owed, back_owed, arm) = (true, false, None, None, None);
        let frame =
            ControlFrame { kind, end, height, results, entered, end_used, end_owed, back_owed, arm, around_entry };
        self.control.push(frame);
    }

    /// A block with parameters of these types.
    fn block_with(&mut self, tys: &[ValType]) -> Block {
        let block = self.builder.create_block();
        self.append_params(block, tys);
        block
    }

    /// A block with the parameters of a block of this type.
    pub(super) fn header_of(&mut self, ty: &BlockType) -> Result<Block, CompileError> {
        let (params, _) = self.block_type(ty)?;
        Ok(self.block_with(&params))
    }

    fn append_params(&mut self, block: Block, tys: &[ValType]) {
        for &ty in tys {
            let param = self.builder.append_block_param(block, clif_type(ty));
            self.note_type(param, ty);
        }
    }

    fn enter_loop(&mut self, ty: &BlockType) -> Result<(), CompileError> {
        self.open_loop(ty)?;
        self.check_metering();
        Ok(())
    }

    /// Enters a loop up to where it looks at fuel and deadline. Returns its header.
    pub(super) fn open_loop(&mut self, ty: &BlockType) -> Result<Block, CompileError> {
        let (params, results) = self.block_type(ty)?;
        self.settle_metering();
        self.keep_operands(params.len());
        let counters = std::mem::take(&mut self.entered);
        let header = match self.header_of_entry() {
            Some(header) => {
                self.append_params(header, &params);
                header
            }
            None => self.block_with(&params),
        };
        let args = self.args(params.len());
        self.builder.ins().jump(header, &args);
        self.push_frame(FrameKind::Loop { header, params: params.len() }, results, params.len());
        self.builder.switch_to_block(header);
        self.restore_params(header);
        self.metering.owed = None;
        // A loop in which the function is entered has been counted already, from who knows where.
        if !self.is_around_entry() {
            self.note_counters(counters);
        }
        Ok(header)
    }

    /// Puts what a header of the innermost loop was given where the loop's parameters are.
    pub(super) fn restore_params(&mut self, header: Block) {
        let frame = self.control.last().expect("it has been entered");
        let FrameKind::Loop { params, .. } = frame.kind else { unreachable!("it is a loop") };
        self.stack.truncate(frame.height);
        // Behind them come those for variables that have been read.
        self.stack.extend_from_slice(&self.builder.block_params(header)[..params]);
    }

    fn enter_if(&mut self, ty: &BlockType) -> Result<(), CompileError> {
        let condition = self.pop();
        let (params, results) = self.block_type(ty)?;
        self.settle_metering();
        self.keep_operands(params.len());
        let then = self.builder.create_block();
        let otherwise = self.builder.create_block();
        let hint = self.branch_hint();
        match hint {
            Some(true) => self.builder.set_cold_block(otherwise),
            Some(false) => self.builder.set_cold_block(then),
            None => {}
        }
        self.builder.ins().brif(condition, then, &[], otherwise, &[]);
        self.builder.seal_block(then);
        self.builder.seal_block(otherwise);
        self.args_passed += params.len();
        let saved = self.stack[self.stack.len() - params.len()..].iter().copied().collect();
        let owed = self.metering.owed;
        self.push_frame(FrameKind::If { otherwise, params: saved, owed }, results, params.len());
        self.control.last_mut().expect("it was just entered").arm = hint.is_none().then_some(then);
        self.builder.switch_to_block(then);
        Ok(())
    }

    fn enter_else(&mut self) {
        self.fall_through();
        let frame = self.control.last_mut().expect("validation matched the blocks");
        if let FrameKind::If { otherwise, params, owed } = std::mem::replace(&mut frame.kind, FrameKind::Block) {
            frame.arm = frame.arm.map(|_| otherwise);
            self.stack.truncate(frame.height);
            self.stack.extend(params);
            self.metering.owed = owed;
            self.reachable = true;
            self.builder.switch_to_block(otherwise);
        }
    }

    /// The arm of an `if` that throws is taken to be unlikely.
    pub(super) fn throws_here(&mut self) {
        if let Some(arm) = self.control.last().and_then(|frame| frame.arm)
            && let Some(here) = self.builder.current_block()
        {
            self.builder.set_cold_block(arm);
            self.builder.set_cold_block(here);
        }
    }

    pub(super) fn end(&mut self) {
        self.fall_through();
        // The other arm of an `if` without `else` hands the parameters on.
        if let Some(ControlFrame { kind: FrameKind::If { .. }, .. }) = self.control.last() {
            self.enter_else();
            self.fall_through();
        }
        self.end_scope();
        let frame = self.control.pop().expect("validation matched the blocks");
        self.stack.truncate(frame.height);
        if let FrameKind::Loop { header, .. } = frame.kind {
            self.builder.seal_block(header);
        }
        self.metering.owed = frame.end_owed;
        self.reachable = frame.end_used;
        if !frame.end_used {
            return;
        }
        self.builder.seal_block(frame.end);
        self.builder.switch_to_block(frame.end);
        // First: reading variables may give the block more parameters.
        self.stack.extend_from_slice(self.builder.block_params(frame.end));
        if frame.around_entry
            && let Some(around) = self.control.last()
        {
            self.restore_operands(around.height..frame.height);
        }
        if self.control.is_empty() {
            self.return_results();
        }
    }

    /// Leads from the end of an arm or body to the end of its frame.
    pub(super) fn fall_through(&mut self) {
        if !self.reachable {
            return;
        }
        self.settle_metering();
        let frame = self.control.last_mut().expect("validation matched the blocks");
        debug_assert!(frame.entered);
        frame.use_end(self.metering.owed);
        let (end, count) = (frame.end, frame.results.len());
        let args = self.args(count);
        self.builder.ins().jump(end, &args);
        self.reachable = false;
    }

    /// The uppermost operands, which stay on the stack.
    fn args(&mut self, count: usize) -> Args {
        self.args_passed += count;
        self.stack[self.stack.len() - count..].iter().map(|&value| BlockArg::from(value)).collect()
    }

    /// Where a branch out of that many blocks leads, and what it takes along.
    fn branch_target(&mut self, depth: u32) -> (Block, Args) {
        let (target, count) = self.branch_target_block(depth);
        (target, self.args(count))
    }

    /// Whether a branch out of that many blocks leads to the beginning of a loop.
    fn leads_back(&self, depth: u32) -> bool {
        matches!(self.control[self.control.len() - 1 - depth as usize].kind, FrameKind::Loop { .. })
    }

    /// Of a branch that leads forwards in the body of a loop, and takes nothing along: where to, with which height of the stack, the
    /// loop's header, and where the loop ends. The loop has neither parameters nor results.
    pub(super) fn block_in_loop(&self, depth: u32) -> Option<(Block, usize, Block, Block)> {
        let target = self.control.len() - 1 - depth as usize;
        let [around, block] = self.control.get(target.checked_sub(1)?..=target)? else { return None };
        match (&around.kind, &block.kind) {
            (_, FrameKind::Loop { .. }) => None,
            (FrameKind::Loop { header, params: 0 }, _) if around.results.is_empty() && block.results.is_empty() => {
                Some((block.end, block.height, *header, around.end))
            }
            _ => None,
        }
    }

    /// Notes that something leads to the header and the end of the loop around the block that many blocks out.
    pub(super) fn use_loop(&mut self, depth: u32) {
        let around = self.control.len() - 2 - depth as usize;
        self.control[around].use_back(self.metering.owed);
        self.control[around].use_end(self.metering.owed);
    }

    /// Where a branch out of that many blocks leads, and how many values it takes along.
    fn branch_target_block(&mut self, depth: u32) -> (Block, usize) {
        self.target_of(self.control.len() - 1 - depth as usize)
    }

    /// Where a branch to the block at this place among the enclosing ones leads, and how many values it takes along.
    pub(super) fn target_of(&mut self, frame: usize) -> (Block, usize) {
        let frame = &mut self.control[frame];
        match frame.kind {
            FrameKind::Loop { header, params } => {
                frame.use_back(self.metering.owed);
                (header, params)
            }
            _ => {
                frame.use_end(self.metering.owed);
                (frame.end, frame.results.len())
            }
        }
    }

    fn branch_table(&mut self, targets: &wasmparser::BrTable<'_>) -> Result<(), CompileError> {
        let index = self.pop();
        self.settle_metering();
        let depths = targets.targets().collect::<Result<Vec<u32>, _>>()?;
        // Branches that take values along do so in a block for each target, not in every entry of the table.
        let mut steps = HashMap::new();
        match segments(&depths, targets.default()) {
            Some(segments) => self.branch_to_segment(index, &segments, &mut steps),
            None => {
                let mut call = |depth| {
                    let target = self.table_entry(depth, &mut steps);
                    self.builder.func.dfg.block_call(target, &[])
                };
                let calls: Vec<BlockCall> = depths.into_iter().map(&mut call).collect();
                let default = call(targets.default());
                let table = self.builder.create_jump_table(JumpTableData::new(default, &calls));
                self.builder.ins().br_table(index, table);
            }
        }
        let mut steps: Vec<_> = steps.into_iter().collect();
        steps.sort_unstable_by_key(|&(_, step)| step);
        for (depth, step) in steps {
            self.builder.seal_block(step);
            self.builder.switch_to_block(step);
            let (target, args) = self.branch_target(depth);
            self.builder.ins().jump(target, &args);
        }
        self.stop();
        Ok(())
    }

    /// Branches to where the segment leads that an index is in, by halving.
    fn branch_to_segment(&mut self, index: Value, segments: &[Segment], steps: &mut HashMap<u32, Block>) {
        if let [segment] = segments {
            let target = self.table_entry(segment.depth, steps);
            self.builder.ins().jump(target, &[]);
            return;
        }
        let (lower, upper) = segments.split_at(segments.len() / 2);
        let below = self.builder.ins().icmp_imm_u(IntCC::UnsignedLessThan, index, upper[0].first as i64);
        let mut way = |t: &mut Self, half: &[Segment]| match half {
            [segment] => (t.table_entry(segment.depth, steps), true),
            _ => (t.builder.create_block(), false),
        };
        let (lower_way, upper_way) = (way(self, lower), way(self, upper));
        self.builder.ins().brif(below, lower_way.0, &[], upper_way.0, &[]);
        for ((block, is_target), half) in [(lower_way, lower), (upper_way, upper)] {
            if !is_target {
                self.builder.seal_block(block);
                self.builder.switch_to_block(block);
                self.branch_to_segment(index, half, steps);
            }
        }
    }

    /// Where an entry of a branch table leads. `steps` has the blocks made for targets that take values, by depth.
    fn table_entry(&mut self, depth: u32, steps: &mut HashMap<u32, Block>) -> Block {
        match self.branch_target_block(depth) {
            (target, 0) => target,
            _ => *steps.entry(depth).or_insert_with(|| self.builder.create_block()),
        }
    }
}

/// Segments of a branch table that are told apart by comparisons, at most. A table takes a jump whose target is loaded, and which is harder to predict.
const SEGMENTS: usize = 8;

/// Entries of a branch table that lead to the same place, up to the next segment.
struct Segment {
    first: usize,
    depth: u32,
}

/// The segments of a branch table, with what is behind its entries, if they are few.
fn segments(depths: &[u32], default: u32) -> Option<SmallVec<[Segment; SEGMENTS]>> {
    let mut segments: SmallVec<[Segment; SEGMENTS]> = SmallVec::new();
    for (first, &depth) in depths.iter().chain([&default]).enumerate() {
        if segments.last().is_none_or(|before| before.depth != depth) {
            if segments.len() == SEGMENTS {
                return None;
            }
            segments.push(Segment { first, depth });
        }
    }
    Some(segments)
}
