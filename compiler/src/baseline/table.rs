//! Tables.

use super::call::Argument;
use super::control::Source;
use super::memory::index_kind;
use super::translator::{RareCall, Stub, Translator};
use super::values::{Kind, Known, Value};
use super::x64::{ARGUMENTS, Alu, Class, Condition, Operand, Reg, RegSet, SCRATCH, Width, mem, mem_indexed};
use crate::CompileError;
use ampoule_core::builtins::Builtin;
use ampoule_core::index::{FuncIndex, TableIndex};
use ampoule_core::trap::TrapCode;
use ampoule_core::types::TableType;
use ampoule_core::vm::{TABLE_ELEMENT_NULL, VmTable};
use std::mem::offset_of;
use wasmparser::Operator;

impl Translator<'_> {
    /// Translates `table.get` and its siblings, and `ref.func`.
    pub(super) fn table_operator(&mut self, op: &Operator<'_>) -> Result<bool, CompileError> {
        match *op {
            Operator::TableGet { table } => self.table_get(TableIndex(table))?,
            Operator::TableSet { table } => self.table_set(TableIndex(table)),
            Operator::TableSize { table } => {
                let reg = self.alloc(Class::General);
                self.load_table_len(TableIndex(table), reg);
                self.push_reg(index_kind(self.table_type(TableIndex(table)).is_64), reg);
            }
            Operator::TableGrow { table } => {
                let (delta, init) = (self.pop(), self.pop());
                let args = [Argument::Context, Argument::Number(table), Argument::Value(delta), Argument::Value(init)];
                self.call_builtin(Builtin::TableGrow, &args)?;
                self.narrow_result(index_kind(self.table_type(TableIndex(table)).is_64));
            }
            Operator::TableFill { table } => {
                let (len, value, index) = (self.pop(), self.pop(), self.pop());
                let values = [Argument::Value(index), Argument::Value(value), Argument::Value(len)];
                let args = [Argument::Context, Argument::Number(table), values[0], values[1], values[2]];
                self.call_builtin(Builtin::TableFill, &args)?;
            }
            Operator::TableCopy { dst_table, src_table } => {
                let tables = [Argument::Number(dst_table), Argument::Number(src_table)];
                self.three_operands(Builtin::TableCopy, tables)?;
            }
            Operator::TableInit { elem_index, table } => {
                self.three_operands(Builtin::TableInit, [Argument::Number(table), Argument::Number(elem_index)])?;
            }
            Operator::ElemDrop { elem_index } => {
                self.call_builtin(Builtin::ElemDrop, &[Argument::Context, Argument::Number(elem_index)])?;
            }
            Operator::RefFunc { function_index } => self.ref_func(FuncIndex(function_index))?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// A builtin of two numbers that the code has, and of three operands.
    fn three_operands(&mut self, builtin: Builtin, numbers: [Argument; 2]) -> Result<(), CompileError> {
        let (len, from, to) = (self.pop(), self.pop(), self.pop());
        let values = [to, from, len].map(Argument::Value);
        let args = [Argument::Context, numbers[0], numbers[1], values[0], values[1], values[2]];
        self.call_builtin(builtin, &args)
    }

    fn ref_func(&mut self, function: FuncIndex) -> Result<(), CompileError> {
        self.call_builtin(Builtin::RefFunc, &[Argument::Context, Argument::Number(function.0)])?;
        self.narrow_result(Kind::Function);
        Ok(())
    }

    fn table_type(&self, table: TableIndex) -> TableType {
        self.input.module.tables[table.index()]
    }

    fn load_table_len(&mut self, table: TableIndex, to: Reg) {
        let context = self.known(Known::Context);
        let (base, offset) = self.definition(context, to, self.input.layout.table(table));
        self.asm.load(Width::W64, to, mem(base, offset + offset_of!(VmTable, len) as i32));
    }

    /// Checks an index and gives a register with the element's address, which is the operator's.
    fn element_address(&mut self, table: TableIndex, index: Value) -> Reg {
        let index = self.read(index);
        let address = self.alloc(Class::General);
        let context = self.known(Known::Context);
        let (base, offset) = self.definition(context, address, self.input.layout.table(table));
        self.asm.compare_with(Width::W64, index, mem(base, offset + offset_of!(VmTable, len) as i32));
        self.trap_if(Condition::AboveOrEqual, TrapCode::TableOutOfBounds);
        // Flags stay as they are up to the conditional move.
        self.asm.load(Width::W64, address, mem(base, offset + offset_of!(VmTable, base) as i32));
        if self.input.tunables.spectre_mitigation {
            // Behind a mispredicted check, the first element is what is read.
            self.asm.address(Width::W64, SCRATCH, mem_indexed(address, index, 3, 0));
            self.asm.mov_if(Condition::Below, Width::W64, address, SCRATCH);
        } else {
            self.asm.address(Width::W64, address, mem_indexed(address, index, 3, 0));
        }
        address
    }

    fn table_get(&mut self, table: TableIndex) -> Result<(), CompileError> {
        if self.table_type(table).element.is_func() {
            let reference = self.load_func_ref(table, false)?;
            self.push_reg(Kind::Function, reference);
            return Ok(());
        }
        let index = self.pop();
        let address = self.element_address(table, index);
        self.asm.load(Width::W32, address, mem(address, 0));
        self.push_reg(Kind::Reference, address);
        Ok(())
    }

    fn table_set(&mut self, table: TableIndex) {
        let (value, index) = (self.pop(), self.pop());
        let element = self.table_type(table).element;
        let from = self.own(value);
        let address = self.element_address(table, index);
        if element.is_func() && element.nullable {
            // A null reference is zero, which in a table stands for a lazy element.
            self.asm.mov_imm(SCRATCH, TABLE_ELEMENT_NULL);
            self.asm.test(Width::W64, from);
            self.asm.mov_if(Condition::Equal, Width::W64, from, SCRATCH);
        }
        self.asm.store(Width::W64, mem(address, 0), from);
    }

    /// Pops an index, and loads the reference to a function that a table has there. If `callable`, null stops the guest.
    pub(super) fn load_func_ref(&mut self, table: TableIndex, callable: bool) -> Result<Reg, CompileError> {
        let index = self.pop();
        // The builtin needs the index once more.
        let index_reg = self.own(index);
        let address = self.element_address(table, Value { place: super::values::Place::Reg(index_reg), ..index });
        self.asm.load(Width::W64, address, mem(address, 0));
        self.asm.alu(Alu::Cmp, Width::W64, address, Operand::Imm(TABLE_ELEMENT_NULL as i32));
        let builtin = if callable { Builtin::TableGetCallee } else { Builtin::TableGetFuncRef };
        let (rare, back) = (self.asm.label(), self.asm.label());
        self.asm.jump_if(Condition::BelowOrEqual, rare);
        self.asm.bind(back);
        let args = vec![
            (ARGUMENTS[0], self.context_source()),
            (ARGUMENTS[1], Source::Const(Kind::I32, u64::from(table.0))),
            (ARGUMENTS[2], Source::Reg(index_reg)),
        ];
        let mut keep = self.regs.used().without(RegSet::CALLEE_SAVED);
        keep.remove(address);
        let call = RareCall::plain(builtin, args, keep, Some(address), None, back);
        self.stubs.push(Stub::call(rare, self.position, call));
        Ok(address)
    }
}
