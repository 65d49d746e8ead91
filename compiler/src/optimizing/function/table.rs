//! Tables.

use super::translator::FuncTranslator;
use crate::optimizing::flags::{Region, constant_flags};
use ampoule_core::builtins::Builtin;
use ampoule_core::index::TableIndex;
use ampoule_core::trap::TrapCode;
use ampoule_core::types::{TableType, ValType};
use ampoule_core::vm::{TABLE_ELEMENT_NULL, VmTable};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, Value, types};
use std::mem::offset_of;
use wasmparser::Operator;

impl FuncTranslator<'_> {
    /// Translates `table.get` and its siblings.
    pub(super) fn table_operator(&mut self, op: &Operator<'_>) -> bool {
        match *op {
            Operator::TableGet { table } => self.table_get(TableIndex(table)),
            Operator::TableSet { table } => self.table_set(TableIndex(table)),
            Operator::TableSize { table } => {
                let len = self.table_len(TableIndex(table));
                let len = self.narrow(len, self.table_type(TableIndex(table)).is_64);
                self.push(len);
            }
            Operator::TableGrow { table } => self.table_grow(TableIndex(table)),
            Operator::TableFill { table } => self.table_fill(TableIndex(table)),
            Operator::TableCopy { dst_table, src_table } => {
                self.table_copy(TableIndex(dst_table), TableIndex(src_table))
            }
            Operator::TableInit { elem_index, table } => self.table_init(elem_index, TableIndex(table)),
            Operator::ElemDrop { elem_index } => {
                let segment = self.number(elem_index);
                self.call_builtin(Builtin::ElemDrop, &[self.vmctx, segment]);
            }
            _ => return false,
        }
        true
    }

    fn table_get(&mut self, table: TableIndex) {
        let index = self.pop();
        let ty = self.table_type(table);
        let index = self.widen(index, ty.is_64);
        let element = self.load_element(table, index);
        if ty.element.is_func() {
            let reference = self.func_ref_of_element(table, index, element, false);
            self.push(reference);
        } else {
            let reference = self.builder.ins().ireduce(types::I32, element);
            self.push_typed(reference, ValType::Ref(ty.element));
        }
    }

    fn table_set(&mut self, table: TableIndex) {
        let (index, value) = self.pop2();
        let ty = self.table_type(table);
        let index = self.widen(index, ty.is_64);
        let address = self.element_address(table, index);
        let element = if !ty.element.is_func() {
            self.builder.ins().uextend(types::I64, value)
        } else if ty.element.nullable {
            // A null reference is zero, which in a table stands for a lazy element. References are aligned, so that
            // a maximum tells the two apart.
            let null = self.builder.ins().iconst(types::I64, TABLE_ELEMENT_NULL as i64);
            self.builder.ins().umax(value, null)
        } else {
            value
        };
        let flags = self.trusted(Region::Elements);
        self.builder.ins().store(flags, element, address, 0);
    }

    fn table_grow(&mut self, table: TableIndex) {
        let (init, delta) = self.pop2();
        let is_64 = self.table_type(table).is_64;
        let init = self.table_value(init);
        let delta = self.widen(delta, is_64);
        let number = self.number(table.0);
        let before = self.call_builtin(Builtin::TableGrow, &[self.vmctx, number, delta, init]);
        let before = self.narrow(before.expect("it answers"), is_64);
        self.push(before);
    }

    fn table_fill(&mut self, table: TableIndex) {
        let (index, value, len) = self.pop3();
        let is_64 = self.table_type(table).is_64;
        let (index, len) = (self.widen(index, is_64), self.widen(len, is_64));
        let value = self.table_value(value);
        let number = self.number(table.0);
        self.call_builtin(Builtin::TableFill, &[self.vmctx, number, index, value, len]);
    }

    fn table_copy(&mut self, to_table: TableIndex, from_table: TableIndex) {
        let (to, from, len) = self.pop3();
        let (to_64, from_64) = (self.table_type(to_table).is_64, self.table_type(from_table).is_64);
        let (to, from) = (self.widen(to, to_64), self.widen(from, from_64));
        // The length has the narrower of the two widths.
        let len = self.widen(len, to_64 && from_64);
        let (to_number, from_number) = (self.number(to_table.0), self.number(from_table.0));
        self.call_builtin(Builtin::TableCopy, &[self.vmctx, to_number, from_number, to, from, len]);
    }

    fn table_init(&mut self, segment: u32, table: TableIndex) {
        let (to, from, len) = self.pop3();
        let to = self.widen(to, self.table_type(table).is_64);
        let (from, len) = (self.widen(from, false), self.widen(len, false));
        let (table, segment) = (self.number(table.0), self.number(segment));
        self.call_builtin(Builtin::TableInit, &[self.vmctx, table, segment, to, from, len]);
    }

    /// A reference as builtins of tables take it: 64 bits wide.
    fn table_value(&mut self, value: Value) -> Value {
        match self.builder.func.dfg.value_type(value) {
            types::I64 => value,
            _ => self.builder.ins().uextend(types::I64, value),
        }
    }

    pub(super) fn table_type(&self, table: TableIndex) -> TableType {
        self.input.module.tables[table.index()]
    }

    /// Whether the table's declared limits leave it one length. This holds for an imported one too: its limits lie
    /// within those its import declares.
    fn is_fixed(&self, table: TableIndex) -> bool {
        let ty = self.table_type(table);
        ty.max == Some(ty.min)
    }

    fn table_len(&mut self, table: TableIndex) -> Value {
        if self.is_fixed(table) {
            let len = self.table_type(table).min as i64;
            return self.builder.ins().iconst(types::I64, len);
        }
        let (definition, offset) = self.definition(self.input.layout.table(table));
        let flags = self.trusted(Region::Definitions);
        self.builder.ins().load(types::I64, flags, definition, offset + offset_of!(VmTable, len) as i32)
    }

    /// Checks an index (64 bits wide) and makes it the element's address.
    fn element_address(&mut self, table: TableIndex, index: Value) -> Value {
        let len = self.table_len(table);
        let beyond = self.builder.ins().icmp(IntCC::UnsignedGreaterThanOrEqual, index, len);
        self.trap_if(beyond, TrapCode::TableOutOfBounds);
        let (definition, offset) = self.definition(self.input.layout.table(table));
        let flags = if self.is_fixed(table) { constant_flags() } else { self.trusted(Region::Definitions) };
        let base = self.builder.ins().load(types::I64, flags, definition, offset + offset_of!(VmTable, base) as i32);
        let scale = self.builder.ins().iconst(types::I64, 3);
        let distance = self.builder.ins().ishl(index, scale);
        let address = self.builder.ins().iadd(base, distance);
        if !self.tunables().spectre_mitigation {
            return address;
        }
        // Behind a mispredicted check, the first element is what is read.
        self.builder.ins().select_spectre_guard(beyond, base, address)
    }

    /// Loads the element at an index (64 bits wide), after checking it.
    pub(super) fn load_element(&mut self, table: TableIndex, index: Value) -> Value {
        let address = self.element_address(table, index);
        let flags = self.trusted(Region::Elements);
        self.builder.ins().load(types::I64, flags, address, 0)
    }

    /// The guest value of an element of a `funcref` table, which may be lazy. If `callable`, null stops the guest.
    pub(super) fn func_ref_of_element(
        &mut self,
        table: TableIndex,
        index: Value,
        element: Value,
        callable: bool,
    ) -> Value {
        let null = self.builder.ins().iconst(types::I64, TABLE_ELEMENT_NULL as i64);
        let unmade = self.builder.ins().icmp(IntCC::UnsignedLessThanOrEqual, element, null);
        let cold = self.builder.create_block();
        let next = self.builder.create_block();
        let reference = self.builder.append_block_param(next, types::I64);
        self.builder.set_cold_block(cold);
        self.builder.ins().brif(unmade, cold, &[], next, &[element.into()]);
        self.builder.seal_block(cold);
        self.builder.switch_to_block(cold);
        let number = self.number(table.0);
        // The builtin sees to null: a block here that ends in a trap would be a way out of the loop around it, and behind one
        // in a block that goes on, the code generator moves nothing out of loops any more.
        let builtin = if callable { Builtin::TableGetCallee } else { Builtin::TableGetFuncRef };
        if callable {
            self.write_metering_aside();
        }
        let made = self.call_builtin(builtin, &[self.vmctx, number, index]).expect("it answers");
        self.builder.ins().jump(next, &[made.into()]);
        self.builder.seal_block(next);
        self.builder.switch_to_block(next);
        reference
    }
}
