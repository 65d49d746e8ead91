//! Exceptions: what throws, and where that leads.
//!
//! A `try_table` (or an old `try`) with clauses opens a [`Scope`]. A call inside of it has a handler: code behind the function's, which brings home what
//! the callee has kept in registers, and goes on in the scope's *dispatch*. There, nothing is in registers but the exception, in `rax`. The dispatch
//! compares the exception's tag with those of the clauses, and goes on in the dispatch of the scope around it where none fits. What no scope of the
//! function wants is thrown on to its callers.
//!
//! In a clause of an old `try`, the exception is an operand below the others, for `rethrow`.

use super::call::Argument;
use super::control::FrameKind;
use super::translator::{Stub, Translator};
use super::values::{Holds, Kind, Known};
use super::x64::{Condition, Label, RAX, Reg, SCRATCH, Width, mem, mem_indexed};
use crate::CompileError;
use crate::catch_clause::Clause;
use ampoule_core::builtins::Builtin;
use ampoule_core::index::TagIndex;
use ampoule_core::object_layout::EXCEPTION_TAG;
use ampoule_core::trap::TrapCode;
use ampoule_core::types::StorageType;
use std::rc::Rc;
use wasmparser::{BlockType, Operator, TryTable};

/// An enclosing block that handles exceptions.
pub(super) struct Scope {
    /// Its place among the enclosing blocks.
    frame: usize,
    /// Of a `try_table`; those of an old `try` come behind its body.
    clauses: Rc<[Clause]>,
    /// Where exceptions go on, once something leads there.
    dispatch: Option<Label>,
}

impl Translator<'_> {
    /// Translates `throw`, `try_table` and the like, old ones too.
    pub(super) fn exception_operator(&mut self, op: &Operator<'_>) -> Result<bool, CompileError> {
        match op {
            Operator::TryTable { try_table } => self.enter_try_table(try_table)?,
            Operator::Throw { tag_index } => self.throw(TagIndex(*tag_index))?,
            Operator::ThrowRef => {
                let exception = self.pop();
                let reg = self.read(exception);
                self.asm.test(Width::W32, reg);
                self.trap_if(Condition::Equal, TrapCode::NullReference);
                self.throw_to(self.scopes.len(), reg)?;
            }
            Operator::Try { blockty } => self.enter_try(blockty)?,
            Operator::Catch { tag_index } => self.enter_catch(Some(TagIndex(*tag_index)))?,
            Operator::CatchAll => self.enter_catch(None)?,
            Operator::Rethrow { relative_depth } => {
                let frame = self.control.len() - 1 - *relative_depth as usize;
                let exception = self.stack[self.control[frame].height];
                let reg = self.read(exception);
                self.throw_to(self.scopes.len(), reg)?;
            }
            Operator::Delegate { relative_depth } => self.delegate(*relative_depth)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn enter_try_table(&mut self, table: &TryTable) -> Result<(), CompileError> {
        let frame = self.control.len();
        self.enter_block(&table.ty)?;
        if !table.catches.is_empty() {
            let clauses = table.catches.iter().map(|catch| Clause::new(catch, frame)).collect();
            self.scopes.push(Scope { frame, clauses, dispatch: None });
        }
        Ok(())
    }

    fn enter_try(&mut self, ty: &BlockType) -> Result<(), CompileError> {
        let frame = self.control.len();
        self.enter_block(ty)?;
        self.scopes.push(Scope { frame, clauses: Rc::new([]), dispatch: None });
        Ok(())
    }

    /// Whether the innermost enclosing block has a scope to whose dispatch something leads. One without is closed.
    pub(super) fn is_handled(&mut self) -> bool {
        let Some(scope) = self.scopes.last().filter(|scope| scope.frame + 1 == self.control.len()) else {
            return false;
        };
        if scope.dispatch.is_none() {
            self.scopes.pop();
            return false;
        }
        true
    }

    /// The dispatch of a scope.
    fn dispatch(&mut self, scope: usize) -> Label {
        if let Some(label) = self.scopes[scope].dispatch {
            return label;
        }
        let label = self.asm.label();
        *self.scopes[scope].dispatch.insert(label)
    }

    /// Notes a handler for a call that returns to `at`, if it is within a scope. All is where it is during the call.
    pub(super) fn handle(&mut self, at: u32, behind: Vec<(Kind, i32, Reg)>) {
        if let Some(innermost) = self.scopes.len().checked_sub(1) {
            let dispatch = self.dispatch(innermost);
            let label = self.asm.label();
            self.stubs.push(Stub::handler(label, self.position, at, behind, dispatch));
        }
    }

    /// Locals in registers that are ahead of their homes.
    pub(super) fn ahead(&self) -> Vec<(Reg, u32)> {
        let dirty = self.regs.used().iter().filter(|&reg| self.regs.dirty.contains(reg));
        let ahead = dirty.filter_map(|reg| match self.regs.holds[reg.index()] {
            Holds::Local(local) => Some((reg, local)),
            _ => None,
        });
        ahead.collect()
    }

    /// What a handler has to bring home: locals that are ahead.
    pub(super) fn behind(&mut self) -> Vec<(Kind, i32, Reg)> {
        let ahead = self.ahead().into_iter();
        let behind = ahead.map(|(reg, local)| (self.locals[local as usize].kind, self.local_home(local), reg));
        behind.collect()
    }

    fn throw(&mut self, tag: TagIndex) -> Result<(), CompileError> {
        let module = self.input.module;
        let ty = module.tags[tag.index()];
        let layout = self.input.layout.exceptions(ty);
        let exception = self.allocate(ty, layout.size())?;
        self.load_tag(tag, SCRATCH);
        let to = self.inside(exception, EXCEPTION_TAG);
        self.asm.store(Width::W32, to, SCRATCH);
        for (&ty, &offset) in module.tag_type(tag).params().iter().zip(layout.offsets()).rev() {
            let value = self.pop();
            let to = self.inside(exception, offset);
            self.write_storage(StorageType::Val(ty), value, to);
        }
        self.throw_to(self.scopes.len(), exception)
    }

    /// The number of a tag in its store.
    fn load_tag(&mut self, tag: TagIndex, to: Reg) {
        let context = self.known(Known::Context);
        self.asm.load(Width::W32, to, mem(context, self.input.layout.tag(tag) as i32));
    }

    /// Throws an exception to the innermost of so many scopes.
    fn throw_to(&mut self, scopes: usize, exception: Reg) -> Result<(), CompileError> {
        match scopes.checked_sub(1) {
            Some(scope) => {
                for (kind, home, reg) in self.behind() {
                    self.store_home(kind, home, reg);
                }
                if exception != RAX {
                    self.asm.mov_all(RAX, exception);
                }
                let dispatch = self.dispatch(scope);
                self.asm.jump(dispatch);
            }
            None => self.call_builtin(Builtin::Throw, &[Argument::Context, Argument::Reg(exception)])?,
        }
        self.stop();
        Ok(())
    }

    /// Goes on in the dispatch of the innermost scope, if anything leads there, with nothing in registers but the exception, which is given.
    fn leave_scope(&mut self, height: usize) -> Option<(Scope, Option<Reg>)> {
        let scope = self.scopes.pop_if(|scope| scope.frame + 1 == self.control.len())?;
        let Some(label) = scope.dispatch else { return Some((scope, None)) };
        self.asm.bind(label);
        self.note_position();
        self.forget_registers();
        self.drop_to(height);
        self.regs.set(RAX, Holds::Temporary);
        self.regs.pin(RAX);
        Some((scope, Some(RAX)))
    }

    /// At the end of the innermost enclosing block, from whose body nothing leads on here any more: what is left to be done of exceptions in it.
    pub(super) fn end_scope(&mut self) -> Result<(), CompileError> {
        let frame = self.control.len() - 1;
        let height = self.control[frame].height;
        if let FrameKind::Catch { otherwise } = &mut self.control[frame].kind {
            if let Some(label) = otherwise.take() {
                self.asm.bind(label);
                let exception = self.reload_exception(height);
                self.throw_to(self.scopes.len(), exception)?;
            }
        } else if let Some((scope, Some(exception))) = self.leave_scope(height) {
            self.match_clauses(&scope.clauses, exception, height)?;
        }
        Ok(())
    }

    /// The dispatch of a `try_table`.
    fn match_clauses(&mut self, clauses: &[Clause], exception: Reg, height: usize) -> Result<(), CompileError> {
        for clause in clauses {
            let next = clause.tag.map(|tag| self.unless_tagged(exception, tag));
            if let Some(tag) = clause.tag {
                self.push_fields(exception, tag);
            }
            if clause.with_reference {
                // What is pushed is a copy: other clauses may follow.
                let copy = self.alloc(super::x64::Class::General);
                self.asm.mov_all(copy, exception);
                self.push_reg(Kind::Reference, copy);
            }
            self.jump_to_frame(clause.target)?;
            self.drop_to(height);
            self.forget_registers();
            self.regs.set(exception, Holds::Temporary);
            self.regs.pin(exception);
            match next {
                Some(next) => self.asm.bind(next),
                None => {
                    self.stop();
                    return Ok(());
                }
            }
        }
        self.throw_to(self.scopes.len(), exception)
    }

    /// Compares an exception's tag, and gives the label at which others go on. Registers are as they were there: what is loaded for the
    /// comparison goes nowhere else.
    fn unless_tagged(&mut self, exception: Reg, tag: TagIndex) -> Label {
        let next = self.asm.label();
        let heap = self.known(Known::Heap);
        self.load_tag(tag, SCRATCH);
        self.asm.compare_with(Width::W32, SCRATCH, mem_indexed(heap, exception, 0, EXCEPTION_TAG as i32));
        self.asm.jump_if(Condition::NotEqual, next);
        next
    }

    /// Pushes the fields of an exception with this tag.
    fn push_fields(&mut self, exception: Reg, tag: TagIndex) {
        let module = self.input.module;
        let layout = self.input.layout.exceptions(module.tags[tag.index()]);
        for (&ty, &offset) in module.tag_type(tag).params().iter().zip(layout.offsets()) {
            let from = self.inside(exception, offset);
            self.push_storage(StorageType::Val(ty), false, from);
            self.release_but(exception);
        }
    }

    /// Frees what is worked with, but for one register.
    fn release_but(&mut self, reg: Reg) {
        self.regs.set(reg, Holds::Known(Known::Context));
        self.regs.end_operator();
        self.regs.set(reg, Holds::Temporary);
        self.regs.pin(reg);
    }

    /// From the body of an old `try`, or from one of its clauses, to its next clause.
    fn enter_catch(&mut self, tag: Option<TagIndex>) -> Result<(), CompileError> {
        let frame = self.control.len() - 1;
        if !self.control[frame].entered {
            return Ok(());
        }
        self.fall_through(true)?;
        let height = self.control[frame].height;
        let kind = std::mem::replace(&mut self.control[frame].kind, FrameKind::Catch { otherwise: None });
        let exception = match kind {
            FrameKind::Catch { otherwise: Some(label) } => {
                self.asm.bind(label);
                Some(self.reload_exception(height))
            }
            FrameKind::Catch { otherwise: None } => None,
            _ => self.leave_scope(height).and_then(|(_, exception)| exception),
        };
        self.drop_to(height);
        // Nothing in the body throws, or an earlier clause takes all.
        let Some(exception) = exception else { return Ok(()) };
        // At home, where other clauses and `rethrow` find it.
        self.push_reg(Kind::Reference, exception);
        self.flush_all();
        if let Some(tag) = tag {
            self.regs.set(exception, Holds::Temporary);
            self.regs.pin(exception);
            let otherwise = self.unless_tagged(exception, tag);
            self.control[frame].kind = FrameKind::Catch { otherwise: Some(otherwise) };
            self.push_fields(exception, tag);
        }
        self.regs.end_operator();
        self.reachable = true;
        Ok(())
    }

    /// The exception of a clause that didn't take it, in a register; nothing else is in one.
    fn reload_exception(&mut self, height: usize) -> Reg {
        self.forget_registers();
        self.drop_to(height);
        let home = self.homes.of_operand(height, Kind::Reference);
        self.reserve(RAX);
        self.load_home(Kind::Reference, home, RAX);
        RAX
    }

    /// The end of an old `try` whose exceptions are those of another block.
    fn delegate(&mut self, depth: u32) -> Result<(), CompileError> {
        let frame = self.control.len() - 1;
        if self.control[frame].entered {
            let height = self.control[frame].height;
            self.fall_through(true)?;
            if let Some((_, Some(exception))) = self.leave_scope(height) {
                let block = frame - 1 - depth as usize;
                let open = self.scopes.partition_point(|scope| scope.frame <= block);
                self.throw_to(open, exception)?;
            }
        }
        self.end()
    }
}
