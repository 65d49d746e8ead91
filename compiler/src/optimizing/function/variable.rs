//! Locals (where they are is said in `locals`), globals, references, and operators that only move operands.

use super::translator::FuncTranslator;
use crate::optimizing::flags::Region;
use crate::optimizing::signature::clif_type;
use ampoule_core::builtins::Builtin;
use ampoule_core::index::GlobalIndex;
use ampoule_core::types::{HeapType, ValType};
use ampoule_core::vm::MemorySlot;
use cranelift_codegen::ir::{Endianness, InstBuilder, MemFlagsData, Value, types};
use wasmparser::Operator;

impl FuncTranslator<'_> {
    /// Translates `local.get`, `global.get`, `select`, `ref.null` and similar operators.
    pub(super) fn variable_operator(&mut self, op: &Operator<'_>) -> bool {
        match *op {
            Operator::LocalGet { local_index } => {
                let value = self.get_local(local_index);
                self.push(value);
            }
            Operator::LocalSet { local_index } => {
                let value = self.pop();
                self.set_local(local_index, value);
            }
            Operator::LocalTee { local_index } => {
                let value = *self.stack.last().expect("validation counted the operands");
                self.set_local(local_index, value);
            }
            Operator::GlobalGet { global_index } => self.global_get(GlobalIndex(global_index)),
            Operator::GlobalSet { global_index } => self.global_set(GlobalIndex(global_index)),
            Operator::Drop => {
                self.pop();
            }
            Operator::Select => {
                self.select();
            }
            Operator::TypedSelect { ty } => {
                let value = self.select();
                self.note_type(value, ampoule_core::decode::val_type(ty, self.input.module).unwrap_or(ValType::I32));
            }
            Operator::RefNull { hty } => {
                // Null is no reference that a collection would have to find.
                let is_func =
                    ampoule_core::decode::heap_type(hty, self.input.module).is_ok_and(|ty| ty.top() == HeapType::Func);
                let null = self.builder.ins().iconst(if is_func { types::I64 } else { types::I32 }, 0);
                self.push(null);
            }
            Operator::RefIsNull => {
                let value = self.pop();
                let null = self.is_null(value);
                let null = self.builder.ins().uextend(types::I32, null);
                self.push(null);
            }
            Operator::RefAsNonNull => {
                let value = *self.stack.last().expect("validation counted the operands");
                self.check_null(value);
            }
            Operator::RefFunc { function_index } => {
                let function = self.number(function_index);
                let reference = self.call_builtin(Builtin::RefFunc, &[self.vmctx, function]);
                self.push(reference.expect("it answers"));
            }
            _ => return false,
        }
        true
    }

    fn select(&mut self) -> Value {
        let (first, second, condition) = self.pop3();
        let value = self.builder.ins().select(condition, first, second);
        self.push(value);
        value
    }

    fn global_get(&mut self, global: GlobalIndex) {
        let ty = self.input.module.globals[global.index()];
        let (base, offset, flags) = self.global(global);
        // An immutable global has its value before any code of the instance runs. But a collection moves what it refers to.
        let flags = if ty.mutable || ty.content.is_collected() {
            flags
        } else {
            flags.with_readonly().with_can_move().with_alias_region(None)
        };
        let value = self.builder.ins().load(clif_type(ty.content), flags, base, offset);
        self.push_typed(value, ty.content);
    }

    fn global_set(&mut self, global: GlobalIndex) {
        let value = self.pop();
        let (base, offset, flags) = self.global(global);
        self.builder.ins().store(flags, value, base, offset);
    }

    /// Where a global's value is.
    fn global(&mut self, global: GlobalIndex) -> (Value, i32, MemFlagsData) {
        let slot = self.input.layout.global(global);
        let own = global.0.wrapping_sub(self.input.module.num_imported_globals as u32);
        let region = match slot {
            MemorySlot::Own(_) if own < Region::OWN_GLOBALS => Region::OwnGlobal(own),
            _ => Region::Globals,
        };
        let region = self.region(region);
        let (base, offset) = self.definition(slot);
        let flags = MemFlagsData::trusted().with_endianness(Endianness::Little).with_alias_region(Some(region));
        (base, offset, flags)
    }
}
