//! Structs.

use super::super::translator::FuncTranslator;
use super::scalar_replacement::{FIELDS_MAX, NewObject};
use crate::optimizing::passes::Pass;
use ampoule_core::index::TypeIndex;
use ampoule_core::types::{FieldType, HeapType, RefType, StorageType, TypeId, ValType};
use cranelift_codegen::ir::Value;
use wasmparser::Operator;

impl FuncTranslator<'_> {
    pub(super) fn field_operator(&mut self, op: &Operator<'_>) -> bool {
        match *op {
            Operator::StructNew { struct_type_index } => {
                let ty = TypeIndex(struct_type_index);
                let first = self.stack.len() - self.struct_fields(ty).len();
                let values: Vec<_> = self.stack.drain(first..).collect();
                self.struct_new(ty, &values);
            }
            Operator::StructNewDefault { struct_type_index } => {
                let ty = TypeIndex(struct_type_index);
                let fields = self.struct_fields(ty);
                let values: Vec<_> = fields.iter().map(|field| self.zero(field.storage.unpacked())).collect();
                self.struct_new(ty, &values);
            }
            Operator::StructGet { struct_type_index, field_index }
            | Operator::StructGetU { struct_type_index, field_index } => {
                self.struct_get(TypeIndex(struct_type_index), field_index, false);
            }
            Operator::StructGetS { struct_type_index, field_index } => {
                self.struct_get(TypeIndex(struct_type_index), field_index, true);
            }
            Operator::StructSet { struct_type_index, field_index } => {
                let (reference, value) = self.pop2();
                let (storage, offset) = self.field(TypeIndex(struct_type_index), field_index);
                let (address, flags) = self.object_access(reference, offset);
                self.store_storage(storage, value, address, offset, flags);
                // Behind the store, which faults at null.
                self.barrier(storage, value, reference);
            }
            _ => return false,
        }
        true
    }

    fn struct_fields(&self, ty: TypeIndex) -> std::sync::Arc<[FieldType]> {
        self.input.module.types[ty.index()].as_struct().expect("validation saw to the type's kind").fields.clone()
    }

    /// What a field is stored as, and where.
    fn field(&mut self, ty: TypeIndex, field: u32) -> (StorageType, u32) {
        let offset = self.input.layout.structs(ty).offsets()[field as usize];
        (self.struct_fields(ty)[field as usize].storage, offset)
    }

    fn struct_get(&mut self, ty: TypeIndex, field: u32, signed: bool) {
        let reference = self.pop();
        let (storage, offset) = self.field(ty, field);
        let (address, flags) = self.object_access(reference, offset);
        let value = self.load_storage(storage, signed, address, offset, flags);
        self.push(value);
    }

    fn struct_new(&mut self, ty: TypeIndex, values: &[Value]) {
        let layout = self.input.layout.structs(ty);
        let (reference, check) = self.allocate_checked(ty, layout.size());
        let address = self.heap_address(reference);
        let flags = self.object_flags();
        let fields = self.struct_fields(ty);
        let mut last_store = None;
        for ((field, &offset), &value) in fields.iter().zip(layout.offsets()).zip(values) {
            last_store = Some(self.store_storage(field.storage, value, address, offset, flags));
        }
        if let Some(check) = check
            && self.does(Pass::ScalarReplacement)
            && values.len() <= FIELDS_MAX
        {
            self.new_objects.push(NewObject { ty, reference, content: values.into(), check, last_store });
        }
        self.know_type(reference, ValType::Ref(RefType::non_null(HeapType::ConcreteStruct(TypeId(ty.0)))));
        self.push(reference);
    }
}
