//! Locals, globals, constants of references, and operators that only move operands.

use super::translator::Translator;
use super::values::{Kind, Known, Place};
use super::x64::{Class, Condition, Float, Mem, Operand, Reg, SCRATCH, mem};
use ampoule_core::index::GlobalIndex;
use ampoule_core::trap::TrapCode;
use ampoule_core::types::HeapType;
use wasmparser::Operator;

impl Translator<'_> {
    /// Translates `local.get`, `global.get`, `select`, `ref.null` and similar operators.
    pub(super) fn variable_operator(&mut self, op: &Operator<'_>) -> bool {
        match *op {
            Operator::LocalGet { local_index } => {
                let kind = self.locals[local_index as usize].kind;
                self.push(kind, Place::Local(local_index));
            }
            Operator::LocalSet { local_index } => self.set_local(local_index),
            Operator::LocalTee { local_index } => {
                let kind = self.locals[local_index as usize].kind;
                self.set_local(local_index);
                self.push(kind, Place::Local(local_index));
            }
            Operator::GlobalGet { global_index } => self.global_get(GlobalIndex(global_index)),
            Operator::GlobalSet { global_index } => self.global_set(GlobalIndex(global_index)),
            Operator::Drop => {
                self.pop();
            }
            Operator::Select | Operator::TypedSelect { .. } => self.select(),
            Operator::RefNull { hty } => {
                let is_func =
                    ampoule_core::decode::heap_type(hty, self.input.module).is_ok_and(|ty| ty.top() == HeapType::Func);
                self.push(if is_func { Kind::Function } else { Kind::Reference }, Place::Const(0));
            }
            Operator::RefIsNull => {
                let value = self.pop();
                let reg = self.read(value);
                self.asm.test(value.kind.width(), reg);
                self.push_flags(Condition::Equal);
            }
            Operator::RefAsNonNull => {
                let value = self.pop();
                let reg = self.read(value);
                self.asm.test(value.kind.width(), reg);
                self.trap_if(Condition::Equal, TrapCode::NullReference);
                self.push_again(value, reg);
            }
            _ => return false,
        }
        true
    }

    /// Pushes an operand that was popped, and has been read in this register.
    pub(super) fn push_again(&mut self, value: super::values::Value, reg: Reg) {
        match value.place {
            Place::Local(_) => self.push(value.kind, value.place),
            _ => self.push_reg(value.kind, reg),
        }
    }

    fn select(&mut self) {
        let condition = self.pop_condition();
        let second = self.pop();
        let first = self.pop();
        if first.kind.class() == Class::General {
            let width = first.kind.width();
            let to = self.own(first);
            let from = self.read(second);
            self.asm.mov_if(condition.inverse(), width, to, from);
            return self.push_reg(first.kind, to);
        }
        let to = self.own(first);
        let from = self.read(second);
        let next = self.asm.label();
        self.asm.jump_if(condition, next);
        self.asm.mov_all(to, from);
        self.asm.bind(next);
        self.push_reg(first.kind, to);
    }

    fn global(&mut self, global: GlobalIndex) -> Mem {
        let context = self.known(Known::Context);
        let (base, offset) = self.definition(context, SCRATCH, self.input.layout.global(global));
        mem(base, offset)
    }

    fn global_get(&mut self, global: GlobalIndex) {
        let kind = Kind::of(self.input.module.globals[global.index()].content);
        let reg = self.alloc(kind.class());
        let from = self.global(global);
        self.load_value(kind, reg, from);
        self.push_reg(kind, reg);
    }

    fn global_set(&mut self, global: GlobalIndex) {
        let value = self.pop();
        if let Operand::Imm(imm) = self.immediate(value)
            && value.kind.class() == Class::General
        {
            let to = self.global(global);
            return self.asm.store_imm(value.kind.width(), to, imm);
        }
        let reg = self.read(value);
        let to = self.global(global);
        self.store_value(value.kind, to, reg);
    }

    /// A small constant, or what is no immediate operand.
    pub(super) fn immediate(&self, value: super::values::Value) -> Operand {
        match value.place {
            Place::Const(bits) => super::values::small(value.kind, bits).map_or(Operand::Frame(0), Operand::Imm),
            _ => Operand::Frame(0),
        }
    }

    pub(super) fn load_value(&mut self, kind: Kind, to: Reg, from: Mem) {
        match kind {
            Kind::F32 => self.asm.load_float(Float::F32, to, from),
            Kind::F64 => self.asm.load_float(Float::F64, to, from),
            Kind::V128 => self.asm.load_vector(to, from),
            kind => self.asm.load(kind.width(), to, from),
        }
    }

    pub(super) fn store_value(&mut self, kind: Kind, to: Mem, from: Reg) {
        match kind {
            Kind::F32 => self.asm.store_float(Float::F32, to, from),
            Kind::F64 => self.asm.store_float(Float::F64, to, from),
            Kind::V128 => self.asm.store_vector(to, from),
            kind => self.asm.store(kind.width(), to, from),
        }
    }

    /// Pushes what the flags tell: whether a condition holds.
    pub(super) fn push_flags(&mut self, condition: Condition) {
        // It is nowhere yet: the next operator branches by the flags, or has them brought to a register first.
        self.push(Kind::I32, Place::Const(0));
        self.flags = Some(condition);
    }

    /// Brings what only the flags tell to a register.
    pub(super) fn settle_flags(&mut self) {
        if let Some(condition) = self.flags.take() {
            self.stack.pop();
            self.flushed = self.flushed.min(self.stack.len());
            let reg = self.alloc(Class::General);
            self.asm.set_if(condition, reg);
            self.push_reg(Kind::I32, reg);
        }
    }

    /// Whether an operator takes a condition from the flags.
    pub(super) fn takes_flags(op: &Operator<'_>) -> bool {
        matches!(
            op,
            Operator::BrIf { .. }
                | Operator::If { .. }
                | Operator::Select
                | Operator::TypedSelect { .. }
                | Operator::I32Eqz
        )
    }
}
