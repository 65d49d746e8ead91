//! Exceptions: what throws, and where that leads.
//!
//! A `try_table` (or an old `try`) with clauses opens a [`Scope`]. A call inside of it that is left by an exception goes on in the scope's
//! *dispatch*: one block, whatever leads there, which compares the exception's tag with those of the clauses, and goes on in the dispatch of
//! the scope around it where none fits. What no scope of the function wants is thrown on to its callers. So the code grows with the text: a
//! call has one handler, a clause one comparison.
//!
//! Scopes are of the function that the code becomes part of: those around a call hold for the body that is inlined for it.
//!
//! A `throw` finds its clause here, where that can be told: it becomes a branch, without an exception where the clause takes no reference.
//! Two tags of a module are the same only if they have one index, or are both imported: then their numbers are compared.
//!
//! A dispatch reads again what metering keeps in variables, as code behind a call does: the callee has spent fuel before it threw.

use super::translator::{Caught, FrameKind, FuncTranslator, Scope};
use crate::CompileError;
use crate::catch_clause::Clause;
use crate::optimizing::signature::clif_type;
use ampoule_core::builtins::Builtin;
use ampoule_core::index::TagIndex;
use ampoule_core::trap::TrapCode;
use ampoule_core::types::ValType;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{Block, BlockArg, InstBuilder, Value, types};
use smallvec::SmallVec;
use wasmparser::{BlockType, Operator, TryTable};

/// Clauses that a `throw` is compared with, at most, before it leaves that to a dispatch: a few bytes can throw through thousands.
const CLAUSES_SEEN: usize = 32;

impl FuncTranslator<'_> {
    /// Translates `throw`, `try_table` and the like, old ones too.
    pub(super) fn exception_operator(&mut self, op: &Operator<'_>) -> Result<bool, CompileError> {
        match op {
            Operator::TryTable { try_table } => self.enter_try_table(try_table)?,
            Operator::Throw { tag_index } => self.throw(TagIndex(*tag_index)),
            Operator::ThrowRef => {
                let exception = self.pop();
                let null = self.builder.ins().icmp_imm_s(IntCC::Equal, exception, 0);
                self.trap_if(null, TrapCode::NullReference);
                self.throw_exception(exception);
            }
            Operator::Try { blockty } => self.enter_try(blockty)?,
            Operator::Catch { tag_index } => self.enter_catch(Some(TagIndex(*tag_index))),
            Operator::CatchAll => self.enter_catch(None),
            Operator::Rethrow { relative_depth } => {
                let frame = &self.control[self.control.len() - 1 - *relative_depth as usize];
                let FrameKind::Catch { exception: Some(place), .. } = frame.kind else {
                    unreachable!("validation saw to it that this is within a clause, which is reached")
                };
                let exception = self.read_local(place, ValType::EXNREF);
                self.throw_exception(exception);
            }
            Operator::Delegate { relative_depth } => self.delegate(*relative_depth),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Where what is called here goes on when it throws; `None` where that is no matter of this function.
    pub(super) fn handler(&mut self) -> Option<Block> {
        let innermost = self.scopes.len().checked_sub(1)?;
        Some(self.dispatch(innermost))
    }

    /// The dispatch of a scope. It gets the exception in 64 bits, as handlers do.
    fn dispatch(&mut self, scope: usize) -> Block {
        if let Some(block) = self.scopes[scope].dispatch {
            return block;
        }
        let block = self.builder.create_block();
        self.builder.set_cold_block(block);
        self.builder.append_block_param(block, types::I64);
        *self.scopes[scope].dispatch.insert(block)
    }

    fn enter_try_table(&mut self, table: &TryTable) -> Result<(), CompileError> {
        let frame = self.control.len();
        self.enter_block(&table.ty)?;
        if !table.catches.is_empty() {
            let clauses = table.catches.iter().map(|catch| Clause::new(catch, frame)).collect();
            self.scopes.push(Scope { frame, clauses: Some(clauses), dispatch: None });
        }
        Ok(())
    }

    fn enter_try(&mut self, ty: &BlockType) -> Result<(), CompileError> {
        let frame = self.control.len();
        self.enter_block(ty)?;
        self.scopes.push(Scope { frame, clauses: None, dispatch: None });
        Ok(())
    }

    /// At the end of the innermost enclosing block, which leads nowhere any more: what is left to be done of exceptions in it.
    pub(super) fn end_scope(&mut self) {
        let frame = self.control.len() - 1;
        let around_entry = self.control[frame].around_entry;
        if let FrameKind::Catch { otherwise, exception } = &mut self.control[frame].kind {
            let place = exception.take().filter(|_| !around_entry);
            if let Some(caught) = otherwise.take() {
                self.builder.switch_to_block(caught.block);
                self.pass_on(caught.exception);
                self.stop();
            }
            if let Some(place) = place {
                self.free_place(place, ValType::EXNREF);
            }
        } else if let Some((scope, caught)) = self.leave_scope() {
            self.match_clauses(scope.clauses.as_deref().unwrap_or_default(), caught);
            self.stop();
        }
    }

    /// Closes the scope of the innermost enclosing block, if it has one. Where something leads to the scope's dispatch, translation goes on
    /// there.
    fn leave_scope(&mut self) -> Option<(Scope, Caught)> {
        let scope = self.scopes.pop_if(|scope| scope.frame + 1 == self.control.len())?;
        let block = scope.dispatch?;
        self.builder.seal_block(block);
        self.builder.switch_to_block(block);
        self.return_metering();
        let exception = self.builder.block_params(block)[0];
        let exception = self.builder.ins().ireduce(types::I32, exception);
        self.note_type(exception, ValType::EXNREF);
        Some((scope, Caught { block, exception }))
    }

    /// The dispatch of a `try_table`.
    fn match_clauses(&mut self, clauses: &[Clause], Caught { exception, .. }: Caught) {
        for clause in clauses {
            let next = clause.tag.map(|tag| self.unless_tagged(exception, tag));
            let (target, count) = self.target_of(clause.target);
            let fields = clause.tag.map(|tag| self.exception_fields(exception, tag)).unwrap_or_default();
            let mut args: SmallVec<[BlockArg; 4]> = fields.into_iter().map(BlockArg::from).collect();
            if clause.with_reference {
                args.push(exception.into());
            }
            debug_assert_eq!(args.len(), count);
            self.args_passed += count;
            self.builder.ins().jump(target, &args);
            match next {
                Some(next) => self.builder.switch_to_block(next),
                None => return,
            }
        }
        self.pass_on(exception);
    }

    /// Goes on in a block of its own where an exception has this tag, and gives the one for other exceptions.
    fn unless_tagged(&mut self, exception: Value, tag: TagIndex) -> Block {
        let found = self.exception_tag(exception);
        let expected = self.tag_number(tag);
        let (hit, next) = self.branch_if_equal(found, expected);
        self.builder.set_cold_block(hit);
        self.builder.set_cold_block(next);
        self.builder.switch_to_block(hit);
        next
    }

    /// Two blocks: for equal numbers, and for others.
    fn branch_if_equal(&mut self, one: Value, other: Value) -> (Block, Block) {
        let equal = self.builder.ins().icmp(IntCC::Equal, one, other);
        let (hit, next) = (self.builder.create_block(), self.builder.create_block());
        self.builder.ins().brif(equal, hit, &[], next, &[]);
        self.builder.seal_block(hit);
        self.builder.seal_block(next);
        (hit, next)
    }

    /// Ends a block in which an exception has found no clause: hands it to the scopes that are open now, or throws it. What metering keeps is
    /// in the store.
    fn pass_on(&mut self, exception: Value) {
        self.pass_to(self.scopes.len(), exception);
    }

    /// The same, to the innermost of so many scopes.
    fn pass_to(&mut self, scopes: usize, exception: Value) {
        match scopes.checked_sub(1) {
            Some(scope) => {
                let exception = self.builder.ins().uextend(types::I64, exception);
                let dispatch = self.dispatch(scope);
                self.builder.ins().jump(dispatch, &[exception.into()]);
            }
            None => {
                self.call_builtin_unmetered(Builtin::Throw, &[self.vmctx, exception]);
                self.never();
            }
        }
    }

    /// Throws an exception, which isn't null.
    fn throw_exception(&mut self, exception: Value) {
        self.throws_here();
        self.leave_metering();
        self.pass_on(exception);
        self.stop();
    }

    fn throw(&mut self, tag: TagIndex) {
        self.throws_here();
        let first = self.stack.len() - self.input.module.tag_type(tag).params().len();
        let fields: SmallVec<[Value; 4]> = self.stack.drain(first..).collect();
        let mut seen = 0;
        let mut open = self.scopes.len();
        'scopes: while open > 0 {
            // The clauses of an old `try` aren't known yet.
            let Some(clauses) = self.scopes[open - 1].clauses.clone() else { break };
            for clause in &*clauses {
                if seen == CLAUSES_SEEN {
                    break 'scopes;
                }
                seen += 1;
                let next = match clause.tag {
                    Some(other) if other == tag => None,
                    Some(other) if self.may_be_one(other, tag) => {
                        let (one, other) = (self.tag_number(tag), self.tag_number(other));
                        let (hit, next) = self.branch_if_equal(one, other);
                        self.builder.switch_to_block(hit);
                        Some(next)
                    }
                    Some(_) => continue,
                    None => None,
                };
                self.throw_to_clause(tag, &fields, clause);
                match next {
                    Some(next) => self.builder.switch_to_block(next),
                    None => return self.stop(),
                }
            }
            open -= 1;
        }
        let exception = self.new_exception(tag, &fields);
        self.leave_metering();
        self.pass_to(open, exception);
        self.stop();
    }

    /// Whether two tags of the module may be one.
    fn may_be_one(&self, one: TagIndex, other: TagIndex) -> bool {
        let module = self.input.module;
        let imported = |tag: TagIndex| tag.index() < module.num_imported_tags;
        let carried = |tag: TagIndex| module.tag_type(tag).params().iter().map(|&ty| clif_type(ty));
        imported(one) && imported(other) && carried(one).eq(carried(other))
    }

    /// Branches to where a clause leads that takes an exception of this tag.
    fn throw_to_clause(&mut self, tag: TagIndex, fields: &[Value], clause: &Clause) {
        let mut args: SmallVec<[BlockArg; 4]> = SmallVec::new();
        if clause.tag.is_some() {
            args.extend(fields.iter().map(|&field| BlockArg::from(field)));
        }
        if clause.with_reference {
            args.push(self.new_exception(tag, fields).into());
        }
        self.settle_metering();
        let (target, count) = self.target_of(clause.target);
        debug_assert_eq!(args.len(), count);
        self.args_passed += count;
        self.builder.ins().jump(target, &args);
    }

    /// From the body of an old `try`, or from one of its clauses, to its next clause.
    pub(super) fn enter_catch(&mut self, tag: Option<TagIndex>) {
        let frame = self.control.len() - 1;
        if !self.control[frame].entered {
            return;
        }
        self.fall_through();
        let body = FrameKind::Catch { exception: None, otherwise: None };
        let (caught, place) = match std::mem::replace(&mut self.control[frame].kind, body) {
            FrameKind::Catch { otherwise, exception } => {
                (otherwise.inspect(|caught| self.builder.switch_to_block(caught.block)), exception)
            }
            _ => (self.leave_scope().map(|(_, caught)| caught), None),
        };
        let height = self.control[frame].height;
        self.stack.truncate(height);
        // Nothing in the body throws, or an earlier clause takes all.
        let Some(caught) = caught else { return };
        let place = place.unwrap_or_else(|| self.exception_place());
        self.write_local(place, caught.exception);
        let mut otherwise = None;
        if let Some(tag) = tag {
            let block = self.unless_tagged(caught.exception, tag);
            otherwise = Some(Caught { block, ..caught });
            let fields = self.exception_fields(caught.exception, tag);
            self.stack.extend(fields);
        }
        self.control[frame].kind = FrameKind::Catch { exception: Some(place), otherwise };
        self.metering.owed = None;
        self.reachable = true;
    }

    /// The end of an old `try` whose exceptions are those of another block.
    pub(super) fn delegate(&mut self, depth: u32) {
        if self.control[self.control.len() - 1].entered {
            self.fall_through();
            if let Some((_, caught)) = self.leave_scope() {
                let block = self.control.len() - 2 - depth as usize;
                let open = self.scopes.partition_point(|scope| scope.frame <= block);
                self.pass_to(open, caught.exception);
                self.stop();
            }
        }
        self.end();
    }
}
