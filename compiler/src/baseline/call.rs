//! Calls of functions and builtins. Before one, everything goes home; behind it, nothing is in registers but the results.

use super::control::{Moves, Source};
use super::frame::{Passed, kinds, passed, result_registers, stack_arguments};
use super::translator::{RareCall, Stub, Translator};
use super::values::{Kind, Known, Value};
use super::x64::{
    ARGUMENTS, Alu, Class, Condition, Float, Label, Mem, Operand, RAX, RBP, RSP, Reg, RegSet, SCRATCH, VECTOR_SCRATCH,
    Width, XMM0, mem,
};
use crate::CompileError;
use crate::optimizing::{RETURN_SLOT, return_area_size};
use ampoule_core::artifact::RelocationTarget;
use ampoule_core::builtins::{Builtin, BuiltinType};
use ampoule_core::index::{FuncIndex, TableIndex, TypeIndex};
use ampoule_core::trap::TrapCode;
use ampoule_core::types::{HeapType, TypeId};
use ampoule_core::vm::{SITE_CALLEES, VmCallSite, VmCallee, VmFuncImport, VmFuncRef, VmLayout, VmStoreContext};
use smallvec::SmallVec;
use std::mem::offset_of;
use wasmparser::Operator;

/// An argument of a builtin.
#[derive(Clone, Copy, Debug)]
pub(super) enum Argument {
    Context,
    /// A number that the code has, of 32 bits.
    Number(u32),
    /// An operand that has been popped.
    Value(Value),
    /// A register of the operator's.
    Reg(Reg),
}

/// Where things are when a call site has another callee than the first that is noted.
pub(super) struct OtherCallee {
    /// The register with what would be noted.
    callee: Reg,
    back: Label,
}

/// A place in the part of a call site that the scratch register points to.
fn noted(offset: usize) -> Mem {
    mem(SCRATCH, offset as i32)
}

/// What a call goes to.
#[derive(Clone, Copy, Debug)]
enum Callee {
    Direct(FuncIndex),
    /// Code in the scratch register; the context is in this one.
    Indirect(Reg),
}

impl Translator<'_> {
    /// Translates calls and tail calls.
    pub(super) fn call_operator(&mut self, op: &Operator<'_>) -> Result<bool, CompileError> {
        match *op {
            Operator::Call { function_index } => self.call_function(FuncIndex(function_index), false)?,
            Operator::ReturnCall { function_index } => self.call_function(FuncIndex(function_index), true)?,
            Operator::CallIndirect { type_index, table_index } => {
                self.call_through_table(TypeIndex(type_index), TableIndex(table_index), false)?;
            }
            Operator::ReturnCallIndirect { type_index, table_index } => {
                self.call_through_table(TypeIndex(type_index), TableIndex(table_index), true)?;
            }
            Operator::CallRef { type_index } => self.call_reference(TypeIndex(type_index), false)?,
            Operator::ReturnCallRef { type_index } => self.call_reference(TypeIndex(type_index), true)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn call_function(&mut self, function: FuncIndex, tail: bool) -> Result<(), CompileError> {
        let ty = self.input.module.functions.at(function.index());
        if self.input.module.defined_func(function).is_some() {
            return self.call(Callee::Direct(function), ty, tail);
        }
        let import = self.input.layout.imported_function(function) as i32;
        let context = self.known(Known::Context);
        let store = self.known(Known::Store);
        self.asm.store(Width::W64, mem(store, offset_of!(VmStoreContext, caller) as i32), context);
        let callee = self.alloc(Class::General);
        self.asm.load(Width::W64, SCRATCH, mem(context, import + offset_of!(VmFuncImport, code) as i32));
        self.asm.load(Width::W64, callee, mem(context, import + offset_of!(VmFuncImport, vmctx) as i32));
        self.call(Callee::Indirect(callee), ty, tail)
    }

    fn call_through_table(&mut self, ty: TypeIndex, table: TableIndex, tail: bool) -> Result<(), CompileError> {
        let reference = self.load_func_ref(table, true)?;
        let module = self.input.module;
        let expected = HeapType::ConcreteFunc(TypeId(ty.0));
        if !module.tables[table.index()].element.heap.matches(expected, module) {
            self.check_signature(reference, ty)?;
        }
        self.call_made_reference(reference, ty, false, tail)
    }

    /// Stops the guest where a function is not of this type.
    fn check_signature(&mut self, reference: Reg, ty: TypeIndex) -> Result<(), CompileError> {
        let context = self.known(Known::Context);
        let expected = self.alloc(Class::General);
        self.asm.load(Width::W64, expected, mem(context, VmLayout::SIGNATURES));
        self.asm.load(Width::W64, expected, mem(expected, ty.0 as i32 * 8));
        let found = mem(reference, offset_of!(VmFuncRef, signature) as i32);
        self.asm.compare_with(Width::W64, expected, found);
        if self.input.module.types[ty.index()].is_final {
            self.trap_if(Condition::NotEqual, TrapCode::BadSignature);
            return Ok(());
        }
        let found_reg = self.alloc(Class::General);
        self.asm.load(Width::W64, found_reg, found);
        let (rare, back) = (self.asm.label(), self.asm.label());
        self.asm.jump_if(Condition::NotEqual, rare);
        self.asm.bind(back);
        let args =
            [(ARGUMENTS[0], Source::Reg(found_reg)), (ARGUMENTS[1], Source::Reg(expected))].into_iter().collect();
        let keep = self.regs.used().without(RegSet::CALLEE_SAVED);
        let zero = Some(TrapCode::BadSignature);
        let call = RareCall::plain(Builtin::IsSubtype, args, keep, None, zero, back);
        self.stubs.push(Stub::call(rare, self.position, call));
        Ok(())
    }

    fn call_reference(&mut self, ty: TypeIndex, tail: bool) -> Result<(), CompileError> {
        let value = self.pop();
        let reference = self.read(value);
        let may_fault = self.input.tunables.signals_based_traps;
        if !may_fault {
            self.asm.test(Width::W64, reference);
            self.trap_if(Condition::Equal, TrapCode::NullReference);
        }
        self.call_made_reference(reference, ty, may_fault, tail)
    }

    fn call_made_reference(
        &mut self,
        reference: Reg,
        ty: TypeIndex,
        may_be_null: bool,
        tail: bool,
    ) -> Result<(), CompileError> {
        let code = mem(reference, offset_of!(VmFuncRef, code) as i32);
        let code = if may_be_null { super::x64::trapping(code, TrapCode::NullReference) } else { code };
        let context = self.known(Known::Context);
        let store = self.known(Known::Store);
        let callee = self.alloc(Class::General);
        self.note_callee(reference, context, callee);
        self.asm.load(Width::W64, SCRATCH, code);
        self.asm.load(Width::W64, callee, mem(reference, offset_of!(VmFuncRef, vmctx) as i32));
        self.asm.store(Width::W64, mem(store, offset_of!(VmStoreContext, caller) as i32), context);
        self.call(Callee::Indirect(callee), ty, tail)
    }

    /// Notes what the operator calls, for the other tier: see [`VmCallSite`].
    fn note_callee(&mut self, reference: Reg, context: Reg, callee: Reg) {
        let Some(profile) = self.input.profile else { return };
        let site = profile.call_site(self.position);
        self.asm.mov_imm(SCRATCH, site as u64);
        self.asm.mov(Width::W64, callee, reference);
        self.asm.alu(Alu::Sub, Width::W64, callee, Operand::Reg(context));
        self.asm.compare_with(Width::W64, callee, noted(offset_of!(VmCallee, callee)));
        let (other, back) = (self.asm.label(), self.asm.label());
        self.asm.jump_if(Condition::NotEqual, other);
        self.asm.add_to(noted(offset_of!(VmCallee, calls)), 1);
        self.asm.bind(back);
        self.stubs.push(Stub::other_callee(other, self.position, OtherCallee { callee, back }));
    }

    /// The callee is not the first that is noted of the call site at the scratch register.
    pub(super) fn note_other_callee(&mut self, rare: OtherCallee) {
        let OtherCallee { callee, back } = rare;
        let (size, callee_at) = (size_of::<VmCallee>() as i32, noted(offset_of!(VmCallee, callee)));
        let (calls, is_last) = (noted(offset_of!(VmCallee, calls)), noted(offset_of!(VmCallee, is_last)));
        let [look, found, take, replaces] = [(); 4].map(|()| self.asm.label());
        self.asm.bind(look);
        self.asm.alu(Alu::Add, Width::W64, SCRATCH, Operand::Imm(size));
        self.asm.compare_with(Width::W64, callee, callee_at);
        self.asm.jump_if(Condition::Equal, found);
        self.asm.compare_memory(Width::W32, is_last, 0);
        self.asm.jump_if(Condition::Equal, look);
        // It is none of them.
        let to_first = -(size * (SITE_CALLEES as i32 - 1));
        self.asm.alu(Alu::Add, Width::W64, SCRATCH, Operand::Imm(to_first));
        self.asm.add_to(noted(offset_of!(VmCallSite, others)), 1);
        self.asm.bind(take);
        self.asm.count_down(calls);
        self.asm.jump_if(Condition::LessSigned, replaces);
        self.asm.compare_memory(Width::W32, is_last, 0);
        self.asm.jump_if(Condition::NotEqual, back);
        self.asm.alu(Alu::Add, Width::W64, SCRATCH, Operand::Imm(size));
        self.asm.jump(take);
        self.asm.bind(replaces);
        self.asm.store(Width::W64, callee_at, callee);
        self.asm.store_imm(Width::W32, calls, 0);
        self.asm.bind(found);
        self.asm.add_to(calls, 1);
        self.asm.jump(back);
    }

    /// Calls with the uppermost operands. The code of an indirect callee is in the scratch register.
    fn call(&mut self, callee: Callee, ty: TypeIndex, tail: bool) -> Result<(), CompileError> {
        let ty = self.input.module.declared_func(ty);
        let area = return_area_size(ty);
        let first = self.stack.len() - ty.params().len();
        let mut args: SmallVec<[Value; 8]> = SmallVec::new();
        for _ in first..self.stack.len() {
            args.push(self.pop());
        }
        args.reverse();
        self.spend(args.len() + ty.results().len())?;
        // Registers keep what they have until it is passed, but nothing is in them behind the call.
        let sources: SmallVec<[Source; 8]> = args.iter().map(|&value| self.source(value)).collect();
        let own_context = self.context_source();
        let (references, behind) = if tail {
            Default::default()
        } else {
            self.save_all();
            (self.references()?, if self.scopes.is_empty() { Vec::new() } else { self.behind() })
        };
        let (places, area_len) = passed(kinds(ty.params()), 1 + usize::from(area != 0));
        // At the frame's end there is space for what is passed on the stack, and behind it for results.
        self.most_passed = self.most_passed.max(area_len + area);
        let mut moves = Moves::new();
        match callee {
            Callee::Direct(_) => moves.push((ARGUMENTS[0], own_context)),
            Callee::Indirect(context) => {
                moves.push((ARGUMENTS[0], Source::Reg(context)));
                // Moves may need the scratch register, and nobody passes anything in this one.
                moves.push((RAX, Source::Reg(SCRATCH)));
            }
        }
        for ((value, source), &place) in args.iter().zip(sources).zip(&places) {
            match place {
                Passed::Reg(reg) => moves.push((reg, source)),
                Passed::Stack(at) => self.pass_on_stack(value.kind, source, at),
            }
        }
        self.move_all(&mut moves);
        if tail {
            if area != 0 {
                // The same results, for the same caller.
                self.asm.load(Width::W64, ARGUMENTS[1], mem(RBP, super::frame::RETURN_AREA));
            }
            let label = self.asm.label();
            self.asm.jump(label);
            let callee = if let Callee::Direct(function) = callee { Some(function) } else { None };
            self.stubs.push(Stub::tail_call(label, self.position, callee, area_len));
            self.stop();
            return Ok(());
        }
        if area != 0 {
            // Behind the arguments, which the callee pops.
            self.asm.address(Width::W64, ARGUMENTS[1], mem(RSP, area_len as i32));
        }
        let at = match callee {
            Callee::Direct(function) => self.asm.call(RelocationTarget::Func(function)),
            Callee::Indirect(_) => self.asm.call_reg(RAX),
        };
        debug_assert_eq!(area_len, stack_arguments(ty, area != 0));
        self.note_references(at, 0, references);
        self.handle(at, behind);
        self.regs.end_operator();
        if area != 0 {
            self.take_from_area(kinds(ty.results()).collect());
        } else {
            self.take_results(kinds(ty.results()).collect());
        }
        if area_len != 0 {
            // The callee has popped its arguments.
            self.asm.address(Width::W64, RSP, mem(RSP, -(area_len as i32)));
        }
        Ok(())
    }

    /// Where the function's own context is.
    pub(super) fn context_source(&mut self) -> Source {
        self.regs.known(Known::Context).map_or_else(|| Source::Home(Kind::I64, self.context_home()), Source::Reg)
    }

    /// Passes an argument on the stack, by way of the vector scratch register if need be.
    fn pass_on_stack(&mut self, kind: Kind, source: Source, at: u32) {
        let to = mem(RSP, at as i32);
        match source {
            Source::Reg(reg) => self.store_value(kind, to, reg),
            Source::Home(Kind::V128, home) => {
                self.asm.load_vector(VECTOR_SCRATCH, mem(RBP, home));
                self.asm.store_vector(to, VECTOR_SCRATCH);
            }
            Source::Home(_, home) => {
                self.asm.load_float(Float::F64, VECTOR_SCRATCH, mem(RBP, home));
                self.asm.store_float(Float::F64, to, VECTOR_SCRATCH);
            }
            Source::Const(_, bits) => {
                self.asm.store_imm(Width::W32, to, bits as u32 as i32);
                self.asm.store_imm(Width::W32, mem(RSP, at as i32 + 4), (bits >> 32) as u32 as i32);
            }
            Source::Known(_) => unreachable!("no operand is one"),
        }
    }

    /// Pushes the results that a call has left in registers.
    fn take_results(&mut self, results: SmallVec<[Kind; 4]>) {
        for (kind, reg) in results.iter().zip(result_registers(results.iter().copied())) {
            self.take_result(*kind, reg);
        }
    }

    /// Pushes what a call has left in a register.
    fn take_result(&mut self, kind: Kind, reg: Reg) {
        if kind.class() == Class::General && kind.width() == Width::W32 {
            // Callees leave what they like in the upper half.
            self.asm.mov(Width::W32, reg, reg);
        }
        self.push_reg(kind, reg);
    }

    /// Pushes the results that a call has left in the area at the stack pointer.
    fn take_from_area(&mut self, results: SmallVec<[Kind; 4]>) {
        for (position, kind) in results.into_iter().enumerate() {
            let from = mem(RSP, position as i32 * RETURN_SLOT as i32);
            let reg = self.alloc(kind.class());
            self.load_value(kind, reg, from);
            self.push_reg(kind, reg);
            self.regs.end_operator();
        }
    }

    /// Calls a builtin and pushes what it answers: of the type that [`Builtin::result`] says.
    pub(super) fn call_builtin(&mut self, builtin: Builtin, args: &[Argument]) -> Result<(), CompileError> {
        let mut moves = Moves::new();
        let (mut integers, mut vectors) = (0, 0);
        for (&arg, &ty) in args.iter().zip(builtin.params()) {
            let to = match ty {
                BuiltinType::F32 | BuiltinType::F64 => {
                    vectors += 1;
                    Reg::vector(vectors - 1)
                }
                _ => {
                    integers += 1;
                    ARGUMENTS[integers - 1]
                }
            };
            let source = match arg {
                Argument::Context => self.context_source(),
                Argument::Number(number) => Source::Const(Kind::I32, u64::from(number)),
                Argument::Value(value) => self.source(value),
                Argument::Reg(reg) => Source::Reg(reg),
            };
            moves.push((to, source));
        }
        self.save_all();
        let references = self.references()?;
        self.move_all(&mut moves);
        let at = self.asm.call(RelocationTarget::Builtin(builtin));
        self.note_references(at, 0, references);
        self.regs.end_operator();
        match builtin.result() {
            None => {}
            Some(BuiltinType::F32) => self.push_reg(Kind::F32, XMM0),
            Some(BuiltinType::F64) => self.push_reg(Kind::F64, XMM0),
            Some(BuiltinType::I32) => self.take_result(Kind::I32, RAX),
            Some(BuiltinType::I64 | BuiltinType::Pointer) => self.push_reg(Kind::I64, RAX),
        }
        Ok(())
    }

    /// Makes the result of a builtin, the uppermost operand, one of another kind.
    pub(super) fn narrow_result(&mut self, kind: Kind) {
        let value = self.pop();
        let reg = self.own(value);
        if kind.width() == Width::W32 {
            self.asm.mov(Width::W32, reg, reg);
        }
        self.push_reg(kind, reg);
    }
}
